/* secure_boot: whether it is on, and whose keys it trusts, as PCR 7 proves. Keys are named by the
 * SHA-256 of their certificate's DER, entries of db and dbx that are hashes by the hash.
 * {"required": true, "platform_key": [...], "key_exchange_keys": [...], "db": [...],
 *  "dbx_includes": [...], "authorities": [...], "refuse_leaked_keys": true}
 * The device may have no key that a list lacks; dbx must have each one listed; `authorities` are those
 * that may have admitted what booted. Whatever is demanded, nothing in PCR 7 may say that the settings
 * are not to be believed. */
#include "server/appraisal/rule_text.h"

#include "server/appraisal/leaked_keys.h"

enum { SECURE_BOOT_PCR = 7, DBX_SHOWN = 8 };

struct secure_boot {
    bool required, refuse_leaked_keys;
    struct allowed platform_key, key_exchange_keys, db, dbx_includes, authorities;
};

/* --- reading ------------------------------------------------------------------------------------ */

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    static const char *const known[] = {"required",     "platform_key", "key_exchange_keys",  "db",
                                        "dbx_includes", "authorities",  "refuse_leaked_keys", NULL};
    struct secure_boot *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    const struct {
        const char *name;
        struct allowed *out;
    } list[] = {{"platform_key", &rules->platform_key},
                {"key_exchange_keys", &rules->key_exchange_keys},
                {"db", &rules->db},
                {"dbx_includes", &rules->dbx_includes},
                {"authorities", &rules->authorities}};
    const struct {
        const char *name;
        bool *out;
    } flag[] = {{"required", &rules->required}, {"refuse_leaked_keys", &rules->refuse_leaked_keys}};
    enum status status = read_object(c, at, known);
    bool demands = false;
    for (size_t i = 0; i < sizeof list / sizeof *list && status == STATUS_OK; i++) {
        struct place member = place_member(at, list[i].name);
        status =
            member.json == NULL ? STATUS_OK : read_allowed(c, &member, list[i].out, HASH_SHA256);
        demands = demands || list[i].out->num > 0;
    }
    for (size_t i = 0; i < sizeof flag / sizeof *flag && status == STATUS_OK; i++) {
        struct place member = place_member(at, flag[i].name);
        status = member.json == NULL ? STATUS_OK : read_flag(c, &member, flag[i].out);
        demands = demands || *flag[i].out;
    }
    if (status == STATUS_OK && !demands) {
        return place_refuse(c, at, "it demands nothing");
    }
    *out = rules;
    return status;
}

/* --- whether it is on --------------------------------------------------------------------------- */

static struct finding *deny(struct judging *j, const char *code, uint32_t event) {
    struct finding *finding = judging_add(j, code, SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = SECURE_BOOT_PCR;
        finding->event = event == FACT_NO_EVENT ? -1 : (int)event;
    }
    return finding;
}

/* A variable whose contents nothing vouches for: not measured, or its data are not what was. */
static void deny_unknown(struct judging *j, const char *variable, uint32_t event) {
    if (event != FACT_NO_EVENT) {
        judging_unbound(j, event, variable);
        return;
    }
    struct finding *finding = deny(j, "secure_boot_variable_missing", event);
    if (finding != NULL) {
        finding->expected = variable;
        finding->found = arena_printf(j->arena, "no %s", variable);
        finding->remediation =
            arena_printf(j->arena,
                         "The firmware measured no %s variable into PCR 7, or an empty one: update "
                         "the firmware, or take what the baseline says of it out.",
                         variable);
    }
}

static void judge_mode(struct judging *j) {
    const struct fact_secure_boot *facts = &j->facts->secure_boot;
    struct finding *finding = NULL;
    if (facts->enabled == FACT_UNKNOWN) {
        deny_unknown(j, "SecureBoot", facts->enabled_event);
    } else if (facts->enabled == FACT_NO) {
        finding = deny(j, "secure_boot_off", facts->enabled_event);
        if (finding != NULL) {
            finding->expected = "on";
            finding->found = "off";
            finding->remediation = "Secure Boot is off: switch it on in the firmware's settings.";
        }
    }
    if (facts->setup_mode == FACT_YES) {
        finding = deny(j, "secure_boot_setup_mode", FACT_NO_EVENT);
        if (finding != NULL) {
            finding->expected = "user mode";
            finding->found = "setup mode";
            finding->remediation = "The firmware is in setup mode, where anyone may change its "
                                   "keys: enrol a platform key.";
        }
    }
    if (facts->audit_mode == FACT_YES) {
        finding = deny(j, "secure_boot_audit_mode", FACT_NO_EVENT);
        if (finding != NULL) {
            finding->expected = "user or deployed mode";
            finding->found = "audit mode";
            finding->remediation =
                "The firmware is in audit mode and admits every image: leave that mode.";
        }
    }
}

/* --- whom it trusts ----------------------------------------------------------------------------- */

static const char *key_text(struct arena *arena, const struct fact_key *key) {
    const char *hex = hex_text(arena, bytes_of(key->sha256, sizeof key->sha256));
    const char *subject = key->subject == NULL ? NULL : shown_text(arena, key->subject);
    return hex == NULL || subject == NULL ? hex : arena_printf(arena, "%s (%s)", hex, subject);
}

static void judge_key(struct judging *j, const struct fact_key *key, const struct allowed *allowed,
                      const char *code, const char *where, uint32_t event) {
    if (allowed->num == 0 || allowed_has(allowed, bytes_of(key->sha256, sizeof key->sha256))) {
        return;
    }
    struct finding *finding = deny(j, code, event);
    if (finding != NULL) {
        finding->expected = allowed_text(j->arena, allowed);
        finding->found = key_text(j->arena, key);
        finding->remediation =
            arena_printf(j->arena,
                         "%s: %s is not among %s: take the key out in the firmware's settings, or "
                         "approve it in the baseline.",
                         where, finding->found, allowed_names(j->arena, allowed));
    }
}

static void judge_leaked(struct judging *j, const struct fact_key *key, const char *variable,
                         uint32_t event) {
    const struct leaked_key *leaked =
        key->kind != FACT_KEY_CERTIFICATE
            ? NULL
            : leaked_key_find(j->inputs->leaked_keys, key->sha256, key->der);
    if (leaked == NULL) {
        return;
    }
    struct finding *finding = deny(j, "leaked_key", event);
    if (finding != NULL) {
        finding->expected = "no key that is known to be leaked";
        finding->found = key_text(j->arena, key);
        finding->remediation = arena_printf(
            j->arena,
            "%s: the private key of %s is public (%s), so that anyone can sign what this device "
            "boots: update the firmware, or enrol other keys.",
            variable, finding->found, leaked->source);
    }
}

static void judge_variable(struct judging *j, const struct secure_boot *rules,
                           const struct fact_keys *keys, const struct allowed *allowed,
                           const char *code, const char *variable) {
    if (allowed->num == 0 && !rules->refuse_leaked_keys) {
        return;
    }
    if (!keys->known || (allowed->num > 0 && keys->num == 0)) {
        deny_unknown(j, variable, keys->known ? FACT_NO_EVENT : keys->event);
        return;
    }
    for (size_t i = 0; i < keys->num; i++) {
        judge_key(j, &keys->key[i], allowed, code, variable, keys->event);
        if (rules->refuse_leaked_keys) {
            judge_leaked(j, &keys->key[i], variable, keys->event);
        }
    }
}

/* The listed ones that dbx lacks: some of them, their number, and a hash of all. */
static void describe_missing(struct finding *finding, struct arena *arena,
                             const struct allowed *listed, const bool *has) {
    uint8_t all[ALLOWED_MAX * 32], digest[32];
    struct writer w = writer_of(all, sizeof all);
    const char *text = "";
    size_t num = 0;
    for (size_t i = 0; i < listed->num_distinct; i++) {
        struct bytes entry = listed->of[listed->sorted[i]].digest;
        if (!has[listed->sorted[i]]) {
            write_bytes(&w, entry);
            text =
                num++ < DBX_SHOWN ? joined_text(arena, text, ", ", hex_text(arena, entry)) : text;
        }
    }
    digest_compute(HASH_SHA256, writer_bytes(&w), digest);
    finding->expected =
        num > DBX_SHOWN ? arena_printf(arena, "%s and %zu more", text, num - DBX_SHOWN) : text;
    finding->found =
        arena_printf(arena, "%zu of %zu missing (SHA-256 of them %s)", num, listed->num_distinct,
                     hex_text(arena, bytes_of(digest, sizeof digest)));
    finding->remediation =
        arena_printf(arena,
                     "dbx lacks %zu of the %zu revocations that the baseline asks for: install the "
                     "update of UEFI's revocation list (fwupdmgr update).",
                     num, listed->num_distinct);
}

static void judge_dbx(struct judging *j, const struct allowed *listed) {
    const struct fact_keys *dbx = &j->facts->secure_boot.dbx;
    bool has[ALLOWED_MAX] = {false};
    size_t missing = listed->num_distinct;
    if (missing == 0) {
        return;
    }
    if (!dbx->known) {
        deny_unknown(j, "dbx", dbx->event);
        return;
    }
    for (size_t i = 0, next = 0; i < dbx->num; i++) {
        struct bytes entry = bytes_of(dbx->key[i].sha256, sizeof dbx->key[i].sha256);
        /* Mostly they stand in one order. */
        bool in_order = listed->num == listed->num_distinct && next < listed->num &&
                        bytes_equal(listed->of[next].digest, entry);
        size_t at = in_order ? next : allowed_find(listed, entry);
        if (at < listed->num && !has[at]) {
            has[at] = true;
            missing--;
        }
        next = at + 1;
    }
    struct finding *finding = missing == 0 ? NULL : deny(j, "dbx_entry_missing", dbx->event);
    if (finding != NULL) {
        describe_missing(finding, j->arena, listed, has);
    }
}

/* --- all of it ---------------------------------------------------------------------------------- */

static void judge(struct judging *j, const void *rules) {
    const struct secure_boot *secure_boot = rules;
    const struct fact_secure_boot *facts = &j->facts->secure_boot;
    if (!judging_settings(j)) {
        return;
    }
    if (secure_boot->required) {
        judge_mode(j);
    }
    judge_variable(j, secure_boot, &facts->platform_key, &secure_boot->platform_key,
                   "platform_key_not_allowed", "PK");
    judge_variable(j, secure_boot, &facts->key_exchange_keys, &secure_boot->key_exchange_keys,
                   "key_exchange_key_not_allowed", "KEK");
    judge_variable(j, secure_boot, &facts->db, &secure_boot->db, "db_entry_not_allowed", "db");
    judge_dbx(j, &secure_boot->dbx_includes);
    for (size_t i = 0; i < facts->num_authorities; i++) {
        const struct fact_authority *authority = &facts->authority[i];
        if (secure_boot->authorities.num > 0 && authority->variable[0] == '\0') {
            judging_unbound(j, authority->event, "what admitted an image");
            continue;
        }
        judge_key(j, &authority->key, &secure_boot->authorities, "authority_not_allowed",
                  "what admitted an image", authority->event);
    }
}

static uint32_t reads(const void *rules) {
    (void)rules;
    return 1u << SECURE_BOOT_PCR;
}

static bool states_boot_keys(const void *rules) {
    const struct secure_boot *secure_boot = rules;
    return secure_boot->required && (secure_boot->db.num > 0 || secure_boot->authorities.num > 0);
}

/* PCR 7 has more in it than these demands account for. */
const struct rule_family rule_secure_boot = {.name = "secure_boot",
                                             .compile = compile,
                                             .judge = judge,
                                             .reads = reads,
                                             .states_boot_keys = states_boot_keys};

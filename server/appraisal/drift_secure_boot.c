/* Drift of Secure Boot: its switches, its keys, and what admitted images. */
#include "server/appraisal/boot_steps.h"
#include "server/appraisal/drift_parts.h"

#include <stdlib.h>
#include <string.h>

enum { SECURE_BOOT_PCR = 7, AUTHORITIES_COMPARED = 256 };

/* --- switches --- */

struct switch_words {
    const char *subject, *on, *off, *unknown;
};

static void compare_switch(struct drifting *d, const struct switch_words *words,
                           enum fact_flag before, enum fact_flag after, uint32_t event) {
    if (before == after) {
        return;
    }
    drift_add(d, (struct drift_change){.subject = words->subject,
                                       .kind = DRIFT_CHANGED,
                                       .before = fact_flag_name(before),
                                       .after = fact_flag_name(after),
                                       .pcr = SECURE_BOOT_PCR,
                                       .event = drift_event(event),
                                       .text = after == FACT_YES  ? words->on
                                               : after == FACT_NO ? words->off
                                                                  : words->unknown});
}

static void compare_switches(struct drifting *d) {
    static const struct switch_words words[] = {
        {"secure_boot", "Secure Boot was switched on", "Secure Boot was switched off",
         "Secure Boot: nothing says any more whether it is on"},
        {"setup_mode", "setup mode was entered: whoever is at the machine may set the keys",
         "setup mode was left", "setup mode: nothing says any more whether it is on"},
        {"audit_mode", "audit mode was entered: images run although no key admits them",
         "audit mode was left", "audit mode: nothing says any more whether it is on"},
        {"deployed_mode", "deployed mode was entered", "deployed mode was left",
         "deployed mode: nothing says any more whether it is on"},
    };
    const struct fact_secure_boot *a = &d->facts[DRIFT_BEFORE]->secure_boot,
                                  *b = &d->facts[DRIFT_AFTER]->secure_boot;
    compare_switch(d, &words[0], a->enabled, b->enabled, b->enabled_event);
    if (a->enabled != b->enabled) {
        drift_explain(d, DRIFT_BEFORE, a->enabled_event);
        drift_explain(d, DRIFT_AFTER, b->enabled_event);
    }
    compare_switch(d, &words[1], a->setup_mode, b->setup_mode, FACT_NO_EVENT);
    compare_switch(d, &words[2], a->audit_mode, b->audit_mode, FACT_NO_EVENT);
    compare_switch(d, &words[3], a->deployed_mode, b->deployed_mode, FACT_NO_EVENT);
}

static void compare_distrust(struct drifting *d) {
    const struct fact_secure_boot *a = &d->facts[DRIFT_BEFORE]->secure_boot,
                                  *b = &d->facts[DRIFT_AFTER]->secure_boot;
    const char *before = a->distrusted_why, *after = b->distrusted_why;
    if (before == NULL ? after == NULL : after != NULL && strcmp(before, after) == 0) {
        return;
    }
    const struct fact_secure_boot *from = after != NULL ? b : a;
    drift_explain(d, after != NULL ? DRIFT_AFTER : DRIFT_BEFORE, from->distrusted_event);
    drift_add(d, (struct drift_change){
                     .subject = "secure_boot",
                     .kind = after == NULL    ? DRIFT_REMOVED
                             : before == NULL ? DRIFT_ADDED
                                              : DRIFT_CHANGED,
                     .before = before,
                     .after = after,
                     .pcr = SECURE_BOOT_PCR,
                     .event = drift_event(from->distrusted_event),
                     .text = after == NULL
                                 ? "Secure Boot's settings are to be believed again"
                                 : arena_printf(d->arena,
                                                "Secure Boot's settings are not to be believed: %s",
                                                after)});
}

/* --- keys --- */

static int by_key(const void *a, const void *b) {
    const struct fact_key *const *x = a, *const *y = b;
    return (*x)->kind != (*y)->kind ? ((*x)->kind < (*y)->kind ? -1 : 1)
                                    : memcmp((*x)->sha256, (*y)->sha256, sizeof(*x)->sha256);
}

static const struct fact_key **sorted(struct arena *arena, const struct fact_keys *keys) {
    const struct fact_key **out = arena_array(arena, keys->num, sizeof *out);
    for (size_t i = 0; out != NULL && i < keys->num; i++) {
        out[i] = &keys->key[i];
    }
    if (out != NULL && keys->num > 1) {
        qsort(out, keys->num, sizeof *out, by_key);
    }
    return out;
}

/* What one database has and the other has not: certificates one by one, hashes by their number. */
struct key_change {
    const char *subject;
    bool added;
    uint32_t event;
    size_t hashes;
};

static const char *key_words(struct arena *arena, const struct fact_key *key) {
    const char *digest = digest_short(arena, bytes_of(key->sha256, sizeof key->sha256));
    return key->subject == NULL ? arena_printf(arena, "%s %s",
                                               key->kind == FACT_KEY_CERTIFICATE ? "certificate"
                                               : key->kind == FACT_KEY_HASH      ? "hash"
                                                                                 : "entry",
                                               digest)
                                : arena_printf(arena, "%s (%s)", key->subject, digest);
}

static void add_key(struct drifting *d, struct key_change *what, const struct fact_key *key) {
    if (key->kind == FACT_KEY_HASH) {
        what->hashes++;
        return;
    }
    struct drift_change change = {.subject = what->subject,
                                  .kind = what->added ? DRIFT_ADDED : DRIFT_REMOVED,
                                  .pcr = SECURE_BOOT_PCR,
                                  .event = drift_event(what->event)};
    const char *words = key_words(d->arena, key);
    *(what->added ? &change.after : &change.before) = words;
    change.text = arena_printf(d->arena, "%s: %s was %s", what->subject, words,
                               what->added ? "added" : "removed");
    drift_add(d, change);
}

static void add_hashes(struct drifting *d, const struct key_change *what) {
    struct drift_change change = {.subject = what->subject,
                                  .kind = what->added ? DRIFT_ADDED : DRIFT_REMOVED,
                                  .pcr = SECURE_BOOT_PCR,
                                  .event = drift_event(what->event)};
    if (what->hashes == 0) {
        return;
    }
    const char *words =
        arena_printf(d->arena, "%zu image hash%s", what->hashes, what->hashes == 1 ? "" : "es");
    *(what->added ? &change.after : &change.before) = words;
    change.text =
        arena_printf(d->arena, "%s: %s %s %s", what->subject, words,
                     what->hashes == 1 ? "was" : "were", what->added ? "added" : "removed");
    drift_add(d, change);
}

/* Those of `have` that `lacks` has not, each once. */
static void compare_one_way(struct drifting *d, struct key_change *what,
                            const struct fact_key *const *have, size_t num_have,
                            const struct fact_key *const *lacks, size_t num_lacks) {
    size_t j = 0;
    for (size_t i = 0; i < num_have; i++) {
        while (j < num_lacks && by_key(&lacks[j], &have[i]) < 0) {
            j++;
        }
        bool known = j < num_lacks && by_key(&lacks[j], &have[i]) == 0;
        bool again = i > 0 && by_key(&have[i - 1], &have[i]) == 0;
        if (!known && !again) {
            add_key(d, what, have[i]);
        }
    }
    add_hashes(d, what);
}

static void compare_keys(struct drifting *d, const char *subject, const struct fact_keys *before,
                         const struct fact_keys *after) {
    size_t num = d->out.num;
    bool cut = d->out.cut;
    if (before->known != after->known) {
        drift_add(d, (struct drift_change){
                         .subject = subject,
                         .kind = after->known ? DRIFT_ADDED : DRIFT_REMOVED,
                         .pcr = SECURE_BOOT_PCR,
                         .event = drift_event(after->known ? after->event : before->event),
                         .text = arena_printf(d->arena, "%s: its contents are %s", subject,
                                              after->known ? "known now" : "not known any more")});
    } else {
        const struct fact_key **a = sorted(d->arena, before), **b = sorted(d->arena, after);
        struct key_change removed = {subject, false, before->event, 0},
                          added = {subject, true, after->event, 0};
        if (a == NULL || b == NULL) {
            return;
        }
        compare_one_way(d, &removed, a, before->num, b, after->num);
        compare_one_way(d, &added, b, after->num, a, before->num);
    }
    if (d->out.num != num || d->out.cut != cut) {
        drift_explain(d, DRIFT_BEFORE, before->event);
        drift_explain(d, DRIFT_AFTER, after->event);
    }
}

/* --- what admitted images --- */

static bool has_authority(const struct fact_secure_boot *in, const struct fact_authority *which,
                          size_t num) {
    for (size_t i = 0; i < num && i < AUTHORITIES_COMPARED; i++) {
        if (strcmp(in->authority[i].variable, which->variable) == 0 &&
            memcmp(in->authority[i].key.sha256, which->key.sha256, 32) == 0) {
            return true;
        }
    }
    return false;
}

static void compare_authorities(struct drifting *d, int have, int lacks) {
    const struct fact_secure_boot *a = &d->facts[have]->secure_boot,
                                  *b = &d->facts[lacks]->secure_boot;
    bool added = have == DRIFT_AFTER;
    for (size_t i = 0; i < a->num_authorities && i < AUTHORITIES_COMPARED; i++) {
        const struct fact_authority *authority = &a->authority[i];
        if (strcmp(authority->variable, "SbatLevel") == 0 ||
            has_authority(b, authority, b->num_authorities) || has_authority(a, authority, i)) {
            continue;
        }
        const char *words = key_words(d->arena, &authority->key);
        struct drift_change change = {.subject = "authority",
                                      .kind = added ? DRIFT_ADDED : DRIFT_REMOVED,
                                      .pcr = SECURE_BOOT_PCR,
                                      .event = drift_event(authority->event)};
        *(added ? &change.after : &change.before) = words;
        change.text = arena_printf(d->arena, "what admits images: %s of %s %s", words,
                                   authority->variable, added ? "was used" : "was not used again");
        drift_explain(d, have, authority->event);
        drift_add(d, change);
    }
}

void drift_secure_boot(struct drifting *d) {
    const struct fact_secure_boot *a = &d->facts[DRIFT_BEFORE]->secure_boot,
                                  *b = &d->facts[DRIFT_AFTER]->secure_boot;
    compare_switches(d);
    compare_distrust(d);
    compare_keys(d, "platform_key", &a->platform_key, &b->platform_key);
    compare_keys(d, "key_exchange_keys", &a->key_exchange_keys, &b->key_exchange_keys);
    compare_keys(d, "db", &a->db, &b->db);
    compare_keys(d, "dbx", &a->dbx, &b->dbx);
    compare_authorities(d, DRIFT_BEFORE, DRIFT_AFTER);
    compare_authorities(d, DRIFT_AFTER, DRIFT_BEFORE);
}

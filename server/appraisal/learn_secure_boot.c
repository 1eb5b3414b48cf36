/* Secure Boot as learned: on, by these keys and no others, with these revocations at least. */
#include "server/appraisal/learn_parts.h"

#include <stdlib.h>
#include <string.h>

enum { SECURE_BOOT_PCR = 7, SUBJECT_MAX = 200 };

typedef const struct fact_keys *keys_of(const struct facts *facts);

static const struct fact_keys *platform_key(const struct facts *facts) {
    return &facts->secure_boot.platform_key;
}
static const struct fact_keys *key_exchange_keys(const struct facts *facts) {
    return &facts->secure_boot.key_exchange_keys;
}
static const struct fact_keys *db(const struct facts *facts) {
    return &facts->secure_boot.db;
}
static const struct fact_keys *dbx(const struct facts *facts) {
    return &facts->secure_boot.dbx;
}

static bool all_know(const struct learning *l, keys_of *which, bool wants_some) {
    for (size_t i = 0; i < l->in->num; i++) {
        const struct fact_keys *keys = which(learn_facts(l, i));
        if (!keys->known || (wants_some && keys->num == 0)) {
            return false;
        }
    }
    return true;
}

/* A label holds no control characters, and is short. */
static const char *label_of(struct learning *l, const struct fact_key *key) {
    const char *shown = key->subject == NULL ? NULL : shown_text(l->arena, key->subject);
    size_t len = shown == NULL ? 0 : strlen(shown);
    if (len == 0) {
        return NULL;
    }
    /* Cut between characters of UTF-8. */
    size_t cut = len < SUBJECT_MAX ? len : SUBJECT_MAX;
    while (cut < len && cut > 0 && ((unsigned char)shown[cut] & 0xC0) == 0x80) {
        cut--;
    }
    return arena_text_n(l->arena, shown, cut);
}

/* Not the number of sources: each of them has each key. */
static bool differs(const struct learning *l, const struct tally *tally) {
    for (size_t i = 0; i < tally->num; i++) {
        if (tally->of[i].devices < l->devices) {
            return true;
        }
    }
    return false;
}

static void add_key(struct learning *l, struct tally *tally, const struct fact_key *key,
                    const struct fact_keys *in, size_t position, unsigned devices) {
    for (size_t i = 0; in != NULL && i < position; i++) {
        if (memcmp(in->key[i].sha256, key->sha256, sizeof key->sha256) == 0) {
            return;
        }
    }
    tally_add(tally, bytes_of(key->sha256, sizeof key->sha256), label_of(l, key), devices);
}

static struct tally *tally_keys(struct learning *l, keys_of *which) {
    struct tally *tally = tally_new(l->arena);
    for (size_t i = 0; tally != NULL && i < l->in->num; i++) {
        const struct fact_keys *keys = which(learn_facts(l, i));
        for (size_t k = 0; k < keys->num && k < TALLY_MAX; k++) {
            add_key(l, tally, &keys->key[k], keys, k, l->in->source[i].devices);
        }
        tally->full = tally->full || keys->num > TALLY_MAX;
    }
    return tally;
}

static void write_keys(struct learning *l, const char *name, keys_of *which) {
    struct tally *tally = all_know(l, which, true) ? tally_keys(l, which) : NULL;
    struct learn_question question = {.subject = name,
                                      .pcr = SECURE_BOOT_PCR,
                                      .event = -1,
                                      .choice = LEARN_LEFT_OUT,
                                      .why = "a device measured none of it, or more than a "
                                             "baseline lists"};
    if (tally == NULL || tally->full) {
        learn_ask(l, question);
        return;
    }
    learn_write_allowed(l, name, tally);
    if (differs(l, tally)) {
        question.choice = LEARN_ANY_OF;
        question.why = "the devices trust different keys: each of these is allowed on all of them";
        learn_ask_tally(l, question, tally, false);
    }
}

/* --- what admitted images --- */

static void write_authorities(struct learning *l) {
    struct tally *tally = tally_new(l->arena);
    bool known = true;
    for (size_t i = 0; tally != NULL && i < l->in->num; i++) {
        const struct fact_secure_boot *facts = &learn_facts(l, i)->secure_boot;
        const struct fact_authority *last = NULL;
        for (size_t k = 0; k < facts->num_authorities && k < TALLY_MAX; k++) {
            const struct fact_authority *authority = &facts->authority[k];
            known = known && authority->variable[0] != '\0';
            if (last == NULL || memcmp(last->key.sha256, authority->key.sha256, 32) != 0) {
                add_key(l, tally, &authority->key, NULL, 0, l->in->source[i].devices);
            }
            last = authority;
        }
        tally->full = tally->full || facts->num_authorities > TALLY_MAX;
    }
    if (tally == NULL || tally->num == 0) {
        return;
    }
    if (!known || tally->full) {
        learn_ask(l, (struct learn_question){.subject = "authorities",
                                             .pcr = SECURE_BOOT_PCR,
                                             .event = -1,
                                             .choice = LEARN_LEFT_OUT,
                                             .why = "the log of a device does not prove what "
                                                    "admitted its images"});
        return;
    }
    learn_write_allowed(l, "authorities", tally);
    if (differs(l, tally)) {
        learn_ask_tally(l,
                        (struct learn_question){.subject = "authorities",
                                                .pcr = SECURE_BOOT_PCR,
                                                .event = -1,
                                                .choice = LEARN_ANY_OF,
                                                .why = learn_why_differs},
                        tally, false);
    }
}

/* --- revocations: what all have --- */

static int by_bytes(const void *a, const void *b) {
    return memcmp(a, b, 32);
}

static uint8_t (*sorted_entries(struct learning *l, const struct fact_keys *keys))[32] {
    uint8_t(*out)[32] = arena_array(l->arena, keys->num, sizeof *out);
    for (size_t i = 0; out != NULL && i < keys->num; i++) {
        memcpy(out[i], keys->key[i].sha256, sizeof out[i]);
    }
    if (out != NULL && keys->num > 1) {
        qsort(out, keys->num, sizeof *out, by_bytes);
    }
    return out;
}

struct shared {
    uint8_t (*entry)[32]; /* sorted, each once */
    size_t num, largest;  /* largest: of any device's list */
};

static bool share(struct learning *l, struct shared *shared) {
    for (size_t i = 0; i < l->in->num; i++) {
        const struct fact_keys *keys = dbx(learn_facts(l, i));
        uint8_t(*entry)[32] = sorted_entries(l, keys);
        if (entry == NULL) {
            return false;
        }
        size_t kept = 0;
        if (i == 0) {
            shared->entry = entry;
            shared->num = keys->num;
        }
        for (size_t k = 0; k < shared->num; k++) {
            bool has = i == 0 || bsearch(shared->entry[k], entry, keys->num, 32, by_bytes) != NULL;
            bool again = kept > 0 && memcmp(shared->entry[kept - 1], shared->entry[k], 32) == 0;
            if (has && !again) {
                memmove(shared->entry[kept++], shared->entry[k], 32);
            }
        }
        shared->num = kept;
        shared->largest = keys->num > shared->largest ? keys->num : shared->largest;
    }
    return true;
}

static void write_dbx(struct learning *l) {
    struct shared shared = {0};
    struct learn_question question = {
        .subject = "dbx_includes", .pcr = SECURE_BOOT_PCR, .event = -1, .choice = LEARN_LEFT_OUT};
    if (!all_know(l, dbx, false)) {
        question.why = "a device measured no dbx";
        learn_ask(l, question);
        return;
    }
    if (!share(l, &shared)) {
        return;
    }
    size_t listed = shared.num < ALLOWED_MAX ? shared.num : ALLOWED_MAX;
    if (listed > 0) {
        json_out_array(&l->o, "dbx_includes");
        for (size_t i = 0; i < listed; i++) {
            json_out_hex(&l->o, NULL, bytes_of(shared.entry[i], 32));
        }
        json_out_array_end(&l->o);
    }
    if (listed < shared.largest) {
        question.why = arena_printf(l->arena,
                                    "%zu revocations are demanded, which every device has; some "
                                    "have up to %zu, or more than a baseline lists",
                                    listed, shared.largest);
        learn_ask(l, question);
    }
}

/* --- all of it --- */

static bool is_on(const struct facts *facts) {
    const struct fact_secure_boot *facts_of = &facts->secure_boot;
    return facts_of->enabled == FACT_YES && facts_of->setup_mode != FACT_YES &&
           facts_of->audit_mode != FACT_YES && facts_of->distrusted_why == NULL;
}

void learn_secure_boot(struct learning *l) {
    bool on = true;
    for (size_t i = 0; i < l->in->num; i++) {
        on = on && is_on(learn_facts(l, i));
    }
    if (!learn_wants(l, LEARN_SECURE_BOOT)) {
        return;
    }
    if (!on || !learn_accounted(l, SECURE_BOOT_PCR)) {
        learn_ask(l, (struct learn_question){.subject = "secure_boot",
                                             .pcr = SECURE_BOOT_PCR,
                                             .event = -1,
                                             .choice = LEARN_LEFT_OUT,
                                             .why = "on some of the devices it is not proven that "
                                                    "Secure Boot is on"});
        return;
    }
    json_out_object(&l->o, "secure_boot");
    json_out_bool(&l->o, "required", true);
    write_keys(l, "platform_key", platform_key);
    write_keys(l, "key_exchange_keys", key_exchange_keys);
    write_keys(l, "db", db);
    write_dbx(l);
    write_authorities(l);
    if (all_know(l, platform_key, false) && all_know(l, key_exchange_keys, false) &&
        all_know(l, db, false)) {
        json_out_bool(&l->o, "refuse_leaked_keys", true);
    } else {
        learn_ask(l, (struct learn_question){.subject = "refuse_leaked_keys",
                                             .pcr = SECURE_BOOT_PCR,
                                             .event = -1,
                                             .choice = LEARN_LEFT_OUT,
                                             .why = "a device does not prove all of PK, KEK and "
                                                    "db"});
    }
    json_out_object_end(&l->o);
    l->learned |= LEARN_SECURE_BOOT;
}

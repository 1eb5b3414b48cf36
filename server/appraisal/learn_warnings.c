/* What is suspicious about the devices that a baseline was learned from. Whether they may be learned
 * from is the operator's decision. */
#include "server/appraisal/learn_parts.h"

#include <string.h>
#include <strings.h>

/* Says something about one source, or NULL. */
typedef const char *suspicion(struct learning *l, const struct facts *facts);

static const char *no_log(struct learning *l, const struct facts *facts) {
    (void)l;
    return facts->has_log ? NULL
                          : "it shows no event log, so that only whole PCR values could be learned";
}

static const char *secure_boot_off(struct learning *l, const struct facts *facts) {
    (void)l;
    return !facts->has_log                          ? NULL
           : facts->secure_boot.enabled == FACT_NO  ? "Secure Boot is off"
           : facts->secure_boot.enabled != FACT_YES ? "nothing proves that Secure Boot is on"
                                                    : NULL;
}

static const char *setup_mode(struct learning *l, const struct facts *facts) {
    (void)l;
    return facts->secure_boot.setup_mode == FACT_YES
               ? "it is in setup mode: whoever is at the machine may set its keys"
           : facts->secure_boot.audit_mode == FACT_YES
               ? "it is in audit mode: images run although no key admits them"
               : NULL;
}

static const char *distrusted(struct learning *l, const struct facts *facts) {
    return facts->secure_boot.distrusted_why == NULL
               ? NULL
               : arena_printf(l->arena, "Secure Boot's settings are not to be believed: %s",
                              facts->secure_boot.distrusted_why);
}

/* --- keys --- */

enum { KEYS_LOOKED_AT = 512 };

static const char *leaked_in(struct learning *l, const struct fact_keys *keys, const char *what) {
    for (size_t i = 0; i < keys->num && i < KEYS_LOOKED_AT; i++) {
        const struct fact_key *key = &keys->key[i];
        const struct leaked_key *leaked =
            key->kind != FACT_KEY_CERTIFICATE
                ? NULL
                : leaked_key_find(l->in->leaked_keys, key->sha256, key->der);
        if (leaked != NULL) {
            return arena_printf(l->arena,
                                "its %s is a key whose private half is public (%s): anybody can "
                                "sign what it boots, and the baseline refuses it",
                                what, leaked->source);
        }
    }
    return NULL;
}

static const char *leaked_key(struct learning *l, const struct facts *facts) {
    const char *found = leaked_in(l, &facts->secure_boot.platform_key, "platform key");
    if (found == NULL) {
        found = leaked_in(l, &facts->secure_boot.key_exchange_keys, "KEK");
    }
    return found != NULL ? found : leaked_in(l, &facts->secure_boot.db, "db");
}

static const char *test_in(struct learning *l, const struct fact_keys *keys) {
    static const char *const words[] = {"DO NOT TRUST", "DO NOT SHIP", "test"};
    for (size_t i = 0; i < keys->num && i < KEYS_LOOKED_AT; i++) {
        const char *subject = keys->key[i].subject;
        for (size_t w = 0; subject != NULL && w < sizeof words / sizeof *words; w++) {
            if (strcasestr(subject, words[w]) != NULL) {
                return arena_printf(l->arena, "a key of it is named like one for testing: %s",
                                    shown_text(l->arena, subject));
            }
        }
    }
    return NULL;
}

static const char *test_key(struct learning *l, const struct facts *facts) {
    const char *found = test_in(l, &facts->secure_boot.platform_key);
    if (found == NULL) {
        found = test_in(l, &facts->secure_boot.key_exchange_keys);
    }
    return found != NULL ? found : test_in(l, &facts->secure_boot.db);
}

/* --- the command line --- */

/* Arguments that open a system to whoever is at it, or switch off what protects it. */
static const char *const open_words[] = {
    "init=/bin/",
    "init=/usr/bin/",
    "rdinit=/bin/",
    "single",
    "emergency",
    "rescue",
    "rd.break",
    "systemd.debug_shell",
    "systemd.debug-shell",
    "module.sig_enforce=0",
    "lockdown=none",
    "ima_appraise=off",
    "ima_appraise=log",
    "ima_appraise=fix",
    "selinux=0",
    "apparmor=0",
    "enforcing=0",
    "kgdboc",
    "mitigations=off",
    "efi=debug",
    "ignore_loglevel",
};

static const char *open_word(const char *text) {
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        for (size_t w = 0; w < sizeof open_words / sizeof *open_words; w++) {
            const char *word = open_words[w];
            size_t at_most = strlen(word);
            bool prefix = word[at_most - 1] == '/';
            if (strncmp(text, word, at_most) == 0 && (prefix || len == at_most)) {
                return word;
            }
        }
        text += len + strspn(text + len, " ");
    }
    return NULL;
}

static const char *open_line(struct learning *l, const struct facts *facts) {
    for (size_t i = 0; i < facts->os.num_command_lines && i < 64; i++) {
        const char *word = open_word(facts->os.command_line[i].text);
        if (word != NULL) {
            return arena_printf(l->arena, "its kernel is started with \"%s\"", word);
        }
    }
    return NULL;
}

static const char *violations(struct learning *l, const struct facts *facts) {
    size_t num = 0;
    for (size_t i = 0; facts->ima.known && i < facts->ima.num_entries; i++) {
        num += facts->ima.entry[i].violation ? 1 : 0;
    }
    return num == 0 ? NULL
                    : arena_printf(l->arena, "IMA could not tell what was read %zu time%s", num,
                                   num == 1 ? "" : "s");
}

/* --- all of it: each text once, with the devices it is about --- */

static void warn_about(struct learning *l, suspicion *look) {
    struct tally *texts = tally_new(l->arena);
    const char **first = arena_array(l->arena, l->in->num, sizeof *first);
    for (size_t i = 0; texts != NULL && first != NULL && i < l->in->num; i++) {
        const char *text = look(l, learn_facts(l, i));
        size_t known = texts->num;
        if (text != NULL) {
            tally_add(texts, bytes_of_text(text), NULL, l->in->source[i].devices);
        }
        if (texts->num > known) {
            first[known] = l->in->source[i].name;
        }
    }
    for (size_t i = 0; texts != NULL && first != NULL && i < texts->num; i++) {
        const struct tally_value *text = &texts->of[i];
        learn_warn(l,
                   text->devices == 1
                       ? arena_printf(l->arena, "%s: %s", first[i], (const char *)text->value.data)
                       : arena_printf(l->arena, "%s and %u more: %s", first[i], text->devices - 1,
                                      (const char *)text->value.data));
    }
}

void learn_warnings(struct learning *l) {
    static suspicion *const looks[] = {leaked_key, secure_boot_off, setup_mode, distrusted,
                                       no_log,     test_key,        open_line,  violations};
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        warn_about(l, looks[i]);
    }
    if (l->below_measured) {
        learn_warn(l, "devices that meet this baseline do not count as measured: it does not state "
                      "both the firmware (PCR 0) and the boot programs (PCR 4)");
    }
    if ((l->learned & (LEARN_SECURE_BOOT | LEARN_BOOT_CHAIN)) == 0) {
        learn_warn(l, "nothing is demanded of Secure Boot or of the images that boot");
    }
}

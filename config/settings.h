/* Every setting there is: its name, the kind of its value, its limits, and where it goes. */
#ifndef GATEHOUSE_CONFIG_SETTINGS_H
#define GATEHOUSE_CONFIG_SETTINGS_H

#include "config/config.h"

enum setting_kind {
    SETTING_TRUST_DOMAIN,
    SETTING_URL,        /* const char *; empty unsets it */
    SETTING_FILE,       /* const char *; empty unsets it */
    SETTING_KEY,        /* the same, or a PKCS#11 URI */
    SETTING_EK_TRUST,   /* files into ek_trust */
    SETTING_FILES,      /* struct config_files */
    SETTING_NETWORKS,   /* networks into signals_networks */
    SETTING_LISTEN,     /* addresses into listen */
    SETTING_TWO_PERSON, /* words into two_person */
    SETTING_POLICIES,   /* names into unix_policy */
    SETTING_DIALECT,    /* enum dialect */
    SETTING_COUNT,      /* unsigned */
    SETTING_SIZE,       /* size_t, bytes */
    SETTING_MS,         /* unsigned */
    SETTING_SECONDS,    /* unsigned */
    SETTING_LIFETIME,   /* int64_t, seconds */
    SETTING_MODE,       /* unsigned */
    SETTING_YES_NO,     /* bool */
    SETTING_LEVEL,      /* enum log_level */
    SETTING_FORM        /* enum log_form */
};

struct setting {
    const char *key;
    enum setting_kind kind;
    size_t offset;    /* in struct config, or in struct config_listener */
    int64_t min, max; /* of numbers; MS and SECONDS in milliseconds */
    unsigned planes;  /* a bit for each plane that has it; 0: not of a plane */
};

struct section {
    const char *name;
    const struct setting *setting;
    size_t num;
    int plane; /* -1: not a plane's */
};

enum { NUM_SECTIONS = 10 + NUM_PLANES, MAX_SETTINGS = 24 };
extern const struct section config_sections[NUM_SECTIONS];

/* NULL: there is none. */
const struct section *section_find(const char *name);
const struct setting *setting_find(const struct section *section, const char *key);

/* The defaults; they lack what only the administrator can say. */
void settings_default(struct config *config);

/* Reads one value into the config; strings go to its arena. Lists grow, up to their limit. Relative
 * file names are put behind `folder`, which is "" or ends with a slash. MALFORMED, MEMORY. */
MUST_USE enum status setting_assign(struct config *config, const struct section *section,
                                    const struct setting *setting, const char *text,
                                    const char *folder, struct detail *detail);
/* Empties a list; nothing for other kinds. */
bool setting_is_list(const struct setting *setting);
void setting_clear(struct config *config, const struct section *section,
                   const struct setting *setting);

#endif

/* What a rule family is: a member of the baseline document, read once into rules (compile), then held
 * against facts as often as wanted (judge). One family is one file, rule_NAME.c, which ends with its
 * struct rule_family; rule.c lists them in the order in which findings stand. Private to
 * server/appraisal. Compiling may allocate in the baseline's arena; judging writes nothing but
 * findings.
 *
 * A rule reads only what is quoted, replayed or bound. What a family demands and the facts lack is a
 * denial, never a pass: a log that is missing, an event whose data are not bound, a PCR that is not
 * quoted. A family that demands nothing is refused when it is compiled. */
#ifndef GATEHOUSE_APPRAISAL_RULE_H
#define GATEHOUSE_APPRAISAL_RULE_H

#include "server/appraisal/baseline.h"

/* --- compiling: rule_read.h has the readers --- */

struct compiling {
    struct baseline *baseline; /* arena, bank and model are set */
    const char *code;          /* "invalid_baseline", or "unknown_field" */
    struct detail *detail;     /* begins with the member's path: "secure_boot.db[2]: ..." */
};
struct place; /* a value of the document, and where it stands */

/* --- judging: rule_text.h has the words --- */

struct judging {
    const struct baseline *baseline;
    const struct facts *facts;
    const struct appraisal_inputs *inputs;
    const struct fact_bank *bank; /* the baseline's; NULL: not quoted */
    size_t bank_index;            /* for what is parallel to the facts' banks */
    const char *rule;             /* the family that is judging */
    struct arena *arena;          /* NULL: findings are only counted */
    struct finding *finding;      /* APPRAISAL_MAX_FINDINGS of them; NULL: only counted */
    size_t num_findings;          /* of those that there was room for */
    size_t num_denials;           /* of all */
};

struct rule_family {
    const char *name; /* the member of the document, and `rule` of its findings */
    /* MALFORMED, LIMIT, MEMORY. *out becomes the rules, in the baseline's arena; never NULL. */
    enum status (*compile)(struct compiling *c, const struct place *at, const void **out);
    void (*judge)(struct judging *j, const void *rules);
    /* The PCRs of the baseline's bank that have to be quoted for it. NULL: none. */
    uint32_t (*reads)(const void *rules);
    /* The PCRs all of whose contents the family accounts for, so that they are not unlisted. It
     * depends on rules alone. NULL: none. */
    uint32_t (*covers)(const void *rules);
    /* Whether the rules demand that Secure Boot is on, and list the keys that may admit images, or
     * those that may have admitted what booted.
     * NULL: never. */
    bool (*states_boot_keys)(const void *rules);
};
extern const struct rule_family rule_pcrs, rule_secure_boot, rule_firmware, rule_boot_chain,
    rule_kernel_command_line, rule_initrd, rule_sbat, rule_events, rule_ima, rule_tpm;
/* In the order of findings. unlisted_pcrs is no family of its own: it is judged last, by what the
 * others cover. */
extern const struct rule_family *const rule_families[];
extern const size_t num_rule_families;

/* --- what judges use --- */

/* One more finding. NULL when findings are only counted, or there is no more room: then it counts,
 * and its texts are not wanted. Else pcr and event are -1, and rule is set; code and severity are as
 * given; expected, found and remediation are the caller's to fill in, from j->arena. */
struct finding *judging_add(struct judging *j, const char *code, enum severity severity);
/* Of a PCR that is quoted in the baseline's bank. */
struct bytes judging_pcr(const struct judging *j, unsigned pcr);
/* True when the quote vouches for the PCR in the baseline's bank; else a denial, "pcr_not_quoted". */
bool judging_quoted(struct judging *j, unsigned pcr);
/* True when facts tell everything that the PCR holds: it is quoted, and the log replays to it, or
 * nothing was measured into it. Else a denial: "pcr_not_quoted", or "log_missing". */
bool judging_logged(struct judging *j, unsigned pcr);
/* True when PCR 7 is logged, and nothing in it says that the settings are not to be believed. Else a
 * denial: as above, or "secure_boot_distrusted". */
bool judging_settings(struct judging *j);

/* A denial, "data_not_bound": the log's data of an event are not what was measured, so that nothing
 * says that it was not `what` ("a command line"). */
void judging_unbound(struct judging *j, uint32_t event, const char *what);

/* Every family that the baseline has, in order, then unlisted_pcrs. *uncovered as in struct appraisal. */
void judge_rules(struct judging *j, uint32_t *uncovered);

#endif

/* What a rule family is: a member of the baseline document, read once into rules (compile), then held
 * against facts as often as wanted (judge). One family is one file, rule_NAME.c, which ends with its
 * struct rule_family; rule.c lists them in the order in which findings stand. Private to
 * server/appraisal. Compiling may allocate in the baseline's arena; judging writes nothing but
 * findings.
 *
 * A rule reads only what is quoted, replayed or bound. What a family demands and the facts lack is a
 * denial, never a pass: a log that is missing, an event whose data are not bound, a PCR that is not
 * quoted. */
#ifndef GATEHOUSE_APPRAISAL_RULE_H
#define GATEHOUSE_APPRAISAL_RULE_H

#include "server/appraisal/baseline.h"

#include <jansson.h>

/* --- compiling --- */

struct compiling {
    struct baseline *baseline; /* arena, bank and model are set */
    const char *code;          /* "invalid_baseline", or "unknown_field" */
    struct detail *detail;     /* begins with the member's path: "secure_boot.db[2]: ..." */
};

/* --- judging --- */

struct judging {
    const struct baseline *baseline;
    const struct facts *facts;
    const struct appraisal_inputs *inputs;
    const struct fact_bank *bank; /* the baseline's; NULL: not quoted */
    size_t bank_index;            /* for what is parallel to the facts' banks */
    const char *rule;             /* the family that is judging */
    struct arena *arena;          /* NULL: findings are only counted */
    struct finding *finding;      /* APPRAISAL_MAX_FINDINGS of them; NULL: only counted */
    size_t num_findings, num_denials;
};
/* One more finding. NULL when findings are only counted, or there is no more room: then it counts,
 * and its texts are not wanted. Else pcr and event are -1, and rule is set; code and severity are as
 * given; expected, found and remediation are the caller's to fill in, from j->arena. */
struct finding *judging_add(struct judging *j, const char *code, enum severity severity);

struct rule_family {
    const char *name; /* the member of the document, and `rule` of its findings */
    /* MALFORMED, LIMIT, MEMORY. *out becomes the rules, in the baseline's arena. */
    enum status (*compile)(struct compiling *c, const json_t *value, const void **out);
    void (*judge)(struct judging *j, const void *rules);
    /* The PCRs of the baseline's bank that have to be quoted for it. NULL: none. */
    uint32_t (*reads)(const void *rules);
    /* The PCRs all of whose contents the family accounts for, so that they are not unlisted. NULL:
     * none. Called after judge found nothing to deny, or not: it depends on rules alone. */
    uint32_t (*covers)(const void *rules);
};
extern const struct rule_family rule_pcrs, rule_secure_boot, rule_firmware, rule_boot_chain,
    rule_kernel_command_line, rule_initrd, rule_sbat, rule_events, rule_ima, rule_tpm;
/* In the order of findings. unlisted_pcrs is no family of its own: it is judged last, by what the
 * others cover. */
enum { NUM_RULE_FAMILIES = 10 };
extern const struct rule_family *const rule_families[NUM_RULE_FAMILIES];

#endif

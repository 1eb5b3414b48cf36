/* Appraisal: facts x baseline -> verdict and findings. Pure; one evidence and one baseline give the
 * same findings in the same order, always. Compiled baselines are immutable and shared by threads.
 * Terms: RFC 9334. */
#ifndef GATEHOUSE_APPRAISAL_H
#define GATEHOUSE_APPRAISAL_H

#include "server/appraisal/leaked_keys.h"
#include "server/evidence/facts.h"

enum verdict { VERDICT_UNKNOWN = 0, VERDICT_TRUSTED, VERDICT_UNTRUSTED, VERDICT_EXPIRED };
enum tier { TIER_NONE = 0, TIER_IDENTIFIED, TIER_VERIFIED_BOOT, TIER_MEASURED };
const char *verdict_name(enum verdict verdict); /* "trusted" */
const char *tier_name(enum tier tier);          /* "measured" */

enum severity {
    SEVERITY_INFO,
    SEVERITY_EXCEPTED, /* would deny, but an exception of the device lets it pass */
    SEVERITY_DENY
};
const char *severity_name(enum severity severity); /* "info", "excepted", "deny" */

struct finding {
    const char *code;     /* stable: "pcr_mismatch", "pcr_not_quoted", "pcr_unlisted", ... */
    const char *rule;     /* the family: "pcrs", "unlisted_pcrs"; "baseline" when there is none */
    int pcr, event;       /* -1: none */
    const char *expected; /* "one of: <hex>, <hex>"; NULL: nothing in particular */
    const char *found;
    enum severity severity;
    const char *remediation; /* a sentence that an administrator can act on */
    const char *exception;   /* id of the one that excepts it; NULL: none */
};

/* A JSON array of findings, with everything that an administrator wants to know. Empty: the arena is
 * full. */
struct bytes findings_json(struct arena *arena, const struct finding *finding, size_t num);

/* Every code that a finding may have, by alphabet; NULL ends it. api/openapi.yaml lists the same. */
extern const char *const finding_codes[];

/* One finding that one device may have until it ends; the same code, rule, PCR and found value, so
 * that nothing else slips through. */
struct appraisal_exception {
    const char *id;
    const char *code, *rule;
    int pcr;           /* -1: the finding has none */
    const char *found; /* NULL: the finding has none */
};

/* What the baseline that is met accounts for, and the quote vouches for (tier.h). */
enum {
    ACCOUNTS_BOOT = 1,        /* all of PCR 0 and PCR 4 */
    ACCOUNTS_SECURE_BOOT = 2, /* Secure Boot is on, with keys that are stated */
    ACCOUNTS_IMA = 4          /* the files that IMA measured are judged */
};

enum { APPRAISAL_MAX_FINDINGS = 256 };
struct appraisal {
    enum verdict verdict;
    enum tier tier;
    unsigned accounts;       /* bits, as above; when trusted */
    struct finding *finding; /* denying ones first, then excepted ones; each by family in the order
                                of rule.h, then as the family gives them; arena */
    size_t num_findings;
    uint32_t
        uncovered;   /* bit i: PCR i is quoted, more than a separator was measured into it, and no
                           rule covers it */
    size_t baseline; /* which of the baselines the verdict is from: the one satisfied, or else the
                        nearest */
};

struct baseline;
enum { BASELINE_MAX_BYTES = 4 * 1024 * 1024, BASELINE_MAX_PER_MODEL = 64 };

/* Reads a baseline document (api.md, "Baseline document"), every field checked; unknown fields are
 * refused. The detail starts with the field's path; *code, when not NULL, becomes a stable code:
 * "unknown_field", "invalid_baseline". MALFORMED, LIMIT, MEMORY. */
MUST_USE enum status baseline_compile(struct baseline **out, struct bytes json, const char **code,
                                      struct detail *detail);
void baseline_free(struct baseline *baseline); /* NULL is allowed */
const char *baseline_model(const struct baseline *baseline);
const char *baseline_label(const struct baseline *baseline);
/* Whether it says which files IMA may have measured. */
bool baseline_demands_ima(const struct baseline *baseline);
/* The PCRs that its rules have to see quoted, in its bank; no bank when they need none. */
void baseline_selection(const struct baseline *baseline, struct pcr_selection *out);

/* What a baseline's rules say of IMA's entries, one after another. Entries that were confirmed, and
 * judged, with earlier evidence of the same boot need not be there again. */
enum { IMA_SHOWN_MAX = 16 };
struct ima_judgement {
    bool judged; /* else the rest means nothing */
    uint32_t
        num_denied; /* entries that the rules do not allow, whether they deny for it or report */
    uint32_t num_shown; /* the first of them, IMA_SHOWN_MAX at most, which get a finding each */
    const struct fact_ima_entry *shown[IMA_SHOWN_MAX];
};
bool baseline_judges_ima(const struct baseline *baseline); /* it has the family `ima` */

struct appraisal_inputs {
    const struct baseline *const *baseline; /* those in force for the device */
    size_t num_baselines;
    const struct leaked_keys *leaked_keys;       /* beside those compiled in; NULL: none */
    const struct appraisal_exception *exception; /* of the device, in force now */
    size_t num_exceptions;
    /* Both parallel to `baseline`, or NULL. Of the entries before facts->ima.first; without it there
     * must be none such, or the rules deny ("ima_entries_unjudged"). And what becomes of all of them,
     * for each baseline that was tried. */
    const struct ima_judgement *ima_earlier;
    struct ima_judgement *ima_judged;
};
/* Any satisfied baseline is enough; of several it is that of the highest tier (tier.h), then the one
 * with the fewest exceptions, then the first. With none the findings are those of the nearest (fewest
 * denials, first wins). A denial that an exception covers counts as none. No baseline: untrusted,
 * "no_active_baseline". MEMORY when the arena is full: then no verdict. */
MUST_USE enum status appraise(struct appraisal *out, struct arena *arena, const struct facts *facts,
                              const struct appraisal_inputs *inputs);

#endif

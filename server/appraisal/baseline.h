/* A compiled baseline, as baseline.c makes it and appraise.c reads it. Private to server/appraisal.
 */
#ifndef GATEHOUSE_APPRAISAL_BASELINE_H
#define GATEHOUSE_APPRAISAL_BASELINE_H

#include "server/appraisal/appraisal.h"

struct baseline_values {
    struct bytes *value; /* each of the bank's digest size */
    size_t num;          /* 0: no rule names this PCR */
};
struct baseline {
    struct arena arena;        /* all that the rest points to */
    const char *model, *label; /* label: "" when the document has none */
    enum hash_alg bank;
    struct baseline_values pcr[PCR_COUNT];
    bool deny_unlisted;
};

#endif

/* A compiled baseline, as baseline.c makes it and appraise.c reads it. Private to server/appraisal.
 */
#ifndef GATEHOUSE_APPRAISAL_BASELINE_H
#define GATEHOUSE_APPRAISAL_BASELINE_H

#include "server/appraisal/appraisal.h"

struct baseline {
    struct arena arena;        /* all that the rest points to */
    const char *model, *label; /* label: "" when the document has none */
    enum hash_alg bank;
    const void **rules; /* parallel to rule_families; NULL: the document does not have the family */
    bool deny_unlisted;
    /* What a PCR holds into which a separator alone was measured: of 0x00000000, of 0xFFFFFFFF. */
    uint8_t separated[2][DIGEST_MAX];
};

#endif

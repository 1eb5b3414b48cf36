/* The finding of an appraisal that an exception is asked for. */
#ifndef GATEHOUSE_API_ADMIN_EXCEPTION_FINDING_H
#define GATEHOUSE_API_ADMIN_EXCEPTION_FINDING_H

#include "db/store.h"

/* Copies code, rule, PCR and what was found of the finding with this index; `found` lives in the
 * arena. INVALID, with the reason: there is no such finding, it denies nothing, or nobody may except
 * it: evidence that did not verify, a model without a baseline, a tier that is too low. STORAGE: the
 * row is damaged. MEMORY. */
MUST_USE enum status exception_take_finding(struct exception_row *out, struct arena *arena,
                                            const struct appraisal_row *appraisal, size_t index,
                                            struct detail *detail);

#endif

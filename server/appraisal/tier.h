/* How much a baseline that is met says of a device. Honest about what was stated: a tier is for what
 * rules account for and the quote vouches for, not for what the log happens to hold. Pure. Private to
 * server/appraisal. */
#ifndef GATEHOUSE_APPRAISAL_TIER_H
#define GATEHOUSE_APPRAISAL_TIER_H

#include "server/appraisal/rule.h"

/* Of facts that a baseline lets pass:
 *   measured       PCR 0 (the firmware) and PCR 4 (the boot programs) were extended, are quoted, and
 *                  families account for all that they hold
 *   verified_boot  Secure Boot is proven to be on, and the keys that admit images are stated: a family
 *                  demands them, or accounts for all of PCR 7
 *   identified     neither
 * Each leaves out what an excepted finding without a value found waived (an exception pins what it
 * found, and there it found nothing). `finding` are those of this baseline, NULL when none is
 * excepted. */
/* What of that holds, as bits of struct appraisal's accounts, but for IMA. */
unsigned accounts_of(const struct baseline *baseline, const struct facts *facts,
                     const struct finding *finding, size_t num_findings);

enum tier tier_of(const struct baseline *baseline, const struct facts *facts,
                  const struct finding *finding, size_t num_findings);

#endif

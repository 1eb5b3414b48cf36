/* What an appraisal says in the words that verifiers share: AR4SI's trustworthiness vector
 * (draft-ietf-rats-ar4si, section 2.3). Pure.
 *
 * A claim is made only of what was vouched for, by the rules of the baseline that was met:
 *   instance-identity  2: the evidence is signed by the device's own attestation key
 *   hardware           2: that, and the certificate of the TPM's endorsement key verifies. 32: known to
 *                      be weak, and excepted. 96, 97: the firmware, or the TPM's, is refused
 *   executables        3: all of PCR 0 and PCR 4 is accounted for. 2: likewise, and all that IMA measured is
 *                      allowed. 32, 33: weak, or not recognised, and excepted. 96: refused
 *   configuration      2: Secure Boot is proven to be on, and the keys that admit images are stated. 32:
 *                      refused, and excepted. 36: not shown. 96: refused
 * Nothing is ever claimed of the others. An appraisal that does not end with trust affirms nothing. */
#ifndef GATEHOUSE_APPRAISAL_TRUSTWORTHINESS_H
#define GATEHOUSE_APPRAISAL_TRUSTWORTHINESS_H

#include "server/appraisal/appraisal.h"

enum ar4si_claim {
    AR4SI_INSTANCE_IDENTITY,
    AR4SI_CONFIGURATION,
    AR4SI_EXECUTABLES,
    AR4SI_FILE_SYSTEM,
    AR4SI_HARDWARE,
    AR4SI_RUNTIME_OPAQUE,
    AR4SI_STORAGE_OPAQUE,
    AR4SI_SOURCED_DATA,
    NUM_AR4SI_CLAIMS
};
const char *ar4si_claim_name(enum ar4si_claim claim); /* "instance-identity" */

enum ar4si_tier { AR4SI_NONE, AR4SI_AFFIRMING, AR4SI_WARNING, AR4SI_CONTRAINDICATED };
const char *ar4si_tier_name(enum ar4si_tier tier); /* "affirming" */
enum ar4si_tier ar4si_tier_of(int8_t value);

struct trustworthiness {
    int8_t claim[NUM_AR4SI_CLAIMS]; /* 0: no claim */
};

/* The vector in 16 bits, as it is kept; 0: no claims. What is known of the device, and not from rules:
 * bits of AR4SI_DEVICE. */
enum {
    AR4SI_QUOTED = 1 << 14,
    AR4SI_EK_VERIFIED = 1 << 15,
    AR4SI_DEVICE = AR4SI_QUOTED | AR4SI_EK_VERIFIED
};
/* What the rules found; no bits of AR4SI_DEVICE. */
uint16_t trustworthiness_of(const struct appraisal *appraisal);
void trustworthiness_unpack(struct trustworthiness *out, uint16_t packed);

#endif

/* TPM2_Certify of a key by the device's AK: proof that the private half lives in that TPM and cannot
 * leave it (TPM 2.0 Library Part 3, 18.2; TPMS_ATTEST of type certify, Part 2, 10.12.12). A TPM
 * certifies no object of which it has the public area only, so what an AK certifies has its private
 * half in there, under the attributes that its name covers. Pure, thread-safe. */
#ifndef GATEHOUSE_IDENTITY_KEY_CERTIFICATION_H
#define GATEHOUSE_IDENTITY_KEY_CERTIFICATION_H

#include "server/tpm/attest.h"

enum { KEY_CERTIFICATION_PART_MAX = 1024 }; /* bytes of each part: all are far smaller */

struct key_certification {     /* as it was sent; borrowed. All empty: none was sent */
    struct bytes certify_info; /* TPMS_ATTEST */
    struct bytes signature;    /* TPMT_SIGNATURE */
    struct bytes key_public;   /* TPM2B_PUBLIC of the certified key */
};

/* Whether one was sent at all. */
bool key_certification_given(const struct key_certification *certification);

/* OK when all of this holds, checked in this order: framing; TPM_GENERATED_VALUE; type
 * TPM_ST_ATTEST_CERTIFY; the AK's signature (its stated scheme, SHA-256 or better); extraData equals
 * `nonce` (an empty nonce meets nothing); the certified name is that of key_public, by a nameAlg of
 * SHA-256 or better; key_public is fixedTPM, fixedParent, sensitiveDataOrigin, sign, neither decrypt
 * nor restricted; its key is `key` (the CSR's). Otherwise MALFORMED, UNSUPPORTED or INVALID, and the
 * detail says what does not hold. `ak` has passed ak_check, or is a bare key that states neither
 * scheme nor hash (`gatehouse appraise` with a PEM): then any that fits it is taken. */
MUST_USE enum status key_certification_check(const struct key_certification *certification,
                                             const struct tpm_public *ak, struct bytes nonce,
                                             const struct public_key *key, struct detail *detail);

#endif

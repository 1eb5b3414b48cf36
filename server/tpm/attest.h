/* TPMS_ATTEST (Part 2, 10.12.12) of the types quote and certify, and TPMT_SIGNATURE (11.3.4), through
 * tss2-mu; and whether an AK signed one. What else must hold is checked by server/evidence/tpm2 and
 * server/identity/key_certification. Views borrow from the input. Pure, thread-safe. */
#ifndef GATEHOUSE_TPM_ATTEST_H
#define GATEHOUSE_TPM_ATTEST_H

#include "server/tpm/pcr.h"
#include "server/tpm/public.h"

/* Part 2, 6.2 and 6.9. */
enum { TPM_ATTEST_CERTIFY = 0x8017, TPM_ATTEST_QUOTE = 0x8018 };
#define TPM_ATTEST_MAGIC UINT32_C(0xff544347) /* TPM_GENERATED_VALUE */

struct tpm_quote_info {
    struct pcr_selection selection;
    uint8_t pcr_digest[DIGEST_MAX];
    size_t pcr_digest_len;
};
struct tpm_certify_info { /* of the certified object */
    uint8_t name[TPM_NAME_MAX], qualified_name[TPM_NAME_MAX];
    size_t name_len, qualified_name_len;
};
struct tpm_attest {
    uint32_t magic; /* not checked when it is read */
    uint16_t type;  /* a TPM_ATTEST_, or one of which nothing but the common part is read */
    uint8_t qualified_signer[TPM_NAME_MAX];
    size_t qualified_signer_len;
    uint8_t extra_data[64];
    size_t extra_data_len;
    uint64_t clock; /* ms */
    uint32_t reset_count, restart_count;
    bool safe;
    uint64_t firmware_version;
    struct tpm_quote_info quote;     /* zeros in any other type */
    struct tpm_certify_info certify; /* the same */
};

/* Whole input; marshals back to the same bytes. MALFORMED, UNSUPPORTED (a bank or select size that
 * we do not take). A bank that stands twice is MALFORMED; a bank with an empty mask is left out. */
MUST_USE enum status tpm_attest_parse(struct tpm_attest *out, struct bytes attest,
                                      struct detail *detail);

struct tpm_signature {
    struct signature signature; /* its views point into `store` */
    uint8_t store[KEY_SIGNATURE_MAX + 2 * KEY_EC_MAX];
};
/* Whole input: ECDSA, RSASSA, RSAPSS. MALFORMED, UNSUPPORTED. */
MUST_USE enum status tpm_signature_parse(struct tpm_signature *out, struct bytes signature,
                                         struct detail *detail);

struct tpm_signer { /* an AK */
    const struct public_key *key;
    enum signature_scheme scheme; /* the scheme it states; NONE: any that fits its kind */
    enum hash_alg hash;           /* the hash its scheme states; NONE: any of SHA-256/384/512 */
};
/* OK when the signer made it over `attest`, whole. UNSUPPORTED: not by the signer's own scheme, or by
 * a hash weaker than SHA-256. INVALID: it does not hold. The detail does not say what was signed. */
MUST_USE enum status tpm_signature_check(const struct tpm_signature *signature,
                                         const struct tpm_signer *signer, struct bytes attest,
                                         struct detail *detail);

#endif

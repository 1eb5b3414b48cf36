/* TPMS_ATTEST (Part 2, 10.12.12) of type quote, and TPMT_SIGNATURE (11.3.4), through tss2-mu.
 * Framing only: what must hold is checked by server/evidence/tpm2. Views borrow from the input.
 * Pure, thread-safe. */
#ifndef GATEHOUSE_TPM_ATTEST_H
#define GATEHOUSE_TPM_ATTEST_H

#include "server/tpm/pcr.h"
#include "server/tpm/public.h"

struct tpm_attest {
    uint32_t magic; /* TPM_GENERATED_VALUE is 0xff544347; not checked here */
    uint16_t type;  /* TPM_ST_ATTEST_QUOTE is 0x8018; not checked here; fields below
                       `firmware_version` only for it */
    uint8_t qualified_signer[TPM_NAME_MAX];
    size_t qualified_signer_len;
    uint8_t extra_data[64];
    size_t extra_data_len;
    uint64_t clock; /* ms */
    uint32_t reset_count, restart_count;
    bool safe;
    uint64_t firmware_version;
    struct pcr_selection selection;
    uint8_t pcr_digest[DIGEST_MAX];
    size_t pcr_digest_len;
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

#endif

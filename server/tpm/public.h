/* TPM2B_PUBLIC (TPM 2.0 Library Part 2, 12.2.5): reading, names, what kind of key it is. Home of
 * tss2-mu with attest.h. Pure, thread-safe, allocates nothing. */
#ifndef GATEHOUSE_TPM_PUBLIC_H
#define GATEHOUSE_TPM_PUBLIC_H

#include "server/crypto/key.h"

enum { TPM_NAME_MAX = 2 + DIGEST_MAX, TPM_PUBLIC_MAX = 1024 };

enum tpm_attribute { /* TPMA_OBJECT, Part 2, 8.3 */
                     TPM_FIXED_TPM = 1u << 1,
                     TPM_ST_CLEAR = 1u << 2,
                     TPM_FIXED_PARENT = 1u << 4,
                     TPM_SENSITIVE_DATA_ORIGIN = 1u << 5,
                     TPM_USER_WITH_AUTH = 1u << 6,
                     TPM_ADMIN_WITH_POLICY = 1u << 7,
                     TPM_NO_DA = 1u << 10,
                     TPM_ENCRYPTED_DUPLICATION = 1u << 11,
                     TPM_RESTRICTED = 1u << 16,
                     TPM_DECRYPT = 1u << 17,
                     TPM_SIGN = 1u << 18
};

struct tpm_public {
    struct public_key key;
    enum hash_alg name_alg;
    uint32_t attributes;          /* TPMA_OBJECT */
    enum signature_scheme scheme; /* NONE when the key states none (TPM_ALG_NULL) */
    enum hash_alg scheme_hash;
    uint16_t symmetric_bits;    /* AES-CFB key bits of a storage key; 0 for none; other ciphers are
                                   UNSUPPORTED */
    uint8_t name[TPM_NAME_MAX]; /* nameAlg || H(publicArea) */
    size_t name_len;
};

/* The whole input is one TPM2B_PUBLIC; its size field matches; nothing trails; it marshals back to
 * the same bytes. RSA and ECC keys only. Keys pass public_key_check. MALFORMED, UNSUPPORTED,
 * INVALID. */
MUST_USE enum status tpm_public_parse(struct tpm_public *out, struct bytes tpm2b,
                                      struct detail *detail);

#endif

/* A TPM in software, for tests and benches: an EK (P-256) with a certificate, an AK, PCRs of the
 * SHA-256 bank, quotes over them, and a boot log that they agree with. Without a TPM's security:
 * its keys lie in memory. Failures end the program: they are the test's own fault. Writers that are
 * too small show it by their overflow mark. */
#ifndef GATEHOUSE_TESTS_SOFT_TPM_H
#define GATEHOUSE_TESTS_SOFT_TPM_H

#include "server/crypto/key.h"

enum { SOFT_PCRS = 24, SOFT_SECRET_MAX = 64 };

struct soft_ek;
struct soft_tpm {
    struct private_key *ak;
    struct public_key ak_public, ek_public;
    struct soft_ek *ek;
    uint8_t pcr[SOFT_PCRS][32];
    uint64_t clock; /* ms; each quote adds one */
    uint32_t reset_count, restart_count;
    uint64_t firmware_version;
    uint32_t ak_attributes, ek_attributes; /* TPMA_OBJECT; as they should be, until changed */
};

/* AK: KEY_EC_P256, KEY_EC_P384 or KEY_RSA (RSASSA). Every PCR is in its reset state. */
void soft_tpm_init(struct soft_tpm *tpm, enum key_kind ak);
/* Its EK becomes this RSA-2048 key (DER, RSAPrivateKey), of which others have the certificate. */
void soft_tpm_take_rsa_ek(struct soft_tpm *tpm, struct bytes der);
void soft_tpm_cleanup(struct soft_tpm *tpm);

/* TPM2B_PUBLIC of each key, and the AK's name (nameAlg || digest, 34 bytes). */
void soft_tpm_ak(const struct soft_tpm *tpm, struct writer *out);
void soft_tpm_ek(const struct soft_tpm *tpm, struct writer *out);
void soft_tpm_ak_name(const struct soft_tpm *tpm, uint8_t out[static 34]);

/* TPM2_ActivateCredential: what it answers, or false when the TPM would refuse. Takes a
 * TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET. */
bool soft_tpm_activate(const struct soft_tpm *tpm, uint8_t secret[static SOFT_SECRET_MAX],
                       size_t *secret_len, struct bytes credential_blob,
                       struct bytes encrypted_secret);

/* A reset: PCRs as at power on, reset_count grows. */
void soft_tpm_reset(struct soft_tpm *tpm);
void soft_tpm_extend(struct soft_tpm *tpm, unsigned pcr, const uint8_t digest[static 32]);
/* TPMS_ATTEST and TPMT_SIGNATURE over the SHA-256 PCRs of `mask` (bit i: PCR i). */
void soft_tpm_quote(struct soft_tpm *tpm, struct writer *attest, struct writer *signature,
                    struct bytes nonce, uint32_t mask);

/* A key beside the AK: unrestricted, ECC (P-256, P-384) or RSA, without a scheme of its own. Writes its
 * TPM2B_PUBLIC. SOFT_KEY is what TPMA_OBJECT says of a TLS key that cannot leave the TPM. */
enum { SOFT_KEY = 0x00040072 };
void soft_tpm_key(struct writer *out, const struct public_key *key, uint32_t attributes,
                  enum hash_alg name_alg);
/* TPM2_Certify by the AK of what has this TPM2B_PUBLIC: TPMS_ATTEST and TPMT_SIGNATURE. */
void soft_tpm_certify(struct soft_tpm *tpm, struct writer *attest, struct writer *signature,
                      struct bytes nonce, struct bytes key_public);
/* TPMT_SIGNATURE of the AK over any bytes, which a TPM would not give. */
void soft_tpm_sign(const struct soft_tpm *tpm, struct writer *out, struct bytes message);

/* The head of a crypto-agile event log that has the SHA-1, SHA-256 and SHA-384 banks, and one
 * event: the digests are those of `measured`, and PCR and log agree. */
void soft_log_start(struct writer *log);
void soft_tpm_event(struct soft_tpm *tpm, struct writer *log, unsigned pcr, uint32_t type,
                    struct bytes data, struct bytes measured);
/* A whole boot of PCRs 0-9 and 14: firmware, Secure Boot variables, shim, GRUB, kernel. The dbx is
 * as large as it takes to make the log about `size` bytes; 0: as short as it gets. */
void soft_tpm_boot(struct soft_tpm *tpm, struct writer *log, size_t size);

/* --- certificates ------------------------------------------------------------------------------
 */

/* A self-signed P-256 CA of TPMs; an EK certificate by it; a PKCS#10 request for `key`. All DER. */
void soft_ca(struct private_key **key, struct writer *certificate, int64_t now);
void soft_tpm_ek_certificate(const struct soft_tpm *tpm, struct writer *out,
                             const struct private_key *ca, int64_t now);
void soft_csr(struct writer *out, const struct private_key *key);

#endif

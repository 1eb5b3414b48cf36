/* What a TPM shows when it enrols: EK with certificate, AK, and the activation that ties them
 * together (TPM 2.0 Library Part 1, 24; TCG EK Credential Profile). Pure but for randomness;
 * thread-safe. */
#ifndef GATEHOUSE_IDENTITY_ENROLMENT_H
#define GATEHOUSE_IDENTITY_ENROLMENT_H

#include "server/crypto/x509.h"
#include "server/identity/device_id.h"
#include "server/tpm/public.h"

/* An EK: a restricted decryption key with fixedTPM, fixedParent, sensitiveDataOrigin, not sign;
 * RSA-2048/3072/4096 or ECC P-256/P-384 with AES-CFB. DENIED names the attribute. */
MUST_USE enum status ek_check(const struct tpm_public *ek, struct detail *detail);

/* The certificate in what a TPM's NV area holds: DER as it is; behind a TCG_PCCLIENT_STORED_CERT
 * header; in an OCTET STRING; or both, in this order. Trailing bytes that are all 0x00 or all 0xFF
 * are cut at each step. INVALID with the reason. */
MUST_USE enum status ek_certificate_unwrap(struct bytes *out, struct bytes area,
                                           struct detail *detail);

/* The certificate (what the NV area holds, as above) chains to `bundle` at `now`, and its key is
 * the EK's. INVALID with the reason. *out_der, when not NULL, is the certificate without what was
 * around it (borrowed). */
MUST_USE enum status ek_certificate_check(struct bytes *out_der, struct bytes certificate,
                                          const struct tpm_public *ek,
                                          const struct trust_bundle *bundle, int64_t now,
                                          struct detail *detail);

/* An AK: fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign, not decrypt; ECDSA
 * P-256/P-384, RSASSA or RSAPSS of 2048 bits or more, with SHA-256 or SHA-384 (or 512), stated in
 * the key. DENIED names what is missing. */
MUST_USE enum status ak_check(const struct tpm_public *ak, struct detail *detail);

enum { ACTIVATION_SECRET_LEN = 32, ACTIVATION_BLOB_MAX = 256, ACTIVATION_SECRET_MAX = 600 };

/* TPM2_MakeCredential for `ak_name`, as the device's TPM2_ActivateCredential expects it. Writes a
 * TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET, each with its size field. */
MUST_USE enum status activation_make(struct writer *credential_blob,
                                     struct writer *encrypted_secret, const struct tpm_public *ek,
                                     struct bytes ak_name,
                                     const uint8_t secret[static ACTIVATION_SECRET_LEN],
                                     struct detail *detail);

#endif

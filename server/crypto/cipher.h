/* The primitives of TPM2_MakeCredential (TPM 2.0 Library Part 1, 11.4.10 and annexes B.4, C.6). */
#ifndef GATEHOUSE_CRYPTO_CIPHER_H
#define GATEHOUSE_CRYPTO_CIPHER_H

#include "server/crypto/key.h"

/* KDFa (SP 800-108 counter mode, HMAC): `label` without its terminator (one zero byte is added).
 * bits is a multiple of 8, at most 1024. */
void kdfa(enum hash_alg alg, struct bytes key, const char *label, struct bytes context_u,
          struct bytes context_v, unsigned bits, uint8_t *out);
/* KDFe (SP 800-56A concatenation). */
void kdfe(enum hash_alg alg, struct bytes z, const char *label, struct bytes party_u,
          struct bytes party_v, unsigned bits, uint8_t *out);
/* AES-CFB128, zero IV; key 16, 24 or 32 bytes (UNSUPPORTED otherwise); out has in.len bytes. */
MUST_USE enum status aes_cfb_encrypt(struct bytes key, struct bytes in, uint8_t *out);
/* RSAES-OAEP, `label` with its terminator as the TPM does; out has key->n_len bytes. */
MUST_USE enum status rsa_oaep_encrypt(const struct public_key *key, enum hash_alg alg,
                                      const char *label, struct bytes in, uint8_t *out);
/* A fresh ephemeral key on peer's curve, and Z = x of the shared point (z has curve bytes). */
MUST_USE enum status ecdh_ephemeral(const struct public_key *peer, struct public_key *ephemeral,
                                    uint8_t *z);

#endif

/* Detached signatures over documents, under the keys of those who publish them. Plain structs, no
 * allocation, thread-safe. */
#ifndef GATEHOUSE_CRYPTO_DETACHED_H
#define GATEHOUSE_CRYPTO_DETACHED_H

#include "server/base/arena.h"
#include "server/crypto/key.h"

/* An algorithm belongs to a key, and to nothing that comes with a signature. */
enum detached_algorithm {
    DETACHED_NONE,
    DETACHED_ECDSA_P256_SHA256, /* FIPS 186-5; signature: ECDSA-Sig-Value (RFC 3279 2.2.3) */
    DETACHED_ECDSA_P384_SHA384,
    DETACHED_ED25519,        /* RFC 8032; 64 bytes */
    DETACHED_RSA_PSS_SHA256, /* RFC 8017; salt as long as the digest, or the longest that fits */
    DETACHED_RSA_PSS_SHA384,
    DETACHED_RSA_PSS_SHA512,
    DETACHED_HSS_LMS_SHA256 /* RFC 8554, NIST SP 800-208 (CNSA 2.0): SHA-256/M32, one to four
                               levels of one height (5, 10, 15, 20) and Winternitz width (2, 4, 8;
                               1 with one level of height 5) */
};
const char *detached_algorithm_name(enum detached_algorithm algorithm); /* "rsa-pss-sha256" */
enum detached_algorithm detached_algorithm_from_name(const char *name); /* DETACHED_NONE: none */

enum { HSS_PUBLIC_LEN = 60, DETACHED_SIGNATURE_MAX = 32768 };
struct detached_key {
    enum detached_algorithm algorithm;
    struct public_key key;       /* unless HSS */
    uint8_t hss[HSS_PUBLIC_LEN]; /* hss_public_key (RFC 8554, 6.1) */
};
/* DER SubjectPublicKeyInfo, whole input: as public_key_from_spki, and HSS (RFC 9708; the key's bytes
 * as they are or, as RFC 8708 had it, in an OCTET STRING). `algorithm` is one that fits the key, or
 * DETACHED_NONE: the key's only one, or RSA-PSS with SHA-256. MALFORMED, UNSUPPORTED, INVALID. */
MUST_USE enum status detached_key_from_spki(struct detached_key *out, struct bytes spki,
                                            enum detached_algorithm algorithm,
                                            struct detail *detail);
/* OK when it holds, INVALID when not; MALFORMED: it cannot be one of this algorithm. */
MUST_USE enum status detached_verify(const struct detached_key *key, struct bytes signature,
                                     struct bytes message, struct detail *detail);
/* PEM "PUBLIC KEY", one block, into the arena. MALFORMED, MEMORY. */
MUST_USE enum status detached_spki_from_pem(struct bytes *out, struct arena *arena,
                                            const char *pem);

#endif

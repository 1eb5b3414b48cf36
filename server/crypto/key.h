/* Public keys and signatures. Plain structs, no allocation, thread-safe. */
#ifndef GATEHOUSE_CRYPTO_KEY_H
#define GATEHOUSE_CRYPTO_KEY_H

#include "server/crypto/digest.h"

/* P-521 is there for the TPM vendors' authorities. */
enum key_kind { KEY_NONE, KEY_RSA, KEY_EC_P256, KEY_EC_P384, KEY_ED25519, KEY_EC_P521 };
enum { KEY_RSA_MAX = 512, KEY_EC_MAX = 66, KEY_SPKI_MAX = 600, KEY_SIGNATURE_MAX = 512 };

struct public_key {
    enum key_kind kind;
    uint16_t bits;          /* of the modulus or the curve */
    uint8_t n[KEY_RSA_MAX]; /* RSA modulus, big-endian, n_len bytes, first one not 0 */
    size_t n_len;
    uint32_t e; /* RSA */
    uint8_t x[KEY_EC_MAX],
        y[KEY_EC_MAX]; /* EC point, big-endian, 32, 48 or 66 bytes; Ed25519: x[32] */
};

enum signature_scheme {
    SIGNATURE_NONE,
    SIGNATURE_ECDSA,
    SIGNATURE_RSASSA,
    SIGNATURE_RSAPSS,
    SIGNATURE_ED25519
};

const char *key_kind_name(enum key_kind kind); /* "rsa", "ec-p256", ...; "none" */
size_t key_curve_len(enum key_kind kind);      /* bytes of a coordinate; 0 when not KEY_EC_ */

/* DER SubjectPublicKeyInfo (RFC 5280 4.1), whole input. RSA 2048..4096 bits with odd e >= 65537; a
 * point that is not on its curve is INVALID. MALFORMED, UNSUPPORTED. */
MUST_USE enum status public_key_from_spki(struct public_key *out, struct bytes spki,
                                          struct detail *detail);
/* The same for an EK, which may also be marked as rsaesOaep (RFC 4055 4.1): then with parameters
 * that are absent, NULL or RSAES-OAEP-params. They say how to encrypt to it, which the TPM's own
 * public area states too, and that counts; the key is the RSA key. */
MUST_USE enum status public_key_from_ek_spki(struct public_key *out, struct bytes spki,
                                             struct detail *detail);
/* PEM "PUBLIC KEY", whole text. */
MUST_USE enum status public_key_from_pem(struct public_key *out, struct bytes pem,
                                         struct detail *detail);
/* Writes canonical DER (rsaEncryption, named curves) of at most KEY_SPKI_MAX bytes. */
MUST_USE enum status public_key_to_spki(struct writer *out, const struct public_key *key);
MUST_USE enum status public_key_spki_sha256(uint8_t out[static 32], const struct public_key *key);
bool public_key_equal(const struct public_key *a, const struct public_key *b);
/* For keys that did not come through public_key_from_spki (a TPM2B_PUBLIC): sizes, exponent, point
 * on curve. */
MUST_USE enum status public_key_check(const struct public_key *key, struct detail *detail);

/* A signature as it stands in TPM structures: ECDSA as r and s big-endian; RSA as the modulus-sized
 * block. */
struct signature {
    enum signature_scheme scheme;
    enum hash_alg hash; /* ignored for Ed25519 */
    struct bytes r, s;  /* ECDSA: r, s; others: r is the whole signature, s empty */
};

/* OK when `sig` over `message` holds under `key`, INVALID when not; UNSUPPORTED for SHA-1, none, or
 * a scheme that does not fit the key. RSAPSS takes a salt as long as the digest, or the longest
 * that fits (TPMs make either). `key` must have passed public_key_check or public_key_from_spki. */
MUST_USE enum status signature_verify(const struct public_key *key, const struct signature *sig,
                                      struct bytes message, struct detail *detail);
/* ECDSA, RSASSA or Ed25519; NONE for no key. */
enum signature_scheme signature_scheme_of(enum key_kind kind);
/* The same for a signature in X.509's encoding (ECDSA-Sig-Value, or the block); the scheme is
 * ECDSA, RSASSA or Ed25519, by the kind of key. Also MALFORMED. */
MUST_USE enum status signature_verify_der(const struct public_key *key, enum hash_alg alg,
                                          struct bytes signature, struct bytes message,
                                          struct detail *detail);
/* The same over what was hashed already, as the kernel's signatures of files are: `digest` has
 * digest_len(alg) bytes. No Ed25519. */
MUST_USE enum status signature_verify_digest(const struct public_key *key, enum hash_alg alg,
                                             struct bytes signature, struct bytes digest,
                                             struct detail *detail);

/* A private key in memory; wiped by private_key_free. */
struct private_key;
/* PEM (PKCS#8 or SEC1/PKCS#1), unencrypted. */
MUST_USE enum status private_key_from_pem(struct private_key **out, struct bytes pem,
                                          struct detail *detail);
/* One that is held elsewhere: `sign` writes its signature, as X.509 wants it, over a digest of
 * private_key_hash; whatever does not hold under `public` is not taken. EC and RSA; `context` outlives
 * the key. UNSUPPORTED, MEMORY. */
typedef enum status private_key_signer(void *context, struct bytes digest, struct writer *out);
MUST_USE enum status private_key_external(struct private_key **out, const struct public_key *public,
                                          private_key_signer *sign, void *context);
MUST_USE enum status private_key_generate(struct private_key **out, enum key_kind kind);
/* PKCS#8 PEM into malloc'd, terminated text; the caller wipes and frees it. UNSUPPORTED: it is held
 * elsewhere. */
MUST_USE enum status private_key_to_pem(char **out, const struct private_key *key);
/* The hash that private_key_sign uses; HASH_NONE for Ed25519. */
enum hash_alg private_key_hash(const struct private_key *key);
void private_key_public(const struct private_key *key, struct public_key *out);
/* DER signature as X.509 wants it (ECDSA-Sig-Value, or the block); EC: SHA-256 for P-256, SHA-384
 * for P-384; RSA: RSASSA with SHA-256. One thread at a time a key: it holds a random generator.
 * Opens no file. */
MUST_USE enum status private_key_sign(const struct private_key *key, struct writer *out,
                                      struct bytes message);
/* The same over what was hashed already: `digest` is of private_key_hash. UNSUPPORTED: Ed25519. */
MUST_USE enum status private_key_sign_digest(const struct private_key *key, struct writer *out,
                                             struct bytes digest);
void private_key_free(struct private_key *key); /* NULL is allowed */

#endif

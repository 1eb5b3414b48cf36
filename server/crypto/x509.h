/* X.509 certificates (RFC 5280) and PKCS#10 requests (RFC 2986): reading, and verifying chains. */
#ifndef GATEHOUSE_CRYPTO_X509_H
#define GATEHOUSE_CRYPTO_X509_H

#include "server/base/arena.h"
#include "server/crypto/key.h"

enum { X509_NAME_TEXT = 256, X509_SERIAL_MAX = 20, X509_SAN_URI_MAX = 256, X509_CHAIN_MAX = 8 };

/* What we read of a certificate; `der` is borrowed. */
struct certificate {
    struct bytes der;
    uint8_t sha256[32]; /* of der */
    char subject[X509_NAME_TEXT],
        issuer[X509_NAME_TEXT];      /* one line, printable; "" for an empty name */
    struct bytes subject_name;       /* DER Name, borrowed from der */
    uint8_t serial[X509_SERIAL_MAX]; /* big-endian, without leading zeros */
    size_t serial_len;
    int64_t not_before, not_after; /* unix seconds */
    struct public_key key;         /* kind KEY_NONE when it is of a kind that we do not take */
    bool is_ca;
    char san_uri[X509_SAN_URI_MAX]; /* the first URI SAN; "" when none */
    uint8_t subject_key_id[32];
    size_t subject_key_id_len;
};

/* Parses exactly one certificate; bytes after its outer SEQUENCE are MALFORMED. */
MUST_USE enum status certificate_parse(struct certificate *out, struct bytes der,
                                       struct detail *detail);
/* The length of the DER element that `in` starts with (outer SEQUENCE), for inputs with trailing
 * padding. */
MUST_USE enum status der_element_len(size_t *out, struct bytes in);
/* Decodes each CERTIFICATE block of a PEM text into the arena, at most `cap`. */
MUST_USE enum status pem_certificates(struct arena *arena, struct bytes *out, size_t *num,
                                      size_t cap, struct bytes pem, struct detail *detail);
/* One certificate as PEM, into the arena; NULL on overflow. */
char *certificate_to_pem(struct arena *arena, struct bytes der);

/* Roots and intermediates that a plane or a vendor's EKs are verified against. Immutable after
 * loading; shared by threads. */
struct trust_bundle;
/* From PEM text; at least one certificate. Self-signed ones are anchors; others serve as
 * intermediates. */
MUST_USE enum status trust_bundle_new(struct trust_bundle **out, struct bytes pem,
                                      struct detail *detail);
void trust_bundle_free(struct trust_bundle *bundle);
size_t trust_bundle_count(const struct trust_bundle *bundle);

enum chain_purpose {
    CHAIN_ANY,   /* signatures, validity, basicConstraints and keyCertSign of issuers */
    CHAIN_TPM_EK /* the same, plus what TCG EK Credential Profile 2.x asks: the critical TPM SAN is
                    accepted knowingly, an EKU, when present, must hold tcg-kp-EKCertificate
                    (2.23.133.8.1); unknown critical extensions are refused */
};
/* OK when leaf chains to an anchor at `now`; INVALID with the reason when not. `extra` are
 * intermediates that came with the leaf (untrusted). */
MUST_USE enum status trust_bundle_verify(const struct trust_bundle *bundle, struct bytes leaf_der,
                                         const struct bytes *extra, size_t num_extra, int64_t now,
                                         enum chain_purpose purpose, struct detail *detail);

/* A PKCS#10 request whose proof of possession (its self-signature) was checked. */
struct csr {
    struct public_key key;
    uint8_t spki[KEY_SPKI_MAX]; /* canonical DER */
    size_t spki_len;
};
/* Whole input. Keys: P-256, P-384, Ed25519, RSA >= 2048. Signatures with SHA-256 or better.
 * MALFORMED, UNSUPPORTED, INVALID (signature). Subject and requested extensions are ignored:
 * profiles decide what is issued. */
MUST_USE enum status csr_parse(struct csr *out, struct bytes der, struct detail *detail);

#endif

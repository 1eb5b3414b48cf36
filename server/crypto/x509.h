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
    bool signs_lists;               /* its keyUsage, if there is one, has cRLSign */
    char san_uri[X509_SAN_URI_MAX]; /* the first URI SAN; "" when none */
    uint8_t subject_key_id[32];
    size_t subject_key_id_len;
};

/* Parses exactly one certificate; bytes after its outer SEQUENCE are MALFORMED, and so is what
 * leaves DER or RFC 5280 (unsorted SETs in names, negative serial numbers). */
MUST_USE enum status certificate_parse(struct certificate *out, struct bytes der,
                                       struct detail *detail);
/* The same as TPM vendors make them, for EK certificates and their authorities only: unsorted SETs,
 * any serial number of 20 bytes, keys marked as rsaesOaep. */
MUST_USE enum status certificate_parse_as_met(struct certificate *out, struct bytes der,
                                              struct detail *detail);
/* Who a certificate is for, without judging it: true, and one line as in `subject` above (cut to
 * fit), for whatever is framed as a certificate up to its subject. */
bool certificate_subject(char out[static X509_NAME_TEXT], struct bytes der);
/* The length of the DER element that `in` starts with (outer SEQUENCE), for inputs with trailing
 * padding. */
MUST_USE enum status der_element_len(size_t *out, struct bytes in);
/* Decodes each CERTIFICATE block of a PEM text into the arena, at most `cap`. A TRUSTED CERTIFICATE
 * block is UNSUPPORTED. */
MUST_USE enum status pem_certificates(struct arena *arena, struct bytes *out, size_t *num,
                                      size_t cap, struct bytes pem, struct detail *detail);
/* One certificate as PEM, into the arena; NULL on overflow. */
char *certificate_to_pem(struct arena *arena, struct bytes der);

/* Roots and intermediates that EKs, or a maker's devices, are verified against. Immutable after
 * loading; shared by threads.
 * A certificate is an anchor when it is signed by itself, or when who put it there says so; others
 * are intermediates, which count only below an anchor. RFC 5280 6.1.1 (d) lets any key be an
 * anchor, but none becomes one by what is missing: were an intermediate without its root taken for
 * an anchor, then to remove a root would not withdraw its trust. Of an anchor the issuer and the
 * signature mean nothing (a self-signature by an algorithm that is not taken, such as SHA-1, does
 * no harm); that it is a CA, its validity, path length and key usage are held against it. */
struct trust_bundle;
/* One of them. In PEM, `anchor` is the block "TRUSTED CERTIFICATE", as `openssl x509 -trustout`
 * writes it; trust settings after the certificate are refused. */
struct trust_certificate {
    struct bytes der;
    bool anchor; /* named as one, signed by itself or not */
};
/* Decodes each block of either kind into the arena, at most `cap`. MALFORMED, LIMIT, MEMORY. */
MUST_USE enum status pem_trust_certificates(struct arena *arena, struct trust_certificate *out,
                                            size_t *num, size_t cap, struct bytes pem,
                                            struct detail *detail);
/* From PEM text; at least one certificate. A named anchor that is no CA is INVALID. */
MUST_USE enum status trust_bundle_new(struct trust_bundle **out, struct bytes pem,
                                      struct detail *detail);
/* The same of what was decoded (copied), 1 to TRUST_BUNDLE_MAX of them. */
enum { TRUST_BUNDLE_MAX = 1024 };
MUST_USE enum status trust_bundle_of(struct trust_bundle **out,
                                     const struct trust_certificate *certificates, size_t num,
                                     struct detail *detail);
/* The same from a file of at most 4 MiB; what file_read may say, too. */
MUST_USE enum status trust_bundle_read(struct trust_bundle **out, const char *file,
                                       struct detail *detail);
void trust_bundle_free(struct trust_bundle *bundle);
size_t trust_bundle_count(const struct trust_bundle *bundle);

/* In all of them an authority with nameConstraints is refused, critical or not: they are not
 * evaluated, and no constraint is overlooked. */
enum chain_purpose {
    CHAIN_ANY,    /* signatures, validity, basicConstraints and keyCertSign of issuers */
    CHAIN_TPM_EK, /* the same, plus what TCG EK Credential Profile 2.x asks: no CA; the critical TPM
                     SAN is accepted knowingly, and with an empty subject there must be one; an EKU,
                     when present, must hold tcg-kp-EKCertificate (2.23.133.8.1); unknown critical
                     extensions are refused. Certificates as certificate_parse_as_met takes them */
    CHAIN_TLS_CLIENT /* CHAIN_ANY, plus: no CA, no anchor; keyUsage, when present, must hold
                        digitalSignature, an EKU clientAuth or anyExtendedKeyUsage */
};
/* May the certificate serve in a bundle for this purpose: a CA that may sign certificates, a key of
 * a kind that is taken, nothing that a verification would always refuse? *is_anchor says whether
 * it is one. Validity is not looked at. INVALID, or the reader's. */
MUST_USE enum status trust_certificate_check(bool *is_anchor,
                                             const struct trust_certificate *certificate,
                                             enum chain_purpose purpose, struct detail *detail);
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

/* A certificate's fields as path validation wants them: views into its DER. Internal to
 * server/crypto. Allocates nothing, thread-safe. Why not wolfSSL's DecodedCert: it refuses
 * authorities that TPM vendors publish (names with several attributes in one RDN, ECDSA identifiers
 * with NULL parameters), and does not say which critical extension it does not know. */
#ifndef GATEHOUSE_CRYPTO_X509_FIELDS_H
#define GATEHOUSE_CRYPTO_X509_FIELDS_H

#include "server/crypto/key.h"

/* RFC 5280 4.1 and 4.2; empty views for what is absent. */
struct x509_fields {
    struct bytes der;
    struct bytes tbs;                 /* what is signed: the whole element */
    struct bytes signature_algorithm; /* AlgorithmIdentifier, the whole element */
    struct bytes signature;
    struct bytes serial;           /* the INTEGER's content */
    struct bytes issuer, subject;  /* Name, the whole element */
    int64_t not_before, not_after; /* unix seconds */
    struct bytes spki;             /* the whole element */
    struct bytes subject_key_id;
    struct bytes authority_key_id; /* its keyIdentifier */
    bool is_ca, has_path_len;
    uint32_t path_len;
    /* keyCertSign, digitalSignature, cRLSign */
    bool has_key_usage, may_sign_certificates, may_sign, may_sign_lists;
    bool has_name_constraints;
    bool subject_alt_name_critical;
    struct bytes extended_key_usage; /* the OIDs, one after the other */
    struct bytes subject_alt_name;   /* the GeneralNames, one after the other */
    struct bytes
        unknown_critical; /* the first OID of an extension that is critical and not understood */
    /* Where it leaves DER or RFC 5280 in a way that TPM vendors are known for: a SET in a name that
     * is not sorted (X.690 11.6), a serial number that is negative or not in its shortest form.
     * NULL: nowhere. Only a chain of an EK may overlook it. */
    const char *departure;
};

/* Whole input. MALFORMED, TRUNCATED, LIMIT. */
MUST_USE enum status x509_read(struct x509_fields *out, struct bytes der, struct detail *detail);

/* Whether two Names are the same: the same RDNs in the same order, and in each the same
 * attributes, as encoded; `any_order`: of a SET's elements. */
bool x509_name_equal(struct bytes a, struct bytes b, bool any_order);
/* "CN=a, O=b" in printable ASCII, cut to fit; "" for an empty name. */
void x509_name_text(char *out, size_t cap, struct bytes name);

/* Of a certificate's or a request's outer three fields. OK; INVALID when it does not hold;
 * UNSUPPORTED for SHA-1, MD5, and what we do not know; MALFORMED. */
MUST_USE enum status x509_verify_signature(const struct public_key *key, struct bytes algorithm,
                                           struct bytes signature, struct bytes message,
                                           struct detail *detail);

#endif

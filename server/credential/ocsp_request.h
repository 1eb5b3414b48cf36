/* Reads an OCSP request (RFC 6960 4.1, nonces as RFC 9654 restricts them). Pure, allocates nothing:
 * what is read are views into the request. Frames only: whose certificates are meant, and what is known
 * of them, belongs to server/fleet/ocsp_responder.h.
 *
 * Anybody may ask and all get the same answer, so who asks (requestorName) and the signature of a
 * signed request are framed and otherwise left alone. */
#ifndef GATEHOUSE_CREDENTIAL_OCSP_REQUEST_H
#define GATEHOUSE_CREDENTIAL_OCSP_REQUEST_H

#include "server/crypto/digest.h"

enum {
    OCSP_REQUEST_MAX = 4096, /* bytes of a request */
    OCSP_CERTS_MAX = 16,     /* certificates in one */
    OCSP_NONCE_MAX = 128,    /* RFC 9654 2.1: 1 to 128 bytes */
    OCSP_SERIAL_MAX = 20     /* RFC 5280 4.1.2.2 */
};

struct ocsp_cert_id {  /* CertID */
    enum hash_alg alg; /* SHA1 or SHA256; NONE: another, which names no issuer of ours */
    struct bytes issuer_name_hash, issuer_key_hash; /* of digest_len(alg) bytes, but with NONE */
    struct bytes serial;                            /* 1..OCSP_SERIAL_MAX, without leading zeros */
};

struct ocsp_request {
    struct ocsp_cert_id cert[OCSP_CERTS_MAX];
    size_t num_certs;   /* at least one */
    struct bytes nonce; /* empty: none was sent */
};

/* The whole input is one request in DER. TRUNCATED; MALFORMED: leaves DER or RFC 6960, is of another
 * version, asks for nothing, has a critical extension that is not known, or a nonce of no or too many
 * bytes; LIMIT: more than OCSP_REQUEST_MAX bytes, or OCSP_CERTS_MAX certificates. */
MUST_USE enum status ocsp_request_read(struct ocsp_request *out, struct bytes der,
                                       struct detail *detail);

#endif

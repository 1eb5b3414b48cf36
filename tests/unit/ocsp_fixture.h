/* OCSP as a client of it does: requests, good or not, and what stands in an answer. Failures of the
 * fixture itself end the test. Views are into static storage that is overwritten after some calls, or into
 * what was given. */
#ifndef GATEHOUSE_TESTS_OCSP_FIXTURE_H
#define GATEHOUSE_TESTS_OCSP_FIXTURE_H

#include "server/credential/ocsp_response.h"
#include "server/crypto/x509.h"

struct ocsp_ask {
    struct bytes issuer; /* its certificate, DER */
    enum hash_alg alg;
    struct bytes serial[OCSP_CERTS_MAX + 1];
    size_t num;
    struct bytes nonce; /* empty: none */
};
struct bytes ocsp_ask_write(const struct ocsp_ask *ask);
/* The same as it stands in a URL: base64, with %2B, %2F and %3D when `escaped`. */
const char *ocsp_ask_url(struct bytes request, bool escaped);

/* Parts of a request, each a whole element; NULL data: left out. */
struct ocsp_parts {
    struct bytes version, requestor, list, extensions, signature, after;
};
struct bytes ocsp_parts_write(const struct ocsp_parts *parts);
/* A CertID with these digests and this serial INTEGER's content. */
struct bytes ocsp_cert_id(struct bytes algorithm, struct bytes name_hash, struct bytes key_hash,
                          struct bytes serial);
/* An element around others. */
struct bytes ocsp_wrap(unsigned tag, struct bytes content);

struct ocsp_seen { /* of an OCSPResponse */
    int response_status;
    size_t num;
    struct {
        enum hash_alg alg;
        struct bytes name_hash, key_hash, serial;
        int status, reason; /* reason -1: none */
        int64_t revoked_at, this_update, next_update;
    } answer[OCSP_CERTS_MAX];
    int64_t produced_at;
    struct bytes nonce, certificate; /* nonce: empty: none */
    struct certificate responder;
};
/* Reads it to its last byte, and checks that its responder is named by its key and signed it. */
void ocsp_see(struct ocsp_seen *out, struct bytes response);

#endif

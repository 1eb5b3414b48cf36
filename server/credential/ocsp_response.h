/* Writes OCSP answers (RFC 6960 4.2). Pure: statuses, times and keys are inputs. The signer's child
 * writes what is signed; the gateway itself knows who its issuers are, and says errors. */
#ifndef GATEHOUSE_CREDENTIAL_OCSP_RESPONSE_H
#define GATEHOUSE_CREDENTIAL_OCSP_RESPONSE_H

#include "server/credential/ocsp_request.h"
#include "server/crypto/key.h"

/* By which an authority is named in a CertID: under SHA-1 and under SHA-256. */
struct ocsp_issuer {
    uint8_t name_sha1[20], key_sha1[20];
    uint8_t name_sha256[32], key_sha256[32];
};
/* Of the authority's certificate, DER. MALFORMED, or certificate_parse's. */
MUST_USE enum status ocsp_issuer_of(struct ocsp_issuer *out, struct bytes certificate,
                                    struct detail *detail);
/* Views into the issuer; empty for HASH_NONE. */
struct bytes ocsp_issuer_name_hash(const struct ocsp_issuer *issuer, enum hash_alg alg);
struct bytes ocsp_issuer_key_hash(const struct ocsp_issuer *issuer, enum hash_alg alg);
bool ocsp_issuer_is_meant(const struct ocsp_issuer *issuer, const struct ocsp_cert_id *cert);
/* The responder's KeyHash: SHA-1 over the bits of its public key. MALFORMED. */
MUST_USE enum status ocsp_key_hash(uint8_t out[static 20], const struct public_key *key);

enum ocsp_status { OCSP_GOOD = 0, OCSP_REVOKED = 1, OCSP_UNKNOWN = 2 }; /* the tags of CertStatus */

struct ocsp_answer { /* SingleResponse */
    enum hash_alg alg;
    uint8_t serial[OCSP_SERIAL_MAX];
    uint8_t serial_len; /* 1..OCSP_SERIAL_MAX */
    enum ocsp_status status;
    int64_t revoked_at;  /* REVOKED; unix seconds */
    uint8_t reason;      /* REVOKED; CRLReason (crl.h), 0: none is said */
    int64_t next_update; /* unix seconds, after produced_at */
};

/* What fits: OCSP_CERTS_MAX answers, a nonce and the responder's certificate. */
enum { OCSP_RESPONSE_MAX = 6 << 10 };

struct ocsp_response {                /* BasicOCSPResponse; everything is borrowed */
    const struct ocsp_issuer *issuer; /* of every certificate in it */
    const struct ocsp_answer *answer;
    size_t num_answers;  /* 1..OCSP_CERTS_MAX */
    int64_t produced_at; /* unix seconds; also every thisUpdate */
    struct bytes nonce;  /* echoed; empty: none */
    const struct private_key *key;
    struct bytes certificate; /* the responder's, DER */
};
/* The whole OCSPResponse, status successful. INVALID: an answer that is none (no hash, no serial, times
 * that do not follow one another); LIMIT: it does not fit; INTERNAL: the key does not sign. */
MUST_USE enum status ocsp_response_write(struct writer *out, const struct ocsp_response *response,
                                         struct detail *detail);

enum ocsp_error { /* OCSPResponseStatus */
                  OCSP_MALFORMED_REQUEST = 1,
                  OCSP_INTERNAL_ERROR = 2,
                  OCSP_TRY_LATER = 3,
                  OCSP_UNAUTHORIZED = 6
};
/* The whole OCSPResponse, static. */
struct bytes ocsp_response_error(enum ocsp_error error);

#endif

/* OCSP answers out of the signer (RFC 6960). The child makes a key of its own for them at its start, and
 * for each access authority that is asked about a certificate for that key (profile PROFILE_OCSP), which
 * it renews before it ends: the authorities' keys never sign an answer. It composes what it signs from
 * the fields below, after it has checked them; the times are those of its own clock. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_OCSP_H
#define GATEHOUSE_CREDENTIAL_SIGNER_OCSP_H

#include "server/credential/ocsp_response.h"
#include "server/credential/signer.h"

enum { SIGNER_OCSP_MAX = 64 };               /* responses in one exchange */
enum { SIGNER_OCSP_VALIDITY_MAX_S = 86400 }; /* the furthest next_update */

struct ocsp_job {                      /* one OCSPResponse */
    char authority[AUTHORITY_ID_SIZE]; /* of PROFILE_ACCESS: whose certificates are all meant */
    struct ocsp_answer answer[OCSP_CERTS_MAX];
    size_t num_answers; /* 1..OCSP_CERTS_MAX */
    uint8_t nonce[OCSP_NONCE_MAX];
    size_t nonce_len; /* 0: none */
    /* Filled by signer_ocsp: */
    enum status status; /* OK; NOT_FOUND: no such authority; INVALID: an answer that is none, or one
                            that would outlast the authority; LIMIT; INTERNAL */
    int64_t produced_at; /* unix seconds, of the child's clock; also every thisUpdate */
    uint8_t der[OCSP_RESPONSE_MAX];
    size_t der_len;
};

/* Signs up to SIGNER_OCSP_MAX responses in one exchange. OK: each job has its own status, and the detail
 * names the first that was refused. INTERNAL: the signer is gone; LIMIT: no jobs, or too many.
 * Thread-safe. */
MUST_USE enum status signer_ocsp(struct signer *signer, struct ocsp_job *const *jobs, size_t num,
                                 struct detail *detail);

#endif

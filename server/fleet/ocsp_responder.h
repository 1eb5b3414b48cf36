/* The OCSP responder (RFC 6960; RFC 5019 for what is cached): is this credential revoked? Answers come
 * from the fleet table, so that a revocation shows in the next one, before it is durable even:
 *
 *   good      in the table, of this authority, not revoked, not over
 *   revoked   in the table and revoked, with the time, also when it is over meanwhile; with the reason
 *             that the revocation list states (crl_reason_of), once it is durable
 *   unknown   never issued; or over, and so neither vouched for nor remembered for long. We do not call
 *             these revoked (RFC 6960 2.2): the two cannot be told apart
 *
 * An issuer that is none of our access authorities gets the error unauthorized, and so does a request
 * that mixes issuers. Answers hold for validity_s, and never beyond the credential's end. */
#ifndef GATEHOUSE_FLEET_OCSP_RESPONDER_H
#define GATEHOUSE_FLEET_OCSP_RESPONDER_H

#include "server/base/log.h"
#include "server/credential/signer_ocsp.h"
#include "server/fleet/table.h"

enum { OCSP_QUEUE_MAX = 1024 }; /* requests that wait for a signature; others get tryLater */

/* Embedded in the asker's own struct; lives until it is answered. */
struct ocsp_query {
    struct bytes request; /* the OCSPRequest */
    void (*done)(
        struct ocsp_query *query); /* on the responder's thread, or on the one that stops it */
    /* The answer: */
    struct bytes answer;              /* the OCSPResponse; static, or in the query */
    int64_t this_update, next_update; /* of what may be kept by others; 0: nothing of it */
    /* The responder's own: */
    struct ocsp_query *next;
    int64_t authority_not_after;
    struct ocsp_job job;
};

struct ocsp_responder;
struct ocsp_responder_options { /* everything is borrowed and outlives it */
    struct signer *signer;
    const struct fleet_table *table;
    const struct log *log;
    unsigned validity_s;          /* 60..SIGNER_OCSP_VALIDITY_MAX_S */
    void (*fatal)(void *context); /* the signer is gone; may be NULL. On the responder's thread */
    void *fatal_context;
};
/* MEMORY; INTERNAL: no thread. */
MUST_USE enum status ocsp_responder_start(struct ocsp_responder **out,
                                          const struct ocsp_responder_options *options,
                                          struct detail *detail);
/* Any thread that reads the table. True: it is answered. False: it is being signed, and done will be
 * called (maybe before this returns). */
MUST_USE bool ocsp_responder_ask(struct ocsp_responder *responder, struct ocsp_query *query,
                                 int64_t now);
/* Answers what waits with tryLater; from then on all that is not cached. NULL is allowed. */
void ocsp_responder_stop(struct ocsp_responder *responder);
void ocsp_responder_free(struct ocsp_responder *responder); /* stopped; NULL is allowed */

struct ocsp_counts { /* answers so far */
    uint64_t cached, signed_anew, errors;
};
struct ocsp_counts ocsp_responder_count(const struct ocsp_responder *responder);

#endif

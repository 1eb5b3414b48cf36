/* Certificates that were verified to be access credentials: signed by one of the access authorities (of
 * any epoch of their key), for TLS clients, with the name that our profile gives. What was verified is
 * remembered by its SHA-256 until it expires, a few thousand of them; that it may pass nevertheless is for
 * the fleet table to say, each time. One a worker, and not thread-safe. */
#ifndef GATEHOUSE_API_PROXY_VERIFIED_H
#define GATEHOUSE_API_PROXY_VERIFIED_H

#include "api/proxy/client_certificate.h"
#include "server/credential/signer.h"

struct verified;
/* The signer is borrowed. MEMORY. */
MUST_USE enum status verified_new(struct verified **out, const struct signer *signer);
void verified_free(struct verified *verified); /* NULL is allowed */

/* OK: it is one, valid at `now`. INVALID: it is none, whoever signed it. EXPIRED: its time is over;
 * CONFLICT: its time has not come. The last two say nothing about the rest. MEMORY: not known. */
MUST_USE enum status verified_check(struct verified *verified,
                                    const struct client_certificate *certificate, int64_t now);

#endif

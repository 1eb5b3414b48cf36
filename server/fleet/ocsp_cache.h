/* OCSP answers that are asked for again and again, signed once for a while. Of one certificate each,
 * without a nonce, for as long as what is said of it has not changed. Of a fixed size: where there is no
 * room, the one that ends first makes it. Thread-safe. */
#ifndef GATEHOUSE_FLEET_OCSP_CACHE_H
#define GATEHOUSE_FLEET_OCSP_CACHE_H

#include "server/credential/signer_ocsp.h"

struct ocsp_cache;

enum { OCSP_CACHED_MAX = 1536 }; /* bytes of an answer; a longer one is not kept */

/* Room for 4 * num_sets. MEMORY. */
MUST_USE enum status ocsp_cache_new(struct ocsp_cache **out, size_t num_sets);
void ocsp_cache_free(struct ocsp_cache *cache); /* NULL is allowed */

/* What `job` asks for, of one certificate: an answer with the status that the job has, that is in the
 * first half of its time at `now`. True: it is in job->der, with its produced_at, and the answer's
 * next_update is its own. A job of another shape, and one with a nonce, finds none. */
bool ocsp_cache_find(struct ocsp_cache *cache, struct ocsp_job *job, int64_t now);
/* Keeps what was signed; a job of another shape is left alone. */
void ocsp_cache_put(struct ocsp_cache *cache, const struct ocsp_job *job);

#endif

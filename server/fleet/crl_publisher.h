/* Keeps the list of what is revoked (RFC 5280 section 5) of each access authority current: a thread that
 * follows the feed has the signer make one anew at once when something is revoked, and at half of its life
 * otherwise; while revocations come one after the other, every 250 to 500 ms. A list has the credentials
 * that the authority signed and that have not expired, and for half a list's life longer those that did
 * (5.1.2.6 and 3.3: until one made on schedule has told of them; clocks differ, too).
 * When the store or the signer fails, the old list stays, and it is tried again soon. */
#ifndef GATEHOUSE_FLEET_CRL_PUBLISHER_H
#define GATEHOUSE_FLEET_CRL_PUBLISHER_H

#include "server/base/log.h"
#include "server/credential/signer_crl.h"
#include "server/fleet/feed.h"

/* What is published: immutable, and good until it is released. */
struct crl_file {
    struct bytes content;
    char etag[40]; /* in quotes; another for other content */
    int64_t this_update, next_update;
    int64_t renewed; /* made anew by then, at the latest; unix seconds, as all of these */
};

struct crl_publisher;
struct crl_publisher_options { /* everything is borrowed and outlives it */
    struct store *store;
    struct signer *signer;
    struct feed *feed;
    const struct log *log;
    unsigned lifetime_s;          /* from now to nextUpdate; 60 to 86400 */
    void (*fatal)(void *context); /* the signer is gone; may be NULL. On the publisher's thread */
    void *fatal_context;
};
/* Makes every list before it returns. One that cannot be made is logged, and tried again: that is no
 * failure. STORAGE: no reader; MEMORY; INTERNAL: no thread. */
MUST_USE enum status crl_publisher_start(struct crl_publisher **out,
                                         const struct crl_publisher_options *options,
                                         struct detail *detail);
/* The DER list of the authority with this id, or, with "", of the one that signs now; thread-safe. NULL:
 * none has been made, or there is no such authority. */
const struct crl_file *crl_publisher_list(struct crl_publisher *publisher, const char *authority);
/* The lists of all authorities, PEM, the one that signs now first. NULL while one of them is missing. */
const struct crl_file *crl_publisher_bundle(struct crl_publisher *publisher);
/* From any thread, also after crl_publisher_free. NULL is allowed. */
void crl_file_release(const struct crl_file *file);
void crl_publisher_stop(struct crl_publisher *publisher); /* NULL is allowed */
void crl_publisher_free(struct crl_publisher *publisher); /* stopped; NULL is allowed */

struct crl_counts {
    uint64_t made, failures;
    uint64_t entries, bytes; /* of all lists as they are now */
};
struct crl_counts crl_publisher_count(struct crl_publisher *publisher);

#endif

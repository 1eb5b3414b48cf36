/* The change feed: what changed in who may pass, as relying parties follow it. The store holds every
 * change (store_trust_change_list), written in the transaction that made it; the feed keeps the newest
 * in memory, tells who follows that there are more, and is filled by the committer once they are
 * durable. Thread-safe. */
#ifndef GATEHOUSE_FLEET_FEED_H
#define GATEHOUSE_FLEET_FEED_H

#include "db/store.h"

struct feed;

/* Keeps the newest `capacity` changes. MEMORY. */
MUST_USE enum status feed_new(struct feed **out, unsigned capacity);
void feed_free(struct feed *feed); /* nobody follows any more; NULL is allowed */

/* The committer, or the start (trust_log.h): changes in order, after all that were published before.
 * Then calls the wake of everybody who follows. A `newest` after the last of them: what is in the store up
 * to it is not in memory; 0: the rows are all. */
void feed_publish(struct feed *feed, const struct trust_change_row *row, size_t num,
                  int64_t newest);
/* The seq of the newest change that is published; 0: none yet. */
int64_t feed_newest(const struct feed *feed);
/* Copies at most `max` changes after `after_seq` that are in memory; *num may be 0. EXPIRED: some of
 * those are in the store only, or nowhere any more. */
MUST_USE enum status feed_read(struct feed *feed, struct trust_change_row *out, size_t *num,
                               int64_t after_seq, size_t max);

/* Who is told. Embedded in the follower's own struct. A wake may read the feed; it neither follows nor
 * unfollows. */
struct feed_follower {
    void (*wake)(
        struct feed_follower *follower);    /* on the committer's thread: short, never waits */
    struct feed_follower *next, **previous; /* the feed's */
};
void feed_follow(struct feed *feed, struct feed_follower *follower);
void feed_unfollow(struct feed *feed,
                   struct feed_follower *follower); /* no wake after it returns */

#endif

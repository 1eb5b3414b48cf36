/* What the committer does for those who follow changes in trust: the store has written them, here
 * they reach the feed once they are durable, and leave the store when they are old. On the
 * committer's thread. */
#ifndef GATEHOUSE_FLEET_TRUST_LOG_H
#define GATEHOUSE_FLEET_TRUST_LOG_H

#include "server/fleet/feed.h"
#include "server/fleet/table.h"

enum { TRUST_LOG_KEEP_S = 7 * 86400, TRUST_LOG_KEEP_ROWS = 1000000 };

/* The feed begins after the store's newest. STORAGE. */
MUST_USE enum status trust_log_begin(struct feed *feed, struct store_reader *reader);
/* Publishes what the store has after the feed's newest, and notes in the table (NULL: none) why
 * credentials were revoked, unless very many were at once; outside of a transaction. STORAGE, MEMORY:
 * the next call goes on from there. */
MUST_USE enum status trust_log_publish(struct feed *feed, struct fleet_table *table,
                                       struct store_reader *reader);
/* Forgets, inside of a transaction, what is older than TRUST_LOG_KEEP_S and no stream has yet to be
 * told (store_stream_behind), and all beyond the newest TRUST_LOG_KEEP_ROWS. At most `limit` of each.
 * LIMIT: there may be more. */
MUST_USE enum status trust_log_forget(struct store_writer *writer, int64_t now_ms, unsigned limit);

#endif

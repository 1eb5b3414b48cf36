/* Changes in trust as streams of text (server-sent events), for thousands of readers. Each change is
 * written once, and shared; a reader is a place in the order of changes and no buffer. What has left
 * memory comes from the store, in pieces that readers at the same place share, read by a thread of
 * its own; so does a snapshot: how things stand, and the seq from which changes follow, so that
 * nothing falls in between (what changed meanwhile may be told twice).
 *
 *   id: 16
 *   retry: 2000                                          (where it begins; no id with a snapshot)
 *
 *   id: 17
 *   event: device | credential | revocation | model
 *   data: {...}                                          (change_event.h)
 *
 * A snapshot is `model` and `credential` events without ids, then `event: snapshot` with the id to
 * follow from. Every so often, when nothing else is said, comes an id alone: how far the reader is.
 * A stream that ends says why, as its last event:
 *   reset     what comes after the place asked for is not kept any more: take a snapshot
 *   dropped   `too_slow`: it was behind by more changes than are kept in memory, for longer than is borne;
 *             `access_ended`: it may not read any more
 *   closing   the gateway is being stopped
 * Thread-safe; each reader belongs to one worker. */
#ifndef GATEHOUSE_FLEET_CHANGE_STREAM_H
#define GATEHOUSE_FLEET_CHANGE_STREAM_H

#include "server/base/log.h"
#include "server/fleet/feed.h"

#include <stdbool.h>

struct change_streams;
struct change_reader;

struct change_streams_options {
    struct store *store;
    struct feed *feed; /* began; see trust_log.h */
    const struct log *log;
    unsigned backlog;      /* changes kept in memory. 0: 8192 */
    unsigned heartbeat_ms; /* 0: 15 s */
    unsigned patience_ms;  /* how long a reader may be behind them. 0: 30 s */
    unsigned max_readers;  /* 0: no limit */
};
/* Starts the thread. STORAGE, MEMORY. */
MUST_USE enum status change_streams_start(struct change_streams **out,
                                          const struct change_streams_options *options,
                                          struct detail *detail);
/* Joins the thread; every reader is closed. NULL is allowed. */
void change_streams_stop(struct change_streams *streams);

struct change_start {
    bool snapshot;          /* first how things stand; `after` is not looked at */
    int64_t after;          /* go on after this seq; -1: from now on */
    char model[STORE_NAME]; /* of this model only; "": of all */
};
/* `wake` is called, from any thread, at least once after a read that gave 0 as soon as there is more;
 * it is short, and calls nothing of this. BUSY: there are max_readers; MEMORY. */
MUST_USE enum status change_reader_open(struct change_reader **out, struct change_streams *streams,
                                        const struct change_start *start,
                                        void (*wake)(void *context), void *context);
/* No wake after it returns. NULL is allowed. */
void change_reader_close(struct change_reader *reader);

enum { CHANGE_READ_MIN = 4096, CHANGE_READ_END = -1 };
/* Whole events, as many as fit and are there; `max` is CHANGE_READ_MIN or more. 0: none now.
 * CHANGE_READ_END: the last was said. With `stopping` the next is the last. */
ptrdiff_t change_reader_read(struct change_reader *reader, uint8_t *out, size_t max, bool stopping);
/* Its next event is `dropped` with access_ended. */
void change_reader_deny(struct change_reader *reader);

struct change_counters { /* since the start, but for the first */
    uint64_t readers, opened, events, snapshots, resets, dropped_slow, dropped_access;
};
void change_streams_count(struct change_streams *streams, struct change_counters *out);

#endif

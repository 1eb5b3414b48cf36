/* Events to receivers: what the store knows of changes in trust is pushed to them (RFC 8935, webhooks)
 * or waits until they ask for it (RFC 8936), each stream in order and from its own place on. One
 * thread, which follows the feed to be woken and the store for what to say.
 *
 * Nothing is lost with the process: a stream's place moves on only after its receiver had the event,
 * and is written by the committer; what was sent and not yet written is sent again, under the same
 * name. What a receiver does not take is tried again, ever more slowly, and keeps its place; when that
 * has gone on for too long the stream is paused. What a receiver says is no event (RFC 8935, 2.4,
 * invalid_request) is recorded, counted and passed over; too many of these in a row pause the stream as
 * well. Changes that the store could keep no longer are counted as dropped, and the stream is told. */
#ifndef GATEHOUSE_FLEET_SIGNALS_H
#define GATEHOUSE_FLEET_SIGNALS_H

#include "server/fleet/committer.h"
#include "server/fleet/feed.h"
#include "server/fleet/outbound.h"

enum {
    SIGNALS_STREAMS_MAX = 256, /* in all */
    SIGNALS_PER_PROXY_MAX = 8,
    SIGNALS_POLL_MAX = 100,   /* events in one answer */
    SIGNALS_WINDOW = 1024,    /* changes beyond a place that a poll looks at */
    SIGNALS_NOTICES_MAX = 16, /* notices of a stream that wait */
    SIGNALS_REFUSED_IN_A_ROW = 16
};

/* Makes tokens out of claims, in the arena. Anything but OK: none was made. On the signals' thread. */
typedef enum status signals_sign(void *context, const struct bytes *claims, struct bytes *token,
                                 size_t num, struct arena *arena, struct detail *detail);

struct signals;
struct signals_options { /* borrowed; outlives it */
    struct store *store;
    struct committer *committer;
    struct feed *feed;
    const struct log *log;
    const char *issuer;
    signals_sign *sign; /* NULL: no tokens, webhooks only */
    void *sign_context;
    struct outbound_options outbound;
    int64_t pause_after_ms;             /* of failing */
    int64_t retry_min_ms, retry_max_ms; /* between attempts. 0: a second; 5 minutes */
    int64_t long_poll_ms;               /* how long a poll waits for events. 0: 25 s */
};
/* The committer runs, and curl_global_init was called. STORAGE, MEMORY. */
MUST_USE enum status signals_start(struct signals **out, const struct signals_options *options,
                                   struct detail *detail);
/* From now on no poll waits. NULL is allowed, here and below. */
void signals_end_polls(struct signals *signals);
/* Ends what is under way, writes how far everybody got, joins the thread. Before the committer stops. */
void signals_stop(struct signals *signals);
void signals_free(struct signals *signals); /* stopped */

/* Streams were changed, and that is durable: they are read anew. Thread-safe. */
void signals_changed(struct signals *signals);
bool signals_has_key(const struct signals *signals); /* of NULL: false */
const struct outbound_options *signals_outbound(const struct signals *signals);

/* A poll. Embedded in the submitter's own struct; lives until done. */
struct signals_poll {
    const char *stream;  /* its id */
    unsigned max;        /* at most SIGNALS_POLL_MAX; 0: only what was acknowledged counts */
    bool at_once;        /* does not wait for events */
    struct arena *arena; /* for the tokens; the poll's own until done */
    void (*done)(struct signals_poll *poll); /* on the signals' thread */
    /* What came of it: */
    enum status status; /* OK; NOT_FOUND: no such stream; STORAGE, MEMORY, INTERNAL: not signed */
    char (*jti)[64];
    struct bytes *token;
    size_t num;
    bool more; /* there are others */
    int64_t deadline_ms;
    bool looked; /* at the store, since the last news */
    struct signals_poll *next;
};
/* Thread-safe. A second poll of one stream ends the wait of the first. OK: done will be called. BUSY: it
 * is stopping, done is not called. */
MUST_USE enum status signals_poll(struct signals *signals, struct signals_poll *poll);

struct signals_counters { /* since the start, but for gauges */
    uint64_t delivered, refused, failures, dropped, paused;
    uint64_t streams[4]; /* gauge, by enum stream_status */
    uint64_t behind;     /* gauge: changes between the newest and the place furthest behind */
};
void signals_count(const struct signals *signals, struct signals_counters *out);

#endif

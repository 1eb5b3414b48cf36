#include "server/fleet/signals_internal.h"

#include "server/base/clock.h"
#include "server/base/thread.h"

#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 300000,
    LONG_POLL_MS = 25000,
    TICK_MS = 1000,
    LIST_ARENA = 8 << 20
};

struct receiver *signals_find(const struct signals *s, const char *stream) {
    struct receiver *r = s->receivers;
    while (r != NULL && strcmp(r->row.id, stream) != 0) {
        r = r->next;
    }
    return r;
}

/* --- the streams there are --- */

static void forget_ahead(struct receiver *r) {
    arena_free(&r->ahead_arena);
    r->ahead = NULL;
    r->ahead_at = r->num_ahead = 0;
    r->caught_up = false;
}

static void receiver_free(struct receiver *r) {
    outbound_cancel(r->signals->outbound, &r->request);
    arena_free(&r->ahead_arena);
    arena_free(&r->arena);
    free(r);
}

static struct receiver *receiver_new(struct signals *s, const struct stream_row *row) {
    struct receiver *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->signals = s;
    r->row = *row;
    r->written = row->cursor;
    arena_init(&r->arena, (size_t)4 * SIGNALS_PAYLOAD);
    arena_init(&r->ahead_arena, (size_t)4 * SIGNALS_AHEAD * sizeof *r->ahead);
    r->next = s->receivers;
    s->receivers = r;
    return r;
}

/* What is asked for is another, or its status: begun anew from its place. */
static void receiver_change(struct receiver *r, const struct stream_row *row) {
    int64_t cursor = r->row.cursor > row->cursor ? r->row.cursor : row->cursor;
    outbound_cancel(r->signals->outbound, &r->request);
    r->row = *row;
    r->row.cursor = cursor;
    r->next_ms = 0;
    r->refused_in_a_row = 0;
    r->progress.pause[0] = '\0';
    forget_ahead(r);
}

static bool take_row(struct signals *s, const struct stream_row *row) {
    struct receiver *r = signals_find(s, row->id);
    if (r == NULL) {
        r = receiver_new(s, row);
    } else if (r->row.version != row->version || r->row.status != row->status ||
               r->row.held != row->held) {
        receiver_change(r, row);
    }
    if (r != NULL) {
        r->found = r->has_notices = true;
    }
    return r != NULL;
}

static void remove_gone(struct signals *s) {
    for (struct receiver **at = &s->receivers; *at != NULL;) {
        struct receiver *r = *at;
        if (r->found) {
            at = &r->next;
        } else {
            *at = r->next;
            receiver_free(r);
        }
    }
}

static void count_streams(struct signals *s) {
    uint64_t num[4] = {0};
    int64_t newest = feed_newest(s->options.feed), behind = newest;
    for (const struct receiver *r = s->receivers; r != NULL; r = r->next) {
        num[r->row.status]++;
        if (r->row.status != STREAM_DISABLED && r->row.cursor < behind) {
            behind = r->row.cursor;
        }
    }
    for (size_t i = 0; i < 4; i++) {
        atomic_store(&s->streams[i], num[i]);
    }
    atomic_store(&s->behind, (uint64_t)(newest - behind));
}

static void load_streams(struct signals *s, int64_t now_ms) {
    struct arena arena;
    struct stream_row *rows = NULL;
    size_t num = 0;
    const struct store_page all = {"", SIGNALS_STREAMS_MAX};
    arena_init(&arena, LIST_ARENA);
    atomic_store(&s->reload, false);
    enum status status = store_stream_list(s->reader, &arena, &rows, &num, NULL, all);
    for (struct receiver *r = s->receivers; r != NULL; r = r->next) {
        r->found = false;
    }
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        status = take_row(s, &rows[i]) ? STATUS_OK : STATUS_MEMORY;
    }
    if (status == STATUS_OK) {
        remove_gone(s);
    } else {
        atomic_store(&s->reload, true);
        s->reload_not_before_ms = now_ms + TICK_MS;
        log_event(s->options.log, LOG_ERROR, "signals_not_read",
                  log_str("status", status_name(status)));
    }
    for (struct signals_poll *poll = s->polls; poll != NULL; poll = poll->next) {
        poll->looked = false;
    }
    arena_free(&arena);
}

/* --- the thread --- */

static void take_news(struct signals *s) {
    if (atomic_exchange(&s->news, false)) {
        for (struct receiver *r = s->receivers; r != NULL; r = r->next) {
            r->caught_up = false;
        }
        for (struct signals_poll *poll = s->polls; poll != NULL; poll = poll->next) {
            poll->looked = false;
        }
    }
}

/* A stream has one poll that waits: the latest. */
static void take_polls(struct signals *s, int64_t now_ms) {
    (void)pthread_mutex_lock(&s->lock);
    struct signals_poll *poll = s->new_polls;
    s->new_polls = NULL;
    s->ending = s->ending_polls;
    (void)pthread_mutex_unlock(&s->lock);
    while (poll != NULL) {
        struct signals_poll *next = poll->next;
        for (struct signals_poll *other = s->polls; other != NULL; other = other->next) {
            if (strcmp(other->stream, poll->stream) == 0) {
                other->deadline_ms = now_ms;
            }
        }
        poll->deadline_ms = now_ms + s->options.long_poll_ms;
        poll->next = s->polls;
        s->polls = poll;
        poll = next;
    }
}

static bool is_stopping(struct signals *s) {
    (void)pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    (void)pthread_mutex_unlock(&s->lock);
    return stopping;
}

/* Milliseconds until something is to be done. */
static int until_next(const struct signals *s, bool more, int64_t now_ms) {
    int64_t next = now_ms + TICK_MS;
    for (const struct receiver *r = s->receivers; r != NULL; r = r->next) {
        if (r->next_ms > now_ms && r->next_ms < next) {
            next = r->next_ms;
        }
    }
    for (const struct signals_poll *poll = s->polls; poll != NULL; poll = poll->next) {
        if (poll->deadline_ms < next) {
            next = poll->deadline_ms > now_ms ? poll->deadline_ms : now_ms;
        }
    }
    return more ? 0 : (int)(next - now_ms);
}

static void step(struct signals *s) {
    int64_t now_ms = clock_monotonic_ms();
    bool more = false;
    signals_take_written(s, now_ms);
    take_news(s);
    if (atomic_load(&s->reload) && now_ms >= s->reload_not_before_ms) {
        load_streams(s, now_ms);
    }
    take_polls(s, now_ms);
    for (struct receiver *r = s->receivers; r != NULL; r = r->next) {
        more = signals_deliver(s, r, now_ms) || more;
    }
    signals_answer_polls(s, now_ms);
    for (struct receiver *r = s->receivers; r != NULL; r = r->next) {
        signals_write(s, r, now_ms, false);
    }
    count_streams(s);
    outbound_run(s->outbound, until_next(s, more, now_ms));
}

/* What is under way is dropped, and goes out again after the next start. */
static void end(struct signals *s) {
    int64_t now_ms = clock_monotonic_ms();
    for (struct receiver *r = s->receivers; r != NULL; r = r->next) {
        outbound_cancel(s->outbound, &r->request);
    }
    s->ending = true;
    signals_answer_polls(s, now_ms);
    while (s->num_writing > 0) {
        outbound_run(s->outbound, TICK_MS);
        signals_take_written(s, now_ms);
    }
    for (struct receiver *r = s->receivers; r != NULL; r = r->next) {
        signals_write(s, r, now_ms, true);
    }
    while (s->num_writing > 0) {
        outbound_run(s->outbound, TICK_MS);
        signals_take_written(s, now_ms);
    }
}

static void *run(void *context) {
    struct signals *s = context;
    while (!is_stopping(s)) {
        step(s);
    }
    take_polls(s, clock_monotonic_ms());
    end(s);
    return NULL;
}

/* --- from other threads --- */

static void wake(struct feed_follower *follower) {
    struct signals *s =
        (struct signals *)(void *)((char *)follower - offsetof(struct signals, follower));
    atomic_store(&s->news, true);
    outbound_wake(s->outbound);
}

void signals_changed(struct signals *s) {
    if (s != NULL) {
        atomic_store(&s->reload, true);
        outbound_wake(s->outbound);
    }
}

enum status signals_poll(struct signals *s, struct signals_poll *poll) {
    (void)pthread_mutex_lock(&s->lock);
    bool taken = !s->stopping;
    if (taken) {
        poll->next = s->new_polls;
        s->new_polls = poll;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (taken) {
        outbound_wake(s->outbound);
    }
    return taken ? STATUS_OK : STATUS_BUSY;
}

bool signals_has_key(const struct signals *s) {
    return s != NULL && s->options.sign != NULL;
}

const struct outbound_options *signals_outbound(const struct signals *s) {
    return &s->options.outbound;
}

void signals_count(const struct signals *s, struct signals_counters *out) {
    *out = (struct signals_counters){.delivered = atomic_load(&s->delivered),
                                     .refused = atomic_load(&s->refused),
                                     .failures = atomic_load(&s->failures),
                                     .dropped = atomic_load(&s->dropped),
                                     .paused = atomic_load(&s->paused),
                                     .behind = atomic_load(&s->behind)};
    for (size_t i = 0; i < 4; i++) {
        out->streams[i] = atomic_load(&s->streams[i]);
    }
}

/* --- start and end --- */

enum status signals_start(struct signals **out, const struct signals_options *options,
                          struct detail *detail) {
    struct signals *s = calloc(1, sizeof *s);
    if (s == NULL || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return status_fail(detail, STATUS_MEMORY, "no memory for the signals");
    }
    s->options = *options;
    s->options.retry_min_ms = options->retry_min_ms == 0 ? RETRY_MIN_MS : options->retry_min_ms;
    s->options.retry_max_ms = options->retry_max_ms == 0 ? RETRY_MAX_MS : options->retry_max_ms;
    s->options.long_poll_ms = options->long_poll_ms == 0 ? LONG_POLL_MS : options->long_poll_ms;
    s->follower.wake = wake;
    atomic_store(&s->reload, true);
    enum status status = outbound_new(&s->outbound, &s->options.outbound, detail);
    if (status == STATUS_OK) {
        status = store_reader_new(&s->reader, options->store, detail);
    }
    if (status == STATUS_OK) {
        feed_follow(options->feed, &s->follower);
        s->following = true;
        s->started = thread_start(&s->thread, "signals", run, s);
        if (!s->started) {
            status = status_fail(detail, STATUS_MEMORY, "cannot start the signals' thread");
        }
    }
    if (status != STATUS_OK) {
        signals_stop(s);
        signals_free(s);
        return status;
    }
    *out = s;
    return STATUS_OK;
}

void signals_end_polls(struct signals *s) {
    if (s != NULL) {
        (void)pthread_mutex_lock(&s->lock);
        s->ending_polls = true;
        (void)pthread_mutex_unlock(&s->lock);
        outbound_wake(s->outbound);
    }
}

void signals_stop(struct signals *s) {
    if (s == NULL) {
        return;
    }
    if (s->following) {
        feed_unfollow(s->options.feed, &s->follower);
        s->following = false;
    }
    if (s->started) {
        (void)pthread_mutex_lock(&s->lock);
        s->stopping = s->ending_polls = true;
        (void)pthread_mutex_unlock(&s->lock);
        outbound_wake(s->outbound);
        (void)pthread_join(s->thread, NULL);
        s->started = false;
    }
}

void signals_free(struct signals *s) {
    if (s == NULL) {
        return;
    }
    while (s->receivers != NULL) {
        struct receiver *r = s->receivers;
        s->receivers = r->next;
        receiver_free(r);
    }
    outbound_free(s->outbound);
    store_reader_free(s->reader);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

#include "server/fleet/change_stream.h"

#include "server/base/clock.h"
#include "server/base/thread.h"
#include "server/fleet/change_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKLOG = 8192,
    HEARTBEAT_MS = 15000,
    PATIENCE_MS = 30000,
    TICK_MS = 1000,
    RETRY_MS = 500,
    PIECE = 64
};
enum { GREETING_MAX = 32, LAST_MAX = 256 };

enum phase { READ_MODELS, READ_CREDENTIALS, SAY_SNAPSHOT, FOLLOW, SAY_LAST, OVER };

struct change_reader {
    struct change_streams *streams;
    struct change_reader *next, **previous;
    void (*wake)(void *context);
    void *context;
    char model[STORE_NAME];
    /* Under the lock: */
    enum phase phase;
    int64_t cursor; /* FOLLOW: the seq of the last change that it was told, or that is not for it */
    bool live;      /* it was level with all changes once: from then on it may be too slow */
    bool level;     /* it is, as far as it has read */
    int64_t level_ms; /* when it was last */
    bool greeted;
    bool rests;          /* its last read gave 0 */
    struct page_key key; /* what it reads from the store */
    bool wants;          /* that is not there: it is queued */
    struct change_reader *next_wanting;
    uint64_t page;               /* number of the page that it is in the middle of */
    size_t at;                   /* how many of its events were told */
    int64_t follow, credentials; /* of the snapshot */
    int64_t said_ms;
    const char *last_event, *last_reason;
};

struct change_streams {
    struct change_streams_options options;
    struct store_reader *reader; /* the thread's */
    struct feed_follower follower;
    pthread_t thread;

    pthread_mutex_t kick_lock; /* of what follows; taken on the committer's thread */
    pthread_cond_t kick;
    bool kicked, stopping;

    pthread_mutex_t lock; /* of the rest; wake is called under it */
    struct change_text **ring;
    size_t first, num;
    int64_t from, newest; /* what came later than `from`, up to `newest`, is in the ring */
    struct page_cache pages;
    struct change_reader *readers, *wanting, **last_wanting;
    int64_t pages_not_before_ms; /* the store failed */
    struct change_counters count;
};

static void kick(struct change_streams *s) {
    (void)pthread_mutex_lock(&s->kick_lock);
    s->kicked = true;
    (void)pthread_cond_signal(&s->kick);
    (void)pthread_mutex_unlock(&s->kick_lock);
}

static void feed_has_more(struct feed_follower *follower) {
    kick((struct change_streams *)((char *)follower - offsetof(struct change_streams, follower)));
}

/* --- what a reader is told ------------------------------------------------------------------- */

struct room {
    uint8_t *out;
    size_t len, max;
};

static bool put(struct room *room, const char *text, size_t len) {
    if (len > room->max - room->len) {
        return false;
    }
    memcpy(room->out + room->len, text, len);
    room->len += len;
    return true;
}

static void end_with(struct change_reader *r, const char *event, const char *reason,
                     uint64_t *counter) {
    if (r->phase < SAY_LAST) {
        r->phase = SAY_LAST;
        r->last_event = event;
        r->last_reason = reason;
        (*counter)++;
    }
}

static bool is_for(const struct change_reader *r, const struct change_text *text) {
    return r->model[0] == '\0' || strcmp(r->model, text->model) == 0;
}

static void want(struct change_reader *r) {
    struct change_streams *s = r->streams;
    if (!r->wants) {
        r->wants = true;
        r->next_wanting = NULL;
        *s->last_wanting = r;
        s->last_wanting = &r->next_wanting;
        kick(s);
    }
}

static void want_no_more(struct change_reader *r) {
    struct change_streams *s = r->streams;
    if (r->wants) {
        struct change_reader **at = &s->wanting;
        while (*at != r) {
            at = &(*at)->next_wanting;
        }
        *at = r->next_wanting;
        if (*at == NULL) {
            s->last_wanting = at;
        }
        r->wants = false;
    }
}

/* How many in the ring are not after `seq`. */
static size_t skip(const struct change_streams *s, int64_t seq) {
    size_t low = 0, high = s->num;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ring[(s->first + middle) % s->options.backlog]->seq <= seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Each of these: whether there may be more at once. */

static bool tell_ring(struct change_reader *r, struct room *room, int64_t now_ms) {
    struct change_streams *s = r->streams;
    for (size_t i = skip(s, r->cursor); i < s->num; i++) {
        const struct change_text *text = s->ring[(s->first + i) % s->options.backlog];
        if (is_for(r, text) && !put(room, text->text, text->len)) {
            return false;
        }
        r->cursor = text->seq;
    }
    r->cursor = r->cursor < s->newest ? s->newest : r->cursor;
    r->live = r->level = true;
    r->level_ms = now_ms;
    return false;
}

static bool tell_changes(struct change_reader *r, struct room *room, int64_t now_ms) {
    struct change_streams *s = r->streams;
    r->level = false;
    if (r->cursor >= s->from) {
        return tell_ring(r, room, now_ms);
    }
    if (r->live && now_ms > r->level_ms + s->options.patience_ms) {
        end_with(r, "dropped", "too_slow", &s->count.dropped_slow);
        return true;
    }
    r->key = (struct page_key){.kind = PAGE_CHANGES, .seq = r->cursor};
    const struct page *page = page_find(&s->pages, &r->key, 0, now_ms);
    if (page == NULL) {
        want(r);
        return false;
    }
    if (page->gone) {
        end_with(r, "reset", "gone", &s->count.resets);
        return true;
    }
    for (size_t i = 0; i < page->num; i++) {
        const struct change_text *text = page->text[i];
        if (text->seq > r->cursor) {
            if (is_for(r, text) && !put(room, text->text, text->len)) {
                return false;
            }
            r->cursor = text->seq;
        }
    }
    r->cursor = page->until;
    return true;
}

static void next_part(struct change_reader *r, const struct page *page) {
    r->at = 0;
    r->page = 0;
    if (!page->end) {
        memcpy(r->key.name, page->last, sizeof r->key.name);
        return;
    }
    r->phase = r->phase == READ_MODELS ? READ_CREDENTIALS : SAY_SNAPSHOT;
    r->key = (struct page_key){.kind = PAGE_CREDENTIALS};
}

static bool tell_standing(struct change_reader *r, struct room *room, int64_t now_ms) {
    struct change_streams *s = r->streams;
    const struct page *page = page_find(&s->pages, &r->key, r->page, now_ms);
    if (page == NULL) {
        want(r);
        return false;
    }
    if (page->number != r->page) { /* begun anew where it was forgotten: told twice is no harm */
        r->page = page->number;
        r->at = 0;
    }
    r->follow = page->until < r->follow ? page->until : r->follow;
    for (; r->at < page->num; r->at++) {
        const struct change_text *text = page->text[r->at];
        if (is_for(r, text)) {
            if (!put(room, text->text, text->len)) {
                return false;
            }
            r->credentials += page->key.kind == PAGE_CREDENTIALS;
        }
    }
    next_part(r, page);
    return true;
}

static bool say_snapshot(struct change_reader *r, struct room *room) {
    char text[LAST_MAX];
    int len = snprintf(text, sizeof text,
                       "id: %lld\nevent: snapshot\ndata: {\"seq\":%lld,\"credentials\":%lld}\n\n",
                       (long long)r->follow, (long long)r->follow, (long long)r->credentials);
    if (!put(room, text, (size_t)len)) {
        return false;
    }
    r->cursor = r->follow;
    r->live = false;
    r->phase = FOLLOW;
    r->streams->count.snapshots++;
    return true;
}

static bool say_last(struct change_reader *r, struct room *room) {
    char text[LAST_MAX];
    int len = snprintf(text, sizeof text, "event: %s\ndata: {\"reason\":\"%s\"}\n\n", r->last_event,
                       r->last_reason);
    if (put(room, text, (size_t)len)) {
        r->phase = OVER;
    }
    return false;
}

static bool tell(struct change_reader *r, struct room *room, int64_t now_ms) {
    switch (r->phase) {
    case READ_MODELS:
    case READ_CREDENTIALS:
        return tell_standing(r, room, now_ms);
    case SAY_SNAPSHOT:
        return say_snapshot(r, room);
    case FOLLOW:
        return tell_changes(r, room, now_ms);
    case SAY_LAST:
        return say_last(r, room);
    case OVER:
        break;
    }
    return false;
}

static void heartbeat(struct change_reader *r, struct room *room, int64_t now_ms) {
    char text[GREETING_MAX] = ":\n\n";
    if (now_ms < r->said_ms + r->streams->options.heartbeat_ms) {
        return;
    }
    if (r->phase == FOLLOW) {
        (void)snprintf(text, sizeof text, "id: %lld\n\n", (long long)r->cursor);
    }
    (void)put(room, text, strlen(text));
}

/* With its place, so that who is cut off before the first change misses none. */
static void greet(struct change_reader *r, struct room *room) {
    char text[2 * GREETING_MAX];
    int len = r->phase == FOLLOW
                  ? snprintf(text, sizeof text, "id: %lld\nretry: 2000\n\n", (long long)r->cursor)
                  : snprintf(text, sizeof text, "retry: 2000\n\n");
    r->greeted = put(room, text, (size_t)len);
}

ptrdiff_t change_reader_read(struct change_reader *r, uint8_t *out, size_t max, bool stopping) {
    struct change_streams *s = r->streams;
    struct room room = {.out = out, .max = max};
    int64_t now_ms = clock_monotonic_ms();
    uint64_t closings = 0;
    (void)pthread_mutex_lock(&s->lock);
    if (!r->greeted) {
        greet(r, &room);
    }
    if (stopping) {
        end_with(r, "closing", "shutting_down", &closings);
    }
    while (tell(r, &room, now_ms)) {
    }
    if (room.len == 0) {
        heartbeat(r, &room, now_ms);
    }
    if (room.len != 0) {
        r->said_ms = now_ms;
    }
    bool over = room.len == 0 && r->phase == OVER;
    r->rests = room.len == 0 && !over;
    (void)pthread_mutex_unlock(&s->lock);
    return over ? CHANGE_READ_END : (ptrdiff_t)room.len;
}

/* --- readers come and go --- */

/* Under the lock. */
static void wake_reader(struct change_reader *r) {
    if (r->rests) {
        r->rests = false;
        r->level_ms = r->level ? clock_monotonic_ms() : r->level_ms;
        r->wake(r->context);
    }
}

static void begin(struct change_reader *r, const struct change_start *start) {
    int64_t newest = feed_newest(r->streams->options.feed);
    r->phase = start->snapshot ? READ_MODELS : FOLLOW;
    r->key.kind = PAGE_MODELS;
    r->follow = INT64_MAX;
    r->cursor = start->after < 0 ? newest : start->after;
    if (!start->snapshot && r->cursor > newest) {
        end_with(r, "reset", "unknown", &r->streams->count.resets); /* of another store */
    }
}

enum status change_reader_open(struct change_reader **out, struct change_streams *s,
                               const struct change_start *start, void (*wake)(void *context),
                               void *context) {
    struct change_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return STATUS_MEMORY;
    }
    r->streams = s;
    r->wake = wake;
    r->context = context;
    memcpy(r->model, start->model, sizeof r->model);
    r->said_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&s->lock);
    bool full = s->options.max_readers != 0 && s->count.readers >= s->options.max_readers;
    if (!full) {
        begin(r, start);
        r->next = s->readers;
        r->previous = &s->readers;
        if (r->next != NULL) {
            r->next->previous = &r->next;
        }
        s->readers = r;
        s->count.readers++;
        s->count.opened++;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (full) {
        free(r);
        return STATUS_BUSY;
    }
    *out = r;
    return STATUS_OK;
}

void change_reader_close(struct change_reader *r) {
    if (r == NULL) {
        return;
    }
    struct change_streams *s = r->streams;
    (void)pthread_mutex_lock(&s->lock);
    want_no_more(r);
    *r->previous = r->next;
    if (r->next != NULL) {
        r->next->previous = r->previous;
    }
    s->count.readers--;
    (void)pthread_mutex_unlock(&s->lock);
    free(r);
}

void change_reader_deny(struct change_reader *r) {
    struct change_streams *s = r->streams;
    (void)pthread_mutex_lock(&s->lock);
    end_with(r, "dropped", "access_ended", &s->count.dropped_access);
    (void)pthread_mutex_unlock(&s->lock);
}

void change_streams_count(struct change_streams *s, struct change_counters *out) {
    (void)pthread_mutex_lock(&s->lock);
    *out = s->count;
    (void)pthread_mutex_unlock(&s->lock);
}

/* --- the thread: new changes ------------------------------------------------------------------ */

static void forget_oldest(struct change_streams *s) {
    struct change_text *text = s->ring[s->first];
    s->from = text->seq;
    s->first = (s->first + 1) % s->options.backlog;
    s->num--;
    free(text);
}

/* Changes up to `newest` are in the store alone. Who was level with memory is not slow. */
static void leave_gap(struct change_streams *s, int64_t newest) {
    (void)pthread_mutex_lock(&s->lock);
    for (struct change_reader *r = s->readers; r != NULL; r = r->next) {
        r->live = r->live && r->cursor < s->from;
        wake_reader(r);
    }
    while (s->num != 0) {
        forget_oldest(s);
    }
    s->from = s->newest = newest;
    (void)pthread_mutex_unlock(&s->lock);
}

/* Who rests is level; whom none of these is for stays so without being woken. */
static void tell_resting(struct change_streams *s, int64_t level, size_t num) {
    for (struct change_reader *r = s->readers; r != NULL; r = r->next) {
        bool any = r->model[0] == '\0' || r->phase != FOLLOW || r->cursor < level;
        for (size_t i = s->num - num; i < s->num && !any; i++) {
            any = is_for(r, s->ring[(s->first + i) % s->options.backlog]);
        }
        if (any) {
            wake_reader(r);
        } else if (r->rests && r->cursor < s->newest) {
            r->cursor = s->newest;
        }
    }
}

static void append(struct change_streams *s, struct change_text **text, size_t num) {
    (void)pthread_mutex_lock(&s->lock);
    int64_t level = s->newest;
    for (size_t i = 0; i < num; i++) {
        if (s->num == s->options.backlog) {
            forget_oldest(s);
        }
        s->ring[(s->first + s->num++) % s->options.backlog] = text[i];
        s->newest = text[i]->seq;
    }
    s->count.events += num;
    tell_resting(s, level, num);
    (void)pthread_mutex_unlock(&s->lock);
}

/* False: it cannot be written down now, and is left to the store. */
static bool write_change(struct change_streams *s, const struct trust_change_row *row,
                         struct change_text **out) {
    struct model_row model;
    enum status status = STATUS_NOT_FOUND;
    if (row->change == TRUST_MODEL) {
        status = store_model_get(s->reader, &model, row->model);
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return false;
    }
    *out = change_text_new(row, status == STATUS_OK ? &model : NULL);
    return *out != NULL;
}

/* Whether there may be more. */
static bool take_changes(struct change_streams *s) {
    struct trust_change_row row[PIECE];
    struct change_text *text[PIECE];
    size_t num = 0, written = 0;
    if (feed_read(s->options.feed, row, &num, s->newest, PIECE) != STATUS_OK) {
        leave_gap(s, feed_newest(s->options.feed));
        return true;
    }
    while (written < num && write_change(s, &row[written], &text[written])) {
        written++;
    }
    if (written != 0) {
        append(s, text, written);
    }
    if (written < num) {
        leave_gap(s, row[num - 1].seq);
    }
    return num == PIECE;
}

/* --- the thread: pieces from the store --- */

static bool same_key(const struct page_key *a, const struct page_key *b) {
    return a->kind == b->kind && a->seq == b->seq && strcmp(a->name, b->name) == 0;
}

/* Those who want it are queued no more. */
static void serve(struct change_streams *s, const struct page_key *key) {
    struct change_reader **at = &s->wanting;
    while (*at != NULL) {
        struct change_reader *r = *at;
        if (same_key(&r->key, key)) {
            *at = r->next_wanting;
            r->wants = false;
            wake_reader(r);
        } else {
            at = &r->next_wanting;
        }
    }
    s->last_wanting = at;
}

/* One that somebody wants. Whether there may be more. */
static bool read_page(struct change_streams *s) {
    struct page_key key;
    int64_t now_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&s->lock);
    bool any = s->wanting != NULL && now_ms >= s->pages_not_before_ms;
    bool there = false;
    if (any) {
        key = s->wanting->key;
        there = page_find(&s->pages, &key, s->wanting->page, now_ms) != NULL;
    }
    if (there) { /* read for another one meanwhile */
        serve(s, &key);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!any || there) {
        return any;
    }
    struct page *page = NULL;
    enum status status = page_build(&page, &key, s->reader, s->options.feed, clock_unix());
    (void)pthread_mutex_lock(&s->lock);
    if (status == STATUS_OK) {
        page_keep(&s->pages, page, clock_monotonic_ms());
        serve(s, &key);
    } else {
        s->pages_not_before_ms = now_ms + RETRY_MS;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (status != STATUS_OK) {
        log_event(s->options.log, LOG_ERROR, "change_stream_failed",
                  log_str("status", status_name(status)));
    }
    return status == STATUS_OK;
}

static void beat(struct change_streams *s) {
    int64_t now_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&s->lock);
    for (struct change_reader *r = s->readers; r != NULL; r = r->next) {
        if (now_ms >= r->said_ms + s->options.heartbeat_ms) {
            wake_reader(r);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* --- start and end --- */

/* False: it is time to end. */
static bool wait_for_kick(struct change_streams *s, int64_t until_ms) {
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    (void)pthread_mutex_lock(&s->kick_lock);
    while (!s->kicked && !s->stopping &&
           pthread_cond_timedwait(&s->kick, &s->kick_lock, &until) == 0) {
    }
    s->kicked = false;
    bool go_on = !s->stopping;
    (void)pthread_mutex_unlock(&s->kick_lock);
    return go_on;
}

static void *run(void *context) {
    struct change_streams *s = context;
    unsigned tick_ms = s->options.heartbeat_ms < TICK_MS ? s->options.heartbeat_ms : TICK_MS;
    tick_ms = tick_ms < RETRY_MS ? tick_ms : RETRY_MS;
    int64_t beat_ms = clock_monotonic_ms() + tick_ms;
    while (wait_for_kick(s, beat_ms)) {
        bool more = true;
        while (more) { /* what is new goes before what is old */
            while (take_changes(s)) {
            }
            more = read_page(s);
        }
        if (clock_monotonic_ms() >= beat_ms) {
            beat(s);
            beat_ms = clock_monotonic_ms() + tick_ms;
        }
    }
    return NULL;
}

static void free_streams(struct change_streams *s) {
    while (s->num != 0) {
        forget_oldest(s);
    }
    pages_clear(&s->pages);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->kick);
    (void)pthread_mutex_destroy(&s->kick_lock);
    store_reader_free(s->reader);
    free(s->ring);
    free(s);
}

static struct change_streams *make(const struct change_streams_options *options) {
    struct change_streams *s = calloc(1, sizeof *s);
    if (s == NULL || !thread_condition_init(&s->kick)) {
        free(s);
        return NULL;
    }
    s->options = *options;
    s->options.backlog = options->backlog == 0 ? BACKLOG : options->backlog;
    s->options.heartbeat_ms = options->heartbeat_ms == 0 ? HEARTBEAT_MS : options->heartbeat_ms;
    s->options.patience_ms = options->patience_ms == 0 ? PATIENCE_MS : options->patience_ms;
    s->follower.wake = feed_has_more;
    s->last_wanting = &s->wanting;
    s->ring = calloc(s->options.backlog, sizeof(struct change_text *));
    (void)pthread_mutex_init(&s->lock, NULL); /* glibc's cannot fail without attributes */
    (void)pthread_mutex_init(&s->kick_lock, NULL);
    if (s->ring == NULL) {
        free_streams(s);
        return NULL;
    }
    s->from = s->newest = feed_newest(s->options.feed);
    return s;
}

enum status change_streams_start(struct change_streams **out,
                                 const struct change_streams_options *options,
                                 struct detail *detail) {
    struct change_streams *s = make(options);
    if (s == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for streams of changes");
    }
    enum status status = store_reader_new(&s->reader, options->store, detail);
    if (status == STATUS_OK && !thread_start(&s->thread, "changes", run, s)) {
        status = status_fail(detail, STATUS_MEMORY, "cannot start the thread of changes");
    }
    if (status != STATUS_OK) {
        free_streams(s);
        return status;
    }
    feed_follow(options->feed, &s->follower);
    kick(s); /* what came before it followed */
    *out = s;
    return STATUS_OK;
}

void change_streams_stop(struct change_streams *s) {
    if (s == NULL) {
        return;
    }
    feed_unfollow(s->options.feed, &s->follower);
    (void)pthread_mutex_lock(&s->kick_lock);
    s->stopping = true;
    (void)pthread_cond_signal(&s->kick);
    (void)pthread_mutex_unlock(&s->kick_lock);
    (void)pthread_join(s->thread, NULL);
    free_streams(s);
}

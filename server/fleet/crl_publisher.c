#include "server/fleet/crl_publisher.h"

#include "server/base/clock.h"
#include "server/base/thread.h"
#include "server/fleet/crl_file.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Credentials begin a minute ago for clocks that are behind ours; so do lists. */
enum { BACKDATED_S = 60 };
enum { TICK_MS = 1000, PAUSE_MIN_MS = 250, PAUSE_MAX_MS = 500, RETRY_MAX_MS = 5000 };
enum { FEED_ROWS = 32, FIRST_ENTRIES = 64 };

struct slot { /* an authority; but for `list`, the thread's own */
    char authority[AUTHORITY_ID_SIZE];
    const struct crl_file *list; /* NULL: none has been made yet */
    size_t num_entries;
    uint64_t number;       /* of the latest */
    bool dirty;            /* something was revoked since */
    int64_t not_before_ms; /* monotonic: not made anew earlier */
    int64_t due_ms;        /* monotonic: made anew then in any case */
    int64_t retry_ms;      /* after a failure: the pause; 0: there was none */
};

struct crl_publisher {
    struct crl_publisher_options options;
    struct store_reader *reader;
    pthread_t thread;
    struct feed_follower follower;
    int64_t cursor; /* in the feed */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    bool woken, stopping, stopped;
    struct slot slot[CRL_PUBLISHED_MAX]; /* in the signer's order: those that sign first */
    size_t num;
    const struct crl_file *bundle; /* NULL: a list is missing */
    struct crl_counts counts;
};

/* --- what is revoked ---------------------------------------------------------------------------- */

struct collection {
    struct crl_entry *entry;
    size_t num, room;
    int64_t now;
    enum status status;
};

static bool grow(struct collection *c) {
    size_t room = c->room == 0 ? FIRST_ENTRIES : 2 * c->room;
    struct crl_entry *entry =
        c->num < CRL_ENTRIES_MAX ? realloc(c->entry, room * sizeof *entry) : NULL;
    if (entry == NULL) {
        c->status = c->num < CRL_ENTRIES_MAX ? STATUS_MEMORY : STATUS_LIMIT;
        return false;
    }
    c->entry = entry;
    c->room = room;
    return true;
}

static bool collect(void *context, const struct revoked_row *row) {
    struct collection *c = context;
    if ((c->num == c->room || c->num == CRL_ENTRIES_MAX) && !grow(c)) {
        return false;
    }
    struct crl_entry *entry = &c->entry[c->num++];
    _Static_assert(sizeof entry->serial == sizeof row->serial, "one size of serial numbers");
    memcpy(entry->serial, row->serial, sizeof entry->serial);
    /* A clock that was set back does not keep a list from being made. */
    entry->revoked = row->revoked < c->now ? row->revoked : c->now;
    entry->reason = crl_reason_of(row->reason);
    return true;
}

/* --- a list ------------------------------------------------------------------------------------- */

static enum status sign(struct crl_publisher *p, const struct slot *slot, struct crl_job *job,
                        struct detail *detail) {
    struct collection all = {.now = job->this_update + BACKDATED_S};
    enum status status = store_credential_revoked(
        p->reader, slot->authority, all.now - p->options.lifetime_s / 2, collect, &all);
    if (status != STATUS_OK) {
        detail_set(detail, "the store failed");
    } else if (all.status != STATUS_OK) {
        status = status_fail(detail, all.status, "%zu are revoked", all.num);
    } else {
        job->entry = all.entry;
        job->num = all.num;
        status = signer_crl(p->options.signer, job, detail);
        job->entry = NULL;
    }
    free(all.entry);
    return status;
}

static enum status make_list(struct crl_publisher *p, struct slot *slot, struct crl_file **out,
                             struct detail *detail) {
    int64_t now = clock_unix();
    uint64_t number = (uint64_t)clock_unix_ms();
    struct crl_job job = {.authority = slot->authority,
                          .this_update = now - BACKDATED_S,
                          .next_update = now + p->options.lifetime_s,
                          .number = number > slot->number ? number : slot->number + 1};
    enum status status = sign(p, slot, &job, detail);
    if (status == STATUS_OK) {
        status = crl_file_new(out, job.der, job.der_len);
    }
    if (status != STATUS_OK) {
        return status;
    }
    (*out)->this_update = job.this_update;
    (*out)->next_update = job.next_update;
    (*out)->renewed = now + p->options.lifetime_s / 2;
    slot->number = job.number;
    slot->num_entries = job.num;
    return STATUS_OK;
}

static void replace(struct crl_publisher *p, const struct crl_file **place,
                    const struct crl_file *with) {
    (void)pthread_mutex_lock(&p->lock);
    const struct crl_file *old = *place;
    *place = with;
    (void)pthread_mutex_unlock(&p->lock);
    crl_file_release(old);
}

static void count(struct crl_publisher *p, bool good) {
    (void)pthread_mutex_lock(&p->lock);
    p->counts.made += good ? 1 : 0;
    p->counts.failures += good ? 0 : 1;
    p->counts.entries = p->counts.bytes = 0;
    for (size_t i = 0; i < p->num; i++) {
        const struct crl_file *list = p->slot[i].list;
        p->counts.entries += list == NULL ? 0 : p->slot[i].num_entries;
        p->counts.bytes += list == NULL ? 0 : list->content.len;
    }
    (void)pthread_mutex_unlock(&p->lock);
}

/* The old one stays; it is tried again soon, and then less soon. */
static void fail(struct crl_publisher *p, struct slot *slot, enum status status,
                 const struct detail *detail) {
    slot->dirty = true;
    slot->retry_ms = slot->retry_ms == 0 ? PAUSE_MIN_MS : 2 * slot->retry_ms;
    slot->retry_ms = slot->retry_ms > RETRY_MAX_MS ? RETRY_MAX_MS : slot->retry_ms;
    slot->not_before_ms = clock_monotonic_ms() + slot->retry_ms;
    log_event(p->options.log, LOG_ERROR, "crl_failed", log_str("authority", slot->authority),
              log_str("status", status_name(status)), log_str("detail", detail->text),
              log_int("next_update", slot->list == NULL ? 0 : slot->list->next_update));
    count(p, false);
    if (status == STATUS_INTERNAL && p->options.fatal != NULL) {
        p->options.fatal(p->options.fatal_context);
    }
}

static bool make(struct crl_publisher *p, struct slot *slot) {
    struct detail detail = {0};
    struct crl_file *list = NULL;
    int64_t began_ms = clock_monotonic_ms();
    slot->dirty = false; /* what is revoked from here on may be in the list, or wakes us again */
    enum status status = make_list(p, slot, &list, &detail);
    if (status != STATUS_OK) {
        fail(p, slot, status, &detail);
        return false;
    }
    int64_t ended_ms = clock_monotonic_ms(), pause_ms = ended_ms - began_ms;
    pause_ms = pause_ms < PAUSE_MIN_MS ? PAUSE_MIN_MS : pause_ms;
    slot->not_before_ms = ended_ms + (pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms);
    slot->due_ms = began_ms + (int64_t)p->options.lifetime_s * 1000 / 2;
    slot->retry_ms = 0;
    replace(p, &slot->list, list);
    count(p, true);
    log_event(p->options.log, LOG_DEBUG, "crl_made", log_str("authority", slot->authority),
              log_int("entries", slot->num_entries), log_int("bytes", list->content.len),
              log_int("ms", ended_ms - began_ms));
    return true;
}

/* Every list, or none: who checks with half of them lets pass what the others revoke. */
static void make_bundle(struct crl_publisher *p) {
    const struct crl_file *list[CRL_PUBLISHED_MAX];
    struct crl_file *bundle = NULL;
    size_t num = 0;
    while (num < p->num && p->slot[num].list != NULL) {
        list[num] = p->slot[num].list;
        num++;
    }
    if (num > 0 && num == p->num && crl_file_bundle(&bundle, list, num) != STATUS_OK) {
        log_event(p->options.log, LOG_ERROR, "crl_failed", log_str("detail", "no memory for PEM"));
        count(p, false);
    }
    replace(p, &p->bundle, bundle);
}

/* --- when --------------------------------------------------------------------------------------- */

static bool is_due(const struct slot *slot) {
    int64_t now_ms = clock_monotonic_ms(), now = clock_unix();
    if (now_ms < slot->not_before_ms) {
        return false;
    }
    /* The calendar may have been set, or have gone on while we slept. */
    return slot->dirty || slot->list == NULL || now_ms >= slot->due_ms ||
           now >= slot->list->renewed || now < slot->list->this_update;
}

static void soil(struct crl_publisher *p, const char *authority) {
    for (size_t i = 0; i < p->num; i++) {
        struct slot *slot = &p->slot[i];
        slot->dirty =
            slot->dirty || authority[0] == '\0' || strcmp(slot->authority, authority) == 0;
    }
}

static void read_feed(struct crl_publisher *p) {
    struct trust_change_row row[FEED_ROWS];
    size_t num = FEED_ROWS;
    while (num == FEED_ROWS) {
        int64_t newest = feed_newest(p->options.feed);
        if (feed_read(p->options.feed, row, &num, p->cursor, FEED_ROWS) != STATUS_OK) {
            p->cursor = newest; /* there was more than is kept in memory */
            soil(p, "");
            return;
        }
        for (size_t i = 0; i < num; i++) {
            if (row[i].change == TRUST_REVOCATION) {
                soil(p, row[i].authority);
            }
            p->cursor = row[i].seq;
        }
    }
}

static bool same_authorities(const struct crl_publisher *p, const struct slot *now, size_t num) {
    for (size_t i = 0; i < num && num == p->num; i++) {
        if (strcmp(p->slot[i].authority, now[i].authority) != 0) {
            return false;
        }
    }
    return num == p->num;
}

/* The lists that were made of those that are still there; the others' end. The lock is held. */
static void take_over(struct crl_publisher *p, struct slot *now, size_t num) {
    for (size_t k = 0; k < p->num; k++) {
        size_t i = 0;
        while (i < num && strcmp(p->slot[k].authority, now[i].authority) != 0) {
            i++;
        }
        if (i < num) {
            now[i] = p->slot[k];
        } else {
            crl_file_release(p->slot[k].list);
        }
    }
    memcpy(p->slot, now, sizeof p->slot);
    p->num = num;
}

/* The access authorities of now, in their order. True: they are others than before. */
static bool learn(struct crl_publisher *p) {
    const struct signer_authority *all;
    struct slot now[CRL_PUBLISHED_MAX] = {0};
    size_t num_all = signer_authorities(p->options.signer, &all), num = 0;
    for (size_t i = 0; i < num_all && num < CRL_PUBLISHED_MAX; i++) {
        if (all[i].profile == PROFILE_ACCESS) {
            memcpy(now[num++].authority, all[i].id, sizeof now[0].authority);
        }
    }
    if (same_authorities(p, now, num)) {
        return false;
    }
    (void)pthread_mutex_lock(&p->lock);
    take_over(p, now, num);
    (void)pthread_mutex_unlock(&p->lock);
    return true;
}

static void step(struct crl_publisher *p) {
    bool changed = learn(p);
    read_feed(p);
    for (size_t i = 0; i < p->num; i++) {
        if (is_due(&p->slot[i])) {
            changed = make(p, &p->slot[i]) || changed;
        }
    }
    if (changed) {
        make_bundle(p);
    }
}

/* --- the thread --------------------------------------------------------------------------------- */

static void wake(struct feed_follower *follower) {
    struct crl_publisher *p =
        (struct crl_publisher *)(void *)((char *)follower -
                                         offsetof(struct crl_publisher, follower));
    (void)pthread_mutex_lock(&p->lock);
    p->woken = true;
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
}

/* When there is something to do without being woken. */
static int64_t next_ms(const struct crl_publisher *p) {
    int64_t next = clock_monotonic_ms() + TICK_MS;
    for (size_t i = 0; i < p->num; i++) {
        const struct slot *slot = &p->slot[i];
        int64_t at = slot->dirty || slot->list == NULL ? slot->not_before_ms : slot->due_ms;
        next = at < next ? at : next;
    }
    return next;
}

/* False when it is time to end. */
static bool wait_for_work(struct crl_publisher *p) {
    int64_t until_ms = next_ms(p);
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    (void)pthread_mutex_lock(&p->lock);
    while (!p->woken && !p->stopping && pthread_cond_timedwait(&p->wake, &p->lock, &until) == 0) {
    }
    p->woken = false;
    bool go_on = !p->stopping;
    (void)pthread_mutex_unlock(&p->lock);
    return go_on;
}

static void *run(void *context) {
    struct crl_publisher *p = context;
    while (wait_for_work(p)) {
        step(p);
    }
    return NULL;
}

enum status crl_publisher_start(struct crl_publisher **out,
                                const struct crl_publisher_options *options,
                                struct detail *detail) {
    struct crl_publisher *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return status_fail(detail, STATUS_MEMORY, "revocation lists: out of memory");
    }
    enum status status = store_reader_new(&p->reader, options->store, detail);
    if (status != STATUS_OK) {
        free(p);
        return status;
    }
    p->options = *options;
    p->follower.wake = wake;
    (void)pthread_mutex_init(&p->lock, NULL); /* cannot fail on Linux */
    if (!thread_condition_init(&p->wake)) {
        store_reader_free(p->reader);
        free(p);
        return status_fail(detail, STATUS_MEMORY, "revocation lists: out of memory");
    }
    feed_follow(options->feed, &p->follower);
    p->cursor = feed_newest(options->feed);
    step(p);
    if (!thread_start(&p->thread, "crl", run, p)) {
        feed_unfollow(options->feed, &p->follower);
        p->stopped = true;
        crl_publisher_free(p);
        return status_fail(detail, STATUS_INTERNAL, "revocation lists: no thread");
    }
    *out = p;
    return STATUS_OK;
}

void crl_publisher_stop(struct crl_publisher *p) {
    if (p == NULL || p->stopped) {
        return;
    }
    feed_unfollow(p->options.feed, &p->follower);
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_join(p->thread, NULL);
    p->stopped = true;
}

void crl_publisher_free(struct crl_publisher *p) {
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->num; i++) {
        crl_file_release(p->slot[i].list);
    }
    crl_file_release(p->bundle);
    store_reader_free(p->reader);
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* --- for those who read ------------------------------------------------------------------------- */

const struct crl_file *crl_publisher_list(struct crl_publisher *p, const char *authority) {
    const struct crl_file *found = NULL;
    (void)pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->num && found == NULL; i++) {
        if (authority[0] == '\0' ? i == 0 : strcmp(p->slot[i].authority, authority) == 0) {
            found = p->slot[i].list;
        }
    }
    if (found != NULL) {
        crl_file_hold(found);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return found;
}

const struct crl_file *crl_publisher_bundle(struct crl_publisher *p) {
    (void)pthread_mutex_lock(&p->lock);
    const struct crl_file *bundle = p->bundle;
    if (bundle != NULL) {
        crl_file_hold(bundle);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return bundle;
}

struct crl_counts crl_publisher_count(struct crl_publisher *p) {
    (void)pthread_mutex_lock(&p->lock);
    struct crl_counts counts = p->counts;
    (void)pthread_mutex_unlock(&p->lock);
    return counts;
}

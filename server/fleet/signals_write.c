/* How far each stream got, on its way into the store. What others changed meanwhile is left as it is: a
 * place moves forward only, counters are added to. */
#include "server/fleet/signals_internal.h"

#include "server/base/clock.h"
#include "server/base/json_out.h"
#include "server/fleet/audit_chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_MS = 250, SKIPPED_MS = 10000, AGAIN_MS = 1000, AUDIT_ARENA = 16 * 1024 };

static enum status note(struct write *w, struct store_writer *writer, const char *action,
                        const char *reason, struct detail *detail) {
    struct json_out o;
    json_out_init(&o, &w->arena, 512);
    json_out_object(&o, NULL);
    json_out_text(&o, "status", stream_status_name(w->row.status));
    json_out_text(&o, "reason", reason);
    json_out_object_end(&o);
    struct audit_row row = {
        .time_ms = clock_unix_ms(), .actor = "system", .after = json_out_end(&o)};
    (void)snprintf(row.action, sizeof row.action, "%s", action);
    (void)snprintf(row.object, sizeof row.object, "stream:%s", w->row.id);
    struct notice_row notice = {
        .kind = NOTICE_UPDATED, .status = w->row.status, .created = row.time_ms / 1000};
    (void)snprintf(notice.stream, sizeof notice.stream, "%s", w->row.id);
    (void)snprintf(notice.text, sizeof notice.text, "%s", reason);
    enum status status = store_notice_insert(writer, &notice);
    return status == STATUS_OK ? audit_append(writer, &row, detail) : status;
}

/* The store's row, with what we know better. */
static void merge(struct write *w, const struct stream_row *stored) {
    struct stream_row ours = w->row;
    w->row = *stored;
    w->row.cursor = ours.cursor > stored->cursor ? ours.cursor : stored->cursor;
    w->row.delivered += w->progress.delivered;
    w->row.refused += w->progress.refused;
    w->row.dropped += w->progress.dropped;
    if (stored->method == STREAM_POLL || stored->version != ours.version) {
        return;
    }
    w->row.failures = ours.failures;
    w->row.failing_since = ours.failing_since;
    w->row.last_delivery = ours.last_delivery;
    w->row.last_error_at = ours.last_error_at;
    memcpy(w->row.last_error, ours.last_error, sizeof w->row.last_error);
    if (w->progress.pause[0] != '\0' && stored->status == STREAM_ENABLED) {
        w->row.status = STREAM_PAUSED;
        memcpy(w->row.reason, w->progress.pause, sizeof w->row.reason);
    }
}

static enum status apply_notes(struct write *w, enum stream_status before,
                               struct store_writer *writer, struct detail *detail) {
    enum status status = STATUS_OK;
    char reason[STREAM_TEXT];
    if (w->row.status != before) {
        status = note(w, writer, "stream.pause", w->row.reason, detail);
    }
    if (status == STATUS_OK && w->progress.dropped > 0) {
        (void)snprintf(reason, sizeof reason,
                       "%" PRId64 " changes are no longer kept, and were not sent",
                       w->progress.dropped);
        status = note(w, writer, "stream.drop", reason, detail);
    }
    if (status == STATUS_OK && w->progress.notice_done != 0) {
        status = store_notice_delete(writer, w->row.id, w->progress.notice_done);
        status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    return status;
}

static enum status apply(struct commit *commit, struct store_writer *writer,
                         struct detail *detail) {
    struct write *w = (struct write *)commit;
    const struct stream_row ours = w->row;
    struct stream_row stored;
    enum status status = store_stream_get(store_writer_reader(writer), &stored, w->row.id);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_OK : status; /* it was deleted */
    }
    merge(w, &stored);
    status = store_stream_progress(writer, &w->row);
    if (status == STATUS_OK && stored.method == STREAM_POLL) {
        status = store_stream_acknowledge_forget(writer, w->row.id, w->row.cursor);
    }
    if (status == STATUS_OK) {
        status = apply_notes(w, stored.status, writer, detail);
    }
    w->row = ours; /* it may run again */
    return status;
}

static void done(struct commit *commit) {
    struct write *w = (struct write *)commit;
    struct signals *s = w->signals;
    (void)pthread_mutex_lock(&s->lock);
    w->next = s->written;
    s->written = w;
    (void)pthread_mutex_unlock(&s->lock);
    outbound_wake(s->outbound);
}

static const struct commit_kind kind = {.name = "stream.progress", .apply = apply, .done = done};

static bool is_due(const struct receiver *r, int64_t now_ms) {
    bool urgent = r->progress.pause[0] != '\0' || r->progress.notice_done != 0 ||
                  r->progress.dropped != 0 || r->request.transfer == NULL;
    return r->progress.news ? urgent || now_ms >= r->wrote_ms + WRITE_MS
                            : now_ms >= r->wrote_ms + SKIPPED_MS;
}

void signals_write(struct signals *s, struct receiver *r, int64_t now_ms, bool force) {
    bool any = r->progress.news || r->row.cursor > r->written;
    if (!any || r->writing || (!force && (now_ms < r->write_not_before_ms || !is_due(r, now_ms)))) {
        return;
    }
    struct write *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return;
    }
    arena_init(&w->arena, AUDIT_ARENA);
    w->commit.kind = &kind;
    w->signals = s;
    w->row = r->row;
    w->progress = r->progress;
    r->wrote_ms = now_ms;
    if (committer_submit(s->options.committer, &w->commit) != STATUS_OK) {
        r->write_not_before_ms = now_ms + AGAIN_MS;
        arena_free(&w->arena);
        free(w);
        return;
    }
    r->writing = true;
    r->progress.delivered = r->progress.refused = r->progress.dropped = 0;
    r->progress.news = false;
    s->num_writing++;
}

static void take_one(struct signals *s, const struct write *w, int64_t now_ms) {
    struct receiver *r = signals_find(s, w->row.id);
    bool noted = w->progress.pause[0] != '\0' || w->progress.dropped != 0;
    if (r == NULL || !r->writing) {
        return;
    }
    r->writing = false;
    if (w->commit.status != STATUS_OK) {
        r->progress.delivered += w->progress.delivered;
        r->progress.refused += w->progress.refused;
        r->progress.dropped += w->progress.dropped;
        r->progress.news = r->progress.news || w->progress.news;
        r->write_not_before_ms = now_ms + AGAIN_MS;
        return;
    }
    r->written = w->row.cursor > r->written ? w->row.cursor : r->written;
    if (r->progress.notice_done == w->progress.notice_done) {
        r->progress.notice_done = 0;
    }
    if (noted) {
        r->progress.pause[0] = '\0';
        r->has_notices = true;
        atomic_store(&s->reload, true);
    }
}

void signals_take_written(struct signals *s, int64_t now_ms) {
    (void)pthread_mutex_lock(&s->lock);
    struct write *w = s->written;
    s->written = NULL;
    (void)pthread_mutex_unlock(&s->lock);
    while (w != NULL) {
        struct write *next = w->next;
        take_one(s, w, now_ms);
        s->num_writing--;
        arena_free(&w->arena);
        free(w);
        w = next;
    }
}

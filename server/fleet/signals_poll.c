/* Events that wait until they are asked for (RFC 8936). */
#include "server/fleet/signals_internal.h"

#include "server/base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { SCRATCH = 8 << 20, PIECES_MAX = 16 };

struct gathering {
    struct signals *s;
    struct receiver *r;
    struct signals_poll *poll;
    struct arena scratch;
    int64_t *acknowledged; /* ascending */
    size_t num_acknowledged;
    struct bytes claims[SIGNALS_POLL_MAX];
    bool in_order; /* all up to here is done with */
};

static bool has(const struct gathering *g, int64_t seq) {
    size_t low = 0, high = g->num_acknowledged;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->acknowledged[middle] < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < g->num_acknowledged && g->acknowledged[low] == seq;
}

/* False: there is no room for it. */
static bool has_room(struct gathering *g) {
    struct signals_poll *poll = g->poll;
    if (poll->num >= poll->max) {
        poll->more = true;
        return false;
    }
    return true;
}

static enum status add_notices(struct gathering *g, int64_t now) {
    struct notice_row *rows;
    size_t num;
    struct signals_poll *poll = g->poll;
    const struct stream_row *row = &g->r->row;
    enum status status =
        store_notice_list(g->s->reader, &g->scratch, &rows, &num, row->id, SIGNALS_NOTICES_MAX);
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        if (rows[i].kind != NOTICE_UPDATED && row->status != STREAM_ENABLED) {
            continue;
        }
        if (!has_room(g)) {
            break;
        }
        signal_notice_jti(poll->jti[poll->num], row->id, rows[i].num);
        g->claims[poll->num++] =
            signal_notice_claims(&g->scratch, g->s->options.issuer, row, &rows[i], now);
    }
    return status;
}

/* False: it need not go on. */
static bool add_change(struct gathering *g, const struct trust_change_row *change, int64_t now) {
    struct signals_poll *poll = g->poll;
    struct stream_row *row = &g->r->row;
    if (!signal_concerns(row, change) || has(g, change->seq)) {
        if (g->in_order) {
            row->cursor = change->seq;
        }
        return true;
    }
    g->in_order = false;
    if (!has_room(g)) {
        return false;
    }
    signal_jti(poll->jti[poll->num], row->id, change->seq);
    g->claims[poll->num++] = signal_claims(&g->scratch, g->s->options.issuer, row, change, now);
    return true;
}

static enum status add_changes(struct gathering *g, int64_t now) {
    struct receiver *r = g->r;
    struct trust_change_row *rows;
    size_t num = 1;
    int64_t oldest, newest;
    enum status status = store_stream_acknowledged(g->s->reader, &g->scratch, &g->acknowledged,
                                                   &g->num_acknowledged, r->row.id);
    if (status == STATUS_OK) {
        status = store_trust_change_ends(g->s->reader, &oldest, &newest);
    }
    if (status == STATUS_OK && r->row.cursor < oldest - 1) {
        signals_drop(g->s, r, oldest);
    }
    int64_t after = r->row.cursor;
    g->in_order = true;
    bool go_on = true;
    /* Beyond the window only while nothing was found that has to wait for its acknowledgement. */
    for (size_t i = 0;
         status == STATUS_OK && go_on && num > 0 && i < PIECES_MAX * SIGNALS_WINDOW / SIGNALS_AHEAD;
         i++) {
        if (!g->in_order && i >= SIGNALS_WINDOW / SIGNALS_AHEAD) {
            break;
        }
        status =
            store_trust_change_list(g->s->reader, &g->scratch, &rows, &num, after, SIGNALS_AHEAD);
        for (size_t j = 0; status == STATUS_OK && go_on && j < num; j++) {
            go_on = add_change(g, &rows[j], now);
            after = rows[j].seq;
        }
    }
    return status;
}

static enum status gather(struct gathering *g, int64_t now) {
    struct signals_poll *poll = g->poll;
    poll->jti = arena_array(poll->arena, SIGNALS_POLL_MAX, sizeof *poll->jti);
    poll->token = arena_array(poll->arena, SIGNALS_POLL_MAX, sizeof *poll->token);
    poll->num = 0;
    poll->more = false;
    if (poll->jti == NULL || poll->token == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = g->r->row.held ? STATUS_OK : add_notices(g, now);
    if (status == STATUS_OK && g->r->row.status == STREAM_ENABLED && !g->r->row.held) {
        status = add_changes(g, now);
    }
    return status;
}

/* True: it was answered. */
static bool answer(struct signals *s, struct signals_poll *poll, int64_t now_ms) {
    bool wait = !poll->at_once && !s->ending && poll->max > 0 && now_ms < poll->deadline_ms;
    if (wait && poll->looked) {
        return false;
    }
    struct gathering *g = calloc(1, sizeof *g);
    struct detail detail = {0};
    poll->looked = true;
    poll->status = STATUS_MEMORY;
    if (g != NULL) {
        *g = (struct gathering){.s = s, .r = signals_find(s, poll->stream), .poll = poll};
        arena_init(&g->scratch, SCRATCH);
        poll->status = g->r != NULL              ? gather(g, clock_unix())
                       : atomic_load(&s->reload) ? STATUS_STORAGE
                                                 : STATUS_NOT_FOUND;
        wait = wait && poll->status == STATUS_OK && poll->num == 0;
        if (!wait && poll->status == STATUS_OK && poll->num > 0) {
            poll->status =
                signals_make_tokens(s, g->claims, poll->token, poll->num, poll->arena, &detail);
        }
        arena_free(&g->scratch);
        free(g);
    }
    if (!wait && poll->status != STATUS_OK) {
        log_event(s->options.log, LOG_ERROR, "poll_failed", log_str("stream", poll->stream),
                  log_str("status", status_name(poll->status)), log_str("detail", detail.text));
    }
    return !wait;
}

void signals_answer_polls(struct signals *s, int64_t now_ms) {
    for (struct signals_poll **at = &s->polls; *at != NULL;) {
        struct signals_poll *poll = *at;
        if (answer(s, poll, now_ms)) {
            *at = poll->next;
            poll->done(poll); /* from here on it is the submitter's */
        } else {
            at = &poll->next;
        }
    }
}

/* Events on their way out: by push and by webhook. */
#include "server/fleet/signals_internal.h"

#include "server/base/clock.h"
#include "server/crypto/random.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_AFTER_MAX_S = 3600, DOUBLINGS_MAX = 20 };

static void count(_Atomic uint64_t *counter, uint64_t num) {
    (void)atomic_fetch_add_explicit(counter, num, memory_order_relaxed);
}

enum status signals_make_tokens(struct signals *s, const struct bytes *claims, struct bytes *token,
                                size_t num, struct arena *arena, struct detail *detail) {
    for (size_t i = 0; i < num; i++) {
        if (claims[i].len == 0) {
            return STATUS_MEMORY;
        }
    }
    return s->options.sign == NULL
               ? status_fail(detail, STATUS_NOT_FOUND, "there is no key that signs events")
               : s->options.sign(s->options.sign_context, claims, token, num, arena, detail);
}

/* --- what comes next --- */

void signals_drop(struct signals *s, struct receiver *r, int64_t oldest) {
    int64_t num = oldest - 1 - r->row.cursor;
    log_event(s->options.log, LOG_WARNING, "events_dropped", log_str("stream", r->row.id),
              log_int("changes", num));
    count(&s->dropped, (uint64_t)num);
    r->progress.dropped += num;
    r->progress.news = true;
    r->row.cursor = oldest - 1;
}

bool signals_look_ahead(struct signals *s, struct receiver *r, int64_t now_ms) {
    int64_t oldest, newest;
    arena_free(&r->ahead_arena);
    r->ahead_at = r->num_ahead = 0;
    enum status status = store_trust_change_ends(s->reader, &oldest, &newest);
    if (status == STATUS_OK) {
        if (r->row.cursor < oldest - 1) {
            signals_drop(s, r, oldest);
        }
        status = store_trust_change_list(s->reader, &r->ahead_arena, &r->ahead, &r->num_ahead,
                                         r->row.cursor, SIGNALS_AHEAD);
    }
    if (status != STATUS_OK) {
        r->num_ahead = 0;
        r->next_ms = now_ms + s->options.retry_min_ms;
        log_event(s->options.log, LOG_ERROR, "signals_not_read", log_str("stream", r->row.id),
                  log_str("status", status_name(status)));
        return false;
    }
    r->caught_up = r->num_ahead < SIGNALS_AHEAD; /* once these are done */
    return r->num_ahead > 0;
}

/* The next change that concerns the stream; what does not is passed over. NULL: there is none among
 * those looked at. */
static const struct trust_change_row *next_change(struct receiver *r) {
    while (r->ahead_at < r->num_ahead) {
        const struct trust_change_row *change = &r->ahead[r->ahead_at];
        if (signal_concerns(&r->row, change)) {
            return change;
        }
        r->row.cursor = change->seq;
        r->ahead_at++;
    }
    return NULL;
}

/* --- what came of it --- */

static void put_off(struct receiver *r, int64_t now_ms) {
    const struct signals_options *o = &r->signals->options;
    int64_t doublings = r->row.failures < DOUBLINGS_MAX ? r->row.failures : DOUBLINGS_MAX;
    int64_t wait = o->retry_min_ms << (doublings > 0 ? doublings - 1 : 0);
    uint32_t random;
    random_bytes(&random, sizeof random);
    wait = wait < o->retry_max_ms ? wait : o->retry_max_ms;
    wait = wait / 2 + (int64_t)(random % (uint32_t)(wait / 2 + 1));
    int64_t asked_s = r->request.retry_after_s;
    asked_s = asked_s < 0 ? 0 : asked_s < RETRY_AFTER_MAX_S ? asked_s : RETRY_AFTER_MAX_S;
    r->next_ms = now_ms + (wait > asked_s * 1000 ? wait : asked_s * 1000);
}

static void pause_stream(struct receiver *r, const char *format, ...) PRINTF_LIKE(2, 3);

static void pause_stream(struct receiver *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->progress.pause, sizeof r->progress.pause, format, args);
    va_end(args);
    log_event(r->signals->options.log, LOG_ERROR, "stream_paused", log_str("stream", r->row.id),
              log_str("reason", r->progress.pause));
    count(&r->signals->paused, 1);
    r->row.status = STREAM_PAUSED;
}

static void set_error(struct receiver *r, const char *text, int64_t now) {
    (void)snprintf(r->row.last_error, sizeof r->row.last_error, "%s", text);
    r->row.last_error_at = now;
    r->progress.news = true;
}

static void fail(struct receiver *r, const char *why) {
    int64_t now = clock_unix(), now_ms = clock_monotonic_ms();
    set_error(r, why, now);
    count(&r->signals->failures, 1);
    if (r->row.failures++ == 0) {
        r->row.failing_since = now;
    }
    log_event(r->signals->options.log, LOG_WARNING, "delivery_failed", log_str("stream", r->row.id),
              log_int("failures", r->row.failures), log_str("why", why));
    put_off(r, now_ms);
    if (r->row.status == STREAM_ENABLED &&
        (now - r->row.failing_since) * 1000 >= r->signals->options.pause_after_ms) {
        pause_stream(r, "%" PRId64 " attempts in a row failed, the last: %.150s", r->row.failures,
                     why);
    }
}

static void pass(struct receiver *r) {
    if (r->sending_notice) {
        r->progress.notice_done = r->sending;
    } else {
        r->row.cursor = r->sending;
        r->ahead_at++;
    }
    r->row.failures = r->row.failing_since = 0;
    r->next_ms = 0;
    r->progress.news = true;
}

static void deliver_done(struct receiver *r) {
    pass(r);
    r->refused_in_a_row = 0;
    r->row.last_delivery = clock_unix();
    r->progress.delivered++;
    count(&r->signals->delivered, 1);
}

/* RFC 8935, section 2.4: {"err":"invalid_request",...} is about this event. Every other code is about
 * all that this stream may send. */
static bool is_about_the_event(const struct outbound_request *request) {
    static const char name[] = "\"err\"", code[] = "\"invalid_request\"";
    char text[512];
    size_t len = request->answer_len < sizeof text - 1 ? request->answer_len : sizeof text - 1;
    memcpy(text, request->answer, len);
    text[len] = '\0';
    const char *at = strstr(text, name);
    if (at == NULL) {
        return false;
    }
    at += sizeof name - 1;
    at += strspn(at, " \t\r\n");
    if (*at++ != ':') {
        return false;
    }
    at += strspn(at, " \t\r\n");
    return strncmp(at, code, sizeof code - 1) == 0;
}

static void refuse(struct receiver *r) {
    pass(r);
    r->progress.refused++;
    count(&r->signals->refused, 1);
    char why[STREAM_TEXT];
    (void)snprintf(why, sizeof why, "the receiver refused event %s%" PRId64 " as invalid_request",
                   r->sending_notice ? "n" : "", r->sending);
    set_error(r, why, clock_unix());
    log_event(r->signals->options.log, LOG_WARNING, "event_refused", log_str("stream", r->row.id),
              log_int("event", r->sending));
    if (++r->refused_in_a_row >= SIGNALS_REFUSED_IN_A_ROW && r->row.status == STREAM_ENABLED) {
        pause_stream(r, "the receiver refused %u events in a row as invalid_request",
                     r->refused_in_a_row);
    }
}

static void answered(struct outbound_request *request) {
    struct receiver *r = request->context;
    unsigned status = request->http_status;
    char why[64];
    bool push = r->row.method == STREAM_PUSH;
    bool taken =
        push ? status == 202 || status == 200 || status == 204 : status >= 200 && status < 300;
    arena_free(&r->arena);
    if (request->result != OUTBOUND_ANSWERED) {
        fail(r, request->detail.text);
    } else if (taken) {
        deliver_done(r);
    } else if (push && status == 400 && is_about_the_event(request)) {
        refuse(r);
    } else {
        (void)snprintf(why, sizeof why, "the receiver answered with status %u", status);
        fail(r, why);
    }
}

/* --- sending --- */

static const char *add_token(struct receiver *r, struct bytes claims) {
    struct detail detail = {0};
    struct bytes token = {0};
    enum status status = signals_make_tokens(r->signals, &claims, &token, 1, &r->arena, &detail);
    if (status != STATUS_OK) {
        return arena_printf(&r->arena, "not signed: %s %.100s", status_name(status), detail.text);
    }
    r->request.body = token;
    r->request.header[0] = "Content-Type: application/secevent+jwt";
    r->request.header[1] = "Accept: application/json";
    if (r->row.secret[0] != '\0') {
        r->request.header[2] = arena_printf(&r->arena, "Authorization: %s", r->row.secret);
    }
    return NULL;
}

static const char *add_webhook(struct receiver *r, struct bytes body, const char *jti,
                               int64_t now) {
    const char *signature = signal_webhook_signature(&r->arena, r->row.secret, now, body);
    r->request.body = body;
    r->request.header[0] = "Content-Type: application/json";
    r->request.header[1] =
        arena_printf(&r->arena, "Gatehouse-Signature: %s", signature == NULL ? "" : signature);
    r->request.header[2] = arena_printf(&r->arena, "Gatehouse-Delivery: %s", jti);
    return NULL;
}

/* `said` is a webhook's body, or the claims of a token. */
static void send_out(struct receiver *r, struct bytes said, const char *jti, int64_t now) {
    r->request =
        (struct outbound_request){.url = r->row.endpoint_url, .done = answered, .context = r};
    const char *fault =
        r->row.method == STREAM_WEBHOOK ? add_webhook(r, said, jti, now) : add_token(r, said);
    if (fault == NULL &&
        (r->arena.overflow || outbound_start(r->signals->outbound, &r->request) != STATUS_OK)) {
        fault = "out of memory";
    }
    if (fault != NULL) {
        fail(r, fault);
        arena_free(&r->arena);
    }
}

static void send_change(struct receiver *r, const struct trust_change_row *change) {
    char jti[SIGNAL_JTI];
    int64_t now = clock_unix();
    signal_jti(jti, r->row.id, change->seq);
    r->sending_notice = false;
    r->sending = change->seq;
    send_out(r,
             r->row.method == STREAM_WEBHOOK
                 ? signal_webhook(&r->arena, &r->row, change)
                 : signal_claims(&r->arena, r->signals->options.issuer, &r->row, change, now),
             jti, now);
}

static void send_row(struct receiver *r, const struct notice_row *notice) {
    char jti[SIGNAL_JTI];
    int64_t now = clock_unix();
    signal_notice_jti(jti, r->row.id, notice->num);
    r->sending_notice = true;
    r->sending = notice->num;
    send_out(
        r,
        r->row.method == STREAM_WEBHOOK
            ? signal_notice_webhook(&r->arena, &r->row, notice)
            : signal_notice_claims(&r->arena, r->signals->options.issuer, &r->row, notice, now),
        jti, now);
}

/* Verifications wait while the stream is not enabled. True: one is under way, or it could not be told. */
static bool send_notice(struct signals *s, struct receiver *r, int64_t now_ms) {
    struct notice_row *rows;
    size_t num;
    arena_free(&r->arena);
    enum status status =
        store_notice_list(s->reader, &r->arena, &rows, &num, r->row.id, SIGNALS_NOTICES_MAX);
    if (status != STATUS_OK) {
        r->next_ms = now_ms + s->options.retry_min_ms;
        return true;
    }
    for (size_t i = 0; i < num; i++) {
        if (rows[i].kind == NOTICE_UPDATED || r->row.status == STREAM_ENABLED) {
            send_row(r, &rows[i]);
            return true;
        }
    }
    r->has_notices = false;
    return false;
}

bool signals_deliver(struct signals *s, struct receiver *r, int64_t now_ms) {
    if (r->row.method == STREAM_POLL || r->row.held || r->request.transfer != NULL ||
        now_ms < r->next_ms || r->progress.notice_done != 0) {
        return false;
    }
    if (r->has_notices && send_notice(s, r, now_ms)) {
        return false;
    }
    if (r->row.status != STREAM_ENABLED) {
        return false;
    }
    if (r->ahead_at == r->num_ahead && (r->caught_up || !signals_look_ahead(s, r, now_ms))) {
        return false;
    }
    const struct trust_change_row *change = next_change(r);
    if (change == NULL) {
        return !r->caught_up;
    }
    send_change(r, change);
    return false;
}

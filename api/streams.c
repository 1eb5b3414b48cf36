#include "api/streams.h"

#include "api/admin/admin.h"

#include "server/base/encoding.h"
#include "server/crypto/random.h"

#include <stdio.h>
#include <string.h>

enum { SECRET_LEN = 32 };

bool stream_caller(struct request *r, const char **proxy) {
    *proxy = NULL;
    if (r->plane != PLANE_PROXY) {
        return true;
    }
    if (r->x->peer->local) {
        (void)problem_detail(r->x, PROBLEM_FORBIDDEN,
                             "streams belong to a proxy with a certificate");
        return false;
    }
    *proxy = r->actor + sizeof "proxy:" - 1;
    return true;
}

bool stream_needs_key(struct request *r) {
    if (signals_has_key(r->api->options.signals)) {
        return true;
    }
    (void)problem(r->x, PROBLEM_SIGNALS_OFF);
    return false;
}

bool stream_read(struct request *r, struct stream_row *out, const char *id) {
    const char *proxy;
    if (!stream_caller(r, &proxy)) {
        return false;
    }
    enum status status = store_stream_get(r->worker->reader, out, id);
    if (status == STATUS_OK && proxy != NULL && strcmp(out->proxy, proxy) != 0) {
        status = STATUS_NOT_FOUND;
    }
    if (status != STATUS_OK) {
        (void)answer_status(r, status, NULL);
    }
    return status == STATUS_OK;
}

bool stream_status_from_name(enum stream_status *out, const char *name) {
    for (enum stream_status s = STREAM_ENABLED; s <= STREAM_DISABLED; s++) {
        if (strcmp(stream_status_name(s), name) == 0) {
            *out = s;
            return true;
        }
    }
    return false;
}

void stream_write(struct json_out *o, const struct stream_row *row, const char *secret) {
    json_out_object(o, NULL);
    json_out_text(o, "id", row->id);
    json_out_text_or_null(o, "proxy", row->proxy);
    json_out_text(o, "description", row->description);
    json_out_text(o, "method", stream_method_name(row->method));
    json_out_text_or_null(o, "endpoint_url", row->endpoint_url);
    json_out_text_or_null(o, "audience", row->audience);
    json_out_array(o, "events");
    for (unsigned event = 1; event <= SIGNAL_MODEL; event <<= 1) {
        if ((row->events & event) != 0) {
            json_out_text(o, NULL, signal_event_name((enum signal_event)event));
        }
    }
    json_out_array_end(o);
    json_out_bool(o, "has_secret", row->secret[0] != '\0');
    if (secret != NULL) {
        json_out_text(o, "secret", secret);
    }
    json_out_text(o, "status", stream_status_name(row->status));
    json_out_text_or_null(o, "reason", row->reason);
    json_out_bool(o, "held", row->held);
    json_out_int(o, "position", row->cursor);
    json_out_int(o, "delivered", row->delivered);
    json_out_int(o, "refused", row->refused);
    json_out_int(o, "dropped", row->dropped);
    json_out_int(o, "failures", row->failures);
    json_out_time_or_null(o, "failing_since", row->failing_since);
    json_out_time_or_null(o, "last_delivery_at", row->last_delivery);
    json_out_text_or_null(o, "last_error", row->last_error);
    json_out_time_or_null(o, "last_error_at", row->last_error_at);
    json_out_time(o, "created_at", row->created);
    json_out_time(o, "updated_at", row->updated);
    json_out_object_end(o);
}

static struct bytes stream_json(struct change *c, const struct stream_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 1024);
    stream_write(&o, row, NULL);
    return json_out_end(&o);
}

/* --- what is asked --- */

static bool refuse(struct request *r, const char *field, const char *why) {
    (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "%s: %s", field, why);
    return false;
}

static bool is_printable(const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool check_url(struct request *r, const char *url) {
    struct detail detail = {0};
    enum status status =
        outbound_check_url(signals_outbound(r->api->options.signals), url, &detail);
    if (status == STATUS_DENIED) {
        (void)problem_detail(r->x, PROBLEM_RECEIVER_REFUSED, "endpoint_url: %s", detail.text);
    } else if (status != STATUS_OK) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "endpoint_url: %s", detail.text);
    }
    return status == STATUS_OK;
}

static bool check_edit(struct request *r, const struct stream_edit *e) {
    if (r->api->options.signals == NULL) {
        (void)problem(r->x, PROBLEM_SIGNALS_OFF);
        return false;
    }
    if (e->authorization != NULL && !is_printable(e->authorization)) {
        return refuse(r, "authorization_header", "must be printable ASCII");
    }
    if (e->audience != NULL && !is_printable(e->audience)) {
        return refuse(r, "audience", "must be printable ASCII");
    }
    return e->endpoint_url == NULL || check_url(r, e->endpoint_url);
}

static bool check_new(struct request *r, const struct stream_edit *e, const char *proxy) {
    if (e->method != STREAM_WEBHOOK && !stream_needs_key(r)) {
        return false;
    }
    if (e->method == STREAM_POLL) {
        if (e->endpoint_url != NULL) {
            return refuse(r, "endpoint_url", "a stream that is polled has ours");
        }
        if (proxy[0] == '\0') {
            return refuse(r, "proxy", "somebody has to poll");
        }
    } else if (e->endpoint_url == NULL) {
        (void)problem_detail(r->x, PROBLEM_MISSING_FIELD, "endpoint_url");
        return false;
    }
    if (e->method != STREAM_PUSH && e->authorization != NULL) {
        return refuse(r, "authorization_header", "for push alone");
    }
    if (e->method != STREAM_WEBHOOK && (e->events & ~(unsigned)SIGNAL_SSF) != 0) {
        return refuse(r, "events", "\"model\" is told by webhooks alone");
    }
    return check_edit(r, e);
}

/* --- what is done --- */

/* The thread that delivers reads them anew. */
static void publish(struct commit *commit, struct fleet_table *table) {
    (void)table;
    signals_changed(((struct change *)commit)->r->api->options.signals);
}

/* NULL: it stays. */
static void set_text(char *out, size_t size, const char *text) {
    if (text != NULL) {
        text_copy(out, size, text);
    }
}

static void make_secret(char *out, size_t size) {
    uint8_t secret[SECRET_LEN];
    char hex[2 * SECRET_LEN + 1];
    random_bytes(secret, sizeof secret);
    hex_encode(hex, bytes_of(secret, sizeof secret));
    (void)snprintf(out, size, "whsec_%s", hex);
    bytes_wipe(secret, sizeof secret);
    bytes_wipe(hex, sizeof hex);
}

/* How many there may be; and where a new one begins: with what comes. */
static enum status begin(struct change *c, struct store_writer *writer, struct stream_row *row,
                         struct detail *detail) {
    struct store_reader *reader = store_writer_reader(writer);
    struct proxy_row proxy;
    int64_t all = 0, own = 0, oldest;
    enum status status = store_stream_count(reader, &all, NULL);
    if (status == STATUS_OK && row->proxy[0] != '\0') {
        status = store_proxy_get(reader, &proxy, row->proxy);
        if (status == STATUS_NOT_FOUND) {
            detail_set(detail, "proxy: there is no such proxy");
            return change_fail(c, PROBLEM_INVALID_FIELD, STATUS_CONFLICT);
        }
        status = status == STATUS_OK ? store_stream_count(reader, &own, row->proxy) : status;
    }
    if (status == STATUS_OK && (all >= SIGNALS_STREAMS_MAX || own >= SIGNALS_PER_PROXY_MAX)) {
        detail_set(detail, "at most %d of a proxy, and %d in all", SIGNALS_PER_PROXY_MAX,
                   SIGNALS_STREAMS_MAX);
        return change_fail(c, PROBLEM_TOO_MANY_STREAMS, STATUS_CONFLICT);
    }
    return status == STATUS_OK ? store_trust_change_ends(reader, &oldest, &row->cursor) : status;
}

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct stream_change *s = (struct stream_change *)c;
    enum status status = begin(c, writer, &s->row, detail);
    if (status == STATUS_OK) {
        status = store_stream_insert(writer, &s->row);
    }
    change_audit(c, "stream.create", "stream", s->row.id);
    c->audit.after = stream_json(c, &s->row);
    return status;
}

/* The caller's, or anybody's for an operator; `before` goes into the audit. */
static enum status find(struct stream_change *s, struct store_writer *writer) {
    struct change *c = &s->change;
    enum status status = store_stream_get(store_writer_reader(writer), &s->row, s->id);
    if (status == STATUS_OK && c->r->plane == PLANE_PROXY &&
        strcmp(s->row.proxy, s->edit.proxy) != 0) {
        status = STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK) {
        c->audit.before = stream_json(c, &s->row);
        status = check_version(c, s->version, s->row.version);
    }
    return status;
}

/* What an edit says, on a stream that is there. A secret goes nowhere but where it was meant for. */
static enum status edit_row(struct stream_change *s, struct detail *detail) {
    struct stream_row *row = &s->row;
    const struct stream_edit *e = &s->edit;
    const char *fault = NULL;
    if (row->method == STREAM_POLL && e->endpoint_url != NULL) {
        fault = "endpoint_url: a stream that is polled has ours";
    } else if (row->method != STREAM_PUSH && e->authorization != NULL) {
        fault = "authorization_header: for push alone";
    } else if (row->method != STREAM_WEBHOOK && (e->events & ~(unsigned)SIGNAL_SSF) != 0) {
        fault = "events: \"model\" is told by webhooks alone";
    } else if (e->method != 0 && e->method != row->method) {
        fault = "delivery.method: make another stream for another method";
    }
    if (fault != NULL) {
        detail_set(detail, "%s", fault);
        return change_fail(&s->change, PROBLEM_INVALID_FIELD, STATUS_CONFLICT);
    }
    if (e->endpoint_url != NULL && strcmp(e->endpoint_url, row->endpoint_url) != 0) {
        if (row->method == STREAM_PUSH) {
            row->secret[0] = '\0';
        }
        set_text(row->endpoint_url, sizeof row->endpoint_url, e->endpoint_url);
    }
    set_text(row->description, sizeof row->description, e->description);
    set_text(row->secret, sizeof row->secret, e->authorization);
    set_text(row->audience, sizeof row->audience, e->audience);
    row->events = e->has_events ? e->events : row->events;
    return STATUS_OK;
}

/* As it was read, with what is set; what has failed so far counts no more. */
static enum status write_row(struct change *c, struct store_writer *writer,
                             struct stream_row *row) {
    row->updated = change_now(c);
    row->failures = row->failing_since = 0;
    enum status status = store_stream_update(writer, row);
    row->version++;
    return status == STATUS_OK ? store_stream_progress(writer, row) : status;
}

static enum status apply_update(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct stream_change *s = (struct stream_change *)c;
    enum status status = find(s, writer);
    if (status == STATUS_OK) {
        status = edit_row(s, detail);
    }
    if (status == STATUS_OK) {
        status = write_row(c, writer, &s->row);
    }
    change_audit(c, "stream.update", "stream", s->id);
    c->audit.after = stream_json(c, &s->row);
    return status;
}

static enum status add_notice(struct stream_change *s, struct store_writer *writer,
                              enum notice_kind kind) {
    struct notice_row notice = {
        .kind = kind, .status = s->row.status, .created = change_now(&s->change)};
    set_text(notice.stream, sizeof notice.stream, s->row.id);
    set_text(notice.text, sizeof notice.text, s->text);
    return store_notice_insert(writer, &notice);
}

/* A disabled stream misses what happens meanwhile. What the receiver did itself it need not be told. */
static enum status apply_status(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct stream_change *s = (struct stream_change *)c;
    (void)detail;
    int64_t oldest;
    enum status status = find(s, writer);
    bool was_disabled = s->row.status == STREAM_DISABLED;
    if (status == STATUS_OK && was_disabled && s->status != STREAM_DISABLED) {
        status = store_trust_change_ends(store_writer_reader(writer), &oldest, &s->row.cursor);
    }
    if (status == STATUS_OK) {
        s->row.status = s->status;
        set_text(s->row.reason, sizeof s->row.reason, s->text == NULL ? "" : s->text);
        status = write_row(c, writer, &s->row);
    }
    if (status == STATUS_OK && c->r->plane == PLANE_ADMIN) {
        status = add_notice(s, writer, NOTICE_UPDATED);
    }
    change_audit(c, "stream.status", "stream", s->id);
    c->audit.after = stream_json(c, &s->row);
    return status;
}

static enum status apply_verify(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct stream_change *s = (struct stream_change *)c;
    (void)detail;
    struct notice_row *waiting;
    size_t num = 0;
    enum status status = find(s, writer);
    if (status == STATUS_OK && s->row.status == STREAM_DISABLED) {
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    if (status == STATUS_OK) {
        status = store_notice_list(store_writer_reader(writer), c->r->x->arena, &waiting, &num,
                                   s->row.id, SIGNALS_NOTICES_MAX);
    }
    bool too_soon = c->r->plane == PLANE_PROXY && change_now(c) - s->row.verified < STREAM_VERIFY_S;
    if (status == STATUS_OK && (too_soon || num == SIGNALS_NOTICES_MAX)) {
        return change_fail(c, PROBLEM_TOO_MANY_VERIFICATIONS, STATUS_CONFLICT);
    }
    s->row.verified = change_now(c);
    if (status == STATUS_OK) {
        status = store_stream_progress(writer, &s->row);
    }
    if (status == STATUS_OK) {
        status = add_notice(s, writer, NOTICE_VERIFICATION);
    }
    change_audit(c, "stream.verify", "stream", s->id);
    return status;
}

static enum status apply_delete(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct stream_change *s = (struct stream_change *)c;
    (void)detail;
    enum status status = find(s, writer);
    if (status == STATUS_OK) {
        status = store_stream_delete(writer, s->id);
    }
    change_audit(c, "stream.delete", "stream", s->id);
    return status;
}

static enum http_next answer(struct change *c) {
    return ((struct stream_change *)c)->answer(c);
}

#define STREAM_KIND(n, f)                                                                          \
    {.commit = CHANGE_COMMIT(.name = (n), .publish = publish), .apply = (f), .answer = answer}
static const struct change_kind kinds[] = {
    [STREAM_CREATE] = STREAM_KIND("stream.create", apply_create),
    [STREAM_UPDATE] = STREAM_KIND("stream.update", apply_update),
    [STREAM_STATUS] = STREAM_KIND("stream.status", apply_status),
    [STREAM_VERIFY] = STREAM_KIND("stream.verify", apply_verify),
    [STREAM_DELETE] = STREAM_KIND("stream.delete", apply_delete),
};

struct stream_change *stream_change_new(struct request *r, enum stream_op op,
                                        enum http_next (*then)(struct change *c)) {
    const char *proxy;
    if (!stream_caller(r, &proxy)) {
        return NULL;
    }
    struct stream_change *s = change_new(r, &kinds[op], sizeof *s);
    if (s == NULL) {
        (void)problem(r->x, PROBLEM_INTERNAL);
        return NULL;
    }
    s->op = op;
    s->answer = then;
    s->edit.proxy = proxy;
    return s;
}

static enum http_next create(struct stream_change *s) {
    struct request *r = s->change.r;
    struct stream_row *row = &s->row;
    const struct stream_edit *e = &s->edit;
    const char *proxy = e->proxy == NULL ? "" : e->proxy;
    if (!check_new(r, e, proxy)) {
        return HTTP_ANSWER;
    }
    id_new(row->id, s->change.now_ms);
    row->method = e->method;
    row->status = STREAM_ENABLED;
    row->version = 1;
    row->events = e->events;
    row->created = row->updated = change_now(&s->change);
    set_text(row->proxy, sizeof row->proxy, proxy);
    set_text(row->description, sizeof row->description, e->description);
    set_text(row->endpoint_url, sizeof row->endpoint_url, e->endpoint_url);
    set_text(row->secret, sizeof row->secret, e->authorization);
    if (row->method == STREAM_WEBHOOK) {
        make_secret(row->secret, sizeof row->secret);
    } else if (e->audience == NULL) {
        (void)snprintf(row->audience, sizeof row->audience, "%.150s/receivers/%s",
                       r->api->options.config->issuer, proxy[0] == '\0' ? row->id : proxy);
    }
    set_text(row->audience, sizeof row->audience, e->audience);
    return change_submit(&s->change);
}

enum http_next stream_submit(struct stream_change *s) {
    if (s->op == STREAM_CREATE) {
        return create(s);
    }
    bool good = s->op != STREAM_UPDATE || check_edit(s->change.r, &s->edit);
    return good ? change_submit(&s->change) : HTTP_ANSWER;
}

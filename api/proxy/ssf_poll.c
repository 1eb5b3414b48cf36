/* POST /v1/ssf/poll/{id}: a receiver asks for events, and says which it has (RFC 8936). */
#include "api/proxy/ssf.h"

#include "server/base/clock.h"

#include <stdio.h>

enum { ACKNOWLEDGED_MAX = 1000, BEYOND_MAX = 100000 };

struct poll_body {
    struct count max_events;
    bool at_once;
    struct id_list acknowledged;
    struct set_errors errors;
};
static const struct field poll_fields[] = {
    {"maxEvents", FIELD_COUNT, false, 0, 1000000, offsetof(struct poll_body, max_events)},
    {"returnImmediately", FIELD_BOOLEAN, false, 0, 0, offsetof(struct poll_body, at_once)},
    {"ack", FIELD_IDS, false, 0, ACKNOWLEDGED_MAX, offsetof(struct poll_body, acknowledged)},
    {"setErrs", FIELD_SET_ERRORS, false, 0, ACKNOWLEDGED_MAX, offsetof(struct poll_body, errors)},
};
const struct shape ssf_poll_shape = SHAPE(poll_fields, struct poll_body);

struct poll {
    struct signals_poll poll; /* first */
    struct request *r;
};

static void done(struct signals_poll *poll) {
    struct http_exchange *x = ((struct poll *)poll)->r->x;
    x->resume(x);
}

static enum http_next finish(struct request *r) {
    const struct poll *p = r->pending;
    struct json_out o;
    if (p->poll.status != STATUS_OK) {
        return answer_status(r, p->poll.status, NULL);
    }
    json_out_init(&o, r->x->arena, 128 + p->poll.num * 2048);
    json_out_object(&o, NULL);
    json_out_object(&o, "sets");
    for (size_t i = 0; i < p->poll.num; i++) {
        const struct bytes token = p->poll.token[i];
        json_out_text(&o, p->poll.jti[i],
                      arena_text_n(r->x->arena, (const char *)token.data, token.len));
    }
    json_out_object_end(&o);
    json_out_bool(&o, "moreAvailable", p->poll.more);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

static enum http_next ask(struct request *r) {
    const struct poll_body *body = r->body;
    struct poll *p = arena_alloc(r->x->arena, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    p->r = r;
    p->poll = (struct signals_poll){.stream = r->param[0],
                                    .max = body->max_events.given &&
                                                   body->max_events.value < SIGNALS_POLL_MAX
                                               ? (unsigned)body->max_events.value
                                               : SIGNALS_POLL_MAX,
                                    .at_once = body->at_once,
                                    .arena = r->x->arena,
                                    .done = done};
    r->pending = p;
    r->finish = finish;
    enum status status = signals_poll(r->api->options.signals, &p->poll);
    return status == STATUS_OK ? HTTP_WAIT : answer_status(r, status, NULL);
}

/* --- what the receiver has --- */

struct acknowledgement {
    struct change change; /* first */
    const char *proxy;
    struct stream_row row;
};

/* *new: it was not said before. A name that is none of the stream's is passed over. */
static enum status take(struct acknowledgement *a, struct store_writer *writer, const char *jti,
                        int64_t newest, bool *new) {
    bool is_notice;
    int64_t number;
    *new = false;
    if (!signal_jti_read(jti, a->row.id, &is_notice, &number)) {
        return STATUS_OK;
    }
    enum status status = STATUS_CONFLICT;
    if (is_notice) {
        status = store_notice_delete(writer, a->row.id, number);
    } else if (number > a->row.cursor && number <= newest && number <= a->row.cursor + BEYOND_MAX) {
        status = store_stream_acknowledge(writer, a->row.id, number);
    }
    *new = status == STATUS_OK;
    return status == STATUS_CONFLICT || status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status take_all(struct acknowledgement *a, struct store_writer *writer,
                            int64_t newest) {
    const struct poll_body *body = a->change.r->body;
    enum status status = STATUS_OK;
    bool new;
    for (size_t i = 0; i < body->acknowledged.num && status == STATUS_OK; i++) {
        status = take(a, writer, body->acknowledged.id[i], newest, &new);
        a->row.delivered += new;
        a->row.last_delivery = new ? change_now(&a->change) : a->row.last_delivery;
    }
    for (size_t i = 0; i < body->errors.num && status == STATUS_OK; i++) {
        status = take(a, writer, body->errors.jti[i], newest, &new);
        a->row.refused += new;
        if (new) {
            a->row.last_error_at = change_now(&a->change);
            (void)snprintf(a->row.last_error, sizeof a->row.last_error,
                           "the receiver refused event %.60s as %.100s", body->errors.jti[i],
                           body->errors.err[i]);
        }
    }
    return status;
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct acknowledgement *a = (struct acknowledgement *)c;
    (void)detail;
    int64_t oldest, newest = 0;
    enum status status = store_stream_get(store_writer_reader(writer), &a->row, c->r->param[0]);
    if (status == STATUS_OK) {
        status = store_trust_change_ends(store_writer_reader(writer), &oldest, &newest);
    }
    if (status == STATUS_OK) {
        status = take_all(a, writer, newest);
    }
    return status == STATUS_OK ? store_stream_progress(writer, &a->row) : status;
}

static enum http_next go_on(struct change *c) {
    return ask(c->r);
}

static const struct change_kind kind = {.commit = CHANGE_COMMIT(.name = "stream.acknowledge"),
                                        .apply = apply,
                                        .answer = go_on,
                                        .silent = true};

enum http_next ssf_poll(struct request *r) {
    const struct poll_body *body = r->body;
    struct stream_row *row = arena_alloc(r->x->arena, sizeof *row);
    if (row == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!ssf_read(r, row, r->param[0])) {
        return HTTP_ANSWER;
    }
    if (row->method != STREAM_POLL) {
        return problem(r->x, PROBLEM_NOT_FOUND);
    }
    if (body->acknowledged.num + body->errors.num == 0) {
        return ask(r);
    }
    struct acknowledgement *a = change_new(r, &kind, sizeof *a);
    return a == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&a->change);
}

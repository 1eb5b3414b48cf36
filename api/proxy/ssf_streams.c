/* /v1/ssf/streams: a receiver's streams (Shared Signals Framework 1.0, section 8.1.1). */
#include "api/proxy/ssf.h"

#include <string.h>

struct ssf_body {
    const char *stream_id, *iss, *aud, *description;
    struct id_list supported, requested, delivered;
    struct delivery_body delivery;
    int64_t min_verification_interval;
};
#define SSF_EVENTS_MAX 64
#define SSF_COMMON                                                                                 \
    {"description", FIELD_TEXT, false, 0, 256, offsetof(struct ssf_body, description)},            \
        {"events_requested",                                                                       \
         FIELD_IDS,                                                                                \
         false,                                                                                    \
         0,                                                                                        \
         SSF_EVENTS_MAX,                                                                           \
         offsetof(struct ssf_body, requested)},                                                    \
    {                                                                                              \
        "delivery", FIELD_DELIVERY, false, 0, 0, offsetof(struct ssf_body, delivery)               \
    }
/* What is ours to say may be repeated, as it was read. */
#define SSF_OURS                                                                                   \
    {"iss", FIELD_TEXT, false, 1, 256, offsetof(struct ssf_body, iss)},                            \
        {"aud", FIELD_TEXT, false, 1, 256, offsetof(struct ssf_body, aud)},                        \
        {"events_supported",                                                                       \
         FIELD_IDS,                                                                                \
         false,                                                                                    \
         0,                                                                                        \
         SSF_EVENTS_MAX,                                                                           \
         offsetof(struct ssf_body, supported)},                                                    \
        {"events_delivered",                                                                       \
         FIELD_IDS,                                                                                \
         false,                                                                                    \
         0,                                                                                        \
         SSF_EVENTS_MAX,                                                                           \
         offsetof(struct ssf_body, delivered)},                                                    \
    {                                                                                              \
        "min_verification_interval", FIELD_INTEGER, false, STREAM_VERIFY_S, STREAM_VERIFY_S,       \
            offsetof(struct ssf_body, min_verification_interval)                                   \
    }
static const struct field create_fields[] = {SSF_COMMON};
static const struct field update_fields[] = {
    {"stream_id", FIELD_TEXT, true, 1, 64, offsetof(struct ssf_body, stream_id)},
    SSF_COMMON,
    SSF_OURS};
const struct shape ssf_create_shape = SHAPE(create_fields, struct ssf_body);
const struct shape ssf_update_shape = SHAPE(update_fields, struct ssf_body);

static const struct field query_fields[] = {
    {"stream_id", FIELD_TEXT, false, 1, 64, offsetof(struct ssf_query, stream_id)}};
static const struct field stream_query_fields[] = {
    {"stream_id", FIELD_TEXT, true, 1, 64, offsetof(struct ssf_query, stream_id)}};
const struct shape ssf_query_shape = SHAPE(query_fields, struct ssf_query);
const struct shape ssf_stream_query_shape = SHAPE(stream_query_fields, struct ssf_query);

/* --- answers --- */

static void write_events(struct json_out *o, const char *name, unsigned events) {
    json_out_array(o, name);
    for (unsigned event = 1; event <= SIGNAL_SSF; event <<= 1) {
        if ((events & event) != 0) {
            json_out_text(o, NULL, signal_event_uri((enum signal_event)event));
        }
    }
    json_out_array_end(o);
}

static char *poll_url(struct request *r, const struct stream_row *row) {
    return arena_printf(r->x->arena, "%s/v1/ssf/poll/%s", ssf_base(r->api->options.config),
                        row->id);
}

static void write_stream(struct json_out *o, struct request *r, const struct stream_row *row) {
    bool polled = row->method == STREAM_POLL;
    json_out_object(o, NULL);
    json_out_text(o, "stream_id", row->id);
    json_out_text(o, "iss", r->api->options.config->issuer);
    json_out_text(o, "aud", row->audience);
    json_out_object(o, "delivery");
    json_out_text(o, "method", polled ? SIGNAL_METHOD_POLL : SIGNAL_METHOD_PUSH);
    json_out_text(o, "endpoint_url", polled ? poll_url(r, row) : row->endpoint_url);
    json_out_object_end(o);
    write_events(o, "events_supported", SIGNAL_SSF);
    write_events(o, "events_requested", row->events);
    write_events(o, "events_delivered", row->events);
    json_out_int(o, "min_verification_interval", STREAM_VERIFY_S);
    json_out_text(o, "description", row->description);
    json_out_object_end(o);
}

static enum http_next answer_row(struct request *r, unsigned status, const struct stream_row *row) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 1024);
    write_stream(&o, r, row);
    return answer_json(r, status, &o);
}

static enum http_next answer_created(struct change *c) {
    return answer_row(c->r, 201, &((struct stream_change *)c)->row);
}

static enum http_next answer_changed(struct change *c) {
    return answer_row(c->r, 200, &((struct stream_change *)c)->row);
}

static enum http_next answer_gone(struct change *c) {
    return answer_empty(c->r);
}

/* --- reading --- */

/* Webhooks are none of the framework's. */
bool ssf_read(struct request *r, struct stream_row *out, const char *id) {
    if (!stream_needs_key(r) || !stream_read(r, out, id)) {
        return false;
    }
    if (out->method == STREAM_WEBHOOK) {
        (void)problem(r->x, PROBLEM_NOT_FOUND);
        return false;
    }
    return true;
}

enum http_next ssf_stream_show(struct request *r) {
    const struct ssf_query *query = r->query;
    struct stream_row *rows = arena_alloc(r->x->arena, sizeof *rows);
    const char *proxy;
    size_t num = 0;
    struct json_out o;
    if (rows == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (query != NULL && query->stream_id != NULL) {
        return ssf_read(r, rows, query->stream_id) ? answer_row(r, 200, rows) : HTTP_ANSWER;
    }
    if (!stream_needs_key(r) || !stream_caller(r, &proxy)) {
        return HTTP_ANSWER;
    }
    const struct store_page all = {"", SIGNALS_PER_PROXY_MAX};
    enum status status = store_stream_list(r->worker->reader, r->x->arena, &rows, &num, proxy, all);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    json_out_init(&o, r->x->arena, 4096);
    json_out_array(&o, NULL);
    for (size_t i = 0; i < num; i++) {
        if (rows[i].method != STREAM_WEBHOOK) {
            write_stream(&o, r, &rows[i]);
        }
    }
    json_out_array_end(&o);
    return answer_json(r, 200, &o);
}

/* --- changing --- */

static bool refuse(struct request *r, const char *field, const char *why) {
    (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "%s: %s", field, why);
    return false;
}

/* Events that we do not have are left out, as the framework says. */
static unsigned read_events(const struct id_list *list) {
    unsigned events = 0;
    for (size_t i = 0; i < list->num; i++) {
        events |= signal_event_from_uri(list->id[i]);
    }
    return events;
}

static bool read_delivery(struct request *r, struct stream_edit *e,
                          const struct delivery_body *delivery) {
    e->method = !delivery->given || strcmp(delivery->method, SIGNAL_METHOD_POLL) == 0 ? STREAM_POLL
                : strcmp(delivery->method, SIGNAL_METHOD_PUSH) == 0                   ? STREAM_PUSH
                                                                    : (enum stream_method)0;
    if (e->method == 0) {
        return refuse(r, "delivery.method",
                      "\"" SIGNAL_METHOD_PUSH "\" or \"" SIGNAL_METHOD_POLL "\"");
    }
    e->endpoint_url = delivery->endpoint_url;
    e->authorization = delivery->authorization_header;
    return true;
}

enum http_next ssf_stream_create(struct request *r) {
    const struct ssf_body *body = r->body;
    struct stream_change *s = stream_change_new(r, STREAM_CREATE, answer_created);
    if (s == NULL || !read_delivery(r, &s->edit, &body->delivery)) {
        return HTTP_ANSWER;
    }
    s->edit.events = read_events(&body->requested);
    s->edit.description = body->description;
    return stream_submit(s);
}

/* What is ours and was repeated must be what it is. */
static bool check_ours(struct request *r, const struct ssf_body *body,
                       const struct stream_row *row) {
    const char *issuer = r->api->options.config->issuer;
    if (body->iss != NULL && strcmp(body->iss, issuer) != 0) {
        return refuse(r, "iss", "is the transmitter's, and another");
    }
    if (body->aud != NULL && strcmp(body->aud, row->audience) != 0) {
        return refuse(r, "aud", "is the transmitter's, and another");
    }
    if (body->supported.num > 0 && read_events(&body->supported) != SIGNAL_SSF) {
        return refuse(r, "events_supported", "is the transmitter's, and another");
    }
    if (body->delivered.num > 0 && read_events(&body->delivered) != row->events) {
        return refuse(r, "events_delivered", "is the transmitter's, and another");
    }
    return true;
}

/* PATCH leaves what is absent; PUT takes it away, but for the secret, which nobody can repeat. */
static enum http_next change_stream(struct request *r, bool replace) {
    const struct ssf_body *body = r->body;
    struct stream_row *row = arena_alloc(r->x->arena, sizeof *row);
    struct stream_change *s = stream_change_new(r, STREAM_UPDATE, answer_changed);
    if (row == NULL || s == NULL) {
        return row == NULL ? problem(r->x, PROBLEM_INTERNAL) : HTTP_ANSWER;
    }
    if (!ssf_read(r, row, body->stream_id) || !check_ours(r, body, row)) {
        return HTTP_ANSWER;
    }
    struct stream_edit *e = &s->edit;
    if ((replace || body->delivery.given) && !read_delivery(r, e, &body->delivery)) {
        return HTTP_ANSWER;
    }
    if (e->method == STREAM_POLL && e->endpoint_url != NULL) {
        const char *ours = poll_url(r, row);
        if (ours == NULL || strcmp(ours, e->endpoint_url) != 0) {
            (void)refuse(r, "delivery.endpoint_url", "is the transmitter's, and another");
            return HTTP_ANSWER;
        }
        e->endpoint_url = NULL;
    }
    if (replace && e->method == STREAM_PUSH && e->endpoint_url == NULL) {
        return problem_detail(r->x, PROBLEM_MISSING_FIELD, "delivery.endpoint_url");
    }
    e->has_events = replace || body->requested.id != NULL;
    e->events = read_events(&body->requested);
    e->description = replace && body->description == NULL ? "" : body->description;
    s->id = body->stream_id;
    return stream_submit(s);
}

enum http_next ssf_stream_update(struct request *r) {
    return change_stream(r, false);
}

enum http_next ssf_stream_replace(struct request *r) {
    return change_stream(r, true);
}

enum http_next ssf_stream_delete(struct request *r) {
    const struct ssf_query *query = r->query;
    struct stream_row *row = arena_alloc(r->x->arena, sizeof *row);
    struct stream_change *s = stream_change_new(r, STREAM_DELETE, answer_gone);
    if (row == NULL || s == NULL) {
        return row == NULL ? problem(r->x, PROBLEM_INTERNAL) : HTTP_ANSWER;
    }
    if (!ssf_read(r, row, query->stream_id)) {
        return HTTP_ANSWER;
    }
    s->id = query->stream_id;
    return stream_submit(s);
}

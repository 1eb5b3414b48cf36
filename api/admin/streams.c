/* /v1/streams: events to receivers, and webhooks, as administrators see and manage them. */
#include "api/streams.h"
#include "api/admin/admin.h"

#include <string.h>

struct stream_body {
    const char *method, *proxy, *description, *endpoint_url, *authorization_header, *audience;
    struct id_list events;
};
#define STREAM_FIELD(name, min, max)                                                               \
    {#name, FIELD_TEXT, false, (min), (max), offsetof(struct stream_body, name)}
static const struct field create_fields[] = {
    {"method", FIELD_TEXT, true, 1, 16, offsetof(struct stream_body, method)},
    STREAM_FIELD(proxy, 1, STORE_NAME - 1),
    STREAM_FIELD(description, 0, 256),
    STREAM_FIELD(endpoint_url, 1, 1024),
    STREAM_FIELD(authorization_header, 1, 1024),
    STREAM_FIELD(audience, 1, 256),
    {"events", FIELD_IDS, false, 1, 3, offsetof(struct stream_body, events)},
};
static const struct field update_fields[] = {
    STREAM_FIELD(description, 0, 256),
    STREAM_FIELD(endpoint_url, 1, 1024),
    STREAM_FIELD(authorization_header, 0, 1024),
    STREAM_FIELD(audience, 1, 256),
    {"events", FIELD_IDS, false, 1, 3, offsetof(struct stream_body, events)},
};
struct status_body {
    const char *status, *reason;
};
static const struct field status_fields[] = {
    {"status", FIELD_TEXT, true, 1, 16, offsetof(struct status_body, status)},
    {"reason", FIELD_TEXT, false, 0, 256, offsetof(struct status_body, reason)},
};
struct verify_body {
    const char *state;
};
static const struct field verify_fields[] = {
    {"state", FIELD_TEXT, false, 1, 1024, offsetof(struct verify_body, state)},
};
const struct shape stream_create_shape = SHAPE(create_fields, struct stream_body);
const struct shape stream_update_shape = SHAPE(update_fields, struct stream_body);
const struct shape stream_status_shape = SHAPE(status_fields, struct status_body);
const struct shape stream_verify_shape = SHAPE(verify_fields, struct verify_body);

static enum http_next answer_row(struct request *r, unsigned status, const struct stream_row *row,
                                 const char *secret) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 1024);
    stream_write(&o, row, secret);
    return add_etag(r, row->version) ? answer_json(r, status, &o) : problem(r->x, PROBLEM_INTERNAL);
}

static enum http_next answer_changed(struct change *c) {
    return answer_row(c->r, 200, &((struct stream_change *)c)->row, NULL);
}

static enum http_next answer_created(struct change *c) {
    const struct stream_row *row = &((struct stream_change *)c)->row;
    return answer_row(c->r, 201, row, row->method == STREAM_WEBHOOK ? row->secret : NULL);
}

static enum http_next answer_gone(struct change *c) {
    return answer_empty(c->r);
}

enum http_next stream_list(struct request *r) {
    const struct page_query *query = r->query;
    struct stream_row *rows;
    size_t num;
    struct json_out o;
    enum status status =
        store_stream_list(r->worker->reader, r->x->arena, &rows, &num, NULL, page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        stream_write(&o, &rows[i], NULL);
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : rows[shown - 1].id);
}

enum http_next stream_show(struct request *r) {
    struct stream_row *row = arena_alloc(r->x->arena, sizeof *row);
    if (row == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return stream_read(r, row, r->param[0]) ? answer_row(r, 200, row, NULL) : HTTP_ANSWER;
}

static bool read_edit(struct request *r, struct stream_edit *e, const struct stream_body *body) {
    for (size_t i = 0; i < body->events.num; i++) {
        unsigned event = signal_event_from_name(body->events.id[i]);
        if (event == 0 || (e->events & event) != 0) {
            (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                                 "events: \"device\", \"credential\", \"model\", each once");
            return false;
        }
        e->events |= event;
    }
    e->has_events = body->events.num > 0;
    e->description = body->description;
    e->endpoint_url = body->endpoint_url;
    e->authorization = body->authorization_header;
    e->audience = body->audience;
    return true;
}

enum http_next stream_admin_create(struct request *r) {
    const struct stream_body *body = r->body;
    struct stream_change *s = stream_change_new(r, STREAM_CREATE, answer_created);
    if (s == NULL) {
        return HTTP_ANSWER;
    }
    for (enum stream_method m = STREAM_PUSH; m <= STREAM_WEBHOOK; m++) {
        if (strcmp(body->method, stream_method_name(m)) == 0) {
            s->edit.method = m;
        }
    }
    if (s->edit.method == 0) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD,
                              "method: \"push\", \"poll\" or \"webhook\"");
    }
    if (!read_edit(r, &s->edit, body)) {
        return HTTP_ANSWER;
    }
    s->edit.proxy = body->proxy;
    if (!s->edit.has_events) {
        s->edit.events = s->edit.method == STREAM_WEBHOOK ? SIGNAL_ALL : SIGNAL_SSF;
    }
    return stream_submit(s);
}

enum http_next stream_admin_update(struct request *r) {
    struct stream_change *s = stream_change_new(r, STREAM_UPDATE, answer_changed);
    if (s == NULL || !read_if_match(r, &s->version) || !read_edit(r, &s->edit, r->body)) {
        return HTTP_ANSWER;
    }
    s->id = r->param[0];
    return stream_submit(s);
}

enum http_next stream_admin_delete(struct request *r) {
    struct stream_change *s = stream_change_new(r, STREAM_DELETE, answer_gone);
    if (s == NULL) {
        return HTTP_ANSWER;
    }
    s->id = r->param[0];
    return stream_submit(s);
}

enum http_next stream_admin_status(struct request *r) {
    const struct status_body *body = r->body;
    struct stream_change *s = stream_change_new(r, STREAM_STATUS, answer_changed);
    if (s == NULL) {
        return HTTP_ANSWER;
    }
    if (!stream_status_from_name(&s->status, body->status)) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD,
                              "status: \"enabled\", \"paused\" or \"disabled\"");
    }
    s->id = r->param[0];
    s->text = body->reason;
    return stream_submit(s);
}

enum http_next stream_admin_verify(struct request *r) {
    const struct verify_body *body = r->body;
    struct stream_change *s = stream_change_new(r, STREAM_VERIFY, answer_gone);
    if (s == NULL) {
        return HTTP_ANSWER;
    }
    s->id = r->param[0];
    s->text = body->state;
    return stream_submit(s);
}

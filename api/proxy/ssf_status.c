/* /v1/ssf/status and /v1/ssf/verify (Shared Signals Framework 1.0, sections 8.1.2 and 8.1.4). */
#include "api/proxy/ssf.h"

struct ssf_status_body {
    const char *stream_id, *status, *reason;
};
static const struct field status_fields[] = {
    {"stream_id", FIELD_TEXT, true, 1, 64, offsetof(struct ssf_status_body, stream_id)},
    {"status", FIELD_TEXT, true, 1, 16, offsetof(struct ssf_status_body, status)},
    {"reason", FIELD_TEXT, false, 0, 256, offsetof(struct ssf_status_body, reason)},
};
struct ssf_verify_body {
    const char *stream_id, *state;
};
static const struct field verify_fields[] = {
    {"stream_id", FIELD_TEXT, true, 1, 64, offsetof(struct ssf_verify_body, stream_id)},
    {"state", FIELD_TEXT, false, 1, 1024, offsetof(struct ssf_verify_body, state)},
};
const struct shape ssf_status_shape = SHAPE(status_fields, struct ssf_status_body);
const struct shape ssf_verify_shape = SHAPE(verify_fields, struct ssf_verify_body);

static enum http_next answer_row(struct request *r, const struct stream_row *row) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_text(&o, "stream_id", row->id);
    json_out_text(&o, "status", stream_status_name(row->status));
    if (row->reason[0] != '\0') {
        json_out_text(&o, "reason", row->reason);
    }
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

enum http_next ssf_status_show(struct request *r) {
    const struct ssf_query *query = r->query;
    struct stream_row *row = arena_alloc(r->x->arena, sizeof *row);
    if (row == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return ssf_read(r, row, query->stream_id) ? answer_row(r, row) : HTTP_ANSWER;
}

static enum http_next answer_changed(struct change *c) {
    return answer_row(c->r, &((struct stream_change *)c)->row);
}

static enum http_next answer_accepted(struct change *c) {
    return answer_empty(c->r);
}

/* The change, once the stream is known to be the framework's. */
static struct stream_change *begin(struct request *r, enum stream_op op, const char *id,
                                   const char *text, enum http_next (*answer)(struct change *c)) {
    struct stream_row *row = arena_alloc(r->x->arena, sizeof *row);
    if (row == NULL) {
        (void)problem(r->x, PROBLEM_INTERNAL);
        return NULL;
    }
    if (!ssf_read(r, row, id)) {
        return NULL;
    }
    struct stream_change *s = stream_change_new(r, op, answer);
    if (s != NULL) {
        s->id = id;
        s->text = text;
    }
    return s;
}

enum http_next ssf_status_update(struct request *r) {
    const struct ssf_status_body *body = r->body;
    struct stream_change *s =
        begin(r, STREAM_STATUS, body->stream_id, body->reason, answer_changed);
    if (s == NULL) {
        return HTTP_ANSWER;
    }
    if (!stream_status_from_name(&s->status, body->status)) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD,
                              "status: \"enabled\", \"paused\" or \"disabled\"");
    }
    return stream_submit(s);
}

enum http_next ssf_verify(struct request *r) {
    const struct ssf_verify_body *body = r->body;
    struct stream_change *s =
        begin(r, STREAM_VERIFY, body->stream_id, body->state, answer_accepted);
    return s == NULL ? HTTP_ANSWER : stream_submit(s);
}

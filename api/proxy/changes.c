/* GET /v1/changes: changes in trust as server-sent events, for as long as the proxy listens. */
#include "api/handlers.h"
#include "api/identify.h"
#include "server/fleet/change_stream.h"

#include <string.h>

struct changes_query {
    const char *snapshot, *model, *after;
};

static const struct field query_fields[] = {
    {"snapshot", FIELD_TEXT, false, 4, 4, offsetof(struct changes_query, snapshot)},
    {"model", FIELD_TEXT, false, 1, STORE_NAME - 1, offsetof(struct changes_query, model)},
    {"after", FIELD_TEXT, false, 1, 19, offsetof(struct changes_query, after)},
};
const struct shape changes_query_shape = SHAPE(query_fields, struct changes_query);

/* What the exchange holds while it streams. */
struct following {
    struct request *r;
    struct http_stream stream;
    struct change_reader *reader;
};

static void wake(void *context) {
    struct http_exchange *x = context;
    x->resume(x);
}

static void release(struct request *r) {
    struct following *f = r->held;
    change_reader_close(f->reader);
}

/* A proxy that is disabled, or removed, hears no more. */
static ptrdiff_t read_changes(void *context, uint8_t *out, size_t max, bool stopping) {
    struct following *f = context;
    if (identify(f->r) != STATUS_OK) {
        change_reader_deny(f->reader);
    }
    return change_reader_read(f->reader, out, max, stopping);
}

/* A seq: decimal digits alone. */
static bool read_seq(int64_t *out, const char *text) {
    size_t len = strlen(text);
    int64_t seq = 0;
    if (len == 0 || len > 18 || strspn(text, "0123456789") != len) {
        return false;
    }
    for (; *text != '\0'; text++) {
        seq = seq * 10 + (*text - '0');
    }
    *out = seq;
    return true;
}

/* Where to begin: Last-Event-ID, which only a reader that goes on sends; then what the query says. False:
 * the answer is a problem. */
static bool read_start(struct request *r, struct change_start *start) {
    const struct changes_query *query = r->query;
    size_t count = 0;
    const char *last = r->x->request_header(r->x, "Last-Event-ID", &count);
    *start = (struct change_start){.after = -1};
    if (count > 1 || (last != NULL && !read_seq(&start->after, last))) {
        (void)problem_detail(r->x, PROBLEM_BAD_REQUEST, "Last-Event-ID: one id of this stream");
        return false;
    }
    if (query == NULL) {
        return true;
    }
    if (query->after != NULL &&
        !read_seq(last == NULL ? &start->after : &(int64_t){0}, query->after)) {
        (void)problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "after: a seq");
        return false;
    }
    if (query->snapshot != NULL && strcmp(query->snapshot, "true") != 0) {
        (void)problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "snapshot: \"true\" or nothing");
        return false;
    }
    if (query->model != NULL && !name_is_valid(query->model)) {
        (void)problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "model: the name of one");
        return false;
    }
    if (query->model != NULL) {
        text_copy(start->model, sizeof start->model, query->model);
    }
    start->snapshot = query->snapshot != NULL && last == NULL;
    return true;
}

static enum http_next stream_changes(struct request *r, const struct change_start *start) {
    struct following *f = arena_alloc(r->x->arena, sizeof *f);
    if (f == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    *f = (struct following){.r = r, .stream = {f, read_changes}};
    enum status status = change_reader_open(&f->reader, r->api->options.changes, start, wake, r->x);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    r->held = f;
    r->release = release;
    /* The second keeps proxies in between from gathering what is to arrive at once. */
    if (!http_add_header(r->x, "Cache-Control", "no-store") ||
        !http_add_header(r->x, "X-Accel-Buffering", "no")) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    r->x->status = 200;
    r->x->content_type = "text/event-stream";
    r->x->stream = &f->stream;
    return HTTP_STREAM; /* and no body for HEAD */
}

enum http_next changes_stream(struct request *r) {
    struct change_start start;
    return read_start(r, &start) ? stream_changes(r, &start) : HTTP_ANSWER;
}

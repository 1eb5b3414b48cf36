/* Between libmicrohttpd's callbacks and a service's exchange. libmicrohttpd calls answer_request
 * once when the headers are in, then for each piece of the body, then once more; after a wait,
 * again. */
#include "server/transport/internal.h"

#include "server/base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIRST_BODY = 4096, POOL_EXTRA = 8 * 1024, SINK_PROGRESS = 64 * 1024 };

static const struct http_service *service_of(const struct exchange *ex) {
    return ex->connection->lane->plane->conf.service;
}

/* --- what services may ask ------------------------------------------------------------------ */

static void resume(struct http_exchange *x) {
    struct exchange *ex = (struct exchange *)x;
    worker_resume(ex->connection->lane->worker, ex);
}

struct search {
    const char *name, *value;
    size_t count;
};

static enum MHD_Result match(void *cls, enum MHD_ValueKind kind, const char *name,
                             const char *value) {
    struct search *search = cls;
    (void)kind;
    if (strcasecmp(name, search->name) == 0) {
        search->value = search->count == 0 ? value : search->value;
        search->count++;
    }
    return MHD_YES;
}

/* White space after a value is no part of it; older libmicrohttpds leave it there. */
static const char *trimmed(const struct http_exchange *x, const char *value) {
    size_t len = value == NULL ? 0 : strlen(value);
    size_t keep = len;
    while (keep != 0 && (value[keep - 1] == ' ' || value[keep - 1] == '\t')) {
        keep--;
    }
    return keep == len ? value : arena_text_n(x->arena, value, keep);
}

static const char *request_header(const struct http_exchange *x, const char *name, size_t *count) {
    const struct exchange *ex = (const struct exchange *)x;
    struct search search = {.name = name};
    (void)MHD_get_connection_values(ex->connection->mhd, MHD_HEADER_KIND, match, &search);
    if (count != NULL) {
        *count = search.count;
    }
    return trimmed(x, search.value);
}

/* --- an exchange's life --------------------------------------------------------------------- */

static void begin(struct exchange *ex, const char *uri) {
    struct connection *c = ex->connection;
    const struct transport_limits *limits = &c->lane->plane->conf.limits;
    *ex = (struct exchange){.connection = c, .stage = STAGE_HEADERS, .uri = uri};
    ex->uri_len = strlen(uri);
    /* The query comes on top of what the plane's configuration grants. */
    arena_init(&ex->arena, limits->arena_max + limits->header_max);
    struct http_exchange *x = &ex->x;
    x->peer = &c->peer;
    x->arena = &ex->arena;
    x->worker = c->lane->service_worker;
    x->resume = resume;
    x->request_header = request_header;
    const char *mark = strchr(uri, '?');
    x->query = mark == NULL ? "" : arena_text(&ex->arena, mark + 1);
    worker_request_id(c->lane->worker, x->request_id);
}

static void finish(struct exchange *ex) {
    const struct http_service *service = service_of(ex);
    if (ex->seen && service->ended != NULL) {
        service->ended(service->context, &ex->x);
    }
    worker_forget(ex->connection->lane->worker, ex);
    arena_free(&ex->arena);
    free(ex->body);
    ex->body = NULL;
    ex->stage = STAGE_NONE;
}

/* Has the service word a refusal. */
static void refuse(struct exchange *ex, enum http_refusal why) {
    static const unsigned status[] = {
        [HTTP_REFUSED_BODY_TOO_LARGE] = 413, [HTTP_REFUSED_LENGTH_REQUIRED] = 411,
        [HTTP_REFUSED_BAD_REQUEST] = 400,    [HTTP_REFUSED_OVERLOAD] = 503,
        [HTTP_REFUSED_HEADERS] = 431,        [HTTP_REFUSED_INTERNAL] = 500,
    };
    struct http_exchange *x = &ex->x;
    x->status = 0;
    x->content_type = NULL;
    x->answer = (struct bytes){0};
    x->num_headers = 0;
    ex->streams = false;
    ex->seen = true;
    service_of(ex)->refuse(service_of(ex)->context, x, why);
    if (x->status < 400 || x->status > 599) {
        x->status = status[why];
    }
}

/* --- answering ------------------------------------------------------------------------------ */

/* libmicrohttpd takes a buffer that it does not write to without const. */
static void *readable(const void *data) {
    union {
        const void *in;
        void *out;
    } pointer = {.in = data};
    return pointer.out;
}

static bool add(struct MHD_Response *response, const char *name, const char *value) {
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* --- streams --- */

static void resume_stream(struct exchange *ex) {
    struct connection *c = ex->connection;
    ex->dry = false;
    connection_enter(c, PHASE_SEND);
    MHD_resume_connection(c->mhd);
    c->lane->ready = true;
}

void http_stream_end(struct exchange *ex) {
    ex->connection->broken = ex->connection->broken || ex->connection->fin;
    resume_stream(ex);
}

/* As the service's read. Where libmicrohttpd has less room than was promised, through a piece of our own.
 */
static ptrdiff_t read_stream(struct exchange *ex, uint8_t *out, size_t max) {
    const struct http_stream *stream = ex->x.stream;
    bool stopping = ex->connection->lane->worker->stopping;
    if (ex->piece.len == 0 && max >= HTTP_STREAM_PIECE) {
        return stream->read(stream->context, out, max < RECORD_MAX ? max : RECORD_MAX, stopping);
    }
    if (ex->piece.len == 0) {
        if (ex->piece_room == NULL) {
            ex->piece_room = arena_alloc(&ex->arena, HTTP_STREAM_PIECE);
        }
        ptrdiff_t len = ex->piece_room == NULL ? HTTP_STREAM_END
                                               : stream->read(stream->context, ex->piece_room,
                                                              HTTP_STREAM_PIECE, stopping);
        if (len <= 0) {
            return len;
        }
        ex->piece = bytes_of(ex->piece_room, (size_t)len);
    }
    struct bytes some;
    if (bytes_take(&ex->piece, max < ex->piece.len ? max : ex->piece.len, &some) != STATUS_OK) {
        return HTTP_STREAM_END;
    }
    memcpy(out, some.data, some.len);
    return (ptrdiff_t)some.len;
}

/* MHD_ContentReaderCallback. */
static ssize_t stream_piece(void *cls, uint64_t position, char *out, size_t max) {
    struct exchange *ex = cls;
    struct connection *c = ex->connection;
    (void)position;
    if (c->broken || c->fin) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    ptrdiff_t len = read_stream(ex, (uint8_t *)out, max);
    if (len < 0 || (len == 0 && c->lane->worker->stopping)) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (len == 0) {
        ex->dry = true;
        connection_enter(c, PHASE_STREAM);
        MHD_suspend_connection(c->mhd);
    }
    return len;
}

/* libmicrohttpd would end the chunks of an answer to HEAD, which has none. */
static struct MHD_Response *body_of(const struct exchange *ex) {
    const struct http_exchange *x = &ex->x;
    if (!ex->streams || x->method == HTTP_HEAD) {
        return MHD_create_response_from_buffer(x->answer.len, readable(x->answer.data),
                                               MHD_RESPMEM_PERSISTENT);
    }
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_STREAM_PIECE, stream_piece,
                                             readable(ex), NULL);
}

static struct MHD_Response *compose(const struct exchange *ex, bool close) {
    const struct http_exchange *x = &ex->x;
    if (x->status < 200 || x->status > 599 || (x->answer.len != 0 && x->answer.data == NULL) ||
        (ex->streams && x->stream == NULL)) {
        return NULL;
    }
    struct MHD_Response *response = body_of(ex);
    if (response == NULL) {
        return NULL;
    }
    bool good =
        add(response, "X-Request-Id", x->request_id) &&
        (!close || add(response, MHD_HTTP_HEADER_CONNECTION, "close")) &&
        (x->content_type == NULL || add(response, MHD_HTTP_HEADER_CONTENT_TYPE, x->content_type));
    for (size_t i = 0; i < x->num_headers && good; i++) {
        good = add(response, x->header[i].name, x->header[i].value);
    }
    if (!good) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

static enum MHD_Result answer(struct exchange *ex, struct MHD_Connection *mhd, bool close) {
    struct connection *c = ex->connection;
    close = close || c->lane->worker->stopping;
    struct MHD_Response *response = compose(ex, close);
    if (response == NULL) {
        refuse(ex, HTTP_REFUSED_INTERNAL);
        response = compose(ex, close);
    }
    if (response == NULL) {
        return MHD_NO;
    }
    ex->stage = STAGE_ANSWERED;
    connection_enter(c, PHASE_SEND);
    enum MHD_Result result = MHD_queue_response(mhd, ex->x.status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse_request(struct exchange *ex, struct MHD_Connection *mhd,
                                      enum http_refusal why) {
    refuse(ex, why);
    ex->connection->unread = true;
    return answer(ex, mhd, true);
}

/* The answer as bytes, for what goes out beside libmicrohttpd. Empty when memory ran out. */
static struct bytes answer_bytes(struct exchange *ex) {
    struct http_exchange *x = &ex->x;
    const char *type = x->content_type != NULL ? x->content_type : "text/plain";
    const char *head = arena_printf(&ex->arena,
                                    "HTTP/1.1 %u %s\r\nConnection: close\r\nX-Request-Id: %s\r\n"
                                    "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                                    x->status, MHD_get_reason_phrase_for(x->status), x->request_id,
                                    type, x->answer.len);
    size_t len = head == NULL ? 0 : strlen(head) + x->answer.len;
    uint8_t *whole = head == NULL ? NULL : arena_alloc(&ex->arena, len);
    if (whole == NULL) {
        return (struct bytes){0};
    }
    struct writer out = writer_of(whole, len);
    write_bytes(&out, bytes_of_text(head));
    write_bytes(&out, x->answer);
    return writer_bytes(&out);
}

/* libmicrohttpd takes no answer in the middle of a body, so this one goes out beside it, and it is told to
 * close the connection. */
static enum MHD_Result answer_in_body(struct exchange *ex) {
    ex->connection->unread = true;
    struct bytes whole = answer_bytes(ex);
    if (whole.len != 0) {
        (void)connection_send(ex->connection, whole.data, whole.len);
    }
    ex->stage = STAGE_ANSWERED;
    return MHD_NO;
}

static enum MHD_Result refuse_body(struct exchange *ex) {
    refuse(ex, HTTP_REFUSED_BODY_TOO_LARGE);
    return answer_in_body(ex);
}

static enum http_refusal refusal_of(int status) {
    switch (status) {
    case MHD_HTTP_CONTENT_TOO_LARGE:
        return HTTP_REFUSED_BODY_TOO_LARGE;
    case MHD_HTTP_URI_TOO_LONG:
    case MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE:
        return HTTP_REFUSED_HEADERS;
    case MHD_HTTP_INTERNAL_SERVER_ERROR:
        return HTTP_REFUSED_INTERNAL;
    default:
        return HTTP_REFUSED_BAD_REQUEST;
    }
}

void http_before_send(struct connection *c, const char *first, size_t len) {
    struct exchange *ex = &c->exchange;
    static const char version[] = "HTTP/1.1 ";
    if (ex->stage == STAGE_ANSWERED || len < sizeof version + 3 ||
        memcmp(first, version, sizeof version - 1) != 0) {
        return;
    }
    int status = (int)strtol(first + sizeof version - 1, NULL, 10);
    if (status < 400) {
        return; /* 100: it asks for the body */
    }
    if (ex->stage == STAGE_NONE) {
        ex->connection = c;
        begin(ex, "");
    }
    if (ex->stage == STAGE_HEADERS) {
        ex->x.method = HTTP_OTHER;
        ex->x.method_name = ex->x.path = ex->x.query = "";
    }
    refuse(ex, refusal_of(status));
    ex->instead = answer_bytes(ex);
    ex->stage = STAGE_ANSWERED;
    c->unread = true;
    connection_enter(c, PHASE_SEND);
}

void http_closed(struct connection *c) {
    if (c->exchange.stage != STAGE_NONE) {
        finish(&c->exchange);
    }
}

/* --- the request ---------------------------------------------------------------------------- */

static enum http_method method_of(const char *name) {
    static const char *const names[] = {
        [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum http_method)i;
        }
    }
    return HTTP_OTHER;
}

static size_t body_max(const struct exchange *ex) {
    return ex->x.sink != NULL ? ex->x.sink->max : ex->connection->lane->plane->conf.limits.body_max;
}

static enum MHD_Result headers(struct exchange *ex, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version) {
    struct connection *c = ex->connection;
    const struct transport_limits *limits = &c->lane->plane->conf.limits;
    struct http_exchange *x = &ex->x;
    bool query_fits = x->query != NULL;
    x->method = method_of(method);
    x->method_name = method;
    x->path = url;
    x->query = query_fits ? x->query : "";
    x->received_us = clock_monotonic_us();
    count_one(&c->lane->counters.requests);
    enum framing framing = http_framing(ex, mhd, method, url, version, limits->header_max);
    if (framing == FRAMING_HEADERS_TOO_LARGE || !query_fits) {
        return refuse_request(ex, mhd, HTTP_REFUSED_HEADERS);
    }
    if (framing != FRAMING_GOOD) {
        return refuse_request(ex, mhd, HTTP_REFUSED_BAD_REQUEST);
    }
    const struct http_service *service = service_of(ex);
    if (ex->content_length > limits->body_max && ex->content_length > service->sink_max) {
        return refuse_request(ex, mhd, HTTP_REFUSED_BODY_TOO_LARGE);
    }
    ex->seen = true;
    if (service->admit != NULL) {
        service->admit(service->context, x);
        if (x->status != 0 && ex->expects_body) {
            c->unread = true;
            return answer(ex, mhd, true);
        }
    }
    if (ex->content_length > body_max(ex)) {
        return refuse_request(ex, mhd, HTTP_REFUSED_BODY_TOO_LARGE);
    }
    ex->stage = STAGE_BODY;
    if (ex->expects_body) {
        connection_enter(c, PHASE_BODY);
    }
    return MHD_YES;
}

static bool grow(struct exchange *ex, size_t need, size_t max) {
    size_t cap = ex->body_cap;
    if (cap == 0) {
        cap = ex->content_length != 0 ? (size_t)ex->content_length : FIRST_BODY;
        cap = cap < need ? need : cap < FIRST_BODY * 16 ? cap : FIRST_BODY * 16;
    }
    while (cap < need) {
        cap = cap > max / 2 ? max : cap * 2;
    }
    uint8_t *grown = realloc(ex->body, cap);
    if (grown == NULL) {
        return false;
    }
    ex->body = grown;
    ex->body_cap = cap;
    return true;
}

/* Who sends little has to end; who sends a lot may take long. */
static enum MHD_Result pour(struct exchange *ex, const char *data, size_t *len) {
    const struct http_sink *sink = ex->x.sink;
    ex->body_len += *len;
    if (ex->body_len - ex->renewed_at >= SINK_PROGRESS) {
        ex->renewed_at = ex->body_len;
        connection_enter(ex->connection, PHASE_BODY);
    }
    if (!sink->take(sink->context, bytes_of(data, *len))) {
        return answer_in_body(ex);
    }
    *len = 0;
    return MHD_YES;
}

static enum MHD_Result body(struct exchange *ex, const char *data, size_t *len) {
    size_t max = body_max(ex);
    if (*len > max - ex->body_len) {
        return refuse_body(ex);
    }
    if (ex->x.sink != NULL) {
        return pour(ex, data, len);
    }
    if (ex->body_len + *len > ex->body_cap && !grow(ex, ex->body_len + *len, max)) {
        return MHD_NO;
    }
    memcpy(ex->body + ex->body_len, data, *len);
    ex->body_len += *len;
    *len = 0;
    return MHD_YES;
}

static enum MHD_Result served(struct exchange *ex, struct MHD_Connection *mhd,
                              enum http_next next) {
    if (next == HTTP_WAIT) {
        ex->stage = STAGE_WAITING;
        connection_enter(ex->connection, PHASE_WAIT);
        MHD_suspend_connection(mhd);
        return MHD_YES;
    }
    ex->streams = next == HTTP_STREAM;
    return answer(ex, mhd, false);
}

static enum MHD_Result answer_request(void *lane, struct MHD_Connection *mhd, const char *url,
                                      const char *method, const char *version, const char *upload,
                                      size_t *upload_len, void **context) {
    (void)lane;
    struct exchange *ex = *context;
    if (ex == NULL) {
        return MHD_NO;
    }
    const struct http_service *service = service_of(ex);
    switch (ex->stage) {
    case STAGE_HEADERS:
        return headers(ex, mhd, url, method, version);
    case STAGE_BODY:
        if (*upload_len != 0) {
            return body(ex, upload, upload_len);
        }
        if (ex->x.status != 0) {
            return answer(ex, mhd, false); /* by admit; any earlier it would end the connection */
        }
        ex->x.body = bytes_of(ex->body, ex->x.sink != NULL ? 0 : ex->body_len);
        return served(ex, mhd, service->handle(service->context, &ex->x));
    case STAGE_WAITING:
        return served(ex, mhd, service->finish(service->context, &ex->x));
    default:
        return MHD_NO;
    }
}

/* --- libmicrohttpd's other callbacks -------------------------------------------------------- */

/* The request line is in, and not yet cut up: what this returns is the request's context. */
static void *request_begins(void *lane, const char *uri, struct MHD_Connection *mhd) {
    (void)lane;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *c = info->socket_context;
    if (c->phase == PHASE_IDLE) {
        connection_enter(c, PHASE_HEADER); /* its first bytes came with the request before */
    }
    c->exchange.connection = c;
    begin(&c->exchange, uri == NULL ? "" : uri);
    return &c->exchange;
}

static void request_ended(void *lane, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code) {
    (void)lane;
    (void)mhd;
    (void)code;
    struct exchange *ex = *context;
    if (ex == NULL || ex->stage == STAGE_NONE) {
        return;
    }
    struct connection *c = ex->connection;
    bool answered = ex->stage == STAGE_ANSWERED;
    finish(ex);
    /* An answer of libmicrohttpd's own ends the connection, which stays in its phase until then. */
    if (answered && !c->broken) {
        connection_enter(c, PHASE_IDLE);
    }
}

static size_t leave_escaped(void *cls, struct MHD_Connection *mhd, char *text) {
    (void)cls;
    (void)mhd;
    return strlen(text);
}

struct MHD_Daemon *http_daemon_new(struct lane *lane) {
    /* Room for the headers as received, a record for each, and the answer's headers. */
    size_t header_max = lane->plane->conf.limits.header_max;
    size_t pool = header_max + header_max / 2 + POOL_EXTRA;
    /* From 1.0 on, "strict" means the RFCs; earlier it means to close without an answer. */
    int strict = strtol(MHD_get_version(), NULL, 10) >= 1 ? 1 : 0;
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO, 0,
        NULL, NULL, answer_request, lane, MHD_OPTION_NOTIFY_COMPLETED, request_ended, lane,
        MHD_OPTION_NOTIFY_CONNECTION, connection_notify, lane, MHD_OPTION_URI_LOG_CALLBACK,
        request_begins, lane, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)INT_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool, MHD_OPTION_STRICT_FOR_CLIENT, strict,
        MHD_OPTION_END);
}

void http_resumed(struct exchange *ex) {
    if (ex->dry) {
        resume_stream(ex);
    } else if (ex->stage == STAGE_WAITING) {
        MHD_resume_connection(ex->connection->mhd);
        ex->connection->lane->ready = true;
    }
}

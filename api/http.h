/* One HTTP request and its answer, as handlers see them: no socket, no library's types. The
 * transport fills the request and owns the exchange; a service answers at once, or says HTTP_WAIT
 * and has the exchange resumed later from any thread.
 *
 * Life: admit (headers are there, body is not) -> handle (body is there) -> [HTTP_WAIT ... resume()
 * from any thread ... finish, on the worker again] -> the answer is sent -> the exchange and its
 * arena end. A long body may be taken as it comes instead (http_sink), between admit and handle.
 * An answer's body may be produced over time (HTTP_STREAM): then read is called on the worker until
 * it says END, the peer is gone, or the peer takes nothing for the plane's idle time. */
#ifndef GATEHOUSE_API_HTTP_H
#define GATEHOUSE_API_HTTP_H

#include "server/base/arena.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OTHER };
enum {
    HTTP_MAX_CHAIN = 8,
    HTTP_MAX_HEADERS_OUT = 16,
    HTTP_REQUEST_ID_SIZE = 33,
    HTTP_ADDRESS_SIZE = 46
};

/* Who is at the other end: from the verified TLS session or the socket's kind only, never from
 * anything that the request says. Constant for the connection. */
struct http_peer {
    bool authenticated;      /* a client certificate verified against this plane's anchors, or
                                vouched for by its service; and the peer has its key */
    bool vouched;            /* by the service, and by no anchor of the plane */
    bool local;              /* came over the plane's Unix socket */
    uint8_t leaf_sha256[32]; /* of the leaf's DER, when authenticated */
    struct bytes chain[HTTP_MAX_CHAIN]; /* DER, leaf first; valid as long as the exchange */
    size_t num_chain;
    char address[HTTP_ADDRESS_SIZE]; /* numeric; "local" for a Unix socket */
};

struct http_header {
    const char *name, *value;
};

/* Takes a body piece by piece; nothing of it is kept. For bodies that are larger than the plane's
 * limit, or that nobody wants in memory. */
struct http_sink {
    void *context;
    size_t max; /* bytes of the whole body; more gets 413. At most the service's sink_max */
    /* The next piece, never empty; borrowed for the call, on the worker's thread. False: it has
     * answered, the rest is not read, and handle is not called. That answer is short (it has to fit
     * into the socket's buffer), and its headers are not sent but for Content-Type. */
    bool (*take)(void *context, struct bytes piece);
};

/* The body of an answer that is produced over time, for as long as the peer stays. A peer that ends
 * its own side of the connection has gone. */
enum { HTTP_STREAM_END = -1, HTTP_STREAM_PIECE = 4096 };
struct http_stream {
    void *context;
    /* On the worker's thread: writes the next bytes, and says how many, of at most `max`, which is
     * HTTP_STREAM_PIECE or more. 0: there are none now; it is called again after resume().
     * HTTP_STREAM_END: that was all. With `stopping` it is time for last words: what is given then
     * is still sent, and nothing is waited for. */
    ptrdiff_t (*read)(void *context, uint8_t *out, size_t max, bool stopping);
};

struct http_exchange {
    /* The request; constant for services. */
    enum http_method method;
    const char *method_name;
    const char *path;  /* as received, without the query, still percent-encoded */
    const char *query; /* after '?', raw; "" when there is none */
    struct bytes body; /* empty in admit() */
    const struct http_peer *peer;
    char request_id[HTTP_REQUEST_ID_SIZE]; /* hex; sent back as X-Request-Id */
    int64_t received_us;                   /* clock_monotonic_us at the headers' end */
    struct arena *arena;                   /* lives until the answer is sent */
    void *worker;                          /* what service->worker_new gave for this worker */
    void *state;                           /* the service's own, NULL at first */
    const struct http_sink *sink;          /* admit may set it: then `body` stays empty. Arena */

    /* The answer; the transport adds Date, Content-Length, Connection and X-Request-Id. */
    unsigned status;          /* 0 until answered */
    const char *content_type; /* static or arena; NULL with an empty body */
    struct bytes answer;      /* static, arena, or the service's until `ended` */
    struct http_header header[HTTP_MAX_HEADERS_OUT];
    size_t num_headers;
    const struct http_stream *stream; /* with HTTP_STREAM, in place of `answer`. Arena */

    /* Wakes the exchange after HTTP_WAIT: from any thread, exactly once for each HTTP_WAIT, also
     * before handle() has returned. Of a stream: any number of times, until ended() has returned. */
    void (*resume)(struct http_exchange *x);
    /* The value of a request header, name case-insensitive, NULL when absent. With `count` the
     * number of times it stands in the request is written there (a caller that must not be fooled
     * refuses > 1). */
    const char *(*request_header)(const struct http_exchange *x, const char *name, size_t *count);
};

enum http_next { HTTP_ANSWER, HTTP_WAIT, HTTP_STREAM };

/* What the transport refuses by itself; the service words the answer (RFC 9457). */
enum http_refusal {
    HTTP_REFUSED_BODY_TOO_LARGE,  /* 413, before the body is read */
    HTTP_REFUSED_LENGTH_REQUIRED, /* 411, reserved */
    HTTP_REFUSED_BAD_REQUEST,     /* 400: method or framing we do not take */
    HTTP_REFUSED_OVERLOAD,        /* 503 */
    HTTP_REFUSED_HEADERS,         /* 431: request line and headers exceed the plane's limit */
    HTTP_REFUSED_INTERNAL         /* 500: a service broke its promise, or memory ran out */
};

/* One plane's behaviour. Every callback runs on the worker's thread and must not block. */
struct http_service {
    void *context;
    /* The largest body that any of its sinks takes; 0 when it has none. A body beyond the plane's
     * limit and within this one is refused only after admit has set no sink for it. A body that is
     * taken by a sink has the plane's time for each 64 KiB, and not for the whole. */
    size_t sink_max;
    /* A context for one worker (its store reader, ...), and its end, both on the worker's own
     * thread. NULL from worker_new: no start. */
    void *(*worker_new)(void *context, unsigned worker);
    void (*worker_free)(void *worker);
    /* In the handshake: a client's certificate that is well made, but leads to no anchor of the
     * plane (and to nothing else that stands against it there). DER, leaf first. True takes it for
     * this connection, provided that the peer proves to have its key; the service verifies the
     * chain itself. NULL: the plane's anchors alone decide. */
    bool (*vouch)(void *context, void *worker, const struct bytes *chain, size_t num);
    /* Headers are in: fill an answer (x->status != 0) to refuse before the body is read. May be
     * NULL. */
    void (*admit)(void *context, struct http_exchange *x);
    /* The whole request is in. Fill the answer and return HTTP_ANSWER, or HTTP_STREAM with `stream`
     * filled, too; or return HTTP_WAIT. */
    enum http_next (*handle)(void *context, struct http_exchange *x);
    /* After resume(): as handle. */
    enum http_next (*finish)(void *context, struct http_exchange *x);
    /* Word the answer. Where the request could not be read, method_name, path and query are "". */
    void (*refuse)(void *context, struct http_exchange *x, enum http_refusal why);
    /* The answer was handed to the kernel, or the connection ended: for logs and counters. May be
     * NULL. */
    void (*ended)(void *context, const struct http_exchange *x);
};

/* Adds a header to the answer; false when there are HTTP_MAX_HEADERS_OUT already. Strings static or
 * arena. */
MUST_USE bool http_add_header(struct http_exchange *x, const char *name, const char *value);

#endif

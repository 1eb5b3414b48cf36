/* Requests to receivers over HTTP, several at a time on one thread: POST, once, with no redirect
 * followed, no proxy of the environment, no credentials but those given, and every address looked at
 * before it is connected to (outbound_address.h). What a receiver answers is kept up to a bound, and
 * the rest is not read. Home of libcurl with server/commands.
 * Belongs to one thread, but for outbound_wake. */
#ifndef GATEHOUSE_FLEET_OUTBOUND_H
#define GATEHOUSE_FLEET_OUTBOUND_H

#include "server/fleet/outbound_address.h"

enum { OUTBOUND_ANSWER_MAX = 16 * 1024, OUTBOUND_HEADERS_MAX = 4 };

struct outbound_options {        /* borrowed; outlives it */
    const struct network *allow; /* beside public addresses */
    size_t num_allow;
    bool http;           /* http:// is taken beside https:// */
    const char *ca_file; /* PEM: who receivers are verified against. NULL: the system's */
    int64_t timeout_ms;  /* of a whole request */
};

/* Whether a URL may be a receiver's: https, with a host and without user, password and fragment. An
 * address in it is looked at; what a name leads to is only known when it is connected to.
 * MALFORMED: it is no such URL; DENIED: its address is not allowed; MEMORY. Thread-safe. */
MUST_USE enum status outbound_check_url(const struct outbound_options *options, const char *url,
                                        struct detail *detail);

enum outbound_result {
    OUTBOUND_ANSWERED = 1, /* http_status says how */
    OUTBOUND_REFUSED,      /* by us: every address that the name leads to is one not allowed */
    OUTBOUND_FAILED        /* no answer: name, connection, TLS, time; the detail says which */
};

struct outbound_request { /* zero-initialised; the caller's, and untouched by it until done */
    const char *url;
    const char *header[OUTBOUND_HEADERS_MAX]; /* "Name: value"; NULL ends */
    struct bytes body;
    void (*done)(struct outbound_request *request); /* from outbound_run */
    void *context;
    /* What came of it: */
    enum outbound_result result;
    unsigned http_status;
    int64_t retry_after_s; /* 0: the receiver named none */
    uint8_t answer[OUTBOUND_ANSWER_MAX];
    size_t answer_len;
    struct detail detail;
    void *transfer; /* outbound's own; NULL: not under way */
};

struct outbound;
/* curl_global_init was called. INTERNAL, MEMORY. */
MUST_USE enum status outbound_new(struct outbound **out, const struct outbound_options *options,
                                  struct detail *detail);
/* What is under way ends without done. NULL is allowed. */
void outbound_free(struct outbound *outbound);
/* OK: done will be called. MEMORY. */
MUST_USE enum status outbound_start(struct outbound *outbound, struct outbound_request *request);
/* Takes a request back: done is not called. Nothing happens when it is not under way. */
void outbound_cancel(struct outbound *outbound, struct outbound_request *request);
/* Moves what is under way, and calls done for what has ended; waits at most so long for either, or
 * until it is woken. */
void outbound_run(struct outbound *outbound, int timeout_ms);
void outbound_wake(struct outbound *outbound); /* from any thread */

#endif

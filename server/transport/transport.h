/* TLS 1.3 (wolfSSL) under HTTP/1.1 (libmicrohttpd), on N worker threads of one event loop each.
 * Knows no route: what a plane does is its http_service. See api/http.h for the life of a request.
 * Each plane has its own listeners, trust anchors and limits; a connection never changes plane. */
#ifndef GATEHOUSE_TRANSPORT_H
#define GATEHOUSE_TRANSPORT_H

#include "api/http.h"
#include "server/base/log.h"

enum { TRANSPORT_MAX_PLANES = 8, TRANSPORT_MAX_LISTEN = 4 };

enum transport_security {
    TRANSPORT_TLS_SERVER, /* the server authenticates; no client certificate is asked for */
    TRANSPORT_TLS_MUTUAL, /* a client certificate of the plane's anchors, or one that its service
                             vouches for (api/http.h), or no connection */
    TRANSPORT_PLAIN       /* no TLS: the public plane */
};

/* 0 takes the default, but for body_max (no bodies) and connections_per_ip (no limit). */
struct transport_limits {
    size_t body_max;      /* bytes; more gets 413 */
    size_t header_max;    /* bytes of request line and headers; more gets 431. Default 16 KiB; at
                                    least 64 KiB for the proxy plane. A connection holds half as much again */
    size_t arena_max;     /* bytes of request memory beside the body; default 256 KiB */
    unsigned connections; /* in all, over all workers; default 16384. More are closed at once */
    unsigned
        connections_per_ip; /* over all workers; an IPv6 /64 counts as one; Unix sockets are exempt */
    unsigned handshake_ms; /* from accepting to the end of the handshake; default 10 s */
    unsigned header_ms; /* from then, or from a further request's first byte, to the headers' end;
                                    default 10 s */
    unsigned body_ms;   /* from there to the body's end; default 30 s */
    unsigned idle_ms;   /* between requests, and for a peer that takes none of an answer; default
                                    60 s. The service's own time has no limit */
};

struct transport_plane {
    const char *name;                         /* for logs */
    const char *listen[TRANSPORT_MAX_LISTEN]; /* "127.0.0.1:8443", "[::]:8443", "unix:/path"; NULL
                                                 ends. Port 0 picks one. Unix sockets speak plain
                                                 HTTP whatever `security` says. */
    unsigned unix_mode;                       /* permissions of the Unix socket, such as 0660 */
    enum transport_security security;
    const char *certificate_file, *key_file; /* PEM chain, PEM key; NULL for TRANSPORT_PLAIN */
    const char *anchors_file;                /* PEM; for TRANSPORT_TLS_MUTUAL */
    bool tls12;                              /* also accept TLS 1.2 */
    struct transport_limits limits;
    const struct http_service *service; /* borrowed; outlives the transport */
};

struct transport_options {
    unsigned workers;      /* 0: one a core */
    const struct log *log; /* may be NULL */
};

struct transport;

/* Binds every listener, loads every certificate, starts the workers. On failure nothing is left
 * running and the detail names plane and cause. `planes` is copied, its strings too. */
MUST_USE enum status transport_start(struct transport **out,
                                     const struct transport_options *options,
                                     const struct transport_plane *planes, size_t num_planes,
                                     struct detail *detail);

/* The port that plane's first TCP listener is bound to (for port 0); 0 when it has none. */
uint16_t transport_port(const struct transport *t, const char *plane);

/* Reads certificates, keys and anchors again; new connections use them, old ones go on. On failure
 * the old ones stay in force for all planes. Thread-safe. */
MUST_USE enum status transport_reload(struct transport *t, struct detail *detail);

/* Stops accepting, lets requests in progress end (answers carry Connection: close), then ends
 * whatever is left when `grace_ms` are over, and joins the workers. Every HTTP_WAIT must still get
 * its resume(). */
void transport_stop(struct transport *t, unsigned grace_ms);
void transport_free(struct transport *t); /* after transport_stop; NULL is allowed */

/* Counters since the start, over all workers; for /metrics. */
struct transport_counters {
    uint64_t accepted, refused_cap, refused_ip_cap, handshakes, handshake_failures,
        handshake_timeouts, requests;
    uint64_t open; /* connections now */
};
void transport_count(const struct transport *t, const char *plane, struct transport_counters *out);

#endif

/* What the files of the transport share. Nothing outside server/transport includes this.
 *
 * transport: everything. plane: one listener's configuration and caps, shared by all workers.
 * worker: one thread, one epoll. lane: one plane on one worker, with its own libmicrohttpd daemon,
 * whose epoll descriptor nests in the worker's. connection: one socket, for its whole life on one
 * lane.
 *
 * A connection's descriptor stands in two epoll sets: in the worker's, for the handshake and
 * afterwards only to learn that the peer has ended its side; and in libmicrohttpd's,
 * edge-triggered, for requests. */
#ifndef GATEHOUSE_TRANSPORT_INTERNAL_H
#define GATEHOUSE_TRANSPORT_INTERNAL_H

#include "server/transport/transport.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

struct WOLFSSL;     /* wolfSSL's session */
struct WOLFSSL_CTX; /* and context; both are its own structs */

enum {
    RECEIVE_SIZE = 16 * 1024 + 512, /* one TLS record of the largest size, and its frame */
    RECORD_MAX = 16 * 1024,         /* bytes of plaintext in one record */
    WHY_SIZE = 96,
    LINGER_MS = 2000 /* how long an answered peer may take to see the answer */
};

enum source_kind { SOURCE_WAKE, SOURCE_LISTENER, SOURCE_LANE, SOURCE_CONNECTION };

/* What an epoll event points to: the first member of what it is about. */
struct source {
    enum source_kind kind;
};

/* --- counting connections (caps.c) ---------------------------------------------------------- */

/* An IPv4 address, mapped, or the first 64 bits of an IPv6 address: what one customer line holds.
 */
struct address {
    uint8_t bytes[16];
};

struct address_counts; /* thread-safe */
struct address_counts *address_counts_new(void);
void address_counts_free(struct address_counts *counts);
/* Counts one more, unless there are `max` already or memory ran out: then false. */
MUST_USE bool address_counts_add(struct address_counts *counts, const struct address *address,
                                 unsigned max);
void address_counts_drop(struct address_counts *counts, const struct address *address);

/* Fills key and text from what accept() gave. */
void address_read(struct address *key, char text[static HTTP_ADDRESS_SIZE],
                  const struct sockaddr_storage *from);

/* --- planes --------------------------------------------------------------------------------- */

struct anchor { /* DER, malloc'ed */
    uint8_t *der;
    size_t len;
};

struct plane {
    struct transport_plane conf;  /* its strings are copies */
    pthread_mutex_t context_lock; /* guards context and anchor */
    struct WOLFSSL_CTX *context;  /* NULL for plain planes */
    struct anchor anchor;         /* an authority of context; empty where no service vouches */
    atomic_uint open;             /* connections, over all workers */
    struct address_counts *per_address; /* NULL: no limit */
    int local_fd[TRANSPORT_MAX_LISTEN]; /* Unix sockets, shared by the workers; -1 */
    uint16_t tcp_port[TRANSPORT_MAX_LISTEN];
};

/* A reference that the caller gives back with plane_context_drop. NULL on a plain plane. */
struct WOLFSSL_CTX *plane_context(struct plane *plane);
/* Gives it back; after its session. Under the same lock: wolfSSL counts with relaxed atomics, and
 * the last one frees what other threads have read. */
void plane_context_drop(struct plane *plane, struct WOLFSSL_CTX *context);

/* --- listeners (listener.c) ----------------------------------------------------------------- */

struct listener {
    struct source source;
    struct lane *lane;
    int fd;
    bool local; /* a Unix socket: the descriptor belongs to the plane */
};

/* Binds to *port of the address (its own port part is not looked at) and listens. 0 picks one,
 * written there. The `first` of an address finds out whether another process has it. INVALID for
 * what is not a numeric address, CONFLICT when it is in use, INTERNAL otherwise. */
MUST_USE enum status listen_tcp(int *fd, uint16_t *port, const char *address, bool first,
                                struct detail *detail);
MUST_USE enum status listen_unix(int *fd, const char *path, unsigned mode, struct detail *detail);
bool listen_is_unix(const char *address);
const char *listen_unix_path(const char *address);
/* The port in "host:port". INVALID. */
MUST_USE enum status listen_port(uint16_t *port, const char *address, struct detail *detail);

/* --- connections (connection.c) ------------------------------------------------------------- */

/* What a connection is doing: each has a deadline of its own, but WAIT. */
enum phase {
    PHASE_HANDSHAKE,
    PHASE_HEADER, /* from the handshake's end, or the request's first byte, to the headers' end */
    PHASE_BODY,
    PHASE_SEND, /* since bytes last went out */
    PHASE_IDLE,
    PHASE_LINGER, /* answered and shut down; what still comes is thrown away */
    PHASE_STREAM, /* a stream waits for its service: no deadline, but a list */
    PHASE_WAIT,   /* for the service: no deadline */
    NUM_PHASES
};

enum stage { STAGE_NONE, STAGE_HEADERS, STAGE_BODY, STAGE_WAITING, STAGE_ANSWERED };

struct exchange {
    struct http_exchange x; /* first: services hold a pointer to it */
    struct connection *connection;
    enum stage stage;
    bool seen; /* by the service */
    bool expects_body;
    uint64_t content_length;
    const char *uri; /* as received; uri_len bytes before libmicrohttpd cut it up */
    size_t uri_len;
    uint8_t *body;
    size_t body_len, body_cap;
    size_t renewed_at;   /* of a body that a sink takes: its length when its time last began anew */
    bool streams;        /* the answer is a stream */
    bool dry;            /* and it waits for its service; suspended in libmicrohttpd */
    struct bytes piece;  /* of a stream, read and not yet taken; in the arena */
    uint8_t *piece_room; /* HTTP_STREAM_PIECE bytes; NULL: not needed yet */
    struct bytes instead; /* goes out in place of what libmicrohttpd says; in the arena */
    struct arena arena;
    bool resumed; /* on worker->resumed; under its lock */
    struct exchange *next_resumed;
};

/* What the service said of the peer's certificate. */
enum vouching { VOUCHING_UNASKED, VOUCHING_NO, VOUCHING_YES };

struct connection {
    struct source source;
    struct lane *lane;
    int fd;
    struct WOLFSSL *ssl;         /* NULL when plain, and after the end */
    struct WOLFSSL_CTX *context; /* its context, from plane_context; NULL as ssl */
    struct MHD_Connection *mhd;  /* NULL before libmicrohttpd has it */
    enum phase phase;            /* NUM_PHASES: in no list */
    struct connection *prev,
        *next; /* in the lane's list of its phase; next also in worker->ended */
    int64_t deadline_ms;
    struct bytes in;  /* received and not yet given to wolfSSL: in worker->receive or in stash */
    uint8_t *stash;   /* owns leftovers of `in` between calls */
    size_t pending;   /* plaintext bytes of a record that the kernel did not take whole */
    uint8_t *replies; /* protocol answers that the kernel did not take at once */
    size_t replies_len;
    unsigned refills;   /* receives in this call */
    bool drained;       /* the kernel had no more, in this call */
    bool reading;       /* wolfSSL is called to read */
    bool ended_reading; /* wolfSSL has told the end of the stream */
    bool fin; /* epoll has told that the peer ended its side; there may be bytes before that */
    bool peer_ended; /* that end was read, or close_notify */
    bool broken;     /* the session cannot be used any more */
    bool heard;      /* a byte of a request has arrived, ever */
    bool unread;     /* we answered and did not read all that the peer sends */
    bool ended;      /* on worker->ended: events that still come are stale */
    bool counted;    /* per address */
    struct address address;
    struct http_peer peer;
    uint8_t *chain; /* what peer.chain points into */
    enum vouching vouching;
    uint8_t *stand_in; /* see tls_verify.c */
    struct exchange exchange;
};

struct phase_list {
    struct connection *first, *last; /* sorted by deadline: all of one phase have the same time */
};

struct lane_counters {
    atomic_uint_fast64_t accepted, refused_cap, refused_address_cap, handshakes, handshake_failures,
        handshake_timeouts, requests; /* written by the worker only */
};

struct lane {
    struct source source;
    struct worker *worker;
    struct plane *plane;
    struct MHD_Daemon *daemon;
    bool ready; /* the daemon has something to do */
    void *service_worker;
    struct listener listeners[TRANSPORT_MAX_LISTEN];
    size_t num_listeners;
    struct phase_list phases[NUM_PHASES];
    struct lane_counters counters;
};

/* Accepts what waits at a listener, up to a batch. */
void connection_accept(struct listener *listener);
/* There is something to read, in the handshake or at the end. */
void connection_event(struct connection *c, uint32_t events);
/* The peer of an established connection may have ended its side. */
void connection_stream_event(struct connection *c, uint32_t events);
/* Enters a phase and starts its time. */
void connection_enter(struct connection *c, enum phase phase);
/* Its deadline has passed. */
void connection_expired(struct connection *c);
/* Ends a connection that libmicrohttpd has, from outside: both directions are shut down, which it
 * sees as an event. Not for waiting ones. */
void connection_kill(struct connection *c);
/* MHD_OPTION_NOTIFY_CONNECTION. */
void connection_notify(void *lane, struct MHD_Connection *mhd, void **context,
                       enum MHD_ConnectionNotificationCode code);
/* Frees what has ended: only when no event of the current round points to it. */
void connection_free(struct connection *c);

/* --- TLS (tls_context.c, tls_session.c, tls_socket.c) --------------------------------------- */

/* *anchor is what struct plane says of it; the caller frees it. */
MUST_USE enum status tls_context_new(struct WOLFSSL_CTX **out, struct anchor *anchor,
                                     const struct transport_plane *plane, struct detail *detail);
/* wolfSSL's verify callback (tls_verify.c); its structs. */
struct WOLFSSL_X509_STORE_CTX;
int tls_verify_peer(int good, struct WOLFSSL_X509_STORE_CTX *store);
void tls_context_free(struct WOLFSSL_CTX *context);

enum handshake { HANDSHAKE_DONE, HANDSHAKE_MORE, HANDSHAKE_MORE_WRITE, HANDSHAKE_FAILED };

/* MEMORY. */
MUST_USE enum status tls_session_new(struct connection *c, struct WOLFSSL_CTX *context);
/* Makes the sessions of a context use their connections' descriptors. */
void tls_session_configure(struct WOLFSSL_CTX *context);
/* One step; on FAILED the text may say why. */
enum handshake tls_session_handshake(struct connection *c, char why[static WHY_SIZE]);
/* As recv, for a descriptor that libmicrohttpd polls edge-triggered: short only when the kernel has no
 * more. At the end of the stream, which makes no event of its own, the descriptor is nudged. */
ssize_t tls_session_receive(struct connection *c, void *buf, size_t len);
/* How many bytes went out; fewer than `len` when the kernel is full, and then the caller comes back with
 * the rest, or when the session is broken. */
size_t tls_session_write(struct connection *c, const uint8_t *data, size_t len);
/* Sends close_notify when that is possible. */
void tls_session_close(struct connection *c);
void tls_session_free(struct connection *c);

/* The connections of this thread whose descriptors libmicrohttpd has, by descriptor. */
struct socket_table {
    struct connection **by_fd;
    size_t num;
};
void socket_table_use(struct socket_table *table); /* for the calling thread; NULL ends */
MUST_USE bool socket_table_add(struct socket_table *table, struct connection *c);
struct connection *socket_table_find(const struct socket_table *table, int fd);
void socket_table_remove(struct socket_table *table, const struct connection *c);
void socket_table_free(struct socket_table *table);

/* The C library's recv and send, without EINTR and SIGPIPE. */
ssize_t socket_receive(int fd, void *buf, size_t len);
ssize_t socket_send(int fd, const void *data, size_t len);
/* Makes a new event on a descriptor at the end of its stream. */
void socket_nudge(const struct connection *c);
/* send() for a connection of this thread. */
ssize_t connection_send(struct connection *c, const void *data, size_t len);

/* --- HTTP (http.c, http_framing.c) ---------------------------------------------------------- */

/* NULL when libmicrohttpd refuses. */
struct MHD_Daemon *http_daemon_new(struct lane *lane);
/* The service has been woken: lets libmicrohttpd call again. */
void http_resumed(struct exchange *ex);
/* Ends a stream that waits: with its last words, or, when its peer is gone, without. */
void http_stream_end(struct exchange *ex);
/* libmicrohttpd is about to send the first of these bytes. When it is an error answer of its own, for what
 * it could not parse, the service words a better one, left in exchange.instead. */
void http_before_send(struct connection *c, const char *first, size_t len);
/* The connection ends. */
void http_closed(struct connection *c);

enum framing { FRAMING_GOOD, FRAMING_BAD, FRAMING_HEADERS_TOO_LARGE };
/* Looks at the request line and headers as libmicrohttpd parsed them, and fills expects_body and
 * content_length. */
enum framing http_framing(struct exchange *ex, struct MHD_Connection *mhd, const char *method,
                          const char *url, const char *version, size_t header_max);

/* --- workers (worker.c) --------------------------------------------------------------------- */

struct worker {
    struct transport *transport;
    unsigned index;
    pthread_t thread;
    bool started; /* the thread exists */
    int epoll_fd, wake_fd;
    struct source wake;
    struct lane *lanes;
    size_t num_lanes;
    struct socket_table sockets;
    int64_t now_ms;
    int64_t accept_again_ms; /* accepting rests until then: no descriptors; 0 */
    bool listening, stopping;
    int64_t stop_ms;          /* when the grace ends */
    size_t num_connections;   /* all that are not freed */
    struct connection *ended; /* to be freed after this round */
    uint64_t random[2];       /* for request ids */
    pthread_mutex_t resumed_lock;
    struct exchange *resumed; /* under the lock; newest first */
    atomic_bool stop;         /* asked by transport_stop */
    atomic_uint grace_ms;
    uint8_t receive[RECEIVE_SIZE];
    uint8_t gather[RECORD_MAX];
};

/* Makes a worker and its daemons, without its thread. */
MUST_USE enum status worker_init(struct worker *worker, struct transport *transport, unsigned index,
                                 struct detail *detail);
void *worker_main(void *worker);
void worker_wake(struct worker *worker);
void worker_cleanup(struct worker *worker);
/* Queues an exchange, unless it is queued: any thread. */
void worker_resume(struct worker *worker, struct exchange *ex);
/* Takes it out of the queue: nobody resumes it any more. */
void worker_forget(struct worker *worker, struct exchange *ex);
/* 32 hex digits and a terminator. */
void worker_request_id(struct worker *worker, char out[static HTTP_REQUEST_ID_SIZE]);

struct transport {
    const struct log *log;
    struct plane *planes;
    size_t num_planes;
    struct worker *workers;
    unsigned num_workers, num_initialised;
    pthread_mutex_t reload_lock;
    pthread_mutex_t start_lock; /* the workers' reports */
    pthread_cond_t start_changed;
    unsigned num_ready, num_failed;
    struct detail start_detail;
};
/* A worker says how its start went. */
void transport_report(struct transport *t, bool good, const struct detail *detail);

static inline void count_one(atomic_uint_fast64_t *counter) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

#endif

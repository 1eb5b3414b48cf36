#include "server/transport/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 32, DRAIN_BATCH = 8, ACCEPT_REST_MS = 100 };

/* --- phases and their time ------------------------------------------------------------------ */

static void leave(struct connection *c) {
    if (c->phase < PHASE_WAIT) {
        struct phase_list *list = &c->lane->phases[c->phase];
        *(c->prev != NULL ? &c->prev->next : &list->first) = c->next;
        *(c->next != NULL ? &c->next->prev : &list->last) = c->prev;
        c->prev = c->next = NULL;
    }
    c->phase = NUM_PHASES;
}

static int64_t phase_ms(const struct lane *lane, enum phase phase) {
    const struct transport_limits *limits = &lane->plane->conf.limits;
    switch (phase) {
    case PHASE_HANDSHAKE:
        return limits->handshake_ms;
    case PHASE_HEADER:
        return limits->header_ms;
    case PHASE_BODY:
        return limits->body_ms;
    case PHASE_SEND:
    case PHASE_IDLE:
        return limits->idle_ms;
    default:
        return LINGER_MS;
    }
}

void connection_enter(struct connection *c, enum phase phase) {
    leave(c);
    c->phase = phase;
    if (phase < PHASE_WAIT) {
        struct phase_list *list = &c->lane->phases[phase];
        c->deadline_ms =
            phase == PHASE_STREAM ? INT64_MAX : c->lane->worker->now_ms + phase_ms(c->lane, phase);
        c->prev = list->last;
        *(c->prev != NULL ? &c->prev->next : &list->first) = c;
        list->last = c;
    }
}

/* --- the end -------------------------------------------------------------------------------- */

/* The descriptor is closed, or someone else's. Events of this round may still point here. */
static void end(struct connection *c) {
    struct worker *worker = c->lane->worker;
    leave(c);
    tls_session_free(c);
    c->ended = true;
    c->next = worker->ended;
    worker->ended = c;
}

/* Taken out of the epoll set by hand: a process that was forked and has not called exec yet holds
 * the socket, too, and as long as it does, closing ours alone would let events come on. */
static void close_and_end(struct connection *c) {
    (void)epoll_ctl(c->lane->worker->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    (void)close(c->fd);
    end(c);
}

void connection_free(struct connection *c) {
    struct plane *plane = c->lane->plane;
    if (c->counted) {
        address_counts_drop(plane->per_address, &c->address);
    }
    (void)atomic_fetch_sub(&plane->open, 1);
    c->lane->worker->num_connections--;
    free(c->chain);
    free(c->stand_in);
    free(c);
}

static bool watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = &c->source};
    return epoll_ctl(c->lane->worker->epoll_fd, operation, c->fd, &event) == 0;
}

/* Closing a socket with unread bytes resets the connection, and the peer may lose our answer: so
 * our side is shut down, and what comes is thrown away for a while. */
static void linger(struct connection *c, int watch_operation) {
    tls_session_free(c);
    (void)shutdown(c->fd, SHUT_WR);
    if (watch(c, watch_operation, EPOLLIN)) {
        connection_enter(c, PHASE_LINGER);
    } else {
        close_and_end(c);
    }
}

static void drain(struct connection *c) {
    for (int i = 0; i < DRAIN_BATCH; i++) {
        ssize_t n = recv(c->fd, c->lane->worker->receive, RECEIVE_SIZE, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            close_and_end(c);
            return;
        }
        if (n < 0) {
            return;
        }
    }
}

void connection_kill(struct connection *c) {
    if (c->phase == PHASE_HANDSHAKE || c->phase == PHASE_LINGER) {
        close_and_end(c);
        return;
    }
    if (c->mhd == NULL) {
        /* libmicrohttpd gave up on it before it began, and closed the descriptor. */
        socket_table_remove(&c->lane->worker->sockets, c);
        end(c);
        return;
    }
    tls_session_close(c);
    c->broken = true;
    (void)shutdown(c->fd, SHUT_RDWR);
    leave(c);
    c->lane->ready = true;
}

void connection_expired(struct connection *c) {
    if (c->phase == PHASE_HANDSHAKE) {
        count_one(&c->lane->counters.handshake_timeouts);
    }
    connection_kill(c);
}

/* libmicrohttpd is about to close the descriptor. */
static void closed(struct connection *c) {
    bool lingers = c->unread && !c->peer_ended && !c->broken;
    http_closed(c);
    socket_table_remove(&c->lane->worker->sockets, c);
    tls_session_close(c);
    /* A descriptor of our own outlives libmicrohttpd's; the old one leaves our epoll set by name,
     * since its socket goes on (as it may do in a forked process). */
    int fd = lingers ? fcntl(c->fd, F_DUPFD_CLOEXEC, 0) : -1;
    (void)epoll_ctl(c->lane->worker->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    if (fd < 0) {
        end(c);
        return;
    }
    c->fd = fd;
    linger(c, EPOLL_CTL_ADD);
}

void connection_notify(void *lane, struct MHD_Connection *mhd, void **context,
                       enum MHD_ConnectionNotificationCode code) {
    struct connection *c = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        c = socket_table_find(&((struct lane *)lane)->worker->sockets, info->connect_fd);
        c->mhd = mhd;
        *context = c;
    } else if (c != NULL) {
        *context = NULL;
        c->mhd = NULL;
        closed(c);
    }
}

/* --- the beginning -------------------------------------------------------------------------- */

/* Gives the descriptor to libmicrohttpd, which closes it in any case. */
static void hand_over(struct connection *c) {
    struct worker *worker = c->lane->worker;
    if (!socket_table_add(&worker->sockets, c)) {
        close_and_end(c);
        return;
    }
    connection_enter(c, PHASE_HEADER);
    /* The address is ours to know; libmicrohttpd only copies one. */
    static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    if (MHD_add_connection(c->lane->daemon, c->fd, &nowhere, sizeof nowhere) == MHD_NO &&
        !c->ended) {
        socket_table_remove(&worker->sockets, c);
        end(c);
    }
    c->lane->ready = true;
}

static void handshake_failed(struct connection *c, const char *why) {
    count_one(&c->lane->counters.handshake_failures);
    log_event(c->lane->worker->transport->log, LOG_INFO, "handshake_failed",
              log_str("plane", c->lane->plane->conf.name), log_str("address", c->peer.address),
              log_str("why", why));
    if (c->peer_ended) {
        close_and_end(c);
    } else {
        linger(c, EPOLL_CTL_MOD); /* the peer may be told by an alert */
    }
}

static void shake_hands(struct connection *c) {
    char why[WHY_SIZE] = "";
    enum handshake result = tls_session_handshake(c, why);
    if (result == HANDSHAKE_MORE_WRITE) {
        (void)watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    } else if (result == HANDSHAKE_FAILED) {
        handshake_failed(c, why);
    } else if (result == HANDSHAKE_DONE) {
        count_one(&c->lane->counters.handshakes);
        /* From here on requests are libmicrohttpd's to poll; an end of the stream is ours to see.
         */
        if (watch(c, EPOLL_CTL_MOD, EPOLLRDHUP | EPOLLET)) {
            hand_over(c);
        } else {
            close_and_end(c);
        }
    }
}

void connection_event(struct connection *c, uint32_t events) {
    c->fin = c->fin || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (c->phase == PHASE_HANDSHAKE) {
        shake_hands(c);
    } else if (c->phase == PHASE_LINGER) {
        drain(c);
    }
}

void connection_stream_event(struct connection *c, uint32_t events) {
    if (c->ended || c->mhd == NULL || (events & EPOLLRDHUP) == 0) {
        return;
    }
    c->fin = true;
    if (c->phase == PHASE_STREAM) {
        http_stream_end(&c->exchange);
        return;
    }
    /* libmicrohttpd may have had this event together with the last bytes, and read only those. */
    if (c->phase != PHASE_WAIT && !c->peer_ended) {
        (void)shutdown(c->fd, SHUT_RD);
    }
}

static struct connection *create(struct lane *lane, int fd) {
    struct connection *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->source.kind = SOURCE_CONNECTION;
        c->lane = lane;
        c->fd = fd;
        c->phase = NUM_PHASES;
        lane->worker->num_connections++;
    }
    return c;
}

/* Takes a place under the caps; on false a counter says why. */
static bool admit(struct lane *lane, const struct address *address, bool local, bool *counted) {
    struct plane *plane = lane->plane;
    const struct transport_limits *limits = &plane->conf.limits;
    *counted = false;
    if (atomic_fetch_add(&plane->open, 1) >= limits->connections) {
        (void)atomic_fetch_sub(&plane->open, 1);
        count_one(&lane->counters.refused_cap);
        return false;
    }
    if (plane->per_address != NULL && !local) {
        if (!address_counts_add(plane->per_address, address, limits->connections_per_ip)) {
            (void)atomic_fetch_sub(&plane->open, 1);
            count_one(&lane->counters.refused_address_cap);
            return false;
        }
        *counted = true;
    }
    return true;
}

static void begin(struct connection *c) {
    struct WOLFSSL_CTX *context = c->peer.local ? NULL : plane_context(c->lane->plane);
    if (context == NULL) {
        if (watch(c, EPOLL_CTL_ADD, EPOLLRDHUP | EPOLLET)) {
            hand_over(c);
        } else {
            close_and_end(c);
        }
        return;
    }
    c->context = context;
    enum status status = tls_session_new(c, context);
    if (status != STATUS_OK || !watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP | EPOLLET)) {
        close_and_end(c);
        return;
    }
    connection_enter(c, PHASE_HANDSHAKE);
}

static void accepted(struct listener *listener, int fd, const struct sockaddr_storage *from) {
    struct lane *lane = listener->lane;
    struct address address;
    char text[HTTP_ADDRESS_SIZE] = "local";
    bool counted = false;
    count_one(&lane->counters.accepted);
    if (!listener->local) {
        address_read(&address, text, from);
    }
    if (!admit(lane, &address, listener->local, &counted)) {
        (void)close(fd);
        return;
    }
    struct connection *c = create(lane, fd);
    if (c == NULL) {
        if (counted) {
            address_counts_drop(lane->plane->per_address, &address);
        }
        (void)atomic_fetch_sub(&lane->plane->open, 1);
        (void)close(fd);
        return;
    }
    c->counted = counted;
    if (counted) {
        c->address = address;
    }
    c->peer.local = listener->local;
    memcpy(c->peer.address, text, sizeof text);
    begin(c);
}

void connection_accept(struct listener *listener) {
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof from;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(listener, fd, &from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            struct worker *worker = listener->lane->worker;
            log_event(worker->transport->log, LOG_ERROR, "accept_failed",
                      log_str("plane", listener->lane->plane->conf.name),
                      log_str("why", strerror(errno)));
            worker->accept_again_ms = worker->now_ms + ACCEPT_REST_MS;
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

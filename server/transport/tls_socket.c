/* recv, send and sendmsg, as libmicrohttpd calls them on a connection, with their TLS meaning. The
 * link wraps these three names (--wrap), for the whole program: a descriptor that is not a
 * connection of the calling worker goes to the C library untouched.
 *
 * libmicrohttpd polls edge-triggered and takes a short recv for "nothing more will be there without
 * a new event". So recv goes on until wolfSSL wants bytes that the kernel does not have; when what
 * follows is the end of the stream, which brings no new event, the descriptor is nudged to make
 * one. */
#include <wolfssl/options.h>

#include "server/transport/internal.h"

#include <wolfssl/ssl.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);

enum {
    MAX_REFILLS = 256,  /* receives in one recv: a peer that sends only protocol messages ends */
    MAX_REPLIES = 1024, /* bytes of protocol answers that a peer may leave unread */
    FIRST_TABLE = 1024
};

/* --- the table of this thread's connections ------------------------------------------------- */

/* Each worker looks only at its own. */
static _Thread_local const struct socket_table *sockets;

void socket_table_use(struct socket_table *table) {
    sockets = table;
}

bool socket_table_add(struct socket_table *table, struct connection *c) {
    size_t fd = (size_t)c->fd;
    if (fd >= table->num) {
        size_t num = table->num == 0 ? FIRST_TABLE : table->num;
        while (num <= fd) {
            num *= 2;
        }
        struct connection **grown = realloc(table->by_fd, num * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        memset(grown + table->num, 0, (num - table->num) * sizeof *grown);
        table->by_fd = grown;
        table->num = num;
    }
    table->by_fd[fd] = c;
    return true;
}

void socket_table_remove(struct socket_table *table, const struct connection *c) {
    if ((size_t)c->fd < table->num && table->by_fd[c->fd] == c) {
        table->by_fd[c->fd] = NULL;
    }
}

void socket_table_free(struct socket_table *table) {
    free(table->by_fd);
    *table = (struct socket_table){0};
}

struct connection *socket_table_find(const struct socket_table *table, int fd) {
    return table != NULL && fd >= 0 && (size_t)fd < table->num ? table->by_fd[fd] : NULL;
}

static struct connection *find(int fd) {
    return socket_table_find(sockets, fd);
}

/* --- under wolfSSL -------------------------------------------------------------------------- */

/* Gets more into c->in; wolfSSL's status when there is nothing. */
static int refill(struct connection *c) {
    free(c->stash);
    c->stash = NULL;
    c->in = (struct bytes){0};
    if (c->drained || c->refills == MAX_REFILLS) {
        return WOLFSSL_CBIO_ERR_WANT_READ;
    }
    c->refills++;
    uint8_t *buffer = c->lane->worker->receive;
    ssize_t n;
    do {
        n = __real_recv(c->fd, buffer, RECEIVE_SIZE, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        /* A short read has emptied the socket: what comes later makes a new event. But the end of
         * the stream may have come with the same event. */
        c->drained = (size_t)n < RECEIVE_SIZE && !c->fin;
        c->in = bytes_of(buffer, (size_t)n);
        return 0;
    }
    c->drained = true;
    if (n == 0) {
        /* The end is ours to tell: a wolfSSL that knew of it would send no close_notify. */
        c->peer_ended = true;
        return WOLFSSL_CBIO_ERR_WANT_READ;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? WOLFSSL_CBIO_ERR_WANT_READ
                                                   : WOLFSSL_CBIO_ERR_CONN_RST;
}

static int give_bytes(WOLFSSL *ssl, char *buf, int size, void *connection) {
    (void)ssl;
    struct connection *c = connection;
    if (c->in.len == 0) {
        int why = refill(c);
        if (why != 0) {
            return why;
        }
    }
    struct bytes some = {0};
    size_t len = (size_t)size < c->in.len ? (size_t)size : c->in.len;
    if (bytes_take(&c->in, len, &some) != STATUS_OK) {
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    memcpy(buf, some.data, some.len);
    return (int)some.len;
}

/* Keeps what wolfSSL has not taken, before the worker's buffer serves another connection. */
static void keep_rest(struct connection *c) {
    if (c->in.len == 0 || c->stash != NULL) {
        return;
    }
    c->stash = malloc(c->in.len);
    if (c->stash == NULL) {
        c->broken = true;
        c->in = (struct bytes){0};
        return;
    }
    memcpy(c->stash, c->in.data, c->in.len);
    c->in.data = c->stash;
}

/* Bytes that the kernel took, 0 when it is full, or a wolfSSL status. */
static int send_some(const struct connection *c, const void *data, size_t len) {
    ssize_t n;
    do {
        n = __real_send(c->fd, data, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return (int)n;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return 0;
    }
    return errno == EPIPE ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_CONN_RST;
}

/* Sends the protocol answers that the kernel did not take at once. */
static int send_replies(struct connection *c) {
    if (c->replies_len == 0) {
        return 0;
    }
    int n = send_some(c, c->replies, c->replies_len);
    if (n < 0) {
        return n;
    }
    c->replies_len -= (size_t)n;
    memmove(c->replies, c->replies + n, c->replies_len);
    if (c->replies_len != 0) {
        return WOLFSSL_CBIO_ERR_WANT_WRITE;
    }
    free(c->replies);
    c->replies = NULL;
    return 0;
}

/* While reading, wolfSSL answers a KeyUpdate. If it had to keep that for later, it would take it
 * for part of the next wolfSSL_write; so it is kept here. */
static int keep_reply(struct connection *c, const char *data, size_t len) {
    uint8_t *grown = len <= MAX_REPLIES && c->replies_len <= MAX_REPLIES - len
                         ? realloc(c->replies, c->replies_len + len)
                         : NULL;
    if (grown == NULL) {
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    memcpy(grown + c->replies_len, data, len);
    c->replies = grown;
    c->replies_len += len;
    return (int)len;
}

static int take_bytes(WOLFSSL *ssl, char *buf, int size, void *connection) {
    (void)ssl;
    struct connection *c = connection;
    int n = send_replies(c);
    if (n == 0) {
        n = send_some(c, buf, (size_t)size);
        n = n == 0 ? WOLFSSL_CBIO_ERR_WANT_WRITE : n;
    }
    if (n == WOLFSSL_CBIO_ERR_WANT_WRITE && c->reading) {
        return keep_reply(c, buf, (size_t)size);
    }
    return n;
}

void tls_socket_use(struct WOLFSSL_CTX *context) {
    wolfSSL_CTX_SetIORecv(context, give_bytes);
    wolfSSL_CTX_SetIOSend(context, take_bytes);
}

/* --- sessions ------------------------------------------------------------------------------- */

enum status tls_session_new(struct connection *c, struct WOLFSSL_CTX *context) {
    c->ssl = wolfSSL_new(context);
    if (c->ssl == NULL) {
        return STATUS_MEMORY;
    }
    wolfSSL_SetIOReadCtx(c->ssl, c);
    wolfSSL_SetIOWriteCtx(c->ssl, c);
    wolfSSL_SetCertCbCtx(c->ssl, c);
    wolfSSL_set_using_nonblock(c->ssl, 1);
    return STATUS_OK;
}

static void begin_reading(struct connection *c) {
    c->drained = false;
    c->refills = 0;
}

enum handshake tls_session_handshake(struct connection *c, char why[static WHY_SIZE]) {
    begin_reading(c);
    int result = wolfSSL_accept(c->ssl);
    int error = wolfSSL_get_error(c->ssl, result);
    keep_rest(c);
    if (c->broken) {
        return HANDSHAKE_FAILED;
    }
    if (result == WOLFSSL_SUCCESS) {
        c->peer.authenticated = c->peer.num_chain != 0;
        bool mutual = c->lane->plane->conf.security == TRANSPORT_TLS_MUTUAL;
        return c->peer.authenticated == mutual ? HANDSHAKE_DONE : HANDSHAKE_FAILED;
    }
    if (error == WOLFSSL_ERROR_WANT_READ && c->peer_ended) {
        (void)snprintf(why, WHY_SIZE, "the peer closed the connection");
        return HANDSHAKE_FAILED;
    }
    if (error == WOLFSSL_ERROR_WANT_READ && c->refills < MAX_REFILLS) {
        return HANDSHAKE_MORE;
    }
    if (error == WOLFSSL_ERROR_WANT_WRITE) {
        return HANDSHAKE_MORE_WRITE;
    }
    wolfSSL_ERR_error_string_n((unsigned long)error, why, WHY_SIZE);
    return HANDSHAKE_FAILED;
}

void tls_session_close(struct connection *c) {
    if (c->ssl != NULL && !c->broken && c->pending == 0) {
        c->reading = true; /* an alert that does not go out at once is not waited for */
        (void)wolfSSL_shutdown(c->ssl);
        c->broken = true;
    }
}

void tls_session_free(struct connection *c) {
    wolfSSL_free(c->ssl); /* takes NULL */
    c->ssl = NULL;
    if (c->context != NULL) {
        plane_context_drop(c->lane->plane, c->context);
        c->context = NULL;
    }
    free(c->stash);
    c->stash = NULL;
    c->in = (struct bytes){0};
    free(c->replies);
    c->replies = NULL;
    c->replies_len = 0;
}

/* --- receiving ------------------------------------------------------------------------------ */

/* Makes a new event on a descriptor at the end of its stream. */
static void nudge(const struct connection *c) {
    (void)shutdown(c->fd, SHUT_RD);
}

/* Reads until `len` bytes are there, or the kernel has no more. */
static size_t read_all(struct connection *c, uint8_t *buf, size_t len, bool *end) {
    size_t total = 0;
    *end = false;
    while (total < len && !*end && !c->broken) {
        size_t want = len - total < INT_MAX ? len - total : INT_MAX;
        int n = wolfSSL_read(c->ssl, buf + total, (int)want);
        if (n > 0) {
            total += (size_t)n;
            continue;
        }
        int error = wolfSSL_get_error(c->ssl, n);
        if (error == WOLFSSL_ERROR_WANT_READ) {
            *end = c->peer_ended;
            c->broken = c->refills == MAX_REFILLS;
            break;
        }
        *end = error == WOLFSSL_ERROR_ZERO_RETURN;
        c->broken = !*end;
    }
    return total;
}

static ssize_t receive_tls(struct connection *c, void *buf, size_t len) {
    bool end = c->ended_reading;
    size_t total = 0;
    if (!end) {
        begin_reading(c);
        c->reading = true;
        total = read_all(c, buf, len, &end);
        c->reading = false;
        keep_rest(c);
        c->ended_reading = end;
    }
    if (total > 0) {
        if (total < len && (end || c->broken || c->fin)) {
            nudge(c);
        }
        return (ssize_t)total;
    }
    if (end) {
        return 0;
    }
    errno = c->broken ? ECONNRESET : EAGAIN;
    return -1;
}

static ssize_t receive_plain(struct connection *c, void *buf, size_t len, int flags) {
    ssize_t n = __real_recv(c->fd, buf, len, flags);
    if (n == 0) {
        c->peer_ended = true;
    } else if (n > 0 && (size_t)n < len && c->fin) {
        nudge(c);
    }
    return n;
}

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags) {
    struct connection *c = find(fd);
    if (c == NULL) {
        return __real_recv(fd, buf, len, flags);
    }
    if (c->broken) {
        errno = ECONNRESET;
        return -1;
    }
    if (c->exchange.stage == STAGE_WAITING) {
        /* Woken, libmicrohttpd may read before it asks for the answer, and an end of the stream would
         * keep the answer from a peer that has only ended its own side. "Interrupted" means to it: not
         * now, but there may be something. */
        errno = EINTR;
        return -1;
    }
    ssize_t n = c->ssl != NULL ? receive_tls(c, buf, len) : receive_plain(c, buf, len, flags);
    if (n > 0) {
        c->heard = true;
        if (c->phase == PHASE_IDLE) {
            connection_enter(c, PHASE_HEADER);
        }
    }
    return n;
}

/* --- sending -------------------------------------------------------------------------------- */

/* Records, each retried as a whole: a caller that was told EAGAIN comes back with the same bytes.
 */
static size_t write_records(struct connection *c, const uint8_t *data, size_t len) {
    size_t total = 0;
    while (total < len && !c->broken) {
        size_t chunk = len - total < RECORD_MAX ? len - total : RECORD_MAX;
        if (c->pending > chunk) {
            c->broken = true;
            break;
        }
        chunk = c->pending != 0 ? c->pending : chunk;
        int n = wolfSSL_write(c->ssl, data + total, (int)chunk);
        if (n == (int)chunk) {
            c->pending = 0;
            total += chunk;
        } else if (n < 0 && wolfSSL_get_error(c->ssl, n) == WOLFSSL_ERROR_WANT_WRITE) {
            c->pending = chunk;
            break;
        } else {
            c->broken = true;
        }
    }
    return total;
}

static ssize_t progress(struct connection *c, ssize_t n) {
    if (n > 0 && c->phase == PHASE_SEND) {
        connection_enter(c, PHASE_SEND);
    }
    return n;
}

static ssize_t sent_or_error(struct connection *c, size_t total) {
    if (total == 0) {
        errno = c->broken ? EPIPE : EAGAIN;
        return -1;
    }
    return progress(c, (ssize_t)total);
}

ssize_t connection_send(struct connection *c, const void *data, size_t len) {
    if (c->broken) {
        errno = EPIPE;
        return -1;
    }
    if (c->ssl == NULL) {
        return progress(c, __real_send(c->fd, data, len, MSG_NOSIGNAL));
    }
    return len == 0 ? 0 : sent_or_error(c, write_records(c, data, len));
}

/* Sends what goes out in place of libmicrohttpd's bytes, and says then that those are out. */
static ssize_t send_instead(struct connection *c, size_t len) {
    struct bytes *instead = &c->exchange.instead;
    while (instead->len != 0) {
        ssize_t n = connection_send(c, instead->data, instead->len);
        struct bytes sent;
        if (n < 0 || bytes_take(instead, (size_t)n, &sent) != STATUS_OK) {
            return -1;
        }
    }
    return (ssize_t)len;
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags) {
    struct connection *c = find(fd);
    if (c == NULL) {
        return __real_send(fd, buf, len, flags);
    }
    http_before_send(c, buf, len);
    if (c->exchange.instead.data != NULL) {
        return send_instead(c, len);
    }
    if (c->ssl == NULL && !c->broken) {
        return progress(c, __real_send(fd, buf, len, flags | MSG_NOSIGNAL));
    }
    return connection_send(c, buf, len);
}

/* Fills `out` from the first bytes of the pieces. */
static size_t gather(uint8_t *out, size_t cap, const struct msghdr *msg) {
    size_t len = 0;
    for (size_t i = 0; i < msg->msg_iovlen && len < cap; i++) {
        size_t some = msg->msg_iov[i].iov_len < cap - len ? msg->msg_iov[i].iov_len : cap - len;
        if (some != 0) {
            memcpy(out + len, msg->msg_iov[i].iov_base, some);
            len += some;
        }
    }
    return len;
}

/* The first record holds headers and the beginning of the body, the others follow from the pieces.
 */
static ssize_t send_pieces(struct connection *c, const struct msghdr *msg) {
    uint8_t *first = c->lane->worker->gather;
    size_t len = gather(first, RECORD_MAX, msg), skip = len;
    size_t total = write_records(c, first, len);
    bool full = total < len;
    for (size_t i = 0; i < msg->msg_iovlen && !full; i++) {
        size_t piece = msg->msg_iov[i].iov_len;
        if (piece <= skip) {
            skip -= piece;
            continue;
        }
        const uint8_t *data = msg->msg_iov[i].iov_base;
        size_t sent = write_records(c, data + skip, piece - skip);
        full = sent < piece - skip;
        total += sent;
        skip = 0;
    }
    return sent_or_error(c, total);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags) {
    struct connection *c = find(fd);
    if (c == NULL || msg->msg_iovlen == 0) {
        return __real_sendmsg(fd, msg, flags);
    }
    http_before_send(c, msg->msg_iov[0].iov_base, msg->msg_iov[0].iov_len);
    if (c->exchange.instead.data != NULL) {
        size_t len = 0;
        for (size_t i = 0; i < msg->msg_iovlen; i++) {
            len += msg->msg_iov[i].iov_len;
        }
        return send_instead(c, len);
    }
    if (c->broken) {
        errno = EPIPE;
        return -1;
    }
    if (c->ssl == NULL) {
        return progress(c, __real_sendmsg(fd, msg, flags | MSG_NOSIGNAL));
    }
    return send_pieces(c, msg);
}

/* libmicrohttpd would set TCP_NODELAY, which our sockets have from their listener, and TCP_CORK. Told that
 * a socket knows no such option, it does not try again. */
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len) {
    if (find(fd) != NULL && level == IPPROTO_TCP) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return __real_setsockopt(fd, level, option, value, len);
}

/* recv, send and sendmsg, as libmicrohttpd calls them on a connection, with their TLS meaning. The
 * link wraps these names (--wrap), for the whole program: a descriptor that is not a connection of
 * the calling worker goes to the C library untouched.
 *
 * libmicrohttpd polls edge-triggered and takes a short recv for "nothing more will be there without
 * a new event". So recv goes on until wolfSSL wants bytes that the kernel does not have; when what
 * follows is the end of the stream, which brings no new event, the descriptor is nudged to make
 * one. */
#include "server/transport/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);

enum { FIRST_TABLE = 1024 };

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

ssize_t socket_receive(int fd, void *buf, size_t len) {
    ssize_t n;
    do {
        n = __real_recv(fd, buf, len, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

ssize_t socket_send(int fd, const void *data, size_t len) {
    ssize_t n;
    do {
        n = __real_send(fd, data, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* --- receiving ------------------------------------------------------------------------------ */

void socket_nudge(const struct connection *c) {
    (void)shutdown(c->fd, SHUT_RD);
}

static ssize_t receive_plain(struct connection *c, void *buf, size_t len, int flags) {
    ssize_t n = __real_recv(c->fd, buf, len, flags);
    if (n == 0) {
        c->peer_ended = true;
    } else if (n > 0 && (size_t)n < len && c->fin) {
        socket_nudge(c);
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
    ssize_t n =
        c->ssl != NULL ? tls_session_receive(c, buf, len) : receive_plain(c, buf, len, flags);
    if (n > 0) {
        c->heard = true;
        if (c->phase == PHASE_IDLE) {
            connection_enter(c, PHASE_HEADER);
        }
    }
    return n;
}

/* --- sending -------------------------------------------------------------------------------- */

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
    return len == 0 ? 0 : sent_or_error(c, tls_session_write(c, data, len));
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
    size_t total = tls_session_write(c, first, len);
    bool full = total < len;
    for (size_t i = 0; i < msg->msg_iovlen && !full; i++) {
        size_t piece = msg->msg_iov[i].iov_len;
        if (piece <= skip) {
            skip -= piece;
            continue;
        }
        const uint8_t *data = msg->msg_iov[i].iov_base;
        size_t sent = tls_session_write(c, data + skip, piece - skip);
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

/* TLS over a descriptor that never blocks: what wolfSSL reads and writes, and what is kept between two
 * events because wolfSSL, or the kernel, did not take it. */
#include <wolfssl/options.h>

#include "server/transport/internal.h"

#include <wolfssl/ssl.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_REFILLS = 256, /* receives in one recv: a peer that sends only protocol messages ends */
    MAX_REPLIES = 1024 /* bytes of protocol answers that a peer may leave unread */
};

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
    ssize_t n = socket_receive(c->fd, buffer, RECEIVE_SIZE);
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
    ssize_t n = socket_send(c->fd, data, len);
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

void tls_session_configure(struct WOLFSSL_CTX *context) {
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

/* --- receiving and sending ------------------------------------------------------------------ */

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

ssize_t tls_session_receive(struct connection *c, void *buf, size_t len) {
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
            socket_nudge(c);
        }
        return (ssize_t)total;
    }
    if (end) {
        return 0;
    }
    errno = c->broken ? ECONNRESET : EAGAIN;
    return -1;
}

/* Records, each retried as a whole: a caller that was told less comes back with the rest. */
size_t tls_session_write(struct connection *c, const uint8_t *data, size_t len) {
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

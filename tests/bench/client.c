#include <wolfssl/options.h>

#include "tests/bench/client.h"

#include "tests/bench/measure.h"

#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 256 * 1024, HEAD_MAX = 8192, TIMEOUT_S = 20 };

struct client_context {
    WOLFSSL_CTX *tls;
    const char *headers;
};

struct client {
    int fd;
    WOLFSSL *tls; /* NULL: plain */
    const char *headers;
    char *buffer; /* ANSWER_MAX + 1 */
    size_t body;  /* where the answer's body starts */
};

struct client_context *client_context_new(const char *anchors_file) {
    struct client_context *context = calloc(1, sizeof *context);
    if (context == NULL || wolfSSL_Init() != WOLFSSL_SUCCESS) {
        give_up("no TLS");
    }
    context->tls = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
    if (context->tls == NULL) {
        give_up("no TLS context");
    }
    if (anchors_file == NULL) {
        wolfSSL_CTX_set_verify(context->tls, WOLFSSL_VERIFY_NONE, NULL);
    } else if (wolfSSL_CTX_load_verify_locations(context->tls, anchors_file, NULL) !=
               WOLFSSL_SUCCESS) {
        give_up("cannot use %s", anchors_file);
    }
    context->headers = "";
    return context;
}

void client_context_headers(struct client_context *context, const char *lines) {
    context->headers = lines;
}

void client_context_free(struct client_context *context) {
    wolfSSL_CTX_free(context->tls);
    free(context);
}

static int dial(const char *where) {
    char host[64];
    const char *colon = strrchr(where, ':');
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (colon == NULL || (size_t)(colon - where) >= sizeof host) {
        return -1;
    }
    memcpy(host, where, (size_t)(colon - where));
    host[colon - where] = '\0';
    to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    if (fd < 0) {
        return -1;
    }
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int dial_unix(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) {
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool show(struct client *client, struct bytes certificate, struct bytes key) {
    return certificate.len == 0 ||
           (wolfSSL_use_certificate_chain_buffer(client->tls, certificate.data,
                                                 (long)certificate.len) == WOLFSSL_SUCCESS &&
            wolfSSL_use_PrivateKey_buffer(client->tls, key.data, (long)key.len,
                                          WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS);
}

static bool start_tls(struct client *client, struct client_context *context,
                      struct bytes certificate, struct bytes key) {
    client->tls = wolfSSL_new(context->tls);
    return client->tls != NULL && show(client, certificate, key) &&
           wolfSSL_UseKeyShare(client->tls, WOLFSSL_ECC_X25519) == WOLFSSL_SUCCESS &&
           wolfSSL_set_fd(client->tls, client->fd) == WOLFSSL_SUCCESS &&
           wolfSSL_connect(client->tls) == WOLFSSL_SUCCESS;
}

struct client *client_open(struct client_context *context, const char *where,
                           struct bytes certificate, struct bytes key) {
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    bool plain = strncmp(where, "unix:", 5) == 0;
    client->fd = plain ? dial_unix(where + 5) : dial(where);
    client->headers = context->headers;
    client->buffer = malloc(ANSWER_MAX + 1);
    if (client->fd < 0 || client->buffer == NULL ||
        (!plain && !start_tls(client, context, certificate, key))) {
        client_close(client);
        return NULL;
    }
    client->buffer[0] = '\0';
    return client;
}

void client_close(struct client *client) {
    if (client == NULL) {
        return;
    }
    if (client->tls != NULL) {
        (void)wolfSSL_shutdown(client->tls);
        wolfSSL_free(client->tls);
    }
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    free(client->buffer);
    free(client);
}

static bool send_all(struct client *client, const char *data, size_t len) {
    while (len > 0) {
        int n = client->tls == NULL ? (int)send(client->fd, data, len, MSG_NOSIGNAL)
                                    : wolfSSL_write(client->tls, data, (int)len);
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* The value of Content-Length; 0 when there is none. */
static size_t content_length(const char *head) {
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, "Content-Length:", 15) == 0) {
            return strtoul(line + 17, NULL, 10);
        }
    }
    return 0;
}

/* Waits as event loops do: who waits in recv() is woken by the server's every read, too. */
static int receive_plain(int fd, char *out, size_t cap) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    return poll(&waiting, 1, TIMEOUT_S * 1000) == 1 ? (int)recv(fd, out, cap, 0) : -1;
}

static unsigned receive(struct client *client) {
    size_t len = 0, whole = 0;
    client->body = 0;
    while (whole == 0 || len < whole) {
        if (len == ANSWER_MAX) {
            return 0;
        }
        int n = client->tls == NULL
                    ? receive_plain(client->fd, client->buffer + len, ANSWER_MAX - len)
                    : wolfSSL_read(client->tls, client->buffer + len, (int)(ANSWER_MAX - len));
        if (n <= 0) {
            return 0;
        }
        len += (size_t)n;
        client->buffer[len] = '\0';
        const char *end = whole == 0 ? strstr(client->buffer, "\r\n\r\n") : NULL;
        if (end != NULL) {
            client->body = (size_t)(end - client->buffer) + 4;
            whole = client->body + content_length(client->buffer);
        }
    }
    return len == whole && strncmp(client->buffer, "HTTP/1.1 ", 9) == 0
               ? (unsigned)strtoul(client->buffer + 9, NULL, 10)
               : 0;
}

unsigned client_request(struct client *client, const char *method, const char *path,
                        const char *body, size_t body_len) {
    char head[HEAD_MAX];
    int len;
    if (body == NULL) {
        len = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: gatehouse\r\n%s\r\n", method,
                       path, client->headers);
    } else {
        len = snprintf(head, sizeof head,
                       "%s %s HTTP/1.1\r\nHost: gatehouse\r\n%sContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       method, path, client->headers, body_len);
    }
    if (len < 0 || (size_t)len >= sizeof head) {
        return 0;
    }
    /* A small request goes out in one record, as it would from any client. */
    if (body != NULL && body_len > 0 && (size_t)len + body_len <= sizeof head) {
        memcpy(head + len, body, body_len);
        len += (int)body_len;
        body_len = 0;
    }
    if (!send_all(client, head, (size_t)len) || !send_all(client, body, body_len)) {
        return 0;
    }
    return receive(client);
}

bool client_send(struct client *client, const char *data, size_t len) {
    return send_all(client, data, len);
}

int client_descriptor(const struct client *client) {
    return client->fd;
}

long client_read_now(struct client *client, void *buf, size_t cap) {
    int n = wolfSSL_read(client->tls, buf, (int)cap);
    int why = n > 0 ? 0 : wolfSSL_get_error(client->tls, n);
    return n > 0 ? n : why == WOLFSSL_ERROR_WANT_READ || why == WOLFSSL_ERROR_WANT_WRITE ? 0 : -1;
}

const char *client_answer(const struct client *client) {
    return client->buffer + client->body;
}

bool client_field(const struct client *client, char *out, size_t cap, const char *name) {
    char key[64];
    (void)snprintf(key, sizeof key, "\"%s\"", name);
    const char *at = strstr(client_answer(client), key);
    if (at == NULL) {
        return false;
    }
    at += strlen(key);
    at += strspn(at, ": ");
    if (*at != '"') {
        return false;
    }
    size_t len = strcspn(at + 1, "\"");
    if (len >= cap) {
        return false;
    }
    memcpy(out, at + 1, len);
    out[len] = '\0';
    return true;
}

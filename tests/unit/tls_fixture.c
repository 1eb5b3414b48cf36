#include <wolfssl/options.h>

#include "tests/unit/tls_fixture.h"

#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* --- certificates --------------------------------------------------------------------------- */

static char folder[64];
static pid_t owner;

static const char recipe[] =
    "set -e; cd \"$1\"; exec 2>log\n"
    "ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256'\n"
    "root() { openssl req -x509 $ec -nodes -keyout $1.key -out $1.pem -subj /CN=$1 -days 30; }\n"
    "leaf() { # name authority usage days [key]\n"
    "  openssl req ${5:-$ec} -nodes -keyout $1.key -out $1.csr -subj /CN=$1\n"
    "  printf "
    "'basicConstraints=critical,CA:%s\\n%s\\nsubjectAltName=DNS:localhost,IP:127.0.0.1\\n' "
    "${6:-FALSE} \"$3\" >ext\n"
    "  valid=\"-days $4\" # OpenSSL 3.5 makes nothing that ends before it begins\n"
    "  if [ $4 -lt 0 ] && openssl x509 -help 2>&1 | grep -q not_before; then\n"
    "    valid='-not_before 20200101000000Z -not_after 20200102000000Z'; fi\n"
    "  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key $valid -extfile ext -out $1.pem; }\n"
    "server=extendedKeyUsage=serverAuth client=extendedKeyUsage=clientAuth\n"
    "root ca; root foreign-ca; root selfsigned\n"
    "leaf server ca $server 30; leaf server2 ca $server 30; leaf foreign-server foreign-ca $server "
    "30\n"
    "leaf client ca $client 30; leaf client2 ca $client 30; leaf foreign foreign-ca $client 30\n"
    "leaf client-rsa ca $client 30 '-newkey rsa:2048'\n"
    "leaf expired ca $client -1; leaf serverauth ca $server 30\n"
    "leaf middle-ca ca keyUsage=critical,keyCertSign 30 '' TRUE\n"
    "leaf client-chain middle-ca $client 30; cat middle-ca.pem >>client-chain.pem\n"
    "leaf maker-ca foreign-ca keyUsage=critical,keyCertSign 30 '' TRUE\n"
    "leaf idevid maker-ca $client 30; cat maker-ca.pem >>idevid.pem\n"
    "leaf idevid2 maker-ca $client 30; cp idevid2.pem alone.pem; cp idevid2.key alone.key\n"
    "cat maker-ca.pem foreign-ca.pem >>idevid2.pem\n";

/* Outside of a test Check has no way to report, so these end the program. */
static void need(bool good, const char *what) {
    if (!good) {
        (void)fprintf(stderr, "certificates for the test: %s\n", what);
        exit(1);
    }
}

static void run(const char *script, const char *argument) {
    char path[sizeof folder + 16];
    (void)snprintf(path, sizeof path, "%s/run.sh", folder);
    FILE *file = fopen(path, "w");
    need(file != NULL && fputs(script, file) >= 0 && fclose(file) == 0, "cannot write");
    char command[4 * sizeof folder + 64];
    (void)snprintf(command, sizeof command, "sh %s %s || { cat %s/log >&2; false; }", path,
                   argument, argument);
    need(system(command) == 0, "openssl failed");
}

static void remove_folder(void) {
    if (getpid() == owner) {
        char command[sizeof folder + 16];
        (void)snprintf(command, sizeof command, "rm -rf %s", folder);
        (void)!system(command);
    }
}

void pki_make(void) {
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%.40s/gatehouse-XXXXXX", tmp != NULL ? tmp : "/tmp");
    need(mkdtemp(folder) != NULL && atexit(remove_folder) == 0, "no folder");
    owner = getpid();
    run(recipe, folder);
}

const char *pki_file(const char *name) {
    static _Thread_local char paths[64][128];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 64];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

size_t pki_der(uint8_t **out, const char *name) {
    char file[64];
    (void)snprintf(file, sizeof file, "%s.pem", name);
    FILE *in = fopen(pki_file(file), "r");
    ck_assert_ptr_nonnull(in);
    unsigned char pem[16384];
    size_t len = fread(pem, 1, sizeof pem, in);
    (void)fclose(in);
    *out = malloc(len);
    ck_assert_ptr_nonnull(*out);
    int der_len = wolfSSL_CertPemToDer(pem, (int)len, *out, (int)len, CERT_TYPE);
    ck_assert_int_gt(der_len, 0);
    return (size_t)der_len;
}

void pki_copy(const char *from, const char *to) {
    char command[512];
    (void)snprintf(command, sizeof command, "cp %s %s", pki_file(from), pki_file(to));
    ck_assert_int_eq(system(command), 0);
}

/* --- the client ----------------------------------------------------------------------------- */

struct client {
    int fd;
    WOLFSSL_CTX *context;
    WOLFSSL *ssl;
    uint8_t *held;
    size_t held_len, held_cap;
    bool ended, clean, deaf;
    uint8_t ahead[65536]; /* plaintext read past the end of an answer */
    size_t ahead_len;
};

static void hold(struct client *c, const void *data, size_t len) {
    if (c->held_len + len > c->held_cap) {
        c->held_cap = (c->held_len + len) * 2;
        c->held = realloc(c->held, c->held_cap);
        ck_assert_ptr_nonnull(c->held);
    }
    if (len != 0) {
        memcpy(c->held + c->held_len, data, len);
        c->held_len += len;
    }
}

static int take_bytes(WOLFSSL *ssl, char *buf, int size, void *client) {
    (void)ssl;
    hold(client, buf, (size_t)size);
    return size;
}

static int give_bytes(WOLFSSL *ssl, char *buf, int size, void *client) {
    (void)ssl;
    struct client *c = client;
    if (c->deaf) {
        return WOLFSSL_CBIO_ERR_WANT_READ;
    }
    (void)client_flush(c);
    ssize_t n = recv(c->fd, buf, (size_t)size, 0);
    if (n > 0) {
        return (int)n;
    }
    if (n == 0) {
        return WOLFSSL_CBIO_ERR_CONN_CLOSE;
    }
    return errno == EAGAIN ? WOLFSSL_CBIO_ERR_WANT_READ : WOLFSSL_CBIO_ERR_CONN_RST;
}

static bool send_all(int fd, const uint8_t *data, size_t len) {
    while (len != 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

bool client_flush(struct client *c) {
    bool good = send_all(c->fd, c->held, c->held_len);
    c->held_len = 0;
    return good;
}

bool client_flush_in(struct client *c, size_t size, unsigned pause_us) {
    bool good = true;
    for (size_t at = 0; at < c->held_len && good; at += size) {
        size_t some = c->held_len - at < size ? c->held_len - at : size;
        good = send_all(c->fd, c->held + at, some);
        if (pause_us != 0) {
            (void)nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000L}, NULL);
        }
    }
    c->held_len = 0;
    return good;
}

void client_flush_part(struct client *c, size_t len) {
    ck_assert_uint_le(len, c->held_len);
    (void)send_all(c->fd, c->held, len);
    c->held_len = 0;
}

size_t client_held(const struct client *c) {
    return c->held_len;
}

static int dial(uint16_t port, const char *unix_path) {
    int fd = socket(unix_path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    int result;
    if (unix_path != NULL) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", unix_path);
        result = connect(fd, (struct sockaddr *)&at, sizeof at);
    } else {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        result = connect(fd, (struct sockaddr *)&at, sizeof at);
    }
    if (result != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void set_up_tls(struct client *c, const struct client_options *options) {
    c->context =
        wolfSSL_CTX_new(options->tls12 ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method());
    ck_assert_ptr_nonnull(c->context);
    char file[64];
    (void)snprintf(file, sizeof file, "%s.pem", options->trusts != NULL ? options->trusts : "ca");
    ck_assert_int_eq(wolfSSL_CTX_load_verify_locations(c->context, pki_file(file), NULL),
                     WOLFSSL_SUCCESS);
    if (options->certificate != NULL) {
        (void)snprintf(file, sizeof file, "%s.pem", options->certificate);
        ck_assert_int_eq(wolfSSL_CTX_use_certificate_chain_file(c->context, pki_file(file)),
                         WOLFSSL_SUCCESS);
        (void)snprintf(file, sizeof file, "%s.key", options->certificate);
        ck_assert_int_eq(
            wolfSSL_CTX_use_PrivateKey_file(c->context, pki_file(file), WOLFSSL_FILETYPE_PEM),
            WOLFSSL_SUCCESS);
    }
    if (options->cipher != NULL) {
        ck_assert_int_eq(wolfSSL_CTX_set_cipher_list(c->context, options->cipher), WOLFSSL_SUCCESS);
    }
    wolfSSL_CTX_SetIORecv(c->context, give_bytes);
    wolfSSL_CTX_SetIOSend(c->context, take_bytes);
    c->ssl = wolfSSL_new(c->context);
    ck_assert_ptr_nonnull(c->ssl);
    wolfSSL_SetIOReadCtx(c->ssl, c);
    wolfSSL_SetIOWriteCtx(c->ssl, c);
    if (options->groups != NULL) {
        int group = strcmp(options->groups, "x25519") == 0 ? WOLFSSL_ECC_X25519
                    : strcmp(options->groups, "p256") == 0 ? WOLFSSL_ECC_SECP256R1
                                                           : WOLFSSL_ECC_SECP384R1;
        ck_assert_int_eq(wolfSSL_set_groups(c->ssl, &group, 1), WOLFSSL_SUCCESS);
    }
}

struct client *client_connect(uint16_t port, const struct client_options *options) {
    static const struct client_options none = {0};
    options = options != NULL ? options : &none;
    int fd = dial(port, options->unix_path);
    if (fd < 0) {
        return NULL;
    }
    struct client *c = calloc(1, sizeof *c);
    ck_assert_ptr_nonnull(c);
    c->fd = fd;
    client_set_timeout(c, 5000);
    if (!options->plain && options->unix_path == NULL) {
        ck_assert_int_eq(wolfSSL_Init(), WOLFSSL_SUCCESS);
        set_up_tls(c, options);
    }
    return c;
}

bool client_handshake(struct client *c) {
    return c->ssl == NULL || wolfSSL_connect(c->ssl) == WOLFSSL_SUCCESS;
}

void client_begin(struct client *c) {
    c->deaf = true;
    ck_assert_int_ne(wolfSSL_connect(c->ssl), WOLFSSL_SUCCESS);
    c->deaf = false;
}

struct client *client_open(uint16_t port, const struct client_options *options) {
    struct client *c = client_connect(port, options);
    ck_assert_ptr_nonnull(c);
    ck_assert(client_handshake(c));
    return c;
}

void client_free(struct client *c) {
    if (c == NULL) {
        return;
    }
    (void)close(c->fd);
    if (c->ssl != NULL) {
        wolfSSL_free(c->ssl);
        wolfSSL_CTX_free(c->context);
        (void)wolfSSL_Cleanup();
    }
    free(c->held);
    free(c);
}

void client_reset(struct client *c) {
    struct linger now = {.l_onoff = 1};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client_free(c);
}

void client_write(struct client *c, const void *data, size_t len) {
    if (c->ssl == NULL) {
        hold(c, data, len);
    } else if (len != 0) {
        ck_assert_int_eq(wolfSSL_write(c->ssl, data, (int)len), (int)len);
    }
}

void client_print(struct client *c, const char *format, ...) {
    char text[8192];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ck_assert_int_lt(len, (int)sizeof text);
    client_write(c, text, (size_t)len);
}

static long receive(struct client *c, void *buf, size_t len) {
    if (c->ended) {
        return 0;
    }
    (void)client_flush(c);
    if (c->ssl == NULL) {
        ssize_t n = recv(c->fd, buf, len, 0);
        c->ended = c->clean = n == 0;
        c->ended = c->ended || (n < 0 && errno != EAGAIN);
        return n;
    }
    int n = wolfSSL_read(c->ssl, buf, (int)len);
    if (n <= 0) {
        int error = wolfSSL_get_error(c->ssl, n);
        c->clean = error == WOLFSSL_ERROR_ZERO_RETURN;
        c->ended = error != WOLFSSL_ERROR_WANT_READ;
        return c->clean ? 0 : -1;
    }
    return n;
}

long client_read(struct client *c, void *buf, size_t len) {
    if (c->ahead_len == 0) {
        return receive(c, buf, len);
    }
    size_t some = c->ahead_len < len ? c->ahead_len : len;
    memcpy(buf, c->ahead, some);
    c->ahead_len -= some;
    memmove(c->ahead, c->ahead + some, c->ahead_len);
    return (long)some;
}

void client_set_timeout(struct client *c, unsigned ms) {
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};
    ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time), 0);
}

bool client_at_clean_end(struct client *c) {
    char byte;
    return client_read(c, &byte, 1) == 0 && c->clean;
}

bool client_at_end(struct client *c) {
    char byte;
    return client_read(c, &byte, 1) <= 0 && c->ended;
}

void client_send_close_notify(struct client *c) {
    if (c->ssl != NULL) {
        (void)wolfSSL_shutdown(c->ssl);
    }
    (void)client_flush(c);
}

void client_half_close(struct client *c) {
    (void)client_flush(c);
    (void)shutdown(c->fd, SHUT_WR); /* the peer may have gone */
}

void client_update_keys(struct client *c) {
    ck_assert_int_eq(wolfSSL_update_keys(c->ssl), WOLFSSL_SUCCESS);
}

int client_fd(const struct client *c) {
    return c->fd;
}

struct WOLFSSL *client_ssl(struct client *c) {
    return c->ssl;
}

/* --- answers -------------------------------------------------------------------------------- */

static bool fill(struct client *c) {
    ck_assert_uint_lt(c->ahead_len, sizeof c->ahead);
    long n = receive(c, c->ahead + c->ahead_len, sizeof c->ahead - c->ahead_len);
    if (n > 0) {
        c->ahead_len += (size_t)n;
    }
    return n > 0;
}

static void consume(struct client *c, size_t len) {
    c->ahead_len -= len;
    memmove(c->ahead, c->ahead + len, c->ahead_len);
}

bool answer_header(const struct answer *answer, const char *name, char *out, size_t size) {
    size_t name_len = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n"); line != NULL && line[2] != '\0';
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, name_len) == 0 && line[2 + name_len] == ':') {
            const char *value = line + 2 + name_len + 1;
            value += strspn(value, " ");
            (void)snprintf(out, size, "%.*s", (int)strcspn(value, "\r"), value);
            return true;
        }
    }
    return false;
}

bool client_read_answer(struct client *c, struct answer *out, bool head_only) {
    const uint8_t *end;
    while ((end = memmem(c->ahead, c->ahead_len, "\r\n\r\n", 4)) == NULL) {
        if (!fill(c)) {
            return false;
        }
    }
    size_t head_len = (size_t)(end - c->ahead) + 4;
    *out = (struct answer){.head = calloc(1, head_len + 1)};
    ck_assert_ptr_nonnull(out->head);
    memcpy(out->head, c->ahead, head_len);
    consume(c, head_len);
    ck_assert_int_eq(sscanf(out->head, "HTTP/1.1 %3u ", &out->status), 1);
    char length[32] = "0";
    bool has_length = answer_header(out, "Content-Length", length, sizeof length);
    size_t want = head_only || !has_length ? 0 : (size_t)strtoul(length, NULL, 10);
    out->body = malloc(want + 1);
    ck_assert_ptr_nonnull(out->body);
    while (out->body_len < want) {
        long n = client_read(c, out->body + out->body_len, want - out->body_len);
        if (n <= 0) {
            answer_free(out);
            return false;
        }
        out->body_len += (size_t)n;
    }
    out->body[want] = '\0';
    return true;
}

void answer_free(struct answer *answer) {
    free(answer->head);
    free(answer->body);
    *answer = (struct answer){0};
}

struct answer client_ask(struct client *c, unsigned status, const char *request) {
    struct answer answer = {0};
    client_write(c, request, strlen(request));
    bool head_only = strncmp(request, "HEAD ", 5) == 0;
    ck_assert_msg(client_read_answer(c, &answer, head_only), "no answer to %.60s", request);
    ck_assert_msg(answer.status == status, "%u, not %u, to %.60s", answer.status, status, request);
    return answer;
}

void client_expect(struct client *c, unsigned status, const char *request) {
    struct answer answer = client_ask(c, status, request);
    answer_free(&answer);
}

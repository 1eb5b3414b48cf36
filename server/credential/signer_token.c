#include "server/credential/signer_token.h"

#include "server/credential/signer_keeper.h"
#include "server/crypto/pkcs11.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* An HSM over a network answers in milliseconds; one that is this late does not answer. */
enum { START_TIMEOUT_MS = 20000, SIGN_TIMEOUT_S = 10, MESSAGE_MAX = 1024, SOCKET = 0 };

/* --- the token's process -------------------------------------------------------------------- */

static bool say(const struct writer *w) {
    return !w->overflow &&
           sendto(SOCKET, w->data, w->len, MSG_NOSIGNAL, NULL, 0) == (ssize_t)w->len;
}

static bool say_hello(const struct pkcs11_key *key, enum status status,
                      const struct detail *detail) {
    uint8_t buffer[MESSAGE_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    struct public_key public;
    write_u8(&w, (uint8_t)status);
    if (status != STATUS_OK) {
        write_bytes(&w, bytes_of_text(detail->text));
        return say(&w);
    }
    pkcs11_public(key, &public);
    return public_key_to_spki(&w, &public) == STATUS_OK && say(&w);
}

/* The module must not find its own files where it expects standard output, nor write into them. */
static bool settle(int fd, int child_pid) {
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    return signer_detach(&fd, 1, child_pid) && open("/dev/null", O_RDWR) == SOCKET + 1 &&
           dup(SOCKET + 1) == SOCKET + 2 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0;
}

static _Noreturn void run(int fd, const char *uri, int child_pid) {
    struct pkcs11_key *key = NULL;
    struct detail detail = {0};
    if (!settle(fd, child_pid)) {
        _exit(EXIT_FAILURE);
    }
    enum status status = pkcs11_open(&key, uri, &detail);
    bool well = say_hello(key, status, &detail) && status == STATUS_OK;
    while (well) {
        uint8_t digest[DIGEST_MAX], buffer[MESSAGE_MAX];
        struct writer w = writer_of(buffer, sizeof buffer);
        ssize_t n = read(SOCKET, digest, sizeof digest);
        if (n <= 0) {
            break;
        }
        write_u8(&w, STATUS_OK);
        if (pkcs11_sign(key, bytes_of(digest, (size_t)n), &w) != STATUS_OK) {
            w = writer_of(buffer, sizeof buffer);
            write_u8(&w, STATUS_INTERNAL);
        }
        well = say(&w);
    }
    pkcs11_close(key);
    _exit(EXIT_SUCCESS);
}

/* --- the child's side ----------------------------------------------------------------------- */

struct token {
    int fd;
    bool signs; /* it did once: from then on it must */
};

static enum status ask(const struct token *token, struct bytes digest, struct writer *out) {
    uint8_t answer[MESSAGE_MAX];
    if (sendto(token->fd, digest.data, digest.len, MSG_NOSIGNAL, NULL, 0) != (ssize_t)digest.len) {
        return STATUS_INTERNAL;
    }
    ssize_t n = read(token->fd, answer, sizeof answer);
    if (n < 2 || answer[0] != STATUS_OK) {
        return STATUS_INTERNAL;
    }
    write_bytes(out, bytes_of(answer + 1, (size_t)n - 1));
    return out->overflow ? STATUS_LIMIT : STATUS_OK;
}

/* A private_key_signer. A signer that cannot sign is no signer: the gateway stops, and whoever watches
 * it starts it anew. */
static enum status sign(void *context, struct bytes digest, struct writer *out) {
    struct token *token = context;
    enum status status = ask(token, digest, out);
    if (status != STATUS_OK && token->signs) {
        _exit(EXIT_FAILURE);
    }
    token->signs = status == STATUS_OK;
    return status;
}

static enum status receive_hello(int fd, struct public_key *out, struct detail *detail) {
    uint8_t message[MESSAGE_MAX];
    struct pollfd one = {.fd = fd, .events = POLLIN};
    if (poll(&one, 1, START_TIMEOUT_MS) != 1) {
        return status_fail(detail, STATUS_EXPIRED, "the PKCS#11 module does not answer");
    }
    ssize_t n = read(fd, message, sizeof message);
    if (n < 1) {
        return status_fail(detail, STATUS_INTERNAL, "the PKCS#11 module ended its process");
    }
    if (message[0] != STATUS_OK) {
        return status_fail(
            detail, message[0] <= STATUS_INTERNAL ? (enum status)message[0] : STATUS_INTERNAL,
            "%.*s", (int)n - 1, (const char *)message + 1);
    }
    return public_key_from_spki(out, bytes_of(message + 1, (size_t)n - 1), detail);
}

enum status token_key(struct private_key **out, const char *uri, struct detail *detail) {
    const struct timeval patience = {.tv_sec = SIGN_TIMEOUT_S};
    struct public_key public;
    int ends[2];
    pid_t child = getpid();
    struct token *token = calloc(1, sizeof *token); /* as long as the key: until the end */
    if (token == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        free(token);
        return status_fail(detail, STATUS_INTERNAL, "no socketpair: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        run(ends[1], uri, (int)child);
    }
    (void)close(ends[1]);
    token->fd = ends[0];
    enum status status =
        pid < 0 || setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0
            ? status_fail(detail, STATUS_INTERNAL, "no process for the token: %s", strerror(errno))
            : receive_hello(ends[0], &public, detail);
    if (status == STATUS_OK && private_key_external(out, &public, sign, token) != STATUS_OK) {
        status = status_fail(detail, STATUS_UNSUPPORTED, "a key of this kind signs nothing here");
    }
    if (status != STATUS_OK) {
        (void)close(ends[0]); /* and with it the token ends */
        free(token);
    }
    return status;
}

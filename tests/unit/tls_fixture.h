/* Certificates made for a test program, and a client that has every byte of its TLS and HTTP in
 * hand. Failures end the test by Check's assertions. */
#ifndef GATEHOUSE_TESTS_TLS_FIXTURE_H
#define GATEHOUSE_TESTS_TLS_FIXTURE_H

#include "server/base/bytes.h"

#include <check.h>

/* Makes, in a temporary folder, PEM files named NAME.pem and NAME.key: "ca" and "foreign-ca"; by
 * the ca: "server", "server2", "client" (EC), "client2", "client-rsa", "client-chain" (by
 * "middle-ca", which is in the file), "expired", "serverauth" (not good for clients); by the
 * foreign one: "foreign" and "foreign-server", and "maker-ca"; by that "idevid" (with it in the
 * file) and "idevid2" (with both authorities), which "alone" is without them; "selfsigned". Call it once in main, before the
 * tests. Removed at exit. */
void pki_make(void);
/* Path of a file of it, "server.pem"; storage of the thread, overwritten after 64 calls. */
const char *pki_file(const char *name);
/* The first certificate of NAME.pem as DER; malloc'ed. */
size_t pki_der(uint8_t **out, const char *name);
/* Copies one file of it over another, for reloads. */
void pki_copy(const char *from, const char *to);

struct client_options {
    const char *certificate; /* NAME of the pair, or NULL for none */
    const char *trusts;      /* NAME of the authority; NULL: "ca" */
    bool tls12;              /* speak TLS 1.2 only */
    bool plain;              /* no TLS */
    const char *unix_path;   /* instead of the port */
    const char *groups;      /* "x25519", "p256", "p384"; NULL: any */
    const char *cipher;      /* a wolfSSL name; NULL: any */
};

struct client;

/* Connects; TLS has not begun. NULL when the connection is refused. */
struct client *client_connect(uint16_t port, const struct client_options *options);
/* The TLS handshake. What the client says last stays held back until the next flush or read: so a
 * request written meanwhile leaves in one segment with it. False when it fails. */
MUST_USE bool client_handshake(struct client *c);
/* Only the client hello, which stays held back. */
void client_begin(struct client *c);
/* Both, and asserts that they work. */
struct client *client_open(uint16_t port, const struct client_options *options);
void client_free(struct client *c); /* closes */

/* Encrypts and holds back. */
void client_write(struct client *c, const void *data, size_t len);
void client_print(struct client *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* Sends what is held back: at once, or in segments of `size` bytes. False when the peer has gone.
 */
bool client_flush(struct client *c);
bool client_flush_in(struct client *c, size_t size, unsigned pause_us);
size_t client_held(const struct client *c); /* bytes held back */
/* Sends the first `len` bytes of what is held back and forgets the rest. */
void client_flush_part(struct client *c, size_t len);

/* Up to len bytes of plaintext; flushes first. 0 at the end of the stream, -1 on an error or after
 * the receive time-out (5 s unless set). */
long client_read(struct client *c, void *buf, size_t len);
void client_set_timeout(struct client *c, unsigned ms);
/* Nothing more comes, and the end is clean: close_notify under TLS, FIN when plain. */
bool client_at_clean_end(struct client *c);
/* The connection has ended, in whatever way, within the receive time-out. */
bool client_at_end(struct client *c);
void client_send_close_notify(struct client *c);
void client_half_close(struct client *c); /* FIN */
void client_reset(struct client *c);      /* RST, and frees */
void client_update_keys(struct client *c);
int client_fd(const struct client *c);
struct WOLFSSL *client_ssl(struct client *c);

/* One answer, read exactly. body is malloc'ed; header text is malloc'ed. */
struct answer {
    unsigned status;
    char *head;
    uint8_t *body;
    size_t body_len;
};
/* False when the stream ends before the answer does. `head_only`: it answers a HEAD. */
MUST_USE bool client_read_answer(struct client *c, struct answer *out, bool head_only);
void answer_free(struct answer *answer);
/* The value of a header into out; false when absent. */
bool answer_header(const struct answer *answer, const char *name, char *out, size_t size);
/* Writes a request, reads its answer, asserts the status. */
struct answer client_ask(struct client *c, unsigned status, const char *request);
/* The same, answer thrown away. */
void client_expect(struct client *c, unsigned status, const char *request);

#endif

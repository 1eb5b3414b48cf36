/* A client of HTTP over mutual TLS 1.3 for the load generator: blocking, one thread a connection. */
#ifndef GATEHOUSE_TESTS_CLIENT_H
#define GATEHOUSE_TESTS_CLIENT_H

#include "server/base/bytes.h"

struct client_context; /* whom to trust; shared by threads */
struct client;         /* one connection */

/* Ends the program when the file cannot be used. NULL `anchors`: the peer is not verified. */
struct client_context *client_context_new(const char *anchors_file);
void client_context_free(struct client_context *context);

/* Lines of headers, each ended by CR LF, that every request has from now on; borrowed. "": none. */
void client_context_headers(struct client_context *context, const char *lines);

/* Connects to "address:port" and completes the handshake; certificate and key are PEM, both empty:
 * none is shown. "unix:PATH" is a socket that speaks plain HTTP. NULL on failure. */
struct client *client_open(struct client_context *context, const char *where,
                           struct bytes certificate, struct bytes key);
void client_close(struct client *client); /* NULL is allowed */

/* One request and its whole answer: the HTTP status, or 0 when the connection failed. The answer's
 * body is terminated and lives until the next call. `body` may be NULL. */
unsigned client_request(struct client *client, const char *method, const char *path,
                        const char *body, size_t body_len);
/* For streams: sends; the socket, to wait for; and what has come by now: its length, 0 for nothing, -1 at
 * the end. */
bool client_send(struct client *client, const char *data, size_t len);
int client_descriptor(const struct client *client);
long client_read_now(struct client *client, void *buf, size_t cap);
const char *client_answer(const struct client *client);
/* The string value of "name" in the answer, copied; false when it is not there or too long. */
bool client_field(const struct client *client, char *out, size_t cap, const char *name);

#endif

/* A transport with one plane of each kind, and a service that the tests ask for what they need. */
#ifndef GATEHOUSE_TESTS_TRANSPORT_FIXTURE_H
#define GATEHOUSE_TESTS_TRANSPORT_FIXTURE_H

#include "server/transport/transport.h"
#include "tests/unit/tls_fixture.h"

#include <stdatomic.h>

/* The service, by path:
 *   /hello            "hello"             /echo           the body
 *   /line             method path query   /size?N         N bytes, the k-th is 'a' + k % 26
 *   /header?Name      count:value         /peer           authenticated local address chain length,
 * hash /body?N           how much of the body came, and its checksum /refuse           403 in admit
 * /sink?MAX       takes a body of up to MAX bytes as it comes: how much came, and its checksum
 * /sink-stop?N    answers 422 once more than N bytes came
 * /empty          204 /wait?MS          answered by another thread after that time /wait-now
 * resumed before handle returns       /wait-twice   two waits /many             16 headers
 * /bad-header     a header value with a line break /nothing          no answer filled    /status?N
 * that status */
struct served {
    atomic_uint admitted, handled, finished, ended, refused, waiting, workers_new, workers_freed;
    atomic_uint last_refusal; /* enum http_refusal */
    atomic_uint pieces;       /* that sinks were given */
    atomic_size_t poured;     /* bytes of them */
};

/* For a service's sink_max, which is 0 unless a test sets it; a plane takes bodies of 1 MiB. */
enum { SINK_MAX = 8 * 1024 * 1024 };

struct fixture {
    struct transport *transport;
    struct served served;
    struct http_service service;
    char unix_path[108];
    uint16_t mutual, server, plain; /* ports */
};

/* Limits with room for tests; change what a test is about. */
struct transport_limits fixture_limits(void);
/* Planes "mutual" (TLS, client certificates of "ca"; and a Unix socket), "server" (TLS), "plain".
 * NULL limits: fixture_limits. */
void fixture_start(struct fixture *f, unsigned workers, const struct transport_limits *limits);
/* The same, with changes to the planes: 0 mutual, 1 server, 2 plain. */
void fixture_planes(struct fixture *f, struct transport_plane planes[static 3],
                    const struct transport_limits *limits);
void fixture_start_planes(struct fixture *f, unsigned workers,
                          const struct transport_plane planes[static 3]);
/* Stops, and asserts that nothing is left open and every exchange has ended. */
void fixture_stop(struct fixture *f);
uint64_t fixture_open(const struct fixture *f); /* connections on all planes */
/* Waits, up to 5 s, until no connection is open. */
bool fixture_quiet(const struct fixture *f);
void sleep_ms(unsigned ms);

extern const struct client_options mutual_client; /* certificate "client" */
extern const struct client_options plain_client;

#endif

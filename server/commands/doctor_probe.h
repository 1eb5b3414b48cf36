/* One request to a proxy, for `gatehouse doctor`: a connection of its own, no redirect followed, no
 * session resumed. Home of libcurl in the commands. */
#ifndef GATEHOUSE_COMMANDS_DOCTOR_PROBE_H
#define GATEHOUSE_COMMANDS_DOCTOR_PROBE_H

#include "server/base/arena.h"

#include <stdbool.h>

/* A client certificate and its key, PEM files; `certificate` NULL: none is shown. */
struct probe_identity {
    const char *certificate, *key;
};

struct probe {
    const char *url;     /* https:// */
    const char *connect; /* "HOST:PORT" to go to in the place of the URL's; or NULL */
    const char
        *ca; /* PEM file that the proxy's certificate is verified against; NULL: the system's */
    const struct probe_identity *as;
    const char *const *headers; /* "Name: value", after which NULL; or NULL */
};

enum probe_end {
    PROBE_ANSWERED, /* with an HTTP status */
    PROBE_CLOSED, /* connected, and then refused, cut off or left waiting: nothing was let through */
    PROBE_UNUSABLE /* nobody is there, it is not whom `ca` vouches for, or a file cannot be read */
};

enum { PROBE_BODY_MAX = 64 * 1024, PROBE_WHY = 256 };

struct probe_answer {
    enum probe_end end;
    long status;         /* ANSWERED */
    const char *body;    /* ANSWERED: the first PROBE_BODY_MAX bytes, terminated; in the arena */
    char why[PROBE_WHY]; /* otherwise: what happened */
};

/* Sends one. MEMORY; anything else is an answer. */
MUST_USE enum status probe_send(struct probe_answer *out, struct arena *arena,
                                const struct probe *probe);
/* Whether the application was reached: any answer that a proxy does not give when it refuses. */
bool probe_passed(const struct probe_answer *answer);

#endif

/* What `gatehouse doctor` says: a line a probe on standard output, and for what is wrong also what was
 * sent, what came back, what it means and what to change. */
#ifndef GATEHOUSE_COMMANDS_DOCTOR_REPORT_H
#define GATEHOUSE_COMMANDS_DOCTOR_REPORT_H

#include "server/commands/doctor_probe.h"

enum trap {
    TRAP_OPEN,        /* passes without a certificate */
    TRAP_BELIEVES,    /* passes on a header that names somebody's certificate */
    TRAP_LETS_IN,     /* a certificate passes that has to be refused */
    TRAP_REFUSES,     /* a good credential does not pass */
    TRAP_MISSING,     /* the application is not told which device it is */
    TRAP_DEVICE,      /* the client's own X-Device headers reach the application */
    TRAP_CERTIFICATE, /* the client's own certificate headers do */
    TRAP_HOP,         /* "Connection: X-Device-Id" takes the device's headers away */
    TRAP_FAIL_OPEN,   /* passes while Gatehouse is not there */
    NUM_TRAPS
};

enum proxy_kind {
    PROXY_ANY,
    PROXY_NGINX,
    PROXY_HAPROXY,
    PROXY_CADDY,
    PROXY_ENVOY,
    PROXY_TRAEFIK,
    NUM_PROXY_KINDS
};
/* "nginx"; false for what is none. */
bool proxy_kind_read(enum proxy_kind *out, const char *name);

struct report {
    enum proxy_kind kind; /* whose settings are named */
    unsigned ok, wrong, skipped;
};

/* One probe: `what` was tried, `sent` is how. */
void report_probe(struct report *report, bool good, enum trap trap, const char *what,
                  const char *sent, const struct probe_answer *answer);
/* What could not be looked at, and what it takes. */
void report_skipped(struct report *report, const char *what, const char *why);
void report_end(const struct report *report);

#endif

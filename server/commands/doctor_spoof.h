/* What somebody sends who knows a device's certificate, which is no secret, and has not its key: the
 * headers by which proxies tell an authorization service of a certificate. Everything lies in the
 * arena. */
#ifndef GATEHOUSE_COMMANDS_DOCTOR_SPOOF_H
#define GATEHOUSE_COMMANDS_DOCTOR_SPOOF_H

#include "server/base/arena.h"

struct spoof {
    const char *name;           /* "X-Client-Cert" */
    const char *const *headers; /* "Name: value", after which NULL */
};

enum { NUM_SPOOFS = 8 };
/* One for each dialect, one with all of their names written with underscores, and one with all at
 * once. `file`: PEM, its first certificate. As file_read and pem_certificates; MEMORY. */
MUST_USE enum status spoofs_make(struct spoof out[static NUM_SPOOFS], struct arena *arena,
                                 const char *file, struct detail *detail);

/* Every header by which the application learns of a device, in every spelling that an application may
 * take for it, with `marker` as the value. NULL on overflow. */
const char *const *spoof_device_headers(struct arena *arena, const char *marker);
/* Every header by which somebody is told of a certificate, the same. */
const char *const *spoof_certificate_headers(struct arena *arena, const char *marker);

#endif

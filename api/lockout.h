/* Certificates that keep asking for what they may not: after LOCKOUT_REFUSALS refusals within
 * LOCKOUT_WINDOW_S seconds a certificate is locked out for LOCKOUT_S seconds, with whatever it asks.
 * By the certificate that TLS proved, so that nobody locks out another. In memory, a table of fixed
 * size; when it is full, the one gives way that was refused longest ago. Thread-safe. */
#ifndef GATEHOUSE_API_LOCKOUT_H
#define GATEHOUSE_API_LOCKOUT_H

#include "server/base/status.h"

#include <stdbool.h>

enum { LOCKOUT_REFUSALS = 10, LOCKOUT_WINDOW_S = 60, LOCKOUT_S = 60 };

struct lockout;
MUST_USE enum status lockout_new(struct lockout **out); /* MEMORY */
void lockout_free(struct lockout *lockout);             /* NULL is allowed */

/* How many seconds the certificate has to wait; 0: none. Takes no lock; while nobody at all is
 * locked out it looks at one number. Times are clock_monotonic_us. */
unsigned lockout_wait_s(const struct lockout *lockout, const uint8_t sha256[static 32],
                        int64_t now_us);
/* Counts a refusal. True when the lock-out begins with it. */
bool lockout_refused(struct lockout *lockout, const uint8_t sha256[static 32], int64_t now_us);

#endif

/* How often an address may ask: a token bucket each, in a table of fixed size that all workers
 * share. Of an IPv6 address the first 64 bits count. When the table is full the bucket that was
 * idle longest among its neighbours gives way. Thread-safe. */
#ifndef GATEHOUSE_API_LIMITER_H
#define GATEHOUSE_API_LIMITER_H

#include "server/base/status.h"

#include <stdbool.h>

struct limiter;

/* `per_minute` requests a minute, and as many at once after a minute of silence. 0: any number. */
MUST_USE enum status limiter_new(struct limiter **out, unsigned per_minute);
void limiter_free(struct limiter *limiter); /* NULL is allowed */
/* False when the address must wait. */
bool limiter_take(struct limiter *limiter, const char *address, int64_t now_ms);

#endif

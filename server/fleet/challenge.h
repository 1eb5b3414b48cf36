/* Challenges: nonces that are bound to a device, good once, and for a few minutes. In memory,
 * bounded in all and per device; shared by all workers (short critical sections, sharded by
 * device). A restart forgets them: devices ask again. Times are clock_monotonic_ms. */
#ifndef GATEHOUSE_FLEET_CHALLENGE_H
#define GATEHOUSE_FLEET_CHALLENGE_H

#include "server/base/bytes.h"

enum { CHALLENGE_LEN = 32, CHALLENGES_PER_DEVICE = 4 };
struct challenges;

/* At most `max` devices hold challenges at any time. MEMORY. */
MUST_USE enum status challenges_new(struct challenges **out, unsigned max, int64_t lifetime_ms);
void challenges_free(struct challenges *c); /* NULL is allowed */
/* A fresh nonce for the device; beyond CHALLENGES_PER_DEVICE its oldest is forgotten. `context`,
 * such as a hash of the PCR selection that was asked for, comes back from challenge_take. BUSY when
 * `max` devices hold live ones; MALFORMED: no device id; MEMORY. */
MUST_USE enum status challenge_new(struct challenges *c, uint8_t nonce[static CHALLENGE_LEN],
                                   const char *device_id, const uint8_t context[static 32],
                                   int64_t now_ms);
/* Uses it up. OK; CONFLICT when it was used; EXPIRED; NOT_FOUND when it was never given to this
 * device, or so long ago that it is forgotten. */
MUST_USE enum status challenge_take(struct challenges *c, struct bytes nonce, const char *device_id,
                                    uint8_t context[static 32], int64_t now_ms);
/* How many devices hold challenges, live ones or such as are still remembered. */
unsigned challenges_devices(const struct challenges *c);

#endif

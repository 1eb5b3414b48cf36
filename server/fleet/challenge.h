/* Challenges: nonces that are bound to a device, good once, and for a few minutes. In memory,
 * bounded in all and per device; shared by all workers (short critical sections, sharded by
 * device). A restart forgets them: devices ask again. */
#ifndef GATEHOUSE_FLEET_CHALLENGE_H
#define GATEHOUSE_FLEET_CHALLENGE_H

#include "server/base/bytes.h"

enum { CHALLENGE_LEN = 32, CHALLENGES_PER_DEVICE = 4 };
struct challenges;

MUST_USE enum status challenges_new(struct challenges **out, unsigned max, int64_t lifetime_ms);
void challenges_free(struct challenges *c);
/* A fresh nonce for the device. Over CHALLENGES_PER_DEVICE its oldest gives way. BUSY when `max`
 * devices hold live ones. `context` (such as the PCR selection that was asked for, a short text of
 * at most 127 bytes... or its hash) comes back from challenge_take. */
MUST_USE enum status challenge_new(struct challenges *c, uint8_t nonce[static CHALLENGE_LEN],
                                   const char *device_id, const uint8_t context[static 32],
                                   int64_t now_ms);
/* Uses it up. OK; CONFLICT when it was used; EXPIRED; NOT_FOUND when it was never given to this
 * device (or long ago). */
MUST_USE enum status challenge_take(struct challenges *c, struct bytes nonce, const char *device_id,
                                    uint8_t context[static 32], int64_t now_ms);

#endif

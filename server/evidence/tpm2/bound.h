/* Which part of an event's data its digest covers. Private to server/evidence/tpm2; thread-safe.
 * Source: TCG PC Client Platform Firmware Profile 1.06, 10.4.1; what GRUB, shim, systemd's boot
 * loader and stub measure. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_BOUND_H
#define GATEHOUSE_EVIDENCE_TPM2_BOUND_H

#include "server/base/arena.h"
#include "server/crypto/digest.h"

/* Carries over from one event of a log to the next what fitted last, so that it is tried first. */
struct bound_memory {
    bool label_with_zero; /* GRUB's hash of a text takes its final zero in */
};

/* True: *bound is what `digest` is the hash of: `data`, or a part of it; or, of a name that
 * systemd-stub logs in UTF-16 and measures in ASCII, the latter with its zero, in the arena. The
 * event type only says which part to try first. */
bool find_bound(struct bytes *bound, struct bound_memory *memory, struct arena *arena,
                enum hash_alg alg, struct bytes digest, uint32_t type, struct bytes data);

#endif

/* When a checkpoint of the audit log is due, and making it. Belongs to the committer's thread. */
#ifndef GATEHOUSE_FLEET_AUDIT_CHECKPOINT_H
#define GATEHOUSE_FLEET_AUDIT_CHECKPOINT_H

#include "db/store.h"
#include "server/base/log.h"
#include "server/credential/signer.h"

struct audit_checkpoints { /* zero-initialised, then the first group set */
    struct signer *signer; /* NULL: there are none */
    const struct log *log;
    int64_t entries; /* so many uncovered entries are due at once */
    int64_t age_ms;  /* one that is uncovered this long is due */

    int64_t uncovered_since_ms; /* 0: everything was covered when last looked */
    int64_t not_before_ms;      /* after a failure: not at once again */
};

/* Outside of a transaction: looks whether one is due at `now_ms` (monotonic), or with `force` whether
 * anything is uncovered, and then has it signed and stores it. OK: nothing was to do, it is done, or
 * it was refused, which is logged. STORAGE, MEMORY: again later. INTERNAL: the signer is gone. */
MUST_USE enum status audit_checkpoint_tick(struct audit_checkpoints *a, struct store_writer *writer,
                                           int64_t now_ms, bool force, struct detail *detail);

#endif

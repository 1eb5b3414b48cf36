/* What happens to baselines by itself: activations at a time that has come, the end of a grace, and the
 * rings of rollouts.
 * Runs on the committer's thread, between its batches. What was missed while nobody was there is made
 * up for in the order in which it was due; a grace counts from when the activation that gives it took
 * effect, so that no time without a gateway eats it up. */
#ifndef GATEHOUSE_FLEET_BASELINE_DUE_H
#define GATEHOUSE_FLEET_BASELINE_DUE_H

#include "db/store.h"

enum baseline_due {
    DUE_NOTHING,
    DUE_ACTIVATED,
    DUE_RETIRED,
    DUE_NOT_ACTIVATED, /* it may not be any more: taken off the schedule, with a note that says why */
    DUE_RING_OPENED,   /* of a rollout (rollout.h) */
    DUE_ROLLOUT_HALTED,
    DUE_ROLLOUT_COMPLETE,
};

/* Takes the step that has been due longest at `now_ms`, in a transaction of its own, with its audit
 * entries (actor "system") and the re-appraisal that goes with it. OK: *out says which, and the policy
 * is to be read anew after any but DUE_NOTHING. STORAGE, MEMORY, INTERNAL: nothing was done, again
 * later. Outside of a transaction. */
MUST_USE enum status baseline_due_step(struct store_writer *writer, enum baseline_due *out,
                                       int64_t now_ms, struct detail *detail);

#endif

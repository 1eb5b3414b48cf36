/* What one commit of a re-appraisal writes: devices whose outcome changed, and how far the job got.
 * Filled in by the job's thread, then the committer's until done. Private to server/fleet. */
#ifndef GATEHOUSE_FLEET_REAPPRAISAL_COMMIT_H
#define GATEHOUSE_FLEET_REAPPRAISAL_COMMIT_H

#include "server/fleet/reappraisal.h"

#include <pthread.h>

struct reappraised { /* one device */
    struct device_standing_row was;
    struct device_reappraisal_row row;
    struct appraisal_row appraisal; /* findings in the batch's arena */
    bool earns;                     /* a credential of its tier */
    bool stands;  /* its standing becomes what was found; else that is only recorded */
    bool audited; /* verdict or tier changed, and not only which baseline it is from */
    /* Set by apply: */
    bool applied;
    enum device_state state;
};

struct reappraisal_batch {
    struct commit commit; /* first */
    struct committer *committer;
    struct policy_holder *policy;
    uint64_t generation;          /* of the policy that all were judged with */
    struct reappraisal_row job;   /* as it becomes, but for what apply counts */
    struct reappraisal_row after; /* as it became */
    struct arena arena;
    struct reappraised *device;
    size_t num, max;
    int64_t now_ms;
    bool outdated; /* by apply: another policy is in force */

    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done;
};

/* Room for `max` devices. MEMORY. */
MUST_USE enum status reappraisal_batch_init(struct reappraisal_batch *batch, unsigned max);
void reappraisal_batch_cleanup(struct reappraisal_batch *batch);
/* Submits, and waits until it is done. OK: durable. CONFLICT: judge again, `outdated`, or the job has
 * ended. BUSY, STORAGE, MEMORY: later again. */
MUST_USE enum status reappraisal_batch_commit(struct reappraisal_batch *batch,
                                              struct detail *detail);

#endif

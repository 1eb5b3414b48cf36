/* The life of a baseline:
 *
 *   draft -> submitted -> approved -> active -> deprecated -> retired
 *     ^          |           |          |           |            |
 *     +- withdraw, reject ---+          +-----------+------------+--> revoked
 *
 * A deprecated baseline is still accepted until its grace ends, and may be activated again until then.
 * Nothing leads out of revoked, and out of retired only a revocation. Whoever asks for a step, an
 * operator or the clock, it is taken here; who may ask is the api's business. Thread-safe: no state. */
#ifndef GATEHOUSE_FLEET_BASELINE_LIFE_H
#define GATEHOUSE_FLEET_BASELINE_LIFE_H

#include "db/store.h"
#include "server/base/json_out.h"

enum baseline_step {
    STEP_SUBMIT,
    STEP_WITHDRAW,
    STEP_APPROVE,
    STEP_REJECT,
    STEP_ACTIVATE,
    STEP_ACTIVATE_ALONE, /* the same of what one person wrote, submits and approves at once */
    STEP_SCHEDULE,       /* to be activated at row->activate_at */
    STEP_UNSCHEDULE,
    STEP_DEPRECATE, /* until row->grace_until; again: until another time */
    STEP_RETIRE,
    STEP_REVOKE,
    NUM_BASELINE_STEPS
};
enum { BASELINE_GRACE_MAX_S = 366 * 86400 };

/* The audit's: "baseline.submit". */
const char *baseline_step_action(enum baseline_step step);
bool baseline_step_allowed(enum baseline_step step, const struct baseline_row *row);
/* The row after a step that is allowed: state and stamps. `who` is an operator. What the caller sets
 * before: activate_at, replaces and replace_grace_s of STEP_SCHEDULE and of an activation,
 * grace_until of STEP_DEPRECATE. */
void baseline_take_step(struct baseline_row *row, enum baseline_step step, const char *who,
                        int64_t now);

/* The document compiles, and names only PCRs that the model's devices are asked for. INVALID, with
 * the reason; STORAGE, MEMORY, INTERNAL. */
MUST_USE enum status baseline_check_document(struct store_reader *reader,
                                             const struct baseline_row *row, struct detail *detail);
/* One more may come into force. LIMIT: the model has BASELINE_MAX_PER_MODEL; STORAGE, MEMORY. */
MUST_USE enum status baseline_check_number(struct store_reader *reader, struct arena *arena,
                                           const char *model);

/* Who a step is audited as. */
struct baseline_actor {
    const char *actor;      /* "operator:alice", "system" */
    const char *name;       /* of the operator in whose name it happens */
    const char *request_id; /* "": none */
    int64_t now_ms;
    enum enforcement
        enforce; /* of the re-appraisal; 0: at once for a revocation, else as leases end */
};
/* Takes a step with what the row is now, in the writer's transaction: row, version and audit entry; and the re-appraisal
 * of the model by what changes what is in force.
 * CONFLICT: somebody changed it; STORAGE, MEMORY. */
MUST_USE enum status baseline_write_step(struct store_writer *writer, struct arena *arena,
                                         struct baseline_row *row, enum baseline_step step,
                                         const struct baseline_actor *by, struct detail *detail);
/* What the row replaces becomes deprecated, as far as it is still active; the row forgets it, and is
 * still to be written. STORAGE, MEMORY. */
MUST_USE enum status baseline_replace_others(struct store_writer *writer, struct arena *arena,
                                             struct baseline_row *row,
                                             const struct baseline_actor *by,
                                             struct detail *detail);

/* How it stands in answers and in the audit's before and after; `name` as for json_out_object. */
void baseline_write_json(struct json_out *o, const char *name, const struct baseline_row *row);
/* With its rollout (NULL: none) and its document. */
void baseline_write_whole(struct json_out *o, const char *name, const struct baseline_row *row,
                          const struct rollout_row *rollout);
/* Without the document; empty when the arena is full. */
struct bytes baseline_head_json(struct arena *arena, const struct baseline_row *row);

#endif

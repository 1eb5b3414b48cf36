/* A rollout: a baseline that came into force counts for named devices first, then for a percentage of
 * its model's devices, for more and more of them, and at last for all. Outside of the open ring it does
 * not count.
 *
 * The next ring opens by itself when at least min_appraisals devices of the ring were appraised since it
 * opened (of a ring of named devices: all of them, when these are fewer), min_s passed, and no more than
 * max_failure_percent of them failed. It halts as soon as the failures are more than max_failure_percent
 * of the devices seen or of min_appraisals, whichever is more: as soon, that is, as no success of the
 * others that are waited for can bring it back under the bound. A device counts once, with its latest
 * appraisal: passed when this baseline trusts it, failed when it is untrusted; trusted by another
 * baseline is neither. The counters begin anew with each ring, and when a halted rollout is resumed.
 * When the ring of all devices has met the same conditions, the rollout is complete, and what the
 * baseline replaces becomes deprecated. Thread-safe: no state. */
#ifndef GATEHOUSE_FLEET_ROLLOUT_H
#define GATEHOUSE_FLEET_ROLLOUT_H

#include "server/fleet/baseline_life.h"

/* Whether the baseline counts for the device. Who is in a ring is in every later one. */
bool rollout_includes(const struct rollout_row *row, const char *device_id);

enum rollout_action { ROLLOUT_OPEN, ROLLOUT_HALT, ROLLOUT_RESUME, ROLLOUT_FINISH };
bool rollout_action_allowed(enum rollout_action action, const struct rollout_row *row);
/* What is to happen by itself to one that is due (store_rollout_due). */
enum rollout_action rollout_next(const struct rollout_row *row);

/* Takes an action that is allowed, in the writer's transaction: row, audit entry, the re-appraisal of
 * the model when more devices are in the ring than before, and of one that ends what the baseline
 * replaces. The policy is to be read anew. `reason` is why it halts, and NULL otherwise. STORAGE,
 * MEMORY; CONFLICT: somebody changed the baseline. */
MUST_USE enum status rollout_take(struct store_writer *writer, struct arena *arena,
                                  struct rollout_row *row, enum rollout_action action,
                                  const char *reason, const struct baseline_actor *by,
                                  struct detail *detail);
/* What a step of the baseline does to its rollout, in the same transaction: begins it, ends it, or
 * forgets it. STORAGE, MEMORY. */
MUST_USE enum status rollout_follow(struct store_writer *writer, struct arena *arena,
                                    const struct baseline_row *row, enum baseline_step step);
/* Whether an activation of the baseline begins a rollout. STORAGE, MEMORY. */
MUST_USE enum status rollout_is_scheduled(struct store_reader *reader, struct arena *arena,
                                          const char *baseline_id, bool *out);

/* As in answers and in the audit; NULL: null. */
void rollout_write_json(struct json_out *o, const char *name, const struct rollout_row *row);

#endif

/* IMA on a device's way: what is kept of its log, appraisal over entries that came earlier, and what
 * is kept then. */
#ifndef GATEHOUSE_API_DEVICE_EVIDENCE_IMA_H
#define GATEHOUSE_API_DEVICE_EVIDENCE_IMA_H

#include "api/request.h"
#include "server/fleet/ima_state.h"

struct evidence_ima {
    bool has_kept;
    struct ima_state kept;
    struct fact_ima sent;     /* as verified */
    bool changes;             /* what is kept */
    struct ima_change change; /* row.num_entries 0: nothing is kept any more */
};
/* What is kept of the device, when its evidence goes on from it. */
MUST_USE enum status evidence_ima_load(struct evidence_ima *out, struct request *r, uint32_t from);
/* As appraise(), of facts whose log may have begun earlier: where a baseline never saw the entries
 * before, and no other is satisfied, they are fetched. `id` are the baselines'; facts->ima becomes
 * all that was judged. */
MUST_USE enum status evidence_ima_appraise(struct evidence_ima *e, struct appraisal *out,
                                           struct request *r, struct facts *facts,
                                           struct appraisal_inputs *against, const char *const *id);
/* CONFLICT: what is kept is not what was verified any more. */
MUST_USE enum status evidence_ima_write(const struct evidence_ima *e, struct store_writer *writer);

/* {"entries","bytes","reset_count","restart_count"}: where the device may go on, in the boot that it
 * was in; null when nothing is kept. */
MUST_USE enum status challenge_ima_write(struct json_out *o, struct request *r);

#endif

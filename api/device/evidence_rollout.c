/* What evidence says of the rollouts whose rings its device is in. */
#include "api/device/evidence.h"

#include "server/fleet/rollout.h"

#include <string.h>

static bool takes_part(const struct policy_term *term, const char *device_id) {
    return term->rollout != NULL && term->rollout->state == ROLLOUT_RUNNING &&
           rollout_includes(term->rollout, device_id);
}

bool evidence_note_rollouts(struct evidence *e, const struct policy_model *model) {
    const struct request *r = e->change.r;
    if (!model->rolls_out) {
        return true;
    }
    e->rollout = arena_array(r->x->arena, model->num_baselines, sizeof *e->rollout);
    for (size_t i = 0; e->rollout != NULL && i < model->num_baselines; i++) {
        if (takes_part(&model->term[i], r->device->id)) {
            struct evidence_rollout *out = &e->rollout[e->num_rollouts++];
            out->run = model->term[i].rollout->run;
            text_copy(out->baseline_id, sizeof out->baseline_id, model->baseline_id[i]);
        }
    }
    return e->rollout != NULL;
}

enum status evidence_count_rollouts(const struct evidence *e, struct store_writer *writer) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < e->num_rollouts && status == STATUS_OK; i++) {
        const struct evidence_rollout *rollout = &e->rollout[i];
        enum rollout_outcome outcome = ROLLOUT_FAILED;
        if (e->row.verdict == VERDICT_TRUSTED) {
            outcome = strcmp(rollout->baseline_id, e->row.baseline_id) == 0 ? ROLLOUT_PASSED
                                                                            : ROLLOUT_NEITHER;
        }
        status = store_rollout_count(writer, rollout->baseline_id, rollout->run, e->row.device_id,
                                     outcome);
    }
    return status;
}

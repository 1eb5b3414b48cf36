/* Which tier the evidence reached, and what its model makes of that. */
#include "api/device/evidence.h"

#include "server/fleet/standing.h"

#include <string.h>

void evidence_take_tier(struct evidence *e, const struct model_row *model) {
    e->wanted = (enum tier)model->credential_tier;
    if (e->appraisal.verdict != VERDICT_TRUSTED) {
        return;
    }
    e->earns = tier_earns(model, e->appraisal.tier);
    if (e->earns) {
        text_copy(e->row.segment, sizeof e->row.segment, tier_segment(model, e->appraisal.tier));
    } else {
        /* When the arena is full, evidence_describe sees it. */
        tier_add_finding(&e->appraisal, e->change.r->x->arena, e->wanted);
    }
}

bool evidence_tier_stands(const struct evidence *e, const struct model_row *model) {
    return !e->earns || (tier_earns(model, e->appraisal.tier) &&
                         strcmp(tier_segment(model, e->appraisal.tier), e->row.segment) == 0);
}

enum http_next evidence_answer_too_low(struct evidence *e) {
    struct problem p;
    problem_begin(&p, e->change.r->x, PROBLEM_TIER_TOO_LOW, NULL, NULL);
    json_out_text(&p.out, "appraisal_id", e->row.id);
    json_out_text(&p.out, "verdict", verdict_name((enum verdict)e->row.verdict));
    json_out_text(&p.out, "tier", tier_name((enum tier)e->row.tier));
    json_out_text(&p.out, "credential_tier", tier_name(e->wanted));
    json_out_array(&p.out, "findings");
    json_out_text(&p.out, NULL, "tier_too_low");
    json_out_array_end(&p.out);
    problem_end(&p);
    return HTTP_ANSWER;
}

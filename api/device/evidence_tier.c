/* Which tier the evidence reached, and what its model makes of that. */
#include "api/device/evidence.h"

#include "server/fleet/standing.h"

#include <string.h>

/* The finding that says so, first of all. */
static void add_finding(struct evidence *e) {
    struct arena *arena = e->change.r->x->arena;
    struct appraisal *appraisal = &e->appraisal;
    struct finding *finding =
        arena_array(arena, appraisal->num_findings + 1, sizeof *appraisal->finding);
    if (finding == NULL) {
        return; /* the arena is full, which evidence_describe sees */
    }
    const char *lacks =
        e->wanted == TIER_MEASURED
            ? "no baseline that it meets states both the firmware (PCR 0, by pcrs or firmware) and "
              "the boot programs (PCR 4, by pcrs or boot_chain)"
        : e->wanted == TIER_VERIFIED_BOOT
            ? "no baseline that it meets states Secure Boot's keys (secure_boot with required and "
              "db, or PCR 7 with an event log that shows Secure Boot on)"
            : "nothing says what it is";
    finding[0] = (struct finding){
        .code = "tier_too_low",
        .rule = "tier",
        .pcr = -1,
        .event = -1,
        .expected = tier_name(e->wanted),
        .found = tier_name(appraisal->tier),
        .severity = SEVERITY_DENY,
        .remediation =
            arena_printf(arena,
                         "The device is trusted as %s, and its model gives credentials from %s "
                         "upwards: %s. Add that to the baseline, or lower the model's "
                         "credential_tier.",
                         tier_name(appraisal->tier), tier_name(e->wanted), lacks),
    };
    if (appraisal->num_findings > 0) {
        memcpy(finding + 1, appraisal->finding, appraisal->num_findings * sizeof *finding);
    }
    appraisal->finding = finding;
    appraisal->num_findings++;
}

void evidence_take_tier(struct evidence *e, const struct model_row *model) {
    e->wanted = (enum tier)model->credential_tier;
    if (e->appraisal.verdict != VERDICT_TRUSTED) {
        return;
    }
    e->earns = tier_earns(model, e->appraisal.tier);
    if (e->earns) {
        text_copy(e->row.segment, sizeof e->row.segment, tier_segment(model, e->appraisal.tier));
    } else {
        add_finding(e);
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

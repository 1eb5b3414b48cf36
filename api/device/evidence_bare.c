/* Evidence of a device that cannot show what it booted: its factory identity is all there is. It is trusted
 * as that, and no more; what its model makes of that tier is the model's. */
#include "api/device/evidence.h"

#include "api/idevid.h"

bool evidence_is_bare(const struct evidence *e) {
    return e->body.tpm2.quote.len == 0;
}

/* Leaving the quote out is no way down: who has an AK quotes. */
bool evidence_suits_device(const struct evidence *e) {
    const struct request *r = e->change.r;
    bool is_all = idevid_is_all(r->device);
    if (evidence_is_bare(e) && !is_all) {
        (void)problem_detail(r->x, PROBLEM_MISSING_FIELD, "tpm2: it is missing");
        return false;
    }
    if (!evidence_is_bare(e) && is_all) {
        (void)problem_detail(
            r->x, PROBLEM_INVALID_FIELD,
            "tpm2: the device was registered without an AK, and nothing else tells "
            "whose quote this is");
        return false;
    }
    return true;
}

static struct finding *note(struct arena *arena) {
    struct finding *finding = arena_array(arena, 1, sizeof *finding);
    if (finding != NULL) {
        *finding = (struct finding){
            .code = "no_evidence",
            .rule = "evidence",
            .pcr = -1,
            .event = -1,
            .severity = SEVERITY_INFO,
            .remediation = "Nothing is known of what the device booted: it is trusted as who it is "
                           "alone. Register it with the AK of a TPM to know more."};
    }
    return finding;
}

enum status evidence_appraise_bare(struct evidence *e, const struct policy *policy,
                                   const struct model_row *model) {
    struct finding *finding = note(e->change.r->x->arena);
    if (finding == NULL) {
        return STATUS_MEMORY;
    }
    e->appraisal = (struct appraisal){
        .verdict = VERDICT_TRUSTED, .tier = TIER_IDENTIFIED, .finding = finding, .num_findings = 1};
    if (!evidence_note_exceptions(e, policy)) {
        return STATUS_INTERNAL;
    }
    e->lifetime_s = model->credential_lifetime_s;
    evidence_take_tier(e, model);
    if (e->appraisal.num_findings > 1) { /* the tier is too low, and no baseline changes that */
        e->appraisal.finding[0].remediation =
            "The device has nothing to show but its factory certificate, and its model asks for "
            "more. Lower the model's credential_tier, or move the device to a model of its own.";
    }
    return STATUS_OK;
}

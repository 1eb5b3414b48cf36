#include "server/fleet/standing.h"

#include <assert.h>
#include <string.h>

static_assert(TIER_MEASURED + 1 == STORE_TIERS, "rows hold a tier as its number");

bool tier_earns(const struct model_row *model, enum tier tier) {
    return tier > TIER_NONE && (int)tier >= model->credential_tier;
}

const char *tier_segment(const struct model_row *model, enum tier tier) {
    return tier > TIER_NONE && tier <= TIER_MEASURED ? model->segment[tier] : "";
}

static const char *lacks(enum tier wanted) {
    switch (wanted) {
    case TIER_MEASURED:
        return "no baseline that it meets states both the firmware (PCR 0, by pcrs or firmware) "
               "and "
               "the boot programs (PCR 4, by pcrs or boot_chain)";
    case TIER_VERIFIED_BOOT:
        return "no baseline that it meets states Secure Boot's keys (secure_boot with required and "
               "db or authorities, or PCR 7 with an event log that shows Secure Boot on)";
    default:
        return "nothing says what it is";
    }
}

void tier_add_finding(struct appraisal *appraisal, struct arena *arena, enum tier wanted) {
    struct finding *finding =
        arena_array(arena, appraisal->num_findings + 1, sizeof *appraisal->finding);
    if (finding == NULL) {
        return;
    }
    finding[0] = (struct finding){
        .code = "tier_too_low",
        .rule = "tier",
        .pcr = -1,
        .event = -1,
        .expected = tier_name(wanted),
        .found = tier_name(appraisal->tier),
        .severity = SEVERITY_DENY,
        .remediation =
            arena_printf(arena,
                         "The device is trusted as %s, and its model gives credentials from %s "
                         "upwards: %s. Add that to the baseline, or lower the model's "
                         "credential_tier.",
                         tier_name(appraisal->tier), tier_name(wanted), lacks(wanted)),
    };
    if (appraisal->num_findings > 0) {
        memcpy(finding + 1, appraisal->finding, appraisal->num_findings * sizeof *finding);
    }
    appraisal->finding = finding;
    appraisal->num_findings++;
}

/* The device is trusted: only its credential decides. */
static bool is_about_the_credential(enum decision_reason reason) {
    switch (reason) {
    case REASON_TRUSTED:
    case REASON_NO_CREDENTIAL:
    case REASON_LEASE_EXPIRED:
    case REASON_NOT_YET_VALID:
    case REASON_CREDENTIAL_REVOKED:
        return true;
    default:
        return false;
    }
}

static void add_exceptions(struct decision *d, const struct policy *policy, int64_t now) {
    const struct exception_row *row[EXCEPTIONS_PER_DEVICE];
    size_t num = exceptions_find(policy_exceptions(policy), d->device_id, now, row);
    for (size_t i = 0; i < num; i++) {
        if (row[i]->in_use) {
            memcpy(d->exception[d->num_exceptions++], row[i]->id, STORE_ID);
        }
    }
}

void decision_apply_policy(struct decision *d, const struct policy *policy, int64_t now) {
    const struct policy_model *model = d->model[0] == '\0' ? NULL : policy_model(policy, d->model);
    if (model == NULL) {
        return;
    }
    if (is_about_the_credential(d->reason) && !tier_earns(&model->row, d->tier)) {
        d->allow = false;
        d->reason = REASON_TIER_TOO_LOW;
        d->num_serials = 0;
    }
    if (d->allow) {
        const char *segment = tier_segment(&model->row, d->tier);
        memcpy(d->segment, segment, strlen(segment) + 1);
        add_exceptions(d, policy, now);
    }
}

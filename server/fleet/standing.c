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

void decision_apply_policy(struct decision *d, const struct policy *policy) {
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
    }
}

#include "server/fleet/access_policy.h"

#include <string.h>

static bool one_of(const char *name, const char *names, size_t size, size_t num) {
    for (size_t i = 0; i < num; i++) {
        if (strcmp(name, names + i * size) == 0) {
            return true;
        }
    }
    return num == 0;
}

static enum decision_reason weigh(const struct decision *d,
                                  const struct access_policy_row *policy) {
    if (policy == NULL) {
        return REASON_UNKNOWN_POLICY;
    }
    if ((int)d->tier < policy->min_tier) {
        return REASON_POLICY_TIER;
    }
    if (!one_of(d->model, (const char *)policy->model, sizeof policy->model[0],
                policy->num_models)) {
        return REASON_POLICY_MODEL;
    }
    if (!one_of(d->segment, (const char *)policy->segment, sizeof policy->segment[0],
                policy->num_segments)) {
        return REASON_POLICY_SEGMENT;
    }
    if (policy->key_protection == KEY_IN_TPM &&
        (!d->has_credential || d->key_protection != KEY_IN_TPM)) {
        return REASON_POLICY_KEY_PROTECTION;
    }
    return REASON_TRUSTED;
}

void decision_apply_access(struct decision *d, const struct access_policy_row *policy) {
    if (!d->allow) {
        return;
    }
    d->reason = weigh(d, policy);
    d->allow = d->reason == REASON_TRUSTED;
    if (!d->allow) {
        d->num_serials = 0;
    }
}

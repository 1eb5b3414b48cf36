#include "server/fleet/table.h"

const char *decision_reason_name(enum decision_reason reason) {
    static const char *const names[] = {
        [REASON_TRUSTED] = "trusted",
        [REASON_UNKNOWN_DEVICE] = "unknown_device",
        [REASON_UNKNOWN_CREDENTIAL] = "unknown_credential",
        [REASON_NO_CREDENTIAL] = "no_credential",
        [REASON_NOT_APPRAISED] = "not_appraised",
        [REASON_UNTRUSTED] = "untrusted",
        [REASON_LEASE_EXPIRED] = "lease_expired",
        [REASON_NOT_YET_VALID] = "not_yet_valid",
        [REASON_CREDENTIAL_REVOKED] = "credential_revoked",
        [REASON_QUARANTINED] = "quarantined",
        [REASON_RETIRED] = "retired",
        [REASON_PENDING_APPROVAL] = "pending_approval",
        [REASON_TIER_TOO_LOW] = "tier_too_low",
        [REASON_UNKNOWN_POLICY] = "unknown_policy",
        [REASON_POLICY_TIER] = "policy_tier",
        [REASON_POLICY_MODEL] = "policy_model",
        [REASON_POLICY_SEGMENT] = "policy_segment",
        [REASON_POLICY_KEY_PROTECTION] = "policy_key_protection",
    };
    size_t i = (size_t)reason;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}

const char *decision_key_protection(const struct decision *decision) {
    return decision->has_credential ? key_protection_name(decision->key_protection) : NULL;
}

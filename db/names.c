#include "db/store.h"

const char *baseline_state_name(enum baseline_state state) {
    static const char *const names[] = {
        [BASELINE_DRAFT] = "draft",           [BASELINE_SUBMITTED] = "submitted",
        [BASELINE_APPROVED] = "approved",     [BASELINE_ACTIVE] = "active",
        [BASELINE_DEPRECATED] = "deprecated", [BASELINE_RETIRED] = "retired",
        [BASELINE_REVOKED] = "revoked",
    };
    size_t i = (size_t)state;
    return i < sizeof names / sizeof names[0] && names[i] != NULL ? names[i] : "unknown";
}

const char *rollout_state_name(enum rollout_state state) {
    static const char *const names[] = {
        [ROLLOUT_SCHEDULED] = "scheduled", [ROLLOUT_RUNNING] = "running",
        [ROLLOUT_HALTED] = "halted",       [ROLLOUT_COMPLETE] = "complete",
        [ROLLOUT_ENDED] = "ended",
    };
    size_t i = (size_t)state;
    return i < sizeof names / sizeof names[0] && names[i] != NULL ? names[i] : "unknown";
}

const char *device_state_name(enum device_state state) {
    static const char *const names[] = {
        [DEVICE_ENROLLED] = "enrolled",       [DEVICE_PENDING_APPROVAL] = "pending_approval",
        [DEVICE_QUARANTINED] = "quarantined", [DEVICE_RETIRED] = "retired",
        [DEVICE_REGISTERED] = "registered",
    };
    size_t i = (size_t)state;
    return i < sizeof names / sizeof names[0] && names[i] != NULL ? names[i] : "unknown";
}

const char *key_protection_name(enum key_protection protection) {
    return protection == KEY_IN_TPM ? "tpm" : "unproven";
}

const char *identity_kind_name(enum identity_kind kind) {
    return kind == IDENTITY_IDEVID ? "idevid" : "issued";
}

const char *reappraisal_state_name(enum reappraisal_state state) {
    static const char *const names[] = {
        [REAPPRAISAL_QUEUED] = "queued",
        [REAPPRAISAL_RUNNING] = "running",
        [REAPPRAISAL_DONE] = "done",
        [REAPPRAISAL_CANCELLED] = "cancelled",
    };
    size_t i = (size_t)state;
    return i < sizeof names / sizeof names[0] && names[i] != NULL ? names[i] : "unknown";
}

const char *enforcement_name(enum enforcement enforcement) {
    return enforcement == ENFORCE_NOW ? "now" : "lease";
}

const char *stream_method_name(enum stream_method method) {
    return method == STREAM_PUSH ? "push" : method == STREAM_POLL ? "poll" : "webhook";
}

const char *stream_status_name(enum stream_status status) {
    return status == STREAM_ENABLED ? "enabled" : status == STREAM_PAUSED ? "paused" : "disabled";
}

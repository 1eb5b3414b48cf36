#include "server/appraisal/appraisal.h"

const char *verdict_name(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_TRUSTED:
        return "trusted";
    case VERDICT_UNTRUSTED:
        return "untrusted";
    case VERDICT_EXPIRED:
        return "expired";
    case VERDICT_UNKNOWN:
        break;
    }
    return "unknown";
}

const char *tier_name(enum tier tier) {
    switch (tier) {
    case TIER_IDENTIFIED:
        return "identified";
    case TIER_VERIFIED_BOOT:
        return "verified_boot";
    case TIER_MEASURED:
        return "measured";
    case TIER_NONE:
        break;
    }
    return "none";
}

const char *severity_name(enum severity severity) {
    switch (severity) {
    case SEVERITY_DENY:
        return "deny";
    case SEVERITY_EXCEPTED:
        return "excepted";
    case SEVERITY_INFO:
        break;
    }
    return "info";
}

const char *const finding_codes[] = {
    "authority_not_allowed",
    "command_line_missing",
    "command_line_not_allowed",
    "data_not_bound",
    "db_entry_not_allowed",
    "dbx_entry_missing",
    "event_missing",
    "event_not_allowed",
    "firmware_not_allowed",
    "ima_boot_aggregate_mismatch",
    "ima_boot_aggregate_unknown",
    "ima_digest_mismatch",
    "ima_entries_unjudged",
    "ima_entry_unreadable",
    "ima_file_unlisted",
    "ima_log_missing",
    "ima_more_entries",
    "ima_sha1_only",
    "ima_signature_invalid",
    "ima_violation",
    "image_missing",
    "image_not_allowed",
    "image_unexpected",
    "initrd_missing",
    "initrd_not_allowed",
    "key_exchange_key_not_allowed",
    "leaked_key",
    "log_missing",
    "no_active_baseline",
    "pcr_mismatch",
    "pcr_not_quoted",
    "pcr_unlisted",
    "platform_key_not_allowed",
    "sbat_level_missing",
    "sbat_level_too_low",
    "secure_boot_audit_mode",
    "secure_boot_distrusted",
    "secure_boot_off",
    "secure_boot_setup_mode",
    "secure_boot_variable_missing",
    "tpm_firmware_too_old",
    NULL,
};

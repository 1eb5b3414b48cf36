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

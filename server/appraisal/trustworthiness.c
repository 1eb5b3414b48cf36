#include "server/appraisal/trustworthiness.h"

#include <string.h>

/* A place of 3 bits for each claim that rules make; what stands there is an index of `values`. */
enum { PLACE_MASK = 7 };
static const struct place {
    enum ar4si_claim claim;
    unsigned shift;
} places[] = {{AR4SI_CONFIGURATION, 0}, {AR4SI_EXECUTABLES, 3}, {AR4SI_HARDWARE, 6}};
enum { NUM_PLACES = sizeof places / sizeof places[0] };
static const int8_t values[PLACE_MASK + 1] = {0, 2, 3, 32, 33, 36, 96, 97};

const char *ar4si_claim_name(enum ar4si_claim claim) {
    static const char *const names[NUM_AR4SI_CLAIMS] = {[AR4SI_INSTANCE_IDENTITY] =
                                                            "instance-identity",
                                                        [AR4SI_CONFIGURATION] = "configuration",
                                                        [AR4SI_EXECUTABLES] = "executables",
                                                        [AR4SI_FILE_SYSTEM] = "file-system",
                                                        [AR4SI_HARDWARE] = "hardware",
                                                        [AR4SI_RUNTIME_OPAQUE] = "runtime-opaque",
                                                        [AR4SI_STORAGE_OPAQUE] = "storage-opaque",
                                                        [AR4SI_SOURCED_DATA] = "sourced-data"};
    return names[claim];
}

const char *ar4si_tier_name(enum ar4si_tier tier) {
    static const char *const names[] = {[AR4SI_NONE] = "none",
                                        [AR4SI_AFFIRMING] = "affirming",
                                        [AR4SI_WARNING] = "warning",
                                        [AR4SI_CONTRAINDICATED] = "contraindicated"};
    return names[tier];
}

/* draft-ietf-rats-ar4si, section 2.3.2: -1 to 1 say nothing. */
enum ar4si_tier ar4si_tier_of(int8_t value) {
    int distance = value < 0 ? -value - 1 : value;
    return distance < 2 && value >= -1 ? AR4SI_NONE
           : distance < 32             ? AR4SI_AFFIRMING
           : distance < 96             ? AR4SI_WARNING
                                       : AR4SI_CONTRAINDICATED;
}

static bool is_one_of(const char *text, const char *const *list) {
    for (; *list != NULL; list++) {
        if (strcmp(text, *list) == 0) {
            return true;
        }
    }
    return false;
}

/* Which claim a PCR belongs to (TCG PC Client Platform Firmware Profile, section 3.3.4; PCRs 8 and up as
 * GRUB, Linux and systemd use them). */
static enum ar4si_claim claim_of_pcr(int pcr) {
    switch (pcr) {
    case 0:
    case 2:
        return AR4SI_HARDWARE;
    case 4:
    case 9:
    case 10:
    case 11:
    case 13:
        return AR4SI_EXECUTABLES;
    default:
        return AR4SI_CONFIGURATION;
    }
}

/* NUM_AR4SI_CLAIMS: none. */
static enum ar4si_claim claim_of(const struct finding *finding) {
    static const struct {
        const char *rule;
        enum ar4si_claim claim;
    } rules[] = {{"secure_boot", AR4SI_CONFIGURATION}, {"kernel_command_line", AR4SI_CONFIGURATION},
                 {"firmware", AR4SI_HARDWARE},         {"tpm", AR4SI_HARDWARE},
                 {"boot_chain", AR4SI_EXECUTABLES},    {"initrd", AR4SI_EXECUTABLES},
                 {"sbat", AR4SI_EXECUTABLES},          {"ima", AR4SI_EXECUTABLES}};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(finding->rule, rules[i].rule) == 0) {
            return rules[i].claim;
        }
    }
    return finding->pcr < 0 ? NUM_AR4SI_CLAIMS : claim_of_pcr(finding->pcr);
}

/* What a finding says against a claim. */
static int8_t against(enum ar4si_claim claim, const struct finding *finding) {
    static const char *const not_shown[] = {"data_not_bound",       "ima_boot_aggregate_unknown",
                                            "ima_entries_unjudged", "ima_entry_unreadable",
                                            "ima_log_missing",      "log_missing",
                                            "pcr_not_quoted",       NULL};
    static const char *const known_weak[] = {"sbat_level_missing", "sbat_level_too_low",
                                             "tpm_firmware_too_old", NULL};
    bool excepted = finding->severity == SEVERITY_EXCEPTED;
    if (claim == AR4SI_CONFIGURATION && is_one_of(finding->code, not_shown)) {
        return 36;
    }
    if (excepted) {
        bool recognised = claim != AR4SI_EXECUTABLES || is_one_of(finding->code, known_weak);
        return recognised ? 32 : 33;
    }
    return claim == AR4SI_HARDWARE && !is_one_of(finding->code, known_weak) ? 97 : 96;
}

static bool has_finding(const struct appraisal *appraisal, const char *rule) {
    for (size_t i = 0; i < appraisal->num_findings; i++) {
        if (strcmp(appraisal->finding[i].rule, rule) == 0) {
            return true;
        }
    }
    return false;
}

static int8_t affirmed(const struct appraisal *appraisal, enum ar4si_claim claim) {
    unsigned accounts = appraisal->accounts;
    if (appraisal->verdict != VERDICT_TRUSTED) {
        return 0;
    }
    if (claim == AR4SI_CONFIGURATION) {
        return (accounts & ACCOUNTS_SECURE_BOOT) != 0 ? 2 : 0;
    }
    if (claim == AR4SI_EXECUTABLES && (accounts & ACCOUNTS_BOOT) != 0) {
        return (accounts & ACCOUNTS_IMA) != 0 && !has_finding(appraisal, "ima") ? 2 : 3;
    }
    return 0; /* of the hardware trustworthiness_unpack knows */
}

static uint16_t index_of(int8_t value) {
    uint16_t i = 0;
    while (i < PLACE_MASK && values[i] != value) {
        i++;
    }
    return i;
}

uint16_t trustworthiness_of(const struct appraisal *appraisal) {
    uint16_t packed = 0;
    for (size_t i = 0; i < NUM_PLACES; i++) {
        int8_t worst = 0;
        for (size_t f = 0; f < appraisal->num_findings; f++) {
            const struct finding *finding = &appraisal->finding[f];
            if (finding->severity == SEVERITY_INFO || claim_of(finding) != places[i].claim) {
                continue;
            }
            int8_t value = against(places[i].claim, finding);
            worst = value > worst ? value : worst;
        }
        int8_t value = worst != 0 ? worst : affirmed(appraisal, places[i].claim);
        packed = (uint16_t)(packed | index_of(value) << places[i].shift);
    }
    return packed;
}

void trustworthiness_unpack(struct trustworthiness *out, uint16_t packed) {
    *out = (struct trustworthiness){{0}};
    for (size_t i = 0; i < NUM_PLACES; i++) {
        out->claim[places[i].claim] = values[packed >> places[i].shift & PLACE_MASK];
    }
    if ((packed & AR4SI_QUOTED) == 0) {
        return;
    }
    out->claim[AR4SI_INSTANCE_IDENTITY] = 2;
    if ((packed & AR4SI_EK_VERIFIED) != 0 && out->claim[AR4SI_HARDWARE] == 0) {
        out->claim[AR4SI_HARDWARE] = 2;
    }
}

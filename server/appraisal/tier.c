#include "server/appraisal/tier.h"

#include <string.h>

enum { PCR_FIRMWARE = 0, PCR_BOOT_PROGRAMS = 4, PCR_SECURE_BOOT = 7 };

static bool is_waived(const char *rule, const struct finding *finding, size_t num) {
    for (size_t i = 0; i < num; i++) {
        if (finding[i].severity == SEVERITY_EXCEPTED && finding[i].found == NULL &&
            strcmp(finding[i].rule, rule) == 0) {
            return true;
        }
    }
    return false;
}

/* What the families of the baseline state, of those that hold without being waived. */
struct stated {
    uint32_t pcrs; /* all of whose contents are accounted for */
    bool boot_keys;
};

static struct stated find_stated(const struct baseline *baseline, const struct finding *finding,
                                 size_t num) {
    struct stated stated = {0};
    for (size_t i = 0; i < num_rule_families; i++) {
        const struct rule_family *family = rule_families[i];
        const void *rules = baseline->rules[i];
        if (rules == NULL || is_waived(family->name, finding, num)) {
            continue;
        }
        stated.pcrs |= family->covers == NULL ? 0 : family->covers(rules);
        stated.boot_keys = stated.boot_keys ||
                           (family->states_boot_keys != NULL && family->states_boot_keys(rules));
    }
    return stated;
}

/* A PCR that nothing was measured into says nothing about what ran. */
static bool is_extended(const struct fact_bank *bank, unsigned pcr) {
    return bank != NULL && bank->pcr[pcr].quoted &&
           !pcr_is_reset(pcr, bytes_of(bank->pcr[pcr].value, digest_len(bank->alg)));
}

unsigned accounts_of(const struct baseline *baseline, const struct facts *facts,
                     const struct finding *finding, size_t num_findings) {
    static const uint32_t what_ran = 1u << PCR_FIRMWARE | 1u << PCR_BOOT_PROGRAMS;
    const struct fact_bank *bank = facts_bank(facts, baseline->bank);
    const struct fact_secure_boot *secure_boot = &facts->secure_boot;
    struct stated stated = find_stated(baseline, finding, num_findings);
    bool boot = (stated.pcrs & what_ran) == what_ran && is_extended(bank, PCR_FIRMWARE) &&
                is_extended(bank, PCR_BOOT_PROGRAMS);
    bool keys = stated.boot_keys || (stated.pcrs >> PCR_SECURE_BOOT & 1u) != 0;
    bool on = secure_boot->enabled == FACT_YES && secure_boot->setup_mode != FACT_YES &&
              secure_boot->audit_mode != FACT_YES && secure_boot->distrusted_why == NULL &&
              is_extended(bank, PCR_SECURE_BOOT);
    return (boot ? ACCOUNTS_BOOT : 0u) | (keys && on ? ACCOUNTS_SECURE_BOOT : 0u);
}

enum tier tier_of(const struct baseline *baseline, const struct facts *facts,
                  const struct finding *finding, size_t num_findings) {
    unsigned accounts = accounts_of(baseline, facts, finding, num_findings);
    return (accounts & ACCOUNTS_BOOT) != 0          ? TIER_MEASURED
           : (accounts & ACCOUNTS_SECURE_BOOT) != 0 ? TIER_VERIFIED_BOOT
                                                    : TIER_IDENTIFIED;
}

#include "server/appraisal/rule.h"

#include "server/appraisal/pcr_names.h"
#include "server/appraisal/rule_text.h"

const struct rule_family *const rule_families[] = {
    &rule_pcrs,   &rule_secure_boot, &rule_firmware, &rule_boot_chain, &rule_kernel_command_line,
    &rule_initrd, &rule_sbat,        &rule_events,   &rule_ima,        &rule_tpm,
};
const size_t num_rule_families = sizeof rule_families / sizeof *rule_families;

/* --- what judges use --------------------------------------------------------------------------- */

struct finding *judging_add(struct judging *j, const char *code, enum severity severity) {
    j->num_denials += severity == SEVERITY_DENY ? 1 : 0;
    if (j->finding == NULL || j->num_findings == APPRAISAL_MAX_FINDINGS) {
        return NULL;
    }
    struct finding *finding = &j->finding[j->num_findings++];
    *finding = (struct finding){
        .code = code, .rule = j->rule, .pcr = -1, .event = -1, .severity = severity};
    return finding;
}

struct bytes judging_pcr(const struct judging *j, unsigned pcr) {
    return bytes_of(j->bank->pcr[pcr].value, digest_len(j->bank->alg));
}

static bool is_quoted(const struct judging *j, unsigned pcr) {
    return j->bank != NULL && j->bank->pcr[pcr].quoted;
}

bool judging_quoted(struct judging *j, unsigned pcr) {
    if (is_quoted(j, pcr)) {
        return true;
    }
    struct finding *finding = judging_add(j, "pcr_not_quoted", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = (int)pcr;
        finding->remediation =
            arena_printf(j->arena,
                         "The baseline needs PCR %u (%s) of the %s bank, which was not quoted: "
                         "add it to the model's PCR selection, or take the rule out of the "
                         "baseline.",
                         pcr, pcr_meaning(pcr), hash_name(j->baseline->bank));
    }
    return false;
}

bool judging_logged(struct judging *j, unsigned pcr) {
    if (!judging_quoted(j, pcr)) {
        return false;
    }
    if (j->bank->pcr[pcr].logged || pcr_is_reset(pcr, judging_pcr(j, pcr))) {
        return true;
    }
    struct finding *finding = judging_add(j, "log_missing", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = (int)pcr;
        finding->remediation = arena_printf(
            j->arena,
            "%s, so that nothing says what was measured into PCR %u (%s): look whether the device "
            "has /sys/kernel/security/tpm0/binary_bios_measurements (a loader that starts the "
            "kernel without its EFI stub hides it), or name the PCR's values in pcrs.",
            j->facts->has_log ? "The event log has nothing of this PCR in the quoted bank"
                              : "The device sent no event log",
            pcr, pcr_meaning(pcr));
    }
    return false;
}

void judging_unbound(struct judging *j, uint32_t event, const char *what) {
    const struct facts *facts = j->facts;
    struct finding *finding = judging_add(j, "data_not_bound", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = facts_event_pcr(facts, event);
        finding->event = event < facts->num_events ? (int)event : -1;
        finding->expected = "data that are what was measured";
        finding->found =
            event < facts->num_events && j->bank != NULL
                ? arena_printf(j->arena, "other data than %s is the hash of",
                               hex_text(j->arena, facts->event[event].digest[j->bank_index]))
                : NULL;
        finding->remediation = arena_printf(
            j->arena,
            "The log's data of this event are not what was measured, so that it may have been %s: "
            "find out who changed the log.",
            what);
    }
}

bool judging_settings(struct judging *j) {
    enum { SECURE_BOOT_PCR = 7 };
    const struct fact_secure_boot *facts = &j->facts->secure_boot;
    if (!judging_logged(j, SECURE_BOOT_PCR)) {
        return false;
    }
    if (facts->distrusted_why == NULL) {
        return true;
    }
    struct finding *finding = judging_add(j, "secure_boot_distrusted", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = SECURE_BOOT_PCR;
        finding->event =
            facts->distrusted_event == FACT_NO_EVENT ? -1 : (int)facts->distrusted_event;
        finding->found = shown_text(j->arena, facts->distrusted_why);
        finding->remediation = arena_printf(
            j->arena,
            "What the firmware measured of Secure Boot is not to be believed (%s): restart the "
            "device with debugging off; if it stays, have the firmware looked at.",
            finding->found);
    }
    return false;
}

/* --- all of them -------------------------------------------------------------------------------- */

/* At reset, or a separator alone: the firmware says that it measured nothing. */
static bool holds_nothing(const struct judging *j, unsigned pcr) {
    struct bytes value = judging_pcr(j, pcr);
    return pcr_is_reset(pcr, value) ||
           bytes_equal(value, bytes_of(j->baseline->separated[0], value.len)) ||
           bytes_equal(value, bytes_of(j->baseline->separated[1], value.len));
}

/* Quoted, extended, and in none of `covered`. */
static uint32_t find_uncovered(const struct judging *j, uint32_t covered) {
    uint32_t mask = 0;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (is_quoted(j, pcr) && (covered >> pcr & 1u) == 0 && !holds_nothing(j, pcr)) {
            mask |= 1u << pcr;
        }
    }
    return mask;
}

static void judge_unlisted(struct judging *j, uint32_t uncovered) {
    j->rule = "unlisted_pcrs";
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if ((uncovered >> pcr & 1u) == 0) {
            continue;
        }
        struct finding *finding = judging_add(
            j, "pcr_unlisted", j->baseline->deny_unlisted ? SEVERITY_DENY : SEVERITY_INFO);
        if (finding != NULL) {
            finding->pcr = (int)pcr;
            finding->found = hex_text(j->arena, judging_pcr(j, pcr));
            finding->remediation = arena_printf(
                j->arena,
                "PCR %u (%s) holds measurements that no rule accounts for: name them in the "
                "baseline, or leave the PCR out of the model's PCR selection.",
                pcr, pcr_meaning(pcr));
        }
    }
}

void judge_rules(struct judging *j, uint32_t *uncovered) {
    uint32_t covered = 0;
    for (size_t i = 0; i < num_rule_families; i++) {
        const struct rule_family *family = rule_families[i];
        const void *rules = j->baseline->rules[i];
        if (rules == NULL) {
            continue;
        }
        j->rule = family->name;
        family->judge(j, rules);
        covered |= family->covers != NULL ? family->covers(rules) : 0;
    }
    *uncovered = find_uncovered(j, covered);
    judge_unlisted(j, *uncovered);
}

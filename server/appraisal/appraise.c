#include "server/appraisal/baseline.h"
#include "server/appraisal/pcr_names.h"

#include "server/base/encoding.h"

#include <assert.h>
#include <string.h>

enum { EXPECTED_SHOWN = 8 }; /* values named in a finding before "and n more" */

/* --- one rule, one PCR --------------------------------------------------------------------------
 * The outcome decides the verdict and names the finding: counting and describing share it. */

enum outcome { HOLDS, MISMATCH, NOT_QUOTED, UNLISTED };

static struct bytes pcr_value(const struct fact_bank *bank, unsigned pcr) {
    return bytes_of(bank->pcr[pcr].value, digest_len(bank->alg));
}

static enum outcome judge_pcr(const struct baseline *baseline, const struct fact_bank *bank,
                              unsigned pcr) {
    const struct baseline_values *allowed = &baseline->pcr[pcr];
    bool quoted = bank != NULL && bank->pcr[pcr].quoted;
    if (allowed->num == 0) {
        return quoted && !pcr_is_reset(pcr, pcr_value(bank, pcr)) ? UNLISTED : HOLDS;
    }
    if (!quoted) {
        return NOT_QUOTED;
    }
    for (size_t i = 0; i < allowed->num; i++) {
        if (bytes_equal(allowed->value[i], pcr_value(bank, pcr))) {
            return HOLDS;
        }
    }
    return MISMATCH;
}

static bool denies(const struct baseline *baseline, enum outcome outcome) {
    switch (outcome) {
    case HOLDS:
        return false;
    case UNLISTED:
        return baseline->deny_unlisted;
    case MISMATCH:
    case NOT_QUOTED:
        break;
    }
    return true;
}

static size_t count_denials(const struct baseline *baseline, const struct facts *facts) {
    const struct fact_bank *bank = facts_bank(facts, baseline->bank);
    size_t num = 0;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        num += denies(baseline, judge_pcr(baseline, bank, pcr)) ? 1 : 0;
    }
    return num;
}

/* --- findings ----------------------------------------------------------------------------------
 */

static const char *hex_text(struct arena *arena, struct bytes value) {
    char *text = arena_alloc(arena, 2 * value.len + 1);
    if (text != NULL) {
        hex_encode(text, value);
    }
    return text;
}

static const char *expected_text(struct arena *arena, const struct baseline_values *allowed) {
    const char *text = hex_text(arena, allowed->value[0]);
    size_t shown = allowed->num < EXPECTED_SHOWN ? allowed->num : EXPECTED_SHOWN;
    for (size_t i = 1; i < shown && text != NULL; i++) {
        const char *next = hex_text(arena, allowed->value[i]);
        text = next == NULL ? NULL : arena_printf(arena, "%s, %s", text, next);
    }
    if (text == NULL) {
        return NULL;
    }
    if (shown < allowed->num) {
        return arena_printf(arena, "one of: %s and %zu more", text, allowed->num - shown);
    }
    return arena_printf(arena, "one of: %s", text);
}

static void describe(struct finding *out, struct arena *arena, const struct baseline *baseline,
                     const struct fact_bank *bank, unsigned pcr, enum outcome outcome) {
    const char *alg = hash_name(baseline->bank);
    *out = (struct finding){
        .pcr = (int)pcr,
        .event = -1,
        .severity = denies(baseline, outcome) ? SEVERITY_DENY : SEVERITY_INFO,
    };
    switch (outcome) {
    case MISMATCH:
        out->code = "pcr_mismatch";
        out->rule = "pcrs";
        out->expected = expected_text(arena, &baseline->pcr[pcr]);
        out->found = hex_text(arena, pcr_value(bank, pcr));
        out->remediation =
            arena_printf(arena,
                         "PCR %u (%s) is not as the baseline allows: check %s; if the change is "
                         "intended, approve a "
                         "baseline that allows the value found, else restore the device.",
                         pcr, pcr_meaning(pcr), pcr_suspect(pcr));
        break;
    case NOT_QUOTED:
        out->code = "pcr_not_quoted";
        out->rule = "pcrs";
        out->expected = expected_text(arena, &baseline->pcr[pcr]);
        out->remediation = arena_printf(arena,
                                        "The baseline names PCR %u (%s) of the %s bank, which was "
                                        "not quoted: add it to the model's PCR "
                                        "selection, or take it out of the baseline.",
                                        pcr, pcr_meaning(pcr), alg);
        break;
    case UNLISTED:
    case HOLDS:
        out->code = "pcr_unlisted";
        out->rule = "unlisted_pcrs";
        out->found = hex_text(arena, pcr_value(bank, pcr));
        out->remediation = arena_printf(arena,
                                        "PCR %u (%s) holds measurements that no rule covers: name "
                                        "it in the baseline's pcrs, or leave it out "
                                        "of the model's PCR selection.",
                                        pcr, pcr_meaning(pcr));
        break;
    }
}

/* Denying ones first; among each, `pcrs` before `unlisted_pcrs`, then by PCR. */
static void describe_all(struct appraisal *out, struct arena *arena,
                         const struct baseline *baseline, const struct facts *facts) {
    static const struct {
        bool denying, unlisted;
    } pass[] = {{true, false}, {true, true}, {false, true}};
    const struct fact_bank *bank = facts_bank(facts, baseline->bank);
    out->num_findings = 0;
    out->finding = arena_array(arena, PCR_COUNT, sizeof *out->finding);
    if (out->finding == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof pass / sizeof *pass; i++) {
        for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
            enum outcome outcome = judge_pcr(baseline, bank, pcr);
            if (outcome == HOLDS || denies(baseline, outcome) != pass[i].denying ||
                (outcome == UNLISTED) != pass[i].unlisted) {
                continue;
            }
            describe(&out->finding[out->num_findings++], arena, baseline, bank, pcr, outcome);
        }
    }
}

static void describe_no_baseline(struct appraisal *out, struct arena *arena) {
    out->finding = arena_array(arena, 1, sizeof *out->finding);
    if (out->finding == NULL) {
        return;
    }
    out->num_findings = 1;
    out->finding[0] = (struct finding){
        .code = "no_active_baseline",
        .rule = "baseline",
        .pcr = -1,
        .event = -1,
        .severity = SEVERITY_DENY,
        .remediation =
            "The model has no active baseline: submit one, have it approved, and activate it.",
    };
}

/* --- verdict -----------------------------------------------------------------------------------
 */

enum status appraise(struct appraisal *out, struct arena *arena, const struct facts *facts,
                     const struct appraisal_inputs *inputs) {
    const struct baseline *const *baselines = inputs->baseline;
    size_t num = inputs->num_baselines;
    struct appraisal result = {.verdict = VERDICT_UNTRUSTED, .tier = TIER_NONE};
    size_t fewest = SIZE_MAX;
    for (size_t i = 0; i < num && fewest > 0; i++) {
        size_t denials = count_denials(baselines[i], facts);
        if (denials < fewest) {
            fewest = denials;
            result.baseline = i;
        }
    }
    if (num == 0) {
        describe_no_baseline(&result, arena);
    } else {
        describe_all(&result, arena, baselines[result.baseline], facts);
    }
    if (arena->overflow) {
        return STATUS_MEMORY;
    }
    assert(result.num_findings <= APPRAISAL_MAX_FINDINGS);
    if (num > 0 && fewest == 0) {
        result.verdict = VERDICT_TRUSTED;
        result.tier = TIER_MEASURED;
    }
    *out = result;
    return STATUS_OK;
}

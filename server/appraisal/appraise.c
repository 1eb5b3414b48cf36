#include "server/appraisal/tier.h"

#include <string.h>

/* Of one baseline, before findings are put in their order. */
struct outcome {
    struct finding finding[APPRAISAL_MAX_FINDINGS];
    size_t num_findings, num_denials;
    uint32_t uncovered;
};

/* --- exceptions --------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static const struct appraisal_exception *find_exception(const struct appraisal_inputs *inputs,
                                                        const struct finding *finding) {
    for (size_t i = 0; i < inputs->num_exceptions; i++) {
        const struct appraisal_exception *exception = &inputs->exception[i];
        if (exception->pcr == finding->pcr && same_text(exception->code, finding->code) &&
            same_text(exception->rule, finding->rule) &&
            same_text(exception->found, finding->found)) {
            return exception;
        }
    }
    return NULL;
}

static void except(struct outcome *outcome, const struct appraisal_inputs *inputs) {
    for (size_t i = 0; i < outcome->num_findings; i++) {
        struct finding *finding = &outcome->finding[i];
        const struct appraisal_exception *exception =
            finding->severity == SEVERITY_DENY ? find_exception(inputs, finding) : NULL;
        if (exception != NULL) {
            finding->severity = SEVERITY_EXCEPTED;
            finding->exception = exception->id;
            outcome->num_denials--;
        }
    }
}

/* --- one baseline ------------------------------------------------------------------------------- */

static struct judging judging_of(const struct baseline *baseline, const struct facts *facts,
                                 const struct appraisal_inputs *inputs) {
    return (struct judging){
        .baseline = baseline,
        .facts = facts,
        .inputs = inputs,
        .bank = facts_bank(facts, baseline->bank),
        .bank_index = facts_bank_index(facts, baseline->bank),
    };
}

static void describe(struct outcome *out, struct arena *arena, const struct baseline *baseline,
                     const struct facts *facts, const struct appraisal_inputs *inputs) {
    struct judging j = judging_of(baseline, facts, inputs);
    j.arena = arena;
    j.finding = out->finding;
    judge_rules(&j, &out->uncovered);
    out->num_findings = j.num_findings;
    out->num_denials = j.num_denials;
    except(out, inputs);
}

/* How well a baseline takes the facts. */
struct fit {
    size_t denials; /* that no exception covers */
    size_t excepted;
    enum tier tier; /* when nothing is denied */
};

static void take_fit(struct fit *out, const struct outcome *outcome,
                     const struct baseline *baseline, const struct facts *facts) {
    *out = (struct fit){.denials = outcome->num_denials};
    for (size_t i = 0; i < outcome->num_findings; i++) {
        out->excepted += outcome->finding[i].severity == SEVERITY_EXCEPTED ? 1 : 0;
    }
    if (out->denials == 0) {
        out->tier = tier_of(baseline, facts, outcome->finding, outcome->num_findings);
    }
}

/* Findings are only put in words when an exception may match them. */
static enum status try_baseline(struct fit *out, const struct baseline *baseline,
                                const struct facts *facts, const struct appraisal_inputs *inputs) {
    enum { SCRATCH = 4 << 20 };
    struct outcome outcome;
    if (inputs->num_exceptions == 0) {
        struct judging j = judging_of(baseline, facts, inputs);
        judge_rules(&j, &outcome.uncovered);
        outcome.num_findings = 0;
        outcome.num_denials = j.num_denials;
        take_fit(out, &outcome, baseline, facts);
        return STATUS_OK;
    }
    struct arena scratch;
    arena_init(&scratch, SCRATCH);
    describe(&outcome, &scratch, baseline, facts, inputs);
    enum status status = scratch.overflow ? STATUS_MEMORY : STATUS_OK;
    take_fit(out, &outcome, baseline, facts);
    arena_free(&scratch);
    return status;
}

/* Fewer denials; then the higher tier; then the fewer exceptions. */
static bool is_better(const struct fit *a, const struct fit *b) {
    if (a->denials != b->denials) {
        return a->denials < b->denials;
    }
    return a->tier != b->tier ? a->tier > b->tier : a->excepted < b->excepted;
}

/* --- findings ----------------------------------------------------------------------------------- */

static void put_in_order(struct appraisal *out, struct arena *arena,
                         const struct outcome *outcome) {
    static const enum severity order[] = {SEVERITY_DENY, SEVERITY_EXCEPTED, SEVERITY_INFO};
    out->finding = arena_array(arena, outcome->num_findings, sizeof *out->finding);
    if (out->finding == NULL) {
        return;
    }
    for (size_t o = 0; o < sizeof order / sizeof *order; o++) {
        for (size_t i = 0; i < outcome->num_findings; i++) {
            if (outcome->finding[i].severity == order[o]) {
                out->finding[out->num_findings++] = outcome->finding[i];
            }
        }
    }
}

static void describe_no_baseline(struct outcome *out) {
    out->num_findings = out->num_denials = 1;
    out->uncovered = 0;
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

/* --- verdict ------------------------------------------------------------------------------------ */

static bool is_perfect(const struct fit *fit) {
    return fit->denials == 0 && fit->tier == TIER_MEASURED && fit->excepted == 0;
}

static unsigned accounts(const struct baseline *baseline, const struct facts *facts,
                         const struct outcome *outcome) {
    return accounts_of(baseline, facts, outcome->finding, outcome->num_findings) |
           (baseline_judges_ima(baseline) ? ACCOUNTS_IMA : 0u);
}

enum status appraise(struct appraisal *out, struct arena *arena, const struct facts *facts,
                     const struct appraisal_inputs *inputs) {
    struct appraisal result = {.verdict = VERDICT_UNTRUSTED, .tier = TIER_NONE};
    struct outcome outcome;
    struct fit best = {.denials = SIZE_MAX};
    bool choose = inputs->num_baselines > 1; /* one alone is put in words at once */
    for (size_t i = 0; choose && i < inputs->num_baselines && !is_perfect(&best); i++) {
        struct fit fit;
        enum status status = try_baseline(&fit, inputs->baseline[i], facts, inputs);
        if (status != STATUS_OK) {
            return status;
        }
        if (is_better(&fit, &best)) {
            best = fit;
            result.baseline = i;
        }
    }
    if (inputs->num_baselines == 0) {
        describe_no_baseline(&outcome);
    } else {
        const struct baseline *chosen = inputs->baseline[result.baseline];
        describe(&outcome, arena, chosen, facts, inputs);
        take_fit(&best, &outcome, chosen, facts);
    }
    put_in_order(&result, arena, &outcome);
    if (arena->overflow) {
        return STATUS_MEMORY;
    }
    result.uncovered = outcome.uncovered;
    if (outcome.num_denials == 0) {
        result.verdict = VERDICT_TRUSTED;
        result.tier = best.tier;
        result.accounts = accounts(inputs->baseline[result.baseline], facts, &outcome);
    }
    *out = result;
    return STATUS_OK;
}

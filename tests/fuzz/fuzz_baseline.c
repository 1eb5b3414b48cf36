/* Baseline documents. One that is taken names its model; trusts no device that quoted nothing; and trusts the
 * device whose PCRs it lists, again and again with the same findings. */
#include "server/appraisal/appraisal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void touch(const struct appraisal *appraisal) {
    size_t denials = 0;
    bool info = false;
    for (size_t i = 0; i < appraisal->num_findings; i++) {
        const struct finding *finding = &appraisal->finding[i];
        hold(strlen(finding->code) > 0 && strlen(finding->rule) > 0);
        hold(strlen(finding->remediation) > 0);
        hold(finding->expected == NULL || strlen(finding->expected) > 0);
        hold(finding->found == NULL || strlen(finding->found) > 0);
        hold(finding->pcr >= -1 && finding->pcr < PCR_COUNT);
        info = info || finding->severity == SEVERITY_INFO;
        hold(!info || finding->severity == SEVERITY_INFO);
        denials += finding->severity == SEVERITY_DENY ? 1 : 0;
    }
    hold((appraisal->verdict == VERDICT_TRUSTED) == (denials == 0));
    hold(appraisal->verdict == VERDICT_TRUSTED || appraisal->verdict == VERDICT_UNTRUSTED);
}

static void check_appraisal(const struct baseline *baseline,
                            const struct pcr_selection *selection) {
    static struct facts facts;
    const struct appraisal_inputs against = {.baseline = &baseline, .num_baselines = 1};
    struct appraisal nothing, zeros, again;
    struct arena arena;
    arena_init(&arena, 4 << 20);
    memset(&facts, 0, sizeof facts);
    hold(appraise(&nothing, &arena, &facts, &against) == STATUS_OK);
    hold(nothing.verdict == VERDICT_UNTRUSTED);
    touch(&nothing);
    facts.num_banks = 1;
    facts.bank[0].alg = selection->bank[0].bank;
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        facts.bank[0].pcr[i].quoted = true;
    }
    hold(appraise(&zeros, &arena, &facts, &against) == STATUS_OK);
    hold(appraise(&again, &arena, &facts, &against) == STATUS_OK);
    touch(&zeros);
    hold(zeros.verdict == again.verdict && zeros.num_findings == again.num_findings);
    for (size_t i = 0; i < zeros.num_findings; i++) {
        hold(strcmp(zeros.finding[i].remediation, again.finding[i].remediation) == 0);
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct baseline *baseline = NULL;
    struct detail detail = {0};
    struct pcr_selection selection;
    const char *code = NULL;
    if (baseline_compile(&baseline, bytes_of(data, size), &code, &detail) != STATUS_OK) {
        hold(baseline == NULL && detail.text[0] != '\0');
        hold(strcmp(code, "unknown_field") == 0 || strcmp(code, "invalid_baseline") == 0);
        return 0;
    }
    baseline_selection(baseline, &selection);
    hold(selection.num_banks <= 1);
    hold(selection.num_banks == 0 ||
         (selection.bank[0].mask != 0 && selection.bank[0].bank != HASH_SHA1));
    hold(strlen(baseline_model(baseline)) > 0 && strlen(baseline_label(baseline)) < 4096);
    check_appraisal(baseline, &selection);
    baseline_free(baseline);
    return 0;
}

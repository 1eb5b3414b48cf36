/* Learning and drift, on whatever facts a log gives. What was learned compiles and accepts what it was
 * learned from; equal facts have no drift; and every text that comes out can be read.
 * Input: a byte that says where to cut (0: nowhere), then one event log, or two. */
#include "server/appraisal/drift.h"
#include "server/appraisal/learn.h"
#include "server/evidence/tpm2/tpm2.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 256 << 20 };
static volatile size_t sink;

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void touch(const char *text) {
    sink += text == NULL ? 0 : strlen(text);
}

static void touch_learned(const struct learned *learned) {
    for (size_t i = 0; i < learned->num_questions; i++) {
        touch(learned->question[i].subject);
        touch(learned->question[i].why);
        hold(learned->question[i].num_values <= LEARN_VALUES_SHOWN);
        for (size_t v = 0; v < learned->question[i].num_values; v++) {
            touch(learned->question[i].value[v]);
        }
    }
    for (size_t i = 0; i < learned->num_warnings; i++) {
        touch(learned->warning[i]);
    }
}

static bool is_leaked(const struct appraisal *appraisal) {
    for (size_t i = 0; i < appraisal->num_findings; i++) {
        const struct finding *finding = &appraisal->finding[i];
        if (finding->severity == SEVERITY_DENY && strcmp(finding->code, "leaked_key") != 0) {
            return false;
        }
    }
    return true;
}

static void learn(const struct facts *facts, size_t num) {
    struct arena arena;
    struct learned learned;
    struct baseline *baseline = NULL;
    struct learn_source source[2] = {{&facts[0], "first", 1}, {&facts[num - 1], "second", 1}};
    const struct learn_inputs inputs = {
        .source = source, .num = num, .model = "model", .label = "label"};
    arena_init(&arena, ARENA_BYTES);
    enum status status = learn_baseline(&learned, &arena, &inputs, NULL);
    hold(status == STATUS_OK || status == STATUS_INVALID || status == STATUS_LIMIT ||
         status == STATUS_MEMORY);
    if (status == STATUS_OK) {
        touch_learned(&learned);
        hold(baseline_compile(&baseline, learned.document, NULL, NULL) == STATUS_OK);
        for (size_t i = 0; i < num; i++) {
            const struct baseline *const one[] = {baseline};
            struct appraisal appraisal;
            hold(appraise(&appraisal, &arena, &facts[i],
                          &(struct appraisal_inputs){.baseline = one, .num_baselines = 1}) ==
                 STATUS_OK);
            hold(appraisal.verdict == VERDICT_TRUSTED || is_leaked(&appraisal));
        }
        baseline_free(baseline);
    }
    arena_free(&arena);
}

/* How many changes. */
static size_t compare(const struct facts *before, const struct facts *after) {
    struct arena arena;
    struct drift drift = {0};
    arena_init(&arena, ARENA_BYTES);
    enum status status = drift_between(&drift, &arena, before, after);
    hold(status == STATUS_OK || status == STATUS_MEMORY);
    for (size_t i = 0; i < drift.num; i++) {
        touch(drift.change[i].subject);
        touch(drift.change[i].before);
        touch(drift.change[i].after);
        hold(drift.change[i].text != NULL);
        touch(drift.change[i].text);
    }
    size_t num = drift.num;
    arena_free(&arena);
    return num;
}

static bool same_values(const struct facts *a, const struct facts *b) {
    return a->num_banks == b->num_banks && memcmp(a->bank, b->bank, sizeof a->bank) == 0 &&
           bytes_equal(a->log, b->log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes rest = {NULL, 0}, first;
    struct arena arena;
    struct facts facts[2];
    size_t num = 0;
    if (size < 2) {
        return 0;
    }
    rest = bytes_of(data + 1, size - 1);
    size_t cut = data[0] == 0 ? rest.len : rest.len * data[0] / 256;
    arena_init(&arena, ARENA_BYTES);
    hold(bytes_take(&rest, cut, &first) == STATUS_OK);
    const struct bytes logs[] = {first, rest};
    for (size_t i = 0; i < 2; i++) {
        num +=
            logs[i].len > 0 && tpm2_unquoted_facts(&facts[num], &arena, logs[i], NULL) == STATUS_OK
                ? 1
                : 0;
    }
    for (size_t i = 0; i < num; i++) {
        learn(&facts[i], 1);
        hold(compare(&facts[i], &facts[i]) == 0);
    }
    if (num == 2) {
        learn(facts, 2);
        size_t changes = compare(&facts[0], &facts[1]);
        hold(changes == 0 || !same_values(&facts[0], &facts[1]));
    }
    arena_free(&arena);
    return 0;
}

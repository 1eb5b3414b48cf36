/* pcrs: whole values. {"0": ["<hex>", {"label": "fw 1.42", "sha256": "<hex>"}], ...} */
#include "server/appraisal/pcr_names.h"
#include "server/appraisal/rule_text.h"

#include <stdio.h>

struct pcrs {
    struct allowed pcr[PCR_COUNT]; /* num 0: not named */
};

/* "0" to "23": every member is one of these. */
static void name_pcrs(char name[static PCR_COUNT][4], const char *known[static PCR_COUNT + 1]) {
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        (void)snprintf(name[pcr], sizeof name[pcr], "%hhu", (unsigned char)pcr);
        known[pcr] = name[pcr];
    }
    known[PCR_COUNT] = NULL;
}

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    char name[PCR_COUNT][4];
    const char *known[PCR_COUNT + 1];
    struct pcrs *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    name_pcrs(name, known);
    enum status status = read_object(c, at, known);
    for (unsigned pcr = 0; pcr < PCR_COUNT && status == STATUS_OK; pcr++) {
        struct place values = place_member(at, name[pcr]);
        if (values.json != NULL) {
            status = read_allowed(c, &values, &rules->pcr[pcr], c->baseline->bank);
        }
    }
    *out = rules;
    return status;
}

static void judge_pcr(struct judging *j, const struct allowed *allowed, unsigned pcr) {
    if (!judging_quoted(j, pcr) || allowed_has(allowed, judging_pcr(j, pcr))) {
        return;
    }
    struct finding *finding = judging_add(j, "pcr_mismatch", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = (int)pcr;
        finding->expected = allowed_text(j->arena, allowed);
        finding->found = hex_text(j->arena, judging_pcr(j, pcr));
        finding->remediation =
            arena_printf(j->arena,
                         "PCR %u (%s) is not as the baseline allows: check %s; if the change is "
                         "intended, approve a baseline that allows the value found, else restore "
                         "the device.",
                         pcr, pcr_meaning(pcr), pcr_suspect(pcr));
    }
}

static void judge(struct judging *j, const void *rules) {
    const struct pcrs *pcrs = rules;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (pcrs->pcr[pcr].num > 0) {
            judge_pcr(j, &pcrs->pcr[pcr], pcr);
        }
    }
}

static uint32_t named(const void *rules) {
    const struct pcrs *pcrs = rules;
    uint32_t mask = 0;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        mask |= pcrs->pcr[pcr].num > 0 ? 1u << pcr : 0;
    }
    return mask;
}

const struct rule_family rule_pcrs = {
    .name = "pcrs", .compile = compile, .judge = judge, .reads = named, .covers = named};

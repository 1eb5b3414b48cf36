/* sbat: the revocation level that shim enforced. {"at_least": {"shim": 4, "grub": 5}} */
#include "server/appraisal/rule_text.h"

#include <string.h>

enum { SBAT_PCR = 7, COMPONENTS_MAX = 64 };

struct component {
    const char *name;
    uint32_t level;
};
struct sbat {
    struct component *component; /* in the document's order */
    size_t num;
};

static enum status read_components(struct compiling *c, const struct place *at, struct sbat *out) {
    const char *name;
    json_t *value;
    size_t num = json_object_size(at->json);
    if (num > COMPONENTS_MAX) {
        return place_refuse(c, at, "it has over %d members", COMPONENTS_MAX);
    }
    out->component = arena_array(&c->baseline->arena, num, sizeof *out->component);
    if (out->component == NULL) {
        return STATUS_MEMORY;
    }
    json_object_foreach(at->json, name, value) {
        struct component *component = &out->component[out->num++];
        struct place level = place_member(at, name);
        enum status status = read_number(c, &level, &component->level, 1, UINT32_MAX);
        if (status != STATUS_OK) {
            return status;
        }
        component->name = arena_text(&c->baseline->arena, name);
        if (component->name == NULL) {
            return STATUS_MEMORY;
        }
    }
    return STATUS_OK;
}

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    static const char *const known[] = {"at_least", NULL};
    struct place at_least = place_member(at, "at_least");
    struct sbat *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK) {
        status = read_object(c, &at_least, NULL);
    }
    *out = rules;
    return status == STATUS_OK ? read_components(c, &at_least, rules) : status;
}

/* 0: the level says nothing of it. */
static uint32_t level_of(const struct fact_os *os, const char *name) {
    for (size_t i = 0; i < os->num_sbat; i++) {
        if (strcmp(os->sbat[i].component, name) == 0) {
            return os->sbat[i].level;
        }
    }
    return 0;
}

static void judge_component(struct judging *j, const struct component *wanted) {
    const struct fact_os *os = &j->facts->os;
    uint32_t level = level_of(os, wanted->name);
    if (level >= wanted->level) {
        return;
    }
    struct finding *finding = judging_add(j, "sbat_level_too_low", SEVERITY_DENY);
    if (finding != NULL) {
        finding->pcr = SBAT_PCR;
        finding->event = (int)os->sbat_event;
        finding->expected = arena_printf(j->arena, "%s at least %u", wanted->name, wanted->level);
        finding->found = level == 0 ? arena_printf(j->arena, "no %s", wanted->name)
                                    : arena_printf(j->arena, "%s %u", wanted->name, level);
        finding->remediation =
            arena_printf(j->arena,
                         "shim still starts revoked builds of %s: update shim, or its SBAT level "
                         "(mokutil --set-sbat-policy latest, and a restart).",
                         wanted->name);
    }
}

static void judge(struct judging *j, const void *rules) {
    const struct sbat *sbat = rules;
    if (!judging_settings(j)) {
        return;
    }
    if (j->facts->os.sbat_event == FACT_NO_EVENT) {
        struct finding *finding = judging_add(j, "sbat_level_missing", SEVERITY_DENY);
        if (finding != NULL) {
            finding->pcr = SBAT_PCR;
            finding->remediation = "No SBAT level was measured: shim is older than 15.3, or did "
                                   "not run, or its data are not what was measured.";
        }
        return;
    }
    for (size_t i = 0; i < sbat->num; i++) {
        judge_component(j, &sbat->component[i]);
    }
}

static uint32_t reads(const void *rules) {
    (void)rules;
    return 1u << SBAT_PCR;
}

const struct rule_family rule_sbat = {
    .name = "sbat", .compile = compile, .judge = judge, .reads = reads};

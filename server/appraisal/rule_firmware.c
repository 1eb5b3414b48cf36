/* firmware: one of these. {"any_of": [{"label": "2026-10", "version": "1.42", "pcr0": "<hex>"}]}
 * `version` is what the firmware's root of trust measures about itself (EV_S_CRTM_VERSION); `pcr0` the
 * whole of the firmware's code. An entry holds when all that it names does. */
#include "server/appraisal/rule_text.h"

#include "server/base/encoding.h"

#include <string.h>

enum { FIRMWARE_PCR = 0, ENTRIES_MAX = 256, VERSION_MAX = 256, ENTRIES_SHOWN = 8 };

struct entry {
    const char *label, *version; /* NULL: not given */
    struct allowed pcr0;         /* one, or none */
};
struct firmware {
    struct entry *entry;
    size_t num;
    bool wants_version, wants_pcr0; /* some entry does */
    bool always_pcr0;               /* every entry does */
};

/* --- reading ------------------------------------------------------------------------------------ */

static enum status read_entry(struct compiling *c, const struct place *at, struct entry *out) {
    static const char *const known[] = {"label", "version", "pcr0", NULL};
    struct place label = place_member(at, "label"), version = place_member(at, "version"),
                 pcr0 = place_member(at, "pcr0");
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK && label.json != NULL) {
        status = read_text(c, &label, &out->label, LABEL_MAX);
    }
    if (status == STATUS_OK && version.json != NULL) {
        status = read_text(c, &version, &out->version, VERSION_MAX);
    }
    if (status == STATUS_OK && pcr0.json != NULL) {
        status = read_one(c, &pcr0, &out->pcr0, c->baseline->bank);
    }
    if (status == STATUS_OK && version.json == NULL && pcr0.json == NULL) {
        return place_refuse(c, at, "it names neither version nor pcr0");
    }
    return status;
}

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    static const char *const known[] = {"any_of", NULL};
    struct place any_of = place_member(at, "any_of");
    struct firmware *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK) {
        status = read_list(c, &any_of, &rules->num, ENTRIES_MAX);
    }
    if (status == STATUS_OK) {
        rules->entry = arena_array(&c->baseline->arena, rules->num, sizeof *rules->entry);
        status = rules->entry == NULL ? STATUS_MEMORY : STATUS_OK;
    }
    rules->always_pcr0 = true;
    for (size_t i = 0; i < rules->num && status == STATUS_OK; i++) {
        struct place element = place_element(&any_of, i);
        struct entry *entry = &rules->entry[i];
        status = read_entry(c, &element, entry);
        rules->wants_version = rules->wants_version || entry->version != NULL;
        rules->wants_pcr0 = rules->wants_pcr0 || entry->pcr0.num > 0;
        rules->always_pcr0 = rules->always_pcr0 && entry->pcr0.num > 0;
    }
    *out = rules;
    return status;
}

/* --- judging ------------------------------------------------------------------------------------ */

/* NULL: nothing vouches for one. */
static const char *version_of(const struct judging *j) {
    return j->bank->pcr[FIRMWARE_PCR].logged ? j->facts->firmware.version : NULL;
}

static bool holds(const struct judging *j, const struct entry *entry) {
    const char *version = version_of(j);
    if (entry->version != NULL && (version == NULL || strcmp(entry->version, version) != 0)) {
        return false;
    }
    return entry->pcr0.num == 0 || allowed_has(&entry->pcr0, judging_pcr(j, FIRMWARE_PCR));
}

static const char *entry_text(struct arena *arena, const struct entry *entry) {
    const char *text = entry->version;
    if (entry->pcr0.num > 0) {
        const char *hex = hex_text(arena, entry->pcr0.of[0].digest);
        text = joined_text(arena, text, ", ",
                           hex == NULL ? NULL : arena_printf(arena, "PCR 0 %s", hex));
    }
    return entry->label == NULL ? text : arena_printf(arena, "%s (%s)", entry->label, text);
}

static const char *expected_text(struct arena *arena, const struct firmware *rules) {
    const char *text = "";
    size_t shown = rules->num < ENTRIES_SHOWN ? rules->num : ENTRIES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        text = joined_text(arena, text, "; ", entry_text(arena, &rules->entry[i]));
    }
    return shown < rules->num
               ? arena_printf(arena, "one of: %s and %zu more", text, rules->num - shown)
               : arena_printf(arena, "one of: %s", text);
}

static const char *found_text(struct judging *j, const struct firmware *rules) {
    const char *version = version_of(j), *text = "";
    if (rules->wants_version) {
        text = version == NULL ? "no version" : shown_text(j->arena, version);
    }
    if (rules->wants_pcr0) {
        const char *hex = hex_text(j->arena, judging_pcr(j, FIRMWARE_PCR));
        text = joined_text(j->arena, text, ", ",
                           hex == NULL ? NULL : arena_printf(j->arena, "PCR 0 %s", hex));
    }
    return text;
}

static void judge(struct judging *j, const void *rules) {
    const struct firmware *firmware = rules;
    bool needs_log = !firmware->wants_pcr0;
    if (needs_log ? !judging_logged(j, FIRMWARE_PCR) : !judging_quoted(j, FIRMWARE_PCR)) {
        return;
    }
    for (size_t i = 0; i < firmware->num; i++) {
        if (holds(j, &firmware->entry[i])) {
            return;
        }
    }
    uint32_t event = j->facts->firmware.version_event;
    bool unbound = version_of(j) == NULL && event != FACT_NO_EVENT && firmware->wants_version &&
                   j->facts->firmware.version_bytes.len == 0;
    if (unbound) {
        judging_unbound(j, event, "the firmware's version");
        return;
    }
    struct finding *finding = judging_add(j, "firmware_not_allowed", SEVERITY_DENY);
    if (finding == NULL) {
        return;
    }
    finding->pcr = FIRMWARE_PCR;
    finding->event = event == FACT_NO_EVENT || !firmware->wants_version ? -1 : (int)event;
    finding->expected = expected_text(j->arena, firmware);
    finding->found = found_text(j, firmware);
    finding->remediation = arena_printf(
        j->arena, "Firmware %s is not among the %zu allowed: update it, or approve this one.",
        finding->found, firmware->num);
}

static uint32_t reads(const void *rules) {
    (void)rules;
    return 1u << FIRMWARE_PCR;
}

static uint32_t covers(const void *rules) {
    const struct firmware *firmware = rules;
    return firmware->always_pcr0 ? 1u << FIRMWARE_PCR : 0;
}

const struct rule_family rule_firmware = {
    .name = "firmware", .compile = compile, .judge = judge, .reads = reads, .covers = covers};

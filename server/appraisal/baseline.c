#include "server/appraisal/rule_read.h"

#include <stdlib.h>
#include <string.h>

enum {
    MODEL_MAX = 128,
    ARENA_MAX = 4 * BASELINE_MAX_BYTES /* a value's text is longer than its bytes and their view */
};

/* --- the document's head --- */

static enum status read_schema(struct compiling *c, const struct place *root) {
    struct place at = place_member(root, "schema");
    const char *text = json_string_value(at.json);
    if (text == NULL || strcmp(text, "gatehouse/baseline/1") != 0) {
        return place_refuse(c, &at, "it is not \"gatehouse/baseline/1\"");
    }
    return STATUS_OK;
}

static enum status read_model(struct compiling *c, const struct place *root) {
    struct place at = place_member(root, "model");
    return read_text(c, &at, &c->baseline->model, MODEL_MAX);
}

static enum status read_label(struct compiling *c, const struct place *root) {
    struct place at = place_member(root, "label");
    return at.json == NULL ? STATUS_OK : read_text(c, &at, &c->baseline->label, LABEL_MAX);
}

static enum status read_bank(struct compiling *c, const struct place *root) {
    struct place at = place_member(root, "bank");
    const char *text = json_string_value(at.json);
    enum hash_alg alg = text != NULL ? hash_from_name(text) : HASH_NONE;
    if (alg == HASH_NONE || alg == HASH_SHA1) {
        return place_refuse(c, &at, "it is none of \"sha256\", \"sha384\", \"sha512\"");
    }
    c->baseline->bank = alg;
    return STATUS_OK;
}

static enum status read_unlisted(struct compiling *c, const struct place *root) {
    struct place at = place_member(root, "unlisted_pcrs");
    const char *text = json_string_value(at.json);
    if (at.json == NULL || (text != NULL && strcmp(text, "report") == 0)) {
        return STATUS_OK;
    }
    if (text == NULL || strcmp(text, "deny") != 0) {
        return place_refuse(c, &at, "it is neither \"report\" nor \"deny\"");
    }
    c->baseline->deny_unlisted = true;
    return STATUS_OK;
}

/* EV_SEPARATOR: TCG PC Client Platform Firmware Profile 1.06, 10.4.1. */
static enum status note_separators(struct compiling *c, const struct place *root) {
    static const uint8_t value[2][4] = {{0}, {0xFF, 0xFF, 0xFF, 0xFF}}, reset[DIGEST_MAX] = {0};
    struct baseline *baseline = c->baseline;
    size_t len = digest_len(baseline->bank);
    (void)root;
    for (size_t i = 0; i < 2; i++) {
        uint8_t digest[DIGEST_MAX];
        digest_compute(baseline->bank, bytes_of(value[i], sizeof value[i]), digest);
        digest_compute2(baseline->bank, bytes_of(reset, len), bytes_of(digest, len),
                        baseline->separated[i]);
    }
    return STATUS_OK;
}

/* --- its rule families --- */

static enum status read_families(struct compiling *c, const struct place *root) {
    size_t num = 0;
    c->baseline->rules =
        arena_array(&c->baseline->arena, num_rule_families, sizeof *c->baseline->rules);
    if (c->baseline->rules == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < num_rule_families; i++) {
        struct place at = place_member(root, rule_families[i]->name);
        if (at.json == NULL) {
            continue;
        }
        enum status status = rule_families[i]->compile(c, &at, &c->baseline->rules[i]);
        if (status != STATUS_OK) {
            return status;
        }
        num++;
    }
    if (num == 0) { /* it would trust whatever quotes */
        return place_refuse(c, root, "it demands nothing: there is no rule family in it");
    }
    return STATUS_OK;
}

static enum status check_members(struct compiling *c, const struct place *root) {
    static const char *const head[] = {"schema", "model", "label", "bank", "unlisted_pcrs"};
    enum { NUM_HEAD = sizeof head / sizeof *head };
    const char **known =
        arena_array(&c->baseline->arena, NUM_HEAD + num_rule_families + 1, sizeof *known);
    if (known == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < NUM_HEAD + num_rule_families; i++) {
        known[i] = i < NUM_HEAD ? head[i] : rule_families[i - NUM_HEAD]->name;
    }
    return read_object(c, root, known);
}

static enum status read_document(struct compiling *c, json_t *json) {
    static enum status (*const step[])(struct compiling *, const struct place *) = {
        check_members, read_schema,     read_model,    read_label,
        read_bank,     note_separators, read_families, read_unlisted,
    };
    struct place root = {.json = json};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof step / sizeof *step && status == STATUS_OK; i++) {
        status = step[i](c, &root);
    }
    return status;
}

static enum status read_json(struct compiling *c, struct bytes json) {
    json_error_t error;
    if (json.len > BASELINE_MAX_BYTES) {
        return status_fail(c->detail, STATUS_LIMIT, "baseline: over %d bytes", BASELINE_MAX_BYTES);
    }
    json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return status_fail(c->detail, STATUS_MALFORMED, "baseline: %.160s at byte %d", error.text,
                           error.position);
    }
    enum status status = read_document(c, root);
    json_decref(root);
    if (status == STATUS_MEMORY) {
        detail_set(c->detail, "no memory for the baseline");
    }
    return status;
}

/* --- baselines --- */

enum status baseline_compile(struct baseline **out, struct bytes json, const char **code,
                             struct detail *detail) {
    struct baseline *baseline = calloc(1, sizeof *baseline);
    if (baseline == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the baseline");
    }
    arena_init(&baseline->arena, ARENA_MAX);
    baseline->label = "";
    struct compiling c = {baseline, "invalid_baseline", detail};
    enum status status = read_json(&c, json);
    if (status != STATUS_OK) {
        if (code != NULL) {
            *code = c.code;
        }
        baseline_free(baseline);
        return status;
    }
    *out = baseline;
    return STATUS_OK;
}

void baseline_free(struct baseline *baseline) {
    if (baseline != NULL) {
        arena_free(&baseline->arena);
        free(baseline);
    }
}

const char *baseline_model(const struct baseline *baseline) {
    return baseline->model;
}

bool baseline_demands_ima(const struct baseline *baseline) {
    for (size_t i = 0; i < num_rule_families; i++) {
        if (rule_families[i] == &rule_ima && baseline->rules[i] != NULL) {
            return true;
        }
    }
    return false;
}

const char *baseline_label(const struct baseline *baseline) {
    return baseline->label;
}

void baseline_selection(const struct baseline *baseline, struct pcr_selection *out) {
    uint32_t mask = 0;
    for (size_t i = 0; i < num_rule_families; i++) {
        if (baseline->rules[i] != NULL && rule_families[i]->reads != NULL) {
            mask |= rule_families[i]->reads(baseline->rules[i]);
        }
    }
    *out = (struct pcr_selection){.bank = {{baseline->bank, mask}}, .num_banks = mask != 0 ? 1 : 0};
}

#include "server/appraisal/baseline.h"

#include "server/base/encoding.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODEL_MAX = 128,
    LABEL_MAX = 256,
    VALUES_MAX = 1024,                 /* of one PCR */
    ARENA_MAX = 4 * BASELINE_MAX_BYTES /* a value's text is longer than its bytes and their view */
};

struct reading {
    struct baseline *baseline;
    const char *code;
    struct detail *detail;
};

static enum status refuse(struct reading *reading, const char *path, const char *text) {
    return status_fail(reading->detail, STATUS_MALFORMED, "%s: %s", path, text);
}

static bool contains(const char *const *names, const char *name) {
    for (; *names != NULL; names++) {
        if (strcmp(*names, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A text of 1..max bytes without control characters. */
static enum status read_text(struct reading *reading, const char **out, const json_t *value,
                             const char *path, size_t max) {
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) > max) {
        return refuse(reading, path, "it is not a text of a reasonable length");
    }
    const char *text = json_string_value(value);
    for (size_t i = 0; text[i] != '\0'; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return refuse(reading, path, "it has a control character");
        }
    }
    *out = arena_text(&reading->baseline->arena, text);
    return *out == NULL ? STATUS_MEMORY : STATUS_OK;
}

static enum status read_schema(struct reading *reading, const json_t *value) {
    if (!json_is_string(value) || strcmp(json_string_value(value), "gatehouse/baseline/1") != 0) {
        return refuse(reading, "schema", "it is not \"gatehouse/baseline/1\"");
    }
    return STATUS_OK;
}

static enum status read_bank(struct reading *reading, const json_t *value) {
    enum hash_alg alg =
        json_is_string(value) ? hash_from_name(json_string_value(value)) : HASH_NONE;
    if (alg == HASH_NONE || alg == HASH_SHA1) {
        return refuse(reading, "bank", "it is none of \"sha256\", \"sha384\", \"sha512\"");
    }
    reading->baseline->bank = alg;
    return STATUS_OK;
}

static enum status read_values(struct reading *reading, unsigned pcr, const json_t *list) {
    struct baseline *baseline = reading->baseline;
    struct baseline_values *out = &baseline->pcr[pcr];
    size_t len = digest_len(baseline->bank), num = json_array_size(list);
    if (!json_is_array(list) || num == 0 || num > VALUES_MAX) {
        return status_fail(reading->detail, STATUS_MALFORMED,
                           "pcrs.%u: it is not a list of 1 to %d values", pcr, VALUES_MAX);
    }
    struct bytes *values = arena_array(&baseline->arena, num, sizeof *values);
    for (size_t i = 0; i < num; i++) {
        const json_t *value = json_array_get(list, i);
        uint8_t *digest = arena_alloc(&baseline->arena, len);
        if (values == NULL || digest == NULL) {
            return STATUS_MEMORY;
        }
        if (!json_is_string(value) ||
            hex_decode(digest, len, json_string_value(value)) != STATUS_OK) {
            return status_fail(reading->detail, STATUS_MALFORMED,
                               "pcrs.%u[%zu]: it is not %zu lower-case hex digits", pcr, i,
                               2 * len);
        }
        values[i] = bytes_of(digest, len);
    }
    out->value = values;
    out->num = num;
    return STATUS_OK;
}

static bool parse_pcr(const char *key, unsigned *out) {
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        char name[12];
        (void)snprintf(name, sizeof name, "%u", i);
        if (strcmp(name, key) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static enum status read_pcrs(struct reading *reading, json_t *pcrs) {
    const char *key;
    json_t *list;
    /* The one rule family so far: a baseline without it would trust whatever quotes. */
    if (!json_is_object(pcrs) || json_object_size(pcrs) == 0) {
        return refuse(reading, "pcrs", "it does not name a PCR");
    }
    json_object_foreach(pcrs, key, list) {
        unsigned pcr = 0;
        if (!parse_pcr(key, &pcr)) {
            return status_fail(reading->detail, STATUS_MALFORMED, "pcrs.%.16s: no such PCR", key);
        }
        enum status status = read_values(reading, pcr, list);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status read_unlisted(struct reading *reading, const json_t *value) {
    const char *text = json_string_value(value);
    if (value == NULL || (text != NULL && strcmp(text, "report") == 0)) {
        return STATUS_OK;
    }
    if (text == NULL || strcmp(text, "deny") != 0) {
        return refuse(reading, "unlisted_pcrs", "it is neither \"report\" nor \"deny\"");
    }
    reading->baseline->deny_unlisted = true;
    return STATUS_OK;
}

static enum status read_document(struct reading *reading, json_t *root) {
    static const char *const known[] = {"schema", "model",         "label", "bank",
                                        "pcrs",   "unlisted_pcrs", NULL};
    const char *key;
    json_t *member;
    if (!json_is_object(root)) {
        return refuse(reading, "baseline", "it is not an object");
    }
    json_object_foreach(root, key, member) {
        if (!contains(known, key)) {
            reading->code = "unknown_field";
            return status_fail(reading->detail, STATUS_MALFORMED, "%.64s: unknown field", key);
        }
    }
    enum status status = read_schema(reading, json_object_get(root, "schema"));
    if (status == STATUS_OK) {
        status = read_text(reading, &reading->baseline->model, json_object_get(root, "model"),
                           "model", MODEL_MAX);
    }
    member = json_object_get(root, "label");
    if (status == STATUS_OK && member != NULL) {
        status = read_text(reading, &reading->baseline->label, member, "label", LABEL_MAX);
    }
    if (status == STATUS_OK) {
        status = read_bank(reading, json_object_get(root, "bank"));
    }
    if (status == STATUS_OK) {
        status = read_pcrs(reading, json_object_get(root, "pcrs"));
    }
    if (status == STATUS_OK) {
        status = read_unlisted(reading, json_object_get(root, "unlisted_pcrs"));
    }
    return status;
}

static enum status read_json(struct reading *reading, struct bytes json) {
    json_error_t error;
    if (json.len > BASELINE_MAX_BYTES) {
        return status_fail(reading->detail, STATUS_LIMIT, "baseline: over %d bytes",
                           BASELINE_MAX_BYTES);
    }
    json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return status_fail(reading->detail, STATUS_MALFORMED, "baseline: %.160s at byte %d",
                           error.text, error.position);
    }
    enum status status = read_document(reading, root);
    json_decref(root);
    return status;
}

enum status baseline_compile(struct baseline **out, struct bytes json, const char **code,
                             struct detail *detail) {
    struct baseline *baseline = calloc(1, sizeof *baseline);
    if (baseline == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the baseline");
    }
    arena_init(&baseline->arena, ARENA_MAX);
    baseline->label = "";
    struct reading reading = {baseline, "invalid_baseline", detail};
    enum status status = read_json(&reading, json);
    if (status != STATUS_OK) {
        if (code != NULL) {
            *code = reading.code;
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

const char *baseline_label(const struct baseline *baseline) {
    return baseline->label;
}

void baseline_selection(const struct baseline *baseline, struct pcr_selection *out) {
    uint32_t mask = 0;
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if (baseline->pcr[i].num > 0) {
            mask |= 1u << i;
        }
    }
    *out = (struct pcr_selection){.bank = {{baseline->bank, mask}}, .num_banks = 1};
}

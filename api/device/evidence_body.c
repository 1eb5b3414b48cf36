#include "api/device/evidence_body.h"

#include "server/base/encoding.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Where reading goes wrong: a stable code, and a detail that begins with the field's path. */
struct reading {
    struct arena *arena;
    const char *code;
    struct detail *detail;
};

static enum status refuse(struct reading *reading, const char *code, const char *path,
                          const char *text) {
    reading->code = code;
    return status_fail(reading->detail, STATUS_MALFORMED, "%s: %s", path, text);
}

/* An object, and no key in it that is not among `known` (ended by NULL). */
static enum status check_object(struct reading *reading, json_t *object, const char *path,
                                const char *const *known) {
    const char *key;
    json_t *member;
    if (!json_is_object(object)) {
        return refuse(reading, "invalid_field", path, "it is not an object");
    }
    json_object_foreach(object, key, member) {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0) {
            i++;
        }
        if (known[i] == NULL) {
            reading->code = "unknown_field";
            return status_fail(reading->detail, STATUS_MALFORMED, "%s: unknown field \"%.40s\"",
                               path, key);
        }
    }
    return STATUS_OK;
}

static enum status read_base64(struct reading *reading, struct bytes *out, const json_t *value,
                               const char *path) {
    struct detail why = {0};
    if (!json_is_string(value)) {
        return refuse(reading, "invalid_field", path, "it is not a string");
    }
    enum status status = base64_decode_arena(reading->arena, out, json_string_value(value),
                                             json_string_length(value), &why);
    if (status == STATUS_MALFORMED) {
        return refuse(reading, "malformed_base64", path, why.text);
    }
    return status;
}

static enum status read_required(struct reading *reading, struct bytes *out, json_t *object,
                                 const char *key, const char *path) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return refuse(reading, "missing_field", path, "it is missing");
    }
    enum status status = read_base64(reading, out, value, path);
    if (status == STATUS_OK && out->len == 0) {
        return refuse(reading, "invalid_field", path, "it is empty");
    }
    return status;
}

static enum status read_optional(struct reading *reading, struct bytes *out, json_t *object,
                                 const char *key) {
    const json_t *value = json_object_get(object, key);
    return value == NULL ? STATUS_OK : read_base64(reading, out, value, key);
}

/* {"0":"<hex>",...} in one bank. */
static enum status read_bank(struct reading *reading, struct fact_bank *out, json_t *values,
                             const char *path) {
    char names[PCR_COUNT][4];
    const char *known[PCR_COUNT + 1] = {NULL};
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "%u", i);
        known[i] = names[i];
    }
    enum status status = check_object(reading, values, path, known);
    if (status != STATUS_OK) {
        return status;
    }
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        const json_t *value = json_object_get(values, known[i]);
        if (value == NULL) {
            continue;
        }
        if (!json_is_string(value) || hex_decode(out->pcr[i].value, digest_len(out->alg),
                                                 json_string_value(value)) != STATUS_OK) {
            reading->code = "invalid_field";
            return status_fail(reading->detail, STATUS_MALFORMED,
                               "%s.%s: it is not lower-case hex of the bank's digest size", path,
                               known[i]);
        }
        out->pcr[i].quoted = true;
    }
    return STATUS_OK;
}

static enum status read_pcrs(struct reading *reading, struct tpm2_evidence *out, json_t *pcrs) {
    static const char *const known[] = {"sha1", "sha256", "sha384", "sha512", NULL};
    enum status status = check_object(reading, pcrs, "tpm2.pcrs", known);
    for (size_t i = 0; status == STATUS_OK && known[i] != NULL; i++) {
        char path[24];
        json_t *values = json_object_get(pcrs, known[i]);
        if (values != NULL) {
            struct fact_bank *bank = &out->claimed[out->num_claimed++];
            bank->alg = hash_from_name(known[i]);
            (void)snprintf(path, sizeof path, "tpm2.pcrs.%s", known[i]);
            status = read_bank(reading, bank, values, path);
        }
    }
    return status;
}

static enum status read_tpm2(struct reading *reading, struct tpm2_evidence *out, json_t *tpm2) {
    static const char *const known[] = {"quote", "signature", "pcrs", NULL};
    if (tpm2 == NULL) {
        return refuse(reading, "missing_field", "tpm2", "it is missing");
    }
    enum status status = check_object(reading, tpm2, "tpm2", known);
    if (status != STATUS_OK) {
        return status;
    }
    status = read_required(reading, &out->quote, tpm2, "quote", "tpm2.quote");
    if (status != STATUS_OK) {
        return status;
    }
    status = read_required(reading, &out->signature, tpm2, "signature", "tpm2.signature");
    if (status != STATUS_OK) {
        return status;
    }
    json_t *pcrs = json_object_get(tpm2, "pcrs");
    return pcrs == NULL ? STATUS_OK : read_pcrs(reading, out, pcrs);
}

static enum status read_body(struct reading *reading, struct evidence_body *out, json_t *root) {
    static const char *const known[] = {"nonce", "tpm2", "tcg_event_log", "ima_log", "csr", NULL};
    enum status status = check_object(reading, root, "body", known);
    if (status != STATUS_OK) {
        return status;
    }
    status = read_required(reading, &out->nonce, root, "nonce", "nonce");
    if (status != STATUS_OK) {
        return status;
    }
    if (out->nonce.len > EVIDENCE_NONCE_MAX) {
        return refuse(reading, "invalid_field", "nonce", "it is too long");
    }
    status = read_tpm2(reading, &out->tpm2, json_object_get(root, "tpm2"));
    if (status != STATUS_OK) {
        return status;
    }
    status = read_optional(reading, &out->tpm2.tcg_event_log, root, "tcg_event_log");
    if (status != STATUS_OK) {
        return status;
    }
    status = read_optional(reading, &out->tpm2.ima_log, root, "ima_log");
    if (status != STATUS_OK) {
        return status;
    }
    return read_optional(reading, &out->csr, root, "csr");
}

enum status evidence_body_parse(struct evidence_body *out, struct arena *arena, struct bytes json,
                                const char **code, struct detail *detail) {
    struct reading reading = {arena, "malformed_json", detail};
    struct evidence_body *body = arena_alloc(arena, sizeof *body);
    enum status status;
    json_error_t error;
    if (body == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the body");
    }
    if (json.len > EVIDENCE_BODY_MAX_BYTES) {
        status = status_fail(detail, STATUS_LIMIT, "body: over %d bytes", EVIDENCE_BODY_MAX_BYTES);
    } else {
        json_t *root =
            json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &error);
        if (root == NULL) {
            status = status_fail(detail, STATUS_MALFORMED, "body: %.160s at byte %d", error.text,
                                 error.position);
        } else {
            status = json_is_object(root)
                         ? read_body(&reading, body, root)
                         : refuse(&reading, "malformed_json", "body", "it is not an object");
        }
        json_decref(root);
    }
    if (status == STATUS_MEMORY) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the body");
    }
    if (status != STATUS_OK) {
        if (code != NULL) {
            *code = reading.code;
        }
        return status;
    }
    *out = *body;
    return STATUS_OK;
}

#include "api/device/evidence_body.h"

#include "api/json_reader.h"
#include "server/base/encoding.h"

#include <stdio.h>
#include <string.h>

/* Where reading goes wrong: a stable code, and a detail that begins with the field's path. */
struct reading {
    struct json_reader json;
    struct arena *arena;
    const char *code;
    struct detail *detail;
    bool takes_bare; /* nonce and csr alone */
};

static enum status refuse(struct reading *reading, const char *code, const char *path,
                          const char *text) {
    reading->code = code;
    return status_fail(reading->detail, STATUS_MALFORMED, "%s: %s", path, text);
}

static enum status refuse_json(struct reading *reading, enum status status) {
    if (status == STATUS_MEMORY) {
        return status;
    }
    reading->code = "malformed_json";
    return status_fail(reading->detail, STATUS_MALFORMED, "body: no JSON at byte %zu",
                       json_reader_offset(&reading->json));
}

/* A value of another kind than wanted: either none at all, or one that is of no use. */
static enum status refuse_kind(struct reading *reading, enum json_kind kind, const char *path,
                               const char *text) {
    return kind == JSON_NOTHING ? refuse_json(reading, STATUS_MALFORMED)
                                : refuse(reading, "invalid_field", path, text);
}

/* --- objects ----------------------------------------------------------------------------------- */

/* One object being read: each key is one of `names`, and stands once. */
struct object {
    const char *path;
    const char *const *names; /* ended by NULL, at most 32 */
    unsigned num_keys;
    uint32_t seen; /* bit i: names[i] */
};

static enum status enter(struct reading *reading, struct object *object) {
    enum json_kind kind = json_reader_peek(&reading->json);
    if (kind != JSON_IS_OBJECT) {
        return refuse_kind(reading, kind, object->path, "it is not an object");
    }
    enum status status = json_reader_enter(&reading->json);
    return status == STATUS_OK ? status : refuse_json(reading, status);
}

static enum status refuse_key(struct reading *reading, const struct object *object,
                              struct bytes key) {
    char shown[41] = {0};
    for (size_t i = 0; i < key.len && i + 1 < sizeof shown; i++) {
        shown[i] = key.data[i] >= 0x20 && key.data[i] < 0x7F ? (char)key.data[i] : '?';
    }
    reading->code = "unknown_field";
    return status_fail(reading->detail, STATUS_MALFORMED, "%s: unknown field \"%s\"", object->path,
                       shown);
}

/* The index of the next key; END behind the object. */
static enum status next_field(struct reading *reading, struct object *object, size_t *which) {
    struct bytes key;
    enum status status = json_reader_next(&reading->json, &object->num_keys, &key);
    if (status == STATUS_END) {
        return status;
    }
    if (status != STATUS_OK) {
        return refuse_json(reading, status);
    }
    for (size_t i = 0; object->names[i] != NULL; i++) {
        if (!bytes_equal(key, bytes_of_text(object->names[i]))) {
            continue;
        }
        if ((object->seen >> i & 1) != 0) {
            reading->code = "malformed_json";
            return status_fail(reading->detail, STATUS_MALFORMED, "body: \"%s\" twice at byte %zu",
                               object->names[i], json_reader_offset(&reading->json));
        }
        object->seen |= 1u << i;
        *which = i;
        return STATUS_OK;
    }
    return refuse_key(reading, object, key);
}

static bool has(const struct object *object, size_t which) {
    return (object->seen >> which & 1) != 0;
}

/* --- values ------------------------------------------------------------------------------------ */

static enum status read_text(struct reading *reading, struct bytes *out, const char *path) {
    enum json_kind kind = json_reader_peek(&reading->json);
    if (kind != JSON_IS_STRING) {
        return refuse_kind(reading, kind, path, "it is not a string");
    }
    enum status status = json_reader_string(&reading->json, out);
    return status == STATUS_OK ? status : refuse_json(reading, status);
}

static enum status read_base64(struct reading *reading, struct bytes *out, const char *path) {
    struct detail why = {0};
    struct bytes text = {0};
    enum status status = read_text(reading, &text, path);
    if (status != STATUS_OK) {
        return status;
    }
    status = base64_decode_arena(reading->arena, out, (const char *)text.data, text.len, &why);
    return status == STATUS_MALFORMED ? refuse(reading, "malformed_base64", path, why.text)
                                      : status;
}

static enum status read_filled(struct reading *reading, struct bytes *out, const char *path) {
    enum status status = read_base64(reading, out, path);
    return status == STATUS_OK && out->len == 0
               ? refuse(reading, "invalid_field", path, "it is empty")
               : status;
}

static enum status read_value(struct reading *reading, struct fact_bank *out, unsigned pcr,
                              const char *path) {
    char hex[2 * DIGEST_MAX + 1] = {0}, below[40];
    struct bytes text;
    size_t len = digest_len(out->alg);
    (void)snprintf(below, sizeof below, "%s.%u", path, pcr);
    enum status status = read_text(reading, &text, below);
    if (status != STATUS_OK) {
        return status;
    }
    if (text.len == 2 * len) {
        memcpy(hex, text.data, text.len);
    }
    if (hex_decode(out->pcr[pcr].value, len, hex) != STATUS_OK) {
        return refuse(reading, "invalid_field", below,
                      "it is not lower-case hex of the bank's digest size");
    }
    out->pcr[pcr].quoted = true;
    return STATUS_OK;
}

/* {"0":"<hex>",...} in one bank. */
static enum status read_bank(struct reading *reading, struct fact_bank *out, const char *path) {
    static const char *const names[] = {"0",  "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",
                                        "9",  "10", "11", "12", "13", "14", "15", "16", "17",
                                        "18", "19", "20", "21", "22", "23", NULL};
    struct object object = {.path = path, .names = names};
    size_t which = 0;
    enum status status = enter(reading, &object);
    while (status == STATUS_OK) {
        status = next_field(reading, &object, &which);
        if (status == STATUS_OK) {
            status = read_value(reading, out, (unsigned)which, path);
        }
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static enum status read_pcrs(struct reading *reading, struct tpm2_evidence *out) {
    static const char *const names[] = {"sha1", "sha256", "sha384", "sha512", NULL};
    static const char *const paths[] = {"tpm2.pcrs.sha1", "tpm2.pcrs.sha256", "tpm2.pcrs.sha384",
                                        "tpm2.pcrs.sha512"};
    struct object object = {.path = "tpm2.pcrs", .names = names};
    size_t which = 0;
    enum status status = enter(reading, &object);
    while (status == STATUS_OK) {
        status = next_field(reading, &object, &which);
        if (status == STATUS_OK) {
            struct fact_bank *bank = &out->claimed[out->num_claimed++];
            bank->alg = hash_from_name(names[which]);
            status = read_bank(reading, bank, paths[which]);
        }
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static enum status read_tpm2(struct reading *reading, struct tpm2_evidence *out) {
    enum { QUOTE, SIGNATURE, PCRS };
    static const char *const names[] = {"quote", "signature", "pcrs", NULL};
    struct object object = {.path = "tpm2", .names = names};
    size_t which = 0;
    enum status status = enter(reading, &object);
    while (status == STATUS_OK) {
        status = next_field(reading, &object, &which);
        if (status != STATUS_OK) {
            break;
        }
        if (which == QUOTE) {
            status = read_filled(reading, &out->quote, "tpm2.quote");
        } else if (which == SIGNATURE) {
            status = read_filled(reading, &out->signature, "tpm2.signature");
        } else {
            status = read_pcrs(reading, out);
        }
    }
    if (status != STATUS_END) {
        return status;
    }
    if (!has(&object, QUOTE)) {
        return refuse(reading, "missing_field", "tpm2.quote", "it is missing");
    }
    if (!has(&object, SIGNATURE)) {
        return refuse(reading, "missing_field", "tpm2.signature", "it is missing");
    }
    return STATUS_OK;
}

static enum status read_nonce(struct reading *reading, struct bytes *out) {
    enum status status = read_filled(reading, out, "nonce");
    return status == STATUS_OK && out->len > EVIDENCE_NONCE_MAX
               ? refuse(reading, "invalid_field", "nonce", "it is too long")
               : status;
}

static enum status read_log_sha256(struct reading *reading, struct evidence_body *out,
                                   const char *path) {
    char hex[2 * sizeof out->log_sha256 + 1] = {0};
    struct bytes text = {0};
    enum status status = read_text(reading, &text, path);
    if (status != STATUS_OK) {
        return status;
    }
    if (text.len == sizeof hex - 1) {
        memcpy(hex, text.data, text.len);
    }
    if (hex_decode(out->log_sha256, sizeof out->log_sha256, hex) != STATUS_OK) {
        return refuse(reading, "invalid_field", path, "it is not lower-case hex of 32 bytes");
    }
    out->has_log_sha256 = true;
    return STATUS_OK;
}

static enum status read_count(struct reading *reading, uint32_t *out, const char *path) {
    enum json_kind kind = json_reader_peek(&reading->json);
    if (kind != JSON_IS_NUMBER) {
        return refuse_kind(reading, kind, path, "it is not a number");
    }
    return json_reader_count(&reading->json, out) == STATUS_OK
               ? STATUS_OK
               : refuse(reading, "invalid_field", path, "it is not a whole number from 0 on");
}

static enum status read_certification(struct reading *reading, struct key_certification *out) {
    static const char *const names[] = {"certify_info", "signature", "public", NULL};
    static const char *const paths[] = {"key_certification.certify_info",
                                        "key_certification.signature", "key_certification.public"};
    struct bytes *const parts[] = {&out->certify_info, &out->signature, &out->key_public};
    struct object object = {.path = "key_certification", .names = names};
    size_t which = 0;
    enum status status = enter(reading, &object);
    while (status == STATUS_OK) {
        status = next_field(reading, &object, &which);
        if (status == STATUS_OK) {
            status = read_filled(reading, parts[which], paths[which]);
        }
        if (status == STATUS_OK && parts[which]->len > KEY_CERTIFICATION_PART_MAX) {
            status = refuse(reading, "invalid_field", paths[which], "it is too long");
        }
    }
    if (status != STATUS_END) {
        return status;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        if (!has(&object, i)) {
            return refuse(reading, "missing_field", paths[i], "it is missing");
        }
    }
    return STATUS_OK;
}

static enum status read_body(struct reading *reading, struct evidence_body *out) {
    enum { NONCE, TPM2, EVENT_LOG, EVENT_LOG_SHA256, IMA_LOG, IMA_LOG_FROM, CSR };
    static const char *const names[] = {
        "nonce",   "tpm2",         "tcg_event_log", "tcg_event_log_sha256",
        "ima_log", "ima_log_from", "csr",           "key_certification",
        NULL};
    struct object object = {.path = "body", .names = names};
    size_t which = 0;
    if (json_reader_peek(&reading->json) != JSON_IS_OBJECT) {
        return refuse(reading, "malformed_json", "body", "it is not an object");
    }
    enum status status = enter(reading, &object);
    while (status == STATUS_OK) {
        status = next_field(reading, &object, &which);
        if (status != STATUS_OK) {
            break;
        }
        switch (which) {
        case NONCE:
            status = read_nonce(reading, &out->nonce);
            break;
        case TPM2:
            status = read_tpm2(reading, &out->tpm2);
            break;
        case EVENT_LOG:
            status = read_base64(reading, &out->tpm2.tcg_event_log, names[which]);
            break;
        case EVENT_LOG_SHA256:
            status = read_log_sha256(reading, out, names[which]);
            break;
        case IMA_LOG:
            status = read_base64(reading, &out->tpm2.ima_log, names[which]);
            break;
        case IMA_LOG_FROM:
            status = read_count(reading, &out->tpm2.ima_log_from, names[which]);
            break;
        case CSR:
            status = read_base64(reading, &out->csr, names[which]);
            break;
        default:
            status = read_certification(reading, &out->key_certification);
            break;
        }
    }
    if (status != STATUS_END) {
        return status;
    }
    if (!json_reader_at_end(&reading->json)) {
        return refuse_json(reading, STATUS_MALFORMED);
    }
    if (has(&object, EVENT_LOG) && has(&object, EVENT_LOG_SHA256)) {
        return refuse(reading, "invalid_field", names[EVENT_LOG_SHA256],
                      "the log itself is there, too");
    }
    if (reading->takes_bare && object.seen == (1u << NONCE | 1u << CSR)) {
        return STATUS_OK;
    }
    for (size_t i = NONCE; i <= TPM2; i++) {
        if (!has(&object, i)) {
            return refuse(reading, "missing_field", names[i], "it is missing");
        }
    }
    return STATUS_OK;
}

static enum status parse(struct evidence_body *out, struct arena *arena, struct bytes json,
                         const char **code, struct detail *detail, bool takes_bare) {
    struct reading reading = {json_reader_of(json, arena), arena, "malformed_json", detail,
                              takes_bare};
    struct evidence_body body = {0};
    enum status status =
        json.len > EVIDENCE_BODY_MAX_BYTES
            ? status_fail(detail, STATUS_LIMIT, "body: over %d bytes", EVIDENCE_BODY_MAX_BYTES)
            : read_body(&reading, &body);
    if (status == STATUS_MEMORY) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the body");
    }
    if (status != STATUS_OK) {
        if (code != NULL) {
            *code = reading.code;
        }
        return status;
    }
    *out = body;
    return STATUS_OK;
}

enum status evidence_body_parse_any(struct evidence_body *out, struct arena *arena,
                                    struct bytes json, const char **code, struct detail *detail) {
    return parse(out, arena, json, code, detail, true);
}

enum status evidence_body_parse(struct evidence_body *out, struct arena *arena, struct bytes json,
                                const char **code, struct detail *detail) {
    return parse(out, arena, json, code, detail, false);
}

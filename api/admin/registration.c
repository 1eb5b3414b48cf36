#include "api/admin/registration.h"

#include "api/admin/admin.h"
#include "server/base/encoding.h"
#include "server/crypto/x509.h"
#include "server/identity/enrolment.h"

#include <string.h>

static const char *const names[NUM_REGISTRATION_COLUMNS] = {
    [COLUMN_MODEL] = "model",
    [COLUMN_EK_SHA256] = "ek_sha256",
    [COLUMN_EK_CERTIFICATE] = "ek_certificate",
    [COLUMN_NOTE] = "note",
};
const struct rows_columns registration_columns = {names, NUM_REGISTRATION_COLUMNS};

#define refuse(detail, kind, ...) (detail_set((detail), __VA_ARGS__), (enum problem_kind)(kind))

static enum problem_kind read_model(char out[static STORE_NAME], struct bytes value,
                                    const char *otherwise, struct detail *detail) {
    char name[STORE_NAME] = "";
    if (value.len == 0 && otherwise[0] == '\0') {
        return refuse(detail, PROBLEM_MISSING_FIELD, "model");
    }
    if (value.len < sizeof name) {
        memcpy(name, value.len == 0 ? otherwise : (const char *)value.data,
               value.len == 0 ? strlen(otherwise) : value.len);
    }
    if (!name_is_valid(name)) {
        return refuse(detail, PROBLEM_INVALID_FIELD, "model: 1 to 64 of [A-Za-z0-9._-]");
    }
    memcpy(out, name, sizeof name);
    return NUM_PROBLEMS;
}

static enum problem_kind read_digest(char out[static STORE_ID], struct bytes value,
                                     struct detail *detail) {
    char text[2 * 32 + 1] = "";
    uint8_t digest[32];
    if (value.len == sizeof text - 1) {
        memcpy(text, value.data, value.len);
    }
    if (hex_decode(digest, sizeof digest, text) != STATUS_OK) {
        return refuse(detail, PROBLEM_INVALID_FIELD, "ek_sha256: 64 lower-case hex digits");
    }
    text[STORE_ID - 1] = '\0';
    memcpy(out, text, STORE_ID);
    return NUM_PROBLEMS;
}

/* One certificate, as PEM or base64 of DER. */
static enum status decode_certificate(struct arena *arena, struct bytes *der, struct bytes text,
                                      struct detail *detail) {
    static const char pem[] = "-----BEGIN ";
    if (text.len < sizeof pem - 1 || memcmp(text.data, pem, sizeof pem - 1) != 0) {
        return base64_decode_arena(arena, der, (const char *)text.data, text.len, detail);
    }
    size_t num = 0;
    enum status status = pem_certificates(arena, der, &num, 1, text, detail);
    return status == STATUS_OK && num != 1
               ? status_fail(detail, STATUS_MALFORMED, "not exactly one certificate")
               : status;
}

static enum problem_kind key_of_certificate(char out[static STORE_ID], struct arena *arena,
                                            struct bytes value, struct detail *detail) {
    struct certificate certificate;
    struct bytes area = {0}, der;
    enum status status = decode_certificate(arena, &area, value, detail);
    if (status == STATUS_OK) {
        status = ek_certificate_unwrap(&der, area, detail);
    }
    if (status == STATUS_OK) {
        status = certificate_parse_as_met(&certificate, der, detail);
    }
    if (status == STATUS_OK && certificate.key.kind == KEY_NONE) {
        status = status_fail(detail, STATUS_UNSUPPORTED, "its key is of a kind that is not taken");
    }
    if (status == STATUS_OK) {
        status = device_id_from_key(out, &certificate.key);
    }
    if (status == STATUS_OK) {
        return NUM_PROBLEMS;
    }
    detail_prefix(detail, "ek_certificate");
    return status == STATUS_MEMORY || status == STATUS_INTERNAL ? PROBLEM_INTERNAL
                                                                : PROBLEM_EK_CERTIFICATE_INVALID;
}

static enum problem_kind read_certificate(char out[static STORE_ID], struct bytes value,
                                          struct detail *detail) {
    _Static_assert((int)DEVICE_ID_SIZE == (int)STORE_ID, "the same text");
    struct arena arena;
    arena_init(&arena, (size_t)4 * ROWS_RECORD_MAX);
    enum problem_kind kind = key_of_certificate(out, &arena, value, detail);
    arena_free(&arena);
    return kind;
}

/* What tells who the device is: exactly one of the columns that can. */
static enum problem_kind read_id(char out[static STORE_ID], const struct bytes *value,
                                 struct detail *detail) {
    struct bytes digest = value[COLUMN_EK_SHA256], certificate = value[COLUMN_EK_CERTIFICATE];
    if (digest.len > 0 && certificate.len > 0) {
        return refuse(detail, PROBLEM_INVALID_FIELD, "ek_sha256 and ek_certificate: only one");
    }
    if (digest.len > 0) {
        return read_digest(out, digest, detail);
    }
    if (certificate.len > 0) {
        return read_certificate(out, certificate, detail);
    }
    return refuse(detail, PROBLEM_MISSING_FIELD, "ek_sha256 or ek_certificate");
}

enum problem_kind registration_read(struct registration *out,
                                    const struct bytes value[NUM_REGISTRATION_COLUMNS],
                                    const char *model, struct detail *detail) {
    struct registration read = {.note = value[COLUMN_NOTE]};
    enum problem_kind kind = read_model(read.model, value[COLUMN_MODEL], model, detail);
    if (kind == NUM_PROBLEMS && read.note.len > NOTE_MAX) {
        kind = refuse(detail, PROBLEM_INVALID_FIELD, "note: at most %d bytes", NOTE_MAX);
    }
    if (kind == NUM_PROBLEMS) {
        kind = read_id(read.id, value, detail);
    }
    if (kind == NUM_PROBLEMS) {
        *out = read;
    }
    return kind;
}

void registration_row(struct device_row *out, const struct registration *in, const char *request_id,
                      int64_t now) {
    struct device_row row = {.state = DEVICE_REGISTERED, .updated = now};
    _Static_assert(sizeof row.note > NOTE_MAX, "a note fits");
    text_copy(row.id, sizeof row.id, in->id);
    text_copy(row.model, sizeof row.model, in->model);
    text_copy(row.registration, sizeof row.registration, request_id);
    if (in->note.len > 0) {
        memcpy(row.note, in->note.data, in->note.len);
    }
    *out = row;
}

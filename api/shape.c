#include "api/shape.h"

#include "api/problem.h"
#include "server/base/encoding.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* The closing quote of the string that opens at `quote`; the end when there is none. Looks at each
 * byte once for the quote and once for escapes: most of a body is in a few long strings. */
static size_t string_end(struct bytes json, size_t quote) {
    size_t at = quote + 1, end = 0;
    while (at < json.len) {
        if (end < at) {
            const uint8_t *found = memchr(json.data + at, '"', json.len - at);
            end = found == NULL ? json.len : (size_t)(found - json.data);
        }
        const uint8_t *escape = memchr(json.data + at, '\\', end - at);
        if (escape == NULL) {
            return end;
        }
        at = (size_t)(escape - json.data) + 2;
    }
    return json.len;
}

/* Counts brackets outside of strings; whether they match is the parser's business. */
static bool depth_is_fine(struct bytes json, size_t *offset) {
    size_t depth = 0;
    for (size_t i = 0; i < json.len; i++) {
        uint8_t c = json.data[i];
        if (c == '"') {
            i = string_end(json, i);
        } else if (c == '{' || c == '[') {
            *offset = i;
            if (++depth > BODY_MAX_DEPTH) {
                return false;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

bool shape_check_depth(struct http_exchange *x) {
    size_t offset = 0;
    if (depth_is_fine(x->body, &offset)) {
        return true;
    }
    (void)problem_detail(x, PROBLEM_MALFORMED_JSON, "nested deeper than %d levels at byte %zu",
                         BODY_MAX_DEPTH, offset);
    return false;
}

static bool bad_field(struct http_exchange *x, const char *where, const struct field *field,
                      const char *why) {
    (void)problem_detail(x, PROBLEM_INVALID_FIELD, "%s%s: %s", where, field->name, why);
    return false;
}

static bool length_is_fine(const struct field *field, size_t len) {
    return len >= (uint64_t)field->min && len <= (uint64_t)field->max;
}

static bool read_text(struct http_exchange *x, const char *where, const struct field *field,
                      const char *text, size_t len, const char **out) {
    if (!length_is_fine(field, len)) {
        char why[80];
        (void)snprintf(why, sizeof why, "must be %" PRId64 " to %" PRId64 " bytes", field->min,
                       field->max);
        return bad_field(x, where, field, why);
    }
    *out = arena_text_n(x->arena, text, len);
    return *out != NULL || bad_field(x, where, field, "too large");
}

static bool read_base64(struct http_exchange *x, const char *where, const struct field *field,
                        const char *text, size_t len, struct bytes *out) {
    struct detail detail = {0};
    struct bytes decoded;
    if (len / 4 * 3 > (uint64_t)field->max + 2) {
        return bad_field(x, where, field, "too long");
    }
    if (base64_decode_arena(x->arena, &decoded, text, len, &detail) != STATUS_OK) {
        (void)problem_detail(x, PROBLEM_MALFORMED_BASE64, "%s%s: %s", where, field->name,
                             detail.text);
        return false;
    }
    if (!length_is_fine(field, decoded.len)) {
        return bad_field(x, where, field, decoded.len == 0 ? "empty" : "of the wrong length");
    }
    *out = decoded;
    return true;
}

static bool read_sha256(struct http_exchange *x, const char *where, const struct field *field,
                        const char *text, struct bytes *out) {
    uint8_t *digest = arena_alloc(x->arena, 32);
    if (digest == NULL || strlen(text) != 64 || hex_decode(digest, 32, text) != STATUS_OK) {
        return bad_field(x, where, field, "must be 64 lower-case hex digits");
    }
    *out = bytes_of(digest, 32);
    return true;
}

static bool read_integer(struct http_exchange *x, const char *where, const struct field *field,
                         int64_t value, int64_t *out) {
    if (value < field->min || value > field->max) {
        char why[80];
        (void)snprintf(why, sizeof why, "must be %" PRId64 " to %" PRId64, field->min, field->max);
        return bad_field(x, where, field, why);
    }
    *out = value;
    return true;
}

static bool read_object(struct http_exchange *x, const char *where, json_t *object,
                        const struct field *fields, size_t num, void *target);

static const struct field subject_fields[] = {
    {"device_id", FIELD_TEXT, false, 1, 128, offsetof(struct subject, device_id)},
    {"certificate_sha256", FIELD_SHA256, false, 0, 0, offsetof(struct subject, certificate_sha256)},
    {"serial", FIELD_TEXT, false, 1, 128, offsetof(struct subject, serial)},
};

static bool read_subject(struct http_exchange *x, const struct field *field, size_t index,
                         json_t *item, struct subject *out) {
    char where[64];
    (void)snprintf(where, sizeof where, "%s[%zu]", field->name, index);
    if (!json_is_object(item)) {
        (void)problem_detail(x, PROBLEM_INVALID_FIELD, "%s: must be an object", where);
        return false;
    }
    (void)snprintf(where, sizeof where, "%s[%zu].", field->name, index);
    if (!read_object(x, where, item, subject_fields,
                     sizeof subject_fields / sizeof subject_fields[0], out)) {
        return false;
    }
    int set = (out->device_id != NULL) + (out->serial != NULL) + (out->certificate_sha256.len > 0);
    if (set != 1) {
        (void)problem_detail(x, PROBLEM_INVALID_FIELD,
                             "%s[%zu]: exactly one of device_id, certificate_sha256, serial",
                             field->name, index);
        return false;
    }
    return true;
}

static bool read_subjects(struct http_exchange *x, const char *where, const struct field *field,
                          json_t *array, struct subject_list *out) {
    size_t num = json_array_size(array);
    if (!length_is_fine(field, num)) {
        return bad_field(x, where, field, "too few or too many");
    }
    struct subject *subject = arena_array(x->arena, num, sizeof *subject);
    if (subject == NULL) {
        return bad_field(x, where, field, "too large");
    }
    for (size_t i = 0; i < num; i++) {
        if (!read_subject(x, field, i, json_array_get(array, i), &subject[i])) {
            return false;
        }
    }
    *out = (struct subject_list){subject, num};
    return true;
}

static bool read_string_field(struct http_exchange *x, const char *where, const struct field *field,
                              const json_t *value, void *to) {
    if (!json_is_string(value)) {
        return bad_field(x, where, field, "must be a string");
    }
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    switch (field->type) {
    case FIELD_TEXT:
        return read_text(x, where, field, text, len, to);
    case FIELD_BASE64:
        return read_base64(x, where, field, text, len, to);
    default:
        return read_sha256(x, where, field, text, to);
    }
}

static bool read_ids(struct http_exchange *x, const char *where, const struct field *field,
                     json_t *array, struct id_list *out) {
    const struct field each = {field->name, FIELD_TEXT, true, 1, 128, 0};
    size_t num = json_array_size(array);
    if (!length_is_fine(field, num)) {
        return bad_field(x, where, field, "too few or too many");
    }
    const char **id = arena_array(x->arena, num, sizeof *id);
    if (id == NULL) {
        return bad_field(x, where, field, "too large");
    }
    for (size_t i = 0; i < num; i++) {
        if (!read_string_field(x, where, &each, json_array_get(array, i), &id[i])) {
            return false;
        }
    }
    *out = (struct id_list){id, num};
    return true;
}

static const struct field certification_fields[] = {
    {"certify_info", FIELD_BASE64, true, 1, KEY_CERTIFICATION_PART_MAX,
     offsetof(struct key_certification, certify_info)},
    {"signature", FIELD_BASE64, true, 1, KEY_CERTIFICATION_PART_MAX,
     offsetof(struct key_certification, signature)},
    {"public", FIELD_BASE64, true, 1, KEY_CERTIFICATION_PART_MAX,
     offsetof(struct key_certification, key_public)},
};

static bool read_certification(struct http_exchange *x, const char *where,
                               const struct field *field, json_t *object,
                               struct key_certification *out) {
    char below[64];
    if (!json_is_object(object)) {
        return bad_field(x, where, field, "must be an object");
    }
    (void)snprintf(below, sizeof below, "%s%s.", where, field->name);
    return read_object(x, below, object, certification_fields,
                       sizeof certification_fields / sizeof certification_fields[0], out);
}

static bool read_segments(struct http_exchange *x, const char *where, const struct field *field,
                          json_t *object, struct segments *out) {
    const struct field labels[] = {
        {"measured", FIELD_TEXT, false, 1, field->max, offsetof(struct segments, measured)},
        {"verified_boot", FIELD_TEXT, false, 1, field->max,
         offsetof(struct segments, verified_boot)},
        {"identified", FIELD_TEXT, false, 1, field->max, offsetof(struct segments, identified)},
    };
    char below[64];
    if (!json_is_object(object)) {
        return bad_field(x, where, field, "must be an object");
    }
    (void)snprintf(below, sizeof below, "%s%s.", where, field->name);
    *out = (struct segments){.given = true};
    return read_object(x, below, object, labels, sizeof labels / sizeof labels[0], out);
}

static bool read_delivery(struct http_exchange *x, const char *where, const struct field *field,
                          json_t *object, struct delivery_body *out) {
    static const struct field fields[] = {
        {"method", FIELD_TEXT, true, 1, 64, offsetof(struct delivery_body, method)},
        {"endpoint_url", FIELD_TEXT, false, 1, 1024, offsetof(struct delivery_body, endpoint_url)},
        {"authorization_header", FIELD_TEXT, false, 0, 1024,
         offsetof(struct delivery_body, authorization_header)},
    };
    char below[64];
    if (!json_is_object(object)) {
        return bad_field(x, where, field, "must be an object");
    }
    (void)snprintf(below, sizeof below, "%s%s.", where, field->name);
    *out = (struct delivery_body){.given = true};
    return read_object(x, below, object, fields, sizeof fields / sizeof fields[0], out);
}

static bool read_set_errors(struct http_exchange *x, const char *where, const struct field *field,
                            json_t *object, struct set_errors *out) {
    struct said {
        const char *err, *description;
    };
    static const struct field fields[] = {
        {"err", FIELD_TEXT, true, 1, 128, offsetof(struct said, err)},
        {"description", FIELD_TEXT, false, 0, 4096, offsetof(struct said, description)},
    };
    char below[64];
    size_t num = json_object_size(object);
    const char *name;
    json_t *value;
    if (!json_is_object(object) || !length_is_fine(field, num)) {
        return bad_field(x, where, field, "must be an object of as many errors as may be");
    }
    out->jti = arena_array(x->arena, num, sizeof *out->jti);
    out->err = arena_array(x->arena, num, sizeof *out->err);
    (void)snprintf(below, sizeof below, "%s%s.", where, field->name);
    json_object_foreach(object, name, value) {
        struct said said = {0};
        if (!json_is_object(value)) {
            return bad_field(x, where, field, "each must be an object");
        }
        if (!read_object(x, below, value, fields, sizeof fields / sizeof fields[0], &said)) {
            return false;
        }
        const char *jti = arena_text(x->arena, name);
        if (jti == NULL || x->arena->overflow) {
            return bad_field(x, where, field, "too large");
        }
        out->jti[out->num] = jti;
        out->err[out->num++] = said.err;
    }
    return true;
}

static bool read_rings(struct http_exchange *x, const char *where, const struct field *field,
                       json_t *array, struct ring_list *out) {
    size_t num = json_array_size(array);
    if (!json_is_array(array) || num == 0 || num > ROLLOUT_BODY_RINGS) {
        return bad_field(x, where, field, "must be an array of 1 to 16 percentages");
    }
    for (size_t i = 0; i < num; i++) {
        int64_t percent = 0;
        const json_t *item = json_array_get(array, i);
        if (!json_is_integer(item)) {
            return bad_field(x, where, field, "must be integers");
        }
        if (!read_integer(x, where, field, json_integer_value(item), &percent)) {
            return false;
        }
        out->percent[out->num++] = (uint8_t)percent;
    }
    return true;
}

static bool read_rollout(struct http_exchange *x, const char *where, const struct field *field,
                         json_t *object, struct rollout_body *out) {
    static const struct field fields[] = {
        {"devices", FIELD_IDS, false, 1, ROLLOUT_BODY_DEVICES,
         offsetof(struct rollout_body, devices)},
        {"rings", FIELD_RINGS, false, 1, 100, offsetof(struct rollout_body, rings)},
        {"max_failure_percent", FIELD_INTEGER, true, 0, 99,
         offsetof(struct rollout_body, max_failure_percent)},
        {"min_appraisals", FIELD_INTEGER, true, 1, 1000000,
         offsetof(struct rollout_body, min_appraisals)},
        {"min_s", FIELD_INTEGER, true, 0, 366 * 86400, offsetof(struct rollout_body, min_s)},
    };
    char below[64];
    if (!json_is_object(object)) {
        return bad_field(x, where, field, "must be an object");
    }
    (void)snprintf(below, sizeof below, "%s%s.", where, field->name);
    *out = (struct rollout_body){.given = true};
    return read_object(x, below, object, fields, sizeof fields / sizeof fields[0], out);
}

static bool read_field(struct http_exchange *x, const char *where, const struct field *field,
                       json_t *value, void *to) {
    switch (field->type) {
    case FIELD_INTEGER:
        return json_is_integer(value) ? read_integer(x, where, field, json_integer_value(value), to)
                                      : bad_field(x, where, field, "must be an integer");
    case FIELD_COUNT:
        ((struct count *)to)->given = true;
        return json_is_integer(value) ? read_integer(x, where, field, json_integer_value(value),
                                                     &((struct count *)to)->value)
                                      : bad_field(x, where, field, "must be an integer");
    case FIELD_BOOLEAN:
        if (!json_is_boolean(value)) {
            return bad_field(x, where, field, "must be true or false");
        }
        *(bool *)to = json_is_true(value);
        return true;
    case FIELD_IDS:
        return json_is_array(value) ? read_ids(x, where, field, value, to)
                                    : bad_field(x, where, field, "must be an array");
    case FIELD_NULL:
        return bad_field(x, where, field, "must be null");
    case FIELD_SUBJECTS:
        return json_is_array(value) ? read_subjects(x, where, field, value, to)
                                    : bad_field(x, where, field, "must be an array");
    case FIELD_SEGMENTS:
        return read_segments(x, where, field, value, to);
    case FIELD_ROLLOUT:
        return read_rollout(x, where, field, value, to);
    case FIELD_DELIVERY:
        return read_delivery(x, where, field, value, to);
    case FIELD_SET_ERRORS:
        return read_set_errors(x, where, field, value, to);
    case FIELD_RINGS:
        return read_rings(x, where, field, value, to);
    case FIELD_KEY_CERTIFICATION:
        return read_certification(x, where, field, value, to);
    case FIELD_TEXT:
    case FIELD_BASE64:
    case FIELD_SHA256:
        break;
    }
    return read_string_field(x, where, field, value, to);
}

static const struct field *find_field(const struct field *fields, size_t num, const char *name,
                                      size_t name_len) {
    for (size_t i = 0; i < num; i++) {
        if (strlen(fields[i].name) == name_len && memcmp(fields[i].name, name, name_len) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

static bool all_known(struct http_exchange *x, const char *where, json_t *object,
                      const struct field *fields, size_t num) {
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        if (find_field(fields, num, name, strlen(name)) == NULL) {
            (void)problem_detail(x, PROBLEM_UNKNOWN_FIELD, "%s%.64s", where, name);
            return false;
        }
    }
    return true;
}

static bool read_object(struct http_exchange *x, const char *where, json_t *object,
                        const struct field *fields, size_t num, void *target) {
    if (!all_known(x, where, object, fields, num)) {
        return false;
    }
    for (size_t i = 0; i < num; i++) {
        json_t *value = json_object_get(object, fields[i].name);
        if (value != NULL && json_is_null(value) && fields[i].type == FIELD_NULL) {
            *(bool *)(void *)((char *)target + fields[i].offset) = true;
        } else if (value == NULL || json_is_null(value)) {
            if (fields[i].required) {
                (void)problem_detail(x, PROBLEM_MISSING_FIELD, "%s%s", where, fields[i].name);
                return false;
            }
        } else if (!read_field(x, where, &fields[i], value, (char *)target + fields[i].offset)) {
            return false;
        }
    }
    return true;
}

static json_t *parse(struct http_exchange *x) {
    if (!shape_check_depth(x)) {
        return NULL;
    }
    json_error_t error;
    json_t *root =
        json_loadb((const char *)x->body.data, x->body.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        const char *why = json_error_code(&error) == json_error_duplicate_key
                              ? "a member stands twice in its object"
                              : "not JSON";
        (void)problem_detail(x, PROBLEM_MALFORMED_JSON, "%s, at byte %d", why, error.position);
    } else if (!json_is_object(root)) {
        (void)problem_detail(x, PROBLEM_MALFORMED_JSON, "not an object, at byte 0");
        json_decref(root);
        root = NULL;
    }
    return root;
}

void *shape_read_body(struct http_exchange *x, const struct shape *shape) {
    void *target = arena_alloc(x->arena, shape->size);
    if (target == NULL) {
        (void)problem(x, PROBLEM_INTERNAL);
        return NULL;
    }
    json_t *root = parse(x);
    if (root == NULL) {
        return NULL;
    }
    bool fine = read_object(x, "", root, shape->field, shape->num, target);
    json_decref(root);
    return fine ? target : NULL;
}

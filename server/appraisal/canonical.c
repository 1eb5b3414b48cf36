#include "server/appraisal/canonical.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32 };
static const int64_t integer_max = (INT64_C(1) << 53) - 1;

/* The canonical form is never longer than the input: it has the shortest spelling of everything. */
struct canonical {
    struct writer out;
    struct arena *arena;
    struct detail *detail;
};

static enum status write_value(struct canonical *c, const json_t *value, unsigned depth);

static void write_text(struct canonical *c, const char *text) {
    write_bytes(&c->out, bytes_of_text(text));
}

/* RFC 8785, 3.2.2.2. */
static void write_string(struct canonical *c, const char *text, size_t len) {
    static const char two[] = "\b\t\n\f\r\"\\", letter[] = "btnfr\"\\";
    write_u8(&c->out, '"');
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        const char *at = byte == 0 ? NULL : strchr(two, byte);
        if (at != NULL) {
            write_u8(&c->out, '\\');
            write_u8(&c->out, (uint8_t)letter[at - two]);
        } else if (byte < 0x20) {
            char escape[7];
            (void)snprintf(escape, sizeof escape, "\\u%04x", byte);
            write_text(c, escape);
        } else {
            write_u8(&c->out, byte);
        }
    }
    write_u8(&c->out, '"');
}

/* The next UTF-16 code unit of well-formed UTF-8; 0x110000 behind the end. A supplementary character
 * gives its two units one after the other. */
static uint32_t next_unit(const uint8_t **text, uint32_t *low) {
    if (*low != 0) {
        uint32_t unit = *low;
        *low = 0;
        return unit;
    }
    uint32_t byte = *(*text);
    if (byte == 0) {
        return 0; /* less than every other unit: a name that ends comes first */
    }
    unsigned more = byte < 0x80 ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    uint32_t code = more == 0 ? byte : byte & (0x3Fu >> more);
    for ((*text)++; more > 0; more--, (*text)++) {
        code = code << 6 | (**text & 0x3Fu);
    }
    if (code < 0x10000) {
        return code;
    }
    *low = 0xDC00 + ((code - 0x10000) & 0x3FF);
    return 0xD800 + ((code - 0x10000) >> 10);
}

/* RFC 8785, 3.2.3: by UTF-16 code units. */
static int by_units(const void *a, const void *b) {
    const uint8_t *left = *(const uint8_t *const *)a, *right = *(const uint8_t *const *)b;
    uint32_t left_low = 0, right_low = 0;
    for (;;) {
        uint32_t l = next_unit(&left, &left_low), r = next_unit(&right, &right_low);
        if (l != r) {
            return l < r ? -1 : 1;
        }
        if (l == 0) {
            return 0;
        }
    }
}

static enum status write_object(struct canonical *c, const json_t *object, unsigned depth) {
    size_t num = 0;
    const char **name = arena_array(c->arena, json_object_size(object), sizeof *name);
    const char *key;
    json_t *value;
    if (name == NULL) {
        return status_fail(c->detail, STATUS_MEMORY, "no memory for the document");
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        name[num++] = key;
    }
    if (num > 0) {
        qsort(name, num, sizeof *name, by_units);
    }
    write_u8(&c->out, '{');
    for (size_t i = 0; i < num; i++) {
        write_text(c, i == 0 ? "" : ",");
        write_string(c, name[i], strlen(name[i]));
        write_u8(&c->out, ':');
        enum status status = write_value(c, json_object_get(object, name[i]), depth + 1);
        if (status != STATUS_OK) {
            return status;
        }
    }
    write_u8(&c->out, '}');
    return STATUS_OK;
}

static enum status write_array(struct canonical *c, const json_t *array, unsigned depth) {
    write_u8(&c->out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        write_text(c, i == 0 ? "" : ",");
        enum status status = write_value(c, json_array_get(array, i), depth + 1);
        if (status != STATUS_OK) {
            return status;
        }
    }
    write_u8(&c->out, ']');
    return STATUS_OK;
}

static enum status write_integer(struct canonical *c, json_int_t value) {
    char text[24];
    if (value > integer_max || value < -integer_max) {
        return status_fail(c->detail, STATUS_MALFORMED, "a number beyond 2^53 has no one form");
    }
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    write_text(c, text);
    return STATUS_OK;
}

static enum status write_value(struct canonical *c, const json_t *value, unsigned depth) {
    if (depth > DEPTH_MAX) {
        return status_fail(c->detail, STATUS_LIMIT, "nested more than %d deep", DEPTH_MAX);
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(c, value, depth);
    case JSON_ARRAY:
        return write_array(c, value, depth);
    case JSON_STRING:
        write_string(c, json_string_value(value), json_string_length(value));
        return STATUS_OK;
    case JSON_INTEGER:
        return write_integer(c, json_integer_value(value));
    case JSON_REAL:
        return status_fail(c->detail, STATUS_MALFORMED, "a number that is no integer");
    case JSON_TRUE:
        write_text(c, "true");
        return STATUS_OK;
    case JSON_FALSE:
        write_text(c, "false");
        return STATUS_OK;
    case JSON_NULL:
        write_text(c, "null");
        return STATUS_OK;
    }
    return STATUS_INTERNAL;
}

enum status canonical_json(struct bytes *out, struct arena *arena, struct bytes json,
                           struct detail *detail) {
    json_error_t error;
    uint8_t *room = arena_alloc(arena, json.len);
    if (room == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the document");
    }
    json_t *root = json_loadb((const char *)json.data, json.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        return status_fail(detail, STATUS_MALFORMED, "%.160s at byte %d", error.text,
                           error.position);
    }
    struct canonical c = {writer_of(room, json.len), arena, detail};
    enum status status = write_value(&c, root, 0);
    json_decref(root);
    if (status == STATUS_OK && c.out.overflow) {
        status = status_fail(detail, STATUS_INTERNAL, "the canonical form is longer");
    }
    if (status == STATUS_OK) {
        *out = writer_bytes(&c.out);
    }
    return status;
}

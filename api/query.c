#include "api/problem.h"
#include "api/shape.h"

#include <string.h>

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Undoes percent-encoding; NULL when it is broken or hides a terminator. */
static const char *decode(struct arena *arena, const char *text, size_t len, size_t *out_len) {
    char *out = arena_alloc(arena, len + 1);
    size_t n = 0;
    for (size_t i = 0; out != NULL && i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[n++] = c;
    }
    *out_len = n;
    return out;
}

static bool parse_integer(const char *text, int64_t *out) {
    int64_t value = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        if (i == 18) {
            return false;
        }
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return i > 0 && text[i] == '\0';
}

static bool bad_parameter(struct http_exchange *x, const struct field *field, const char *why) {
    (void)problem_detail(x, PROBLEM_INVALID_PARAMETER, "%s: %s", field->name, why);
    return false;
}

static bool read_parameter(struct http_exchange *x, const struct field *field, const char *text,
                           size_t text_len, void *to) {
    size_t len = 0;
    const char *value = decode(x->arena, text, text_len, &len);
    if (value == NULL) {
        return bad_parameter(x, field, "bad percent-encoding");
    }
    if (field->type == FIELD_INTEGER) {
        int64_t number;
        if (!parse_integer(value, &number) || number < field->min || number > field->max) {
            return bad_parameter(x, field, "not an integer within its limits");
        }
        *(int64_t *)to = number;
        return true;
    }
    if (len < (uint64_t)field->min || len > (uint64_t)field->max) {
        return bad_parameter(x, field, "too short or too long");
    }
    *(const char **)to = value;
    return true;
}

static const struct field *find_field(const struct shape *shape, const char *name, size_t len) {
    for (size_t i = 0; i < shape->num; i++) {
        if (strlen(shape->field[i].name) == len && memcmp(shape->field[i].name, name, len) == 0) {
            return &shape->field[i];
        }
    }
    return NULL;
}

static bool read_pair(struct http_exchange *x, const struct shape *shape, const char *pair,
                      size_t len, uint64_t *seen, void *target) {
    const char *equals = memchr(pair, '=', len);
    size_t name_len = equals == NULL ? len : (size_t)(equals - pair);
    const struct field *field = shape == NULL ? NULL : find_field(shape, pair, name_len);
    if (field == NULL) {
        (void)problem_detail(x, PROBLEM_UNKNOWN_PARAMETER, "%.*s",
                             (int)(name_len < 64 ? name_len : 64), pair);
        return false;
    }
    uint64_t bit = (uint64_t)1 << (field - shape->field);
    if ((*seen & bit) != 0) {
        return bad_parameter(x, field, "stands twice");
    }
    *seen |= bit;
    const char *text = equals == NULL ? pair + len : equals + 1;
    return read_parameter(x, field, text, len - (size_t)(text - pair),
                          (char *)target + field->offset);
}

void *shape_read_query(struct http_exchange *x, const struct shape *shape) {
    void *target = arena_alloc(x->arena, shape == NULL ? 0 : shape->size);
    if (target == NULL) {
        (void)problem(x, PROBLEM_INTERNAL);
        return NULL;
    }
    uint64_t seen = 0;
    for (const char *at = x->query; *at != '\0';) {
        size_t len = strcspn(at, "&");
        if (len > 0 && !read_pair(x, shape, at, len, &seen, target)) {
            return NULL;
        }
        at += len + (at[len] == '&');
    }
    for (size_t i = 0; shape != NULL && i < shape->num; i++) {
        if (shape->field[i].required && (seen & ((uint64_t)1 << i)) == 0) {
            (void)bad_parameter(x, &shape->field[i], "missing");
            return NULL;
        }
    }
    return target;
}

#include "server/appraisal/rule_read.h"

#include "server/base/encoding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SHOWN = 64, PATH_SHOWN = 160 };

/* --- places ---------------------------------------------------------------------------------- */

struct place place_member(const struct place *in, const char *name) {
    return (struct place){.in = in, .name = name, .json = json_object_get(in->json, name)};
}

struct place place_element(const struct place *in, size_t index) {
    return (struct place){.in = in, .index = index, .json = json_array_get(in->json, index)};
}

static void write_path(char out[static PATH_SHOWN], const struct place *at) {
    out[0] = '\0';
    if (at->in == NULL) {
        return;
    }
    write_path(out, at->in);
    size_t len = strlen(out);
    if (at->name != NULL) {
        (void)snprintf(out + len, PATH_SHOWN - len, "%s%.*s", len > 0 ? "." : "", NAME_SHOWN,
                       at->name);
    } else {
        (void)snprintf(out + len, PATH_SHOWN - len, "[%zu]", at->index);
    }
}

enum status place_refuse(struct compiling *c, const struct place *at, const char *format, ...) {
    char path[PATH_SHOWN], text[DETAIL_SIZE];
    va_list args;
    write_path(path, at);
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return status_fail(c->detail, STATUS_MALFORMED, "%s: %s", path[0] != '\0' ? path : "baseline",
                       text);
}

/* --- plain values ---------------------------------------------------------------------------- */

static bool contains(const char *const *names, const char *name) {
    for (; *names != NULL; names++) {
        if (strcmp(*names, name) == 0) {
            return true;
        }
    }
    return false;
}

enum status read_object(struct compiling *c, const struct place *at, const char *const *known) {
    if (!json_is_object(at->json) || json_object_size(at->json) == 0) {
        return place_refuse(c, at, "it is not an object with members");
    }
    const char *key, *unknown = NULL;
    json_t *member;
    json_object_foreach(at->json, key, member) {
        unknown = unknown != NULL || known == NULL || contains(known, key) ? unknown : key;
    }
    if (unknown != NULL) {
        struct place place = place_member(at, unknown);
        c->code = "unknown_field";
        return place_refuse(c, &place, "unknown field");
    }
    return STATUS_OK;
}

enum status read_list(struct compiling *c, const struct place *at, size_t *num, size_t max) {
    size_t size = json_array_size(at->json);
    if (!json_is_array(at->json) || size == 0 || size > max) {
        return place_refuse(c, at, "it is not a list of 1 to %zu values", max);
    }
    *num = size;
    return STATUS_OK;
}

enum status read_text(struct compiling *c, const struct place *at, const char **out, size_t max) {
    const char *text = json_string_value(at->json);
    size_t len = json_string_length(at->json);
    if (text == NULL || len == 0 || len > max) {
        return place_refuse(c, at, "it is not a text of 1 to %zu bytes", max);
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return place_refuse(c, at, "it has a control character");
        }
    }
    *out = arena_text(&c->baseline->arena, text);
    return *out == NULL ? STATUS_MEMORY : STATUS_OK;
}

enum status read_flag(struct compiling *c, const struct place *at, bool *out) {
    if (!json_is_boolean(at->json)) {
        return place_refuse(c, at, "it is neither true nor false");
    }
    *out = json_is_true(at->json);
    return STATUS_OK;
}

enum status read_number(struct compiling *c, const struct place *at, uint32_t *out, uint32_t min,
                        uint32_t max) {
    json_int_t number = json_integer_value(at->json);
    if (!json_is_integer(at->json) || number < (json_int_t)min || number > (json_int_t)max) {
        return place_refuse(c, at, "it is not a whole number from %u to %u", min, max);
    }
    *out = (uint32_t)number;
    return STATUS_OK;
}

/* --- digests --------------------------------------------------------------------------------- */

static enum status read_digest(struct compiling *c, const struct place *at, struct bytes *out,
                               enum hash_alg alg) {
    size_t len = digest_len(alg);
    uint8_t *digest = arena_alloc(&c->baseline->arena, len);
    if (digest == NULL) {
        return STATUS_MEMORY;
    }
    if (!json_is_string(at->json) ||
        hex_decode(digest, len, json_string_value(at->json)) != STATUS_OK) {
        return place_refuse(c, at, "it is not %zu lower-case hex digits", 2 * len);
    }
    *out = bytes_of(digest, len);
    return STATUS_OK;
}

static enum status read_one_allowed(struct compiling *c, const struct place *at,
                                    struct allowed_digest *out, enum hash_alg alg) {
    if (!json_is_object(at->json)) {
        return read_digest(c, at, &out->digest, alg);
    }
    const char *const known[] = {"label", hash_name(alg), NULL};
    struct place label = place_member(at, "label"), digest = place_member(at, hash_name(alg));
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK && label.json != NULL) {
        status = read_text(c, &label, &out->label, LABEL_MAX);
    }
    return status == STATUS_OK ? read_digest(c, &digest, &out->digest, alg) : status;
}

static int by_digest(const void *a, const void *b, void *context) {
    const struct allowed *allowed = context;
    const uint32_t *left = a, *right = b;
    struct bytes digest = allowed->of[*left].digest;
    int order = memcmp(digest.data, allowed->of[*right].digest.data, digest.len);
    return order != 0 ? order : (*left > *right) - (*left < *right);
}

static size_t drop_repeated(struct allowed *allowed) {
    size_t kept = 1;
    for (size_t i = 1; i < allowed->num; i++) {
        uint32_t at = allowed->sorted[i];
        if (!bytes_equal(allowed->of[at].digest, allowed->of[allowed->sorted[kept - 1]].digest)) {
            allowed->sorted[kept++] = at;
        }
    }
    return kept;
}

static enum status make_room(struct compiling *c, struct allowed *out, size_t num) {
    out->of = arena_array(&c->baseline->arena, num, sizeof *out->of);
    out->sorted = arena_array(&c->baseline->arena, num, sizeof *out->sorted);
    return out->of == NULL || out->sorted == NULL ? STATUS_MEMORY : STATUS_OK;
}

enum status read_one(struct compiling *c, const struct place *at, struct allowed *out,
                     enum hash_alg alg) {
    enum status status = make_room(c, out, 1);
    if (status == STATUS_OK) {
        status = read_digest(c, at, &out->of[0].digest, alg);
    }
    out->num = out->num_distinct = status == STATUS_OK ? 1 : 0;
    return status;
}

enum status read_allowed(struct compiling *c, const struct place *at, struct allowed *out,
                         enum hash_alg alg) {
    size_t num = 0;
    enum status status = read_list(c, at, &num, ALLOWED_MAX);
    if (status == STATUS_OK) {
        status = make_room(c, out, num);
    }
    for (size_t i = 0; i < num && status == STATUS_OK; i++) {
        struct place element = place_element(at, i);
        status = read_one_allowed(c, &element, &out->of[i], alg);
        out->sorted[i] = (uint32_t)i;
    }
    if (status == STATUS_OK) {
        out->num = num;
        qsort_r(out->sorted, num, sizeof *out->sorted, by_digest, out);
        out->num_distinct = drop_repeated(out);
    }
    return status;
}

size_t allowed_find(const struct allowed *allowed, struct bytes digest) {
    size_t low = 0, high = allowed->num_distinct;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct bytes at = allowed->of[allowed->sorted[middle]].digest;
        if (at.len != digest.len) {
            break;
        }
        int order = memcmp(at.data, digest.data, digest.len);
        if (order == 0) {
            return allowed->sorted[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return allowed->num;
}

bool allowed_has(const struct allowed *allowed, struct bytes digest) {
    return allowed_find(allowed, digest) < allowed->num;
}

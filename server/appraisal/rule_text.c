#include "server/appraisal/rule_text.h"

#include "server/base/encoding.h"

#include <stdio.h>
#include <string.h>

enum {
    VALUES_SHOWN = 8, /* named in a finding before "and n more" */
    TEXT_SHOWN = 1024 /* bytes of a device's text before it is cut */
};

const char *hex_text(struct arena *arena, struct bytes value) {
    char *text = arena_alloc(arena, 2 * value.len + 1);
    if (text != NULL) {
        hex_encode(text, value);
    }
    return text;
}

const char *joined_text(struct arena *arena, const char *text, const char *separator,
                        const char *next) {
    if (next == NULL || text == NULL || text[0] == '\0') {
        return next;
    }
    return arena_printf(arena, "%s%s%s", text, separator, next);
}

/* "a, b and 2 more" */
static const char *list_text(struct arena *arena, const struct allowed *allowed,
                             const char *(*one)(struct arena *, const struct allowed_digest *)) {
    const char *text = "";
    size_t shown = allowed->num < VALUES_SHOWN ? allowed->num : VALUES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        text = joined_text(arena, text, ", ", one(arena, &allowed->of[i]));
    }
    if (shown < allowed->num && text != NULL) {
        return arena_printf(arena, "%s and %zu more", text, allowed->num - shown);
    }
    return text;
}

static const char *value_text(struct arena *arena, const struct allowed_digest *value) {
    const char *hex = hex_text(arena, value->digest);
    if (value->label == NULL || hex == NULL) {
        return hex;
    }
    return arena_printf(arena, "%s (%s)", value->label, hex);
}

static const char *name_text(struct arena *arena, const struct allowed_digest *value) {
    if (value->label != NULL) {
        return value->label;
    }
    const char *hex = hex_text(arena, bytes_of(value->digest.data, 4));
    return hex == NULL ? NULL : arena_printf(arena, "%s...", hex);
}

const char *allowed_text(struct arena *arena, const struct allowed *allowed) {
    const char *list = list_text(arena, allowed, value_text);
    return list == NULL ? NULL : arena_printf(arena, "one of: %s", list);
}

const char *allowed_names(struct arena *arena, const struct allowed *allowed) {
    const char *list = list_text(arena, allowed, name_text);
    return list == NULL ? NULL : arena_printf(arena, "the %zu allowed (%s)", allowed->num, list);
}

/* Bytes of the well-formed character that stands here, and no control character; 0: none does. */
static size_t character_len(const char *at, size_t left) {
    const uint8_t *byte = (const uint8_t *)at;
    if (byte[0] < 0x80) {
        return byte[0] < 0x20 || byte[0] == 0x7F ? 0 : 1;
    }
    size_t len = byte[0] >= 0xF0 ? 4 : byte[0] >= 0xE0 ? 3 : 2;
    bool control = byte[0] == 0xC2 && left > 1 && byte[1] < 0xA0; /* U+0080 to U+009F */
    return len <= left && !control && utf8_is_valid(bytes_of(at, len)) ? len : 0;
}

const char *shown_text(struct arena *arena, const char *text) {
    size_t len = strlen(text), end = len < TEXT_SHOWN ? len : TEXT_SHOWN;
    char *out = arena_alloc(arena, 4 * end + 1), *to = out;
    if (out == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < end;) {
        size_t width = character_len(text + i, len - i);
        if (width == 0) {
            to += snprintf(to, 5, "\\x%02x", (unsigned)(uint8_t)text[i]);
            i++;
        } else if (text[i] == '\\') {
            *to++ = '\\';
            *to++ = '\\';
            i++;
        } else if (i + width > end) {
            break;
        } else {
            memcpy(to, text + i, width);
            to += width;
            i += width;
        }
    }
    *to = '\0';
    if (end == len) {
        return out;
    }
    uint8_t digest[32];
    digest_compute(HASH_SHA256, bytes_of(text, len), digest);
    const char *hex = hex_text(arena, bytes_of(digest, sizeof digest));
    return hex == NULL ? NULL : arena_printf(arena, "%s... (%zu bytes, SHA-256 %s)", out, len, hex);
}

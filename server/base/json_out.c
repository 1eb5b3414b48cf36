#include "server/base/json_out.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_CAP = 256 };

/* Room for `len` more bytes, or NULL. */
static char *room(struct json_out *o, size_t len) {
    if (o->failed) {
        return NULL;
    }
    if (len > o->cap - o->len) {
        size_t cap = o->cap < FIRST_CAP ? FIRST_CAP : o->cap;
        while (cap - o->len < len) {
            if (cap > SIZE_MAX / 2) {
                o->failed = true;
                return NULL;
            }
            cap *= 2;
        }
        char *text = arena_alloc(o->arena, cap);
        if (text == NULL) {
            o->failed = true;
            return NULL;
        }
        if (o->len > 0) {
            memcpy(text, o->text, o->len);
        }
        o->text = text;
        o->cap = cap;
    }
    return o->text + o->len;
}

static void put(struct json_out *o, const char *text, size_t len) {
    char *to = room(o, len);
    if (to != NULL) {
        memcpy(to, text, len);
        o->len += len;
    }
}

static void put_char(struct json_out *o, char c) {
    put(o, &c, 1);
}

void json_out_init(struct json_out *o, struct arena *arena, size_t hint) {
    *o = (struct json_out){.arena = arena};
    if (hint > 0) {
        o->text = arena_alloc(arena, hint);
        o->cap = o->text == NULL ? 0 : hint;
        o->failed = o->text == NULL;
    }
}

struct bytes json_out_end(const struct json_out *o) {
    return o->failed ? (struct bytes){NULL, 0} : bytes_of(o->text, o->len);
}

/* The comma and the name that stand before a value. */
static void begin(struct json_out *o, const char *name) {
    if (o->comma) {
        put_char(o, ',');
    }
    o->comma = true;
    if (name != NULL) {
        put_char(o, '"');
        put(o, name, strlen(name));
        put(o, "\":", 2);
    }
}

static void open_level(struct json_out *o, const char *name, char bracket) {
    begin(o, name);
    put_char(o, bracket);
    o->comma = false;
}

static void close_level(struct json_out *o, char bracket) {
    put_char(o, bracket);
    o->comma = true;
}

void json_out_object(struct json_out *o, const char *name) {
    open_level(o, name, '{');
}

void json_out_object_end(struct json_out *o) {
    close_level(o, '}');
}

void json_out_array(struct json_out *o, const char *name) {
    open_level(o, name, '[');
}

void json_out_array_end(struct json_out *o) {
    close_level(o, ']');
}

/* The length of the well-formed UTF-8 sequence (RFC 3629) that `s` starts with; 0 when there is
 * none. `s` is terminated, so no byte after a bad one is read. */
static size_t utf8_len(const unsigned char *s) {
    unsigned char low = 0x80, high = 0xbf;
    size_t len;
    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        len = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        len = 3;
        low = s[0] == 0xe0 ? 0xa0 : low;
        high = s[0] == 0xed ? 0x9f : high;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        len = 4;
        low = s[0] == 0xf0 ? 0x90 : low;
        high = s[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf) {
            return 0;
        }
    }
    return len;
}

static void put_escaped(struct json_out *o, unsigned char c) {
    char escaped[8];
    int len = c == '"' || c == '\\' ? snprintf(escaped, sizeof escaped, "\\%c", c)
              : c == '\n'           ? snprintf(escaped, sizeof escaped, "\\n")
                                    : snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
    put(o, escaped, (size_t)len);
}

static void put_string(struct json_out *o, const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    put_char(o, '"');
    while (*s != '\0') {
        size_t plain = 0;
        while (s[plain] >= 0x20 && s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\') {
            plain++;
        }
        if (plain > 0) {
            put(o, (const char *)s, plain);
            s += plain;
            continue;
        }
        size_t len = utf8_len(s);
        if (len > 1) {
            put(o, (const char *)s, len);
        } else if (len == 1) {
            put_escaped(o, *s);
        } else {
            put(o, "\\ufffd", 6);
        }
        s += len == 0 ? 1 : len;
    }
    put_char(o, '"');
}

void json_out_text(struct json_out *o, const char *name, const char *text) {
    begin(o, name);
    if (text == NULL) {
        put(o, "null", 4);
    } else {
        put_string(o, text);
    }
}

void json_out_text_or_null(struct json_out *o, const char *name, const char *text) {
    json_out_text(o, name, text != NULL && text[0] == '\0' ? NULL : text);
}

void json_out_int(struct json_out *o, const char *name, int64_t value) {
    char number[24];
    int len = snprintf(number, sizeof number, "%" PRId64, value);
    begin(o, name);
    put(o, number, (size_t)len);
}

void json_out_bool(struct json_out *o, const char *name, bool value) {
    begin(o, name);
    put(o, value ? "true" : "false", value ? 4 : 5);
}

void json_out_time(struct json_out *o, const char *name, int64_t unix_s) {
    char time[RFC3339_SIZE];
    rfc3339_format(time, unix_s);
    json_out_text(o, name, time);
}

void json_out_time_or_null(struct json_out *o, const char *name, int64_t unix_s) {
    if (unix_s == 0) {
        json_out_text(o, name, NULL);
    } else {
        json_out_time(o, name, unix_s);
    }
}

void json_out_time_ms(struct json_out *o, const char *name, int64_t unix_ms) {
    char time[RFC3339_SIZE];
    char full[RFC3339_SIZE + 4];
    unsigned ms = (unsigned)(unix_ms < 0 ? 0 : unix_ms % 1000);
    rfc3339_format(time, unix_ms / 1000);
    memcpy(full, time, 19);
    full[19] = '.';
    full[20] = (char)('0' + ms / 100);
    full[21] = (char)('0' + ms / 10 % 10);
    full[22] = (char)('0' + ms % 10);
    memcpy(full + 23, "Z", 2);
    json_out_text(o, name, full);
}

/* A string of `len` characters that `encode` writes with a terminator. */
static void put_encoded(struct json_out *o, const char *name, size_t len, struct bytes in,
                        void (*encode)(char *, struct bytes)) {
    begin(o, name);
    put_char(o, '"');
    char *to = room(o, len + 1);
    if (to != NULL) {
        encode(to, in);
        o->len += len;
    }
    put_char(o, '"');
}

void json_out_base64(struct json_out *o, const char *name, struct bytes in) {
    put_encoded(o, name, base64_encoded_size(in.len) - 1, in, base64_encode);
}

void json_out_hex(struct json_out *o, const char *name, struct bytes in) {
    put_encoded(o, name, in.len * 2, in, hex_encode);
}

void json_out_raw(struct json_out *o, const char *name, struct bytes json) {
    begin(o, name);
    if (json.len == 0) {
        put(o, "null", 4);
    } else {
        put(o, (const char *)json.data, json.len);
    }
}

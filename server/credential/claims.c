#include "server/credential/claims.h"

#include "server/base/encoding.h"

#include <string.h>

/* The readers below take one token off the front; false: it is none. */

static int peek(struct bytes in) {
    return in.len == 0 ? -1 : in.data[0];
}

static bool take(struct bytes *in, char c) {
    struct bytes got;
    return peek(*in) == (uint8_t)c && bytes_take(in, 1, &got) == STATUS_OK;
}

static bool take_word(struct bytes *in, const char *word) {
    struct bytes got, rest = *in;
    if (bytes_take(&rest, strlen(word), &got) != STATUS_OK ||
        !bytes_equal(got, bytes_of_text(word))) {
        return false;
    }
    *in = rest;
    return true;
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(int c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool take_digits(struct bytes *in) {
    struct bytes got;
    size_t num = 0;
    while (is_digit(peek(*in)) && bytes_take(in, 1, &got) == STATUS_OK) {
        num++;
    }
    return num > 0;
}

static bool take_escape(struct bytes *in) {
    struct bytes got;
    if (take(in, 'u')) {
        for (int i = 0; i < 4; i++) {
            if (!is_hex(peek(*in)) || bytes_take(in, 1, &got) != STATUS_OK) {
                return false;
            }
        }
        return true;
    }
    return peek(*in) > 0 && strchr("\"\\/bfnrt", peek(*in)) != NULL &&
           bytes_take(in, 1, &got) == STATUS_OK;
}

/* *content is what stands between the quotes. */
static bool take_string(struct bytes *in, struct bytes *content) {
    struct bytes got;
    if (!take(in, '"')) {
        return false;
    }
    struct bytes begin = *in;
    while (peek(*in) != '"') {
        if (take(in, '\\')) {
            if (!take_escape(in)) {
                return false;
            }
        } else if (peek(*in) < ' ' || bytes_take(in, 1, &got) != STATUS_OK) {
            return false; /* the end, or a control character */
        }
    }
    *content = bytes_of(begin.data, begin.len - in->len);
    return take(in, '"');
}

static bool take_number(struct bytes *in) {
    struct bytes got;
    (void)take(in, '-');
    if (!take(in, '0') && !take_digits(in)) {
        return false;
    }
    if (take(in, '.') && !take_digits(in)) {
        return false;
    }
    if (peek(*in) == 'e' || peek(*in) == 'E') {
        if (bytes_take(in, 1, &got) != STATUS_OK) {
            return false;
        }
        if (!take(in, '+')) {
            (void)take(in, '-');
        }
        return take_digits(in);
    }
    return true;
}

static enum status take_value(struct bytes *in, unsigned depth);

static enum status take_items(struct bytes *in, unsigned depth, bool named, char end) {
    struct bytes name;
    if (take(in, end)) {
        return STATUS_OK;
    }
    do {
        if (named && (!take_string(in, &name) || !take(in, ':'))) {
            return STATUS_MALFORMED;
        }
        enum status status = take_value(in, depth + 1);
        if (status != STATUS_OK) {
            return status;
        }
    } while (take(in, ','));
    return take(in, end) ? STATUS_OK : STATUS_MALFORMED;
}

static enum status take_value(struct bytes *in, unsigned depth) {
    struct bytes text;
    if (depth > CLAIMS_MAX_DEPTH) {
        return STATUS_LIMIT;
    }
    if (take(in, '{')) {
        return take_items(in, depth, true, '}');
    }
    if (take(in, '[')) {
        return take_items(in, depth, false, ']');
    }
    bool good = peek(*in) == '"' ? take_string(in, &text)
                                 : take_word(in, "true") || take_word(in, "false") ||
                                       take_word(in, "null") || take_number(in);
    return good ? STATUS_OK : STATUS_MALFORMED;
}

static bool is_there(const struct claims *claims, struct bytes name) {
    for (size_t i = 0; i < claims->num; i++) {
        if (bytes_equal(claims->claim[i].name, name)) {
            return true;
        }
    }
    return false;
}

static enum status take_claim(struct bytes *in, struct claims *claims) {
    struct bytes name;
    if (!take_string(in, &name) || !take(in, ':') ||
        (name.len > 0 && memchr(name.data, '\\', name.len) != NULL) || is_there(claims, name)) {
        return STATUS_MALFORMED;
    }
    if (claims->num == CLAIMS_MAX) {
        return STATUS_LIMIT;
    }
    struct bytes begin = *in;
    enum status status = take_value(in, 1);
    if (status == STATUS_OK) {
        claims->claim[claims->num++] =
            (struct claim){.name = name, .value = bytes_of(begin.data, begin.len - in->len)};
    }
    return status;
}

enum status claims_read(struct claims *out, struct bytes json) {
    struct claims claims = {.num = 0};
    if (!utf8_is_valid(json) || !take(&json, '{')) {
        return STATUS_MALFORMED;
    }
    if (!take(&json, '}')) {
        do {
            enum status status = take_claim(&json, &claims);
            if (status != STATUS_OK) {
                return status;
            }
        } while (take(&json, ','));
        if (!take(&json, '}')) {
            return STATUS_MALFORMED;
        }
    }
    if (json.len != 0) {
        return STATUS_MALFORMED;
    }
    *out = claims;
    return STATUS_OK;
}

struct bytes claims_find(const struct claims *claims, const char *name) {
    for (size_t i = 0; i < claims->num; i++) {
        if (bytes_equal(claims->claim[i].name, bytes_of_text(name))) {
            return claims->claim[i].value;
        }
    }
    return bytes_of(NULL, 0);
}

bool claims_is_text(const struct claims *claims, const char *name, const char *text) {
    struct bytes content, value = claims_find(claims, name);
    return take_string(&value, &content) && bytes_equal(content, bytes_of_text(text));
}

bool claims_has_text(const struct claims *claims, const char *name) {
    struct bytes content, value = claims_find(claims, name);
    return take_string(&value, &content) && content.len > 0;
}

bool claims_has_object(const struct claims *claims, const char *name) {
    return peek(claims_find(claims, name)) == '{';
}

enum status claims_integer(const struct claims *claims, const char *name, int64_t *out) {
    enum { MOST_DIGITS = 18 };
    struct bytes value = claims_find(claims, name);
    int64_t number = 0;
    if (value.len == 0) {
        return STATUS_NOT_FOUND;
    }
    bool negative = take(&value, '-');
    if (value.len == 0 || value.len > MOST_DIGITS) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.data[i])) {
            return STATUS_MALFORMED;
        }
        number = number * 10 + (value.data[i] - '0');
    }
    *out = negative ? -number : number;
    return STATUS_OK;
}

#include "server/base/encoding.h"

#include <string.h>

void hex_encode(char *out, struct bytes in) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < in.len; i++) {
        out[2 * i] = digits[in.data[i] >> 4];
        out[2 * i + 1] = digits[in.data[i] & 15];
    }
    out[2 * in.len] = '\0';
}

/* The value of each lower-case digit, and one more; 0 for every other character. */
static const uint8_t hex_values[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

static unsigned hex_value(char c) {
    return hex_values[(unsigned char)c];
}

enum status hex_decode(uint8_t *out, size_t out_len, const char *text) {
    if (strlen(text) != 2 * out_len) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < 2 * out_len; i++) {
        if (hex_value(text[i]) == 0) {
            return STATUS_MALFORMED;
        }
    }
    for (size_t i = 0; i < out_len; i++) {
        out[i] = (uint8_t)((hex_value(text[2 * i]) - 1) << 4 | (hex_value(text[2 * i + 1]) - 1));
    }
    return STATUS_OK;
}

enum status hex_decode_arena(struct arena *arena, struct bytes *out, const char *text) {
    size_t len = strlen(text);
    if (len % 2 != 0) {
        return STATUS_MALFORMED;
    }
    char *lower = arena_text_n(arena, text, len);
    uint8_t *bytes = arena_alloc(arena, len / 2);
    if (lower == NULL || bytes == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < len; i++) {
        if (lower[i] >= 'A' && lower[i] <= 'F') {
            lower[i] = (char)(lower[i] - 'A' + 'a');
        }
    }
    enum status status = hex_decode(bytes, len / 2, lower);
    if (status == STATUS_OK) {
        *out = bytes_of(bytes, len / 2);
    }
    return status;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_size(size_t len) {
    return (len + 2) / 3 * 4 + 1;
}

void base64_encode(char *out, struct bytes in) {
    size_t at = 0;
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i;
        uint32_t group = (uint32_t)in.data[i] << 16;
        group |= left > 1 ? (uint32_t)in.data[i + 1] << 8 : 0;
        group |= left > 2 ? in.data[i + 2] : 0;
        out[at++] = base64_digits[group >> 18];
        out[at++] = base64_digits[group >> 12 & 63];
        out[at++] = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        out[at++] = left > 2 ? base64_digits[group & 63] : '=';
    }
    out[at] = '\0';
}

size_t base64url_encoded_len(size_t len) {
    return len / 3 * 4 + (len % 3 == 0 ? 0 : len % 3 + 1);
}

static char base64url_digit(uint32_t value) {
    char digit = base64_digits[value & 63];
    return digit == '+' ? '-' : digit == '/' ? '_' : digit;
}

void base64url_write(struct writer *w, struct bytes in) {
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i;
        uint32_t group = (uint32_t)in.data[i] << 16;
        group |= left > 1 ? (uint32_t)in.data[i + 1] << 8 : 0;
        group |= left > 2 ? in.data[i + 2] : 0;
        const char digits[4] = {base64url_digit(group >> 18), base64url_digit(group >> 12),
                                base64url_digit(group >> 6), base64url_digit(group)};
        write_bytes(w, bytes_of(digits, left > 2 ? 4 : left + 1));
    }
}

char *base64_encode_arena(struct arena *arena, struct bytes in) {
    char *out = arena_alloc(arena, base64_encoded_size(in.len));
    if (out != NULL) {
        base64_encode(out, in);
    }
    return out;
}

enum { NOT_BASE64 = 64, X = NOT_BASE64 };

/* The value of each ASCII character, by rows of 16; X for those that are no digit. */
static const uint8_t base64_values[128] = {
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  62,
    X,  X,  X,  63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X,  X,  X,  X,  X,  X,  X,  0,
    1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
    23, 24, 25, X,  X,  X,  X,  X,  X,  26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,
    39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X,  X,  X,  X,  X,
};

static uint8_t base64_value(char c) {
    unsigned char at = (unsigned char)c;
    return at < sizeof base64_values ? base64_values[at] : NOT_BASE64;
}

bool base64url_is_valid(struct bytes text) {
    uint8_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        value = c == '-' ? 62 : c == '_' ? 63 : c == '+' || c == '/' ? NOT_BASE64 : base64_value(c);
        if (value == NOT_BASE64) {
            return false;
        }
    }
    size_t over = text.len % 4;
    return over != 1 && (over != 2 || (value & 15) == 0) && (over != 3 || (value & 3) == 0);
}

/* Decodes `num` digits (2, 3 or 4) of one group; false when one is none or trailing bits are set.
 */
static bool base64_group(uint8_t *out, const char *text, size_t num) {
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        uint8_t value = i < num ? base64_value(text[i]) : 0;
        if (value == NOT_BASE64) {
            return false;
        }
        group = group << 6 | value;
    }
    if ((num == 2 && (group & 0xffff) != 0) || (num == 3 && (group & 0xff) != 0)) {
        return false;
    }
    for (size_t i = 0; i + 1 < num; i++) {
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    }
    return true;
}

/* Decodes up to `num` groups of four digits, and returns how many came before one that is wrong. */
static size_t base64_groups(uint8_t *out, const char *text, size_t num) {
    for (size_t i = 0; i < num; i++) {
        unsigned a = base64_value(text[4 * i]), b = base64_value(text[4 * i + 1]),
                 c = base64_value(text[4 * i + 2]), d = base64_value(text[4 * i + 3]);
        if ((a | b | c | d) >= 64) {
            return i;
        }
        unsigned group = a << 18 | b << 12 | c << 6 | d;
        out[3 * i] = (uint8_t)(group >> 16);
        out[3 * i + 1] = (uint8_t)(group >> 8);
        out[3 * i + 2] = (uint8_t)group;
    }
    return num;
}

/* What the text decodes to, `len` bytes of them, without its last `padding` characters. Whole groups at
 * full speed; the last one, and one that is wrong, as they come. False: *offset is where it is wrong. */
static bool base64_read(uint8_t *out, size_t *offset, const char *text, size_t text_len,
                        size_t padding) {
    size_t whole = text_len >= 4 ? base64_groups(out, text, text_len / 4 - 1) * 4 : 0;
    for (size_t i = whole; i < text_len; i += 4) {
        size_t num = i + 4 == text_len ? 4 - padding : 4;
        if (!base64_group(out + i / 4 * 3, text + i, num)) {
            *offset = i;
            return false;
        }
    }
    return true;
}

static size_t base64_padding(const char *text, size_t text_len) {
    size_t padding = 0;
    while (padding < 2 && padding < text_len && text[text_len - 1 - padding] == '=') {
        padding++;
    }
    return padding;
}

enum status base64_decode(uint8_t *out, size_t *out_len, size_t cap, const char *text,
                          size_t text_len) {
    size_t offset, padding = base64_padding(text, text_len);
    if (text_len % 4 != 0) {
        return STATUS_MALFORMED;
    }
    size_t len = text_len / 4 * 3 - padding;
    if (len > cap) {
        return STATUS_LIMIT;
    }
    if (!base64_read(out, &offset, text, text_len, padding)) {
        return STATUS_MALFORMED;
    }
    *out_len = len;
    return STATUS_OK;
}

enum status base64_decode_arena(struct arena *arena, struct bytes *out, const char *text,
                                size_t text_len, struct detail *detail) {
    if (text_len % 4 != 0) {
        return status_fail(detail, STATUS_MALFORMED,
                           "base64 of %zu characters: not a multiple of 4", text_len);
    }
    size_t offset, padding = base64_padding(text, text_len);
    size_t len = text_len / 4 * 3 - padding;
    uint8_t *bytes = arena_alloc(arena, len);
    if (bytes == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no room for %zu decoded bytes", len);
    }
    if (!base64_read(bytes, &offset, text, text_len, padding)) {
        return status_fail(detail, STATUS_MALFORMED, "not base64 at offset %zu", offset);
    }
    *out = bytes_of(bytes, len);
    return STATUS_OK;
}

/* --- UTF-8 --- */

/* How many bytes follow the first of a sequence, and within what the next of them is. False: nothing
 * begins with it. */
static bool utf8_first(uint8_t c, size_t *more, uint8_t *low, uint8_t *high) {
    *low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    *high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    *more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    return (c > 0 && c < 0x80) || (c >= 0xc2 && c <= 0xf4);
}

bool utf8_is_valid(struct bytes in) {
    size_t more = 0;
    uint8_t low = 0, high = 0;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.data[i];
        if (more == 0) {
            if (!utf8_first(c, &more, &low, &high)) {
                return false;
            }
            continue;
        }
        if (c < low || c > high) {
            return false;
        }
        low = 0x80;
        high = 0xbf;
        more--;
    }
    return more == 0;
}

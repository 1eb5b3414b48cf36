#include "api/json_reader.h"

#include "server/base/encoding.h"

#include <string.h>

struct json_reader json_reader_of(struct bytes text, struct arena *arena) {
    return (struct json_reader){.rest = text, .len = text.len, .arena = arena};
}

size_t json_reader_offset(const struct json_reader *reader) {
    return reader->len - reader->rest.len;
}

static void skip(struct bytes *in, size_t len) {
    struct bytes skipped;
    (void)!bytes_take(in, len, &skipped);
}

/* The next character that is no white space, or 0 at the end; it is not consumed. */
static uint8_t peek(struct json_reader *reader) {
    const struct bytes *in = &reader->rest;
    size_t n = 0;
    while (n < in->len && (in->data[n] == ' ' || in->data[n] == '\t' || in->data[n] == '\n' ||
                           in->data[n] == '\r')) {
        n++;
    }
    skip(&reader->rest, n);
    return reader->rest.len > 0 ? reader->rest.data[0] : 0;
}

static enum status expect(struct json_reader *reader, uint8_t c) {
    if (peek(reader) != c) {
        return STATUS_MALFORMED;
    }
    skip(&reader->rest, 1);
    return STATUS_OK;
}

enum json_kind json_reader_peek(struct json_reader *reader) {
    uint8_t c = peek(reader);
    if (c == '{') {
        return JSON_IS_OBJECT;
    }
    if (c == '"') {
        return JSON_IS_STRING;
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return JSON_IS_NUMBER;
    }
    bool begins = c == '[' || c == 't' || c == 'f' || c == 'n';
    return begins ? JSON_IS_OTHER : JSON_NOTHING;
}

enum status json_reader_enter(struct json_reader *reader) {
    return expect(reader, '{');
}

enum status json_reader_next(struct json_reader *reader, unsigned *num, struct bytes *key) {
    if (peek(reader) == '}') {
        skip(&reader->rest, 1);
        return STATUS_END;
    }
    if (*num > 0 && expect(reader, ',') != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    enum status status = json_reader_string(reader, key);
    if (status != STATUS_OK) {
        return status;
    }
    (*num)++;
    return expect(reader, ':');
}

enum status json_reader_count(struct json_reader *reader, uint32_t *out) {
    uint64_t value = 0;
    uint8_t first = peek(reader), c = first;
    struct bytes in = reader->rest;
    size_t digits = 0;
    while (c >= '0' && c <= '9') {
        value = value * 10 + (uint64_t)(c - '0');
        if (value > UINT32_MAX) {
            return STATUS_LIMIT;
        }
        skip(&in, 1);
        digits++;
        c = in.len > 0 ? in.data[0] : 0;
    }
    if (digits == 0 || (first == '0' && digits > 1) || c == '.' || c == 'e' || c == 'E') {
        return STATUS_MALFORMED;
    }
    reader->rest = in;
    *out = (uint32_t)value;
    return STATUS_OK;
}

/* --- strings ----------------------------------------------------------------------------------- */

static bool take_hex4(struct bytes *in, uint32_t *out) {
    struct bytes digits;
    uint32_t value = 0;
    if (bytes_take(in, 4, &digits) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        uint8_t c = digits.data[i];
        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint32_t)(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        } else {
            return false;
        }
    }
    *out = value;
    return true;
}

static void write_utf8(struct writer *w, uint32_t c) {
    if (c < 0x80) {
        write_u8(w, (uint8_t)c);
        return;
    }
    unsigned tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    write_u8(w, (uint8_t)(lead[tail] | c >> (6 * tail)));
    while (tail-- > 0) {
        write_u8(w, (uint8_t)(0x80 | (c >> (6 * tail) & 0x3F)));
    }
}

/* \uXXXX, or two of them for one character; U+0000 is refused. */
static bool take_unicode(struct bytes *in, struct writer *w) {
    uint32_t c, low;
    if (!take_hex4(in, &c) || c == 0 || (c >= 0xDC00 && c <= 0xDFFF)) {
        return false;
    }
    if (c >= 0xD800 && c <= 0xDBFF) {
        struct bytes mark;
        if (bytes_take(in, 2, &mark) != STATUS_OK || !bytes_equal(mark, bytes_of("\\u", 2)) ||
            !take_hex4(in, &low) || low < 0xDC00 || low > 0xDFFF) {
            return false;
        }
        c = 0x10000 + ((c - 0xD800) << 10 | (low - 0xDC00));
    }
    write_utf8(w, c);
    return true;
}

static bool take_escape(struct bytes *in, struct writer *w) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint8_t c;
    if (bytes_u8(in, &c) != STATUS_OK) {
        return false;
    }
    if (c == 'u') {
        return take_unicode(in, w);
    }
    const char *at = c != 0 ? strchr(names, c) : NULL;
    if (at != NULL) {
        write_u8(w, (uint8_t)values[at - names]);
    }
    return at != NULL;
}

/* From behind the opening quote to behind the closing one; what is unescaped is never longer. */
static enum status unescape(struct json_reader *reader, size_t cap, struct bytes *out) {
    struct bytes in = reader->rest;
    uint8_t *text = arena_alloc(reader->arena, cap), c;
    if (text == NULL) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(text, cap);
    while (bytes_u8(&in, &c) == STATUS_OK) {
        if (c == '"') {
            reader->rest = in;
            *out = writer_bytes(&w);
            return w.overflow ? STATUS_INTERNAL : STATUS_OK;
        }
        if (c != '\\') {
            write_u8(&w, c);
        } else if (!take_escape(&in, &w)) {
            return STATUS_MALFORMED;
        }
    }
    return STATUS_MALFORMED;
}

enum status json_reader_string(struct json_reader *reader, struct bytes *out) {
    struct bytes plain;
    if (expect(reader, '"') != STATUS_OK || reader->rest.len == 0) {
        return STATUS_MALFORMED;
    }
    const uint8_t *quote = memchr(reader->rest.data, '"', reader->rest.len);
    if (quote == NULL) {
        return STATUS_MALFORMED;
    }
    size_t len = (size_t)(quote - reader->rest.data);
    if (memchr(reader->rest.data, '\\', len) != NULL) {
        return unescape(reader, reader->rest.len, out);
    }
    if (bytes_take(&reader->rest, len, &plain) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    skip(&reader->rest, 1);
    *out = plain;
    return STATUS_OK;
}

bool json_reader_at_end(struct json_reader *reader) {
    (void)peek(reader);
    return reader->rest.len == 0;
}

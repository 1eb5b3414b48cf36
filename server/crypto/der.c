#include "server/crypto/der.h"

#include "server/base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { OID_ARCS_MAX = 32 };

static enum status take_length(struct bytes *in, size_t *out) {
    uint8_t first;
    enum status status = bytes_u8(in, &first);
    if (status != STATUS_OK) {
        return status;
    }
    if (first < 0x80) {
        *out = first;
        return STATUS_OK;
    }
    size_t num = first & 0x7Fu;
    if (num == 0 || num > 4) {
        return STATUS_MALFORMED; /* indefinite, or beyond any input of ours */
    }
    struct bytes digits;
    status = bytes_take(in, num, &digits);
    if (status != STATUS_OK) {
        return status;
    }
    size_t len = 0;
    for (size_t i = 0; i < num; i++) {
        len = len << 8 | digits.data[i];
    }
    if (len < 0x80 || digits.data[0] == 0) {
        return STATUS_MALFORMED; /* not the shortest form */
    }
    *out = len;
    return STATUS_OK;
}

enum status der_any(struct bytes *in, unsigned *tag, struct bytes *content) {
    struct bytes rest = *in;
    uint8_t first;
    size_t len = 0;
    enum status status = bytes_u8(&rest, &first);
    if (status != STATUS_OK) {
        return status;
    }
    if ((first & 0x1F) == 0x1F) {
        return STATUS_MALFORMED;
    }
    status = take_length(&rest, &len);
    if (status != STATUS_OK) {
        return status;
    }
    status = bytes_take(&rest, len, content);
    if (status != STATUS_OK) {
        return status;
    }
    *tag = first;
    *in = rest;
    return STATUS_OK;
}

enum status der_take(struct bytes *in, unsigned tag, struct bytes *content) {
    struct bytes rest = *in, found;
    unsigned got;
    enum status status = der_any(&rest, &got, &found);
    if (status != STATUS_OK) {
        return status;
    }
    if (got != tag) {
        return STATUS_MALFORMED;
    }
    *content = found;
    *in = rest;
    return STATUS_OK;
}

enum status der_take_whole(struct bytes *in, unsigned tag, struct bytes *whole) {
    struct bytes rest = *in, content;
    enum status status = der_take(&rest, tag, &content);
    if (status != STATUS_OK) {
        return status;
    }
    return bytes_take(in, in->len - rest.len, whole);
}

enum status der_take_optional(struct bytes *in, unsigned tag, bool *present,
                              struct bytes *content) {
    if (in->len == 0 || in->data[0] != tag) {
        *present = false;
        *content = bytes_of(NULL, 0);
        return STATUS_OK;
    }
    enum status status = der_take(in, tag, content);
    if (status == STATUS_OK) {
        *present = true;
    }
    return status;
}

enum status der_take_bits(struct bytes *in, struct bytes *out) {
    struct bytes rest = *in, content;
    uint8_t unused;
    enum status status = der_take(&rest, DER_BIT_STRING, &content);
    if (status != STATUS_OK) {
        return status;
    }
    if (bytes_u8(&content, &unused) != STATUS_OK || unused != 0) {
        return STATUS_MALFORMED;
    }
    *out = content;
    *in = rest;
    return STATUS_OK;
}

enum status der_take_unsigned(struct bytes *in, struct bytes *out) {
    struct bytes rest = *in, content;
    enum status status = der_take(&rest, DER_INTEGER, &content);
    if (status != STATUS_OK) {
        return status;
    }
    if (content.len == 0 || content.data[0] >= 0x80) {
        return STATUS_MALFORMED;
    }
    if (content.len > 1 && content.data[0] == 0) {
        uint8_t zero;
        if (content.data[1] < 0x80 || bytes_u8(&content, &zero) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    *out = content;
    *in = rest;
    return STATUS_OK;
}

enum status der_take_u32(struct bytes *in, uint32_t *out) {
    struct bytes rest = *in, digits;
    enum status status = der_take_unsigned(&rest, &digits);
    if (status != STATUS_OK) {
        return status;
    }
    if (digits.len > sizeof *out) {
        return STATUS_MALFORMED;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        value = value << 8 | digits.data[i];
    }
    *out = value;
    *in = rest;
    return STATUS_OK;
}

enum status der_take_boolean(struct bytes *in, bool *out) {
    struct bytes rest = *in, content;
    enum status status = der_take(&rest, DER_BOOLEAN, &content);
    if (status != STATUS_OK) {
        return status;
    }
    if (content.len != 1 || (content.data[0] != 0 && content.data[0] != 0xFF)) {
        return STATUS_MALFORMED;
    }
    *out = content.data[0] != 0;
    *in = rest;
    return STATUS_OK;
}

/* YY or YYYY, then MMDDHHMMSSZ, in RFC 3339's spelling, so that one function knows the calendar. */
static enum status parse_time(struct bytes digits, size_t year_len, int64_t *unix_s) {
    char text[RFC3339_SIZE];
    if (digits.len != year_len + 11 || digits.data[digits.len - 1] != 'Z') {
        return STATUS_MALFORMED;
    }
    const char *d = (const char *)digits.data + year_len;
    const char *year = (const char *)digits.data;
    const char *century = "";
    if (year_len == 2) {
        century = year[0] >= '5' ? "19" : "20";
    }
    (void)snprintf(text, sizeof text, "%s%.*s-%.2s-%.2sT%.2s:%.2s:%.2sZ", century, (int)year_len,
                   year, d, d + 2, d + 4, d + 6, d + 8);
    return rfc3339_parse(unix_s, text);
}

enum status der_take_time(struct bytes *in, int64_t *unix_s) {
    struct bytes rest = *in, content;
    unsigned tag;
    enum status status = der_any(&rest, &tag, &content);
    if (status != STATUS_OK) {
        return status;
    }
    if (tag == DER_UTC_TIME) {
        status = parse_time(content, 2, unix_s);
    } else if (tag == DER_GENERALIZED_TIME) {
        status = parse_time(content, 4, unix_s);
    } else {
        status = STATUS_MALFORMED;
    }
    if (status == STATUS_OK) {
        *in = rest;
    }
    return status;
}

void der_oid_text(char *out, size_t cap, struct bytes oid) {
    uint64_t arc = 0;
    size_t len = 0, num = 0;
    (void)snprintf(out, cap, "?");
    if (oid.len == 0 || oid.len > OID_ARCS_MAX || oid.data[oid.len - 1] >= 0x80) {
        return;
    }
    for (size_t i = 0; i < oid.len && len < cap; i++) {
        arc = arc << 7 | (oid.data[i] & 0x7Fu);
        if (oid.data[i] >= 0x80) {
            continue;
        }
        int wrote;
        if (num++ == 0) {
            unsigned first = arc < 80 ? (unsigned)(arc / 40) : 2;
            wrote = snprintf(out, cap, "%u.%llu", first, (unsigned long long)arc - first * 40ull);
        } else {
            wrote = snprintf(out + len, cap - len, ".%llu", (unsigned long long)arc);
        }
        len += wrote > 0 ? (size_t)wrote : 0;
        arc = 0;
    }
}

size_t der_open(struct writer *w, unsigned tag) {
    write_u8(w, (uint8_t)tag);
    write_u8(w, 0);
    return w->len;
}

/* der_open left one byte for the length; a longer one moves the content along. */
void der_close(struct writer *w, size_t mark) {
    if (w->overflow) {
        return;
    }
    assert(mark >= 2 && mark <= w->len);
    size_t len = w->len - mark;
    assert(len <= UINT16_MAX);
    if (len < 0x80) {
        w->data[mark - 1] = (uint8_t)len;
        return;
    }
    size_t more = len < 0x100 ? 1 : 2;
    for (size_t i = 0; i < more; i++) {
        write_u8(w, 0);
    }
    if (w->overflow) {
        return;
    }
    memmove(w->data + mark + more, w->data + mark, len);
    w->data[mark - 1] = (uint8_t)(0x80u | more);
    if (more == 2) {
        w->data[mark] = (uint8_t)(len >> 8);
    }
    w->data[mark + more - 1] = (uint8_t)len;
}

size_t der_head_len(size_t len) {
    size_t num = 2;
    for (size_t rest = len < 0x80 ? 0 : len; rest > 0; rest >>= 8) {
        num++;
    }
    return num;
}

void der_write_head(struct writer *w, unsigned tag, size_t len) {
    assert(len <= UINT32_MAX);
    write_u8(w, (uint8_t)tag);
    if (len < 0x80) {
        write_u8(w, (uint8_t)len);
        return;
    }
    size_t num = der_head_len(len) - 2;
    write_u8(w, (uint8_t)(0x80u | num));
    while (num-- > 0) {
        write_u8(w, (uint8_t)(len >> 8 * num));
    }
}

void der_write(struct writer *w, unsigned tag, struct bytes content) {
    size_t mark = der_open(w, tag);
    write_bytes(w, content);
    der_close(w, mark);
}

void der_write_unsigned(struct writer *w, struct bytes big_endian) {
    struct bytes digits = big_endian;
    uint8_t zero;
    while (digits.len > 0 && digits.data[0] == 0 && bytes_u8(&digits, &zero) == STATUS_OK) {
    }
    size_t mark = der_open(w, DER_INTEGER);
    if (digits.len == 0 || digits.data[0] >= 0x80) {
        write_u8(w, 0);
    }
    write_bytes(w, digits);
    der_close(w, mark);
}

void der_write_u32(struct writer *w, uint32_t value) {
    uint8_t digits[4];
    struct writer number = writer_of(digits, sizeof digits);
    write_u32be(&number, value);
    der_write_unsigned(w, writer_bytes(&number));
}

void der_write_bits(struct writer *w, struct bytes in) {
    size_t mark = der_open(w, DER_BIT_STRING);
    write_u8(w, 0);
    write_bytes(w, in);
    der_close(w, mark);
}

/* YYYYMMDDHHMMSSZ, terminated. */
static void time_digits(char out[static 16], int64_t unix_s) {
    char text[RFC3339_SIZE];
    rfc3339_format(text, unix_s);
    (void)snprintf(out, 16, "%.4s%.2s%.2s%.2s%.2s%.2sZ", text, text + 5, text + 8, text + 11,
                   text + 14, text + 17);
}

void der_write_time(struct writer *w, int64_t unix_s) {
    char digits[16];
    time_digits(digits, unix_s);
    if (memcmp(digits, "2050", 4) < 0) {
        der_write(w, DER_UTC_TIME, bytes_of_text(digits + 2));
    } else {
        der_write(w, DER_GENERALIZED_TIME, bytes_of_text(digits));
    }
}

void der_write_generalized_time(struct writer *w, int64_t unix_s) {
    char digits[16];
    time_digits(digits, unix_s);
    der_write(w, DER_GENERALIZED_TIME, bytes_of_text(digits));
}

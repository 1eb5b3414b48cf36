#include "server/base/bytes.h"

#include <string.h>

struct bytes bytes_of(const void *data, size_t len) {
    return (struct bytes){data, len};
}

struct bytes bytes_of_text(const char *text) {
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

bool bytes_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool bytes_equal_constant_time(struct bytes a, struct bytes b) {
    if (a.len != b.len) {
        return false;
    }
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.len; i++) {
        difference = (uint8_t)(difference | (a.data[i] ^ b.data[i]));
    }
    return difference == 0;
}

bool bytes_all(struct bytes in, uint8_t value) {
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] != value) {
            return false;
        }
    }
    return true;
}

void bytes_wipe(void *data, size_t len) {
    if (len > 0) {
        explicit_bzero(data, len);
    }
}

/* The one place where a view is cut. */
enum status bytes_take(struct bytes *in, size_t len, struct bytes *out) {
    if (len > in->len) {
        return STATUS_TRUNCATED;
    }
    *out = (struct bytes){in->data, len};
    if (len > 0) {
        in->data += len;
        in->len -= len;
    }
    return STATUS_OK;
}

static enum status take_integer(struct bytes *in, size_t len, bool big_endian, uint64_t *out) {
    struct bytes field;
    enum status status = bytes_take(in, len, &field);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | field.data[big_endian ? i : len - 1 - i];
    }
    *out = value;
    return STATUS_OK;
}

enum status bytes_u8(struct bytes *in, uint8_t *out) {
    uint64_t value;
    enum status status = take_integer(in, 1, true, &value);
    if (status == STATUS_OK) {
        *out = (uint8_t)value;
    }
    return status;
}

static enum status take_u16(struct bytes *in, bool big_endian, uint16_t *out) {
    uint64_t value;
    enum status status = take_integer(in, 2, big_endian, &value);
    if (status == STATUS_OK) {
        *out = (uint16_t)value;
    }
    return status;
}

static enum status take_u32(struct bytes *in, bool big_endian, uint32_t *out) {
    uint64_t value;
    enum status status = take_integer(in, 4, big_endian, &value);
    if (status == STATUS_OK) {
        *out = (uint32_t)value;
    }
    return status;
}

enum status bytes_u16le(struct bytes *in, uint16_t *out) {
    return take_u16(in, false, out);
}

enum status bytes_u32le(struct bytes *in, uint32_t *out) {
    return take_u32(in, false, out);
}

enum status bytes_u64le(struct bytes *in, uint64_t *out) {
    return take_integer(in, 8, false, out);
}

enum status bytes_u16be(struct bytes *in, uint16_t *out) {
    return take_u16(in, true, out);
}

enum status bytes_u32be(struct bytes *in, uint32_t *out) {
    return take_u32(in, true, out);
}

enum status bytes_u64be(struct bytes *in, uint64_t *out) {
    return take_integer(in, 8, true, out);
}

static enum status take_prefixed(struct bytes *in, size_t prefix_len, bool big_endian,
                                 struct bytes *out) {
    struct bytes rest = *in;
    uint64_t len;
    enum status status = take_integer(&rest, prefix_len, big_endian, &len);
    if (status == STATUS_OK) {
        status = bytes_take(&rest, (size_t)len, out);
    }
    if (status == STATUS_OK) {
        *in = rest;
    }
    return status;
}

enum status bytes_u32le_prefixed(struct bytes *in, struct bytes *out) {
    return take_prefixed(in, 4, false, out);
}

enum status bytes_u16be_prefixed(struct bytes *in, struct bytes *out) {
    return take_prefixed(in, 2, true, out);
}

struct writer writer_of(void *data, size_t cap) {
    return (struct writer){.data = data, .cap = cap};
}

struct bytes writer_bytes(const struct writer *w) {
    return (struct bytes){w->data, w->len};
}

void write_bytes(struct writer *w, struct bytes in) {
    if (w->overflow || in.len > w->cap - w->len) {
        w->overflow = true;
        return;
    }
    if (in.len > 0) {
        memcpy(w->data + w->len, in.data, in.len);
        w->len += in.len;
    }
}

static void write_integer(struct writer *w, uint64_t value, size_t len, bool big_endian) {
    uint8_t field[8];
    for (size_t i = 0; i < len; i++) {
        field[big_endian ? len - 1 - i : i] = (uint8_t)(value >> 8 * i);
    }
    write_bytes(w, (struct bytes){field, len});
}

void write_u8(struct writer *w, uint8_t value) {
    write_integer(w, value, 1, true);
}

void write_u16be(struct writer *w, uint16_t value) {
    write_integer(w, value, 2, true);
}

void write_u32be(struct writer *w, uint32_t value) {
    write_integer(w, value, 4, true);
}

void write_u64be(struct writer *w, uint64_t value) {
    write_integer(w, value, 8, true);
}

void write_u16le(struct writer *w, uint16_t value) {
    write_integer(w, value, 2, false);
}

void write_u32le(struct writer *w, uint32_t value) {
    write_integer(w, value, 4, false);
}

/* Views of bytes and the only pointer arithmetic over them. Nothing here allocates or keeps state.
 * A reader consumes from the front of its view; on any status but OK the view and the output are
 * untouched. A writer fills a fixed buffer and remembers overflow. Thread-safe. */
#ifndef GATEHOUSE_BASE_BYTES_H
#define GATEHOUSE_BASE_BYTES_H

#include "server/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes; data may be NULL only when len is 0. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

struct bytes bytes_of(const void *data, size_t len);
struct bytes bytes_of_text(const char *text); /* without its terminator */
bool bytes_equal(struct bytes a, struct bytes b);
/* The same in time that depends on the lengths only. */
bool bytes_equal_constant_time(struct bytes a, struct bytes b);
bool bytes_all(struct bytes in, uint8_t value); /* true for an empty view */
/* Overwrites memory in a way that the compiler keeps. */
void bytes_wipe(void *data, size_t len);

/* Readers: OK or TRUNCATED. le: least significant byte first; be: network order. */
MUST_USE enum status bytes_take(struct bytes *in, size_t len, struct bytes *out);
MUST_USE enum status bytes_u8(struct bytes *in, uint8_t *out);
MUST_USE enum status bytes_u16le(struct bytes *in, uint16_t *out);
MUST_USE enum status bytes_u32le(struct bytes *in, uint32_t *out);
MUST_USE enum status bytes_u64le(struct bytes *in, uint64_t *out);
MUST_USE enum status bytes_u16be(struct bytes *in, uint16_t *out);
MUST_USE enum status bytes_u32be(struct bytes *in, uint32_t *out);
MUST_USE enum status bytes_u64be(struct bytes *in, uint64_t *out);
/* A length (le or be) and that many bytes. */
MUST_USE enum status bytes_u32le_prefixed(struct bytes *in, struct bytes *out);
MUST_USE enum status bytes_u16be_prefixed(struct bytes *in, struct bytes *out);

/* Fills data[0..cap); len is what is written. Once something did not fit, overflow stays true and
 * nothing more is written. */
struct writer {
    uint8_t *data;
    size_t len, cap;
    bool overflow;
};

struct writer writer_of(void *data, size_t cap);
struct bytes writer_bytes(const struct writer *w);
void write_bytes(struct writer *w, struct bytes in);
void write_u8(struct writer *w, uint8_t value);
void write_u16be(struct writer *w, uint16_t value);
void write_u32be(struct writer *w, uint32_t value);
void write_u64be(struct writer *w, uint64_t value);
void write_u16le(struct writer *w, uint16_t value);
void write_u32le(struct writer *w, uint32_t value);

#endif

/* Hex and base64 (RFC 4648), strict: decoding takes exactly one spelling of each value; and UTF-8.
 * Stateless. */
#ifndef GATEHOUSE_BASE_ENCODING_H
#define GATEHOUSE_BASE_ENCODING_H

#include "server/base/arena.h"

/* Writes 2 * in.len lower-case digits and a terminator; out has room for 2 * in.len + 1. */
void hex_encode(char *out, struct bytes in);
/* Lower-case digits only; exactly out_len bytes. MALFORMED otherwise. */
MUST_USE enum status hex_decode(uint8_t *out, size_t out_len, const char *text);
/* Any even number of digits of either case, into the arena. MALFORMED, MEMORY. */
MUST_USE enum status hex_decode_arena(struct arena *arena, struct bytes *out, const char *text);

/* Bytes that base64_encode writes for `len`, terminator included. */
size_t base64_encoded_size(size_t len);
void base64_encode(char *out, struct bytes in);
char *base64_encode_arena(struct arena *arena, struct bytes in); /* NULL on overflow */
/* Standard alphabet, padded, no white space, zero trailing bits; into the arena. MALFORMED (the
 * detail names the offset), MEMORY. */
MUST_USE enum status base64_decode_arena(struct arena *arena, struct bytes *out, const char *text,
                                         size_t text_len, struct detail *detail);
/* The same into a buffer of `cap` bytes; on failure what it holds is not defined. LIMIT: it would be
 * longer; MALFORMED. */
MUST_USE enum status base64_decode(uint8_t *out, size_t *out_len, size_t cap, const char *text,
                                   size_t text_len);

/* The URL-safe alphabet, without padding (RFC 4648 section 5; RFC 7515 section 2). */
size_t base64url_encoded_len(size_t len);
void base64url_write(struct writer *w, struct bytes in);
/* Digits of that alphabet alone, of a length that an encoding may have, zero trailing bits. */
bool base64url_is_valid(struct bytes text);

/* Well-formed UTF-8 (RFC 3629) without U+0000; an empty view is. */
bool utf8_is_valid(struct bytes in);

#endif

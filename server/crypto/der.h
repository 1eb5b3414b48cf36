/* DER (ITU-T X.690), an element at a time. Readers are strict: definite lengths in their shortest
 * form, tag numbers below 31. Allocates nothing, thread-safe. */
#ifndef GATEHOUSE_CRYPTO_DER_H
#define GATEHOUSE_CRYPTO_DER_H

#include "server/base/bytes.h"

enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_ENUMERATED = 0x0A,
    DER_UTF8_STRING = 0x0C,
    DER_PRINTABLE_STRING = 0x13,
    DER_T61_STRING = 0x14,
    DER_IA5_STRING = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_BMP_STRING = 0x1E,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT = 0x80,            /* | n: implicitly tagged, primitive */
    DER_CONTEXT_CONSTRUCTED = 0xA0 /* | n: explicitly tagged, or implicitly and constructed */
};

/* The encoded content of an object identifier that is spelled as a string literal. */
#define DER_OID_OF(literal) bytes_of("" literal, sizeof(literal) - 1)

/* Readers take one element off the front. OK, TRUNCATED or MALFORMED (also: another tag); on
 * anything but OK nothing is touched. */
MUST_USE enum status der_any(struct bytes *in, unsigned *tag, struct bytes *content);
MUST_USE enum status der_take(struct bytes *in, unsigned tag, struct bytes *content);
/* The element with its tag and length. */
MUST_USE enum status der_take_whole(struct bytes *in, unsigned tag, struct bytes *whole);
/* Takes nothing and yields OK with an empty view when the next element has another tag, or there is
 * none. */
MUST_USE enum status der_take_optional(struct bytes *in, unsigned tag, bool *present,
                                       struct bytes *content);
/* A BIT STRING of whole bytes. */
MUST_USE enum status der_take_bits(struct bytes *in, struct bytes *out);
/* A non-negative INTEGER in its shortest form, without the leading zero byte (zero itself: one
 * byte). */
MUST_USE enum status der_take_unsigned(struct bytes *in, struct bytes *out);
MUST_USE enum status der_take_u32(struct bytes *in, uint32_t *out);
MUST_USE enum status der_take_boolean(struct bytes *in, bool *out);
/* UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 restricts them ("Z", seconds). */
MUST_USE enum status der_take_time(struct bytes *in, int64_t *unix_s);

/* Dotted decimal, cut to fit; "?" when it is no identifier. */
void der_oid_text(char *out, size_t cap, struct bytes oid);

/* Writers. der_open starts a constructed element whose length der_close fills in; elements nest. */
MUST_USE size_t der_open(struct writer *w, unsigned tag);
void der_close(struct writer *w, size_t mark);
void der_write(struct writer *w, unsigned tag, struct bytes content);
/* Tag and length of an element whose content, of any size up to 2^32 - 1, is written after it; and how
 * long these two are. */
void der_write_head(struct writer *w, unsigned tag, size_t len);
size_t der_head_len(size_t len);
void der_write_unsigned(struct writer *w, struct bytes big_endian);
void der_write_u32(struct writer *w, uint32_t value);
void der_write_bits(struct writer *w, struct bytes in);
/* Years 1950 to 2049 as UTCTime, others as GeneralizedTime; 0 <= unix_s, at most year 9999. */
void der_write_time(struct writer *w, int64_t unix_s);
/* The same as GeneralizedTime in any year (RFC 6960 4.2.2.1). */
void der_write_generalized_time(struct writer *w, int64_t unix_s);

#endif

/* Reads JSON (RFC 8259) front to back, without a tree of it: for bodies that are mostly one long string, where a general parser
 * costs several times what everything else does. Objects, strings and counts only: that is all such bodies have. Strings are views into the
 * input, or copies in the arena when they have escapes. Not thread-safe: one owner at a time. */
#ifndef GATEHOUSE_API_JSON_READER_H
#define GATEHOUSE_API_JSON_READER_H

#include "server/base/arena.h"

struct json_reader {
    struct bytes rest; /* borrowed */
    size_t len;
    struct arena *arena; /* for strings with escapes */
};
struct json_reader json_reader_of(struct bytes text, struct arena *arena);
/* How far it has read, for error texts. */
size_t json_reader_offset(const struct json_reader *reader);

enum json_kind {
    JSON_NOTHING, /* the end, or no value begins here */
    JSON_IS_OBJECT,
    JSON_IS_STRING,
    JSON_IS_NUMBER,
    JSON_IS_OTHER /* a list, true, false, null: of no use here */
};
/* What kind of value comes next; skips white space. */
enum json_kind json_reader_peek(struct json_reader *reader);

/* The '{' of an object. MALFORMED. */
MUST_USE enum status json_reader_enter(struct json_reader *reader);
/* The next key and its ':'; END with the object's '}'. *num counts the keys of this object and starts as 0. MALFORMED, MEMORY. */
MUST_USE enum status json_reader_next(struct json_reader *reader, unsigned *num, struct bytes *key);
/* A string value. Its characters are not looked at: control characters and bytes that are no UTF-8 are left to whoever decodes it,
 * as base64 or hex, where neither can stand. MALFORMED, MEMORY. */
MUST_USE enum status json_reader_string(struct json_reader *reader, struct bytes *out);
/* A whole number from 0 on, in digits alone. MALFORMED, LIMIT over UINT32_MAX. */
MUST_USE enum status json_reader_count(struct json_reader *reader, uint32_t *out);
/* Nothing but white space is left. */
bool json_reader_at_end(struct json_reader *reader);

#endif

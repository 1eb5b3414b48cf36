/* Writes JSON (RFC 8259) into an arena: compact, in the order of the calls. Texts that are
 * not UTF-8 get U+FFFD for each bad byte. Once memory ran out nothing more is written, and
 * json_out_end gives an empty view. Not thread-safe: one owner at a time. */
#ifndef GATEHOUSE_BASE_JSON_OUT_H
#define GATEHOUSE_BASE_JSON_OUT_H

#include "server/base/arena.h"

struct json_out { /* caller-allocated; no cleanup needed */
    struct arena *arena;
    char *text;
    size_t len, cap;
    bool comma;  /* the next value of this level follows another */
    bool failed; /* the arena is full */
};

/* `hint`: bytes that are probably enough; more are taken when needed. */
void json_out_init(struct json_out *o, struct arena *arena, size_t hint);
/* What was written; empty when memory ran out. */
struct bytes json_out_end(const struct json_out *o);

/* `name` is a member's name, written as it is (no escaping), or NULL inside an array. */
void json_out_object(struct json_out *o, const char *name);
void json_out_object_end(struct json_out *o);
void json_out_array(struct json_out *o, const char *name);
void json_out_array_end(struct json_out *o);
void json_out_text(struct json_out *o, const char *name, const char *text); /* NULL: null */
/* The same; "" is written as null. */
void json_out_text_or_null(struct json_out *o, const char *name, const char *text);
void json_out_int(struct json_out *o, const char *name, int64_t value);
void json_out_bool(struct json_out *o, const char *name, bool value);
void json_out_time(struct json_out *o, const char *name, int64_t unix_s); /* RFC 3339 */
/* The same; 0 is written as null. */
void json_out_time_or_null(struct json_out *o, const char *name, int64_t unix_s);
/* RFC 3339 with milliseconds. */
void json_out_time_ms(struct json_out *o, const char *name, int64_t unix_ms);
void json_out_base64(struct json_out *o, const char *name, struct bytes in);
void json_out_hex(struct json_out *o, const char *name, struct bytes in);
/* JSON that is known to be well-formed, as it is; null when empty. */
void json_out_raw(struct json_out *o, const char *name, struct bytes json);

#endif

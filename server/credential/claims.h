/* The claims of a token (RFC 7519) as the signer looks at them before it signs: the top level of a
 * JSON object, read in one pass. Stricter than RFC 8259: compact (no white space between tokens), a
 * name stands once and has no escapes. Allocates nothing, holds no globals. */
#ifndef GATEHOUSE_CREDENTIAL_CLAIMS_H
#define GATEHOUSE_CREDENTIAL_CLAIMS_H

#include "server/base/bytes.h"

enum { CLAIMS_MAX = 32, CLAIMS_MAX_DEPTH = 16 };
struct claim {
    struct bytes name;  /* without its quotes */
    struct bytes value; /* JSON as it stands there */
};
struct claims { /* caller-allocated; views into what was read */
    struct claim claim[CLAIMS_MAX];
    size_t num;
};

/* The whole of `json` is one object, down to its last value well-formed. MALFORMED; LIMIT: more than
 * CLAIMS_MAX members, or deeper than CLAIMS_MAX_DEPTH. On anything but OK *out is untouched. */
MUST_USE enum status claims_read(struct claims *out, struct bytes json);

/* The value of a claim; an empty view when there is none. */
struct bytes claims_find(const struct claims *claims, const char *name);
/* The claim is there, and is this text spelled without escapes. */
bool claims_is_text(const struct claims *claims, const char *name, const char *text);
/* It is a text of at least one byte; it is an object. */
bool claims_has_text(const struct claims *claims, const char *name);
bool claims_has_object(const struct claims *claims, const char *name);
/* NOT_FOUND: there is none. MALFORMED: it is no integer of at most 18 digits. */
MUST_USE enum status claims_integer(const struct claims *claims, const char *name, int64_t *out);

#endif

/* What a function has to say about its work. Callers branch on the status and never on the detail,
 * which is a text for logs and operators: it is not sent to devices. A verdict on evidence is not a
 * status: bad evidence that was understood is STATUS_OK plus a verdict (server/appraisal). */
#ifndef GATEHOUSE_BASE_STATUS_H
#define GATEHOUSE_BASE_STATUS_H

#include <stddef.h>
#include <stdint.h>

#define MUST_USE               __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum status {
    STATUS_OK = 0,
    STATUS_END,         /* exactly at the end of the input; nothing is wrong */
    STATUS_TRUNCATED,   /* the input ends inside a field */
    STATUS_MALFORMED,   /* the input breaks its specification */
    STATUS_LIMIT,       /* more than we accept: a named cap was reached */
    STATUS_UNSUPPORTED, /* well-formed, but of a kind that we do not take */
    STATUS_INVALID,     /* a cryptographic or consistency check did not hold */
    STATUS_NOT_FOUND,   /* no such object */
    STATUS_CONFLICT,    /* the object is not in a state that allows this */
    STATUS_DENIED,      /* who asks may not do this */
    STATUS_EXPIRED,     /* too late */
    STATUS_STORAGE,     /* the store failed: says nothing about what was asked */
    STATUS_BUSY,        /* overload; may be tried again */
    STATUS_MEMORY,      /* out of memory */
    STATUS_INTERNAL     /* our own fault */
};

/* A static name such as "malformed". Never NULL. */
const char *status_name(enum status status);

enum { DETAIL_SIZE = 256 };

/* Caller-owned; zero-initialise. text is always terminated. */
struct detail {
    char text[DETAIL_SIZE];
};

/* Writes the text, cut to fit. `detail` may be NULL: then nothing happens. */
void detail_set(struct detail *detail, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " before what is there, cut to fit. NULL is allowed. */
void detail_prefix(struct detail *detail, const char *format, ...) PRINTF_LIKE(2, 3);

/* Sets the detail and is `code`: `return status_fail(detail, STATUS_MALFORMED, "...")`. A macro, so
 * that compilers and analysers see which status comes out. */
#define status_fail(detail, code, ...) (detail_set((detail), __VA_ARGS__), (enum status)(code))

#endif

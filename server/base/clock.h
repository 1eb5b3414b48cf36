/* Time. Pure code never calls these: time is a parameter there. Thread-safe. */
#ifndef GATEHOUSE_BASE_CLOCK_H
#define GATEHOUSE_BASE_CLOCK_H

#include "server/base/status.h"

int64_t clock_unix(void);         /* seconds since 1970-01-01 UTC */
int64_t clock_unix_ms(void);      /* milliseconds of the same */
int64_t clock_monotonic_ms(void); /* never goes back; for deadlines */
int64_t clock_monotonic_us(void);

enum { RFC3339_SIZE = 21 }; /* "2026-11-23T13:00:00Z" and a terminator */
void rfc3339_format(char out[static RFC3339_SIZE], int64_t unix_s);
/* Seconds precision, 'Z' only. MALFORMED. */
MUST_USE enum status rfc3339_parse(int64_t *unix_s, const char *text);

#endif

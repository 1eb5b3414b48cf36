/* What proxies send: a certificate in the header of each dialect, written as the proxy's documentation
 * shows it. Failures end the test. */
#ifndef GATEHOUSE_TESTS_DIALECT_FIXTURE_H
#define GATEHOUSE_TESTS_DIALECT_FIXTURE_H

#include "server/base/arena.h"
#include "server/base/dialect.h"

enum { DIALECT_HEADERS = 4 };
/* The value of the dialect's header, in the arena. */
char *dialect_value(struct arena *arena, enum dialect dialect, struct bytes der);
/* All headers that it sends, "Name: value" each, up to a NULL. Returns how many. */
size_t dialect_headers(struct arena *arena, const char *out[static DIALECT_HEADERS],
                       enum dialect dialect, struct bytes der);
/* As nginx and Envoy encode a PEM text. */
char *dialect_escape(struct arena *arena, const char *text);

#endif

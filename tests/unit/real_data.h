/* Data of real machines, which lie beside the project and are never part of it. */
#ifndef GATEHOUSE_TESTS_REAL_DATA_H
#define GATEHOUSE_TESTS_REAL_DATA_H

#include "server/base/arena.h"

/* The folder in GATEHOUSE_DATA, or ../shared/data; NULL, and a line on standard output that says that the claims
 * are skipped, when there is none. */
const char *real_data(void);
/* A whole file below it, in the arena; {NULL, 0} when there is no such file. */
struct bytes real_file(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

#endif

/* Names as small numbers, for as long as the table lives: models, in a word that a reader takes in
 * one load. One writer; a reader may look up any number that it got from the writer with acquire. */
#ifndef GATEHOUSE_FLEET_NAMES_H
#define GATEHOUSE_FLEET_NAMES_H

#include "server/base/bytes.h"

enum { NAMES_MAX = 65535 };
struct names;

MUST_USE enum status names_new(struct names **out);
void names_free(struct names *names); /* NULL is allowed */
/* The number of the name, a new one if it has none. LIMIT, MEMORY. */
MUST_USE enum status names_intern(struct names *names, uint32_t *out, const char *name);
/* The writer's: the number of the name. False: it has none. */
MUST_USE bool names_find(const struct names *names, uint32_t *out, const char *name);
/* Copies the name, cut to fit. */
void names_copy(const struct names *names, char *out, size_t size, uint32_t number);

#endif

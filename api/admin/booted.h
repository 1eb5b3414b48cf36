/* What devices booted, for those who ask about it: facts out of the store. */
#ifndef GATEHOUSE_API_ADMIN_BOOTED_H
#define GATEHOUSE_API_ADMIN_BOOTED_H

#include "db/store.h"
#include "server/evidence/facts.h"

/* The facts of a kept boot state. NOT_FOUND: it is not kept any more. STORAGE: also what is kept
 * cannot be read, which says nothing about any device. MEMORY. */
MUST_USE enum status booted_facts(struct store_reader *reader, struct arena *arena,
                                  struct facts *out, const uint8_t sha256[static 32],
                                  struct detail *detail);
bool booted_none(const uint8_t sha256[static 32]); /* zeros */

#endif

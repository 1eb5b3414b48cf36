/* The ids of exceptions as rows keep them, one text with a space after each, and as answers have
 * them. */
#ifndef GATEHOUSE_API_EXCEPTION_IDS_H
#define GATEHOUSE_API_EXCEPTION_IDS_H

#include "server/base/json_out.h"
#include "server/fleet/table.h"

enum { EXCEPTION_IDS_SIZE = EXCEPTIONS_PER_DEVICE * STORE_ID + 1 };

/* Once each. False: there is no more room. */
bool exception_ids_add(char ids[static EXCEPTION_IDS_SIZE], const char *id);
bool exception_ids_have(const char *ids, const char *id);
/* "exceptions": [...] */
void exception_ids_write(struct json_out *o, const char *ids);
/* The same of a decision. */
void write_decision_exceptions(struct json_out *o, const struct decision *decision);

#endif

/* Windows' measured events as JSON, for `gatehouse inspect`. */
#ifndef GATEHOUSE_COMMANDS_WBCL_JSON_H
#define GATEHOUSE_COMMANDS_WBCL_JSON_H

#include "server/base/arena.h"

#include <jansson.h>

/* {"windows": [...]}, events in events; NULL when the data do not begin with a published one. Text goes
 * to the arena; the value belongs to the caller. */
json_t *wbcl_json(struct arena *arena, struct bytes data);

#endif

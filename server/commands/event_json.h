/* Events of a firmware log as JSON, for `gatehouse inspect`. Text goes to the arena; returned
 * values belong to the caller; NULL when memory ran out. */
#ifndef GATEHOUSE_COMMANDS_EVENT_JSON_H
#define GATEHOUSE_COMMANDS_EVENT_JSON_H

#include "server/base/arena.h"
#include "server/evidence/tpm2/eventlog.h"

#include <jansson.h>

/* What the event's data say: an object by the event's type, or JSON null. */
json_t *event_data_json(struct arena *arena, const struct tcg_eventlog *log,
                        const struct tcg_event *event);
/* Of PK, KEK, db, dbx: the certificates and hashes in it. JSON null when it is no signature
 * database. */
json_t *signature_database_json(struct bytes data);
json_t *hex_json(struct bytes data);

#endif

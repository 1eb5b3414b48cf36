/* A change in trust as relying parties read it: the name of an event, and one line of JSON. The same for
 * every reader, so it is written once. Pure. */
#ifndef GATEHOUSE_FLEET_CHANGE_EVENT_H
#define GATEHOUSE_FLEET_CHANGE_EVENT_H

#include "db/store.h"

const char *
trust_change_name(enum trust_change change); /* "device", "credential", "revocation", "model" */

/* The JSON object, in the arena. `model` says what a TRUST_MODEL is now; NULL: it is gone, and of
 * other changes not looked at. Without seq and time where those are 0. Empty: memory ran out. */
struct bytes change_event_json(struct arena *arena, const struct trust_change_row *row,
                               const struct model_row *model);

/* As an event of a stream (WHATWG HTML, server-sent events), with its id where seq is not 0. At most
 * CHANGE_EVENT_MAX bytes. Empty: memory ran out. */
enum { CHANGE_EVENT_MAX = 3072 };
struct bytes change_event_text(struct arena *arena, const struct trust_change_row *row,
                               const struct model_row *model);

#endif

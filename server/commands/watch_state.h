/* Who may pass, as far as a stream of changes says: credentials by serial, how their devices stand, and
 * what models ask for. A snapshot is gathered beside what is known and takes its place once it is
 * whole. Belongs to one thread. */
#ifndef GATEHOUSE_COMMANDS_WATCH_STATE_H
#define GATEHOUSE_COMMANDS_WATCH_STATE_H

#include "server/base/status.h"

#include <stdbool.h>

struct watch_state;
/* MEMORY. */
MUST_USE enum status watch_state_new(struct watch_state **out);
void watch_state_free(struct watch_state *state); /* NULL is allowed */

/* A stream begins with a snapshot: what events say from now on is gathered apart. MEMORY. */
MUST_USE enum status watch_state_gather(struct watch_state *state);
/* One event. *changed: who may pass may be others; stays as it is otherwise. MALFORMED: not as
 * api/openapi.yaml has it; MEMORY: what is known is not to be relied on any more, by either. */
MUST_USE enum status watch_state_take(struct watch_state *state, const char *event,
                                      const char *data, bool *changed);
/* Whether a whole snapshot is known. */
bool watch_state_is_whole(const struct watch_state *state);

struct watch_entry {
    const char *serial, *sha256; /* lower-case hex */
    const char *tier, *segment;  /* of the device now; segment "" for none */
};
/* Every credential that is good at `now`, by serial; those that have expired are forgotten. Returns when the next one ends or begins;
 * INT64_MAX: none will. */
int64_t watch_state_list(struct watch_state *state, int64_t now,
                         void (*entry)(void *context, const struct watch_entry *entry),
                         void *context);

#endif

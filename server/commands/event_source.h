/* Reads server-sent events (WHATWG HTML, 9.2.6) as they come in, in pieces of any size. Pure; belongs to
 * one thread. */
#ifndef GATEHOUSE_COMMANDS_EVENT_SOURCE_H
#define GATEHOUSE_COMMANDS_EVENT_SOURCE_H

#include "server/base/bytes.h"

#include <stdbool.h>

enum { EVENT_SOURCE_LINE = 16 * 1024, EVENT_SOURCE_NAME = 32, EVENT_SOURCE_ID = 32 };

struct event_source { /* zero-initialise, then set event and context */
    /* An event with data; texts live for the call. `id` is the last that was heard, "" when none
     * was. False: no more is read. */
    bool (*event)(void *context, const char *name, const char *id, const char *data);
    void *context;
    char line[EVENT_SOURCE_LINE];
    size_t line_len;
    bool after_cr, begun;
    char name[EVENT_SOURCE_NAME]; /* of the event that is under way; "": message */
    char id[EVENT_SOURCE_ID];     /* the last; goes on counting when a stream ends */
    char next_id[EVENT_SOURCE_ID];
    char data[EVENT_SOURCE_LINE];
    size_t data_len;
    bool has_data;
};

/* LIMIT: a line, or an event, is longer than any that we know; END: event() wants no more. */
MUST_USE enum status event_source_take(struct event_source *source, struct bytes piece);
/* A new stream begins: what was half read is forgotten, the last id stays. */
void event_source_restart(struct event_source *source);

#endif

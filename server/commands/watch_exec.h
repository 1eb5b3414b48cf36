/* Runs a command for what happened: `sh -c`, with a text on its standard input and variables beside
 * those of this process. Waits for its end. */
#ifndef GATEHOUSE_COMMANDS_WATCH_EXEC_H
#define GATEHOUSE_COMMANDS_WATCH_EXEC_H

#include "server/base/status.h"

enum { WATCH_EXEC_VARIABLES = 8 };
struct watch_variable {
    const char *name, *value; /* value NULL: "" */
};

/* INVALID: it ended with another status than 0, or by a signal; INTERNAL: it could not be begun. A command
 * that does not read its input is well. */
MUST_USE enum status watch_exec(const char *command, const char *input,
                                const struct watch_variable *variable, size_t num,
                                struct detail *detail);

#endif

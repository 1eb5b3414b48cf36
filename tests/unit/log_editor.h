/* Takes a crypto-agile event log apart, so that a test may change it as someone would who sends it, and
 * puts it together again. */
#ifndef GATEHOUSE_TESTS_LOG_EDITOR_H
#define GATEHOUSE_TESTS_LOG_EDITOR_H

#include "server/base/arena.h"

enum { EDITOR_MAX_EVENTS = 512 };

struct edited_event {
    uint32_t pcr, type;
    struct bytes digests; /* the count of them, and each with its algorithm, as they stand */
    struct bytes data;
};
struct log_editor {
    struct bytes head;                            /* the Spec ID event */
    struct edited_event event[EDITOR_MAX_EVENTS]; /* event[i] has index i + 1 in the log */
    size_t num;
};

/* Views of `log`. What cannot be read ends the program. */
void editor_open(struct log_editor *out, struct bytes log);
/* The log again, in the arena. */
struct bytes editor_write(const struct log_editor *editor, struct arena *arena);

void editor_drop(struct log_editor *editor, size_t i);
void editor_insert(struct log_editor *editor, size_t i, struct edited_event event);
void editor_swap(struct log_editor *editor, size_t i, size_t k);

#endif

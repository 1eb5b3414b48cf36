/* Structured logs, one line an event, to a descriptor: JSON lines or text. Thread-safe (one
 * write(2) a line). Callers never pass a secret, a nonce or a whole certificate. */
#ifndef GATEHOUSE_BASE_LOG_H
#define GATEHOUSE_BASE_LOG_H

#include "server/base/bytes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_form { LOG_JSON, LOG_TEXT };

struct log {
    int fd;
    enum log_level level; /* less than this is left out */
    enum log_form form;
};

enum log_type { LOG_END, LOG_STRING, LOG_INTEGER };
struct log_field {
    enum log_type type; /* LOG_END closes a list */
    const char *key;
    const char *string; /* NULL prints as null */
    int64_t integer;
};

#define log_str(k, v) ((struct log_field){.type = LOG_STRING, .key = (k), .string = (v)})
#define log_int(k, v) ((struct log_field){.type = LOG_INTEGER, .key = (k), .integer = (int64_t)(v)})

enum { LOG_MAX_FIELDS = 16 };

/* `log` may be NULL: nothing is written. `event` is a stable snake_case name. Fields up to LOG_END
 * or LOG_MAX_FIELDS; one that would make the line longer than 4 KiB is left out. */
void log_write(const struct log *log, enum log_level level, const char *event,
               const struct log_field *fields);
/* More than LOG_MAX_FIELDS fields do not compile. */
#define log_event(log, level, event, ...)                                                          \
    log_write((log), (level), (event), (const struct log_field[LOG_MAX_FIELDS]){__VA_ARGS__})

#endif

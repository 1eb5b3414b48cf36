#include "server/base/log.h"

#include "server/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 4096 };

static void put(struct writer *line, const char *text) {
    write_bytes(line, bytes_of_text(text));
}

/* A JSON string (RFC 8259, section 7); bytes over 0x7f pass as they are. */
static void put_string(struct writer *line, const char *text) {
    put(line, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char escaped[8];
        if (c == '"' || c == '\\') {
            (void)snprintf(escaped, sizeof escaped, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", c);
        } else {
            (void)snprintf(escaped, sizeof escaped, "%c", c);
        }
        put(line, escaped);
    }
    put(line, "\"");
}

static void put_value(struct writer *line, const struct log_field *field) {
    if (field->type == LOG_INTEGER) {
        char number[24];
        (void)snprintf(number, sizeof number, "%" PRId64, field->integer);
        put(line, number);
    } else if (field->string == NULL) {
        put(line, "null");
    } else {
        put_string(line, field->string);
    }
}

static void put_field(struct writer *line, enum log_form form, const struct log_field *field) {
    if (form == LOG_JSON) {
        put(line, ",\"");
        put(line, field->key);
        put(line, "\":");
    } else {
        put(line, " ");
        put(line, field->key);
        put(line, "=");
    }
    put_value(line, field);
}

void log_write(const struct log *log, enum log_level level, const char *event,
               const struct log_field *fields) {
    static const char *const names[] = {"debug", "info", "warning", "error"};
    if (log == NULL || level < log->level) {
        return;
    }
    char time[RFC3339_SIZE];
    int64_t now_ms = clock_unix_ms();
    rfc3339_format(time, now_ms / 1000);
    char text[LINE_MAX_LEN];
    int ms = (int)(now_ms % 1000);
    int head =
        log->form == LOG_JSON
            ? snprintf(text, sizeof text,
                       "{\"time\":\"%.19s.%03dZ\",\"level\":\"%s\",\"event\":\"%s\"", time, ms,
                       names[level], event)
            : snprintf(text, sizeof text, "%.19s.%03dZ %-7s %s", time, ms, names[level], event);
    struct writer line = writer_of(text, sizeof text - 3);
    line.len = head < 0 ? 0 : (size_t)head < line.cap ? (size_t)head : line.cap;
    for (; fields->type != LOG_END; fields++) {
        size_t before = line.len;
        put_field(&line, log->form, fields);
        if (line.overflow) { /* a field that does not fit is left out whole, so that JSON stays JSON
                              */
            line.len = before;
            line.overflow = false;
        }
    }
    line.cap = sizeof text;
    put(&line, log->form == LOG_JSON ? "}\n" : "\n");
    ssize_t written = write(log->fd, line.data, line.len);
    (void)written; /* nowhere to report that the log cannot be written */
}

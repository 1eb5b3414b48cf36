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

/* Takes one character of UTF-8 (RFC 3629) off the front of a text that is not empty; 0xFFFD for a
 * byte that begins none. */
static uint32_t take_character(const char **text) {
    const unsigned char *at = (const unsigned char *)*text;
    size_t more = at[0] < 0x80 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    uint32_t c = more == 0 ? at[0] : at[0] & (0x3fU >> more);
    bool good = at[0] < 0x80 || (at[0] >= 0xc2 && at[0] < 0xf5);
    for (size_t i = 1; good && i <= more; i++) {
        good = (at[i] & 0xc0) == 0x80; /* stops at the terminator */
        c = c << 6 | (at[i] & 0x3fU);
    }
    good = good && c >= smallest[more] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    *text += good ? more + 1 : 1;
    return good ? c : 0xfffd;
}

/* A JSON string (RFC 8259, section 7): control characters escaped, what is no UTF-8 replaced. */
static void put_string(struct writer *line, const char *text) {
    put(line, "\"");
    while (*text != '\0') {
        const char *from = text;
        uint32_t c = take_character(&text);
        char escaped[8];
        if (c == '"' || c == '\\') {
            (void)snprintf(escaped, sizeof escaped, "\\%c", (char)c);
            put(line, escaped);
        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffd) {
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
            put(line, escaped);
        } else {
            write_bytes(line, bytes_of(from, (size_t)(text - from)));
        }
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
    for (size_t i = 0; i < LOG_MAX_FIELDS && fields[i].type != LOG_END; i++) {
        size_t before = line.len;
        put_field(&line, log->form, &fields[i]);
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

#include "server/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *status_name(enum status status) {
    static const char *const names[] = {
        [STATUS_OK] = "ok",
        [STATUS_END] = "end",
        [STATUS_TRUNCATED] = "truncated",
        [STATUS_MALFORMED] = "malformed",
        [STATUS_LIMIT] = "limit",
        [STATUS_UNSUPPORTED] = "unsupported",
        [STATUS_INVALID] = "invalid",
        [STATUS_NOT_FOUND] = "not_found",
        [STATUS_CONFLICT] = "conflict",
        [STATUS_DENIED] = "denied",
        [STATUS_EXPIRED] = "expired",
        [STATUS_STORAGE] = "storage",
        [STATUS_BUSY] = "busy",
        [STATUS_MEMORY] = "memory",
        [STATUS_INTERNAL] = "internal",
    };
    size_t i = (size_t)status;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}

static void set_text(struct detail *detail, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void set_text(struct detail *detail, const char *format, va_list args) {
    if (detail != NULL) {
        (void)vsnprintf(detail->text, sizeof detail->text, format, args);
    }
}

void detail_set(struct detail *detail, const char *format, ...) {
    va_list args;
    va_start(args, format);
    set_text(detail, format, args);
    va_end(args);
}

void detail_prefix(struct detail *detail, const char *format, ...) {
    if (detail == NULL) {
        return;
    }
    struct detail old = *detail;
    va_list args;
    va_start(args, format);
    set_text(detail, format, args);
    va_end(args);
    size_t used = strlen(detail->text);
    (void)snprintf(detail->text + used, sizeof detail->text - used, ": %s", old.text);
}

#include "server/base/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static int64_t read_us(clockid_t id) {
    struct timespec now;
    (void)clock_gettime(id, &now); /* cannot fail for these clocks */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_unix(void) {
    return read_us(CLOCK_REALTIME) / 1000000;
}

int64_t clock_unix_ms(void) {
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_monotonic_ms(void) {
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void) {
    return read_us(CLOCK_MONOTONIC);
}

void rfc3339_format(char out[static RFC3339_SIZE], int64_t unix_s) {
    /* Years 0 to 9999, the only ones that the form can hold. */
    const int64_t first = -62167219200, last = 253402300799;
    time_t time = (time_t)(unix_s < first ? first : unix_s > last ? last : unix_s);
    struct tm tm = {0};
    (void)gmtime_r(&time, &tm);
    (void)strftime(out, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (out[0] == '\0' || strlen(out) != RFC3339_SIZE - 1) {
        memcpy(out, "0000-01-01T00:00:00Z", RFC3339_SIZE);
    }
}

static int digits(const char *text, int num) {
    int value = 0;
    for (int i = 0; i < num; i++) {
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

enum status rfc3339_parse(int64_t *unix_s, const char *text) {
    static const char shape[] = "0000-00-00T00:00:00Z";
    if (strlen(text) != sizeof shape - 1) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; shape[i] != '\0'; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (shape[i] == '0' ? !digit : text[i] != shape[i]) {
            return STATUS_MALFORMED;
        }
    }
    struct tm tm = {.tm_year = digits(text, 4) - 1900,
                    .tm_mon = digits(text + 5, 2) - 1,
                    .tm_mday = digits(text + 8, 2),
                    .tm_hour = digits(text + 11, 2),
                    .tm_min = digits(text + 14, 2),
                    .tm_sec = digits(text + 17, 2)};
    struct tm asked = tm;
    time_t time = timegm(&tm);
    /* timegm normalises 31 February: what comes back must be what was asked for. */
    if (asked.tm_year < -1900 || tm.tm_year != asked.tm_year || tm.tm_mon != asked.tm_mon ||
        tm.tm_mday != asked.tm_mday || tm.tm_hour != asked.tm_hour || tm.tm_min != asked.tm_min ||
        tm.tm_sec != asked.tm_sec) {
        return STATUS_MALFORMED;
    }
    *unix_s = (int64_t)time;
    return STATUS_OK;
}

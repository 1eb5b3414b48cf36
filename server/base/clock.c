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

/* Writes `num` decimal digits. */
static void put_digits(char *out, int64_t value, size_t num) {
    while (num > 0) {
        out[--num] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* The proleptic Gregorian calendar from a count of days, by eras of 400 years that begin on the
 * first of March. Every answer has such times in it, and gmtime_r takes a lock. */
void rfc3339_format(char out[static RFC3339_SIZE], int64_t unix_s) {
    enum { DAY = 86400, ERA_DAYS = 146097, EPOCH_DAYS = 719468 };
    /* Years 0 to 9999, the only ones that the form can hold. */
    const int64_t first = -62167219200, last = 253402300799;
    int64_t time = unix_s < first ? first : unix_s > last ? last : unix_s;
    int64_t since = time + (int64_t)DAY * EPOCH_DAYS; /* 0000-03-01 */
    int64_t day = since >= 0 ? since / DAY : -((DAY - 1 - since) / DAY);
    int64_t second = since - day * DAY;
    int64_t era = day >= 0 ? day / ERA_DAYS : -1;
    int64_t of_era = day - era * ERA_DAYS;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t march = (5 * of_year + 2) / 153; /* months since March */
    int64_t month = march < 10 ? march + 3 : march - 9;
    memcpy(out, "0000-00-00T00:00:00Z", RFC3339_SIZE);
    put_digits(out, year + era * 400 + (month <= 2 ? 1 : 0), 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, of_year - (153 * march + 2) / 5 + 1, 2);
    put_digits(out + 11, second / 3600, 2);
    put_digits(out + 14, second / 60 % 60, 2);
    put_digits(out + 17, second % 60, 2);
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

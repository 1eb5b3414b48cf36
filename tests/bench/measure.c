#include "tests/bench/measure.h"

#include "server/base/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double bench_seconds(double otherwise) {
    const char *text = getenv("BENCH_SECONDS");
    double seconds = text == NULL ? 0 : strtod(text, NULL);
    return seconds > 0 ? seconds : otherwise;
}

static char **arguments;
static int num_arguments;

void options_are(char **argv, int num) {
    arguments = argv;
    num_arguments = num;
}

const char *option(const char *name, const char *otherwise) {
    size_t len = strlen(name);
    for (int i = 0; i < num_arguments; i++) {
        if (strncmp(arguments[i], name, len) == 0 && arguments[i][len] == '=') {
            return arguments[i] + len + 1;
        }
    }
    if (otherwise == NULL) {
        give_up("%s= is missing", name);
    }
    return otherwise;
}

struct bytes file_option(const char *name) {
    uint8_t *text;
    size_t len;
    struct detail detail = {0};
    if (file_read(&text, &len, option(name, NULL), 1 << 16, &detail) != STATUS_OK) {
        give_up("%s", detail.text);
    }
    return bytes_of(text, len);
}

static double clock_us(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

double now_us(void) {
    return clock_us(CLOCK_MONOTONIC);
}

double cpu_us(void) {
    return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

static bool read_proc(char *out, size_t cap, long pid, const char *name) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t len = fread(out, 1, cap - 1, file);
    out[len] = '\0';
    (void)fclose(file);
    return len > 0;
}

double process_cpu_us(long pid) {
    char text[1024];
    unsigned long user, system;
    if (!read_proc(text, sizeof text, pid, "stat")) {
        return -1;
    }
    const char *after_name = strrchr(text, ')');
    if (after_name == NULL ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2) {
        return -1;
    }
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

double process_rss_mb(long pid) {
    char text[256];
    unsigned long pages;
    if (!read_proc(text, sizeof text, pid, "statm") || sscanf(text, "%*u %lu", &pages) != 1) {
        return -1;
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

double percentile(double *values, size_t num, double share) {
    if (num == 0) {
        return 0;
    }
    qsort(values, num, sizeof *values, compare);
    size_t index = (size_t)(share * (double)num);
    return values[index < num ? index : num - 1];
}

void report(const char *bench, const char *what, double value, const char *unit, double target,
            bool below) {
    printf("{\"bench\":\"%s\",\"what\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", bench, what, value,
           unit);
    if (target >= 0) {
        bool met = below ? value <= target : value >= target;
        printf(",\"target\":\"%s %g\",\"met\":%s", below ? "<=" : ">=", target,
               met ? "true" : "false");
    }
    printf("}\n");
    (void)fflush(stdout);
}

void give_up(const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

/* decide STORE: loads the fleet table from a store, and measures: how long that takes, how much
 * memory the process holds then, and what a decision costs (CPU) over devices in random order. */
#include "server/base/clock.h"
#include "server/fleet/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DECISIONS = 2000000 };

struct known {
    char (*id)[STORE_ID];
    uint8_t (*sha256)[32];
    size_t num, cap;
};

static bool skip_device(void *context, const struct device_row *row) {
    (void)context;
    (void)row;
    return true;
}

static bool note(void *context, const struct credential_row *row) {
    struct known *known = context;
    if (known->num == known->cap) {
        known->cap = known->cap == 0 ? 1024 : 2 * known->cap;
        known->id = realloc(known->id, known->cap * sizeof *known->id);
        known->sha256 = realloc(known->sha256, known->cap * sizeof *known->sha256);
        if (known->id == NULL || known->sha256 == NULL) {
            abort();
        }
    }
    memcpy(known->id[known->num], row->device_id, STORE_ID);
    memcpy(known->sha256[known->num++], row->sha256, 32);
    return true;
}

/* Of this process, in microseconds: what it costs, whoever else is at work on the machine. */
static int64_t cpu_us(void) {
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static long resident_mb(void) {
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2) {
        resident = 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return resident * sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

static void measure(const struct fleet_table *table, const struct known *known, int64_t now) {
    uint64_t random = 88172645463325252U, allowed = 0;
    for (int by_certificate = 0; by_certificate < 2; by_certificate++) {
        int64_t began = cpu_us();
        for (int i = 0; i < DECISIONS; i++) {
            struct decision decision;
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            size_t at = (size_t)(random % known->num);
            if (by_certificate != 0) {
                fleet_decide_certificate(table, &decision, known->sha256[at], now);
            } else {
                fleet_decide_device(table, &decision, known->id[at], now);
            }
            allowed += decision.allow ? 1 : 0;
        }
        int64_t took = cpu_us() - began;
        (void)printf("%s %.0f ns\n", by_certificate != 0 ? "by certificate" : "by device",
                     (double)took * 1000 / (double)DECISIONS);
    }
    (void)printf("allowed %.3f\n", (double)allowed / (2.0 * (double)DECISIONS));
}

static enum status run(const char *path, struct detail *detail) {
    struct store *store = NULL;
    struct store_reader *reader = NULL;
    struct fleet_table *table = NULL;
    struct known known = {0};
    int64_t now = clock_unix(), began = clock_monotonic_ms();
    enum status status = store_open(&store, path, detail);
    if (status == STATUS_OK) {
        status = store_reader_new(&reader, store, detail);
    }
    if (status == STATUS_OK) {
        status = fleet_table_new(&table);
    }
    if (status == STATUS_OK) {
        status = fleet_table_load(table, reader, now, detail);
    }
    if (status == STATUS_OK) {
        struct fleet_size size = fleet_table_size(table);
        (void)printf("devices %llu credentials %llu\nload %lld ms (CPU %lld ms)\nresident %ld MB\n",
                     (unsigned long long)size.devices, (unsigned long long)size.credentials,
                     (long long)(clock_monotonic_ms() - began), (long long)cpu_us() / 1000,
                     resident_mb());
        status = store_walk(reader, &(struct store_visitor){&known, skip_device, note}, now);
    }
    if (status == STATUS_OK && known.num > 0) {
        measure(table, &known, now);
    }
    free(known.id);
    free(known.sha256);
    fleet_table_free(table);
    store_reader_free(reader);
    store_close(store);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: decide STORE\n");
        return 2;
    }
    struct detail detail = {0};
    fleet_thread_enter();
    enum status status = run(argv[1], &detail);
    fleet_thread_leave();
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "decide: %s: %s\n", status_name(status), detail.text);
    }
    return status == STATUS_OK ? 0 : 1;
}

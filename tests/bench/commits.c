/* commits STORE N: what an accepted appraisal costs the committer and the store, without its
 * certificate: N commits on random devices of the store, submitted as fast as they are taken. */
#include "server/base/clock.h"
#include "server/crypto/random.h"
#include "server/fleet/committer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT = 1024 };

struct task {
    struct commit commit;
    struct device_row device;
    struct appraisal_row appraisal;
    struct credential_row credential;
    _Atomic bool idle;
};

static char (*ids)[STORE_ID];
static size_t num_ids, room;

static bool note(void *context, const struct device_row *row) {
    (void)context;
    if (num_ids == room) {
        room = room == 0 ? 1024 : 2 * room;
        ids = realloc(ids, room * sizeof *ids);
        if (ids == NULL) {
            abort();
        }
    }
    memcpy(ids[num_ids++], row->id, STORE_ID);
    return true;
}

static bool skip(void *context, const struct credential_row *row) {
    (void)context;
    (void)row;
    return true;
}

static enum status apply(struct commit *commit, struct store_writer *writer,
                         struct detail *detail) {
    struct task *t = (struct task *)commit;
    (void)detail;
    enum status status = store_device_standing(writer, &t->device);
    if (status == STATUS_OK) {
        status = store_appraisal_insert(writer, &t->appraisal, 8);
    }
    return status == STATUS_OK ? store_credential_insert(writer, &t->credential) : status;
}

static void publish(struct commit *commit, struct fleet_table *table) {
    struct task *t = (struct task *)commit;
    enum status status = fleet_put_device(table, t->device.id, t->appraisal.model, DEVICE_ENROLLED,
                                          VERDICT_TRUSTED, TIER_MEASURED);
    if (status == STATUS_OK) {
        status = fleet_put_credential(table, &t->credential);
    }
    commit->status = status;
}

static void done(struct commit *commit) {
    struct task *t = (struct task *)commit;
    if (commit->status != STATUS_OK) {
        (void)fprintf(stderr, "commits: %s %s\n", status_name(commit->status), commit->detail.text);
        exit(1);
    }
    t->idle = true;
}

static const struct commit_kind kind = {
    .name = "bench", .apply = apply, .publish = publish, .done = done};

static void fill(struct task *t, uint64_t i) {
    static char facts[600];
    uint64_t random;
    random_bytes(&random, sizeof random);
    memset(facts, ' ', sizeof facts);
    memset(&t->commit, 0, sizeof t->commit);
    t->commit.kind = &kind;
    int64_t now = clock_unix(), now_ms = clock_unix_ms();
    t->device = (struct device_row){
        .verdict = 1, .tier = 3, .has_clock = true, .tpm_reset_count = now_ms, .last_seen = now};
    t->device.tpm_clock = (int64_t)i;
    memcpy(t->device.id, ids[random % num_ids], STORE_ID);
    t->appraisal = (struct appraisal_row){.model = "bench-0",
                                          .verdict = 1,
                                          .tier = 3,
                                          .findings = bytes_of_text("[]"),
                                          .facts = bytes_of(facts, sizeof facts),
                                          .created_ms = now_ms};
    memcpy(t->appraisal.device_id, t->device.id, STORE_ID);
    id_new(t->appraisal.id, now_ms);
    memcpy(t->device.appraisal_id, t->appraisal.id, STORE_ID);
    t->credential = (struct credential_row){
        .tier = TIER_MEASURED, .not_before = now - 60, .not_after = now + 3600};
    memcpy(t->credential.device_id, t->device.id, STORE_ID);
    memcpy(t->credential.appraisal_id, t->appraisal.id, STORE_ID);
    random_bytes(t->credential.sha256, 32);
    uint8_t serial[16];
    random_bytes(serial, sizeof serial);
    for (size_t j = 0; j < sizeof serial; j++) {
        (void)snprintf(t->credential.serial + 2 * j, 3, "%02x", serial[j]);
    }
}

static void run(struct committer *committer, uint64_t num) {
    static struct task task[IN_FLIGHT];
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        task[i].idle = true;
    }
    int64_t began = clock_monotonic_us();
    clock_t cpu = clock();
    for (uint64_t i = 0; i < num; i++) {
        struct task *t = &task[i % IN_FLIGHT];
        while (!t->idle) {
            (void)usleep(100);
        }
        t->idle = false;
        fill(t, i);
        if (committer_submit(committer, &t->commit) != STATUS_OK) {
            exit(1);
        }
    }
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        while (!task[i].idle) {
            (void)usleep(100);
        }
    }
    struct committer_counters count;
    committer_count(committer, &count);
    double wall = (double)(clock_monotonic_us() - began) / 1e6;
    double busy = (double)(clock() - cpu) / CLOCKS_PER_SEC;
    (void)printf("commits %llu in %.2f s: %.0f/s, CPU %.0f us each, %.1f a batch\n",
                 (unsigned long long)num, wall, (double)num / wall, busy * 1e6 / (double)num,
                 (double)count.commits / (double)count.batches);
}

int main(int argc, char **argv) {
    uint64_t num = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    if (num == 0) {
        (void)fprintf(stderr, "usage: commits STORE N\n");
        return 2;
    }
    fleet_thread_enter();
    struct detail detail = {0};
    struct store *store = NULL;
    struct store_reader *reader = NULL;
    struct fleet_table *table = NULL;
    struct policy_holder *policy = NULL;
    struct committer *committer = NULL;
    const struct store_visitor visitor = {NULL, note, skip};
    enum status status = store_open(&store, argv[1], &detail);
    status = status == STATUS_OK ? store_reader_new(&reader, store, &detail) : status;
    status = status == STATUS_OK ? fleet_table_new(&table) : status;
    status = status == STATUS_OK ? policy_holder_new(&policy) : status;
    status = status == STATUS_OK ? fleet_table_load(table, reader, clock_unix(), &detail) : status;
    status = status == STATUS_OK ? store_walk(reader, &visitor, INT64_MAX) : status;
    const struct committer_options options = {.store = store, .table = table, .policy = policy};
    status = status == STATUS_OK ? committer_start(&committer, &options, &detail) : status;
    if (status == STATUS_OK && num_ids > 0) {
        run(committer, num);
    } else {
        (void)fprintf(stderr, "commits: %s %s\n", status_name(status), detail.text);
    }
    committer_stop(committer);
    policy_holder_free(policy);
    fleet_table_free(table);
    store_reader_free(reader);
    store_close(store);
    free(ids);
    fleet_thread_leave();
    return status == STATUS_OK ? 0 : 1;
}

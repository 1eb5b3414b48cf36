/* The audit log: how fast `gatehouse audit verify` goes through an export (CPU of that process, what it takes to
 * start included), and what an entry costs the committer, with and without the chain.
 *
 *   audit GATEHOUSE FOLDER ENTRIES
 *
 * The entries are those of attestations. An append is measured in transactions of 256, as the committer's are under
 * load, in turn with the plain insert of a row that has some hash: the difference is the chain's, which is to find
 * the end of the log, to write the line and to hash it. */
#include "server/base/clock.h"
#include "server/fleet/audit_chain.h"
#include "tests/bench/measure.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 256, ROUNDS = 200, PATH = 512 };

static const char said[] =
    "{\"appraisal_id\":\"0197a3f2c4d84b6d9a7e5f1c2b3a4d5e\",\"verdict\":\"trusted\",\"tier\":"
    "\"measured\","
    "\"key_protection\":\"unproven\",\"serial\":\"5f1c2b3a4d5e0197a3f2c4d84b6d9a7e\","
    "\"credentials_revoked\":0}";

static struct audit_row attestation(int64_t i) {
    struct audit_row row = {.seq = i,
                            .time_ms = 1795438800000 + i,
                            .action = "device.appraise",
                            .after = bytes_of_text(said)};
    unsigned long long device = (unsigned long long)i * 0x9e3779b97f4a7c15U;
    (void)snprintf(row.object, sizeof row.object, "device:%016llx%016llx", device, device);
    (void)snprintf(row.actor, sizeof row.actor, "device:%016llx%016llx", device, device);
    (void)snprintf(row.request_id, sizeof row.request_id, "%016llx%016llx", device, ~device);
    return row;
}

/* --- verify --------------------------------------------------------------------------------- */

static void write_export(const char *path, int64_t num) {
    FILE *file = fopen(path, "w");
    uint8_t previous[AUDIT_HASH_LEN] = {0};
    if (file == NULL) {
        give_up("cannot write %s", path);
    }
    for (int64_t i = 1; i <= num; i++) {
        struct audit_row row = attestation(i);
        struct arena arena;
        struct json_out o;
        arena_init(&arena, 65536);
        json_out_init(&o, &arena, 1024);
        memcpy(row.previous, previous, sizeof previous);
        if (audit_hash(row.hash, &row) != STATUS_OK) {
            give_up("no memory");
        }
        memcpy(previous, row.hash, sizeof previous);
        audit_write_entry(&o, &row);
        struct bytes line = json_out_end(&o);
        if (fwrite(line.data, line.len, 1, file) != 1) {
            give_up("cannot write %s", path);
        }
        arena_free(&arena);
    }
    if (fclose(file) != 0) {
        give_up("cannot write %s", path);
    }
}

static double children_us(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void bench_verify(const char *gatehouse, const char *path, int64_t num) {
    double before = children_us();
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, STDOUT_FILENO);
        (void)execl(gatehouse, gatehouse, "audit", "verify", path, (char *)NULL);
        _exit(127);
    }
    int ended = 0;
    if (pid < 0 || waitpid(pid, &ended, 0) != pid || ended != 0) {
        give_up("gatehouse audit verify fails");
    }
    report("audit", "verify an export", (double)num / ((children_us() - before) / 1e6),
           "entries/s of CPU", 500000, false);
}

/* --- append --------------------------------------------------------------------------------- */

static struct store_writer *open_writer(struct store **store, const char *path) {
    struct detail detail = {0};
    struct store_writer *writer = NULL;
    if (store_open(store, path, &detail) != STATUS_OK ||
        store_writer_new(&writer, *store, &detail) != STATUS_OK) {
        give_up("%s", detail.text);
    }
    return writer;
}

/* One transaction; CPU of the appends alone. */
static double append_batch(struct store_writer *writer, bool chained, int64_t *seq) {
    if (store_begin(writer, NULL) != STATUS_OK) {
        give_up("cannot begin");
    }
    double before = cpu_us();
    for (int i = 0; i < BATCH; i++) {
        struct audit_row row = attestation(++*seq);
        memset(row.hash, 7, sizeof row.hash);
        enum status status =
            chained ? audit_append(writer, &row, NULL) : store_audit_insert(writer, &row);
        if (status != STATUS_OK) {
            give_up("cannot append: %s", status_name(status));
        }
    }
    double used = cpu_us() - before;
    if (store_commit(writer, NULL) != STATUS_OK) {
        give_up("cannot commit");
    }
    return used / BATCH;
}

static void bench_append(const char *folder) {
    static double with[ROUNDS], without[ROUNDS];
    char path[2][PATH];
    struct store *store[2];
    struct store_writer *writer[2];
    int64_t seq[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/append-%d.db", folder, i);
        writer[i] = open_writer(&store[i], path[i]);
    }
    for (int i = 0; i < ROUNDS; i++) { /* in turn, so that both meet the same machine */
        with[i] = append_batch(writer[0], true, &seq[0]);
        without[i] = append_batch(writer[1], false, &seq[1]);
    }
    double chained = percentile(with, ROUNDS, 0.5), plain = percentile(without, ROUNDS, 0.5);
    report("audit", "append an entry", chained, "us CPU", -1, true);
    report("audit", "append without the chain", plain, "us CPU", -1, true);
    report("audit", "the chain, of an entry", chained - plain, "us CPU", -1, true);
    for (int i = 0; i < 2; i++) {
        store_writer_free(writer[i]);
        store_close(store[i]);
    }
}

int main(int argc, char **argv) {
    int64_t num = argc == 4 ? strtoll(argv[3], NULL, 10) : 0;
    char path[PATH];
    if (num <= 0) {
        give_up("usage: audit GATEHOUSE FOLDER ENTRIES");
    }
    (void)snprintf(path, sizeof path, "%s/export", argv[2]);
    bench_append(argv[2]);
    write_export(path, num);
    bench_verify(argv[1], path, num);
    return 0;
}

/* What holding a fleet against a changed policy costs, in one process: devices of one model that booted
 * 50 things with 41 KB logs. Re-appraisal when nothing changes and when every device does; a preview.
 *
 *   rejudge FOLDER DEVICES     makes a store in FOLDER, which is left there */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/evidence/tpm2/kept.h"
#include "server/evidence/tpm2/tpm2.h"
#include "server/fleet/preview.h"
#include "server/fleet/reappraisal.h"
#include "tests/bench/measure.h"
#include "tests/unit/soft_tpm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATES = 50, MASK = 0x43FF, LOG_SIZE = 41 * 1024, BATCH = 10000, DOCUMENT = 32768 };
#define MODEL "edge9"

static struct store *store;
static struct store_reader *reader;
static struct fleet_table *table;
static struct policy_holder *policy;
static struct committer *committer;
static uint8_t boot_state[STATES][32];
static char pcrs[2][DOCUMENT]; /* documents: of all states, of none */

static void must(enum status status, const char *what, const struct detail *detail) {
    if (status != STATUS_OK) {
        give_up("%s: %s %s", what, status_name(status), detail == NULL ? "" : detail->text);
    }
}

static void id_of(char out[static STORE_ID], char kind, size_t n) {
    (void)snprintf(out, STORE_ID, "%02x%030zx", (unsigned)kind, n);
}

/* --- the store --- */

static void put_state(struct store_writer *writer, struct soft_tpm *tpm, unsigned n, char *value) {
    static uint8_t log_bytes[1 << 17], attest[512], signature[600];
    static const uint8_t nonce[32] = {1, 2, 3};
    char text[32];
    struct writer log = writer_of(log_bytes, sizeof log_bytes),
                  a = writer_of(attest, sizeof attest), s = writer_of(signature, sizeof signature);
    soft_tpm_reset(tpm);
    soft_tpm_boot(tpm, &log, LOG_SIZE);
    (void)snprintf(text, sizeof text, "state %u", n);
    soft_tpm_event(tpm, &log, 5, 5, bytes_of_text(text), bytes_of_text(text));
    soft_tpm_quote(tpm, &a, &s, bytes_of(nonce, sizeof nonce), MASK);
    struct pcr_selection selection = {.bank = {{HASH_SHA256, MASK}}, .num_banks = 1};
    const struct tpm2_evidence evidence = {.quote = writer_bytes(&a),
                                           .signature = writer_bytes(&s),
                                           .tcg_event_log = writer_bytes(&log)};
    const struct tpm2_expectation expected = {
        .ak = &tpm->ak_public, .nonce = bytes_of(nonce, sizeof nonce), .selection = &selection};
    static struct facts facts;
    enum tpm2_failure failure;
    struct detail detail = {0};
    struct arena arena;
    struct boot_state state;
    struct bytes *piece;
    size_t num;
    arena_init(&arena, 64 << 20);
    must(tpm2_verify(&facts, &failure, &arena, &evidence, &expected, &detail), "evidence", &detail);
    must(boot_state_of(&state, &arena, &facts), "boot state", NULL);
    must(log_pieces(&piece, &num, &arena, facts.log), "log", NULL);
    struct boot_state_row row = {.form = state.form};
    memcpy(row.sha256, state.sha256, 32);
    memcpy(row.log_sha256, state.log_sha256, 32);
    memcpy(boot_state[n], state.sha256, 32);
    must(store_boot_state_put(writer, &row, piece, num), "boot state", NULL);
    hex_encode(value, bytes_of(tpm->pcr[5], 32));
    arena_free(&arena);
}

static void make_documents(const struct soft_tpm *tpm, char value[STATES][65]) {
    for (unsigned other = 0; other < 2; other++) {
        char zero[65], four[65], *at = pcrs[other];
        hex_encode(zero, bytes_of(tpm->pcr[0], 32));
        hex_encode(four, bytes_of(tpm->pcr[4], 32));
        at += snprintf(at, DOCUMENT,
                       "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"" MODEL
                       "\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"%s\"],\"4\":[\"%s\"],\"5\":[",
                       zero, four);
        for (unsigned i = 0; i < STATES; i++) {
            at += sprintf(at, "%s\"%s%s\"", i == 0 ? "" : ",", other ? "00" : "",
                          value[i] + (other ? 2 : 0));
        }
        (void)sprintf(at, "]}}");
    }
}

static void put_baseline(struct store_writer *writer, size_t n, enum baseline_state state) {
    struct baseline_row row = {.model = MODEL,
                               .state = state,
                               .document = bytes_of_text(pcrs[n]),
                               .created_by = "bench",
                               .created = 100,
                               .updated = 100,
                               .activated = 200};
    id_of(row.id, 'b', n);
    digest_compute(HASH_SHA256, row.document, row.document_sha256);
    must(store_baseline_insert(writer, &row), "baseline", NULL);
}

static void put_device(struct store_writer *writer, size_t n, int64_t now) {
    struct device_row device = {.model = MODEL,
                                .state = DEVICE_ENROLLED,
                                .verdict = VERDICT_TRUSTED,
                                .tier = TIER_MEASURED,
                                .enrolled = now,
                                .last_seen = now,
                                .updated = now};
    struct device_boot_row boot = {.since = now};
    struct credential_row credential = {
        .tier = TIER_MEASURED, .not_before = now - 60, .not_after = now + 86400};
    struct appraisal_row appraisal = {.model = MODEL,
                                      .verdict = VERDICT_TRUSTED,
                                      .tier = TIER_MEASURED,
                                      .findings = bytes_of_text("[]"),
                                      .facts = bytes_of_text("{}")};
    id_of(device.id, 'd', n);
    id_of(device.appraisal_id, 'a', n);
    id_of(appraisal.baseline_id, 'b', 0);
    id_of(credential.serial, 'c', n);
    memcpy(appraisal.id, device.appraisal_id, STORE_ID);
    memcpy(appraisal.device_id, device.id, STORE_ID);
    memcpy(boot.device_id, device.id, STORE_ID);
    memcpy(credential.device_id, device.id, STORE_ID);
    memcpy(boot.boot_state, boot_state[n * 2654435761U % STATES], 32);
    memcpy(appraisal.boot_state, boot.boot_state, 32);
    digest_compute(HASH_SHA256, bytes_of_text(credential.serial), credential.sha256);
    must(store_device_insert(writer, &device), "device", NULL);
    must(store_device_boot_put(writer, &boot), "device's boot", NULL);
    must(store_appraisal_insert(writer, &appraisal, 64), "appraisal", NULL);
    must(store_credential_insert(writer, &credential), "credential", NULL);
}

static void fill(size_t num) {
    struct store_writer *writer;
    struct detail detail = {0};
    struct soft_tpm tpm;
    static char value[STATES][65];
    struct model_row model = {.name = MODEL,
                              .pcr_selection = "sha256:0,1,2,3,4,5,6,7,8,9,14",
                              .credential_lifetime_s = 3600,
                              .enrolment = "open",
                              .credential_tier = TIER_MEASURED};
    must(store_writer_new(&writer, store, &detail), "writer", &detail);
    must(store_begin(writer, &detail), "begin", &detail);
    must(store_model_insert(writer, &model), "model", NULL);
    soft_tpm_init(&tpm, KEY_EC_P256);
    for (unsigned i = 0; i < STATES; i++) {
        put_state(writer, &tpm, i, value[i]);
    }
    make_documents(&tpm, value);
    soft_tpm_cleanup(&tpm);
    put_baseline(writer, 0, BASELINE_ACTIVE);
    put_baseline(writer, 1, BASELINE_DRAFT);
    for (size_t i = 0; i < num; i++) {
        put_device(writer, i, clock_unix());
        if (i % BATCH == BATCH - 1) {
            must(store_commit(writer, &detail), "commit", &detail);
            must(store_begin(writer, &detail), "begin", &detail);
        }
    }
    must(store_commit(writer, &detail), "commit", &detail);
    store_writer_free(writer);
}

/* --- what is measured --- */

struct ask {
    struct commit commit; /* first */
    bool revokes;
    char job[STORE_ID];
    _Atomic bool done;
};

static enum status apply(struct commit *commit, struct store_writer *writer,
                         struct detail *detail) {
    struct ask *ask = (struct ask *)(void *)commit;
    const struct reappraisal_request request = {
        .model = MODEL, .cause = "bench", .enforce = ENFORCE_NOW, .requested_by = "system"};
    enum status status = STATUS_OK;
    if (ask->revokes) {
        struct arena arena;
        struct baseline_row row;
        char id[STORE_ID];
        id_of(id, 'b', 0);
        arena_init(&arena, 1 << 20);
        status = store_baseline_get(store_writer_reader(writer), &arena, &row, id);
        row.state = BASELINE_REVOKED;
        status = status == STATUS_OK ? store_baseline_update(writer, &row) : status;
        arena_free(&arena);
    }
    return status == STATUS_OK
               ? reappraisal_request(writer, ask->job, &request, clock_unix_ms(), detail)
               : status;
}

static void asked(struct commit *commit) {
    ((struct ask *)(void *)commit)->done = true;
}

static void reappraise(size_t num, bool revokes, const char *what) {
    static const struct commit_kind kind = {
        .name = "bench", .apply = apply, .done = asked, .reloads_policy = true};
    struct ask ask = {.commit = {.kind = &kind}, .revokes = revokes};
    struct reappraisals *reappraisals;
    struct reappraisal_row row = {0};
    struct detail detail = {0};
    const struct reappraisals_options options = {
        .store = store, .policy = policy, .committer = committer};
    must(committer_submit(committer, &ask.commit), "submit", NULL);
    while (!ask.done) {
        (void)usleep(100);
    }
    must(ask.commit.status, "asking", &ask.commit.detail);
    double begin = now_us(), cpu = cpu_us();
    must(reappraisals_start(&reappraisals, &options, &detail), "start", &detail);
    do {
        (void)usleep(2000);
        must(store_reappraisal_get(reader, &row, ask.job), "job", NULL);
    } while (row.state != REAPPRAISAL_DONE);
    double wall = now_us() - begin;
    cpu = cpu_us() - cpu;
    reappraisals_stop(reappraisals);
    if (row.counts.judged != (int64_t)num ||
        row.counts.now_untrusted != (revokes ? (int64_t)num : 0)) {
        give_up("%s: %lld judged, %lld untrusted", what, (long long)row.counts.judged,
                (long long)row.counts.now_untrusted);
    }
    char label[128];
    (void)snprintf(label, sizeof label, "re-appraisal, %s", what);
    report("rejudge", label, (double)num * 1e6 / wall, "devices/s", revokes ? -1 : 20000, false);
    (void)snprintf(label, sizeof label, "re-appraisal, %s: CPU", what);
    report("rejudge", label, cpu / (double)num, "us/device", -1, true);
}

static _Atomic bool previewed;

static void preview_done(struct preview *preview) {
    (void)preview;
    previewed = true;
}

static void run_preview(size_t num) {
    struct previews *previews;
    struct detail detail = {0};
    struct arena arena;
    char id[STORE_ID];
    const struct previews_options options = {.store = store, .policy = policy};
    id_of(id, 'b', 1);
    arena_init(&arena, 16 << 20);
    struct preview preview = {.model = MODEL,
                              .baseline_id = id,
                              .document = bytes_of_text(pcrs[1]),
                              .alone = true,
                              .arena = &arena,
                              .done = preview_done};
    must(previews_start(&previews, &options, &detail), "previews", &detail);
    double begin = now_us(), cpu = cpu_us();
    must(previews_submit(previews, &preview), "preview", NULL);
    while (!previewed) {
        (void)usleep(1000);
    }
    double wall = now_us() - begin;
    cpu = cpu_us() - cpu;
    must(preview.status, "preview", &preview.detail);
    if (preview.counts.cut_off != (int64_t)num || preview.num_groups != STATES) {
        give_up("preview: %lld cut off, %zu groups", (long long)preview.counts.cut_off,
                preview.num_groups);
    }
    report("rejudge", "preview, 50 boot states", wall / 1e6, "s", num > 100000 ? -1 : 2, true);
    report("rejudge", "preview, 50 boot states: CPU", cpu / 1e6, "s", num > 100000 ? -1 : 2, true);
    previews_stop(previews);
    previews_free(previews);
    arena_free(&arena);
}

int main(int argc, char **argv) {
    size_t num = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    char path[512];
    struct detail detail = {0};
    if (num == 0) {
        give_up("usage: rejudge FOLDER DEVICES");
    }
    (void)snprintf(path, sizeof path, "%s/rejudge.db", argv[1]);
    fleet_thread_enter();
    must(store_open(&store, path, &detail), "store", &detail);
    fill(num);
    must(store_reader_new(&reader, store, &detail), "reader", &detail);
    must(fleet_table_new(&table), "table", NULL);
    must(policy_holder_new(&policy), "policy", NULL);
    must(policy_reload(policy, reader, &detail), "policy", &detail);
    must(fleet_table_load(table, reader, clock_unix(), &detail), "table", &detail);
    const struct committer_options options = {.store = store, .table = table, .policy = policy};
    must(committer_start(&committer, &options, &detail), "committer", &detail);
    run_preview(num);
    reappraise(num, false, "nothing changes");
    reappraise(num, true, "all lose their trust");
    committer_stop(committer);
    policy_holder_free(policy);
    fleet_table_free(table);
    store_reader_free(reader);
    store_close(store);
    fleet_thread_leave();
    return EXIT_SUCCESS;
}

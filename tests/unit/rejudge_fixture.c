#include "tests/unit/rejudge_fixture.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/evidence/tpm2/kept.h"
#include "tests/unit/fault_vfs.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(enum status status, const char *what, const struct detail *detail) {
    ck_assert_msg(status == STATUS_OK, "%s: %s %s", what, status_name(status),
                  detail == NULL ? "" : detail->text);
}

void rig_open(struct rig *r) {
    *r = (struct rig){0};
    fault_vfs_register();
    fleet_thread_enter();
    store_fixture_folder(&r->f);
    store_fixture_open(&r->f, true);
    struct model_row model = sample_model(RIG_MODEL);
    must(store_fixture_write(&r->f, store_model_insert(r->f.writer, &model)), "model", NULL);
}

void rig_close(struct rig *r) {
    fault_vfs_set(FAULT_NONE, 0, false);
    reappraisals_stop(r->reappraisals);
    committer_stop(r->committer);
    policy_holder_free(r->policy);
    fleet_table_free(r->table);
    store_fixture_remove(&r->f);
    fleet_thread_leave();
}

/* --- rows --- */

static void state_value(uint8_t out[static 32], unsigned state) {
    char text[32];
    (void)snprintf(text, sizeof text, "state %u", state);
    digest_compute(HASH_SHA256, bytes_of_text(text), out);
}

char *rig_document(uint32_t states) {
    char *text = malloc(8192);
    ck_assert_ptr_nonnull(text);
    size_t len = (size_t)snprintf(text, 8192,
                                  "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"" RIG_MODEL
                                  "\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[");
    const char *comma = "";
    for (unsigned i = 0; i < 32; i++) {
        if ((states >> i & 1) != 0) {
            uint8_t value[32];
            char hex[65];
            state_value(value, i);
            hex_encode(hex, bytes_of(value, sizeof value));
            len += (size_t)snprintf(text + len, 8192 - len, "%s\"%s\"", comma, hex);
            comma = ",";
        }
    }
    uint8_t same[32];
    char hex[65];
    state_value(same, 99);
    hex_encode(hex, bytes_of(same, sizeof same));
    (void)snprintf(text + len, 8192 - len, "],\"4\":[\"%s\"]}}", hex);
    return text;
}

void rig_baseline(struct rig *r, unsigned n, uint32_t states, enum baseline_state state) {
    struct baseline_row row = sample_baseline(RIG_MODEL, n, state);
    char *document = rig_document(states);
    row.document = bytes_of_text(document);
    row.activated = 200 + n;
    digest_compute(HASH_SHA256, row.document, row.document_sha256);
    must(store_fixture_write(&r->f, store_baseline_insert(r->f.writer, &row)), "baseline", NULL);
    free(document);
}

static void put_boot(struct rig *r, const char *device_id, unsigned state, uint8_t sha256[32]) {
    struct facts *facts = calloc(1, sizeof *facts);
    ck_assert_ptr_nonnull(facts);
    struct boot_state boot;
    struct arena arena;
    facts->selection = (struct pcr_selection){.bank = {{HASH_SHA256, 1 | 1 << 4}}, .num_banks = 1};
    facts->num_banks = 1;
    facts->bank[0].alg = HASH_SHA256;
    facts->bank[0].pcr[0].quoted = true;
    facts->bank[0].pcr[4].quoted = true;
    state_value(facts->bank[0].pcr[0].value, state);
    state_value(facts->bank[0].pcr[4].value, 99);
    arena_init(&arena, 1 << 20);
    must(boot_state_of(&boot, &arena, facts), "boot state", NULL);
    struct boot_state_row row = {.form = boot.form};
    memcpy(row.sha256, boot.sha256, 32);
    memcpy(sha256, boot.sha256, 32);
    struct device_boot_row at = {.since = 100};
    memcpy(at.device_id, device_id, sizeof at.device_id);
    memcpy(at.boot_state, boot.sha256, 32);
    must(store_boot_state_put(r->f.writer, &row, NULL, 0), "boot state", NULL);
    must(store_device_boot_put(r->f.writer, &at), "device's boot", NULL);
    arena_free(&arena);
    free(facts);
}

void rig_evidence(struct rig *r, unsigned n, unsigned state, unsigned baseline,
                  enum verdict verdict) {
    struct device_row device = {.verdict = (int)verdict, .last_seen = 300 + n};
    struct appraisal_row appraisal = {
        .verdict = (int)verdict, .findings = bytes_of_text("[]"), .facts = bytes_of_text("{}")};
    device.tier = verdict == VERDICT_TRUSTED ? TIER_MEASURED : TIER_NONE;
    appraisal.tier = device.tier;
    (void)snprintf(appraisal.model, sizeof appraisal.model, RIG_MODEL);
    sample_id(device.id, 'd', n);
    sample_id(appraisal.id, 'p', r->num_appraisals++);
    sample_id(appraisal.baseline_id, 'b', baseline);
    memcpy(appraisal.device_id, device.id, sizeof device.id);
    memcpy(device.appraisal_id, appraisal.id, sizeof appraisal.id);
    store_fixture_begin(&r->f);
    if (state != RIG_NO_FACTS) {
        put_boot(r, device.id, state, appraisal.boot_state);
    }
    must(store_device_standing(r->f.writer, &device), "standing", NULL);
    must(store_appraisal_insert(r->f.writer, &appraisal, 64), "appraisal", NULL);
    must(store_fixture_end(&r->f, STATUS_OK), "commit", NULL);
}

void rig_device(struct rig *r, unsigned n, unsigned state, unsigned baseline) {
    struct device_row device = sample_device(RIG_MODEL, n);
    struct credential_row credential = sample_credential(n, n);
    int64_t now = clock_unix();
    credential.not_before = now - 60;
    credential.not_after = now + 3600;
    must(store_fixture_write(&r->f, store_device_insert(r->f.writer, &device)), "device", NULL);
    rig_evidence(r, n, state, baseline, VERDICT_TRUSTED);
    must(store_fixture_write(&r->f, store_credential_insert(r->f.writer, &credential)),
         "credential", NULL);
}

/* --- serving --- */

void rig_serve(struct rig *r) {
    struct detail detail = {0};
    store_writer_free(r->f.writer);
    r->f.writer = NULL;
    must(fleet_table_new(&r->table), "table", NULL);
    must(policy_holder_new(&r->policy), "policy", NULL);
    must(policy_reload(r->policy, r->f.reader, &detail), "policy", &detail);
    must(fleet_table_load(r->table, r->f.reader, clock_unix(), &detail), "table", &detail);
    const struct committer_options options = {
        .store = r->f.store, .table = r->table, .policy = r->policy};
    must(committer_start(&r->committer, &options, &detail), "committer", &detail);
}

void rig_stop_serving(struct rig *r) {
    struct detail detail = {0};
    reappraisals_stop(r->reappraisals);
    committer_stop(r->committer);
    policy_holder_free(r->policy);
    fleet_table_free(r->table);
    r->reappraisals = NULL;
    r->committer = NULL;
    r->policy = NULL;
    r->table = NULL;
    must(store_writer_new(&r->f.writer, r->f.store, &detail), "writer", &detail);
}

void rig_reappraise(struct rig *r, unsigned window, unsigned batch) {
    struct detail detail = {0};
    const struct reappraisals_options options = {.store = r->f.store,
                                                 .policy = r->policy,
                                                 .committer = r->committer,
                                                 .window = window,
                                                 .batch = batch};
    must(reappraisals_start(&r->reappraisals, &options, &detail), "re-appraisals", &detail);
}

struct change_of {
    struct commit commit; /* first */
    unsigned n;
    enum baseline_state state;
    enum enforcement enforce;
    char *job;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_done;
};

static enum status apply_change(struct commit *commit, struct store_writer *writer,
                                struct detail *detail) {
    struct change_of *c = (struct change_of *)(void *)commit;
    struct arena arena;
    struct baseline_row row;
    char id[STORE_ID];
    sample_id(id, 'b', c->n);
    arena_init(&arena, 1 << 20);
    enum status status = store_baseline_get(store_writer_reader(writer), &arena, &row, id);
    row.state = c->state;
    row.activated = row.activated == 0 ? 200 + c->n : row.activated;
    status = status == STATUS_OK ? store_baseline_update(writer, &row) : status;
    arena_free(&arena);
    const struct reappraisal_request request = {.model = RIG_MODEL,
                                                .cause = "test",
                                                .baseline_id = id,
                                                .enforce = c->enforce,
                                                .requested_by = "operator:alice"};
    return status == STATUS_OK
               ? reappraisal_request(writer, c->job, &request, clock_unix_ms(), detail)
               : status;
}

static void change_done(struct commit *commit) {
    struct change_of *c = (struct change_of *)(void *)commit;
    (void)pthread_mutex_lock(&c->lock);
    c->is_done = true;
    (void)pthread_cond_signal(&c->ended);
    (void)pthread_mutex_unlock(&c->lock);
}

void rig_change(struct rig *r, unsigned n, enum baseline_state state, enum enforcement enforce,
                char job[static STORE_ID]) {
    static const struct commit_kind kind = {
        .name = "change", .apply = apply_change, .done = change_done, .reloads_policy = true};
    struct change_of c = {.commit = {.kind = &kind},
                          .n = n,
                          .state = state,
                          .enforce = enforce,
                          .job = job,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .ended = PTHREAD_COND_INITIALIZER};
    must(committer_submit(r->committer, &c.commit), "submit", NULL);
    (void)pthread_mutex_lock(&c.lock);
    while (!c.is_done) {
        (void)pthread_cond_wait(&c.ended, &c.lock);
    }
    (void)pthread_mutex_unlock(&c.lock);
    must(c.commit.status, "change", &c.commit.detail);
    reappraisals_wake(r->reappraisals);
}

struct reappraisal_row rig_wait(struct rig *r, const char *job) {
    struct reappraisal_row row = {0};
    int64_t until = clock_monotonic_ms() + 30000;
    do {
        must(store_reappraisal_get(r->f.reader, &row, job), "job", NULL);
        ck_assert_int_lt(clock_monotonic_ms(), until);
        (void)usleep(1000);
    } while (row.state == REAPPRAISAL_QUEUED || row.state == REAPPRAISAL_RUNNING);
    return row;
}

struct device_row rig_get(struct rig *r, unsigned n) {
    struct device_row row;
    char id[STORE_ID];
    sample_id(id, 'd', n);
    must(store_device_get(r->f.reader, &r->f.arena, &row, id), "device", NULL);
    return row;
}

struct decision rig_decide(const struct rig *r, unsigned n) {
    struct decision decision;
    char id[STORE_ID];
    sample_id(id, 'd', n);
    fleet_decide_device(r->table, &decision, id, clock_unix());
    return decision;
}

/* concurrent */
/* The committer: nothing is acknowledged before it is durable, nothing allowed before that either,
 * and one commit's failure is its own. */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/crypto/digest.h"
#include "server/fleet/committer.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/signer_fixture.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct store_fixture f;
static struct fleet_table *table;
static struct policy_holder *policy;
static struct feed *feed;
static struct committer *committer;
static struct signer *signer;
static _Atomic int fatal_calls;
static struct detail detail;

/* A commit for tests: what it is asked to do, and what became of it. */
struct task {
    struct commit commit; /* first: the committer hands this back */
    unsigned n;           /* the sample device, or credential */
    enum status answer;   /* what apply says after it wrote */
    unsigned busy_times;  /* how often apply says STORAGE before that */
    const char *bad_row;  /* a baseline document to be put in force */
    _Atomic int early, applied, published, done;
    uint64_t order;         /* in which done was called */
    int64_t feed_when_done; /* its newest */
    bool allowed_when_early_returned;
};

static _Atomic uint64_t finished;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: apply of a gated task waits */

static struct task *task_of(struct commit *commit) {
    return (struct task *)commit;
}

static void done(struct commit *commit) {
    struct task *t = task_of(commit);
    t->order = atomic_fetch_add(&finished, 1);
    t->feed_when_done = feed_newest(feed);
    atomic_fetch_add(&t->done, 1);
}

static enum status answer(struct task *t) {
    if (t->busy_times > 0) {
        t->busy_times--;
        return STATUS_STORAGE;
    }
    return t->answer;
}

/* Enrols device n, trusted, with credential n. */
static enum status apply_enrol(struct commit *commit, struct store_writer *writer,
                               struct detail *why) {
    struct task *t = task_of(commit);
    atomic_fetch_add(&t->applied, 1);
    struct device_row device = sample_device("edge", t->n);
    struct credential_row credential = sample_credential(t->n, t->n);
    device.verdict = VERDICT_TRUSTED;
    credential.not_after = clock_unix() + 3600;
    if (t->commit.job != NULL) {
        hex_encode(credential.serial, bytes_of(t->commit.job->serial, 16));
        memcpy(credential.sha256, t->commit.job->sha256, 32);
    }
    enum status status = store_device_insert(writer, &device);
    if (status == STATUS_OK) {
        status = store_credential_insert(writer, &credential);
    }
    status = status == STATUS_OK ? answer(t) : status;
    if (status != STATUS_OK) {
        detail_set(why, "task %u says %s", t->n, status_name(status));
    }
    return status;
}

static void publish_enrol(struct commit *commit, struct fleet_table *fleet) {
    struct task *t = task_of(commit);
    atomic_fetch_add(&t->published, 1);
    struct credential_row credential = sample_credential(t->n, t->n);
    credential.not_after = clock_unix() + 3600;
    ck_assert_int_eq(fleet_put_device(fleet, credential.device_id, "edge", DEVICE_ENROLLED,
                                      VERDICT_TRUSTED, TIER_MEASURED),
                     STATUS_OK);
    ck_assert_int_eq(fleet_put_credential(fleet, &credential), STATUS_OK);
}

static const struct commit_kind enrol = {
    .name = "enrol", .apply = apply_enrol, .publish = publish_enrol, .done = done};

static bool is_allowed(unsigned n) {
    char id[STORE_ID];
    struct decision decision;
    sample_id(id, 'd', n);
    fleet_decide_device(table, &decision, id, clock_unix());
    return decision.allow;
}

/* Revokes credential n of device n. */
static void early_revoke(struct commit *commit, struct fleet_table *fleet) {
    struct task *t = task_of(commit);
    fleet_revoke_credential(fleet, sample_credential(t->n, t->n).serial);
    t->allowed_when_early_returned = is_allowed(t->n);
    atomic_fetch_add(&t->early, 1);
}

static enum status apply_revoke(struct commit *commit, struct store_writer *writer,
                                struct detail *why) {
    struct task *t = task_of(commit);
    (void)why;
    atomic_fetch_add(&t->applied, 1);
    enum status status =
        store_credential_revoke(writer, sample_credential(t->n, t->n).serial, clock_unix(), "test");
    return status == STATUS_OK ? answer(t) : status;
}

static const struct commit_kind revocation = {
    .name = "revoke", .early = early_revoke, .apply = apply_revoke, .done = done};

static enum status apply_gated(struct commit *commit, struct store_writer *writer,
                               struct detail *why) {
    (void)writer;
    (void)why;
    atomic_fetch_add(&task_of(commit)->applied, 1);
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    return STATUS_OK;
}

static const struct commit_kind gated = {.name = "gated", .apply = apply_gated, .done = done};

/* Puts a baseline in force, good or bad, or takes it away (n is its number, answer ignored). */
static enum status apply_policy(struct commit *commit, struct store_writer *writer,
                                struct detail *why) {
    struct task *t = task_of(commit);
    (void)why;
    struct baseline_row row = sample_baseline("edge", t->n, BASELINE_ACTIVE);
    if (t->bad_row != NULL) {
        row.document = bytes_of_text(t->bad_row);
        digest_compute(HASH_SHA256, row.document, row.document_sha256);
        return store_baseline_insert(writer, &row);
    }
    struct arena arena;
    arena_init(&arena, 65536);
    enum status status = store_baseline_get(store_writer_reader(writer), &arena, &row, row.id);
    row.state = BASELINE_REVOKED;
    status = status == STATUS_OK ? store_baseline_update(writer, &row) : status;
    arena_free(&arena);
    return status;
}

static void done_policy(struct commit *commit) {
    const struct policy_model *model = policy_model(policy_read_begin(policy), "edge");
    task_of(commit)->early = (int)model->num_baselines; /* what is in force when done is called */
    policy_read_end(policy);
    done(commit);
}

static const struct commit_kind change_policy = {
    .name = "policy", .apply = apply_policy, .done = done_policy, .reloads_policy = true};

/* --- running --- */

static void on_fatal(void *context) {
    atomic_fetch_add((_Atomic int *)context, 1);
}

static void start(unsigned queue_max, int64_t keep_expired_s) {
    const struct committer_options options = {.store = f.store,
                                              .signer = signer,
                                              .table = table,
                                              .policy = policy,
                                              .feed = feed,
                                              .queue_max = queue_max,
                                              .keep_expired_s = keep_expired_s,
                                              .fatal = on_fatal,
                                              .fatal_context = &fatal_calls};
    enum status status = committer_start(&committer, &options, &detail);
    ck_assert_msg(status == STATUS_OK, "%s", detail.text);
}

static void open_unstarted(void) {
    fault_vfs_register();
    fleet_thread_enter();
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    store_writer_free(f.writer);
    f.writer = NULL;
    ck_assert_int_eq(fleet_table_new(&table), STATUS_OK);
    ck_assert_int_eq(policy_holder_new(&policy), STATUS_OK);
    ck_assert_int_eq(feed_new(&feed, 64), STATUS_OK);
    ck_assert_int_eq(policy_reload(policy, f.reader, &detail), STATUS_OK);
}

static void open_committer(void) {
    open_unstarted();
    start(0, 0);
}

static void close_committer(void) {
    fault_vfs_set(FAULT_NONE, 0, false);
    committer_stop(committer);
    signer_free(signer);
    policy_holder_free(policy);
    feed_free(feed);
    fleet_table_free(table);
    store_fixture_remove(&f);
    fleet_thread_leave();
}

static void open_with_signer(void) {
    struct store_fixture keys;
    store_fixture_folder(&keys);
    signer = signer_fixture_start(keys.folder);
    store_fixture_remove(&keys);
    open_committer();
}

static struct task make(const struct commit_kind *kind, unsigned n) {
    return (struct task){.commit.kind = kind, .n = n};
}

static void submit(struct task *t) {
    ck_assert_int_eq(committer_submit(committer, &t->commit), STATUS_OK);
}

static void nap(void) {
    (void)usleep(500);
}

static enum status wait_for(struct task *t) {
    while (atomic_load(&t->done) == 0) {
        nap();
    }
    return t->commit.status;
}

static enum status run(struct task *t) {
    submit(t);
    return wait_for(t);
}

/* A batch whose members we choose: the gate keeps the committer busy while they queue up. */
static struct task blocker;
static void hold(void) {
    (void)pthread_mutex_lock(&gate);
    blocker = make(&gated, 0);
    submit(&blocker);
    while (atomic_load(&blocker.applied) == 0) {
        nap();
    }
}
static void let_go(void) {
    (void)pthread_mutex_unlock(&gate);
    (void)wait_for(&blocker);
}

static bool is_stored(unsigned n) {
    struct device_row row = sample_device("edge", n);
    struct credential_row credential;
    enum status status = store_device_get(f.reader, &f.arena, &row, row.id);
    ck_assert(status == STATUS_OK || status == STATUS_NOT_FOUND);
    ck_assert_int_eq(store_credential_get(f.reader, &credential, sample_credential(n, n).serial),
                     status);
    return status == STATUS_OK;
}

START_TEST(a_commit_is_durable_and_published_when_it_is_done) {
    struct task t = make(&enrol, 1);
    ck_assert_int_eq(run(&t), STATUS_OK);
    ck_assert(is_stored(1));
    ck_assert(is_allowed(1));
    ck_assert_int_eq(t.applied, 1);
    ck_assert_int_eq(t.published, 1);
    ck_assert_str_eq(t.commit.detail.text, "");
}
END_TEST

START_TEST(committer_undoes_only_the_commit_that_fails) {
    enum { NUM = 20 };
    static struct task t[NUM];
    hold();
    for (unsigned i = 0; i < NUM; i++) {
        t[i] = make(&enrol, i + 1);
        t[i].answer = i == 3 ? STATUS_CONFLICT : i == 7 ? STATUS_MEMORY : STATUS_OK;
        if (i == 11) {
            t[i].n = 1; /* known already: its own insert fails */
        }
        submit(&t[i]);
    }
    let_go();
    for (unsigned i = 0; i < NUM; i++) {
        enum status wanted = i == 3 || i == 11 ? STATUS_CONFLICT
                             : i == 7          ? STATUS_MEMORY
                                               : STATUS_OK;
        ck_assert_int_eq(wait_for(&t[i]), wanted);
        ck_assert_int_eq(t[i].published, wanted == STATUS_OK);
        ck_assert_int_eq(strcmp(t[i].commit.detail.text, "") != 0, wanted != STATUS_OK);
        ck_assert_int_eq(is_stored(i + 1), wanted == STATUS_OK);
        ck_assert_int_eq(is_allowed(i + 1), wanted == STATUS_OK);
    }
    struct committer_counters count;
    committer_count(committer, &count);
    ck_assert_uint_eq(count.batches, 2);
    ck_assert_uint_eq(count.commits, NUM + 1);
    ck_assert_uint_eq(count.failures, 3);
    ck_assert_uint_eq(count.largest_batch, NUM);
    ck_assert_uint_eq(count.storage_retries, 0);
}
END_TEST

/* What the feed has after `seq`; no more than one. */
static bool next_change(struct trust_change_row *out, int64_t seq) {
    size_t num = 0;
    ck_assert_int_eq(feed_read(feed, out, &num, seq, 1), STATUS_OK);
    return num == 1;
}

START_TEST(whoever_is_told_of_a_change_finds_it_in_the_feed) {
    struct task e = make(&enrol, 1), r = make(&revocation, 1);
    struct trust_change_row row;
    ck_assert_int_eq(run(&e), STATUS_OK);
    ck_assert_int_eq(e.feed_when_done, 2);
    ck_assert(next_change(&row, 1));
    ck_assert_int_eq(row.change, TRUST_CREDENTIAL);
    ck_assert_int_eq(run(&r), STATUS_OK);
    ck_assert_int_eq(r.feed_when_done, 3);
    ck_assert(next_change(&row, 2));
    ck_assert_int_eq(row.change, TRUST_REVOCATION);
    ck_assert_str_eq(row.serial, sample_credential(1, 1).serial);
}
END_TEST

START_TEST(what_failed_is_not_in_the_feed) {
    struct task t = make(&enrol, 1), again = make(&revocation, 1);
    struct trust_change_row row;
    t.answer = STATUS_CONFLICT;
    ck_assert_int_eq(run(&t), STATUS_CONFLICT);
    ck_assert_int_eq(run(&again), STATUS_NOT_FOUND);
    fault_vfs_set(FAULT_SYNC, 1, true);
    again = make(&enrol, 2);
    ck_assert_int_eq(run(&again), STATUS_STORAGE);
    fault_vfs_set(FAULT_NONE, 0, false);
    ck_assert(!next_change(&row, 0));
    ck_assert_int_eq(feed_newest(feed), 0);
}
END_TEST

START_TEST(a_feed_goes_on_where_the_store_ended) {
    struct task e = make(&enrol, 1), r = make(&revocation, 1);
    struct trust_change_row row;
    size_t num;
    ck_assert_int_eq(run(&e), STATUS_OK);
    committer_stop(committer);
    feed_free(feed);
    ck_assert_int_eq(feed_new(&feed, 64), STATUS_OK);
    start(0, 0);
    ck_assert_int_eq(feed_newest(feed), 2);
    ck_assert_int_eq(feed_read(feed, &row, &num, 1, 1), STATUS_EXPIRED);
    ck_assert_int_eq(run(&r), STATUS_OK);
    ck_assert(next_change(&row, 2));
    ck_assert_int_eq(row.seq, 3);
}
END_TEST

START_TEST(commits_are_done_in_the_order_of_submission) {
    enum { NUM = 600 };
    static struct task t[NUM];
    for (unsigned i = 0; i < NUM; i++) {
        t[i] = make(&enrol, i + 1);
        submit(&t[i]);
    }
    for (unsigned i = 0; i < NUM; i++) {
        ck_assert_int_eq(wait_for(&t[i]), STATUS_OK);
        ck_assert_uint_eq(t[i].order, i);
    }
    struct committer_counters count;
    committer_count(committer, &count);
    ck_assert_uint_le(count.largest_batch, SIGNER_BATCH_MAX);
    ck_assert_uint_lt(count.batches, NUM);
}
END_TEST

START_TEST(a_denial_is_in_memory_before_it_is_in_the_store) {
    struct task e = make(&enrol, 1), r = make(&revocation, 1);
    ck_assert_int_eq(run(&e), STATUS_OK);
    ck_assert_int_eq(run(&r), STATUS_OK);
    ck_assert_int_eq(r.early, 1);
    ck_assert(!r.allowed_when_early_returned);
    ck_assert(!is_allowed(1));
    struct credential_row row;
    ck_assert_int_eq(store_credential_get(f.reader, &row, sample_credential(1, 1).serial),
                     STATUS_OK);
    ck_assert_int_ne(row.revoked, 0);
}
END_TEST

/* --- a store that fails --- */

START_TEST(a_store_that_stays_broken_is_storage_and_nobody_is_allowed) {
    struct task good = make(&enrol, 1), r = make(&revocation, 1), e = make(&enrol, 2);
    ck_assert_int_eq(run(&good), STATUS_OK);
    fault_vfs_set(FAULT_SYNC, 1, true);
    int64_t began = clock_monotonic_ms();
    ck_assert_int_eq(run(&e), STATUS_STORAGE);
    ck_assert_int_ge(clock_monotonic_ms() - began, 1500); /* it was tried again for a while */
    ck_assert_str_ne(e.commit.detail.text, "");
    ck_assert_int_gt(e.applied, 3);
    ck_assert_int_eq(e.published, 0);
    ck_assert(!is_allowed(2));
    ck_assert_int_eq(run(&r), STATUS_STORAGE);
    ck_assert(!is_allowed(1)); /* denied in memory all the same */
    ck_assert_int_eq(r.applied, 1);
    fault_vfs_set(FAULT_NONE, 0, false);
    struct task again = make(&revocation, 1);
    ck_assert_int_eq(run(&again), STATUS_OK);
    struct task later = make(&enrol, 2);
    ck_assert_int_eq(run(&later), STATUS_OK);
    ck_assert(is_allowed(2));
}
END_TEST

static const enum fault faults[] = {FAULT_WRITE, FAULT_FULL, FAULT_SYNC};

START_TEST(a_store_that_recovers_in_time_fails_nobody) {
    enum { NUM = 5 };
    static struct task t[NUM];
    hold();
    for (unsigned i = 0; i < NUM; i++) {
        t[i] = make(&enrol, i + 1);
        t[i].answer = i == 2 ? STATUS_CONFLICT : STATUS_OK;
        submit(&t[i]);
    }
    fault_vfs_set(faults[_i], 1, false);
    let_go();
    for (unsigned i = 0; i < NUM; i++) {
        ck_assert_int_eq(wait_for(&t[i]), i == 2 ? STATUS_CONFLICT : STATUS_OK);
        ck_assert_int_eq(t[i].applied, 2);
        ck_assert_int_eq(t[i].published, i == 2 ? 0 : 1);
        ck_assert_int_eq(is_stored(i + 1), i != 2);
    }
    struct committer_counters count;
    committer_count(committer, &count);
    ck_assert_uint_eq(count.storage_retries, 1);
}
END_TEST

START_TEST(another_process_that_holds_the_lock_for_a_moment_fails_nobody) {
    sqlite3 *other;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct task t = make(&enrol, 1);
    submit(&t);
    (void)usleep(400000);
    ck_assert_int_eq(t.applied, 0);
    ck_assert_int_eq(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(wait_for(&t), STATUS_OK);
    ck_assert_int_eq(t.published, 1);
    (void)sqlite3_close(other);
}
END_TEST

START_TEST(a_commit_stuck_on_a_damaged_row_fails_alone) {
    enum { NUM = 6 };
    static struct task t[NUM];
    hold();
    for (unsigned i = 0; i < NUM; i++) {
        t[i] = make(&enrol, i + 1);
        t[i].busy_times = i == 1 || i == 4 ? 1000 : 0;
        submit(&t[i]);
    }
    let_go();
    for (unsigned i = 0; i < NUM; i++) {
        bool stuck = i == 1 || i == 4;
        ck_assert_int_eq(wait_for(&t[i]), stuck ? STATUS_STORAGE : STATUS_OK);
        ck_assert_int_eq(is_stored(i + 1), !stuck);
        ck_assert_int_eq(is_allowed(i + 1), !stuck);
        ck_assert_int_eq(t[i].published, stuck ? 0 : 1);
    }
}
END_TEST

/* --- the queue --- */

START_TEST(a_full_queue_is_busy_and_forgets_nobody) {
    committer_stop(committer);
    start(3, 0);
    hold();
    struct task t[4];
    for (unsigned i = 0; i < 4; i++) {
        t[i] = make(&enrol, i + 1);
        ck_assert_int_eq(committer_submit(committer, &t[i].commit),
                         i < 3 ? STATUS_OK : STATUS_BUSY);
    }
    let_go();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(wait_for(&t[i]), STATUS_OK);
    }
    ck_assert_int_eq(t[3].done, 0);
    ck_assert_int_eq(run(&t[3]), STATUS_OK);
}
END_TEST

START_TEST(stopping_ends_what_is_queued) {
    enum { NUM = 400 };
    static struct task t[NUM];
    for (unsigned i = 0; i < NUM; i++) {
        t[i] = make(&enrol, i + 1);
        submit(&t[i]);
    }
    committer_stop(committer);
    committer = NULL;
    for (unsigned i = 0; i < NUM; i++) {
        ck_assert_int_eq(t[i].done, 1);
        ck_assert_int_eq(t[i].commit.status, STATUS_OK);
        ck_assert(is_stored(i + 1));
    }
}
END_TEST

START_TEST(a_second_committer_is_refused) {
    struct committer *second = NULL;
    const struct committer_options options = {.store = f.store, .table = table, .policy = policy};
    ck_assert_int_eq(committer_start(&second, &options, &detail), STATUS_CONFLICT);
    ck_assert_ptr_null(second);
    committer_stop(NULL);
}
END_TEST

/* --- the policy --- */

#define DOCUMENT                                                                                   \
    "{\"schema\":\"gatehouse/baseline/"                                                            \
    "1\",\"model\":\"edge\",\"bank\":\"sha256\",\"pcrs\":{\"0\":["                                 \
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]}}"

START_TEST(a_new_policy_is_in_force_before_done) {
    struct task add = make(&change_policy, 1), remove = make(&change_policy, 1);
    add.bad_row = DOCUMENT;
    ck_assert_int_eq(run(&add), STATUS_OK);
    ck_assert_int_eq(add.early, 1);
    ck_assert_int_eq(run(&remove), STATUS_OK);
    ck_assert_int_eq(remove.early, 0);
}
END_TEST

START_TEST(no_certificate_is_issued_under_a_policy_that_is_out_of_date) {
    struct task bad = make(&change_policy, 1), mend = make(&change_policy, 1);
    bad.bad_row = "{}";
    ck_assert_int_eq(run(&bad), STATUS_INTERNAL);
    ck_assert_ptr_nonnull(strstr(bad.commit.detail.text, "not in force"));
    struct sign_job job = sample_job(1);
    struct task wants = make(&enrol, 1), plain = make(&enrol, 2);
    wants.commit.job = &job;
    ck_assert_int_eq(run(&wants), STATUS_STORAGE);
    ck_assert_int_eq(wants.applied, 0);
    ck_assert_uint_eq(job.der_len, 0);
    ck_assert_int_eq(run(&plain), STATUS_OK);
    ck_assert_int_eq(run(&mend), STATUS_OK);
    struct task again = make(&enrol, 1);
    again.commit.job = &job;
    ck_assert_int_eq(run(&again), STATUS_OK);
}
END_TEST

/* --- the signer --- */

START_TEST(a_certificate_is_signed_before_its_record_is_applied) {
    enum { NUM = 300 };
    static struct task t[NUM];
    static struct sign_job job[NUM];
    const struct sign_job first = sample_job(1);
    for (unsigned i = 0; i < NUM; i++) {
        job[i] = first;
        job[i].serial[15] = (uint8_t)i;
        job[i].serial[14] = (uint8_t)(i >> 8);
        t[i] = make(&enrol, i + 1);
        t[i].commit.job = &job[i];
        submit(&t[i]);
    }
    for (unsigned i = 0; i < NUM; i++) {
        struct credential_row row;
        char serial[STORE_SERIAL];
        uint8_t digest[32];
        ck_assert_int_eq(wait_for(&t[i]), STATUS_OK);
        ck_assert_uint_gt(job[i].der_len, 0);
        hex_encode(serial, bytes_of(job[i].serial, 16));
        ck_assert_int_eq(store_credential_get(f.reader, &row, serial), STATUS_OK);
        digest_compute(HASH_SHA256, bytes_of(job[i].der, job[i].der_len), digest);
        ck_assert_mem_eq(row.sha256, digest, 32);
    }
}
END_TEST

START_TEST(a_job_that_the_signer_refuses_fails_alone) {
    struct task t[3];
    struct sign_job job[3];
    hold();
    for (unsigned i = 0; i < 3; i++) {
        job[i] = sample_job(i + 1);
        t[i] = make(&enrol, i + 1);
        t[i].commit.job = &job[i];
    }
    job[1].not_after = job[1].not_before + 30 * 86400;
    for (unsigned i = 0; i < 3; i++) {
        submit(&t[i]);
    }
    let_go();
    ck_assert_int_eq(wait_for(&t[0]), STATUS_OK);
    ck_assert_int_eq(wait_for(&t[1]), STATUS_INVALID);
    ck_assert_int_eq(wait_for(&t[2]), STATUS_OK);
    ck_assert_int_eq(t[1].applied, 0);
    ck_assert_int_eq(t[1].published, 0);
    struct device_row row = sample_device("edge", 2);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &row, row.id), STATUS_NOT_FOUND);
    ck_assert_int_eq(fatal_calls, 0);
}
END_TEST

START_TEST(a_signer_that_is_gone_is_fatal_once_and_denials_go_on) {
    struct task plain = make(&enrol, 9), r = make(&revocation, 9);
    ck_assert_int_eq(run(&plain), STATUS_OK);
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    for (unsigned i = 0; i < 3; i++) {
        struct sign_job job = sample_job(i + 1);
        struct task t = make(&enrol, i + 1);
        t.commit.job = &job;
        ck_assert_int_eq(run(&t), STATUS_INTERNAL);
        ck_assert_int_eq(t.applied, 0);
        ck_assert_int_eq(fatal_calls, 1);
    }
    ck_assert_int_eq(run(&r), STATUS_OK);
    ck_assert(!is_allowed(9));
}
END_TEST

/* --- housekeeping --- */

START_TEST(what_has_long_expired_is_forgotten_in_quiet_moments) {
    committer_stop(committer);
    ck_assert_int_eq(store_writer_new(&f.writer, f.store, &detail), STATUS_OK);
    store_fixture_begin(&f);
    int64_t now = clock_unix();
    for (unsigned n = 1; n <= 2500; n++) {
        if (n <= 3) {
            struct device_row device = sample_device("edge", n);
            ck_assert_int_eq(store_device_insert(f.writer, &device), STATUS_OK);
        }
        struct credential_row row = sample_credential(n, 1 + (n - 1) % 3);
        row.not_after = now - (n % 10 == 0 ? 50 : 1000) + (n == 2500 ? 5000 : 0);
        ck_assert_int_eq(store_credential_insert(f.writer, &row), STATUS_OK);
    }
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    store_writer_free(f.writer);
    f.writer = NULL;
    start(0, 500);
    size_t num = 2500;
    struct credential_filter any = {0};
    struct credential_row *rows;
    for (int i = 0; i < 5000 && num > 250; i++) {
        arena_free(&f.arena);
        ck_assert_int_eq(store_credential_list(f.reader, &f.arena, &rows, &num, &any,
                                               (struct store_page){"", 3000}),
                         STATUS_OK);
        nap();
    }
    ck_assert_uint_eq(num, 250);
}
END_TEST

/* --- many threads --- */

enum { THREADS = 4, EACH = 150 };
static _Atomic bool stop_reading;
static _Atomic bool acknowledged[THREADS * EACH + 1]; /* that its revocation is done */

static void *submit_many(void *context) {
    unsigned first = *(unsigned *)context;
    fleet_thread_enter();
    for (unsigned n = first; n < first + EACH; n++) {
        struct task e = make(&enrol, n), r = make(&revocation, n);
        ck_assert_int_eq(run(&e), STATUS_OK);
        ck_assert(is_allowed(n));
        ck_assert_int_eq(run(&r), STATUS_OK);
        atomic_store(&acknowledged[n], true);
        ck_assert(!is_allowed(n));
    }
    fleet_thread_leave();
    return NULL;
}

static void *watch(void *context) {
    unsigned seed = *(unsigned *)context;
    fleet_thread_enter();
    while (!atomic_load(&stop_reading)) {
        seed = seed * 1103515245U + 12345U;
        unsigned n = 1 + (seed >> 8) % (THREADS * EACH);
        bool gone = atomic_load(&acknowledged[n]);
        bool allowed = is_allowed(n);
        ck_assert_msg(!gone || !allowed, "revoked, acknowledged, and allowed");
    }
    fleet_thread_leave();
    return NULL;
}

START_TEST(no_worker_allows_what_another_was_told_is_revoked) {
    pthread_t writer[THREADS], reader[2];
    unsigned first[THREADS], seed[2] = {1, 2};
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&reader[i], NULL, watch, &seed[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        first[i] = 1 + i * EACH;
        ck_assert_int_eq(pthread_create(&writer[i], NULL, submit_many, &first[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(writer[i], NULL), 0);
    }
    atomic_store(&stop_reading, true);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(reader[i], NULL), 0);
    }
    struct committer_counters count;
    committer_count(committer, &count);
    ck_assert_uint_eq(count.commits, 2 * THREADS * EACH);
    ck_assert_uint_eq(count.failures, 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("committer");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, open_committer, close_committer);
    tcase_add_test(tests, a_commit_is_durable_and_published_when_it_is_done);
    tcase_add_test(tests, committer_undoes_only_the_commit_that_fails);
    tcase_add_test(tests, whoever_is_told_of_a_change_finds_it_in_the_feed);
    tcase_add_test(tests, what_failed_is_not_in_the_feed);
    tcase_add_test(tests, a_feed_goes_on_where_the_store_ended);
    tcase_add_test(tests, commits_are_done_in_the_order_of_submission);
    tcase_add_test(tests, a_denial_is_in_memory_before_it_is_in_the_store);
    tcase_add_test(tests, a_store_that_stays_broken_is_storage_and_nobody_is_allowed);
    tcase_add_loop_test(tests, a_store_that_recovers_in_time_fails_nobody, 0, 3);
    tcase_add_test(tests, another_process_that_holds_the_lock_for_a_moment_fails_nobody);
    tcase_add_test(tests, a_commit_stuck_on_a_damaged_row_fails_alone);
    tcase_add_test(tests, a_full_queue_is_busy_and_forgets_nobody);
    tcase_add_test(tests, stopping_ends_what_is_queued);
    tcase_add_test(tests, a_second_committer_is_refused);
    tcase_add_test(tests, a_new_policy_is_in_force_before_done);
    tcase_add_test(tests, what_has_long_expired_is_forgotten_in_quiet_moments);
    tcase_add_test(tests, no_worker_allows_what_another_was_told_is_revoked);
    TCase *signing = tcase_create("with a signer");
    tcase_set_timeout(signing, 100);
    tcase_add_checked_fixture(signing, open_with_signer, close_committer);
    tcase_add_test(signing, no_certificate_is_issued_under_a_policy_that_is_out_of_date);
    tcase_add_test(signing, a_certificate_is_signed_before_its_record_is_applied);
    tcase_add_test(signing, a_job_that_the_signer_refuses_fails_alone);
    tcase_add_test(signing, a_signer_that_is_gone_is_fatal_once_and_denials_go_on);
    Suite *suite = suite_create("fleet: committer");
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, signing);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

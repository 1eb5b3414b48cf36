/* concurrent */
/* Checkpoints of the audit log: when they are made, and that a store with them is whole. */
#include "server/base/encoding.h"
#include "server/crypto/x509.h"
#include "server/fleet/audit_checkpoint.h"
#include "server/fleet/committer.h"
#include "tests/unit/audit_fixture.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/signer_fixture.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES = 10, AGE_MS = 1000 };

static struct store_fixture f;
static struct signer *signer;
static struct audit_checkpoints checkpoints;
static struct detail detail;

static void open_store(void) {
    struct store_fixture keys;
    store_fixture_folder(&keys);
    signer = signer_fixture_start(keys.folder);
    store_fixture_remove(&keys);
    fault_vfs_register();
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    checkpoints =
        (struct audit_checkpoints){.signer = signer, .entries = ENTRIES, .age_ms = AGE_MS};
}

static void close_store(void) {
    fault_vfs_set(FAULT_NONE, 0, false);
    signer_free(signer);
    store_fixture_remove(&f);
}

static struct audit_row entry(void) {
    return (struct audit_row){.time_ms = 5, .actor = "system", .action = "x", .object = "y"};
}

static void append(unsigned num) {
    struct audit_row row = entry();
    store_fixture_begin(&f);
    for (unsigned i = 0; i < num; i++) {
        ck_assert_int_eq(audit_append(f.writer, &row, &detail), STATUS_OK);
    }
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
}

static int64_t tick(int64_t now_ms, bool force) {
    int64_t newest = 0, pruned = 0;
    ck_assert_int_eq(audit_checkpoint_tick(&checkpoints, f.writer, now_ms, force, &detail),
                     STATUS_OK);
    ck_assert_int_eq(store_audit_marks(f.reader, &newest, &pruned), STATUS_OK);
    return newest;
}

/* Exports the whole store, and holds it against the authority's certificate. */
static void verify_store(struct audit_verifier *v, unsigned limit) {
    struct certificate certificate;
    struct audit_authority authority;
    struct audit_page page = {.limit = limit, .max_bytes = 1 << 20};
    struct json_out o;
    ck_assert_int_eq(
        certificate_parse(&certificate, signer_authority(signer, PROFILE_IDENTITY), &detail),
        STATUS_OK);
    memcpy(authority.sha256, certificate.sha256, sizeof authority.sha256);
    authority.key = certificate.key;
    const struct audit_expectation expected = {
        .authority = &authority, .num_authorities = 1, .trust_domain = signer_trust_domain(signer)};
    json_out_init(&o, &f.arena, 0);
    do {
        ck_assert_int_eq(audit_export_page(&o, f.reader, &page), STATUS_OK);
    } while (page.num > 0);
    ck_assert_msg(audit_fixture_verify(v, &expected, json_out_end(&o)) == STATUS_OK, "%s: %s",
                  audit_fault_name(v->fault), v->fault_detail.text);
}

/* --- when --- */

START_TEST(an_empty_log_needs_no_checkpoint) {
    ck_assert_int_eq(tick(1, true), 0);
}
END_TEST

START_TEST(a_checkpoint_is_due_after_so_many_entries) {
    append(ENTRIES - 1);
    ck_assert_int_eq(tick(1, false), 0);
    append(1);
    ck_assert_int_eq(tick(2, false), ENTRIES);
    append(ENTRIES - 1);
    ck_assert_int_eq(tick(3, false), ENTRIES);
    append(5);
    ck_assert_int_eq(tick(4, false), 2 * ENTRIES + 4);
    struct audit_verifier v;
    verify_store(&v, 3);
    ck_assert_int_eq(v.summary.checkpoints_verified, 2);
}
END_TEST

START_TEST(a_checkpoint_is_due_so_long_after_an_entry) {
    append(1);
    ck_assert_int_eq(tick(5000, false), 0);
    ck_assert_int_eq(tick(5000 + AGE_MS - 1, false), 0);
    ck_assert_int_eq(tick(5000 + AGE_MS, false), 1);
    ck_assert_int_eq(tick(99000, false), 1); /* nothing new, however late it is */
    append(1);
    ck_assert_int_eq(tick(100000, false), 1);
    ck_assert_int_eq(tick(100000 + AGE_MS, false), 2);
}
END_TEST

START_TEST(a_forced_checkpoint_covers_everything) {
    append(1);
    ck_assert_int_eq(tick(1, true), 1);
    ck_assert_int_eq(tick(1, true), 1);
}
END_TEST

START_TEST(without_a_signer_there_are_no_checkpoints) {
    checkpoints.signer = NULL;
    append(ENTRIES);
    ck_assert_int_eq(tick(1, true), 0);
}
END_TEST

/* --- what goes wrong --- */

START_TEST(a_checkpoint_that_cannot_be_stored_is_made_later) {
    append(ENTRIES);
    fault_vfs_set(FAULT_SYNC, 1, true);
    ck_assert_int_eq(audit_checkpoint_tick(&checkpoints, f.writer, 1, false, &detail),
                     STATUS_STORAGE);
    fault_vfs_set(FAULT_NONE, 0, false);
    ck_assert_int_eq(tick(2, false), 0); /* not at once again */
    ck_assert_int_eq(tick(10000, false), ENTRIES);
}
END_TEST

START_TEST(a_log_that_went_back_gets_no_checkpoint_and_the_gateway_goes_on) {
    struct checkpoint_job job = {.seq = 100};
    ck_assert_int_eq(signer_checkpoint(signer, &job, &detail), STATUS_OK);
    append(ENTRIES);
    ck_assert_int_eq(tick(1, false), 0);
    ck_assert_int_eq(tick(1, true), 0);
    append(100);
    ck_assert_int_eq(tick(2, false), 0); /* not before the pause is over */
    ck_assert_int_eq(tick(2 + AGE_MS, false), 100 + ENTRIES);
}
END_TEST

START_TEST(a_signer_that_is_gone_is_said_so) {
    append(ENTRIES);
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    ck_assert_int_eq(audit_checkpoint_tick(&checkpoints, f.writer, 1, false, &detail),
                     STATUS_INTERNAL);
    ck_assert_ptr_nonnull(strstr(detail.text, "signer is gone"));
}
END_TEST

/* --- pruning --- */

START_TEST(a_log_is_pruned_up_to_a_checkpoint_only) {
    append(5);
    ck_assert_int_eq(store_fixture_write(&f, store_audit_prune(f.writer, 5, 1)), STATUS_CONFLICT);
    ck_assert_int_eq(tick(1, true), 5);
    append(5);
    ck_assert_int_eq(tick(1, true), 10);
    append(1);
    static const int64_t refused[] = {0, -1, 4, 6, 11, INT64_MAX};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        ck_assert_int_eq(store_fixture_write(&f, store_audit_prune(f.writer, refused[i], 1)),
                         STATUS_CONFLICT);
    }
    ck_assert_int_eq(store_fixture_write(&f, store_audit_prune(f.writer, 10, 1)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_audit_prune(f.writer, 10, 1)), STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_audit_prune(f.writer, 5, 1)), STATUS_CONFLICT);
}
END_TEST

START_TEST(what_is_pruned_goes_a_little_at_a_time_and_the_rest_is_whole_meanwhile) {
    struct audit_verifier v;
    append(25);
    ck_assert_int_eq(tick(1, true), 25);
    append(25);
    ck_assert_int_eq(tick(1, true), 50);
    append(3);
    ck_assert_int_eq(store_fixture_write(&f, store_audit_prune(f.writer, 50, 1)), STATUS_OK);
    enum status status = STATUS_LIMIT;
    unsigned rounds = 0;
    for (; status == STATUS_LIMIT; rounds++) {
        verify_store(&v, 2);
        ck_assert_int_eq(v.summary.beginning, AUDIT_FROM_CHECKPOINT);
        ck_assert_int_eq(v.summary.first_seq, 51);
        ck_assert_int_eq(v.summary.entries, 3);
        store_fixture_begin(&f);
        status = store_audit_forget(f.writer, 10);
        ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    }
    ck_assert_int_eq(status, STATUS_OK);
    ck_assert_uint_eq(rounds, 6);
    verify_store(&v, 2);
    struct audit_checkpoint_row *rows;
    size_t num;
    ck_assert_int_eq(store_audit_checkpoint_list(f.reader, &f.arena, &rows, &num, 0, 10),
                     STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_int_eq(rows[0].seq, 50);
    append(1);
    ck_assert_int_eq(tick(1, true), 54);
    verify_store(&v, 100);
    ck_assert_int_eq(v.summary.last_seq, 54);
}
END_TEST

START_TEST(nothing_is_forgotten_that_was_not_pruned) {
    append(5);
    ck_assert_int_eq(tick(1, true), 5);
    store_fixture_begin(&f);
    ck_assert_int_eq(store_audit_forget(f.writer, 10), STATUS_OK);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    struct audit_verifier v;
    verify_store(&v, 10);
    ck_assert_int_eq(v.summary.beginning, AUDIT_FROM_FIRST);
    ck_assert_int_eq(v.summary.entries, 5);
}
END_TEST

/* --- the committer --- */

struct task {
    struct commit commit; /* first */
    unsigned busy_times;  /* how often apply says STORAGE after it wrote */
    _Atomic int done;
};

static enum status apply_entry(struct commit *commit, struct store_writer *writer,
                               struct detail *why) {
    struct task *t = (struct task *)commit;
    struct audit_row row = entry();
    enum status status = audit_append(writer, &row, why);
    if (status == STATUS_OK && t->busy_times > 0) {
        t->busy_times--;
        status = STATUS_STORAGE;
    }
    return status;
}

static void entry_done(struct commit *commit) {
    atomic_store(&((struct task *)commit)->done, 1);
}

static const struct commit_kind append_kind = {
    .name = "append", .apply = apply_entry, .done = entry_done};

struct running {
    struct fleet_table *table;
    struct policy_holder *policy;
    struct committer *committer;
};

static void start_committer(struct running *r) {
    fleet_thread_enter();
    store_writer_free(f.writer);
    f.writer = NULL;
    ck_assert_int_eq(fleet_table_new(&r->table), STATUS_OK);
    ck_assert_int_eq(policy_holder_new(&r->policy), STATUS_OK);
    ck_assert_int_eq(policy_reload(r->policy, f.reader, &detail), STATUS_OK);
    const struct committer_options options = {.store = f.store,
                                              .signer = signer,
                                              .table = r->table,
                                              .policy = r->policy,
                                              .checkpoint_entries = ENTRIES,
                                              .checkpoint_ms = 3600000};
    ck_assert_int_eq(committer_start(&r->committer, &options, &detail), STATUS_OK);
}

static void stop_committer(struct running *r) {
    committer_stop(r->committer);
    policy_holder_free(r->policy);
    fleet_table_free(r->table);
    fleet_thread_leave();
}

static void run_tasks(const struct running *r, struct task *t, unsigned num) {
    for (unsigned i = 0; i < num; i++) {
        t[i].commit.kind = &append_kind;
        ck_assert_int_eq(committer_submit(r->committer, &t[i].commit), STATUS_OK);
    }
    for (unsigned i = 0; i < num; i++) {
        while (atomic_load(&t[i].done) == 0) {
            (void)usleep(500);
        }
        ck_assert_int_eq(t[i].commit.status, STATUS_OK);
    }
}

START_TEST(the_committer_makes_checkpoints_while_it_runs_and_when_it_stops) {
    struct running r;
    struct task t[ENTRIES] = {0}, last[1] = {0};
    struct audit_verifier v;
    int64_t newest = 0, pruned = 0;
    start_committer(&r);
    run_tasks(&r, t, ENTRIES);
    while (newest < ENTRIES) {
        ck_assert_int_eq(store_audit_marks(f.reader, &newest, &pruned), STATUS_OK);
        (void)usleep(500);
    }
    run_tasks(&r, last, 1);
    stop_committer(&r);
    verify_store(&v, 100);
    ck_assert_int_eq(v.summary.entries, ENTRIES + 1);
    ck_assert_int_eq(v.summary.last_checkpoint_seq, ENTRIES + 1);
}
END_TEST

START_TEST(a_batch_that_is_tried_again_leaves_one_entry_each) {
    struct running r;
    struct task t[6] = {{.busy_times = 0}, {.busy_times = 2}, {.busy_times = 1}};
    struct audit_verifier v;
    start_committer(&r);
    run_tasks(&r, t, 6);
    stop_committer(&r);
    verify_store(&v, 100);
    ck_assert_int_eq(v.summary.entries, 6);
}
END_TEST

/* In the table itself: those that were pruned and are still there are not read. */
static int64_t count_entries(void) {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM audit", -1, &stmt, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t num = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return num;
}

START_TEST(the_committer_forgets_what_was_pruned) {
    struct running r;
    struct task t[ENTRIES] = {0};
    struct audit_row *rows;
    size_t num = 1;
    append(2500);
    ck_assert_int_eq(tick(1, true), 2500);
    append(1);
    ck_assert_int_eq(store_fixture_write(&f, store_audit_prune(f.writer, 2500, 1)), STATUS_OK);
    start_committer(&r);
    run_tasks(&r, t, ENTRIES);
    while (count_entries() > ENTRIES + 1) {
        (void)usleep(500);
    }
    stop_committer(&r);
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 0, 10), STATUS_OK);
    ck_assert_int_eq(rows[0].seq, 2501);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("audit checkpoints");
    tcase_add_checked_fixture(tests, open_store, close_store);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_empty_log_needs_no_checkpoint);
    tcase_add_test(tests, a_checkpoint_is_due_after_so_many_entries);
    tcase_add_test(tests, a_checkpoint_is_due_so_long_after_an_entry);
    tcase_add_test(tests, a_forced_checkpoint_covers_everything);
    tcase_add_test(tests, without_a_signer_there_are_no_checkpoints);
    tcase_add_test(tests, a_checkpoint_that_cannot_be_stored_is_made_later);
    tcase_add_test(tests, a_log_that_went_back_gets_no_checkpoint_and_the_gateway_goes_on);
    tcase_add_test(tests, a_signer_that_is_gone_is_said_so);
    tcase_add_test(tests, a_log_is_pruned_up_to_a_checkpoint_only);
    tcase_add_test(tests, what_is_pruned_goes_a_little_at_a_time_and_the_rest_is_whole_meanwhile);
    tcase_add_test(tests, nothing_is_forgotten_that_was_not_pruned);
    tcase_add_test(tests, the_committer_makes_checkpoints_while_it_runs_and_when_it_stops);
    tcase_add_test(tests, a_batch_that_is_tried_again_leaves_one_entry_each);
    tcase_add_test(tests, the_committer_forgets_what_was_pruned);
    Suite *suite = suite_create("audit checkpoints");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* concurrent */
/* The fleet held against a changed policy: nothing wrong comes of a race, a restart, a full disk or
 * damage. */
#include "server/base/clock.h"
#include "server/crypto/random.h"
#include "server/fleet/reappraisal_commit.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/rejudge_fixture.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OLD, NEW }; /* baselines: OLD admits state 0 alone, NEW states 1 and 2 */
static struct rig rig;
static char job[STORE_ID];

static void open_rig(void) {
    rig_open(&rig);
}

static void close_rig(void) {
    rig_close(&rig);
}

/* Device 0 and 2 booted what OLD admits, device 1 what NEW does. */
static void add_three(void) {
    rig_baseline(&rig, OLD, 1u << 0, BASELINE_ACTIVE);
    rig_baseline(&rig, NEW, 1u << 1 | 1u << 2, BASELINE_ACTIVE);
    rig_device(&rig, 0, 0, OLD);
    rig_device(&rig, 1, 1, NEW);
    rig_device(&rig, 2, 0, OLD);
}

static void serve(void) {
    rig_serve(&rig);
    rig_reappraise(&rig, 0, 0);
}

static int64_t count_valid(unsigned n) {
    struct credential_row *rows;
    size_t num;
    struct credential_filter filter = {.valid_at = clock_unix()};
    sample_id(filter.device_id, 'd', n);
    ck_assert_int_eq(store_credential_list(rig.f.reader, &rig.f.arena, &rows, &num, &filter,
                                           (struct store_page){"", 10}),
                     STATUS_OK);
    return (int64_t)num;
}

static void check_decision(unsigned n, bool allow, enum decision_reason reason) {
    struct decision decision = rig_decide(&rig, n);
    ck_assert_msg(decision.allow == allow && decision.reason == reason, "device %u: %s, %s", n,
                  decision.allow ? "allow" : "deny", decision_reason_name(decision.reason));
}

static void run_sql(const char *sql) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(rig.f.path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_busy_timeout(db, 5000), SQLITE_OK);
    char *error = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &error);
    ck_assert_msg(rc == SQLITE_OK, "%s: %s", sql, error == NULL ? "" : error);
    (void)sqlite3_close(db);
}

static size_t count_audit(const char *action) {
    struct audit_row *rows;
    size_t num;
    int64_t next;
    const struct audit_filter filter = {
        .actor = "", .action = action, .object = "", .limit = 1000, .scan = 100000};
    ck_assert_int_eq(store_audit_find(rig.f.reader, &rig.f.arena, &rows, &num, &next, &filter),
                     STATUS_OK);
    return num;
}

/* --- enforce now --- */

START_TEST(device_that_a_revoked_baseline_admitted_is_denied_at_once) {
    add_three();
    serve();
    check_decision(0, true, REASON_TRUSTED);
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.state, REAPPRAISAL_DONE);
    ck_assert_int_eq(row.counts.judged, 3);
    ck_assert_int_eq(row.counts.changed, 2);
    ck_assert_int_eq(row.counts.now_untrusted, 2);
    ck_assert_int_eq(row.counts.credentials_revoked, 2);
    ck_assert_int_ne(row.started, 0);
    ck_assert_int_ne(row.ended, 0);
    check_decision(0, false, REASON_UNTRUSTED);
    check_decision(2, false, REASON_UNTRUSTED);
    check_decision(1, true, REASON_TRUSTED);
    ck_assert_int_eq(count_valid(0), 0);
    ck_assert_int_eq(count_valid(1), 1);
    ck_assert_int_eq(rig_get(&rig, 0).verdict, VERDICT_UNTRUSTED);
}
END_TEST

START_TEST(what_was_found_is_an_appraisal_of_its_own) {
    struct appraisal_row found;
    struct device_reappraisal_row about;
    add_three();
    serve();
    struct device_row before = rig_get(&rig, 0);
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    (void)rig_wait(&rig, job);
    struct device_row after = rig_get(&rig, 0);
    ck_assert_str_ne(after.appraisal_id, before.appraisal_id);
    ck_assert_int_eq(after.last_seen, before.last_seen);
    ck_assert_int_eq(store_appraisal_get(rig.f.reader, &rig.f.arena, &found, after.appraisal_id),
                     STATUS_OK);
    ck_assert_str_eq(found.reappraisal_id, job);
    ck_assert_int_eq(found.verdict, VERDICT_UNTRUSTED);
    ck_assert_ptr_nonnull(memmem(found.findings.data, found.findings.len, "pcr_mismatch", 12));
    ck_assert(!bytes_all(bytes_of(found.boot_state, 32), 0));
    ck_assert_int_eq(store_device_reappraisal_get(rig.f.reader, &about, after.id), STATUS_OK);
    ck_assert_str_eq(about.job_id, job);
    ck_assert_uint_eq(count_audit("device.reappraise"), 2);
    ck_assert_uint_eq(count_audit("reappraisal.request"), 1);
    ck_assert_uint_eq(count_audit("reappraisal.finish"), 1);
}
END_TEST

START_TEST(what_changes_nothing_leaves_no_trace_but_the_job) {
    add_three();
    rig_baseline(&rig, 5, 1u << 9, BASELINE_ACTIVE);
    serve();
    rig_change(&rig, 5, BASELINE_REVOKED, ENFORCE_NOW, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.judged, 3);
    ck_assert_int_eq(row.counts.changed, 0);
    ck_assert_uint_eq(count_audit("device.reappraise"), 0);
    check_decision(0, true, REASON_TRUSTED);
}
END_TEST

START_TEST(device_that_another_baseline_admits_keeps_its_credential) {
    struct appraisal_row found;
    rig_baseline(&rig, OLD, 1u << 0, BASELINE_ACTIVE);
    rig_baseline(&rig, NEW, 1u << 0 | 1u << 1, BASELINE_ACTIVE);
    rig_device(&rig, 0, 0, OLD);
    serve();
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.changed, 1);
    ck_assert_int_eq(row.counts.now_untrusted, 0);
    ck_assert_int_eq(row.counts.credentials_revoked, 0);
    check_decision(0, true, REASON_TRUSTED);
    ck_assert_int_eq(
        store_appraisal_get(rig.f.reader, &rig.f.arena, &found, rig_get(&rig, 0).appraisal_id),
        STATUS_OK);
    char id[STORE_ID];
    sample_id(id, 'b', NEW);
    ck_assert_str_eq(found.baseline_id, id);
    ck_assert_uint_eq(count_audit("device.reappraise"), 0);
}
END_TEST

START_TEST(many_windows_and_batches_reach_every_device) {
    enum { NUM = 57 };
    rig_baseline(&rig, OLD, 1u << 0 | 1u << 1, BASELINE_ACTIVE);
    rig_baseline(&rig, NEW, 1u << 2, BASELINE_ACTIVE);
    for (unsigned i = 0; i < NUM; i++) {
        rig_device(&rig, i, i % 3, i % 3 == 2 ? NEW : OLD);
    }
    rig_serve(&rig);
    rig_reappraise(&rig, 10, 4);
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.judged, NUM);
    ck_assert_int_eq(row.counts.now_untrusted, 38);
    for (unsigned i = 0; i < NUM; i++) {
        check_decision(i, i % 3 == 2, i % 3 == 2 ? REASON_TRUSTED : REASON_UNTRUSTED);
    }
}
END_TEST

/* --- enforce lease --- */

START_TEST(with_lease_a_device_keeps_what_it_has_and_what_was_found_is_shown) {
    struct device_reappraisal_row about;
    add_three();
    serve();
    struct device_row before = rig_get(&rig, 0);
    rig_change(&rig, OLD, BASELINE_RETIRED, ENFORCE_LEASE, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.now_untrusted, 2);
    ck_assert_int_eq(row.counts.credentials_revoked, 0);
    check_decision(0, true, REASON_TRUSTED);
    ck_assert_int_eq(count_valid(0), 1);
    struct device_row after = rig_get(&rig, 0);
    ck_assert_int_eq(after.verdict, VERDICT_TRUSTED);
    ck_assert_str_eq(after.appraisal_id, before.appraisal_id);
    ck_assert_int_eq(store_device_reappraisal_get(rig.f.reader, &about, after.id), STATUS_OK);
    ck_assert_int_eq(about.verdict, VERDICT_UNTRUSTED);
    ck_assert_str_eq(about.of_appraisal_id, before.appraisal_id);
}
END_TEST

START_TEST(what_was_found_with_lease_is_not_found_again_but_enforced_when_asked) {
    add_three();
    serve();
    rig_change(&rig, OLD, BASELINE_RETIRED, ENFORCE_LEASE, job);
    (void)rig_wait(&rig, job);
    rig_change(&rig, OLD, BASELINE_RETIRED, ENFORCE_LEASE, job);
    ck_assert_int_eq(rig_wait(&rig, job).counts.changed, 0);
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.now_untrusted, 2);
    ck_assert_int_eq(row.counts.credentials_revoked, 2);
    check_decision(0, false, REASON_UNTRUSTED);
}
END_TEST

START_TEST(what_was_found_with_lease_is_taken_back_when_the_policy_is) {
    struct device_reappraisal_row about;
    add_three();
    serve();
    rig_change(&rig, OLD, BASELINE_RETIRED, ENFORCE_LEASE, job);
    (void)rig_wait(&rig, job);
    rig_change(&rig, OLD, BASELINE_ACTIVE, ENFORCE_LEASE, job);
    ck_assert_int_eq(rig_wait(&rig, job).counts.changed, 2);
    char id[STORE_ID];
    sample_id(id, 'd', 0);
    ck_assert_int_eq(store_device_reappraisal_get(rig.f.reader, &about, id), STATUS_OK);
    ck_assert_int_eq(about.verdict, VERDICT_TRUSTED);
    check_decision(0, true, REASON_TRUSTED);
}
END_TEST

START_TEST(what_was_found_is_forgotten_with_the_next_evidence) {
    struct device_reappraisal_row about;
    char id[STORE_ID];
    add_three();
    serve();
    rig_change(&rig, OLD, BASELINE_RETIRED, ENFORCE_LEASE, job);
    (void)rig_wait(&rig, job);
    rig_stop_serving(&rig);
    rig_evidence(&rig, 0, 1, NEW, VERDICT_TRUSTED);
    sample_id(id, 'd', 0);
    ck_assert_int_eq(store_device_reappraisal_get(rig.f.reader, &about, id), STATUS_NOT_FOUND);
    sample_id(id, 'd', 2);
    ck_assert_int_eq(store_device_reappraisal_get(rig.f.reader, &about, id), STATUS_OK);
}
END_TEST

/* --- trusted again --- */

START_TEST(device_that_passes_again_is_trusted_and_has_no_credential_until_it_attests) {
    add_three();
    rig_baseline(&rig, 5, 1u << 0, BASELINE_APPROVED);
    serve();
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    (void)rig_wait(&rig, job);
    rig_change(&rig, 5, BASELINE_ACTIVE, ENFORCE_LEASE, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.now_trusted, 2);
    ck_assert_int_eq(rig_get(&rig, 0).verdict, VERDICT_TRUSTED);
    ck_assert_int_eq(rig_get(&rig, 0).tier, TIER_MEASURED);
    struct decision decision = rig_decide(&rig, 0);
    ck_assert(!decision.allow);
    ck_assert_int_eq(decision.reason, REASON_CREDENTIAL_REVOKED);
    ck_assert_int_eq(count_valid(0), 0);
}
END_TEST

START_TEST(quarantined_device_is_judged_and_stays_denied) {
    add_three();
    struct device_row device = rig_get(&rig, 0);
    device.state = DEVICE_QUARANTINED;
    ck_assert_int_eq(store_fixture_write(&rig.f, store_device_update(rig.f.writer, &device)),
                     STATUS_OK);
    serve();
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    ck_assert_int_eq(rig_wait(&rig, job).counts.now_untrusted, 2);
    check_decision(0, false, REASON_QUARANTINED);
    ck_assert_int_eq(rig_get(&rig, 0).state, DEVICE_QUARANTINED);
}
END_TEST

START_TEST(retired_device_and_one_that_was_never_appraised_are_not_judged) {
    add_three();
    struct device_row device = rig_get(&rig, 0), fresh = sample_device(RIG_MODEL, 9);
    device.state = DEVICE_RETIRED;
    ck_assert_int_eq(store_fixture_write(&rig.f, store_device_update(rig.f.writer, &device)),
                     STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&rig.f, store_device_insert(rig.f.writer, &fresh)),
                     STATUS_OK);
    serve();
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    ck_assert_int_eq(rig_wait(&rig, job).counts.judged, 2);
    ck_assert_int_eq(rig_get(&rig, 9).verdict, VERDICT_UNKNOWN);
}
END_TEST

/* --- without facts, and with damaged ones --- */

START_TEST(device_without_facts_falls_with_the_baseline_that_admitted_it) {
    rig_baseline(&rig, OLD, 1u << 0, BASELINE_ACTIVE);
    rig_baseline(&rig, NEW, 1u << 1, BASELINE_ACTIVE);
    rig_device(&rig, 0, RIG_NO_FACTS, OLD);
    rig_device(&rig, 1, RIG_NO_FACTS, NEW);
    serve();
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.without_facts, 2);
    ck_assert_int_eq(row.counts.now_untrusted, 1);
    check_decision(0, false, REASON_UNTRUSTED);
    check_decision(1, true, REASON_TRUSTED);
}
END_TEST

START_TEST(damage_in_a_kept_boot_state_denies_nothing) {
    add_three();
    run_sql("UPDATE boot_state SET form = x'00'");
    serve();
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.state, REAPPRAISAL_DONE);
    ck_assert_int_eq(row.counts.damaged, 3);
    ck_assert_int_eq(row.counts.changed, 0);
    check_decision(0, true, REASON_TRUSTED);
    ck_assert_int_eq(count_valid(0), 1);
}
END_TEST

START_TEST(kept_log_that_cannot_be_read_denies_nothing) {
    add_three();
    run_sql("UPDATE boot_state SET log = 77");
    serve();
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.damaged, 3);
    ck_assert_int_eq(row.counts.now_untrusted, 0);
    check_decision(0, true, REASON_TRUSTED);
}
END_TEST

/* --- going on --- */

static void put_job(const char *cursor, enum reappraisal_state state) {
    struct reappraisal_row row = {.enforce = ENFORCE_NOW,
                                  .state = state,
                                  .model = RIG_MODEL,
                                  .cause = "test",
                                  .requested_by = "system",
                                  .cursor_model = RIG_MODEL,
                                  .created = clock_unix(),
                                  .counts = {.judged = 1}};
    id_new(row.id, clock_unix_ms());
    memcpy(job, row.id, sizeof job);
    (void)snprintf(row.cursor, sizeof row.cursor, "%s", cursor);
    ck_assert_int_eq(store_fixture_write(&rig.f, store_reappraisal_insert(rig.f.writer, &row)),
                     STATUS_OK);
}

START_TEST(job_goes_on_from_its_cursor_after_a_restart) {
    char first[STORE_ID];
    rig_baseline(&rig, OLD, 1u << 0, BASELINE_REVOKED);
    rig_device(&rig, 0, 0, OLD);
    rig_device(&rig, 1, 0, OLD);
    rig_device(&rig, 2, 0, OLD);
    sample_id(first, 'd', 0);
    put_job(first, REAPPRAISAL_RUNNING);
    serve();
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.judged, 3);
    ck_assert_int_eq(row.counts.now_untrusted, 2);
    check_decision(0, true, REASON_TRUSTED);
    check_decision(1, false, REASON_UNTRUSTED);
}
END_TEST

START_TEST(job_that_is_stopped_anywhere_ends_once_the_gateway_is_back) {
    enum { NUM = 40 };
    rig_baseline(&rig, OLD, 1u << 0, BASELINE_ACTIVE);
    for (unsigned i = 0; i < NUM; i++) {
        rig_device(&rig, i, 0, OLD);
    }
    rig_serve(&rig);
    rig_reappraise(&rig, 2, 1);
    rig_change(&rig, OLD, BASELINE_REVOKED, ENFORCE_NOW, job);
    rig_stop_serving(&rig);
    for (unsigned i = 0; i < 3; i++) { /* again and again, wherever it is */
        rig_serve(&rig);
        rig_reappraise(&rig, 2, 1);
        rig_stop_serving(&rig);
    }
    serve();
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.judged, NUM);
    ck_assert_int_eq(row.counts.now_untrusted, NUM);
    ck_assert_int_eq(row.counts.credentials_revoked, NUM);
    ck_assert_uint_eq(count_audit("device.reappraise"), NUM);
    for (unsigned i = 0; i < NUM; i++) {
        check_decision(i, false, REASON_UNTRUSTED);
    }
}
END_TEST

START_TEST(cancelled_job_is_not_gone_on_with) {
    rig_baseline(&rig, OLD, 1u << 0, BASELINE_REVOKED);
    rig_device(&rig, 0, 0, OLD);
    put_job("", REAPPRAISAL_CANCELLED);
    char cancelled[STORE_ID];
    memcpy(cancelled, job, sizeof cancelled);
    struct reappraisal_row next;
    ck_assert_int_eq(store_reappraisal_next(rig.f.reader, &next), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_reappraisal_get(rig.f.reader, &next, cancelled), STATUS_OK);
    next.state = REAPPRAISAL_RUNNING;
    ck_assert_int_eq(store_fixture_write(&rig.f, store_reappraisal_update(rig.f.writer, &next)),
                     STATUS_CONFLICT);
}
END_TEST

START_TEST(what_is_to_be_enforced_now_goes_before_what_waits_for_leases) {
    struct reappraisal_row row = {.state = REAPPRAISAL_QUEUED, .cause = "test", .created = 100};
    struct reappraisal_row next;
    static const enum enforcement order[] = {ENFORCE_LEASE, ENFORCE_NOW, ENFORCE_NOW};
    for (unsigned i = 0; i < 3; i++) {
        sample_id(row.id, 'j', i);
        row.enforce = order[i];
        ck_assert_int_eq(store_fixture_write(&rig.f, store_reappraisal_insert(rig.f.writer, &row)),
                         STATUS_OK);
    }
    ck_assert_int_eq(store_reappraisal_next(rig.f.reader, &next), STATUS_OK);
    sample_id(row.id, 'j', 1);
    ck_assert_str_eq(next.id, row.id);
}
END_TEST

START_TEST(job_over_all_models_goes_through_each) {
    rig_baseline(&rig, OLD, 1u << 0, BASELINE_REVOKED);
    rig_device(&rig, 0, 0, OLD);
    struct model_row model = sample_model("another");
    ck_assert_int_eq(store_fixture_write(&rig.f, store_model_insert(rig.f.writer, &model)),
                     STATUS_OK);
    struct reappraisal_row row = {
        .state = REAPPRAISAL_QUEUED, .cause = "test", .enforce = ENFORCE_NOW, .created = 100};
    sample_id(row.id, 'j', 0);
    memcpy(job, row.id, sizeof job);
    ck_assert_int_eq(store_fixture_write(&rig.f, store_reappraisal_insert(rig.f.writer, &row)),
                     STATUS_OK);
    serve();
    row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.judged, 1);
    ck_assert_int_eq(row.counts.now_untrusted, 1);
    ck_assert_str_eq(row.cursor_model, RIG_MODEL);
}
END_TEST

/* --- what comes in between --- */

/* A batch that finds device 0 untrusted, as judged with the policy of this generation. */
static void make_batch(struct reappraisal_batch *b, const char *of_appraisal_id,
                       uint64_t generation) {
    ck_assert_int_eq(reappraisal_batch_init(b, 4), STATUS_OK);
    b->committer = rig.committer;
    b->policy = rig.policy;
    b->generation = generation;
    b->now_ms = clock_unix_ms();
    ck_assert_int_eq(store_reappraisal_next(rig.f.reader, &b->job), STATUS_OK);
    b->job.state = REAPPRAISAL_RUNNING;
    struct reappraised *d = &b->device[b->num++];
    d->stands = d->audited = true;
    sample_id(d->row.device_id, 'd', 0);
    memcpy(d->row.job_id, b->job.id, sizeof d->row.job_id);
    (void)snprintf(d->row.of_appraisal_id, STORE_ID, "%s", of_appraisal_id);
    d->row.verdict = VERDICT_UNTRUSTED;
    id_new(d->row.appraisal_id, b->now_ms);
    d->was.verdict = VERDICT_TRUSTED;
    memcpy(d->appraisal.id, d->row.appraisal_id, STORE_ID);
    memcpy(d->appraisal.device_id, d->row.device_id, STORE_ID);
    (void)snprintf(d->appraisal.model, sizeof d->appraisal.model, RIG_MODEL);
    d->appraisal.verdict = VERDICT_UNTRUSTED;
    d->appraisal.findings = bytes_of_text("[]");
}

static uint64_t generation_now(void) {
    uint64_t generation = policy_generation(policy_read_begin(rig.policy));
    policy_read_end(rig.policy);
    return generation;
}

START_TEST(evidence_that_came_in_since_wins) {
    struct reappraisal_batch b;
    struct detail detail = {0};
    add_three();
    struct device_row judged = rig_get(&rig, 0);
    rig_evidence(&rig, 0, 1, NEW, VERDICT_TRUSTED);
    put_job("", REAPPRAISAL_QUEUED);
    rig_serve(&rig);
    make_batch(&b, judged.appraisal_id, generation_now());
    ck_assert_int_eq(reappraisal_batch_commit(&b, &detail), STATUS_OK);
    ck_assert_int_eq(b.after.counts.superseded, 1);
    ck_assert_int_eq(b.after.counts.changed, 0);
    check_decision(0, true, REASON_TRUSTED);
    ck_assert_int_eq(count_valid(0), 1);
    reappraisal_batch_cleanup(&b);
}
END_TEST

START_TEST(what_was_judged_with_another_policy_is_dropped) {
    struct reappraisal_batch b;
    struct detail detail = {0};
    add_three();
    put_job("", REAPPRAISAL_QUEUED);
    rig_serve(&rig);
    make_batch(&b, rig_get(&rig, 0).appraisal_id, generation_now() - 1);
    ck_assert_int_eq(reappraisal_batch_commit(&b, &detail), STATUS_CONFLICT);
    ck_assert(b.outdated);
    check_decision(0, true, REASON_TRUSTED);
    ck_assert_int_eq(store_reappraisal_next(rig.f.reader, &b.job), STATUS_OK);
    ck_assert_int_eq(b.job.state, REAPPRAISAL_QUEUED);
    reappraisal_batch_cleanup(&b);
}
END_TEST

START_TEST(batch_of_a_job_that_was_cancelled_changes_nothing) {
    struct reappraisal_batch b;
    struct detail detail = {0};
    add_three();
    put_job("", REAPPRAISAL_QUEUED);
    rig_serve(&rig);
    make_batch(&b, rig_get(&rig, 0).appraisal_id, generation_now());
    run_sql("UPDATE reappraisal SET state = 4");
    ck_assert_int_eq(reappraisal_batch_commit(&b, &detail), STATUS_CONFLICT);
    ck_assert(!b.outdated);
    check_decision(0, true, REASON_TRUSTED);
    ck_assert_int_eq(rig_get(&rig, 0).verdict, VERDICT_TRUSTED);
    reappraisal_batch_cleanup(&b);
}
END_TEST

START_TEST(failing_store_delays_a_job_and_gives_no_verdict) {
    struct reappraisals_counters counters = {0};
    add_three();
    serve();
    rig_change(&rig, 1, BASELINE_ACTIVE, ENFORCE_LEASE, job);
    (void)rig_wait(&rig, job);
    rig_stop_serving(&rig);
    struct device_row device = rig_get(&rig, 0);
    run_sql("UPDATE baseline SET state = 7 WHERE state = 4 AND activated = 200");
    put_job("", REAPPRAISAL_QUEUED);
    rig_serve(&rig);
    fault_vfs_set(FAULT_WRITE, 1, true);
    rig_reappraise(&rig, 0, 0);
    while (counters.retries == 0) {
        reappraisals_count(rig.reappraisals, &counters);
        (void)usleep(1000);
    }
    check_decision(0, true, REASON_TRUSTED);
    ck_assert_str_eq(rig_get(&rig, 0).appraisal_id, device.appraisal_id);
    fault_vfs_set(FAULT_NONE, 0, false);
    struct reappraisal_row row = rig_wait(&rig, job);
    ck_assert_int_eq(row.counts.now_untrusted, 2);
    ck_assert_int_eq(row.counts.damaged, 0);
    check_decision(0, false, REASON_UNTRUSTED);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reappraisal");
    TCase *t = tcase_create("reappraisal");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, open_rig, close_rig);
    tcase_add_test(t, device_that_a_revoked_baseline_admitted_is_denied_at_once);
    tcase_add_test(t, what_was_found_is_an_appraisal_of_its_own);
    tcase_add_test(t, what_changes_nothing_leaves_no_trace_but_the_job);
    tcase_add_test(t, device_that_another_baseline_admits_keeps_its_credential);
    tcase_add_test(t, many_windows_and_batches_reach_every_device);
    tcase_add_test(t, with_lease_a_device_keeps_what_it_has_and_what_was_found_is_shown);
    tcase_add_test(t, what_was_found_with_lease_is_not_found_again_but_enforced_when_asked);
    tcase_add_test(t, what_was_found_with_lease_is_taken_back_when_the_policy_is);
    tcase_add_test(t, what_was_found_is_forgotten_with_the_next_evidence);
    tcase_add_test(t, device_that_passes_again_is_trusted_and_has_no_credential_until_it_attests);
    tcase_add_test(t, quarantined_device_is_judged_and_stays_denied);
    tcase_add_test(t, retired_device_and_one_that_was_never_appraised_are_not_judged);
    tcase_add_test(t, device_without_facts_falls_with_the_baseline_that_admitted_it);
    tcase_add_test(t, damage_in_a_kept_boot_state_denies_nothing);
    tcase_add_test(t, kept_log_that_cannot_be_read_denies_nothing);
    tcase_add_test(t, job_goes_on_from_its_cursor_after_a_restart);
    tcase_add_test(t, job_that_is_stopped_anywhere_ends_once_the_gateway_is_back);
    tcase_add_test(t, cancelled_job_is_not_gone_on_with);
    tcase_add_test(t, what_is_to_be_enforced_now_goes_before_what_waits_for_leases);
    tcase_add_test(t, job_over_all_models_goes_through_each);
    tcase_add_test(t, evidence_that_came_in_since_wins);
    tcase_add_test(t, what_was_judged_with_another_policy_is_dropped);
    tcase_add_test(t, batch_of_a_job_that_was_cancelled_changes_nothing);
    tcase_add_test(t, failing_store_delays_a_job_and_gives_no_verdict);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

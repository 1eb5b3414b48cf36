/* Rollouts: who is in which ring, what is counted, and what happens by itself; under a clock that the
 * test sets. */
#include "server/crypto/digest.h"
#include "server/fleet/baseline_due.h"
#include "server/fleet/policy.h"
#include "server/fleet/rollout.h"
#include "server/fleet/table.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES = 2000 };

static struct store_fixture f;
static struct detail detail;
static char device[DEVICES][STORE_ID];

static void start(void) {
    fleet_thread_enter();
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct model_row edge = sample_model("edge");
    (void)strcpy(edge.pcr_selection, "sha256:0,7");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &edge)), STATUS_OK);
    for (unsigned i = 0; i < DEVICES; i++) {
        sample_id(device[i], 'd', i);
    }
}

static void stop(void) {
    store_fixture_remove(&f);
    fleet_thread_leave();
}

static void put_baseline(unsigned n, enum baseline_state state, const char *replaces) {
    static char document[64][256], other[1][STORE_ID];
    struct baseline_row row = sample_baseline("edge", n, state);
    (void)snprintf(document[n % 64], sizeof document[0],
                   "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"edge\",\"label\":\"%u\","
                   "\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"%064u\"]}}",
                   n, n);
    row.document = bytes_of_text(document[n % 64]);
    digest_compute(HASH_SHA256, row.document, row.document_sha256);
    if (replaces != NULL) {
        (void)snprintf(other[0], sizeof other[0], "%s", replaces);
        row.replaces = other;
        row.num_replaces = 1;
        row.replace_grace_s = 60;
    }
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)), STATUS_OK);
}

static const char *id_of(unsigned n) {
    static char id[4][STORE_ID];
    static unsigned next;
    char *out = id[next++ % 4];
    sample_id(out, 'b', n);
    return out;
}

static struct baseline_row baseline(unsigned n) {
    struct baseline_row row;
    ck_assert_int_eq(store_baseline_get(f.reader, &f.arena, &row, id_of(n)), STATUS_OK);
    return row;
}

/* Rings of 5, 25 and 100 %: at least 4 devices, a minute, at most 20 %. */
static struct rollout_row plan(unsigned n) {
    struct rollout_row row = {.state = ROLLOUT_RUNNING,
                              .percent = {5, 25, 100},
                              .num_rings = 3,
                              .opened = 1000,
                              .run = 1,
                              .max_failure_percent = 20,
                              .min_appraisals = 4,
                              .min_s = 60};
    (void)snprintf(row.baseline_id, sizeof row.baseline_id, "%s", id_of(n));
    return row;
}

static void put(const struct rollout_row *row) {
    ck_assert_int_eq(store_fixture_write(&f, store_rollout_put(f.writer, row)), STATUS_OK);
}

static struct rollout_row get(unsigned n) {
    struct rollout_row row;
    ck_assert_int_eq(store_rollout_get(f.reader, &f.arena, &row, id_of(n)), STATUS_OK);
    return row;
}

static void running(void) {
    put_baseline(1, BASELINE_ACTIVE, NULL);
    struct rollout_row row = plan(1);
    put(&row);
}

static void see(unsigned n, int64_t run, enum rollout_outcome outcome) {
    ck_assert_int_eq(
        store_fixture_write(&f, store_rollout_count(f.writer, id_of(1), run, device[n], outcome)),
        STATUS_OK);
}

static void see_some(int64_t run, unsigned passed, unsigned failed) {
    for (unsigned i = 0; i < passed + failed; i++) {
        see(i, run, i < passed ? ROLLOUT_PASSED : ROLLOUT_FAILED);
    }
}

static enum baseline_due due(int64_t now) {
    enum baseline_due did;
    detail = (struct detail){0};
    ck_assert_msg(baseline_due_step(f.writer, &did, now * 1000, &detail) == STATUS_OK, "%s",
                  detail.text);
    return did;
}

static void check_counts(int64_t appraised, int64_t failed) {
    ck_assert_int_eq(get(1).appraised, appraised);
    ck_assert_int_eq(get(1).failed, failed);
}

/* --- who is in a ring --- */

START_TEST(who_is_in_a_ring_is_in_every_later_one) {
    struct rollout_row row = plan(1);
    for (unsigned i = 0; i < DEVICES; i++) {
        bool before = false;
        for (row.ring = 0; row.ring < 3; row.ring++) {
            bool now = rollout_includes(&row, device[i]);
            ck_assert(now || !before);
            before = now;
        }
        ck_assert(before);
    }
}
END_TEST

START_TEST(a_ring_has_about_its_share_of_the_devices) {
    struct rollout_row row = plan(1);
    unsigned num = 0;
    row.ring = 1;
    for (unsigned i = 0; i < DEVICES; i++) {
        num += rollout_includes(&row, device[i]);
    }
    ck_assert_uint_gt(num, DEVICES / 5);
    ck_assert_uint_lt(num, DEVICES * 3 / 10);
}
END_TEST

START_TEST(other_baselines_begin_with_other_devices) {
    struct rollout_row one = plan(1), two = plan(2);
    unsigned both = 0, num = 0;
    for (unsigned i = 0; i < DEVICES; i++) {
        num += rollout_includes(&one, device[i]);
        both += rollout_includes(&one, device[i]) && rollout_includes(&two, device[i]);
    }
    ck_assert_uint_gt(num, 0);
    ck_assert_uint_lt(both, num / 2);
}
END_TEST

START_TEST(named_devices_alone_are_the_first_ring_and_stay_in_the_others) {
    struct rollout_row row = plan(1);
    row.percent[0] = 0;
    row.device = &device[7];
    row.num_devices = 3;
    for (unsigned i = 0; i < DEVICES; i++) {
        ck_assert_int_eq(rollout_includes(&row, device[i]), i >= 7 && i < 10);
    }
    row.ring = 1;
    for (unsigned i = 7; i < 10; i++) {
        ck_assert(rollout_includes(&row, device[i]));
    }
}
END_TEST

/* --- what is counted --- */

START_TEST(devices_count_and_not_their_attempts) {
    running();
    see(1, 1, ROLLOUT_PASSED);
    see(1, 1, ROLLOUT_PASSED);
    see(2, 1, ROLLOUT_FAILED);
    see(2, 1, ROLLOUT_FAILED);
    check_counts(2, 1);
}
END_TEST

START_TEST(a_device_counts_with_its_latest_appraisal) {
    running();
    see(1, 1, ROLLOUT_FAILED);
    check_counts(1, 1);
    see(1, 1, ROLLOUT_PASSED);
    check_counts(1, 0);
    see(1, 1, ROLLOUT_NEITHER);
    check_counts(0, 0);
    see(1, 1, ROLLOUT_FAILED);
    check_counts(1, 1);
}
END_TEST

START_TEST(what_another_baseline_trusts_does_not_count) {
    running();
    see(1, 1, ROLLOUT_NEITHER);
    check_counts(0, 0);
}
END_TEST

START_TEST(what_was_judged_before_the_ring_opened_does_not_count) {
    running();
    see(1, 0, ROLLOUT_FAILED);
    check_counts(0, 0);
}
END_TEST

START_TEST(a_halted_rollout_counts_nothing) {
    put_baseline(1, BASELINE_ACTIVE, NULL);
    struct rollout_row row = plan(1);
    row.state = ROLLOUT_HALTED;
    put(&row);
    see(1, 1, ROLLOUT_FAILED);
    check_counts(0, 0);
}
END_TEST

START_TEST(a_baseline_without_a_rollout_counts_nothing) {
    put_baseline(1, BASELINE_ACTIVE, NULL);
    see(1, 1, ROLLOUT_FAILED);
    struct rollout_row row;
    ck_assert_int_eq(store_rollout_get(f.reader, &f.arena, &row, id_of(1)), STATUS_NOT_FOUND);
}
END_TEST

/* --- what happens by itself --- */

START_TEST(a_ring_opens_when_enough_devices_passed_for_long_enough) {
    running();
    see_some(1, 3, 0);
    ck_assert_int_eq(due(5000), DUE_NOTHING); /* too few */
    see_some(1, 4, 0);
    ck_assert_int_eq(due(1059), DUE_NOTHING); /* too early */
    ck_assert_int_eq(due(1060), DUE_RING_OPENED);
    ck_assert_int_eq(get(1).ring, 1);
    ck_assert_int_eq(get(1).opened, 1060);
    check_counts(0, 0);
    ck_assert_int_eq(due(5000), DUE_NOTHING);
}
END_TEST

START_TEST(counters_of_a_ring_that_is_over_do_not_come_back) {
    running();
    see_some(1, 4, 0);
    ck_assert_int_eq(due(1060), DUE_RING_OPENED);
    see(0, 1, ROLLOUT_FAILED); /* was judged in the former ring */
    check_counts(0, 0);
    see(0, 2, ROLLOUT_PASSED);
    check_counts(1, 0);
}
END_TEST

START_TEST(failures_at_the_bound_halt_nothing) {
    running();
    see_some(1, 4, 1); /* 20 % of 5 */
    ck_assert_int_eq(due(1060), DUE_RING_OPENED);
}
END_TEST

START_TEST(failures_over_the_bound_halt_at_once) {
    running();
    see(0, 1, ROLLOUT_FAILED); /* 25 % of the 4 that are waited for */
    ck_assert_int_eq(due(1001), DUE_ROLLOUT_HALTED);
    ck_assert_int_eq(get(1).state, ROLLOUT_HALTED);
    ck_assert_int_eq(get(1).ring, 0);
    ck_assert_ptr_nonnull(strstr(get(1).reason, "1 of 1 devices failed"));
    ck_assert_int_eq(due(1000000), DUE_NOTHING);
}
END_TEST

START_TEST(failures_that_others_can_make_up_for_halt_nothing_yet) {
    put_baseline(1, BASELINE_ACTIVE, NULL);
    struct rollout_row row = plan(1);
    row.min_appraisals = 10;
    put(&row);
    see(0, 1, ROLLOUT_FAILED);
    see(1, 1, ROLLOUT_FAILED); /* 20 % of 10 */
    ck_assert_int_eq(due(5000), DUE_NOTHING);
    see(2, 1, ROLLOUT_FAILED);
    ck_assert_int_eq(due(5000), DUE_ROLLOUT_HALTED);
}
END_TEST

START_TEST(after_the_ring_of_all_it_is_complete_and_replaces) {
    put_baseline(2, BASELINE_ACTIVE, NULL);
    put_baseline(1, BASELINE_ACTIVE, id_of(2));
    struct rollout_row row = plan(1);
    put(&row);
    see_some(1, 4, 0);
    ck_assert_int_eq(due(2000), DUE_RING_OPENED);
    see_some(2, 4, 0);
    ck_assert_int_eq(due(3000), DUE_RING_OPENED);
    ck_assert_int_eq(baseline(2).state, BASELINE_ACTIVE);
    see_some(3, 4, 0);
    ck_assert_int_eq(due(4000), DUE_ROLLOUT_COMPLETE);
    ck_assert_int_eq(get(1).state, ROLLOUT_COMPLETE);
    ck_assert_int_eq(baseline(2).state, BASELINE_DEPRECATED);
    ck_assert_int_eq(baseline(2).grace_until, 4060);
    ck_assert_uint_eq(baseline(1).num_replaces, 0);
    ck_assert_uint_gt(baseline(1).document.len, 0);
    ck_assert_int_eq(due(4059), DUE_NOTHING);
    ck_assert_int_eq(due(4060), DUE_RETIRED);
}
END_TEST

START_TEST(named_devices_that_are_fewer_than_asked_for_suffice) {
    put_baseline(1, BASELINE_ACTIVE, NULL);
    struct rollout_row row = plan(1);
    row.percent[0] = 0;
    row.device = &device[0];
    row.num_devices = 2;
    put(&row);
    see(0, 1, ROLLOUT_PASSED);
    ck_assert_int_eq(due(5000), DUE_NOTHING);
    see(1, 1, ROLLOUT_PASSED);
    ck_assert_int_eq(due(5000), DUE_RING_OPENED);
    see(0, 2, ROLLOUT_PASSED);
    see(1, 2, ROLLOUT_PASSED);
    ck_assert_int_eq(due(9000), DUE_NOTHING); /* the percentage waits for 4 */
}
END_TEST

START_TEST(a_scheduled_activation_begins_the_rollout_and_replaces_nothing_yet) {
    put_baseline(2, BASELINE_ACTIVE, NULL);
    put_baseline(1, BASELINE_APPROVED, id_of(2));
    struct baseline_row row = baseline(1);
    row.activate_at = 1000;
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_update(f.writer, &row)), STATUS_OK);
    struct rollout_row rollout = plan(1);
    rollout.state = ROLLOUT_SCHEDULED;
    rollout.opened = rollout.run = 0;
    put(&rollout);
    ck_assert_int_eq(due(1500), DUE_ACTIVATED);
    ck_assert_int_eq(get(1).state, ROLLOUT_RUNNING);
    ck_assert_int_eq(get(1).opened, 1500);
    ck_assert_int_eq(baseline(2).state, BASELINE_ACTIVE);
    ck_assert_uint_eq(baseline(1).num_replaces, 1);
}
END_TEST

START_TEST(a_restart_keeps_ring_and_counters) {
    running();
    see_some(1, 4, 0);
    store_fixture_close(&f);
    store_fixture_open(&f, true);
    check_counts(4, 0);
    ck_assert_int_eq(due(2000), DUE_RING_OPENED);
}
END_TEST

START_TEST(a_clock_that_goes_back_opens_nothing) {
    running();
    see_some(1, 4, 0);
    ck_assert_int_eq(due(10), DUE_NOTHING);
    ck_assert_int_eq(get(1).ring, 0);
    ck_assert_int_eq(due(1060), DUE_RING_OPENED);
    ck_assert_int_eq(due(10), DUE_NOTHING);
    ck_assert_int_eq(get(1).ring, 1);
}
END_TEST

START_TEST(a_clock_that_jumps_ahead_opens_one_ring_alone) {
    running();
    see_some(1, 4, 0);
    ck_assert_int_eq(due(1000000000), DUE_RING_OPENED);
    ck_assert_int_eq(due(2000000000), DUE_NOTHING);
    ck_assert_int_eq(get(1).ring, 1);
}
END_TEST

START_TEST(each_action_is_audited_as_the_systems) {
    running();
    see_some(1, 4, 0);
    (void)due(2000);
    struct audit_row *rows;
    size_t num;
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 0, 10), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_str_eq(rows[0].actor, "system");
    ck_assert_str_eq(rows[0].action, "baseline.rollout_open");
    ck_assert_str_eq(rows[1].action, "reappraisal.request");
}
END_TEST

/* --- with the policy --- */

static size_t in_force(struct policy_holder *holder, const char *device_id, int64_t now) {
    const struct baseline *found[BASELINE_MAX_PER_MODEL];
    const char *id[BASELINE_MAX_PER_MODEL];
    const struct policy *policy = policy_read_begin(holder);
    size_t num = policy_baselines(policy_model(policy, "edge"), device_id, now, found, id);
    policy_read_end(holder);
    return num;
}

static const char *outside(const struct rollout_row *row) {
    unsigned i = 0;
    while (rollout_includes(row, device[i])) {
        i++;
    }
    return device[i];
}

static const char *inside(const struct rollout_row *row) {
    unsigned i = 0;
    while (!rollout_includes(row, device[i])) {
        i++;
    }
    return device[i];
}

START_TEST(a_baseline_counts_in_its_ring_alone_until_the_rollout_is_complete) {
    static const struct {
        enum rollout_state state;
        size_t outside;
    } cases[] = {
        {ROLLOUT_RUNNING, 0}, {ROLLOUT_HALTED, 0}, {ROLLOUT_ENDED, 0}, {ROLLOUT_COMPLETE, 1}};
    struct policy_holder *holder;
    ck_assert_int_eq(policy_holder_new(&holder), STATUS_OK);
    running();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rollout_row row = plan(1);
        row.state = cases[i].state;
        put(&row);
        row.state = ROLLOUT_RUNNING;
        ck_assert_int_eq(policy_reload(holder, f.reader, &detail), STATUS_OK);
        ck_assert_uint_eq(in_force(holder, inside(&row), 1000), 1);
        ck_assert_uint_eq(in_force(holder, outside(&row), 1000), cases[i].outside);
    }
    policy_holder_free(holder);
}
END_TEST

START_TEST(a_grace_ends_inside_the_ring_too) {
    struct policy_holder *holder;
    ck_assert_int_eq(policy_holder_new(&holder), STATUS_OK);
    running();
    struct baseline_row row = baseline(1);
    struct rollout_row rollout = plan(1);
    row.state = BASELINE_DEPRECATED;
    row.grace_until = 2000;
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(policy_reload(holder, f.reader, &detail), STATUS_OK);
    ck_assert_uint_eq(in_force(holder, inside(&rollout), 1999), 1);
    ck_assert_uint_eq(in_force(holder, outside(&rollout), 1999), 0);
    ck_assert_uint_eq(in_force(holder, inside(&rollout), 2000), 0);
    policy_holder_free(holder);
}
END_TEST

/* --- refused --- */

START_TEST(no_action_is_taken_in_a_wrong_state) {
    static const struct {
        enum rollout_state state;
        const char *allowed; /* of open, halt, resume, finish */
    } cases[] = {{ROLLOUT_SCHEDULED, "----"},
                 {ROLLOUT_RUNNING, "oh-f"},
                 {ROLLOUT_HALTED, "--rf"},
                 {ROLLOUT_COMPLETE, "----"},
                 {ROLLOUT_ENDED, "----"}};
    struct rollout_row row = plan(1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        row.state = cases[i].state;
        for (unsigned action = 0; action < 4; action++) {
            bool allowed = cases[i].allowed[action] != '-';
            ck_assert_int_eq(rollout_action_allowed((enum rollout_action)action, &row), allowed);
        }
    }
}
END_TEST

START_TEST(a_rollout_of_no_baseline_is_refused) {
    struct rollout_row row = plan(9);
    ck_assert_int_eq(store_fixture_write(&f, store_rollout_put(f.writer, &row)), STATUS_CONFLICT);
}
END_TEST

START_TEST(what_a_rollout_saw_is_forgotten_when_it_is_over) {
    running();
    see_some(1, 4, 0);
    ck_assert_int_eq(store_fixture_write(&f, store_rollout_forget(f.writer, 1)), STATUS_OK);
    struct rollout_row row = get(1);
    row.state = ROLLOUT_COMPLETE;
    put(&row);
    store_fixture_begin(&f);
    ck_assert_int_eq(store_rollout_forget(f.writer, 3), STATUS_LIMIT);
    ck_assert_int_eq(store_rollout_forget(f.writer, 3), STATUS_OK);
    ck_assert_int_eq(store_rollout_forget(f.writer, 1), STATUS_OK);
    ck_assert_int_eq(store_fixture_end(&f, STATUS_OK), STATUS_OK);
}
END_TEST

int main(void) {
    TCase *t = tcase_create("rollout");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, who_is_in_a_ring_is_in_every_later_one);
    tcase_add_test(t, a_ring_has_about_its_share_of_the_devices);
    tcase_add_test(t, other_baselines_begin_with_other_devices);
    tcase_add_test(t, named_devices_alone_are_the_first_ring_and_stay_in_the_others);
    tcase_add_test(t, devices_count_and_not_their_attempts);
    tcase_add_test(t, a_device_counts_with_its_latest_appraisal);
    tcase_add_test(t, what_another_baseline_trusts_does_not_count);
    tcase_add_test(t, what_was_judged_before_the_ring_opened_does_not_count);
    tcase_add_test(t, a_halted_rollout_counts_nothing);
    tcase_add_test(t, a_baseline_without_a_rollout_counts_nothing);
    tcase_add_test(t, a_ring_opens_when_enough_devices_passed_for_long_enough);
    tcase_add_test(t, counters_of_a_ring_that_is_over_do_not_come_back);
    tcase_add_test(t, failures_at_the_bound_halt_nothing);
    tcase_add_test(t, failures_over_the_bound_halt_at_once);
    tcase_add_test(t, failures_that_others_can_make_up_for_halt_nothing_yet);
    tcase_add_test(t, after_the_ring_of_all_it_is_complete_and_replaces);
    tcase_add_test(t, named_devices_that_are_fewer_than_asked_for_suffice);
    tcase_add_test(t, a_scheduled_activation_begins_the_rollout_and_replaces_nothing_yet);
    tcase_add_test(t, a_restart_keeps_ring_and_counters);
    tcase_add_test(t, a_clock_that_goes_back_opens_nothing);
    tcase_add_test(t, a_clock_that_jumps_ahead_opens_one_ring_alone);
    tcase_add_test(t, each_action_is_audited_as_the_systems);
    tcase_add_test(t, a_baseline_counts_in_its_ring_alone_until_the_rollout_is_complete);
    tcase_add_test(t, a_grace_ends_inside_the_ring_too);
    tcase_add_test(t, no_action_is_taken_in_a_wrong_state);
    tcase_add_test(t, a_rollout_of_no_baseline_is_refused);
    tcase_add_test(t, what_a_rollout_saw_is_forgotten_when_it_is_over);
    Suite *suite = suite_create("rollouts");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

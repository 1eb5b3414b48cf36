/* What happens to baselines by itself, under a clock that the test sets. */
#include "server/crypto/digest.h"
#include "server/fleet/baseline_due.h"
#include "server/fleet/policy.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_fixture f;
static struct detail detail;

static void start(void) {
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct model_row edge = sample_model("edge");
    (void)strcpy(edge.pcr_selection, "sha256:0,7");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &edge)), STATUS_OK);
}

static void stop(void) {
    store_fixture_remove(&f);
}

static struct baseline_row make(unsigned n, unsigned pcr, enum baseline_state state) {
    static char document[64][256];
    struct baseline_row row = sample_baseline("edge", n, state);
    (void)snprintf(document[n % 64], sizeof document[0],
                   "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"edge\",\"label\":\"%u\","
                   "\"bank\":\"sha256\",\"pcrs\":{\"%u\":[\"%064u\"]}}",
                   n, pcr, n);
    row.document = bytes_of_text(document[n % 64]);
    digest_compute(HASH_SHA256, row.document, row.document_sha256);
    return row;
}

static void put(const struct baseline_row *row) {
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, row)), STATUS_OK);
}

static struct baseline_row get(unsigned n) {
    struct baseline_row row;
    char id[STORE_ID];
    sample_id(id, 'b', n);
    ck_assert_int_eq(store_baseline_get(f.reader, &f.arena, &row, id), STATUS_OK);
    return row;
}

static void put_scheduled(unsigned n, unsigned pcr, int64_t at) {
    struct baseline_row row = make(n, pcr, BASELINE_APPROVED);
    row.activate_at = at;
    (void)strcpy(row.activated_by, "carol");
    put(&row);
}

static void put_deprecated(unsigned n, int64_t until) {
    struct baseline_row row = make(n, 0, BASELINE_DEPRECATED);
    row.grace_until = until;
    row.activated = 10;
    put(&row);
}

static enum baseline_due due(int64_t now) {
    enum baseline_due did;
    detail = (struct detail){0};
    ck_assert_msg(baseline_due_step(f.writer, &did, now * 1000, &detail) == STATUS_OK, "%s",
                  detail.text);
    return did;
}

START_TEST(nothing_happens_before_its_time) {
    put_scheduled(1, 0, 1000);
    put_deprecated(2, 1000);
    ck_assert_int_eq(due(999), DUE_NOTHING);
    ck_assert_int_eq(get(1).state, BASELINE_APPROVED);
    ck_assert_int_eq(get(2).state, BASELINE_DEPRECATED);
}
END_TEST

START_TEST(a_scheduled_baseline_is_activated_when_its_time_has_come) {
    put_scheduled(1, 0, 1000);
    ck_assert_int_eq(due(1000), DUE_ACTIVATED);
    struct baseline_row row = get(1);
    ck_assert_int_eq(row.state, BASELINE_ACTIVE);
    ck_assert_int_eq(row.activated, 1000);
    ck_assert_int_eq(row.activate_at, 0);
    ck_assert_str_eq(row.activated_by, "carol");
    ck_assert_int_eq(row.version, 2);
    ck_assert_uint_gt(row.document.len, 0);
    ck_assert_int_eq(due(1001), DUE_NOTHING);
}
END_TEST

START_TEST(a_step_by_itself_is_audited_as_the_systems) {
    put_scheduled(1, 0, 1000);
    (void)due(1000);
    struct audit_row *rows;
    size_t num;
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 0, 10), STATUS_OK);
    ck_assert_uint_ge(num, 1);
    ck_assert_str_eq(rows[0].actor, "system");
    ck_assert_str_eq(rows[0].action, "baseline.activate");
    ck_assert_uint_gt(rows[0].before.len, 0);
}
END_TEST

START_TEST(a_grace_that_is_over_retires) {
    put_deprecated(1, 1000);
    ck_assert_int_eq(due(1000), DUE_RETIRED);
    ck_assert_int_eq(get(1).state, BASELINE_RETIRED);
    ck_assert_int_eq(get(1).retired, 1000);
    ck_assert_int_eq(due(2000), DUE_NOTHING);
}
END_TEST

/* One job each, not two for the same change. */
static size_t jobs(const char *cause) {
    struct reappraisal_row *row;
    size_t num;
    ck_assert_int_eq(store_reappraisal_list(f.reader, &f.arena, &row, &num,
                                            &(struct reappraisal_filter){0},
                                            (struct store_page){"", 100}),
                     STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        ck_assert_str_eq(row[i].cause, cause);
        ck_assert_int_eq(row[i].enforce, ENFORCE_LEASE);
        ck_assert_str_eq(row[i].requested_by, "system");
    }
    return num;
}

START_TEST(what_the_clock_activates_is_judged_once) {
    put_scheduled(1, 0, 1000);
    ck_assert_int_eq(due(1000), DUE_ACTIVATED);
    ck_assert_uint_eq(jobs("baseline_activated"), 1);
}
END_TEST

START_TEST(what_the_clock_retires_is_judged_once) {
    put_deprecated(2, 1000);
    ck_assert_int_eq(due(1000), DUE_RETIRED);
    ck_assert_uint_eq(jobs("baseline_retired"), 1);
}
END_TEST

START_TEST(without_an_end_a_deprecated_baseline_stays) {
    put_deprecated(1, 0);
    ck_assert_int_eq(due(1000000), DUE_NOTHING);
    ck_assert_int_eq(get(1).state, BASELINE_DEPRECATED);
}
END_TEST

/* Down for a week: what was due is made up for, in order; and a grace is a grace. */
START_TEST(what_was_missed_is_made_up_for_in_order) {
    const int64_t week = 7 * 86400;
    struct baseline_row old = make(3, 0, BASELINE_ACTIVE), next = make(1, 0, BASELINE_APPROVED);
    char replaced[1][STORE_ID];
    put(&old);
    (void)strcpy(replaced[0], old.id);
    next.activate_at = 1000;
    next.replaces = replaced;
    next.num_replaces = 1;
    next.replace_grace_s = 3600;
    put(&next);
    put_deprecated(2, 2000);
    put_scheduled(4, 0, 3000);
    ck_assert_int_eq(due(week), DUE_ACTIVATED);
    ck_assert_int_eq(get(1).state, BASELINE_ACTIVE);
    ck_assert_int_eq(get(2).state, BASELINE_DEPRECATED);
    ck_assert_int_eq(get(3).state, BASELINE_DEPRECATED);
    ck_assert_int_eq(get(3).grace_until, week + 3600);
    ck_assert_uint_eq(get(1).num_replaces, 0);
    ck_assert_int_eq(due(week), DUE_RETIRED);
    ck_assert_int_eq(get(2).state, BASELINE_RETIRED);
    ck_assert_int_eq(due(week), DUE_ACTIVATED);
    ck_assert_int_eq(get(4).state, BASELINE_ACTIVE);
    ck_assert_int_eq(due(week), DUE_NOTHING);
    ck_assert_int_eq(due(week + 3600), DUE_RETIRED);
    ck_assert_int_eq(get(3).state, BASELINE_RETIRED);
}
END_TEST

START_TEST(a_clock_that_goes_back_undoes_nothing) {
    put_scheduled(1, 0, 1000);
    ck_assert_int_eq(due(5000), DUE_ACTIVATED);
    ck_assert_int_eq(due(10), DUE_NOTHING);
    ck_assert_int_eq(get(1).state, BASELINE_ACTIVE);
}
END_TEST

START_TEST(a_restart_keeps_what_is_to_come) {
    put_scheduled(1, 0, 1000);
    put_deprecated(2, 1500);
    store_fixture_close(&f);
    store_fixture_open(&f, true);
    ck_assert_int_eq(due(999), DUE_NOTHING);
    ck_assert_int_eq(due(2000), DUE_ACTIVATED);
    ck_assert_int_eq(due(2000), DUE_RETIRED);
}
END_TEST

START_TEST(what_may_not_be_in_force_any_more_is_taken_off_the_schedule) {
    put_scheduled(1, 9, 1000); /* the model asks for 0 and 7 */
    ck_assert_int_eq(due(1000), DUE_NOT_ACTIVATED);
    struct baseline_row row = get(1);
    ck_assert_int_eq(row.state, BASELINE_APPROVED);
    ck_assert_int_eq(row.activate_at, 0);
    ck_assert_ptr_nonnull(strstr(row.note, "pcr_selection"));
    ck_assert_int_eq(due(2000), DUE_NOTHING);
}
END_TEST

START_TEST(one_too_many_is_not_activated) {
    for (unsigned n = 0; n < BASELINE_MAX_PER_MODEL; n++) {
        struct baseline_row row = make(100 + n, 0, BASELINE_ACTIVE);
        put(&row);
    }
    put_scheduled(1, 0, 1000);
    ck_assert_int_eq(due(1000), DUE_NOT_ACTIVATED);
    ck_assert_ptr_nonnull(strstr(get(1).note, "as many"));
}
END_TEST

START_TEST(what_is_replaced_and_no_longer_active_is_left_alone) {
    struct baseline_row gone = make(3, 0, BASELINE_REVOKED), next = make(1, 0, BASELINE_APPROVED);
    char replaced[2][STORE_ID];
    put(&gone);
    (void)strcpy(replaced[0], gone.id);
    sample_id(replaced[1], 'b', 99); /* there is none */
    next.activate_at = 1000;
    next.replaces = replaced;
    next.num_replaces = 2;
    next.replace_grace_s = 60;
    put(&next);
    ck_assert_int_eq(due(1000), DUE_ACTIVATED);
    ck_assert_int_eq(get(3).state, BASELINE_REVOKED);
}
END_TEST

int main(void) {
    TCase *t = tcase_create("due");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, nothing_happens_before_its_time);
    tcase_add_test(t, a_scheduled_baseline_is_activated_when_its_time_has_come);
    tcase_add_test(t, a_step_by_itself_is_audited_as_the_systems);
    tcase_add_test(t, a_grace_that_is_over_retires);
    tcase_add_test(t, what_the_clock_activates_is_judged_once);
    tcase_add_test(t, what_the_clock_retires_is_judged_once);
    tcase_add_test(t, without_an_end_a_deprecated_baseline_stays);
    tcase_add_test(t, what_was_missed_is_made_up_for_in_order);
    tcase_add_test(t, a_clock_that_goes_back_undoes_nothing);
    tcase_add_test(t, a_restart_keeps_what_is_to_come);
    tcase_add_test(t, what_may_not_be_in_force_any_more_is_taken_off_the_schedule);
    tcase_add_test(t, one_too_many_is_not_activated);
    tcase_add_test(t, what_is_replaced_and_no_longer_active_is_left_alone);
    Suite *suite = suite_create("baselines: what is due");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

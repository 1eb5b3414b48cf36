/* The steps of a baseline's life: every state against every step. */
#include "server/fleet/baseline_life.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows: steps; columns: draft, submitted, approved, active, deprecated, retired, revoked. Each cell:
 * the state it leads to; "-" for what is refused. */
static const struct {
    enum baseline_step step;
    const char *action, *to[7];
} table[] = {
    {STEP_SUBMIT, "baseline.submit", {"submitted", "-", "-", "-", "-", "-", "-"}},
    {STEP_WITHDRAW, "baseline.withdraw", {"-", "draft", "draft", "-", "-", "-", "-"}},
    {STEP_APPROVE, "baseline.approve", {"-", "approved", "-", "-", "-", "-", "-"}},
    {STEP_REJECT, "baseline.reject", {"-", "draft", "draft", "-", "-", "-", "-"}},
    {STEP_ACTIVATE, "baseline.activate", {"-", "-", "active", "-", "active", "-", "-"}},
    {STEP_ACTIVATE_ALONE, "baseline.activate", {"active", "active", "-", "-", "-", "-", "-"}},
    {STEP_SCHEDULE, "baseline.schedule", {"-", "-", "approved", "-", "-", "-", "-"}},
    {STEP_DEPRECATE, "baseline.deprecate", {"-", "-", "-", "deprecated", "deprecated", "-", "-"}},
    {STEP_RETIRE, "baseline.retire", {"-", "-", "-", "retired", "retired", "-", "-"}},
    {STEP_REVOKE, "baseline.revoke", {"-", "-", "-", "revoked", "revoked", "revoked", "-"}},
};
enum { NUM_ROWS = sizeof table / sizeof table[0] };

START_TEST(a_step_leads_where_the_table_says) {
    ck_assert_str_eq(baseline_step_action(table[_i].step), table[_i].action);
    for (int state = BASELINE_DRAFT; state <= BASELINE_REVOKED; state++) {
        const char *to = table[_i].to[state - 1];
        struct baseline_row row = {.state = (enum baseline_state)state};
        ck_assert_msg(baseline_step_allowed(table[_i].step, &row) == (strcmp(to, "-") != 0),
                      "%s of %s", table[_i].action, baseline_state_name(row.state));
        if (strcmp(to, "-") != 0) {
            baseline_take_step(&row, table[_i].step, "bob", 1000);
            ck_assert_str_eq(baseline_state_name(row.state), to);
            ck_assert_int_eq(row.updated, 1000);
        }
    }
}
END_TEST

START_TEST(only_what_is_scheduled_is_taken_off_the_schedule) {
    for (int state = BASELINE_DRAFT; state <= BASELINE_REVOKED; state++) {
        struct baseline_row row = {.state = (enum baseline_state)state};
        ck_assert(!baseline_step_allowed(STEP_UNSCHEDULE, &row));
        row.activate_at = 5000;
        ck_assert(baseline_step_allowed(STEP_UNSCHEDULE, &row) == (state == BASELINE_APPROVED));
    }
}
END_TEST

static struct baseline_row scheduled(void) {
    static char others[2][STORE_ID];
    struct baseline_row row = {.state = BASELINE_DRAFT};
    baseline_take_step(&row, STEP_SUBMIT, "alice", 1000);
    baseline_take_step(&row, STEP_APPROVE, "bob", 2000);
    row.activate_at = 9000;
    row.replaces = others;
    row.num_replaces = 2;
    row.replace_grace_s = 60;
    baseline_take_step(&row, STEP_SCHEDULE, "carol", 3000);
    return row;
}

static void check_no_schedule(const struct baseline_row *row) {
    ck_assert_int_eq(row->activate_at, 0);
    ck_assert_uint_eq(row->num_replaces, 0);
    ck_assert_int_eq(row->replace_grace_s, 0);
}

START_TEST(each_step_says_who_and_when) {
    struct baseline_row row = scheduled();
    ck_assert_str_eq(row.submitted_by, "alice");
    ck_assert_int_eq(row.submitted, 1000);
    ck_assert_str_eq(row.approved_by, "bob");
    ck_assert_int_eq(row.approved, 2000);
    ck_assert_str_eq(row.activated_by, "carol");
    ck_assert_int_eq(row.activated, 0);
    baseline_take_step(&row, STEP_ACTIVATE, "carol", 9000);
    ck_assert_int_eq(row.activated, 9000);
    ck_assert_int_eq(row.activate_at, 0);
    baseline_take_step(&row, STEP_RETIRE, "bob", 9500);
    baseline_take_step(&row, STEP_REVOKE, "bob", 9900);
    ck_assert_int_eq(row.retired, 9500);
    check_no_schedule(&row);
}
END_TEST

START_TEST(back_to_a_draft_nobody_has_approved_it) {
    const enum baseline_step back[] = {STEP_WITHDRAW, STEP_REJECT};
    struct baseline_row row = scheduled();
    baseline_take_step(&row, back[_i], "dora", 4000);
    ck_assert_int_eq(row.state, BASELINE_DRAFT);
    ck_assert_str_eq(row.submitted_by, "");
    ck_assert_str_eq(row.approved_by, "");
    ck_assert_str_eq(row.activated_by, "");
    ck_assert_int_eq(row.submitted + row.approved, 0);
    check_no_schedule(&row);
}
END_TEST

START_TEST(off_the_schedule_it_stays_approved) {
    struct baseline_row row = scheduled();
    baseline_take_step(&row, STEP_UNSCHEDULE, "bob", 4000);
    ck_assert_int_eq(row.state, BASELINE_APPROVED);
    ck_assert_str_eq(row.approved_by, "bob");
    ck_assert_str_eq(row.activated_by, "");
    check_no_schedule(&row);
}
END_TEST

START_TEST(what_is_activated_again_has_no_end) {
    struct baseline_row row = {.state = BASELINE_ACTIVE, .grace_until = 7000};
    baseline_take_step(&row, STEP_DEPRECATE, "bob", 4000);
    ck_assert_int_eq(row.grace_until, 7000);
    baseline_take_step(&row, STEP_ACTIVATE, "bob", 5000);
    ck_assert_int_eq(row.grace_until, 0);
}
END_TEST

START_TEST(the_reason_of_a_rejection_stays_until_the_next_step) {
    struct baseline_row row = scheduled();
    (void)strcpy(row.note, "rejected: no");
    baseline_take_step(&row, STEP_REJECT, "bob", 4000);
    ck_assert_str_eq(row.note, "rejected: no");
    baseline_take_step(&row, STEP_SUBMIT, "alice", 5000);
    ck_assert_str_eq(row.note, "");
}
END_TEST

int main(void) {
    TCase *t = tcase_create("steps");
    tcase_add_loop_test(t, a_step_leads_where_the_table_says, 0, NUM_ROWS);
    tcase_add_test(t, only_what_is_scheduled_is_taken_off_the_schedule);
    tcase_add_test(t, each_step_says_who_and_when);
    tcase_add_loop_test(t, back_to_a_draft_nobody_has_approved_it, 0, 2);
    tcase_add_test(t, off_the_schedule_it_stays_approved);
    tcase_add_test(t, what_is_activated_again_has_no_end);
    tcase_add_test(t, the_reason_of_a_rejection_stays_until_the_next_step);
    Suite *suite = suite_create("baseline life");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

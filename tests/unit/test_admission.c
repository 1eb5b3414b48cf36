/* Who is taken, as a table: each policy, with and without an EK certificate, for each state that a device may be
 * in. */
#include "api/enrol/admission.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define STRANGER   ((enum device_state)0)
#define NOBODY     ((enum device_state)0)
#define NUM_STATES ((size_t)DEVICE_REGISTERED + 1)

static struct device_row device;

static struct candidate candidate_of(const char *enrolment, bool vouched, enum device_state state,
                                     const char *model) {
    device = (struct device_row){.state = state};
    (void)snprintf(device.model, sizeof device.model, "%s", model);
    return (struct candidate){.model = "edge",
                              .enrolment = enrolment,
                              .vouched = vouched,
                              .device = state == STRANGER ? NULL : &device};
}

/* What each known device becomes, whatever the policy. */
static const struct {
    enum device_state becomes; /* NOBODY: refused */
    enum problem_kind why;
} known[NUM_STATES] = {
    [DEVICE_ENROLLED] = {DEVICE_ENROLLED, NUM_PROBLEMS},
    [DEVICE_PENDING_APPROVAL] = {DEVICE_PENDING_APPROVAL, NUM_PROBLEMS},
    [DEVICE_QUARANTINED] = {DEVICE_QUARANTINED, NUM_PROBLEMS},
    [DEVICE_RETIRED] = {NOBODY, PROBLEM_DEVICE_RETIRED},
    [DEVICE_REGISTERED] = {DEVICE_ENROLLED, NUM_PROBLEMS},
};

static const struct {
    const char *enrolment;
    bool vouched;
    enum device_state becomes;
    enum problem_kind why;
} strangers[] = {
    {"open", true, DEVICE_ENROLLED, NUM_PROBLEMS},
    {"open", false, NOBODY, PROBLEM_EK_CERTIFICATE_REQUIRED},
    {"approval", true, DEVICE_PENDING_APPROVAL, NUM_PROBLEMS},
    {"approval", false, DEVICE_PENDING_APPROVAL, NUM_PROBLEMS},
    {"closed", true, NOBODY, PROBLEM_ENROLMENT_CLOSED},
    {"closed", false, NOBODY, PROBLEM_ENROLMENT_CLOSED},
    {"", true, NOBODY, PROBLEM_ENROLMENT_CLOSED}, /* no policy of ours takes nobody */
    {"Open", true, NOBODY, PROBLEM_ENROLMENT_CLOSED},
};
enum { NUM_STRANGERS = sizeof strangers / sizeof strangers[0] };

static void check(const struct candidate *candidate, enum device_state becomes,
                  enum problem_kind why) {
    enum device_state state = NOBODY;
    ck_assert_int_eq(admission_decide(&state, candidate), why);
    ck_assert_int_eq(state, becomes); /* untouched when it is refused */
}

START_TEST(a_stranger_is_taken_as_the_policy_says) {
    const struct candidate c =
        candidate_of(strangers[_i].enrolment, strangers[_i].vouched, STRANGER, "edge");
    check(&c, strangers[_i].becomes, strangers[_i].why);
    ck_assert_int_eq(admission_begin(&c), strangers[_i].why); /* and told at once */
}
END_TEST

START_TEST(a_known_device_is_taken_by_what_is_known_of_it) {
    for (enum device_state state = DEVICE_ENROLLED; state <= DEVICE_REGISTERED; state++) {
        const struct candidate c =
            candidate_of(strangers[_i].enrolment, strangers[_i].vouched, state, "edge");
        check(&c, known[state].becomes, known[state].why);
    }
}
END_TEST

START_TEST(a_device_of_another_model_is_refused_in_every_state) {
    for (enum device_state state = DEVICE_ENROLLED; state <= DEVICE_REGISTERED; state++) {
        const struct candidate c =
            candidate_of(strangers[_i].enrolment, strangers[_i].vouched, state, "other");
        check(&c, NOBODY,
              state == DEVICE_RETIRED ? PROBLEM_DEVICE_RETIRED : PROBLEM_DEVICE_MODEL_MISMATCH);
    }
}
END_TEST

START_TEST(what_is_known_of_a_device_is_not_told_before_it_proved_who_it_is) {
    for (enum device_state state = DEVICE_ENROLLED; state <= DEVICE_REGISTERED; state++) {
        for (int other = 0; other < 2; other++) {
            const struct candidate c = candidate_of(strangers[_i].enrolment, strangers[_i].vouched,
                                                    state, other ? "other" : "edge");
            ck_assert_int_eq(admission_begin(&c), NUM_PROBLEMS);
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("admission");
    TCase *t = tcase_create("admission");
    tcase_add_loop_test(t, a_stranger_is_taken_as_the_policy_says, 0, NUM_STRANGERS);
    tcase_add_loop_test(t, a_known_device_is_taken_by_what_is_known_of_it, 0, NUM_STRANGERS);
    tcase_add_loop_test(t, a_device_of_another_model_is_refused_in_every_state, 0, NUM_STRANGERS);
    tcase_add_loop_test(t, what_is_known_of_a_device_is_not_told_before_it_proved_who_it_is, 0,
                        NUM_STRANGERS);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

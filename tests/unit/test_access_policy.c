/* A decision held against an access policy, by every tier. */
#include "server/fleet/access_policy.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct decision allowed(enum tier tier) {
    return (struct decision){.allow = true,
                             .model = "edge",
                             .tier = tier,
                             .segment = "lab",
                             .has_credential = true,
                             .key_protection = KEY_IN_TPM,
                             .num_serials = 1};
}

START_TEST(a_lower_tier_than_the_policy_asks_for_is_denied) {
    for (int wanted = TIER_NONE; wanted <= TIER_MEASURED; wanted++) {
        const struct access_policy_row policy = {.min_tier = wanted};
        struct decision d = allowed((enum tier)_i);
        decision_apply_access(&d, &policy);
        ck_assert_int_eq(d.allow, _i >= wanted);
        ck_assert_int_eq(d.reason, _i >= wanted ? REASON_TRUSTED : REASON_POLICY_TIER);
        ck_assert_uint_eq(d.num_serials, d.allow ? 1 : 0);
    }
}
END_TEST

START_TEST(a_policy_that_is_not_there_lets_nobody_in) {
    struct decision d = allowed(TIER_MEASURED);
    decision_apply_access(&d, NULL);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_UNKNOWN_POLICY);
}
END_TEST

START_TEST(what_is_denied_stays_denied_for_its_reason) {
    const struct access_policy_row policy = {.min_tier = TIER_MEASURED};
    struct decision d = allowed(TIER_NONE);
    d.allow = false;
    d.reason = REASON_CREDENTIAL_REVOKED;
    decision_apply_access(&d, &policy);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_CREDENTIAL_REVOKED);
    decision_apply_access(&d, NULL);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_CREDENTIAL_REVOKED);
}
END_TEST

START_TEST(a_key_that_nothing_is_known_of_is_not_in_a_tpm) {
    const struct access_policy_row policy = {.key_protection = KEY_IN_TPM};
    struct decision d = allowed(TIER_MEASURED);
    decision_apply_access(&d, &policy);
    ck_assert(d.allow);
    d.has_credential = false;
    decision_apply_access(&d, &policy);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_POLICY_KEY_PROTECTION);
}
END_TEST

START_TEST(every_reason_has_a_name_of_its_own) {
    for (int a = REASON_TRUSTED; a <= REASON_POLICY_KEY_PROTECTION; a++) {
        ck_assert_str_ne(decision_reason_name((enum decision_reason)a), "unknown");
        for (int b = REASON_TRUSTED; b < a; b++) {
            ck_assert_str_ne(decision_reason_name((enum decision_reason)a),
                             decision_reason_name((enum decision_reason)b));
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("access_policy");
    TCase *t = tcase_create("access_policy");
    tcase_add_loop_test(t, a_lower_tier_than_the_policy_asks_for_is_denied, TIER_NONE,
                        TIER_MEASURED + 1);
    tcase_add_test(t, a_policy_that_is_not_there_lets_nobody_in);
    tcase_add_test(t, what_is_denied_stays_denied_for_its_reason);
    tcase_add_test(t, a_key_that_nothing_is_known_of_is_not_in_a_tpm);
    tcase_add_test(t, every_reason_has_a_name_of_its_own);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

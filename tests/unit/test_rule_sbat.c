#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <stdlib.h>

#define SBAT "\"sbat\":{\"at_least\":{\"shim\":4,\"grub\":5}}"

static void measured(uint32_t shim, uint32_t grub) {
    static struct fact_sbat_level level[3];
    level[0] = (struct fact_sbat_level){"sbat", 1};
    level[1] = (struct fact_sbat_level){"shim", shim};
    level[2] = (struct fact_sbat_level){"grub", grub};
    rule_quote(7, true);
    rule_facts.os.sbat = level;
    rule_facts.os.num_sbat = 3;
    rule_facts.os.sbat_event = rule_event(7, 0x800000E0, '1', "", true);
}

START_TEST(sbat_level_that_is_reached_is_trusted) {
    measured(4, 5);
    ck_assert_int_eq(rule_judge(SBAT), VERDICT_TRUSTED);
    measured(5, 6);
    ck_assert_int_eq(rule_judge(SBAT), VERDICT_TRUSTED);
    ck_assert_uint_eq(rule_reads(SBAT), 1u << 7);
    ck_assert_uint_eq(rule_verdict.uncovered, 1u << 7);
}
END_TEST

START_TEST(sbat_level_below_is_named_by_component) {
    measured(4, 4);
    ck_assert_int_eq(rule_judge(SBAT), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "sbat_level_too_low 7 0, [pcr_unlisted 7 -1]");
    ck_assert_str_eq(rule_verdict.finding[0].expected, "grub at least 5");
    ck_assert_str_eq(rule_verdict.finding[0].found, "grub 4");
}
END_TEST

START_TEST(sbat_component_that_is_not_there_is_refused) {
    measured(4, 5);
    ck_assert_int_eq(rule_judge("\"sbat\":{\"at_least\":{\"shim\":4,\"systemd\":1}}"),
                     VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].found, "no systemd");
}
END_TEST

START_TEST(sbat_level_that_was_not_measured_is_refused) {
    measured(4, 5);
    rule_facts.os.sbat_event = FACT_NO_EVENT;
    ck_assert_int_eq(rule_judge(SBAT), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "sbat_level_missing 7 -1, [pcr_unlisted 7 -1]");
}
END_TEST

START_TEST(sbat_level_of_a_distrusted_boot_is_refused) {
    measured(4, 5);
    rule_facts.secure_boot.distrusted_event = 0;
    rule_facts.secure_boot.distrusted_why = "SbatLevel stands twice";
    ck_assert_int_eq(rule_judge(SBAT), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "secure_boot_distrusted 7 0, [pcr_unlisted 7 -1]");
    ck_assert_str_eq(rule_verdict.finding[0].rule, "sbat");
}
END_TEST

START_TEST(sbat_level_without_a_log_is_refused) {
    measured(4, 5);
    rule_facts.bank[0].pcr[7].logged = false;
    ck_assert_int_eq(rule_judge(SBAT), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].code, "log_missing");
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

static const struct {
    const char *members, *code, *path;
} wrong[] = {
    {"\"sbat\":{}", "invalid_baseline", "sbat"},
    {"\"sbat\":{\"at_least\":{}}", "invalid_baseline", "sbat.at_least"},
    {"\"sbat\":{\"at_least\":[]}", "invalid_baseline", "sbat.at_least"},
    {"\"sbat\":{\"at_least\":{\"shim\":\"4\"}}", "invalid_baseline", "sbat.at_least.shim"},
    {"\"sbat\":{\"at_least\":{\"shim\":0}}", "invalid_baseline", "sbat.at_least.shim"},
    {"\"sbat\":{\"at_least\":{\"shim\":-1}}", "invalid_baseline", "sbat.at_least.shim"},
    {"\"sbat\":{\"at_least\":{\"shim\":4294967296}}", "invalid_baseline", "sbat.at_least.shim"},
    {"\"sbat\":{\"at_least\":{\"shim\":4.5}}", "invalid_baseline", "sbat.at_least.shim"},
    {"\"sbat\":{\"at_least\":{\"shim\":4},\"at_most\":{}}", "unknown_field", "sbat.at_most"},
};

START_TEST(sbat_with_anything_wrong_is_refused_by_field) {
    rule_refused(wrong[_i].members, wrong[_i].code, wrong[_i].path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("sbat");
    Suite *suite = suite_create("rules: sbat");
    tcase_add_checked_fixture(tests, rule_start, rule_end);
    tcase_add_test(tests, sbat_level_that_is_reached_is_trusted);
    tcase_add_test(tests, sbat_level_below_is_named_by_component);
    tcase_add_test(tests, sbat_component_that_is_not_there_is_refused);
    tcase_add_test(tests, sbat_level_that_was_not_measured_is_refused);
    tcase_add_test(tests, sbat_level_of_a_distrusted_boot_is_refused);
    tcase_add_test(tests, sbat_level_without_a_log_is_refused);
    tcase_add_loop_test(tests, sbat_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

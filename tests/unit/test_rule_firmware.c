#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <stdlib.h>

#define PCR_0 "5050505050505050505050505050505050505050505050505050505050505050"
#define VERSION                                                                                    \
    "\"firmware\":{\"any_of\":[{\"version\":\"1.41\"},{\"label\":\"new\",\"version\":\"1.42\"}]}"
#define BOTH  "\"firmware\":{\"any_of\":[{\"version\":\"1.42\",\"pcr0\":\"" PCR_0 "\"}]}"
#define VALUE "\"firmware\":{\"any_of\":[{\"pcr0\":\"" HEX_A "\"},{\"pcr0\":\"" PCR_0 "\"}]}"

static void measured(const char *version) {
    rule_quote(0, true);
    rule_facts.firmware.version = version;
    rule_facts.firmware.version_bytes = bytes_of_text("1.4");
    rule_facts.firmware.version_event = rule_event(0, 8, '1', "1.4", true);
}

START_TEST(firmware_of_an_allowed_version_is_trusted) {
    measured("1.42");
    ck_assert_int_eq(rule_judge(VERSION), VERDICT_TRUSTED);
    ck_assert_uint_eq(rule_reads(VERSION), 1u << 0);
    ck_assert_uint_eq(rule_verdict.uncovered, 1u << 0);
}
END_TEST

START_TEST(firmware_of_an_allowed_value_is_trusted_and_accounts_for_pcr_0) {
    rule_quote(0, false); /* needs no log */
    ck_assert_int_eq(rule_judge(VALUE), VERDICT_TRUSTED);
    ck_assert_uint_eq(rule_verdict.uncovered, 0);
}
END_TEST

START_TEST(firmware_entry_holds_when_all_that_it_names_does) {
    measured("1.42");
    ck_assert_int_eq(rule_judge(BOTH), VERDICT_TRUSTED);
    measured("1.41");
    ck_assert_int_eq(rule_judge(BOTH), VERDICT_UNTRUSTED);
    measured("1.42");
    rule_facts.bank[0].pcr[0].value[0] ^= 1;
    ck_assert_int_eq(rule_judge(BOTH), VERDICT_UNTRUSTED);
}
END_TEST

START_TEST(firmware_of_another_version_is_named) {
    measured("1.40");
    ck_assert_int_eq(rule_judge(VERSION), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "firmware_not_allowed 0 0, [pcr_unlisted 0 -1]");
    ck_assert_str_eq(rule_verdict.finding[0].expected, "one of: 1.41; new (1.42)");
    ck_assert_str_eq(rule_verdict.finding[0].found, "1.40");
}
END_TEST

START_TEST(firmware_version_has_to_be_the_whole_of_it) {
    measured("1.4");
    ck_assert_int_eq(rule_judge(VERSION), VERDICT_UNTRUSTED);
    measured("1.421");
    ck_assert_int_eq(rule_judge(VERSION), VERDICT_UNTRUSTED);
}
END_TEST

START_TEST(firmware_without_a_version_in_words_is_refused) {
    measured(NULL);
    ck_assert_int_eq(rule_judge(VERSION), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].found, "no version");
    rule_facts.firmware.version_event = FACT_NO_EVENT;
    ck_assert_int_eq(rule_judge(VERSION), VERDICT_UNTRUSTED);
    ck_assert_int_eq(rule_verdict.finding[0].event, -1);
}
END_TEST

START_TEST(firmware_version_whose_data_are_not_bound_is_refused_by_its_event) {
    measured(NULL);
    rule_facts.firmware.version_bytes = bytes_of(NULL, 0);
    ck_assert_int_eq(rule_judge(VERSION), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "data_not_bound 0 0, [pcr_unlisted 0 -1]");
}
END_TEST

START_TEST(firmware_version_needs_a_log) {
    measured("1.42");
    rule_facts.bank[0].pcr[0].logged = false;
    ck_assert_int_eq(rule_judge(VERSION), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].code, "log_missing");
    ck_assert_int_eq(rule_judge(BOTH), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].found, "no version, PCR 0 " PCR_0);
}
END_TEST

START_TEST(firmware_of_another_value_is_named) {
    rule_quote(0, false);
    rule_facts.bank[0].pcr[0].value[0] = 0;
    ck_assert_int_eq(rule_judge(VALUE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "firmware_not_allowed 0 -1");
    ck_assert_str_eq(rule_verdict.finding[0].expected, "one of: PCR 0 " HEX_A "; PCR 0 " PCR_0);
}
END_TEST

START_TEST(firmware_needs_pcr_0_quoted) {
    ck_assert_int_eq(rule_judge(VALUE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "pcr_not_quoted 0 -1");
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

static const struct {
    const char *members, *code, *path;
} wrong[] = {
    {"\"firmware\":{}", "invalid_baseline", "firmware"},
    {"\"firmware\":[]", "invalid_baseline", "firmware"},
    {"\"firmware\":{\"any_of\":[]}", "invalid_baseline", "firmware.any_of"},
    {"\"firmware\":{\"any_of\":[\"1.42\"]}", "invalid_baseline", "firmware.any_of[0]"},
    {"\"firmware\":{\"any_of\":[{\"label\":\"x\"}]}", "invalid_baseline", "firmware.any_of[0]"},
    {"\"firmware\":{\"any_of\":[{\"version\":\"\"}]}", "invalid_baseline",
     "firmware.any_of[0].version"},
    {"\"firmware\":{\"any_of\":[{\"version\":142}]}", "invalid_baseline",
     "firmware.any_of[0].version"},
    {"\"firmware\":{\"any_of\":[{\"version\":\"1\"},{\"pcr0\":\"abc\"}]}", "invalid_baseline",
     "firmware.any_of[1].pcr0"},
    {"\"firmware\":{\"any_of\":[{\"pcr0\":[\"" HEX_A "\"]}]}", "invalid_baseline",
     "firmware.any_of[0].pcr0"},
    {"\"firmware\":{\"any_of\":[{\"version\":\"1\",\"vendor\":\"x\"}]}", "unknown_field",
     "firmware.any_of[0].vendor"},
};

START_TEST(firmware_with_anything_wrong_is_refused_by_field) {
    rule_refused(wrong[_i].members, wrong[_i].code, wrong[_i].path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("firmware");
    Suite *suite = suite_create("rules: firmware");
    tcase_add_checked_fixture(tests, rule_start, rule_end);
    tcase_add_test(tests, firmware_of_an_allowed_version_is_trusted);
    tcase_add_test(tests, firmware_of_an_allowed_value_is_trusted_and_accounts_for_pcr_0);
    tcase_add_test(tests, firmware_entry_holds_when_all_that_it_names_does);
    tcase_add_test(tests, firmware_of_another_version_is_named);
    tcase_add_test(tests, firmware_version_has_to_be_the_whole_of_it);
    tcase_add_test(tests, firmware_without_a_version_in_words_is_refused);
    tcase_add_test(tests, firmware_version_whose_data_are_not_bound_is_refused_by_its_event);
    tcase_add_test(tests, firmware_version_needs_a_log);
    tcase_add_test(tests, firmware_of_another_value_is_named);
    tcase_add_test(tests, firmware_needs_pcr_0_quoted);
    tcase_add_loop_test(tests, firmware_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <stdlib.h>

#define TPM "\"tpm\":{\"firmware_at_least\":\"2019102300163636\"}"

START_TEST(tpm_firmware_at_or_above_is_trusted) {
    rule_facts.tpm_firmware_version = UINT64_C(0x2019102300163636);
    ck_assert_int_eq(rule_judge(TPM), VERDICT_TRUSTED);
    rule_facts.tpm_firmware_version = UINT64_MAX;
    ck_assert_int_eq(rule_judge(TPM), VERDICT_TRUSTED);
    ck_assert_uint_eq(rule_reads(TPM), 0);
    rule_facts.tpm_firmware_version = 10;
    ck_assert_int_eq(rule_judge("\"tpm\":{\"firmware_at_least\":\"a\"}"), VERDICT_TRUSTED);
}
END_TEST

START_TEST(tpm_firmware_below_is_refused) {
    rule_facts.tpm_firmware_version = UINT64_C(0x2019102300163635);
    ck_assert_int_eq(rule_judge(TPM), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "tpm_firmware_too_old -1 -1");
    ck_assert_str_eq(rule_verdict.finding[0].expected, "at least 2019102300163636");
    ck_assert_str_eq(rule_verdict.finding[0].found, "2019102300163635");
    rule_facts.tpm_firmware_version = 0;
    ck_assert_int_eq(rule_judge(TPM), VERDICT_UNTRUSTED);
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

static const struct {
    const char *members, *code, *path;
} wrong[] = {
    {"\"tpm\":{}", "invalid_baseline", "tpm"},
    {"\"tpm\":{\"firmware_at_least\":\"\"}", "invalid_baseline", "tpm.firmware_at_least"},
    {"\"tpm\":{\"firmware_at_least\":\"0x10\"}", "invalid_baseline", "tpm.firmware_at_least"},
    {"\"tpm\":{\"firmware_at_least\":\"A\"}", "invalid_baseline", "tpm.firmware_at_least"},
    {"\"tpm\":{\"firmware_at_least\":\"000\"}", "invalid_baseline", "tpm.firmware_at_least"},
    {"\"tpm\":{\"firmware_at_least\":16}", "invalid_baseline", "tpm.firmware_at_least"},
    {"\"tpm\":{\"firmware_at_least\":\"12345678123456781\"}", "invalid_baseline",
     "tpm.firmware_at_least"},
    {"\"tpm\":{\"firmware_at_least\":\"1\",\"safe\":true}", "unknown_field", "tpm.safe"},
};

START_TEST(tpm_with_anything_wrong_is_refused_by_field) {
    rule_refused(wrong[_i].members, wrong[_i].code, wrong[_i].path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("tpm");
    Suite *suite = suite_create("rules: tpm");
    tcase_add_checked_fixture(tests, rule_start, rule_end);
    tcase_add_test(tests, tpm_firmware_at_or_above_is_trusted);
    tcase_add_test(tests, tpm_firmware_below_is_refused);
    tcase_add_loop_test(tests, tpm_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define INITRD                                                                                     \
    "\"initrd\":{\"any_of\":[\"" HEX_A "\",{\"label\":\"good\",\"sha256\":\"" HEX_B "\"}]}"

START_TEST(initrds_that_are_listed_are_trusted) {
    rule_quote(9, true);
    (void)rule_file('c', "/boot/grub/grub.cfg", false);
    (void)rule_file('a', "/microcode.img", true);
    (void)rule_file('b', "/initrd.img", true);
    ck_assert_int_eq(rule_judge(INITRD), VERDICT_TRUSTED);
    ck_assert_uint_eq(rule_reads(INITRD), 1u << 9);
    ck_assert_uint_eq(rule_verdict.uncovered, 1u << 9);
}
END_TEST

START_TEST(each_initrd_has_to_be_listed) {
    rule_quote(9, true);
    (void)rule_file('a', "/initrd.img", true);
    (void)rule_file('c', "/other.img", true);
    ck_assert_int_eq(rule_judge(INITRD), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "initrd_not_allowed 9 1, [pcr_unlisted 9 -1]");
    ck_assert_str_eq(rule_verdict.finding[0].found, HEX_C);
    ck_assert_ptr_nonnull(strstr(rule_verdict.finding[0].remediation, "/other.img"));
    ck_assert_ptr_nonnull(strstr(rule_verdict.finding[0].remediation, "(aaaaaaaa..., good)"));
}
END_TEST

START_TEST(initrd_has_to_be_there) {
    rule_quote(9, true);
    (void)rule_file('a', "/vmlinuz", false);
    ck_assert_int_eq(rule_judge(INITRD), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "initrd_missing 9 -1, [pcr_unlisted 9 -1]");
}
END_TEST

START_TEST(initrd_without_a_digest_in_the_bank_is_refused) {
    rule_quote(9, true);
    rule_file('a', "/initrd.img", true)->digest =
        arena_array(&rule_arena, PCR_MAX_BANKS, sizeof(struct bytes));
    ck_assert_int_eq(rule_judge(INITRD), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "initrd_missing 9 0, [pcr_unlisted 9 -1]");
    ck_assert_str_eq(rule_verdict.finding[0].found, "no event of /initrd.img");
}
END_TEST

START_TEST(initrd_without_a_log_is_refused) {
    rule_quote(9, false);
    ck_assert_int_eq(rule_judge(INITRD), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].code, "log_missing");
}
END_TEST

START_TEST(initrd_needs_pcr_9_quoted) {
    ck_assert_int_eq(rule_judge(INITRD), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "pcr_not_quoted 9 -1");
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

static const struct {
    const char *members, *code, *path;
} wrong[] = {
    {"\"initrd\":{}", "invalid_baseline", "initrd"},
    {"\"initrd\":[\"" HEX_A "\"]", "invalid_baseline", "initrd"},
    {"\"initrd\":{\"any_of\":[]}", "invalid_baseline", "initrd.any_of"},
    {"\"initrd\":{\"any_of\":[\"abc\"]}", "invalid_baseline", "initrd.any_of[0]"},
    {"\"initrd\":{\"any_of\":[\"" HEX_A "\"],\"name\":\"x\"}", "unknown_field", "initrd.name"},
    {"\"initrd\":{\"any_of\":{\"sha256\":\"" HEX_A "\"}}", "invalid_baseline", "initrd.any_of"},
};

START_TEST(initrd_with_anything_wrong_is_refused_by_field) {
    rule_refused(wrong[_i].members, wrong[_i].code, wrong[_i].path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("initrd");
    Suite *suite = suite_create("rules: initrd");
    tcase_add_checked_fixture(tests, rule_start, rule_end);
    tcase_add_test(tests, initrds_that_are_listed_are_trusted);
    tcase_add_test(tests, each_initrd_has_to_be_listed);
    tcase_add_test(tests, initrd_has_to_be_there);
    tcase_add_test(tests, initrd_without_a_digest_in_the_bank_is_refused);
    tcase_add_test(tests, initrd_without_a_log_is_refused);
    tcase_add_test(tests, initrd_needs_pcr_9_quoted);
    tcase_add_loop_test(tests, initrd_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

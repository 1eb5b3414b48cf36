#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define EXACT(text)    "\"kernel_command_line\":{\"any_of\":[\"" text "\"]}"
#define MATCHING(text) "\"kernel_command_line\":{\"matching\":[\"" text "\"]}"

static void told(const char *text) {
    rule_quote(8, true);
    (void)rule_command_line(FACT_LOADER_GRUB, text);
}

START_TEST(command_line_that_is_listed_is_trusted) {
    told("ro quiet");
    ck_assert_int_eq(rule_judge("\"kernel_command_line\":{\"any_of\":[\"ro\",\"ro quiet\"]}"),
                     VERDICT_TRUSTED);
    ck_assert_uint_eq(rule_reads(EXACT("ro")), 1u << 8);
    ck_assert_uint_eq(rule_verdict.uncovered, 1u << 8);
}
END_TEST

START_TEST(command_line_that_is_not_listed_is_named) {
    told("ro quiet init=/bin/sh");
    ck_assert_int_eq(rule_judge("\"kernel_command_line\":{\"any_of\":[\"ro quiet\"],\"matching\":["
                                "\"ro root=*\"]}"),
                     VERDICT_UNTRUSTED);
    ck_assert_int_eq(rule_verdict.finding[0].event, 0);
    ck_assert_int_eq(rule_verdict.finding[0].pcr, 8);
    ck_assert_str_eq(rule_verdict.finding[0].code, "command_line_not_allowed");
    ck_assert_str_eq(rule_verdict.finding[0].found, "\"ro quiet init=/bin/sh\"");
    ck_assert_str_eq(rule_verdict.finding[0].expected,
                     "one of: \"ro quiet\", matching \"ro root=*\"");
}
END_TEST

static const struct {
    const char *pattern, *text;
    bool holds;
} globs[] = {
    {"ro quiet root=UUID=*", "ro quiet root=UUID=5a1e-0b52", true},
    {"ro quiet root=UUID=*", "ro quiet root=UUID=", true},
    {"ro * quiet", "ro root=/dev/vda1 quiet", true},
    {"*", "ro", true},
    {"**", "ro", true},
    {"a*c*e", "abcde", true},
    {"a*b", "aab", true},
    {"a*ab", "aaab", true},
    {"x=*,* y", "x=1,2,3 y", true},
    {"ro root=*", "ro root=1 init=/bin/sh", false},
    {"ro root=* quiet", "ro root=1 init=/bin/sh quiet", false},
    {"ro root=*", "ro root=1\tinit=/bin/sh", false},
    {"ro root=*", "ro root=1\ninit=/bin/sh", false},
    {"ro root=*", "ro root=1\vinit=/bin/sh", false},
    {"ro root=*", "ro root=1\xA0init=/bin/sh", false},
    {"a=* b=*", "a=\"1 b=2\"", false},
    {"root=*", "root=\"x", false},
    {"ro *", "ro", false},
    {"ro*", "xro", false},
    {"*ro", "rox", false},
    {"r?", "ro", false},
    {"[r]o", "ro", false},
    {"ro.*", "ro quiet", false},
    {"RO", "ro", false},
    {"ro quiet", "ro  quiet", false},
    {"ro", "ro ", false},
    {"a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

START_TEST(star_stands_for_characters_of_one_word) {
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        rule_facts.os.num_command_lines = 0;
        told(globs[i].text);
        enum verdict verdict = rule_judge(arena_printf(
            &rule_arena, "\"kernel_command_line\":{\"matching\":[\"%s\"]}", globs[i].pattern));
        ck_assert_msg((verdict == VERDICT_TRUSTED) == globs[i].holds, "%s: %s", globs[i].pattern,
                      globs[i].text);
    }
}
END_TEST

START_TEST(star_stands_for_itself_in_an_exact_line) {
    told("ro root=1");
    ck_assert_int_eq(rule_judge(EXACT("ro root=*")), VERDICT_UNTRUSTED);
}
END_TEST

START_TEST(command_line_longer_than_any_kernel_takes_matches_no_pattern) {
    char *text = arena_alloc(&rule_arena, 5000);
    memset(text, 'a', 4097);
    told(text);
    ck_assert_int_eq(rule_judge(MATCHING("a*")), VERDICT_UNTRUSTED);
    ck_assert_uint_lt(strlen(rule_verdict.finding[0].found), 1200);
    ck_assert_ptr_nonnull(strstr(rule_verdict.finding[0].found, "(4097 bytes, SHA-256 "));
    text[4096] = '\0';
    ck_assert_int_eq(rule_judge(MATCHING("a*")), VERDICT_TRUSTED);
}
END_TEST

START_TEST(each_command_line_has_to_be_allowed) {
    told("ro");
    told("ro init=/bin/sh");
    told("ro");
    ck_assert_int_eq(rule_judge(EXACT("ro")), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "command_line_not_allowed 8 1, [pcr_unlisted 8 -1]");
}
END_TEST

START_TEST(command_line_without_its_label_counts_all_the_same) {
    told("ro");
    told("ro init=/bin/sh");
    rule_facts.os.command_line[1].labelled = false;
    ck_assert_int_eq(rule_judge(EXACT("ro")), VERDICT_UNTRUSTED);
    ck_assert_int_eq(rule_verdict.finding[0].event, 1);
}
END_TEST

START_TEST(event_that_may_be_a_command_line_is_refused_by_name) {
    told("ro");
    told(FACT_TEXT_UNKNOWN);
    ck_assert_int_eq(rule_judge(MATCHING("*")), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "data_not_bound 8 1, [pcr_unlisted 8 -1]");
    ck_assert_ptr_nonnull(strstr(rule_verdict.finding[0].found, "1111111111"));
}
END_TEST

START_TEST(command_line_of_another_loader_counts_too) {
    told("ro");
    (void)rule_command_line(FACT_LOADER_SYSTEMD_STUB, "ro init=/bin/sh");
    ck_assert_int_eq(rule_judge(EXACT("ro")), VERDICT_UNTRUSTED);
    ck_assert_int_eq(rule_verdict.finding[0].pcr, 12);
}
END_TEST

START_TEST(command_line_has_to_be_there) {
    rule_quote(8, true);
    ck_assert_int_eq(rule_judge(EXACT("ro")), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "command_line_missing -1 -1, [pcr_unlisted 8 -1]");
}
END_TEST

START_TEST(command_line_has_to_be_of_the_stated_loader) {
    rule_quote(11, true);
    rule_quote(12, true);
    told("ro");
    static const char stub[] =
        "\"kernel_command_line\":{\"any_of\":[\"ro\"],\"loader\":\"systemd_stub\"}";
    ck_assert_int_eq(rule_judge(stub), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].code, "command_line_missing");
    (void)rule_command_line(FACT_LOADER_SYSTEMD_STUB, "ro");
    ck_assert_int_eq(rule_judge(stub), VERDICT_TRUSTED);
    ck_assert_uint_eq(rule_reads(stub), 1u << 11 | 1u << 12);
    ck_assert_uint_eq(
        rule_reads("\"kernel_command_line\":{\"any_of\":[\"ro\"],\"loader\":\"linux_stub\"}"),
        1u << 9);
}
END_TEST

START_TEST(command_line_without_a_log_is_refused) {
    told("ro");
    rule_facts.bank[0].pcr[8].logged = false;
    ck_assert_int_eq(rule_judge(EXACT("ro")), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].code, "log_missing");
    rule_facts.bank[0].pcr[8].quoted = false;
    ck_assert_int_eq(rule_judge(EXACT("ro")), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "pcr_not_quoted 8 -1");
}
END_TEST

START_TEST(command_line_is_shown_as_valid_text_that_nothing_else_is_shown_as) {
    told("a\x1b[1m\xff\\xff\xc2\x85\xc3\xa4");
    ck_assert_int_eq(rule_judge(EXACT("ro")), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_verdict.finding[0].found, "\"a\\x1b[1m\\xff\\\\xff\\xc2\\x85\xc3\xa4\"");
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

static const struct {
    const char *members, *code, *path;
} wrong[] = {
    {"\"kernel_command_line\":{}", "invalid_baseline", "kernel_command_line"},
    {"\"kernel_command_line\":\"ro\"", "invalid_baseline", "kernel_command_line"},
    {"\"kernel_command_line\":{\"loader\":\"grub\"}", "invalid_baseline", "kernel_command_line"},
    {"\"kernel_command_line\":{\"any_of\":[]}", "invalid_baseline", "kernel_command_line.any_of"},
    {"\"kernel_command_line\":{\"any_of\":\"ro\"}", "invalid_baseline",
     "kernel_command_line.any_of"},
    {"\"kernel_command_line\":{\"any_of\":[\"\"]}", "invalid_baseline",
     "kernel_command_line.any_of[0]"},
    {"\"kernel_command_line\":{\"any_of\":[\"ro\",\"r\\no\"]}", "invalid_baseline",
     "kernel_command_line.any_of[1]"},
    {"\"kernel_command_line\":{\"matching\":[1]}", "invalid_baseline",
     "kernel_command_line.matching[0]"},
    {"\"kernel_command_line\":{\"any_of\":[\"ro\"],\"loader\":\"lilo\"}", "invalid_baseline",
     "kernel_command_line.loader"},
    {"\"kernel_command_line\":{\"any_of\":[\"ro\"],\"loader\":null}", "invalid_baseline",
     "kernel_command_line.loader"},
    {"\"kernel_command_line\":{\"any_of\":[\"ro\"],\"regex\":[\"r.\"]}", "unknown_field",
     "kernel_command_line.regex"},
};

START_TEST(kernel_command_line_with_anything_wrong_is_refused_by_field) {
    rule_refused(wrong[_i].members, wrong[_i].code, wrong[_i].path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("kernel_command_line");
    Suite *suite = suite_create("rules: kernel_command_line");
    tcase_add_checked_fixture(tests, rule_start, rule_end);
    tcase_add_test(tests, command_line_that_is_listed_is_trusted);
    tcase_add_test(tests, command_line_that_is_not_listed_is_named);
    tcase_add_test(tests, star_stands_for_characters_of_one_word);
    tcase_add_test(tests, star_stands_for_itself_in_an_exact_line);
    tcase_add_test(tests, command_line_longer_than_any_kernel_takes_matches_no_pattern);
    tcase_add_test(tests, each_command_line_has_to_be_allowed);
    tcase_add_test(tests, command_line_without_its_label_counts_all_the_same);
    tcase_add_test(tests, event_that_may_be_a_command_line_is_refused_by_name);
    tcase_add_test(tests, command_line_of_another_loader_counts_too);
    tcase_add_test(tests, command_line_has_to_be_there);
    tcase_add_test(tests, command_line_has_to_be_of_the_stated_loader);
    tcase_add_test(tests, command_line_without_a_log_is_refused);
    tcase_add_test(tests, command_line_is_shown_as_valid_text_that_nothing_else_is_shown_as);
    tcase_add_loop_test(tests, kernel_command_line_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define STEP(name, list) "{\"name\":\"" name "\",\"any_of\":[" list "]}"
#define IMAGE(hex)       "\"" hex "\""
#define CHAIN(steps)     "\"boot_chain\":[" steps "]"
/* shim (A), grub (B), kernel (C or D) */
#define THREE                                                                                      \
    CHAIN(STEP("shim", "{\"label\":\"15.8\",\"sha256\":\"" HEX_A "\"}") "," STEP(                  \
        "grub", IMAGE(HEX_B)) "," STEP("kernel", IMAGE(HEX_C) "," IMAGE(HEX_D)))

/* One image for each character; '.' is a driver, which is no part of PCR 4. */
static void ran(const char *images) {
    rule_quote(4, true);
    for (; *images != '\0'; images++) {
        (void)rule_image(*images == '.' ? FACT_IMAGE_DRIVER : FACT_IMAGE_BOOT,
                         *images == '.' ? '9' : *images);
    }
}

static void expect(const char *images, const char *told) {
    ran(images);
    enum verdict verdict = rule_judge(THREE);
    ck_assert_str_eq(rule_told(), told);
    ck_assert_int_eq(verdict, told[0] == '\0' ? VERDICT_TRUSTED : VERDICT_UNTRUSTED);
}

START_TEST(boot_chain_of_allowed_images_in_their_order_is_trusted) {
    expect("abd", "");
    ck_assert_uint_eq(rule_verdict.uncovered, 0);
    ck_assert_uint_eq(rule_reads(THREE), 1u << 4);
}
END_TEST

START_TEST(boot_chain_takes_an_image_loaded_again_at_once_as_one) {
    expect("abcc", "");
    ck_assert_int_eq(
        rule_judge(CHAIN(STEP("shim", IMAGE(HEX_A)) "," STEP("grub", IMAGE(HEX_B)) "," STEP(
            "kernel", IMAGE(HEX_C)) "," STEP("kernel", IMAGE(HEX_C)))),
        VERDICT_TRUSTED);
}
END_TEST

START_TEST(boot_chain_finds_the_one_reading_of_repeated_images_that_holds) {
    ran("aab");
    ck_assert_int_eq(rule_judge(CHAIN(STEP("one", IMAGE(HEX_A) "," IMAGE(HEX_B)) "," STEP(
                         "two", IMAGE(HEX_A) "," IMAGE(HEX_B)))),
                     VERDICT_TRUSTED);
}
END_TEST

START_TEST(boot_chain_refuses_an_image_loaded_again_later) {
    expect("abca", "image_unexpected 4 3");
}
END_TEST

START_TEST(boot_chain_reads_drivers_elsewhere) {
    expect(".a.bd.", "");
}
END_TEST

START_TEST(boot_chain_names_the_image_that_is_not_allowed_and_how_to_go_on) {
    ran("ab1");
    rule_facts.image[2].path = "\\vmlinuz\n";
    ck_assert_int_eq(rule_judge(THREE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "image_not_allowed 4 2");
    const struct finding *finding = &rule_verdict.finding[0];
    ck_assert_str_eq(finding->rule, "boot_chain");
    ck_assert_str_eq(finding->expected, "kernel: one of: " HEX_C ", " HEX_D);
    ck_assert_str_eq(finding->found,
                     "kernel: 1111111111111111111111111111111111111111111111111111111111111111");
    ck_assert_str_eq(finding->remediation,
                     "kernel: 11111111... (\\\\vmlinuz\\x0a, as the log says) is not among the 2 "
                     "allowed (cccccccc..., dddddddd...): update the device, or approve this "
                     "image.");
}
END_TEST

START_TEST(boot_chain_names_each_image_that_is_not_allowed) {
    expect("1b22", "image_not_allowed 4 0, image_not_allowed 4 2");
}
END_TEST

START_TEST(boot_chain_names_allowed_images_by_their_labels) {
    ran("1bc");
    ck_assert_int_eq(rule_judge(THREE), VERDICT_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(rule_verdict.finding[0].remediation, "the 1 allowed (15.8)"));
    ck_assert_str_eq(rule_verdict.finding[0].expected, "shim: one of: 15.8 (" HEX_A ")");
}
END_TEST

START_TEST(boot_chain_refuses_an_image_before_between_and_behind) {
    expect("1abc", "image_unexpected 4 0");
}
END_TEST

START_TEST(boot_chain_refuses_an_image_in_between) {
    expect("ab11c", "image_unexpected 4 2");
}
END_TEST

START_TEST(boot_chain_refuses_an_image_behind) {
    expect("abc1", "image_unexpected 4 3");
}
END_TEST

START_TEST(boot_chain_refuses_a_second_kernel_even_an_allowed_one) {
    expect("abcd", "image_unexpected 4 3");
}
END_TEST

START_TEST(boot_chain_names_what_did_not_run) {
    expect("ac", "image_missing 4 -1");
    ck_assert_str_eq(rule_verdict.finding[0].found, "no grub");
}
END_TEST

START_TEST(boot_chain_that_ends_early_is_refused) {
    expect("ab", "image_missing 4 -1");
    ck_assert_str_eq(rule_verdict.finding[0].found, "no kernel");
}
END_TEST

START_TEST(boot_chain_without_any_image_is_refused) {
    expect("", "image_missing 4 -1, image_missing 4 -1, image_missing 4 -1");
}
END_TEST

START_TEST(boot_chain_in_another_order_is_refused) {
    expect("bac", "image_unexpected 4 0, image_missing 4 -1");
}
END_TEST

START_TEST(boot_chain_refuses_an_image_that_the_bank_has_no_digest_of) {
    ran("abc");
    rule_facts.image[1].digest = arena_array(&rule_arena, PCR_MAX_BANKS, sizeof(struct bytes));
    ck_assert_int_eq(rule_judge(THREE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "image_not_allowed 4 1");
}
END_TEST

START_TEST(boot_chain_without_a_log_is_refused) {
    rule_quote(4, false);
    rule_facts.has_log = false;
    ck_assert_int_eq(rule_judge(THREE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "log_missing 4 -1");
}
END_TEST

START_TEST(boot_chain_of_a_log_that_does_not_explain_pcr_4_is_refused) {
    ran("abc");
    rule_facts.bank[0].pcr[4].logged = false;
    ck_assert_int_eq(rule_judge(THREE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "log_missing 4 -1");
}
END_TEST

START_TEST(boot_chain_needs_pcr_4_quoted) {
    ran("abc");
    rule_facts.bank[0].pcr[4].quoted = false;
    ck_assert_int_eq(rule_judge(THREE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "pcr_not_quoted 4 -1");
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

static const struct {
    const char *members, *code, *path;
} wrong[] = {
    {"\"boot_chain\":{}", "invalid_baseline", "boot_chain"},
    {"\"boot_chain\":[]", "invalid_baseline", "boot_chain"},
    {"\"boot_chain\":null", "invalid_baseline", "boot_chain"},
    {"\"boot_chain\":[{}]", "invalid_baseline", "boot_chain[0]"},
    {"\"boot_chain\":[\"" HEX_A "\"]", "invalid_baseline", "boot_chain[0]"},
    {"\"boot_chain\":[{\"name\":\"shim\"}]", "invalid_baseline", "boot_chain[0].any_of"},
    {"\"boot_chain\":[{\"any_of\":[\"" HEX_A "\"]}]", "invalid_baseline", "boot_chain[0].name"},
    {"\"boot_chain\":[{\"name\":\"\",\"any_of\":[\"" HEX_A "\"]}]", "invalid_baseline",
     "boot_chain[0].name"},
    {"\"boot_chain\":[{\"name\":\"shim\",\"any_of\":[]}]", "invalid_baseline",
     "boot_chain[0].any_of"},
    {"\"boot_chain\":[{\"name\":\"shim\",\"any_of\":[\"" HEX_A "\"],\"optional\":true}]",
     "unknown_field", "boot_chain[0].optional"},
    {"\"boot_chain\":[{\"name\":\"a\",\"any_of\":[\"" HEX_A
     "\"]},{\"name\":\"shim\",\"any_of\":[\"" HEX_A "\",\"" HEX_A "aa\"]}]",
     "invalid_baseline", "boot_chain[1].any_of[1]"},
    {"\"boot_chain\":[{\"name\":\"a\",\"any_of\":[{\"label\":\"x\"}]}]", "invalid_baseline",
     "boot_chain[0].any_of[0].sha256"},
    {"\"boot_chain\":[{\"name\":\"a\",\"any_of\":[{\"label\":\"\",\"sha256\":\"" HEX_A "\"}]}]",
     "invalid_baseline", "boot_chain[0].any_of[0].label"},
    {"\"boot_chain\":[{\"name\":\"a\",\"any_of\":[{\"label\":\"x\",\"sha384\":\"" HEX_A "\"}]}]",
     "unknown_field", "boot_chain[0].any_of[0].sha384"},
    {"\"boot_chain\":[{\"name\":\"a\",\"any_of\":[{\"sha1\":"
     "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]}]",
     "unknown_field", "boot_chain[0].any_of[0].sha1"},
};

START_TEST(boot_chain_with_anything_wrong_is_refused_by_field) {
    rule_refused(wrong[_i].members, wrong[_i].code, wrong[_i].path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("boot_chain");
    Suite *suite = suite_create("rules: boot_chain");
    tcase_add_checked_fixture(tests, rule_start, rule_end);
    tcase_add_test(tests, boot_chain_of_allowed_images_in_their_order_is_trusted);
    tcase_add_test(tests, boot_chain_takes_an_image_loaded_again_at_once_as_one);
    tcase_add_test(tests, boot_chain_finds_the_one_reading_of_repeated_images_that_holds);
    tcase_add_test(tests, boot_chain_refuses_an_image_loaded_again_later);
    tcase_add_test(tests, boot_chain_reads_drivers_elsewhere);
    tcase_add_test(tests, boot_chain_names_the_image_that_is_not_allowed_and_how_to_go_on);
    tcase_add_test(tests, boot_chain_names_each_image_that_is_not_allowed);
    tcase_add_test(tests, boot_chain_names_allowed_images_by_their_labels);
    tcase_add_test(tests, boot_chain_refuses_an_image_before_between_and_behind);
    tcase_add_test(tests, boot_chain_refuses_an_image_in_between);
    tcase_add_test(tests, boot_chain_refuses_an_image_behind);
    tcase_add_test(tests, boot_chain_refuses_a_second_kernel_even_an_allowed_one);
    tcase_add_test(tests, boot_chain_names_what_did_not_run);
    tcase_add_test(tests, boot_chain_that_ends_early_is_refused);
    tcase_add_test(tests, boot_chain_without_any_image_is_refused);
    tcase_add_test(tests, boot_chain_in_another_order_is_refused);
    tcase_add_test(tests, boot_chain_refuses_an_image_that_the_bank_has_no_digest_of);
    tcase_add_test(tests, boot_chain_without_a_log_is_refused);
    tcase_add_test(tests, boot_chain_of_a_log_that_does_not_explain_pcr_4_is_refused);
    tcase_add_test(tests, boot_chain_needs_pcr_4_quoted);
    tcase_add_loop_test(tests, boot_chain_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

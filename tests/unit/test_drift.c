/* Drift: what changed between two boots, in words. */
#include "server/appraisal/drift.h"
#include "tests/unit/hand_facts.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct hand hand;
static struct drift drift;

static void start(void) {
    arena_init(&arena, 1 << 24);
    hand = hand_usual;
}

static void stop(void) {
    arena_free(&arena);
}

/* From the usual boot to `hand`. */
static void compare(void) {
    ck_assert_int_eq(
        drift_between(&drift, &arena, hand_facts(&arena, &hand_usual), hand_facts(&arena, &hand)),
        STATUS_OK);
}

static void expect_change(size_t i, const char *subject, const char *kind, const char *text) {
    ck_assert_uint_gt(drift.num, i);
    ck_assert_str_eq(drift.change[i].subject, subject);
    ck_assert_str_eq(drift_kind_name(drift.change[i].kind), kind);
    ck_assert_msg(strstr(drift.change[i].text, text) != NULL, "%s", drift.change[i].text);
}

/* Exactly one change. */
static void expect_only(const char *subject, const char *kind, const char *text) {
    compare();
    expect_change(0, subject, kind, text);
    ck_assert_msg(drift.num == 1, "and: %s", drift.num > 1 ? drift.change[1].text : "");
}

START_TEST(equal_facts_have_no_drift) {
    compare();
    ck_assert_uint_eq(drift.num, 0);
    hand.no_log = true;
    struct facts *bare = hand_facts(&arena, &hand);
    ck_assert_int_eq(drift_between(&drift, &arena, bare, bare), STATUS_OK);
    ck_assert_uint_eq(drift.num, 0);
    struct facts nothing = {0};
    ck_assert_int_eq(drift_between(&drift, &arena, &nothing, &nothing), STATUS_OK);
    ck_assert_uint_eq(drift.num, 0);
}
END_TEST

START_TEST(another_kernel_is_one_change_though_it_is_loaded_twice) {
    hand.kernel = "kernel 28";
    hand.kernel_path = "/vmlinuz-6.1.0-28-amd64";
    compare();
    ck_assert_uint_eq(drift.num, 2);
    const char *text =
        arena_printf(&arena, "kernel: 6.1.0-27-amd64 (%.12s) became 6.1.0-28-amd64 (%.12s)",
                     hand_hex(&arena, "kernel 27"), hand_hex(&arena, "kernel 28"));
    expect_change(0, "kernel", "replaced", text);
    ck_assert_str_eq(drift.change[0].before, hand_hex(&arena, "kernel 27"));
    ck_assert_str_eq(drift.change[0].after, hand_hex(&arena, "kernel 28"));
    ck_assert_int_eq(drift.change[0].pcr, 4);
    ck_assert_int_gt(drift.change[0].event, 0);
    expect_change(1, "kernel_path", "replaced", "/vmlinuz-6.1.0-28-amd64");
}
END_TEST

START_TEST(an_image_that_is_new_or_gone_is_told_as_such) {
    hand.extra_image = "tool";
    expect_only("image-3", "added", "extra.efi");
    hand = hand_usual;
    hand.shim = NULL;
    compare();
    expect_change(0, "shim", "removed", "BOOTX64.EFI");
    hand = hand_usual;
    hand.driver = "option ROM";
    expect_only("driver-1", "added", "ran, and did not before");
    ck_assert_int_eq(drift.change[0].pcr, 2);
}
END_TEST

START_TEST(the_command_line_is_told_word_by_word) {
    hand.command_line = "ro root=UUID=2222 init_on_alloc=0";
    expect_only("kernel_command_line", "changed",
                "kernel command line: quiet was removed; root=UUID=1111 became root=UUID=2222; "
                "init_on_alloc=0 was added");
    ck_assert_str_eq(drift.change[0].before, hand_usual.command_line);
    ck_assert_str_eq(drift.change[0].after, hand.command_line);
    ck_assert_int_eq(drift.change[0].pcr, 8);
    hand.command_line = "ro quiet  root=UUID=1111";
    expect_only("kernel_command_line", "changed", "only its spaces changed");
    hand.command_line = NULL;
    expect_only("kernel_command_line", "removed", "none was measured any more");
}
END_TEST

START_TEST(thousands_of_changed_words_are_told_in_short) {
    char text[4096] = "";
    for (size_t i = 0; i < 2000; i++) {
        strcat(text, i % 2 == 0 ? "a " : "b ");
    }
    hand.command_line = text;
    compare();
    ck_assert_uint_eq(drift.num, 1);
    ck_assert_uint_lt(strlen(drift.change[0].text), 4096);
    ck_assert_ptr_nonnull(strstr(drift.change[0].text, "and more"));
}
END_TEST

START_TEST(switching_secure_boot_off_comes_first) {
    hand.secure_boot_off = true;
    hand.kernel = "unsigned kernel";
    compare();
    expect_change(0, "secure_boot", "changed", "Secure Boot was switched off");
    ck_assert_str_eq(drift.change[0].before, "yes");
    ck_assert_str_eq(drift.change[0].after, "no");
    ck_assert_int_eq(drift.change[0].pcr, 7);
    expect_change(1, "authority", "removed", "CN=Maker db");
    expect_change(2, "kernel", "replaced", "kernel: ");
    ck_assert_uint_eq(drift.num, 3);
}
END_TEST

START_TEST(setup_mode_is_told) {
    hand.setup_mode = true;
    expect_only("setup_mode", "changed", "may set the keys");
}
END_TEST

START_TEST(keys_are_told_by_their_subjects) {
    hand.platform_key = "CN=Somebody else";
    compare();
    ck_assert_uint_eq(drift.num, 2);
    expect_change(0, "platform_key", "removed", "CN=Maker PK (");
    expect_change(1, "platform_key", "added", "CN=Somebody else (");
    hand = hand_usual;
    hand.db[2] = "CN=Attacker";
    expect_only("db", "added", "CN=Attacker");
    hand = hand_usual;
    hand.key_exchange_key = NULL;
    expect_only("key_exchange_keys", "removed", "CN=Maker KEK");
}
END_TEST

START_TEST(hashes_of_dbx_are_told_by_their_number) {
    hand.dbx[2] = "bad image 3";
    hand.dbx[3] = "bad image 4";
    expect_only("dbx", "added", "dbx: 2 image hashes were added");
    hand = hand_usual;
    hand.dbx[1] = NULL;
    expect_only("dbx", "removed", "dbx: 1 image hash was removed");
}
END_TEST

START_TEST(initrd_files_sbat_and_versions_are_told) {
    hand.initrd = "another initrd";
    expect_only("initrd", "replaced", "initrd: /initrd.img (");
    hand = hand_usual;
    hand.grub_cfg = "edited";
    expect_only("file", "replaced", "file: /grub/grub.cfg (");
    hand = hand_usual;
    hand.sbat_shim = 3;
    expect_only("sbat", "changed", "the level of shim was 4, and is 3");
    hand = hand_usual;
    hand.version = "1.43";
    expect_only("firmware_version", "replaced", "firmware version: 1.42 became 1.43");
    hand = hand_usual;
    hand.firmware = "firmware 1.43";
    expect_only("firmware", "replaced", "the volume at 0x820000 has other contents");
    hand = hand_usual;
    hand.tpm_firmware = 9;
    expect_only("tpm_firmware", "replaced", "0102030405060708 became 0000000000000009");
}
END_TEST

START_TEST(what_no_component_explains_is_told_by_pcr_and_event) {
    hand.boot_order = "0000,0001";
    expect_only("pcr", "changed",
                "PCR 1 (firmware configuration): 2 events differ, the first of them");
    ck_assert_ptr_nonnull(strstr(drift.change[0].text, "EV_EFI_VARIABLE_BOOT"));
    ck_assert_int_eq(drift.change[0].pcr, 1);
    ck_assert_int_gt(drift.change[0].event, 0);
    hand = hand_usual;
    hand.mok = "a MOK";
    expect_only("pcr", "changed", "PCR 14");
}
END_TEST

START_TEST(a_component_does_not_hide_what_else_changed_in_its_pcr) {
    hand.secure_boot_off = false;
    hand.db[0] = "CN=New db";
    compare();
    for (size_t i = 0; i < drift.num; i++) {
        ck_assert_str_ne(drift.change[i].subject, "pcr");
    }
    struct facts *before = hand_facts(&arena, &hand_usual), *after = hand_facts(&arena, &hand);
    after->secure_boot.num_authorities = before->secure_boot.num_authorities = 0;
    ck_assert_int_eq(drift_between(&drift, &arena, before, after), STATUS_OK);
    ck_assert_str_eq(drift.change[drift.num - 1].subject, "pcr");
    ck_assert_int_eq(drift.change[drift.num - 1].pcr, 7);
}
END_TEST

START_TEST(a_log_that_went_missing_leaves_pcr_values) {
    hand.no_log = true;
    hand.kernel = "kernel 28";
    compare();
    ck_assert_uint_eq(drift.num, 2);
    expect_change(0, "event_log", "removed", "none any more");
    expect_change(1, "pcr", "changed", "PCR 4 (boot loader and kernel images) has another value");
}
END_TEST

START_TEST(pcr_10_is_told_only_when_nothing_else_moved_it) {
    struct facts *before = hand_facts(&arena, &hand_usual),
                 *after = hand_facts(&arena, &hand_usual);
    after->bank[0].pcr[10].value[0] ^= 1;
    ck_assert_int_eq(drift_between(&drift, &arena, before, after), STATUS_OK);
    ck_assert_uint_eq(drift.num, 1);
    ck_assert_int_eq(drift.change[0].pcr, 10);
    hand.grub_cfg = "edited";
    after = hand_facts(&arena, &hand);
    after->bank[0].pcr[10].value[0] ^= 1;
    ck_assert_int_eq(drift_between(&drift, &arena, before, after), STATUS_OK);
    ck_assert_uint_eq(drift.num, 1);
    ck_assert_str_eq(drift.change[0].subject, "file");
}
END_TEST

START_TEST(a_pcr_that_is_quoted_no_more_is_told) {
    hand.not_quoted = 1 << 14;
    expect_only("pcr", "removed", "PCR 14 (shim's MOK lists) is not quoted any more");
}
END_TEST

START_TEST(boots_without_a_common_bank_cannot_be_compared) {
    struct facts *before = hand_facts(&arena, &hand_usual),
                 *after = hand_facts(&arena, &hand_usual);
    after->bank[0].alg = HASH_SHA384;
    ck_assert_int_eq(drift_between(&drift, &arena, before, after), STATUS_OK);
    ck_assert_uint_eq(drift.num, 1);
    expect_change(0, "pcr", "changed", "none in common");
}
END_TEST

START_TEST(more_changes_than_are_told_are_cut_and_said_so) {
    struct facts *before = hand_facts(&arena, &hand_usual),
                 *after = hand_facts(&arena, &hand_usual);
    size_t num = 2 * DRIFT_MAX_CHANGES;
    after->image = arena_array(&arena, num, sizeof *after->image);
    for (size_t i = 0; i < num; i++) {
        uint8_t *digest = arena_alloc(&arena, 32);
        struct bytes *view = arena_alloc(&arena, sizeof *view);
        digest[0] = (uint8_t)i;
        digest[1] = (uint8_t)(i >> 8);
        *view = bytes_of(digest, 32);
        after->image[i] = (struct fact_image){.digest = view, .event = FACT_NO_EVENT};
    }
    after->num_images = num;
    ck_assert_int_eq(drift_between(&drift, &arena, before, after), STATUS_OK);
    ck_assert_uint_eq(drift.num, DRIFT_MAX_CHANGES);
    ck_assert(drift.cut);
}
END_TEST

START_TEST(a_full_arena_gives_no_drift) {
    hand.kernel = "kernel 28";
    const struct facts *before = hand_facts(&arena, &hand_usual),
                       *after = hand_facts(&arena, &hand);
    for (size_t cap = 64; cap < 40000; cap += 997) {
        struct arena small;
        struct drift out = {.num = 7};
        arena_init(&small, cap);
        enum status status = drift_between(&out, &small, before, after);
        ck_assert(status == STATUS_OK || status == STATUS_MEMORY);
        ck_assert(status == STATUS_OK ? out.num == 1 : out.num == 7);
        arena_free(&small);
    }
}
END_TEST

START_TEST(drift_is_written_as_json) {
    struct json_out o;
    hand.command_line = "ro quiet root=UUID=1111 \"x\"";
    compare();
    json_out_init(&o, &arena, 256);
    drift_write(&o, NULL, &drift);
    struct bytes json = json_out_end(&o);
    const char *text = arena_text_n(&arena, (const char *)json.data, json.len);
    ck_assert_msg(strstr(text,
                         "[{\"subject\":\"kernel_command_line\",\"change\":\"changed\",\"before\":"
                         "\"ro quiet root=UUID=1111\",\"after\":\"ro quiet root=UUID=1111 "
                         "\\\"x\\\"\",\"pcr\":8,\"event\":") == text,
                  "%s", text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("drift");
    TCase *tests = tcase_create("drift");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, equal_facts_have_no_drift);
    tcase_add_test(tests, another_kernel_is_one_change_though_it_is_loaded_twice);
    tcase_add_test(tests, an_image_that_is_new_or_gone_is_told_as_such);
    tcase_add_test(tests, the_command_line_is_told_word_by_word);
    tcase_add_test(tests, thousands_of_changed_words_are_told_in_short);
    tcase_add_test(tests, switching_secure_boot_off_comes_first);
    tcase_add_test(tests, setup_mode_is_told);
    tcase_add_test(tests, keys_are_told_by_their_subjects);
    tcase_add_test(tests, hashes_of_dbx_are_told_by_their_number);
    tcase_add_test(tests, initrd_files_sbat_and_versions_are_told);
    tcase_add_test(tests, what_no_component_explains_is_told_by_pcr_and_event);
    tcase_add_test(tests, a_component_does_not_hide_what_else_changed_in_its_pcr);
    tcase_add_test(tests, a_log_that_went_missing_leaves_pcr_values);
    tcase_add_test(tests, pcr_10_is_told_only_when_nothing_else_moved_it);
    tcase_add_test(tests, a_pcr_that_is_quoted_no_more_is_told);
    tcase_add_test(tests, boots_without_a_common_bank_cannot_be_compared);
    tcase_add_test(tests, more_changes_than_are_told_are_cut_and_said_so);
    tcase_add_test(tests, a_full_arena_gives_no_drift);
    tcase_add_test(tests, drift_is_written_as_json);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

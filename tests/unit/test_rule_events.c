#include "tests/unit/rule_fixture.h"

#include <check.h>
#include <stdlib.h>

enum { SEPARATOR = 4, IPL = 0xD, GPT = (int)0x80000006, ACTION = (int)0x80000007 };
#define EVENT(pcr, type, hex) "{\"pcr\":" pcr ",\"type\":\"" type "\",\"any_of\":[\"" hex "\"]}"
#define EVENTS(list)          "\"events\":[" list "]"
#define TABLE                 EVENTS(EVENT("5", "EV_EFI_GPT_EVENT", HEX_A))

/* PCR 5 of an ordinary start: a separator, the partition table, an announcement. */
static void measured(char table) {
    rule_quote(5, true);
    rule_facts.event[rule_event(5, SEPARATOR, '1', "", true)].data = bytes_of("\0\0\0\0", 4);
    rule_facts.event[0].bound = rule_facts.event[0].data;
    (void)rule_event(5, (uint32_t)GPT, table, "table", true);
    (void)rule_event(5, (uint32_t)ACTION, '2', "Exit Boot Services Invocation", true);
}

START_TEST(events_that_are_listed_are_trusted_beside_the_firmwares_constants) {
    measured('a');
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_TRUSTED);
    ck_assert_uint_eq(rule_reads(TABLE), 1u << 5);
    ck_assert_uint_eq(rule_verdict.uncovered, 0);
}
END_TEST

START_TEST(event_of_another_digest_is_named) {
    measured('b');
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "event_not_allowed 5 1, event_missing 5 -1");
    ck_assert_str_eq(rule_verdict.finding[0].expected, "one of: " HEX_A);
    ck_assert_str_eq(rule_verdict.finding[0].found, "EV_EFI_GPT_EVENT " HEX_B);
}
END_TEST

START_TEST(event_hides_behind_no_other_type) {
    measured('a');
    uint32_t event = rule_event(5, (uint32_t)GPT, 'b', "other table", true);
    static const uint32_t types[] = {0x80000007, 0xD, 4, 0, 5, 0xFFFFFFFF, 0x80000006};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        rule_facts.event[event].type = types[i];
        ck_assert_int_eq(rule_judge(TABLE), VERDICT_UNTRUSTED);
        ck_assert_str_eq(rule_told(), "event_not_allowed 5 3");
    }
}
END_TEST

START_TEST(listed_digest_under_another_type_is_no_pass) {
    measured('a');
    rule_facts.event[1].type = IPL;
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "event_not_allowed 5 1, event_missing 5 -1");
}
END_TEST

START_TEST(constant_whose_data_the_digest_does_not_cover_is_refused) {
    measured('a');
    rule_facts.event[2].data_vouched = VOUCHED_CLAIMED;
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "event_not_allowed 5 2");
    measured('a');
}
END_TEST

START_TEST(constant_of_which_a_part_only_is_covered_is_refused) {
    measured('a');
    rule_facts.event[2].bound.len--;
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "event_not_allowed 5 2");
}
END_TEST

START_TEST(error_separator_is_refused) {
    measured('a');
    rule_facts.event[0].data = rule_facts.event[0].bound = bytes_of("\1\0\0\0", 4);
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "event_not_allowed 5 0");
}
END_TEST

START_TEST(each_entry_has_to_be_met) {
    measured('a');
    ck_assert_int_eq(rule_judge(EVENTS(EVENT("5", "EV_EFI_GPT_EVENT",
                                             HEX_A) "," EVENT("5", "EV_EFI_GPT_EVENT", HEX_B))),
                     VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "event_missing 5 -1");
    ck_assert_str_eq(rule_verdict.finding[0].expected, "EV_EFI_GPT_EVENT one of: " HEX_B);
}
END_TEST

START_TEST(events_of_other_pcrs_are_not_looked_at) {
    measured('a');
    rule_quote(8, true);
    (void)rule_event(8, IPL, 'd', "grub_cmd: x", true);
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_TRUSTED);
    ck_assert_str_eq(rule_told(), "[pcr_unlisted 8 -1]");
}
END_TEST

START_TEST(listed_event_of_another_pcr_does_not_count) {
    measured('a');
    rule_quote(4, true);
    (void)rule_event(4, (uint32_t)GPT, 'b', "table", true);
    ck_assert_int_eq(rule_judge(EVENTS(EVENT("5", "EV_EFI_GPT_EVENT",
                                             HEX_A) "," EVENT("5", "EV_EFI_GPT_EVENT", HEX_B))),
                     VERDICT_UNTRUSTED);
}
END_TEST

START_TEST(event_that_extends_nothing_in_the_bank_neither_counts_nor_hurts) {
    measured('a');
    uint32_t event = rule_event(5, (uint32_t)GPT, 'b', "table", true);
    rule_facts.event[event].digest[0] = bytes_of(NULL, 0);
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_TRUSTED);
    rule_facts.event[1].digest[0] = bytes_of(NULL, 0);
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "event_missing 5 -1");
}
END_TEST

START_TEST(events_without_a_log_are_refused) {
    rule_quote(5, false);
    ck_assert_int_eq(rule_judge(TABLE), VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "log_missing 5 -1");
}
END_TEST

START_TEST(events_need_their_pcrs_quoted) {
    measured('a');
    ck_assert_int_eq(
        rule_judge(EVENTS(EVENT("5", "EV_EFI_GPT_EVENT", HEX_A) "," EVENT("14", "EV_IPL", HEX_B))),
        VERDICT_UNTRUSTED);
    ck_assert_str_eq(rule_told(), "pcr_not_quoted 14 -1");
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

static const struct {
    const char *members, *code, *path;
} wrong[] = {
    {"\"events\":{}", "invalid_baseline", "events"},
    {"\"events\":[]", "invalid_baseline", "events"},
    {"\"events\":[{}]", "invalid_baseline", "events[0]"},
    {"\"events\":[{\"pcr\":24,\"type\":\"EV_IPL\",\"any_of\":[\"" HEX_A "\"]}]", "invalid_baseline",
     "events[0].pcr"},
    {"\"events\":[{\"pcr\":-1,\"type\":\"EV_IPL\",\"any_of\":[\"" HEX_A "\"]}]", "invalid_baseline",
     "events[0].pcr"},
    {"\"events\":[{\"pcr\":\"5\",\"type\":\"EV_IPL\",\"any_of\":[\"" HEX_A "\"]}]",
     "invalid_baseline", "events[0].pcr"},
    {"\"events\":[{\"type\":\"EV_IPL\",\"any_of\":[\"" HEX_A "\"]}]", "invalid_baseline",
     "events[0].pcr"},
    {"\"events\":[{\"pcr\":5,\"any_of\":[\"" HEX_A "\"]}]", "invalid_baseline", "events[0].type"},
    {"\"events\":[{\"pcr\":5,\"type\":\"EV_MAGIC\",\"any_of\":[\"" HEX_A "\"]}]",
     "invalid_baseline", "events[0].type"},
    {"\"events\":[{\"pcr\":5,\"type\":\"EV_NO_ACTION\",\"any_of\":[\"" HEX_A "\"]}]",
     "invalid_baseline", "events[0].type"},
    {"\"events\":[{\"pcr\":5,\"type\":13,\"any_of\":[\"" HEX_A "\"]}]", "invalid_baseline",
     "events[0].type"},
    {"\"events\":[{\"pcr\":5,\"type\":\"EV_IPL\"}]", "invalid_baseline", "events[0].any_of"},
    {"\"events\":[{\"pcr\":5,\"type\":\"EV_IPL\",\"any_of\":[\"" HEX_A "\",7]}]",
     "invalid_baseline", "events[0].any_of[1]"},
    {"\"events\":[{\"pcr\":5,\"type\":\"EV_IPL\",\"any_of\":[\"" HEX_A "\"],\"data\":\"x\"}]",
     "unknown_field", "events[0].data"},
};

START_TEST(events_with_anything_wrong_is_refused_by_field) {
    rule_refused(wrong[_i].members, wrong[_i].code, wrong[_i].path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("events");
    Suite *suite = suite_create("rules: events");
    tcase_add_checked_fixture(tests, rule_start, rule_end);
    tcase_add_test(tests, events_that_are_listed_are_trusted_beside_the_firmwares_constants);
    tcase_add_test(tests, event_of_another_digest_is_named);
    tcase_add_test(tests, event_hides_behind_no_other_type);
    tcase_add_test(tests, listed_digest_under_another_type_is_no_pass);
    tcase_add_test(tests, constant_whose_data_the_digest_does_not_cover_is_refused);
    tcase_add_test(tests, constant_of_which_a_part_only_is_covered_is_refused);
    tcase_add_test(tests, error_separator_is_refused);
    tcase_add_test(tests, each_entry_has_to_be_met);
    tcase_add_test(tests, events_of_other_pcrs_are_not_looked_at);
    tcase_add_test(tests, listed_event_of_another_pcr_does_not_count);
    tcase_add_test(tests, event_that_extends_nothing_in_the_bank_neither_counts_nor_hurts);
    tcase_add_test(tests, events_without_a_log_are_refused);
    tcase_add_test(tests, events_need_their_pcrs_quoted);
    tcase_add_loop_test(tests, events_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

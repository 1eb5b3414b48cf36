#include "server/base/clock.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int64_t unix_s;
    const char *text;
} known[] = {
    {0, "1970-01-01T00:00:00Z"},
    {951782400, "2000-02-29T00:00:00Z"},
    {1795438800, "2026-11-23T13:00:00Z"},
    {-1, "1969-12-31T23:59:59Z"},
    {253402300799, "9999-12-31T23:59:59Z"},
    {4107542399, "2100-02-28T23:59:59Z"},
};

START_TEST(known_times_read_and_write_alike) {
    char text[RFC3339_SIZE];
    rfc3339_format(text, known[_i].unix_s);
    ck_assert_str_eq(text, known[_i].text);
    int64_t back = 5;
    ck_assert_int_eq(rfc3339_parse(&back, known[_i].text), STATUS_OK);
    ck_assert_int_eq(back, known[_i].unix_s);
}
END_TEST

START_TEST(every_day_of_four_centuries_round_trips) {
    for (int64_t day = -50000; day < 100000; day++) {
        char text[RFC3339_SIZE];
        int64_t back;
        rfc3339_format(text, day * 86400 + 86399);
        ck_assert_int_eq(rfc3339_parse(&back, text), STATUS_OK);
        ck_assert_int_eq(back, day * 86400 + 86399);
    }
}
END_TEST

START_TEST(times_out_of_the_form_are_clamped_to_twenty_characters) {
    static const int64_t times[] = {INT64_MIN, INT64_MAX, -62167219201, 253402300800};
    char text[RFC3339_SIZE];
    rfc3339_format(text, times[_i]);
    ck_assert_uint_eq(strlen(text), RFC3339_SIZE - 1);
    ck_assert_int_eq(text[RFC3339_SIZE - 2], 'Z');
}
END_TEST

static const char *const wrong[] = {
    "",
    "2026",
    "2026-11-23",
    "2026-11-23T13:00:00",
    "2026-11-23T13:00:00z",
    "2026-11-23t13:00:00Z",
    "2026-11-23 13:00:00Z",
    "2026-11-23T13:00:00+00:00",
    "2026-11-23T13:00:00.0Z",
    "2026-11-23T13:00:00Z ",
    " 2026-11-23T13:00:0Z",
    "2026-11-23T13:00:00ZZ",
    "2026-00-23T13:00:00Z",
    "2026-13-23T13:00:00Z",
    "2026-11-00T13:00:00Z",
    "2026-11-31T13:00:00Z",
    "2026-02-29T13:00:00Z",
    "2100-02-29T13:00:00Z",
    "2026-02-30T13:00:00Z",
    "2026-11-23T24:00:00Z",
    "2026-11-23T13:60:00Z",
    "2026-11-23T13:00:60Z",
    "2016-12-31T23:59:60Z",
    "2026/11/23T13:00:00Z",
    "xx26-11-23T13:00:00Z",
    "202x-11-23T13:00:00Z",
    "-026-11-23T13:00:00Z",
    "+026-11-23T13:00:00Z",
    "2026-1x-23T13:00:00Z",
    "2026-11-x3T13:00:00Z",
    "2026-11-23Tx3:00:00Z",
    "2026-11-23T13:x0:00Z",
    "2026-11-23T13:00:x0Z",
    "2026-11--1T13:00:00Z",
    "2026-11-23T-1:00:00Z",
    "2026-11-23T13:-1:00Z",
    "2026-11-23T13:00:-1Z",
    "2026- 1-23T13:00:00Z",
    "\xd9\xa0\xd9\xa0-11-23T13:00:00Z",
};

START_TEST(other_spellings_and_days_that_never_were_are_refused) {
    int64_t out = 77;
    ck_assert_msg(rfc3339_parse(&out, wrong[_i]) == STATUS_MALFORMED, "took %s", wrong[_i]);
    ck_assert_int_eq(out, 77);
}
END_TEST

START_TEST(every_prefix_is_refused) {
    static const char whole[] = "2026-11-23T13:00:00Z";
    for (size_t len = 0; len + 1 < sizeof whole; len++) {
        char *text = strndup(whole, len);
        int64_t out;
        ck_assert_int_eq(rfc3339_parse(&out, text), STATUS_MALFORMED);
        free(text);
    }
}
END_TEST

START_TEST(clocks_agree_with_each_other) {
    int64_t ms = clock_unix_ms(), s = clock_unix();
    ck_assert_int_ge(s, ms / 1000);
    ck_assert_int_le(s, ms / 1000 + 2);
    int64_t before = clock_monotonic_us(), between = clock_monotonic_ms();
    ck_assert_int_ge(between, before / 1000);
    ck_assert_int_ge(clock_monotonic_us(), before);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("clock");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, known_times_read_and_write_alike, 0,
                        (int)(sizeof known / sizeof known[0]));
    tcase_add_test(tests, every_day_of_four_centuries_round_trips);
    tcase_add_loop_test(tests, times_out_of_the_form_are_clamped_to_twenty_characters, 0, 4);
    tcase_add_loop_test(tests, other_spellings_and_days_that_never_were_are_refused, 0,
                        (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tests, every_prefix_is_refused);
    tcase_add_test(tests, clocks_agree_with_each_other);
    Suite *suite = suite_create("base: clock");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

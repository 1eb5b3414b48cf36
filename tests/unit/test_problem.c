/* Problems, and the JSON that they and every answer are written with. */
#include "api/limiter.h"
#include "api/problem.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct http_exchange x;

static void start(void) {
    arena_init(&arena, 1 << 20);
    x = (struct http_exchange){.arena = &arena, .request_id = "0123456789abcdef0123456789abcdef"};
}

static void stop(void) {
    arena_free(&arena);
}

static json_t *parse(struct bytes text) {
    json_t *json = json_loadb((const char *)text.data, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    ck_assert_msg(json != NULL, "%.*s", (int)text.len, (const char *)text.data);
    return json;
}

/* --- problems --- */

START_TEST(every_problem_has_a_code_a_title_and_a_status) {
    const struct problem_entry *entry = problem_entry((enum problem_kind)_i);
    ck_assert_ptr_nonnull(entry->code);
    ck_assert_uint_gt(strlen(entry->title), 0);
    ck_assert(entry->status >= 400 && entry->status < 600);
    ck_assert_uint_eq(strspn(entry->code, "abcdefghijklmnopqrstuvwxyz0123456789_"),
                      strlen(entry->code));
    ck_assert_int_eq(problem_of_code(entry->code), _i); /* and no code stands twice */
    ck_assert(entry->status != 503 || entry->retry_after_s > 0);
}
END_TEST

START_TEST(a_problem_says_what_rfc_9457_asks_for) {
    ck_assert(problem_detail(&x, PROBLEM_UNKNOWN_FIELD, "%s", "colour") == HTTP_ANSWER);
    ck_assert_uint_eq(x.status, 400);
    ck_assert_str_eq(x.content_type, "application/problem+json");
    json_t *json = parse(x.answer);
    ck_assert_str_eq(json_string_value(json_object_get(json, "type")),
                     "urn:gatehouse:problem:unknown_field");
    ck_assert_str_eq(json_string_value(json_object_get(json, "detail")), "colour");
    ck_assert_str_eq(json_string_value(json_object_get(json, "code")), "unknown_field");
    ck_assert_str_eq(json_string_value(json_object_get(json, "request_id")), x.request_id);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "status")), 400);
    ck_assert_uint_eq(json_object_size(json), 6);
    json_decref(json);
}
END_TEST

START_TEST(a_problem_that_passes_says_when_to_come_back) {
    (void)problem(&x, PROBLEM_STORAGE_UNAVAILABLE);
    ck_assert_uint_eq(x.status, 503);
    ck_assert_str_eq(x.header[0].name, "Retry-After");
}
END_TEST

START_TEST(a_detail_cannot_break_out_of_its_text) {
    (void)problem_detail(&x, PROBLEM_UNKNOWN_FIELD, "\"},\n\x01\xff\\");
    json_t *json = parse(x.answer);
    ck_assert_str_eq(json_string_value(json_object_get(json, "detail")),
                     "\"},\n\x01\xef\xbf\xbd\\");
    json_decref(json);
}
END_TEST

START_TEST(without_memory_the_answer_is_still_a_problem) {
    arena_free(&arena);
    arena_init(&arena, (size_t)_i);
    (void)problem(&x, PROBLEM_NOT_FOUND);
    ck_assert(x.status == 500 || x.status == 404);
    json_t *json = parse(x.answer);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "status")), x.status);
    json_decref(json);
}
END_TEST

START_TEST(no_status_of_ours_becomes_a_success) {
    for (enum status s = STATUS_OK; s <= STATUS_INTERNAL; s++) {
        ck_assert_uint_ge(problem_entry(problem_of_status(s))->status, 400);
    }
    ck_assert_int_eq(problem_of_status(STATUS_STORAGE), PROBLEM_STORAGE_UNAVAILABLE);
    ck_assert_int_eq(problem_of_status(STATUS_BUSY), PROBLEM_OVERLOADED);
    ck_assert_int_eq(problem_of_code("no_such_code"), PROBLEM_INTERNAL);
}
END_TEST

/* --- JSON --- */

START_TEST(json_is_written_as_it_is_read) {
    struct json_out o;
    json_out_init(&o, &arena, 0); /* grows from nothing */
    json_out_object(&o, NULL);
    json_out_text(&o, "text", "a\"b\\c\x1f\xc3\xa9");
    json_out_text(&o, "none", NULL);
    json_out_text_or_null(&o, "empty", "");
    json_out_int(&o, "int", INT64_MIN);
    json_out_bool(&o, "yes", true);
    json_out_time(&o, "time", 0);
    json_out_time_or_null(&o, "never", 0);
    json_out_time_ms(&o, "ms", 1007);
    json_out_base64(&o, "base64", bytes_of("\x00\xff", 2));
    json_out_base64(&o, "nothing", (struct bytes){NULL, 0});
    json_out_hex(&o, "hex", bytes_of("\x00\xff", 2));
    json_out_raw(&o, "raw", bytes_of_text("[1,2]"));
    json_out_array(&o, "array");
    json_out_int(&o, NULL, 1);
    json_out_object(&o, NULL);
    json_out_object_end(&o);
    json_out_array(&o, NULL);
    json_out_array_end(&o);
    json_out_array_end(&o);
    json_out_object_end(&o);
    json_t *json = parse(json_out_end(&o));
    json_t *want = json_loads(
        "{\"text\":\"a\\\"b\\\\c\\u001f\\u00e9\",\"none\":null,\"empty\":null,"
        "\"int\":-9223372036854775808,\"yes\":true,\"time\":\"1970-01-01T00:00:00Z\","
        "\"never\":null,\"ms\":\"1970-01-01T00:00:01.007Z\",\"base64\":\"AP8=\",\"nothing\":\"\","
        "\"hex\":\"00ff\",\"raw\":[1,2],\"array\":[1,{},[]]}",
        0, NULL);
    ck_assert(json_equal(json, want));
    json_decref(json);
    json_decref(want);
}
END_TEST

static const struct {
    const char *text, *read;
} utf8[] = {
    {"\xc3\xa9", "\xc3\xa9"},
    {"\xe2\x82\xac", "\xe2\x82\xac"},
    {"\xf0\x9f\x94\x91", "\xf0\x9f\x94\x91"},
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
    {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* a surrogate */
    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* over U+10FFFF */
    {"\xc3", "\xef\xbf\xbd"},                                                 /* cut off */
    {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\x80", "\xef\xbf\xbd"},
    {"\x7f", "\x7f"},
};

START_TEST(what_is_not_utf8_is_replaced) {
    struct json_out o;
    json_out_init(&o, &arena, 8);
    json_out_text(&o, NULL, utf8[_i].text);
    json_t *json = parse(json_out_end(&o));
    ck_assert_str_eq(json_string_value(json), utf8[_i].read);
    json_decref(json);
}
END_TEST

START_TEST(json_that_does_not_fit_is_no_json) {
    struct json_out o;
    arena_free(&arena);
    arena_init(&arena, 600);
    json_out_init(&o, &arena, 16);
    for (int i = 0; i < 1000; i++) {
        json_out_text(&o, "name", "value");
    }
    ck_assert(o.failed);
    ck_assert_uint_eq(json_out_end(&o).len, 0);
}
END_TEST

/* --- how often an address may ask --- */

START_TEST(an_address_may_ask_as_often_as_is_allowed) {
    struct limiter *limiter;
    ck_assert(limiter_new(&limiter, 5) == STATUS_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert(limiter_take(limiter, "192.0.2.1", 1000));
    }
    ck_assert(!limiter_take(limiter, "192.0.2.1", 1000));
    ck_assert(limiter_take(limiter, "192.0.2.2", 1000)); /* others are not held up */
    ck_assert(!limiter_take(limiter, "192.0.2.1", 12999));
    ck_assert(limiter_take(limiter, "192.0.2.1", 13000)); /* one every 12 s */
    ck_assert(!limiter_take(limiter, "192.0.2.1", 13001));
    ck_assert(limiter_take(limiter, "192.0.2.1", 10000000)); /* never more than five at once */
    for (int i = 0; i < 4; i++) {
        ck_assert(limiter_take(limiter, "192.0.2.1", 10000000));
    }
    ck_assert(!limiter_take(limiter, "192.0.2.1", 10000000));
    ck_assert(!limiter_take(limiter, "192.0.2.1", 5)); /* a clock that goes back gives nothing */
    limiter_free(limiter);
}
END_TEST

START_TEST(an_ipv6_network_counts_as_one_address) {
    struct limiter *limiter;
    ck_assert(limiter_new(&limiter, 1) == STATUS_OK);
    ck_assert(limiter_take(limiter, "2001:db8::1", 0));
    ck_assert(!limiter_take(limiter, "2001:db8::2", 0));
    ck_assert(!limiter_take(limiter, "2001:db8:0:0:ffff::9", 0));
    ck_assert(limiter_take(limiter, "2001:db8:0:1::1", 0));
    ck_assert(limiter_take(limiter, "::ffff:192.0.2.1", 0));
    ck_assert(limiter_take(limiter, "::ffff:192.0.2.2", 0));
    limiter_free(limiter);
}
END_TEST

START_TEST(many_addresses_do_not_grow_the_table) {
    struct limiter *limiter;
    char address[32];
    ck_assert(limiter_new(&limiter, 1) == STATUS_OK);
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        ck_assert(limiter_take(limiter, address, i));
    }
    ck_assert(!limiter_take(limiter, address, 100000));
    limiter_free(limiter);
}
END_TEST

START_TEST(no_limit_is_no_limit) {
    struct limiter *limiter;
    ck_assert(limiter_new(&limiter, 0) == STATUS_OK);
    for (int i = 0; i < 1000; i++) {
        ck_assert(limiter_take(limiter, "192.0.2.1", 0));
    }
    limiter_free(limiter);
    limiter_free(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("problem");
    TCase *t = tcase_create("problem");
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_loop_test(t, every_problem_has_a_code_a_title_and_a_status, 0, NUM_PROBLEMS);
    tcase_add_test(t, a_problem_says_what_rfc_9457_asks_for);
    tcase_add_test(t, a_problem_that_passes_says_when_to_come_back);
    tcase_add_test(t, a_detail_cannot_break_out_of_its_text);
    tcase_add_loop_test(t, without_memory_the_answer_is_still_a_problem, 0, 600);
    tcase_add_test(t, no_status_of_ours_becomes_a_success);
    tcase_add_test(t, json_is_written_as_it_is_read);
    tcase_add_loop_test(t, what_is_not_utf8_is_replaced, 0, sizeof utf8 / sizeof utf8[0]);
    tcase_add_test(t, json_that_does_not_fit_is_no_json);
    tcase_add_test(t, an_address_may_ask_as_often_as_is_allowed);
    tcase_add_test(t, an_ipv6_network_counts_as_one_address);
    tcase_add_test(t, many_addresses_do_not_grow_the_table);
    tcase_add_test(t, no_limit_is_no_limit);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

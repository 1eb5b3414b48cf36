#include "api/json_reader.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

static void start(void) {
    arena_init(&arena, 1 << 16);
}

static void end(void) {
    arena_free(&arena);
}

/* One string, which is the whole input, in memory of exactly its size. */
static enum status take(const char *json, size_t len, char *out) {
    char *copy = malloc(len > 0 ? len : 1);
    struct bytes text;
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, json, len);
    struct json_reader reader = json_reader_of(bytes_of(copy, len), &arena);
    enum status status = json_reader_string(&reader, &text);
    if (status == STATUS_OK && !json_reader_at_end(&reader)) {
        status = STATUS_MALFORMED;
    }
    if (status == STATUS_OK) {
        memcpy(out, text.data, text.len);
        out[text.len] = '\0';
    }
    free(copy);
    return status;
}

START_TEST(string_is_unescaped) {
    static const char *const texts[][2] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {" \t\r\n\"space\" \n", "space"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"a\\u0041\\u00e9\\u20AC\"", "aA\xc3\xa9\xe2\x82\xac"},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\\\\\"", "\\"},
        {"\"\\\\u0041\"", "\\u0041"},
        {"\"\xc3\xa9\"", "\xc3\xa9"},
    };
    char out[64];
    ck_assert_int_eq(take(texts[_i][0], strlen(texts[_i][0]), out), STATUS_OK);
    ck_assert_str_eq(out, texts[_i][1]);
}
END_TEST

static const char *const wrong[] = {"",
                                    "\"",
                                    "x",
                                    "\"a",
                                    "\"a\\\"",
                                    "\"\\",
                                    "\"\\x\"",
                                    "\"\\u\"",
                                    "\"\\u12\"",
                                    "\"\\u123g\"",
                                    "\"\\u0000\"",
                                    "\"\\ud800\"",
                                    "\"\\udc00\"",
                                    "\"\\ud800x\"",
                                    "\"\\ud800\\u0041\"",
                                    "\"\\ud800\\n\"",
                                    "\"a\" x",
                                    "'a'",
                                    "\"\\U0041\"",
                                    "\"\\u 041\""};

START_TEST(string_of_another_spelling_is_refused) {
    char out[64];
    ck_assert_int_eq(take(wrong[_i], strlen(wrong[_i]), out), STATUS_MALFORMED);
}
END_TEST

START_TEST(string_with_escapes_is_refused_without_memory) {
    struct arena none;
    struct bytes text;
    arena_init(&none, 0);
    struct json_reader reader = json_reader_of(bytes_of_text("\"\\n\""), &none);
    ck_assert_int_eq(json_reader_string(&reader, &text), STATUS_MEMORY);
    reader = json_reader_of(bytes_of_text("\"n\""), &none);
    ck_assert_int_eq(json_reader_string(&reader, &text), STATUS_OK);
    arena_free(&none);
}
END_TEST

START_TEST(object_gives_each_key_and_its_end) {
    struct json_reader reader =
        json_reader_of(bytes_of_text(" { \"a\" : \"1\" , \"b\":{ } } "), &arena);
    struct bytes key, value;
    unsigned num = 0, inner = 0;
    ck_assert_int_eq(json_reader_peek(&reader), JSON_IS_OBJECT);
    ck_assert_int_eq(json_reader_enter(&reader), STATUS_OK);
    ck_assert_int_eq(json_reader_next(&reader, &num, &key), STATUS_OK);
    ck_assert(bytes_equal(key, bytes_of_text("a")));
    ck_assert_int_eq(json_reader_peek(&reader), JSON_IS_STRING);
    ck_assert_int_eq(json_reader_string(&reader, &value), STATUS_OK);
    ck_assert_int_eq(json_reader_next(&reader, &num, &key), STATUS_OK);
    ck_assert_int_eq(json_reader_enter(&reader), STATUS_OK);
    ck_assert_int_eq(json_reader_next(&reader, &inner, &key), STATUS_END);
    ck_assert_int_eq(json_reader_next(&reader, &num, &key), STATUS_END);
    ck_assert(json_reader_at_end(&reader));
    ck_assert_uint_eq(num, 2);
}
END_TEST

START_TEST(object_of_another_spelling_is_refused) {
    static const char *const objects[] = {"{",
                                          "{\"a\"",
                                          "{\"a\":",
                                          "{\"a\"}",
                                          "{,}",
                                          "{\"a\":\"\",}",
                                          "{\"a\":\"\"\"b\":\"\"}",
                                          "{a:\"\"}",
                                          "{]",
                                          "{\"a\":\"\"]"};
    struct json_reader reader = json_reader_of(bytes_of_text(objects[_i]), &arena);
    struct bytes key, value;
    unsigned num = 0;
    enum status status = json_reader_enter(&reader);
    while (status == STATUS_OK) {
        status = json_reader_next(&reader, &num, &key);
        if (status == STATUS_OK) {
            status = json_reader_string(&reader, &value);
        }
    }
    ck_assert_int_eq(status, STATUS_MALFORMED);
}
END_TEST

START_TEST(kinds_are_told_by_their_first_character) {
    static const struct {
        const char *text;
        enum json_kind kind;
    } kinds[] = {{"{", JSON_IS_OBJECT},   {" \"", JSON_IS_STRING}, {"[", JSON_IS_OTHER},
                 {"-1", JSON_IS_NUMBER},  {"7", JSON_IS_NUMBER},   {"true", JSON_IS_OTHER},
                 {"null", JSON_IS_OTHER}, {"", JSON_NOTHING},      {" ", JSON_NOTHING},
                 {"}", JSON_NOTHING},     {",", JSON_NOTHING},     {"x", JSON_NOTHING}};
    struct json_reader reader = json_reader_of(bytes_of_text(kinds[_i].text), &arena);
    ck_assert_int_eq(json_reader_peek(&reader), kinds[_i].kind);
}
END_TEST

START_TEST(counts_are_whole_numbers_in_digits) {
    static const struct {
        const char *text;
        enum status status;
        uint32_t value;
    } counts[] = {{"0", STATUS_OK, 0},
                  {" 17,", STATUS_OK, 17},
                  {"4294967295}", STATUS_OK, UINT32_MAX},
                  {"4294967296", STATUS_LIMIT, 9},
                  {"99999999999999999999999", STATUS_LIMIT, 9},
                  {"-1", STATUS_MALFORMED, 9},
                  {"01", STATUS_MALFORMED, 9},
                  {"00", STATUS_MALFORMED, 9},
                  {"1.0", STATUS_MALFORMED, 9},
                  {"1e2", STATUS_MALFORMED, 9},
                  {"1E2", STATUS_MALFORMED, 9},
                  {"", STATUS_MALFORMED, 9},
                  {"x", STATUS_MALFORMED, 9}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct json_reader reader = json_reader_of(bytes_of_text(counts[i].text), &arena);
        uint32_t value = 9;
        ck_assert_int_eq(json_reader_count(&reader, &value), counts[i].status);
        ck_assert_uint_eq(value, counts[i].value);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("json reader");
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_loop_test(tests, string_is_unescaped, 0, 9);
    tcase_add_loop_test(tests, string_of_another_spelling_is_refused, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tests, string_with_escapes_is_refused_without_memory);
    tcase_add_test(tests, object_gives_each_key_and_its_end);
    tcase_add_loop_test(tests, object_of_another_spelling_is_refused, 0, 10);
    tcase_add_loop_test(tests, kinds_are_told_by_their_first_character, 0, 12);
    tcase_add_test(tests, counts_are_whole_numbers_in_digits);
    Suite *suite = suite_create("api: json reader");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* RFC 8785, as far as documents of ours go. */
#include "server/appraisal/canonical.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

static void start(void) {
    arena_init(&arena, 1 << 20);
}
static void stop(void) {
    arena_free(&arena);
}

static const struct {
    const char *in, *out;
} same[] = {
    {"{}", "{}"},
    {" [ ] ", "[]"},
    {"{ \"b\" : 1 , \"a\" : [ true , false , null ] }", "{\"a\":[true,false,null],\"b\":1}"},
    {"{\"\":0,\"a\":{\"z\":-0,\"y\":-12}}", "{\"\":0,\"a\":{\"y\":-12,\"z\":0}}"},
    {"[9007199254740991,-9007199254740991]", "[9007199254740991,-9007199254740991]"},
    {"\"\\u0041\\/\\u00e9\"", "\"A/\u00e9\""},
    {"\"\\b\\t\\n\\f\\r\\\"\\\\\\u0001\\u001F\\u007f\"",
     "\"\\b\\t\\n\\f\\r\\\"\\\\\\u0001\\u001f\x7f\""},
    /* RFC 8785, 3.2.3: names sort by UTF-16 code units, so that U+1F600 stands before U+FB33. */
    {"{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,"
     "\"\\u00f6\":7}",
     "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\u00f6\":7,\"\u20ac\":1,\"\U0001F600\":5,\"\uFB33\":3}"},
    {"{\"aa\":1,\"a\":2,\"ab\":3}", "{\"a\":2,\"aa\":1,\"ab\":3}"},
};

START_TEST(canonical_form_is_that_of_the_rfc_and_its_own) {
    struct bytes once = {0}, twice = {0};
    ck_assert_int_eq(canonical_json(&once, &arena, bytes_of_text(same[_i].in), NULL), STATUS_OK);
    ck_assert_msg(bytes_equal(once, bytes_of_text(same[_i].out)), "%.*s", (int)once.len,
                  (const char *)once.data);
    ck_assert_int_eq(canonical_json(&twice, &arena, once, NULL), STATUS_OK);
    ck_assert(bytes_equal(once, twice));
}
END_TEST

START_TEST(canonical_form_is_refused_where_there_is_not_one) {
    static const char *const cases[] = {"",
                                        "{",
                                        "{\"a\":1,\"a\":1}",
                                        "1.5",
                                        "1e3",
                                        "9007199254740992",
                                        "-9007199254740992",
                                        "99999999999999999999",
                                        "\"\\u0000\"",
                                        "\"\\ud800\"",
                                        "\"\xff\"",
                                        "{} {}",
                                        "nul"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes out = {0};
        struct detail detail = {0};
        ck_assert_msg(canonical_json(&out, &arena, bytes_of_text(cases[i]), &detail) ==
                          STATUS_MALFORMED,
                      "%s", cases[i]);
        ck_assert_ptr_null(out.data);
        ck_assert_str_ne(detail.text, "");
    }
}
END_TEST

START_TEST(canonical_form_of_what_is_too_deep_is_refused) {
    char text[101];
    struct bytes out = {0};
    memset(text, '[', 50);
    memset(text + 50, ']', 50);
    text[100] = '\0';
    ck_assert_int_eq(canonical_json(&out, &arena, bytes_of_text(text), NULL), STATUS_LIMIT);
}
END_TEST

START_TEST(canonical_form_needs_memory) {
    struct arena small;
    struct bytes out = {0};
    arena_init(&small, 8);
    ck_assert_int_eq(canonical_json(&out, &small, bytes_of_text("{\"a\":[1,2,3]}"), NULL),
                     STATUS_MEMORY);
    arena_free(&small);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("canonical JSON");
    TCase *tests = tcase_create("canonical");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_loop_test(tests, canonical_form_is_that_of_the_rfc_and_its_own, 0,
                        sizeof same / sizeof *same);
    tcase_add_test(tests, canonical_form_is_refused_where_there_is_not_one);
    tcase_add_test(tests, canonical_form_of_what_is_too_deep_is_refused);
    tcase_add_test(tests, canonical_form_needs_memory);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

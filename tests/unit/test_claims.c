/* The reader of claims: what it takes, and that what it refuses is not touched. */
#include "server/credential/claims.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct claims claims;

static enum status claims_of(const char *json) {
    memset(&claims, 0x55, sizeof claims);
    struct claims before = claims;
    enum status status = claims_read(&claims, bytes_of_text(json));
    if (status != STATUS_OK) {
        ck_assert_int_eq(memcmp(&before, &claims, sizeof claims), 0);
    }
    return status;
}

static const char *const good[] = {
    "{}",
    "{\"a\":1}",
    "{\"a\":\"\",\"b\":[],\"c\":{},\"d\":true,\"e\":false,\"f\":null}",
    "{\"a\":-0.5e+10,\"b\":0,\"c\":1E5,\"d\":10.25}",
    "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\",\"b\":\"\xc3\xa4\"}",
    "{\"a\":[1,[2,[3,{\"a\":{\"a\":4}}]]],\"b\":{\"a\":1,\"a\":2}}",
    "{\"\":1}",
};

START_TEST(compact_objects_are_taken) {
    ck_assert_int_eq(claims_of(good[_i]), STATUS_OK);
}
END_TEST

static const char *const bad[] = {
    "",
    "{",
    "}",
    "[]",
    "1",
    "null",
    "\"a\"",
    "{}x",
    "{} ",
    " {}",
    "{}{}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\":1",
    "{\"a\":1 }",
    "{ \"a\":1}",
    "{\"a\" :1}",
    "{\"a\": 1}",
    "{a:1}",
    "{'a':1}",
    "{\"a\":1\"b\":2}",
    "{\"a\":1,\"a\":2}",
    "{\"\\u0061\":1}",
    "{\"a\\n\":1}",
    "{\"a\":01}",
    "{\"a\":+1}",
    "{\"a\":1.}",
    "{\"a\":.5}",
    "{\"a\":1e}",
    "{\"a\":1e+}",
    "{\"a\":-}",
    "{\"a\":NaN}",
    "{\"a\":tru}",
    "{\"a\":True}",
    "{\"a\":nullx}",
    "{\"a\":0x1}",
    "{\"a\":\"}",
    "{\"a\":\"\\\"}",
    "{\"a\":\"\\x\"}",
    "{\"a\":\"\\u12\"}",
    "{\"a\":\"\\u12g4\"}",
    "{\"a\":\"\n\"}",
    "{\"a\":\"\x1f\"}",
    "{\"a\":\"\xc3\"}",
    "{\"a\":\"\xff\"}",
    "{\"a\":\"\xed\xa0\x80\"}",
    "{\"a\":[}",
    "{\"a\":[1,]}",
    "{\"a\":[1 ,2]}",
    "{\"a\":[1]]}",
    "{\"a\":{\"b\"}}",
    "{\"a\":{\"b\":1,}}",
    "{\"a\":{1:2}}",
    "{\"a\":[1}}",
    "{\"a\":/**/1}",
};

START_TEST(whatever_else_is_malformed) {
    ck_assert_int_eq(claims_of(bad[_i]), STATUS_MALFORMED);
}
END_TEST

START_TEST(every_prefix_of_claims_is_malformed) {
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (size_t len = 0; len < strlen(good[i]); len++) {
            uint8_t *exact = malloc(len > 0 ? len : 1);
            ck_assert_ptr_nonnull(exact);
            memcpy(exact, good[i], len);
            ck_assert_int_eq(claims_read(&claims, bytes_of(exact, len)), STATUS_MALFORMED);
            free(exact);
        }
    }
}
END_TEST

START_TEST(a_zero_byte_is_malformed) {
    ck_assert_int_eq(claims_read(&claims, bytes_of("{\"a\":\"\0\"}", 9)), STATUS_MALFORMED);
}
END_TEST

static const char *nested(int depth) {
    static char text[4096];
    size_t len = (size_t)sprintf(text, "{\"a\":");
    memset(text + len, '[', (size_t)depth);
    memset(text + len + depth, ']', (size_t)depth);
    memcpy(text + len + 2 * depth, "}", 2);
    return text;
}

START_TEST(depth_and_number_have_their_limits) {
    char text[1024] = "{";
    ck_assert_int_eq(claims_of(nested(CLAIMS_MAX_DEPTH)), STATUS_OK);
    ck_assert_int_eq(claims_of(nested(CLAIMS_MAX_DEPTH + 1)), STATUS_LIMIT);
    ck_assert_int_eq(claims_of(nested(2000)), STATUS_LIMIT);
    for (int i = 0; i < CLAIMS_MAX; i++) {
        (void)sprintf(text + strlen(text), "\"%d\":1%s", i, i + 1 < CLAIMS_MAX ? "," : "}");
    }
    ck_assert_int_eq(claims_of(text), STATUS_OK);
    ck_assert_uint_eq(claims.num, CLAIMS_MAX);
    (void)sprintf(text + strlen(text) - 1, ",\"more\":1}");
    ck_assert_int_eq(claims_of(text), STATUS_LIMIT);
}
END_TEST

START_TEST(claims_are_found_by_their_whole_name_at_the_top) {
    ck_assert_int_eq(
        claims_of("{\"is\":1,\"a\":{\"iss\":\"x\"},\"t\":\"a\\u0062\",\"e\":\"\",\"o\":{}}"),
        STATUS_OK);
    ck_assert_uint_eq(claims_find(&claims, "iss").len, 0);
    ck_assert_uint_eq(claims_find(&claims, "i").len, 0);
    ck_assert(bytes_equal(claims_find(&claims, "a"), bytes_of_text("{\"iss\":\"x\"}")));
    ck_assert(!claims_is_text(&claims, "t", "ab")); /* another spelling */
    ck_assert(!claims_is_text(&claims, "is", "1"));
    ck_assert(claims_is_text(&claims, "e", "") && !claims_has_text(&claims, "e"));
    ck_assert(claims_has_text(&claims, "t") && !claims_has_text(&claims, "none"));
    ck_assert(claims_has_object(&claims, "o") && !claims_has_object(&claims, "t"));
    ck_assert(!claims_has_object(&claims, "none"));
}
END_TEST

static const struct {
    const char *value;
    enum status status;
    int64_t number;
} numbers[] = {
    {"0", STATUS_OK, 0},
    {"-7", STATUS_OK, -7},
    {"999999999999999999", STATUS_OK, 999999999999999999},
    {"1000000000000000000", STATUS_MALFORMED, 0},
    {"1.0", STATUS_MALFORMED, 0},
    {"1e3", STATUS_MALFORMED, 0},
    {"\"1\"", STATUS_MALFORMED, 0},
    {"true", STATUS_MALFORMED, 0},
    {"[1]", STATUS_MALFORMED, 0},
    {"null", STATUS_MALFORMED, 0},
};

START_TEST(an_integer_is_read_whole_or_not_at_all) {
    char text[64];
    int64_t number = 42;
    (void)snprintf(text, sizeof text, "{\"n\":%s}", numbers[_i].value);
    ck_assert_int_eq(claims_of(text), STATUS_OK);
    ck_assert_int_eq(claims_integer(&claims, "n", &number), numbers[_i].status);
    ck_assert_int_eq(number, numbers[_i].status == STATUS_OK ? numbers[_i].number : 42);
    ck_assert_int_eq(claims_integer(&claims, "m", &number), STATUS_NOT_FOUND);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("claims");
    tcase_add_loop_test(tests, compact_objects_are_taken, 0, (int)(sizeof good / sizeof good[0]));
    tcase_add_loop_test(tests, whatever_else_is_malformed, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(tests, every_prefix_of_claims_is_malformed);
    tcase_add_test(tests, a_zero_byte_is_malformed);
    tcase_add_test(tests, depth_and_number_have_their_limits);
    tcase_add_test(tests, claims_are_found_by_their_whole_name_at_the_top);
    tcase_add_loop_test(tests, an_integer_is_read_whole_or_not_at_all, 0,
                        (int)(sizeof numbers / sizeof numbers[0]));
    Suite *suite = suite_create("claims");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

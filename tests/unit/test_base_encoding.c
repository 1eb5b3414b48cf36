#include "server/base/encoding.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

static void open_arena(void) {
    arena_init(&arena, 1U << 24);
}

static void close_arena(void) {
    arena_free(&arena);
}

static enum status decode(const char *text, struct bytes *out) {
    return base64_decode_arena(&arena, out, text, strlen(text), NULL);
}

START_TEST(hex_round_trips_every_byte) {
    uint8_t all[256], back[256];
    char text[513];
    for (size_t i = 0; i < 256; i++) {
        all[i] = (uint8_t)i;
    }
    hex_encode(text, bytes_of(all, 256));
    ck_assert_uint_eq(strlen(text), 512);
    ck_assert_int_eq(hex_decode(back, 256, text), STATUS_OK);
    ck_assert_mem_eq(all, back, 256);
    hex_encode(text, (struct bytes){NULL, 0});
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(hex_takes_lower_case_digits_only) {
    char text[3] = "00";
    for (int place = 0; place < 2; place++) {
        for (int c = 1; c < 256; c++) {
            text[0] = text[1] = '0';
            text[place] = (char)c;
            uint8_t out = 0x77;
            bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            ck_assert_int_eq(hex_decode(&out, 1, text), digit ? STATUS_OK : STATUS_MALFORMED);
            ck_assert(digit || out == 0x77);
        }
    }
}
END_TEST

START_TEST(hex_of_another_length_is_refused_and_nothing_written) {
    static const char *const wrong[] = {"", "0", "000", "00000", "0000 ", " 0000", "000000"};
    uint8_t out[2] = {9, 9};
    ck_assert_int_eq(hex_decode(out, 2, wrong[_i]), STATUS_MALFORMED);
    ck_assert(out[0] == 9 && out[1] == 9);
}
END_TEST

START_TEST(hex_into_the_arena_takes_both_cases) {
    struct bytes out;
    ck_assert_int_eq(hex_decode_arena(&arena, &out, "0aFFeE"), STATUS_OK);
    ck_assert(bytes_equal(out, bytes_of("\x0a\xff\xee", 3)));
    ck_assert_int_eq(hex_decode_arena(&arena, &out, ""), STATUS_OK);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(hex_into_the_arena_refuses_what_is_not_pairs_of_digits) {
    static const char *const wrong[] = {"0", "0g", "0G", "0x00", "00 00", "@0", "`0", "0:", "0/"};
    struct bytes out = {NULL, 77};
    ck_assert_int_eq(hex_decode_arena(&arena, &out, wrong[_i]), STATUS_MALFORMED);
    ck_assert_uint_eq(out.len, 77);
}
END_TEST

START_TEST(hex_over_the_cap_is_out_of_memory) {
    arena_init(&arena, 4);
    struct bytes out = {NULL, 77};
    ck_assert_int_eq(hex_decode_arena(&arena, &out, "00112233"), STATUS_MEMORY);
    ck_assert_uint_eq(out.len, 77);
}
END_TEST

/* RFC 4648, section 10. */
static const struct {
    const char *plain, *text;
} known[] = {{"", ""},
             {"f", "Zg=="},
             {"fo", "Zm8="},
             {"foo", "Zm9v"},
             {"foob", "Zm9vYg=="},
             {"fooba", "Zm9vYmE="},
             {"foobar", "Zm9vYmFy"}};

START_TEST(base64_agrees_with_the_test_vectors) {
    char *text = base64_encode_arena(&arena, bytes_of_text(known[_i].plain));
    ck_assert_str_eq(text, known[_i].text);
    ck_assert_uint_eq(base64_encoded_size(strlen(known[_i].plain)), strlen(text) + 1);
    struct bytes out;
    ck_assert_int_eq(decode(known[_i].text, &out), STATUS_OK);
    ck_assert(bytes_equal(out, bytes_of_text(known[_i].plain)));
}
END_TEST

START_TEST(base64_round_trips_every_length) {
    uint8_t data[200];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 151 + 7);
    }
    for (size_t len = 0; len <= sizeof data; len++) {
        char *text = base64_encode_arena(&arena, bytes_of(data, len));
        struct bytes out;
        ck_assert_int_eq(decode(text, &out), STATUS_OK);
        ck_assert(bytes_equal(out, bytes_of(data, len)));
    }
}
END_TEST

static bool is_digit(char c) {
    return c != '\0' &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", c) != NULL;
}

/* Every group of four characters of a chosen alphabet (all digits in the places that carry trailing
 * bits): it decodes exactly when encoding gives it back. */
START_TEST(base64_takes_one_spelling_of_each_value) {
    static const char some[] = "AQgwZz09+/=-_ \n\t.@[`{:\x80";
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    unsigned taken = 0, refused = 0;
    for (const char *a = some; *a != '\0'; a++) {
        for (const char *b = all; *b != '\0'; b++) {
            for (const char *c = all; *c != '\0'; c++) {
                for (const char *d = some; *d != '\0'; d++) {
                    char text[5] = {*a, *b, *c, *d, '\0'}, again[5];
                    struct bytes out = {NULL, 0};
                    arena_free(&arena);
                    enum status status = decode(text, &out);
                    if (status == STATUS_OK) {
                        base64_encode(again, out);
                        ck_assert_str_eq(again, text);
                        taken++;
                    } else {
                        ck_assert_int_eq(status, STATUS_MALFORMED);
                        ck_assert(out.data == NULL && out.len == 0);
                        /* Refused for a reason. */
                        bool whole = is_digit(*a) && is_digit(*b) && is_digit(*c) && is_digit(*d);
                        ck_assert_msg(!whole, "%s was refused", text);
                        refused++;
                    }
                }
            }
        }
    }
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_gt(refused, taken / 10);
}
END_TEST

START_TEST(base64_refuses_each_byte_that_is_no_digit_in_each_place) {
    for (int place = 0; place < 8; place++) {
        for (int c = 0; c < 256; c++) {
            char text[9] = "AAAAAAAA";
            text[place] = (char)c;
            struct bytes out;
            arena_free(&arena);
            enum status status = base64_decode_arena(&arena, &out, text, 8, NULL);
            bool last = place == 7 && c == '=';
            ck_assert_int_eq(status, last || is_digit((char)c) ? STATUS_OK : STATUS_MALFORMED);
        }
    }
}
END_TEST

static const char *const wrong64[] = {
    "A",     "AA",   "AAA",  "AAAAA",     "=",    "==",       "====",     "A===",
    "AA=A",  "=AAA", "A=AA", "AB==",      "AAB=", "AA==AAAA", "AAA=AAAA", "AAAA====",
    "AAAA=", "AA-A", "AA_A", "AAAA\nAAA", " AAA", "AAA ",     "AAAAA===", "AAAA A==",
};

START_TEST(base64_refuses_other_spellings) {
    struct bytes out = {NULL, 77};
    ck_assert_int_eq(decode(wrong64[_i], &out), STATUS_MALFORMED);
    ck_assert_uint_eq(out.len, 77);
}
END_TEST

START_TEST(base64_names_the_offset) {
    struct bytes out;
    struct detail detail = {0};
    ck_assert_int_eq(base64_decode_arena(&arena, &out, "AAAAAA!A", 8, &detail), STATUS_MALFORMED);
    ck_assert_str_eq(detail.text, "not base64 at offset 4");
}
END_TEST

static const struct {
    const char *plain, *text;
} url64[] = {
    {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "_---"},
    {"\xfb\xff", "-_8"}};

START_TEST(base64url_is_unpadded_and_safe_in_urls) {
    uint8_t out[16];
    struct writer w = writer_of(out, sizeof out);
    struct bytes plain = bytes_of_text(url64[_i].plain);
    base64url_write(&w, plain);
    ck_assert(bytes_equal(writer_bytes(&w), bytes_of_text(url64[_i].text)));
    ck_assert_uint_eq(base64url_encoded_len(plain.len), w.len);
    ck_assert(base64url_is_valid(writer_bytes(&w)));
    w = writer_of(out, plain.len); /* as base64 is longer, it does not fit */
    base64url_write(&w, plain);
    ck_assert_int_eq(w.overflow, plain.len > 0);
}
END_TEST

static const char *const wrong_url64[] = {"A",
                                          "AAAAA",
                                          "Zg==",
                                          "Zh",
                                          "Zm9",
                                          "Zm8=",
                                          "AA+A",
                                          "AA/A",
                                          "AA A",
                                          "AA.A",
                                          "AA\n",
                                          "=",
                                          "\xc3\xa4"
                                          "AA"};

START_TEST(base64url_refuses_other_spellings) {
    ck_assert(!base64url_is_valid(bytes_of_text(wrong_url64[_i])));
}
END_TEST

START_TEST(base64_over_the_cap_is_out_of_memory) {
    arena_init(&arena, 15);
    struct bytes out = {NULL, 77};
    ck_assert_int_eq(decode("AAAAAAAAAAAAAAAAAAAAAAAA", &out), STATUS_MEMORY);
    ck_assert_uint_eq(out.len, 77);
    ck_assert_ptr_null(base64_encode_arena(&arena, bytes_of("0123456789abcdef", 16)));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("encoding");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_arena, close_arena);
    tcase_add_test(tests, hex_round_trips_every_byte);
    tcase_add_test(tests, hex_takes_lower_case_digits_only);
    tcase_add_loop_test(tests, hex_of_another_length_is_refused_and_nothing_written, 0, 7);
    tcase_add_test(tests, hex_into_the_arena_takes_both_cases);
    tcase_add_loop_test(tests, hex_into_the_arena_refuses_what_is_not_pairs_of_digits, 0, 9);
    tcase_add_test(tests, hex_over_the_cap_is_out_of_memory);
    tcase_add_loop_test(tests, base64_agrees_with_the_test_vectors, 0, 7);
    tcase_add_test(tests, base64_round_trips_every_length);
    tcase_add_test(tests, base64_takes_one_spelling_of_each_value);
    tcase_add_test(tests, base64_refuses_each_byte_that_is_no_digit_in_each_place);
    tcase_add_loop_test(tests, base64_refuses_other_spellings, 0,
                        (int)(sizeof wrong64 / sizeof wrong64[0]));
    tcase_add_test(tests, base64_names_the_offset);
    tcase_add_test(tests, base64_over_the_cap_is_out_of_memory);
    tcase_add_loop_test(tests, base64url_is_unpadded_and_safe_in_urls, 0,
                        (int)(sizeof url64 / sizeof url64[0]));
    tcase_add_loop_test(tests, base64url_refuses_other_spellings, 0,
                        (int)(sizeof wrong_url64 / sizeof wrong_url64[0]));
    Suite *suite = suite_create("base: encoding");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

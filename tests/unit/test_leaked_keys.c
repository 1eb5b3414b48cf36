/* The list of leaked platform keys. */
#include "server/appraisal/leaked_keys.h"

#include "server/base/encoding.h"
#include "server/crypto/digest.h"
#include "tests/unit/real_data.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

START_TEST(leaked_keys_compiled_in_name_their_source_and_stand_once) {
    size_t num;
    const struct leaked_key *key = leaked_keys_compiled_in(&num);
    ck_assert_uint_gt(num, 4);
    for (size_t i = 0; i < num; i++) {
        ck_assert_str_ne(key[i].source, "");
        ck_assert_str_ne(key[i].subject, "");
        ck_assert(!bytes_all(bytes_of(key[i].sha1, sizeof key[i].sha1), 0));
        for (size_t j = 0; j < i; j++) {
            ck_assert_mem_ne(key[i].sha1, key[j].sha1, sizeof key[i].sha1);
        }
    }
}
END_TEST

START_TEST(leaked_keys_compiled_in_are_found_by_sha256) {
    size_t num;
    const struct leaked_key *key = leaked_keys_compiled_in(&num);
    unsigned found = 0;
    for (size_t i = 0; i < num; i++) {
        if (!bytes_all(bytes_of(key[i].sha256, 32), 0)) {
            ck_assert_ptr_eq(leaked_key_find(NULL, key[i].sha256, (struct bytes){0}), &key[i]);
            found++;
        }
    }
    ck_assert_uint_ge(found, 4);
}
END_TEST

START_TEST(an_entry_without_a_sha256_is_not_met_by_zeros_nor_by_an_absent_certificate) {
    static const uint8_t zeros[32];
    ck_assert_ptr_null(leaked_key_find(NULL, zeros, (struct bytes){0}));
    ck_assert_ptr_null(leaked_key_find(NULL, zeros, bytes_of_text("no certificate")));
}
END_TEST

START_TEST(keys_that_were_added_are_found_and_no_others) {
    const struct leaked_key key[] = {{.sha256 = {1}, .subject = "CN=one", .source = "here"},
                                     {.sha256 = {2}, .subject = "", .source = "here"},
                                     {.sha256 = {7}, .subject = "CN=seven", .source = "here"}};
    const struct leaked_keys more = {key, 3}, none = {NULL, 0};
    uint8_t sha256[32] = {0};
    for (unsigned i = 0; i < 9; i++) {
        sha256[0] = (uint8_t)i;
        const struct leaked_key *expected = i == 1   ? &key[0]
                                            : i == 2 ? &key[1]
                                            : i == 7 ? &key[2]
                                                     : NULL;
        ck_assert_ptr_eq(leaked_key_find(&more, sha256, (struct bytes){0}), expected);
        ck_assert_ptr_null(leaked_key_find(&none, sha256, (struct bytes){0}));
        ck_assert_ptr_null(leaked_key_find(NULL, sha256, (struct bytes){0}));
    }
}
END_TEST

/* --- lists of others --- */

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

static struct arena arena;

static enum status read_text(struct leaked_keys *out, const char *text, struct detail *detail) {
    arena_free(&arena);
    arena_init(&arena, 4 << 20);
    return leaked_keys_read(out, &arena, bytes_of_text(text), "a file", detail);
}

START_TEST(a_file_of_keys_is_read_whatever_its_order_and_blanks) {
    struct leaked_keys keys = {0};
    struct detail detail = {0};
    ck_assert_int_eq(read_text(&keys, "# ours\n\n" TWO "  CN=two words\t\r\n\t" ONE, &detail),
                     STATUS_OK);
    ck_assert_uint_eq(keys.num, 2);
    ck_assert_uint_eq(keys.key[0].sha256[31], 0x11);
    ck_assert_str_eq(keys.key[0].subject, "");
    ck_assert_uint_eq(keys.key[1].sha256[0], 0x22);
    ck_assert_str_eq(keys.key[1].subject, "CN=two words");
    ck_assert_str_eq(keys.key[1].source, "a file");
    ck_assert_int_eq(read_text(&keys, "", &detail), STATUS_OK);
    ck_assert_uint_eq(keys.num, 0);
    arena_free(&arena);
}
END_TEST

START_TEST(a_file_of_keys_with_a_mistake_is_refused_by_line) {
    static const struct {
        const char *text, *words;
    } cases[] = {
        {ONE "\n11\n", "line 2"},
        {"#\n" ONE "x\n", "line 2"},
        {ONE "1\n", "line 1"},
        {"CN=subject " ONE "\n", "line 1"},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", "line 1"},
        {ONE " \xff\n", "line 1"},
        {ONE "\n" TWO "\n" ONE "\n", ONE " stands twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct leaked_keys keys = {0};
        struct detail detail = {0};
        ck_assert_int_eq(read_text(&keys, cases[i].text, &detail), STATUS_MALFORMED);
        ck_assert_msg(strstr(detail.text, cases[i].words) != NULL, "%s", detail.text);
        ck_assert_uint_eq(keys.num, 0);
    }
    arena_free(&arena);
}
END_TEST

START_TEST(lists_are_merged_and_the_first_word_on_a_key_stays) {
    const struct leaked_key first[] = {{.sha256 = {2}, .subject = "b", .source = "first"},
                                       {.sha256 = {1}, .subject = "a", .source = "first"}};
    const struct leaked_key second[] = {{.sha256 = {2}, .subject = "x", .source = "second"},
                                        {.sha256 = {0, 9}, .subject = "c", .source = "second"}};
    struct leaked_keys keys;
    arena_init(&arena, 1 << 20);
    ck_assert_int_eq(leaked_keys_merge(&keys, &arena, &(struct leaked_keys){first, 2},
                                       &(struct leaked_keys){second, 2}),
                     STATUS_OK);
    ck_assert_uint_eq(keys.num, 3);
    ck_assert_str_eq(keys.key[0].subject, "c");
    ck_assert_str_eq(keys.key[1].subject, "a");
    ck_assert_str_eq(keys.key[2].subject, "b");
    ck_assert_str_eq(keys.key[2].source, "first");
    arena_free(&arena);
}
END_TEST

START_TEST(lists_that_do_not_fit_are_not_read_in_part) {
    struct leaked_keys keys = {0};
    arena_init(&arena, 1 << 12);
    ck_assert_int_eq(leaked_keys_read(&keys, &arena, bytes_of_text(ONE), "a file", NULL),
                     STATUS_MEMORY);
    ck_assert_uint_eq(keys.num, 0);
    arena_free(&arena);
}
END_TEST

/* The list as published, when it is at hand, holds nothing that ours lacks. */
START_TEST(leaked_keys_hold_all_that_the_published_list_names) {
    arena_init(&arena, 1 << 20);
    struct bytes text = real_file(&arena, "platform-keys/known_bad_platform_keys.json");
    json_t *root = json_loadb((const char *)text.data, text.len, 0, NULL);
    ck_assert_ptr_nonnull(root);
    size_t at, num;
    json_t *entry;
    const struct leaked_key *key = leaked_keys_compiled_in(&num);
    json_array_foreach(json_object_get(root, "certs"), at, entry) {
        uint8_t sha256[32];
        ck_assert_int_eq(
            hex_decode(sha256, 32, json_string_value(json_object_get(entry, "sha256"))), STATUS_OK);
        ck_assert_ptr_nonnull(leaked_key_find(NULL, sha256, (struct bytes){0}));
    }
    json_array_foreach(json_object_get(root, "ms_map_suspect"), at, entry) {
        uint8_t sha1[20];
        bool found = false;
        ck_assert_int_eq(
            hex_decode(sha1, 20, json_string_value(json_object_get(entry, "pk_cert_sha1"))),
            STATUS_OK);
        for (size_t i = 0; i < num; i++) {
            found = found || memcmp(key[i].sha1, sha1, sizeof sha1) == 0;
        }
        ck_assert(found);
    }
    json_decref(root);
    arena_free(&arena);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("leaked keys");
    TCase *tests = tcase_create("leaked keys");
    tcase_add_test(tests, leaked_keys_compiled_in_name_their_source_and_stand_once);
    tcase_add_test(tests, leaked_keys_compiled_in_are_found_by_sha256);
    tcase_add_test(tests,
                   an_entry_without_a_sha256_is_not_met_by_zeros_nor_by_an_absent_certificate);
    tcase_add_test(tests, keys_that_were_added_are_found_and_no_others);
    tcase_add_test(tests, a_file_of_keys_is_read_whatever_its_order_and_blanks);
    tcase_add_test(tests, a_file_of_keys_with_a_mistake_is_refused_by_line);
    tcase_add_test(tests, lists_are_merged_and_the_first_word_on_a_key_stays);
    tcase_add_test(tests, lists_that_do_not_fit_are_not_read_in_part);
    if (real_data() != NULL) {
        tcase_add_test(tests, leaked_keys_hold_all_that_the_published_list_names);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

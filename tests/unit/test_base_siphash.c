/* SipHash-2-4 against the vectors of its authors: key 00..0f, inputs of 0, 1, 2, ... bytes. */
#include "server/base/siphash.h"

#include <check.h>
#include <stdlib.h>

static const uint8_t key[SIPHASH_KEY] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

START_TEST(siphash_gives_what_its_authors_give) {
    static const struct {
        size_t len;
        uint64_t hash;
    } known[] = {{0, 0x726fdb47dd0e0e31U},
                 {1, 0x74f839c593dc67fdU},
                 {7, 0xab0200f58b01d137U},
                 {8, 0x93f5f5799a932462U},
                 {15, 0xa129ca6149be45e5U}};
    uint8_t in[15];
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        ck_assert_uint_eq(siphash(key, bytes_of(in, known[i].len)), known[i].hash);
    }
}
END_TEST

START_TEST(another_key_another_byte_or_another_length_gives_another_hash) {
    uint8_t other[SIPHASH_KEY] = {0}, in[16] = {0};
    uint64_t hash = siphash(key, bytes_of(in, 9));
    ck_assert_uint_ne(hash, siphash(other, bytes_of(in, 9)));
    ck_assert_uint_ne(hash, siphash(key, bytes_of(in, 10)));
    in[8] = 1;
    ck_assert_uint_ne(hash, siphash(key, bytes_of(in, 9)));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("siphash");
    tcase_add_test(tests, siphash_gives_what_its_authors_give);
    tcase_add_test(tests, another_key_another_byte_or_another_length_gives_another_hash);
    Suite *suite = suite_create("base: siphash");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

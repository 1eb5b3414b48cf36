#include "server/base/encoding.h"
#include "server/crypto/digest.h"
#include "server/crypto/random.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum hash_alg algs[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
enum { NUM_ALGS = sizeof algs / sizeof algs[0] };

static void assert_hex(const uint8_t *data, size_t len, const char *expected) {
    char text[2 * DIGEST_MAX + 1];
    hex_encode(text, bytes_of(data, len));
    ck_assert_str_eq(text, expected);
}

/* FIPS 180-4 examples: "abc", and nothing. */
static const struct {
    enum hash_alg alg;
    const char *message, *digest;
} known[] = {
    {HASH_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {HASH_SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {HASH_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {HASH_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {HASH_SHA384, "abc",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c82"
     "5a7"},
    {HASH_SHA512, "abc",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};
enum { NUM_KNOWN = sizeof known / sizeof known[0] };

START_TEST(digest_gives_the_published_value) {
    uint8_t out[DIGEST_MAX];
    digest_compute(known[_i].alg, bytes_of_text(known[_i].message), out);
    assert_hex(out, digest_len(known[_i].alg), known[_i].digest);
}
END_TEST

START_TEST(digest_of_two_parts_is_the_digest_of_their_concatenation) {
    const char *text = "the quick brown fox jumps over the lazy dog, and over the digest's block "
                       "border too, twice";
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        uint8_t whole[DIGEST_MAX] = {0}, parts[DIGEST_MAX] = {0};
        digest_compute(algs[_i], bytes_of_text(text), whole);
        digest_compute2(algs[_i], bytes_of(text, cut), bytes_of_text(text + cut), parts);
        ck_assert_mem_eq(whole, parts, DIGEST_MAX);
    }
}
END_TEST

START_TEST(digest_writes_exactly_its_length) {
    uint8_t out[DIGEST_MAX + 1];
    memset(out, 0xA5, sizeof out);
    digest_compute(algs[_i], bytes_of_text("x"), out);
    ck_assert(
        bytes_all(bytes_of(out + digest_len(algs[_i]), sizeof out - digest_len(algs[_i])), 0xA5));
}
END_TEST

START_TEST(hash_names_go_there_and_back) {
    ck_assert_int_eq(hash_from_name(hash_name(algs[_i])), algs[_i]);
}
END_TEST

START_TEST(hash_from_name_refuses_what_is_no_name) {
    static const char *wrong[] = {"",     "SHA256", "sha-256",  "sha256 ", "sha2",
                                  "none", "md5",    "sha3-256", "sm3"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(hash_from_name(wrong[i]), HASH_NONE);
    }
}
END_TEST

START_TEST(unknown_algorithms_have_no_length_and_no_name) {
    static const unsigned unknown[] = {0, 0x0005, 0x000A, 0x0012, 0x0027, 0x0028, 0xFFFF};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        ck_assert_uint_eq(digest_len((enum hash_alg)unknown[i]), 0);
        ck_assert_str_eq(hash_name((enum hash_alg)unknown[i]), "none");
    }
}
END_TEST

/* RFC 4231, cases 1 to 4, 6 and 7. */
static const struct {
    const char *key, *data; /* hex */
    const char *sha256, *sha384;
} hmacs[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
     "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9"
     "cb6"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21"
     "649"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdc"
     "dcdcdcd",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
     "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674c"
     "ffb"},
};

START_TEST(hmac_gives_the_published_value) {
    struct arena arena;
    struct bytes key, data;
    uint8_t out[DIGEST_MAX];
    arena_init(&arena, 4096);
    ck_assert_int_eq(hex_decode_arena(&arena, &key, hmacs[_i].key), STATUS_OK);
    ck_assert_int_eq(hex_decode_arena(&arena, &data, hmacs[_i].data), STATUS_OK);
    hmac_compute(HASH_SHA256, key, data, out);
    assert_hex(out, 32, hmacs[_i].sha256);
    hmac_compute(HASH_SHA384, key, data, out);
    assert_hex(out, 48, hmacs[_i].sha384);
    arena_free(&arena);
}
END_TEST

START_TEST(hmac_takes_an_empty_key_and_a_key_longer_than_a_block) {
    uint8_t out[DIGEST_MAX], long_key[300];
    char expected[80];
    memset(long_key, 'k', sizeof long_key);
    lab_write("data", bytes_of_text("data"));
    lab_run("openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf 'k%%.0s' $(seq 300) | xxd -p | "
            "tr -d '\\n') "
            "-r data | cut -c1-64 | tr -d '\\n' >expected");
    (void)snprintf(expected, sizeof expected, "%s", (const char *)lab_read("expected").data);
    hmac_compute(HASH_SHA256, bytes_of(long_key, sizeof long_key), bytes_of_text("data"), out);
    assert_hex(out, 32, expected);
    /* HMAC-SHA256 of nothing under an empty key, as RFC 2104 defines it. */
    hmac_compute(HASH_SHA256, bytes_of(NULL, 0), bytes_of(NULL, 0), out);
    assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(digest_of_an_unknown_algorithm_aborts) {
    uint8_t out[DIGEST_MAX];
    digest_compute((enum hash_alg)0x0012, bytes_of_text("x"), out);
}
END_TEST

START_TEST(random_bytes_differ_and_stay_in_bounds) {
    uint8_t a[65] = {0}, b[65] = {0};
    random_bytes(a, 64);
    random_bytes(b, 64);
    ck_assert_mem_ne(a, b, 64);
    ck_assert_int_eq(a[64] | b[64], 0);
    ck_assert(!bytes_all(bytes_of(a, 64), 0));
}
END_TEST

START_TEST(ids_are_hex_sorted_by_time_and_differ) {
    char early[ID_SIZE], late[ID_SIZE], again[ID_SIZE];
    id_new(early, 0x0123456789ab);
    id_new(late, 0x0123456789ac);
    id_new(again, 0x0123456789ac);
    ck_assert_int_eq(strncmp(early, "0123456789ab", 12), 0);
    ck_assert_int_lt(strcmp(early, late), 0);
    ck_assert_str_ne(late, again);
    ck_assert_uint_eq(strspn(early, "0123456789abcdef"), 32);
}
END_TEST

int main(void) {
    lab_open();
    TCase *digests = tcase_create("digests");
    tcase_add_loop_test(digests, digest_gives_the_published_value, 0, NUM_KNOWN);
    tcase_add_loop_test(digests, digest_of_two_parts_is_the_digest_of_their_concatenation, 0,
                        NUM_ALGS);
    tcase_add_loop_test(digests, digest_writes_exactly_its_length, 0, NUM_ALGS);
    tcase_add_loop_test(digests, hash_names_go_there_and_back, 0, NUM_ALGS);
    tcase_add_test(digests, hash_from_name_refuses_what_is_no_name);
    tcase_add_test(digests, unknown_algorithms_have_no_length_and_no_name);
    tcase_add_loop_test(digests, hmac_gives_the_published_value, 0,
                        (int)(sizeof hmacs / sizeof hmacs[0]));
    tcase_add_test(digests, hmac_takes_an_empty_key_and_a_key_longer_than_a_block);
    tcase_add_test_raise_signal(digests, digest_of_an_unknown_algorithm_aborts, SIGABRT);
    TCase *randoms = tcase_create("randomness");
    tcase_add_test(randoms, random_bytes_differ_and_stay_in_bounds);
    tcase_add_test(randoms, ids_are_hex_sorted_by_time_and_differ);
    Suite *suite = suite_create("crypto: digests");
    suite_add_tcase(suite, digests);
    suite_add_tcase(suite, randoms);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

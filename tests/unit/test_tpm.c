#include "server/tpm/attest.h"
#include "server/tpm/public.h"
#include "tests/unit/evidence_builder.h"
#include "tests/unit/soft_tpm.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- selections -------------------------------------------------------------------------------- */

START_TEST(selection_reads_and_writes_its_text) {
    static const struct {
        const char *text, *canonical;
    } texts[] = {
        {"sha256:0", "sha256:0"},
        {"sha256:0,1,2,7", "sha256:0,1,2,7"},
        {"sha256:7,2,1,0", "sha256:0,1,2,7"},
        {"sha256:0-9,14+sha384:0-7", "sha256:0,1,2,3,4,5,6,7,8,9,14+sha384:0,1,2,3,4,5,6,7"},
        {"sha512:23+sha1:0-0", "sha512:23+sha1:0"},
        {"sha256:0-23", "sha256:0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"},
    };
    struct pcr_selection selection, again;
    char text[PCR_SELECTION_TEXT];
    ck_assert_int_eq(pcr_selection_parse(&selection, texts[_i].text, NULL), STATUS_OK);
    pcr_selection_format(text, &selection);
    ck_assert_str_eq(text, texts[_i].canonical);
    ck_assert_int_eq(pcr_selection_parse(&again, text, NULL), STATUS_OK);
    ck_assert(pcr_selection_equal(&selection, &again));
}
END_TEST

START_TEST(selection_of_everything_fits_its_text) {
    struct pcr_selection all = {.num_banks = 4};
    static const enum hash_alg banks[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    char text[PCR_SELECTION_TEXT];
    for (size_t i = 0; i < 4; i++) {
        all.bank[i] = (struct pcr_bank_selection){banks[i], 0xFFFFFF};
    }
    pcr_selection_format(text, &all);
    ck_assert_uint_lt(strlen(text), PCR_SELECTION_TEXT);
}
END_TEST

static const char *const wrong_selections[] = {
    "",           "sha256",     "sha256:",   ":0",           "sha256:24",           "sha256:0,",
    "sha256:,0",  "sha256:0,0", "sha256:0-", "sha256:3-1",   "sha256:-1",           "sha256:00",
    "sha256:01",  "sha256:0 ",  " sha256:0", "sha256:0+",    "sha256:0+sha256:1",   "sha256:0;1",
    "SHA256:0",   "sha3:0",     "md5:0",     "sha256:0-3,2", "sha256:999999999999", "sha256:0x1",
    "sha256:0\n", "none:0",     "sha256::0", "sha256:1-2-3", "sha256sha256:0"};

START_TEST(selection_refuses_any_other_text) {
    struct pcr_selection selection = {.num_banks = 77}, before = selection;
    struct detail detail = {0};
    ck_assert_msg(pcr_selection_parse(&selection, wrong_selections[_i], &detail) ==
                      STATUS_MALFORMED,
                  "%s", wrong_selections[_i]);
    ck_assert_mem_eq(&selection, &before, sizeof selection);
    ck_assert_str_ne(detail.text, "");
}
END_TEST

START_TEST(selections_are_equal_whatever_the_order_of_banks) {
    struct pcr_selection a, b;
    ck_assert_int_eq(pcr_selection_parse(&a, "sha256:1+sha384:2", NULL), STATUS_OK);
    ck_assert_int_eq(pcr_selection_parse(&b, "sha384:2+sha256:1", NULL), STATUS_OK);
    ck_assert(pcr_selection_equal(&a, &b));
    ck_assert_int_eq(pcr_selection_parse(&b, "sha384:2+sha256:1,2", NULL), STATUS_OK);
    ck_assert(!pcr_selection_equal(&a, &b));
    ck_assert(!pcr_selection_equal(&b, &a));
    ck_assert_int_eq(pcr_selection_parse(&b, "sha256:1", NULL), STATUS_OK);
    ck_assert(!pcr_selection_equal(&a, &b));
    ck_assert(!pcr_selection_equal(&b, &a));
    ck_assert_int_eq(pcr_selection_parse(&b, "sha256:1+sha512:2", NULL), STATUS_OK);
    ck_assert(!pcr_selection_equal(&a, &b));
    ck_assert_uint_eq(pcr_selection_mask(&a, HASH_SHA384), 4);
    ck_assert_uint_eq(pcr_selection_mask(&a, HASH_SHA1), 0);
}
END_TEST

/* --- public areas ------------------------------------------------------------------------------ */

static uint8_t ak_bytes[1024];
static struct bytes ak;

static void make_ak(enum key_kind kind) {
    struct soft_tpm tpm;
    struct writer w = writer_of(ak_bytes, sizeof ak_bytes);
    soft_tpm_init(&tpm, kind);
    soft_tpm_ak(&tpm, &w);
    soft_tpm_cleanup(&tpm);
    ak = writer_bytes(&w);
}

static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA};

START_TEST(public_area_gives_key_scheme_attributes_and_name) {
    struct tpm_public public;
    uint8_t name[34] = {0x00, 0x0B};
    make_ak(kinds[_i]);
    ck_assert_int_eq(tpm_public_parse(&public, ak, NULL), STATUS_OK);
    ck_assert_int_eq(public.key.kind, kinds[_i]);
    ck_assert_int_eq(public.scheme, _i == 2 ? SIGNATURE_RSASSA : SIGNATURE_ECDSA);
    ck_assert_uint_eq(public.attributes & (TPM_RESTRICTED | TPM_SIGN | TPM_DECRYPT),
                      TPM_RESTRICTED | TPM_SIGN);
    ck_assert_uint_eq(public.symmetric_bits, 0);
    digest_compute(HASH_SHA256, bytes_of(ak.data + 2, ak.len - 2), name + 2);
    ck_assert_uint_eq(public.name_len, sizeof name);
    ck_assert_mem_eq(public.name, name, sizeof name);
}
END_TEST

START_TEST(public_area_is_the_whole_input) {
    struct tpm_public public, before;
    make_ak(kinds[_i]);
    memset(&public, 0x5A, sizeof public);
    before = public;
    for (size_t len = 0; len < ak.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(ak.data, len));
        ck_assert_int_eq(tpm_public_parse(&public, bytes_of(copy, len), NULL), STATUS_MALFORMED);
        free(copy);
    }
    ak.len++;
    ck_assert_int_eq(tpm_public_parse(&public, ak, NULL), STATUS_MALFORMED);
    ck_assert_mem_eq(&public, &before, sizeof public);
}
END_TEST

/* A key with another bit is another key, with another name, or none. */
START_TEST(no_bit_of_a_public_area_leaves_its_name_alone) {
    struct tpm_public whole, bent;
    make_ak(kinds[_i]);
    ck_assert_int_eq(tpm_public_parse(&whole, ak, NULL), STATUS_OK);
    for (size_t bit = 0; bit < 8 * ak.len; bit++) {
        ak_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (tpm_public_parse(&bent, ak, NULL) == STATUS_OK) {
            ck_assert(!bytes_equal(bytes_of(bent.name, bent.name_len),
                                   bytes_of(whole.name, whole.name_len)));
        }
        ak_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(public_area_refuses_keys_of_other_kinds) {
    /* Of the P-256 AK: type at 2, nameAlg at 4, authPolicy's size at 10; symmetric at 12, scheme at 14, its hash at
     * 16, curve at 18, x from 24. */
    static const struct {
        size_t at;
        uint16_t value;
    } bent[] = {{2, 0x0008},  {2, 0x0025},  {4, 0x0010},  {4, 0x0012},  {12, 0x0006},
                {14, 0x001A}, {14, 0x0014}, {16, 0x0012}, {18, 0x0005}, {18, 0x0010},
                {18, 0x0020}, {22, 0x0000}, {22, 0x0021}};
    struct tpm_public public;
    make_ak(KEY_EC_P256);
    ck_assert_int_eq(tpm_public_parse(&public, ak, NULL), STATUS_OK);
    ak_bytes[bent[_i].at] = (uint8_t)(bent[_i].value >> 8);
    ak_bytes[bent[_i].at + 1] = (uint8_t)bent[_i].value;
    ck_assert_int_ne(tpm_public_parse(&public, ak, NULL), STATUS_OK);
}
END_TEST

START_TEST(public_area_refuses_a_point_off_its_curve) {
    struct tpm_public public;
    make_ak(kinds[_i]);
    ak_bytes[ak.len - 1] ^= 1;
    ck_assert_int_eq(tpm_public_parse(&public, ak, NULL), STATUS_INVALID);
}
END_TEST

/* --- quotes and signatures --------------------------------------------------------------------- */

static struct quote_builder quote;
static uint8_t quote_bytes[1024];

static enum status parse_quote(struct tpm_attest *out) {
    struct writer w = writer_of(quote_bytes, sizeof quote_bytes);
    quote_write(&w, &quote);
    uint8_t *copy = exact_copy(writer_bytes(&w));
    enum status status = tpm_attest_parse(out, bytes_of(copy, w.len), NULL);
    free(copy);
    return status;
}

static void start_quote(void) {
    static const uint16_t banks[] = {HASH_SHA256, 0};
    quote_start(&quote, bytes_of_text("nonce"), banks, 0x43FF, NULL, HASH_SHA256);
}

START_TEST(attest_gives_each_field) {
    struct tpm_attest attest;
    start_quote();
    ck_assert_int_eq(parse_quote(&attest), STATUS_OK);
    ck_assert_uint_eq(attest.magic, 0xff544347);
    ck_assert_uint_eq(attest.type, 0x8018);
    ck_assert_uint_eq(attest.extra_data_len, 5);
    ck_assert_mem_eq(attest.extra_data, "nonce", 5);
    ck_assert_uint_eq(attest.clock, 81234);
    ck_assert_uint_eq(attest.reset_count, 7);
    ck_assert_uint_eq(attest.restart_count, 1);
    ck_assert(attest.safe);
    ck_assert_uint_eq(attest.firmware_version, 0x2019102300163636);
    ck_assert_uint_eq(attest.qualified_signer_len, 34);
    ck_assert_uint_eq(attest.quote.selection.num_banks, 1);
    ck_assert_uint_eq(attest.quote.selection.bank[0].mask, 0x43FF);
    ck_assert_uint_eq(attest.quote.pcr_digest_len, 32);
}
END_TEST

static enum status parse_certification(struct tpm_attest *out, size_t name_len,
                                       size_t qualified_len) {
    uint8_t name[TPM_NAME_MAX + 2], qualified[TPM_NAME_MAX + 2];
    memset(name, 0x4E, sizeof name);
    memset(qualified, 0x51, sizeof qualified);
    struct writer w = writer_of(quote_bytes, sizeof quote_bytes);
    start_quote();
    quote.type = TPM_ATTEST_CERTIFY;
    quote.num_banks = 0;
    quote.digest_len = 0;
    quote_write(&w, &quote);
    w.len -= 6; /* the count of banks and the digest's length */
    write_u16be(&w, (uint16_t)name_len);
    write_bytes(&w, bytes_of(name, name_len));
    write_u16be(&w, (uint16_t)qualified_len);
    write_bytes(&w, bytes_of(qualified, qualified_len));
    uint8_t *copy = exact_copy(writer_bytes(&w));
    enum status status = tpm_attest_parse(out, bytes_of(copy, w.len), NULL);
    free(copy);
    return status;
}

START_TEST(attest_gives_the_names_of_a_certification) {
    struct tpm_attest attest;
    ck_assert_int_eq(parse_certification(&attest, 34, 50), STATUS_OK);
    ck_assert_uint_eq(attest.type, TPM_ATTEST_CERTIFY);
    ck_assert_uint_eq(attest.clock, 81234);
    ck_assert_mem_eq(attest.extra_data, "nonce", 5);
    ck_assert_uint_eq(attest.certify.name_len, 34);
    ck_assert(bytes_all(bytes_of(attest.certify.name, 34), 0x4E));
    ck_assert_uint_eq(attest.certify.qualified_name_len, 50);
    ck_assert(bytes_all(bytes_of(attest.certify.qualified_name, 50), 0x51));
    ck_assert_uint_eq(attest.quote.selection.num_banks, 0);
    ck_assert_uint_eq(attest.quote.pcr_digest_len, 0);
}
END_TEST

START_TEST(attest_of_a_quote_certifies_nothing) {
    struct tpm_attest attest;
    start_quote();
    ck_assert_int_eq(parse_quote(&attest), STATUS_OK);
    ck_assert_uint_eq(attest.certify.name_len, 0);
    ck_assert_uint_eq(attest.certify.qualified_name_len, 0);
}
END_TEST

START_TEST(attest_refuses_names_longer_than_any_hash) {
    struct tpm_attest attest = {.clock = 99}, before = attest;
    ck_assert_int_eq(parse_certification(&attest, TPM_NAME_MAX, TPM_NAME_MAX), STATUS_OK);
    attest = before;
    ck_assert_int_ne(parse_certification(&attest, TPM_NAME_MAX + 1, 34), STATUS_OK);
    ck_assert_int_ne(parse_certification(&attest, 34, TPM_NAME_MAX + 1), STATUS_OK);
    ck_assert_mem_eq(&attest, &before, sizeof attest);
}
END_TEST

START_TEST(attest_leaves_out_banks_without_a_pcr) {
    struct tpm_attest attest;
    start_quote();
    quote.bank[1].alg = 0x0012;
    quote.bank[1].size_of_select = 3;
    quote.num_banks = 2;
    ck_assert_int_eq(parse_quote(&attest), STATUS_OK);
    ck_assert_uint_eq(attest.quote.selection.num_banks, 1);
}
END_TEST

START_TEST(attest_refuses_what_is_not_canonical) {
    struct tpm_attest attest = {.clock = 99}, before = attest;
    start_quote();
    switch (_i) {
    case 0:
        quote.safe = 2;
        break;
    case 1:
        quote.bank[0].size_of_select = 5;
        break;
    case 2:
        quote.bank[1] = quote.bank[0];
        quote.num_banks = 2;
        break;
    case 3:
        quote.bank[0].mask = 1u << 24;
        quote.bank[0].size_of_select = 4;
        break;
    case 4:
        quote.bank[0].alg = 0x0012;
        break;
    case 5:
        quote.bank[0].size_of_select = 0;
        break;
    default:
        quote.type = 0;
        break;
    }
    ck_assert_int_ne(parse_quote(&attest), STATUS_OK);
    ck_assert_mem_eq(&attest, &before, sizeof attest);
}
END_TEST

static const uint8_t ecdsa[] = {0x00, 0x18, 0x00, 0x0B, 0, 2, 1, 2, 0, 2, 3, 4};

START_TEST(signature_is_the_whole_input) {
    struct tpm_signature signature;
    uint8_t longer[sizeof ecdsa + 1] = {0};
    memcpy(longer, ecdsa, sizeof ecdsa);
    ck_assert_int_eq(tpm_signature_parse(&signature, bytes_of(ecdsa, sizeof ecdsa), NULL),
                     STATUS_OK);
    ck_assert_int_eq(signature.signature.scheme, SIGNATURE_ECDSA);
    ck_assert_int_eq(signature.signature.hash, HASH_SHA256);
    ck_assert(bytes_equal(signature.signature.r, bytes_of("\1\2", 2)));
    ck_assert(bytes_equal(signature.signature.s, bytes_of("\3\4", 2)));
    for (size_t len = 0; len < sizeof ecdsa; len++) {
        uint8_t *copy = exact_copy(bytes_of(ecdsa, len));
        ck_assert_int_eq(tpm_signature_parse(&signature, bytes_of(copy, len), NULL),
                         STATUS_MALFORMED);
        free(copy);
    }
    ck_assert_int_eq(tpm_signature_parse(&signature, bytes_of(longer, sizeof longer), NULL),
                     STATUS_MALFORMED);
}
END_TEST

START_TEST(signature_refuses_other_schemes_and_hashes) {
    static const uint16_t heads[][2] = {{0x0005, 0x000B}, {0x001A, 0x000B}, {0x001B, 0x000B},
                                        {0x001C, 0x000B}, {0x0010, 0x000B}, {0x0000, 0x000B},
                                        {0x0018, 0x0010}, {0x0018, 0x0012}, {0x0018, 0x0000},
                                        {0x0014, 0x0027}, {0xFFFF, 0x000B}};
    struct tpm_signature signature = {.signature.scheme = SIGNATURE_ED25519}, before = signature;
    uint8_t bent[sizeof ecdsa];
    memcpy(bent, ecdsa, sizeof bent);
    for (size_t i = 0; i < 2; i++) {
        bent[2 * i] = (uint8_t)(heads[_i][i] >> 8);
        bent[2 * i + 1] = (uint8_t)heads[_i][i];
    }
    ck_assert_int_ne(tpm_signature_parse(&signature, bytes_of(bent, sizeof bent), NULL), STATUS_OK);
    ck_assert_mem_eq(&signature.signature, &before.signature, sizeof signature.signature);
}
END_TEST

START_TEST(signature_refuses_numbers_larger_than_its_keys) {
    struct tpm_signature signature;
    uint8_t raw[700] = {0x00, 0x18, 0x00, 0x0B, 0, KEY_EC_MAX + 1};
    raw[4 + 2 + KEY_EC_MAX + 1 + 1] = 1;
    ck_assert_int_ne(
        tpm_signature_parse(&signature, bytes_of(raw, 4 + 2 + KEY_EC_MAX + 1 + 2 + 1), NULL),
        STATUS_OK);
    memcpy(raw, "\x00\x14\x00\x0B\x02\x01", 6);
    ck_assert_int_ne(tpm_signature_parse(&signature, bytes_of(raw, 6 + 513), NULL), STATUS_OK);
}
END_TEST

/* Whoever sends us rubbish must not write into our log. */
START_TEST(nothing_is_printed_about_what_is_refused) {
    struct tpm_attest attest;
    struct tpm_signature signature;
    struct tpm_public public;
    uint8_t rubbish[64];
    memset(rubbish, 0xEE, sizeof rubbish);
    FILE *err = tmpfile();
    ck_assert_ptr_nonnull(err);
    int kept = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(err), STDERR_FILENO), 0);
    for (size_t len = 0; len <= sizeof rubbish; len++) {
        ck_assert_int_ne(tpm_attest_parse(&attest, bytes_of(rubbish, len), NULL), STATUS_OK);
        ck_assert_int_ne(tpm_signature_parse(&signature, bytes_of(rubbish, len), NULL), STATUS_OK);
        ck_assert_int_ne(tpm_public_parse(&public, bytes_of(rubbish, len), NULL), STATUS_OK);
    }
    (void)fflush(stderr);
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    (void)close(kept);
    ck_assert_int_eq(fseek(err, 0, SEEK_END), 0);
    ck_assert_int_eq((int)ftell(err), 0);
    (void)fclose(err);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("tpm");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, selection_reads_and_writes_its_text, 0, 6);
    tcase_add_test(tests, selection_of_everything_fits_its_text);
    tcase_add_loop_test(tests, selection_refuses_any_other_text, 0,
                        (int)(sizeof wrong_selections / sizeof *wrong_selections));
    tcase_add_test(tests, selections_are_equal_whatever_the_order_of_banks);
    tcase_add_loop_test(tests, public_area_gives_key_scheme_attributes_and_name, 0, 3);
    tcase_add_loop_test(tests, public_area_is_the_whole_input, 0, 3);
    tcase_add_loop_test(tests, no_bit_of_a_public_area_leaves_its_name_alone, 0, 3);
    tcase_add_loop_test(tests, public_area_refuses_keys_of_other_kinds, 0, 13);
    tcase_add_loop_test(tests, public_area_refuses_a_point_off_its_curve, 0, 2);
    tcase_add_test(tests, attest_gives_each_field);
    tcase_add_test(tests, attest_gives_the_names_of_a_certification);
    tcase_add_test(tests, attest_of_a_quote_certifies_nothing);
    tcase_add_test(tests, attest_refuses_names_longer_than_any_hash);
    tcase_add_test(tests, attest_leaves_out_banks_without_a_pcr);
    tcase_add_loop_test(tests, attest_refuses_what_is_not_canonical, 0, 7);
    tcase_add_test(tests, signature_is_the_whole_input);
    tcase_add_loop_test(tests, signature_refuses_other_schemes_and_hashes, 0, 11);
    tcase_add_test(tests, signature_refuses_numbers_larger_than_its_keys);
    tcase_add_test(tests, nothing_is_printed_about_what_is_refused);
    Suite *suite = suite_create("tpm");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

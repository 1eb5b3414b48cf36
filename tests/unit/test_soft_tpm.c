/* What the software TPM makes is what the gateway's own readers take. */
#include "tests/unit/soft_tpm.h"

#include "server/tpm/attest.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { MASK = 0x43FF };
static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA};

START_TEST(soft_tpm_makes_keys_that_parse) {
    struct soft_tpm tpm;
    uint8_t buffer[1024], name[34];
    soft_tpm_init(&tpm, kinds[_i]);
    struct tpm_public public;
    struct writer w = writer_of(buffer, sizeof buffer);
    soft_tpm_ak(&tpm, &w);
    ck_assert_int_eq(tpm_public_parse(&public, writer_bytes(&w), NULL), STATUS_OK);
    ck_assert(public_key_equal(&public.key, &tpm.ak_public));
    soft_tpm_ak_name(&tpm, name);
    ck_assert_uint_eq(public.name_len, sizeof name);
    ck_assert_mem_eq(public.name, name, sizeof name);
    w = writer_of(buffer, sizeof buffer);
    soft_tpm_ek(&tpm, &w);
    ck_assert_int_eq(tpm_public_parse(&public, writer_bytes(&w), NULL), STATUS_OK);
    ck_assert(public_key_equal(&public.key, &tpm.ek_public));
    ck_assert_uint_eq(public.symmetric_bits, 128);
    soft_tpm_cleanup(&tpm);
}
END_TEST

START_TEST(soft_tpm_makes_quotes_that_verify) {
    struct soft_tpm tpm;
    struct tpm_attest parsed;
    struct tpm_signature sig;
    uint8_t attest[512], signature[600];
    soft_tpm_init(&tpm, kinds[_i]);
    struct writer a = writer_of(attest, sizeof attest), s = writer_of(signature, sizeof signature);
    soft_tpm_quote(&tpm, &a, &s, bytes_of_text("nonce"), MASK);
    ck_assert_int_eq(tpm_attest_parse(&parsed, writer_bytes(&a), NULL), STATUS_OK);
    ck_assert_uint_eq(pcr_selection_mask(&parsed.quote.selection, HASH_SHA256), MASK);
    ck_assert_uint_eq(parsed.reset_count, 1);
    ck_assert_int_eq(tpm_signature_parse(&sig, writer_bytes(&s), NULL), STATUS_OK);
    ck_assert_int_eq(signature_verify(&tpm.ak_public, &sig.signature, writer_bytes(&a), NULL),
                     STATUS_OK);
    soft_tpm_cleanup(&tpm);
}
END_TEST

START_TEST(soft_tpm_boot_log_has_the_size_asked_for) {
    static uint8_t log[1 << 20];
    struct soft_tpm tpm;
    soft_tpm_init(&tpm, KEY_EC_P256);
    struct writer w = writer_of(log, sizeof log);
    soft_tpm_boot(&tpm, &w, 41 * 1024);
    ck_assert_uint_ge(w.len, 40 * 1024);
    ck_assert_uint_le(w.len, 42 * 1024);
    soft_tpm_cleanup(&tpm);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("soft_tpm");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, soft_tpm_makes_keys_that_parse, 0, 3);
    tcase_add_loop_test(tests, soft_tpm_makes_quotes_that_verify, 0, 3);
    tcase_add_test(tests, soft_tpm_boot_log_has_the_size_asked_for);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

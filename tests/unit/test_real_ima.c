/* IMA logs of real boots, with the quotes that confirm them. */
#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"
#include "server/evidence/ima/decode.h"
#include "server/evidence/ima/log.h"
#include "server/evidence/tpm2/tpm2.h"
#include "server/tpm/public.h"
#include "tests/unit/real_data.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const boots[] = {"A1-secureboot-good", "A2-secureboot-good-reboot",
                                    "B1-secureboot-off",  "C-cmdline-changed",
                                    "D1-kernel-generic",  "E1-own-test-pk",
                                    "F1-second-device",   "G1-ima-good",
                                    "G4-ima-late"};
enum { NUM_BOOTS = sizeof boots / sizeof *boots };

static struct arena arena;
static struct facts facts;
static struct tpm2_evidence evidence;
static struct appraisal appraisal;
static struct detail detail;

static void start(void) {
    arena_init(&arena, 1 << 26);
}

static void end(void) {
    arena_free(&arena);
}

/* Verifies one boot's evidence, with the values of its PCRs. */
static void verify(const char *folder) {
    struct bytes hex = real_file(&arena, "measured-boot/%s/nonce.hex", folder);
    struct bytes pcrs = real_file(&arena, "measured-boot/%s/pcrs.raw", folder);
    struct pcr_selection selection = {.bank = {{HASH_SHA256, 0xFFFF}}, .num_banks = 1};
    struct tpm_public ak;
    enum tpm2_failure failure = TPM2_MALFORMED;
    struct bytes nonce;
    ck_assert_int_eq(
        tpm_public_parse(&ak, real_file(&arena, "measured-boot/%s/ak_ecc.tpm2b_public", folder),
                         &detail),
        STATUS_OK);
    ck_assert_int_eq(
        hex_decode_arena(&arena, &nonce,
                         arena_text_n(&arena, (const char *)hex.data, 2 * (hex.len / 2))),
        STATUS_OK);
    evidence = (struct tpm2_evidence){
        .quote = real_file(&arena, "measured-boot/%s/quote_ecc.msg", folder),
        .signature = real_file(&arena, "measured-boot/%s/quote_ecc.sig", folder),
        .tcg_event_log = real_file(&arena, "measured-boot/%s/binary_bios_measurements", folder),
        .ima_log = real_file(&arena, "measured-boot/%s/ima_binary_runtime_measurements", folder),
        .num_claimed = 1,
        .claimed = {{.alg = HASH_SHA256}}};
    for (unsigned i = 0; i < 16; i++) {
        evidence.claimed[0].pcr[i].quoted = true;
        memcpy(evidence.claimed[0].pcr[i].value, pcrs.data + (size_t)32 * i, 32);
    }
    const struct tpm2_expectation expected = {.ak = &ak.key,
                                              .ak_hash = ak.scheme_hash,
                                              .ak_scheme = ak.scheme,
                                              .nonce = nonce,
                                              .selection = &selection};
    ck_assert_int_eq(tpm2_verify(&facts, &failure, &arena, &evidence, &expected, &detail),
                     STATUS_OK);
    ck_assert_msg(failure == TPM2_VERIFIED, "%s: %s", folder, detail.text);
}

/* A baseline of every confirmed file but the one numbered `but`. */
static enum verdict judge(const struct fact_ima *files, size_t but) {
    size_t cap = 1 << 16, len;
    char *json = arena_alloc(&arena, cap), hex[2 * DIGEST_MAX + 1];
    struct baseline *baseline;
    len = (size_t)snprintf(json, cap,
                           "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"lab\",\"bank\":"
                           "\"sha256\",\"ima\":{\"mode\":\"enforce\",\"files\":{\"/none\":"
                           "[\"sha256:%064d\"]",
                           0);
    for (size_t i = 1; i < files->num_entries; i++) {
        const struct fact_ima_entry *entry = &files->entry[i];
        if (i != but) {
            hex_encode(hex, entry->digest);
            len += (size_t)snprintf(json + len, cap - len, ",\"%.*s\":[\"sha256:%s\"]",
                                    (int)entry->path.len, (const char *)entry->path.data, hex);
        }
    }
    (void)snprintf(json + len, cap - len, "}}}");
    ck_assert_msg(baseline_compile(&baseline, bytes_of_text(json), NULL, &detail) == STATUS_OK,
                  "%s", detail.text);
    const struct baseline *const tried[] = {baseline};
    ck_assert_int_eq(appraise(&appraisal, &arena, &facts,
                              &(struct appraisal_inputs){.baseline = tried, .num_baselines = 1}),
                     STATUS_OK);
    baseline_free(baseline);
    return appraisal.verdict;
}

START_TEST(log_of_each_boot_leads_to_its_quote) {
    verify(boots[_i]);
    ck_assert(facts.ima.known);
    ck_assert(!facts.ima.sha1_only);
    ck_assert_int_eq(facts.ima.boot_aggregate, FACT_YES);
    for (size_t i = 0; i < facts.ima.num_entries; i++) {
        ck_assert(facts.ima.entry[i].readable);
    }
}
END_TEST

START_TEST(boot_whose_files_are_listed_is_trusted) {
    verify(boots[7 + _i]);
    ck_assert_uint_gt(facts.ima.num_entries, 10);
    ck_assert_int_eq(judge(&facts.ima, 0), VERDICT_TRUSTED);
}
END_TEST

START_TEST(log_read_late_is_confirmed_as_far_as_the_quote_goes) {
    struct ima_entry entry;
    verify("G4-ima-late");
    struct ima_log log = ima_log_open(evidence.ima_log);
    while (ima_log_next(&log, &entry, NULL) == STATUS_OK) {
    }
    ck_assert_uint_lt(facts.ima.num_confirmed, log.next_index);
}
END_TEST

START_TEST(each_file_that_is_not_listed_is_named) {
    verify("G1-ima-good");
    struct fact_ima files = facts.ima;
    for (size_t i = 1; i < files.num_entries; i++) {
        ck_assert_int_eq(judge(&files, i), VERDICT_UNTRUSTED);
        ck_assert_str_eq(appraisal.finding[0].code, "ima_file_unlisted");
        ck_assert_int_eq(appraisal.finding[0].event, (int)i);
        ck_assert_ptr_nonnull(strstr(
            appraisal.finding[0].found,
            arena_text_n(&arena, (const char *)files.entry[i].path.data, files.entry[i].path.len)));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("evidence: ima of real boots");
    TCase *tests = tcase_create("all");
    if (real_data() == NULL) {
        return EXIT_SUCCESS;
    }
    tcase_add_checked_fixture(tests, start, end);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, log_of_each_boot_leads_to_its_quote, 0, NUM_BOOTS);
    tcase_add_loop_test(tests, boot_whose_files_are_listed_is_trusted, 0, 2);
    tcase_add_test(tests, log_read_late_is_confirmed_as_far_as_the_quote_goes);
    tcase_add_test(tests, each_file_that_is_not_listed_is_named);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

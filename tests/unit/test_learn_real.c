/* Baselines learned from whole evidence of real boots: what they accept, and why they refuse what was
 * altered. */
#include "server/appraisal/drift.h"
#include "server/appraisal/learn.h"
#include "server/base/encoding.h"
#include "server/evidence/tpm2/kept.h"
#include "server/evidence/tpm2/tpm2.h"
#include "server/tpm/public.h"
#include "tests/unit/real_data.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define A1 "A1-secureboot-good"

enum { SOURCES = 8, QUOTED = 0xFFFF };

static struct arena arena;
static struct detail detail;
static struct learn_source source[SOURCES];
static struct learn_inputs inputs;
static struct learned learned;
static struct baseline *baseline;
static struct appraisal appraisal;

static void start(void) {
    arena_init(&arena, 1 << 29);
    inputs = (struct learn_inputs){.source = source, .model = "lab", .label = ""};
}

static void stop(void) {
    baseline_free(baseline);
    baseline = NULL;
    arena_free(&arena);
}

/* Verified, with the values that the device claims. */
static struct facts *facts_of(const char *folder) {
    struct tpm2_evidence evidence = {.num_claimed = 1};
    struct pcr_selection selection = {.bank = {{HASH_SHA256, QUOTED}}, .num_banks = 1};
    struct tpm2_expectation expected = {.selection = &selection};
    struct tpm_public ak;
    enum tpm2_failure failure = TPM2_MALFORMED;
    struct facts *facts = arena_alloc(&arena, sizeof *facts);
    struct bytes hex = real_file(&arena, "measured-boot/%s/nonce.hex", folder);
    struct bytes pcrs = real_file(&arena, "measured-boot/%s/pcrs.raw", folder);
    ck_assert_int_eq(
        tpm_public_parse(&ak, real_file(&arena, "measured-boot/%s/ak_ecc.tpm2b_public", folder),
                         &detail),
        STATUS_OK);
    evidence.quote = real_file(&arena, "measured-boot/%s/quote_ecc.msg", folder);
    evidence.signature = real_file(&arena, "measured-boot/%s/quote_ecc.sig", folder);
    evidence.tcg_event_log = real_file(&arena, "measured-boot/%s/binary_bios_measurements", folder);
    evidence.ima_log =
        real_file(&arena, "measured-boot/%s/ima_binary_runtime_measurements", folder);
    evidence.claimed[0].alg = HASH_SHA256;
    for (unsigned i = 0; i < 16; i++) {
        evidence.claimed[0].pcr[i].quoted = true;
        memcpy(evidence.claimed[0].pcr[i].value, pcrs.data + 32 * i, 32);
    }
    expected.ak = &ak.key;
    expected.ak_hash = ak.scheme_hash;
    expected.ak_scheme = ak.scheme;
    ck_assert_int_eq(
        hex_decode_arena(&arena, &expected.nonce,
                         arena_text_n(&arena, (const char *)hex.data, 2 * (hex.len / 2))),
        STATUS_OK);
    ck_assert_int_eq(tpm2_verify(facts, &failure, &arena, &evidence, &expected, &detail),
                     STATUS_OK);
    ck_assert_msg(failure == TPM2_VERIFIED, "%s: %s", folder, detail.text);
    return facts;
}

static void take(const char *folder) {
    ck_assert_uint_lt(inputs.num, SOURCES);
    source[inputs.num++] =
        (struct learn_source){.facts = facts_of(folder), .name = folder, .devices = 1};
}

static void judge(const struct facts *facts) {
    const struct baseline *const one[] = {baseline};
    const struct appraisal_inputs against = {.baseline = one, .num_baselines = 1};
    ck_assert_int_eq(appraise(&appraisal, &arena, facts, &against), STATUS_OK);
}

static void expect_accepted(const char *folder) {
    judge(facts_of(folder));
    ck_assert_msg(appraisal.verdict == VERDICT_TRUSTED, "%s: %s of %s, %s", folder,
                  appraisal.finding[0].code, appraisal.finding[0].rule,
                  appraisal.finding[0].found == NULL ? "" : appraisal.finding[0].found);
}

static void learn(void) {
    ck_assert_msg(learn_baseline(&learned, &arena, &inputs, &detail) == STATUS_OK, "%s",
                  detail.text);
    baseline_free(baseline);
    baseline = NULL;
    ck_assert_msg(baseline_compile(&baseline, learned.document, NULL, &detail) == STATUS_OK, "%s",
                  detail.text);
    for (size_t i = 0; i < inputs.num; i++) {
        expect_accepted(source[i].name);
    }
}

/* The denials, as "rule/code" in order, each once. */
static const char *denials(void) {
    const char *text = "";
    for (size_t i = 0; i < appraisal.num_findings; i++) {
        const struct finding *finding = &appraisal.finding[i];
        const char *one = arena_printf(&arena, " %s/%s", finding->rule, finding->code);
        if (finding->severity == SEVERITY_DENY && strstr(text, one) == NULL) {
            text = arena_printf(&arena, "%s%s", text, one);
        }
    }
    return text;
}

static void expect_refused(const char *folder, const char *because) {
    judge(facts_of(folder));
    ck_assert_int_eq(appraisal.verdict, VERDICT_UNTRUSTED);
    ck_assert_msg(strcmp(denials(), because) == 0, "%s:%s", folder, denials());
}

static const struct learn_question *question(const char *subject) {
    for (size_t i = 0; i < learned.num_questions; i++) {
        if (strcmp(learned.question[i].subject, subject) == 0) {
            return &learned.question[i];
        }
    }
    return NULL;
}

START_TEST(one_clean_boot_accepts_its_like_and_refuses_each_altered_one_for_its_reason) {
    take(A1);
    learn();
    ck_assert_uint_eq(learned.num_warnings, 0);
    expect_accepted("A2-secureboot-good-reboot");
    expect_accepted("F1-second-device");
    expect_refused("B1-secureboot-off",
                   " secure_boot/log_missing firmware/firmware_not_allowed boot_chain/log_missing "
                   "kernel_command_line/log_missing initrd/log_missing sbat/log_missing");
    expect_refused("C-cmdline-changed", " kernel_command_line/command_line_not_allowed");
    expect_refused("D1-kernel-generic", " boot_chain/image_not_allowed initrd/initrd_not_allowed");
    expect_refused("E1-own-test-pk",
                   " secure_boot/platform_key_not_allowed secure_boot/key_exchange_key_not_allowed "
                   "secure_boot/db_entry_not_allowed secure_boot/dbx_entry_missing "
                   "secure_boot/authority_not_allowed firmware/firmware_not_allowed");
    expect_refused("G1-ima-good", " kernel_command_line/command_line_not_allowed");
}
END_TEST

START_TEST(a_boot_with_ima_accepts_the_one_whose_log_is_longer_than_the_quote) {
    take("G1-ima-good");
    learn();
    ck_assert_ptr_nonnull(question("ima"));
    expect_accepted("G4-ima-late");
    expect_refused(A1, " kernel_command_line/command_line_not_allowed");
}
END_TEST

START_TEST(two_kernels_in_a_fleet_are_alternatives) {
    take(A1);
    take("D1-kernel-generic");
    learn();
    ck_assert_int_eq(question("kernel")->choice, LEARN_ANY_OF);
    ck_assert_uint_eq(question("kernel")->num_values, 2);
    expect_accepted("F1-second-device");
    expect_refused("C-cmdline-changed", " kernel_command_line/command_line_not_allowed");
}
END_TEST

START_TEST(two_boots_that_agree_leave_no_question_about_the_firmware) {
    take(A1);
    learn();
    ck_assert_int_eq(question("firmware")->choice, LEARN_PINNED);
    take("F1-second-device");
    learn();
    ck_assert_ptr_null(question("firmware"));
    take("E1-own-test-pk");
    learn();
    ck_assert_int_eq(question("firmware")->choice, LEARN_ANY_OF);
}
END_TEST

START_TEST(a_device_with_a_test_platform_key_is_learned_with_a_warning) {
    take("E1-own-test-pk");
    learn();
    ck_assert_uint_gt(learned.num_warnings, 0);
    ck_assert_ptr_nonnull(strstr(learned.warning[0], "named like one for testing"));
}
END_TEST

START_TEST(a_device_without_a_log_is_learned_by_its_values_with_a_warning) {
    take("B1-secureboot-off");
    learn();
    ck_assert_ptr_nonnull(strstr(learned.warning[0], "no event log"));
    expect_refused(A1, " pcrs/pcr_mismatch firmware/firmware_not_allowed");
}
END_TEST

START_TEST(what_is_kept_of_a_boot_teaches_the_same_baseline) {
    struct boot_state kept;
    struct facts again;
    take(A1);
    learn();
    struct bytes document = learned.document;
    struct bytes log = real_file(&arena, "measured-boot/" A1 "/binary_bios_measurements");
    ck_assert_int_eq(boot_state_of(&kept, &arena, source[0].facts), STATUS_OK);
    ck_assert_int_eq(boot_state_facts(&again, &arena, kept.form, log, &detail), STATUS_OK);
    source[0].facts = &again;
    ck_assert_int_eq(learn_baseline(&learned, &arena, &inputs, &detail), STATUS_OK);
    ck_assert(bytes_equal(document, learned.document));
}
END_TEST

/* --- drift --- */

static struct drift drift;

static void compare(const char *before, const char *after) {
    ck_assert_int_eq(drift_between(&drift, &arena, facts_of(before), facts_of(after)), STATUS_OK);
}

static bool says(const char *subject, const char *text) {
    for (size_t i = 0; i < drift.num; i++) {
        if (strcmp(drift.change[i].subject, subject) == 0 &&
            strstr(drift.change[i].text, text) != NULL) {
            return true;
        }
    }
    return false;
}

static const char *told(void) {
    const char *text = "";
    for (size_t i = 0; i < drift.num; i++) {
        text = arena_printf(&arena, "%s\n[%s] %s", text, drift.change[i].subject,
                            drift.change[i].text);
    }
    return text;
}

START_TEST(drift_of_real_boots_is_told_in_words) {
    compare(A1, "A2-secureboot-good-reboot");
    ck_assert_msg(drift.num == 0, "%s", told());
    compare(A1, "C-cmdline-changed");
    ck_assert_msg(says("kernel_command_line", "init_on_alloc=0 was added; module.sig_enforce=0 was "
                                              "added"),
                  "%s", told());
    ck_assert_msg(says("file", "grub.cfg"), "%s", told());
    compare(A1, "D1-kernel-generic");
    ck_assert_msg(says("kernel", "6.1.0-56-cloud-amd64 (5f21ff2c0d5d) became 6.1.0-56-amd64 "
                                 "(6b1bf35c3bee)"),
                  "%s", told());
    ck_assert_msg(says("initrd", "initrd"), "%s", told());
    compare(A1, "E1-own-test-pk");
    ck_assert_msg(says("platform_key", "was removed"), "%s", told());
    ck_assert_msg(says("platform_key", "DO NOT TRUST"), "%s", told());
    ck_assert_msg(says("firmware", "has other contents"), "%s", told());
    compare(A1, "B1-secureboot-off");
    ck_assert_msg(says("event_log", "none any more"), "%s", told());
    ck_assert_msg(says("pcr", "PCR 7 (Secure Boot policy)"), "%s", told());
}
END_TEST

int main(void) {
    if (real_data() == NULL) {
        return EXIT_SUCCESS;
    }
    Suite *suite = suite_create("learn_real");
    TCase *tests = tcase_create("learn_real");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests,
                   one_clean_boot_accepts_its_like_and_refuses_each_altered_one_for_its_reason);
    tcase_add_test(tests, a_boot_with_ima_accepts_the_one_whose_log_is_longer_than_the_quote);
    tcase_add_test(tests, two_kernels_in_a_fleet_are_alternatives);
    tcase_add_test(tests, two_boots_that_agree_leave_no_question_about_the_firmware);
    tcase_add_test(tests, a_device_with_a_test_platform_key_is_learned_with_a_warning);
    tcase_add_test(tests, a_device_without_a_log_is_learned_by_its_values_with_a_warning);
    tcase_add_test(tests, what_is_kept_of_a_boot_teaches_the_same_baseline);
    tcase_add_test(tests, drift_of_real_boots_is_told_in_words);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/replay.h"
#include "tests/unit/evidence_builder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t all_banks[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, 0x0012, 0};
static const uint16_t one_bank[] = {HASH_SHA256, 0};
static const enum hash_alg computed[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};

static struct log_builder made;
static struct tcg_replay replay;

static void forget(void) {
    log_free(&made);
}

static void run(void) {
    struct tcg_eventlog log;
    struct tcg_event event;
    enum status status = tcg_eventlog_open(&log, log_bytes(&made), NULL);
    ck_assert_int_eq(status, STATUS_OK);
    tcg_replay_start(&replay, &log, computed, 4);
    while ((status = tcg_eventlog_next(&log, &event, NULL)) == STATUS_OK) {
        tcg_replay_event(&replay, &event);
    }
    ck_assert_int_eq(status, STATUS_END);
}

/* Every PCR of every bank is what a TPM would hold. */
static void agrees(void) {
    for (size_t b = 0; b < replay.num_banks; b++) {
        const struct tcg_replay_bank *bank = &replay.bank[b];
        ck_assert_uint_eq(bank->touched, made.touched);
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            ck_assert_mem_eq(bank->value[i], log_pcr(&made, (uint16_t)bank->alg, i),
                             digest_len(bank->alg));
        }
    }
}

START_TEST(replay_agrees_with_a_tpm_in_every_bank) {
    log_small_boot(&made, all_banks);
    run();
    ck_assert_uint_eq(replay.num_banks, 4);
    ck_assert_uint_eq(replay.bank[0].touched, 0x43FF);
    agrees();
}
END_TEST

START_TEST(replay_takes_banks_in_any_order) {
    log_start(&made, all_banks);
    made.reversed = true;
    log_text(&made, 4, EV_ACTION, "one");
    log_text(&made, 4, EV_ACTION, "two");
    run();
    agrees();
}
END_TEST

START_TEST(replay_extends_nothing_for_no_action) {
    log_start(&made, one_bank);
    log_no_action(&made, 0, bytes_of_text("SP800-155 Event"));
    log_no_action(&made, 4, bytes_of_text("anything"));
    log_no_action(&made, 0xFFFFFFFF, bytes_of_text("anything"));
    run();
    ck_assert_uint_eq(replay.bank[0].touched, 0);
    agrees();
}
END_TEST

START_TEST(replay_starts_pcr0_with_the_startup_locality) {
    static const uint8_t localities[] = {0, 3, 4};
    log_start(&made, all_banks);
    log_locality(&made, localities[_i]);
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    log_text(&made, 1, EV_ACTION, "settings");
    run();
    ck_assert(replay.has_locality);
    ck_assert_uint_eq(replay.locality, localities[_i]);
    agrees();
}
END_TEST

START_TEST(replay_ignores_a_startup_locality_after_pcr0_was_extended) {
    uint8_t late[17] = "StartupLocality";
    late[16] = 3;
    log_start(&made, all_banks);
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    log_no_action(&made, 0, bytes_of(late, sizeof late));
    run();
    ck_assert(!replay.has_locality);
    agrees();
}
END_TEST

START_TEST(replay_takes_the_first_startup_locality_only) {
    uint8_t second[17] = "StartupLocality";
    second[16] = 0;
    log_start(&made, one_bank);
    log_locality(&made, 3);
    log_no_action(&made, 0, bytes_of(second, sizeof second));
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    run();
    ck_assert_uint_eq(replay.locality, 3);
    agrees();
}
END_TEST

START_TEST(replay_takes_a_startup_locality_in_pcr0_of_its_exact_size_only) {
    uint8_t data[18] = "StartupLocality";
    data[16] = 3;
    log_start(&made, one_bank);
    log_no_action(&made, 1, bytes_of(data, 17));
    log_no_action(&made, 0, bytes_of(data, 16));
    log_no_action(&made, 0, bytes_of(data, 18));
    data[0] = 's';
    log_no_action(&made, 0, bytes_of(data, 17));
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    run();
    ck_assert(!replay.has_locality);
    agrees();
}
END_TEST

START_TEST(replay_starts_pcr0_at_four_after_an_hcrtm) {
    log_start(&made, all_banks);
    log_hcrtm(&made, "core root of trust in hardware");
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    run();
    ck_assert(replay.hcrtm);
    agrees();
}
END_TEST

START_TEST(replay_lets_an_hcrtm_win_over_the_startup_locality) {
    log_start(&made, one_bank);
    log_locality(&made, 3);
    log_hcrtm(&made, "core root of trust in hardware");
    run();
    agrees();
}
END_TEST

START_TEST(replay_starts_pcr0_once_however_many_hcrtm_events_there_are) {
    log_start(&made, one_bank);
    log_hcrtm(&made, "first");
    log_event(&made, 0, EV_EFI_HCRTM_EVENT, bytes_of_text("HCRTM"), bytes_of_text("second"));
    run();
    agrees();
}
END_TEST

START_TEST(replay_leaves_a_bank_alone_that_an_event_leaves_out) {
    static const uint16_t two[] = {HASH_SHA1, HASH_SHA256, 0};
    uint8_t zeros[20] = {0};
    log_start(&made, two);
    log_event_in_bank(&made, HASH_SHA256, 11, EV_COMPACT_HASH, "windows");
    run();
    ck_assert_uint_eq(tcg_replay_bank(&replay, HASH_SHA1)->touched, 0);
    ck_assert_mem_eq(tcg_replay_bank(&replay, HASH_SHA1)->value[11], zeros, 20);
    ck_assert_uint_eq(tcg_replay_bank(&replay, HASH_SHA256)->touched, 1u << 11);
    ck_assert_mem_eq(tcg_replay_bank(&replay, HASH_SHA256)->value[11],
                     log_pcr(&made, HASH_SHA256, 11), 32);
}
END_TEST

START_TEST(replay_knows_untouched_pcrs_by_their_reset_values) {
    log_start(&made, one_bank);
    run();
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        ck_assert(bytes_all(bytes_of(replay.bank[0].value[i], 32), i >= 17 && i <= 22 ? 0xFF : 0));
        ck_assert(pcr_is_reset(i, bytes_of(replay.bank[0].value[i], 32)));
    }
}
END_TEST

START_TEST(replay_extends_dynamic_pcrs_from_zeros) {
    log_start(&made, one_bank);
    memset(made.pcr[0][17], 0, DIGEST_MAX);
    log_text(&made, 17, EV_ACTION, "launch");
    log_text(&made, 17, EV_ACTION, "next");
    run();
    agrees();
}
END_TEST

START_TEST(replay_has_only_banks_that_log_and_caller_name) {
    static const enum hash_alg wanted[] = {HASH_SHA384, HASH_SHA256};
    struct tcg_eventlog log;
    log_start(&made, one_bank);
    ck_assert_int_eq(tcg_eventlog_open(&log, log_bytes(&made), NULL), STATUS_OK);
    tcg_replay_start(&replay, &log, wanted, 2);
    ck_assert_uint_eq(replay.num_banks, 1);
    ck_assert_ptr_null(tcg_replay_bank(&replay, HASH_SHA384));
    ck_assert_ptr_nonnull(tcg_replay_bank(&replay, HASH_SHA256));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("replay");
    tcase_add_checked_fixture(tests, NULL, forget);
    tcase_add_test(tests, replay_agrees_with_a_tpm_in_every_bank);
    tcase_add_test(tests, replay_takes_banks_in_any_order);
    tcase_add_test(tests, replay_extends_nothing_for_no_action);
    tcase_add_loop_test(tests, replay_starts_pcr0_with_the_startup_locality, 0, 3);
    tcase_add_test(tests, replay_ignores_a_startup_locality_after_pcr0_was_extended);
    tcase_add_test(tests, replay_takes_the_first_startup_locality_only);
    tcase_add_test(tests, replay_takes_a_startup_locality_in_pcr0_of_its_exact_size_only);
    tcase_add_test(tests, replay_starts_pcr0_at_four_after_an_hcrtm);
    tcase_add_test(tests, replay_lets_an_hcrtm_win_over_the_startup_locality);
    tcase_add_test(tests, replay_starts_pcr0_once_however_many_hcrtm_events_there_are);
    tcase_add_test(tests, replay_leaves_a_bank_alone_that_an_event_leaves_out);
    tcase_add_test(tests, replay_knows_untouched_pcrs_by_their_reset_values);
    tcase_add_test(tests, replay_extends_dynamic_pcrs_from_zeros);
    tcase_add_test(tests, replay_has_only_banks_that_log_and_caller_name);
    Suite *suite = suite_create("evidence: replay");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

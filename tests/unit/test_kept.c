/* Boot states: their canonical form, the way back to facts, and logs in pieces. */
#include "server/evidence/ima/log.h"
#include "server/evidence/tpm2/kept.h"
#include "tests/unit/facts_builder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t sha256[] = {HASH_SHA256, 0};
static const uint16_t sha256_and_384[] = {HASH_SHA256, HASH_SHA384, 0};
static const uint16_t sha384_and_256[] = {HASH_SHA384, HASH_SHA256, 0};

static struct arena arena;
static struct log_builder made;
static struct facts facts, again;
static struct boot_state state, other;
static struct detail detail;

static void start(void) {
    arena_init(&arena, 1 << 24);
    log_small_boot(&made, sha256_and_384);
    facts_of_log(&facts, &arena, log_bytes(&made), sha256_and_384, FACTS_EVERY_PCR);
    facts.tpm_firmware_version = 0x0102030405060708;
    memset(&detail, 0, sizeof detail);
}

static void end(void) {
    log_free(&made);
    arena_free(&arena);
}

static void keep(struct boot_state *out) {
    ck_assert_int_eq(boot_state_of(out, &arena, &facts), STATUS_OK);
}

static enum status back(struct bytes form, struct bytes log) {
    return boot_state_facts(&again, &arena, form, log, &detail);
}

static void check_event(const struct fact_event *a, const struct fact_event *b) {
    ck_assert_uint_eq(a->index, b->index);
    ck_assert_uint_eq(a->pcr, b->pcr);
    ck_assert_uint_eq(a->type, b->type);
    ck_assert_int_eq(a->digest_vouched, b->digest_vouched);
    ck_assert_int_eq(a->data_vouched, b->data_vouched);
    ck_assert(bytes_equal(a->data, b->data) && bytes_equal(a->bound, b->bound));
    for (size_t i = 0; i < PCR_MAX_BANKS; i++) {
        ck_assert(bytes_equal(a->digest[i], b->digest[i]));
    }
}

START_TEST(facts_come_back_from_a_boot_state_and_its_log) {
    keep(&state);
    ck_assert_int_eq(back(state.form, facts.log), STATUS_OK);
    ck_assert_uint_eq(again.tpm_firmware_version, facts.tpm_firmware_version);
    ck_assert(pcr_selection_equal(&again.selection, &facts.selection));
    ck_assert_uint_eq(again.num_banks, 2);
    for (size_t b = 0; b < 2; b++) {
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            const struct fact_pcr *x = &facts.bank[b].pcr[i], *y = &again.bank[b].pcr[i];
            ck_assert_int_eq(x->quoted, y->quoted);
            ck_assert_int_eq(x->logged, y->logged);
            ck_assert_mem_eq(x->value, y->value, digest_len(facts.bank[b].alg));
        }
    }
    ck_assert(again.has_log && bytes_equal(again.log, facts.log));
    ck_assert_uint_eq(again.num_events, facts.num_events);
    for (size_t i = 0; i < facts.num_events; i++) {
        check_event(&facts.event[i], &again.event[i]);
    }
    keep(&state);
    facts = again;
    keep(&other);
    ck_assert(bytes_equal(state.form, other.form));
}
END_TEST

START_TEST(boot_state_is_named_by_the_hash_of_its_form) {
    uint8_t sha[DIGEST_MAX];
    keep(&state);
    digest_compute(HASH_SHA256, state.form, sha);
    ck_assert_mem_eq(sha, state.sha256, 32);
    digest_compute(HASH_SHA256, facts.log, sha);
    ck_assert_mem_eq(sha, state.log_sha256, 32);
}
END_TEST

START_TEST(what_is_the_devices_own_is_not_in_a_boot_state) {
    keep(&state);
    facts.tpm_clock = 77;
    facts.tpm_reset_count = 5;
    facts.tpm_restart_count = 6;
    facts.tpm_safe = !facts.tpm_safe;
    keep(&other);
    ck_assert(bytes_equal(state.form, other.form));
}
END_TEST

START_TEST(order_of_banks_makes_no_other_boot_state) {
    keep(&state);
    facts_of_log(&facts, &arena, log_bytes(&made), sha384_and_256, FACTS_EVERY_PCR);
    facts.tpm_firmware_version = 0x0102030405060708;
    keep(&other);
    ck_assert(bytes_equal(state.form, other.form));
}
END_TEST

START_TEST(whatever_appraisal_reads_makes_another_boot_state) {
    keep(&state);
    for (unsigned i = 0; i < 5; i++) {
        struct facts saved = facts;
        switch (i) {
        case 0:
            facts.tpm_firmware_version++;
            break;
        case 1:
            facts.bank[0].pcr[23].value[0] ^= 1;
            break;
        case 2:
            facts.bank[1].pcr[0].value[47] ^= 1;
            break;
        case 3:
            facts.bank[1].pcr[16].quoted = false;
            break;
        default:
            facts.has_log = false;
        }
        keep(&other);
        ck_assert_mem_ne(state.sha256, other.sha256, 32);
        facts = saved;
    }
}
END_TEST

START_TEST(pcr_10_is_left_out_only_when_its_log_explains_it) {
    keep(&state);
    facts.bank[0].pcr[IMA_PCR].value[3] ^= 1;
    keep(&other);
    ck_assert_mem_ne(state.sha256, other.sha256, 32);
    facts.ima.known = true;
    keep(&state);
    facts.bank[0].pcr[IMA_PCR].value[3] ^= 1;
    keep(&other);
    ck_assert_mem_eq(state.sha256, other.sha256, 32);
    ck_assert_int_eq(back(state.form, facts.log), STATUS_OK);
    ck_assert(again.bank[0].pcr[IMA_PCR].quoted);
    ck_assert(bytes_all(bytes_of(again.bank[0].pcr[IMA_PCR].value, 32), KEPT_VALUE_UNKNOWN));
    ck_assert(!again.ima.known);
}
END_TEST

START_TEST(boot_state_without_a_log_comes_back_without_one) {
    facts.has_log = false;
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        facts.bank[0].pcr[i].logged = facts.bank[1].pcr[i].logged = false;
    }
    keep(&state);
    ck_assert(bytes_all(bytes_of(state.log_sha256, 32), 0));
    ck_assert_int_eq(back(state.form, bytes_of(NULL, 0)), STATUS_OK);
    ck_assert(!again.has_log && again.num_events == 0);
    ck_assert_int_eq(back(state.form, facts.log), STATUS_MALFORMED);
}
END_TEST

START_TEST(another_log_than_was_kept_is_refused) {
    struct log_builder longer;
    keep(&state);
    log_small_boot(&longer, sha256_and_384);
    log_text(&longer, 8, 0x0D, "one more");
    ck_assert_int_eq(back(state.form, log_bytes(&longer)), STATUS_MALFORMED);
    ck_assert_int_eq(back(state.form, bytes_of(NULL, 0)), STATUS_MALFORMED);
    ck_assert_str_ne(detail.text, "");
    log_free(&longer);
}
END_TEST

START_TEST(log_that_does_not_lead_to_the_kept_values_is_refused) {
    facts.bank[0].pcr[4].value[0] ^= 1;
    keep(&state);
    ck_assert_int_eq(back(state.form, facts.log), STATUS_MALFORMED);
    ck_assert_ptr_nonnull(strstr(detail.text, "PCR 4"));
}
END_TEST

/* Each prefix, and each bit flipped: refused, or what it says is another boot state of canonical form. */
START_TEST(damaged_form_is_refused_or_another_boot_state) {
    keep(&state);
    for (size_t len = 0; len < state.form.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(state.form.data, len));
        ck_assert_int_eq(back(bytes_of(copy, len), facts.log), STATUS_MALFORMED);
        free(copy);
    }
    for (size_t bit = 0; bit < 8 * state.form.len; bit++) {
        struct arena one;
        uint8_t *copy = exact_copy(state.form);
        copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1u << bit % 8);
        struct bytes bent = bytes_of(copy, state.form.len);
        arena_init(&one, 1 << 20);
        if (boot_state_facts(&again, &one, bent, facts.log, NULL) == STATUS_OK) {
            ck_assert_int_eq(boot_state_of(&other, &one, &again), STATUS_OK);
            ck_assert(bytes_equal(bent, other.form));
        }
        arena_free(&one);
        free(copy);
    }
}
END_TEST

START_TEST(form_longer_than_itself_is_refused) {
    keep(&state);
    uint8_t *copy = malloc(state.form.len + 1);
    memcpy(copy, state.form.data, state.form.len);
    copy[state.form.len] = 0;
    ck_assert_int_eq(back(bytes_of(copy, state.form.len + 1), facts.log), STATUS_MALFORMED);
    free(copy);
}
END_TEST

static void check_pieces(struct bytes log, size_t expected) {
    struct bytes *piece = NULL;
    size_t num = 0, at = 0;
    ck_assert_int_eq(log_pieces(&piece, &num, &arena, log), STATUS_OK);
    ck_assert_uint_eq(num, expected);
    for (size_t i = 0; i < num; i++) {
        ck_assert_uint_gt(piece[i].len, 0);
        ck_assert_ptr_eq(piece[i].data, log.data + at);
        at += piece[i].len;
    }
    ck_assert_uint_eq(at, log.len);
}

START_TEST(pieces_are_the_logs_events_and_one_after_another_the_log) {
    check_pieces(log_bytes(&made), made.num_events);
    log_padding(&made, 0xFF, 100);
    check_pieces(log_bytes(&made), made.num_events + 1);
    check_pieces(bytes_of(NULL, 0), 0);
}
END_TEST

START_TEST(logs_that_differ_in_one_event_share_all_other_pieces) {
    struct bytes *a = NULL, *b = NULL;
    size_t num_a = 0, num_b = 0, same = 0;
    struct log_builder one, two;
    log_start(&one, sha256);
    log_start(&two, sha256);
    for (unsigned i = 0; i < 10; i++) {
        log_text(&one, i, 0x0D, i == 4 ? "left" : "same");
        log_text(&two, i, 0x0D, i == 4 ? "right" : "same");
    }
    ck_assert_int_eq(log_pieces(&a, &num_a, &arena, log_bytes(&one)), STATUS_OK);
    ck_assert_int_eq(log_pieces(&b, &num_b, &arena, log_bytes(&two)), STATUS_OK);
    ck_assert_uint_eq(num_a, num_b);
    for (size_t i = 0; i < num_a; i++) {
        same += bytes_equal(a[i], b[i]) ? 1 : 0;
    }
    ck_assert_uint_eq(same, num_a - 1);
    log_free(&one);
    log_free(&two);
}
END_TEST

START_TEST(pieces_of_what_breaks_off_are_still_all_of_it) {
    struct bytes log = log_bytes(&made);
    for (size_t len = 0; len < log.len; len += 7) {
        struct bytes *piece = NULL;
        size_t num = 0, sum = 0;
        uint8_t *copy = exact_copy(bytes_of(log.data, len));
        ck_assert_int_eq(log_pieces(&piece, &num, &arena, bytes_of(copy, len)), STATUS_OK);
        for (size_t i = 0; i < num; i++) {
            sum += piece[i].len;
        }
        ck_assert_uint_eq(sum, len);
        free(copy);
    }
}
END_TEST

START_TEST(full_memory_is_no_boot_state) {
    struct arena small;
    struct bytes *piece = NULL;
    size_t num = 0;
    keep(&state);
    arena_init(&small, 64);
    ck_assert_int_eq(boot_state_of(&other, &small, &facts), STATUS_MEMORY);
    ck_assert_int_eq(boot_state_facts(&again, &small, state.form, facts.log, NULL), STATUS_MEMORY);
    ck_assert_int_eq(log_pieces(&piece, &num, &small, facts.log), STATUS_MEMORY);
    arena_free(&small);
}
END_TEST

static Suite *kept_suite(void) {
    Suite *suite = suite_create("kept");
    TCase *tcase = tcase_create("kept");
    tcase_add_checked_fixture(tcase, start, end);
    tcase_add_test(tcase, facts_come_back_from_a_boot_state_and_its_log);
    tcase_add_test(tcase, boot_state_is_named_by_the_hash_of_its_form);
    tcase_add_test(tcase, what_is_the_devices_own_is_not_in_a_boot_state);
    tcase_add_test(tcase, order_of_banks_makes_no_other_boot_state);
    tcase_add_test(tcase, whatever_appraisal_reads_makes_another_boot_state);
    tcase_add_test(tcase, pcr_10_is_left_out_only_when_its_log_explains_it);
    tcase_add_test(tcase, boot_state_without_a_log_comes_back_without_one);
    tcase_add_test(tcase, another_log_than_was_kept_is_refused);
    tcase_add_test(tcase, log_that_does_not_lead_to_the_kept_values_is_refused);
    tcase_add_test(tcase, damaged_form_is_refused_or_another_boot_state);
    tcase_add_test(tcase, form_longer_than_itself_is_refused);
    tcase_add_test(tcase, pieces_are_the_logs_events_and_one_after_another_the_log);
    tcase_add_test(tcase, logs_that_differ_in_one_event_share_all_other_pieces);
    tcase_add_test(tcase, pieces_of_what_breaks_off_are_still_all_of_it);
    tcase_add_test(tcase, full_memory_is_no_boot_state);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(kept_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

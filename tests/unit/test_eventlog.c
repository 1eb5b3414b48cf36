#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/eventlog.h"
#include "tests/unit/evidence_builder.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t one_bank[] = {HASH_SHA256, 0};
static const uint16_t two_banks[] = {HASH_SHA1, HASH_SHA256, 0};
static const uint16_t five_banks[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, 0x0012, 0};

static struct log_builder made;

static void forget(void) {
    log_free(&made);
}

/* Walks all of it; every byte of what is returned is read. */
static enum status walk(struct bytes raw, uint32_t *num, struct detail *detail) {
    struct tcg_eventlog log;
    struct tcg_event event;
    unsigned sum = 0;
    *num = 0;
    enum status status = tcg_eventlog_open(&log, raw, detail);
    while (status == STATUS_OK) {
        status = tcg_eventlog_next(&log, &event, detail);
        if (status == STATUS_OK) {
            ck_assert_uint_eq(event.index, *num);
            for (uint32_t i = 0; i < log.num_banks; i++) {
                sum += bytes_all(event.digest[i], 0x5A);
            }
            sum += bytes_all(event.data, 0x5A);
            (*num)++;
        }
    }
    ck_assert_uint_le(sum, 1u << 30);
    return status;
}

static enum status walk_exact(struct bytes raw, uint32_t *num, struct detail *detail) {
    uint8_t *copy = exact_copy(raw);
    enum status status = walk(bytes_of(copy, raw.len), num, detail);
    free(copy);
    return status;
}

static void poke(size_t at, uint32_t value, size_t len) {
    for (size_t i = 0; i < len; i++) {
        made.data[at + i] = (uint8_t)(value >> (8 * i));
    }
}

/* Walking the bent log fails with this status, at this event, and says so. */
static void refused(enum status expected, uint32_t index) {
    struct detail detail = {0};
    char where[64];
    uint32_t num;
    ck_assert_int_eq(walk_exact(log_bytes(&made), &num, &detail), expected);
    ck_assert_uint_eq(num, index);
    (void)snprintf(where, sizeof where, "event %u at byte %zu: ", index, made.start[index]);
    ck_assert_msg(strncmp(detail.text, where, strlen(where)) == 0, "%s", detail.text);
}

START_TEST(eventlog_yields_every_event_in_order) {
    struct tcg_eventlog log;
    struct tcg_event event;
    log_small_boot(&made, two_banks);
    ck_assert_int_eq(tcg_eventlog_open(&log, log_bytes(&made), NULL), STATUS_OK);
    ck_assert(log.crypto_agile);
    ck_assert_uint_eq(log.spec_major, 2);
    ck_assert_uint_eq(log.spec_errata, 106);
    ck_assert_uint_eq(log.num_banks, 2);
    for (uint32_t i = 0; i < made.num_events; i++) {
        ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_OK);
        ck_assert_uint_eq(event.index, i);
        ck_assert_uint_eq(event.offset, made.start[i]);
        ck_assert_ptr_eq(event.data.data, made.data + made.data_at[i]);
        ck_assert_uint_eq(event.digest[0].len, i == 0 ? 0 : 20);
        ck_assert_uint_eq(event.digest[1].len, i == 0 ? 0 : 32);
    }
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_END);
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_END);
}
END_TEST

START_TEST(eventlog_takes_five_banks_one_of_them_unknown) {
    uint32_t num;
    struct tcg_eventlog log;
    log_small_boot(&made, five_banks);
    ck_assert_int_eq(walk_exact(log_bytes(&made), &num, NULL), STATUS_END);
    ck_assert_uint_eq(num, made.num_events);
    ck_assert_int_eq(tcg_eventlog_open(&log, log_bytes(&made), NULL), STATUS_OK);
    ck_assert_uint_eq(tcg_eventlog_bank(&log, HASH_SHA512), 3);
    log_free(&made);
    log_small_boot(&made, one_bank);
    ck_assert_int_eq(tcg_eventlog_open(&log, log_bytes(&made), NULL), STATUS_OK);
    ck_assert_uint_eq(tcg_eventlog_bank(&log, HASH_SHA384), TCG_MAX_BANKS);
}
END_TEST

START_TEST(eventlog_matches_digests_by_algorithm_not_by_place) {
    struct tcg_eventlog log;
    struct tcg_event event;
    uint8_t digest[DIGEST_MAX];
    log_start(&made, five_banks);
    made.reversed = true;
    log_text(&made, 4, EV_ACTION, "boot");
    ck_assert_int_eq(tcg_eventlog_open(&log, log_bytes(&made), NULL), STATUS_OK);
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_OK);
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_OK);
    for (uint32_t i = 0; i < 4; i++) {
        digest_compute((enum hash_alg)five_banks[i], bytes_of_text("boot"), digest);
        ck_assert(bytes_equal(event.digest[i],
                              bytes_of(digest, digest_len((enum hash_alg)five_banks[i]))));
    }
}
END_TEST

START_TEST(eventlog_takes_an_event_that_leaves_a_bank_out) {
    struct tcg_eventlog log;
    struct tcg_event event;
    log_start(&made, two_banks);
    log_event_in_bank(&made, HASH_SHA256, 11, EV_COMPACT_HASH, "windows");
    ck_assert_int_eq(tcg_eventlog_open(&log, log_bytes(&made), NULL), STATUS_OK);
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_OK);
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_OK);
    ck_assert_ptr_null(event.digest[0].data);
    ck_assert_uint_eq(event.digest[1].len, 32);
}
END_TEST

START_TEST(eventlog_ends_before_padding_of_zeros_or_ones) {
    static const size_t lengths[] = {1, 3, 4, 8, 12, 16, 17, 32, 4096};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (unsigned byte = 0; byte <= 0xFF; byte += 0xFF) {
            uint32_t num;
            log_small_boot(&made, two_banks);
            log_padding(&made, (uint8_t)byte, lengths[i]);
            ck_assert_int_eq(walk_exact(log_bytes(&made), &num, NULL), STATUS_END);
            ck_assert_uint_eq(num, made.num_events);
            log_free(&made);
        }
    }
    log_start(&made, one_bank);
}
END_TEST

START_TEST(eventlog_rejects_padding_that_is_not_uniform) {
    uint32_t num;
    log_small_boot(&made, two_banks);
    log_padding(&made, 0x00, 20);
    log_padding(&made, 0x01, 1);
    ck_assert_int_eq(walk_exact(log_bytes(&made), &num, NULL), STATUS_MALFORMED);
    log_free(&made);
    log_small_boot(&made, two_banks);
    log_padding(&made, 0xFF, 20);
    log_padding(&made, 0xFE, 1);
    ck_assert_int_eq(walk_exact(log_bytes(&made), &num, NULL), STATUS_MALFORMED);
}
END_TEST

START_TEST(eventlog_rejects_a_log_without_an_event) {
    static const uint8_t zeros[64];
    uint32_t num;
    log_start(&made, one_bank);
    ck_assert_int_eq(walk_exact(bytes_of(NULL, 0), &num, NULL), STATUS_TRUNCATED);
    ck_assert_int_eq(walk_exact(bytes_of(zeros, sizeof zeros), &num, NULL), STATUS_MALFORMED);
}
END_TEST

/* A shorter log ends at an event, or in nothing but zeros of the next one's head; everything else is cut inside. */
START_TEST(eventlog_rejects_every_prefix_that_cuts_an_event) {
    log_small_boot(&made, two_banks);
    for (size_t len = 0; len < made.len; len++) {
        uint32_t num;
        size_t next = 0;
        while (made.start[next] < len && next + 1 < made.num_events) {
            next++;
        }
        enum status status = walk_exact(bytes_of(made.data, len), &num, NULL);
        size_t whole = made.start[next] == len ? len : made.start[next == 0 ? 0 : next - 1];
        if (made.start[next] < len) {
            whole = made.start[next];
        }
        bool padding = bytes_all(bytes_of(made.data + whole, len - whole), 0);
        if (whole > 0 && padding) {
            ck_assert_int_eq(status, STATUS_END);
        } else {
            ck_assert_int_ne(status, STATUS_END);
            ck_assert_int_ne(status, STATUS_OK);
        }
    }
}
END_TEST

START_TEST(eventlog_survives_every_bit_flip) {
    log_small_boot(&made, two_banks);
    for (size_t bit = 0; bit < 8 * made.len; bit++) {
        uint32_t num;
        made.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum status status = walk_exact(log_bytes(&made), &num, NULL);
        ck_assert(status == STATUS_END || status == STATUS_MALFORMED ||
                  status == STATUS_TRUNCATED || status == STATUS_LIMIT);
        made.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(eventlog_rejects_repeated_bank) {
    log_small_boot(&made, two_banks);
    /* The second digest's algorithm stands after the first digest. */
    poke(made.digest_at[3] + 20, HASH_SHA1, 2);
    refused(STATUS_MALFORMED, 3);
}
END_TEST

START_TEST(eventlog_rejects_undeclared_bank) {
    log_small_boot(&made, two_banks);
    poke(made.digest_at[3] - 2, HASH_SHA384, 2);
    refused(STATUS_MALFORMED, 3);
}
END_TEST

START_TEST(eventlog_rejects_a_digest_count_of_zero_or_over_the_banks) {
    static const uint32_t counts[] = {0, 3, 255, 0x7FFFFFFF, 0xFFFFFFFF};
    log_small_boot(&made, two_banks);
    poke(made.start[2] + 8, counts[_i], 4);
    refused(STATUS_MALFORMED, 2);
}
END_TEST

START_TEST(eventlog_rejects_data_longer_than_the_log) {
    static const uint32_t over[] = {1, 0x1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF};
    log_small_boot(&made, two_banks);
    size_t last = made.num_events - 1, len = made.len - made.data_at[last];
    uint32_t claimed = over[_i] == 1 ? (uint32_t)len + 1 : over[_i];
    poke(made.data_at[last] - 4, claimed, 4);
    refused(STATUS_TRUNCATED, (uint32_t)last);
}
END_TEST

START_TEST(eventlog_rejects_a_pcr_that_does_not_exist) {
    static const uint32_t pcrs[] = {24, 25, 31, 255, 0x80000000, 0xFFFFFFFF};
    log_small_boot(&made, two_banks);
    poke(made.start[5], pcrs[_i], 4);
    refused(STATUS_MALFORMED, 5);
}
END_TEST

START_TEST(eventlog_takes_no_action_without_a_pcr) {
    uint32_t num;
    log_small_boot(&made, two_banks);
    log_no_action(&made, 0xFFFFFFFF, bytes_of_text("Windows AIK"));
    ck_assert_int_eq(walk_exact(log_bytes(&made), &num, NULL), STATUS_END);
    ck_assert_uint_eq(num, made.num_events);
}
END_TEST

START_TEST(eventlog_rejects_a_bent_spec_id_event) {
    /* Offsets in the Spec ID event's data: algorithms at 24, the first one at 28. */
    static const struct {
        size_t at, len;
        uint32_t value;
        enum status status;
    } bent[] = {
        {24, 4, 0, STATUS_MALFORMED},      {24, 4, 3, STATUS_TRUNCATED},
        {24, 4, 1, STATUS_TRUNCATED},      {24, 4, 9, STATUS_LIMIT},
        {24, 4, 0xFFFFFFFF, STATUS_LIMIT}, {30, 2, 0, STATUS_MALFORMED},
        {30, 2, 32, STATUS_MALFORMED},     {30, 2, 65, STATUS_MALFORMED},
        {30, 2, 0xFFFF, STATUS_MALFORMED}, {32, 2, HASH_SHA1, STATUS_MALFORMED},
        {36, 1, 1, STATUS_TRUNCATED},      {36, 1, 255, STATUS_TRUNCATED},
    };
    log_small_boot(&made, two_banks);
    poke(made.data_at[0] + bent[_i].at, bent[_i].value, bent[_i].len);
    refused(bent[_i].status, 0);
}
END_TEST

START_TEST(eventlog_rejects_bytes_after_the_vendor_information) {
    uint8_t raw[32 + 38] = {0};
    struct detail detail = {0};
    uint32_t num;
    log_start(&made, two_banks);
    ck_assert_uint_eq(made.len, 32 + 37);
    memcpy(raw, made.data, made.len);
    raw[28] = 38;
    ck_assert_int_eq(walk_exact(bytes_of(raw, sizeof raw), &num, &detail), STATUS_MALFORMED);
    ck_assert_str_eq(detail.text,
                     "event 0 at byte 0: bytes after the Spec ID event's vendor information");
}
END_TEST

START_TEST(eventlog_takes_vendor_information) {
    uint8_t raw[32 + 41] = {0};
    struct tcg_eventlog log;
    log_start(&made, two_banks);
    memcpy(raw, made.data, made.len);
    raw[28] = 41;
    raw[32 + 36] = 4;
    ck_assert_int_eq(tcg_eventlog_open(&log, bytes_of(raw, sizeof raw), NULL), STATUS_OK);
    ck_assert_uint_eq(log.num_banks, 2);
}
END_TEST

START_TEST(eventlog_stops_at_the_cap_of_events) {
    static const uint8_t event[] = {0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0x0B, 0};
    struct detail detail = {0};
    uint32_t num;
    log_start(&made, one_bank);
    size_t one = sizeof event + 32 + 4, len = made.len + TCG_MAX_EVENTS * one;
    uint8_t *raw = calloc(1, len);
    ck_assert_ptr_nonnull(raw);
    memcpy(raw, made.data, made.len);
    for (size_t i = 0; i < TCG_MAX_EVENTS; i++) {
        memcpy(raw + made.len + i * one, event, sizeof event);
    }
    ck_assert_int_eq(walk(bytes_of(raw, len - one), &num, &detail), STATUS_END);
    ck_assert_uint_eq(num, TCG_MAX_EVENTS);
    ck_assert_int_eq(walk(bytes_of(raw, len), &num, &detail), STATUS_LIMIT);
    ck_assert_uint_eq(num, TCG_MAX_EVENTS);
    free(raw);
}
END_TEST

START_TEST(eventlog_leaves_its_output_alone_when_it_fails) {
    struct tcg_eventlog log, before;
    struct tcg_event event = {.index = 77, .pcr = 78}, kept = event;
    log_small_boot(&made, two_banks);
    ck_assert_int_eq(tcg_eventlog_open(&log, bytes_of(made.data, made.start[1] + 30), NULL),
                     STATUS_OK);
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_OK);
    before = log;
    event = kept;
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_TRUNCATED);
    ck_assert_mem_eq(&log, &before, sizeof log);
    ck_assert_mem_eq(&event, &kept, sizeof event);
    ck_assert_int_eq(tcg_eventlog_open(&log, bytes_of(made.data, 31), NULL), STATUS_TRUNCATED);
    ck_assert_mem_eq(&log, &before, sizeof log);
}
END_TEST

START_TEST(eventlog_reads_the_old_format) {
    struct tcg_eventlog log;
    struct tcg_event event;
    uint8_t raw[2 * 36];
    struct writer w = writer_of(raw, sizeof raw);
    for (uint32_t i = 0; i < 2; i++) {
        write_u32le(&w, i);
        write_u32le(&w, EV_ACTION);
        write_bytes(&w, bytes_of("01234567890123456789", 20));
        write_u32le(&w, 4);
        write_u32le(&w, i);
    }
    log_start(&made, one_bank);
    ck_assert_int_eq(tcg_eventlog_open(&log, writer_bytes(&w), NULL), STATUS_OK);
    ck_assert(!log.crypto_agile);
    ck_assert_uint_eq(log.num_banks, 1);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_OK);
        ck_assert_uint_eq(event.pcr, i);
        ck_assert_uint_eq(event.digest[0].len, 20);
    }
    ck_assert_int_eq(tcg_eventlog_next(&log, &event, NULL), STATUS_END);
}
END_TEST

START_TEST(event_types_have_their_names) {
    ck_assert_str_eq(tcg_event_type_name(0x80000001), "EV_EFI_VARIABLE_DRIVER_CONFIG");
    ck_assert_str_eq(tcg_event_type_name(4), "EV_SEPARATOR");
    ck_assert_ptr_null(tcg_event_type_name(0x8401));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("eventlog");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, NULL, forget);
    tcase_add_test(tests, eventlog_yields_every_event_in_order);
    tcase_add_test(tests, eventlog_takes_five_banks_one_of_them_unknown);
    tcase_add_test(tests, eventlog_matches_digests_by_algorithm_not_by_place);
    tcase_add_test(tests, eventlog_takes_an_event_that_leaves_a_bank_out);
    tcase_add_test(tests, eventlog_ends_before_padding_of_zeros_or_ones);
    tcase_add_test(tests, eventlog_rejects_padding_that_is_not_uniform);
    tcase_add_test(tests, eventlog_rejects_a_log_without_an_event);
    tcase_add_test(tests, eventlog_rejects_every_prefix_that_cuts_an_event);
    tcase_add_test(tests, eventlog_survives_every_bit_flip);
    tcase_add_test(tests, eventlog_rejects_repeated_bank);
    tcase_add_test(tests, eventlog_rejects_undeclared_bank);
    tcase_add_loop_test(tests, eventlog_rejects_a_digest_count_of_zero_or_over_the_banks, 0, 5);
    tcase_add_loop_test(tests, eventlog_rejects_data_longer_than_the_log, 0, 6);
    tcase_add_loop_test(tests, eventlog_rejects_a_pcr_that_does_not_exist, 0, 6);
    tcase_add_test(tests, eventlog_takes_no_action_without_a_pcr);
    tcase_add_loop_test(tests, eventlog_rejects_a_bent_spec_id_event, 0, 12);
    tcase_add_test(tests, eventlog_rejects_bytes_after_the_vendor_information);
    tcase_add_test(tests, eventlog_takes_vendor_information);
    tcase_add_test(tests, eventlog_stops_at_the_cap_of_events);
    tcase_add_test(tests, eventlog_leaves_its_output_alone_when_it_fails);
    tcase_add_test(tests, eventlog_reads_the_old_format);
    tcase_add_test(tests, event_types_have_their_names);
    Suite *suite = suite_create("evidence: event log");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

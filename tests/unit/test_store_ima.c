/* What the store keeps of devices' IMA logs, and how it becomes facts again. */
#include "server/evidence/ima/kept.h"
#include "server/fleet/ima_state.h"
#include "tests/unit/evidence_builder.h"
#include "tests/unit/ima_builder.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_fixture f;
static char device[3][STORE_ID];
static struct bytes entry[4096];
static char text[4096][16];
static const char baseline_id[] = "00112233445566778899aabbccddeeff";

static void start(void) {
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge9");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    for (unsigned i = 0; i < 3; i++) {
        struct device_row row = sample_device("edge9", i);
        ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
        memcpy(device[i], row.id, sizeof row.id);
    }
    for (unsigned i = 0; i < 4096; i++) {
        entry[i] = bytes_of(text[i], (size_t)snprintf(text[i], sizeof text[i], "entry %u", i));
    }
}

static void end(void) {
    store_fixture_remove(&f);
}

static struct device_ima_row row_of(unsigned n, int64_t num_entries) {
    struct device_ima_row row = {.reset_count = 7,
                                 .restart_count = 1,
                                 .num_entries = num_entries,
                                 .position = bytes_of("position", 8),
                                 .met = bytes_of("met", 3)};
    memcpy(row.device_id, device[n], STORE_ID);
    return row;
}

static enum status put(unsigned n, int64_t after, const struct bytes *of, size_t num) {
    struct device_ima_row row = row_of(n, after + (int64_t)num);
    return store_fixture_write(&f, store_device_ima_put(f.writer, &row, after, of, num));
}

static struct device_ima_row get(unsigned n) {
    struct device_ima_row row;
    ck_assert_int_eq(store_device_ima_get(f.reader, &f.arena, &row, device[n]), STATUS_OK);
    return row;
}

/* Are just entries from..to-1 kept? */
static void check_entries(unsigned n, unsigned from, unsigned to) {
    struct device_ima_row row = get(n);
    struct bytes *kept;
    bool seen[4096] = {false};
    size_t num;
    ck_assert_int_eq(store_ima_entries(f.reader, &f.arena, &kept, &num, &row), STATUS_OK);
    ck_assert_uint_eq(num, to - from);
    for (size_t i = 0; i < num; i++) {
        const char *copy = arena_text_n(&f.arena, (const char *)kept[i].data, kept[i].len);
        unsigned at = (unsigned)strtoul(copy + 6, NULL, 10);
        ck_assert(at >= from && at < to && !seen[at]);
        seen[at] = true;
    }
}

START_TEST(entries_come_back) {
    ck_assert_int_eq(put(0, 0, entry, 100), STATUS_OK);
    struct device_ima_row row = get(0);
    ck_assert_str_eq(row.device_id, device[0]);
    ck_assert_int_eq(row.reset_count, 7);
    ck_assert_int_eq(row.restart_count, 1);
    ck_assert_int_eq(row.num_entries, 100);
    ck_assert(bytes_equal(row.position, bytes_of("position", 8)));
    ck_assert(bytes_equal(row.met, bytes_of("met", 3)));
    check_entries(0, 0, 100);
    struct device_ima_row none;
    ck_assert_int_eq(store_device_ima_get(f.reader, &f.arena, &none, device[1]), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(new_entries_join_those_before) {
    ck_assert_int_eq(put(0, 0, entry, 100), STATUS_OK);
    ck_assert_int_eq(put(0, 100, entry + 100, 30), STATUS_OK);
    ck_assert_int_eq(put(0, 130, NULL, 0), STATUS_OK);
    ck_assert_int_eq(get(0).num_entries, 130);
    check_entries(0, 0, 130);
}
END_TEST

START_TEST(what_does_not_go_on_from_the_row_is_refused) {
    ck_assert_int_eq(put(0, 100, entry, 5), STATUS_CONFLICT);
    ck_assert_int_eq(put(0, 0, entry, 100), STATUS_OK);
    ck_assert_int_eq(put(0, 99, entry + 100, 5), STATUS_CONFLICT);
    ck_assert_int_eq(put(0, 101, entry + 100, 5), STATUS_CONFLICT);
    ck_assert_int_eq(put(1, 100, entry + 100, 5), STATUS_CONFLICT);
    struct device_ima_row row = row_of(0, 105);
    row.reset_count = 8;
    ck_assert_int_eq(
        store_fixture_write(&f, store_device_ima_put(f.writer, &row, 100, entry + 100, 5)),
        STATUS_CONFLICT);
    row.reset_count = 7;
    row.restart_count = 0;
    ck_assert_int_eq(
        store_fixture_write(&f, store_device_ima_put(f.writer, &row, 100, entry + 100, 5)),
        STATUS_CONFLICT);
    check_entries(0, 0, 100);
    sample_id(row.device_id, 'd', 99);
    ck_assert_int_eq(store_fixture_write(&f, store_device_ima_put(f.writer, &row, 0, entry, 5)),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(log_from_its_start_replaces_what_was_kept) {
    ck_assert_int_eq(put(0, 0, entry, 100), STATUS_OK);
    ck_assert_int_eq(put(0, 0, entry + 50, 20), STATUS_OK);
    check_entries(0, 50, 70);
}
END_TEST

START_TEST(device_of_a_known_model_takes_little_room) {
    struct bytes shuffled[4096];
    memcpy(shuffled, entry, sizeof entry);
    for (unsigned i = 0; i < 4096; i++) {
        unsigned j = (i * 2654435761u) % 4096;
        struct bytes swap = shuffled[i];
        shuffled[i] = shuffled[j];
        shuffled[j] = swap;
    }
    ck_assert_int_eq(put(0, 0, entry, 4096), STATUS_OK);
    ck_assert_int_eq(put(1, 0, shuffled, 4096), STATUS_OK);
    ck_assert(bytes_equal(get(0).entries, get(1).entries));
    ck_assert_uint_lt(get(1).entries.len, 16);
    check_entries(1, 0, 4096);
}
END_TEST

static void forget(void) {
    enum status status = STATUS_LIMIT;
    for (unsigned i = 0; i < 10000 && status == STATUS_LIMIT; i++) {
        store_fixture_begin(&f);
        status = store_boot_state_forget(f.writer, 50);
        ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    }
    ck_assert_int_eq(status, STATUS_OK);
}

START_TEST(entries_of_devices_outlive_the_sweep) {
    ck_assert_int_eq(put(0, 0, entry, 1000), STATUS_OK);
    ck_assert_int_eq(put(1, 0, entry + 500, 1000), STATUS_OK);
    ck_assert_int_eq(put(0, 0, entry + 900, 50), STATUS_OK);
    forget();
    check_entries(0, 900, 950);
    check_entries(1, 500, 1500);
}
END_TEST

START_TEST(deleted_row_is_gone) {
    ck_assert_int_eq(put(0, 0, entry, 10), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_device_ima_delete(f.writer, device[0])),
                     STATUS_OK);
    struct device_ima_row row;
    ck_assert_int_eq(store_device_ima_get(f.reader, &f.arena, &row, device[0]), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_fixture_write(&f, store_device_ima_delete(f.writer, device[0])),
                     STATUS_OK);
}
END_TEST

START_TEST(more_than_is_kept_of_a_device_is_refused) {
    static struct bytes same[STORE_IMA_ENTRIES_MAX + 1];
    for (size_t i = 0; i < STORE_IMA_ENTRIES_MAX + 1; i++) {
        same[i] = entry[0];
    }
    ck_assert_int_eq(put(0, 0, same, STORE_IMA_ENTRIES_MAX + 1), STATUS_LIMIT);
}
END_TEST

START_TEST(damaged_set_is_the_stores_trouble) {
    static const uint8_t bad[][3] = {{0x80, 0x80, 0x80}, {1, 1, 0}, {2, 0, 0}, {0xFE, 0x7F, 1}};
    ck_assert_int_eq(put(0, 0, entry, 10), STATUS_OK);
    struct device_ima_row row = get(0);
    struct bytes *kept;
    size_t num;
    row.entries = bytes_of(bad[_i], _i == 2 ? 2 : 3);
    ck_assert_int_eq(store_ima_entries(f.reader, &f.arena, &kept, &num, &row), STATUS_STORAGE);
}
END_TEST

/* --- codecs ------------------------------------------------------------------------------------- */

static struct fact_ima_position sample_position(void) {
    struct fact_ima_position position = {.reset_count = 7,
                                         .restart_count = 1,
                                         .num_entries = 4,
                                         .num_bytes = 400,
                                         .num_banks = 2,
                                         .aggregate_alg = HASH_SHA256};
    memset(position.aggregate, 0xA1, 32);
    position.bank[0].alg = HASH_SHA256;
    memset(position.bank[0].value, 0xB1, 32);
    position.bank[1].alg = HASH_SHA384;
    position.bank[1].padded = true;
    memset(position.bank[1].value, 0xB2, 48);
    return position;
}

START_TEST(position_is_the_same_again_and_nothing_less_is) {
    struct fact_ima_position position = sample_position(), again;
    uint8_t bytes[IMA_POSITION_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    ima_position_write(&w, &position);
    ck_assert(!w.overflow);
    ck_assert_int_eq(ima_position_read(&again, writer_bytes(&w)), STATUS_OK);
    ck_assert_mem_eq(&again.bank[1].value, position.bank[1].value, 48);
    ck_assert(again.bank[1].padded && !again.bank[0].padded);
    ck_assert_uint_eq(again.num_entries, 4);
    ck_assert_uint_eq(again.num_bytes, 400);
    ck_assert_int_eq(again.aggregate_alg, HASH_SHA256);
    for (size_t len = 0; len < w.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(bytes, len));
        ck_assert_int_eq(ima_position_read(&again, bytes_of(copy, len)), STATUS_MALFORMED);
        free(copy);
    }
    write_u8(&w, 0);
    ck_assert_int_eq(ima_position_read(&again, writer_bytes(&w)), STATUS_MALFORMED);
}
END_TEST

START_TEST(entry_is_the_same_again_and_no_less_is) {
    struct fact_ima_entry fact = {
        .violation = true, .template_name = bytes_of_text("ima-ng"), .data = bytes_of_text("data")};
    struct bytes packed = ima_entry_pack(&f.arena, &fact);
    struct ima_kept_entry kept;
    ck_assert_int_eq(ima_entry_unpack(&kept, packed), STATUS_OK);
    ck_assert(kept.violation);
    ck_assert(bytes_equal(kept.template_name, fact.template_name));
    ck_assert(bytes_equal(kept.data, fact.data));
    for (size_t len = 0; len < 8; len++) {
        ck_assert_int_eq(ima_entry_unpack(&kept, bytes_of(packed.data, len)), STATUS_MALFORMED);
    }
    ck_assert_int_eq(ima_entry_unpack(&kept, bytes_of("\x02\x01xdata", 7)), STATUS_MALFORMED);
}
END_TEST

/* --- state -------------------------------------------------------------------------------------- */

static uint8_t pcrs[10][32];
static struct facts facts;

static void keep(unsigned n) {
    struct ima_builder made;
    struct fact_ima ima;
    struct ima_log log;
    struct ima_entry logged;
    struct fact_ima_position position = sample_position();
    struct ima_kept_entry kept[8];
    size_t num = 0;
    const char *met[] = {baseline_id};
    struct ima_change change;
    ima_start(&made);
    ima_aggregate(&made, (const uint8_t(*)[32])pcrs);
    ima_sample(&made, "/usr/bin/a");
    ima_sample(&made, "/usr/bin/b");
    ima_add(&made, 10, "ima-ng", bytes_of("x", 1), true);
    for (log = ima_log_open(ima_bytes(&made)); ima_log_next(&log, &logged, NULL) == STATUS_OK;) {
        kept[num++] = (struct ima_kept_entry){ima_entry_is_violation(&logged), logged.template_name,
                                              logged.data};
    }
    facts = (struct facts){.num_banks = 1, .bank = {{.alg = HASH_SHA256}}};
    for (unsigned i = 0; i < 10; i++) {
        facts.bank[0].pcr[i].quoted = true;
    }
    digest_compute(HASH_SHA256, bytes_of(pcrs, sizeof pcrs), position.aggregate);
    ck_assert_int_eq(ima_restore(&ima, &f.arena, &facts, &position, kept, num), STATUS_OK);
    ck_assert_int_eq(ima_change_of(&change, &f.arena, device[n], &ima, met, 1), STATUS_OK);
    ck_assert_int_eq(
        store_fixture_write(&f, store_device_ima_put(f.writer, &change.row, change.after,
                                                     change.entry, change.num)),
        STATUS_OK);
    ima_free(&made);
}

static struct device_row clocked(unsigned n, int64_t reset, int64_t restart) {
    struct device_row row = sample_device("edge9", n);
    row.has_clock = true;
    row.tpm_reset_count = reset;
    row.tpm_restart_count = restart;
    return row;
}

START_TEST(kept_entries_are_facts_of_their_own_boot_alone) {
    keep(0);
    struct device_row row = clocked(0, 7, 1);
    ck_assert_int_eq(ima_state_restore(&facts, &f.arena, f.reader, &row), STATUS_OK);
    ck_assert(facts.ima.known);
    ck_assert_uint_eq(facts.ima.num_entries, 4);
    ck_assert_int_eq(facts.ima.boot_aggregate, FACT_YES);
    for (unsigned i = 0; i < 3; i++) {
        row = clocked(i == 2 ? 1 : 0, i == 0 ? 8 : 7, i == 1 ? 2 : 1);
        ck_assert_int_eq(ima_state_restore(&facts, &f.arena, f.reader, &row), STATUS_OK);
        ck_assert(!facts.ima.known);
        ck_assert_uint_eq(facts.ima.num_entries, 0);
    }
}
END_TEST

START_TEST(baseline_that_allowed_all_is_remembered) {
    struct ima_state state;
    keep(0);
    ck_assert_int_eq(ima_state_get(&state, &f.arena, f.reader, device[0]), STATUS_OK);
    ck_assert(ima_state_met(&state, baseline_id));
    ck_assert(!ima_state_met(&state, "00112233445566778899aabbccddeefe"));
    ck_assert(!ima_state_met(&state, ""));
}
END_TEST

START_TEST(state_that_cannot_be_read_counts_as_none) {
    struct ima_state state;
    ck_assert_int_eq(put(0, 0, entry, 10), STATUS_OK); /* its position is a text */
    ck_assert_int_eq(ima_state_get(&state, &f.arena, f.reader, device[0]), STATUS_NOT_FOUND);
    keep(1);
    struct device_ima_row row = get(1);
    row.num_entries = 5;
    ck_assert_int_eq(store_fixture_write(&f, store_device_ima_put(f.writer, &row, 4, NULL, 0)),
                     STATUS_OK);
    ck_assert_int_eq(ima_state_get(&state, &f.arena, f.reader, device[1]), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(devices_with_the_same_entries_have_the_same_key) {
    struct ima_state state;
    uint8_t first[32], second[32];
    keep(0);
    keep(1);
    ck_assert_int_eq(ima_state_get(&state, &f.arena, f.reader, device[0]), STATUS_OK);
    ima_state_key(first, &state);
    ck_assert_int_eq(ima_state_get(&state, &f.arena, f.reader, device[1]), STATUS_OK);
    ima_state_key(second, &state);
    ck_assert_mem_eq(first, second, 32);
    state.position.bank[0].value[0] ^= 1;
    ima_state_key(second, &state);
    ck_assert_mem_eq(first, second, 32);
    state.position.bank[0].padded = true;
    ima_state_key(second, &state);
    ck_assert_mem_ne(first, second, 32);
    state.position.bank[0].padded = false;
    state.position.aggregate[0] ^= 1;
    ima_state_key(second, &state);
    ck_assert_mem_ne(first, second, 32);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store: ima");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, start, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, entries_come_back);
    tcase_add_test(tests, new_entries_join_those_before);
    tcase_add_test(tests, what_does_not_go_on_from_the_row_is_refused);
    tcase_add_test(tests, log_from_its_start_replaces_what_was_kept);
    tcase_add_test(tests, device_of_a_known_model_takes_little_room);
    tcase_add_test(tests, entries_of_devices_outlive_the_sweep);
    tcase_add_test(tests, deleted_row_is_gone);
    tcase_add_test(tests, more_than_is_kept_of_a_device_is_refused);
    tcase_add_loop_test(tests, damaged_set_is_the_stores_trouble, 0, 4);
    tcase_add_test(tests, position_is_the_same_again_and_nothing_less_is);
    tcase_add_test(tests, entry_is_the_same_again_and_no_less_is);
    tcase_add_test(tests, kept_entries_are_facts_of_their_own_boot_alone);
    tcase_add_test(tests, baseline_that_allowed_all_is_remembered);
    tcase_add_test(tests, state_that_cannot_be_read_counts_as_none);
    tcase_add_test(tests, devices_with_the_same_entries_have_the_same_key);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

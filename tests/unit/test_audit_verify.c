/* Whatever happened to an export, the verifier notices it, and names the first broken entry. */
#include "server/base/encoding.h"
#include "tests/unit/audit_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct audit_fixture f;
static struct audit_expectation signed_by_us;
static struct audit_verifier v;

/* Lines: 1 2 3 c3 4 5 c5 6. */
static void make_export(void) {
    audit_fixture_open(&f);
    signed_by_us = (struct audit_expectation){
        .authority = &f.authority, .num_authorities = 1, .trust_domain = "gatehouse.test"};
    for (int i = 1; i <= 6; i++) {
        audit_fixture_entry(&f);
        if (i == 3 || i == 5) {
            audit_fixture_checkpoint(&f);
        }
    }
}

static void free_export(void) {
    audit_fixture_close(&f);
}

static enum status verify(const struct audit_expectation *expected) {
    size_t len;
    uint8_t *text = audit_fixture_text(&f, &len);
    enum status status = audit_fixture_verify(&v, expected, bytes_of(text, len));
    free(text);
    return status;
}

static void is_broken(enum audit_fault fault, int64_t seq, int64_t line) {
    ck_assert_int_eq(verify(&signed_by_us), STATUS_INVALID);
    ck_assert_msg(v.fault == fault, "%s: %s", audit_fault_name(v.fault), v.fault_detail.text);
    ck_assert_int_eq(v.fault_seq, seq);
    ck_assert_int_eq(v.fault_line, line);
    ck_assert(v.fault_detail.text[0] != '\0');
}

static void remove_line(size_t at) {
    for (size_t i = at; i + 1 < f.num_lines; i++) {
        f.line[i] = f.line[i + 1];
    }
    f.num_lines--;
}

static void insert_line(size_t at, struct bytes line) {
    for (size_t i = f.num_lines++; i > at; i--) {
        f.line[i] = f.line[i - 1];
    }
    f.line[at] = line;
}

START_TEST(a_whole_export_is_summed_up) {
    char hash[65];
    hex_encode(hash, bytes_of(f.tip.hash, 32));
    ck_assert_int_eq(verify(&signed_by_us), STATUS_OK);
    ck_assert_int_eq(v.summary.beginning, AUDIT_FROM_FIRST);
    ck_assert_int_eq(v.summary.entries, 6);
    ck_assert_int_eq(v.summary.first_seq, 1);
    ck_assert_int_eq(v.summary.last_seq, 6);
    ck_assert_str_eq(v.summary.last_hash, hash);
    ck_assert_str_eq(v.summary.first_time, "2026-11-23T13:00:00.000Z");
    ck_assert_str_eq(v.summary.last_time, "2026-11-23T13:00:00.005Z");
    ck_assert_int_eq(v.summary.checkpoints, 2);
    ck_assert_int_eq(v.summary.checkpoints_verified, 2);
    ck_assert_int_eq(v.summary.last_checkpoint_seq, 5);
    ck_assert_int_eq(verify(&(struct audit_expectation){0}), STATUS_OK);
    ck_assert_int_eq(v.summary.checkpoints_verified, 0);
}
END_TEST

START_TEST(every_byte_that_is_another_is_noticed_where_it_stands) {
    static const uint8_t masks[] = {0x01, 0x20, 0x80};
    size_t len, at = 0;
    uint8_t *text = audit_fixture_text(&f, &len);
    for (size_t i = 0; i < f.num_lines; i++) {
        for (size_t end = at + f.line[i].len; at < end; at++) {
            text[at] ^= masks[_i];
            enum status status = audit_fixture_verify(&v, &signed_by_us, bytes_of(text, len));
            ck_assert_msg(status == STATUS_INVALID, "byte %zu of line %zu", at, i + 1);
            ck_assert_msg(v.fault_line == (int64_t)i + 1, "byte %zu of line %zu: line %lld", at,
                          i + 1, (long long)v.fault_line);
            /* A line that says no longer what it is, is taken for the entry that is due. */
            ck_assert_int_ge(v.fault_seq, f.seq[i]);
            ck_assert_int_le(v.fault_seq, f.seq[i] + (f.is_checkpoint[i] ? 1 : 0));
            text[at] ^= masks[_i];
        }
    }
    free(text);
}
END_TEST

START_TEST(a_byte_of_an_entry_that_is_another_is_noticed_without_the_authority) {
    const struct audit_expectation nothing = {0};
    size_t len, at = 0;
    uint8_t *text = audit_fixture_text(&f, &len);
    for (size_t i = 0; i < f.num_lines; at += f.line[i++].len) {
        for (size_t k = 0; !f.is_checkpoint[i] && k < f.line[i].len; k++) {
            text[at + k] ^= 2;
            ck_assert_int_eq(audit_fixture_verify(&v, &nothing, bytes_of(text, len)),
                             STATUS_INVALID);
            text[at + k] ^= 2;
        }
    }
    free(text);
}
END_TEST

/* Shorter by whole lines is shorter and whole; that it is not the end is seen by what is expected. */
START_TEST(a_file_cut_off_at_any_byte_of_its_last_lines_is_noticed) {
    size_t len;
    uint8_t *text = audit_fixture_text(&f, &len);
    const struct audit_expectation six = {.seq = 6};
    size_t last = f.line[f.num_lines - 1].len, before = f.line[f.num_lines - 2].len;
    for (size_t cut = 1; cut <= last + before; cut++) {
        bool between = cut == last || cut == last + before;
        uint8_t *shorter = malloc(len - cut);
        ck_assert_ptr_nonnull(shorter);
        memcpy(shorter, text, len - cut);
        enum status status = audit_fixture_verify(&v, &signed_by_us, bytes_of(shorter, len - cut));
        ck_assert_int_eq(status, between ? STATUS_OK : STATUS_INVALID);
        ck_assert(between || v.fault == AUDIT_TRUNCATED);
        ck_assert_int_eq(audit_fixture_verify(&v, &six, bytes_of(shorter, len - cut)),
                         STATUS_INVALID);
        free(shorter);
    }
    free(text);
}
END_TEST

START_TEST(an_entry_that_is_dropped_is_a_gap) {
    remove_line(1);
    is_broken(AUDIT_GAP, 2, 2);
}
END_TEST

/* An export may begin anywhere, yet says then that its beginning was believed. */
START_TEST(a_beginning_that_is_cut_off_is_taken_on_trust_only) {
    remove_line(0);
    ck_assert_int_eq(verify(&signed_by_us), STATUS_OK);
    ck_assert_int_eq(v.summary.beginning, AUDIT_ON_TRUST);
    ck_assert_int_eq(v.summary.first_seq, 2);
    signed_by_us.seq = 1;
    signed_by_us.hash = v.summary.last_hash;
    char hash[65];
    memcpy(hash, v.summary.last_hash, sizeof hash);
    signed_by_us.hash = hash;
    ck_assert_int_eq(verify(&signed_by_us), STATUS_INVALID);
    ck_assert_int_eq(v.fault, AUDIT_NOT_AS_EXPECTED);
}
END_TEST

START_TEST(an_entry_that_is_doubled_is_repeated) {
    insert_line(1, f.line[0]);
    is_broken(AUDIT_REPEATED, 2, 2);
}
END_TEST

START_TEST(entries_that_are_swapped_are_a_gap) {
    struct bytes line = f.line[4];
    f.line[4] = f.line[5];
    f.line[5] = line;
    is_broken(AUDIT_GAP, 4, 5);
}
END_TEST

/* Of another chain: its hash is right, and it has the seq that is due. */
START_TEST(an_entry_that_is_put_in_does_not_follow) {
    struct audit_row row = {.seq = 2, .actor = "operator:mallory"};
    struct json_out o;
    ck_assert_int_eq(audit_hash(row.hash, &row), STATUS_OK);
    json_out_init(&o, &f.arena, 0);
    audit_write_entry(&o, &row);
    insert_line(1, json_out_end(&o));
    is_broken(AUDIT_PREVIOUS, 2, 2);
}
END_TEST

START_TEST(an_entry_that_is_rewritten_with_its_hash_breaks_the_next) {
    struct audit_row row = {.seq = 2, .actor = "operator:mallory"};
    struct json_out o;
    char hash[65];
    memcpy(hash, f.line[0].data + f.line[0].len - 67, 64);
    hash[64] = '\0';
    ck_assert_int_eq(hex_decode(row.previous, 32, hash), STATUS_OK);
    ck_assert_int_eq(audit_hash(row.hash, &row), STATUS_OK);
    json_out_init(&o, &f.arena, 0);
    audit_write_entry(&o, &row);
    f.line[1] = json_out_end(&o);
    is_broken(AUDIT_PREVIOUS, 3, 3);
}
END_TEST

START_TEST(a_first_entry_that_follows_something_is_noticed) {
    struct audit_row row = {.seq = 1, .previous = {1}};
    struct json_out o;
    ck_assert_int_eq(audit_hash(row.hash, &row), STATUS_OK);
    json_out_init(&o, &f.arena, 0);
    audit_write_entry(&o, &row);
    f.line[0] = json_out_end(&o);
    is_broken(AUDIT_PREVIOUS, 1, 1);
}
END_TEST

START_TEST(line_ends_of_another_system_are_noticed) {
    size_t len = f.line[0].len;
    char *line = arena_alloc(&f.arena, len + 1);
    memcpy(line, f.line[0].data, len - 1);
    memcpy(line + len - 1, "\r\n", 2);
    f.line[0] = bytes_of(line, len + 1);
    is_broken(AUDIT_MALFORMED, 1, 1);
}
END_TEST

static const char *const additions[] = {"\n", " ", "{}\n", "# end\n", "\n\n", "{\"seq\":7}\n", "}"};

START_TEST(bytes_after_the_last_line_are_noticed) {
    insert_line(f.num_lines, bytes_of_text(additions[_i]));
    ck_assert_int_eq(verify(&signed_by_us), STATUS_INVALID);
    ck_assert_int_eq(v.fault_seq, 7);
    ck_assert_int_eq(v.fault_line, 9);
}
END_TEST

START_TEST(nothing_is_not_a_log) {
    f.num_lines = 0;
    is_broken(AUDIT_EMPTY, 1, 0);
}
END_TEST

static const char *const bad_seqs[] = {
    "0",
    "01",
    "",
    "-1",
    "1.0",
    "999999999999999999999",
    "9999999999999999999",
    "18446744073709551617",
};

START_TEST(a_number_that_is_none_of_ours_is_noticed) {
    struct bytes rest = bytes_of(f.line[0].data + 8, f.line[0].len - 8); /* after {"seq":1 */
    char *line = arena_printf(&f.arena, "{\"seq\":%s%.*s", bad_seqs[_i], (int)rest.len,
                              (const char *)rest.data);
    f.line[0] = bytes_of_text(line);
    is_broken(AUDIT_MALFORMED, 1, 1);
    rest = bytes_of(f.line[3].data + 15, f.line[3].len - 15); /* after {"checkpoint":3 */
    f.line[0] = bytes_of_text(arena_printf(&f.arena, "{\"checkpoint\":%s%.*s", bad_seqs[_i],
                                           (int)rest.len, (const char *)rest.data));
    is_broken(AUDIT_MALFORMED, 1, 1);
}
END_TEST

/* --- checkpoints --- */

START_TEST(a_checkpoint_that_is_moved_is_noticed) {
    struct bytes checkpoint = f.line[3];
    remove_line(3);
    insert_line(4, checkpoint);
    is_broken(AUDIT_CHECKPOINT, 4, 5);
}
END_TEST

START_TEST(a_checkpoint_that_is_there_twice_is_noticed) {
    insert_line(4, f.line[3]);
    is_broken(AUDIT_CHECKPOINT, 3, 5);
}
END_TEST

static struct audit_checkpoint_row checkpoint_of_the_end(void) {
    struct audit_checkpoint_row row = {
        .seq = 6, .time = 1795438801, .trust_domain = "gatehouse.test"};
    memcpy(row.hash, f.tip.hash, sizeof row.hash);
    return row;
}

START_TEST(a_checkpoint_of_another_hash_is_noticed_without_the_authority) {
    struct audit_checkpoint_row row = checkpoint_of_the_end();
    row.hash[31] ^= 1;
    insert_line(f.num_lines, audit_fixture_sign(&f, &row));
    ck_assert_int_eq(verify(&(struct audit_expectation){0}), STATUS_INVALID);
    ck_assert_int_eq(v.fault, AUDIT_CHECKPOINT);
    ck_assert_int_eq(v.fault_seq, 6);
}
END_TEST

START_TEST(a_checkpoint_of_another_trust_domain_is_refused) {
    struct audit_checkpoint_row row = checkpoint_of_the_end();
    (void)snprintf(row.trust_domain, sizeof row.trust_domain, "elsewhere.test");
    insert_line(f.num_lines, audit_fixture_sign(&f, &row));
    is_broken(AUDIT_SIGNATURE, 6, 9);
    signed_by_us.trust_domain = NULL;
    ck_assert_int_eq(verify(&signed_by_us), STATUS_OK);
}
END_TEST

START_TEST(a_checkpoint_of_another_authority_is_refused) {
    struct audit_checkpoint_row row = checkpoint_of_the_end();
    insert_line(f.num_lines, audit_fixture_sign(&f, &row));
    ck_assert_int_eq(verify(&signed_by_us), STATUS_OK);
    f.authority.sha256[0] ^= 1; /* is not the one named */
    is_broken(AUDIT_SIGNATURE, 3, 4);
    f.authority.sha256[0] ^= 1;
    struct private_key *other;
    ck_assert_int_eq(private_key_generate(&other, KEY_EC_P256), STATUS_OK);
    private_key_public(other, &f.authority.key);
    private_key_free(other);
    is_broken(AUDIT_SIGNATURE, 3, 4);
}
END_TEST

START_TEST(an_export_after_a_prune_begins_with_its_checkpoint) {
    for (int i = 0; i < 3; i++) {
        remove_line(0);
    }
    ck_assert_int_eq(verify(&signed_by_us), STATUS_OK);
    ck_assert_int_eq(v.summary.beginning, AUDIT_FROM_CHECKPOINT);
    ck_assert_int_eq(v.summary.first_seq, 4);
    ck_assert_int_eq(v.summary.entries, 3);
    ck_assert_int_eq(verify(&(struct audit_expectation){0}), STATUS_OK);
    ck_assert_int_eq(v.summary.beginning, AUDIT_ON_TRUST);
    remove_line(1); /* entry 4, right after it */
    is_broken(AUDIT_GAP, 4, 2);
}
END_TEST

START_TEST(a_checkpoint_alone_is_no_log) {
    f.line[0] = f.line[3];
    f.num_lines = 1;
    is_broken(AUDIT_EMPTY, 4, 1);
}
END_TEST

/* --- expectations --- */

START_TEST(an_expected_hash_is_of_the_last_entry_or_of_the_one_named) {
    char last[65], third[65];
    hex_encode(last, bytes_of(f.tip.hash, 32));
    memcpy(third, f.line[2].data + f.line[2].len - 67, 64);
    third[64] = '\0';
    ck_assert_int_eq(verify(&(struct audit_expectation){.hash = last}), STATUS_OK);
    ck_assert_int_eq(verify(&(struct audit_expectation){.hash = last, .seq = 6}), STATUS_OK);
    ck_assert_int_eq(verify(&(struct audit_expectation){.hash = third, .seq = 3}), STATUS_OK);
    ck_assert_int_eq(verify(&(struct audit_expectation){.seq = 4}), STATUS_OK);
    ck_assert_int_eq(verify(&(struct audit_expectation){.hash = third}), STATUS_INVALID);
    ck_assert_int_eq(v.fault, AUDIT_NOT_AS_EXPECTED);
    ck_assert_int_eq(verify(&(struct audit_expectation){.hash = last, .seq = 3}), STATUS_INVALID);
    ck_assert_int_eq(v.fault, AUDIT_NOT_AS_EXPECTED);
    ck_assert_int_eq(v.fault_seq, 3);
    ck_assert_int_eq(verify(&(struct audit_expectation){.seq = 7}), STATUS_INVALID);
    ck_assert_int_eq(v.fault, AUDIT_ENDS_EARLY);
    ck_assert_int_eq(v.fault_seq, 7);
}
END_TEST

START_TEST(what_is_broken_stays_broken) {
    struct bytes line = bytes_of(f.line[0].data, f.line[0].len - 1);
    audit_verifier_init(&v, &signed_by_us);
    ck_assert_int_eq(audit_verifier_line(&v, bytes_of_text("x"), true), STATUS_INVALID);
    ck_assert_int_eq(audit_verifier_line(&v, line, true), STATUS_INVALID);
    ck_assert_int_eq(audit_verifier_end(&v), STATUS_INVALID);
    ck_assert_int_eq(v.fault, AUDIT_MALFORMED);
    ck_assert_int_eq(v.fault_line, 1);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("audit verify");
    tcase_add_checked_fixture(tests, make_export, free_export);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_whole_export_is_summed_up);
    tcase_add_loop_test(tests, every_byte_that_is_another_is_noticed_where_it_stands, 0, 3);
    tcase_add_test(tests, a_byte_of_an_entry_that_is_another_is_noticed_without_the_authority);
    tcase_add_test(tests, a_file_cut_off_at_any_byte_of_its_last_lines_is_noticed);
    tcase_add_test(tests, an_entry_that_is_dropped_is_a_gap);
    tcase_add_test(tests, a_beginning_that_is_cut_off_is_taken_on_trust_only);
    tcase_add_test(tests, an_entry_that_is_doubled_is_repeated);
    tcase_add_test(tests, entries_that_are_swapped_are_a_gap);
    tcase_add_test(tests, an_entry_that_is_put_in_does_not_follow);
    tcase_add_test(tests, an_entry_that_is_rewritten_with_its_hash_breaks_the_next);
    tcase_add_test(tests, a_first_entry_that_follows_something_is_noticed);
    tcase_add_test(tests, line_ends_of_another_system_are_noticed);
    tcase_add_loop_test(tests, bytes_after_the_last_line_are_noticed, 0,
                        (int)(sizeof additions / sizeof additions[0]));
    tcase_add_loop_test(tests, a_number_that_is_none_of_ours_is_noticed, 0,
                        (int)(sizeof bad_seqs / sizeof bad_seqs[0]));
    tcase_add_test(tests, nothing_is_not_a_log);
    tcase_add_test(tests, a_checkpoint_that_is_moved_is_noticed);
    tcase_add_test(tests, a_checkpoint_that_is_there_twice_is_noticed);
    tcase_add_test(tests, a_checkpoint_of_another_hash_is_noticed_without_the_authority);
    tcase_add_test(tests, a_checkpoint_of_another_trust_domain_is_refused);
    tcase_add_test(tests, a_checkpoint_of_another_authority_is_refused);
    tcase_add_test(tests, an_export_after_a_prune_begins_with_its_checkpoint);
    tcase_add_test(tests, a_checkpoint_alone_is_no_log);
    tcase_add_test(tests, an_expected_hash_is_of_the_last_entry_or_of_the_one_named);
    tcase_add_test(tests, what_is_broken_stays_broken);
    Suite *suite = suite_create("audit verify");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

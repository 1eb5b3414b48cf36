/* Each way in which trust changes leaves its row, in the transaction that makes the change; and what
 * changes nothing leaves none. */
#include "server/appraisal/appraisal.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1500 }; /* sample credentials live from 1000 to 2000 */

static struct store_fixture f;
static int64_t seen; /* what was there before a test's own changes */

static enum status put_device(unsigned n, enum device_state state) {
    struct device_row row = sample_device("edge", n);
    row.state = state;
    if (state == DEVICE_REGISTERED) {
        row.ek_public = row.ek_certificate = row.ak_public = (struct bytes){0};
    }
    return store_fixture_write(&f, store_device_insert(f.writer, &row));
}

static enum status put_credential(unsigned n, unsigned device) {
    struct credential_row row = sample_credential(n, device);
    return store_fixture_write(&f, store_credential_insert(f.writer, &row));
}

static void look(void) {
    int64_t oldest;
    ck_assert_int_eq(store_trust_change_ends(f.reader, &oldest, &seen), STATUS_OK);
}

static void open_store(void) {
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    for (unsigned n = 1; n <= 3; n++) {
        ck_assert_int_eq(put_device(n, DEVICE_ENROLLED), STATUS_OK);
        ck_assert_int_eq(put_credential(n, n), STATUS_OK);
    }
    look();
    ck_assert_int_eq(seen, 6);
}

static void remove_store(void) {
    store_fixture_remove(&f);
}

/* What came since the test began, or since the last call. */
static struct trust_change_row *changes(size_t num_wanted) {
    struct trust_change_row *row = NULL;
    size_t num = 0;
    ck_assert_int_eq(store_trust_change_list(f.reader, &f.arena, &row, &num, seen, 100), STATUS_OK);
    ck_assert_uint_eq(num, num_wanted);
    look();
    return row;
}

static struct device_row device(unsigned n) {
    struct device_row row;
    char id[STORE_ID];
    sample_id(id, 'd', n);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &row, id), STATUS_OK);
    return row;
}

static enum status update(const struct device_row *row) {
    return store_fixture_write(&f, store_device_update(f.writer, row));
}

/* --- devices --- */

START_TEST(a_device_that_enrols_is_a_change) {
    ck_assert_int_eq(put_device(4, DEVICE_ENROLLED), STATUS_OK);
    struct trust_change_row *row = changes(1);
    ck_assert_int_eq(row->change, TRUST_DEVICE);
    ck_assert_str_eq(row->device_id, device(4).id);
    ck_assert_str_eq(row->model, "edge");
    ck_assert_int_eq(row->state, DEVICE_ENROLLED);
    ck_assert_int_eq(row->was_state, 0);
    ck_assert_str_eq(row->serial, "");
    ck_assert_int_gt(row->time_ms, 1600000000000);
    ck_assert_int_eq(row->seq, 7);
}
END_TEST

START_TEST(each_state_of_a_device_is_a_change) {
    static const enum device_state state[] = {DEVICE_QUARANTINED, DEVICE_ENROLLED, DEVICE_RETIRED};
    enum device_state before = DEVICE_ENROLLED;
    for (size_t i = 0; i < 3; i++) {
        struct device_row row = device(1);
        row.state = state[i];
        ck_assert_int_eq(update(&row), STATUS_OK);
        const struct trust_change_row *change = changes(1);
        ck_assert_int_eq(change->change, TRUST_DEVICE);
        ck_assert_int_eq(change->was_state, before);
        ck_assert_int_eq(change->state, state[i]);
        before = state[i];
    }
}
END_TEST

START_TEST(a_verdict_and_a_tier_by_evidence_are_changes) {
    struct device_row row = device(1);
    row.verdict = VERDICT_TRUSTED;
    row.tier = TIER_MEASURED;
    row.has_clock = true;
    row.tpm_clock = 7;
    ck_assert_int_eq(store_fixture_write(&f, store_device_standing(f.writer, &row)), STATUS_OK);
    struct trust_change_row *change = changes(1);
    ck_assert_int_eq(change->verdict, VERDICT_TRUSTED);
    ck_assert_int_eq(change->was_verdict, VERDICT_UNKNOWN);
    ck_assert_int_eq(change->tier, TIER_MEASURED);
    row.tier = TIER_VERIFIED_BOOT;
    row.tpm_clock = 8;
    ck_assert_int_eq(store_fixture_write(&f, store_device_standing(f.writer, &row)), STATUS_OK);
    change = changes(1);
    ck_assert_int_eq(change->was_tier, TIER_MEASURED);
    ck_assert_int_eq(change->tier, TIER_VERIFIED_BOOT);
    ck_assert_int_eq(change->was_verdict, VERDICT_TRUSTED);
}
END_TEST

START_TEST(a_reappraisal_that_distrusts_is_a_change) {
    struct device_row row = device(1);
    row.verdict = VERDICT_TRUSTED;
    row.has_clock = true;
    sample_id(row.appraisal_id, 'a', 1);
    struct appraisal_row appraisal = {.verdict = VERDICT_TRUSTED,
                                      .model = "edge",
                                      .findings = bytes_of_text("[]"),
                                      .facts = bytes_of_text("{}")};
    memcpy(appraisal.id, row.appraisal_id, STORE_ID);
    memcpy(appraisal.device_id, row.id, STORE_ID);
    ck_assert_int_eq(store_fixture_write(&f, store_appraisal_insert(f.writer, &appraisal, 5)),
                     STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_device_standing(f.writer, &row)), STATUS_OK);
    (void)changes(1);
    struct device_reappraisal_row found = {.verdict = VERDICT_UNTRUSTED, .created_ms = 1};
    memcpy(found.device_id, row.id, STORE_ID);
    memcpy(found.of_appraisal_id, row.appraisal_id, STORE_ID);
    sample_id(found.job_id, 'j', 1);
    sample_id(found.appraisal_id, 'a', 2);
    ck_assert_int_eq(store_fixture_write(&f, store_device_reappraise(f.writer, &found, false)),
                     STATUS_OK);
    (void)changes(0); /* only looked at */
    ck_assert_int_eq(store_fixture_write(&f, store_device_reappraise(f.writer, &found, true)),
                     STATUS_OK);
    const struct trust_change_row *change = changes(1);
    ck_assert_int_eq(change->was_verdict, VERDICT_TRUSTED);
    ck_assert_int_eq(change->verdict, VERDICT_UNTRUSTED);
}
END_TEST

START_TEST(a_device_that_goes_is_a_change) {
    ck_assert_int_eq(put_device(4, DEVICE_PENDING_APPROVAL), STATUS_OK);
    (void)changes(1);
    char id[STORE_ID];
    sample_id(id, 'd', 4);
    ck_assert_int_eq(store_fixture_write(&f, store_device_delete(f.writer, id)), STATUS_OK);
    const struct trust_change_row *change = changes(1);
    ck_assert_int_eq(change->change, TRUST_DEVICE);
    ck_assert_int_eq(change->state, 0);
    ck_assert_int_eq(change->was_state, DEVICE_PENDING_APPROVAL);
    ck_assert_str_eq(change->device_id, id);
}
END_TEST

START_TEST(what_is_only_announced_is_no_change_until_it_enrols) {
    ck_assert_int_eq(put_device(4, DEVICE_REGISTERED), STATUS_OK);
    (void)changes(0);
    ck_assert_int_eq(put_device(5, DEVICE_REGISTERED), STATUS_OK);
    char id[STORE_ID];
    sample_id(id, 'd', 5);
    ck_assert_int_eq(store_fixture_write(&f, store_device_delete(f.writer, id)), STATUS_OK);
    (void)changes(0);
    struct device_row row = sample_device("edge", 4);
    ck_assert_int_eq(store_fixture_write(&f, store_device_enrol(f.writer, &row)), STATUS_OK);
    const struct trust_change_row *change = changes(1);
    ck_assert_int_eq(change->was_state, DEVICE_REGISTERED);
    ck_assert_int_eq(change->state, DEVICE_ENROLLED);
}
END_TEST

START_TEST(what_decisions_do_not_look_at_is_no_change) {
    struct device_row row = device(1);
    (void)snprintf(row.note, sizeof row.note, "moved");
    row.updated = row.last_seen = 99;
    row.identity_not_after = 77;
    ck_assert_int_eq(update(&row), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_device_touch(f.writer, row.id, 100)), STATUS_OK);
    row.has_clock = true; /* evidence that says the same again */
    ck_assert_int_eq(store_fixture_write(&f, store_device_standing(f.writer, &row)), STATUS_OK);
    (void)changes(0);
}
END_TEST

START_TEST(what_is_undone_leaves_no_change) {
    struct device_row row = sample_device("edge", 4);
    store_fixture_begin(&f);
    ck_assert_int_eq(store_savepoint(f.writer, NULL), STATUS_OK);
    ck_assert_int_eq(store_device_insert(f.writer, &row), STATUS_OK);
    store_undo(f.writer);
    ck_assert_int_eq(store_fixture_end(&f, STATUS_OK), STATUS_OK);
    (void)changes(0);
    store_fixture_begin(&f);
    ck_assert_int_eq(store_device_insert(f.writer, &row), STATUS_OK);
    store_rollback(f.writer);
    (void)changes(0);
}
END_TEST

/* --- credentials --- */

START_TEST(a_credential_is_told_with_what_relying_parties_key_on) {
    struct device_row standing = device(2);
    standing.verdict = VERDICT_TRUSTED;
    standing.tier = TIER_VERIFIED_BOOT;
    ck_assert_int_eq(update(&standing), STATUS_OK);
    (void)changes(1);
    struct credential_row row = sample_credential(9, 2);
    (void)snprintf(row.segment, sizeof row.segment, "lab");
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &row)), STATUS_OK);
    const struct trust_change_row *change = changes(1);
    ck_assert_int_eq(change->change, TRUST_CREDENTIAL);
    ck_assert_str_eq(change->serial, row.serial);
    ck_assert_mem_eq(change->sha256, row.sha256, 32);
    ck_assert_str_eq(change->device_id, row.device_id);
    ck_assert_str_eq(change->model, "edge");
    ck_assert_str_eq(change->segment, "lab");
    ck_assert_int_eq(change->verdict, VERDICT_TRUSTED);
    ck_assert_int_eq(change->tier, TIER_VERIFIED_BOOT);
    ck_assert_int_eq(change->not_before, row.not_before);
    ck_assert_int_eq(change->not_after, row.not_after);
    ck_assert_str_eq(change->reason, "");
}
END_TEST

enum way { ONE, DEVICE, ABOVE, BELOW, MODEL, EVERYBODY, NUM_WAYS };

static enum status revoke(enum way way, int64_t now) {
    struct credential_row row = sample_credential(1, 1);
    size_t num = 0;
    switch (way) {
    case ONE:
        return store_credential_revoke(f.writer, row.serial, now, "why");
    case DEVICE:
        return store_credential_revoke_device(f.writer, row.device_id, now, "why", &num);
    case ABOVE:
        return store_credential_revoke_above(f.writer, row.device_id, -1, now, "why", &num);
    case BELOW:
        return store_credential_revoke_below(f.writer, "edge", TIER_MEASURED, now, "why", &num);
    case MODEL:
        return store_credential_revoke_model(f.writer, "edge", now, "why", &num);
    default:
        return store_credential_revoke_model(f.writer, "", now, "why", &num);
    }
}

START_TEST(each_way_to_revoke_is_told_for_each_credential) {
    static const size_t num[NUM_WAYS] = {
        [ONE] = 1, [DEVICE] = 1, [ABOVE] = 1, [BELOW] = 3, [MODEL] = 3, [EVERYBODY] = 3};
    ck_assert_int_eq(store_fixture_write(&f, revoke((enum way)_i, NOW)), STATUS_OK);
    const struct trust_change_row *change = changes(num[_i]);
    for (size_t i = 0; i < num[_i]; i++) {
        struct credential_row row = sample_credential((unsigned)i + 1, (unsigned)i + 1);
        ck_assert_int_eq(change[i].change, TRUST_REVOCATION);
        ck_assert_str_eq(change[i].serial, row.serial);
        ck_assert_mem_eq(change[i].sha256, row.sha256, 32);
        ck_assert_str_eq(change[i].device_id, row.device_id);
        ck_assert_str_eq(change[i].reason, "why");
    }
}
END_TEST

START_TEST(what_is_revoked_again_is_no_change) {
    ck_assert_int_eq(store_fixture_write(&f, revoke(MODEL, NOW)), STATUS_OK);
    (void)changes(3);
    ck_assert_int_eq(store_fixture_write(&f, revoke((enum way)_i, NOW)),
                     _i == ONE ? STATUS_CONFLICT : STATUS_OK);
    (void)changes(0);
}
END_TEST

START_TEST(what_had_expired_is_not_told_as_revoked) {
    enum status status = store_fixture_write(&f, revoke((enum way)_i, 2000));
    ck_assert_int_eq(status, STATUS_OK);
    (void)changes(0);
}
END_TEST

START_TEST(forgetting_what_expired_is_no_change) {
    ck_assert_int_eq(store_fixture_write(&f, store_credential_prune(f.writer, 3000, 100)),
                     STATUS_OK);
    struct credential_row row = sample_credential(1, 1);
    ck_assert_int_eq(store_credential_get(f.reader, &row, row.serial), STATUS_NOT_FOUND);
    (void)changes(0);
}
END_TEST

START_TEST(a_revocation_that_fails_leaves_no_change) {
    char serial[STORE_SERIAL];
    sample_id(serial, 'x', 1);
    ck_assert_int_eq(store_fixture_write(&f, store_credential_revoke(f.writer, serial, NOW, "why")),
                     STATUS_NOT_FOUND);
    (void)changes(0);
}
END_TEST

/* --- models --- */

static enum status change_model(void (*change)(struct model_row *row)) {
    struct model_row row;
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_OK);
    change(&row);
    return store_fixture_write(&f, store_model_update(f.writer, &row));
}

static void lower_tier(struct model_row *row) {
    row->credential_tier = TIER_IDENTIFIED;
}

static void name_segment(struct model_row *row) {
    (void)snprintf(row->segment[TIER_VERIFIED_BOOT], STORE_SEGMENT, "lan");
}

static void reword(struct model_row *row) {
    (void)snprintf(row->description, sizeof row->description, "another");
    row->credential_lifetime_s++;
}

START_TEST(what_decides_for_a_whole_model_is_a_change) {
    ck_assert_int_eq(change_model(_i == 0 ? lower_tier : name_segment), STATUS_OK);
    const struct trust_change_row *change = changes(1);
    ck_assert_int_eq(change->change, TRUST_MODEL);
    ck_assert_str_eq(change->model, "edge");
    ck_assert_str_eq(change->device_id, "");
    ck_assert_str_eq(change->serial, "");
}
END_TEST

START_TEST(what_does_not_decide_is_no_change) {
    ck_assert_int_eq(change_model(reword), STATUS_OK);
    struct model_row other = sample_model("other");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &other)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_model_delete(f.writer, "other")), STATUS_OK);
    (void)changes(0);
}
END_TEST

/* --- how it is read, and forgotten --- */

START_TEST(changes_come_in_order_and_in_pieces) {
    struct trust_change_row *row = NULL;
    size_t num = 0;
    ck_assert_int_eq(store_trust_change_list(f.reader, &f.arena, &row, &num, 0, 4), STATUS_OK);
    ck_assert_uint_eq(num, 4);
    for (size_t i = 0; i < num; i++) {
        ck_assert_int_eq(row[i].seq, (int64_t)i + 1);
    }
    ck_assert_int_eq(store_trust_change_list(f.reader, &f.arena, &row, &num, 4, 4), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_int_eq(store_trust_change_list(f.reader, &f.arena, &row, &num, 6, 4), STATUS_OK);
    ck_assert_uint_eq(num, 0);
}
END_TEST

static enum status forget(int64_t before_ms, int64_t through, unsigned limit) {
    return store_fixture_write(&f, store_trust_change_forget(f.writer, before_ms, through, limit));
}

static void check_ends(int64_t oldest_wanted, int64_t newest_wanted) {
    int64_t oldest, newest;
    ck_assert_int_eq(store_trust_change_ends(f.reader, &oldest, &newest), STATUS_OK);
    ck_assert_int_eq(oldest, oldest_wanted);
    ck_assert_int_eq(newest, newest_wanted);
}

START_TEST(nothing_is_forgotten_that_is_young_or_needed) {
    ck_assert_int_eq(forget(1000, INT64_MAX, 100), STATUS_OK);
    check_ends(1, 6);
    ck_assert_int_eq(forget(INT64_MAX, 0, 100), STATUS_OK);
    check_ends(1, 6);
    ck_assert_int_eq(forget(INT64_MAX, 2, 100), STATUS_OK);
    check_ends(3, 6);
}
END_TEST

START_TEST(what_is_forgotten_goes_piece_by_piece_from_the_front) {
    ck_assert_int_eq(forget(INT64_MAX, INT64_MAX, 2), STATUS_LIMIT);
    store_fixture_begin(&f); /* LIMIT is no failure to the committer, which commits */
    ck_assert_int_eq(store_trust_change_forget(f.writer, INT64_MAX, INT64_MAX, 2), STATUS_LIMIT);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    check_ends(3, 6);
}
END_TEST

START_TEST(no_number_is_given_twice) {
    ck_assert_int_eq(forget(INT64_MAX, INT64_MAX, 100), STATUS_OK);
    check_ends(6, 6);
    store_fixture_close(&f);
    store_fixture_open(&f, true);
    ck_assert_int_eq(put_credential(7, 1), STATUS_OK);
    check_ends(6, 7);
}
END_TEST

START_TEST(an_empty_log_begins_at_one) {
    struct store_fixture empty;
    int64_t oldest, newest;
    store_fixture_folder(&empty);
    store_fixture_open(&empty, true);
    ck_assert_int_eq(store_trust_change_ends(empty.reader, &oldest, &newest), STATUS_OK);
    ck_assert_int_eq(oldest, 1);
    ck_assert_int_eq(newest, 0);
    ck_assert_int_eq(
        store_fixture_write(&empty, store_trust_change_forget(empty.writer, INT64_MAX, 9, 9)),
        STATUS_OK);
    store_fixture_remove(&empty);
}
END_TEST

/* --- how things stand --- */

static size_t standing(const char *model, int64_t now, struct trust_change_row **out) {
    size_t num = 0;
    ck_assert_int_eq(store_trust_credential_list(f.reader, &f.arena, out, &num, model, now,
                                                 (struct store_page){"", 100}),
                     STATUS_OK);
    return num;
}

START_TEST(what_is_valid_now_is_listed_with_its_device) {
    struct device_row row = device(2);
    row.state = DEVICE_QUARANTINED;
    row.verdict = VERDICT_TRUSTED;
    ck_assert_int_eq(update(&row), STATUS_OK);
    struct trust_change_row *list = NULL;
    ck_assert_uint_eq(standing("", NOW, &list), 3);
    ck_assert_int_eq(list[1].change, TRUST_CREDENTIAL);
    ck_assert_str_eq(list[1].serial, sample_credential(2, 2).serial);
    ck_assert_int_eq(list[1].state, DEVICE_QUARANTINED);
    ck_assert_int_eq(list[1].verdict, VERDICT_TRUSTED);
    ck_assert_int_eq(list[1].not_after, 2000);
    ck_assert_int_eq(list[1].seq, 0);
}
END_TEST

START_TEST(what_is_revoked_or_expired_or_of_another_model_is_not_listed) {
    struct trust_change_row *list = NULL;
    ck_assert_uint_eq(standing("", 2000, &list), 0);
    ck_assert_uint_eq(standing("other", NOW, &list), 0);
    ck_assert_uint_eq(standing("edge", NOW, &list), 3);
    ck_assert_int_eq(store_fixture_write(&f, revoke(ONE, NOW)), STATUS_OK);
    ck_assert_uint_eq(standing("edge", NOW, &list), 2);
    size_t num = 0;
    ck_assert_int_eq(store_trust_credential_list(f.reader, &f.arena, &list, &num, "", NOW,
                                                 (struct store_page){"no id", 100}),
                     STATUS_MALFORMED);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("trust changes");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_store, remove_store);
    tcase_add_test(tests, a_device_that_enrols_is_a_change);
    tcase_add_test(tests, each_state_of_a_device_is_a_change);
    tcase_add_test(tests, a_verdict_and_a_tier_by_evidence_are_changes);
    tcase_add_test(tests, a_reappraisal_that_distrusts_is_a_change);
    tcase_add_test(tests, a_device_that_goes_is_a_change);
    tcase_add_test(tests, what_is_only_announced_is_no_change_until_it_enrols);
    tcase_add_test(tests, what_decisions_do_not_look_at_is_no_change);
    tcase_add_test(tests, what_is_undone_leaves_no_change);
    tcase_add_test(tests, a_credential_is_told_with_what_relying_parties_key_on);
    tcase_add_loop_test(tests, each_way_to_revoke_is_told_for_each_credential, 0, NUM_WAYS);
    tcase_add_loop_test(tests, what_is_revoked_again_is_no_change, 0, NUM_WAYS);
    tcase_add_loop_test(tests, what_had_expired_is_not_told_as_revoked, 0, NUM_WAYS);
    tcase_add_test(tests, forgetting_what_expired_is_no_change);
    tcase_add_test(tests, a_revocation_that_fails_leaves_no_change);
    tcase_add_loop_test(tests, what_decides_for_a_whole_model_is_a_change, 0, 2);
    tcase_add_test(tests, what_does_not_decide_is_no_change);
    tcase_add_test(tests, changes_come_in_order_and_in_pieces);
    tcase_add_test(tests, nothing_is_forgotten_that_is_young_or_needed);
    tcase_add_test(tests, what_is_forgotten_goes_piece_by_piece_from_the_front);
    tcase_add_test(tests, no_number_is_given_twice);
    tcase_add_test(tests, an_empty_log_begins_at_one);
    tcase_add_test(tests, what_is_valid_now_is_listed_with_its_device);
    tcase_add_test(tests, what_is_revoked_or_expired_or_of_another_model_is_not_listed);
    Suite *suite = suite_create("db: trust changes");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

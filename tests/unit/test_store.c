/* The verbs of the store: what they keep, and above all what they refuse. */
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_fixture f;
static const struct store_page all = {"", 1000};

static void open_store(void) {
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
}

static void remove_store(void) {
    store_fixture_remove(&f);
}

static enum status put_model(const char *name) {
    struct model_row row = sample_model(name);
    return store_fixture_write(&f, store_model_insert(f.writer, &row));
}

static enum status put_device(unsigned n) {
    struct device_row row = sample_device("edge", n);
    return store_fixture_write(&f, store_device_insert(f.writer, &row));
}

static void open_with_devices(void) {
    open_store();
    ck_assert_int_eq(put_model("edge"), STATUS_OK);
    for (unsigned n = 1; n <= 3; n++) {
        ck_assert_int_eq(put_device(n), STATUS_OK);
    }
}

/* --- transactions --- */

START_TEST(writes_outside_of_a_transaction_are_refused) {
    struct model_row row = sample_model("edge");
    ck_assert_int_eq(store_model_insert(f.writer, &row), STATUS_INTERNAL);
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_INTERNAL);
}
END_TEST

START_TEST(a_transaction_in_a_transaction_is_refused) {
    store_fixture_begin(&f);
    ck_assert_int_eq(store_begin(f.writer, NULL), STATUS_INTERNAL);
    store_rollback(f.writer);
    store_rollback(f.writer);
}
END_TEST

START_TEST(what_is_rolled_back_never_was) {
    store_fixture_begin(&f);
    struct model_row row = sample_model("edge");
    ck_assert_int_eq(store_model_insert(f.writer, &row), STATUS_OK);
    ck_assert_int_eq(store_model_get(store_writer_reader(f.writer), &row, "edge"), STATUS_OK);
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_NOT_FOUND);
    store_rollback(f.writer);
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(undoing_a_savepoint_leaves_the_others) {
    const char *names[] = {"a", "b", "c"};
    store_fixture_begin(&f);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(store_savepoint(f.writer, NULL), STATUS_OK);
        struct model_row row = sample_model(names[i]);
        ck_assert_int_eq(store_model_insert(f.writer, &row), STATUS_OK);
        if (i == 1) {
            store_undo(f.writer);
        } else {
            ck_assert_int_eq(store_release(f.writer, NULL), STATUS_OK);
        }
    }
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    struct model_row row;
    ck_assert_int_eq(store_model_get(f.reader, &row, "a"), STATUS_OK);
    ck_assert_int_eq(store_model_get(f.reader, &row, "b"), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_model_get(f.reader, &row, "c"), STATUS_OK);
}
END_TEST

START_TEST(a_reader_sees_one_moment_between_begin_and_end) {
    ck_assert_int_eq(store_read_begin(f.reader), STATUS_OK);
    struct model_row row;
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_NOT_FOUND);
    ck_assert_int_eq(put_model("edge"), STATUS_OK);
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_NOT_FOUND);
    store_read_end(f.reader);
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_OK);
    store_read_end(f.reader);
}
END_TEST

START_TEST(a_second_writer_is_refused) {
    struct store_writer *second = NULL;
    struct detail detail = {0};
    ck_assert_int_eq(store_writer_new(&second, f.store, &detail), STATUS_CONFLICT);
    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(strstr(detail.text, "in use by another gateway"));
}
END_TEST

/* --- models --- */

START_TEST(a_model_is_read_as_it_was_written) {
    struct model_row row = sample_model("edge"), back;
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_model_get(f.reader, &back, "edge"), STATUS_OK);
    row.version = 1;
    ck_assert_str_eq(back.description, row.description);
    ck_assert_str_eq(back.pcr_selection, row.pcr_selection);
    ck_assert_str_eq(back.enrolment, row.enrolment);
    ck_assert_int_eq(back.credential_lifetime_s, row.credential_lifetime_s);
    ck_assert_int_eq(back.created, row.created);
    ck_assert_int_eq(back.version, 1);
}
END_TEST

START_TEST(a_model_name_is_taken_once) {
    ck_assert_int_eq(put_model("edge"), STATUS_OK);
    ck_assert_int_eq(put_model("edge"), STATUS_CONFLICT);
}
END_TEST

START_TEST(a_model_is_updated_from_the_version_that_was_read) {
    ck_assert_int_eq(put_model("edge"), STATUS_OK);
    struct model_row row;
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_model_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_model_update(f.writer, &row)), STATUS_CONFLICT);
    row = sample_model("other");
    ck_assert_int_eq(store_fixture_write(&f, store_model_update(f.writer, &row)), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(models_are_paged_by_name) {
    const char *names[] = {"c", "a", "d", "b"};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(put_model(names[i]), STATUS_OK);
    }
    struct model_row *rows;
    size_t num;
    ck_assert_int_eq(store_model_list(f.reader, &f.arena, &rows, &num, (struct store_page){"a", 2}),
                     STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_str_eq(rows[0].name, "b");
    ck_assert_str_eq(rows[1].name, "c");
    ck_assert_int_eq(store_model_list(f.reader, &f.arena, &rows, &num, (struct store_page){"d", 2}),
                     STATUS_OK);
    ck_assert_uint_eq(num, 0);
}
END_TEST

START_TEST(a_model_in_use_is_not_deleted) {
    struct baseline_row draft = sample_baseline("edge", 1, BASELINE_DRAFT);
    struct baseline_row active = sample_baseline("idle", 2, BASELINE_ACTIVE);
    ck_assert_int_eq(put_model("idle"), STATUS_OK);
    ck_assert_int_eq(put_model("free"), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &draft)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &active)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_model_delete(f.writer, "edge")),
                     STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_model_delete(f.writer, "idle")),
                     STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_model_delete(f.writer, "none")),
                     STATUS_NOT_FOUND);
    struct baseline_row left = sample_baseline("free", 3, BASELINE_DRAFT);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &left)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_model_delete(f.writer, "free")), STATUS_OK);
    ck_assert_int_eq(store_baseline_get(f.reader, &f.arena, &left, left.id), STATUS_NOT_FOUND);
}
END_TEST

/* --- baselines --- */

START_TEST(a_baseline_is_read_as_it_was_written) {
    struct baseline_row row = sample_baseline("edge", 1, BASELINE_DRAFT), back;
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_baseline_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_str_eq(back.id, row.id);
    ck_assert_str_eq(back.label, row.label);
    ck_assert_str_eq(back.created_by, "alice");
    ck_assert_str_eq(back.activated_by, "");
    ck_assert_int_eq(back.state, BASELINE_DRAFT);
    ck_assert_int_eq(back.version, 1);
    ck_assert_mem_eq(back.document_sha256, row.document_sha256, 32);
    ck_assert(bytes_equal(back.document, row.document));
}
END_TEST

START_TEST(a_baseline_needs_its_model) {
    struct baseline_row row = sample_baseline("none", 1, BASELINE_DRAFT);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)),
                     STATUS_CONFLICT);
}
END_TEST

START_TEST(a_baseline_of_no_known_state_is_refused) {
    struct baseline_row row = sample_baseline("edge", 1, (enum baseline_state)8);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)),
                     STATUS_CONFLICT);
    row.state = (enum baseline_state)0;
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)),
                     STATUS_CONFLICT);
}
END_TEST

START_TEST(two_updates_from_one_version_do_not_both_succeed) {
    struct baseline_row row = sample_baseline("edge", 1, BASELINE_DRAFT);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)), STATUS_OK);
    row.version = 1;
    row.state = BASELINE_SUBMITTED;
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_update(f.writer, &row)),
                     STATUS_CONFLICT);
    row.version = 2;
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_update(f.writer, &row)), STATUS_OK);
    sample_id(row.id, 'b', 9);
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_update(f.writer, &row)),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(only_drafts_are_deleted) {
    for (int state = BASELINE_DRAFT; state <= BASELINE_REVOKED; state++) {
        struct baseline_row row =
            sample_baseline("edge", (unsigned)state, (enum baseline_state)state);
        ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)), STATUS_OK);
        ck_assert_int_eq(store_fixture_write(&f, store_baseline_delete(f.writer, row.id)),
                         state == BASELINE_DRAFT ? STATUS_OK : STATUS_CONFLICT);
    }
    ck_assert_int_eq(store_fixture_write(&f, store_baseline_delete(f.writer, "nonsense")),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(active_and_deprecated_baselines_are_in_force_by_activation) {
    ck_assert_int_eq(put_model("late"), STATUS_OK);
    for (int state = BASELINE_DRAFT; state <= BASELINE_REVOKED; state++) {
        struct baseline_row row = sample_baseline(state % 2 == 0 ? "late" : "edge", (unsigned)state,
                                                  (enum baseline_state)state);
        row.activated = 1000 - state;
        ck_assert_int_eq(store_fixture_write(&f, store_baseline_insert(f.writer, &row)), STATUS_OK);
    }
    struct baseline_row *rows;
    size_t num;
    ck_assert_int_eq(store_baseline_in_force(f.reader, &f.arena, &rows, &num), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_int_eq(rows[0].state, BASELINE_DEPRECATED);
    ck_assert_int_eq(rows[1].state, BASELINE_ACTIVE);
    ck_assert_uint_eq(rows[0].document.len, 0);
    ck_assert_int_eq(store_baseline_list(f.reader, &f.arena, &rows, &num, "late", all), STATUS_OK);
    ck_assert_uint_eq(num, 3);
}
END_TEST

/* --- enrolments --- */

static struct enrollment_row sample_enrollment(unsigned n, const char *address, int64_t expires) {
    struct enrollment_row row = {.ek_public = bytes_of_text("ek"),
                                 .ak_public = bytes_of_text("ak"),
                                 .csr_spki = bytes_of_text("spki"),
                                 .state = ENROLLMENT_BEGUN,
                                 .created = 100,
                                 .expires = expires,
                                 .model = "edge"};
    sample_id(row.id, 'n', n);
    sample_id(row.device_id, 'd', n);
    memset(row.secret_sha256, 's', 32);
    memcpy(row.address, address, strlen(address) + 1);
    return row;
}

static enum status put_enrollment(unsigned n, const char *address, int64_t expires, int64_t now) {
    struct enrollment_row row = sample_enrollment(n, address, expires);
    return store_fixture_write(&f, store_enrollment_insert(f.writer, &row, 3, 2, now));
}

START_TEST(an_enrolment_is_taken_once) {
    ck_assert_int_eq(put_enrollment(1, "::1", 500, 100), STATUS_OK);
    struct enrollment_row row;
    char id[STORE_ID];
    sample_id(id, 'n', 1);
    ck_assert_int_eq(store_enrollment_get(f.reader, &f.arena, &row, id), STATUS_OK);
    ck_assert_str_eq(row.address, "::1");
    ck_assert(bytes_equal(row.csr_spki, bytes_of_text("spki")));
    ck_assert_uint_eq(row.ek_certificate.len, 0);
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_delete(f.writer, id)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_delete(f.writer, id)),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(store_enrollment_get(f.reader, &f.arena, &row, id), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(pending_enrolments_are_limited_in_all_and_by_address) {
    ck_assert_int_eq(put_enrollment(1, "::1", 500, 100), STATUS_OK);
    ck_assert_int_eq(put_enrollment(2, "::1", 500, 100), STATUS_OK);
    ck_assert_int_eq(put_enrollment(3, "::1", 500, 100), STATUS_LIMIT);
    ck_assert_int_eq(put_enrollment(3, "::2", 500, 100), STATUS_OK);
    ck_assert_int_eq(put_enrollment(4, "::3", 500, 100), STATUS_LIMIT);
    ck_assert_int_eq(put_enrollment(4, "::3", 900, 500), STATUS_OK); /* the others have expired */
}
END_TEST

START_TEST(an_enrolment_for_no_model_is_refused) {
    struct enrollment_row row = sample_enrollment(1, "::1", 500);
    memcpy(row.model, "none", 5);
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_insert(f.writer, &row, 3, 2, 100)),
                     STATUS_CONFLICT);
}
END_TEST

START_TEST(expired_enrolments_are_forgotten) {
    ck_assert_int_eq(put_enrollment(1, "::1", 500, 100), STATUS_OK);
    ck_assert_int_eq(put_enrollment(2, "::1", 501, 100), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_prune(f.writer, 500)), STATUS_OK);
    struct enrollment_row row = sample_enrollment(1, "", 0);
    ck_assert_int_eq(store_enrollment_get(f.reader, &f.arena, &row, row.id), STATUS_NOT_FOUND);
    row = sample_enrollment(2, "", 0);
    ck_assert_int_eq(store_enrollment_get(f.reader, &f.arena, &row, row.id), STATUS_OK);
}
END_TEST

/* --- devices --- */

START_TEST(a_device_is_read_as_it_was_written) {
    struct device_row row = sample_device("edge", 2), back, by_identity;
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_int_eq(
        store_device_by_identity(f.reader, &f.arena, &by_identity, row.identity_sha256), STATUS_OK);
    ck_assert_str_eq(by_identity.id, row.id);
    ck_assert_str_eq(back.model, "edge");
    ck_assert_str_eq(back.note, row.note);
    ck_assert_str_eq(back.appraisal_id, "");
    ck_assert_str_eq(back.identity_serial, row.identity_serial);
    ck_assert(!back.has_clock);
    ck_assert(bytes_equal(back.ek_public, row.ek_public));
    ck_assert(bytes_equal(back.ak_public, row.ak_public));
    ck_assert(bytes_equal(back.ek_certificate, row.ek_certificate));
    ck_assert_mem_eq(back.identity_sha256, row.identity_sha256, 32);
}
END_TEST

START_TEST(a_device_id_key_or_identity_is_registered_once) {
    struct device_row other = sample_device("edge", 9), row = sample_device("edge", 1);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    row = sample_device("edge", 9);
    memcpy(row.id, sample_device("edge", 1).id, STORE_ID);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    row = other;
    row.ek_public = sample_device("edge", 1).ek_public;
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    row = other;
    row.ak_public = sample_device("edge", 1).ak_public;
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    row = other;
    memcpy(row.identity_sha256, sample_device("edge", 1).identity_sha256, 32);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &other)), STATUS_OK);
}
END_TEST

START_TEST(keys_that_end_alike_are_told_apart) {
    static const uint8_t a[20] = {1}, b[20] = {2};
    struct device_row row = sample_device("edge", 8);
    row.ek_public = bytes_of(a, sizeof a);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
    row = sample_device("edge", 9);
    row.ek_public = bytes_of(b, sizeof b);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
}
END_TEST

START_TEST(a_device_without_model_or_of_no_known_state_is_refused) {
    struct device_row row = sample_device("none", 9);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    row = sample_device("edge", 9);
    row.state = (enum device_state)6;
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    row = sample_device("edge", 9);
    row.verdict = 4;
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
}
END_TEST

static const char *const malformed_ids[] = {
    "",
    "0",
    "64000000010000000000000000000000000",
    "6400000001000000000000000000000",
    "6400000001000000000000000000000G",
    "6400000001000000000000000000000A",
    "' OR 1=1 --",
};

START_TEST(what_is_no_id_names_nothing_and_is_not_written) {
    const char *id = malformed_ids[_i];
    struct device_row device = sample_device("edge", 9);
    (void)strncpy(device.id, id, sizeof device.id - 1);
    device.id[32] = '\0';
    struct credential_row credential = sample_credential(1, 1);
    struct appraisal_row appraisal;
    struct baseline_row baseline;
    if (strlen(id) != 35) {
        ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &device)),
                         STATUS_MALFORMED);
    }
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &device, id), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_credential_get(f.reader, &credential, id), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_appraisal_get(f.reader, &f.arena, &appraisal, id), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_baseline_get(f.reader, &f.arena, &baseline, id), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_fixture_write(&f, store_device_touch(f.writer, id, 1)),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(store_fixture_write(&f, store_credential_revoke(f.writer, id, 1, "")),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(a_page_after_what_is_no_id_is_malformed) {
    const char *after = malformed_ids[_i + 1];
    struct store_page page = {after, 10};
    struct device_row *devices = NULL;
    struct credential_row *credentials = NULL;
    struct appraisal_row *appraisals = NULL;
    size_t num = 77;
    struct device_filter any = {.verdict = -1, .tier = -1};
    struct credential_filter every = {0};
    char id[STORE_ID];
    sample_id(id, 'd', 1);
    ck_assert_int_eq(store_device_list(f.reader, &f.arena, &devices, &num, &any, page),
                     STATUS_MALFORMED);
    ck_assert_int_eq(store_credential_list(f.reader, &f.arena, &credentials, &num, &every, page),
                     STATUS_MALFORMED);
    ck_assert_int_eq(store_appraisal_list(f.reader, &f.arena, &appraisals, &num, id, page),
                     STATUS_MALFORMED);
    ck_assert_ptr_null(devices);
    ck_assert_uint_eq(num, 77);
}
END_TEST

START_TEST(a_device_is_updated_whole) {
    struct device_row row = sample_device("edge", 1), back;
    ck_assert_int_eq(put_model("new"), STATUS_OK);
    memcpy(row.model, "new", 4);
    row.state = DEVICE_QUARANTINED;
    row.ak_public = bytes_of_text("another key");
    memset(row.identity_sha256, 0, 32);
    memcpy(row.note, "lost", 5);
    row.has_clock = true;
    row.tpm_clock = 7;
    row.enrolled = 1;
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_str_eq(back.model, "new");
    ck_assert_str_eq(back.note, "lost");
    ck_assert_int_eq(back.state, DEVICE_QUARANTINED);
    ck_assert(back.has_clock);
    ck_assert_int_eq(back.tpm_clock, 7);
    ck_assert_int_eq(back.enrolled, 100);
    ck_assert(bytes_equal(back.ak_public, bytes_of_text("another key")));
    ck_assert(bytes_all(bytes_of(back.identity_sha256, 32), 0));
    row = sample_device("edge", 9);
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &row)),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(an_update_does_not_take_another_devices_key) {
    struct device_row row = sample_device("edge", 1);
    row.ak_public = sample_device("edge", 2).ak_public;
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &row)), STATUS_CONFLICT);
    row = sample_device("edge", 1);
    memcpy(row.identity_sha256, sample_device("edge", 2).identity_sha256, 32);
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &row)), STATUS_CONFLICT);
}
END_TEST

static enum status stand(int64_t reset, int64_t restart, int64_t clock) {
    struct device_row row = sample_device("edge", 1);
    row.has_clock = true;
    row.tpm_reset_count = reset;
    row.tpm_restart_count = restart;
    row.tpm_clock = clock;
    row.verdict = 1;
    row.tier = 3;
    row.last_seen = 300;
    sample_id(row.appraisal_id, 'p', 1);
    return store_fixture_write(&f, store_device_standing(f.writer, &row));
}

START_TEST(a_quote_that_is_not_later_changes_nothing) {
    ck_assert_int_eq(stand(2, 2, 50), STATUS_OK);
    ck_assert_int_eq(stand(2, 2, 50), STATUS_CONFLICT);
    ck_assert_int_eq(stand(2, 2, 49), STATUS_CONFLICT);
    ck_assert_int_eq(stand(2, 1, 99), STATUS_CONFLICT);
    ck_assert_int_eq(stand(1, 9, 99), STATUS_CONFLICT);
    ck_assert_int_eq(stand(2, 2, 51), STATUS_OK);
    ck_assert_int_eq(stand(2, 3, 1), STATUS_OK);
    ck_assert_int_eq(stand(3, 0, 1), STATUS_OK);
    struct device_row back;
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, sample_device("edge", 1).id),
                     STATUS_OK);
    ck_assert_int_eq(back.verdict, 1);
    ck_assert_int_eq(back.tier, 3);
    ck_assert_int_eq(back.last_seen, 300);
    ck_assert_int_eq(back.tpm_reset_count, 3);
    ck_assert_str_eq(back.note, "as new");
    ck_assert(bytes_equal(back.ek_public, sample_device("edge", 1).ek_public));
}
END_TEST

START_TEST(a_verdict_without_a_quote_keeps_the_clock) {
    ck_assert_int_eq(stand(2, 2, 50), STATUS_OK);
    struct device_row row = sample_device("edge", 1), back;
    row.verdict = 2;
    ck_assert_int_eq(store_fixture_write(&f, store_device_standing(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_int_eq(back.verdict, 2);
    ck_assert_int_eq(back.tpm_clock, 50);
    ck_assert_int_eq(stand(2, 2, 50), STATUS_CONFLICT);
    row = sample_device("edge", 9);
    ck_assert_int_eq(store_fixture_write(&f, store_device_standing(f.writer, &row)),
                     STATUS_NOT_FOUND);
}
END_TEST

static size_t count_devices(struct device_filter filter, const char *after, unsigned limit) {
    struct device_row *rows;
    size_t num;
    ck_assert_int_eq(store_device_list(f.reader, &f.arena, &rows, &num, &filter,
                                       (struct store_page){after, limit}),
                     STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        ck_assert(filter.state == 0 || rows[i].state == filter.state);
        ck_assert(filter.verdict < 0 || rows[i].verdict == filter.verdict);
        ck_assert(filter.tier < 0 || rows[i].tier == filter.tier);
        ck_assert(filter.model[0] == '\0' || strcmp(rows[i].model, filter.model) == 0);
        ck_assert(i == 0 || strcmp(rows[i - 1].id, rows[i].id) < 0);
        ck_assert(strcmp(rows[i].id, after) > 0);
        ck_assert(rows[i].ek_public.len > 0);
    }
    return num;
}

START_TEST(devices_are_listed_by_every_filter) {
    ck_assert_int_eq(put_model("other"), STATUS_OK);
    for (unsigned n = 10; n < 34; n++) {
        struct device_row row = sample_device(n % 2 == 0 ? "edge" : "other", n);
        row.state = (enum device_state)(1 + n % 4);
        row.verdict = (int)(n / 2 % 4);
        row.tier = (int)(n / 4 % 4);
        ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
    }
    ck_assert_uint_eq(count_devices((struct device_filter){.verdict = -1, .tier = -1}, "", 1000),
                      27);
    ck_assert_uint_eq(count_devices((struct device_filter){.verdict = -1, .tier = -1}, "", 5), 5);
    struct device_filter by_model = {.model = "other", .verdict = -1, .tier = -1};
    ck_assert_uint_eq(count_devices(by_model, "", 1000), 12);
    ck_assert_uint_eq(count_devices(by_model, sample_device("", 20).id, 1000), 7);
    size_t sum = 0;
    for (int state = 1; state <= 4; state++) {
        for (int verdict = 0; verdict <= 3; verdict++) {
            for (int tier = 0; tier <= 3; tier++) {
                struct device_filter filter = {
                    .state = (enum device_state)state, .verdict = verdict, .tier = tier};
                sum += count_devices(filter, "", 1000);
            }
        }
    }
    ck_assert_uint_eq(sum, 27);
    ck_assert_uint_eq(
        count_devices((struct device_filter){.model = "none", .verdict = -1, .tier = -1}, "", 9),
        0);
}
END_TEST

static int64_t counted(const struct fleet_count *count, size_t num, enum device_state state,
                       int verdict) {
    int64_t sum = 0;
    for (size_t i = 0; i < num; i++) {
        sum += count[i].state == state && count[i].verdict == verdict ? count[i].num : 0;
    }
    return sum;
}

START_TEST(counts_follow_what_devices_do) {
    ck_assert_int_eq(stand(1, 1, 1), STATUS_OK);
    struct device_row row = sample_device("edge", 2);
    row.state = DEVICE_RETIRED;
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_device_touch(f.writer, row.id, 50)), STATUS_OK);
    struct fleet_count *count;
    size_t num;
    ck_assert_int_eq(store_fleet_counts(f.reader, &f.arena, &count, &num), STATUS_OK);
    ck_assert_uint_eq(num, 3);
    ck_assert_int_eq(counted(count, num, DEVICE_ENROLLED, 1), 1);
    ck_assert_int_eq(counted(count, num, DEVICE_ENROLLED, 0), 1);
    ck_assert_int_eq(counted(count, num, DEVICE_RETIRED, 0), 1);
    ck_assert_int_eq(count[2].oldest_seen, 50);
    ck_assert_int_eq(
        store_fixture_write(&f, store_device_touch(f.writer, sample_device("", 9).id, 50)),
        STATUS_NOT_FOUND);
}
END_TEST

START_TEST(a_refused_device_is_not_counted) {
    struct device_row row = sample_device("edge", 1);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    struct fleet_count *count;
    size_t num;
    ck_assert_int_eq(store_fleet_counts(f.reader, &f.arena, &count, &num), STATUS_OK);
    ck_assert_int_eq(counted(count, num, DEVICE_ENROLLED, 0), 3);
}
END_TEST

/* --- appraisals --- */

static struct appraisal_row sample_appraisal(unsigned n, unsigned device_n) {
    struct appraisal_row row = {.verdict = 2,
                                .tier = 1,
                                .model = "edge",
                                .failure = "quote_signature_invalid",
                                .findings = bytes_of_text("[{}]"),
                                .facts = bytes_of_text("{\"pcrs\":1}"),
                                .created_ms = 1000 + n};
    sample_id(row.id, 'p', n);
    sample_id(row.device_id, 'd', device_n);
    return row;
}

START_TEST(an_appraisal_is_read_as_it_was_written) {
    struct appraisal_row row = sample_appraisal(1, 1), back;
    ck_assert_int_eq(store_fixture_write(&f, store_appraisal_insert(f.writer, &row, 4)), STATUS_OK);
    ck_assert_int_eq(store_appraisal_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_str_eq(back.device_id, row.device_id);
    ck_assert_str_eq(back.baseline_id, "");
    ck_assert_str_eq(back.failure, row.failure);
    ck_assert_int_eq(back.verdict, 2);
    ck_assert_int_eq(back.created_ms, 1001);
    ck_assert(bytes_equal(back.findings, row.findings));
    ck_assert(bytes_equal(back.facts, row.facts));
}
END_TEST

START_TEST(an_appraisal_of_nobody_or_twice_is_refused) {
    struct appraisal_row row = sample_appraisal(1, 9);
    ck_assert_int_eq(store_fixture_write(&f, store_appraisal_insert(f.writer, &row, 4)),
                     STATUS_CONFLICT);
    row = sample_appraisal(1, 1);
    ck_assert_int_eq(store_fixture_write(&f, store_appraisal_insert(f.writer, &row, 4)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_appraisal_insert(f.writer, &row, 4)),
                     STATUS_CONFLICT);
}
END_TEST

START_TEST(the_newest_appraisals_of_each_device_are_kept) {
    for (unsigned n = 1; n <= 10; n++) {
        struct appraisal_row row = sample_appraisal(n, 1 + n % 2);
        ck_assert_int_eq(store_fixture_write(&f, store_appraisal_insert(f.writer, &row, 2)),
                         STATUS_OK);
    }
    char id[STORE_ID];
    sample_id(id, 'd', 1);
    struct appraisal_row *rows;
    size_t num;
    ck_assert_int_eq(store_appraisal_list(f.reader, &f.arena, &rows, &num, id, all), STATUS_OK);
    ck_assert_uint_eq(num, 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(rows[i].created_ms, 1010 - 2 * i);
    }
    struct store_page after = {rows[1].id, 10};
    ck_assert_int_eq(store_appraisal_list(f.reader, &f.arena, &rows, &num, id, after), STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_int_eq(rows[0].created_ms, 1006);
}
END_TEST

/* --- credentials --- */

static enum status put_credential(unsigned n, unsigned device_n, int64_t not_after) {
    struct credential_row row = sample_credential(n, device_n);
    row.not_after = not_after;
    return store_fixture_write(&f, store_credential_insert(f.writer, &row));
}

START_TEST(a_credential_is_read_as_it_was_written) {
    struct credential_row row = sample_credential(1, 1), back;
    ck_assert_int_eq(put_credential(1, 1, 2000), STATUS_OK);
    ck_assert_int_eq(store_credential_get(f.reader, &back, row.serial), STATUS_OK);
    ck_assert_mem_eq(&back, &row, sizeof row);
}
END_TEST

START_TEST(a_serial_is_given_once_and_to_a_known_device) {
    ck_assert_int_eq(put_credential(1, 9, 2000), STATUS_CONFLICT);
    ck_assert_int_eq(put_credential(1, 1, 2000), STATUS_OK);
    ck_assert_int_eq(put_credential(1, 2, 2000), STATUS_CONFLICT);
}
END_TEST

START_TEST(a_credential_knows_who_signed_it_and_says_so_in_its_changes) {
    struct credential_row row = sample_credential(1, 1), back;
    struct trust_change_row *changes;
    size_t num;
    (void)snprintf(row.authority, sizeof row.authority, "0123456789abcdef");
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_credential_get(f.reader, &back, row.serial), STATUS_OK);
    ck_assert_str_eq(back.authority, row.authority);
    ck_assert_int_eq(
        store_fixture_write(&f, store_credential_revoke(f.writer, row.serial, 1500, "lost")),
        STATUS_OK);
    ck_assert_int_eq(store_trust_change_list(f.reader, &f.arena, &changes, &num, 0, 100),
                     STATUS_OK);
    ck_assert_uint_ge(num, 2);
    ck_assert_int_eq(changes[num - 2].change, TRUST_CREDENTIAL);
    ck_assert_str_eq(changes[num - 2].authority, row.authority);
    ck_assert_int_eq(changes[num - 1].change, TRUST_REVOCATION);
    ck_assert_str_eq(changes[num - 1].authority, row.authority);
    row = sample_credential(2, 1);
    (void)snprintf(row.authority, sizeof row.authority, "0123");
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &row)),
                     STATUS_CONFLICT);
}
END_TEST

/* --- what is revoked --- */

static struct {
    unsigned num, stop_at;
    uint8_t last[16];
    char reasons[256];
} met;

static bool meet_revoked(void *context, const struct revoked_row *row) {
    (void)context;
    if (met.num > 0) {
        ck_assert_int_lt(memcmp(met.last, row->serial, sizeof met.last), 0);
    }
    ck_assert_int_eq(row->revoked, 1500);
    memcpy(met.last, row->serial, sizeof met.last);
    (void)strncat(met.reasons, row->reason, sizeof met.reasons - strlen(met.reasons) - 1);
    return ++met.num != met.stop_at;
}

static const char *revoked_of(const char *authority, int64_t expire_after, unsigned stop_at) {
    memset(&met, 0, sizeof met);
    met.stop_at = stop_at;
    ck_assert_int_eq(
        store_credential_revoked(f.reader, authority, expire_after, meet_revoked, NULL), STATUS_OK);
    return met.reasons;
}

/* The n-th, revoked at 1500 for a reason of one letter. */
static void put_revoked(unsigned n, const char *authority, int64_t not_after, const char *reason) {
    struct credential_row row = sample_credential(n, 1);
    (void)snprintf(row.authority, sizeof row.authority, "%s", authority);
    row.not_after = not_after;
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &row)), STATUS_OK);
    if (reason[0] != '\0') {
        ck_assert_int_eq(
            store_fixture_write(&f, store_credential_revoke(f.writer, row.serial, 1500, reason)),
            STATUS_OK);
    }
}

START_TEST(what_an_authority_revoked_is_found_by_serial_until_it_expires) {
    put_revoked(1, "00000000000000aa", 2000, "a");
    put_revoked(2, "00000000000000bb", 2000, "b");
    put_revoked(3, "", 2000, "c"); /* nobody knows whose: everybody's */
    put_revoked(4, "00000000000000aa", 1800, "d");
    put_revoked(5, "00000000000000aa", 2000, "");
    put_revoked(6, "00000000000000aa", 2000, "f");
    put_revoked(7, "", 1800, "g");
    ck_assert_str_eq(revoked_of("00000000000000aa", 1600, 0), "acdfg");
    ck_assert_str_eq(revoked_of("00000000000000aa", 1800, 0), "acf");
    ck_assert_str_eq(revoked_of("00000000000000bb", 1600, 0), "bcg");
    ck_assert_str_eq(revoked_of("00000000000000cc", 1600, 0), "cg");
    ck_assert_str_eq(revoked_of("", 1600, 0), "cg");
    ck_assert_str_eq(revoked_of("00000000000000aa", 2000, 0), "");
    ck_assert_str_eq(revoked_of("00000000000000aa", 1600, 2), "ac");
}
END_TEST

START_TEST(a_credential_is_revoked_once) {
    struct credential_row row = sample_credential(1, 1);
    ck_assert_int_eq(
        store_fixture_write(&f, store_credential_revoke(f.writer, row.serial, 1500, "lost")),
        STATUS_NOT_FOUND);
    ck_assert_int_eq(put_credential(1, 1, 2000), STATUS_OK);
    ck_assert_int_eq(
        store_fixture_write(&f, store_credential_revoke(f.writer, row.serial, 1500, "lost")),
        STATUS_OK);
    ck_assert_int_eq(
        store_fixture_write(&f, store_credential_revoke(f.writer, row.serial, 1600, "late")),
        STATUS_CONFLICT);
    ck_assert_int_eq(store_credential_get(f.reader, &row, row.serial), STATUS_OK);
    ck_assert_int_eq(row.revoked, 1500);
    ck_assert_str_eq(row.reason, "lost");
}
END_TEST

START_TEST(revoking_a_device_spares_others_and_what_has_ended) {
    for (unsigned n = 1; n <= 4; n++) {
        ck_assert_int_eq(put_credential(n, n == 4 ? 2 : 1, n == 1 ? 1400 : 2000), STATUS_OK);
    }
    char id[STORE_ID];
    sample_id(id, 'd', 1);
    size_t num = 0;
    ck_assert_int_eq(store_fixture_write(
                         &f, store_credential_revoke_device(f.writer, id, 1500, "untrusted", &num)),
                     STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_int_eq(
        store_fixture_write(&f, store_credential_revoke_device(f.writer, id, 1501, "again", &num)),
        STATUS_OK);
    ck_assert_uint_eq(num, 0);
    struct credential_filter valid = {.valid_at = 1600};
    struct credential_row *rows;
    ck_assert_int_eq(store_credential_list(f.reader, &f.arena, &rows, &num, &valid, all),
                     STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_str_eq(rows[0].serial, sample_credential(4, 2).serial);
    memcpy(valid.device_id, id, sizeof id);
    ck_assert_int_eq(store_credential_list(f.reader, &f.arena, &rows, &num, &valid, all),
                     STATUS_OK);
    ck_assert_uint_eq(num, 0);
    valid.valid_at = 0;
    ck_assert_int_eq(store_credential_list(f.reader, &f.arena, &rows, &num, &valid, all),
                     STATUS_OK);
    ck_assert_uint_eq(num, 3);
}
END_TEST

START_TEST(pruning_forgets_the_expired_and_says_when_there_is_more) {
    for (unsigned n = 1; n <= 6; n++) {
        ck_assert_int_eq(put_credential(n, 1, 1000 + n), STATUS_OK);
    }
    ck_assert_int_eq(store_fixture_write(&f, store_credential_prune(f.writer, 1000, 9)), STATUS_OK);
    store_fixture_begin(&f);
    ck_assert_int_eq(store_credential_prune(f.writer, 1004, 2), STATUS_LIMIT);
    ck_assert_int_eq(store_credential_prune(f.writer, 1004, 2), STATUS_OK);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    struct credential_filter any = {0};
    struct credential_row *rows;
    size_t num;
    ck_assert_int_eq(store_credential_list(f.reader, &f.arena, &rows, &num, &any, all), STATUS_OK);
    ck_assert_uint_eq(num, 3);
    ck_assert_int_eq(rows[0].not_after, 1004);
}
END_TEST

/* --- the walk --- */

struct seen {
    unsigned devices, credentials, stop_at;
};

static bool see_device(void *context, const struct device_row *row) {
    struct seen *seen = context;
    ck_assert_uint_eq(seen->credentials, 0);
    ck_assert_uint_eq(row->ek_public.len, 0);
    return ++seen->devices != seen->stop_at;
}

static bool see_credential(void *context, const struct credential_row *row) {
    struct seen *seen = context;
    ck_assert_int_gt(row->not_after, 1500);
    seen->credentials++;
    return true;
}

START_TEST(the_walk_meets_devices_then_credentials_that_have_not_expired) {
    ck_assert_int_eq(put_credential(1, 1, 1500), STATUS_OK);
    ck_assert_int_eq(put_credential(2, 1, 1501), STATUS_OK);
    ck_assert_int_eq(put_credential(3, 2, 1600), STATUS_OK);
    ck_assert_int_eq(
        store_fixture_write(
            &f, store_credential_revoke(f.writer, sample_credential(3, 2).serial, 1400, "lost")),
        STATUS_OK);
    struct seen seen = {0};
    struct store_visitor visitor = {&seen, see_device, see_credential};
    ck_assert_int_eq(store_walk(f.reader, &visitor, 1500), STATUS_OK);
    ck_assert_uint_eq(seen.devices, 3);
    ck_assert_uint_eq(seen.credentials, 2);
    seen = (struct seen){.stop_at = 2};
    ck_assert_int_eq(store_walk(f.reader, &visitor, 1500), STATUS_OK);
    ck_assert_uint_eq(seen.devices, 2);
    ck_assert_uint_eq(seen.credentials, 0);
}
END_TEST

/* --- operators, proxies --- */

static enum status put_operator(const char *name, const char *role, bool disabled, bool replace) {
    struct operator_row row = sample_operator(name, role);
    row.disabled = disabled;
    return store_fixture_write(&f, store_operator_put(f.writer, &row, replace));
}

START_TEST(an_operators_name_and_certificate_are_taken_once) {
    ck_assert_int_eq(put_operator("alice", "admin", false, false), STATUS_OK);
    ck_assert_int_eq(put_operator("alice", "viewer", false, false), STATUS_CONFLICT);
    struct operator_row row = sample_operator("bob", "viewer");
    row.certificate[0] = sample_certificate("alice");
    ck_assert_int_eq(store_fixture_write(&f, store_operator_put(f.writer, &row, false)),
                     STATUS_CONFLICT);
    ck_assert_int_eq(put_operator("bob", "viewer", false, true), STATUS_OK);
}
END_TEST

START_TEST(the_last_admin_stays) {
    ck_assert_int_eq(put_operator("alice", "admin", false, false), STATUS_OK);
    ck_assert_int_eq(put_operator("bob", "admin", true, false), STATUS_OK);
    ck_assert_int_eq(put_operator("carol", "operator", false, false), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_operator_delete(f.writer, "alice", 100)),
                     STATUS_CONFLICT);
    ck_assert_int_eq(put_operator("alice", "viewer", false, true), STATUS_CONFLICT);
    ck_assert_int_eq(put_operator("alice", "admin", true, true), STATUS_CONFLICT);
    ck_assert_int_eq(put_operator("bob", "admin", false, true), STATUS_OK);
    ck_assert_int_eq(put_operator("alice", "viewer", false, true), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_operator_delete(f.writer, "alice", 100)),
                     STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_operator_delete(f.writer, "bob", 100)),
                     STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_operator_delete(f.writer, "nobody", 100)),
                     STATUS_NOT_FOUND);
    struct operator_row *rows, row;
    size_t num;
    ck_assert_int_eq(store_operator_list(f.reader, &f.arena, &rows, &num, all), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_int_eq(store_operator_get(f.reader, &row, "bob"), STATUS_OK);
    ck_assert_str_eq(row.role, "admin");
    ck_assert(!row.disabled);
}
END_TEST

static enum status add_certificate(const char *name, const char *seed, int64_t not_after) {
    struct operator_certificate row = sample_certificate(seed);
    row.not_after = not_after;
    return store_fixture_write(&f, store_operator_certificate_add(f.writer, name, &row));
}

static enum status delete_certificate(const char *name, const char *seed, int64_t now) {
    return store_fixture_write(&f, store_operator_certificate_delete(
                                       f.writer, name, sample_certificate(seed).sha256, now));
}

START_TEST(an_operator_has_one_to_four_certificates) {
    struct operator_row row;
    ck_assert_int_eq(put_operator("alice", "viewer", false, false), STATUS_OK);
    ck_assert_int_eq(add_certificate("alice", "alice", 0), STATUS_CONFLICT);
    ck_assert_int_eq(add_certificate("nobody", "x", 0), STATUS_NOT_FOUND);
    ck_assert_int_eq(delete_certificate("alice", "alice", 1), STATUS_CONFLICT);
    ck_assert_int_eq(add_certificate("alice", "a", 7000), STATUS_OK);
    ck_assert_int_eq(add_certificate("alice", "c", 0), STATUS_OK);
    ck_assert_int_eq(add_certificate("alice", "b", 0), STATUS_OK);
    ck_assert_int_eq(add_certificate("alice", "d", 0), STATUS_LIMIT);
    ck_assert_int_eq(store_operator_get(f.reader, &row, "alice"), STATUS_OK);
    ck_assert_uint_eq(row.num_certificates, 4);
    ck_assert_int_eq(row.certificate[0].sha256[0], 'a');
    ck_assert_int_eq(row.certificate[0].not_after, 7000);
    ck_assert_str_eq(row.certificate[0].subject, "CN=sample");
    ck_assert_str_eq(row.certificate[0].added_by, "host:root");
    ck_assert_int_eq(delete_certificate("alice", "nobody", 1), STATUS_NOT_FOUND);
    ck_assert_int_eq(delete_certificate("alice", "alice", 1), STATUS_OK);
    ck_assert_int_eq(delete_certificate("alice", "alice", 1), STATUS_NOT_FOUND);
    ck_assert_int_eq(put_operator("alice", "admin", false, true), STATUS_OK); /* keeps them */
    ck_assert_int_eq(store_operator_get(f.reader, &row, "alice"), STATUS_OK);
    ck_assert_uint_eq(row.num_certificates, 3);
    ck_assert_ptr_null(operator_certificate(&row, sample_certificate("alice").sha256));
    ck_assert_ptr_nonnull(operator_certificate(&row, sample_certificate("b").sha256));
}
END_TEST

START_TEST(a_certificate_belongs_to_one_operator) {
    ck_assert_int_eq(put_operator("alice", "viewer", false, false), STATUS_OK);
    ck_assert_int_eq(put_operator("bob", "viewer", false, false), STATUS_OK);
    ck_assert_int_eq(add_certificate("alice", "bob", 0), STATUS_CONFLICT);
    ck_assert_int_eq(add_certificate("bob", "c", 0), STATUS_OK);
    ck_assert_int_eq(delete_certificate("alice", "c", 1), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_fixture_write(&f, store_operator_delete(f.writer, "bob", 100)),
                     STATUS_OK);
    ck_assert_int_eq(add_certificate("alice", "bob", 0), STATUS_OK); /* it went with bob */
}
END_TEST

START_TEST(an_expired_certificate_is_no_way_in) {
    ck_assert_int_eq(put_operator("alice", "admin", false, false), STATUS_OK); /* until 5000 */
    ck_assert_int_eq(add_certificate("alice", "old", 200), STATUS_OK);
    ck_assert_int_eq(delete_certificate("alice", "alice", 300), STATUS_CONFLICT);
    ck_assert_int_eq(put_operator("bob", "admin", false, false), STATUS_OK);
    ck_assert_int_eq(add_certificate("bob", "bob-old", 200), STATUS_OK);
    ck_assert_int_eq(delete_certificate("alice", "alice", 300), STATUS_OK);
    ck_assert_int_eq(delete_certificate("bob", "bob", 300), STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_operator_delete(f.writer, "bob", 300)),
                     STATUS_CONFLICT);
    ck_assert_int_eq(delete_certificate("bob", "bob-old", 300), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_operator_delete(f.writer, "alice", 300)),
                     STATUS_OK);
}
END_TEST

/* --- approvals --- */

static struct approval_row sample_approval(unsigned n, int64_t created) {
    struct approval_row row = {.state = APPROVAL_PENDING,
                               .rule = "bulk_revoke",
                               .method = "POST",
                               .path = "/v1/credentials/revoke",
                               .proposed_by = "alice",
                               .created = created,
                               .expires = created + 100,
                               .body = bytes_of_text("{}")};
    sample_id(row.id, 'p', n);
    return row;
}

static enum status insert_approval(unsigned n, int64_t created, unsigned max) {
    struct approval_row row = sample_approval(n, created);
    return store_fixture_write(&f, store_approval_insert(f.writer, &row, max));
}

static enum status decide_approval(unsigned n, enum approval_state state, int64_t now) {
    struct approval_row row = sample_approval(n, 0);
    row.state = state;
    row.decided = now;
    (void)snprintf(row.decided_by, sizeof row.decided_by, "bob");
    return store_fixture_write(&f, store_approval_decide(f.writer, &row));
}

START_TEST(an_approval_is_decided_once_and_before_it_expires) {
    struct approval_row row;
    ck_assert_int_eq(insert_approval(1, 1000, 10), STATUS_OK);
    ck_assert_int_eq(insert_approval(2, 1000, 10), STATUS_OK);
    ck_assert_int_eq(decide_approval(1, APPROVAL_APPROVED, 1099), STATUS_OK);
    ck_assert_int_eq(decide_approval(1, APPROVAL_APPROVED, 1099), STATUS_CONFLICT);
    ck_assert_int_eq(decide_approval(1, APPROVAL_REJECTED, 1099), STATUS_CONFLICT);
    ck_assert_int_eq(decide_approval(2, APPROVAL_APPROVED, 1100), STATUS_CONFLICT);
    ck_assert_int_eq(decide_approval(3, APPROVAL_APPROVED, 1), STATUS_CONFLICT);
    ck_assert_int_eq(store_approval_get(f.reader, &f.arena, &row, sample_approval(1, 0).id),
                     STATUS_OK);
    ck_assert_int_eq(row.state, APPROVAL_APPROVED);
    ck_assert_str_eq(row.decided_by, "bob");
    ck_assert_int_eq(row.decided, 1099);
    ck_assert(bytes_equal(row.body, bytes_of_text("{}")));
    ck_assert_int_eq(store_approval_get(f.reader, &f.arena, &row, sample_approval(3, 0).id),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(approvals_that_wait_are_counted_and_old_ones_forgotten) {
    struct approval_row *rows;
    size_t num;
    ck_assert_int_eq(insert_approval(1, 1000, 2), STATUS_OK);
    ck_assert_int_eq(insert_approval(2, 1050, 2), STATUS_OK);
    ck_assert_int_eq(insert_approval(3, 1099, 2), STATUS_LIMIT);
    ck_assert_int_eq(insert_approval(3, 1100, 2), STATUS_OK); /* the first has expired */
    ck_assert_int_eq(decide_approval(3, APPROVAL_REJECTED, 1101), STATUS_OK);
    ck_assert_int_eq(insert_approval(4, 1101, 2), STATUS_OK);
    ck_assert_int_eq(store_approval_list(f.reader, &f.arena, &rows, &num, 0, all), STATUS_OK);
    ck_assert_uint_eq(num, 4);
    ck_assert_int_eq(store_approval_list(f.reader, &f.arena, &rows, &num, APPROVAL_REJECTED, all),
                     STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_str_eq(rows[0].id, sample_approval(3, 0).id);
    ck_assert_int_eq(insert_approval(5, 1101 + 31 * 86400, 2), STATUS_OK);
    ck_assert_int_eq(store_approval_list(f.reader, &f.arena, &rows, &num, 0, all), STATUS_OK);
    ck_assert_uint_eq(num, 1);
}
END_TEST

START_TEST(a_proxys_name_and_certificate_are_taken_once) {
    struct proxy_row row = sample_proxy("edge-1"), back;
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &row, false)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &row, false)),
                     STATUS_CONFLICT);
    struct proxy_row other = sample_proxy("edge-2");
    memcpy(other.certificate_sha256, row.certificate_sha256, 32);
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &other, true)),
                     STATUS_CONFLICT);
    row.disabled = true;
    row.created = 999;
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &row, true)), STATUS_OK);
    ck_assert_int_eq(store_proxy_get(f.reader, &back, "edge-1"), STATUS_OK);
    ck_assert(back.disabled);
    ck_assert_int_eq(back.created, 100);
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_delete(f.writer, "edge-1")), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_delete(f.writer, "edge-1")),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(store_proxy_get(f.reader, &back, "edge-1"), STATUS_NOT_FOUND);
    struct proxy_row *rows;
    size_t num;
    ck_assert_int_eq(store_proxy_list(f.reader, &f.arena, &rows, &num, all), STATUS_OK);
    ck_assert_uint_eq(num, 0);
}
END_TEST

static enum status insert_policy(const char *name) {
    struct access_policy_row row = {.created = 5, .updated = 5};
    (void)strcpy(row.name, name);
    return store_fixture_write(&f, store_access_policy_insert(f.writer, &row));
}

START_TEST(a_proxys_policies_come_back_in_order) {
    static const char *const names[] = {"c", "a", "b"};
    struct proxy_row row = sample_proxy("edge-1"), back;
    row.dialect = DIALECT_TRAEFIK;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(insert_policy(names[i]), STATUS_OK);
        (void)strcpy(row.policy[row.num_policies++], names[i]);
    }
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &row, false)), STATUS_OK);
    ck_assert_int_eq(store_proxy_get(f.reader, &back, "edge-1"), STATUS_OK);
    ck_assert_int_eq(back.dialect, DIALECT_TRAEFIK);
    ck_assert_uint_eq(back.num_policies, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(back.policy[i], names[i]);
    }
    (void)strcpy(row.policy[0], "nobody");
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &row, true)),
                     STATUS_CONFLICT);
    row.num_policies = 0;
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &row, true)), STATUS_OK);
    ck_assert_int_eq(store_proxy_get(f.reader, &back, "edge-1"), STATUS_OK);
    ck_assert_uint_eq(back.num_policies, 0);
}
END_TEST

START_TEST(a_policy_is_there_once_and_as_long_as_a_proxy_names_it) {
    struct proxy_row proxy = sample_proxy("edge-1");
    ck_assert_int_eq(insert_policy("lab"), STATUS_OK);
    ck_assert_int_eq(insert_policy("lab"), STATUS_CONFLICT);
    (void)strcpy(proxy.policy[proxy.num_policies++], "lab");
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &proxy, false)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_access_policy_delete(f.writer, "lab")),
                     STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_delete(f.writer, "edge-1")), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_access_policy_delete(f.writer, "lab")),
                     STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_access_policy_delete(f.writer, "lab")),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(a_policy_is_updated_by_who_read_the_latest) {
    static char models[2][STORE_NAME] = {"edge", "core"};
    static char segments[1][STORE_SEGMENT] = {"lab"};
    struct access_policy_row row, none = {.name = "none"};
    ck_assert_int_eq(insert_policy("lab"), STATUS_OK);
    ck_assert_int_eq(store_access_policy_get(f.reader, &f.arena, &row, "lab"), STATUS_OK);
    ck_assert_int_eq(row.version, 1);
    ck_assert_uint_eq(row.num_models + row.num_segments, 0);
    row.model = models;
    row.num_models = 2;
    row.segment = segments;
    row.num_segments = 1;
    row.min_tier = 2;
    row.key_protection = KEY_IN_TPM;
    ck_assert_int_eq(store_fixture_write(&f, store_access_policy_update(f.writer, &row)),
                     STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_access_policy_update(f.writer, &row)),
                     STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_access_policy_update(f.writer, &none)),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(store_access_policy_get(f.reader, &f.arena, &row, "lab"), STATUS_OK);
    ck_assert_int_eq(row.version, 2);
    ck_assert_str_eq(row.model[0], "edge");
    ck_assert_str_eq(row.model[1], "core");
    ck_assert_str_eq(row.segment[0], "lab");
    ck_assert(row.min_tier == 2 && row.key_protection == KEY_IN_TPM && row.created == 5);
    row.num_models = ACCESS_POLICY_MODELS_MAX + 1;
    ck_assert_int_eq(store_fixture_write(&f, store_access_policy_update(f.writer, &row)),
                     STATUS_LIMIT);
}
END_TEST

/* --- audit --- */

static enum status insert(int64_t seq, const char *action) {
    struct audit_row row = {.seq = seq,
                            .time_ms = 5,
                            .actor = "operator:alice",
                            .after = bytes_of_text("{}"),
                            .hash = {(uint8_t)seq, 1}};
    (void)strncpy(row.action, action, sizeof row.action - 1);
    return store_audit_insert(f.writer, &row);
}

START_TEST(the_audit_log_has_no_gaps) {
    struct audit_tip tip;
    ck_assert_int_eq(store_audit_tip(f.reader, &tip), STATUS_OK);
    ck_assert_int_eq(tip.seq, 0);
    ck_assert(!tip.chained);
    ck_assert_int_eq(store_fixture_write(&f, insert(2, "early")), STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, insert(1, "one")), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, insert(1, "again")), STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, insert(3, "late")), STATUS_CONFLICT);
    store_fixture_begin(&f);
    ck_assert_int_eq(store_savepoint(f.writer, NULL), STATUS_OK);
    ck_assert_int_eq(insert(2, "undone"), STATUS_OK);
    store_undo(f.writer);
    ck_assert_int_eq(store_audit_tip(store_writer_reader(f.writer), &tip), STATUS_OK);
    ck_assert_int_eq(tip.seq, 1);
    ck_assert_int_eq(insert(2, "two"), STATUS_OK);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    ck_assert_int_eq(store_audit_tip(f.reader, &tip), STATUS_OK);
    ck_assert_int_eq(tip.seq, 2);
    ck_assert(tip.chained);
    ck_assert_int_eq(tip.hash[0], 2);
}
END_TEST

START_TEST(an_audit_entry_comes_back_with_the_hash_of_the_one_before) {
    ck_assert_int_eq(store_fixture_write(&f, insert(1, "one")), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, insert(2, "two")), STATUS_OK);
    struct audit_row *rows;
    size_t num;
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 0, 10), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_int_eq(rows[0].seq, 1);
    ck_assert(bytes_all(bytes_of(rows[0].previous, 32), 0));
    ck_assert_int_eq(rows[1].seq, 2);
    ck_assert_str_eq(rows[1].action, "two");
    ck_assert_uint_eq(rows[1].before.len, 0);
    ck_assert_mem_eq(rows[1].previous, rows[0].hash, 32);
    ck_assert_int_eq(rows[1].hash[0], 2);
    ck_assert_ptr_null(rows[1].checkpoint);
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 1, 10), STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 0, 1), STATUS_OK);
    ck_assert_uint_eq(num, 1);
}
END_TEST

START_TEST(a_hash_is_set_only_where_there_is_none) {
    uint8_t hash[32] = {9};
    ck_assert_int_eq(store_fixture_write(&f, insert(1, "one")), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_audit_set_hash(f.writer, 1, hash)),
                     STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_audit_set_hash(f.writer, 2, hash)),
                     STATUS_NOT_FOUND);
}
END_TEST

/* --- memory --- */

START_TEST(a_full_arena_is_reported_and_leaves_outputs_alone) {
    struct arena small;
    arena_init(&small, 16);
    struct device_row row = {.note = "untouched"}, *rows = NULL;
    char id[STORE_ID];
    sample_id(id, 'd', 1);
    ck_assert_int_eq(store_device_get(f.reader, &small, &row, id), STATUS_MEMORY);
    ck_assert_str_eq(row.note, "untouched");
    struct device_filter any = {.verdict = -1, .tier = -1};
    size_t num = 5;
    ck_assert_int_eq(store_device_list(f.reader, &small, &rows, &num, &any, all), STATUS_MEMORY);
    ck_assert_ptr_null(rows);
    ck_assert_uint_eq(num, 5);
    arena_free(&small);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &row, id), STATUS_OK);
}
END_TEST

START_TEST(every_state_has_a_name) {
    for (int i = BASELINE_DRAFT; i <= BASELINE_REVOKED; i++) {
        ck_assert_str_ne(baseline_state_name((enum baseline_state)i), "unknown");
    }
    for (int i = DEVICE_ENROLLED; i <= DEVICE_REGISTERED; i++) {
        ck_assert_str_ne(device_state_name((enum device_state)i), "unknown");
    }
    ck_assert_str_eq(baseline_state_name((enum baseline_state)0), "unknown");
    ck_assert_str_eq(device_state_name((enum device_state)99), "unknown");
}
END_TEST

int main(void) {
    TCase *empty = tcase_create("an empty store");
    tcase_add_checked_fixture(empty, open_store, remove_store);
    tcase_add_test(empty, writes_outside_of_a_transaction_are_refused);
    tcase_add_test(empty, a_transaction_in_a_transaction_is_refused);
    tcase_add_test(empty, what_is_rolled_back_never_was);
    tcase_add_test(empty, undoing_a_savepoint_leaves_the_others);
    tcase_add_test(empty, a_reader_sees_one_moment_between_begin_and_end);
    tcase_add_test(empty, a_second_writer_is_refused);
    tcase_add_test(empty, a_model_is_read_as_it_was_written);
    tcase_add_test(empty, a_model_name_is_taken_once);
    tcase_add_test(empty, a_model_is_updated_from_the_version_that_was_read);
    tcase_add_test(empty, models_are_paged_by_name);
    tcase_add_test(empty, an_operators_name_and_certificate_are_taken_once);
    tcase_add_test(empty, the_last_admin_stays);
    tcase_add_test(empty, an_operator_has_one_to_four_certificates);
    tcase_add_test(empty, a_certificate_belongs_to_one_operator);
    tcase_add_test(empty, an_expired_certificate_is_no_way_in);
    tcase_add_test(empty, an_approval_is_decided_once_and_before_it_expires);
    tcase_add_test(empty, approvals_that_wait_are_counted_and_old_ones_forgotten);
    tcase_add_test(empty, a_proxys_name_and_certificate_are_taken_once);
    tcase_add_test(empty, a_proxys_policies_come_back_in_order);
    tcase_add_test(empty, a_policy_is_there_once_and_as_long_as_a_proxy_names_it);
    tcase_add_test(empty, a_policy_is_updated_by_who_read_the_latest);
    tcase_add_test(empty, the_audit_log_has_no_gaps);
    tcase_add_test(empty, an_audit_entry_comes_back_with_the_hash_of_the_one_before);
    tcase_add_test(empty, a_hash_is_set_only_where_there_is_none);
    tcase_add_test(empty, every_state_has_a_name);

    TCase *three = tcase_create("a model and three devices");
    tcase_add_checked_fixture(three, open_with_devices, remove_store);
    tcase_add_test(three, a_model_in_use_is_not_deleted);
    tcase_add_test(three, a_baseline_is_read_as_it_was_written);
    tcase_add_test(three, a_baseline_needs_its_model);
    tcase_add_test(three, a_baseline_of_no_known_state_is_refused);
    tcase_add_test(three, two_updates_from_one_version_do_not_both_succeed);
    tcase_add_test(three, only_drafts_are_deleted);
    tcase_add_test(three, active_and_deprecated_baselines_are_in_force_by_activation);
    tcase_add_test(three, an_enrolment_is_taken_once);
    tcase_add_test(three, pending_enrolments_are_limited_in_all_and_by_address);
    tcase_add_test(three, an_enrolment_for_no_model_is_refused);
    tcase_add_test(three, expired_enrolments_are_forgotten);
    tcase_add_test(three, a_device_is_read_as_it_was_written);
    tcase_add_test(three, a_device_id_key_or_identity_is_registered_once);
    tcase_add_test(three, keys_that_end_alike_are_told_apart);
    tcase_add_test(three, a_device_without_model_or_of_no_known_state_is_refused);
    tcase_add_loop_test(three, what_is_no_id_names_nothing_and_is_not_written, 0, 7);
    tcase_add_loop_test(three, a_page_after_what_is_no_id_is_malformed, 0, 6);
    tcase_add_test(three, a_device_is_updated_whole);
    tcase_add_test(three, an_update_does_not_take_another_devices_key);
    tcase_add_test(three, a_quote_that_is_not_later_changes_nothing);
    tcase_add_test(three, a_verdict_without_a_quote_keeps_the_clock);
    tcase_add_test(three, devices_are_listed_by_every_filter);
    tcase_add_test(three, counts_follow_what_devices_do);
    tcase_add_test(three, a_refused_device_is_not_counted);
    tcase_add_test(three, an_appraisal_is_read_as_it_was_written);
    tcase_add_test(three, an_appraisal_of_nobody_or_twice_is_refused);
    tcase_add_test(three, the_newest_appraisals_of_each_device_are_kept);
    tcase_add_test(three, a_credential_is_read_as_it_was_written);
    tcase_add_test(three, a_serial_is_given_once_and_to_a_known_device);
    tcase_add_test(three, a_credential_knows_who_signed_it_and_says_so_in_its_changes);
    tcase_add_test(three, what_an_authority_revoked_is_found_by_serial_until_it_expires);
    tcase_add_test(three, a_credential_is_revoked_once);
    tcase_add_test(three, revoking_a_device_spares_others_and_what_has_ended);
    tcase_add_test(three, pruning_forgets_the_expired_and_says_when_there_is_more);
    tcase_add_test(three, the_walk_meets_devices_then_credentials_that_have_not_expired);
    tcase_add_test(three, a_full_arena_is_reported_and_leaves_outputs_alone);

    Suite *suite = suite_create("store");
    suite_add_tcase(suite, empty);
    suite_add_tcase(suite, three);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

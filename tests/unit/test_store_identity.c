/* What the store keeps of identities: required protection, anchors, enrolments and their states,
 * announced devices, re-enrolment and AKs that were given up. */
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
    static const char *const models[] = {"edge", "other"};
    for (int i = 0; i < 2; i++) {
        struct model_row model = sample_model(models[i]);
        ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    }
    for (unsigned n = 1; n <= 2; n++) {
        struct device_row row = sample_device("edge", n);
        ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
    }
}

static void remove_store(void) {
    store_fixture_remove(&f);
}

/* --- models --- */

START_TEST(a_model_remembers_the_protection_it_requires) {
    struct model_row row = sample_model("strict"), back;
    row.key_protection = KEY_IN_TPM;
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_model_get(f.reader, &back, "strict"), STATUS_OK);
    ck_assert_int_eq(back.key_protection, KEY_IN_TPM);
    back.key_protection = KEY_UNPROVEN;
    ck_assert_int_eq(store_fixture_write(&f, store_model_update(f.writer, &back)), STATUS_OK);
    ck_assert_int_eq(store_model_get(f.reader, &back, "strict"), STATUS_OK);
    ck_assert_int_eq(back.key_protection, KEY_UNPROVEN);
    back.key_protection = (enum key_protection)2;
    ck_assert_int_eq(store_fixture_write(&f, store_model_update(f.writer, &back)), STATUS_CONFLICT);
}
END_TEST

START_TEST(a_model_enrols_openly_with_approval_or_not_at_all) {
    static const struct {
        const char *enrolment;
        enum status status;
    } cases[] = {{"open", STATUS_OK},      {"approval", STATUS_OK},   {"closed", STATUS_OK},
                 {"", STATUS_CONFLICT},    {"Open", STATUS_CONFLICT}, {"open ", STATUS_CONFLICT},
                 {"none", STATUS_CONFLICT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_row row = sample_model("new"), back;
        (void)snprintf(row.name, sizeof row.name, "new-%zu", i);
        (void)snprintf(row.enrolment, sizeof row.enrolment, "%s", cases[i].enrolment);
        ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &row)),
                         cases[i].status);
        ck_assert_int_eq(store_model_get(f.reader, &back, row.name),
                         cases[i].status == STATUS_OK ? STATUS_OK : STATUS_NOT_FOUND);
    }
}
END_TEST

/* --- anchors --- */

static struct anchor_row sample_anchor(const char *model, enum anchor_purpose purpose, int n) {
    struct anchor_row row = {.purpose = purpose,
                             .is_anchor = n % 2 == 1,
                             .der = bytes_of_text("der"),
                             .subject = "CN=Vendor",
                             .not_after = 900,
                             .added = 100,
                             .added_by = "alice"};
    (void)snprintf(row.model, sizeof row.model, "%s", model);
    memset(row.sha256, n, 32);
    return row;
}

static enum status put_anchor(const char *model, enum anchor_purpose purpose, int n) {
    struct anchor_row row = sample_anchor(model, purpose, n);
    return store_fixture_write(&f, store_anchor_insert(f.writer, &row));
}

START_TEST(an_anchor_is_read_as_it_was_written) {
    ck_assert_int_eq(put_anchor("edge", ANCHOR_EK, 1), STATUS_OK);
    struct anchor_row want = sample_anchor("edge", ANCHOR_EK, 1), *rows;
    size_t num;
    ck_assert_int_eq(store_anchor_list(f.reader, &f.arena, &rows, &num, "edge", ANCHOR_EK, all),
                     STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_str_eq(rows[0].model, "edge");
    ck_assert_int_eq(rows[0].purpose, ANCHOR_EK);
    ck_assert_mem_eq(rows[0].sha256, want.sha256, 32);
    ck_assert(rows[0].is_anchor);
    ck_assert_str_eq(rows[0].subject, "CN=Vendor");
    ck_assert_int_eq(rows[0].not_after, 900);
    ck_assert_int_eq(rows[0].added, 100);
    ck_assert_str_eq(rows[0].added_by, "alice");
    ck_assert(bytes_equal(rows[0].der, want.der));
}
END_TEST

START_TEST(anchors_are_listed_by_model_and_purpose_in_pages) {
    for (int n = 9; n > 4; n--) {
        ck_assert_int_eq(put_anchor("edge", ANCHOR_EK, n), STATUS_OK);
    }
    ck_assert_int_eq(put_anchor("edge", ANCHOR_IDEVID, 1), STATUS_OK);
    ck_assert_int_eq(put_anchor("other", ANCHOR_EK, 2), STATUS_OK);
    struct anchor_row *rows;
    size_t num;
    static const char after[] = "0606060606060606060606060606060606060606060606060606060606060606";
    ck_assert_int_eq(store_anchor_list(f.reader, &f.arena, &rows, &num, "edge", ANCHOR_EK,
                                       (struct store_page){after, 2}),
                     STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_uint_eq(rows[0].sha256[0], 7);
    ck_assert(rows[0].is_anchor && !rows[1].is_anchor);
    ck_assert_uint_eq(rows[1].sha256[0], 8);
    ck_assert_int_eq(store_anchor_all(f.reader, &f.arena, &rows, &num), STATUS_OK);
    ck_assert_uint_eq(num, 7);
    ck_assert_uint_eq(rows[0].sha256[0], 5);
    ck_assert_int_eq(rows[5].purpose, ANCHOR_IDEVID);
    ck_assert_str_eq(rows[6].model, "other");
    ck_assert_int_eq(store_anchor_list(f.reader, &f.arena, &rows, &num, "none", ANCHOR_EK, all),
                     STATUS_OK);
    ck_assert_uint_eq(num, 0);
}
END_TEST

START_TEST(a_page_of_anchors_after_no_digest_is_malformed) {
    static const char *const after[] = {
        "06", "06060606060606060606060606060606", "nonsense",
        "060606060606060606060606060606060606060606060606060606060606060606",
        "0G06060606060606060606060606060606060606060606060606060606060606"};
    struct anchor_row *rows = NULL;
    size_t num = 77;
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        ck_assert_int_eq(store_anchor_list(f.reader, &f.arena, &rows, &num, "edge", ANCHOR_EK,
                                           (struct store_page){after[i], 2}),
                         STATUS_MALFORMED);
    }
    ck_assert_ptr_null(rows);
    ck_assert_uint_eq(num, 77);
}
END_TEST

START_TEST(an_anchor_is_added_once_for_a_known_model_and_purpose) {
    ck_assert_int_eq(put_anchor("edge", ANCHOR_EK, 1), STATUS_OK);
    ck_assert_int_eq(put_anchor("edge", ANCHOR_EK, 1), STATUS_CONFLICT);
    ck_assert_int_eq(put_anchor("edge", ANCHOR_IDEVID, 1), STATUS_OK);
    ck_assert_int_eq(put_anchor("other", ANCHOR_EK, 1), STATUS_OK);
    ck_assert_int_eq(put_anchor("none", ANCHOR_EK, 1), STATUS_CONFLICT);
    ck_assert_int_eq(put_anchor("edge", (enum anchor_purpose)3, 2), STATUS_CONFLICT);
    ck_assert_int_eq(put_anchor("edge", (enum anchor_purpose)0, 2), STATUS_CONFLICT);
}
END_TEST

START_TEST(an_anchor_is_removed_by_model_purpose_and_digest) {
    struct anchor_row row = sample_anchor("edge", ANCHOR_EK, 1), *rows;
    size_t num;
    ck_assert_int_eq(put_anchor("edge", ANCHOR_EK, 1), STATUS_OK);
    ck_assert_int_eq(
        store_fixture_write(&f, store_anchor_delete(f.writer, "other", ANCHOR_EK, row.sha256)),
        STATUS_NOT_FOUND);
    ck_assert_int_eq(
        store_fixture_write(&f, store_anchor_delete(f.writer, "edge", ANCHOR_IDEVID, row.sha256)),
        STATUS_NOT_FOUND);
    ck_assert_int_eq(store_anchor_all(f.reader, &f.arena, &rows, &num), STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_int_eq(
        store_fixture_write(&f, store_anchor_delete(f.writer, "edge", ANCHOR_EK, row.sha256)),
        STATUS_OK);
    ck_assert_int_eq(
        store_fixture_write(&f, store_anchor_delete(f.writer, "edge", ANCHOR_EK, row.sha256)),
        STATUS_NOT_FOUND);
}
END_TEST

START_TEST(anchors_go_with_their_model) {
    ck_assert_int_eq(put_anchor("other", ANCHOR_EK, 1), STATUS_OK);
    ck_assert_int_eq(put_anchor("edge", ANCHOR_EK, 1), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_model_delete(f.writer, "other")), STATUS_OK);
    struct anchor_row *rows;
    size_t num;
    ck_assert_int_eq(store_anchor_all(f.reader, &f.arena, &rows, &num), STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_str_eq(rows[0].model, "edge");
}
END_TEST

/* --- enrolments --- */

static struct enrollment_row sample_enrollment(unsigned n, unsigned device_n) {
    struct enrollment_row row = {.model = "edge",
                                 .address = "::1",
                                 .state = ENROLLMENT_BEGUN,
                                 .ek_public = bytes_of_text("ek"),
                                 .ak_public = bytes_of_text("ak"),
                                 .csr_spki = bytes_of_text("spki"),
                                 .created = 100,
                                 .expires = 500};
    sample_id(row.id, 'n', n);
    sample_id(row.device_id, 'd', device_n);
    memset(row.nonce, 'x', 32);
    memset(row.secret_sha256, 's', 32);
    return row;
}

static enum status put_enrollment(const struct enrollment_row *row, unsigned max) {
    return store_fixture_write(&f, store_enrollment_insert(f.writer, row, max, max, 100));
}

START_TEST(an_enrolment_moves_on_and_keeps_what_it_began_with) {
    struct enrollment_row row = sample_enrollment(1, 1), back;
    ck_assert_int_eq(put_enrollment(&row, 9), STATUS_OK);
    ck_assert_int_eq(store_enrollment_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_int_eq(back.state, ENROLLMENT_BEGUN);
    ck_assert_int_eq(back.key_protection, KEY_UNPROVEN);
    ck_assert_uint_eq(back.certificate.len, 0);
    ck_assert_mem_eq(back.nonce, row.nonce, 32);
    ck_assert_mem_eq(back.secret_sha256, row.secret_sha256, 32);

    back.state = ENROLLMENT_DONE;
    back.key_protection = KEY_IN_TPM;
    back.certificate = bytes_of_text("certificate");
    back.expires = 90000;
    memset(back.nonce, 0, 32);
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_update(f.writer, &back)), STATUS_OK);
    ck_assert_int_eq(store_enrollment_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_int_eq(back.state, ENROLLMENT_DONE);
    ck_assert_int_eq(back.key_protection, KEY_IN_TPM);
    ck_assert_int_eq(back.expires, 90000);
    ck_assert(bytes_equal(back.certificate, bytes_of_text("certificate")));
    ck_assert_mem_eq(back.nonce, row.nonce, 32);
}
END_TEST

START_TEST(an_enrolment_of_no_known_state_or_that_is_gone_is_not_updated) {
    struct enrollment_row row = sample_enrollment(1, 1);
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_update(f.writer, &row)),
                     STATUS_NOT_FOUND);
    row.state = (enum enrollment_state)0;
    ck_assert_int_eq(put_enrollment(&row, 9), STATUS_CONFLICT);
    row.state = ENROLLMENT_BEGUN;
    ck_assert_int_eq(put_enrollment(&row, 9), STATUS_OK);
    row.state = (enum enrollment_state)4;
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_update(f.writer, &row)),
                     STATUS_CONFLICT);
    row.state = ENROLLMENT_PENDING;
    row.key_protection = (enum key_protection)2;
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_update(f.writer, &row)),
                     STATUS_CONFLICT);
    (void)snprintf(row.id, sizeof row.id, "nonsense");
    ck_assert_int_eq(store_fixture_write(&f, store_enrollment_update(f.writer, &row)),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(only_enrolments_that_have_a_secret_out_are_limited) {
    for (unsigned n = 1; n <= 6; n++) {
        struct enrollment_row row = sample_enrollment(n, n);
        ck_assert_int_eq(put_enrollment(&row, 1), STATUS_OK);
        struct enrollment_row next = sample_enrollment(n + 100, n);
        ck_assert_int_eq(put_enrollment(&next, 1), STATUS_LIMIT);
        row.state = n % 2 == 0 ? ENROLLMENT_PENDING : ENROLLMENT_DONE;
        ck_assert_int_eq(store_fixture_write(&f, store_enrollment_update(f.writer, &row)),
                         STATUS_OK);
    }
}
END_TEST

START_TEST(what_else_a_device_began_is_forgotten) {
    for (unsigned n = 1; n <= 4; n++) { /* 1 and 2 begun, 3 done, 4 another device's */
        struct enrollment_row row = sample_enrollment(n, n == 4 ? 2 : 1);
        row.state = n == 3 ? ENROLLMENT_DONE : ENROLLMENT_BEGUN;
        ck_assert_int_eq(put_enrollment(&row, 9), STATUS_OK);
    }
    struct enrollment_row row = sample_enrollment(2, 1);
    for (int i = 0; i < 2; i++) { /* none is OK too */
        ck_assert_int_eq(store_fixture_write(
                             &f, store_enrollment_delete_others(f.writer, row.device_id, row.id)),
                         STATUS_OK);
    }
    for (unsigned n = 1; n <= 4; n++) {
        row = sample_enrollment(n, 1);
        ck_assert_int_eq(store_enrollment_get(f.reader, &f.arena, &row, row.id),
                         n == 1 ? STATUS_NOT_FOUND : STATUS_OK);
    }
}
END_TEST

/* --- devices that were announced --- */

static struct device_row registered(unsigned n) {
    struct device_row row = {.state = DEVICE_REGISTERED, .model = "edge", .updated = 100};
    sample_id(row.id, 'd', n);
    sample_id(row.registration, 'r', n);
    return row;
}

static enum status put_device(const struct device_row *row) {
    return store_fixture_write(&f, store_device_insert(f.writer, row));
}

START_TEST(an_announced_device_is_read_without_keys) {
    struct device_row row = registered(7), back, *rows;
    struct device_filter filter = {.state = DEVICE_REGISTERED, .verdict = -1, .tier = -1};
    size_t num;
    ck_assert_int_eq(put_device(&row), STATUS_OK);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_int_eq(back.state, DEVICE_REGISTERED);
    ck_assert_str_eq(back.registration, row.registration);
    ck_assert_uint_eq(back.ek_public.len + back.ak_public.len + back.ek_certificate.len, 0);
    ck_assert(bytes_all(bytes_of(back.identity_sha256, 32), 0));
    ck_assert_int_eq(store_device_list(f.reader, &f.arena, &rows, &num, &filter, all), STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_str_eq(rows[0].id, row.id);
    filter.state = (enum device_state)0;
    ck_assert_int_eq(store_device_list(f.reader, &f.arena, &rows, &num, &filter, all), STATUS_OK);
    ck_assert_uint_eq(num, 3);
}
END_TEST

START_TEST(an_announced_device_that_is_changed_still_has_no_keys) {
    struct device_row row = registered(7), back;
    ck_assert_int_eq(put_device(&row), STATUS_OK);
    (void)snprintf(row.note, sizeof row.note, "on its way");
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_str_eq(back.note, "on its way");
    ck_assert_uint_eq(back.ek_public.len, 0);
    ck_assert_int_eq(store_fixture_write(&f, store_device_delete(f.writer, row.id)), STATUS_OK);
}
END_TEST

START_TEST(any_number_of_devices_is_announced_without_keys_but_each_once) {
    struct device_row row = registered(7);
    ck_assert_int_eq(put_device(&row), STATUS_OK);
    ck_assert_int_eq(put_device(&row), STATUS_CONFLICT);
    row = registered(8);
    ck_assert_int_eq(put_device(&row), STATUS_OK);
    row = registered(1); /* has enrolled */
    ck_assert_int_eq(put_device(&row), STATUS_CONFLICT);
    row = registered(9);
    (void)snprintf(row.model, sizeof row.model, "none");
    ck_assert_int_eq(put_device(&row), STATUS_CONFLICT);
}
END_TEST

START_TEST(a_factory_identity_belongs_to_one_device) {
    struct device_row row = registered(7), back;
    row.identity_kind = IDENTITY_IDEVID;
    memset(row.idevid_sha256, 'v', 32);
    (void)snprintf(row.idevid_serial, sizeof row.idevid_serial, "SN-7");
    ck_assert_int_eq(put_device(&row), STATUS_OK);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_mem_eq(back.idevid_sha256, row.idevid_sha256, 32);
    ck_assert_str_eq(back.idevid_serial, "SN-7");
    ck_assert_int_eq(back.identity_kind, IDENTITY_IDEVID);
    struct device_row other = registered(8);
    memset(other.idevid_sha256, 'v', 32);
    ck_assert_int_eq(put_device(&other), STATUS_CONFLICT);
    other.idevid_sha256[31]++;
    ck_assert_int_eq(put_device(&other), STATUS_OK);
    memset(other.idevid_sha256, 'v', 32);
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &other)),
                     STATUS_CONFLICT);
    other = registered(9);
    other.identity_kind = (enum identity_kind)2;
    ck_assert_int_eq(put_device(&other), STATUS_CONFLICT);
}
END_TEST

START_TEST(only_devices_that_never_enrolled_are_deleted) {
    for (int state = DEVICE_ENROLLED; state <= DEVICE_REGISTERED; state++) {
        struct device_row row = registered(10 + (unsigned)state), back;
        bool never = state == DEVICE_REGISTERED || state == DEVICE_PENDING_APPROVAL;
        row.state = (enum device_state)state;
        ck_assert_int_eq(put_device(&row), STATUS_OK);
        ck_assert_int_eq(store_fixture_write(&f, store_device_delete(f.writer, row.id)),
                         never ? STATUS_OK : STATUS_CONFLICT);
        ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id),
                         never ? STATUS_NOT_FOUND : STATUS_OK);
    }
    struct device_row row = registered(77);
    ck_assert_int_eq(store_fixture_write(&f, store_device_delete(f.writer, row.id)),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(store_fixture_write(&f, store_device_delete(f.writer, "nonsense")),
                     STATUS_NOT_FOUND);
}
END_TEST

static int64_t count_of(enum device_state state) {
    struct fleet_count *counts;
    size_t num;
    int64_t sum = 0;
    ck_assert_int_eq(store_fleet_counts(f.reader, &f.arena, &counts, &num), STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        sum += counts[i].state == state ? counts[i].num : 0;
    }
    return sum;
}

START_TEST(announced_devices_are_counted_until_they_enrol_or_go) {
    struct device_row first = registered(7), second = registered(8);
    ck_assert_int_eq(put_device(&first), STATUS_OK);
    ck_assert_int_eq(put_device(&second), STATUS_OK);
    ck_assert_int_eq(count_of(DEVICE_REGISTERED), 2);
    ck_assert_int_eq(store_fixture_write(&f, store_device_delete(f.writer, first.id)), STATUS_OK);
    ck_assert_int_eq(count_of(DEVICE_REGISTERED), 1);
    second = sample_device("edge", 8);
    ck_assert_int_eq(store_fixture_write(&f, store_device_enrol(f.writer, &second)), STATUS_OK);
    ck_assert_int_eq(count_of(DEVICE_REGISTERED), 0);
    ck_assert_int_eq(count_of(DEVICE_ENROLLED), 3);
}
END_TEST

static bool see_device(void *context, const struct device_row *row) {
    ck_assert_int_ne(row->state, DEVICE_REGISTERED);
    (*(unsigned *)context)++;
    return true;
}

static bool see_credential(void *context, const struct credential_row *row) {
    (void)row;
    (*(unsigned *)context) += 1000 + (row->key_protection == KEY_IN_TPM ? 10000U : 0U);
    return true;
}

START_TEST(the_walk_passes_over_devices_that_were_only_announced) {
    struct device_row row = registered(7);
    struct credential_row credential = sample_credential(1, 1);
    credential.key_protection = KEY_IN_TPM;
    ck_assert_int_eq(put_device(&row), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &credential)),
                     STATUS_OK);
    unsigned seen = 0;
    struct store_visitor visitor = {&seen, see_device, see_credential};
    ck_assert_int_eq(store_walk(f.reader, &visitor, 1500), STATUS_OK);
    ck_assert_uint_eq(seen, 11002);
}
END_TEST

/* --- enrolling, and doing so again --- */

static enum status enrol(const struct device_row *row) {
    return store_fixture_write(&f, store_device_enrol(f.writer, row));
}

/* Device n with AK number `key`. */
static struct device_row device_with_ak(unsigned n, unsigned key) {
    struct device_row row = sample_device("edge", n);
    row.ak_public = sample_device("edge", 1000 + key).ak_public;
    return row;
}

START_TEST(an_announced_device_enrols) {
    struct device_row row = registered(7), back;
    ck_assert_int_eq(put_device(&row), STATUS_OK);
    row = sample_device("edge", 7);
    row.enrolled = 555;
    row.key_protection = KEY_IN_TPM;
    ck_assert_int_eq(enrol(&row), STATUS_OK);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_int_eq(back.state, DEVICE_ENROLLED);
    ck_assert_int_eq(back.enrolled, 555);
    ck_assert_int_eq(back.key_protection, KEY_IN_TPM);
    ck_assert(bytes_equal(back.ek_public, row.ek_public));
    ck_assert(bytes_equal(back.ak_public, row.ak_public));
}
END_TEST

START_TEST(a_device_that_is_not_known_does_not_enrol) {
    struct device_row row = sample_device("edge", 7);
    ck_assert_int_eq(enrol(&row), STATUS_NOT_FOUND);
    (void)snprintf(row.id, sizeof row.id, "nonsense");
    ck_assert_int_eq(enrol(&row), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(enrolling_again_forgets_verdict_appraisal_and_clock) {
    struct device_row row = sample_device("edge", 1), back;
    row.verdict = 1;
    row.tier = 3;
    row.has_clock = true;
    row.tpm_reset_count = 5;
    sample_id(row.appraisal_id, 'p', 1);
    ck_assert_int_eq(store_fixture_write(&f, store_device_standing(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(enrol(&row), STATUS_OK); /* with the same AK, which stays */
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert_int_eq(back.verdict, 0);
    ck_assert_int_eq(back.tier, 0);
    ck_assert_str_eq(back.appraisal_id, "");
    ck_assert(!back.has_clock);
    ck_assert(bytes_equal(back.ak_public, row.ak_public));
    ck_assert_int_eq(enrol(&row), STATUS_OK);
}
END_TEST

START_TEST(an_ak_that_was_given_up_is_nobodys_again) {
    struct device_row old = sample_device("edge", 1), now = device_with_ak(1, 1);
    ck_assert_int_eq(enrol(&now), STATUS_OK);
    ck_assert_int_eq(enrol(&old), STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &old)), STATUS_CONFLICT);
    struct device_row thief = sample_device("edge", 2);
    thief.ak_public = old.ak_public;
    ck_assert_int_eq(enrol(&thief), STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_device_update(f.writer, &thief)),
                     STATUS_CONFLICT);
    thief = sample_device("edge", 9);
    thief.ak_public = old.ak_public;
    ck_assert_int_eq(put_device(&thief), STATUS_CONFLICT);
    now = device_with_ak(1, 2);
    ck_assert_int_eq(enrol(&now), STATUS_OK);
    now = device_with_ak(1, 1);
    ck_assert_int_eq(enrol(&now), STATUS_CONFLICT);
}
END_TEST

START_TEST(a_device_does_not_enrol_with_anothers_keys) {
    struct device_row row = sample_device("edge", 1), back;
    row.ak_public = sample_device("edge", 2).ak_public;
    ck_assert_int_eq(enrol(&row), STATUS_CONFLICT);
    row = device_with_ak(1, 1);
    row.ek_public = sample_device("edge", 2).ek_public;
    ck_assert_int_eq(enrol(&row), STATUS_CONFLICT);
    row = device_with_ak(1, 1);
    memcpy(row.identity_sha256, sample_device("edge", 2).identity_sha256, 32);
    ck_assert_int_eq(enrol(&row), STATUS_CONFLICT);
    /* Nothing of it stays: the AK it has was not given up. */
    row = sample_device("edge", 1);
    ck_assert_int_eq(enrol(&row), STATUS_OK);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &back, row.id), STATUS_OK);
    ck_assert(bytes_equal(back.ak_public, row.ak_public));
}
END_TEST

START_TEST(an_ak_leads_to_the_device_that_has_or_had_it) {
    struct device_row first = sample_device("edge", 1), now = device_with_ak(1, 1);
    char id[STORE_ID] = "untouched";
    bool in_force = false;
    ck_assert_int_eq(store_ak_owner(f.reader, id, &in_force, now.ak_public), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_ak_owner(f.reader, id, &in_force, (struct bytes){NULL, 0}),
                     STATUS_NOT_FOUND);
    ck_assert_str_eq(id, "untouched");
    ck_assert_int_eq(store_ak_owner(f.reader, id, &in_force, first.ak_public), STATUS_OK);
    ck_assert_str_eq(id, first.id);
    ck_assert(in_force);
    ck_assert_int_eq(enrol(&now), STATUS_OK);
    memset(id, 0, sizeof id);
    ck_assert_int_eq(store_ak_owner(f.reader, id, &in_force, first.ak_public), STATUS_OK);
    ck_assert_str_eq(id, first.id);
    ck_assert(!in_force);
    ck_assert_int_eq(store_ak_owner(f.reader, id, &in_force, now.ak_public), STATUS_OK);
    ck_assert(in_force);
}
END_TEST

START_TEST(former_aks_that_end_alike_are_told_apart) {
    static const uint8_t a[20] = {1}, b[20] = {2};
    struct device_row row = sample_device("edge", 1);
    row.ak_public = bytes_of(a, sizeof a);
    ck_assert_int_eq(enrol(&row), STATUS_OK);
    row = device_with_ak(1, 1);
    ck_assert_int_eq(enrol(&row), STATUS_OK);
    struct device_row other = sample_device("edge", 2);
    other.ak_public = bytes_of(a, sizeof a);
    ck_assert_int_eq(enrol(&other), STATUS_CONFLICT);
    other.ak_public = bytes_of(b, sizeof b);
    ck_assert_int_eq(enrol(&other), STATUS_OK);
}
END_TEST

/* --- appraisals and credentials --- */

START_TEST(the_protection_of_a_key_is_remembered_with_appraisal_and_credential) {
    struct appraisal_row appraisal = {.model = "edge",
                                      .findings = bytes_of_text("[]"),
                                      .facts = bytes_of_text("{}"),
                                      .key_protection = KEY_IN_TPM};
    sample_id(appraisal.id, 'p', 1);
    sample_id(appraisal.device_id, 'd', 1);
    struct credential_row credential = sample_credential(1, 1);
    credential.key_protection = KEY_IN_TPM;
    ck_assert_int_eq(store_fixture_write(&f, store_appraisal_insert(f.writer, &appraisal, 2)),
                     STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &credential)),
                     STATUS_OK);
    ck_assert_int_eq(store_appraisal_get(f.reader, &f.arena, &appraisal, appraisal.id), STATUS_OK);
    ck_assert_int_eq(store_credential_get(f.reader, &credential, credential.serial), STATUS_OK);
    ck_assert_int_eq(appraisal.key_protection, KEY_IN_TPM);
    ck_assert_int_eq(credential.key_protection, KEY_IN_TPM);
    credential = sample_credential(2, 1);
    credential.key_protection = (enum key_protection)7;
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &credential)),
                     STATUS_CONFLICT);
    sample_id(appraisal.id, 'p', 2);
    appraisal.key_protection = (enum key_protection)7;
    ck_assert_int_eq(store_fixture_write(&f, store_appraisal_insert(f.writer, &appraisal, 2)),
                     STATUS_CONFLICT);
}
END_TEST

static size_t revoke_model(const char *model, int64_t now) {
    size_t num = 999;
    ck_assert_int_eq(store_fixture_write(
                         &f, store_credential_revoke_model(f.writer, model, now, "recall", &num)),
                     STATUS_OK);
    return num;
}

START_TEST(revoking_a_model_spares_others_and_what_has_ended) {
    struct device_row device = sample_device("other", 9);
    ck_assert_int_eq(put_device(&device), STATUS_OK);
    static const unsigned owners[] = {1, 1, 2, 9, 9};
    for (unsigned n = 0; n < 5; n++) {
        struct credential_row row = sample_credential(n + 1, owners[n]);
        row.not_after = n == 0 ? 1500 : 2000;
        ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &row)),
                         STATUS_OK);
    }
    ck_assert_uint_eq(revoke_model("none", 1500), 0);
    ck_assert_uint_eq(revoke_model("edge", 1500), 2);
    ck_assert_uint_eq(revoke_model("edge", 1501), 0);
    struct credential_row row = sample_credential(3, 2);
    ck_assert_int_eq(store_credential_get(f.reader, &row, row.serial), STATUS_OK);
    ck_assert_int_eq(row.revoked, 1500);
    ck_assert_str_eq(row.reason, "recall");
    row = sample_credential(4, 9);
    ck_assert_int_eq(store_credential_get(f.reader, &row, row.serial), STATUS_OK);
    ck_assert_int_eq(row.revoked, 0);
    ck_assert_uint_eq(revoke_model("", 1600), 2);
    row = sample_credential(1, 1);
    ck_assert_int_eq(store_credential_get(f.reader, &row, row.serial), STATUS_OK);
    ck_assert_int_eq(row.revoked, 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("identity");
    tcase_add_checked_fixture(tests, open_store, remove_store);
    tcase_add_test(tests, a_model_remembers_the_protection_it_requires);
    tcase_add_test(tests, a_model_enrols_openly_with_approval_or_not_at_all);
    tcase_add_test(tests, an_anchor_is_read_as_it_was_written);
    tcase_add_test(tests, anchors_are_listed_by_model_and_purpose_in_pages);
    tcase_add_test(tests, a_page_of_anchors_after_no_digest_is_malformed);
    tcase_add_test(tests, an_anchor_is_added_once_for_a_known_model_and_purpose);
    tcase_add_test(tests, an_anchor_is_removed_by_model_purpose_and_digest);
    tcase_add_test(tests, anchors_go_with_their_model);
    tcase_add_test(tests, an_enrolment_moves_on_and_keeps_what_it_began_with);
    tcase_add_test(tests, an_enrolment_of_no_known_state_or_that_is_gone_is_not_updated);
    tcase_add_test(tests, only_enrolments_that_have_a_secret_out_are_limited);
    tcase_add_test(tests, what_else_a_device_began_is_forgotten);
    tcase_add_test(tests, an_announced_device_is_read_without_keys);
    tcase_add_test(tests, an_announced_device_that_is_changed_still_has_no_keys);
    tcase_add_test(tests, any_number_of_devices_is_announced_without_keys_but_each_once);
    tcase_add_test(tests, a_factory_identity_belongs_to_one_device);
    tcase_add_test(tests, only_devices_that_never_enrolled_are_deleted);
    tcase_add_test(tests, announced_devices_are_counted_until_they_enrol_or_go);
    tcase_add_test(tests, the_walk_passes_over_devices_that_were_only_announced);
    tcase_add_test(tests, an_announced_device_enrols);
    tcase_add_test(tests, a_device_that_is_not_known_does_not_enrol);
    tcase_add_test(tests, enrolling_again_forgets_verdict_appraisal_and_clock);
    tcase_add_test(tests, an_ak_that_was_given_up_is_nobodys_again);
    tcase_add_test(tests, a_device_does_not_enrol_with_anothers_keys);
    tcase_add_test(tests, an_ak_leads_to_the_device_that_has_or_had_it);
    tcase_add_test(tests, former_aks_that_end_alike_are_told_apart);
    tcase_add_test(tests, the_protection_of_a_key_is_remembered_with_appraisal_and_credential);
    tcase_add_test(tests, revoking_a_model_spares_others_and_what_has_ended);
    Suite *suite = suite_create("store: identity");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

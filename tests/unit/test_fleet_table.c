/* concurrent */
/* The fleet table: every way to be denied, and that what is denied is denied to all readers. */
#include "server/fleet/table.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fleet_table *table;
static struct decision d;
static char id[STORE_ID];

static void open_table(void) {
    fleet_thread_enter();
    ck_assert_int_eq(fleet_table_new(&table), STATUS_OK);
    sample_id(id, 'd', 1);
}

static void close_table(void) {
    fleet_table_free(table);
    fleet_thread_leave();
}

static void put(unsigned n, enum device_state state, enum verdict verdict) {
    char device[STORE_ID];
    sample_id(device, 'd', n);
    ck_assert_int_eq(fleet_put_device(table, device, "edge", state, verdict, TIER_MEASURED),
                     STATUS_OK);
}

static void give(unsigned n, unsigned device_n, int64_t not_before, int64_t not_after) {
    struct credential_row row = sample_credential(n, device_n);
    row.not_before = not_before;
    row.not_after = not_after;
    ck_assert_int_eq(fleet_put_credential(table, &row), STATUS_OK);
}

static void open_with_trusted(void) {
    open_table();
    put(1, DEVICE_ENROLLED, VERDICT_TRUSTED);
    give(1, 1, 1000, 2000);
}

/* The decision on device 1 by id, and the same on its credential 1 both ways. */
static void denied(enum decision_reason by_device, enum decision_reason by_credential,
                   int64_t now) {
    struct credential_row row = sample_credential(1, 1);
    fleet_decide_device(table, &d, id, now);
    ck_assert(!d.allow);
    ck_assert_str_eq(decision_reason_name(d.reason), decision_reason_name(by_device));
    ck_assert_uint_eq(d.num_serials, 0);
    fleet_decide_certificate(table, &d, row.sha256, now);
    ck_assert(!d.allow);
    ck_assert_str_eq(decision_reason_name(d.reason), decision_reason_name(by_credential));
    fleet_decide_serial(table, &d, row.serial, now);
    ck_assert(!d.allow);
    ck_assert_str_eq(decision_reason_name(d.reason), decision_reason_name(by_credential));
    ck_assert_uint_eq(d.num_serials, 0);
}

START_TEST(a_trusted_device_with_a_valid_credential_is_allowed) {
    struct credential_row row = sample_credential(1, 1);
    for (int how = 0; how < 3; how++) {
        if (how == 0) {
            fleet_decide_device(table, &d, id, 1500);
        } else if (how == 1) {
            fleet_decide_certificate(table, &d, row.sha256, 1500);
        } else {
            fleet_decide_serial(table, &d, row.serial, 1500);
        }
        ck_assert(d.allow);
        ck_assert_int_eq(d.reason, REASON_TRUSTED);
        ck_assert_str_eq(d.device_id, id);
        ck_assert_str_eq(d.model, "edge");
        ck_assert_int_eq(d.tier, TIER_MEASURED);
        ck_assert_int_eq(d.lease_expires, 2000);
        ck_assert_uint_eq(d.num_serials, 1);
        ck_assert_str_eq(d.serial[0], row.serial);
    }
}
END_TEST

static void give_guarded(unsigned n, int64_t not_before, int64_t not_after,
                         enum key_protection protection) {
    struct credential_row row = sample_credential(n, 1);
    row.not_before = not_before;
    row.not_after = not_after;
    row.key_protection = protection;
    ck_assert_int_eq(fleet_put_credential(table, &row), STATUS_OK);
}

static const char *protection_by_serial(unsigned n, int64_t now) {
    struct credential_row row = sample_credential(n, 1);
    fleet_decide_serial(table, &d, row.serial, now);
    const char *name = decision_key_protection(&d);
    fleet_decide_certificate(table, &d, row.sha256, now);
    ck_assert_str_eq(name, decision_key_protection(&d));
    return name;
}

START_TEST(a_decision_tells_the_protection_of_the_key_that_was_asked_for) {
    put(1, DEVICE_ENROLLED, VERDICT_TRUSTED);
    give_guarded(1, 1000, 2000, KEY_IN_TPM);
    give_guarded(2, 1100, 2100, KEY_UNPROVEN);
    ck_assert_str_eq(protection_by_serial(1, 1500), "tpm");
    ck_assert_str_eq(protection_by_serial(2, 1500), "unproven");
    ck_assert_str_eq(protection_by_serial(1, 2050), "tpm"); /* when it has ended, too */
    fleet_revoke_credential(table, sample_credential(1, 1).serial);
    ck_assert_str_eq(protection_by_serial(1, 1500), "tpm");
    put(1, DEVICE_QUARANTINED, VERDICT_TRUSTED);
    ck_assert_str_eq(protection_by_serial(1, 1500), "tpm");
    ck_assert(!d.allow);
}
END_TEST

START_TEST(a_decision_on_a_device_tells_the_protection_of_its_newest_valid_key) {
    put(1, DEVICE_ENROLLED, VERDICT_TRUSTED);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert_ptr_null(decision_key_protection(&d));
    give_guarded(1, 1000, 2000, KEY_IN_TPM);
    give_guarded(2, 1100, 1400, KEY_UNPROVEN);
    give_guarded(3, 1800, 3000, KEY_UNPROVEN);
    fleet_decide_device(table, &d, id, 1050);
    ck_assert_str_eq(decision_key_protection(&d), "tpm");
    fleet_decide_device(table, &d, id, 1200);
    ck_assert_str_eq(decision_key_protection(&d), "unproven");
    fleet_decide_device(table, &d, id, 1500); /* the second has ended, the third has not begun */
    ck_assert_str_eq(decision_key_protection(&d), "tpm");
    fleet_decide_device(table, &d, id, 1900);
    ck_assert_str_eq(decision_key_protection(&d), "unproven");
    fleet_revoke_credential(table, sample_credential(3, 1).serial);
    fleet_decide_device(table, &d, id, 1900);
    ck_assert_str_eq(decision_key_protection(&d), "tpm");
    fleet_decide_device(table, &d, id, 5000);
    ck_assert_ptr_null(decision_key_protection(&d));
    sample_id(id, 'd', 2);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert_ptr_null(decision_key_protection(&d));
}
END_TEST

START_TEST(an_unknown_device_is_denied) {
    put(1, DEVICE_ENROLLED, VERDICT_TRUSTED);
    give(1, 1, 1000, 2000);
    sample_id(id, 'd', 2);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_UNKNOWN_DEVICE);
    ck_assert_str_eq(d.device_id, "");
    ck_assert_str_eq(d.model, "");
}
END_TEST

static const char *const no_ids[] = {"",
                                     "0",
                                     "6400000001000000646464646464646G",
                                     "00000064000000016464646464646464 ",
                                     "../../../../etc/passwd/././././.",
                                     NULL};

START_TEST(what_is_no_id_or_serial_is_unknown) {
    const char *text = no_ids[_i];
    fleet_decide_device(table, &d, text, 1500);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_UNKNOWN_DEVICE);
    fleet_decide_serial(table, &d, text, 1500);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_UNKNOWN_CREDENTIAL);
    struct credential_row row = sample_credential(9, 1);
    (void)snprintf(row.serial, sizeof row.serial, "%s", text);
    if (strlen(text) < sizeof row.serial) {
        ck_assert_int_eq(fleet_put_credential(table, &row), STATUS_MALFORMED);
    }
    ck_assert_int_eq(fleet_put_device(table, text, "edge", DEVICE_ENROLLED, VERDICT_TRUSTED, 0),
                     STATUS_MALFORMED);
    fleet_deny_device(table, text);
    fleet_revoke_credential(table, text);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(d.allow);
}
END_TEST

START_TEST(an_unknown_credential_is_denied) {
    struct credential_row row = sample_credential(2, 1);
    fleet_decide_certificate(table, &d, row.sha256, 1500);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_UNKNOWN_CREDENTIAL);
    fleet_decide_serial(table, &d, row.serial, 1500);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_UNKNOWN_CREDENTIAL);
}
END_TEST

static const struct {
    enum device_state state;
    enum decision_reason reason;
} states[] = {
    {DEVICE_PENDING_APPROVAL, REASON_PENDING_APPROVAL},
    {DEVICE_QUARANTINED, REASON_QUARANTINED},
    {DEVICE_RETIRED, REASON_RETIRED},
    {(enum device_state)0, REASON_QUARANTINED},
    {(enum device_state)200, REASON_QUARANTINED},
};

START_TEST(a_device_in_any_state_but_enrolled_is_denied) {
    put(1, states[_i].state, VERDICT_TRUSTED);
    denied(states[_i].reason, states[_i].reason, 1500);
}
END_TEST

static const struct {
    enum verdict verdict;
    enum decision_reason reason;
} verdicts[] = {
    {VERDICT_UNKNOWN, REASON_NOT_APPRAISED},
    {VERDICT_UNTRUSTED, REASON_UNTRUSTED},
    {VERDICT_EXPIRED, REASON_LEASE_EXPIRED},
    {(enum verdict)200, REASON_UNTRUSTED},
};

START_TEST(any_verdict_but_trusted_denies) {
    put(1, DEVICE_ENROLLED, verdicts[_i].verdict);
    denied(verdicts[_i].reason, verdicts[_i].reason, 1500);
}
END_TEST

START_TEST(a_lease_begins_and_ends_to_the_second) {
    denied(REASON_NOT_YET_VALID, REASON_NOT_YET_VALID, 999);
    fleet_decide_device(table, &d, id, 1000);
    ck_assert(d.allow);
    fleet_decide_device(table, &d, id, 1999);
    ck_assert(d.allow);
    denied(REASON_LEASE_EXPIRED, REASON_LEASE_EXPIRED, 2000);
    fleet_decide_device(table, &d, id, 2000);
    ck_assert_int_eq(d.lease_expires, 2000);
    denied(REASON_LEASE_EXPIRED, REASON_LEASE_EXPIRED, INT64_MAX);
    denied(REASON_NOT_YET_VALID, REASON_NOT_YET_VALID, INT64_MIN);
}
END_TEST

START_TEST(a_device_that_never_had_a_credential_is_denied) {
    put(2, DEVICE_ENROLLED, VERDICT_TRUSTED);
    sample_id(id, 'd', 2);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_NO_CREDENTIAL);
    ck_assert_int_eq(d.lease_expires, 0);
}
END_TEST

START_TEST(a_revoked_credential_is_denied_and_another_is_not) {
    give(2, 1, 1100, 2100);
    struct credential_row first = sample_credential(1, 1), second = sample_credential(2, 1);
    fleet_revoke_credential(table, second.serial);
    fleet_revoke_credential(table, second.serial);
    fleet_decide_serial(table, &d, second.serial, 1500);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_CREDENTIAL_REVOKED);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(d.allow);
    ck_assert_uint_eq(d.num_serials, 1);
    ck_assert_str_eq(d.serial[0], first.serial);
    ck_assert_int_eq(d.lease_expires, 2000);
    fleet_revoke_credential(table, first.serial);
    denied(REASON_CREDENTIAL_REVOKED, REASON_CREDENTIAL_REVOKED, 1500);
}
END_TEST

START_TEST(a_credential_that_came_revoked_is_denied) {
    put(2, DEVICE_ENROLLED, VERDICT_TRUSTED);
    struct credential_row row = sample_credential(2, 2);
    row.revoked = 1200;
    ck_assert_int_eq(fleet_put_credential(table, &row), STATUS_OK);
    fleet_decide_serial(table, &d, row.serial, 1500);
    ck_assert_int_eq(d.reason, REASON_CREDENTIAL_REVOKED);
}
END_TEST

START_TEST(a_valid_credential_does_not_vouch_for_an_expired_one) {
    give(2, 1, 1500, 3000);
    struct credential_row first = sample_credential(1, 1);
    fleet_decide_serial(table, &d, first.serial, 2500);
    ck_assert(!d.allow);
    ck_assert_int_eq(d.reason, REASON_LEASE_EXPIRED);
    fleet_decide_device(table, &d, id, 2500);
    ck_assert(d.allow);
    ck_assert_uint_eq(d.num_serials, 1);
}
END_TEST

START_TEST(a_denied_device_is_not_allowed_by_any_old_credential) {
    give(2, 1, 1100, 2100);
    fleet_deny_device(table, id);
    denied(REASON_UNTRUSTED, REASON_UNTRUSTED, 1500);
    put(1, DEVICE_ENROLLED, VERDICT_TRUSTED);
    denied(REASON_CREDENTIAL_REVOKED, REASON_CREDENTIAL_REVOKED, 1500);
    give(3, 1, 1400, 2400);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(d.allow);
    ck_assert_uint_eq(d.num_serials, 1);
    struct credential_row old = sample_credential(2, 1);
    fleet_decide_certificate(table, &d, old.sha256, 1500);
    ck_assert(!d.allow);
}
END_TEST

START_TEST(what_is_revoked_at_once_is_denied_and_nothing_else) {
    char other[STORE_ID];
    sample_id(other, 'd', 2);
    ck_assert_int_eq(fleet_put_device(table, other, "core", DEVICE_ENROLLED, VERDICT_TRUSTED, 0),
                     STATUS_OK);
    give(2, 2, 1000, 2000);
    fleet_revoke_model(table, "nobody");
    fleet_revoke_device(table, "nobody");
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(d.allow);
    fleet_revoke_model(table, "edge");
    denied(REASON_CREDENTIAL_REVOKED, REASON_CREDENTIAL_REVOKED, 1500);
    fleet_decide_device(table, &d, other, 1500);
    ck_assert(d.allow);
    fleet_revoke_device(table, other);
    fleet_decide_device(table, &d, other, 1500);
    ck_assert_int_eq(d.reason, REASON_CREDENTIAL_REVOKED);
    give(3, 1, 1400, 2400); /* who proves itself again is trusted again */
    give(4, 2, 1400, 2400);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(d.allow);
    fleet_revoke_model(table, "");
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(!d.allow);
    fleet_decide_device(table, &d, other, 1500);
    ck_assert(!d.allow);
}
END_TEST

START_TEST(what_is_noted_of_trustworthiness_is_no_part_of_the_model) {
    fleet_put_trustworthiness(table, id, 0xffff);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(d.allow);
    ck_assert_str_eq(d.model, "edge");
    ck_assert_uint_eq(d.trustworthiness, 0xffff);
    fleet_revoke_model(table, "edge");
    denied(REASON_CREDENTIAL_REVOKED, REASON_CREDENTIAL_REVOKED, 1500);
    give(3, 1, 1400, 2400);
    fleet_revoke_below(table, "edge", TIER_MEASURED + 1);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(!d.allow);
    fleet_deny_device(table, id);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert_str_eq(d.model, "edge");
    ck_assert_int_eq(d.reason, REASON_UNTRUSTED);
}
END_TEST

START_TEST(denying_who_is_not_there_does_nothing) {
    sample_id(id, 'd', 77);
    fleet_deny_device(table, id);
    sample_id(id, 'c', 77);
    fleet_revoke_credential(table, id);
    sample_id(id, 'd', 1);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(d.allow);
    ck_assert_uint_eq(fleet_table_size(table).devices, 1);
}
END_TEST

START_TEST(a_credential_of_nobody_or_with_a_known_serial_is_refused) {
    struct credential_row row = sample_credential(2, 7);
    ck_assert_int_eq(fleet_put_credential(table, &row), STATUS_NOT_FOUND);
    row = sample_credential(1, 1);
    row.not_after = 9999;
    fleet_revoke_credential(table, row.serial);
    ck_assert_int_eq(fleet_put_credential(table, &row), STATUS_CONFLICT);
    denied(REASON_CREDENTIAL_REVOKED, REASON_CREDENTIAL_REVOKED, 1500);
}
END_TEST

START_TEST(serials_are_newest_first_and_bounded) {
    static const unsigned order[] = {7, 3, 12, 5, 9, 2, 11, 4, 10, 6, 8};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        give(order[i], 1, 1000 + order[i], 2000 + order[i]);
    }
    fleet_decide_device(table, &d, id, 1500);
    ck_assert_uint_eq(d.num_serials, DECISION_MAX_SERIALS);
    ck_assert_int_eq(d.lease_expires, 2012);
    for (unsigned i = 0; i < DECISION_MAX_SERIALS; i++) {
        ck_assert_str_eq(d.serial[i], sample_credential(12 - i, 1).serial);
    }
}
END_TEST

START_TEST(renewals_do_not_pile_up) {
    for (unsigned n = 2; n < 2000; n++) {
        give(n, 1, n * 1000, n * 1000 + 1500);
    }
    ck_assert_uint_le(fleet_table_size(table).credentials, 4);
    fleet_decide_device(table, &d, id, 1999001);
    ck_assert(d.allow);
    fleet_decide_serial(table, &d, sample_credential(2, 1).serial, 1999001);
    ck_assert_int_eq(d.reason, REASON_UNKNOWN_CREDENTIAL);
    fleet_decide_serial(table, &d, sample_credential(1997, 1).serial, 1999001);
    ck_assert_int_eq(d.reason, REASON_LEASE_EXPIRED);
}
END_TEST

START_TEST(pruning_forgets_credentials_and_remembers_that_there_was_a_lease) {
    for (unsigned n = 2; n <= 3000; n++) {
        put(n, DEVICE_ENROLLED, VERDICT_TRUSTED);
        give(n, n, 1000, n % 2 == 0 ? 2000 : 90000);
    }
    fleet_prune(table, 2000 + FLEET_REMEMBERS_S - 1, 4000);
    ck_assert_uint_eq(fleet_table_size(table).credentials, 3000);
    for (int i = 0; i < 40; i++) {
        fleet_prune(table, 2000 + FLEET_REMEMBERS_S, 100);
    }
    ck_assert_uint_eq(fleet_table_size(table).credentials, 1499);
    ck_assert_uint_eq(fleet_table_size(table).devices, 3000);
    denied(REASON_LEASE_EXPIRED, REASON_UNKNOWN_CREDENTIAL, 6000);
    fleet_decide_device(table, &d, id, 6000);
    ck_assert_int_eq(d.lease_expires, 2000);
    sample_id(id, 'd', 2999);
    fleet_decide_device(table, &d, id, 6000);
    ck_assert(d.allow);
}
END_TEST

START_TEST(pruning_an_empty_table_ends) {
    fleet_prune(table, 5000, UINT32_MAX);
    ck_assert_uint_eq(fleet_table_size(table).devices, 0);
}
END_TEST

START_TEST(a_model_may_change_and_its_name_is_copied_whole) {
    char longest[STORE_NAME];
    memset(longest, 'm', sizeof longest);
    longest[STORE_NAME - 1] = '\0';
    ck_assert_int_eq(
        fleet_put_device(table, id, longest, DEVICE_ENROLLED, VERDICT_TRUSTED, TIER_NONE),
        STATUS_OK);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert_str_eq(d.model, longest);
    ck_assert_int_eq(d.tier, TIER_NONE);
    ck_assert_uint_eq(fleet_table_size(table).devices, 1);
}
END_TEST

START_TEST(models_without_end_are_refused) {
    enum status status = STATUS_OK;
    char name[STORE_NAME];
    unsigned n = 0;
    for (; status == STATUS_OK && n < 70000; n++) {
        (void)snprintf(name, sizeof name, "model-%u", n);
        status = fleet_put_device(table, id, name, DEVICE_ENROLLED, VERDICT_TRUSTED, TIER_NONE);
    }
    ck_assert_int_eq(status, STATUS_LIMIT);
    ck_assert_uint_gt(n, 60000);
    fleet_decide_device(table, &d, id, 1500);
    ck_assert(d.allow); /* as before the one that was refused */
}
END_TEST

START_TEST(a_table_that_grows_loses_nobody) {
    enum { NUM = 20000 };
    for (unsigned n = 2; n <= NUM; n++) {
        put(n, DEVICE_ENROLLED, n % 3 == 0 ? VERDICT_UNTRUSTED : VERDICT_TRUSTED);
        give(n, n, 1000, 2000);
    }
    for (unsigned n = 1; n <= NUM; n++) {
        struct credential_row row = sample_credential(n, n);
        fleet_decide_device(table, &d, row.device_id, 1500);
        ck_assert_int_eq(d.allow, n % 3 != 0);
        fleet_decide_certificate(table, &d, row.sha256, 1500);
        ck_assert_int_eq(d.allow, n % 3 != 0);
        ck_assert_str_eq(d.device_id, row.device_id);
    }
    ck_assert_uint_eq(fleet_table_size(table).devices, NUM);
}
END_TEST

/* --- from the store --- */

START_TEST(leases_and_denials_survive_a_restart) {
    struct store_fixture f;
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    for (unsigned n = 1; n <= 7; n++) {
        struct device_row row = sample_device("edge", n);
        row.verdict = n == 3 ? VERDICT_UNTRUSTED : n == 6 ? VERDICT_UNKNOWN : VERDICT_TRUSTED;
        row.state = n == 4 ? DEVICE_QUARANTINED : DEVICE_ENROLLED;
        ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
        struct credential_row credential = sample_credential(n, n);
        credential.not_before = 100000;
        credential.not_after = n == 2 ? 199000 : n == 7 ? 150000 : 300000;
        credential.revoked = n == 5 ? 150000 : 0;
        credential.key_protection = n % 2 == 1 ? KEY_IN_TPM : KEY_UNPROVEN;
        ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &credential)),
                         STATUS_OK);
    }
    struct detail detail = {0};
    ck_assert_int_eq(fleet_table_load(table, f.reader, 200000, &detail), STATUS_OK);
    static const enum decision_reason reasons[] = {
        REASON_TRUSTED,      REASON_LEASE_EXPIRED,      REASON_UNTRUSTED,
        REASON_QUARANTINED,  REASON_CREDENTIAL_REVOKED, REASON_NOT_APPRAISED,
        REASON_LEASE_EXPIRED};
    for (unsigned n = 1; n <= 7; n++) {
        sample_id(id, 'd', n);
        fleet_decide_device(table, &d, id, 200000);
        ck_assert_str_eq(decision_reason_name(d.reason), decision_reason_name(reasons[n - 1]));
        ck_assert_int_eq(d.allow, n == 1);
        ck_assert_int_eq(d.lease_expires, n == 1 ? 300000 : n == 2 ? 199000 : 0);
        if (n != 7) { /* that one ended too long ago to be known */
            fleet_decide_serial(table, &d, sample_credential(n, n).serial, 200000);
            ck_assert_str_eq(decision_key_protection(&d), n % 2 == 1 ? "tpm" : "unproven");
        }
    }
    ck_assert_uint_eq(fleet_table_size(table).devices, 7);
    ck_assert_uint_eq(fleet_table_size(table).credentials, 6);
    store_fixture_remove(&f);
}
END_TEST

/* --- many threads --- */

enum { READERS = 3, TURNS = 3000 };
static _Atomic int64_t denied_up_to; /* every credential up to this number is revoked */
static _Atomic int64_t given_up_to;
static _Atomic bool stop;
static _Atomic uint64_t seen_allowed, seen_denied;

static void *read_credentials(void *context) {
    unsigned seed = *(unsigned *)context;
    fleet_thread_enter();
    while (!atomic_load(&stop)) {
        int64_t given = atomic_load(&given_up_to);
        if (given == 0) {
            continue;
        }
        seed = seed * 1103515245U + 12345U;
        unsigned n = 1 + (seed >> 8) % (unsigned)given;
        struct credential_row row = sample_credential(n, n % 50 + 1);
        int64_t gone = atomic_load(&denied_up_to);
        struct decision decision;
        if (seed % 2 == 0) {
            fleet_decide_certificate(table, &decision, row.sha256, 1500);
        } else {
            fleet_decide_serial(table, &decision, row.serial, 1500);
        }
        if (n <= gone) {
            ck_assert_msg(!decision.allow, "a revoked credential was allowed");
            atomic_fetch_add(&seen_denied, 1);
        } else if (decision.allow) {
            ck_assert_str_eq(decision.device_id, row.device_id);
            ck_assert_str_eq(decision.model, "edge");
            atomic_fetch_add(&seen_allowed, 1);
        }
        fleet_decide_device(table, &decision, row.device_id, 1500);
        ck_assert(decision.num_serials > 0 || !decision.allow);
    }
    fleet_thread_leave();
    return NULL;
}

START_TEST(once_a_revocation_returns_no_reader_allows) {
    pthread_t reader[READERS];
    unsigned seed[READERS];
    for (unsigned n = 1; n <= 50; n++) {
        put(n, DEVICE_ENROLLED, VERDICT_TRUSTED);
    }
    for (unsigned i = 0; i < READERS; i++) {
        seed[i] = i + 1;
        ck_assert_int_eq(pthread_create(&reader[i], NULL, read_credentials, &seed[i]), 0);
    }
    for (unsigned n = 1; n <= TURNS; n++) {
        give(n, n % 50 + 1, 1000, 2000);
        atomic_store(&given_up_to, n);
        if (n > 100) {
            struct credential_row row = sample_credential(n - 100, 1);
            fleet_revoke_credential(table, row.serial);
            atomic_store(&denied_up_to, n - 100);
        }
        if (n % 64 == 0) { /* drops what lives on in the readers' hands */
            fleet_prune(table, n % 128 == 0 ? 1500 : 2000 + FLEET_REMEMBERS_S, n % 7);
        }
    }
    while (atomic_load(&seen_denied) == 0) { /* on a busy machine readers may not have run yet */
        (void)sched_yield();
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_join(reader[i], NULL), 0);
    }
}
END_TEST

static void *read_device(void *context) {
    (void)context;
    fleet_thread_enter();
    while (!atomic_load(&stop)) {
        int64_t gone = atomic_load(&denied_up_to);
        struct decision decision;
        fleet_decide_device(table, &decision, id, 1500);
        /* Odd while denied: it must have been so all the time that the decision took. */
        if (gone % 2 == 1 && atomic_load(&denied_up_to) == gone) {
            ck_assert_msg(!decision.allow, "a denied device was allowed");
        }
        /* The whole of one standing or the whole of another. */
        if (strcmp(decision.model, "strict") == 0) {
            ck_assert_int_eq(decision.tier, TIER_MEASURED);
        } else if (decision.model[0] != '\0') {
            ck_assert_int_eq(decision.tier, TIER_IDENTIFIED);
        }
    }
    fleet_thread_leave();
    return NULL;
}

START_TEST(once_a_denial_returns_no_reader_allows) {
    pthread_t reader[READERS];
    sample_id(id, 'd', 1);
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_create(&reader[i], NULL, read_device, NULL), 0);
    }
    for (unsigned n = 1; n <= TURNS; n++) {
        ck_assert_int_eq(fleet_put_device(table, id, n % 2 == 0 ? "strict" : "lax", DEVICE_ENROLLED,
                                          VERDICT_TRUSTED,
                                          n % 2 == 0 ? TIER_MEASURED : TIER_IDENTIFIED),
                         STATUS_OK);
        give(n, 1, 1000 + n, 1600 + n);
        fleet_deny_device(table, id);
        atomic_fetch_add(&denied_up_to, 1);
        put(500 + n, DEVICE_ENROLLED, VERDICT_TRUSTED); /* the table grows meanwhile */
        atomic_fetch_add(&denied_up_to, 1);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_join(reader[i], NULL), 0);
    }
}
END_TEST

START_TEST(every_reason_has_a_name) {
    for (int i = REASON_TRUSTED; i <= REASON_TIER_TOO_LOW; i++) {
        for (int j = REASON_TRUSTED; j < i; j++) {
            ck_assert_str_ne(decision_reason_name((enum decision_reason)i),
                             decision_reason_name((enum decision_reason)j));
        }
    }
    ck_assert_str_eq(decision_reason_name((enum decision_reason)99), "unknown");
}
END_TEST

int main(void) {
    TCase *empty = tcase_create("empty");
    tcase_add_checked_fixture(empty, open_table, close_table);
    tcase_add_test(empty, an_unknown_device_is_denied);
    tcase_add_test(empty, a_decision_tells_the_protection_of_the_key_that_was_asked_for);
    tcase_add_test(empty, a_decision_on_a_device_tells_the_protection_of_its_newest_valid_key);
    tcase_add_test(empty, pruning_an_empty_table_ends);
    tcase_add_test(empty, every_reason_has_a_name);
    tcase_add_test(empty, leases_and_denials_survive_a_restart);

    TCase *trusted = tcase_create("a trusted device");
    tcase_add_checked_fixture(trusted, open_with_trusted, close_table);
    tcase_add_test(trusted, a_trusted_device_with_a_valid_credential_is_allowed);
    tcase_add_loop_test(trusted, what_is_no_id_or_serial_is_unknown, 0, 5);
    tcase_add_test(trusted, an_unknown_credential_is_denied);
    tcase_add_loop_test(trusted, a_device_in_any_state_but_enrolled_is_denied, 0, 5);
    tcase_add_loop_test(trusted, any_verdict_but_trusted_denies, 0, 4);
    tcase_add_test(trusted, a_lease_begins_and_ends_to_the_second);
    tcase_add_test(trusted, a_device_that_never_had_a_credential_is_denied);
    tcase_add_test(trusted, a_revoked_credential_is_denied_and_another_is_not);
    tcase_add_test(trusted, a_credential_that_came_revoked_is_denied);
    tcase_add_test(trusted, a_valid_credential_does_not_vouch_for_an_expired_one);
    tcase_add_test(trusted, a_denied_device_is_not_allowed_by_any_old_credential);
    tcase_add_test(trusted, what_is_revoked_at_once_is_denied_and_nothing_else);
    tcase_add_test(trusted, what_is_noted_of_trustworthiness_is_no_part_of_the_model);
    tcase_add_test(trusted, denying_who_is_not_there_does_nothing);
    tcase_add_test(trusted, a_credential_of_nobody_or_with_a_known_serial_is_refused);
    tcase_add_test(trusted, serials_are_newest_first_and_bounded);
    tcase_add_test(trusted, renewals_do_not_pile_up);
    tcase_add_test(trusted, pruning_forgets_credentials_and_remembers_that_there_was_a_lease);
    tcase_add_test(trusted, a_model_may_change_and_its_name_is_copied_whole);
    tcase_add_test(trusted, models_without_end_are_refused);
    tcase_add_test(trusted, a_table_that_grows_loses_nobody);

    TCase *threads = tcase_create("threads");
    tcase_set_timeout(threads, 60);
    tcase_add_checked_fixture(threads, open_table, close_table);
    tcase_add_test(threads, once_a_revocation_returns_no_reader_allows);
    tcase_add_test(threads, once_a_denial_returns_no_reader_allows);

    Suite *suite = suite_create("fleet: table");
    suite_add_tcase(suite, empty);
    suite_add_tcase(suite, trusted);
    suite_add_tcase(suite, threads);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

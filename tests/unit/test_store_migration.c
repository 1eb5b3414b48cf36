/* A store that an older version wrote comes through its migrations whole, or stays as it was. */
#include "db/sqlite/migrate.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_fixture f;

static sqlite3 *open_file(void) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    return db;
}

static void run_on(sqlite3 *db, const char *sql) {
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
}

static void run_sql(const char *sql) {
    sqlite3 *db = open_file();
    run_on(db, sql);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* The answer's only row, as text with | between columns. */
static void ask_sql(char out[static 512], const char *sql) {
    sqlite3 *db = open_file();
    sqlite3_stmt *stmt;
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    out[0] = '\0';
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const unsigned char *text = sqlite3_column_text(stmt, i);
            size_t len = strlen(out);
            (void)snprintf(out + len, 512 - len, "%s%s", i == 0 ? "" : "|",
                           text == NULL ? "-" : (const char *)text);
        }
    }
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
}

static void expect(const char *sql, const char *answer) {
    char got[512];
    ask_sql(got, sql);
    ck_assert_msg(strcmp(got, answer) == 0, "%s\ngives %s\nand not %s", sql, got, answer);
}

/* As version 1 left it: two models, five devices in every state it knew, with gaps between their
 * row numbers, and what hangs on them. */
static const char rows_of_version_1[] =
    "INSERT INTO model VALUES ('edge', 'an edge', 'sha256:0,7', 3600, 'open', 11, 12, 3),"
    " ('old', '', 'sha256:0', 300, 'closed', 13, 14, 1);"
    "INSERT INTO baseline VALUES (4, zeroblob(16), 'edge', 'fw', 4, zeroblob(32), 'alice', 'bob',"
    " 1, 2, 3, 4, 5, x'7b7d');"
    "INSERT INTO enrollment VALUES (1, zeroblob(16), zeroblob(16), 'edge', '::1', zeroblob(32),"
    " x'01', x'02', x'03', x'04', 1, 99999999999);"
    "INSERT INTO device VALUES"
    " (1, x'd1000000000000000000000000000000', 'edge', 1, 1, 3, zeroblob(16), 7, 8, 9, 100, 101,"
    "  102, x'e100000000000000000000000000000000000000000000000000000000000000', 'aa', 900, 'n1'),"
    " (5, x'd5000000000000000000000000000000', 'edge', 2, 0, 0, NULL, NULL, NULL, NULL, 1, 2, 3,"
    "  NULL, '', 0, ''),"
    " (6, x'd6000000000000000000000000000000', 'edge', 3, 2, 0, NULL, NULL, NULL, NULL, 1, 2, 3,"
    "  NULL, '', 0, 'lost'),"
    " (9, x'd9000000000000000000000000000000', 'edge', 4, 0, 0, NULL, NULL, NULL, NULL, 1, 2, 3,"
    "  NULL, '', 0, ''),"
    " (10, x'da000000000000000000000000000000', 'edge', 1, 1, 3, NULL, NULL, NULL, NULL, 1, 2, 3,"
    "  NULL, '', 0, '');"
    "INSERT INTO device_key SELECT num, CAST(x'ee' || substr(id, 1, 1) AS BLOB), CAST(x'aa' || "
    "substr(id, 1, 1) AS BLOB),"
    " x'cc' FROM device;"
    "DELETE FROM device WHERE num = 10;"
    "DELETE FROM device_key WHERE device = 10;"
    "INSERT INTO appraisal VALUES (3, zeroblob(16), x'd1000000000000000000000000000000', 'edge',"
    " NULL, 1, 3, '', 5, x'5b5d', x'7b7d');"
    "INSERT INTO credential VALUES (zeroblob(16), x'd1000000000000000000000000000000',"
    " zeroblob(16), zeroblob(32), 10, 20, 15, 'lost');"
    "INSERT INTO operator VALUES ('alice', 'admin', zeroblob(32), 0, 1, 2);"
    "INSERT INTO proxy VALUES ('edge-1', 'none', zeroblob(32), 1, 1, 2);"
    "INSERT INTO audit VALUES (1, 5, 'system', 'init', '', x'', x'7b7d', '');";

static void make_version_1(void) {
    sqlite3 *db = open_file();
    run_on(db, "PRAGMA journal_mode = WAL");
    struct detail detail = {0};
    ck_assert_msg(migrate(db, migrations, 1, 42, &detail) == STATUS_OK, "%s", detail.text);
    run_on(db, rows_of_version_1);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static void open_folder(void) {
    fault_vfs_register();
    store_fixture_folder(&f);
    make_version_1();
}

static void remove_folder(void) {
    fault_vfs_set(FAULT_NONE, 0, false);
    store_fixture_remove(&f);
}

static void check_rows(void) {
    expect("SELECT *, (SELECT count(*) FROM model) FROM model WHERE name = 'edge'",
           "edge|an edge|sha256:0,7|3600|open|0|11|12|3|3||||2");
    expect("SELECT num, hex(id), model, label, state, created_by, activated_by, created, updated,"
           " activated, retired, version, document, count(*) FROM baseline",
           "4|00000000000000000000000000000000|edge|fw|4|alice|bob|1|2|3|4|5|{}|1");
    expect("SELECT num, model, state, verdict, tier, hex(appraisal_id), tpm_reset_count,"
           " tpm_restart_count, tpm_clock, enrolled, last_seen, updated, hex(identity_sha256),"
           " identity_serial, identity_not_after, note FROM device"
           " WHERE id = x'd1000000000000000000000000000000'",
           "1|edge|1|1|3|00000000000000000000000000000000|7|8|9|100|101|102|"
           "E100000000000000000000000000000000000000000000000000000000000000|aa|900|n1");
    expect("SELECT identity_kind, key_protection, idevid_sha256, idevid_serial, registration"
           " FROM device WHERE num = 1",
           "0|0|-||-");
    expect("SELECT group_concat(num || ':' || state || ':' || note) FROM (SELECT * FROM device"
           " ORDER BY num)",
           "1:1:n1,5:2:,6:3:lost,9:4:");
    expect("SELECT group_concat(hex(id) || hex(ek_public) || hex(ak_public) || hex(ek_certificate))"
           " FROM (SELECT * FROM device JOIN device_key ON device = device.num ORDER BY num"
           " LIMIT 2)",
           "D1000000000000000000000000000000EED1AAD1CC,"
           "D5000000000000000000000000000000EED5AAD5CC");
    expect("SELECT count(*) FROM device_key", "4");
    expect("SELECT group_concat(state || ':' || num) FROM (SELECT * FROM device_count WHERE num > 0"
           " ORDER BY state)",
           "1:1,2:1,3:1,4:1");
    expect("SELECT num, hex(device_id), model, verdict, tier, created_ms, findings, facts,"
           " key_protection, segment FROM appraisal",
           "3|D1000000000000000000000000000000|edge|1|3|5|[]|{}|0|");
    expect("SELECT hex(device_id), not_before, not_after, revoked, reason, key_protection, tier, "
           "segment"
           " FROM credential",
           "D1000000000000000000000000000000|10|20|15|lost|0|3|");
    expect("SELECT name, role FROM operator", "alice|admin");
    expect("SELECT name, disabled FROM proxy", "edge-1|1");
    expect("SELECT seq, action, after FROM audit", "1|init|{}");
    expect("PRAGMA integrity_check", "ok");
    expect("PRAGMA foreign_key_check", "");
}

START_TEST(a_store_of_version_1_comes_through_whole) {
    store_fixture_open(&f, true);
    store_fixture_close(&f);
    check_rows();
    expect("SELECT count(*) FROM migration WHERE number <= 2", "2");
}
END_TEST

START_TEST(an_enrolment_under_way_begins_again) {
    store_fixture_open(&f, true);
    store_fixture_close(&f);
    expect("SELECT count(*) FROM enrollment", "0");
}
END_TEST

START_TEST(a_migrated_store_counts_refuses_and_cascades_as_a_new_one) {
    store_fixture_open(&f, true);
    struct device_row row = sample_device("edge", 1), thief = sample_device("edge", 2);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
    thief.ak_public = bytes_of_text("\xaa\xd1");
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &thief)),
                     STATUS_CONFLICT);
    row = sample_device("none", 3); /* foreign keys are in force */
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_CONFLICT);
    ck_assert_int_eq(store_fixture_write(&f, store_model_delete(f.writer, "edge")),
                     STATUS_CONFLICT);
    struct credential_row credential = sample_credential(1, 77);
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &credential)),
                     STATUS_CONFLICT);
    store_fixture_close(&f);
    expect("SELECT sum(num) FROM device_count WHERE state = 1 AND verdict = 0", "1");
}
END_TEST

/* The same tables, indexes and triggers, whether a store is new or came through: by their text. */
START_TEST(a_migrated_store_has_the_schema_of_a_new_one) {
    static const char schema[] =
        "SELECT hex(sum(length(sql))), count(*), group_concat(name) FROM (SELECT * FROM"
        " sqlite_schema ORDER BY name)";
    char migrated[512], fresh[512];
    store_fixture_open(&f, true);
    store_fixture_close(&f);
    ask_sql(migrated, schema);
    store_fixture_remove(&f);
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    store_fixture_close(&f);
    ask_sql(fresh, schema);
    ck_assert_str_eq(migrated, fresh);
}
END_TEST

START_TEST(a_store_with_a_row_that_refers_to_nothing_is_not_migrated) {
    run_sql("UPDATE device SET model = 'gone' WHERE num = 5");
    struct store *store = NULL;
    struct detail detail = {0};
    ck_assert_int_eq(store_open(&store, f.path, &detail), STATUS_STORAGE);
    ck_assert_ptr_nonnull(strstr(detail.text, "a row of device refers to one of model"));
    expect("SELECT count(*) FROM migration", "1");
    expect("SELECT count(*) FROM sqlite_schema WHERE name = 'anchor'", "0");
    run_sql("UPDATE device SET model = 'edge' WHERE num = 5");
    store_fixture_open(&f, true);
    store_fixture_close(&f);
    check_rows();
}
END_TEST

START_TEST(an_enrolment_policy_that_nobody_knows_is_not_migrated) {
    run_sql("UPDATE model SET enrolment = 'sometimes' WHERE name = 'old'");
    struct store *store = NULL;
    struct detail detail = {0};
    ck_assert_int_eq(store_open(&store, f.path, &detail), STATUS_CONFLICT);
    ck_assert_ptr_nonnull(strstr(detail.text, "CHECK"));
    expect("SELECT count(*) FROM migration", "1");
}
END_TEST

START_TEST(foreign_keys_are_enforced_after_a_migration_that_failed_too) {
    static const struct migration broken[] = {
        {1, "0001_one", "11", "CREATE TABLE a (x INTEGER PRIMARY KEY) STRICT;"},
        {2, "0002_two", "22", "INSERT INTO nowhere VALUES (1);"},
    };
    store_fixture_remove(&f);
    store_fixture_folder(&f);
    sqlite3 *db = open_file();
    for (size_t num = 1; num <= 2; num++) {
        ck_assert_int_eq(migrate(db, broken, num, 42, NULL), num == 1 ? STATUS_OK : STATUS_STORAGE);
        sqlite3_stmt *stmt;
        ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA foreign_keys", -1, &stmt, NULL), SQLITE_OK);
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
        ck_assert_int_eq(sqlite3_column_int(stmt, 0), 1);
        (void)sqlite3_finalize(stmt);
    }
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
END_TEST

/* Migrations write often by now: each fault strikes at every eighth of them, each from
 * another one on. */
enum { STRIDE = 8 };

static const enum fault faults[] = {FAULT_WRITE, FAULT_FULL, FAULT_SYNC, FAULT_READ};

START_TEST(a_migration_on_a_failing_disk_is_made_up_for_later) {
    unsigned failed = 0;
    for (uint64_t after = 1 + (uint64_t)_i;; after += STRIDE) {
        store_fixture_remove(&f);
        store_fixture_folder(&f);
        make_version_1();
        struct store *store = NULL;
        struct detail detail = {0};
        fault_vfs_set(faults[_i], after, true);
        enum status status = store_open(&store, f.path, &detail);
        bool struck = fault_vfs_operations() >= after;
        fault_vfs_set(FAULT_NONE, 0, false);
        if (status == STATUS_OK) {
            store_close(store);
        } else {
            failed++;
            ck_assert_int_eq(status, STATUS_STORAGE);
            ck_assert_str_ne(detail.text, "");
            store_fixture_open(&f, true);
            store_fixture_close(&f);
        }
        if (status != STATUS_OK || !struck) {
            check_rows();
        }
        if (!struck) {
            break;
        }
    }
    ck_assert_uint_gt(failed, 0);
}
END_TEST

START_TEST(a_power_cut_during_a_migration_leaves_one_version_or_the_other) {
    for (uint64_t after = 1 + 2 * (uint64_t)_i;; after += STRIDE) {
        store_fixture_remove(&f);
        store_fixture_folder(&f);
        make_version_1();
        struct store *store = NULL;
        fault_vfs_set(FAULT_POWER_CUT, after, true);
        enum status status = store_open(&store, f.path, NULL);
        bool struck = fault_vfs_operations() >= after;
        store_close(status == STATUS_OK ? store : NULL);
        fault_vfs_restore_power(after * 7919 + (uint64_t)_i);
        store_fixture_open(&f, true);
        store_fixture_close(&f);
        check_rows();
        if (!struck) {
            break;
        }
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("migration");
    tcase_set_timeout(tests, 180);
    tcase_add_checked_fixture(tests, open_folder, remove_folder);
    tcase_add_test(tests, a_store_of_version_1_comes_through_whole);
    tcase_add_test(tests, an_enrolment_under_way_begins_again);
    tcase_add_test(tests, a_migrated_store_counts_refuses_and_cascades_as_a_new_one);
    tcase_add_test(tests, a_migrated_store_has_the_schema_of_a_new_one);
    tcase_add_test(tests, a_store_with_a_row_that_refers_to_nothing_is_not_migrated);
    tcase_add_test(tests, an_enrolment_policy_that_nobody_knows_is_not_migrated);
    tcase_add_test(tests, foreign_keys_are_enforced_after_a_migration_that_failed_too);
    tcase_add_loop_test(tests, a_migration_on_a_failing_disk_is_made_up_for_later, 0,
                        sizeof faults / sizeof faults[0]);
    tcase_add_loop_test(tests, a_power_cut_during_a_migration_leaves_one_version_or_the_other, 0,
                        2);
    Suite *suite = suite_create("store: migration");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

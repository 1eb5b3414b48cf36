/* The schema: its history is checked, and every statement has an index to go by. */
#include "db/sqlite/migrate.h"
#include "db/sqlite/statements.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store_fixture f;
static struct detail detail;

static void open_folder(void) {
    store_fixture_folder(&f);
}

static void remove_folder(void) {
    store_fixture_remove(&f);
}

static void run_sql(const char *sql) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static int64_t ask_sql(const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return value;
}

static void refuses(enum status wanted, const char *words) {
    struct store *store = NULL;
    detail = (struct detail){0};
    ck_assert_int_eq(store_open(&store, f.path, &detail), wanted);
    ck_assert_ptr_null(store);
    ck_assert_msg(strstr(detail.text, words) != NULL, "\"%s\" lacks \"%s\"", detail.text, words);
}

static void make_store(void) {
    store_fixture_open(&f, true);
    store_fixture_close(&f);
}

START_TEST(store_refuses_a_newer_schema) {
    make_store();
    run_sql("INSERT INTO migration VALUES (9999, '9999_from_tomorrow', 'aa', 1)");
    refuses(STATUS_CONFLICT, "9999_from_tomorrow");
    refuses(STATUS_CONFLICT, "newer");
}
END_TEST

START_TEST(store_refuses_an_altered_migration) {
    make_store();
    run_sql("UPDATE migration SET sha256 = 'deadbeef' || substr(sha256, 9) WHERE number = 1");
    refuses(STATUS_CONFLICT, "altered");
    refuses(STATUS_CONFLICT, "deadbeef");
}
END_TEST

START_TEST(store_refuses_a_history_with_a_hole) {
    make_store();
    run_sql("DELETE FROM migration WHERE number = 1");
    refuses(STATUS_CONFLICT, "lacks migration 0001");
}
END_TEST

START_TEST(store_refuses_somebody_elses_database_and_leaves_it_alone) {
    run_sql("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (7)");
    refuses(STATUS_CONFLICT, "not a store");
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM sqlite_schema"), 1);
    run_sql("PRAGMA application_id = 5; DROP TABLE theirs");
    refuses(STATUS_CONFLICT, "not a store");
}
END_TEST

START_TEST(store_refuses_a_file_that_is_no_database) {
    FILE *file = fopen(f.path, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 5000; i++) {
        (void)fputs("not a database ", file);
    }
    ck_assert_int_eq(fclose(file), 0);
    refuses(STATUS_STORAGE, "not a database");
}
END_TEST

START_TEST(store_refuses_a_damaged_header) {
    make_store();
    int fd = open(f.path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "\0\0\0\0\0\0\0\0", 8, 12), 8);
    ck_assert_int_eq(close(fd), 0);
    refuses(STATUS_STORAGE, "");
}
END_TEST

START_TEST(store_refuses_a_cut_off_file) {
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    for (unsigned n = 1; n <= 200; n++) {
        struct device_row row = sample_device("edge", n);
        ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
    }
    store_fixture_close(&f);
    struct stat before;
    ck_assert_int_eq(stat(f.path, &before), 0);
    ck_assert_int_eq(truncate(f.path, before.st_size / 2 / 4096 * 4096), 0);
    refuses(STATUS_STORAGE, "malformed");
}
END_TEST

START_TEST(store_refuses_a_folder_that_is_not_there) {
    (void)snprintf(f.path, sizeof f.path, "%s/none/store.db", f.folder);
    refuses(STATUS_STORAGE, "No such file");
    (void)snprintf(f.path, sizeof f.path, "%s", f.folder);
    refuses(STATUS_STORAGE, "");
}
END_TEST

START_TEST(store_files_are_their_owners_alone) {
    (void)umask(0);
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (int i = 0; i < 4; i++) {
        char path[96];
        struct stat info;
        (void)snprintf(path, sizeof path, "%s%s", f.path, suffixes[i]);
        ck_assert_int_eq(stat(path, &info), 0);
        ck_assert_uint_eq(info.st_mode & 0777, 0600);
    }
}
END_TEST

START_TEST(a_store_is_opened_again_as_it_was_left) {
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    store_fixture_close(&f);
    int64_t applied = ask_sql("SELECT applied FROM migration WHERE number = 1");
    store_fixture_open(&f, false);
    ck_assert_int_eq(store_model_get(f.reader, &model, "edge"), STATUS_OK);
    store_fixture_close(&f);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM migration"), (int64_t)num_migrations);
    ck_assert_int_eq(ask_sql("SELECT applied FROM migration WHERE number = 1"), applied);
    ck_assert_int_eq(ask_sql("SELECT length(sha256) FROM migration WHERE number = 1"), 64);
}
END_TEST

/* --- migrations to come --- */

static const struct migration two[] = {
    {1, "0001_one", "11", "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);"},
    {2, "0002_two", "22", "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO b SELECT x FROM a;"},
};
static const struct migration broken[] = {
    {1, "0001_one", "11", "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);"},
    {2, "0002_two", "22", "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);"},
};

static enum status migrate_file(const struct migration *all, size_t num) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    detail = (struct detail){0};
    enum status status = migrate(db, all, num, 42, &detail);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    return status;
}

START_TEST(migrations_are_applied_in_order_and_once) {
    ck_assert_int_eq(migrate_file(two, 1), STATUS_OK);
    ck_assert_int_eq(migrate_file(two, 2), STATUS_OK);
    ck_assert_int_eq(migrate_file(two, 2), STATUS_OK);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM b"), 1);
    ck_assert_int_eq(ask_sql("SELECT applied FROM migration WHERE number = 2"), 42);
    ck_assert_int_eq(migrate_file(two, 1), STATUS_CONFLICT);
}
END_TEST

START_TEST(a_migration_that_fails_leaves_what_the_last_one_made) {
    ck_assert_int_eq(migrate_file(broken, 2), STATUS_STORAGE);
    ck_assert_ptr_nonnull(strstr(detail.text, "0002_two"));
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM migration"), 1);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM a"), 1);
    ck_assert_int_eq(migrate_file(two, 2), STATUS_OK);
}
END_TEST

START_TEST(embedded_migrations_are_numbered_without_gaps) {
    ck_assert_uint_gt(num_migrations, 0);
    for (size_t i = 0; i < num_migrations; i++) {
        ck_assert_int_eq(migrations[i].number, (int)i + 1);
        ck_assert_int_eq(atoi(migrations[i].name), migrations[i].number);
        ck_assert_uint_eq(strlen(migrations[i].sha256), 64);
        ck_assert_str_ne(migrations[i].sql, "");
    }
}
END_TEST

#define DIGEST_31 "00000000000000000000000000000000000000000000000000000000000000"

START_TEST(operators_of_before_keep_their_certificate) {
    struct operator_row row;
    size_t before = 0;
    while (strcmp(migrations[before].name, "0004_operators") != 0) {
        before++;
    }
    ck_assert_int_eq(migrate_file(migrations, before), STATUS_OK);
    run_sql("INSERT INTO operator (name, role, certificate_sha256, disabled, created, updated)"
            " VALUES ('alice', 'admin', x'" DIGEST_31 "07', 0, 5, 6)");
    run_sql("INSERT INTO operator (name, role, certificate_sha256, disabled, created, updated)"
            " VALUES ('bob', 'viewer', x'" DIGEST_31 "08', 1, 7, 8)");
    store_fixture_open(&f, true);
    ck_assert_int_eq(store_operator_get(f.reader, &row, "alice"), STATUS_OK);
    ck_assert_str_eq(row.role, "admin");
    ck_assert_int_eq(row.updated, 6);
    ck_assert_uint_eq(row.num_certificates, 1);
    ck_assert_uint_eq(row.certificate[0].sha256[31], 7);
    ck_assert_int_eq(row.certificate[0].not_after, 0);
    ck_assert_int_eq(row.certificate[0].added, 5);
    ck_assert_int_eq(store_operator_get(f.reader, &row, "bob"), STATUS_OK);
    ck_assert(row.disabled);
    ck_assert_uint_eq(row.certificate[0].sha256[31], 8);
    store_fixture_close(&f);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM pragma_foreign_key_check"), 0);
}
END_TEST

START_TEST(every_table_is_strict) {
    make_store();
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type"
                             " = 'table' AND name NOT LIKE 'sqlite_%' AND strict = 0"),
                     0);
}
END_TEST

static void refuses_sql(const char *sql) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_CONSTRAINT, "%s", sql);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

#define ONES "1111111111111111111111111111111111111111111111111111111111111111"

/* Of a log with entries 1 and 2 and a checkpoint at 1; all hashes are zeros. */
static const char *const refused_sql[] = {
    "UPDATE audit SET actor = 'me'",
    "UPDATE audit SET hash = NULL",
    "UPDATE audit SET hash = x'" ONES "'",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE seq = 2",
    "INSERT INTO audit VALUES (3, 1, '', '', '', x'', x'', '', NULL)",
    "INSERT INTO audit VALUES (3, 1, '', '', '', x'', x'', '', x'00')",
    "INSERT INTO audit VALUES (4, 1, '', '', '', x'', x'', '', zeroblob(32))",
    "INSERT INTO audit VALUES (0, 1, '', '', '', x'', x'', '', zeroblob(32))",
    "INSERT OR REPLACE INTO audit VALUES (2, 1, 'me', '', '', x'', x'', '', zeroblob(32))",
    "UPDATE audit_checkpoint SET time = 2",
    "DELETE FROM audit_checkpoint",
    "INSERT INTO audit_checkpoint VALUES (3, zeroblob(32), 1, '', zeroblob(32), x'')",
    "INSERT INTO audit_checkpoint VALUES (2, x'" ONES "', 1, '', zeroblob(32), x'')",
    "INSERT OR REPLACE INTO audit_checkpoint VALUES (1, zeroblob(32), 2, '', zeroblob(32), x'')",
    "INSERT INTO audit_prune VALUES (2, 1)",
};

START_TEST(the_audit_log_is_neither_altered_nor_shortened) {
    make_store();
    run_sql("INSERT INTO audit VALUES (1, 1, '', '', '', x'', x'', '', zeroblob(32));"
            "INSERT INTO audit VALUES (2, 1, '', '', '', x'', x'', '', zeroblob(32));"
            "INSERT INTO audit_checkpoint VALUES (1, zeroblob(32), 1, '', zeroblob(32), x'')");
    for (size_t i = 0; i < sizeof refused_sql / sizeof refused_sql[0]; i++) {
        refuses_sql(refused_sql[i]);
    }
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM audit"), 2);
}
END_TEST

START_TEST(the_audit_log_is_shortened_from_its_beginning_up_to_a_checkpoint_and_no_further) {
    make_store();
    run_sql("INSERT INTO audit VALUES (1, 1, '', '', '', x'', x'', '', zeroblob(32));"
            "INSERT INTO audit VALUES (2, 1, '', '', '', x'', x'', '', zeroblob(32));"
            "INSERT INTO audit VALUES (3, 1, '', '', '', x'', x'', '', zeroblob(32));"
            "INSERT INTO audit_checkpoint VALUES (1, zeroblob(32), 1, '', zeroblob(32), x'');"
            "INSERT INTO audit_checkpoint VALUES (2, zeroblob(32), 1, '', zeroblob(32), x'');"
            "INSERT INTO audit_prune VALUES (2, 1)");
    refuses_sql("DELETE FROM audit WHERE seq = 2");
    refuses_sql("DELETE FROM audit");
    refuses_sql("DELETE FROM audit_checkpoint");
    refuses_sql("INSERT INTO audit_prune VALUES (1, 1)");
    refuses_sql("UPDATE audit_prune SET through_seq = 3");
    refuses_sql("DELETE FROM audit_prune");
    run_sql("DELETE FROM audit WHERE seq <= 2; DELETE FROM audit_checkpoint WHERE seq < 2");
    refuses_sql("DELETE FROM audit");
    refuses_sql("INSERT INTO audit VALUES (2, 1, '', '', '', x'', x'', '', zeroblob(32))");
}
END_TEST

START_TEST(an_entry_older_than_the_chain_gets_its_hash_and_nothing_else) {
    make_store();
    run_sql("DROP TRIGGER audit_has_no_gaps;"
            "INSERT INTO audit VALUES (1, 1, '', '', '', x'', x'', '', NULL)");
    refuses_sql("UPDATE audit SET actor = 'me'");
    refuses_sql("UPDATE audit SET hash = zeroblob(32), actor = 'me'");
    refuses_sql("UPDATE audit SET hash = zeroblob(32), seq = 2");
    refuses_sql("UPDATE audit SET hash = zeroblob(32), after = x'7b7d'");
    refuses_sql("UPDATE audit SET hash = zeroblob(31)");
    run_sql("UPDATE audit SET hash = zeroblob(32)");
    refuses_sql("UPDATE audit SET hash = x'" ONES "'");
}
END_TEST

/* --- plans --- */

/* What may read a whole table, and why that does not grow with requests times fleet. */
static bool may_scan(enum statement statement) {
    switch (statement) {
    case SQL_DEVICE_WALK:          /* at start */
    case SQL_CREDENTIAL_WALK:      /* at start */
    case SQL_BASELINE_IN_FORCE:    /* an index of just these */
    case SQL_ANCHOR_ALL:           /* few a model */
    case SQL_DEVICE_COUNTS:        /* one row a model and standing */
    case SQL_ENROLLMENT_COUNT:     /* capped, and an index */
    case SQL_OPERATOR_OTHER_ADMIN: /* few operators */
    case SQL_BOOT_STATE_FORGET:    /* an index of just these */
    case SQL_REAPPRAISAL_NEXT:     /* an index of just these */
    case SQL_BOOT_LOG_FORGET:      /* an index of just these */
    case SQL_ROLLOUT_COUNTS:       /* an index, and at most one a baseline */
    case SQL_STREAM_COUNT:         /* few streams */
    case SQL_STREAM_BEHIND:        /* likewise */
    case SQL_LOG_PIECE_LAST:       /* the last one */
        return true;
    default:
        return false;
    }
}

START_TEST(every_statement_goes_by_an_index_and_sorts_nothing) {
    make_store();
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    for (int i = 0; i < NUM_STATEMENTS; i++) {
        ck_assert_msg(statements[i] != NULL, "statement %d is not there", i);
        char sql[2048];
        (void)snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", statements[i]);
        sqlite3_stmt *stmt;
        if (i <= SQL_UNDO) {
            continue;
        }
        ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
                      sqlite3_errmsg(db));
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(stmt, 3);
            bool scans = strncmp(plan, "SCAN", 4) == 0 && strcmp(plan, "SCAN CONSTANT ROW") != 0;
            bool sorts = strstr(plan, "TEMP B-TREE") != NULL;
            ck_assert_msg((!scans && !sorts) || may_scan((enum statement)i), "%s\n%s",
                          statements[i], plan);
        }
        (void)sqlite3_finalize(stmt);
    }
    (void)sqlite3_close(db);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("schema");
    tcase_add_checked_fixture(tests, open_folder, remove_folder);
    tcase_add_test(tests, store_refuses_a_newer_schema);
    tcase_add_test(tests, store_refuses_an_altered_migration);
    tcase_add_test(tests, store_refuses_a_history_with_a_hole);
    tcase_add_test(tests, store_refuses_somebody_elses_database_and_leaves_it_alone);
    tcase_add_test(tests, store_refuses_a_file_that_is_no_database);
    tcase_add_test(tests, store_refuses_a_damaged_header);
    tcase_add_test(tests, store_refuses_a_cut_off_file);
    tcase_add_test(tests, store_refuses_a_folder_that_is_not_there);
    tcase_add_test(tests, store_files_are_their_owners_alone);
    tcase_add_test(tests, a_store_is_opened_again_as_it_was_left);
    tcase_add_test(tests, migrations_are_applied_in_order_and_once);
    tcase_add_test(tests, a_migration_that_fails_leaves_what_the_last_one_made);
    tcase_add_test(tests, embedded_migrations_are_numbered_without_gaps);
    tcase_add_test(tests, operators_of_before_keep_their_certificate);
    tcase_add_test(tests, every_table_is_strict);
    tcase_add_test(tests, the_audit_log_is_neither_altered_nor_shortened);
    tcase_add_test(tests,
                   the_audit_log_is_shortened_from_its_beginning_up_to_a_checkpoint_and_no_further);
    tcase_add_test(tests, an_entry_older_than_the_chain_gets_its_hash_and_nothing_else);
    tcase_add_test(tests, every_statement_goes_by_an_index_and_sorts_nothing);
    Suite *suite = suite_create("store: schema");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

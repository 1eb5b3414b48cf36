/* The store on a disk that fails, fills up, or loses its power. */
#include "tests/unit/boot_fixture.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store_fixture f;

static void open_store(void) {
    fault_vfs_register();
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
}

static void remove_store(void) {
    fault_vfs_set(FAULT_NONE, 0, false);
    store_fixture_remove(&f);
}

/* What device n boots, and device n - 1 leaves: three logs that share most of their pieces. */
static enum status put_boots(struct store_writer *writer, unsigned n) {
    struct sample_boot boot;
    char id[STORE_ID];
    sample_boot(&boot, 1, n % 3);
    sample_id(id, 'd', n);
    enum status status = sample_boot_put(writer, &boot, id, NULL, n);
    if (status == STATUS_OK && n > 1) {
        sample_boot(&boot, 2, (n - 1) % 3);
        sample_id(id, 'd', n - 1);
        status = sample_boot_put(writer, &boot, id, NULL, n);
    }
    if (status == STATUS_OK) {
        status = store_boot_state_forget(writer, 4);
    }
    return status == STATUS_LIMIT ? STATUS_OK : status;
}

/* One transaction: device n with its credential and what it booted; credential n - 1 is revoked, and
 * its device boots another time. */
static enum status step(struct store_writer *writer, unsigned n) {
    enum status status = store_begin(writer, NULL);
    if (status != STATUS_OK) {
        return status;
    }
    struct device_row device = sample_device("edge", n);
    struct credential_row credential = sample_credential(n, n);
    status = store_device_insert(writer, &device);
    if (status == STATUS_OK) {
        status = store_credential_insert(writer, &credential);
    }
    if (status == STATUS_OK && n > 1) {
        credential = sample_credential(n - 1, n - 1);
        status = store_credential_revoke(writer, credential.serial, 1500, "renewed");
    }
    if (status == STATUS_OK) {
        status = put_boots(writer, n);
    }
    if (status == STATUS_OK) {
        return store_commit(writer, NULL);
    }
    store_rollback(writer);
    return status;
}

static void check_boot(struct store_reader *reader, unsigned n, unsigned shared) {
    struct sample_boot boot;
    struct bytes log;
    char id[STORE_ID];
    sample_boot(&boot, shared, n % 3);
    sample_id(id, 'd', n);
    ck_assert_int_eq(store_device_log_get(reader, &f.arena, &log, id, boot.row.log_sha256),
                     STATUS_OK);
    ck_assert(bytes_equal(log, sample_boot_log(&boot)));
}

/* All of step n is there, or nothing of it. */
static bool has_step(struct store_reader *reader, unsigned n) {
    struct device_row device = sample_device("edge", n);
    struct credential_row credential = sample_credential(n, n), before = {0};
    enum status has_device = store_device_get(reader, &f.arena, &device, device.id);
    enum status has_credential = store_credential_get(reader, &credential, credential.serial);
    ck_assert(has_device == STATUS_OK || has_device == STATUS_NOT_FOUND);
    ck_assert_int_eq(has_device, has_credential);
    if (n > 1) {
        before = sample_credential(n - 1, n - 1);
        ck_assert_int_eq(store_credential_get(reader, &before, before.serial), STATUS_OK);
        ck_assert_int_eq(before.revoked != 0, has_device == STATUS_OK);
        check_boot(reader, n - 1, has_device == STATUS_OK ? 2 : 1);
    }
    if (has_device == STATUS_OK && n > 0) {
        struct device_boot_row row;
        struct sample_boot boot;
        sample_boot(&boot, 1, n % 3);
        ck_assert_int_eq(store_device_boot_get(reader, &row, device.id), STATUS_OK);
        if (row.since == (int64_t)n && memcmp(row.boot_state, boot.row.sha256, 32) == 0) {
            check_boot(reader, n, 1); /* the next step has not moved it on */
        }
    }
    return has_device == STATUS_OK;
}

static void check_integrity(void) {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    static const char *const checks[] = {"PRAGMA integrity_check", "PRAGMA foreign_key_check"};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(sqlite3_prepare_v2(db, checks[i], -1, &stmt, NULL), SQLITE_OK);
        int rc = sqlite3_step(stmt);
        if (i == 0) {
            ck_assert_int_eq(rc, SQLITE_ROW);
            ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "ok");
        } else {
            ck_assert_int_eq(rc, SQLITE_DONE);
        }
        (void)sqlite3_finalize(stmt);
    }
    (void)sqlite3_close(db);
}

/* --- single faults --- */

static const enum fault faults[] = {FAULT_WRITE, FAULT_FULL, FAULT_SYNC};

START_TEST(a_failing_disk_is_storage_and_the_same_step_succeeds_later) {
    unsigned n = 1, failed = 0;
    for (uint64_t after = 1; after < 200; after++) {
        fault_vfs_set(faults[_i], after, false);
        enum status status = step(f.writer, n);
        bool struck = fault_vfs_operations() >= after;
        fault_vfs_set(FAULT_NONE, 0, false);
        if (status == STATUS_OK) {
            ck_assert(has_step(f.reader, n));
            n++;
            if (!struck) {
                break;
            }
            continue; /* it struck where nothing depended on it, such as the log's restart */
        }
        failed++;
        ck_assert_int_eq(status, STATUS_STORAGE);
        ck_assert(!has_step(f.reader, n));
        ck_assert_int_eq(step(f.writer, n), STATUS_OK);
        ck_assert(has_step(f.reader, n));
        n++;
    }
    ck_assert_uint_gt(failed, 0);
    store_fixture_close(&f);
    check_integrity();
    store_fixture_open(&f, true);
}
END_TEST

START_TEST(a_disk_that_stays_broken_fails_every_step_and_then_works) {
    ck_assert_int_eq(step(f.writer, 1), STATUS_OK);
    fault_vfs_set(faults[_i], 1, true);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(step(f.writer, 2), STATUS_STORAGE);
        ck_assert(has_step(f.reader, 1)); /* what is there can still be read */
        ck_assert(!has_step(f.reader, 2));
        store_checkpoint(f.writer);
    }
    fault_vfs_set(FAULT_NONE, 0, false);
    ck_assert_int_eq(step(f.writer, 2), STATUS_OK);
}
END_TEST

START_TEST(a_failed_verb_dooms_its_transaction) {
    store_fixture_close(&f); /* an empty cache: the verb has to read */
    store_fixture_open(&f, true);
    ck_assert_int_eq(store_begin(f.writer, NULL), STATUS_OK);
    ck_assert_int_eq(store_savepoint(f.writer, NULL), STATUS_OK);
    fault_vfs_set(FAULT_READ, 1, false);
    struct device_row device = sample_device("edge", 1);
    ck_assert_int_eq(store_device_insert(f.writer, &device), STATUS_STORAGE);
    fault_vfs_set(FAULT_NONE, 0, false);
    store_undo(f.writer);
    struct model_row model = sample_model("another");
    struct detail detail = {0};
    ck_assert_int_eq(store_savepoint(f.writer, &detail), STATUS_STORAGE);
    ck_assert_int_eq(store_model_insert(f.writer, &model), STATUS_STORAGE);
    ck_assert_int_eq(store_commit(f.writer, &detail), STATUS_STORAGE);
    ck_assert_str_ne(detail.text, "");
    ck_assert_int_eq(step(f.writer, 1), STATUS_OK);
}
END_TEST

START_TEST(an_unreadable_page_is_storage_to_every_reader) {
    ck_assert_int_eq(step(f.writer, 1), STATUS_OK);
    store_fixture_close(&f);
    store_fixture_open(&f, false);
    struct device_row device = sample_device("edge", 1);
    struct credential_row credential = sample_credential(1, 1), *credentials = NULL;
    struct fleet_count *counts = NULL;
    struct credential_filter every = {0};
    size_t num = 9;
    fault_vfs_set(FAULT_READ, 1, true);
    ck_assert_int_eq(store_device_get(f.reader, &f.arena, &device, device.id), STATUS_STORAGE);
    ck_assert_int_eq(store_credential_get(f.reader, &credential, credential.serial),
                     STATUS_STORAGE);
    ck_assert_int_eq(store_credential_list(f.reader, &f.arena, &credentials, &num, &every,
                                           (struct store_page){"", 9}),
                     STATUS_STORAGE);
    ck_assert_int_eq(store_fleet_counts(f.reader, &f.arena, &counts, &num), STATUS_STORAGE);
    ck_assert_ptr_null(credentials);
    ck_assert_uint_eq(num, 9);
    fault_vfs_set(FAULT_NONE, 0, false);
    ck_assert(has_step(f.reader, 1));
}
END_TEST

START_TEST(a_store_that_cannot_be_written_is_not_opened) {
    store_fixture_remove(&f);
    store_fixture_folder(&f);
    struct store *store = NULL;
    struct detail detail = {0};
    for (uint64_t after = 1;; after++) {
        fault_vfs_set(FAULT_WRITE, after, true);
        enum status status = store_open(&store, f.path, &detail);
        bool struck = fault_vfs_operations() >= after;
        fault_vfs_set(FAULT_NONE, 0, false);
        if (status == STATUS_OK) {
            store_close(store);
            ck_assert(!struck);
            break;
        }
        ck_assert_int_eq(status, STATUS_STORAGE);
        ck_assert_ptr_null(store);
        ck_assert_str_ne(detail.text, "");
    }
    store_fixture_open(&f, true);
}
END_TEST

/* --- memory --- */

static sqlite3_mem_methods real_memory;
static uint64_t allocations, refuse_at;

static void *refusing_malloc(int size) {
    return ++allocations == refuse_at ? NULL : real_memory.xMalloc(size);
}

static void *refusing_realloc(void *memory, int size) {
    return ++allocations == refuse_at ? NULL : real_memory.xRealloc(memory, size);
}

START_TEST(an_allocation_that_fails_changes_nothing) {
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
    sqlite3_mem_methods memory = real_memory;
    memory.xMalloc = refusing_malloc;
    memory.xRealloc = refusing_realloc;
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory), SQLITE_OK);
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
    open_store();
    unsigned failed = 0;
    for (unsigned n = 1; n < 400; n++) {
        allocations = 0;
        refuse_at = n;
        enum status status = step(f.writer, n);
        bool struck = allocations >= refuse_at;
        refuse_at = 0;
        if (status != STATUS_OK) {
            failed++;
            ck_assert(status == STATUS_MEMORY || status == STATUS_STORAGE);
            ck_assert(!has_step(f.reader, n));
            ck_assert_int_eq(step(f.writer, n), STATUS_OK);
        }
        ck_assert(has_step(f.reader, n));
        if (!struck) {
            break;
        }
    }
    ck_assert_uint_gt(failed, 0);
    for (unsigned n = 1; n < 400; n++) {
        allocations = 0;
        refuse_at = n;
        struct store *store = NULL;
        struct detail detail = {0};
        enum status status = store_open(&store, f.path, &detail);
        bool struck = allocations >= refuse_at;
        refuse_at = 0;
        ck_assert(status == STATUS_OK || status == STATUS_MEMORY || status == STATUS_STORAGE);
        store_close(store);
        if (!struck) {
            break;
        }
    }
    remove_store();
}
END_TEST

/* --- locks --- */

START_TEST(another_process_that_holds_the_lock_is_storage_and_not_a_wait) {
    sqlite3 *other;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct detail detail = {0};
    ck_assert_int_eq(store_begin(f.writer, &detail), STATUS_STORAGE);
    ck_assert_ptr_nonnull(strstr(detail.text, "locked"));
    struct model_row row;
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_OK);
    ck_assert_int_eq(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(step(f.writer, 1), STATUS_OK);
    (void)sqlite3_close(other);
}
END_TEST

START_TEST(a_second_gateway_on_the_store_is_refused) {
    int result[2];
    ck_assert_int_eq(pipe(result), 0);
    store_fixture_close(&f);
    pid_t child = fork();
    if (child == 0) {
        store_fixture_open(&f, true);
        _exit(write(result[1], "x", 1) == 1 ? pause() : 1);
    }
    char go;
    ck_assert_int_eq(read(result[0], &go, 1), 1);
    store_fixture_open(&f, false);
    struct store_writer *writer = NULL;
    ck_assert_int_eq(store_writer_new(&writer, f.store, NULL), STATUS_CONFLICT);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(store_writer_new(&f.writer, f.store, NULL), STATUS_OK); /* it died with it */
}
END_TEST

/* --- power --- */

START_TEST(a_power_cut_loses_nothing_that_was_acknowledged) {
    unsigned done = 0; /* acknowledged */
    store_fixture_close(&f);
    for (unsigned round = 0; round < 40; round++) {
        uint64_t seed = (uint64_t)_i * 1000 + round + 1;
        fault_vfs_set(FAULT_POWER_CUT, 1 + (seed * 2654435761U >> 7) % 250, true);
        struct store *store = NULL;
        struct store_writer *writer = NULL;
        if (store_open(&store, f.path, NULL) == STATUS_OK &&
            store_writer_new(&writer, store, NULL) == STATUS_OK) {
            for (unsigned n = done + 1; step(writer, n) == STATUS_OK; n++) {
                done = n;
                if (n % 3 == 0) {
                    store_checkpoint(writer);
                }
            }
        }
        store_writer_free(writer);
        store_close(store);
        fault_vfs_restore_power(seed);

        store_fixture_open(&f, false);
        for (unsigned n = done > 30 ? done - 30 : 1; n <= done; n++) {
            ck_assert_msg(has_step(f.reader, n), "step %u of %u is lost", n, done);
        }
        if (has_step(f.reader, done + 1)) { /* durable, though nobody was told */
            done++;
        }
        struct device_row next = sample_device("edge", done + 1);
        ck_assert_int_eq(store_device_get(f.reader, &f.arena, &next, next.id), STATUS_NOT_FOUND);
        store_fixture_close(&f);
        check_integrity();
    }
    ck_assert_uint_gt(done, 40);
    store_fixture_open(&f, true);
}
END_TEST

START_TEST(a_killed_process_loses_nothing_that_was_acknowledged) {
    unsigned done = 0;
    store_fixture_close(&f);
    for (unsigned round = 0; round < 8; round++) {
        int acknowledged[2];
        ck_assert_int_eq(pipe(acknowledged), 0);
        pid_t child = fork();
        if (child == 0) {
            store_fixture_open(&f, true);
            for (unsigned n = done + 1; step(f.writer, n) == STATUS_OK; n++) {
                if (write(acknowledged[1], &n, sizeof n) != sizeof n) {
                    break;
                }
            }
            _exit(1);
        }
        (void)close(acknowledged[1]);
        unsigned n = done;
        for (unsigned wait = 0; wait < 5 + round * 7; wait++) {
            ck_assert_int_eq(read(acknowledged[0], &n, sizeof n), sizeof n);
        }
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        while (read(acknowledged[0], &n, sizeof n) == sizeof n) {
        }
        (void)close(acknowledged[0]);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        store_fixture_open(&f, false);
        for (unsigned i = done + 1; i <= n; i++) {
            ck_assert(has_step(f.reader, i));
        }
        done = has_step(f.reader, n + 1) ? n + 1 : n;
        store_fixture_close(&f);
    }
    check_integrity();
    store_fixture_open(&f, true);
}
END_TEST

/* --- room --- */

START_TEST(the_log_does_not_grow_without_end) {
    char path[96];
    (void)snprintf(path, sizeof path, "%s-wal", f.path);
    struct stat before, after;
    for (unsigned n = 1; n <= 600; n++) {
        ck_assert_int_eq(step(f.writer, n), STATUS_OK);
        if (n % 50 == 0) {
            store_checkpoint(f.writer);
        }
        if (n == 300) {
            ck_assert_int_eq(stat(path, &before), 0);
        }
    }
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_le(after.st_size, before.st_size + before.st_size / 2);
}
END_TEST

START_TEST(a_reader_that_holds_on_does_not_keep_the_writer_from_committing) {
    ck_assert_int_eq(store_read_begin(f.reader), STATUS_OK);
    struct model_row row;
    ck_assert_int_eq(store_model_get(f.reader, &row, "edge"), STATUS_OK);
    for (unsigned n = 1; n <= 100; n++) {
        ck_assert_int_eq(step(f.writer, n), STATUS_OK);
        store_checkpoint(f.writer);
    }
    store_read_end(f.reader);
    ck_assert(has_step(f.reader, 100));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("faults");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_store, remove_store);
    tcase_add_loop_test(tests, a_failing_disk_is_storage_and_the_same_step_succeeds_later, 0, 3);
    tcase_add_loop_test(tests, a_disk_that_stays_broken_fails_every_step_and_then_works, 0, 3);
    tcase_add_test(tests, a_failed_verb_dooms_its_transaction);
    tcase_add_test(tests, an_unreadable_page_is_storage_to_every_reader);
    tcase_add_test(tests, a_store_that_cannot_be_written_is_not_opened);
    tcase_add_test(tests, another_process_that_holds_the_lock_is_storage_and_not_a_wait);
    tcase_add_test(tests, a_second_gateway_on_the_store_is_refused);
    tcase_add_loop_test(tests, a_power_cut_loses_nothing_that_was_acknowledged, 0, 4);
    tcase_add_test(tests, a_killed_process_loses_nothing_that_was_acknowledged);
    tcase_add_test(tests, the_log_does_not_grow_without_end);
    tcase_add_test(tests, a_reader_that_holds_on_does_not_keep_the_writer_from_committing);
    TCase *memory = tcase_create("memory");
    tcase_set_timeout(memory, 60);
    tcase_add_test(memory, an_allocation_that_fails_changes_nothing);
    Suite *suite = suite_create("store: faults");
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, memory);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

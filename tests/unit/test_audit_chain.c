/* The chain of the audit log: its lines, and how they are appended. */
#include "server/base/encoding.h"
#include "server/crypto/digest.h"
#include "server/fleet/audit_chain.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_fixture f;
static struct detail detail;

static void open_store(void) {
    fault_vfs_register();
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
}

static void remove_store(void) {
    fault_vfs_set(FAULT_NONE, 0, false);
    store_fixture_remove(&f);
}

/* --- lines --- */

static struct audit_row sample(void) {
    return (struct audit_row){.seq = 7,
                              .time_ms = 1795438800123,
                              .actor = "operator:alice",
                              .action = "model.create",
                              .object = "model:edge",
                              .after = bytes_of_text("{\"name\":\"edge\"}"),
                              .request_id = "00112233445566778899aabbccddeeff"};
}

static const char *line_of(const struct audit_row *row) {
    struct json_out o;
    json_out_init(&o, &f.arena, 0);
    audit_write_entry(&o, row);
    struct bytes line = json_out_end(&o);
    ck_assert_uint_gt(line.len, 0);
    return arena_text_n(&f.arena, (const char *)line.data, line.len);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* The hash is what sha256sum says of the line without ,"hash":"..." and without its end. */
static const struct known {
    const char *name, *before, *after, *object;
    const char *line; /* up to the hash */
    const char *hash;
} knowns[] = {
    {"plain", "", "{\"name\":\"edge\"}", "model:edge",
     "{\"seq\":7,\"time\":\"2026-11-23T13:00:00.123Z\",\"actor\":\"operator:alice\",\"action\":"
     "\"model.create\",\"object\":\"model:edge\",\"before\":null,\"after\":{\"name\":\"edge\"},"
     "\"request_id\":\"00112233445566778899aabbccddeeff\",\"previous\":\"" ZEROS "\"",
     "a0ca5cbaf8733cd867640bd2d540db6d1017f5003bc4f7cef679a83c7f6a301c"},
    {"odd characters", "", "", "a\"b\\c\n\x01\x7f\xc3\xa9\xff",
     "{\"seq\":7,\"time\":\"2026-11-23T13:00:00.123Z\",\"actor\":\"operator:alice\",\"action\":"
     "\"model.create\",\"object\":\"a\\\"b\\\\c\\n\\u0001\\u007f\xc3\xa9\\ufffd\",\"before\":null,"
     "\"after\":null,\"request_id\":\"00112233445566778899aabbccddeeff\",\"previous\":\"" ZEROS
     "\"",
     "c1e3ccb09fa316fd696be257a9d964f3c3475be94225504ecf413bdec7fe6a8f"},
    {"JSON in several lines", "{\r\n\t\"a\": 1\n}", "[\n]", "x",
     "{\"seq\":7,\"time\":\"2026-11-23T13:00:00.123Z\",\"actor\":\"operator:alice\",\"action\":"
     "\"model.create\",\"object\":\"x\",\"before\":{   \"a\": 1 },\"after\":[ ],"
     "\"request_id\":\"00112233445566778899aabbccddeeff\",\"previous\":\"" ZEROS "\"",
     "da53d6a04b3c9e9ba41fc0f93aad2e5f032f792281abe55d0cfd70d66562426b"},
};

START_TEST(a_line_and_its_hash_are_as_written_down) {
    const struct known *k = &knowns[_i];
    struct audit_row row = sample();
    row.before = bytes_of_text(k->before);
    row.after = bytes_of_text(k->after);
    (void)snprintf(row.object, sizeof row.object, "%s", k->object);
    ck_assert_int_eq(audit_hash(row.hash, &row), STATUS_OK);
    char hash[65];
    hex_encode(hash, bytes_of(row.hash, 32));
    ck_assert_msg(strcmp(hash, k->hash) == 0, "%s: %s", k->name, hash);
    char wanted[1024];
    (void)snprintf(wanted, sizeof wanted, "%s,\"hash\":\"%s\"}\n", k->line, k->hash);
    ck_assert_str_eq(line_of(&row), wanted);
}
END_TEST

START_TEST(every_part_of_an_entry_is_in_its_hash) {
    struct audit_row row = sample();
    uint8_t first[32], other[32];
    ck_assert_int_eq(audit_hash(first, &row), STATUS_OK);
    for (int part = 0; part < 9; part++) {
        row = sample();
        switch (part) {
        case 0:
            row.seq++;
            break;
        case 1:
            row.time_ms++;
            break;
        case 2:
            row.actor[0] = 'O';
            break;
        case 3:
            row.action[0] = 'M';
            break;
        case 4:
            row.object[0] = 'M';
            break;
        case 5:
            row.before = bytes_of_text("{}");
            break;
        case 6:
            row.after = bytes_of_text("{}");
            break;
        case 7:
            row.request_id[0] = '1';
            break;
        default:
            row.previous[31] = 1;
            break;
        }
        ck_assert_int_eq(audit_hash(other, &row), STATUS_OK);
        ck_assert_msg(memcmp(first, other, 32) != 0, "part %d", part);
    }
}
END_TEST

START_TEST(a_checkpoint_is_a_line_too) {
    struct audit_checkpoint_row row = {.seq = 7,
                                       .hash = {0xab},
                                       .time = 1795438800,
                                       .trust_domain = "gatehouse.test",
                                       .authority = {0xcd},
                                       .signature = bytes_of_text("sign")};
    struct json_out o;
    json_out_init(&o, &f.arena, 0);
    audit_write_checkpoint(&o, &row);
    audit_write_checkpoint(&o, &row); /* no comma between lines */
    struct bytes lines = json_out_end(&o);
    const char *wanted = "{\"checkpoint\":7,\"hash\":\"ab000000000000000000000000000000"
                         "00000000000000000000000000000000\",\"time\":\"2026-11-23T13:00:00Z\","
                         "\"trust_domain\":\"gatehouse.test\",\"authority\":\"cd000000000000000"
                         "00000000000000000000000000000000000000000000000\",\"signature\":\"c2ln"
                         "bg==\"}\n";
    ck_assert_uint_eq(lines.len, 2 * strlen(wanted));
    ck_assert_mem_eq(lines.data, wanted, strlen(wanted));
    ck_assert_mem_eq(lines.data + strlen(wanted), wanted, strlen(wanted));
}
END_TEST

/* --- appending --- */

static enum status append(const char *action) {
    struct audit_row row = sample();
    (void)snprintf(row.action, sizeof row.action, "%s", action);
    return audit_append(f.writer, &row, &detail);
}

/* Every entry, its hash computed anew, and that it follows the one before; how many. */
static size_t check_chain(void) {
    struct audit_row *rows;
    size_t num;
    uint8_t previous[32] = {0}, hash[32];
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 0, 1000), STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        ck_assert_int_eq(rows[i].seq, (int64_t)i + 1);
        ck_assert_mem_eq(rows[i].previous, previous, 32);
        ck_assert_int_eq(audit_hash(hash, &rows[i]), STATUS_OK);
        ck_assert_mem_eq(rows[i].hash, hash, 32);
        memcpy(previous, hash, 32);
    }
    return num;
}

START_TEST(entries_follow_each_other_in_one_transaction_and_across) {
    ck_assert_int_eq(store_fixture_write(&f, append("one")), STATUS_OK);
    store_fixture_begin(&f);
    ck_assert_int_eq(append("two"), STATUS_OK);
    ck_assert_int_eq(append("three"), STATUS_OK);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    ck_assert_uint_eq(check_chain(), 3);
}
END_TEST

START_TEST(what_is_undone_leaves_no_trace_in_the_chain) {
    store_fixture_begin(&f);
    ck_assert_int_eq(append("one"), STATUS_OK);
    ck_assert_int_eq(store_savepoint(f.writer, NULL), STATUS_OK);
    ck_assert_int_eq(append("undone"), STATUS_OK);
    ck_assert_int_eq(append("undone"), STATUS_OK);
    store_undo(f.writer);
    ck_assert_int_eq(append("two"), STATUS_OK);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    store_fixture_begin(&f);
    ck_assert_int_eq(append("rolled back"), STATUS_OK);
    store_rollback(f.writer);
    ck_assert_int_eq(store_fixture_write(&f, append("three")), STATUS_OK);
    ck_assert_uint_eq(check_chain(), 3);
}
END_TEST

START_TEST(nothing_is_appended_outside_of_a_transaction) {
    ck_assert_int_eq(append("one"), STATUS_INTERNAL);
    ck_assert_uint_eq(check_chain(), 0);
}
END_TEST

START_TEST(names_of_any_bytes_give_the_same_line_from_the_store) {
    struct audit_row row = sample(), *rows;
    size_t num;
    (void)snprintf(row.actor, sizeof row.actor, "\xff\xfe\xc3(\x01\"\\\x7f\xf0\x9f\x90\xa7");
    (void)snprintf(row.object, sizeof row.object, "\xed\xa0\x80 \xc0\x80 \t");
    row.before = bytes_of_text("{\n  \"text\": \"a\\nb\"\n}");
    ck_assert_int_eq(store_fixture_write(&f, audit_append(f.writer, &row, &detail)), STATUS_OK);
    ck_assert_uint_eq(check_chain(), 1);
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 0, 1), STATUS_OK);
    ck_assert_str_eq(rows[0].actor, row.actor);
    const char *line = line_of(&rows[0]);
    for (size_t i = 0; i + 1 < strlen(line); i++) {
        ck_assert_uint_ge((unsigned char)line[i], 0x20);
    }
}
END_TEST

/* A disk that fails at each of its operations in turn; what is tried again follows what is there. */
START_TEST(a_storage_failure_leaves_neither_gap_nor_double) {
    static const enum fault faults[] = {FAULT_WRITE, FAULT_FULL, FAULT_SYNC};
    size_t done = 0, failed = 0;
    for (uint64_t after = 1; after < 40; after++) {
        fault_vfs_set(faults[_i], after, false);
        store_fixture_begin(&f);
        enum status status = append("first");
        if (status == STATUS_OK) {
            status = append("second");
        }
        status = store_fixture_end(&f, status);
        fault_vfs_set(FAULT_NONE, 0, false);
        done += status == STATUS_OK ? 2 : 0;
        failed += status == STATUS_STORAGE ? 1 : 0;
        ck_assert(status == STATUS_OK || status == STATUS_STORAGE);
        ck_assert_uint_eq(check_chain(), done);
    }
    ck_assert_uint_gt(failed, 0);
    ck_assert_uint_gt(done, 0);
}
END_TEST

/* --- finding --- */

/* 40 entries by two actors in turn; those of "operator:bob" are 10, 20, 30 and 40. */
static void append_many(void) {
    store_fixture_begin(&f);
    for (int i = 1; i <= 40; i++) {
        struct audit_row row = sample();
        row.time_ms = 1000 - i; /* the clock went back all the while */
        (void)snprintf(row.actor, sizeof row.actor, i % 10 == 0 ? "operator:bob" : "device:x");
        ck_assert_int_eq(audit_append(f.writer, &row, &detail), STATUS_OK);
    }
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
}

/* Pages until there is no more; how many there were. */
static size_t find_all(struct audit_filter filter, int64_t *out, size_t *pages) {
    size_t all = 0;
    *pages = 0;
    do {
        struct audit_row *rows;
        size_t num;
        ck_assert_int_eq(
            store_audit_find(f.reader, &f.arena, &rows, &num, &filter.after_seq, &filter),
            STATUS_OK);
        ck_assert_uint_le(num, filter.limit);
        for (size_t i = 0; i < num; i++) {
            out[all++] = rows[i].seq;
        }
        ++*pages;
    } while (filter.after_seq != 0);
    return all;
}

static const struct {
    bool newest_first, by_time, by_object;
} ways[] = {{false, false, false}, {true, false, false}, {false, true, false},
            {true, true, false},   {false, false, true}, {true, false, true}};

START_TEST(no_question_looks_at_more_than_it_may_and_yet_finds_everything) {
    int64_t seq[40];
    size_t pages;
    append_many();
    struct audit_filter filter = {.actor = "operator:bob",
                                  .action = "",
                                  .object = ways[_i].by_object ? "model:edge" : "",
                                  .since_ms = ways[_i].by_time ? 1 : 0,
                                  .newest_first = ways[_i].newest_first,
                                  .limit = 10,
                                  .scan = 6};
    ck_assert_uint_eq(find_all(filter, seq, &pages), 4);
    ck_assert_uint_eq(pages, 7); /* of 6 entries, and one of 4 */
    /* By time the last one written is the oldest. */
    bool descends = ways[_i].newest_first != ways[_i].by_time;
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(seq[i], descends ? 40 - 10 * i : 10 + 10 * i);
    }
    filter.scan = 1000;
    filter.limit = 3;
    ck_assert_uint_eq(find_all(filter, seq, &pages), 4);
    ck_assert_uint_le(pages, 3);
}
END_TEST

/* --- stores from before the chain --- */

static void run_sql(const char *sql) {
    sqlite3 *db;
    char *message = NULL;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* `num` entries as the version before wrote them. */
static void write_old_entries(int num) {
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "DROP TRIGGER audit_has_no_gaps;"
                   "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " INSERT INTO audit SELECT i, i, 'operator:alice', 'old', 'x', x'', x'7b7d', '',"
                   " NULL FROM n",
                   num);
    run_sql(sql);
}

START_TEST(an_older_store_is_chained_once_and_says_so) {
    store_fixture_close(&f);
    write_old_entries(600);
    arena_init(&f.arena, (size_t)64 << 20);
    store_fixture_open(&f, true);
    ck_assert_int_eq(audit_chain_begin(f.writer, 5000, &detail), STATUS_OK);
    ck_assert_int_eq(audit_chain_begin(f.writer, 6000, &detail), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, append("new")), STATUS_OK);
    ck_assert_uint_eq(check_chain(), 602);
    struct audit_row *rows;
    size_t num;
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &rows, &num, 600, 10), STATUS_OK);
    ck_assert_str_eq(rows[0].action, "audit.chain_begin");
    ck_assert_str_eq(rows[0].actor, "system");
    ck_assert(bytes_equal(rows[0].after, bytes_of_text("{\"entries\":600}")));
    ck_assert_str_eq(rows[1].action, "new");
}
END_TEST

START_TEST(an_entry_appended_to_an_older_store_chains_it_first) {
    store_fixture_close(&f);
    write_old_entries(300);
    arena_init(&f.arena, (size_t)64 << 20);
    store_fixture_open(&f, true);
    store_fixture_begin(&f);
    ck_assert_int_eq(store_savepoint(f.writer, NULL), STATUS_OK);
    ck_assert_int_eq(append("undone"), STATUS_OK);
    store_undo(f.writer);
    ck_assert_int_eq(append("new"), STATUS_OK);
    ck_assert_int_eq(append("newer"), STATUS_OK);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    ck_assert_uint_eq(check_chain(), 303);
}
END_TEST

START_TEST(a_new_store_has_nothing_to_be_chained) {
    ck_assert_int_eq(audit_chain_begin(f.writer, 5000, &detail), STATUS_OK);
    ck_assert_uint_eq(check_chain(), 0);
    ck_assert_int_eq(store_fixture_write(&f, append("one")), STATUS_OK);
    ck_assert_int_eq(audit_chain_begin(f.writer, 5000, &detail), STATUS_OK);
    ck_assert_uint_eq(check_chain(), 1);
}
END_TEST

START_TEST(chaining_an_older_store_is_done_as_a_whole_or_not_at_all) {
    store_fixture_close(&f);
    write_old_entries(600);
    arena_init(&f.arena, (size_t)64 << 20);
    store_fixture_open(&f, true);
    enum status status = STATUS_STORAGE;
    unsigned failed = 0;
    for (uint64_t after = 1; status != STATUS_OK; after++) {
        struct audit_tip tip;
        fault_vfs_set(FAULT_WRITE, after, false);
        status = audit_chain_begin(f.writer, 5000, &detail);
        fault_vfs_set(FAULT_NONE, 0, false);
        ck_assert_int_eq(store_audit_tip(f.reader, &tip), STATUS_OK);
        ck_assert_int_eq(tip.seq, status == STATUS_OK ? 601 : 600);
        ck_assert_int_eq(tip.chained, status == STATUS_OK);
        failed += status == STATUS_STORAGE;
    }
    ck_assert_uint_gt(failed, 0);
    ck_assert_uint_eq(check_chain(), 601);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("audit chain");
    tcase_add_checked_fixture(tests, open_store, remove_store);
    tcase_add_loop_test(tests, a_line_and_its_hash_are_as_written_down, 0,
                        (int)(sizeof knowns / sizeof knowns[0]));
    tcase_add_test(tests, every_part_of_an_entry_is_in_its_hash);
    tcase_add_test(tests, a_checkpoint_is_a_line_too);
    tcase_add_test(tests, entries_follow_each_other_in_one_transaction_and_across);
    tcase_add_test(tests, what_is_undone_leaves_no_trace_in_the_chain);
    tcase_add_test(tests, nothing_is_appended_outside_of_a_transaction);
    tcase_add_test(tests, names_of_any_bytes_give_the_same_line_from_the_store);
    tcase_add_loop_test(tests, a_storage_failure_leaves_neither_gap_nor_double, 0, 3);
    tcase_add_loop_test(tests, no_question_looks_at_more_than_it_may_and_yet_finds_everything, 0,
                        (int)(sizeof ways / sizeof ways[0]));
    tcase_add_test(tests, an_older_store_is_chained_once_and_says_so);
    tcase_add_test(tests, an_entry_appended_to_an_older_store_chains_it_first);
    tcase_add_test(tests, a_new_store_has_nothing_to_be_chained);
    tcase_add_test(tests, chaining_an_older_store_is_done_as_a_whole_or_not_at_all);
    Suite *suite = suite_create("audit chain");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* What devices booted: kept once for all, given back as it was, and forgotten when nothing refers to
 * it. */
#include "db/sqlite/boot.h"
#include "tests/unit/boot_fixture.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct store_fixture f;

static void open_store(void) {
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    static const char *const models[] = {"edge", "other"};
    for (int i = 0; i < 2; i++) {
        struct model_row model = sample_model(models[i]);
        ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    }
}

static void remove_store(void) {
    store_fixture_remove(&f);
}

static sqlite3 *open_file(void) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open_v2(f.path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    return db;
}

static void run_sql(const char *sql) {
    sqlite3 *db = open_file();
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static int64_t ask_sql(const char *sql) {
    sqlite3 *db = open_file();
    sqlite3_stmt *stmt;
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return value;
}

static void add_device(const char *model, unsigned n) {
    struct device_row row = sample_device(model, n);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
}

static const char *device(unsigned n) {
    static char id[4][STORE_ID];
    static unsigned at;
    at = (at + 1) % 4;
    sample_id(id[at], 'd', n);
    return id[at];
}

static enum status boots(unsigned n, const struct sample_boot *boot,
                         const struct sample_boot *trusted, int64_t since) {
    return store_fixture_write(&f, sample_boot_put(f.writer, boot, device(n), trusted, since));
}

static enum status appraised(unsigned id, unsigned n, const struct sample_boot *boot,
                             unsigned keep) {
    struct appraisal_row row = {.model = "edge",
                                .findings = bytes_of_text("[]"),
                                .facts = bytes_of_text("{}"),
                                .created_ms = id};
    sample_id(row.id, 'p', id);
    sample_id(row.device_id, 'd', n);
    if (boot != NULL) {
        memcpy(row.boot_state, boot->row.sha256, 32);
    }
    return store_fixture_write(&f, store_appraisal_insert(f.writer, &row, keep));
}

static void forget_all(void) {
    enum status status = STATUS_LIMIT;
    for (int i = 0; i < 100000 && status == STATUS_LIMIT; i++) {
        store_fixture_begin(&f);
        status = store_boot_state_forget(f.writer, 3);
        ck_assert(status == STATUS_OK || status == STATUS_LIMIT);
        ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    }
    ck_assert_int_eq(status, STATUS_OK);
}

static bool is_kept(const struct sample_boot *boot) {
    struct boot_state_row row;
    struct bytes log;
    enum status status = store_boot_state_get(f.reader, &f.arena, &row, &log, boot->row.sha256);
    if (status == STATUS_OK) {
        ck_assert(bytes_equal(row.form, boot->row.form));
        ck_assert_mem_eq(row.sha256, boot->row.sha256, 32);
        ck_assert_mem_eq(row.log_sha256, boot->row.log_sha256, 32);
        ck_assert(bytes_equal(log, sample_boot_log(boot)));
    } else {
        ck_assert_int_eq(status, STATUS_NOT_FOUND);
    }
    return status == STATUS_OK;
}

/* --- kept once, given back --- */

START_TEST(a_boot_state_comes_back_with_its_log_as_it_was_put) {
    struct sample_boot boot;
    sample_boot(&boot, 1, 1);
    ck_assert_int_eq(store_fixture_write(
                         &f, store_boot_state_put(f.writer, &boot.row, boot.piece, SAMPLE_PIECES)),
                     STATUS_OK);
    ck_assert(is_kept(&boot));
    struct boot_state_row row;
    ck_assert_int_eq(store_boot_state_get(f.reader, &f.arena, &row, NULL, boot.row.sha256),
                     STATUS_OK);
    ck_assert_mem_eq(row.log_sha256, boot.row.log_sha256, 32);
}
END_TEST

START_TEST(a_boot_state_without_a_log_has_none) {
    struct sample_boot boot;
    struct bytes log = bytes_of_text("x");
    struct boot_state_row row;
    sample_boot(&boot, 1, 1);
    memset(boot.row.log_sha256, 0, 32);
    ck_assert_int_eq(store_fixture_write(&f, store_boot_state_put(f.writer, &boot.row, NULL, 0)),
                     STATUS_OK);
    ck_assert_int_eq(store_boot_state_get(f.reader, &f.arena, &row, &log, boot.row.sha256),
                     STATUS_OK);
    ck_assert_uint_eq(log.len, 0);
    ck_assert(bytes_all(bytes_of(row.log_sha256, 32), 0));
}
END_TEST

START_TEST(a_boot_state_that_nobody_put_is_not_found_and_the_outputs_stay) {
    struct sample_boot boot;
    struct boot_state_row row = {.log_sha256 = {7}};
    struct bytes log = bytes_of_text("as it was");
    sample_boot(&boot, 1, 1);
    ck_assert_int_eq(store_boot_state_get(f.reader, &f.arena, &row, &log, boot.row.sha256),
                     STATUS_NOT_FOUND);
    ck_assert_uint_eq(row.log_sha256[0], 7);
    ck_assert_uint_eq(log.len, 9);
}
END_TEST

START_TEST(an_event_that_a_thousand_devices_share_is_one_row) {
    enum { DEVICES = 1000 };
    store_fixture_begin(&f);
    for (unsigned n = 1; n <= DEVICES; n++) {
        struct device_row row = sample_device("edge", n);
        struct sample_boot boot;
        sample_boot(&boot, 1, n);
        ck_assert_int_eq(store_device_insert(f.writer, &row), STATUS_OK);
        ck_assert_int_eq(sample_boot_put(f.writer, &boot, row.id, NULL, 5), STATUS_OK);
    }
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM boot_log"), DEVICES);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM log_piece"), SAMPLE_PIECES - 2 + 2 * DEVICES);
    ck_assert_int_eq(
        ask_sql("SELECT count(*) FROM log_piece WHERE CAST(data AS TEXT) LIKE '%piece 0 of %'"), 1);
    ck_assert_int_le(ask_sql("SELECT max(length(pieces)) FROM boot_log"), 24);
    struct sample_boot boot;
    sample_boot(&boot, 1, 777);
    ck_assert(is_kept(&boot));
}
END_TEST

START_TEST(devices_in_one_boot_state_share_it) {
    struct sample_boot boot;
    sample_boot(&boot, 1, 1);
    for (unsigned n = 1; n <= 20; n++) {
        add_device("edge", n);
        ck_assert_int_eq(boots(n, &boot, NULL, n), STATUS_OK);
    }
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM boot_state"), 1);
    ck_assert_int_eq(ask_sql("SELECT refs FROM boot_state"), 20);
    ck_assert_int_eq(ask_sql("SELECT refs FROM boot_log"), 1);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM log_piece"), SAMPLE_PIECES);
}
END_TEST

START_TEST(the_same_boot_state_again_writes_nothing) {
    struct sample_boot boot;
    struct stat before, after;
    char wal[96];
    (void)snprintf(wal, sizeof wal, "%s-wal", f.path);
    sample_boot(&boot, 1, 1);
    add_device("edge", 1);
    ck_assert_int_eq(boots(1, &boot, NULL, 9), STATUS_OK);
    ck_assert_int_eq(stat(wal, &before), 0);
    ck_assert_int_eq(boots(1, &boot, NULL, 9), STATUS_OK);
    ck_assert_int_eq(stat(wal, &after), 0);
    ck_assert_int_eq(after.st_size, before.st_size);
}
END_TEST

START_TEST(a_log_with_the_same_piece_twice_comes_back) {
    struct sample_boot boot;
    struct bytes piece[5], log;
    sample_boot(&boot, 1, 1);
    static const unsigned order[] = {3, 3, 1, 2, 3};
    for (unsigned i = 0; i < 5; i++) {
        piece[i] = boot.piece[order[i]];
    }
    ck_assert_int_eq(store_fixture_write(&f, store_boot_state_put(f.writer, &boot.row, piece, 5)),
                     STATUS_OK);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM log_piece"), 3);
    ck_assert_int_eq(store_boot_state_get(f.reader, &f.arena, &boot.row, &log, boot.row.sha256),
                     STATUS_OK);
    for (unsigned i = 0; i < 5; i++) {
        struct bytes part;
        ck_assert_int_eq(bytes_take(&log, piece[i].len, &part), STATUS_OK);
        ck_assert(bytes_equal(part, piece[i]));
    }
    ck_assert_uint_eq(log.len, 0);
}
END_TEST

START_TEST(a_piece_comes_back_however_its_zeros_lie) {
    uint8_t piece[64], packed[2 * 64 + PIECE_PACK_MAX], back[64];
    srandom((unsigned)_i + 1);
    for (unsigned round = 0; round < 2000; round++) {
        size_t len = (size_t)random() % (sizeof piece + 1);
        for (size_t i = 0; i < len; i++) {
            piece[i] = random() % (_i + 1) == 0 ? (uint8_t)random() : 0;
        }
        struct writer p = writer_of(packed, 2 * len + PIECE_PACK_MAX), b = writer_of(back, len);
        piece_pack(&p, bytes_of(piece, len));
        ck_assert(!p.overflow);
        ck_assert_int_eq(piece_unpack(&b, writer_bytes(&p)), STATUS_OK);
        ck_assert(bytes_equal(writer_bytes(&b), bytes_of(piece, len)));
        struct bytes copy;
        ck_assert_int_eq(piece_copy(&copy, &f.arena, writer_bytes(&p)), STATUS_OK);
        ck_assert(bytes_equal(copy, bytes_of(piece, len)));
        struct writer small = writer_of(back, len == 0 ? 0 : len - 1);
        ck_assert_int_eq(piece_unpack(&small, writer_bytes(&p)),
                         len == 0 ? STATUS_OK : STATUS_STORAGE);
    }
}
END_TEST

START_TEST(what_was_not_packed_is_damage) {
    static const struct {
        uint8_t bytes[12];
        size_t len;
    } wrong[] = {{{5, 'a', 'b'}, 3},
                 {{2, 'a', 'b'}, 3},
                 {{0x80}, 1},
                 {{0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, 9},
                 {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 'a'}, 9},
                 {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 'a'}, 11},
                 {{0, 65}, 2}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t back[64];
        struct writer w = writer_of(back, sizeof back);
        struct bytes packed = bytes_of(wrong[i].bytes, wrong[i].len), copy;
        ck_assert_int_eq(piece_unpack(&w, packed), STATUS_STORAGE);
        ck_assert(i + 1 == sizeof wrong / sizeof wrong[0] ||
                  piece_copy(&copy, &f.arena, packed) == STATUS_STORAGE);
    }
}
END_TEST

START_TEST(pieces_whose_hashes_meet_stay_apart) {
    struct sample_boot one, two;
    sample_boot(&one, 1, 1);
    sample_boot(&two, 2, 2);
    ck_assert_int_eq(
        store_fixture_write(&f, store_boot_state_put(f.writer, &one.row, one.piece, 1)), STATUS_OK);
    ck_assert_int_eq(
        store_fixture_write(&f, store_boot_state_put(f.writer, &two.row, two.piece, 1)), STATUS_OK);
    /* As if piece 1 had the hash of piece 2: the look-up meets it first, and goes on. */
    run_sql("UPDATE log_piece SET hash = (SELECT hash FROM log_piece WHERE num = 2) WHERE num = 1");
    sample_boot(&one, 3, 3);
    ck_assert_int_eq(
        store_fixture_write(&f, store_boot_state_put(f.writer, &one.row, two.piece, 1)), STATUS_OK);
    struct bytes log;
    ck_assert_int_eq(store_boot_state_get(f.reader, &f.arena, &one.row, &log, one.row.sha256),
                     STATUS_OK);
    ck_assert(bytes_equal(log, two.piece[0]));
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM log_piece"), 2);
}
END_TEST

/* --- devices --- */

START_TEST(a_device_has_its_latest_boot_state_and_the_trusted_one_before) {
    struct sample_boot one, two;
    struct device_boot_row row;
    sample_boot(&one, 1, 1);
    sample_boot(&two, 1, 2);
    add_device("edge", 1);
    ck_assert_int_eq(store_device_boot_get(f.reader, &row, device(1)), STATUS_NOT_FOUND);
    ck_assert_int_eq(boots(1, &one, NULL, 10), STATUS_OK);
    ck_assert_int_eq(boots(1, &two, &one, 20), STATUS_OK);
    ck_assert_int_eq(store_device_boot_get(f.reader, &row, device(1)), STATUS_OK);
    ck_assert_str_eq(row.device_id, device(1));
    ck_assert_mem_eq(row.boot_state, two.row.sha256, 32);
    ck_assert_mem_eq(row.trusted, one.row.sha256, 32);
    ck_assert_int_eq(row.since, 20);
    ck_assert_mem_eq(row.log_sha256, two.row.log_sha256, 32);
    ck_assert_int_eq(boots(1, &two, NULL, 20), STATUS_OK);
    ck_assert_int_eq(store_device_boot_get(f.reader, &row, device(1)), STATUS_OK);
    ck_assert(bytes_all(bytes_of(row.trusted, 32), 0));
}
END_TEST

START_TEST(a_device_cannot_be_in_a_boot_state_that_nobody_put) {
    struct sample_boot one, two;
    struct device_boot_row row = {.since = 1};
    sample_boot(&one, 1, 1);
    sample_boot(&two, 1, 2);
    add_device("edge", 1);
    sample_id(row.device_id, 'd', 1);
    memcpy(row.boot_state, one.row.sha256, 32);
    ck_assert_int_eq(store_fixture_write(&f, store_device_boot_put(f.writer, &row)),
                     STATUS_CONFLICT);
    memset(row.boot_state, 0, 32);
    ck_assert_int_eq(store_fixture_write(&f, store_device_boot_put(f.writer, &row)),
                     STATUS_CONFLICT);
    store_fixture_begin(&f); /* no more than that: the trusted one was not put */
    memcpy(row.boot_state, one.row.sha256, 32);
    memcpy(row.trusted, two.row.sha256, 32);
    ck_assert_int_eq(store_boot_state_put(f.writer, &one.row, one.piece, SAMPLE_PIECES), STATUS_OK);
    ck_assert_int_eq(store_fixture_end(&f, store_device_boot_put(f.writer, &row)), STATUS_CONFLICT);
    ck_assert_int_eq(store_device_boot_get(f.reader, &row, device(1)), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(nobody_is_in_no_boot_state) {
    struct sample_boot boot;
    struct device_boot_row row;
    sample_boot(&boot, 1, 1);
    ck_assert_int_eq(boots(9, &boot, NULL, 10), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_device_boot_get(f.reader, &row, device(9)), STATUS_NOT_FOUND);
    ck_assert_int_eq(store_device_boot_get(f.reader, &row, "no id"), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(a_log_is_given_to_the_device_whose_latest_evidence_it_explains_and_to_nobody_else) {
    struct sample_boot one, two, three;
    struct bytes log = bytes_of_text("as it was");
    sample_boot(&one, 1, 1);
    sample_boot(&two, 1, 2);
    sample_boot(&three, 1, 3);
    add_device("edge", 1);
    add_device("edge", 2);
    ck_assert_int_eq(boots(1, &one, NULL, 10), STATUS_OK);
    ck_assert_int_eq(boots(1, &two, &one, 20), STATUS_OK);
    ck_assert_int_eq(boots(2, &one, NULL, 10), STATUS_OK);
    static const struct {
        unsigned device, log;
    } refused[] = {{1, 0}, {2, 1}, {1, 2}, {2, 2}, {3, 0}};
    const struct sample_boot *boot[] = {&one, &two, &three};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        ck_assert_int_eq(store_device_log_get(f.reader, &f.arena, &log, device(refused[i].device),
                                              boot[refused[i].log]->row.log_sha256),
                         STATUS_NOT_FOUND);
    }
    ck_assert_int_eq(store_device_log_get(f.reader, &f.arena, &log, "no id", one.row.log_sha256),
                     STATUS_NOT_FOUND);
    ck_assert_uint_eq(log.len, 9);
    ck_assert_int_eq(store_device_log_get(f.reader, &f.arena, &log, device(1), two.row.log_sha256),
                     STATUS_OK);
    ck_assert(bytes_equal(log, sample_boot_log(&two)));
    ck_assert_int_eq(store_device_log_get(f.reader, &f.arena, &log, device(2), one.row.log_sha256),
                     STATUS_OK);
    ck_assert(bytes_equal(log, sample_boot_log(&one)));
}
END_TEST

struct seen {
    char id[64][STORE_ID];
    uint8_t first[64];
    unsigned num, stop_at;
};

static bool see(void *context, const struct device_boot_view *row) {
    struct seen *seen = context;
    memcpy(seen->id[seen->num], row->device_id, STORE_ID);
    seen->first[seen->num++] = row->boot_state[7];
    ck_assert_int_eq(row->state, DEVICE_ENROLLED);
    return seen->num != seen->stop_at;
}

START_TEST(the_walk_goes_through_a_model_by_pages_of_those_that_have_facts) {
    for (unsigned n = 1; n <= 30; n++) {
        struct sample_boot boot;
        sample_boot(&boot, 1, n);
        add_device(n % 5 == 0 ? "other" : "edge", n);
        if (n % 2 == 0) {
            ck_assert_int_eq(boots(n, &boot, NULL, 10), STATUS_OK);
        }
    }
    struct seen seen = {.num = 0};
    const char *after = "";
    for (unsigned last = 1; last != seen.num; after = seen.id[seen.num - 1]) {
        last = seen.num;
        ck_assert_int_eq(
            store_device_boot_walk(f.reader, "edge", (struct store_page){after, 5}, see, &seen),
            STATUS_OK);
        ck_assert_uint_le(seen.num - last, 5);
    }
    ck_assert_uint_eq(seen.num, 12);
    unsigned at = 0;
    for (unsigned n = 2; n <= 30; n += 2) {
        if (n % 5 != 0) {
            ck_assert_str_eq(seen.id[at], device(n));
            ck_assert_uint_eq(seen.first[at++], n);
        }
    }
}
END_TEST

START_TEST(the_walk_stops_when_it_is_told_to_and_knows_no_strangers) {
    struct sample_boot boot;
    sample_boot(&boot, 1, 1);
    for (unsigned n = 1; n <= 10; n++) {
        add_device("edge", n);
        ck_assert_int_eq(boots(n, &boot, NULL, 10), STATUS_OK);
    }
    struct seen seen = {.stop_at = 4};
    ck_assert_int_eq(
        store_device_boot_walk(f.reader, "edge", (struct store_page){"", 99}, see, &seen),
        STATUS_OK);
    ck_assert_uint_eq(seen.num, 4);
    ck_assert_int_eq(
        store_device_boot_walk(f.reader, "none", (struct store_page){"", 99}, see, &seen),
        STATUS_OK);
    ck_assert_int_eq(
        store_device_boot_walk(f.reader, "edge", (struct store_page){"no id", 99}, see, &seen),
        STATUS_MALFORMED);
    ck_assert_uint_eq(seen.num, 4);
}
END_TEST

/* --- appraisals --- */

START_TEST(an_appraisal_refers_to_the_boot_state_that_its_device_is_in) {
    struct sample_boot one, two;
    struct appraisal_row row, *rows;
    size_t num;
    char id[STORE_ID];
    sample_boot(&one, 1, 1);
    sample_boot(&two, 1, 2);
    add_device("edge", 1);
    ck_assert_int_eq(appraised(1, 1, &one, 64), STATUS_CONFLICT); /* it is in none */
    ck_assert_int_eq(boots(1, &one, NULL, 10), STATUS_OK);
    ck_assert_int_eq(appraised(1, 1, &two, 64), STATUS_CONFLICT);
    ck_assert_int_eq(appraised(1, 1, &one, 64), STATUS_OK);
    ck_assert_int_eq(boots(1, &two, &one, 20), STATUS_OK);
    ck_assert_int_eq(appraised(2, 1, &one, 64), STATUS_CONFLICT); /* it left it */
    ck_assert_int_eq(appraised(2, 1, &two, 64), STATUS_OK);
    ck_assert_int_eq(appraised(3, 1, NULL, 64), STATUS_OK);
    sample_id(id, 'p', 1);
    ck_assert_int_eq(store_appraisal_get(f.reader, &f.arena, &row, id), STATUS_OK);
    ck_assert_mem_eq(row.boot_state, one.row.sha256, 32);
    ck_assert_int_eq(store_appraisal_list(f.reader, &f.arena, &rows, &num, device(1),
                                          (struct store_page){"", 9}),
                     STATUS_OK);
    ck_assert_uint_eq(num, 3);
    ck_assert(bytes_all(bytes_of(rows[0].boot_state, 32), 0));
    ck_assert_mem_eq(rows[1].boot_state, two.row.sha256, 32);
}
END_TEST

/* --- forgetting --- */

START_TEST(what_nothing_refers_to_is_forgotten_to_the_last_piece) {
    struct sample_boot one, two;
    sample_boot(&one, 1, 1);
    sample_boot(&two, 2, 2);
    add_device("edge", 1);
    ck_assert_int_eq(boots(1, &one, NULL, 10), STATUS_OK);
    forget_all();
    ck_assert(is_kept(&one));
    ck_assert_int_eq(boots(1, &two, NULL, 20), STATUS_OK);
    forget_all();
    ck_assert(!is_kept(&one));
    ck_assert(is_kept(&two));
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM boot_log"), 1);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM log_piece"), SAMPLE_PIECES);
    ck_assert_int_eq(boots(1, &one, &two, 30), STATUS_OK);
    forget_all();
    ck_assert(is_kept(&one));
    ck_assert(is_kept(&two)); /* the trusted one before */
}
END_TEST

START_TEST(a_boot_state_that_a_device_left_stays_while_appraisals_refer_to_it) {
    struct sample_boot one, two;
    sample_boot(&one, 1, 1);
    sample_boot(&two, 1, 2);
    add_device("edge", 1);
    ck_assert_int_eq(boots(1, &one, NULL, 10), STATUS_OK);
    ck_assert_int_eq(appraised(1, 1, &one, 2), STATUS_OK);
    ck_assert_int_eq(boots(1, &two, NULL, 20), STATUS_OK);
    for (unsigned id = 2; id <= 3; id++) {
        forget_all();
        ck_assert(is_kept(&one));
        ck_assert_int_eq(appraised(id, 1, &two, 2), STATUS_OK);
    }
    forget_all();
    ck_assert(is_kept(&one)); /* of the two beside the newest */
    ck_assert_int_eq(appraised(4, 1, &two, 2), STATUS_OK);
    forget_all();
    ck_assert(!is_kept(&one));
    ck_assert(is_kept(&two));
}
END_TEST

START_TEST(a_deleted_device_leaves_nothing_behind) {
    struct sample_boot boot;
    struct device_row row = sample_device("edge", 1);
    sample_boot(&boot, 1, 1);
    row.state = DEVICE_PENDING_APPROVAL;
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(boots(1, &boot, NULL, 10), STATUS_OK);
    ck_assert_int_eq(appraised(1, 1, &boot, 64), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_device_delete(f.writer, row.id)), STATUS_OK);
    forget_all();
    ck_assert_int_eq(ask_sql("SELECT (SELECT count(*) FROM boot_state) + (SELECT count(*) FROM"
                             " boot_log) + (SELECT count(*) FROM log_piece) + (SELECT count(*)"
                             " FROM device_boot) + (SELECT count(*) FROM device_boot_past)"),
                     0);
}
END_TEST

START_TEST(what_is_in_use_cannot_be_deleted_by_mistake) {
    struct sample_boot boot;
    sample_boot(&boot, 1, 1);
    add_device("edge", 1);
    ck_assert_int_eq(boots(1, &boot, NULL, 10), STATUS_OK);
    sqlite3 *db = open_file();
    ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM boot_state", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM boot_log", NULL, NULL, NULL), SQLITE_CONSTRAINT);
    (void)sqlite3_close(db);
    ck_assert(is_kept(&boot));
}
END_TEST

/* The walk over logs is in steps, and what is put between two of them stays. */
START_TEST(what_is_put_while_pieces_are_swept_stays) {
    struct sample_boot old, fresh;
    for (unsigned steps = 0; steps < 40; steps++) {
        sample_boot(&old, 100 + steps, 1);
        sample_boot(&fresh, 100 + steps, 2); /* most pieces are those of the one that goes */
        add_device("edge", 2 * steps + 1);
        add_device("edge", 2 * steps + 2);
        ck_assert_int_eq(boots(2 * steps + 1, &old, NULL, 1), STATUS_OK);
        struct sample_boot next;
        sample_boot(&next, 1, 1);
        ck_assert_int_eq(boots(2 * steps + 1, &next, NULL, 2), STATUS_OK);
        store_fixture_begin(&f);
        for (unsigned i = 0; i < steps; i++) {
            enum status status = store_boot_state_forget(f.writer, 2);
            ck_assert(status == STATUS_OK || status == STATUS_LIMIT);
        }
        ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
        ck_assert_int_eq(boots(2 * steps + 2, &fresh, NULL, 1), STATUS_OK);
        forget_all();
        ck_assert(is_kept(&fresh));
        ck_assert(is_kept(&next));
        ck_assert(!is_kept(&old));
    }
}
END_TEST

START_TEST(a_rollback_during_the_sweep_takes_nothing_that_is_there_again) {
    struct sample_boot one, two;
    for (unsigned steps = 1; steps < 20; steps++) {
        sample_boot(&one, 2 * steps, 1);
        sample_boot(&two, 2 * steps + 1, 2);
        add_device("edge", steps);
        ck_assert_int_eq(boots(steps, &one, NULL, 1), STATUS_OK);
        forget_all();
        store_fixture_begin(&f); /* leaves `one`, sweeps a while, and none of it happened */
        ck_assert_int_eq(sample_boot_put(f.writer, &two, device(steps), NULL, 2), STATUS_OK);
        for (unsigned i = 0; i < steps; i++) {
            enum status status = store_boot_state_forget(f.writer, 3);
            ck_assert(status == STATUS_OK || status == STATUS_LIMIT);
        }
        store_rollback(f.writer);
        ck_assert(is_kept(&one));
        forget_all();
        ck_assert(is_kept(&one));
        ck_assert(!is_kept(&two));
    }
}
END_TEST

/* --- at random, against what should be there --- */

enum { MODEL_DEVICES = 6, MODEL_STATES = 9, MODEL_KEEP = 3 };
struct model_device {
    int now, trusted;              /* -1: none */
    int appraisal[MODEL_KEEP + 1]; /* newest first */
};

static bool model_refers(const struct model_device *d, int state) {
    for (unsigned n = 0; n < MODEL_DEVICES; n++) {
        bool refers = d[n].now == state || d[n].trusted == state;
        for (unsigned i = 0; i <= MODEL_KEEP; i++) {
            refers = refers || d[n].appraisal[i] == state;
        }
        if (refers) {
            return true;
        }
    }
    return false;
}

START_TEST(forgetting_never_removes_what_is_referred_to_and_all_else) {
    struct model_device d[MODEL_DEVICES];
    struct sample_boot boot[MODEL_STATES];
    memset(d, -1, sizeof d);
    for (unsigned i = 0; i < MODEL_STATES; i++) {
        sample_boot(&boot[i], i % 3, i);
    }
    for (unsigned n = 0; n < MODEL_DEVICES; n++) {
        add_device("edge", n);
    }
    srandom((unsigned)_i + 1);
    for (unsigned step = 1; step <= 250; step++) {
        unsigned n = (unsigned)random() % MODEL_DEVICES;
        int state = (int)(random() % MODEL_STATES), trusted = (int)(random() % MODEL_STATES);
        if (random() % 2 == 0 || d[n].now < 0) {
            trusted = d[n].now >= 0 && random() % 2 == 0 ? d[n].now : -1;
            ck_assert_int_eq(boots(n, &boot[state], trusted < 0 ? NULL : &boot[trusted], step),
                             STATUS_OK);
            d[n].now = state;
            d[n].trusted = trusted;
        } else {
            bool verified = random() % 4 != 0;
            ck_assert_int_eq(appraised(step, n, verified ? &boot[d[n].now] : NULL, MODEL_KEEP),
                             STATUS_OK);
            memmove(d[n].appraisal + 1, d[n].appraisal, MODEL_KEEP * sizeof(int));
            d[n].appraisal[0] = verified ? d[n].now : -1;
        }
        if (random() % 3 == 0) {
            store_fixture_begin(&f);
            enum status status = store_boot_state_forget(f.writer, 2);
            ck_assert(status == STATUS_OK || status == STATUS_LIMIT);
            if (random() % 4 == 0) {
                store_rollback(f.writer);
            } else {
                ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
            }
        }
        for (int i = 0; i < MODEL_STATES; i++) {
            ck_assert(is_kept(&boot[i]) || !model_refers(d, i));
        }
    }
    forget_all();
    int logs = 0;
    for (int i = 0; i < MODEL_STATES; i++) {
        ck_assert_int_eq(is_kept(&boot[i]), model_refers(d, i));
        logs += model_refers(d, i) ? 1 : 0;
    }
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM boot_log"), logs);
    ck_assert_int_le(ask_sql("SELECT count(*) FROM log_piece"), 3 * (SAMPLE_PIECES - 2) + 2 * logs);
}
END_TEST

/* --- damage --- */

static const char *const damages[] = {
    "DELETE FROM log_piece WHERE num = 5",
    "UPDATE log_piece SET data = zeroblob(length(data)) WHERE num = 5",
    "UPDATE log_piece SET data = x'' WHERE num = 12",
    "UPDATE log_piece SET hash = hash + 1 WHERE num = 5",
    "UPDATE boot_log SET size = size + 1",
    "UPDATE boot_log SET size = size - 1",
    "UPDATE boot_log SET size = -1",
    "UPDATE boot_log SET size = 1 << 60",
    "UPDATE boot_log SET pieces = x'020b'", /* one fewer */
    "UPDATE boot_log SET pieces = x'020d'", /* one more */
    "UPDATE boot_log SET pieces = x'02'",   /* cut */
    "UPDATE boot_log SET pieces = x'0200'", /* a run of none */
    "UPDATE boot_log SET pieces = x'010c'", /* from before the first */
    "UPDATE boot_log SET pieces = x''",
    "UPDATE boot_log SET pieces = x'02ffffffffffffff7f'", /* without end */
    "UPDATE boot_log SET pieces = x'ffffffffffffffffffff01'",
};

START_TEST(a_damaged_log_is_storage_and_never_another_log) {
    struct sample_boot boot;
    struct boot_state_row row = {.log_sha256 = {7}};
    struct bytes log = bytes_of_text("as it was");
    sample_boot(&boot, 1, 1);
    add_device("edge", 1);
    ck_assert_int_eq(boots(1, &boot, NULL, 10), STATUS_OK);
    run_sql(damages[_i]);
    ck_assert_int_eq(store_boot_state_get(f.reader, &f.arena, &row, &log, boot.row.sha256),
                     STATUS_STORAGE);
    ck_assert_int_eq(store_device_log_get(f.reader, &f.arena, &log, device(1), boot.row.log_sha256),
                     STATUS_STORAGE);
    ck_assert_uint_eq(row.log_sha256[0], 7);
    ck_assert_uint_eq(log.len, 9);
    ck_assert_int_eq(store_boot_state_get(f.reader, &f.arena, &row, NULL, boot.row.sha256),
                     STATUS_OK); /* nobody asked for the log */
}
END_TEST

START_TEST(a_boot_state_whose_log_is_gone_is_storage) {
    struct sample_boot boot;
    struct boot_state_row row;
    sample_boot(&boot, 1, 1);
    add_device("edge", 1);
    ck_assert_int_eq(boots(1, &boot, NULL, 10), STATUS_OK);
    run_sql("UPDATE boot_state SET log = 99");
    ck_assert_int_eq(store_boot_state_get(f.reader, &f.arena, &row, NULL, boot.row.sha256),
                     STATUS_STORAGE);
}
END_TEST

START_TEST(a_log_that_cannot_be_read_stops_the_sweep_and_takes_no_piece) {
    struct sample_boot one, two;
    sample_boot(&one, 1, 1);
    sample_boot(&two, 2, 2);
    add_device("edge", 1);
    ck_assert_int_eq(boots(1, &one, NULL, 10), STATUS_OK);
    ck_assert_int_eq(boots(1, &two, NULL, 20), STATUS_OK);
    run_sql("UPDATE boot_log SET pieces = x'02' WHERE refs > 0");
    enum status status = STATUS_OK;
    for (int i = 0; i < 20 && status != STATUS_STORAGE; i++) {
        store_fixture_begin(&f);
        status = store_boot_state_forget(f.writer, 99);
        (void)store_fixture_end(&f, status == STATUS_LIMIT ? STATUS_OK : status);
    }
    ck_assert_int_eq(status, STATUS_STORAGE);
    ck_assert_int_eq(ask_sql("SELECT count(*) FROM log_piece"), 2 * SAMPLE_PIECES);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("boot");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_store, remove_store);
    tcase_add_test(tests, a_boot_state_comes_back_with_its_log_as_it_was_put);
    tcase_add_test(tests, a_boot_state_without_a_log_has_none);
    tcase_add_test(tests, a_boot_state_that_nobody_put_is_not_found_and_the_outputs_stay);
    tcase_add_test(tests, an_event_that_a_thousand_devices_share_is_one_row);
    tcase_add_test(tests, devices_in_one_boot_state_share_it);
    tcase_add_test(tests, the_same_boot_state_again_writes_nothing);
    tcase_add_test(tests, a_log_with_the_same_piece_twice_comes_back);
    tcase_add_loop_test(tests, a_piece_comes_back_however_its_zeros_lie, 0, 8);
    tcase_add_test(tests, what_was_not_packed_is_damage);
    tcase_add_test(tests, pieces_whose_hashes_meet_stay_apart);
    tcase_add_test(tests, a_device_has_its_latest_boot_state_and_the_trusted_one_before);
    tcase_add_test(tests, a_device_cannot_be_in_a_boot_state_that_nobody_put);
    tcase_add_test(tests, nobody_is_in_no_boot_state);
    tcase_add_test(
        tests, a_log_is_given_to_the_device_whose_latest_evidence_it_explains_and_to_nobody_else);
    tcase_add_test(tests, the_walk_goes_through_a_model_by_pages_of_those_that_have_facts);
    tcase_add_test(tests, the_walk_stops_when_it_is_told_to_and_knows_no_strangers);
    tcase_add_test(tests, an_appraisal_refers_to_the_boot_state_that_its_device_is_in);
    tcase_add_test(tests, what_nothing_refers_to_is_forgotten_to_the_last_piece);
    tcase_add_test(tests, a_boot_state_that_a_device_left_stays_while_appraisals_refer_to_it);
    tcase_add_test(tests, a_deleted_device_leaves_nothing_behind);
    tcase_add_test(tests, what_is_in_use_cannot_be_deleted_by_mistake);
    tcase_add_test(tests, what_is_put_while_pieces_are_swept_stays);
    tcase_add_test(tests, a_rollback_during_the_sweep_takes_nothing_that_is_there_again);
    tcase_add_loop_test(tests, forgetting_never_removes_what_is_referred_to_and_all_else, 0, 8);
    tcase_add_loop_test(tests, a_damaged_log_is_storage_and_never_another_log, 0,
                        sizeof damages / sizeof damages[0]);
    tcase_add_test(tests, a_boot_state_whose_log_is_gone_is_storage);
    tcase_add_test(tests, a_log_that_cannot_be_read_stops_the_sweep_and_takes_no_piece);
    Suite *suite = suite_create("store: what devices booted");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

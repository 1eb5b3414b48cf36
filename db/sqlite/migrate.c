#include "db/sqlite/migrate.h"

#include <assert.h>
#include <string.h>

enum { APPLICATION_ID = 0x47617465 }; /* "Gate", where SQLite keeps such a mark */

static const char bookkeeping[] = "CREATE TABLE IF NOT EXISTS migration ("
                                  "number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                                  "sha256 TEXT NOT NULL, applied INTEGER NOT NULL) STRICT;"
                                  "PRAGMA application_id = 1197569125;";
static_assert(APPLICATION_ID == 1197569125, "the mark is spelt twice");

static enum status execute(sqlite3 *db, const char *sql, struct detail *detail, const char *what) {
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? STATUS_OK : fail_sqlite(db, rc, detail, what);
}

static enum status read_int(sqlite3 *db, const char *sql, int64_t *out, struct detail *detail) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int64(stmt, 0);
        rc = SQLITE_OK;
    }
    enum status status = rc == SQLITE_OK ? STATUS_OK : fail_sqlite(db, rc, detail, sql);
    (void)sqlite3_finalize(stmt);
    return status;
}

/* An empty file becomes ours; a file that is somebody else's stays as it is. */
static enum status claim(sqlite3 *db, struct detail *detail) {
    int64_t mark = 0, objects = 0;
    enum status status = read_int(db, "PRAGMA application_id", &mark, detail);
    if (status == STATUS_OK) {
        status = read_int(db, "SELECT count(*) FROM sqlite_schema", &objects, detail);
    }
    if (status == STATUS_OK && mark != APPLICATION_ID && (mark != 0 || objects != 0)) {
        status = status_fail(detail, STATUS_CONFLICT, "the database is not a store of Gatehouse");
    }
    if (status == STATUS_OK && mark != APPLICATION_ID) {
        status = execute(db, bookkeeping, detail, "cannot begin the schema");
    }
    return status;
}

static enum status compare(const struct migration *known, int64_t number, const char *name,
                           const char *sha256, struct detail *detail) {
    if (known == NULL) {
        return status_fail(detail, STATUS_CONFLICT,
                           "the store has migration %lld (%s), which this version does not know: "
                           "it was written by a newer one",
                           (long long)number, name);
    }
    if (strcmp(known->sha256, sha256) != 0) {
        return status_fail(detail, STATUS_CONFLICT,
                           "migration %s was applied with the checksum %.16s..., and is %.16s... "
                           "here: the schema was altered",
                           known->name, sha256, known->sha256);
    }
    return STATUS_OK;
}

/* Holds what is recorded against what is known; *num_applied is how many there are. */
static enum status check_history(sqlite3 *db, const struct migration *all, size_t num,
                                 size_t *num_applied, struct detail *detail) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT number, name, sha256 FROM migration ORDER BY number",
                                -1, &stmt, NULL);
    enum status status = STATUS_OK;
    size_t applied = 0;
    while (rc == SQLITE_OK && status == STATUS_OK) {
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW) {
            break;
        }
        rc = SQLITE_OK;
        int64_t number = sqlite3_column_int64(stmt, 0);
        const char *name = (const char *)sqlite3_column_text(stmt, 1);
        const char *sha256 = (const char *)sqlite3_column_text(stmt, 2);
        if (name == NULL || sha256 == NULL) {
            status = status_fail(detail, STATUS_MEMORY, "cannot read the migrations");
        } else if (applied < num && number != all[applied].number) {
            status =
                status_fail(detail, STATUS_CONFLICT, "the store lacks migration %s, yet has %s",
                            all[applied].name, name);
        } else {
            status = compare(applied < num ? &all[applied] : NULL, number, name, sha256, detail);
            applied++;
        }
    }
    if (status == STATUS_OK && rc != SQLITE_DONE) {
        status = fail_sqlite(db, rc, detail, "cannot read the migrations");
    }
    (void)sqlite3_finalize(stmt);
    if (status == STATUS_OK) {
        *num_applied = applied;
    }
    return status;
}

static enum status record(sqlite3 *db, const struct migration *migration, int64_t now,
                          struct detail *detail) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(
        db, "INSERT INTO migration (number, name, sha256, applied) VALUES (?,?,?,?)", -1, &stmt,
        NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_bind_int(stmt, 1, migration->number);
        (void)sqlite3_bind_text(stmt, 2, migration->name, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(stmt, 3, migration->sha256, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(stmt, 4, now);
        rc = sqlite3_step(stmt);
    }
    enum status status = rc == SQLITE_DONE ? STATUS_OK : fail_sqlite(db, rc, detail, "migration");
    (void)sqlite3_finalize(stmt);
    return status;
}

/* With foreign keys off a migration can make a table anew that others refer to; what it leaves must
 * hold together all the same. */
static enum status check_references(sqlite3 *db, const char *name, struct detail *detail) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    enum status status = STATUS_OK;
    if (rc == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(stmt, 0);
        const char *parent = (const char *)sqlite3_column_text(stmt, 2);
        status = status_fail(detail, STATUS_STORAGE,
                             "migration %s: a row of %s refers to one of %s that is not there",
                             name, table == NULL ? "?" : table, parent == NULL ? "?" : parent);
    } else if (rc != SQLITE_DONE) {
        status = fail_sqlite(db, rc, detail, name);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

/* Within a transaction: the history is looked at again, for another process may have been first. */
static enum status apply_next(sqlite3 *db, const struct migration *all, size_t num, int64_t now,
                              bool *more, struct detail *detail) {
    size_t applied = 0;
    enum status status = claim(db, detail);
    if (status == STATUS_OK) {
        status = check_history(db, all, num, &applied, detail);
    }
    *more = applied < num;
    if (status != STATUS_OK || !*more) {
        return status;
    }
    status = execute(db, all[applied].sql, detail, all[applied].name);
    if (status == STATUS_OK) {
        status = check_references(db, all[applied].name, detail);
    }
    if (status == STATUS_OK) {
        status = record(db, &all[applied], now, detail);
    }
    return status;
}

static enum status apply_all(sqlite3 *db, const struct migration *all, size_t num, int64_t now,
                             struct detail *detail) {
    bool more = true;
    while (more) {
        enum status status = execute(db, "BEGIN IMMEDIATE", detail, "cannot lock the store");
        if (status != STATUS_OK) {
            return status;
        }
        status = apply_next(db, all, num, now, &more, detail);
        if (status == STATUS_OK) {
            status = execute(db, "COMMIT", detail, "cannot migrate the store");
        }
        if (status != STATUS_OK) {
            (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
            return status == STATUS_INTERNAL ? STATUS_STORAGE : status;
        }
    }
    return STATUS_OK;
}

enum status migrate(sqlite3 *db, const struct migration *all, size_t num, int64_t now,
                    struct detail *detail) {
    /* SQLite heeds this outside of a transaction only. */
    enum status status =
        execute(db, "PRAGMA foreign_keys = 0", detail, "cannot prepare the migration");
    if (status == STATUS_OK) {
        status = apply_all(db, all, num, now, detail);
    }
    enum status restored = execute(db, "PRAGMA foreign_keys = 1",
                                   status == STATUS_OK ? detail : NULL, "cannot end the migration");
    return status == STATUS_OK ? restored : status;
}

enum status migrate_check(sqlite3 *db, const struct migration *all, size_t num,
                          struct detail *detail) {
    int64_t mark = 0;
    size_t applied = 0;
    enum status status = read_int(db, "PRAGMA application_id", &mark, detail);
    if (status == STATUS_OK && mark != APPLICATION_ID) {
        status = status_fail(detail, STATUS_CONFLICT, "the database is not a store of Gatehouse");
    }
    if (status == STATUS_OK) {
        status = check_history(db, all, num, &applied, detail);
    }
    if (status == STATUS_OK && applied < num) {
        status = status_fail(detail, STATUS_CONFLICT,
                             "the store is an older version's: start the gateway once");
    }
    return status == STATUS_INTERNAL ? STATUS_STORAGE : status;
}

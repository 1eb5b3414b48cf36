#include "db/sqlite/connection.h"

#include "server/base/encoding.h"

#include <assert.h>
#include <string.h>

enum { READ_WAIT_MS = 50, WRITE_WAIT_MS = 250 };

enum status status_of_sqlite(int rc) {
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STATUS_OK;
    case SQLITE_CONSTRAINT:
        return STATUS_CONFLICT;
    case SQLITE_NOMEM:
        return STATUS_MEMORY;
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
        return STATUS_INTERNAL;
    default: /* BUSY, LOCKED, FULL, IOERR, CORRUPT, NOTADB, READONLY, CANTOPEN, PROTOCOL, ... */
        return STATUS_STORAGE;
    }
}

enum status fail_sqlite(sqlite3 *db, int rc, struct detail *detail, const char *what) {
    return status_fail(detail, status_of_sqlite(rc), "%s: %s (%s)", what, sqlite3_errstr(rc),
                       db == NULL ? "no connection" : sqlite3_errmsg(db));
}

/* No memory map: an unreadable page of one is a SIGBUS, and not a status. */
static const char *const pragmas[] = {
    [ACCESS_READ] = "PRAGMA query_only = 1;"
                    "PRAGMA cache_size = -4096;"
                    "PRAGMA mmap_size = 0;"
                    "PRAGMA cell_size_check = 1;"
                    "PRAGMA trusted_schema = 0;",
    [ACCESS_WRITE] = "PRAGMA journal_mode = WAL;"
                     "PRAGMA synchronous = FULL;"
                     "PRAGMA foreign_keys = 1;"
                     "PRAGMA wal_autocheckpoint = 0;" /* store_checkpoint does it */
                     "PRAGMA journal_size_limit = 67108864;"
                     "PRAGMA temp_store = MEMORY;"
                     "PRAGMA cache_size = -32768;"
                     "PRAGMA mmap_size = 0;"
                     "PRAGMA cell_size_check = 1;"
                     "PRAGMA trusted_schema = 0;",
};

enum status connection_open(sqlite3 **out, const char *path, enum access access,
                            struct detail *detail) {
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE |
                (access == ACCESS_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, flags, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_busy_timeout(db, access == ACCESS_READ ? READ_WAIT_MS : WRITE_WAIT_MS);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, pragmas[access], NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        enum status status = fail_sqlite(db, rc, detail, path);
        (void)sqlite3_close(db);
        return status;
    }
    *out = db;
    return STATUS_OK;
}

enum status connection_init(struct connection *c, const char *path, enum access access,
                            struct detail *detail) {
    struct connection opened = {0};
    enum status status = connection_open(&opened.db, path, access, detail);
    for (int i = 0; i < NUM_STATEMENTS && status == STATUS_OK; i++) {
        int rc = sqlite3_prepare_v3(opened.db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &opened.stmt[i], NULL);
        if (rc != SQLITE_OK) {
            status = fail_sqlite(opened.db, rc, detail, "cannot prepare a statement");
        }
    }
    if (status != STATUS_OK) {
        connection_cleanup(&opened);
        return status;
    }
    *c = opened;
    return STATUS_OK;
}

void connection_cleanup(struct connection *c) {
    for (int i = 0; i < NUM_STATEMENTS; i++) {
        (void)sqlite3_finalize(c->stmt[i]);
    }
    (void)sqlite3_close(c->db);
    *c = (struct connection){0};
}

struct query query_of(struct connection *connection, enum statement statement) {
    return (struct query){
        .connection = connection,
        .stmt = connection->stmt[statement],
        .parameter = 1,
        .status = connection->failed ? STATUS_STORAGE : STATUS_OK,
    };
}

void query_end(struct query *q) {
    (void)sqlite3_reset(q->stmt); /* repeats what the step said */
    (void)sqlite3_clear_bindings(q->stmt);
}

static void keep_first(struct query *q, enum status status) {
    if (q->status == STATUS_OK) {
        q->status = status;
    }
}

static void bound(struct query *q, int rc) {
    keep_first(q, status_of_sqlite(rc));
}

void bind_int(struct query *q, int64_t value) {
    bound(q, sqlite3_bind_int64(q->stmt, q->parameter++, value));
}

void bind_text(struct query *q, const char *value) {
    bound(q, sqlite3_bind_text(q->stmt, q->parameter++, value, -1, SQLITE_STATIC));
}

void bind_blob(struct query *q, struct bytes value) {
    const void *data = value.len == 0 ? "" : (const void *)value.data; /* NULL would bind a NULL */
    bound(q, sqlite3_bind_blob64(q->stmt, q->parameter++, data, value.len, SQLITE_STATIC));
}

void bind_null(struct query *q) {
    bound(q, sqlite3_bind_null(q->stmt, q->parameter++));
}

void bind_sha256(struct query *q, const uint8_t value[static 32]) {
    bind_blob(q, bytes_of(value, 32));
}

void bind_sha256_or_null(struct query *q, const uint8_t value[static 32]) {
    if (bytes_all(bytes_of(value, 32), 0)) {
        bind_null(q);
    } else {
        bind_sha256(q, value);
    }
}

void bind_id(struct query *q, const char *hex) {
    assert(q->num_ids < sizeof q->id / sizeof q->id[0]);
    uint8_t *id = q->id[q->num_ids++];
    if (hex_decode(id, sizeof q->id[0], hex) != STATUS_OK) {
        keep_first(q, STATUS_MALFORMED);
        return;
    }
    bind_blob(q, bytes_of(id, sizeof q->id[0]));
}

void bind_id_or_null(struct query *q, const char *hex) {
    if (hex[0] == '\0') {
        bind_null(q);
    } else {
        bind_id(q, hex);
    }
}

void bind_after(struct query *q, const char *hex) {
    if (hex[0] == '\0') {
        bind_blob(q, (struct bytes){NULL, 0});
    } else {
        bind_id(q, hex);
    }
}

void bind_after_sha256(struct query *q, const char *hex) {
    if (hex[0] == '\0') {
        bind_blob(q, (struct bytes){NULL, 0});
    } else if (hex_decode(q->after_sha256, sizeof q->after_sha256, hex) != STATUS_OK) {
        keep_first(q, STATUS_MALFORMED);
    } else {
        bind_sha256(q, q->after_sha256);
    }
}

enum status query_step(struct query *q) {
    if (!q->connection->in_transaction && !sqlite3_stmt_readonly(q->stmt)) {
        keep_first(q, STATUS_INTERNAL);
    }
    if (q->status != STATUS_OK) {
        return q->status;
    }
    q->column = 0;
    int rc = sqlite3_step(q->stmt);
    if (rc == SQLITE_ROW) {
        return STATUS_OK;
    }
    if (rc == SQLITE_DONE) {
        return STATUS_END;
    }
    q->status = status_of_sqlite(rc);
    /* SQLite may have rolled the transaction back: nothing more goes into it. */
    if (q->connection->in_transaction && q->status != STATUS_CONFLICT) {
        q->connection->failed = true;
    }
    return q->status;
}

enum status query_run(struct query *q) {
    enum status status = query_step(q);
    return status == STATUS_END ? STATUS_OK : status == STATUS_OK ? STATUS_INTERNAL : status;
}

enum status query_run_one(struct query *q) {
    enum status status = query_run(q);
    if (status == STATUS_OK && query_changes(q) == 0) {
        return STATUS_NOT_FOUND;
    }
    return status == STATUS_MALFORMED ? STATUS_NOT_FOUND : status;
}

enum status query_first(struct query *q) {
    enum status status = query_step(q);
    return status == STATUS_END || status == STATUS_MALFORMED ? STATUS_NOT_FOUND : status;
}

int64_t query_changes(const struct query *q) {
    return sqlite3_changes64(q->connection->db);
}

int64_t query_inserted(const struct query *q) {
    return sqlite3_last_insert_rowid(q->connection->db);
}

int64_t column_int(struct query *q) {
    return sqlite3_column_int64(q->stmt, q->column++);
}

bool column_is_null(const struct query *q) {
    return sqlite3_column_type(q->stmt, q->column) == SQLITE_NULL;
}

void column_skip(struct query *q) {
    q->column++;
}

/* The blob or text of the next column. MEMORY is told from empty by SQLite's error code. */
struct bytes column_view(struct query *q) {
    const void *data = sqlite3_column_blob(q->stmt, q->column);
    int len = sqlite3_column_bytes(q->stmt, q->column);
    q->column++;
    if (data == NULL && sqlite3_errcode(q->connection->db) == SQLITE_NOMEM) {
        keep_first(q, STATUS_MEMORY);
    }
    return data == NULL ? (struct bytes){NULL, 0} : bytes_of(data, (size_t)len);
}

void column_text(struct query *q, char *out, size_t size) {
    struct bytes text = column_view(q);
    if (text.len >= size) {
        keep_first(q, STATUS_STORAGE);
        return;
    }
    if (text.len > 0) {
        memcpy(out, text.data, text.len);
    }
    out[text.len] = '\0';
}

void column_id(struct query *q, char out[static STORE_ID]) {
    struct bytes id = column_view(q);
    if (id.len != 0 && id.len != (STORE_ID - 1) / 2) {
        keep_first(q, STATUS_STORAGE);
        return;
    }
    hex_encode(out, id);
}

void column_sha256(struct query *q, uint8_t out[static 32]) {
    struct bytes digest = column_view(q);
    if (digest.len != 0 && digest.len != 32) {
        keep_first(q, STATUS_STORAGE);
    } else if (digest.len == 0) {
        memset(out, 0, 32);
    } else {
        memcpy(out, digest.data, 32);
    }
}

struct bytes column_bytes(struct query *q, struct arena *arena) {
    struct bytes copy = arena_bytes(arena, column_view(q));
    if (arena->overflow) {
        keep_first(q, STATUS_MEMORY);
    }
    return copy;
}

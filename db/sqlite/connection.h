/* One SQLite connection with its prepared statements, and a query on it. A connection belongs to
 * one thread. Error codes of SQLite end here: STORAGE for whatever the disk, a lock or the file
 * did, MEMORY, CONFLICT for a broken constraint, INTERNAL for a mistake of ours. */
#ifndef GATEHOUSE_DB_SQLITE_CONNECTION_H
#define GATEHOUSE_DB_SQLITE_CONNECTION_H

#include "db/sqlite/statements.h"
#include "db/store.h"
#include "server/base/siphash.h"

#include <sqlite3.h>

struct connection {
    sqlite3 *db;
    sqlite3_stmt *stmt[NUM_STATEMENTS];
    bool in_transaction;
    bool failed; /* sticky until the rollback: the disk refused something in this transaction */
    bool has_piece_key; /* once it was read: of log_piece */
    uint8_t piece_key[SIPHASH_KEY];
};

enum status status_of_sqlite(int rc);
/* The status of `rc`, with SQLite's words for it. */
MUST_USE enum status fail_sqlite(sqlite3 *db, int rc, struct detail *detail, const char *what);

enum access { ACCESS_READ, ACCESS_WRITE };
/* Opens and sets it up; does not prepare. STORAGE, MEMORY. */
MUST_USE enum status connection_open(sqlite3 **out, const char *path, enum access access,
                                     struct detail *detail);
/* Opens, sets up and prepares every statement. */
MUST_USE enum status connection_init(struct connection *c, const char *path, enum access access,
                                     struct detail *detail);
void connection_cleanup(struct connection *c); /* zeros are allowed */

/* A statement in use: bind in order, step, read columns in order; query_end is the cleanup. What is
 * bound is not copied: it must outlive the query. */
struct query {
    struct connection *connection;
    sqlite3_stmt *stmt;
    int parameter, column; /* the next of each */
    uint8_t id[8][(STORE_ID - 1) / 2];
    size_t num_ids;
    uint8_t after_sha256[32];
    enum status status; /* the first thing that went wrong with a binding or a column */
};
#define QUERY __attribute__((cleanup(query_end))) struct query

struct query query_of(struct connection *connection, enum statement statement);
void query_end(struct query *q);

void bind_int(struct query *q, int64_t value);
void bind_text(struct query *q, const char *value);
void bind_blob(struct query *q, struct bytes value);
void bind_sha256(struct query *q, const uint8_t value[static 32]);
void bind_sha256_or_null(struct query *q, const uint8_t value[static 32]); /* zeros: NULL */
void bind_id(struct query *q, const char *hex);           /* 32 hex digits, else MALFORMED */
void bind_id_or_null(struct query *q, const char *hex);   /* "": NULL */
void bind_after(struct query *q, const char *hex);        /* "": before all ids */
void bind_after_sha256(struct query *q, const char *hex); /* the same of digests; 64 digits */
void bind_null(struct query *q);

/* OK: a row. END: no more. INTERNAL: a write outside of a transaction. */
MUST_USE enum status query_step(struct query *q);
/* Of a statement that gives no rows: OK when it was carried out. */
MUST_USE enum status query_run(struct query *q);
/* The same, and NOT_FOUND when no row was affected. */
MUST_USE enum status query_run_one(struct query *q);
/* The first row. NOT_FOUND when there is none, or when what was bound cannot name one. */
MUST_USE enum status query_first(struct query *q);
int64_t query_changes(const struct query *q);
int64_t query_inserted(const struct query *q); /* number of the row that was just inserted */

int64_t column_int(struct query *q);
bool column_is_null(const struct query *q);                  /* the next one; does not go past it */
void column_text(struct query *q, char *out, size_t size);   /* must fit, or the file is damaged */
void column_id(struct query *q, char out[static STORE_ID]);  /* NULL: "" */
void column_sha256(struct query *q, uint8_t out[static 32]); /* NULL: zeros */
struct bytes column_bytes(struct query *q, struct arena *arena);
struct bytes column_view(struct query *q); /* lives until the next step */
void column_skip(struct query *q);

#endif

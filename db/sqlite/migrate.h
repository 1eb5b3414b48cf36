/* The schema's history: migrations from db/schema, embedded by the build, applied in order, each in
 * a transaction, and recorded with the checksum of its text. */
#ifndef GATEHOUSE_DB_SQLITE_MIGRATE_H
#define GATEHOUSE_DB_SQLITE_MIGRATE_H

#include "db/sqlite/connection.h"

struct migration {
    int number; /* 1, 2, 3, ... without gaps */
    const char *name;
    const char *sha256; /* of the file, hex */
    const char *sql;
};
extern const struct migration migrations[];
extern const size_t num_migrations;

/* Brings the file behind `db` to the newest schema, with foreign keys off meanwhile, and enforced
 * from then on; what refers to nothing at the end of a migration fails it. CONFLICT when it is no store of ours, when it
 * has a migration that is not in `all`, or one whose text was another; STORAGE. On failure the file
 * is as after the last migration that succeeded. */
MUST_USE enum status migrate(sqlite3 *db, const struct migration *all, size_t num, int64_t now,
                             struct detail *detail);
/* CONFLICT unless the file behind `db` has exactly these migrations; STORAGE. Changes nothing. */
MUST_USE enum status migrate_check(sqlite3 *db, const struct migration *all, size_t num,
                                   struct detail *detail);

#endif

/* What the verbs share: how a reader, the writer and the store look inside. */
#ifndef GATEHOUSE_DB_SQLITE_SQLITE_H
#define GATEHOUSE_DB_SQLITE_SQLITE_H

#include "db/sqlite/connection.h"

struct store {
    char *path;
    sqlite3 *keeper; /* open as long as we are, so that no other connection is ever the last one;
                        NULL when only readers may be */
};

struct store_reader {
    struct connection connection;
};

/* A walk over all logs that marks what pieces they hold, and then over the marks: the pieces that no
 * log holds go. Bounded steps; in memory, and begun anew after a start or a rollback. What is put
 * meanwhile is marked at once. */
enum sweep_phase { SWEEP_REST = 0, SWEEP_MARK, SWEEP_MARK_IMA, SWEEP_REMOVE };
struct piece_sweep {
    enum sweep_phase phase;
    bool wanted;    /* a log went since the walk began */
    int64_t last;   /* pieces numbered higher came later, and are left alone */
    int64_t at;     /* the log, the device, or the piece that was looked at last */
    uint8_t *marks; /* a bit a piece; NULL at rest */
};

struct store_writer {
    struct store_reader reader; /* the same connection */
    struct piece_sweep sweep;
    int lock;      /* descriptor of the file that says: this store has its writer */
    int wal_pages; /* in the write-ahead log, as of the latest commit */
};

static inline struct connection *of_reader(struct store_reader *reader) {
    return &reader->connection;
}
static inline struct connection *of_writer(struct store_writer *writer) {
    return &writer->reader.connection;
}

/* Reads the columns of the row that a query is at. On failure *row may be half filled. */
typedef enum status read_row(struct query *q, struct arena *arena, void *row);

/* All rows of the query, as one array of `size`d rows in the arena. */
MUST_USE enum status rows_read(struct query *q, struct arena *arena, void **rows, size_t *num,
                               size_t size, read_row *read);

#endif

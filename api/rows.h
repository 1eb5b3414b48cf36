/* The rows of an upload, read as they come: NDJSON (one JSON object a line, RFC 8259; every value a
 * text) or CSV (RFC 4180, a header line with the names of the columns). Holds one record at a time.
 *
 * A record that cannot be read is a fault of its own: reading goes on behind the next line end. A
 * byte order mark at the start and empty lines are passed over. Lines end with LF or CR LF; in CSV a
 * quoted field may hold both, and a record then takes several lines: it is known by its first. Not
 * thread-safe: one owner at a time. */
#ifndef GATEHOUSE_API_ROWS_H
#define GATEHOUSE_API_ROWS_H

#include "api/problem.h"

enum rows_format { ROWS_NDJSON, ROWS_CSV };
enum {
    ROWS_RECORD_MAX = 16 * 1024, /* bytes of a line, or of a CSV record's fields */
    ROWS_COLUMNS_MAX = 16
};

struct rows_columns {
    const char *const *name;
    size_t num; /* 1..ROWS_COLUMNS_MAX */
};

/* Lines are counted from 1, each line of the upload, a CSV's header too. False: read no further. */
struct rows_visitor {
    void *context;
    /* value[i] is that of column i, valid UTF-8 without NUL, for the call only; empty when the row
     * has none. */
    bool (*row)(void *context, uint32_t line, const struct bytes *value);
    /* MALFORMED_ROW, ROW_TOO_LONG or UNKNOWN_FIELD. */
    bool (*fault)(void *context, uint32_t line, enum problem_kind kind, const char *detail);
};

struct rows { /* caller-allocated; rows_init before use, rows_cleanup after */
    enum rows_format format;
    struct rows_columns columns;
    const struct rows_visitor *visitor; /* borrowed */
    struct detail *detail;              /* borrowed; may be NULL */
    struct arena arena;                 /* for texts with escapes */
    enum status status;                 /* sticky */
    uint32_t line, first_line;          /* the one that is read; the first of the record */
    unsigned mark;                      /* bytes of a byte order mark seen; more than 3: past it */
    int state;                          /* CSV: between bytes; NDJSON: whether it skips */
    bool quoted;                        /* CSV: a field of this record was */
    bool header;                        /* CSV: was read */
    size_t num_fields, num_header;
    size_t end[ROWS_COLUMNS_MAX]; /* CSV: where each field of the record ends */
    uint8_t column[ROWS_COLUMNS_MAX];
    size_t len;
    uint8_t record[ROWS_RECORD_MAX];
};

/* `detail` says what is wrong with a CSV's header. */
void rows_init(struct rows *rows, enum rows_format format, struct rows_columns columns,
               const struct rows_visitor *visitor, struct detail *detail);
void rows_cleanup(struct rows *rows);
/* OK: all of it was read. END: a visitor said false. MALFORMED: the CSV's first line is no header
 * made of these columns, each at most once. MEMORY. Once not OK it stays so. */
MUST_USE enum status rows_take(struct rows *rows, struct bytes piece);
/* The body is whole: reads a last line that has no end. As rows_take; MALFORMED for a CSV without a
 * header too. */
MUST_USE enum status rows_end(struct rows *rows);

#endif

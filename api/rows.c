#include "api/rows_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const uint8_t byte_order_mark[] = {0xef, 0xbb, 0xbf};
enum { MARK_LEN = sizeof byte_order_mark, PAST_MARK = MARK_LEN + 1 };

void rows_init(struct rows *rows, enum rows_format format, struct rows_columns columns,
               const struct rows_visitor *visitor, struct detail *detail) {
    memset(rows, 0, offsetof(struct rows, record));
    rows->format = format;
    rows->columns = columns;
    rows->visitor = visitor;
    rows->detail = detail;
    rows->line = rows->first_line = 1;
    /* A record's texts are unescaped one by one, each into no more than the record's length. */
    arena_init(&rows->arena, (size_t)2 * ROWS_COLUMNS_MAX * ROWS_RECORD_MAX);
}

void rows_cleanup(struct rows *rows) {
    arena_free(&rows->arena);
}

size_t rows_column(const struct rows *rows, struct bytes name) {
    size_t i = 0;
    while (i < rows->columns.num && !bytes_equal(bytes_of_text(rows->columns.name[i]), name)) {
        i++;
    }
    return i;
}

void rows_found(struct rows *rows, const struct bytes *value) {
    if (!rows->visitor->row(rows->visitor->context, rows->first_line, value)) {
        rows->status = STATUS_END;
    }
}

void rows_fault(struct rows *rows, enum problem_kind kind, const char *format, ...) {
    struct detail detail;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail.text, sizeof detail.text, format, args);
    va_end(args);
    if (!rows->visitor->fault(rows->visitor->context, rows->first_line, kind, detail.text)) {
        rows->status = STATUS_END;
    }
}

void rows_next_record(struct rows *rows) {
    rows->len = rows->num_fields = 0;
    rows->quoted = false;
    rows->first_line = rows->line;
    if (rows->arena.used > 0) {
        arena_free(&rows->arena);
    }
}

static void take(struct rows *rows, struct bytes piece) {
    if (rows->format == ROWS_CSV) {
        csv_take(rows, piece);
    } else {
        ndjson_take(rows, piece);
    }
}

/* What of a byte order mark has come so far was no such thing after all, or is one. */
static void leave_mark(struct rows *rows) {
    unsigned seen = rows->mark;
    rows->mark = PAST_MARK;
    if (seen < MARK_LEN) {
        take(rows, bytes_of(byte_order_mark, seen));
    }
}

/* Passes over a byte order mark, which may come in pieces. */
static void skip_mark(struct rows *rows, struct bytes *piece) {
    struct bytes rest = *piece, skipped;
    while (rows->mark < MARK_LEN && rest.len > 0 && rest.data[0] == byte_order_mark[rows->mark]) {
        rows->mark++;
        (void)!bytes_take(&rest, 1, &skipped);
    }
    *piece = rest;
    if (rest.len > 0 || rows->mark == MARK_LEN) {
        leave_mark(rows);
    }
}

enum status rows_take(struct rows *rows, struct bytes piece) {
    if (rows->mark != PAST_MARK) {
        skip_mark(rows, &piece);
    }
    if (rows->status == STATUS_OK && piece.len > 0) {
        take(rows, piece);
    }
    return rows->status;
}

enum status rows_end(struct rows *rows) {
    if (rows->mark != PAST_MARK) {
        leave_mark(rows);
    }
    if (rows->status == STATUS_OK && rows->format == ROWS_CSV) {
        csv_end(rows);
    } else if (rows->status == STATUS_OK) {
        ndjson_end(rows);
    }
    return rows->status;
}

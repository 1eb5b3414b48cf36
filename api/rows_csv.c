#include "api/rows_internal.h"
#include "server/base/encoding.h"

#include <string.h>

/* Where the reader is between two bytes. */
enum {
    FIELD_BEGINS,
    IN_FIELD,
    IN_QUOTES,
    AFTER_QUOTE, /* the field's end, or the first of two that stand for one */
    AFTER_CR,
    SKIPPING /* to the end of the line, after a fault */
};

/* The fault of a header is one of the whole upload. */
static void refuse(struct rows *rows, enum problem_kind kind, const char *why) {
    rows->state = SKIPPING;
    if (rows->header) {
        rows_fault(rows, kind, "%s", why);
    } else {
        rows->status = status_fail(rows->detail, STATUS_MALFORMED, "the header: %s", why);
    }
}

static void keep(struct rows *rows, uint8_t c) {
    if (rows->len == ROWS_RECORD_MAX) {
        refuse(rows, PROBLEM_ROW_TOO_LONG, "a row takes at most 16384 bytes");
        return;
    }
    rows->record[rows->len++] = c;
}

static void end_field(struct rows *rows) {
    if (rows->num_fields == ROWS_COLUMNS_MAX) {
        refuse(rows, PROBLEM_MALFORMED_ROW, "too many fields");
        return;
    }
    rows->end[rows->num_fields++] = rows->len;
    rows->state = FIELD_BEGINS;
}

static struct bytes field_of(const struct rows *rows, size_t i) {
    size_t begin = i == 0 ? 0 : rows->end[i - 1];
    return bytes_of(rows->record + begin, rows->end[i] - begin);
}

static void read_header(struct rows *rows) {
    unsigned seen = 0;
    for (size_t i = 0; i < rows->num_fields; i++) {
        struct bytes name = field_of(rows, i);
        size_t column = rows_column(rows, name);
        if (column == rows->columns.num || (seen & 1u << column) != 0) {
            rows->status = status_fail(rows->detail, STATUS_MALFORMED, "the header: \"%.*s\" %s",
                                       name.len < 64 ? (int)name.len : 64, (const char *)name.data,
                                       column == rows->columns.num ? "is no column that is known"
                                                                   : "stands twice");
            return;
        }
        seen |= 1u << column;
        rows->column[i] = (uint8_t)column;
    }
    rows->num_header = rows->num_fields;
    rows->header = true;
}

static void read_row(struct rows *rows) {
    struct bytes value[ROWS_COLUMNS_MAX] = {{0}};
    if (rows->num_fields != rows->num_header) {
        rows_fault(rows, PROBLEM_MALFORMED_ROW, "%zu fields, and the header has %zu",
                   rows->num_fields, rows->num_header);
        return;
    }
    for (size_t i = 0; i < rows->num_fields; i++) {
        struct bytes field = field_of(rows, i);
        if (!utf8_is_valid(field)) {
            rows_fault(rows, PROBLEM_MALFORMED_ROW, "%s is not UTF-8",
                       rows->columns.name[rows->column[i]]);
            return;
        }
        value[rows->column[i]] = field;
    }
    rows_found(rows, value);
}

/* At a line's end, or the upload's. */
static void end_record(struct rows *rows) {
    end_field(rows);
    bool blank = rows->num_fields == 1 && rows->len == 0 && !rows->quoted;
    if (rows->state == SKIPPING || blank) {
        return;
    }
    if (rows->header) {
        read_row(rows);
    } else {
        read_header(rows);
    }
}

/* A byte outside of quotes. */
static void plain(struct rows *rows, uint8_t c) {
    if (c == ',') {
        end_field(rows);
    } else if (c == '\r') {
        rows->state = AFTER_CR;
    } else if (rows->state == AFTER_QUOTE) {
        refuse(rows, PROBLEM_MALFORMED_ROW, "something follows a closing quote");
    } else if (c == '"' && rows->state == FIELD_BEGINS) {
        rows->state = IN_QUOTES;
        rows->quoted = true;
    } else if (c == '"') {
        refuse(rows, PROBLEM_MALFORMED_ROW, "a quote within a field that does not begin with one");
    } else {
        rows->state = IN_FIELD;
        keep(rows, c);
    }
}

static void take_byte(struct rows *rows, uint8_t c) {
    switch (rows->state) {
    case SKIPPING:
        break;
    case IN_QUOTES:
        if (c == '"') {
            rows->state = AFTER_QUOTE;
        } else {
            keep(rows, c);
        }
        break;
    case AFTER_QUOTE:
        if (c == '"') {
            rows->state = IN_QUOTES;
            keep(rows, c);
        } else {
            plain(rows, c);
        }
        break;
    case AFTER_CR:
        refuse(rows, PROBLEM_MALFORMED_ROW, "a carriage return that ends no line");
        break;
    default:
        plain(rows, c);
    }
}

void csv_take(struct rows *rows, struct bytes piece) {
    for (size_t i = 0; i < piece.len && rows->status == STATUS_OK; i++) {
        uint8_t c = piece.data[i];
        if (c == '\n' && rows->state != IN_QUOTES) {
            if (rows->state != SKIPPING) {
                end_record(rows);
            }
            rows->line++;
            rows->state = FIELD_BEGINS;
            rows_next_record(rows);
            continue;
        }
        take_byte(rows, c);
        rows->line += c == '\n';
    }
}

void csv_end(struct rows *rows) {
    if (rows->state == IN_QUOTES || rows->state == AFTER_CR) {
        refuse(rows, PROBLEM_MALFORMED_ROW,
               rows->state == IN_QUOTES ? "a quote that does not end"
                                        : "a carriage return that ends no line");
    } else if (rows->state != SKIPPING) {
        end_record(rows);
    }
    if (rows->status == STATUS_OK && !rows->header) {
        rows->status = status_fail(rows->detail, STATUS_MALFORMED, "there is no header");
    }
}

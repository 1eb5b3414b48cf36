#include "api/json_reader.h"
#include "api/rows_internal.h"
#include "server/base/encoding.h"

#include <string.h>

enum { READING, SKIPPING };

/* What the reader of JSON leaves to others: UTF-8, and no control character within a string. */
static bool is_clean(struct bytes line) {
    bool inside = false;
    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.data[i];
        if (inside && c == '\\') {
            i++;
        } else if (c == '"') {
            inside = !inside;
        } else if (inside && c < 0x20) {
            return false;
        }
    }
    return utf8_is_valid(line);
}

static bool is_blank(struct bytes line) {
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r') {
            return false;
        }
    }
    return true;
}

/* One member of the object. False: it was a fault. */
static bool read_member(struct rows *rows, struct json_reader *reader, struct bytes key,
                        struct bytes *value) {
    size_t column = rows_column(rows, key);
    if (column == rows->columns.num) {
        rows_fault(rows, PROBLEM_UNKNOWN_FIELD, "\"%.*s\" is not known",
                   key.len < 64 ? (int)key.len : 64, (const char *)key.data);
        return false;
    }
    const char *name = rows->columns.name[column];
    if (value[column].data != NULL) {
        rows_fault(rows, PROBLEM_MALFORMED_ROW, "%s stands twice", name);
        return false;
    }
    enum json_kind kind = json_reader_peek(reader);
    if (kind != JSON_IS_STRING) {
        rows_fault(rows, PROBLEM_MALFORMED_ROW, "%s is not a text", name);
        return false;
    }
    enum status status = json_reader_string(reader, &value[column]);
    if (status != STATUS_OK) {
        rows->status = status == STATUS_MEMORY ? STATUS_MEMORY : rows->status;
        if (status != STATUS_MEMORY) {
            rows_fault(rows, PROBLEM_MALFORMED_ROW, "%s is not a text of JSON", name);
        }
        return false;
    }
    return true;
}

static void read_object(struct rows *rows, struct bytes line) {
    struct bytes value[ROWS_COLUMNS_MAX] = {{0}}, key;
    struct json_reader reader = json_reader_of(line, &rows->arena);
    enum status status = json_reader_enter(&reader);
    unsigned num = 0;
    while (status == STATUS_OK) {
        status = json_reader_next(&reader, &num, &key);
        if (status == STATUS_OK && !read_member(rows, &reader, key, value)) {
            return;
        }
    }
    if (status == STATUS_MEMORY) {
        rows->status = status;
    } else if (status != STATUS_END || !json_reader_at_end(&reader)) {
        rows_fault(rows, PROBLEM_MALFORMED_ROW, "not a JSON object, at byte %zu",
                   json_reader_offset(&reader));
    } else {
        rows_found(rows, value);
    }
}

static void read_line(struct rows *rows) {
    struct bytes line = bytes_of(rows->record, rows->len);
    if (is_blank(line)) {
        return;
    }
    if (!is_clean(line)) {
        rows_fault(rows, PROBLEM_MALFORMED_ROW, "not UTF-8, or a control character in a text");
        return;
    }
    read_object(rows, line);
}

/* Part of a line; too much of one is a fault, and the rest of it is passed over. */
static void keep(struct rows *rows, struct bytes part) {
    if (rows->state == SKIPPING || part.len == 0) {
        return;
    }
    if (part.len > ROWS_RECORD_MAX - rows->len) {
        rows->state = SKIPPING;
        rows_fault(rows, PROBLEM_ROW_TOO_LONG, "a row takes at most %d bytes", ROWS_RECORD_MAX);
        return;
    }
    memcpy(rows->record + rows->len, part.data, part.len);
    rows->len += part.len;
}

void ndjson_end(struct rows *rows) {
    if (rows->state == READING) {
        read_line(rows);
    }
    rows->state = READING;
}

void ndjson_take(struct rows *rows, struct bytes piece) {
    while (piece.len > 0 && rows->status == STATUS_OK) {
        const uint8_t *end = memchr(piece.data, '\n', piece.len);
        struct bytes part = piece, line_end;
        if (end == NULL) {
            keep(rows, piece);
            return;
        }
        (void)!bytes_take(&piece, (size_t)(end - piece.data), &part);
        (void)!bytes_take(&piece, 1, &line_end);
        keep(rows, part);
        if (rows->status == STATUS_OK) {
            ndjson_end(rows);
        }
        rows->line++;
        rows_next_record(rows);
    }
}

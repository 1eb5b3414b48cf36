/* Rows of an upload, and what they announce. The first byte is the format, the second how the body
 * is cut; whatever the pieces, the same rows and faults are seen. */
#include "api/admin/registration.h"
#include "server/base/encoding.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

/* All that was seen, as one number. */
struct seen {
    uint64_t sum;
    uint32_t line;
};

static void mix(struct seen *seen, const void *data, size_t len) {
    const uint8_t *at = data;
    for (size_t i = 0; i < len; i++) {
        seen->sum = (seen->sum ^ at[i]) * 1099511628211u;
    }
}

static void mix_number(struct seen *seen, uint64_t number) {
    mix(seen, &number, sizeof number);
}

static void begin(struct seen *seen, uint32_t line) {
    hold(line > seen->line); /* rows come in order */
    seen->line = line;
    mix_number(seen, line);
}

static bool see_row(void *context, uint32_t line, const struct bytes *value) {
    struct seen *seen = context;
    struct registration registration;
    struct detail detail = {0};
    begin(seen, line);
    for (size_t i = 0; i < registration_columns.num; i++) {
        hold(value[i].len <= ROWS_RECORD_MAX && utf8_is_valid(value[i]));
        mix_number(seen, value[i].len);
        mix(seen, value[i].data, value[i].len);
    }
    enum problem_kind kind = registration_read(&registration, value, "", &detail);
    mix_number(seen, kind);
    if (kind != NUM_PROBLEMS) {
        hold(detail.text[0] != '\0' && problem_entry(kind)->status < 500);
        return true;
    }
    struct device_row row;
    registration_row(&row, &registration, "0123456789abcdef0123456789abcdef", 1);
    uint8_t id[16];
    hold(hex_decode(id, sizeof id, row.id) == STATUS_OK);
    hold(row.model[0] != '\0' && strlen(row.note) == value[COLUMN_NOTE].len);
    mix(seen, id, sizeof id);
    return true;
}

static bool see_fault(void *context, uint32_t line, enum problem_kind kind, const char *detail) {
    struct seen *seen = context;
    begin(seen, line);
    hold(kind == PROBLEM_MALFORMED_ROW || kind == PROBLEM_ROW_TOO_LONG ||
         kind == PROBLEM_UNKNOWN_FIELD);
    hold(detail[0] != '\0');
    mix_number(seen, kind);
    return true;
}

static enum status read_in_pieces(struct seen *seen, enum rows_format format, struct bytes body,
                                  size_t piece) {
    static struct rows rows;
    struct rows_visitor visitor = {seen, see_row, see_fault};
    struct detail detail = {0};
    enum status status = STATUS_OK;
    rows_init(&rows, format, registration_columns, &visitor, &detail);
    while (body.len > 0 && status == STATUS_OK) {
        struct bytes next;
        hold(bytes_take(&body, piece < body.len ? piece : body.len, &next) == STATUS_OK);
        status = rows_take(&rows, next);
    }
    if (status == STATUS_OK) {
        status = rows_end(&rows);
    }
    rows_cleanup(&rows);
    hold(status == STATUS_OK || (status == STATUS_MALFORMED && format == ROWS_CSV));
    hold((status == STATUS_MALFORMED) == (detail.text[0] != '\0'));
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    enum rows_format format = data[0] % 2 == 0 ? ROWS_NDJSON : ROWS_CSV;
    struct bytes body = bytes_of(data + 2, size - 2);
    struct seen whole = {0}, cut = {0};
    enum status status = read_in_pieces(&whole, format, body, size);
    hold(read_in_pieces(&cut, format, body, (size_t)data[1] + 1) == status);
    hold(whole.sum == cut.sum);
    return 0;
}

/* Boot states, and which device is in which. */
#include "db/sqlite/boot.h"

#include <string.h>

void bind_num_or_null(struct query *q, int64_t num) {
    if (num == 0) {
        bind_null(q);
    } else {
        bind_int(q, num);
    }
}

static bool is_zeros(const uint8_t sha256[static 32]) {
    return bytes_all(bytes_of(sha256, 32), 0);
}

static enum status find_state(struct connection *c, int64_t *out, const uint8_t sha256[static 32]) {
    QUERY q = query_of(c, SQL_BOOT_STATE_GET);
    bind_sha256(&q, sha256);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        *out = column_int(&q);
    }
    return status;
}

enum status store_boot_state_put(struct store_writer *writer, const struct boot_state_row *row,
                                 const struct bytes *piece, size_t num_pieces) {
    int64_t num = 0, log = 0;
    enum status status = find_state(of_writer(writer), &num, row->sha256);
    if (status != STATUS_NOT_FOUND) {
        return status;
    }
    status = STATUS_OK;
    if (!is_zeros(row->log_sha256)) {
        status = boot_log_put(writer, &log, row->log_sha256, piece, num_pieces);
    }
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_BOOT_STATE_INSERT);
    bind_sha256(&q, row->sha256);
    bind_num_or_null(&q, log);
    bind_blob(&q, row->form);
    return query_run(&q);
}

/* The row, and the log's size and runs; a log that is not there is damage. */
static enum status read_state(struct query *q, struct arena *arena, struct boot_state_row *out,
                              int64_t *size, struct bytes *runs) {
    column_skip(q);
    out->form = column_bytes(q, arena);
    bool has_log = !column_is_null(q);
    column_skip(q);
    bool found = !column_is_null(q);
    column_sha256(q, out->log_sha256);
    *size = column_int(q);
    *runs = column_bytes(q, arena);
    return q->status == STATUS_OK && has_log != found ? STATUS_STORAGE : q->status;
}

static enum status get_state(struct store_reader *reader, struct arena *arena,
                             struct boot_state_row *out, struct bytes *log) {
    QUERY q = query_of(of_reader(reader), SQL_BOOT_STATE_GET);
    int64_t size = 0;
    struct bytes runs = {NULL, 0};
    bind_sha256(&q, out->sha256);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_state(&q, arena, out, &size, &runs);
    }
    if (status != STATUS_OK || log == NULL) {
        return status;
    }
    *log = (struct bytes){NULL, 0};
    return is_zeros(out->log_sha256) ? STATUS_OK : boot_log_join(reader, arena, log, runs, size);
}

/* Several statements see one store. True: read_end is due. */
static enum status read_begin(struct store_reader *reader, bool *begun) {
    *begun = sqlite3_get_autocommit(of_reader(reader)->db) != 0;
    return *begun ? store_read_begin(reader) : STATUS_OK;
}

static void read_end(struct store_reader *reader, bool begun) {
    if (begun) {
        store_read_end(reader);
    }
}

enum status store_boot_state_get(struct store_reader *reader, struct arena *arena,
                                 struct boot_state_row *out, struct bytes *log,
                                 const uint8_t sha256[static 32]) {
    struct boot_state_row row = {0};
    struct bytes joined;
    bool begun;
    memcpy(row.sha256, sha256, sizeof row.sha256);
    enum status status = read_begin(reader, &begun);
    if (status != STATUS_OK) {
        return status;
    }
    status = get_state(reader, arena, &row, log == NULL ? NULL : &joined);
    read_end(reader, begun);
    if (status == STATUS_OK) {
        *out = row;
        if (log != NULL) {
            *log = joined;
        }
    }
    return status;
}

static enum status get_device_log(struct store_reader *reader, struct arena *arena,
                                  struct bytes *out, const char *device_id,
                                  const uint8_t log_sha256[static 32]) {
    QUERY q = query_of(of_reader(reader), SQL_BOOT_LOG_OF_DEVICE);
    bind_id(&q, device_id);
    bind_sha256(&q, log_sha256);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status;
    }
    int64_t size = column_int(&q);
    struct bytes runs = column_view(&q);
    return q.status == STATUS_OK ? boot_log_join(reader, arena, out, runs, size) : q.status;
}

enum status store_device_log_get(struct store_reader *reader, struct arena *arena,
                                 struct bytes *out, const char *device_id,
                                 const uint8_t log_sha256[static 32]) {
    bool begun;
    enum status status = read_begin(reader, &begun);
    if (status == STATUS_OK) {
        status = get_device_log(reader, arena, out, device_id, log_sha256);
        read_end(reader, begun);
    }
    return status;
}

/* --- devices --- */

enum status store_device_boot_get(struct store_reader *reader, struct device_boot_row *out,
                                  const char *device_id) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_BOOT_GET);
    struct device_boot_row row = {0};
    bind_id(&q, device_id);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status;
    }
    column_id(&q, row.device_id);
    column_sha256(&q, row.boot_state);
    column_sha256(&q, row.trusted);
    row.since = column_int(&q);
    column_sha256(&q, row.log_sha256);
    if (q.status == STATUS_OK) {
        *out = row;
    }
    return q.status;
}

enum status device_boot_now(struct store_writer *writer, int64_t *out, const char *device_id,
                            const uint8_t boot_state[static 32]) {
    if (is_zeros(boot_state)) {
        *out = 0;
        return STATUS_OK;
    }
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_BOOT_NOW);
    bind_id(&q, device_id);
    bind_sha256(&q, boot_state);
    enum status status = query_step(&q);
    if (status == STATUS_OK) {
        *out = column_int(&q);
    }
    return status == STATUS_END ? STATUS_CONFLICT : status;
}

/* NOT_FOUND is CONFLICT here: the row refers to what is not there. 0 for zeros. */
static enum status state_number(struct store_writer *writer, int64_t *out,
                                const uint8_t sha256[static 32]) {
    *out = 0;
    if (is_zeros(sha256)) {
        return STATUS_OK;
    }
    enum status status = find_state(of_writer(writer), out, sha256);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

enum status store_device_boot_put(struct store_writer *writer, const struct device_boot_row *row) {
    int64_t boot_state, trusted;
    enum status status = state_number(writer, &boot_state, row->boot_state);
    if (status == STATUS_OK) {
        status = state_number(writer, &trusted, row->trusted);
    }
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_BOOT_PUT);
    bind_id(&q, row->device_id);
    bind_num_or_null(&q, boot_state); /* NULL is refused: CONFLICT */
    bind_num_or_null(&q, trusted);
    bind_int(&q, row->since);
    status = query_run(&q);
    if (status == STATUS_OK && query_changes(&q) == 0) { /* as it was, or nobody's */
        enum device_state state;
        return store_device_state(&writer->reader, &state, row->device_id);
    }
    return status;
}

static enum status visit_row(struct query *q, store_device_boot_visit *visit, void *context,
                             bool *go_on) {
    struct device_boot_view row = {0};
    column_id(q, row.device_id);
    row.state = (enum device_state)column_int(q);
    row.verdict = (int)column_int(q);
    row.tier = (int)column_int(q);
    column_sha256(q, row.boot_state);
    *go_on = q->status == STATUS_OK && visit(context, &row);
    return q->status;
}

enum status store_device_boot_walk(struct store_reader *reader, const char *model,
                                   struct store_page page, store_device_boot_visit *visit,
                                   void *context) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_BOOT_WALK);
    bind_text(&q, model);
    bind_after(&q, page.after);
    bind_int(&q, page.limit);
    enum status status;
    bool go_on = true;
    while (go_on && (status = query_step(&q)) == STATUS_OK) {
        status = visit_row(&q, visit, context, &go_on);
    }
    return status == STATUS_END ? STATUS_OK : status;
}

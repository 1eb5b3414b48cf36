#include "db/sqlite/sqlite.h"

static enum status read_anchor(struct query *q, struct arena *arena, void *out) {
    struct anchor_row *row = out;
    column_text(q, row->model, sizeof row->model);
    row->purpose = (enum anchor_purpose)column_int(q);
    column_sha256(q, row->sha256);
    row->is_anchor = column_int(q) != 0;
    column_text(q, row->subject, sizeof row->subject);
    row->not_after = column_int(q);
    row->added = column_int(q);
    column_text(q, row->added_by, sizeof row->added_by);
    row->der = column_bytes(q, arena);
    return q->status;
}

enum status store_anchor_list(struct store_reader *reader, struct arena *arena,
                              struct anchor_row **out, size_t *num, const char *model,
                              enum anchor_purpose purpose, struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_ANCHOR_LIST);
    bind_text(&q, model);
    bind_int(&q, purpose);
    bind_after_sha256(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_anchor);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_anchor_all(struct store_reader *reader, struct arena *arena,
                             struct anchor_row **out, size_t *num) {
    QUERY q = query_of(of_reader(reader), SQL_ANCHOR_ALL);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_anchor);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_anchor_insert(struct store_writer *writer, const struct anchor_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_ANCHOR_INSERT);
    bind_text(&q, row->model);
    bind_int(&q, row->purpose);
    bind_sha256(&q, row->sha256);
    bind_int(&q, row->is_anchor ? 1 : 0);
    bind_text(&q, row->subject);
    bind_int(&q, row->not_after);
    bind_int(&q, row->added);
    bind_text(&q, row->added_by);
    bind_blob(&q, row->der);
    return query_run(&q);
}

enum status store_anchor_delete(struct store_writer *writer, const char *model,
                                enum anchor_purpose purpose, const uint8_t sha256[static 32]) {
    QUERY q = query_of(of_writer(writer), SQL_ANCHOR_DELETE);
    bind_text(&q, model);
    bind_int(&q, purpose);
    bind_sha256(&q, sha256);
    return query_run_one(&q);
}

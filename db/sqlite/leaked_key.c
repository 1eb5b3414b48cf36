#include "db/sqlite/sqlite.h"

static enum status read_leaked_key(struct query *q, struct arena *arena, void *out) {
    struct leaked_key_row *row = out;
    (void)arena;
    column_sha256(q, row->sha256);
    column_text(q, row->subject, sizeof row->subject);
    column_text(q, row->source, sizeof row->source);
    row->added = column_int(q);
    column_text(q, row->added_by, sizeof row->added_by);
    return q->status;
}

enum status store_leaked_key_list(struct store_reader *reader, struct arena *arena,
                                  struct leaked_key_row **out, size_t *num,
                                  struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_LEAKED_KEY_LIST);
    bind_after_sha256(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_leaked_key);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_leaked_key_get(struct store_reader *reader, struct leaked_key_row *out,
                                 const uint8_t sha256[static 32]) {
    QUERY q = query_of(of_reader(reader), SQL_LEAKED_KEY_GET);
    bind_sha256(&q, sha256);
    struct leaked_key_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_leaked_key(&q, NULL, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_leaked_key_insert(struct store_writer *writer, const struct leaked_key_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_LEAKED_KEY_INSERT);
    bind_sha256(&q, row->sha256);
    bind_text(&q, row->subject);
    bind_text(&q, row->source);
    bind_int(&q, row->added);
    bind_text(&q, row->added_by);
    return query_run(&q);
}

enum status store_leaked_key_delete(struct store_writer *writer, const uint8_t sha256[static 32]) {
    QUERY q = query_of(of_writer(writer), SQL_LEAKED_KEY_DELETE);
    bind_sha256(&q, sha256);
    return query_run_one(&q);
}

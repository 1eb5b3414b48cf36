#include "db/sqlite/sqlite.h"

static enum status read_audit(struct query *q, struct arena *arena, void *out) {
    struct audit_row *row = out;
    row->seq = column_int(q);
    row->time_ms = column_int(q);
    column_text(q, row->actor, sizeof row->actor);
    column_text(q, row->action, sizeof row->action);
    column_text(q, row->object, sizeof row->object);
    row->before = column_bytes(q, arena);
    row->after = column_bytes(q, arena);
    column_text(q, row->request_id, sizeof row->request_id);
    return q->status;
}

enum status store_audit_append(struct store_writer *writer, const struct audit_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_AUDIT_APPEND);
    bind_int(&q, row->time_ms);
    bind_text(&q, row->actor);
    bind_text(&q, row->action);
    bind_text(&q, row->object);
    bind_blob(&q, row->before);
    bind_blob(&q, row->after);
    bind_text(&q, row->request_id);
    return query_run(&q);
}

enum status store_audit_list(struct store_reader *reader, struct arena *arena,
                             struct audit_row **out, size_t *num, int64_t after_seq,
                             unsigned limit) {
    QUERY q = query_of(of_reader(reader), SQL_AUDIT_LIST);
    bind_int(&q, after_seq);
    bind_int(&q, limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_audit);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

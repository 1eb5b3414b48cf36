#include "db/sqlite/sqlite.h"

/* All but the document. */
static enum status read_head(struct query *q, struct arena *arena, void *out) {
    struct baseline_row *row = out;
    (void)arena;
    column_id(q, row->id);
    column_text(q, row->model, sizeof row->model);
    column_text(q, row->label, sizeof row->label);
    row->state = (enum baseline_state)column_int(q);
    column_sha256(q, row->document_sha256);
    column_text(q, row->created_by, sizeof row->created_by);
    column_text(q, row->updated_by, sizeof row->updated_by);
    column_text(q, row->activated_by, sizeof row->activated_by);
    row->created = column_int(q);
    row->updated = column_int(q);
    row->activated = column_int(q);
    row->retired = column_int(q);
    row->version = column_int(q);
    return q->status;
}

static enum status read_baseline(struct query *q, struct arena *arena, void *out) {
    struct baseline_row *row = out;
    if (read_head(q, arena, out) == STATUS_OK) {
        row->document = column_bytes(q, arena);
    }
    return q->status;
}

enum status store_baseline_get(struct store_reader *reader, struct arena *arena,
                               struct baseline_row *out, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_GET);
    bind_id(&q, id);
    struct baseline_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_baseline(&q, arena, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_baseline_list(struct store_reader *reader, struct arena *arena,
                                struct baseline_row **out, size_t *num, const char *model,
                                struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_LIST);
    bind_text(&q, model);
    bind_after(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_baseline);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_baseline_in_force(struct store_reader *reader, struct arena *arena,
                                    struct baseline_row **out, size_t *num) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_IN_FORCE);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_head);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_baseline_insert(struct store_writer *writer, const struct baseline_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_INSERT);
    bind_id(&q, row->id);
    bind_text(&q, row->model);
    bind_text(&q, row->label);
    bind_int(&q, row->state);
    bind_sha256(&q, row->document_sha256);
    bind_text(&q, row->created_by);
    bind_text(&q, row->updated_by);
    bind_text(&q, row->activated_by);
    bind_int(&q, row->created);
    bind_int(&q, row->updated);
    bind_int(&q, row->activated);
    bind_int(&q, row->retired);
    bind_blob(&q, row->document);
    return query_run(&q);
}

static enum status baseline_state(struct store_writer *writer, enum baseline_state *out,
                                  const char *id) {
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_STATE);
    bind_id(&q, id);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        *out = (enum baseline_state)column_int(&q);
    }
    return status;
}

enum status store_baseline_update(struct store_writer *writer, const struct baseline_row *row) {
    enum baseline_state state;
    enum status status = baseline_state(writer, &state, row->id);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_UPDATE);
    bind_id(&q, row->id);
    bind_int(&q, row->version);
    bind_text(&q, row->label);
    bind_int(&q, row->state);
    bind_sha256(&q, row->document_sha256);
    bind_text(&q, row->updated_by);
    bind_text(&q, row->activated_by);
    bind_int(&q, row->updated);
    bind_int(&q, row->activated);
    bind_int(&q, row->retired);
    bind_blob(&q, row->document);
    status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

enum status store_baseline_delete(struct store_writer *writer, const char *id) {
    enum baseline_state state;
    enum status status = baseline_state(writer, &state, id);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_DELETE);
    bind_id(&q, id);
    status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

#include "db/sqlite/sqlite.h"

static enum status read_signer(struct query *q, struct arena *arena, void *out) {
    struct baseline_signer_row *row = out;
    column_text(q, row->model, sizeof row->model);
    column_sha256(q, row->key_sha256);
    column_text(q, row->name, sizeof row->name);
    column_text(q, row->algorithm, sizeof row->algorithm);
    row->added = column_int(q);
    column_text(q, row->added_by, sizeof row->added_by);
    row->public_key = column_bytes(q, arena);
    return q->status;
}

enum status store_baseline_signer_list(struct store_reader *reader, struct arena *arena,
                                       struct baseline_signer_row **out, size_t *num,
                                       const char *model, struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_SIGNER_LIST);
    bind_text(&q, model);
    bind_after_sha256(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_signer);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_baseline_signer_insert(struct store_writer *writer,
                                         const struct baseline_signer_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_SIGNER_INSERT);
    bind_text(&q, row->model);
    bind_sha256(&q, row->key_sha256);
    bind_text(&q, row->name);
    bind_text(&q, row->algorithm);
    bind_int(&q, row->added);
    bind_text(&q, row->added_by);
    bind_blob(&q, row->public_key);
    return query_run(&q);
}

enum status store_baseline_signer_delete(struct store_writer *writer, const char *model,
                                         const uint8_t key_sha256[static 32]) {
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_SIGNER_DELETE);
    bind_text(&q, model);
    bind_sha256(&q, key_sha256);
    return query_run_one(&q);
}

static enum status read_signature(struct query *q, struct arena *arena, void *out) {
    struct baseline_signature_row *row = out;
    column_id(q, row->baseline_id);
    column_sha256(q, row->key_sha256);
    column_sha256(q, row->document_sha256);
    row->added = column_int(q);
    column_text(q, row->added_by, sizeof row->added_by);
    row->signature = column_bytes(q, arena);
    return q->status;
}

enum status store_baseline_signature_list(struct store_reader *reader, struct arena *arena,
                                          struct baseline_signature_row **out, size_t *num,
                                          const char *baseline_id) {
    QUERY q = query_of(of_reader(reader), SQL_BASELINE_SIGNATURE_LIST);
    bind_id(&q, baseline_id);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_signature);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_baseline_signature_put(struct store_writer *writer,
                                         const struct baseline_signature_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_BASELINE_SIGNATURE_PUT);
    bind_id(&q, row->baseline_id);
    bind_sha256(&q, row->key_sha256);
    bind_sha256(&q, row->document_sha256);
    bind_int(&q, row->added);
    bind_text(&q, row->added_by);
    bind_blob(&q, row->signature);
    return query_run(&q);
}

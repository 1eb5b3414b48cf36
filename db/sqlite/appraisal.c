#include "db/sqlite/boot.h"

static enum status read_appraisal(struct query *q, struct arena *arena, void *out) {
    struct appraisal_row *row = out;
    column_id(q, row->id);
    column_id(q, row->device_id);
    column_text(q, row->model, sizeof row->model);
    column_id(q, row->baseline_id);
    row->verdict = (int)column_int(q);
    row->tier = (int)column_int(q);
    column_text(q, row->failure, sizeof row->failure);
    row->created_ms = column_int(q);
    row->findings = column_bytes(q, arena);
    row->facts = column_bytes(q, arena);
    row->key_protection = (enum key_protection)column_int(q);
    column_text(q, row->segment, sizeof row->segment);
    column_id(q, row->reappraisal_id);
    column_sha256(q, row->boot_state);
    return q->status;
}

enum status store_appraisal_get(struct store_reader *reader, struct arena *arena,
                                struct appraisal_row *out, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_APPRAISAL_GET);
    bind_id(&q, id);
    struct appraisal_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_appraisal(&q, arena, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_appraisal_list(struct store_reader *reader, struct arena *arena,
                                 struct appraisal_row **out, size_t *num, const char *device_id,
                                 struct store_page page) {
    bool from_start = page.after[0] == '\0';
    QUERY q =
        query_of(of_reader(reader), from_start ? SQL_APPRAISAL_LIST : SQL_APPRAISAL_LIST_AFTER);
    bind_id(&q, device_id);
    if (!from_start) {
        bind_id(&q, page.after);
    }
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_appraisal);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_appraisal_insert(struct store_writer *writer, const struct appraisal_row *row,
                                   unsigned keep) {
    int64_t boot_state = 0;
    enum status status = device_boot_now(writer, &boot_state, row->device_id, row->boot_state);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_APPRAISAL_INSERT);
    bind_id(&q, row->id);
    bind_id(&q, row->device_id);
    bind_text(&q, row->model);
    bind_id_or_null(&q, row->baseline_id);
    bind_int(&q, row->verdict);
    bind_int(&q, row->tier);
    bind_text(&q, row->failure);
    bind_int(&q, row->created_ms);
    bind_blob(&q, row->findings);
    bind_blob(&q, row->facts);
    bind_int(&q, row->key_protection);
    bind_text(&q, row->segment);
    bind_id_or_null(&q, row->reappraisal_id);
    bind_num_or_null(&q, boot_state);
    status = query_run(&q);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY prune = query_of(of_writer(writer), SQL_APPRAISAL_PRUNE);
    bind_id(&prune, row->device_id);
    bind_id(&prune, row->id);
    bind_int(&prune, keep);
    return query_run(&prune);
}

#include "db/sqlite/sqlite.h"

static enum status read_model(struct query *q, struct arena *arena, void *out) {
    struct model_row *row = out;
    (void)arena;
    column_text(q, row->name, sizeof row->name);
    column_text(q, row->description, sizeof row->description);
    column_text(q, row->pcr_selection, sizeof row->pcr_selection);
    row->credential_lifetime_s = column_int(q);
    column_text(q, row->enrolment, sizeof row->enrolment);
    row->key_protection = (enum key_protection)column_int(q);
    row->credential_tier = (int)column_int(q);
    for (size_t tier = 1; tier < STORE_TIERS; tier++) {
        column_text(q, row->segment[tier], sizeof row->segment[tier]);
    }
    row->created = column_int(q);
    row->updated = column_int(q);
    row->version = column_int(q);
    return q->status;
}

enum status store_model_get(struct store_reader *reader, struct model_row *out, const char *name) {
    QUERY q = query_of(of_reader(reader), SQL_MODEL_GET);
    bind_text(&q, name);
    struct model_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_model(&q, NULL, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_model_list(struct store_reader *reader, struct arena *arena,
                             struct model_row **out, size_t *num, struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_MODEL_LIST);
    bind_text(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_model);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

static void bind_segments(struct query *q, const struct model_row *row) {
    for (size_t tier = 1; tier < STORE_TIERS; tier++) {
        bind_text(q, row->segment[tier]);
    }
}

enum status store_model_insert(struct store_writer *writer, const struct model_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_MODEL_INSERT);
    bind_text(&q, row->name);
    bind_text(&q, row->description);
    bind_text(&q, row->pcr_selection);
    bind_int(&q, row->credential_lifetime_s);
    bind_text(&q, row->enrolment);
    bind_int(&q, row->key_protection);
    bind_int(&q, row->credential_tier);
    bind_segments(&q, row);
    bind_int(&q, row->created);
    bind_int(&q, row->updated);
    return query_run(&q);
}

enum status store_model_update(struct store_writer *writer, const struct model_row *row) {
    struct model_row old;
    enum status status = store_model_get(&writer->reader, &old, row->name);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_MODEL_UPDATE);
    bind_text(&q, row->name);
    bind_int(&q, row->version);
    bind_text(&q, row->description);
    bind_text(&q, row->pcr_selection);
    bind_int(&q, row->credential_lifetime_s);
    bind_text(&q, row->enrolment);
    bind_int(&q, row->key_protection);
    bind_int(&q, row->updated);
    bind_int(&q, row->credential_tier);
    bind_segments(&q, row);
    status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

static enum status model_in_use(struct store_writer *writer, const char *name) {
    QUERY q = query_of(of_writer(writer), SQL_MODEL_IN_USE);
    bind_text(&q, name);
    enum status status = query_step(&q);
    return status == STATUS_OK ? STATUS_CONFLICT : status == STATUS_END ? STATUS_OK : status;
}

static enum status delete_drafts(struct store_writer *writer, const char *model) {
    QUERY q = query_of(of_writer(writer), SQL_MODEL_DELETE_DRAFTS);
    bind_text(&q, model);
    return query_run(&q);
}

enum status store_model_delete(struct store_writer *writer, const char *name) {
    enum status status = model_in_use(writer, name);
    if (status == STATUS_OK) {
        status = delete_drafts(writer, name);
    }
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_MODEL_DELETE);
    bind_text(&q, name);
    return query_run_one(&q);
}

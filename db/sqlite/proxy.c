#include "db/sqlite/sqlite.h"

static enum status read_policies(struct connection *connection, struct proxy_row *row) {
    QUERY q = query_of(connection, SQL_PROXY_POLICY_LIST);
    bind_text(&q, row->name);
    enum status status;
    row->num_policies = 0;
    while ((status = query_step(&q)) == STATUS_OK) {
        if (row->num_policies == PROXY_POLICIES_MAX) {
            return STATUS_STORAGE;
        }
        column_text(&q, row->policy[row->num_policies], sizeof row->policy[0]);
        if (q.status != STATUS_OK) {
            return q.status;
        }
        row->num_policies++;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

/* A dialect that is not known is none: such a proxy is refused, not misread. */
static enum status read_proxy(struct query *q, struct arena *arena, void *out) {
    struct proxy_row *row = out;
    char dialect[DIALECT_NAME] = "";
    (void)arena;
    column_text(q, row->name, sizeof row->name);
    column_text(q, dialect, sizeof dialect);
    row->dialect = DIALECT_NONE;
    (void)dialect_from_name(&row->dialect, dialect);
    column_sha256(q, row->certificate_sha256);
    row->disabled = column_int(q) != 0;
    row->created = column_int(q);
    row->updated = column_int(q);
    return q->status == STATUS_OK ? read_policies(q->connection, row) : q->status;
}

enum status store_proxy_get(struct store_reader *reader, struct proxy_row *out, const char *name) {
    QUERY q = query_of(of_reader(reader), SQL_PROXY_GET);
    bind_text(&q, name);
    struct proxy_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_proxy(&q, NULL, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_proxy_list(struct store_reader *reader, struct arena *arena,
                             struct proxy_row **out, size_t *num, struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_PROXY_LIST);
    bind_text(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_proxy);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

static enum status insert_proxy(struct store_writer *writer, const struct proxy_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_PROXY_INSERT);
    bind_text(&q, row->name);
    bind_text(&q, dialect_names[row->dialect]);
    bind_sha256(&q, row->certificate_sha256);
    bind_int(&q, row->disabled);
    bind_int(&q, row->created);
    bind_int(&q, row->updated);
    return query_run(&q);
}

static enum status update_proxy(struct store_writer *writer, const struct proxy_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_PROXY_UPDATE);
    bind_text(&q, row->name);
    bind_text(&q, dialect_names[row->dialect]);
    bind_sha256(&q, row->certificate_sha256);
    bind_int(&q, row->disabled);
    bind_int(&q, row->updated);
    return query_run_one(&q);
}

static enum status forget_policies(struct store_writer *writer, const char *name) {
    QUERY q = query_of(of_writer(writer), SQL_PROXY_POLICY_DELETE);
    bind_text(&q, name);
    return query_run(&q);
}

static enum status insert_policy(struct store_writer *writer, const struct proxy_row *row,
                                 size_t place) {
    QUERY q = query_of(of_writer(writer), SQL_PROXY_POLICY_INSERT);
    bind_text(&q, row->name);
    bind_int(&q, (int64_t)place);
    bind_text(&q, row->policy[place]);
    return query_run(&q);
}

enum status store_proxy_put(struct store_writer *writer, const struct proxy_row *row,
                            bool replace) {
    enum status status = replace ? update_proxy(writer, row) : STATUS_NOT_FOUND;
    if (status == STATUS_NOT_FOUND) {
        status = insert_proxy(writer, row);
    }
    if (status == STATUS_OK) {
        status = forget_policies(writer, row->name);
    }
    for (size_t i = 0; status == STATUS_OK && i < row->num_policies; i++) {
        status = insert_policy(writer, row, i);
    }
    return status;
}

enum status store_proxy_delete(struct store_writer *writer, const char *name) {
    QUERY q = query_of(of_writer(writer), SQL_PROXY_DELETE);
    bind_text(&q, name);
    return query_run_one(&q);
}

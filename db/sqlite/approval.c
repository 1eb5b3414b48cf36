/* Requests that wait for a second person. */
#include "db/sqlite/sqlite.h"

enum { KEPT_S = 30 * 86400 };

/* All but the body. */
static enum status read_head(struct query *q, struct arena *arena, void *out) {
    struct approval_row *row = out;
    (void)arena;
    column_id(q, row->id);
    row->state = (enum approval_state)column_int(q);
    column_text(q, row->rule, sizeof row->rule);
    column_text(q, row->method, sizeof row->method);
    column_text(q, row->path, sizeof row->path);
    column_text(q, row->query, sizeof row->query);
    column_text(q, row->proposed_by, sizeof row->proposed_by);
    column_text(q, row->decided_by, sizeof row->decided_by);
    column_text(q, row->reason, sizeof row->reason);
    row->created = column_int(q);
    row->expires = column_int(q);
    row->decided = column_int(q);
    return q->status;
}

enum status store_approval_get(struct store_reader *reader, struct arena *arena,
                               struct approval_row *out, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_APPROVAL_GET);
    bind_id(&q, id);
    struct approval_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_head(&q, arena, &row);
    }
    if (status == STATUS_OK) {
        row.body = column_bytes(&q, arena);
        status = q.status;
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_approval_list(struct store_reader *reader, struct arena *arena,
                                struct approval_row **out, size_t *num, enum approval_state state,
                                struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_APPROVAL_LIST);
    bind_after(&q, page.after);
    bind_int(&q, state);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_head);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

static enum status forget(struct store_writer *writer, int64_t before) {
    QUERY q = query_of(of_writer(writer), SQL_APPROVAL_FORGET);
    bind_int(&q, before);
    return query_run(&q);
}

static enum status check_room(struct store_writer *writer, unsigned max, int64_t now) {
    QUERY q = query_of(of_writer(writer), SQL_APPROVAL_COUNT);
    bind_int(&q, now);
    enum status status = query_first(&q);
    return status == STATUS_OK && column_int(&q) >= (int64_t)max ? STATUS_LIMIT : status;
}

static enum status insert(struct store_writer *writer, const struct approval_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_APPROVAL_INSERT);
    bind_id(&q, row->id);
    bind_int(&q, row->state);
    bind_text(&q, row->rule);
    bind_text(&q, row->method);
    bind_text(&q, row->path);
    bind_text(&q, row->query);
    bind_text(&q, row->proposed_by);
    bind_text(&q, row->decided_by);
    bind_text(&q, row->reason);
    bind_int(&q, row->created);
    bind_int(&q, row->expires);
    bind_int(&q, row->decided);
    bind_blob(&q, row->body);
    return query_run(&q);
}

enum status store_approval_insert(struct store_writer *writer, const struct approval_row *row,
                                  unsigned max) {
    enum status status = forget(writer, row->created - KEPT_S);
    if (status == STATUS_OK) {
        status = check_room(writer, max, row->created);
    }
    return status == STATUS_OK ? insert(writer, row) : status;
}

enum status store_approval_decide(struct store_writer *writer, const struct approval_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_APPROVAL_DECIDE);
    bind_id(&q, row->id);
    bind_int(&q, row->state);
    bind_text(&q, row->decided_by);
    bind_text(&q, row->reason);
    bind_int(&q, row->decided);
    enum status status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

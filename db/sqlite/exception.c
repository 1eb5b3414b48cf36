/* Exceptions: findings that a device may have for a while. */
#include "db/sqlite/sqlite.h"

static enum status read_exception(struct query *q, struct arena *arena, void *out) {
    struct exception_row *row = out;
    column_id(q, row->id);
    column_id(q, row->device_id);
    column_id(q, row->appraisal_id);
    row->state = (enum exception_state)column_int(q);
    column_text(q, row->code, sizeof row->code);
    column_text(q, row->rule, sizeof row->rule);
    row->pcr = (int)column_int(q);
    row->until = column_int(q);
    column_text(q, row->reason, sizeof row->reason);
    column_text(q, row->requested_by, sizeof row->requested_by);
    column_text(q, row->approved_by, sizeof row->approved_by);
    column_text(q, row->ended_by, sizeof row->ended_by);
    row->created = column_int(q);
    row->approved = column_int(q);
    row->ended = column_int(q);
    row->in_use = column_int(q) != 0;
    if (column_is_null(q)) {
        column_skip(q);
        return q->status;
    }
    struct bytes found = column_view(q);
    row->found = arena_text_n(arena, (const char *)found.data, found.len);
    return q->status == STATUS_OK && row->found == NULL ? STATUS_MEMORY : q->status;
}

enum status store_exception_get(struct store_reader *reader, struct arena *arena,
                                struct exception_row *out, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_EXCEPTION_GET);
    bind_id(&q, id);
    struct exception_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_exception(&q, arena, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

static enum status read_all(struct query *q, struct arena *arena, struct exception_row **out,
                            size_t *num) {
    void *rows = NULL;
    enum status status = rows_read(q, arena, &rows, num, sizeof **out, read_exception);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_exception_list(struct store_reader *reader, struct arena *arena,
                                 struct exception_row **out, size_t *num,
                                 const struct exception_filter *filter, struct store_page page) {
    QUERY q = query_of(of_reader(reader), filter->device_id[0] == '\0' ? SQL_EXCEPTION_LIST
                                                                       : SQL_EXCEPTION_LIST_DEVICE);
    bind_after(&q, page.after);
    bind_id_or_null(&q, filter->device_id);
    bind_int(&q, filter->state);
    bind_int(&q, filter->since);
    bind_int(&q, page.limit);
    return read_all(&q, arena, out, num);
}

enum status store_exception_in_force(struct store_reader *reader, struct arena *arena,
                                     struct exception_row **out, size_t *num, int64_t now) {
    QUERY q = query_of(of_reader(reader), SQL_EXCEPTION_IN_FORCE);
    bind_int(&q, now);
    return read_all(&q, arena, out, num);
}

static void bind_found(struct query *q, const char *found) {
    if (found == NULL) {
        bind_null(q);
    } else {
        bind_blob(q, bytes_of_text(found));
    }
}

static enum status check_room(struct store_writer *writer, const struct exception_row *row,
                              unsigned max) {
    QUERY q = query_of(of_writer(writer), SQL_EXCEPTION_COUNT);
    bind_id(&q, row->device_id);
    bind_int(&q, row->created);
    bind_text(&q, row->code);
    bind_text(&q, row->rule);
    bind_int(&q, row->pcr);
    bind_found(&q, row->found);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status;
    }
    int64_t num = column_int(&q), same = column_int(&q);
    return same > 0 ? STATUS_CONFLICT : num >= (int64_t)max ? STATUS_LIMIT : q.status;
}

enum status store_exception_insert(struct store_writer *writer, const struct exception_row *row,
                                   unsigned max) {
    enum status status = check_room(writer, row, max);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_EXCEPTION_INSERT);
    bind_id(&q, row->id);
    bind_id(&q, row->device_id);
    bind_id(&q, row->appraisal_id);
    bind_int(&q, row->state);
    bind_text(&q, row->code);
    bind_text(&q, row->rule);
    bind_int(&q, row->pcr);
    bind_int(&q, row->until);
    bind_text(&q, row->reason);
    bind_text(&q, row->requested_by);
    bind_text(&q, row->approved_by);
    bind_text(&q, row->ended_by);
    bind_int(&q, row->created);
    bind_int(&q, row->approved);
    bind_int(&q, row->ended);
    bind_int(&q, row->in_use ? 1 : 0);
    bind_found(&q, row->found);
    return query_run(&q);
}

enum status store_exception_update(struct store_writer *writer, const struct exception_row *row,
                                   enum exception_state from) {
    QUERY q = query_of(of_writer(writer), SQL_EXCEPTION_UPDATE);
    bind_id(&q, row->id);
    bind_int(&q, from);
    bind_int(&q, row->state);
    bind_text(&q, row->approved_by);
    bind_int(&q, row->approved);
    bind_text(&q, row->ended_by);
    bind_int(&q, row->ended);
    bind_int(&q, row->in_use ? 1 : 0);
    enum status status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

enum status store_exception_use(struct store_writer *writer, const char *device_id,
                                const char *used) {
    QUERY q = query_of(of_writer(writer), SQL_EXCEPTION_USE);
    bind_id(&q, device_id);
    bind_text(&q, used);
    return query_run(&q);
}

enum status store_exception_has_given(struct store_reader *reader, bool *out, const char *device_id,
                                      const char *id, int64_t now) {
    QUERY q = query_of(of_reader(reader), SQL_EXCEPTION_HAS_GIVEN);
    bind_id(&q, device_id);
    bind_int(&q, now);
    bind_text(&q, id);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        bool given = column_int(&q) != 0;
        status = q.status;
        if (status == STATUS_OK) {
            *out = given;
        }
    }
    return status;
}

/* Streams of events to receivers: what each wants, and how far it has got. */
#include "db/sqlite/sqlite.h"

static enum status read_stream(struct query *q, struct arena *arena, void *out) {
    struct stream_row *row = out;
    (void)arena;
    column_id(q, row->id);
    if (column_is_null(q)) {
        column_skip(q);
    } else {
        column_text(q, row->proxy, sizeof row->proxy);
    }
    row->held = column_int(q) != 0;
    column_text(q, row->description, sizeof row->description);
    row->method = (enum stream_method)column_int(q);
    column_text(q, row->endpoint_url, sizeof row->endpoint_url);
    column_text(q, row->audience, sizeof row->audience);
    row->events = (unsigned)column_int(q);
    column_text(q, row->secret, sizeof row->secret);
    row->status = (enum stream_status)column_int(q);
    column_text(q, row->reason, sizeof row->reason);
    row->created = column_int(q);
    row->updated = column_int(q);
    row->version = column_int(q);
    row->cursor = column_int(q);
    row->delivered = column_int(q);
    row->refused = column_int(q);
    row->dropped = column_int(q);
    row->failures = column_int(q);
    row->failing_since = column_int(q);
    row->last_delivery = column_int(q);
    row->last_error_at = column_int(q);
    column_text(q, row->last_error, sizeof row->last_error);
    row->verified = column_int(q);
    return q->status;
}

enum status store_stream_get(struct store_reader *reader, struct stream_row *out, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_STREAM_GET);
    bind_id(&q, id);
    struct stream_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_stream(&q, NULL, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_stream_list(struct store_reader *reader, struct arena *arena,
                              struct stream_row **out, size_t *num, const char *proxy,
                              struct store_page page) {
    QUERY q = query_of(of_reader(reader), proxy == NULL ? SQL_STREAM_LIST : SQL_STREAM_LIST_OF);
    bind_after(&q, page.after);
    bind_int(&q, page.limit);
    if (proxy != NULL) {
        bind_text(&q, proxy);
    }
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_stream);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

static enum status read_number(struct query *q, int64_t *out) {
    enum status status = query_first(q);
    if (status != STATUS_OK) {
        return status;
    }
    int64_t value = column_is_null(q) ? INT64_MAX : column_int(q);
    if (q->status == STATUS_OK) {
        *out = value;
    }
    return q->status;
}

enum status store_stream_count(struct store_reader *reader, int64_t *out, const char *proxy) {
    QUERY q = query_of(of_reader(reader), proxy == NULL ? SQL_STREAM_COUNT : SQL_STREAM_COUNT_OF);
    if (proxy != NULL) {
        bind_text(&q, proxy);
    }
    return read_number(&q, out);
}

enum status store_stream_behind(struct store_reader *reader, int64_t *out) {
    QUERY q = query_of(of_reader(reader), SQL_STREAM_BEHIND);
    return read_number(&q, out);
}

enum status store_stream_insert(struct store_writer *writer, const struct stream_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_STREAM_INSERT);
    bind_id(&q, row->id);
    if (row->proxy[0] == '\0') {
        bind_null(&q);
    } else {
        bind_text(&q, row->proxy);
    }
    bind_text(&q, row->description);
    bind_int(&q, row->method);
    bind_text(&q, row->endpoint_url);
    bind_text(&q, row->audience);
    bind_int(&q, row->events);
    bind_text(&q, row->secret);
    bind_int(&q, row->status);
    bind_text(&q, row->reason);
    bind_int(&q, row->created);
    bind_int(&q, row->updated);
    bind_int(&q, row->cursor);
    return query_run(&q);
}

static enum status exists(struct store_writer *writer, const char *id) {
    QUERY q = query_of(of_writer(writer), SQL_STREAM_GET);
    bind_id(&q, id);
    return query_first(&q);
}

enum status store_stream_update(struct store_writer *writer, const struct stream_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_STREAM_UPDATE);
    bind_id(&q, row->id);
    bind_int(&q, row->version);
    bind_text(&q, row->description);
    bind_text(&q, row->endpoint_url);
    bind_text(&q, row->audience);
    bind_int(&q, row->events);
    bind_text(&q, row->secret);
    bind_int(&q, row->status);
    bind_text(&q, row->reason);
    bind_int(&q, row->updated);
    enum status status = query_run_one(&q);
    if (status == STATUS_NOT_FOUND && exists(writer, row->id) == STATUS_OK) {
        return STATUS_CONFLICT;
    }
    return status;
}

enum status store_stream_progress(struct store_writer *writer, const struct stream_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_STREAM_PROGRESS);
    bind_id(&q, row->id);
    bind_int(&q, row->status);
    bind_text(&q, row->reason);
    bind_int(&q, row->cursor);
    bind_int(&q, row->delivered);
    bind_int(&q, row->refused);
    bind_int(&q, row->dropped);
    bind_int(&q, row->failures);
    bind_int(&q, row->failing_since);
    bind_int(&q, row->last_delivery);
    bind_int(&q, row->last_error_at);
    bind_text(&q, row->last_error);
    bind_int(&q, row->verified);
    return query_run_one(&q);
}

enum status store_stream_delete(struct store_writer *writer, const char *id) {
    QUERY q = query_of(of_writer(writer), SQL_STREAM_DELETE);
    bind_id(&q, id);
    return query_run_one(&q);
}

/* --- what receivers said to have --- */

enum status store_stream_acknowledge(struct store_writer *writer, const char *id, int64_t seq) {
    QUERY q = query_of(of_writer(writer), SQL_STREAM_ACKNOWLEDGE);
    bind_id(&q, id);
    bind_int(&q, seq);
    return query_run(&q);
}

static enum status read_seq(struct query *q, struct arena *arena, void *out) {
    (void)arena;
    *(int64_t *)out = column_int(q);
    return q->status;
}

enum status store_stream_acknowledged(struct store_reader *reader, struct arena *arena,
                                      int64_t **seq, size_t *num, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_STREAM_ACKNOWLEDGED);
    bind_id(&q, id);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **seq, read_seq);
    if (status == STATUS_OK) {
        *seq = rows;
    }
    return status;
}

enum status store_stream_acknowledge_forget(struct store_writer *writer, const char *id,
                                            int64_t through_seq) {
    QUERY q = query_of(of_writer(writer), SQL_STREAM_ACKNOWLEDGE_FORGET);
    bind_id(&q, id);
    bind_int(&q, through_seq);
    return query_run(&q);
}

/* --- what is to be said about a stream --- */

enum status store_notice_insert(struct store_writer *writer, const struct notice_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_NOTICE_INSERT);
    bind_id(&q, row->stream);
    bind_int(&q, row->kind);
    bind_int(&q, row->status);
    bind_text(&q, row->text);
    bind_int(&q, row->created);
    return query_run(&q);
}

static enum status read_notice(struct query *q, struct arena *arena, void *out) {
    struct notice_row *row = out;
    (void)arena;
    row->num = column_int(q);
    column_id(q, row->stream);
    row->kind = (enum notice_kind)column_int(q);
    row->status = (enum stream_status)column_int(q);
    column_text(q, row->text, sizeof row->text);
    row->created = column_int(q);
    return q->status;
}

enum status store_notice_list(struct store_reader *reader, struct arena *arena,
                              struct notice_row **out, size_t *num, const char *stream,
                              unsigned limit) {
    QUERY q = query_of(of_reader(reader), SQL_NOTICE_LIST);
    bind_id(&q, stream);
    bind_int(&q, limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_notice);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_notice_delete(struct store_writer *writer, const char *stream, int64_t num) {
    QUERY q = query_of(of_writer(writer), SQL_NOTICE_DELETE);
    bind_id(&q, stream);
    bind_int(&q, num);
    return query_run_one(&q);
}

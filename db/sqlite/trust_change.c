#include "db/sqlite/sqlite.h"

static enum status read_trust_change(struct query *q, struct arena *arena, void *out) {
    struct trust_change_row *row = out;
    (void)arena;
    row->seq = column_int(q);
    row->time_ms = column_int(q);
    row->change = (enum trust_change)column_int(q);
    column_id(q, row->device_id);
    column_text(q, row->model, sizeof row->model);
    row->state = (enum device_state)column_int(q);
    row->was_state = (enum device_state)column_int(q);
    row->verdict = (int)column_int(q);
    row->was_verdict = (int)column_int(q);
    row->tier = (int)column_int(q);
    row->was_tier = (int)column_int(q);
    column_id(q, row->serial);
    column_sha256(q, row->sha256);
    column_text(q, row->authority, sizeof row->authority);
    column_text(q, row->segment, sizeof row->segment);
    row->not_before = column_int(q);
    row->not_after = column_int(q);
    column_text(q, row->reason, sizeof row->reason);
    return q->status;
}

enum status store_trust_change_list(struct store_reader *reader, struct arena *arena,
                                    struct trust_change_row **out, size_t *num, int64_t after_seq,
                                    unsigned limit) {
    QUERY q = query_of(of_reader(reader), SQL_TRUST_CHANGE_LIST);
    bind_int(&q, after_seq);
    bind_int(&q, limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_trust_change);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_trust_credential_list(struct store_reader *reader, struct arena *arena,
                                        struct trust_change_row **out, size_t *num,
                                        const char *model, int64_t now, struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_TRUST_CREDENTIALS);
    bind_after(&q, page.after);
    bind_int(&q, now);
    bind_text(&q, model);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_trust_change);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_trust_change_ends(struct store_reader *reader, int64_t *oldest, int64_t *newest) {
    QUERY q = query_of(of_reader(reader), SQL_TRUST_CHANGE_ENDS);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status;
    }
    bool none = column_is_null(&q);
    int64_t first = column_int(&q), last = column_int(&q);
    if (q.status == STATUS_OK) {
        *oldest = none ? last + 1 : first;
        *newest = last;
    }
    return q.status;
}

/* The last that is to go; 0: none. Always from the front: what is kept has no gaps. */
static enum status last_to_forget(struct store_writer *writer, int64_t before_ms,
                                  int64_t through_seq, unsigned limit, int64_t *out) {
    QUERY q = query_of(of_writer(writer), SQL_TRUST_CHANGE_AGES);
    bind_int(&q, through_seq);
    bind_int(&q, limit);
    enum status status;
    *out = 0;
    while ((status = query_step(&q)) == STATUS_OK) {
        int64_t seq = column_int(&q), time_ms = column_int(&q);
        if (q.status != STATUS_OK || time_ms >= before_ms) {
            return q.status;
        }
        *out = seq;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

enum status store_trust_change_forget(struct store_writer *writer, int64_t before_ms,
                                      int64_t through_seq, unsigned limit) {
    int64_t last;
    enum status status = last_to_forget(writer, before_ms, through_seq, limit, &last);
    if (status != STATUS_OK || last == 0) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_TRUST_CHANGE_FORGET);
    bind_int(&q, last);
    status = query_run(&q);
    return status == STATUS_OK && query_changes(&q) >= (int64_t)limit ? STATUS_LIMIT : status;
}

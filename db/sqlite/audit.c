#include "db/sqlite/audit.h"

enum { ROW_MAX = 64 << 20 };

static enum status read_checkpoint(struct query *q, struct arena *arena, void *out) {
    struct audit_checkpoint_row *row = out;
    row->seq = column_int(q);
    column_sha256(q, row->hash);
    row->time = column_int(q);
    column_text(q, row->trust_domain, sizeof row->trust_domain);
    column_sha256(q, row->authority);
    row->signature = column_bytes(q, arena);
    return q->status;
}

enum status audit_read(struct query *q, struct arena *arena, void *out) {
    struct audit_row *row = out;
    row->seq = column_int(q);
    row->time_ms = column_int(q);
    column_text(q, row->actor, sizeof row->actor);
    column_text(q, row->action, sizeof row->action);
    column_text(q, row->object, sizeof row->object);
    row->before = column_bytes(q, arena);
    row->after = column_bytes(q, arena);
    column_text(q, row->request_id, sizeof row->request_id);
    column_sha256(q, row->hash);
    column_sha256(q, row->previous);
    if (!column_is_null(q)) {
        struct audit_checkpoint_row *checkpoint = arena_alloc(arena, sizeof *checkpoint);
        if (checkpoint == NULL) {
            return STATUS_MEMORY;
        }
        row->checkpoint = checkpoint;
        return read_checkpoint(q, arena, checkpoint);
    }
    return q->status;
}

enum status store_audit_tip(struct store_reader *reader, struct audit_tip *out) {
    QUERY q = query_of(of_reader(reader), SQL_AUDIT_TIP);
    struct audit_tip tip = {0};
    enum status status = query_step(&q);
    if (status == STATUS_OK) {
        tip.seq = column_int(&q);
        tip.chained = !column_is_null(&q);
        column_sha256(&q, tip.hash);
        status = q.status;
    } else if (status == STATUS_END) {
        status = STATUS_OK;
    }
    if (status == STATUS_OK) {
        *out = tip;
    }
    return status;
}

enum status store_audit_insert(struct store_writer *writer, const struct audit_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_AUDIT_INSERT);
    bind_int(&q, row->seq);
    bind_int(&q, row->time_ms);
    bind_text(&q, row->actor);
    bind_text(&q, row->action);
    bind_text(&q, row->object);
    bind_blob(&q, row->before);
    bind_blob(&q, row->after);
    bind_text(&q, row->request_id);
    bind_sha256(&q, row->hash);
    return query_run(&q);
}

enum status store_audit_set_hash(struct store_writer *writer, int64_t seq,
                                 const uint8_t hash[static 32]) {
    QUERY q = query_of(of_writer(writer), SQL_AUDIT_SET_HASH);
    bind_int(&q, seq);
    bind_sha256(&q, hash);
    return query_run_one(&q);
}

enum status store_audit_list(struct store_reader *reader, struct arena *arena,
                             struct audit_row **out, size_t *num, int64_t after_seq,
                             unsigned limit) {
    QUERY q = query_of(of_reader(reader), SQL_AUDIT_LIST);
    bind_int(&q, after_seq);
    bind_int(&q, limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, audit_read);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_audit_walk(struct store_reader *reader, int64_t after_seq, unsigned limit,
                             store_audit_visit *visit, void *context) {
    QUERY q = query_of(of_reader(reader), SQL_AUDIT_LIST);
    bind_int(&q, after_seq);
    bind_int(&q, limit);
    enum status status = query_step(&q);
    bool more = true;
    while (status == STATUS_OK && more) {
        struct audit_row row = {0};
        struct arena arena;
        arena_init(&arena, ROW_MAX);
        status = audit_read(&q, &arena, &row);
        if (status == STATUS_OK) {
            more = visit(context, &row);
            status = query_step(&q);
        }
        arena_free(&arena);
    }
    return status == STATUS_END ? STATUS_OK : status;
}

/* --- checkpoints and pruning --- */

enum status store_audit_checkpoint_insert(struct store_writer *writer,
                                          const struct audit_checkpoint_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_AUDIT_CHECKPOINT_INSERT);
    bind_int(&q, row->seq);
    bind_sha256(&q, row->hash);
    bind_int(&q, row->time);
    bind_text(&q, row->trust_domain);
    bind_sha256(&q, row->authority);
    bind_blob(&q, row->signature);
    return query_run(&q);
}

enum status store_audit_checkpoint_get(struct store_reader *reader, struct arena *arena,
                                       struct audit_checkpoint_row *out, int64_t seq) {
    QUERY q = query_of(of_reader(reader), SQL_AUDIT_CHECKPOINT_GET);
    bind_int(&q, seq);
    struct audit_checkpoint_row row;
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_checkpoint(&q, arena, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_audit_checkpoint_list(struct store_reader *reader, struct arena *arena,
                                        struct audit_checkpoint_row **out, size_t *num,
                                        int64_t after_seq, unsigned limit) {
    QUERY q = query_of(of_reader(reader), SQL_AUDIT_CHECKPOINT_LIST);
    bind_int(&q, after_seq);
    bind_int(&q, limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_checkpoint);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_audit_marks(struct store_reader *reader, int64_t *checkpoint, int64_t *pruned) {
    QUERY q = query_of(of_reader(reader), SQL_AUDIT_MARKS);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        *checkpoint = column_int(&q);
        *pruned = column_int(&q);
    }
    return status;
}

enum status store_audit_prune(struct store_writer *writer, int64_t through_seq, int64_t now_ms) {
    QUERY q = query_of(of_writer(writer), SQL_AUDIT_PRUNE);
    bind_int(&q, through_seq);
    bind_int(&q, now_ms);
    return query_run(&q);
}

enum status store_audit_forget(struct store_writer *writer, unsigned limit) {
    QUERY q = query_of(of_writer(writer), SQL_AUDIT_FORGET);
    bind_int(&q, limit);
    enum status status = query_run(&q);
    bool more = query_changes(&q) >= limit;
    if (status == STATUS_OK) {
        QUERY checkpoints = query_of(of_writer(writer), SQL_AUDIT_FORGET_CHECKPOINTS);
        status = query_run(&checkpoints);
    }
    return status == STATUS_OK && more ? STATUS_LIMIT : status;
}

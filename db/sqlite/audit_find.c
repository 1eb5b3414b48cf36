#include "db/sqlite/audit.h"

#include <string.h>

/* The columns that filters look at. */
struct scanned {
    int64_t seq, time_ms;
    char actor[STORE_NAME + 16], action[49], object[129];
};

static enum status read_scanned(struct query *q, struct scanned *out) {
    out->seq = column_int(q);
    out->time_ms = column_int(q);
    column_text(q, out->actor, sizeof out->actor);
    column_text(q, out->action, sizeof out->action);
    column_text(q, out->object, sizeof out->object);
    return q->status;
}

static bool is(const char *wanted, const char *text) {
    return wanted[0] == '\0' || strcmp(wanted, text) == 0;
}

static bool is_action(const char *wanted, const char *text) {
    size_t len = strlen(wanted);
    return len > 0 && wanted[len - 1] == '.' ? strncmp(wanted, text, len) == 0 : is(wanted, text);
}

static bool passes(const struct audit_filter *f, const struct scanned *row) {
    return is(f->actor, row->actor) && is_action(f->action, row->action) &&
           is(f->object, row->object) && row->time_ms >= f->since_ms &&
           (f->until_ms == 0 || row->time_ms < f->until_ms);
}

/* When the entry that a page goes on after was; found: it is there still. */
static enum status time_of(struct store_reader *reader, int64_t seq, int64_t *time_ms,
                           bool *found) {
    QUERY q = query_of(of_reader(reader), SQL_AUDIT_SCAN);
    struct scanned row = {0};
    bind_int(&q, seq - 1);
    enum status status = query_step(&q);
    if (status == STATUS_OK) {
        status = read_scanned(&q, &row);
    }
    *found = status == STATUS_OK && row.seq == seq;
    if (*found) {
        *time_ms = row.time_ms;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

/* From where by time: after the entry that the page before ended with. */
static enum status bind_time(struct query *q, struct store_reader *reader,
                             const struct audit_filter *f) {
    int64_t until = f->until_ms == 0 ? INT64_MAX : f->until_ms;
    int64_t from = f->newest_first ? until - 1 : f->since_ms, seen = from;
    bool found = false;
    enum status status =
        f->after_seq == 0 ? STATUS_OK : time_of(reader, f->after_seq, &seen, &found);
    /* Without that entry: before all that have the time to begin with. */
    bind_int(q, found ? f->after_seq : f->newest_first ? INT64_MAX : 0);
    bind_int(q, f->newest_first ? (seen < from ? seen : from) : (seen > from ? seen : from));
    bind_int(q, f->newest_first ? f->since_ms : until);
    return status;
}

static enum statement statement_of(const struct audit_filter *f) {
    if (f->object[0] != '\0') {
        return f->newest_first ? SQL_AUDIT_SCAN_OBJECT_BACK : SQL_AUDIT_SCAN_OBJECT;
    }
    if (f->since_ms != 0 || f->until_ms != 0) {
        return f->newest_first ? SQL_AUDIT_SCAN_TIME_BACK : SQL_AUDIT_SCAN_TIME;
    }
    return f->newest_first ? SQL_AUDIT_SCAN_BACK : SQL_AUDIT_SCAN;
}

static enum status bind_place(struct query *q, enum statement statement,
                              struct store_reader *reader, const struct audit_filter *f) {
    if (statement == SQL_AUDIT_SCAN_TIME || statement == SQL_AUDIT_SCAN_TIME_BACK) {
        return bind_time(q, reader, f);
    }
    bind_int(q, f->newest_first && f->after_seq == 0 ? INT64_MAX : f->after_seq);
    if (f->object[0] != '\0') {
        bind_text(q, f->object);
    }
    return STATUS_OK;
}

/* Steps until there are enough, or until enough was looked at: *next is then the last one seen. */
static enum status scan(struct query *q, int64_t *found, size_t *num, int64_t *next,
                        const struct audit_filter *f) {
    struct scanned row = {0};
    enum status status = STATUS_OK;
    *num = 0;
    *next = 0;
    for (unsigned looked = 0; status == STATUS_OK; looked++) {
        int64_t last = row.seq;
        status = query_step(q);
        if (status == STATUS_OK && (looked == f->scan || *num == f->limit)) {
            *next = last; /* there is one more at least */
            return STATUS_OK;
        }
        if (status == STATUS_OK) {
            status = read_scanned(q, &row);
        }
        if (status == STATUS_OK && passes(f, &row)) {
            found[(*num)++] = row.seq;
        }
    }
    return status == STATUS_END ? STATUS_OK : status;
}

enum status store_audit_find(struct store_reader *reader, struct arena *arena,
                             struct audit_row **out, size_t *num, int64_t *next,
                             const struct audit_filter *f) {
    enum statement statement = statement_of(f);
    int64_t *found = arena_array(arena, f->limit, sizeof *found), after = 0;
    struct audit_row *rows = arena_array(arena, f->limit, sizeof *rows);
    size_t have = 0;
    if (found == NULL || rows == NULL) {
        return STATUS_MEMORY;
    }
    QUERY q = query_of(of_reader(reader), statement);
    enum status status = bind_place(&q, statement, reader, f);
    if (status == STATUS_OK) {
        status = scan(&q, found, &have, &after, f);
    }
    for (size_t i = 0; i < have && status == STATUS_OK; i++) {
        QUERY get = query_of(of_reader(reader), SQL_AUDIT_GET);
        bind_int(&get, found[i]);
        status = query_first(&get);
        if (status == STATUS_OK) {
            status = audit_read(&get, arena, &rows[i]);
        }
    }
    if (status == STATUS_OK) {
        *out = rows;
        *num = have;
        *next = after;
    }
    return status;
}

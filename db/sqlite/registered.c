/* Registered certificates: operators and proxies. */
#include "db/sqlite/sqlite.h"

#include <string.h>

static enum status read_certificates(struct connection *connection, struct operator_row *row) {
    QUERY q = query_of(connection, SQL_OPERATOR_CERTIFICATES);
    bind_text(&q, row->name);
    enum status status;
    while ((status = query_step(&q)) == STATUS_OK) {
        struct operator_certificate *c = &row->certificate[row->num_certificates];
        if (row->num_certificates == OPERATOR_MAX_CERTIFICATES) {
            return STATUS_STORAGE;
        }
        column_sha256(&q, c->sha256);
        column_text(&q, c->subject, sizeof c->subject);
        c->not_after = column_int(&q);
        c->added = column_int(&q);
        column_text(&q, c->added_by, sizeof c->added_by);
        if (q.status != STATUS_OK) {
            return q.status;
        }
        row->num_certificates++;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static enum status read_operator(struct query *q, struct arena *arena, void *out) {
    struct operator_row *row = out;
    (void)arena;
    column_text(q, row->name, sizeof row->name);
    column_text(q, row->role, sizeof row->role);
    row->disabled = column_int(q) != 0;
    row->created = column_int(q);
    row->updated = column_int(q);
    return q->status == STATUS_OK ? read_certificates(q->connection, row) : q->status;
}

enum status store_operator_get(struct store_reader *reader, struct operator_row *out,
                               const char *name) {
    QUERY q = query_of(of_reader(reader), SQL_OPERATOR_GET);
    bind_text(&q, name);
    struct operator_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_operator(&q, NULL, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_operator_list(struct store_reader *reader, struct arena *arena,
                                struct operator_row **out, size_t *num, struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_OPERATOR_LIST);
    bind_text(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_operator);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

static bool is_admin(const struct operator_row *row) {
    return strcmp(row->role, "admin") == 0 && !row->disabled;
}

/* CONFLICT when nobody could undo what is done: no admin is left, besides this operator and this
 * certificate, who may still come in. */
static enum status other_admin(struct store_writer *writer, const char *name,
                               const uint8_t sha256[static 32], int64_t now) {
    QUERY q = query_of(of_writer(writer), SQL_OPERATOR_OTHER_ADMIN);
    bind_text(&q, name);
    bind_sha256(&q, sha256);
    bind_int(&q, now);
    enum status status = query_first(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

static const uint8_t no_certificate[32];

static enum status insert_certificate(struct store_writer *writer, const char *name,
                                      const struct operator_certificate *row) {
    QUERY q = query_of(of_writer(writer), SQL_OPERATOR_CERTIFICATE_INSERT);
    bind_text(&q, name);
    bind_sha256(&q, row->sha256);
    bind_text(&q, row->subject);
    bind_int(&q, row->not_after);
    bind_int(&q, row->added);
    bind_text(&q, row->added_by);
    return query_run(&q);
}

static enum status insert_row(struct store_writer *writer, const struct operator_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_OPERATOR_INSERT);
    bind_text(&q, row->name);
    bind_text(&q, row->role);
    bind_int(&q, row->disabled);
    bind_int(&q, row->created);
    bind_int(&q, row->updated);
    return query_run(&q);
}

static enum status insert_operator(struct store_writer *writer, const struct operator_row *row) {
    enum status status = insert_row(writer, row);
    for (size_t i = 0; status == STATUS_OK && i < row->num_certificates; i++) {
        status = insert_certificate(writer, row->name, &row->certificate[i]);
    }
    return status;
}

static enum status update_operator(struct store_writer *writer, const struct operator_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_OPERATOR_UPDATE);
    bind_text(&q, row->name);
    bind_text(&q, row->role);
    bind_int(&q, row->disabled);
    bind_int(&q, row->updated);
    return query_run_one(&q);
}

enum status store_operator_put(struct store_writer *writer, const struct operator_row *row,
                               bool replace) {
    struct operator_row old;
    enum status status = store_operator_get(&writer->reader, &old, row->name);
    if (status == STATUS_NOT_FOUND) {
        return insert_operator(writer, row);
    }
    if (status == STATUS_OK && !replace) {
        return STATUS_CONFLICT;
    }
    if (status == STATUS_OK && is_admin(&old) && !is_admin(row)) {
        status = other_admin(writer, row->name, no_certificate, row->updated);
    }
    return status == STATUS_OK ? update_operator(writer, row) : status;
}

enum status store_operator_delete(struct store_writer *writer, const char *name, int64_t now) {
    struct operator_row old;
    enum status status = store_operator_get(&writer->reader, &old, name);
    if (status == STATUS_OK && is_admin(&old)) {
        status = other_admin(writer, name, no_certificate, now);
    }
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_OPERATOR_DELETE);
    bind_text(&q, name);
    return query_run_one(&q);
}

const struct operator_certificate *operator_certificate(const struct operator_row *row,
                                                        const uint8_t sha256[static 32]) {
    for (size_t i = 0; i < row->num_certificates; i++) {
        if (memcmp(row->certificate[i].sha256, sha256, 32) == 0) {
            return &row->certificate[i];
        }
    }
    return NULL;
}

enum status store_operator_certificate_add(struct store_writer *writer, const char *name,
                                           const struct operator_certificate *row) {
    struct operator_row old;
    enum status status = store_operator_get(&writer->reader, &old, name);
    if (status == STATUS_OK && operator_certificate(&old, row->sha256) != NULL) {
        status = STATUS_CONFLICT;
    }
    if (status == STATUS_OK && old.num_certificates == OPERATOR_MAX_CERTIFICATES) {
        status = STATUS_LIMIT;
    }
    return status == STATUS_OK ? insert_certificate(writer, name, row) : status;
}

enum status store_operator_certificate_delete(struct store_writer *writer, const char *name,
                                              const uint8_t sha256[static 32], int64_t now) {
    struct operator_row old;
    enum status status = store_operator_get(&writer->reader, &old, name);
    if (status != STATUS_OK) {
        return status;
    }
    const struct operator_certificate *gone = operator_certificate(&old, sha256);
    if (gone == NULL || old.num_certificates == 1) {
        return gone == NULL ? STATUS_NOT_FOUND : STATUS_CONFLICT;
    }
    if (is_admin(&old) && (gone->not_after == 0 || gone->not_after > now)) {
        status = other_admin(writer, "", sha256, now);
    }
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_OPERATOR_CERTIFICATE_DELETE);
    bind_text(&q, name);
    bind_sha256(&q, sha256);
    return query_run_one(&q);
}

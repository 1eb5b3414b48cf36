#include "db/sqlite/sqlite.h"

enum status store_enrollment_get(struct store_reader *reader, struct arena *arena,
                                 struct enrollment_row *out, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_ENROLLMENT_GET);
    bind_id(&q, id);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status;
    }
    struct enrollment_row row = {0};
    column_id(&q, row.id);
    column_id(&q, row.device_id);
    column_text(&q, row.model, sizeof row.model);
    column_text(&q, row.address, sizeof row.address);
    row.state = (enum enrollment_state)column_int(&q);
    row.key_protection = (enum key_protection)column_int(&q);
    column_sha256(&q, row.nonce);
    column_sha256(&q, row.secret_sha256);
    row.ek_public = column_bytes(&q, arena);
    row.ak_public = column_bytes(&q, arena);
    row.ek_certificate = column_bytes(&q, arena);
    row.csr_spki = column_bytes(&q, arena);
    row.certificate = column_bytes(&q, arena);
    row.created = column_int(&q);
    row.expires = column_int(&q);
    if (q.status == STATUS_OK) {
        *out = row;
    }
    return q.status;
}

enum status store_enrollment_prune(struct store_writer *writer, int64_t now) {
    QUERY q = query_of(of_writer(writer), SQL_ENROLLMENT_EXPIRE);
    bind_int(&q, now);
    return query_run(&q);
}

/* LIMIT when the count is at `max`. */
static enum status hold_under(struct query *q, unsigned max) {
    enum status status = query_first(q);
    return status == STATUS_OK && column_int(q) >= (int64_t)max ? STATUS_LIMIT : status;
}

static enum status hold_limits(struct store_writer *writer, const char *address, unsigned max,
                               unsigned max_per_address) {
    QUERY all = query_of(of_writer(writer), SQL_ENROLLMENT_COUNT);
    enum status status = hold_under(&all, max);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY here = query_of(of_writer(writer), SQL_ENROLLMENT_COUNT_ADDRESS);
    bind_text(&here, address);
    return hold_under(&here, max_per_address);
}

enum status store_enrollment_insert(struct store_writer *writer, const struct enrollment_row *row,
                                    unsigned max, unsigned max_per_address, int64_t now) {
    enum status status = store_enrollment_prune(writer, now);
    if (status == STATUS_OK) {
        status = hold_limits(writer, row->address, max, max_per_address);
    }
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_ENROLLMENT_INSERT);
    bind_id(&q, row->id);
    bind_id(&q, row->device_id);
    bind_text(&q, row->model);
    bind_text(&q, row->address);
    bind_int(&q, row->state);
    bind_int(&q, row->key_protection);
    bind_sha256(&q, row->nonce);
    bind_sha256(&q, row->secret_sha256);
    bind_blob(&q, row->ek_public);
    bind_blob(&q, row->ak_public);
    bind_blob(&q, row->ek_certificate);
    bind_blob(&q, row->csr_spki);
    bind_blob(&q, row->certificate);
    bind_int(&q, row->created);
    bind_int(&q, row->expires);
    return query_run(&q);
}

enum status store_enrollment_update(struct store_writer *writer, const struct enrollment_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_ENROLLMENT_UPDATE);
    bind_id(&q, row->id);
    bind_int(&q, row->state);
    bind_int(&q, row->key_protection);
    bind_blob(&q, row->certificate);
    bind_int(&q, row->expires);
    return query_run_one(&q);
}

enum status store_enrollment_delete(struct store_writer *writer, const char *id) {
    QUERY q = query_of(of_writer(writer), SQL_ENROLLMENT_DELETE);
    bind_id(&q, id);
    return query_run_one(&q);
}

enum status store_enrollment_delete_others(struct store_writer *writer, const char *device_id,
                                           const char *id) {
    QUERY q = query_of(of_writer(writer), SQL_ENROLLMENT_DELETE_OTHERS);
    bind_id(&q, device_id);
    bind_after(&q, id); /* "" is no enrolment's */
    return query_run(&q);
}

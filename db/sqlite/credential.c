#include "db/sqlite/device.h"

#include <string.h>

static enum status read_credential(struct query *q, struct arena *arena, void *out) {
    struct credential_row *row = out;
    (void)arena;
    column_id(q, row->serial);
    column_id(q, row->device_id);
    column_id(q, row->appraisal_id);
    column_sha256(q, row->sha256);
    row->not_before = column_int(q);
    row->not_after = column_int(q);
    row->revoked = column_int(q);
    column_text(q, row->reason, sizeof row->reason);
    row->key_protection = (enum key_protection)column_int(q);
    row->tier = (int)column_int(q);
    column_text(q, row->segment, sizeof row->segment);
    column_text(q, row->exceptions, sizeof row->exceptions);
    column_text(q, row->authority, sizeof row->authority);
    return q->status;
}

enum status store_credential_get(struct store_reader *reader, struct credential_row *out,
                                 const char *serial) {
    QUERY q = query_of(of_reader(reader), SQL_CREDENTIAL_GET);
    bind_id(&q, serial);
    struct credential_row row = {0};
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_credential(&q, NULL, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_credential_list(struct store_reader *reader, struct arena *arena,
                                  struct credential_row **out, size_t *num,
                                  const struct credential_filter *filter, struct store_page page) {
    QUERY q =
        query_of(of_reader(reader),
                 filter->device_id[0] == '\0' ? SQL_CREDENTIAL_LIST : SQL_CREDENTIAL_LIST_DEVICE);
    bind_after(&q, page.after);
    bind_id_or_null(&q, filter->device_id);
    bind_int(&q, filter->valid_at);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_credential);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_credential_insert(struct store_writer *writer, const struct credential_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_CREDENTIAL_INSERT);
    bind_id(&q, row->serial);
    bind_id(&q, row->device_id);
    bind_id_or_null(&q, row->appraisal_id);
    bind_sha256(&q, row->sha256);
    bind_int(&q, row->not_before);
    bind_int(&q, row->not_after);
    bind_int(&q, row->revoked);
    bind_text(&q, row->reason);
    bind_int(&q, row->key_protection);
    bind_int(&q, row->tier);
    bind_text(&q, row->segment);
    bind_text(&q, row->exceptions);
    bind_text(&q, row->authority);
    return query_run(&q);
}

enum status store_credential_revoke(struct store_writer *writer, const char *serial, int64_t now,
                                    const char *reason) {
    struct credential_row row;
    enum status status = store_credential_get(&writer->reader, &row, serial);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_CREDENTIAL_REVOKE);
    bind_id(&q, serial);
    bind_int(&q, now);
    bind_text(&q, reason);
    status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

enum status store_credential_revoke_device(struct store_writer *writer, const char *device_id,
                                           int64_t now, const char *reason, size_t *num) {
    QUERY q = query_of(of_writer(writer), SQL_CREDENTIAL_REVOKE_DEVICE);
    bind_id(&q, device_id);
    bind_int(&q, now);
    bind_text(&q, reason);
    enum status status = query_run(&q);
    if (status == STATUS_OK && num != NULL) {
        *num = (size_t)query_changes(&q);
    }
    return status;
}

/* Of `whose` credentials, as the statement has it, with a tier beside. */
static enum status revoke_by_tier(struct store_writer *writer, enum statement statement,
                                  const char *model, const char *device_id, int tier, int64_t now,
                                  const char *reason, size_t *num) {
    QUERY q = query_of(of_writer(writer), statement);
    if (device_id != NULL) {
        bind_id(&q, device_id);
    } else {
        bind_text(&q, model);
    }
    bind_int(&q, now);
    bind_text(&q, reason);
    bind_int(&q, tier);
    enum status status = query_run(&q);
    if (status == STATUS_OK) {
        *num = (size_t)query_changes(&q);
    }
    return status;
}

enum status store_credential_revoke_above(struct store_writer *writer, const char *device_id,
                                          int tier, int64_t now, const char *reason, size_t *num) {
    return revoke_by_tier(writer, SQL_CREDENTIAL_REVOKE_ABOVE, NULL, device_id, tier, now, reason,
                          num);
}

enum status store_credential_revoke_below(struct store_writer *writer, const char *model, int tier,
                                          int64_t now, const char *reason, size_t *num) {
    return revoke_by_tier(writer, SQL_CREDENTIAL_REVOKE_BELOW, model, NULL, tier, now, reason, num);
}

enum status store_credential_revoke_model(struct store_writer *writer, const char *model,
                                          int64_t now, const char *reason, size_t *num) {
    QUERY q = query_of(of_writer(writer), SQL_CREDENTIAL_REVOKE_MODEL);
    bind_text(&q, model);
    bind_int(&q, now);
    bind_text(&q, reason);
    enum status status = query_run(&q);
    if (status == STATUS_OK) {
        *num = (size_t)query_changes(&q);
    }
    return status;
}

enum status store_credential_revoked(struct store_reader *reader, const char *authority,
                                     int64_t expire_after, store_revoked_visit *visit,
                                     void *context) {
    QUERY q = query_of(of_reader(reader), SQL_CREDENTIAL_REVOKED);
    bind_text(&q, authority);
    bind_int(&q, expire_after);
    enum status status;
    while ((status = query_step(&q)) == STATUS_OK) {
        struct revoked_row row = {0};
        struct bytes serial = column_view(&q);
        row.revoked = column_int(&q);
        column_text(&q, row.reason, sizeof row.reason);
        if (q.status != STATUS_OK || serial.len != sizeof row.serial) {
            return q.status != STATUS_OK ? q.status : STATUS_STORAGE;
        }
        memcpy(row.serial, serial.data, sizeof row.serial);
        if (!visit(context, &row)) {
            return STATUS_OK;
        }
    }
    return status == STATUS_END ? STATUS_OK : status;
}

enum status store_credential_prune(struct store_writer *writer, int64_t before, unsigned limit) {
    QUERY q = query_of(of_writer(writer), SQL_CREDENTIAL_PRUNE);
    bind_int(&q, before);
    bind_int(&q, limit);
    enum status status = query_run(&q);
    return status == STATUS_OK && query_changes(&q) >= (int64_t)limit ? STATUS_LIMIT : status;
}

static enum status walk_devices(struct store_reader *reader, const struct store_visitor *visitor) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_WALK);
    enum status status;
    while ((status = query_step(&q)) == STATUS_OK) {
        struct device_row row = {0};
        status = read_device_head(&q, NULL, &row);
        if (status != STATUS_OK || !visitor->device(visitor->context, &row)) {
            return status;
        }
    }
    return status;
}

static enum status walk_credentials(struct store_reader *reader,
                                    const struct store_visitor *visitor, int64_t now) {
    QUERY q = query_of(of_reader(reader), SQL_CREDENTIAL_WALK);
    bind_int(&q, now);
    enum status status;
    while ((status = query_step(&q)) == STATUS_OK) {
        struct credential_row row = {0};
        status = read_credential(&q, NULL, &row);
        if (status != STATUS_OK || !visitor->credential(visitor->context, &row)) {
            return status;
        }
    }
    return status;
}

enum status store_walk(struct store_reader *reader, const struct store_visitor *visitor,
                       int64_t now) {
    enum status status = store_read_begin(reader);
    if (status != STATUS_OK) {
        return status;
    }
    status = walk_devices(reader, visitor);
    if (status == STATUS_END) {
        status = walk_credentials(reader, visitor, now);
    }
    store_read_end(reader);
    return status == STATUS_END ? STATUS_OK : status;
}

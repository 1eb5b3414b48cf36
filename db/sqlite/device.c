#include "db/sqlite/device.h"

#include "db/sqlite/sqlite.h"

enum status read_device_head(struct query *q, struct arena *arena, void *out) {
    struct device_row *row = out;
    (void)arena;
    column_id(q, row->id);
    column_text(q, row->model, sizeof row->model);
    row->state = (enum device_state)column_int(q);
    row->verdict = (int)column_int(q);
    row->tier = (int)column_int(q);
    column_id(q, row->appraisal_id);
    row->has_clock = !column_is_null(q);
    row->tpm_reset_count = column_int(q);
    row->tpm_restart_count = column_int(q);
    row->tpm_clock = column_int(q);
    row->enrolled = column_int(q);
    row->last_seen = column_int(q);
    row->updated = column_int(q);
    column_sha256(q, row->identity_sha256);
    column_text(q, row->identity_serial, sizeof row->identity_serial);
    row->identity_not_after = column_int(q);
    column_text(q, row->note, sizeof row->note);
    return q->status;
}

static enum status read_device(struct query *q, struct arena *arena, void *out) {
    struct device_row *row = out;
    if (read_device_head(q, arena, out) == STATUS_OK) {
        row->ek_public = column_bytes(q, arena);
        row->ak_public = column_bytes(q, arena);
        row->ek_certificate = column_bytes(q, arena);
    }
    return q->status;
}

static enum status one_device(struct query *q, struct arena *arena, struct device_row *out) {
    struct device_row row = {0};
    enum status status = query_first(q);
    if (status == STATUS_OK) {
        status = read_device(q, arena, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_device_get(struct store_reader *reader, struct arena *arena,
                             struct device_row *out, const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_GET);
    bind_id(&q, id);
    return one_device(&q, arena, out);
}

enum status store_device_by_identity(struct store_reader *reader, struct arena *arena,
                                     struct device_row *out, const uint8_t sha256[static 32]) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_BY_IDENTITY);
    bind_sha256(&q, sha256);
    return one_device(&q, arena, out);
}

enum status store_device_list(struct store_reader *reader, struct arena *arena,
                              struct device_row **out, size_t *num,
                              const struct device_filter *filter, struct store_page page) {
    enum { TRUSTED = 1 }; /* what most devices are: no index leads to these */
    enum statement statement = filter->state > DEVICE_ENROLLED ? SQL_DEVICE_LIST_STATE
                               : filter->verdict >= 0 && filter->verdict != TRUSTED
                                   ? SQL_DEVICE_LIST_VERDICT
                               : filter->model[0] != '\0' ? SQL_DEVICE_LIST_MODEL
                                                          : SQL_DEVICE_LIST;
    QUERY q = query_of(of_reader(reader), statement);
    bind_after(&q, page.after);
    bind_text(&q, filter->model);
    bind_int(&q, filter->state);
    bind_int(&q, filter->verdict);
    bind_int(&q, filter->tier);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_device);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

/* Is `key` that of a device other than `id`? CONFLICT; an empty key is no key. */
static enum status key_known(struct store_writer *writer, enum statement statement,
                             struct bytes key, const char *id) {
    if (key.len == 0) {
        return STATUS_OK;
    }
    QUERY q = query_of(of_writer(writer), statement);
    bind_blob(&q, key);
    bind_id(&q, id);
    enum status status = query_step(&q);
    return status == STATUS_OK ? STATUS_CONFLICT : status == STATUS_END ? STATUS_OK : status;
}

static enum status keys_known(struct store_writer *writer, const struct device_row *row) {
    enum status status = key_known(writer, SQL_DEVICE_EK_KNOWN, row->ek_public, row->id);
    return status == STATUS_OK ? key_known(writer, SQL_DEVICE_AK_KNOWN, row->ak_public, row->id)
                               : status;
}

static void bind_clock(struct query *q, const struct device_row *row) {
    if (row->has_clock) {
        bind_int(q, row->tpm_reset_count);
        bind_int(q, row->tpm_restart_count);
        bind_int(q, row->tpm_clock);
    } else {
        bind_null(q);
        bind_null(q);
        bind_null(q);
    }
}

static void bind_device(struct query *q, const struct device_row *row) {
    bind_id(q, row->id);
    bind_text(q, row->model);
    bind_int(q, row->state);
    bind_int(q, row->verdict);
    bind_int(q, row->tier);
    bind_id_or_null(q, row->appraisal_id);
    bind_clock(q, row);
    bind_int(q, row->enrolled);
    bind_int(q, row->last_seen);
    bind_int(q, row->updated);
    bind_sha256_or_null(q, row->identity_sha256);
    bind_text(q, row->identity_serial);
    bind_int(q, row->identity_not_after);
    bind_text(q, row->note);
}

enum status store_device_insert(struct store_writer *writer, const struct device_row *row) {
    enum status status = keys_known(writer, row);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY device = query_of(of_writer(writer), SQL_DEVICE_INSERT);
    bind_device(&device, row);
    status = query_run(&device);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY key = query_of(of_writer(writer), SQL_DEVICE_KEY_INSERT);
    bind_blob(&key, row->ek_public);
    bind_blob(&key, row->ak_public);
    bind_blob(&key, row->ek_certificate);
    return query_run(&key);
}

enum status store_device_update(struct store_writer *writer, const struct device_row *row) {
    enum status status = keys_known(writer, row);
    if (status != STATUS_OK) {
        return status == STATUS_MALFORMED ? STATUS_NOT_FOUND : status;
    }
    QUERY device = query_of(of_writer(writer), SQL_DEVICE_UPDATE);
    bind_device(&device, row);
    status = query_run_one(&device);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY key = query_of(of_writer(writer), SQL_DEVICE_KEY_UPDATE);
    bind_id(&key, row->id);
    bind_blob(&key, row->ek_public);
    bind_blob(&key, row->ak_public);
    bind_blob(&key, row->ek_certificate);
    return query_run(&key);
}

/* As the TPM counts: a reset starts the restarts anew, a restart may set the clock back. */
static bool is_later(const struct device_row *row, const struct device_row *than) {
    if (row->tpm_reset_count != than->tpm_reset_count) {
        return row->tpm_reset_count > than->tpm_reset_count;
    }
    if (row->tpm_restart_count != than->tpm_restart_count) {
        return row->tpm_restart_count > than->tpm_restart_count;
    }
    return row->tpm_clock > than->tpm_clock;
}

static enum status standing_get(struct store_writer *writer, struct device_row *out,
                                const char *id) {
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_STANDING_GET);
    bind_id(&q, id);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status;
    }
    out->verdict = (int)column_int(&q);
    out->tier = (int)column_int(&q);
    out->has_clock = !column_is_null(&q);
    out->tpm_reset_count = column_int(&q);
    out->tpm_restart_count = column_int(&q);
    out->tpm_clock = column_int(&q);
    return STATUS_OK;
}

static enum status standing_set(struct store_writer *writer, const struct device_row *row,
                                const struct device_row *clock) {
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_STANDING_SET);
    bind_id(&q, row->id);
    bind_id_or_null(&q, row->appraisal_id);
    bind_int(&q, row->last_seen);
    bind_clock(&q, clock);
    return query_run(&q);
}

enum status store_device_standing(struct store_writer *writer, const struct device_row *row) {
    struct device_row old = {0};
    enum status status = standing_get(writer, &old, row->id);
    if (status != STATUS_OK) {
        return status;
    }
    if (row->has_clock && old.has_clock && !is_later(row, &old)) {
        return STATUS_CONFLICT;
    }
    status = standing_set(writer, row, row->has_clock ? row : &old);
    if (status != STATUS_OK || (row->verdict == old.verdict && row->tier == old.tier)) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_VERDICT_SET);
    bind_id(&q, row->id);
    bind_int(&q, row->verdict);
    bind_int(&q, row->tier);
    return query_run(&q);
}

enum status store_device_touch(struct store_writer *writer, const char *id, int64_t now) {
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_TOUCH);
    bind_id(&q, id);
    bind_int(&q, now);
    return query_run_one(&q);
}

static enum status read_count(struct query *q, struct arena *arena, void *out) {
    struct fleet_count *row = out;
    (void)arena;
    column_text(q, row->model, sizeof row->model);
    row->state = (enum device_state)column_int(q);
    row->verdict = (int)column_int(q);
    row->tier = (int)column_int(q);
    row->num = column_int(q);
    row->oldest_seen = column_int(q);
    return q->status;
}

enum status store_fleet_counts(struct store_reader *reader, struct arena *arena,
                               struct fleet_count **out, size_t *num) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_COUNTS);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_count);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

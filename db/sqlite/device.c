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
    row->identity_kind = (enum identity_kind)column_int(q);
    row->key_protection = (enum key_protection)column_int(q);
    column_sha256(q, row->idevid_sha256);
    column_text(q, row->idevid_serial, sizeof row->idevid_serial);
    column_id(q, row->registration);
    column_text(q, row->note, sizeof row->note);
    row->trustworthiness = (uint16_t)column_int(q);
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

enum status store_device_state(struct store_reader *reader, enum device_state *out,
                               const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_STATE_GET);
    bind_id(&q, id);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        *out = (enum device_state)column_int(&q);
    }
    return status;
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

void bind_clock(struct query *q, const struct device_row *row) {
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
    bind_int(&q, row->trustworthiness);
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

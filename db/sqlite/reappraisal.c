/* Re-appraisal: its jobs, what they start from, and what they found. */
#include "db/sqlite/sqlite.h"

#include <string.h>

enum { KEPT_S = 90 * 86400 };

/* --- jobs --- */

static void read_counts(struct query *q, struct reappraisal_counts *counts) {
    counts->judged = column_int(q);
    counts->changed = column_int(q);
    counts->now_trusted = column_int(q);
    counts->now_untrusted = column_int(q);
    counts->credentials_revoked = column_int(q);
    counts->superseded = column_int(q);
    counts->without_facts = column_int(q);
    counts->damaged = column_int(q);
}

static void bind_counts(struct query *q, const struct reappraisal_counts *counts) {
    bind_int(q, counts->judged);
    bind_int(q, counts->changed);
    bind_int(q, counts->now_trusted);
    bind_int(q, counts->now_untrusted);
    bind_int(q, counts->credentials_revoked);
    bind_int(q, counts->superseded);
    bind_int(q, counts->without_facts);
    bind_int(q, counts->damaged);
}

static enum status read_job(struct query *q, struct arena *arena, void *out) {
    struct reappraisal_row *row = out;
    (void)arena;
    column_id(q, row->id);
    column_text(q, row->model, sizeof row->model);
    column_text(q, row->cause, sizeof row->cause);
    column_id(q, row->baseline_id);
    row->enforce = (enum enforcement)column_int(q);
    row->state = (enum reappraisal_state)column_int(q);
    column_text(q, row->requested_by, sizeof row->requested_by);
    column_text(q, row->reason, sizeof row->reason);
    row->created = column_int(q);
    row->started = column_int(q);
    row->ended = column_int(q);
    column_text(q, row->cursor_model, sizeof row->cursor_model);
    column_id(q, row->cursor);
    read_counts(q, &row->counts);
    return q->status;
}

static enum status one_job(struct query *q, struct reappraisal_row *out) {
    struct reappraisal_row row = {0};
    enum status status = query_first(q);
    if (status == STATUS_OK) {
        status = read_job(q, NULL, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_reappraisal_get(struct store_reader *reader, struct reappraisal_row *out,
                                  const char *id) {
    QUERY q = query_of(of_reader(reader), SQL_REAPPRAISAL_GET);
    bind_id(&q, id);
    return one_job(&q, out);
}

enum status store_reappraisal_next(struct store_reader *reader, struct reappraisal_row *out) {
    QUERY q = query_of(of_reader(reader), SQL_REAPPRAISAL_NEXT);
    return one_job(&q, out);
}

enum status store_reappraisal_list(struct store_reader *reader, struct arena *arena,
                                   struct reappraisal_row **out, size_t *num,
                                   const struct reappraisal_filter *filter,
                                   struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_REAPPRAISAL_LIST);
    uint8_t last[17]; /* after every id */
    memset(last, 0xff, sizeof last);
    if (page.after[0] == '\0') {
        bind_blob(&q, bytes_of(last, sizeof last));
    } else {
        bind_id(&q, page.after);
    }
    bind_text(&q, filter->model);
    bind_int(&q, filter->state);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_job);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_reappraisal_insert(struct store_writer *writer,
                                     const struct reappraisal_row *row) {
    QUERY forget = query_of(of_writer(writer), SQL_REAPPRAISAL_FORGET);
    bind_int(&forget, row->created - KEPT_S);
    enum status status = query_run(&forget);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_REAPPRAISAL_INSERT);
    bind_id(&q, row->id);
    bind_text(&q, row->model);
    bind_text(&q, row->cause);
    bind_id_or_null(&q, row->baseline_id);
    bind_int(&q, row->enforce);
    bind_int(&q, row->state);
    bind_text(&q, row->requested_by);
    bind_text(&q, row->reason);
    bind_int(&q, row->created);
    bind_int(&q, row->started);
    bind_int(&q, row->ended);
    bind_text(&q, row->cursor_model);
    bind_id_or_null(&q, row->cursor);
    bind_counts(&q, &row->counts);
    return query_run(&q);
}

enum status store_reappraisal_update(struct store_writer *writer,
                                     const struct reappraisal_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_REAPPRAISAL_UPDATE);
    bind_id(&q, row->id);
    bind_int(&q, row->state);
    bind_int(&q, row->started);
    bind_int(&q, row->ended);
    bind_text(&q, row->cursor_model);
    bind_id_or_null(&q, row->cursor);
    bind_counts(&q, &row->counts);
    enum status status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

/* --- what they start from --- */

static enum status read_standing(struct query *q, struct arena *arena, void *out) {
    struct device_standing_row *row = out;
    (void)arena;
    column_id(q, row->device_id);
    row->state = (enum device_state)column_int(q);
    row->verdict = (int)column_int(q);
    row->tier = (int)column_int(q);
    column_id(q, row->appraisal_id);
    column_id(q, row->baseline_id);
    row->key_protection = (enum key_protection)column_int(q);
    row->has_found = !column_is_null(q);
    row->found_verdict = (int)column_int(q);
    row->found_tier = (int)column_int(q);
    column_id(q, row->found_baseline_id);
    row->trustworthiness = (uint16_t)column_int(q);
    return q->status;
}

enum status store_standing_list(struct store_reader *reader, struct arena *arena,
                                struct device_standing_row **out, size_t *num, const char *model,
                                struct store_page page) {
    QUERY q = query_of(of_reader(reader), SQL_STANDING_LIST);
    bind_text(&q, model);
    bind_after(&q, page.after);
    bind_int(&q, page.limit);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_standing);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_standing_get(struct store_reader *reader, struct device_standing_row *out,
                               const char *device_id) {
    QUERY q = query_of(of_reader(reader), SQL_STANDING_GET);
    struct device_standing_row row = {0};
    bind_id(&q, device_id);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        status = read_standing(&q, NULL, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

/* --- what they found --- */

enum status store_device_reappraisal_get(struct store_reader *reader,
                                         struct device_reappraisal_row *out,
                                         const char *device_id) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_REAPPRAISAL_GET);
    struct device_reappraisal_row row = {0};
    bind_id(&q, device_id);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status;
    }
    column_id(&q, row.device_id);
    column_id(&q, row.job_id);
    column_id(&q, row.appraisal_id);
    column_id(&q, row.of_appraisal_id);
    column_id(&q, row.baseline_id);
    row.verdict = (int)column_int(&q);
    row.tier = (int)column_int(&q);
    row.created_ms = column_int(&q);
    if (q.status == STATUS_OK) {
        *out = row;
    }
    return q.status;
}

/* CONFLICT: the device is not what was judged. */
static enum status set_standing(struct store_writer *writer,
                                const struct device_reappraisal_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_REAPPRAISE);
    bind_id(&q, row->device_id);
    bind_id(&q, row->of_appraisal_id);
    bind_int(&q, row->verdict);
    bind_int(&q, row->tier);
    bind_id(&q, row->appraisal_id);
    bind_int(&q, row->trustworthiness);
    enum status status = query_run_one(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

static enum status check_standing(struct store_writer *writer,
                                  const struct device_reappraisal_row *row) {
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_REAPPRAISABLE);
    bind_id(&q, row->device_id);
    bind_id(&q, row->of_appraisal_id);
    enum status status = query_first(&q);
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

enum status store_device_reappraise(struct store_writer *writer,
                                    const struct device_reappraisal_row *row, bool stands) {
    enum status status = stands ? set_standing(writer, row) : check_standing(writer, row);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_REAPPRAISAL_PUT);
    bind_id(&q, row->device_id);
    bind_id(&q, row->job_id);
    bind_id(&q, row->appraisal_id);
    bind_id(&q, stands ? row->appraisal_id : row->of_appraisal_id);
    bind_id_or_null(&q, row->baseline_id);
    bind_int(&q, row->verdict);
    bind_int(&q, row->tier);
    bind_int(&q, row->created_ms);
    return query_run(&q);
}

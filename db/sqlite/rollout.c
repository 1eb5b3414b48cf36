#include "db/sqlite/sqlite.h"

#include "server/base/encoding.h"

#include <string.h>

enum { ID_LEN = (STORE_ID - 1) / 2 };

static enum status read_rollout(struct query *q, struct arena *arena, void *out) {
    struct rollout_row *row = out;
    column_id(q, row->baseline_id);
    row->state = (enum rollout_state)column_int(q);
    row->ring = column_int(q);
    row->opened = column_int(q);
    row->run = column_int(q);
    row->max_failure_percent = column_int(q);
    row->min_appraisals = column_int(q);
    row->min_s = column_int(q);
    row->appraised = column_int(q);
    row->failed = column_int(q);
    column_text(q, row->reason, sizeof row->reason);
    struct bytes percents = column_view(q);
    if (percents.len == 0 || percents.len > sizeof row->percent || row->ring < 0 ||
        row->ring >= (int64_t)percents.len) {
        return q->status == STATUS_OK ? STATUS_STORAGE : q->status;
    }
    memcpy(row->percent, percents.data, percents.len);
    row->num_rings = percents.len;
    struct bytes ids = column_view(q);
    row->num_devices = ids.len / ID_LEN;
    row->device =
        row->num_devices == 0 ? NULL : arena_array(arena, row->num_devices, sizeof *row->device);
    if (row->num_devices > 0 && row->device == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < row->num_devices; i++) {
        hex_encode(row->device[i], bytes_of(ids.data + i * ID_LEN, ID_LEN));
    }
    return q->status;
}

static enum status first(struct query *q, struct arena *arena, struct rollout_row *out) {
    struct rollout_row row = {0};
    enum status status = query_first(q);
    if (status == STATUS_OK) {
        status = read_rollout(q, arena, &row);
    }
    if (status == STATUS_OK) {
        *out = row;
    }
    return status;
}

enum status store_rollout_get(struct store_reader *reader, struct arena *arena,
                              struct rollout_row *out, const char *baseline_id) {
    QUERY q = query_of(of_reader(reader), SQL_ROLLOUT_GET);
    bind_id(&q, baseline_id);
    return first(&q, arena, out);
}

enum status store_rollout_due(struct store_reader *reader, struct arena *arena,
                              struct rollout_row *out, int64_t now) {
    QUERY q = query_of(of_reader(reader), SQL_ROLLOUT_DUE);
    bind_int(&q, now);
    return first(&q, arena, out);
}

enum status store_rollout_in_force(struct store_reader *reader, struct arena *arena,
                                   struct rollout_row **out, size_t *num) {
    QUERY q = query_of(of_reader(reader), SQL_ROLLOUT_IN_FORCE);
    void *rows = NULL;
    enum status status = rows_read(&q, arena, &rows, num, sizeof **out, read_rollout);
    if (status == STATUS_OK) {
        *out = rows;
    }
    return status;
}

enum status store_rollout_counts(struct store_reader *reader, int64_t out[static 6]) {
    QUERY q = query_of(of_reader(reader), SQL_ROLLOUT_COUNTS);
    int64_t counts[6] = {0};
    enum status status;
    while ((status = query_step(&q)) == STATUS_OK) {
        int64_t state = column_int(&q);
        int64_t num = column_int(&q);
        if (state >= 0 && state < 6) {
            counts[state] = num;
        }
    }
    if (status != STATUS_END) {
        return status;
    }
    memcpy(out, counts, sizeof counts);
    return STATUS_OK;
}

enum status store_rollout_put(struct store_writer *writer, const struct rollout_row *row) {
    uint8_t ids[ROLLOUT_DEVICES_MAX * ID_LEN];
    if (row->num_devices > ROLLOUT_DEVICES_MAX || row->num_rings > ROLLOUT_RINGS_MAX) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < row->num_devices; i++) {
        if (hex_decode(ids + i * ID_LEN, ID_LEN, row->device[i]) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    QUERY q = query_of(of_writer(writer), SQL_ROLLOUT_PUT);
    bind_id(&q, row->baseline_id);
    bind_int(&q, row->state);
    bind_int(&q, row->ring);
    bind_int(&q, row->opened);
    bind_int(&q, row->run);
    bind_int(&q, row->max_failure_percent);
    bind_int(&q, row->min_appraisals);
    bind_int(&q, row->min_s);
    bind_int(&q, row->appraised);
    bind_int(&q, row->failed);
    bind_text(&q, row->reason);
    bind_blob(&q, bytes_of(row->percent, row->num_rings));
    bind_blob(&q, bytes_of(ids, row->num_devices * ID_LEN));
    return query_run(&q);
}

enum status store_rollout_delete(struct store_writer *writer, const char *baseline_id) {
    QUERY q = query_of(of_writer(writer), SQL_ROLLOUT_DELETE);
    bind_id(&q, baseline_id);
    return query_run(&q);
}

static enum status seen(struct store_writer *writer, enum rollout_outcome *out,
                        const char *baseline_id, int64_t run, const char *device_id) {
    QUERY q = query_of(of_writer(writer), SQL_ROLLOUT_SEEN_GET);
    bind_id(&q, baseline_id);
    bind_id(&q, device_id);
    bind_int(&q, run);
    enum status status = query_first(&q);
    *out = status == STATUS_OK ? (enum rollout_outcome)column_int(&q) : ROLLOUT_NEITHER;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status put_seen(struct store_writer *writer, const char *baseline_id, int64_t run,
                            const char *device_id, enum rollout_outcome outcome) {
    QUERY q = query_of(of_writer(writer), SQL_ROLLOUT_SEEN_PUT);
    bind_id(&q, baseline_id);
    bind_id(&q, device_id);
    bind_int(&q, run);
    bind_int(&q, outcome);
    return query_run(&q);
}

enum status store_rollout_count(struct store_writer *writer, const char *baseline_id, int64_t run,
                                const char *device_id, enum rollout_outcome outcome) {
    enum rollout_outcome before;
    enum status status = seen(writer, &before, baseline_id, run, device_id);
    if (status != STATUS_OK || before == outcome) {
        return status;
    }
    {
        QUERY q = query_of(of_writer(writer), SQL_ROLLOUT_COUNT);
        bind_id(&q, baseline_id);
        bind_int(&q, run);
        bind_int(&q, (outcome != ROLLOUT_NEITHER) - (before != ROLLOUT_NEITHER));
        bind_int(&q, (outcome == ROLLOUT_FAILED) - (before == ROLLOUT_FAILED));
        status = query_run_one(&q);
    }
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    return put_seen(writer, baseline_id, run, device_id, outcome);
}

enum status store_rollout_forget(struct store_writer *writer, unsigned limit) {
    QUERY q = query_of(of_writer(writer), SQL_ROLLOUT_FORGET);
    bind_int(&q, limit);
    enum status status = query_run(&q);
    return status == STATUS_OK && query_changes(&q) >= (int64_t)limit ? STATUS_LIMIT : status;
}

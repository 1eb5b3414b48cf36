/* Devices' IMA logs, as sets of pieces. */
#include "db/sqlite/boot.h"

#include <stdlib.h>
#include <string.h>

enum { SET_MAX = STORE_IMA_ENTRIES_MAX };

/* A set while it is put together. */
struct set {
    int64_t *number;
    size_t num, cap;
};

static void set_free(struct set *set) {
    free(set->number);
}
#define SET __attribute__((cleanup(set_free))) struct set

static enum status set_add(struct set *set, int64_t first, int64_t num) {
    if (num > SET_MAX - (int64_t)set->num) {
        return STATUS_LIMIT;
    }
    if (set->num + (size_t)num > set->cap) {
        size_t cap = 2 * (set->num + (size_t)num);
        int64_t *number = realloc(set->number, cap * sizeof *number);
        if (number == NULL) {
            return STATUS_MEMORY;
        }
        set->number = number;
        set->cap = cap;
    }
    for (int64_t i = 0; i < num; i++) {
        set->number[set->num++] = first + i;
    }
    return STATUS_OK;
}

static enum status set_read(struct set *set, struct bytes runs) {
    struct piece_runs left = {runs, 0};
    struct piece_run run;
    enum status status;
    while ((status = piece_runs_next(&left, &run)) == STATUS_OK) {
        status = set_add(set, run.first, run.num);
        if (status != STATUS_OK) {
            return status == STATUS_LIMIT ? STATUS_STORAGE : status;
        }
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static int by_number(const void *a, const void *b) {
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Ascending, each once. */
static void set_sort(struct set *set) {
    size_t num = 0;
    if (set->num > 0) {
        qsort(set->number, set->num, sizeof *set->number, by_number);
    }
    for (size_t i = 0; i < set->num; i++) {
        if (num == 0 || set->number[num - 1] != set->number[i]) {
            set->number[num++] = set->number[i];
        }
    }
    set->num = num;
}

static enum status set_write(const struct set *set, uint8_t **out, size_t *len) {
    struct piece_run run = {0, 0};
    int64_t end = 0;
    size_t room = set->num * PIECE_RUN_MAX + 1;
    *out = malloc(room);
    if (*out == NULL) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(*out, room);
    for (size_t i = 0; i < set->num; i++) {
        if (run.num > 0 && set->number[i] == run.first + run.num) {
            run.num++;
            continue;
        }
        piece_run_write(&w, &end, &run);
        run = (struct piece_run){set->number[i], 1};
    }
    piece_run_write(&w, &end, &run);
    *len = w.len;
    return w.overflow ? STATUS_INTERNAL : STATUS_OK;
}

/* --- a device's row --- */

static enum status get_row(struct store_reader *reader, struct arena *arena,
                           struct device_ima_row *out, const char *device_id) {
    QUERY q = query_of(of_reader(reader), SQL_DEVICE_IMA_GET);
    struct device_ima_row row = {0};
    bind_id(&q, device_id);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status;
    }
    column_id(&q, row.device_id);
    row.reset_count = column_int(&q);
    row.restart_count = column_int(&q);
    row.num_entries = column_int(&q);
    row.position = column_bytes(&q, arena);
    row.met = column_bytes(&q, arena);
    row.entries = column_bytes(&q, arena);
    if (q.status == STATUS_OK) {
        *out = row;
    }
    return q.status;
}

enum status store_device_ima_get(struct store_reader *reader, struct arena *arena,
                                 struct device_ima_row *out, const char *device_id) {
    return get_row(reader, arena, out, device_id);
}

enum status store_device_ima_delete(struct store_writer *writer, const char *device_id) {
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_IMA_DELETE);
    bind_id(&q, device_id);
    enum status status = query_run(&q);
    if (status == STATUS_OK && query_changes(&q) > 0) {
        writer->sweep.wanted = true;
    }
    return status;
}

/* The set before, when the row goes on from it. CONFLICT: it does not. */
static enum status read_before(struct store_writer *writer, struct set *set,
                               const struct device_ima_row *row, int64_t after) {
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_IMA_GET);
    bind_id(&q, row->device_id);
    enum status status = query_first(&q);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND && after > 0 ? STATUS_CONFLICT : status;
    }
    column_skip(&q);
    int64_t reset = column_int(&q), restart = column_int(&q), num = column_int(&q);
    column_skip(&q);
    column_skip(&q);
    struct bytes entries = column_view(&q);
    if (q.status != STATUS_OK || after == 0) {
        writer->sweep.wanted = true; /* what the row held and does not any more */
        return q.status;
    }
    return reset == row->reset_count && restart == row->restart_count && num == after
               ? set_read(set, entries)
               : STATUS_CONFLICT;
}

static enum status write_row(struct store_writer *writer, const struct device_ima_row *row,
                             const struct set *set) {
    uint8_t *entries = NULL;
    size_t len = 0;
    enum status status = set_write(set, &entries, &len);
    if (status == STATUS_OK) {
        QUERY q = query_of(of_writer(writer), SQL_DEVICE_IMA_PUT);
        bind_id(&q, row->device_id);
        bind_int(&q, row->reset_count);
        bind_int(&q, row->restart_count);
        bind_int(&q, row->num_entries);
        bind_blob(&q, row->position);
        bind_blob(&q, row->met);
        bind_blob(&q, bytes_of(entries, len));
        status = query_run_one(&q);
    }
    free(entries);
    return status;
}

enum status store_device_ima_put(struct store_writer *writer, const struct device_ima_row *row,
                                 int64_t after, const struct bytes *entry, size_t num) {
    SET set = {0};
    enum status status = read_before(writer, &set, row, after);
    if (status == STATUS_NOT_FOUND) {
        status = STATUS_OK;
    }
    for (size_t i = 0; i < num && status == STATUS_OK; i++) {
        int64_t number = 0;
        status = log_piece_put(writer, &number, entry[i]);
        if (status == STATUS_OK) {
            status = set_add(&set, number, 1);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }
    set_sort(&set);
    return write_row(writer, row, &set);
}

/* --- its entries --- */

static enum status read_run(struct store_reader *reader, struct arena *arena, struct bytes *out,
                            size_t *num, size_t cap, struct piece_run run) {
    QUERY q = query_of(of_reader(reader), SQL_LOG_PIECES);
    enum status status;
    bind_int(&q, run.first);
    bind_int(&q, run.first + run.num - 1);
    size_t before = *num;
    while ((status = query_step(&q)) == STATUS_OK) {
        column_skip(&q);
        if (*num == cap) {
            return STATUS_STORAGE;
        }
        struct bytes packed = column_view(&q);
        status = q.status == STATUS_OK ? piece_copy(&out[*num], arena, packed) : q.status;
        if (status != STATUS_OK) {
            return status;
        }
        (*num)++;
    }
    return status != STATUS_END               ? status
           : *num - before == (size_t)run.num ? STATUS_OK
                                              : STATUS_STORAGE;
}

static enum status count_entries(struct bytes runs, size_t *num) {
    struct piece_runs left = {runs, 0};
    struct piece_run run;
    enum status status;
    *num = 0;
    while ((status = piece_runs_next(&left, &run)) == STATUS_OK) {
        if (run.num > SET_MAX - (int64_t)*num) {
            return STATUS_STORAGE;
        }
        *num += (size_t)run.num;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

enum status store_ima_entries(struct store_reader *reader, struct arena *arena, struct bytes **out,
                              size_t *num, const struct device_ima_row *row) {
    struct piece_runs left = {row->entries, 0};
    struct piece_run run;
    size_t cap, found = 0;
    enum status status = count_entries(row->entries, &cap);
    if (status != STATUS_OK) {
        return status;
    }
    struct bytes *entry = arena_array(arena, cap, sizeof *entry);
    if (entry == NULL) {
        return STATUS_MEMORY;
    }
    while ((status = piece_runs_next(&left, &run)) == STATUS_OK) {
        status = read_run(reader, arena, entry, &found, cap, run);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (status != STATUS_END) {
        return status;
    }
    *out = entry;
    *num = found;
    return STATUS_OK;
}

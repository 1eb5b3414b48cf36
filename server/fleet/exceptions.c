#include "server/fleet/exceptions.h"

#include <stdlib.h>
#include <string.h>

static int order(const void *a, const void *b) {
    const struct exception_row *x = a, *y = b;
    int by_device = strcmp(x->device_id, y->device_id);
    return by_device != 0 ? by_device : strcmp(x->id, y->id);
}

enum status exceptions_take(struct exceptions *out, struct arena *arena,
                            struct store_reader *reader, int64_t now) {
    enum status status = store_exception_in_force(reader, arena, &out->row, &out->num, now);
    if (status == STATUS_OK && out->num > 0) {
        qsort(out->row, out->num, sizeof *out->row, order);
    }
    return status;
}

/* The first that is not before the device. */
static size_t lower_bound(const struct exceptions *exceptions, const char *device_id) {
    size_t low = 0, high = exceptions->num;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(exceptions->row[middle].device_id, device_id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t exceptions_find(const struct exceptions *exceptions, const char *device_id, int64_t now,
                       const struct exception_row *out[static EXCEPTIONS_PER_DEVICE]) {
    size_t num = 0;
    for (size_t i = lower_bound(exceptions, device_id);
         i < exceptions->num && num < EXCEPTIONS_PER_DEVICE; i++) {
        const struct exception_row *row = &exceptions->row[i];
        if (strcmp(row->device_id, device_id) != 0) {
            break;
        }
        if (row->until > now) {
            out[num++] = row;
        }
    }
    return num;
}

struct appraisal_exception exception_view(const struct exception_row *row) {
    return (struct appraisal_exception){
        .id = row->id, .code = row->code, .rule = row->rule, .pcr = row->pcr, .found = row->found};
}

enum status exceptions_of_device(struct appraisal_exception **out, size_t *num, struct arena *arena,
                                 const struct exceptions *exceptions, const char *device_id,
                                 int64_t now) {
    const struct exception_row *row[EXCEPTIONS_PER_DEVICE];
    size_t found = exceptions_find(exceptions, device_id, now + EXCEPTION_LEAST_S, row);
    struct appraisal_exception *made = arena_array(arena, found, sizeof *made);
    for (size_t i = 0; i < found && made != NULL; i++) {
        made[i] = (struct appraisal_exception){
            .id = arena_text(arena, row[i]->id),
            .code = arena_text(arena, row[i]->code),
            .rule = arena_text(arena, row[i]->rule),
            .pcr = row[i]->pcr,
            .found = arena_text(arena, row[i]->found),
        };
    }
    if (arena->overflow) {
        return STATUS_MEMORY;
    }
    *out = made;
    *num = found;
    return STATUS_OK;
}

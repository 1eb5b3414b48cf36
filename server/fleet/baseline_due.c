#include "server/fleet/baseline_due.h"

#include "server/fleet/baseline_life.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_MAX = 1 << 26 };

/* As when it was scheduled. INVALID, LIMIT: it may not be in force now, and the detail says why. */
static enum status check(struct store_reader *reader, struct arena *arena,
                         const struct baseline_row *row, struct detail *detail) {
    struct baseline_row whole;
    enum status status = baseline_check_number(reader, arena, row->model);
    if (status == STATUS_LIMIT) {
        detail_set(detail, "the model has as many active baselines as it may");
    }
    if (status == STATUS_OK) {
        status = store_baseline_get(reader, arena, &whole, row->id);
    }
    return status == STATUS_OK ? baseline_check_document(reader, &whole, detail) : status;
}

static enum status activate(struct store_writer *writer, struct arena *arena,
                            struct baseline_row *row, enum baseline_due *out, int64_t now_ms,
                            struct detail *detail) {
    char who[STORE_NAME];
    (void)snprintf(who, sizeof who, "%s", row->activated_by);
    const struct baseline_actor by = {
        .actor = "system", .name = who, .request_id = "", .now_ms = now_ms};
    struct detail why = {0};
    enum status status = check(store_writer_reader(writer), arena, row, &why);
    if (status == STATUS_INVALID || status == STATUS_LIMIT) {
        (void)snprintf(row->note, sizeof row->note, "not activated: %.200s", why.text);
        *out = DUE_NOT_ACTIVATED;
        return baseline_write_step(writer, arena, row, STEP_UNSCHEDULE, &by, detail);
    }
    if (status == STATUS_OK) {
        status = baseline_replace_others(writer, arena, row, &by, detail);
    }
    if (status == STATUS_OK) {
        status = baseline_write_step(writer, arena, row, STEP_ACTIVATE, &by, detail);
    }
    *out = DUE_ACTIVATED;
    return status;
}

static enum status retire(struct store_writer *writer, struct arena *arena,
                          struct baseline_row *row, int64_t now_ms, struct detail *detail) {
    const struct baseline_actor by = {
        .actor = "system", .name = "", .request_id = "", .now_ms = now_ms};
    return baseline_write_step(writer, arena, row, STEP_RETIRE, &by, detail);
}

enum status baseline_due_step(struct store_writer *writer, enum baseline_due *out, int64_t now_ms,
                              struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    struct baseline_row row;
    enum baseline_due did = DUE_RETIRED;
    arena_init(&arena, ARENA_MAX);
    enum status status =
        store_baseline_due(store_writer_reader(writer), &arena, &row, now_ms / 1000);
    if (status == STATUS_NOT_FOUND) {
        *out = DUE_NOTHING;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = store_begin(writer, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = row.state == BASELINE_DEPRECATED
                 ? retire(writer, &arena, &row, now_ms, detail)
                 : activate(writer, &arena, &row, &did, now_ms, detail);
    if (status == STATUS_OK) {
        status = store_commit(writer, detail);
    }
    if (status != STATUS_OK) {
        store_rollback(writer);
        return status;
    }
    *out = did;
    return STATUS_OK;
}

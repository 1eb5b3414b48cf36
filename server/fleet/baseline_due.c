#include "server/fleet/baseline_due.h"

#include "server/fleet/baseline_life.h"
#include "server/fleet/rollout.h"

#include <inttypes.h>
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
    bool in_rings = false;
    if (status == STATUS_OK) {
        status = rollout_is_scheduled(store_writer_reader(writer), arena, row->id, &in_rings);
    }
    if (status == STATUS_OK && !in_rings) {
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

static enum status roll_out(struct store_writer *writer, struct arena *arena,
                            struct rollout_row *row, enum baseline_due *out, int64_t now_ms,
                            struct detail *detail) {
    static const enum baseline_due did[] = {[ROLLOUT_OPEN] = DUE_RING_OPENED,
                                            [ROLLOUT_HALT] = DUE_ROLLOUT_HALTED,
                                            [ROLLOUT_FINISH] = DUE_ROLLOUT_COMPLETE};
    const struct baseline_actor by = {
        .actor = "system", .name = "", .request_id = "", .now_ms = now_ms};
    const enum rollout_action action = rollout_next(row);
    char reason[sizeof row->reason];
    (void)snprintf(reason, sizeof reason,
                   "%" PRId64 " of %" PRId64 " devices failed; the bound is %" PRId64 " %%",
                   row->failed, row->appraised, row->max_failure_percent);
    *out = did[action];
    return rollout_take(writer, arena, row, action, action == ROLLOUT_HALT ? reason : NULL, &by,
                        detail);
}

struct due { /* one of the two */
    struct baseline_row baseline;
    struct rollout_row rollout;
    bool of_rollout;
};

static enum status find(struct store_reader *reader, struct arena *arena, struct due *out,
                        int64_t now) {
    enum status status = store_baseline_due(reader, arena, &out->baseline, now);
    out->of_rollout = status == STATUS_NOT_FOUND;
    return out->of_rollout ? store_rollout_due(reader, arena, &out->rollout, now) : status;
}

static enum status take(struct store_writer *writer, struct arena *arena, struct due *due,
                        enum baseline_due *out, int64_t now_ms, struct detail *detail) {
    if (due->of_rollout) {
        return roll_out(writer, arena, &due->rollout, out, now_ms, detail);
    }
    *out = DUE_RETIRED;
    return due->baseline.state == BASELINE_DEPRECATED
               ? retire(writer, arena, &due->baseline, now_ms, detail)
               : activate(writer, arena, &due->baseline, out, now_ms, detail);
}

enum status baseline_due_step(struct store_writer *writer, enum baseline_due *out, int64_t now_ms,
                              struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    struct due due = {0};
    enum baseline_due did = DUE_NOTHING;
    arena_init(&arena, ARENA_MAX);
    enum status status = find(store_writer_reader(writer), &arena, &due, now_ms / 1000);
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
    status = take(writer, &arena, &due, &did, now_ms, detail);
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

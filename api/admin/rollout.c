/* POST /v1/baselines/{id}/rollout, and what an activation says of rings. */
#include "api/admin/rollout.h"

#include "server/fleet/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

static int order_ids(const void *a, const void *b) {
    return strcmp(a, b);
}

static bool read_devices(struct request *r, const struct id_list *list, struct rollout_row *row) {
    row->device = arena_array(r->x->arena, list->num, sizeof *row->device);
    row->num_devices = list->num;
    for (size_t i = 0; i < list->num; i++) {
        if (row->device == NULL || strlen(list->id[i]) != STORE_ID - 1) {
            (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "rollout.devices[%zu]: no id", i);
            return false;
        }
        text_copy(row->device[i], STORE_ID, list->id[i]);
    }
    if (list->num > 0) {
        qsort(row->device, list->num, sizeof *row->device, order_ids);
    }
    for (size_t i = 1; i < list->num; i++) {
        if (strcmp(row->device[i], row->device[i - 1]) == 0) {
            (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "rollout.devices: %s stands twice",
                                 row->device[i]);
            return false;
        }
    }
    return true;
}

/* The named devices are a ring of their own, before the percentages; everybody is the last. */
static bool read_percents(struct request *r, const struct ring_list *list,
                          struct rollout_row *row) {
    if (row->num_devices > 0) {
        row->percent[row->num_rings++] = 0;
    }
    for (size_t i = 0; i < list->num; i++) {
        if (i > 0 && list->percent[i] <= list->percent[i - 1]) {
            (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                                 "rollout.rings: percentages ascend, and each stands once");
            return false;
        }
        row->percent[row->num_rings++] = list->percent[i];
    }
    bool whole = row->num_rings > 0 && row->percent[row->num_rings - 1] == 100;
    if (!whole && row->num_rings == ROLLOUT_RINGS_MAX) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "rollout.rings: too many");
        return false;
    }
    if (!whole) {
        row->percent[row->num_rings++] = 100;
    }
    return true;
}

bool rollout_read(struct request *r, const struct rollout_body *body, struct rollout_row **out) {
    if (!body->given) {
        return true;
    }
    struct rollout_row *row = arena_alloc(r->x->arena, sizeof *row);
    if (row == NULL) {
        (void)problem(r->x, PROBLEM_INTERNAL);
        return false;
    }
    *row = (struct rollout_row){.state = ROLLOUT_SCHEDULED,
                                .max_failure_percent = body->max_failure_percent,
                                .min_appraisals = body->min_appraisals,
                                .min_s = body->min_s};
    if (body->devices.num == 0 && body->rings.num == 0) {
        (void)problem_detail(r->x, PROBLEM_MISSING_FIELD, "rollout: devices, rings, or both");
        return false;
    }
    *out = row;
    return read_devices(r, &body->devices, row) && read_percents(r, &body->rings, row);
}

/* --- with an activation --- */

static enum status check_devices(struct change *c, struct store_writer *writer, const char *model,
                                 const struct rollout_row *rollout, struct detail *detail) {
    for (size_t i = 0; i < rollout->num_devices; i++) {
        struct device_row device;
        enum status status = store_device_get(store_writer_reader(writer), c->r->x->arena, &device,
                                              rollout->device[i]);
        if (status == STATUS_NOT_FOUND ||
            (status == STATUS_OK && strcmp(device.model, model) != 0)) {
            detail_set(detail, "rollout.devices: %s is no device of the model", rollout->device[i]);
            return change_fail(c, PROBLEM_INVALID_FIELD, STATUS_INVALID);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

enum status rollout_schedule(struct change *c, struct store_writer *writer,
                             const struct baseline_row *baseline, struct rollout_row *rollout,
                             struct detail *detail) {
    if (rollout == NULL) {
        return store_rollout_delete(writer, baseline->id);
    }
    if (baseline->state == BASELINE_DEPRECATED) {
        detail_set(detail, "it is deprecated: it is activated again without a rollout");
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    text_copy(rollout->baseline_id, sizeof rollout->baseline_id, baseline->id);
    enum status status = check_devices(c, writer, baseline->model, rollout, detail);
    return status == STATUS_OK ? store_rollout_put(writer, rollout) : status;
}

/* --- what operators do to one that is under way --- */

struct rollout_action_body {
    const char *action;
};
static const struct field fields[] = {
    {"action", FIELD_TEXT, true, 1, 16, offsetof(struct rollout_action_body, action)},
};
const struct shape baseline_rollout_shape = SHAPE(fields, struct rollout_action_body);

struct rollout_change {
    struct change change; /* first */
    enum rollout_action action;
    struct rollout_row row;
};

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct rollout_change *k = (struct rollout_change *)c;
    const struct request *r = c->r;
    struct arena *arena = r->x->arena;
    struct baseline_row baseline;
    char reason[sizeof k->row.reason];
    const struct baseline_actor by = {.actor = r->actor,
                                      .name = r->operator_name,
                                      .request_id = r->x->request_id,
                                      .now_ms = c->now_ms};
    enum status status =
        store_baseline_get(store_writer_reader(writer), arena, &baseline, r->param[0]);
    if (status != STATUS_OK) {
        return status;
    }
    status = store_rollout_get(store_writer_reader(writer), arena, &k->row, r->param[0]);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    if (status == STATUS_NOT_FOUND || !rollout_action_allowed(k->action, &k->row)) {
        detail_set(detail, "%s%s",
                   status == STATUS_NOT_FOUND ? "it has no rollout" : "its rollout is ",
                   status == STATUS_NOT_FOUND ? "" : rollout_state_name(k->row.state));
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    (void)snprintf(reason, sizeof reason, "halted by %s", r->operator_name);
    return rollout_take(writer, arena, &k->row, k->action,
                        k->action == ROLLOUT_HALT ? reason : NULL, &by, detail);
}

static enum http_next answer(struct change *c) {
    struct json_out o;
    reappraisals_wake(c->r->api->options.reappraisals);
    json_out_init(&o, c->r->x->arena, 512);
    rollout_write_json(&o, NULL, &((const struct rollout_change *)c)->row);
    return answer_json(c->r, 200, &o);
}

/* The audit entry is written with the row. */
static const struct change_kind kind = {
    .commit = CHANGE_COMMIT(.name = "baseline.rollout", .reloads_policy = true),
    .apply = apply,
    .answer = answer,
    .silent = true};

enum http_next baseline_rollout(struct request *r) {
    static const struct {
        const char *name;
        enum rollout_action action;
    } actions[] = {
        {"halt", ROLLOUT_HALT}, {"resume", ROLLOUT_RESUME}, {"complete", ROLLOUT_FINISH}};
    const struct rollout_action_body *body = r->body;
    struct rollout_change *k = change_new(r, &kind, sizeof *k);
    if (k == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(body->action, actions[i].name) == 0) {
            k->action = actions[i].action;
            return change_submit(&k->change);
        }
    }
    return problem_detail(r->x, PROBLEM_INVALID_FIELD, "action: one of halt, resume, complete");
}

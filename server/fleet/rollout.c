#include "server/fleet/rollout.h"

#include "server/base/encoding.h"
#include "server/base/siphash.h"
#include "server/fleet/audit_chain.h"
#include "server/fleet/reappraisal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- membership --- */

static int compare_id(const void *id, const void *device) {
    return strcmp(id, device);
}

bool rollout_includes(const struct rollout_row *row, const char *device_id) {
    uint8_t key[SIPHASH_KEY];
    unsigned percent = row->percent[row->ring];
    if (row->state == ROLLOUT_COMPLETE || percent >= 100) {
        return true;
    }
    if (row->num_devices > 0 && bsearch(device_id, row->device, row->num_devices,
                                        sizeof *row->device, compare_id) != NULL) {
        return true;
    }
    return hex_decode(key, sizeof key, row->baseline_id) == STATUS_OK &&
           siphash(key, bytes_of_text(device_id)) % 100 < percent;
}

/* --- actions --- */

bool rollout_action_allowed(enum rollout_action action, const struct rollout_row *row) {
    switch (action) {
    case ROLLOUT_OPEN:
        return row->state == ROLLOUT_RUNNING && (size_t)row->ring + 1 < row->num_rings;
    case ROLLOUT_HALT:
        return row->state == ROLLOUT_RUNNING;
    case ROLLOUT_RESUME:
        return row->state == ROLLOUT_HALTED;
    case ROLLOUT_FINISH:
        return row->state == ROLLOUT_RUNNING || row->state == ROLLOUT_HALTED;
    }
    return false;
}

static int64_t needed(const struct rollout_row *row) {
    bool fewer = row->percent[row->ring] == 0 && (int64_t)row->num_devices < row->min_appraisals;
    return fewer ? (int64_t)row->num_devices : row->min_appraisals;
}

enum rollout_action rollout_next(const struct rollout_row *row) {
    int64_t least = needed(row);
    int64_t of = row->appraised > least ? row->appraised : least;
    if (row->failed * 100 > row->max_failure_percent * of) {
        return ROLLOUT_HALT;
    }
    return rollout_action_allowed(ROLLOUT_OPEN, row) ? ROLLOUT_OPEN : ROLLOUT_FINISH;
}

static void count_anew(struct rollout_row *row, int64_t now) {
    row->opened = now;
    row->run++;
    row->appraised = row->failed = 0;
    row->reason[0] = '\0';
}

static void change(struct rollout_row *row, enum rollout_action action, const char *reason,
                   int64_t now) {
    switch (action) {
    case ROLLOUT_OPEN:
        row->ring++;
        count_anew(row, now);
        break;
    case ROLLOUT_HALT:
        row->state = ROLLOUT_HALTED;
        (void)snprintf(row->reason, sizeof row->reason, "%s", reason);
        break;
    case ROLLOUT_RESUME:
        row->state = ROLLOUT_RUNNING;
        count_anew(row, now);
        break;
    case ROLLOUT_FINISH:
        row->state = ROLLOUT_COMPLETE;
        row->ring = (int64_t)row->num_rings - 1;
        row->reason[0] = '\0';
        break;
    }
}

static enum status judge_again(struct store_writer *writer, const struct baseline_row *baseline,
                               const struct baseline_actor *by, struct detail *detail) {
    char id[STORE_ID];
    const struct reappraisal_request request = {.model = baseline->model,
                                                .cause = "rollout_ring_opened",
                                                .baseline_id = baseline->id,
                                                .enforce = ENFORCE_LEASE,
                                                .requested_by = by->actor,
                                                .request_id = by->request_id};
    return reappraisal_request(writer, id, &request, by->now_ms, detail);
}

/* What was to be replaced once everybody has the baseline. */
static enum status replace(struct store_writer *writer, struct arena *arena,
                           struct baseline_row *baseline, const struct baseline_actor *by,
                           struct detail *detail) {
    if (baseline->num_replaces == 0) {
        return STATUS_OK;
    }
    enum status status = baseline_replace_others(writer, arena, baseline, by, detail);
    baseline->document = (struct bytes){0}; /* stays as it is */
    baseline->updated = by->now_ms / 1000;
    return status == STATUS_OK ? store_baseline_update(writer, baseline) : status;
}

static struct bytes as_json(struct arena *arena, const struct rollout_row *row) {
    struct json_out o;
    json_out_init(&o, arena, 512);
    rollout_write_json(&o, NULL, row);
    return json_out_end(&o);
}

static enum status write_row(struct store_writer *writer, struct arena *arena,
                             struct rollout_row *row, enum rollout_action action,
                             const char *reason, const struct baseline_actor *by,
                             struct detail *detail) {
    static const char *const actions[] = {
        [ROLLOUT_OPEN] = "baseline.rollout_open",
        [ROLLOUT_HALT] = "baseline.rollout_halt",
        [ROLLOUT_RESUME] = "baseline.rollout_resume",
        [ROLLOUT_FINISH] = "baseline.rollout_complete",
    };
    struct audit_row audit = {.time_ms = by->now_ms};
    audit.before = as_json(arena, row);
    change(row, action, reason, by->now_ms / 1000);
    audit.after = as_json(arena, row);
    if (audit.before.len == 0 || audit.after.len == 0) {
        return STATUS_MEMORY;
    }
    (void)snprintf(audit.actor, sizeof audit.actor, "%s", by->actor);
    (void)snprintf(audit.action, sizeof audit.action, "%s", actions[action]);
    (void)snprintf(audit.request_id, sizeof audit.request_id, "%s", by->request_id);
    (void)snprintf(audit.object, sizeof audit.object, "baseline:%s", row->baseline_id);
    enum status status = store_rollout_put(writer, row);
    return status == STATUS_OK ? audit_append(writer, &audit, detail) : status;
}

enum status rollout_take(struct store_writer *writer, struct arena *arena, struct rollout_row *row,
                         enum rollout_action action, const char *reason,
                         const struct baseline_actor *by, struct detail *detail) {
    struct baseline_row baseline;
    bool widens = action == ROLLOUT_OPEN ||
                  (action == ROLLOUT_FINISH && (size_t)row->ring + 1 < row->num_rings);
    enum status status =
        store_baseline_get(store_writer_reader(writer), arena, &baseline, row->baseline_id);
    if (status == STATUS_OK) {
        status = write_row(writer, arena, row, action, reason, by, detail);
    }
    if (status == STATUS_OK && action == ROLLOUT_FINISH) {
        status = replace(writer, arena, &baseline, by, detail);
    }
    return status == STATUS_OK && widens ? judge_again(writer, &baseline, by, detail) : status;
}

/* --- with the baseline's steps --- */

static enum status begin(struct store_writer *writer, struct rollout_row *row, int64_t now) {
    if (row->state != ROLLOUT_SCHEDULED) { /* that of a former time in force */
        return store_rollout_delete(writer, row->baseline_id);
    }
    row->state = ROLLOUT_RUNNING;
    row->ring = 0;
    count_anew(row, now);
    return store_rollout_put(writer, row);
}

static enum status end(struct store_writer *writer, struct rollout_row *row) {
    if (row->state == ROLLOUT_COMPLETE) {
        return STATUS_OK;
    }
    row->state = ROLLOUT_ENDED;
    row->reason[0] = '\0';
    return store_rollout_put(writer, row);
}

enum status rollout_follow(struct store_writer *writer, struct arena *arena,
                           const struct baseline_row *row, enum baseline_step step) {
    struct rollout_row rollout;
    enum status status = store_rollout_get(store_writer_reader(writer), arena, &rollout, row->id);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    switch (step) {
    case STEP_ACTIVATE:
    case STEP_ACTIVATE_ALONE:
        return begin(writer, &rollout, row->updated);
    case STEP_DEPRECATE:
    case STEP_RETIRE:
    case STEP_REVOKE:
        return end(writer, &rollout);
    case STEP_WITHDRAW:
    case STEP_REJECT:
    case STEP_UNSCHEDULE:
        return store_rollout_delete(writer, row->id);
    case STEP_SUBMIT:
    case STEP_APPROVE:
    case STEP_SCHEDULE:
    case NUM_BASELINE_STEPS:
        break;
    }
    return STATUS_OK;
}

enum status rollout_is_scheduled(struct store_reader *reader, struct arena *arena,
                                 const char *baseline_id, bool *out) {
    struct rollout_row row;
    enum status status = store_rollout_get(reader, arena, &row, baseline_id);
    if (status == STATUS_OK || status == STATUS_NOT_FOUND) {
        *out = status == STATUS_OK && row.state == ROLLOUT_SCHEDULED;
        return STATUS_OK;
    }
    return status;
}

/* --- JSON --- */

void rollout_write_json(struct json_out *o, const char *name, const struct rollout_row *row) {
    if (row == NULL) {
        json_out_text(o, name, NULL);
        return;
    }
    json_out_object(o, name);
    json_out_text(o, "state", rollout_state_name(row->state));
    json_out_text_or_null(o, "reason", row->reason);
    json_out_array(o, "devices");
    for (size_t i = 0; i < row->num_devices; i++) {
        json_out_text(o, NULL, row->device[i]);
    }
    json_out_array_end(o);
    json_out_array(o, "rings");
    for (size_t i = 0; i < row->num_rings; i++) {
        json_out_int(o, NULL, row->percent[i]);
    }
    json_out_array_end(o);
    json_out_int(o, "max_failure_percent", row->max_failure_percent);
    json_out_int(o, "min_appraisals", row->min_appraisals);
    json_out_int(o, "min_s", row->min_s);
    json_out_int(o, "ring", row->ring);
    json_out_int(o, "percent", row->percent[row->ring]);
    json_out_time_or_null(o, "opened_at", row->opened);
    json_out_int(o, "appraised", row->appraised);
    json_out_int(o, "failed", row->failed);
    json_out_object_end(o);
}

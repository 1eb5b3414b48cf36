#include "server/fleet/baseline_life.h"

#include "server/appraisal/appraisal.h"
#include "server/fleet/audit_chain.h"
#include "server/fleet/reappraisal.h"
#include "server/fleet/rollout.h"

#include <stdio.h>
#include <string.h>

static void copy_text(char *out, size_t size, const char *text) {
    (void)snprintf(out, size, "%s", text);
}

#define IN(state) (1u << BASELINE_##state)

static const struct {
    const char *action;
    unsigned from;          /* bits 1 << enum baseline_state */
    enum baseline_state to; /* 0: as it was */
} steps[NUM_BASELINE_STEPS] = {
    [STEP_SUBMIT] = {"baseline.submit", IN(DRAFT), BASELINE_SUBMITTED},
    [STEP_WITHDRAW] = {"baseline.withdraw", IN(SUBMITTED) | IN(APPROVED), BASELINE_DRAFT},
    [STEP_APPROVE] = {"baseline.approve", IN(SUBMITTED), BASELINE_APPROVED},
    [STEP_REJECT] = {"baseline.reject", IN(SUBMITTED) | IN(APPROVED), BASELINE_DRAFT},
    [STEP_ACTIVATE] = {"baseline.activate", IN(APPROVED) | IN(DEPRECATED), BASELINE_ACTIVE},
    [STEP_ACTIVATE_ALONE] = {"baseline.activate", IN(DRAFT) | IN(SUBMITTED), BASELINE_ACTIVE},
    [STEP_SCHEDULE] = {"baseline.schedule", IN(APPROVED), 0},
    [STEP_UNSCHEDULE] = {"baseline.unschedule", IN(APPROVED), 0},
    [STEP_DEPRECATE] = {"baseline.deprecate", IN(ACTIVE) | IN(DEPRECATED), BASELINE_DEPRECATED},
    [STEP_RETIRE] = {"baseline.retire", IN(ACTIVE) | IN(DEPRECATED), BASELINE_RETIRED},
    [STEP_REVOKE] = {"baseline.revoke", IN(ACTIVE) | IN(DEPRECATED) | IN(RETIRED),
                     BASELINE_REVOKED},
};

const char *baseline_step_action(enum baseline_step step) {
    return steps[step].action;
}

bool baseline_step_allowed(enum baseline_step step, const struct baseline_row *row) {
    return (steps[step].from & 1u << row->state) != 0 &&
           (step != STEP_UNSCHEDULE || row->activate_at != 0);
}

static void forget_schedule(struct baseline_row *row) {
    row->activate_at = 0;
    row->replaces = NULL;
    row->num_replaces = 0;
    row->replace_grace_s = 0;
}

static void back_to_draft(struct baseline_row *row) {
    row->submitted_by[0] = row->approved_by[0] = row->activated_by[0] = '\0';
    row->submitted = row->approved = 0;
    forget_schedule(row);
}

static void submit(struct baseline_row *row, const char *who, int64_t now) {
    copy_text(row->submitted_by, sizeof row->submitted_by, who);
    row->submitted = now;
}

static void approve(struct baseline_row *row, const char *who, int64_t now) {
    copy_text(row->approved_by, sizeof row->approved_by, who);
    row->approved = now;
}

static void activate(struct baseline_row *row, const char *who, int64_t now) {
    copy_text(row->activated_by, sizeof row->activated_by, who);
    row->activated = now;
    row->activate_at = row->grace_until = 0;
}

void baseline_take_step(struct baseline_row *row, enum baseline_step step, const char *who,
                        int64_t now) {
    if (step != STEP_REJECT && step != STEP_UNSCHEDULE) {
        row->note[0] = '\0';
    }
    switch (step) {
    case STEP_SUBMIT:
        submit(row, who, now);
        break;
    case STEP_WITHDRAW:
    case STEP_REJECT:
        back_to_draft(row);
        break;
    case STEP_APPROVE:
        approve(row, who, now);
        break;
    case STEP_ACTIVATE_ALONE:
        if (row->state == BASELINE_DRAFT) {
            submit(row, who, now);
        }
        approve(row, who, now);
        activate(row, who, now);
        break;
    case STEP_ACTIVATE:
        activate(row, who, now);
        break;
    case STEP_SCHEDULE:
        copy_text(row->activated_by, sizeof row->activated_by, who);
        break;
    case STEP_UNSCHEDULE:
        row->activated_by[0] = '\0';
        forget_schedule(row);
        break;
    case STEP_RETIRE:
    case STEP_REVOKE:
        row->retired = row->retired == 0 ? now : row->retired;
        forget_schedule(row);
        break;
    case STEP_DEPRECATE: /* what was to be replaced at the end of its rollout stays */
        forget_schedule(row);
        break;
    case NUM_BASELINE_STEPS:
        break;
    }
    row->state = steps[step].to == 0 ? row->state : steps[step].to;
    row->updated = now;
}

/* --- whether it may be in force --- */

static enum status check_selection(const struct baseline *compiled, const struct model_row *model,
                                   struct detail *detail) {
    struct pcr_selection wanted, named;
    if (pcr_selection_parse(&wanted, model->pcr_selection, detail) != STATUS_OK) {
        return STATUS_INTERNAL;
    }
    baseline_selection(compiled, &named);
    for (size_t i = 0; i < named.num_banks; i++) {
        uint32_t mask = pcr_selection_mask(&wanted, named.bank[i].bank);
        if ((named.bank[i].mask & ~mask) != 0) {
            return status_fail(detail, STATUS_INVALID,
                               "it names a PCR that the model's pcr_selection, %.128s, lacks",
                               model->pcr_selection);
        }
    }
    return STATUS_OK;
}

enum status baseline_check_document(struct store_reader *reader, const struct baseline_row *row,
                                    struct detail *detail) {
    struct model_row model;
    struct baseline *compiled = NULL;
    enum status status = store_model_get(reader, &model, row->model);
    if (status != STATUS_OK) {
        return status;
    }
    status = baseline_compile(&compiled, row->document, NULL, detail);
    if (status != STATUS_OK) {
        return status == STATUS_MEMORY ? status : STATUS_INVALID;
    }
    status = check_selection(compiled, &model, detail);
    baseline_free(compiled);
    return status;
}

enum status baseline_check_number(struct store_reader *reader, struct arena *arena,
                                  const char *model) {
    struct baseline_row *rows;
    size_t num, of_model = 0;
    enum status status = store_baseline_in_force(reader, arena, &rows, &num);
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        of_model += strcmp(rows[i].model, model) == 0;
    }
    return status == STATUS_OK && of_model >= BASELINE_MAX_PER_MODEL ? STATUS_LIMIT : status;
}

/* --- writing --- */

/* What changes what is in force is held against the fleet. */
static enum status reappraise(struct store_writer *writer, const struct baseline_row *row,
                              enum baseline_step step, const struct baseline_actor *by,
                              struct detail *detail) {
    static const char *const causes[NUM_BASELINE_STEPS] = {
        [STEP_ACTIVATE] = "baseline_activated",
        [STEP_ACTIVATE_ALONE] = "baseline_activated",
        [STEP_RETIRE] = "baseline_retired",
        [STEP_REVOKE] = "baseline_revoked",
    };
    char id[STORE_ID];
    if (causes[step] == NULL) {
        return STATUS_OK;
    }
    enum enforcement usual = step == STEP_REVOKE ? ENFORCE_NOW : ENFORCE_LEASE;
    const struct reappraisal_request request = {.model = row->model,
                                                .cause = causes[step],
                                                .baseline_id = row->id,
                                                .enforce = by->enforce != 0 ? by->enforce : usual,
                                                .requested_by = by->actor,
                                                .request_id = by->request_id};
    return reappraisal_request(writer, id, &request, by->now_ms, detail);
}

enum status baseline_write_step(struct store_writer *writer, struct arena *arena,
                                struct baseline_row *row, enum baseline_step step,
                                const struct baseline_actor *by, struct detail *detail) {
    struct audit_row audit = {.time_ms = by->now_ms};
    audit.before = baseline_head_json(arena, row);
    baseline_take_step(row, step, by->name, by->now_ms / 1000);
    enum status status = store_baseline_update(writer, row);
    if (status != STATUS_OK) {
        return status;
    }
    row->version++;
    audit.after = baseline_head_json(arena, row);
    if (audit.before.len == 0 || audit.after.len == 0) {
        return STATUS_MEMORY;
    }
    copy_text(audit.actor, sizeof audit.actor, by->actor);
    copy_text(audit.action, sizeof audit.action, baseline_step_action(step));
    copy_text(audit.request_id, sizeof audit.request_id, by->request_id);
    (void)snprintf(audit.object, sizeof audit.object, "baseline:%s", row->id);
    status = audit_append(writer, &audit, detail);
    if (status == STATUS_OK) {
        status = rollout_follow(writer, arena, row, step);
    }
    return status == STATUS_OK ? reappraise(writer, row, step, by, detail) : status;
}

enum status baseline_replace_others(struct store_writer *writer, struct arena *arena,
                                    struct baseline_row *row, const struct baseline_actor *by,
                                    struct detail *detail) {
    for (size_t i = 0; i < row->num_replaces; i++) {
        struct baseline_row other;
        enum status status =
            store_baseline_get(store_writer_reader(writer), arena, &other, row->replaces[i]);
        if (status == STATUS_NOT_FOUND || (status == STATUS_OK && other.state != BASELINE_ACTIVE)) {
            continue;
        }
        if (status == STATUS_OK) {
            other.grace_until = by->now_ms / 1000 + row->replace_grace_s;
            status = baseline_write_step(writer, arena, &other, STEP_DEPRECATE, by, detail);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    forget_schedule(row);
    return STATUS_OK;
}

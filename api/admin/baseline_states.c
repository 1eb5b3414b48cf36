/* POST /v1/baselines/{id}/{submit|withdraw|approve|reject|activate|unschedule|deprecate|retire|
 * revoke}: the steps of server/fleet/baseline_life.h that operators ask for. Nobody approves a
 * document that they wrote, changed or submitted; an administrator only where the configuration does
 * not ask for two people, and then may activate it at once. */
#include "api/admin/admin.h"
#include "api/admin/provenance.h"
#include "api/admin/rollout.h"

#include "server/base/clock.h"
#include "server/fleet/baseline_life.h"

#include <stdio.h>
#include <string.h>

struct step_change {
    struct change change; /* first */
    enum baseline_step step;
    struct baseline_row row;
    int64_t version; /* If-Match; 0: any */
    const char *reason;
    int64_t activate_at, grace_until, grace_s; /* 0: not given */
    char (*replaces)[STORE_ID];
    size_t num_replaces;
    enum enforcement enforce;    /* 0: not given */
    struct rollout_row *rollout; /* NULL: none */
};

static bool takes_two(const struct request *r) {
    return (r->api->options.config->plane[PLANE_ADMIN].two_person & TWO_PERSON_BASELINE_APPROVAL) !=
           0;
}

/* --- rules --- */

static enum status check_approver(struct change *c, struct store_writer *writer,
                                  const struct baseline_row *row, struct detail *detail) {
    const struct request *r = c->r;
    bool wrote = false;
    enum status status =
        store_baseline_written_by(store_writer_reader(writer), &wrote, row->id, r->operator_name);
    bool own = wrote || strcmp(row->created_by, r->operator_name) == 0 ||
               strcmp(row->submitted_by, r->operator_name) == 0;
    if (status != STATUS_OK || !own || (!takes_two(r) && r->role == ROLE_ADMIN)) {
        return status;
    }
    detail_set(
        detail,
        "%s wrote, changed or submitted it: another operator with the role approver or admin "
        "approves it (POST /v1/operators registers one)%s",
        r->operator_name,
        takes_two(r) ? "; or take baseline_approval out of [admin] two_person" : "");
    return change_fail(c, PROBLEM_OWN_BASELINE, STATUS_DENIED);
}

/* It still compiles, and the model's devices are asked for what it names. */
static enum status check_document(struct change *c, struct store_writer *writer,
                                  const struct baseline_row *row, struct detail *detail) {
    enum status status = baseline_check_document(store_writer_reader(writer), row, detail);
    return status == STATUS_INVALID ? change_fail(c, PROBLEM_INVALID_BASELINE, status) : status;
}

/* Not too many at once: a device's evidence is held against each. */
static enum status check_number(struct change *c, struct store_writer *writer,
                                const struct baseline_row *row) {
    enum status status =
        row->state == BASELINE_DEPRECATED
            ? STATUS_OK
            : baseline_check_number(store_writer_reader(writer), c->r->x->arena, row->model);
    return status == STATUS_LIMIT ? change_fail(c, PROBLEM_TOO_MANY_BASELINES, STATUS_CONFLICT)
                                  : status;
}

/* Active ones of the same model; on an activation that is scheduled this is looked at again then. */
static enum status check_replaced(struct step_change *s, struct store_writer *writer,
                                  struct detail *detail) {
    struct change *c = &s->change;
    for (size_t i = 0; i < s->num_replaces; i++) {
        struct baseline_row other;
        enum status status =
            store_baseline_get(store_writer_reader(writer), c->r->x->arena, &other, s->replaces[i]);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
        if (status == STATUS_NOT_FOUND || strcmp(other.model, s->row.model) != 0 ||
            strcmp(other.id, s->row.id) == 0) {
            detail_set(detail, "replaces: %s is no other baseline of the model", s->replaces[i]);
            return change_fail(c, PROBLEM_INVALID_FIELD, STATUS_INVALID);
        }
        if (other.state != BASELINE_ACTIVE) {
            detail_set(detail, "replaces: %s is %s", other.id, baseline_state_name(other.state));
            return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
        }
    }
    return STATUS_OK;
}

static bool is_activation(enum baseline_step step) {
    return step == STEP_ACTIVATE || step == STEP_ACTIVATE_ALONE;
}

static enum status check_step(struct step_change *s, struct store_writer *writer,
                              struct detail *detail) {
    struct change *c = &s->change;
    enum status status = STATUS_OK;
    if (s->step == STEP_APPROVE || s->step == STEP_ACTIVATE_ALONE) {
        status = check_approver(c, writer, &s->row, detail);
    }
    if (status == STATUS_OK &&
        (s->step == STEP_APPROVE || s->step == STEP_SCHEDULE || is_activation(s->step))) {
        status = provenance_check(c, writer, &s->row, detail);
    }
    if (status == STATUS_OK && is_activation(s->step)) {
        status = check_number(c, writer, &s->row);
    }
    if (status == STATUS_OK &&
        (is_activation(s->step) || s->step == STEP_SCHEDULE || s->step == STEP_SUBMIT)) {
        status = check_document(c, writer, &s->row, detail);
    }
    return status == STATUS_OK ? check_replaced(s, writer, detail) : status;
}

/* --- the step --- */

/* One person may do it all where the configuration says so. */
static bool may_alone(const struct step_change *s) {
    const struct request *r = s->change.r;
    return s->step == STEP_ACTIVATE && s->activate_at == 0 && r->role == ROLE_ADMIN &&
           !takes_two(r) && baseline_step_allowed(STEP_ACTIVATE_ALONE, &s->row);
}

static enum status wrong_state(struct step_change *s, struct detail *detail) {
    bool early = is_activation(s->step) || s->step == STEP_SCHEDULE;
    bool waits = s->row.state == BASELINE_DRAFT || s->row.state == BASELINE_SUBMITTED;
    detail_set(detail, "it is %s%s", baseline_state_name(s->row.state),
               s->step == STEP_UNSCHEDULE ? ", and not scheduled"
               : early && waits           ? ": it is submitted, and approved by another operator, "
                                            "before it is activated"
                                          : "");
    return change_fail(&s->change, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
}

static enum status get_row(struct step_change *s, struct store_writer *writer,
                           struct detail *detail) {
    struct change *c = &s->change;
    enum status status =
        store_baseline_get(store_writer_reader(writer), c->r->x->arena, &s->row, c->r->param[0]);
    if (status == STATUS_OK) {
        status = check_version(c, s->version, s->row.version);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (may_alone(s)) {
        s->step = STEP_ACTIVATE_ALONE;
    }
    return baseline_step_allowed(s->step, &s->row) ? STATUS_OK : wrong_state(s, detail);
}

static void set_terms(struct step_change *s) {
    struct baseline_row *row = &s->row;
    if (is_activation(s->step) || s->step == STEP_SCHEDULE) {
        row->activate_at = s->activate_at;
        row->replaces = s->replaces;
        row->num_replaces = s->num_replaces;
        row->replace_grace_s = s->grace_s;
    }
    if (s->step == STEP_DEPRECATE) {
        row->grace_until =
            s->grace_until != 0 ? s->grace_until : change_now(&s->change) + s->grace_s;
    }
    if (s->step == STEP_REJECT) {
        (void)snprintf(row->note, sizeof row->note, "rejected: %s", s->reason);
    }
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct step_change *s = (struct step_change *)c;
    struct arena *arena = c->r->x->arena;
    const enum baseline_step asked = s->step;
    const struct baseline_actor by = {.actor = c->r->actor,
                                      .name = c->r->operator_name,
                                      .request_id = c->r->x->request_id,
                                      .now_ms = c->now_ms,
                                      .enforce = s->enforce};
    enum status status = get_row(s, writer, detail);
    if (status == STATUS_OK) {
        status = check_step(s, writer, detail);
    }
    if (status == STATUS_OK && (is_activation(s->step) || s->step == STEP_SCHEDULE)) {
        status = rollout_schedule(c, writer, &s->row, s->rollout, detail);
    }
    if (status == STATUS_OK) {
        set_terms(s);
        status = is_activation(s->step) && s->rollout == NULL
                     ? baseline_replace_others(writer, arena, &s->row, &by, detail)
                     : STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = baseline_write_step(writer, arena, &s->row, s->step, &by, detail);
    }
    s->step = asked; /* it may be applied again */
    return status;
}

static enum http_next answer(struct change *c) {
    const struct step_change *s = (const struct step_change *)c;
    struct json_out o;
    reappraisals_wake(c->r->api->options.reappraisals);
    if (!add_etag(c->r, s->row.version)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, c->r->x->arena, 1024);
    baseline_write_json(&o, NULL, &s->row);
    return answer_json(c->r, 200, &o);
}

/* The audit entries are written with the rows. */
static const struct change_kind kind = {
    .commit = CHANGE_COMMIT(.name = "baseline.state", .reloads_policy = true),
    .apply = apply,
    .answer = answer,
    .silent = true};

static struct step_change *step_new(struct request *r, enum baseline_step step) {
    struct step_change *s = change_new(r, &kind, sizeof *s);
    if (s != NULL) {
        s->step = step;
    }
    return s;
}

static enum http_next take_step(struct request *r, enum baseline_step step) {
    struct step_change *s = step_new(r, step);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return read_if_match(r, &s->version) ? change_submit(&s->change) : HTTP_ANSWER;
}

enum http_next baseline_submit(struct request *r) {
    return take_step(r, STEP_SUBMIT);
}

enum http_next baseline_withdraw(struct request *r) {
    return take_step(r, STEP_WITHDRAW);
}

enum http_next baseline_approve(struct request *r) {
    return take_step(r, STEP_APPROVE);
}

enum http_next baseline_unschedule(struct request *r) {
    return take_step(r, STEP_UNSCHEDULE);
}

/* What becomes of devices that fail then. False: answered. */
static bool read_enforce(struct step_change *s, const char *name) {
    if (name == NULL || enforcement_from_name(&s->enforce, name)) {
        return true;
    }
    (void)problem_detail(s->change.r->x, PROBLEM_INVALID_FIELD, "enforce: one of lease, now");
    return false;
}

struct enforcement_body {
    const char *enforce;
};
static const struct field enforcement_fields[] = {
    {"enforce", FIELD_TEXT, false, 3, 5, offsetof(struct enforcement_body, enforce)},
};
const struct shape baseline_end_shape = SHAPE(enforcement_fields, struct enforcement_body);

static enum http_next end(struct request *r, enum baseline_step step) {
    struct step_change *s = step_new(r, step);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return read_enforce(s, ((const struct enforcement_body *)r->body)->enforce) &&
                   read_if_match(r, &s->version)
               ? change_submit(&s->change)
               : HTTP_ANSWER;
}

enum http_next baseline_retire(struct request *r) {
    return end(r, STEP_RETIRE);
}

enum http_next baseline_revoke(struct request *r) {
    return end(r, STEP_REVOKE);
}

enum http_next baseline_reject(struct request *r) {
    struct step_change *s = step_new(r, STEP_REJECT);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    s->reason = ((const struct reason_body *)r->body)->reason;
    return read_if_match(r, &s->version) ? change_submit(&s->change) : HTTP_ANSWER;
}

/* --- activate --- */

struct activation_body {
    const char *at;
    struct id_list replaces;
    int64_t grace_s; /* 0: not given */
    const char *enforce;
    struct rollout_body rollout;
};

static const struct field activation_fields[] = {
    {"at", FIELD_TEXT, false, 1, 32, offsetof(struct activation_body, at)},
    {"replaces", FIELD_IDS, false, 1, BASELINE_REPLACES_MAX,
     offsetof(struct activation_body, replaces)},
    {"grace_s", FIELD_INTEGER, false, 1, BASELINE_GRACE_MAX_S,
     offsetof(struct activation_body, grace_s)},
    {"enforce", FIELD_TEXT, false, 3, 5, offsetof(struct activation_body, enforce)},
    {"rollout", FIELD_ROLLOUT, false, 0, 0, offsetof(struct activation_body, rollout)},
};
const struct shape baseline_activate_shape = SHAPE(activation_fields, struct activation_body);

/* A time to come, within a year. False: answered. */
static bool read_time(struct request *r, const char *name, const char *text, int64_t now,
                      int64_t *out) {
    if (text == NULL) {
        return true;
    }
    if (rfc3339_parse(out, text) != STATUS_OK) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "%s: no time as 2026-11-23T13:00:00Z",
                             name);
        return false;
    }
    if (*out <= now || *out - now > BASELINE_GRACE_MAX_S) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                             "%s: must be later than now, and within a year", name);
        return false;
    }
    return true;
}

static bool read_replaces(struct step_change *s, const struct id_list *list) {
    struct request *r = s->change.r;
    s->num_replaces = list->num;
    s->replaces = arena_array(r->x->arena, list->num, sizeof *s->replaces);
    for (size_t i = 0; i < list->num; i++) {
        if (s->replaces == NULL || strlen(list->id[i]) != STORE_ID - 1) {
            (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "replaces[%zu]: no id", i);
            return false;
        }
        text_copy(s->replaces[i], STORE_ID, list->id[i]);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(s->replaces[i], s->replaces[j]) == 0) {
                (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "replaces[%zu]: stands twice", i);
                return false;
            }
        }
    }
    return true;
}

enum http_next baseline_activate(struct request *r) {
    const struct activation_body *body = r->body;
    struct step_change *s = step_new(r, STEP_ACTIVATE);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!read_time(r, "at", body->at, change_now(&s->change), &s->activate_at) ||
        !read_replaces(s, &body->replaces) || !read_enforce(s, body->enforce) ||
        !rollout_read(r, &body->rollout, &s->rollout)) {
        return HTTP_ANSWER;
    }
    if (s->activate_at != 0 && s->enforce == ENFORCE_NOW) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD,
                              "enforce: an activation that is scheduled takes nothing away before "
                              "leases end; POST /v1/reappraisals does, then");
    }
    if ((body->replaces.num > 0) != (body->grace_s != 0)) {
        return problem_detail(r->x, PROBLEM_MISSING_FIELD,
                              "replaces and grace_s, how long what is replaced is still accepted, "
                              "are given together");
    }
    s->grace_s = body->grace_s;
    s->step = s->activate_at != 0 ? STEP_SCHEDULE : STEP_ACTIVATE;
    return read_if_match(r, &s->version) ? change_submit(&s->change) : HTTP_ANSWER;
}

/* --- deprecate --- */

struct deprecation_body {
    const char *grace_until;
    int64_t grace_s; /* 0: not given */
};

static const struct field deprecation_fields[] = {
    {"grace_until", FIELD_TEXT, false, 1, 32, offsetof(struct deprecation_body, grace_until)},
    {"grace_s", FIELD_INTEGER, false, 1, BASELINE_GRACE_MAX_S,
     offsetof(struct deprecation_body, grace_s)},
};
const struct shape baseline_deprecate_shape = SHAPE(deprecation_fields, struct deprecation_body);

enum http_next baseline_deprecate(struct request *r) {
    const struct deprecation_body *body = r->body;
    struct step_change *s = step_new(r, STEP_DEPRECATE);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if ((body->grace_until != NULL) == (body->grace_s != 0)) {
        return problem_detail(r->x, PROBLEM_MISSING_FIELD, "one of grace_until and grace_s");
    }
    if (!read_time(r, "grace_until", body->grace_until, change_now(&s->change), &s->grace_until)) {
        return HTTP_ANSWER;
    }
    s->grace_s = body->grace_s;
    return read_if_match(r, &s->version) ? change_submit(&s->change) : HTTP_ANSWER;
}

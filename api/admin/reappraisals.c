/* /v1/reappraisals: the fleet held against a changed policy, how far that got, and asking for it. */
#include "api/admin/admin.h"

#include "server/fleet/reappraisal.h"

#include <string.h>

struct reappraisal_query {
    struct page_query page; /* first */
    const char *model, *state;
};
static const struct field query_fields[] = {
    PAGE_FIELDS,
    {"model", FIELD_TEXT, false, 1, STORE_NAME - 1, offsetof(struct reappraisal_query, model)},
    {"state", FIELD_TEXT, false, 1, 16, offsetof(struct reappraisal_query, state)},
};
const struct shape reappraisal_query_shape = SHAPE(query_fields, struct reappraisal_query);

struct reappraisal_body {
    const char *model, *enforce, *reason;
    bool all;
};
static const struct field body_fields[] = {
    {"model", FIELD_TEXT, false, 1, STORE_NAME - 1, offsetof(struct reappraisal_body, model)},
    {"all", FIELD_BOOLEAN, false, 0, 0, offsetof(struct reappraisal_body, all)},
    {"enforce", FIELD_TEXT, true, 3, 5, offsetof(struct reappraisal_body, enforce)},
    {"reason", FIELD_TEXT, true, 1, REASON_MAX, offsetof(struct reappraisal_body, reason)},
};
const struct shape reappraisal_create_shape = SHAPE(body_fields, struct reappraisal_body);

bool enforcement_from_name(enum enforcement *out, const char *name) {
    for (enum enforcement e = ENFORCE_LEASE; e <= ENFORCE_NOW; e++) {
        if (strcmp(enforcement_name(e), name) == 0) {
            *out = e;
            return true;
        }
    }
    return false;
}

static bool state_from_name(enum reappraisal_state *out, const char *name) {
    for (enum reappraisal_state s = REAPPRAISAL_QUEUED; s <= REAPPRAISAL_CANCELLED; s++) {
        if (strcmp(reappraisal_state_name(s), name) == 0) {
            *out = s;
            return true;
        }
    }
    return false;
}

/* --- reading --- */

static void write_counts(struct json_out *o, const struct reappraisal_counts *c) {
    json_out_int(o, "judged", c->judged);
    json_out_int(o, "changed", c->changed);
    json_out_int(o, "now_trusted", c->now_trusted);
    json_out_int(o, "now_untrusted", c->now_untrusted);
    json_out_int(o, "credentials_revoked", c->credentials_revoked);
    json_out_int(o, "superseded", c->superseded);
    json_out_int(o, "without_facts", c->without_facts);
    json_out_int(o, "damaged", c->damaged);
}

static void write_reappraisal(struct json_out *o, const struct reappraisal_row *row) {
    json_out_object(o, NULL);
    json_out_text(o, "id", row->id);
    json_out_text_or_null(o, "model", row->model);
    json_out_text(o, "cause", row->cause);
    json_out_text_or_null(o, "baseline_id", row->baseline_id);
    json_out_text(o, "enforce", enforcement_name(row->enforce));
    json_out_text(o, "state", reappraisal_state_name(row->state));
    json_out_text(o, "requested_by", row->requested_by);
    json_out_text_or_null(o, "reason", row->reason);
    json_out_time(o, "created_at", row->created);
    json_out_time_or_null(o, "started_at", row->started);
    json_out_time_or_null(o, "ended_at", row->ended);
    json_out_text_or_null(o, "at_model", row->cursor_model);
    json_out_text_or_null(o, "at_device", row->cursor);
    write_counts(o, &row->counts);
    json_out_object_end(o);
}

enum http_next reappraisal_list(struct request *r) {
    const struct reappraisal_query *query = r->query;
    struct reappraisal_filter filter = {0};
    struct reappraisal_row *rows;
    size_t num;
    struct json_out o;
    if (query->model != NULL) {
        text_copy(filter.model, sizeof filter.model, query->model);
    }
    if (query->state != NULL && !state_from_name(&filter.state, query->state)) {
        return problem_detail(r->x, PROBLEM_INVALID_PARAMETER,
                              "state: one of queued, running, done, cancelled");
    }
    enum status status = store_reappraisal_list(r->worker->reader, r->x->arena, &rows, &num,
                                                &filter, page_of(&query->page));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, &query->page, num);
    for (size_t i = 0; i < shown; i++) {
        write_reappraisal(&o, &rows[i]);
    }
    return list_end(&o, r, &query->page, num, shown == 0 ? NULL : rows[shown - 1].id);
}

static enum http_next answer_row(struct request *r, unsigned status,
                                 const struct reappraisal_row *row) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 1024);
    write_reappraisal(&o, row);
    return answer_json(r, status, &o);
}

enum http_next reappraisal_show(struct request *r) {
    struct reappraisal_row row;
    enum status status = store_reappraisal_get(r->worker->reader, &row, r->param[0]);
    return status == STATUS_OK ? answer_row(r, 200, &row) : answer_status(r, status, NULL);
}

/* --- asking for one --- */

struct reappraisal_change {
    struct change change; /* first */
    const struct reappraisal_body *body;
    enum enforcement enforce;
    struct reappraisal_row row;
};

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct reappraisal_change *j = (struct reappraisal_change *)c;
    struct store_reader *reader = store_writer_reader(writer);
    struct model_row model;
    char id[STORE_ID];
    enum status status = j->body->all ? STATUS_OK : store_model_get(reader, &model, j->body->model);
    if (status != STATUS_OK) {
        return status;
    }
    const struct reappraisal_request request = {.model = j->body->all ? "" : j->body->model,
                                                .cause = "request",
                                                .enforce = j->enforce,
                                                .requested_by = c->r->actor,
                                                .reason = j->body->reason,
                                                .request_id = c->r->x->request_id};
    status = reappraisal_request(writer, id, &request, c->now_ms, detail);
    return status == STATUS_OK ? store_reappraisal_get(reader, &j->row, id) : status;
}

static enum http_next answer_create(struct change *c) {
    const struct reappraisal_change *j = (const struct reappraisal_change *)c;
    struct request *r = c->r;
    const char *location = arena_printf(r->x->arena, "/v1/reappraisals/%s", j->row.id);
    reappraisals_wake(r->api->options.reappraisals);
    if (location == NULL || !http_add_header(r->x, "Location", location)) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return answer_row(r, 201, &j->row);
}

/* Silent: reappraisal_request writes the entry. */
static const struct change_kind create_kind = {.commit =
                                                   CHANGE_COMMIT(.name = "reappraisal.request"),
                                               .apply = apply_create,
                                               .answer = answer_create,
                                               .silent = true};

enum http_next reappraisal_create(struct request *r) {
    const struct reappraisal_body *body = r->body;
    enum enforcement enforce;
    if ((body->model != NULL) == body->all) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD, "exactly one of model and all (true)");
    }
    if (!enforcement_from_name(&enforce, body->enforce)) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD, "enforce: one of lease, now");
    }
    struct reappraisal_change *j = change_new(r, &create_kind, sizeof *j);
    if (j == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    j->body = body;
    j->enforce = enforce;
    /* What takes nothing away from anybody takes one person. */
    return enforce == ENFORCE_NOW ? change_submit(&j->change) : change_enqueue(&j->change);
}

/* --- cancelling --- */

static enum status apply_cancel(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct reappraisal_change *j = (struct reappraisal_change *)c;
    enum status status =
        store_reappraisal_get(store_writer_reader(writer), &j->row, c->r->param[0]);
    if (status != STATUS_OK) {
        return status;
    }
    if (j->row.state != REAPPRAISAL_QUEUED && j->row.state != REAPPRAISAL_RUNNING) {
        detail_set(detail, "it is %s", reappraisal_state_name(j->row.state));
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    j->row.state = REAPPRAISAL_CANCELLED;
    j->row.ended = change_now(c);
    change_audit(c, "reappraisal.cancel", "reappraisal", j->row.id);
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 1024);
    write_reappraisal(&o, &j->row);
    c->audit.after = json_out_end(&o);
    return store_reappraisal_update(writer, &j->row);
}

static enum http_next answer_cancel(struct change *c) {
    return answer_row(c->r, 200, &((const struct reappraisal_change *)c)->row);
}

static const struct change_kind cancel_kind = {.commit =
                                                   CHANGE_COMMIT(.name = "reappraisal.cancel"),
                                               .apply = apply_cancel,
                                               .answer = answer_cancel};

enum http_next reappraisal_cancel(struct request *r) {
    struct reappraisal_change *j = change_new(r, &cancel_kind, sizeof *j);
    return j == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&j->change);
}

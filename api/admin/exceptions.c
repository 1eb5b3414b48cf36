/* /v1/exceptions: one finding that one device may have for a while. One operator asks for it, another
 * approves it, and either may end it early. */
#include "api/admin/admin.h"

#include "api/admin/exception_finding.h"
#include "server/base/clock.h"
#include "server/crypto/random.h"

#include <string.h>

enum { LASTS_MAX_S = 30 * 86400 };

struct exception_body {
    const char *device_id, *appraisal_id, *until, *reason;
    int64_t finding;
};
static const struct field create_fields[] = {
    {"device_id", FIELD_TEXT, true, 1, 128, offsetof(struct exception_body, device_id)},
    {"appraisal_id", FIELD_TEXT, true, 1, 128, offsetof(struct exception_body, appraisal_id)},
    {"finding", FIELD_INTEGER, true, 0, APPRAISAL_MAX_FINDINGS,
     offsetof(struct exception_body, finding)},
    {"until", FIELD_TEXT, true, 20, 20, offsetof(struct exception_body, until)},
    {"reason", FIELD_TEXT, true, 1, REASON_MAX, offsetof(struct exception_body, reason)},
};
const struct shape exception_create_shape = SHAPE(create_fields, struct exception_body);

struct exception_query {
    struct page_query page; /* first */
    const char *device_id, *state;
};
static const struct field query_fields[] = {
    PAGE_FIELDS,
    {"device_id", FIELD_TEXT, false, 1, STORE_ID - 1, offsetof(struct exception_query, device_id)},
    {"state", FIELD_TEXT, false, 5, 8, offsetof(struct exception_query, state)},
};
const struct shape exception_query_shape = SHAPE(query_fields, struct exception_query);

static const char *state_name(const struct exception_row *row, int64_t now) {
    if (row->state == EXCEPTION_ENDED) {
        return "ended";
    }
    if (row->until <= now) {
        return "expired";
    }
    return row->state == EXCEPTION_APPROVED ? "approved" : "pending";
}

static void write_exception(struct json_out *o, const struct exception_row *row, int64_t now) {
    json_out_object(o, NULL);
    json_out_text(o, "id", row->id);
    json_out_text(o, "device_id", row->device_id);
    json_out_text(o, "appraisal_id", row->appraisal_id);
    json_out_text(o, "state", state_name(row, now));
    json_out_text(o, "code", row->code);
    json_out_text(o, "rule", row->rule);
    if (row->pcr < 0) {
        json_out_text(o, "pcr", NULL);
    } else {
        json_out_int(o, "pcr", row->pcr);
    }
    json_out_text(o, "found", row->found);
    json_out_time(o, "until", row->until);
    json_out_text(o, "reason", row->reason);
    json_out_bool(o, "in_use", row->in_use);
    json_out_text(o, "requested_by", row->requested_by);
    json_out_text_or_null(o, "approved_by", row->approved_by);
    json_out_text_or_null(o, "ended_by", row->ended_by);
    json_out_time(o, "created_at", row->created);
    json_out_time_or_null(o, "approved_at", row->approved);
    json_out_time_or_null(o, "ended_at", row->ended);
    json_out_object_end(o);
}

static struct bytes exception_json(struct change *c, const struct exception_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 1024);
    write_exception(&o, row, change_now(c));
    return json_out_end(&o);
}

static enum http_next answer_row(struct request *r, unsigned status,
                                 const struct exception_row *row) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 1024);
    write_exception(&o, row, clock_unix());
    return answer_json(r, status, &o);
}

/* --- reading --- */

static bool read_filter(struct exception_filter *out, const struct exception_query *query) {
    *out = (struct exception_filter){0};
    if (query->device_id != NULL) {
        text_copy(out->device_id, sizeof out->device_id, query->device_id);
    }
    if (query->state == NULL) {
        return true;
    }
    for (out->state = EXCEPTION_PENDING; out->state <= EXCEPTION_ENDED; out->state++) {
        const struct exception_row row = {.state = out->state, .until = 1};
        if (strcmp(query->state, state_name(&row, 0)) == 0) {
            out->since = out->state == EXCEPTION_ENDED ? 0 : clock_unix();
            return true;
        }
    }
    return false;
}

enum http_next exception_list(struct request *r) {
    const struct exception_query *query = r->query;
    struct exception_filter filter;
    struct exception_row *rows;
    size_t num;
    struct json_out o;
    if (!read_filter(&filter, query)) {
        return problem_detail(r->x, PROBLEM_INVALID_PARAMETER,
                              "state: one of pending, approved, ended");
    }
    enum status status = store_exception_list(r->worker->reader, r->x->arena, &rows, &num, &filter,
                                              page_of(&query->page));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, &query->page, num);
    for (size_t i = 0; i < shown; i++) {
        write_exception(&o, &rows[i], clock_unix());
    }
    return list_end(&o, r, &query->page, num, shown == 0 ? NULL : rows[shown - 1].id);
}

enum http_next exception_show(struct request *r) {
    struct exception_row row;
    enum status status = store_exception_get(r->worker->reader, r->x->arena, &row, r->param[0]);
    return status == STATUS_OK ? answer_row(r, 200, &row) : answer_status(r, status, NULL);
}

/* --- asking --- */

struct exception_change {
    struct change change; /* first */
    struct exception_row row;
    size_t num_revoked;
};

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct exception_change *e = (struct exception_change *)c;
    enum device_state state;
    enum status status = store_device_state(store_writer_reader(writer), &state, e->row.device_id);
    if (status == STATUS_OK && state == DEVICE_RETIRED) {
        return change_fail(c, PROBLEM_DEVICE_RETIRED, STATUS_CONFLICT);
    }
    if (status == STATUS_OK) {
        status = store_exception_insert(writer, &e->row, EXCEPTIONS_PER_DEVICE);
    }
    if (status == STATUS_CONFLICT) {
        detail_set(detail, "the device has one for this finding");
        return change_fail(c, PROBLEM_ALREADY_EXISTS, status);
    }
    if (status == STATUS_LIMIT) {
        return change_fail(c, PROBLEM_TOO_MANY_EXCEPTIONS, status);
    }
    change_audit(c, "exception.request", "exception", e->row.id);
    c->audit.after = exception_json(c, &e->row);
    return status;
}

static enum http_next answer_created(struct change *c) {
    const struct exception_change *e = (const struct exception_change *)c;
    const char *location = arena_printf(c->r->x->arena, "/v1/exceptions/%s", e->row.id);
    if (location == NULL || !http_add_header(c->r->x, "Location", location)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    return answer_row(c->r, 201, &e->row);
}

static const struct change_kind create_kind = {.commit = CHANGE_COMMIT(.name = "exception.request"),
                                               .apply = apply_create,
                                               .answer = answer_created};

/* False: answered. */
static bool read_until(struct request *r, int64_t *until, int64_t now, const char *text) {
    if (rfc3339_parse(until, text) != STATUS_OK || *until <= now || *until - now > LASTS_MAX_S) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                             "until: a time (2026-11-30T12:00:00Z) within the next 30 days");
        return false;
    }
    return true;
}

enum http_next exception_create(struct request *r) {
    const struct exception_body *body = r->body;
    struct exception_change *e = change_new(r, &create_kind, sizeof *e);
    struct appraisal_row appraisal;
    struct detail detail = {0};
    if (e == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!read_until(r, &e->row.until, change_now(&e->change), body->until)) {
        return HTTP_ANSWER;
    }
    enum status status =
        store_appraisal_get(r->worker->reader, r->x->arena, &appraisal, body->appraisal_id);
    if (status == STATUS_OK && strcmp(appraisal.device_id, body->device_id) != 0) {
        status = STATUS_NOT_FOUND;
    }
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    status =
        exception_take_finding(&e->row, r->x->arena, &appraisal, (size_t)body->finding, &detail);
    if (status != STATUS_OK) {
        return status == STATUS_INVALID
                   ? problem_detail(r->x, PROBLEM_NOT_EXCEPTABLE, "%s", detail.text)
                   : answer_status(r, status, &detail);
    }
    id_new(e->row.id, e->change.now_ms);
    text_copy(e->row.device_id, sizeof e->row.device_id, appraisal.device_id);
    text_copy(e->row.appraisal_id, sizeof e->row.appraisal_id, appraisal.id);
    text_copy(e->row.reason, sizeof e->row.reason, body->reason);
    text_copy(e->row.requested_by, sizeof e->row.requested_by, r->operator_name);
    e->row.state = EXCEPTION_PENDING;
    e->row.created = change_now(&e->change);
    return change_submit(&e->change);
}

/* --- approving --- */

static enum status apply_approve(struct change *c, struct store_writer *writer,
                                 struct detail *detail) {
    struct exception_change *e = (struct exception_change *)c;
    enum status status =
        store_exception_get(store_writer_reader(writer), c->r->x->arena, &e->row, c->r->param[0]);
    if (status != STATUS_OK) {
        return status;
    }
    if (strcmp(e->row.requested_by, c->r->operator_name) == 0) {
        return change_fail(c, PROBLEM_OWN_PROPOSAL, STATUS_DENIED);
    }
    const char *state = state_name(&e->row, change_now(c));
    if (strcmp(state, "pending") != 0) {
        detail_set(detail, "it is %s", state);
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    c->audit.before = exception_json(c, &e->row);
    e->row.state = EXCEPTION_APPROVED;
    e->row.approved = change_now(c);
    text_copy(e->row.approved_by, sizeof e->row.approved_by, c->r->operator_name);
    change_audit(c, "exception.approve", "exception", e->row.id);
    c->audit.after = exception_json(c, &e->row);
    return store_exception_update(writer, &e->row, EXCEPTION_PENDING);
}

static enum http_next answer_approved(struct change *c) {
    return answer_row(c->r, 200, &((const struct exception_change *)c)->row);
}

static const struct change_kind approve_kind = {
    .commit = CHANGE_COMMIT(.name = "exception.approve", .reloads_policy = true),
    .apply = apply_approve,
    .answer = answer_approved};

enum http_next exception_approve(struct request *r) {
    struct exception_change *e = change_new(r, &approve_kind, sizeof *e);
    return e == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&e->change);
}

/* --- ending --- */

/* What it made possible ends with it: every credential of the device, for the same evidence earns
 * none any more. */
static enum status revoke_given(struct exception_change *e, struct store_writer *writer) {
    int64_t now = change_now(&e->change);
    bool given = false;
    enum status status = store_exception_has_given(store_writer_reader(writer), &given,
                                                   e->row.device_id, e->row.id, now);
    if (status == STATUS_OK && given) {
        status = store_credential_revoke_device(writer, e->row.device_id, now, "exception_ended",
                                                &e->num_revoked);
    }
    return status;
}

static enum status apply_end(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct exception_change *e = (struct exception_change *)c;
    e->num_revoked = 0;
    enum status status =
        store_exception_get(store_writer_reader(writer), c->r->x->arena, &e->row, c->r->param[0]);
    if (status != STATUS_OK) {
        return status;
    }
    const char *state = state_name(&e->row, change_now(c));
    enum exception_state from = e->row.state;
    if (from == EXCEPTION_ENDED || strcmp(state, "expired") == 0) {
        detail_set(detail, "it is %s", state);
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    c->audit.before = exception_json(c, &e->row);
    e->row.state = EXCEPTION_ENDED;
    e->row.in_use = false;
    e->row.ended = change_now(c);
    text_copy(e->row.ended_by, sizeof e->row.ended_by, c->r->operator_name);
    status = store_exception_update(writer, &e->row, from);
    if (status == STATUS_OK) {
        status = revoke_given(e, writer);
    }
    change_audit(c, "exception.end", "exception", e->row.id);
    c->audit.after = exception_json(c, &e->row);
    return status;
}

static void publish_end(struct commit *commit, struct fleet_table *table) {
    const struct exception_change *e = (const struct exception_change *)(const void *)commit;
    if (e->num_revoked > 0) {
        fleet_revoke_device(table, e->row.device_id);
    }
}

static enum http_next answer_ended(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind end_kind = {
    .commit =
        CHANGE_COMMIT(.name = "exception.end", .publish = publish_end, .reloads_policy = true),
    .apply = apply_end,
    .answer = answer_ended};

enum http_next exception_end(struct request *r) {
    struct exception_change *e = change_new(r, &end_kind, sizeof *e);
    return e == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&e->change);
}

/* /v1/approvals: requests that wait for a second person, and what that one says. */
#include "api/admin/admin.h"

#include "api/access.h"
#include "api/dispatch.h"
#include "api/two_person.h"
#include "server/base/clock.h"

#include <string.h>

struct approval_query {
    struct page_query page; /* first */
    const char *state;
};
static const struct field query_fields[] = {
    PAGE_FIELDS,
    {"state", FIELD_TEXT, false, 7, 8, offsetof(struct approval_query, state)},
};
const struct shape approval_query_shape = SHAPE(query_fields, struct approval_query);

static bool state_from_name(enum approval_state *out, const char *name) {
    for (enum approval_state s = APPROVAL_PENDING; s <= APPROVAL_REJECTED; s++) {
        const struct approval_row row = {.state = s, .expires = 1};
        if (strcmp(approval_state_name(&row, 0), name) == 0) {
            *out = s;
            return true;
        }
    }
    return false;
}

enum http_next approval_list(struct request *r) {
    const struct approval_query *query = r->query;
    enum approval_state state = 0;
    struct approval_row *rows;
    size_t num;
    struct json_out o;
    if (query->state != NULL && !state_from_name(&state, query->state)) {
        return problem_detail(r->x, PROBLEM_INVALID_PARAMETER,
                              "state: one of pending, approved, rejected");
    }
    enum status status = store_approval_list(r->worker->reader, r->x->arena, &rows, &num, state,
                                             page_of(&query->page));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, &query->page, num);
    for (size_t i = 0; i < shown; i++) {
        write_approval(&o, &rows[i], clock_unix());
    }
    return list_end(&o, r, &query->page, num, shown == 0 ? NULL : rows[shown - 1].id);
}

static enum http_next answer_row(struct request *r, const struct approval_row *row) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 512 + row->body.len);
    write_approval(&o, row, clock_unix());
    return answer_json(r, 200, &o);
}

enum http_next approval_show(struct request *r) {
    struct approval_row row;
    enum status status = store_approval_get(r->worker->reader, r->x->arena, &row, r->param[0]);
    return status == STATUS_OK ? answer_row(r, &row) : answer_status(r, status, NULL);
}

/* The proposal, and the route that it is for, as far as the role of who asks may call it. NULL:
 * answered. */
static const struct approval_row *find(struct request *r, struct route_match *match) {
    struct approval_row *row = arena_alloc(r->x->arena, sizeof *row);
    if (row == NULL) {
        (void)problem(r->x, PROBLEM_INTERNAL);
        return NULL;
    }
    enum status status = store_approval_get(r->worker->reader, r->x->arena, row, r->param[0]);
    if (status != STATUS_OK) {
        (void)answer_status(r, status, NULL);
        return NULL;
    }
    routes_match(match, routes_all(), PLANE_ADMIN, http_method_from_name(row->method), row->path);
    if (match->route == NULL || match->route->two_person == 0) {
        (void)problem_detail(r->x, PROBLEM_WRONG_STATE, "this version does not know the request");
        return NULL;
    }
    if ((match->route->roles & r->role) == 0) {
        (void)access_refuse(r);
        return NULL;
    }
    return row;
}

/* --- approving --- */

enum http_next approval_approve(struct request *r) {
    struct route_match match;
    const struct approval_row *row = find(r, &match);
    if (row == NULL) {
        return HTTP_ANSWER;
    }
    if (strcmp(row->proposed_by, r->operator_name) == 0) {
        return problem(r->x, PROBLEM_OWN_PROPOSAL);
    }
    const char *state = approval_state_name(row, clock_unix());
    if (strcmp(state, "pending") != 0) {
        return problem_detail(r->x, PROBLEM_ALREADY_DECIDED, "it is %s", state);
    }
    r->approval = row;
    r->x->body = row->body;
    return dispatch_again(r, &match, row->query);
}

/* --- rejecting --- */

struct rejection {
    struct change change;      /* first */
    const struct route *route; /* of the proposal */
    struct approval_row row;
};

static enum status apply_reject(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct rejection *j = (struct rejection *)c;
    struct json_out o;
    (void)detail;
    if ((j->route->roles & c->r->role) == 0) {
        return change_fail(c, PROBLEM_FORBIDDEN, STATUS_DENIED);
    }
    enum status status = store_approval_decide(writer, &j->row);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_ALREADY_DECIDED, status);
    }
    json_out_init(&o, c->r->x->arena, 512 + j->row.body.len);
    write_approval(&o, &j->row, change_now(c));
    c->audit.after = json_out_end(&o);
    change_audit(c, "approval.reject", "approval", j->row.id);
    return status;
}

static enum http_next answer_rejected(struct change *c) {
    return answer_row(c->r, &((const struct rejection *)c)->row);
}

static const struct change_kind reject_kind = {.commit = CHANGE_COMMIT(.name = "approval.reject"),
                                               .apply = apply_reject,
                                               .answer = answer_rejected};

enum http_next approval_reject(struct request *r) {
    struct route_match match;
    const struct approval_row *row = find(r, &match);
    if (row == NULL) {
        return HTTP_ANSWER;
    }
    struct rejection *j = change_new(r, &reject_kind, sizeof *j);
    if (j == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    j->route = match.route;
    j->row = *row;
    j->row.state = APPROVAL_REJECTED;
    j->row.decided = change_now(&j->change);
    text_copy(j->row.decided_by, sizeof j->row.decided_by, r->operator_name);
    text_copy(j->row.reason, sizeof j->row.reason, ((const struct reason_body *)r->body)->reason);
    return change_submit(&j->change);
}

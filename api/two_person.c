#include "api/two_person.h"

#include "server/crypto/random.h"
#include "server/fleet/audit_chain.h"

#include <stdio.h>
#include <string.h>

enum { PENDING_MAX = 1000, LASTS_S = 86400 };

bool two_person_wanted(const struct request *r) {
    unsigned rules = r->api->options.config->plane[PLANE_ADMIN].two_person;
    return r->approval == NULL && (r->route->two_person & rules) != 0;
}

const char *approval_state_name(const struct approval_row *row, int64_t now) {
    switch (row->state) {
    case APPROVAL_APPROVED:
        return "approved";
    case APPROVAL_REJECTED:
        return "rejected";
    case APPROVAL_PENDING:
        break;
    }
    return now < row->expires ? "pending" : "expired";
}

void write_approval(struct json_out *o, const struct approval_row *row, int64_t now) {
    json_out_object(o, NULL);
    json_out_text(o, "approval_id", row->id);
    json_out_text(o, "state", approval_state_name(row, now));
    json_out_text(o, "rule", row->rule);
    json_out_text(o, "method", row->method);
    json_out_text(o, "path", row->path);
    json_out_text_or_null(o, "query", row->query);
    json_out_text(o, "proposed_by", row->proposed_by);
    json_out_text_or_null(o, "decided_by", row->decided_by);
    json_out_text_or_null(o, "reason", row->reason);
    json_out_time(o, "created_at", row->created);
    json_out_time(o, "expires_at", row->expires);
    json_out_time_or_null(o, "decided_at", row->decided);
    if (row->body.len > 0) {
        json_out_raw(o, "body", row->body);
    }
    json_out_object_end(o);
}

/* --- proposing --- */

struct proposal {
    struct change change; /* first */
    struct approval_row row;
};

static enum status apply_propose(struct change *c, struct store_writer *writer,
                                 struct detail *detail) {
    struct proposal *p = (struct proposal *)c;
    struct json_out o;
    (void)detail;
    enum status status = store_approval_insert(writer, &p->row, PENDING_MAX);
    if (status == STATUS_LIMIT) {
        return change_fail(c, PROBLEM_TOO_MANY_PROPOSALS, status);
    }
    json_out_init(&o, c->r->x->arena, 512 + p->row.body.len);
    write_approval(&o, &p->row, change_now(c));
    c->audit.after = json_out_end(&o);
    change_audit(c, "approval.propose", "approval", p->row.id);
    return status;
}

static enum http_next answer_proposed(struct change *c) {
    const struct proposal *p = (const struct proposal *)c;
    struct json_out o;
    const char *location = arena_printf(c->r->x->arena, "/v1/approvals/%s", p->row.id);
    if (location == NULL || !http_add_header(c->r->x, "Location", location)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, c->r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_text(&o, "approval_id", p->row.id);
    json_out_text(&o, "state", "pending");
    json_out_time(&o, "expires_at", p->row.expires);
    json_out_object_end(&o);
    return answer_json(c->r, 202, &o);
}

static const struct change_kind propose_kind = {.commit = CHANGE_COMMIT(.name = "approval.propose"),
                                                .apply = apply_propose,
                                                .answer = answer_proposed};

/* The rule that is on, of those that the route is under. */
static const char *rule_name(const struct request *r) {
    unsigned rules = r->route->two_person & r->api->options.config->plane[PLANE_ADMIN].two_person;
    return config_two_person_name((enum two_person)(rules & -rules));
}

enum http_next two_person_propose(struct request *r) {
    const struct http_exchange *x = r->x;
    struct proposal *p = change_new(r, &propose_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (strlen(x->path) >= sizeof p->row.path || strlen(x->query) >= sizeof p->row.query) {
        return problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "too long for a proposal");
    }
    if (x->request_header(x, "If-Match", NULL) != NULL) {
        return problem_detail(r->x, PROBLEM_VERSION_MISMATCH,
                              "If-Match: a proposal is for whatever there is when it is approved");
    }
    id_new(p->row.id, p->change.now_ms);
    p->row.state = APPROVAL_PENDING;
    text_copy(p->row.rule, sizeof p->row.rule, rule_name(r));
    text_copy(p->row.method, sizeof p->row.method, http_method_name(x->method));
    text_copy(p->row.path, sizeof p->row.path, x->path);
    text_copy(p->row.query, sizeof p->row.query, x->query);
    text_copy(p->row.proposed_by, sizeof p->row.proposed_by, r->operator_name);
    p->row.created = change_now(&p->change);
    p->row.expires = p->row.created + LASTS_S;
    p->row.body = x->body;
    return change_enqueue(&p->change);
}

/* --- carrying out --- */

/* Who proposed it might still ask for it. */
static enum status check_proposer(struct change *c, struct store_writer *writer,
                                  struct detail *detail) {
    const char *name = c->r->approval->proposed_by;
    struct operator_row row;
    enum status status = store_operator_get(store_writer_reader(writer), &row, name);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    bool may = status == STATUS_OK && !row.disabled &&
               (role_from_name(row.role) & c->r->route->roles) != 0;
    if (!may) {
        detail_set(detail, "%s, who proposed it, may not do this any more", name);
        return change_fail(c, PROBLEM_PROPOSER_GONE, STATUS_CONFLICT);
    }
    return STATUS_OK;
}

/* The entry that names both; that of what is carried out follows it. */
static enum status audit_approval(struct change *c, struct store_writer *writer,
                                  const struct approval_row *taken, struct detail *detail) {
    struct audit_row entry = {.time_ms = c->now_ms};
    struct json_out o;
    text_copy(entry.actor, sizeof entry.actor, c->r->actor);
    text_copy(entry.action, sizeof entry.action, "approval.approve");
    (void)snprintf(entry.object, sizeof entry.object, "approval:%s", taken->id);
    text_copy(entry.request_id, sizeof entry.request_id, c->r->x->request_id);
    struct approval_row shown = *taken;
    shown.body = (struct bytes){0}; /* it is in the entry of the proposal */
    json_out_init(&o, c->r->x->arena, 512);
    write_approval(&o, &shown, change_now(c));
    entry.after = json_out_end(&o);
    return audit_append(writer, &entry, detail);
}

enum status two_person_take(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct approval_row taken = *c->r->approval;
    if (strcmp(taken.proposed_by, c->r->operator_name) == 0) {
        return change_fail(c, PROBLEM_OWN_PROPOSAL, STATUS_DENIED);
    }
    enum status status = check_proposer(c, writer, detail);
    if (status != STATUS_OK) {
        return status;
    }
    taken.state = APPROVAL_APPROVED;
    taken.decided = change_now(c);
    text_copy(taken.decided_by, sizeof taken.decided_by, c->r->operator_name);
    status = store_approval_decide(writer, &taken);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_ALREADY_DECIDED, status);
    }
    return status == STATUS_OK ? audit_approval(c, writer, &taken, detail) : status;
}

#include "api/change.h"

#include "api/access.h"
#include "api/two_person.h"
#include "server/base/clock.h"
#include "server/fleet/audit_chain.h"

#include <stdio.h>
#include <string.h>

void *change_new(struct request *r, const struct change_kind *kind, size_t size) {
    struct change *c = arena_alloc(r->x->arena, size);
    if (c == NULL) {
        return NULL;
    }
    c->commit.kind = &kind->commit;
    c->kind = kind;
    c->r = r;
    c->now_ms = clock_unix_ms();
    c->problem = NUM_PROBLEMS;
    return c;
}

int64_t change_now(const struct change *c) {
    return c->now_ms / 1000;
}

void change_audit(struct change *c, const char *action, const char *kind, const char *id) {
    text_copy(c->audit.action, sizeof c->audit.action, action);
    (void)snprintf(c->audit.object, sizeof c->audit.object, "%s:%s", kind, id);
}

enum status change_fail(struct change *c, enum problem_kind problem, enum status status) {
    c->problem = problem;
    return status;
}

/* An operator who lost the right while the request was under way does not finish it. */
static enum status check_operator(struct change *c, struct store_writer *writer) {
    struct request *r = c->r;
    if (r->plane != PLANE_ADMIN) {
        return STATUS_OK;
    }
    struct operator_row row;
    enum status status = store_operator_get(store_writer_reader(writer), &row, r->operator_name);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    unsigned role = status == STATUS_OK && !row.disabled ? role_from_name(row.role) : 0;
    bool allowed = (role & r->route->roles) != 0 &&
                   operator_certificate(&row, r->x->peer->leaf_sha256) != NULL;
    r->role = role;
    return allowed ? STATUS_OK : change_fail(c, PROBLEM_FORBIDDEN, STATUS_DENIED);
}

enum status change_apply(struct commit *commit, struct store_writer *writer,
                         struct detail *detail) {
    struct change *c = (struct change *)commit;
    c->problem = NUM_PROBLEMS;
    enum status status = check_operator(c, writer);
    if (status == STATUS_OK && c->r->approval != NULL) {
        status = two_person_take(c, writer, detail);
    }
    if (status == STATUS_OK) {
        status = c->kind->apply(c, writer, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (c->audit.action[0] == '\0') {
        return c->kind->silent ? STATUS_OK
                               : status_fail(detail, STATUS_INTERNAL, "%s leaves no audit entry",
                                             c->kind->commit.name);
    }
    c->audit.time_ms = c->now_ms;
    text_copy(c->audit.actor, sizeof c->audit.actor,
              c->r->actor[0] != '\0' ? c->r->actor : "anonymous");
    text_copy(c->audit.request_id, sizeof c->audit.request_id, c->r->x->request_id);
    return audit_append(writer, &c->audit, detail);
}

void change_done(struct commit *commit) {
    struct http_exchange *x = ((struct change *)commit)->r->x;
    x->resume(x);
}

static enum http_next finish(struct request *r) {
    struct change *c = r->pending;
    if (c->commit.status == STATUS_OK) {
        return c->kind->answer(c);
    }
    if (c->problem == PROBLEM_FORBIDDEN && c->commit.status == STATUS_DENIED) {
        return access_refuse(r);
    }
    if (c->problem != NUM_PROBLEMS && c->commit.status != STATUS_STORAGE) {
        return c->kind->refuse != NULL ? c->kind->refuse(c)
                                       : answer_refusal(r, c->problem, &c->commit.detail);
    }
    /* The signer refused what we made ourselves: not the client's fault. */
    bool ours = c->commit.status == STATUS_INVALID && c->commit.job != NULL;
    return answer_status(r, ours ? STATUS_INTERNAL : c->commit.status, &c->commit.detail);
}

enum http_next change_submit(struct change *c) {
    return two_person_wanted(c->r) ? two_person_propose(c->r) : change_enqueue(c);
}

enum http_next change_enqueue(struct change *c) {
    struct request *r = c->r;
    r->finish = finish;
    r->pending = c;
    enum status status = committer_submit(r->api->options.committer, &c->commit);
    return status == STATUS_OK ? HTTP_WAIT : answer_status(r, status, NULL);
}

/* /v1/operators: who may administer, and as what. Nobody changes their own role or disables
 * themselves, and one administrator always remains. Certificates are in operator_certificates.c. */
#include "api/admin/operator_json.h"

#include <string.h>

static const struct field create_fields[] = {
    REGISTERED_NAME,
    {"role", FIELD_TEXT, true, 1, 16, offsetof(struct registered_body, role)},
    REGISTERED_CERTIFICATE,
    REGISTERED_DISABLED};
static const struct field update_fields[] = {
    {"role", FIELD_TEXT, true, 1, 16, offsetof(struct registered_body, role)}, REGISTERED_DISABLED};
const struct shape operator_create_shape = SHAPE(create_fields, struct registered_body);
const struct shape operator_update_shape = SHAPE(update_fields, struct registered_body);

struct operator_change {
    struct change change; /* first */
    const struct registered_body *body;
    struct operator_row row;
    struct registered_certificate certificate; /* of one that is created */
};

static void write_certificate(struct json_out *o, const struct operator_certificate *row) {
    json_out_object(o, NULL);
    json_out_hex(o, "sha256", bytes_of(row->sha256, 32));
    json_out_text_or_null(o, "subject", row->subject);
    json_out_time_or_null(o, "not_after", row->not_after);
    json_out_time(o, "added_at", row->added);
    json_out_text_or_null(o, "added_by", row->added_by);
    json_out_object_end(o);
}

static void write_operator(struct json_out *o, const struct operator_row *row) {
    json_out_object(o, NULL);
    json_out_text(o, "name", row->name);
    json_out_text(o, "role", row->role);
    json_out_array(o, "certificates");
    for (size_t i = 0; i < row->num_certificates; i++) {
        write_certificate(o, &row->certificate[i]);
    }
    json_out_array_end(o);
    json_out_bool(o, "disabled", row->disabled);
    json_out_time(o, "created_at", row->created);
    json_out_time(o, "updated_at", row->updated);
    json_out_object_end(o);
}

struct bytes operator_json(struct change *c, const struct operator_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 1024);
    write_operator(&o, row);
    return json_out_end(&o);
}

enum http_next operator_answer(struct request *r, unsigned status, const struct operator_row *row) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 1024);
    write_operator(&o, row);
    return answer_json(r, status, &o);
}

void operator_certificate_fill(struct operator_certificate *out, const struct change *c,
                               const struct registered_certificate *from) {
    *out = (struct operator_certificate){.not_after = from->not_after, .added = change_now(c)};
    memcpy(out->sha256, from->sha256, sizeof out->sha256);
    text_copy(out->subject, sizeof out->subject, from->subject);
    text_copy(out->added_by, sizeof out->added_by, c->r->operator_name);
}

enum http_next operator_list(struct request *r) {
    const struct page_query *query = r->query;
    struct operator_row *rows;
    size_t num;
    struct json_out o;
    enum status status =
        store_operator_list(r->worker->reader, r->x->arena, &rows, &num, page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        write_operator(&o, &rows[i]);
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : rows[shown - 1].name);
}

enum http_next operator_show(struct request *r) {
    struct operator_row row;
    enum status status = store_operator_get(r->worker->reader, &row, r->param[0]);
    return status == STATUS_OK ? operator_answer(r, 200, &row) : answer_status(r, status, NULL);
}

static bool check_role(struct request *r, const char *role) {
    if (role_from_name(role) != 0) {
        return true;
    }
    (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                         "role: one of viewer, operator, author, approver, admin");
    return false;
}

/* --- creating --- */

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct operator_change *p = (struct operator_change *)c;
    struct operator_row old;
    (void)detail;
    enum status status = store_operator_get(store_writer_reader(writer), &old, p->row.name);
    if (status == STATUS_OK) {
        return change_fail(c, PROBLEM_ALREADY_EXISTS, STATUS_CONFLICT);
    }
    if (status == STATUS_NOT_FOUND) {
        status = store_operator_put(writer, &p->row, false);
    }
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_CERTIFICATE_IN_USE, status);
    }
    change_audit(c, "operator.create", "operator", p->row.name);
    c->audit.after = operator_json(c, &p->row);
    return status;
}

static enum http_next answer_created(struct change *c) {
    return operator_answer(c->r, 201, &((const struct operator_change *)c)->row);
}

static const struct change_kind create_kind = {
    .commit = CHANGE_COMMIT(.name = "operator.create", .reloads_policy = true),
    .apply = apply_create,
    .answer = answer_created};

enum http_next operator_create(struct request *r) {
    const struct registered_body *body = r->body;
    struct operator_change *p = change_new(r, &create_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!check_role(r, body->role) || !registered_read(r, &p->certificate, body, true)) {
        return HTTP_ANSWER;
    }
    text_copy(p->row.name, sizeof p->row.name, body->name);
    text_copy(p->row.role, sizeof p->row.role, body->role);
    p->row.disabled = body->disabled;
    p->row.created = p->row.updated = change_now(&p->change);
    operator_certificate_fill(&p->row.certificate[0], &p->change, &p->certificate);
    p->row.num_certificates = 1;
    return change_submit(&p->change);
}

/* --- changing --- */

static enum status get_other(struct change *c, struct store_writer *writer,
                             struct operator_row *out) {
    const struct request *r = c->r;
    if (strcmp(r->param[0], r->operator_name) == 0) {
        return change_fail(c, PROBLEM_OWN_REGISTRATION, STATUS_DENIED);
    }
    enum status status = store_operator_get(store_writer_reader(writer), out, r->param[0]);
    if (status == STATUS_OK) {
        c->audit.before = operator_json(c, out);
    }
    return status;
}

static enum status apply_update(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct operator_change *p = (struct operator_change *)c;
    (void)detail;
    enum status status = get_other(c, writer, &p->row);
    if (status != STATUS_OK) {
        return status;
    }
    text_copy(p->row.role, sizeof p->row.role, p->body->role);
    p->row.disabled = p->body->disabled;
    p->row.updated = change_now(c);
    status = store_operator_put(writer, &p->row, true);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_LAST_ADMIN, status);
    }
    change_audit(c, "operator.update", "operator", p->row.name);
    c->audit.after = operator_json(c, &p->row);
    return status;
}

static enum http_next answer_updated(struct change *c) {
    return operator_answer(c->r, 200, &((const struct operator_change *)c)->row);
}

static const struct change_kind update_kind = {
    .commit = CHANGE_COMMIT(.name = "operator.update", .reloads_policy = true),
    .apply = apply_update,
    .answer = answer_updated};

enum http_next operator_update(struct request *r) {
    struct operator_change *p = change_new(r, &update_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    p->body = r->body;
    return check_role(r, p->body->role) ? change_submit(&p->change) : HTTP_ANSWER;
}

/* --- removing --- */

static enum status apply_delete(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct operator_change *p = (struct operator_change *)c;
    (void)detail;
    enum status status = get_other(c, writer, &p->row);
    if (status == STATUS_OK) {
        status = store_operator_delete(writer, p->row.name, change_now(c));
    }
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_LAST_ADMIN, status);
    }
    change_audit(c, "operator.delete", "operator", c->r->param[0]);
    return status;
}

static enum http_next answer_deleted(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind delete_kind = {
    .commit = CHANGE_COMMIT(.name = "operator.delete", .reloads_policy = true),
    .apply = apply_delete,
    .answer = answer_deleted};

enum http_next operator_delete(struct request *r) {
    struct operator_change *p = change_new(r, &delete_kind, sizeof *p);
    return p == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&p->change);
}

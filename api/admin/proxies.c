/* /v1/proxies: who may ask for decisions. */
#include "api/admin/registered.h"

#include <string.h>

static const struct field create_fields[] = {
    REGISTERED_NAME,
    {"dialect", FIELD_TEXT, false, 1, 16, offsetof(struct registered_body, dialect)},
    REGISTERED_CERTIFICATE,
    REGISTERED_DISABLED};
static const struct field update_fields[] = {
    {"dialect", FIELD_TEXT, false, 1, 16, offsetof(struct registered_body, dialect)},
    REGISTERED_CERTIFICATE,
    REGISTERED_DISABLED};
const struct shape proxy_create_shape = SHAPE(create_fields, struct registered_body);
const struct shape proxy_update_shape = SHAPE(update_fields, struct registered_body);

struct proxy_change {
    struct change change; /* first */
    const struct registered_body *body;
    struct proxy_row row;
    struct registered_certificate certificate;
};

static void write_proxy(struct json_out *o, const struct proxy_row *row) {
    json_out_object(o, NULL);
    json_out_text(o, "name", row->name);
    json_out_text(o, "dialect", row->dialect);
    json_out_hex(o, "certificate_sha256", bytes_of(row->certificate_sha256, 32));
    json_out_bool(o, "disabled", row->disabled);
    json_out_time(o, "created_at", row->created);
    json_out_time(o, "updated_at", row->updated);
    json_out_object_end(o);
}

static struct bytes proxy_json(struct change *c, const struct proxy_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 512);
    write_proxy(&o, row);
    return json_out_end(&o);
}

static enum http_next answer_row(struct request *r, unsigned status, const struct proxy_row *row) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 512);
    write_proxy(&o, row);
    return answer_json(r, status, &o);
}

enum http_next proxy_list(struct request *r) {
    const struct page_query *query = r->query;
    struct proxy_row *rows;
    size_t num;
    struct json_out o;
    enum status status =
        store_proxy_list(r->worker->reader, r->x->arena, &rows, &num, page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        write_proxy(&o, &rows[i]);
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : rows[shown - 1].name);
}

enum http_next proxy_show(struct request *r) {
    struct proxy_row row;
    enum status status = store_proxy_get(r->worker->reader, &row, r->param[0]);
    return status == STATUS_OK ? answer_row(r, 200, &row) : answer_status(r, status, NULL);
}

/* How the proxy hands on a client's certificate; none does yet. */
static bool check_dialect(struct request *r, const char *dialect) {
    if (dialect == NULL || strcmp(dialect, "none") == 0) {
        return true;
    }
    (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "dialect: \"none\"");
    return false;
}

/* --- creating --- */

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct proxy_change *p = (struct proxy_change *)c;
    struct proxy_row old;
    (void)detail;
    enum status status = store_proxy_get(store_writer_reader(writer), &old, p->row.name);
    if (status == STATUS_OK) {
        return change_fail(c, PROBLEM_ALREADY_EXISTS, STATUS_CONFLICT);
    }
    if (status == STATUS_NOT_FOUND) {
        status = store_proxy_put(writer, &p->row, false);
    }
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_CERTIFICATE_IN_USE, status);
    }
    change_audit(c, "proxy.create", "proxy", p->row.name);
    c->audit.after = proxy_json(c, &p->row);
    return status;
}

static enum http_next answer_created(struct change *c) {
    return answer_row(c->r, 201, &((const struct proxy_change *)c)->row);
}

static const struct change_kind create_kind = {
    .commit = CHANGE_COMMIT(.name = "proxy.create", .reloads_policy = true),
    .apply = apply_create,
    .answer = answer_created};

enum http_next proxy_create(struct request *r) {
    const struct registered_body *body = r->body;
    struct proxy_change *p = change_new(r, &create_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!check_dialect(r, body->dialect) || !registered_read(r, &p->certificate, body, true)) {
        return HTTP_ANSWER;
    }
    text_copy(p->row.name, sizeof p->row.name, body->name);
    text_copy(p->row.dialect, sizeof p->row.dialect, "none");
    memcpy(p->row.certificate_sha256, p->certificate.sha256, 32);
    p->row.disabled = body->disabled;
    p->row.created = p->row.updated = change_now(&p->change);
    return change_submit(&p->change);
}

/* --- changing --- */

static enum status get_row(struct change *c, struct store_writer *writer, struct proxy_row *out) {
    enum status status = store_proxy_get(store_writer_reader(writer), out, c->r->param[0]);
    if (status == STATUS_OK) {
        c->audit.before = proxy_json(c, out);
    }
    return status;
}

static enum status apply_update(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct proxy_change *p = (struct proxy_change *)c;
    (void)detail;
    enum status status = get_row(c, writer, &p->row);
    if (status != STATUS_OK) {
        return status;
    }
    p->row.disabled = p->body->disabled;
    p->row.updated = change_now(c);
    if (p->certificate.given) {
        memcpy(p->row.certificate_sha256, p->certificate.sha256, 32);
    }
    status = store_proxy_put(writer, &p->row, true);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_CERTIFICATE_IN_USE, status);
    }
    change_audit(c, "proxy.update", "proxy", p->row.name);
    c->audit.after = proxy_json(c, &p->row);
    return status;
}

static enum http_next answer_updated(struct change *c) {
    return answer_row(c->r, 200, &((const struct proxy_change *)c)->row);
}

static const struct change_kind update_kind = {
    .commit = CHANGE_COMMIT(.name = "proxy.update", .reloads_policy = true),
    .apply = apply_update,
    .answer = answer_updated};

enum http_next proxy_update(struct request *r) {
    struct proxy_change *p = change_new(r, &update_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    p->body = r->body;
    if (!check_dialect(r, p->body->dialect) ||
        !registered_read(r, &p->certificate, p->body, false)) {
        return HTTP_ANSWER;
    }
    return change_submit(&p->change);
}

/* --- removing --- */

static enum status apply_delete(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct proxy_change *p = (struct proxy_change *)c;
    (void)detail;
    enum status status = get_row(c, writer, &p->row);
    if (status == STATUS_OK) {
        status = store_proxy_delete(writer, p->row.name);
    }
    change_audit(c, "proxy.delete", "proxy", c->r->param[0]);
    return status;
}

static enum http_next answer_deleted(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind delete_kind = {
    .commit = CHANGE_COMMIT(.name = "proxy.delete", .reloads_policy = true),
    .apply = apply_delete,
    .answer = answer_deleted};

enum http_next proxy_delete(struct request *r) {
    struct proxy_change *p = change_new(r, &delete_kind, sizeof *p);
    return p == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&p->change);
}

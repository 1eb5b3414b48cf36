/* /v1/proxies: who may ask for decisions, how each hands on its clients' certificates, and which access
 * policies it may name. */
#include "api/admin/registered.h"

#include <string.h>

#define PROXY_FIELDS                                                                               \
    {"dialect", FIELD_TEXT, false, 1, 16, offsetof(struct registered_body, dialect)}, {            \
        "policies", FIELD_IDS, false, 0, PROXY_POLICIES_MAX,                                       \
            offsetof(struct registered_body, policies)                                             \
    }
static const struct field create_fields[] = {REGISTERED_NAME, PROXY_FIELDS, REGISTERED_CERTIFICATE,
                                             REGISTERED_DISABLED};
static const struct field update_fields[] = {PROXY_FIELDS, REGISTERED_CERTIFICATE,
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
    json_out_text(o, "dialect", dialect_names[row->dialect]);
    json_out_array(o, "policies");
    for (size_t i = 0; i < row->num_policies; i++) {
        json_out_text(o, NULL, row->policy[i]);
    }
    json_out_array_end(o);
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

static bool bad_policies(struct request *r, const char *why) {
    (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "policies: %s", why);
    return false;
}

/* Checks what is the proxy's alone. False: answered. */
static bool check_body(struct request *r, const struct registered_body *body) {
    enum dialect dialect;
    if (body->dialect != NULL && !dialect_from_name(&dialect, body->dialect)) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                             "dialect: \"none\", \"nginx\", \"envoy_xfcc\", \"traefik\", "
                             "\"caddy\", \"rfc9440\" or \"fingerprint\"");
        return false;
    }
    for (size_t i = 0; i < body->policies.num; i++) {
        if (!name_is_valid(body->policies.id[i])) {
            return bad_policies(r, "names of 1 to 64 of [A-Za-z0-9._-]");
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(body->policies.id[i], body->policies.id[j]) == 0) {
                return bad_policies(r, "one stands twice");
            }
        }
    }
    return true;
}

/* Overwrites what the body names; it was checked. */
static void merge(struct proxy_row *row, const struct registered_body *body) {
    if (body->dialect != NULL) {
        (void)dialect_from_name(&row->dialect, body->dialect);
    }
    for (size_t i = 0; i < body->policies.num; i++) {
        text_copy(row->policy[i], sizeof row->policy[i], body->policies.id[i]);
    }
    if (body->policies.id != NULL) {
        row->num_policies = body->policies.num;
    }
}

/* Each of its policies has to be there. */
static enum status check_policies(struct change *c, struct store_writer *writer,
                                  const struct proxy_row *row, struct detail *detail) {
    struct access_policy_row policy;
    for (size_t i = 0; i < row->num_policies; i++) {
        enum status status = store_access_policy_get(store_writer_reader(writer), c->r->x->arena,
                                                     &policy, row->policy[i]);
        if (status == STATUS_NOT_FOUND) {
            detail_set(detail, "there is no access policy %s", row->policy[i]);
            return change_fail(c, PROBLEM_UNKNOWN_POLICY, status);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* Its streams are held while it is disabled, and go with it. */
static void publish(struct commit *commit, struct fleet_table *table) {
    (void)table;
    signals_changed(((struct change *)commit)->r->api->options.signals);
}

/* --- creating --- */

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct proxy_change *p = (struct proxy_change *)c;
    struct proxy_row old;
    enum status status = store_proxy_get(store_writer_reader(writer), &old, p->row.name);
    if (status == STATUS_OK) {
        return change_fail(c, PROBLEM_ALREADY_EXISTS, STATUS_CONFLICT);
    }
    if (status == STATUS_NOT_FOUND) {
        status = check_policies(c, writer, &p->row, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = store_proxy_put(writer, &p->row, false);
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
    if (!check_body(r, body) || !registered_read(r, &p->certificate, body, true)) {
        return HTTP_ANSWER;
    }
    text_copy(p->row.name, sizeof p->row.name, body->name);
    merge(&p->row, body);
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
    enum status status = get_row(c, writer, &p->row);
    if (status == STATUS_OK) {
        merge(&p->row, p->body);
        status = check_policies(c, writer, &p->row, detail);
    }
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
    .commit = CHANGE_COMMIT(.name = "proxy.update", .publish = publish, .reloads_policy = true),
    .apply = apply_update,
    .answer = answer_updated};

enum http_next proxy_update(struct request *r) {
    struct proxy_change *p = change_new(r, &update_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    p->body = r->body;
    if (!check_body(r, p->body) || !registered_read(r, &p->certificate, p->body, false)) {
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
    .commit = CHANGE_COMMIT(.name = "proxy.delete", .publish = publish, .reloads_policy = true),
    .apply = apply_delete,
    .answer = answer_deleted};

enum http_next proxy_delete(struct request *r) {
    struct proxy_change *p = change_new(r, &delete_kind, sizeof *p);
    return p == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&p->change);
}

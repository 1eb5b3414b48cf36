/* /v1/access-policies: what proxies may ask of devices beyond a decision that allows. */
#include "api/admin/admin.h"

#include <string.h>

struct policy_body {
    const char *name, *description, *minimum_tier, *key_protection;
    struct id_list models, segments; /* id NULL: not given */
};

#define POLICY_FIELDS                                                                               \
    {"description", FIELD_TEXT, false, 0, 256, offsetof(struct policy_body, description)},          \
        {"minimum_tier", FIELD_TEXT, false, 1, 16, offsetof(struct policy_body, minimum_tier)},     \
        {"key_protection", FIELD_TEXT, false, 1, 16, offsetof(struct policy_body, key_protection)}, \
        {"models",                                                                                  \
         FIELD_IDS,                                                                                 \
         false,                                                                                     \
         0,                                                                                         \
         ACCESS_POLICY_MODELS_MAX,                                                                  \
         offsetof(struct policy_body, models)},                                                     \
    {                                                                                               \
        "segments", FIELD_IDS, false, 0, ACCESS_POLICY_SEGMENTS_MAX,                                \
            offsetof(struct policy_body, segments)                                                  \
    }

static const struct field create_fields[] = {
    {"name", FIELD_TEXT, true, 1, STORE_NAME - 1, offsetof(struct policy_body, name)},
    POLICY_FIELDS};
static const struct field update_fields[] = {POLICY_FIELDS};
const struct shape access_policy_create_shape = SHAPE(create_fields, struct policy_body);
const struct shape access_policy_update_shape = SHAPE(update_fields, struct policy_body);

struct policy_change {
    struct change change; /* first */
    const struct policy_body *body;
    struct access_policy_row row; /* as it is afterwards */
    int64_t version;              /* If-Match; 0: any */
};

/* --- how it is written --- */

static void write_names(struct json_out *o, const char *name, const char *names, size_t size,
                        size_t num) {
    json_out_array(o, name);
    for (size_t i = 0; i < num; i++) {
        json_out_text(o, NULL, names + i * size);
    }
    json_out_array_end(o);
}

static void write_policy(struct json_out *o, const struct access_policy_row *row) {
    json_out_object(o, NULL);
    json_out_text(o, "name", row->name);
    json_out_text(o, "description", row->description);
    json_out_text(o, "minimum_tier", tier_name((enum tier)row->min_tier));
    json_out_text(o, "key_protection", row->key_protection == KEY_IN_TPM ? "tpm" : "any");
    write_names(o, "models", (const char *)row->model, sizeof row->model[0], row->num_models);
    write_names(o, "segments", (const char *)row->segment, sizeof row->segment[0],
                row->num_segments);
    json_out_int(o, "version", row->version);
    json_out_time(o, "created_at", row->created);
    json_out_time(o, "updated_at", row->updated);
    json_out_object_end(o);
}

static struct bytes policy_json(struct change *c, const struct access_policy_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 512);
    write_policy(&o, row);
    return json_out_end(&o);
}

static enum http_next answer_row(struct request *r, unsigned status,
                                 const struct access_policy_row *row) {
    struct json_out o;
    if (!add_etag(r, row->version)) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, r->x->arena, 512);
    write_policy(&o, row);
    return answer_json(r, status, &o);
}

/* --- how it is read --- */

static bool check_list(struct request *r, const char *field, const struct id_list *list,
                       bool (*is_valid)(const char *name), const char *wanted) {
    for (size_t i = 0; i < list->num; i++) {
        if (!is_valid(list->id[i])) {
            (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "%s: %s", field, wanted);
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(list->id[i], list->id[j]) == 0) {
                (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "%s: one stands twice", field);
                return false;
            }
        }
    }
    return true;
}

static bool check_body(struct request *r, const struct policy_body *body) {
    int tier;
    if (body->name != NULL && !name_is_valid(body->name)) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "name: 1 to 64 of [A-Za-z0-9._-]");
        return false;
    }
    if (body->minimum_tier != NULL && !tier_from_name(&tier, body->minimum_tier)) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                             "minimum_tier: \"none\", \"identified\", \"verified_boot\" or "
                             "\"measured\"");
        return false;
    }
    if (body->key_protection != NULL && strcmp(body->key_protection, "any") != 0 &&
        strcmp(body->key_protection, "tpm") != 0) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "key_protection: \"any\" or \"tpm\"");
        return false;
    }
    return check_list(r, "models", &body->models, name_is_valid,
                      "names of 1 to 64 of [A-Za-z0-9._-]") &&
           check_list(r, "segments", &body->segments, profile_segment_is_valid,
                      "labels of 1 to 63 of [a-z0-9._-]");
}

/* Copies of the names, `size` bytes each; NULL on overflow of the arena. They were checked to fit. */
static void *copy_names(struct arena *arena, const struct id_list *list, size_t size) {
    char *names = arena_array(arena, list->num, size);
    for (size_t i = 0; names != NULL && i < list->num; i++) {
        text_copy(names + i * size, size, list->id[i]);
    }
    return names;
}

/* Overwrites what the body names; it was checked. */
static enum status merge(struct access_policy_row *row, const struct policy_body *body,
                         struct arena *arena) {
    if (body->description != NULL) {
        text_copy(row->description, sizeof row->description, body->description);
    }
    if (body->minimum_tier != NULL) {
        (void)!tier_from_name(&row->min_tier, body->minimum_tier);
    }
    if (body->key_protection != NULL) {
        row->key_protection = strcmp(body->key_protection, "tpm") == 0 ? KEY_IN_TPM : KEY_UNPROVEN;
    }
    if (body->models.id != NULL) {
        row->model = copy_names(arena, &body->models, sizeof row->model[0]);
        row->num_models = body->models.num;
    }
    if (body->segments.id != NULL) {
        row->segment = copy_names(arena, &body->segments, sizeof row->segment[0]);
        row->num_segments = body->segments.num;
    }
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* --- reading --- */

enum http_next access_policy_list(struct request *r) {
    const struct page_query *query = r->query;
    struct access_policy_row *rows;
    size_t num;
    struct json_out o;
    enum status status =
        store_access_policy_list(r->worker->reader, r->x->arena, &rows, &num, page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        write_policy(&o, &rows[i]);
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : rows[shown - 1].name);
}

enum http_next access_policy_show(struct request *r) {
    struct access_policy_row row;
    enum status status = store_access_policy_get(r->worker->reader, r->x->arena, &row, r->param[0]);
    return status == STATUS_OK ? answer_row(r, 200, &row) : answer_status(r, status, NULL);
}

/* --- creating --- */

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct policy_change *p = (struct policy_change *)c;
    (void)detail;
    enum status status = store_access_policy_insert(writer, &p->row);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_ALREADY_EXISTS, status);
    }
    change_audit(c, "access_policy.create", "access_policy", p->row.name);
    c->audit.after = policy_json(c, &p->row);
    return status;
}

static enum http_next answer_created(struct change *c) {
    const struct policy_change *p = (const struct policy_change *)c;
    const char *location = arena_printf(c->r->x->arena, "/v1/access-policies/%s", p->row.name);
    if (location == NULL || !http_add_header(c->r->x, "Location", location)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    return answer_row(c->r, 201, &p->row);
}

static const struct change_kind create_kind = {
    .commit = CHANGE_COMMIT(.name = "access_policy.create", .reloads_policy = true),
    .apply = apply_create,
    .answer = answer_created};

enum http_next access_policy_create(struct request *r) {
    const struct policy_body *body = r->body;
    struct policy_change *p = change_new(r, &create_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!check_body(r, body)) {
        return HTTP_ANSWER;
    }
    text_copy(p->row.name, sizeof p->row.name, body->name);
    p->row.created = p->row.updated = change_now(&p->change);
    p->row.version = 1;
    if (merge(&p->row, body, r->x->arena) != STATUS_OK) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return change_submit(&p->change);
}

/* --- changing --- */

static enum status get_row(struct change *c, struct store_writer *writer) {
    struct policy_change *p = (struct policy_change *)c;
    enum status status = store_access_policy_get(store_writer_reader(writer), c->r->x->arena,
                                                 &p->row, c->r->param[0]);
    if (status == STATUS_OK) {
        status = check_version(c, p->version, p->row.version);
    }
    if (status == STATUS_OK) {
        c->audit.before = policy_json(c, &p->row);
    }
    return status;
}

static enum status apply_update(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct policy_change *p = (struct policy_change *)c;
    (void)detail;
    enum status status = get_row(c, writer);
    if (status == STATUS_OK) {
        status = merge(&p->row, p->body, c->r->x->arena);
    }
    if (status != STATUS_OK) {
        return status;
    }
    p->row.updated = change_now(c);
    status = store_access_policy_update(writer, &p->row);
    p->row.version++;
    change_audit(c, "access_policy.update", "access_policy", p->row.name);
    c->audit.after = policy_json(c, &p->row);
    return status;
}

static enum http_next answer_updated(struct change *c) {
    return answer_row(c->r, 200, &((const struct policy_change *)c)->row);
}

static const struct change_kind update_kind = {
    .commit = CHANGE_COMMIT(.name = "access_policy.update", .reloads_policy = true),
    .apply = apply_update,
    .answer = answer_updated};

enum http_next access_policy_update(struct request *r) {
    struct policy_change *p = change_new(r, &update_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    p->body = r->body;
    if (!check_body(r, p->body) || !read_if_match(r, &p->version)) {
        return HTTP_ANSWER;
    }
    return change_submit(&p->change);
}

/* --- removing --- */

static enum status apply_delete(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct policy_change *p = (struct policy_change *)c;
    enum status status = get_row(c, writer);
    if (status == STATUS_OK) {
        status = store_access_policy_delete(writer, p->row.name);
    }
    if (status == STATUS_CONFLICT && c->problem == NUM_PROBLEMS) {
        detail_set(detail, "a proxy may ask for it");
        return change_fail(c, PROBLEM_IN_USE, status);
    }
    change_audit(c, "access_policy.delete", "access_policy", c->r->param[0]);
    return status;
}

static enum http_next answer_deleted(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind delete_kind = {
    .commit = CHANGE_COMMIT(.name = "access_policy.delete", .reloads_policy = true),
    .apply = apply_delete,
    .answer = answer_deleted};

enum http_next access_policy_delete(struct request *r) {
    struct policy_change *p = change_new(r, &delete_kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return read_if_match(r, &p->version) ? change_submit(&p->change) : HTTP_ANSWER;
}

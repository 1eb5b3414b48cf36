/* /v1/models/{model}/baselines and /v1/baselines/{id}: drafts are written here; what happens to
 * them afterwards is in baseline_states.c. */
#include "api/admin/admin.h"

#include "server/appraisal/appraisal.h"
#include "server/crypto/random.h"
#include "server/fleet/baseline_life.h"

#include <string.h>

struct baseline_change {
    struct change change; /* first */
    struct baseline_row row;
    int64_t version; /* If-Match; 0: any */
};

static enum http_next answer_row(struct request *r, unsigned status, const struct baseline_row *row,
                                 const struct rollout_row *rollout) {
    struct json_out o;
    if (!add_etag(r, row->version)) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, r->x->arena, 512 + row->document.len);
    baseline_write_whole(&o, NULL, row, rollout);
    return answer_json(r, status, &o);
}

/* The document is a baseline, and says what it is for. False: answered. */
static bool read_document(struct request *r, struct baseline_row *row) {
    struct http_exchange *x = r->x;
    struct detail detail = {0};
    struct baseline *compiled = NULL;
    const char *code = NULL;
    if (!shape_check_depth(x)) {
        return false;
    }
    enum status status = baseline_compile(&compiled, x->body, &code, &detail);
    if (status == STATUS_MEMORY) {
        (void)answer_status(r, status, &detail);
        return false;
    }
    if (status != STATUS_OK) {
        enum problem_kind kind = code == NULL ? PROBLEM_INVALID_BASELINE : problem_of_code(code);
        (void)problem_coded(x, kind == PROBLEM_INTERNAL ? PROBLEM_INVALID_BASELINE : kind, NULL,
                            detail.text);
        return false;
    }
    bool fits = strlen(baseline_model(compiled)) < sizeof row->model &&
                strlen(baseline_label(compiled)) < sizeof row->label;
    if (fits) {
        text_copy(row->model, sizeof row->model, baseline_model(compiled));
        text_copy(row->label, sizeof row->label, baseline_label(compiled));
    } else {
        (void)problem_detail(x, PROBLEM_INVALID_BASELINE, "label: too long");
    }
    baseline_free(compiled);
    row->document = x->body;
    digest_compute(HASH_SHA256, x->body, row->document_sha256);
    return fits;
}

/* --- reading --- */

enum http_next baseline_list(struct request *r) {
    const struct page_query *query = r->query;
    struct model_row model;
    struct baseline_row *rows;
    size_t num;
    struct json_out o;
    enum status status = store_model_get(r->worker->reader, &model, r->param[0]);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    status = store_baseline_list(r->worker->reader, r->x->arena, &rows, &num, r->param[0],
                                 page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        baseline_write_json(&o, NULL, &rows[i]);
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : rows[shown - 1].id);
}

enum http_next baseline_show(struct request *r) {
    struct baseline_row row;
    struct rollout_row rollout;
    enum status status = store_baseline_get(r->worker->reader, r->x->arena, &row, r->param[0]);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    status = store_rollout_get(r->worker->reader, r->x->arena, &rollout, row.id);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return answer_status(r, status, NULL);
    }
    return answer_row(r, 200, &row, status == STATUS_OK ? &rollout : NULL);
}

/* --- creating --- */

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct baseline_change *b = (struct baseline_change *)c;
    struct model_row model;
    (void)detail;
    enum status status = store_model_get(store_writer_reader(writer), &model, b->row.model);
    if (status == STATUS_OK) {
        status = store_baseline_insert(writer, &b->row);
    }
    change_audit(c, "baseline.create", "baseline", b->row.id);
    c->audit.after = baseline_head_json(c->r->x->arena, &b->row);
    return status;
}

static enum http_next answer_created(struct change *c) {
    const struct baseline_change *b = (const struct baseline_change *)c;
    const char *location = arena_printf(c->r->x->arena, "/v1/baselines/%s", b->row.id);
    if (location == NULL || !http_add_header(c->r->x, "Location", location)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    return answer_row(c->r, 201, &b->row, NULL);
}

static const struct change_kind create_kind = {.commit = CHANGE_COMMIT(.name = "baseline.create"),
                                               .apply = apply_create,
                                               .answer = answer_created};

enum http_next baseline_create(struct request *r) {
    struct baseline_change *b = change_new(r, &create_kind, sizeof *b);
    if (b == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!read_document(r, &b->row)) {
        return HTTP_ANSWER;
    }
    if (strcmp(b->row.model, r->param[0]) != 0) {
        return problem(r->x, PROBLEM_MODEL_MISMATCH);
    }
    id_new(b->row.id, b->change.now_ms);
    b->row.state = BASELINE_DRAFT;
    text_copy(b->row.created_by, sizeof b->row.created_by, r->operator_name);
    b->row.created = b->row.updated = change_now(&b->change);
    b->row.version = 1;
    return change_submit(&b->change);
}

/* --- changing a draft --- */

/* The draft as it stands; *out is untouched on failure. */
static enum status get_draft(struct change *c, struct store_writer *writer,
                             struct baseline_row *out, struct detail *detail) {
    const struct baseline_change *b = (const struct baseline_change *)c;
    struct baseline_row row;
    enum status status =
        store_baseline_get(store_writer_reader(writer), c->r->x->arena, &row, c->r->param[0]);
    if (status == STATUS_OK) {
        status = check_version(c, b->version, row.version);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (row.state != BASELINE_DRAFT) {
        detail_set(detail, "it is %s: only a draft may change", baseline_state_name(row.state));
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    *out = row;
    return STATUS_OK;
}

static enum status apply_update(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct baseline_change *b = (struct baseline_change *)c;
    struct baseline_row old = {0};
    enum status status = get_draft(c, writer, &old, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (strcmp(old.model, b->row.model) != 0) {
        return change_fail(c, PROBLEM_MODEL_MISMATCH, STATUS_CONFLICT);
    }
    c->audit.before = baseline_head_json(c->r->x->arena, &old);
    text_copy(b->row.id, sizeof b->row.id, old.id);
    b->row.state = old.state;
    b->row.created = old.created;
    b->row.updated = change_now(c);
    text_copy(b->row.created_by, sizeof b->row.created_by, old.created_by);
    text_copy(b->row.updated_by, sizeof b->row.updated_by, c->r->operator_name);
    b->row.version = old.version;
    status = store_baseline_update(writer, &b->row);
    b->row.version = old.version + 1;
    change_audit(c, "baseline.update", "baseline", b->row.id);
    c->audit.after = baseline_head_json(c->r->x->arena, &b->row);
    return status;
}

static enum http_next answer_updated(struct change *c) {
    return answer_row(c->r, 200, &((const struct baseline_change *)c)->row, NULL);
}

static const struct change_kind update_kind = {.commit = CHANGE_COMMIT(.name = "baseline.update"),
                                               .apply = apply_update,
                                               .answer = answer_updated};

enum http_next baseline_update(struct request *r) {
    struct baseline_change *b = change_new(r, &update_kind, sizeof *b);
    if (b == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!read_document(r, &b->row) || !read_if_match(r, &b->version)) {
        return HTTP_ANSWER;
    }
    return change_submit(&b->change);
}

/* --- removing a draft --- */

static enum status apply_delete(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct baseline_change *b = (struct baseline_change *)c;
    enum status status = get_draft(c, writer, &b->row, detail);
    if (status != STATUS_OK) {
        return status;
    }
    change_audit(c, "baseline.delete", "baseline", b->row.id);
    c->audit.before = baseline_head_json(c->r->x->arena, &b->row);
    return store_baseline_delete(writer, b->row.id);
}

static enum http_next answer_deleted(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind delete_kind = {.commit = CHANGE_COMMIT(.name = "baseline.delete"),
                                               .apply = apply_delete,
                                               .answer = answer_deleted};

enum http_next baseline_delete(struct request *r) {
    struct baseline_change *b = change_new(r, &delete_kind, sizeof *b);
    if (b == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return read_if_match(r, &b->version) ? change_submit(&b->change) : HTTP_ANSWER;
}

/* Rows are read as the body comes, and kept packed; nothing goes into the store before the body is
 * whole. Then they are committed by the thousand, in the order of their ids, each batch with an
 * audit entry: the worker submits a batch when the one before it is durable. */
#include "api/admin/upload.h"

#include "api/admin/admin.h"
#include "api/admin/upload_rows.h"

#include <stdlib.h>
#include <string.h>

struct upload_query {
    const char *model, *all_or_nothing;
};
static const struct field query_fields[] = {
    {"model", FIELD_TEXT, false, 1, STORE_NAME - 1, offsetof(struct upload_query, model)},
    {"all_or_nothing", FIELD_TEXT, false, 4, 5, offsetof(struct upload_query, all_or_nothing)},
};
const struct shape upload_query_shape = SHAPE(query_fields, struct upload_query);

struct row_error {
    uint32_t line;
    enum problem_kind kind;
    char detail[88];
};

struct upload {
    struct request *r;
    bool all_or_nothing;
    struct http_sink sink;
    struct rows_visitor visitor;
    struct detail detail; /* of the header */
    struct upload_rows rows;
    size_t num_rows;                       /* read, with those that are refused */
    size_t next;                           /* the first row that is not committed */
    size_t registered, already_registered; /* durable */
    size_t num_errors;
    struct row_error error[UPLOAD_ERRORS_MAX];
    struct rows reader; /* last: large */
};

/* Some rows in one transaction. */
struct batch {
    struct change change; /* first */
    struct upload *upload;
    size_t first, num;
    size_t errors_before; /* apply may run again */
    size_t registered, already_registered;
    size_t first_new, last_new; /* among those registered; they are in the order of ids */
    bool known[UPLOAD_MODELS_MAX];
};

static void add_error(struct upload *u, uint32_t line, enum problem_kind kind, const char *detail) {
    if (u->num_errors < UPLOAD_ERRORS_MAX) {
        struct row_error *e = &u->error[u->num_errors];
        *e = (struct row_error){.line = line, .kind = kind};
        (void)strncpy(e->detail, detail, sizeof e->detail - 1);
    }
    u->num_errors++;
}

/* --- reading, while the body comes --- */

/* False: that was one too many, and it is answered. */
static bool count_row(struct upload *u) {
    if (u->num_rows == UPLOAD_ROWS_MAX) {
        (void)problem_detail(u->r->x, PROBLEM_TOO_MANY_ROWS, "at most %d rows in one upload",
                             UPLOAD_ROWS_MAX);
        return false;
    }
    u->num_rows++;
    return true;
}

static bool take_fault(void *context, uint32_t line, enum problem_kind kind, const char *detail) {
    struct upload *u = context;
    if (!count_row(u)) {
        return false;
    }
    add_error(u, line, kind, detail);
    return true;
}

static bool take_row(void *context, uint32_t line, const struct bytes *value) {
    struct upload *u = context;
    struct registration registration;
    struct detail detail = {0};
    if (!count_row(u)) {
        return false;
    }
    enum problem_kind kind =
        registration_read(&registration, value, upload_default_model(u->r), &detail);
    enum status status =
        kind == NUM_PROBLEMS ? upload_rows_add(&u->rows, &registration, line) : STATUS_OK;
    if (kind == PROBLEM_INTERNAL || status == STATUS_MEMORY) {
        (void)problem(u->r->x, PROBLEM_INTERNAL);
        return false;
    }
    if (status != STATUS_OK) {
        kind = PROBLEM_INVALID_FIELD;
        detail_set(&detail, "model: more than %d in one upload", UPLOAD_MODELS_MAX);
    }
    if (kind != NUM_PROBLEMS) {
        add_error(u, line, kind, detail.text);
    }
    return true;
}

/* False: the reading ended, and that is answered. */
static bool goes_on(struct upload *u, enum status status) {
    if (status == STATUS_MALFORMED) {
        (void)problem_detail(u->r->x, PROBLEM_INVALID_HEADER, "%s", u->detail.text);
    } else if (status != STATUS_OK && u->r->x->status == 0) {
        (void)problem(u->r->x, PROBLEM_INTERNAL);
    }
    return status == STATUS_OK;
}

static bool take_piece(void *context, struct bytes piece) {
    struct upload *u = context;
    return goes_on(u, rows_take(&u->reader, piece));
}

/* --- before the body --- */

const char *upload_default_model(const struct request *r) {
    const struct upload_query *query = r->query;
    return query == NULL || query->model == NULL ? "" : query->model;
}

static void release(struct request *r) {
    struct upload *u = r->held;
    rows_cleanup(&u->reader);
    upload_rows_cleanup(&u->rows);
    free(u);
    (void)atomic_fetch_sub(&r->api->uploads, 1);
}

static bool begin(struct request *r, bool all_or_nothing) {
    if (atomic_fetch_add(&r->api->uploads, 1) >= UPLOADS_MAX) {
        (void)atomic_fetch_sub(&r->api->uploads, 1);
        (void)problem_detail(r->x, PROBLEM_OVERLOADED, "%d uploads are under way", UPLOADS_MAX);
        return false;
    }
    struct upload *u = calloc(1, sizeof *u);
    if (u == NULL) {
        (void)atomic_fetch_sub(&r->api->uploads, 1);
        (void)problem(r->x, PROBLEM_INTERNAL);
        return false;
    }
    u->r = r;
    u->all_or_nothing = all_or_nothing;
    u->visitor = (struct rows_visitor){u, take_row, take_fault};
    u->sink = (struct http_sink){u, BODY_ROWS_MAX, take_piece};
    rows_init(&u->reader, r->media == MEDIA_CSV ? ROWS_CSV : ROWS_NDJSON, registration_columns,
              &u->visitor, &u->detail);
    r->held = u;
    r->release = release;
    r->x->sink = &u->sink;
    return true;
}

static bool model_is_known(const struct request *r, const char *name) {
    struct policy_holder *holder = r->api->options.policy;
    bool known = policy_model(policy_read_begin(holder), name) != NULL;
    policy_read_end(holder);
    return known;
}

bool device_register_admit(struct request *r) {
    const struct upload_query *query = r->query;
    const char *all = query == NULL ? NULL : query->all_or_nothing;
    const char *model = upload_default_model(r);
    if (all != NULL &&
        (r->media == MEDIA_JSON || (strcmp(all, "true") != 0 && strcmp(all, "false") != 0))) {
        (void)problem_detail(r->x, PROBLEM_INVALID_PARAMETER,
                             "all_or_nothing: \"true\" or \"false\", and only with rows");
        return false;
    }
    if (model[0] != '\0' && !model_is_known(r, model)) {
        (void)problem_detail(r->x, PROBLEM_UNKNOWN_MODEL, "model: no such model is known");
        return false;
    }
    return r->media == MEDIA_JSON || begin(r, all != NULL && strcmp(all, "true") == 0);
}

/* --- answering --- */

static int by_line(const void *left, const void *right) {
    const struct row_error *a = left, *b = right;
    return a->line < b->line ? -1 : a->line > b->line;
}

static size_t num_listed(const struct upload *u) {
    return u->num_errors < UPLOAD_ERRORS_MAX ? u->num_errors : UPLOAD_ERRORS_MAX;
}

static void write_errors(struct json_out *o, struct upload *u) {
    qsort(u->error, num_listed(u), sizeof u->error[0], by_line);
    json_out_int(o, "num_errors", (int64_t)u->num_errors);
    json_out_array(o, "errors");
    for (size_t i = 0; i < num_listed(u); i++) {
        const struct row_error *e = &u->error[i];
        json_out_object(o, NULL);
        json_out_int(o, "row", e->line);
        json_out_text(o, "code", problem_entry(e->kind)->code);
        json_out_text(o, "detail",
                      e->detail[0] != '\0' ? e->detail : problem_entry(e->kind)->title);
        json_out_object_end(o);
    }
    json_out_array_end(o);
}

static enum http_next answer_rows(struct upload *u) {
    struct request *r = u->r;
    struct json_out o;
    json_out_init(&o, r->x->arena, 512 + num_listed(u) * 192);
    json_out_object(&o, NULL);
    json_out_text(&o, "registration", r->x->request_id);
    json_out_int(&o, "rows", (int64_t)u->num_rows);
    json_out_int(&o, "registered", (int64_t)u->registered);
    json_out_int(&o, "already_registered", (int64_t)u->already_registered);
    write_errors(&o, u);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

static enum http_next answer_refused(struct upload *u) {
    struct problem p;
    problem_begin(&p, u->r->x, PROBLEM_ROWS_REFUSED, NULL, NULL);
    json_out_int(&p.out, "rows", (int64_t)u->num_rows);
    write_errors(&p.out, u);
    problem_end(&p);
    return HTTP_ANSWER;
}

/* --- writing --- */

/* A row that is in the store already: the same announcement, or an error. */
static enum status look_at_known(struct batch *b, struct store_writer *writer, uint32_t line,
                                 const struct registration *in) {
    struct arena arena;
    struct device_row row;
    arena_init(&arena, 256 * 1024); /* of this row's keys; a batch would fill the request's */
    enum status status = store_device_get(store_writer_reader(writer), &arena, &row, in->id);
    arena_free(&arena);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_INTERNAL : status;
    }
    if (row.state == DEVICE_REGISTERED && strcmp(row.model, in->model) == 0) {
        b->already_registered++;
        return STATUS_OK;
    }
    struct detail detail = {0};
    detail_set(&detail, "the device is %s, model %s", device_state_name(row.state), row.model);
    add_error(b->upload, line, PROBLEM_ALREADY_EXISTS, detail.text);
    return STATUS_OK;
}

static enum status put_row(struct batch *b, struct store_writer *writer, size_t i) {
    struct upload *u = b->upload;
    const struct upload_row *packed = &u->rows.row[i];
    struct registration in;
    struct device_row row;
    upload_rows_get(&u->rows, i, &in);
    if (!b->known[packed->model]) {
        add_error(u, packed->line, PROBLEM_UNKNOWN_MODEL, in.model);
        return STATUS_OK;
    }
    registration_row(&row, &in, u->r->x->request_id, change_now(&b->change));
    enum status status = store_device_insert(writer, &row);
    if (status == STATUS_CONFLICT) {
        return look_at_known(b, writer, packed->line, &in);
    }
    if (status == STATUS_OK) {
        b->first_new = b->registered++ == 0 ? i : b->first_new;
        b->last_new = i;
    }
    return status;
}

static enum status look_up_models(struct batch *b, struct store_writer *writer) {
    const struct upload_rows *rows = &b->upload->rows;
    for (size_t i = 0; i < rows->num_models; i++) {
        struct model_row row;
        enum status status = store_model_get(store_writer_reader(writer), &row, rows->model[i]);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
        b->known[i] = status == STATUS_OK;
    }
    return STATUS_OK;
}

/* Which they are, without a list of them: all devices with these ids and this registration. */
static void audit(struct batch *b) {
    struct change *c = &b->change;
    struct registration first, last;
    struct json_out o;
    upload_rows_get(&b->upload->rows, b->first_new, &first);
    upload_rows_get(&b->upload->rows, b->last_new, &last);
    json_out_init(&o, c->r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_int(&o, "registered", (int64_t)b->registered);
    json_out_text(&o, "first_id", first.id);
    json_out_text(&o, "last_id", last.id);
    json_out_object_end(&o);
    change_audit(c, "device.register", "upload", c->r->x->request_id);
    c->audit.after = json_out_end(&o);
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct batch *b = (struct batch *)c;
    struct upload *u = b->upload;
    u->num_errors = b->errors_before;
    b->registered = b->already_registered = 0;
    c->audit.action[0] = '\0';
    if (b->first == 0) {
        upload_rows_sort(&u->rows);
    }
    enum status status = look_up_models(b, writer);
    for (size_t i = 0; i < b->num && status == STATUS_OK; i++) {
        status = put_row(b, writer, b->first + i);
    }
    if (status == STATUS_OK && u->all_or_nothing && u->num_errors > 0) {
        detail_set(detail, "%zu rows are refused", u->num_errors);
        return change_fail(c, PROBLEM_ROWS_REFUSED, STATUS_INVALID);
    }
    if (status == STATUS_OK && b->registered > 0) {
        audit(b);
    }
    return status;
}

static enum http_next submit_next(struct upload *u);

static enum http_next answer_batch(struct change *c) {
    const struct batch *b = (const struct batch *)c;
    struct upload *u = b->upload;
    u->registered += b->registered;
    u->already_registered += b->already_registered;
    u->next += b->num;
    return u->next < u->rows.num ? submit_next(u) : answer_rows(u);
}

static enum http_next refuse_batch(struct change *c) {
    const struct batch *b = (const struct batch *)c;
    return c->problem == PROBLEM_ROWS_REFUSED ? answer_refused(b->upload)
                                              : answer_refusal(c->r, c->problem, &c->commit.detail);
}

static const struct change_kind batch_kind = {.commit = CHANGE_COMMIT(.name = "device.upload"),
                                              .silent = true, /* with nothing new */
                                              .apply = apply,
                                              .answer = answer_batch,
                                              .refuse = refuse_batch};

static enum http_next submit_next(struct upload *u) {
    struct batch *b = change_new(u->r, &batch_kind, sizeof *b);
    if (b == NULL) {
        return problem(u->r->x, PROBLEM_INTERNAL);
    }
    size_t left = u->rows.num - u->next;
    b->upload = u;
    b->first = u->next;
    b->num = u->all_or_nothing || left < UPLOAD_BATCH ? left : UPLOAD_BATCH;
    b->errors_before = u->num_errors;
    return change_submit(&b->change);
}

enum http_next upload_handle(struct request *r) {
    struct upload *u = r->held;
    if (!goes_on(u, rows_end(&u->reader))) {
        return HTTP_ANSWER;
    }
    if (u->all_or_nothing && u->num_errors > 0) {
        return answer_refused(u);
    }
    return u->rows.num > 0 ? submit_next(u) : answer_rows(u);
}

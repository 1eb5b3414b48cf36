/* POST /v1/baselines/{id}/preview: what the fleet would come to if the baseline were in force. */
#include "api/admin/admin.h"

#include "server/fleet/preview.h"

#include <string.h>

struct preview_body {
    struct id_list replaces;
    bool alone;
};
static const struct field fields[] = {
    {"replaces", FIELD_IDS, false, 1, BASELINE_MAX_PER_MODEL,
     offsetof(struct preview_body, replaces)},
    {"alone", FIELD_BOOLEAN, false, 0, 0, offsetof(struct preview_body, alone)},
};
const struct shape preview_shape = SHAPE(fields, struct preview_body);

struct preview_request {
    struct preview preview; /* first */
    struct request *r;
    struct baseline_row row;
};

static void done(struct preview *preview) {
    struct http_exchange *x = ((struct preview_request *)(void *)preview)->r->x;
    x->resume(x);
}

static void write_counts(struct json_out *o, const struct preview_counts *c) {
    json_out_int(o, "devices", c->devices);
    json_out_int(o, "pass", c->pass);
    json_out_int(o, "fail", c->fail);
    json_out_int(o, "cut_off", c->cut_off);
    json_out_int(o, "admitted", c->admitted);
    json_out_int(o, "tier_changed", c->tier_changed);
    json_out_int(o, "without_facts", c->without_facts);
    json_out_int(o, "damaged", c->damaged);
}

static void write_group(struct json_out *o, const struct preview_group *g) {
    json_out_object(o, NULL);
    json_out_text(o, "code", g->cause.code);
    json_out_text(o, "rule", g->cause.rule);
    if (g->cause.pcr < 0) {
        json_out_text(o, "pcr", NULL);
    } else {
        json_out_int(o, "pcr", g->cause.pcr);
    }
    json_out_text(o, "expected", g->cause.expected);
    json_out_text(o, "found", g->cause.found);
    json_out_text(o, "remediation", g->cause.remediation);
    json_out_int(o, "devices", g->devices);
    json_out_int(o, "cut_off", g->cut_off);
    json_out_array(o, "examples");
    for (size_t i = 0; i < g->num_examples; i++) {
        json_out_text(o, NULL, g->example[i]);
    }
    json_out_array_end(o);
    json_out_object_end(o);
}

static enum http_next answer_preview(struct request *r, const struct preview *preview) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 1024 + preview->num_groups * 512);
    json_out_object(&o, NULL);
    json_out_text(&o, "baseline_id", preview->baseline_id);
    json_out_text(&o, "model", preview->model);
    write_counts(&o, &preview->counts);
    json_out_array(&o, "groups");
    for (size_t i = 0; i < preview->num_groups; i++) {
        write_group(&o, &preview->group[i]);
    }
    json_out_array_end(&o);
    json_out_bool(&o, "more_groups", preview->more_groups);
    json_out_int(&o, "took_ms", preview->took_ms);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

static enum http_next finish(struct request *r) {
    const struct preview_request *p = r->pending;
    switch (p->preview.status) {
    case STATUS_OK:
        return answer_preview(r, &p->preview);
    case STATUS_MALFORMED:
    case STATUS_LIMIT:
        return answer_refusal(r, PROBLEM_INVALID_BASELINE, &p->preview.detail);
    default:
        return answer_status(r, p->preview.status, &p->preview.detail);
    }
}

/* NULL, or an id that is no baseline of the model. */
static enum status find_stranger(struct request *r, const char **out, const char *model) {
    const struct preview_body *body = r->body;
    for (size_t i = 0; i < body->replaces.num; i++) {
        struct baseline_row row;
        enum status status =
            store_baseline_get(r->worker->reader, r->x->arena, &row, body->replaces.id[i]);
        if (status == STATUS_NOT_FOUND || (status == STATUS_OK && strcmp(row.model, model) != 0)) {
            *out = body->replaces.id[i];
            return STATUS_OK;
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    *out = NULL;
    return STATUS_OK;
}

enum http_next baseline_preview(struct request *r) {
    const struct preview_body *body = r->body;
    struct preview_request *p = arena_alloc(r->x->arena, sizeof *p);
    const char *stranger = NULL;
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (body->alone && body->replaces.num > 0) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD, "replaces: alone replaces all");
    }
    enum status status = store_baseline_get(r->worker->reader, r->x->arena, &p->row, r->param[0]);
    if (status == STATUS_OK) {
        status = find_stranger(r, &stranger, p->row.model);
    }
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    if (stranger != NULL) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD, "replaces: %.40s is no baseline of %s",
                              stranger, p->row.model);
    }
    p->r = r;
    p->preview = (struct preview){.model = p->row.model,
                                  .baseline_id = p->row.id,
                                  .document = p->row.document,
                                  .replaces = body->replaces.id,
                                  .num_replaces = body->replaces.num,
                                  .alone = body->alone,
                                  .arena = r->x->arena,
                                  .done = done};
    r->finish = finish;
    r->pending = p;
    status = previews_submit(r->api->options.previews, &p->preview);
    return status == STATUS_OK ? HTTP_WAIT : answer_status(r, status, NULL);
}

/* POST /v1/models/{model}/proposals: a draft learned from what named devices booted. Facts are read
 * and learned from beside the worker's loop; the draft is then written as any other. */
#include "api/admin/admin.h"
#include "api/admin/booted.h"
#include "api/background.h"
#include "server/appraisal/learn.h"
#include "server/crypto/random.h"
#include "server/fleet/baseline_life.h"

#include <string.h>

enum {
    DEVICES_MAX = 256,
    FACTS_BYTES = 192 << 20, /* all facts of a proposal, and what is made of them */
    LABEL_MAX_BYTES = 128
};

struct proposal_body {
    struct id_list devices;
    const char *label;
};
static const struct field fields[] = {
    {"devices", FIELD_IDS, true, 1, DEVICES_MAX, offsetof(struct proposal_body, devices)},
    {"label", FIELD_TEXT, false, 1, LABEL_MAX_BYTES, offsetof(struct proposal_body, label)},
};
const struct shape proposal_shape = SHAPE(fields, struct proposal_body);

struct proposal {
    struct change change; /* first */
    struct baseline_row row;
    struct bytes questions, warnings; /* JSON */
    enum problem_kind problem;        /* NUM_PROBLEMS: none */
};

/* --- reading, beside the loop --- */

struct gathering {
    struct request *r;
    struct store_reader *reader;
    struct arena arena;
    struct learn_source source[DEVICES_MAX];
    uint8_t boot_state[DEVICES_MAX][32]; /* parallel */
    size_t num;
};

static enum status refuse(struct request *r, enum problem_kind kind) {
    ((struct proposal *)r->pending)->problem = kind;
    return STATUS_CONFLICT;
}

static enum status add_boot_state(struct gathering *g, const char *id,
                                  const uint8_t sha256[static 32], struct detail *detail) {
    for (size_t i = 0; i < g->num; i++) {
        if (memcmp(g->boot_state[i], sha256, 32) == 0) {
            g->source[i].devices++;
            return STATUS_OK;
        }
    }
    struct facts *facts = arena_alloc(&g->arena, sizeof *facts);
    enum status status =
        facts == NULL ? STATUS_MEMORY : booted_facts(g->reader, &g->arena, facts, sha256, detail);
    if (status == STATUS_NOT_FOUND) {
        detail_set(detail, "devices: the boot state of %s is not kept any more", id);
        return refuse(g->r, PROBLEM_NO_FACTS);
    }
    if (status == STATUS_OK) {
        memcpy(g->boot_state[g->num], sha256, 32);
        g->source[g->num++] = (struct learn_source){.facts = facts, .name = id, .devices = 1};
    }
    return status;
}

static enum status add_device(struct gathering *g, const char *id, struct detail *detail) {
    struct device_row device;
    struct device_boot_row boot;
    enum status status = store_device_get(g->reader, &g->arena, &device, id);
    if (status == STATUS_NOT_FOUND) {
        detail_set(detail, "devices: there is no device %s", id);
        return refuse(g->r, PROBLEM_INVALID_FIELD);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (strcmp(device.model, g->r->param[0]) != 0) {
        detail_set(detail, "devices: %s is of model %s", id, device.model);
        return refuse(g->r, PROBLEM_DEVICE_MODEL_MISMATCH);
    }
    status = store_device_boot_get(g->reader, &boot, id);
    if (status == STATUS_NOT_FOUND) {
        detail_set(detail, "devices: %s has not shown yet what it booted", id);
        return refuse(g->r, PROBLEM_NO_FACTS);
    }
    return status == STATUS_OK ? add_boot_state(g, id, boot.boot_state, detail) : status;
}

static bool named_before(const struct id_list *ids, size_t position) {
    for (size_t i = 0; i < position; i++) {
        if (strcmp(ids->id[i], ids->id[position]) == 0) {
            return true;
        }
    }
    return false;
}

static enum status gather(struct gathering *g, struct detail *detail) {
    const struct proposal_body *body = g->r->body;
    struct model_row model;
    enum status status = store_model_get(g->reader, &model, g->r->param[0]);
    for (size_t i = 0; status == STATUS_OK && i < body->devices.num; i++) {
        if (named_before(&body->devices, i)) {
            detail_set(detail, "devices: %s stands there twice", body->devices.id[i]);
            return refuse(g->r, PROBLEM_INVALID_FIELD);
        }
        status = add_device(g, body->devices.id[i], detail);
    }
    return status;
}

static void write_warnings(struct json_out *o, const struct learned *learned) {
    json_out_array(o, NULL);
    for (size_t i = 0; i < learned->num_warnings; i++) {
        json_out_text(o, NULL, learned->warning[i]);
    }
    json_out_array_end(o);
}

/* What outlives the gathering. */
static enum status keep(struct proposal *p, const struct learned *learned) {
    struct arena *arena = p->change.r->x->arena;
    struct json_out o;
    p->row.document = arena_bytes(arena, learned->document);
    json_out_init(&o, arena, 4096);
    learn_write_questions(&o, NULL, learned);
    p->questions = json_out_end(&o);
    json_out_init(&o, arena, 1024);
    write_warnings(&o, learned);
    p->warnings = json_out_end(&o);
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* Those in force, copied: what is learned from takes longer than a snapshot may be held. */
static enum status copy_leaked_keys(struct gathering *g, struct leaked_keys *out) {
    static const struct leaked_keys none;
    struct policy_holder *holder = g->r->api->options.policy;
    fleet_thread_enter();
    const struct leaked_keys *keys = policy_leaked_keys(policy_read_begin(holder));
    enum status status = leaked_keys_merge(out, &g->arena, keys == NULL ? &none : keys, &none);
    policy_read_end(holder);
    fleet_thread_leave();
    return status;
}

static enum status learn_from(struct gathering *g, struct detail *detail) {
    const struct proposal_body *body = g->r->body;
    struct proposal *p = g->r->pending;
    struct learned learned;
    struct leaked_keys leaked;
    enum status status = copy_leaked_keys(g, &leaked);
    const struct learn_inputs inputs = {.source = g->source,
                                        .num = g->num,
                                        .model = g->r->param[0],
                                        .label = body->label == NULL ? "" : body->label,
                                        .leaked_keys = &leaked};
    if (status == STATUS_OK) {
        status = learn_baseline(&learned, &g->arena, &inputs, detail);
    }
    if (status == STATUS_INVALID || status == STATUS_LIMIT) {
        return refuse(g->r, PROBLEM_CANNOT_LEARN);
    }
    return status == STATUS_OK ? keep(p, &learned) : status;
}

static enum status work(struct request *r, struct store_reader *reader, struct detail *detail) {
    struct gathering *g = arena_alloc(r->x->arena, sizeof *g);
    if (g == NULL) {
        return STATUS_MEMORY;
    }
    g->r = r;
    g->reader = reader;
    arena_init(&g->arena, FACTS_BYTES);
    enum status status = gather(g, detail);
    if (status == STATUS_OK) {
        status = learn_from(g, detail);
    }
    if (status == STATUS_MEMORY && g->arena.overflow) {
        detail_set(detail, "the facts of these devices are too many: name fewer");
        status = refuse(r, PROBLEM_CANNOT_LEARN);
    }
    arena_free(&g->arena);
    return status;
}

/* --- writing the draft --- */

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct proposal *p = (struct proposal *)c;
    struct model_row model;
    (void)detail;
    enum status status = store_model_get(store_writer_reader(writer), &model, p->row.model);
    if (status == STATUS_OK) {
        status = store_baseline_insert(writer, &p->row);
    }
    change_audit(c, "baseline.learn", "baseline", p->row.id);
    c->audit.after = baseline_head_json(c->r->x->arena, &p->row);
    return status;
}

static enum http_next answer(struct change *c) {
    const struct proposal *p = (const struct proposal *)c;
    struct json_out o;
    const char *location = arena_printf(c->r->x->arena, "/v1/baselines/%s", p->row.id);
    if (location == NULL || !http_add_header(c->r->x, "Location", location)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, c->r->x->arena, 1024 + p->row.document.len + p->questions.len);
    json_out_object(&o, NULL);
    baseline_write_whole(&o, "baseline", &p->row, NULL);
    json_out_raw(&o, "questions", p->questions);
    json_out_raw(&o, "warnings", p->warnings);
    json_out_object_end(&o);
    return answer_json(c->r, 201, &o);
}

static const struct change_kind kind = {
    .commit = CHANGE_COMMIT(.name = "baseline.learn"), .apply = apply, .answer = answer};

static enum http_next finish(struct request *r) {
    struct proposal *p = r->pending;
    const struct proposal_body *body = r->body;
    if (r->worked != STATUS_OK) {
        return p->problem != NUM_PROBLEMS ? answer_refusal(r, p->problem, &r->worked_detail)
                                          : answer_status(r, r->worked, &r->worked_detail);
    }
    id_new(p->row.id, p->change.now_ms);
    text_copy(p->row.model, sizeof p->row.model, r->param[0]);
    text_copy(p->row.label, sizeof p->row.label, body->label == NULL ? "" : body->label);
    digest_compute(HASH_SHA256, p->row.document, p->row.document_sha256);
    p->row.state = BASELINE_DRAFT;
    text_copy(p->row.created_by, sizeof p->row.created_by, r->operator_name);
    p->row.created = p->row.updated = change_now(&p->change);
    p->row.version = 1;
    return change_submit(&p->change);
}

enum http_next proposal_create(struct request *r) {
    struct proposal *p = change_new(r, &kind, sizeof *p);
    if (p == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    p->problem = NUM_PROBLEMS;
    r->pending = p;
    return background_start(r, work, finish);
}

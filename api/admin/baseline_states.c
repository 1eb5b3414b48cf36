/* POST /v1/baselines/{id}/{activate|retire|revoke}: which baselines are in force. Nobody
 * activates a document that they wrote or changed themselves; an administrator only where the
 * configuration does not ask for two people. */
#include "api/admin/admin.h"
#include "api/admin/provenance.h"

#include "server/appraisal/appraisal.h"

#include <string.h>

struct step {
    const char *name; /* the audit's */
    unsigned from;    /* bits 1 << enum baseline_state */
    enum baseline_state to;
};
static const struct step activate = {
    "baseline.activate", 1u << BASELINE_DRAFT | 1u << BASELINE_APPROVED, BASELINE_ACTIVE};
static const struct step retire = {
    "baseline.retire", 1u << BASELINE_ACTIVE | 1u << BASELINE_DEPRECATED, BASELINE_RETIRED};
static const struct step revoke = {
    "baseline.revoke", 1u << BASELINE_ACTIVE | 1u << BASELINE_DEPRECATED | 1u << BASELINE_RETIRED,
    BASELINE_REVOKED};

struct step_change {
    struct change change; /* first */
    const struct step *step;
    struct baseline_row row;
    int64_t version; /* If-Match; 0: any */
};

/* Not too many at once: a device's evidence is held against each. */
static enum status check_number(struct change *c, struct store_writer *writer, const char *model) {
    struct baseline_row *rows;
    size_t num, of_model = 0;
    enum status status =
        store_baseline_in_force(store_writer_reader(writer), c->r->x->arena, &rows, &num);
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        of_model += strcmp(rows[i].model, model) == 0;
    }
    return status == STATUS_OK && of_model >= BASELINE_MAX_PER_MODEL
               ? change_fail(c, PROBLEM_TOO_MANY_BASELINES, STATUS_CONFLICT)
               : status;
}

/* It still compiles, and names only PCRs that the model's devices are asked for. */
static enum status check_document(struct change *c, struct store_writer *writer,
                                  const struct baseline_row *row, struct detail *detail) {
    struct model_row model;
    struct baseline *compiled = NULL;
    struct pcr_selection wanted, named;
    enum status status = store_model_get(store_writer_reader(writer), &model, row->model);
    if (status == STATUS_OK) {
        status = pcr_selection_parse(&wanted, model.pcr_selection, detail);
    }
    if (status != STATUS_OK) {
        return status == STATUS_MALFORMED ? STATUS_INTERNAL : status;
    }
    status = baseline_compile(&compiled, row->document, NULL, detail);
    if (status != STATUS_OK) {
        return status == STATUS_MEMORY ? status : change_fail(c, PROBLEM_INVALID_BASELINE, status);
    }
    baseline_selection(compiled, &named);
    baseline_free(compiled);
    for (size_t i = 0; i < named.num_banks; i++) {
        uint32_t mask = pcr_selection_mask(&wanted, named.bank[i].bank);
        if ((named.bank[i].mask & ~mask) != 0) {
            detail_set(detail, "it names a PCR that the model's pcr_selection, %.128s, lacks",
                       model.pcr_selection);
            return change_fail(c, PROBLEM_INVALID_BASELINE, STATUS_INVALID);
        }
    }
    return STATUS_OK;
}

static enum status check_activation(struct change *c, struct store_writer *writer,
                                    const struct baseline_row *row, struct detail *detail) {
    const struct request *r = c->r;
    bool own = strcmp(row->created_by, r->operator_name) == 0 ||
               strcmp(row->updated_by, r->operator_name) == 0;
    bool strict =
        (r->api->options.config->plane[PLANE_ADMIN].two_person & TWO_PERSON_BASELINE_APPROVAL) != 0;
    if (own && (strict || r->role != ROLE_ADMIN)) {
        detail_set(detail,
                   "%s wrote or changed it: another operator with the role approver or "
                   "admin puts it in force (POST /v1/operators registers one)%s",
                   r->operator_name,
                   strict ? "; or take baseline_approval out of [admin] two_person" : "");
        return change_fail(c, PROBLEM_OWN_BASELINE, STATUS_DENIED);
    }
    enum status status = provenance_check(c, writer, row, detail);
    if (status == STATUS_OK) {
        status = check_number(c, writer, row->model);
    }
    return status == STATUS_OK ? check_document(c, writer, row, detail) : status;
}

static enum status get_row(struct step_change *s, struct store_writer *writer,
                           struct detail *detail) {
    struct change *c = &s->change;
    enum status status =
        store_baseline_get(store_writer_reader(writer), c->r->x->arena, &s->row, c->r->param[0]);
    if (status == STATUS_OK) {
        status = check_version(c, s->version, s->row.version);
    }
    if (status == STATUS_OK && (s->step->from & 1u << s->row.state) == 0) {
        detail_set(detail, "it is %s", baseline_state_name(s->row.state));
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    return status;
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct step_change *s = (struct step_change *)c;
    enum status status = get_row(s, writer, detail);
    if (status == STATUS_OK && s->step == &activate) {
        status = check_activation(c, writer, &s->row, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    c->audit.before = baseline_json(c, &s->row);
    s->row.state = s->step->to;
    s->row.updated = change_now(c);
    if (s->step == &activate) {
        s->row.activated = s->row.updated;
        text_copy(s->row.activated_by, sizeof s->row.activated_by, c->r->operator_name);
    } else if (s->row.retired == 0) {
        s->row.retired = s->row.updated;
    }
    status = store_baseline_update(writer, &s->row);
    s->row.version++;
    change_audit(c, s->step->name, "baseline", s->row.id);
    c->audit.after = baseline_json(c, &s->row);
    return status;
}

static enum http_next answer(struct change *c) {
    const struct step_change *s = (const struct step_change *)c;
    struct json_out o;
    if (!add_etag(c->r, s->row.version)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, c->r->x->arena, 512);
    write_baseline(&o, NULL, &s->row, false);
    return answer_json(c->r, 200, &o);
}

static const struct change_kind kind = {
    .commit = CHANGE_COMMIT(.name = "baseline.state", .reloads_policy = true),
    .apply = apply,
    .answer = answer};

static enum http_next take_step(struct request *r, const struct step *step) {
    struct step_change *s = change_new(r, &kind, sizeof *s);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    s->step = step;
    return read_if_match(r, &s->version) ? change_submit(&s->change) : HTTP_ANSWER;
}

enum http_next baseline_activate(struct request *r) {
    return take_step(r, &activate);
}

enum http_next baseline_retire(struct request *r) {
    return take_step(r, &retire);
}

enum http_next baseline_revoke(struct request *r) {
    return take_step(r, &revoke);
}

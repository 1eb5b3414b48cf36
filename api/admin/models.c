/* /v1/models: kinds of devices, what is asked of them, and how long a credential lasts. */
#include "api/admin/admin.h"

#include "server/fleet/standing.h"
#include "server/tpm/pcr.h"

#include <string.h>

struct model_body {
    const char *name, *description, *pcr_selection, *enrolment, *key_protection, *credential_tier;
    struct segments segments;
    int64_t credential_lifetime_s; /* 0: not given */
};

#define MODEL_FIELDS                                                                                 \
    {"description", FIELD_TEXT, false, 0, 256, offsetof(struct model_body, description)},            \
        {"pcr_selection", FIELD_TEXT, false, 1, 256, offsetof(struct model_body, pcr_selection)},    \
        {"credential_lifetime_s",                                                                    \
         FIELD_INTEGER,                                                                              \
         false,                                                                                      \
         300,                                                                                        \
         86400,                                                                                      \
         offsetof(struct model_body, credential_lifetime_s)},                                        \
        {"enrolment", FIELD_TEXT, false, 1, 16, offsetof(struct model_body, enrolment)},             \
        {"key_protection", FIELD_TEXT, false, 1, 16, offsetof(struct model_body, key_protection)},   \
        {"credential_tier", FIELD_TEXT, false, 1, 16, offsetof(struct model_body, credential_tier)}, \
    {                                                                                                \
        "segments", FIELD_SEGMENTS, false, 0, SEGMENT_MAX, offsetof(struct model_body, segments)     \
    }

static const struct field create_fields[] = {
    {"name", FIELD_TEXT, true, 1, STORE_NAME - 1, offsetof(struct model_body, name)}, MODEL_FIELDS};
static const struct field update_fields[] = {MODEL_FIELDS};
const struct shape model_create_shape = SHAPE(create_fields, struct model_body);
const struct shape model_update_shape = SHAPE(update_fields, struct model_body);

static const char default_selection[] = "sha256:0-9,14";
enum { DEFAULT_LIFETIME_S = 3600 };

void write_model(struct json_out *o, const char *name, const struct model_row *row) {
    json_out_object(o, name);
    json_out_text(o, "name", row->name);
    json_out_text(o, "description", row->description);
    json_out_text(o, "pcr_selection", row->pcr_selection);
    json_out_int(o, "credential_lifetime_s", row->credential_lifetime_s);
    json_out_text(o, "enrolment", row->enrolment);
    json_out_text(o, "key_protection", row->key_protection == KEY_IN_TPM ? "tpm" : "any");
    json_out_text(o, "credential_tier", tier_name((enum tier)row->credential_tier));
    json_out_object(o, "segments");
    for (enum tier tier = TIER_MEASURED; tier > TIER_NONE; tier--) {
        json_out_text_or_null(o, tier_name(tier), tier_segment(row, tier));
    }
    json_out_object_end(o);
    json_out_int(o, "version", row->version);
    json_out_time(o, "created_at", row->created);
    json_out_time(o, "updated_at", row->updated);
    json_out_object_end(o);
}

struct model_change {
    struct change change; /* first */
    const struct model_body *body;
    struct model_row row; /* as it is afterwards */
    bool asks_more;       /* of its devices' tier than it did */
    int64_t version;      /* If-Match; 0: any */
};

static struct bytes model_json(struct change *c, const struct model_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 512);
    write_model(&o, NULL, row);
    return json_out_end(&o);
}

static enum http_next answer_row(struct request *r, unsigned status, const struct model_row *row) {
    struct json_out o;
    if (!add_etag(r, row->version)) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, r->x->arena, 512);
    write_model(&o, NULL, row);
    return answer_json(r, status, &o);
}

/* The selection in its canonical spelling. False: answered. */
static bool read_selection(struct request *r, char out[static PCR_SELECTION_TEXT],
                           const char *text) {
    struct pcr_selection selection;
    struct detail detail = {0};
    bool strong = false;
    if (pcr_selection_parse(&selection, text, &detail) != STATUS_OK) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "pcr_selection: %s", detail.text);
        return false;
    }
    for (size_t i = 0; i < selection.num_banks; i++) {
        strong = strong || selection.bank[i].bank != HASH_SHA1;
    }
    if (!strong) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "pcr_selection: SHA-1 alone is too weak");
        return false;
    }
    pcr_selection_format(out, &selection);
    return true;
}

static bool check_segments(struct request *r, const struct segments *segments) {
    const char *const labels[] = {segments->measured, segments->verified_boot,
                                  segments->identified};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        /* "-" is how /v1/authorize writes that there is none. */
        if (labels[i] != NULL &&
            (!profile_segment_is_valid(labels[i]) || strcmp(labels[i], "-") == 0)) {
            (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                                 "segments.%s: 1 to %d of [a-z0-9._-], and not \"-\" alone",
                                 tier_name(TIER_MEASURED - (enum tier)i), SEGMENT_MAX);
            return false;
        }
    }
    return true;
}

static bool check_body(struct request *r, const struct model_body *body) {
    char text[PCR_SELECTION_TEXT];
    if (body->name != NULL && !name_is_valid(body->name)) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "name: 1 to 64 of [A-Za-z0-9._-]");
        return false;
    }
    if (body->enrolment != NULL && strcmp(body->enrolment, "open") != 0 &&
        strcmp(body->enrolment, "approval") != 0 && strcmp(body->enrolment, "closed") != 0) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                             "enrolment: \"open\", \"approval\" or \"closed\"");
        return false;
    }
    if (body->key_protection != NULL && strcmp(body->key_protection, "any") != 0 &&
        strcmp(body->key_protection, "tpm") != 0) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "key_protection: \"any\" or \"tpm\"");
        return false;
    }
    int tier;
    if (body->credential_tier != NULL &&
        (!tier_from_name(&tier, body->credential_tier) || tier == TIER_NONE)) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD,
                             "credential_tier: \"measured\", \"verified_boot\" or \"identified\"");
        return false;
    }
    return check_segments(r, &body->segments) &&
           (body->pcr_selection == NULL || read_selection(r, text, body->pcr_selection));
}

/* All of them, or none is touched. */
static void merge_segments(struct model_row *row, const struct segments *from) {
    const char *const labels[STORE_TIERS] = {[TIER_IDENTIFIED] = from->identified,
                                             [TIER_VERIFIED_BOOT] = from->verified_boot,
                                             [TIER_MEASURED] = from->measured};
    for (size_t tier = TIER_IDENTIFIED; tier < STORE_TIERS && from->given; tier++) {
        text_copy(row->segment[tier], sizeof row->segment[tier],
                  labels[tier] == NULL ? "" : labels[tier]);
    }
}

/* Overwrites what the body names; it was checked. */
static void merge(struct model_row *row, const struct model_body *body) {
    if (body->description != NULL) {
        text_copy(row->description, sizeof row->description, body->description);
    }
    if (body->pcr_selection != NULL) {
        struct pcr_selection selection;
        char text[PCR_SELECTION_TEXT];
        if (pcr_selection_parse(&selection, body->pcr_selection, NULL) == STATUS_OK) {
            pcr_selection_format(text, &selection);
            text_copy(row->pcr_selection, sizeof row->pcr_selection, text);
        }
    }
    if (body->enrolment != NULL) {
        text_copy(row->enrolment, sizeof row->enrolment, body->enrolment);
    }
    if (body->key_protection != NULL) {
        row->key_protection = strcmp(body->key_protection, "tpm") == 0 ? KEY_IN_TPM : KEY_UNPROVEN;
    }
    if (body->credential_tier != NULL) {
        (void)!tier_from_name(&row->credential_tier, body->credential_tier);
    }
    merge_segments(row, &body->segments);
    if (body->credential_lifetime_s != 0) {
        row->credential_lifetime_s = body->credential_lifetime_s;
    }
}

/* --- reading --- */

enum http_next model_list(struct request *r) {
    const struct page_query *query = r->query;
    struct model_row *rows;
    size_t num;
    struct json_out o;
    enum status status =
        store_model_list(r->worker->reader, r->x->arena, &rows, &num, page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        write_model(&o, NULL, &rows[i]);
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : rows[shown - 1].name);
}

enum http_next model_show(struct request *r) {
    struct model_row row;
    enum status status = store_model_get(r->worker->reader, &row, r->param[0]);
    return status == STATUS_OK ? answer_row(r, 200, &row) : answer_status(r, status, NULL);
}

/* --- creating --- */

static enum status apply_create(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct model_change *m = (struct model_change *)c;
    (void)detail;
    enum status status = store_model_insert(writer, &m->row);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_ALREADY_EXISTS, status);
    }
    change_audit(c, "model.create", "model", m->row.name);
    c->audit.after = model_json(c, &m->row);
    return status;
}

static enum http_next answer_created(struct change *c) {
    const struct model_change *m = (const struct model_change *)c;
    const char *location = arena_printf(c->r->x->arena, "/v1/models/%s", m->row.name);
    if (location == NULL || !http_add_header(c->r->x, "Location", location)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    return answer_row(c->r, 201, &m->row);
}

static const struct change_kind create_kind = {
    .commit = CHANGE_COMMIT(.name = "model.create", .reloads_policy = true),
    .apply = apply_create,
    .answer = answer_created};

enum http_next model_create(struct request *r) {
    const struct model_body *body = r->body;
    struct model_change *m = change_new(r, &create_kind, sizeof *m);
    if (m == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!check_body(r, body) || !read_selection(r, m->row.pcr_selection, default_selection)) {
        return HTTP_ANSWER;
    }
    text_copy(m->row.name, sizeof m->row.name, body->name);
    text_copy(m->row.enrolment, sizeof m->row.enrolment, "open");
    m->row.credential_lifetime_s = DEFAULT_LIFETIME_S;
    m->row.credential_tier = TIER_MEASURED;
    m->row.created = m->row.updated = change_now(&m->change);
    m->row.version = 1;
    merge(&m->row, body);
    return change_submit(&m->change);
}

/* --- changing --- */

/* Every baseline in force must stay within what the model asks for. */
static bool covers_baselines(const struct request *r, const struct model_row *row) {
    struct policy_holder *holder = r->api->options.policy;
    struct pcr_selection wanted, named;
    bool covered = pcr_selection_parse(&wanted, row->pcr_selection, NULL) == STATUS_OK;
    const struct policy_model *model = policy_model(policy_read_begin(holder), row->name);
    for (size_t i = 0; model != NULL && covered && i < model->num_baselines; i++) {
        baseline_selection(model->baseline[i], &named);
        for (size_t b = 0; b < named.num_banks; b++) {
            uint32_t mask = pcr_selection_mask(&wanted, named.bank[b].bank);
            covered = covered && (named.bank[b].mask & ~mask) == 0;
        }
    }
    policy_read_end(holder);
    return covered;
}

static enum status apply_update(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct model_change *m = (struct model_change *)c;
    enum status status = store_model_get(store_writer_reader(writer), &m->row, c->r->param[0]);
    if (status == STATUS_OK) {
        status = check_version(c, m->version, m->row.version);
    }
    if (status != STATUS_OK) {
        return status;
    }
    c->audit.before = model_json(c, &m->row);
    int before = m->row.credential_tier;
    merge(&m->row, m->body);
    if (!covers_baselines(c->r, &m->row)) {
        detail_set(detail, "an active baseline names a PCR outside of the selection");
        return change_fail(c, PROBLEM_IN_USE, STATUS_CONFLICT);
    }
    m->row.updated = change_now(c);
    m->asks_more = m->row.credential_tier > before;
    status = store_model_update(writer, &m->row);
    if (status == STATUS_OK && m->asks_more) {
        size_t num;
        status = store_credential_revoke_below(writer, m->row.name, m->row.credential_tier,
                                               change_now(c), "tier_too_low", &num);
    }
    m->row.version++;
    change_audit(c, "model.update", "model", m->row.name);
    c->audit.after = model_json(c, &m->row);
    return status;
}

/* Whoever is of too low a tier now is cut off with the change. */
static void publish_update(struct commit *commit, struct fleet_table *table) {
    const struct model_change *m = (const struct model_change *)(const void *)commit;
    if (m->asks_more) {
        fleet_revoke_below(table, m->row.name, (enum tier)m->row.credential_tier);
    }
}

static enum http_next answer_updated(struct change *c) {
    return answer_row(c->r, 200, &((const struct model_change *)c)->row);
}

static const struct change_kind update_kind = {
    .commit =
        CHANGE_COMMIT(.name = "model.update", .publish = publish_update, .reloads_policy = true),
    .apply = apply_update,
    .answer = answer_updated};

enum http_next model_update(struct request *r) {
    struct model_change *m = change_new(r, &update_kind, sizeof *m);
    if (m == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    m->body = r->body;
    if (!check_body(r, m->body) || !read_if_match(r, &m->version)) {
        return HTTP_ANSWER;
    }
    return change_submit(&m->change);
}

/* --- removing --- */

static enum status apply_delete(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct model_change *m = (struct model_change *)c;
    enum status status = store_model_get(store_writer_reader(writer), &m->row, c->r->param[0]);
    if (status == STATUS_OK) {
        status = check_version(c, m->version, m->row.version);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = store_model_delete(writer, m->row.name);
    if (status == STATUS_CONFLICT) {
        detail_set(detail, "the model has devices, or baselines that are not drafts");
        return change_fail(c, PROBLEM_IN_USE, status);
    }
    change_audit(c, "model.delete", "model", m->row.name);
    c->audit.before = model_json(c, &m->row);
    return status;
}

static enum http_next answer_deleted(struct change *c) {
    return answer_empty(c->r);
}

static const struct change_kind delete_kind = {
    .commit = CHANGE_COMMIT(.name = "model.delete", .reloads_policy = true),
    .apply = apply_delete,
    .answer = answer_deleted};

enum http_next model_delete(struct request *r) {
    struct model_change *m = change_new(r, &delete_kind, sizeof *m);
    if (m == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return read_if_match(r, &m->version) ? change_submit(&m->change) : HTTP_ANSWER;
}

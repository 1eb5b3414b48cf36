/* POST /v1/devices with one device, and DELETE of one that has not enrolled yet, or not been approved. What is announced
 * in bulk is upload.c's. */
#include "api/admin/registration.h"

#include "api/admin/admin.h"
#include "api/admin/idevid_registration.h"
#include "api/admin/upload.h"
#include "server/fleet/standing.h"

struct registration_body {
    const char *value[NUM_REGISTRATION_COLUMNS];
    struct idevid_registration idevid;
};
#define VALUE(name, min, max, column)                                                              \
    {name, FIELD_TEXT, false, min, max, offsetof(struct registration_body, value[column])}
static const struct field body_fields[] = {
    VALUE("model", 1, STORE_NAME - 1, COLUMN_MODEL),
    VALUE("ek_sha256", 64, 64, COLUMN_EK_SHA256),
    VALUE("ek_certificate", 1, ROWS_RECORD_MAX, COLUMN_EK_CERTIFICATE),
    VALUE("note", 0, NOTE_MAX, COLUMN_NOTE),
    {"idevid_certificate", FIELD_TEXT, false, 1, ROWS_RECORD_MAX,
     offsetof(struct registration_body, idevid.certificate)},
    {"ak_public", FIELD_TEXT, false, 1, 4096, offsetof(struct registration_body, idevid.ak_public)},
};
const struct shape registration_shape = SHAPE(body_fields, struct registration_body);

/* --- announcing one --- */

struct registration_change {
    struct change change; /* first */
    struct device_row row;
    bool waited; /* for an operator's approval, when it was removed */
};

/* Without an AK it cannot show more than who it is, so its model has to take that. */
static enum status check_without_ak(struct registration_change *n, const struct model_row *model,
                                    struct detail *detail) {
    if (tier_earns(model, TIER_IDENTIFIED)) {
        return STATUS_OK;
    }
    detail_set(detail,
               "ak_public: without an EK and an AK a device is no more than identified, and the "
               "model's credential_tier is %s",
               tier_name((enum tier)model->credential_tier));
    return change_fail(&n->change, PROBLEM_MISSING_FIELD, STATUS_CONFLICT);
}

/* Of a device that is enrolled by its announcement alone. Nothing certifies where its factory
 * certificate's key is. */
static enum status check_alone(struct registration_change *n, struct store_writer *writer,
                               const struct model_row *model, struct detail *detail) {
    char owner[STORE_ID];
    bool in_force;
    if (model->key_protection > KEY_UNPROVEN) {
        return change_fail(&n->change, PROBLEM_KEY_CERTIFICATION_REQUIRED, STATUS_CONFLICT);
    }
    if (n->row.ak_public.len == 0) {
        return check_without_ak(n, model, detail);
    }
    enum status status =
        store_ak_owner(store_writer_reader(writer), owner, &in_force, n->row.ak_public);
    if (status == STATUS_OK) {
        return change_fail(&n->change, PROBLEM_AK_IN_USE, STATUS_CONFLICT);
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status apply_register(struct change *c, struct store_writer *writer,
                                  struct detail *detail) {
    struct registration_change *n = (struct registration_change *)c;
    struct model_row model;
    enum status status = store_model_get(store_writer_reader(writer), &model, n->row.model);
    if (status == STATUS_NOT_FOUND) {
        detail_set(detail, "%s", n->row.model);
        return change_fail(c, PROBLEM_UNKNOWN_MODEL, status);
    }
    if (status == STATUS_OK && n->row.state == DEVICE_ENROLLED) {
        status = check_alone(n, writer, &model, detail);
    }
    if (status == STATUS_OK) {
        status = store_device_insert(writer, &n->row);
    }
    if (status == STATUS_CONFLICT && c->problem == NUM_PROBLEMS) {
        detail_set(detail, "the device %s is known already", n->row.id);
        return change_fail(c, PROBLEM_ALREADY_EXISTS, status);
    }
    change_audit(c, "device.register", "device", n->row.id);
    c->audit.after = device_json(c, &n->row);
    return status;
}

static enum http_next answer_registered(struct change *c) {
    const struct registration_change *n = (const struct registration_change *)c;
    struct json_out o;
    const char *location = arena_printf(c->r->x->arena, "/v1/devices/%s", n->row.id);
    if (location == NULL || !http_add_header(c->r->x, "Location", location)) {
        return problem(c->r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, c->r->x->arena, 512);
    write_device(&o, NULL, &n->row);
    return answer_json(c->r, 201, &o);
}

/* Decisions know enrolled devices. */
static void publish_register(struct commit *commit, struct fleet_table *table) {
    const struct device_row *row = &((const struct registration_change *)(const void *)commit)->row;
    if (row->state == DEVICE_ENROLLED) {
        enum status status =
            fleet_put_device(table, row->id, row->model, row->state, VERDICT_UNKNOWN, TIER_NONE);
        (void)status; /* out of memory it is unknown, and denied */
    }
}

static const struct change_kind register_kind = {
    .commit = CHANGE_COMMIT(.name = "device.register", .publish = publish_register),
    .apply = apply_register,
    .answer = answer_registered};

static enum http_next register_one(struct request *r) {
    const struct registration_body *body = r->body;
    struct bytes value[NUM_REGISTRATION_COLUMNS] = {{0}};
    struct registration registration;
    struct detail detail = {0};
    char key[65] = "";
    bool alone = body->idevid.certificate != NULL && body->value[COLUMN_EK_SHA256] == NULL &&
                 body->value[COLUMN_EK_CERTIFICATE] == NULL;
    for (size_t i = 0; i < NUM_REGISTRATION_COLUMNS; i++) {
        value[i] = bytes_of_text(body->value[i] == NULL ? "" : body->value[i]);
    }
    if (body->idevid.certificate == NULL && body->idevid.ak_public != NULL) {
        return problem_detail(r->x, PROBLEM_MISSING_FIELD,
                              "idevid_certificate: ak_public goes with it");
    }
    if (alone) {
        if (!idevid_registration_key(r, key, &body->idevid)) {
            return HTTP_ANSWER;
        }
        value[COLUMN_EK_SHA256] = bytes_of_text(key); /* the hardware root key is this one */
    }
    enum problem_kind kind =
        registration_read(&registration, value, upload_default_model(r), &detail);
    if (kind != NUM_PROBLEMS) {
        return problem_detail(r->x, kind, "%s", detail.text);
    }
    struct registration_change *n = change_new(r, &register_kind, sizeof *n);
    if (n == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    registration_row(&n->row, &registration, r->x->request_id, change_now(&n->change));
    if (body->idevid.certificate != NULL &&
        !idevid_registration_fill(r, &n->row, &body->idevid, alone)) {
        return HTTP_ANSWER;
    }
    return change_submit(&n->change);
}

enum http_next device_register(struct request *r) {
    return r->x->sink != NULL ? upload_handle(r) : register_one(r);
}

/* --- taking it back --- */

static enum status apply_delete(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct registration_change *n = (struct registration_change *)c;
    struct store_reader *reader = store_writer_reader(writer);
    enum status status = store_device_get(reader, c->r->x->arena, &n->row, c->r->param[0]);
    n->waited = status == STATUS_OK && n->row.state == DEVICE_PENDING_APPROVAL;
    if (status == STATUS_OK && n->row.state != DEVICE_REGISTERED && !n->waited) {
        detail_set(detail,
                   "it is %s: only a device that never enrolled is removed, others are retired",
                   device_state_name(n->row.state));
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    if (status == STATUS_OK) {
        status = store_enrollment_delete_others(writer, n->row.id, "");
    }
    if (status == STATUS_OK) {
        status = store_device_delete(writer, n->row.id);
    }
    change_audit(c, n->waited ? "device.reject" : "device.unregister", "device", n->row.id);
    c->audit.before = device_json(c, &n->row);
    return status;
}

static enum http_next answer_deleted(struct change *c) {
    return answer_empty(c->r);
}

/* The table forgets nobody, but it may know of none what it is. */
static void publish_delete(struct commit *commit, struct fleet_table *table) {
    const struct registration_change *n = (const struct registration_change *)(const void *)commit;
    if (n->waited) {
        enum status status = fleet_put_device(table, n->row.id, n->row.model, DEVICE_REGISTERED,
                                              VERDICT_UNKNOWN, TIER_NONE);
        (void)status; /* out of memory it goes on to wait, and is denied */
    }
}

static const struct change_kind delete_kind = {
    .commit = CHANGE_COMMIT(.name = "device.unregister", .publish = publish_delete),
    .apply = apply_delete,
    .answer = answer_deleted};

enum http_next device_delete(struct request *r) {
    struct registration_change *n = change_new(r, &delete_kind, sizeof *n);
    return n == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&n->change);
}

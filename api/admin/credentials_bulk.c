/* POST /v1/credentials/revoke: many at once. It takes back what was issued, and keeps nobody out: a
 * device that proves itself again gets a credential again. Quarantine is for keeping devices out. */
#include "api/admin/admin.h"

#include <string.h>

enum { DEVICES_MAX = 1000 };

struct bulk_body {
    const char *model, *reason;
    struct id_list devices;
    bool all;
};
static const struct field fields[] = {
    {"model", FIELD_TEXT, false, 1, STORE_NAME - 1, offsetof(struct bulk_body, model)},
    {"device_ids", FIELD_IDS, false, 1, DEVICES_MAX, offsetof(struct bulk_body, devices)},
    {"all", FIELD_BOOLEAN, false, 0, 0, offsetof(struct bulk_body, all)},
    {"reason", FIELD_TEXT, true, 1, REASON_MAX, offsetof(struct bulk_body, reason)},
};
const struct shape bulk_revocation_shape = SHAPE(fields, struct bulk_body);

struct bulk {
    struct change change; /* first */
    const struct bulk_body *body;
    size_t revoked;
    bool *unknown; /* of each device id */
};

/* --- in memory --- */

static void revoke(const struct bulk *b, struct fleet_table *table) {
    for (size_t i = 0; i < b->body->devices.num; i++) {
        fleet_revoke_device(table, b->body->devices.id[i]);
    }
    if (b->body->devices.num == 0) {
        fleet_revoke_model(table, b->body->all ? "" : b->body->model);
    }
}

/* Denied at once; but what a second person approves only when it is theirs to approve, which the
 * transaction finds out. */
static void revoke_early(struct commit *commit, struct fleet_table *table) {
    const struct bulk *b = (const struct bulk *)(const void *)commit;
    if (b->change.r->approval == NULL) {
        revoke(b, table);
    }
}

static void revoke_durable(struct commit *commit, struct fleet_table *table) {
    revoke((const struct bulk *)(const void *)commit, table);
}

/* --- in the store --- */

static enum status revoke_devices(struct bulk *b, struct store_writer *writer) {
    struct change *c = &b->change;
    b->revoked = 0;
    for (size_t i = 0; i < b->body->devices.num; i++) {
        enum device_state state;
        size_t num = 0;
        const char *id = b->body->devices.id[i];
        enum status status = store_device_state(store_writer_reader(writer), &state, id);
        b->unknown[i] = status == STATUS_NOT_FOUND;
        if (status == STATUS_OK) {
            status =
                store_credential_revoke_device(writer, id, change_now(c), b->body->reason, &num);
        }
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
        b->revoked += num;
    }
    return STATUS_OK;
}

static enum status revoke_model(struct bulk *b, struct store_writer *writer) {
    struct model_row model;
    struct change *c = &b->change;
    enum status status = b->body->all
                             ? STATUS_OK
                             : store_model_get(store_writer_reader(writer), &model, b->body->model);
    return status == STATUS_OK
               ? store_credential_revoke_model(writer, b->body->all ? "" : b->body->model,
                                               change_now(c), b->body->reason, &b->revoked)
               : status;
}

static void write_ids(struct json_out *o, const char *name, const struct bulk *b, bool unknown) {
    json_out_array(o, name);
    for (size_t i = 0; i < b->body->devices.num; i++) {
        if (!unknown || b->unknown[i]) {
            json_out_text(o, NULL, b->body->devices.id[i]);
        }
    }
    json_out_array_end(o);
}

static struct bytes audit_json(const struct bulk *b) {
    struct json_out o;
    json_out_init(&o, b->change.r->x->arena, 256 + b->body->devices.num * 40);
    json_out_object(&o, NULL);
    json_out_int(&o, "revoked", (int64_t)b->revoked);
    json_out_text(&o, "reason", b->body->reason);
    write_ids(&o, "device_ids", b, false);
    write_ids(&o, "unknown_device_ids", b, true);
    json_out_object_end(&o);
    return json_out_end(&o);
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct bulk *b = (struct bulk *)c;
    bool devices = b->body->devices.num > 0;
    (void)detail;
    enum status status = devices ? revoke_devices(b, writer) : revoke_model(b, writer);
    if (status == STATUS_OK) {
        c->audit.after = audit_json(b);
        change_audit(c, "credential.revoke_bulk", b->body->model != NULL ? "model" : "fleet",
                     b->body->model != NULL ? b->body->model
                     : devices              ? "devices"
                                            : "all");
    }
    return status;
}

static enum http_next answer(struct change *c) {
    const struct bulk *b = (const struct bulk *)c;
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_int(&o, "revoked", (int64_t)b->revoked);
    write_ids(&o, "unknown_device_ids", b, true);
    json_out_object_end(&o);
    return answer_json(c->r, 200, &o);
}

static const struct change_kind kind = {.commit = CHANGE_COMMIT(.name = "credential.revoke_bulk",
                                                                .early = revoke_early,
                                                                .publish = revoke_durable),
                                        .apply = apply,
                                        .answer = answer};

enum http_next credential_revoke_bulk(struct request *r) {
    const struct bulk_body *body = r->body;
    if ((body->model != NULL) + (body->devices.num > 0) + body->all != 1) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD,
                              "exactly one of model, device_ids, and all (true)");
    }
    struct bulk *b = change_new(r, &kind, sizeof *b);
    bool *unknown = arena_array(r->x->arena, body->devices.num, sizeof *unknown);
    if (b == NULL || unknown == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    b->body = body;
    b->unknown = unknown;
    return change_submit(&b->change);
}

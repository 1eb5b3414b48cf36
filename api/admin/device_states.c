/* POST /v1/devices/{id}/{approve|quarantine|release|retire}: who is let in, shut out, and let in
 * again. A device is denied in memory before its row is durable, and has to prove itself anew after
 * a release. */
#include "api/admin/admin.h"

#include <string.h>

struct step {
    const char *name; /* the audit's */
    unsigned from;    /* bits 1 << enum device_state */
    enum device_state to;
    const char *revocation; /* why its credentials are revoked; NULL: they are not */
};
/* It gets its identity when it asks the next time. */
static const struct step approve = {"device.approve", 1u << DEVICE_PENDING_APPROVAL,
                                    DEVICE_ENROLLED, NULL};
/* Not out of PENDING_APPROVAL: a release would be an approval. */
static const struct step quarantine = {"device.quarantine", 1u << DEVICE_ENROLLED,
                                       DEVICE_QUARANTINED, "quarantined"};
static const struct step release = {"device.release", 1u << DEVICE_QUARANTINED, DEVICE_ENROLLED,
                                    NULL};
static const struct step retire = {"device.retire",
                                   1u << DEVICE_ENROLLED | 1u << DEVICE_PENDING_APPROVAL |
                                       1u << DEVICE_QUARANTINED | 1u << DEVICE_REGISTERED,
                                   DEVICE_RETIRED, "retired"};

struct step_change {
    struct change change; /* first */
    const struct step *step;
    const char *reason; /* NULL: the note stays */
    struct device_row row;
    size_t num_revoked;
};

static void early(struct commit *commit, struct fleet_table *table) {
    const struct step_change *s = (const struct step_change *)(const void *)commit;
    if (s->step->revocation != NULL) {
        fleet_deny_device(table, s->change.r->param[0]);
    }
}

static enum status get_row(struct step_change *s, struct store_writer *writer,
                           struct detail *detail) {
    struct change *c = &s->change;
    enum status status =
        store_device_get(store_writer_reader(writer), c->r->x->arena, &s->row, c->r->param[0]);
    if (status == STATUS_OK && (s->step->from & 1u << s->row.state) == 0) {
        detail_set(detail, "it is %s", device_state_name(s->row.state));
        return change_fail(c, PROBLEM_WRONG_STATE, STATUS_CONFLICT);
    }
    return status;
}

/* The device, and how many credentials went with the step. */
static struct bytes after_json(struct step_change *s) {
    struct bytes device = device_json(&s->change, &s->row);
    if (s->step->revocation == NULL || device.len == 0) {
        return device;
    }
    const char *text = arena_printf(s->change.r->x->arena, "%.*s,\"credentials_revoked\":%zu}",
                                    (int)device.len - 1, (const char *)device.data, s->num_revoked);
    return text == NULL ? (struct bytes){NULL, 0} : bytes_of_text(text);
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct step_change *s = (struct step_change *)c;
    enum status status = get_row(s, writer, detail);
    if (status != STATUS_OK) {
        return status;
    }
    c->audit.before = device_json(c, &s->row);
    s->row.state = s->step->to;
    s->row.updated = change_now(c);
    if (s->reason != NULL) {
        text_copy(s->row.note, sizeof s->row.note, s->reason);
    }
    if (s->step == &release) { /* what it proved before it was shut out says nothing now */
        s->row.verdict = VERDICT_UNKNOWN;
        s->row.tier = TIER_NONE;
    }
    status = store_device_update(writer, &s->row);
    if (status == STATUS_OK && s->step->revocation != NULL) {
        status = store_credential_revoke_device(writer, s->row.id, change_now(c),
                                                s->step->revocation, &s->num_revoked);
    }
    change_audit(c, s->step->name, "device", s->row.id);
    c->audit.after = after_json(s);
    return status;
}

static void publish(struct commit *commit, struct fleet_table *table) {
    const struct step_change *s = (const struct step_change *)(const void *)commit;
    if (s->step->revocation != NULL) {
        fleet_deny_device(table, s->row.id);
    }
    enum status status = fleet_put_device(table, s->row.id, s->row.model, s->row.state,
                                          (enum verdict)s->row.verdict, (enum tier)s->row.tier);
    (void)status; /* out of memory it stays denied */
}

static enum http_next answer(struct change *c) {
    const struct step_change *s = (const struct step_change *)c;
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 512);
    json_out_object(&o, NULL);
    write_device(&o, "device", &s->row);
    json_out_int(&o, "credentials_revoked", (int64_t)s->num_revoked);
    json_out_object_end(&o);
    return answer_json(c->r, 200, &o);
}

static const struct change_kind kind = {
    .commit = CHANGE_COMMIT(.name = "device.state", .early = early, .publish = publish),
    .apply = apply,
    .answer = answer};

static enum http_next take_step(struct request *r, const struct step *step, const char *reason) {
    struct step_change *s = change_new(r, &kind, sizeof *s);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    s->step = step;
    s->reason = reason;
    return change_submit(&s->change);
}

enum http_next device_approve(struct request *r) {
    return take_step(r, &approve, NULL);
}

enum http_next device_quarantine(struct request *r) {
    return take_step(r, &quarantine, ((const struct reason_body *)r->body)->reason);
}

enum http_next device_release(struct request *r) {
    return take_step(r, &release, "");
}

enum http_next device_retire(struct request *r) {
    return take_step(r, &retire, ((const struct reason_body *)r->body)->reason);
}

/* POST /v1/enrollments/{id}/activate: the secret comes back, so EK and AK sit in one TPM; the
 * device and its identity certificate come into being in one transaction. An enrolment is good for
 * one attempt: a wrong secret uses it up. */
#include "api/change.h"
#include "api/handlers.h"
#include "server/base/encoding.h"
#include "server/identity/enrolment.h"

#include <stdio.h>
#include <string.h>

struct activation_body {
    struct bytes secret;
};

static const struct field fields[] = {
    {"secret", FIELD_BASE64, true, 1, 64, offsetof(struct activation_body, secret)},
};
const struct shape activation_shape = SHAPE(fields, struct activation_body);

enum { BACKDATE_S = 60 };

struct activation {
    struct change change; /* first */
    struct enrollment_row enrollment;
    struct device_row device;
    struct sign_job job;
    bool right; /* the secret */
};

static enum status apply_wrong(struct change *c, struct store_writer *writer) {
    const struct activation *a = (const struct activation *)c;
    enum status status = store_enrollment_delete(writer, a->enrollment.id);
    change_audit(c, "device.activation_failed", "device", a->enrollment.device_id);
    c->problem = PROBLEM_ACTIVATION_FAILED;
    return status;
}

static void fill_device(struct activation *a) {
    struct device_row *d = &a->device;
    text_copy(d->id, sizeof d->id, a->enrollment.device_id);
    text_copy(d->model, sizeof d->model, a->enrollment.model);
    d->state = DEVICE_ENROLLED;
    d->ek_public = a->enrollment.ek_public;
    d->ek_certificate = a->enrollment.ek_certificate;
    d->ak_public = a->enrollment.ak_public;
    memcpy(d->identity_sha256, a->job.sha256, sizeof d->identity_sha256);
    hex_encode(d->identity_serial, bytes_of(a->job.serial, sizeof a->job.serial));
    d->identity_not_after = a->job.not_after;
    d->enrolled = d->last_seen = d->updated = change_now(&a->change);
}

/* The model may have changed its mind since the enrolment began. NUM_PROBLEMS: it takes devices. */
static enum problem_kind check_model(const struct activation *a, struct store_writer *writer) {
    struct model_row model;
    enum status status = store_model_get(store_writer_reader(writer), &model, a->enrollment.model);
    if (status == STATUS_NOT_FOUND) {
        return PROBLEM_UNKNOWN_MODEL;
    }
    bool closed = status == STATUS_OK && strcmp(model.enrolment, "open") != 0;
    return closed ? PROBLEM_ENROLMENT_CLOSED : NUM_PROBLEMS; /* the insert meets what fails */
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct activation *a = (struct activation *)c;
    (void)detail;
    if (!a->right) {
        return apply_wrong(c, writer);
    }
    /* NOT_FOUND when another request was first: single use. */
    enum status status = store_enrollment_delete(writer, a->enrollment.id);
    if (status != STATUS_OK) {
        return status;
    }
    fill_device(a);
    c->problem = check_model(a, writer);
    if (c->problem == NUM_PROBLEMS) {
        status = store_device_insert(writer, &a->device);
        c->problem = status == STATUS_CONFLICT ? PROBLEM_ALREADY_ENROLLED : NUM_PROBLEMS;
    }
    if (c->problem != NUM_PROBLEMS) { /* durable all the same: the enrolment is used up */
        change_audit(c, "device.enrol_refused", "device", a->device.id);
        return STATUS_OK;
    }
    change_audit(c, "device.enrol", "device", a->device.id);
    return status;
}

static void publish(struct commit *commit, struct fleet_table *table) {
    const struct activation *a = (const struct activation *)(const void *)commit;
    if (a->change.problem == NUM_PROBLEMS) {
        /* Memory: a device that the table does not have is denied, until the next appraisal. */
        enum status status = fleet_put_device(table, a->device.id, a->device.model, DEVICE_ENROLLED,
                                              VERDICT_UNKNOWN, TIER_NONE);
        (void)status;
    }
}

static enum http_next answer(struct change *c) {
    const struct activation *a = (const struct activation *)c;
    struct request *r = c->r;
    struct api_counters *counters = &r->api->counters;
    if (c->problem != NUM_PROBLEMS) {
        atomic_fetch_add_explicit(&counters->enrolments_refused, 1, memory_order_relaxed);
        return problem(r->x, c->problem);
    }
    atomic_fetch_add_explicit(&counters->enrolments, 1, memory_order_relaxed);
    const char *leaf = certificate_to_pem(r->x->arena, bytes_of(a->job.der, a->job.der_len));
    const char *identity = r->api->authority_pem[0];
    struct json_out o;
    json_out_init(&o, r->x->arena, 6144);
    json_out_object(&o, NULL);
    json_out_text(&o, "device_id", a->device.id);
    json_out_text(&o, "state", device_state_name(a->device.state));
    json_out_text(&o, "identity_certificate",
                  leaf == NULL ? NULL : arena_printf(r->x->arena, "%s%s", leaf, identity));
    json_out_text(&o, "trust_anchors",
                  arena_printf(r->x->arena, "%s%s", r->api->authority_pem[1], identity));
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

static const struct change_kind kind = {.commit =
                                            CHANGE_COMMIT(.name = "activation", .publish = publish),
                                        .apply = apply,
                                        .answer = answer};

static bool secret_is_right(const struct activation *a, struct bytes secret) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, secret, digest);
    return secret.len == ACTIVATION_SECRET_LEN &&
           bytes_equal_constant_time(bytes_of(digest, 32),
                                     bytes_of(a->enrollment.secret_sha256, 32));
}

static void fill_job(struct activation *a, const struct api *api) {
    struct sign_job *job = &a->job;
    int64_t last = api->authority_not_after[0];
    int64_t now = change_now(&a->change);
    job->profile = PROFILE_IDENTITY;
    memcpy(job->spki, a->enrollment.csr_spki.data, a->enrollment.csr_spki.len);
    job->spki_len = a->enrollment.csr_spki.len;
    text_copy(job->device_id, sizeof job->device_id, a->enrollment.device_id);
    job->not_before = now - BACKDATE_S;
    job->not_after = now + api->options.config->identity_lifetime_s - BACKDATE_S;
    job->not_after = job->not_after < last ? job->not_after : last;
    serial_new(job->serial);
    a->change.commit.job = job;
}

enum http_next enrollment_activate(struct request *r) {
    const struct activation_body *body = r->body;
    struct activation *a = change_new(r, &kind, sizeof *a);
    if (a == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    enum status status =
        store_enrollment_get(r->worker->reader, r->x->arena, &a->enrollment, r->param[0]);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    if (a->enrollment.expires <= change_now(&a->change)) {
        return problem(r->x, PROBLEM_ENROLLMENT_EXPIRED);
    }
    if (a->enrollment.csr_spki.len > KEY_SPKI_MAX) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    a->right = secret_is_right(a, body->secret);
    if (a->right) {
        (void)snprintf(r->actor, sizeof r->actor, "device:%s", a->enrollment.device_id);
        fill_job(a, r->api);
    }
    return change_submit(&a->change);
}

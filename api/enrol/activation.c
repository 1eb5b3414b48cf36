/* POST /v1/enrollments/{id}/activate: the secret comes back, so EK and AK sit in one TPM. The same
 * call may be repeated: while an operator has not approved the device, and when its answer was lost.
 * A wrong secret uses an enrolment up. */
#include "api/enrol/activation.h"
#include "api/authorities.h"

#include "api/enrol/admission.h"
#include "api/enrol/refusal.h"
#include "api/handlers.h"
#include "server/base/encoding.h"
#include "server/identity/enrolment.h"
#include "server/identity/key_certification.h"

#include <stdio.h>
#include <string.h>

struct activation_body {
    struct bytes secret;
    struct key_certification key_certification;
};

static const struct field fields[] = {
    {"secret", FIELD_BASE64, true, 1, 64, offsetof(struct activation_body, secret)},
    {"key_certification", FIELD_KEY_CERTIFICATION, false, 0, 0,
     offsetof(struct activation_body, key_certification)},
};
const struct shape activation_shape = SHAPE(fields, struct activation_body);

enum { BACKDATE_S = 60 };

enum status activation_read(struct activation *a, struct store_reader *reader, const char *id) {
    struct arena *arena = a->change.r->x->arena;
    enum status status = store_enrollment_get(reader, arena, &a->enrollment, id);
    if (status != STATUS_OK) {
        return status;
    }
    if (a->proven != KEY_UNPROVEN) {
        a->enrollment.key_protection = a->proven;
    }
    a->device.state = 0;
    status = store_device_get(reader, arena, &a->device, a->enrollment.device_id);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* --- what came of it before -------------------------------------------------------------------- */

/* What this enrolment gave the device is what the device has. */
static bool in_force(const struct activation *a) {
    const struct enrollment_row *e = &a->enrollment;
    uint8_t sha256[32];
    if (!bytes_equal(a->device.ak_public, e->ak_public)) {
        return false;
    }
    if (e->state == ENROLLMENT_PENDING) {
        return true;
    }
    if (e->certificate.len == 0) {
        return a->device.identity_kind == IDENTITY_IDEVID;
    }
    digest_compute(HASH_SHA256, e->certificate, sha256);
    return memcmp(sha256, a->device.identity_sha256, sizeof sha256) == 0;
}

bool activation_settled(struct activation *a) {
    enum enrollment_state state = a->enrollment.state;
    if (state == ENROLLMENT_BEGUN) {
        return false;
    }
    if (a->device.state == DEVICE_RETIRED) {
        a->change.problem = PROBLEM_DEVICE_RETIRED;
    } else if (a->device.state == 0 || !in_force(a)) {
        a->change.problem = PROBLEM_ENROLLMENT_SUPERSEDED;
    } else if (state == ENROLLMENT_DONE) {
        a->outcome = ACTIVATION_REPEATED;
    } else if (a->device.state == DEVICE_PENDING_APPROVAL) {
        a->outcome = ACTIVATION_WAITING;
    } else {
        return false;
    }
    return true;
}

/* --- the answer -------------------------------------------------------------------------------- */

static enum http_next answer_pending(const struct activation *a) {
    struct request *r = a->change.r;
    struct json_out o;
    if (!http_add_header(r->x, "Retry-After", "10")) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_text(&o, "device_id", a->device.id);
    json_out_text(&o, "state", device_state_name(a->device.state));
    json_out_object_end(&o);
    return answer_json(r, 202, &o);
}

/* NULL: the device has one of its maker's. */
static const char *identity_pem(const struct activation *a, const char *authority) {
    struct arena *arena = a->change.r->x->arena;
    if (a->enrollment.certificate.len == 0) {
        return NULL;
    }
    const char *leaf = certificate_to_pem(arena, a->enrollment.certificate);
    return leaf == NULL ? NULL : arena_printf(arena, "%s%s", leaf, authority);
}

enum http_next activation_answer(const struct activation *a) {
    struct request *r = a->change.r;
    const char *identity = authorities_bundle(r->api, r->x->arena, PROFILE_IDENTITY);
    const char *access = authorities_bundle(r->api, r->x->arena, PROFILE_ACCESS);
    struct json_out o;
    if (a->outcome == ACTIVATION_WAITING || a->outcome == ACTIVATION_PENDING) {
        return answer_pending(a);
    }
    if (identity == NULL || access == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, r->x->arena, 6144);
    json_out_object(&o, NULL);
    json_out_text(&o, "device_id", a->device.id);
    json_out_text(&o, "state", device_state_name(a->device.state));
    json_out_text(&o, "identity", identity_kind_name(a->device.identity_kind));
    json_out_text(&o, "key_protection", key_protection_name(a->device.key_protection));
    json_out_text(&o, "identity_certificate", identity_pem(a, identity));
    json_out_text(&o, "trust_anchors", arena_printf(r->x->arena, "%s%s", access, identity));
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

/* --- the request ------------------------------------------------------------------------------- */

static bool secret_is_right(const struct activation *a, struct bytes secret) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, secret, digest);
    return secret.len == ACTIVATION_SECRET_LEN &&
           bytes_equal_constant_time(bytes_of(digest, 32),
                                     bytes_of(a->enrollment.secret_sha256, 32));
}

/* The AK vouches for the key that the certificate is for. */
static enum status check_certification(const struct activation *a,
                                       const struct key_certification *certification,
                                       struct detail *detail) {
    const struct enrollment_row *e = &a->enrollment;
    struct tpm_public ak;
    struct public_key key;
    if (e->csr_spki.len == 0) {
        return status_fail(detail, STATUS_INVALID, "no certificate request came with the keys");
    }
    enum status status = tpm_public_parse(&ak, e->ak_public, detail);
    if (status == STATUS_OK) {
        status = public_key_from_spki(&key, e->csr_spki, detail);
    }
    return status == STATUS_OK
               ? key_certification_check(certification, &ak, bytes_of(e->nonce, sizeof e->nonce),
                                         &key, detail)
               : status;
}

/* Whether a certificate will be issued, as far as can be told before the transaction. */
static bool expects_certificate(const struct activation *a) {
    struct policy_holder *holder = a->change.r->api->options.policy;
    const struct enrollment_row *e = &a->enrollment;
    enum device_state state = DEVICE_PENDING_APPROVAL;
    const struct policy_model *model = policy_model(policy_read_begin(holder), e->model);
    if (model != NULL) {
        const struct candidate candidate = {.model = e->model,
                                            .enrolment = model->row.enrolment,
                                            .vouched = e->ek_certificate.len > 0,
                                            .device = a->device.state == 0 ? NULL : &a->device};
        if (admission_decide(&state, &candidate) != NUM_PROBLEMS) {
            state = DEVICE_PENDING_APPROVAL;
        }
    }
    policy_read_end(holder);
    return e->csr_spki.len > 0 && state != DEVICE_PENDING_APPROVAL;
}

static void fill_job(struct activation *a, const struct api *api) {
    struct sign_job *job = &a->job;
    int64_t last = authority_not_after(api, PROFILE_IDENTITY);
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

/* The secret came back. */
static enum http_next proceed(struct activation *a, const struct activation_body *body) {
    struct request *r = a->change.r;
    const char *device_id = a->enrollment.device_id;
    struct detail detail = {0};
    (void)snprintf(r->actor, sizeof r->actor, "device:%s", device_id);
    if (body->key_certification.certify_info.len > 0) {
        if (check_certification(a, &body->key_certification, &detail) != STATUS_OK) {
            return enrolment_refuse(r, PROBLEM_KEY_CERTIFICATION_INVALID, device_id, &detail);
        }
        a->proven = KEY_IN_TPM;
    }
    if (activation_settled(a)) {
        return a->outcome == ACTIVATION_REFUSED
                   ? enrolment_refuse(r, a->change.problem, device_id, &detail)
                   : activation_answer(a);
    }
    if (expects_certificate(a)) {
        fill_job(a, r->api);
    }
    return change_submit(&a->change);
}

enum http_next enrollment_activate(struct request *r) {
    const struct activation_body *body = r->body;
    struct activation *a = activation_new(r);
    if (a == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    enum status status = store_read_begin(r->worker->reader);
    if (status == STATUS_OK) {
        status = activation_read(a, r->worker->reader, r->param[0]);
        store_read_end(r->worker->reader);
    }
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
    return a->right ? proceed(a, body) : change_submit(&a->change);
}

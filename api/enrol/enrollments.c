/* POST /v1/enrollments: a TPM shows its EK, its AK and a certificate request, and gets a secret
 * that only the TPM which holds both keys can read. What is known of the device is told only to the
 * one who reads it. */
#include "api/change.h"
#include "api/enrol/admission.h"
#include "api/enrol/ek_vouch.h"
#include "api/enrol/refusal.h"
#include "api/handlers.h"
#include "api/limiter.h"
#include "server/base/clock.h"
#include "server/crypto/random.h"
#include "server/identity/enrolment.h"

#include <string.h>

struct enrollment_body {
    const char *model;
    struct bytes ek_certificate, ek_public, ak_public, csr;
};

static const struct field fields[] = {
    {"model", FIELD_TEXT, true, 1, STORE_NAME - 1, offsetof(struct enrollment_body, model)},
    {"ek_certificate", FIELD_BASE64, false, 1, 8192,
     offsetof(struct enrollment_body, ek_certificate)},
    {"ek_public", FIELD_BASE64, true, 1, TPM_PUBLIC_MAX,
     offsetof(struct enrollment_body, ek_public)},
    {"ak_public", FIELD_BASE64, true, 1, TPM_PUBLIC_MAX,
     offsetof(struct enrollment_body, ak_public)},
    {"csr", FIELD_BASE64, false, 1, 8192, offsetof(struct enrollment_body, csr)},
};
const struct shape enrollment_shape = SHAPE(fields, struct enrollment_body);

enum { ENROLMENT_NAME = sizeof((struct model_row *)0)->enrolment };

struct enrollment {
    struct change change; /* first */
    struct enrollment_row row;
    struct tpm_public ek, ak;
    struct csr csr;
    struct device_row known; /* what the store has; its state is 0 when it has nothing */
    uint8_t blob[ACTIVATION_BLOB_MAX], secret[ACTIVATION_SECRET_MAX];
    struct writer blob_out, secret_out;
};

bool enrollment_admit(struct request *r) {
    struct http_exchange *x = r->x;
    if (limiter_take(r->api->limiter, x->peer->address, clock_monotonic_ms())) {
        return true;
    }
    (void)problem(x, PROBLEM_RATE_LIMITED);
    return false;
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    const struct enrollment *e = (const struct enrollment *)c;
    const struct config *config = c->r->api->options.config;
    (void)detail;
    enum status status = store_enrollment_insert(writer, &e->row, config->enrolment_pending_max,
                                                 config->enrolment_pending_per_ip, change_now(c));
    return status == STATUS_LIMIT ? change_fail(c, PROBLEM_TOO_MANY_PENDING, status) : status;
}

static enum http_next answer(struct change *c) {
    const struct enrollment *e = (const struct enrollment *)c;
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 2048);
    json_out_object(&o, NULL);
    json_out_text(&o, "enrollment_id", e->row.id);
    json_out_text(&o, "device_id", e->row.device_id);
    json_out_base64(&o, "credential_blob", writer_bytes(&e->blob_out));
    json_out_base64(&o, "encrypted_secret", writer_bytes(&e->secret_out));
    json_out_base64(&o, "nonce", bytes_of(e->row.nonce, sizeof e->row.nonce));
    json_out_time(&o, "expires_at", e->row.expires);
    json_out_object_end(&o);
    return answer_json(c->r, 201, &o);
}

static const struct change_kind kind = {.commit = CHANGE_COMMIT(.name = "enrollment"),
                                        .apply = apply,
                                        .answer = answer,
                                        .silent = true};

/* --- whether it may ---------------------------------------------------------------------------- */

/* What vouches for the EK. One that was shown has to hold, whatever the model asks for. */
static enum problem_kind check_certificate(struct request *r, struct enrollment *e,
                                           const struct enrollment_body *body,
                                           struct detail *detail) {
    if (body->ek_certificate.len == 0) {
        return NUM_PROBLEMS;
    }
    return ek_vouch(r, &e->row.ek_certificate, body->model, body->ek_certificate, &e->ek,
                    change_now(&e->change), detail);
}

static enum problem_kind check_ek(struct request *r, struct enrollment *e,
                                  const struct enrollment_body *body, struct detail *detail) {
    if (tpm_public_parse(&e->ek, body->ek_public, detail) != STATUS_OK ||
        ek_check(&e->ek, detail) != STATUS_OK ||
        device_id_from_key(e->row.device_id, &e->ek.key) != STATUS_OK) {
        return PROBLEM_EK_UNACCEPTABLE;
    }
    return check_certificate(r, e, body, detail);
}

static enum problem_kind check_ak(struct enrollment *e, const struct enrollment_body *body,
                                  struct detail *detail) {
    bool good = tpm_public_parse(&e->ak, body->ak_public, detail) == STATUS_OK &&
                ak_check(&e->ak, detail) == STATUS_OK && !public_key_equal(&e->ak.key, &e->ek.key);
    return good ? NUM_PROBLEMS : PROBLEM_AK_UNACCEPTABLE;
}

/* A device whose factory certificate was registered with it may come without a request. */
static enum problem_kind check_csr(struct enrollment *e, const struct enrollment_body *body,
                                   struct detail *detail) {
    if (body->csr.len == 0) {
        return bytes_all(bytes_of(e->known.idevid_sha256, sizeof e->known.idevid_sha256), 0)
                   ? PROBLEM_MISSING_FIELD
                   : NUM_PROBLEMS;
    }
    return csr_parse(&e->csr, body->csr, detail) == STATUS_OK ? NUM_PROBLEMS : PROBLEM_CSR_INVALID;
}

/* Whether the model takes such a device. */
static enum problem_kind check_admission(const struct enrollment *e, const char *enrolment) {
    const struct candidate candidate = {.model = e->row.model,
                                        .enrolment = enrolment,
                                        .vouched = e->row.ek_certificate.len > 0,
                                        .device = e->known.state == 0 ? NULL : &e->known};
    return admission_begin(&candidate);
}

/* Copies the model's policy; false: no such model. */
static bool read_model(struct request *r, char out[static ENROLMENT_NAME], const char *name) {
    struct policy_holder *holder = r->api->options.policy;
    const struct policy_model *model = policy_model(policy_read_begin(holder), name);
    if (model != NULL) {
        text_copy(out, ENROLMENT_NAME, model->row.enrolment);
    }
    policy_read_end(holder);
    return model != NULL;
}

/* What the store has of the device, if anything. */
static enum status look_up(struct request *r, struct enrollment *e) {
    enum status status =
        store_device_get(r->worker->reader, r->x->arena, &e->known, e->row.device_id);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* NUM_PROBLEMS: all is well, or *status is why that cannot be told. */
static enum problem_kind check(struct request *r, struct enrollment *e, enum status *status,
                               struct detail *detail) {
    const struct enrollment_body *body = r->body;
    char enrolment[ENROLMENT_NAME];
    if (!read_model(r, enrolment, body->model)) {
        return PROBLEM_UNKNOWN_MODEL;
    }
    text_copy(e->row.model, sizeof e->row.model, body->model);
    enum problem_kind why = check_ek(r, e, body, detail);
    if (why == NUM_PROBLEMS) {
        *status = look_up(r, e);
        why = *status == STATUS_OK ? check_admission(e, enrolment) : NUM_PROBLEMS;
    }
    if (why == NUM_PROBLEMS && *status == STATUS_OK) {
        why = check_ak(e, body, detail);
    }
    return why == NUM_PROBLEMS && *status == STATUS_OK ? check_csr(e, body, detail) : why;
}

/* --- what it gets ------------------------------------------------------------------------------ */

/* The secret leaves this function encrypted, and hashed. */
static enum status make_challenge(struct enrollment *e, struct detail *detail) {
    uint8_t secret[ACTIVATION_SECRET_LEN];
    random_bytes(secret, sizeof secret);
    digest_compute(HASH_SHA256, bytes_of(secret, sizeof secret), e->row.secret_sha256);
    e->blob_out = writer_of(e->blob, sizeof e->blob);
    e->secret_out = writer_of(e->secret, sizeof e->secret);
    enum status status = activation_make(&e->blob_out, &e->secret_out, &e->ek,
                                         bytes_of(e->ak.name, e->ak.name_len), secret, detail);
    bytes_wipe(secret, sizeof secret);
    return status;
}

static void fill_row(struct enrollment *e, const struct enrollment_body *body) {
    struct change *c = &e->change;
    struct enrollment_row *row = &e->row;
    id_new(row->id, c->now_ms);
    text_copy(row->address, sizeof row->address, c->r->x->peer->address);
    row->state = ENROLLMENT_BEGUN;
    random_bytes(row->nonce, sizeof row->nonce);
    row->ek_public = body->ek_public;
    row->ak_public = body->ak_public;
    row->csr_spki = bytes_of(e->csr.spki, e->csr.spki_len);
    row->state = ENROLLMENT_BEGUN;
    row->created = change_now(c);
    row->expires = row->created + c->r->api->options.config->enrolment_expiry_s;
}

enum http_next enrollment_create(struct request *r) {
    struct enrollment *e = change_new(r, &kind, sizeof *e);
    struct detail detail = {0};
    enum status status = STATUS_OK;
    if (e == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    enum problem_kind why = check(r, e, &status, &detail);
    if (status != STATUS_OK) {
        return answer_status(r, status, &detail);
    }
    if (why == PROBLEM_MISSING_FIELD) {
        return problem_detail(r->x, why, "csr");
    }
    if (why != NUM_PROBLEMS) {
        return enrolment_refuse(r, why, e->row.device_id, &detail);
    }
    fill_row(e, r->body);
    status = make_challenge(e, &detail);
    return status == STATUS_OK ? change_submit(&e->change)
                               : answer_status(r, STATUS_INTERNAL, &detail);
}

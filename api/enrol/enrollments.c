/* POST /v1/enrollments: a TPM shows its EK, its AK and a certificate request, and gets a secret
 * that only the TPM which holds both keys can read. */
#include "api/change.h"
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
    {"csr", FIELD_BASE64, true, 1, 8192, offsetof(struct enrollment_body, csr)},
};
const struct shape enrollment_shape = SHAPE(fields, struct enrollment_body);

struct enrollment {
    struct change change; /* first */
    struct enrollment_row row;
    struct tpm_public ek, ak;
    struct csr csr;
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
    json_out_time(&o, "expires_at", e->row.expires);
    json_out_object_end(&o);
    return answer_json(c->r, 201, &o);
}

static const struct change_kind kind = {
    .commit = CHANGE_COMMIT(.name = "enrollment"), .apply = apply, .answer = answer};

static enum http_next refused(struct request *r, enum problem_kind problem,
                              const struct detail *detail) {
    atomic_fetch_add_explicit(&r->api->counters.enrolments_refused, 1, memory_order_relaxed);
    log_event(r->api->options.log, LOG_INFO, "enrolment_refused",
              log_str("request_id", r->x->request_id),
              log_str("code", problem_entry(problem)->code), log_str("detail", detail->text),
              log_str("address", r->x->peer->address));
    return answer_refusal(r, problem, detail);
}

/* The keys and what vouches for them. NUM_PROBLEMS: all is well. */
static enum problem_kind check_keys(struct request *r, struct enrollment *e,
                                    const struct enrollment_body *body, struct detail *detail) {
    struct ek_trust *trust = r->api->options.ek_trust;
    if (tpm_public_parse(&e->ek, body->ek_public, detail) != STATUS_OK ||
        ek_check(&e->ek, detail) != STATUS_OK) {
        return PROBLEM_EK_UNACCEPTABLE;
    }
    if (body->ek_certificate.len == 0) {
        return PROBLEM_EK_CERTIFICATE_REQUIRED;
    }
    if (trust == NULL || ek_trust_check(trust, &e->row.ek_certificate, body->ek_certificate, &e->ek,
                                        change_now(&e->change), detail) != STATUS_OK) {
        return PROBLEM_EK_CERTIFICATE_UNTRUSTED;
    }
    if (tpm_public_parse(&e->ak, body->ak_public, detail) != STATUS_OK ||
        ak_check(&e->ak, detail) != STATUS_OK) {
        return PROBLEM_AK_UNACCEPTABLE;
    }
    if (public_key_equal(&e->ak.key, &e->ek.key)) {
        return PROBLEM_AK_UNACCEPTABLE;
    }
    if (csr_parse(&e->csr, body->csr, detail) != STATUS_OK) {
        return PROBLEM_CSR_INVALID;
    }
    return NUM_PROBLEMS;
}

/* NUM_PROBLEMS when the model takes new devices. */
static enum problem_kind check_model(struct request *r, const char *name) {
    struct policy_holder *holder = r->api->options.policy;
    const struct policy_model *model = policy_model(policy_read_begin(holder), name);
    enum problem_kind problem = model == NULL ? PROBLEM_UNKNOWN_MODEL
                                : strcmp(model->row.enrolment, "open") != 0
                                    ? PROBLEM_ENROLMENT_CLOSED
                                    : NUM_PROBLEMS;
    policy_read_end(holder);
    return problem;
}

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

static enum status fill_row(struct enrollment *e, const struct enrollment_body *body) {
    struct change *c = &e->change;
    struct enrollment_row *row = &e->row;
    id_new(row->id, c->now_ms);
    text_copy(row->model, sizeof row->model, body->model);
    text_copy(row->address, sizeof row->address, c->r->x->peer->address);
    row->ek_public = body->ek_public;
    row->ak_public = body->ak_public;
    row->csr_spki = bytes_of(e->csr.spki, e->csr.spki_len);
    row->state = ENROLLMENT_BEGUN;
    row->created = change_now(c);
    row->expires = row->created + c->r->api->options.config->enrolment_expiry_s;
    return device_id_from_key(row->device_id, &e->ek.key);
}

enum http_next enrollment_create(struct request *r) {
    const struct enrollment_body *body = r->body;
    struct enrollment *e = change_new(r, &kind, sizeof *e);
    struct detail detail = {0};
    if (e == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    enum problem_kind problem = check_model(r, body->model);
    if (problem == NUM_PROBLEMS) {
        problem = check_keys(r, e, body, &detail);
    }
    if (problem != NUM_PROBLEMS) {
        return refused(r, problem, &detail);
    }
    enum status status = fill_row(e, body);
    if (status == STATUS_OK) {
        status = make_challenge(e, &detail);
    }
    if (status != STATUS_OK) {
        return answer_status(r, STATUS_INTERNAL, &detail);
    }
    return change_submit(&e->change);
}

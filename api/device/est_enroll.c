/* EST (RFC 7030 4.2): a certificate for another key of the device, under the lease that its latest
 * evidence earned. Nothing is given that evidence did not give: tier, segment, exceptions and end are
 * those of that credential, and without one the device is told to attest, and to come again. */
#include "api/change.h"
#include "api/device/est.h"
#include "api/handlers.h"
#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"
#include "server/fleet/standing.h"

#include <stdio.h>
#include <string.h>

enum { BACKDATE_S = 60, REMAINS_MIN_S = 300, RETRY_AFTER_S = 10 };

struct enrolment {
    struct change change; /* first */
    struct csr csr;
    struct credential_row lease, row;
    struct sign_job job;
    enum key_protection key_protection; /* of the CSR's key */
};

/* --- what the device has -------------------------------------------------------------------- */

/* The credential that the latest evidence earned. NOT_FOUND: none that lasts; LIMIT: the device has as
 * many as it may. */
static enum status find_lease(struct store_reader *reader, struct arena *arena,
                              const struct device_row *device, struct credential_row *out,
                              int64_t now) {
    struct credential_filter filter = {.valid_at = now};
    struct credential_row *rows;
    size_t num;
    text_copy(filter.device_id, sizeof filter.device_id, device->id);
    enum status status =
        store_credential_list(reader, arena, &rows, &num, &filter,
                              (struct store_page){.after = "", .limit = DECISION_MAX_SERIALS});
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < num; i++) {
        if (device->appraisal_id[0] != '\0' &&
            strcmp(rows[i].appraisal_id, device->appraisal_id) == 0 &&
            rows[i].not_after - now >= REMAINS_MIN_S) {
            *out = rows[i];
            return num < DECISION_MAX_SERIALS ? STATUS_OK : STATUS_LIMIT;
        }
    }
    return num < DECISION_MAX_SERIALS ? STATUS_NOT_FOUND : STATUS_LIMIT;
}

/* All that the new credential takes over; one that was given under the same lease does as well. */
static bool is_same_lease(const struct credential_row *a, const struct credential_row *b) {
    return strcmp(a->appraisal_id, b->appraisal_id) == 0 && a->not_after == b->not_after &&
           a->tier == b->tier && strcmp(a->segment, b->segment) == 0 &&
           strcmp(a->exceptions, b->exceptions) == 0;
}

/* What the policy in force makes of the lease: the very same as when it was given. */
static bool policy_still_gives(struct request *r, const struct device_row *device,
                               const struct credential_row *lease) {
    struct policy_holder *holder = r->api->options.policy;
    const struct policy_model *model = policy_model(policy_read_begin(holder), device->model);
    bool gives = model != NULL && device->verdict == VERDICT_TRUSTED &&
                 tier_earns(&model->row, (enum tier)lease->tier) &&
                 strcmp(tier_segment(&model->row, (enum tier)lease->tier), lease->segment) == 0;
    policy_read_end(holder);
    return gives;
}

/* The model asks for keys in TPMs, and nothing shows that this one is. */
static bool key_is_too_weak(const struct enrolment *e) {
    struct request *r = e->change.r;
    struct policy_holder *holder = r->api->options.policy;
    const struct policy_model *model = policy_model(policy_read_begin(holder), r->device->model);
    bool weak = model == NULL || e->key_protection < model->row.key_protection;
    policy_read_end(holder);
    return weak;
}

/* An AK vouched for the key that the device is known by, and for no other that comes without a
 * TPM2_Certify. */
static enum key_protection protection_of(const struct request *r, const struct csr *csr) {
    struct certificate identity;
    bool same = certificate_parse(&identity, r->x->peer->chain[0], NULL) == STATUS_OK &&
                public_key_equal(&identity.key, &csr->key);
    return same ? r->device->key_protection : KEY_UNPROVEN;
}

/* --- answers -------------------------------------------------------------------------------- */

/* RFC 7030 4.2.3: not yet. */
static enum http_next answer_later(struct request *r) {
    struct http_exchange *x = r->x;
    static const char text[] = "The device has no fresh trusted appraisal. Attest, with POST "
                               "/v1/challenges and POST /v1/evidence, and come again.\n";
    const char *seconds = arena_printf(x->arena, "%d", RETRY_AFTER_S);
    if (seconds == NULL || !http_add_header(x, "Retry-After", seconds) ||
        !http_add_header(x, "Cache-Control", "no-store")) {
        return problem(x, PROBLEM_INTERNAL);
    }
    x->status = 202;
    x->content_type = "text/plain";
    x->answer = bytes_of_text(text);
    return HTTP_ANSWER;
}

static enum http_next answer_without(struct request *r, enum status status) {
    return status == STATUS_NOT_FOUND ? answer_later(r)
           : status == STATUS_LIMIT
               ? problem_detail(r->x, PROBLEM_RATE_LIMITED,
                                "the device has %d credentials that are valid: wait for one to end",
                                DECISION_MAX_SERIALS)
               : answer_status(r, status, NULL);
}

/* --- the commit ----------------------------------------------------------------------------- */

/* The device as it is now, which is not always what it was when the request came in. */
static enum status check_device(struct change *c, struct store_writer *writer,
                                struct device_row *out) {
    enum status status =
        store_device_get(store_writer_reader(writer), c->r->x->arena, out, c->r->device->id);
    if (status != STATUS_OK) {
        return status;
    }
    if (out->state == DEVICE_RETIRED || out->state == DEVICE_QUARANTINED) {
        return change_fail(
            c, out->state == DEVICE_RETIRED ? PROBLEM_DEVICE_RETIRED : PROBLEM_DEVICE_QUARANTINED,
            STATUS_DENIED);
    }
    if (out->state != DEVICE_ENROLLED || memcmp(out->identity_sha256, c->r->x->peer->leaf_sha256,
                                                sizeof out->identity_sha256) != 0) {
        return change_fail(c, PROBLEM_FORBIDDEN, STATUS_DENIED);
    }
    return STATUS_OK;
}

static void write_audit(struct enrolment *e) {
    struct json_out o;
    json_out_init(&o, e->change.r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_text(&o, "serial", e->row.serial);
    json_out_text(&o, "appraisal_id", e->row.appraisal_id);
    json_out_text(&o, "key_protection", key_protection_name(e->row.key_protection));
    json_out_object_end(&o);
    e->change.audit.after = json_out_end(&o);
    change_audit(&e->change, "credential.issue", "device", e->row.device_id);
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct enrolment *e = (struct enrolment *)c;
    struct device_row device;
    struct credential_row lease;
    (void)detail;
    enum status status = check_device(c, writer, &device);
    if (status == STATUS_OK) {
        status =
            find_lease(store_writer_reader(writer), c->r->x->arena, &device, &lease, change_now(c));
    }
    if (status == STATUS_LIMIT) {
        return change_fail(c, PROBLEM_RATE_LIMITED, status);
    }
    if (status == STATUS_NOT_FOUND ||
        (status == STATUS_OK && (!is_same_lease(&lease, &e->lease) || key_is_too_weak(e) ||
                                 !policy_still_gives(c->r, &device, &lease)))) {
        return change_fail(c, PROBLEM_POLICY_CHANGED, STATUS_CONFLICT);
    }
    if (status != STATUS_OK) {
        return status;
    }
    memcpy(e->row.sha256, e->job.sha256, sizeof e->row.sha256);
    text_copy(e->row.authority, sizeof e->row.authority, e->job.authority);
    write_audit(e);
    return store_credential_insert(writer, &e->row);
}

static void publish(struct commit *commit, struct fleet_table *table) {
    const struct enrolment *e = (const struct enrolment *)(const void *)commit;
    /* Out of memory here leaves the credential unknown, and so denied. */
    enum status status = fleet_put_credential(table, &e->row);
    (void)status;
}

static enum http_next answer_issued(struct change *c) {
    const struct enrolment *e = (const struct enrolment *)c;
    const struct bytes der = bytes_of(e->job.der, e->job.der_len);
    return est_answer_certificates(c->r, &der, 1);
}

static const struct change_kind kind = {.commit = CHANGE_COMMIT(.name = "est", .publish = publish),
                                        .apply = apply,
                                        .answer = answer_issued};

/* --- the request ---------------------------------------------------------------------------- */

static void fill(struct enrolment *e) {
    struct credential_row *row = &e->row;
    struct sign_job *job = &e->job;
    *row = e->lease; /* and with it tier, segment, exceptions, end */
    job->profile = PROFILE_ACCESS;
    memcpy(job->spki, e->csr.spki, e->csr.spki_len);
    job->spki_len = e->csr.spki_len;
    text_copy(job->device_id, sizeof job->device_id, row->device_id);
    text_copy(job->tier, sizeof job->tier, tier_name((enum tier)row->tier));
    text_copy(job->segment, sizeof job->segment, row->segment);
    serial_new(job->serial);
    row->not_before = job->not_before = change_now(&e->change) - BACKDATE_S;
    job->not_after = row->not_after;
    hex_encode(row->serial, bytes_of(job->serial, sizeof job->serial));
    row->key_protection = e->key_protection;
    e->change.commit.job = job;
}

static bool read_request(struct enrolment *e) {
    struct request *r = e->change.r;
    struct detail detail = {0};
    struct bytes der;
    if (!est_read(r, &der)) {
        return false;
    }
    if (csr_parse(&e->csr, der, &detail) != STATUS_OK) {
        (void)problem_detail(r->x, PROBLEM_CSR_INVALID, "%s", detail.text);
        return false;
    }
    e->key_protection = protection_of(r, &e->csr);
    if (key_is_too_weak(e)) {
        (void)problem_detail(
            r->x, PROBLEM_KEY_CERTIFICATION_REQUIRED,
            "the model wants keys that a TPM vouches for: POST /v1/evidence with a "
            "key_certification");
        return false;
    }
    return true;
}

enum http_next est_enroll(struct request *r) {
    struct enrolment *e = change_new(r, &kind, sizeof *e);
    if (e == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (r->device->state == DEVICE_RETIRED || r->device->state == DEVICE_QUARANTINED) {
        return problem(r->x, r->device->state == DEVICE_RETIRED ? PROBLEM_DEVICE_RETIRED
                                                                : PROBLEM_DEVICE_QUARANTINED);
    }
    if (!read_request(e)) {
        return HTTP_ANSWER;
    }
    enum status status =
        find_lease(r->worker->reader, r->x->arena, r->device, &e->lease, change_now(&e->change));
    if (status != STATUS_OK) {
        return answer_without(r, status);
    }
    if (!policy_still_gives(r, r->device, &e->lease)) {
        return answer_later(r);
    }
    fill(e);
    return change_submit(&e->change);
}

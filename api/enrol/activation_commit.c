/* What an activation does to the store and the fleet table. Everything is decided anew in the one
 * transaction, so that two activations at a time come out as one after the other: a TPM is one
 * device, and an AK is that of one device, for ever. */
#include "api/enrol/activation.h"

#include "api/enrol/admission.h"
#include "api/enrol/refusal.h"
#include "server/base/encoding.h"
#include "server/tpm/public.h"

#include <string.h>

static struct activation *activation_of(struct commit *commit) {
    return (struct activation *)(void *)commit;
}

/* --- judging ----------------------------------------------------------------------------------- */

static enum problem_kind judge_ak(struct activation *a, struct store_reader *reader,
                                  enum status *status) {
    char owner[STORE_ID];
    bool in_force;
    *status = store_ak_owner(reader, owner, &in_force, a->enrollment.ak_public);
    if (*status != STATUS_OK) {
        *status = *status == STATUS_NOT_FOUND ? STATUS_OK : *status;
        return NUM_PROBLEMS;
    }
    bool own = strcmp(owner, a->enrollment.device_id) == 0;
    if (own && in_force) {
        return NUM_PROBLEMS;
    }
    text_copy(a->ak_owner, sizeof a->ak_owner, owner);
    return own ? PROBLEM_AK_REVOKED : PROBLEM_AK_IN_USE;
}

static bool has_idevid(const struct device_row *device) {
    return device->state != 0 &&
           !bytes_all(bytes_of(device->idevid_sha256, sizeof device->idevid_sha256), 0);
}

/* NUM_PROBLEMS: *state is what the device becomes, or *status why nothing can be said. */
static enum problem_kind judge(struct activation *a, struct store_reader *reader,
                               enum device_state *state, enum status *status) {
    const struct enrollment_row *e = &a->enrollment;
    struct model_row model;
    *status = store_model_get(reader, &model, e->model);
    if (*status == STATUS_NOT_FOUND) {
        *status = STATUS_OK;
        return PROBLEM_UNKNOWN_MODEL;
    }
    if (*status != STATUS_OK) {
        return NUM_PROBLEMS;
    }
    const struct candidate candidate = {.model = e->model,
                                        .enrolment = model.enrolment,
                                        .vouched = e->ek_certificate.len > 0,
                                        .device = a->device.state == 0 ? NULL : &a->device};
    enum problem_kind why = admission_decide(state, &candidate);
    if (why == NUM_PROBLEMS) {
        why = judge_ak(a, reader, status);
    }
    if (why != NUM_PROBLEMS) {
        return why;
    }
    if (e->csr_spki.len == 0 && !has_idevid(&a->device)) {
        return PROBLEM_CSR_INVALID; /* its registration went away meanwhile */
    }
    return model.key_protection > e->key_protection ? PROBLEM_KEY_CERTIFICATION_REQUIRED
                                                    : NUM_PROBLEMS;
}

/* LIMIT: as many devices wait for an operator as may. */
static enum status check_room(struct activation *a, struct store_reader *reader) {
    struct request *r = a->change.r;
    struct fleet_count *counts;
    size_t num;
    int64_t waiting = 0;
    enum status status = store_fleet_counts(reader, r->x->arena, &counts, &num);
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        waiting += counts[i].state == DEVICE_PENDING_APPROVAL ? counts[i].num : 0;
    }
    bool full = status == STATUS_OK && waiting >= r->api->options.config->enrolment_pending_max;
    return full ? change_fail(&a->change, PROBLEM_TOO_MANY_PENDING, STATUS_LIMIT) : status;
}

/* --- refusing ---------------------------------------------------------------------------------- */

static enum status refuse(struct activation *a, struct store_writer *writer,
                          enum problem_kind why) {
    const struct detail none = {0};
    bool stays = why == PROBLEM_KEY_CERTIFICATION_REQUIRED; /* the device may send it yet */
    enrolment_audit_refusal(&a->change, why, a->enrollment.device_id, a->ak_owner, &none);
    a->change.problem = why;
    return stays ? STATUS_OK : store_enrollment_delete(writer, a->enrollment.id);
}

/* Of what was activated once nobody takes anything away by guessing. */
static enum status refuse_secret(struct activation *a, struct store_writer *writer) {
    bool begun = a->enrollment.state == ENROLLMENT_BEGUN;
    change_audit(&a->change, "device.activation_failed", "device", a->enrollment.device_id);
    a->change.problem = PROBLEM_ACTIVATION_FAILED;
    return begun ? store_enrollment_delete(writer, a->enrollment.id) : STATUS_OK;
}

/* --- admitting --------------------------------------------------------------------------------- */

static void write_ak(struct json_out *o, struct bytes ak_public) {
    struct tpm_public ak;
    if (tpm_public_parse(&ak, ak_public, NULL) == STATUS_OK) {
        json_out_hex(o, "ak_name", bytes_of(ak.name, ak.name_len));
    }
}

static struct bytes keys_json(const struct activation *a, bool after) {
    const struct device_row *d = &a->device;
    struct json_out o;
    json_out_init(&o, a->change.r->x->arena, 512);
    json_out_object(&o, NULL);
    json_out_text(&o, "model", d->model);
    json_out_text(&o, "state", device_state_name(d->state));
    write_ak(&o, d->ak_public);
    json_out_text(&o, "identity", identity_kind_name(d->identity_kind));
    json_out_text_or_null(&o, "identity_serial", d->identity_serial);
    json_out_text(&o, "key_protection", key_protection_name(d->key_protection));
    if (after) {
        json_out_text(&o, "enrollment_id", a->enrollment.id);
        json_out_int(&o, "credentials_revoked", (int64_t)a->num_revoked);
    }
    json_out_object_end(&o);
    return json_out_end(&o);
}

static void fill_identity(struct activation *a) {
    struct device_row *d = &a->device;
    bool issued = a->enrollment.csr_spki.len > 0;
    if (issued) {
        memcpy(d->identity_sha256, a->job.sha256, sizeof d->identity_sha256);
        hex_encode(d->identity_serial, bytes_of(a->job.serial, sizeof a->job.serial));
        d->identity_not_after = a->job.not_after;
        a->enrollment.certificate = bytes_of(a->job.der, a->job.der_len);
    } else {
        memcpy(d->identity_sha256, d->idevid_sha256, sizeof d->identity_sha256);
        d->identity_serial[0] = '\0';
        d->identity_not_after = 0;
    }
    d->identity_kind = issued ? IDENTITY_ISSUED : IDENTITY_IDEVID;
}

/* The device as it becomes; a pending one has no identity. */
static void fill_device(struct activation *a, enum device_state state) {
    struct device_row *d = &a->device;
    const struct enrollment_row *e = &a->enrollment;
    if (d->state == 0) {
        *d = (struct device_row){0};
        text_copy(d->id, sizeof d->id, e->device_id);
        text_copy(d->model, sizeof d->model, e->model);
    }
    d->state = state;
    d->ek_public = e->ek_public;
    d->ek_certificate = e->ek_certificate.len > 0 ? e->ek_certificate : d->ek_certificate;
    d->ak_public = e->ak_public;
    d->key_protection = e->key_protection;
    d->last_seen = d->updated = change_now(&a->change);
    if (state != DEVICE_PENDING_APPROVAL) {
        d->enrolled = change_now(&a->change);
        fill_identity(a);
    }
}

static void fill_enrollment(struct activation *a) {
    const struct config *config = a->change.r->api->options.config;
    struct enrollment_row *e = &a->enrollment;
    int64_t now = change_now(&a->change);
    if (a->outcome == ACTIVATION_PENDING) {
        e->expires = now + config->enrolment_approval_expiry_s;
    } else if (e->state == ENROLLMENT_PENDING) {
        e->expires = now + config->enrolment_expiry_s; /* the answer may be lost */
    }
    e->state = a->outcome == ACTIVATION_PENDING ? ENROLLMENT_PENDING : ENROLLMENT_DONE;
}

static enum status write_all(struct activation *a, struct store_writer *writer, bool known) {
    enum status status =
        known ? store_device_enrol(writer, &a->device) : store_device_insert(writer, &a->device);
    if (status == STATUS_OK && known) {
        status = store_credential_revoke_device(writer, a->device.id, change_now(&a->change),
                                                "re-enrolled", &a->num_revoked);
    }
    if (status == STATUS_OK) {
        status = store_enrollment_update(writer, &a->enrollment);
    }
    return status == STATUS_OK
               ? store_enrollment_delete_others(writer, a->device.id, a->enrollment.id)
               : status;
}

static enum status admit(struct activation *a, struct store_writer *writer,
                         enum device_state state) {
    struct change *c = &a->change;
    bool known = a->device.state != 0, pending = state == DEVICE_PENDING_APPROVAL;
    bool again = known && !bytes_all(bytes_of(a->device.identity_sha256, 32), 0);
    if (!pending && a->enrollment.csr_spki.len > 0 && c->commit.job == NULL) {
        /* Nothing was signed, for it looked otherwise a moment ago. */
        return change_fail(c, PROBLEM_OVERLOADED, STATUS_BUSY);
    }
    enum status status = pending && !known ? check_room(a, store_writer_reader(writer)) : STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    a->outcome = pending ? ACTIVATION_PENDING
                 : again ? ACTIVATION_ENROLLED_AGAIN
                         : ACTIVATION_ENROLLED;
    if (again) {
        c->audit.before = keys_json(a, false);
    }
    fill_device(a, state);
    fill_enrollment(a);
    status = write_all(a, writer, known);
    change_audit(c,
                 pending ? "device.await_approval"
                 : again ? "device.enrol_again"
                         : "device.enrol",
                 "device", a->device.id);
    c->audit.after = keys_json(a, true);
    return status;
}

/* --- the change -------------------------------------------------------------------------------- */

/* It may run again: nothing of the time before stays. */
static void forget(struct activation *a) {
    a->outcome = ACTIVATION_REFUSED;
    a->ak_owner[0] = '\0';
    a->num_revoked = 0;
    a->change.audit = (struct audit_row){0};
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct activation *a = (struct activation *)c;
    struct store_reader *reader = store_writer_reader(writer);
    enum device_state state = DEVICE_PENDING_APPROVAL;
    (void)detail;
    forget(a);
    /* NOT_FOUND when another request was first. */
    enum status status = activation_read(a, reader, c->r->param[0]);
    if (status != STATUS_OK) {
        return status;
    }
    if (!a->right) {
        return refuse_secret(a, writer);
    }
    if (activation_settled(a)) {
        if (a->outcome == ACTIVATION_REFUSED) {
            const struct detail none = {0};
            enrolment_audit_refusal(c, c->problem, a->enrollment.device_id, "", &none);
        }
        return STATUS_OK;
    }
    enum problem_kind why = judge(a, reader, &state, &status);
    if (status != STATUS_OK) {
        return status;
    }
    return why == NUM_PROBLEMS ? admit(a, writer, state) : refuse(a, writer, why);
}

static void publish(struct commit *commit, struct fleet_table *table) {
    const struct activation *a = activation_of(commit);
    if (a->outcome < ACTIVATION_PENDING) {
        return;
    }
    fleet_deny_device(table, a->device.id);
    /* Memory: a device that the table does not have is denied, until the next appraisal. */
    enum status status = fleet_put_device(table, a->device.id, a->device.model, a->device.state,
                                          VERDICT_UNKNOWN, TIER_NONE);
    (void)status;
}

static void count(struct api_counters *counters, enum activation_outcome outcome) {
    _Atomic uint64_t *counter = outcome == ACTIVATION_PENDING    ? &counters->enrolments_pending
                                : outcome == ACTIVATION_ENROLLED ? &counters->enrolments
                                : outcome == ACTIVATION_ENROLLED_AGAIN ? &counters->enrolments_again
                                                                       : NULL;
    if (counter != NULL) {
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    }
}

static enum http_next answer(struct change *c) {
    const struct activation *a = (const struct activation *)c;
    if (c->problem != NUM_PROBLEMS) {
        const struct detail none = {0};
        return enrolment_answer_refusal(c->r, c->problem, &none);
    }
    count(&c->r->api->counters, a->outcome);
    return activation_answer(a);
}

static const struct change_kind kind = {.commit =
                                            CHANGE_COMMIT(.name = "activation", .publish = publish),
                                        .apply = apply,
                                        .answer = answer,
                                        .silent = true};

struct activation *activation_new(struct request *r) {
    return change_new(r, &kind, sizeof(struct activation));
}

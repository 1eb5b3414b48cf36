/* What evidence does to the store and the fleet table: one transaction, and a certificate that
 * leaves only when it is durable. */
#include "api/authorities.h"
#include "api/device/evidence.h"

#include "server/appraisal/trustworthiness.h"
#include "server/base/encoding.h"

#include <string.h>

static const struct evidence *evidence_of(const struct commit *commit) {
    return (const struct evidence *)(const void *)commit;
}

/* --- evidence that verifies against nothing --- */

/* What cannot even be read is no appraisal: the audit entry is all that stays of it. */
static bool is_malformed(const struct evidence *e) {
    return e->refusal == PROBLEM_EVIDENCE_MALFORMED;
}

static enum status apply_refused(struct change *c, struct store_writer *writer,
                                 struct detail *detail) {
    const struct evidence *e = (const struct evidence *)c;
    (void)detail;
    change_audit(c, "evidence.refuse", "device", e->row.device_id);
    return is_malformed(e) ? STATUS_OK : store_appraisal_insert(writer, &e->row, APPRAISALS_KEPT);
}

static enum http_next answer_refused(struct change *c) {
    const struct evidence *e = (const struct evidence *)c;
    atomic_fetch_add_explicit(&c->r->api->counters.evidence_refused, 1, memory_order_relaxed);
    struct problem p;
    /* Where malformed evidence breaks is told to who sent it; why good evidence is not taken, not. */
    problem_begin(&p, c->r->x, e->refusal, e->row.failure, is_malformed(e) ? e->why : NULL);
    if (!is_malformed(e)) {
        json_out_text(&p.out, "appraisal_id", e->row.id);
    }
    problem_end(&p);
    return HTTP_ANSWER;
}

static const struct change_kind refused_kind = {.commit = CHANGE_COMMIT(.name = "evidence_refused"),
                                                .apply = apply_refused,
                                                .answer = answer_refused};

struct evidence *evidence_new(struct request *r) {
    return change_new(r, &refused_kind, sizeof(struct evidence));
}

static struct bytes refusal_json(const struct evidence *e, const char *code) {
    struct json_out o;
    json_out_init(&o, e->change.r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_text(&o, "code", code);
    json_out_text(&o, "detail", e->why);
    json_out_object_end(&o);
    return json_out_end(&o);
}

enum http_next evidence_refuse(struct evidence *e, enum problem_kind problem, const char *code,
                               const struct detail *detail) {
    struct request *r = e->change.r;
    e->refusal = problem;
    e->why = detail->text[0] == '\0' ? NULL : arena_text(r->x->arena, detail->text);
    e->change.audit.after = refusal_json(e, code);
    const struct finding finding = {.code = code,
                                    .rule = "evidence",
                                    .pcr = -1,
                                    .event = -1,
                                    .found = e->why,
                                    .severity = SEVERITY_DENY};
    text_copy(e->row.failure, sizeof e->row.failure, code);
    e->appraisal = (struct appraisal){.verdict = VERDICT_UNKNOWN, .tier = TIER_NONE};
    if (!evidence_describe(e)) {
        return answer_status(r, STATUS_MEMORY, NULL);
    }
    e->row.findings = findings_json(r->x->arena, &finding, 1);
    return change_submit(&e->change);
}

/* --- appraised evidence --- */

/* From now on the device is trusted by exceptions, and what it was given before may outlast them. */
static bool begins_by_exception(const struct evidence *e) {
    return e->use_changes && e->credential.exceptions[0] != '\0';
}

/* What was given for a higher tier than the device has now is good no more. */
static void revoke_sunk(const struct evidence *e, struct fleet_table *table) {
    if (e->earns && !begins_by_exception(e)) {
        fleet_revoke_above(table, e->row.device_id, e->appraisal.tier);
    } else {
        fleet_revoke_device(table, e->row.device_id);
    }
}

static void early(struct commit *commit, struct fleet_table *table) {
    const struct evidence *e = evidence_of(commit);
    if (e->row.verdict != VERDICT_TRUSTED) {
        fleet_deny_device(table, e->row.device_id);
    } else {
        revoke_sunk(e, table);
    }
}

/* The baseline that admits the device is still in force (without a quote none does), and its model asks for no more of the keys
 * than it did. */
static bool policy_still_admits(const struct evidence *e) {
    struct policy_holder *holder = e->change.r->api->options.policy;
    const struct policy *policy = policy_read_begin(holder);
    const struct policy_model *model = policy_model(policy, e->row.model);
    const struct baseline *baseline[BASELINE_MAX_PER_MODEL];
    const char *id[BASELINE_MAX_PER_MODEL];
    size_t num = model == NULL ? 0
                               : policy_baselines(model, e->row.device_id, change_now(&e->change),
                                                  baseline, id);
    bool found = model != NULL && evidence_is_bare(e);
    for (size_t i = 0; i < num && !found; i++) {
        found = strcmp(id[i], e->row.baseline_id) == 0;
    }
    found = found && policy_leaked_keys_since(policy) == e->leaked_keys_since &&
            evidence_keys_suffice(e, &model->row) == NUM_PROBLEMS &&
            evidence_tier_stands(e, &model->row) && evidence_exceptions_stand(e, policy);
    policy_read_end(holder);
    return found;
}

/* The device as it is now, which is not always what it was when the request came in. */
static enum status check_device(struct evidence *e, struct store_writer *writer,
                                struct device_row *out) {
    struct change *c = &e->change;
    struct device_row now;
    enum status status =
        store_device_get(store_writer_reader(writer), c->r->x->arena, &now, e->row.device_id);
    if (status != STATUS_OK) {
        return status;
    }
    if (now.state == DEVICE_RETIRED) {
        return change_fail(c, PROBLEM_DEVICE_RETIRED, STATUS_DENIED);
    }
    /* With a factory identity the AK alone tells that it enrolled again. */
    if (memcmp(now.identity_sha256, c->r->x->peer->leaf_sha256, 32) != 0 ||
        !bytes_equal(now.ak_public, c->r->device->ak_public)) {
        return change_fail(c, PROBLEM_FORBIDDEN, STATUS_DENIED);
    }
    e->standing.state = now.state;
    e->grants = c->commit.job != NULL && now.state == DEVICE_ENROLLED;
    if (e->row.verdict == VERDICT_TRUSTED && !policy_still_admits(e)) {
        return change_fail(c, PROBLEM_POLICY_CHANGED, STATUS_CONFLICT);
    }
    *out = now;
    return STATUS_OK;
}

static enum status write_credentials(struct evidence *e, struct store_writer *writer,
                                     size_t *num_revoked) {
    *num_revoked = 0;
    if (e->row.verdict != VERDICT_TRUSTED) {
        return store_credential_revoke_device(writer, e->row.device_id, change_now(&e->change),
                                              "untrusted", num_revoked);
    }
    if (!e->earns) {
        return store_credential_revoke_device(writer, e->row.device_id, change_now(&e->change),
                                              "tier_too_low", num_revoked);
    }
    int64_t now = change_now(&e->change);
    enum status status = begins_by_exception(e)
                             ? store_credential_revoke_device(writer, e->row.device_id, now,
                                                              "exception_began", num_revoked)
                             : store_credential_revoke_above(writer, e->row.device_id, e->row.tier,
                                                             now, "tier_sank", num_revoked);
    if (status == STATUS_OK && e->use_changes) {
        status = store_exception_use(writer, e->row.device_id, e->credential.exceptions);
    }
    if (status != STATUS_OK || !e->grants) {
        return status;
    }
    memcpy(e->credential.sha256, e->job.sha256, sizeof e->credential.sha256);
    text_copy(e->credential.authority, sizeof e->credential.authority, e->job.authority);
    return store_credential_insert(writer, &e->credential);
}

static void write_audit(struct evidence *e, size_t num_revoked) {
    struct json_out o;
    json_out_init(&o, e->change.r->x->arena, 256);
    json_out_object(&o, NULL);
    json_out_text(&o, "appraisal_id", e->row.id);
    json_out_text(&o, "verdict", verdict_name((enum verdict)e->row.verdict));
    json_out_text(&o, "tier", tier_name((enum tier)e->row.tier));
    json_out_text_or_null(&o, "segment", e->row.segment);
    json_out_text(&o, "key_protection", key_protection_name(e->row.key_protection));
    json_out_text_or_null(&o, "serial", e->credential.serial);
    exception_ids_write(&o, e->credential.exceptions);
    json_out_int(&o, "credentials_revoked", (int64_t)num_revoked);
    json_out_object_end(&o);
    e->change.audit.after = json_out_end(&o);
    change_audit(&e->change, "device.appraise", "device", e->row.device_id);
}

static enum status apply_appraised(struct change *c, struct store_writer *writer,
                                   struct detail *detail) {
    struct evidence *e = (struct evidence *)c;
    (void)detail;
    struct device_row before;
    enum status status = check_device(e, writer, &before);
    if (status == STATUS_OK) {
        status = store_device_standing(writer, &e->standing);
        if (status == STATUS_CONFLICT) {
            return change_fail(c, PROBLEM_CLOCK_WENT_BACK, status);
        }
    }
    if (status == STATUS_OK) {
        status = evidence_keep(e, writer, &before);
    }
    if (status == STATUS_OK) {
        status = evidence_ima_write(&e->ima, writer);
        if (status == STATUS_CONFLICT) {
            return change_fail(c, PROBLEM_IMA_START_WANTED, status);
        }
    }
    if (status == STATUS_OK) {
        status = store_appraisal_insert(writer, &e->row, APPRAISALS_KEPT);
    }
    if (status == STATUS_OK) {
        status = evidence_count_rollouts(e, writer);
    }
    size_t num_revoked = 0;
    if (status == STATUS_OK) {
        status = write_credentials(e, writer, &num_revoked);
    }
    write_audit(e, num_revoked);
    return status;
}

static void publish(struct commit *commit, struct fleet_table *table) {
    const struct evidence *e = evidence_of(commit);
    if (e->row.verdict != VERDICT_TRUSTED) {
        fleet_deny_device(table, e->row.device_id);
    } else {
        revoke_sunk(e, table);
    }
    /* Out of memory here leaves the device denied, which its next evidence mends. */
    enum status status = fleet_put_device(table, e->row.device_id, e->row.model, e->standing.state,
                                          (enum verdict)e->row.verdict, (enum tier)e->row.tier);
    if (status == STATUS_OK) {
        fleet_put_trustworthiness(table, e->row.device_id, e->standing.trustworthiness);
    }
    if (status == STATUS_OK && e->grants) {
        status = fleet_put_credential(table, &e->credential);
    }
    (void)status;
}

static enum http_next answer_denied(struct evidence *e, enum problem_kind kind) {
    struct request *r = e->change.r;
    struct problem p;
    problem_begin(&p, r->x, kind, NULL, NULL);
    json_out_text(&p.out, "appraisal_id", e->row.id);
    json_out_text(&p.out, "verdict", verdict_name((enum verdict)e->row.verdict));
    json_out_array(&p.out, "findings");
    for (size_t i = 0; i < e->appraisal.num_findings; i++) {
        const struct finding *f = &e->appraisal.finding[i];
        bool again = i > 0 && strcmp(f->code, e->appraisal.finding[i - 1].code) == 0;
        if (f->severity == SEVERITY_DENY && !again) {
            json_out_text(&p.out, NULL, f->code);
        }
    }
    json_out_array_end(&p.out);
    problem_end(&p);
    return HTTP_ANSWER;
}

static enum http_next answer_trusted(struct evidence *e) {
    struct request *r = e->change.r;
    const struct credential_row *credential = &e->credential;
    int64_t now = change_now(&e->change);
    const char *leaf = certificate_to_pem(r->x->arena, bytes_of(e->job.der, e->job.der_len));
    const char *authority = authority_by_id(r->api, r->x->arena, e->job.authority);
    const char *chain = leaf == NULL || authority == NULL
                            ? NULL
                            : arena_printf(r->x->arena, "%s%s", leaf, authority);
    struct json_out o;
    if (chain == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    json_out_init(&o, r->x->arena, 4096);
    json_out_object(&o, NULL);
    json_out_text(&o, "appraisal_id", e->row.id);
    json_out_text(&o, "verdict", verdict_name(VERDICT_TRUSTED));
    json_out_text(&o, "tier", tier_name(e->appraisal.tier));
    json_out_text_or_null(&o, "segment", e->row.segment);
    exception_ids_write(&o, e->credential.exceptions);
    json_out_object(&o, "credential");
    json_out_text(&o, "certificate", chain);
    json_out_text(&o, "serial", credential->serial);
    json_out_text(&o, "key_protection", key_protection_name(credential->key_protection));
    json_out_time(&o, "not_before", credential->not_before);
    json_out_time(&o, "not_after", credential->not_after);
    json_out_object_end(&o);
    json_out_time(&o, "renew_after", now + (credential->not_after - now) * 2 / 3);
    json_out_object_end(&o);
    return answer_json(r, 201, &o);
}

static enum http_next answer_appraised(struct change *c) {
    struct evidence *e = (struct evidence *)c;
    struct api_counters *counters = &c->r->api->counters;
    bool trusted = e->row.verdict == VERDICT_TRUSTED;
    atomic_fetch_add_explicit(trusted ? &counters->trusted : &counters->untrusted, 1,
                              memory_order_relaxed);
    if (e->grants) {
        return answer_trusted(e);
    }
    bool quarantined = e->standing.state == DEVICE_QUARANTINED;
    if (trusted && !quarantined && !e->earns) {
        return evidence_answer_too_low(e);
    }
    return answer_denied(e,
                         quarantined || trusted ? PROBLEM_DEVICE_QUARANTINED : PROBLEM_UNTRUSTED);
}

static const struct change_kind appraised_kind = {
    .commit = CHANGE_COMMIT(.name = "evidence", .early = early, .publish = publish),
    .apply = apply_appraised,
    .answer = answer_appraised};

/* The same, when decisions are to name other exceptions than before. */
static const struct change_kind appraised_use_kind = {
    .commit = CHANGE_COMMIT(.name = "evidence", .early = early, .publish = publish,
                            .reloads_policy = true),
    .apply = apply_appraised,
    .answer = answer_appraised};

/* An EK certificate is kept only when it verified. */
static uint16_t trustworthiness(const struct evidence *e) {
    bool quoted = !evidence_is_bare(e);
    bool verified = quoted && e->change.r->device->ek_certificate.len > 0;
    return (uint16_t)(trustworthiness_of(&e->appraisal) | (quoted ? AR4SI_QUOTED : 0) |
                      (verified ? AR4SI_EK_VERIFIED : 0));
}

static void fill_standing(struct evidence *e) {
    struct device_row *s = &e->standing;
    text_copy(s->id, sizeof s->id, e->row.device_id);
    s->state = e->change.r->device->state;
    s->has_clock = !evidence_is_bare(e);
    s->tpm_clock = (int64_t)e->facts.tpm_clock;
    s->tpm_reset_count = e->facts.tpm_reset_count;
    s->tpm_restart_count = e->facts.tpm_restart_count;
    s->verdict = e->row.verdict;
    s->tier = e->row.tier;
    s->trustworthiness = trustworthiness(e);
    text_copy(s->appraisal_id, sizeof s->appraisal_id, e->row.id);
    s->last_seen = s->updated = change_now(&e->change);
}

static void fill_credential(struct evidence *e) {
    struct sign_job *job = &e->job;
    struct credential_row *row = &e->credential;
    int64_t now = change_now(&e->change);
    int64_t last = authority_not_after(e->change.r->api, PROFILE_ACCESS);
    job->profile = PROFILE_ACCESS;
    memcpy(job->spki, e->csr.spki, e->csr.spki_len);
    job->spki_len = e->csr.spki_len;
    text_copy(job->device_id, sizeof job->device_id, e->row.device_id);
    text_copy(job->tier, sizeof job->tier, tier_name(e->appraisal.tier));
    text_copy(job->segment, sizeof job->segment, e->row.segment);
    serial_new(job->serial);
    job->not_before = now - CREDENTIAL_BACKDATE_S;
    job->not_after = now + e->lifetime_s;
    if (job->not_after - job->not_before > CREDENTIAL_LIFETIME_MAX_S) {
        job->not_after = job->not_before + CREDENTIAL_LIFETIME_MAX_S;
    }
    job->not_after = job->not_after < last ? job->not_after : last;
    if (e->exceptions_end != 0 && job->not_after > e->exceptions_end) {
        job->not_after = e->exceptions_end;
    }
    hex_encode(row->serial, bytes_of(job->serial, sizeof job->serial));
    text_copy(row->device_id, sizeof row->device_id, e->row.device_id);
    text_copy(row->appraisal_id, sizeof row->appraisal_id, e->row.id);
    row->key_protection = e->key_protection;
    row->tier = e->row.tier;
    text_copy(row->segment, sizeof row->segment, e->row.segment);
    row->not_before = job->not_before;
    row->not_after = job->not_after;
    e->change.commit.job = job;
}

enum http_next evidence_conclude(struct evidence *e) {
    struct request *r = e->change.r;
    bool reloads = e->use_changes && e->earns;
    e->change.kind = reloads ? &appraised_use_kind : &appraised_kind;
    e->change.commit.kind = &e->change.kind->commit;
    if (!evidence_is_bare(e) &&
        boot_state_of(&e->boot_state, r->x->arena, &e->facts) != STATUS_OK) {
        return answer_status(r, STATUS_MEMORY, NULL);
    }
    memcpy(e->row.boot_state, e->boot_state.sha256, sizeof e->row.boot_state);
    if (!evidence_describe(e)) {
        return answer_status(r, STATUS_MEMORY, NULL);
    }
    fill_standing(e);
    if (e->earns && r->device->state == DEVICE_ENROLLED) {
        fill_credential(e);
    }
    return change_submit(&e->change);
}

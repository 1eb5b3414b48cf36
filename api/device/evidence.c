/* POST /v1/evidence: from the body to a verdict. Evidence is held against this device's AK, this
 * device's nonce, and the PCRs that the nonce's challenge asked for; a certification of the key that
 * the credential is for, against the same AK and nonce. */
#include "api/device/evidence.h"

#include "api/device/challenge_context.h"
#include "api/handlers.h"
#include "server/base/clock.h"
#include "server/fleet/standing.h"
#include "server/tpm/public.h"

#include <string.h>

static enum http_next read_body(struct evidence *e) {
    struct http_exchange *x = e->change.r->x;
    struct detail detail = {0};
    const char *code = NULL;
    if (!shape_check_depth(x)) {
        return HTTP_ANSWER;
    }
    enum status status = evidence_body_parse_any(&e->body, x->arena, x->body, &code, &detail);
    if (status == STATUS_MEMORY) {
        return problem(x, PROBLEM_BODY_TOO_LARGE);
    }
    if (status != STATUS_OK) {
        enum problem_kind kind = code == NULL ? PROBLEM_MALFORMED_JSON : problem_of_code(code);
        return problem_coded(x, kind, NULL, detail.text);
    }
    if (e->body.csr.len == 0) {
        return problem_detail(x, PROBLEM_MISSING_FIELD, "csr");
    }
    return evidence_suits_device(e) ? HTTP_WAIT /* go on */ : HTTP_ANSWER;
}

/* The log that is only named: the one that this device's evidence before came with. That it explains
 * this quote as well is verified as ever. Before the nonce is looked at, so that the same quote is good
 * with the log. One that cannot be read is wanted, too: damage to it keeps nobody out. */
static enum http_next take_log(struct evidence *e) {
    struct request *r = e->change.r;
    if (!e->body.has_log_sha256) {
        return HTTP_WAIT; /* go on */
    }
    enum status status =
        store_device_log_get(r->worker->reader, r->x->arena, &e->body.tpm2.tcg_event_log,
                             r->device->id, e->body.log_sha256);
    if (status == STATUS_OK) {
        return HTTP_WAIT;
    }
    if (status == STATUS_STORAGE) {
        log_event(r->api->options.log, LOG_ERROR, "kept_log_unreadable",
                  log_str("device_id", r->device->id));
    }
    return status == STATUS_NOT_FOUND || status == STATUS_STORAGE
               ? problem(r->x, PROBLEM_LOG_WANTED)
               : answer_status(r, status, NULL);
}

/* What the log goes on from, likewise before the nonce is looked at. */
static enum http_next take_ima(struct evidence *e) {
    uint32_t from = e->body.tpm2.ima_log_from;
    enum status status = evidence_ima_load(&e->ima, e->change.r, from);
    if (status != STATUS_OK) {
        return answer_status(e->change.r, status, NULL);
    }
    return from > 0 && (!e->ima.has_kept || e->ima.kept.position.num_entries != from)
               ? problem(e->change.r->x, PROBLEM_IMA_START_WANTED)
               : HTTP_WAIT; /* go on */
}

/* Uses the nonce up. NUM_PROBLEMS: it was good. */
static enum problem_kind take_challenge(struct evidence *e) {
    struct request *r = e->change.r;
    switch (challenge_take(r->api->options.challenges, e->body.nonce, r->device->id, e->context,
                           clock_monotonic_ms())) {
    case STATUS_OK:
        return NUM_PROBLEMS;
    case STATUS_CONFLICT:
        return PROBLEM_NONCE_USED;
    case STATUS_EXPIRED:
        return PROBLEM_NONCE_EXPIRED;
    default:
        return PROBLEM_NONCE_UNKNOWN;
    }
}

/* What the model asks for now is what the challenge asked for. */
static enum problem_kind check_challenge(struct evidence *e) {
    uint8_t now[32];
    if (!device_selection(e->change.r, &e->selection)) {
        return PROBLEM_UNKNOWN_MODEL;
    }
    challenge_context(now, &e->selection);
    return memcmp(now, e->context, sizeof now) == 0 ? NUM_PROBLEMS : PROBLEM_CHALLENGE_OUTDATED;
}

static enum status verify(struct evidence *e, enum tpm2_failure *failure, struct detail *detail) {
    struct request *r = e->change.r;
    enum status status = tpm_public_parse(&e->ak, r->device->ak_public, detail);
    if (status != STATUS_OK) {
        return STATUS_INTERNAL; /* it was read when the device enrolled */
    }
    const struct tpm2_expectation expected = {.ak = &e->ak.key,
                                              .ak_hash = e->ak.scheme_hash,
                                              .ak_scheme = e->ak.scheme,
                                              .nonce = e->body.nonce,
                                              .selection = &e->selection,
                                              .ima_kept =
                                                  e->ima.has_kept ? &e->ima.kept.position : NULL};
    return tpm2_verify(&e->facts, failure, r->x->arena, &e->body.tpm2, &expected, detail);
}

static int compare(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

/* A TPM's time only moves on: within a boot the clock, across boots the counters. */
static bool clock_moved_on(const struct facts *facts, const struct device_row *device) {
    if (!device->has_clock) {
        return true;
    }
    int order = compare(facts->tpm_reset_count, (uint64_t)device->tpm_reset_count);
    if (order == 0) {
        order = compare(facts->tpm_restart_count, (uint64_t)device->tpm_restart_count);
    }
    if (order == 0) {
        order = compare(facts->tpm_clock, (uint64_t)device->tpm_clock);
    }
    return order > 0;
}

/* Without one the key stays unproven. */
static enum status check_certification(struct evidence *e, struct detail *detail) {
    const struct key_certification *sent = &e->body.key_certification;
    e->key_protection = KEY_UNPROVEN;
    if (!key_certification_given(sent)) {
        return STATUS_OK;
    }
    enum status status = key_certification_check(sent, &e->ak, e->body.nonce, &e->csr.key, detail);
    if (status == STATUS_OK) {
        e->key_protection = KEY_IN_TPM;
    }
    return status;
}

enum problem_kind evidence_keys_suffice(const struct evidence *e, const struct model_row *model) {
    if (model->key_protection != KEY_IN_TPM) {
        return NUM_PROBLEMS;
    }
    if (e->key_protection != KEY_IN_TPM) {
        return PROBLEM_KEY_CERTIFICATION_REQUIRED;
    }
    return e->change.r->device->key_protection == KEY_IN_TPM ? NUM_PROBLEMS
                                                             : PROBLEM_IDENTITY_KEY_UNPROVEN;
}

static enum status appraise_against(struct evidence *e, const struct policy *policy,
                                    const struct policy_model *model) {
    const struct baseline *baseline[BASELINE_MAX_PER_MODEL];
    const char *id[BASELINE_MAX_PER_MODEL];
    struct appraisal_inputs against = {.baseline = baseline,
                                       .leaked_keys = policy_leaked_keys(policy)};
    against.num_baselines =
        policy_baselines(model, e->change.r->device->id, change_now(&e->change), baseline, id);
    if (!evidence_note_rollouts(e, model)) {
        return STATUS_MEMORY;
    }
    enum status status = evidence_take_exceptions(e, policy, &against);
    if (status == STATUS_OK) {
        status =
            evidence_ima_appraise(&e->ima, &e->appraisal, e->change.r, &e->facts, &against, id);
    }
    if (status == STATUS_OK && !evidence_note_exceptions(e, policy)) {
        status = STATUS_INTERNAL;
    }
    e->lifetime_s = model->row.credential_lifetime_s;
    if (status == STATUS_OK) {
        evidence_take_tier(e, &model->row);
    }
    if (status == STATUS_OK && e->appraisal.baseline < against.num_baselines) {
        text_copy(e->row.baseline_id, sizeof e->row.baseline_id, id[e->appraisal.baseline]);
    }
    return status;
}

/* Against the baselines in force, when the keys are what the model wants; else *lack says what they
 * are not, and nothing was appraised. The snapshot is held while appraising, and no longer. */
static enum status appraise_now(struct evidence *e, enum problem_kind *lack) {
    struct request *r = e->change.r;
    struct policy_holder *holder = r->api->options.policy;
    const struct policy *policy = policy_read_begin(holder);
    const struct policy_model *model = policy_model(policy, r->device->model);
    enum status status = STATUS_NOT_FOUND;
    e->leaked_keys_since = policy_leaked_keys_since(policy);
    if (model != NULL) {
        *lack = evidence_keys_suffice(e, &model->row);
        if (*lack != NUM_PROBLEMS) {
            status = STATUS_OK;
        } else if (evidence_is_bare(e)) {
            status = evidence_appraise_bare(e, policy, &model->row);
        } else {
            status = appraise_against(e, policy, model);
        }
    }
    policy_read_end(holder);
    return status;
}

/* What verifies is measured against what the model wants. */
static enum http_next judge(struct evidence *e) {
    struct detail detail = {0};
    enum problem_kind lack = NUM_PROBLEMS;
    enum status status = appraise_now(e, &lack);
    if (status != STATUS_OK) {
        return answer_status(e->change.r, status == STATUS_NOT_FOUND ? STATUS_INTERNAL : status,
                             &detail);
    }
    return lack == NUM_PROBLEMS ? evidence_conclude(e)
                                : evidence_refuse(e, lack, problem_entry(lack)->code, &detail);
}

static enum http_next check_keys(struct evidence *e) {
    struct detail detail = {0};
    if (csr_parse(&e->csr, e->body.csr, &detail) != STATUS_OK) {
        return evidence_refuse(e, PROBLEM_CSR_INVALID, "csr_invalid", &detail);
    }
    if (check_certification(e, &detail) != STATUS_OK) {
        return evidence_refuse(e, PROBLEM_KEY_CERTIFICATION_INVALID, "key_certification_invalid",
                               &detail);
    }
    return judge(e);
}

static enum http_next check(struct evidence *e) {
    struct request *r = e->change.r;
    struct detail detail = {0};
    enum tpm2_failure failure = TPM2_MALFORMED;
    enum status status = verify(e, &failure, &detail);
    if (status != STATUS_OK) {
        return answer_status(r, status, &detail);
    }
    if (failure == TPM2_IMA_START_WANTED) {
        return problem(r->x, PROBLEM_IMA_START_WANTED);
    }
    if (failure != TPM2_VERIFIED) {
        enum problem_kind kind =
            failure == TPM2_MALFORMED ? PROBLEM_EVIDENCE_MALFORMED : PROBLEM_EVIDENCE_REFUSED;
        return evidence_refuse(e, kind, tpm2_failure_code(failure), &detail);
    }
    if (!clock_moved_on(&e->facts, r->device)) {
        return evidence_refuse(e, PROBLEM_CLOCK_WENT_BACK, "clock_went_back", &detail);
    }
    return check_keys(e);
}

enum http_next evidence_create(struct request *r) {
    struct evidence *e = evidence_new(r);
    if (e == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (r->device->state == DEVICE_RETIRED) {
        return problem(r->x, PROBLEM_DEVICE_RETIRED);
    }
    if (read_body(e) == HTTP_ANSWER || take_log(e) == HTTP_ANSWER || take_ima(e) == HTTP_ANSWER) {
        return HTTP_ANSWER;
    }
    enum problem_kind kind = take_challenge(e);
    if (kind == NUM_PROBLEMS) {
        kind = check_challenge(e);
    }
    if (kind != NUM_PROBLEMS) {
        return problem(r->x, kind);
    }
    return evidence_is_bare(e) ? check_keys(e) : check(e);
}

#include "server/fleet/ear.h"

#include "server/base/json_out.h"
#include "server/credential/jws.h"

static enum ar4si_tier worst_of(const struct trustworthiness *vector) {
    enum ar4si_tier worst = AR4SI_NONE;
    for (size_t i = 0; i < NUM_AR4SI_CLAIMS; i++) {
        enum ar4si_tier tier = ar4si_tier_of(vector->claim[i]);
        worst = tier > worst ? tier : worst;
    }
    return worst;
}

/* The gateway knows the device, and does not want it to pass. */
static bool is_refused(enum decision_reason reason) {
    return reason == REASON_UNTRUSTED || reason == REASON_CREDENTIAL_REVOKED ||
           reason == REASON_QUARANTINED || reason == REASON_RETIRED ||
           reason == REASON_TIER_TOO_LOW;
}

enum ar4si_tier ear_status(const struct decision *decision) {
    struct trustworthiness vector;
    ear_vector(&vector, decision);
    if (!decision->allow) {
        return is_refused(decision->reason) ? AR4SI_CONTRAINDICATED : AR4SI_NONE;
    }
    enum ar4si_tier worst = worst_of(&vector);
    bool boot = vector.claim[AR4SI_CONFIGURATION] != 0 || vector.claim[AR4SI_EXECUTABLES] != 0;
    return worst == AR4SI_AFFIRMING && !boot ? AR4SI_NONE : worst;
}

void ear_vector(struct trustworthiness *out, const struct decision *decision) {
    trustworthiness_unpack(out, decision->trustworthiness);
    /* Who shows a credential is the device only when the device's TPM has the key. */
    if (!decision->has_credential || decision->key_protection != KEY_IN_TPM) {
        out->claim[AR4SI_INSTANCE_IDENTITY] = 0;
    }
    if (decision->allow) {
        return;
    }
    for (size_t i = 0; i < NUM_AR4SI_CLAIMS; i++) {
        bool held_against = ar4si_tier_of(out->claim[i]) > AR4SI_AFFIRMING;
        out->claim[i] = held_against && is_refused(decision->reason) ? out->claim[i] : 0;
    }
    if (decision->reason == REASON_CREDENTIAL_REVOKED || decision->reason == REASON_QUARANTINED ||
        decision->reason == REASON_RETIRED) {
        out->claim[AR4SI_INSTANCE_IDENTITY] = 96;
    }
}

static void write_vector(struct json_out *o, const struct decision *decision) {
    struct trustworthiness vector;
    ear_vector(&vector, decision);
    json_out_object(o, "ear.trustworthiness-vector");
    for (enum ar4si_claim claim = 0; claim < NUM_AR4SI_CLAIMS; claim++) {
        json_out_int(o, ar4si_claim_name(claim), vector.claim[claim]);
    }
    json_out_object_end(o);
}

/* What EAR has no words for. */
static void write_extensions(struct json_out *o, const struct decision *d) {
    json_out_text(o, "gatehouse.decision", d->allow ? "allow" : "deny");
    json_out_text(o, "gatehouse.reason", decision_reason_name(d->reason));
    json_out_text(o, "gatehouse.tier", tier_name(d->tier));
    if (d->segment[0] != '\0') {
        json_out_text(o, "gatehouse.segment", d->segment);
    }
    if (d->model[0] != '\0') {
        json_out_text(o, "gatehouse.model", d->model);
    }
    if (d->has_credential) {
        json_out_text(o, "gatehouse.key-protection", decision_key_protection(d));
    }
    if (d->lease_expires != 0) {
        json_out_int(o, "gatehouse.lease-expires", d->lease_expires);
    }
}

static void write_appraisal(struct json_out *o, struct arena *arena,
                            const struct ear_inputs *inputs) {
    const struct decision *d = inputs->decision;
    json_out_object(o, inputs->subject);
    json_out_text(o, "ear.status", ar4si_tier_name(ear_status(d)));
    write_vector(o, d);
    if (d->model[0] != '\0') {
        json_out_text(o, "ear.appraisal-policy-id",
                      arena_printf(arena, "urn:gatehouse:model:%s", d->model));
    }
    write_extensions(o, d);
    json_out_object_end(o);
}

struct bytes ear_claims(struct arena *arena, const struct ear_inputs *inputs) {
    const struct decision *d = inputs->decision;
    int64_t exp = inputs->now + JWS_RESULT_MAX_S;
    if (d->allow && d->lease_expires < exp) {
        exp = d->lease_expires;
    }
    struct json_out o;
    json_out_init(&o, arena, 1024);
    json_out_object(&o, NULL);
    json_out_text(&o, "iss", inputs->issuer);
    json_out_int(&o, "iat", inputs->now);
    json_out_int(&o, "exp", exp);
    json_out_text(&o, "eat_profile", EAR_PROFILE);
    if (inputs->nonce != NULL) {
        json_out_text(&o, "eat_nonce", inputs->nonce);
    }
    json_out_object(&o, "ear.verifier-id");
    json_out_text(&o, "developer", "gatehouse");
    json_out_text(&o, "build", inputs->build);
    json_out_object_end(&o);
    json_out_object(&o, "submods");
    write_appraisal(&o, arena, inputs);
    json_out_object_end(&o);
    json_out_object_end(&o);
    return json_out_end(&o);
}

/* Decisions, from memory alone: GET /v1/decisions/{device_id} and POST /v1/decisions. */
#include "api/exception_ids.h"
#include "api/handlers.h"
#include "api/proxy/results.h"
#include "server/base/clock.h"
#include "server/fleet/standing.h"
#include "server/identity/device_id.h"

#include <string.h>

struct decisions_body {
    struct subject_list subjects;
};

enum { SUBJECTS_MAX = 1000 };

static const struct field fields[] = {
    {"subjects", FIELD_SUBJECTS, true, 1, SUBJECTS_MAX, offsetof(struct decisions_body, subjects)},
};
const struct shape decisions_shape = SHAPE(fields, struct decisions_body);

/* What the table says becomes what the policy makes of it. */
static void conclude(struct request *r, struct decision *d, int64_t now) {
    struct policy_holder *holder = r->api->options.policy;
    decision_apply_policy(d, policy_read_begin(holder), now);
    policy_read_end(holder);
    struct api_counters *counters = &r->api->counters;
    atomic_fetch_add_explicit(d->allow ? &counters->decisions_allow : &counters->decisions_deny, 1,
                              memory_order_relaxed);
}

/* `asked` is what the subject was, when the device is not known: it is said back. */
static void write_decision(struct json_out *o, const struct decision *d, const char *device_id) {
    json_out_object(o, NULL);
    json_out_text_or_null(o, "device_id", d->device_id[0] != '\0' ? d->device_id : device_id);
    json_out_text(o, "decision", d->allow ? "allow" : "deny");
    json_out_text(o, "reason", decision_reason_name(d->reason));
    json_out_text(o, "tier", tier_name(d->tier));
    json_out_text_or_null(o, "segment", d->segment);
    write_decision_exceptions(o, d);
    json_out_text(o, "key_protection", decision_key_protection(d));
    json_out_text_or_null(o, "model", d->model);
    json_out_time_or_null(o, "lease_expires_at", d->lease_expires);
    json_out_array(o, "credential_serials");
    for (size_t i = 0; i < d->num_serials; i++) {
        json_out_text(o, NULL, d->serial[i]);
    }
    json_out_array_end(o);
    json_out_object_end(o);
}

/* An id that cannot be one is a device that nobody knows. */
static void decide_device(struct request *r, struct decision *d, const char *id, int64_t now) {
    if (device_id_is_valid(id)) {
        fleet_decide_device(r->api->options.table, d, id, now);
    } else {
        *d = (struct decision){.reason = REASON_UNKNOWN_DEVICE};
    }
    conclude(r, d, now);
}

enum http_next decision_show(struct request *r) {
    struct decision d;
    struct json_out o;
    int64_t now = clock_unix();
    enum decision_form form = decision_form(r);
    if (form == FORM_NONE) {
        return HTTP_ANSWER;
    }
    decide_device(r, &d, r->param[0], now);
    if (form == FORM_RESULT) {
        return result_answer(r, &d, r->param[0], now);
    }
    json_out_init(&o, r->x->arena, 512);
    write_decision(&o, &d, r->param[0]);
    return answer_json(r, 200, &o);
}

static bool serial_is_valid(const char *serial) {
    size_t len = strlen(serial);
    return len == STORE_SERIAL - 1 && strspn(serial, "0123456789abcdef") == len;
}

static void decide_subject(struct request *r, struct decision *d, const struct subject *s,
                           int64_t now) {
    const struct fleet_table *table = r->api->options.table;
    if (s->device_id != NULL) {
        decide_device(r, d, s->device_id, now);
        return;
    }
    if (s->certificate_sha256.len == 32) {
        uint8_t sha256[32];
        memcpy(sha256, s->certificate_sha256.data, sizeof sha256);
        fleet_decide_certificate(table, d, sha256, now);
    } else if (s->serial != NULL && serial_is_valid(s->serial)) {
        fleet_decide_serial(table, d, s->serial, now);
    } else {
        *d = (struct decision){.reason = REASON_UNKNOWN_CREDENTIAL};
    }
    conclude(r, d, now);
}

enum http_next decisions_batch(struct request *r) {
    const struct decisions_body *body = r->body;
    struct json_out o;
    int64_t now = clock_unix();
    json_out_init(&o, r->x->arena, 64 + body->subjects.num * 352);
    json_out_object(&o, NULL);
    json_out_array(&o, "decisions");
    for (size_t i = 0; i < body->subjects.num; i++) {
        const struct subject *s = &body->subjects.subject[i];
        struct decision d;
        decide_subject(r, &d, s, now);
        write_decision(&o, &d, s->device_id);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

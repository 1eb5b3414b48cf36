/* GET /v1/self: the device's own standing. */
#include "api/exception_ids.h"
#include "api/handlers.h"
#include "server/base/clock.h"
#include "server/fleet/standing.h"

static void write_decision(struct json_out *o, const struct decision *d) {
    json_out_text(o, "decision", d->allow ? "allow" : "deny");
    json_out_text(o, "reason", decision_reason_name(d->reason));
    json_out_text_or_null(o, "segment", d->segment);
    write_decision_exceptions(o, d);
    json_out_text(o, "key_protection", decision_key_protection(d));
    json_out_time_or_null(o, "lease_expires_at", d->lease_expires);
}

enum http_next self_show(struct request *r) {
    const struct device_row *d = r->device;
    struct decision decision;
    struct json_out o;
    int64_t now = clock_unix();
    struct policy_holder *holder = r->api->options.policy;
    fleet_decide_device(r->api->options.table, &decision, d->id, now);
    decision_apply_policy(&decision, policy_read_begin(holder), now);
    policy_read_end(holder);
    json_out_init(&o, r->x->arena, 512);
    json_out_object(&o, NULL);
    json_out_text(&o, "device_id", d->id);
    json_out_text(&o, "model", d->model);
    json_out_text(&o, "state", device_state_name(d->state));
    json_out_text(&o, "verdict", verdict_name((enum verdict)d->verdict));
    json_out_text(&o, "tier", tier_name((enum tier)d->tier));
    json_out_text_or_null(&o, "appraisal_id", d->appraisal_id);
    json_out_time(&o, "enrolled_at", d->enrolled);
    json_out_time_or_null(&o, "last_seen_at", d->last_seen);
    json_out_time_or_null(&o, "identity_expires_at", d->identity_not_after);
    json_out_text(&o, "identity_key_protection", key_protection_name(d->key_protection));
    write_decision(&o, &decision);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

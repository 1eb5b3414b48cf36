#include "api/enrol/refusal.h"

#include <string.h>

struct refusal {
    struct change change; /* first */
    enum problem_kind problem;
    char device_id[STORE_ID];
    struct detail detail;
};

void enrolment_audit_refusal(struct change *c, enum problem_kind why, const char *device_id,
                             const char *other, const struct detail *detail) {
    const struct request *r = c->r;
    struct json_out o;
    json_out_init(&o, r->x->arena, 512);
    json_out_object(&o, NULL);
    json_out_text(&o, "code", problem_entry(why)->code);
    json_out_text_or_null(&o, "detail", detail->text);
    json_out_text(&o, "address", r->x->peer->address);
    if (other[0] != '\0') {
        json_out_text(&o, "other_device_id", other);
    }
    json_out_object_end(&o);
    c->audit.after = json_out_end(&o);
    change_audit(c, "device.enrol_refused", "device", device_id[0] == '\0' ? "unknown" : device_id);
}

enum http_next enrolment_answer_refusal(struct request *r, enum problem_kind why,
                                        const struct detail *detail) {
    struct api_counters *counters = &r->api->counters;
    atomic_fetch_add_explicit(&counters->enrolments_refused, 1, memory_order_relaxed);
    if (why == PROBLEM_AK_IN_USE) {
        atomic_fetch_add_explicit(&counters->ak_in_use, 1, memory_order_relaxed);
    } else if (why == PROBLEM_AK_REVOKED) {
        atomic_fetch_add_explicit(&counters->ak_revoked, 1, memory_order_relaxed);
    }
    log_event(r->api->options.log, LOG_INFO, "enrolment_refused",
              log_str("request_id", r->x->request_id), log_str("code", problem_entry(why)->code),
              log_str("detail", detail->text), log_str("address", r->x->peer->address));
    return answer_refusal(r, why, detail);
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    const struct refusal *f = (const struct refusal *)c;
    (void)writer;
    (void)detail;
    enrolment_audit_refusal(c, f->problem, f->device_id, "", &f->detail);
    return STATUS_OK;
}

static enum http_next answer(struct change *c) {
    const struct refusal *f = (const struct refusal *)c;
    return enrolment_answer_refusal(c->r, f->problem, &f->detail);
}

static const struct change_kind kind = {
    .commit = CHANGE_COMMIT(.name = "enrolment_refused"), .apply = apply, .answer = answer};

enum http_next enrolment_refuse(struct request *r, enum problem_kind why, const char *device_id,
                                const struct detail *detail) {
    struct refusal *f = change_new(r, &kind, sizeof *f);
    if (f == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    f->problem = why;
    f->detail = *detail;
    text_copy(f->device_id, sizeof f->device_id, device_id);
    return change_submit(&f->change);
}

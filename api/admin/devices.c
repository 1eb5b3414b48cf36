/* /v1/devices: who is enrolled, and what is known of each. */
#include "api/admin/admin.h"
#include "api/exception_ids.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/fleet/standing.h"

#include <string.h>

struct device_query {
    struct page_query page; /* first */
    const char *model, *state, *verdict, *tier;
};
static const struct field query_fields[] = {
    PAGE_FIELDS,
    {"model", FIELD_TEXT, false, 1, STORE_NAME - 1, offsetof(struct device_query, model)},
    {"state", FIELD_TEXT, false, 1, 32, offsetof(struct device_query, state)},
    {"verdict", FIELD_TEXT, false, 1, 32, offsetof(struct device_query, verdict)},
    {"tier", FIELD_TEXT, false, 1, 32, offsetof(struct device_query, tier)},
};
const struct shape device_query_shape = SHAPE(query_fields, struct device_query);

struct device_body {
    const char *note; /* NULL: stays */
    bool unbind;      /* its factory certificate */
};
static const struct field body_fields[] = {
    {"note", FIELD_TEXT, false, 0, NOTE_MAX, offsetof(struct device_body, note)},
    {"idevid_certificate", FIELD_NULL, false, 0, 0, offsetof(struct device_body, unbind)},
};
const struct shape device_update_shape = SHAPE(body_fields, struct device_body);

static bool is_set(const uint8_t sha256[static 32]) {
    return !bytes_all(bytes_of(sha256, 32), 0);
}

static void write_idevid(struct json_out *o, const struct device_row *row) {
    json_out_text(o, "identity_kind",
                  is_set(row->identity_sha256) ? identity_kind_name(row->identity_kind) : NULL);
    if (!is_set(row->idevid_sha256)) {
        json_out_text(o, "idevid", NULL);
        return;
    }
    json_out_object(o, "idevid");
    json_out_hex(o, "sha256", bytes_of(row->idevid_sha256, sizeof row->idevid_sha256));
    json_out_text(o, "serial_number", row->idevid_serial);
    json_out_object_end(o);
}

static void write_members(struct json_out *o, const struct device_row *row) {
    json_out_text(o, "id", row->id);
    json_out_text(o, "model", row->model);
    json_out_text(o, "state", device_state_name(row->state));
    json_out_text(o, "verdict", verdict_name((enum verdict)row->verdict));
    json_out_text(o, "tier", tier_name((enum tier)row->tier));
    json_out_text_or_null(o, "appraisal_id", row->appraisal_id);
    json_out_time_or_null(o, "enrolled_at", row->enrolled);
    json_out_time_or_null(o, "last_seen_at", row->last_seen);
    json_out_time(o, "updated_at", row->updated);
    write_idevid(o, row);
    json_out_text_or_null(o, "identity_serial", row->identity_serial);
    json_out_time_or_null(o, "identity_expires_at", row->identity_not_after);
    json_out_text(o, "identity_key_protection",
                  is_set(row->identity_sha256) ? key_protection_name(row->key_protection) : NULL);
    json_out_text_or_null(o, "registration", row->registration);
    json_out_text(o, "note", row->note);
}

void write_device(struct json_out *o, const char *name, const struct device_row *row) {
    json_out_object(o, name);
    write_members(o, row);
    json_out_object_end(o);
}

static void write_clock(struct json_out *o, const struct device_row *row) {
    if (!row->has_clock) {
        json_out_text(o, "tpm", NULL);
        return;
    }
    json_out_object(o, "tpm");
    json_out_int(o, "clock", row->tpm_clock);
    json_out_int(o, "reset_count", row->tpm_reset_count);
    json_out_int(o, "restart_count", row->tpm_restart_count);
    json_out_object_end(o);
}

static void write_decision(struct json_out *o, const struct api_options *options, const char *id) {
    struct decision d;
    int64_t now = clock_unix();
    fleet_decide_device(options->table, &d, id, now);
    decision_apply_policy(&d, policy_read_begin(options->policy), now);
    policy_read_end(options->policy);
    json_out_text(o, "decision", d.allow ? "allow" : "deny");
    json_out_text(o, "reason", decision_reason_name(d.reason));
    json_out_text_or_null(o, "segment", d.segment);
    write_decision_exceptions(o, &d);
    json_out_text(o, "key_protection", decision_key_protection(&d));
    json_out_time_or_null(o, "lease_expires_at", d.lease_expires);
    json_out_array(o, "credential_serials");
    for (size_t i = 0; i < d.num_serials; i++) {
        json_out_text(o, NULL, d.serial[i]);
    }
    json_out_array_end(o);
}

/* Enough to tell boot states apart by; all of it is with the device's facts. */
static void write_boot_state(struct json_out *o, const struct device_boot_row *row) {
    enum { SHOWN = 8 };
    char text[2 * SHOWN + 1] = "";
    if (is_set(row->boot_state)) {
        hex_encode(text, bytes_of(row->boot_state, SHOWN));
    }
    json_out_text_or_null(o, "boot_state", text);
    json_out_time_or_null(o, "boot_state_since", row->since);
}

/* What a re-appraisal found since its latest evidence. */
static enum status write_reappraised(struct json_out *o, struct request *r, const char *id) {
    struct device_reappraisal_row row;
    enum status status = store_device_reappraisal_get(r->worker->reader, &row, id);
    if (status == STATUS_NOT_FOUND) {
        json_out_text(o, "reappraised", NULL);
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        json_out_object(o, "reappraised");
        json_out_text(o, "verdict", verdict_name((enum verdict)row.verdict));
        json_out_text(o, "tier", tier_name((enum tier)row.tier));
        json_out_text(o, "appraisal_id", row.appraisal_id);
        json_out_text_or_null(o, "baseline_id", row.baseline_id);
        json_out_text(o, "reappraisal_id", row.job_id);
        json_out_time_ms(o, "at", row.created_ms);
        json_out_object_end(o);
    }
    return status;
}

static enum http_next answer_row(struct request *r, const struct device_row *row) {
    struct json_out o;
    struct device_boot_row boot = {0};
    enum status status = store_device_boot_get(r->worker->reader, &boot, row->id);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return answer_status(r, status, NULL);
    }
    json_out_init(&o, r->x->arena, 8192);
    json_out_object(&o, NULL);
    write_members(&o, row);
    write_decision(&o, &r->api->options, row->id);
    status = write_reappraised(&o, r, row->id);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    write_clock(&o, row);
    write_boot_state(&o, &boot);
    json_out_base64(&o, "ek_public", row->ek_public);
    json_out_base64(&o, "ek_certificate", row->ek_certificate);
    json_out_base64(&o, "ak_public", row->ak_public);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

/* --- reading --- */

/* The name of the parameter that says nothing we know; NULL when all is well. */
static const char *read_filter(struct device_filter *filter, const struct device_query *query) {
    *filter = (struct device_filter){.verdict = -1, .tier = -1};
    if (query->model != NULL) {
        text_copy(filter->model, sizeof filter->model, query->model);
    }
    if (query->state != NULL && !device_state_from_name(&filter->state, query->state)) {
        return "state";
    }
    if (query->verdict != NULL && !verdict_from_name(&filter->verdict, query->verdict)) {
        return "verdict";
    }
    if (query->tier != NULL && !tier_from_name(&filter->tier, query->tier)) {
        return "tier";
    }
    return NULL;
}

enum http_next device_list(struct request *r) {
    const struct device_query *query = r->query;
    struct device_filter filter;
    struct device_row *rows;
    size_t num;
    struct json_out o;
    const char *wrong = read_filter(&filter, query);
    if (wrong != NULL) {
        return problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "%s: no such value", wrong);
    }
    enum status status = store_device_list(r->worker->reader, r->x->arena, &rows, &num, &filter,
                                           page_of(&query->page));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, &query->page, num);
    for (size_t i = 0; i < shown; i++) {
        write_device(&o, NULL, &rows[i]);
    }
    return list_end(&o, r, &query->page, num, shown == 0 ? NULL : rows[shown - 1].id);
}

enum http_next device_show(struct request *r) {
    struct device_row row;
    enum status status = store_device_get(r->worker->reader, r->x->arena, &row, r->param[0]);
    return status == STATUS_OK ? answer_row(r, &row) : answer_status(r, status, NULL);
}

/* --- the note, and the factory certificate --- */

struct note_change {
    struct change change; /* first */
    struct device_row row;
};

struct bytes device_json(struct change *c, const struct device_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 512);
    write_device(&o, NULL, row);
    return json_out_end(&o);
}

/* The device plane knows it by that no more, from the next request on. */
static void unbind(struct device_row *row) {
    memset(row->idevid_sha256, 0, sizeof row->idevid_sha256);
    row->idevid_serial[0] = '\0';
    if (row->identity_kind == IDENTITY_IDEVID) {
        memset(row->identity_sha256, 0, sizeof row->identity_sha256);
        row->identity_serial[0] = '\0';
        row->identity_not_after = 0;
        row->identity_kind = IDENTITY_ISSUED;
        row->key_protection = KEY_UNPROVEN;
    }
}

static enum status apply_note(struct change *c, struct store_writer *writer,
                              struct detail *detail) {
    struct note_change *n = (struct note_change *)c;
    const struct device_body *body = c->r->body;
    (void)detail;
    enum status status =
        store_device_get(store_writer_reader(writer), c->r->x->arena, &n->row, c->r->param[0]);
    if (status != STATUS_OK) {
        return status;
    }
    c->audit.before = device_json(c, &n->row);
    if (body->note != NULL) {
        text_copy(n->row.note, sizeof n->row.note, body->note);
    }
    if (body->unbind) {
        unbind(&n->row);
    }
    n->row.updated = change_now(c);
    change_audit(c, body->unbind ? "device.unbind_idevid" : "device.note", "device", n->row.id);
    c->audit.after = device_json(c, &n->row);
    return store_device_update(writer, &n->row);
}

static enum http_next answer_note(struct change *c) {
    return answer_row(c->r, &((const struct note_change *)c)->row);
}

static const struct change_kind note_kind = {
    .commit = CHANGE_COMMIT(.name = "device.note"), .apply = apply_note, .answer = answer_note};

enum http_next device_update(struct request *r) {
    const struct device_body *body = r->body;
    if (body->note == NULL && !body->unbind) {
        return problem_detail(r->x, PROBLEM_MISSING_FIELD, "note, or idevid_certificate: null");
    }
    struct note_change *n = change_new(r, &note_kind, sizeof *n);
    return n == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&n->change);
}

#include "server/fleet/reappraisal.h"

#include "server/base/json_out.h"
#include "server/crypto/random.h"
#include "server/fleet/audit_chain.h"

#include <stdio.h>
#include <string.h>

enum { AUDIT_BYTES_MAX = 8 << 10 };

static struct bytes request_json(struct arena *arena, const struct reappraisal_row *row) {
    struct json_out o;
    json_out_init(&o, arena, 256);
    json_out_object(&o, NULL);
    json_out_text_or_null(&o, "model", row->model);
    json_out_text(&o, "cause", row->cause);
    json_out_text_or_null(&o, "baseline_id", row->baseline_id);
    json_out_text(&o, "enforce", enforcement_name(row->enforce));
    json_out_text_or_null(&o, "reason", row->reason);
    json_out_object_end(&o);
    return json_out_end(&o);
}

static enum status audit(struct store_writer *writer, const struct reappraisal_row *row,
                         const char *request_id, int64_t now_ms, struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, AUDIT_BYTES_MAX);
    struct audit_row entry = {.time_ms = now_ms,
                              .action = "reappraisal.request",
                              .before = bytes_of_text("null"),
                              .after = request_json(&arena, row)};
    (void)snprintf(entry.actor, sizeof entry.actor, "%s", row->requested_by);
    (void)snprintf(entry.object, sizeof entry.object, "reappraisal:%s", row->id);
    (void)snprintf(entry.request_id, sizeof entry.request_id, "%s",
                   request_id == NULL ? "" : request_id);
    return entry.after.len == 0 ? STATUS_MEMORY : audit_append(writer, &entry, detail);
}

enum status reappraisal_request(struct store_writer *writer, char id[static STORE_ID],
                                const struct reappraisal_request *request, int64_t now_ms,
                                struct detail *detail) {
    struct reappraisal_row row = {
        .enforce = request->enforce, .state = REAPPRAISAL_QUEUED, .created = now_ms / 1000};
    id_new(row.id, now_ms);
    (void)snprintf(row.model, sizeof row.model, "%s", request->model);
    (void)snprintf(row.cause, sizeof row.cause, "%s", request->cause);
    (void)snprintf(row.baseline_id, sizeof row.baseline_id, "%s",
                   request->baseline_id == NULL ? "" : request->baseline_id);
    (void)snprintf(row.requested_by, sizeof row.requested_by, "%s", request->requested_by);
    (void)snprintf(row.reason, sizeof row.reason, "%s",
                   request->reason == NULL ? "" : request->reason);
    enum status status = store_reappraisal_insert(writer, &row);
    if (status == STATUS_OK) {
        status = audit(writer, &row, request->request_id, now_ms, detail);
    }
    if (status == STATUS_OK) {
        memcpy(id, row.id, sizeof row.id);
    }
    return status;
}

#include "server/fleet/change_event.h"

#include "server/appraisal/appraisal.h"
#include "server/base/json_out.h"
#include "server/fleet/standing.h"

#include <string.h>

const char *trust_change_name(enum trust_change change) {
    switch (change) {
    case TRUST_DEVICE:
        return "device";
    case TRUST_CREDENTIAL:
        return "credential";
    case TRUST_REVOCATION:
        return "revocation";
    case TRUST_MODEL:
        return "model";
    }
    return "unknown";
}

static const char *state_name(enum device_state state) {
    return state == 0 ? NULL : device_state_name(state);
}

static void write_standing(struct json_out *o, enum device_state state, int verdict, int tier) {
    json_out_text(o, "state", state_name(state));
    json_out_text(o, "verdict", verdict_name((enum verdict)verdict));
    json_out_text(o, "tier", tier_name((enum tier)tier));
}

static void write_credential(struct json_out *o, const struct trust_change_row *row) {
    json_out_text(o, "serial", row->serial);
    json_out_hex(o, "certificate_sha256", bytes_of(row->sha256, sizeof row->sha256));
    json_out_text_or_null(o, "authority", row->authority);
    json_out_text_or_null(o, "segment", row->segment);
    json_out_time(o, "not_before", row->not_before);
    json_out_time(o, "not_after", row->not_after);
    if (row->change == TRUST_REVOCATION) {
        json_out_text(o, "reason", row->reason);
    }
}

static void write_model(struct json_out *o, const struct model_row *model) {
    json_out_text(o, "credential_tier",
                  model == NULL ? NULL : tier_name((enum tier)model->credential_tier));
    json_out_object(o, "segments");
    for (enum tier tier = TIER_IDENTIFIED; model != NULL && tier <= TIER_MEASURED; tier++) {
        json_out_text_or_null(o, tier_name(tier), tier_segment(model, tier));
    }
    json_out_object_end(o);
}

struct bytes change_event_json(struct arena *arena, const struct trust_change_row *row,
                               const struct model_row *model) {
    struct json_out o;
    json_out_init(&o, arena, 768);
    json_out_object(&o, NULL);
    if (row->seq != 0) {
        json_out_int(&o, "seq", row->seq);
        json_out_time_ms(&o, "at", row->time_ms);
    }
    if (row->change != TRUST_MODEL) {
        json_out_text(&o, "device_id", row->device_id);
    }
    json_out_text(&o, "model", row->model);
    if (row->change == TRUST_MODEL) {
        write_model(&o, model);
    } else {
        write_standing(&o, row->state, row->verdict, row->tier);
    }
    if (row->change == TRUST_DEVICE) {
        json_out_object(&o, "was");
        write_standing(&o, row->was_state, row->was_verdict, row->was_tier);
        json_out_object_end(&o);
    }
    if (row->change == TRUST_CREDENTIAL || row->change == TRUST_REVOCATION) {
        write_credential(&o, row);
    }
    json_out_object_end(&o);
    return json_out_end(&o);
}

struct bytes change_event_text(struct arena *arena, const struct trust_change_row *row,
                               const struct model_row *model) {
    struct bytes json = change_event_json(arena, row, model);
    const char *id = row->seq == 0 ? "" : arena_printf(arena, "id: %lld\n", (long long)row->seq);
    if (json.len == 0 || id == NULL) {
        return (struct bytes){0};
    }
    const char *text =
        arena_printf(arena, "%sevent: %s\ndata: %.*s\n\n", id, trust_change_name(row->change),
                     (int)json.len, (const char *)json.data);
    if (text == NULL) {
        return (struct bytes){0};
    }
    return bytes_of_text(text);
}

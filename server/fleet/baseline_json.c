#include "server/fleet/baseline_life.h"
#include "server/fleet/rollout.h"

static void write_replaces(struct json_out *o, const struct baseline_row *row) {
    json_out_array(o, "replaces");
    for (size_t i = 0; i < row->num_replaces; i++) {
        json_out_text(o, NULL, row->replaces[i]);
    }
    json_out_array_end(o);
}

static void write_members(struct json_out *o, const struct baseline_row *row) {
    json_out_text(o, "id", row->id);
    json_out_text(o, "model", row->model);
    json_out_text(o, "label", row->label);
    json_out_text(o, "state", baseline_state_name(row->state));
    json_out_hex(o, "document_sha256", bytes_of(row->document_sha256, 32));
    json_out_text_or_null(o, "created_by", row->created_by);
    json_out_text_or_null(o, "updated_by", row->updated_by);
    json_out_text_or_null(o, "submitted_by", row->submitted_by);
    json_out_text_or_null(o, "approved_by", row->approved_by);
    json_out_text_or_null(o, "activated_by", row->activated_by);
    json_out_time(o, "created_at", row->created);
    json_out_time(o, "updated_at", row->updated);
    json_out_time_or_null(o, "submitted_at", row->submitted);
    json_out_time_or_null(o, "approved_at", row->approved);
    json_out_time_or_null(o, "activate_at", row->activate_at);
    json_out_time_or_null(o, "activated_at", row->activated);
    json_out_time_or_null(o, "grace_until", row->grace_until);
    json_out_time_or_null(o, "retired_at", row->retired);
    write_replaces(o, row);
    json_out_int(o, "grace_s", row->replace_grace_s);
    json_out_text_or_null(o, "note", row->note);
    json_out_int(o, "version", row->version);
}

void baseline_write_json(struct json_out *o, const char *name, const struct baseline_row *row) {
    json_out_object(o, name);
    write_members(o, row);
    json_out_object_end(o);
}

void baseline_write_whole(struct json_out *o, const char *name, const struct baseline_row *row,
                          const struct rollout_row *rollout) {
    json_out_object(o, name);
    write_members(o, row);
    rollout_write_json(o, "rollout", rollout);
    json_out_raw(o, "document", row->document);
    json_out_object_end(o);
}

struct bytes baseline_head_json(struct arena *arena, const struct baseline_row *row) {
    struct json_out o;
    json_out_init(&o, arena, 768);
    baseline_write_json(&o, NULL, row);
    return json_out_end(&o);
}

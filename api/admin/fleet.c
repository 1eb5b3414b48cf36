/* GET /v1/fleet: the fleet in numbers. */
#include "api/admin/admin.h"

enum http_next fleet_show(struct request *r) {
    struct fleet_count *counts;
    size_t num;
    struct json_out o;
    enum status status = store_fleet_counts(r->worker->reader, r->x->arena, &counts, &num);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    struct fleet_size size = fleet_table_size(r->api->options.table);
    json_out_init(&o, r->x->arena, 256 + num * 192);
    json_out_object(&o, NULL);
    json_out_int(&o, "devices", (int64_t)size.devices);
    json_out_int(&o, "credentials", (int64_t)size.credentials);
    json_out_array(&o, "counts");
    for (size_t i = 0; i < num; i++) {
        const struct fleet_count *c = &counts[i];
        json_out_object(&o, NULL);
        json_out_text(&o, "model", c->model);
        json_out_text(&o, "state", device_state_name(c->state));
        json_out_text(&o, "verdict", verdict_name((enum verdict)c->verdict));
        json_out_text(&o, "tier", tier_name((enum tier)c->tier));
        json_out_int(&o, "count", c->num);
        json_out_time_or_null(&o, "oldest_seen_at", c->oldest_seen);
        json_out_object_end(&o);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

/* GET /v1/audit: who did what, in order and without gaps. */
#include "api/admin/admin.h"

#include <stdio.h>

struct audit_query {
    int64_t limit, after;
};
static const struct field query_fields[] = {
    {"limit", FIELD_INTEGER, false, 1, PAGE_MAX, offsetof(struct audit_query, limit)},
    {"after", FIELD_INTEGER, false, 0, INT64_MAX, offsetof(struct audit_query, after)},
};
const struct shape audit_query_shape = SHAPE(query_fields, struct audit_query);

static void write_entry(struct json_out *o, const struct audit_row *row) {
    json_out_object(o, NULL);
    json_out_int(o, "seq", row->seq);
    json_out_time_ms(o, "time", row->time_ms);
    json_out_text(o, "actor", row->actor);
    json_out_text(o, "action", row->action);
    json_out_text(o, "object", row->object);
    json_out_raw(o, "before", row->before);
    json_out_raw(o, "after", row->after);
    json_out_text(o, "request_id", row->request_id);
    json_out_hex(o, "previous", bytes_of(row->previous, sizeof row->previous));
    json_out_hex(o, "hash", bytes_of(row->hash, sizeof row->hash));
    json_out_object_end(o);
}

enum http_next audit_list(struct request *r) {
    const struct audit_query *query = r->query;
    const struct page_query page = {.limit = query->limit};
    struct audit_row *rows;
    size_t num;
    struct json_out o;
    char last[24] = "";
    enum status status = store_audit_list(r->worker->reader, r->x->arena, &rows, &num, query->after,
                                          page_of(&page).limit);
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, &page, num);
    for (size_t i = 0; i < shown; i++) {
        write_entry(&o, &rows[i]);
        (void)snprintf(last, sizeof last, "%lld", (long long)rows[i].seq);
    }
    return list_end(&o, r, &page, num, last);
}

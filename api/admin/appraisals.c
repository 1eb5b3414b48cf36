/* /v1/devices/{id}/appraisals and /v1/appraisals/{id}: what was found, and what was expected. */
#include "api/admin/admin.h"
#include "api/appraisal_facts.h"

static void write_appraisal(struct json_out *o, const struct appraisal_row *row, bool whole) {
    json_out_object(o, NULL);
    json_out_text(o, "id", row->id);
    json_out_text(o, "device_id", row->device_id);
    json_out_text(o, "model", row->model);
    json_out_text_or_null(o, "baseline_id", row->baseline_id);
    json_out_text(o, "verdict", verdict_name((enum verdict)row->verdict));
    json_out_text(o, "tier", tier_name((enum tier)row->tier));
    json_out_text_or_null(o, "segment", row->segment);
    json_out_text(o, "key_protection", key_protection_name(row->key_protection));
    json_out_text_or_null(o, "failure", row->failure);
    json_out_text_or_null(o, "reappraisal_id", row->reappraisal_id);
    json_out_time_ms(o, "created_at", row->created_ms);
    if (whole) {
        json_out_raw(o, "findings", row->findings);
        json_out_raw(o, "facts", row->facts);
    }
    json_out_object_end(o);
}

enum http_next appraisal_list(struct request *r) {
    const struct page_query *query = r->query;
    struct device_row device;
    struct appraisal_row *rows;
    size_t num;
    struct json_out o;
    enum status status = store_device_get(r->worker->reader, r->x->arena, &device, r->param[0]);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    status = store_appraisal_list(r->worker->reader, r->x->arena, &rows, &num, device.id,
                                  page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        write_appraisal(&o, &rows[i], false);
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : rows[shown - 1].id);
}

enum http_next appraisal_show(struct request *r) {
    struct appraisal_row row;
    struct json_out o;
    struct detail detail = {0};
    enum status status = store_appraisal_get(r->worker->reader, r->x->arena, &row, r->param[0]);
    if (status == STATUS_OK) {
        status = appraisal_facts_whole(&row.facts, r->x->arena, r->worker->reader, &row, &detail);
    }
    if (status != STATUS_OK) {
        return answer_status(r, status, &detail);
    }
    json_out_init(&o, r->x->arena, 512 + row.findings.len + row.facts.len);
    write_appraisal(&o, &row, true);
    return answer_json(r, 200, &o);
}

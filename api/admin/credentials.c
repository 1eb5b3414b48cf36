/* /v1/credentials: what was issued, and its revocation. */
#include "api/admin/admin.h"
#include "api/exception_ids.h"

#include "server/base/clock.h"

#include <string.h>

struct credential_query {
    struct page_query page; /* first */
    const char *device_id, *valid;
};
static const struct field query_fields[] = {
    PAGE_FIELDS,
    {"device_id", FIELD_TEXT, false, 1, STORE_ID - 1, offsetof(struct credential_query, device_id)},
    {"valid", FIELD_TEXT, false, 4, 4, offsetof(struct credential_query, valid)},
};
const struct shape credential_query_shape = SHAPE(query_fields, struct credential_query);

void write_credential(struct json_out *o, const char *name, const struct credential_row *row) {
    json_out_object(o, name);
    json_out_text(o, "serial", row->serial);
    json_out_text(o, "device_id", row->device_id);
    json_out_text_or_null(o, "appraisal_id", row->appraisal_id);
    json_out_text(o, "tier", tier_name((enum tier)row->tier));
    json_out_text_or_null(o, "segment", row->segment);
    exception_ids_write(o, row->exceptions);
    json_out_text(o, "key_protection", key_protection_name(row->key_protection));
    json_out_text_or_null(o, "authority", row->authority);
    json_out_hex(o, "certificate_sha256", bytes_of(row->sha256, sizeof row->sha256));
    json_out_time(o, "not_before", row->not_before);
    json_out_time(o, "not_after", row->not_after);
    json_out_time_or_null(o, "revoked_at", row->revoked);
    json_out_text_or_null(o, "reason", row->reason);
    json_out_object_end(o);
}

enum http_next credential_list(struct request *r) {
    const struct credential_query *query = r->query;
    struct credential_filter filter = {0};
    struct credential_row *rows;
    size_t num;
    struct json_out o;
    if (query->device_id != NULL) {
        text_copy(filter.device_id, sizeof filter.device_id, query->device_id);
    }
    if (query->valid != NULL) {
        if (strcmp(query->valid, "true") != 0) {
            return problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "valid: \"true\" or nothing");
        }
        filter.valid_at = clock_unix();
    }
    enum status status = store_credential_list(r->worker->reader, r->x->arena, &rows, &num, &filter,
                                               page_of(&query->page));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, &query->page, num);
    for (size_t i = 0; i < shown; i++) {
        write_credential(&o, NULL, &rows[i]);
    }
    return list_end(&o, r, &query->page, num, shown == 0 ? NULL : rows[shown - 1].serial);
}

static enum http_next answer_row(struct request *r, const struct credential_row *row) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 512);
    write_credential(&o, NULL, row);
    return answer_json(r, 200, &o);
}

enum http_next credential_show(struct request *r) {
    struct credential_row row;
    enum status status = store_credential_get(r->worker->reader, &row, r->param[0]);
    return status == STATUS_OK ? answer_row(r, &row) : answer_status(r, status, NULL);
}

/* --- revocation --- */

struct revocation {
    struct change change; /* first */
    struct credential_row row;
};

/* Denied at once, durable a moment later; acknowledged when it is both. */
static void revoke_in_memory(struct commit *commit, struct fleet_table *table) {
    const struct change *c = (const struct change *)(const void *)commit;
    fleet_revoke_credential(table, c->r->param[0]);
}

static enum status apply(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct revocation *v = (struct revocation *)c;
    const char *serial = c->r->param[0];
    const char *reason = ((const struct reason_body *)c->r->body)->reason;
    struct json_out o;
    (void)detail;
    enum status status = store_credential_revoke(writer, serial, change_now(c), reason);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_ALREADY_REVOKED, status);
    }
    if (status == STATUS_OK) {
        status = store_credential_get(store_writer_reader(writer), &v->row, serial);
    }
    if (status != STATUS_OK) {
        return status;
    }
    json_out_init(&o, c->r->x->arena, 512);
    write_credential(&o, NULL, &v->row);
    c->audit.after = json_out_end(&o);
    change_audit(c, "credential.revoke", "credential", v->row.serial);
    return STATUS_OK;
}

static enum http_next answer(struct change *c) {
    return answer_row(c->r, &((const struct revocation *)c)->row);
}

static const struct change_kind kind = {.commit = CHANGE_COMMIT(.name = "credential.revoke",
                                                                .early = revoke_in_memory,
                                                                .publish = revoke_in_memory),
                                        .apply = apply,
                                        .answer = answer};

enum http_next credential_revoke(struct request *r) {
    struct revocation *v = change_new(r, &kind, sizeof *v);
    return v == NULL ? problem(r->x, PROBLEM_INTERNAL) : change_submit(&v->change);
}

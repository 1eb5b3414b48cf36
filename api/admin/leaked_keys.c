/* /v1/leaked-keys: platform keys that no device may trust, beside those compiled in and those of the
 * configuration. */
#include "api/admin/admin.h"

#include "server/appraisal/leaked_keys.h"
#include "server/base/encoding.h"
#include "server/fleet/reappraisal.h"

#include <string.h>

struct leaked_key_body {
    struct bytes sha256;
    const char *subject, *source, *enforce;
};
static const struct field fields[] = {
    {"sha256", FIELD_SHA256, true, 0, 0, offsetof(struct leaked_key_body, sha256)},
    {"subject", FIELD_TEXT, false, 1, 256, offsetof(struct leaked_key_body, subject)},
    {"source", FIELD_TEXT, true, 1, 256, offsetof(struct leaked_key_body, source)},
    {"enforce", FIELD_TEXT, false, 3, 5, offsetof(struct leaked_key_body, enforce)},
};
const struct shape leaked_key_shape = SHAPE(fields, struct leaked_key_body);

struct leaked_key_query {
    struct page_query page; /* first */
    const char *origin;
};
static const struct field query_fields[] = {
    PAGE_FIELDS,
    {"origin", FIELD_TEXT, false, 1, 16, offsetof(struct leaked_key_query, origin)},
};
const struct shape leaked_key_query_shape = SHAPE(query_fields, struct leaked_key_query);

struct leaked_key_change {
    struct change change; /* first */
    struct leaked_key_row row;
    enum enforcement enforce;
};

/* --- reading --- */

static void write_row(struct json_out *o, const struct leaked_key_row *row) {
    json_out_object(o, NULL);
    json_out_hex(o, "sha256", bytes_of(row->sha256, 32));
    json_out_text_or_null(o, "subject", row->subject);
    json_out_text(o, "source", row->source);
    json_out_time(o, "added_at", row->added);
    json_out_text(o, "added_by", row->added_by);
    json_out_object_end(o);
}

/* Those that were published by the SHA-1 of their certificate alone have no sha256. */
static void write_compiled_in(struct json_out *o, const struct leaked_key *key) {
    json_out_object(o, NULL);
    if (bytes_all(bytes_of(key->sha256, 32), 0)) {
        json_out_text(o, "sha256", NULL);
    } else {
        json_out_hex(o, "sha256", bytes_of(key->sha256, 32));
    }
    json_out_hex(o, "sha1", bytes_of(key->sha1, sizeof key->sha1));
    json_out_text_or_null(o, "subject", key->subject);
    json_out_text(o, "source", key->source);
    json_out_object_end(o);
}

static enum http_next list_compiled_in(struct request *r) {
    struct json_out o;
    size_t num;
    const struct leaked_key *key = leaked_keys_compiled_in(&num);
    json_out_init(&o, r->x->arena, 4096);
    json_out_object(&o, NULL);
    json_out_array(&o, "items");
    for (size_t i = 0; i < num; i++) {
        write_compiled_in(&o, &key[i]);
    }
    json_out_array_end(&o);
    json_out_text(&o, "next_cursor", NULL);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

static enum http_next list_added(struct request *r) {
    const struct page_query *query = r->query;
    struct leaked_key_row *rows;
    size_t num;
    struct json_out o;
    char last[65];
    enum status status =
        store_leaked_key_list(r->worker->reader, r->x->arena, &rows, &num, page_of(query));
    if (status != STATUS_OK) {
        return list_failed(r, status);
    }
    size_t shown = list_begin(&o, r, query, num);
    for (size_t i = 0; i < shown; i++) {
        write_row(&o, &rows[i]);
        hex_encode(last, bytes_of(rows[i].sha256, 32));
    }
    return list_end(&o, r, query, num, shown == 0 ? NULL : last);
}

enum http_next leaked_key_list(struct request *r) {
    const struct leaked_key_query *query = r->query;
    if (query->origin == NULL || strcmp(query->origin, "added") == 0) {
        return list_added(r);
    }
    if (strcmp(query->origin, "compiled_in") == 0) {
        return list_compiled_in(r);
    }
    return problem_detail(r->x, PROBLEM_INVALID_FIELD, "origin: \"added\" or \"compiled_in\"");
}

/* --- adding --- */

static struct bytes row_json(struct change *c, const struct leaked_key_row *row) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 512);
    write_row(&o, row);
    return json_out_end(&o);
}

static void audit(struct change *c, const char *action, const struct leaked_key_row *row) {
    char hex[65];
    hex_encode(hex, bytes_of(row->sha256, 32));
    change_audit(c, action, "leaked_key", hex);
}

/* The whole fleet is held against the changed list. */
static enum status judge_again(struct leaked_key_change *k, struct store_writer *writer,
                               struct detail *detail) {
    const struct request *r = k->change.r;
    char id[STORE_ID];
    const struct reappraisal_request request = {.model = "",
                                                .cause = "leaked_key",
                                                .enforce = k->enforce,
                                                .requested_by = r->actor,
                                                .request_id = r->x->request_id};
    return reappraisal_request(writer, id, &request, k->change.now_ms, detail);
}

static enum status apply_add(struct change *c, struct store_writer *writer, struct detail *detail) {
    struct leaked_key_change *k = (struct leaked_key_change *)c;
    enum status status = store_leaked_key_insert(writer, &k->row);
    if (status == STATUS_CONFLICT) {
        return change_fail(c, PROBLEM_ALREADY_EXISTS, status);
    }
    if (status == STATUS_OK) {
        status = judge_again(k, writer, detail);
    }
    audit(c, "leaked_key.add", &k->row);
    c->audit.after = row_json(c, &k->row);
    return status;
}

static enum http_next answer_added(struct change *c) {
    struct json_out o;
    reappraisals_wake(c->r->api->options.reappraisals);
    json_out_init(&o, c->r->x->arena, 512);
    write_row(&o, &((const struct leaked_key_change *)c)->row);
    return answer_json(c->r, 201, &o);
}

static const struct change_kind add_kind = {
    .commit = CHANGE_COMMIT(.name = "leaked_key.add", .reloads_policy = true),
    .apply = apply_add,
    .answer = answer_added};

enum http_next leaked_key_add(struct request *r) {
    const struct leaked_key_body *body = r->body;
    struct leaked_key_change *k = change_new(r, &add_kind, sizeof *k);
    if (k == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    k->enforce = ENFORCE_NOW;
    if (body->enforce != NULL && !enforcement_from_name(&k->enforce, body->enforce)) {
        return problem_detail(r->x, PROBLEM_INVALID_FIELD, "enforce: one of lease, now");
    }
    memcpy(k->row.sha256, body->sha256.data, sizeof k->row.sha256);
    text_copy(k->row.subject, sizeof k->row.subject, body->subject == NULL ? "" : body->subject);
    text_copy(k->row.source, sizeof k->row.source, body->source);
    text_copy(k->row.added_by, sizeof k->row.added_by, r->operator_name);
    k->row.added = change_now(&k->change);
    return change_submit(&k->change);
}

/* --- removing --- */

static enum status apply_remove(struct change *c, struct store_writer *writer,
                                struct detail *detail) {
    struct leaked_key_change *k = (struct leaked_key_change *)c;
    uint8_t sha256[32];
    memcpy(sha256, k->row.sha256, sizeof sha256);
    enum status status = store_leaked_key_get(store_writer_reader(writer), &k->row, sha256);
    if (status != STATUS_OK) {
        return status;
    }
    audit(c, "leaked_key.remove", &k->row);
    c->audit.before = row_json(c, &k->row);
    status = store_leaked_key_delete(writer, sha256);
    return status == STATUS_OK ? judge_again(k, writer, detail) : status;
}

static enum http_next answer_removed(struct change *c) {
    reappraisals_wake(c->r->api->options.reappraisals);
    return answer_empty(c->r);
}

static const struct change_kind remove_kind = {
    .commit = CHANGE_COMMIT(.name = "leaked_key.remove", .reloads_policy = true),
    .apply = apply_remove,
    .answer = answer_removed};

enum http_next leaked_key_remove(struct request *r) {
    struct leaked_key_change *k = change_new(r, &remove_kind, sizeof *k);
    if (k == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    k->enforce = ENFORCE_LEASE;
    if (strlen(r->param[0]) != 64 ||
        hex_decode(k->row.sha256, sizeof k->row.sha256, r->param[0]) != STATUS_OK) {
        return problem(r->x, PROBLEM_NOT_FOUND);
    }
    return change_submit(&k->change);
}

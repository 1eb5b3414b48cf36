/* /v1/audit: who did what, in order and without gaps; as JSON with filters, or as the lines of the
 * chain. */
#include "api/admin/admin.h"
#include "server/base/clock.h"
#include "server/fleet/audit_chain.h"

#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 10000, LINES_DEFAULT = 1000, LINES_BYTES = 2 << 20, ENTRIES_LOOKED_AT = 10000 };

struct audit_query {
    int64_t limit, after;
    const char *actor, *action, *object, *since, *until, *order, *format;
};
#define TEXT(name, max) {#name, FIELD_TEXT, false, 1, max, offsetof(struct audit_query, name)}
static const struct field query_fields[] = {
    {"limit", FIELD_INTEGER, false, 1, LINES_MAX, offsetof(struct audit_query, limit)},
    {"after", FIELD_INTEGER, false, 0, INT64_MAX, offsetof(struct audit_query, after)},
    TEXT(actor, 80),
    TEXT(action, 48),
    TEXT(object, 128),
    TEXT(since, 20),
    TEXT(until, 20),
    TEXT(order, 4),
    TEXT(format, 6),
};
const struct shape audit_query_shape = SHAPE(query_fields, struct audit_query);

static enum http_next invalid(struct request *r, const char *what) {
    return problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "%s", what);
}

/* --- lines ---------------------------------------------------------------------------------- */

static bool wants_lines(const struct request *r, const struct audit_query *query) {
    if (query->format != NULL) {
        return strcmp(query->format, "ndjson") == 0;
    }
    const char *accept = r->x->request_header(r->x, "Accept", NULL);
    return accept != NULL && strstr(accept, "application/x-ndjson") != NULL;
}

static bool is_filtered(const struct audit_query *query) {
    return query->actor != NULL || query->action != NULL || query->object != NULL ||
           query->since != NULL || query->until != NULL || query->order != NULL;
}

static enum http_next answer_lines(struct request *r, const struct audit_query *query) {
    struct json_out o;
    struct audit_page page = {.after = query->after,
                              .limit = query->limit == 0 ? LINES_DEFAULT : (unsigned)query->limit,
                              .max_bytes = LINES_BYTES};
    if (is_filtered(query)) {
        return invalid(r, "format: lines of the chain come unfiltered and in order");
    }
    json_out_init(&o, r->x->arena, LINES_BYTES + LINES_BYTES / 4);
    enum status status = audit_export_page(&o, r->worker->reader, &page);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    const char *next = arena_printf(r->x->arena, "%lld", (long long)page.after);
    if (next == NULL || !http_add_header(r->x, "X-Next-After", next) ||
        !http_add_header(r->x, "Cache-Control", "no-store")) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    r->x->status = 200;
    r->x->content_type = "application/x-ndjson";
    r->x->answer = json_out_end(&o);
    return HTTP_ANSWER;
}

/* --- entries -------------------------------------------------------------------------------- */

static bool read_time(const char *text, int64_t *out_ms) {
    int64_t unix_s = 0;
    if (text != NULL && (rfc3339_parse(&unix_s, text) != STATUS_OK || unix_s <= 0)) {
        return false;
    }
    *out_ms = unix_s * 1000;
    return true;
}

static const char *text_or_any(const char *text) {
    return text == NULL ? "" : text;
}

/* NULL, or what is wrong. */
static const char *read_filter(struct audit_filter *filter, const struct audit_query *query) {
    *filter = (struct audit_filter){
        .actor = text_or_any(query->actor),
        .action = text_or_any(query->action),
        .object = text_or_any(query->object),
        .newest_first = query->order != NULL && strcmp(query->order, "desc") == 0,
        .after_seq = query->after,
        .limit = query->limit == 0 ? PAGE_DEFAULT : (unsigned)query->limit,
        .scan = ENTRIES_LOOKED_AT};
    return query->order != NULL && !filter->newest_first && strcmp(query->order, "asc") != 0
               ? "order: neither asc nor desc"
           : query->format != NULL && strcmp(query->format, "json") != 0
               ? "format: neither json nor ndjson"
           : filter->limit > PAGE_MAX                    ? "limit: at most 1000 entries as JSON"
           : !read_time(query->since, &filter->since_ms) ? "since: not a time as RFC 3339 has it"
           : !read_time(query->until, &filter->until_ms) ? "until: not a time as RFC 3339 has it"
                                                         : NULL;
}

/* As every list, but where to go on is known without another row. */
static enum http_next answer_rows(struct request *r, const struct audit_row *rows, size_t num,
                                  int64_t next) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 128 + num * 512);
    json_out_object(&o, NULL);
    json_out_array(&o, "items");
    for (size_t i = 0; i < num; i++) {
        audit_write_object(&o, &rows[i]);
    }
    json_out_array_end(&o);
    json_out_text(&o, "next_cursor",
                  next == 0 ? NULL : arena_printf(r->x->arena, "%lld", (long long)next));
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

enum http_next audit_list(struct request *r) {
    const struct audit_query *query = r->query;
    struct audit_filter filter;
    struct audit_row *rows;
    size_t num;
    int64_t next;
    if (wants_lines(r, query)) {
        return answer_lines(r, query);
    }
    const char *mistake = read_filter(&filter, query);
    if (mistake != NULL) {
        return invalid(r, mistake);
    }
    enum status status =
        store_audit_find(r->worker->reader, r->x->arena, &rows, &num, &next, &filter);
    return status == STATUS_OK ? answer_rows(r, rows, num, next) : answer_status(r, status, NULL);
}

/* --- checkpoints ---------------------------------------------------------------------------- */

struct checkpoint_query {
    int64_t limit, after;
};
static const struct field checkpoint_fields[] = {
    {"limit", FIELD_INTEGER, false, 1, PAGE_MAX, offsetof(struct checkpoint_query, limit)},
    {"after", FIELD_INTEGER, false, 0, INT64_MAX, offsetof(struct checkpoint_query, after)},
};
const struct shape audit_checkpoint_query_shape = SHAPE(checkpoint_fields, struct checkpoint_query);

static void write_checkpoint(struct json_out *o, const struct audit_checkpoint_row *row) {
    json_out_object(o, NULL);
    json_out_int(o, "seq", row->seq);
    json_out_hex(o, "hash", bytes_of(row->hash, sizeof row->hash));
    json_out_time(o, "time", row->time);
    json_out_text(o, "trust_domain", row->trust_domain);
    json_out_hex(o, "authority", bytes_of(row->authority, sizeof row->authority));
    json_out_base64(o, "signature", row->signature);
    json_out_object_end(o);
}

enum http_next audit_checkpoint_list(struct request *r) {
    const struct checkpoint_query *query = r->query;
    const struct page_query page = {.limit = query->limit};
    struct audit_checkpoint_row *rows;
    struct json_out o;
    size_t num;
    char last[24] = "";
    enum status status = store_audit_checkpoint_list(r->worker->reader, r->x->arena, &rows, &num,
                                                     query->after, page_of(&page).limit);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    size_t shown = list_begin(&o, r, &page, num);
    for (size_t i = 0; i < shown; i++) {
        write_checkpoint(&o, &rows[i]);
        (void)snprintf(last, sizeof last, "%lld", (long long)rows[i].seq);
    }
    return list_end(&o, r, &page, num, last);
}

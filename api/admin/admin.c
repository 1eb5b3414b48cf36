#include "api/admin/admin.h"

#include <stdio.h>
#include <string.h>

static const struct field reason_fields[] = {
    {"reason", FIELD_TEXT, true, 1, REASON_MAX, offsetof(struct reason_body, reason)},
};
const struct shape reason_shape = SHAPE(reason_fields, struct reason_body);

static const struct field page_fields[] = {PAGE_FIELDS};
const struct shape page_shape = SHAPE(page_fields, struct page_query);

static unsigned limit_of(const struct page_query *query) {
    return query->limit == 0 ? PAGE_DEFAULT : (unsigned)query->limit;
}

struct store_page page_of(const struct page_query *query) {
    return (struct store_page){.after = query->cursor == NULL ? "" : query->cursor,
                               .limit = limit_of(query) + 1};
}

size_t list_begin(struct json_out *o, struct request *r, const struct page_query *query,
                  size_t num) {
    size_t shown = num < limit_of(query) ? num : limit_of(query);
    json_out_init(o, r->x->arena, 128 + shown * 512);
    json_out_object(o, NULL);
    json_out_array(o, "items");
    return shown;
}

enum http_next list_end(struct json_out *o, struct request *r, const struct page_query *query,
                        size_t num, const char *last) {
    json_out_array_end(o);
    json_out_text(o, "next_cursor", num > limit_of(query) ? last : NULL);
    json_out_object_end(o);
    return answer_json(r, 200, o);
}

enum http_next list_failed(struct request *r, enum status status) {
    return status == STATUS_MALFORMED
               ? problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "cursor: not one of ours")
               : answer_status(r, status, NULL);
}

bool read_if_match(struct request *r, int64_t *version) {
    size_t count = 0;
    const char *value = r->x->request_header(r->x, "If-Match", &count);
    *version = 0;
    if (value == NULL || (count == 1 && strcmp(value, "*") == 0)) {
        return true;
    }
    int64_t number = 0;
    size_t i = 1;
    for (; value[0] == '"' && value[i] >= '0' && value[i] <= '9' && i < 18; i++) {
        number = number * 10 + (value[i] - '0');
    }
    if (count != 1 || i == 1 || strcmp(value + i, "\"") != 0 || number == 0) {
        (void)problem_detail(r->x, PROBLEM_VERSION_MISMATCH, "If-Match: not one of our ETags");
        return false;
    }
    *version = number;
    return true;
}

bool add_etag(struct request *r, int64_t version) {
    const char *etag = arena_printf(r->x->arena, "\"%lld\"", (long long)version);
    return etag != NULL && http_add_header(r->x, "ETag", etag);
}

enum status check_version(struct change *c, int64_t wanted, int64_t version) {
    return wanted == 0 || wanted == version
               ? STATUS_OK
               : change_fail(c, PROBLEM_VERSION_MISMATCH, STATUS_CONFLICT);
}

bool device_state_from_name(enum device_state *out, const char *name) {
    for (enum device_state s = DEVICE_ENROLLED; s <= DEVICE_REGISTERED; s++) {
        if (strcmp(device_state_name(s), name) == 0) {
            *out = s;
            return true;
        }
    }
    return false;
}

bool verdict_from_name(int *out, const char *name) {
    for (enum verdict v = VERDICT_UNKNOWN; v <= VERDICT_EXPIRED; v++) {
        if (strcmp(verdict_name(v), name) == 0) {
            *out = (int)v;
            return true;
        }
    }
    return false;
}

bool tier_from_name(int *out, const char *name) {
    for (enum tier t = TIER_NONE; t <= TIER_MEASURED; t++) {
        if (strcmp(tier_name(t), name) == 0) {
            *out = (int)t;
            return true;
        }
    }
    return false;
}

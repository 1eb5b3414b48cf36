/* What the handlers of the admin plane share: pages, versions, names of states. */
#ifndef GATEHOUSE_API_ADMIN_H
#define GATEHOUSE_API_ADMIN_H

#include "api/change.h"
#include "api/handlers.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, REASON_MAX = 128, NOTE_MAX = 256 };

struct page_query { /* the first member of every list's query */
    int64_t limit;  /* 0: not given */
    const char *cursor;
};
/* The fields of a struct whose first member is a page_query. */
#define PAGE_FIELDS                                                                                \
    {"limit", FIELD_INTEGER, false, 1, PAGE_MAX, offsetof(struct page_query, limit)}, {            \
        "cursor", FIELD_TEXT, false, 1, 128, offsetof(struct page_query, cursor)                   \
    }

/* One row more than is shown: it tells whether there is another page. */
struct store_page page_of(const struct page_query *query);
/* Opens the list; how many of `num` rows are shown. */
size_t list_begin(struct json_out *o, struct request *r, const struct page_query *query,
                  size_t num);
/* `last`: the key of the last row shown. */
enum http_next list_end(struct json_out *o, struct request *r, const struct page_query *query,
                        size_t num, const char *last);
/* A list that could not be read: a cursor that is none is the client's mistake. */
enum http_next list_failed(struct request *r, enum status status);

/* "If-Match": 0 when absent (any version). False, and the answer is a problem, when it is not one
 * of our ETags. */
MUST_USE bool read_if_match(struct request *r, int64_t *version);
/* Adds the ETag of a version; false when it cannot be. */
MUST_USE bool add_etag(struct request *r, int64_t version);
/* For apply: the version asked for is the row's. */
MUST_USE enum status check_version(struct change *c, int64_t wanted, int64_t version);

/* A change of one object that has a reason and nothing else: shape {"reason"}. */
struct reason_body {
    const char *reason;
};

/* The names of states, verdicts and tiers, the other way round. False: no such name. */
bool device_state_from_name(enum device_state *out, const char *name);
bool verdict_from_name(int *out, const char *name);
bool tier_from_name(int *out, const char *name);
bool enforcement_from_name(enum enforcement *out, const char *name);

/* How an object stands in answers and in the audit's before and after. */
void write_model(struct json_out *o, const char *name, const struct model_row *row);
void write_device(struct json_out *o, const char *name, const struct device_row *row);
struct bytes device_json(struct change *c, const struct device_row *row);
void write_credential(struct json_out *o, const char *name, const struct credential_row *row);

#endif

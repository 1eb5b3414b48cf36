/* Strict reading of what a request says: JSON bodies (RFC 8259) and query strings, each against a
 * constant table of its fields. A field that the table does not have is refused, so that a mistyped
 * one is never silently ignored. Home of jansson with api/device/evidence_body. */
#ifndef GATEHOUSE_API_SHAPE_H
#define GATEHOUSE_API_SHAPE_H

#include "api/http.h"
#include "server/identity/key_certification.h"

enum { BODY_MAX_DEPTH = 16 };

enum field_type {
    FIELD_TEXT,     /* const char *; min and max count bytes */
    FIELD_BASE64,   /* struct bytes; min and max count decoded bytes */
    FIELD_SHA256,   /* struct bytes of 32, from 64 lower-case hex digits */
    FIELD_INTEGER,  /* int64_t, within min and max */
    FIELD_COUNT,    /* struct count, an integer within min and max */
    FIELD_BOOLEAN,  /* bool */
    FIELD_IDS,      /* struct id_list; min and max count ids of 1 to 128 bytes */
    FIELD_NULL,     /* bool: it is there, and null; anything else is refused */
    FIELD_SUBJECTS, /* struct subject_list: the subjects of a batch of decisions; at most max */
    FIELD_SEGMENTS, /* struct segments, from {"measured","verified_boot","identified"}: each a text
                       of at most `max` bytes, absent, or null */
    FIELD_RINGS,    /* struct ring_list, from 1 to 16 integers within min and max */
    FIELD_ROLLOUT,  /* struct rollout_body, from an object of its members */
    FIELD_DELIVERY, /* struct delivery_body, from an object of its members */
    FIELD_SET_ERRORS, /* struct set_errors, from {"jti":{"err":text,"description":text}}; at most max */
    FIELD_KEY_CERTIFICATION /* struct key_certification, from {"certify_info":b64,"signature":b64,
                               "public":b64}: each 1 to KEY_CERTIFICATION_PART_MAX bytes */
};

struct field {
    const char *name;
    enum field_type type;
    bool required; /* else absent and null leave the target as it is: zero */
    int64_t min, max;
    size_t offset; /* of the target in the struct that is filled */
};

struct shape {
    const struct field *field;
    size_t num;
    size_t size; /* of the struct that is filled */
};
#define SHAPE(fields, type)                                                                        \
    {.field = (fields), .num = sizeof(fields) / sizeof((fields)[0]), .size = sizeof(type)}

/* One subject of a batch: exactly one member is set. */
struct subject {
    const char *device_id, *serial;
    struct bytes certificate_sha256;
};
struct subject_list {
    struct subject *subject;
    size_t num;
};

/* Labels by tier; NULL: none. */
struct segments {
    bool given;
    const char *measured, *verified_boot, *identified;
};

struct id_list {
    const char **id;
    size_t num;
};

struct count { /* where none is not the same as 0 */
    bool given;
    int64_t value;
};
struct delivery_body { /* of a stream of events */
    bool given;
    const char *method, *endpoint_url, *authorization_header; /* NULL: absent */
};
struct set_errors { /* of events: RFC 8936, section 2.6 */
    const char **jti, **err;
    size_t num;
};

enum { ROLLOUT_BODY_RINGS = 16, ROLLOUT_BODY_DEVICES = 256 };
struct ring_list {
    uint8_t percent[ROLLOUT_BODY_RINGS]; /* in the order given */
    size_t num;
};
struct rollout_body {
    bool given;
    struct id_list devices;
    struct ring_list rings;
    int64_t max_failure_percent, min_appraisals, min_s;
};

/* Reads the body into a new struct of shape->size bytes in the exchange's arena. NULL: the answer
 * is a problem already. Nothing borrowed from the body remains. */
MUST_USE void *shape_read_body(struct http_exchange *x, const struct shape *shape);
/* The same of the query string; percent-encoding is undone, a parameter stands once. FIELD_TEXT and
 * FIELD_INTEGER only. */
MUST_USE void *shape_read_query(struct http_exchange *x, const struct shape *shape);
/* False, and the answer is a problem, when the body's nesting goes deeper than BODY_MAX_DEPTH. For
 * bodies that other readers parse. */
MUST_USE bool shape_check_depth(struct http_exchange *x);

#endif

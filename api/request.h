/* What handlers are given: the exchange, who asks, and what was asked, already read and allowed. */
#ifndef GATEHOUSE_API_REQUEST_H
#define GATEHOUSE_API_REQUEST_H

#include "api/api.h"
#include "api/problem.h"
#include "api/routes.h"
#include "server/base/json_out.h"

#include <stdatomic.h>

struct background;
struct limiter;
struct lockout;
struct verified;

struct api_plane { /* the context of one plane's http_service */
    struct api *api;
    enum config_plane plane;
    struct http_service service;
};

enum { STATUS_CLASSES = 6 };
enum authorize_outcome { /* of /v1/authorize */
                         AUTHORIZE_ALLOWED,
                         AUTHORIZE_NO_CERTIFICATE, /* 401 */
                         AUTHORIZE_DENIED,         /* the device, or the proxy's request */
                         AUTHORIZE_REFUSED,        /* the certificate's header */
                         AUTHORIZE_FAILED,         /* nothing was found out */
                         NUM_AUTHORIZE_OUTCOMES
};
struct api_counters { /* written by workers, read for /metrics */
    _Atomic uint64_t requests[NUM_PLANES][STATUS_CLASSES];
    _Atomic uint64_t decisions_allow, decisions_deny;
    _Atomic uint64_t authorized[NUM_AUTHORIZE_OUTCOMES], dialect_refusals[NUM_DIALECTS];
    _Atomic uint64_t trusted, untrusted, evidence_refused;
    _Atomic uint64_t enrolments, enrolments_again, enrolments_pending, enrolments_refused;
    _Atomic uint64_t ak_in_use, ak_revoked; /* refused for a key that is cloned, or was replaced */
};

struct api {
    struct api_options options;
    struct api_plane plane[NUM_PLANES];
    struct limiter *limiter;       /* of enrolments, by address */
    struct lockout *lockout;       /* of certificates, by refusals */
    struct background *background; /* long reads */
    _Atomic unsigned notes;        /* of refusals, that are on their way into the audit */
    struct api_counters counters;
    _Atomic bool ready;
    _Atomic unsigned uploads; /* under way */
};

struct api_worker { /* one plane's on one worker thread */
    struct api *api;
    struct store_reader *reader; /* NULL on planes that read nothing */
    struct verified *verified;   /* proxy plane (api/proxy/verified.h) */
    bool registered;             /* with the fleet table, for the thread */
};

enum media { MEDIA_JSON, MEDIA_NDJSON, MEDIA_CSV, NUM_MEDIA };

struct request {
    struct http_exchange *x;
    struct api *api;
    struct api_worker *worker;
    enum config_plane plane;
    const struct route *route;           /* what is carried out */
    const char *param[ROUTE_MAX_PARAMS]; /* terminated */
    const void *body, *query;            /* what the route's shapes say */
    enum media media;                    /* of the body */
    /* Who asks. */
    char actor[STORE_NAME + 16];         /* "operator:alice", "device:<id>", "proxy:<name>", "" */
    char operator_name[STORE_NAME];      /* admin plane */
    unsigned role;                       /* a single ROLE_ */
    const struct device_row *device;     /* device plane, as of when the request came in */
    const struct approval_row *approval; /* the proposal that is being carried out, or NULL */
    /* After HTTP_WAIT. */
    enum http_next (*finish)(struct request *r);
    void *pending;
    enum status worked; /* of what ran in the background (api/background.h) */
    struct detail worked_detail;
    /* What lives beside the arena: `release` is called once, when the exchange ends. NULL: nothing. */
    void (*release)(struct request *r);
    void *held;
};

/* 200 (or `status`) with what was written; a problem when memory ran out. */
enum http_next answer_json(struct request *r, unsigned status, const struct json_out *out);
enum http_next answer_empty(struct request *r); /* 204 */
/* A problem out of a status. The detail reaches administrators only; everyone's goes to the log
 * when the fault is ours. */
enum http_next answer_status(struct request *r, enum status status, const struct detail *detail);
/* What a lower floor found wrong with the request; administrators get the detail. */
enum http_next answer_refusal(struct request *r, enum problem_kind kind,
                              const struct detail *detail);

/* Names of models, operators and proxies: 1 to 64 of [A-Za-z0-9._-], the first a letter or digit.
 */
bool name_is_valid(const char *name);
/* A serial number (RFC 5280, 4.1.2.2): 126 random bits that always take 16 bytes in DER. */
void serial_new(uint8_t out[static PROFILE_SERIAL_LEN]);
/* Copies a text that is known to fit (asserted). */
void text_copy(char *out, size_t size, const char *text);

#endif

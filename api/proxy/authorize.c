#include "api/proxy/authorize.h"

#include "api/handlers.h"
#include "api/proxy/client_certificate.h"
#include "api/proxy/verified.h"
#include "server/base/clock.h"
#include "server/fleet/access_policy.h"
#include "server/fleet/standing.h"

#include <stdio.h>
#include <string.h>

static const char path_start[] = "/v1/authorize";
/* Revocation is to arrive within seconds also where a proxy keeps answers. */
enum { MAX_AGE_S = 5, MAX_AGE_TEXT = 40 };

/* --- who asks --- */

/* What the proxy is registered with. Borrowed from the policy in force, or from the configuration. */
struct asker {
    enum dialect dialect;
    const char *first_policy; /* STORE_NAME bytes each */
    size_t num_policies;
};

/* False: it is not registered any more. */
static bool find_asker(struct asker *out, const struct request *r, const struct policy *policy) {
    if (r->x->peer->local) {
        const struct config_listener *listener = &r->api->options.config->plane[PLANE_PROXY];
        *out = (struct asker){listener->unix_dialect, listener->unix_policy[0],
                              listener->num_unix_policies};
        return true;
    }
    const struct proxy_row *row = policy_proxy(policy, r->x->peer->leaf_sha256);
    if (row == NULL || row->disabled) {
        return false;
    }
    *out = (struct asker){row->dialect, row->policy[0], row->num_policies};
    return true;
}

static const char *policy_at(const struct asker *asker, size_t i) {
    return asker->first_policy + i * STORE_NAME;
}

/* The policy that the path names: the segment after the route; none, or "-", is the proxy's first one.
 * What follows it is the proxy's client's, and is not looked at. False: not one of the proxy's. *out NULL:
 * the proxy has none, and asks for nothing beyond a decision that allows. */
static bool choose_policy(const char **out, const struct asker *asker, const char *path) {
    const char *name = path + sizeof path_start - 1;
    size_t len = *name == '\0' ? 0 : strcspn(name + 1, "/");
    *out = asker->num_policies == 0 ? NULL : policy_at(asker, 0);
    if (*name == '\0' || (len == 1 && name[1] == '-')) {
        return true;
    }
    for (size_t i = 0; i < asker->num_policies; i++) {
        if (strlen(policy_at(asker, i)) == len && memcmp(policy_at(asker, i), name + 1, len) == 0) {
            *out = policy_at(asker, i);
            return true;
        }
    }
    return false;
}

/* --- what is found out --- */

struct inquiry {
    enum problem_kind problem; /* NUM_PROBLEMS: the decision says it */
    enum dialect dialect;
    struct decision *decision;
};

static enum problem_kind problem_of_outcome(enum client_certificate_outcome outcome) {
    switch (outcome) {
    case CLIENT_CERTIFICATE_READ:
        return NUM_PROBLEMS;
    case CLIENT_CERTIFICATE_ABSENT:
        return PROBLEM_CERTIFICATE_REQUIRED;
    case CLIENT_CERTIFICATE_DUPLICATE:
        return PROBLEM_DUPLICATE_CERTIFICATE_HEADER;
    case CLIENT_CERTIFICATE_NOT_VERIFIED:
        return PROBLEM_CERTIFICATE_NOT_VERIFIED;
    case CLIENT_CERTIFICATE_MALFORMED:
        break;
    }
    return PROBLEM_CERTIFICATE_HEADER_INVALID;
}

/* The certificate itself. NUM_PROBLEMS: nothing is wrong with it, or the decision says what. */
static enum problem_kind check_certificate(struct request *r, struct decision *d,
                                           const struct client_certificate *certificate,
                                           int64_t now) {
    enum status status = certificate->der_len == 0
                             ? STATUS_OK
                             : verified_check(r->worker->verified, certificate, now);
    switch (status) {
    case STATUS_OK:
        fleet_decide_certificate(r->api->options.table, d, certificate->sha256, now);
        return NUM_PROBLEMS;
    case STATUS_EXPIRED:
        d->reason = REASON_LEASE_EXPIRED;
        return NUM_PROBLEMS;
    case STATUS_CONFLICT:
        d->reason = REASON_NOT_YET_VALID;
        return NUM_PROBLEMS;
    case STATUS_INVALID:
        return PROBLEM_NOT_A_CREDENTIAL;
    default:
        return PROBLEM_INTERNAL;
    }
}

static enum problem_kind find_out(struct inquiry *f, struct request *r, const struct policy *policy,
                                  int64_t now) {
    struct asker asker;
    const char *name;
    struct client_certificate certificate;
    if (!find_asker(&asker, r, policy)) {
        return PROBLEM_FORBIDDEN;
    }
    f->dialect = asker.dialect;
    if (asker.dialect == DIALECT_NONE) {
        return PROBLEM_NO_DIALECT;
    }
    if (!choose_policy(&name, &asker, r->x->path)) {
        return PROBLEM_POLICY_NOT_ALLOWED;
    }
    enum problem_kind kind =
        problem_of_outcome(client_certificate_read(&certificate, asker.dialect, r->x));
    if (kind == NUM_PROBLEMS) {
        kind = check_certificate(r, f->decision, &certificate, now);
    }
    if (kind == NUM_PROBLEMS) {
        decision_apply_policy(f->decision, policy, now);
    }
    if (kind == NUM_PROBLEMS && name != NULL) {
        decision_apply_access(f->decision, policy_access(policy, name));
    }
    return kind;
}

/* --- what is said --- */

static void count(struct request *r, enum authorize_outcome outcome, enum dialect dialect) {
    struct api_counters *counters = &r->api->counters;
    atomic_fetch_add_explicit(&counters->authorized[outcome], 1, memory_order_relaxed);
    if (outcome == AUTHORIZE_REFUSED) {
        atomic_fetch_add_explicit(&counters->dialect_refusals[dialect], 1, memory_order_relaxed);
    }
}

static enum http_next deny(struct request *r, enum problem_kind kind, const char *reason) {
    struct problem p;
    problem_begin(&p, r->x, kind, NULL, NULL);
    if (reason != NULL) {
        json_out_text(&p.out, "reason", reason);
    }
    if (!http_add_header(r->x, "X-Gatehouse-Reason",
                         reason != NULL ? reason : problem_entry(kind)->code) ||
        (kind == PROBLEM_CERTIFICATE_REQUIRED &&
         !http_add_header(r->x, "WWW-Authenticate", "ClientCertificate realm=\"gatehouse\""))) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    problem_end(&p);
    return HTTP_ANSWER;
}

/* Every header, every time: one that is left out lets through what the client sent by that name. */
static enum http_next allow(struct request *r, const struct inquiry *f, int64_t now) {
    const struct decision *d = f->decision;
    char *lease = arena_alloc(r->x->arena, RFC3339_SIZE + MAX_AGE_TEXT);
    if (lease == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    char *cache = lease + RFC3339_SIZE;
    int64_t left = d->lease_expires - now;
    rfc3339_format(lease, d->lease_expires);
    (void)snprintf(cache, MAX_AGE_TEXT, "private, max-age=%d",
                   left < 0           ? 0
                   : left < MAX_AGE_S ? (int)left
                                      : MAX_AGE_S);
    const struct http_header headers[] = {
        {"X-Device-Id", d->device_id},
        {"X-Device-Model", d->model},
        {"X-Device-Tier", tier_name(d->tier)},
        {"X-Device-Segment", d->segment[0] == '\0' ? "-" : d->segment},
        {"X-Device-Key-Protection", decision_key_protection(d)},
        {"X-Device-Lease", lease},
        {"Cache-Control", cache},
        {"Vary", client_certificate_headers(f->dialect)},
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (!http_add_header(r->x, headers[i].name, headers[i].value)) {
            return problem(r->x, PROBLEM_INTERNAL);
        }
    }
    r->x->status = 200;
    return HTTP_ANSWER;
}

static enum authorize_outcome outcome_of(const struct inquiry *f) {
    switch (f->problem) {
    case NUM_PROBLEMS:
        return f->decision->allow ? AUTHORIZE_ALLOWED : AUTHORIZE_DENIED;
    case PROBLEM_CERTIFICATE_REQUIRED:
        return AUTHORIZE_NO_CERTIFICATE;
    case PROBLEM_DUPLICATE_CERTIFICATE_HEADER:
    case PROBLEM_CERTIFICATE_HEADER_INVALID:
    case PROBLEM_CERTIFICATE_NOT_VERIFIED:
        return AUTHORIZE_REFUSED;
    case PROBLEM_INTERNAL:
        return AUTHORIZE_FAILED;
    default:
        return AUTHORIZE_DENIED;
    }
}

enum http_next authorize(struct request *r) {
    struct policy_holder *holder = r->api->options.policy;
    int64_t now = clock_unix();
    struct inquiry f = {.decision = arena_alloc(r->x->arena, sizeof *f.decision)};
    if (f.decision == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    f.problem = find_out(&f, r, policy_read_begin(holder), now);
    policy_read_end(holder);
    enum authorize_outcome outcome = outcome_of(&f);
    if (outcome == AUTHORIZE_FAILED) {
        return problem(r->x, PROBLEM_INTERNAL); /* settled, and counted, as what it is here */
    }
    count(r, outcome, f.dialect);
    if (outcome == AUTHORIZE_ALLOWED) {
        return allow(r, &f, now);
    }
    return f.problem == NUM_PROBLEMS
               ? deny(r, PROBLEM_DENIED, decision_reason_name(f.decision->reason))
               : deny(r, f.problem, NULL);
}

/* --- nothing else is said --- */

static bool forget(void *context, struct bytes piece) {
    (void)context;
    (void)piece;
    return true;
}

const struct http_sink authorize_sink = {.max = BODY_ROWS_MAX, .take = forget};

bool authorize_is_asked(const struct api_plane *plane, const struct http_exchange *x) {
    size_t len = sizeof path_start - 1;
    return plane->plane == PLANE_PROXY && strncmp(x->path, path_start, len) == 0 &&
           (x->path[len] == '\0' || x->path[len] == '/');
}

static enum problem_kind kind_of_status(unsigned status) {
    switch (status) {
    case 400:
        return PROBLEM_BAD_REQUEST;
    case 413:
        return PROBLEM_BODY_TOO_LARGE;
    case 429:
        return PROBLEM_RATE_LIMITED;
    case 431:
        return PROBLEM_HEADERS_TOO_LARGE;
    case 503:
        return PROBLEM_OVERLOADED;
    default:
        return PROBLEM_INTERNAL;
    }
}

void authorize_settle(const struct api_plane *plane, struct http_exchange *x) {
    static const char last_resort[] =
        "{\"type\":\"urn:gatehouse:problem:internal\",\"title\":\"The gateway failed\","
        "\"status\":403,\"detail\":\"The gateway "
        "failed\",\"code\":\"internal\",\"request_id\":\"\"}";
    if (x->status == 0 || x->status == 200 || x->status == 401 || x->status == 403 ||
        !authorize_is_asked(plane, x)) {
        return;
    }
    const struct problem_entry *entry = problem_entry(kind_of_status(x->status));
    atomic_fetch_add_explicit(&plane->api->counters.authorized[AUTHORIZE_FAILED], 1,
                              memory_order_relaxed);
    x->num_headers = 0;
    (void)!http_add_header(x, "X-Gatehouse-Reason", entry->code);
    (void)problem_coded(x, PROBLEM_FORBIDDEN, entry->code, entry->title);
    if (x->status != 403) { /* the arena is full */
        x->status = 403;
        x->answer = bytes_of_text(last_resort);
    }
}

#include "api/routes.h"

#include "api/handlers.h"

#define ROUTE(on, verb, path, who, handler, ...)                                                   \
    {.plane = PLANE_##on,                                                                          \
     .method = HTTP_##verb,                                                                        \
     .pattern = (path),                                                                            \
     .roles = (who),                                                                               \
     .handle = (handler),                                                                          \
     __VA_OPT__(__VA_ARGS__)}
#define READS(shape) .body_rule = BODY_SHAPE, .body = &(shape)
#define TAKES(shape) .query = &(shape)

static const struct route table[] = {
    ROUTE(ENROL, POST, "/v1/enrollments", ROLE_ANYONE, enrollment_create, READS(enrollment_shape),
          .admit = enrollment_admit),
    ROUTE(ENROL, POST, "/v1/enrollments/{id}/activate", ROLE_ANYONE, enrollment_activate,
          READS(activation_shape), .admit = enrollment_admit),

    ROUTE(DEVICE, POST, "/v1/challenges", ROLE_DEVICE, challenge_create, READS(empty_shape)),
    ROUTE(DEVICE, POST, "/v1/evidence", ROLE_DEVICE, evidence_create, .body_rule = BODY_JSON),
    ROUTE(DEVICE, GET, "/v1/self", ROLE_DEVICE, self_show),

    ROUTE(PROXY, GET, "/v1/decisions/{device_id}", ROLE_PROXY, decision_show, .frequent = true),
    ROUTE(PROXY, POST, "/v1/decisions", ROLE_PROXY, decisions_batch, READS(decisions_shape),
          .frequent = true),

    ROUTE(PUBLIC, GET, "/healthz", ROLE_ANYONE, health_show, .frequent = true),
    ROUTE(PUBLIC, GET, "/readyz", ROLE_ANYONE, ready_show, .frequent = true),
    ROUTE(PUBLIC, GET, "/v1/ca/identity.pem", ROLE_ANYONE, ca_identity_show),
    ROUTE(PUBLIC, GET, "/v1/ca/access.pem", ROLE_ANYONE, ca_access_show),
};

const struct route_table *routes_all(void) {
    static const struct route_table all = {table, sizeof table / sizeof table[0]};
    return &all;
}

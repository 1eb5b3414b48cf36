/* One table of routes: method, path pattern, plane, role, handler. What the table does not name is
 * refused. */
#ifndef GATEHOUSE_API_ROUTES_H
#define GATEHOUSE_API_ROUTES_H

#include "api/shape.h"
#include "config/config.h"

struct request;

enum { ROUTE_MAX_PARAMS = 2, ROUTE_MAX_PARAM = 128 };

enum role { /* a route states who may call it, as a sum of these; 0 is a mistake */
            ROLE_ANYONE = 1,
            ROLE_DEVICE = 2,
            ROLE_PROXY = 4,
            ROLE_VIEWER = 8,
            ROLE_OPERATOR = 16,
            ROLE_AUTHOR = 32,
            ROLE_APPROVER = 64,
            ROLE_ADMIN = 128
};
enum { ROLES_READ = ROLE_VIEWER | ROLE_OPERATOR | ROLE_AUTHOR | ROLE_APPROVER | ROLE_ADMIN };

/* "admin" of an operator's row; 0 when there is no such role. */
unsigned role_from_name(const char *name);
const char *role_name(unsigned role); /* of a single one; "" otherwise */

enum { BODY_ROWS_MAX = 64 << 20 }; /* bytes of rows in one body */

enum body_rule {
    BODY_NONE,  /* a body is refused */
    BODY_SHAPE, /* application/json, read against `body` before the handler runs */
    BODY_ROWS,  /* the same; or rows, as NDJSON or CSV, for which `admit` installs a sink */
    BODY_JSON,  /* application/json, which the handler reads */
    BODY_BYTES  /* of the type `media`, which the handler reads */
};

struct route {
    enum config_plane plane;
    enum http_method method;
    const char *pattern; /* "/v1/models/{model}"; a parameter is a whole segment */
    bool suffix;         /* its last parameter ends it, and takes all the rest of the path as it
                            came: slashes, percent-encoding, any length, nothing */
    unsigned roles;
    enum http_next (*handle)(struct request *r);
    enum body_rule body_rule;
    const struct shape *body;  /* with BODY_SHAPE and BODY_ROWS */
    const char *media;         /* with BODY_BYTES: "application/pkcs10" */
    const struct shape *query; /* NULL: takes no parameters */
    unsigned two_person;       /* enum two_person: under which rule it is proposed, and carried out
                                  when a second operator approves it. A handler that ends with
                                  change_submit needs to know nothing of this. 0: none */
    bool frequent;             /* logged at level debug when all went well */
    bool any; /* takes every method, the pattern and every path below it, any query and any body, of
                 which nothing is looked at; the method here is what the contract calls it by */
    bool (*admit)(
        struct request *r); /* NULL, or: may it go on to read the body? Else it answered */
};

struct route_table {
    const struct route *route;
    size_t num;
};
const struct route_table *routes_all(void);

/* What starting with this table would break: a route without a role or with one of another plane, a
 * missing handler, two routes for the same request. INVALID names it. */
MUST_USE enum status routes_check(const struct route_table *table, struct detail *detail);

struct route_match {
    const struct route *route;           /* NULL: none */
    const char *param[ROUTE_MAX_PARAMS]; /* views into the path, not terminated */
    size_t param_len[ROUTE_MAX_PARAMS], num_params;
    unsigned methods; /* bits 1 << enum http_method of every route with this path */
};
/* HEAD finds the route of GET; any method that of an `any` route, which has no parameters. A parameter
 * is 1 to ROUTE_MAX_PARAM bytes of [A-Za-z0-9._-]: anything else, and so anything percent-encoded, is no
 * match; but for a suffix. */
void routes_match(struct route_match *out, const struct route_table *table, enum config_plane plane,
                  enum http_method method, const char *path);
const char *http_method_name(enum http_method method);
enum http_method http_method_from_name(const char *name); /* HTTP_OTHER when it is none */

#endif

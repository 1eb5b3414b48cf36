/* The keys that signed statements are verified with: a JSON Web Key Set (RFC 7517). */
#include "api/caching.h"
#include "api/handlers.h"
#include "server/fleet/statements.h"

/* A key that is to sign is published before; who fetches once an hour has it in time. */
static const char caching[] = "public, max-age=3600";

enum http_next jwks_show(struct request *r) {
    struct http_exchange *x = r->x;
    char *tag = arena_alloc(x->arena, STATEMENTS_TAG_SIZE);
    if (tag == NULL) {
        return problem(x, PROBLEM_INTERNAL);
    }
    struct bytes keys = statements_keys(r->api->options.statements, x->arena, tag);
    if (keys.len == 0 || !http_add_header(x, "Cache-Control", caching) ||
        !http_add_header(x, "ETag", tag)) {
        return problem(x, PROBLEM_INTERNAL);
    }
    if (http_is_known(x, tag)) {
        x->status = 304;
        return HTTP_ANSWER;
    }
    x->status = 200;
    x->content_type = "application/jwk-set+json";
    x->answer = keys;
    return HTTP_ANSWER;
}

/* What anyone may read: is the gateway alive, does it take requests, who are its authorities. */
#include "api/authorities.h"
#include "api/caching.h"
#include "api/handlers.h"

static enum http_next answer_text(struct request *r, unsigned status, const char *type,
                                  const char *cache, const char *text) {
    if (!http_add_header(r->x, "Cache-Control", cache)) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    r->x->status = status;
    r->x->content_type = type;
    r->x->answer = bytes_of_text(text);
    return HTTP_ANSWER;
}

enum http_next health_show(struct request *r) {
    return answer_text(r, 200, "text/plain", "no-store", "ok\n");
}

enum http_next ready_show(struct request *r) {
    bool ready = atomic_load(&r->api->ready);
    return ready ? answer_text(r, 200, "text/plain", "no-store", "ready\n")
                 : answer_text(r, 503, "text/plain", "no-store", "draining\n");
}

/* Proxies look for a new authority here: what they keep is not old. */
static enum http_next answer_bundle(struct request *r, enum profile profile) {
    const char *pem = authorities_bundle(r->api, r->x->arena, profile);
    if (pem == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    const char *etag = http_etag(r->x->arena, bytes_of_text(pem));
    if (!http_add_header(r->x, "ETag", etag)) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    enum http_next next = answer_text(r, 200, "application/x-pem-file", "max-age=300", pem);
    if (r->x->status == 200 && http_is_known(r->x, etag)) {
        r->x->status = 304;
        r->x->content_type = NULL;
        r->x->answer = bytes_of(NULL, 0);
    }
    return next;
}

enum http_next ca_identity_show(struct request *r) {
    return answer_bundle(r, PROFILE_IDENTITY);
}

enum http_next ca_access_show(struct request *r) {
    return answer_bundle(r, PROFILE_ACCESS);
}

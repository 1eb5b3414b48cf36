/* What anyone may read: is the gateway alive, does it take requests, who are its authorities. */
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

enum http_next ca_identity_show(struct request *r) {
    return answer_text(r, 200, "application/x-pem-file", "max-age=3600", r->api->authority_pem[0]);
}

enum http_next ca_access_show(struct request *r) {
    return answer_text(r, 200, "application/x-pem-file", "max-age=3600", r->api->authority_pem[1]);
}

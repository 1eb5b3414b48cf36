/* OCSP over HTTP (RFC 6960 appendix A). What was understood as HTTP is answered with 200, errors of OCSP
 * too; what may be cached, and how long, is as RFC 5019 section 6 has it. */
#include "api/caching.h"
#include "api/handlers.h"
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/fleet/ocsp_responder.h"

#include <string.h>

struct pending {
    struct ocsp_query query; /* first: of_query casts */
    struct request *r;
};

static struct pending *of_query(struct ocsp_query *query) {
    return (struct pending *)query;
}

/* Until nextUpdate, for everybody. */
static bool add_caching(struct http_exchange *x, const struct ocsp_query *query, const char *etag,
                        int64_t now) {
    int64_t age = query->next_update > now ? query->next_update - now : 0;
    return http_add_header(x, "Cache-Control",
                           arena_printf(x->arena,
                                        "max-age=%lld, public, no-transform, must-revalidate",
                                        (long long)age)) &&
           http_add_header(x, "ETag", etag) &&
           http_add_header(x, "Last-Modified", http_date(x->arena, query->this_update)) &&
           http_add_header(x, "Expires", http_date(x->arena, query->next_update));
}

static enum http_next answer(struct request *r) {
    struct http_exchange *x = r->x;
    const struct pending *pending = r->pending;
    const struct ocsp_query *query = &pending->query;
    x->status = 200;
    x->content_type = "application/ocsp-response";
    x->answer = query->answer;
    if (x->method == HTTP_POST || query->next_update == 0) {
        return http_add_header(x, "Cache-Control", "no-store") ? HTTP_ANSWER
                                                               : problem(x, PROBLEM_INTERNAL);
    }
    const char *etag = http_etag(x->arena, query->answer);
    if (!add_caching(x, query, etag, clock_unix())) {
        return problem(x, PROBLEM_INTERNAL);
    }
    if (http_is_known(x, etag)) {
        x->status = 304;
        x->content_type = NULL;
        x->answer = bytes_of(NULL, 0);
    }
    return HTTP_ANSWER;
}

static void done(struct ocsp_query *query) {
    struct http_exchange *x = of_query(query)->r->x;
    x->resume(x);
}

static enum http_next ask(struct request *r, struct bytes request) {
    struct pending *pending = arena_alloc(r->x->arena, sizeof *pending);
    if (pending == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    pending->r = r;
    pending->query.request = request;
    pending->query.done = done;
    r->pending = pending;
    r->finish = answer;
    return ocsp_responder_ask(r->api->options.ocsp, &pending->query, clock_unix()) ? answer(r)
                                                                                   : HTTP_WAIT;
}

enum http_next ocsp_post(struct request *r) {
    return ask(r, r->x->body);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decoded, `len` bytes; false: it is not encoded so. */
static bool decode_url(char *out, size_t *len, const char *text) {
    *len = 0;
    for (; *text != '\0'; text++) {
        char c = *text;
        if (c == '%') {
            int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
            if (low < 0) {
                return false;
            }
            c = (char)(high << 4 | low);
            text += 2;
        }
        out[(*len)++] = c;
    }
    return true;
}

/* The request is the path's last part, as URL-encoded base64 (slashes may come as they are). What
 * cannot be decoded is a request that is malformed. */
enum http_next ocsp_get(struct request *r) {
    const char *text = r->param[0];
    struct bytes request = bytes_of(NULL, 0);
    size_t len = 0;
    char *base64 = arena_alloc(r->x->arena, strlen(text) + 1);
    if (base64 == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    if (!decode_url(base64, &len, text) ||
        base64_decode_arena(r->x->arena, &request, base64, len, NULL) != STATUS_OK) {
        request = bytes_of(NULL, 0);
    }
    return ask(r, request);
}

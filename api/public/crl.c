/* Lists of revoked credentials, and the certificates of the authorities that sign them. A list is sent
 * out of the publisher's memory, which is held until it is on its way. */
#include "api/caching.h"
#include "api/handlers.h"
#include "server/base/clock.h"
#include "server/fleet/crl_publisher.h"

#include <string.h>

static const char DER[] = ".crl";

static void release(struct request *r) {
    crl_file_release(r->held);
}

/* Caches ask us after max_age at the latest: a revocation makes another list long before this one is over. */
static const char *cache_control(struct request *r, const struct crl_file *file, int64_t now) {
    int64_t age = file->renewed > now ? file->renewed - now : 0;
    int64_t max_age = r->api->options.config->crl_max_age_s;
    return arena_printf(r->x->arena, "max-age=%lld, public, no-transform, must-revalidate",
                        (long long)(age < max_age ? age : max_age));
}

/* `file` is released with the request. */
static enum http_next answer_file(struct request *r, const struct crl_file *file,
                                  const char *type) {
    struct http_exchange *x = r->x;
    int64_t now = clock_unix();
    if (file == NULL || file->next_update <= now) {
        crl_file_release(file);
        return problem(x, PROBLEM_CRL_UNAVAILABLE);
    }
    union {
        const struct crl_file *in;
        void *out;
    } held = {.in = file};
    r->held = held.out;
    r->release = release;
    if (!http_add_header(x, "Cache-Control", cache_control(r, file, now)) ||
        !http_add_header(x, "ETag", file->etag) ||
        !http_add_header(x, "Last-Modified", http_date(x->arena, file->this_update)) ||
        !http_add_header(x, "Expires", http_date(x->arena, file->next_update))) {
        return problem(x, PROBLEM_INTERNAL);
    }
    bool known = http_is_known(x, file->etag);
    x->status = known ? 304 : 200;
    x->content_type = known ? NULL : type;
    x->answer = known ? bytes_of(NULL, 0) : file->content;
    return HTTP_ANSWER;
}

/* The access authority whose id is the name up to `suffix`; NULL: none, or another suffix. */
static const struct signer_authority *named(struct request *r, const char *suffix) {
    const struct signer_authority *all;
    const char *name = r->param[0];
    size_t num = signer_authorities(r->api->options.signer, &all);
    for (size_t i = 0; i < num; i++) {
        size_t len = strlen(all[i].id);
        if (all[i].profile == PROFILE_ACCESS && strncmp(name, all[i].id, len) == 0 &&
            strcmp(name + len, suffix) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

enum http_next crl_show(struct request *r) {
    struct crl_publisher *publisher = r->api->options.crl;
    if (strcmp(r->param[0], "access.pem") == 0) {
        return answer_file(r, crl_publisher_bundle(publisher), "application/x-pem-file");
    }
    if (strcmp(r->param[0], "access.crl") == 0) {
        return answer_file(r, crl_publisher_list(publisher, ""), "application/pkix-crl");
    }
    const struct signer_authority *authority = named(r, DER);
    return authority == NULL ? problem(r->x, PROBLEM_NOT_FOUND)
                             : answer_file(r, crl_publisher_list(publisher, authority->id),
                                           "application/pkix-crl");
}

enum http_next ca_certificate_show(struct request *r) {
    const struct signer_authority *authority = named(r, ".cer");
    if (authority == NULL) {
        return problem(r->x, PROBLEM_NOT_FOUND);
    }
    if (!http_add_header(r->x, "Cache-Control", "max-age=3600")) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    r->x->status = 200;
    r->x->content_type = "application/pkix-cert";
    r->x->answer = authority->certificate;
    return HTTP_ANSWER;
}

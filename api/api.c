#include "api/api.h"

#include "api/dispatch.h"
#include "api/limiter.h"
#include "api/request.h"

#include <stdlib.h>
#include <string.h>

/* One authority's certificate as malloc'd PEM; NULL when memory ran out. */
static char *authority_pem(const struct signer *signer, enum profile profile) {
    struct arena arena;
    arena_init(&arena, 64 * 1024);
    const char *pem = certificate_to_pem(&arena, signer_authority(signer, profile));
    char *out = pem == NULL ? NULL : strdup(pem);
    arena_free(&arena);
    return out;
}

static enum status fill(struct api *api, const struct api_options *options) {
    api->options = *options;
    atomic_init(&api->ready, true);
    api->authority_pem[0] = authority_pem(options->signer, PROFILE_IDENTITY);
    api->authority_pem[1] = authority_pem(options->signer, PROFILE_ACCESS);
    if (api->authority_pem[0] == NULL || api->authority_pem[1] == NULL) {
        return STATUS_MEMORY;
    }
    for (enum config_plane plane = 0; plane < NUM_PLANES; plane++) {
        api->plane[plane] = (struct api_plane){.api = api, .plane = plane};
        dispatch_service(&api->plane[plane].service, &api->plane[plane]);
    }
    return limiter_new(&api->limiter, options->config->enrolment_per_ip_per_minute);
}

enum status api_new(struct api **out, const struct api_options *options, struct detail *detail) {
    enum status status = routes_check(routes_all(), detail);
    if (status != STATUS_OK) {
        return status;
    }
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the API");
    }
    status = fill(api, options);
    if (status != STATUS_OK) {
        api_free(api);
        return status_fail(detail, status, "no memory for the API");
    }
    *out = api;
    return STATUS_OK;
}

const struct http_service *api_service(const struct api *api, enum config_plane plane) {
    return &api->plane[plane].service;
}

void api_set_ready(struct api *api, bool ready) {
    atomic_store(&api->ready, ready);
}

void api_free(struct api *api) {
    if (api == NULL) {
        return;
    }
    limiter_free(api->limiter);
    free(api->authority_pem[0]);
    free(api->authority_pem[1]);
    free(api);
}

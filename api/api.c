#include "api/api.h"

#include "api/background.h"
#include "api/dispatch.h"
#include "api/limiter.h"
#include "api/lockout.h"
#include "api/request.h"

#include <stdlib.h>

static enum status fill(struct api *api, const struct api_options *options) {
    api->options = *options;
    atomic_init(&api->ready, true);
    for (enum config_plane plane = 0; plane < NUM_PLANES; plane++) {
        api->plane[plane] = (struct api_plane){.api = api, .plane = plane};
        dispatch_service(&api->plane[plane].service, &api->plane[plane]);
    }
    enum status status = lockout_new(&api->lockout);
    if (status == STATUS_OK) {
        status = background_new(&api->background, options->store);
    }
    return status == STATUS_OK
               ? limiter_new(&api->limiter, options->config->enrolment_per_ip_per_minute)
               : status;
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
        detail_prefix(detail, "API");
        api_free(api);
        return status;
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

void api_drain(struct api *api) {
    background_drain(api->background);
}

void api_free(struct api *api) {
    if (api == NULL) {
        return;
    }
    background_free(api->background);
    limiter_free(api->limiter);
    lockout_free(api->lockout);
    free(api);
}

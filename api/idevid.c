#include "api/idevid.h"

#include "server/base/clock.h"

#include <string.h>

enum { ROW_ARENA = 64 << 10 };

bool idevid_is_all(const struct device_row *device) {
    return device->identity_kind == IDENTITY_IDEVID && device->ek_public.len == 0 &&
           device->ek_certificate.len == 0 && device->ak_public.len == 0 && !device->has_clock;
}

enum status idevid_of_model(struct idevid *out, struct api *api, const char *model,
                            const struct bytes *chain, size_t num, int64_t now,
                            struct detail *detail) {
    struct policy_holder *holder = api->options.policy;
    const struct policy_model *found = policy_model(policy_read_begin(holder), model);
    enum status status;
    if (found == NULL) {
        status = status_fail(detail, STATUS_NOT_FOUND, "%s", model);
    } else if (found->idevid_bundle == NULL) {
        status = status_fail(detail, STATUS_INVALID, "the model trusts no maker");
    } else {
        status = idevid_check(out, chain[0], chain + 1, num - 1, found->idevid_bundle, now, detail);
    }
    policy_read_end(holder);
    return status;
}

/* The chain is that of the device's identity, and leads to its model's anchors. */
static bool chain_holds(struct api *api, const struct device_row *device, const struct bytes *chain,
                        size_t num, struct detail *detail) {
    struct idevid idevid;
    return device->identity_kind == IDENTITY_IDEVID &&
           idevid_of_model(&idevid, api, device->model, chain, num, clock_unix(), detail) ==
               STATUS_OK &&
           memcmp(idevid.sha256, device->idevid_sha256, sizeof idevid.sha256) == 0 &&
           strcmp(idevid.serial, device->idevid_serial) == 0;
}

bool idevid_holds(struct api *api, const struct device_row *device, const struct http_peer *peer) {
    struct detail detail = {0};
    return peer->vouched && peer->num_chain > 0 &&
           chain_holds(api, device, peer->chain, peer->num_chain, &detail);
}

bool idevid_vouch(void *plane, void *worker, const struct bytes *chain, size_t num) {
    struct api *api = ((const struct api_plane *)plane)->api;
    const struct api_worker *w = worker;
    __attribute__((cleanup(arena_free))) struct arena arena;
    struct device_row device;
    struct detail detail = {0};
    uint8_t sha256[32];
    arena_init(&arena, ROW_ARENA);
    digest_compute(HASH_SHA256, chain[0], sha256);
    if (store_device_by_identity(w->reader, &arena, &device, sha256) != STATUS_OK) {
        return false;
    }
    bool holds = device.state != DEVICE_RETIRED && chain_holds(api, &device, chain, num, &detail);
    if (!holds) {
        log_event(api->options.log, LOG_INFO, "idevid_refused", log_str("device", device.id),
                  log_str("state", device_state_name(device.state)),
                  log_str("detail", detail.text));
    }
    return holds;
}

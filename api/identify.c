#include "api/identify.h"

#include "api/idevid.h"
#include "server/base/log.h"

#include <stdio.h>
#include <string.h>

/* A device: its identity certificate is the one in force. One that we issued was verified by the
 * plane's anchors; a factory certificate is held against the model's at every request. */
static enum status identify_device(struct request *r) {
    const struct http_peer *peer = r->x->peer;
    if (!peer->authenticated) {
        return STATUS_DENIED;
    }
    struct device_row *row = arena_alloc(r->x->arena, sizeof *row);
    if (row == NULL) {
        return STATUS_MEMORY;
    }
    enum status status =
        store_device_by_identity(r->worker->reader, r->x->arena, row, peer->leaf_sha256);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_DENIED : status;
    }
    bool holds =
        row->identity_kind == IDENTITY_IDEVID ? idevid_holds(r->api, row, peer) : !peer->vouched;
    if (!holds) {
        return STATUS_DENIED;
    }
    r->device = row;
    r->role = ROLE_DEVICE;
    (void)snprintf(r->actor, sizeof r->actor, "device:%s", row->id);
    return STATUS_OK;
}

/* A proxy: registered, or at the Unix socket. */
static enum status identify_proxy(struct request *r) {
    const struct http_peer *peer = r->x->peer;
    if (peer->local) {
        r->role = ROLE_PROXY;
        memcpy(r->actor, "proxy:local", sizeof "proxy:local");
        return STATUS_OK;
    }
    if (!peer->authenticated) {
        return STATUS_DENIED;
    }
    struct policy_holder *holder = r->api->options.policy;
    const struct proxy_row *row = policy_proxy(policy_read_begin(holder), peer->leaf_sha256);
    bool known = row != NULL && !row->disabled;
    r->role = known ? ROLE_PROXY : 0;
    if (row != NULL) {
        (void)snprintf(r->actor, sizeof r->actor, "proxy:%s", row->name);
    }
    policy_read_end(holder);
    return known ? STATUS_OK : STATUS_DENIED;
}

static enum status identify_operator(struct request *r) {
    const struct http_peer *peer = r->x->peer;
    if (!peer->authenticated) {
        return STATUS_DENIED;
    }
    struct policy_holder *holder = r->api->options.policy;
    const struct operator_row *row = policy_operator(policy_read_begin(holder), peer->leaf_sha256);
    unsigned role = row != NULL && !row->disabled ? role_from_name(row->role) : 0;
    r->role = role;
    if (row != NULL) {
        text_copy(r->operator_name, sizeof r->operator_name, row->name);
        (void)snprintf(r->actor, sizeof r->actor, "operator:%s", row->name);
    }
    policy_read_end(holder);
    return role != 0 ? STATUS_OK : STATUS_DENIED;
}

enum status identify(struct request *r) {
    switch (r->plane) {
    case PLANE_ENROL:
    case PLANE_PUBLIC:
        r->role = ROLE_ANYONE;
        return STATUS_OK;
    case PLANE_DEVICE:
        return identify_device(r);
    case PLANE_PROXY:
        return identify_proxy(r);
    case PLANE_ADMIN:
        return identify_operator(r);
    case NUM_PLANES:
        break;
    }
    return STATUS_DENIED;
}

/* The HTTP API: five planes of routes over the store, the fleet table and the committer. Knows no
 * socket: each plane is an http_service for the transport. The contract is api/openapi.yaml. */
#ifndef GATEHOUSE_API_H
#define GATEHOUSE_API_H

#include "api/http.h"
#include "config/config.h"
#include "server/fleet/challenge.h"
#include "server/fleet/change_stream.h"
#include "server/fleet/committer.h"
#include "server/fleet/crl_publisher.h"
#include "server/fleet/ocsp_responder.h"
#include "server/fleet/preview.h"
#include "server/fleet/reappraisal.h"
#include "server/fleet/signals.h"
#include "server/fleet/statements.h"
#include "server/identity/ek_trust.h"

struct api;

struct api_options { /* everything is borrowed and outlives the api */
    const struct config *config;
    struct store *store;
    struct fleet_table *table;
    struct policy_holder *policy;
    struct challenges *challenges;
    struct committer *committer;
    struct previews *previews;
    struct change_streams *changes;
    struct signals *signals;
    struct reappraisals *reappraisals; /* NULL: what is asked for waits in the store */
    const struct signer *signer;       /* for the authorities' certificates only */
    struct ocsp_responder *ocsp;
    struct crl_publisher *crl;
    struct statements *statements;
    struct ek_trust *ek_trust; /* NULL: only models with EK anchors of their own enrol */
    const struct log *log;
    /* Extra lines for /metrics (Prometheus text), such as the transport's counters; may be NULL. */
    void (*metrics)(void *context, struct arena *arena, char **out);
    void *metrics_context;
};

/* Fails when a route states no role, or two routes are the same. */
MUST_USE enum status api_new(struct api **out, const struct api_options *options,
                             struct detail *detail);
const struct http_service *api_service(const struct api *api, enum config_plane plane);
/* False from now on for /readyz: the gateway is draining. Thread-safe. */
void api_set_ready(struct api *api, bool ready);
/* Waits for what runs beside the workers: after the transport was stopped, which has to outlive it. */
void api_drain(struct api *api);
void api_free(struct api *api); /* once the committer is stopped; NULL is allowed */

#endif

/* The gateway as a whole: everything that `serve` starts, in the order in which it starts. Belongs
 * to the main thread. */
#ifndef GATEHOUSE_COMMANDS_GATEWAY_H
#define GATEHOUSE_COMMANDS_GATEWAY_H

#include "api/api.h"
#include "server/transport/transport.h"

#include <stdatomic.h>

struct gateway { /* what is NULL was not started */
    const struct config *config;
    const struct log *log;
    int fatal_fd; /* an eventfd: the committer says that the signer is gone */
    struct signer *signer;
    struct store *store;
    struct ek_trust *ek_trust; /* NULL: the configuration names none */
    struct fleet_table *table;
    struct policy_holder *policy;
    struct feed *feed;
    struct change_streams *changes;
    uint8_t leaked_keys_sha256[32]; /* of the configuration's list; zeros: none */
    struct challenges *challenges;
    struct committer *committer;
    struct reappraisals *reappraisals;
    struct previews *previews;
    struct ocsp_responder *ocsp;
    struct crl_publisher *crl;
    struct signals *signals;
    struct statements *statements;
    struct api *api;
    _Atomic(struct transport *) transport; /* requests for /metrics may come before it is set */
    const struct signer_authority *authorities; /* as they were noted last; NULL: never */
    size_t num_authorities;
    int64_t authorities_seen; /* when that was */
    bool entered;             /* this thread reads the table */
    bool noted;               /* the start is in the audit log */
};

/* Zero-initialised, config and log set. On failure gateway_close is still to be called. */
MUST_USE enum status gateway_open(struct gateway *g, struct detail *detail);
/* Reads certificates, keys and anchors of the planes, the TPM vendors' and the signer's anew. On failure what could not be
 * read stays as it was. */
MUST_USE enum status gateway_reload(struct gateway *g, struct detail *detail);
/* Ends requests within `grace_ms`, then everything, in the opposite order. */
void gateway_close(struct gateway *g, unsigned grace_ms);

#endif

/* The policy in force: models, their compiled baselines, operators, proxies and what these may ask,
 * as one immutable snapshot. The committer replaces it when an administrator changed something; readers keep the one
 * they hold until they let go (RCU). */
#ifndef GATEHOUSE_FLEET_POLICY_H
#define GATEHOUSE_FLEET_POLICY_H

#include "db/store.h"
#include "server/appraisal/appraisal.h"
#include "server/crypto/x509.h"
#include "server/fleet/exceptions.h"
#include "server/tpm/pcr.h"

struct policy_term {
    int64_t until;                     /* the end of its grace; 0: none */
    const struct rollout_row *rollout; /* outside of its ring it does not count; NULL: none */
};

struct policy_model {
    struct model_row row;
    struct pcr_selection selection;
    const struct baseline **baseline; /* in force, oldest activation first */
    char (*baseline_id)[STORE_ID];    /* parallel, as is the next */
    struct policy_term *term;         /* for whom and how long each counts */
    size_t num_baselines;
    bool rolls_out; /* one of them has a rollout */
    /* The model's own anchors, compiled; NULL: it has none (db/store.h says what that means). */
    const struct trust_bundle *ek_bundle, *idevid_bundle;
};

/* The baselines in force for one device at `now`, oldest activation first: writes at most
 * BASELINE_MAX_PER_MODEL of them and, parallel, their ids, which belong to the snapshot; returns how
 * many. */
size_t policy_baselines(const struct policy_model *model, const char *device_id, int64_t now,
                        const struct baseline *out[static BASELINE_MAX_PER_MODEL],
                        const char *id[static BASELINE_MAX_PER_MODEL]);

struct policy; /* a snapshot */
/* Counts snapshots: what was judged with one of the same number was judged with the same policy. */
uint64_t policy_generation(const struct policy *policy);
const struct policy_model *policy_model(const struct policy *policy,
                                        const char *name); /* NULL: none */
const struct operator_row *
policy_operator(const struct policy *policy,
                const uint8_t sha256[static 32]); /* by any certificate of it; NULL: none; may
                                                   be disabled */
const struct proxy_row *policy_proxy(const struct policy *policy, const uint8_t sha256[static 32]);
const struct access_policy_row *policy_access(const struct policy *policy,
                                              const char *name); /* NULL: none */

/* Those that were in force when the snapshot was taken; never NULL. */
const struct exceptions *policy_exceptions(const struct policy *policy);
/* Those that configuration and API add to the ones compiled in; never NULL. */
const struct leaked_keys *policy_leaked_keys(const struct policy *policy);
/* The snapshot that first had this list, by its generation. */
uint64_t policy_leaked_keys_since(const struct policy *policy);

struct policy_holder;
MUST_USE enum status policy_holder_new(struct policy_holder **out);
void policy_holder_free(struct policy_holder *holder); /* no reader is left; NULL is allowed */
/* Between begin and end the thread (registered with fleet_thread_enter) may use the snapshot; it
 * must not wait there. Never NULL after the first reload. */
const struct policy *policy_read_begin(struct policy_holder *holder);
void policy_read_end(struct policy_holder *holder);
/* The leaked keys of the configuration, for the snapshots that are built from now on. Copied. By the
 * thread that reloads, or at start. MEMORY: those before stay. */
MUST_USE enum status policy_configure_leaked_keys(struct policy_holder *holder,
                                                  const struct leaked_keys *keys);
/* Builds a snapshot from the store and puts it in force; baselines whose document is the same are
 * taken over as they are compiled. Returns once nobody reads the old one. On failure the old one
 * stays in force, and the detail says why: STORAGE, MEMORY; MALFORMED, LIMIT, INVALID for a row that
 * does not compile (it did when it was written). Committer only, or at start; a registered thread. */
MUST_USE enum status policy_reload(struct policy_holder *holder, struct store_reader *reader,
                                   struct detail *detail);

#endif

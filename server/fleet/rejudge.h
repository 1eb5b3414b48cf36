/* Holds what devices booted against the policy in force, or against one that is only thought of.
 * Devices of which the same is known (boot state, baselines that apply to them) are judged once;
 * facts are made anew from what is kept, once for a boot state. Both are remembered within bounds.
 *
 * A rejudge belongs to one thread, which is registered with fleet_thread_enter, and has a
 * store_reader of its own. Between its calls it holds no policy. */
#ifndef GATEHOUSE_FLEET_REJUDGE_H
#define GATEHOUSE_FLEET_REJUDGE_H

#include "server/fleet/policy.h"

/* Why a device fails. Equal causes have equal digests: code, rule, PCR and what was found. */
struct judgement_cause {
    uint8_t digest[16];
    const char *code, *rule;
    int pcr;                                    /* -1: none */
    const char *expected, *found, *remediation; /* NULL: none */
};
enum judgement_basis {
    JUDGED_FACTS,
    JUDGED_WITHOUT_FACTS, /* nothing is kept of what it booted: only whether the baseline that
                             admitted it still applies was looked at */
    JUDGED_DAMAGED        /* what is kept cannot be read or is not what it was: no verdict */
};
struct judgement {
    enum judgement_basis basis;
    enum verdict verdict; /* VERDICT_UNKNOWN when DAMAGED */
    enum tier tier;
    uint16_t trustworthiness;    /* what the rules found (server/appraisal/trustworthiness.h) */
    bool earns;                  /* trusted, and the model gives a credential for the tier */
    char segment[STORE_SEGMENT]; /* what the tier gets then */
    char baseline_id[STORE_ID];  /* satisfied, or else the nearest; "": none */
    struct bytes findings;       /* JSON array */
    const struct judgement_cause *cause; /* its denials */
    size_t num_causes;
    uint8_t boot_state[32]; /* zeros: none */
    uint64_t generation;    /* of the policy it was judged with */
};

/* A baseline that is not in force, thought to be. */
struct judgement_draft {
    const struct baseline *baseline;
    const char *id;
    const char *const *replaces; /* ids of baselines that are thought not to be in force */
    size_t num_replaces;
    bool alone; /* no other is */
};

struct rejudge;
struct rejudge_options {
    struct store_reader *reader;
    struct policy_holder *policy;
};
/* MEMORY. */
MUST_USE enum status rejudge_new(struct rejudge **out, const struct rejudge_options *options);
void rejudge_free(struct rejudge *rejudge); /* NULL is allowed */
/* *out is good until the next call. `draft` may be NULL. NOT_FOUND: no such model; STORAGE, MEMORY:
 * try again. With `give_up` a boot state that cannot be read is DAMAGED. The detail says what is damaged. */
MUST_USE enum status rejudge_device(struct rejudge *rejudge, const struct judgement **out,
                                    const char *model, const struct device_standing_row *device,
                                    const struct judgement_draft *draft, int64_t now, bool give_up,
                                    struct detail *detail);
/* Forgets what it remembers, damage too. */
void rejudge_forget(struct rejudge *rejudge);
struct rejudge_counters {
    uint64_t facts_made, appraisals, shared; /* shared: answered without an appraisal */
};
struct rejudge_counters rejudge_count(const struct rejudge *rejudge);

#endif

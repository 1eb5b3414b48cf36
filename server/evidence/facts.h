/* Facts: what a device proved, whatever the evidence format, and how each fact is vouched for.
 * Appraisal reads only these. All views borrow from the evidence or the arena it was verified with.
 */
#ifndef GATEHOUSE_EVIDENCE_FACTS_H
#define GATEHOUSE_EVIDENCE_FACTS_H

#include "server/base/arena.h"
#include "server/tpm/pcr.h"

enum vouching {
    VOUCHED_CLAIMED = 0, /* nothing vouches: never read by a rule */
    VOUCHED_BOUND,       /* event data whose hash is the event's digest, or whose coverage the
                            specification states */
    VOUCHED_REPLAYED,    /* a digest in a log that replays to a quoted PCR */
    VOUCHED_QUOTED       /* a PCR in the signed selection */
};

struct fact_pcr {
    bool quoted; /* in the signed selection; then value is what the TPM holds */
    bool logged; /* the log extends it, and replays to value */
    uint8_t value[DIGEST_MAX];
};
struct fact_bank {
    enum hash_alg alg;
    struct fact_pcr pcr[PCR_COUNT];
};

enum { FACTS_MAX_EVENTS = 8192 };

struct fact_event {
    uint32_t index;     /* 0-based position in the log */
    uint32_t pcr, type; /* type is a claim: no digest covers it */
    enum vouching
        digest_vouched; /* REPLAYED; or CLAIMED: it extends nothing, or its PCR is not quoted */
    enum vouching data_vouched;         /* BOUND, or CLAIMED */
    struct bytes digest[PCR_MAX_BANKS]; /* parallel to facts.bank; empty where nothing vouches */
    struct bytes data;
};

struct facts {
    /* From the signed quote: */
    uint64_t tpm_firmware_version, tpm_clock;
    uint32_t tpm_reset_count, tpm_restart_count;
    bool tpm_safe;
    struct pcr_selection selection;
    struct fact_bank bank[PCR_MAX_BANKS]; /* one for each bank of the selection, in its order */
    size_t num_banks;
    /* From the log, when there is one: */
    bool has_log;
    struct fact_event *event;
    size_t num_events;
};

/* NULL when the bank is not among the facts. */
const struct fact_bank *facts_bank(const struct facts *facts, enum hash_alg alg);

#endif

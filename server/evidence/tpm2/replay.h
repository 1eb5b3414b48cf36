/* Replays an event log: what the PCRs must hold if exactly these events were extended. Allocates
 * nothing; thread-safe. Source: TCG PC Client Platform Firmware Profile 1.06, 3.3.2 (start
 * values), 10.4.5.3 (StartupLocality), 10.4.1 (EV_NO_ACTION extends nothing; EV_EFI_HCRTM_EVENT).
 */
#ifndef GATEHOUSE_EVIDENCE_TPM2_REPLAY_H
#define GATEHOUSE_EVIDENCE_TPM2_REPLAY_H

#include "server/evidence/tpm2/eventlog.h"

struct tcg_replay_bank {
    enum hash_alg alg;
    uint32_t log_bank;                    /* its position in the log */
    uint32_t touched;                     /* bit i: an event extended PCR i */
    uint8_t value[PCR_COUNT][DIGEST_MAX]; /* of untouched ones: the reset value */
};
struct tcg_replay { /* caller-allocated; no cleanup needed */
    struct tcg_replay_bank bank[PCR_MAX_BANKS];
    size_t num_banks;
    bool has_locality; /* a StartupLocality event came before PCR 0 was extended */
    uint8_t locality;  /* the locality of TPM2_Startup: 0 without such an event */
    bool hcrtm;        /* PCR 0 began with an H-CRTM measurement */
};

/* Every PCR at its reset value, in those of the `num` banks (at most PCR_MAX_BANKS) that the log
 * has and we compute. */
void tcg_replay_start(struct tcg_replay *out, const struct tcg_eventlog *log,
                      const enum hash_alg *bank, size_t num);
/* Takes the events in their order. A bank in which the event has no digest stays as it is. */
void tcg_replay_event(struct tcg_replay *replay, const struct tcg_event *event);
/* NULL when the log lacks the bank. */
const struct tcg_replay_bank *tcg_replay_bank(const struct tcg_replay *replay, enum hash_alg alg);

/* A StartupLocality event: true, and its locality. */
bool tcg_event_startup_locality(const struct tcg_event *event, uint8_t *locality);

#endif

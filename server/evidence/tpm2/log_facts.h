/* What an event log tells of quoted PCRs: each event with what vouches for it, and the facts that
 * follow from them. Private to server/evidence/tpm2. Thread-safe. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_LOG_FACTS_H
#define GATEHOUSE_EVIDENCE_TPM2_LOG_FACTS_H

#include "server/evidence/facts.h"
#include "server/evidence/tpm2/replay.h"

/* A log that was walked once to its end. */
struct walked_log {
    struct tcg_eventlog log; /* as opened: walking it begins with its first event */
    struct tcg_replay replay;
    uint32_t num_events;
};
/* Replays it in the banks of the facts. UNSUPPORTED: the older format, SHA-1 only. TRUNCATED,
 * MALFORMED, LIMIT: as eventlog.h says; *out is then undefined. */
MUST_USE enum status walk_log(struct walked_log *out, const struct facts *facts, struct bytes raw,
                              struct detail *detail);
/* Sets `logged` of each quoted PCR. */
void mark_logged(struct facts *facts, const struct tcg_replay *replay);
/* Whether what the log extends replays to the values of the facts; if not, the detail says where.
 * PCR i of the mask is not compared. */
MUST_USE bool log_meets_values(const struct facts *facts, const struct tcg_replay *replay,
                               uint32_t skipped, struct detail *detail);
/* The log's part of the facts, whose banks are filled in; NULL: what follows from having no log.
 * MEMORY. */
MUST_USE enum status log_facts(struct facts *facts, struct arena *arena,
                               const struct walked_log *walked, struct bytes raw);

#endif

/* What stays of evidence: a boot state, which the devices that booted the same share. Its canonical
 * form holds the PCR selection, the quoted values but for PCR 10 when IMA's log explains it, the TPM's
 * firmware version, and the SHA-256 of the event log; equal boot states have equal bytes, and facts
 * that appraisal cannot tell apart have one boot state. Clock, counters and IMA's entries are the
 * device's own and not in it. The log goes beside it, in pieces that other logs have too. Pure;
 * thread-safe. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_KEPT_H
#define GATEHOUSE_EVIDENCE_TPM2_KEPT_H

#include "server/evidence/facts.h"

struct boot_state {
    uint8_t sha256[32];     /* of `form` */
    struct bytes form;      /* the canonical form */
    uint8_t log_sha256[32]; /* zeros: no log */
};
/* What each byte of a PCR 10 that IMA's log explains is in facts from a boot state: quoted, and no
 * value that a TPM would come to, so that no rule takes it for reset or for a listed one. */
enum { KEPT_VALUE_UNKNOWN = 0xFF };
/* MEMORY. */
MUST_USE enum status boot_state_of(struct boot_state *out, struct arena *arena,
                                   const struct facts *facts);
/* The facts again, derived anew from the log with today's decoders: all but the clock, the counters
 * and IMA's. MALFORMED: the form is none, or the log is not the one it names, or no longer replays to
 * the values: then the store is damaged, which says nothing about the device. MEMORY. */
MUST_USE enum status boot_state_facts(struct facts *out, struct arena *arena, struct bytes form,
                                      struct bytes log, struct detail *detail);
/* The log cut so that devices of one model share most pieces: its header, then one piece an event.
 * One after another they are the log. MEMORY. */
MUST_USE enum status log_pieces(struct bytes **out, size_t *num, struct arena *arena,
                                struct bytes log);

#endif

/* Finds how much of an IMA log a quote confirms: the log is read after the quote was made, so that it
 * may be longer, and its first entries must lead to the quoted PCR 10 in every quoted bank. Pure;
 * thread-safe. One pass over the log a bank, and a second one where the kernel padded SHA-1 digests;
 * whatever is sent, no more than IMA_MAX_BYTES, IMA_MAX_ENTRIES and IMA_MAX_TRIALS are looked at. */
#ifndef GATEHOUSE_EVIDENCE_IMA_FOLLOW_H
#define GATEHOUSE_EVIDENCE_IMA_FOLLOW_H

#include "server/evidence/facts.h"
#include "server/evidence/ima/log.h"

enum { IMA_MAX_TRIALS = 65536 }; /* values of PCR 10 held against the quote's pcrDigest */

struct ima_following {
    struct bytes log;
    uint32_t from; /* the log's first entry has this number; those before are not sent */
    const struct fact_ima_position *kept; /* what was confirmed before; NULL: nothing */
    uint32_t
        given; /* bit b: the value of PCR 10 in facts->bank[b] is right or the evidence wrong */
    bool (*meets)(const struct facts *facts, const void *context); /* the signed pcrDigest */
    const void *context;
};
enum ima_outcome {
    IMA_FOLLOWED,    /* facts->ima is filled, and PCR 10 of every bank set */
    IMA_ASTRAY,      /* no start of the log leads there; the detail says what was tried */
    IMA_OTHER_PCR,   /* none of its entries extends PCR 10 */
    IMA_TOO_LONG,    /* a limit was reached before */
    IMA_START_WANTED /* `from` is not where the kept part ends in this very boot, or it does not lead
                        on: only a log from its start may help */
};
/* PCR 10 is quoted in one bank at least; counters and banks are those of the quote. With any other
 * outcome than IMA_FOLLOWED nothing is changed but PCR 10's values that were not given. MEMORY. */
MUST_USE enum status ima_follow(struct facts *facts, enum ima_outcome *outcome, struct arena *arena,
                                const struct ima_following *what, struct detail *detail);

/* Is this the hash of the quoted PCRs 0-9, or 0-7 as kernels before 5.8 have it? UNKNOWN: they are
 * not quoted in the bank of this algorithm. */
enum fact_flag ima_boot_aggregate(const struct facts *facts, enum hash_alg alg,
                                  const uint8_t *digest);

/* An entry as it is kept. */
struct ima_kept_entry {
    bool violation;
    struct bytes template_name, data;
};
/* Facts of entries that were confirmed with evidence of this boot before, in any order. `facts` are
 * those of the same boot but for IMA's. MEMORY. */
MUST_USE enum status ima_restore(struct fact_ima *out, struct arena *arena,
                                 const struct facts *facts, const struct fact_ima_position *kept,
                                 const struct ima_kept_entry *entry, size_t num);

#endif

/* Walks a firmware event log, one event at a time: the crypto-agile format (TCG_PCR_EVENT2) and,
 * for inspection, the older SHA-1 format (TCG_PCClientPCREvent). Allocates nothing, holds no
 * globals; thread-safe. Source: TCG PC Client Platform Firmware Profile 1.06, 10.2 and 10.4.5;
 * integers are little-endian. Frames events only: what an event means, and whether it is trusted,
 * belongs to replay.h and verify.c. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_EVENTLOG_H
#define GATEHOUSE_EVIDENCE_TPM2_EVENTLOG_H

#include "server/tpm/pcr.h"

enum { TCG_MAX_BANKS = 8, TCG_MAX_EVENTS = 8192 };

struct tcg_bank {
    uint16_t alg,
        digest_len; /* TPM_ALG_ID; bytes, 1..DIGEST_MAX. We need not know how to compute it */
};

struct tcg_event {
    uint32_t index;                     /* 0-based; the Spec ID event is number 0 */
    size_t offset;                      /* of its first byte in the log */
    uint32_t pcr;                       /* below PCR_COUNT; for EV_NO_ACTION also 0xFFFFFFFF */
    uint32_t type;                      /* covered by no digest: a claim */
    struct bytes digest[TCG_MAX_BANKS]; /* parallel to the log's banks, whatever the event's own
                                           order; {NULL, 0}: none */
    struct bytes data;
};

struct tcg_eventlog {  /* caller-allocated; no cleanup needed */
    struct bytes rest; /* borrowed: the raw log must outlive us */
    size_t len;        /* of the whole log */
    bool crypto_agile; /* false: the SHA-1 format, one bank */
    uint8_t spec_major, spec_minor,
        spec_errata;                     /* as the Spec ID event states them; zeros without one */
    struct tcg_bank bank[TCG_MAX_BANKS]; /* as the Spec ID event declares them */
    uint32_t num_banks, next_index;      /* 1..TCG_MAX_BANKS */
};

/* Looks at the first event to learn the format and the banks; consumes nothing. TRUNCATED,
 * MALFORMED, LIMIT: then *out is untouched, and the detail (which may be NULL) says "event 0 at
 * byte 0: ...". */
MUST_USE enum status tcg_eventlog_open(struct tcg_eventlog *out, struct bytes raw,
                                       struct detail *detail);

/* Writes one event, or returns END when no event is left: what remains is nothing, or padding to
 * the end, all 0x00 or all 0xFF, as the firmware's log areas have it. On any other status `*log`
 * and `*out` are untouched. TRUNCATED, MALFORMED, LIMIT. */
MUST_USE enum status tcg_eventlog_next(struct tcg_eventlog *log, struct tcg_event *out,
                                       struct detail *detail);

/* The position of a bank; TCG_MAX_BANKS when the log lacks it. */
uint32_t tcg_eventlog_bank(const struct tcg_eventlog *log, enum hash_alg alg);

#endif

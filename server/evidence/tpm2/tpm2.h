/* The `tpm2` evidence format: a quote, its signature, and the logs that explain it. Bytes in, facts
 * out. Pure: time, nonce and key are inputs. Source: TPM 2.0 Library Parts 1-3; TCG PC Client
 * Platform Firmware Profile 1.06. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_H
#define GATEHOUSE_EVIDENCE_TPM2_H

#include "server/evidence/facts.h"
#include "server/tpm/attest.h"

struct tpm2_evidence {          /* decoded, borrowed */
    struct bytes quote;         /* TPMS_ATTEST */
    struct bytes signature;     /* TPMT_SIGNATURE */
    struct bytes tcg_event_log; /* empty: none */
    struct bytes ima_log;       /* empty: none */
    uint32_t ima_log_from;      /* so many entries before it are not sent; see ima_kept */
    /* The PCR values that the device says it quoted (`quoted` marks those given). A value that is
     * not given follows from the log, or is the reset value, or, for PCR 10, what some start of the
     * IMA log leads to. Claims: used only when all of it hashes to the signed pcrDigest; one for a
     * PCR outside the signed selection is refused. */
    struct fact_bank claimed[PCR_MAX_BANKS];
    size_t num_claimed;
};

struct tpm2_expectation {
    const struct public_key *ak; /* verifies the quote */
    enum hash_alg ak_hash; /* the hash the AK's scheme states; HASH_NONE: any of SHA-256/384/512 */
    enum signature_scheme ak_scheme; /* the scheme the AK states; SIGNATURE_NONE: any that fits its
                                        kind */
    struct bytes nonce; /* extraData must be exactly this; nothing meets an empty one */
    const struct pcr_selection *selection;    /* the whole pcrSelect must equal it; NULL: any
                                              (`gatehouse appraise` without --pcrs) */
    const struct fact_ima_position *ima_kept; /* what was confirmed of this device's IMA log; it
                                                 counts for the same boot only; NULL: nothing */
};

/* A stable code of api.md for evidence that does not verify. */
enum tpm2_failure {
    TPM2_VERIFIED = 0,
    TPM2_MALFORMED,             /* "evidence_malformed": 400, the detail has field and offset */
    TPM2_SIGNATURE_INVALID,     /* "quote_signature_invalid" */
    TPM2_SIGNATURE_UNSUPPORTED, /* "quote_signature_unsupported": SHA-1, or a scheme that is not the
                                   AK's */
    TPM2_NOT_A_QUOTE,           /* "not_a_quote": magic or type */
    TPM2_NONCE_MISMATCH,        /* "nonce_mismatch" */
    TPM2_SELECTION_MISMATCH,    /* "pcr_selection_mismatch" */
    TPM2_WEAK_BANK,             /* "weak_pcr_bank": only SHA-1 quoted */
    TPM2_PCR_DIGEST_MISMATCH,   /* "pcr_digest_mismatch": the claimed values are not the quoted ones
                                 */
    TPM2_LOG_UNSUPPORTED,       /* "log_format_unsupported": an old SHA-1-format log */
    TPM2_LOG_DOES_NOT_REPLAY,   /* "log_does_not_replay": a PCR that the log touches replays to
                                   another value than the quoted one; or no values came, and what the
                                   logs lead to does not hash to pcrDigest */
    TPM2_PCR_UNKNOWN, /* "pcr_values_missing": no values came, and there is no log, or PCR 10
                                 is quoted and there is no IMA log */
    TPM2_IMA_PCR_UNSUPPORTED, /* "ima_pcr_unsupported": IMA's log is about another PCR than 10 */
    TPM2_IMA_LOG_TOO_LONG,    /* "ima_log_too_long": more than server/evidence/ima/ reads at once */
    TPM2_IMA_START_WANTED /* "ima_log_from_start_wanted": ima_log_from is not where ima_kept ends
                                 in this boot, or what follows does not lead on from it */
};
const char *tpm2_failure_code(enum tpm2_failure failure);

/* Checks, in this order: framing, TPM_GENERATED_VALUE, type, signature under the AK, extraData,
 * whole selection, pcrDigest, replay. Returns OK with *failure set: TPM2_VERIFIED and *out filled
 * (allocated in `arena`), or another value, *out untouched, and the detail saying what. MEMORY when
 * the arena is full. */
MUST_USE enum status tpm2_verify(struct facts *out, enum tpm2_failure *failure, struct arena *arena,
                                 const struct tpm2_evidence *evidence,
                                 const struct tpm2_expectation *expected, struct detail *detail);

/* What a log would prove if a quote confirmed all that it extends, in its banks but SHA-1: for
 * looking at logs (`gatehouse inspect`), never for a verdict. UNSUPPORTED: the older format, or no
 * bank that counts. TRUNCATED, MALFORMED, LIMIT, MEMORY. */
MUST_USE enum status tpm2_unquoted_facts(struct facts *out, struct arena *arena, struct bytes log,
                                         struct detail *detail);

#endif

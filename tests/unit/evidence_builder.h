/* Makes event logs, PCR values and quotes for tests and for the project's own vectors: every field can be
 * bent. Its replay is written from the specification, without the code under test. Whatever does not fit
 * ends the program: that is the test's own fault. */
#ifndef GATEHOUSE_TESTS_EVIDENCE_BUILDER_H
#define GATEHOUSE_TESTS_EVIDENCE_BUILDER_H

#include "server/crypto/key.h"
#include "server/evidence/tpm2/tpm2.h"

enum { BUILDER_BANKS = 8, BUILDER_EVENTS = 512, BUILDER_LOG_MAX = 1 << 18 };

struct log_builder {
    uint8_t *data; /* malloc'd: log_free */
    size_t len;
    uint16_t alg[BUILDER_BANKS], digest_len[BUILDER_BANKS];
    size_t num_banks;
    size_t start[BUILDER_EVENTS], num_events;                  /* where each event begins */
    size_t type_at[BUILDER_EVENTS];                            /* where its type stands */
    size_t digest_at[BUILDER_EVENTS], data_at[BUILDER_EVENTS]; /* first digest's bytes; data */
    uint8_t pcr[BUILDER_BANKS][PCR_COUNT][DIGEST_MAX];         /* what a TPM would hold */
    uint32_t touched;
    bool reversed; /* events list their banks last to first */
};

/* A Spec ID event for these TPM_ALG_IDs (unknown ones: digests of 32 zero bytes), ended by 0. */
void log_start(struct log_builder *log, const uint16_t *algs);
void log_free(struct log_builder *log);
/* Extends every bank by the hash of `measured`. */
void log_event(struct log_builder *log, uint32_t pcr, uint32_t type, struct bytes data,
               struct bytes measured);
/* EV_SEPARATOR-like: the digest is the data's. */
void log_text(struct log_builder *log, uint32_t pcr, uint32_t type, const char *text);
/* An event with a digest in one bank only. */
void log_event_in_bank(struct log_builder *log, uint16_t alg, uint32_t pcr, uint32_t type,
                       const char *text);
void log_no_action(struct log_builder *log, uint32_t pcr, struct bytes data);
void log_locality(struct log_builder *log, uint8_t locality);
void log_hcrtm(struct log_builder *log, const char *measured);
void log_padding(struct log_builder *log, uint8_t value, size_t len);
struct bytes log_bytes(const struct log_builder *log);
/* A small boot that touches PCRs 0-9 and 14 (19 events). */
void log_small_boot(struct log_builder *log, const uint16_t *algs);
const uint8_t *log_pcr(const struct log_builder *log, uint16_t alg, unsigned pcr);

/* TPMS_ATTEST, field by field. */
struct quote_builder {
    uint32_t magic;
    uint16_t type;
    struct bytes nonce;
    uint64_t clock, firmware_version;
    uint32_t reset_count, restart_count;
    uint8_t safe;
    struct {
        uint16_t alg;
        uint8_t size_of_select;
        uint32_t mask;
    } bank[BUILDER_BANKS];
    size_t num_banks;
    uint8_t digest[DIGEST_MAX];
    size_t digest_len;
};
/* A proper quote over `mask` of these banks (ended by 0); pcrDigest, with `hash`, from the log's values,
 * or from reset values when `log` is NULL. */
void quote_start(struct quote_builder *quote, struct bytes nonce, const uint16_t *algs,
                 uint32_t mask, const struct log_builder *log, enum hash_alg hash);
void quote_write(struct writer *out, const struct quote_builder *quote);
/* TPMT_SIGNATURE over `message`: ECDSA or RSASSA, with SHA-256 (P-384: SHA-384). */
void quote_sign(struct writer *out, const struct private_key *ak, struct bytes message);

/* A copy in memory of exactly its size, so that a read past it is seen; the caller frees it. */
uint8_t *exact_copy(struct bytes in);

#endif

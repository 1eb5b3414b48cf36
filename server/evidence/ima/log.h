/* Walks an IMA measurement log in its binary form (binary_runtime_measurements and its per-algorithm
 * sisters, little-endian), and says what each entry extends. Frames only: what the data mean is
 * decode.h, how much of the log a quote confirms is follow.h. Allocates nothing; thread-safe.
 * Source: Linux, security/integrity/ima/ima_fs.c, ima_crypto.c and ima_template.c.
 *
 * Of an entry nothing but the data is covered by what a PCR holds: the PCR's number, the template's
 * name and the template digest written in the log are claims. What an entry extends is therefore
 * always computed from its data. */
#ifndef GATEHOUSE_EVIDENCE_IMA_LOG_H
#define GATEHOUSE_EVIDENCE_IMA_LOG_H

#include "server/crypto/digest.h"

enum {
    IMA_PCR = 10,
    IMA_MAX_ENTRIES = 32768,         /* in one piece of evidence */
    IMA_MAX_BYTES = 4 * 1024 * 1024, /* likewise */
    IMA_TEMPLATE_NAME_MAX = 64,
    IMA_FILE_NAME_MAX = 255
};

struct ima_log {
    struct bytes rest; /* borrowed */
    size_t len, template_digest_len;
    uint32_t next_index;
};
struct ima_entry {
    uint32_t index;
    size_t offset;
    uint32_t pcr;
    struct bytes template_digest; /* as the log says; all zero: a violation */
    struct bytes template_name;   /* "ima-ng" */
    struct bytes data; /* template "ima": the 20 bytes of the file's digest; others: all fields with
                          their lengths */
    struct bytes file_name; /* template "ima" only; else data is NULL */
};

/* The size of the log's template digests (20, 32, 48 or 64 bytes) follows from the first entry. */
struct ima_log ima_log_open(struct bytes raw);
/* END when nothing is left. Otherwise, but for OK, nothing is changed: TRUNCATED, MALFORMED, LIMIT,
 * the detail saying "entry 3 at byte 123: ...". */
MUST_USE enum status ima_log_next(struct ima_log *log, struct ima_entry *out,
                                  struct detail *detail);

/* The kernel could not tell what was read: it extended all ones, and nothing vouches for the data. */
bool ima_entry_is_violation(const struct ima_entry *entry);
/* Does the log's own template digest cover the data? True for a violation. */
bool ima_entry_is_consistent(const struct ima_entry *entry);

/* How a kernel makes the digest for a bank from an entry. */
enum ima_extend {
    IMA_HASHED, /* the template data's hash with the bank's algorithm (Linux 5.8 and newer) */
    IMA_PADDED  /* its SHA-1 hash and zeros (older, or a kernel without that algorithm) */
};
/* Writes digest_len(alg) bytes; a violation gives all ones. */
void ima_entry_digest(const struct ima_entry *entry, enum hash_alg alg, enum ima_extend how,
                      uint8_t *out);

#endif

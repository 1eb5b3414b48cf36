/* Walks an IMA measurement log in its binary form (ima_runtime_measurements_..., little-endian),
 * and says what each entry extends. Allocates nothing; thread-safe. Source: Linux,
 * security/integrity/ima/ima_fs.c and ima_crypto.c. Frames only, for finding the PCR 10 that a
 * quote holds; what entries mean is not judged here. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_IMA_H
#define GATEHOUSE_EVIDENCE_TPM2_IMA_H

#include "server/crypto/digest.h"

enum {
    IMA_PCR = 10,
    IMA_MAX_ENTRIES = 200000,
    IMA_TEMPLATE_NAME_MAX = 64,
    IMA_FILE_NAME_MAX = 255
};

struct ima_log {
    struct bytes rest; /* borrowed */
    size_t len;
    uint32_t next_index;
};
struct ima_entry {
    uint32_t index;
    size_t offset;
    uint32_t pcr;
    struct bytes template_digest; /* SHA-1, 20 bytes; all zero: a violation */
    struct bytes template_name;   /* "ima-ng" */
    struct bytes data; /* template "ima": the 20 bytes of the file's digest; others: all fields with
                          their lengths */
    struct bytes file_name; /* template "ima" only */
};

struct ima_log ima_log_open(struct bytes raw);
/* END when nothing is left. Otherwise, but for OK, nothing is changed: TRUNCATED, MALFORMED, LIMIT,
 * the detail saying "entry 3 at byte 123: ...". */
MUST_USE enum status ima_log_next(struct ima_log *log, struct ima_entry *out,
                                  struct detail *detail);

/* How a kernel makes the digest for a bank from an entry. */
enum ima_extend {
    IMA_HASHED, /* the template data's hash with the bank's algorithm (Linux 5.8 and newer) */
    IMA_PADDED /* the SHA-1 template digest and zeros (older, or a kernel without that algorithm) */
};
/* Writes digest_len(alg) bytes; a violation gives all ones. */
void ima_entry_digest(const struct ima_entry *entry, enum hash_alg alg, enum ima_extend how,
                      uint8_t *out);

#endif

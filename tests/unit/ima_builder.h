/* Makes IMA logs for tests, fuzz seeds and benches, and says what PCR 10 they lead to. Written from
 * the kernel's description, without the code under test. What does not fit ends the program. */
#ifndef GATEHOUSE_TESTS_IMA_BUILDER_H
#define GATEHOUSE_TESTS_IMA_BUILDER_H

#include "server/crypto/digest.h"

enum { IMA_BUILDER_BANKS = 4, IMA_BUILDER_DATA = 8192 };

struct ima_builder {
    uint8_t *data; /* malloc'd: ima_free */
    size_t len, cap;
    enum hash_alg template_alg; /* of the log's template digests; SHA-1 unless changed */
    unsigned padded;            /* bit b: bank b holds SHA-1 and zeros */
    uint32_t num;
    uint8_t pcr[IMA_BUILDER_BANKS][DIGEST_MAX]; /* SHA-1, SHA-256, SHA-384, SHA-512 */
};

void ima_start(struct ima_builder *log);
void ima_free(struct ima_builder *log);
struct bytes ima_bytes(const struct ima_builder *log);
const uint8_t *ima_pcr(const struct ima_builder *log, enum hash_alg alg);

/* An entry of any template but "ima"; its data are all fields with their lengths. */
void ima_add(struct ima_builder *log, uint32_t pcr, const char *name, struct bytes data,
             bool violation);
/* Of "ima": a digest of 20 bytes and a name. */
void ima_add_first(struct ima_builder *log, const uint8_t digest[static 20], const char *path);
/* A field with its length; "d-ng" and "d-ngv2" (type "ima", "verity"; NULL: d-ng); "n-ng". */
void ima_field(struct writer *data, struct bytes field);
void ima_digest(struct writer *data, const char *type, enum hash_alg alg, const uint8_t *digest);
void ima_name(struct writer *data, const char *name);
/* "ima-sig" with a SHA-256 digest; "ima-ng" when signature.data is NULL. */
void ima_file(struct ima_builder *log, const char *path, const uint8_t digest[static 32],
              struct bytes signature);
/* The same with the SHA-256 of the path for a digest, which stands for the file's contents. */
void ima_sample(struct ima_builder *log, const char *path);
/* "ima-ng" boot_aggregate: SHA-256 of these ten values. */
void ima_aggregate(struct ima_builder *log, const uint8_t (*pcr)[32]);

#endif

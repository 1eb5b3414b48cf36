/* Hash functions by their TPM_ALG_ID (TCG Algorithm Registry). Stateless, thread-safe. */
#ifndef GATEHOUSE_CRYPTO_DIGEST_H
#define GATEHOUSE_CRYPTO_DIGEST_H

#include "server/base/bytes.h"

enum hash_alg {
    HASH_NONE = 0,
    HASH_SHA1 = 0x0004, /* for certificate ids and old PCR banks; never in a signature */
    HASH_SHA256 = 0x000B,
    HASH_SHA384 = 0x000C,
    HASH_SHA512 = 0x000D
};
enum { DIGEST_MAX = 64 };

size_t digest_len(enum hash_alg alg);           /* bytes; 0 for what we do not compute */
const char *hash_name(enum hash_alg alg);       /* "sha256"; "none" */
enum hash_alg hash_from_name(const char *name); /* HASH_NONE when unknown */

/* Writes digest_len(alg) bytes. Never fails for a supported alg: any fault inside aborts. */
void digest_compute(enum hash_alg alg, struct bytes in, uint8_t *out);
/* Of a, then b: a PCR extend is digest_compute2(alg, old, event, out). */
void digest_compute2(enum hash_alg alg, struct bytes a, struct bytes b, uint8_t *out);
/* What comes in pieces. MEMORY; end writes the digest and frees it; free alone gives it up (NULL is
 * allowed). */
struct digest_stream;
MUST_USE enum status digest_stream_new(struct digest_stream **out, enum hash_alg alg);
void digest_stream_add(struct digest_stream *stream, struct bytes in);
void digest_stream_end(struct digest_stream *stream, uint8_t *out);
void digest_stream_free(struct digest_stream *stream);
void hmac_compute(enum hash_alg alg, struct bytes key, struct bytes in, uint8_t *out);

#endif

#include <wolfssl/options.h>

#include "server/crypto/wolf.h"
#include "server/crypto/x509.h"

#include <string.h>
#include <wolfssl/wolfcrypt/asn_public.h>

static const char begin_mark[] = "-----BEGIN CERTIFICATE-----";
static const char end_mark[] = "-----END CERTIFICATE-----";

/* The next block, marks included; false when there is none. `*closed` says whether its end was
 * found. */
static bool next_block(struct bytes *in, struct bytes *block, bool *closed) {
    struct bytes skipped;
    const uint8_t *begin =
        in->len == 0 ? NULL : memmem(in->data, in->len, begin_mark, sizeof begin_mark - 1);
    if (begin == NULL || bytes_take(in, (size_t)(begin - in->data), &skipped) != STATUS_OK) {
        return false;
    }
    const uint8_t *end = memmem(in->data, in->len, end_mark, sizeof end_mark - 1);
    *closed = end != NULL &&
              bytes_take(in, (size_t)(end - in->data) + sizeof end_mark - 1, block) == STATUS_OK;
    return true;
}

static enum status decode(struct arena *arena, struct bytes *out, struct bytes block) {
    DerBuffer *der = NULL;
    /* wolfSSL wants a terminator or a line's end after the block. */
    char *text = arena_text_n(arena, (const char *)block.data, block.len);
    if (text == NULL) {
        return STATUS_MEMORY;
    }
    int result = wc_PemToDer((const uint8_t *)text, (long)wolf_len(block.len + 1), CERT_TYPE, &der,
                             NULL, NULL, NULL);
    if (result != 0) {
        wc_FreeDer(&der); /* also when it fails it may have made one */
        return STATUS_MALFORMED;
    }
    *out = arena_bytes(arena, bytes_of(der->buffer, der->length));
    wc_FreeDer(&der);
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

enum status pem_certificates(struct arena *arena, struct bytes *out, size_t *num, size_t cap,
                             struct bytes pem, struct detail *detail) {
    struct bytes block;
    bool closed;
    size_t found = 0;
    while (next_block(&pem, &block, &closed)) {
        if (found == cap) {
            return status_fail(detail, STATUS_LIMIT, "more than %zu certificates", cap);
        }
        enum status status = closed ? decode(arena, &out[found], block) : STATUS_MALFORMED;
        if (status != STATUS_OK) {
            return status_fail(detail, status, "certificate %zu is not PEM", found + 1);
        }
        found++;
    }
    if (found == 0) {
        return status_fail(detail, STATUS_MALFORMED, "no PEM certificate");
    }
    *num = found;
    return STATUS_OK;
}

char *certificate_to_pem(struct arena *arena, struct bytes der) {
    int len = wc_DerToPem(der.data, wolf_len(der.len), NULL, 0, CERT_TYPE);
    char *text = len <= 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (text == NULL ||
        wc_DerToPem(der.data, wolf_len(der.len), (uint8_t *)text, (word32)len, CERT_TYPE) <= 0) {
        return NULL;
    }
    return text;
}

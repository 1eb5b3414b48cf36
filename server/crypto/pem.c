#include <wolfssl/options.h>

#include "server/crypto/wolf.h"
#include "server/crypto/x509.h"

#include <limits.h>
#include <string.h>
#include <wolfssl/wolfcrypt/asn_public.h>

static const char begin_mark[] = "-----BEGIN ", end_mark[] = "-----END ";
static const char plain[] = "CERTIFICATE-----", trusted[] = "TRUSTED CERTIFICATE-----";

struct block {
    struct bytes body; /* between the marks */
    bool trusted, closed;
};

static bool skip_to(struct bytes *in, struct bytes *skipped, const char *text) {
    size_t len = strlen(text);
    const uint8_t *at = in->len == 0 ? NULL : memmem(in->data, in->len, text, len);
    return at != NULL && bytes_take(in, (size_t)(at - in->data), skipped) == STATUS_OK;
}

static bool take_text(struct bytes *in, const char *text) {
    struct bytes rest = *in, taken;
    if (bytes_take(&rest, strlen(text), &taken) != STATUS_OK ||
        !bytes_equal(taken, bytes_of_text(text))) {
        return false;
    }
    *in = rest;
    return true;
}

/* The next block of a certificate, marked as trusted or not; false when there is none. Blocks of
 * other things (keys) are passed over. */
static bool next_block(struct bytes *in, struct block *out) {
    struct bytes skipped;
    while (skip_to(in, &skipped, begin_mark) && take_text(in, begin_mark)) {
        out->trusted = take_text(in, trusted);
        if (!out->trusted && !take_text(in, plain)) {
            continue;
        }
        out->closed = skip_to(in, &out->body, end_mark) && take_text(in, end_mark) &&
                      take_text(in, out->trusted ? trusted : plain);
        return true;
    }
    return false;
}

/* wolfSSL knows the plain mark, and wants a line's end after the block. */
static enum status decode(struct arena *arena, struct bytes *out, struct bytes body) {
    DerBuffer *der = NULL;
    if (body.len > 0 && memchr(body.data, '\0', body.len) != NULL) {
        return STATUS_MALFORMED;
    }
    char *text = body.len > INT_MAX
                     ? NULL
                     : arena_printf(arena, "%s%s%.*s%s%s\n", begin_mark, plain, (int)body.len,
                                    (const char *)body.data, end_mark, plain);
    if (text == NULL) {
        return STATUS_MEMORY;
    }
    int result =
        wc_PemToDer((const uint8_t *)text, (long)strlen(text), CERT_TYPE, &der, NULL, NULL, NULL);
    if (result != 0) {
        wc_FreeDer(&der); /* also when it fails it may have made one */
        return STATUS_MALFORMED;
    }
    *out = arena_bytes(arena, bytes_of(der->buffer, der->length));
    wc_FreeDer(&der);
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

enum status pem_trust_certificates(struct arena *arena, struct trust_certificate *out, size_t *num,
                                   size_t cap, struct bytes pem, struct detail *detail) {
    struct block block;
    size_t found = 0;
    while (next_block(&pem, &block)) {
        if (found == cap) {
            return status_fail(detail, STATUS_LIMIT, "more than %zu certificates", cap);
        }
        out[found].anchor = block.trusted;
        enum status status =
            block.closed ? decode(arena, &out[found].der, block.body) : STATUS_MALFORMED;
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

enum status pem_certificates(struct arena *arena, struct bytes *out, size_t *num, size_t cap,
                             struct bytes pem, struct detail *detail) {
    struct trust_certificate *all = arena_array(arena, cap, sizeof *all);
    size_t found = 0;
    if (all == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = pem_trust_certificates(arena, all, &found, cap, pem, detail);
    for (size_t i = 0; status == STATUS_OK && i < found; i++) {
        out[i] = all[i].der;
        if (all[i].anchor) {
            status = status_fail(detail, STATUS_UNSUPPORTED,
                                 "certificate %zu is marked as trusted: that has a meaning in "
                                 "trust bundles only",
                                 i + 1);
        }
    }
    if (status == STATUS_OK) {
        *num = found;
    }
    return status;
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

#include "server/commands/doctor_spoof.h"

#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/crypto/digest.h"
#include "server/crypto/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 16, MAX_CHAIN = 8, NUM_DIALECTS = 6 };

static const char *const device_headers[] = {
    "X-Device-Id",      "X-Device-Model",          "X-Device-Tier",
    "X-Device-Segment", "X-Device-Key-Protection", "X-Device-Lease"};
static const char *const certificate_headers[] = {"X-SSL-Client-Cert",
                                                  "X-SSL-Client-Verify",
                                                  "X-Forwarded-Client-Cert",
                                                  "X-Forwarded-Tls-Client-Cert",
                                                  "X-Forwarded-Tls-Client-Cert-Info",
                                                  "X-Client-Cert",
                                                  "X-Client-Cert-Sha256",
                                                  "Client-Cert",
                                                  "Client-Cert-Chain"};

/* All but what RFC 3986, section 2.3 calls unreserved as %XX. */
static const char *percent_encode(struct arena *arena, const char *text) {
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(arena, 3 * strlen(text) + 1);
    for (char *at = out; out != NULL && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        }
    }
    return out;
}

/* The same header, its name with underscores. */
static const char *underscored(struct arena *arena, const char *header) {
    char *out = arena_text(arena, header);
    for (char *c = out; c != NULL && *c != '\0' && *c != ':'; c++) {
        *c = (char)(*c == '-' ? '_' : *c);
    }
    return out;
}

static const char **list(struct arena *arena, size_t num) {
    return (const char **)arena_array(arena, num + 1, sizeof(const char *));
}

static enum status read_certificate(struct bytes *der, struct arena *arena, const char *file,
                                    struct detail *detail) {
    uint8_t *pem = NULL;
    size_t len = 0, num = 0;
    struct bytes chain[MAX_CHAIN];
    enum status status = file_read(&pem, &len, file, FILE_MAX, detail);
    if (status == STATUS_OK) {
        status = pem_certificates(arena, chain, &num, MAX_CHAIN, bytes_of(pem, len), detail);
    }
    if (status == STATUS_OK && num == 0) {
        status = status_fail(detail, STATUS_MALFORMED, "%s: no certificate in it", file);
    }
    if (status == STATUS_OK) {
        *der = chain[0];
    }
    free(pem);
    return status;
}

enum status spoofs_make(struct spoof out[static NUM_SPOOFS], struct arena *arena, const char *file,
                        struct detail *detail) {
    struct bytes der;
    char sha256[65];
    uint8_t hash[32];
    enum status status = read_certificate(&der, arena, file, detail);
    if (status != STATUS_OK) {
        return status;
    }
    digest_compute(HASH_SHA256, der, hash);
    hex_encode(sha256, bytes_of(hash, sizeof hash));
    const char *base64 = base64_encode_arena(arena, der);
    const char *pem = certificate_to_pem(arena, der);
    const char *escaped = pem == NULL ? NULL : percent_encode(arena, pem);
    const char **all = list(arena, (size_t)NUM_DIALECTS + 1);
    const char **under = list(arena, (size_t)NUM_DIALECTS + 1);
    if (base64 == NULL || escaped == NULL || all == NULL || under == NULL) {
        return STATUS_MEMORY;
    }
    const char *made[NUM_DIALECTS][2] = {
        {arena_printf(arena, "X-SSL-Client-Cert: %s", escaped), "X-SSL-Client-Verify: SUCCESS"},
        {arena_printf(arena, "X-Forwarded-Client-Cert: Hash=%s;Cert=\"%s\"", sha256, escaped),
         NULL},
        {arena_printf(arena, "X-Forwarded-Tls-Client-Cert: %s", base64), NULL},
        {arena_printf(arena, "X-Client-Cert: %s", base64), NULL},
        {arena_printf(arena, "Client-Cert: :%s:", base64), NULL},
        {arena_printf(arena, "X-Client-Cert-Sha256: %s", sha256), NULL},
    };
    size_t num = 0;
    for (size_t i = 0; i < NUM_DIALECTS && !arena->overflow; i++) {
        const char **one = list(arena, 2);
        size_t len = (size_t)(strchr(made[i][0], ':') - made[i][0]);
        out[i] = (struct spoof){arena_text_n(arena, made[i][0], len), one};
        for (size_t k = 0; k < 2 && made[i][k] != NULL && one != NULL; k++) {
            one[k] = made[i][k];
            under[num] = underscored(arena, made[i][k]);
            all[num++] = made[i][k];
        }
    }
    out[NUM_DIALECTS] = (struct spoof){"the same with underscores", under};
    out[NUM_DIALECTS + 1] = (struct spoof){"all of them at once", all};
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* Each name as it is, with underscores, and with its last dash only as one. */
static const char *const *spelled(struct arena *arena, const char *const *names, size_t num,
                                  const char *marker) {
    const char **out = list(arena, 3 * num);
    for (size_t i = 0; i < num && !arena->overflow; i++) {
        const char *header = arena_printf(arena, "%s: %s", names[i], marker);
        char *mixed = arena_text(arena, names[i]);
        if (header == NULL || mixed == NULL || out == NULL) {
            return NULL;
        }
        *strrchr(mixed, '-') = '_';
        out[3 * i] = header;
        out[3 * i + 1] = underscored(arena, header);
        out[3 * i + 2] = arena_printf(arena, "%s: %s", mixed, marker);
    }
    return arena->overflow ? NULL : out;
}

const char *const *spoof_device_headers(struct arena *arena, const char *marker) {
    return spelled(arena, device_headers, sizeof device_headers / sizeof device_headers[0], marker);
}

const char *const *spoof_certificate_headers(struct arena *arena, const char *marker) {
    return spelled(arena, certificate_headers,
                   sizeof certificate_headers / sizeof certificate_headers[0], marker);
}

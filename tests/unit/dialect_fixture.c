#include "tests/unit/dialect_fixture.h"

#include "server/base/encoding.h"
#include "server/crypto/digest.h"
#include "server/crypto/x509.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

char *dialect_escape(struct arena *arena, const char *text) {
    char *out = arena_alloc(arena, 3 * strlen(text) + 1), *at = out;
    ck_assert_ptr_nonnull(out);
    for (; *text != '\0'; text++) {
        if (isalnum((unsigned char)*text) != 0 || strchr("-._~", *text) != NULL) {
            *at++ = *text;
        } else {
            at += sprintf(at, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
    *at = '\0';
    return out;
}

/* Without a trailing blank line, and with the line's end that OpenSSL writes. */
static const char *pem_of(struct arena *arena, struct bytes der) {
    const char *base64 = base64_encode_arena(arena, der);
    char *out = arena_alloc(arena, strlen(base64) * 2 + 64), *at = out;
    at += sprintf(at, "-----BEGIN CERTIFICATE-----\n");
    for (size_t i = 0; base64[i] != '\0'; i++) {
        *at++ = base64[i];
        if (i % 64 == 63 && base64[i + 1] != '\0') {
            *at++ = '\n';
        }
    }
    (void)sprintf(at, "\n-----END CERTIFICATE-----\n");
    return out;
}

static const char *digest_of(struct arena *arena, struct bytes der) {
    uint8_t digest[32];
    char *hex = arena_alloc(arena, 65);
    digest_compute(HASH_SHA256, der, digest);
    hex_encode(hex, bytes_of(digest, sizeof digest));
    return hex;
}

char *dialect_value(struct arena *arena, enum dialect dialect, struct bytes der) {
    const char *base64 = base64_encode_arena(arena, der);
    switch (dialect) {
    case DIALECT_NGINX:
        return dialect_escape(arena, pem_of(arena, der));
    case DIALECT_ENVOY_XFCC:
        return arena_printf(arena,
                            "By=spiffe://cluster.local/ns/edge/sa/front;Hash=%s;Cert=\"%s\";"
                            "Subject=\"CN=a \\\"quoted\\\", name;O=x\";URI=spiffe://x/device/y;"
                            "DNS=device.example",
                            digest_of(arena, der), dialect_escape(arena, pem_of(arena, der)));
    case DIALECT_TRAEFIK:
        return arena_printf(arena, "%s,%s", base64, base64);
    case DIALECT_CADDY:
        return arena_printf(arena, "%s", base64);
    case DIALECT_RFC9440:
        return arena_printf(arena, ":%s:", base64);
    case DIALECT_FINGERPRINT:
        return arena_printf(arena, "%s", digest_of(arena, der));
    case DIALECT_NONE:
    case NUM_DIALECTS:
        break;
    }
    return arena_printf(arena, "%s", "");
}

size_t dialect_headers(struct arena *arena, const char *out[static DIALECT_HEADERS],
                       enum dialect dialect, struct bytes der) {
    static const char *const names[NUM_DIALECTS] = {
        [DIALECT_NONE] = "X-Nothing",
        [DIALECT_NGINX] = "X-SSL-Client-Cert",
        [DIALECT_ENVOY_XFCC] = "x-forwarded-client-cert",
        [DIALECT_TRAEFIK] = "X-Forwarded-Tls-Client-Cert",
        [DIALECT_CADDY] = "X-Client-Cert",
        [DIALECT_RFC9440] = "Client-Cert",
        [DIALECT_FINGERPRINT] = "X-Client-Cert-Sha256"};
    size_t num = 0;
    out[num++] = arena_printf(arena, "%s: %s", names[dialect], dialect_value(arena, dialect, der));
    if (dialect == DIALECT_NGINX) {
        out[num++] = "X-SSL-Client-Verify: SUCCESS";
    }
    if (dialect == DIALECT_RFC9440) {
        out[num++] = "Client-Cert-Chain: :AAAA:, :AAAA:";
    }
    out[num] = NULL;
    return num;
}

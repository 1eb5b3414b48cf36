#include "api/proxy/client_certificate.h"

#include "server/base/encoding.h"
#include "server/crypto/digest.h"

#include <string.h>
#include <strings.h>

#define READ      CLIENT_CERTIFICATE_READ
#define MALFORMED CLIENT_CERTIFICATE_MALFORMED

enum { PEM_MAX = 6 * 1024, CHAIN_MAX = 8, KEY_MAX = 16 };

static const char nginx_verify[] = "X-SSL-Client-Verify";
static const char *const names[NUM_DIALECTS] = {[DIALECT_NONE] = "",
                                                [DIALECT_NGINX] = "X-SSL-Client-Cert",
                                                [DIALECT_ENVOY_XFCC] = "X-Forwarded-Client-Cert",
                                                [DIALECT_TRAEFIK] = "X-Forwarded-Tls-Client-Cert",
                                                [DIALECT_CADDY] = "X-Client-Cert",
                                                [DIALECT_RFC9440] = "Client-Cert",
                                                [DIALECT_FINGERPRINT] = "X-Client-Cert-Sha256"};

const char *client_certificate_headers(enum dialect dialect) {
    return dialect == DIALECT_NGINX ? "X-SSL-Client-Cert, X-SSL-Client-Verify" : names[dialect];
}

/* A borrowed part of a header. */
struct part {
    const char *text;
    size_t len;
};

/* --- encodings --- */

static int digit_of(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* 64 hex digits of either case: HAProxy writes upper, the others lower ones. */
static bool read_digest(uint8_t out[static 32], struct part in) {
    for (size_t i = 0; i < 32 && in.len == 64; i++) {
        int high = digit_of(in.text[2 * i]), low = digit_of(in.text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return in.len == 64;
}

/* Undoes percent-encoding (RFC 3986, 2.1); every '%' has its two digits. */
static bool undo_percent(char *out, size_t *out_len, size_t cap, struct part in) {
    size_t len = 0;
    while (in.len > 0) {
        const char *mark = memchr(in.text, '%', in.len);
        size_t run = mark == NULL ? in.len : (size_t)(mark - in.text);
        if (run > cap - len) {
            return false;
        }
        memcpy(out + len, in.text, run);
        len += run;
        in = (struct part){in.text + run, in.len - run};
        if (mark == NULL) {
            break;
        }
        int high = in.len < 3 ? -1 : digit_of(in.text[1]);
        int low = in.len < 3 ? -1 : digit_of(in.text[2]);
        if (high < 0 || low < 0 || len == cap) {
            return false;
        }
        out[len++] = (char)(high << 4 | low);
        in = (struct part){in.text + 3, in.len - 3};
    }
    *out_len = len;
    return true;
}

static bool read_der(struct client_certificate *out, struct part base64) {
    if (base64.len == 0 || base64_decode(out->der, &out->der_len, sizeof out->der, base64.text,
                                         base64.len) != STATUS_OK) {
        return false;
    }
    digest_compute(HASH_SHA256, bytes_of(out->der, out->der_len), out->sha256);
    return true;
}

/* Base64 that may be percent-encoded. */
static bool read_escaped_der(struct client_certificate *out, struct part in) {
    char text[PEM_MAX];
    size_t len;
    if (in.len == 0 || memchr(in.text, '%', in.len) == NULL) {
        return read_der(out, in);
    }
    return undo_percent(text, &len, sizeof text, in) && read_der(out, (struct part){text, len});
}

static bool cut_start(struct part *in, const char *start) {
    size_t len = strlen(start);
    if (in->len < len || memcmp(in->text, start, len) != 0) {
        return false;
    }
    *in = (struct part){in->text + len, in->len - len};
    return true;
}

static bool cut_end(struct part *in, const char *end) {
    size_t len = strlen(end);
    if (in->len < len || memcmp(in->text + in->len - len, end, len) != 0) {
        return false;
    }
    in->len -= len;
    return true;
}

/* Lines become one; none is empty. */
static bool join_lines(char *out, size_t *out_len, struct part in) {
    size_t len = 0;
    bool more = true;
    while (more) {
        const char *end = memchr(in.text, '\n', in.len);
        size_t line = end == NULL ? in.len : (size_t)(end - in.text);
        if (line == 0) {
            return false;
        }
        memmove(out + len, in.text, line);
        len += line;
        more = end != NULL;
        in = more ? (struct part){in.text + line + 1, in.len - line - 1} : in;
    }
    *out_len = len;
    return true;
}

/* Exactly one percent-encoded block of PEM, as OpenSSL writes it. */
static bool read_escaped_pem(struct client_certificate *out, struct part in) {
    char text[PEM_MAX];
    size_t len;
    if (!undo_percent(text, &len, sizeof text, in)) {
        return false;
    }
    struct part body = {text, len};
    (void)cut_end(&body, "\n");
    return cut_start(&body, "-----BEGIN CERTIFICATE-----\n") &&
           cut_end(&body, "\n-----END CERTIFICATE-----") && join_lines(text, &len, body) &&
           read_der(out, (struct part){text, len});
}

/* --- Envoy's header --- */

/* The name before '='. */
static bool xfcc_key(struct part *in, struct part *key) {
    size_t len = 0;
    while (len < in->len && len <= KEY_MAX &&
           ((in->text[len] >= 'A' && in->text[len] <= 'Z') ||
            (in->text[len] >= 'a' && in->text[len] <= 'z'))) {
        len++;
    }
    if (len == 0 || len > KEY_MAX || len == in->len || in->text[len] != '=') {
        return false;
    }
    *key = (struct part){in->text, len};
    *in = (struct part){in->text + len + 1, in->len - len - 1};
    return true;
}

/* What follows it: quoted, where a backslash takes the meaning of the next character, or up to the
 * next semicolon. A comma outside of quotes ends a hop, and there is one hop. */
static bool xfcc_value(struct part *in, struct part *value) {
    bool quoted = in->len > 0 && in->text[0] == '"';
    size_t at = quoted ? 1 : 0, begin = at;
    while (at < in->len && in->text[at] != (quoted ? '"' : ';')) {
        if (!quoted && (in->text[at] == ',' || in->text[at] == '"')) {
            return false;
        }
        at += quoted && in->text[at] == '\\' ? 2 : 1;
    }
    if (at > in->len || (quoted && at == in->len)) {
        return false;
    }
    *value = (struct part){in->text + begin, at - begin};
    at += quoted ? 1 : 0;
    *in = (struct part){in->text + at, in->len - at};
    return true;
}

static bool is_key(struct part key, const char *name) {
    return key.len == strlen(name) && strncasecmp(key.text, name, key.len) == 0;
}

/* The values of Hash and Cert; text NULL where there is none. False: not one hop, or one of them twice. */
static bool xfcc_split(struct part in, struct part *hash, struct part *cert) {
    bool more = true;
    while (more) {
        struct part key, value;
        if (!xfcc_key(&in, &key) || !xfcc_value(&in, &value)) {
            return false;
        }
        struct part *target = is_key(key, "Hash") ? hash : is_key(key, "Cert") ? cert : NULL;
        if (target != NULL && target->text != NULL) {
            return false;
        }
        if (target != NULL) {
            *target = value;
        }
        more = in.len > 0;
        if (more && !cut_start(&in, ";")) {
            return false;
        }
    }
    return true;
}

static bool read_xfcc(struct client_certificate *out, struct part in) {
    struct part hash = {0}, cert = {0};
    uint8_t digest[32];
    if (!xfcc_split(in, &hash, &cert) || (hash.text == NULL && cert.text == NULL) ||
        (hash.text != NULL && !read_digest(digest, hash))) {
        return false;
    }
    if (cert.text == NULL) {
        memcpy(out->sha256, digest, sizeof digest);
        return true;
    }
    return read_escaped_pem(out, cert) &&
           (hash.text == NULL || memcmp(digest, out->sha256, sizeof digest) == 0);
}

/* --- the others --- */

/* The first of a chain; the others are of the alphabet, and no more. */
static bool read_traefik(struct client_certificate *out, struct part in) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=%";
    struct part leaf = {in.text, strcspn(in.text, ",")};
    const char *at = in.text + leaf.len;
    for (unsigned num = 1; *at == ','; num++) {
        size_t len = strspn(at + 1, alphabet);
        if (len == 0 || num == CHAIN_MAX) {
            return false;
        }
        at += 1 + len;
    }
    return *at == '\0' && read_escaped_der(out, leaf);
}

static bool read_byte_sequence(struct client_certificate *out, struct part in) {
    return cut_start(&in, ":") && cut_end(&in, ":") && read_der(out, in);
}

static bool is_none(enum dialect dialect, const char *value) {
    return value == NULL || value[0] == '\0' ||
           (dialect == DIALECT_RFC9440 && strcmp(value, "::") == 0);
}

enum client_certificate_outcome client_certificate_decode(struct client_certificate *out,
                                                          enum dialect dialect, const char *value) {
    if (is_none(dialect, value)) {
        return CLIENT_CERTIFICATE_ABSENT;
    }
    struct part in = {value, strlen(value)};
    out->der_len = 0;
    switch (dialect) {
    case DIALECT_NGINX:
        return read_escaped_pem(out, in) ? READ : MALFORMED;
    case DIALECT_ENVOY_XFCC:
        return read_xfcc(out, in) ? READ : MALFORMED;
    case DIALECT_TRAEFIK:
        return read_traefik(out, in) ? READ : MALFORMED;
    case DIALECT_CADDY:
        return read_der(out, in) ? READ : MALFORMED;
    case DIALECT_RFC9440:
        return read_byte_sequence(out, in) ? READ : MALFORMED;
    case DIALECT_FINGERPRINT:
        return read_digest(out->sha256, in) ? READ : MALFORMED;
    case DIALECT_NONE:
    case NUM_DIALECTS:
        break;
    }
    return CLIENT_CERTIFICATE_ABSENT;
}

/* nginx hands on what a client presented also when it does not hold. */
static enum client_certificate_outcome nginx_verified(const struct http_exchange *x,
                                                      const char *value) {
    size_t count = 0;
    const char *verify = x->request_header(x, nginx_verify, &count);
    if (count > 1) {
        return CLIENT_CERTIFICATE_DUPLICATE;
    }
    bool none = verify == NULL || verify[0] == '\0' || strcmp(verify, "NONE") == 0;
    if (none && is_none(DIALECT_NGINX, value)) {
        return CLIENT_CERTIFICATE_ABSENT;
    }
    if (none || strcmp(verify, "SUCCESS") != 0) {
        return CLIENT_CERTIFICATE_NOT_VERIFIED;
    }
    return is_none(DIALECT_NGINX, value) ? MALFORMED : READ;
}

enum client_certificate_outcome client_certificate_read(struct client_certificate *out,
                                                        enum dialect dialect,
                                                        const struct http_exchange *x) {
    size_t count = 0;
    if (dialect == DIALECT_NONE) {
        return CLIENT_CERTIFICATE_ABSENT;
    }
    const char *value = x->request_header(x, names[dialect], &count);
    if (count > 1) {
        return CLIENT_CERTIFICATE_DUPLICATE;
    }
    enum client_certificate_outcome outcome =
        dialect == DIALECT_NGINX ? nginx_verified(x, value) : READ;
    return outcome == READ ? client_certificate_decode(out, dialect, value) : outcome;
}

#include "api/admin/registered.h"

#include "server/crypto/x509.h"

#include <string.h>

static bool bad_certificate(struct request *r, const char *why) {
    (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "certificate: %s", why);
    return false;
}

static bool read_pem(struct request *r, struct registered_certificate *out, const char *pem) {
    struct bytes der;
    size_t num = 0;
    struct certificate certificate;
    struct detail detail = {0};
    if (pem_certificates(r->x->arena, &der, &num, 1, bytes_of_text(pem), &detail) != STATUS_OK ||
        num != 1) {
        return bad_certificate(r, "must be one certificate as PEM");
    }
    if (certificate_parse(&certificate, der, &detail) != STATUS_OK) {
        return bad_certificate(r, detail.text);
    }
    if (certificate.is_ca) {
        return bad_certificate(r, "an authority's certificate registers nobody");
    }
    memcpy(out->sha256, certificate.sha256, 32);
    out->der = der;
    out->not_after = certificate.not_after;
    _Static_assert(sizeof out->subject >= sizeof certificate.subject, "the subject fits");
    text_copy(out->subject, sizeof out->subject, certificate.subject);
    return true;
}

bool registered_read(struct request *r, struct registered_certificate *out,
                     const struct registered_body *body, bool required) {
    bool pem = body->certificate != NULL, digest = body->certificate_sha256.len == 32;
    *out = (struct registered_certificate){.given = pem || digest};
    if (body->name != NULL && !name_is_valid(body->name)) {
        (void)problem_detail(r->x, PROBLEM_INVALID_FIELD, "name: 1 to 64 of [A-Za-z0-9._-]");
        return false;
    }
    if (pem && digest) {
        return bad_certificate(r, "either this or certificate_sha256");
    }
    if (required && !out->given) {
        (void)problem_detail(r->x, PROBLEM_MISSING_FIELD, "certificate or certificate_sha256");
        return false;
    }
    if (digest) {
        memcpy(out->sha256, body->certificate_sha256.data, 32);
    }
    return !pem || read_pem(r, out, body->certificate);
}

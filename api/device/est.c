/* EST (RFC 7030): the messages, and what a device may read: the access authorities, and what we want
 * of a request for a certificate. */
#include "api/device/est.h"

#include "api/handlers.h"
#include "server/base/encoding.h"
#include "server/credential/certs_only.h"
#include "server/crypto/der.h"
#include "server/crypto/oid.h"

#include <string.h>

enum { ATTRIBUTES_MAX = 128 };
#define CERTIFICATES "application/pkcs7-mime; smime-type=certs-only"

enum http_next est_answer(struct request *r, const char *media, struct bytes message) {
    struct http_exchange *x = r->x;
    const char *text = base64_encode_arena(x->arena, message);
    if (text == NULL || !http_add_header(x, "Content-Transfer-Encoding", "base64") ||
        !http_add_header(x, "Cache-Control", "no-store")) {
        return problem(x, PROBLEM_INTERNAL);
    }
    x->status = 200;
    x->content_type = media;
    x->answer = bytes_of_text(text); /* in one line: not every client takes more (RFC 8951 3.1) */
    return HTTP_ANSWER;
}

enum http_next est_answer_certificates(struct request *r, const struct bytes *certificate,
                                       size_t num) {
    size_t cap = CERTS_ONLY_OVERHEAD;
    for (size_t i = 0; i < num; i++) {
        cap += certificate[i].len;
    }
    uint8_t *message = arena_alloc(r->x->arena, cap);
    if (message == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    struct writer w = writer_of(message, cap);
    if (certs_only_write(&w, certificate, num) != STATUS_OK) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    return est_answer(r, CERTIFICATES, writer_bytes(&w));
}

bool est_read(struct request *r, struct bytes *out) {
    struct bytes body = r->x->body;
    struct detail detail = {0};
    uint8_t byte;
    if (body.len > EST_REQUEST_MAX) {
        (void)problem(r->x, PROBLEM_BODY_TOO_LARGE);
        return false;
    }
    char *text = arena_alloc(r->x->arena, body.len + 1);
    size_t len = 0;
    if (text == NULL) {
        (void)problem(r->x, PROBLEM_INTERNAL);
        return false;
    }
    while (bytes_u8(&body, &byte) == STATUS_OK) {
        if (byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n') {
            text[len++] = (char)byte;
        }
    }
    if (base64_decode_arena(r->x->arena, out, text, len, &detail) != STATUS_OK) {
        (void)problem_detail(r->x, PROBLEM_MALFORMED_BASE64, "body: %s", detail.text);
        return false;
    }
    return true;
}

enum http_next est_cacerts(struct request *r) {
    const struct signer_authority *authority;
    size_t num = signer_authorities(r->api->options.signer, &authority), taken = 0;
    struct bytes certificate[SIGNER_AUTHORITIES_MAX];
    for (size_t i = 0; i < num; i++) {
        if (authority[i].profile == PROFILE_ACCESS) {
            certificate[taken++] = authority[i].certificate;
        }
    }
    return est_answer_certificates(r, certificate, taken);
}

/* CsrAttrs (RFC 7030 4.5.2, RFC 9908): an EC key on P-256, a signature with SHA-256. Whatever else
 * a request holds is left aside: profiles decide what is issued. */
enum http_next est_csrattrs(struct request *r) {
    uint8_t der[ATTRIBUTES_MAX];
    struct writer w = writer_of(der, sizeof der);
    size_t all = der_open(&w, DER_SEQUENCE);
    size_t attribute = der_open(&w, DER_SEQUENCE);
    der_write(&w, DER_OID, DER_OID_OF(OID_EC));
    size_t values = der_open(&w, DER_SET);
    der_write(&w, DER_OID, DER_OID_OF(OID_P256));
    der_close(&w, values);
    der_close(&w, attribute);
    der_write(&w, DER_OID, DER_OID_OF(OID_ECDSA_SHA256));
    der_close(&w, all);
    return w.overflow ? problem(r->x, PROBLEM_INTERNAL)
                      : est_answer(r, "application/csrattrs", writer_bytes(&w));
}

/* The certificate of a proxy's client, out of the request header in which the proxy hands it on. Which
 * header is read, and how, is the proxy's dialect:
 *
 *   nginx        X-SSL-Client-Cert: $ssl_client_escaped_cert (one PEM block, percent-encoded), together
 *                with X-SSL-Client-Verify: $ssl_client_verify, which has to be SUCCESS (NONE: there is
 *                no certificate)
 *   envoy_xfcc   X-Forwarded-Client-Cert of one hop: Hash (SHA-256 of the DER, hex), Cert (PEM,
 *                percent-encoded), or both, which then have to agree; other keys are not looked at.
 *                A header of several hops is refused: nothing says which of them is the client
 *   traefik      X-Forwarded-Tls-Client-Cert: base64 DER; more after commas are its chain, which is not
 *                used. Percent-encoded, as Traefik 2 wrote it, is taken too
 *   caddy        X-Client-Cert: {http.request.tls.client.certificate_der_base64}
 *   rfc9440      Client-Cert: a byte sequence, ":base64:" (RFC 9440, 2.2); "::" is none
 *   fingerprint  X-Client-Cert-Sha256: SHA-256 of the DER, 64 hex digits
 *
 * No other header is looked at. Allocates nothing; thread-safe. */
#ifndef GATEHOUSE_API_PROXY_CLIENT_CERTIFICATE_H
#define GATEHOUSE_API_PROXY_CLIENT_CERTIFICATE_H

#include "api/http.h"
#include "server/base/dialect.h"

/* Twice what our profiles write: anything longer is not ours. */
enum { CLIENT_CERTIFICATE_DER_MAX = 4096 };

struct client_certificate {
    uint8_t sha256[32]; /* of the DER */
    size_t der_len;     /* 0: only the digest is known */
    uint8_t der[CLIENT_CERTIFICATE_DER_MAX];
};

enum client_certificate_outcome {
    CLIENT_CERTIFICATE_READ,
    CLIENT_CERTIFICATE_ABSENT,       /* the client presented none */
    CLIENT_CERTIFICATE_DUPLICATE,    /* a header of the dialect stands twice: one may be forged */
    CLIENT_CERTIFICATE_NOT_VERIFIED, /* nginx says so */
    CLIENT_CERTIFICATE_MALFORMED
};

/* What `value` says in a dialect, without its further headers: READ, ABSENT or MALFORMED. On any but
 * READ what *out holds is not defined. */
MUST_USE enum client_certificate_outcome
client_certificate_decode(struct client_certificate *out, enum dialect dialect, const char *value);
/* The same of a request's headers. */
MUST_USE enum client_certificate_outcome client_certificate_read(struct client_certificate *out,
                                                                 enum dialect dialect,
                                                                 const struct http_exchange *x);
/* The names of what it reads, as Vary says them; "" for DIALECT_NONE. */
const char *client_certificate_headers(enum dialect dialect);

#endif

#include "server/credential/profile_revocation.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509_write.h"

#include <stdio.h>

enum {
    URI = DER_CONTEXT | 6,
    LOCATION_MAX = PROFILE_URL_MAX + 64,
    VALUE_MAX = 2 * LOCATION_MAX + 64
};

static void write_uri(struct writer *w, const char *url, const char *path, const char *name,
                      const char *suffix) {
    char text[LOCATION_MAX];
    int len = snprintf(text, sizeof text, "%s%s%s%s", url, path, name, suffix);
    w->overflow |= len < 0 || (size_t)len >= sizeof text;
    if (!w->overflow) {
        der_write(w, URI, bytes_of_text(text));
    }
}

/* SEQUENCE OF one DistributionPoint { [0] distributionPoint { [0] fullName { uri } } } */
static void write_points(struct writer *w, const char *url, const char *authority) {
    uint8_t buffer[VALUE_MAX];
    struct writer value = writer_of(buffer, sizeof buffer);
    size_t list = der_open(&value, DER_SEQUENCE), point = der_open(&value, DER_SEQUENCE);
    size_t name = der_open(&value, DER_CONTEXT_CONSTRUCTED | 0);
    size_t full = der_open(&value, DER_CONTEXT_CONSTRUCTED | 0);
    write_uri(&value, url, "/v1/crl/", authority, ".crl");
    der_close(&value, full);
    der_close(&value, name);
    der_close(&value, point);
    der_close(&value, list);
    w->overflow |= value.overflow;
    x509_write_extension(w, DER_OID_OF(OID_CRL_POINTS), false, writer_bytes(&value));
}

/* SEQUENCE OF AccessDescription { accessMethod, uri } */
static void write_access(struct writer *w, const char *url, const char *authority) {
    uint8_t buffer[VALUE_MAX];
    struct writer value = writer_of(buffer, sizeof buffer);
    size_t list = der_open(&value, DER_SEQUENCE), ocsp = der_open(&value, DER_SEQUENCE);
    der_write(&value, DER_OID, DER_OID_OF(OID_AUTHORITY_INFO_OCSP));
    write_uri(&value, url, "/v1/ocsp", "", "");
    der_close(&value, ocsp);
    size_t issuer = der_open(&value, DER_SEQUENCE);
    der_write(&value, DER_OID, DER_OID_OF(OID_AUTHORITY_INFO_ISSUERS));
    write_uri(&value, url, "/v1/ca/access/", authority, ".cer");
    der_close(&value, issuer);
    der_close(&value, list);
    w->overflow |= value.overflow;
    x509_write_extension(w, DER_OID_OF(OID_AUTHORITY_INFO), false, writer_bytes(&value));
}

void profile_write_revocation(struct writer *w, const char *url, const char *authority) {
    static const uint8_t nothing[] = {DER_NULL, 0};
    if (url == NULL) {
        x509_write_extension(w, DER_OID_OF(OID_NO_REV_AVAIL), false,
                             bytes_of(nothing, sizeof nothing));
        return;
    }
    write_points(w, url, authority);
    write_access(w, url, authority);
}

/* The certificate headers of proxies: the first byte chooses the dialect. What is read is whole: the digest
 * is that of the DER, and the DER is what the value's base64 says; a value that is read is read again the
 * same. */
#include "api/proxy/client_certificate.h"
#include "server/crypto/digest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void check_read(const struct client_certificate *out, enum dialect dialect,
                       const char *value) {
    static struct client_certificate again;
    uint8_t digest[32];
    hold(out->der_len <= sizeof out->der);
    if (out->der_len != 0) {
        digest_compute(HASH_SHA256, bytes_of(out->der, out->der_len), digest);
        hold(memcmp(digest, out->sha256, sizeof digest) == 0);
    }
    hold(out->der_len != 0 || dialect == DIALECT_FINGERPRINT || dialect == DIALECT_ENVOY_XFCC);
    hold(out->der_len == 0 || dialect != DIALECT_FINGERPRINT);
    hold(client_certificate_decode(&again, dialect, value) == CLIENT_CERTIFICATE_READ);
    hold(memcmp(again.sha256, out->sha256, sizeof digest) == 0 && again.der_len == out->der_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct client_certificate out;
    if (size == 0) {
        return 0;
    }
    enum dialect dialect = (enum dialect)(data[0] % NUM_DIALECTS);
    char *value = malloc(size); /* of its very size: readers past its end are seen */
    hold(value != NULL);
    memcpy(value, data + 1, size - 1);
    value[size - 1] = '\0';
    enum client_certificate_outcome outcome = client_certificate_decode(&out, dialect, value);
    hold(outcome == CLIENT_CERTIFICATE_READ || outcome == CLIENT_CERTIFICATE_ABSENT ||
         outcome == CLIENT_CERTIFICATE_MALFORMED);
    hold(outcome != CLIENT_CERTIFICATE_READ || (dialect != DIALECT_NONE && value[0] != '\0'));
    if (outcome == CLIENT_CERTIFICATE_READ) {
        check_read(&out, dialect, value);
    }
    free(value);
    return 0;
}

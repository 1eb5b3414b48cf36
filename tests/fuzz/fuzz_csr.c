/* A request is refused, or its key is one of ours in its one canonical form, and the whole input
 * was used. */
#include "server/crypto/der.h"
#include "server/crypto/x509.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct csr csr, untouched;
    struct public_key again;
    struct detail detail = {0};
    size_t len = 0;
    memset(&csr, 0xA5, sizeof csr);
    untouched = csr;
    enum status status = csr_parse(&csr, bytes_of(data, size), &detail);
    require(memchr(detail.text, '\0', sizeof detail.text) != NULL);
    if (status != STATUS_OK) {
        require(status == STATUS_MALFORMED || status == STATUS_UNSUPPORTED ||
                status == STATUS_INVALID);
        require(detail.text[0] != '\0');
        require(bytes_equal(bytes_of(&csr, sizeof csr), bytes_of(&untouched, sizeof csr)));
        return 0;
    }
    require(der_element_len(&len, bytes_of(data, size)) == STATUS_OK && len == size);
    require(csr.spki_len <= sizeof csr.spki);
    struct bytes spki = bytes_of(csr.spki, csr.spki_len);
    require(public_key_from_spki(&again, spki, NULL) == STATUS_OK &&
            public_key_equal(&again, &csr.key));
    uint8_t buffer[KEY_SPKI_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    require(public_key_to_spki(&w, &again) == STATUS_OK && bytes_equal(writer_bytes(&w), spki));
    require(csr.key.kind == KEY_EC_P256 || csr.key.kind == KEY_EC_P384 ||
            csr.key.kind == KEY_ED25519 || (csr.key.kind == KEY_RSA && csr.key.bits >= 2048));
    return 0;
}

/* What an NV area holds is refused, or the certificate found in it is a whole element of the very
 * bytes, with nothing but padding behind it; alone it is found again. What is read of it as met by
 * vendors is at least all that the strict reader reads, and the same. */
#include "server/crypto/der.h"
#include "server/identity/enrolment.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void check_reading(struct bytes der) {
    struct certificate strict, as_met;
    struct detail detail = {0};
    enum status met = certificate_parse_as_met(&as_met, der, &detail);
    if (certificate_parse(&strict, der, NULL) == STATUS_OK) {
        /* Of a key marked as rsaesOaep the strict reader reads nothing. */
        require(met == STATUS_OK || strict.key.kind == KEY_NONE);
        require(met != STATUS_OK || (strcmp(strict.subject, as_met.subject) == 0 &&
                                     memcmp(strict.sha256, as_met.sha256, 32) == 0));
        require(strict.key.kind == KEY_NONE || public_key_equal(&strict.key, &as_met.key));
    }
    if (met == STATUS_OK) {
        require(as_met.key.kind == KEY_NONE || public_key_check(&as_met.key, NULL) == STATUS_OK);
        struct tpm_public ek = {.key = as_met.key};
        struct trust_certificate self = {.der = der};
        struct trust_bundle *bundle = NULL;
        if (trust_bundle_of(&bundle, &self, 1, NULL) == STATUS_OK) {
            /* No EK certificate vouches for itself. */
            require(ek_certificate_check(NULL, der, &ek, bundle, as_met.not_after, &detail) !=
                    STATUS_OK);
            trust_bundle_free(bundle);
        }
    } else {
        require(detail.text[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes area = bytes_of(data, size), der = {NULL, 77}, again, rest;
    struct detail detail = {0};
    if (ek_certificate_unwrap(&der, area, &detail) != STATUS_OK) {
        require(der.len == 77 && detail.text[0] != '\0');
        return 0;
    }
    require(der.data >= data && der.len <= size && der.data + der.len <= data + size);
    rest = bytes_of(der.data + der.len, size - (size_t)(der.data - data) - der.len);
    for (size_t i = 0; i < rest.len; i++) {
        require(rest.data[i] == 0x00 || rest.data[i] == 0xFF);
    }
    require(ek_certificate_unwrap(&again, der, &detail) == STATUS_OK && again.data == der.data &&
            again.len == der.len);
    check_reading(der);
    return 0;
}

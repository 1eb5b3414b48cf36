#include "server/identity/idevid.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"

#include <string.h>

static bool is_printable(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

/* The values of the subject's serialNumbers; how many there are, and the last of them. */
static size_t find_serial(struct bytes *out, struct bytes name) {
    struct bytes sets, set, pair, oid, value;
    unsigned tag;
    size_t num = 0;
    if (der_take(&name, DER_SEQUENCE, &sets) != STATUS_OK) {
        return 0;
    }
    while (sets.len > 0 && der_take(&sets, DER_SET, &set) == STATUS_OK) {
        while (set.len > 0 && der_take(&set, DER_SEQUENCE, &pair) == STATUS_OK) {
            if (der_take(&pair, DER_OID, &oid) != STATUS_OK ||
                der_any(&pair, &tag, &value) != STATUS_OK ||
                !bytes_equal(oid, DER_OID_OF(OID_SERIAL_NUMBER))) {
                continue;
            }
            num++;
            *out =
                tag == DER_PRINTABLE_STRING || tag == DER_UTF8_STRING ? value : bytes_of(NULL, 0);
        }
    }
    return num;
}

static enum status read(struct idevid *out, struct bytes der, struct detail *detail) {
    struct certificate certificate;
    struct bytes serial = {NULL, 0};
    enum status status = certificate_parse(&certificate, der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (certificate.key.kind == KEY_NONE) {
        return status_fail(detail, STATUS_INVALID, "its key is of a kind that is not taken");
    }
    if (find_serial(&serial, certificate.subject_name) != 1 || serial.len == 0 ||
        serial.len >= IDEVID_SERIAL_SIZE || !is_printable(serial)) {
        return status_fail(detail, STATUS_INVALID,
                           "its subject lacks a serialNumber of 1 to 64 printable characters");
    }
    *out = (struct idevid){.key = certificate.key, .not_after = certificate.not_after};
    memcpy(out->sha256, certificate.sha256, sizeof out->sha256);
    memcpy(out->serial, serial.data, serial.len);
    return STATUS_OK;
}

enum status idevid_check(struct idevid *out, struct bytes der, const struct bytes *extra,
                         size_t num_extra, const struct trust_bundle *bundle, int64_t now,
                         struct detail *detail) {
    struct idevid found;
    enum status status = read(&found, der, detail);
    if (status == STATUS_OK) {
        status = trust_bundle_verify(bundle, der, extra, num_extra, now, CHAIN_TLS_CLIENT, detail);
    }
    if (status != STATUS_OK) {
        return STATUS_INVALID;
    }
    *out = found;
    return STATUS_OK;
}

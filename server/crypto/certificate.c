#include "server/crypto/x509.h"

#include "server/crypto/der.h"
#include "server/crypto/x509_fields.h"

#include <string.h>

/* The first uniformResourceIdentifier, which must be text that fits. */
static enum status read_san_uri(char out[static X509_SAN_URI_MAX], struct bytes names,
                                struct detail *detail) {
    struct bytes name;
    unsigned tag;
    while (names.len > 0 && der_any(&names, &tag, &name) == STATUS_OK) {
        if (tag != (DER_CONTEXT | 6)) {
            continue;
        }
        if (name.len == 0 || name.len >= X509_SAN_URI_MAX) {
            return status_fail(detail, STATUS_LIMIT, "a SAN URI of %zu bytes", name.len);
        }
        for (size_t i = 0; i < name.len; i++) {
            if (name.data[i] <= 0x20 || name.data[i] > 0x7E) {
                return status_fail(detail, STATUS_MALFORMED, "a SAN URI holds byte 0x%02X",
                                   name.data[i]);
            }
        }
        memcpy(out, name.data, name.len);
        return STATUS_OK;
    }
    return STATUS_OK;
}

static void copy_serial(struct certificate *out, struct bytes serial) {
    uint8_t zero;
    while (serial.len > 1 && serial.data[0] == 0 && bytes_u8(&serial, &zero) == STATUS_OK) {
    }
    out->serial_len = serial.len < X509_SERIAL_MAX ? serial.len : X509_SERIAL_MAX;
    memcpy(out->serial, serial.data, out->serial_len);
}

static enum status parse(struct certificate *out, struct bytes der, bool as_met,
                         struct detail *detail) {
    struct x509_fields fields;
    struct certificate found = {.der = der};
    enum status status = x509_read(&fields, der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (fields.serial.len > X509_SERIAL_MAX && fields.serial.data[0] != 0) {
        return status_fail(detail, STATUS_LIMIT, "a serial number of %zu bytes", fields.serial.len);
    }
    if (!as_met && fields.departure != NULL) {
        return status_fail(detail, STATUS_MALFORMED, "%s", fields.departure);
    }
    status = as_met ? public_key_from_ek_spki(&found.key, fields.spki, detail)
                    : public_key_from_spki(&found.key, fields.spki, detail);
    if (status != STATUS_OK && status != STATUS_UNSUPPORTED) {
        return status;
    }
    status = read_san_uri(found.san_uri, fields.subject_alt_name, detail);
    if (status != STATUS_OK) {
        return status;
    }
    digest_compute(HASH_SHA256, der, found.sha256);
    x509_name_text(found.subject, sizeof found.subject, fields.subject);
    x509_name_text(found.issuer, sizeof found.issuer, fields.issuer);
    found.subject_name = fields.subject;
    copy_serial(&found, fields.serial);
    found.not_before = fields.not_before;
    found.not_after = fields.not_after;
    found.is_ca = fields.is_ca;
    found.signs_lists = !fields.has_key_usage || fields.may_sign_lists;
    if (fields.subject_key_id.len > 0 && fields.subject_key_id.len <= sizeof found.subject_key_id) {
        memcpy(found.subject_key_id, fields.subject_key_id.data, fields.subject_key_id.len);
        found.subject_key_id_len = fields.subject_key_id.len;
    }
    *out = found;
    return STATUS_OK;
}

enum status certificate_parse(struct certificate *out, struct bytes der, struct detail *detail) {
    return parse(out, der, false, detail);
}

enum status certificate_parse_as_met(struct certificate *out, struct bytes der,
                                     struct detail *detail) {
    return parse(out, der, true, detail);
}

enum status der_element_len(size_t *out, struct bytes in) {
    struct bytes rest = in, content;
    enum status status = der_take(&rest, DER_SEQUENCE, &content);
    if (status == STATUS_OK) {
        *out = in.len - rest.len;
    }
    return status;
}

/* RFC 5280 4.1: version, serialNumber, signature, issuer, validity, subject. */
bool certificate_subject(char out[static X509_NAME_TEXT], struct bytes der) {
    struct bytes certificate, tbs, skipped, subject;
    bool has_version;
    if (der_take(&der, DER_SEQUENCE, &certificate) != STATUS_OK ||
        der_take(&certificate, DER_SEQUENCE, &tbs) != STATUS_OK ||
        der_take_optional(&tbs, DER_CONTEXT_CONSTRUCTED, &has_version, &skipped) != STATUS_OK ||
        der_take(&tbs, DER_INTEGER, &skipped) != STATUS_OK) {
        return false;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (der_take(&tbs, DER_SEQUENCE, &skipped) != STATUS_OK) {
            return false;
        }
    }
    if (der_take_whole(&tbs, DER_SEQUENCE, &subject) != STATUS_OK) {
        return false;
    }
    x509_name_text(out, X509_NAME_TEXT, subject);
    return true;
}

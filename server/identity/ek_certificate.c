/* EK certificates as TPMs keep them: in NV areas that are larger than they are, some with a header,
 * some inside an OCTET STRING. */
#include "server/crypto/der.h"
#include "server/identity/enrolment.h"

enum { STORED_CERT = 0x1001, FULL_CERT = 0x1002, CERT_TYPE_FULL = 0 };

/* What an area holds after its content. */
static enum status check_padding(struct bytes rest, struct detail *detail) {
    if (!bytes_all(rest, 0x00) && !bytes_all(rest, 0xFF)) {
        return status_fail(detail, STATUS_INVALID, "%zu bytes after it", rest.len);
    }
    return STATUS_OK;
}

/* TCG_PCCLIENT_STORED_CERT (TCG PC Client Specific Implementation Specification 1.21, 7.3.2):
 * { u16 tag, u8 certType, u16 certSize, certificate[certSize] }, big-endian, where the certificate
 * is a TCG_FULL_CERT { u16 tag, DER }. Some leave the inner tag out. */
static enum status strip_header(struct bytes *in, struct detail *detail) {
    struct bytes area = *in, stored;
    uint16_t tag;
    uint8_t type;
    if (bytes_u16be(&area, &tag) != STATUS_OK || tag != STORED_CERT) {
        return STATUS_OK;
    }
    if (bytes_u8(&area, &type) != STATUS_OK || type != CERT_TYPE_FULL) {
        return status_fail(detail, STATUS_INVALID, "its NV header is not of a full certificate");
    }
    if (bytes_u16be_prefixed(&area, &stored) != STATUS_OK) {
        return status_fail(detail, STATUS_INVALID, "it is shorter than its NV header says");
    }
    enum status status = check_padding(area, detail);
    if (status != STATUS_OK) {
        return status;
    }
    struct bytes inner = stored;
    *in = bytes_u16be(&inner, &tag) == STATUS_OK && tag == FULL_CERT ? inner : stored;
    return STATUS_OK;
}

static enum status strip_octet_string(struct bytes *in, struct detail *detail) {
    struct bytes area = *in, content;
    bool present;
    if (der_take_optional(&area, DER_OCTET_STRING, &present, &content) != STATUS_OK) {
        return status_fail(detail, STATUS_INVALID, "its OCTET STRING is malformed");
    }
    if (!present) {
        return STATUS_OK;
    }
    enum status status = check_padding(area, detail);
    if (status == STATUS_OK) {
        *in = content;
    }
    return status;
}

enum status ek_certificate_unwrap(struct bytes *out, struct bytes area, struct detail *detail) {
    struct bytes rest = area, der;
    enum status status = strip_header(&rest, detail);
    if (status == STATUS_OK) {
        status = strip_octet_string(&rest, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (der_take_whole(&rest, DER_SEQUENCE, &der) != STATUS_OK) {
        return status_fail(detail, STATUS_INVALID, "it is not DER");
    }
    status = check_padding(rest, detail);
    if (status == STATUS_OK) {
        *out = der;
    }
    return status;
}

static enum status check(struct bytes der, const struct tpm_public *ek,
                         const struct trust_bundle *bundle, int64_t now, struct detail *detail) {
    struct certificate parsed;
    enum status status = certificate_parse_as_met(&parsed, der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (parsed.key.kind == KEY_NONE || !public_key_equal(&parsed.key, &ek->key)) {
        return status_fail(detail, STATUS_INVALID, "its key is not the EK");
    }
    return trust_bundle_verify(bundle, der, NULL, 0, now, CHAIN_TPM_EK, detail);
}

enum status ek_certificate_check(struct bytes *out_der, struct bytes certificate,
                                 const struct tpm_public *ek, const struct trust_bundle *bundle,
                                 int64_t now, struct detail *detail) {
    struct bytes der;
    enum status status = ek_certificate_unwrap(&der, certificate, detail);
    if (status == STATUS_OK) {
        status = check(der, ek, bundle, now, detail);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "EK certificate");
        return STATUS_INVALID;
    }
    if (out_der != NULL) {
        *out_der = der;
    }
    return STATUS_OK;
}

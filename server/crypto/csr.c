#include "server/crypto/der.h"
#include "server/crypto/x509.h"
#include "server/crypto/x509_fields.h"

/* CertificationRequestInfo (RFC 2986 4.1); only the key counts. */
static enum status read_info(struct bytes whole, struct bytes *spki) {
    struct bytes info, name, attributes;
    uint32_t version;
    bool present;
    if (der_take(&whole, DER_SEQUENCE, &info) != STATUS_OK ||
        der_take_u32(&info, &version) != STATUS_OK || version != 0 ||
        der_take(&info, DER_SEQUENCE, &name) != STATUS_OK ||
        der_take_whole(&info, DER_SEQUENCE, spki) != STATUS_OK ||
        der_take_optional(&info, DER_CONTEXT_CONSTRUCTED | 0, &present, &attributes) != STATUS_OK ||
        info.len != 0) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

enum status csr_parse(struct csr *out, struct bytes der, struct detail *detail) {
    struct bytes fields, info, algorithm, signature, spki;
    struct csr found = {0};
    if (der_take(&der, DER_SEQUENCE, &fields) != STATUS_OK || der.len != 0 ||
        der_take_whole(&fields, DER_SEQUENCE, &info) != STATUS_OK ||
        der_take_whole(&fields, DER_SEQUENCE, &algorithm) != STATUS_OK ||
        der_take_bits(&fields, &signature) != STATUS_OK || fields.len != 0 ||
        read_info(info, &spki) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED, "not a PKCS#10 request");
    }
    enum status status = public_key_from_spki(&found.key, spki, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (found.key.kind == KEY_EC_P521) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "keys of kind ec-p521 are not taken in requests");
    }
    status = x509_verify_signature(&found.key, algorithm, signature, info, detail);
    if (status != STATUS_OK) {
        return status;
    }
    struct writer w = writer_of(found.spki, sizeof found.spki);
    status = public_key_to_spki(&w, &found.key);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "the key cannot be written");
    }
    found.spki_len = w.len;
    *out = found;
    return STATUS_OK;
}

#include "server/crypto/x509_write.h"

#include "server/crypto/oid.h"

#include <string.h>

void x509_write_algorithm(struct writer *w, const struct private_key *key) {
    struct public_key public;
    private_key_public(key, &public);
    x509_write_algorithm_of(w, public.kind);
}

void x509_write_algorithm_of(struct writer *w, enum key_kind kind) {
    size_t mark = der_open(w, DER_SEQUENCE);
    switch (signature_scheme_of(kind)) {
    case SIGNATURE_ECDSA:
        der_write(w, DER_OID,
                  kind == KEY_EC_P384 ? DER_OID_OF(OID_ECDSA_SHA384)
                                      : DER_OID_OF(OID_ECDSA_SHA256));
        break;
    case SIGNATURE_ED25519:
        der_write(w, DER_OID, DER_OID_OF(OID_ED25519));
        break;
    default:
        der_write(w, DER_OID, DER_OID_OF(OID_RSA_SHA256));
        der_write(w, DER_NULL, bytes_of(NULL, 0));
        break;
    }
    der_close(w, mark);
}

enum status x509_write_signed(struct writer *w, const struct private_key *key, struct bytes tbs) {
    uint8_t buffer[KEY_SIGNATURE_MAX];
    struct writer signature = writer_of(buffer, sizeof buffer);
    enum status status = private_key_sign(key, &signature, tbs);
    if (status != STATUS_OK) {
        return status;
    }
    size_t mark = der_open(w, DER_SEQUENCE);
    write_bytes(w, tbs);
    x509_write_algorithm(w, key);
    der_write_bits(w, writer_bytes(&signature));
    der_close(w, mark);
    return w->overflow ? STATUS_LIMIT : STATUS_OK;
}

static void write_name_part(struct writer *w, struct bytes oid, const char *value) {
    if (value == NULL) {
        return;
    }
    size_t set = der_open(w, DER_SET), pair = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, oid);
    der_write(w, DER_UTF8_STRING, bytes_of_text(value));
    der_close(w, pair);
    der_close(w, set);
}

void x509_write_subject(struct writer *w, const struct x509_subject *subject) {
    size_t name = der_open(w, DER_SEQUENCE);
    write_name_part(w, DER_OID_OF(OID_ORGANIZATION), subject->organization);
    write_name_part(w, DER_OID_OF(OID_ORGANIZATION_UNIT), subject->unit);
    write_name_part(w, DER_OID_OF(OID_COMMON_NAME), subject->common_name);
    der_close(w, name);
}

void x509_write_extension(struct writer *w, struct bytes oid, bool critical, struct bytes value) {
    static const uint8_t yes = 0xFF;
    size_t mark = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, oid);
    if (critical) {
        der_write(w, DER_BOOLEAN, bytes_of(&yes, 1));
    }
    der_write(w, DER_OCTET_STRING, value);
    der_close(w, mark);
}

enum status x509_key_id(uint8_t out[static X509_KEY_ID_LEN], struct bytes spki) {
    struct bytes fields, algorithm, bits;
    uint8_t digest[32];
    if (der_take(&spki, DER_SEQUENCE, &fields) != STATUS_OK ||
        der_take(&fields, DER_SEQUENCE, &algorithm) != STATUS_OK ||
        der_take_bits(&fields, &bits) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    digest_compute(HASH_SHA256, bits, digest);
    memcpy(out, digest, X509_KEY_ID_LEN);
    return STATUS_OK;
}

#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509_fields.h"

struct algorithm {
    const char *oid;
    size_t oid_len;
    enum signature_scheme scheme;
    enum hash_alg hash;
};

#define ALGORITHM(oid, scheme, hash) {oid, sizeof(oid) - 1, scheme, hash}
static const struct algorithm algorithms[] = {
    ALGORITHM(OID_RSA_SHA256, SIGNATURE_RSASSA, HASH_SHA256),
    ALGORITHM(OID_RSA_SHA384, SIGNATURE_RSASSA, HASH_SHA384),
    ALGORITHM(OID_RSA_SHA512, SIGNATURE_RSASSA, HASH_SHA512),
    ALGORITHM(OID_ECDSA_SHA256, SIGNATURE_ECDSA, HASH_SHA256),
    ALGORITHM(OID_ECDSA_SHA384, SIGNATURE_ECDSA, HASH_SHA384),
    ALGORITHM(OID_ECDSA_SHA512, SIGNATURE_ECDSA, HASH_SHA512),
    ALGORITHM(OID_ED25519, SIGNATURE_ED25519, HASH_NONE),
    ALGORITHM(OID_RSA_PSS, SIGNATURE_RSAPSS, HASH_NONE), /* its parameters name the hash */
    ALGORITHM(OID_RSA_SHA1, SIGNATURE_RSASSA, HASH_SHA1),
    ALGORITHM(OID_ECDSA_SHA1, SIGNATURE_ECDSA, HASH_SHA1),
};

static enum hash_alg hash_of(struct bytes oid) {
    if (bytes_equal(oid, DER_OID_OF(OID_SHA256))) {
        return HASH_SHA256;
    }
    if (bytes_equal(oid, DER_OID_OF(OID_SHA384))) {
        return HASH_SHA384;
    }
    return bytes_equal(oid, DER_OID_OF(OID_SHA512)) ? HASH_SHA512 : HASH_NONE;
}

/* AlgorithmIdentifier's content: an OID, then NULL or nothing. */
static enum status read_hash(struct bytes fields, enum hash_alg *out) {
    struct bytes oid, null;
    bool present;
    if (der_take(&fields, DER_OID, &oid) != STATUS_OK ||
        der_take_optional(&fields, DER_NULL, &present, &null) != STATUS_OK || null.len != 0 ||
        fields.len != 0) {
        return STATUS_MALFORMED;
    }
    *out = hash_of(oid);
    return STATUS_OK;
}

/* An explicitly tagged AlgorithmIdentifier's content, or nothing. */
static enum status take_algorithm(struct bytes *fields, unsigned number, struct bytes *out) {
    struct bytes explicit;
    bool present;
    *out = bytes_of(NULL, 0);
    if (der_take_optional(fields, DER_CONTEXT_CONSTRUCTED | number, &present, &explicit) !=
        STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (present && (der_take(&explicit, DER_SEQUENCE, out) != STATUS_OK || explicit.len != 0)) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

/* An explicitly tagged INTEGER, or its default. */
static enum status take_number(struct bytes *fields, unsigned number, uint32_t *out) {
    struct bytes explicit;
    bool present;
    if (der_take_optional(fields, DER_CONTEXT_CONSTRUCTED | number, &present, &explicit) !=
        STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (present && (der_take_u32(&explicit, out) != STATUS_OK || explicit.len != 0)) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

/* RSASSA-PSS-params (RFC 4055 3.1). Absent hashes mean SHA-1, which is not taken; MGF1 has to
 * use the same hash, and the salt has to be as long as the digest. */
static enum status read_pss(struct bytes parameters, enum hash_alg *out) {
    struct bytes fields, hash, mgf, oid, mgf_hash;
    enum hash_alg outer = HASH_NONE, inner = HASH_NONE;
    uint32_t salt_len = 20, trailer = 1;
    if (der_take(&parameters, DER_SEQUENCE, &fields) != STATUS_OK || parameters.len != 0 ||
        take_algorithm(&fields, 0, &hash) != STATUS_OK ||
        take_algorithm(&fields, 1, &mgf) != STATUS_OK ||
        take_number(&fields, 2, &salt_len) != STATUS_OK ||
        take_number(&fields, 3, &trailer) != STATUS_OK || fields.len != 0) {
        return STATUS_MALFORMED;
    }
    if (hash.len == 0 || mgf.len == 0) {
        return STATUS_UNSUPPORTED;
    }
    if (read_hash(hash, &outer) != STATUS_OK || der_take(&mgf, DER_OID, &oid) != STATUS_OK ||
        der_take(&mgf, DER_SEQUENCE, &mgf_hash) != STATUS_OK || mgf.len != 0 ||
        read_hash(mgf_hash, &inner) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (outer == HASH_NONE || inner != outer || !bytes_equal(oid, DER_OID_OF(OID_MGF1)) ||
        salt_len != digest_len(outer) || trailer != 1) {
        return STATUS_UNSUPPORTED;
    }
    *out = outer;
    return STATUS_OK;
}

static enum status read_algorithm(struct signature *out, struct bytes whole,
                                  struct detail *detail) {
    struct bytes fields, oid, null;
    bool present;
    if (der_take(&whole, DER_SEQUENCE, &fields) != STATUS_OK || whole.len != 0 ||
        der_take(&fields, DER_OID, &oid) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED, "the signature algorithm is malformed");
    }
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (bytes_equal(oid, bytes_of(algorithms[i].oid, algorithms[i].oid_len))) {
            *out = (struct signature){.scheme = algorithms[i].scheme, .hash = algorithms[i].hash};
            break;
        }
    }
    if (out->scheme == SIGNATURE_NONE) {
        char text[64];
        der_oid_text(text, sizeof text, oid);
        return status_fail(detail, STATUS_UNSUPPORTED, "signature algorithm %s is not taken", text);
    }
    if (out->scheme == SIGNATURE_RSAPSS) {
        enum status status = read_pss(fields, &out->hash);
        return status == STATUS_OK
                   ? status
                   : status_fail(detail, status, "these RSASSA-PSS parameters are not taken");
    }
    /* ECDSA's parameters should be absent, RSA's NULL: authorities in the field do either. */
    if (der_take_optional(&fields, DER_NULL, &present, &null) != STATUS_OK || null.len != 0 ||
        fields.len != 0) {
        return status_fail(detail, STATUS_MALFORMED,
                           "the signature algorithm's parameters are malformed");
    }
    return STATUS_OK;
}

enum status x509_verify_signature(const struct public_key *key, struct bytes algorithm,
                                  struct bytes signature, struct bytes message,
                                  struct detail *detail) {
    struct signature sig = {.scheme = SIGNATURE_NONE};
    enum status status = read_algorithm(&sig, algorithm, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (sig.scheme == SIGNATURE_RSAPSS) {
        sig.r = signature;
        return signature_verify(key, &sig, message, detail);
    }
    if (sig.scheme != signature_scheme_of(key->kind)) {
        return status_fail(detail, STATUS_INVALID,
                           "the signature algorithm does not fit a key of kind %s",
                           key_kind_name(key->kind));
    }
    return signature_verify_der(key, sig.hash, signature, message, detail);
}

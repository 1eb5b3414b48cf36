#include "server/credential/ocsp_request.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"

enum { VERSION = DER_CONTEXT_CONSTRUCTED | 0, REQUESTOR_NAME = DER_CONTEXT_CONSTRUCTED | 1 };
enum { REQUEST_EXTENSIONS = DER_CONTEXT_CONSTRUCTED | 2 };
enum { SINGLE_EXTENSIONS = DER_CONTEXT_CONSTRUCTED | 0, SIGNATURE = DER_CONTEXT_CONSTRUCTED | 0 };

static enum status malformed(struct detail *detail, const char *what) {
    return status_fail(detail, STATUS_MALFORMED, "OCSP request: %s", what);
}

/* AlgorithmIdentifier of a hash, whose parameters are absent or NULL. */
static enum status read_hash(struct bytes *in, enum hash_alg *out) {
    struct bytes fields, oid, parameters;
    bool present;
    enum status status = der_take(in, DER_SEQUENCE, &fields);
    if (status == STATUS_OK) {
        status = der_take(&fields, DER_OID, &oid);
    }
    if (status != STATUS_OK) {
        return status;
    }
    *out = HASH_NONE;
    if (bytes_equal(oid, DER_OID_OF(OID_SHA1))) {
        *out = HASH_SHA1;
    } else if (bytes_equal(oid, DER_OID_OF(OID_SHA256))) {
        *out = HASH_SHA256;
    } else {
        return STATUS_OK;
    }
    status = der_take_optional(&fields, DER_NULL, &present, &parameters);
    if (status != STATUS_OK) {
        return status;
    }
    return fields.len == 0 && parameters.len == 0 ? STATUS_OK : STATUS_MALFORMED;
}

static enum status read_cert_id(struct bytes *in, struct ocsp_cert_id *out) {
    struct bytes fields;
    enum status status = der_take(in, DER_SEQUENCE, &fields);
    if (status == STATUS_OK) {
        status = read_hash(&fields, &out->alg);
    }
    if (status == STATUS_OK) {
        status = der_take(&fields, DER_OCTET_STRING, &out->issuer_name_hash);
    }
    if (status == STATUS_OK) {
        status = der_take(&fields, DER_OCTET_STRING, &out->issuer_key_hash);
    }
    if (status == STATUS_OK) {
        status = der_take_unsigned(&fields, &out->serial);
    }
    if (status != STATUS_OK) {
        return status;
    }
    size_t len = digest_len(out->alg);
    bool fits = out->alg == HASH_NONE ||
                (out->issuer_name_hash.len == len && out->issuer_key_hash.len == len);
    return fits && fields.len == 0 && out->serial.len <= OCSP_SERIAL_MAX ? STATUS_OK
                                                                         : STATUS_MALFORMED;
}

/* RFC 9654 2.1: an OCTET STRING of 1 to 128 bytes inside the extension's. */
static enum status read_nonce(struct bytes value, struct bytes *out) {
    struct bytes nonce;
    enum status status = der_take(&value, DER_OCTET_STRING, &nonce);
    if (status != STATUS_OK) {
        return status;
    }
    if (value.len > 0 || nonce.len == 0 || nonce.len > OCSP_NONCE_MAX || out->len > 0) {
        return STATUS_MALFORMED;
    }
    *out = nonce;
    return STATUS_OK;
}

/* One Extension. `nonce` is NULL where none belongs. */
static enum status read_extension(struct bytes *in, struct bytes *nonce) {
    struct bytes fields, oid, value;
    bool critical = false;
    enum status status = der_take(in, DER_SEQUENCE, &fields);
    if (status == STATUS_OK) {
        status = der_take(&fields, DER_OID, &oid);
    }
    if (status == STATUS_OK && fields.len > 0 && fields.data[0] == DER_BOOLEAN) {
        status = der_take_boolean(&fields, &critical);
        if (status == STATUS_OK && !critical) {
            status = STATUS_MALFORMED; /* a default is left out in DER */
        }
    }
    if (status == STATUS_OK) {
        status = der_take(&fields, DER_OCTET_STRING, &value);
    }
    if (status != STATUS_OK || fields.len > 0) {
        return status == STATUS_OK ? STATUS_MALFORMED : status;
    }
    if (nonce != NULL && bytes_equal(oid, DER_OID_OF(OID_OCSP_NONCE))) {
        return read_nonce(value, nonce);
    }
    return critical ? STATUS_MALFORMED : STATUS_OK;
}

/* [n] EXPLICIT Extensions, when they are there: at least one. */
static enum status read_extensions(struct bytes *in, unsigned tag, struct bytes *nonce) {
    struct bytes outer, list;
    bool present;
    enum status status = der_take_optional(in, tag, &present, &outer);
    if (status != STATUS_OK || !present) {
        return status;
    }
    status = der_take(&outer, DER_SEQUENCE, &list);
    if (status == STATUS_OK && (outer.len > 0 || list.len == 0)) {
        status = STATUS_MALFORMED;
    }
    while (status == STATUS_OK && list.len > 0) {
        status = read_extension(&list, nonce);
    }
    return status;
}

static enum status read_list(struct bytes *in, struct ocsp_request *out) {
    struct bytes list, fields;
    enum status status = der_take(in, DER_SEQUENCE, &list);
    if (status == STATUS_OK && list.len == 0) {
        return STATUS_MALFORMED;
    }
    while (status == STATUS_OK && list.len > 0) {
        if (out->num_certs == OCSP_CERTS_MAX) {
            return STATUS_LIMIT;
        }
        status = der_take(&list, DER_SEQUENCE, &fields);
        if (status == STATUS_OK) {
            status = read_cert_id(&fields, &out->cert[out->num_certs]);
        }
        if (status == STATUS_OK) {
            status = read_extensions(&fields, SINGLE_EXTENSIONS, NULL);
        }
        if (status == STATUS_OK && fields.len > 0) {
            status = STATUS_MALFORMED;
        }
        out->num_certs++;
    }
    return status;
}

static enum status read_tbs(struct bytes tbs, struct ocsp_request *out) {
    struct bytes skipped;
    bool present;
    enum status status = der_take_optional(&tbs, VERSION, &present, &skipped);
    if (status == STATUS_OK && present) {
        return STATUS_MALFORMED; /* the only version there is is the default, and left out */
    }
    if (status == STATUS_OK) {
        status = der_take_optional(&tbs, REQUESTOR_NAME, &present, &skipped);
    }
    if (status == STATUS_OK) {
        status = read_list(&tbs, out);
    }
    if (status == STATUS_OK) {
        status = read_extensions(&tbs, REQUEST_EXTENSIONS, &out->nonce);
    }
    return status == STATUS_OK && tbs.len > 0 ? STATUS_MALFORMED : status;
}

/* Signature ::= SEQUENCE { algorithm, signature, certs [0] OPTIONAL } */
static enum status skip_signature(struct bytes *in) {
    struct bytes outer, fields, skipped;
    bool present;
    enum status status = der_take_optional(in, SIGNATURE, &present, &outer);
    if (status != STATUS_OK || !present) {
        return status;
    }
    status = der_take(&outer, DER_SEQUENCE, &fields);
    if (status == STATUS_OK) {
        status = der_take(&fields, DER_SEQUENCE, &skipped);
    }
    if (status == STATUS_OK) {
        status = der_take_bits(&fields, &skipped);
    }
    if (status == STATUS_OK) {
        status = der_take_optional(&fields, DER_CONTEXT_CONSTRUCTED | 0, &present, &skipped);
    }
    return status == STATUS_OK && (outer.len > 0 || fields.len > 0) ? STATUS_MALFORMED : status;
}

enum status ocsp_request_read(struct ocsp_request *out, struct bytes der, struct detail *detail) {
    struct ocsp_request request = {0};
    struct bytes whole, tbs;
    if (der.len > OCSP_REQUEST_MAX) {
        return status_fail(detail, STATUS_LIMIT, "OCSP request: %zu bytes", der.len);
    }
    enum status status = der_take(&der, DER_SEQUENCE, &whole);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "OCSP request: no SEQUENCE");
    }
    if (der.len > 0) {
        return malformed(detail, "bytes follow it");
    }
    if (der_take(&whole, DER_SEQUENCE, &tbs) != STATUS_OK) {
        return malformed(detail, "no tbsRequest");
    }
    status = read_tbs(tbs, &request);
    if (status == STATUS_LIMIT) {
        return status_fail(detail, status, "OCSP request: over %d certificates", OCSP_CERTS_MAX);
    }
    if (status != STATUS_OK) {
        return malformed(detail, "its tbsRequest is not of RFC 6960");
    }
    if (skip_signature(&whole) != STATUS_OK || whole.len > 0) {
        return malformed(detail, "what follows its tbsRequest is no signature");
    }
    *out = request;
    return STATUS_OK;
}

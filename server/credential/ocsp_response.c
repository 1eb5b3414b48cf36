#include "server/credential/ocsp_response.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509.h"
#include "server/crypto/x509_write.h"

#include <string.h>

enum { RESPONSE_BYTES = DER_CONTEXT_CONSTRUCTED | 0, CERTIFICATES = DER_CONTEXT_CONSTRUCTED | 0 };
enum { BY_KEY = DER_CONTEXT_CONSTRUCTED | 2, RESPONSE_EXTENSIONS = DER_CONTEXT_CONSTRUCTED | 1 };
enum { NEXT_UPDATE = DER_CONTEXT_CONSTRUCTED | 0, REVOCATION_REASON = DER_CONTEXT_CONSTRUCTED | 0 };
enum { REASON_MAX = 10 };

/* --- who is meant --------------------------------------------------------------------------- */

static enum status key_bits(struct bytes *out, uint8_t buffer[static KEY_SPKI_MAX],
                            const struct public_key *key) {
    struct writer w = writer_of(buffer, KEY_SPKI_MAX);
    struct bytes fields, algorithm;
    if (public_key_to_spki(&w, key) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    struct bytes spki = writer_bytes(&w);
    if (der_take(&spki, DER_SEQUENCE, &fields) != STATUS_OK ||
        der_take(&fields, DER_SEQUENCE, &algorithm) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    return der_take_bits(&fields, out);
}

enum status ocsp_issuer_of(struct ocsp_issuer *out, struct bytes certificate,
                           struct detail *detail) {
    struct certificate parsed;
    struct bytes bits;
    uint8_t spki[KEY_SPKI_MAX];
    enum status status = certificate_parse(&parsed, certificate, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (key_bits(&bits, spki, &parsed.key) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED, "an authority's key cannot be written");
    }
    digest_compute(HASH_SHA1, parsed.subject_name, out->name_sha1);
    digest_compute(HASH_SHA256, parsed.subject_name, out->name_sha256);
    digest_compute(HASH_SHA1, bits, out->key_sha1);
    digest_compute(HASH_SHA256, bits, out->key_sha256);
    return STATUS_OK;
}

struct bytes ocsp_issuer_name_hash(const struct ocsp_issuer *issuer, enum hash_alg alg) {
    switch (alg) {
    case HASH_SHA1:
        return bytes_of(issuer->name_sha1, sizeof issuer->name_sha1);
    case HASH_SHA256:
        return bytes_of(issuer->name_sha256, sizeof issuer->name_sha256);
    default:
        return bytes_of(NULL, 0);
    }
}

struct bytes ocsp_issuer_key_hash(const struct ocsp_issuer *issuer, enum hash_alg alg) {
    switch (alg) {
    case HASH_SHA1:
        return bytes_of(issuer->key_sha1, sizeof issuer->key_sha1);
    case HASH_SHA256:
        return bytes_of(issuer->key_sha256, sizeof issuer->key_sha256);
    default:
        return bytes_of(NULL, 0);
    }
}

bool ocsp_issuer_is_meant(const struct ocsp_issuer *issuer, const struct ocsp_cert_id *cert) {
    return cert->alg != HASH_NONE &&
           bytes_equal(cert->issuer_name_hash, ocsp_issuer_name_hash(issuer, cert->alg)) &&
           bytes_equal(cert->issuer_key_hash, ocsp_issuer_key_hash(issuer, cert->alg));
}

enum status ocsp_key_hash(uint8_t out[static 20], const struct public_key *key) {
    struct bytes bits;
    uint8_t spki[KEY_SPKI_MAX];
    enum status status = key_bits(&bits, spki, key);
    if (status == STATUS_OK) {
        digest_compute(HASH_SHA1, bits, out);
    }
    return status;
}

/* --- what is said --------------------------------------------------------------------------- */

static enum status check_answer(const struct ocsp_answer *answer, int64_t produced_at,
                                struct detail *detail) {
    bool revoked = answer->status == OCSP_REVOKED;
    if ((answer->alg != HASH_SHA1 && answer->alg != HASH_SHA256) || answer->serial_len == 0 ||
        answer->serial_len > OCSP_SERIAL_MAX ||
        (answer->serial[0] == 0 && answer->serial_len > 1)) {
        return status_fail(detail, STATUS_INVALID, "OCSP: no certificate's id");
    }
    if (answer->status > OCSP_UNKNOWN || answer->reason > REASON_MAX ||
        (!revoked && (answer->reason != 0 || answer->revoked_at != 0)) ||
        (revoked && (answer->revoked_at <= 0 || answer->revoked_at > produced_at))) {
        return status_fail(detail, STATUS_INVALID, "OCSP: no certificate's status");
    }
    if (produced_at < 0 || answer->next_update <= produced_at) {
        return status_fail(detail, STATUS_INVALID, "OCSP: it would be over when it begins");
    }
    return STATUS_OK;
}

static void write_cert_id(struct writer *w, const struct ocsp_issuer *issuer,
                          const struct ocsp_answer *answer) {
    size_t id = der_open(w, DER_SEQUENCE), alg = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, answer->alg == HASH_SHA1 ? DER_OID_OF(OID_SHA1) : DER_OID_OF(OID_SHA256));
    der_write(w, DER_NULL, bytes_of(NULL, 0));
    der_close(w, alg);
    der_write(w, DER_OCTET_STRING, ocsp_issuer_name_hash(issuer, answer->alg));
    der_write(w, DER_OCTET_STRING, ocsp_issuer_key_hash(issuer, answer->alg));
    der_write_unsigned(w, bytes_of(answer->serial, answer->serial_len));
    der_close(w, id);
}

static void write_status(struct writer *w, const struct ocsp_answer *answer) {
    if (answer->status != OCSP_REVOKED) {
        der_write(w, DER_CONTEXT | (unsigned)answer->status, bytes_of(NULL, 0));
        return;
    }
    size_t info = der_open(w, DER_CONTEXT_CONSTRUCTED | (unsigned)OCSP_REVOKED);
    der_write_generalized_time(w, answer->revoked_at);
    if (answer->reason != 0) {
        size_t reason = der_open(w, REVOCATION_REASON);
        der_write(w, DER_ENUMERATED, bytes_of(&answer->reason, 1));
        der_close(w, reason);
    }
    der_close(w, info);
}

static void write_answer(struct writer *w, const struct ocsp_response *response,
                         const struct ocsp_answer *answer) {
    size_t single = der_open(w, DER_SEQUENCE);
    write_cert_id(w, response->issuer, answer);
    write_status(w, answer);
    der_write_generalized_time(w, response->produced_at);
    size_t next = der_open(w, NEXT_UPDATE);
    der_write_generalized_time(w, answer->next_update);
    der_close(w, next);
    der_close(w, single);
}

static void write_nonce(struct writer *w, struct bytes nonce) {
    uint8_t buffer[OCSP_NONCE_MAX + 4];
    struct writer value = writer_of(buffer, sizeof buffer);
    der_write(&value, DER_OCTET_STRING, nonce);
    w->overflow |= value.overflow;
    size_t outer = der_open(w, RESPONSE_EXTENSIONS), list = der_open(w, DER_SEQUENCE);
    x509_write_extension(w, DER_OID_OF(OID_OCSP_NONCE), false, writer_bytes(&value));
    der_close(w, list);
    der_close(w, outer);
}

/* ResponseData. */
static void write_data(struct writer *w, const struct ocsp_response *response,
                       const uint8_t key_hash[static 20]) {
    size_t data = der_open(w, DER_SEQUENCE), by_key = der_open(w, BY_KEY);
    der_write(w, DER_OCTET_STRING, bytes_of(key_hash, 20));
    der_close(w, by_key);
    der_write_generalized_time(w, response->produced_at);
    size_t list = der_open(w, DER_SEQUENCE);
    for (size_t i = 0; i < response->num_answers; i++) {
        write_answer(w, response, &response->answer[i]);
    }
    der_close(w, list);
    if (response->nonce.len > 0) {
        write_nonce(w, response->nonce);
    }
    der_close(w, data);
}

/* OCSPResponse around a BasicOCSPResponse. */
static void write_whole(struct writer *w, const struct private_key *key, struct bytes data,
                        struct bytes signature, struct bytes certificate) {
    static const uint8_t successful = 0;
    size_t whole = der_open(w, DER_SEQUENCE);
    der_write(w, DER_ENUMERATED, bytes_of(&successful, 1));
    size_t outer = der_open(w, RESPONSE_BYTES), typed = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, DER_OID_OF(OID_OCSP_BASIC));
    size_t octets = der_open(w, DER_OCTET_STRING), basic = der_open(w, DER_SEQUENCE);
    write_bytes(w, data);
    x509_write_algorithm(w, key);
    der_write_bits(w, signature);
    size_t explicit = der_open(w, CERTIFICATES), certificates = der_open(w, DER_SEQUENCE);
    write_bytes(w, certificate);
    der_close(w, certificates);
    der_close(w, explicit);
    der_close(w, basic);
    der_close(w, octets);
    der_close(w, typed);
    der_close(w, outer);
    der_close(w, whole);
}

enum status ocsp_response_write(struct writer *out, const struct ocsp_response *response,
                                struct detail *detail) {
    uint8_t data[OCSP_RESPONSE_MAX], whole[OCSP_RESPONSE_MAX], signature[KEY_SIGNATURE_MAX];
    struct writer data_writer = writer_of(data, sizeof data);
    struct writer whole_writer = writer_of(whole, sizeof whole);
    struct writer signature_writer = writer_of(signature, sizeof signature);
    struct public_key key;
    uint8_t key_hash[20];
    if (response->num_answers == 0 || response->num_answers > OCSP_CERTS_MAX ||
        response->nonce.len > OCSP_NONCE_MAX) {
        return status_fail(detail, STATUS_INVALID, "OCSP: %zu answers", response->num_answers);
    }
    for (size_t i = 0; i < response->num_answers; i++) {
        enum status status = check_answer(&response->answer[i], response->produced_at, detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    private_key_public(response->key, &key);
    if (ocsp_key_hash(key_hash, &key) != STATUS_OK) {
        return status_fail(detail, STATUS_INTERNAL, "OCSP: the responder's key cannot be written");
    }
    write_data(&data_writer, response, key_hash);
    if (data_writer.overflow) {
        return status_fail(detail, STATUS_LIMIT, "OCSP: an answer that is too long");
    }
    if (private_key_sign(response->key, &signature_writer, writer_bytes(&data_writer)) !=
        STATUS_OK) {
        return status_fail(detail, STATUS_INTERNAL, "OCSP: the responder's key does not sign");
    }
    write_whole(&whole_writer, response->key, writer_bytes(&data_writer),
                writer_bytes(&signature_writer), response->certificate);
    write_bytes(out, writer_bytes(&whole_writer));
    return whole_writer.overflow || out->overflow
               ? status_fail(detail, STATUS_LIMIT, "OCSP: an answer that is too long")
               : STATUS_OK;
}

struct bytes ocsp_response_error(enum ocsp_error error) {
    static const uint8_t malformed[] = {0x30, 3, DER_ENUMERATED, 1, OCSP_MALFORMED_REQUEST};
    static const uint8_t internal[] = {0x30, 3, DER_ENUMERATED, 1, OCSP_INTERNAL_ERROR};
    static const uint8_t later[] = {0x30, 3, DER_ENUMERATED, 1, OCSP_TRY_LATER};
    static const uint8_t unauthorized[] = {0x30, 3, DER_ENUMERATED, 1, OCSP_UNAUTHORIZED};
    switch (error) {
    case OCSP_MALFORMED_REQUEST:
        return bytes_of(malformed, sizeof malformed);
    case OCSP_TRY_LATER:
        return bytes_of(later, sizeof later);
    case OCSP_UNAUTHORIZED:
        return bytes_of(unauthorized, sizeof unauthorized);
    case OCSP_INTERNAL_ERROR:
    default:
        return bytes_of(internal, sizeof internal);
    }
}

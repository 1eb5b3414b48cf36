#include "tests/unit/ocsp_fixture.h"

#include "server/base/encoding.h"
#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509_write.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { SLOTS = 256, SLOT_SIZE = 8192 };

static struct writer slot(void) {
    static uint8_t slots[SLOTS][SLOT_SIZE];
    static size_t at;
    return writer_of(slots[at++ % SLOTS], SLOT_SIZE);
}

static struct bytes whole(const struct writer *w) {
    ck_assert(!w->overflow);
    return writer_bytes(w);
}

struct bytes ocsp_wrap(unsigned tag, struct bytes content) {
    struct writer w = slot();
    der_write(&w, tag, content);
    return whole(&w);
}

struct bytes ocsp_cert_id(struct bytes algorithm, struct bytes name_hash, struct bytes key_hash,
                          struct bytes serial) {
    struct writer w = slot();
    size_t mark = der_open(&w, DER_SEQUENCE);
    write_bytes(&w, algorithm);
    der_write(&w, DER_OCTET_STRING, name_hash);
    der_write(&w, DER_OCTET_STRING, key_hash);
    der_write(&w, DER_INTEGER, serial);
    der_close(&w, mark);
    return whole(&w);
}

struct bytes ocsp_parts_write(const struct ocsp_parts *parts) {
    struct writer w = slot();
    size_t request = der_open(&w, DER_SEQUENCE), tbs = der_open(&w, DER_SEQUENCE);
    write_bytes(&w, parts->version);
    write_bytes(&w, parts->requestor);
    write_bytes(&w, parts->list);
    write_bytes(&w, parts->extensions);
    der_close(&w, tbs);
    write_bytes(&w, parts->signature);
    der_close(&w, request);
    write_bytes(&w, parts->after);
    return whole(&w);
}

static struct bytes algorithm_of(enum hash_alg alg) {
    struct writer w = slot();
    size_t mark = der_open(&w, DER_SEQUENCE);
    der_write(&w, DER_OID, alg == HASH_SHA1 ? DER_OID_OF(OID_SHA1) : DER_OID_OF(OID_SHA256));
    der_write(&w, DER_NULL, bytes_of(NULL, 0));
    der_close(&w, mark);
    return whole(&w);
}

/* As an INTEGER's content. */
static struct bytes integer_of(struct bytes serial) {
    struct writer w = slot();
    if (serial.data[0] >= 0x80) {
        write_u8(&w, 0);
    }
    write_bytes(&w, serial);
    return whole(&w);
}

struct bytes ocsp_ask_write(const struct ocsp_ask *ask) {
    struct ocsp_issuer issuer;
    struct writer list = slot(), extension = slot();
    ck_assert_int_eq(ocsp_issuer_of(&issuer, ask->issuer, NULL), STATUS_OK);
    for (size_t i = 0; i < ask->num; i++) {
        struct bytes id =
            ocsp_cert_id(algorithm_of(ask->alg), ocsp_issuer_name_hash(&issuer, ask->alg),
                         ocsp_issuer_key_hash(&issuer, ask->alg), integer_of(ask->serial[i]));
        write_bytes(&list, ocsp_wrap(DER_SEQUENCE, id));
    }
    struct ocsp_parts parts = {.list = ocsp_wrap(DER_SEQUENCE, whole(&list))};
    if (ask->nonce.len > 0) {
        x509_write_extension(&extension, DER_OID_OF(OID_OCSP_NONCE), false,
                             ocsp_wrap(DER_OCTET_STRING, ask->nonce));
        parts.extensions =
            ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 2, ocsp_wrap(DER_SEQUENCE, whole(&extension)));
    }
    return ocsp_parts_write(&parts);
}

const char *ocsp_ask_url(struct bytes request, bool escaped) {
    static char url[3 * SLOT_SIZE];
    char base64[2 * SLOT_SIZE];
    size_t len = 0;
    ck_assert_uint_le(base64_encoded_size(request.len), sizeof base64);
    base64_encode(base64, request);
    for (const char *c = base64; *c != '\0'; c++) {
        bool special = escaped && strchr("+/=", *c) != NULL;
        len += (size_t)snprintf(url + len, sizeof url - len, special ? "%%%02X" : "%c", *c);
    }
    return url;
}

/* --- answers -------------------------------------------------------------------------------- */

static struct bytes take(struct bytes *in, unsigned tag) {
    struct bytes content = bytes_of(NULL, 0);
    ck_assert_msg(der_take(in, tag, &content) == STATUS_OK, "no element %#x at %zu from the end",
                  tag, in->len);
    return content;
}

static int64_t take_time(struct bytes *in) {
    int64_t time = 0;
    ck_assert_uint_gt(in->len, 0);
    ck_assert_uint_eq(in->data[0], DER_GENERALIZED_TIME);
    ck_assert_int_eq(der_take_time(in, &time), STATUS_OK);
    return time;
}

static void see_status(struct ocsp_seen *out, size_t at, struct bytes *single) {
    unsigned tag = 0;
    struct bytes content;
    ck_assert_int_eq(der_any(single, &tag, &content), STATUS_OK);
    out->answer[at].reason = -1;
    out->answer[at].status = (int)(tag & 0x1f);
    if (tag == (DER_CONTEXT_CONSTRUCTED | 1)) {
        out->answer[at].revoked_at = take_time(&content);
        if (content.len > 0) {
            struct bytes reason = take(&content, DER_CONTEXT_CONSTRUCTED | 0);
            struct bytes code = take(&reason, DER_ENUMERATED);
            ck_assert_uint_eq(code.len, 1);
            out->answer[at].reason = code.data[0];
        }
    } else {
        ck_assert(tag == (DER_CONTEXT | 0) || tag == (DER_CONTEXT | 2));
    }
    ck_assert_uint_eq(content.len, 0);
}

static void see_single(struct ocsp_seen *out, struct bytes *list) {
    struct bytes single = take(list, DER_SEQUENCE), id = take(&single, DER_SEQUENCE);
    struct bytes algorithm = take(&id, DER_SEQUENCE), oid = take(&algorithm, DER_OID);
    size_t at = out->num++;
    ck_assert_uint_lt(at, OCSP_CERTS_MAX);
    out->answer[at].alg = bytes_equal(oid, DER_OID_OF(OID_SHA1)) ? HASH_SHA1 : HASH_SHA256;
    out->answer[at].name_hash = take(&id, DER_OCTET_STRING);
    out->answer[at].key_hash = take(&id, DER_OCTET_STRING);
    ck_assert_int_eq(der_take_unsigned(&id, &out->answer[at].serial), STATUS_OK);
    see_status(out, at, &single);
    out->answer[at].this_update = take_time(&single);
    struct bytes next = take(&single, DER_CONTEXT_CONSTRUCTED | 0);
    out->answer[at].next_update = take_time(&next);
    ck_assert_uint_eq(single.len, 0);
}

static void see_nonce(struct ocsp_seen *out, struct bytes outer) {
    struct bytes list = take(&outer, DER_SEQUENCE), extension = take(&list, DER_SEQUENCE);
    ck_assert(bytes_equal(take(&extension, DER_OID), DER_OID_OF(OID_OCSP_NONCE)));
    struct bytes value = take(&extension, DER_OCTET_STRING);
    out->nonce = take(&value, DER_OCTET_STRING);
    ck_assert(list.len == 0 && value.len == 0);
}

static void see_data(struct ocsp_seen *out, struct bytes data, struct bytes *key_hash) {
    struct bytes by_key = take(&data, DER_CONTEXT_CONSTRUCTED | 2);
    *key_hash = take(&by_key, DER_OCTET_STRING);
    out->produced_at = take_time(&data);
    struct bytes list = take(&data, DER_SEQUENCE);
    while (list.len > 0) {
        see_single(out, &list);
    }
    if (data.len > 0) {
        see_nonce(out, take(&data, DER_CONTEXT_CONSTRUCTED | 1));
    }
    ck_assert_uint_eq(data.len, 0);
}

static void check_signature(struct ocsp_seen *out, struct bytes data, struct bytes signature,
                            struct bytes key_hash) {
    uint8_t expected[20];
    struct detail detail = {0};
    ck_assert_int_eq(certificate_parse(&out->responder, out->certificate, &detail), STATUS_OK);
    ck_assert_int_eq(ocsp_key_hash(expected, &out->responder.key), STATUS_OK);
    ck_assert(bytes_equal(key_hash, bytes_of(expected, sizeof expected)));
    ck_assert_msg(signature_verify_der(&out->responder.key, HASH_SHA256, signature, data,
                                       &detail) == STATUS_OK,
                  "%s", detail.text);
}

void ocsp_see(struct ocsp_seen *out, struct bytes response) {
    struct bytes key_hash, data, signature = bytes_of(NULL, 0);
    *out = (struct ocsp_seen){0};
    struct bytes fields = take(&response, DER_SEQUENCE), status = take(&fields, DER_ENUMERATED);
    ck_assert(response.len == 0 && status.len == 1);
    out->response_status = status.data[0];
    if (out->response_status != 0) {
        ck_assert_uint_eq(fields.len, 0);
        return;
    }
    struct bytes outer = take(&fields, DER_CONTEXT_CONSTRUCTED | 0);
    struct bytes typed = take(&outer, DER_SEQUENCE);
    ck_assert(bytes_equal(take(&typed, DER_OID), DER_OID_OF(OID_OCSP_BASIC)));
    struct bytes octets = take(&typed, DER_OCTET_STRING), basic = take(&octets, DER_SEQUENCE);
    ck_assert(fields.len == 0 && outer.len == 0 && typed.len == 0 && octets.len == 0);
    ck_assert_int_eq(der_take_whole(&basic, DER_SEQUENCE, &data), STATUS_OK);
    (void)take(&basic, DER_SEQUENCE);
    ck_assert_int_eq(der_take_bits(&basic, &signature), STATUS_OK);
    struct bytes explicit = take(&basic, DER_CONTEXT_CONSTRUCTED | 0);
    struct bytes certificates = take(&explicit, DER_SEQUENCE);
    ck_assert_int_eq(der_take_whole(&certificates, DER_SEQUENCE, &out->certificate), STATUS_OK);
    ck_assert(basic.len == 0 && explicit.len == 0 && certificates.len == 0);
    struct bytes inner = data;
    see_data(out, take(&inner, DER_SEQUENCE), &key_hash);
    check_signature(out, data, signature, key_hash);
}

/* Reading OCSP requests: what openssl and others write is taken, whatever is not of RFC 6960 is not. */
#include "server/credential/ocsp_request.h"
#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509_write.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/lab.h"
#include "tests/unit/ocsp_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t zeros[256];

static struct bytes some(size_t len) {
    return bytes_of(zeros, len);
}

static struct bytes ca(void) {
    struct cert_spec spec = cert_ca("ocsp ca", 0, "ocsp ca", 0);
    return cert_make(&spec);
}

static struct ocsp_ask usual(enum hash_alg alg) {
    static const uint8_t serial[] = {0x4A, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return (struct ocsp_ask){.issuer = ca(),
                             .alg = alg,
                             .serial = {bytes_of(serial, sizeof serial)},
                             .num = 1,
                             .nonce = bytes_of("0123456789abcdef", 16)};
}

static void refused(struct bytes request, enum status status) {
    struct ocsp_request out, before;
    struct detail detail = {0};
    memset(&out, 0x5A, sizeof out);
    memcpy(&before, &out, sizeof out);
    struct bytes exact = cert_exact(request);
    enum status got = ocsp_request_read(&out, exact, &detail);
    cert_drop(exact);
    ck_assert_msg(got == status, "%s: %s", status_name(got), detail.text);
    ck_assert_str_ne(detail.text, "");
    ck_assert_msg(memcmp(&out, &before, sizeof out) == 0, "the output was touched");
}

static void taken(struct bytes request, struct ocsp_request *out) {
    struct detail detail = {0};
    ck_assert_msg(ocsp_request_read(out, request, &detail) == STATUS_OK, "%s", detail.text);
}

/* --- taken ---------------------------------------------------------------------------------- */

static const enum hash_alg algs[] = {HASH_SHA1, HASH_SHA256};

START_TEST(a_request_is_read_with_its_certificate_and_nonce) {
    struct ocsp_ask ask = usual(algs[_i]);
    struct ocsp_request request;
    struct ocsp_issuer issuer;
    taken(ocsp_ask_write(&ask), &request);
    ck_assert_int_eq(ocsp_issuer_of(&issuer, ask.issuer, NULL), STATUS_OK);
    ck_assert_uint_eq(request.num_certs, 1);
    ck_assert_int_eq(request.cert[0].alg, algs[_i]);
    ck_assert(ocsp_issuer_is_meant(&issuer, &request.cert[0]));
    ck_assert(bytes_equal(request.cert[0].serial, ask.serial[0]));
    ck_assert(bytes_equal(request.nonce, ask.nonce));
}
END_TEST

static const char *const by_openssl[] = {
    "-sha1 -cert leaf.pem",
    "-sha256 -cert leaf.pem",
    "-no_nonce -sha1 -cert leaf.pem",
    "-no_nonce -sha256 -cert leaf.pem -cert ca.pem -serial 0x7f",
    "-sha384 -no_nonce -cert leaf.pem",
    "-cert leaf.pem -signer ca.pem -signkey ca.key"};
static const size_t by_openssl_certs[] = {1, 1, 1, 3, 1, 1};

START_TEST(what_openssl_asks_is_taken) {
    struct ocsp_request request;
    struct ocsp_issuer issuer;
    lab_run("openssl ocsp -issuer ca.pem %s -reqout request", by_openssl[_i]);
    lab_run("openssl x509 -in ca.pem -outform DER -out ca.der");
    ck_assert_int_eq(ocsp_issuer_of(&issuer, lab_read("ca.der"), NULL), STATUS_OK);
    taken(lab_read("request"), &request);
    ck_assert_uint_eq(request.num_certs, by_openssl_certs[_i]);
    ck_assert_int_eq(request.nonce.len > 0, strstr(by_openssl[_i], "no_nonce") == NULL);
    bool other_hash = strstr(by_openssl[_i], "sha384") != NULL;
    for (size_t i = 0; i < request.num_certs; i++) {
        ck_assert_int_eq(ocsp_issuer_is_meant(&issuer, &request.cert[i]), !other_hash);
    }
}
END_TEST

START_TEST(an_issuer_is_meant_by_name_and_key_both) {
    struct ocsp_ask ask = usual(algs[_i]);
    struct ocsp_request request;
    struct ocsp_issuer other, renamed;
    struct cert_spec of_other_key = cert_ca("ocsp ca", 1, "ocsp ca", 1);
    struct cert_spec of_other_name = cert_ca("another", 0, "another", 0);
    taken(ocsp_ask_write(&ask), &request);
    ck_assert_int_eq(ocsp_issuer_of(&other, cert_make(&of_other_key), NULL), STATUS_OK);
    ck_assert_int_eq(ocsp_issuer_of(&renamed, cert_make(&of_other_name), NULL), STATUS_OK);
    ck_assert(!ocsp_issuer_is_meant(&other, &request.cert[0]));
    ck_assert(!ocsp_issuer_is_meant(&renamed, &request.cert[0]));
}
END_TEST

START_TEST(a_nonce_has_1_to_128_bytes) {
    struct ocsp_ask ask = usual(HASH_SHA1);
    struct ocsp_request request;
    for (size_t len = 1; len <= OCSP_NONCE_MAX; len++) {
        ask.nonce = some(len);
        taken(ocsp_ask_write(&ask), &request);
        ck_assert_uint_eq(request.nonce.len, len);
    }
    ask.nonce = some(OCSP_NONCE_MAX + 1);
    refused(ocsp_ask_write(&ask), STATUS_MALFORMED);
}
END_TEST

START_TEST(sixteen_certificates_are_taken_and_no_more) {
    struct ocsp_ask ask = usual(HASH_SHA256);
    struct ocsp_request request;
    for (size_t num = 1; num <= OCSP_CERTS_MAX + 1; num++) {
        ask.serial[num - 1] = ask.serial[0];
        ask.num = num;
        if (num <= OCSP_CERTS_MAX) {
            taken(ocsp_ask_write(&ask), &request);
            ck_assert_uint_eq(request.num_certs, num);
        } else {
            refused(ocsp_ask_write(&ask), STATUS_LIMIT);
        }
    }
}
END_TEST

START_TEST(a_request_over_4_kib_is_a_limit) {
    uint8_t large[OCSP_REQUEST_MAX + 1] = {0};
    refused(bytes_of(large, sizeof large), STATUS_LIMIT);
}
END_TEST

/* --- refused -------------------------------------------------------------------------------- */

START_TEST(every_prefix_is_refused) {
    struct ocsp_ask ask = usual(algs[_i]);
    struct bytes request = ocsp_ask_write(&ask);
    for (size_t len = 0; len < request.len; len++) {
        refused(bytes_of(request.data, len), STATUS_TRUNCATED);
    }
}
END_TEST

/* Any bit: it is refused, or nothing but the bytes of a digest, serial number, nonce or identifier of an
 * algorithm or extension is read otherwise. */
START_TEST(every_bit_flipped_is_refused_or_read_within_the_request) {
    struct ocsp_ask ask = usual(HASH_SHA1);
    struct bytes request = cert_exact(ocsp_ask_write(&ask));
    size_t num_refused = 0;
    for (size_t bit = 0; bit < request.len * 8; bit++) {
        struct ocsp_request out;
        struct detail detail = {0};
        cert_writable(request)[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (ocsp_request_read(&out, request, &detail) == STATUS_OK) {
            ck_assert_uint_eq(out.num_certs, 1);
            ck_assert(out.cert[0].alg != HASH_SHA1 || out.cert[0].issuer_name_hash.len == 20);
            ck_assert_uint_le(out.cert[0].serial.len, 16);
        } else {
            num_refused++;
        }
        cert_writable(request)[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    cert_drop(request);
    ck_assert_uint_gt(num_refused, 100);
}
END_TEST

static struct bytes sha1(void) {
    return ocsp_wrap(DER_SEQUENCE, ocsp_wrap(DER_OID, DER_OID_OF(OID_SHA1)));
}

static struct bytes list_of(struct bytes cert_id) {
    return ocsp_wrap(DER_SEQUENCE, ocsp_wrap(DER_SEQUENCE, cert_id));
}

static struct ocsp_parts good_parts(void) {
    return (struct ocsp_parts){.list = list_of(ocsp_cert_id(sha1(), some(20), some(20), some(1)))};
}

static struct bytes joined(struct bytes a, struct bytes b) {
    static uint8_t buffer[4][512];
    static size_t at;
    struct writer w = writer_of(buffer[at++ % 4], sizeof buffer[0]);
    write_bytes(&w, a);
    write_bytes(&w, b);
    return writer_bytes(&w);
}

START_TEST(a_request_of_the_least_parts_is_taken) {
    struct ocsp_parts parts = good_parts();
    struct ocsp_request request;
    taken(ocsp_parts_write(&parts), &request);
    ck_assert_uint_eq(request.nonce.len, 0);
    ck_assert_uint_eq(request.cert[0].serial.len, 1);
}
END_TEST

START_TEST(another_version_is_refused_and_the_default_is_left_out) {
    for (uint8_t version = 0; version < 3; version++) {
        struct ocsp_parts parts = good_parts();
        parts.version =
            ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 0, ocsp_wrap(DER_INTEGER, bytes_of(&version, 1)));
        refused(ocsp_parts_write(&parts), STATUS_MALFORMED);
    }
}
END_TEST

START_TEST(bytes_after_the_request_are_refused) {
    struct ocsp_parts parts = good_parts();
    parts.after = some(1);
    refused(ocsp_parts_write(&parts), STATUS_MALFORMED);
}
END_TEST

START_TEST(a_requestor_is_left_alone) {
    struct ocsp_parts parts = good_parts();
    struct ocsp_request request;
    parts.requestor = ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 1, ocsp_wrap(0x82, some(3)));
    taken(ocsp_parts_write(&parts), &request);
}
END_TEST

START_TEST(a_request_for_nothing_is_refused) {
    struct ocsp_parts parts = {.list = ocsp_wrap(DER_SEQUENCE, some(0))};
    refused(ocsp_parts_write(&parts), STATUS_MALFORMED);
    parts.list = bytes_of(NULL, 0);
    refused(ocsp_parts_write(&parts), STATUS_MALFORMED);
}
END_TEST

static const struct {
    const char *what;
    size_t name_len, key_len;
    const char *serial;
    size_t serial_len;
} cert_ids[] = {{"a short name hash", 19, 20, "\1", 1},
                {"a long key hash", 20, 21, "\1", 1},
                {"digests of SHA-256 under SHA-1", 32, 32, "\1", 1},
                {"a negative serial", 20, 20, "\x80", 1},
                {"a serial of nothing", 20, 20, "", 0},
                {"a serial with a zero before it", 20, 20, "\0\1", 2},
                {"a serial of 21 bytes", 20, 20, "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 21}};

START_TEST(a_certificate_id_that_is_none_is_refused) {
    struct ocsp_parts parts = {.list = list_of(ocsp_cert_id(
                                   sha1(), some(cert_ids[_i].name_len), some(cert_ids[_i].key_len),
                                   bytes_of(cert_ids[_i].serial, cert_ids[_i].serial_len)))};
    refused(ocsp_parts_write(&parts), STATUS_MALFORMED);
}
END_TEST

START_TEST(parameters_of_a_hash_are_null_or_absent) {
    struct bytes oid = ocsp_wrap(DER_OID, DER_OID_OF(OID_SHA1));
    struct ocsp_request request;
    struct ocsp_parts parts = good_parts();
    parts.list =
        list_of(ocsp_cert_id(ocsp_wrap(DER_SEQUENCE, joined(oid, ocsp_wrap(DER_NULL, some(0)))),
                             some(20), some(20), some(1)));
    taken(ocsp_parts_write(&parts), &request);
    struct bytes others[] = {ocsp_wrap(DER_NULL, some(1)), ocsp_wrap(DER_SEQUENCE, some(0)),
                             joined(ocsp_wrap(DER_NULL, some(0)), ocsp_wrap(DER_NULL, some(0)))};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        parts.list = list_of(ocsp_cert_id(ocsp_wrap(DER_SEQUENCE, joined(oid, others[i])), some(20),
                                          some(20), some(1)));
        refused(ocsp_parts_write(&parts), STATUS_MALFORMED);
    }
}
END_TEST

/* --- extensions ----------------------------------------------------------------------------- */

static struct bytes extension_of(struct bytes oid, bool critical, struct bytes value) {
    static uint8_t buffer[4][512];
    static size_t at;
    struct writer w = writer_of(buffer[at++ % 4], sizeof buffer[0]);
    x509_write_extension(&w, oid, critical, value);
    ck_assert(!w.overflow);
    return writer_bytes(&w);
}

static struct bytes request_with(struct bytes extensions) {
    struct ocsp_parts parts = good_parts();
    parts.extensions = ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 2, ocsp_wrap(DER_SEQUENCE, extensions));
    return ocsp_parts_write(&parts);
}

#define UNKNOWN_OID DER_OID_OF("\x2A\x03\x04\x05")
#define NONCE_OID   DER_OID_OF(OID_OCSP_NONCE)

START_TEST(an_unknown_extension_is_passed_over_unless_it_is_critical) {
    struct ocsp_request request;
    taken(request_with(extension_of(UNKNOWN_OID, false, some(3))), &request);
    refused(request_with(extension_of(UNKNOWN_OID, true, some(3))), STATUS_MALFORMED);
}
END_TEST

START_TEST(the_same_holds_for_those_of_one_certificate) {
    struct ocsp_request request;
    for (int critical = 0; critical < 2; critical++) {
        struct bytes id = ocsp_cert_id(sha1(), some(20), some(20), some(1));
        struct bytes extensions =
            ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 0,
                      ocsp_wrap(DER_SEQUENCE, extension_of(UNKNOWN_OID, critical != 0, some(3))));
        struct ocsp_parts parts = {.list = list_of(joined(id, extensions))};
        if (critical != 0) {
            refused(ocsp_parts_write(&parts), STATUS_MALFORMED);
        } else {
            taken(ocsp_parts_write(&parts), &request);
        }
    }
}
END_TEST

START_TEST(a_critical_nonce_is_a_nonce) {
    struct ocsp_request request;
    taken(request_with(extension_of(NONCE_OID, true, ocsp_wrap(DER_OCTET_STRING, some(8)))),
          &request);
    ck_assert_uint_eq(request.nonce.len, 8);
}
END_TEST

START_TEST(a_nonce_of_nothing_bare_or_twice_is_refused) {
    struct bytes good = extension_of(NONCE_OID, false, ocsp_wrap(DER_OCTET_STRING, some(8)));
    refused(request_with(extension_of(NONCE_OID, false, ocsp_wrap(DER_OCTET_STRING, some(0)))),
            STATUS_MALFORMED);
    refused(request_with(extension_of(NONCE_OID, false, some(16))), STATUS_MALFORMED);
    refused(request_with(extension_of(NONCE_OID, false,
                                      joined(ocsp_wrap(DER_OCTET_STRING, some(8)), some(1)))),
            STATUS_MALFORMED);
    refused(request_with(joined(good, good)), STATUS_MALFORMED);
}
END_TEST

START_TEST(extensions_of_nothing_or_written_otherwise_are_refused) {
    static const uint8_t no[] = {DER_BOOLEAN, 1, 0};
    refused(request_with(some(0)), STATUS_MALFORMED);
    struct bytes oid = ocsp_wrap(DER_OID, UNKNOWN_OID);
    struct bytes value = ocsp_wrap(DER_OCTET_STRING, some(1));
    refused(request_with(ocsp_wrap(DER_SEQUENCE, joined(oid, joined(bytes_of(no, 3), value)))),
            STATUS_MALFORMED);
    refused(request_with(ocsp_wrap(DER_SEQUENCE, oid)), STATUS_MALFORMED);
    refused(request_with(ocsp_wrap(DER_SEQUENCE, joined(oid, joined(value, value)))),
            STATUS_MALFORMED);
}
END_TEST

/* --- signatures ----------------------------------------------------------------------------- */

START_TEST(a_signature_is_left_alone_when_it_is_one) {
    struct ocsp_request request;
    static const uint8_t bits[] = {DER_BIT_STRING, 2, 0, 0x5A};
    struct bytes fields = joined(ocsp_wrap(DER_SEQUENCE, some(0)), bytes_of(bits, sizeof bits));
    struct ocsp_parts parts = good_parts();
    parts.signature = ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 0, ocsp_wrap(DER_SEQUENCE, fields));
    taken(ocsp_parts_write(&parts), &request);
    struct bytes others[] = {
        ocsp_wrap(DER_SEQUENCE, fields), ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 0, fields),
        ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 0,
                  ocsp_wrap(DER_SEQUENCE, joined(fields, ocsp_wrap(DER_NULL, some(0))))),
        ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 0, joined(ocsp_wrap(DER_SEQUENCE, fields), some(1))),
        ocsp_wrap(DER_CONTEXT_CONSTRUCTED | 0, ocsp_wrap(DER_SEQUENCE, some(0)))};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        parts.signature = others[i];
        refused(ocsp_parts_write(&parts), STATUS_MALFORMED);
    }
}
END_TEST

static void prepare(void) {
    lab_open();
    lab_run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key "
            "-out ca.pem -subj /CN=ca -days 30; "
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key "
            "-out leaf.csr -subj /CN=leaf; "
            "openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 0x8001 -days 9 "
            "-out leaf.pem");
}

int main(void) {
    TCase *good = tcase_create("taken"), *bad = tcase_create("refused");
    prepare();
    tcase_add_loop_test(good, a_request_is_read_with_its_certificate_and_nonce, 0, 2);
    tcase_add_loop_test(good, what_openssl_asks_is_taken, 0,
                        sizeof by_openssl / sizeof by_openssl[0]);
    tcase_add_loop_test(good, an_issuer_is_meant_by_name_and_key_both, 0, 2);
    tcase_add_test(good, a_nonce_has_1_to_128_bytes);
    tcase_add_test(good, sixteen_certificates_are_taken_and_no_more);
    tcase_add_test(good, a_request_of_the_least_parts_is_taken);
    tcase_add_test(good, a_requestor_is_left_alone);
    tcase_add_test(good, a_critical_nonce_is_a_nonce);
    tcase_add_test(bad, a_request_over_4_kib_is_a_limit);
    tcase_add_loop_test(bad, every_prefix_is_refused, 0, 2);
    tcase_add_test(bad, every_bit_flipped_is_refused_or_read_within_the_request);
    tcase_add_test(bad, another_version_is_refused_and_the_default_is_left_out);
    tcase_add_test(bad, bytes_after_the_request_are_refused);
    tcase_add_test(bad, a_request_for_nothing_is_refused);
    tcase_add_loop_test(bad, a_certificate_id_that_is_none_is_refused, 0,
                        sizeof cert_ids / sizeof cert_ids[0]);
    tcase_add_test(bad, parameters_of_a_hash_are_null_or_absent);
    tcase_add_test(bad, an_unknown_extension_is_passed_over_unless_it_is_critical);
    tcase_add_test(bad, the_same_holds_for_those_of_one_certificate);
    tcase_add_test(bad, a_nonce_of_nothing_bare_or_twice_is_refused);
    tcase_add_test(bad, extensions_of_nothing_or_written_otherwise_are_refused);
    tcase_add_test(bad, a_signature_is_left_alone_when_it_is_one);
    Suite *suite = suite_create("OCSP: requests");
    suite_add_tcase(suite, good);
    suite_add_tcase(suite, bad);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509.h"
#include "server/crypto/x509_write.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LITERAL(text) bytes_of("" text, sizeof(text) - 1)

/* Requests that openssl makes: NAME.csr (DER) for NAME.key. */
static const struct {
    const char *name, *key, *options;
    enum key_kind kind; /* KEY_NONE: refused */
    enum status status;
} made[] = {
    {"p256", "EC -pkeyopt ec_paramgen_curve:P-256", "-sha256", KEY_EC_P256, STATUS_OK},
    {"p384", "EC -pkeyopt ec_paramgen_curve:P-384", "-sha384", KEY_EC_P384, STATUS_OK},
    {"ed25519", "ED25519", "", KEY_ED25519, STATUS_OK},
    {"rsa", "RSA -pkeyopt rsa_keygen_bits:2048", "-sha256", KEY_RSA, STATUS_OK},
    {"rsa4096", "RSA -pkeyopt rsa_keygen_bits:4096", "-sha512", KEY_RSA, STATUS_OK},
    {"rsa-pss", "RSA -pkeyopt rsa_keygen_bits:2048",
     "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest", KEY_RSA, STATUS_OK},
    {"extended", "EC -pkeyopt ec_paramgen_curve:P-256",
     "-sha256 -addext subjectAltName=DNS:admin.example -addext basicConstraints=critical,CA:TRUE",
     KEY_EC_P256, STATUS_OK},
    {"rsa-pss-max", "RSA -pkeyopt rsa_keygen_bits:2048",
     "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max", KEY_NONE,
     STATUS_UNSUPPORTED},
    {"p256-sha1", "EC -pkeyopt ec_paramgen_curve:P-256", "-sha1", KEY_NONE, STATUS_UNSUPPORTED},
    {"rsa-sha1", "RSA -pkeyopt rsa_keygen_bits:2048", "-sha1", KEY_NONE, STATUS_UNSUPPORTED},
    {"rsa-md5", "RSA -pkeyopt rsa_keygen_bits:2048", "-md5", KEY_NONE, STATUS_UNSUPPORTED},
    {"p256-sha224", "EC -pkeyopt ec_paramgen_curve:P-256", "-sha224", KEY_NONE, STATUS_UNSUPPORTED},
    {"rsa1024", "RSA -pkeyopt rsa_keygen_bits:1024", "-sha256", KEY_NONE, STATUS_UNSUPPORTED},
    {"p521", "EC -pkeyopt ec_paramgen_curve:P-521", "-sha512", KEY_NONE, STATUS_UNSUPPORTED},
    {"p224", "EC -pkeyopt ec_paramgen_curve:P-224", "-sha256", KEY_NONE, STATUS_UNSUPPORTED},
    {"secp256k1", "EC -pkeyopt ec_paramgen_curve:secp256k1", "-sha256", KEY_NONE,
     STATUS_UNSUPPORTED},
    {"ed448", "ED448", "", KEY_NONE, STATUS_UNSUPPORTED},
};
enum { NUM_MADE = sizeof made / sizeof made[0], NUM_GOOD = 7 };

static void make_requests(void) {
    lab_open();
    for (size_t i = 0; i < NUM_MADE; i++) {
        lab_run(
            "openssl genpkey -algorithm %s -out %s.key; openssl req -new -key %s.key %s -subj "
            "/CN=anything "
            "-outform DER -out %s.csr; openssl pkey -in %s.key -pubout -outform DER -out %s.spki",
            made[i].key, made[i].name, made[i].name, made[i].options, made[i].name, made[i].name,
            made[i].name);
    }
}

static struct bytes file_of(const char *name, const char *suffix) {
    char file[64];
    (void)snprintf(file, sizeof file, "%s.%s", name, suffix);
    return lab_read(file);
}

START_TEST(request_of_openssl_is_read_or_refused_for_its_kind) {
    struct csr csr = {.spki_len = 77};
    struct detail detail = {0};
    struct bytes der = cert_exact(file_of(made[_i].name, "csr"));
    enum status status = csr_parse(&csr, der, &detail);
    ck_assert_msg(status == made[_i].status, "%s: %s (%s)", made[_i].name, status_name(status),
                  detail.text);
    if (status == STATUS_OK) {
        ck_assert_int_eq(csr.key.kind, made[_i].kind);
        ck_assert(bytes_equal(bytes_of(csr.spki, csr.spki_len), file_of(made[_i].name, "spki")));
    } else {
        ck_assert_uint_eq(csr.spki_len, 77);
        ck_assert_uint_gt(strlen(detail.text), 0);
    }
    cert_drop(der);
}
END_TEST

START_TEST(request_refuses_every_prefix_and_trailing_bytes) {
    struct bytes der = file_of(made[_i].name, "csr");
    struct csr csr;
    for (size_t len = 0; len < der.len; len++) {
        struct bytes in = cert_exact(bytes_of(der.data, len));
        ck_assert_int_eq(csr_parse(&csr, in, NULL), STATUS_MALFORMED);
        cert_drop(in);
    }
    ck_assert_int_eq(csr_parse(&csr, bytes_of(der.data, der.len + 1), NULL), STATUS_MALFORMED);
}
END_TEST

START_TEST(request_refuses_every_flipped_bit) {
    struct bytes der = file_of(made[_i].name, "csr");
    struct csr csr;
    for (size_t bit = 0; bit < der.len * 8; bit++) {
        struct bytes in = cert_exact(der);
        cert_writable(in)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(csr_parse(&csr, in, NULL) != STATUS_OK, "%s: bit %zu", made[_i].name, bit);
        cert_drop(in);
    }
}
END_TEST

/* --- requests that openssl would not make
 * ------------------------------------------------------------ */

/* A request for key 1, with parts exchanged. */
struct parts {
    struct bytes version, name, attributes, algorithm, after_info;
    size_t signer; /* of cert_key */
    size_t subject;
};

static struct bytes request_of(const struct parts *parts, uint8_t *out, size_t cap) {
    uint8_t info_buffer[2048], signature_buffer[KEY_SIGNATURE_MAX];
    struct writer w = writer_of(out, cap), info = writer_of(info_buffer, sizeof info_buffer);
    struct writer signature = writer_of(signature_buffer, sizeof signature_buffer);
    struct public_key key;
    private_key_public(cert_key(parts->subject), &key);
    size_t mark = der_open(&info, DER_SEQUENCE);
    write_bytes(&info, parts->version);
    write_bytes(&info, parts->name);
    ck_assert_int_eq(public_key_to_spki(&info, &key), STATUS_OK);
    write_bytes(&info, parts->attributes);
    der_close(&info, mark);
    ck_assert_int_eq(private_key_sign(cert_key(parts->signer), &signature, writer_bytes(&info)),
                     STATUS_OK);
    mark = der_open(&w, DER_SEQUENCE);
    write_bytes(&w, writer_bytes(&info));
    write_bytes(&w, parts->after_info);
    write_bytes(&w, parts->algorithm);
    der_write_bits(&w, writer_bytes(&signature));
    der_close(&w, mark);
    ck_assert(!w.overflow);
    return writer_bytes(&w);
}

static struct parts good(void) {
    return (struct parts){.version = LITERAL("\x02\x01\x00"),
                          .name = LITERAL("\x30\x00"),
                          .attributes = LITERAL("\xA0\x00"),
                          .algorithm = LITERAL("\x30\x0A\x06\x08" OID_ECDSA_SHA256),
                          .signer = 1,
                          .subject = 1};
}

static enum status parse(const struct parts *parts, struct csr *csr) {
    uint8_t buffer[4096];
    struct bytes der = cert_exact(request_of(parts, buffer, sizeof buffer));
    enum status status = csr_parse(csr, der, NULL);
    cert_drop(der);
    return status;
}

START_TEST(request_with_an_empty_name_and_with_or_without_attributes_is_read) {
    struct parts parts = good();
    struct csr csr;
    struct public_key key;
    private_key_public(cert_key(1), &key);
    ck_assert_int_eq(parse(&parts, &csr), STATUS_OK);
    ck_assert(public_key_equal(&csr.key, &key));
    parts.attributes = bytes_of(NULL, 0);
    ck_assert_int_eq(parse(&parts, &csr), STATUS_OK);
}
END_TEST

START_TEST(request_that_another_key_signed_is_refused) {
    struct parts parts = good();
    struct csr csr;
    parts.signer = 2;
    ck_assert_int_eq(parse(&parts, &csr), STATUS_INVALID);
}
END_TEST

START_TEST(request_with_one_wrong_part_is_refused) {
    struct csr csr;
    static const struct bytes versions[] = {{(const uint8_t *)"\x02\x01\x01", 3},
                                            {(const uint8_t *)"\x02\x01\xFF", 3},
                                            {(const uint8_t *)"\x02\x02\x00\x00", 4},
                                            {(const uint8_t *)"\x04\x01\x00", 3},
                                            {NULL, 0}};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct parts parts = good();
        parts.version = versions[i];
        ck_assert_int_eq(parse(&parts, &csr), STATUS_MALFORMED);
    }
    struct parts name = good(), attributes = good(), more = good(), algorithm = good(),
                 parameters = good();
    name.name = LITERAL("\x31\x00");
    ck_assert_int_eq(parse(&name, &csr), STATUS_MALFORMED);
    attributes.attributes = LITERAL("\xA1\x00");
    ck_assert_int_eq(parse(&attributes, &csr), STATUS_MALFORMED);
    attributes.attributes = LITERAL("\xA0\x00\xA0\x00");
    ck_assert_int_eq(parse(&attributes, &csr), STATUS_MALFORMED);
    more.after_info = LITERAL("\x05\x00");
    ck_assert_int_eq(parse(&more, &csr), STATUS_MALFORMED);
    algorithm.algorithm = LITERAL("\x30\x0D\x06\x09" OID_RSA_SHA256 "\x05\x00");
    ck_assert_int_eq(parse(&algorithm, &csr), STATUS_INVALID);
    parameters.algorithm = LITERAL("\x30\x0D\x06\x08" OID_ECDSA_SHA256 "\x02\x01\x00");
    ck_assert_int_eq(parse(&parameters, &csr), STATUS_MALFORMED);
}
END_TEST

START_TEST(certificate_is_no_request) {
    struct cert_spec spec = cert_leaf("leaf", 1, "root", 0);
    struct csr csr;
    ck_assert_int_eq(csr_parse(&csr, cert_make(&spec), NULL), STATUS_MALFORMED);
}
END_TEST

int main(void) {
    make_requests();
    for (size_t i = 0; i < 3; i++) {
        (void)cert_key(i);
    }
    TCase *openssl = tcase_create("requests of openssl");
    tcase_set_timeout(openssl, 60);
    tcase_add_loop_test(openssl, request_of_openssl_is_read_or_refused_for_its_kind, 0, NUM_MADE);
    tcase_add_loop_test(openssl, request_refuses_every_prefix_and_trailing_bytes, 0, NUM_GOOD);
    tcase_add_loop_test(openssl, request_refuses_every_flipped_bit, 0, NUM_GOOD);
    TCase *odd = tcase_create("odd requests");
    tcase_add_test(odd, request_with_an_empty_name_and_with_or_without_attributes_is_read);
    tcase_add_test(odd, request_that_another_key_signed_is_refused);
    tcase_add_test(odd, request_with_one_wrong_part_is_refused);
    tcase_add_test(odd, certificate_is_no_request);
    Suite *suite = suite_create("x509: requests");
    suite_add_tcase(suite, openssl);
    suite_add_tcase(suite, odd);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Detached signatures: by openssl, and by an HSS signer of our own. */
#include "server/crypto/detached.h"

#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "tests/unit/lab.h"
#include "tests/unit/soft_lms.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char message_text[] = "{\"model\":\"m\"}";

#define PSS "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"
static const struct {
    const char *name, *key, *make;
    enum detached_algorithm algorithm;
} made[] = {
    {"p256", "p256", "dgst -sha256", DETACHED_ECDSA_P256_SHA256},
    {"p384", "p384", "dgst -sha384", DETACHED_ECDSA_P384_SHA384},
    {"rsa", "rsa", "dgst -sha256 " PSS, DETACHED_RSA_PSS_SHA256},
    {"rsa-384", "rsa", "dgst -sha384 " PSS, DETACHED_RSA_PSS_SHA384},
    {"rsa-512", "rsa", "dgst -sha512 " PSS, DETACHED_RSA_PSS_SHA512},
    /* What must not pass: another hash, another padding. */
    {"p256-384", "p256", "dgst -sha384", DETACHED_NONE},
    {"rsa-v15", "rsa", "dgst -sha256", DETACHED_NONE},
};
enum { NUM_MADE = sizeof made / sizeof *made, NUM_GOOD = 5 };

static void make_all(void) {
    lab_open();
    lab_write("message", bytes_of_text(message_text));
    lab_run("for c in 256 384 521; do openssl genpkey -algorithm EC "
            "-pkeyopt ec_paramgen_curve:P-$c -out p$c.key; done; "
            "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key; "
            "openssl genpkey -algorithm ED25519 -out ed25519.key; "
            "openssl pkeyutl -sign -rawin -inkey ed25519.key -in message -out ed25519.sig; "
            "for k in *.key; do openssl pkey -in $k -pubout -out ${k%%.key}.pub; done");
    for (size_t i = 0; i < NUM_MADE; i++) {
        lab_run("openssl %s -sign %s.key -out %s.sig message", made[i].make, made[i].key,
                made[i].name);
    }
}

static enum status key_of(struct detached_key *out, const char *name,
                          enum detached_algorithm algorithm) {
    char file[64];
    struct bytes spki;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    (void)snprintf(file, sizeof file, "%s.pub", name);
    const char *pem =
        arena_printf(&arena, "%.*s", (int)lab_read(file).len, (const char *)lab_read(file).data);
    ck_assert_int_eq(detached_spki_from_pem(&spki, &arena, pem), STATUS_OK);
    enum status status = detached_key_from_spki(out, spki, algorithm, NULL);
    arena_free(&arena);
    return status;
}

static struct bytes signature_of(const char *name) {
    char file[64];
    (void)snprintf(file, sizeof file, "%s.sig", name);
    return lab_read(file);
}

START_TEST(detached_signature_holds_over_its_message_alone) {
    struct detached_key key;
    ck_assert_int_eq(key_of(&key, made[_i].key, made[_i].algorithm), STATUS_OK);
    struct bytes signature = signature_of(made[_i].name);
    ck_assert_int_eq(detached_verify(&key, signature, bytes_of_text(message_text), NULL),
                     STATUS_OK);
    ck_assert_int_ne(detached_verify(&key, signature, bytes_of_text("{\"model\":\"n\"}"), NULL),
                     STATUS_OK);
    ck_assert_int_ne(detached_verify(&key, bytes_of(signature.data, signature.len - 1),
                                     bytes_of_text(message_text), NULL),
                     STATUS_OK);
    ck_assert_int_ne(detached_verify(&key, bytes_of(NULL, 0), bytes_of_text(message_text), NULL),
                     STATUS_OK);
}
END_TEST

START_TEST(detached_ed25519_signature_holds) {
    struct detached_key key;
    ck_assert_int_eq(key_of(&key, "ed25519", DETACHED_NONE), STATUS_OK);
    ck_assert_int_eq(key.algorithm, DETACHED_ED25519);
    ck_assert_int_eq(
        detached_verify(&key, signature_of("ed25519"), bytes_of_text(message_text), NULL),
        STATUS_OK);
    ck_assert_int_ne(detached_verify(&key, signature_of("ed25519"), bytes_of_text("x"), NULL),
                     STATUS_OK);
}
END_TEST

START_TEST(detached_signature_of_another_algorithm_of_the_key_is_refused) {
    struct detached_key key;
    ck_assert_int_eq(key_of(&key, made[_i].key, DETACHED_NONE), STATUS_OK);
    ck_assert_int_ne(
        detached_verify(&key, signature_of(made[_i].name), bytes_of_text(message_text), NULL),
        STATUS_OK);
}
END_TEST

START_TEST(detached_algorithm_has_to_fit_the_key) {
    static const struct {
        const char *key;
        enum detached_algorithm algorithm;
    } cases[] = {
        {"p256", DETACHED_ECDSA_P384_SHA384},
        {"p256", DETACHED_RSA_PSS_SHA256},
        {"p256", DETACHED_HSS_LMS_SHA256},
        {"p384", DETACHED_ECDSA_P256_SHA256},
        {"rsa", DETACHED_ED25519},
        {"ed25519", DETACHED_ECDSA_P256_SHA256},
        {"p521", DETACHED_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct detached_key key = {0};
        ck_assert_int_eq(key_of(&key, cases[i].key, cases[i].algorithm), STATUS_UNSUPPORTED);
        ck_assert_int_eq(key.algorithm, DETACHED_NONE);
    }
}
END_TEST

START_TEST(detached_algorithms_are_known_by_name) {
    for (int i = DETACHED_ECDSA_P256_SHA256; i <= DETACHED_HSS_LMS_SHA256; i++) {
        enum detached_algorithm algorithm = (enum detached_algorithm)i;
        ck_assert_int_eq(detached_algorithm_from_name(detached_algorithm_name(algorithm)), i);
    }
    ck_assert_int_eq(detached_algorithm_from_name("none"), DETACHED_NONE);
    ck_assert_int_eq(detached_algorithm_from_name("rsa"), DETACHED_NONE);
}
END_TEST

/* --- HSS --- */

static struct bytes hss_spki(uint8_t room[static 128], struct bytes key, bool wrapped) {
    uint8_t inner[80];
    struct writer w = writer_of(room, 128), k = writer_of(inner, sizeof inner);
    der_write(&k, DER_OCTET_STRING, key);
    size_t all = der_open(&w, DER_SEQUENCE), algorithm = der_open(&w, DER_SEQUENCE);
    der_write(&w, DER_OID, DER_OID_OF(OID_HSS_LMS));
    der_close(&w, algorithm);
    der_write_bits(&w, wrapped ? writer_bytes(&k) : key);
    der_close(&w, all);
    return writer_bytes(&w);
}

static enum status take_hss(struct detached_key *out, const uint8_t key[static SOFT_HSS_PUBLIC],
                            size_t len, bool wrapped) {
    uint8_t room[128];
    return detached_key_from_spki(out, hss_spki(room, bytes_of(key, len), wrapped), DETACHED_NONE,
                                  NULL);
}

START_TEST(hss_signature_holds_and_no_bit_of_it_is_free) {
    static struct soft_hss hss;
    static uint8_t signature[SOFT_HSS_SIGNATURE_MAX];
    uint8_t public[SOFT_HSS_PUBLIC];
    struct detached_key key;
    struct bytes message = bytes_of_text(message_text);
    soft_hss_make(&hss, (unsigned)_i, 0x5A);
    soft_hss_public(&hss, public);
    ck_assert_int_eq(take_hss(&key, public, sizeof public, _i == 1), STATUS_OK);
    ck_assert_int_eq(key.algorithm, DETACHED_HSS_LMS_SHA256);
    for (uint32_t q = 0; q < SOFT_LMS_LEAVES; q += 7) {
        size_t len = soft_hss_sign(&hss, q, message, signature);
        ck_assert_int_eq(detached_verify(&key, bytes_of(signature, len), message, NULL), STATUS_OK);
        ck_assert_int_eq(detached_verify(&key, bytes_of(signature, len), bytes_of_text("x"), NULL),
                         STATUS_INVALID);
        ck_assert_int_eq(detached_verify(&key, bytes_of(signature, len - 1), message, NULL),
                         STATUS_MALFORMED);
    }
    size_t len = soft_hss_sign(&hss, 3, message, signature);
    for (size_t i = 0; i < len; i += 5) {
        signature[i] ^= 0x10;
        ck_assert_msg(detached_verify(&key, bytes_of(signature, len), message, NULL) != STATUS_OK,
                      "byte %zu", i);
        signature[i] ^= 0x10;
    }
}
END_TEST

START_TEST(hss_signature_of_another_key_is_refused) {
    static struct soft_hss hss, other;
    static uint8_t signature[SOFT_HSS_SIGNATURE_MAX];
    uint8_t public[SOFT_HSS_PUBLIC];
    struct detached_key key;
    soft_hss_make(&hss, 1, 1);
    soft_hss_make(&other, 1, 2);
    soft_hss_public(&hss, public);
    ck_assert_int_eq(take_hss(&key, public, sizeof public, false), STATUS_OK);
    size_t len = soft_hss_sign(&other, 0, bytes_of_text(message_text), signature);
    ck_assert_int_eq(
        detached_verify(&key, bytes_of(signature, len), bytes_of_text(message_text), NULL),
        STATUS_INVALID);
}
END_TEST

START_TEST(hss_keys_with_other_parameters_are_refused) {
    static struct soft_hss hss;
    uint8_t public[SOFT_HSS_PUBLIC];
    struct detached_key key;
    soft_hss_make(&hss, 1, 1);
    soft_hss_public(&hss, public);
    ck_assert_int_eq(take_hss(&key, public, sizeof public - 1, false), STATUS_UNSUPPORTED);
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {{3, 0}, {3, 9}, {7, 0}, {7, 4}, {7, 10}, {11, 0}, {11, 5}, {0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t old = public[cases[i].at];
        public[cases[i].at] = cases[i].value;
        ck_assert_int_eq(take_hss(&key, public, sizeof public, false), STATUS_UNSUPPORTED);
        public[cases[i].at] = old;
    }
}
END_TEST

int main(void) {
    make_all();
    Suite *suite = suite_create("detached signatures");
    TCase *tests = tcase_create("detached");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, detached_signature_holds_over_its_message_alone, 0, NUM_GOOD);
    tcase_add_test(tests, detached_ed25519_signature_holds);
    tcase_add_loop_test(tests, detached_signature_of_another_algorithm_of_the_key_is_refused,
                        NUM_GOOD, NUM_MADE);
    tcase_add_test(tests, detached_algorithm_has_to_fit_the_key);
    tcase_add_test(tests, detached_algorithms_are_known_by_name);
    tcase_add_loop_test(tests, hss_signature_holds_and_no_bit_of_it_is_free, 1, 3);
    tcase_add_test(tests, hss_signature_of_another_key_is_refused);
    tcase_add_test(tests, hss_keys_with_other_parameters_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "server/base/encoding.h"
#include "server/crypto/der.h"
#include "server/crypto/key.h"
#include "server/crypto/oid.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What openssl makes, by name: NAME.key (PKCS#8), NAME.pub (PEM), NAME.spki (DER). */
static const struct {
    const char *name, *make;
    enum key_kind kind;
    unsigned bits;
} made[] = {
    {"p256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", KEY_EC_P256, 256},
    {"p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", KEY_EC_P384, 384},
    {"p521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521", KEY_EC_P521, 521},
    {"ed25519", "-algorithm ED25519", KEY_ED25519, 256},
    {"rsa2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", KEY_RSA, 2048},
    {"rsa3072", "-algorithm RSA -pkeyopt rsa_keygen_bits:3072", KEY_RSA, 3072},
    {"rsa2047", "-algorithm RSA -pkeyopt rsa_keygen_bits:2047", KEY_NONE, 2047},
    {"rsa1024", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024", KEY_NONE, 1024},
    {"rsa-e3", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
     KEY_NONE, 2048},
    {"rsa-pss", "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", KEY_RSA, 2048},
    {"p224", "-algorithm EC -pkeyopt ec_paramgen_curve:P-224", KEY_NONE, 224},
    {"secp256k1", "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", KEY_NONE, 256},
    {"explicit", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
     KEY_NONE, 256},
    {"ed448", "-algorithm ED448", KEY_NONE, 448},
    {"x25519", "-algorithm X25519", KEY_NONE, 255},
};
enum { NUM_MADE = sizeof made / sizeof made[0] };

static void make_keys(void) {
    lab_open();
    for (size_t i = 0; i < NUM_MADE; i++) {
        const char *n = made[i].name;
        lab_run("openssl genpkey %s -out %s.key; openssl pkey -in %s.key -pubout -out %s.pub; "
                "openssl pkey -in %s.key -pubout -outform DER -out %s.spki",
                made[i].make, n, n, n, n, n);
    }
    lab_run(
        "openssl ec -in p256.key -out p256.sec1; openssl rsa -in rsa2048.key -traditional -out "
        "rsa2048.pkcs1; "
        "openssl ec -in p256.key -pubout -conv_form compressed -outform DER -out compressed.spki; "
        "openssl pkcs8 -topk8 -in p256.key -passout pass:secret -out encrypted.key");
}

static struct bytes spki_of(const char *name) {
    char file[64];
    (void)snprintf(file, sizeof file, "%s.spki", name);
    return lab_read(file);
}

static struct bytes exact(struct bytes in, size_t len) {
    uint8_t *copy = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, in.data, len);
    return bytes_of(copy, len);
}

static void drop(struct bytes in) {
    void *data;
    memcpy(&data, &in.data, sizeof data);
    free(data);
}

START_TEST(spki_of_every_kind_is_read_or_refused) {
    struct public_key key = {.kind = KEY_NONE};
    struct detail detail = {0};
    enum status status = public_key_from_spki(&key, spki_of(made[_i].name), &detail);
    if (made[_i].kind == KEY_NONE) {
        ck_assert_msg(status == STATUS_UNSUPPORTED, "%s: %s", made[_i].name, status_name(status));
        ck_assert_int_eq(key.kind, KEY_NONE);
        ck_assert_uint_gt(strlen(detail.text), 0);
        return;
    }
    ck_assert_msg(status == STATUS_OK, "%s: %s", made[_i].name, detail.text);
    ck_assert_int_eq(key.kind, made[_i].kind);
    ck_assert_uint_eq(key.bits, made[_i].bits);
}
END_TEST

START_TEST(spki_is_written_as_openssl_writes_it) {
    struct public_key key;
    uint8_t buffer[KEY_SPKI_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    if (made[_i].kind == KEY_NONE || strcmp(made[_i].name, "rsa-pss") == 0) {
        return;
    }
    struct bytes spki = spki_of(made[_i].name);
    ck_assert_int_eq(public_key_from_spki(&key, spki, NULL), STATUS_OK);
    ck_assert_int_eq(public_key_to_spki(&w, &key), STATUS_OK);
    ck_assert(bytes_equal(writer_bytes(&w), spki));
    uint8_t digest[32], expected[32];
    ck_assert_int_eq(public_key_spki_sha256(digest, &key), STATUS_OK);
    digest_compute(HASH_SHA256, spki, expected);
    ck_assert_mem_eq(digest, expected, 32);
}
END_TEST

START_TEST(spki_refuses_every_prefix_and_trailing_bytes) {
    struct bytes spki = spki_of(made[_i].name);
    struct public_key key;
    for (size_t len = 0; len < spki.len; len++) {
        struct bytes in = exact(spki, len);
        ck_assert_int_ne(public_key_from_spki(&key, in, NULL), STATUS_OK);
        drop(in);
    }
    ck_assert_int_eq(public_key_from_spki(&key, bytes_of(spki.data, spki.len + 1), NULL),
                     STATUS_MALFORMED);
}
END_TEST

START_TEST(spki_with_a_flipped_bit_is_refused_or_another_key) {
    struct bytes spki = spki_of(made[_i].name);
    struct public_key key, other;
    if (made[_i].kind == KEY_NONE) {
        return;
    }
    ck_assert_int_eq(public_key_from_spki(&key, spki, NULL), STATUS_OK);
    for (size_t bit = 0; bit < spki.len * 8; bit++) {
        struct bytes in = exact(spki, spki.len);
        uint8_t *data;
        memcpy(&data, &in.data, sizeof data);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* One bit makes rsaEncryption rsassaPss: the key is the same then. */
        if (public_key_from_spki(&other, in, NULL) == STATUS_OK && made[_i].kind != KEY_RSA) {
            ck_assert_msg(!public_key_equal(&key, &other), "%s bit %zu", made[_i].name, bit);
        }
        drop(in);
    }
}
END_TEST

START_TEST(ec_spki_with_any_flipped_bit_of_its_point_is_refused) {
    struct bytes spki = spki_of(made[_i].name);
    size_t point_len = 2 * key_curve_len(made[_i].kind);
    for (size_t bit = (spki.len - point_len) * 8; bit < spki.len * 8; bit++) {
        struct public_key key;
        struct bytes in = exact(spki, spki.len);
        uint8_t *data;
        memcpy(&data, &in.data, sizeof data);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(public_key_from_spki(&key, in, NULL), STATUS_INVALID);
        drop(in);
    }
}
END_TEST

START_TEST(rsaes_oaep_key_is_read_as_rsa_of_an_ek_only) {
    struct public_key key, same;
    uint8_t buffer[KEY_SPKI_MAX];
    struct writer w = writer_of(buffer, sizeof buffer), plain_writer;
    ck_assert_int_eq(public_key_from_spki(&key, spki_of("rsa2048"), NULL), STATUS_OK);
    uint8_t plain[KEY_SPKI_MAX];
    plain_writer = writer_of(plain, sizeof plain);
    ck_assert_int_eq(public_key_to_spki(&plain_writer, &key), STATUS_OK);
    struct bytes in = writer_bytes(&plain_writer), fields, algorithm, bits;
    ck_assert_int_eq(der_take(&in, DER_SEQUENCE, &fields), STATUS_OK);
    ck_assert_int_eq(der_take(&fields, DER_SEQUENCE, &algorithm), STATUS_OK);
    ck_assert_int_eq(der_take_bits(&fields, &bits), STATUS_OK);
    size_t outer = der_open(&w, DER_SEQUENCE), inner = der_open(&w, DER_SEQUENCE);
    der_write(&w, DER_OID, DER_OID_OF(OID_RSA_OAEP));
    der_write(&w, DER_SEQUENCE, bytes_of(NULL, 0));
    der_close(&w, inner);
    der_write_bits(&w, bits);
    der_close(&w, outer);
    ck_assert_int_eq(public_key_from_spki(&same, writer_bytes(&w), NULL), STATUS_UNSUPPORTED);
    ck_assert_int_eq(public_key_from_ek_spki(&same, writer_bytes(&w), NULL), STATUS_OK);
    ck_assert(public_key_equal(&key, &same));
}
END_TEST

START_TEST(compressed_point_is_refused) {
    struct public_key key;
    ck_assert_int_eq(public_key_from_spki(&key, lab_read("compressed.spki"), NULL),
                     STATUS_MALFORMED);
}
END_TEST

START_TEST(pem_public_key_is_read_and_other_pem_refused) {
    struct public_key key, from_der;
    ck_assert_int_eq(public_key_from_pem(&key, lab_read("p256.pub"), NULL), STATUS_OK);
    ck_assert_int_eq(public_key_from_spki(&from_der, spki_of("p256"), NULL), STATUS_OK);
    ck_assert(public_key_equal(&key, &from_der));
    static const char *wrong[] = {"p256.key", "p256.spki", "p256.sec1", "log"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(public_key_from_pem(&key, lab_read(wrong[i]), NULL) == STATUS_MALFORMED, "%s",
                      wrong[i]);
    }
    ck_assert_int_eq(public_key_from_pem(&key, bytes_of(NULL, 0), NULL), STATUS_MALFORMED);
}
END_TEST

/* --- keys that did not come from an SPKI
 * ------------------------------------------------------- */

static struct public_key key_of(const char *name) {
    struct public_key key;
    ck_assert_int_eq(public_key_from_spki(&key, spki_of(name), NULL), STATUS_OK);
    return key;
}

START_TEST(check_refuses_a_point_of_zeros_and_one_out_of_range) {
    struct public_key key = key_of(made[_i].name);
    memset(key.x, 0, sizeof key.x);
    memset(key.y, 0, sizeof key.y);
    ck_assert_int_eq(public_key_check(&key, NULL), STATUS_INVALID);
    key = key_of(made[_i].name);
    memset(key.x, 0xFF, key_curve_len(key.kind));
    ck_assert_int_eq(public_key_check(&key, NULL), STATUS_INVALID);
    key = key_of(made[_i].name);
    memset(key.y, 0xFF, key_curve_len(key.kind));
    ck_assert_int_eq(public_key_check(&key, NULL), STATUS_INVALID);
}
END_TEST

START_TEST(check_refuses_a_point_of_another_curve_of_the_same_size) {
    struct public_key key = key_of("p256");
    struct bytes spki = spki_of("secp256k1");
    memcpy(key.x, spki.data + spki.len - 64, 32);
    memcpy(key.y, spki.data + spki.len - 32, 32);
    ck_assert_int_eq(public_key_check(&key, NULL), STATUS_INVALID);
}
END_TEST

START_TEST(check_refuses_rsa_that_is_even_short_padded_or_of_a_poor_exponent) {
    struct public_key key = key_of("rsa2048");
    ck_assert_int_eq(public_key_check(&key, NULL), STATUS_OK);
    static const uint32_t exponents[] = {0, 1, 3, 17, 65535, 65536, 65538, 0xFFFFFFFE};
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) {
        struct public_key poor = key;
        poor.e = exponents[i];
        ck_assert_int_eq(public_key_check(&poor, NULL), STATUS_UNSUPPORTED);
    }
    struct public_key even = key, padded = key, wrong_bits = key, empty = key, huge = key;
    even.n[even.n_len - 1] &= 0xFE;
    ck_assert_int_eq(public_key_check(&even, NULL), STATUS_INVALID);
    padded.n[0] = 0;
    ck_assert_int_ne(public_key_check(&padded, NULL), STATUS_OK);
    wrong_bits.bits = 4096;
    ck_assert_int_eq(public_key_check(&wrong_bits, NULL), STATUS_INVALID);
    empty.n_len = 0;
    ck_assert_int_ne(public_key_check(&empty, NULL), STATUS_OK);
    huge.n_len = KEY_RSA_MAX + 1;
    ck_assert_int_ne(public_key_check(&huge, NULL), STATUS_OK);
}
END_TEST

START_TEST(check_refuses_a_key_of_no_kind) {
    struct public_key key = {.kind = KEY_NONE};
    ck_assert_int_eq(public_key_check(&key, NULL), STATUS_UNSUPPORTED);
    key.kind = (enum key_kind)99;
    ck_assert_int_eq(public_key_check(&key, NULL), STATUS_UNSUPPORTED);
    uint8_t buffer[KEY_SPKI_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    ck_assert_int_eq(public_key_to_spki(&w, &key), STATUS_UNSUPPORTED);
}
END_TEST

START_TEST(equal_tells_kinds_and_every_part_apart) {
    struct public_key a = key_of("p256"), b = a, none = {.kind = KEY_NONE};
    ck_assert(public_key_equal(&a, &b));
    b.y[31] ^= 1;
    ck_assert(!public_key_equal(&a, &b));
    b = a;
    b.kind = KEY_ED25519;
    ck_assert(!public_key_equal(&a, &b));
    ck_assert(!public_key_equal(&none, &none));
    struct public_key rsa = key_of("rsa2048"), other = rsa;
    other.e += 2;
    ck_assert(!public_key_equal(&rsa, &other));
    other = rsa;
    other.n_len--;
    ck_assert(!public_key_equal(&rsa, &other));
}
END_TEST

/* --- private keys
 * ------------------------------------------------------------------------------ */

static const char *const private_files[] = {"p256.key",     "p384.key",    "ed25519.key",
                                            "rsa2048.key",  "rsa3072.key", "p256.sec1",
                                            "rsa2048.pkcs1"};
static const char *const private_publics[] = {"p256",    "p384", "ed25519", "rsa2048",
                                              "rsa3072", "p256", "rsa2048"};

START_TEST(private_key_is_read_with_its_public_half) {
    struct private_key *key;
    struct public_key public, expected = key_of(private_publics[_i]);
    struct detail detail = {0};
    enum status status = private_key_from_pem(&key, lab_read(private_files[_i]), &detail);
    ck_assert_msg(status == STATUS_OK, "%s: %s", private_files[_i], detail.text);
    private_key_public(key, &public);
    ck_assert(public_key_equal(&public, &expected));
    private_key_free(key);
}
END_TEST

START_TEST(private_key_refuses_what_is_none_of_ours) {
    static const char *wrong[] = {
        "p256.pub",      "encrypted.key", "p256.spki",   "ed448.key",  "x25519.key",
        "secp256k1.key", "p224.key",      "rsa1024.key", "rsa-e3.key", "log"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct private_key *key = NULL;
        struct detail detail = {0};
        enum status status = private_key_from_pem(&key, lab_read(wrong[i]), &detail);
        ck_assert_msg(status == STATUS_MALFORMED || status == STATUS_UNSUPPORTED ||
                          status == STATUS_INVALID,
                      "%s: %s", wrong[i], status_name(status));
        ck_assert_ptr_null(key);
        ck_assert_uint_gt(strlen(detail.text), 0);
    }
}
END_TEST

START_TEST(private_key_with_another_keys_public_half_is_refused) {
    /* SEC 1: version, private octets, [0] curve, [1] public point. */
    struct private_key *key = NULL;
    lab_run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out second.key; "
            "openssl ec -in p256.key -outform DER -out a.der; openssl ec -in second.key -outform "
            "DER -out b.der; "
            "{ head -c 57 a.der; tail -c +58 b.der; } >mixed.der; "
            "{ echo '-----BEGIN EC PRIVATE KEY-----'; base64 mixed.der; echo '-----END EC PRIVATE "
            "KEY-----'; } >mixed.pem");
    ck_assert_int_ne(private_key_from_pem(&key, lab_read("mixed.pem"), NULL), STATUS_OK);
    ck_assert_ptr_null(key);
}
END_TEST

START_TEST(private_key_refuses_every_prefix) {
    struct bytes pem = lab_read("p256.key");
    for (size_t len = 0; len + 2 < pem.len; len++) {
        struct private_key *key = NULL;
        struct bytes in = exact(pem, len);
        ck_assert_msg(private_key_from_pem(&key, in, NULL) != STATUS_OK, "%zu of %zu", len,
                      pem.len);
        drop(in);
    }
}
END_TEST

static const enum key_kind generated[] = {KEY_EC_P256, KEY_EC_P384, KEY_ED25519, KEY_RSA};

START_TEST(generated_key_is_written_as_pem_that_openssl_and_we_read) {
    struct private_key *key, *again;
    struct public_key public, public_again;
    char *pem;
    ck_assert_int_eq(private_key_generate(&key, generated[_i]), STATUS_OK);
    private_key_public(key, &public);
    ck_assert_int_eq(public_key_check(&public, NULL), STATUS_OK);
    ck_assert_int_eq(private_key_to_pem(&pem, key), STATUS_OK);
    lab_write("generated.pem", bytes_of_text(pem));
    lab_run("openssl pkey -in generated.pem -check -noout; openssl pkey -in generated.pem -pubout "
            "-outform DER "
            "-out generated.spki");
    ck_assert_int_eq(private_key_from_pem(&again, bytes_of_text(pem), NULL), STATUS_OK);
    private_key_public(again, &public_again);
    ck_assert(public_key_equal(&public, &public_again));
    ck_assert_int_eq(public_key_from_spki(&public_again, lab_read("generated.spki"), NULL),
                     STATUS_OK);
    ck_assert(public_key_equal(&public, &public_again));
    bytes_wipe(pem, strlen(pem));
    free(pem);
    private_key_free(key);
    private_key_free(again);
}
END_TEST

START_TEST(generate_refuses_kinds_that_we_do_not_make) {
    struct private_key *key = NULL;
    ck_assert_int_eq(private_key_generate(&key, KEY_NONE), STATUS_UNSUPPORTED);
    ck_assert_int_eq(private_key_generate(&key, KEY_EC_P521), STATUS_UNSUPPORTED);
    ck_assert_ptr_null(key);
    private_key_free(NULL);
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])
enum { NUM_CURVES = 3 }; /* they stand first in `made` */

int main(void) {
    make_keys();
    TCase *spki = tcase_create("SubjectPublicKeyInfo");
    tcase_add_loop_test(spki, spki_of_every_kind_is_read_or_refused, 0, NUM_MADE);
    tcase_add_loop_test(spki, spki_is_written_as_openssl_writes_it, 0, NUM_MADE);
    tcase_add_loop_test(spki, spki_refuses_every_prefix_and_trailing_bytes, 0, NUM_MADE);
    tcase_add_loop_test(spki, spki_with_a_flipped_bit_is_refused_or_another_key, 0, NUM_MADE);
    tcase_add_loop_test(spki, ec_spki_with_any_flipped_bit_of_its_point_is_refused, 0, NUM_CURVES);
    tcase_add_test(spki, rsaes_oaep_key_is_read_as_rsa_of_an_ek_only);
    tcase_add_test(spki, compressed_point_is_refused);
    tcase_add_test(spki, pem_public_key_is_read_and_other_pem_refused);
    TCase *checks = tcase_create("checks");
    tcase_add_loop_test(checks, check_refuses_a_point_of_zeros_and_one_out_of_range, 0, NUM_CURVES);
    tcase_add_test(checks, check_refuses_a_point_of_another_curve_of_the_same_size);
    tcase_add_test(checks, check_refuses_rsa_that_is_even_short_padded_or_of_a_poor_exponent);
    tcase_add_test(checks, check_refuses_a_key_of_no_kind);
    tcase_add_test(checks, equal_tells_kinds_and_every_part_apart);
    TCase *private = tcase_create("private keys");
    tcase_set_timeout(private, 60);
    tcase_add_loop_test(private, private_key_is_read_with_its_public_half, 0, COUNT(private_files));
    tcase_add_test(private, private_key_refuses_what_is_none_of_ours);
    tcase_add_test(private, private_key_with_another_keys_public_half_is_refused);
    tcase_add_test(private, private_key_refuses_every_prefix);
    tcase_add_loop_test(private, generated_key_is_written_as_pem_that_openssl_and_we_read, 0,
                        COUNT(generated));
    tcase_add_test(private, generate_refuses_kinds_that_we_do_not_make);
    Suite *suite = suite_create("crypto: keys");
    suite_add_tcase(suite, spki);
    suite_add_tcase(suite, checks);
    suite_add_tcase(suite, private);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "server/base/encoding.h"
#include "server/crypto/cipher.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_keys(void) {
    lab_open();
    lab_run(
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key; "
        "for c in 256 384 521; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-$c "
        "-out p$c.key; done; "
        "openssl genpkey -algorithm ED25519 -out ed25519.key; "
        "for k in *.key; do openssl pkey -in $k -pubout -outform DER -out ${k%%.key}.spki; done");
}

static struct public_key key_of(const char *name) {
    struct public_key key;
    char file[64];
    (void)snprintf(file, sizeof file, "%s.spki", name);
    ck_assert_int_eq(public_key_from_spki(&key, lab_read(file), NULL), STATUS_OK);
    return key;
}

static void assert_hex(const uint8_t *data, size_t len, const char *expected) {
    char text[2 * 128 + 1];
    hex_encode(text, bytes_of(data, len));
    ck_assert_str_eq(text, expected);
}

/* --- key derivation: openssl's KBKDF and SSKDF are the oracles
 * ----------------------------------- */

static const struct {
    enum hash_alg alg;
    const char *digest, *label;
    unsigned bits;
} derivations[] = {
    {HASH_SHA256, "SHA256", "STORAGE", 128},   {HASH_SHA256, "SHA256", "STORAGE", 256},
    {HASH_SHA256, "SHA256", "INTEGRITY", 256}, {HASH_SHA384, "SHA384", "INTEGRITY", 384},
    {HASH_SHA384, "SHA384", "STORAGE", 256},   {HASH_SHA256, "SHA256", "IDENTITY", 8},
    {HASH_SHA256, "SHA256", "DUPLICATE", 264}, {HASH_SHA512, "SHA512", "STORAGE", 1024},
    {HASH_SHA1, "SHA1", "STORAGE", 128},
};
enum { NUM_DERIVATIONS = sizeof derivations / sizeof derivations[0] };

static const uint8_t seed[] = "0123456789abcdef0123456789abcdef";
static const uint8_t party_u[] = "the name of an object", party_v[] = "and another";

static void expected_hex(char *out, size_t cap) {
    struct bytes text = lab_read("expected");
    (void)snprintf(out, cap, "%.*s", (int)strcspn((const char *)text.data, "\n"),
                   (const char *)text.data);
}

START_TEST(kdfa_is_sp_800_108_in_counter_mode) {
    uint8_t out[128];
    char expected[300];
    lab_write("u", bytes_of_text((const char *)party_u));
    lab_write("v", bytes_of_text((const char *)party_v));
    /* KBKDF: counter || label || 0 || context || bits. */
    lab_run("openssl kdf -keylen %u -kdfopt mac:HMAC -kdfopt digest:%s -kdfopt mode:COUNTER "
            "-kdfopt hexkey:$(printf %%s '%s' | xxd -p | tr -d '\\n') -kdfopt salt:%s "
            "-kdfopt hexinfo:$(cat u v | xxd -p | tr -d '\\n') KBKDF | tr -d ':\\n' | tr A-F a-f "
            ">expected",
            derivations[_i].bits / 8, derivations[_i].digest, (const char *)seed,
            derivations[_i].label);
    expected_hex(expected, sizeof expected);
    kdfa(derivations[_i].alg, bytes_of_text((const char *)seed), derivations[_i].label,
         bytes_of_text((const char *)party_u), bytes_of_text((const char *)party_v),
         derivations[_i].bits, out);
    assert_hex(out, derivations[_i].bits / 8, expected);
}
END_TEST

START_TEST(kdfe_is_sp_800_56a_with_label_and_parties) {
    uint8_t out[128];
    char expected[300];
    lab_write("info", bytes_of_text(derivations[_i].label));
    /* SSKDF: counter || Z || info, and info is label || 0 || U || V. */
    lab_run(
        "printf '\\0' >>info; printf %%s '%s' '%s' >>info; openssl kdf -keylen %u -kdfopt "
        "digest:%s "
        "-kdfopt hexkey:$(printf %%s '%s' | xxd -p | tr -d '\\n') "
        "-kdfopt hexinfo:$(xxd -p info | tr -d '\\n') SSKDF | tr -d ':\\n' | tr A-F a-f >expected",
        (const char *)party_u, (const char *)party_v, derivations[_i].bits / 8,
        derivations[_i].digest, (const char *)seed);
    expected_hex(expected, sizeof expected);
    kdfe(derivations[_i].alg, bytes_of_text((const char *)seed), derivations[_i].label,
         bytes_of_text((const char *)party_u), bytes_of_text((const char *)party_v),
         derivations[_i].bits, out);
    assert_hex(out, derivations[_i].bits / 8, expected);
}
END_TEST

START_TEST(kdfs_write_exactly_what_was_asked_for) {
    uint8_t out[129];
    struct bytes none = bytes_of(NULL, 0);
    for (unsigned bits = 0; bits <= 1024; bits += 8) {
        memset(out, 0xA5, sizeof out);
        kdfa(HASH_SHA256, bytes_of_text("key"), "LABEL", none, none, bits, out);
        ck_assert(bytes_all(bytes_of(out + bits / 8, sizeof out - bits / 8), 0xA5));
        memset(out, 0xA5, sizeof out);
        kdfe(HASH_SHA384, bytes_of_text("z"), "LABEL", none, none, bits, out);
        ck_assert(bytes_all(bytes_of(out + bits / 8, sizeof out - bits / 8), 0xA5));
    }
}
END_TEST

START_TEST(kdfa_depends_on_each_of_its_inputs) {
    uint8_t base[32], out[32];
    struct bytes key = bytes_of_text("key"), u = bytes_of_text("u"), v = bytes_of_text("v"),
                 none = bytes_of(NULL, 0);
    kdfa(HASH_SHA256, key, "LABEL", u, v, 256, base);
    kdfa(HASH_SHA256, bytes_of_text("kez"), "LABEL", u, v, 256, out);
    ck_assert_mem_ne(base, out, 32);
    kdfa(HASH_SHA256, key, "LABEM", u, v, 256, out);
    ck_assert_mem_ne(base, out, 32);
    kdfa(HASH_SHA256, key, "LABEL", none, v, 256, out);
    ck_assert_mem_ne(base, out, 32);
    kdfa(HASH_SHA256, key, "LABEL", u, none, 256, out);
    ck_assert_mem_ne(base, out, 32);
    kdfa(HASH_SHA384, key, "LABEL", u, v, 256, out);
    ck_assert_mem_ne(base, out, 32);
    kdfa(HASH_SHA256, key, "LABEL", u, v, 128,
         out); /* the length is hashed too: no prefix of the other */
    ck_assert_mem_ne(base, out, 16);
}
END_TEST

START_TEST(kdfa_of_odd_bits_aborts) {
    uint8_t out[32];
    kdfa(HASH_SHA256, bytes_of_text("key"), "LABEL", bytes_of(NULL, 0), bytes_of(NULL, 0), 12, out);
}
END_TEST

START_TEST(kdfe_of_too_many_bits_aborts) {
    uint8_t out[256];
    kdfe(HASH_SHA256, bytes_of_text("z"), "LABEL", bytes_of(NULL, 0), bytes_of(NULL, 0), 1032, out);
}
END_TEST

/* --- AES-CFB
 * --------------------------------------------------------------------------------------- */

START_TEST(aes_cfb_is_openssls_of_any_length) {
    static const size_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 34, 66, 100};
    static const struct {
        size_t len;
        const char *name;
    } keys[] = {{16, "aes-128-cfb"}, {24, "aes-192-cfb"}, {32, "aes-256-cfb"}};
    uint8_t plain[100], out[101];
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (uint8_t)(i * 7);
    }
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            char key[65];
            hex_encode(key, bytes_of(seed, keys[k].len));
            lab_write("plain", bytes_of(plain, lengths[i]));
            lab_run(
                "openssl enc -%s -K %s -iv 00000000000000000000000000000000 -in plain -out cipher",
                keys[k].name, key);
            memset(out, 0xA5, sizeof out);
            ck_assert_int_eq(
                aes_cfb_encrypt(bytes_of(seed, keys[k].len), bytes_of(plain, lengths[i]), out),
                STATUS_OK);
            ck_assert(bytes_equal(bytes_of(out, lengths[i]), lab_read("cipher")));
            ck_assert_uint_eq(out[lengths[i]], 0xA5);
        }
    }
}
END_TEST

/* The first block is AES(key, IV) xor input: of zeros, what NIST's AES validation suite lists. */
START_TEST(aes_cfb_of_zeros_is_the_published_block) {
    static const uint8_t zeros[16];
    uint8_t out[16];
    ck_assert_int_eq(aes_cfb_encrypt(bytes_of(zeros, 16), bytes_of(zeros, 16), out), STATUS_OK);
    assert_hex(out, 16, "66e94bd4ef8a2c3b884cfa59ca342b2e");
}
END_TEST

START_TEST(aes_cfb_refuses_keys_of_other_sizes) {
    uint8_t out[16] = {0xA5};
    for (size_t len = 0; len <= 33; len++) {
        if (len != 16 && len != 24 && len != 32) {
            ck_assert_int_eq(aes_cfb_encrypt(bytes_of(seed, len), bytes_of_text("x"), out),
                             STATUS_UNSUPPORTED);
            ck_assert_uint_eq(out[0], 0xA5);
        }
    }
}
END_TEST

/* --- OAEP
 * ------------------------------------------------------------------------------------------- */

static const struct {
    enum hash_alg alg;
    const char *name;
    size_t longest; /* of a 2048-bit key */
} oaeps[] = {{HASH_SHA1, "sha1", 214}, {HASH_SHA256, "sha256", 190}, {HASH_SHA384, "sha384", 158}};

START_TEST(oaep_is_decrypted_by_openssl_with_the_label_and_its_terminator) {
    struct public_key key = key_of("rsa");
    uint8_t out[KEY_RSA_MAX], secret[32];
    memcpy(secret, seed, 32);
    ck_assert_int_eq(rsa_oaep_encrypt(&key, oaeps[_i].alg, "IDENTITY", bytes_of(secret, 32), out),
                     STATUS_OK);
    lab_write("cipher", bytes_of(out, key.n_len));
    lab_run(
        "openssl pkeyutl -decrypt -inkey rsa.key -pkeyopt rsa_padding_mode:oaep -pkeyopt "
        "rsa_oaep_md:%s "
        "-pkeyopt rsa_mgf1_md:%s -pkeyopt rsa_oaep_label:4944454e5449545900 -in cipher -out plain",
        oaeps[_i].name, oaeps[_i].name);
    ck_assert(bytes_equal(lab_read("plain"), bytes_of(secret, 32)));
}
END_TEST

START_TEST(oaep_under_another_label_is_not_decrypted) {
    struct public_key key = key_of("rsa");
    uint8_t out[KEY_RSA_MAX];
    ck_assert_int_eq(rsa_oaep_encrypt(&key, HASH_SHA256, "IDENTITY", bytes_of(seed, 32), out),
                     STATUS_OK);
    lab_write("cipher", bytes_of(out, key.n_len));
    static const char *labels[] = {"4944454e54495459", "4455504c494341544500", "00"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert(!lab_try(
            "openssl pkeyutl -decrypt -inkey rsa.key -pkeyopt rsa_padding_mode:oaep -pkeyopt "
            "rsa_oaep_md:sha256 -pkeyopt rsa_oaep_label:%s -in cipher -out plain",
            labels[i]));
    }
}
END_TEST

START_TEST(oaep_takes_the_longest_input_and_refuses_a_byte_more) {
    struct public_key key = key_of("rsa");
    uint8_t out[KEY_RSA_MAX], in[256] = {1};
    ck_assert_int_eq(
        rsa_oaep_encrypt(&key, oaeps[_i].alg, "IDENTITY", bytes_of(in, oaeps[_i].longest), out),
        STATUS_OK);
    ck_assert_int_eq(
        rsa_oaep_encrypt(&key, oaeps[_i].alg, "IDENTITY", bytes_of(in, oaeps[_i].longest + 1), out),
        STATUS_LIMIT);
    ck_assert_int_eq(
        rsa_oaep_encrypt(&key, oaeps[_i].alg, "IDENTITY", bytes_of(in, sizeof in), out),
        STATUS_LIMIT);
}
END_TEST

START_TEST(oaep_of_the_same_secret_differs_each_time) {
    struct public_key key = key_of("rsa");
    uint8_t a[KEY_RSA_MAX], b[KEY_RSA_MAX];
    ck_assert_int_eq(rsa_oaep_encrypt(&key, HASH_SHA256, "IDENTITY", bytes_of(seed, 32), a),
                     STATUS_OK);
    ck_assert_int_eq(rsa_oaep_encrypt(&key, HASH_SHA256, "IDENTITY", bytes_of(seed, 32), b),
                     STATUS_OK);
    ck_assert_mem_ne(a, b, 256);
}
END_TEST

START_TEST(oaep_refuses_other_keys_hashes_and_labels) {
    struct public_key rsa = key_of("rsa"), ec = key_of("p256");
    uint8_t out[KEY_RSA_MAX];
    struct bytes in = bytes_of(seed, 32);
    ck_assert_int_eq(rsa_oaep_encrypt(&ec, HASH_SHA256, "IDENTITY", in, out), STATUS_UNSUPPORTED);
    ck_assert_int_eq(rsa_oaep_encrypt(&rsa, HASH_NONE, "IDENTITY", in, out), STATUS_UNSUPPORTED);
    ck_assert_int_eq(rsa_oaep_encrypt(&rsa, (enum hash_alg)0x12, "IDENTITY", in, out),
                     STATUS_UNSUPPORTED);
    ck_assert_int_eq(
        rsa_oaep_encrypt(&rsa, HASH_SHA256, "A LABEL OF MORE THAN THIRTY-ONE BYTES", in, out),
        STATUS_UNSUPPORTED);
}
END_TEST

/* --- ECDH
 * ------------------------------------------------------------------------------------------- */

static const char *const curves[] = {"p256", "p384", "p521"};

START_TEST(ecdh_gives_the_secret_that_the_peer_computes) {
    struct public_key peer = key_of(curves[_i]), ephemeral;
    size_t len = key_curve_len(peer.kind);
    uint8_t z[KEY_EC_MAX], buffer[KEY_SPKI_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    ck_assert_int_eq(ecdh_ephemeral(&peer, &ephemeral, z), STATUS_OK);
    ck_assert_int_eq(public_key_check(&ephemeral, NULL), STATUS_OK);
    ck_assert_int_eq(ephemeral.kind, peer.kind);
    ck_assert_int_eq(public_key_to_spki(&w, &ephemeral), STATUS_OK);
    lab_write("ephemeral.spki", writer_bytes(&w));
    lab_run("openssl pkeyutl -derive -inkey %s.key -peerkey ephemeral.spki -peerform DER -out z",
            curves[_i]);
    ck_assert(bytes_equal(lab_read("z"), bytes_of(z, len)));
}
END_TEST

START_TEST(ecdh_makes_a_new_key_each_time) {
    struct public_key peer = key_of(curves[_i]), a, b;
    uint8_t z_a[KEY_EC_MAX], z_b[KEY_EC_MAX];
    ck_assert_int_eq(ecdh_ephemeral(&peer, &a, z_a), STATUS_OK);
    ck_assert_int_eq(ecdh_ephemeral(&peer, &b, z_b), STATUS_OK);
    ck_assert(!public_key_equal(&a, &b));
    ck_assert_mem_ne(z_a, z_b, key_curve_len(peer.kind));
}
END_TEST

START_TEST(ecdh_refuses_a_point_off_the_curve_and_touches_nothing) {
    struct public_key peer = key_of(curves[_i]), ephemeral = {.kind = KEY_NONE};
    uint8_t z[KEY_EC_MAX] = {0xA5};
    peer.y[key_curve_len(peer.kind) - 1] ^= 1;
    ck_assert_int_eq(ecdh_ephemeral(&peer, &ephemeral, z), STATUS_INVALID);
    memset(peer.x, 0, sizeof peer.x);
    memset(peer.y, 0, sizeof peer.y);
    ck_assert_int_eq(ecdh_ephemeral(&peer, &ephemeral, z), STATUS_INVALID);
    ck_assert_int_eq(ephemeral.kind, KEY_NONE);
    ck_assert_uint_eq(z[0], 0xA5);
}
END_TEST

START_TEST(ecdh_refuses_keys_of_other_kinds) {
    struct public_key rsa = key_of("rsa"), ed = key_of("ed25519"), none = {.kind = KEY_NONE},
                      ephemeral;
    uint8_t z[KEY_EC_MAX];
    ck_assert_int_eq(ecdh_ephemeral(&rsa, &ephemeral, z), STATUS_UNSUPPORTED);
    ck_assert_int_eq(ecdh_ephemeral(&ed, &ephemeral, z), STATUS_UNSUPPORTED);
    ck_assert_int_eq(ecdh_ephemeral(&none, &ephemeral, z), STATUS_UNSUPPORTED);
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    make_keys();
    TCase *kdf = tcase_create("key derivation");
    tcase_add_loop_test(kdf, kdfa_is_sp_800_108_in_counter_mode, 0, NUM_DERIVATIONS);
    tcase_add_loop_test(kdf, kdfe_is_sp_800_56a_with_label_and_parties, 0, NUM_DERIVATIONS);
    tcase_add_test(kdf, kdfs_write_exactly_what_was_asked_for);
    tcase_add_test(kdf, kdfa_depends_on_each_of_its_inputs);
    tcase_add_test_raise_signal(kdf, kdfa_of_odd_bits_aborts, SIGABRT);
    tcase_add_test_raise_signal(kdf, kdfe_of_too_many_bits_aborts, SIGABRT);
    TCase *aes = tcase_create("AES-CFB");
    tcase_add_test(aes, aes_cfb_is_openssls_of_any_length);
    tcase_add_test(aes, aes_cfb_of_zeros_is_the_published_block);
    tcase_add_test(aes, aes_cfb_refuses_keys_of_other_sizes);
    TCase *oaep = tcase_create("OAEP");
    tcase_add_loop_test(oaep, oaep_is_decrypted_by_openssl_with_the_label_and_its_terminator, 0,
                        COUNT(oaeps));
    tcase_add_test(oaep, oaep_under_another_label_is_not_decrypted);
    tcase_add_loop_test(oaep, oaep_takes_the_longest_input_and_refuses_a_byte_more, 0,
                        COUNT(oaeps));
    tcase_add_test(oaep, oaep_of_the_same_secret_differs_each_time);
    tcase_add_test(oaep, oaep_refuses_other_keys_hashes_and_labels);
    TCase *ecdh = tcase_create("ECDH");
    tcase_add_loop_test(ecdh, ecdh_gives_the_secret_that_the_peer_computes, 0, COUNT(curves));
    tcase_add_loop_test(ecdh, ecdh_makes_a_new_key_each_time, 0, COUNT(curves));
    tcase_add_loop_test(ecdh, ecdh_refuses_a_point_off_the_curve_and_touches_nothing, 0,
                        COUNT(curves));
    tcase_add_test(ecdh, ecdh_refuses_keys_of_other_kinds);
    Suite *suite = suite_create("crypto: derivation and encryption");
    suite_add_tcase(suite, kdf);
    suite_add_tcase(suite, aes);
    suite_add_tcase(suite, oaep);
    suite_add_tcase(suite, ecdh);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

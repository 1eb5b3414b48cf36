#include "server/crypto/der.h"
#include "server/crypto/key.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char message_text[] = "what was signed";

/* Signatures by openssl over message_text: NAME.sig, by KEY.key. */
static const struct {
    const char *name, *key, *make;
    enum signature_scheme scheme;
    enum hash_alg hash;
    enum status status;
} made[] = {
#define PSS "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:"
    {"p256", "p256", "-sha256", SIGNATURE_ECDSA, HASH_SHA256, STATUS_OK},
    {"p256-sha384", "p256", "-sha384", SIGNATURE_ECDSA, HASH_SHA384, STATUS_OK},
    {"p256-sha512", "p256", "-sha512", SIGNATURE_ECDSA, HASH_SHA512, STATUS_OK},
    {"p384", "p384", "-sha384", SIGNATURE_ECDSA, HASH_SHA384, STATUS_OK},
    {"p384-sha256", "p384", "-sha256", SIGNATURE_ECDSA, HASH_SHA256, STATUS_OK},
    {"p521", "p521", "-sha512", SIGNATURE_ECDSA, HASH_SHA512, STATUS_OK},
    {"rsa", "rsa", "-sha256", SIGNATURE_RSASSA, HASH_SHA256, STATUS_OK},
    {"rsa-sha384", "rsa", "-sha384", SIGNATURE_RSASSA, HASH_SHA384, STATUS_OK},
    {"rsa-sha512", "rsa", "-sha512", SIGNATURE_RSASSA, HASH_SHA512, STATUS_OK},
    {"rsa-4096", "rsa4096", "-sha256", SIGNATURE_RSASSA, HASH_SHA256, STATUS_OK},
    {"pss", "rsa", "-sha256 " PSS "digest", SIGNATURE_RSAPSS, HASH_SHA256, STATUS_OK},
    {"pss-max", "rsa", "-sha256 " PSS "max", SIGNATURE_RSAPSS, HASH_SHA256, STATUS_OK},
    {"pss-sha384-max", "rsa4096", "-sha384 " PSS "max", SIGNATURE_RSAPSS, HASH_SHA384, STATUS_OK},
    {"pss-sha512", "rsa", "-sha512 " PSS "digest", SIGNATURE_RSAPSS, HASH_SHA512, STATUS_OK},
    {"pss-short", "rsa", "-sha256 " PSS "20", SIGNATURE_RSAPSS, HASH_SHA256, STATUS_INVALID},
    {"p256-sha1", "p256", "-sha1", SIGNATURE_ECDSA, HASH_SHA1, STATUS_UNSUPPORTED},
    {"rsa-sha1", "rsa", "-sha1", SIGNATURE_RSASSA, HASH_SHA1, STATUS_UNSUPPORTED},
};
enum { NUM_MADE = sizeof made / sizeof made[0], NUM_GOOD = 14 };

static void make_signatures(void) {
    lab_open();
    lab_write("message", bytes_of_text(message_text));
    lab_run(
        "for c in 256 384 521; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-$c "
        "-out p$c.key; done; "
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key; "
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out rsa4096.key; "
        "openssl genpkey -algorithm ED25519 -out ed25519.key; "
        "openssl pkeyutl -sign -rawin -inkey ed25519.key -in message -out ed25519.sig; "
        "for k in *.key; do openssl pkey -in $k -pubout -outform DER -out ${k%%.key}.spki; done");
    for (size_t i = 0; i < NUM_MADE; i++) {
        lab_run("openssl dgst %s -sign %s.key -out %s.sig message", made[i].make, made[i].key,
                made[i].name);
    }
}

static struct public_key key_of(const char *name) {
    struct public_key key;
    char file[64];
    (void)snprintf(file, sizeof file, "%s.spki", name);
    ck_assert_int_eq(public_key_from_spki(&key, lab_read(file), NULL), STATUS_OK);
    return key;
}

static struct bytes signature_of(const char *name) {
    char file[64];
    (void)snprintf(file, sizeof file, "%s.sig", name);
    return lab_read(file);
}

static struct signature split(size_t i) {
    struct signature sig = {
        .scheme = made[i].scheme, .hash = made[i].hash, .r = signature_of(made[i].name)};
    if (sig.scheme == SIGNATURE_ECDSA) {
        struct bytes in = sig.r, fields;
        ck_assert_int_eq(der_take(&in, DER_SEQUENCE, &fields), STATUS_OK);
        ck_assert_int_eq(der_take_unsigned(&fields, &sig.r), STATUS_OK);
        ck_assert_int_eq(der_take_unsigned(&fields, &sig.s), STATUS_OK);
    }
    return sig;
}

START_TEST(signature_by_openssl_holds_or_is_refused_for_its_kind) {
    struct public_key key = key_of(made[_i].key);
    struct signature sig = split((size_t)_i);
    struct detail detail = {0};
    enum status status = signature_verify(&key, &sig, bytes_of_text(message_text), &detail);
    ck_assert_msg(status == made[_i].status, "%s: %s", made[_i].name, status_name(status));
    if (status != STATUS_OK) {
        ck_assert_uint_gt(strlen(detail.text), 0);
    }
}
END_TEST

START_TEST(signature_over_another_message_does_not_hold) {
    struct public_key key = key_of(made[_i].key);
    struct signature sig = split((size_t)_i);
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text("what was not signed"), NULL),
                     STATUS_INVALID);
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of(NULL, 0), NULL), STATUS_INVALID);
}
END_TEST

START_TEST(signature_with_any_flipped_bit_does_not_hold) {
    struct public_key key = key_of(made[_i].key);
    struct signature sig = split((size_t)_i);
    struct bytes *parts[] = {&sig.r, &sig.s};
    for (size_t p = 0; p < 2; p++) {
        struct bytes good = *parts[p];
        uint8_t copy[KEY_SIGNATURE_MAX];
        size_t step = good.len > 100 ? 37 : 1; /* of the long ones, a sample */
        for (size_t bit = 0; bit < good.len * 8; bit += step) {
            memcpy(copy, good.data, good.len);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            *parts[p] = bytes_of(copy, good.len);
            ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text(message_text), NULL),
                             STATUS_INVALID);
        }
        *parts[p] = good;
    }
}
END_TEST

START_TEST(signature_with_another_hash_or_scheme_does_not_hold) {
    struct public_key key = key_of(made[_i].key);
    struct signature sig = split((size_t)_i), other = sig;
    other.hash = sig.hash == HASH_SHA256 ? HASH_SHA384 : HASH_SHA256;
    ck_assert_int_eq(signature_verify(&key, &other, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
    static const enum hash_alg refused[] = {HASH_NONE, HASH_SHA1, (enum hash_alg)0x0012};
    for (size_t i = 0; i < 3; i++) {
        other.hash = refused[i];
        ck_assert_int_eq(signature_verify(&key, &other, bytes_of_text(message_text), NULL),
                         STATUS_UNSUPPORTED);
    }
    for (int scheme = SIGNATURE_NONE; scheme <= SIGNATURE_ED25519 + 1; scheme++) {
        other = sig;
        other.scheme = (enum signature_scheme)scheme;
        if (other.scheme != sig.scheme) {
            ck_assert_int_ne(signature_verify(&key, &other, bytes_of_text(message_text), NULL),
                             STATUS_OK);
        }
    }
}
END_TEST

START_TEST(signature_under_another_key_does_not_hold) {
    static const char *keys[] = {"p256", "p384", "p521", "rsa", "rsa4096", "ed25519"};
    struct signature sig = split((size_t)_i);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct public_key key = key_of(keys[i]);
        if (strcmp(keys[i], made[_i].key) != 0) {
            ck_assert_int_ne(signature_verify(&key, &sig, bytes_of_text(message_text), NULL),
                             STATUS_OK);
        }
    }
}
END_TEST

START_TEST(signature_that_is_too_short_long_or_empty_does_not_hold) {
    struct public_key key = key_of(made[_i].key);
    struct signature sig = split((size_t)_i);
    uint8_t longer[KEY_SIGNATURE_MAX + 1] = {0};
    struct signature cut = sig, empty = sig, grown = sig;
    cut.r = bytes_of(sig.r.data, sig.r.len - 1);
    ck_assert_int_eq(signature_verify(&key, &cut, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
    empty.r = bytes_of(NULL, 0);
    ck_assert_int_eq(signature_verify(&key, &empty, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(sig.r.data);
    memcpy(longer, sig.r.data, sig.r.len); /* a byte more at the end */
    grown.r = bytes_of(longer, sig.r.len + 1);
    ck_assert_int_eq(signature_verify(&key, &grown, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
    grown.r = bytes_of(longer, sizeof longer);
    ck_assert_int_eq(signature_verify(&key, &grown, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
}
END_TEST

static const char *const curves[] = {"p256", "p384", "p521"};
/* Their orders n (SEC 2). */
static const uint8_t order_p256[] = {
    0xFF, 0xFF, 0xFF, 0xFF, 0,    0,    0,    0,    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51};

START_TEST(ecdsa_refuses_zero_and_numbers_beyond_the_order) {
    struct public_key key = key_of(curves[_i]);
    size_t len = key_curve_len(key.kind);
    uint8_t zero[66] = {0}, ones[66], one[66] = {0};
    memset(ones, 0xFF, sizeof ones);
    one[len - 1] = 1;
    struct bytes values[] = {bytes_of(zero, len), bytes_of(zero, 1), bytes_of(ones, len),
                             bytes_of(one, len), bytes_of(order_p256, 32)};
    for (size_t r = 0; r < 5; r++) {
        for (size_t s = 0; s < 5; s++) {
            struct signature sig = {SIGNATURE_ECDSA, HASH_SHA256, values[r], values[s]};
            ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text(message_text), NULL),
                             STATUS_INVALID);
        }
    }
}
END_TEST

/* r + n verifies with a verifier that does not check the range, where it still fits. */
START_TEST(ecdsa_refuses_r_plus_the_order) {
    struct public_key key = key_of("p256");
    struct signature sig = split(0);
    uint8_t sum[33] = {0};
    unsigned carry = 0;
    ck_assert_uint_le(sig.r.len, 32);
    for (size_t i = 0; i < 32; i++) {
        unsigned digit = i < sig.r.len ? sig.r.data[sig.r.len - 1 - i] : 0;
        carry += digit + order_p256[31 - i];
        sum[32 - i] = (uint8_t)carry;
        carry >>= 8;
    }
    sum[0] = (uint8_t)carry;
    sig.r = bytes_of(sum, 33);
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
}
END_TEST

START_TEST(ecdsa_takes_numbers_with_leading_zeros_as_a_tpm_writes_them) {
    struct public_key key = key_of("p256");
    struct signature sig = split(0);
    uint8_t r[40] = {0}, s[40] = {0};
    ck_assert(sig.r.data != NULL && sig.s.data != NULL);
    memcpy(r + sizeof r - sig.r.len, sig.r.data, sig.r.len);
    memcpy(s + sizeof s - sig.s.len, sig.s.data, sig.s.len);
    sig.r = bytes_of(r, sizeof r);
    sig.s = bytes_of(s, sizeof s);
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text(message_text), NULL), STATUS_OK);
}
END_TEST

START_TEST(ed25519_signature_holds_and_its_changes_do_not) {
    struct public_key key = key_of("ed25519");
    struct signature sig = {.scheme = SIGNATURE_ED25519, .r = signature_of("ed25519")};
    uint8_t copy[64];
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text(message_text), NULL), STATUS_OK);
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text("other"), NULL), STATUS_INVALID);
    for (size_t bit = 0; bit < 512; bit += 3) {
        struct signature bad = sig;
        memcpy(copy, sig.r.data, 64);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bad.r = bytes_of(copy, 64);
        ck_assert_int_eq(signature_verify(&key, &bad, bytes_of_text(message_text), NULL),
                         STATUS_INVALID);
    }
    sig.r = bytes_of(sig.r.data, 63);
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
}
END_TEST

/* --- RSA blocks that only a careless verifier takes ------------------------------------------- */

START_TEST(rsassa_refuses_padding_that_is_not_the_one_encoding) {
    /* Raw blocks, signed without a thought: right digest, wrong frame around it. */
    static const char digest_info[] = "3031300d060960864801650304020105000420";
    static const struct {
        const char *what, *head, *middle; /* hex; `middle` follows the padding */
    } blocks[] = {
        {"short padding, garbage after", "0001ffffffffffffffff00", ""},
        {"block type 2", "0002", "00"},
        {"no zero after the padding", "0001", "01"},
        {"hash without DigestInfo", "0001", "00"},
    };
    struct public_key key = key_of("rsa");
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        const char *info = i == 3 ? "" : digest_info;
        lab_run("d=%s$(openssl dgst -sha256 -r message | cut -c1-64); h=%s; m=%s; i=%zu; "
                "if [ $i -eq 0 ]; then b=$h$d; while [ ${#b} -lt 512 ]; do b=${b}aa; done; "
                "else p=; while [ $((${#h} + ${#p} + ${#m} + ${#d})) -lt 512 ]; do p=${p}ff; done; "
                "b=$h$p$m$d; fi; "
                "echo $b | xxd -r -p >block; "
                "openssl pkeyutl -decrypt -inkey rsa.key -pkeyopt rsa_padding_mode:none -in block "
                "-out forged.sig",
                info, blocks[i].head, blocks[i].middle, i);
        struct signature sig = {
            .scheme = SIGNATURE_RSASSA, .hash = HASH_SHA256, .r = lab_read("forged.sig")};
        ck_assert_uint_eq(sig.r.len, 256);
        ck_assert_msg(signature_verify(&key, &sig, bytes_of_text(message_text), NULL) ==
                          STATUS_INVALID,
                      "%s", blocks[i].what);
    }
}
END_TEST

START_TEST(rsa_refuses_a_number_beyond_the_modulus) {
    struct public_key key = key_of("rsa");
    struct signature sig = {.scheme = SIGNATURE_RSASSA, .hash = HASH_SHA256};
    uint8_t ones[256];
    memset(ones, 0xFF, sizeof ones);
    sig.r = bytes_of(ones, sizeof ones);
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
    sig.scheme = SIGNATURE_RSAPSS;
    ck_assert_int_eq(signature_verify(&key, &sig, bytes_of_text(message_text), NULL),
                     STATUS_INVALID);
}
END_TEST

/* --- X.509's encoding, and our own signatures
 * -------------------------------------------------- */

START_TEST(der_signature_refuses_every_prefix_and_trailing_bytes) {
    struct public_key key = key_of("p256");
    struct bytes good = signature_of("p256"), message = bytes_of_text(message_text);
    ck_assert_int_eq(signature_verify_der(&key, HASH_SHA256, good, message, NULL), STATUS_OK);
    for (size_t len = 0; len < good.len; len++) {
        ck_assert_int_eq(
            signature_verify_der(&key, HASH_SHA256, bytes_of(good.data, len), message, NULL),
            STATUS_MALFORMED);
    }
    ck_assert_int_eq(
        signature_verify_der(&key, HASH_SHA256, bytes_of(good.data, good.len + 1), message, NULL),
        STATUS_MALFORMED);
}
END_TEST

START_TEST(der_signature_refuses_negative_and_padded_numbers) {
    struct public_key key = key_of("p256");
    static const uint8_t negative[] = {0x30, 0x06, 0x02, 0x01, 0xFF, 0x02, 0x01, 0x01};
    static const uint8_t padded[] = {0x30, 0x07, 0x02, 0x02, 0x00, 0x01, 0x02, 0x01, 0x01};
    struct bytes message = bytes_of_text(message_text);
    ck_assert_int_eq(
        signature_verify_der(&key, HASH_SHA256, bytes_of(negative, sizeof negative), message, NULL),
        STATUS_MALFORMED);
    ck_assert_int_eq(
        signature_verify_der(&key, HASH_SHA256, bytes_of(padded, sizeof padded), message, NULL),
        STATUS_MALFORMED);
}
END_TEST

static const struct {
    const char *key, *check;
} signers[] = {
    {"p256", "openssl dgst -sha256 -verify k.pub -signature our.sig message"},
    {"p384", "openssl dgst -sha384 -verify k.pub -signature our.sig message"},
    {"rsa", "openssl dgst -sha256 -verify k.pub -signature our.sig message"},
    {"ed25519", "openssl pkeyutl -verify -rawin -pubin -inkey k.pub -sigfile our.sig -in message"},
};

START_TEST(our_signature_holds_for_openssl) {
    struct private_key *key;
    uint8_t buffer[KEY_SIGNATURE_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    char file[64];
    (void)snprintf(file, sizeof file, "%s.key", signers[_i].key);
    ck_assert_int_eq(private_key_from_pem(&key, lab_read(file), NULL), STATUS_OK);
    ck_assert_int_eq(private_key_sign(key, &w, bytes_of_text(message_text)), STATUS_OK);
    lab_write("our.sig", writer_bytes(&w));
    lab_run("openssl pkey -in %s -pubout -out k.pub; %s", file, signers[_i].check);
    struct public_key public;
    private_key_public(key, &public);
    ck_assert_int_eq(signature_verify_der(&public, private_key_hash(key), writer_bytes(&w),
                                          bytes_of_text(message_text), NULL),
                     STATUS_OK);
    private_key_free(key);
}
END_TEST

START_TEST(our_signatures_differ_and_hold_beyond_a_reseed) {
    struct private_key *key;
    struct public_key public;
    uint8_t first[KEY_SIGNATURE_MAX], buffer[KEY_SIGNATURE_MAX];
    struct writer w = writer_of(first, sizeof first);
    ck_assert_int_eq(private_key_from_pem(&key, lab_read("p256.key"), NULL), STATUS_OK);
    private_key_public(key, &public);
    ck_assert_int_eq(private_key_sign(key, &w, bytes_of_text(message_text)), STATUS_OK);
    struct bytes one = writer_bytes(&w);
    for (int i = 0; i < 9000; i++) {
        struct writer next = writer_of(buffer, sizeof buffer);
        ck_assert_int_eq(private_key_sign(key, &next, bytes_of_text(message_text)), STATUS_OK);
        ck_assert(!bytes_equal(one, writer_bytes(&next)));
        if (i % 500 == 0) {
            ck_assert_int_eq(signature_verify_der(&public, HASH_SHA256, writer_bytes(&next),
                                                  bytes_of_text(message_text), NULL),
                             STATUS_OK);
        }
    }
    private_key_free(key);
}
END_TEST

START_TEST(our_signature_into_too_small_a_writer_is_a_limit) {
    struct private_key *key;
    uint8_t buffer[16];
    struct writer w = writer_of(buffer, sizeof buffer);
    ck_assert_int_eq(private_key_from_pem(&key, lab_read("p256.key"), NULL), STATUS_OK);
    ck_assert_int_eq(private_key_sign(key, &w, bytes_of_text(message_text)), STATUS_LIMIT);
    private_key_free(key);
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    make_signatures();
    TCase *verify = tcase_create("verifying");
    tcase_set_timeout(verify, 60);
    tcase_add_loop_test(verify, signature_by_openssl_holds_or_is_refused_for_its_kind, 0, NUM_MADE);
    tcase_add_loop_test(verify, signature_over_another_message_does_not_hold, 0, NUM_GOOD);
    tcase_add_loop_test(verify, signature_with_any_flipped_bit_does_not_hold, 0, NUM_GOOD);
    tcase_add_loop_test(verify, signature_with_another_hash_or_scheme_does_not_hold, 0, NUM_GOOD);
    tcase_add_loop_test(verify, signature_under_another_key_does_not_hold, 0, NUM_GOOD);
    tcase_add_loop_test(verify, signature_that_is_too_short_long_or_empty_does_not_hold, 0,
                        NUM_GOOD);
    tcase_add_loop_test(verify, ecdsa_refuses_zero_and_numbers_beyond_the_order, 0, COUNT(curves));
    tcase_add_test(verify, ecdsa_refuses_r_plus_the_order);
    tcase_add_test(verify, ecdsa_takes_numbers_with_leading_zeros_as_a_tpm_writes_them);
    tcase_add_test(verify, ed25519_signature_holds_and_its_changes_do_not);
    tcase_add_test(verify, rsassa_refuses_padding_that_is_not_the_one_encoding);
    tcase_add_test(verify, rsa_refuses_a_number_beyond_the_modulus);
    tcase_add_test(verify, der_signature_refuses_every_prefix_and_trailing_bytes);
    tcase_add_test(verify, der_signature_refuses_negative_and_padded_numbers);
    TCase *sign = tcase_create("signing");
    tcase_set_timeout(sign, 60);
    tcase_add_loop_test(sign, our_signature_holds_for_openssl, 0, COUNT(signers));
    tcase_add_test(sign, our_signatures_differ_and_hold_beyond_a_reseed);
    tcase_add_test(sign, our_signature_into_too_small_a_writer_is_a_limit);
    Suite *suite = suite_create("crypto: signatures");
    suite_add_tcase(suite, verify);
    suite_add_tcase(suite, sign);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

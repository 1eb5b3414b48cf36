#include "server/identity/enrolment.h"
#include "server/tpm/public.h"
#include "tests/unit/real_data.h"
#include "tests/unit/soft_tpm.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct soft_tpm tpm;
static struct tpm_public ek, ak;
static uint8_t ek_bytes[1024], ak_bytes[1024];
static struct detail detail;

static void start(void) {
    soft_tpm_init(&tpm, KEY_EC_P256);
    struct writer e = writer_of(ek_bytes, sizeof ek_bytes),
                  a = writer_of(ak_bytes, sizeof ak_bytes);
    soft_tpm_ek(&tpm, &e);
    soft_tpm_ak(&tpm, &a);
    ck_assert_int_eq(tpm_public_parse(&ek, writer_bytes(&e), NULL), STATUS_OK);
    ck_assert_int_eq(tpm_public_parse(&ak, writer_bytes(&a), NULL), STATUS_OK);
    memset(&detail, 0, sizeof detail);
}

static void end(void) {
    soft_tpm_cleanup(&tpm);
}

/* --- device ids -------------------------------------------------------------------------------- */

START_TEST(device_id_is_of_the_key_alone) {
    char id[DEVICE_ID_SIZE], again[DEVICE_ID_SIZE], other[DEVICE_ID_SIZE];
    ck_assert_int_eq(device_id_from_key(id, &ek.key), STATUS_OK);
    ck_assert_int_eq(device_id_from_key(again, &tpm.ek_public), STATUS_OK);
    ck_assert_int_eq(device_id_from_key(other, &ak.key), STATUS_OK);
    ck_assert_str_eq(id, again);
    ck_assert_str_ne(id, other);
    ck_assert(device_id_is_valid(id));
}
END_TEST

START_TEST(device_id_is_the_hash_of_the_public_key_info) {
    uint8_t spki[KEY_SPKI_MAX], digest[32];
    char id[DEVICE_ID_SIZE], hex[3];
    struct writer w = writer_of(spki, sizeof spki);
    ck_assert_int_eq(public_key_to_spki(&w, &ek.key), STATUS_OK);
    digest_compute(HASH_SHA256, writer_bytes(&w), digest);
    ck_assert_int_eq(device_id_from_key(id, &ek.key), STATUS_OK);
    for (size_t i = 0; i < 16; i++) {
        static const char digits[] = "0123456789abcdef";
        hex[0] = digits[digest[i] >> 4];
        hex[1] = digits[digest[i] & 15];
        ck_assert_mem_eq(id + 2 * i, hex, 2);
    }
}
END_TEST

START_TEST(device_id_has_32_lower_case_digits) {
    static const char *const wrong[] = {"",
                                        "0",
                                        "0123456789abcdef0123456789abcde",
                                        "0123456789abcdef0123456789abcdef0",
                                        "0123456789ABCDEF0123456789abcdef",
                                        "0123456789abcdeg0123456789abcdef",
                                        " 123456789abcdef0123456789abcdef",
                                        "../3456789abcdef0123456789abcdef"};
    ck_assert(!device_id_is_valid(wrong[_i]));
    ck_assert(device_id_is_valid("0123456789abcdef0123456789abcdef"));
}
END_TEST

/* --- attributes -------------------------------------------------------------------------------- */

static const struct {
    uint32_t attribute;
    const char *name;
} needed[] = {{TPM_FIXED_TPM, "fixedTPM"},
              {TPM_FIXED_PARENT, "fixedParent"},
              {TPM_SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin"},
              {TPM_RESTRICTED, "restricted"}};

static void ak_denied(const char *because) {
    ck_assert_int_eq(ak_check(&ak, &detail), STATUS_DENIED);
    ck_assert_msg(strstr(detail.text, because) != NULL, "%s", detail.text);
}

static void ek_denied(const char *because) {
    ck_assert_int_eq(ek_check(&ek, &detail), STATUS_DENIED);
    ck_assert_msg(strstr(detail.text, because) != NULL, "%s", detail.text);
}

START_TEST(ak_without_any_one_attribute_is_denied_by_name) {
    ck_assert_int_eq(ak_check(&ak, &detail), STATUS_OK);
    ak.attributes &= ~needed[_i].attribute;
    ak_denied(needed[_i].name);
}
END_TEST

START_TEST(ak_signs_and_does_not_decrypt) {
    ak.attributes &= ~(uint32_t)TPM_SIGN;
    ak_denied("sign is not set");
    ak.attributes |= TPM_SIGN | TPM_DECRYPT;
    ak_denied("decrypt is set");
}
END_TEST

START_TEST(ak_states_a_scheme_of_its_kind) {
    static const struct {
        enum key_kind kind;
        enum signature_scheme scheme;
        bool good;
    } table[] = {
        {KEY_EC_P256, SIGNATURE_ECDSA, true},   {KEY_EC_P384, SIGNATURE_ECDSA, true},
        {KEY_RSA, SIGNATURE_RSASSA, true},      {KEY_RSA, SIGNATURE_RSAPSS, true},
        {KEY_EC_P256, SIGNATURE_NONE, false},   {KEY_RSA, SIGNATURE_NONE, false},
        {KEY_EC_P256, SIGNATURE_RSASSA, false}, {KEY_RSA, SIGNATURE_ECDSA, false},
        {KEY_NONE, SIGNATURE_ECDSA, false},     {KEY_ED25519, SIGNATURE_ED25519, false},
        {KEY_EC_P521, SIGNATURE_ECDSA, false},
    };
    ak.key.kind = table[_i].kind;
    ak.scheme = table[_i].scheme;
    ck_assert_int_eq(ak_check(&ak, &detail), table[_i].good ? STATUS_OK : STATUS_DENIED);
}
END_TEST

START_TEST(ak_signs_and_is_named_with_sha2_only) {
    static const enum hash_alg weak[] = {HASH_NONE, HASH_SHA1};
    static const enum hash_alg strong[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
    for (size_t i = 0; i < 3; i++) {
        ak.scheme_hash = strong[i];
        ak.name_alg = strong[2 - i];
        ck_assert_int_eq(ak_check(&ak, &detail), STATUS_OK);
    }
    ak.scheme_hash = weak[_i];
    ak_denied("it signs with");
    ak.scheme_hash = HASH_SHA256;
    ak.name_alg = weak[_i];
    ak_denied("nameAlg");
}
END_TEST

START_TEST(ek_without_any_one_attribute_is_denied_by_name) {
    ck_assert_int_eq(ek_check(&ek, &detail), STATUS_OK);
    ek.attributes &= ~needed[_i].attribute;
    ek_denied(needed[_i].name);
}
END_TEST

START_TEST(ek_decrypts_and_does_not_sign) {
    ek.attributes &= ~(uint32_t)TPM_DECRYPT;
    ek_denied("decrypt is not set");
    ek.attributes |= TPM_SIGN | TPM_DECRYPT;
    ek_denied("sign is set");
}
END_TEST

START_TEST(ek_has_a_cipher_and_a_strong_name) {
    ek.symmetric_bits = 0;
    ek_denied("symmetric");
    ek.symmetric_bits = 128;
    ek.name_alg = HASH_SHA1;
    ek_denied("nameAlg");
    ek.name_alg = HASH_SHA256;
    ek.key.kind = KEY_ED25519;
    ek_denied("kind");
}
END_TEST

START_TEST(ak_is_no_ek_and_ek_no_ak) {
    ck_assert_int_eq(ek_check(&ak, &detail), STATUS_DENIED);
    ck_assert_int_eq(ak_check(&ek, &detail), STATUS_DENIED);
}
END_TEST

/* --- activation -------------------------------------------------------------------------------- */

static const uint8_t secret[ACTIVATION_SECRET_LEN] = "it is really this TPM's own key";
static uint8_t blob_bytes[ACTIVATION_BLOB_MAX], shared_bytes[ACTIVATION_SECRET_MAX];
static struct writer blob, shared;

static enum status make(struct bytes name) {
    blob = writer_of(blob_bytes, sizeof blob_bytes);
    shared = writer_of(shared_bytes, sizeof shared_bytes);
    return activation_make(&blob, &shared, &ek, name, secret, &detail);
}

static bool activate(void) {
    uint8_t got[SOFT_SECRET_MAX];
    size_t len;
    return soft_tpm_activate(&tpm, got, &len, writer_bytes(&blob), writer_bytes(&shared)) &&
           len == sizeof secret && memcmp(got, secret, len) == 0;
}

START_TEST(activation_gives_the_secret_to_the_tpm_with_ek_and_ak) {
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(make(bytes_of(ak.name, ak.name_len)), STATUS_OK);
        ck_assert(activate());
    }
}
END_TEST

START_TEST(activation_for_another_ak_is_refused_by_the_tpm) {
    for (size_t bit = 0; bit < 8 * ak.name_len; bit++) {
        ak.name[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(make(bytes_of(ak.name, ak.name_len)), STATUS_OK);
        ck_assert(!activate());
        ak.name[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(activation_for_another_ek_is_refused_by_the_tpm) {
    struct soft_tpm other;
    uint8_t other_bytes[1024];
    struct writer w = writer_of(other_bytes, sizeof other_bytes);
    soft_tpm_init(&other, KEY_EC_P256);
    soft_tpm_ek(&other, &w);
    ck_assert_int_eq(tpm_public_parse(&ek, writer_bytes(&w), NULL), STATUS_OK);
    ck_assert_int_eq(make(bytes_of(ak.name, ak.name_len)), STATUS_OK);
    ck_assert(!activate());
    soft_tpm_cleanup(&other);
}
END_TEST

START_TEST(activation_is_never_the_same_twice) {
    uint8_t first[ACTIVATION_SECRET_MAX];
    ck_assert_int_eq(make(bytes_of(ak.name, ak.name_len)), STATUS_OK);
    memcpy(first, shared_bytes, shared.len);
    ck_assert_int_eq(make(bytes_of(ak.name, ak.name_len)), STATUS_OK);
    ck_assert(memcmp(first, shared_bytes, shared.len) != 0);
}
END_TEST

START_TEST(activation_does_not_show_the_secret) {
    ck_assert_int_eq(make(bytes_of(ak.name, ak.name_len)), STATUS_OK);
    ck_assert_ptr_null(memmem(blob_bytes, blob.len, secret, 8));
    ck_assert_ptr_null(memmem(shared_bytes, shared.len, secret, 8));
}
END_TEST

START_TEST(activation_needs_an_ek_that_can_protect_it) {
    ck_assert_int_eq(make(bytes_of(NULL, 0)), STATUS_UNSUPPORTED);
    ek.symmetric_bits = 0;
    ck_assert_int_eq(make(bytes_of(ak.name, ak.name_len)), STATUS_UNSUPPORTED);
    ek.symmetric_bits = 128;
    ek.name_alg = HASH_SHA1;
    ck_assert_int_eq(make(bytes_of(ak.name, ak.name_len)), STATUS_UNSUPPORTED);
}
END_TEST

START_TEST(activation_that_does_not_fit_writes_nothing) {
    blob = writer_of(blob_bytes, 69);
    shared = writer_of(shared_bytes, sizeof shared_bytes);
    struct bytes name = bytes_of(ak.name, ak.name_len);
    ck_assert_int_eq(activation_make(&blob, &shared, &ek, name, secret, &detail), STATUS_LIMIT);
    ck_assert_uint_eq(blob.len + shared.len, 0);
    blob = writer_of(blob_bytes, sizeof blob_bytes);
    shared = writer_of(shared_bytes, 69);
    ck_assert_int_eq(activation_make(&blob, &shared, &ek, name, secret, &detail), STATUS_LIMIT);
    ck_assert_uint_eq(blob.len + shared.len, 0);
}
END_TEST

/* --- certificates ------------------------------------------------------------------------------ */

static struct private_key *ca;
static struct trust_bundle *bundle;
static struct arena arena;
static uint8_t certificate[4096];
static size_t certificate_len;
static const int64_t now = 1800000000;

static struct trust_bundle *bundle_of(struct bytes der) {
    struct trust_bundle *out;
    char *pem = certificate_to_pem(&arena, der);
    ck_assert_ptr_nonnull(pem);
    ck_assert_int_eq(trust_bundle_new(&out, bytes_of_text(pem), &detail), STATUS_OK);
    return out;
}

static void start_ca(void) {
    uint8_t root[2048];
    struct writer r = writer_of(root, sizeof root), c = writer_of(certificate, sizeof certificate);
    start();
    arena_init(&arena, 1 << 24);
    soft_ca(&ca, &r, now);
    soft_tpm_ek_certificate(&tpm, &c, ca, now);
    certificate_len = c.len;
    bundle = bundle_of(writer_bytes(&r));
}

static void end_ca(void) {
    trust_bundle_free(bundle);
    private_key_free(ca);
    arena_free(&arena);
    end();
}

static enum status check_certificate(struct bytes padded, struct bytes *der) {
    return ek_certificate_check(der, padded, &ek, bundle, now, &detail);
}

START_TEST(ek_certificate_is_taken_with_its_padding) {
    static const size_t lengths[] = {0, 1, 2, 7, 1000};
    static const uint8_t bytes[] = {0x00, 0xFF};
    for (size_t i = 0; i < 5; i++) {
        for (size_t b = 0; b < 2; b++) {
            struct bytes der;
            memset(certificate + certificate_len, bytes[b], lengths[i]);
            ck_assert_msg(check_certificate(bytes_of(certificate, certificate_len + lengths[i]),
                                            &der) == STATUS_OK,
                          "%s", detail.text);
            ck_assert_uint_eq(der.len, certificate_len);
            ck_assert_ptr_eq(der.data, certificate);
        }
    }
}
END_TEST

START_TEST(ek_certificate_with_anything_else_behind_it_is_refused) {
    memset(certificate + certificate_len, 0, 10);
    for (size_t at = 0; at < 10; at++) {
        certificate[certificate_len + at] = 1;
        ck_assert_int_eq(check_certificate(bytes_of(certificate, certificate_len + 10), NULL),
                         STATUS_INVALID);
        certificate[certificate_len + at] = 0;
    }
    memset(certificate + certificate_len, 0xFF, 5);
    ck_assert_int_eq(check_certificate(bytes_of(certificate, certificate_len + 10), NULL),
                     STATUS_INVALID);
}
END_TEST

START_TEST(ek_certificate_cut_anywhere_is_refused) {
    for (size_t len = 0; len < certificate_len; len++) {
        ck_assert_int_eq(check_certificate(bytes_of(certificate, len), NULL), STATUS_INVALID);
    }
}
END_TEST

START_TEST(ek_certificate_of_another_tpm_is_refused) {
    struct tpm_public own = ek;
    ek.key = ak.key;
    ck_assert_int_eq(check_certificate(bytes_of(certificate, certificate_len), NULL),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "not the EK"));
    ek = own;
    ck_assert_int_eq(check_certificate(bytes_of(certificate, certificate_len), NULL), STATUS_OK);
}
END_TEST

START_TEST(ek_certificate_by_an_unknown_ca_is_refused) {
    uint8_t root[2048];
    struct private_key *other;
    struct writer r = writer_of(root, sizeof root);
    soft_ca(&other, &r, now);
    trust_bundle_free(bundle);
    bundle = bundle_of(writer_bytes(&r));
    ck_assert_int_eq(check_certificate(bytes_of(certificate, certificate_len), NULL),
                     STATUS_INVALID);
    private_key_free(other);
}
END_TEST

START_TEST(ek_certificate_is_refused_outside_its_time) {
    struct bytes der = bytes_of(certificate, certificate_len);
    ck_assert_int_eq(ek_certificate_check(NULL, der, &ek, bundle, 0, &detail), STATUS_INVALID);
    ck_assert_int_eq(
        ek_certificate_check(NULL, der, &ek, bundle, now + 400LL * 365 * 86400, &detail),
        STATUS_INVALID);
}
END_TEST

START_TEST(no_bit_of_an_ek_certificate_can_be_flipped) {
    for (size_t bit = 0; bit < 8 * certificate_len; bit++) {
        certificate[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(check_certificate(bytes_of(certificate, certificate_len), NULL),
                         STATUS_OK);
        certificate[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(real_ek_certificates_chain_to_their_ca) {
    static const char *const folders[] = {"A1-secureboot-good", "F1-second-device"};
    struct arena work;
    arena_init(&work, 1 << 20);
    struct bytes root = real_file(&work, "measured-boot/%s/ca/root.pem", folders[_i]);
    struct bytes issuer = real_file(&work, "measured-boot/%s/ca/issuer.pem", folders[_i]);
    struct bytes der = real_file(&work, "measured-boot/%s/ek_cert_rsa2048.der", folders[_i]);
    struct bytes public = real_file(&work, "measured-boot/%s/ek_rsa.tpm2b_public", folders[_i]);
    struct trust_bundle *trusted;
    char *both = arena_printf(&work, "%.*s\n%.*s", (int)root.len, (const char *)root.data,
                              (int)issuer.len, (const char *)issuer.data);
    ck_assert_int_eq(trust_bundle_new(&trusted, bytes_of_text(both), &detail), STATUS_OK);
    ck_assert_int_eq(tpm_public_parse(&ek, public, &detail), STATUS_OK);
    ck_assert_int_eq(ek_check(&ek, &detail), STATUS_OK);
    ck_assert_msg(ek_certificate_check(NULL, der, &ek, trusted, (int64_t)time(NULL), &detail) ==
                      STATUS_OK,
                  "%s", detail.text);
    trust_bundle_free(trusted);
    arena_free(&work);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("identity");
    TCase *tests = tcase_create("keys"), *chains = tcase_create("certificates");
    tcase_set_timeout(tests, 60);
    tcase_set_timeout(chains, 60);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_checked_fixture(chains, start_ca, end_ca);
    tcase_add_test(tests, device_id_is_of_the_key_alone);
    tcase_add_test(tests, device_id_is_the_hash_of_the_public_key_info);
    tcase_add_loop_test(tests, device_id_has_32_lower_case_digits, 0, 8);
    tcase_add_loop_test(tests, ak_without_any_one_attribute_is_denied_by_name, 0, 4);
    tcase_add_test(tests, ak_signs_and_does_not_decrypt);
    tcase_add_loop_test(tests, ak_states_a_scheme_of_its_kind, 0, 11);
    tcase_add_loop_test(tests, ak_signs_and_is_named_with_sha2_only, 0, 2);
    tcase_add_loop_test(tests, ek_without_any_one_attribute_is_denied_by_name, 0, 4);
    tcase_add_test(tests, ek_decrypts_and_does_not_sign);
    tcase_add_test(tests, ek_has_a_cipher_and_a_strong_name);
    tcase_add_test(tests, ak_is_no_ek_and_ek_no_ak);
    tcase_add_test(tests, activation_gives_the_secret_to_the_tpm_with_ek_and_ak);
    tcase_add_test(tests, activation_for_another_ak_is_refused_by_the_tpm);
    tcase_add_test(tests, activation_for_another_ek_is_refused_by_the_tpm);
    tcase_add_test(tests, activation_is_never_the_same_twice);
    tcase_add_test(tests, activation_does_not_show_the_secret);
    tcase_add_test(tests, activation_needs_an_ek_that_can_protect_it);
    tcase_add_test(tests, activation_that_does_not_fit_writes_nothing);
    tcase_add_test(chains, ek_certificate_is_taken_with_its_padding);
    tcase_add_test(chains, ek_certificate_with_anything_else_behind_it_is_refused);
    tcase_add_test(chains, ek_certificate_cut_anywhere_is_refused);
    tcase_add_test(chains, ek_certificate_of_another_tpm_is_refused);
    tcase_add_test(chains, ek_certificate_by_an_unknown_ca_is_refused);
    tcase_add_test(chains, ek_certificate_is_refused_outside_its_time);
    tcase_add_test(chains, no_bit_of_an_ek_certificate_can_be_flipped);
    if (real_data() != NULL) {
        tcase_add_loop_test(chains, real_ek_certificates_chain_to_their_ca, 0, 2);
    }
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, chains);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

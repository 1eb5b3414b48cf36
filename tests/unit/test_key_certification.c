#include "server/base/encoding.h"
#include "server/crypto/x509.h"
#include "server/identity/enrolment.h"
#include "server/identity/key_certification.h"
#include "tests/unit/evidence_builder.h"
#include "tests/unit/real_data.h"
#include "tests/unit/soft_tpm.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char nonce_text[] = "0123456789abcdef0123456789abcdef";
static struct soft_tpm tpm;
static struct tpm_public ak;
static struct private_key *tls;
static struct public_key tls_public;
static uint8_t certify_bytes[1024], signature_bytes[1024], public_bytes[1024];
static struct writer certify_w, signature_w, public_w;
static struct key_certification sent;
static struct bytes nonce;
static struct detail detail;

static void take_ak(void) {
    uint8_t buffer[1024];
    struct writer w = writer_of(buffer, sizeof buffer);
    soft_tpm_ak(&tpm, &w);
    ck_assert_int_eq(tpm_public_parse(&ak, writer_bytes(&w), NULL), STATUS_OK);
}

static void certify_as(uint32_t attributes, enum hash_alg name_alg) {
    certify_w = writer_of(certify_bytes, sizeof certify_bytes);
    signature_w = writer_of(signature_bytes, sizeof signature_bytes);
    public_w = writer_of(public_bytes, sizeof public_bytes);
    soft_tpm_key(&public_w, &tls_public, attributes, name_alg);
    soft_tpm_certify(&tpm, &certify_w, &signature_w, bytes_of_text(nonce_text),
                     writer_bytes(&public_w));
    sent = (struct key_certification){writer_bytes(&certify_w), writer_bytes(&signature_w),
                                      writer_bytes(&public_w)};
}

static void use_key(enum key_kind kind) {
    private_key_free(tls);
    ck_assert_int_eq(private_key_generate(&tls, kind), STATUS_OK);
    private_key_public(tls, &tls_public);
    certify_as(SOFT_KEY, HASH_SHA256);
}

static void use_ak(enum key_kind kind) {
    soft_tpm_cleanup(&tpm);
    soft_tpm_init(&tpm, kind);
    take_ak();
    certify_as(SOFT_KEY, HASH_SHA256);
}

static void start(void) {
    soft_tpm_init(&tpm, KEY_EC_P256);
    take_ak();
    nonce = bytes_of_text(nonce_text);
    memset(&detail, 0, sizeof detail);
    use_key(KEY_EC_P256);
}

static void end(void) {
    private_key_free(tls);
    tls = NULL;
    soft_tpm_cleanup(&tpm);
}

static enum status check(void) {
    return key_certification_check(&sent, &ak, nonce, &tls_public, &detail);
}

static void refused(enum status status, const char *because) {
    enum status got = check();
    ck_assert_msg(got == status, "%s: %s", status_name(got), detail.text);
    ck_assert_msg(strstr(detail.text, because) != NULL, "%s", detail.text);
}

/* What the AK signs is certify_bytes as it is now. */
static void sign_again(void) {
    signature_w = writer_of(signature_bytes, sizeof signature_bytes);
    soft_tpm_sign(&tpm, &signature_w, writer_bytes(&certify_w));
    sent.certify_info = writer_bytes(&certify_w);
    sent.signature = writer_bytes(&signature_w);
}

/* --- what holds -------------------------------------------------------------------------------- */

static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA};

START_TEST(key_that_the_ak_certified_is_proven) {
    use_ak(kinds[_i / 3]);
    use_key(kinds[_i % 3]);
    ck_assert_msg(check() == STATUS_OK, "%s", detail.text);
}
END_TEST

START_TEST(certified_key_may_be_named_with_any_sha2) {
    static const enum hash_alg algs[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
    certify_as(SOFT_KEY, algs[_i]);
    ck_assert_msg(check() == STATUS_OK, "%s", detail.text);
}
END_TEST

START_TEST(certified_key_may_have_attributes_that_guard_it_no_less) {
    static const uint32_t more[] = {TPM_ADMIN_WITH_POLICY, TPM_NO_DA, TPM_ST_CLEAR,
                                    TPM_ENCRYPTED_DUPLICATION};
    certify_as(SOFT_KEY | more[_i], HASH_SHA256);
    ck_assert_int_eq(check(), STATUS_OK);
    certify_as((SOFT_KEY | more[_i]) & ~(uint32_t)TPM_USER_WITH_AUTH, HASH_SHA256);
    ck_assert_int_eq(check(), STATUS_OK);
}
END_TEST

START_TEST(bare_ak_takes_any_scheme_that_fits_it) {
    ak = (struct tpm_public){.key = tpm.ak_public};
    ck_assert_int_eq(check(), STATUS_OK);
    signature_bytes[3] = HASH_SHA1;
    refused(STATUS_UNSUPPORTED, "none of SHA-256");
}
END_TEST

START_TEST(nothing_given_is_seen) {
    struct key_certification none = {0};
    ck_assert(!key_certification_given(&none));
    ck_assert(key_certification_given(&sent));
    none.key_public = sent.key_public;
    ck_assert(key_certification_given(&none));
    sent = (struct key_certification){0};
    ck_assert_int_eq(check(), STATUS_MALFORMED);
}
END_TEST

/* --- framing ----------------------------------------------------------------------------------- */

static struct bytes *part(int i) {
    struct bytes *parts[] = {&sent.certify_info, &sent.signature, &sent.key_public};
    return parts[i];
}

START_TEST(no_prefix_of_any_part_is_taken) {
    struct bytes whole = *part(_i);
    for (size_t len = 0; len < whole.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(whole.data, len));
        *part(_i) = bytes_of(copy, len);
        ck_assert_int_eq(check(), STATUS_MALFORMED);
        free(copy);
    }
    *part(_i) = whole;
    ck_assert_int_eq(check(), STATUS_OK);
}
END_TEST

START_TEST(bytes_after_any_part_are_refused) {
    part(_i)->len++;
    ck_assert_int_eq(check(), STATUS_MALFORMED);
}
END_TEST

START_TEST(no_bit_of_any_part_can_be_flipped) {
    uint8_t *const bytes[] = {certify_bytes, signature_bytes, public_bytes};
    use_ak(kinds[_i / 3]);
    for (size_t bit = 0; bit < 8 * part(_i % 3)->len; bit++) {
        bytes[_i % 3][bit / 8] ^= (uint8_t)(1u << bit % 8);
        detail.text[0] = '\0';
        ck_assert_int_ne(check(), STATUS_OK);
        ck_assert_str_ne(detail.text, "");
        bytes[_i % 3][bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(check(), STATUS_OK);
}
END_TEST

START_TEST(parts_are_not_interchangeable) {
    struct bytes first = *part(_i);
    *part(_i) = *part((_i + 1) % 3);
    *part((_i + 1) % 3) = first;
    ck_assert_int_ne(check(), STATUS_OK);
}
END_TEST

/* --- what it is -------------------------------------------------------------------------------- */

START_TEST(what_the_tpm_did_not_generate_is_refused) {
    certify_bytes[3] ^= 1;
    sign_again();
    refused(STATUS_INVALID, "TPM_GENERATED_VALUE");
}
END_TEST

/* A quote of the same AK with the same nonce. */
START_TEST(quote_is_no_certification) {
    certify_w = writer_of(certify_bytes, sizeof certify_bytes);
    signature_w = writer_of(signature_bytes, sizeof signature_bytes);
    soft_tpm_quote(&tpm, &certify_w, &signature_w, nonce, 1);
    sent.certify_info = writer_bytes(&certify_w);
    sent.signature = writer_bytes(&signature_w);
    refused(STATUS_INVALID, "TPM_ST_ATTEST_CERTIFY");
}
END_TEST

START_TEST(other_attestations_are_no_certification) {
    static const uint16_t types[] = {0x8014, 0x8015, 0x8016, 0x8018, 0x8019,
                                     0x801A, 0x801C, 0,      0xFFFF};
    certify_bytes[4] = (uint8_t)(types[_i] >> 8);
    certify_bytes[5] = (uint8_t)types[_i];
    sign_again();
    ck_assert_int_ne(check(), STATUS_OK);
}
END_TEST

START_TEST(certification_by_another_ak_is_refused) {
    struct tpm_public mine = ak;
    use_ak(KEY_EC_P256);
    ck_assert_int_eq(check(), STATUS_OK);
    ak = mine;
    refused(STATUS_INVALID, "not the AK's");
}
END_TEST

START_TEST(certification_by_the_certified_key_itself_is_refused) {
    signature_w = writer_of(signature_bytes, sizeof signature_bytes);
    quote_sign(&signature_w, tls, writer_bytes(&certify_w));
    sent.signature = writer_bytes(&signature_w);
    refused(STATUS_INVALID, "not the AK's");
}
END_TEST

START_TEST(signature_of_another_scheme_or_hash_than_the_ak_states_is_refused) {
    if (_i == 0) {
        ak.scheme_hash = HASH_SHA384;
    } else if (_i == 1) {
        ak.scheme = SIGNATURE_RSASSA;
    } else {
        use_ak(KEY_RSA);
        ak.scheme = SIGNATURE_RSAPSS;
    }
    refused(STATUS_UNSUPPORTED, "own scheme");
}
END_TEST

START_TEST(signature_with_sha1_is_refused) {
    signature_bytes[3] = HASH_SHA1;
    refused(STATUS_UNSUPPORTED, "none of SHA-256");
}
END_TEST

START_TEST(any_other_nonce_is_refused) {
    static const char *const others[] = {"0", "0123456789abcdef0123456789abcdee",
                                         "0123456789abcdef0123456789abcde",
                                         "0123456789abcdef0123456789abcdef0"};
    nonce = bytes_of_text(others[_i]);
    refused(STATUS_INVALID, "extraData");
}
END_TEST

START_TEST(empty_nonce_is_never_met) {
    certify_w = writer_of(certify_bytes, sizeof certify_bytes);
    signature_w = writer_of(signature_bytes, sizeof signature_bytes);
    nonce = bytes_of_text("");
    soft_tpm_certify(&tpm, &certify_w, &signature_w, nonce, sent.key_public);
    sent.certify_info = writer_bytes(&certify_w);
    sent.signature = writer_bytes(&signature_w);
    refused(STATUS_INVALID, "extraData");
}
END_TEST

/* --- the key ----------------------------------------------------------------------------------- */

/* The attributes of a key that does leave its TPM, with the certification of one that does not. */
START_TEST(public_area_must_be_the_certified_one) {
    public_w = writer_of(public_bytes, sizeof public_bytes);
    soft_tpm_key(&public_w, &tls_public, SOFT_KEY | TPM_NO_DA, HASH_SHA256);
    sent.key_public = writer_bytes(&public_w);
    refused(STATUS_INVALID, "certified name");
}
END_TEST

/* The AK certified another key: a name of the same key by another algorithm is another name too. */
START_TEST(certified_name_must_be_the_whole_name) {
    certify_as(SOFT_KEY, HASH_SHA384);
    uint8_t *name = certify_bytes + certify_w.len - 2 * (2 + 50);
    ck_assert_uint_eq(name[1], 50);
    name[3] = HASH_SHA512;
    sign_again();
    refused(STATUS_INVALID, "certified name");
}
END_TEST

START_TEST(key_named_with_sha1_is_refused) {
    certify_as(SOFT_KEY, HASH_SHA1);
    refused(STATUS_UNSUPPORTED, "nameAlg is sha1");
}
END_TEST

START_TEST(key_without_any_one_attribute_is_refused_by_name) {
    static const struct {
        uint32_t attribute;
        const char *name;
    } needed[] = {{TPM_FIXED_TPM, "fixedTPM is not set"},
                  {TPM_FIXED_PARENT, "fixedParent is not set"},
                  {TPM_SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin is not set"},
                  {TPM_SIGN, "sign is not set"}};
    certify_as(SOFT_KEY & ~needed[_i].attribute, HASH_SHA256);
    refused(STATUS_INVALID, needed[_i].name);
}
END_TEST

START_TEST(key_that_decrypts_or_is_restricted_is_refused) {
    certify_as(SOFT_KEY | TPM_DECRYPT, HASH_SHA256);
    refused(STATUS_INVALID, "decrypt is set");
    certify_as(SOFT_KEY | TPM_RESTRICTED, HASH_SHA256);
    refused(STATUS_INVALID, "restricted is set");
}
END_TEST

START_TEST(key_of_the_request_must_be_the_certified_one) {
    struct key_certification mine = sent;
    uint8_t kept[3][1024];
    memcpy(kept[0], certify_bytes, 1024);
    memcpy(kept[1], signature_bytes, 1024);
    memcpy(kept[2], public_bytes, 1024);
    mine.certify_info.data = kept[0];
    mine.signature.data = kept[1];
    mine.key_public.data = kept[2];
    use_key(kinds[_i]);
    sent = mine;
    refused(STATUS_INVALID, "not that of the request");
}
END_TEST

START_TEST(ak_does_not_certify_itself_as_a_tls_key) {
    public_w = writer_of(public_bytes, sizeof public_bytes);
    certify_w = writer_of(certify_bytes, sizeof certify_bytes);
    soft_tpm_ak(&tpm, &public_w);
    sent.key_public = writer_bytes(&public_w);
    signature_w = writer_of(signature_bytes, sizeof signature_bytes);
    soft_tpm_certify(&tpm, &certify_w, &signature_w, nonce, sent.key_public);
    sent.certify_info = writer_bytes(&certify_w);
    sent.signature = writer_bytes(&signature_w);
    tls_public = ak.key;
    refused(STATUS_INVALID, "restricted is set");
}
END_TEST

/* --- real machines ----------------------------------------------------------------------------- */

static const char *const boots[] = {"A1-secureboot-good", "A2-secureboot-good-reboot",
                                    "B1-secureboot-off",  "C-cmdline-changed",
                                    "D1-kernel-generic",  "E1-own-test-pk",
                                    "F1-second-device",   "G1-ima-good",
                                    "G4-ima-late"};
enum { NUM_BOOTS = sizeof boots / sizeof *boots };
static struct arena arena;

struct real {
    struct key_certification sent;
    struct tpm_public ecc, rsa;
    struct public_key key;
    uint8_t nonce[64];
    size_t nonce_len;
};

static void load(struct real *out, const char *boot) {
    struct bytes hex = real_file(&arena, "measured-boot/%s/nonce.hex", boot);
    struct bytes pem = real_file(&arena, "measured-boot/%s/tls_key.pem", boot);
    char text[129] = {0};
    while (hex.len > 0 && hex.data[hex.len - 1] == '\n') {
        hex.len--;
    }
    ck_assert_uint_lt(hex.len, sizeof text);
    memcpy(text, hex.data, hex.len);
    out->nonce_len = hex.len / 2;
    ck_assert_int_eq(hex_decode(out->nonce, out->nonce_len, text), STATUS_OK);
    out->sent.certify_info = real_file(&arena, "measured-boot/%s/tls_certify.attest", boot);
    out->sent.signature = real_file(&arena, "measured-boot/%s/tls_certify.sig", boot);
    out->sent.key_public = real_file(&arena, "measured-boot/%s/tls_key.tpm2b_public", boot);
    ck_assert_int_eq(public_key_from_pem(&out->key, pem, &detail), STATUS_OK);
    struct bytes area = real_file(&arena, "measured-boot/%s/ak_ecc.tpm2b_public", boot);
    ck_assert_int_eq(tpm_public_parse(&out->ecc, area, &detail), STATUS_OK);
    area = real_file(&arena, "measured-boot/%s/ak_rsa.tpm2b_public", boot);
    ck_assert_int_eq(tpm_public_parse(&out->rsa, area, &detail), STATUS_OK);
}

static enum status check_real(const struct real *real) {
    return key_certification_check(&real->sent, &real->ecc, bytes_of(real->nonce, real->nonce_len),
                                   &real->key, &detail);
}

static void start_real(void) {
    arena_init(&arena, 1 << 24);
    memset(&detail, 0, sizeof detail);
}

static void end_real(void) {
    arena_free(&arena);
}

START_TEST(certification_of_each_boot_is_proven) {
    struct real real;
    load(&real, boots[_i]);
    ck_assert_int_eq(ak_check(&real.ecc, &detail), STATUS_OK);
    ck_assert_msg(check_real(&real) == STATUS_OK, "%s: %s", boots[_i], detail.text);
}
END_TEST

START_TEST(certification_of_each_boot_is_of_its_own_ak_nonce_and_key) {
    struct real real, bent, other;
    load(&real, boots[_i]);
    bent = real;
    bent.ecc = real.rsa;
    ck_assert_int_ne(check_real(&bent), STATUS_OK);
    bent = real;
    bent.nonce[0] ^= 1;
    ck_assert_int_eq(check_real(&bent), STATUS_INVALID);
    bent = real;
    bent.key = real.ecc.key;
    ck_assert_int_eq(check_real(&bent), STATUS_INVALID);
    for (int i = 0; i < NUM_BOOTS; i++) {
        if (i == _i) {
            continue;
        }
        load(&other, boots[i]);
        bent = other;
        bent.sent = real.sent;
        ck_assert_msg(check_real(&bent) == STATUS_INVALID, "%s in %s", boots[_i], boots[i]);
        bent = other;
        bent.sent.certify_info = real.sent.certify_info;
        ck_assert_msg(check_real(&bent) == STATUS_INVALID, "%s in %s", boots[_i], boots[i]);
        bent = other;
        bent.sent.signature = real.sent.signature;
        ck_assert_msg(check_real(&bent) == STATUS_INVALID, "%s in %s", boots[_i], boots[i]);
    }
}
END_TEST

START_TEST(quote_of_each_boot_is_no_certification_of_its_key) {
    struct real real;
    load(&real, boots[_i]);
    real.sent.certify_info = real_file(&arena, "measured-boot/%s/quote_ecc.msg", boots[_i]);
    real.sent.signature = real_file(&arena, "measured-boot/%s/quote_ecc.sig", boots[_i]);
    ck_assert_int_eq(check_real(&real), STATUS_INVALID);
    ck_assert_msg(strstr(detail.text, "TPM_ST_ATTEST_CERTIFY") != NULL, "%s", detail.text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("key certification");
    TCase *tests = tcase_create("soft tpm");
    tcase_set_timeout(tests, 110);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_loop_test(tests, key_that_the_ak_certified_is_proven, 0, 9);
    tcase_add_loop_test(tests, certified_key_may_be_named_with_any_sha2, 0, 3);
    tcase_add_loop_test(tests, certified_key_may_have_attributes_that_guard_it_no_less, 0, 4);
    tcase_add_test(tests, bare_ak_takes_any_scheme_that_fits_it);
    tcase_add_test(tests, nothing_given_is_seen);
    tcase_add_loop_test(tests, no_prefix_of_any_part_is_taken, 0, 3);
    tcase_add_loop_test(tests, bytes_after_any_part_are_refused, 0, 3);
    tcase_add_loop_test(tests, no_bit_of_any_part_can_be_flipped, 0, 9);
    tcase_add_loop_test(tests, parts_are_not_interchangeable, 0, 3);
    tcase_add_test(tests, what_the_tpm_did_not_generate_is_refused);
    tcase_add_test(tests, quote_is_no_certification);
    tcase_add_loop_test(tests, other_attestations_are_no_certification, 0, 9);
    tcase_add_test(tests, certification_by_another_ak_is_refused);
    tcase_add_test(tests, certification_by_the_certified_key_itself_is_refused);
    tcase_add_loop_test(tests, signature_of_another_scheme_or_hash_than_the_ak_states_is_refused, 0,
                        3);
    tcase_add_test(tests, signature_with_sha1_is_refused);
    tcase_add_loop_test(tests, any_other_nonce_is_refused, 0, 4);
    tcase_add_test(tests, empty_nonce_is_never_met);
    tcase_add_test(tests, public_area_must_be_the_certified_one);
    tcase_add_test(tests, certified_name_must_be_the_whole_name);
    tcase_add_test(tests, key_named_with_sha1_is_refused);
    tcase_add_loop_test(tests, key_without_any_one_attribute_is_refused_by_name, 0, 4);
    tcase_add_test(tests, key_that_decrypts_or_is_restricted_is_refused);
    tcase_add_loop_test(tests, key_of_the_request_must_be_the_certified_one, 0, 3);
    tcase_add_test(tests, ak_does_not_certify_itself_as_a_tls_key);
    suite_add_tcase(suite, tests);
    if (real_data() != NULL) {
        TCase *real = tcase_create("real boots");
        tcase_set_timeout(real, 60);
        tcase_add_checked_fixture(real, start_real, end_real);
        tcase_add_loop_test(real, certification_of_each_boot_is_proven, 0, NUM_BOOTS);
        tcase_add_loop_test(real, certification_of_each_boot_is_of_its_own_ak_nonce_and_key, 0,
                            NUM_BOOTS);
        tcase_add_loop_test(real, quote_of_each_boot_is_no_certification_of_its_key, 0, NUM_BOOTS);
        suite_add_tcase(suite, real);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Keys on PKCS#11 tokens: the URI, and the whole way with SoftHSM. */
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/credential/signer.h"
#include "server/crypto/pkcs11.h"
#include "server/crypto/pkcs11_uri.h"
#include "tests/unit/signer_fixture.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct detail detail;

/* --- the URI ------------------------------------------------------------------------------------ */

#define MODULE "?module-path=/m.so"

START_TEST(a_uri_names_token_key_module_and_pin) {
    struct pkcs11_uri uri;
    ck_assert_int_eq(pkcs11_uri_parse(&uri,
                                      "pkcs11:token=My%20token;serial=0a;object=k%2Fey;id=%a1%00B;"
                                      "type=private?module-path=/usr/lib/m.so&pin-source=file:/p",
                                      &detail),
                     STATUS_OK);
    ck_assert_str_eq(uri.token, "My token");
    ck_assert_str_eq(uri.serial, "0a");
    ck_assert_str_eq(uri.object, "k/ey");
    ck_assert_uint_eq(uri.id_len, 3);
    ck_assert_mem_eq(uri.id, "\xa1\0B", 3);
    ck_assert_str_eq(uri.module, "/usr/lib/m.so");
    ck_assert_str_eq(uri.pin_file, "/p");
    ck_assert_int_eq(
        pkcs11_uri_parse(&uri, "pkcs11:serial=1;id=%01" MODULE "&pin-source=/p", &detail),
        STATUS_OK);
    ck_assert_str_eq(uri.pin_file, "/p");
}
END_TEST

static const struct {
    const char *uri, *words;
    enum status status;
} refused[] = {
    {"", "not a PKCS#11 URI", STATUS_MALFORMED},
    {"pkcs11", "not a PKCS#11 URI", STATUS_MALFORMED},
    {"PKCS11:token=a;object=b" MODULE, "not a PKCS#11 URI", STATUS_MALFORMED},
    {"pkcs11:", "token or serial is missing", STATUS_MALFORMED},
    {"pkcs11:token=a" MODULE, "object or id is missing", STATUS_MALFORMED},
    {"pkcs11:object=a" MODULE, "token or serial is missing", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b", "module-path is missing", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b?module-path=m.so", "module-path: is not", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b?module-path=//h/m.so", "module-path: is not", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b" MODULE "&pin-source=pin", "pin-source: is not", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b" MODULE "&pin-source=file://h/p", "pin-source: is not",
     STATUS_MALFORMED},
    {"pkcs11:token=a;object=b" MODULE "&pin-source=file:", "pin-source: is not", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b" MODULE "&pin-value=1234", "goes into a file", STATUS_UNSUPPORTED},
    {"pkcs11:token=a;object=b" MODULE "&module-name=m", "module-name: is not taken",
     STATUS_UNSUPPORTED},
    {"pkcs11:token=a;object=b;manufacturer=c" MODULE, "manufacturer: is not taken",
     STATUS_UNSUPPORTED},
    {"pkcs11:token=a;object=b;pin-source=/p" MODULE, "pin-source: is not taken",
     STATUS_UNSUPPORTED},
    {"pkcs11:token=a;object=b;type=public" MODULE, "type: is not", STATUS_MALFORMED},
    {"pkcs11:token=a;token=a;object=b" MODULE, "token: is there twice", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b;id=%01;id=%01" MODULE, "id: is there twice", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b" MODULE "&module-path=/n", "module-path: is there twice",
     STATUS_MALFORMED},
    {"pkcs11:token=;object=b" MODULE, "token: is not", STATUS_MALFORMED},
    {"pkcs11:token;object=b" MODULE, "is not name=value", STATUS_MALFORMED},
    {"pkcs11:=a;object=b" MODULE, "is not name=value", STATUS_MALFORMED},
    {"pkcs11:token=a;;object=b" MODULE, "is not name=value", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b;" MODULE, "nothing stands", STATUS_MALFORMED},
    {"pkcs11:token=a;object=b" MODULE "&", "nothing stands", STATUS_MALFORMED},
    {"pkcs11:token=a b;object=b" MODULE, "token: is not", STATUS_MALFORMED},
    {"pkcs11:token=a%;object=b" MODULE, "token: is not", STATUS_MALFORMED},
    {"pkcs11:token=a%4;object=b" MODULE, "token: is not", STATUS_MALFORMED},
    {"pkcs11:token=a%4g;object=b" MODULE, "token: is not", STATUS_MALFORMED},
    {"pkcs11:token=a%00;object=b" MODULE, "token: is not", STATUS_MALFORMED},
    {"pkcs11:token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;object=b" MODULE, "token: is not",
     STATUS_MALFORMED},
    {"pkcs11:serial=12345678901234567;object=b" MODULE, "serial: is not", STATUS_MALFORMED},
};

START_TEST(a_uri_that_is_none_is_refused_by_the_attribute) {
    struct pkcs11_uri uri;
    memset(&uri, 0x5a, sizeof uri);
    struct pkcs11_uri before = uri;
    ck_assert_int_eq(pkcs11_uri_parse(&uri, refused[_i].uri, &detail), refused[_i].status);
    ck_assert_msg(strstr(detail.text, refused[_i].words) != NULL, "%s", detail.text);
    ck_assert_mem_eq(&uri, &before, sizeof uri);
}
END_TEST

/* --- keys elsewhere ----------------------------------------------------------------------------- */

struct elsewhere {
    struct private_key *key;
    enum status status;
    bool wrong;
};

static enum status sign_there(void *context, struct bytes digest, struct writer *out) {
    const struct elsewhere *e = context;
    uint8_t other[DIGEST_MAX] = {0};
    if (e->status != STATUS_OK) {
        return e->status;
    }
    return private_key_sign_digest(e->key, out, e->wrong ? bytes_of(other, digest.len) : digest);
}

static void external_key(struct elsewhere *e, struct private_key **out, enum key_kind kind) {
    struct public_key public;
    ck_assert_int_eq(private_key_generate(&e->key, kind), STATUS_OK);
    private_key_public(e->key, &public);
    ck_assert_int_eq(private_key_external(out, &public, sign_there, e), STATUS_OK);
}

START_TEST(a_key_elsewhere_signs_as_one_here) {
    static const enum key_kind kinds[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA};
    struct elsewhere e = {.status = STATUS_OK};
    struct private_key *key;
    struct public_key public;
    uint8_t buffer[KEY_SIGNATURE_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    struct bytes message = bytes_of_text("hello");
    char *pem;
    external_key(&e, &key, kinds[_i]);
    ck_assert_int_eq(private_key_sign(key, &w, message), STATUS_OK);
    private_key_public(key, &public);
    ck_assert_int_eq(
        signature_verify_der(&public, private_key_hash(key), writer_bytes(&w), message, NULL),
        STATUS_OK);
    ck_assert_int_eq(private_key_to_pem(&pem, key), STATUS_UNSUPPORTED);
    private_key_free(key);
    private_key_free(e.key);
}
END_TEST

START_TEST(a_wrong_signature_from_elsewhere_never_leaves) {
    struct elsewhere e = {.status = STATUS_OK, .wrong = true};
    struct private_key *key;
    uint8_t buffer[KEY_SIGNATURE_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    external_key(&e, &key, KEY_EC_P256);
    ck_assert_int_eq(private_key_sign(key, &w, bytes_of_text("hello")), STATUS_INTERNAL);
    ck_assert_uint_eq(w.len, 0);
    e.status = STATUS_BUSY;
    ck_assert_int_eq(private_key_sign(key, &w, bytes_of_text("hello")), STATUS_INTERNAL);
    ck_assert_uint_eq(w.len, 0);
    private_key_free(key);
    private_key_free(e.key);
}
END_TEST

/* --- SoftHSM ------------------------------------------------------------------------------------ */

static const char *const modules[] = {"/usr/lib/softhsm/libsofthsm2.so",
                                      "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                      "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"};
static const char *module; /* NULL: not installed */
static struct store_fixture f;
static struct arena arena;

static const char *in_folder(const char *name) {
    return arena_printf(&arena, "%s/%s", f.folder, name);
}

static void must(enum status status) {
    ck_assert_msg(status == STATUS_OK, "%s: %s", status_name(status), detail.text);
}

static void put(const char *name, const char *text) {
    must(file_replace(in_folder(name), 0600, bytes_of_text(text), &detail));
}

static void shell(const char *command) {
    ck_assert_msg(system(command) == 0, "%s", command);
}

/* NAME.key as an object of the token. */
static void import(const char *name, const char *id) {
    shell(arena_printf(&arena,
                       "softhsm2-util --import %s --token gate --label %s --id %s --pin 1234 "
                       ">%s 2>&1",
                       in_folder(arena_printf(&arena, "%s.key", name)), name, id,
                       in_folder("softhsm.out")));
}

static const char *uri_of(const char *object) {
    return arena_printf(&arena, "pkcs11:token=gate;object=%s?module-path=%s&pin-source=file:%s",
                        object, module, in_folder("pin"));
}

static void start(void) {
    detail = (struct detail){0};
    arena_init(&arena, 1 << 20);
    store_fixture_folder(&f);
    put("softhsm.conf", arena_printf(&arena,
                                     "directories.tokendir = %s\nobjectstore.backend = file\n"
                                     "log.level = ERROR\n",
                                     in_folder("tokens")));
    ck_assert_int_eq(setenv("SOFTHSM2_CONF", in_folder("softhsm.conf"), 1), 0);
    shell(arena_printf(&arena,
                       "mkdir %s && softhsm2-util --init-token --free --label gate "
                       "--so-pin 12345678 --pin 1234 >%s 2>&1",
                       in_folder("tokens"), in_folder("softhsm.out")));
    put("pin", "1234\n");
    signer_fixture_authority(f.folder, "identity");
    signer_fixture_authority(f.folder, "access");
    import("access", "a1");
}

static void stop(void) {
    shell(arena_printf(&arena, "rm -rf %s", in_folder("tokens")));
    store_fixture_remove(&f);
    arena_free(&arena);
}

START_TEST(a_key_of_the_token_signs) {
    struct pkcs11_key *token;
    struct private_key *key, *file;
    struct public_key public, expected;
    uint8_t buffer[KEY_SIGNATURE_MAX], *pem;
    size_t len;
    struct bytes message = bytes_of_text("hello");
    must(pkcs11_open(&token, uri_of("access"), &detail));
    pkcs11_public(token, &public);
    must(file_read(&pem, &len, in_folder("access.key"), 4096, &detail));
    must(private_key_from_pem(&file, bytes_of(pem, len), &detail));
    private_key_public(file, &expected);
    ck_assert(public_key_equal(&public, &expected));
    must(private_key_external(&key, &public, pkcs11_sign, token));
    for (int i = 0; i < 3; i++) {
        struct writer w = writer_of(buffer, sizeof buffer);
        must(private_key_sign(key, &w, message));
        must(signature_verify_der(&expected, HASH_SHA256, writer_bytes(&w), message, &detail));
    }
    private_key_free(key);
    private_key_free(file);
    pkcs11_close(token);
    pkcs11_close(NULL);
    free(pem);
}
END_TEST

START_TEST(a_key_of_p384_and_one_of_rsa_sign_too) {
    static const char *const make[] = {
        "openssl ecparam -name secp384r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out %s",
        "openssl genrsa 2048 2>/dev/null | openssl pkcs8 -topk8 -nocrypt -out %s"};
    static const enum key_kind kinds[] = {KEY_EC_P384, KEY_RSA};
    struct pkcs11_key *token;
    struct private_key *key;
    struct public_key public;
    uint8_t buffer[KEY_SIGNATURE_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    shell(arena_printf(&arena, _i == 0 ? make[0] : make[1], in_folder("other.key")));
    import("other", "a2");
    must(pkcs11_open(&token, uri_of("other"), &detail));
    pkcs11_public(token, &public);
    ck_assert_int_eq(public.kind, kinds[_i]);
    must(private_key_external(&key, &public, pkcs11_sign, token));
    must(private_key_sign(key, &w, bytes_of_text("hello"))); /* which verifies it */
    private_key_free(key);
    pkcs11_close(token);
}
END_TEST

static void assert_refused(const char *uri, enum status status, const char *words) {
    struct pkcs11_key *token = NULL;
    ck_assert_int_eq(pkcs11_open(&token, uri, &detail), status);
    ck_assert_msg(strstr(detail.text, words) != NULL, "%s", detail.text);
    ck_assert_ptr_null(token);
}

START_TEST(what_is_not_there_is_named) {
    const char *good = uri_of("access");
    const char *query = strchr(good, '?');
    assert_refused(uri_of("nobody"), STATUS_NOT_FOUND, "no such private key");
    assert_refused(arena_printf(&arena, "pkcs11:token=none;object=access%s", query),
                   STATUS_NOT_FOUND, "no such token");
    assert_refused(arena_printf(&arena, "pkcs11:token=gate;object=access;id=%%a2%s", query),
                   STATUS_NOT_FOUND, "no such private key");
    assert_refused("pkcs11:token=gate;object=access?module-path=/nowhere.so", STATUS_NOT_FOUND,
                   "cannot be loaded");
    assert_refused("pkcs11:token=gate;object=access?module-path=/lib64/libc.so.6", STATUS_NOT_FOUND,
                   "");
    assert_refused("pkcs11:token=gate", STATUS_MALFORMED, "object or id");
}
END_TEST

START_TEST(a_wrong_pin_is_refused_as_such) {
    put("pin", "4321\n");
    assert_refused(uri_of("access"), STATUS_DENIED, "CKR_PIN_INCORRECT");
    ck_assert_int_eq(chmod(in_folder("pin"), 0644), 0);
    assert_refused(uri_of("access"), STATUS_DENIED, "chmod 600");
    ck_assert_int_eq(unlink(in_folder("pin")), 0);
    assert_refused(uri_of("access"), STATUS_NOT_FOUND, "pin");
}
END_TEST

START_TEST(two_keys_of_one_name_are_refused) {
    signer_fixture_authority(f.folder, "twin");
    ck_assert_int_eq(rename(in_folder("twin.key"), in_folder("access.key")), 0);
    import("access", "a2");
    assert_refused(uri_of("access"), STATUS_INVALID, "two such");
    struct pkcs11_key *token;
    must(pkcs11_open(&token,
                     arena_printf(&arena, "pkcs11:token=gate;object=access;id=%%a2%s",
                                  strchr(uri_of("access"), '?')),
                     &detail));
    pkcs11_close(token);
}
END_TEST

/* --- the signer with a token -------------------------------------------------------------------- */

static enum status start_signer(struct signer **out, const char *object, const char *certificate) {
    const struct signer_options options = {.trust_domain = "gatehouse.test",
                                           .identity_key_file = in_folder("identity.key"),
                                           .identity_certificate_file = in_folder("identity.pem"),
                                           .access_key_file = uri_of(object),
                                           .access_certificate_file = in_folder(certificate)};
    return signer_start(out, &options, &detail);
}

START_TEST(a_signer_issues_with_a_key_of_the_token) {
    struct signer *signer;
    struct sign_job job = sample_job(1), *jobs[] = {&job};
    const struct signer_authority *authority;
    struct trust_bundle *bundle;
    must(start_signer(&signer, "access", "access.pem"));
    (void)signer_authorities(signer, &authority);
    for (int i = 0; i < 3; i++) {
        must(signer_sign(signer, jobs, 1, &detail));
        must(job.status);
        const struct trust_certificate anchor = {.der = authority[1].certificate, .anchor = true};
        must(trust_bundle_of(&bundle, &anchor, 1, &detail));
        must(trust_bundle_verify(bundle, bytes_of(job.der, job.der_len), NULL, 0, clock_unix(),
                                 CHAIN_TLS_CLIENT, &detail));
        trust_bundle_free(bundle);
        must(signer_reload(signer, &detail)); /* with a token of its own */
    }
    signer_free(signer);
}
END_TEST

START_TEST(a_key_that_is_not_its_certificates_is_refused) {
    struct signer *signer = NULL;
    signer_fixture_authority(f.folder, "other");
    ck_assert_int_eq(start_signer(&signer, "access", "other.pem"), STATUS_INVALID);
    ck_assert_int_eq(start_signer(&signer, "access", "identity.pem"), STATUS_INVALID);
    ck_assert_ptr_null(signer);
}
END_TEST

START_TEST(a_signer_whose_token_says_no_does_not_start) {
    struct signer *signer = NULL;
    put("pin", "4321\n");
    ck_assert_int_eq(start_signer(&signer, "access", "access.pem"), STATUS_DENIED);
    ck_assert_msg(strstr(detail.text, "CKR_PIN_INCORRECT") != NULL, "%s", detail.text);
    put("pin", "1234\n");
    ck_assert_int_eq(start_signer(&signer, "nobody", "access.pem"), STATUS_NOT_FOUND);
    ck_assert_msg(strstr(detail.text, "key nobody") != NULL, "%s", detail.text);
    ck_assert_ptr_null(signer);
}
END_TEST

START_TEST(a_signer_whose_token_dies_is_gone) {
    struct signer *signer;
    struct sign_job job = sample_job(1), *jobs[] = {&job};
    int pid = 0;
    char path[64];
    must(start_signer(&signer, "access", "access.pem"));
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", signer_pid(signer),
                   signer_pid(signer));
    FILE *children = fopen(path, "r");
    ck_assert_ptr_nonnull(children);
    ck_assert_int_eq(fscanf(children, "%d", &pid), 1);
    (void)fclose(children);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(signer_sign(signer, jobs, 1, &detail), STATUS_INTERNAL);
    ck_assert_uint_eq(job.der_len, 0);
    for (int i = 0; i < 3000 && !signer_has_ended(signer); i++) {
        const struct timespec moment = {.tv_nsec = 10000000};
        (void)nanosleep(&moment, NULL);
    }
    ck_assert(signer_has_ended(signer));
    signer_free(signer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pkcs11");
    TCase *plain = tcase_create("plain"), *token = tcase_create("token");
    for (size_t i = 0; i < sizeof modules / sizeof modules[0] && module == NULL; i++) {
        module = access(modules[i], R_OK) == 0 ? modules[i] : NULL;
    }
    tcase_add_test(plain, a_uri_names_token_key_module_and_pin);
    tcase_add_loop_test(plain, a_uri_that_is_none_is_refused_by_the_attribute, 0,
                        sizeof refused / sizeof refused[0]);
    tcase_add_loop_test(plain, a_key_elsewhere_signs_as_one_here, 0, 3);
    tcase_add_test(plain, a_wrong_signature_from_elsewhere_never_leaves);
    suite_add_tcase(suite, plain);
    tcase_add_checked_fixture(token, start, stop);
    tcase_set_timeout(token, 60);
    tcase_add_test(token, a_key_of_the_token_signs);
    tcase_add_loop_test(token, a_key_of_p384_and_one_of_rsa_sign_too, 0, 2);
    tcase_add_test(token, what_is_not_there_is_named);
    tcase_add_test(token, a_wrong_pin_is_refused_as_such);
    tcase_add_test(token, two_keys_of_one_name_are_refused);
    tcase_add_test(token, a_signer_issues_with_a_key_of_the_token);
    tcase_add_test(token, a_key_that_is_not_its_certificates_is_refused);
    tcase_add_test(token, a_signer_whose_token_says_no_does_not_start);
    tcase_add_test(token, a_signer_whose_token_dies_is_gone);
    if (module != NULL) {
        suite_add_tcase(suite, token);
    } else {
        printf("skip: SoftHSM is not installed\n");
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

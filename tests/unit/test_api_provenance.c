/* Provenance: a model that lists signers takes no baseline that none of them signed. */
/* concurrent */
#include "server/appraisal/canonical.h"
#include "server/base/encoding.h"
#include "server/crypto/der.h"
#include "server/crypto/detached.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/soft_lms.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNERS "/v1/models/acme-edge9/baseline-signers"

static struct gateway g;
static struct arena arena;
static struct soft_device device;
static char document[BODY_SIZE], baseline[64];

static void start(void) {
    gateway_start(&g);
    arena_init(&arena, 1 << 24);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    device_baseline_body(&device, document, "fw 1");
    struct reply reply = admin(&g, "author", "POST", "/v1/models/acme-edge9/baselines", document);
    expect_status(reply, 201);
    (void)snprintf(baseline, sizeof baseline, "/v1/baselines/%s", reply_text(&reply, "id"));
    reply_free(&reply);
}

static void stop(void) {
    device_cleanup(&device);
    arena_free(&arena);
    gateway_stop(&g);
}

/* --- keys --- */

static const char *pem_of(struct bytes spki) {
    return arena_printf(&arena, "-----BEGIN PUBLIC KEY-----\\n%s\\n-----END PUBLIC KEY-----\\n",
                        base64_encode_arena(&arena, spki));
}

static struct private_key *make_key(const char **pem) {
    struct private_key *key;
    struct public_key public;
    uint8_t spki[KEY_SPKI_MAX];
    struct writer w = writer_of(spki, sizeof spki);
    ck_assert_int_eq(private_key_generate(&key, KEY_EC_P256), STATUS_OK);
    private_key_public(key, &public);
    ck_assert_int_eq(public_key_to_spki(&w, &public), STATUS_OK);
    *pem = pem_of(writer_bytes(&w));
    return key;
}

static void add_signer(const char *pem, char key_sha256[static 65]) {
    struct reply reply =
        admin(&g, "admin", "POST", SIGNERS,
              arena_printf(&arena, "{\"name\":\"vendor\",\"public_key\":\"%s\"}", pem));
    expect_status(reply, 201);
    (void)snprintf(key_sha256, 65, "%s", reply_text(&reply, "key_sha256"));
    reply_free(&reply);
}

static struct bytes canonical(void) {
    struct bytes out;
    ck_assert_int_eq(canonical_json(&out, &arena, bytes_of_text(document), NULL), STATUS_OK);
    return out;
}

static struct bytes sign(struct private_key *key, struct bytes message) {
    uint8_t *room = arena_alloc(&arena, KEY_SIGNATURE_MAX);
    struct writer w = writer_of(room, KEY_SIGNATURE_MAX);
    ck_assert_int_eq(private_key_sign(key, &w, message), STATUS_OK);
    return writer_bytes(&w);
}

static void give(struct bytes signature, unsigned status, const char *code) {
    expect_admin(
        &g, "author", "POST", arena_printf(&arena, "%s/signatures", baseline),
        arena_printf(&arena, "{\"signature\":\"%s\"}", base64_encode_arena(&arena, signature)),
        status, code);
}

static void take_step(const char *role, const char *name, unsigned status, const char *code) {
    expect_admin(&g, role, "POST", arena_printf(&arena, "%s/%s", baseline, name), "{}", status,
                 code);
}

/* Submitted, unless it is; approved with this answer, and then activated. */
static void activate(unsigned status, const char *code) {
    struct reply reply = admin(&g, "viewer", "GET", baseline, NULL);
    bool draft = strcmp(reply_text(&reply, "state"), "draft") == 0;
    reply_free(&reply);
    if (draft) {
        take_step("author", "submit", 200, NULL);
    }
    take_step("approver", "approve", status, code);
    if (status == 200) {
        take_step("approver", "activate", 200, NULL);
    }
}

/* --- claims --- */

START_TEST(baseline_of_a_model_without_signers_needs_no_signature) {
    activate(200, NULL);
}
END_TEST

START_TEST(baseline_that_a_signer_signed_is_put_in_force) {
    const char *pem;
    char sha256[65];
    struct private_key *key = make_key(&pem);
    add_signer(pem, sha256);
    activate(403, "baseline_unsigned");
    give(sign(key, canonical()), 201, NULL);
    activate(200, NULL);
    private_key_free(key);
}
END_TEST

START_TEST(baseline_signed_with_hss_is_put_in_force) {
    static struct soft_hss hss;
    static uint8_t signature[SOFT_HSS_SIGNATURE_MAX];
    uint8_t spki[128], public[SOFT_HSS_PUBLIC];
    char sha256[65];
    struct writer w = writer_of(spki, sizeof spki);
    soft_hss_make(&hss, 1, 9);
    soft_hss_public(&hss, public);
    size_t all = der_open(&w, DER_SEQUENCE), algorithm = der_open(&w, DER_SEQUENCE);
    der_write(&w, DER_OID, DER_OID_OF("\x2A\x86\x48\x86\xF7\x0D\x01\x09\x10\x03\x11"));
    der_close(&w, algorithm);
    der_write_bits(&w, bytes_of(public, sizeof public));
    der_close(&w, all);
    add_signer(pem_of(writer_bytes(&w)), sha256);
    activate(403, "baseline_unsigned");
    size_t len = soft_hss_sign(&hss, 5, canonical(), signature);
    give(bytes_of(signature, len), 201, NULL);
    activate(200, NULL);
}
END_TEST

START_TEST(signature_over_something_else_or_by_somebody_else_is_refused) {
    const char *pem, *other_pem;
    char sha256[65];
    struct private_key *key = make_key(&pem), *other = make_key(&other_pem);
    give(sign(key, canonical()), 422, "baseline_signature_invalid");
    add_signer(pem, sha256);
    give(sign(other, canonical()), 422, "baseline_signature_invalid");
    give(sign(key, bytes_of_text("{}")), 422, "baseline_signature_invalid");
    give(bytes_of_text("no signature"), 422, "baseline_signature_invalid");
    /* Over the text as it came, which is not its canonical form. */
    const char *spaced = arena_printf(&arena, " %s", document);
    give(sign(key, bytes_of_text(spaced)), 422, "baseline_signature_invalid");
    activate(403, "baseline_unsigned");
    private_key_free(key);
    private_key_free(other);
}
END_TEST

START_TEST(signature_counts_no_more_once_its_key_is_removed) {
    const char *pem, *other_pem;
    char sha256[65], other_sha256[65];
    struct private_key *key = make_key(&pem), *other = make_key(&other_pem);
    add_signer(pem, sha256);
    add_signer(other_pem, other_sha256);
    give(sign(key, canonical()), 201, NULL);
    expect_admin(&g, "admin", "DELETE", arena_printf(&arena, SIGNERS "/%s", sha256), NULL, 204,
                 NULL);
    activate(403, "baseline_unsigned");
    give(sign(other, canonical()), 201, NULL);
    activate(200, NULL);
    private_key_free(key);
    private_key_free(other);
}
END_TEST

START_TEST(signature_counts_no_more_once_the_document_changed) {
    const char *pem;
    char sha256[65];
    struct private_key *key = make_key(&pem);
    add_signer(pem, sha256);
    give(sign(key, canonical()), 201, NULL);
    device_baseline_body(&device, document, "fw 2");
    expect_admin(&g, "author", "PUT", baseline, document, 200, NULL);
    activate(403, "baseline_unsigned");
    struct reply reply =
        admin(&g, "viewer", "GET", arena_printf(&arena, "%s/signatures", baseline), NULL);
    expect_status(reply, 200);
    const json_t *first = json_array_get(json_object_get(reply.json, "items"), 0);
    ck_assert(json_is_false(json_object_get(first, "current")));
    ck_assert_str_eq(json_string_value(json_object_get(first, "key_sha256")), sha256);
    reply_free(&reply);
    give(sign(key, canonical()), 201, NULL);
    activate(200, NULL);
    private_key_free(key);
}
END_TEST

START_TEST(the_same_document_in_another_spelling_has_the_same_signature) {
    const char *pem;
    char sha256[65];
    struct private_key *key = make_key(&pem);
    add_signer(pem, sha256);
    struct bytes signature = sign(key, canonical());
    json_t *json = json_loads(document, 0, NULL);
    char *spelled = json_dumps(json, JSON_INDENT(3) | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
    expect_admin(&g, "author", "PUT", baseline, spelled, 200, NULL);
    free(spelled);
    json_decref(json);
    give(signature, 201, NULL);
    activate(200, NULL);
    private_key_free(key);
}
END_TEST

START_TEST(signer_keys_that_are_refused) {
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"{\"name\":\"v\"}", "missing_field"},
        {"{\"name\":\"v\",\"public_key\":\"none\"}", "invalid_field"},
        {"{\"name\":\"v\",\"public_key\":\"-----BEGIN PUBLIC KEY-----\\nAAAA\\n"
         "-----END PUBLIC KEY-----\\n\"}",
         "invalid_field"},
        {"{\"name\":\"v\",\"public_key\":\"x\",\"algorithm\":\"rsa-sha1\"}", "invalid_field"},
        {"{\"name\":\"v\",\"public_key\":\"x\",\"kind\":\"x\"}", "unknown_field"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_admin(&g, "admin", "POST", SIGNERS, cases[i].body, 400, cases[i].code);
    }
    const char *pem;
    private_key_free(make_key(&pem));
    expect_admin(&g, "admin", "POST", SIGNERS,
                 arena_printf(&arena,
                              "{\"name\":\"v\",\"public_key\":\"%s\",\"algorithm\":\"ed25519\"}",
                              pem),
                 400, "invalid_field");
    expect_admin(&g, "admin", "POST", "/v1/models/nobody/baseline-signers",
                 arena_printf(&arena, "{\"name\":\"v\",\"public_key\":\"%s\"}", pem), 404,
                 "not_found");
}
END_TEST

START_TEST(signer_is_added_once_and_removed_once) {
    const char *pem;
    char sha256[65];
    private_key_free(make_key(&pem));
    add_signer(pem, sha256);
    expect_admin(&g, "admin", "POST", SIGNERS,
                 arena_printf(&arena, "{\"name\":\"v\",\"public_key\":\"%s\"}", pem), 409,
                 "already_exists");
    struct reply reply = admin(&g, "viewer", "GET", SIGNERS, NULL);
    expect_status(reply, 200);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), 1);
    reply_free(&reply);
    const char *target = arena_printf(&arena, SIGNERS "/%s", sha256);
    expect_admin(&g, "author", "DELETE", target, NULL, 403, "forbidden");
    expect_admin(&g, "admin", "DELETE", target, NULL, 204, NULL);
    expect_admin(&g, "admin", "DELETE", target, NULL, 404, "not_found");
    expect_admin(&g, "admin", "DELETE", SIGNERS "/11", NULL, 404, "not_found");
}
END_TEST

START_TEST(signers_are_changed_by_two_people_where_that_is_asked_for) {
    const char *pem;
    private_key_free(make_key(&pem));
    g.config.plane[PLANE_ADMIN].two_person |= TWO_PERSON_TRUST_BUNDLE;
    expect_admin(&g, "admin", "POST", SIGNERS,
                 arena_printf(&arena, "{\"name\":\"v\",\"public_key\":\"%s\"}", pem), 202, NULL);
    activate(200, NULL);
}
END_TEST

START_TEST(signature_of_a_baseline_that_is_not_there_is_not_found) {
    expect_admin(&g, "author", "POST", "/v1/baselines/00000000000000000000000000000000/signatures",
                 "{\"signature\":\"AAAA\"}", 404, "not_found");
    expect_admin(&g, "viewer", "GET", "/v1/baselines/00000000000000000000000000000000/signatures",
                 NULL, 404, "not_found");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api provenance");
    TCase *tests = tcase_create("provenance");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, baseline_of_a_model_without_signers_needs_no_signature);
    tcase_add_test(tests, baseline_that_a_signer_signed_is_put_in_force);
    tcase_add_test(tests, baseline_signed_with_hss_is_put_in_force);
    tcase_add_test(tests, signature_over_something_else_or_by_somebody_else_is_refused);
    tcase_add_test(tests, signature_counts_no_more_once_its_key_is_removed);
    tcase_add_test(tests, signature_counts_no_more_once_the_document_changed);
    tcase_add_test(tests, the_same_document_in_another_spelling_has_the_same_signature);
    tcase_add_test(tests, signer_keys_that_are_refused);
    tcase_add_test(tests, signer_is_added_once_and_removed_once);
    tcase_add_test(tests, signers_are_changed_by_two_people_where_that_is_asked_for);
    tcase_add_test(tests, signature_of_a_baseline_that_is_not_there_is_not_found);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

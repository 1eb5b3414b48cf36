/* EST on the device plane: what a lease gives, and that it gives no more. */
#include "server/base/encoding.h"
#include "server/credential/certs_only.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EST   "/.well-known/est"
#define MODEL "/v1/models/acme-edge9"

static struct gateway g;
static struct soft_device device;

static void start(void) {
    lab_open();
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    device_boot(&device);
    gateway_add_baseline(&g, &device, (char[33]){0});
    device_join(&g, &device);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static void prove(void) {
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
}

/* A request for one of the sample keys, as base64; of the fixture until the next. */
static const char *request_for(unsigned key) {
    static char text[4096];
    char *pem;
    ck_assert_int_eq(private_key_to_pem(&pem, cert_key(key)), STATUS_OK);
    lab_write("est.key", bytes_of_text(pem));
    free(pem);
    lab_run("openssl req -new -key est.key -subj /CN=x -outform DER -out est.csr");
    base64_encode(text, lab_read("est.csr"));
    return text;
}

static struct reply send_as(const struct caller *caller, const char *path, const char *type,
                            const char *body) {
    return call(&g, &(struct call){.plane = PLANE_DEVICE,
                                   .caller = caller,
                                   .method = "POST",
                                   .target = path,
                                   .body = body,
                                   .content_type = type});
}

static struct reply enroll(const char *body) {
    return send_as(&device.caller, EST "/simpleenroll", "application/pkcs10", body);
}

static void expect_refused(const char *body, unsigned status, const char *code) {
    struct reply reply = enroll(body);
    check_code(&reply, status, code);
    reply_free(&reply);
}

static void expect_later(void) {
    struct reply reply = enroll(request_for(3));
    expect_status(reply, 202);
    ck_assert_str_eq(reply_header(&reply, "Retry-After"), "10");
    ck_assert_ptr_null(strstr(reply.text, "MII"));
    reply_free(&reply);
}

/* What the answer holds, in the file "est.pem". */
static void unpack(struct reply *reply) {
    expect_status(*reply, 200);
    ck_assert_str_eq(reply->content_type, "application/pkcs7-mime; smime-type=certs-only");
    lab_write("est.b64", bytes_of(reply->text, reply->len));
    lab_run("openssl base64 -d -A -in est.b64 -out est.p7; "
            "openssl pkcs7 -inform DER -in est.p7 -print_certs -out est.pem");
    reply_free(reply);
}

static struct certificate issued(void) {
    struct certificate out;
    struct reply reply = enroll(request_for(3));
    unpack(&reply);
    lab_run("openssl x509 -in est.pem -outform DER -out est.der");
    ck_assert_int_eq(certificate_parse(&out, lab_read("est.der"), NULL), STATUS_OK);
    return out;
}

/* --- what is given --- */

START_TEST(key_of_a_trusted_device_gets_a_credential_until_its_lease_ends) {
    struct reply evidence = device_prove(&g, &device);
    expect_status(evidence, 201);
    const json_t *given = json_object_get(evidence.json, "credential");
    struct certificate c = issued();
    struct public_key key;
    private_key_public(cert_key(3), &key);
    ck_assert(public_key_equal(&c.key, &key));
    struct reply shown = admin(&g, "viewer", "GET", "/v1/credentials", NULL);
    json_t *items = json_object_get(shown.json, "items"), *item;
    size_t i, found = 0;
    char serial[33];
    hex_encode(serial, bytes_of(c.serial, c.serial_len));
    json_array_foreach(items, i, item) {
        if (strcmp(json_string_value(json_object_get(item, "serial")), serial) == 0) {
            found++;
            ck_assert_str_eq(json_string_value(json_object_get(item, "not_after")),
                             json_string_value(json_object_get(given, "not_after")));
            ck_assert_str_eq(json_string_value(json_object_get(item, "key_protection")),
                             "unproven");
            ck_assert_str_eq(json_string_value(json_object_get(item, "appraisal_id")),
                             reply_text(&evidence, "appraisal_id"));
        }
    }
    ck_assert_uint_eq(found, 1);
    reply_free(&shown);
    reply_free(&evidence);
    json_t *entry = gateway_audit(&g, "credential.issue");
    ck_assert_ptr_nonnull(entry);
    json_decref(entry);
}
END_TEST

START_TEST(credential_verifies_and_decisions_know_it) {
    char body[128], hex[65];
    prove();
    (void)issued();
    struct reply bundle = call(&g, &(struct call){.plane = PLANE_DEVICE,
                                                  .caller = &device.caller,
                                                  .method = "GET",
                                                  .target = EST "/cacerts"});
    uint8_t sha256[32];
    digest_compute(HASH_SHA256, lab_read("est.der"), sha256);
    lab_run("cp est.pem leaf.pem");
    unpack(&bundle);
    lab_run("openssl verify -x509_strict -purpose sslclient -CAfile est.pem leaf.pem");
    hex_encode(hex, bytes_of(sha256, 32));
    (void)snprintf(body, sizeof body, "{\"subjects\":[{\"certificate_sha256\":\"%s\"}]}", hex);
    struct caller proxy = caller_proxy();
    struct reply reply = call(&g, &(struct call){.plane = PLANE_PROXY,
                                                 .caller = &proxy,
                                                 .method = "POST",
                                                 .target = "/v1/decisions",
                                                 .body = body});
    ck_assert_ptr_nonnull(strstr(reply.text, "\"decision\":\"allow\""));
    reply_free(&reply);
}
END_TEST

START_TEST(reenrolment_is_the_same) {
    prove();
    struct reply reply =
        send_as(&device.caller, EST "/simplereenroll", "application/pkcs10", request_for(3));
    unpack(&reply);
}
END_TEST

START_TEST(white_space_in_the_request_does_not_matter) {
    static char spaced[16384];
    const char *text = request_for(3);
    size_t n = 0;
    prove();
    for (size_t i = 0; text[i] != '\0'; i++) {
        spaced[n++] = text[i];
        if (i % 7 == 0) {
            memcpy(spaced + n, "\r\n\t ", 4);
            n += 4;
        }
    }
    struct reply reply = enroll(spaced);
    expect_status(reply, 200);
    reply_free(&reply);
}
END_TEST

START_TEST(attributes_ask_for_an_elliptic_key) {
    struct reply reply = call(&g, &(struct call){.plane = PLANE_DEVICE,
                                                 .caller = &device.caller,
                                                 .method = "GET",
                                                 .target = EST "/csrattrs"});
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "application/csrattrs");
    lab_write("attrs.b64", bytes_of(reply.text, reply.len));
    lab_run("openssl base64 -d -A -in attrs.b64 | openssl asn1parse -inform DER >attrs.txt; "
            "grep -q id-ecPublicKey attrs.txt; grep -q prime256v1 attrs.txt; "
            "grep -q ecdsa-with-SHA256 attrs.txt");
    reply_free(&reply);
}
END_TEST

/* --- what is not --- */

START_TEST(device_without_an_appraisal_comes_again) {
    expect_later();
}
END_TEST

START_TEST(device_that_is_not_trusted_comes_again) {
    prove();
    device_break_boot(&device);
    struct reply reply = device_prove(&g, &device);
    check_code(&reply, 403, "untrusted");
    reply_free(&reply);
    expect_later();
}
END_TEST

START_TEST(lease_that_was_revoked_gives_nothing) {
    char target[128];
    struct reply evidence = device_prove(&g, &device);
    (void)snprintf(
        target, sizeof target, "/v1/credentials/%s/revoke",
        json_string_value(json_object_get(json_object_get(evidence.json, "credential"), "serial")));
    reply_free(&evidence);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    expect_later();
}
END_TEST

START_TEST(lease_of_a_tier_that_earns_nothing_any_more_gives_nothing) {
    prove();
    expect_admin(&g, "author", "PUT", MODEL, "{\"segments\":{\"measured\":\"elsewhere\"}}", 200,
                 NULL);
    expect_later();
}
END_TEST

START_TEST(quarantined_and_retired_devices_get_nothing) {
    char target[128];
    prove();
    (void)snprintf(target, sizeof target, "/v1/devices/%s/quarantine", device.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    expect_refused(request_for(3), 403, "device_quarantined");
    (void)snprintf(target, sizeof target, "/v1/devices/%s/retire", device.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    struct reply reply = enroll(request_for(3));
    expect_status(reply, 403);
    reply_free(&reply);
}
END_TEST

START_TEST(model_that_wants_keys_in_tpms_gives_no_credential_for_another_key) {
    prove();
    expect_admin(&g, "author", "PUT", MODEL, "{\"key_protection\":\"tpm\"}", 200, NULL);
    expect_refused(request_for(3), 422, "key_certification_required");
}
END_TEST

START_TEST(ninth_credential_has_to_wait) {
    prove();
    for (int i = 1; i < 8; i++) {
        struct reply reply = enroll(request_for(3));
        expect_status(reply, 200);
        reply_free(&reply);
    }
    expect_refused(request_for(3), 429, "rate_limited");
}
END_TEST

START_TEST(storage_that_fails_is_no_verdict) {
    const char *text = request_for(3);
    prove();
    gateway_break_store(&g, true);
    expect_refused(text, 503, "storage_unavailable");
    gateway_break_store(&g, false);
    struct reply reply = enroll(text);
    expect_status(reply, 200);
    reply_free(&reply);
}
END_TEST

START_TEST(stranger_gets_nothing) {
    struct caller nobody = caller_nobody(), proxy = caller_proxy();
    static const char *const paths[] = {EST "/simpleenroll", EST "/simplereenroll"};
    for (size_t i = 0; i < 2; i++) {
        struct reply reply = send_as(&nobody, paths[i], "application/pkcs10", request_for(3));
        check_code(&reply, 403, "forbidden");
        reply_free(&reply);
        reply = send_as(&proxy, paths[i], "application/pkcs10", request_for(3));
        check_code(&reply, 403, "forbidden");
        reply_free(&reply);
    }
}
END_TEST

static const struct {
    const char *body;
    unsigned status;
    const char *code;
} bad[] = {
    {"", 422, "csr_invalid"},
    {"====", 400, "malformed_base64"},
    {"MIIB", 422, "csr_invalid"},
    {"MII", 400, "malformed_base64"},
    {"{\"csr\":1}", 400, "malformed_base64"},
    {"-----BEGIN CERTIFICATE REQUEST-----", 400, "malformed_base64"},
};

START_TEST(body_that_is_no_request_is_refused) {
    struct reply reply = enroll(bad[_i].body);
    ck_assert_msg(reply.status >= 400 && reply.status < 500, "%u", reply.status);
    ck_assert_str_eq(reply_text(&reply, "code"), bad[_i].code);
    reply_free(&reply);
}
END_TEST

START_TEST(request_with_a_broken_signature_is_refused) {
    static char text[4096];
    (void)request_for(3);
    struct bytes der = lab_read("est.csr");
    uint8_t copy[2048];
    memcpy(copy, der.data, der.len);
    copy[der.len - 1] ^= 1;
    base64_encode(text, bytes_of(copy, der.len));
    prove();
    struct reply reply = enroll(text);
    ck_assert_str_eq(reply_text(&reply, "code"), "csr_invalid");
    reply_free(&reply);
}
END_TEST

START_TEST(body_of_another_type_is_refused) {
    static const char *const types[] = {"application/json", "application/pkcs7-mime", "text/plain",
                                        "application/pkcs10x", ""};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct reply reply = send_as(&device.caller, EST "/simpleenroll", types[i], request_for(3));
        check_code(&reply, 415, "unsupported_media_type");
        reply_free(&reply);
    }
}
END_TEST

START_TEST(large_body_is_refused) {
    static char text[20000];
    memset(text, 'A', sizeof text - 1);
    expect_refused(text, 413, "body_too_large");
}
END_TEST

START_TEST(message_without_certificates_is_none) {
    uint8_t buffer[64];
    struct writer w = writer_of(buffer, sizeof buffer);
    ck_assert_int_eq(certs_only_write(&w, NULL, 0), STATUS_INVALID);
    struct bytes one = bytes_of_text("0123456789");
    for (size_t cap = 0; cap < 40; cap++) {
        w = writer_of(buffer, cap);
        ck_assert_int_eq(certs_only_write(&w, &one, 1), STATUS_LIMIT);
    }
}
END_TEST

int main(void) {
    for (size_t i = 0; i < CERT_KEYS; i++) {
        (void)cert_key(i);
    }
    Suite *suite = suite_create("api: EST");
    TCase *given = tcase_create("given"), *refused = tcase_create("refused");
    tcase_add_checked_fixture(given, start, stop);
    tcase_add_checked_fixture(refused, start, stop);
    tcase_set_timeout(given, 60);
    tcase_set_timeout(refused, 60);
    tcase_add_test(given, key_of_a_trusted_device_gets_a_credential_until_its_lease_ends);
    tcase_add_test(given, credential_verifies_and_decisions_know_it);
    tcase_add_test(given, reenrolment_is_the_same);
    tcase_add_test(given, white_space_in_the_request_does_not_matter);
    tcase_add_test(given, attributes_ask_for_an_elliptic_key);
    suite_add_tcase(suite, given);
    tcase_add_test(refused, device_without_an_appraisal_comes_again);
    tcase_add_test(refused, device_that_is_not_trusted_comes_again);
    tcase_add_test(refused, lease_that_was_revoked_gives_nothing);
    tcase_add_test(refused, lease_of_a_tier_that_earns_nothing_any_more_gives_nothing);
    tcase_add_test(refused, quarantined_and_retired_devices_get_nothing);
    tcase_add_test(refused, model_that_wants_keys_in_tpms_gives_no_credential_for_another_key);
    tcase_add_test(refused, ninth_credential_has_to_wait);
    tcase_add_test(refused, storage_that_fails_is_no_verdict);
    tcase_add_test(refused, stranger_gets_nothing);
    tcase_add_loop_test(refused, body_that_is_no_request_is_refused, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(refused, request_with_a_broken_signature_is_refused);
    tcase_add_test(refused, body_of_another_type_is_refused);
    tcase_add_test(refused, large_body_is_refused);
    tcase_add_test(refused, message_without_certificates_is_none);
    suite_add_tcase(suite, refused);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

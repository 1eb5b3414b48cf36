/* What a proxy is told. */
/* concurrent */
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static struct caller proxy;
static char serial[33], certificate[65];

static void start(void) {
    char baseline[33];
    gateway_start(&g);
    proxy = caller_proxy();
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    const json_t *credential = json_object_get(reply.json, "credential");
    (void)snprintf(serial, sizeof serial, "%s",
                   json_string_value(json_object_get(credential, "serial")));
    reply_free(&reply);
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/credentials/%s", serial);
    reply = admin(&g, "viewer", "GET", target, NULL);
    (void)snprintf(certificate, sizeof certificate, "%s", reply_text(&reply, "certificate_sha256"));
    reply_free(&reply);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static struct reply get(const char *id) {
    char target[256];
    (void)snprintf(target, sizeof target, "/v1/decisions/%s", id);
    return call(&g, &(struct call){
                        .plane = PLANE_PROXY, .caller = &proxy, .method = "GET", .target = target});
}

static struct reply post(const char *body) {
    return call(&g, &(struct call){.plane = PLANE_PROXY,
                                   .caller = &proxy,
                                   .method = "POST",
                                   .target = "/v1/decisions",
                                   .body = body});
}

START_TEST(a_decision_has_every_member) {
    struct reply reply = get(device.id);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "device_id"), device.id);
    ck_assert_str_eq(reply_text(&reply, "decision"), "allow");
    ck_assert_str_eq(reply_text(&reply, "reason"), "trusted");
    ck_assert_str_eq(reply_text(&reply, "tier"), "measured");
    ck_assert_str_eq(reply_text(&reply, "model"), "acme-edge9");
    ck_assert_str_ne(reply_text(&reply, "lease_expires_at"), "");
    const json_t *serials = json_object_get(reply.json, "credential_serials");
    ck_assert_uint_eq(json_array_size(serials), 1);
    ck_assert_str_eq(json_string_value(json_array_get(serials, 0)), serial);
    ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "no-store");
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "unproven");
    ck_assert_uint_eq(json_object_size(reply.json), 10);
    reply_free(&reply);
}
END_TEST

/* By device it is that of the newest credential; by credential, that of the one asked for. */
START_TEST(a_decision_says_where_the_key_of_the_credential_is) {
    char body[256];
    device.certifies = true;
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    char newer[33];
    (void)snprintf(
        newer, sizeof newer, "%s",
        json_string_value(json_object_get(json_object_get(reply.json, "credential"), "serial")));
    reply_free(&reply);
    (void)snprintf(body, sizeof body,
                   "{\"subjects\":[{\"serial\":\"%s\"},{\"serial\":\"%s\"},"
                   "{\"certificate_sha256\":\"%s\"},{\"device_id\":\"%s\"}]}",
                   newer, serial, certificate, device.id);
    static const char *const wanted[] = {"tpm", "unproven", "unproven", "tpm"};
    reply = post(body);
    expect_status(reply, 200);
    for (size_t i = 0; i < 4; i++) {
        const json_t *d = json_array_get(json_object_get(reply.json, "decisions"), i);
        ck_assert_str_eq(json_string_value(json_object_get(d, "key_protection")), wanted[i]);
    }
    reply_free(&reply);
}
END_TEST

START_TEST(an_unknown_device_is_denied_and_not_missing) {
    static const char *const ids[] = {"ffffffffffffffffffffffffffffffff", "x", "..",
                                      "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"};
    struct reply reply = get(ids[_i]);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "decision"), "deny");
    ck_assert_str_eq(reply_text(&reply, "reason"), "unknown_device");
    ck_assert(json_is_null(json_object_get(reply.json, "model")));
    ck_assert(json_is_null(json_object_get(reply.json, "key_protection")));
    ck_assert_uint_eq(json_object_size(reply.json), 10);
    reply_free(&reply);
}
END_TEST

START_TEST(the_unix_socket_may_ask) {
    proxy = caller_local();
    struct reply reply = get(device.id);
    expect_status(reply, 200);
    reply_free(&reply);
}
END_TEST

START_TEST(a_batch_answers_in_order) {
    char body[1024];
    (void)snprintf(body, sizeof body,
                   "{\"subjects\":[{\"serial\":\"%s\"},{\"device_id\":\"nobody\"},"
                   "{\"certificate_sha256\":\"%s\"},{\"device_id\":\"%s\"},"
                   "{\"serial\":\"ffffffffffffffffffffffffffffffff\"}]}",
                   serial, certificate, device.id);
    static const char *const decisions[] = {"allow", "deny", "allow", "allow", "deny"};
    static const char *const reasons[] = {"trusted", "unknown_device", "trusted", "trusted",
                                          "unknown_credential"};
    struct reply reply = post(body);
    expect_status(reply, 200);
    const json_t *list = json_object_get(reply.json, "decisions");
    ck_assert_uint_eq(json_array_size(list), 5);
    for (size_t i = 0; i < 5; i++) {
        const json_t *one = json_array_get(list, i);
        ck_assert_str_eq(json_string_value(json_object_get(one, "decision")), decisions[i]);
        ck_assert_str_eq(json_string_value(json_object_get(one, "reason")), reasons[i]);
    }
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *body, *code;
} wrong[] = {
    {"{}", "missing_field"},
    {"{\"subjects\":{}}", "invalid_field"},
    {"{\"subjects\":[]}", "invalid_field"},
    {"{\"subjects\":[1]}", "invalid_field"},
    {"{\"subjects\":[{}]}", "invalid_field"},
    {"{\"subjects\":[{\"device_id\":\"a\",\"serial\":\"b\"}]}", "invalid_field"},
    {"{\"subjects\":[{\"device\":\"a\"}]}", "unknown_field"},
    {"{\"subjects\":[{\"certificate_sha256\":\"ab\"}]}", "invalid_field"},
    {"{\"subjects\":[{\"certificate_sha256\":"
     "\"ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEF"
     "ABCDEFABCD\"}]}",
     "invalid_field"},
    {"{\"subjects\":[{\"device_id\":7}]}", "invalid_field"},
    {"{\"subjects\":[{\"device_id\":\"a\"}],\"now\":1}", "unknown_field"},
};

START_TEST(a_batch_that_is_not_one_is_refused) {
    struct reply reply = post(wrong[_i].body);
    check_code(&reply, 400, wrong[_i].code);
    reply_free(&reply);
}
END_TEST

START_TEST(a_batch_has_at_most_a_thousand_subjects) {
    char *body = malloc(64 * 1024);
    ck_assert_ptr_nonnull(body);
    size_t len = (size_t)sprintf(body, "{\"subjects\":[");
    for (int i = 0; i < 1000 + _i; i++) {
        len += (size_t)sprintf(body + len, "%s{\"device_id\":\"%s\"}", i == 0 ? "" : ",",
                               i == 0 ? device.id : "nobody");
    }
    (void)strcpy(body + len, "]}");
    struct reply reply = post(body);
    if (_i == 0) {
        expect_status(reply, 200);
        ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "decisions")), 1000);
    } else {
        check_code(&reply, 400, "invalid_field");
    }
    reply_free(&reply);
    free(body);
}
END_TEST

START_TEST(a_revoked_credential_is_denied_at_once) {
    char target[96], body[128];
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", serial);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    (void)snprintf(body, sizeof body, "{\"subjects\":[{\"serial\":\"%s\"}]}", serial);
    struct reply reply = post(body);
    const json_t *one = json_array_get(json_object_get(reply.json, "decisions"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(one, "decision")), "deny");
    ck_assert_str_eq(json_string_value(json_object_get(one, "reason")), "credential_revoked");
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "credential_revoked");
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 409, "already_revoked");
}
END_TEST

START_TEST(a_revocation_that_is_not_durable_still_denies) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", serial);
    gateway_break_store(&g, true);
    struct reply reply = admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}");
    gateway_break_store(&g, false);
    check_code(&reply, 503, "storage_unavailable");
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "credential_revoked");
}
END_TEST

START_TEST(decisions_need_no_store) {
    gateway_break_store(&g, true);
    struct reply reply = get(device.id);
    gateway_break_store(&g, false);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "decision"), "allow");
    reply_free(&reply);
}
END_TEST

START_TEST(the_public_plane_says_who_the_authorities_are) {
    static const char *const targets[] = {"/v1/ca/identity.pem", "/v1/ca/access.pem"};
    struct caller nobody = caller_nobody();
    struct reply reply = call(
        &g, &(struct call){
                .plane = PLANE_PUBLIC, .caller = &nobody, .method = "GET", .target = targets[_i]});
    expect_status(reply, 200);
    ck_assert_ptr_nonnull(strstr(reply.text, "-----BEGIN CERTIFICATE-----"));
    reply_free(&reply);
}
END_TEST

START_TEST(a_draining_gateway_is_not_ready) {
    struct caller nobody = caller_nobody();
    struct call ready = {
        .plane = PLANE_PUBLIC, .caller = &nobody, .method = "GET", .target = "/readyz"};
    expect(&g, &ready, 200, NULL);
    api_set_ready(g.api, false);
    expect(&g, &ready, 503, NULL);
    ready.target = "/healthz";
    expect(&g, &ready, 200, NULL);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("api_decisions");
    TCase *t = tcase_create("decisions");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_decision_has_every_member);
    tcase_add_test(t, a_decision_says_where_the_key_of_the_credential_is);
    tcase_add_loop_test(t, an_unknown_device_is_denied_and_not_missing, 0, 4);
    tcase_add_test(t, the_unix_socket_may_ask);
    tcase_add_test(t, a_batch_answers_in_order);
    tcase_add_loop_test(t, a_batch_that_is_not_one_is_refused, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_loop_test(t, a_batch_has_at_most_a_thousand_subjects, 0, 2);
    tcase_add_test(t, a_revoked_credential_is_denied_at_once);
    tcase_add_test(t, a_revocation_that_is_not_durable_still_denies);
    tcase_add_test(t, decisions_need_no_store);
    tcase_add_loop_test(t, the_public_plane_says_who_the_authorities_are, 0, 2);
    tcase_add_test(t, a_draining_gateway_is_not_ready);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

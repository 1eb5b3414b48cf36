/* concurrent */
/* OCSP as relying parties ask it over HTTP: what is answered, and what may be kept of it. */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/ocsp_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static struct caller anyone;
static char serial[33];
static uint8_t raw_serial[16];
static struct ocsp_seen seen;

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "edge");
    device_init(&device, "edge");
    char baseline[33];
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    (void)snprintf(
        serial, sizeof serial, "%s",
        json_string_value(json_object_get(json_object_get(reply.json, "credential"), "serial")));
    reply_free(&reply);
    ck_assert_int_eq(hex_decode(raw_serial, sizeof raw_serial, serial), STATUS_OK);
    anyone = caller_nobody();
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static struct bytes request_with(enum profile profile, const char *nonce) {
    struct ocsp_ask ask = {.issuer = signer_authority(g.signer, profile),
                           .alg = HASH_SHA1,
                           .serial = {bytes_of(raw_serial, sizeof raw_serial)},
                           .num = 1,
                           .nonce = bytes_of_text(nonce)};
    return ocsp_ask_write(&ask);
}

static struct reply post(struct bytes request) {
    struct reply reply = call(&g, &(struct call){.plane = PLANE_PUBLIC,
                                                 .caller = &anyone,
                                                 .method = "POST",
                                                 .target = "/v1/ocsp",
                                                 .content_type = "application/ocsp-request",
                                                 .body = (const char *)request.data,
                                                 .body_len = request.len});
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "application/ocsp-response");
    return reply;
}

static void see(const struct reply *reply) {
    static uint8_t kept[OCSP_RESPONSE_MAX];
    ck_assert_uint_le(reply->len, sizeof kept);
    memcpy(kept, reply->text, reply->len);
    ocsp_see(&seen, bytes_of(kept, reply->len));
}

static struct reply get(const char *text, const char *if_none_match) {
    char target[2048];
    (void)snprintf(target, sizeof target, "/v1/ocsp/%s", text);
    return call(&g, &(struct call){.plane = PLANE_PUBLIC,
                                   .caller = &anyone,
                                   .method = "GET",
                                   .target = target,
                                   .if_none_match = if_none_match});
}

/* --- POST ----------------------------------------------------------------------------------- */

START_TEST(a_post_is_answered_and_not_kept) {
    static const char *const nonces[] = {"", "0123456789"};
    struct reply reply = post(request_with(PROFILE_ACCESS, nonces[_i]));
    see(&reply);
    ck_assert_int_eq(seen.answer[0].status, OCSP_GOOD);
    ck_assert(bytes_equal(seen.nonce, bytes_of_text(nonces[_i])));
    ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "no-store");
    ck_assert_str_eq(reply_header(&reply, "ETag"), "");
    reply_free(&reply);
}
END_TEST

START_TEST(a_revocation_is_in_the_answer_after_it) {
    char target[128];
    for (int i = 0; i < 2; i++) { /* the second is cached */
        struct reply reply = post(request_with(PROFILE_ACCESS, ""));
        see(&reply);
        ck_assert_int_eq(seen.answer[0].status, OCSP_GOOD);
        reply_free(&reply);
    }
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", serial);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    struct reply reply = post(request_with(PROFILE_ACCESS, ""));
    see(&reply);
    ck_assert_int_eq(seen.answer[0].status, OCSP_REVOKED);
    reply_free(&reply);
}
END_TEST

START_TEST(errors_of_ocsp_are_answers_too) {
    struct bytes good = request_with(PROFILE_ACCESS, "");
    static uint8_t large[OCSP_REQUEST_MAX + 1];
    const struct {
        struct bytes request;
        enum ocsp_error error;
    } cases[] = {{bytes_of(good.data, good.len - 1), OCSP_MALFORMED_REQUEST},
                 {bytes_of(large, sizeof large), OCSP_MALFORMED_REQUEST},
                 {request_with(PROFILE_IDENTITY, ""), OCSP_UNAUTHORIZED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply reply = post(cases[i].request);
        see(&reply);
        ck_assert_int_eq(seen.response_status, (int)cases[i].error);
        ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "no-store");
        reply_free(&reply);
    }
}
END_TEST

START_TEST(another_media_type_is_refused) {
    static const char *const types[] = {"application/json", "", "application/ocsp-response",
                                        "application/ocsp-requests", "text/plain"};
    struct bytes request = request_with(PROFILE_ACCESS, "");
    expect(&g,
           &(struct call){.plane = PLANE_PUBLIC,
                          .caller = &anyone,
                          .method = "POST",
                          .target = "/v1/ocsp",
                          .content_type = types[_i],
                          .body = (const char *)request.data,
                          .body_len = request.len},
           415, "unsupported_media_type");
}
END_TEST

static const struct {
    enum config_plane plane;
    const char *method, *target;
    unsigned status;
} elsewhere[] = {
    {PLANE_PUBLIC, "GET", "/v1/ocsp", 405},         {PLANE_PUBLIC, "PUT", "/v1/ocsp", 405},
    {PLANE_PUBLIC, "DELETE", "/v1/ocsp/MA==", 405}, {PLANE_PUBLIC, "GET", "/v1/ocsp/MA==?a=b", 400},
    {PLANE_ENROL, "POST", "/v1/ocsp", 404},         {PLANE_ENROL, "GET", "/v1/ocsp/MA==", 404}};

START_TEST(it_is_asked_there_and_so_and_nowhere_else) {
    expect(&g,
           &(struct call){.plane = elsewhere[_i].plane,
                          .caller = &anyone,
                          .method = elsewhere[_i].method,
                          .target = elsewhere[_i].target},
           elsewhere[_i].status, NULL);
}
END_TEST

/* --- GET ------------------------------------------------------------------------------------ */

START_TEST(a_get_is_answered_and_may_be_kept_until_next_update) {
    struct reply reply = get(ocsp_ask_url(request_with(PROFILE_ACCESS, ""), _i != 0), NULL);
    expect_status(reply, 200);
    see(&reply);
    ck_assert_int_eq(seen.answer[0].status, OCSP_GOOD);
    long age = -1;
    ck_assert_int_eq(sscanf(reply_header(&reply, "Cache-Control"),
                            "max-age=%ld, public, no-transform, must-revalidate", &age),
                     1);
    ck_assert(age > 0 && age <= 600);
    ck_assert_int_le(clock_unix() + age, seen.answer[0].next_update + 1);
    ck_assert_ptr_nonnull(strstr(reply_header(&reply, "Expires"), " GMT"));
    ck_assert_ptr_nonnull(strstr(reply_header(&reply, "Last-Modified"), " GMT"));
    ck_assert_uint_eq(strlen(reply_header(&reply, "Expires")),
                      strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
    reply_free(&reply);
}
END_TEST

START_TEST(a_get_of_what_is_known_is_304_until_it_is_revoked) {
    char url[1024], etag[64], target[128];
    (void)snprintf(url, sizeof url, "%s", ocsp_ask_url(request_with(PROFILE_ACCESS, ""), true));
    struct reply reply = get(url, NULL);
    (void)snprintf(etag, sizeof etag, "%s", reply_header(&reply, "ETag"));
    ck_assert_uint_eq(strlen(etag), 34);
    reply_free(&reply);
    reply = get(url, etag);
    ck_assert_uint_eq(reply.status, 304);
    ck_assert_uint_eq(reply.len, 0);
    ck_assert_str_eq(reply_header(&reply, "ETag"), etag);
    reply_free(&reply);
    reply = get(url, "\"0\"");
    expect_status(reply, 200);
    reply_free(&reply);
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", serial);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    reply = get(url, etag);
    expect_status(reply, 200);
    see(&reply);
    ck_assert_int_eq(seen.answer[0].status, OCSP_REVOKED);
    reply_free(&reply);
}
END_TEST

START_TEST(a_get_with_a_nonce_is_not_kept) {
    struct reply reply = get(ocsp_ask_url(request_with(PROFILE_ACCESS, "nonce"), true), NULL);
    expect_status(reply, 200);
    see(&reply);
    ck_assert(bytes_equal(seen.nonce, bytes_of_text("nonce")));
    ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "no-store");
    reply_free(&reply);
}
END_TEST

static const char *const undecodable[] = {
    "",     "%",  "%4",   "%GG",       "A", "AAA", "AA==AA", "A-_A", "%00%00%00%00",
    "MA==", "//", "../x", "MEIw%0AQAA"};

START_TEST(a_get_of_what_is_no_request_is_malformed_and_not_kept) {
    struct reply reply = get(undecodable[_i], NULL);
    expect_status(reply, 200);
    see(&reply);
    ck_assert_int_eq(seen.response_status, OCSP_MALFORMED_REQUEST);
    ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "no-store");
    reply_free(&reply);
}
END_TEST

START_TEST(answers_are_counted_for_metrics) {
    struct caller admin_caller = caller_operator("admin");
    static const enum profile asked[] = {PROFILE_ACCESS, PROFILE_ACCESS, PROFILE_IDENTITY};
    struct reply reply;
    for (size_t i = 0; i < 3; i++) {
        reply = post(request_with(asked[i], ""));
        reply_free(&reply);
    }
    reply = call(&g, &(struct call){.plane = PLANE_ADMIN,
                                    .caller = &admin_caller,
                                    .method = "GET",
                                    .target = "/metrics"});
    expect_status(reply, 200);
    static const char *const lines[] = {"gatehouse_ocsp_answers_total{from=\"cache\"} 1\n",
                                        "gatehouse_ocsp_answers_total{from=\"signer\"} 1\n",
                                        "gatehouse_ocsp_answers_total{from=\"error\"} 1\n"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_msg(strstr(reply.text, lines[i]) != NULL, "no %s", lines[i]);
    }
    reply_free(&reply);
}
END_TEST

int main(void) {
    TCase *t = tcase_create("ocsp");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_post_is_answered_and_not_kept, 0, 2);
    tcase_add_test(t, a_revocation_is_in_the_answer_after_it);
    tcase_add_test(t, errors_of_ocsp_are_answers_too);
    tcase_add_loop_test(t, another_media_type_is_refused, 0, 5);
    tcase_add_loop_test(t, it_is_asked_there_and_so_and_nowhere_else, 0,
                        sizeof elsewhere / sizeof elsewhere[0]);
    tcase_add_loop_test(t, a_get_is_answered_and_may_be_kept_until_next_update, 0, 2);
    tcase_add_test(t, a_get_of_what_is_known_is_304_until_it_is_revoked);
    tcase_add_test(t, a_get_with_a_nonce_is_not_kept);
    tcase_add_loop_test(t, a_get_of_what_is_no_request_is_malformed_and_not_kept, 0,
                        sizeof undecodable / sizeof undecodable[0]);
    tcase_add_test(t, answers_are_counted_for_metrics);
    Suite *suite = suite_create("API: OCSP");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

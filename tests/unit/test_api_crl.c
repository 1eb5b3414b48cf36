/* concurrent */
/* Lists of what is revoked, as relying parties fetch them. */
#include "api/caching.h"
#include "api/request.h"
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct gateway g;
static struct soft_device device;
static struct caller anyone;
static char serial[33], access_id[AUTHORITY_ID_SIZE], identity_id[AUTHORITY_ID_SIZE];

static void start(void) {
    const struct signer_authority *all;
    gateway_start(&g);
    size_t num = signer_authorities(g.signer, &all);
    for (size_t i = 0; i < num; i++) {
        memcpy(all[i].profile == PROFILE_ACCESS ? access_id : identity_id, all[i].id,
               AUTHORITY_ID_SIZE);
    }
    anyone = caller_nobody();
}

static void stop(void) {
    gateway_stop(&g);
}

static void start_with_device(void) {
    char baseline[33];
    start();
    gateway_add_model(&g, "edge");
    device_init(&device, "edge");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    (void)snprintf(
        serial, sizeof serial, "%s",
        json_string_value(json_object_get(json_object_get(reply.json, "credential"), "serial")));
    reply_free(&reply);
}

static void stop_with_device(void) {
    device_cleanup(&device);
    stop();
}

static struct call request_of(const char *target) {
    return (struct call){
        .plane = PLANE_PUBLIC, .caller = &anyone, .method = "GET", .target = target};
}

static struct reply get(const char *target) {
    struct call what = request_of(target);
    return call(&g, &what);
}

static const char *crl_of(const char *name) {
    static char target[128];
    (void)snprintf(target, sizeof target, "/v1/crl/%s", name);
    return target;
}

static bool holds_serial(const struct reply *reply) {
    uint8_t raw[16];
    ck_assert_int_eq(hex_decode(raw, sizeof raw, serial), STATUS_OK);
    return memmem(reply->text, reply->len, raw, sizeof raw) != NULL;
}

/* --- what is given ------------------------------------------------------------------------------ */

START_TEST(the_list_of_now_and_that_of_its_authority_are_one_and_say_how_long_they_keep) {
    char by_id[32];
    (void)snprintf(by_id, sizeof by_id, "%s.crl", access_id);
    struct reply now = get("/v1/crl/access.crl"), named = get(crl_of(by_id));
    expect_status(now, 200);
    expect_status(named, 200);
    ck_assert_str_eq(now.content_type, "application/pkix-crl");
    ck_assert_str_eq(reply_header(&now, "Cache-Control"),
                     "max-age=60, public, no-transform, must-revalidate");
    ck_assert_uint_eq(strlen(reply_header(&now, "ETag")), 34);
    char etag[64];
    (void)snprintf(etag, sizeof etag, "%s", reply_header(&now, "ETag"));
    ck_assert_str_eq(etag, reply_header(&named, "ETag"));
    ck_assert_ptr_nonnull(strstr(reply_header(&now, "Last-Modified"), " GMT"));
    ck_assert_ptr_nonnull(strstr(reply_header(&now, "Expires"), " GMT"));
    ck_assert_uint_eq(now.len, named.len);
    ck_assert_mem_eq(now.text, named.text, now.len);
    ck_assert_uint_eq((uint8_t)now.text[0], 0x30);
    reply_free(&now);
    reply_free(&named);
}
END_TEST

START_TEST(all_lists_are_given_as_pem_for_proxies) {
    struct reply reply = get("/v1/crl/access.pem");
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "application/x-pem-file");
    ck_assert_int_eq(strncmp(reply.text, "-----BEGIN X509 CRL-----\n", 25), 0);
    ck_assert_str_eq(reply.text + reply.len - 23, "-----END X509 CRL-----\n");
    reply_free(&reply);
}
END_TEST

START_TEST(a_cache_may_keep_no_list_beyond_its_renewal) {
    g.config.crl_max_age_s = 86400;
    struct reply reply = get("/v1/crl/access.crl");
    int age = 0;
    ck_assert_int_eq(sscanf(reply_header(&reply, "Cache-Control"), "max-age=%d,", &age), 1);
    ck_assert_int_le(age, 1800);
    reply_free(&reply);
    g.config.crl_max_age_s = 0;
    reply = get("/v1/crl/access.crl");
    ck_assert_int_eq(strncmp(reply_header(&reply, "Cache-Control"), "max-age=0,", 10), 0);
    reply_free(&reply);
}
END_TEST

START_TEST(an_authority_is_given_by_its_id_as_its_credentials_name_it) {
    char target[64];
    (void)snprintf(target, sizeof target, "/v1/ca/access/%s.cer", access_id);
    struct bytes der = signer_authority(g.signer, PROFILE_ACCESS);
    struct reply reply = get(target);
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "application/pkix-cert");
    ck_assert_uint_eq(reply.len, der.len);
    ck_assert_mem_eq(reply.text, der.data, der.len);
    reply_free(&reply);
}
END_TEST

/* --- who has it already ------------------------------------------------------------------------- */

static const char *const same_tags[] = {
    "%s", "W/%s", "\"other\", %s", "%s,\"other\"", "\"a\",W/%s , \"b\"", "*"};
static const char *const other_tags[] = {"\"other\"", "",      "%s%s",  "x%s",
                                         "W/ %s",     "\"*\"", "*, %s."};

static struct reply get_unless(const char *form) {
    struct reply first = get("/v1/crl/access.crl");
    char tags[256];
    char etag[64];
    (void)snprintf(etag, sizeof etag, "%s", reply_header(&first, "ETag"));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(tags, sizeof tags, form, etag, etag);
#pragma GCC diagnostic pop
    struct call what = request_of("/v1/crl/access.crl");
    what.if_none_match = tags;
    reply_free(&first);
    return call(&g, &what);
}

START_TEST(who_has_the_list_is_told_so_without_it) {
    struct reply reply = get_unless(same_tags[_i]);
    expect_status(reply, 304);
    ck_assert_uint_eq(reply.len, 0);
    ck_assert_str_eq(reply.content_type, "");
    ck_assert_str_ne(reply_header(&reply, "ETag"), "");
    ck_assert_str_ne(reply_header(&reply, "Cache-Control"), "");
    reply_free(&reply);
}
END_TEST

START_TEST(who_has_another_is_given_it) {
    struct reply reply = get_unless(other_tags[_i]);
    expect_status(reply, 200);
    ck_assert_uint_gt(reply.len, 100);
    reply_free(&reply);
}
END_TEST

START_TEST(dates_are_those_of_http) {
    struct arena arena;
    arena_init(&arena, 4096);
    ck_assert_str_eq(http_date(&arena, 784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    ck_assert_str_eq(http_date(&arena, 1795438800), "Mon, 23 Nov 2026 13:00:00 GMT");
    arena_free(&arena);
}
END_TEST

/* --- what is not -------------------------------------------------------------------------------- */

static const char *const unknown[] = {
    "/v1/crl/identity.crl",
    "/v1/crl/access",
    "/v1/crl/access.der",
    "/v1/crl/ACCESS.crl",
    "/v1/crl/0123456789abcdef.crl",
    "/v1/crl/.crl",
    "/v1/crl/access.crl/",
    "/v1/crl/%61ccess.crl",
    "/v1/crl/..",
    "/v1/ca/access/0123456789abcdef.cer",
    "/v1/ca/access/access.cer",
    "/v1/crl",
};

START_TEST(a_list_that_is_none_is_not_found) {
    struct call what = request_of(unknown[_i]);
    expect(&g, &what, 404, "not_found");
}
END_TEST

START_TEST(names_of_authorities_are_whole_and_of_access_only) {
    char name[64];
    const char *const forms[] = {"%s.crl", "%.16s", "%s.CRL", "%s.pem", "%s.crl.crl", "%.15s.crl"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const char *id = i == 0 ? identity_id : access_id;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(name, sizeof name, forms[i], id);
#pragma GCC diagnostic pop
        struct call what = request_of(crl_of(name));
        expect(&g, &what, 404, "not_found");
    }
    char target[64];
    (void)snprintf(target, sizeof target, "/v1/ca/access/%s.cer", identity_id);
    struct call what = request_of(target);
    expect(&g, &what, 404, "not_found");
}
END_TEST

START_TEST(lists_take_no_parameter_no_body_and_no_other_method) {
    struct call what = request_of("/v1/crl/access.crl?x=1");
    expect(&g, &what, 400, "unknown_parameter");
    what = request_of("/v1/crl/access.crl");
    what.method = "DELETE";
    expect(&g, &what, 405, "method_not_allowed");
    what.method = "GET";
    what.body = "{}";
    expect(&g, &what, 400, "unexpected_body");
}
END_TEST

/* A publisher that has made none yet. */
START_TEST(without_a_list_that_is_current_it_says_so) {
    struct crl_publisher *usual = g.crl, *none = NULL;
    const struct crl_publisher_options options = {
        .store = g.store, .signer = g.signer, .feed = g.feed, .lifetime_s = 3600};
    struct detail detail;
    ck_assert_int_eq(kill(signer_pid(g.signer), SIGKILL), 0);
    ck_assert_int_eq(crl_publisher_start(&none, &options, &detail), STATUS_OK);
    g.api->options.crl = none;
    static const char *const targets[] = {"/v1/crl/access.crl", "/v1/crl/access.pem"};
    for (size_t i = 0; i < 2; i++) {
        struct call what = request_of(targets[i]);
        expect(&g, &what, 503, "crl_unavailable");
    }
    g.api->options.crl = usual;
    struct reply reply =
        get("/v1/crl/access.crl"); /* what was made before is good as long as it lasts */
    expect_status(reply, 200);
    reply_free(&reply);
    crl_publisher_stop(none);
    crl_publisher_free(none);
}
END_TEST

/* --- a revocation ------------------------------------------------------------------------------- */

START_TEST(a_revoked_credential_comes_onto_the_list_and_its_credential_names_the_authority) {
    char target[128], etag[64];
    struct reply before = get("/v1/crl/access.crl");
    (void)snprintf(etag, sizeof etag, "%s", reply_header(&before, "ETag"));
    ck_assert(!holds_serial(&before));
    (void)snprintf(target, sizeof target, "/v1/credentials/%s", serial);
    struct reply shown = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(reply_text(&shown, "authority"), access_id);
    reply_free(&shown);
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", serial);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"key_compromise\"}", 200, NULL);
    int64_t until = clock_monotonic_ms() + 20000;
    struct reply after = get("/v1/crl/access.crl");
    while (!holds_serial(&after)) {
        ck_assert_int_lt(clock_monotonic_ms(), until);
        (void)usleep(1000);
        reply_free(&after);
        after = get("/v1/crl/access.crl");
    }
    ck_assert_str_ne(etag, reply_header(&after, "ETag"));
    /* reasonCode: keyCompromise */
    static const uint8_t reason[] = {0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, 0x01};
    ck_assert_ptr_nonnull(memmem(after.text, after.len, reason, sizeof reason));
    reply_free(&before);
    reply_free(&after);
    struct reply metrics = admin(&g, "viewer", "GET", "/metrics", NULL);
    ck_assert_ptr_nonnull(strstr(metrics.text, "\ngatehouse_crl_entries 1\n"));
    ck_assert_ptr_nonnull(strstr(metrics.text, "\ngatehouse_crl_failures_total 0\n"));
    reply_free(&metrics);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void) {
    TCase *given = tcase_create("given"), *revoked = tcase_create("revoked");
    tcase_add_checked_fixture(given, start, stop);
    tcase_add_checked_fixture(revoked, start_with_device, stop_with_device);
    tcase_set_timeout(given, 60);
    tcase_set_timeout(revoked, 60);
    tcase_add_test(given,
                   the_list_of_now_and_that_of_its_authority_are_one_and_say_how_long_they_keep);
    tcase_add_test(given, all_lists_are_given_as_pem_for_proxies);
    tcase_add_test(given, a_cache_may_keep_no_list_beyond_its_renewal);
    tcase_add_test(given, an_authority_is_given_by_its_id_as_its_credentials_name_it);
    tcase_add_loop_test(given, who_has_the_list_is_told_so_without_it, 0, COUNT(same_tags));
    tcase_add_loop_test(given, who_has_another_is_given_it, 0, COUNT(other_tags));
    tcase_add_test(given, dates_are_those_of_http);
    tcase_add_loop_test(given, a_list_that_is_none_is_not_found, 0, COUNT(unknown));
    tcase_add_test(given, names_of_authorities_are_whole_and_of_access_only);
    tcase_add_test(given, lists_take_no_parameter_no_body_and_no_other_method);
    tcase_add_test(given, without_a_list_that_is_current_it_says_so);
    tcase_add_test(revoked,
                   a_revoked_credential_comes_onto_the_list_and_its_credential_names_the_authority);
    Suite *suite = suite_create("api: revocation lists");
    suite_add_tcase(suite, given);
    suite_add_tcase(suite, revoked);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

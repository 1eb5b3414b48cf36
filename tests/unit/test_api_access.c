/* Refusals of access: what the audit gets to know of them, and lock-out. */
/* concurrent */
#include "api/lockout.h"
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    g.pace_us = 0;
}

static void stop(void) {
    gateway_stop(&g);
}

/* One entry in the order of their making: the committer takes commits in order, so that after a
 * change everything before it is there. */
static json_t *entries(void) {
    expect_admin(&g, "admin", "PUT", "/v1/models/acme-edge9", "{\"description\":\"x\"}", 200, NULL);
    struct reply reply = admin(&g, "admin", "GET", "/v1/audit?limit=1000", NULL);
    expect_status(reply, 200);
    json_t *items = json_incref(json_object_get(reply.json, "items"));
    reply_free(&reply);
    return items;
}

static const char *text_of(const json_t *entry, const char *member) {
    return json_string_value(json_object_get(entry, member));
}

static size_t count(const char *action) {
    json_t *items = entries();
    size_t num = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        num += strcmp(text_of(json_array_get(items, i), "action"), action) == 0;
    }
    json_decref(items);
    return num;
}

/* The latest refusal. */
static void check_refusal(const char *actor, const char *object) {
    json_t *items = entries(), *last = NULL;
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *entry = json_array_get(items, i);
        last = strcmp(text_of(entry, "action"), "access.refuse") == 0 ? entry : last;
    }
    ck_assert_ptr_nonnull(last);
    ck_assert_str_eq(text_of(last, "actor"), actor);
    ck_assert_str_eq(text_of(last, "object"), object);
    ck_assert_uint_eq(strlen(text_of(last, "request_id")), 32);
    json_decref(items);
}

static const char *stranger(const char *seed) {
    static char actor[64];
    uint8_t digest[32];
    char hex[17];
    certificate_sha256_of(digest, seed);
    hex_encode(hex, bytes_of(digest, 8));
    (void)snprintf(actor, sizeof actor, "certificate:%s", hex);
    return actor;
}

START_TEST(a_refusal_is_in_the_audit_with_who_and_what) {
    expect_admin(&g, "viewer", "PUT", "/v1/models/acme-edge9", "{}", 403, "forbidden");
    check_refusal("operator:viewer", "PUT /v1/models/{model}");
    expect_admin(&g, "nobody", "GET", "/v1/models", NULL, 403, "forbidden");
    check_refusal(stranger("nobody"), "GET /v1/models");
    expect_admin(&g, "admin", "PUT", "/v1/operators/author",
                 "{\"role\":\"author\",\"disabled\":true}", 200, NULL);
    expect_admin(&g, "author", "GET", "/v1/models", NULL, 403, "forbidden");
    check_refusal("operator:author", "GET /v1/models");
    expect_admin(&g, "viewer", "DELETE", "/v1/operators/admin/certificates/00", NULL, 403,
                 "forbidden");
    check_refusal("operator:viewer", "DELETE /v1/operators/{name}/certificates/{sha256}");
}
END_TEST

START_TEST(devices_and_proxies_that_nobody_knows_are_refused_alike) {
    struct caller caller = caller_certificate("nobody");
    expect(
        &g,
        &(struct call){
            .plane = PLANE_PROXY, .caller = &caller, .method = "GET", .target = "/v1/decisions/x"},
        403, "forbidden");
    check_refusal(stranger("nobody"), "GET /v1/decisions/{device_id}");
    expect(&g,
           &(struct call){
               .plane = PLANE_DEVICE, .caller = &caller, .method = "GET", .target = "/v1/self"},
           403, "forbidden");
    check_refusal(stranger("nobody"), "GET /v1/self");
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{\"disabled\":true}", 200, NULL);
    caller = caller_proxy();
    expect(
        &g,
        &(struct call){
            .plane = PLANE_PROXY, .caller = &caller, .method = "GET", .target = "/v1/decisions/x"},
        403, "forbidden");
    check_refusal("proxy:edge", "GET /v1/decisions/{device_id}");
}
END_TEST

START_TEST(what_was_asked_is_not_copied_into_the_audit) {
    expect_admin(&g, "nobody", "GET", "/v1/no-such-path", NULL, 403, "forbidden");
    check_refusal(stranger("nobody"), "GET no route");
    expect_admin(&g, "nobody", "GET", "/v1/models?secret=1", NULL, 403, "forbidden");
    check_refusal(stranger("nobody"), "GET /v1/models");
}
END_TEST

START_TEST(what_is_refused_for_other_reasons_is_no_refusal_of_access) {
    expect_admin(&g, "admin", "DELETE", "/v1/operators/admin", NULL, 403, "own_registration");
    expect_admin(&g, "admin", "GET", "/v1/models/nobody", NULL, 404, "not_found");
    expect_admin(&g, "admin", "POST", "/v1/models", "{}", 400, "missing_field");
    ck_assert_uint_eq(count("access.refuse"), 0);
}
END_TEST

static void refuse(const char *who, unsigned num) {
    for (unsigned i = 0; i < num; i++) {
        expect_admin(&g, who, "DELETE", "/v1/models/acme-edge9", NULL, 403, "forbidden");
    }
}

START_TEST(who_is_refused_ten_times_is_locked_out_of_everything) {
    refuse("viewer", LOCKOUT_REFUSALS - 1);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 200, NULL);
    refuse("viewer", 1);
    struct reply reply = admin(&g, "viewer", "GET", "/v1/models", NULL);
    check_code(&reply, 429, "rate_limited");
    ck_assert_int_ge(atoi(reply_header(&reply, "Retry-After")), 1);
    ck_assert_int_le(atoi(reply_header(&reply, "Retry-After")), LOCKOUT_S);
    reply_free(&reply);
    for (unsigned i = 0; i < 20; i++) {
        expect_admin(&g, "viewer", "DELETE", "/v1/models/acme-edge9", NULL, 429, "rate_limited");
    }
    ck_assert_uint_eq(count("access.refuse"), LOCKOUT_REFUSALS);
    ck_assert_uint_eq(count("access.lock_out"), 1);
}
END_TEST

START_TEST(nobody_else_is_locked_out) {
    refuse("viewer", LOCKOUT_REFUSALS);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 429, "rate_limited");
    expect_admin(&g, "author", "GET", "/v1/models", NULL, 200, NULL);
    expect_admin(&g, "stranger", "GET", "/v1/models", NULL, 403, "forbidden");
}
END_TEST

START_TEST(a_lock_out_ends) {
    refuse("viewer", LOCKOUT_REFUSALS);
    (void)atomic_fetch_add(&g.later_us, (LOCKOUT_S - 2) * (int64_t)1000000);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 429, "rate_limited");
    (void)atomic_fetch_add(&g.later_us, 2 * (int64_t)1000000);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 200, NULL);
}
END_TEST

START_TEST(it_is_the_certificate_that_is_locked_out_on_every_plane) {
    struct caller caller = caller_certificate("stranger");
    const struct call ask = {
        .plane = PLANE_PROXY, .caller = &caller, .method = "GET", .target = "/v1/decisions/x"};
    for (unsigned i = 0; i < LOCKOUT_REFUSALS; i++) {
        expect(&g, &ask, 403, "forbidden");
    }
    expect(&g, &ask, 429, "rate_limited");
    expect_admin(&g, "stranger", "GET", "/v1/models", NULL, 429, "rate_limited");
    /* Those who show none are not held back: they have one answer anyway. */
    caller = caller_local();
    expect(&g, &ask, 200, NULL);
}
END_TEST

START_TEST(a_refusal_stays_one_when_the_store_is_down) {
    gateway_break_store(&g, true);
    refuse("viewer", LOCKOUT_REFUSALS);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 429, "rate_limited");
    gateway_break_store(&g, false);
    expect_admin(&g, "author", "GET", "/v1/models", NULL, 200, NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("access");
    TCase *t = tcase_create("access");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_refusal_is_in_the_audit_with_who_and_what);
    tcase_add_test(t, devices_and_proxies_that_nobody_knows_are_refused_alike);
    tcase_add_test(t, what_was_asked_is_not_copied_into_the_audit);
    tcase_add_test(t, what_is_refused_for_other_reasons_is_no_refusal_of_access);
    tcase_add_test(t, who_is_refused_ten_times_is_locked_out_of_everything);
    tcase_add_test(t, nobody_else_is_locked_out);
    tcase_add_test(t, a_lock_out_ends);
    tcase_add_test(t, it_is_the_certificate_that_is_locked_out_on_every_plane);
    tcase_add_test(t, a_refusal_stays_one_when_the_store_is_down);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Access policies: who may write them, who may name them, and what they ask. */
/* concurrent */
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/dialect_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static struct arena arena;
static const char *header[DIALECT_HEADERS]; /* of the device's credential */

static void prove(void) {
    struct reply reply = device_prove(&g, &device);
    struct bytes der[4];
    size_t num;
    expect_status(reply, 201);
    const char *pem = json_string_value(
        json_object_get(json_object_get(reply.json, "credential"), "certificate"));
    ck_assert_int_eq(pem_certificates(&arena, der, &num, 4, bytes_of_text(pem), NULL), STATUS_OK);
    (void)dialect_headers(&arena, header, DIALECT_CADDY, der[0]);
    reply_free(&reply);
}

static void start(void) {
    char baseline[33];
    gateway_start(&g);
    arena_init(&arena, 1 << 20);
    expect_admin(&g, "author", "POST", "/v1/models",
                 "{\"name\":\"acme-edge9\",\"segments\":{\"measured\":\"factory\"}}", 201, NULL);
    device_init(&device, "acme-edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
    prove();
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{\"dialect\":\"caddy\"}", 200, NULL);
}

static void stop(void) {
    arena_free(&arena);
    device_cleanup(&device);
    gateway_stop(&g);
}

static void add_policy(const char *body) {
    expect_admin(&g, "admin", "POST", "/v1/access-policies", body, 201, NULL);
}

static void allow_policies(const char *policies) {
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"policies\":%s}", policies);
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", body, 200, NULL);
}

static struct reply ask_as(struct caller *caller, const char *target) {
    return call(&g, &(struct call){.plane = PLANE_PROXY,
                                   .caller = caller,
                                   .method = "GET",
                                   .target = target,
                                   .headers = header});
}

/* "allow", or the code or reason of the refusal. */
static void check_answer(const char *target, const char *answer) {
    struct caller edge = caller_proxy();
    struct reply reply = ask_as(&edge, target);
    const char *why = reply_header(&reply, "X-Gatehouse-Reason");
    bool allow = strcmp(answer, "allow") == 0;
    expect_status(reply, allow ? 200U : 403U);
    ck_assert_msg(strcmp(allow ? "allow" : why, answer) == 0, "%s: %s", target, why);
    reply_free(&reply);
}

/* --- what a policy asks --- */

static const struct {
    const char *policy, *answer;
} asked[] = {
    {"{\"name\":\"p\"}", "allow"},
    {"{\"name\":\"p\",\"minimum_tier\":\"measured\"}", "allow"},
    {"{\"name\":\"p\",\"minimum_tier\":\"none\",\"key_protection\":\"any\"}", "allow"},
    {"{\"name\":\"p\",\"models\":[\"x\",\"acme-edge9\"],\"segments\":[\"lab\",\"factory\"]}",
     "allow"},
    {"{\"name\":\"p\",\"models\":[],\"segments\":[]}", "allow"},
    {"{\"name\":\"p\",\"models\":[\"acme\",\"acme-edge99\",\"Acme-edge9\"]}", "policy_model"},
    {"{\"name\":\"p\",\"segments\":[\"fact\",\"factory2\"]}", "policy_segment"},
    {"{\"name\":\"p\",\"key_protection\":\"tpm\"}", "policy_key_protection"},
    {"{\"name\":\"p\",\"key_protection\":\"tpm\",\"models\":[\"x\"]}", "policy_model"},
};

START_TEST(a_policy_asks_for_all_that_it_names) {
    add_policy(asked[_i].policy);
    allow_policies("[\"p\"]");
    check_answer("/v1/authorize", asked[_i].answer);
    check_answer("/v1/authorize/p", asked[_i].answer);
    check_answer("/v1/authorize/-/p", asked[_i].answer);
}
END_TEST

START_TEST(a_key_in_the_tpm_is_what_key_protection_asks_for) {
    add_policy("{\"name\":\"p\",\"key_protection\":\"tpm\"}");
    allow_policies("[\"p\"]");
    check_answer("/v1/authorize", "policy_key_protection");
    device.certifies = true;
    prove();
    check_answer("/v1/authorize", "allow");
}
END_TEST

START_TEST(a_device_without_a_segment_meets_no_policy_of_segments) {
    add_policy("{\"name\":\"p\",\"segments\":[\"factory\",\"-\"]}");
    allow_policies("[\"p\"]");
    check_answer("/v1/authorize", "allow");
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"segments\":{}}", 200, NULL);
    check_answer("/v1/authorize", "policy_segment");
}
END_TEST

START_TEST(a_device_that_may_not_pass_is_told_why_and_not_the_policy) {
    char target[96];
    add_policy("{\"name\":\"p\",\"models\":[\"x\"]}");
    allow_policies("[\"p\"]");
    (void)snprintf(target, sizeof target, "/v1/devices/%s/quarantine", device.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"x\"}", 200, NULL);
    check_answer("/v1/authorize", "quarantined");
}
END_TEST

START_TEST(a_changed_policy_counts_at_once) {
    add_policy("{\"name\":\"p\"}");
    allow_policies("[\"p\"]");
    check_answer("/v1/authorize", "allow");
    expect_admin(&g, "admin", "PUT", "/v1/access-policies/p", "{\"models\":[\"x\"]}", 200, NULL);
    check_answer("/v1/authorize", "policy_model");
    expect_admin(&g, "admin", "PUT", "/v1/access-policies/p", "{\"models\":[]}", 200, NULL);
    check_answer("/v1/authorize", "allow");
}
END_TEST

/* --- which policy --- */

static const struct {
    const char *target, *answer;
} paths[] = {
    {"/v1/authorize", "policy_model"}, /* the first */
    {"/v1/authorize?policy=open", "policy_model"},
    {"/v1/authorize/-", "policy_model"},
    {"/v1/authorize/-/open", "policy_model"},
    {"/v1/authorize/strict", "policy_model"},
    {"/v1/authorize/strict/open", "policy_model"},
    {"/v1/authorize/open", "allow"},
    {"/v1/authorize/open/", "allow"},
    {"/v1/authorize/open/../strict", "allow"},
    {"/v1/authorize/open/%2e%2e/x?strict", "allow"},
    {"/v1/authorize/", "policy_not_allowed"},
    {"/v1/authorize//", "policy_not_allowed"},
    {"/v1/authorize//open", "policy_not_allowed"},
    {"/v1/authorize/other", "policy_not_allowed"},  /* there is one, and it is not the proxy's */
    {"/v1/authorize/nobody", "policy_not_allowed"}, /* there is none */
    {"/v1/authorize/OPEN", "policy_not_allowed"},
    {"/v1/authorize/ope", "policy_not_allowed"},
    {"/v1/authorize/open2", "policy_not_allowed"},
    {"/v1/authorize/open;x", "policy_not_allowed"},
    {"/v1/authorize/%6fpen", "policy_not_allowed"},
    {"/v1/authorize/../authorize/open", "policy_not_allowed"},
    {"/v1/authorize/./open", "policy_not_allowed"},
    {"/v1/authorize/--", "policy_not_allowed"},
    {"/v1/authorize/%2d/x", "policy_not_allowed"},
    {"/v1/authorize/index.html", "policy_not_allowed"},
};

START_TEST(the_path_names_only_what_the_proxy_may_ask) {
    add_policy("{\"name\":\"strict\",\"models\":[\"x\"]}");
    add_policy("{\"name\":\"open\"}");
    add_policy("{\"name\":\"other\"}");
    allow_policies("[\"strict\",\"open\"]");
    check_answer(paths[_i].target, paths[_i].answer);
}
END_TEST

START_TEST(a_proxy_without_policies_names_none) {
    add_policy("{\"name\":\"open\"}");
    check_answer("/v1/authorize", "allow");
    check_answer("/v1/authorize/-/x", "allow");
    check_answer("/v1/authorize/open", "policy_not_allowed");
    check_answer("/v1/authorize/", "policy_not_allowed");
}
END_TEST

START_TEST(the_unix_socket_names_those_of_the_configuration) {
    struct caller local = caller_local();
    struct config_listener *listener = &g.config.plane[PLANE_PROXY];
    add_policy("{\"name\":\"open\"}");
    add_policy("{\"name\":\"other\"}");
    listener->unix_dialect = DIALECT_CADDY;
    (void)snprintf(listener->unix_policy[0], CONFIG_NAME, "nobody");
    (void)snprintf(listener->unix_policy[1], CONFIG_NAME, "open");
    listener->num_unix_policies = 2;
    static const struct {
        const char *target, *answer;
    } cases[] = {{"/v1/authorize", "unknown_policy"},
                 {"/v1/authorize/nobody", "unknown_policy"},
                 {"/v1/authorize/other", "policy_not_allowed"},
                 {"/v1/authorize/open", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply reply = ask_as(&local, cases[i].target);
        expect_status(reply, cases[i].answer[0] == '\0' ? 200U : 403U);
        ck_assert_str_eq(reply_header(&reply, "X-Gatehouse-Reason"), cases[i].answer);
        reply_free(&reply);
    }
}
END_TEST

/* --- proxies --- */

START_TEST(a_proxy_has_the_policies_that_it_was_given_in_order) {
    static const char *const wanted[] = {"b", "a", "c"};
    add_policy("{\"name\":\"a\"}");
    add_policy("{\"name\":\"b\"}");
    add_policy("{\"name\":\"c\"}");
    allow_policies("[\"b\",\"a\",\"c\"]");
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{}", 200, NULL); /* they stay */
    struct reply reply = admin(&g, "viewer", "GET", "/v1/proxies/edge", NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "dialect"), "caddy");
    const json_t *list = json_object_get(reply.json, "policies");
    ck_assert_uint_eq(json_array_size(list), 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(json_string_value(json_array_get(list, i)), wanted[i]);
    }
    reply_free(&reply);
    allow_policies("[]");
    reply = admin(&g, "viewer", "GET", "/v1/proxies", NULL);
    list = json_object_get(json_array_get(json_object_get(reply.json, "items"), 0), "policies");
    ck_assert(json_is_array(list));
    ck_assert_uint_eq(json_array_size(list), 0);
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *body;
    unsigned status;
    const char *code;
} wrong_proxies[] = {
    {"{\"policies\":[\"nobody\"]}", 422, "unknown_policy"},
    {"{\"policies\":[\"p\",\"nobody\"]}", 422, "unknown_policy"},
    {"{\"policies\":[\"p\",\"p\"]}", 400, "invalid_field"},
    {"{\"policies\":[\"-\"]}", 400, "invalid_field"},
    {"{\"policies\":[\"\"]}", 400, "invalid_field"},
    {"{\"policies\":[\"a/b\"]}", 400, "invalid_field"},
    {"{\"policies\":[1]}", 400, "invalid_field"},
    {"{\"policies\":\"p\"}", 400, "invalid_field"},
    {"{\"policies\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\","
     "\"13\",\"14\",\"15\",\"16\",\"17\"]}",
     400, "invalid_field"},
    {"{\"dialect\":\"NGINX\"}", 400, "invalid_field"},
    {"{\"dialect\":\"\"}", 400, "invalid_field"},
};

START_TEST(a_proxy_is_given_only_policies_that_exist) {
    add_policy("{\"name\":\"p\"}");
    allow_policies("[\"p\"]");
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", wrong_proxies[_i].body,
                 wrong_proxies[_i].status, wrong_proxies[_i].code);
    struct reply reply = admin(&g, "viewer", "GET", "/v1/proxies/edge", NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "policies")), 1);
    ck_assert_str_eq(reply_text(&reply, "dialect"), "caddy");
    reply_free(&reply);
}
END_TEST

START_TEST(a_new_proxy_may_be_given_dialect_and_policies) {
    add_policy("{\"name\":\"p\"}");
    struct reply reply =
        admin(&g, "admin", "POST", "/v1/proxies",
              "{\"name\":\"front\",\"dialect\":\"envoy_xfcc\",\"policies\":[\"p\"],"
              "\"certificate_sha256\":"
              "\"00000000000000000000000000000000000000000000000000000000000000aa\"}");
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "dialect"), "envoy_xfcc");
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "policies")), 1);
    reply_free(&reply);
    expect_admin(&g, "admin", "POST", "/v1/proxies",
                 "{\"name\":\"second\",\"policies\":[\"q\"],\"certificate_sha256\":"
                 "\"00000000000000000000000000000000000000000000000000000000000000ab\"}",
                 422, "unknown_policy");
    expect_admin(&g, "viewer", "GET", "/v1/proxies/second", NULL, 404, "not_found");
}
END_TEST

START_TEST(a_policy_that_a_proxy_may_ask_for_stays) {
    add_policy("{\"name\":\"p\"}");
    add_policy("{\"name\":\"q\"}");
    allow_policies("[\"q\",\"p\"]");
    expect_admin(&g, "admin", "DELETE", "/v1/access-policies/p", NULL, 409, "in_use");
    expect_admin(&g, "viewer", "GET", "/v1/access-policies/p", NULL, 200, NULL);
    allow_policies("[\"q\"]");
    expect_admin(&g, "admin", "DELETE", "/v1/access-policies/p", NULL, 204, NULL);
    expect_admin(&g, "admin", "DELETE", "/v1/proxies/edge", NULL, 204, NULL);
    expect_admin(&g, "admin", "DELETE", "/v1/access-policies/q", NULL, 204, NULL);
}
END_TEST

/* --- writing them --- */

static const struct {
    const char *body;
    unsigned status;
    const char *code;
} wrong_policies[] = {
    {"{}", 400, "missing_field"},
    {"{\"name\":\"-\"}", 400, "invalid_field"},
    {"{\"name\":\"a b\"}", 400, "invalid_field"},
    {"{\"name\":\"\"}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"minimum_tier\":\"gold\"}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"minimum_tier\":3}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"key_protection\":\"unproven\"}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"models\":[\"a\",\"a\"]}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"models\":[\"a,b\"]}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"models\":[\"\"]}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"models\":\"a\"}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"segments\":[\"Lab\"]}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"segments\":[\"a,b\"]}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"segments\":[\"a\",\"b\",\"a\"]}", 400, "invalid_field"},
    {"{\"name\":\"p\",\"tier\":\"measured\"}", 400, "unknown_field"},
    {"{\"name\":\"taken\"}", 409, "already_exists"},
};

START_TEST(a_policy_that_is_not_one_is_refused) {
    add_policy("{\"name\":\"taken\"}");
    expect_admin(&g, "admin", "POST", "/v1/access-policies", wrong_policies[_i].body,
                 wrong_policies[_i].status, wrong_policies[_i].code);
    expect_admin(&g, "viewer", "GET", "/v1/access-policies/p", NULL, 404, "not_found");
}
END_TEST

START_TEST(a_policy_comes_back_as_it_was_written) {
    struct reply reply = admin(&g, "admin", "POST", "/v1/access-policies",
                               "{\"name\":\"p\",\"description\":\"the floor\","
                               "\"minimum_tier\":\"verified_boot\",\"key_protection\":\"tpm\","
                               "\"models\":[\"b\",\"a\"],\"segments\":[\"lab\"]}");
    expect_status(reply, 201);
    ck_assert_str_eq(reply_header(&reply, "Location"), "/v1/access-policies/p");
    reply_free(&reply);
    for (int i = 0; i < 2; i++) {
        reply = admin(&g, "viewer", "GET", "/v1/access-policies/p", NULL);
        expect_status(reply, 200);
        ck_assert_str_eq(reply_text(&reply, "description"), i == 0 ? "the floor" : "changed");
        ck_assert_str_eq(reply_text(&reply, "minimum_tier"), "verified_boot");
        ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
        ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "models")), 2);
        ck_assert_str_eq(
            json_string_value(json_array_get(json_object_get(reply.json, "models"), 0)), "b");
        ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "segments")), 1);
        ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "version")), i + 1);
        reply_free(&reply);
        expect_admin(&g, "admin", "PUT", "/v1/access-policies/p", "{\"description\":\"changed\"}",
                     200, NULL);
    }
}
END_TEST

START_TEST(who_was_slower_does_not_overwrite) {
    struct caller caller = caller_operator("admin");
    add_policy("{\"name\":\"p\"}");
    struct call change = {.plane = PLANE_ADMIN,
                          .caller = &caller,
                          .method = "PUT",
                          .target = "/v1/access-policies/p",
                          .body = "{\"description\":\"x\"}",
                          .if_match = "\"1\""};
    expect(&g, &change, 200, NULL);
    expect(&g, &change, 412, "version_mismatch");
    change.method = "DELETE";
    change.body = NULL;
    expect(&g, &change, 412, "version_mismatch");
    change.if_match = "\"2\"";
    expect(&g, &change, 204, NULL);
    expect(&g, &change, 404, "not_found");
}
END_TEST

START_TEST(policies_are_listed_by_name_and_page) {
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 3; i-- > 0;) {
        char body[32];
        (void)snprintf(body, sizeof body, "{\"name\":\"%s\"}", names[i]);
        add_policy(body);
    }
    struct reply reply = admin(&g, "viewer", "GET", "/v1/access-policies?limit=2", NULL);
    expect_status(reply, 200);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), 2);
    ck_assert_str_eq(reply_text(&reply, "next_cursor"), "b");
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", "/v1/access-policies?cursor=b", NULL);
    const json_t *items = json_object_get(reply.json, "items");
    ck_assert_uint_eq(json_array_size(items), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(items, 0), "name")), "c");
    reply_free(&reply);
}
END_TEST

/* As many of both as there may be, of the longest names. */
START_TEST(a_policy_takes_64_models_and_segments_and_no_more) {
    char *body = malloc(32 * 1024);
    for (int extra = 0; extra < 2; extra++) {
        size_t len = (size_t)sprintf(body, "{\"name\":\"big%d\",\"models\":[", extra);
        for (int i = 0; i < 64 + extra; i++) {
            len += (size_t)sprintf(body + len, "%s\"m%063d\"", i == 0 ? "" : ",", i);
        }
        len += (size_t)sprintf(body + len, "],\"segments\":[");
        for (int i = 0; i < 64; i++) {
            len += (size_t)sprintf(body + len, "%s\"s%062d\"", i == 0 ? "" : ",", i);
        }
        (void)sprintf(body + len, "]}");
        expect_admin(&g, "admin", "POST", "/v1/access-policies", body, extra == 0 ? 201 : 400,
                     extra == 0 ? NULL : "invalid_field");
    }
    free(body);
    allow_policies("[\"big0\"]");
    check_answer("/v1/authorize", "policy_model");
    struct reply reply = admin(&g, "viewer", "GET", "/v1/access-policies/big0", NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "models")), 64);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "segments")), 64);
    reply_free(&reply);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static Suite *suite(void) {
    Suite *s = suite_create("api_access_policies");
    TCase *t = tcase_create("policies");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_policy_asks_for_all_that_it_names, 0, COUNT(asked));
    tcase_add_test(t, a_key_in_the_tpm_is_what_key_protection_asks_for);
    tcase_add_test(t, a_device_without_a_segment_meets_no_policy_of_segments);
    tcase_add_test(t, a_device_that_may_not_pass_is_told_why_and_not_the_policy);
    tcase_add_test(t, a_changed_policy_counts_at_once);
    tcase_add_loop_test(t, the_path_names_only_what_the_proxy_may_ask, 0, COUNT(paths));
    tcase_add_test(t, a_proxy_without_policies_names_none);
    tcase_add_test(t, the_unix_socket_names_those_of_the_configuration);
    tcase_add_test(t, a_proxy_has_the_policies_that_it_was_given_in_order);
    tcase_add_loop_test(t, a_proxy_is_given_only_policies_that_exist, 0, COUNT(wrong_proxies));
    tcase_add_test(t, a_new_proxy_may_be_given_dialect_and_policies);
    tcase_add_test(t, a_policy_that_a_proxy_may_ask_for_stays);
    tcase_add_loop_test(t, a_policy_that_is_not_one_is_refused, 0, COUNT(wrong_policies));
    tcase_add_test(t, a_policy_comes_back_as_it_was_written);
    tcase_add_test(t, who_was_slower_does_not_overwrite);
    tcase_add_test(t, policies_are_listed_by_name_and_page);
    tcase_add_test(t, a_policy_takes_64_models_and_segments_and_no_more);
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

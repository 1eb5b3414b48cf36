/* GET /v1/changes: who may follow it, from where, and what is refused. */
/* concurrent */
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static struct caller proxy;
static char serial[33], baseline[33];

static void start(void) {
    gateway_start(&g);
    proxy = caller_proxy();
    gateway_add_model(&g, "edge9");
    device_init(&device, "edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    (void)snprintf(
        serial, sizeof serial, "%s",
        json_string_value(json_object_get(json_object_get(reply.json, "credential"), "serial")));
    reply_free(&reply);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static struct call follow(const char *target, const char *last_event_id, const char *until) {
    return (struct call){.plane = PLANE_PROXY,
                         .caller = &proxy,
                         .method = "GET",
                         .target = target,
                         .last_event_id = last_event_id,
                         .until = until};
}

static struct reply hear(const char *target, const char *last_event_id, const char *until) {
    struct call what = follow(target, last_event_id, until);
    return call(&g, &what);
}

START_TEST(a_stream_is_of_events_and_kept_by_nobody) {
    struct reply reply = hear("/v1/changes?after=0", NULL, "event: credential");
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "text/event-stream");
    ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "no-store");
    ck_assert_str_eq(reply_header(&reply, "X-Accel-Buffering"), "no");
    ck_assert_ptr_nonnull(strstr(reply.text, "\n\nid: 1\nevent: device\n"));
    ck_assert_ptr_nonnull(strstr(reply.text, serial));
    ck_assert_ptr_nonnull(strstr(reply.text, device.id));
    reply_free(&reply);
}
END_TEST

START_TEST(a_revocation_is_heard) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", serial);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    struct reply reply = hear("/v1/changes", "1", "event: revocation");
    expect_status(reply, 200);
    ck_assert_ptr_null(strstr(reply.text, "\nid: 1\n"));
    ck_assert_ptr_nonnull(strstr(reply.text, "\nid: 2\n"));
    ck_assert_ptr_nonnull(strstr(reply.text, "\"reason\":\"lost\"}\n\n"));
    reply_free(&reply);
}
END_TEST

START_TEST(each_way_an_operator_changes_trust_is_heard) {
    static const char *const ways[][3] = {
        {"quarantine", "{\"reason\":\"odd\"}", "\"state\":\"quarantined\""},
        {"retire", "{\"reason\":\"old\"}", "\"state\":\"retired\""},
    };
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/%s", device.id, ways[_i][0]);
    expect_admin(&g, "operator", "POST", target, ways[_i][1], 200, NULL);
    struct reply reply = hear("/v1/changes?after=0", NULL, ways[_i][2]);
    expect_status(reply, 200);
    reply_free(&reply);
}
END_TEST

START_TEST(a_baseline_that_is_revoked_is_heard_as_the_devices_it_distrusts) {
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/revoke", baseline);
    expect_admin(&g, "operator", "POST", target, "{}", 200, NULL);
    struct reply reply = hear("/v1/changes?after=0", NULL, "event: revocation");
    expect_status(reply, 200);
    ck_assert_ptr_nonnull(strstr(reply.text, "\"verdict\":\"untrusted\""));
    reply_free(&reply);
}
END_TEST

START_TEST(a_snapshot_has_the_credentials_that_are_valid) {
    struct reply reply = hear("/v1/changes?snapshot=true", NULL, "event: snapshot");
    expect_status(reply, 200);
    ck_assert_ptr_nonnull(strstr(reply.text, serial));
    ck_assert_ptr_nonnull(strstr(reply.text, "event: model\ndata: {\"model\":\"edge9\","
                                             "\"credential_tier\":\"measured\",\"segments\":{"));
    reply_free(&reply);
    reply = hear("/v1/changes?snapshot=true&model=other", NULL, "event: snapshot");
    ck_assert_ptr_null(strstr(reply.text, serial));
    reply_free(&reply);
}
END_TEST

START_TEST(who_connects_again_goes_on_whatever_the_query_says) {
    struct reply reply = hear("/v1/changes?snapshot=true&after=99", "1", "id: 2\n");
    expect_status(reply, 200);
    ck_assert_ptr_null(strstr(reply.text, "event: snapshot"));
    reply_free(&reply);
}
END_TEST

START_TEST(a_place_that_never_was_ends_with_a_reset) {
    struct reply reply = hear("/v1/changes", "999", NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply.text, "retry: 2000\n\nevent: reset\ndata: {\"reason\":\"unknown\"}\n\n");
    reply_free(&reply);
}
END_TEST

START_TEST(what_is_no_place_is_refused) {
    static const char *const bad[] = {"",   "-1",  "1x",  "x",   "0x10",
                                      " 1", "1 2", "1.5", "1\t", "9999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct call what = follow("/v1/changes", bad[i], NULL);
        expect(&g, &what, 400, "bad_request");
    }
}
END_TEST

START_TEST(what_is_no_parameter_of_it_is_refused) {
    static const char *const bad[][2] = {{"after=", "invalid_parameter"},
                                         {"after=-1", "invalid_parameter"},
                                         {"after=1x", "invalid_parameter"},
                                         {"after=9999999999999999999", "invalid_parameter"},
                                         {"snapshot=yes!", "invalid_parameter"},
                                         {"snapshot=TRUE", "invalid_parameter"},
                                         {"snapshot=false", "invalid_parameter"},
                                         {"model=", "invalid_parameter"},
                                         {"model=%2e%2e%2f", "invalid_parameter"},
                                         {"since=1", "unknown_parameter"},
                                         {"after=1&after=2", "invalid_parameter"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char target[128];
        (void)snprintf(target, sizeof target, "/v1/changes?%s", bad[i][0]);
        struct call what = follow(target, NULL, NULL);
        expect(&g, &what, 400, bad[i][1]);
    }
}
END_TEST

START_TEST(who_is_no_proxy_hears_nothing) {
    struct caller strangers[] = {caller_nobody(), caller_certificate("stranger"),
                                 caller_operator("admin"), device.caller};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        struct call what = follow("/v1/changes?after=0", NULL, NULL);
        what.caller = &strangers[i];
        expect(&g, &what, 403, "forbidden");
    }
    struct caller admin_caller = caller_operator("admin");
    struct call what = follow("/v1/changes?after=0", NULL, NULL);
    what.caller = &admin_caller;
    what.plane = PLANE_ADMIN;
    expect(&g, &what, 404, "not_found");
}
END_TEST

START_TEST(a_stream_takes_get_alone) {
    struct call what = follow("/v1/changes", NULL, NULL);
    what.method = "POST";
    what.body = "{}";
    expect(&g, &what, 405, "method_not_allowed");
    what = follow("/v1/changes", NULL, NULL);
    what.method = "HEAD";
    struct reply reply = call(&g, &what);
    expect_status(reply, 200);
    ck_assert_uint_eq(reply.len, 0);
    reply_free(&reply);
    what = follow("/v1/changes", NULL, NULL);
    what.body = "{}";
    expect(&g, &what, 400, "unexpected_body");
}
END_TEST

START_TEST(a_proxy_that_is_disabled_hears_no_more) {
    struct call what = follow("/v1/changes?after=0", NULL, NULL);
    struct exchange *exchange = call_start(&g, &what); /* it was let in */
    expect_admin(&g, "admin", "DELETE", "/v1/proxies/edge", NULL, 204, NULL);
    struct reply reply = call_finish(&g, exchange);
    ck_assert_ptr_nonnull(
        strstr(reply.text, "event: dropped\ndata: {\"reason\":\"access_ended\"}\n\n"));
    ck_assert_ptr_null(strstr(reply.text, "event: credential"));
    reply_free(&reply);
}
END_TEST

START_TEST(metrics_count_who_follows_and_who_is_sent_away) {
    struct reply reply = hear("/v1/changes?after=0", NULL, "event: credential");
    reply_free(&reply);
    reply = hear("/v1/changes?after=999", NULL, NULL);
    reply_free(&reply);
    struct call what = follow("/v1/changes?after=0", NULL, "event: credential");
    struct exchange *exchange = call_start(&g, &what);
    struct reply metrics = admin(&g, "viewer", "GET", "/metrics", NULL);
    expect_status(metrics, 200);
    static const char *const lines[] = {
        "\ngatehouse_change_readers 1\n", "\ngatehouse_change_readers_total 3\n",
        "\ngatehouse_change_streams_ended_total{reason=\"reset\"} 1\n",
        "\ngatehouse_change_streams_ended_total{reason=\"too_slow\"} 0\n",
        "\ngatehouse_change_streams_ended_total{reason=\"access_ended\"} 0\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(strstr(metrics.text, lines[i]) != NULL, "no %s", lines[i]);
    }
    reply_free(&metrics);
    reply = call_finish(&g, exchange);
    reply_free(&reply);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("changes");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, a_stream_is_of_events_and_kept_by_nobody);
    tcase_add_test(tests, a_revocation_is_heard);
    tcase_add_loop_test(tests, each_way_an_operator_changes_trust_is_heard, 0, 2);
    tcase_add_test(tests, a_baseline_that_is_revoked_is_heard_as_the_devices_it_distrusts);
    tcase_add_test(tests, a_snapshot_has_the_credentials_that_are_valid);
    tcase_add_test(tests, who_connects_again_goes_on_whatever_the_query_says);
    tcase_add_test(tests, a_place_that_never_was_ends_with_a_reset);
    tcase_add_test(tests, what_is_no_place_is_refused);
    tcase_add_test(tests, what_is_no_parameter_of_it_is_refused);
    tcase_add_test(tests, who_is_no_proxy_hears_nothing);
    tcase_add_test(tests, a_stream_takes_get_alone);
    tcase_add_test(tests, a_proxy_that_is_disabled_hears_no_more);
    tcase_add_test(tests, metrics_count_who_follows_and_who_is_sent_away);
    Suite *suite = suite_create("api: changes");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

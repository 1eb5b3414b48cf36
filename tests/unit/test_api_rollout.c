/* Rollouts at the API: who is asked for what, and what a device's evidence does to one. */
/* concurrent */
#include "server/base/clock.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOUNDS "\"max_failure_percent\":20,\"min_appraisals\":1,\"min_s\":0"

static struct gateway g;
static struct soft_device first, other;
static char baseline[33], document[4096];

static void approved(char id[static 33], const char *label) {
    static const struct {
        const char *who, *step;
    } steps[] = {{"author", "submit"}, {"approver", "approve"}};
    char target[96];
    device_baseline_body(&first, document, label);
    struct reply reply = admin(&g, "author", "POST", "/v1/models/acme-edge9/baselines", document);
    expect_status(reply, 201);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(target, sizeof target, "/v1/baselines/%s/%s", id, steps[i].step);
        expect_admin(&g, steps[i].who, "POST", target, "{}", 200, NULL);
    }
}

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&first, "acme-edge9");
    device_init(&other, "acme-edge9");
    device_join(&g, &first);
    device_join(&g, &other);
    approved(baseline, "fw 1");
}

static void stop(void) {
    device_cleanup(&first);
    device_cleanup(&other);
    gateway_stop(&g);
}

static void step(const char *id, const char *name, const char *body, unsigned status,
                 const char *code) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/%s", id, name);
    expect_admin(&g, "approver", "POST", target, body, status, code);
}

static void act(const char *action, unsigned status, const char *code) {
    char body[64];
    (void)snprintf(body, sizeof body, "{\"action\":\"%s\"}", action);
    step(baseline, "rollout", body, status, code);
}

/* For the first device alone, then for all. */
static void activate(const char *more) {
    char body[512];
    (void)snprintf(body, sizeof body, "{\"rollout\":{\"devices\":[\"%s\"]," BOUNDS "}%s}", first.id,
                   more);
    step(baseline, "activate", body, 200, NULL);
}

static struct reply show(const char *id) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s", id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    return reply;
}

static bool is(const char *state, int64_t ring) {
    struct reply reply = show(baseline);
    const json_t *rollout = json_object_get(reply.json, "rollout");
    bool found = strcmp(json_string_value(json_object_get(rollout, "state")), state) == 0 &&
                 json_integer_value(json_object_get(rollout, "ring")) == ring;
    reply_free(&reply);
    return found;
}

static void reaches(const char *state, int64_t ring) {
    while (!is(state, ring)) { /* the test's time is bounded */
    }
}

static void check_counts(int64_t appraised, int64_t failed) {
    struct reply reply = show(baseline);
    const json_t *rollout = json_object_get(reply.json, "rollout");
    ck_assert_int_eq(json_integer_value(json_object_get(rollout, "appraised")), appraised);
    ck_assert_int_eq(json_integer_value(json_object_get(rollout, "failed")), failed);
    reply_free(&reply);
}

static void proves(struct soft_device *device, unsigned status) {
    struct reply reply = device_prove(&g, device);
    expect_status(reply, status);
    reply_free(&reply);
}

static void boots_something_else(struct soft_device *device) {
    struct writer log = writer_of(device->log, sizeof device->log);
    log.len = device->log_len;
    soft_tpm_event(&device->tpm, &log, 4, 0x0d, bytes_of_text("unknown loader"),
                   bytes_of_text("unknown loader"));
    ck_assert(!log.overflow);
    device->log_len = log.len;
}

/* --- what happens --- */

START_TEST(outside_of_the_ring_the_baseline_does_not_count) {
    activate("");
    proves(&other, 403);
    check_counts(0, 0);
}
END_TEST

START_TEST(each_ring_opens_after_the_one_before_until_all_have_the_baseline) {
    activate("");
    proves(&first, 201);
    reaches("running", 1);
    proves(&other, 201);
    reaches("complete", 1);
    proves(&other, 201);
    proves(&first, 201);
}
END_TEST

START_TEST(a_device_that_fails_in_its_ring_halts_the_rollout) {
    activate("");
    boots_something_else(&first);
    proves(&first, 403);
    reaches("halted", 0);
    check_counts(1, 1);
    struct reply reply = show(baseline);
    const json_t *rollout = json_object_get(reply.json, "rollout");
    ck_assert_ptr_nonnull(
        strstr(json_string_value(json_object_get(rollout, "reason")), "1 of 1 devices failed"));
    reply_free(&reply);
    json_t *entry = gateway_audit(&g, "baseline.rollout_halt");
    ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), "system");
    json_decref(entry);
}
END_TEST

START_TEST(a_halted_rollout_judges_its_ring_and_opens_no_other) {
    activate("");
    act("halt", 200, NULL);
    proves(&first, 201);
    proves(&other, 403);
    check_counts(0, 0);
    ck_assert(is("halted", 0));
}
END_TEST

START_TEST(a_rollout_that_is_resumed_counts_anew) {
    activate("");
    boots_something_else(&first);
    proves(&first, 403);
    reaches("halted", 0);
    act("resume", 200, NULL);
    check_counts(0, 0);
    device_boot(&first);
    proves(&first, 201);
    reaches("running", 1);
}
END_TEST

START_TEST(a_rollout_that_is_completed_gives_the_baseline_to_all) {
    activate("");
    proves(&other, 403);
    act("complete", 200, NULL);
    ck_assert(is("complete", 1));
    proves(&other, 201);
    json_t *entry = gateway_audit(&g, "baseline.rollout_complete");
    ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), "operator:approver");
    json_decref(entry);
}
END_TEST

START_TEST(what_is_replaced_stays_until_the_rollout_is_complete) {
    char old[33], more[96];
    struct reply reply;
    approved(old, "fw 0");
    step(old, "activate", "{}", 200, NULL);
    (void)snprintf(more, sizeof more, ",\"replaces\":[\"%s\"],\"grace_s\":3600", old);
    activate(more);
    reply = show(old);
    ck_assert_str_eq(reply_text(&reply, "state"), "active");
    reply_free(&reply);
    proves(&other, 201); /* by the old one, which counts as neither */
    check_counts(0, 0);
    act("complete", 200, NULL);
    reply = show(old);
    ck_assert_str_eq(reply_text(&reply, "state"), "deprecated");
    reply_free(&reply);
}
END_TEST

START_TEST(a_baseline_that_leaves_its_rollout_early_goes_no_further) {
    static const struct {
        const char *step, *body;
        unsigned inside;
    } cases[] = {
        {"deprecate", "{\"grace_s\":3600}", 201}, {"retire", "{}", 403}, {"revoke", "{}", 403}};
    activate("");
    step(baseline, cases[_i].step, cases[_i].body, 200, NULL);
    ck_assert(is("ended", 0));
    proves(&first, cases[_i].inside);
    proves(&other, 403);
    act("resume", 409, "wrong_state");
}
END_TEST

START_TEST(a_rollout_may_wait_for_its_time_and_be_taken_back) {
    char body[256];
    (void)snprintf(body, sizeof body, "{\"at\":\"%s\",\"rollout\":{\"rings\":[5,25]," BOUNDS "}}",
                   "2999-01-01T00:00:00Z");
    step(baseline, "activate", body, 400, "invalid_field");
    char at[RFC3339_SIZE];
    rfc3339_format(at, clock_unix() + 3600);
    (void)snprintf(body, sizeof body, "{\"at\":\"%s\",\"rollout\":{\"rings\":[5,25]," BOUNDS "}}",
                   at);
    step(baseline, "activate", body, 200, NULL);
    ck_assert(is("scheduled", 0));
    act("complete", 409, "wrong_state");
    step(baseline, "unschedule", "{}", 200, NULL);
    struct reply reply = show(baseline);
    ck_assert(json_is_null(json_object_get(reply.json, "rollout")));
    reply_free(&reply);
}
END_TEST

START_TEST(the_metrics_say_how_many_rollouts_there_are) {
    activate("");
    act("halt", 200, NULL);
    struct reply reply = admin(&g, "viewer", "GET", "/metrics", NULL);
    expect_status(reply, 200);
    ck_assert_ptr_nonnull(strstr(reply.text, "\ngatehouse_rollouts{state=\"halted\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(reply.text, "\ngatehouse_rollouts{state=\"running\"} 0\n"));
    reply_free(&reply);
}
END_TEST

/* --- refused --- */

static const struct {
    const char *rollout, *code;
} wrong[] = {
    {"5", "invalid_field"},
    {"[]", "invalid_field"},
    {"{}", "missing_field"},
    {"{" BOUNDS "}", "missing_field"},
    {"{\"rings\":[5]}", "missing_field"},
    {"{\"rings\":[]," BOUNDS "}", "invalid_field"},
    {"{\"rings\":[0]," BOUNDS "}", "invalid_field"},
    {"{\"rings\":[101]," BOUNDS "}", "invalid_field"},
    {"{\"rings\":[-5]," BOUNDS "}", "invalid_field"},
    {"{\"rings\":[5.5]," BOUNDS "}", "invalid_field"},
    {"{\"rings\":[\"5\"]," BOUNDS "}", "invalid_field"},
    {"{\"rings\":5," BOUNDS "}", "invalid_field"},
    {"{\"rings\":[25,5]," BOUNDS "}", "invalid_field"},
    {"{\"rings\":[5,5]," BOUNDS "}", "invalid_field"},
    {"{\"rings\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]," BOUNDS "}", "invalid_field"},
    {"{\"devices\":[]," BOUNDS "}", "invalid_field"},
    {"{\"devices\":[\"x\"]," BOUNDS "}", "invalid_field"},
    {"{\"devices\":[\"00000000000000000000000000000000\"]," BOUNDS "}", "invalid_field"},
    {"{\"devices\":[\"00000000000000000000000000000000\","
     "\"00000000000000000000000000000000\"]," BOUNDS "}",
     "invalid_field"},
    {"{\"rings\":[5],\"max_failure_percent\":100,\"min_appraisals\":1,\"min_s\":0}",
     "invalid_field"},
    {"{\"rings\":[5],\"max_failure_percent\":-1,\"min_appraisals\":1,\"min_s\":0}",
     "invalid_field"},
    {"{\"rings\":[5],\"max_failure_percent\":1,\"min_appraisals\":0,\"min_s\":0}", "invalid_field"},
    {"{\"rings\":[5],\"max_failure_percent\":1,\"min_appraisals\":1,\"min_s\":-1}",
     "invalid_field"},
    {"{\"rings\":[5],\"ring\":1," BOUNDS "}", "unknown_field"},
};

START_TEST(a_rollout_that_is_none_is_refused) {
    char body[512];
    (void)snprintf(body, sizeof body, "{\"rollout\":%s}", wrong[_i].rollout);
    step(baseline, "activate", body, 400, wrong[_i].code);
    struct reply reply = show(baseline);
    ck_assert_str_eq(reply_text(&reply, "state"), "approved");
    ck_assert(json_is_null(json_object_get(reply.json, "rollout")));
    reply_free(&reply);
}
END_TEST

START_TEST(an_unknown_action_is_refused) {
    activate("");
    act("open", 400, "invalid_field");
    act("", 400, "invalid_field");
    step(baseline, "rollout", "{}", 400, "missing_field");
    step(baseline, "rollout", "{\"action\":\"halt\",\"ring\":2}", 400, "unknown_field");
    ck_assert(is("running", 0));
}
END_TEST

START_TEST(an_action_in_a_wrong_state_is_refused) {
    act("halt", 409, "wrong_state"); /* it has none */
    activate("");
    act("resume", 409, "wrong_state");
    act("halt", 200, NULL);
    act("halt", 409, "wrong_state");
    act("complete", 200, NULL);
    act("complete", 409, "wrong_state");
    act("resume", 409, "wrong_state");
}
END_TEST

START_TEST(a_rollout_of_no_baseline_is_not_found) {
    step("00000000000000000000000000000000", "rollout", "{\"action\":\"halt\"}", 404, "not_found");
}
END_TEST

START_TEST(who_puts_no_baselines_in_force_moves_no_rollout) {
    static const char *const roles[] = {"viewer", "operator", "author"};
    char target[96];
    activate("");
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/rollout", baseline);
    expect_admin(&g, roles[_i], "POST", target, "{\"action\":\"complete\"}", 403, NULL);
    ck_assert(is("running", 0));
}
END_TEST

START_TEST(a_deprecated_baseline_is_activated_without_a_rollout) {
    step(baseline, "activate", "{}", 200, NULL);
    step(baseline, "deprecate", "{\"grace_s\":3600}", 200, NULL);
    step(baseline, "activate", "{\"rollout\":{\"rings\":[5]," BOUNDS "}}", 409, "wrong_state");
    proves(&other, 201);
    step(baseline, "activate", "{}", 200, NULL);
}
END_TEST

int main(void) {
    TCase *t = tcase_create("rollout");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, outside_of_the_ring_the_baseline_does_not_count);
    tcase_add_test(t, each_ring_opens_after_the_one_before_until_all_have_the_baseline);
    tcase_add_test(t, a_device_that_fails_in_its_ring_halts_the_rollout);
    tcase_add_test(t, a_halted_rollout_judges_its_ring_and_opens_no_other);
    tcase_add_test(t, a_rollout_that_is_resumed_counts_anew);
    tcase_add_test(t, a_rollout_that_is_completed_gives_the_baseline_to_all);
    tcase_add_test(t, what_is_replaced_stays_until_the_rollout_is_complete);
    tcase_add_loop_test(t, a_baseline_that_leaves_its_rollout_early_goes_no_further, 0, 3);
    tcase_add_test(t, a_rollout_may_wait_for_its_time_and_be_taken_back);
    tcase_add_test(t, the_metrics_say_how_many_rollouts_there_are);
    tcase_add_loop_test(t, a_rollout_that_is_none_is_refused, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_test(t, an_unknown_action_is_refused);
    tcase_add_test(t, an_action_in_a_wrong_state_is_refused);
    tcase_add_test(t, a_rollout_of_no_baseline_is_not_found);
    tcase_add_loop_test(t, who_puts_no_baselines_in_force_moves_no_rollout, 0, 3);
    tcase_add_test(t, a_deprecated_baseline_is_activated_without_a_rollout);
    Suite *suite = suite_create("api: rollouts");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

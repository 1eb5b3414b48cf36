/* The life of a baseline at the API: who may take which step, and what each changes. */
/* concurrent */
#include "server/base/clock.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static char document[4096];

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    device_baseline_body(&device, document, "fw 1");
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static void draft(const char *role, char id[static 33]) {
    struct reply reply = admin(&g, role, "POST", "/v1/models/acme-edge9/baselines", document);
    expect_status(reply, 201);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
}

static struct reply ask(const char *role, const char *id, const char *name, const char *body) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/%s", id, name);
    return admin(&g, role, "POST", target, body);
}

static void step_with(const char *role, const char *id, const char *name, const char *body,
                      unsigned status, const char *code) {
    struct reply reply = ask(role, id, name, body);
    if (code != NULL) {
        check_code(&reply, status, code);
    }
    expect_status(reply, status);
    reply_free(&reply);
}

static void step(const char *role, const char *id, const char *name, unsigned status,
                 const char *code) {
    step_with(role, id, name,
              strcmp(name, "reject") == 0      ? "{\"reason\":\"no\"}"
              : strcmp(name, "deprecate") == 0 ? "{\"grace_s\":60}"
                                               : "{}",
              status, code);
}

static void update(const char *role, const char *id, const char *label, unsigned status) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s", id);
    device_baseline_body(&device, document, label);
    expect_admin(&g, role, "PUT", target, document, status, NULL);
}

static void set_role(const char *name, const char *role) {
    char target[96], body[64];
    (void)snprintf(target, sizeof target, "/v1/operators/%s", name);
    (void)snprintf(body, sizeof body, "{\"role\":\"%s\"}", role);
    expect_admin(&g, "admin", "PUT", target, body, 200, NULL);
}

static struct reply show(const char *id) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s", id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    return reply;
}

static void check_state(const char *id, const char *state) {
    struct reply reply = show(id);
    ck_assert_str_eq(reply_text(&reply, "state"), state);
    reply_free(&reply);
}

static void in_time(char out[static RFC3339_SIZE], int64_t seconds) {
    rfc3339_format(out, clock_unix() + seconds);
}

/* --- two people --- */

START_TEST(nobody_approves_a_baseline_of_their_own) {
    char id[33];
    draft("author", id);
    step("author", id, "submit", 200, NULL);
    set_role("author", "approver");
    step("author", id, "approve", 403, "own_baseline");
    step("approver", id, "approve", 200, NULL);
}
END_TEST

START_TEST(who_changed_a_draft_once_does_not_approve_it) {
    char id[33];
    draft("author", id);
    set_role("approver", "author");
    update("approver", id, "fw 2", 200);
    update("author", id, "fw 3", 200); /* and is not the last to do so */
    step("author", id, "submit", 200, NULL);
    set_role("approver", "approver");
    step("approver", id, "approve", 403, "own_baseline");
}
END_TEST

START_TEST(who_submitted_a_draft_does_not_approve_it) {
    char id[33];
    draft("author", id);
    step("admin", id, "submit", 200, NULL);
    step("admin", id, "approve", 403, "own_baseline");
    step("approver", id, "approve", 200, NULL);
}
END_TEST

START_TEST(not_even_an_administrator_approves_what_they_wrote) {
    char id[33];
    draft("admin", id);
    step("author", id, "submit", 200, NULL);
    struct reply reply = ask("admin", id, "approve", "{}");
    check_code(&reply, 403, "own_baseline");
    ck_assert_ptr_nonnull(strstr(reply_text(&reply, "detail"), "another operator"));
    ck_assert_ptr_nonnull(strstr(reply_text(&reply, "detail"), "two_person"));
    reply_free(&reply);
}
END_TEST

START_TEST(where_it_takes_two_nobody_activates_what_is_not_approved) {
    char id[33];
    draft("author", id);
    step("approver", id, "activate", 409, "wrong_state");
    step("admin", id, "activate", 409, "wrong_state");
    step("author", id, "submit", 200, NULL);
    step("approver", id, "activate", 409, "wrong_state");
    step("admin", id, "activate", 409, "wrong_state");
}
END_TEST

START_TEST(where_it_does_not_take_two_an_administrator_activates_a_draft) {
    char id[33];
    g.config.plane[PLANE_ADMIN].two_person = 0;
    draft("admin", id);
    step("admin", id, "activate", 200, NULL);
    struct reply reply = show(id);
    ck_assert_str_eq(reply_text(&reply, "submitted_by"), "admin");
    ck_assert_str_eq(reply_text(&reply, "approved_by"), "admin");
    reply_free(&reply);
    draft("author", id);
    step("approver", id, "activate", 409, "wrong_state");
    step("author", id, "submit", 200, NULL);
    set_role("author", "approver");
    step("author", id, "approve", 403, "own_baseline");
    step("admin", id, "activate", 200, NULL);
}
END_TEST

START_TEST(a_baseline_is_approved_once_more_after_it_was_a_draft_again) {
    static const struct {
        const char *who, *step;
    } back[] = {{"author", "withdraw"}, {"approver", "reject"}};
    char id[33];
    draft("author", id);
    step("author", id, "submit", 200, NULL);
    step("approver", id, "approve", 200, NULL);
    step(back[_i].who, id, back[_i].step, 200, NULL);
    step("approver", id, "activate", 409, "wrong_state");
    step("approver", id, "approve", 409, "wrong_state");
    update("author", id, "fw 2", 200);
    step("author", id, "submit", 200, NULL);
    update("author", id, "fw 3", 409);
    step("approver", id, "activate", 409, "wrong_state");
}
END_TEST

START_TEST(a_rejection_says_why) {
    char id[33];
    draft("author", id);
    step("author", id, "submit", 200, NULL);
    step_with("approver", id, "reject", "{}", 400, "missing_field");
    step_with("approver", id, "reject", "{\"reason\":\"not the kernel we ship\"}", 200, NULL);
    struct reply reply = show(id);
    ck_assert_str_eq(reply_text(&reply, "note"), "rejected: not the kernel we ship");
    reply_free(&reply);
}
END_TEST

/* --- steps --- */

START_TEST(every_step_is_in_the_audit_with_who_asked_for_it) {
    static const struct {
        const char *who, *step, *action, *state;
    } steps[] = {{"author", "submit", "baseline.submit", "submitted"},
                 {"approver", "approve", "baseline.approve", "approved"},
                 {"approver", "activate", "baseline.activate", "active"},
                 {"approver", "deprecate", "baseline.deprecate", "deprecated"},
                 {"approver", "retire", "baseline.retire", "retired"},
                 {"operator", "revoke", "baseline.revoke", "revoked"}};
    char id[33], actor[64];
    draft("author", id);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        step(steps[i].who, id, steps[i].step, 200, NULL);
        json_t *entry = gateway_audit(&g, steps[i].action);
        (void)snprintf(actor, sizeof actor, "operator:%s", steps[i].who);
        ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), actor);
        ck_assert_str_eq(
            json_string_value(json_object_get(json_object_get(entry, "after"), "state")),
            steps[i].state);
        json_decref(entry);
        check_state(id, steps[i].state);
    }
}
END_TEST

START_TEST(a_step_that_is_refused_leaves_the_baseline_as_it_was) {
    char id[33];
    draft("author", id);
    static const char *const steps[] = {"withdraw",   "approve",   "reject", "activate",
                                        "unschedule", "deprecate", "retire", "revoke"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        step("admin", id, steps[i], 409, "wrong_state");
    }
    struct reply reply = show(id);
    ck_assert_str_eq(reply_text(&reply, "state"), "draft");
    ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "version")), 1);
    reply_free(&reply);
}
END_TEST

START_TEST(a_baseline_that_names_pcrs_nobody_quotes_gets_nowhere) {
    char id[33];
    draft("author", id);
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"pcr_selection\":\"sha256:0-7\"}",
                 200, NULL);
    step("author", id, "submit", 422, "invalid_baseline");
    g.config.plane[PLANE_ADMIN].two_person = 0;
    step("admin", id, "activate", 422, "invalid_baseline");
    check_state(id, "draft");
}
END_TEST

START_TEST(a_step_of_another_version_is_refused) {
    char id[33], target[96];
    struct caller author = caller_operator("author");
    draft("author", id);
    update("author", id, "fw 2", 200);
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/submit", id);
    struct call what = {.plane = PLANE_ADMIN,
                        .caller = &author,
                        .method = "POST",
                        .target = target,
                        .body = "{}",
                        .if_match = "\"1\""};
    expect(&g, &what, 412, "version_mismatch");
    what.if_match = "\"2\"";
    expect(&g, &what, 200, NULL);
}
END_TEST

/* --- grace --- */

START_TEST(a_deprecated_baseline_is_accepted_until_its_grace_ends) {
    char id[33];
    struct reply reply;
    gateway_add_baseline(&g, &device, id);
    device_join(&g, &device);
    step_with("approver", id, "deprecate", "{\"grace_s\":3600}", 200, NULL);
    reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
    step_with("approver", id, "deprecate", "{\"grace_s\":1}", 200, NULL);
    for (bool over = false; !over;) {
        reply = device_prove(&g, &device);
        over = reply.status == 403;
        reply_free(&reply);
    }
    step("approver", id, "revoke", 200, NULL);
}
END_TEST

START_TEST(a_deprecated_baseline_may_be_activated_again) {
    char id[33];
    gateway_add_baseline(&g, &device, id);
    step_with("approver", id, "deprecate", "{\"grace_s\":3600}", 200, NULL);
    struct reply reply = show(id);
    ck_assert_str_ne(reply_text(&reply, "grace_until"), "");
    reply_free(&reply);
    step("approver", id, "activate", 200, NULL);
    reply = show(id);
    ck_assert_str_eq(reply_text(&reply, "state"), "active");
    ck_assert(json_is_null(json_object_get(reply.json, "grace_until")));
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *body, *code;
} wrong_deprecations[] = {
    {"{}", "missing_field"},
    {"{\"grace_s\":0}", "invalid_field"},
    {"{\"grace_s\":31622401}", "invalid_field"},
    {"{\"grace_until\":\"tomorrow\"}", "invalid_field"},
    {"{\"grace_until\":\"2020-01-01T00:00:00Z\"}", "invalid_field"},
    {"{\"grace_until\":\"2999-01-01T00:00:00Z\"}", "invalid_field"},
    {"{\"grace_until\":\"2999-01-01T00:00:00Z\",\"grace_s\":5}", "missing_field"},
    {"{\"grace\":5}", "unknown_field"},
};

START_TEST(a_grace_that_is_none_is_refused) {
    char id[33];
    gateway_add_baseline(&g, &device, id);
    step_with("approver", id, "deprecate", wrong_deprecations[_i].body, 400,
              wrong_deprecations[_i].code);
    check_state(id, "active");
}
END_TEST

/* --- what an activation replaces, and when it is --- */

static void approved(char id[static 33]) {
    draft("author", id);
    step("author", id, "submit", 200, NULL);
    step("approver", id, "approve", 200, NULL);
}

START_TEST(what_is_replaced_becomes_deprecated_with_its_grace) {
    char first[33], second[33], body[128];
    gateway_add_baseline(&g, &device, first);
    approved(second);
    (void)snprintf(body, sizeof body, "{\"replaces\":[\"%s\"],\"grace_s\":3600}", first);
    step_with("approver", second, "activate", body, 200, NULL);
    check_state(second, "active");
    struct reply reply = show(first);
    ck_assert_str_eq(reply_text(&reply, "state"), "deprecated");
    ck_assert_str_ne(reply_text(&reply, "grace_until"), "");
    reply_free(&reply);
    json_t *entry = gateway_audit(&g, "baseline.deprecate");
    ck_assert_ptr_nonnull(entry);
    json_decref(entry);
}
END_TEST

START_TEST(only_active_baselines_of_the_model_are_replaced) {
    char first[33], second[33], third[33], body[160];
    gateway_add_baseline(&g, &device, first);
    approved(second);
    draft("author", third);
    static const char *const format = "{\"replaces\":[\"%s\"],\"grace_s\":60}";
    (void)snprintf(body, sizeof body, format, third); /* NOLINT: the test's own */
    step_with("approver", second, "activate", body, 409, "wrong_state");
    (void)snprintf(body, sizeof body, format, second); /* NOLINT: the test's own */
    step_with("approver", second, "activate", body, 400, "invalid_field");
    (void)snprintf(body, sizeof body, format, /* NOLINT: the test's own */
                   "00000000000000000000000000000000");
    step_with("approver", second, "activate", body, 400, "invalid_field");
    (void)snprintf(body, sizeof body, format, "x"); /* NOLINT: the test's own */
    step_with("approver", second, "activate", body, 400, "invalid_field");
    (void)snprintf(body, sizeof body, "{\"replaces\":[\"%s\",\"%s\"],\"grace_s\":60}", first,
                   first);
    step_with("approver", second, "activate", body, 400, "invalid_field");
    (void)snprintf(body, sizeof body, "{\"replaces\":[\"%s\"]}", first);
    step_with("approver", second, "activate", body, 400, "missing_field");
    step_with("approver", second, "activate", "{\"grace_s\":60}", 400, "missing_field");
    check_state(second, "approved");
    check_state(first, "active");
}
END_TEST

START_TEST(an_activation_to_come_is_shown_and_can_be_taken_back) {
    char id[33], at[RFC3339_SIZE], body[96];
    approved(id);
    in_time(at, 3600);
    (void)snprintf(body, sizeof body, "{\"at\":\"%s\"}", at);
    step_with("approver", id, "activate", body, 200, NULL);
    struct reply reply = show(id);
    ck_assert_str_eq(reply_text(&reply, "state"), "approved");
    ck_assert_str_eq(reply_text(&reply, "activate_at"), at);
    ck_assert_str_eq(reply_text(&reply, "activated_by"), "approver");
    reply_free(&reply);
    step("approver", id, "unschedule", 200, NULL);
    reply = show(id);
    ck_assert_str_eq(reply_text(&reply, "state"), "approved");
    ck_assert(json_is_null(json_object_get(reply.json, "activate_at")));
    reply_free(&reply);
    step("approver", id, "unschedule", 409, "wrong_state");
}
END_TEST

static const char *const wrong_times[] = {
    "{\"at\":\"\"}",
    "{\"at\":\"soon\"}",
    "{\"at\":\"2020-01-01T00:00:00Z\"}",
    "{\"at\":\"2999-01-01T00:00:00Z\"}",
    "{\"at\":\"2026-13-01T00:00:00Z\"}",
    "{\"at\":5}",
};

START_TEST(an_activation_at_no_time_to_come_is_refused) {
    char id[33];
    approved(id);
    step_with("approver", id, "activate", wrong_times[_i], 400, "invalid_field");
    check_state(id, "approved");
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("api_baseline_life");
    TCase *t = tcase_create("life");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, nobody_approves_a_baseline_of_their_own);
    tcase_add_test(t, who_changed_a_draft_once_does_not_approve_it);
    tcase_add_test(t, who_submitted_a_draft_does_not_approve_it);
    tcase_add_test(t, not_even_an_administrator_approves_what_they_wrote);
    tcase_add_test(t, where_it_takes_two_nobody_activates_what_is_not_approved);
    tcase_add_test(t, where_it_does_not_take_two_an_administrator_activates_a_draft);
    tcase_add_loop_test(t, a_baseline_is_approved_once_more_after_it_was_a_draft_again, 0, 2);
    tcase_add_test(t, a_rejection_says_why);
    tcase_add_test(t, every_step_is_in_the_audit_with_who_asked_for_it);
    tcase_add_test(t, a_step_that_is_refused_leaves_the_baseline_as_it_was);
    tcase_add_test(t, a_baseline_that_names_pcrs_nobody_quotes_gets_nowhere);
    tcase_add_test(t, a_step_of_another_version_is_refused);
    tcase_add_test(t, a_deprecated_baseline_is_accepted_until_its_grace_ends);
    tcase_add_test(t, a_deprecated_baseline_may_be_activated_again);
    tcase_add_loop_test(t, a_grace_that_is_none_is_refused, 0,
                        sizeof wrong_deprecations / sizeof wrong_deprecations[0]);
    tcase_add_test(t, what_is_replaced_becomes_deprecated_with_its_grace);
    tcase_add_test(t, only_active_baselines_of_the_model_are_replaced);
    tcase_add_test(t, an_activation_to_come_is_shown_and_can_be_taken_back);
    tcase_add_loop_test(t, an_activation_at_no_time_to_come_is_refused, 0,
                        sizeof wrong_times / sizeof wrong_times[0]);
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

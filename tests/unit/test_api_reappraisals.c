/* concurrent */
/* Re-appraisals and previews over the API, from evidence that devices gave. */
#include "server/base/clock.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct gateway g;
static struct soft_device device;
static char baseline[33], job[33];

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    device_join(&g, &device);
    gateway_add_baseline(&g, &device, baseline);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static struct reply get(const char *what, const char *id) {
    char target[128];
    (void)snprintf(target, sizeof target, "%s/%s", what, id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    return reply;
}

/* The job as it is once it has ended. */
static struct reply wait_for(const char *id) {
    for (;;) {
        struct reply reply = get("/v1/reappraisals", id);
        const char *state = reply_text(&reply, "state");
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0) {
            return reply;
        }
        reply_free(&reply);
        (void)usleep(1000);
    }
}

static int64_t number(const struct reply *reply, const char *member) {
    return json_integer_value(json_object_get(reply->json, member));
}

static void step_as(const char *what, const char *body, unsigned status, const char *code) {
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/%s", baseline, what);
    expect_admin(&g, "approver", "POST", target, body, status, code);
}

static void step(const char *what) {
    step_as(what, "{}", 200, NULL);
}

/* The job that the latest step asked for, once it has ended. */
static struct reply wait_for_step(const char *cause) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/reappraisals?limit=1", NULL);
    expect_status(reply, 200);
    const json_t *item = json_array_get(json_object_get(reply.json, "items"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(item, "cause")), cause);
    (void)snprintf(job, sizeof job, "%s", json_string_value(json_object_get(item, "id")));
    reply_free(&reply);
    return wait_for(job);
}

static struct reply reappraise(const char *enforce) {
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"model\":\"acme-edge9\",\"enforce\":\"%s\",\"reason\":\"as asked\"}",
                   enforce);
    struct reply reply = admin(&g, "operator", "POST", "/v1/reappraisals", body);
    expect_status(reply, 201);
    (void)snprintf(job, sizeof job, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    return wait_for(job);
}

START_TEST(who_fails_is_denied_at_once_when_that_is_asked_for) {
    step("retire");
    check_decision(&g, device.id, "allow", "trusted");
    struct reply reply = reappraise("now");
    ck_assert_str_eq(reply_text(&reply, "state"), "done");
    ck_assert_int_eq(number(&reply, "judged"), 1);
    ck_assert_int_eq(number(&reply, "without_facts"), 0);
    ck_assert_int_eq(number(&reply, "now_untrusted"), 1);
    ck_assert_int_eq(number(&reply, "credentials_revoked"), 1);
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "untrusted");
    reply = get("/v1/devices", device.id);
    ck_assert_str_eq(reply_text(&reply, "verdict"), "untrusted");
    const json_t *found = json_object_get(reply.json, "reappraised");
    ck_assert_str_eq(json_string_value(json_object_get(found, "reappraisal_id")), job);
    char appraisal[33];
    (void)snprintf(appraisal, sizeof appraisal, "%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    reply = get("/v1/appraisals", appraisal);
    ck_assert_str_eq(reply_text(&reply, "reappraisal_id"), job);
    ck_assert_ptr_nonnull(strstr(reply.text, "no_active_baseline"));
    reply_free(&reply);
}
END_TEST

START_TEST(who_fails_keeps_a_lease_otherwise_and_it_is_shown) {
    step("retire");
    struct reply reply = wait_for_step("baseline_retired");
    ck_assert_int_eq(number(&reply, "now_untrusted"), 1);
    ck_assert_int_eq(number(&reply, "credentials_revoked"), 0);
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
    reply = get("/v1/devices", device.id);
    ck_assert_str_eq(reply_text(&reply, "verdict"), "trusted");
    const json_t *found = json_object_get(reply.json, "reappraised");
    ck_assert_str_eq(json_string_value(json_object_get(found, "verdict")), "untrusted");
    reply_free(&reply);
    reply = device_prove(&g, &device);
    check_code(&reply, 403, "untrusted");
    reply_free(&reply);
    reply = get("/v1/devices", device.id);
    ck_assert(json_is_null(json_object_get(reply.json, "reappraised")));
    reply_free(&reply);
}
END_TEST

START_TEST(revoked_baseline_takes_along_at_once_whom_it_admitted) {
    step("revoke");
    struct reply reply = wait_for_step("baseline_revoked");
    ck_assert_str_eq(reply_text(&reply, "enforce"), "now");
    ck_assert_str_eq(reply_text(&reply, "baseline_id"), baseline);
    ck_assert_int_eq(number(&reply, "now_untrusted"), 1);
    ck_assert_int_eq(number(&reply, "credentials_revoked"), 1);
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "untrusted");
}
END_TEST

START_TEST(retired_baseline_takes_along_at_once_whom_it_admitted_when_that_is_said) {
    step_as("retire", "{\"enforce\":\"now\"}", 200, NULL);
    struct reply reply = wait_for_step("baseline_retired");
    ck_assert_str_eq(reply_text(&reply, "enforce"), "now");
    ck_assert_int_eq(number(&reply, "credentials_revoked"), 1);
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "untrusted");
}
END_TEST

START_TEST(revoked_baseline_leaves_leases_when_that_is_said) {
    step_as("revoke", "{\"enforce\":\"lease\"}", 200, NULL);
    struct reply reply = wait_for_step("baseline_revoked");
    ck_assert_str_eq(reply_text(&reply, "enforce"), "lease");
    ck_assert_int_eq(number(&reply, "now_untrusted"), 1);
    ck_assert_int_eq(number(&reply, "credentials_revoked"), 0);
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(enforcement_that_is_none_changes_nothing) {
    step_as("retire", "{\"enforce\":\"soon\"}", 400, "invalid_field");
    step_as("revoke", "{\"enforce\":true}", 400, "invalid_field");
    step_as("activate", "{\"enforce\":\"soon\"}", 400, "invalid_field");
    step_as("deprecate", "{\"enforce\":\"now\",\"grace_s\":60}", 400, "unknown_field");
    struct reply reply = get("/v1/baselines", baseline);
    ck_assert_str_eq(reply_text(&reply, "state"), "active");
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(what_is_scheduled_takes_nothing_away_at_once) {
    char body[128], at[RFC3339_SIZE];
    rfc3339_format(at, clock_unix() + 3600);
    (void)snprintf(body, sizeof body, "{\"enforce\":\"now\",\"at\":\"%s\"}", at);
    step_as("activate", body, 400, "invalid_field");
}
END_TEST

START_TEST(nobody_is_found_anew_when_nothing_changed) {
    struct reply reply = reappraise("now");
    ck_assert_int_eq(number(&reply, "judged"), 1);
    ck_assert_int_eq(number(&reply, "changed"), 0);
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
    ck_assert_ptr_null(gateway_audit(&g, "device.reappraise"));
}
END_TEST

START_TEST(what_is_asked_for_is_read_strictly) {
    static const struct {
        const char *body;
        unsigned status;
        const char *code;
    } wrong[] = {
        {"{\"enforce\":\"now\",\"reason\":\"x\"}", 400, "invalid_field"},
        {"{\"model\":\"acme-edge9\",\"all\":true,\"enforce\":\"now\",\"reason\":\"x\"}", 400,
         "invalid_field"},
        {"{\"all\":true,\"enforce\":\"soon\",\"reason\":\"x\"}", 400, "invalid_field"},
        {"{\"all\":true,\"enforce\":\"now\"}", 400, "missing_field"},
        {"{\"all\":true,\"reason\":\"x\"}", 400, "missing_field"},
        {"{\"all\":true,\"enforce\":\"now\",\"reason\":\"x\",\"dry\":true}", 400, "unknown_field"},
        {"{\"model\":\"nobody\",\"enforce\":\"now\",\"reason\":\"x\"}", 404, "not_found"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_admin(&g, "operator", "POST", "/v1/reappraisals", wrong[i].body, wrong[i].status,
                     wrong[i].code);
    }
    expect_admin(&g, "viewer", "GET", "/v1/reappraisals?state=idle", NULL, 400,
                 "invalid_parameter");
    expect_admin(&g, "viewer", "GET", "/v1/reappraisals/00000000000000000000000000000000", NULL,
                 404, "not_found");
    struct reply reply = admin(&g, "viewer", "GET", "/v1/reappraisals", NULL);
    /* That of the baseline's activation alone. */
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), 1);
    reply_free(&reply);
}
END_TEST

START_TEST(jobs_are_listed_newest_first_and_one_that_ended_is_not_cancelled) {
    char first[33], target[128];
    struct reply reply = reappraise("lease");
    reply_free(&reply);
    (void)snprintf(first, sizeof first, "%s", job);
    (void)usleep(2000); /* an id is as old as its millisecond */
    reply = reappraise("lease");
    reply_free(&reply);
    reply =
        admin(&g, "viewer", "GET", "/v1/reappraisals?model=acme-edge9&state=done&limit=1", NULL);
    expect_status(reply, 200);
    const json_t *item = json_array_get(json_object_get(reply.json, "items"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(item, "id")), job);
    (void)snprintf(target, sizeof target, "/v1/reappraisals?cursor=%s",
                   reply_text(&reply, "next_cursor"));
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    item = json_array_get(json_object_get(reply.json, "items"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(item, "id")), first);
    ck_assert(json_is_null(json_object_get(reply.json, "next_cursor")));
    reply_free(&reply);
    (void)snprintf(target, sizeof target, "/v1/reappraisals/%s/cancel", first);
    expect_admin(&g, "operator", "POST", target, "{}", 409, "wrong_state");
}
END_TEST

START_TEST(enforcing_at_once_takes_two_people_where_revoking_many_does) {
    char target[128];
    g.config.plane[PLANE_ADMIN].two_person |= TWO_PERSON_BULK_REVOKE;
    step("retire");
    const char *body = "{\"all\":true,\"enforce\":\"now\",\"reason\":\"x\"}";
    struct reply reply = admin(&g, "operator", "POST", "/v1/reappraisals", body);
    expect_status(reply, 202);
    (void)snprintf(target, sizeof target, "/v1/approvals/%s/approve",
                   reply_text(&reply, "approval_id"));
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
    reply = reappraise("lease"); /* which takes nothing from anybody */
    reply_free(&reply);
    reply = admin(&g, "admin", "POST", target, "{}");
    expect_status(reply, 201);
    (void)snprintf(job, sizeof job, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    reply = wait_for(job);
    ck_assert_int_eq(number(&reply, "now_untrusted"), 1);
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "untrusted");
}
END_TEST

/* --- preview --- */

/* A draft of what the device booted, with another value in PCR 4. */
static void add_draft(char id[static 33], bool other) {
    char body[4096];
    device_baseline_body(&device, body, "draft");
    char *at = strstr(body, "\"4\":[\"");
    ck_assert_ptr_nonnull(at);
    if (other) {
        memset(at + 6, 'a', 64);
    }
    struct reply reply = admin(&g, "author", "POST", "/v1/models/acme-edge9/baselines", body);
    expect_status(reply, 201);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
}

static struct reply preview(const char *id, const char *body) {
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/preview", id);
    struct reply reply = admin(&g, "viewer", "POST", target, body);
    expect_status(reply, 200);
    return reply;
}

START_TEST(preview_says_who_would_be_cut_off_and_why_and_changes_nothing) {
    char draft[33];
    add_draft(draft, true);
    struct reply reply = preview(draft, "{\"alone\":true}");
    ck_assert_int_eq(number(&reply, "devices"), 1);
    ck_assert_int_eq(number(&reply, "fail"), 1);
    ck_assert_int_eq(number(&reply, "cut_off"), 1);
    const json_t *groups = json_object_get(reply.json, "groups");
    ck_assert_uint_eq(json_array_size(groups), 1);
    const json_t *group = json_array_get(groups, 0);
    ck_assert_str_eq(json_string_value(json_object_get(group, "code")), "pcr_mismatch");
    ck_assert_int_eq(json_integer_value(json_object_get(group, "pcr")), 4);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(group, "examples"), 0)),
                     device.id);
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
    reply = get("/v1/baselines", draft);
    ck_assert_str_eq(reply_text(&reply, "state"), "draft");
    reply_free(&reply);
}
END_TEST

START_TEST(preview_beside_the_others_cuts_nobody_off_and_replacing_them_does) {
    char draft[33], body[128];
    add_draft(draft, true);
    struct reply reply = preview(draft, "{}");
    ck_assert_int_eq(number(&reply, "pass"), 1);
    ck_assert_int_eq(number(&reply, "cut_off"), 0);
    reply_free(&reply);
    (void)snprintf(body, sizeof body, "{\"replaces\":[\"%s\"]}", baseline);
    reply = preview(draft, body);
    ck_assert_int_eq(number(&reply, "cut_off"), 1);
    reply_free(&reply);
    add_draft(draft, false);
    reply = preview(draft, body);
    ck_assert_int_eq(number(&reply, "pass"), 1);
    reply_free(&reply);
}
END_TEST

START_TEST(preview_shows_whom_a_baseline_would_admit) {
    char draft[33];
    step("retire");
    struct reply reply = device_prove(&g, &device);
    check_code(&reply, 403, "untrusted");
    reply_free(&reply);
    add_draft(draft, false);
    reply = preview(draft, NULL);
    ck_assert_int_eq(number(&reply, "admitted"), 1);
    ck_assert_int_eq(number(&reply, "pass"), 1);
    reply_free(&reply);
}
END_TEST

START_TEST(preview_counts_devices_of_which_nothing_is_known) {
    char draft[33];
    struct soft_device other;
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    add_draft(draft, false);
    struct reply reply = preview(draft, "{}");
    ck_assert_int_eq(number(&reply, "devices"), 2);
    ck_assert_int_eq(number(&reply, "pass"), 1);
    ck_assert_int_eq(number(&reply, "without_facts"), 1);
    reply_free(&reply);
    device_cleanup(&other);
}
END_TEST

START_TEST(preview_refuses_what_it_does_not_know) {
    char draft[33], target[128];
    add_draft(draft, false);
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/preview", draft);
    expect_admin(&g, "viewer", "POST", target, "{\"replaces\":[\"nobody\"]}", 400, "invalid_field");
    expect_admin(&g, "viewer", "POST", target, "{\"replaces\":[\"x\"],\"alone\":true}", 400,
                 "invalid_field");
    expect_admin(&g, "viewer", "POST", target, "{\"beside\":true}", 400, "unknown_field");
    expect_admin(&g, "viewer", "POST", "/v1/baselines/00000000000000000000000000000000/preview",
                 "{}", 404, "not_found");
}
END_TEST

START_TEST(preview_is_refused_with_503_while_the_gateway_stops) {
    char draft[33], target[128];
    add_draft(draft, false);
    previews_stop(g.previews);
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/preview", draft);
    expect_admin(&g, "viewer", "POST", target, "{}", 503, NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api: re-appraisals");
    TCase *t = tcase_create("re-appraisals");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, who_fails_is_denied_at_once_when_that_is_asked_for);
    tcase_add_test(t, who_fails_keeps_a_lease_otherwise_and_it_is_shown);
    tcase_add_test(t, revoked_baseline_takes_along_at_once_whom_it_admitted);
    tcase_add_test(t, retired_baseline_takes_along_at_once_whom_it_admitted_when_that_is_said);
    tcase_add_test(t, revoked_baseline_leaves_leases_when_that_is_said);
    tcase_add_test(t, enforcement_that_is_none_changes_nothing);
    tcase_add_test(t, what_is_scheduled_takes_nothing_away_at_once);
    tcase_add_test(t, nobody_is_found_anew_when_nothing_changed);
    tcase_add_test(t, what_is_asked_for_is_read_strictly);
    tcase_add_test(t, jobs_are_listed_newest_first_and_one_that_ended_is_not_cancelled);
    tcase_add_test(t, enforcing_at_once_takes_two_people_where_revoking_many_does);
    tcase_add_test(t, preview_says_who_would_be_cut_off_and_why_and_changes_nothing);
    tcase_add_test(t, preview_beside_the_others_cuts_nobody_off_and_replacing_them_does);
    tcase_add_test(t, preview_shows_whom_a_baseline_would_admit);
    tcase_add_test(t, preview_counts_devices_of_which_nothing_is_known);
    tcase_add_test(t, preview_refuses_what_it_does_not_know);
    tcase_add_test(t, preview_is_refused_with_503_while_the_gateway_stops);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

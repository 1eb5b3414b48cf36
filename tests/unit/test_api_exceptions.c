/* One finding that one device may have for a while: asked for, approved, used, ended. */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR = 3600, DAY = 24 * HOUR };

static struct gateway g;
static struct soft_device device;
static char baseline[33], appraisal[33], exception[33], serial[33];

/* Something measured behind the boot: PCRs and log agree, and nobody allowed it. */
static void change_boot(const char *what) {
    struct writer log = writer_of(device.log, sizeof device.log);
    log.len = device.log_len;
    soft_tpm_event(&device.tpm, &log, 4, 0x0d, bytes_of_text(what), bytes_of_text(what));
    ck_assert(!log.overflow);
    device.log_len = log.len;
}

static void prove(unsigned status, const char *code) {
    struct reply reply = device_prove(&g, &device);
    check_code(&reply, status, code);
    const char *number =
        json_string_value(json_object_get(json_object_get(reply.json, "credential"), "serial"));
    (void)snprintf(serial, sizeof serial, "%s", number == NULL ? "" : number);
    (void)snprintf(appraisal, sizeof appraisal, "%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
}

/* A device that is denied for its PCR 4 alone. */
static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
    change_boot("another loader");
    prove(403, "untrusted");
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static struct reply ask_as(const char *role, const char *device_id, const char *appraisal_id,
                           int finding, const char *until) {
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"device_id\":\"%s\",\"appraisal_id\":\"%s\",\"finding\":%d,\"until\":\"%s\","
                   "\"reason\":\"the new loader ships on Friday\"}",
                   device_id, appraisal_id, finding, until);
    return admin(&g, role, "POST", "/v1/exceptions", body);
}

static const char *in(int64_t seconds) {
    static char text[RFC3339_SIZE];
    rfc3339_format(text, clock_unix() + seconds);
    return text;
}

static void ask(int64_t seconds) {
    struct reply reply = ask_as("operator", device.id, appraisal, 0, in(seconds));
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "state"), "pending");
    (void)snprintf(exception, sizeof exception, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
}

static const char *path(const char *more) {
    static char target[128];
    (void)snprintf(target, sizeof target, "/v1/exceptions/%s%s", exception, more);
    return target;
}

static void approve(const char *role, unsigned status, const char *code) {
    expect_admin(&g, role, "POST", path("/approve"), "{}", status, code);
}

static void end_exception(unsigned status, const char *code) {
    expect_admin(&g, "operator", "DELETE", path(""), NULL, status, code);
}

static void allow(int64_t seconds) {
    ask(seconds);
    approve("approver", 200, NULL);
    prove(201, NULL);
}

static void check_state(const char *state, bool in_use) {
    struct reply reply = admin(&g, "viewer", "GET", path(""), NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "state"), state);
    ck_assert(json_is_true(json_object_get(reply.json, "in_use")) == in_use);
    reply_free(&reply);
}

/* The decision names the exception, or none. */
static void check_named(const char *id) {
    char target[96];
    struct caller proxy = caller_proxy();
    (void)snprintf(target, sizeof target, "/v1/decisions/%s", device.id);
    struct reply reply = call(
        &g,
        &(struct call){.plane = PLANE_PROXY, .caller = &proxy, .method = "GET", .target = target});
    const json_t *named = json_object_get(reply.json, "exceptions");
    ck_assert_uint_eq(json_array_size(named), id == NULL ? 0 : 1);
    if (id != NULL) {
        ck_assert_str_eq(json_string_value(json_array_get(named, 0)), id);
    }
    reply_free(&reply);
}

static void check_revoked(const char *number, const char *reason) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/credentials/%s", number);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "reason"), reason == NULL ? "" : reason);
    reply_free(&reply);
}

/* --- what it makes possible --- */

START_TEST(an_approved_exception_lets_its_finding_pass_and_is_named_everywhere) {
    char target[96];
    allow(DAY);
    check_decision(&g, device.id, "allow", "trusted");
    check_named(exception);
    check_state("approved", true);
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", appraisal);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(reply_text(&reply, "verdict"), "trusted");
    const json_t *finding = json_array_get(json_object_get(reply.json, "findings"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(finding, "severity")), "excepted");
    ck_assert_str_eq(json_string_value(json_object_get(finding, "exception")), exception);
    reply_free(&reply);
    (void)snprintf(target, sizeof target, "/v1/credentials/%s", serial);
    reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(
        json_string_value(json_array_get(json_object_get(reply.json, "exceptions"), 0)), exception);
    reply_free(&reply);
    (void)snprintf(target, sizeof target, "/v1/devices/%s", device.id);
    reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "exceptions")), 1);
    reply_free(&reply);
}
END_TEST

START_TEST(a_credential_ends_with_its_exception) {
    ask(30 * 60);
    struct reply shown = admin(&g, "viewer", "GET", path(""), NULL);
    approve("approver", 200, NULL);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    ck_assert_str_eq(
        json_string_value(json_object_get(json_object_get(reply.json, "credential"), "not_after")),
        reply_text(&shown, "until"));
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "exceptions")), 1);
    reply_free(&shown);
    reply_free(&reply);
}
END_TEST

START_TEST(an_exception_that_is_nearly_over_admits_nobody) {
    ask(240);
    approve("approver", 200, NULL);
    prove(403, "untrusted");
    check_state("approved", false);
}
END_TEST

START_TEST(a_device_that_is_mended_needs_its_exception_no_more) {
    allow(DAY);
    device_boot(&device);
    prove(201, NULL);
    check_named(NULL);
    check_state("approved", false);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(a_credential_from_before_does_not_outlast_the_exception) {
    char before[33];
    device_boot(&device);
    prove(201, NULL);
    memcpy(before, serial, sizeof before);
    change_boot("another loader");
    struct reply reply = device_prove(&g, &device); /* untrusted: it is asked for, and approved */
    check_code(&reply, 403, "untrusted");
    (void)snprintf(appraisal, sizeof appraisal, "%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    ask(HOUR);
    approve("approver", 200, NULL);
    device_boot(&device);
    prove(201, NULL);
    memcpy(before, serial, sizeof before);
    change_boot("another loader");
    prove(201, NULL);
    check_revoked(before, "exception_began");
    memcpy(before, serial, sizeof before);
    prove(201, NULL);
    check_revoked(before, NULL); /* it ends when the exception does */
}
END_TEST

/* --- what it does not --- */

START_TEST(a_pending_exception_lets_nothing_pass) {
    ask(DAY);
    prove(403, "untrusted");
    check_state("pending", false);
    check_decision(&g, device.id, "deny", "untrusted");
}
END_TEST

START_TEST(another_value_in_the_same_pcr_does_not_slip_through) {
    allow(DAY);
    change_boot("and something else");
    prove(403, "untrusted");
    check_decision(&g, device.id, "deny", "untrusted");
    check_named(NULL);
}
END_TEST

START_TEST(another_device_has_nothing_of_it) {
    static struct soft_device other;
    allow(DAY);
    device_init(&other, "acme-edge9");
    memcpy(other.tpm.pcr, device.tpm.pcr, sizeof other.tpm.pcr);
    memcpy(other.log, device.log, device.log_len);
    other.log_len = device.log_len;
    device_join(&g, &other);
    struct reply reply = device_prove(&g, &other);
    check_code(&reply, 403, "untrusted");
    reply_free(&reply);
    device_cleanup(&other);
}
END_TEST

START_TEST(a_quarantined_device_stays_out) {
    char target[96];
    allow(DAY);
    (void)snprintf(target, sizeof target, "/v1/devices/%s/quarantine", device.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"stolen\"}", 200, NULL);
    prove(403, "device_quarantined");
    check_decision(&g, device.id, "deny", "quarantined");
}
END_TEST

START_TEST(a_revoked_credential_stays_revoked) {
    char target[96], first[33];
    allow(DAY);
    memcpy(first, serial, sizeof first);
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", first);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    check_decision(&g, device.id, "deny", "credential_revoked");
}
END_TEST

/* --- two people --- */

START_TEST(nobody_approves_an_exception_of_their_own) {
    ask(DAY);
    approve("operator", 403, "own_proposal");
    prove(403, "untrusted");
    approve("admin", 200, NULL);
    prove(201, NULL);
}
END_TEST

START_TEST(roles_that_handle_no_devices_may_not_ask_or_approve) {
    static const char *const roles[] = {"viewer", "author", "approver"};
    ask(DAY);
    for (size_t i = 0; i < 3; i++) {
        struct reply reply = ask_as(roles[i], device.id, appraisal, 0, in(DAY));
        check_code(&reply, 403, "forbidden");
        reply_free(&reply);
    }
    approve("viewer", 403, "forbidden");
    approve("author", 403, "forbidden");
}
END_TEST

START_TEST(what_was_approved_or_ended_cannot_be_approved_again) {
    ask(DAY);
    approve("approver", 200, NULL);
    approve("admin", 409, "wrong_state");
    end_exception(204, NULL);
    approve("admin", 409, "wrong_state");
    end_exception(409, "wrong_state");
}
END_TEST

START_TEST(each_step_is_in_the_audit_with_who_took_it) {
    static const struct {
        const char *action, *actor;
    } steps[] = {{"exception.request", "operator:operator"},
                 {"exception.approve", "operator:approver"},
                 {"exception.end", "operator:operator"}};
    char object[64];
    allow(DAY);
    end_exception(204, NULL);
    (void)snprintf(object, sizeof object, "exception:%s", exception);
    for (size_t i = 0; i < 3; i++) {
        json_t *entry = gateway_audit(&g, steps[i].action);
        ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), steps[i].actor);
        ck_assert_str_eq(json_string_value(json_object_get(entry, "object")), object);
        json_decref(entry);
    }
    json_t *entry = gateway_audit(&g, "device.appraise");
    const json_t *ids = json_object_get(json_object_get(entry, "after"), "exceptions");
    ck_assert_str_eq(json_string_value(json_array_get(ids, 0)), exception);
    json_decref(entry);
}
END_TEST

/* --- its end --- */

START_TEST(ending_it_cuts_the_device_off_at_once) {
    allow(DAY);
    end_exception(204, NULL);
    check_decision(&g, device.id, "deny", "credential_revoked");
    check_named(NULL);
    check_revoked(serial, "exception_ended");
    check_state("ended", false);
    prove(403, "untrusted");
}
END_TEST

START_TEST(ending_one_that_is_not_needed_revokes_nothing) {
    allow(DAY);
    check_named(exception);
    struct reply reply = ask_as("operator", device.id, appraisal, 0, in(DAY));
    check_code(&reply, 422, "not_exceptable"); /* it denies nothing any more */
    reply_free(&reply);
    change_boot("worse");
    prove(403, "untrusted");
    device_boot(&device);
    prove(201, NULL);
    end_exception(204, NULL);
    check_revoked(serial, NULL);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(a_credential_is_not_given_by_an_exception_that_ended_under_way) {
    static char body[BODY_SIZE];
    char nonce[48];
    allow(DAY);
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    struct caller caller = caller_operator("operator");
    struct gate *gate = gateway_hold(&g);
    struct exchange *ending = call_start(
        &g, &(struct call){
                .plane = PLANE_ADMIN, .caller = &caller, .method = "DELETE", .target = path("")});
    struct exchange *evidence = call_start(&g, &(struct call){.plane = PLANE_DEVICE,
                                                              .caller = &device.caller,
                                                              .method = "POST",
                                                              .target = "/v1/evidence",
                                                              .body = body});
    gateway_let_go(gate);
    struct reply reply = call_finish(&g, ending);
    expect_status(reply, 204);
    reply_free(&reply);
    reply = call_finish(&g, evidence);
    check_code(&reply, 409, "policy_changed");
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "credential_revoked");
}
END_TEST

/* --- what cannot be asked for --- */

static const struct {
    int64_t until_s;
    const char *until;
} wrong_ends[] = {{0, NULL},
                  {-1, NULL},
                  {30 * DAY + 60, NULL},
                  {365 * DAY, NULL},
                  {0, "soon"},
                  {0, "2026-13-01T00:00:00Z"},
                  {0, "9999-12-31T23:59:59Z"}};

START_TEST(an_end_that_is_none_or_over_thirty_days_ahead_is_refused) {
    const char *until =
        wrong_ends[_i].until != NULL ? wrong_ends[_i].until : in(wrong_ends[_i].until_s);
    struct reply reply = ask_as("operator", device.id, appraisal, 0, until);
    check_code(&reply, 400, "invalid_field");
    reply_free(&reply);
}
END_TEST

START_TEST(a_finding_that_is_not_there_or_denies_nothing_is_refused) {
    static const int wrong[] = {1, 2, 255};
    for (size_t i = 0; i < 3; i++) {
        struct reply reply = ask_as("operator", device.id, appraisal, wrong[i], in(DAY));
        check_code(&reply, 422, "not_exceptable");
        reply_free(&reply);
    }
    struct reply reply = ask_as("operator", device.id, appraisal, -1, in(DAY));
    check_code(&reply, 400, "invalid_field");
    reply_free(&reply);
}
END_TEST

START_TEST(an_appraisal_of_nobody_or_of_another_device_is_not_found) {
    static const char none[] = "00000000000000000000000000000000";
    static const struct {
        const char *device_id, *appraisal_id;
    } wrong[] = {{none, NULL}, {NULL, none}, {"x", NULL}, {NULL, "y"}};
    for (size_t i = 0; i < 4; i++) {
        struct reply reply =
            ask_as("operator", wrong[i].device_id == NULL ? device.id : wrong[i].device_id,
                   wrong[i].appraisal_id == NULL ? appraisal : wrong[i].appraisal_id, 0, in(DAY));
        check_code(&reply, 404, "not_found");
        reply_free(&reply);
    }
}
END_TEST

START_TEST(evidence_that_does_not_verify_gets_no_exception) {
    static char body[BODY_SIZE];
    char nonce[48];
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    char *signature = strstr(body, "\"signature\":\"") + 40;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    struct reply reply = device_send(&g, &device, body);
    check_code(&reply, 422, "quote_signature_invalid");
    struct reply asked =
        ask_as("operator", device.id, reply_text(&reply, "appraisal_id"), 0, in(DAY));
    check_code(&asked, 422, "not_exceptable");
    reply_free(&asked);
    reply_free(&reply);
}
END_TEST

START_TEST(a_model_without_baseline_and_a_low_tier_get_no_exception) {
    char target[96];
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"description\":\"x\"}", 200,
                 NULL);
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/retire", baseline);
    expect_admin(&g, "approver", "POST", target, "{}", 200, NULL);
    prove(403, "untrusted"); /* no_active_baseline */
    struct reply reply = ask_as("operator", device.id, appraisal, 0, in(DAY));
    check_code(&reply, 422, "not_exceptable");
    reply_free(&reply);
}
END_TEST

START_TEST(one_finding_has_one_exception_at_a_time) {
    ask(DAY);
    struct reply reply = ask_as("operator", device.id, appraisal, 0, in(DAY));
    check_code(&reply, 409, "already_exists");
    reply_free(&reply);
    end_exception(204, NULL);
    ask(DAY);
}
END_TEST

START_TEST(a_device_has_so_many_exceptions_and_no_more) {
    char what[16];
    for (int i = 0; i < EXCEPTIONS_PER_DEVICE; i++) {
        ask(DAY);
        (void)snprintf(what, sizeof what, "loader %d", i);
        change_boot(what);
        prove(403, "untrusted");
    }
    struct reply reply = ask_as("operator", device.id, appraisal, 0, in(DAY));
    check_code(&reply, 409, "too_many_exceptions");
    reply_free(&reply);
}
END_TEST

START_TEST(exceptions_are_listed_by_device_and_state) {
    static const struct {
        const char *query;
        size_t num;
    } lists[] = {{"", 1},
                 {"?state=pending", 0},
                 {"?state=approved", 1},
                 {"?state=ended", 0},
                 {"?device_id=00000000000000000000000000000000", 0}};
    allow(DAY);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char target[128];
        (void)snprintf(target, sizeof target, "/v1/exceptions%s", lists[i].query);
        struct reply reply = admin(&g, "viewer", "GET", target, NULL);
        expect_status(reply, 200);
        ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), lists[i].num);
        reply_free(&reply);
    }
    expect_admin(&g, "viewer", "GET", "/v1/exceptions?state=expired", NULL, 400,
                 "invalid_parameter");
    expect_admin(&g, "viewer", "GET", "/v1/exceptions/00000000000000000000000000000000", NULL, 404,
                 "not_found");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("exceptions");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_approved_exception_lets_its_finding_pass_and_is_named_everywhere);
    tcase_add_test(tests, a_credential_ends_with_its_exception);
    tcase_add_test(tests, an_exception_that_is_nearly_over_admits_nobody);
    tcase_add_test(tests, a_device_that_is_mended_needs_its_exception_no_more);
    tcase_add_test(tests, a_credential_from_before_does_not_outlast_the_exception);
    tcase_add_test(tests, a_pending_exception_lets_nothing_pass);
    tcase_add_test(tests, another_value_in_the_same_pcr_does_not_slip_through);
    tcase_add_test(tests, another_device_has_nothing_of_it);
    tcase_add_test(tests, a_quarantined_device_stays_out);
    tcase_add_test(tests, a_revoked_credential_stays_revoked);
    tcase_add_test(tests, nobody_approves_an_exception_of_their_own);
    tcase_add_test(tests, roles_that_handle_no_devices_may_not_ask_or_approve);
    tcase_add_test(tests, what_was_approved_or_ended_cannot_be_approved_again);
    tcase_add_test(tests, each_step_is_in_the_audit_with_who_took_it);
    tcase_add_test(tests, ending_it_cuts_the_device_off_at_once);
    tcase_add_test(tests, ending_one_that_is_not_needed_revokes_nothing);
    tcase_add_test(tests, a_credential_is_not_given_by_an_exception_that_ended_under_way);
    tcase_add_loop_test(tests, an_end_that_is_none_or_over_thirty_days_ahead_is_refused, 0,
                        (int)(sizeof wrong_ends / sizeof wrong_ends[0]));
    tcase_add_test(tests, a_finding_that_is_not_there_or_denies_nothing_is_refused);
    tcase_add_test(tests, an_appraisal_of_nobody_or_of_another_device_is_not_found);
    tcase_add_test(tests, evidence_that_does_not_verify_gets_no_exception);
    tcase_add_test(tests, a_model_without_baseline_and_a_low_tier_get_no_exception);
    tcase_add_test(tests, one_finding_has_one_exception_at_a_time);
    tcase_add_test(tests, a_device_has_so_many_exceptions_and_no_more);
    tcase_add_test(tests, exceptions_are_listed_by_device_and_state);
    Suite *suite = suite_create("api: exceptions");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

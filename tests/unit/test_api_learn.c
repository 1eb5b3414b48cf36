/* Proposals learned from devices, and drift, over the API. */
#include "server/appraisal/appraisal.h"
#include "server/evidence/tpm2/event_types.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "acme-edge9"

enum { DEVICES = 3 };
static struct gateway g;
static struct soft_device device[DEVICES];
static char baseline[33];

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, MODEL);
    for (size_t i = 0; i < DEVICES; i++) {
        device_init(&device[i], MODEL);
    }
    gateway_add_baseline(&g, &device[0], baseline);
    for (size_t i = 0; i < DEVICES; i++) {
        device_join(&g, &device[i]);
    }
}

static void stop(void) {
    for (size_t i = 0; i < DEVICES; i++) {
        device_cleanup(&device[i]);
    }
    gateway_stop(&g);
}

static void prove(struct soft_device *d, unsigned status) {
    struct reply reply = device_prove(&g, d);
    expect_status(reply, status);
    reply_free(&reply);
}

/* One event more than in the boot before. */
static void boot_with(struct soft_device *d, unsigned pcr, const char *text) {
    device_boot(d);
    struct writer log = {.data = d->log, .len = d->log_len, .cap = sizeof d->log};
    soft_tpm_event(&d->tpm, &log, pcr, EV_IPL, bytes_of_text(text), bytes_of_text(text));
    ck_assert(!log.overflow);
    d->log_len = log.len;
}

static struct reply propose(const char *role, const char *body) {
    return admin(&g, role, "POST", "/v1/models/" MODEL "/proposals", body);
}

/* {"devices":[...]} of the first `num`. */
static const char *naming(size_t num) {
    static char body[512];
    size_t len = (size_t)snprintf(body, sizeof body, "{\"label\":\"learned\",\"devices\":[");
    for (size_t i = 0; i < num; i++) {
        len += (size_t)snprintf(body + len, sizeof body - len, "%s\"%s\"", i == 0 ? "" : ",",
                                device[i].id);
    }
    (void)snprintf(body + len, sizeof body - len, "]}");
    return body;
}

static struct reply drift_of(const struct soft_device *d) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/drift", d->id);
    return admin(&g, "viewer", "GET", target, NULL);
}

static void refuse_proposal(const char *body, unsigned status, const char *code, const char *part) {
    struct reply reply = propose("author", body);
    check_code(&reply, status, code);
    ck_assert_msg(strstr(reply.text, part) != NULL, "%s", reply.text);
    reply_free(&reply);
}

/* --- proposals --- */

START_TEST(a_proposal_is_a_draft_that_accepts_what_it_was_learned_from) {
    for (size_t i = 0; i < DEVICES; i++) {
        prove(&device[i], 201);
    }
    struct reply reply = propose("author", naming(DEVICES));
    expect_status(reply, 201);
    json_t *made = json_object_get(reply.json, "baseline");
    ck_assert_str_eq(json_string_value(json_object_get(made, "state")), "draft");
    ck_assert_str_eq(json_string_value(json_object_get(made, "created_by")), "author");
    ck_assert_str_eq(json_string_value(json_object_get(made, "label")), "learned");
    ck_assert_uint_gt(json_array_size(json_object_get(reply.json, "questions")), 0);
    ck_assert(json_is_array(json_object_get(reply.json, "warnings")));
    char *text = json_dumps(json_object_get(made, "document"), JSON_COMPACT);
    struct baseline *compiled = NULL;
    struct detail detail = {0};
    ck_assert_int_eq(baseline_compile(&compiled, bytes_of_text(text), NULL, &detail), STATUS_OK);
    ck_assert_str_eq(baseline_model(compiled), MODEL);
    baseline_free(compiled);
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s",
                   json_string_value(json_object_get(made, "id")));
    ck_assert_str_eq(reply_header(&reply, "Location"), target);
    struct reply kept = admin(&g, "viewer", "GET", target, NULL);
    expect_status(kept, 200);
    ck_assert(
        json_equal(json_object_get(kept.json, "document"), json_object_get(made, "document")));
    reply_free(&kept);
    reply_free(&reply);
    free(text);
}
END_TEST

START_TEST(a_proposal_is_in_the_audit) {
    prove(&device[0], 201);
    struct reply reply = propose("author", naming(1));
    expect_status(reply, 201);
    json_t *entry = gateway_audit(&g, "baseline.learn");
    ck_assert_ptr_nonnull(entry);
    ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), "operator:author");
    json_decref(entry);
    reply_free(&reply);
}
END_TEST

START_TEST(devices_that_are_unknown_named_twice_or_silent_are_refused) {
    char body[256];
    refuse_proposal("{\"devices\":[\"0123456789abcdef0123456789abcdef\"]}", 400, "invalid_field",
                    "there is no device 0123456789abcdef0123456789abcdef");
    refuse_proposal("{\"devices\":[\"nonsense\"]}", 400, "invalid_field", "nonsense");
    refuse_proposal(naming(1), 409, "no_facts", device[0].id);
    prove(&device[0], 201);
    (void)snprintf(body, sizeof body, "{\"devices\":[\"%s\",\"%s\"]}", device[0].id, device[0].id);
    refuse_proposal(body, 400, "invalid_field", "twice");
    refuse_proposal("{\"devices\":[]}", 400, "invalid_field", "");
    refuse_proposal("{}", 400, "missing_field", "");
    refuse_proposal("{\"devices\":[\"a\"],\"state\":\"active\"}", 400, "unknown_field", "");
}
END_TEST

START_TEST(devices_of_another_model_are_refused) {
    struct soft_device other;
    char body[128], id[33];
    gateway_add_model(&g, "other");
    device_init(&other, "other");
    gateway_add_baseline(&g, &other, id);
    device_join(&g, &other);
    prove(&other, 201);
    (void)snprintf(body, sizeof body, "{\"devices\":[\"%s\"]}", other.id);
    refuse_proposal(body, 409, "device_model_mismatch", "is of model other");
    device_cleanup(&other);
}
END_TEST

START_TEST(a_proposal_for_no_model_is_not_found) {
    prove(&device[0], 201);
    expect_admin(&g, "author", "POST", "/v1/models/nobody/proposals", naming(1), 404, "not_found");
}
END_TEST

START_TEST(only_authors_propose) {
    static const char *const roles[] = {"viewer", "operator", "approver"};
    prove(&device[0], 201);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        struct reply reply = propose(roles[i], naming(1));
        check_code(&reply, 403, "forbidden");
        reply_free(&reply);
    }
}
END_TEST

START_TEST(a_store_that_fails_makes_no_proposal) {
    prove(&device[0], 201);
    gateway_break_store(&g, true);
    struct reply reply = propose("author", naming(1));
    check_code(&reply, 503, "storage_unavailable");
    reply_free(&reply);
    gateway_break_store(&g, false);
}
END_TEST

/* --- drift --- */

START_TEST(drift_tells_what_changed_since_the_trusted_boot) {
    prove(&device[0], 201);
    boot_with(&device[0], 14, "another MOK list");
    prove(&device[0], 403);
    struct reply reply = drift_of(&device[0]);
    expect_status(reply, 200);
    json_t *changes = json_object_get(reply.json, "changes"), *change = json_array_get(changes, 0);
    ck_assert_uint_eq(json_array_size(changes), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(change, "pcr")), 14);
    ck_assert_str_eq(reply_text(&reply, "verdict"), "untrusted");
    json_t *before = json_object_get(reply.json, "before"),
           *after = json_object_get(reply.json, "after");
    ck_assert_str_eq(json_string_value(json_object_get(before, "verdict")), "trusted");
    ck_assert_str_eq(json_string_value(json_object_get(before, "baseline_id")), baseline);
    ck_assert_str_eq(json_string_value(json_object_get(before, "baseline_label")), "as it booted");
    ck_assert_str_eq(json_string_value(json_object_get(after, "verdict")), "untrusted");
    ck_assert(
        !json_equal(json_object_get(before, "boot_state"), json_object_get(after, "boot_state")));
    reply_free(&reply);
}
END_TEST

START_TEST(a_device_that_boots_as_before_has_no_drift) {
    prove(&device[0], 201);
    device_boot(&device[0]);
    prove(&device[0], 201);
    struct reply reply = drift_of(&device[0]);
    expect_status(reply, 200);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "changes")), 0);
    ck_assert(json_is_null(json_object_get(reply.json, "before")));
    reply_free(&reply);
}
END_TEST

START_TEST(drift_of_a_silent_or_unknown_device_is_refused) {
    struct reply reply = drift_of(&device[0]);
    check_code(&reply, 409, "no_facts");
    reply_free(&reply);
    expect_admin(&g, "viewer", "GET", "/v1/devices/0123456789abcdef0123456789abcdef/drift", NULL,
                 404, "not_found");
    expect_admin(&g, "viewer", "GET", "/v1/devices/x/drift", NULL, 404, "not_found");
    expect_admin(&g, "viewer", "GET", "/v1/models/nobody/drift", NULL, 404, "not_found");
}
END_TEST

START_TEST(facts_show_what_a_device_booted) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/facts", device[0].id);
    expect_admin(&g, "viewer", "GET", target, NULL, 409, "no_facts");
    prove(&device[0], 201);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    json_t *facts = json_object_get(reply.json, "facts");
    ck_assert_ptr_nonnull(json_object_get(facts, "secure_boot"));
    ck_assert_ptr_nonnull(json_object_get(facts, "pcrs"));
    ck_assert_uint_gt(json_array_size(json_object_get(facts, "images")), 0);
    reply_free(&reply);
    expect_admin(&g, "viewer", "GET", "/v1/devices/nobody/facts", NULL, 404, "not_found");
}
END_TEST

static json_t *model_drift(struct reply *reply, const char *query, size_t items) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/models/" MODEL "/drift%s", query);
    *reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(*reply, 200);
    json_t *list = json_object_get(reply->json, "items");
    ck_assert_uint_eq(json_array_size(list), items);
    return list;
}

static int64_t number(const json_t *in, const char *name) {
    return json_integer_value(json_object_get(in, name));
}

START_TEST(drift_of_a_model_groups_devices_by_change) {
    struct reply reply;
    (void)model_drift(&reply, "", 0);
    ck_assert_int_eq(number(reply.json, "devices"), 0);
    reply_free(&reply);
    for (size_t i = 0; i < DEVICES; i++) {
        prove(&device[i], 201);
        boot_with(&device[i], i == 2 ? 6 : 14, i == 2 ? "a wake event" : "another MOK list");
        prove(&device[i], 403);
    }
    json_t *items = model_drift(&reply, "", 2), *first = json_array_get(items, 0);
    ck_assert_int_eq(number(reply.json, "devices"), DEVICES);
    ck_assert_int_eq(number(reply.json, "changed"), DEVICES);
    ck_assert_int_eq(number(reply.json, "compared"), DEVICES);
    ck_assert_int_eq(number(first, "devices"), 2);
    ck_assert_int_eq(number(first, "untrusted"), 2);
    ck_assert_uint_eq(json_array_size(json_object_get(first, "examples")), 2);
    ck_assert_int_eq(number(json_object_get(first, "change"), "pcr"), 14);
    ck_assert_int_eq(number(json_array_get(items, 1), "devices"), 1);
    reply_free(&reply);
    items = model_drift(&reply, "?limit=1", 1);
    ck_assert_str_eq(reply_text(&reply, "next_cursor"), "1");
    reply_free(&reply);
    items = model_drift(&reply, "?limit=1&cursor=1", 1);
    ck_assert_int_eq(number(json_array_get(items, 0), "devices"), 1);
    ck_assert(json_is_null(json_object_get(reply.json, "next_cursor")));
    reply_free(&reply);
    (void)model_drift(&reply, "?cursor=99", 0);
    reply_free(&reply);
}
END_TEST

START_TEST(a_cursor_that_is_none_is_refused) {
    static const char *const cursors[] = {"x", "-1", "1x", "9999999999"};
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        char target[96];
        (void)snprintf(target, sizeof target, "/v1/models/" MODEL "/drift?cursor=%s", cursors[i]);
        expect_admin(&g, "viewer", "GET", target, NULL, 400, "invalid_parameter");
    }
}
END_TEST

START_TEST(a_retired_device_is_in_no_drift_of_its_model) {
    struct reply reply;
    char target[96];
    prove(&device[0], 201);
    (void)snprintf(target, sizeof target, "/v1/devices/%s/retire", device[0].id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"sold\"}", 200, NULL);
    (void)model_drift(&reply, "", 0);
    ck_assert_int_eq(number(reply.json, "devices"), 0);
    reply_free(&reply);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api_learn");
    TCase *tests = tcase_create("api_learn");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, a_proposal_is_a_draft_that_accepts_what_it_was_learned_from);
    tcase_add_test(tests, a_proposal_is_in_the_audit);
    tcase_add_test(tests, devices_that_are_unknown_named_twice_or_silent_are_refused);
    tcase_add_test(tests, devices_of_another_model_are_refused);
    tcase_add_test(tests, a_proposal_for_no_model_is_not_found);
    tcase_add_test(tests, only_authors_propose);
    tcase_add_test(tests, a_store_that_fails_makes_no_proposal);
    tcase_add_test(tests, drift_tells_what_changed_since_the_trusted_boot);
    tcase_add_test(tests, a_device_that_boots_as_before_has_no_drift);
    tcase_add_test(tests, drift_of_a_silent_or_unknown_device_is_refused);
    tcase_add_test(tests, facts_show_what_a_device_booted);
    tcase_add_test(tests, drift_of_a_model_groups_devices_by_change);
    tcase_add_test(tests, a_cursor_that_is_none_is_refused);
    tcase_add_test(tests, a_retired_device_is_in_no_drift_of_its_model);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

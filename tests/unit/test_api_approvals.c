/* Many credentials revoked at once, and what takes two people. */
/* concurrent */
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device, other; /* of the models acme-edge9 and core */
static const char *const REVOKE = "/v1/credentials/revoke";
static const char *const REVOKE_MODEL = "{\"model\":\"acme-edge9\",\"reason\":\"leaked\"}";
static const char *const REVOKE_ALL = "{\"all\":true,\"reason\":\"leaked\"}";

static void join(struct soft_device *d, const char *model) {
    char id[33];
    gateway_add_model(&g, model);
    device_init(d, model);
    gateway_add_baseline(&g, d, id);
    device_join(&g, d);
}

static void prove(struct soft_device *d) {
    struct reply reply = device_prove(&g, d);
    expect_status(reply, 201);
    reply_free(&reply);
}

static void start(void) {
    gateway_start(&g);
    join(&device, "acme-edge9");
    join(&other, "core");
    prove(&device);
    prove(&other);
}

static void start_with_two(void) {
    start();
    g.config.plane[PLANE_ADMIN].two_person = TWO_PERSON_BULK_REVOKE;
}

static void stop(void) {
    device_cleanup(&device);
    device_cleanup(&other);
    gateway_stop(&g);
}

static int64_t revoke(const char *role, const char *body) {
    struct reply reply = admin(&g, role, "POST", REVOKE, body);
    expect_status(reply, 200);
    int64_t num = json_integer_value(json_object_get(reply.json, "revoked"));
    reply_free(&reply);
    return num;
}

static void check_both(const char *of_device, const char *of_other) {
    check_decision(&g, device.id, strcmp(of_device, "trusted") == 0 ? "allow" : "deny", of_device);
    check_decision(&g, other.id, strcmp(of_other, "trusted") == 0 ? "allow" : "deny", of_other);
}

/* --- bulk revocation --- */

START_TEST(a_model_is_revoked_at_once_and_no_other) {
    check_both("trusted", "trusted");
    ck_assert_int_eq(revoke("operator", REVOKE_MODEL), 1);
    check_both("credential_revoked", "trusted");
    ck_assert_int_eq(revoke("operator", REVOKE_MODEL), 0);
    struct reply reply = admin(&g, "viewer", "GET", "/v1/credentials?valid=true", NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), 1);
    reply_free(&reply);
}
END_TEST

START_TEST(the_whole_fleet_is_revoked_at_once) {
    ck_assert_int_eq(revoke("admin", REVOKE_ALL), 2);
    check_both("credential_revoked", "credential_revoked");
}
END_TEST

START_TEST(devices_are_revoked_and_those_nobody_knows_are_named) {
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"device_ids\":[\"%s\",\"ffffffffffffffffffffffffffffffff\",\"x\"],"
                   "\"reason\":\"stolen\"}",
                   other.id);
    struct reply reply = admin(&g, "operator", "POST", REVOKE, body);
    expect_status(reply, 200);
    ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "revoked")), 1);
    const json_t *unknown = json_object_get(reply.json, "unknown_device_ids");
    ck_assert_uint_eq(json_array_size(unknown), 2);
    ck_assert_str_eq(json_string_value(json_array_get(unknown, 1)), "x");
    reply_free(&reply);
    check_both("trusted", "credential_revoked");
}
END_TEST

START_TEST(a_revoked_device_may_prove_itself_again) {
    (void)revoke("operator", REVOKE_ALL);
    prove(&device);
    check_both("trusted", "credential_revoked");
}
END_TEST

static const struct {
    const char *body, *code;
    unsigned status;
} wrong[] = {
    {"{\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"all\":true}", "missing_field", 400},
    {"{\"all\":false,\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"all\":true,\"model\":\"core\",\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"all\":true,\"device_ids\":[\"x\"],\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"device_ids\":[],\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"device_ids\":\"x\",\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"device_ids\":[1],\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"device_ids\":[\"\"],\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"model\":\"\",\"reason\":\"x\"}", "invalid_field", 400},
    {"{\"modle\":\"core\",\"reason\":\"x\"}", "unknown_field", 400},
    {"{\"model\":\"nobody\",\"reason\":\"x\"}", "not_found", 404},
};

START_TEST(a_bulk_revocation_that_is_none_revokes_nothing) {
    expect_admin(&g, "admin", "POST", REVOKE, wrong[_i].body, wrong[_i].status, wrong[_i].code);
    check_both("trusted", "trusted");
}
END_TEST

START_TEST(a_thousand_devices_may_be_named_and_no_more) {
    for (size_t num = 1000; num <= 1001; num++) {
        char *body = malloc(64 + num * 8);
        size_t len = (size_t)sprintf(body, "{\"reason\":\"x\",\"device_ids\":[");
        for (size_t i = 0; i < num; i++) {
            len += (size_t)sprintf(body + len, "%s\"x%zu\"", i == 0 ? "" : ",", i);
        }
        (void)sprintf(body + len, "]}");
        expect_admin(&g, "operator", "POST", REVOKE, body, num == 1000 ? 200 : 400, NULL);
        free(body);
    }
}
END_TEST

START_TEST(what_is_denied_at_once_stays_denied_when_the_store_is_down) {
    gateway_break_store(&g, true);
    expect_admin(&g, "operator", "POST", REVOKE, REVOKE_MODEL, 503, "storage_unavailable");
    gateway_break_store(&g, false);
    check_both("credential_revoked", "trusted");
}
END_TEST

/* --- two people --- */

static void propose(const char *role, const char *body, char id[static 33]) {
    char location[64];
    struct reply reply = admin(&g, role, "POST", REVOKE, body);
    expect_status(reply, 202);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "approval_id"));
    (void)snprintf(location, sizeof location, "/v1/approvals/%s", id);
    ck_assert_str_eq(reply_header(&reply, "Location"), location);
    ck_assert_str_eq(reply_text(&reply, "state"), "pending");
    reply_free(&reply);
}

/* What a thread that is not the test's main one asks; NULL: that one. */
static _Thread_local struct gateway *own_gateway;

static struct reply decide(const char *role, const char *id, const char *verb) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/approvals/%s/%s", id, verb);
    return admin(own_gateway != NULL ? own_gateway : &g, role, "POST", target,
                 strcmp(verb, "reject") == 0 ? "{\"reason\":\"no\"}" : NULL);
}

static void decided(const char *role, const char *id, const char *verb, unsigned status,
                    const char *code) {
    struct reply reply = decide(role, id, verb);
    check_code(&reply, status, code);
    reply_free(&reply);
}

static void check_state(const char *id, const char *state) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/approvals/%s", id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "state"), state);
    reply_free(&reply);
}

/* How many entries of the audit have this action; the last one's object goes to `object`. */
static size_t audited(const char *action, char object[static 130], const char **actor) {
    static char last_actor[96];
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    const json_t *items = json_object_get(reply.json, "items");
    size_t num = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *entry = json_array_get(items, i);
        if (strcmp(json_string_value(json_object_get(entry, "action")), action) == 0) {
            num++;
            (void)snprintf(object, 130, "%s", json_string_value(json_object_get(entry, "object")));
            (void)snprintf(last_actor, sizeof last_actor, "%s",
                           json_string_value(json_object_get(entry, "actor")));
        }
    }
    reply_free(&reply);
    *actor = last_actor;
    return num;
}

START_TEST(a_proposal_changes_nothing_until_another_approves_it) {
    char id[33], object[130];
    const char *actor;
    propose("operator", REVOKE_MODEL, id);
    check_both("trusted", "trusted");
    check_state(id, "pending");
    struct reply reply = decide("admin", id, "approve");
    expect_status(reply, 200);
    ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "revoked")), 1);
    reply_free(&reply);
    check_both("credential_revoked", "trusted");
    check_state(id, "approved");
    ck_assert_uint_eq(audited("approval.propose", object, &actor), 1);
    ck_assert_str_eq(actor, "operator:operator");
    ck_assert_uint_eq(audited("approval.approve", object, &actor), 1);
    ck_assert_str_eq(actor, "operator:admin");
    ck_assert_str_eq(object + strlen("approval:"), id);
    ck_assert_uint_eq(audited("credential.revoke_bulk", object, &actor), 1);
    ck_assert_str_eq(actor, "operator:admin");
}
END_TEST

START_TEST(a_proposal_shows_what_was_asked_and_by_whom) {
    char id[33], target[96];
    propose("operator", REVOKE_MODEL, id);
    (void)snprintf(target, sizeof target, "/v1/approvals/%s", id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(reply_text(&reply, "rule"), "bulk_revoke");
    ck_assert_str_eq(reply_text(&reply, "method"), "POST");
    ck_assert_str_eq(reply_text(&reply, "path"), REVOKE);
    ck_assert_str_eq(reply_text(&reply, "proposed_by"), "operator");
    const json_t *body = json_object_get(reply.json, "body");
    ck_assert_str_eq(json_string_value(json_object_get(body, "model")), "acme-edge9");
    reply_free(&reply);
}
END_TEST

START_TEST(nobody_approves_a_proposal_of_their_own) {
    char id[33];
    propose("admin", REVOKE_ALL, id);
    decided("admin", id, "approve", 403, "own_proposal");
    check_both("trusted", "trusted");
    check_state(id, "pending");
}
END_TEST

START_TEST(who_might_not_have_asked_for_it_decides_nothing) {
    static const char *const roles[] = {"viewer", "author", "approver"};
    char id[33];
    propose("operator", REVOKE_ALL, id);
    for (size_t i = 0; i < 3; i++) {
        decided(roles[i], id, "approve", 403, "forbidden");
        decided(roles[i], id, "reject", 403, "forbidden");
    }
    check_both("trusted", "trusted");
    check_state(id, "pending");
}
END_TEST

START_TEST(a_proposal_is_decided_once) {
    char id[33];
    propose("operator", REVOKE_MODEL, id);
    decided("admin", id, "approve", 200, NULL);
    prove(&device);
    decided("admin", id, "approve", 409, "already_decided");
    decided("admin", id, "reject", 409, "already_decided");
    check_both("trusted", "trusted");
}
END_TEST

START_TEST(a_rejected_proposal_is_not_carried_out) {
    char id[33], object[130];
    const char *actor;
    propose("operator", REVOKE_MODEL, id);
    decided("admin", id, "reject", 200, NULL);
    decided("admin", id, "approve", 409, "already_decided");
    check_both("trusted", "trusted");
    check_state(id, "rejected");
    ck_assert_uint_eq(audited("approval.reject", object, &actor), 1);
    ck_assert_str_eq(actor, "operator:admin");
}
END_TEST

START_TEST(a_proposal_may_be_withdrawn) {
    char id[33];
    propose("operator", REVOKE_MODEL, id);
    decided("operator", id, "reject", 200, NULL);
    decided("admin", id, "approve", 409, "already_decided");
    check_both("trusted", "trusted");
}
END_TEST

START_TEST(a_proposal_falls_with_its_proposer) {
    static const struct {
        const char *method, *body;
    } ends[] = {{"DELETE", NULL},
                {"PUT", "{\"role\":\"operator\",\"disabled\":true}"},
                {"PUT", "{\"role\":\"viewer\"}"}};
    char id[33];
    propose("operator", REVOKE_MODEL, id);
    expect_admin(&g, "admin", ends[_i].method, "/v1/operators/operator", ends[_i].body,
                 ends[_i].body == NULL ? 204 : 200, NULL);
    decided("admin", id, "approve", 409, "proposer_gone");
    check_both("trusted", "trusted");
    check_state(id, "pending");
}
END_TEST

static void expire_all(void) {
    char path[128];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/gatehouse.db", g.folder);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_busy_timeout(db, 5000), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "UPDATE approval SET expires = created", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(a_proposal_that_has_expired_is_not_carried_out) {
    char id[33];
    propose("operator", REVOKE_MODEL, id);
    expire_all();
    decided("admin", id, "approve", 409, "already_decided");
    decided("admin", id, "reject", 409, "already_decided");
    check_both("trusted", "trusted");
    check_state(id, "expired");
}
END_TEST

START_TEST(what_is_no_request_is_not_proposed) {
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (wrong[i].status == 400) {
            expect_admin(&g, "admin", "POST", REVOKE, wrong[i].body, 400, wrong[i].code);
        }
    }
    expect_admin(&g, "viewer", "POST", REVOKE, REVOKE_ALL, 403, "forbidden");
    struct reply reply = admin(&g, "viewer", "GET", "/v1/approvals", NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), 0);
    reply_free(&reply);
}
END_TEST

START_TEST(a_proposal_for_one_version_is_refused) {
    struct caller caller = caller_operator("operator");
    expect(&g,
           &(struct call){.plane = PLANE_ADMIN,
                          .caller = &caller,
                          .method = "POST",
                          .target = REVOKE,
                          .body = REVOKE_ALL,
                          .if_match = "\"1\""},
           412, "version_mismatch");
}
END_TEST

START_TEST(a_proposal_that_fails_when_it_is_carried_out_stays_open) {
    char id[33];
    propose("operator", "{\"model\":\"nobody\",\"reason\":\"x\"}", id);
    decided("admin", id, "approve", 404, "not_found");
    check_state(id, "pending");
}
END_TEST

START_TEST(proposals_are_listed_by_state) {
    static const struct {
        const char *target;
        size_t num;
    } lists[] = {{"/v1/approvals", 3},
                 {"/v1/approvals?state=pending", 1},
                 {"/v1/approvals?state=approved", 1},
                 {"/v1/approvals?state=rejected", 1},
                 {"/v1/approvals?limit=2", 2}};
    char id[3][33];
    for (size_t i = 0; i < 3; i++) {
        propose("operator", REVOKE_MODEL, id[i]);
    }
    decided("admin", id[0], "approve", 200, NULL);
    decided("admin", id[1], "reject", 200, NULL);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct reply reply = admin(&g, "viewer", "GET", lists[i].target, NULL);
        expect_status(reply, 200);
        ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), lists[i].num);
        reply_free(&reply);
    }
    expect_admin(&g, "viewer", "GET", "/v1/approvals?state=expired", NULL, 400,
                 "invalid_parameter");
    expect_admin(&g, "viewer", "GET", "/v1/approvals/ffffffffffffffffffffffffffffffff", NULL, 404,
                 "not_found");
}
END_TEST

static const struct {
    unsigned rule;
    const char *method, *target, *body;
    unsigned status; /* when it is carried out */
} others[] = {
    {TWO_PERSON_TRUST_BUNDLE, "DELETE",
     "/v1/models/core/ek-trust/0000000000000000000000000000000000000000000000000000000000000001",
     NULL, 404},
    {TWO_PERSON_TRUST_BUNDLE, "DELETE",
     "/v1/models/core/idevid-trust/"
     "0000000000000000000000000000000000000000000000000000000000000001",
     NULL, 404},
    {TWO_PERSON_AUDIT_PRUNE, "POST", "/v1/audit/prune", "{\"through_seq\":1}", 409},
};

START_TEST(what_else_may_take_two_people_does_where_it_is_configured) {
    char id[33];
    expect_admin(&g, "admin", others[_i].method, others[_i].target, others[_i].body,
                 others[_i].status, NULL); /* another rule is on */
    g.config.plane[PLANE_ADMIN].two_person = others[_i].rule;
    struct reply reply = admin(&g, "admin", others[_i].method, others[_i].target, others[_i].body);
    expect_status(reply, 202);
    (void)snprintf(id, sizeof id, "%s", reply_text(&reply, "approval_id"));
    reply_free(&reply);
    decided("admin", id, "approve", 403, "own_proposal");
    decided("operator", id, "approve", 403, "forbidden");
    expect_admin(&g, "admin", "PUT", "/v1/operators/viewer", "{\"role\":\"admin\"}", 200, NULL);
    decided("viewer", id, "approve", others[_i].status, NULL);
}
END_TEST

struct approver {
    const char *seed, *id, *verb;
    pthread_barrier_t *barrier;
    unsigned status;
};

static void decide_at_once(struct approver *approver) {
    (void)pthread_barrier_wait(approver->barrier);
    struct reply reply = decide(approver->seed, approver->id, approver->verb);
    approver->status = reply.status;
    reply_free(&reply);
}

/* As another worker, which has a reader of the store of its own. */
static void *second_worker(void *context) {
    struct gateway *mine = gateway_worker(&g);
    own_gateway = mine;
    decide_at_once(context);
    gateway_worker_end(mine);
    return NULL;
}

START_TEST(of_two_decisions_at_once_one_counts) {
    char id[33], object[130];
    const char *actor;
    for (size_t round = 0; round < 10; round++) {
        pthread_barrier_t barrier;
        pthread_t thread;
        propose("operator", REVOKE_MODEL, id);
        ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
        struct approver one = {"admin", id, "approve", &barrier, 0};
        struct approver two = {"admin", id, round % 2 == 0 ? "approve" : "reject", &barrier, 0};
        ck_assert_int_eq(pthread_create(&thread, NULL, second_worker, &two), 0);
        decide_at_once(&one);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        (void)pthread_barrier_destroy(&barrier);
        ck_assert_msg((one.status == 200) != (two.status == 200), "%u and %u", one.status,
                      two.status);
        ck_assert(one.status == 409 || two.status == 409);
    }
    size_t approved = audited("approval.approve", object, &actor);
    ck_assert_uint_eq(audited("credential.revoke_bulk", object, &actor), approved);
    ck_assert_uint_eq(approved + audited("approval.reject", object, &actor), 10);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("approvals");
    TCase *t = tcase_create("bulk revocation");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_model_is_revoked_at_once_and_no_other);
    tcase_add_test(t, the_whole_fleet_is_revoked_at_once);
    tcase_add_test(t, devices_are_revoked_and_those_nobody_knows_are_named);
    tcase_add_test(t, a_revoked_device_may_prove_itself_again);
    tcase_add_loop_test(t, a_bulk_revocation_that_is_none_revokes_nothing, 0,
                        sizeof wrong / sizeof wrong[0]);
    tcase_add_test(t, a_thousand_devices_may_be_named_and_no_more);
    tcase_add_test(t, what_is_denied_at_once_stays_denied_when_the_store_is_down);
    suite_add_tcase(suite, t);
    t = tcase_create("two people");
    tcase_add_checked_fixture(t, start_with_two, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_proposal_changes_nothing_until_another_approves_it);
    tcase_add_test(t, a_proposal_shows_what_was_asked_and_by_whom);
    tcase_add_test(t, nobody_approves_a_proposal_of_their_own);
    tcase_add_test(t, who_might_not_have_asked_for_it_decides_nothing);
    tcase_add_test(t, a_proposal_is_decided_once);
    tcase_add_test(t, a_rejected_proposal_is_not_carried_out);
    tcase_add_test(t, a_proposal_may_be_withdrawn);
    tcase_add_loop_test(t, a_proposal_falls_with_its_proposer, 0, 3);
    tcase_add_test(t, a_proposal_that_has_expired_is_not_carried_out);
    tcase_add_test(t, what_is_no_request_is_not_proposed);
    tcase_add_test(t, a_proposal_for_one_version_is_refused);
    tcase_add_test(t, a_proposal_that_fails_when_it_is_carried_out_stays_open);
    tcase_add_test(t, proposals_are_listed_by_state);
    tcase_add_loop_test(t, what_else_may_take_two_people_does_where_it_is_configured, 0,
                        sizeof others / sizeof others[0]);
    tcase_add_test(t, of_two_decisions_at_once_one_counts);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

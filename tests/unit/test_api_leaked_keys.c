/* /v1/leaked-keys: who may change the list, what is taken, and that it is in force at once. */
/* concurrent */
#include "server/fleet/policy.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS        "/v1/leaked-keys"
#define ONE         "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO         "2222222222222222222222222222222222222222222222222222222222222222"
#define ADD(sha256) "{\"sha256\":\"" sha256 "\",\"subject\":\"CN=x\",\"source\":\"a bulletin\"}"

static struct gateway g;

static void start(void) {
    gateway_start(&g);
}

static void stop(void) {
    gateway_stop(&g);
}

static bool is_leaked(uint8_t fill) {
    uint8_t sha256[32];
    memset(sha256, fill, sizeof sha256);
    const struct leaked_keys *more = policy_leaked_keys(policy_read_begin(g.policy));
    bool found = leaked_key_find(more, sha256, (struct bytes){0}) != NULL;
    policy_read_end(g.policy);
    return found;
}

START_TEST(leaked_key_is_in_force_once_it_was_added_and_until_it_is_removed) {
    ck_assert(!is_leaked(0x11));
    expect_admin(&g, "admin", "POST", KEYS, ADD(ONE), 201, NULL);
    ck_assert(is_leaked(0x11));
    ck_assert(!is_leaked(0x22));
    expect_admin(&g, "admin", "DELETE", KEYS "/" ONE, NULL, 204, NULL);
    ck_assert(!is_leaked(0x11));
}
END_TEST

START_TEST(leaked_keys_are_listed_by_origin_and_page) {
    expect_admin(&g, "admin", "POST", KEYS, ADD(TWO), 201, NULL);
    expect_admin(&g, "admin", "POST", KEYS, ADD(ONE), 201, NULL);
    struct reply reply = admin(&g, "viewer", "GET", KEYS "?limit=1", NULL);
    expect_status(reply, 200);
    const json_t *items = json_object_get(reply.json, "items");
    ck_assert_uint_eq(json_array_size(items), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(items, 0), "sha256")), ONE);
    char next[160];
    (void)snprintf(next, sizeof next, KEYS "?cursor=%s", reply_text(&reply, "next_cursor"));
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", next, NULL);
    expect_status(reply, 200);
    items = json_object_get(reply.json, "items");
    ck_assert_uint_eq(json_array_size(items), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(items, 0), "sha256")), TWO);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(items, 0), "added_by")),
                     "admin");
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", KEYS "?origin=compiled_in", NULL);
    expect_status(reply, 200);
    size_t num;
    (void)leaked_keys_compiled_in(&num);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), num);
    reply_free(&reply);
}
END_TEST

START_TEST(leaked_key_that_is_there_is_not_added_twice) {
    expect_admin(&g, "admin", "POST", KEYS, ADD(ONE), 201, NULL);
    expect_admin(&g, "admin", "POST", KEYS, ADD(ONE), 409, "already_exists");
}
END_TEST

START_TEST(leaked_key_that_is_not_there_is_not_removed) {
    expect_admin(&g, "admin", "DELETE", KEYS "/" ONE, NULL, 404, "not_found");
    expect_admin(&g, "admin", "DELETE", KEYS "/11", NULL, 404, "not_found");
    size_t num;
    (void)leaked_keys_compiled_in(&num);
    expect_admin(&g, "admin", "DELETE",
                 KEYS "/01adaf2c334e76a6479516daf618381898323d8f5e7a57bed12bad7ab229209d", NULL,
                 404, "not_found");
}
END_TEST

START_TEST(leaked_key_bodies_that_are_refused) {
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"{\"source\":\"x\"}", "missing_field"},
        {"{\"sha256\":\"" ONE "\"}", "missing_field"},
        {"{\"sha256\":\"11\",\"source\":\"x\"}", "invalid_field"},
        {"{\"sha256\":\"" ONE "\",\"source\":\"\"}", "invalid_field"},
        {"{\"sha256\":\"" ONE "\",\"source\":\"x\",\"subject\":\"\"}", "invalid_field"},
        {"{\"sha256\":\"" ONE "\",\"source\":\"x\",\"sha1\":\"11\"}", "unknown_field"},
        {"{\"sha256\":\"" ONE "\",\"source\":\"x\",\"enforce\":\"soon\"}", "invalid_field"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_admin(&g, "admin", "POST", KEYS, cases[i].body, 400, cases[i].code);
    }
    expect_admin(&g, "viewer", "GET", KEYS "?origin=elsewhere", NULL, 400, "invalid_field");
    ck_assert(!is_leaked(0x11));
}
END_TEST

START_TEST(leaked_keys_are_changed_by_admins_only) {
    static const char *const others[] = {"viewer", "operator", "author", "approver"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        expect_admin(&g, others[i], "POST", KEYS, ADD(ONE), 403, "forbidden");
        expect_admin(&g, others[i], "DELETE", KEYS "/" ONE, NULL, 403, "forbidden");
    }
    ck_assert(!is_leaked(0x11));
}
END_TEST

START_TEST(leaked_key_is_not_removed_by_one_person_where_two_are_asked_for) {
    expect_admin(&g, "admin", "POST", KEYS, ADD(ONE), 201, NULL);
    g.config.plane[PLANE_ADMIN].two_person |= TWO_PERSON_TRUST_BUNDLE;
    expect_admin(&g, "admin", "DELETE", KEYS "/" ONE, NULL, 202, NULL);
    ck_assert(is_leaked(0x11));
}
END_TEST

static void expect_jobs(const char *const *enforce, size_t num) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/reappraisals", NULL);
    expect_status(reply, 200);
    const json_t *items = json_object_get(reply.json, "items");
    ck_assert_uint_eq(json_array_size(items), num);
    for (size_t i = 0; i < num; i++) { /* newest first */
        const json_t *job = json_array_get(items, num - 1 - i);
        ck_assert_str_eq(json_string_value(json_object_get(job, "cause")), "leaked_key");
        ck_assert_str_eq(json_string_value(json_object_get(job, "enforce")), enforce[i]);
    }
    reply_free(&reply);
}

START_TEST(the_fleet_is_judged_again_when_the_list_changes_and_only_then) {
    static const char *const enforce[] = {"now", "lease", "lease"};
    expect_jobs(enforce, 0);
    expect_admin(&g, "admin", "POST", KEYS, ADD(ONE), 201, NULL);
    expect_jobs(enforce, 1);
    expect_admin(&g, "admin", "POST", KEYS, ADD(ONE), 409, "already_exists");
    expect_jobs(enforce, 1);
    expect_admin(&g, "admin", "POST", KEYS,
                 "{\"sha256\":\"" TWO "\",\"source\":\"x\",\"enforce\":\"lease\"}", 201, NULL);
    expect_jobs(enforce, 2);
    expect_admin(&g, "admin", "DELETE", KEYS "/" ONE, NULL, 204, NULL);
    expect_jobs(enforce, 3);
}
END_TEST

START_TEST(leaked_key_that_could_not_be_stored_is_not_in_force) {
    gateway_break_store(&g, true);
    expect_admin(&g, "admin", "POST", KEYS, ADD(ONE), 503, NULL);
    gateway_break_store(&g, false);
    ck_assert(!is_leaked(0x11));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api leaked keys");
    TCase *tests = tcase_create("leaked keys");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, leaked_key_is_in_force_once_it_was_added_and_until_it_is_removed);
    tcase_add_test(tests, leaked_keys_are_listed_by_origin_and_page);
    tcase_add_test(tests, leaked_key_that_is_there_is_not_added_twice);
    tcase_add_test(tests, leaked_key_that_is_not_there_is_not_removed);
    tcase_add_test(tests, leaked_key_bodies_that_are_refused);
    tcase_add_test(tests, leaked_keys_are_changed_by_admins_only);
    tcase_add_test(tests, leaked_key_is_not_removed_by_one_person_where_two_are_asked_for);
    tcase_add_test(tests, the_fleet_is_judged_again_when_the_list_changes_and_only_then);
    tcase_add_test(tests, leaked_key_that_could_not_be_stored_is_not_in_force);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

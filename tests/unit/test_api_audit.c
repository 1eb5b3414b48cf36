/* The audit log over HTTP: what it can be asked, the lines of the chain, checkpoints and pruning. */
/* concurrent */
#include "server/crypto/x509.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/audit_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct gateway g;

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
}

static void stop(void) {
    gateway_stop(&g);
}

/* Entries: two each. */
static void add_proxies(int first, int num) {
    for (int i = first; i < first + num; i++) {
        char body[256], target[64], sha256[65];
        (void)snprintf(sha256, sizeof sha256, "%064d", i);
        (void)snprintf(body, sizeof body,
                       "{\"name\":\"edge-%d\",\"dialect\":\"none\",\"certificate_sha256\":\"%s\"}",
                       i, sha256);
        (void)snprintf(target, sizeof target, "/v1/proxies/edge-%d", i);
        expect_admin(&g, "admin", "POST", "/v1/proxies", body, 201, NULL);
        expect_admin(&g, "admin", "DELETE", target, NULL, 204, NULL);
    }
}

static json_t *ask(const char *target) {
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    json_t *json = json_incref(reply.json);
    reply_free(&reply);
    return json;
}

static size_t count(const char *target) {
    json_t *json = ask(target);
    size_t num = json_array_size(json_object_get(json, "items"));
    json_decref(json);
    return num;
}

static int64_t seq_of(const json_t *page, size_t i) {
    return json_integer_value(
        json_object_get(json_array_get(json_object_get(page, "items"), i), "seq"));
}

static int64_t newest_checkpoint(int64_t at_least) {
    for (;;) {
        json_t *page = ask("/v1/audit/checkpoints?limit=1000");
        size_t num = json_array_size(json_object_get(page, "items"));
        int64_t seq = num == 0 ? 0 : seq_of(page, num - 1);
        json_decref(page);
        if (seq >= at_least) {
            return seq;
        }
        (void)usleep(2000);
    }
}

/* --- lines --- */

/* All pages of `limit` lines after `after`, one after another. */
static char *export(int limit, long after, size_t *len) {
    char *all = NULL;
    *len = 0;
    for (long next = after;; after = next) {
        char target[96];
        (void)snprintf(target, sizeof target, "/v1/audit?format=ndjson&limit=%d&after=%ld", limit,
                       after);
        struct reply reply = admin(&g, "viewer", "GET", target, NULL);
        expect_status(reply, 200);
        ck_assert_str_eq(reply.content_type, "application/x-ndjson");
        next = strtol(reply_header(&reply, "X-Next-After"), NULL, 10);
        all = realloc(all, *len + reply.len + 1);
        ck_assert_ptr_nonnull(all);
        memcpy(all + *len, reply.text, reply.len);
        *len += reply.len;
        reply_free(&reply);
        if (next == after) {
            return all;
        }
    }
}

static void verify_export(struct audit_verifier *v, int limit) {
    struct certificate certificate;
    struct audit_authority authority;
    size_t len;
    ck_assert_int_eq(
        certificate_parse(&certificate, signer_authority(g.signer, PROFILE_IDENTITY), NULL),
        STATUS_OK);
    memcpy(authority.sha256, certificate.sha256, 32);
    authority.key = certificate.key;
    const struct audit_expectation expected = {.authority = &authority, .num_authorities = 1};
    char *text = export(limit, 0, &len);
    ck_assert_msg(audit_fixture_verify(v, &expected, bytes_of(text, len)) == STATUS_OK, "%s: %s",
                  audit_fault_name(v->fault), v->fault_detail.text);
    free(text);
}

START_TEST(pages_of_lines_put_together_are_one_whole_export) {
    static const int limits[] = {1, 3, 7, 10000};
    struct audit_verifier v;
    add_proxies(1, 12);
    int64_t checkpoint = newest_checkpoint(CHECKPOINT_ENTRIES);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        verify_export(&v, limits[i]);
        ck_assert_int_eq(v.summary.beginning, AUDIT_FROM_FIRST);
        ck_assert_int_eq(v.summary.entries, (int64_t)count("/v1/audit?limit=1000"));
        ck_assert_int_eq(v.summary.last_checkpoint_seq, checkpoint);
    }
}
END_TEST

START_TEST(lines_are_asked_for_by_accept_too) {
    struct caller caller = caller_operator("viewer");
    struct reply reply = call(&g, &(struct call){.plane = PLANE_ADMIN,
                                                 .caller = &caller,
                                                 .method = "GET",
                                                 .target = "/v1/audit",
                                                 .accept = "application/x-ndjson"});
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "application/x-ndjson");
    ck_assert_int_eq(strncmp(reply.text, "{\"seq\":1,", 9), 0);
    reply_free(&reply);
}
END_TEST

START_TEST(lines_after_the_last_are_none) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?format=ndjson&after=999", NULL);
    expect_status(reply, 200);
    ck_assert_uint_eq(reply.len, 0);
    ck_assert_str_eq(reply_header(&reply, "X-Next-After"), "999");
    reply_free(&reply);
}
END_TEST

/* --- filters --- */

/* Entry 1 is the model's; then edge-1 and edge-2 are made and removed. */
static const struct {
    const char *query;
    size_t num;
    int64_t first; /* 0: none */
} filters[] = {
    {"limit=100", 5, 1},
    {"action=proxy.create", 2, 2},
    {"action=proxy.", 4, 2},
    {"action=proxy", 0, 0},
    {"action=model.", 1, 1},
    {"actor=operator:admin", 4, 2},
    {"actor=operator:adm", 0, 0},
    {"object=proxy:edge-2", 2, 4},
    {"object=proxy:edge-2&action=proxy.delete", 1, 5},
    {"object=proxy:edge-", 0, 0},
    {"object=proxy:edge-2&after=4", 1, 5},
    {"order=desc", 5, 5},
    {"order=desc&limit=2", 2, 5},
    {"order=desc&after=4", 3, 3},
    {"order=asc&after=4", 1, 5},
    {"order=desc&object=proxy:edge-1", 2, 3},
    {"order=desc&object=proxy:edge-1&after=3", 1, 2},
    {"order=desc&action=proxy.create", 2, 4},
    {"since=2020-01-01T00:00:00Z", 5, 1},
    {"since=2020-01-01T00:00:00Z&order=desc", 5, 5},
    {"since=2020-01-01T00:00:00Z&after=3", 2, 4},
    {"since=2020-01-01T00:00:00Z&order=desc&after=3", 2, 2},
    {"since=2020-01-01T00:00:00Z&until=2999-01-01T00:00:00Z&action=proxy.", 4, 2},
    {"since=2999-01-01T00:00:00Z", 0, 0},
    {"until=2020-01-01T00:00:00Z", 0, 0},
    {"until=2020-01-01T00:00:00Z&order=desc", 0, 0},
    {"until=2999-01-01T00:00:00Z&order=desc&limit=1", 1, 5},
    {"object=proxy:edge-1&until=2020-01-01T00:00:00Z", 0, 0},
    {"actor=%27%20OR%201=1%20--", 0, 0},
};

START_TEST(a_filter_lets_through_what_it_says_in_its_order) {
    add_proxies(1, 2);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        char target[160];
        (void)snprintf(target, sizeof target, "/v1/audit?%s", filters[i].query);
        json_t *page = ask(target);
        size_t num = json_array_size(json_object_get(page, "items"));
        ck_assert_msg(num == filters[i].num, "%s: %zu", target, num);
        ck_assert_msg(num == 0 || seq_of(page, 0) == filters[i].first, "%s", target);
        json_decref(page);
    }
}
END_TEST

/* Page by page, one entry each: every one once, in order. */
START_TEST(a_filtered_list_goes_on_where_it_ended) {
    static const char *const queries[] = {
        "order=asc",
        "order=desc",
        "since=2020-01-01T00:00:00Z",
        "until=2999-01-01T00:00:00Z&order=desc",
        "action=proxy.create",
        "action=proxy.delete&order=desc",
        "since=2020-01-01T00:00:00Z&action=proxy.create",
    };
    add_proxies(1, 4);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        char target[160];
        (void)snprintf(target, sizeof target, "/v1/audit?%s", queries[i]);
        json_t *all = ask(target);
        size_t num = json_array_size(json_object_get(all, "items"));
        ck_assert_uint_gt(num, 3);
        ck_assert(json_is_null(json_object_get(all, "next_cursor")));
        char after[32] = "0";
        for (size_t at = 0; at < num; at++) {
            (void)snprintf(target, sizeof target, "/v1/audit?%s&limit=1&after=%s", queries[i],
                           after);
            json_t *page = ask(target);
            ck_assert_msg(seq_of(page, 0) == seq_of(all, at), "%s", target);
            (void)snprintf(after, sizeof after, "%lld", (long long)seq_of(page, 0));
            json_decref(page);
        }
        (void)snprintf(target, sizeof target, "/v1/audit?%s&limit=1&after=%s", queries[i], after);
        ck_assert_uint_eq(count(target), 0);
        json_decref(all);
    }
}
END_TEST

static const char *const wrong[] = {
    "order=up",
    "format=xml",
    "since=yesterday",
    "since=2026-02-30T00:00:00Z",
    "until=0",
    "limit=1001",
    "limit=0",
    "since=1969-01-01T00:00:00Z",
    "format=ndjson&limit=10001",
    "format=ndjson&actor=system",
    "format=ndjson&order=asc",
    "format=ndjson&since=2026-01-01T00:00:00Z",
};

START_TEST(a_question_that_makes_no_sense_is_refused) {
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char target[160];
        (void)snprintf(target, sizeof target, "/v1/audit?%s", wrong[i]);
        expect_admin(&g, "viewer", "GET", target, NULL, 400, "invalid_parameter");
    }
    expect_admin(&g, "viewer", "GET", "/v1/audit?who=me", NULL, 400, "unknown_parameter");
    expect_admin(&g, "viewer", "GET", "/v1/audit/checkpoints?order=desc", NULL, 400,
                 "unknown_parameter");
}
END_TEST

/* --- pruning --- */

static void prune(const char *role, int64_t seq, unsigned status, const char *code) {
    char body[64];
    (void)snprintf(body, sizeof body, "{\"through_seq\":%lld}", (long long)seq);
    expect_admin(&g, role, "POST", "/v1/audit/prune", body, status, code);
}

START_TEST(a_pruned_log_begins_after_its_checkpoint_and_says_who_did_it) {
    struct audit_verifier v;
    add_proxies(1, 12);
    int64_t seq = newest_checkpoint(CHECKPOINT_ENTRIES);
    prune("admin", seq, 200, NULL);
    verify_export(&v, 2);
    ck_assert_int_eq(v.summary.beginning, AUDIT_FROM_CHECKPOINT);
    ck_assert_int_eq(v.summary.first_seq, seq + 1);
    json_t *page = ask("/v1/audit?action=audit.prune");
    const json_t *entry = json_array_get(json_object_get(page, "items"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), "operator:admin");
    const json_t *after = json_object_get(entry, "after");
    ck_assert_int_eq(json_integer_value(json_object_get(after, "through_seq")), seq);
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(after, "hash"))), 64);
    json_decref(page);
    page = ask("/v1/audit?limit=1");
    ck_assert_int_eq(seq_of(page, 0), seq + 1);
    json_decref(page);
    page = ask("/v1/audit?order=desc&limit=1000");
    size_t num = json_array_size(json_object_get(page, "items"));
    ck_assert_int_eq(seq_of(page, num - 1), seq + 1);
    json_decref(page);
    ck_assert_uint_eq(count("/v1/audit?object=model:acme-edge9"), 0);
    prune("admin", seq, 409, "already_pruned");
    prune("admin", 1, 409, "already_pruned");
}
END_TEST

START_TEST(a_log_is_pruned_by_an_admin_up_to_a_checkpoint_only) {
    add_proxies(1, 12);
    int64_t seq = newest_checkpoint(CHECKPOINT_ENTRIES);
    prune("admin", seq - 1, 409, "not_a_checkpoint");
    prune("admin", seq + 1, 409, "not_a_checkpoint");
    prune("admin", INT64_MAX, 409, "not_a_checkpoint");
    prune("admin", 0, 400, "invalid_field");
    prune("admin", -1, 400, "invalid_field");
    prune("operator", seq, 403, "forbidden");
    prune("approver", seq, 403, "forbidden");
    expect_admin(&g, "admin", "POST", "/v1/audit/prune", "{}", 400, "missing_field");
    expect_admin(&g, "admin", "POST", "/v1/audit/prune", "{\"through_seq\":20,\"force\":true}", 400,
                 "unknown_field");
    json_t *page = ask("/v1/audit?limit=1"); /* refusals add to its end, at their own time */
    ck_assert_int_eq(seq_of(page, 0), 1);
    json_decref(page);
}
END_TEST

START_TEST(a_store_that_fails_prunes_nothing) {
    add_proxies(1, 12);
    int64_t seq = newest_checkpoint(CHECKPOINT_ENTRIES);
    gateway_break_store(&g, true);
    prune("admin", seq, 503, "storage_unavailable");
    gateway_break_store(&g, false);
    struct audit_verifier v;
    verify_export(&v, 100);
    ck_assert_int_eq(v.summary.beginning, AUDIT_FROM_FIRST);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("api_audit");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, pages_of_lines_put_together_are_one_whole_export);
    tcase_add_test(tests, lines_are_asked_for_by_accept_too);
    tcase_add_test(tests, lines_after_the_last_are_none);
    tcase_add_test(tests, a_filter_lets_through_what_it_says_in_its_order);
    tcase_add_test(tests, a_filtered_list_goes_on_where_it_ended);
    tcase_add_test(tests, a_question_that_makes_no_sense_is_refused);
    tcase_add_test(tests, a_pruned_log_begins_after_its_checkpoint_and_says_who_did_it);
    tcase_add_test(tests, a_log_is_pruned_by_an_admin_up_to_a_checkpoint_only);
    tcase_add_test(tests, a_store_that_fails_prunes_nothing);
    Suite *suite = suite_create("api_audit");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Administration: what may be changed, by whom, and what it leaves behind. */
/* concurrent */
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

static struct reply with_match(const char *role, const char *method, const char *target,
                               const char *body, const char *if_match) {
    struct caller caller = caller_operator(role);
    return call(&g, &(struct call){.plane = PLANE_ADMIN,
                                   .caller = &caller,
                                   .method = method,
                                   .target = target,
                                   .body = body,
                                   .if_match = if_match});
}

static void draft(const char *role, char id[static 33]) {
    struct reply reply = admin(&g, role, "POST", "/v1/models/acme-edge9/baselines", document);
    expect_status(reply, 201);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
}

static void step(const char *role, const char *id, const char *name, unsigned status,
                 const char *code) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/%s", id, name);
    expect_admin(&g, role, "POST", target, "{}", status, code);
}

/* The newest entry of the audit. */
static json_t *last_audit(void) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    expect_status(reply, 200);
    const json_t *items = json_object_get(reply.json, "items");
    json_t *last = json_incref(json_array_get(items, json_array_size(items) - 1));
    reply_free(&reply);
    return last;
}

static size_t audit_size(void) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    size_t size = json_array_size(json_object_get(reply.json, "items"));
    reply_free(&reply);
    return size;
}

static const char *member(const json_t *object, const char *name) {
    const char *value = json_string_value(json_object_get(object, name));
    return value == NULL ? "" : value;
}

/* --- models --- */

START_TEST(a_model_has_strict_defaults) {
    struct reply reply = admin(&g, "author", "POST", "/v1/models", "{\"name\":\"plain\"}");
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "pcr_selection"), "sha256:0,1,2,3,4,5,6,7,8,9,14");
    ck_assert_str_eq(reply_text(&reply, "enrolment"), "open");
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "any");
    ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "credential_lifetime_s")),
                     3600);
    ck_assert_str_eq(reply_header(&reply, "Location"), "/v1/models/plain");
    ck_assert_str_eq(reply_header(&reply, "ETag"), "\"1\"");
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *body, *code;
} wrong_models[] = {
    {"{}", "missing_field"},
    {"{\"name\":\"\"}", "invalid_field"},
    {"{\"name\":\"a/b\"}", "invalid_field"},
    {"{\"name\":\".a\"}", "invalid_field"},
    {"{\"name\":\"a\\u0000b\"}", "malformed_json"},
    {"{\"name\":\"a\",\"credential_lifetime_s\":299}", "invalid_field"},
    {"{\"name\":\"a\",\"credential_lifetime_s\":86401}", "invalid_field"},
    {"{\"name\":\"a\",\"credential_lifetime_s\":3600.0}", "invalid_field"},
    {"{\"name\":\"a\",\"credential_lifetime_s\":\"3600\"}", "invalid_field"},
    {"{\"name\":\"a\",\"pcr_selection\":\"sha1:0-7\"}", "invalid_field"},
    {"{\"name\":\"a\",\"pcr_selection\":\"sha256:24\"}", "invalid_field"},
    {"{\"name\":\"a\",\"pcr_selection\":\"md5:0\"}", "invalid_field"},
    {"{\"name\":\"a\",\"pcr_selection\":\"\"}", "invalid_field"},
    {"{\"name\":\"a\",\"enrolment\":\"maybe\"}", "invalid_field"},
    {"{\"name\":\"a\",\"key_protection\":\"unproven\"}", "invalid_field"},
    {"{\"name\":\"a\",\"key_protection\":\"TPM\"}", "invalid_field"},
    {"{\"name\":\"a\",\"key_protection\":\"\"}", "invalid_field"},
    {"{\"name\":\"a\",\"key_protection\":true}", "invalid_field"},
    {"{\"name\":\"a\",\"version\":1}", "unknown_field"},
};

START_TEST(a_model_that_is_none_is_refused) {
    expect_admin(&g, "author", "POST", "/v1/models", wrong_models[_i].body, 400,
                 wrong_models[_i].code);
}
END_TEST

START_TEST(a_model_says_what_it_asks_of_keys) {
    struct reply reply =
        admin(&g, "author", "POST", "/v1/models", "{\"name\":\"a\",\"key_protection\":\"tpm\"}");
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    reply_free(&reply);
    reply = admin(&g, "author", "PUT", "/v1/models/a", "{\"description\":\"x\"}");
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    reply_free(&reply);
    reply = admin(&g, "author", "PUT", "/v1/models/a", "{\"key_protection\":\"any\"}");
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "any");
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", "/v1/models/a", NULL);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "any");
    reply_free(&reply);
    json_t *entry = last_audit();
    ck_assert_str_eq(member(json_object_get(entry, "before"), "key_protection"), "tpm");
    ck_assert_str_eq(member(json_object_get(entry, "after"), "key_protection"), "any");
    json_decref(entry);
}
END_TEST

START_TEST(a_models_name_is_taken_once) {
    expect_admin(&g, "author", "POST", "/v1/models", "{\"name\":\"acme-edge9\"}", 409,
                 "already_exists");
}
END_TEST

START_TEST(a_model_is_changed_only_in_what_is_named) {
    struct reply reply =
        admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"description\":\"at the edge\"}");
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "description"), "at the edge");
    ck_assert_str_eq(reply_text(&reply, "pcr_selection"), "sha256:0,1,2,3,4,5,6,7,8,9,14");
    ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "version")), 2);
    reply_free(&reply);
}
END_TEST

START_TEST(a_change_to_another_version_is_refused) {
    struct reply reply =
        with_match("author", "PUT", "/v1/models/acme-edge9", "{\"description\":\"a\"}", "\"1\"");
    expect_status(reply, 200);
    reply_free(&reply);
    static const char *const stale[] = {
        "\"1\"", "1",       "\"x\"",        "\"\"",
        "\"0\"", "W/\"2\"", "\"2\", \"1\"", "\"99999999999999999999999\""};
    reply =
        with_match("author", "PUT", "/v1/models/acme-edge9", "{\"description\":\"b\"}", stale[_i]);
    check_code(&reply, 412, "version_mismatch");
    reply_free(&reply);
}
END_TEST

START_TEST(a_model_with_devices_stays) {
    expect_admin(&g, "admin", "DELETE", "/v1/models/acme-edge9", NULL, 204, NULL);
    expect_admin(&g, "admin", "DELETE", "/v1/models/acme-edge9", NULL, 404, "not_found");
    gateway_add_model(&g, "acme-edge9");
    device_join(&g, &device);
    expect_admin(&g, "admin", "DELETE", "/v1/models/acme-edge9", NULL, 409, "in_use");
}
END_TEST

START_TEST(a_selection_keeps_the_pcrs_that_baselines_name) {
    char id[33];
    gateway_add_baseline(&g, &device, id);
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"pcr_selection\":\"sha256:0-7\"}",
                 409, "in_use");
}
END_TEST

/* --- baselines --- */

START_TEST(a_draft_is_not_in_force) {
    char id[33];
    draft("author", id);
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    check_code(&reply, 403, "untrusted");
    reply_free(&reply);
}
END_TEST

START_TEST(a_baseline_comes_back_as_it_was_written) {
    char id[33], target[96];
    draft("author", id);
    (void)snprintf(target, sizeof target, "/v1/baselines/%s", id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    json_t *written = json_loads(document, 0, NULL);
    ck_assert(json_equal(json_object_get(reply.json, "document"), written));
    ck_assert_str_eq(reply_text(&reply, "state"), "draft");
    ck_assert_str_eq(reply_text(&reply, "label"), "fw 1");
    ck_assert_str_eq(reply_text(&reply, "created_by"), "author");
    json_decref(written);
    reply_free(&reply);
}
END_TEST

START_TEST(a_baseline_for_another_model_is_refused) {
    gateway_add_model(&g, "other");
    expect_admin(&g, "author", "POST", "/v1/models/other/baselines", document, 422,
                 "model_mismatch");
}
END_TEST

START_TEST(a_baseline_of_an_unknown_model_is_refused) {
    (void)strcpy(device.model, "nobody");
    device_baseline_body(&device, document, "fw 1");
    expect_admin(&g, "author", "POST", "/v1/models/nobody/baselines", document, 404, "not_found");
}
END_TEST

static const struct {
    const char *body;
    unsigned status;
    const char *code;
} wrong_baselines[] = {
    {"{\"schema\":\"gatehouse/baseline/1\",\"model\":\"acme-edge9\",\"label\":\"x\",\"pcr\":{}}",
     400, "unknown_field"},
    {"{\"schema\":\"gatehouse/baseline/2\",\"model\":\"acme-edge9\"}", 422, "invalid_baseline"},
    {"{\"schema\":\"gatehouse/baseline/1\",\"model\":\"acme-edge9\",\"label\":\"x\",\"bank\":"
     "\"sha256\",\"pcrs\":{\"0\":[\"abcd\"]}}",
     422, "invalid_baseline"},
    {"[[[[[[[[[[[[[[[[[[[[", 400, "malformed_json"},
};

START_TEST(a_baseline_that_is_none_is_refused) {
    expect_admin(&g, "author", "POST", "/v1/models/acme-edge9/baselines", wrong_baselines[_i].body,
                 wrong_baselines[_i].status, wrong_baselines[_i].code);
}
END_TEST

START_TEST(only_a_draft_is_changed_or_removed) {
    char id[33], target[96];
    draft("author", id);
    step("author", id, "submit", 200, NULL);
    (void)snprintf(target, sizeof target, "/v1/baselines/%s", id);
    expect_admin(&g, "author", "PUT", target, document, 409, "wrong_state");
    expect_admin(&g, "author", "DELETE", target, NULL, 409, "wrong_state");
    draft("author", id);
    (void)snprintf(target, sizeof target, "/v1/baselines/%s", id);
    expect_admin(&g, "author", "PUT", target, document, 200, NULL);
    expect_admin(&g, "author", "DELETE", target, NULL, 204, NULL);
    expect_admin(&g, "author", "GET", target, NULL, 404, "not_found");
}
END_TEST

/* --- operators and proxies --- */

static const struct {
    const char *body;
    unsigned status;
    const char *code;
} wrong_operators[] = {
    {"{\"name\":\"eve\",\"role\":\"root\",\"certificate_sha256\":"
     "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
     400, "invalid_field"},
    {"{\"name\":\"eve\",\"role\":\"device\",\"certificate_sha256\":"
     "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
     400, "invalid_field"},
    {"{\"name\":\"eve\",\"role\":\"admin\"}", 400, "missing_field"},
    {"{\"name\":\"eve\",\"role\":\"admin\",\"certificate\":\"hello\"}", 400, "invalid_field"},
    {"{\"name\":\"eve\",\"role\":\"admin\",\"certificate\":\"x\",\"certificate_sha256\":"
     "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
     400, "invalid_field"},
    {"{\"name\":\"admin\",\"role\":\"admin\",\"certificate_sha256\":"
     "\"0000000000000000000000000000000000000000000000000000000000000001\"}",
     409, "already_exists"},
};

START_TEST(an_operator_that_is_none_is_refused) {
    expect_admin(&g, "admin", "POST", "/v1/operators", wrong_operators[_i].body,
                 wrong_operators[_i].status, wrong_operators[_i].code);
}
END_TEST

static void operator_body(char *out, const char *name, const char *role, const char *seed) {
    uint8_t digest[32];
    char hex[65];
    certificate_sha256_of(digest, seed);
    for (size_t i = 0; i < 32; i++) {
        (void)sprintf(hex + 2 * i, "%02x", digest[i]);
    }
    (void)sprintf(out, "{\"name\":\"%s\",\"role\":\"%s\",\"certificate_sha256\":\"%s\"}", name,
                  role, hex);
}

START_TEST(a_certificate_is_registered_once) {
    char body[256];
    operator_body(body, "eve", "admin", "admin");
    expect_admin(&g, "admin", "POST", "/v1/operators", body, 409, "certificate_in_use");
    operator_body(body, "eve", "viewer", "eve");
    expect_admin(&g, "admin", "POST", "/v1/operators", body, 201, NULL);
    expect_admin(&g, "eve", "GET", "/v1/models", NULL, 200, NULL);
    expect_admin(&g, "eve", "POST", "/v1/models", "{\"name\":\"x\"}", 403, "forbidden");
}
END_TEST

START_TEST(nobody_changes_their_own_registration) {
    expect_admin(&g, "admin", "PUT", "/v1/operators/admin", "{\"role\":\"viewer\"}", 403,
                 "own_registration");
    expect_admin(&g, "admin", "PUT", "/v1/operators/admin", "{\"role\":\"admin\"}", 403,
                 "own_registration");
    expect_admin(&g, "admin", "DELETE", "/v1/operators/admin", NULL, 403, "own_registration");
}
END_TEST

START_TEST(a_removed_operator_is_nobody_at_once) {
    expect_admin(&g, "admin", "DELETE", "/v1/operators/viewer", NULL, 204, NULL);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 403, "forbidden");
}
END_TEST

START_TEST(a_second_administrator_may_remove_the_first_but_not_the_last) {
    char body[256];
    operator_body(body, "second", "admin", "second");
    expect_admin(&g, "admin", "POST", "/v1/operators", body, 201, NULL);
    expect_admin(&g, "second", "DELETE", "/v1/operators/admin", NULL, 204, NULL);
    expect_admin(&g, "second", "DELETE", "/v1/operators/second", NULL, 403, "own_registration");
    expect_admin(&g, "admin", "GET", "/v1/models", NULL, 403, "forbidden");
}
END_TEST

START_TEST(a_new_proxy_may_ask_and_a_removed_one_may_not) {
    char body[256];
    struct caller proxy = caller_certificate("front");
    const struct call ask = {
        .plane = PLANE_PROXY, .caller = &proxy, .method = "GET", .target = "/v1/decisions/x"};
    operator_body(body, "front", "x", "front");
    char *role = strstr(body, "\"role\":\"x\",");
    (void)memmove(role, role + 11, strlen(role + 11) + 1);
    expect(&g, &ask, 403, "forbidden");
    expect_admin(&g, "admin", "POST", "/v1/proxies", body, 201, NULL);
    expect(&g, &ask, 200, NULL);
    expect_admin(&g, "admin", "POST", "/v1/proxies", body, 409, "already_exists");
    expect_admin(&g, "admin", "DELETE", "/v1/proxies/front", NULL, 204, NULL);
    expect(&g, &ask, 403, "forbidden");
    expect_admin(&g, "admin", "GET", "/v1/proxies/front", NULL, 404, "not_found");
}
END_TEST

START_TEST(an_unknown_dialect_is_refused) {
    expect_admin(&g, "admin", "PUT", "/v1/proxies/edge", "{\"dialect\":\"guess\"}", 400,
                 "invalid_field");
}
END_TEST

/* --- devices --- */

START_TEST(a_reason_is_required) {
    static const char *const names[] = {"quarantine", "retire"};
    char target[96];
    device_join(&g, &device);
    (void)snprintf(target, sizeof target, "/v1/devices/%s/%s", device.id, names[_i]);
    expect_admin(&g, "operator", "POST", target, "{}", 400, "missing_field");
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"\"}", 400, "invalid_field");
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"x\",\"force\":true}", 400,
                 "unknown_field");
}
END_TEST

START_TEST(devices_are_listed_by_what_is_asked) {
    struct soft_device other;
    char target[128];
    gateway_add_model(&g, "other");
    device_init(&other, "other");
    device_join(&g, &device);
    device_join(&g, &other);
    (void)snprintf(target, sizeof target, "/v1/devices/%s/quarantine", other.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"x\"}", 200, NULL);
    static const struct {
        const char *target;
        size_t num;
    } lists[] = {{"/v1/devices", 2},
                 {"/v1/devices?model=other", 1},
                 {"/v1/devices?model=nobody", 0},
                 {"/v1/devices?state=quarantined", 1},
                 {"/v1/devices?state=enrolled&model=other", 0},
                 {"/v1/devices?verdict=trusted", 0},
                 {"/v1/devices?verdict=unknown&tier=none", 2}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct reply reply = admin(&g, "viewer", "GET", lists[i].target, NULL);
        expect_status(reply, 200);
        ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "items")), lists[i].num);
        reply_free(&reply);
    }
    device_cleanup(&other);
}
END_TEST

START_TEST(pages_hold_everything_once) {
    char target[128] = "/v1/models?limit=3";
    size_t seen = 0;
    for (int i = 0; i < 9; i++) {
        char body[64];
        (void)snprintf(body, sizeof body, "{\"name\":\"m%d\"}", i);
        expect_admin(&g, "author", "POST", "/v1/models", body, 201, NULL);
    }
    for (int pages = 0; pages < 5; pages++) {
        struct reply reply = admin(&g, "viewer", "GET", target, NULL);
        expect_status(reply, 200);
        size_t num = json_array_size(json_object_get(reply.json, "items"));
        ck_assert_uint_le(num, 3);
        seen += num;
        bool more = json_is_string(json_object_get(reply.json, "next_cursor"));
        (void)snprintf(target, sizeof target, "/v1/models?limit=3&cursor=%s",
                       reply_text(&reply, "next_cursor"));
        reply_free(&reply);
        if (!more) {
            break;
        }
    }
    ck_assert_uint_eq(seen, 10);
}
END_TEST

START_TEST(a_note_is_kept) {
    char target[96];
    device_join(&g, &device);
    (void)snprintf(target, sizeof target, "/v1/devices/%s", device.id);
    expect_admin(&g, "operator", "PATCH", target, "{\"note\":\"rack 7\"}", 200, NULL);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(reply_text(&reply, "note"), "rack 7");
    ck_assert_str_ne(reply_text(&reply, "ek_certificate"), "");
    reply_free(&reply);
}
END_TEST

/* --- what is left behind --- */

START_TEST(a_change_is_in_the_audit_with_who_and_what) {
    struct reply reply =
        admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"description\":\"new\"}");
    expect_status(reply, 200);
    reply_free(&reply);
    json_t *entry = last_audit();
    ck_assert_str_eq(member(entry, "actor"), "operator:author");
    ck_assert_str_eq(member(entry, "action"), "model.update");
    ck_assert_str_eq(member(entry, "object"), "model:acme-edge9");
    ck_assert_str_eq(member(json_object_get(entry, "before"), "description"), "");
    ck_assert_str_eq(member(json_object_get(entry, "after"), "description"), "new");
    ck_assert_uint_eq(strlen(member(entry, "request_id")), 32);
    json_decref(entry);
}
END_TEST

START_TEST(what_could_not_be_done_leaves_no_entry) {
    size_t before = audit_size();
    expect_admin(&g, "author", "POST", "/v1/models", "{\"name\":\"acme-edge9\"}", 409,
                 "already_exists");
    expect_admin(&g, "admin", "DELETE", "/v1/models/nobody", NULL, 404, "not_found");
    ck_assert_uint_eq(audit_size(), before);
}
END_TEST

START_TEST(a_change_that_is_not_durable_is_not_made) {
    size_t before = audit_size();
    gateway_break_store(&g, true);
    struct reply reply = admin(&g, "author", "POST", "/v1/models", "{\"name\":\"x\"}");
    gateway_break_store(&g, false);
    check_code(&reply, 503, "storage_unavailable");
    reply_free(&reply);
    expect_admin(&g, "viewer", "GET", "/v1/models/x", NULL, 404, "not_found");
    ck_assert_uint_eq(audit_size(), before);
}
END_TEST

START_TEST(the_audit_goes_on_after_a_number) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1", NULL);
    expect_status(reply, 200);
    expect_admin(&g, "author", "POST", "/v1/models", "{\"name\":\"x\"}", 201, NULL);
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", "/v1/audit?after=1", NULL);
    const json_t *first = json_array_get(json_object_get(reply.json, "items"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(first, "seq")), 2);
    reply_free(&reply);
}
END_TEST

START_TEST(the_fleet_is_counted) {
    char id[33];
    gateway_add_baseline(&g, &device, id);
    device_join(&g, &device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", "/v1/fleet", NULL);
    expect_status(reply, 200);
    ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "devices")), 1);
    const json_t *one = json_array_get(json_object_get(reply.json, "counts"), 0);
    ck_assert_str_eq(member(one, "verdict"), "trusted");
    ck_assert_int_eq(json_integer_value(json_object_get(one, "count")), 1);
    reply_free(&reply);
}
END_TEST

START_TEST(metrics_are_prometheus_text) {
    struct reply reply = admin(&g, "viewer", "GET", "/metrics", NULL);
    expect_status(reply, 200);
    ck_assert_ptr_nonnull(strstr(reply.text, "# TYPE gatehouse_requests_total counter\n"));
    ck_assert_ptr_nonnull(strstr(reply.text, "gatehouse_decisions_total{decision=\"allow\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(reply.content_type, "version=0.0.4"));
    for (const char *line = reply.text; *line != '\0'; line = strchr(line, '\n') + 1) {
        ck_assert(strncmp(line, "# ", 2) == 0 || strncmp(line, "gatehouse_", 10) == 0);
    }
    reply_free(&reply);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("api_admin");
    TCase *t = tcase_create("admin");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_model_has_strict_defaults);
    tcase_add_loop_test(t, a_model_that_is_none_is_refused, 0,
                        sizeof wrong_models / sizeof wrong_models[0]);
    tcase_add_test(t, a_model_says_what_it_asks_of_keys);
    tcase_add_test(t, a_models_name_is_taken_once);
    tcase_add_test(t, a_model_is_changed_only_in_what_is_named);
    tcase_add_loop_test(t, a_change_to_another_version_is_refused, 0, 8);
    tcase_add_test(t, a_model_with_devices_stays);
    tcase_add_test(t, a_selection_keeps_the_pcrs_that_baselines_name);
    tcase_add_test(t, a_draft_is_not_in_force);
    tcase_add_test(t, a_baseline_comes_back_as_it_was_written);
    tcase_add_test(t, a_baseline_for_another_model_is_refused);
    tcase_add_test(t, a_baseline_of_an_unknown_model_is_refused);
    tcase_add_loop_test(t, a_baseline_that_is_none_is_refused, 0,
                        sizeof wrong_baselines / sizeof wrong_baselines[0]);
    tcase_add_test(t, only_a_draft_is_changed_or_removed);
    tcase_add_loop_test(t, an_operator_that_is_none_is_refused, 0,
                        sizeof wrong_operators / sizeof wrong_operators[0]);
    tcase_add_test(t, a_certificate_is_registered_once);
    tcase_add_test(t, nobody_changes_their_own_registration);
    tcase_add_test(t, a_removed_operator_is_nobody_at_once);
    tcase_add_test(t, a_second_administrator_may_remove_the_first_but_not_the_last);
    tcase_add_test(t, a_new_proxy_may_ask_and_a_removed_one_may_not);
    tcase_add_test(t, an_unknown_dialect_is_refused);
    tcase_add_loop_test(t, a_reason_is_required, 0, 2);
    tcase_add_test(t, devices_are_listed_by_what_is_asked);
    tcase_add_test(t, pages_hold_everything_once);
    tcase_add_test(t, a_note_is_kept);
    tcase_add_test(t, a_change_is_in_the_audit_with_who_and_what);
    tcase_add_test(t, what_could_not_be_done_leaves_no_entry);
    tcase_add_test(t, a_change_that_is_not_durable_is_not_made);
    tcase_add_test(t, the_audit_goes_on_after_a_number);
    tcase_add_test(t, the_fleet_is_counted);
    tcase_add_test(t, metrics_are_prometheus_text);
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

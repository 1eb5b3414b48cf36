/* Decisions as signed results, and the keys to verify them with. */
/* concurrent */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/fleet/ear.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static struct caller proxy;

static void start_as(enum gateway_kind kind) {
    char baseline[33];
    gateway_start_as(&g, kind);
    proxy = caller_proxy();
    gateway_add_model(&g, "edge9");
    device_init(&device, "edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
}

static void start(void) {
    start_as(GATEWAY_USUAL);
}

static void start_without_key(void) {
    start_as(GATEWAY_WITHOUT_RESULTS);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static void prove(void) {
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
}

static struct reply ask(const char *id, const char *query, const char *accept) {
    static char target[256];
    (void)snprintf(target, sizeof target, "/v1/decisions/%s%s", id, query);
    return call(&g, &(struct call){.plane = PLANE_PROXY,
                                   .caller = &proxy,
                                   .method = "GET",
                                   .target = target,
                                   .accept = accept});
}

static struct reply keys_reply(const char *known) {
    static struct caller nobody;
    nobody = caller_nobody();
    return call(&g, &(struct call){.plane = PLANE_PUBLIC,
                                   .caller = &nobody,
                                   .method = "GET",
                                   .target = "/.well-known/jwks.json",
                                   .if_none_match = known});
}

/* --- tokens --- */

static struct bytes decoded(struct arena *arena, const char *text, size_t len) {
    char *copy = arena_alloc(arena, len + 4);
    struct bytes out = bytes_of(NULL, 0);
    memcpy(copy, text, len);
    for (size_t i = 0; i < len; i++) {
        copy[i] = copy[i] == '-' ? '+' : copy[i] == '_' ? '/' : copy[i];
    }
    while (len % 4 != 0) {
        copy[len++] = '=';
    }
    ck_assert_int_eq(base64_decode_arena(arena, &out, copy, len, NULL), STATUS_OK);
    return out;
}

static json_t *json_part(struct arena *arena, const char *text, size_t len) {
    struct bytes part = decoded(arena, text, len);
    json_t *json = json_loadb((const char *)part.data, part.len, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

static const char *text_of(const json_t *json, const char *member) {
    const char *text = json_string_value(json_object_get(json, member));
    return text == NULL ? "" : text;
}

static void take_number(uint8_t out[static 32], struct arena *arena, const json_t *jwk,
                        const char *member) {
    const char *text = text_of(jwk, member);
    struct bytes number = decoded(arena, text, strlen(text));
    ck_assert_uint_eq(number.len, 32);
    memcpy(out, number.data, 32);
}

/* Whether the signature holds under the key that the header names, of those that are published. */
static bool verifies(struct arena *arena, const json_t *header, const char *token,
                     size_t signed_len) {
    struct reply reply = keys_reply(NULL);
    const json_t *keys = json_object_get(reply.json, "keys"), *jwk;
    struct public_key key = {.kind = KEY_EC_P256, .bits = 256};
    struct bytes signature = decoded(arena, token + signed_len + 1, strlen(token + signed_len + 1));
    struct signature sig = {.scheme = SIGNATURE_ECDSA, .hash = HASH_SHA256};
    bool found = false;
    size_t i;
    ck_assert_int_eq(bytes_take(&signature, 32, &sig.r), STATUS_OK);
    ck_assert_int_eq(bytes_take(&signature, 32, &sig.s), STATUS_OK);
    json_array_foreach(keys, i, jwk) {
        if (strcmp(text_of(jwk, "kid"), text_of(header, "kid")) == 0) {
            take_number(key.x, arena, jwk, "x");
            take_number(key.y, arena, jwk, "y");
            found = true;
        }
    }
    ck_assert(found);
    reply_free(&reply);
    return signature_verify(&key, &sig, bytes_of(token, signed_len), NULL) == STATUS_OK;
}

/* The claims of a result that verifies. The caller frees them. */
static json_t *claims_of(const struct reply *reply) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    ck_assert_str_eq(reply->content_type, "application/eat+jwt");
    ck_assert_str_eq(reply_header(reply, "Cache-Control"), "no-store");
    ck_assert_str_eq(reply_header(reply, "Vary"), "Accept");
    const char *dot = strchr(reply->text, '.'), *last = strrchr(reply->text, '.');
    ck_assert(dot != NULL && last > dot);
    json_t *header = json_part(&arena, reply->text, (size_t)(dot - reply->text));
    json_t *claims = json_part(&arena, dot + 1, (size_t)(last - dot - 1));
    ck_assert_str_eq(text_of(header, "alg"), "ES256");
    ck_assert_str_eq(text_of(header, "typ"), "eat+jwt");
    ck_assert(verifies(&arena, header, reply->text, (size_t)(last - reply->text)));
    json_decref(header);
    arena_free(&arena);
    return claims;
}

static json_t *result_of(const char *id) {
    struct reply reply = ask(id, "", "application/eat+jwt");
    expect_status(reply, 200);
    json_t *claims = claims_of(&reply);
    reply_free(&reply);
    return claims;
}

static const json_t *submod(const json_t *claims, const char *id) {
    const json_t *submods = json_object_get(claims, "submods");
    ck_assert_uint_eq(json_object_size(submods), 1);
    const json_t *one = json_object_get(submods, id);
    ck_assert_ptr_nonnull(one);
    return one;
}

static void check_result(const char *id, const char *status, const char *decision,
                         const char *reason) {
    json_t *claims = result_of(id);
    const json_t *one = submod(claims, id);
    ck_assert_str_eq(text_of(one, "ear.status"), status);
    ck_assert_str_eq(text_of(one, "gatehouse.decision"), decision);
    ck_assert_str_eq(text_of(one, "gatehouse.reason"), reason);
    const json_t *vector = json_object_get(one, "ear.trustworthiness-vector"), *value;
    const char *name;
    ck_assert_uint_eq(json_object_size(vector), NUM_AR4SI_CLAIMS);
    json_object_foreach((json_t *)(uintptr_t)vector, name, value) {
        enum ar4si_tier tier = ar4si_tier_of((int8_t)json_integer_value(value));
        ck_assert_msg(strcmp(decision, "deny") != 0 || tier != AR4SI_AFFIRMING, "%s", name);
    }
    json_decref(claims);
}

static int claim_of(const char *id, const char *name) {
    json_t *claims = result_of(id);
    const json_t *vector = json_object_get(submod(claims, id), "ear.trustworthiness-vector");
    int value = (int)json_integer_value(json_object_get(vector, name));
    json_decref(claims);
    return value;
}

/* --- what a result says --- */

START_TEST(a_result_has_every_claim_and_verifies_by_the_published_keys) {
    device.certifies = true;
    int64_t before = clock_unix();
    prove();
    json_t *claims = result_of(device.id);
    const json_t *one = submod(claims, device.id);
    int64_t iat = json_integer_value(json_object_get(claims, "iat"));
    ck_assert_str_eq(text_of(claims, "iss"), g.config.issuer);
    ck_assert_str_eq(text_of(claims, "eat_profile"), EAR_PROFILE);
    ck_assert_ptr_null(json_object_get(claims, "eat_nonce"));
    ck_assert(iat >= before && iat <= clock_unix());
    ck_assert_int_eq(json_integer_value(json_object_get(claims, "exp")), iat + 300);
    const json_t *verifier = json_object_get(claims, "ear.verifier-id");
    ck_assert_str_eq(text_of(verifier, "developer"), "gatehouse");
    ck_assert_int_eq(strncmp(text_of(verifier, "build"), "gatehouse ", 10), 0);
    ck_assert_str_eq(text_of(one, "ear.status"), "affirming");
    ck_assert_str_eq(text_of(one, "ear.appraisal-policy-id"), "urn:gatehouse:model:edge9");
    ck_assert_str_eq(text_of(one, "gatehouse.tier"), "measured");
    ck_assert_str_eq(text_of(one, "gatehouse.key-protection"), "tpm");
    ck_assert(json_integer_value(json_object_get(one, "gatehouse.lease-expires")) > iat);
    json_decref(claims);
    ck_assert_int_eq(claim_of(device.id, "instance-identity"), 2);
    ck_assert_int_eq(claim_of(device.id, "hardware"), 2);
    ck_assert_int_eq(claim_of(device.id, "executables"), 3);
    ck_assert_int_eq(claim_of(device.id, "file-system"), 0);
    ck_assert_int_eq(claim_of(device.id, "runtime-opaque"), 0);
}
END_TEST

START_TEST(a_key_outside_the_tpm_is_no_identity) {
    prove();
    ck_assert_int_eq(claim_of(device.id, "instance-identity"), 0);
    ck_assert_int_eq(claim_of(device.id, "hardware"), 2);
}
END_TEST

START_TEST(who_is_not_known_or_not_appraised_is_none) {
    check_result("ffffffffffffffffffffffffffffffff", "none", "deny", "unknown_device");
    check_result("x.y-z", "none", "deny", "unknown_device");
    check_result(device.id, "none", "deny", "not_appraised");
}
END_TEST

START_TEST(a_boot_that_is_refused_is_contraindicated) {
    prove();
    check_result(device.id, "affirming", "allow", "trusted");
    device_break_boot(&device);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 403);
    reply_free(&reply);
    check_result(device.id, "contraindicated", "deny", "untrusted");
    ck_assert_int_eq(claim_of(device.id, "executables"), 96);
}
END_TEST

START_TEST(a_quarantine_a_release_and_a_revocation_are_in_the_next_result) {
    char target[128];
    device.certifies = true;
    prove();
    (void)snprintf(target, sizeof target, "/v1/devices/%s/quarantine", device.id);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"stolen\"}", 200, NULL);
    check_result(device.id, "contraindicated", "deny", "quarantined");
    ck_assert_int_eq(claim_of(device.id, "instance-identity"), 96);
    (void)snprintf(target, sizeof target, "/v1/devices/%s/release", device.id);
    expect_admin(&g, "operator", "POST", target, NULL, 200, NULL);
    prove();
    check_result(device.id, "affirming", "allow", "trusted");
    struct reply reply = ask(device.id, "", NULL);
    const char *serial =
        json_string_value(json_array_get(json_object_get(reply.json, "credential_serials"), 0));
    (void)snprintf(target, sizeof target, "/v1/credentials/%s/revoke", serial);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"lost\"}", 200, NULL);
    reply_free(&reply);
    check_result(device.id, "contraindicated", "deny", "credential_revoked");
}
END_TEST

START_TEST(the_vector_outlives_a_restart) {
    device.certifies = true;
    prove();
    struct fleet_table *table;
    struct store_reader *reader;
    struct detail detail = {0};
    struct decision before, after;
    fleet_decide_device(g.table, &before, device.id, clock_unix());
    ck_assert_uint_ne(before.trustworthiness, 0);
    ck_assert_int_eq(fleet_table_new(&table), STATUS_OK);
    ck_assert_int_eq(store_reader_new(&reader, g.store, &detail), STATUS_OK);
    ck_assert_int_eq(fleet_table_load(table, reader, clock_unix(), &detail), STATUS_OK);
    fleet_decide_device(table, &after, device.id, clock_unix());
    ck_assert(after.allow);
    ck_assert_uint_eq(after.trustworthiness, before.trustworthiness);
    store_reader_free(reader);
    fleet_table_free(table);
}
END_TEST

START_TEST(a_reappraisal_takes_its_findings_into_the_vector) {
    device.certifies = true;
    prove();
    struct reply reply = admin(&g, "viewer", "GET", "/v1/models/edge9/baselines", NULL);
    const json_t *first = json_array_get(json_object_get(reply.json, "items"), 0);
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/revoke", text_of(first, "id"));
    reply_free(&reply);
    expect_admin(&g, "approver", "POST", target, NULL, 200, NULL);
    struct decision d;
    do { /* it runs beside */
        fleet_decide_device(g.table, &d, device.id, clock_unix());
    } while (d.allow);
    check_result(device.id, "contraindicated", "deny", "untrusted");
    ck_assert_uint_eq(d.trustworthiness & AR4SI_DEVICE, AR4SI_DEVICE); /* that has not changed */
}
END_TEST

/* --- forms --- */

START_TEST(json_is_the_default) {
    static const char *const accepts[] = {NULL,
                                          "*/*",
                                          "application/*",
                                          "application/json",
                                          "application/json, application/eat+jwt",
                                          "application/eat+jwt;q=0.5, */*"};
    struct reply reply = ask(device.id, "", accepts[_i]);
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "application/json");
    ck_assert_str_eq(reply_text(&reply, "decision"), "deny");
    reply_free(&reply);
}
END_TEST

START_TEST(other_forms_are_not_acceptable) {
    static const char *const accepts[] = {
        "text/html", "application/jwt",     "",
        "*/*;q=0",   "application/eat+cwt", "application/eat+jwt;eat_profile=\"tag:other\""};
    struct reply reply = ask(device.id, "", accepts[_i]);
    check_code(&reply, 406, "not_acceptable");
    reply_free(&reply);
}
END_TEST

START_TEST(the_profile_may_be_asked_for_by_name) {
    struct reply reply = ask(device.id, "", "application/eat+jwt;eat_profile=\"" EAR_PROFILE "\"");
    expect_status(reply, 200);
    json_decref(claims_of(&reply));
    reply_free(&reply);
}
END_TEST

START_TEST(a_nonce_comes_back_in_the_result) {
    static const char *const nonces[] = {
        "abcdefgh", "AAAA_-AAAAAA",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    char query[128];
    (void)snprintf(query, sizeof query, "?nonce=%s", nonces[_i]);
    struct reply reply = ask(device.id, query, "application/eat+jwt");
    expect_status(reply, 200);
    json_t *claims = claims_of(&reply);
    ck_assert_str_eq(text_of(claims, "eat_nonce"), nonces[_i]);
    json_decref(claims);
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *query, *accept, *code;
} bad_queries[] = {
    {"?nonce=", "application/eat+jwt", "invalid_parameter"},
    {"?nonce=abcdefg", "application/eat+jwt", "invalid_parameter"},
    {"?nonce=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "application/eat+jwt", "invalid_parameter"},
    {"?nonce=abcdefg%3d", "application/eat+jwt", "invalid_parameter"},
    {"?nonce=abcd+fgh", "application/eat+jwt", "invalid_parameter"},
    {"?nonce=abcd%22fgh", "application/eat+jwt", "invalid_parameter"},
    {"?nonce=abcdefghi", "application/eat+jwt", "invalid_parameter"}, /* no such length */
    {"?nonce=abcdefgh&nonce=abcdefgh", "application/eat+jwt", "invalid_parameter"},
    {"?nonce=abcdefgh", "application/json", "invalid_parameter"},
    {"?nonce=abcdefgh", NULL, "invalid_parameter"},
    {"?other=1", "application/eat+jwt", "unknown_parameter"},
};

START_TEST(other_queries_are_refused) {
    struct reply reply = ask(device.id, bad_queries[_i].query, bad_queries[_i].accept);
    check_code(&reply, 400, bad_queries[_i].code);
    reply_free(&reply);
}
END_TEST

START_TEST(many_results_are_signed_side_by_side) {
    enum { MANY = 40 };
    static char target[64];
    struct exchange *exchange[MANY];
    prove();
    (void)snprintf(target, sizeof target, "/v1/decisions/%s", device.id);
    const struct call what = {.plane = PLANE_PROXY,
                              .caller = &proxy,
                              .method = "GET",
                              .target = target,
                              .accept = "application/eat+jwt"};
    for (size_t i = 0; i < MANY; i++) {
        exchange[i] = call_start(&g, &what);
    }
    for (size_t i = 0; i < MANY; i++) {
        struct reply reply = call_finish(&g, exchange[i]);
        expect_status(reply, 200);
        json_decref(claims_of(&reply));
        reply_free(&reply);
    }
}
END_TEST

START_TEST(while_it_stops_nothing_more_is_signed) {
    statements_stop(g.statements);
    struct reply reply = ask(device.id, "", "application/eat+jwt");
    check_code(&reply, 503, "overloaded");
    reply_free(&reply);
    reply = ask(device.id, "", NULL);
    expect_status(reply, 200);
    reply_free(&reply);
}
END_TEST

/* --- keys --- */

START_TEST(the_keys_are_for_everybody_and_have_a_tag) {
    char tag[STATEMENTS_TAG_SIZE];
    struct reply reply = keys_reply(NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "application/jwk-set+json");
    ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "public, max-age=3600");
    const json_t *keys = json_object_get(reply.json, "keys");
    ck_assert_uint_eq(json_array_size(keys), 1);
    (void)snprintf(tag, sizeof tag, "%s", reply_header(&reply, "ETag"));
    ck_assert_uint_eq(strlen(tag), 34);
    reply_free(&reply);
    reply = keys_reply(tag);
    expect_status(reply, 304);
    ck_assert_uint_eq(reply.len, 0);
    ck_assert_str_eq(reply_header(&reply, "ETag"), tag);
    reply_free(&reply);
    reply = keys_reply("\"0123456789abcdef0123456789abcdef\"");
    expect_status(reply, 200);
    reply_free(&reply);
}
END_TEST

START_TEST(without_a_key_results_are_not_configured_and_the_rest_is_as_it_was) {
    struct reply reply = ask(device.id, "", "application/eat+jwt");
    check_code(&reply, 406, "results_not_configured");
    reply_free(&reply);
    reply = ask(device.id, "", "application/eat+jwt, application/json;q=0.1");
    expect_status(reply, 200);
    ck_assert_str_eq(reply.content_type, "application/json");
    reply_free(&reply);
    reply = ask(device.id, "", "text/html");
    check_code(&reply, 406, "not_acceptable");
    reply_free(&reply);
    reply = keys_reply(NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply.text, "{\"keys\":[]}");
    reply_free(&reply);
    prove();
}
END_TEST

static TCase *tests_with(const char *name, void (*begin)(void)) {
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, begin, stop);
    tcase_set_timeout(tests, 60);
    return tests;
}

int main(void) {
    Suite *suite = suite_create("api_results");
    TCase *tests = tests_with("results", start);
    tcase_add_test(tests, a_result_has_every_claim_and_verifies_by_the_published_keys);
    tcase_add_test(tests, a_key_outside_the_tpm_is_no_identity);
    tcase_add_test(tests, who_is_not_known_or_not_appraised_is_none);
    tcase_add_test(tests, a_boot_that_is_refused_is_contraindicated);
    tcase_add_test(tests, a_quarantine_a_release_and_a_revocation_are_in_the_next_result);
    tcase_add_test(tests, the_vector_outlives_a_restart);
    tcase_add_test(tests, a_reappraisal_takes_its_findings_into_the_vector);
    tcase_add_loop_test(tests, json_is_the_default, 0, 6);
    tcase_add_loop_test(tests, other_forms_are_not_acceptable, 0, 6);
    tcase_add_test(tests, the_profile_may_be_asked_for_by_name);
    tcase_add_loop_test(tests, a_nonce_comes_back_in_the_result, 0, 3);
    tcase_add_loop_test(tests, other_queries_are_refused, 0,
                        (int)(sizeof bad_queries / sizeof bad_queries[0]));
    tcase_add_test(tests, many_results_are_signed_side_by_side);
    tcase_add_test(tests, while_it_stops_nothing_more_is_signed);
    tcase_add_test(tests, the_keys_are_for_everybody_and_have_a_tag);
    suite_add_tcase(suite, tests);
    tests = tests_with("without a key", start_without_key);
    tcase_add_test(tests, without_a_key_results_are_not_configured_and_the_rest_is_as_it_was);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

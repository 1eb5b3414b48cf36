/* Operators and their certificates: rotation with overlap, and that nobody locks all admins out. */
/* concurrent */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/cert_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct arena arena;

static void start(void) {
    arena_init(&arena, 1 << 20);
    gateway_start(&g);
}

static void stop(void) {
    gateway_stop(&g);
    arena_free(&arena);
}

/* --- bodies --- */

static const char *hex_of(const char *seed) {
    uint8_t digest[32];
    char hex[65];
    certificate_sha256_of(digest, seed);
    hex_encode(hex, bytes_of(digest, sizeof digest));
    return arena_text(&arena, hex);
}

static const char *digest_body(const char *seed) {
    return arena_printf(&arena, "{\"certificate_sha256\":\"%s\"}", hex_of(seed));
}

static const char *create_body(const char *name, const char *role, const char *seed) {
    return arena_printf(&arena, "{\"name\":\"%s\",\"role\":\"%s\",\"certificate_sha256\":\"%s\"}",
                        name, role, hex_of(seed));
}

/* A leaf that the admin plane's anchors vouch for: CA number 0 is their only one. */
static struct bytes leaf(const char *subject, size_t signer, int64_t not_after) {
    struct cert_spec spec = cert_leaf(subject, 2, signer == 0 ? "operators" : "strangers", signer);
    spec.not_before = clock_unix() - 86400;
    spec.not_after = not_after;
    return cert_make(&spec);
}

static void write_anchors(void) {
    struct cert_spec spec = cert_ca("operators", 0, "operators", 0);
    struct detail detail = {0};
    spec.not_before = clock_unix() - 86400;
    spec.not_after = clock_unix() + 86400;
    struct bytes der = cert_make(&spec);
    ck_assert_int_eq(file_create(g.anchors, 0600, cert_pem(&arena, &der, 1), &detail), STATUS_OK);
}

static const char *pem_body(struct bytes der) {
    struct bytes pem = cert_pem(&arena, &der, 1);
    json_t *body = json_pack("{s:s%}", "certificate", pem.data, pem.len);
    char *text = json_dumps(body, JSON_COMPACT);
    const char *out = arena_text(&arena, text);
    json_decref(body);
    free(text);
    return out;
}

static const char *sha256_hex(struct bytes der) {
    uint8_t digest[32];
    char hex[65];
    digest_compute(HASH_SHA256, der, digest);
    hex_encode(hex, bytes_of(digest, sizeof digest));
    return arena_text(&arena, hex);
}

static const char *certificates_of(const char *name) {
    return arena_printf(&arena, "/v1/operators/%s/certificates", name);
}

static const char *certificate_path(const char *name, const char *hex) {
    return arena_printf(&arena, "/v1/operators/%s/certificates/%s", name, hex);
}

static size_t num_certificates(const char *name) {
    struct reply reply =
        admin(&g, "viewer", "GET", arena_printf(&arena, "/v1/operators/%s", name), NULL);
    size_t num = json_array_size(json_object_get(reply.json, "certificates"));
    reply_free(&reply);
    return num;
}

/* --- rotation --- */

START_TEST(a_new_certificate_works_beside_the_old_one_until_that_is_removed) {
    expect_admin(&g, "next", "GET", "/v1/models", NULL, 403, "forbidden");
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), digest_body("next"), 201, NULL);
    expect_admin(&g, "next", "GET", "/v1/models", NULL, 200, NULL);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 200, NULL);
    expect_admin(&g, "admin", "DELETE", certificate_path("viewer", hex_of("viewer")), NULL, 204,
                 NULL);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 403, "forbidden");
    expect_admin(&g, "next", "GET", "/v1/models", NULL, 200, NULL);
}
END_TEST

START_TEST(an_operator_of_any_role_rotates_their_own) {
    write_anchors();
    struct bytes next = leaf("viewer 2", 0, clock_unix() + 3600);
    struct reply reply = admin(&g, "viewer", "POST", certificates_of("viewer"), pem_body(next));
    expect_status(reply, 201);
    const json_t *rows = json_object_get(reply.json, "certificates"), *added = NULL;
    ck_assert_uint_eq(json_array_size(rows), 2);
    for (size_t i = 0; i < 2; i++) { /* added in one second: the digest decides which is first */
        const json_t *row = json_array_get(rows, i);
        added = json_is_string(json_object_get(row, "added_by")) ? row : added;
    }
    ck_assert_str_eq(json_string_value(json_object_get(added, "sha256")), sha256_hex(next));
    ck_assert_str_eq(json_string_value(json_object_get(added, "subject")), "CN=viewer 2");
    ck_assert_str_eq(json_string_value(json_object_get(added, "added_by")), "viewer");
    ck_assert(json_is_string(json_object_get(added, "not_after")));
    reply_free(&reply);
    expect_admin(&g, "viewer", "DELETE", certificate_path("viewer", sha256_hex(next)), NULL, 204,
                 NULL);
    ck_assert_uint_eq(num_certificates("viewer"), 1);
}
END_TEST

START_TEST(the_certificate_in_use_is_not_removed) {
    expect_admin(&g, "admin", "POST", certificates_of("admin"), "{}", 400, "missing_field");
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), digest_body("next"), 201, NULL);
    expect_admin(&g, "viewer", "DELETE", certificate_path("viewer", hex_of("viewer")), NULL, 409,
                 "own_certificate");
    expect_admin(&g, "next", "DELETE", certificate_path("viewer", hex_of("viewer")), NULL, 204,
                 NULL);
}
END_TEST

START_TEST(the_last_certificate_is_not_removed) {
    expect_admin(&g, "admin", "DELETE", certificate_path("viewer", hex_of("viewer")), NULL, 409,
                 "last_certificate");
    ck_assert_uint_eq(num_certificates("viewer"), 1);
}
END_TEST

START_TEST(there_are_at_most_four) {
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), digest_body("2"), 201, NULL);
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), digest_body("3"), 201, NULL);
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), digest_body("4"), 201, NULL);
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), digest_body("5"), 409,
                 "too_many_certificates");
    ck_assert_uint_eq(num_certificates("viewer"), 4);
}
END_TEST

START_TEST(nobody_but_an_admin_touches_anothers_certificates) {
    static const char *const others[] = {"viewer", "operator", "author", "approver"};
    for (size_t i = 0; i < 4; i++) {
        expect_admin(&g, others[i], "POST", certificates_of("admin"), digest_body("mine"), 403,
                     "forbidden");
        expect_admin(&g, others[i], "DELETE", certificate_path("admin", hex_of("admin")), NULL, 403,
                     "forbidden");
    }
    ck_assert_uint_eq(num_certificates("admin"), 1);
}
END_TEST

START_TEST(a_digest_alone_is_not_enough_for_ones_own) {
    write_anchors();
    expect_admin(&g, "viewer", "POST", certificates_of("viewer"), digest_body("x"), 400,
                 "missing_field");
    expect_admin(&g, "admin", "POST", certificates_of("admin"), digest_body("x"), 400,
                 "missing_field");
}
END_TEST

START_TEST(a_certificate_of_strangers_is_not_ones_own) {
    write_anchors();
    expect_admin(&g, "viewer", "POST", certificates_of("viewer"),
                 pem_body(leaf("viewer", 1, clock_unix() + 3600)), 422, "certificate_untrusted");
    expect_admin(&g, "viewer", "POST", certificates_of("viewer"),
                 pem_body(leaf("viewer", 0, clock_unix() - 3600)), 422, "certificate_untrusted");
    ck_assert_uint_eq(num_certificates("viewer"), 1);
}
END_TEST

START_TEST(without_anchors_to_hold_it_against_nothing_is_added) {
    expect_admin(&g, "viewer", "POST", certificates_of("viewer"),
                 pem_body(leaf("viewer", 0, clock_unix() + 3600)), 500, "internal");
    ck_assert_uint_eq(num_certificates("viewer"), 1);
}
END_TEST

static const struct {
    const char *body, *code;
    unsigned status;
} wrong_additions[] = {
    {"{}", "missing_field", 400},
    {"{\"certificate\":\"x\"}", "invalid_field", 400},
    {"{\"certificate_sha256\":\"00\"}", "invalid_field", 400},
    {"{\"disabled\":true}", "unknown_field", 400},
    {"{\"role\":\"admin\"}", "unknown_field", 400},
    {"[]", "malformed_json", 400},
};

START_TEST(an_addition_that_is_none_is_refused) {
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), wrong_additions[_i].body,
                 wrong_additions[_i].status, wrong_additions[_i].code);
}
END_TEST

START_TEST(an_authoritys_certificate_is_nobodys) {
    struct cert_spec spec = cert_ca("operators", 0, "operators", 0);
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), pem_body(cert_make(&spec)), 400,
                 "invalid_field");
}
END_TEST

START_TEST(a_certificate_of_another_operator_is_not_added) {
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), digest_body("author"), 409,
                 "certificate_in_use");
    expect_admin(&g, "admin", "POST", certificates_of("viewer"), digest_body("viewer"), 409,
                 "certificate_in_use");
    expect_admin(&g, "admin", "POST", certificates_of("nobody"), digest_body("x"), 404,
                 "not_found");
    expect_admin(&g, "admin", "DELETE", certificate_path("viewer", hex_of("author")), NULL, 404,
                 "not_found");
    expect_admin(&g, "admin", "DELETE", certificate_path("viewer", "00"), NULL, 404, "not_found");
}
END_TEST

START_TEST(a_role_is_changed_without_touching_certificates) {
    expect_admin(
        &g, "admin", "PUT", "/v1/operators/viewer",
        arena_printf(&arena, "{\"role\":\"viewer\",\"certificate_sha256\":\"%s\"}", hex_of("next")),
        400, "unknown_field");
    expect_admin(&g, "admin", "PUT", "/v1/operators/viewer", "{\"role\":\"operator\"}", 200, NULL);
    expect_admin(&g, "viewer", "GET", "/v1/models", NULL, 200, NULL);
}
END_TEST

/* --- the last admin --- */

START_TEST(the_last_way_in_of_the_last_admin_is_not_removed) {
    write_anchors();
    /* A second admin, whose only certificate has expired, is no way in. */
    expect_admin(&g, "admin", "POST", "/v1/operators", create_body("second", "admin", "second"),
                 201, NULL);
    struct bytes expired = leaf("second", 0, clock_unix() - 60);
    expect_admin(&g, "admin", "POST", certificates_of("second"), pem_body(expired), 201, NULL);
    expect_admin(&g, "admin", "DELETE", certificate_path("second", hex_of("second")), NULL, 204,
                 NULL);
    expect_admin(&g, "admin", "POST", "/v1/operators", create_body("third", "admin", "third"), 201,
                 NULL);
    expect_admin(&g, "third", "DELETE", "/v1/operators/admin", NULL, 204, NULL);
    expect_admin(&g, "third", "PUT", "/v1/operators/second",
                 "{\"role\":\"admin\",\"disabled\":true}", 200, NULL);
    expect_admin(&g, "third", "DELETE", "/v1/operators/third", NULL, 403, "own_registration");
}
END_TEST

struct removal {
    const char *who, *whom;
    pthread_barrier_t *barrier;
    unsigned status;
};

static void remove_other(struct gateway *at, struct removal *removal) {
    struct caller caller = caller_operator(removal->who);
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/operators/%s", removal->whom);
    (void)pthread_barrier_wait(removal->barrier);
    struct reply reply = call(
        at, &(struct call){
                .plane = PLANE_ADMIN, .caller = &caller, .method = "DELETE", .target = target});
    removal->status = reply.status;
    reply_free(&reply);
}

/* As another worker, which has a reader of the store of its own. */
static void *second_worker(void *context) {
    struct gateway *mine = gateway_worker(&g);
    remove_other(mine, context);
    gateway_worker_end(mine);
    return NULL;
}

START_TEST(two_admins_who_remove_each_other_at_once_leave_one) {
    for (int round = 0; round < 20; round++) {
        pthread_barrier_t barrier;
        pthread_t thread;
        const char *names[2] = {arena_printf(&arena, "a%d", round),
                                arena_printf(&arena, "b%d", round)};
        for (size_t i = 0; i < 2; i++) {
            expect_admin(&g, round == 0 ? "admin" : "survivor", "POST", "/v1/operators",
                         create_body(names[i], "admin", names[i]), 201, NULL);
        }
        const char *before = round == 0 ? "admin" : "survivor";
        expect_admin(&g, names[0], "DELETE", arena_printf(&arena, "/v1/operators/%s", before), NULL,
                     204, NULL);
        ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
        struct removal one = {names[0], names[1], &barrier, 0};
        struct removal other = {names[1], names[0], &barrier, 0};
        ck_assert_int_eq(pthread_create(&thread, NULL, second_worker, &other), 0);
        remove_other(&g, &one);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        (void)pthread_barrier_destroy(&barrier);
        ck_assert_msg((one.status == 204) != (other.status == 204), "%u and %u", one.status,
                      other.status);
        const char *left = one.status == 204 ? names[0] : names[1];
        ck_assert(one.status == 403 || other.status == 403);
        expect_admin(&g, left, "POST", "/v1/operators",
                     create_body("survivor", "admin", "survivor"), 201, NULL);
        expect_admin(&g, "survivor", "DELETE", arena_printf(&arena, "/v1/operators/%s", left), NULL,
                     204, NULL);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("operators");
    TCase *t = tcase_create("certificates");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_new_certificate_works_beside_the_old_one_until_that_is_removed);
    tcase_add_test(t, an_operator_of_any_role_rotates_their_own);
    tcase_add_test(t, the_certificate_in_use_is_not_removed);
    tcase_add_test(t, the_last_certificate_is_not_removed);
    tcase_add_test(t, there_are_at_most_four);
    tcase_add_test(t, nobody_but_an_admin_touches_anothers_certificates);
    tcase_add_test(t, a_digest_alone_is_not_enough_for_ones_own);
    tcase_add_test(t, a_certificate_of_strangers_is_not_ones_own);
    tcase_add_test(t, without_anchors_to_hold_it_against_nothing_is_added);
    tcase_add_loop_test(t, an_addition_that_is_none_is_refused, 0,
                        sizeof wrong_additions / sizeof wrong_additions[0]);
    tcase_add_test(t, an_authoritys_certificate_is_nobodys);
    tcase_add_test(t, a_certificate_of_another_operator_is_not_added);
    tcase_add_test(t, a_role_is_changed_without_touching_certificates);
    tcase_add_test(t, the_last_way_in_of_the_last_admin_is_not_removed);
    tcase_add_test(t, two_admins_who_remove_each_other_at_once_leave_one);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Trust anchors of one model: who may change them, what is taken, and what they then decide. */
/* concurrent */
#include "api/request.h"
#include "server/base/encoding.h"
#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "tests/unit/api_fixture.h"
#include "tests/unit/cert_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EK            "/v1/models/acme-edge9/ek-trust"
#define IDEVID        "/v1/models/acme-edge9/idevid-trust"
#define LITERAL(text) bytes_of("" text, sizeof(text) - 1)

static struct gateway g;
static struct soft_device device;
static struct arena arena;
static char body[BODY_SIZE];

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    arena_init(&arena, 1 << 29);
}

static void stop(void) {
    arena_free(&arena);
    device_cleanup(&device);
    gateway_stop(&g);
}

/* The body of a POST. */
static const char *pem_body(struct bytes pem) {
    json_t *json = json_pack("{s:s}", "certificates", (const char *)pem.data);
    char *text = json_dumps(json, 0);
    const char *kept = arena_text(&arena, text);
    free(text);
    json_decref(json);
    return kept;
}

static const char *body_of(const struct bytes *der, size_t num) {
    return pem_body(cert_pem(&arena, der, num));
}

static struct bytes authority(const char *name, size_t key, const char *issuer, size_t signer) {
    struct cert_spec spec = cert_ca(name, key, issuer, signer);
    return cert_make(&spec);
}

static void hex_of(char out[static 65], struct bytes der) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, der, digest);
    hex_encode(out, bytes_of(digest, 32));
}

static size_t count(const char *target) {
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    size_t num = json_array_size(json_object_get(reply.json, "items"));
    reply_free(&reply);
    return num;
}

static void add(const char *target, struct bytes der) {
    expect_admin(&g, "admin", "POST", target, body_of(&der, 1), 201, NULL);
}

static void remove_one(const char *target, struct bytes der) {
    char hex[65];
    hex_of(hex, der);
    expect_admin(&g, "admin", "DELETE", arena_printf(&arena, "%s/%s", target, hex), NULL, 204,
                 NULL);
}

static void refuse(const char *target, const char *text, unsigned status, const char *code,
                   const char *reason) {
    struct reply reply = admin(&g, "admin", "POST", target, text);
    check_code(&reply, status, code);
    ck_assert_msg(strstr(reply_text(&reply, "detail"), reason) != NULL, "%s", reply.text);
    reply_free(&reply);
}

/* --- what is taken --- */

START_TEST(certificates_that_were_added_are_told_and_listed) {
    struct bytes der[2] = {authority("root", 0, "root", 0), authority("middle", 1, "root", 0)};
    struct reply reply = admin(&g, "admin", "POST", EK, body_of(der, 2));
    expect_status(reply, 201);
    const json_t *items = json_object_get(reply.json, "items");
    ck_assert_uint_eq(json_array_size(items), 2);
    static const char *const kinds[] = {"anchor", "intermediate"}, *const subjects[] = {
                                                                       "CN=root", "CN=middle"};
    for (size_t i = 0; i < 2; i++) {
        char hex[65];
        const json_t *item = json_array_get(items, i);
        hex_of(hex, der[i]);
        ck_assert_str_eq(json_string_value(json_object_get(item, "sha256")), hex);
        ck_assert_str_eq(json_string_value(json_object_get(item, "kind")), kinds[i]);
        ck_assert_str_eq(json_string_value(json_object_get(item, "subject")), subjects[i]);
        ck_assert_str_eq(json_string_value(json_object_get(item, "not_after")),
                         "2027-09-21T14:13:20Z");
        ck_assert_str_eq(json_string_value(json_object_get(item, "added_by")), "admin");
    }
    reply_free(&reply);
    ck_assert_uint_eq(count(EK), 2);
    ck_assert_uint_eq(count(IDEVID), 0);
}
END_TEST

START_TEST(certificates_are_listed_in_pages) {
    for (size_t i = 0; i < 5; i++) {
        static const char *const names[] = {"a", "b", "c", "d", "e"};
        add(IDEVID, authority(names[i], i, names[i], i));
    }
    const char *cursor = "";
    size_t seen = 0;
    char before[65] = "";
    while (cursor != NULL) {
        const char *target = cursor[0] == '\0'
                                 ? IDEVID "?limit=2"
                                 : arena_printf(&arena, IDEVID "?limit=2&cursor=%s", cursor);
        struct reply reply = admin(&g, "viewer", "GET", target, NULL);
        expect_status(reply, 200);
        const json_t *items = json_object_get(reply.json, "items");
        for (size_t i = 0; i < json_array_size(items); i++) {
            const char *hex =
                json_string_value(json_object_get(json_array_get(items, i), "sha256"));
            ck_assert_int_gt(strcmp(hex, before), 0);
            (void)snprintf(before, sizeof before, "%s", hex);
            seen++;
        }
        cursor = arena_text(&arena, json_string_value(json_object_get(reply.json, "next_cursor")));
        reply_free(&reply);
    }
    ck_assert_uint_eq(seen, 5);
    expect_admin(&g, "viewer", "GET", IDEVID "?cursor=x", NULL, 400, "invalid_parameter");
}
END_TEST

START_TEST(certificate_that_is_there_already_is_a_conflict_and_nothing_of_it_stays) {
    struct bytes der[3] = {authority("a", 0, "a", 0), authority("b", 1, "b", 1),
                           authority("c", 2, "c", 2)};
    add(EK, der[1]);
    refuse(EK, body_of(der, 3), 409, "certificate_in_use", "number 2");
    ck_assert_uint_eq(count(EK), 1);
    struct bytes twice[2] = {der[0], der[0]};
    refuse(EK, body_of(twice, 2), 409, "certificate_in_use", "number 2");
    ck_assert_uint_eq(count(EK), 1);
    /* For the other purpose, and for another model, it is another thing. */
    add(IDEVID, der[1]);
    gateway_add_model(&g, "other");
    add("/v1/models/other/ek-trust", der[1]);
}
END_TEST

START_TEST(certificate_that_cannot_serve_is_refused_with_its_number_and_nothing_stays) {
    struct cert_spec leaf = cert_leaf("leaf", 2, "root", 0), limited = cert_ca("x", 1, "x", 1),
                     oaep = cert_ca("y", CERT_KEY_RSA, "root", 0), usage = cert_ca("z", 1, "z", 1);
    limited.extra[0] = cert_extension(DER_OID_OF(OID_NAME_CONSTRAINTS), true, LITERAL("\x30\x00"));
    oaep.spki = cert_oaep_spki(CERT_KEY_RSA, bytes_of(NULL, 0));
    usage.key_usage = 0x80;
    struct {
        struct bytes der;
        const char *reason;
    } wrong[] = {{cert_make(&leaf), "number 2: it is no CA"},
                 {cert_make(&limited), "number 2: authorities with nameConstraints"},
                 {cert_make(&oaep), "number 2: its key is of a kind"},
                 {cert_make(&usage), "number 2: its keyUsage lacks keyCertSign"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bytes der[2] = {authority("root", 0, "root", 0), wrong[i].der};
        refuse(EK, body_of(der, 2), 400, "invalid_field", wrong[i].reason);
        refuse(IDEVID, body_of(der, 2), 400, "invalid_field", wrong[i].reason);
    }
    ck_assert_uint_eq(count(EK) + count(IDEVID), 0);
}
END_TEST

START_TEST(body_that_is_no_pem_is_refused) {
    refuse(EK, "{\"certificates\":\"nothing\"}", 400, "invalid_field", "no PEM certificate");
    refuse(EK, "{\"certificates\":\"-----BEGIN CERTIFICATE-----\\nAA==\\n\"}", 400, "invalid_field",
           "certificate 1 is not PEM");
    refuse(EK, "{\"certificates\":\"\"}", 400, "invalid_field", "");
    refuse(EK, "{\"certificates\":[\"x\"]}", 400, "invalid_field", "");
    refuse(EK, "{}", 400, "missing_field", "certificates");
    refuse(EK, "{\"certificates\":\"x\",\"anchor\":true}", 400, "unknown_field", "anchor");
}
END_TEST

START_TEST(what_tpm_vendors_do_is_taken_for_eks_and_refused_for_factory_certificates) {
    struct cert_spec odd = cert_ca("odd", 1, "odd", 1);
    odd.serial = LITERAL("\x80\x01");
    struct bytes der = cert_make(&odd);
    add(EK, der);
    refuse(IDEVID, body_of(&der, 1), 400, "invalid_field", "negative");
}
END_TEST

START_TEST(certificate_without_its_root_is_an_anchor_when_it_is_named_as_one) {
    struct bytes der = authority("middle", 1, "root", 0);
    struct reply reply =
        admin(&g, "admin", "POST", IDEVID, pem_body(cert_trusted_pem(&arena, &der, 1)));
    expect_status(reply, 201);
    const json_t *item = json_array_get(json_object_get(reply.json, "items"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(item, "kind")), "anchor");
    reply_free(&reply);
    struct cert_spec leaf = cert_leaf("leaf", 2, "root", 0);
    struct bytes end = cert_make(&leaf);
    refuse(IDEVID, pem_body(cert_trusted_pem(&arena, &end, 1)), 400, "invalid_field", "no CA");
}
END_TEST

START_TEST(more_than_256_at_once_or_1024_in_all_are_refused) {
    struct bytes *der = arena_array(&arena, 257, sizeof *der);
    for (size_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < 257; i++) {
            struct cert_spec spec = cert_ca("many", 1, "root", 0);
            spec.not_after += (int64_t)(round * 300 + i);
            der[i] = arena_bytes(&arena, cert_make(&spec));
        }
        if (round == 0) {
            refuse(EK, body_of(der, 257), 400, "invalid_field", "more than 256");
        }
        if (round == 4) {
            refuse(EK, body_of(der, 1), 409, "too_many_anchors", "");
        } else {
            expect_admin(&g, "admin", "POST", EK, body_of(der, 256), 201, NULL);
        }
    }
    ck_assert_uint_eq(count(EK "?limit=1000"), 1000);
    /* The policy goes on. */
    expect_admin(&g, "admin", "POST", "/v1/models", "{\"name\":\"next\"}", 201, NULL);
}
END_TEST

/* --- who may --- */

START_TEST(only_an_admin_changes_what_is_trusted) {
    struct bytes der = authority("root", 0, "root", 0);
    static const char *const others[] = {"viewer", "operator", "author", "approver"};
    char hex[65];
    hex_of(hex, der);
    add(EK, der);
    add(IDEVID, der);
    for (size_t i = 0; i < 4; i++) {
        struct bytes next = authority("next", 1, "next", 1);
        expect_admin(&g, others[i], "POST", EK, body_of(&next, 1), 403, "forbidden");
        expect_admin(&g, others[i], "POST", IDEVID, body_of(&next, 1), 403, "forbidden");
        expect_admin(&g, others[i], "DELETE", arena_printf(&arena, EK "/%s", hex), NULL, 403,
                     "forbidden");
        expect_admin(&g, others[i], "DELETE", arena_printf(&arena, IDEVID "/%s", hex), NULL, 403,
                     "forbidden");
        expect_admin(&g, others[i], "GET", EK, NULL, 200, NULL);
    }
    ck_assert_uint_eq(count(EK), 1);
    ck_assert_uint_eq(count(IDEVID), 1);
}
END_TEST

START_TEST(changes_of_what_is_trusted_are_audited) {
    struct bytes der = authority("root", 0, "root", 0);
    char hex[65];
    hex_of(hex, der);
    add(EK, der);
    remove_one(EK, der);
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    const json_t *items = json_object_get(reply.json, "items");
    static const char *const actions[] = {"ek_trust.add", "ek_trust.remove"}, *const sides[] = {
                                                                                  "after",
                                                                                  "before"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *entry = json_array_get(items, json_array_size(items) - 2 + i);
        ck_assert_str_eq(json_string_value(json_object_get(entry, "action")), actions[i]);
        ck_assert_str_eq(json_string_value(json_object_get(entry, "object")), "model:acme-edge9");
        ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), "operator:admin");
        const json_t *listed = json_object_get(json_object_get(entry, sides[i]), "items");
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(listed, 0), "sha256")),
                         hex);
    }
    reply_free(&reply);
}
END_TEST

START_TEST(what_is_not_there_is_not_found) {
    struct bytes der = authority("root", 0, "root", 0);
    char hex[65];
    hex_of(hex, der);
    expect_admin(&g, "admin", "GET", "/v1/models/none/ek-trust", NULL, 404, "not_found");
    expect_admin(&g, "admin", "POST", "/v1/models/none/ek-trust", body_of(&der, 1), 404,
                 "not_found");
    expect_admin(&g, "admin", "DELETE", arena_printf(&arena, EK "/%s", hex), NULL, 404,
                 "not_found");
    add(IDEVID, der);
    expect_admin(&g, "admin", "DELETE", arena_printf(&arena, EK "/%s", hex), NULL, 404,
                 "not_found");
    hex[63] = hex[63] == '0' ? '1' : '0';
    expect_admin(&g, "admin", "DELETE", arena_printf(&arena, IDEVID "/%s", hex), NULL, 404,
                 "not_found");
    static const char *const odd[] = {"00", "zz", "0"};
    for (size_t i = 0; i < 3; i++) {
        expect_admin(&g, "admin", "DELETE", arena_printf(&arena, IDEVID "/%s", odd[i]), NULL, 404,
                     "not_found");
    }
}
END_TEST

START_TEST(storage_that_fails_changes_nothing) {
    struct bytes der = authority("root", 0, "root", 0);
    gateway_break_store(&g, true);
    expect_admin(&g, "admin", "POST", EK, body_of(&der, 1), 503, "storage_unavailable");
    gateway_break_store(&g, false);
    ck_assert_uint_eq(count(EK), 0);
    add(EK, der);
}
END_TEST

/* --- what they decide --- */

static void enrol(unsigned status, const char *code) {
    struct caller nobody = caller_nobody();
    device_enrolment_body(&g, &device, body, true);
    expect(&g,
           &(struct call){.plane = PLANE_ENROL,
                          .caller = &nobody,
                          .method = "POST",
                          .target = "/v1/enrollments",
                          .body = body},
           status, code);
}

START_TEST(model_with_anchors_of_its_own_trusts_these_and_none_else) {
    struct bytes stranger = authority("stranger", 0, "stranger", 0);
    struct bytes own = bytes_of(g.ek_ca_der, g.ek_ca_len);
    enrol(201, NULL);
    add(EK, stranger);
    enrol(422, "ek_certificate_untrusted"); /* the configuration's vendor counts no more */
    add(EK, own);
    enrol(201, NULL);
    remove_one(EK, own);
    enrol(422, "ek_certificate_untrusted");
    remove_one(EK, stranger);
    enrol(201, NULL); /* those of the configuration again */
    add(IDEVID, stranger);
    enrol(201, NULL); /* those for factory certificates say nothing of EKs */
}
END_TEST

START_TEST(anchors_of_one_model_count_for_no_other) {
    gateway_add_model(&g, "other");
    add("/v1/models/other/ek-trust", authority("stranger", 0, "stranger", 0));
    enrol(201, NULL);
    g.api->options.ek_trust = NULL;
    add("/v1/models/other/ek-trust", bytes_of(g.ek_ca_der, g.ek_ca_len));
    enrol(403, "no_ek_anchors");
}
END_TEST

START_TEST(model_brings_its_vendors_where_the_configuration_names_none) {
    g.api->options.ek_trust = NULL;
    enrol(403, "no_ek_anchors");
    add(EK, bytes_of(g.ek_ca_der, g.ek_ca_len));
    enrol(201, NULL);
}
END_TEST

START_TEST(intermediate_of_a_model_waits_for_its_root) {
    struct cert_spec middle = cert_ca("middle", 1, "root", 0);
    struct bytes ca = bytes_of(g.ek_ca_der, g.ek_ca_len);
    struct certificate c;
    ck_assert_int_eq(certificate_parse(&c, ca, NULL), STATUS_OK);
    /* The vendor's key under a root that is not there. */
    uint8_t spki[KEY_SPKI_MAX];
    struct writer w = writer_of(spki, sizeof spki);
    ck_assert_int_eq(public_key_to_spki(&w, &c.key), STATUS_OK);
    middle.spki = writer_bytes(&w);
    middle.subject_name = c.subject_name;
    middle.not_before = c.not_before;
    middle.not_after = c.not_after;
    struct bytes der = cert_make(&middle);
    add(EK, der);
    enrol(422, "ek_certificate_untrusted");
    remove_one(EK, der);
    expect_admin(&g, "admin", "POST", EK, pem_body(cert_trusted_pem(&arena, &der, 1)), 201, NULL);
    enrol(201, NULL);
}
END_TEST

int main(void) {
    TCase *t = tcase_create("anchors");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, certificates_that_were_added_are_told_and_listed);
    tcase_add_test(t, certificates_are_listed_in_pages);
    tcase_add_test(t, certificate_that_is_there_already_is_a_conflict_and_nothing_of_it_stays);
    tcase_add_test(t, certificate_that_cannot_serve_is_refused_with_its_number_and_nothing_stays);
    tcase_add_test(t, body_that_is_no_pem_is_refused);
    tcase_add_test(t, what_tpm_vendors_do_is_taken_for_eks_and_refused_for_factory_certificates);
    tcase_add_test(t, certificate_without_its_root_is_an_anchor_when_it_is_named_as_one);
    tcase_add_test(t, more_than_256_at_once_or_1024_in_all_are_refused);
    tcase_add_test(t, only_an_admin_changes_what_is_trusted);
    tcase_add_test(t, changes_of_what_is_trusted_are_audited);
    tcase_add_test(t, what_is_not_there_is_not_found);
    tcase_add_test(t, storage_that_fails_changes_nothing);
    tcase_add_test(t, model_with_anchors_of_its_own_trusts_these_and_none_else);
    tcase_add_test(t, anchors_of_one_model_count_for_no_other);
    tcase_add_test(t, model_brings_its_vendors_where_the_configuration_names_none);
    tcase_add_test(t, intermediate_of_a_model_waits_for_its_root);
    Suite *suite = suite_create("api_anchors");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

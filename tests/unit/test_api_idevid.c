/* Devices that are known by their factory certificates: how they are registered, what the device
 * plane takes of them, and when it stops. */
/* concurrent */
#include "api/idevid.h"
#include "server/base/encoding.h"
#include "server/crypto/oid.h"
#include "server/identity/device_id.h"
#include "tests/unit/factory_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LITERAL(text) bytes_of("" text, sizeof(text) - 1)
#define TRUST         "/v1/models/acme-edge9/idevid-trust"

enum { ROOT = 0, MIDDLE = FACTORY_MIDDLE, LEAF = 2, OTHER = 3 };

static struct gateway g;
static struct soft_device device;
static struct arena arena;
static struct bytes root, middle, leaf;
static char body[BODY_SIZE];

static void trust(const char *target, const struct bytes *der, size_t num) {
    const char *pem = (const char *)cert_pem(&arena, der, num).data;
    expect_admin(&g, "admin", "POST", target, factory_text_json(&arena, "certificates", pem), 201,
                 NULL);
}

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    arena_init(&arena, 1 << 24);
    root = factory_make(&arena, cert_ca("root", ROOT, "root", ROOT));
    middle = factory_make(&arena, cert_ca("middle", MIDDLE, "root", ROOT));
    leaf = factory_make(&arena, factory_leaf(&arena, "SN-0001", LEAF));
    trust(TRUST, &root, 1);
}

static void stop(void) {
    arena_free(&arena);
    device_cleanup(&device);
    gateway_stop(&g);
}

static const char *ak_base64(const struct soft_device *d) {
    uint8_t buffer[1024];
    struct writer w = writer_of(buffer, sizeof buffer);
    soft_tpm_ak(&d->tpm, &w);
    char *text = arena_alloc(&arena, 2048);
    base64_encode(text, writer_bytes(&w));
    return text;
}

static void refuse(const char *text, unsigned status, const char *code, const char *reason) {
    struct reply reply = admin(&g, "admin", "POST", "/v1/devices", text);
    check_code(&reply, status, code);
    ck_assert_msg(strstr(reply_text(&reply, "detail"), reason) != NULL, "%s", reply.text);
    reply_free(&reply);
}

/* By its factory certificate alone. */
static void register_alone(void) {
    struct bytes chain[] = {leaf, middle};
    struct reply reply =
        admin(&g, "operator", "POST", "/v1/devices",
              factory_registration(&arena, "acme-edge9", chain, 2, ak_base64(&device), NULL));
    expect_status(reply, 201);
    (void)snprintf(device.id, sizeof device.id, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    device.caller = factory_peer(chain, 2, true);
}

static bool vouches(const struct bytes *chain, size_t num) {
    const struct http_service *service = api_service(g.api, PLANE_DEVICE);
    return service->vouch(service->context, g.worker[PLANE_DEVICE], chain, num);
}

static void ask_self(const struct caller *caller, unsigned status, const char *code) {
    expect(&g,
           &(struct call){
               .plane = PLANE_DEVICE, .caller = caller, .method = "GET", .target = "/v1/self"},
           status, code);
}

/* --- alone --- */

START_TEST(device_with_a_factory_certificate_is_enrolled_by_its_registration) {
    struct public_key key;
    char id[DEVICE_ID_SIZE];
    private_key_public(cert_key(LEAF), &key);
    ck_assert_int_eq(device_id_from_key(id, &key), STATUS_OK);
    register_alone();
    ck_assert_str_eq(device.id, id);
    struct reply reply =
        admin(&g, "viewer", "GET", arena_printf(&arena, "/v1/devices/%s", id), NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "state"), "enrolled");
    ck_assert_str_eq(reply_text(&reply, "identity_kind"), "idevid");
    ck_assert_str_eq(reply_text(&reply, "identity_expires_at"), "9999-12-31T23:59:59Z");
    ck_assert_str_eq(reply_text(&reply, "ak_public"), ak_base64(&device));
    const json_t *idevid = json_object_get(reply.json, "idevid");
    ck_assert_str_eq(json_string_value(json_object_get(idevid, "serial_number")), "SN-0001");
    reply_free(&reply);
    struct bytes chain[] = {leaf, middle};
    ck_assert(vouches(chain, 2));
    ask_self(&device.caller, 200, NULL);
}
END_TEST

START_TEST(device_with_a_factory_certificate_proves_itself_and_gets_a_credential) {
    register_alone();
    check_decision(&g, device.id, "deny", "not_appraised");
    char id[33];
    gateway_add_baseline(&g, &device, id);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "verdict"), "trusted");
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(registration_by_a_certificate_that_does_not_hold_is_refused) {
    struct cert_spec spec[8];
    const char *reasons[8] = {"serialNumber",     "serialNumber", "serialNumber", "a CA's",
                              "digitalSignature", "clientAuth",   "signature by", "expired"};
    char digits[66];
    memset(digits, '7', 65);
    digits[65] = '\0';
    for (size_t i = 0; i < 8; i++) {
        spec[i] = factory_leaf(&arena,
                               i == 0   ? NULL
                               : i == 1 ? digits
                               : i == 2 ? "a\nb"
                                        : "SN-1",
                               LEAF);
    }
    spec[3].ca = 1;
    spec[4].key_usage = 0x20;
    spec[5].extended_key_usage = LITERAL(OID_SERVER_AUTH);
    spec[6].signer = OTHER;
    spec[7].not_after = 1;
    spec[7].validity = bytes_of(NULL, 0);
    const char *ak = ak_base64(&device);
    for (size_t i = 0; i < 8; i++) {
        struct bytes chain[] = {factory_make(&arena, spec[i]), middle};
        refuse(factory_registration(&arena, "acme-edge9", chain, 2, ak, NULL), 422,
               "idevid_untrusted", reasons[i]);
    }
    struct bytes chain[] = {leaf, middle};
    refuse(factory_registration(&arena, "acme-edge9", chain, 1, ak, NULL), 422, "idevid_untrusted",
           "no trusted issuer 'CN=middle'");
    gateway_add_model(&g, "other");
    refuse(factory_registration(&arena, "other", chain, 2, ak, NULL), 422, "idevid_untrusted",
           "trusts no maker");
    refuse(factory_registration(&arena, "none", chain, 2, ak, NULL), 422, "unknown_model", "none");
}
END_TEST

START_TEST(registration_that_lacks_or_mistakes_the_ak_is_refused) {
    struct bytes chain[] = {leaf, middle};
    uint8_t buffer[1024];
    struct writer w = writer_of(buffer, sizeof buffer);
    char ek[2048];
    soft_tpm_ek(&device.tpm, &w);
    base64_encode(ek, writer_bytes(&w));
    const char *ak = ak_base64(&device), *digest = "9f86d081884c7d659a2feaa0c55ad015"
                                                   "a3bf4f1b2b0b822cd15d6c15b0f00a08";
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, NULL, NULL), 400, "missing_field",
           "ak_public");
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, ek, NULL), 422, "ak_unacceptable",
           "sign");
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, "AAAA", NULL), 400, "invalid_field",
           "ak_public");
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, "?", NULL), 400, "invalid_field",
           "ak_public");
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, ak, digest), 400, "invalid_field",
           "ak_public");
    refuse(factory_registration(&arena, "acme-edge9", NULL, 0, ak, digest), 400, "missing_field",
           "idevid_certificate");
    refuse(factory_text_json(&arena, "idevid_certificate", "x"), 400, "invalid_field",
           "idevid_certificate");
}
END_TEST

START_TEST(factory_certificate_and_ak_are_of_one_device_only) {
    register_alone();
    struct bytes chain[] = {leaf, middle};
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, ak_base64(&device), NULL), 409,
           "ak_in_use", "");
    struct soft_device other;
    device_init(&other, "acme-edge9");
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, ak_base64(&other), NULL), 409,
           "already_exists", "");
    struct bytes second[] = {factory_make(&arena, factory_leaf(&arena, "SN-0002", OTHER)), middle};
    refuse(factory_registration(&arena, "acme-edge9", second, 2, ak_base64(&device), NULL), 409,
           "ak_in_use", "");
    device_cleanup(&other);
}
END_TEST

START_TEST(model_that_wants_keys_in_the_tpm_takes_no_device_by_its_certificate_alone) {
    struct reply reply =
        admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"key_protection\":\"tpm\"}");
    expect_status(reply, 200);
    reply_free(&reply);
    struct bytes chain[] = {leaf, middle};
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, ak_base64(&device), NULL), 422,
           "key_certification_required", "");
}
END_TEST

/* --- who is vouched for --- */

START_TEST(nobody_else_is_vouched_for) {
    register_alone();
    struct cert_spec stranger = factory_leaf(&arena, "SN-0001", LEAF);
    stranger.issuer = "root";
    stranger.signer = OTHER; /* by a root of the same name */
    struct bytes others[] = {
        factory_make(&arena, factory_leaf(&arena, "SN-0002", LEAF)), /* the device's key */
        factory_make(&arena,
                     factory_leaf(&arena, "SN-0001", OTHER)), /* the device's serial number */
        factory_make(&arena, stranger), root, middle};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct bytes chain[] = {others[i], middle};
        ck_assert_msg(!vouches(chain, 2), "%zu", i);
        struct caller caller = factory_peer(chain, 2, true);
        ask_self(&caller, 403, "forbidden");
    }
    struct bytes garbage[] = {LITERAL("\x30\x00"), middle};
    ck_assert(!vouches(garbage, 2));
}
END_TEST

START_TEST(chain_without_its_intermediate_holds_once_the_model_has_it) {
    register_alone();
    struct caller alone = factory_peer(&leaf, 1, true);
    ck_assert(!vouches(&leaf, 1));
    ask_self(&alone, 403, "forbidden");
    trust(TRUST, &middle, 1);
    ck_assert(vouches(&leaf, 1));
    ask_self(&alone, 200, NULL);
    /* What comes along and is no certificate spoils it. */
    struct bytes junk[] = {leaf, LITERAL("junk")};
    ck_assert(!vouches(junk, 2));
}
END_TEST

START_TEST(anchor_that_is_removed_stops_connections_too) {
    struct bytes chain[] = {leaf, middle};
    char hex[65];
    uint8_t digest[32];
    register_alone();
    ask_self(&device.caller, 200, NULL);
    digest_compute(HASH_SHA256, root, digest);
    hex_encode(hex, bytes_of(digest, 32));
    gateway_add_model(&g, "other");
    trust("/v1/models/other/idevid-trust", &root, 1); /* another model's count for nothing */
    trust("/v1/models/acme-edge9/ek-trust", &root, 1);
    expect_admin(&g, "admin", "DELETE", arena_printf(&arena, TRUST "/%s", hex), NULL, 204, NULL);
    ck_assert(!vouches(chain, 2));
    ask_self(&device.caller, 403, "forbidden");
    trust(TRUST, &root, 1);
    ck_assert(vouches(chain, 2));
    ask_self(&device.caller, 200, NULL);
}
END_TEST

START_TEST(device_that_is_retired_is_refused) {
    struct bytes chain[] = {leaf, middle};
    register_alone();
    expect_admin(&g, "operator", "POST", arena_printf(&arena, "/v1/devices/%s/retire", device.id),
                 "{\"reason\":\"sold\"}", 200, NULL);
    ck_assert(!vouches(chain, 2));
    expect(&g,
           &(struct call){.plane = PLANE_DEVICE,
                          .caller = &device.caller,
                          .method = "POST",
                          .target = "/v1/challenges",
                          .body = "{}"},
           403, "device_retired");
}
END_TEST

START_TEST(factory_certificate_that_is_unbound_is_refused) {
    struct bytes chain[] = {leaf, middle};
    register_alone();
    const char *target = arena_printf(&arena, "/v1/devices/%s", device.id);
    expect_admin(&g, "viewer", "PATCH", target, "{\"idevid_certificate\":null}", 403, "forbidden");
    expect_admin(&g, "operator", "PATCH", target, "{\"idevid_certificate\":\"x\"}", 400,
                 "invalid_field");
    expect_admin(&g, "operator", "PATCH", target, "{}", 400, "missing_field");
    ask_self(&device.caller, 200, NULL);
    struct reply reply = admin(&g, "operator", "PATCH", target, "{\"idevid_certificate\":null}");
    expect_status(reply, 200);
    ck_assert(json_is_null(json_object_get(reply.json, "idevid")));
    ck_assert(json_is_null(json_object_get(reply.json, "identity_kind")));
    reply_free(&reply);
    ck_assert(!vouches(chain, 2));
    ask_self(&device.caller, 403, "forbidden");
    reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    ck_assert_ptr_nonnull(strstr(reply.text, "\"action\":\"device.unbind_idevid\""));
    reply_free(&reply);
}
END_TEST

START_TEST(certificates_of_ours_and_of_makers_do_not_pass_for_each_other) {
    /* Bound as a factory certificate, but verified by the plane's anchors. */
    register_alone();
    struct bytes chain[] = {leaf, middle};
    struct caller caller = factory_peer(chain, 2, false);
    ask_self(&caller, 403, "forbidden");
    /* Issued by us, but vouched for. */
    struct soft_device other;
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    ask_self(&other.caller, 200, NULL);
    other.caller.peer.vouched = true;
    ask_self(&other.caller, 403, "forbidden");
    device_cleanup(&other);
}
END_TEST

START_TEST(only_the_device_plane_vouches) {
    for (enum config_plane plane = 0; plane < NUM_PLANES; plane++) {
        ck_assert((api_service(g.api, plane)->vouch != NULL) == (plane == PLANE_DEVICE));
    }
    register_alone();
    struct call call = {
        .plane = PLANE_ADMIN, .caller = &device.caller, .method = "GET", .target = "/v1/devices"};
    expect(&g, &call, 403, "forbidden");
    call.plane = PLANE_PROXY;
    call.target = arena_printf(&arena, "/v1/decisions/%s", device.id);
    expect(&g, &call, 403, "forbidden");
}
END_TEST

/* --- beside an EK --- */

static void take_out_csr(char *text) {
    char *at = strstr(text, ",\"csr\":");
    ck_assert_ptr_nonnull(at);
    (void)strcpy(at, "}");
}

START_TEST(device_with_an_ek_uses_its_factory_certificate_once_it_has_enrolled) {
    struct bytes chain[] = {leaf, middle};
    uint8_t digest[32];
    char hex[65];
    ck_assert_int_eq(public_key_spki_sha256(digest, &device.tpm.ek_public), STATUS_OK);
    hex_encode(hex, bytes_of(digest, 32));
    struct reply reply = admin(&g, "operator", "POST", "/v1/devices",
                               factory_registration(&arena, "acme-edge9", chain, 2, NULL, hex));
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "state"), "registered");
    ck_assert(json_is_null(json_object_get(reply.json, "identity_kind")));
    reply_free(&reply);
    device.caller = factory_peer(chain, 2, true);
    ck_assert(!vouches(chain, 2)); /* not before */
    ask_self(&device.caller, 403, "forbidden");
    struct caller nobody = caller_nobody();
    device_enrolment_body(&g, &device, body, true);
    take_out_csr(body);
    reply = call(&g, &(struct call){.plane = PLANE_ENROL,
                                    .caller = &nobody,
                                    .method = "POST",
                                    .target = "/v1/enrollments",
                                    .body = body});
    expect_status(reply, 201);
    device.blob = strdup(reply_text(&reply, "credential_blob"));
    device.secret = strdup(reply_text(&reply, "encrypted_secret"));
    (void)snprintf(device.enrollment, sizeof device.enrollment, "%s",
                   reply_text(&reply, "enrollment_id"));
    reply_free(&reply);
    device_activation_body(&device, body);
    reply = call(&g, &(struct call){.plane = PLANE_ENROL,
                                    .caller = &nobody,
                                    .method = "POST",
                                    .target = arena_printf(&arena, "/v1/enrollments/%s/activate",
                                                           device.enrollment),
                                    .body = body});
    expect_status(reply, 200);
    reply_free(&reply);
    ck_assert(vouches(chain, 2));
    ask_self(&device.caller, 200, NULL);
}
END_TEST

/* Its certificate stays the same when it enrols again: the AK alone tells. */
START_TEST(evidence_by_an_ak_that_is_replaced_meanwhile_counts_for_nothing) {
    struct bytes chain[] = {leaf, middle};
    uint8_t digest[32];
    char hex[65], nonce[48], baseline[33], activation[ACTIVATION_BODY];
    ck_assert_int_eq(public_key_spki_sha256(digest, &device.tpm.ek_public), STATUS_OK);
    hex_encode(hex, bytes_of(digest, 32));
    expect_admin(&g, "operator", "POST", "/v1/devices",
                 factory_registration(&arena, "acme-edge9", chain, 2, NULL, hex), 201, NULL);
    gateway_add_baseline(&g, &device, baseline);
    device.without_csr = true;
    device_join(&g, &device);
    device.caller = factory_peer(chain, 2, true);
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    device_reinstall(&device);
    struct reply reply = device_enrol(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
    device_activation_body(&device, activation);
    struct caller nobody = caller_nobody();
    struct gate *gate = gateway_hold(&g);
    struct exchange *enrolment =
        call_start(&g, &(struct call){.plane = PLANE_ENROL,
                                      .caller = &nobody,
                                      .method = "POST",
                                      .target = arena_printf(&arena, "/v1/enrollments/%s/activate",
                                                             device.enrollment),
                                      .body = activation});
    struct exchange *evidence = call_start(&g, &(struct call){.plane = PLANE_DEVICE,
                                                              .caller = &device.caller,
                                                              .method = "POST",
                                                              .target = "/v1/evidence",
                                                              .body = body});
    gateway_let_go(gate);
    reply = call_finish(&g, enrolment);
    expect_status(reply, 200);
    reply_free(&reply);
    reply = call_finish(&g, evidence);
    check_code(&reply, 403, "forbidden");
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "not_appraised");
    reply = device_prove(&g, &device); /* by its new one it does */
    expect_status(reply, 201);
    reply_free(&reply);
}
END_TEST

int main(void) {
    for (size_t i = 0; i < CERT_KEYS; i++) {
        (void)cert_key(i);
    }
    TCase *t = tcase_create("idevid");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, device_with_a_factory_certificate_is_enrolled_by_its_registration);
    tcase_add_test(t, device_with_a_factory_certificate_proves_itself_and_gets_a_credential);
    tcase_add_test(t, registration_by_a_certificate_that_does_not_hold_is_refused);
    tcase_add_test(t, registration_that_lacks_or_mistakes_the_ak_is_refused);
    tcase_add_test(t, factory_certificate_and_ak_are_of_one_device_only);
    tcase_add_test(t, model_that_wants_keys_in_the_tpm_takes_no_device_by_its_certificate_alone);
    tcase_add_test(t, nobody_else_is_vouched_for);
    tcase_add_test(t, chain_without_its_intermediate_holds_once_the_model_has_it);
    tcase_add_test(t, anchor_that_is_removed_stops_connections_too);
    tcase_add_test(t, device_that_is_retired_is_refused);
    tcase_add_test(t, factory_certificate_that_is_unbound_is_refused);
    tcase_add_test(t, certificates_of_ours_and_of_makers_do_not_pass_for_each_other);
    tcase_add_test(t, only_the_device_plane_vouches);
    tcase_add_test(t, device_with_an_ek_uses_its_factory_certificate_once_it_has_enrolled);
    tcase_add_test(t, evidence_by_an_ak_that_is_replaced_meanwhile_counts_for_nothing);
    Suite *suite = suite_create("api_idevid");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

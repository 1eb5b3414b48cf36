/* How a device comes to be known, and how it does not. */
/* concurrent */
#include "server/base/encoding.h"
#include "server/crypto/x509.h"
#include "server/tpm/public.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static char body[BODY_SIZE];

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static struct reply post(const char *target, const char *text) {
    struct caller nobody = caller_nobody();
    return call(&g, &(struct call){.plane = PLANE_ENROL,
                                   .caller = &nobody,
                                   .method = "POST",
                                   .target = target,
                                   .body = text});
}

static void refuse_enrolment(unsigned status, const char *code) {
    struct reply reply = post("/v1/enrollments", body);
    check_code(&reply, status, code);
    ck_assert_ptr_null(strstr(reply.text, "credential_blob"));
    reply_free(&reply);
}

static void enrol(struct soft_device *d) {
    struct reply reply = device_enrol(&g, d);
    expect_status(reply, 201);
    reply_free(&reply);
}

static struct reply activate_with(const struct soft_device *d, const char *text) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/enrollments/%s/activate", d->enrollment);
    return post(target, text);
}

static void refuse_activation(const struct soft_device *d, const char *text, unsigned status,
                              const char *code) {
    struct reply reply = activate_with(d, text);
    check_code(&reply, status, code);
    ck_assert_ptr_null(strstr(reply.text, "BEGIN CERTIFICATE"));
    reply_free(&reply);
}

static size_t count_devices(void) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/devices", NULL);
    expect_status(reply, 200);
    size_t num = json_array_size(json_object_get(reply.json, "items"));
    reply_free(&reply);
    return num;
}

/* --- what works --- */

START_TEST(a_device_that_has_both_keys_gets_an_identity) {
    enrol(&device);
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "state"), "enrolled");
    ck_assert_str_eq(reply_text(&reply, "device_id"), device.id);
    ck_assert_ptr_nonnull(strstr(reply_text(&reply, "trust_anchors"), "BEGIN CERTIFICATE"));
    struct arena arena;
    struct bytes der[4];
    size_t num;
    struct certificate leaf;
    char uri[128];
    arena_init(&arena, 65536);
    ck_assert(pem_certificates(&arena, der, &num, 4,
                               bytes_of_text(reply_text(&reply, "identity_certificate")),
                               NULL) == STATUS_OK);
    ck_assert(certificate_parse(&leaf, der[0], NULL) == STATUS_OK);
    (void)snprintf(uri, sizeof uri, "spiffe://gatehouse.test/identity/%s", device.id);
    ck_assert_str_eq(leaf.san_uri, uri);
    struct public_key key;
    private_key_public(device.key, &key);
    ck_assert(public_key_equal(&leaf.key, &key)); /* the request's, not one of the TPM's */
    check_decision(&g, device.id, "deny", "not_appraised");
    arena_free(&arena);
    reply_free(&reply);
}
END_TEST

START_TEST(the_device_id_follows_from_the_ek) {
    uint8_t digest[32];
    char id[65];
    enrol(&device);
    ck_assert(public_key_spki_sha256(digest, &device.tpm.ek_public) == STATUS_OK);
    hex_encode(id, bytes_of(digest, 16));
    ck_assert_str_eq(device.id, id);
}
END_TEST

START_TEST(an_enrolment_without_activation_makes_no_device) {
    enrol(&device);
    ck_assert_uint_eq(count_devices(), 0);
    check_decision(&g, device.id, "deny", "unknown_device");
}
END_TEST

/* --- keys that do not do --- */

START_TEST(an_ek_certificate_is_required) {
    device_enrolment_body(&g, &device, body, false);
    refuse_enrolment(422, "ek_certificate_required");
}
END_TEST

START_TEST(an_ek_certificate_of_an_unknown_authority_is_refused) {
    struct private_key *mine = g.ek_ca, *theirs;
    uint8_t der[2048];
    struct writer out = writer_of(der, sizeof der);
    soft_ca(&theirs, &out, 1700000000);
    g.ek_ca = theirs;
    device_enrolment_body(&g, &device, body, true);
    g.ek_ca = mine;
    private_key_free(theirs);
    refuse_enrolment(422, "ek_certificate_untrusted");
}
END_TEST

/* Replaces the vendors in force; `der` empty: by what is no certificate. */
static enum status trust_only(struct bytes der) {
    struct arena arena;
    arena_init(&arena, 65536);
    const char *pem = der.len == 0 ? "broken" : certificate_to_pem(&arena, der);
    enum status status = ek_trust_replace(g.ek_trust, bytes_of_text(pem), NULL);
    arena_free(&arena);
    return status;
}

START_TEST(vendors_that_were_replaced_vouch_no_more) {
    struct private_key *theirs;
    uint8_t der[2048];
    struct writer out = writer_of(der, sizeof der);
    soft_ca(&theirs, &out, 1700000000);
    private_key_free(theirs);
    ck_assert_int_eq(trust_only(writer_bytes(&out)), STATUS_OK);
    device_enrolment_body(&g, &device, body, true);
    refuse_enrolment(422, "ek_certificate_untrusted");
    ck_assert_int_eq(trust_only(bytes_of(g.ek_ca_der, g.ek_ca_len)), STATUS_OK);
    ck_assert_int_eq(trust_only(bytes_of(NULL, 0)), STATUS_MALFORMED); /* what is in force stays */
    enrol(&device);
}
END_TEST

START_TEST(another_devices_ek_certificate_is_refused) {
    struct soft_device other;
    device_init(&other, "acme-edge9");
    char *theirs = malloc(BODY_SIZE);
    ck_assert_ptr_nonnull(theirs);
    device_enrolment_body(&g, &device, body, true);
    device_enrolment_body(&g, &other, theirs, true);
    /* The EK of one with the certificate of the other: same model, same sizes before it. */
    const char *name = "\"ek_certificate\":\"";
    char *mine_at = strstr(body, name), *mine_end = strchr(mine_at + strlen(name), '"');
    char *their_at = strstr(theirs, name), *their_end = strchr(their_at + strlen(name), '"');
    char *mixed = malloc(BODY_SIZE);
    ck_assert_ptr_nonnull(mixed);
    (void)snprintf(mixed, BODY_SIZE, "%.*s%.*s%s", (int)(mine_at - body), body,
                   (int)(their_end - their_at), their_at, mine_end);
    strcpy(body, mixed);
    refuse_enrolment(422, "ek_certificate_untrusted");
    free(theirs);
    free(mixed);
    device_cleanup(&other);
}
END_TEST

static const uint32_t ek_wrong[] = {TPM_FIXED_TPM,  TPM_FIXED_PARENT, TPM_SENSITIVE_DATA_ORIGIN,
                                    TPM_RESTRICTED, TPM_DECRYPT,      TPM_SIGN};
static const uint32_t ak_wrong[] = {TPM_FIXED_TPM,  TPM_FIXED_PARENT, TPM_SENSITIVE_DATA_ORIGIN,
                                    TPM_RESTRICTED, TPM_SIGN,         TPM_DECRYPT};

START_TEST(an_ek_with_a_wrong_attribute_is_refused) {
    device.tpm.ek_attributes ^= ek_wrong[_i];
    device_enrolment_body(&g, &device, body, true);
    refuse_enrolment(422, "ek_unacceptable");
}
END_TEST

START_TEST(an_ak_with_a_wrong_attribute_is_refused) {
    device.tpm.ak_attributes ^= ak_wrong[_i];
    device_enrolment_body(&g, &device, body, true);
    refuse_enrolment(422, "ak_unacceptable");
}
END_TEST

START_TEST(an_ek_does_not_pass_for_an_ak) {
    device_enrolment_body(&g, &device, body, true);
    char *ek = strstr(body, "\"ek_public\":\"") + 13;
    size_t ek_len = strcspn(ek, "\"");
    char *copy = strndup(ek, ek_len);
    char *ak = strstr(body, "\"ak_public\":\"") + 13;
    char *rest = strdup(strchr(ak, '"'));
    ck_assert(copy != NULL && rest != NULL);
    (void)sprintf(ak, "%s%s", copy, rest);
    free(copy);
    free(rest);
    refuse_enrolment(422, "ak_unacceptable");
}
END_TEST

START_TEST(a_request_without_proof_of_possession_is_refused) {
    device_enrolment_body(&g, &device, body, true);
    char *end = strrchr(body, '"') - 8; /* in the signature */
    *end = *end == 'A' ? 'B' : 'A';
    refuse_enrolment(422, "csr_invalid");
}
END_TEST

START_TEST(an_unknown_model_is_refused) {
    (void)strcpy(device.model, "no-such-model");
    device_enrolment_body(&g, &device, body, true);
    refuse_enrolment(422, "unknown_model");
}
END_TEST

START_TEST(a_closed_model_takes_no_new_devices) {
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"enrolment\":\"closed\"}", 200,
                 NULL);
    device_enrolment_body(&g, &device, body, true);
    refuse_enrolment(403, "enrolment_closed");
}
END_TEST

START_TEST(devices_are_not_told_why_a_key_was_refused) {
    device.tpm.ak_attributes ^= TPM_RESTRICTED;
    device_enrolment_body(&g, &device, body, true);
    struct reply reply = post("/v1/enrollments", body);
    ck_assert_ptr_null(strstr(reply.text, "restricted"));
    reply_free(&reply);
}
END_TEST

/* --- activation --- */

START_TEST(a_value_that_the_gateway_returned_activates_nothing) {
    char text[4096];
    enrol(&device);
    (void)snprintf(text, sizeof text, "{\"secret\":\"%.64s\"}", device.blob);
    if (_i == 1) {
        (void)snprintf(text, sizeof text, "{\"secret\":\"%.64s\"}", device.secret);
    } else if (_i == 2) {
        (void)snprintf(text, sizeof text, "{\"secret\":\"%.32s\"}", device.enrollment);
    } else if (_i == 3) { /* the id of the device, as 16 bytes */
        (void)snprintf(text, sizeof text, "{\"secret\":\"%.32s\"}", device.id);
    }
    refuse_activation(&device, text, 403, "activation_failed");
    ck_assert_uint_eq(count_devices(), 0);
}
END_TEST

START_TEST(a_wrong_secret_uses_the_enrolment_up) {
    char text[256];
    enrol(&device);
    refuse_activation(&device, "{\"secret\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", 403,
                      "activation_failed");
    device_activation_body(&device, text);
    refuse_activation(&device, text, 404, "not_found");
    ck_assert_uint_eq(count_devices(), 0);
}
END_TEST

START_TEST(an_empty_secret_is_refused) {
    enrol(&device);
    refuse_activation(&device, "{\"secret\":\"\"}", 400, "invalid_field");
    refuse_activation(&device, "{\"secret\":null}", 400, "missing_field");
    refuse_activation(&device, "{}", 400, "missing_field");
}
END_TEST

START_TEST(an_enrolment_gives_one_identity_however_often_it_is_asked) {
    char text[256], first[8192];
    enrol(&device);
    device_activation_body(&device, text);
    struct reply reply = activate_with(&device, text);
    expect_status(reply, 200);
    (void)snprintf(first, sizeof first, "%s", reply_text(&reply, "identity_certificate"));
    reply_free(&reply);
    reply = activate_with(&device, text);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "identity_certificate"), first);
    reply_free(&reply);
    ck_assert_uint_eq(count_devices(), 1);
}
END_TEST

START_TEST(another_devices_id_cannot_be_enrolled) {
    struct soft_device thief;
    device_join(&g, &device);
    device_init(&thief, "acme-edge9");
    /* The thief shows the victim's EK and certificate, its own AK and request. */
    struct soft_ek *own_ek = thief.tpm.ek;
    struct public_key own_public = thief.tpm.ek_public;
    thief.tpm.ek = device.tpm.ek;
    thief.tpm.ek_public = device.tpm.ek_public;
    enrol(&thief);
    ck_assert_str_eq(thief.id, device.id);
    thief.tpm.ek = own_ek;
    thief.tpm.ek_public = own_public;
    struct arena arena;
    struct bytes blob, secret;
    uint8_t plain[SOFT_SECRET_MAX];
    size_t len;
    arena_init(&arena, 65536);
    ck_assert(base64_decode_arena(&arena, &blob, thief.blob, strlen(thief.blob), NULL) ==
              STATUS_OK);
    ck_assert(base64_decode_arena(&arena, &secret, thief.secret, strlen(thief.secret), NULL) ==
              STATUS_OK);
    ck_assert(!soft_tpm_activate(&thief.tpm, plain, &len, blob, secret)); /* it lacks the EK */
    refuse_activation(&thief, "{\"secret\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", 403,
                      "activation_failed");
    ck_assert_uint_eq(count_devices(), 1);
    arena_free(&arena);
    device_cleanup(&thief);
}
END_TEST

START_TEST(an_ak_of_another_device_is_refused) {
    struct soft_device other;
    char text[256];
    device_join(&g, &device);
    device_init(&other, "acme-edge9");
    struct private_key *ak = other.tpm.ak;
    struct public_key ak_public = other.tpm.ak_public;
    other.tpm.ak = device.tpm.ak; /* it would have to sit in both TPMs */
    other.tpm.ak_public = device.tpm.ak_public;
    enrol(&other);
    device_activation_body(&other, text);
    refuse_activation(&other, text, 409, "ak_in_use");
    other.tpm.ak = ak;
    other.tpm.ak_public = ak_public;
    device_cleanup(&other);
}
END_TEST

START_TEST(an_expired_enrolment_is_refused) {
    char text[256];
    g.config.enrolment_expiry_s = 0;
    enrol(&device);
    device_activation_body(&device, text);
    refuse_activation(&device, text, 410, "enrollment_expired");
}
END_TEST

START_TEST(pending_enrolments_are_capped_by_address) {
    for (unsigned i = 0; i < g.config.enrolment_pending_per_ip; i++) {
        enrol(&device);
    }
    struct reply reply = device_enrol(&g, &device);
    check_code(&reply, 429, "too_many_pending");
    ck_assert_str_ne(reply_header(&reply, "Retry-After"), "");
    reply_free(&reply);
}
END_TEST

START_TEST(an_address_may_enrol_only_so_often) {
    struct reply reply = {0};
    for (unsigned i = 0; i <= g.config.enrolment_per_ip_per_minute; i++) {
        reply_free(&reply);
        reply = post("/v1/enrollments", "{}");
        ck_assert(reply.status == 400 || reply.status == 429);
    }
    check_code(&reply, 429, "rate_limited");
    ck_assert_str_ne(reply_header(&reply, "Retry-After"), "");
    reply_free(&reply);
    reply = post("/v1/enrollments/0123456789abcdef0123456789abcdef/activate", "{}");
    check_code(&reply, 429, "rate_limited"); /* guessing secrets is counted too */
    reply_free(&reply);
}
END_TEST

START_TEST(a_model_that_closes_takes_none_that_had_begun) {
    char text[256];
    enrol(&device);
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"enrolment\":\"closed\"}", 200,
                 NULL);
    device_activation_body(&device, text);
    refuse_activation(&device, text, 403, "enrolment_closed");
    ck_assert_uint_eq(count_devices(), 0);
}
END_TEST

START_TEST(a_model_that_went_away_takes_none_that_had_begun) {
    char text[256];
    enrol(&device);
    expect_admin(&g, "admin", "DELETE", "/v1/models/acme-edge9", NULL, 204, NULL);
    device_activation_body(&device, text);
    refuse_activation(&device, text, 404, "not_found"); /* it went with its model */
}
END_TEST

START_TEST(store_trouble_while_activating_makes_no_device) {
    char text[256];
    enrol(&device);
    device_activation_body(&device, text);
    gateway_break_store(&g, true);
    struct reply reply = activate_with(&device, text);
    gateway_break_store(&g, false);
    check_code(&reply, 503, "storage_unavailable");
    reply_free(&reply);
    ck_assert_uint_eq(count_devices(), 0);
    reply = activate_with(&device, text); /* and it is not used up */
    expect_status(reply, 200);
    reply_free(&reply);
}
END_TEST

/* --- bodies --- */

static const struct {
    const char *body, *code, *detail;
} malformed[] = {
    {"", "malformed_json", "byte 0"},
    {"{\"model\":", "malformed_json", "byte 9"},
    {"[1]", "malformed_json", "not an object"},
    {"{\"model\":\"a\",\"model\":\"b\"}", "malformed_json", "twice"},
    {"{\"model\":\"a\",\"extra\":1}", "unknown_field", "extra"},
    {"{\"model\":\"a\"}", "missing_field", "ek_public"},
    {"{\"model\":7}", "invalid_field", "model"},
    {"{\"model\":\"\"}", "invalid_field", "model"},
    {"{\"model\":\"a\",\"ek_public\":\"A\",\"ak_public\":\"AA==\",\"csr\":\"AA==\"}",
     "malformed_base64", "ek_public"},
    {"{\"model\":\"a\",\"ek_public\":\"AB==\",\"ak_public\":\"AA==\",\"csr\":\"AA==\"}",
     "malformed_base64", "ek_public"},
    {"{\"model\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{"
     "\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}}}}}}}}",
     "malformed_json", "deeper"},
};

START_TEST(a_malformed_body_is_refused_and_named) {
    struct reply reply = post("/v1/enrollments", malformed[_i].body);
    check_code(&reply, 400, malformed[_i].code);
    ck_assert_msg(strstr(reply_text(&reply, "detail"), malformed[_i].detail) != NULL, "%s",
                  reply.text);
    reply_free(&reply);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("api_enrolment");
    TCase *t = tcase_create("enrolment");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_device_that_has_both_keys_gets_an_identity);
    tcase_add_test(t, the_device_id_follows_from_the_ek);
    tcase_add_test(t, an_enrolment_without_activation_makes_no_device);
    tcase_add_test(t, an_ek_certificate_is_required);
    tcase_add_test(t, an_ek_certificate_of_an_unknown_authority_is_refused);
    tcase_add_test(t, vendors_that_were_replaced_vouch_no_more);
    tcase_add_test(t, another_devices_ek_certificate_is_refused);
    tcase_add_loop_test(t, an_ek_with_a_wrong_attribute_is_refused, 0, 6);
    tcase_add_loop_test(t, an_ak_with_a_wrong_attribute_is_refused, 0, 6);
    tcase_add_test(t, an_ek_does_not_pass_for_an_ak);
    tcase_add_test(t, a_request_without_proof_of_possession_is_refused);
    tcase_add_test(t, an_unknown_model_is_refused);
    tcase_add_test(t, a_closed_model_takes_no_new_devices);
    tcase_add_test(t, devices_are_not_told_why_a_key_was_refused);
    tcase_add_loop_test(t, a_value_that_the_gateway_returned_activates_nothing, 0, 4);
    tcase_add_test(t, a_wrong_secret_uses_the_enrolment_up);
    tcase_add_test(t, an_empty_secret_is_refused);
    tcase_add_test(t, an_enrolment_gives_one_identity_however_often_it_is_asked);
    tcase_add_test(t, another_devices_id_cannot_be_enrolled);
    tcase_add_test(t, an_ak_of_another_device_is_refused);
    tcase_add_test(t, an_expired_enrolment_is_refused);
    tcase_add_test(t, pending_enrolments_are_capped_by_address);
    tcase_add_test(t, an_address_may_enrol_only_so_often);
    tcase_add_test(t, a_model_that_closes_takes_none_that_had_begun);
    tcase_add_test(t, a_model_that_went_away_takes_none_that_had_begun);
    tcase_add_test(t, store_trouble_while_activating_makes_no_device);
    tcase_add_loop_test(t, a_malformed_body_is_refused_and_named, 0,
                        sizeof malformed / sizeof malformed[0]);
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

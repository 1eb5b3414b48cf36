/* From a challenge to a credential, and everything that must not lead there. */
/* concurrent */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/identity/device_id.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;
static char body[BODY_SIZE], baseline[33];

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static void must_prove(struct soft_device *d, char serial[static 33]) {
    struct reply reply = device_prove(&g, d);
    expect_status(reply, 201);
    const json_t *credential = json_object_get(reply.json, "credential");
    (void)snprintf(serial, 33, "%s", json_string_value(json_object_get(credential, "serial")));
    reply_free(&reply);
}

static void prepare(struct soft_device *d) {
    char nonce[48];
    device_challenge(&g, d, nonce);
    device_evidence_body(d, body, nonce);
}

static void send(struct soft_device *d, unsigned status, const char *code) {
    struct reply reply = device_send(&g, d, body);
    check_code(&reply, status, code);
    reply_free(&reply);
}

/* The number of things that GET `target` lists. */
static size_t count_items(const char *target) {
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    size_t num = json_array_size(json_object_get(reply.json, "items"));
    reply_free(&reply);
    return num;
}

static size_t count_appraisals(const struct soft_device *d) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/appraisals", d->id);
    return count_items(target);
}

/* --- what leads to a credential --- */

START_TEST(evidence_that_meets_a_baseline_earns_a_credential) {
    int64_t now = clock_unix();
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "verdict"), "trusted");
    ck_assert_str_eq(reply_text(&reply, "tier"), "measured");
    const json_t *credential = json_object_get(reply.json, "credential");
    const char *pem = json_string_value(json_object_get(credential, "certificate"));
    struct arena arena;
    struct bytes der[4];
    size_t num;
    struct certificate leaf;
    arena_init(&arena, 65536);
    ck_assert(pem_certificates(&arena, der, &num, 4, bytes_of_text(pem), NULL) == STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert(certificate_parse(&leaf, der[0], NULL) == STATUS_OK);
    char uri[128], serial[65];
    (void)snprintf(uri, sizeof uri, "spiffe://gatehouse.test/device/%s", device.id);
    ck_assert_str_eq(leaf.san_uri, uri);
    ck_assert_uint_eq(leaf.serial_len, 16);
    hex_encode(serial, bytes_of(leaf.serial, leaf.serial_len));
    ck_assert_str_eq(json_string_value(json_object_get(credential, "serial")), serial);
    ck_assert_int_ge(leaf.not_after, now + 3600);
    ck_assert_int_le(leaf.not_after, now + 3605);
    ck_assert_int_le(leaf.not_before, now - 55);
    check_decision(&g, device.id, "allow", "trusted");
    arena_free(&arena);
    reply_free(&reply);
}
END_TEST

START_TEST(a_renewal_leaves_the_credential_before_it_valid) {
    char first[33], second[33], target[96];
    must_prove(&device, first);
    must_prove(&device, second);
    ck_assert_str_ne(first, second);
    (void)snprintf(target, sizeof target, "/v1/credentials?valid=true&device_id=%s", device.id);
    ck_assert_uint_eq(count_items(target), 2);
}
END_TEST

START_TEST(credentials_last_as_long_as_the_model_says) {
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"credential_lifetime_s\":86400}",
                 200, NULL);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    const json_t *credential = json_object_get(reply.json, "credential");
    int64_t before, after;
    ck_assert(rfc3339_parse(&before, json_string_value(
                                         json_object_get(credential, "not_before"))) == STATUS_OK);
    ck_assert(rfc3339_parse(&after, json_string_value(json_object_get(credential, "not_after"))) ==
              STATUS_OK);
    ck_assert_int_eq(after - before, 86400);
    reply_free(&reply);
}
END_TEST

START_TEST(a_challenge_says_what_is_wanted) {
    struct reply reply = call(&g, &(struct call){.plane = PLANE_DEVICE,
                                                 .caller = &device.caller,
                                                 .method = "POST",
                                                 .target = "/v1/challenges"});
    expect_status(reply, 201);
    const json_t *selection = json_object_get(reply.json, "pcr_selection");
    ck_assert_uint_eq(json_array_size(json_object_get(selection, "sha256")), 11);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(reply.json, "wanted"), 0)),
                     "tcg_event_log");
    ck_assert_str_ne(reply_text(&reply, "expires_at"), "");
    reply_free(&reply);
}
END_TEST

START_TEST(a_device_sees_its_own_standing) {
    char serial[33];
    must_prove(&device, serial);
    struct reply reply = call(&g, &(struct call){.plane = PLANE_DEVICE,
                                                 .caller = &device.caller,
                                                 .method = "GET",
                                                 .target = "/v1/self"});
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "device_id"), device.id);
    ck_assert_str_eq(reply_text(&reply, "decision"), "allow");
    ck_assert_str_eq(reply_text(&reply, "verdict"), "trusted");
    reply_free(&reply);
}
END_TEST

/* --- nonces --- */

START_TEST(a_nonce_is_good_once) {
    prepare(&device);
    send(&device, 201, NULL);
    send(&device, 409, "nonce_used");
}
END_TEST

START_TEST(a_nonce_is_used_up_by_evidence_that_fails) {
    char nonce[48];
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    char *signature = strstr(body, "\"signature\":\"") + 40;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    send(&device, 422, "quote_signature_invalid");
    device_evidence_body(&device, body, nonce);
    send(&device, 409, "nonce_used");
}
END_TEST

START_TEST(a_nonce_that_was_never_given_is_refused) {
    device_evidence_body(&device, body, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    send(&device, 409, "nonce_unknown");
}
END_TEST

START_TEST(a_nonce_that_is_too_short_is_refused) {
    device_evidence_body(&device, body, "AAAA");
    send(&device, 409, "nonce_unknown");
}
END_TEST

START_TEST(another_devices_nonce_is_refused) {
    struct soft_device other;
    char nonce[48];
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    device_challenge(&g, &other, nonce);
    device_evidence_body(&device, body, nonce);
    send(&device, 409, "nonce_unknown");
    device_evidence_body(&other, body, nonce);
    send(&other, 201, NULL); /* and it is still good where it belongs */
    device_cleanup(&other);
}
END_TEST

START_TEST(a_quote_by_another_devices_ak_is_refused) {
    struct soft_device other;
    char nonce[48];
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    device_challenge(&g, &device, nonce);
    device_evidence_body(&other, body, nonce); /* the right nonce, the other's TPM */
    send(&device, 422, "quote_signature_invalid");
    check_decision(&g, device.id, "deny", "not_appraised");
    device_cleanup(&other);
}
END_TEST

START_TEST(a_quote_over_another_nonce_is_refused) {
    char nonce[48], other[48];
    device_challenge(&g, &device, nonce);
    device_challenge(&g, &device, other);
    device_evidence_body(&device, body, nonce);
    memcpy(strstr(body, "\"nonce\":\"") + 9, other,
           44); /* the body says one, the quote the other */
    send(&device, 422, "nonce_mismatch");
}
END_TEST

START_TEST(a_challenge_from_before_the_selection_changed_is_refused) {
    prepare(&device);
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9",
                 "{\"pcr_selection\":\"sha256:0-10,14\"}", 200, NULL);
    send(&device, 409, "challenge_outdated");
}
END_TEST

/* --- replay and time --- */

START_TEST(a_quote_that_was_seen_before_is_refused) {
    char serial[33];
    must_prove(&device, serial);
    device.tpm.clock--; /* the next quote says the very same time */
    prepare(&device);
    send(&device, 422, "clock_went_back");
}
END_TEST

START_TEST(a_clock_that_goes_back_is_refused) {
    char serial[33];
    device.tpm.clock = 100000;
    must_prove(&device, serial);
    device.tpm.clock = 50000;
    prepare(&device);
    send(&device, 422, "clock_went_back");
    check_decision(&g, device.id, "allow", "trusted"); /* the standing is as it was */
}
END_TEST

START_TEST(a_reset_count_that_goes_back_is_refused) {
    char serial[33];
    device.tpm.reset_count = 7;
    must_prove(&device, serial);
    device.tpm.reset_count = 6;
    device.tpm.clock += 100000;
    prepare(&device);
    send(&device, 422, "clock_went_back");
}
END_TEST

START_TEST(a_reset_lets_the_clock_start_anew) {
    char serial[33];
    device.tpm.clock = 100000;
    must_prove(&device, serial);
    device_boot(&device);
    device.tpm.clock = 5;
    must_prove(&device, serial);
}
END_TEST

/* --- evidence that verifies against nothing --- */

START_TEST(evidence_that_does_not_verify_leaves_the_standing) {
    char serial[33];
    must_prove(&device, serial);
    prepare(&device);
    char *signature = strstr(body, "\"signature\":\"") + 60;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    send(&device, 422, "quote_signature_invalid");
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(evidence_that_does_not_verify_is_recorded) {
    prepare(&device);
    char *signature = strstr(body, "\"signature\":\"") + 60;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    struct reply reply = device_send(&g, &device, body);
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "failure"), "quote_signature_invalid");
    ck_assert_str_eq(reply_text(&reply, "verdict"), "unknown");
    reply_free(&reply);
}
END_TEST

START_TEST(a_log_that_does_not_replay_is_refused) {
    char nonce[48];
    device_challenge(&g, &device, nonce);
    device.log[device.log_len - 1] ^= 1; /* data only: the digests stay */
    device_evidence_body(&device, body, nonce);
    device.log[device.log_len - 1] ^= 1;
    struct reply reply = device_send(&g, &device, body);
    ck_assert(reply.status == 201); /* data is a claim; digests are what is replayed */
    reply_free(&reply);
    static const uint8_t more[32] = {9};
    soft_tpm_extend(&device.tpm, 7, more); /* the PCR moves, the log does not */
    prepare(&device);
    send(&device, 422, "log_does_not_replay");
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(a_request_that_does_not_verify_is_refused) {
    char nonce[48];
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    char *csr = strstr(body, "\"csr\":\"") + 200;
    csr[0] = csr[0] == 'A' ? 'B' : 'A';
    send(&device, 422, "csr_invalid");
    check_decision(&g, device.id, "deny", "not_appraised");
}
END_TEST

static const struct {
    const char *body, *code;
} malformed[] = {
    {"", "malformed_json"},
    {"{", "malformed_json"},
    {"[]", "malformed_json"},
    {"{\"nonce\":\"AA==\",\"nonce\":\"AA==\"}", "malformed_json"},
    {"{}", "missing_field"},
    {"{\"nonce\":\"AAAA\",\"tpm2\":{\"quote\":\"AAAA\",\"signature\":\"AAAA\"}}", "missing_field"},
    {"{\"nonce\":\"!\",\"tpm2\":{\"quote\":\"AAAA\",\"signature\":\"AAAA\"}}", "malformed_base64"},
    {"{\"nonce\":1,\"tpm2\":{\"quote\":\"AAAA\",\"signature\":\"AAAA\"}}", "invalid_field"},
    {"{\"nonce\":\"AAAA\",\"tpm2\":{\"quote\":\"AAAA\",\"signature\":\"AAAA\"},\"verdict\":"
     "\"trusted\"}",
     "unknown_field"},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "malformed_json"},
};

START_TEST(malformed_evidence_leaves_nothing) {
    struct reply reply = device_send(&g, &device, malformed[_i].body);
    check_code(&reply, 400, malformed[_i].code);
    reply_free(&reply);
    ck_assert_uint_eq(count_appraisals(&device), 0);
}
END_TEST

START_TEST(evidence_that_cannot_be_read_leaves_an_audit_entry_only) {
    char nonce[48];
    device_challenge(&g, &device, nonce);
    size_t len = device.log_len;
    device.log_len -= 3; /* inside the last event */
    device_evidence_body(&device, body, nonce);
    device.log_len = len;
    struct reply reply = device_send(&g, &device, body);
    check_code(&reply, 400, "evidence_malformed");
    ck_assert_ptr_nonnull(strstr(reply_text(&reply, "detail"), "at byte "));
    ck_assert_ptr_null(json_object_get(reply.json, "appraisal_id"));
    reply_free(&reply);
    ck_assert_uint_eq(count_appraisals(&device), 0);
    reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    expect_status(reply, 200);
    ck_assert_ptr_nonnull(strstr(reply.text, "evidence.refuse"));
    ck_assert_ptr_nonnull(strstr(reply.text, "evidence_malformed"));
    reply_free(&reply);
}
END_TEST

/* --- verdicts --- */

START_TEST(untrusted_evidence_is_denied_with_codes_only) {
    device_break_boot(&device);
    prepare(&device);
    struct reply reply = device_send(&g, &device, body);
    check_code(&reply, 403, "untrusted");
    const json_t *findings = json_object_get(reply.json, "findings");
    ck_assert_uint_ge(json_array_size(findings), 1);
    ck_assert_str_eq(json_string_value(json_array_get(findings, 0)), "pcr_mismatch");
    ck_assert_ptr_null(strstr(reply.text, "expected"));
    check_decision(&g, device.id, "deny", "untrusted");
    reply_free(&reply);
}
END_TEST

START_TEST(an_administrator_sees_what_was_expected_and_found) {
    device_break_boot(&device);
    prepare(&device);
    struct reply reply = device_send(&g, &device, body);
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    const json_t *finding = json_array_get(json_object_get(reply.json, "findings"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(finding, "pcr")), 4);
    ck_assert(json_is_string(json_object_get(finding, "expected")));
    ck_assert(json_is_string(json_object_get(finding, "found")));
    ck_assert_str_eq(reply_text(&reply, "baseline_id"), baseline);
    const json_t *facts = json_object_get(reply.json, "facts");
    ck_assert(json_is_object(json_object_get(json_object_get(facts, "pcrs"), "sha256")));
    reply_free(&reply);
}
END_TEST

START_TEST(untrusted_evidence_revokes_every_credential_of_the_device) {
    char first[33], second[33], target[96];
    must_prove(&device, first);
    must_prove(&device, second);
    device_break_boot(&device);
    prepare(&device);
    send(&device, 403, "untrusted");
    (void)snprintf(target, sizeof target, "/v1/credentials?valid=true&device_id=%s", device.id);
    ck_assert_uint_eq(count_items(target), 0);
    (void)snprintf(target, sizeof target, "/v1/credentials/%s", first);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(reply_text(&reply, "reason"), "untrusted");
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "untrusted");
}
END_TEST

START_TEST(a_device_comes_back_with_good_evidence) {
    char serial[33];
    device_break_boot(&device);
    prepare(&device);
    send(&device, 403, "untrusted");
    device_boot(&device);
    must_prove(&device, serial);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(without_an_active_baseline_nothing_is_trusted) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/retire", baseline);
    expect_admin(&g, "approver", "POST", target, "{}", 200, NULL);
    prepare(&device);
    send(&device, 403, "untrusted");
}
END_TEST

START_TEST(old_and_new_baselines_overlap) {
    char serial[33], second[33];
    device_break_boot(&device); /* an update */
    gateway_add_baseline(&g, &device, second);
    must_prove(&device, serial);
    device_boot(&device); /* and back */
    must_prove(&device, serial);
}
END_TEST

START_TEST(a_revoked_baseline_admits_nobody) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/revoke", baseline);
    expect_admin(&g, "operator", "POST", target, "{}", 200, NULL);
    prepare(&device);
    send(&device, 403, "untrusted");
}
END_TEST

/* --- states of a device --- */

static void set_state(const struct soft_device *d, const char *step, const char *text) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/%s", d->id, step);
    expect_admin(&g, "operator", "POST", target, text, 200, NULL);
}

START_TEST(a_quarantined_device_is_denied_at_once) {
    char serial[33], target[96];
    must_prove(&device, serial);
    set_state(&device, "quarantine", "{\"reason\":\"stolen\"}");
    check_decision(&g, device.id, "deny", "quarantined");
    (void)snprintf(target, sizeof target, "/v1/credentials?valid=true&device_id=%s", device.id);
    ck_assert_uint_eq(count_items(target), 0);
}
END_TEST

START_TEST(a_quarantined_device_proves_itself_and_gets_nothing) {
    set_state(&device, "quarantine", "{\"reason\":\"stolen\"}");
    prepare(&device);
    send(&device, 403, "device_quarantined");
    ck_assert_uint_eq(count_appraisals(&device), 1);
    ck_assert_uint_eq(count_items("/v1/credentials"), 0);
    check_decision(&g, device.id, "deny", "quarantined");
}
END_TEST

START_TEST(a_released_device_must_prove_itself_anew) {
    char serial[33];
    must_prove(&device, serial);
    set_state(&device, "quarantine", "{\"reason\":\"stolen\"}");
    set_state(&device, "release", "{}");
    check_decision(&g, device.id, "deny", "not_appraised");
    must_prove(&device, serial);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(a_retired_device_gets_no_challenge_and_no_appraisal) {
    prepare(&device);
    set_state(&device, "retire", "{\"reason\":\"sold\"}");
    send(&device, 403, "device_retired");
    expect(&g,
           &(struct call){.plane = PLANE_DEVICE,
                          .caller = &device.caller,
                          .method = "POST",
                          .target = "/v1/challenges",
                          .body = "{}"},
           403, "device_retired");
    check_decision(&g, device.id, "deny", "retired");
}
END_TEST

START_TEST(a_retired_device_stays_retired) {
    char target[96];
    set_state(&device, "retire", "{\"reason\":\"sold\"}");
    (void)snprintf(target, sizeof target, "/v1/devices/%s/release", device.id);
    expect_admin(&g, "admin", "POST", target, "{}", 409, "wrong_state");
    (void)snprintf(target, sizeof target, "/v1/devices/%s/quarantine", device.id);
    expect_admin(&g, "admin", "POST", target, "{\"reason\":\"x\"}", 409, "wrong_state");
}
END_TEST

START_TEST(a_certificate_that_is_not_in_force_is_nobody) {
    struct caller stranger = caller_certificate("some other certificate of the identity authority");
    expect(&g,
           &(struct call){
               .plane = PLANE_DEVICE, .caller = &stranger, .method = "GET", .target = "/v1/self"},
           403, "forbidden");
    struct caller nobody = caller_nobody();
    expect(&g,
           &(struct call){
               .plane = PLANE_DEVICE, .caller = &nobody, .method = "GET", .target = "/v1/self"},
           403, "forbidden");
    struct caller local = caller_local();
    expect(&g,
           &(struct call){
               .plane = PLANE_DEVICE, .caller = &local, .method = "GET", .target = "/v1/self"},
           403, "forbidden");
}
END_TEST

/* Trusted when it came, while an operator's request was already waiting to be written. */
START_TEST(evidence_that_a_change_of_policy_overtakes_gets_no_credential) {
    static const struct {
        const char *role, *method, *target, *body;
        unsigned status;
    } changes[] = {
        {"operator", "POST", "/v1/baselines/%s/revoke", NULL, 200},
        {"approver", "POST", "/v1/baselines/%s/retire", NULL, 200},
        {"author", "PUT", "/v1/models/acme-edge9", "{\"key_protection\":\"tpm\"}", 200},
        {"admin", "POST", "/v1/leaked-keys",
         "{\"source\":\"a bulletin\",\"sha256\":"
         "\"1111111111111111111111111111111111111111111111111111111111111111\"}",
         201},
    };
    char target[96], nonce[48];
    const struct caller operator= caller_operator(changes[_i].role);
    (void)snprintf(target, sizeof target, changes[_i].target,
                   baseline); /* NOLINT: from the table */
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    struct gate *gate = gateway_hold(&g);
    struct exchange *change = call_start(&g, &(struct call){.plane = PLANE_ADMIN,
                                                            .caller = &operator,
                                                            .method = changes[_i].method,
                                                            .target = target,
                                                            .body = changes[_i].body});
    struct exchange *evidence = call_start(&g, &(struct call){.plane = PLANE_DEVICE,
                                                              .caller = &device.caller,
                                                              .method = "POST",
                                                              .target = "/v1/evidence",
                                                              .body = body});
    gateway_let_go(gate);
    struct reply reply = call_finish(&g, change);
    expect_status(reply, changes[_i].status);
    reply_free(&reply);
    reply = call_finish(&g, evidence);
    check_code(&reply, 409, "policy_changed");
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "not_appraised");
}
END_TEST

/* --- where the key is --- */

static struct reply get(const char *format, const char *id) {
    char target[96];
    (void)snprintf(target, sizeof target, format, id); /* NOLINT: the tests' own formats */
    return admin(&g, "viewer", "GET", target, NULL);
}

/* Good evidence, with this as its key_certification. */
static void send_certification(const char *nonce, const char *certification, unsigned status,
                               const char *code) {
    device_evidence_body(&device, body, nonce);
    size_t len = strlen(body);
    ck_assert_uint_lt(len + strlen(certification) + 64, sizeof body);
    (void)snprintf(body + len - 1, sizeof body - len, ",\"key_certification\":%s}", certification);
    send(&device, status, code);
}

static void want_keys_in_the_tpm(void) {
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"key_protection\":\"tpm\"}", 200,
                 NULL);
}

START_TEST(a_certified_key_is_said_to_be_in_the_tpm) {
    device.certifies = true;
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    const json_t *credential = json_object_get(reply.json, "credential");
    ck_assert_str_eq(json_string_value(json_object_get(credential, "key_protection")), "tpm");
    char serial[33], appraisal[33];
    (void)snprintf(serial, sizeof serial, "%s",
                   json_string_value(json_object_get(credential, "serial")));
    (void)snprintf(appraisal, sizeof appraisal, "%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    reply = get("/v1/credentials/%s", serial);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    reply_free(&reply);
    reply = get("/v1/appraisals/%s", appraisal);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    reply_free(&reply);
    reply = get("/v1/devices/%s", device.id);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    ck_assert_str_eq(reply_text(&reply, "identity_key_protection"), "unproven");
    reply_free(&reply);
    reply = call(&g, &(struct call){.plane = PLANE_DEVICE,
                                    .caller = &device.caller,
                                    .method = "GET",
                                    .target = "/v1/self"});
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    ck_assert_str_eq(reply_text(&reply, "identity_key_protection"), "unproven");
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    ck_assert_ptr_nonnull(strstr(reply.text, "\"key_protection\":\"tpm\""));
    reply_free(&reply);
}
END_TEST

START_TEST(a_key_that_nobody_certified_is_said_to_be_unproven) {
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    const json_t *credential = json_object_get(reply.json, "credential");
    ck_assert_str_eq(json_string_value(json_object_get(credential, "key_protection")), "unproven");
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "unproven");
    reply_free(&reply);
}
END_TEST

/* Whatever the model asks for: what is sent must hold. */
START_TEST(a_certification_with_another_nonce_is_refused) {
    char nonce[48], other[48], certification[4096];
    device_challenge(&g, &device, nonce);
    device_challenge(&g, &device, other);
    device_certification(&device, certification, other, SOFT_KEY);
    send_certification(nonce, certification, 422, "key_certification_invalid");
    check_decision(&g, device.id, "deny", "not_appraised");
}
END_TEST

START_TEST(a_certification_by_another_devices_ak_is_refused) {
    struct soft_device other;
    char nonce[48], certification[4096];
    device_init(&other, "acme-edge9");
    struct private_key *kept = other.key;
    other.key = device.key; /* the very key, certified elsewhere */
    device_challenge(&g, &device, nonce);
    device_certification(&other, certification, nonce, SOFT_KEY);
    other.key = kept;
    send_certification(nonce, certification, 422, "key_certification_invalid");
    device_cleanup(&other);
}
END_TEST

START_TEST(a_certification_of_another_key_is_refused) {
    char nonce[48], certification[4096];
    struct private_key *kept = device.key, *other = NULL;
    ck_assert(private_key_generate(&other, KEY_EC_P256) == STATUS_OK);
    device_challenge(&g, &device, nonce);
    device.key = other;
    device_certification(&device, certification, nonce, SOFT_KEY);
    device.key = kept;
    private_key_free(other);
    send_certification(nonce, certification, 422, "key_certification_invalid");
}
END_TEST

START_TEST(a_certified_key_of_another_kind_is_refused) {
    static const uint32_t attributes[] = {0x00040070, 0x00040062, 0x00040052,
                                          0x00000072, 0x00060072, 0x00050072};
    char nonce[48], certification[4096];
    device_challenge(&g, &device, nonce);
    device_certification(&device, certification, nonce, attributes[_i]);
    send_certification(nonce, certification, 422, "key_certification_invalid");
}
END_TEST

START_TEST(a_quote_is_no_certification) {
    char nonce[48], certification[4096];
    device_challenge(&g, &device, nonce);
    device_certification(&device, certification, nonce, SOFT_KEY);
    device_evidence_body(&device, body, nonce);
    json_t *quote = json_loads(body, 0, NULL), *certified = json_loads(certification, 0, NULL);
    const json_t *tpm2 = json_object_get(quote, "tpm2");
    (void)json_object_set(certified, "certify_info", json_object_get(tpm2, "quote"));
    (void)json_object_set(certified, "signature", json_object_get(tpm2, "signature"));
    char *text = json_dumps(certified, JSON_COMPACT);
    send_certification(nonce, text, 422, "key_certification_invalid");
    free(text);
    json_decref(quote);
    json_decref(certified);
}
END_TEST

START_TEST(a_certification_is_no_quote) {
    char nonce[48], certification[4096];
    device_challenge(&g, &device, nonce);
    device_certification(&device, certification, nonce, SOFT_KEY);
    device_evidence_body(&device, body, nonce);
    json_t *whole = json_loads(body, 0, NULL), *certified = json_loads(certification, 0, NULL);
    json_t *tpm2 = json_object_get(whole, "tpm2");
    (void)json_object_set(tpm2, "quote", json_object_get(certified, "certify_info"));
    (void)json_object_set(tpm2, "signature", json_object_get(certified, "signature"));
    char *text = json_dumps(whole, JSON_COMPACT);
    struct reply reply = device_send(&g, &device, text);
    check_code(&reply, 422, "not_a_quote");
    reply_free(&reply);
    free(text);
    json_decref(whole);
    json_decref(certified);
}
END_TEST

START_TEST(a_certification_that_cannot_be_read_is_refused) {
    static const char *const wrong[] = {
        "{\"certify_info\":\"AAAA\",\"signature\":\"AAAA\",\"public\":\"AAAA\"}",
        "{\"certify_info\":\"/1RDR4AX\",\"signature\":\"ABgACw==\",\"public\":\"AAA=\"}"};
    char nonce[48];
    device_challenge(&g, &device, nonce);
    send_certification(nonce, wrong[_i], 422, "key_certification_invalid");
}
END_TEST

START_TEST(half_a_certification_is_malformed) {
    char nonce[48];
    device_challenge(&g, &device, nonce);
    send_certification(nonce, "{\"certify_info\":\"AAAA\"}", 400, "missing_field");
    send_certification(nonce, "null", 400, "invalid_field");
}
END_TEST

START_TEST(a_refused_certification_is_recorded_and_leaves_the_standing) {
    char serial[33], nonce[48], certification[4096], target[96];
    must_prove(&device, serial);
    device_challenge(&g, &device, nonce);
    device_certification(&device, certification, "AAAA", SOFT_KEY);
    device_evidence_body(&device, body, nonce);
    size_t len = strlen(body);
    (void)snprintf(body + len - 1, sizeof body - len, ",\"key_certification\":%s}", certification);
    struct reply reply = device_send(&g, &device, body);
    check_code(&reply, 422, "key_certification_invalid");
    ck_assert_ptr_null(strstr(reply.text, "extraData")); /* what was wrong is for operators */
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "failure"), "key_certification_invalid");
    ck_assert_str_eq(reply_text(&reply, "verdict"), "unknown");
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "unproven");
    ck_assert_ptr_nonnull(strstr(reply.text, "extraData is not the nonce"));
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(a_model_that_wants_keys_in_the_tpm_takes_no_others) {
    char serial[33], target[96];
    must_prove(&device, serial);
    want_keys_in_the_tpm();
    prepare(&device);
    struct reply reply = device_send(&g, &device, body);
    check_code(&reply, 422, "key_certification_required");
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(reply_text(&reply, "failure"), "key_certification_required");
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted"); /* to the end of the lease */
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", "{\"key_protection\":\"any\"}", 200,
                 NULL);
    must_prove(&device, serial);
}
END_TEST

START_TEST(a_model_that_wants_keys_in_the_tpm_wants_it_of_the_identity_too) {
    char target[96];
    want_keys_in_the_tpm();
    device.certifies = true;
    prepare(&device);
    struct reply reply = device_send(&g, &device, body);
    check_code(&reply, 422, "identity_key_unproven");
    ck_assert_ptr_nonnull(strstr(reply_text(&reply, "detail"), "enrol again"));
    (void)snprintf(target, sizeof target, "/v1/appraisals/%s", reply_text(&reply, "appraisal_id"));
    reply_free(&reply);
    reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_str_eq(reply_text(&reply, "failure"), "identity_key_unproven");
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "not_appraised");
    ck_assert_uint_eq(count_items("/v1/credentials"), 0);
}
END_TEST

START_TEST(a_model_that_wants_keys_in_the_tpm_takes_who_shows_both) {
    struct soft_device other;
    char serial[33];
    want_keys_in_the_tpm();
    device_init(&other, "acme-edge9");
    other.certifies = true;
    device_join(&g, &other);
    must_prove(&other, serial);
    check_decision(&g, other.id, "allow", "trusted");
    struct reply reply = get("/v1/devices/%s", other.id);
    ck_assert_str_eq(reply_text(&reply, "identity_key_protection"), "tpm");
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    reply_free(&reply);
    other.certifies = false; /* one of the two is not enough */
    prepare(&other);
    send(&other, 422, "key_certification_required");
    device_cleanup(&other);
}
END_TEST

START_TEST(a_device_that_enrols_again_with_a_certified_key_is_taken) {
    char serial[33], before[33];
    (void)snprintf(before, sizeof before, "%s", device.id);
    want_keys_in_the_tpm();
    device.certifies = true;
    prepare(&device);
    send(&device, 422, "identity_key_unproven");
    device_join(&g, &device);
    ck_assert_str_eq(device.id, before);
    must_prove(&device, serial);
}
END_TEST

START_TEST(a_device_without_an_identity_has_no_key_to_speak_of) {
    struct soft_device other;
    device_init(&other, "acme-edge9");
    gateway_register(&g, &other, NULL);
    ck_assert(device_id_from_key(other.id, &other.tpm.ek_public) == STATUS_OK);
    struct reply reply = get("/v1/devices/%s", other.id);
    expect_status(reply, 200);
    ck_assert(json_is_null(json_object_get(reply.json, "identity_key_protection")));
    ck_assert(json_is_null(json_object_get(reply.json, "key_protection")));
    reply_free(&reply);
    device_cleanup(&other);
}
END_TEST

/* --- storage --- */

START_TEST(storage_trouble_is_not_bad_evidence) {
    char serial[33];
    must_prove(&device, serial);
    prepare(&device);
    gateway_break_store(&g, true);
    struct reply reply = device_send(&g, &device, body);
    gateway_break_store(&g, false);
    check_code(&reply, 503, "storage_unavailable");
    ck_assert_str_ne(reply_header(&reply, "Retry-After"), "");
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted"); /* the verdict stands */
    ck_assert_uint_eq(count_items("/v1/credentials"), 1);
    must_prove(&device, serial);
}
END_TEST

START_TEST(no_credential_leaves_before_its_record_is_durable) {
    prepare(&device);
    gateway_break_store(&g, true);
    struct reply reply = device_send(&g, &device, body);
    gateway_break_store(&g, false);
    ck_assert_ptr_null(strstr(reply.text, "BEGIN CERTIFICATE"));
    check_decision(&g, device.id, "deny", "not_appraised");
    reply_free(&reply);
}
END_TEST

START_TEST(every_answer_about_evidence_is_in_the_audit) {
    prepare(&device);
    send(&device, 201, NULL);
    device_break_boot(&device);
    prepare(&device);
    send(&device, 403, "untrusted");
    struct reply reply = admin(&g, "viewer", "GET", "/v1/audit?limit=1000", NULL);
    expect_status(reply, 200);
    size_t found = 0, i;
    json_t *item;
    json_array_foreach(json_object_get(reply.json, "items"), i, item) {
        found += strcmp(json_string_value(json_object_get(item, "action")), "device.appraise") == 0;
        ck_assert_int_eq(json_integer_value(json_object_get(item, "seq")), (json_int_t)i + 1);
    }
    ck_assert_uint_eq(found, 2);
    reply_free(&reply);
}
END_TEST

START_TEST(logs_name_the_request_and_no_secret) {
    char nonce[48], serial[33];
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    struct reply reply = device_send(&g, &device, body);
    expect_status(reply, 201);
    reply_free(&reply);
    must_prove(&device, serial);
    char *log = gateway_log(&g);
    ck_assert_ptr_nonnull(strstr(log, "\"route\":\"/v1/evidence\",\"status\":201"));
    ck_assert_ptr_nonnull(strstr(log, "\"actor\":\"device:"));
    ck_assert_ptr_null(strstr(log, nonce));
    ck_assert_ptr_null(strstr(log, device.blob));
    ck_assert_ptr_null(strstr(log, "CERTIFICATE"));
    free(log);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("api_evidence");
    TCase *t = tcase_create("evidence");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, evidence_that_meets_a_baseline_earns_a_credential);
    tcase_add_test(t, a_renewal_leaves_the_credential_before_it_valid);
    tcase_add_test(t, credentials_last_as_long_as_the_model_says);
    tcase_add_test(t, a_challenge_says_what_is_wanted);
    tcase_add_test(t, a_device_sees_its_own_standing);
    tcase_add_test(t, a_nonce_is_good_once);
    tcase_add_test(t, a_nonce_is_used_up_by_evidence_that_fails);
    tcase_add_test(t, a_nonce_that_was_never_given_is_refused);
    tcase_add_test(t, a_nonce_that_is_too_short_is_refused);
    tcase_add_test(t, another_devices_nonce_is_refused);
    tcase_add_test(t, a_quote_by_another_devices_ak_is_refused);
    tcase_add_test(t, a_quote_over_another_nonce_is_refused);
    tcase_add_test(t, a_challenge_from_before_the_selection_changed_is_refused);
    tcase_add_test(t, a_quote_that_was_seen_before_is_refused);
    tcase_add_test(t, a_clock_that_goes_back_is_refused);
    tcase_add_test(t, a_reset_count_that_goes_back_is_refused);
    tcase_add_test(t, a_reset_lets_the_clock_start_anew);
    tcase_add_test(t, evidence_that_does_not_verify_leaves_the_standing);
    tcase_add_test(t, evidence_that_does_not_verify_is_recorded);
    tcase_add_test(t, a_log_that_does_not_replay_is_refused);
    tcase_add_test(t, a_request_that_does_not_verify_is_refused);
    tcase_add_loop_test(t, malformed_evidence_leaves_nothing, 0,
                        sizeof malformed / sizeof malformed[0]);
    tcase_add_test(t, untrusted_evidence_is_denied_with_codes_only);
    tcase_add_test(t, an_administrator_sees_what_was_expected_and_found);
    tcase_add_test(t, untrusted_evidence_revokes_every_credential_of_the_device);
    tcase_add_test(t, a_device_comes_back_with_good_evidence);
    tcase_add_test(t, without_an_active_baseline_nothing_is_trusted);
    tcase_add_test(t, old_and_new_baselines_overlap);
    tcase_add_test(t, a_revoked_baseline_admits_nobody);
    tcase_add_test(t, a_quarantined_device_is_denied_at_once);
    tcase_add_test(t, a_quarantined_device_proves_itself_and_gets_nothing);
    tcase_add_test(t, a_released_device_must_prove_itself_anew);
    tcase_add_test(t, a_retired_device_gets_no_challenge_and_no_appraisal);
    tcase_add_test(t, a_retired_device_stays_retired);
    tcase_add_test(t, a_certificate_that_is_not_in_force_is_nobody);
    tcase_add_loop_test(t, evidence_that_a_change_of_policy_overtakes_gets_no_credential, 0, 4);
    tcase_add_test(t, a_certified_key_is_said_to_be_in_the_tpm);
    tcase_add_test(t, a_key_that_nobody_certified_is_said_to_be_unproven);
    tcase_add_test(t, a_certification_with_another_nonce_is_refused);
    tcase_add_test(t, a_certification_by_another_devices_ak_is_refused);
    tcase_add_test(t, a_certification_of_another_key_is_refused);
    tcase_add_loop_test(t, a_certified_key_of_another_kind_is_refused, 0, 6);
    tcase_add_test(t, a_quote_is_no_certification);
    tcase_add_test(t, a_certification_is_no_quote);
    tcase_add_loop_test(t, a_certification_that_cannot_be_read_is_refused, 0, 2);
    tcase_add_test(t, half_a_certification_is_malformed);
    tcase_add_test(t, a_refused_certification_is_recorded_and_leaves_the_standing);
    tcase_add_test(t, a_model_that_wants_keys_in_the_tpm_takes_no_others);
    tcase_add_test(t, a_model_that_wants_keys_in_the_tpm_wants_it_of_the_identity_too);
    tcase_add_test(t, a_model_that_wants_keys_in_the_tpm_takes_who_shows_both);
    tcase_add_test(t, a_device_that_enrols_again_with_a_certified_key_is_taken);
    tcase_add_test(t, a_device_without_an_identity_has_no_key_to_speak_of);
    tcase_add_test(t, storage_trouble_is_not_bad_evidence);
    tcase_add_test(t, no_credential_leaves_before_its_record_is_durable);
    tcase_add_test(t, evidence_that_cannot_be_read_leaves_an_audit_entry_only);
    tcase_add_test(t, every_answer_about_evidence_is_in_the_audit);
    tcase_add_test(t, logs_name_the_request_and_no_secret);
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

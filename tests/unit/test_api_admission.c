/* Whom a model takes: anybody with a good EK certificate, whom an operator approves, or whom it knows. */
/* concurrent */
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway g;
static struct soft_device device;

static void set_model(const char *body) {
    expect_admin(&g, "author", "PUT", "/v1/models/acme-edge9", body, 200, NULL);
}

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
}

static void start_approval(void) {
    start();
    set_model("{\"enrolment\":\"approval\"}");
}

static void start_closed(void) {
    start();
    set_model("{\"enrolment\":\"closed\"}");
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static void refuse(unsigned status, const char *code) {
    struct reply reply = device_enrol(&g, &device);
    check_code(&reply, status, code);
    ck_assert_ptr_null(strstr(reply.text, "credential_blob"));
    reply_free(&reply);
}

static void begin(void) {
    struct reply reply = device_enrol(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
}

/* The answer's state, or what it refuses with. */
static void activates(unsigned status, const char *what) {
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, status);
    ck_assert_str_eq(reply_text(&reply, status < 300 ? "state" : "code"), what);
    ck_assert((strstr(reply.text, "BEGIN CERTIFICATE") != NULL) == (status == 200));
    ck_assert_int_eq(reply_header(&reply, "Retry-After")[0] != '\0', status == 202);
    reply_free(&reply);
}

static void enrols(unsigned status, const char *what) {
    begin();
    activates(status, what);
}

static void step(const char *role, const char *what, unsigned status, const char *code) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/%s", device.id, what);
    bool reasoned = strcmp(what, "approve") != 0 && strcmp(what, "release") != 0;
    expect_admin(&g, role, "POST", target, reasoned ? "{\"reason\":\"test\"}" : "{}", status, code);
}

static void check_state(const char *state) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s", device.id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "state"), state);
    reply_free(&reply);
}

static void check_enrolled_at(bool enrolled) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s", device.id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    ck_assert_int_eq(!json_is_null(json_object_get(reply.json, "enrolled_at")), enrolled);
    reply_free(&reply);
}

static void check_audit_of(const char *when, const char *action, const char *member,
                           const char *value) {
    json_t *entry = gateway_audit(&g, action);
    ck_assert_msg(entry != NULL, "%s is not in the audit", action);
    const char *found = json_string_value(json_object_get(json_object_get(entry, when), member));
    ck_assert_msg(found != NULL && strcmp(found, value) == 0, "%s: %s is %s", action, member,
                  found == NULL ? "nothing" : found);
    json_decref(entry);
}

static void check_audit(const char *action, const char *member, const char *value) {
    check_audit_of("after", action, member, value);
}

/* A certificate by a maker that nobody trusts. */
static void refuse_stranger(void) {
    struct private_key *mine = g.ek_ca, *theirs;
    uint8_t der[2048];
    struct writer out = writer_of(der, sizeof der);
    soft_ca(&theirs, &out, 1700000000);
    g.ek_ca = theirs;
    refuse(422, "ek_certificate_untrusted");
    g.ek_ca = mine;
    private_key_free(theirs);
}

/* --- open --- */

START_TEST(open_takes_a_certificate_that_verifies) {
    enrols(200, "enrolled");
}
END_TEST

START_TEST(open_takes_nobody_without_one) {
    device.without_certificate = true;
    refuse(422, "ek_certificate_required");
}
END_TEST

START_TEST(open_takes_a_registered_device_without_one) {
    device.without_certificate = true;
    gateway_register(&g, &device, NULL);
    enrols(200, "enrolled");
}
END_TEST

START_TEST(a_certificate_that_does_not_verify_is_refused_however_known_the_device_is) {
    static const char *const bodies[] = {"{\"enrolment\":\"open\"}", "{\"enrolment\":\"approval\"}",
                                         "{\"enrolment\":\"closed\"}"};
    gateway_register(&g, &device, NULL);
    set_model(bodies[_i]);
    refuse_stranger();
    check_audit("device.enrol_refused", "code", "ek_certificate_untrusted");
}
END_TEST

/* --- closed --- */

START_TEST(closed_takes_no_stranger) {
    refuse(403, "enrolment_closed");
    device.without_certificate = true;
    refuse(403, "enrolment_closed");
}
END_TEST

START_TEST(closed_takes_a_registered_device) {
    device.without_certificate = _i == 1;
    gateway_register(&g, &device, NULL);
    enrols(200, "enrolled");
    check_state("enrolled");
    check_decision(&g, device.id, "deny", "not_appraised");
}
END_TEST

START_TEST(closed_takes_nobody_who_began_before_it_closed) {
    set_model("{\"enrolment\":\"open\"}");
    begin();
    set_model("{\"enrolment\":\"closed\"}");
    activates(403, "enrolment_closed");
    check_audit("device.enrol_refused", "code", "enrolment_closed");
    activates(404, "not_found"); /* and used up */
}
END_TEST

START_TEST(a_device_registered_for_another_model_is_told_so_once_it_proved_who_it_is) {
    gateway_add_model(&g, "other");
    gateway_register(&g, &device, NULL);
    (void)strcpy(device.model, "other");
    enrols(409, "device_model_mismatch");
    check_state("registered");
    check_audit("device.enrol_refused", "code", "device_model_mismatch");
}
END_TEST

/* --- approval --- */

START_TEST(approval_lets_a_device_wait) {
    device.without_certificate = _i == 1;
    enrols(202, "pending_approval");
    check_state("pending_approval");
    check_enrolled_at(false);
    check_decision(&g, device.id, "deny", "pending_approval");
    for (int i = 0; i < 3; i++) {
        activates(202, "pending_approval");
    }
    check_audit("device.await_approval", "state", "pending_approval");
}
END_TEST

START_TEST(an_approved_device_gets_its_identity) {
    enrols(202, "pending_approval");
    step("operator", "approve", 200, NULL);
    check_audit("device.approve", "state", "enrolled");
    activates(200, "enrolled");
    activates(200, "enrolled"); /* again, for the answer may be lost */
    check_state("enrolled");
    check_enrolled_at(true);
    expect(
        &g,
        &(struct call){
            .plane = PLANE_DEVICE, .caller = &device.caller, .method = "GET", .target = "/v1/self"},
        200, NULL);
}
END_TEST

START_TEST(an_approval_is_given_once_by_whom_may) {
    enrols(202, "pending_approval");
    step("viewer", "approve", 403, "forbidden");
    step("author", "approve", 403, "forbidden");
    step("approver", "approve", 403, "forbidden");
    activates(202, "pending_approval");
    step("admin", "approve", 200, NULL);
    step("admin", "approve", 409, "wrong_state");
    activates(200, "enrolled");
    step("admin", "approve", 409, "wrong_state");
}
END_TEST

START_TEST(only_a_device_that_waits_is_approved) {
    gateway_register(&g, &device, NULL);
    enrols(200, "enrolled");
    step("operator", "approve", 409, "wrong_state");
    step("operator", "quarantine", 200, NULL);
    step("operator", "approve", 409, "wrong_state");
    step("operator", "retire", 200, NULL);
    step("operator", "approve", 409, "wrong_state");
    expect_admin(&g, "operator", "POST", "/v1/devices/0123456789abcdef0123456789abcdef/approve",
                 "{}", 404, "not_found");
}
END_TEST

START_TEST(a_registered_device_waits_for_nobody) {
    gateway_register(&g, &device, NULL);
    enrols(200, "enrolled");
}
END_TEST

START_TEST(a_device_that_is_refused_is_told) {
    enrols(202, "pending_approval");
    step("operator", "retire", 200, NULL);
    activates(403, "device_retired");
    enrols(403, "device_retired"); /* for ever */
    check_state("retired");
}
END_TEST

static void remove_device(const char *role, unsigned status, const char *code) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s", device.id);
    expect_admin(&g, role, "DELETE", target, NULL, status, code);
}

START_TEST(a_device_that_is_sent_away_may_ask_again) {
    enrols(202, "pending_approval");
    device_reinstall(&device); /* it has had two AKs then */
    enrols(202, "pending_approval");
    remove_device("approver", 403, "forbidden");
    remove_device("operator", 204, NULL);
    remove_device("operator", 404, "not_found");
    check_audit_of("before", "device.reject", "state", "pending_approval");
    check_decision(&g, device.id, "deny", "unknown_device");
    activates(404, "not_found");
    step("operator", "approve", 404, "not_found");
    enrols(202, "pending_approval");
    check_decision(&g, device.id, "deny", "pending_approval");
    step("operator", "approve", 200, NULL);
    activates(200, "enrolled");
    remove_device("operator", 409, "wrong_state");
}
END_TEST

START_TEST(a_device_that_waits_is_not_released_past_its_approval) {
    enrols(202, "pending_approval");
    step("operator", "quarantine", 409, "wrong_state");
    step("operator", "release", 409, "wrong_state");
    check_state("pending_approval");
}
END_TEST

START_TEST(a_device_that_waits_goes_on_waiting_when_it_begins_anew) {
    enrols(202, "pending_approval");
    device_reinstall(&device);
    enrols(202, "pending_approval");
    set_model("{\"enrolment\":\"open\"}"); /* which is not an approval of those before */
    device_reinstall(&device);
    enrols(202, "pending_approval");
    step("operator", "approve", 200, NULL);
    activates(200, "enrolled");
}
END_TEST

START_TEST(what_a_device_began_before_it_began_anew_is_void) {
    char first[ACTIVATION_BODY];
    struct soft_device former;
    enrols(202, "pending_approval");
    device_activation_body(&device, first);
    former = device;
    device_reinstall(&device);
    enrols(202, "pending_approval");
    step("operator", "approve", 200, NULL);
    struct reply reply = device_activate_with(&g, &former, first);
    check_code(&reply, 404, "not_found");
    reply_free(&reply);
    activates(200, "enrolled");
}
END_TEST

static void guess(void) {
    static const char wrong[] = "{\"secret\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}";
    struct reply reply = device_activate_with(&g, &device, wrong);
    check_code(&reply, 403, "activation_failed");
    reply_free(&reply);
}

START_TEST(a_wrong_secret_takes_nothing_from_a_device_that_waits) {
    enrols(202, "pending_approval");
    guess();
    activates(202, "pending_approval");
    step("operator", "approve", 200, NULL);
    guess();
    activates(200, "enrolled");
    guess();
    activates(200, "enrolled");
}
END_TEST

START_TEST(who_is_not_approved_in_time_begins_anew) {
    g.config.enrolment_approval_expiry_s = 0;
    enrols(202, "pending_approval");
    struct reply reply = device_activate(&g, &device);
    ck_assert(reply.status == 410 || reply.status == 404); /* expired, or forgotten since */
    reply_free(&reply);
    g.config.enrolment_approval_expiry_s = 60;
    enrols(202, "pending_approval");
    step("operator", "approve", 200, NULL);
    activates(200, "enrolled");
}
END_TEST

START_TEST(a_device_waits_longer_than_an_enrolment_lasts) {
    g.config.enrolment_expiry_s = 0; /* from the second look on */
    begin();
    activates(410, "enrollment_expired");
    g.config.enrolment_expiry_s = 600;
    begin();
    g.config.enrolment_expiry_s = 0;
    activates(202, "pending_approval");
    activates(202, "pending_approval");
}
END_TEST

START_TEST(no_more_devices_wait_than_may) {
    struct soft_device other;
    g.config.enrolment_pending_max = 1;
    enrols(202, "pending_approval");
    device_init(&other, "acme-edge9");
    struct reply reply = device_enrol(&g, &other);
    expect_status(reply, 201);
    reply_free(&reply);
    reply = device_activate(&g, &other);
    check_code(&reply, 429, "too_many_pending");
    reply_free(&reply);
    activates(202, "pending_approval"); /* who waits already does */
    step("operator", "approve", 200, NULL);
    reply = device_activate(&g, &other); /* and it was not used up */
    expect_status(reply, 202);
    reply_free(&reply);
    device_cleanup(&other);
}
END_TEST

START_TEST(store_trouble_approves_nobody) {
    enrols(202, "pending_approval");
    gateway_break_store(&g, true);
    step("operator", "approve", 503, "storage_unavailable");
    gateway_break_store(&g, false);
    activates(202, "pending_approval");
    check_state("pending_approval");
}
END_TEST

/* --- refusals are on record --- */

START_TEST(a_refusal_is_logged_counted_and_kept) {
    device.without_certificate = true;
    refuse(422, "ek_certificate_required");
    json_t *entry = gateway_audit(&g, "device.enrol_refused");
    ck_assert_ptr_nonnull(entry);
    ck_assert_str_eq(json_string_value(json_object_get(entry, "actor")), "anonymous");
    ck_assert_int_eq(strncmp(json_string_value(json_object_get(entry, "object")), "device:", 7), 0);
    json_decref(entry);
    char *log = gateway_log(&g);
    ck_assert_ptr_nonnull(strstr(log, "\"enrolment_refused\""));
    ck_assert_ptr_nonnull(strstr(log, "ek_certificate_required"));
    free(log);
    struct reply reply = admin(&g, "viewer", "GET", "/metrics", NULL);
    ck_assert_ptr_nonnull(
        strstr(reply.text, "gatehouse_enrolments_total{outcome=\"refused\"} 1\n"));
    reply_free(&reply);
}
END_TEST

START_TEST(a_refusal_that_cannot_be_recorded_is_no_answer) {
    device.without_certificate = true;
    gateway_break_store(&g, true);
    refuse(503, "storage_unavailable");
    gateway_break_store(&g, false);
}
END_TEST

/* --- keys in the TPM --- */

START_TEST(a_key_that_the_ak_certified_is_known_to_be_in_the_tpm) {
    begin();
    device.certifies = true;
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    reply_free(&reply);
    check_audit("device.enrol", "key_protection", "tpm");
}
END_TEST

START_TEST(a_key_that_nobody_certified_is_unproven) {
    begin();
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "unproven");
    reply_free(&reply);
}
END_TEST

/* Of another key; with a nonce of another enrolment; by another AK. */
static void certify_wrongly(int how, char *text) {
    struct soft_device lying = device;
    struct private_key *other;
    char nonce[48];
    ck_assert(private_key_generate(&other, KEY_EC_P256) == STATUS_OK);
    lying.certifies = true;
    if (how == 0) {
        lying.key = other;
    } else if (how == 1) {
        (void)snprintf(nonce, sizeof nonce, "%s", device.nonce);
        nonce[0] = nonce[0] == 'A' ? 'B' : 'A';
        (void)snprintf(lying.nonce, sizeof lying.nonce, "%s", nonce);
    }
    device_activation_body(&lying, text);
    if (how == 2) {
        char *signature = strstr(text, "\"signature\":\"") + 13 + 40;
        *signature = *signature == 'A' ? 'B' : 'A';
    }
    private_key_free(other);
}

START_TEST(a_certification_that_does_not_hold_is_refused_and_costs_nothing) {
    char text[ACTIVATION_BODY];
    begin();
    certify_wrongly(_i, text);
    struct reply reply = device_activate_with(&g, &device, text);
    check_code(&reply, 422, "key_certification_invalid");
    reply_free(&reply);
    check_audit("device.enrol_refused", "code", "key_certification_invalid");
    device.certifies = true;
    activates(200, "enrolled");
}
END_TEST

START_TEST(a_nonce_of_an_enrolment_before_certifies_nothing) {
    char former[48], text[ACTIVATION_BODY];
    begin();
    (void)snprintf(former, sizeof former, "%s", device.nonce);
    begin();
    ck_assert_str_ne(device.nonce, former);
    struct soft_device late = device;
    (void)snprintf(late.nonce, sizeof late.nonce, "%s", former);
    late.certifies = true;
    device_activation_body(&late, text);
    struct reply reply = device_activate_with(&g, &device, text);
    check_code(&reply, 422, "key_certification_invalid");
    reply_free(&reply);
}
END_TEST

START_TEST(a_model_that_wants_keys_in_the_tpm_takes_no_other) {
    set_model("{\"key_protection\":\"tpm\"}");
    begin();
    activates(422, "key_certification_required");
    check_audit("device.enrol_refused", "code", "key_certification_required");
    device.certifies = true;
    activates(200, "enrolled"); /* it was not used up */
}
END_TEST

START_TEST(what_was_certified_is_remembered_while_a_device_waits) {
    set_model("{\"key_protection\":\"tpm\",\"enrolment\":\"approval\"}");
    begin();
    device.certifies = true;
    activates(202, "pending_approval");
    step("operator", "approve", 200, NULL);
    device.certifies = false; /* said once */
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "key_protection"), "tpm");
    reply_free(&reply);
}
END_TEST

/* --- factory identities --- */

static const uint8_t idevid[32] = {0x1d, 0xe7, 0x1d, 1, 2, 3};

START_TEST(a_device_without_a_request_has_to_be_registered_with_an_idevid) {
    device.without_csr = true;
    refuse(400, "missing_field");
    gateway_register(&g, &device, NULL);
    refuse(400, "missing_field");
}
END_TEST

START_TEST(a_device_with_an_idevid_keeps_it_as_its_identity) {
    device.without_csr = true;
    gateway_register(&g, &device, idevid);
    begin();
    for (int i = 0; i < 2; i++) {
        struct reply reply = device_activate(&g, &device);
        expect_status(reply, 200);
        ck_assert_str_eq(reply_text(&reply, "identity"), "idevid");
        ck_assert(json_is_null(json_object_get(reply.json, "identity_certificate")));
        reply_free(&reply);
    }
    check_audit("device.enrol", "identity", "idevid");
    check_state("enrolled");
}
END_TEST

START_TEST(a_device_with_an_idevid_may_ask_for_an_identity_of_ours) {
    gateway_register(&g, &device, idevid);
    begin();
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "identity"), "issued");
    reply_free(&reply);
}
END_TEST

START_TEST(without_a_request_nothing_is_certified) {
    char text[ACTIVATION_BODY];
    device.without_csr = device.certifies = true;
    gateway_register(&g, &device, idevid);
    begin();
    device_activation_body(&device, text);
    struct reply reply = device_activate_with(&g, &device, text);
    check_code(&reply, 422, "key_certification_invalid");
    reply_free(&reply);
}
END_TEST

START_TEST(an_idevid_proves_nothing_of_where_its_key_is) {
    set_model("{\"key_protection\":\"tpm\"}");
    device.without_csr = true;
    gateway_register(&g, &device, idevid);
    begin();
    struct reply reply = device_activate(&g, &device);
    check_code(&reply, 422, "key_certification_required");
    reply_free(&reply);
}
END_TEST

static void add_closed(Suite *s) {
    TCase *t = tcase_create("closed");
    tcase_add_checked_fixture(t, start_closed, stop);
    tcase_add_test(t, closed_takes_no_stranger);
    tcase_add_loop_test(t, closed_takes_a_registered_device, 0, 2);
    tcase_add_test(t, closed_takes_nobody_who_began_before_it_closed);
    tcase_add_test(t, a_device_registered_for_another_model_is_told_so_once_it_proved_who_it_is);
    suite_add_tcase(s, t);
}

static void add_approval(Suite *s) {
    TCase *t = tcase_create("approval");
    tcase_add_checked_fixture(t, start_approval, stop);
    tcase_add_loop_test(t, approval_lets_a_device_wait, 0, 2);
    tcase_add_test(t, an_approved_device_gets_its_identity);
    tcase_add_test(t, an_approval_is_given_once_by_whom_may);
    tcase_add_test(t, only_a_device_that_waits_is_approved);
    tcase_add_test(t, a_registered_device_waits_for_nobody);
    tcase_add_test(t, a_device_that_is_refused_is_told);
    tcase_add_test(t, a_device_that_is_sent_away_may_ask_again);
    tcase_add_test(t, a_device_that_waits_is_not_released_past_its_approval);
    tcase_add_test(t, a_device_that_waits_goes_on_waiting_when_it_begins_anew);
    tcase_add_test(t, what_a_device_began_before_it_began_anew_is_void);
    tcase_add_test(t, a_wrong_secret_takes_nothing_from_a_device_that_waits);
    tcase_add_test(t, who_is_not_approved_in_time_begins_anew);
    tcase_add_test(t, a_device_waits_longer_than_an_enrolment_lasts);
    tcase_add_test(t, no_more_devices_wait_than_may);
    tcase_add_test(t, store_trouble_approves_nobody);
    suite_add_tcase(s, t);
}

static void add_open(Suite *s) {
    TCase *t = tcase_create("open");
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, open_takes_a_certificate_that_verifies);
    tcase_add_test(t, open_takes_nobody_without_one);
    tcase_add_test(t, open_takes_a_registered_device_without_one);
    tcase_add_loop_test(
        t, a_certificate_that_does_not_verify_is_refused_however_known_the_device_is, 0, 3);
    tcase_add_test(t, a_refusal_is_logged_counted_and_kept);
    tcase_add_test(t, a_refusal_that_cannot_be_recorded_is_no_answer);
    tcase_add_test(t, a_key_that_the_ak_certified_is_known_to_be_in_the_tpm);
    tcase_add_test(t, a_key_that_nobody_certified_is_unproven);
    tcase_add_loop_test(t, a_certification_that_does_not_hold_is_refused_and_costs_nothing, 0, 3);
    tcase_add_test(t, a_nonce_of_an_enrolment_before_certifies_nothing);
    tcase_add_test(t, a_model_that_wants_keys_in_the_tpm_takes_no_other);
    tcase_add_test(t, what_was_certified_is_remembered_while_a_device_waits);
    tcase_add_test(t, a_device_without_a_request_has_to_be_registered_with_an_idevid);
    tcase_add_test(t, a_device_with_an_idevid_keeps_it_as_its_identity);
    tcase_add_test(t, a_device_with_an_idevid_may_ask_for_an_identity_of_ours);
    tcase_add_test(t, without_a_request_nothing_is_certified);
    tcase_add_test(t, an_idevid_proves_nothing_of_where_its_key_is);
    suite_add_tcase(s, t);
}

int main(void) {
    Suite *s = suite_create("api_admission");
    add_open(s);
    add_closed(s);
    add_approval(s);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

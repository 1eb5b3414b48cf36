/* One TPM is one device, and one AK is that of one device, for ever; and a lost answer loses nothing. */
/* concurrent */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct gateway g;
static struct soft_device device;

static void start(void) {
    char baseline[33];
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    gateway_add_model(&g, "other");
    device_init(&device, "acme-edge9");
    gateway_add_baseline(&g, &device, baseline);
    device_join(&g, &device);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static void begin(struct soft_device *d) {
    struct reply reply = device_enrol(&g, d);
    expect_status(reply, 201);
    reply_free(&reply);
}

static void refuse(struct soft_device *d, unsigned status, const char *code) {
    begin(d);
    struct reply reply = device_activate(&g, d);
    check_code(&reply, status, code);
    ck_assert_ptr_null(strstr(reply.text, "BEGIN CERTIFICATE"));
    reply_free(&reply);
}

static void repeat(const struct soft_device *d, const char *text, unsigned status,
                   const char *code) {
    struct reply reply = device_activate_with(&g, d, text);
    check_code(&reply, status, code);
    reply_free(&reply);
}

static void attest(void) {
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    reply_free(&reply);
}

/* The status of GET /v1/self. */
static unsigned self(const struct caller *caller) {
    struct reply reply = call(
        &g, &(struct call){
                .plane = PLANE_DEVICE, .caller = caller, .method = "GET", .target = "/v1/self"});
    unsigned status = reply.status;
    reply_free(&reply);
    return status;
}

static struct reply show(void) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s", device.id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    return reply;
}

static void check_state(const char *state, const char *note) {
    struct reply reply = show();
    ck_assert_str_eq(reply_text(&reply, "state"), state);
    ck_assert_str_eq(reply_text(&reply, "note"), note);
    reply_free(&reply);
}

static void step(const char *what) {
    char target[96];
    (void)snprintf(target, sizeof target, "/v1/devices/%s/%s", device.id, what);
    expect_admin(&g, "operator", "POST", target, "{\"reason\":\"found in a bar\"}", 200, NULL);
}

static size_t count_devices(void) {
    struct reply reply = admin(&g, "viewer", "GET", "/v1/devices", NULL);
    expect_status(reply, 200);
    size_t num = json_array_size(json_object_get(reply.json, "items"));
    reply_free(&reply);
    return num;
}

static const char *text_of(const json_t *entry, const char *part, const char *member) {
    const char *text = json_string_value(json_object_get(json_object_get(entry, part), member));
    ck_assert_msg(text != NULL, "no %s.%s", part, member);
    return text;
}

/* --- enrolling again --- */

START_TEST(a_tpm_that_enrols_again_is_the_same_device) {
    char id[33];
    struct caller former = device.caller;
    memcpy(id, device.id, sizeof id);
    device_reinstall(&device);
    device_join(&g, &device);
    ck_assert_str_eq(device.id, id);
    ck_assert_uint_eq(count_devices(), 1);
    ck_assert_uint_eq(self(&device.caller), 200);
    ck_assert_uint_eq(self(&former), 403);
}
END_TEST

START_TEST(what_it_had_before_is_void) {
    attest();
    check_decision(&g, device.id, "allow", "trusted");
    device_reinstall(&device);
    device_join(&g, &device);
    check_decision(&g, device.id, "deny", "not_appraised");
    struct reply reply = admin(&g, "viewer", "GET", "/v1/credentials", NULL);
    expect_status(reply, 200);
    ck_assert_ptr_nonnull(strstr(reply.text, "\"re-enrolled\""));
    reply_free(&reply);
    reply = show();
    ck_assert_str_eq(reply_text(&reply, "verdict"), "unknown");
    ck_assert_str_eq(reply_text(&reply, "tier"), "none");
    ck_assert(json_is_null(json_object_get(reply.json, "tpm")));
    ck_assert(json_is_null(json_object_get(reply.json, "appraisal_id")));
    reply_free(&reply);
}
END_TEST

START_TEST(it_proves_itself_with_its_new_ak_only) {
    struct private_key *former = device.tpm.ak;
    attest();
    device.tpm.ak = NULL;
    device_reinstall(&device);
    device_join(&g, &device);
    struct private_key *ak = device.tpm.ak;
    device.tpm.ak = former;
    struct reply reply = device_prove(&g, &device);
    check_code(&reply, 422, "quote_signature_invalid");
    reply_free(&reply);
    device.tpm.ak = ak;
    private_key_free(former);
    attest();
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(the_clock_of_a_tpm_that_was_cleared_starts_anew) {
    device.tpm.reset_count = 40;
    device.tpm.clock = 1 << 30;
    attest();
    device_reinstall(&device);
    device.tpm.reset_count = 0;
    device.tpm.clock = 1;
    device_join(&g, &device);
    attest();
}
END_TEST

START_TEST(the_audit_tells_which_ak_followed_which) {
    device_reinstall(&device);
    device_join(&g, &device);
    json_t *first = gateway_audit(&g, "device.enrol"),
           *next = gateway_audit(&g, "device.enrol_again");
    ck_assert(first != NULL && next != NULL);
    ck_assert_str_eq(text_of(first, "after", "ak_name"), text_of(next, "before", "ak_name"));
    ck_assert_str_ne(text_of(next, "before", "ak_name"), text_of(next, "after", "ak_name"));
    ck_assert_str_eq(text_of(first, "after", "identity_serial"),
                     text_of(next, "before", "identity_serial"));
    ck_assert_str_ne(text_of(next, "before", "identity_serial"),
                     text_of(next, "after", "identity_serial"));
    uint8_t name[34];
    char hex[69];
    soft_tpm_ak_name(&device.tpm, name);
    hex_encode(hex, bytes_of(name, sizeof name));
    ck_assert_str_eq(text_of(next, "after", "ak_name"), hex);
    json_decref(first);
    json_decref(next);
}
END_TEST

START_TEST(a_quarantined_device_stays_so) {
    step("quarantine");
    device_reinstall(&device);
    begin(&device);
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "state"), "quarantined");
    reply_free(&reply);
    check_state("quarantined", "found in a bar");
    check_decision(&g, device.id, "deny", "quarantined");
}
END_TEST

START_TEST(a_retired_device_stays_so) {
    step("retire");
    device_reinstall(&device);
    refuse(&device, 403, "device_retired");
    check_state("retired", "found in a bar");
}
END_TEST

START_TEST(a_device_does_not_change_its_model) {
    (void)strcpy(device.model, "other");
    device_reinstall(&device);
    refuse(&device, 409, "device_model_mismatch");
    check_state("enrolled", "");
    ck_assert_uint_eq(self(&device.caller), 200); /* its identity is still in force */
}
END_TEST

START_TEST(a_known_device_needs_no_certificate_any_more) {
    device.without_certificate = true;
    device_reinstall(&device);
    device_join(&g, &device);
    struct reply reply = show();
    ck_assert_str_ne(reply_text(&reply, "ek_certificate"), ""); /* the one before stays */
    reply_free(&reply);
}
END_TEST

START_TEST(store_trouble_leaves_the_device_as_it_was) {
    char text[ACTIVATION_BODY];
    struct caller former = device.caller;
    attest();
    device_reinstall(&device);
    begin(&device);
    device_activation_body(&device, text);
    gateway_break_store(&g, true);
    repeat(&device, text, 503, "storage_unavailable");
    gateway_break_store(&g, false);
    ck_assert_uint_eq(self(&former), 200);
    check_decision(&g, device.id, "allow", "trusted");
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, 200);
    reply_free(&reply);
    ck_assert_uint_eq(self(&former), 403);
}
END_TEST

/* --- AKs --- */

/* Makes `d` show the AK of `owner`, which would have to sit in both TPMs; returns its own. */
struct ak {
    struct private_key *key;
    struct public_key public;
};
static struct ak swap_ak(struct soft_device *d, struct ak ak) {
    struct ak own = {d->tpm.ak, d->tpm.ak_public};
    d->tpm.ak = ak.key;
    d->tpm.ak_public = ak.public;
    return own;
}

static void check_conflict(const char *code, const char *metric) {
    json_t *entry = gateway_audit(&g, "device.enrol_refused");
    ck_assert_ptr_nonnull(entry);
    ck_assert_str_eq(text_of(entry, "after", "code"), code);
    ck_assert_str_eq(text_of(entry, "after", "other_device_id"), device.id);
    json_decref(entry);
    struct reply reply = admin(&g, "viewer", "GET", "/metrics", NULL);
    ck_assert_msg(strstr(reply.text, metric) != NULL, "%s", reply.text);
    reply_free(&reply);
}

START_TEST(an_ak_that_another_device_has_or_had_is_refused) {
    struct soft_device other;
    const struct ak cloned = {device.tpm.ak, device.tpm.ak_public};
    if (_i == 1) { /* it had it, and has another now */
        device.tpm.ak = NULL;
        device_reinstall(&device);
        device_join(&g, &device);
    }
    device_init(&other, "acme-edge9");
    struct ak own = swap_ak(&other, cloned);
    begin(&other);
    struct reply reply = device_activate(&g, &other);
    check_code(&reply, 409, "ak_in_use");
    ck_assert_ptr_null(strstr(reply.text, device.id)); /* whose it is, is not told */
    reply_free(&reply);
    check_conflict("ak_in_use", "gatehouse_ak_conflicts_total{kind=\"in_use\"} 1\n");
    ck_assert_uint_eq(count_devices(), 1);
    ck_assert_uint_eq(self(&device.caller), 200);
    (void)swap_ak(&other, own);
    device_join(&g, &other); /* with its own it is welcome */
    if (_i == 1) {
        private_key_free(cloned.key);
    }
    device_cleanup(&other);
}
END_TEST

START_TEST(an_ak_that_the_device_gave_up_is_refused) {
    const struct ak former = {device.tpm.ak, device.tpm.ak_public};
    device.tpm.ak = NULL;
    device_reinstall(&device);
    device_join(&g, &device);
    struct ak own = swap_ak(&device, former);
    refuse(&device, 409, "ak_revoked");
    check_conflict("ak_revoked", "gatehouse_ak_conflicts_total{kind=\"revoked\"} 1\n");
    (void)swap_ak(&device, own);
    private_key_free(former.key);
    ck_assert_uint_eq(self(&device.caller), 200);
}
END_TEST

START_TEST(the_same_ak_again_is_as_good_as_before) {
    struct caller former = device.caller;
    attest();
    device_join(&g, &device);
    ck_assert_uint_eq(self(&former), 403);
    check_decision(&g, device.id, "deny", "not_appraised");
    attest();
}
END_TEST

/* --- lost answers --- */

START_TEST(a_repeated_activation_changes_nothing) {
    attest();
    for (int i = 0; i < 3; i++) {
        struct caller former = device.caller;
        struct reply reply = device_activate(&g, &device);
        expect_status(reply, 200);
        reply_free(&reply);
        ck_assert_mem_eq(former.peer.leaf_sha256, device.caller.peer.leaf_sha256, 32);
    }
    check_decision(&g, device.id, "allow", "trusted");
    struct reply reply = admin(&g, "viewer", "GET", "/metrics", NULL);
    ck_assert_ptr_nonnull(
        strstr(reply.text, "gatehouse_enrolments_total{outcome=\"enrolled\"} 1\n"));
    reply_free(&reply);
}
END_TEST

START_TEST(a_repeated_activation_brings_nothing_back) {
    char text[ACTIVATION_BODY];
    struct soft_device former = device;
    device_activation_body(&device, text);
    device.blob = device.secret = NULL;
    device_reinstall(&device);
    device_join(&g, &device);
    repeat(&former, text, 409, "enrollment_superseded");
    ck_assert_uint_eq(self(&device.caller), 200);
    json_t *entry = gateway_audit(&g, "device.enrol_refused");
    ck_assert_str_eq(text_of(entry, "after", "code"), "enrollment_superseded");
    json_decref(entry);
    free(former.blob);
    free(former.secret);
}
END_TEST

START_TEST(an_enrolment_that_was_begun_before_is_void) {
    char text[ACTIVATION_BODY];
    device_reinstall(&device);
    begin(&device);
    device_activation_body(&device, text);
    struct soft_device early = device;
    device.blob = device.secret = NULL;
    device_join(&g, &device);
    repeat(&early, text, 404, "not_found");
    ck_assert_uint_eq(self(&device.caller), 200);
    free(early.blob);
    free(early.secret);
}
END_TEST

START_TEST(a_repeated_activation_tells_what_the_device_is_now) {
    char text[ACTIVATION_BODY];
    device_activation_body(&device, text);
    step("quarantine");
    struct reply reply = device_activate_with(&g, &device, text);
    expect_status(reply, 200);
    ck_assert_str_eq(reply_text(&reply, "state"), "quarantined");
    reply_free(&reply);
    step("retire");
    repeat(&device, text, 403, "device_retired");
}
END_TEST

START_TEST(a_wrong_secret_does_not_get_what_was_issued_nor_use_it_up) {
    static const char wrong[] = "{\"secret\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}";
    for (int i = 0; i < 2; i++) {
        repeat(&device, wrong, 403, "activation_failed");
    }
    struct reply reply = device_activate(&g, &device);
    expect_status(reply, 200);
    reply_free(&reply);
}
END_TEST

START_TEST(the_secret_of_another_enrolment_activates_nothing) {
    struct soft_device other;
    char text[ACTIVATION_BODY];
    device_init(&other, "acme-edge9");
    begin(&other);
    device_activation_body(&other, text);
    begin(&device);
    repeat(&device, text, 403, "activation_failed");
    begin(&device);
    device_activation_body(&device, text);
    begin(&device);
    repeat(&device, text, 403, "activation_failed"); /* not even of the same TPM */
    ck_assert_uint_eq(self(&device.caller), 200);
    device_cleanup(&other);
}
END_TEST

START_TEST(an_answer_is_not_repeated_for_ever) {
    char text[ACTIVATION_BODY];
    int64_t begun = clock_unix();
    g.config.enrolment_expiry_s = 2;
    device_join(&g, &device);
    device_activation_body(&device, text);
    while (clock_unix() <= begun + 3) {
        (void)usleep(10000);
    }
    struct reply reply = device_activate_with(&g, &device, text);
    ck_assert(reply.status == 410 || reply.status == 404); /* expired, or forgotten since */
    reply_free(&reply);
    ck_assert_uint_eq(self(&device.caller), 200);
}
END_TEST

/* --- at the same time ---
 *
 * Each looks at the store before any of them is written; then they come as one batch. */

struct turn { /* an activation */
    struct caller nobody;
    char target[96], body[ACTIVATION_BODY];
    struct exchange *exchange;
};

static void take_turn(struct turn *turn, struct soft_device *d) {
    turn->nobody = caller_nobody();
    device_activation_body(d, turn->body);
    (void)snprintf(turn->target, sizeof turn->target, "/v1/enrollments/%s/activate", d->enrollment);
    turn->exchange = call_start(&g, &(struct call){.plane = PLANE_ENROL,
                                                   .caller = &turn->nobody,
                                                   .method = "POST",
                                                   .target = turn->target,
                                                   .body = turn->body});
}

static void race(struct reply replies[2], struct soft_device *one, struct soft_device *two) {
    struct turn turns[2];
    struct gate *gate = gateway_hold(&g);
    take_turn(&turns[0], one);
    take_turn(&turns[1], two);
    gateway_let_go(gate);
    replies[0] = call_finish(&g, turns[0].exchange);
    replies[1] = call_finish(&g, turns[1].exchange);
}

START_TEST(two_activations_of_one_enrolment_give_one_identity) {
    struct reply replies[2];
    begin(&device);
    race(replies, &device, &device);
    expect_status(replies[0], 200);
    expect_status(replies[1], 200);
    ck_assert_str_eq(reply_text(&replies[0], "identity_certificate"),
                     reply_text(&replies[1], "identity_certificate"));
    reply_free(&replies[0]);
    reply_free(&replies[1]);
    ck_assert_uint_eq(count_devices(), 1);
}
END_TEST

START_TEST(of_two_enrolments_of_one_tpm_the_first_holds) {
    struct reply replies[2];
    struct soft_device twin = device;
    twin.blob = twin.secret = NULL;
    twin.tpm.ak = twin.key = NULL;
    device_reinstall(&twin);
    begin(&device);
    begin(&twin);
    race(replies, &device, &twin);
    expect_status(replies[0], 200);
    check_code(&replies[1], 404, "not_found"); /* void */
    reply_free(&replies[0]);
    reply_free(&replies[1]);
    private_key_free(twin.tpm.ak);
    private_key_free(twin.key);
    free(twin.blob);
    free(twin.secret);
    ck_assert_uint_eq(count_devices(), 1);
}
END_TEST

START_TEST(of_two_tpms_with_one_ak_the_first_enrols) {
    struct reply replies[2];
    struct soft_device one, two;
    device_init(&one, "acme-edge9");
    device_init(&two, "acme-edge9");
    struct ak own = swap_ak(&two, (struct ak){one.tpm.ak, one.tpm.ak_public});
    begin(&one);
    begin(&two);
    race(replies, &one, &two);
    expect_status(replies[0], 200);
    check_code(&replies[1], 409, "ak_in_use");
    reply_free(&replies[0]);
    reply_free(&replies[1]);
    (void)swap_ak(&two, own);
    device_cleanup(&one);
    device_cleanup(&two);
    ck_assert_uint_eq(count_devices(), 2);
}
END_TEST

/* An operator's request that is written before the device's. */
static struct exchange *ahead(const struct caller *caller, const char *method, const char *target,
                              const char *body) {
    return call_start(&g, &(struct call){.plane = PLANE_ADMIN,
                                         .caller = caller,
                                         .method = method,
                                         .target = target,
                                         .body = body});
}

START_TEST(an_activation_that_a_change_of_policy_overtakes_is_held_against_the_new_one) {
    static const struct {
        const char *before, *after, *code;
        unsigned status;
    } cases[] = {
        {"{\"enrolment\":\"open\"}", "{\"enrolment\":\"closed\"}", "enrolment_closed", 403},
        {"{\"enrolment\":\"open\"}", "{\"key_protection\":\"tpm\"}", "key_certification_required",
         422},
        {"{\"enrolment\":\"approval\"}", "{\"enrolment\":\"closed\"}", "enrolment_closed", 403},
        /* No certificate was made ready for it: once more. */
        {"{\"enrolment\":\"approval\"}", "{\"enrolment\":\"open\"}", "overloaded", 503},
    };
    struct soft_device other;
    struct turn turn;
    const struct caller admin_caller = caller_operator("admin");
    device_init(&other, "acme-edge9");
    expect_admin(&g, "admin", "PUT", "/v1/models/acme-edge9", cases[_i].before, 200, NULL);
    begin(&other);
    struct gate *gate = gateway_hold(&g);
    struct exchange *change = ahead(&admin_caller, "PUT", "/v1/models/acme-edge9", cases[_i].after);
    take_turn(&turn, &other);
    gateway_let_go(gate);
    struct reply reply = call_finish(&g, change);
    expect_status(reply, 200);
    reply_free(&reply);
    reply = call_finish(&g, turn.exchange);
    check_code(&reply, cases[_i].status, cases[_i].code);
    reply_free(&reply);
    ck_assert_uint_eq(count_devices(), 1);
    if (cases[_i].status == 503) {
        reply = device_activate(&g, &other);
        expect_status(reply, 200);
        reply_free(&reply);
    }
    device_cleanup(&other);
}
END_TEST

START_TEST(a_device_that_is_retired_while_it_enrols_gets_nothing) {
    struct turn turn;
    char target[96];
    const struct caller operator= caller_operator("operator");
    device_reinstall(&device);
    begin(&device);
    (void)snprintf(target, sizeof target, "/v1/devices/%s/retire", device.id);
    struct gate *gate = gateway_hold(&g);
    struct exchange *retirement = ahead(&operator, "POST", target, "{\"reason\":\"lost\"}");
    take_turn(&turn, &device);
    gateway_let_go(gate);
    struct reply reply = call_finish(&g, retirement);
    expect_status(reply, 200);
    reply_free(&reply);
    reply = call_finish(&g, turn.exchange);
    check_code(&reply, 403, "device_retired");
    reply_free(&reply);
    check_state("retired", "lost");
}
END_TEST

/* --- evidence of the time before --- */

START_TEST(evidence_that_is_under_way_when_the_device_enrols_again_counts_for_nothing) {
    static char body[BODY_SIZE];
    struct soft_device other;
    struct turn turn;
    char nonce[48];
    device_init(&other, "acme-edge9");
    device_join(&g, &other);
    const struct caller former = other.caller;
    device_challenge(&g, &other, nonce);
    device_evidence_body(&other, body, nonce);
    device_reinstall(&other);
    begin(&other);
    struct gate *gate = gateway_hold(&g);
    take_turn(&turn, &other);
    struct exchange *evidence = call_start(&g, &(struct call){.plane = PLANE_DEVICE,
                                                              .caller = &former,
                                                              .method = "POST",
                                                              .target = "/v1/evidence",
                                                              .body = body});
    gateway_let_go(gate);
    struct reply reply = call_finish(&g, turn.exchange);
    expect_status(reply, 200);
    reply_free(&reply);
    reply = call_finish(&g, evidence);
    check_code(&reply, 403, "forbidden");
    reply_free(&reply);
    check_decision(&g, other.id, "deny", "not_appraised");
    device_cleanup(&other);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("api_reenrolment");
    TCase *t = tcase_create("reenrolment");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_tpm_that_enrols_again_is_the_same_device);
    tcase_add_test(t, what_it_had_before_is_void);
    tcase_add_test(t, it_proves_itself_with_its_new_ak_only);
    tcase_add_test(t, the_clock_of_a_tpm_that_was_cleared_starts_anew);
    tcase_add_test(t, the_audit_tells_which_ak_followed_which);
    tcase_add_test(t, a_quarantined_device_stays_so);
    tcase_add_test(t, a_retired_device_stays_so);
    tcase_add_test(t, a_device_does_not_change_its_model);
    tcase_add_test(t, a_known_device_needs_no_certificate_any_more);
    tcase_add_test(t, store_trouble_leaves_the_device_as_it_was);
    tcase_add_loop_test(t, an_ak_that_another_device_has_or_had_is_refused, 0, 2);
    tcase_add_test(t, an_ak_that_the_device_gave_up_is_refused);
    tcase_add_test(t, the_same_ak_again_is_as_good_as_before);
    tcase_add_test(t, a_repeated_activation_changes_nothing);
    tcase_add_test(t, a_repeated_activation_brings_nothing_back);
    tcase_add_test(t, an_enrolment_that_was_begun_before_is_void);
    tcase_add_test(t, a_repeated_activation_tells_what_the_device_is_now);
    tcase_add_test(t, a_wrong_secret_does_not_get_what_was_issued_nor_use_it_up);
    tcase_add_test(t, the_secret_of_another_enrolment_activates_nothing);
    tcase_add_test(t, an_answer_is_not_repeated_for_ever);
    tcase_add_test(t, two_activations_of_one_enrolment_give_one_identity);
    tcase_add_test(t, of_two_enrolments_of_one_tpm_the_first_holds);
    tcase_add_test(t, of_two_tpms_with_one_ak_the_first_enrols);
    tcase_add_loop_test(
        t, an_activation_that_a_change_of_policy_overtakes_is_held_against_the_new_one, 0, 4);
    tcase_add_test(t, a_device_that_is_retired_while_it_enrols_gets_nothing);
    tcase_add_test(t, evidence_that_is_under_way_when_the_device_enrols_again_counts_for_nothing);
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

/* What a model makes of the tier that a device reached: credentials, segments, decisions. */
#include "server/base/encoding.h"
#include "tests/unit/api_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "/v1/models/acme-edge9"
#define LABELS                                                                                     \
    "\"segments\":{\"measured\":\"corp\",\"verified_boot\":\"limited\",\"identified\":\"legacy\"}"

static struct gateway g;
static struct soft_device device;

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    device_init(&device, "acme-edge9");
    device_join(&g, &device);
}

static void stop(void) {
    device_cleanup(&device);
    gateway_stop(&g);
}

static void change_model(const char *body) {
    expect_admin(&g, "author", "PUT", MODEL, body, 200, NULL);
}

/* A baseline of these PCRs as the device has them, in force. */
static void add_baseline(unsigned mask, char id[static 33]) {
    char body[2048], hex[65];
    int len = snprintf(body, sizeof body,
                       "{\"schema\":\"gatehouse/baseline/1\",\"model\":"
                       "\"acme-edge9\",\"label\":\"x\",\"bank\":\"sha256\",\"pcrs\":{");
    const char *comma = "";
    for (unsigned pcr = 0; pcr < SOFT_PCRS; pcr++) {
        if ((mask >> pcr & 1) != 0) {
            hex_encode(hex, bytes_of(device.tpm.pcr[pcr], 32));
            len += snprintf(body + len, sizeof body - (size_t)len, "%s\"%u\":[\"%s\"]", comma, pcr,
                            hex);
            comma = ",";
        }
    }
    (void)snprintf(body + len, sizeof body - (size_t)len, "}}");
    struct reply reply = admin(&g, "author", "POST", MODEL "/baselines", body);
    expect_status(reply, 201);
    (void)snprintf(id, 33, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    gateway_put_in_force(&g, id);
}
enum { FIRMWARE = 1 << 0, LOADERS = 1 << 4, WHAT_RAN = FIRMWARE | LOADERS };

static void retire(const char *id) {
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/baselines/%s/retire", id);
    expect_admin(&g, "approver", "POST", target, "{}", 200, NULL);
}

static void prove(unsigned status, const char *code, char serial[static 33]) {
    struct reply reply = device_prove(&g, &device);
    check_code(&reply, status, code);
    const json_t *credential = json_object_get(reply.json, "credential");
    const char *number = json_string_value(json_object_get(credential, "serial"));
    (void)snprintf(serial, 33, "%s", number == NULL ? "" : number);
    reply_free(&reply);
}

static struct reply show(const char *what, const char *id) {
    char target[128];
    (void)snprintf(target, sizeof target, "%s/%s", what, id);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, 200);
    return reply;
}

static void check_revoked(const char *serial, const char *reason) {
    struct reply reply = show("/v1/credentials", serial);
    ck_assert_str_eq(reply_text(&reply, "reason"), reason == NULL ? "" : reason);
    ck_assert(json_is_null(json_object_get(reply.json, "revoked_at")) == (reason == NULL));
    reply_free(&reply);
}

static struct reply decide(void) {
    static struct caller proxy;
    char target[96];
    proxy = caller_proxy();
    (void)snprintf(target, sizeof target, "/v1/decisions/%s", device.id);
    return call(&g, &(struct call){
                        .plane = PLANE_PROXY, .caller = &proxy, .method = "GET", .target = target});
}

static void check_segment(const char *segment) {
    struct reply reply = decide();
    const json_t *value = json_object_get(reply.json, "segment");
    ck_assert_msg(segment == NULL ? json_is_null(value)
                                  : strcmp(json_string_value(value), segment) == 0,
                  "%s", reply.text);
    reply_free(&reply);
}

/* --- what earns a credential --- */

START_TEST(trusted_evidence_below_the_tier_earns_nothing_and_says_why) {
    char id[33], serial[33];
    add_baseline(FIRMWARE, id);
    struct reply reply = device_prove(&g, &device);
    check_code(&reply, 403, "tier_too_low");
    ck_assert_str_eq(reply_text(&reply, "verdict"), "trusted");
    ck_assert_str_eq(reply_text(&reply, "tier"), "identified");
    ck_assert_str_eq(reply_text(&reply, "credential_tier"), "measured");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(reply.json, "findings"), 0)),
                     "tier_too_low");
    struct reply appraisal = show("/v1/appraisals", reply_text(&reply, "appraisal_id"));
    ck_assert_str_eq(reply_text(&appraisal, "verdict"), "trusted");
    ck_assert_str_eq(reply_text(&appraisal, "tier"), "identified");
    ck_assert(json_is_null(json_object_get(appraisal.json, "segment")));
    const json_t *finding = json_array_get(json_object_get(appraisal.json, "findings"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(finding, "code")), "tier_too_low");
    ck_assert_str_eq(json_string_value(json_object_get(finding, "expected")), "measured");
    ck_assert_str_eq(json_string_value(json_object_get(finding, "found")), "identified");
    ck_assert_ptr_nonnull(
        strstr(json_string_value(json_object_get(finding, "remediation")), "boot programs"));
    reply_free(&appraisal);
    reply_free(&reply);
    check_decision(&g, device.id, "deny", "tier_too_low");
    prove(403, "tier_too_low", serial);
}
END_TEST

START_TEST(model_that_asks_for_less_gives_a_credential_that_says_so) {
    char id[33], serial[33];
    add_baseline(FIRMWARE, id);
    change_model("{\"credential_tier\":\"identified\"," LABELS "}");
    prove(201, NULL, serial);
    struct reply reply = show("/v1/credentials", serial);
    ck_assert_str_eq(reply_text(&reply, "tier"), "identified");
    ck_assert_str_eq(reply_text(&reply, "segment"), "legacy");
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
    check_segment("legacy");
}
END_TEST

START_TEST(verified_boot_is_asked_for_and_not_reached_by_less) {
    char id[33], serial[33];
    add_baseline(FIRMWARE, id);
    change_model("{\"credential_tier\":\"verified_boot\"}");
    prove(403, "tier_too_low", serial);
    add_baseline(WHAT_RAN, id);
    prove(201, NULL, serial);
}
END_TEST

START_TEST(credential_that_sinks_below_the_tier_takes_the_others_with_it) {
    char full[33], small[33], first[33], none[33];
    add_baseline(WHAT_RAN, full);
    add_baseline(FIRMWARE, small);
    prove(201, NULL, first);
    retire(full);
    check_decision(&g, device.id, "allow", "trusted");
    prove(403, "tier_too_low", none);
    check_revoked(first, "tier_too_low");
    check_decision(&g, device.id, "deny", "tier_too_low");
}
END_TEST

START_TEST(credential_of_a_higher_tier_ends_when_the_device_reaches_less) {
    char full[33], small[33], first[33], second[33], third[33];
    change_model("{\"credential_tier\":\"identified\"}");
    add_baseline(WHAT_RAN, full);
    add_baseline(FIRMWARE, small);
    prove(201, NULL, first);
    retire(full);
    prove(201, NULL, second);
    check_revoked(first, "tier_sank");
    check_revoked(second, NULL);
    prove(201, NULL, third);
    check_revoked(second, NULL); /* of the same tier: it stays */
    struct reply reply = decide();
    ck_assert_str_eq(reply_text(&reply, "tier"), "identified");
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "credential_serials")), 2);
    reply_free(&reply);
}
END_TEST

START_TEST(untrusted_evidence_has_no_tier_and_no_segment) {
    char id[33], none[33];
    change_model("{\"credential_tier\":\"identified\"," LABELS "}");
    add_baseline(WHAT_RAN, id);
    struct writer log = writer_of(device.log, sizeof device.log);
    log.len = device.log_len;
    soft_tpm_event(&device.tpm, &log, 4, 0x0d, bytes_of_text("other"), bytes_of_text("other"));
    device.log_len = log.len;
    prove(403, "untrusted", none);
    check_decision(&g, device.id, "deny", "untrusted");
    check_segment(NULL);
}
END_TEST

/* --- where tier and segment stand --- */

START_TEST(tier_and_segment_stand_in_answer_certificate_appraisal_and_decision) {
    char id[33];
    struct arena arena;
    struct bytes der[4];
    size_t num;
    struct certificate leaf;
    arena_init(&arena, 65536);
    change_model("{" LABELS "}");
    add_baseline(WHAT_RAN, id);
    struct reply reply = device_prove(&g, &device);
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "segment"), "corp");
    const json_t *credential = json_object_get(reply.json, "credential");
    const char *pem = json_string_value(json_object_get(credential, "certificate"));
    ck_assert(pem_certificates(&arena, der, &num, 4, bytes_of_text(pem), NULL) == STATUS_OK);
    ck_assert(certificate_parse(&leaf, der[0], NULL) == STATUS_OK);
    char subject[128];
    (void)snprintf(subject, sizeof subject, "O=corp, OU=measured, CN=%s", device.id);
    ck_assert_str_eq(leaf.subject, subject);
    struct reply appraisal = show("/v1/appraisals", reply_text(&reply, "appraisal_id"));
    ck_assert_str_eq(reply_text(&appraisal, "segment"), "corp");
    reply_free(&appraisal);
    struct reply shown = show("/v1/devices", device.id);
    ck_assert_str_eq(reply_text(&shown, "segment"), "corp");
    reply_free(&shown);
    struct reply self = call(&g, &(struct call){.plane = PLANE_DEVICE,
                                                .caller = &device.caller,
                                                .method = "GET",
                                                .target = "/v1/self"});
    ck_assert_str_eq(reply_text(&self, "segment"), "corp");
    reply_free(&self);
    check_segment("corp");
    json_t *entry = gateway_audit(&g, "device.appraise");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(entry, "after"), "segment")),
                     "corp");
    json_decref(entry);
    reply_free(&reply);
    arena_free(&arena);
}
END_TEST

START_TEST(model_without_labels_gives_none) {
    char id[33], serial[33];
    add_baseline(WHAT_RAN, id);
    prove(201, NULL, serial);
    check_segment(NULL);
    struct reply reply = show("/v1/credentials", serial);
    ck_assert(json_is_null(json_object_get(reply.json, "segment")));
    ck_assert_str_eq(reply_text(&reply, "tier"), "measured");
    reply_free(&reply);
}
END_TEST

/* --- models that change --- */

START_TEST(raised_tier_cuts_off_at_once_who_came_to_less) {
    char small[33], serial[33];
    change_model("{\"credential_tier\":\"identified\"," LABELS "}");
    add_baseline(FIRMWARE, small);
    prove(201, NULL, serial);
    change_model("{\"credential_tier\":\"verified_boot\"}");
    check_decision(&g, device.id, "deny", "tier_too_low");
    check_revoked(serial, "tier_too_low");
    check_segment(NULL);
    change_model("{\"credential_tier\":\"identified\"}"); /* which does not bring it back */
    check_decision(&g, device.id, "deny", "credential_revoked");
    prove(201, NULL, serial);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(raised_tier_leaves_those_who_reach_it) {
    char id[33], serial[33];
    change_model("{\"credential_tier\":\"identified\"}");
    add_baseline(WHAT_RAN, id);
    prove(201, NULL, serial);
    change_model("{\"credential_tier\":\"measured\"}");
    check_decision(&g, device.id, "allow", "trusted");
    check_revoked(serial, NULL);
}
END_TEST

START_TEST(raised_tier_leaves_other_models_alone) {
    char id[33], serial[33];
    change_model("{\"credential_tier\":\"identified\"}");
    add_baseline(FIRMWARE, id);
    prove(201, NULL, serial);
    expect_admin(&g, "author", "POST", "/v1/models",
                 "{\"name\":\"other\",\"credential_tier\":\"identified\"}", 201, NULL);
    expect_admin(&g, "author", "PUT", "/v1/models/other", "{\"credential_tier\":\"measured\"}", 200,
                 NULL);
    check_decision(&g, device.id, "allow", "trusted");
    check_revoked(serial, NULL);
}
END_TEST

START_TEST(changed_label_counts_in_decisions_at_once_and_the_credential_keeps_its_own) {
    char id[33], serial[33];
    change_model("{" LABELS "}");
    add_baseline(WHAT_RAN, id);
    prove(201, NULL, serial);
    change_model("{\"segments\":{\"measured\":\"inner\"}}");
    check_segment("inner");
    struct reply reply = show("/v1/credentials", serial);
    ck_assert_str_eq(reply_text(&reply, "segment"), "corp");
    reply_free(&reply);
    change_model("{\"segments\":{}}");
    check_segment(NULL);
}
END_TEST

/* What was judged under the model before is not given out under the one now. */
static const char *const changes[] = {
    "{\"credential_tier\":\"verified_boot\"}",
    "{\"segments\":{\"identified\":\"elsewhere\"}}",
};

START_TEST(model_that_changes_under_way_makes_the_device_come_again) {
    static char body[BODY_SIZE];
    char id[33], nonce[48];
    change_model("{\"credential_tier\":\"identified\"," LABELS "}");
    add_baseline(FIRMWARE, id);
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    struct caller author = caller_operator("author");
    struct gate *gate = gateway_hold(&g);
    struct exchange *change = call_start(&g, &(struct call){.plane = PLANE_ADMIN,
                                                            .caller = &author,
                                                            .method = "PUT",
                                                            .target = MODEL,
                                                            .body = changes[_i]});
    struct exchange *evidence = call_start(&g, &(struct call){.plane = PLANE_DEVICE,
                                                              .caller = &device.caller,
                                                              .method = "POST",
                                                              .target = "/v1/evidence",
                                                              .body = body});
    gateway_let_go(gate);
    struct reply reply = call_finish(&g, change);
    expect_status(reply, 200);
    reply_free(&reply);
    reply = call_finish(&g, evidence);
    check_code(&reply, 409, "policy_changed");
    reply_free(&reply);
}
END_TEST

START_TEST(labels_are_replaced_together_and_only_when_given) {
    change_model("{" LABELS "}");
    change_model("{\"description\":\"x\"}");
    struct reply reply = show("/v1/models", "acme-edge9");
    ck_assert_str_eq(json_string_value(
                         json_object_get(json_object_get(reply.json, "segments"), "verified_boot")),
                     "limited");
    ck_assert_str_eq(reply_text(&reply, "credential_tier"), "measured");
    reply_free(&reply);
    change_model("{\"segments\":{\"identified\":\"old.things\",\"measured\":null}}");
    reply = show("/v1/models", "acme-edge9");
    const json_t *segments = json_object_get(reply.json, "segments");
    ck_assert_str_eq(json_string_value(json_object_get(segments, "identified")), "old.things");
    ck_assert(json_is_null(json_object_get(segments, "measured")));
    ck_assert(json_is_null(json_object_get(segments, "verified_boot")));
    reply_free(&reply);
}
END_TEST

static const struct {
    const char *body, *code;
} wrong[] = {
    {"{\"credential_tier\":\"none\"}", "invalid_field"},
    {"{\"credential_tier\":\"Measured\"}", "invalid_field"},
    {"{\"credential_tier\":\"\"}", "invalid_field"},
    {"{\"credential_tier\":3}", "invalid_field"},
    {"{\"segments\":\"corp\"}", "invalid_field"},
    {"{\"segments\":[\"corp\"]}", "invalid_field"},
    {"{\"segments\":{\"none\":\"corp\"}}", "unknown_field"},
    {"{\"segments\":{\"trusted\":\"corp\"}}", "unknown_field"},
    {"{\"segments\":{\"measured\":\"\"}}", "invalid_field"},
    {"{\"segments\":{\"measured\":7}}", "invalid_field"},
    {"{\"segments\":{\"measured\":\"Corp\"}}", "invalid_field"},
    {"{\"segments\":{\"measured\":\"a b\"}}", "invalid_field"},
    {"{\"segments\":{\"measured\":\"a,OU=measured\"}}", "invalid_field"},
    {"{\"segments\":{\"measured\":\"a\\nb\"}}", "invalid_field"},
    {"{\"segments\":{\"measured\":\"caf\\u00e9\"}}", "invalid_field"},
    {"{\"segments\":{\"identified\":\"a23456789.123456789-123456789_123456789.123456789-123456789_"
     "1234\"}}",
     "invalid_field"},
};

START_TEST(tier_or_label_that_is_none_is_refused) {
    expect_admin(&g, "author", "PUT", MODEL, wrong[_i].body, 400, wrong[_i].code);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("tiers");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, trusted_evidence_below_the_tier_earns_nothing_and_says_why);
    tcase_add_test(tests, model_that_asks_for_less_gives_a_credential_that_says_so);
    tcase_add_test(tests, verified_boot_is_asked_for_and_not_reached_by_less);
    tcase_add_test(tests, credential_that_sinks_below_the_tier_takes_the_others_with_it);
    tcase_add_test(tests, credential_of_a_higher_tier_ends_when_the_device_reaches_less);
    tcase_add_test(tests, untrusted_evidence_has_no_tier_and_no_segment);
    tcase_add_test(tests, tier_and_segment_stand_in_answer_certificate_appraisal_and_decision);
    tcase_add_test(tests, model_without_labels_gives_none);
    tcase_add_test(tests, raised_tier_cuts_off_at_once_who_came_to_less);
    tcase_add_test(tests, raised_tier_leaves_those_who_reach_it);
    tcase_add_test(tests, raised_tier_leaves_other_models_alone);
    tcase_add_test(tests,
                   changed_label_counts_in_decisions_at_once_and_the_credential_keeps_its_own);
    tcase_add_loop_test(tests, model_that_changes_under_way_makes_the_device_come_again, 0,
                        (int)(sizeof changes / sizeof changes[0]));
    tcase_add_test(tests, labels_are_replaced_together_and_only_when_given);
    tcase_add_loop_test(tests, tier_or_label_that_is_none_is_refused, 0,
                        (int)(sizeof wrong / sizeof wrong[0]));
    Suite *suite = suite_create("api: tiers");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* concurrent */
/* Devices that have a factory certificate and nothing else: no TPM to quote with. They are identified, where
 * their model takes that, and nobody becomes one of them by leaving a quote out. */
#include "server/base/encoding.h"
#include "tests/unit/factory_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL                "/v1/models/acme-edge9"
#define NO_CREDENTIAL(reply) ck_assert_ptr_null(json_object_get((reply).json, "credential"))

enum { ROOT = 0, MIDDLE = FACTORY_MIDDLE, LEAF = 2, OTHER = 3 };

static struct gateway g;
static struct soft_device device, other; /* its TPM is there, but nobody knows */
static struct arena arena;
static struct bytes root, chain[2], other_chain[2];
static char body[BODY_SIZE];

static void change_model(const char *text) {
    expect_admin(&g, "author", "PUT", MODEL, text, 200, NULL);
}

static void start(void) {
    gateway_start(&g);
    gateway_add_model(&g, "acme-edge9");
    change_model("{\"credential_tier\":\"identified\",\"segments\":{\"identified\":\"legacy\"}}");
    device_init(&device, "acme-edge9");
    device_init(&other, "acme-edge9");
    arena_init(&arena, 1 << 24);
    root = factory_make(&arena, cert_ca("root", ROOT, "root", ROOT));
    chain[1] = other_chain[1] = factory_make(&arena, cert_ca("middle", MIDDLE, "root", ROOT));
    chain[0] = factory_make(&arena, factory_leaf(&arena, "SN-0001", LEAF));
    other_chain[0] = factory_make(&arena, factory_leaf(&arena, "SN-0002", OTHER));
    const char *pem = (const char *)cert_pem(&arena, &root, 1).data;
    expect_admin(&g, "admin", "POST", MODEL "/idevid-trust",
                 factory_text_json(&arena, "certificates", pem), 201, NULL);
}

static void stop(void) {
    arena_free(&arena);
    device_cleanup(&device);
    device_cleanup(&other);
    gateway_stop(&g);
}

static const char *ak_of(const struct soft_device *d) {
    uint8_t buffer[1024];
    struct writer w = writer_of(buffer, sizeof buffer);
    soft_tpm_ak(&d->tpm, &w);
    char *text = arena_alloc(&arena, 2048);
    base64_encode(text, writer_bytes(&w));
    return text;
}

static const char *announce(const struct bytes *certificates, const char *ak) {
    return factory_registration(&arena, "acme-edge9", certificates, 2, ak, NULL);
}

static void refuse(const char *text, unsigned status, const char *code, const char *reason) {
    struct reply reply = admin(&g, "operator", "POST", "/v1/devices", text);
    check_code(&reply, status, code);
    ck_assert_msg(strstr(reply_text(&reply, "detail"), reason) != NULL, "%s", reply.text);
    reply_free(&reply);
}

static void join(struct soft_device *d, const struct bytes *certificates, const char *ak) {
    struct reply reply = admin(&g, "operator", "POST", "/v1/devices", announce(certificates, ak));
    expect_status(reply, 201);
    ck_assert_str_eq(reply_text(&reply, "state"), "enrolled");
    (void)snprintf(d->id, sizeof d->id, "%s", reply_text(&reply, "id"));
    reply_free(&reply);
    d->caller = factory_peer(certificates, 2, true);
}

/* Nonce and csr, with more members behind them. */
static void write_bare(const struct soft_device *d, const char *nonce, const char *more) {
    uint8_t buffer[4096];
    struct writer csr = writer_of(buffer, sizeof buffer);
    soft_csr(&csr, d->key);
    int len = sprintf(body, "{\"nonce\":\"%s\",\"csr\":\"", nonce);
    base64_encode(body + len, writer_bytes(&csr));
    (void)sprintf(body + strlen(body), "\"%s}", more);
}

static struct reply prove_bare(struct soft_device *d) {
    char nonce[48];
    device_challenge(&g, d, nonce);
    write_bare(d, nonce, "");
    return device_send(&g, d, body);
}

static void prove(unsigned status, const char *code) {
    struct reply reply = prove_bare(&device);
    check_code(&reply, status, code);
    reply_free(&reply);
}

static void send(struct soft_device *d, unsigned status, const char *code, const char *reason) {
    struct reply reply = device_send(&g, d, body);
    check_code(&reply, status, code);
    ck_assert_msg(strstr(reply_text(&reply, "detail"), reason) != NULL, "%s", reply.text);
    NO_CREDENTIAL(reply);
    reply_free(&reply);
}

static struct reply show(const char *what, const char *id, const char *rest, unsigned status) {
    const char *target = arena_printf(&arena, "/v1/%s/%s%s", what, id, rest);
    struct reply reply = admin(&g, "viewer", "GET", target, NULL);
    expect_status(reply, status);
    return reply;
}

static const json_t *finding_of(const struct reply *appraisal, size_t i) {
    return json_array_get(json_object_get(appraisal->json, "findings"), i);
}

static void check_text(const json_t *object, const char *member, const char *wanted) {
    const char *found = json_string_value(json_object_get(object, member));
    ck_assert_str_eq(found == NULL ? "" : found, wanted);
}

/* --- who is one --- */

START_TEST(device_is_registered_by_its_factory_certificate_and_nothing_else) {
    join(&device, chain, NULL);
    struct reply reply = show("devices", device.id, "", 200);
    ck_assert_str_eq(reply_text(&reply, "identity_kind"), "idevid");
    ck_assert_str_eq(reply_text(&reply, "ak_public"), "");
    ck_assert_str_eq(reply_text(&reply, "reason"), "not_appraised");
    reply_free(&reply);
}
END_TEST

START_TEST(devices_without_an_ak_do_not_clash) {
    join(&device, chain, NULL);
    join(&other, other_chain, NULL);
    ck_assert_str_ne(device.id, other.id);
    prove(201, NULL);
    struct reply reply = prove_bare(&other);
    expect_status(reply, 201);
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
    check_decision(&g, other.id, "allow", "trusted");
}
END_TEST

static const char *const higher[] = {"measured", "verified_boot"};

START_TEST(model_that_asks_for_more_takes_no_such_device) {
    change_model(arena_printf(&arena, "{\"credential_tier\":\"%s\"}", higher[_i]));
    refuse(announce(chain, NULL), 400, "missing_field", "ak_public: ");
    refuse(announce(chain, NULL), 400, "missing_field", higher[_i]);
    join(&device, chain, ak_of(&device)); /* by an AK it comes in */
}
END_TEST

START_TEST(model_that_wants_keys_in_the_tpm_takes_no_such_device) {
    change_model("{\"key_protection\":\"tpm\"}");
    refuse(announce(chain, NULL), 422, "key_certification_required", "");
}
END_TEST

START_TEST(certificate_that_does_not_hold_registers_nobody) {
    struct cert_spec expired = factory_leaf(&arena, "SN-1", LEAF);
    struct cert_spec strange = factory_leaf(&arena, "SN-1", LEAF);
    expired.not_after = 1;
    strange.signer = OTHER;
    struct bytes first[] = {factory_make(&arena, expired), chain[1]};
    struct bytes second[] = {factory_make(&arena, strange), chain[1]};
    refuse(announce(first, NULL), 422, "idevid_untrusted", "expired");
    refuse(announce(second, NULL), 422, "idevid_untrusted", "signature by");
}
END_TEST

START_TEST(device_gets_no_ak_later) {
    join(&device, chain, NULL);
    refuse(announce(chain, NULL), 409, "already_exists", device.id);
    refuse(announce(chain, ak_of(&device)), 409, "already_exists", device.id);
    const char *digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    refuse(factory_registration(&arena, "acme-edge9", chain, 2, NULL, digest), 409,
           "already_exists", "");
}
END_TEST

START_TEST(device_with_an_ak_is_not_registered_again_without) {
    join(&device, chain, ak_of(&device));
    refuse(announce(chain, NULL), 409, "already_exists", device.id);
    expect_admin(&g, "operator", "PATCH", arena_printf(&arena, "/v1/devices/%s", device.id),
                 "{\"idevid_certificate\":null}", 200, NULL);
    refuse(announce(chain, NULL), 409, "already_exists", device.id);
    expect_admin(&g, "operator", "POST", arena_printf(&arena, "/v1/devices/%s/retire", device.id),
                 "{\"reason\":\"sold\"}", 200, NULL);
    refuse(announce(chain, NULL), 409, "already_exists", device.id);
}
END_TEST

START_TEST(certificate_that_is_bound_to_a_device_with_an_ek_makes_no_other_device) {
    uint8_t digest[32];
    char hex[65];
    ck_assert_int_eq(public_key_spki_sha256(digest, &device.tpm.ek_public), STATUS_OK);
    hex_encode(hex, bytes_of(digest, 32));
    expect_admin(&g, "operator", "POST", "/v1/devices",
                 factory_registration(&arena, "acme-edge9", chain, 2, NULL, hex), 201, NULL);
    refuse(announce(chain, NULL), 409, "already_exists", "");
}
END_TEST

/* --- what it gets --- */

START_TEST(it_is_identified_and_its_appraisal_says_that_nothing_is_known) {
    struct bytes der[4];
    struct certificate leaf;
    char subject[128];
    size_t num;
    join(&device, chain, NULL);
    struct reply reply = prove_bare(&device);
    expect_status(reply, 201);
    check_text(reply.json, "verdict", "trusted");
    check_text(reply.json, "tier", "identified");
    check_text(reply.json, "segment", "legacy");
    const json_t *credential = json_object_get(reply.json, "credential");
    check_text(credential, "key_protection", "unproven");
    const char *pem = json_string_value(json_object_get(credential, "certificate"));
    ck_assert(pem_certificates(&arena, der, &num, 4, bytes_of_text(pem), NULL) == STATUS_OK);
    ck_assert(certificate_parse(&leaf, der[0], NULL) == STATUS_OK);
    (void)snprintf(subject, sizeof subject, "O=legacy, OU=identified, CN=%s", device.id);
    ck_assert_str_eq(leaf.subject, subject);
    struct reply appraisal = show("appraisals", reply_text(&reply, "appraisal_id"), "", 200);
    check_text(appraisal.json, "verdict", "trusted");
    check_text(appraisal.json, "tier", "identified");
    ck_assert(json_is_null(json_object_get(appraisal.json, "baseline_id")));
    ck_assert(json_is_null(json_object_get(appraisal.json, "facts")));
    ck_assert_uint_eq(json_array_size(json_object_get(appraisal.json, "findings")), 1);
    check_text(finding_of(&appraisal, 0), "code", "no_evidence");
    check_text(finding_of(&appraisal, 0), "severity", "info");
    reply_free(&appraisal);
    reply_free(&reply);
    struct caller proxy = caller_proxy();
    reply = call(&g, &(struct call){.plane = PLANE_PROXY,
                                    .caller = &proxy,
                                    .method = "GET",
                                    .target = arena_printf(&arena, "/v1/decisions/%s", device.id)});
    check_text(reply.json, "decision", "allow");
    check_text(reply.json, "tier", "identified");
    check_text(reply.json, "segment", "legacy");
    reply_free(&reply);
}
END_TEST

START_TEST(its_challenge_asks_for_no_quote_and_no_log) {
    join(&device, chain, NULL);
    struct call ask = {.plane = PLANE_DEVICE,
                       .caller = &device.caller,
                       .method = "POST",
                       .target = "/v1/challenges",
                       .body = "{}"};
    struct reply reply = call(&g, &ask);
    expect_status(reply, 201);
    ck_assert_uint_eq(json_object_size(json_object_get(reply.json, "pcr_selection")), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "wanted")), 0);
    reply_free(&reply);
    join(&other, other_chain, ak_of(&other)); /* of one with an AK it does */
    ask.caller = &other.caller;
    reply = call(&g, &ask);
    ck_assert_uint_eq(json_object_size(json_object_get(reply.json, "pcr_selection")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(reply.json, "wanted")), 1);
    reply_free(&reply);
}
END_TEST

START_TEST(nothing_is_shown_of_what_it_booted) {
    join(&device, chain, NULL);
    prove(201, NULL);
    struct reply reply = show("devices", device.id, "/facts", 409);
    check_code(&reply, 409, "no_facts");
    reply_free(&reply);
    reply = show("devices", device.id, "/drift", 409);
    check_code(&reply, 409, "no_facts");
    reply_free(&reply);
    reply = show("devices", device.id, "", 200);
    ck_assert(json_is_null(json_object_get(reply.json, "boot_state")));
    ck_assert(json_is_null(json_object_get(reply.json, "tpm")));
    reply_free(&reply);
}
END_TEST

/* --- who is none --- */

/* Its full evidence over the nonce is refused without the quote, and good with it. */
static void check_no_way_down(struct soft_device *d) {
    char nonce[48], id[33];
    gateway_add_baseline(&g, d, id);
    device_challenge(&g, d, nonce);
    write_bare(d, nonce, "");
    send(d, 400, "missing_field", "tpm2");
    check_decision(&g, d->id, "deny", "not_appraised");
    device_evidence_body(d, body, nonce);
    struct reply reply = device_send(&g, d, body);
    expect_status(reply, 201);
    reply_free(&reply);
    device_challenge(&g, d, nonce);
    write_bare(d, nonce, "");
    send(d, 400, "missing_field", "tpm2");
    struct reply shown = show("devices", d->id, "", 200);
    check_text(shown.json, "tier", "measured");
    reply_free(&shown);
}

START_TEST(device_with_an_ak_and_a_factory_certificate_has_to_quote) {
    join(&device, chain, ak_of(&device));
    check_no_way_down(&device);
}
END_TEST

START_TEST(device_with_an_ek_has_to_quote) {
    device_join(&g, &device);
    check_no_way_down(&device);
}
END_TEST

START_TEST(lowered_tier_lets_nobody_leave_out_the_quote) {
    char nonce[48];
    change_model("{\"credential_tier\":\"measured\"}");
    join(&device, chain, ak_of(&device));
    change_model("{\"credential_tier\":\"identified\"}");
    device_challenge(&g, &device, nonce);
    write_bare(&device, nonce, "");
    send(&device, 400, "missing_field", "tpm2");
    check_decision(&g, device.id, "deny", "not_appraised");
}
END_TEST

START_TEST(quote_of_a_device_without_an_ak_is_refused) {
    char nonce[48];
    join(&device, chain, NULL);
    device_challenge(&g, &device, nonce);
    device_evidence_body(&device, body, nonce);
    send(&device, 400, "invalid_field", "tpm2: ");
    check_decision(&g, device.id, "deny", "not_appraised");
}
END_TEST

/* --- what is no evidence --- */

static const struct {
    const char *more, *code;
} wrong[] = {
    {",\"tpm2\":null", "invalid_field"},
    {",\"tpm2\":{}", "missing_field"},
    {",\"tpm2\":{\"quote\":\"\",\"signature\":\"\"}", "invalid_field"},
    {",\"tcg_event_log\":\"AAAA\"", "missing_field"},
    {",\"tcg_event_log\":\"\"", "missing_field"},
    {",\"tcg_event_log_sha256\":\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
     "\"",
     "missing_field"},
    {",\"ima_log\":\"AAAA\"", "missing_field"},
    {",\"ima_log_from\":0", "missing_field"},
    {",\"key_certification\":{\"certify_info\":\"AAAA\",\"signature\":\"AAAA\",\"public\":"
     "\"AAAA\"}",
     "missing_field"},
    {",\"tier\":\"measured\"", "unknown_field"},
};

START_TEST(more_than_nonce_and_csr_is_refused) {
    char nonce[48];
    join(&device, chain, NULL);
    device_challenge(&g, &device, nonce);
    write_bare(&device, nonce, wrong[_i].more);
    send(&device, 400, wrong[_i].code, "");
    check_decision(&g, device.id, "deny", "not_appraised");
    write_bare(&device, nonce, ""); /* the nonce is still good */
    struct reply reply = device_send(&g, &device, body);
    expect_status(reply, 201);
    reply_free(&reply);
}
END_TEST

START_TEST(nonce_alone_or_csr_alone_is_refused) {
    char nonce[48];
    join(&device, chain, NULL);
    device_challenge(&g, &device, nonce);
    (void)sprintf(body, "{\"nonce\":\"%s\"}", nonce);
    send(&device, 400, "missing_field", "");
    (void)sprintf(body, "{\"nonce\":\"%s\",\"csr\":\"\"}", nonce);
    send(&device, 400, "missing_field", "csr");
    (void)strcpy(body, "{\"csr\":\"AAAA\"}");
    send(&device, 400, "missing_field", "nonce");
}
END_TEST

START_TEST(nonce_is_the_devices_own_and_good_once) {
    char nonce[48];
    join(&device, chain, NULL);
    join(&other, other_chain, NULL);
    device_challenge(&g, &other, nonce);
    write_bare(&device, nonce, "");
    send(&device, 409, "nonce_unknown", "");
    device_challenge(&g, &device, nonce);
    write_bare(&device, nonce, "");
    struct reply reply = device_send(&g, &device, body);
    expect_status(reply, 201);
    reply_free(&reply);
    send(&device, 409, "nonce_used", "");
}
END_TEST

START_TEST(csr_that_is_not_signed_by_its_key_is_refused) {
    char nonce[48];
    join(&device, chain, NULL);
    device_challenge(&g, &device, nonce);
    write_bare(&device, nonce, "");
    char *at = strstr(body, "\"csr\":\"") + 200;
    at[0] = at[0] == 'A' ? 'B' : 'A';
    send(&device, 422, "csr_invalid", "");
    check_decision(&g, device.id, "deny", "not_appraised");
}
END_TEST

START_TEST(who_comes_with_another_certificate_is_refused) {
    join(&device, chain, NULL);
    device.caller = factory_peer(other_chain, 2, true);
    write_bare(&device, "AAAA", "");
    send(&device, 403, "forbidden", "");
    device.caller = factory_peer(chain, 2, false);
    send(&device, 403, "forbidden", "");
}
END_TEST

/* --- when it ends --- */

START_TEST(raised_tier_cuts_it_off_at_once_and_lets_it_in_no_more) {
    join(&device, chain, NULL);
    prove(201, NULL);
    change_model("{\"credential_tier\":\"verified_boot\"}");
    check_decision(&g, device.id, "deny", "tier_too_low");
    struct reply reply = prove_bare(&device);
    check_code(&reply, 403, "tier_too_low");
    check_text(reply.json, "tier", "identified");
    check_text(reply.json, "credential_tier", "verified_boot");
    struct reply appraisal = show("appraisals", reply_text(&reply, "appraisal_id"), "", 200);
    check_text(finding_of(&appraisal, 0), "code", "tier_too_low");
    ck_assert_ptr_nonnull(strstr(
        json_string_value(json_object_get(finding_of(&appraisal, 0), "remediation")), "nothing"));
    check_text(finding_of(&appraisal, 1), "code", "no_evidence");
    reply_free(&appraisal);
    reply_free(&reply);
    change_model("{\"credential_tier\":\"identified\"}");
    check_decision(&g, device.id, "deny", "credential_revoked"); /* what it had stays revoked */
    prove(201, NULL);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(tier_that_is_raised_under_way_counts) {
    char nonce[48];
    join(&device, chain, NULL);
    device_challenge(&g, &device, nonce);
    write_bare(&device, nonce, "");
    struct caller author = caller_operator("author");
    struct gate *gate = gateway_hold(&g);
    struct exchange *change =
        call_start(&g, &(struct call){.plane = PLANE_ADMIN,
                                      .caller = &author,
                                      .method = "PUT",
                                      .target = MODEL,
                                      .body = "{\"credential_tier\":\"measured\"}"});
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
    NO_CREDENTIAL(reply);
    reply_free(&reply);
    struct caller proxy = caller_proxy();
    reply = call(&g, &(struct call){.plane = PLANE_PROXY,
                                    .caller = &proxy,
                                    .method = "GET",
                                    .target = arena_printf(&arena, "/v1/decisions/%s", device.id)});
    check_text(reply.json, "decision", "deny");
    reply_free(&reply);
}
END_TEST

START_TEST(quarantined_device_gets_nothing_until_it_is_released) {
    join(&device, chain, NULL);
    prove(201, NULL);
    expect_admin(&g, "operator", "POST",
                 arena_printf(&arena, "/v1/devices/%s/quarantine", device.id),
                 "{\"reason\":\"odd\"}", 200, NULL);
    check_decision(&g, device.id, "deny", "quarantined");
    prove(403, "device_quarantined");
    expect_admin(&g, "operator", "POST", arena_printf(&arena, "/v1/devices/%s/release", device.id),
                 "{}", 200, NULL);
    prove(201, NULL);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

START_TEST(retired_device_is_refused) {
    char nonce[48];
    join(&device, chain, NULL);
    prove(201, NULL);
    device_challenge(&g, &device, nonce);
    write_bare(&device, nonce, "");
    expect_admin(&g, "operator", "POST", arena_printf(&arena, "/v1/devices/%s/retire", device.id),
                 "{\"reason\":\"sold\"}", 200, NULL);
    send(&device, 403, "device_retired", "");
    check_decision(&g, device.id, "deny", "retired");
}
END_TEST

START_TEST(device_whose_maker_is_trusted_no_more_or_that_is_unbound_is_refused) {
    char nonce[48], hex[65];
    uint8_t digest[32];
    join(&device, chain, NULL);
    device_challenge(&g, &device, nonce);
    write_bare(&device, nonce, "");
    digest_compute(HASH_SHA256, root, digest);
    hex_encode(hex, bytes_of(digest, 32));
    expect_admin(&g, "admin", "DELETE", arena_printf(&arena, MODEL "/idevid-trust/%s", hex), NULL,
                 204, NULL);
    send(&device, 403, "forbidden", "");
    const char *pem = (const char *)cert_pem(&arena, &root, 1).data;
    expect_admin(&g, "admin", "POST", MODEL "/idevid-trust",
                 factory_text_json(&arena, "certificates", pem), 201, NULL);
    expect_admin(&g, "operator", "PATCH", arena_printf(&arena, "/v1/devices/%s", device.id),
                 "{\"idevid_certificate\":null}", 200, NULL);
    send(&device, 403, "forbidden", "");
}
END_TEST

START_TEST(model_that_wants_keys_in_the_tpm_later_gives_it_nothing) {
    join(&device, chain, NULL);
    change_model("{\"key_protection\":\"tpm\"}");
    prove(422, "key_certification_required");
    check_decision(&g, device.id, "deny", "not_appraised");
}
END_TEST

START_TEST(reappraisal_leaves_it_as_long_as_its_model_takes_it) {
    char baseline[33], id[33];
    join(&device, chain, NULL);
    prove(201, NULL);
    gateway_add_baseline(&g, &other, baseline); /* there are baselines, and it meets none */
    expect_admin(&g, "approver", "POST", arena_printf(&arena, "/v1/baselines/%s/retire", baseline),
                 "{}", 200, NULL);
    struct reply reply =
        admin(&g, "operator", "POST", "/v1/reappraisals",
              "{\"model\":\"acme-edge9\",\"enforce\":\"now\",\"reason\":\"as asked\"}");
    expect_status(reply, 201);
    (void)snprintf(id, sizeof id, "%s", reply_text(&reply, "id"));
    while (strcmp(reply_text(&reply, "state"), "done") != 0) {
        reply_free(&reply);
        (void)usleep(1000);
        reply = show("reappraisals", id, "", 200);
    }
    ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "without_facts")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(reply.json, "changed")), 0);
    reply_free(&reply);
    check_decision(&g, device.id, "allow", "trusted");
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_test(t, device_is_registered_by_its_factory_certificate_and_nothing_else);
    tcase_add_test(t, devices_without_an_ak_do_not_clash);
    tcase_add_loop_test(t, model_that_asks_for_more_takes_no_such_device, 0, 2);
    tcase_add_test(t, model_that_wants_keys_in_the_tpm_takes_no_such_device);
    tcase_add_test(t, certificate_that_does_not_hold_registers_nobody);
    tcase_add_test(t, device_gets_no_ak_later);
    tcase_add_test(t, device_with_an_ak_is_not_registered_again_without);
    tcase_add_test(t, certificate_that_is_bound_to_a_device_with_an_ek_makes_no_other_device);
    tcase_add_test(t, it_is_identified_and_its_appraisal_says_that_nothing_is_known);
    tcase_add_test(t, its_challenge_asks_for_no_quote_and_no_log);
    tcase_add_test(t, nothing_is_shown_of_what_it_booted);
    tcase_add_test(t, device_with_an_ak_and_a_factory_certificate_has_to_quote);
    tcase_add_test(t, device_with_an_ek_has_to_quote);
    tcase_add_test(t, lowered_tier_lets_nobody_leave_out_the_quote);
    tcase_add_test(t, quote_of_a_device_without_an_ak_is_refused);
    tcase_add_loop_test(t, more_than_nonce_and_csr_is_refused, 0,
                        (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(t, nonce_alone_or_csr_alone_is_refused);
    tcase_add_test(t, nonce_is_the_devices_own_and_good_once);
    tcase_add_test(t, csr_that_is_not_signed_by_its_key_is_refused);
    tcase_add_test(t, who_comes_with_another_certificate_is_refused);
    tcase_add_test(t, raised_tier_cuts_it_off_at_once_and_lets_it_in_no_more);
    tcase_add_test(t, tier_that_is_raised_under_way_counts);
    tcase_add_test(t, quarantined_device_gets_nothing_until_it_is_released);
    tcase_add_test(t, retired_device_is_refused);
    tcase_add_test(t, device_whose_maker_is_trusted_no_more_or_that_is_unbound_is_refused);
    tcase_add_test(t, model_that_wants_keys_in_the_tpm_later_gives_it_nothing);
    tcase_add_test(t, reappraisal_leaves_it_as_long_as_its_model_takes_it);
}

int main(void) {
    for (size_t i = 0; i < CERT_KEYS; i++) {
        (void)cert_key(i);
    }
    TCase *t = tcase_create("legacy");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    add_tests(t);
    Suite *suite = suite_create("api_legacy");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/commands/commands.h"
#include "server/crypto/digest.h"
#include "server/evidence/tpm2/event_types.h"
#include "tests/unit/evidence_builder.h"
#include "tests/unit/run_command.h"
#include "tests/unit/soft_tpm.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint16_t two_banks[] = {HASH_SHA1, HASH_SHA256, 0};
static const uint16_t with_unknown[] = {HASH_SHA256, 0x0012, 0};
static const uint16_t sha256[] = {HASH_SHA256, 0};
#define NONCE "00112233445566778899aabbccddeeff"

static char folder[64];
static struct arena arena;
static struct log_builder made;
static struct command_run run;
static json_t *told;

static const char *path(const char *name) {
    return arena_printf(&arena, "%s/%s", folder, name);
}

static void save(const char *name, struct bytes content) {
    ck_assert_int_eq(file_replace(path(name), 0600, content, NULL), STATUS_OK);
}

static void start(void) {
    memcpy(folder, "/tmp/gatehouse-test-XXXXXX", 27);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    arena_init(&arena, 1 << 24);
    memset(&made, 0, sizeof made);
    memset(&run, 0, sizeof run);
    told = NULL;
}

static void end(void) {
    static const char *const names[] = {"log", "baseline", "evidence", "ak", "big"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unlink(path(names[i]));
    }
    (void)rmdir(folder);
    command_run_free(&run);
    json_decref(told);
    log_free(&made);
    arena_free(&arena);
}

static void call(int (*command)(int, char **), const char *const *argv, const char *input) {
    command_run_free(&run);
    json_decref(told);
    run_command(&run, command, argv, input);
    told = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
}

static bool is_one_line(const char *text) {
    const char *end_of_line = strchr(text, '\n');
    return end_of_line != NULL && end_of_line[1] == '\0';
}

/* --- inspect ----------------------------------------------------------------------------------- */

static void inspect(struct bytes log) {
    save("log", log);
    const char *argv[] = {"inspect", path("log"), NULL};
    call(command_inspect, argv, NULL);
}

static json_t *told_event(size_t i) {
    return json_array_get(json_object_get(told, "events"), i);
}

static const char *text_of(json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

START_TEST(inspect_tells_banks_events_and_values) {
    char hex[65];
    log_small_boot(&made, two_banks);
    inspect(log_bytes(&made));
    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(run.err, "");
    ck_assert_str_eq(text_of(told, "spec_version"), "2.0 errata 106");
    ck_assert_uint_eq(json_array_size(json_object_get(told, "banks")), 2);
    ck_assert_uint_eq(json_array_size(json_object_get(told, "events")), made.num_events);
    json_t *event = told_event(1), *pcrs = json_object_get(told, "pcrs");
    ck_assert_str_eq(text_of(event, "type"), "EV_S_CRTM_VERSION");
    ck_assert_int_eq((int)json_integer_value(json_object_get(event, "pcr")), 0);
    ck_assert_str_eq(text_of(json_object_get(event, "data"), "text"), "edge9 firmware 1.42");
    ck_assert(json_is_true(json_object_get(event, "digest_matches_data")));
    ck_assert_uint_eq(json_object_size(json_object_get(event, "digests")), 2);
    hex_encode(hex, bytes_of(log_pcr(&made, HASH_SHA256, 4), 32));
    ck_assert_str_eq(text_of(json_object_get(pcrs, "sha256"), "4"), hex);
    ck_assert_uint_eq(json_object_size(json_object_get(pcrs, "sha256")), 11);
    ck_assert(json_is_true(json_object_get(json_object_get(told, "secure_boot"), "enabled")));
}
END_TEST

START_TEST(inspect_tells_whether_a_digest_is_of_the_data) {
    uint8_t data[] = "changed";
    log_start(&made, sha256);
    log_text(&made, 5, EV_EFI_ACTION, "true");
    log_event(&made, 5, EV_EFI_ACTION, bytes_of(data, 7), bytes_of_text("original"));
    log_event(&made, 4, EV_EFI_BOOT_SERVICES_APPLICATION, bytes_of_text("path"),
              bytes_of_text("image"));
    inspect(log_bytes(&made));
    ck_assert(json_is_null(json_object_get(told_event(0), "digest_matches_data")));
    ck_assert(json_is_true(json_object_get(told_event(1), "digest_matches_data")));
    ck_assert(json_is_false(json_object_get(told_event(2), "digest_matches_data")));
    ck_assert(json_is_null(json_object_get(told_event(3), "digest_matches_data")));
}
END_TEST

START_TEST(inspect_frames_banks_that_it_does_not_know) {
    log_small_boot(&made, with_unknown);
    inspect(log_bytes(&made));
    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(told, "banks"), 1)),
                     "0x0012");
    ck_assert_ptr_nonnull(text_of(json_object_get(told_event(1), "digests"), "0x0012"));
    ck_assert_ptr_null(json_object_get(json_object_get(told, "pcrs"), "0x0012"));
}
END_TEST

START_TEST(inspect_reads_standard_input) {
    static const char *const argv[] = {"inspect", "-", NULL};
    log_small_boot(&made, two_banks);
    save("log", log_bytes(&made));
    call(command_inspect, argv, path("log"));
    ck_assert_int_eq(run.status, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(told, "events")), made.num_events);
}
END_TEST

START_TEST(inspect_tells_the_old_format) {
    uint8_t raw[36] = {4, 0, 0, 0, EV_ACTION};
    raw[28] = 4;
    memcpy(raw + 32, "boot", 4);
    inspect(bytes_of(raw, sizeof raw));
    ck_assert_int_eq(run.status, 0);
    ck_assert(json_is_null(json_object_get(told, "spec_version")));
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(told, "banks"), 0)), "sha1");
    ck_assert_ptr_nonnull(text_of(json_object_get(json_object_get(told, "pcrs"), "sha1"), "4"));
}
END_TEST

START_TEST(inspect_tells_startup_locality_and_hcrtm) {
    log_start(&made, sha256);
    log_locality(&made, 3);
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    inspect(log_bytes(&made));
    json_t *data = json_object_get(told_event(1), "data");
    ck_assert_int_eq((int)json_integer_value(json_object_get(data, "startup_locality")), 3);
    log_free(&made);
    log_start(&made, sha256);
    log_hcrtm(&made, "hardware");
    inspect(log_bytes(&made));
    ck_assert_str_eq(text_of(told_event(1), "type"), "EV_EFI_HCRTM_EVENT");
    ck_assert_str_eq(text_of(json_object_get(told_event(1), "data"), "text"), "HCRTM");
}
END_TEST

START_TEST(inspect_of_a_malformed_log_prints_what_came_before_and_one_line) {
    char line[80];
    log_small_boot(&made, two_banks);
    size_t bad = 3 + (size_t)_i;
    made.data[made.start[bad] + 8] = 0;
    inspect(log_bytes(&made));
    ck_assert_int_eq(run.status, 1);
    ck_assert_ptr_nonnull(told);
    ck_assert_uint_eq(json_array_size(json_object_get(told, "events")), bad);
    (void)snprintf(line, sizeof line, "gatehouse inspect: event %zu at byte %zu: ", bad,
                   made.start[bad]);
    ck_assert_msg(strncmp(run.err, line, strlen(line)) == 0, "%s", run.err);
    ck_assert(is_one_line(run.err));
}
END_TEST

START_TEST(inspect_of_no_log_at_all_prints_one_line) {
    static const char *const texts[] = {"", "text",
                                        "a longer text, which is no event log at all\n"};
    inspect(bytes_of_text(texts[_i]));
    ck_assert_int_eq(run.status, 1);
    ck_assert_ptr_nonnull(told);
    ck_assert_uint_eq(json_array_size(json_object_get(told, "events")), 0);
    ck_assert(is_one_line(run.err));
}
END_TEST

START_TEST(inspect_takes_one_file) {
    const char *none[] = {"inspect", NULL}, *two[] = {"inspect", "a", "b", NULL},
               *option[] = {"inspect", "--all", NULL};
    const char *const *all[] = {none, two, option};
    call(command_inspect, all[_i], NULL);
    ck_assert_int_eq(run.status, EXIT_USAGE);
    ck_assert_str_eq(run.out, "");
}
END_TEST

START_TEST(inspect_without_a_readable_file_prints_one_line) {
    const char *missing[] = {"inspect", "/nonexistent/log", NULL};
    call(command_inspect, missing, NULL);
    ck_assert_int_eq(run.status, 1);
    ck_assert_str_eq(run.out, "");
    ck_assert(is_one_line(run.err));
}
END_TEST

/* --- appraise ---------------------------------------------------------------------------------- */

enum { MASK = 0x43FF };
static struct soft_tpm tpm;
static json_t *evidence, *baseline;
static struct private_key *tls;

static json_t *base64_json(struct bytes in) {
    return json_string(base64_encode_arena(&arena, in));
}

static void save_json(const char *name, json_t *json) {
    char *text = json_dumps(json, 0);
    ck_assert_ptr_nonnull(text);
    save(name, bytes_of_text(text));
    free(text);
}

/* A boot, its evidence, and a baseline of all its PCRs. */
static void start_appraise(void) {
    static uint8_t log_store[1 << 16];
    uint8_t quote[512], signature[600], ak[1024];
    struct bytes nonce;
    struct writer log = writer_of(log_store, sizeof log_store), q = writer_of(quote, sizeof quote),
                  s = writer_of(signature, sizeof signature), a = writer_of(ak, sizeof ak);
    start();
    soft_tpm_init(&tpm, KEY_EC_P256);
    soft_tpm_boot(&tpm, &log, 0);
    ck_assert_int_eq(hex_decode_arena(&arena, &nonce, NONCE), STATUS_OK);
    soft_tpm_quote(&tpm, &q, &s, nonce, MASK);
    soft_tpm_ak(&tpm, &a);
    save("ak", writer_bytes(&a));
    evidence = json_pack("{s:o,s:{s:o,s:o},s:o}", "nonce", base64_json(nonce), "tpm2", "quote",
                         base64_json(writer_bytes(&q)), "signature", base64_json(writer_bytes(&s)),
                         "tcg_event_log", base64_json(writer_bytes(&log)));
    baseline = json_pack("{s:s,s:s,s:s,s:{}}", "schema", "gatehouse/baseline/1", "model", "edge9",
                         "bank", "sha256", "pcrs");
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        char key[12], hex[65];
        (void)snprintf(key, sizeof key, "%u", i);
        hex_encode(hex, bytes_of(tpm.pcr[i], 32));
        if ((MASK >> i & 1) != 0) {
            (void)json_object_set_new(json_object_get(baseline, "pcrs"), key,
                                      json_pack("[s]", hex));
        }
    }
    save_json("evidence", evidence);
    save_json("baseline", baseline);
}

static void end_appraise(void) {
    private_key_free(tls);
    tls = NULL;
    json_decref(evidence);
    json_decref(baseline);
    soft_tpm_cleanup(&tpm);
    end();
}

static void appraise_with(const char *nonce, const char *pcrs) {
    const char *argv[] = {
        "appraise", "--baseline", path("baseline"), "--evidence", path("evidence"),
        "--ak",     path("ak"),   "--nonce",        nonce,        pcrs == NULL ? NULL : "--pcrs",
        pcrs,       NULL};
    call(command_appraise, argv, NULL);
}

/* The log goes into a file of its own, and the evidence only names it. */
static void name_log(void) {
    struct bytes log;
    uint8_t digest[32];
    char hex[65];
    const char *base64 = text_of(evidence, "tcg_event_log");
    ck_assert_int_eq(base64_decode_arena(&arena, &log, base64, strlen(base64), NULL), STATUS_OK);
    save("log", log);
    digest_compute(HASH_SHA256, log, digest);
    hex_encode(hex, bytes_of(digest, sizeof digest));
    (void)json_object_del(evidence, "tcg_event_log");
    (void)json_object_set_new(evidence, "tcg_event_log_sha256", json_string(hex));
    save_json("evidence", evidence);
}

static void appraise_with_log(const char *log) {
    const char *argv[] = {
        "appraise", "--baseline", path("baseline"), "--evidence", path("evidence"),
        "--ak",     path("ak"),   "--nonce",        NONCE,        "--log",
        log,        NULL};
    call(command_appraise, argv, NULL);
}

static void untrusted_because(const char *failure) {
    ck_assert_int_eq(run.status, 3);
    ck_assert_str_eq(text_of(told, "verdict"), "untrusted");
    ck_assert_str_eq(text_of(told, "failure"), failure);
    ck_assert_str_ne(text_of(told, "detail"), "");
}

static void unusable(void) {
    ck_assert_int_eq(run.status, 1);
    ck_assert_str_eq(run.out, "");
    ck_assert_msg(is_one_line(run.err), "%s", run.err);
}

/* main prints how it is called. */
static void wrong_use(void) {
    ck_assert_int_eq(run.status, EXIT_USAGE);
    ck_assert_str_eq(run.out, "");
}

START_TEST(appraise_trusts_what_it_should) {
    appraise_with(NONCE, NULL);
    ck_assert_msg(run.status == 0, "%s%s", run.out, run.err);
    ck_assert_str_eq(text_of(told, "verdict"), "trusted");
    ck_assert_str_eq(text_of(told, "tier"), "measured");
    ck_assert_uint_eq(json_array_size(json_object_get(told, "findings")), 0);
    ck_assert_str_eq(run.err, "");
    appraise_with(NONCE, "sha256:0-9,14");
    ck_assert_int_eq(run.status, 0);
}
END_TEST

START_TEST(appraise_takes_a_log_that_is_only_named_from_a_file) {
    name_log();
    appraise_with_log(path("log"));
    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(text_of(told, "verdict"), "trusted");
}
END_TEST

START_TEST(appraise_says_what_it_lacks_of_a_log_that_is_only_named) {
    name_log();
    appraise_with(NONCE, NULL);
    unusable();
    ck_assert_ptr_nonnull(strstr(run.err, "tcg_event_log_sha256"));
    ck_assert_ptr_nonnull(strstr(run.err, "--log FILE"));
}
END_TEST

START_TEST(appraise_takes_no_other_log_than_the_one_that_is_named) {
    appraise_with_log(path("ak"));
    unusable();
    ck_assert_ptr_nonnull(strstr(run.err, "no tcg_event_log_sha256"));
    name_log();
    appraise_with_log(path("ak"));
    unusable();
    ck_assert_ptr_nonnull(strstr(run.err, "not the log"));
    appraise_with_log(path("big"));
    unusable();
}
END_TEST

START_TEST(appraise_takes_a_pem_key) {
    uint8_t spki[KEY_SPKI_MAX];
    struct writer w = writer_of(spki, sizeof spki);
    ck_assert_int_eq(public_key_to_spki(&w, &tpm.ak_public), STATUS_OK);
    const char *pem =
        arena_printf(&arena, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n",
                     base64_encode_arena(&arena, writer_bytes(&w)));
    save("ak", bytes_of_text(pem));
    appraise_with(NONCE, NULL);
    if (run.status != 0) { /* lines of 64 digits */
        char *lines = arena_text(&arena, "-----BEGIN PUBLIC KEY-----\n");
        const char *digits = base64_encode_arena(&arena, writer_bytes(&w));
        for (size_t i = 0; i < strlen(digits); i += 64) {
            lines = arena_printf(&arena, "%s%.64s\n", lines, digits + i);
        }
        lines = arena_printf(&arena, "%s-----END PUBLIC KEY-----\n", lines);
        save("ak", bytes_of_text(lines));
        appraise_with(NONCE, NULL);
    }
    ck_assert_msg(run.status == 0, "%s%s", run.out, run.err);
}
END_TEST

START_TEST(appraise_names_what_differs) {
    json_t *pcrs = json_object_get(baseline, "pcrs");
    (void)json_object_set(pcrs, "4", json_object_get(pcrs, "5"));
    (void)json_object_del(pcrs, "8");
    save_json("baseline", baseline);
    appraise_with(NONCE, NULL);
    ck_assert_int_eq(run.status, 3);
    ck_assert_str_eq(text_of(told, "verdict"), "untrusted");
    json_t *findings = json_object_get(told, "findings"), *first = json_array_get(findings, 0);
    ck_assert_uint_eq(json_array_size(findings), 2);
    ck_assert_str_eq(text_of(first, "code"), "pcr_mismatch");
    ck_assert_str_eq(text_of(first, "rule"), "pcrs");
    ck_assert_str_eq(text_of(first, "severity"), "deny");
    ck_assert_int_eq((int)json_integer_value(json_object_get(first, "pcr")), 4);
    ck_assert(json_is_null(json_object_get(first, "event")));
    ck_assert_str_eq(text_of(json_array_get(findings, 1), "code"), "pcr_unlisted");
}
END_TEST

START_TEST(appraise_wants_each_named_pcr_in_the_signed_selection) {
    json_t *pcrs = json_object_get(baseline, "pcrs");
    (void)json_object_set(pcrs, "12", json_object_get(pcrs, "5"));
    save_json("baseline", baseline);
    appraise_with(NONCE, NULL);
    ck_assert_int_eq(run.status, 3);
    json_t *first = json_array_get(json_object_get(told, "findings"), 0);
    ck_assert_str_eq(text_of(first, "code"), "pcr_not_quoted");
}
END_TEST

START_TEST(appraise_wants_the_whole_selection_that_was_asked_for) {
    appraise_with(NONCE, "sha256:0-9");
    untrusted_because("pcr_selection_mismatch");
    appraise_with(NONCE, "sha384:0-9,14");
    untrusted_because("pcr_selection_mismatch");
}
END_TEST

START_TEST(appraise_wants_this_nonce_in_quote_and_body) {
    appraise_with("00", NULL);
    untrusted_because("nonce_mismatch");
    appraise_with(NONCE "00", NULL);
    untrusted_because("nonce_mismatch");
    /* A body that says the wanted nonce does not help a quote over another one. */
    (void)json_object_set_new(evidence, "nonce", base64_json(bytes_of("\0", 1)));
    save_json("evidence", evidence);
    appraise_with("00", NULL);
    untrusted_because("nonce_mismatch");
    appraise_with(NONCE, NULL);
    untrusted_because("nonce_mismatch");
}
END_TEST

START_TEST(appraise_says_why_evidence_does_not_verify) {
    (void)json_object_del(evidence, "tcg_event_log");
    save_json("evidence", evidence);
    appraise_with(NONCE, NULL);
    untrusted_because("pcr_values_missing");
    log_small_boot(&made, sha256);
    (void)json_object_set_new(evidence, "tcg_event_log", base64_json(log_bytes(&made)));
    save_json("evidence", evidence);
    appraise_with(NONCE, NULL);
    untrusted_because("log_does_not_replay");
    (void)json_object_set_new(evidence, "tcg_event_log", base64_json(bytes_of_text("text")));
    save_json("evidence", evidence);
    appraise_with(NONCE, NULL);
    untrusted_because("evidence_malformed");
    struct soft_tpm other;
    uint8_t ak[1024];
    struct writer a = writer_of(ak, sizeof ak);
    soft_tpm_init(&other, KEY_EC_P256);
    soft_tpm_ak(&other, &a);
    soft_tpm_cleanup(&other);
    save("ak", writer_bytes(&a));
    appraise_with(NONCE, NULL);
    untrusted_because("quote_signature_invalid");
}
END_TEST

/* --- keys in the TPM --- */

/* The evidence has a request for a key, and what the AK certifies of it. */
static void certify(const char *nonce_hex, uint32_t attributes) {
    uint8_t csr[1024], area[512], info[512], signature[600];
    struct writer c = writer_of(csr, sizeof csr), p = writer_of(area, sizeof area),
                  i = writer_of(info, sizeof info), s = writer_of(signature, sizeof signature);
    struct public_key public;
    struct bytes nonce;
    private_key_free(tls);
    ck_assert_int_eq(private_key_generate(&tls, KEY_EC_P256), STATUS_OK);
    private_key_public(tls, &public);
    ck_assert_int_eq(hex_decode_arena(&arena, &nonce, nonce_hex), STATUS_OK);
    soft_csr(&c, tls);
    soft_tpm_key(&p, &public, attributes, HASH_SHA256);
    soft_tpm_certify(&tpm, &i, &s, nonce, writer_bytes(&p));
    (void)json_object_set_new(evidence, "csr", base64_json(writer_bytes(&c)));
    (void)json_object_set_new(
        evidence, "key_certification",
        json_pack("{s:o,s:o,s:o}", "certify_info", base64_json(writer_bytes(&i)), "signature",
                  base64_json(writer_bytes(&s)), "public", base64_json(writer_bytes(&p))));
    save_json("evidence", evidence);
}

START_TEST(appraise_tells_where_the_key_is) {
    appraise_with(NONCE, NULL);
    ck_assert_str_eq(text_of(told, "key_protection"), "unproven");
    certify(NONCE, SOFT_KEY);
    appraise_with(NONCE, NULL);
    ck_assert_msg(run.status == 0, "%s%s", run.out, run.err);
    ck_assert_str_eq(text_of(told, "key_protection"), "tpm");
    (void)json_object_del(evidence, "key_certification"); /* a request alone proves nothing */
    save_json("evidence", evidence);
    appraise_with(NONCE, NULL);
    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(text_of(told, "key_protection"), "unproven");
}
END_TEST

START_TEST(appraise_refuses_a_certification_that_does_not_hold) {
    certify(NONCE "00", SOFT_KEY);
    appraise_with(NONCE, NULL);
    untrusted_because("key_certification_invalid");
    ck_assert_ptr_nonnull(strstr(text_of(told, "detail"), "extraData"));
    certify(NONCE, SOFT_KEY & ~(uint32_t)TPM_FIXED_TPM);
    appraise_with(NONCE, NULL);
    untrusted_because("key_certification_invalid");
    certify(NONCE, SOFT_KEY);
    json_t *kept = json_incref(json_object_get(evidence, "key_certification"));
    certify(NONCE, SOFT_KEY); /* another key's request */
    (void)json_object_set_new(evidence, "key_certification", kept);
    save_json("evidence", evidence);
    appraise_with(NONCE, NULL);
    untrusted_because("key_certification_invalid");
    ck_assert_ptr_nonnull(strstr(text_of(told, "detail"), "request"));
}
END_TEST

START_TEST(appraise_refuses_a_certified_request_that_is_none) {
    certify(NONCE, SOFT_KEY);
    (void)json_object_set_new(evidence, "csr", base64_json(bytes_of_text("text")));
    save_json("evidence", evidence);
    appraise_with(NONCE, NULL);
    untrusted_because("csr_invalid");
}
END_TEST

START_TEST(appraise_needs_the_request_that_is_certified) {
    certify(NONCE, SOFT_KEY);
    (void)json_object_del(evidence, "csr");
    save_json("evidence", evidence);
    appraise_with(NONCE, NULL);
    unusable();
    ck_assert_ptr_nonnull(strstr(run.err, "no csr"));
    (void)json_object_set_new(evidence, "csr", json_string(""));
    save_json("evidence", evidence);
    appraise_with(NONCE, NULL);
    unusable();
}
END_TEST

START_TEST(appraise_of_unusable_input_prints_one_line) {
    static const char *const files[] = {"baseline", "evidence", "ak"};
    static const char *const contents[] = {"", "{}", "[1,2", "-----BEGIN nothing"};
    save(files[_i / 4], bytes_of_text(contents[_i % 4]));
    appraise_with(NONCE, NULL);
    unusable();
}
END_TEST

START_TEST(appraise_refuses_unknown_fields) {
    (void)json_object_set_new(_i == 0 ? evidence : baseline, "pcr", json_object());
    save_json("evidence", evidence);
    save_json("baseline", baseline);
    appraise_with(NONCE, NULL);
    unusable();
    ck_assert_ptr_nonnull(strstr(run.err, "unknown field"));
}
END_TEST

START_TEST(appraise_refuses_wrong_nonces_and_selections) {
    static const char *const nonces[] = {"", "0", "xx", "00 ", "0x00"};
    static const char *const pcrs[] = {"", "sha256", "sha256:24", "0,1", "sha256:0,,1"};
    appraise_with(nonces[_i], NULL);
    unusable();
    appraise_with(NONCE, pcrs[_i]);
    unusable();
}
END_TEST

START_TEST(appraise_needs_each_of_its_options_once) {
    const char *argv[12] = {"appraise"};
    const char *all[] = {"--baseline", path("baseline"), "--evidence", path("evidence"),
                         "--ak",       path("ak"),       "--nonce",    NONCE};
    for (size_t gone = 0; gone < 4; gone++) {
        size_t num = 1;
        for (size_t i = 0; i < 4; i++) {
            if (i != gone) {
                argv[num++] = all[2 * i];
                argv[num++] = all[2 * i + 1];
            }
        }
        argv[num] = NULL;
        call(command_appraise, argv, NULL);
        wrong_use();
        argv[num] = all[2 * ((gone + 1) % 4)];
        argv[num + 1] = all[2 * ((gone + 1) % 4) + 1];
        argv[num + 2] = NULL;
        call(command_appraise, argv, NULL);
        wrong_use();
        argv[num] = "--verbose";
        call(command_appraise, argv, NULL);
        wrong_use();
    }
    const char *valueless[] = {"appraise", "--ak", NULL};
    call(command_appraise, valueless, NULL);
    wrong_use();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("commands: inspect, appraise");
    TCase *logs = tcase_create("inspect"), *tests = tcase_create("appraise");
    tcase_set_timeout(logs, 60);
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(logs, start, end);
    tcase_add_checked_fixture(tests, start_appraise, end_appraise);
    tcase_add_test(logs, inspect_tells_banks_events_and_values);
    tcase_add_test(logs, inspect_tells_whether_a_digest_is_of_the_data);
    tcase_add_test(logs, inspect_frames_banks_that_it_does_not_know);
    tcase_add_test(logs, inspect_reads_standard_input);
    tcase_add_test(logs, inspect_tells_the_old_format);
    tcase_add_test(logs, inspect_tells_startup_locality_and_hcrtm);
    tcase_add_loop_test(logs, inspect_of_a_malformed_log_prints_what_came_before_and_one_line, 0,
                        3);
    tcase_add_loop_test(logs, inspect_of_no_log_at_all_prints_one_line, 0, 3);
    tcase_add_test(logs, inspect_without_a_readable_file_prints_one_line);
    tcase_add_loop_test(logs, inspect_takes_one_file, 0, 3);
    tcase_add_test(tests, appraise_trusts_what_it_should);
    tcase_add_test(tests, appraise_takes_a_pem_key);
    tcase_add_test(tests, appraise_takes_a_log_that_is_only_named_from_a_file);
    tcase_add_test(tests, appraise_says_what_it_lacks_of_a_log_that_is_only_named);
    tcase_add_test(tests, appraise_takes_no_other_log_than_the_one_that_is_named);
    tcase_add_test(tests, appraise_tells_where_the_key_is);
    tcase_add_test(tests, appraise_refuses_a_certification_that_does_not_hold);
    tcase_add_test(tests, appraise_refuses_a_certified_request_that_is_none);
    tcase_add_test(tests, appraise_needs_the_request_that_is_certified);
    tcase_add_test(tests, appraise_names_what_differs);
    tcase_add_test(tests, appraise_wants_each_named_pcr_in_the_signed_selection);
    tcase_add_test(tests, appraise_wants_the_whole_selection_that_was_asked_for);
    tcase_add_test(tests, appraise_wants_this_nonce_in_quote_and_body);
    tcase_add_test(tests, appraise_says_why_evidence_does_not_verify);
    tcase_add_loop_test(tests, appraise_of_unusable_input_prints_one_line, 0, 12);
    tcase_add_loop_test(tests, appraise_refuses_unknown_fields, 0, 2);
    tcase_add_loop_test(tests, appraise_refuses_wrong_nonces_and_selections, 0, 5);
    tcase_add_test(tests, appraise_needs_each_of_its_options_once);
    suite_add_tcase(suite, logs);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

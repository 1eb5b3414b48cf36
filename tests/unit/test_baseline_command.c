/* gatehouse baseline learn and check, from evidence of a TPM in software. */
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/commands/commands.h"
#include "server/crypto/digest.h"
#include "tests/unit/run_command.h"
#include "tests/unit/soft_tpm.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MASK = 0x43FF };
#define NONCE "0123456789abcdef"

static char folder[64];
static struct arena arena;
static struct command_run run;
static struct soft_tpm tpm;
static json_t *told, *evidence;

static const char *path(const char *name) {
    return arena_printf(&arena, "%s/%s", folder, name);
}

static void save(const char *name, struct bytes content) {
    ck_assert_int_eq(file_replace(path(name), 0600, content, NULL), STATUS_OK);
}

static json_t *base64_json(struct bytes in) {
    return json_string(base64_encode_arena(&arena, in));
}

static void save_evidence(void) {
    char *text = json_dumps(evidence, 0);
    save("evidence", bytes_of_text(text));
    free(text);
}

static void start(void) {
    static uint8_t store[1 << 16], pcrs[SOFT_PCRS][32];
    uint8_t quote[512], signature[600], ak[1024];
    struct writer log = writer_of(store, sizeof store), q = writer_of(quote, sizeof quote),
                  s = writer_of(signature, sizeof signature), a = writer_of(ak, sizeof ak);
    memcpy(folder, "/tmp/gatehouse-test-XXXXXX", 27);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    arena_init(&arena, 1 << 24);
    memset(&run, 0, sizeof run);
    told = NULL;
    soft_tpm_init(&tpm, KEY_EC_P256);
    soft_tpm_boot(&tpm, &log, 0);
    soft_tpm_quote(&tpm, &q, &s, bytes_of_text(NONCE), MASK);
    soft_tpm_ak(&tpm, &a);
    memcpy(pcrs, tpm.pcr, sizeof pcrs);
    save("ak", writer_bytes(&a));
    save("log", writer_bytes(&log));
    save("pcrs", bytes_of(pcrs, 16 * 32));
    evidence =
        json_pack("{s:o,s:{s:o,s:o},s:o}", "nonce", base64_json(bytes_of_text(NONCE)), "tpm2",
                  "quote", base64_json(writer_bytes(&q)), "signature",
                  base64_json(writer_bytes(&s)), "tcg_event_log", base64_json(writer_bytes(&log)));
    save_evidence();
}

static void end(void) {
    static const char *const names[] = {"ak", "log", "pcrs", "evidence", "document", "other"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unlink(path(names[i]));
    }
    (void)rmdir(folder);
    command_run_free(&run);
    json_decref(told);
    json_decref(evidence);
    soft_tpm_cleanup(&tpm);
    arena_free(&arena);
}

static void call(const char *const *argv) {
    command_run_free(&run);
    json_decref(told);
    run_command(&run, command_baseline, argv, NULL);
    told = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
}
#define CALL(...) call((const char *const[]){"baseline", __VA_ARGS__, NULL})

static void must_learn(void) {
    CALL("learn", "--model", "edge9", "--label", "from files", "--ak", path("ak"),
         path("evidence"));
    ck_assert_msg(run.status == 0, "%s", run.err);
}

static void failed(const char *part) {
    const char *newline = strchr(run.err, '\n');
    ck_assert_int_eq(run.status, 1);
    ck_assert_str_eq(run.out, "");
    ck_assert(newline != NULL && newline[1] == '\0');
    ck_assert_msg(strstr(run.err, part) != NULL, "%s", run.err);
}

static void wrong_use(void) {
    ck_assert_int_eq(run.status, EXIT_USAGE);
    ck_assert_str_eq(run.out, "");
}

START_TEST(learn_prints_document_questions_and_warnings) {
    must_learn();
    json_t *document = json_object_get(told, "baseline");
    ck_assert_str_eq(json_string_value(json_object_get(document, "model")), "edge9");
    ck_assert_str_eq(json_string_value(json_object_get(document, "label")), "from files");
    ck_assert_ptr_nonnull(json_object_get(document, "boot_chain"));
    ck_assert_uint_gt(json_array_size(json_object_get(told, "questions")), 0);
    ck_assert(json_is_array(json_object_get(told, "warnings")));
}
END_TEST

START_TEST(what_was_learned_trusts_the_evidence_and_compiles) {
    char nonce[64];
    CALL("learn", "--model", "edge9", "--out", path("document"), "--ak", path("ak"),
         path("evidence"));
    ck_assert_msg(run.status == 0, "%s", run.err);
    ck_assert_ptr_null(json_object_get(told, "baseline"));
    CALL("check", path("document"));
    ck_assert_msg(run.status == 0, "%s", run.err);
    ck_assert_ptr_nonnull(strstr(run.out, "model: edge9\n"));
    ck_assert_ptr_nonnull(strstr(run.out, "boot_chain: shim (1), grub (1)"));
    ck_assert_ptr_nonnull(strstr(run.out, "PCRs to be quoted: sha256:"));
    hex_encode(nonce, bytes_of_text(NONCE));
    const char *argv[] = {
        "appraise", "--baseline", path("document"), "--evidence", path("evidence"),
        "--ak",     path("ak"),   "--nonce",        nonce,        NULL};
    command_run_free(&run);
    run_command(&run, command_appraise, argv, NULL);
    ck_assert_msg(run.status == 0, "%s", run.out);
}
END_TEST

START_TEST(learn_refuses_evidence_that_does_not_verify) {
    struct soft_tpm stranger;
    uint8_t ak[1024];
    struct writer a = writer_of(ak, sizeof ak);
    soft_tpm_init(&stranger, KEY_EC_P256);
    soft_tpm_ak(&stranger, &a);
    soft_tpm_cleanup(&stranger);
    save("other", writer_bytes(&a));
    CALL("learn", "--model", "edge9", "--ak", path("other"), path("evidence"));
    failed("quote_signature_invalid");
    /* With the right key beside it, it verifies. */
    CALL("learn", "--model", "edge9", "--ak", path("other"), "--ak", path("ak"), path("evidence"));
    ck_assert_msg(run.status == 0, "%s", run.err);
    struct bytes log;
    const char *base64 = json_string_value(json_object_get(evidence, "tcg_event_log"));
    ck_assert_int_eq(base64_decode_arena(&arena, &log, base64, strlen(base64), NULL), STATUS_OK);
    /* The last event is missing: 4 + 4 + 4, three digests, 4, and its text. */
    size_t last = 12 + 22 + 34 + 50 + 4 + strlen("Exit Boot Services Returned with Success");
    (void)json_object_set_new(evidence, "tcg_event_log",
                              base64_json(bytes_of(log.data, log.len - last)));
    save_evidence();
    CALL("learn", "--model", "edge9", "--ak", path("ak"), path("evidence"));
    failed("log_does_not_replay");
}
END_TEST

START_TEST(logs_without_a_quote_are_learned_only_when_asked_for) {
    CALL("learn", "--model", "edge9", "--log", path("log"));
    wrong_use();
    CALL("learn", "--model", "edge9", path("evidence"));
    wrong_use();
    CALL("learn", "--model", "edge9", "--ak", path("ak"), "--unverified", path("evidence"));
    wrong_use();
    CALL("learn", "--model", "edge9", "--unverified", "--log", path("log"), "--pcrs", path("pcrs"));
    ck_assert_msg(run.status == 0, "%s", run.err);
    ck_assert_ptr_nonnull(strstr(
        json_string_value(json_array_get(json_object_get(told, "warnings"), 0)), "no quote"));
    CALL("learn", "--model", "edge9", "--unverified", path("evidence"));
    ck_assert_msg(run.status == 0, "%s", run.err);
}
END_TEST

START_TEST(values_that_the_log_does_not_lead_to_are_refused) {
    uint8_t *raw = NULL;
    size_t len = 0;
    ck_assert_int_eq(file_read(&raw, &len, path("pcrs"), 4096, NULL), STATUS_OK);
    raw[4 * 32] ^= 1;
    save("pcrs", bytes_of(raw, len));
    CALL("learn", "--model", "edge9", "--unverified", "--log", path("log"), "--pcrs", path("pcrs"));
    failed("another value of PCR 4");
    save("pcrs", bytes_of(raw, 33));
    CALL("learn", "--model", "edge9", "--unverified", "--log", path("log"), "--pcrs", path("pcrs"));
    failed("32 bytes each");
    free(raw);
}
END_TEST

START_TEST(learn_refuses_wrong_use_and_unusable_files) {
    CALL("learn");
    wrong_use();
    CALL("learn", "--model", "edge9", "--ak", path("ak"));
    wrong_use();
    CALL("learn", "--ak", path("ak"), path("evidence"));
    wrong_use();
    CALL("learn", "--model", "a", "--model", "b", "--ak", path("ak"), path("evidence"));
    wrong_use();
    CALL("learn", "--model", "edge9", "--ak", path("ak"), "--pcrs", path("pcrs"), path("evidence"));
    wrong_use();
    CALL("learn", "--model", "edge9", "--ak");
    wrong_use();
    CALL("teach");
    wrong_use();
    CALL("learn", "--model", "edge9", "--ak", path("ak"), path("nothing"));
    failed("nothing");
    CALL("learn", "--model", "edge9", "--ak", path("log"), path("evidence"));
    failed("log");
    CALL("learn", "--model", "edge9", "--ak", path("ak"), path("log"));
    failed("log");
    CALL("learn", "--model", "edge9", "--unverified", "--log", path("ak"));
    failed("ak");
    CALL("learn", "--model", "bad\nname", "--ak", path("ak"), path("evidence"));
    failed("model");
}
END_TEST

START_TEST(check_says_what_is_wrong_with_a_document) {
    save("document", bytes_of_text("{\"schema\":\"gatehouse/baseline/1\",\"model\":\"m\","
                                   "\"bank\":\"sha256\",\"sbat\":{\"at_leat\":{\"shim\":4}}}"));
    CALL("check", path("document"));
    failed("at_leat");
    save("document", bytes_of_text("not JSON"));
    CALL("check", path("document"));
    failed("document");
    CALL("check", path("nothing"));
    failed("nothing");
    CALL("check");
    wrong_use();
    CALL("check", path("document"), path("document"));
    wrong_use();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("baseline_command");
    TCase *tests = tcase_create("baseline_command");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, learn_prints_document_questions_and_warnings);
    tcase_add_test(tests, what_was_learned_trusts_the_evidence_and_compiles);
    tcase_add_test(tests, learn_refuses_evidence_that_does_not_verify);
    tcase_add_test(tests, logs_without_a_quote_are_learned_only_when_asked_for);
    tcase_add_test(tests, values_that_the_log_does_not_lead_to_are_refused);
    tcase_add_test(tests, learn_refuses_wrong_use_and_unusable_files);
    tcase_add_test(tests, check_says_what_is_wrong_with_a_document);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

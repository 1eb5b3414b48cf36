#include "api/device/evidence_body.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HEX_63     "0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define TPM2       "\"tpm2\":{\"quote\":\"cXVvdGU=\",\"signature\":\"c2ln\"}"
#define NONCE      "\"nonce\":\"bm9uY2U=\""
#define BODY(rest) "{" NONCE "," TPM2 rest "}"
#define PCRS(rest)                                                                                 \
    "{" NONCE ",\"tpm2\":{\"quote\":\"cXVvdGU=\",\"signature\":\"c2ln\",\"pcrs\":" rest "}}"

#define CERTIFICATION(info)                                                                        \
    "{\"certify_info\":\"" info "\",\"signature\":\"c2ln\",\"public\":\"cHVi\"}"

static struct arena arena;
static struct evidence_body body;
static struct detail detail;
static const char *code;

static void start(void) {
    arena_init(&arena, 1 << 20);
    memset(&body, 0x5A, sizeof body);
    memset(&detail, 0, sizeof detail);
    code = NULL;
}

static void end(void) {
    arena_free(&arena);
}

typedef enum status parser(struct evidence_body *out, struct arena *, struct bytes json,
                           const char **code, struct detail *);

static enum status parse_by(parser *how, const char *json) {
    size_t len = strlen(json);
    char *copy = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, json, len);
    enum status status = how(&body, &arena, bytes_of(copy, len), &code, &detail);
    memset(copy, 0xEE, len);
    free(copy); /* nothing points into the body */
    return status;
}

static enum status parse(const char *json) {
    return parse_by(evidence_body_parse, json);
}

static bool is(struct bytes in, const char *text) {
    return bytes_equal(in, bytes_of_text(text));
}

START_TEST(body_gives_each_field) {
    ck_assert_int_eq(
        parse(BODY(",\"tcg_event_log\":\"bG9n\",\"ima_log\":\"aW1h\",\"csr\":\"Y3Ny\"")),
        STATUS_OK);
    ck_assert(is(body.nonce, "nonce"));
    ck_assert(is(body.tpm2.quote, "quote"));
    ck_assert(is(body.tpm2.signature, "sig"));
    ck_assert(is(body.tpm2.tcg_event_log, "log"));
    ck_assert(is(body.tpm2.ima_log, "ima"));
    ck_assert(is(body.csr, "csr"));
    ck_assert_uint_eq(body.tpm2.num_claimed, 0);
}
END_TEST

START_TEST(body_needs_only_nonce_quote_and_signature) {
    ck_assert_int_eq(parse(BODY("")), STATUS_OK);
    ck_assert_uint_eq(body.tpm2.tcg_event_log.len, 0);
    ck_assert_uint_eq(body.tpm2.ima_log.len, 0);
    ck_assert_uint_eq(body.csr.len, 0);
}
END_TEST

START_TEST(body_gives_the_digest_of_a_log_that_is_not_sent) {
    ck_assert_int_eq(parse(BODY("")), STATUS_OK);
    ck_assert(!body.has_log_sha256);
    ck_assert_int_eq(parse(BODY(",\"tcg_event_log_sha256\":\"" HEX "\"")), STATUS_OK);
    ck_assert(body.has_log_sha256);
    ck_assert_uint_eq(body.log_sha256[31], 0xFF);
    ck_assert_uint_eq(body.tpm2.tcg_event_log.len, 0);
}
END_TEST

START_TEST(body_gives_claimed_values_by_bank) {
    ck_assert_int_eq(parse(PCRS("{\"sha256\":{\"0\":\"" HEX "\",\"23\":\"" HEX "\"},"
                                "\"sha1\":{\"7\":\"00112233445566778899aabbccddeeff00112233\"}}")),
                     STATUS_OK);
    ck_assert_uint_eq(body.tpm2.num_claimed, 2);
    ck_assert_int_eq(body.tpm2.claimed[0].alg, HASH_SHA256);
    ck_assert_int_eq(body.tpm2.claimed[1].alg, HASH_SHA1);
    ck_assert(body.tpm2.claimed[0].pcr[0].quoted);
    ck_assert(!body.tpm2.claimed[0].pcr[1].quoted);
    ck_assert(body.tpm2.claimed[0].pcr[23].quoted);
    ck_assert_uint_eq(body.tpm2.claimed[0].pcr[23].value[31], 0xFF);
    ck_assert_uint_eq(body.tpm2.claimed[1].pcr[7].value[19], 0x33);
}
END_TEST

START_TEST(body_gives_each_part_of_a_key_certification) {
    ck_assert_int_eq(parse(BODY(",\"key_certification\":" CERTIFICATION("Y2VydA=="))), STATUS_OK);
    ck_assert(is(body.key_certification.certify_info, "cert"));
    ck_assert(is(body.key_certification.signature, "sig"));
    ck_assert(is(body.key_certification.key_public, "pub"));
    ck_assert(key_certification_given(&body.key_certification));
    ck_assert_int_eq(parse(BODY("")), STATUS_OK);
    ck_assert(!key_certification_given(&body.key_certification));
}
END_TEST

/* At most KEY_CERTIFICATION_PART_MAX bytes. */
START_TEST(body_takes_no_oversized_part_of_a_key_certification) {
    for (size_t extra = 0; extra < 2; extra++) {
        size_t groups = (KEY_CERTIFICATION_PART_MAX + 3 * extra) / 3;
        char text[2048] = {0}, json[4096];
        memset(text, 'A', 4 * groups);
        if (extra == 0) {
            strcat(text, "AA==");
        }
        (void)snprintf(json, sizeof json, BODY(",\"key_certification\":" CERTIFICATION("%s")),
                       text);
        ck_assert_int_eq(parse(json), extra == 0 ? STATUS_OK : STATUS_MALFORMED);
    }
    ck_assert_str_eq(code, "invalid_field");
    ck_assert_msg(strstr(detail.text, "key_certification.certify_info: it is too long") != NULL,
                  "%s", detail.text);
}
END_TEST

START_TEST(body_may_be_spelt_in_any_way_that_json_allows) {
    static const char *const bodies[] = {
        " {\r\n\t\"tpm2\" : { \"signature\" : \"c2ln\" , \"quote\" : \"cXVvdGU=\" } ,\n"
        "\"nonce\" : \"bm9uY2U=\" } \n",
        "{\"no\\u006ece\":\"bm9uY2U\\u003d\"," TPM2 "}",
        "{" NONCE "," TPM2 ",\"csr\":\"++\\/\\/\"}",
    };
    ck_assert_msg(parse(bodies[_i]) == STATUS_OK, "%s", detail.text);
    ck_assert(is(body.nonce, "nonce"));
    ck_assert(is(body.tpm2.quote, "quote"));
    ck_assert(is(body.csr, _i == 2 ? "\xfb\xef\xff" : ""));
}
END_TEST

static const struct {
    const char *json, *code, *path;
} wrong[] = {
    {"", "malformed_json", "body"},
    {"{", "malformed_json", "body"},
    {"[]", "malformed_json", "body"},
    {"null", "malformed_json", "body"},
    {"\"text\"", "malformed_json", "body"},
    {"{" NONCE "," TPM2 ",}", "malformed_json", "body"},
    {"{," NONCE "," TPM2 "}", "malformed_json", "body"},
    {"{" NONCE " " TPM2 "}", "malformed_json", "body"},
    {"{\"nonce\" \"bm9uY2U=\"," TPM2 "}", "malformed_json", "body"},
    {"{\"nonce\":," TPM2 "}", "malformed_json", "body"},
    {"{nonce:\"bm9uY2U=\"," TPM2 "}", "malformed_json", "body"},
    {"{'nonce':\"bm9uY2U=\"," TPM2 "}", "malformed_json", "body"},
    {"{\"nonce\":\"bm9u\nY2U=\"," TPM2 "}", "malformed_base64", "nonce"},
    {"{\"nonce\":\"bm9u\\xY2U=\"," TPM2 "}", "malformed_json", "body"},
    {"{\"nonce\":\"bm9u\\u000Y2U=\"," TPM2 "}", "malformed_json", "body"},
    {BODY(",\"\\u006eonce\":\"\""), "malformed_json", "body"},
    {BODY(",\"n\\u00f6nce\":\"\""), "unknown_field", "body"},
    {"\xef\xbb\xbf" BODY(""), "malformed_json", "body"},
    {BODY("") " x", "malformed_json", "body"},
    {BODY("," NONCE), "malformed_json", "body"},
    {BODY("," TPM2), "malformed_json", "body"},
    {"{" NONCE ",\"tpm2\":{\"quote\":\"cXVvdGU=\",\"quote\":\"cXVvdGU=\",\"signature\":\"c2ln\"}}",
     "malformed_json", "body"},
    {BODY(",\"x\":1"), "unknown_field", "body"},
    {BODY(",\"Nonce\":\"bm9uY2U=\""), "unknown_field", "body"},
    {BODY(",\"verdict\":\"trusted\""), "unknown_field", "body"},
    {"{" NONCE ",\"tpm2\":{\"quote\":\"cXVvdGU=\",\"signature\":\"c2ln\",\"ak\":\"\"}}",
     "unknown_field", "tpm2"},
    {"{" TPM2 "}", "missing_field", "nonce"},
    {"{" NONCE "}", "missing_field", "tpm2"},
    {"{" NONCE ",\"tpm2\":{\"signature\":\"c2ln\"}}", "missing_field", "tpm2.quote"},
    {"{" NONCE ",\"tpm2\":{\"quote\":\"cXVvdGU=\"}}", "missing_field", "tpm2.signature"},
    {"{\"nonce\":null," TPM2 "}", "invalid_field", "nonce"},
    {"{\"nonce\":\"\"," TPM2 "}", "invalid_field", "nonce"},
    {"{\"nonce\":5," TPM2 "}", "invalid_field", "nonce"},
    {"{\"nonce\":"
     "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
     "A=\"," TPM2 "}",
     "invalid_field", "nonce"},
    {"{" NONCE ",\"tpm2\":[]}", "invalid_field", "tpm2"},
    {"{" NONCE ",\"tpm2\":null}", "invalid_field", "tpm2"},
    {"{" NONCE ",\"tpm2\":{\"quote\":\"\",\"signature\":\"c2ln\"}}", "invalid_field", "tpm2.quote"},
    {"{" NONCE ",\"tpm2\":{\"quote\":[],\"signature\":\"c2ln\"}}", "invalid_field", "tpm2.quote"},
    {"{" NONCE ",\"tpm2\":{\"quote\":\"cXVvdGU\",\"signature\":\"c2ln\"}}", "malformed_base64",
     "tpm2.quote"},
    {"{" NONCE ",\"tpm2\":{\"quote\":\"cXVvdGU=\",\"signature\":\"c2 n\"}}", "malformed_base64",
     "tpm2.signature"},
    {"{\"nonce\":\"bm9-Y2U=\"," TPM2 "}", "malformed_base64", "nonce"},
    {BODY(",\"tcg_event_log\":\"bG9\""), "malformed_base64", "tcg_event_log"},
    {BODY(",\"tcg_event_log\":null"), "invalid_field", "tcg_event_log"},
    {BODY(",\"tcg_event_log_sha256\":null"), "invalid_field", "tcg_event_log_sha256"},
    {BODY(",\"tcg_event_log_sha256\":\"\""), "invalid_field", "tcg_event_log_sha256"},
    {BODY(",\"tcg_event_log_sha256\":\"" HEX "0\""), "invalid_field", "tcg_event_log_sha256"},
    {BODY(",\"tcg_event_log_sha256\":\"A" HEX_63 "\""), "invalid_field", "tcg_event_log_sha256"},
    {BODY(",\"tcg_event_log_sha256\":\"" HEX_63 "\""), "invalid_field", "tcg_event_log_sha256"},
    {BODY(",\"tcg_event_log_sha256\":[\"" HEX "\"]"), "invalid_field", "tcg_event_log_sha256"},
    {BODY(",\"tcg_event_log_sha256\":\"" HEX "\",\"tcg_event_log_sha256\":\"" HEX "\""),
     "malformed_json", "body"},
    {BODY(",\"tcg_event_log\":\"bG9n\",\"tcg_event_log_sha256\":\"" HEX "\""), "invalid_field",
     "tcg_event_log_sha256"},
    {BODY(",\"tcg_event_log_sha256\":\"" HEX "\",\"tcg_event_log\":\"\""), "invalid_field",
     "tcg_event_log_sha256"},
    {BODY(",\"ima_log\":\"####\""), "malformed_base64", "ima_log"},
    {BODY(",\"key_certification\":null"), "invalid_field", "key_certification"},
    {BODY(",\"key_certification\":\"c2ln\""), "invalid_field", "key_certification"},
    {BODY(",\"key_certification\":{}"), "missing_field", "key_certification.certify_info"},
    {BODY(",\"key_certification\":{\"certify_info\":\"cXVvdGU=\",\"public\":\"cHVi\"}"),
     "missing_field", "key_certification.signature"},
    {BODY(",\"key_certification\":{\"certify_info\":\"cXVvdGU=\",\"signature\":\"c2ln\"}"),
     "missing_field", "key_certification.public"},
    {BODY(",\"key_certification\":" CERTIFICATION("")), "invalid_field",
     "key_certification.certify_info"},
    {BODY(",\"key_certification\":" CERTIFICATION("Y2VydA")), "malformed_base64",
     "key_certification.certify_info"},
    {BODY(",\"key_certification\":{\"certify_info\":\"Y2VydA==\",\"signature\":7}"),
     "invalid_field", "key_certification.signature"},
    {BODY(",\"key_certification\":{\"ak\":\"\"}"), "unknown_field", "key_certification"},
    {BODY(",\"key_certification\":{\"public\":\"cHVi\",\"public\":\"cHVi\"}"), "malformed_json",
     "body"},
    {BODY(",\"key_certification\":" CERTIFICATION("Y2VydA==") ",\"key_certification\":{}"),
     "malformed_json", "body"},
    {BODY(",\"ima_log\":{}"), "invalid_field", "ima_log"},
    {BODY(",\"csr\":\"Y3N\\u00e9\""), "malformed_base64", "csr"},
    {BODY(",\"csr\":false"), "invalid_field", "csr"},
    {PCRS("[]"), "invalid_field", "tpm2.pcrs"},
    {PCRS("{\"sm3\":{}}"), "unknown_field", "tpm2.pcrs"},
    {PCRS("{\"sha256\":[]}"), "invalid_field", "tpm2.pcrs.sha256"},
    {PCRS("{\"sha256\":{\"24\":\"" HEX "\"}}"), "unknown_field", "tpm2.pcrs.sha256"},
    {PCRS("{\"sha256\":{\"00\":\"" HEX "\"}}"), "unknown_field", "tpm2.pcrs.sha256"},
    {PCRS("{\"sha256\":{\"0\":\"" HEX "00\"}}"), "invalid_field", "tpm2.pcrs.sha256.0"},
    {PCRS("{\"sha256\":{\"9\":\"00\"}}"), "invalid_field", "tpm2.pcrs.sha256.9"},
    {PCRS("{\"sha256\":{\"9\":7}}"), "invalid_field", "tpm2.pcrs.sha256.9"},
    {PCRS("{\"sha384\":{\"9\":\"" HEX "\"}}"), "invalid_field", "tpm2.pcrs.sha384.9"},
    {PCRS("{\"sha256\":{\"9\":\"FF112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}"
          "}"),
     "invalid_field", "tpm2.pcrs.sha256.9"},
};

START_TEST(body_with_anything_wrong_is_refused_by_code_and_field) {
    struct evidence_body before = body;
    ck_assert_msg(parse(wrong[_i].json) == STATUS_MALFORMED, "%s", wrong[_i].json);
    ck_assert_str_eq(code, wrong[_i].code);
    size_t len = strlen(wrong[_i].path);
    ck_assert_msg(strncmp(detail.text, wrong[_i].path, len) == 0 && detail.text[len] == ':', "%s",
                  detail.text);
    ck_assert_mem_eq(&body, &before, sizeof body);
}
END_TEST

#define BARE "{" NONCE ",\"csr\":\"Y3Ny\"}"

START_TEST(nonce_and_csr_alone_are_evidence_where_that_is_taken) {
    ck_assert_int_eq(parse_by(evidence_body_parse_any, BARE), STATUS_OK);
    ck_assert(is(body.nonce, "nonce"));
    ck_assert(is(body.csr, "csr"));
    ck_assert_uint_eq(body.tpm2.quote.len, 0);
    ck_assert(!key_certification_given(&body.key_certification));
    ck_assert_int_eq(parse_by(evidence_body_parse_any, BODY("")), STATUS_OK);
    ck_assert(is(body.tpm2.quote, "quote"));
}
END_TEST

START_TEST(nonce_and_csr_alone_are_no_evidence_elsewhere) {
    ck_assert_int_eq(parse(BARE), STATUS_MALFORMED);
    ck_assert_str_eq(code, "missing_field");
    ck_assert_ptr_eq(strstr(detail.text, "tpm2: "), detail.text);
}
END_TEST

START_TEST(what_is_wrong_is_refused_where_less_is_taken_too) {
    ck_assert_int_eq(parse_by(evidence_body_parse_any, wrong[_i].json), STATUS_MALFORMED);
    ck_assert_str_eq(code, wrong[_i].code);
}
END_TEST

START_TEST(malformed_base64_is_named_with_its_offset) {
    ck_assert_int_eq(parse(BODY(",\"csr\":\"AAAAAAA!\"")), STATUS_MALFORMED);
    ck_assert_msg(strstr(detail.text, "offset 4") != NULL, "%s", detail.text);
}
END_TEST

START_TEST(body_cut_anywhere_is_refused) {
    static const char json[] = BODY(",\"tcg_event_log\":\"bG9n\"");
    for (size_t len = 0; len < sizeof json - 1; len++) {
        char *copy = strndup(json, len);
        ck_assert_int_eq(parse(copy), STATUS_MALFORMED);
        free(copy);
    }
}
END_TEST

START_TEST(body_nested_too_deep_is_refused) {
    static char json[200001];
    memset(json, '[', sizeof json - 1);
    ck_assert_int_eq(parse(json), STATUS_MALFORMED);
    for (size_t i = 0; i + 5 < sizeof json; i += 5) {
        memcpy(json + i, "{\"a\":", 5);
    }
    ck_assert_int_eq(parse(json), STATUS_MALFORMED);
}
END_TEST

START_TEST(body_over_its_size_is_refused) {
    struct bytes huge = bytes_of("", (size_t)EVIDENCE_BODY_MAX_BYTES + 1); /* not read */
    ck_assert_int_eq(evidence_body_parse(&body, &arena, huge, &code, &detail), STATUS_LIMIT);
}
END_TEST

START_TEST(body_without_memory_is_refused_as_such) {
    static const char json[] = BODY(",\"tcg_event_log\":\"bG9n\"");
    struct evidence_body before = body;
    ck_assert_int_eq(parse(json), STATUS_OK);
    size_t needed = arena.used;
    body = before;
    for (size_t cap = 0; cap < needed; cap += 3) {
        struct arena small;
        arena_init(&small, cap);
        ck_assert_int_eq(evidence_body_parse(&body, &small, bytes_of_text(json), &code, &detail),
                         STATUS_MEMORY);
        ck_assert_mem_eq(&body, &before, sizeof body);
        arena_free(&small);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("evidence body");
    tcase_add_checked_fixture(tests, start, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, body_gives_each_field);
    tcase_add_test(tests, body_needs_only_nonce_quote_and_signature);
    tcase_add_test(tests, body_gives_the_digest_of_a_log_that_is_not_sent);
    tcase_add_test(tests, body_gives_claimed_values_by_bank);
    tcase_add_test(tests, body_gives_each_part_of_a_key_certification);
    tcase_add_test(tests, body_takes_no_oversized_part_of_a_key_certification);
    tcase_add_loop_test(tests, body_may_be_spelt_in_any_way_that_json_allows, 0, 3);
    tcase_add_loop_test(tests, body_with_anything_wrong_is_refused_by_code_and_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tests, nonce_and_csr_alone_are_evidence_where_that_is_taken);
    tcase_add_test(tests, nonce_and_csr_alone_are_no_evidence_elsewhere);
    tcase_add_loop_test(tests, what_is_wrong_is_refused_where_less_is_taken_too, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tests, malformed_base64_is_named_with_its_offset);
    tcase_add_test(tests, body_cut_anywhere_is_refused);
    tcase_add_test(tests, body_nested_too_deep_is_refused);
    tcase_add_test(tests, body_over_its_size_is_refused);
    tcase_add_test(tests, body_without_memory_is_refused_as_such);
    Suite *suite = suite_create("api: evidence body");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

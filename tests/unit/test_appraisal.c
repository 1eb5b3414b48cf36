#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 64 digits each: the values of PCRs in these tests. */
#define A              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B              "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C              "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define ZERO           "0000000000000000000000000000000000000000000000000000000000000000"
#define DOCUMENT(rest) "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"edge9\"," rest "}"
#define PCRS(rest)     DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{" rest "}")

enum { MAX_BASELINES = 8 };
static struct arena arena;
static struct facts facts;
static struct baseline *baseline[MAX_BASELINES];
static size_t num_baselines;
static const struct appraisal_exception *exception;
static size_t num_exceptions;
static struct appraisal appraisal;

static void start(void) {
    arena_init(&arena, 1 << 20);
    memset(&facts, 0, sizeof facts);
    facts.num_banks = 1;
    facts.bank[0].alg = HASH_SHA256;
    num_baselines = 0;
    num_exceptions = 0;
}

static void end(void) {
    for (size_t i = 0; i < num_baselines; i++) {
        baseline_free(baseline[i]);
    }
    arena_free(&arena);
}

static void quoted(unsigned pcr, const char *hex) {
    facts.bank[0].pcr[pcr].quoted = true;
    ck_assert_int_eq(hex_decode(facts.bank[0].pcr[pcr].value, 32, hex), STATUS_OK);
}

static void add(const char *json) {
    struct detail detail = {0};
    const char *code = NULL;
    ck_assert_msg(baseline_compile(&baseline[num_baselines], bytes_of_text(json), &code, &detail) ==
                      STATUS_OK,
                  "%s", detail.text);
    num_baselines++;
}

static enum verdict judge(void) {
    memset(&appraisal, 0, sizeof appraisal);
    ck_assert_int_eq(
        appraise(&appraisal, &arena, &facts,
                 &(struct appraisal_inputs){.baseline = (const struct baseline *const *)baseline,
                                            .num_baselines = num_baselines,
                                            .exception = exception,
                                            .num_exceptions = num_exceptions}),
        STATUS_OK);
    ck_assert_int_eq(appraisal.tier > TIER_NONE, appraisal.verdict == VERDICT_TRUSTED);
    return appraisal.verdict;
}

/* "code pcr, ..." in the order of the findings; info ones in brackets. */
static const char *told(void) {
    char *text = arena_text(&arena, "");
    for (size_t i = 0; i < appraisal.num_findings; i++) {
        const struct finding *finding = &appraisal.finding[i];
        bool info = finding->severity == SEVERITY_INFO;
        ck_assert_ptr_nonnull(finding->remediation);
        ck_assert_ptr_nonnull(finding->rule);
        ck_assert_int_eq(finding->event, -1);
        text = arena_printf(&arena, "%s%s%s%s %d%s", text, i > 0 ? ", " : "", info ? "[" : "",
                            finding->code, finding->pcr, info ? "]" : "");
        ck_assert_ptr_nonnull(text);
    }
    return text;
}

/* --- verdicts ---------------------------------------------------------------------------------- */

START_TEST(device_that_meets_each_rule_is_trusted) {
    quoted(0, A);
    quoted(7, B);
    add(PCRS("\"0\":[\"" A "\"],\"7\":[\"" C "\",\"" B "\"]"));
    ck_assert_int_eq(judge(), VERDICT_TRUSTED);
    ck_assert_str_eq(told(), "");
    ck_assert_uint_eq(appraisal.baseline, 0);
}
END_TEST

START_TEST(each_pcr_that_differs_is_named_with_what_was_expected_and_found) {
    quoted(0, A);
    quoted(4, B);
    quoted(7, C);
    add(PCRS("\"0\":[\"" A "\"],\"4\":[\"" A "\",\"" C "\"],\"7\":[\"" B "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "pcr_mismatch 4, pcr_mismatch 7");
    ck_assert_str_eq(appraisal.finding[0].expected, "one of: " A ", " C);
    ck_assert_str_eq(appraisal.finding[0].found, B);
    ck_assert_str_eq(appraisal.finding[0].rule, "pcrs");
    ck_assert_ptr_nonnull(strstr(appraisal.finding[0].remediation, "PCR 4 (boot loader"));
    ck_assert_ptr_nonnull(strstr(appraisal.finding[1].remediation, "PCR 7 (Secure Boot"));
}
END_TEST

START_TEST(many_allowed_values_are_cut_in_the_finding) {
    quoted(0, B);
    add(PCRS("\"0\":[\"" A "\",\"" A "\",\"" A "\",\"" A "\",\"" A "\",\"" A "\",\"" A "\",\"" A
             "\",\"" A "\",\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(appraisal.finding[0].expected, A " and 2 more"));
}
END_TEST

START_TEST(pcr_that_was_not_quoted_is_never_a_pass) {
    quoted(0, A);
    facts.bank[0].pcr[7] = facts.bank[0].pcr[0];
    facts.bank[0].pcr[7].quoted = false; /* the right value, but nobody signed it */
    add(PCRS("\"0\":[\"" A "\"],\"7\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "pcr_not_quoted 7");
    ck_assert_ptr_null(appraisal.finding[0].found);
}
END_TEST

START_TEST(bank_that_was_not_quoted_is_never_a_pass) {
    quoted(0, A);
    add(DOCUMENT("\"bank\":\"sha384\",\"pcrs\":{\"0\":[\"" A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"],"
                 "\"1\":[\"" A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "pcr_not_quoted 0, pcr_not_quoted 1");
}
END_TEST

START_TEST(unlisted_pcrs_are_reported_by_default) {
    quoted(0, A);
    quoted(10, B);
    quoted(11, ZERO);
    add(PCRS("\"0\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_TRUSTED);
    ck_assert_str_eq(told(), "[pcr_unlisted 10]");
    ck_assert_str_eq(appraisal.finding[0].found, B);
    ck_assert_str_eq(appraisal.finding[0].rule, "unlisted_pcrs");
}
END_TEST

START_TEST(unlisted_pcrs_are_denied_on_demand) {
    quoted(0, A);
    quoted(10, B);
    quoted(11, ZERO);
    add(DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"unlisted_pcrs\":\"deny\""));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "pcr_unlisted 10");
}
END_TEST

START_TEST(unlisted_dynamic_pcrs_are_at_reset_when_all_ones) {
    static const char ones[] = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    quoted(0, A);
    quoted(17, ones);
    quoted(16, ones);
    quoted(18, ZERO);
    add(PCRS("\"0\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_TRUSTED);
    ck_assert_str_eq(told(), "[pcr_unlisted 16], [pcr_unlisted 18]");
}
END_TEST

START_TEST(denials_come_first_then_by_rule_then_by_pcr) {
    quoted(2, B);
    quoted(9, B);
    quoted(1, B);
    quoted(10, B);
    add(PCRS("\"9\":[\"" A "\"],\"3\":[\"" A "\"],\"2\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "pcr_mismatch 2, pcr_not_quoted 3, pcr_mismatch 9, [pcr_unlisted 1], "
                             "[pcr_unlisted 10]");
    add(DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"9\":[\"" A "\"]},\"unlisted_pcrs\":\"deny\""));
    baseline_free(baseline[0]);
    baseline[0] = baseline[--num_baselines];
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "pcr_mismatch 9, pcr_unlisted 1, pcr_unlisted 2, pcr_unlisted 10");
}
END_TEST

START_TEST(any_satisfied_baseline_is_enough) {
    quoted(0, A);
    add(PCRS("\"0\":[\"" B "\"]"));
    add(PCRS("\"0\":[\"" A "\"]"));
    add(PCRS("\"0\":[\"" C "\"]"));
    ck_assert_int_eq(judge(), VERDICT_TRUSTED);
    ck_assert_uint_eq(appraisal.baseline, 1);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(findings_are_of_the_nearest_baseline_and_the_first_of_equals) {
    quoted(0, A);
    quoted(1, A);
    add(PCRS("\"0\":[\"" B "\"],\"1\":[\"" B "\"]"));
    add(PCRS("\"0\":[\"" A "\"],\"1\":[\"" B "\"]"));
    add(PCRS("\"0\":[\"" B "\"],\"1\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_uint_eq(appraisal.baseline, 1);
    ck_assert_str_eq(told(), "pcr_mismatch 1");
}
END_TEST

START_TEST(rules_of_two_baselines_do_not_add_up) {
    quoted(0, A);
    quoted(1, B);
    add(PCRS("\"0\":[\"" A "\"],\"1\":[\"" A "\"]"));
    add(PCRS("\"0\":[\"" B "\"],\"1\":[\"" B "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
}
END_TEST

START_TEST(no_active_baseline_is_no_trust) {
    quoted(0, A);
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "no_active_baseline -1");
    ck_assert_int_eq(appraisal.finding[0].severity, SEVERITY_DENY);
}
END_TEST

START_TEST(uncovered_are_the_quoted_and_extended_pcrs_that_no_rule_accounts_for) {
    quoted(0, A);
    quoted(2, B);
    quoted(10, B);
    quoted(11, ZERO);
    add(PCRS("\"0\":[\"" A "\"],\"1\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_uint_eq(appraisal.uncovered, 1u << 2 | 1u << 10);
}
END_TEST

START_TEST(separator_alone_is_nothing_that_a_rule_would_have_to_account_for) {
    quoted(0, A);
    /* SHA-256 of 32 zeros and of SHA-256 of the separator's four bytes */
    quoted(2, "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969");
    quoted(3, "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7968");
    add(DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"unlisted_pcrs\":\"deny\""));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "pcr_unlisted 3");
    ck_assert_uint_eq(appraisal.uncovered, 1u << 3);
}
END_TEST

START_TEST(labels_say_what_the_allowed_values_are) {
    quoted(0, C);
    add(PCRS("\"0\":[{\"label\":\"1.41\",\"sha256\":\"" A "\"},\"" B "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(appraisal.finding[0].expected, "one of: 1.41 (" A "), " B);
    quoted(0, A);
    ck_assert_int_eq(judge(), VERDICT_TRUSTED);
}
END_TEST

/* --- exceptions -------------------------------------------------------------------------------- */

START_TEST(excepted_denial_lets_the_device_pass_and_stays_visible) {
    static const struct appraisal_exception of_pcr_4 = {"x1", "pcr_mismatch", "pcrs", 4, B};
    exception = &of_pcr_4;
    num_exceptions = 1;
    quoted(0, A);
    quoted(4, B);
    quoted(10, C);
    add(PCRS("\"0\":[\"" A "\"],\"4\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_TRUSTED);
    ck_assert_str_eq(told(), "pcr_mismatch 4, [pcr_unlisted 10]");
    ck_assert_int_eq(appraisal.finding[0].severity, SEVERITY_EXCEPTED);
    ck_assert_str_eq(appraisal.finding[0].exception, "x1");
    ck_assert_ptr_null(appraisal.finding[1].exception);
}
END_TEST

START_TEST(exception_excepts_nothing_but_its_own_finding) {
    static const struct appraisal_exception others[] = {{"x1", "pcr_not_quoted", "pcrs", 4, B},
                                                        {"x2", "pcr_mismatch", "events", 4, B},
                                                        {"x3", "pcr_mismatch", "pcrs", 5, B},
                                                        {"x4", "pcr_mismatch", "pcrs", 4, C},
                                                        {"x5", "pcr_mismatch", "pcrs", 4, NULL}};
    exception = others;
    num_exceptions = sizeof others / sizeof *others;
    quoted(4, B);
    add(PCRS("\"4\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_int_eq(appraisal.finding[0].severity, SEVERITY_DENY);
    ck_assert_ptr_null(appraisal.finding[0].exception);
}
END_TEST

START_TEST(denials_that_are_left_come_before_excepted_ones) {
    static const struct appraisal_exception of_pcr_1 = {"x1", "pcr_mismatch", "pcrs", 1, B};
    exception = &of_pcr_1;
    num_exceptions = 1;
    quoted(1, B);
    quoted(2, B);
    add(PCRS("\"1\":[\"" A "\"],\"2\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    ck_assert_str_eq(told(), "pcr_mismatch 2, pcr_mismatch 1");
    ck_assert_int_eq(appraisal.finding[1].severity, SEVERITY_EXCEPTED);
}
END_TEST

START_TEST(exception_decides_which_baseline_is_nearest) {
    static const struct appraisal_exception of_pcr_1 = {"x1", "pcr_mismatch", "pcrs", 1, B};
    exception = &of_pcr_1;
    num_exceptions = 1;
    quoted(1, B);
    quoted(2, B);
    add(PCRS("\"2\":[\"" A "\"]"));
    add(PCRS("\"1\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_TRUSTED);
    ck_assert_uint_eq(appraisal.baseline, 1);
}
END_TEST

START_TEST(one_evidence_and_one_baseline_give_the_same_findings_always) {
    quoted(0, A);
    quoted(4, B);
    quoted(10, C);
    add(PCRS("\"0\":[\"" B "\"],\"4\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    const char *first = told();
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
        ck_assert_str_eq(told(), first);
    }
}
END_TEST

START_TEST(no_memory_is_no_verdict) {
    quoted(0, B);
    quoted(10, B);
    add(PCRS("\"0\":[\"" A "\",\"" C "\"],\"1\":[\"" A "\"]"));
    ck_assert_int_eq(judge(), VERDICT_UNTRUSTED);
    size_t needed = arena.used;
    for (size_t cap = 0; cap < needed; cap++) {
        struct arena small;
        struct appraisal out = {.verdict = VERDICT_UNKNOWN};
        arena_init(&small, cap);
        ck_assert_int_eq(
            appraise(&out, &small, &facts,
                     &(struct appraisal_inputs){
                         .baseline = (const struct baseline *const *)baseline, .num_baselines = 1}),
            STATUS_MEMORY);
        ck_assert_int_eq(out.verdict, VERDICT_UNKNOWN);
        arena_free(&small);
    }
}
END_TEST

START_TEST(verdicts_and_tiers_have_names) {
    ck_assert_str_eq(verdict_name(VERDICT_UNKNOWN), "unknown");
    ck_assert_str_eq(verdict_name(VERDICT_TRUSTED), "trusted");
    ck_assert_str_eq(verdict_name(VERDICT_UNTRUSTED), "untrusted");
    ck_assert_str_eq(verdict_name(VERDICT_EXPIRED), "expired");
    ck_assert_str_eq(tier_name(TIER_NONE), "none");
    ck_assert_str_eq(tier_name(TIER_IDENTIFIED), "identified");
    ck_assert_str_eq(tier_name(TIER_VERIFIED_BOOT), "verified_boot");
    ck_assert_str_eq(tier_name(TIER_MEASURED), "measured");
}
END_TEST

/* --- documents --------------------------------------------------------------------------------- */

START_TEST(baseline_tells_its_model_label_and_selection) {
    struct pcr_selection selection;
    add(DOCUMENT("\"label\":\"fw 1.42\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A
                 "\"],\"14\":[\"" B "\"]}"));
    ck_assert_str_eq(baseline_model(baseline[0]), "edge9");
    ck_assert_str_eq(baseline_label(baseline[0]), "fw 1.42");
    baseline_selection(baseline[0], &selection);
    ck_assert_uint_eq(selection.num_banks, 1);
    ck_assert_int_eq(selection.bank[0].bank, HASH_SHA256);
    ck_assert_uint_eq(selection.bank[0].mask, 1u << 0 | 1u << 14);
    add(PCRS("\"0\":[\"" A "\"]"));
    ck_assert_str_eq(baseline_label(baseline[1]), "");
}
END_TEST

static const struct {
    const char *json, *code, *path;
} wrong[] = {
    {"", "invalid_baseline", "baseline"},
    {"[]", "invalid_baseline", "baseline"},
    {"{", "invalid_baseline", "baseline"},
    {"null", "invalid_baseline", "baseline"},
    {"{}", "invalid_baseline", "baseline"},
    {"{\"model\":\"m\"}", "invalid_baseline", "schema"},
    {PCRS("\"0\":[\"" A "\"]") "x", "invalid_baseline", "baseline"},
    {PCRS("\"0\":[\"" A "\"],\"0\":[\"" B "\"]"), "invalid_baseline", "baseline"},
    {DOCUMENT("\"bank\":\"sha256\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]}"),
     "invalid_baseline", "baseline"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"pcr\":{}"), "unknown_field",
     "pcr"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"Pcrs\":{}"), "unknown_field",
     "Pcrs"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"secureboot\":{}"),
     "unknown_field", "secureboot"},
    {"{\"schema\":\"gatehouse/baseline/"
     "2\",\"model\":\"m\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]}}",
     "invalid_baseline", "schema"},
    {"{\"model\":\"m\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]}}", "invalid_baseline",
     "schema"},
    {"{\"schema\":\"gatehouse/baseline/1\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]}}",
     "invalid_baseline", "model"},
    {"{\"schema\":\"gatehouse/baseline/1\",\"model\":\"\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A
     "\"]}}",
     "invalid_baseline", "model"},
    {"{\"schema\":\"gatehouse/baseline/1\",\"model\":7,\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A
     "\"]}}",
     "invalid_baseline", "model"},
    {"{\"schema\":\"gatehouse/baseline/"
     "1\",\"model\":\"a\\nb\",\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]}}",
     "invalid_baseline", "model"},
    {DOCUMENT("\"label\":null,\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]}"),
     "invalid_baseline", "label"},
    {DOCUMENT("\"pcrs\":{\"0\":[\"" A "\"]}"), "invalid_baseline", "bank"},
    {DOCUMENT("\"bank\":\"sha1\",\"pcrs\":{\"0\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}"),
     "invalid_baseline", "bank"},
    {DOCUMENT("\"bank\":\"SHA256\",\"pcrs\":{\"0\":[\"" A "\"]}"), "invalid_baseline", "bank"},
    {DOCUMENT("\"bank\":\"none\",\"pcrs\":{\"0\":[\"\"]}"), "invalid_baseline", "bank"},
    {DOCUMENT("\"bank\":256,\"pcrs\":{\"0\":[\"" A "\"]}"), "invalid_baseline", "bank"},
    {DOCUMENT("\"bank\":\"sha256\""), "invalid_baseline", "baseline"},
    {PCRS(""), "invalid_baseline", "pcrs"},
    {DOCUMENT("\"bank\":\"sha256\",\"unlisted_pcrs\":\"deny\""), "invalid_baseline", "baseline"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":[]"), "invalid_baseline", "pcrs"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":null"), "invalid_baseline", "pcrs"},
    {PCRS("\"24\":[\"" A "\"]"), "unknown_field", "pcrs.24"},
    {PCRS("\"-1\":[\"" A "\"]"), "unknown_field", "pcrs.-1"},
    {PCRS("\"00\":[\"" A "\"]"), "unknown_field", "pcrs.00"},
    {PCRS("\" 0\":[\"" A "\"]"), "unknown_field", "pcrs. 0"},
    {PCRS("\"\":[\"" A "\"]"), "unknown_field", "pcrs."},
    {PCRS("\"seven\":[\"" A "\"]"), "unknown_field", "pcrs.seven"},
    {PCRS("\"4294967296\":[\"" A "\"]"), "unknown_field", "pcrs.4294967296"},
    {PCRS("\"0\":\"" A "\""), "invalid_baseline", "pcrs.0"},
    {PCRS("\"0\":[]"), "invalid_baseline", "pcrs.0"},
    {PCRS("\"0\":[null]"), "invalid_baseline", "pcrs.0[0]"},
    {PCRS("\"0\":[\"" A "\",\"\"]"), "invalid_baseline", "pcrs.0[1]"},
    {PCRS("\"0\":[\"" A "aa\"]"), "invalid_baseline", "pcrs.0[0]"},
    {PCRS("\"0\":[\"aaaa\"]"), "invalid_baseline", "pcrs.0[0]"},
    {PCRS("\"0\":[\"AAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]"),
     "invalid_baseline", "pcrs.0[0]"},
    {PCRS("\"0\":[\"gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]"),
     "invalid_baseline", "pcrs.0[0]"},
    {DOCUMENT("\"bank\":\"sha384\",\"pcrs\":{\"0\":[\"" A "\"]}"), "invalid_baseline", "pcrs.0[0]"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"unlisted_pcrs\":\"ignore\""),
     "invalid_baseline", "unlisted_pcrs"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"unlisted_pcrs\":\"Deny\""),
     "invalid_baseline", "unlisted_pcrs"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"unlisted_pcrs\":null"),
     "invalid_baseline", "unlisted_pcrs"},
    {DOCUMENT("\"bank\":\"sha256\",\"pcrs\":{\"0\":[\"" A "\"]},\"unlisted_pcrs\":true"),
     "invalid_baseline", "unlisted_pcrs"},
};

START_TEST(baseline_with_anything_wrong_is_refused_by_field) {
    struct baseline *out = NULL;
    struct detail detail = {0};
    const char *code = NULL;
    ck_assert_msg(baseline_compile(&out, bytes_of_text(wrong[_i].json), &code, &detail) ==
                      STATUS_MALFORMED,
                  "%s", wrong[_i].json);
    ck_assert_ptr_null(out);
    ck_assert_str_eq(code, wrong[_i].code);
    size_t len = strlen(wrong[_i].path);
    ck_assert_msg(strncmp(detail.text, wrong[_i].path, len) == 0 && detail.text[len] == ':', "%s",
                  detail.text);
}
END_TEST

START_TEST(baseline_cut_anywhere_is_refused) {
    static const char json[] = PCRS("\"0\":[\"" A "\"],\"7\":[\"" B "\"]");
    for (size_t len = 0; len < sizeof json - 1; len++) {
        struct baseline *out = NULL;
        char *copy = malloc(len > 0 ? len : 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, json, len);
        ck_assert_int_eq(baseline_compile(&out, bytes_of(copy, len), NULL, NULL), STATUS_MALFORMED);
        free(copy);
    }
}
END_TEST

START_TEST(baseline_over_its_size_is_refused) {
    static const char json[] = PCRS("\"0\":[\"" A "\"]");
    struct baseline *out = NULL;
    char *large = malloc(BASELINE_MAX_BYTES + 1);
    ck_assert_ptr_nonnull(large);
    memset(large, ' ', BASELINE_MAX_BYTES + 1);
    memcpy(large, json, sizeof json - 1);
    ck_assert_int_eq(baseline_compile(&out, bytes_of(large, BASELINE_MAX_BYTES + 1), NULL, NULL),
                     STATUS_LIMIT);
    ck_assert_int_eq(baseline_compile(&out, bytes_of(large, BASELINE_MAX_BYTES), NULL, NULL),
                     STATUS_OK);
    baseline_free(out);
    baseline_free(NULL);
    free(large);
}
END_TEST

START_TEST(baseline_as_large_as_allowed_compiles) {
    size_t cap = BASELINE_MAX_BYTES, len;
    char *json = malloc(cap + 1);
    struct baseline *out = NULL;
    struct detail detail = {0};
    ck_assert_ptr_nonnull(json);
    len = (size_t)snprintf(json, cap,
                           "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"m\",\"bank\":"
                           "\"sha256\",\"pcrs\":{");
    for (unsigned pcr = 0; pcr < 4; pcr++) {
        len += (size_t)snprintf(json + len, cap - len, "%s\"%u\":[", pcr > 0 ? "," : "", pcr);
        for (unsigned i = 0; i < 900; i++) {
            len += (size_t)snprintf(json + len, cap - len, "%s\"" A "\"", i > 0 ? "," : "");
        }
        len += (size_t)snprintf(json + len, cap - len, "]");
    }
    len += (size_t)snprintf(json + len, cap - len, "}}");
    ck_assert_uint_lt(len, cap);
    ck_assert_msg(baseline_compile(&out, bytes_of(json, len), NULL, &detail) == STATUS_OK, "%s",
                  detail.text);
    baseline_free(out);
    free(json);
}
END_TEST

START_TEST(baseline_nested_too_deep_is_refused) {
    size_t len = 100000;
    char *json = malloc(len);
    struct baseline *out = NULL;
    ck_assert_ptr_nonnull(json);
    memset(json, '[', len);
    ck_assert_int_eq(baseline_compile(&out, bytes_of(json, len), NULL, NULL), STATUS_MALFORMED);
    free(json);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("appraisal");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, device_that_meets_each_rule_is_trusted);
    tcase_add_test(tests, each_pcr_that_differs_is_named_with_what_was_expected_and_found);
    tcase_add_test(tests, many_allowed_values_are_cut_in_the_finding);
    tcase_add_test(tests, pcr_that_was_not_quoted_is_never_a_pass);
    tcase_add_test(tests, bank_that_was_not_quoted_is_never_a_pass);
    tcase_add_test(tests, unlisted_pcrs_are_reported_by_default);
    tcase_add_test(tests, unlisted_pcrs_are_denied_on_demand);
    tcase_add_test(tests, unlisted_dynamic_pcrs_are_at_reset_when_all_ones);
    tcase_add_test(tests, denials_come_first_then_by_rule_then_by_pcr);
    tcase_add_test(tests, any_satisfied_baseline_is_enough);
    tcase_add_test(tests, findings_are_of_the_nearest_baseline_and_the_first_of_equals);
    tcase_add_test(tests, rules_of_two_baselines_do_not_add_up);
    tcase_add_test(tests, no_active_baseline_is_no_trust);
    tcase_add_test(tests, uncovered_are_the_quoted_and_extended_pcrs_that_no_rule_accounts_for);
    tcase_add_test(tests, separator_alone_is_nothing_that_a_rule_would_have_to_account_for);
    tcase_add_test(tests, labels_say_what_the_allowed_values_are);
    tcase_add_test(tests, excepted_denial_lets_the_device_pass_and_stays_visible);
    tcase_add_test(tests, exception_excepts_nothing_but_its_own_finding);
    tcase_add_test(tests, denials_that_are_left_come_before_excepted_ones);
    tcase_add_test(tests, exception_decides_which_baseline_is_nearest);
    tcase_add_test(tests, one_evidence_and_one_baseline_give_the_same_findings_always);
    tcase_add_test(tests, no_memory_is_no_verdict);
    tcase_add_test(tests, verdicts_and_tiers_have_names);
    tcase_add_test(tests, baseline_tells_its_model_label_and_selection);
    tcase_add_loop_test(tests, baseline_with_anything_wrong_is_refused_by_field, 0,
                        (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tests, baseline_cut_anywhere_is_refused);
    tcase_add_test(tests, baseline_over_its_size_is_refused);
    tcase_add_test(tests, baseline_as_large_as_allowed_compiles);
    tcase_add_test(tests, baseline_nested_too_deep_is_refused);
    Suite *suite = suite_create("appraisal");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

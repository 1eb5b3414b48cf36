/* Which tier facts reach that a baseline lets pass: what it states, and what the quote vouches for. */
#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define A     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define RESET "0000000000000000000000000000000000000000000000000000000000000000"
#define HEAD  "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"edge\",\"bank\":\"sha256\","

static struct arena arena;
static struct facts facts;
static struct appraisal appraisal;

/* PCRs 0 to 9 hold A, and a log says that Secure Boot is on. */
static void start(void) {
    arena_init(&arena, 1 << 20);
    facts = (struct facts){.num_banks = 1, .has_log = true};
    facts.bank[0].alg = HASH_SHA256;
    for (unsigned pcr = 0; pcr < 10; pcr++) {
        facts.bank[0].pcr[pcr].quoted = true;
        facts.bank[0].pcr[pcr].logged = true;
        memset(facts.bank[0].pcr[pcr].value, 0xAA, 32);
    }
    facts.secure_boot.enabled = FACT_YES;
    facts.secure_boot.distrusted_event = FACT_NO_EVENT;
}

static void end(void) {
    arena_free(&arena);
}

static struct baseline *compiled(const char *json) {
    struct baseline *out;
    struct detail detail = {0};
    ck_assert_msg(baseline_compile(&out, bytes_of_text(json), NULL, &detail) == STATUS_OK, "%s",
                  detail.text);
    return out;
}

/* Held against up to two baselines; NULL ends. */
static enum tier judge(const char *first, const char *second,
                       const struct appraisal_exception *exception) {
    struct baseline *baseline[2] = {compiled(first), second == NULL ? NULL : compiled(second)};
    const struct appraisal_inputs inputs = {.baseline = (const struct baseline *const *)baseline,
                                            .num_baselines = second == NULL ? 1 : 2,
                                            .exception = exception,
                                            .num_exceptions = exception == NULL ? 0 : 1};
    appraisal = (struct appraisal){0};
    ck_assert_int_eq(appraise(&appraisal, &arena, &facts, &inputs), STATUS_OK);
    baseline_free(baseline[0]);
    baseline_free(baseline[1]);
    return appraisal.tier;
}

static const char *pcrs(const char *members) {
    return arena_printf(&arena, "%s\"pcrs\":{%s}}", HEAD, members);
}

/* --- what is measured --- */

static const struct {
    const char *members;
    enum tier tier;
} by_pcrs[] = {
    {"\"0\":[\"" A "\"],\"4\":[\"" A "\"]", TIER_MEASURED},
    {"\"0\":[\"" A "\"],\"4\":[\"" B "\",\"" A "\"],\"7\":[\"" A "\"]", TIER_MEASURED},
    {"\"0\":[\"" A "\"]", TIER_IDENTIFIED},
    {"\"4\":[\"" A "\"]", TIER_IDENTIFIED},
    {"\"0\":[\"" A "\"],\"2\":[\"" A "\"]", TIER_IDENTIFIED},
    {"\"1\":[\"" A "\"],\"4\":[\"" A "\"],\"8\":[\"" A "\"],\"9\":[\"" A "\"]", TIER_IDENTIFIED},
    {"\"7\":[\"" A "\"]", TIER_VERIFIED_BOOT},
    {"\"0\":[\"" A "\"],\"7\":[\"" A "\"]", TIER_VERIFIED_BOOT},
    {"\"4\":[\"" A "\"],\"7\":[\"" A "\"]", TIER_VERIFIED_BOOT},
    {"\"0\":[\"" A "\"],\"4\":[\"" B "\"]", TIER_NONE},
    {"\"0\":[\"" A "\"],\"4\":[\"" A "\"],\"7\":[\"" B "\"]", TIER_NONE},
    {"\"0\":[\"" A "\"],\"4\":[\"" A "\"],\"10\":[\"" A "\"]", TIER_NONE},
};

START_TEST(tier_is_that_of_the_pcrs_which_the_baseline_names) {
    ck_assert_str_eq(tier_name(judge(pcrs(by_pcrs[_i].members), NULL, NULL)),
                     tier_name(by_pcrs[_i].tier));
    ck_assert_int_eq(appraisal.verdict,
                     by_pcrs[_i].tier == TIER_NONE ? VERDICT_UNTRUSTED : VERDICT_TRUSTED);
}
END_TEST

START_TEST(whole_pcrs_are_measured_without_a_log_too) {
    facts.has_log = false;
    facts.secure_boot.enabled = FACT_UNKNOWN;
    for (unsigned pcr = 0; pcr < 10; pcr++) {
        facts.bank[0].pcr[pcr].logged = false;
    }
    ck_assert_int_eq(judge(pcrs("\"0\":[\"" A "\"],\"4\":[\"" A "\"]"), NULL, NULL), TIER_MEASURED);
}
END_TEST

START_TEST(pcr_that_nothing_was_measured_into_states_nothing) {
    static const unsigned which[] = {0, 4};
    for (size_t i = 0; i < 2; i++) {
        char json[512];
        uint8_t *value = facts.bank[0].pcr[which[i]].value;
        (void)snprintf(json, sizeof json, "\"0\":[\"%s\"],\"4\":[\"%s\"]",
                       which[i] == 0 ? RESET : A, which[i] == 4 ? RESET : A);
        memset(value, 0, 32);
        ck_assert_int_eq(judge(pcrs(json), NULL, NULL), TIER_IDENTIFIED);
        ck_assert_int_eq(appraisal.verdict, VERDICT_TRUSTED);
        memset(value, 0xAA, 32);
    }
}
END_TEST

/* --- Secure Boot --- */

static void unknown(void) {
    facts.secure_boot.enabled = FACT_UNKNOWN;
}
static void off(void) {
    facts.secure_boot.enabled = FACT_NO;
}
static void in_setup_mode(void) {
    facts.secure_boot.setup_mode = FACT_YES;
}
static void in_audit_mode(void) {
    facts.secure_boot.audit_mode = FACT_YES;
}
static void distrusted(void) {
    facts.secure_boot.distrusted_event = 3;
    facts.secure_boot.distrusted_why = "a debugger was there";
}
static void without_a_log(void) {
    facts.has_log = false;
    facts.secure_boot = (struct fact_secure_boot){.distrusted_event = FACT_NO_EVENT};
}
static void (*const unproven[])(void) = {unknown,       off,        in_setup_mode,
                                         in_audit_mode, distrusted, without_a_log};

START_TEST(pinned_pcr_7_is_no_verified_boot_unless_secure_boot_is_proven_on) {
    unproven[_i]();
    ck_assert_int_eq(judge(pcrs("\"7\":[\"" A "\"]"), NULL, NULL), TIER_IDENTIFIED);
    ck_assert_int_eq(judge(pcrs("\"0\":[\"" A "\"],\"7\":[\"" A "\"]"), NULL, NULL),
                     TIER_IDENTIFIED);
}
END_TEST

START_TEST(secure_boot_that_is_on_under_keys_that_nobody_states_is_no_verified_boot) {
    ck_assert_int_eq(judge(pcrs("\"2\":[\"" A "\"]"), NULL, NULL), TIER_IDENTIFIED);
}
END_TEST

static void in_db(struct fact_key *key) {
    *key = (struct fact_key){.kind = FACT_KEY_CERTIFICATE};
    memset(key->sha256, 0xAA, 32);
    facts.secure_boot.db = (struct fact_keys){.known = true, .key = key, .num = 1};
    facts.secure_boot.platform_key = facts.secure_boot.db;
}

static const struct {
    const char *rules;
    enum tier tier;
} by_keys[] = {
    {"\"required\":true,\"db\":[\"" A "\"]", TIER_VERIFIED_BOOT},
    {"\"required\":true,\"authorities\":[\"" A "\"]", TIER_VERIFIED_BOOT},
    {"\"required\":true", TIER_IDENTIFIED},
    {"\"required\":true,\"platform_key\":[\"" A "\"]", TIER_IDENTIFIED},
    {"\"db\":[\"" A "\"]", TIER_IDENTIFIED},
    {"\"required\":false,\"db\":[\"" A "\"]", TIER_IDENTIFIED},
    {"\"required\":true,\"db\":[\"" B "\"]", TIER_NONE},
};

START_TEST(verified_boot_is_required_secure_boot_with_the_keys_that_admit_images) {
    struct fact_key key;
    in_db(&key);
    const char *json = arena_printf(&arena, "%s\"secure_boot\":{%s}}", HEAD, by_keys[_i].rules);
    ck_assert_str_eq(tier_name(judge(json, NULL, NULL)), tier_name(by_keys[_i].tier));
}
END_TEST

START_TEST(secure_boot_and_a_pinned_firmware_are_no_measured_boot) {
    struct fact_key key;
    in_db(&key);
    const char *json = arena_printf(&arena,
                                    "%s\"pcrs\":{\"0\":[\"" A "\"]},\"secure_boot\":{"
                                    "\"required\":true,\"db\":[\"" A "\"]}}",
                                    HEAD);
    ck_assert_int_eq(judge(json, NULL, NULL), TIER_VERIFIED_BOOT);
}
END_TEST

START_TEST(exception_from_secure_boot_that_is_off_leaves_no_verified_boot) {
    const struct appraisal_exception exception = {"e1", "secure_boot_off", "secure_boot", 7, "off"};
    struct fact_key key;
    in_db(&key);
    facts.secure_boot.enabled = FACT_NO;
    const char *json =
        arena_printf(&arena, "%s\"secure_boot\":{\"required\":true,\"db\":[\"" A "\"]}}", HEAD);
    ck_assert_int_eq(judge(json, NULL, NULL), TIER_NONE);
    ck_assert_int_eq(judge(json, NULL, &exception), TIER_IDENTIFIED);
    ck_assert_int_eq(appraisal.verdict, VERDICT_TRUSTED);
}
END_TEST

static const struct {
    const char *firmware;
    enum tier tier;
} by_firmware[] = {
    {"{\"version\":\"1.42\",\"pcr0\":\"" A "\"}", TIER_MEASURED},
    {"{\"version\":\"1.42\"}", TIER_IDENTIFIED},
    {"{\"version\":\"1.42\",\"pcr0\":\"" A "\"},{\"version\":\"1.43\"}", TIER_IDENTIFIED},
};

START_TEST(firmware_is_stated_by_its_whole_pcr_and_not_by_a_version) {
    facts.firmware.version = "1.42";
    facts.firmware.version_bytes = bytes_of_text("1.42");
    const char *json =
        arena_printf(&arena, "%s\"pcrs\":{\"4\":[\"" A "\"]},\"firmware\":{\"any_of\":[%s]}}", HEAD,
                     by_firmware[_i].firmware);
    ck_assert_str_eq(tier_name(judge(json, NULL, NULL)), tier_name(by_firmware[_i].tier));
}
END_TEST

START_TEST(boot_chain_states_the_boot_programs) {
    struct bytes digest = bytes_of(facts.bank[0].pcr[0].value, 32);
    struct fact_image image = {.event = 5, .kind = FACT_IMAGE_BOOT, .digest = &digest};
    facts.image = &image;
    facts.num_images = 1;
    const char *chain = "\"boot_chain\":[{\"name\":\"shim\",\"any_of\":[{\"label\":\"15.8\","
                        "\"sha256\":\"" A "\"}]}]";
    ck_assert_int_eq(judge(arena_printf(&arena, "%s%s}", HEAD, chain), NULL, NULL),
                     TIER_IDENTIFIED);
    ck_assert_int_eq(
        judge(arena_printf(&arena, "%s%s,\"pcrs\":{\"0\":[\"" A "\"]}}", HEAD, chain), NULL, NULL),
        TIER_MEASURED);
    facts.num_images = 0;
    ck_assert_int_eq(
        judge(arena_printf(&arena, "%s%s,\"pcrs\":{\"0\":[\"" A "\"]}}", HEAD, chain), NULL, NULL),
        TIER_NONE);
}
END_TEST

/* --- several baselines --- */

START_TEST(of_several_baselines_that_are_met_the_highest_tier_counts) {
    const char *low = pcrs("\"2\":[\"" A "\"]"),
               *high = pcrs("\"0\":[\"" A "\"],\"4\":[\"" A "\"]");
    ck_assert_int_eq(judge(low, high, NULL), TIER_MEASURED);
    ck_assert_uint_eq(appraisal.baseline, 1);
    ck_assert_int_eq(judge(high, low, NULL), TIER_MEASURED);
    ck_assert_uint_eq(appraisal.baseline, 0);
    ck_assert_int_eq(judge(low, low, NULL), TIER_IDENTIFIED);
    ck_assert_uint_eq(appraisal.baseline, 0);
}
END_TEST

START_TEST(baseline_that_is_not_met_gives_no_tier_beside_one_that_is) {
    ck_assert_int_eq(
        judge(pcrs("\"0\":[\"" A "\"],\"4\":[\"" B "\"]"), pcrs("\"7\":[\"" A "\"]"), NULL),
        TIER_VERIFIED_BOOT);
    ck_assert_uint_eq(appraisal.baseline, 1);
}
END_TEST

/* --- exceptions --- */

START_TEST(exception_from_what_was_found_keeps_the_tier) {
    const struct appraisal_exception exception = {"e1", "pcr_mismatch", "pcrs", 4, A};
    ck_assert_int_eq(judge(pcrs("\"0\":[\"" A "\"],\"4\":[\"" B "\"]"), NULL, &exception),
                     TIER_MEASURED);
    ck_assert_int_eq(appraisal.verdict, VERDICT_TRUSTED);
    ck_assert_str_eq(appraisal.finding[0].exception, "e1");
}
END_TEST

START_TEST(exception_from_what_was_not_there_waives_the_family) {
    const struct appraisal_exception exception = {"e1", "pcr_not_quoted", "pcrs", 4, NULL};
    facts.bank[0].pcr[4].quoted = false;
    ck_assert_int_eq(
        judge(pcrs("\"0\":[\"" A "\"],\"4\":[\"" A "\"],\"7\":[\"" A "\"]"), NULL, &exception),
        TIER_IDENTIFIED);
    ck_assert_int_eq(appraisal.verdict, VERDICT_TRUSTED);
}
END_TEST

START_TEST(of_two_baselines_of_one_tier_the_one_without_an_exception_counts) {
    const struct appraisal_exception exception = {"e1", "pcr_mismatch", "pcrs", 4, A};
    ck_assert_int_eq(judge(pcrs("\"0\":[\"" A "\"],\"4\":[\"" B "\"]"),
                           pcrs("\"0\":[\"" A "\"],\"4\":[\"" A "\"]"), &exception),
                     TIER_MEASURED);
    ck_assert_uint_eq(appraisal.baseline, 1);
    ck_assert_uint_eq(appraisal.num_findings > 0 && appraisal.finding[0].exception != NULL, 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("tier");
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_loop_test(tests, tier_is_that_of_the_pcrs_which_the_baseline_names, 0,
                        (int)(sizeof by_pcrs / sizeof by_pcrs[0]));
    tcase_add_test(tests, whole_pcrs_are_measured_without_a_log_too);
    tcase_add_test(tests, pcr_that_nothing_was_measured_into_states_nothing);
    tcase_add_loop_test(tests, pinned_pcr_7_is_no_verified_boot_unless_secure_boot_is_proven_on, 0,
                        (int)(sizeof unproven / sizeof unproven[0]));
    tcase_add_test(tests, secure_boot_that_is_on_under_keys_that_nobody_states_is_no_verified_boot);
    tcase_add_loop_test(tests,
                        verified_boot_is_required_secure_boot_with_the_keys_that_admit_images, 0,
                        (int)(sizeof by_keys / sizeof by_keys[0]));
    tcase_add_test(tests, secure_boot_and_a_pinned_firmware_are_no_measured_boot);
    tcase_add_test(tests, exception_from_secure_boot_that_is_off_leaves_no_verified_boot);
    tcase_add_loop_test(tests, firmware_is_stated_by_its_whole_pcr_and_not_by_a_version, 0,
                        (int)(sizeof by_firmware / sizeof by_firmware[0]));
    tcase_add_test(tests, boot_chain_states_the_boot_programs);
    tcase_add_test(tests, of_several_baselines_that_are_met_the_highest_tier_counts);
    tcase_add_test(tests, baseline_that_is_not_met_gives_no_tier_beside_one_that_is);
    tcase_add_test(tests, exception_from_what_was_found_keeps_the_tier);
    tcase_add_test(tests, exception_from_what_was_not_there_waives_the_family);
    tcase_add_test(tests, of_two_baselines_of_one_tier_the_one_without_an_exception_counts);
    Suite *suite = suite_create("tier");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

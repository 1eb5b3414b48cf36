/* What appraisals and decisions come to in AR4SI's words. */
#include "server/appraisal/trustworthiness.h"
#include "server/credential/claims.h"
#include "server/credential/jws.h"
#include "server/fleet/ear.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KNOWN = AR4SI_QUOTED | AR4SI_EK_VERIFIED };

/* --- appraisals --- */

static struct trustworthiness vector_of(enum verdict verdict, unsigned accounts,
                                        const struct finding *finding, size_t num) {
    struct finding copy[4];
    struct trustworthiness out;
    memcpy(copy, finding, num * sizeof *copy);
    const struct appraisal appraisal = {
        .verdict = verdict, .accounts = accounts, .finding = copy, .num_findings = num};
    uint16_t packed = trustworthiness_of(&appraisal);
    ck_assert_uint_eq(packed & AR4SI_DEVICE, 0);
    trustworthiness_unpack(&out, packed | KNOWN);
    return out;
}

static const struct {
    unsigned accounts;
    int8_t configuration, executables;
} accounted[] = {
    {0, 0, 0},
    {ACCOUNTS_BOOT, 0, 3},
    {ACCOUNTS_SECURE_BOOT, 2, 0},
    {ACCOUNTS_BOOT | ACCOUNTS_SECURE_BOOT, 2, 3},
    {ACCOUNTS_BOOT | ACCOUNTS_IMA, 0, 2},
    {ACCOUNTS_IMA, 0, 0}, /* files of a system that nobody knows how it booted */
    {ACCOUNTS_SECURE_BOOT | ACCOUNTS_IMA, 2, 0},
    {ACCOUNTS_BOOT | ACCOUNTS_SECURE_BOOT | ACCOUNTS_IMA, 2, 2},
};

START_TEST(what_is_accounted_for_is_affirmed_and_nothing_else) {
    struct trustworthiness v =
        vector_of(VERDICT_TRUSTED, accounted[_i].accounts, &(struct finding){0}, 0);
    ck_assert_int_eq(v.claim[AR4SI_CONFIGURATION], accounted[_i].configuration);
    ck_assert_int_eq(v.claim[AR4SI_EXECUTABLES], accounted[_i].executables);
    ck_assert_int_eq(v.claim[AR4SI_HARDWARE], 2);
    ck_assert_int_eq(v.claim[AR4SI_INSTANCE_IDENTITY], 2);
    ck_assert_int_eq(v.claim[AR4SI_FILE_SYSTEM], 0);
    ck_assert_int_eq(v.claim[AR4SI_RUNTIME_OPAQUE], 0);
    ck_assert_int_eq(v.claim[AR4SI_STORAGE_OPAQUE], 0);
    ck_assert_int_eq(v.claim[AR4SI_SOURCED_DATA], 0);
    v = vector_of(VERDICT_UNTRUSTED, accounted[_i].accounts, &(struct finding){0}, 0);
    ck_assert_int_eq(v.claim[AR4SI_CONFIGURATION], 0);
    ck_assert_int_eq(v.claim[AR4SI_EXECUTABLES], 0);
}
END_TEST

static const struct {
    const char *rule, *code;
    int pcr;
    enum ar4si_claim claim;
    int8_t denied, excepted;
} held[] = {
    {"secure_boot", "secure_boot_off", 7, AR4SI_CONFIGURATION, 96, 32},
    {"secure_boot", "leaked_key", 7, AR4SI_CONFIGURATION, 96, 32},
    {"secure_boot", "log_missing", 7, AR4SI_CONFIGURATION, 36, 36},
    {"secure_boot", "pcr_not_quoted", 7, AR4SI_CONFIGURATION, 36, 36},
    {"kernel_command_line", "command_line_not_allowed", 8, AR4SI_CONFIGURATION, 96, 32},
    {"kernel_command_line", "data_not_bound", 8, AR4SI_CONFIGURATION, 36, 36},
    {"boot_chain", "image_not_allowed", 4, AR4SI_EXECUTABLES, 96, 33},
    {"boot_chain", "log_missing", 4, AR4SI_EXECUTABLES, 96, 33},
    {"initrd", "initrd_not_allowed", 9, AR4SI_EXECUTABLES, 96, 33},
    {"sbat", "sbat_level_too_low", 4, AR4SI_EXECUTABLES, 96, 32},
    {"ima", "ima_file_unlisted", 10, AR4SI_EXECUTABLES, 96, 33},
    {"ima", "ima_log_missing", 10, AR4SI_EXECUTABLES, 96, 33},
    {"firmware", "firmware_not_allowed", 0, AR4SI_HARDWARE, 97, 32},
    {"tpm", "tpm_firmware_too_old", -1, AR4SI_HARDWARE, 96, 32},
    {"pcrs", "pcr_mismatch", 0, AR4SI_HARDWARE, 97, 32},
    {"pcrs", "pcr_mismatch", 1, AR4SI_CONFIGURATION, 96, 32},
    {"pcrs", "pcr_mismatch", 2, AR4SI_HARDWARE, 97, 32},
    {"pcrs", "pcr_mismatch", 4, AR4SI_EXECUTABLES, 96, 33},
    {"pcrs", "pcr_mismatch", 7, AR4SI_CONFIGURATION, 96, 32},
    {"pcrs", "pcr_not_quoted", 7, AR4SI_CONFIGURATION, 36, 36},
    {"unlisted_pcrs", "pcr_unlisted", 14, AR4SI_CONFIGURATION, 96, 32},
    {"unlisted_pcrs", "pcr_unlisted", 11, AR4SI_EXECUTABLES, 96, 33},
    {"events", "event_not_allowed", 5, AR4SI_CONFIGURATION, 96, 32},
};

START_TEST(a_finding_is_held_against_its_claim) {
    enum { ALL = ACCOUNTS_BOOT | ACCOUNTS_SECURE_BOOT | ACCOUNTS_IMA };
    struct finding finding = {.rule = held[_i].rule, .code = held[_i].code, .pcr = held[_i].pcr};
    struct trustworthiness v;
    finding.severity = SEVERITY_DENY;
    v = vector_of(VERDICT_UNTRUSTED, 0, &finding, 1);
    ck_assert_int_eq(v.claim[held[_i].claim], held[_i].denied);
    finding.severity = SEVERITY_EXCEPTED;
    v = vector_of(VERDICT_TRUSTED, ALL, &finding, 1);
    ck_assert_int_eq(v.claim[held[_i].claim], held[_i].excepted);
    ck_assert_int_eq(ar4si_tier_of(v.claim[held[_i].claim]), AR4SI_WARNING);
    finding.severity = SEVERITY_INFO;
    v = vector_of(VERDICT_TRUSTED, ALL, &finding, 1);
    ck_assert_int_eq(ar4si_tier_of(v.claim[held[_i].claim]), AR4SI_AFFIRMING);
}
END_TEST

START_TEST(files_that_are_only_reported_are_not_affirmed) {
    const struct finding reported = {
        .rule = "ima", .code = "ima_file_unlisted", .pcr = 10, .severity = SEVERITY_INFO};
    struct trustworthiness v =
        vector_of(VERDICT_TRUSTED, ACCOUNTS_BOOT | ACCOUNTS_IMA, &reported, 1);
    ck_assert_int_eq(v.claim[AR4SI_EXECUTABLES], 3);
}
END_TEST

START_TEST(of_several_findings_the_worst_counts) {
    const struct finding findings[] = {
        {.rule = "secure_boot", .code = "log_missing", .pcr = 7, .severity = SEVERITY_DENY},
        {.rule = "kernel_command_line",
         .code = "command_line_not_allowed",
         .pcr = 8,
         .severity = SEVERITY_DENY},
        {.rule = "pcrs", .code = "pcr_mismatch", .pcr = 1, .severity = SEVERITY_EXCEPTED}};
    struct trustworthiness v = vector_of(VERDICT_UNTRUSTED, 0, findings, 3);
    ck_assert_int_eq(v.claim[AR4SI_CONFIGURATION], 96);
    ck_assert_int_eq(v.claim[AR4SI_EXECUTABLES], 0);
}
END_TEST

START_TEST(a_finding_of_no_claim_is_held_against_none) {
    const struct finding none = {
        .rule = "baseline", .code = "no_active_baseline", .pcr = -1, .severity = SEVERITY_DENY};
    struct trustworthiness v = vector_of(VERDICT_UNTRUSTED, 0, &none, 1);
    for (size_t i = 0; i < NUM_AR4SI_CLAIMS; i++) {
        ck_assert_int_le(v.claim[i], 2);
    }
}
END_TEST

START_TEST(without_a_quote_nothing_is_affirmed_of_the_device) {
    struct trustworthiness v;
    trustworthiness_unpack(&v, 0);
    for (size_t i = 0; i < NUM_AR4SI_CLAIMS; i++) {
        ck_assert_int_eq(v.claim[i], 0);
    }
    trustworthiness_unpack(&v, AR4SI_EK_VERIFIED);
    ck_assert_int_eq(v.claim[AR4SI_HARDWARE], 0);
    trustworthiness_unpack(&v, AR4SI_QUOTED);
    ck_assert_int_eq(v.claim[AR4SI_HARDWARE], 0); /* nobody vouches for the EK */
    ck_assert_int_eq(v.claim[AR4SI_INSTANCE_IDENTITY], 2);
}
END_TEST

static const struct {
    int value;
    enum ar4si_tier tier;
} tiers[] = {{-128, AR4SI_CONTRAINDICATED},
             {-97, AR4SI_CONTRAINDICATED},
             {-96, AR4SI_WARNING},
             {-33, AR4SI_WARNING},
             {-32, AR4SI_AFFIRMING},
             {-2, AR4SI_AFFIRMING},
             {-1, AR4SI_NONE},
             {0, AR4SI_NONE},
             {1, AR4SI_NONE},
             {2, AR4SI_AFFIRMING},
             {31, AR4SI_AFFIRMING},
             {32, AR4SI_WARNING},
             {95, AR4SI_WARNING},
             {96, AR4SI_CONTRAINDICATED},
             {127, AR4SI_CONTRAINDICATED}};

START_TEST(values_fall_into_the_tiers_of_the_draft) {
    ck_assert_int_eq(ar4si_tier_of((int8_t)tiers[_i].value), tiers[_i].tier);
}
END_TEST

/* --- decisions --- */

enum { GOOD = 1 | 2 << 3 | KNOWN /* configuration 2, executables 3 */ };

static struct decision decision_of(enum decision_reason reason, uint16_t trustworthiness) {
    return (struct decision){.allow = reason == REASON_TRUSTED,
                             .reason = reason,
                             .device_id = "0123456789abcdef0123456789abcdef",
                             .model = "edge",
                             .tier = TIER_MEASURED,
                             .trustworthiness = trustworthiness,
                             .has_credential = true,
                             .key_protection = KEY_IN_TPM,
                             .lease_expires = 2000};
}

START_TEST(what_is_allowed_and_known_is_affirming) {
    struct decision d = decision_of(REASON_TRUSTED, GOOD);
    ck_assert_int_eq(ear_status(&d), AR4SI_AFFIRMING);
}
END_TEST

static const struct {
    uint16_t trustworthiness;
    enum ar4si_tier status;
} allowed[] = {
    {0, AR4SI_NONE},                     /* appraised by an older version */
    {KNOWN, AR4SI_NONE},                 /* who it is, and nothing of what booted */
    {1 | KNOWN, AR4SI_AFFIRMING},        /* Secure Boot */
    {2 << 3 | KNOWN, AR4SI_AFFIRMING},   /* the boot chain */
    {3 | 2 << 3 | KNOWN, AR4SI_WARNING}, /* an exception */
    {1 | 4 << 3 | KNOWN, AR4SI_WARNING}, /* likewise */
    {1 | 3 << 6 | KNOWN, AR4SI_WARNING}, /* likewise */
    {5 | 2 << 3 | KNOWN, AR4SI_WARNING},
};

START_TEST(the_status_is_no_better_than_the_worst_claim) {
    struct decision d = decision_of(REASON_TRUSTED, allowed[_i].trustworthiness);
    ck_assert_int_eq(ear_status(&d), allowed[_i].status);
}
END_TEST

START_TEST(a_denial_never_affirms_anything) {
    for (enum decision_reason reason = REASON_UNKNOWN_DEVICE; reason <= REASON_TIER_TOO_LOW;
         reason++) {
        for (unsigned packed = 0; packed < 0x10000; packed += 0x41) {
            struct decision d = decision_of(reason, (uint16_t)packed);
            struct trustworthiness v;
            enum ar4si_tier status = ear_status(&d);
            ck_assert(status == AR4SI_NONE || status == AR4SI_CONTRAINDICATED);
            ear_vector(&v, &d);
            for (size_t i = 0; i < NUM_AR4SI_CLAIMS; i++) {
                enum ar4si_tier tier = ar4si_tier_of(v.claim[i]);
                ck_assert(tier != AR4SI_AFFIRMING && tier <= status);
            }
        }
    }
}
END_TEST

static const struct {
    enum decision_reason reason;
    enum ar4si_tier status;
    int8_t identity;
} denied[] = {
    {REASON_UNKNOWN_DEVICE, AR4SI_NONE, 0},
    {REASON_UNKNOWN_CREDENTIAL, AR4SI_NONE, 0},
    {REASON_NO_CREDENTIAL, AR4SI_NONE, 0},
    {REASON_NOT_APPRAISED, AR4SI_NONE, 0},
    {REASON_LEASE_EXPIRED, AR4SI_NONE, 0},
    {REASON_NOT_YET_VALID, AR4SI_NONE, 0},
    {REASON_PENDING_APPROVAL, AR4SI_NONE, 0},
    {REASON_UNTRUSTED, AR4SI_CONTRAINDICATED, 0},
    {REASON_TIER_TOO_LOW, AR4SI_CONTRAINDICATED, 0},
    {REASON_CREDENTIAL_REVOKED, AR4SI_CONTRAINDICATED, 96},
    {REASON_QUARANTINED, AR4SI_CONTRAINDICATED, 96},
    {REASON_RETIRED, AR4SI_CONTRAINDICATED, 96},
};

START_TEST(a_denial_says_whether_the_device_is_refused_or_not_known) {
    struct decision d = decision_of(denied[_i].reason, GOOD);
    struct trustworthiness v;
    ear_vector(&v, &d);
    ck_assert_int_eq(ear_status(&d), denied[_i].status);
    ck_assert_int_eq(v.claim[AR4SI_INSTANCE_IDENTITY], denied[_i].identity);
}
END_TEST

START_TEST(a_key_that_is_not_proven_in_the_tpm_is_no_identity) {
    struct decision d = decision_of(REASON_TRUSTED, GOOD);
    struct trustworthiness v;
    ear_vector(&v, &d);
    ck_assert_int_eq(v.claim[AR4SI_INSTANCE_IDENTITY], 2);
    d.key_protection = KEY_UNPROVEN;
    ear_vector(&v, &d);
    ck_assert_int_eq(v.claim[AR4SI_INSTANCE_IDENTITY], 0);
    d.key_protection = KEY_IN_TPM;
    d.has_credential = false;
    ear_vector(&v, &d);
    ck_assert_int_eq(v.claim[AR4SI_INSTANCE_IDENTITY], 0);
}
END_TEST

static const struct {
    enum decision_reason reason;
    int64_t lease, exp;
} ends[] = {
    {REASON_TRUSTED, 1000 + 1, 1000 + 1},
    {REASON_TRUSTED, 1000 + 299, 1000 + 299},
    {REASON_TRUSTED, 1000 + 3600, 1000 + JWS_RESULT_MAX_S},
    {REASON_LEASE_EXPIRED, 900, 1000 + JWS_RESULT_MAX_S},
    {REASON_UNKNOWN_DEVICE, 0, 1000 + JWS_RESULT_MAX_S},
};

START_TEST(a_result_ends_with_the_lease_and_after_five_minutes_at_most) {
    struct decision d = decision_of(ends[_i].reason, GOOD);
    struct arena arena;
    struct claims claims;
    int64_t exp, iat;
    d.lease_expires = ends[_i].lease;
    arena_init(&arena, 1 << 16);
    const struct ear_inputs inputs = {.issuer = "https://g.test",
                                      .build = "b",
                                      .subject = "x",
                                      .decision = &d,
                                      .nonce = _i == 0 ? "abcdefgh" : NULL,
                                      .now = 1000};
    ck_assert_int_eq(claims_read(&claims, ear_claims(&arena, &inputs)), STATUS_OK);
    ck_assert_int_eq(claims_integer(&claims, "exp", &exp), STATUS_OK);
    ck_assert_int_eq(claims_integer(&claims, "iat", &iat), STATUS_OK);
    ck_assert_int_eq(exp, ends[_i].exp);
    ck_assert_int_eq(iat, 1000);
    ck_assert(claims_is_text(&claims, "iss", "https://g.test"));
    ck_assert(claims_is_text(&claims, "eat_profile", EAR_PROFILE));
    ck_assert_int_eq(claims_is_text(&claims, "eat_nonce", "abcdefgh"), _i == 0);
    arena_free(&arena);
}
END_TEST

START_TEST(without_memory_there_are_no_claims) {
    struct decision d = decision_of(REASON_TRUSTED, GOOD);
    const struct ear_inputs inputs = {
        .issuer = "https://g.test", .build = "b", .subject = "x", .decision = &d, .now = 1000};
    for (size_t cap = 0; cap < 1024; cap += 64) {
        struct arena arena;
        arena_init(&arena, cap);
        ck_assert_uint_eq(ear_claims(&arena, &inputs).len, 0);
        arena_free(&arena);
    }
}
END_TEST

int main(void) {
#define LOOP(test, table)                                                                          \
    tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof((table)[0])))
    TCase *tests = tcase_create("trustworthiness");
    LOOP(what_is_accounted_for_is_affirmed_and_nothing_else, accounted);
    LOOP(a_finding_is_held_against_its_claim, held);
    tcase_add_test(tests, files_that_are_only_reported_are_not_affirmed);
    tcase_add_test(tests, of_several_findings_the_worst_counts);
    tcase_add_test(tests, a_finding_of_no_claim_is_held_against_none);
    tcase_add_test(tests, without_a_quote_nothing_is_affirmed_of_the_device);
    LOOP(values_fall_into_the_tiers_of_the_draft, tiers);
    tcase_add_test(tests, what_is_allowed_and_known_is_affirming);
    LOOP(the_status_is_no_better_than_the_worst_claim, allowed);
    tcase_add_test(tests, a_denial_never_affirms_anything);
    LOOP(a_denial_says_whether_the_device_is_refused_or_not_known, denied);
    tcase_add_test(tests, a_key_that_is_not_proven_in_the_tpm_is_no_identity);
    LOOP(a_result_ends_with_the_lease_and_after_five_minutes_at_most, ends);
    tcase_add_test(tests, without_memory_there_are_no_claims);
    Suite *suite = suite_create("trustworthiness");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

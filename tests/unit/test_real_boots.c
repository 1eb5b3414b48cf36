/* Whole evidence of real boots: firmware, shim, GRUB and kernel of a distribution, a TPM each. A baseline made
 * of the first one's PCRs judges all of them. */
#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"
#include "server/evidence/tpm2/tpm2.h"
#include "server/tpm/public.h"
#include "tests/unit/component_baseline.h"
#include "tests/unit/evidence_builder.h"
#include "tests/unit/real_data.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct boot {
    const char *folder;
    uint32_t denied; /* bit i: PCR i is not as in the baseline */
    bool has_log;
} boots[] = {
    {"A1-secureboot-good", 0, true},
    {"A2-secureboot-good-reboot", 0, true},
    {"F1-second-device", 0, true},
    {"C-cmdline-changed", 1 << 8 | 1 << 9, true},
    {"D1-kernel-generic", 1 << 4 | 1 << 8 | 1 << 9, true},
    {"E1-own-test-pk", 1 << 0 | 1 << 7, true},
    {"B1-secureboot-off", 1 << 0 | 1 << 4 | 1 << 7, false},
    {"G1-ima-good", 1 << 8 | 1 << 9, true},
    {"G4-ima-late", 1 << 8 | 1 << 9, true},
};
enum { NUM_BOOTS = sizeof boots / sizeof *boots, SELECTED = 0xFFFF, NAMED = 0x43FF };
static const char *const ak_names[] = {"ecc", "rsa"};

static struct arena arena, work;
static struct baseline *baseline;
static const struct leaked_keys *leaked_keys;
static struct tpm2_evidence evidence;
static struct tpm2_expectation expected;
static struct tpm_public ak;
static struct pcr_selection selection;
static struct detail detail;

static void make_baseline(void) {
    char hex[65], json[8192];
    size_t len = (size_t)snprintf(json, sizeof json,
                                  "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"lab\","
                                  "\"bank\":\"sha256\",\"pcrs\":{");
    struct bytes pcrs = real_file(&arena, "measured-boot/%s/pcrs.raw", boots[0].folder);
    ck_assert_uint_eq(pcrs.len, 512);
    for (unsigned i = 0; i < 16; i++) {
        if ((NAMED >> i & 1) != 0) {
            hex_encode(hex, bytes_of(pcrs.data + 32 * i, 32));
            len += (size_t)snprintf(json + len, sizeof json - len, "%s\"%u\":[\"%s\"]",
                                    i > 0 ? "," : "", i, hex);
        }
    }
    (void)snprintf(json + len, sizeof json - len, "},\"unlisted_pcrs\":\"report\"}");
    ck_assert_int_eq(baseline_compile(&baseline, bytes_of_text(json), NULL, &detail), STATUS_OK);
}

static void start(void) {
    arena_init(&arena, 1 << 26);
    arena_init(&work, 1 << 24);
    make_baseline();
    leaked_keys = NULL;
}

static void end(void) {
    baseline_free(baseline);
    arena_free(&arena);
    arena_free(&work);
}

static void load(const struct boot *boot, const char *ak_name, bool with_values) {
    const char *folder = boot->folder;
    struct bytes hex = real_file(&arena, "measured-boot/%s/nonce.hex", folder);
    struct bytes public = real_file(&arena, "measured-boot/%s/ak_%s.tpm2b_public", folder, ak_name);
    struct bytes pcrs = real_file(&arena, "measured-boot/%s/pcrs.raw", folder);
    memset(&evidence, 0, sizeof evidence);
    evidence.quote = real_file(&arena, "measured-boot/%s/quote_%s.msg", folder, ak_name);
    evidence.signature = real_file(&arena, "measured-boot/%s/quote_%s.sig", folder, ak_name);
    evidence.tcg_event_log = real_file(&arena, "measured-boot/%s/binary_bios_measurements", folder);
    evidence.ima_log =
        real_file(&arena, "measured-boot/%s/ima_binary_runtime_measurements", folder);
    ck_assert_int_eq(evidence.tcg_event_log.len > 0, boot->has_log);
    if (with_values) {
        evidence.num_claimed = 1;
        evidence.claimed[0].alg = HASH_SHA256;
        for (unsigned i = 0; i < 16; i++) {
            evidence.claimed[0].pcr[i].quoted = true;
            memcpy(evidence.claimed[0].pcr[i].value, pcrs.data + 32 * i, 32);
        }
    }
    ck_assert_int_eq(tpm_public_parse(&ak, public, &detail), STATUS_OK);
    expected = (struct tpm2_expectation){
        .ak = &ak.key, .ak_hash = ak.scheme_hash, .ak_scheme = ak.scheme, .selection = &selection};
    selection = (struct pcr_selection){.bank = {{HASH_SHA256, SELECTED}}, .num_banks = 1};
    ck_assert_int_eq(
        hex_decode_arena(&arena, &expected.nonce,
                         arena_text_n(&arena, (const char *)hex.data, 2 * (hex.len / 2))),
        STATUS_OK);
}

/* The verdict; UNKNOWN for evidence that does not verify. */
static enum verdict judge(struct appraisal *appraisal) {
    struct facts facts;
    enum tpm2_failure failure = TPM2_MALFORMED;
    const struct baseline *const baselines[] = {baseline};
    arena_free(&work);
    ck_assert_int_eq(tpm2_verify(&facts, &failure, &work, &evidence, &expected, &detail),
                     STATUS_OK);
    if (failure != TPM2_VERIFIED) {
        return VERDICT_UNKNOWN;
    }
    ck_assert_int_eq(appraise(appraisal, &work, &facts,
                              &(struct appraisal_inputs){.baseline = baselines,
                                                         .num_baselines = 1,
                                                         .leaked_keys = leaked_keys}),
                     STATUS_OK);
    return appraisal->verdict;
}

START_TEST(baseline_of_one_boot_judges_each_boot) {
    const struct boot *boot = &boots[_i / 4];
    struct appraisal appraisal;
    uint32_t denied = 0, reported = 0;
    bool with_values = _i % 2 == 1;
    load(boot, ak_names[_i / 2 % 2], with_values);
    enum verdict verdict = judge(&appraisal);
    if (!boot->has_log && !with_values) {
        ck_assert_int_eq(verdict, VERDICT_UNKNOWN);
        return;
    }
    ck_assert_msg(verdict == (boot->denied == 0 ? VERDICT_TRUSTED : VERDICT_UNTRUSTED), "%s: %s",
                  boot->folder, detail.text);
    for (size_t i = 0; i < appraisal.num_findings; i++) {
        const struct finding *finding = &appraisal.finding[i];
        if (finding->severity == SEVERITY_DENY) {
            ck_assert_str_eq(finding->code, "pcr_mismatch");
            denied |= 1u << finding->pcr;
        } else {
            ck_assert_str_eq(finding->code, "pcr_unlisted");
            reported |= 1u << finding->pcr;
        }
    }
    ck_assert_uint_eq(denied, boot->denied);
    ck_assert_uint_eq(reported, 1u << 10);
}
END_TEST

/* --- by component ------------------------------------------------------------------------------ */

/* What each boot is denied for by the components of the first one: "code event, ...". */
static const char *const denied_for[NUM_BOOTS] = {
    "",
    "",
    "",
    "command_line_not_allowed 43",
    "image_not_allowed 41, initrd_not_allowed 45",
    "platform_key_not_allowed 5, key_exchange_key_not_allowed 6, db_entry_not_allowed 7, "
    "dbx_entry_missing 8, authority_not_allowed 22, firmware_not_allowed -1",
    "log_missing -1, firmware_not_allowed -1, log_missing -1, log_missing -1, log_missing -1, "
    "log_missing -1, log_missing -1, log_missing -1",
    "command_line_not_allowed 43",
    "command_line_not_allowed 43",
};

static const char *denials(const struct appraisal *appraisal) {
    const char *text = "";
    for (size_t i = 0; i < appraisal->num_findings; i++) {
        const struct finding *finding = &appraisal->finding[i];
        if (finding->severity == SEVERITY_DENY) {
            text = arena_printf(&work, "%s%s%s %d", text, text[0] != '\0' ? ", " : "",
                                finding->code, finding->event);
            ck_assert_ptr_nonnull(text);
        }
    }
    return text;
}

static void use_components_of_the_first(void) {
    struct facts facts;
    enum tpm2_failure failure = TPM2_MALFORMED;
    load(&boots[0], "ecc", true);
    ck_assert_int_eq(tpm2_verify(&facts, &failure, &arena, &evidence, &expected, &detail),
                     STATUS_OK);
    ck_assert_int_eq(failure, TPM2_VERIFIED);
    json_t *document = component_baseline(&facts);
    baseline_free(baseline);
    baseline = compile_document(document);
    json_decref(document);
}

START_TEST(components_of_one_boot_judge_each_boot) {
    struct appraisal appraisal;
    use_components_of_the_first();
    load(&boots[_i], "ecc", true);
    enum verdict verdict = judge(&appraisal);
    ck_assert_str_eq(denials(&appraisal), denied_for[_i]);
    ck_assert_int_eq(verdict, denied_for[_i][0] == '\0' ? VERDICT_TRUSTED : VERDICT_UNTRUSTED);
    /* Settings of the firmware, Secure Boot's other variables, GRUB's commands and files, IMA. */
    ck_assert_uint_eq(appraisal.uncovered, 1u << 1 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10);
}
END_TEST

START_TEST(platform_key_is_refused_as_leaked_once_it_is_listed) {
    static const char document[] = "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"lab\","
                                   "\"bank\":\"sha256\",\"secure_boot\":{\"required\":true,"
                                   "\"refuse_leaked_keys\":true}}";
    struct appraisal appraisal;
    struct leaked_key own = {.subject = "", .source = "this test"};
    const struct leaked_keys list = {.key = &own, .num = 1};
    baseline_free(baseline);
    ck_assert_int_eq(baseline_compile(&baseline, bytes_of_text(document), NULL, &detail),
                     STATUS_OK);
    load(&boots[5], "ecc", true);
    ck_assert_int_eq(judge(&appraisal), VERDICT_TRUSTED);
    struct facts facts;
    enum tpm2_failure failure = TPM2_MALFORMED;
    ck_assert_int_eq(tpm2_verify(&facts, &failure, &arena, &evidence, &expected, &detail),
                     STATUS_OK);
    ck_assert_uint_eq(facts.secure_boot.platform_key.num, 1);
    memcpy(own.sha256, facts.secure_boot.platform_key.key[0].sha256, sizeof own.sha256);
    leaked_keys = &list;
    ck_assert_int_eq(judge(&appraisal), VERDICT_UNTRUSTED);
    ck_assert_str_eq(denials(&appraisal), "leaked_key 5");
    load(&boots[0], "ecc", true);
    ck_assert_int_eq(judge(&appraisal), VERDICT_TRUSTED);
}
END_TEST

static uint8_t *own_copy(struct bytes *view) {
    uint8_t *copy = exact_copy(*view);
    view->data = copy;
    return copy;
}

START_TEST(no_flipped_bit_of_quote_or_signature_is_trusted) {
    struct appraisal appraisal;
    load(&boots[0], ak_names[_i], true);
    uint8_t *quote = own_copy(&evidence.quote), *signature = own_copy(&evidence.signature);
    for (size_t bit = 0; bit < 8 * evidence.quote.len; bit++) {
        quote[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(judge(&appraisal), VERDICT_TRUSTED);
        quote[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * evidence.signature.len; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(judge(&appraisal), VERDICT_TRUSTED);
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(judge(&appraisal), VERDICT_TRUSTED);
    free(quote);
    free(signature);
}
END_TEST

/* Which kind of field a byte of a crypto-agile log of one SHA-256 bank belongs to. */
enum field { FIRST_EVENT, PCR, TYPE, COUNT, ALGORITHM, DIGEST, DATA_LEN, DATA, NUM_FIELDS };

static void mark_fields(struct bytes log, uint8_t *field) {
    size_t at = 0;
    for (unsigned index = 0; at < log.len; index++) {
        static const size_t lengths[] = {4, 4, 4, 2, 32, 4};
        static const size_t first_lengths[] = {0, 8, 0, 0, 20, 4};
        size_t data = 0;
        for (size_t f = 0; f < 6; f++) {
            size_t len = index == 0 ? first_lengths[f] : lengths[f];
            for (size_t i = 0; i < len; i++) {
                if (f == 5) {
                    data |= (size_t)log.data[at] << (8 * i);
                }
                field[at++] = (uint8_t)(index == 0 ? FIRST_EVENT : PCR + f);
            }
        }
        for (size_t i = 0; i < data; i++) {
            field[at++] = (uint8_t)(index == 0 ? FIRST_EVENT : DATA);
        }
    }
}

/* Every bit of framing and digests, and every 41st of types and data; and what a rule reads of a log that still
 * verifies is as before. */
START_TEST(no_flipped_bit_of_the_log_is_trusted_unless_no_rule_reads_it) {
    struct appraisal appraisal;
    size_t flipped[NUM_FIELDS] = {0}, trusted[NUM_FIELDS] = {0};
    load(&boots[_i], "ecc", false);
    uint8_t *log = own_copy(&evidence.tcg_event_log);
    uint8_t *field = calloc(1, evidence.tcg_event_log.len);
    ck_assert_ptr_nonnull(field);
    mark_fields(evidence.tcg_event_log, field);
    for (size_t bit = 0; bit < 8 * evidence.tcg_event_log.len; bit++) {
        uint8_t kind = field[bit / 8];
        if ((kind == DATA || kind == TYPE) && bit % 41 != 0) {
            continue;
        }
        if (kind == DIGEST && bit % 3 != 0) {
            continue;
        }
        log[bit / 8] ^= (uint8_t)(1u << bit % 8);
        flipped[kind]++;
        trusted[kind] += judge(&appraisal) == VERDICT_TRUSTED;
        log[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (unsigned kind = 0; kind < NUM_FIELDS; kind++) {
        ck_assert_uint_gt(flipped[kind], 0);
        if (kind != FIRST_EVENT && kind != TYPE && kind != DATA) {
            ck_assert_uint_eq(trusted[kind], 0);
        }
    }
    ck_assert_int_eq(judge(&appraisal), VERDICT_TRUSTED);
    free(field);
    free(log);
}
END_TEST

START_TEST(quotes_are_not_interchangeable_between_devices_and_boots) {
    struct appraisal appraisal;
    load(&boots[0], "ecc", true);
    struct tpm2_evidence first = evidence;
    load(&boots[1], "ecc", true); /* the same device later: another nonce */
    struct tpm2_evidence second = evidence;
    evidence = first;
    ck_assert_int_eq(judge(&appraisal), VERDICT_UNKNOWN);
    evidence = second;
    ck_assert_int_eq(judge(&appraisal), VERDICT_TRUSTED);
    load(&boots[2], "ecc", true); /* another device: another AK */
    expected.nonce = bytes_of(NULL, 0);
    ck_assert_int_eq(judge(&appraisal), VERDICT_UNKNOWN);
    load(&boots[2], "ecc", true);
    struct bytes nonce = expected.nonce;
    load(&boots[0], "ecc", true);
    expected.nonce = nonce;
    ck_assert_int_eq(judge(&appraisal), VERDICT_UNKNOWN);
}
END_TEST

START_TEST(quotes_of_hardware_and_clouds_verify) {
    static const struct {
        const char *folder;
        bool nonce_known;
    } quotes[] = {{"keylime-rsa-pcr16", false},
                  {"trustee-tpm_evidence", false},
                  {"verifier_azure_test", true},
                  {"verifier_tpm_test", true}};
    const char *folder = quotes[_i].folder;
    struct bytes pem = real_file(&arena, "quotes/%s/ak_pub.pem", folder);
    struct bytes quote = real_file(&arena, "quotes/%s/quote.tpms_attest.bin", folder);
    struct bytes raw = real_file(&arena, "quotes/%s/quote.tpmt_signature.bin", folder);
    struct public_key key;
    struct tpm_attest attest;
    struct tpm_signature signature;
    ck_assert_int_eq(public_key_from_pem(&key, pem, &detail), STATUS_OK);
    ck_assert_int_eq(tpm_attest_parse(&attest, quote, &detail), STATUS_OK);
    ck_assert_int_eq(tpm_signature_parse(&signature, raw, &detail), STATUS_OK);
    ck_assert_uint_eq(attest.type, 0x8018);
    ck_assert_msg(signature_verify(&key, &signature.signature, quote, &detail) == STATUS_OK,
                  "%s: %s", folder, detail.text);
}
END_TEST

START_TEST(real_boots_are_optional) {
    ck_assert_int_eq(NUM_BOOTS, 9);
}
END_TEST

int main(void) {
    TCase *always = tcase_create("always");
    Suite *suite = suite_create("evidence: real boots");
    tcase_add_test(always, real_boots_are_optional);
    suite_add_tcase(suite, always);
    if (real_data() != NULL) {
        TCase *tests = tcase_create("real boots");
        tcase_set_timeout(tests, 110);
        tcase_add_checked_fixture(tests, start, end);
        tcase_add_loop_test(tests, baseline_of_one_boot_judges_each_boot, 0, 4 * NUM_BOOTS);
        tcase_add_loop_test(tests, components_of_one_boot_judge_each_boot, 0, NUM_BOOTS);
        tcase_add_test(tests, platform_key_is_refused_as_leaked_once_it_is_listed);
        tcase_add_loop_test(tests, no_flipped_bit_of_quote_or_signature_is_trusted, 0, 2);
        tcase_add_loop_test(tests, no_flipped_bit_of_the_log_is_trusted_unless_no_rule_reads_it, 0,
                            3);
        tcase_add_test(tests, quotes_are_not_interchangeable_between_devices_and_boots);
        tcase_add_loop_test(tests, quotes_of_hardware_and_clouds_verify, 0, 4);
        suite_add_tcase(suite, tests);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

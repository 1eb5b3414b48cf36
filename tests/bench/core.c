/* The verification core in one process: a quote by an ECC AK, a 41 KB event log, and the appraisal
 * against a baseline of all its PCRs, and against one of every family but ima; what of it is judging;
 * and how much the base64 of the request adds. */
#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"
#include "server/evidence/tpm2/tpm2.h"
#include "tests/bench/measure.h"
#include "tests/unit/component_baseline.h"
#include "tests/unit/soft_tpm.h"

#include <stdio.h>
#include <stdlib.h>

enum { MASK = 0x43FF, LOG_SIZE = 41 * 1024, ARENA = 4 << 20 };
static uint8_t log_bytes[1 << 17], attest[512], signature[600];
static const uint8_t nonce[32] = {1, 2, 3};

static struct baseline *make_baseline(const struct soft_tpm *tpm) {
    char json[4096], hex[65];
    struct baseline *baseline;
    int len =
        snprintf(json, sizeof json,
                 "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"edge9\",\"label\":\"bench\","
                 "\"bank\":\"sha256\",\"pcrs\":{");
    for (unsigned i = 0, n = 0; i < SOFT_PCRS; i++) {
        if (MASK >> i & 1) {
            hex_encode(hex, bytes_of(tpm->pcr[i], 32));
            len += snprintf(json + len, sizeof json - (size_t)len, "%s\"%u\":[\"%s\"]",
                            n++ > 0 ? "," : "", i, hex);
        }
    }
    (void)snprintf(json + len, sizeof json - (size_t)len, "}}");
    struct detail detail = {0};
    if (baseline_compile(&baseline, bytes_of_text(json), NULL, &detail) != STATUS_OK) {
        give_up("baseline: %s", detail.text);
    }
    return baseline;
}

static void verify(struct facts *facts, struct arena *arena, const struct tpm2_evidence *evidence,
                   const struct tpm2_expectation *expected) {
    enum tpm2_failure failure;
    struct detail detail = {0};
    if (tpm2_verify(facts, &failure, arena, evidence, expected, &detail) != STATUS_OK ||
        failure != TPM2_VERIFIED) {
        give_up("evidence does not verify: %s", detail.text);
    }
}

static void judge(struct arena *arena, const struct facts *facts, const struct baseline *baseline) {
    struct appraisal appraisal;
    if (appraise(&appraisal, arena, facts,
                 &(struct appraisal_inputs){.baseline = &baseline, .num_baselines = 1}) !=
            STATUS_OK ||
        appraisal.verdict != VERDICT_TRUSTED) {
        give_up("evidence is not trusted: %s", appraisal.finding[0].code);
    }
}

static void verify_and_judge(const struct tpm2_evidence *evidence,
                             const struct tpm2_expectation *expected,
                             const struct baseline *baseline) {
    struct arena arena;
    struct facts facts;
    arena_init(&arena, ARENA);
    verify(&facts, &arena, evidence, expected);
    judge(&arena, &facts, baseline);
    arena_free(&arena);
}

/* Of one evidence and one baseline, us of CPU. */
static double measure(const struct tpm2_evidence *evidence, const struct tpm2_expectation *expected,
                      const struct baseline *baseline) {
    size_t num = 0;
    for (size_t warm = 0; warm < 100; warm++) {
        verify_and_judge(evidence, expected, baseline);
    }
    double end = now_us() + bench_seconds(3) * 1e6, begin = cpu_us();
    for (; now_us() < end; num++) {
        verify_and_judge(evidence, expected, baseline);
    }
    return (cpu_us() - begin) / (double)num;
}

static double measure_judging(const struct facts *facts, const struct baseline *baseline) {
    enum { TIMES = 20000 };
    double begin = cpu_us();
    for (size_t i = 0; i < TIMES; i++) {
        struct arena arena;
        arena_init(&arena, ARENA);
        judge(&arena, facts, baseline);
        arena_free(&arena);
    }
    return (cpu_us() - begin) / TIMES;
}

/* Every family but ima, met by this evidence. */
static struct baseline *make_components(struct facts *facts, struct arena *arena,
                                        const struct tpm2_evidence *evidence,
                                        const struct tpm2_expectation *expected) {
    static const char *const families[] = {
        "pcrs",   "secure_boot", "firmware", "boot_chain", "kernel_command_line",
        "initrd", "sbat",        "events",   "tpm"};
    verify(facts, arena, evidence, expected);
    json_t *document = component_baseline(facts);
    char hex[65];
    hex_encode(hex, bytes_of(facts->bank[0].pcr[4].value, 32));
    json_object_set_new(document, "pcrs", json_pack("{s:[s]}", "4", hex));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (json_object_get(document, families[i]) == NULL) {
            give_up("the log gives nothing for %s", families[i]);
        }
    }
    struct baseline *out = compile_document(document);
    json_decref(document);
    return out;
}

int main(void) {
    struct soft_tpm tpm;
    soft_tpm_init(&tpm, KEY_EC_P256);
    struct writer log = writer_of(log_bytes, sizeof log_bytes),
                  a = writer_of(attest, sizeof attest), s = writer_of(signature, sizeof signature);
    soft_tpm_boot(&tpm, &log, LOG_SIZE);
    soft_tpm_quote(&tpm, &a, &s, bytes_of(nonce, sizeof nonce), MASK);
    struct baseline *baseline = make_baseline(&tpm);
    struct pcr_selection selection = {.bank = {{HASH_SHA256, MASK}}, .num_banks = 1};
    struct tpm2_evidence evidence = {.quote = writer_bytes(&a),
                                     .signature = writer_bytes(&s),
                                     .tcg_event_log = writer_bytes(&log)};
    struct tpm2_expectation expected = {
        .ak = &tpm.ak_public, .nonce = bytes_of(nonce, sizeof nonce), .selection = &selection};
    char *text = malloc(base64_encoded_size(log.len));
    if (text == NULL) {
        give_up("out of memory");
    }
    base64_encode(text, writer_bytes(&log));

    report("core", "verify and appraise: ECC quote, 41 KB log",
           measure(&evidence, &expected, baseline), "us CPU", 150, true);
    struct arena arena;
    struct facts facts;
    arena_init(&arena, ARENA);
    struct baseline *components = make_components(&facts, &arena, &evidence, &expected);
    report("core", "the same by component, every family but ima",
           measure(&evidence, &expected, components), "us CPU", 200, true);
    report("core", "of that, judging", measure_judging(&facts, components), "us CPU", -1, true);
    baseline_free(components);
    arena_free(&arena);

    enum { DECODED = 20000 };
    double begin = cpu_us();
    for (size_t i = 0; i < DECODED; i++) {
        struct bytes out;
        arena_init(&arena, ARENA);
        if (base64_decode_arena(&arena, &out, text, base64_encoded_size(log.len) - 1, NULL) !=
            STATUS_OK) {
            give_up("base64");
        }
        arena_free(&arena);
    }
    report("core", "base64 of the log", (cpu_us() - begin) / DECODED, "us CPU", -1, true);
    free(text);
    baseline_free(baseline);
    soft_tpm_cleanup(&tpm);
    return EXIT_SUCCESS;
}

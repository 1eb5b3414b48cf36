/* IMA in one process: a quote by an ECC AK whose PCR 10 a log of 16,000 entries leads to, each of them
 * listed in the baseline; and 100 more entries that go on from there. */
#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"
#include "server/evidence/tpm2/tpm2.h"
#include "tests/bench/measure.h"
#include "tests/unit/ima_builder.h"
#include "tests/unit/soft_tpm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MASK = 0x47FF, ENTRIES = 16000, MORE = 100, ARENA = 32 << 20, BOOT_LOG = 1 << 16 };
static uint8_t boot_log[BOOT_LOG];
static const uint8_t nonce[32] = {1, 2, 3};
static struct soft_tpm tpm;
static struct ima_builder made;

struct proof {
    uint8_t attest[512], signature[600];
    struct tpm2_evidence evidence;
};

static void path_of(char out[static 64], unsigned i) {
    (void)snprintf(out, 64, "/usr/lib/x86_64-linux-gnu/libsample-%05u.so.1", i);
}

static void add_files(unsigned from, unsigned to) {
    char path[64];
    for (unsigned i = from; i < to; i++) {
        path_of(path, i);
        ima_sample(&made, path);
    }
}

static struct baseline *make_baseline(unsigned files) {
    size_t cap = (size_t)256 * files + 4096, len;
    char *json = malloc(cap), path[64], hex[65];
    struct baseline *baseline;
    struct detail detail = {0};
    uint8_t digest[32];
    if (json == NULL) {
        give_up("out of memory");
    }
    len = (size_t)snprintf(json, cap,
                           "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"edge9\",\"bank\":"
                           "\"sha256\",\"ima\":{\"mode\":\"enforce\",\"files\":{");
    for (unsigned i = 0; i < files; i++) {
        path_of(path, i);
        digest_compute(HASH_SHA256, bytes_of_text(path), digest);
        hex_encode(hex, bytes_of(digest, sizeof digest));
        len += (size_t)snprintf(json + len, cap - len, "%s\"%s\":[\"sha256:%s\"]", i > 0 ? "," : "",
                                path, hex);
    }
    (void)snprintf(json + len, cap - len, "}}}");
    if (baseline_compile(&baseline, bytes_of_text(json), NULL, &detail) != STATUS_OK) {
        give_up("baseline: %s", detail.text);
    }
    free(json);
    return baseline;
}

/* Over PCR 10 as the log leads to it now; the log from `at` on. */
static void prove(struct proof *out, uint32_t from, size_t at, bool given) {
    struct writer a = writer_of(out->attest, sizeof out->attest),
                  s = writer_of(out->signature, sizeof out->signature);
    memcpy(tpm.pcr[10], ima_pcr(&made, HASH_SHA256), 32);
    soft_tpm_quote(&tpm, &a, &s, bytes_of(nonce, sizeof nonce), MASK);
    out->evidence = (struct tpm2_evidence){
        .quote = writer_bytes(&a), .signature = writer_bytes(&s), .ima_log_from = from};
    out->evidence.ima_log = bytes_of(malloc(made.len - at + 1), made.len - at);
    memcpy((uint8_t *)(uintptr_t)out->evidence.ima_log.data, made.data + at, made.len - at);
    if (given) {
        out->evidence.num_claimed = 1;
        out->evidence.claimed[0].alg = HASH_SHA256;
        out->evidence.claimed[0].pcr[10].quoted = true;
        memcpy(out->evidence.claimed[0].pcr[10].value, tpm.pcr[10], 32);
    }
}

static struct fact_ima_position verify(const struct proof *proof, struct bytes log,
                                       const struct fact_ima_position *kept,
                                       const struct baseline *baseline) {
    struct arena arena;
    struct facts facts;
    struct appraisal appraisal;
    enum tpm2_failure failure;
    struct detail detail = {0};
    struct pcr_selection selection = {.bank = {{HASH_SHA256, MASK}}, .num_banks = 1};
    struct tpm2_evidence evidence = proof->evidence;
    struct tpm2_expectation expected = {.ak = &tpm.ak_public,
                                        .nonce = bytes_of(nonce, sizeof nonce),
                                        .selection = &selection,
                                        .ima_kept = kept};
    struct ima_judgement earlier = {.judged = kept != NULL}, judged = {0};
    struct appraisal_inputs inputs = {
        .baseline = &baseline, .num_baselines = 1, .ima_earlier = &earlier, .ima_judged = &judged};
    evidence.tcg_event_log = log;
    arena_init(&arena, ARENA);
    if (tpm2_verify(&facts, &failure, &arena, &evidence, &expected, &detail) != STATUS_OK ||
        failure != TPM2_VERIFIED) {
        give_up("evidence does not verify: %s", detail.text);
    }
    if (appraise(&appraisal, &arena, &facts, &inputs) != STATUS_OK ||
        appraisal.verdict != VERDICT_TRUSTED) {
        give_up("evidence is not trusted");
    }
    arena_free(&arena);
    return facts.ima.end;
}

static void measure(const char *what, const struct proof *proof, struct bytes log,
                    const struct fact_ima_position *kept, const struct baseline *baseline,
                    double target) {
    double end = now_us() + bench_seconds(2) * 1e6, begin;
    size_t num = 0;
    (void)verify(proof, log, kept, baseline);
    for (begin = cpu_us(); now_us() < end; num++) {
        (void)verify(proof, log, kept, baseline);
    }
    report("ima", what, (cpu_us() - begin) / (double)num, "us CPU", target, true);
}

int main(void) {
    static struct proof whole, searched, more;
    soft_tpm_init(&tpm, KEY_EC_P256);
    struct writer log = writer_of(boot_log, sizeof boot_log);
    soft_tpm_boot(&tpm, &log, 0);
    ima_start(&made);
    ima_aggregate(&made, (const uint8_t(*)[32])tpm.pcr);
    add_files(0, ENTRIES - 1);
    struct baseline *baseline = make_baseline(ENTRIES + MORE);
    size_t at = made.len;
    prove(&whole, 0, 0, true);
    prove(&searched, 0, 0, false);
    measure("16,000 entries from scratch", &whole, writer_bytes(&log), NULL, baseline, 12000);
    measure("16,000 entries from scratch, value not sent", &searched, writer_bytes(&log), NULL,
            baseline, 12000);
    struct fact_ima_position kept = verify(&whole, writer_bytes(&log), NULL, baseline);
    add_files(ENTRIES - 1, ENTRIES - 1 + MORE);
    prove(&more, ENTRIES, at, true);
    measure("100 entries more", &more, writer_bytes(&log), &kept, baseline, 300);
    baseline_free(baseline);
    soft_tpm_cleanup(&tpm);
    ima_free(&made);
    return EXIT_SUCCESS;
}

#include "server/commands/commands.h"

#include "api/device/evidence_body.h"
#include "db/store.h"
#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/crypto/x509.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_TRUSTED = 0, EXIT_UNUSABLE = 1, EXIT_UNTRUSTED = 3 };
enum { AK_MAX_BYTES = 64 * 1024, ARENA_MAX_BYTES = 64 * 1024 * 1024 };

struct options {
    const char *baseline, *evidence, *ak, *nonce, *pcrs, *log; /* the last two may be NULL */
};

/* Everything that is read before anything is judged. */
struct inputs {
    struct arena arena;
    struct baseline *baseline;
    struct tpm_public ak; /* of a PEM: its key only, by which any scheme does */
    struct bytes nonce;
    struct evidence_body body;
    struct pcr_selection selection;
};

static bool parse_options(struct options *out, int argc, char **argv) {
    struct options options = {0};
    const struct {
        const char *name, **value;
    } known[] = {
        {"--baseline", &options.baseline},
        {"--evidence", &options.evidence},
        {"--ak", &options.ak},
        {"--nonce", &options.nonce},
        {"--pcrs", &options.pcrs},
        {"--log", &options.log},
    };
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        while (k < sizeof known / sizeof *known && strcmp(known[k].name, argv[i]) != 0) {
            k++;
        }
        if (k == sizeof known / sizeof *known || i + 1 == argc || *known[k].value != NULL) {
            return false;
        }
        *known[k].value = argv[i + 1];
    }
    *out = options;
    return options.baseline != NULL && options.evidence != NULL && options.ak != NULL &&
           options.nonce != NULL;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static enum status read_baseline(struct inputs *inputs, const char *path, struct detail *detail) {
    uint8_t *text = NULL;
    size_t len = 0;
    enum status status = file_read(&text, &len, path, BASELINE_MAX_BYTES, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = baseline_compile(&inputs->baseline, bytes_of(text, len), NULL, detail);
    free(text);
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
    }
    return status;
}

/* A log that is only named comes from a file, which is that very log. */
static enum status read_log(struct inputs *inputs, const char *path, struct detail *detail) {
    uint8_t *log = NULL, sha256[32];
    size_t len = 0;
    if (!inputs->body.has_log_sha256 && path == NULL) {
        return STATUS_OK;
    }
    if (!inputs->body.has_log_sha256) {
        return status_fail(detail, STATUS_MALFORMED,
                           "--log: the evidence has no tcg_event_log_sha256 that names it");
    }
    if (path == NULL) {
        return status_fail(detail, STATUS_MALFORMED,
                           "tcg_event_log_sha256: the evidence only names its log: give it with "
                           "--log FILE");
    }
    enum status status = file_read(&log, &len, path, EVIDENCE_BODY_MAX_BYTES, detail);
    if (status != STATUS_OK) {
        return status;
    }
    digest_compute(HASH_SHA256, bytes_of(log, len), sha256);
    inputs->body.tpm2.tcg_event_log = arena_bytes(&inputs->arena, bytes_of(log, len));
    free(log);
    if (memcmp(sha256, inputs->body.log_sha256, sizeof sha256) != 0) {
        return status_fail(detail, STATUS_MALFORMED,
                           "%s: it is not the log that tcg_event_log_sha256 names", path);
    }
    return inputs->arena.overflow ? STATUS_MEMORY : STATUS_OK;
}

static enum status read_evidence(struct inputs *inputs, const char *path, struct detail *detail) {
    uint8_t *text = NULL;
    size_t len = 0;
    enum status status = file_read(&text, &len, path, EVIDENCE_BODY_MAX_BYTES, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = evidence_body_parse(&inputs->body, &inputs->arena, bytes_of(text, len), NULL, detail);
    free(text);
    if (status == STATUS_OK && key_certification_given(&inputs->body.key_certification) &&
        inputs->body.csr.len == 0) {
        status = status_fail(detail, STATUS_MALFORMED,
                             "key_certification: there is no csr to hold "
                             "it against");
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
    }
    return status;
}

static enum status parse_ak(struct inputs *inputs, struct bytes raw, struct detail *detail) {
    return raw.len > 0 && raw.data[0] == '-' ? public_key_from_pem(&inputs->ak.key, raw, detail)
                                             : tpm_public_parse(&inputs->ak, raw, detail);
}

static enum status read_ak(struct inputs *inputs, const char *path, struct detail *detail) {
    uint8_t *raw = NULL;
    size_t len = 0;
    enum status status = file_read(&raw, &len, path, AK_MAX_BYTES, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = parse_ak(inputs, bytes_of(raw, len), detail);
    free(raw);
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
    }
    return status;
}

static enum status read_inputs(struct inputs *inputs, const struct options *options,
                               struct detail *detail) {
    if (hex_decode_arena(&inputs->arena, &inputs->nonce, options->nonce) != STATUS_OK ||
        inputs->nonce.len == 0) {
        return status_fail(detail, STATUS_MALFORMED, "--nonce: not hex");
    }
    if (options->pcrs != NULL) {
        enum status status = pcr_selection_parse(&inputs->selection, options->pcrs, detail);
        if (status != STATUS_OK) {
            detail_prefix(detail, "--pcrs");
            return status;
        }
    }
    enum status status = read_baseline(inputs, options->baseline, detail);
    if (status == STATUS_OK) {
        status = read_ak(inputs, options->ak, detail);
    }
    if (status == STATUS_OK) {
        status = read_evidence(inputs, options->evidence, detail);
    }
    if (status == STATUS_OK) {
        status = read_log(inputs, options->log, detail);
    }
    return status;
}

/* --- telling -----------------------------------------------------------------------------------
 */

static json_t *optional_text(const char *text) {
    return text == NULL ? json_null() : json_string(text);
}

static json_t *optional_number(int number) {
    return number < 0 ? json_null() : json_integer(number);
}

static json_t *finding_json(const struct finding *finding) {
    return json_pack(
        "{s:s,s:s,s:o,s:o,s:o,s:o,s:s,s:o}", "code", finding->code, "rule", finding->rule, "pcr",
        optional_number(finding->pcr), "event", optional_number(finding->event), "expected",
        optional_text(finding->expected), "found", optional_text(finding->found), "severity",
        severity_name(finding->severity), "remediation", optional_text(finding->remediation));
}

static int print(json_t *root, int exit_status) {
    int failed = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(root);
    if (failed != 0 || putchar('\n') == EOF || fflush(stdout) != 0) {
        fprintf(stderr, "gatehouse appraise: the verdict could not be written\n");
        return EXIT_UNUSABLE;
    }
    return exit_status;
}

static int print_failure(const char *code, const struct detail *detail) {
    return print(json_pack("{s:s,s:s,s:s,s:s,s:[]}", "verdict", verdict_name(VERDICT_UNTRUSTED),
                           "tier", tier_name(TIER_NONE), "failure", code, "detail", detail->text,
                           "findings"),
                 EXIT_UNTRUSTED);
}

static int print_appraisal(const struct appraisal *appraisal, const struct baseline *baseline,
                           bool key_in_tpm) {
    json_t *findings = json_array();
    bool failed = false;
    for (size_t i = 0; i < appraisal->num_findings; i++) {
        failed |= json_array_append_new(findings, finding_json(&appraisal->finding[i])) != 0;
    }
    json_t *root = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:o}", "verdict", verdict_name(appraisal->verdict), "tier",
        tier_name(appraisal->tier), "key_protection",
        key_protection_name(key_in_tpm ? KEY_IN_TPM : KEY_UNPROVEN), "model",
        baseline_model(baseline), "label", baseline_label(baseline), "findings", findings);
    if (failed || root == NULL) {
        json_decref(root);
        fprintf(stderr, "gatehouse appraise: out of memory\n");
        return EXIT_UNUSABLE;
    }
    return print(root, appraisal->verdict == VERDICT_TRUSTED ? EXIT_TRUSTED : EXIT_UNTRUSTED);
}

/* --- judging -----------------------------------------------------------------------------------
 */

/* NULL when what the evidence says of the CSR's key holds, or it says nothing; else a stable code. */
static const char *check_key(const struct inputs *inputs, struct detail *detail) {
    const struct key_certification *sent = &inputs->body.key_certification;
    struct csr csr;
    if (!key_certification_given(sent)) {
        return NULL;
    }
    if (csr_parse(&csr, inputs->body.csr, detail) != STATUS_OK) {
        return "csr_invalid";
    }
    return key_certification_check(sent, &inputs->ak, inputs->nonce, &csr.key, detail) == STATUS_OK
               ? NULL
               : "key_certification_invalid";
}

static int judge(struct inputs *inputs, const struct options *options) {
    struct detail detail = {0};
    struct facts facts;
    struct appraisal appraisal;
    enum tpm2_failure failure = TPM2_MALFORMED;
    const struct baseline *const baselines[] = {inputs->baseline};
    const struct appraisal_inputs against = {.baseline = baselines, .num_baselines = 1};
    struct tpm2_expectation expected = {
        .ak = &inputs->ak.key,
        .ak_hash = inputs->ak.scheme_hash,
        .ak_scheme = inputs->ak.scheme,
        .nonce = inputs->nonce,
        .selection = options->pcrs == NULL ? NULL : &inputs->selection,
    };
    if (!bytes_equal(inputs->nonce, inputs->body.nonce)) {
        detail_set(&detail, "the evidence is for another nonce");
        return print_failure(tpm2_failure_code(TPM2_NONCE_MISMATCH), &detail);
    }
    enum status status =
        tpm2_verify(&facts, &failure, &inputs->arena, &inputs->body.tpm2, &expected, &detail);
    if (status == STATUS_OK && failure != TPM2_VERIFIED) {
        return print_failure(tpm2_failure_code(failure), &detail);
    }
    const char *key_failure = status == STATUS_OK ? check_key(inputs, &detail) : NULL;
    if (key_failure != NULL) {
        return print_failure(key_failure, &detail);
    }
    if (status == STATUS_OK) {
        status = appraise(&appraisal, &inputs->arena, &facts, &against);
    }
    if (status != STATUS_OK) {
        fprintf(stderr, "gatehouse appraise: %s %s\n", status_name(status), detail.text);
        return EXIT_UNUSABLE;
    }
    return print_appraisal(&appraisal, inputs->baseline,
                           key_certification_given(&inputs->body.key_certification));
}

int command_appraise(int argc, char **argv) {
    struct options options;
    struct inputs inputs = {0};
    struct detail detail = {0};
    int result = EXIT_UNUSABLE;
    if (!parse_options(&options, argc, argv)) {
        return EXIT_USAGE;
    }
    arena_init(&inputs.arena, ARENA_MAX_BYTES);
    if (read_inputs(&inputs, &options, &detail) != STATUS_OK) {
        fprintf(stderr, "gatehouse appraise: %s\n", detail.text);
    } else {
        result = judge(&inputs, &options);
    }
    baseline_free(inputs.baseline);
    arena_free(&inputs.arena);
    return result;
}

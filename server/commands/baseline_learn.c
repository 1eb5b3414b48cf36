/* gatehouse baseline learn: a baseline from evidence files, without a gateway. */
#include "server/commands/baseline.h"
#include "server/commands/commands.h"

#include "api/device/evidence_body.h"
#include "server/appraisal/learn.h"
#include "server/base/file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AKS_MAX = 64,
    AK_MAX_BYTES = 64 * 1024,
    LOG_MAX_BYTES = 16 * 1024 * 1024,
    ARENA_BYTES = 512 * 1024 * 1024
};

struct log_pair {
    const char *log, *pcrs; /* pcrs NULL: none were given */
};
struct options {
    const char *model, *label, *out; /* out NULL: standard output */
    const char *ak[AKS_MAX];
    size_t num_aks;
    bool unverified;
    const char *evidence[LEARN_MAX_SOURCES];
    size_t num_evidence;
    struct log_pair log[LEARN_MAX_SOURCES];
    size_t num_logs;
};

struct learning_run {
    const struct options *options;
    struct arena arena;
    struct tpm_public ak[AKS_MAX]; /* of a PEM: its key only */
    struct learn_source source[LEARN_MAX_SOURCES];
    size_t num;
};

/* --- options ------------------------------------------------------------------------------------ */

static bool set_once(const char **out, const char *value) {
    if (*out != NULL || value == NULL) {
        return false;
    }
    *out = value;
    return true;
}

static bool add(const char **list, size_t *num, size_t max, const char *value) {
    if (value == NULL || *num == max) {
        return false;
    }
    list[(*num)++] = value;
    return true;
}

static bool add_log(struct options *o, const char *path) {
    if (path == NULL || o->num_logs == LEARN_MAX_SOURCES) {
        return false;
    }
    o->log[o->num_logs++] = (struct log_pair){.log = path};
    return true;
}

static bool parse_option(struct options *o, const char *name, const char *value) {
    return strcmp(name, "--model") == 0   ? set_once(&o->model, value)
           : strcmp(name, "--label") == 0 ? set_once(&o->label, value)
           : strcmp(name, "--out") == 0   ? set_once(&o->out, value)
           : strcmp(name, "--ak") == 0    ? add(o->ak, &o->num_aks, AKS_MAX, value)
           : strcmp(name, "--log") == 0   ? add_log(o, value)
           : strcmp(name, "--pcrs") == 0
               ? o->num_logs > 0 && set_once(&o->log[o->num_logs - 1].pcrs, value)
               : false;
}

static bool parse_options(struct options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--unverified") == 0 && !o->unverified) {
            o->unverified = true;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            if (!parse_option(o, argv[i], argv[i + 1])) { /* argv ends with NULL */
                return false;
            }
            i++;
        } else if (!add(o->evidence, &o->num_evidence, LEARN_MAX_SOURCES, argv[i])) {
            return false;
        }
    }
    size_t num = o->num_evidence + o->num_logs;
    /* Either everything is proven, or nothing is taken for proven. */
    bool proven = o->num_aks > 0 && o->num_logs == 0;
    return o->model != NULL && num > 0 && num <= LEARN_MAX_SOURCES && proven != o->unverified &&
           (o->num_aks == 0 || !o->unverified);
}

/* --- reading ------------------------------------------------------------------------------------ */

/* The file, in the arena. */
static enum status read_whole(struct learning_run *run, struct bytes *out, const char *path,
                              size_t max, struct detail *detail) {
    uint8_t *raw = NULL;
    size_t len = 0;
    enum status status = file_read(&raw, &len, path, max, detail);
    if (status == STATUS_OK) {
        *out = arena_bytes(&run->arena, bytes_of(raw, len));
        status = run->arena.overflow ? STATUS_MEMORY : STATUS_OK;
    }
    free(raw);
    return status;
}

static enum status read_aks(struct learning_run *run, struct detail *detail) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < run->options->num_aks && status == STATUS_OK; i++) {
        struct bytes raw = {NULL, 0};
        const char *path = run->options->ak[i];
        status = read_whole(run, &raw, path, AK_MAX_BYTES, detail);
        if (status == STATUS_OK) {
            status = raw.len > 0 && raw.data[0] == '-'
                         ? public_key_from_pem(&run->ak[i].key, raw, detail)
                         : tpm_public_parse(&run->ak[i], raw, detail);
            if (status != STATUS_OK) {
                detail_prefix(detail, "%s", path);
            }
        }
    }
    return status;
}

static void add_source(struct learning_run *run, const struct facts *facts, const char *name) {
    run->source[run->num++] = (struct learn_source){.facts = facts, .name = name, .devices = 1};
}

/* Verifies under one of the AKs. The nonce is the evidence's own: when it was made does not matter
 * here. */
static enum status verify(struct learning_run *run, struct facts *out,
                          const struct evidence_body *body, struct detail *detail) {
    enum tpm2_failure failure = TPM2_MALFORMED;
    for (size_t i = 0; i < run->options->num_aks; i++) {
        const struct tpm2_expectation expected = {.ak = &run->ak[i].key,
                                                  .ak_hash = run->ak[i].scheme_hash,
                                                  .ak_scheme = run->ak[i].scheme,
                                                  .nonce = body->nonce};
        enum status status =
            tpm2_verify(out, &failure, &run->arena, &body->tpm2, &expected, detail);
        if (status != STATUS_OK || failure == TPM2_VERIFIED) {
            return status;
        }
        if (failure != TPM2_SIGNATURE_INVALID && failure != TPM2_SIGNATURE_UNSUPPORTED) {
            break; /* the key fits */
        }
    }
    detail_prefix(detail, "%s", tpm2_failure_code(failure));
    return STATUS_INVALID;
}

static enum status read_evidence(struct learning_run *run, const char *path,
                                 struct detail *detail) {
    struct bytes text = {NULL, 0};
    struct evidence_body body;
    struct facts *facts = arena_alloc(&run->arena, sizeof *facts);
    enum status status = facts == NULL
                             ? STATUS_MEMORY
                             : read_whole(run, &text, path, EVIDENCE_BODY_MAX_BYTES, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = evidence_body_parse(&body, &run->arena, text, NULL, detail);
    if (status == STATUS_OK && body.has_log_sha256) {
        status =
            status_fail(detail, STATUS_MALFORMED, "tcg_event_log_sha256: the log itself is needed");
    }
    if (status == STATUS_OK) {
        status = run->options->unverified
                     ? tpm2_unquoted_facts(facts, &run->arena, body.tpm2.tcg_event_log, detail)
                     : verify(run, facts, &body, detail);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
        return status;
    }
    add_source(run, facts, path);
    return STATUS_OK;
}

/* The SHA-256 bank's values, 32 bytes each from PCR 0 on: the log has to lead to them. */
static enum status take_values(struct facts *facts, struct bytes values, struct detail *detail) {
    size_t index = facts_bank_index(facts, HASH_SHA256);
    if (index == facts->num_banks || values.len % 32 != 0 || values.len / 32 > PCR_COUNT) {
        return status_fail(detail, STATUS_MALFORMED,
                           "no values of the SHA-256 bank, 32 bytes each from PCR 0 on, or the log "
                           "has no such bank");
    }
    for (unsigned pcr = 0; pcr < values.len / 32; pcr++) {
        struct fact_pcr *out = &facts->bank[index].pcr[pcr];
        const uint8_t *value = values.data + (size_t)32 * pcr;
        if (out->logged && memcmp(out->value, value, 32) != 0) {
            return status_fail(detail, STATUS_INVALID, "the log leads to another value of PCR %u",
                               pcr);
        }
        memcpy(out->value, value, 32);
        out->quoted = true;
        facts->selection.bank[index].mask |= 1u << pcr;
    }
    return STATUS_OK;
}

static enum status read_log(struct learning_run *run, const struct log_pair *pair,
                            struct detail *detail) {
    struct bytes log = {NULL, 0}, values = {NULL, 0};
    struct facts *facts = arena_alloc(&run->arena, sizeof *facts);
    enum status status =
        facts == NULL ? STATUS_MEMORY : read_whole(run, &log, pair->log, LOG_MAX_BYTES, detail);
    if (status == STATUS_OK) {
        status = tpm2_unquoted_facts(facts, &run->arena, log, detail);
        if (status != STATUS_OK) {
            detail_prefix(detail, "%s", pair->log);
        }
    }
    if (status == STATUS_OK && pair->pcrs != NULL) {
        status = read_whole(run, &values, pair->pcrs, AK_MAX_BYTES, detail);
        if (status == STATUS_OK) {
            status = take_values(facts, values, detail);
            if (status != STATUS_OK) {
                detail_prefix(detail, "%s", pair->pcrs);
            }
        }
    }
    if (status == STATUS_OK) {
        add_source(run, facts, pair->log);
    }
    return status;
}

static enum status read_sources(struct learning_run *run, struct detail *detail) {
    const struct options *options = run->options;
    enum status status = read_aks(run, detail);
    for (size_t i = 0; i < options->num_evidence && status == STATUS_OK; i++) {
        status = read_evidence(run, options->evidence[i], detail);
    }
    for (size_t i = 0; i < options->num_logs && status == STATUS_OK; i++) {
        status = read_log(run, &options->log[i], detail);
    }
    return status;
}

/* --- telling ------------------------------------------------------------------------------------ */

static json_t *warnings_json(const struct learned *learned, bool unverified) {
    json_t *list = json_array();
    if (unverified) {
        (void)json_array_append_new(
            list, json_string("no quote was verified: whoever made the files made the baseline"));
    }
    for (size_t i = 0; i < learned->num_warnings; i++) {
        (void)json_array_append_new(list, json_string(learned->warning[i]));
    }
    return list;
}

static enum status print_json(json_t *json) {
    int failed = json == NULL || json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(json);
    return failed == 0 && putchar('\n') != EOF && fflush(stdout) == 0 ? STATUS_OK : STATUS_STORAGE;
}

static enum status write_out(const char *path, json_t *document, struct detail *detail) {
    char *text = json_dumps(document, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    enum status status =
        text == NULL ? STATUS_MEMORY : file_replace(path, 0644, bytes_of_text(text), detail);
    free(text);
    return status;
}

static enum status tell(struct learning_run *run, const struct learned *learned,
                        struct detail *detail) {
    struct json_out o;
    json_out_init(&o, &run->arena, 4096);
    learn_write_questions(&o, NULL, learned);
    struct bytes questions = json_out_end(&o);
    json_t *document =
               json_loadb((const char *)learned->document.data, learned->document.len, 0, NULL),
           *asked = json_loadb((const char *)questions.data, questions.len, 0, NULL),
           *warnings = warnings_json(learned, run->options->unverified);
    enum status status = document == NULL || asked == NULL ? STATUS_MEMORY : STATUS_OK;
    if (status == STATUS_OK && run->options->out != NULL) {
        status = write_out(run->options->out, document, detail);
    }
    if (status == STATUS_OK) {
        status = print_json(run->options->out != NULL
                                ? json_pack("{s:O,s:O}", "questions", asked, "warnings", warnings)
                                : json_pack("{s:O,s:O,s:O}", "baseline", document, "questions",
                                            asked, "warnings", warnings));
        if (status != STATUS_OK) {
            detail_set(detail, "the JSON could not be written");
        }
    }
    json_decref(document);
    json_decref(asked);
    json_decref(warnings);
    return status;
}

static enum status learn(struct learning_run *run, struct detail *detail) {
    struct learned learned;
    const struct learn_inputs inputs = {.source = run->source,
                                        .num = run->num,
                                        .model = run->options->model,
                                        .label =
                                            run->options->label == NULL ? "" : run->options->label};
    enum status status = learn_baseline(&learned, &run->arena, &inputs, detail);
    return status == STATUS_OK ? tell(run, &learned, detail) : status;
}

int baseline_command_learn(int argc, char **argv) {
    struct options *options = calloc(1, sizeof *options);
    struct learning_run *run = calloc(1, sizeof *run);
    struct detail detail = {0};
    int result = EXIT_USAGE;
    if (options != NULL && run != NULL && parse_options(options, argc, argv)) {
        run->options = options;
        arena_init(&run->arena, ARENA_BYTES);
        enum status status = read_sources(run, &detail);
        if (status == STATUS_OK) {
            status = learn(run, &detail);
        }
        if (status != STATUS_OK) {
            fprintf(stderr, "gatehouse baseline learn: %s\n",
                    detail.text[0] == '\0' ? status_name(status) : detail.text);
        }
        result = status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
        arena_free(&run->arena);
    }
    free(run);
    free(options);
    return result;
}

#include "server/evidence/ima/follow.h"
#include "server/evidence/tpm2/log_facts.h"
#include "server/evidence/tpm2/tpm2.h"

#include <string.h>

const char *tpm2_failure_code(enum tpm2_failure failure) {
    switch (failure) {
    case TPM2_VERIFIED:
        return "verified";
    case TPM2_MALFORMED:
        return "evidence_malformed";
    case TPM2_SIGNATURE_INVALID:
        return "quote_signature_invalid";
    case TPM2_SIGNATURE_UNSUPPORTED:
        return "quote_signature_unsupported";
    case TPM2_NOT_A_QUOTE:
        return "not_a_quote";
    case TPM2_NONCE_MISMATCH:
        return "nonce_mismatch";
    case TPM2_SELECTION_MISMATCH:
        return "pcr_selection_mismatch";
    case TPM2_WEAK_BANK:
        return "weak_pcr_bank";
    case TPM2_PCR_DIGEST_MISMATCH:
        return "pcr_digest_mismatch";
    case TPM2_LOG_UNSUPPORTED:
        return "log_format_unsupported";
    case TPM2_LOG_DOES_NOT_REPLAY:
        return "log_does_not_replay";
    case TPM2_PCR_UNKNOWN:
        return "pcr_values_missing";
    case TPM2_IMA_PCR_UNSUPPORTED:
        return "ima_pcr_unsupported";
    case TPM2_IMA_LOG_TOO_LONG:
        return "ima_log_too_long";
    case TPM2_IMA_START_WANTED:
        return "ima_log_from_start_wanted";
    }
    return "evidence_malformed";
}

/* One verification on its way: nothing of it is given out before it is through. */
struct check {
    const struct tpm2_evidence *evidence;
    const struct tpm2_expectation *expected;
    struct arena *arena;
    struct detail *detail;
    enum status status; /* MEMORY: no failure of the evidence */
    struct tpm_attest attest;
    struct tpm_signature signature;
    struct facts facts;
    struct walked_log walked;
};

static enum tpm2_failure fail(struct check *check, enum tpm2_failure failure, const char *text) {
    detail_set(check->detail, "%s", text);
    return failure;
}

/* --- the quote ------------------------------------------------------------------------------ */

static enum tpm2_failure check_kind(struct check *check) {
    enum status status = tpm_attest_parse(&check->attest, check->evidence->quote, check->detail);
    if (status != STATUS_OK) {
        detail_prefix(check->detail, "quote");
        return status == STATUS_UNSUPPORTED ? TPM2_SELECTION_MISMATCH : TPM2_MALFORMED;
    }
    status = tpm_signature_parse(&check->signature, check->evidence->signature, check->detail);
    if (status != STATUS_OK) {
        detail_prefix(check->detail, "signature");
        return status == STATUS_UNSUPPORTED ? TPM2_SIGNATURE_UNSUPPORTED : TPM2_MALFORMED;
    }
    if (check->attest.magic != TPM_ATTEST_MAGIC) {
        return fail(check, TPM2_NOT_A_QUOTE, "quote: magic is not TPM_GENERATED_VALUE");
    }
    if (check->attest.type != TPM_ATTEST_QUOTE) {
        return fail(check, TPM2_NOT_A_QUOTE, "quote: type is not TPM_ST_ATTEST_QUOTE");
    }
    return TPM2_VERIFIED;
}

static enum tpm2_failure check_signature(struct check *check) {
    const struct tpm2_expectation *expected = check->expected;
    struct tpm_signer ak = {expected->ak, expected->ak_scheme, expected->ak_hash};
    switch (tpm_signature_check(&check->signature, &ak, check->evidence->quote, check->detail)) {
    case STATUS_OK:
        return TPM2_VERIFIED;
    case STATUS_UNSUPPORTED:
        return TPM2_SIGNATURE_UNSUPPORTED;
    default:
        return TPM2_SIGNATURE_INVALID;
    }
}

static enum tpm2_failure check_binding(struct check *check) {
    const struct tpm_attest *attest = &check->attest;
    const struct tpm_quote_info *quote = &attest->quote;
    const struct pcr_selection *wanted = check->expected->selection;
    if (check->expected->nonce.len == 0 ||
        !bytes_equal(check->expected->nonce,
                     bytes_of(attest->extra_data, attest->extra_data_len))) {
        return fail(check, TPM2_NONCE_MISMATCH, "quote: extraData is not the nonce");
    }
    if (quote->selection.num_banks == 0) {
        return fail(check, TPM2_SELECTION_MISMATCH, "quote: it selects no PCR");
    }
    if (wanted != NULL && !pcr_selection_equal(wanted, &quote->selection)) {
        char quoted_text[PCR_SELECTION_TEXT], wanted_text[PCR_SELECTION_TEXT];
        pcr_selection_format(quoted_text, &quote->selection);
        pcr_selection_format(wanted_text, wanted);
        detail_set(check->detail, "quote: pcrSelect is %s, not %s", quoted_text, wanted_text);
        return TPM2_SELECTION_MISMATCH;
    }
    if (quote->selection.num_banks == 1 && quote->selection.bank[0].bank == HASH_SHA1) {
        return fail(check, TPM2_WEAK_BANK, "quote: it selects the SHA-1 bank only");
    }
    if (quote->pcr_digest_len != digest_len(check->signature.signature.hash)) {
        return fail(check, TPM2_MALFORMED, "quote: pcrDigest is not of the signature's hash");
    }
    return TPM2_VERIFIED;
}

/* --- values of the quoted PCRs -------------------------------------------------------------- */

static void take_quote(struct check *check) {
    const struct tpm_attest *attest = &check->attest;
    const struct pcr_selection *selection = &attest->quote.selection;
    struct facts *facts = &check->facts;
    facts->tpm_firmware_version = attest->firmware_version;
    facts->tpm_clock = attest->clock;
    facts->tpm_reset_count = attest->reset_count;
    facts->tpm_restart_count = attest->restart_count;
    facts->tpm_safe = attest->safe;
    facts->selection = *selection;
    facts->num_banks = selection->num_banks;
    for (size_t b = 0; b < facts->num_banks; b++) {
        facts->bank[b].alg = selection->bank[b].bank;
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            facts->bank[b].pcr[i].quoted = (selection->bank[b].mask >> i & 1u) != 0;
        }
    }
}

static const struct fact_pcr *claim(const struct tpm2_evidence *evidence, enum hash_alg alg,
                                    unsigned pcr) {
    for (size_t b = 0; b < evidence->num_claimed; b++) {
        if (evidence->claimed[b].alg == alg && evidence->claimed[b].pcr[pcr].quoted) {
            return &evidence->claimed[b].pcr[pcr];
        }
    }
    return NULL;
}

/* Values are claimed for PCRs of the signed selection, and for nothing else. */
static enum tpm2_failure check_claims(struct check *check) {
    for (size_t b = 0; b < check->evidence->num_claimed; b++) {
        const struct fact_bank *bank = &check->evidence->claimed[b];
        uint32_t mask = pcr_selection_mask(&check->facts.selection, bank->alg);
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            if (bank->pcr[i].quoted && (mask >> i & 1u) == 0) {
                detail_set(check->detail, "pcrs: %s PCR %u is not in the signed selection",
                           hash_name(bank->alg), i);
                return TPM2_PCR_DIGEST_MISMATCH;
            }
        }
    }
    return TPM2_VERIFIED;
}

/* Of each quoted PCR: what is claimed, or else what the log replays to, or else the reset value. */
static void fill_values(struct check *check) {
    for (size_t b = 0; b < check->facts.num_banks; b++) {
        struct fact_bank *bank = &check->facts.bank[b];
        const struct tcg_replay_bank *replayed = tcg_replay_bank(&check->walked.replay, bank->alg);
        size_t len = digest_len(bank->alg);
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            struct fact_pcr *pcr = &bank->pcr[i];
            const struct fact_pcr *claimed = claim(check->evidence, bank->alg, i);
            if (!pcr->quoted) {
                continue;
            }
            if (claimed != NULL) {
                memcpy(pcr->value, claimed->value, len);
            } else if (replayed != NULL) {
                memcpy(pcr->value, replayed->value[i], len);
            } else {
                memset(pcr->value, pcr_reset_byte(i), len);
            }
        }
    }
}

/* TPM 2.0 Library Part 1, 17.5.1 and Part 4: the selected values, bank by bank as the quote selects
 * them, each by ascending index. */
static bool facts_meet(const struct facts *facts, const void *context) {
    const struct check *check = context;
    uint8_t values[PCR_MAX_BANKS * PCR_COUNT * DIGEST_MAX], digest[DIGEST_MAX];
    struct writer w = writer_of(values, sizeof values);
    for (size_t b = 0; b < facts->num_banks; b++) {
        const struct fact_bank *bank = &facts->bank[b];
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            if (bank->pcr[i].quoted) {
                write_bytes(&w, bytes_of(bank->pcr[i].value, digest_len(bank->alg)));
            }
        }
    }
    if (w.overflow) {
        return false;
    }
    digest_compute(check->signature.signature.hash, writer_bytes(&w), digest);
    return bytes_equal(
        bytes_of(digest, digest_len(check->signature.signature.hash)),
        bytes_of(check->attest.quote.pcr_digest, check->attest.quote.pcr_digest_len));
}

static bool meets_pcr_digest(const struct check *check) {
    return facts_meet(&check->facts, check);
}

/* Of the banks in which PCR 10 is quoted and IMA's to explain: all, and those whose value came. */
static uint32_t ima_banks(const struct check *check, uint32_t *given) {
    uint32_t all = 0;
    *given = 0;
    for (size_t b = 0; b < check->facts.num_banks; b++) {
        const struct fact_bank *bank = &check->facts.bank[b];
        if (bank->pcr[IMA_PCR].quoted && !bank->pcr[IMA_PCR].logged) {
            all |= 1u << b;
            *given |= claim(check->evidence, bank->alg, IMA_PCR) != NULL ? 1u << b : 0;
        }
    }
    return all;
}

/* Nothing that was sent explains the signed pcrDigest. With claimed values, they are at fault. With
 * a log, it is taken to be, unless IMA's PCR is quoted and nothing about IMA came: then a value is
 * missing, whatever the log says. */
static enum tpm2_failure unexplained(struct check *check) {
    uint32_t given;
    if (check->evidence->num_claimed > 0) {
        return fail(
            check, TPM2_PCR_DIGEST_MISMATCH,
            "pcrs: the values given, with the log's for the others, do not hash to pcrDigest");
    }
    if (check->facts.has_log && check->evidence->ima_log.len > 0) {
        return fail(
            check, TPM2_LOG_DOES_NOT_REPLAY,
            "tcg_event_log, reset values and any start of ima_log do not hash to pcrDigest");
    }
    if (check->facts.has_log && (ima_banks(check, &given) & ~given) == 0) {
        return fail(check, TPM2_LOG_DOES_NOT_REPLAY,
                    "tcg_event_log and reset values do not hash to pcrDigest");
    }
    return fail(
        check, TPM2_PCR_UNKNOWN,
        "quoted PCRs that no log explains: send their values as pcrs (or ima_log for PCR 10)");
}

static enum tpm2_failure check_replay(struct check *check) {
    if (!log_meets_values(&check->facts, &check->walked.replay, 0, check->detail)) {
        detail_prefix(check->detail, "tcg_event_log");
        return TPM2_LOG_DOES_NOT_REPLAY;
    }
    return TPM2_VERIFIED;
}

/* PCR 10 of the banks where IMA's log is to lead to it. */
static enum tpm2_failure follow_ima_log(struct check *check, uint32_t given) {
    const struct ima_following what = {.log = check->evidence->ima_log,
                                       .from = check->evidence->ima_log_from,
                                       .kept = check->expected->ima_kept,
                                       .given = given,
                                       .meets = facts_meet,
                                       .context = check};
    enum ima_outcome outcome = IMA_ASTRAY;
    check->status = ima_follow(&check->facts, &outcome, check->arena, &what, check->detail);
    switch (outcome) {
    case IMA_FOLLOWED:
        return TPM2_VERIFIED;
    case IMA_OTHER_PCR:
        return TPM2_IMA_PCR_UNSUPPORTED;
    case IMA_TOO_LONG:
        return TPM2_IMA_LOG_TOO_LONG;
    case IMA_START_WANTED:
        return TPM2_IMA_START_WANTED;
    case IMA_ASTRAY:
        break;
    }
    return check->evidence->num_claimed > 0 && meets_pcr_digest(check) ? TPM2_LOG_DOES_NOT_REPLAY
                                                                       : unexplained(check);
}

/* With a value for each, the quote is right or wrong whatever IMA's log says; then it has to lead to
 * PCR 10. */
static enum tpm2_failure check_quoted_values(struct check *check) {
    const struct tpm2_evidence *evidence = check->evidence;
    uint32_t given, all = ima_banks(check, &given);
    bool log = all != 0 && (evidence->ima_log.len > 0 || evidence->ima_log_from > 0);
    bool met = meets_pcr_digest(check);
    if (!met && (!log || given == all)) {
        return unexplained(check);
    }
    return log && !(met && given == 0 && evidence->ima_log_from == 0) ? follow_ima_log(check, given)
                                                                      : TPM2_VERIFIED;
}

static enum tpm2_failure check_values(struct check *check) {
    enum tpm2_failure failure = check_claims(check);
    if (failure != TPM2_VERIFIED) {
        return failure;
    }
    mark_logged(&check->facts, &check->walked.replay);
    fill_values(check);
    failure = check_quoted_values(check);
    return failure == TPM2_VERIFIED ? check_replay(check) : failure;
}

/* --- the log -------------------------------------------------------------------------------- */

static enum tpm2_failure replay_log(struct check *check) {
    check->walked.replay.num_banks = 0;
    if (check->evidence->tcg_event_log.len == 0) {
        return TPM2_VERIFIED;
    }
    enum status status =
        walk_log(&check->walked, &check->facts, check->evidence->tcg_event_log, check->detail);
    if (status != STATUS_OK) {
        detail_prefix(check->detail, "tcg_event_log");
        return status == STATUS_UNSUPPORTED ? TPM2_LOG_UNSUPPORTED : TPM2_MALFORMED;
    }
    check->facts.has_log = true;
    return TPM2_VERIFIED;
}

/* --- all of it ------------------------------------------------------------------------------ */

static enum tpm2_failure run_checks(struct check *check) {
    static enum tpm2_failure (*const step[])(struct check *) = {check_kind, check_signature,
                                                                check_binding};
    for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
        enum tpm2_failure failure = step[i](check);
        if (failure != TPM2_VERIFIED) {
            return failure;
        }
    }
    take_quote(check);
    enum tpm2_failure failure = replay_log(check);
    if (failure != TPM2_VERIFIED) {
        return failure;
    }
    return check_values(check);
}

enum status tpm2_verify(struct facts *out, enum tpm2_failure *failure, struct arena *arena,
                        const struct tpm2_evidence *evidence,
                        const struct tpm2_expectation *expected, struct detail *detail) {
    struct check check = {
        .evidence = evidence, .expected = expected, .arena = arena, .detail = detail};
    enum tpm2_failure result = run_checks(&check);
    if (check.status != STATUS_OK) {
        return check.status;
    }
    if (result != TPM2_VERIFIED) {
        *failure = result;
        return STATUS_OK;
    }
    enum status status = log_facts(&check.facts, arena, check.facts.has_log ? &check.walked : NULL,
                                   evidence->tcg_event_log);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "no memory for %u events",
                           (unsigned)check.walked.num_events);
    }
    *out = check.facts;
    *failure = TPM2_VERIFIED;
    return STATUS_OK;
}

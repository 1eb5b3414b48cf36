#include "server/evidence/tpm2/kept.h"
#include "server/evidence/ima/log.h"
#include "server/evidence/tpm2/log_facts.h"

#include <assert.h>
#include <string.h>

/* The canonical form, integers in network order: this byte; the TPM's firmware version (8 bytes);
 * SHA-256 of the log (32; zeros: none); how many banks (1); then each bank by ascending TPM_ALG_ID:
 * that (2), the PCRs quoted (4, bit i: PCR i), those of them whose values follow (4), and the
 * values by ascending index. */
enum { FORM_VERSION = 1, SHA256_LEN = 32 };
enum {
    FORM_HEAD = 1 + 8 + SHA256_LEN + 1,
    FORM_BANK = 2 + 4 + 4,
    FORM_MAX = FORM_HEAD + PCR_MAX_BANKS * (FORM_BANK + PCR_COUNT * DIGEST_MAX)
};

static const struct fact_bank *next_bank(const struct facts *facts, unsigned after) {
    const struct fact_bank *next = NULL;
    for (size_t b = 0; b < facts->num_banks; b++) {
        const struct fact_bank *bank = &facts->bank[b];
        if ((unsigned)bank->alg > after && (next == NULL || bank->alg < next->alg)) {
            next = bank;
        }
    }
    return next;
}

static void write_bank(struct writer *w, const struct fact_bank *bank, uint32_t left_out) {
    uint32_t quoted = 0;
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        quoted |= bank->pcr[i].quoted ? 1u << i : 0;
    }
    write_u16be(w, (uint16_t)bank->alg);
    write_u32be(w, quoted);
    write_u32be(w, quoted & ~left_out);
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if (((quoted & ~left_out) >> i & 1u) != 0) {
            write_bytes(w, bytes_of(bank->pcr[i].value, digest_len(bank->alg)));
        }
    }
}

enum status boot_state_of(struct boot_state *out, struct arena *arena, const struct facts *facts) {
    uint8_t form[FORM_MAX];
    struct boot_state state = {0};
    struct writer w = writer_of(form, sizeof form);
    if (facts->has_log) {
        digest_compute(HASH_SHA256, facts->log, state.log_sha256);
    }
    write_u8(&w, FORM_VERSION);
    write_u64be(&w, facts->tpm_firmware_version);
    write_bytes(&w, bytes_of(state.log_sha256, SHA256_LEN));
    write_u8(&w, (uint8_t)facts->num_banks);
    const struct fact_bank *bank = next_bank(facts, 0);
    for (; bank != NULL; bank = next_bank(facts, (unsigned)bank->alg)) {
        write_bank(&w, bank, facts->ima.known ? 1u << IMA_PCR : 0);
    }
    assert(!w.overflow);
    digest_compute(HASH_SHA256, writer_bytes(&w), state.sha256);
    state.form = arena_bytes(arena, writer_bytes(&w));
    if (state.form.data == NULL) {
        return STATUS_MEMORY;
    }
    *out = state;
    return STATUS_OK;
}

/* --- back ------------------------------------------------------------------------------------ */

static enum status read_bank(struct bytes *in, struct facts *facts, uint32_t *left_out) {
    struct fact_bank *bank = &facts->bank[facts->num_banks];
    unsigned before = facts->num_banks == 0 ? 0 : (unsigned)facts->bank[facts->num_banks - 1].alg;
    uint32_t quoted, present;
    uint16_t alg;
    if (bytes_u16be(in, &alg) != STATUS_OK || bytes_u32be(in, &quoted) != STATUS_OK ||
        bytes_u32be(in, &present) != STATUS_OK || digest_len((enum hash_alg)alg) == 0 ||
        alg <= before || quoted == 0 || quoted >> PCR_COUNT != 0 ||
        (quoted & ~(1u << IMA_PCR)) != (present & ~(1u << IMA_PCR)) || (present & ~quoted) != 0) {
        return STATUS_MALFORMED;
    }
    bank->alg = (enum hash_alg)alg;
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        struct bytes value;
        bank->pcr[i].quoted = (quoted >> i & 1u) != 0;
        if ((present >> i & 1u) == 0) {
            memset(bank->pcr[i].value, bank->pcr[i].quoted ? KEPT_VALUE_UNKNOWN : 0, DIGEST_MAX);
        } else if (bytes_take(in, digest_len(bank->alg), &value) != STATUS_OK) {
            return STATUS_MALFORMED;
        } else {
            memcpy(bank->pcr[i].value, value.data, value.len);
        }
    }
    facts->selection.bank[facts->num_banks] = (struct pcr_bank_selection){bank->alg, quoted};
    facts->selection.num_banks = ++facts->num_banks;
    *left_out |= quoted & ~present;
    return STATUS_OK;
}

static enum status read_form(struct facts *facts, struct bytes *log_sha256, uint32_t *left_out,
                             struct bytes form) {
    uint8_t version, num_banks;
    if (bytes_u8(&form, &version) != STATUS_OK || version != FORM_VERSION ||
        bytes_u64be(&form, &facts->tpm_firmware_version) != STATUS_OK ||
        bytes_take(&form, SHA256_LEN, log_sha256) != STATUS_OK ||
        bytes_u8(&form, &num_banks) != STATUS_OK || num_banks == 0 || num_banks > PCR_MAX_BANKS) {
        return STATUS_MALFORMED;
    }
    for (unsigned b = 0; b < num_banks; b++) {
        if (read_bank(&form, facts, left_out) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    return form.len == 0 ? STATUS_OK : STATUS_MALFORMED;
}

static enum status read_log(struct facts *facts, struct arena *arena, struct bytes log_sha256,
                            uint32_t left_out, struct bytes log, struct detail *detail) {
    uint8_t sha256[DIGEST_MAX];
    struct walked_log walked;
    if (bytes_all(log_sha256, 0)) {
        return log.len == 0
                   ? log_facts(facts, arena, NULL, log)
                   : status_fail(detail, STATUS_MALFORMED, "a log, and the boot state names none");
    }
    digest_compute(HASH_SHA256, log, sha256);
    if (!bytes_equal(log_sha256, bytes_of(sha256, SHA256_LEN))) {
        return status_fail(detail, STATUS_MALFORMED, "the log is not the one that was kept");
    }
    if (walk_log(&walked, facts, log, detail) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    mark_logged(facts, &walked.replay);
    if (!log_meets_values(facts, &walked.replay, left_out, detail)) {
        return STATUS_MALFORMED;
    }
    return log_facts(facts, arena, &walked, log);
}

enum status boot_state_facts(struct facts *out, struct arena *arena, struct bytes form,
                             struct bytes log, struct detail *detail) {
    struct facts facts = {0};
    struct bytes log_sha256;
    uint32_t left_out = 0;
    if (read_form(&facts, &log_sha256, &left_out, form) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED, "this is no boot state");
    }
    enum status status = read_log(&facts, arena, log_sha256, left_out, log, detail);
    if (status == STATUS_OK) {
        *out = facts;
    }
    return status;
}

/* --- pieces ---------------------------------------------------------------------------------- */

enum status log_pieces(struct bytes **out, size_t *num, struct arena *arena, struct bytes log) {
    struct tcg_eventlog walk;
    struct tcg_event event;
    size_t num_pieces = 0, count = 0;
    if (tcg_eventlog_open(&walk, log, NULL) == STATUS_OK) {
        struct tcg_eventlog ahead = walk;
        while (tcg_eventlog_next(&ahead, &event, NULL) == STATUS_OK) {
            count++;
        }
    }
    struct bytes *piece = arena_array(arena, count + 1, sizeof *piece);
    if (piece == NULL) {
        return STATUS_MEMORY;
    }
    struct bytes rest = log;
    while (num_pieces < count && tcg_eventlog_next(&walk, &event, NULL) == STATUS_OK &&
           bytes_take(&rest, rest.len - walk.rest.len, &piece[num_pieces]) == STATUS_OK) {
        num_pieces++;
    }
    if (rest.len > 0) { /* padding, or what is no log */
        piece[num_pieces++] = rest;
    }
    *out = piece;
    *num = num_pieces;
    return STATUS_OK;
}

#include "server/evidence/tpm2/log_facts.h"
#include "server/evidence/tpm2/tpm2.h"

#include <string.h>

static void believe(struct facts *facts, const struct tcg_replay *replay) {
    for (size_t b = 0; b < facts->num_banks; b++) {
        const struct tcg_replay_bank *replayed = tcg_replay_bank(replay, facts->bank[b].alg);
        uint32_t mask = replayed == NULL ? 0 : replayed->touched;
        facts->selection.bank[b] = (struct pcr_bank_selection){facts->bank[b].alg, mask};
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            struct fact_pcr *pcr = &facts->bank[b].pcr[i];
            pcr->quoted = pcr->logged = (mask >> i & 1u) != 0;
            if (pcr->quoted) {
                memcpy(pcr->value, replayed->value[i], digest_len(facts->bank[b].alg));
            }
        }
    }
    facts->selection.num_banks = facts->num_banks;
}

enum status tpm2_unquoted_facts(struct facts *out, struct arena *arena, struct bytes log,
                                struct detail *detail) {
    static const enum hash_alg algs[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
    struct facts facts = {0};
    struct walked_log walked;
    struct tcg_eventlog opened;
    enum status status = tcg_eventlog_open(&opened, log, detail);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++) {
        if (tcg_eventlog_bank(&opened, algs[i]) != TCG_MAX_BANKS) {
            facts.bank[facts.num_banks++].alg = algs[i];
        }
    }
    if (facts.num_banks == 0) {
        return status_fail(detail, STATUS_UNSUPPORTED, "no bank but SHA-1");
    }
    status = walk_log(&walked, &facts, log, detail);
    if (status != STATUS_OK) {
        return status;
    }
    believe(&facts, &walked.replay);
    status = log_facts(&facts, arena, &walked, log);
    if (status == STATUS_OK) {
        *out = facts;
    }
    return status;
}

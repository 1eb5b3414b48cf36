#include "tests/unit/facts_builder.h"
#include "server/evidence/tpm2/log_facts.h"

#include <check.h>
#include <string.h>

void facts_of_log(struct facts *out, struct arena *arena, struct bytes log, const uint16_t *algs,
                  uint32_t mask) {
    struct walked_log walked;
    memset(out, 0, sizeof *out);
    for (; *algs != 0; algs++) {
        struct fact_bank *bank = &out->bank[out->num_banks];
        bank->alg = (enum hash_alg) * algs;
        out->selection.bank[out->num_banks++] = (struct pcr_bank_selection){bank->alg, mask};
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            bank->pcr[i].quoted = (mask >> i & 1) != 0;
        }
    }
    out->selection.num_banks = out->num_banks;
    ck_assert_int_eq(walk_log(&walked, out, log, NULL), STATUS_OK);
    mark_logged(out, &walked.replay);
    for (size_t b = 0; b < out->num_banks; b++) {
        const struct tcg_replay_bank *replayed = tcg_replay_bank(&walked.replay, out->bank[b].alg);
        for (unsigned i = 0; i < PCR_COUNT && replayed != NULL; i++) {
            if (out->bank[b].pcr[i].quoted) {
                memcpy(out->bank[b].pcr[i].value, replayed->value[i], DIGEST_MAX);
            }
        }
    }
    ck_assert_int_eq(log_facts(out, arena, &walked, log), STATUS_OK);
}

void facts_of(struct facts *out, struct arena *arena, const struct log_builder *log) {
    static const uint16_t sha256[] = {HASH_SHA256, 0};
    facts_of_log(out, arena, log_bytes(log), sha256, FACTS_EVERY_PCR);
}

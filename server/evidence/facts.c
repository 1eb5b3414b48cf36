#include "server/evidence/facts.h"

const struct fact_bank *facts_bank(const struct facts *facts, enum hash_alg alg) {
    for (size_t i = 0; i < facts->num_banks; i++) {
        if (facts->bank[i].alg == alg) {
            return &facts->bank[i];
        }
    }
    return NULL;
}

#include "server/evidence/facts.h"

size_t facts_bank_index(const struct facts *facts, enum hash_alg alg) {
    size_t i = 0;
    while (i < facts->num_banks && facts->bank[i].alg != alg) {
        i++;
    }
    return i;
}

const struct fact_bank *facts_bank(const struct facts *facts, enum hash_alg alg) {
    size_t i = facts_bank_index(facts, alg);
    return i < facts->num_banks ? &facts->bank[i] : NULL;
}

int facts_event_pcr(const struct facts *facts, uint32_t event) {
    return event < facts->num_events && facts->event[event].pcr < PCR_COUNT
               ? (int)facts->event[event].pcr
               : -1;
}

const char *vouching_name(enum vouching vouching) {
    switch (vouching) {
    case VOUCHED_BOUND:
        return "bound";
    case VOUCHED_REPLAYED:
        return "replayed";
    case VOUCHED_QUOTED:
        return "quoted";
    case VOUCHED_CLAIMED:
        break;
    }
    return "claimed";
}

const char *fact_flag_name(enum fact_flag flag) {
    switch (flag) {
    case FACT_YES:
        return "yes";
    case FACT_NO:
        return "no";
    case FACT_UNKNOWN:
        break;
    }
    return "unknown";
}

#include "server/evidence/tpm2/log_facts.h"
#include "server/evidence/tpm2/bound.h"
#include "server/evidence/tpm2/derive.h"
#include "server/evidence/tpm2/event_types.h"

#include <string.h>

struct vouching_state {
    const struct facts *facts;
    const struct tcg_replay *replay;
    struct arena *arena;
    struct bound_memory memory;
};

enum status walk_log(struct walked_log *out, const struct facts *facts, struct bytes raw,
                     struct detail *detail) {
    enum hash_alg bank[PCR_MAX_BANKS];
    struct tcg_event event;
    enum status status = tcg_eventlog_open(&out->log, raw, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (!out->log.crypto_agile) {
        return status_fail(detail, STATUS_UNSUPPORTED, "the old format, SHA-1 only");
    }
    for (size_t b = 0; b < facts->num_banks; b++) {
        bank[b] = facts->bank[b].alg;
    }
    struct tcg_eventlog log = out->log;
    tcg_replay_start(&out->replay, &log, bank, facts->num_banks);
    while ((status = tcg_eventlog_next(&log, &event, detail)) == STATUS_OK) {
        tcg_replay_event(&out->replay, &event);
    }
    out->num_events = log.next_index;
    return status == STATUS_END ? STATUS_OK : status;
}

void mark_logged(struct facts *facts, const struct tcg_replay *replay) {
    for (size_t b = 0; b < facts->num_banks; b++) {
        struct fact_bank *bank = &facts->bank[b];
        const struct tcg_replay_bank *replayed = tcg_replay_bank(replay, bank->alg);
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            bank->pcr[i].logged =
                bank->pcr[i].quoted && replayed != NULL && (replayed->touched >> i & 1u) != 0;
        }
    }
}

bool log_meets_values(const struct facts *facts, const struct tcg_replay *replay, uint32_t skipped,
                      struct detail *detail) {
    for (size_t b = 0; b < facts->num_banks; b++) {
        const struct fact_bank *bank = &facts->bank[b];
        const struct tcg_replay_bank *replayed = tcg_replay_bank(replay, bank->alg);
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            if (bank->pcr[i].logged && (skipped >> i & 1u) == 0 &&
                memcmp(bank->pcr[i].value, replayed->value[i], digest_len(bank->alg)) != 0) {
                detail_set(detail, "it does not replay to the quoted %s PCR %u",
                           hash_name(bank->alg), i);
                return false;
            }
        }
    }
    return true;
}

/* Digests of banks in which the event's PCR replayed, and data that one of them (never SHA-1) is
 * the hash of. */
static void vouch(struct vouching_state *state, const struct tcg_event *event,
                  struct fact_event *out) {
    const struct facts *facts = state->facts;
    out->index = event->index;
    out->pcr = event->pcr;
    out->type = event->type;
    out->data = event->data;
    if (event->type == EV_NO_ACTION) {
        return;
    }
    for (size_t b = 0; b < facts->num_banks; b++) {
        const struct fact_bank *bank = &facts->bank[b];
        const struct tcg_replay_bank *replayed = tcg_replay_bank(state->replay, bank->alg);
        if (replayed == NULL || !bank->pcr[event->pcr].logged ||
            event->digest[replayed->log_bank].data == NULL) {
            continue;
        }
        out->digest[b] = event->digest[replayed->log_bank];
        if (bank->alg != HASH_SHA1 && out->digest_vouched == VOUCHED_CLAIMED) {
            out->digest_vouched = VOUCHED_REPLAYED;
            if (find_bound(&out->bound, &state->memory, state->arena, bank->alg, out->digest[b],
                           event->type, event->data)) {
                out->data_vouched = VOUCHED_BOUND;
            }
        }
    }
}

enum status log_facts(struct facts *facts, struct arena *arena, const struct walked_log *walked,
                      struct bytes raw) {
    if (walked == NULL) {
        return derive_facts(facts, arena);
    }
    struct vouching_state state = {.facts = facts, .replay = &walked->replay, .arena = arena};
    struct tcg_eventlog log = walked->log;
    struct tcg_event event;
    struct fact_event *events = arena_array(arena, walked->num_events, sizeof *events);
    if (events == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < walked->num_events; i++) {
        if (tcg_eventlog_next(&log, &event, NULL) != STATUS_OK) {
            return STATUS_INTERNAL; /* it was read a moment ago */
        }
        vouch(&state, &event, &events[i]);
    }
    facts->has_log = true;
    facts->log = raw;
    facts->event = events;
    facts->num_events = walked->num_events;
    return derive_facts(facts, arena);
}

#include "server/evidence/tpm2/replay.h"
#include "server/evidence/tpm2/event_types.h"

#include <assert.h>
#include <string.h>

enum { LOCALITY_HCRTM = 4 };

void tcg_replay_start(struct tcg_replay *out, const struct tcg_eventlog *log,
                      const enum hash_alg *bank, size_t num) {
    assert(num <= PCR_MAX_BANKS);
    out->num_banks = 0;
    out->has_locality = false;
    out->locality = 0;
    out->hcrtm = false;
    for (size_t i = 0; i < num; i++) {
        uint32_t log_bank = tcg_eventlog_bank(log, bank[i]);
        if (log_bank == TCG_MAX_BANKS || digest_len(bank[i]) == 0) {
            continue;
        }
        struct tcg_replay_bank *to = &out->bank[out->num_banks++];
        to->alg = bank[i];
        to->log_bank = log_bank;
        to->touched = 0;
        for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
            memset(to->value[pcr], pcr_reset_byte(pcr), sizeof to->value[pcr]);
        }
    }
}

/* PCR 0 starts as zeros and the locality of TPM2_Startup, in each bank that nothing has extended
 * yet. */
static void start_pcr0(struct tcg_replay *replay, uint8_t locality) {
    for (size_t i = 0; i < replay->num_banks; i++) {
        struct tcg_replay_bank *bank = &replay->bank[i];
        if ((bank->touched & 1u) == 0) {
            bank->value[0][digest_len(bank->alg) - 1] = locality;
        }
    }
}

static bool pcr0_is_untouched(const struct tcg_replay *replay) {
    uint32_t touched = 0;
    for (size_t i = 0; i < replay->num_banks; i++) {
        touched |= replay->bank[i].touched;
    }
    return (touched & 1u) == 0;
}

bool tcg_event_startup_locality(const struct tcg_event *event, uint8_t *locality) {
    static const char signature[16] = "StartupLocality"; /* with its terminator */
    struct bytes data = event->data, head;
    if (event->type != EV_NO_ACTION || event->pcr != 0 || data.len != sizeof signature + 1 ||
        bytes_take(&data, sizeof signature, &head) != STATUS_OK ||
        !bytes_equal(head, bytes_of(signature, sizeof signature))) {
        return false;
    }
    *locality = data.data[0];
    return true;
}

static void extend(struct tcg_replay_bank *bank, uint32_t pcr, struct bytes digest) {
    size_t len = digest_len(bank->alg);
    if ((bank->touched >> pcr & 1u) == 0) {
        bank->touched |= 1u << pcr;
        if (pcr_reset_byte(pcr) != 0) {
            /* A dynamic PCR takes its first measurement from zeros: D-RTM resets it to them. */
            memset(bank->value[pcr], 0, len);
        }
    }
    digest_compute2(bank->alg, bytes_of(bank->value[pcr], len), digest, bank->value[pcr]);
}

void tcg_replay_event(struct tcg_replay *replay, const struct tcg_event *event) {
    uint8_t locality;
    if (event->type == EV_NO_ACTION) {
        if (!replay->has_locality && !replay->hcrtm && pcr0_is_untouched(replay) &&
            tcg_event_startup_locality(event, &locality)) {
            replay->has_locality = true;
            replay->locality = locality;
            start_pcr0(replay, locality);
        }
        return;
    }
    if (event->type == EV_EFI_HCRTM_EVENT && event->pcr == 0 && pcr0_is_untouched(replay)) {
        replay->hcrtm = true;
        start_pcr0(replay, LOCALITY_HCRTM);
    }
    for (size_t i = 0; i < replay->num_banks; i++) {
        struct tcg_replay_bank *bank = &replay->bank[i];
        if (event->digest[bank->log_bank].data != NULL) {
            extend(bank, event->pcr, event->digest[bank->log_bank]);
        }
    }
}

const struct tcg_replay_bank *tcg_replay_bank(const struct tcg_replay *replay, enum hash_alg alg) {
    for (size_t i = 0; i < replay->num_banks; i++) {
        if (replay->bank[i].alg == alg) {
            return &replay->bank[i];
        }
    }
    return NULL;
}

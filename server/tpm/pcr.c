#include "server/tpm/pcr.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Decimal without leading zeros, below PCR_COUNT; consumes it from text[*at]. */
static bool take_index(const char *text, size_t *at, unsigned *out) {
    unsigned value = 0;
    size_t start = *at, i = start;
    for (; text[i] >= '0' && text[i] <= '9' && i - start < 3; i++) {
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (i == start || (text[start] == '0' && i - start > 1) || value >= PCR_COUNT) {
        return false;
    }
    *at = i;
    *out = value;
    return true;
}

static bool take_bank(const char *text, size_t *at, enum hash_alg *out) {
    char name[8] = {0};
    size_t len = 0;
    while (len + 1 < sizeof name && text[*at + len] != '\0' && text[*at + len] != ':') {
        name[len] = text[*at + len];
        len++;
    }
    enum hash_alg alg = hash_from_name(name);
    if (alg == HASH_NONE || text[*at + len] != ':') {
        return false;
    }
    *at += len + 1;
    *out = alg;
    return true;
}

/* "0-9,14" up to '+' or the end; ascending or not, but no index twice. */
static bool take_mask(const char *text, size_t *at, uint32_t *out) {
    uint32_t mask = 0;
    for (;;) {
        unsigned first, last;
        if (!take_index(text, at, &first)) {
            return false;
        }
        last = first;
        if (text[*at] == '-') {
            (*at)++;
            if (!take_index(text, at, &last) || last < first) {
                return false;
            }
        }
        for (unsigned i = first; i <= last; i++) {
            if ((mask >> i & 1u) != 0) {
                return false;
            }
            mask |= 1u << i;
        }
        if (text[*at] != ',') {
            *out = mask;
            return true;
        }
        (*at)++;
    }
}

enum status pcr_selection_parse(struct pcr_selection *out, const char *text,
                                struct detail *detail) {
    struct pcr_selection selection = {0};
    size_t at = 0;
    for (;;) {
        struct pcr_bank_selection bank = {0};
        if (selection.num_banks == PCR_MAX_BANKS) {
            return status_fail(detail, STATUS_MALFORMED, "more than %d banks", PCR_MAX_BANKS);
        }
        if (!take_bank(text, &at, &bank.bank)) {
            return status_fail(detail, STATUS_MALFORMED,
                               "PCR selection: no bank name and ':' at offset %zu", at);
        }
        if (pcr_selection_mask(&selection, bank.bank) != 0) {
            return status_fail(detail, STATUS_MALFORMED, "PCR selection: bank %s stands twice",
                               hash_name(bank.bank));
        }
        if (!take_mask(text, &at, &bank.mask)) {
            return status_fail(detail, STATUS_MALFORMED,
                               "PCR selection: no PCR index (0-%d, each once) at offset %zu",
                               PCR_COUNT - 1, at);
        }
        selection.bank[selection.num_banks++] = bank;
        if (text[at] == '\0') {
            *out = selection;
            return STATUS_OK;
        }
        if (text[at] != '+') {
            return status_fail(detail, STATUS_MALFORMED,
                               "PCR selection: neither ',' nor '+' nor the end at offset %zu", at);
        }
        at++;
    }
}

void pcr_selection_format(char *out, const struct pcr_selection *selection) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t b = 0; b < selection->num_banks; b++) {
        const struct pcr_bank_selection *bank = &selection->bank[b];
        const char *separator = ":";
        int n = snprintf(out + len, PCR_SELECTION_TEXT - len, "%s%s", b == 0 ? "" : "+",
                         hash_name(bank->bank));
        len += (size_t)n;
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            if ((bank->mask >> i & 1u) != 0) {
                n = snprintf(out + len, PCR_SELECTION_TEXT - len, "%s%u", separator, i);
                len += (size_t)n;
                separator = ",";
            }
        }
        assert(len < PCR_SELECTION_TEXT);
    }
}

bool pcr_selection_equal(const struct pcr_selection *a, const struct pcr_selection *b) {
    if (a->num_banks != b->num_banks) {
        return false;
    }
    for (size_t i = 0; i < a->num_banks; i++) {
        if (a->bank[i].mask != pcr_selection_mask(b, a->bank[i].bank)) {
            return false;
        }
    }
    return true;
}

uint32_t pcr_selection_mask(const struct pcr_selection *selection, enum hash_alg bank) {
    for (size_t i = 0; i < selection->num_banks; i++) {
        if (selection->bank[i].bank == bank) {
            return selection->bank[i].mask;
        }
    }
    return 0;
}

bool pcr_is_reset(unsigned pcr, struct bytes value) {
    return bytes_all(value, pcr_reset_byte(pcr));
}

uint8_t pcr_reset_byte(unsigned pcr) {
    return pcr >= 17 && pcr <= 22 ? 0xFF : 0x00;
}

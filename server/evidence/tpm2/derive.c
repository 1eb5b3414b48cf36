#include "server/evidence/tpm2/derive.h"

#include <string.h>

static const uint8_t separator_value[NUM_SEPARATOR_VALUES][4] = {
    {0, 0, 0, 0}, {0xFF, 0xFF, 0xFF, 0xFF}, {1, 0, 0, 0}};
enum { ERROR_VALUE = NUM_SEPARATOR_VALUES - 1 };

static void start(struct derivation *d) {
    for (size_t b = 0; b < d->facts->num_banks; b++) {
        for (size_t v = 0; v < NUM_SEPARATOR_VALUES && d->facts->bank[b].alg != HASH_SHA1; v++) {
            digest_compute(d->facts->bank[b].alg, bytes_of(separator_value[v], 4),
                           d->separator[b][v]);
        }
    }
}

static enum separator separator_in(const struct derivation *d, size_t bank, struct bytes digest) {
    for (size_t v = 0; v < NUM_SEPARATOR_VALUES; v++) {
        if (memcmp(digest.data, d->separator[bank][v], digest.len) == 0) {
            return v == ERROR_VALUE ? SEPARATOR_ERROR : SEPARATOR_PLAIN;
        }
    }
    return SEPARATOR_NONE;
}

enum separator separator_of(const struct derivation *d, const struct fact_event *event) {
    enum separator found = SEPARATOR_NONE;
    for (size_t b = 0; b < d->facts->num_banks; b++) {
        if (d->facts->bank[b].alg == HASH_SHA1 || event->digest[b].len == 0) {
            continue;
        }
        enum separator here = separator_in(d, b, event->digest[b]);
        if (here == SEPARATOR_NONE) {
            return here;
        }
        found = here > found ? here : found;
    }
    return found;
}

bool event_extends(const struct fact_event *event, uint32_t pcr) {
    return event->pcr == pcr && event->digest_vouched == VOUCHED_REPLAYED;
}

void *derive_array(struct derivation *d, uint32_t pcrs, size_t more, size_t size) {
    size_t num = more;
    for (size_t i = 0; i < d->facts->num_events; i++) {
        const struct fact_event *event = &d->facts->event[i];
        num += event->digest_vouched == VOUCHED_REPLAYED && (pcrs >> event->pcr & 1u) != 0 ? 1 : 0;
    }
    return arena_array(d->arena, num, size);
}

bool utf16_is(struct bytes utf16, const char *ascii) {
    uint16_t unit;
    for (; *ascii != '\0'; ascii++) {
        if (bytes_u16le(&utf16, &unit) != STATUS_OK || unit != (uint8_t)*ascii) {
            return false;
        }
    }
    return bytes_all(utf16, 0);
}

bool utf16_is_printable(struct bytes utf16) {
    uint16_t unit;
    bool any = false;
    struct bytes before = utf16;
    while (bytes_u16le(&utf16, &unit) == STATUS_OK && unit >= 0x20 && unit < 0x7F) {
        before = utf16;
        any = true;
    }
    return any && bytes_all(before, 0);
}

enum status derive_facts(struct facts *facts, struct arena *arena) {
    static enum status (*const step[])(struct derivation *) = {derive_secure_boot, derive_images,
                                                               derive_firmware, derive_os};
    struct derivation d = {.facts = facts, .arena = arena};
    start(&d);
    for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
        enum status status = step[i](&d);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

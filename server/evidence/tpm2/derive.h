/* What follows from the events of a log: Secure Boot, images, firmware, the operating system's start.
 * One file each. Private to server/evidence/tpm2. Thread-safe.
 *
 * Whoever controls the running system can write the log anew: any type, any data, any order between
 * PCRs, as long as the digests of each PCR stay in their order; and can extend PCRs further. So a
 * type or a label never hides anything, data count only as far as they are bound, separators are
 * known by their digest, and what stands behind a separator is never taken for what firmware
 * measured before it. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_DERIVE_H
#define GATEHOUSE_EVIDENCE_TPM2_DERIVE_H

#include "server/evidence/facts.h"
#include "server/evidence/tpm2/event_data.h"

enum separator { SEPARATOR_NONE = 0, SEPARATOR_PLAIN, SEPARATOR_ERROR };
enum { NUM_SEPARATOR_VALUES = 3 };

struct derivation {
    struct facts *facts; /* banks, selection and events are filled in */
    struct arena *arena;
    /* The digests of separators, in each bank but SHA-1. */
    uint8_t separator[PCR_MAX_BANKS][NUM_SEPARATOR_VALUES][DIGEST_MAX];
};

/* Everything below. MEMORY. */
MUST_USE enum status derive_facts(struct facts *facts, struct arena *arena);

MUST_USE enum status derive_secure_boot(struct derivation *d);
MUST_USE enum status derive_images(struct derivation *d);
MUST_USE enum status derive_firmware(struct derivation *d);
MUST_USE enum status derive_os(struct derivation *d);

/* By its digests alone, in each bank that it has one in, whatever its type and data say (TCG PC Client Platform Firmware Profile 1.06,
 * 10.4.1: EV_SEPARATOR is the hash of 0, of FFFFFFFFh, or, after an error, of 1). */
enum separator separator_of(const struct derivation *d, const struct fact_event *event);
/* It extended that PCR, and replays in a bank that is not SHA-1. */
bool event_extends(const struct fact_event *event, uint32_t pcr);
/* Room for an item for each event that extends a PCR of the mask, and `more`. NULL: MEMORY. */
void *derive_array(struct derivation *d, uint32_t pcrs, size_t more, size_t size);

/* UTF-16LE without or with zeros at its end that is this ASCII text. */
bool utf16_is(struct bytes utf16, const char *ascii);
/* Printable ASCII in UTF-16LE to its last unit, or up to zeros that end it. */
bool utf16_is_printable(struct bytes utf16);
/* The entries of a signature database. *known: the data are signature lists to their last byte, and
 * not more entries than we keep; then *out and *num are set. MEMORY. */
MUST_USE enum status signature_database(struct arena *arena, struct fact_key **out, size_t *num,
                                        bool *known, struct bytes data);
/* What admitted an image: an entry of a database (EFI_SIGNATURE_DATA), or a certificate alone. */
void authority_key(struct arena *arena, struct fact_key *out, struct bytes data);
/* Whether it is an entry with a certificate, or a certificate. */
bool is_authority_data(struct bytes data);

#endif

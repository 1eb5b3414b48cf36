/* PCR banks, indices and selections. */
#ifndef GATEHOUSE_TPM_PCR_H
#define GATEHOUSE_TPM_PCR_H

#include "server/crypto/digest.h"

enum { PCR_COUNT = 24, PCR_MAX_BANKS = 5, PCR_SELECTION_TEXT = 512 };

struct pcr_bank_selection {
    enum hash_alg bank;
    uint32_t mask; /* bit i: PCR i */
};
/* Sorted as given; a bank stands once; no bank with an empty mask. */
struct pcr_selection {
    struct pcr_bank_selection bank[PCR_MAX_BANKS];
    size_t num_banks;
};

/* "sha256:0,1,2,7" or "sha256:0-9,14+sha384:0-7". MALFORMED with the offset. */
MUST_USE enum status pcr_selection_parse(struct pcr_selection *out, const char *text,
                                         struct detail *detail);
/* Canonical: banks in the order given, single indices, "+" between banks. out has
 * PCR_SELECTION_TEXT bytes. */
void pcr_selection_format(char *out, const struct pcr_selection *selection);
/* The same PCRs in the same banks, whatever the order of banks. */
bool pcr_selection_equal(const struct pcr_selection *a, const struct pcr_selection *b);
uint32_t pcr_selection_mask(const struct pcr_selection *selection,
                            enum hash_alg bank); /* 0: none */

/* What each byte of a PCR is after a reset that nothing has extended since: 0xFF for the dynamic
 * PCRs 17-22, else 0x00 (TCG PC Client Platform TPM Profile, 4.6). */
uint8_t pcr_reset_byte(unsigned pcr);
bool pcr_is_reset(unsigned pcr, struct bytes value);

#endif

/* Parts of derive_os. Private to server/evidence/tpm2; thread-safe. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_OS_H
#define GATEHOUSE_EVIDENCE_TPM2_OS_H

#include "server/evidence/tpm2/derive.h"

enum {
    GRUB_TEXT_PCR = 8,
    FILES_PCR = 9,
    STUB_PCR = 11,
    STUB_TEXT_PCR = 12,
    EXTENSIONS_PCR = 13,
    MOK_PCR = 14
};

/* An event of PCR 8 or 12: adds a command line when it is one, or may be one. There is room. */
MUST_USE enum status take_loader_text(struct derivation *d, const struct fact_event *event);
/* GRUB measures the command "linux X" and then the kernel's command line X: of the two the latter
 * stays. They differ in quotes. */
void drop_repeated_lines(struct derivation *d);
/* The label that stands before GRUB's text has this in it. */
bool grub_label_is(const struct fact_event *event, const char *name);
/* Files of PCRs 9, 11, 12, 13 and 14. */
MUST_USE enum status derive_files(struct derivation *d);
/* shim's SbatLevel of PCR 7. */
MUST_USE enum status derive_sbat(struct derivation *d);

#endif

/* What the data of firmware's rarer events say: tables handed to the operating system, boot entries,
 * and what EV_NO_ACTION tells. Views; nothing is allocated; thread-safe. Source: TCG PC Client
 * Platform Firmware Profile 1.06, 10.2.5 and 10.4.5; UEFI 2.10, 3.1.3. Every reader: OK; TRUNCATED or
 * MALFORMED when the data are not of that structure, and the output is untouched. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_FIRMWARE_DATA_H
#define GATEHOUSE_EVIDENCE_TPM2_FIRMWARE_DATA_H

#include "server/evidence/tpm2/event_data.h"

/* UEFI_HANDOFF_TABLE_POINTERS (description empty) and _POINTERS2. */
struct efi_handoff {
    struct bytes description;
    uint64_t num;
    struct bytes tables; /* num times a GUID and an address */
};
MUST_USE enum status efi_handoff_parse(struct efi_handoff *out, struct bytes data);
MUST_USE enum status efi_handoff2_parse(struct efi_handoff *out, struct bytes data);
/* END when none is left. */
MUST_USE enum status efi_handoff_next(struct efi_handoff *handoff, struct bytes *guid,
                                      uint64_t *address);

/* EFI_LOAD_OPTION: the value of a Boot#### variable. */
struct efi_load_option {
    uint32_t attributes;
    struct bytes description; /* UTF-16LE with its zero */
    struct bytes device_path;
    struct bytes optional;
};
MUST_USE enum status efi_load_option_parse(struct efi_load_option *out, struct bytes data);

/* TCG_Sp800_155_PlatformId_Event, and its second and third form: where the maker's reference
 * manifest is. */
struct tcg_manifest {
    uint32_t vendor_id;
    struct bytes guid;
    struct bytes platform_maker, platform_model; /* text; empty in the first form */
};
MUST_USE enum status tcg_manifest_parse(struct tcg_manifest *out, struct bytes data);

/* Any other kind of EV_NO_ACTION begins with a text of 16 bytes, zeros behind it. */
bool tcg_no_action_signature(struct bytes data, struct bytes *text);

#endif

/* What the data of common events say: views into them, nothing copied or allocated but text, which
 * goes to an arena. Structure only; whether a digest covers the data is for whoever uses it.
 * Thread-safe. Source: TCG PC Client Platform Firmware Profile 1.06, 10.2.3-10.2.6 and 10.4;
 * UEFI 2.10, 10.3 (device paths), 32.4.1 (signature lists), 5.3 (GPT). Every reader: OK; MALFORMED
 * or TRUNCATED when the data are not of that structure to their last byte, and the output is
 * untouched; MEMORY. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_EVENT_DATA_H
#define GATEHOUSE_EVIDENCE_TPM2_EVENT_DATA_H

#include "server/base/arena.h"

enum { EFI_GUID_LEN = 16, EFI_GUID_TEXT = 37 };

/* "8be4df61-93ca-11d2-aa0d-00e098032b8c" of the 16 bytes as UEFI stores them. */
void efi_guid_format(char out[static EFI_GUID_TEXT], struct bytes guid);
/* UTF-16LE up to its first zero, or all of it, as UTF-8; what is no character becomes U+FFFD. NULL
 * on overflow. */
char *utf16_text(struct arena *arena, struct bytes utf16);
/* Text as firmware measures it: printable ASCII with at most zeros after it. False for anything
 * else. */
bool ascii_text(struct bytes data, struct bytes *out);

/* UEFI_VARIABLE_DATA. */
struct efi_variable {
    struct bytes guid, name, data; /* name: UTF-16LE */
    struct bytes rest; /* what older versions of shim measured behind it; mostly empty */
};
MUST_USE enum status efi_variable_parse(struct efi_variable *out, struct bytes data);

/* UEFI_IMAGE_LOAD_EVENT. */
struct efi_image_load {
    uint64_t address, length, link_address;
    struct bytes device_path;
    struct bytes rest; /* as above */
};
MUST_USE enum status efi_image_load_parse(struct efi_image_load *out, struct bytes data);

/* One node of a device path; OK, or END at the end of the path (its End node, or no byte left). */
struct efi_path_node {
    uint8_t type, subtype;
    struct bytes data; /* without the four bytes of its header */
};
MUST_USE enum status efi_path_next(struct bytes *path, struct efi_path_node *out);
/* A text after UEFI 2.10, 10.6; nodes without a text of their own as Path(type,subtype,hex). */
MUST_USE enum status efi_path_text(struct arena *arena, const char **out, struct bytes path);

/* EFI_SIGNATURE_LIST, one after another; END when none is left. */
struct efi_signature_list {
    struct bytes type; /* GUID */
    size_t entry_len;  /* 16 bytes of owner, then the signature */
    struct bytes entries;
};
MUST_USE enum status efi_signature_list_next(struct bytes *data, struct efi_signature_list *out);
/* END when none is left. */
MUST_USE enum status efi_signature_next(struct efi_signature_list *list, struct bytes *owner,
                                        struct bytes *signature);
bool efi_signature_list_is_x509(const struct efi_signature_list *list);
bool efi_signature_list_is_sha256(const struct efi_signature_list *list);

/* UEFI_GPT_DATA: the header, and entries of 128 bytes. */
struct efi_gpt {
    struct bytes disk_guid;
    uint64_t num_partitions;
    struct bytes partitions; /* num_partitions * EFI_GPT_ENTRY_LEN bytes */
};
enum { EFI_GPT_ENTRY_LEN = 128 };
MUST_USE enum status efi_gpt_parse(struct efi_gpt *out, struct bytes data);
struct efi_gpt_entry {
    struct bytes type, guid, name; /* name: UTF-16LE */
    uint64_t first_lba, last_lba;
};
MUST_USE enum status efi_gpt_next(struct efi_gpt *gpt, struct efi_gpt_entry *out); /* END */

/* EFI_PLATFORM_FIRMWARE_BLOB (description empty) and _BLOB2. */
struct efi_blob {
    struct bytes description;
    uint64_t base, length;
};
MUST_USE enum status efi_blob_parse(struct efi_blob *out, struct bytes data);
MUST_USE enum status efi_blob2_parse(struct efi_blob *out, struct bytes data);

/* TCG_PCClientTaggedEvent. */
struct tcg_tagged {
    uint32_t id;
    struct bytes data;
};
MUST_USE enum status tcg_tagged_parse(struct tcg_tagged *out, struct bytes data);

#endif

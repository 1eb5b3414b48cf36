/* Event data as firmware, shim and boot loaders write them, for tests of what is read out of them. Views into
 * static storage, overwritten after 16 calls. For one thread. */
#ifndef GATEHOUSE_TESTS_EFI_BUILDER_H
#define GATEHOUSE_TESTS_EFI_BUILDER_H

#include "tests/unit/evidence_builder.h"

enum efi_vendor { EFI_GLOBAL, EFI_SECURITY, EFI_SHIM, EFI_OTHER };

struct bytes efi_wide(const char *text); /* UTF-16LE without its zero */
struct bytes efi_joined(struct bytes a, struct bytes b);
struct bytes efi_variable_of(enum efi_vendor vendor, const char *name, struct bytes data);
/* EFI_SIGNATURE_LIST with one entry of an owner of 0x11s. */
struct bytes efi_certificates(struct bytes der);
struct bytes efi_hashes(uint8_t first,
                        size_t num);               /* SHA-256 entries of equal bytes, counting up */
struct bytes efi_signature_data(struct bytes der); /* the owner, and the certificate */
struct bytes efi_image_of(const char *file);       /* UEFI_IMAGE_LOAD_EVENT; NULL: no path */
struct bytes efi_tagged_of(uint32_t id, struct bytes data);
/* A certificate with this commonName, signed by nobody: enough to be told from others. */
struct bytes efi_certificate(const char *name);

/* One event whose digest is that of the data, or of `measured`. */
void log_bound(struct log_builder *log, uint32_t pcr, uint32_t type, struct bytes data);
/* A boot with Secure Boot on, shim, GRUB and a kernel, as Debian's. */
void log_secure_boot(struct log_builder *log, const uint16_t *algs);
/* GRUB: "label: text", of which the text is measured. */
void log_grub(struct log_builder *log, const char *label, const char *text);
void log_separator(struct log_builder *log, uint32_t pcr, uint32_t value);
void log_grub_file(struct log_builder *log, const char *name, const char *contents);

#endif

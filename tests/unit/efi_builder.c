#include "tests/unit/efi_builder.h"
#include "server/evidence/tpm2/event_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 16, SLOT_SIZE = 1 << 16 };

static struct writer slot(void) {
    static uint8_t room[SLOTS][SLOT_SIZE];
    static unsigned next;
    return writer_of(room[next++ % SLOTS], SLOT_SIZE);
}

static struct bytes done(const struct writer *w) {
    if (w->overflow) {
        fputs("efi_builder: too long\n", stderr);
        abort();
    }
    return writer_bytes(w);
}

static void write_u64(struct writer *w, uint64_t value) {
    write_u32le(w, (uint32_t)value);
    write_u32le(w, (uint32_t)(value >> 32));
}

struct bytes efi_wide(const char *text) {
    struct writer w = slot();
    for (; *text != '\0'; text++) {
        write_u16le(&w, (uint8_t)*text);
    }
    return done(&w);
}

struct bytes efi_joined(struct bytes a, struct bytes b) {
    struct writer w = slot();
    write_bytes(&w, a);
    write_bytes(&w, b);
    return done(&w);
}

struct bytes efi_variable_of(enum efi_vendor vendor, const char *name, struct bytes data) {
    static const uint8_t guid[][16] = {{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d,
                                        0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c},
                                       {0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc,
                                        0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f},
                                       {0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43, 0xab, 0xb6,
                                        0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23},
                                       {1}};
    struct writer w = slot();
    write_bytes(&w, bytes_of(guid[vendor], 16));
    write_u64(&w, strlen(name));
    write_u64(&w, data.len);
    write_bytes(&w, efi_wide(name));
    write_bytes(&w, data);
    return done(&w);
}

static struct bytes owner(void) {
    static uint8_t bytes[16];
    memset(bytes, 0x11, sizeof bytes);
    return bytes_of(bytes, sizeof bytes);
}

static void write_list_head(struct writer *w, const uint8_t *type, size_t entries, size_t entry) {
    write_bytes(w, bytes_of(type, 16));
    write_u32le(w, (uint32_t)(28 + entries * entry));
    write_u32le(w, 0);
    write_u32le(w, (uint32_t)entry);
}

struct bytes efi_certificates(struct bytes der) {
    static const uint8_t x509[] = {0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a,
                                   0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72};
    struct writer w = slot();
    write_list_head(&w, x509, 1, 16 + der.len);
    write_bytes(&w, owner());
    write_bytes(&w, der);
    return done(&w);
}

struct bytes efi_hashes(uint8_t first, size_t num) {
    static const uint8_t sha256[] = {0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
                                     0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28};
    struct writer w = slot();
    write_list_head(&w, sha256, num, 48);
    for (size_t i = 0; i < num; i++) {
        uint8_t hash[32];
        memset(hash, (int)(first + i), sizeof hash);
        write_bytes(&w, owner());
        write_bytes(&w, bytes_of(hash, sizeof hash));
    }
    return done(&w);
}

struct bytes efi_signature_data(struct bytes der) {
    return efi_joined(owner(), der);
}

struct bytes efi_image_of(const char *file) {
    struct bytes name = file == NULL ? bytes_of(NULL, 0) : efi_wide(file);
    struct writer w = slot();
    write_u64(&w, 0x1000);
    write_u64(&w, 0x2000);
    write_u64(&w, 0);
    write_u64(&w, file == NULL ? 0 : 4 + name.len + 2 + 4);
    if (file != NULL) {
        write_bytes(&w, bytes_of("\x04\x04", 2));
        write_u16le(&w, (uint16_t)(4 + name.len + 2));
        write_bytes(&w, name);
        write_bytes(&w, bytes_of("\0\0\x7f\xff\x04\0", 6));
    }
    return done(&w);
}

struct bytes efi_tagged_of(uint32_t id, struct bytes data) {
    struct writer w = slot();
    write_u32le(&w, id);
    write_u32le(&w, (uint32_t)data.len);
    write_bytes(&w, data);
    return done(&w);
}

static void write_element(struct writer *w, uint8_t tag, struct bytes content) {
    write_u8(w, tag);
    if (content.len >= 0x80) {
        write_u8(w, 0x82);
        write_u16be(w, (uint16_t)content.len);
    } else {
        write_u8(w, (uint8_t)content.len);
    }
    write_bytes(w, content);
}

static struct bytes element(uint8_t tag, struct bytes content) {
    struct writer w = slot();
    write_element(&w, tag, content);
    return done(&w);
}

struct bytes efi_certificate(const char *name) {
    struct bytes pair =
        efi_joined(bytes_of("\x06\x03\x55\x04\x03", 5), element(0x0C, bytes_of_text(name)));
    struct bytes subject = element(0x30, element(0x31, element(0x30, pair)));
    struct bytes empty = element(0x30, bytes_of(NULL, 0));
    struct writer w = slot();
    write_bytes(&w, bytes_of("\x02\x01\x01", 3));
    write_bytes(&w, empty);
    write_bytes(&w, empty);
    write_bytes(&w, empty);
    write_bytes(&w, subject);
    struct bytes tbs = element(0x30, done(&w));
    return element(0x30, tbs);
}

/* --- events ------------------------------------------------------------------------------------ */

void log_bound(struct log_builder *log, uint32_t pcr, uint32_t type, struct bytes data) {
    log_event(log, pcr, type, data, data);
}

void log_grub(struct log_builder *log, const char *label, const char *text) {
    char data[4096];
    int len = snprintf(data, sizeof data, "%s: %s", label, text);
    log_event(log, 8, EV_IPL, bytes_of(data, (size_t)len + 1), bytes_of_text(text));
}

void log_grub_file(struct log_builder *log, const char *name, const char *contents) {
    log_event(log, 9, EV_IPL, bytes_of(name, strlen(name) + 1), bytes_of_text(contents));
}

void log_separator(struct log_builder *log, uint32_t pcr, uint32_t value) {
    struct writer w = slot();
    write_u32le(&w, value);
    log_bound(log, pcr, EV_SEPARATOR, done(&w));
}

static void log_setting(struct log_builder *log, enum efi_vendor vendor, const char *name,
                        struct bytes value) {
    log_bound(log, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, efi_variable_of(vendor, name, value));
}

void log_secure_boot(struct log_builder *log, const uint16_t *algs) {
    log_start(log, algs);
    log_bound(log, 0, EV_S_CRTM_VERSION, efi_joined(efi_wide("1.42"), bytes_of("\0", 2)));
    log_event(log, 0, EV_EFI_PLATFORM_FIRMWARE_BLOB,
              bytes_of("\0\0\x10\0\0\0\0\0\0\0\x20\0\0\0\0\0", 16), bytes_of_text("code"));
    log_setting(log, EFI_GLOBAL, "SecureBoot", bytes_of("\x01", 1));
    log_setting(log, EFI_GLOBAL, "PK", efi_certificates(efi_certificate("platform")));
    log_setting(log, EFI_GLOBAL, "KEK", efi_certificates(efi_certificate("exchange")));
    log_setting(log, EFI_SECURITY, "db", efi_certificates(efi_certificate("vendor")));
    log_setting(log, EFI_SECURITY, "dbx", efi_hashes(1, 3));
    for (uint32_t pcr = 0; pcr < 8; pcr++) {
        log_separator(log, pcr, 0);
    }
    log_text(log, 4, EV_EFI_ACTION, "Calling EFI Application from Boot Option");
    log_bound(log, 7, EV_EFI_VARIABLE_AUTHORITY,
              efi_variable_of(EFI_SECURITY, "db", efi_signature_data(efi_certificate("vendor"))));
    log_event(log, 4, EV_EFI_BOOT_SERVICES_APPLICATION, efi_image_of("\\shimx64.efi"),
              bytes_of_text("shim"));
    log_event(log, 14, EV_IPL, bytes_of("MokList", 8), bytes_of_text("list"));
    log_bound(log, 7, EV_EFI_VARIABLE_AUTHORITY,
              efi_variable_of(EFI_SHIM, "SbatLevel",
                              bytes_of_text("sbat,1,2023012900\nshim,2\ngrub,3\n")));
    log_bound(log, 7, EV_EFI_VARIABLE_AUTHORITY,
              efi_variable_of(EFI_SHIM, "Shim", efi_certificate("shims own")));
    log_event(log, 4, EV_EFI_BOOT_SERVICES_APPLICATION, efi_image_of("\\grubx64.efi"),
              bytes_of_text("grub"));
    log_grub(log, "grub_cmd", "insmod gzio");
    log_grub(log, "grub_cmd", "linux /vmlinuz root=/dev/vda1 ro quiet");
    log_grub_file(log, "/vmlinuz", "kernel");
    log_event(log, 4, EV_EFI_BOOT_SERVICES_APPLICATION, efi_image_of(NULL),
              bytes_of_text("kernel"));
    log_grub(log, "kernel_cmdline", "/vmlinuz root=/dev/vda1 ro quiet");
    log_grub(log, "grub_cmd", "initrd /initrd.img");
    log_grub_file(log, "/initrd.img", "initrd");
}

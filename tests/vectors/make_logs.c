/* make_logs FOLDER [SEEDS]: writes the project's own event logs, well-formed ones to FOLDER/valid and others to
 * FOLDER/invalid, each with a .json that says what it is and what must come of it. The PCR values are those of
 * tests/unit/evidence_builder.c, which does not share code with the gateway's replay. */
#include "server/base/encoding.h"
#include "server/evidence/tpm2/event_types.h"
#include "tests/unit/efi_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t sha256[] = {HASH_SHA256, 0};
static const uint16_t sha1_and_256[] = {HASH_SHA1, HASH_SHA256, 0};
static const uint16_t sha256_and_384[] = {HASH_SHA256, HASH_SHA384, 0};
static const uint16_t five[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, 0x12, 0};
static const char *folder, *seeds;
static struct log_builder made;

static FILE *open_file(const char *kind, const char *name, const char *suffix) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s/%s.%s", folder, kind, name, suffix);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return file;
}

static void close_file(FILE *file) {
    if (fclose(file) != 0) {
        perror("make_logs");
        exit(EXIT_FAILURE);
    }
}

static void write_log(const char *kind, const char *name) {
    FILE *file = open_file(kind, name, "bin");
    (void)fwrite(made.data, 1, made.len, file);
    close_file(file);
}

static void write_values(FILE *file) {
    for (size_t b = 0; b < made.num_banks; b++) {
        size_t len = digest_len((enum hash_alg)made.alg[b]);
        const char *separator = "";
        if (len == 0) {
            continue;
        }
        fprintf(file, "%s\n  \"%s\": {", b > 0 ? "," : "", hash_name((enum hash_alg)made.alg[b]));
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            char hex[2 * DIGEST_MAX + 1];
            if ((made.touched >> i & 1) != 0) {
                hex_encode(hex, bytes_of(made.pcr[b][i], len));
                fprintf(file, "%s\n   \"%u\": \"%s\"", separator, i, hex);
                separator = ",";
            }
        }
        fprintf(file, "\n  }");
    }
}

/* The data of each event, for the fuzz target that reads such. */
static void write_seeds(const char *name) {
    for (size_t i = 1; i < made.num_events; i++) {
        size_t end = i + 1 < made.num_events ? made.start[i + 1] : made.len;
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s-%zu", seeds, name, i);
        FILE *file = fopen(path, "wb");
        if (file == NULL) {
            perror(path);
            exit(EXIT_FAILURE);
        }
        (void)fwrite(made.data + made.data_at[i], 1, end - made.data_at[i], file);
        close_file(file);
    }
}

static void valid(const char *name, const char *note) {
    write_log("valid", name);
    if (seeds != NULL && made.num_events > 1) {
        write_seeds(name);
    }
    FILE *file = open_file("valid", name, "json");
    fprintf(file, "{\n \"note\": \"%s\",\n \"num_events\": %zu,\n \"pcrs\": {", note,
            made.num_events);
    write_values(file);
    fprintf(file, "\n }\n}\n");
    close_file(file);
    log_free(&made);
}

static void invalid(const char *name, const char *note, size_t event) {
    write_log("invalid", name);
    FILE *file = open_file("invalid", name, "json");
    fprintf(file, "{\n \"note\": \"%s\",\n \"error\": \"event %zu at byte %zu: \"\n}\n", note,
            event, made.start[event]);
    close_file(file);
    log_free(&made);
}

static void make_unified(void) {
    struct bytes zero = bytes_of("\0", 2);
    log_separator(&made, 7, 0);
    log_event(&made, 11, EV_IPL, efi_joined(efi_wide(".linux"), zero), bytes_of(".linux", 7));
    log_event(&made, 11, EV_IPL, efi_joined(efi_wide(".linux"), zero), bytes_of_text("kernel"));
    log_bound(&made, 12, EV_IPL, efi_joined(efi_wide("ro quiet"), zero));
    log_event(&made, 9, EV_EVENT_TAG, efi_tagged_of(0x8F3B22EC, bytes_of("Linux initrd", 13)),
              bytes_of_text("initrd"));
}

static void make_windows(void) {
    struct bytes flags = efi_joined(efi_tagged_of(0x00050001, bytes_of("\0", 1)),
                                    efi_tagged_of(0x00020002, bytes_of("\7\0\0\0\0\0\0\0", 8)));
    struct bytes module =
        efi_tagged_of(0x00070001, efi_joined(efi_wide("\\x.sys"), bytes_of("\0", 2)));
    log_bound(&made, 12, EV_EVENT_TAG, efi_tagged_of(0x40010001, flags));
    log_bound(&made, 13, EV_EVENT_TAG,
              efi_tagged_of(0x40010001, efi_tagged_of(0x40010003, module)));
    log_text(&made, 12, EV_SEPARATOR, "WBCL");
    log_event(&made, 1, EV_EFI_HANDOFF_TABLES,
              bytes_of("\1\0\0\0\0\0\0\0"
                       "0123456789abcdef"
                       "\0\1\0\0\0\0\0\0",
                       32),
              bytes_of_text("tables"));
}

static void make_valid(void) {
    log_small_boot(&made, sha256);
    valid("boot", "a boot through shim and GRUB, one bank");
    log_small_boot(&made, sha1_and_256);
    valid("two-banks", "the same, SHA-1 and SHA-256");
    log_small_boot(&made, sha256_and_384);
    valid("sha256-sha384", "the same, SHA-256 and SHA-384");
    log_small_boot(&made, five);
    valid("five-banks", "the same, five banks, the last of which (SM3) is framed and not computed");
    log_start(&made, sha1_and_256);
    made.reversed = true;
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    log_text(&made, 4, EV_ACTION, "boot");
    valid("banks-reversed", "events list their banks last to first, unlike the Spec ID event");
    log_start(&made, sha1_and_256);
    log_locality(&made, 3);
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    log_text(&made, 4, EV_ACTION, "boot");
    valid("locality-3", "TPM2_Startup at locality 3");
    log_start(&made, sha1_and_256);
    log_hcrtm(&made, "measured by hardware");
    log_text(&made, 0, EV_S_CRTM_VERSION, "firmware");
    valid("h-crtm", "the hardware measured before TPM2_Startup");
    log_small_boot(&made, sha256);
    log_padding(&made, 0x00, 500);
    valid("padded-zeros", "an area of zeros behind the log");
    log_small_boot(&made, sha256);
    log_padding(&made, 0xFF, 500);
    valid("padded-ones", "an area of 0xFF behind the log, as confidential VMs have it");
    log_start(&made, sha256);
    log_no_action(&made, 0, bytes_of_text("SP800-155 Event3"));
    log_no_action(&made, 0xFFFFFFFF, bytes_of_text("Windows AIK"));
    log_text(&made, 7, EV_SEPARATOR, "\xFF\xFF\xFF\xFF");
    valid("no-action", "EV_NO_ACTION extends nothing, also without a PCR");
    log_secure_boot(&made, sha1_and_256);
    valid("secure-boot", "Secure Boot on; shim, GRUB, a kernel with its command line and initrd");
    log_start(&made, sha256);
    make_unified();
    valid("unified-kernel", "systemd-boot and a unified kernel image; Linux's EFI stub");
    log_start(&made, sha256);
    make_windows();
    valid("windows", "what Windows measures into PCRs 11 to 14, and tables handed over");
    log_start(&made, sha256);
    valid("empty", "a Spec ID event and nothing else");
}

static void poke(size_t at, uint32_t value, size_t len) {
    for (size_t i = 0; i < len; i++) {
        made.data[at + i] = (uint8_t)(value >> (8 * i));
    }
}

static void make_invalid(void) {
    static const struct {
        const char *name, *note;
        size_t event, at; /* at: in the event, or in event 0's data */
        uint32_t value;
        size_t len;
    } bent[] = {
        {"count-zero", "an event without digests", 3, 8, 0, 4},
        {"count-over", "more digests than banks", 3, 8, 3, 4},
        {"count-huge", "a digest count that no memory would hold", 3, 8, 0xFFFFFFFF, 4},
        {"undeclared-bank", "a digest of a bank that the Spec ID event does not declare", 3, 12,
         HASH_SHA512, 2},
        {"repeated-bank", "two digests of one bank", 3, 12 + 2 + 20, HASH_SHA1, 2},
        {"data-over", "data longer than the log", 3, 12 + 2 + 20 + 2 + 32, 0xFFFFFFFF, 4},
        {"pcr-24", "a PCR that does not exist", 3, 0, 24, 4},
        {"pcr-none", "no PCR, in an event that extends", 3, 0, 0xFFFFFFFF, 4},
        {"spec-no-banks", "no bank declared", 0, 32 + 24, 0, 4},
        {"spec-many-banks", "more banks declared than there is room for", 0, 32 + 24, 0x10000, 4},
        {"spec-bank-twice", "a bank declared twice", 0, 32 + 32, HASH_SHA1, 2},
        {"spec-digest-size", "SHA-256 declared with 20 bytes", 0, 32 + 34, 20, 2},
        {"spec-digest-zero", "a bank with digests of no bytes", 0, 32 + 30, 0, 2},
        {"spec-vendor-over", "vendor information longer than the event", 0, 32 + 36, 200, 1},
    };
    for (size_t i = 0; i < sizeof bent / sizeof *bent; i++) {
        log_small_boot(&made, sha1_and_256);
        poke(made.start[bent[i].event] + bent[i].at, bent[i].value, bent[i].len);
        invalid(bent[i].name, bent[i].note, bent[i].event);
    }
    log_small_boot(&made, sha1_and_256);
    made.len -= 3;
    invalid("cut", "a log that ends inside its last event", made.num_events - 1);
    log_small_boot(&made, sha1_and_256);
    made.start[made.num_events] = made.len;
    log_padding(&made, 0xFF, 64);
    log_padding(&made, 0x00, 1);
    invalid("padding-mixed", "padding that is neither all zeros nor all ones", made.num_events);
    log_start(&made, sha256);
    memcpy(made.data, "no event log, but a text of some length", 39);
    made.len = 39;
    invalid("text", "no event log", 0);
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: make_logs FOLDER [SEEDS]\n");
        return EXIT_FAILURE;
    }
    folder = argv[1];
    seeds = argv[2];
    make_valid();
    make_invalid();
    return EXIT_SUCCESS;
}

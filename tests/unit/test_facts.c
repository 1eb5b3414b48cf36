/* Facts of a log: what is read out of it, and that whoever writes the log anew, with other types, labels and data
 * over the same digests, or extends PCRs further, hides nothing and adds nothing. */
#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/kept.h"
#include "tests/unit/efi_builder.h"
#include "tests/unit/facts_builder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t sha256[] = {HASH_SHA256, 0};
static const uint16_t sha1[] = {HASH_SHA1, 0};
static const uint16_t both[] = {HASH_SHA1, HASH_SHA256, 0};

static struct arena arena;
static struct log_builder made;
static struct facts facts;

static void start(void) {
    arena_init(&arena, 1 << 26);
    log_secure_boot(&made, both);
}

static void end(void) {
    log_free(&made);
    arena_free(&arena);
}

static void derive(void) {
    facts_of(&facts, &arena, &made);
}

/* A log from scratch. */
static void begin(void) {
    log_free(&made);
    log_start(&made, both);
}

/* The n-th event of the PCR, counted from 0, by its position in the log. */
static size_t nth(uint32_t pcr, unsigned n) {
    struct facts all;
    facts_of(&all, &arena, &made);
    for (size_t i = 1; i < all.num_events; i++) {
        if (all.event[i].pcr == pcr && n-- == 0) {
            return i;
        }
    }
    ck_abort_msg("no such event");
}

/* The log's writer changes a type; digests stay. */
static void retype(size_t event, uint32_t type) {
    for (unsigned i = 0; i < 4; i++) {
        made.data[made.type_at[event] + i] = (uint8_t)(type >> 8 * i);
    }
}

/* The log's writer changes the last byte of an event's data; digests stay. */
static void bend(size_t event) {
    size_t end = event + 1 < made.num_events ? made.start[event + 1] : made.len;
    made.data[end - 1] ^= 1;
}

static void setting(const char *name, struct bytes value) {
    enum efi_vendor vendor = name[0] == 'd' ? EFI_SECURITY : EFI_GLOBAL;
    log_bound(&made, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, efi_variable_of(vendor, name, value));
}

static const struct bytes on = {(const uint8_t *)"\x01", 1}, off = {(const uint8_t *)"\x00", 1};

/* --- Secure Boot --- */

static void check_secure_boot(void) {
    const struct fact_secure_boot *secure_boot = &facts.secure_boot;
    uint8_t sha[DIGEST_MAX];
    ck_assert_int_eq(secure_boot->enabled, FACT_YES);
    ck_assert_int_eq(secure_boot->setup_mode, FACT_UNKNOWN);
    ck_assert_ptr_null(secure_boot->distrusted_why);
    ck_assert_uint_eq(secure_boot->distrusted_event, FACT_NO_EVENT);
    ck_assert(secure_boot->platform_key.known && secure_boot->platform_key.num == 1);
    ck_assert_str_eq(secure_boot->platform_key.key[0].subject, "CN=platform");
    ck_assert_str_eq(secure_boot->key_exchange_keys.key[0].subject, "CN=exchange");
    ck_assert_str_eq(secure_boot->db.key[0].subject, "CN=vendor");
    digest_compute(HASH_SHA256, efi_certificate("vendor"), sha);
    ck_assert_mem_eq(secure_boot->db.key[0].sha256, sha, 32);
    ck_assert(bytes_equal(secure_boot->db.key[0].der, efi_certificate("vendor")));
    ck_assert_uint_eq(secure_boot->db.key[0].owner[5], 0x11);
    ck_assert_uint_eq(secure_boot->dbx.num, 3);
    ck_assert_int_eq(secure_boot->dbx.key[2].kind, FACT_KEY_HASH);
    ck_assert_uint_eq(secure_boot->dbx.key[2].sha256[31], 3);
}

START_TEST(secure_boot_and_its_keys_are_read) {
    derive();
    check_secure_boot();
}
END_TEST

static void check_authorities(void) {
    ck_assert_uint_eq(facts.secure_boot.num_authorities, 2);
    ck_assert_str_eq(facts.secure_boot.authority[0].variable, "db");
    ck_assert_str_eq(facts.secure_boot.authority[0].key.subject, "CN=vendor");
    ck_assert_str_eq(facts.secure_boot.authority[1].variable, "Shim");
    ck_assert_str_eq(facts.secure_boot.authority[1].key.subject, "CN=shims own");
}

START_TEST(authorities_are_read_in_order) {
    derive();
    check_authorities();
}
END_TEST

START_TEST(log_without_pcr_7_says_nothing_of_secure_boot) {
    begin();
    log_separator(&made, 4, 0);
    derive();
    ck_assert_int_eq(facts.secure_boot.enabled, FACT_UNKNOWN);
    ck_assert_uint_eq(facts.secure_boot.enabled_event, FACT_NO_EVENT);
    ck_assert(!facts.secure_boot.platform_key.known && !facts.secure_boot.dbx.known);
    ck_assert_uint_eq(facts.secure_boot.db.event, FACT_NO_EVENT);
    ck_assert_uint_eq(facts.os.sbat_event, FACT_NO_EVENT);
    ck_assert_uint_eq(facts.firmware.version_event, FACT_NO_EVENT);
}
END_TEST

START_TEST(pcr_7_that_was_not_quoted_says_nothing) {
    facts_of_log(&facts, &arena, log_bytes(&made), sha256, FACTS_EVERY_PCR & ~(1u << 7));
    ck_assert_int_eq(facts.secure_boot.enabled, FACT_UNKNOWN);
    ck_assert(!facts.secure_boot.db.known);
    ck_assert_uint_eq(facts.secure_boot.num_authorities, 0);
}
END_TEST

START_TEST(sha1_alone_binds_nothing) {
    facts_of_log(&facts, &arena, log_bytes(&made), sha1, FACTS_EVERY_PCR);
    ck_assert_int_eq(facts.secure_boot.enabled, FACT_UNKNOWN);
    ck_assert_uint_eq(facts.num_images, 0);
    ck_assert_uint_eq(facts.os.num_command_lines, 0);
}
END_TEST

START_TEST(every_value_but_one_is_not_on) {
    static const struct bytes values[] = {{(const uint8_t *)"\x00", 1},
                                          {(const uint8_t *)"\x02", 1},
                                          {(const uint8_t *)"", 0},
                                          {(const uint8_t *)"\x01\x00", 2}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        begin();
        setting("SecureBoot", values[i]);
        setting("SetupMode", on);
        log_separator(&made, 7, 0);
        derive();
        ck_assert_int_eq(facts.secure_boot.enabled, FACT_NO);
        ck_assert_int_eq(facts.secure_boot.setup_mode, FACT_YES);
    }
}
END_TEST

/* Secure Boot was off; the system then extends PCR 7 by what a boot with it on would have measured. */
static void boot_with_fake_behind(void) {
    begin();
    setting("SecureBoot", off);
    setting("PK", efi_certificates(efi_certificate("mine")));
    log_separator(&made, 7, 0);
    setting("SecureBoot", on);
    setting("PK", efi_certificates(efi_certificate("platform")));
    log_separator(&made, 7, 0);
}

START_TEST(settings_behind_the_separator_are_not_believed) {
    boot_with_fake_behind();
    derive();
    ck_assert_int_eq(facts.secure_boot.enabled, FACT_NO);
    ck_assert_str_eq(facts.secure_boot.platform_key.key[0].subject, "CN=mine");
    ck_assert_uint_eq(facts.secure_boot.distrusted_event, 4);
}
END_TEST

START_TEST(real_settings_cannot_be_made_unreadable_in_favour_of_later_ones) {
    boot_with_fake_behind();
    bend(1);
    bend(2);
    bend(3); /* the separator is known by its digest all the same */
    derive();
    ck_assert_int_ne(facts.secure_boot.enabled, FACT_YES);
    ck_assert(!facts.secure_boot.platform_key.known);
    ck_assert_uint_eq(facts.secure_boot.platform_key.event, 2);
    ck_assert_ptr_nonnull(facts.secure_boot.distrusted_why);
    ck_assert_uint_eq(facts.secure_boot.distrusted_event, 1);
}
END_TEST

START_TEST(retyping_changes_nothing_of_secure_boot) {
    static const uint32_t types[] = {EV_EFI_VARIABLE_AUTHORITY,
                                     EV_EFI_VARIABLE_BOOT,
                                     EV_IPL,
                                     EV_SEPARATOR,
                                     EV_EVENT_TAG,
                                     EV_EFI_ACTION,
                                     0xDEADBEEF,
                                     EV_EFI_VARIABLE_DRIVER_CONFIG};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (size_t i = 1; i < made.num_events; i++) {
            retype(i, types[t]);
        }
        derive();
        check_secure_boot();
        check_authorities();
        ck_assert_uint_eq(facts.os.sbat_event, (uint32_t)nth(7, 7));
    }
}
END_TEST

START_TEST(variable_of_another_vendor_is_not_the_one) {
    begin();
    log_bound(&made, 7, EV_EFI_VARIABLE_DRIVER_CONFIG,
              efi_variable_of(EFI_OTHER, "SecureBoot", on));
    log_bound(&made, 7, EV_EFI_VARIABLE_DRIVER_CONFIG,
              efi_variable_of(EFI_SECURITY, "PK", efi_certificates(efi_certificate("x"))));
    log_bound(&made, 7, EV_EFI_VARIABLE_DRIVER_CONFIG,
              efi_variable_of(EFI_GLOBAL, "db", efi_hashes(1, 1)));
    log_separator(&made, 7, 0);
    derive();
    ck_assert_int_eq(facts.secure_boot.enabled, FACT_UNKNOWN);
    ck_assert(!facts.secure_boot.platform_key.known && !facts.secure_boot.db.known);
}
END_TEST

START_TEST(variable_measured_twice_with_other_contents_is_distrusted) {
    for (unsigned same = 0; same < 2; same++) {
        begin();
        setting("SecureBoot", on);
        setting("db", efi_hashes(1, 2));
        setting("db", efi_hashes(1, same ? 2 : 3));
        log_separator(&made, 7, 0);
        derive();
        ck_assert_uint_eq(facts.secure_boot.distrusted_event, same ? FACT_NO_EVENT : 3);
        ck_assert_uint_eq(facts.secure_boot.db.num, 2);
    }
}
END_TEST

START_TEST(entry_of_db_that_admitted_a_driver_is_no_second_db) {
    begin();
    setting("SecureBoot", on);
    setting("db", efi_certificates(efi_certificate("vendor")));
    log_bound(&made, 7, EV_EFI_VARIABLE_AUTHORITY,
              efi_variable_of(EFI_SECURITY, "db", efi_signature_data(efi_certificate("vendor"))));
    log_separator(&made, 7, 0);
    derive();
    ck_assert_ptr_null(facts.secure_boot.distrusted_why);
    ck_assert_uint_eq(facts.secure_boot.db.num, 1);
    ck_assert_uint_eq(facts.secure_boot.num_authorities, 1);
}
END_TEST

START_TEST(what_says_not_to_believe_pcr_7_is_said) {
    static const struct {
        const char *text, *why;
    } cases[] = {{"UEFI Debug Mode", "debugger"}, {"anything else", "no specification"}};
    for (size_t i = 0; i < 2; i++) {
        begin();
        setting("SecureBoot", on);
        log_text(&made, 7, EV_EFI_ACTION, cases[i].text);
        log_separator(&made, 7, 0);
        derive();
        ck_assert_uint_eq(facts.secure_boot.distrusted_event, 2);
        ck_assert_ptr_nonnull(strstr(facts.secure_boot.distrusted_why, cases[i].why));
    }
    begin();
    setting("SecureBoot", on);
    log_separator(&made, 7, 1);
    bend(2);
    retype(2, EV_EFI_ACTION);
    derive();
    ck_assert_uint_eq(facts.secure_boot.distrusted_event, 2);
    ck_assert_ptr_nonnull(strstr(facts.secure_boot.distrusted_why, "error"));
}
END_TEST

START_TEST(settings_that_no_separator_ends_are_distrusted) {
    begin();
    setting("SecureBoot", on);
    derive();
    ck_assert_uint_eq(facts.secure_boot.distrusted_event, 1);
}
END_TEST

START_TEST(second_separator_changes_nothing) {
    log_separator(&made, 7, 0xFFFFFFFF);
    derive();
    check_secure_boot();
}
END_TEST

START_TEST(broken_signature_lists_are_not_known) {
    struct bytes good = arena_bytes(&arena, efi_certificates(efi_certificate("x")));
    for (size_t len = 1; len < good.len; len++) {
        begin();
        setting("db", bytes_of(good.data, len));
        log_separator(&made, 7, 0);
        derive();
        ck_assert(!facts.secure_boot.db.known && facts.secure_boot.db.num == 0);
        ck_assert_uint_eq(facts.secure_boot.db.event, 1);
    }
    begin();
    setting("db", bytes_of(NULL, 0));
    log_separator(&made, 7, 0);
    derive();
    ck_assert(facts.secure_boot.db.known && facts.secure_boot.db.num == 0);
}
END_TEST

START_TEST(authority_that_is_made_unreadable_is_an_unknown_one) {
    bend(nth(7, 6));
    derive();
    ck_assert_uint_eq(facts.secure_boot.num_authorities, 2);
    ck_assert_str_eq(facts.secure_boot.authority[0].variable, "");
    ck_assert_int_eq(facts.secure_boot.authority[0].key.kind, FACT_KEY_OTHER);
    ck_assert(bytes_all(bytes_of(facts.secure_boot.authority[0].key.sha256, 32), 0));
}
END_TEST

/* Older shims log a byte more than they measure. */
START_TEST(old_shims_authority_is_bound_but_for_its_last_byte) {
    struct bytes data = efi_joined(efi_variable_of(EFI_SHIM, "Shim", efi_certificate("old")),
                                   bytes_of("\xAF\xAF\xAF", 3));
    log_event(&made, 7, EV_EFI_VARIABLE_AUTHORITY, data, bytes_of(data.data, data.len - 1));
    derive();
    ck_assert_str_eq(facts.secure_boot.authority[2].key.subject, "CN=old");
}
END_TEST

/* --- SBAT --- */

static void check_sbat(void) {
    ck_assert_uint_eq(facts.os.num_sbat, 3);
    ck_assert_str_eq(facts.os.sbat[1].component, "shim");
    ck_assert_uint_eq(facts.os.sbat[1].level, 2);
    ck_assert_uint_eq(facts.os.sbat[2].level, 3);
    ck_assert_str_eq(facts.os.sbat_date, "2023012900");
}

START_TEST(sbat_level_is_read) {
    derive();
    check_sbat();
}
END_TEST

static void sbat(const char *level) {
    log_bound(&made, 7, EV_EFI_VARIABLE_AUTHORITY,
              efi_variable_of(EFI_SHIM, "SbatLevel", bytes_of_text(level)));
}

START_TEST(later_sbat_level_raises_nothing) {
    sbat("sbat,1,2030010100\nshim,99\ngrub,99\n");
    derive();
    check_sbat();
}
END_TEST

START_TEST(sbat_level_behind_unreadable_events_is_unknown) {
    sbat("sbat,1,2030010100\nshim,99\ngrub,99\n");
    bend(nth(7, 7));
    derive();
    ck_assert_uint_eq(facts.os.sbat_event, FACT_NO_EVENT);
    ck_assert_uint_eq(facts.os.num_sbat, 0);
}
END_TEST

START_TEST(sbat_level_counts_only_before_shim_admits_something) {
    begin();
    setting("SecureBoot", on);
    log_separator(&made, 7, 0);
    log_bound(&made, 7, EV_EFI_VARIABLE_AUTHORITY,
              efi_variable_of(EFI_SHIM, "Shim", efi_certificate("old shim")));
    sbat("sbat,1,2030010100\nshim,99\n");
    derive();
    ck_assert_uint_eq(facts.os.sbat_event, FACT_NO_EVENT);
    begin();
    sbat("sbat,1,2030010100\nshim,99\n");
    log_separator(&made, 7, 0);
    derive();
    ck_assert_uint_eq(facts.os.sbat_event, FACT_NO_EVENT);
}
END_TEST

START_TEST(odd_sbat_lines_say_nothing) {
    begin();
    log_separator(&made, 7, 0);
    sbat("sbat,1,20230129\nshim,4294967296\ngrub\n,7\nfwupd,x\nok,5,rest\nok,3\n\n");
    derive();
    ck_assert_uint_eq(facts.os.num_sbat, 2);
    ck_assert_str_eq(facts.os.sbat[1].component, "ok");
    ck_assert_uint_eq(facts.os.sbat[1].level, 3);
    ck_assert_ptr_null(facts.os.sbat_date);
}
END_TEST

/* --- images --- */

static void check_images(void) {
    static const char *const of[] = {"shim", "grub", "kernel"};
    uint8_t sha[DIGEST_MAX];
    ck_assert_uint_eq(facts.num_images, 3);
    for (size_t i = 0; i < 3; i++) {
        digest_compute(HASH_SHA256, bytes_of_text(of[i]), sha);
        ck_assert_int_eq(facts.image[i].kind, FACT_IMAGE_BOOT);
        ck_assert(bytes_equal(facts.image[i].digest[0], bytes_of(sha, 32)));
    }
}

START_TEST(images_are_read_in_order_with_their_paths) {
    derive();
    check_images();
    ck_assert_str_eq(facts.image[0].path, "\\shimx64.efi");
    ck_assert_ptr_null(facts.image[2].path);
}
END_TEST

START_TEST(no_type_or_data_hide_an_image) {
    static const uint32_t types[] = {EV_SEPARATOR, EV_EFI_ACTION, EV_ACTION,
                                     EV_IPL,       EV_EVENT_TAG,  EV_OMIT_BOOT_DEVICE_EVENTS,
                                     0x12345678};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (unsigned n = 2; n < 5; n++) {
            retype(nth(4, n), types[t]);
            bend(nth(4, n));
        }
        derive();
        check_images();
    }
}
END_TEST

START_TEST(text_that_is_not_bound_hides_no_image) {
    log_event(&made, 4, EV_EFI_ACTION, bytes_of_text("Exit Boot Services Invocation"),
              bytes_of_text("evil"));
    log_event(&made, 4, EV_SEPARATOR, bytes_of("\0\0\0\0", 4), bytes_of_text("worse"));
    derive();
    ck_assert_uint_eq(facts.num_images, 5);
}
END_TEST

START_TEST(unknown_texts_and_error_separators_are_images) {
    log_text(&made, 4, EV_EFI_ACTION, "BOOT ATTEMPTS OMITTED");
    log_separator(&made, 4, 1);
    derive();
    ck_assert_uint_eq(facts.num_images, 5);
}
END_TEST

/* The log's writer puts the digests of two events into one: an image's, and in another bank a separator's. */
START_TEST(digest_of_a_separator_in_one_bank_hides_nothing_in_another) {
    static const uint16_t strong[] = {HASH_SHA256, HASH_SHA384, 0};
    log_free(&made);
    log_start(&made, strong);
    log_separator(&made, 4, 0);
    log_event(&made, 4, EV_SEPARATOR, bytes_of("\0\0\0\0", 4), bytes_of_text("evil"));
    struct log_builder plain;
    log_start(&plain, strong);
    log_separator(&plain, 4, 0);
    size_t second = 32 + 2; /* behind SHA-256's digest, and the algorithm of SHA-384's */
    memcpy(made.data + made.digest_at[2] + second, plain.data + plain.digest_at[1] + second, 48);
    facts_of_log(&facts, &arena, log_bytes(&made), strong, FACTS_EVERY_PCR);
    ck_assert_uint_eq(facts.num_images, 1);
    ck_assert_uint_eq(facts.image[0].event, 2);
    log_free(&plain);
}
END_TEST

START_TEST(action_that_is_made_unreadable_is_an_image) {
    bend(nth(4, 1));
    derive();
    ck_assert_uint_eq(facts.num_images, 4);
}
END_TEST

START_TEST(drivers_of_pcr_2_are_images_of_their_own_kind) {
    log_event(&made, 2, EV_EFI_RUNTIME_SERVICES_DRIVER, efi_image_of(NULL), bytes_of_text("rom"));
    derive();
    ck_assert_uint_eq(facts.num_images, 4);
    ck_assert_int_eq(facts.image[3].kind, FACT_IMAGE_DRIVER);
}
END_TEST

START_TEST(images_of_pcrs_that_were_not_quoted_are_no_facts) {
    facts_of_log(&facts, &arena, log_bytes(&made), sha256, FACTS_EVERY_PCR & ~(1u << 4));
    ck_assert_uint_eq(facts.num_images, 0);
}
END_TEST

/* --- firmware --- */

START_TEST(firmware_version_and_blobs_are_read) {
    derive();
    ck_assert_str_eq(facts.firmware.version, "1.42");
    ck_assert_uint_eq(facts.firmware.version_event, 1);
    ck_assert_uint_eq(facts.firmware.num_blobs, 1);
    ck_assert_uint_eq(facts.firmware.blob[0].base, 0x100000);
    ck_assert_uint_eq(facts.firmware.blob[0].length, 0x200000);
}
END_TEST

START_TEST(firmware_version_behind_the_separator_is_not_believed) {
    log_bound(&made, 0, EV_S_CRTM_VERSION, efi_joined(efi_wide("9.99"), bytes_of("\0", 2)));
    log_separator(&made, 0, 0);
    derive();
    ck_assert_str_eq(facts.firmware.version, "1.42");
    bend(nth(0, 0));
    bend(nth(0, 2));
    derive();
    ck_assert_ptr_null(facts.firmware.version);
}
END_TEST

START_TEST(two_versions_are_none) {
    begin();
    log_text(&made, 0, EV_S_CRTM_VERSION, "1.0");
    log_text(&made, 0, EV_S_CRTM_VERSION, "2.0");
    log_separator(&made, 0, 0);
    derive();
    ck_assert_ptr_null(facts.firmware.version);
    ck_assert_uint_eq(facts.firmware.version_bytes.len, 0);
}
END_TEST

START_TEST(version_that_is_no_text_is_bytes) {
    begin();
    log_bound(&made, 0, EV_S_CRTM_VERSION,
              bytes_of("\x1e\xfbkT\x0c\x1dU@\xa4\xadN\xf4\xbf\x17\xb8:", 16));
    log_separator(&made, 0, 0);
    derive();
    ck_assert_ptr_null(facts.firmware.version);
    ck_assert_uint_eq(facts.firmware.version_bytes.len, 16);
}
END_TEST

START_TEST(whatever_else_stands_in_pcr_0_is_a_part_of_it) {
    log_text(&made, 0, 0x77777777, "something");
    log_separator(&made, 0, 1);
    derive();
    ck_assert_uint_eq(facts.firmware.num_blobs, 3);
}
END_TEST

/* --- command lines --- */

START_TEST(command_line_is_read_once) {
    derive();
    ck_assert_uint_eq(facts.os.num_command_lines, 1);
    const struct fact_command_line *line = &facts.os.command_line[0];
    ck_assert(line->labelled);
    ck_assert_int_eq(line->loader, FACT_LOADER_GRUB);
    ck_assert_str_eq(line->text, "root=/dev/vda1 ro quiet");
    ck_assert_str_eq(line->image, "/vmlinuz");
    const struct fact_event *event = &facts.event[line->event];
    ck_assert_int_eq(event->data_vouched, VOUCHED_BOUND);
    ck_assert(bytes_equal(event->bound, bytes_of_text("/vmlinuz root=/dev/vda1 ro quiet")));
}
END_TEST

static const struct fact_command_line *only_line(void) {
    derive();
    ck_assert_uint_eq(facts.os.num_command_lines, 1);
    return &facts.os.command_line[0];
}

START_TEST(relabelling_hides_no_command_line) {
    static const struct {
        const char *label, *text, *left;
    } cases[] = {
        {"grub_cmd", "/vmlinuz init=/bin/sh", "init=/bin/sh"},
        {"module_cmdline", "(hd0,gpt1)/vmlinuz init=/bin/sh", "init=/bin/sh"},
        {"x", "/vmlinuz init=/bin/sh", "init=/bin/sh"},
        {"grub_cmd", "linux /vmlinuz init=/bin/sh", "init=/bin/sh"},
        {"grub_cmd", "linuxefi /vmlinuz init=/bin/sh", "init=/bin/sh"},
        {"grub_cmd", "linux16 /vmlinuz init=/bin/sh", "init=/bin/sh"},
        {"grub_cmd", "! linux /vmlinuz init=/bin/sh", "init=/bin/sh"},
        {"grub_cmd", "chainloader /evil.efi", ""},
        {"grub_cmd", "chainloader (hd1)+1", ""},
        {"grub_cmd", "(hd1)+1 ro", "ro"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        log_grub(&made, cases[i].label, cases[i].text);
        ck_assert(!only_line()->labelled);
        ck_assert_str_eq(only_line()->text, cases[i].left);
    }
}
END_TEST

START_TEST(text_without_any_label_is_a_command_line_all_the_same) {
    begin();
    log_text(&made, 8, EV_IPL, "/vmlinuz init=/bin/sh");
    ck_assert_str_eq(only_line()->text, "init=/bin/sh");
}
END_TEST

START_TEST(text_that_is_made_unreadable_may_be_a_command_line) {
    size_t last = nth(8, 0);
    bend(last);
    derive();
    ck_assert_uint_eq(facts.os.num_command_lines, 2);
    ck_assert_str_eq(facts.os.command_line[0].text, FACT_TEXT_UNKNOWN);
    ck_assert(!facts.os.command_line[0].labelled);
    ck_assert_uint_eq(facts.os.command_line[0].event, last);
}
END_TEST

START_TEST(commands_that_start_nothing_are_no_command_lines) {
    static const char *const texts[] = {"set root=hd0",
                                        "linuxfoo /x",
                                        "root=/dev/sda",
                                        "insmod linux",
                                        "menuentry Debian { linux /vmlinuz }",
                                        "",
                                        "echo /vmlinuz"};
    begin();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        log_grub(&made, "grub_cmd", texts[i]);
    }
    derive();
    ck_assert_uint_eq(facts.os.num_command_lines, 0);
}
END_TEST

START_TEST(command_differs_from_its_command_line_in_quotes) {
    begin();
    log_grub(&made, "grub_cmd", "linux /vmlinuz dm=a b ro");
    log_grub(&made, "kernel_cmdline", "/vmlinuz \"dm=a b\" ro");
    ck_assert(only_line()->labelled);
    ck_assert_str_eq(only_line()->text, "\"dm=a b\" ro");
    log_grub(&made, "grub_cmd", "linux /vmlinuz dm=a b rw");
    derive();
    ck_assert_uint_eq(facts.os.num_command_lines, 2);
}
END_TEST

START_TEST(only_a_command_is_left_out_for_its_command_line) {
    begin();
    log_grub(&made, "grub_cmd", "/vmlinuz dm=a b ro");
    log_grub(&made, "kernel_cmdline", "/vmlinuz \"dm=a b\" ro");
    derive();
    ck_assert_uint_eq(facts.os.num_command_lines, 2);
}
END_TEST

START_TEST(older_grubs_labels_and_zeros_are_read) {
    begin();
    log_event(&made, 8, EV_IPL, bytes_of("grub_cmd set pager=1", 21), bytes_of("set pager=1", 12));
    log_event(&made, 8, EV_IPL, bytes_of("grub_kernel_cmdline /vmlinuz ro", 32),
              bytes_of("/vmlinuz ro", 11));
    ck_assert(only_line()->labelled);
    ck_assert_str_eq(only_line()->text, "ro");
}
END_TEST

START_TEST(systemd_texts_are_read_in_utf16) {
    struct bytes text = efi_wide("ro quiet"), zero = bytes_of("\0", 2);
    begin();
    log_bound(&made, 12, EV_IPL, efi_joined(text, zero));
    ck_assert_str_eq(only_line()->text, "ro quiet");
    ck_assert_int_eq(only_line()->loader, FACT_LOADER_SYSTEMD_STUB);
    begin();
    log_event(&made, 12, EV_IPL, efi_joined(text, zero), text);
    ck_assert_str_eq(only_line()->text, "ro quiet");
    begin(); /* systemd-boot of old cuts the zero in half */
    log_event(&made, 8, EV_IPL, efi_joined(text, bytes_of("\0", 1)), efi_joined(text, zero));
    ck_assert_str_eq(only_line()->text, "ro quiet");
    begin();
    log_event(&made, 12, EV_IPL, efi_joined(text, zero), bytes_of_text("other"));
    ck_assert_str_eq(only_line()->text, FACT_TEXT_UNKNOWN);
}
END_TEST

START_TEST(windows_events_of_pcr_12_are_no_command_lines) {
    begin();
    log_bound(&made, 12, EV_EVENT_TAG, efi_tagged_of(0x40010001, efi_tagged_of(0x20007, on)));
    log_text(&made, 12, EV_SEPARATOR, "WBCL");
    derive();
    ck_assert_uint_eq(facts.os.num_command_lines, 0);
}
END_TEST

/* --- files --- */

START_TEST(files_and_initrds_are_read) {
    derive();
    ck_assert_uint_eq(facts.os.num_files, 3);
    ck_assert_str_eq(facts.os.file[0].name, "MokList");
    ck_assert_uint_eq(facts.os.file[0].pcr, 14);
    ck_assert_str_eq(facts.os.file[1].name, "/vmlinuz");
    ck_assert(!facts.os.file[0].is_initrd && !facts.os.file[1].is_initrd);
    ck_assert_str_eq(facts.os.file[2].name, "/initrd.img");
    ck_assert(facts.os.file[2].is_initrd);
    ck_assert_uint_eq(facts.os.file[2].digest[0].len, 32);
}
END_TEST

START_TEST(initrd_that_a_command_names_is_one_by_any_name) {
    begin();
    log_grub(&made, "grub_cmd", "initrd /boot/ramdisk newc:etc/x:/boot/extra");
    log_grub_file(&made, "/boot/ramdisk", "ramdisk");
    log_grub_file(&made, "/boot/extra", "extra");
    log_grub_file(&made, "/boot/font", "font");
    derive();
    ck_assert_uint_eq(facts.os.num_files, 3);
    ck_assert(facts.os.file[0].is_initrd && facts.os.file[1].is_initrd);
    ck_assert(!facts.os.file[2].is_initrd);
}
END_TEST

START_TEST(renamed_initrd_is_missed) {
    begin();
    log_grub(&made, "grub_cmd", "initrd /initrd.img /evil.img");
    log_grub_file(&made, "/initrd.img", "initrd");
    log_grub_file(&made, "/harmless.pf2", "evil");
    derive();
    ck_assert_uint_eq(facts.os.num_files, 3);
    ck_assert(facts.os.file[2].is_initrd);
    ck_assert_str_eq(facts.os.file[2].name, "/evil.img");
    ck_assert_uint_eq(facts.os.file[2].digest[0].len, 0);
}
END_TEST

START_TEST(redhats_grub_names_files_by_their_kind) {
    begin();
    log_grub(&made, "grub_cmd", "initrd (hd0)/initramfs.img");
    log_grub_file(&made, "grub_linuxefi Initrd", "initrd");
    derive();
    ck_assert_uint_eq(facts.os.num_files, 1);
    ck_assert(facts.os.file[0].is_initrd);
}
END_TEST

START_TEST(linux_stubs_initrd_is_known_by_its_tag) {
    begin();
    log_event(&made, 9, EV_EVENT_TAG, efi_tagged_of(0x8F3B22EC, bytes_of("Linux initrd", 13)),
              bytes_of_text("cpio"));
    log_event(&made, 9, EV_EVENT_TAG,
              efi_tagged_of(0x8F3B22ED, bytes_of("LOADED_IMAGE::LoadOptions", 26)),
              bytes_of_text("ro"));
    derive();
    ck_assert_uint_eq(facts.os.num_files, 2);
    ck_assert(facts.os.file[0].is_initrd && !facts.os.file[1].is_initrd);
    ck_assert_str_eq(facts.os.file[1].name, "LOADED_IMAGE::LoadOptions");
}
END_TEST

/* A section's name is measured as ASCII with its zero, and logged in UTF-16; then its contents. */
START_TEST(sections_of_a_unified_kernel_image_have_bound_names) {
    struct bytes name = efi_joined(efi_wide(".initrd"), bytes_of("\0", 2));
    struct bytes lie = efi_joined(efi_wide(".splash"), bytes_of("\0", 2));
    begin();
    log_event(&made, 11, EV_IPL, name, bytes_of(".initrd", 8));
    log_event(&made, 11, EV_IPL, lie, bytes_of_text("cpio"));
    derive();
    ck_assert_uint_eq(facts.os.num_files, 1);
    ck_assert_str_eq(facts.os.file[0].name, ".initrd");
    ck_assert(facts.os.file[0].is_initrd);
    ck_assert(bytes_equal(facts.event[1].bound, bytes_of(".initrd", 8)));
}
END_TEST

/* --- all --- */

static void check_same(const struct facts *a, const struct facts *b) {
    ck_assert_int_eq(a->secure_boot.enabled, b->secure_boot.enabled);
    ck_assert_uint_eq(a->secure_boot.db.num, b->secure_boot.db.num);
    ck_assert_uint_eq(a->secure_boot.dbx.num, b->secure_boot.dbx.num);
    ck_assert_uint_eq(a->num_images, b->num_images);
    ck_assert_uint_eq(a->os.num_sbat, b->os.num_sbat);
    ck_assert_uint_eq(a->os.num_command_lines, b->os.num_command_lines);
}

/* Of each event every bit of its data: Secure Boot never becomes on, keys never change for others, images never
 * become fewer, nor command lines. */
START_TEST(no_bit_of_any_data_adds_or_hides_a_fact) {
    derive();
    struct facts whole = facts;
    for (size_t i = 1; i < made.num_events; i++) {
        size_t stop = i + 1 < made.num_events ? made.start[i + 1] : made.len;
        for (size_t bit = 8 * made.data_at[i]; bit < 8 * stop; bit++) {
            struct arena one;
            arena_init(&one, 1 << 20);
            made.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            facts_of(&facts, &one, &made);
            const struct fact_secure_boot *now = &facts.secure_boot;
            ck_assert_uint_ge(facts.num_images, whole.num_images);
            ck_assert_uint_ge(facts.os.num_command_lines, whole.os.num_command_lines);
            ck_assert_uint_ge(now->num_authorities, whole.secure_boot.num_authorities);
            if (facts.event[i].pcr == 7 && i <= nth(7, 4)) {
                ck_assert_ptr_nonnull(now->distrusted_why);
            } else {
                ck_assert_int_eq(now->enabled, FACT_YES);
                ck_assert_uint_eq(now->dbx.num, whole.secure_boot.dbx.num);
            }
            made.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            arena_free(&one);
        }
        arena_free(&arena);
    }
    derive();
    check_same(&facts, &whole);
}
END_TEST

START_TEST(full_memory_is_no_facts) {
    struct boot_state state;
    derive();
    ck_assert_int_eq(boot_state_of(&state, &arena, &facts), STATUS_OK);
    struct arena fresh;
    arena_init(&fresh, 1 << 20);
    ck_assert_int_eq(boot_state_facts(&facts, &fresh, state.form, log_bytes(&made), NULL),
                     STATUS_OK);
    size_t used = fresh.used;
    arena_free(&fresh);
    for (size_t cap = 0; cap < used; cap += 64) {
        arena_init(&fresh, cap);
        ck_assert_int_eq(boot_state_facts(&facts, &fresh, state.form, log_bytes(&made), NULL),
                         STATUS_MEMORY);
        arena_free(&fresh);
    }
}
END_TEST

static Suite *facts_suite(void) {
    const TTest *const tests[] = {
        secure_boot_and_its_keys_are_read,
        authorities_are_read_in_order,
        log_without_pcr_7_says_nothing_of_secure_boot,
        pcr_7_that_was_not_quoted_says_nothing,
        sha1_alone_binds_nothing,
        every_value_but_one_is_not_on,
        settings_behind_the_separator_are_not_believed,
        real_settings_cannot_be_made_unreadable_in_favour_of_later_ones,
        retyping_changes_nothing_of_secure_boot,
        variable_of_another_vendor_is_not_the_one,
        variable_measured_twice_with_other_contents_is_distrusted,
        entry_of_db_that_admitted_a_driver_is_no_second_db,
        what_says_not_to_believe_pcr_7_is_said,
        settings_that_no_separator_ends_are_distrusted,
        second_separator_changes_nothing,
        broken_signature_lists_are_not_known,
        authority_that_is_made_unreadable_is_an_unknown_one,
        old_shims_authority_is_bound_but_for_its_last_byte,
        sbat_level_is_read,
        later_sbat_level_raises_nothing,
        sbat_level_behind_unreadable_events_is_unknown,
        sbat_level_counts_only_before_shim_admits_something,
        odd_sbat_lines_say_nothing,
        images_are_read_in_order_with_their_paths,
        no_type_or_data_hide_an_image,
        text_that_is_not_bound_hides_no_image,
        unknown_texts_and_error_separators_are_images,
        action_that_is_made_unreadable_is_an_image,
        drivers_of_pcr_2_are_images_of_their_own_kind,
        images_of_pcrs_that_were_not_quoted_are_no_facts,
        firmware_version_and_blobs_are_read,
        firmware_version_behind_the_separator_is_not_believed,
        two_versions_are_none,
        version_that_is_no_text_is_bytes,
        whatever_else_stands_in_pcr_0_is_a_part_of_it,
        command_line_is_read_once,
        relabelling_hides_no_command_line,
        text_without_any_label_is_a_command_line_all_the_same,
        text_that_is_made_unreadable_may_be_a_command_line,
        commands_that_start_nothing_are_no_command_lines,
        command_differs_from_its_command_line_in_quotes,
        only_a_command_is_left_out_for_its_command_line,
        older_grubs_labels_and_zeros_are_read,
        digest_of_a_separator_in_one_bank_hides_nothing_in_another,
        systemd_texts_are_read_in_utf16,
        windows_events_of_pcr_12_are_no_command_lines,
        files_and_initrds_are_read,
        initrd_that_a_command_names_is_one_by_any_name,
        renamed_initrd_is_missed,
        redhats_grub_names_files_by_their_kind,
        linux_stubs_initrd_is_known_by_its_tag,
        sections_of_a_unified_kernel_image_have_bound_names,
        no_bit_of_any_data_adds_or_hides_a_fact,
        full_memory_is_no_facts,
    };
    Suite *suite = suite_create("facts");
    TCase *tcase = tcase_create("facts");
    tcase_add_checked_fixture(tcase, start, end);
    tcase_set_timeout(tcase, 60);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(facts_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

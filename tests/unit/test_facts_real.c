/* Facts of real event logs against what independent tools say of them. */
#include "server/base/encoding.h"
#include "server/evidence/tpm2/event_data.h"
#include "server/evidence/tpm2/eventlog.h"
#include "tests/unit/facts_builder.h"
#include "tests/unit/real_data.h"

#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOGS_MAX = 200 };

static char *names[LOGS_MAX];
static int num_names;
static const char *const boots[] = {
    "A1-secureboot-good", "A2-secureboot-good-reboot", "C-cmdline-changed", "D1-kernel-generic",
    "E1-own-test-pk",     "F1-second-device",          "G1-ima-good",       "G4-ima-late"};
enum { NUM_BOOTS = sizeof boots / sizeof *boots };

static struct arena arena;
static struct facts facts;
static json_t *known;

static void start(void) {
    arena_init(&arena, 1 << 26);
    known = NULL;
}

static void end(void) {
    arena_free(&arena);
    json_decref(known);
}

static json_t *read_json(const char *file) {
    struct bytes text = real_file(&arena, "%s", file);
    json_t *json = json_loadb((const char *)text.data, text.len, 0, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

/* The length of the variable that an event measured. */
static long length_of(uint32_t event) {
    struct efi_variable variable;
    if (event == FACT_NO_EVENT ||
        efi_variable_parse(&variable, facts.event[event].bound) != STATUS_OK) {
        return -1;
    }
    return (long)variable.data.len;
}

static void check_length(json_t *from, const char *name, const struct fact_keys *keys) {
    json_t *length = json_object_get(from, name);
    if (length != NULL) {
        ck_assert(keys->known);
        ck_assert_int_eq(length_of(keys->event), (long)json_integer_value(length));
    }
}

/* The commonName, as far as the other tool gave it. */
static void check_subject(const char *expected) {
    const char *name = expected == NULL ? NULL : strstr(expected, "CN=");
    if (name != NULL) {
        char text[128];
        (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(name, ","), name);
        ck_assert_uint_eq(facts.secure_boot.platform_key.num, 1);
        ck_assert_ptr_nonnull(facts.secure_boot.platform_key.key[0].subject);
        ck_assert_ptr_nonnull(strstr(facts.secure_boot.platform_key.key[0].subject, text));
    }
}

static bool is_state(const char *name) {
    return strcmp(name, "SbatLevel") == 0 || strcmp(name, "MokListTrusted") == 0;
}

static void check_authorities(json_t *expected, const char *member) {
    const struct fact_secure_boot *secure_boot = &facts.secure_boot;
    size_t i, found = 0;
    json_t *element;
    json_array_foreach(expected, i, element) {
        const char *name =
            json_string_value(member == NULL ? element : json_object_get(element, member));
        if (!is_state(name)) {
            ck_assert_uint_lt(found, secure_boot->num_authorities);
            ck_assert_str_eq(secure_boot->authority[found].variable, name);
            ck_assert_int_eq(secure_boot->authority[found].key.kind, FACT_KEY_CERTIFICATE);
            ck_assert_ptr_nonnull(secure_boot->authority[found++].key.subject);
        }
    }
    ck_assert_uint_eq(found, secure_boot->num_authorities);
}

static void check_log(json_t *expected) {
    const struct fact_secure_boot *secure_boot = &facts.secure_boot;
    const char *enabled = json_string_value(json_object_get(expected, "SecureBoot"));
    if (enabled != NULL) {
        ck_assert_int_eq(secure_boot->enabled, strcmp(enabled, "01") == 0 ? FACT_YES : FACT_NO);
    }
    check_length(expected, "PK", &secure_boot->platform_key);
    check_length(expected, "KEK", &secure_boot->key_exchange_keys);
    check_length(expected, "db", &secure_boot->db);
    check_length(expected, "dbx", &secure_boot->dbx);
    check_subject(json_string_value(json_object_get(expected, "PKsubj")));
    check_authorities(json_object_get(expected, "authority"), NULL);
}

/* In PCRs 7, 8 and 12 nothing of a real UEFI boot is left unread. */
static void check_bound(void) {
    for (size_t i = 0; i < facts.num_events; i++) {
        const struct fact_event *event = &facts.event[i];
        if (event->digest_vouched == VOUCHED_REPLAYED &&
            (event->pcr == 7 || event->pcr == 8 || event->pcr == 12)) {
            ck_assert_int_eq(event->data_vouched, VOUCHED_BOUND);
        }
    }
    for (size_t i = 0; i < facts.os.num_files; i++) {
        ck_assert_uint_gt(facts.os.file[i].digest[0].len, 0);
    }
}

START_TEST(facts_of_each_real_log_are_as_others_read_them) {
    static const uint16_t sha256[] = {HASH_SHA256, 0};
    char path[600];
    struct tcg_eventlog log;
    (void)snprintf(path, sizeof path, "eventlogs/%s.json", names[_i]);
    known = read_json(path);
    struct bytes raw = real_file(&arena, "eventlogs/%s.bin", names[_i]);
    if (json_is_string(json_object_get(known, "error")) ||
        tcg_eventlog_open(&log, raw, NULL) != STATUS_OK || !log.crypto_agile ||
        tcg_eventlog_bank(&log, HASH_SHA256) == TCG_MAX_BANKS) {
        return; /* nothing that could be evidence */
    }
    facts_of_log(&facts, &arena, raw, sha256, FACTS_EVERY_PCR);
    check_log(json_object_get(known, "facts"));
    if (strcmp(names[_i], "kgoldman-tpm2bios") != 0) { /* OpenPOWER's skiboot, not UEFI */
        check_bound();
    }
}
END_TEST

/* --- boots whose every part is known --- */

static void check_hex(struct bytes digest, json_t *expected) {
    char hex[2 * DIGEST_MAX + 1];
    hex_encode(hex, digest);
    ck_assert_str_eq(hex, json_string_value(expected));
}

static void check_images(json_t *expected) {
    size_t found = 0;
    for (size_t i = 0; i < facts.num_images; i++) {
        if (facts.image[i].kind == FACT_IMAGE_BOOT) {
            check_hex(facts.image[i].digest[0], json_array_get(expected, found++));
        }
    }
    ck_assert_uint_eq(found, json_array_size(expected));
}

static void check_command_lines(json_t *expected) {
    ck_assert_uint_eq(facts.os.num_command_lines, json_array_size(expected));
    for (size_t i = 0; i < facts.os.num_command_lines; i++) {
        const struct fact_command_line *line = &facts.os.command_line[i];
        ck_assert(line->labelled);
        ck_assert_str_eq(arena_printf(&arena, "kernel_cmdline: %s %s", line->image, line->text),
                         json_string_value(json_array_get(expected, i)));
    }
}

static void check_variable(json_t *variables, const char *name, const struct fact_keys *keys) {
    json_t *variable = json_object_get(variables, name);
    size_t i;
    json_t *entry;
    check_length(variable, "bytes", keys);
    ck_assert_uint_eq(keys->num, json_array_size(json_object_get(variable, "entries")));
    json_array_foreach(json_object_get(variable, "entries"), i, entry) {
        const char *text = json_string_value(entry);
        if (strncmp(text, "sha256 ", 7) == 0) {
            char hex[65];
            hex_encode(hex, bytes_of(keys->key[i].sha256, 32));
            ck_assert_str_eq(hex, text + 7);
            ck_assert_int_eq(keys->key[i].kind, FACT_KEY_HASH);
        } else {
            const char *name_at = strstr(text, "CN=");
            char common[128];
            (void)snprintf(common, sizeof common, "%.*s", (int)strcspn(name_at, ","), name_at);
            ck_assert_ptr_nonnull(strstr(keys->key[i].subject, common));
        }
    }
}

static void check_initrd(json_t *chain) {
    size_t found = 0;
    for (size_t i = 0; i < facts.os.num_files; i++) {
        if (facts.os.file[i].is_initrd) {
            check_hex(facts.os.file[i].digest[0],
                      json_object_get(json_object_get(chain, "initrd"), "sha256"));
            found++;
        }
    }
    ck_assert_uint_eq(found, 1);
}

START_TEST(facts_of_each_measured_boot_are_what_was_booted) {
    char path[600];
    static const uint16_t sha256[] = {HASH_SHA256, 0};
    (void)snprintf(path, sizeof path, "measured-boot/%s/MANIFEST.json", boots[_i]);
    known = read_json(path);
    json_t *log = json_object_get(known, "event_log");
    json_t *variables = json_object_get(log, "variables");
    facts_of_log(&facts, &arena,
                 real_file(&arena, "measured-boot/%s/binary_bios_measurements", boots[_i]), sha256,
                 0xFFFF);
    check_images(json_object_get(log, "boot_apps_sha256"));
    check_command_lines(json_object_get(log, "grub_cmdline"));
    check_variable(variables, "PK", &facts.secure_boot.platform_key);
    check_variable(variables, "KEK", &facts.secure_boot.key_exchange_keys);
    check_variable(variables, "db", &facts.secure_boot.db);
    check_variable(variables, "dbx", &facts.secure_boot.dbx);
    check_authorities(json_object_get(log, "authorities"), "name");
    check_initrd(json_object_get(known, "chain"));
    check_bound();
    ck_assert_int_eq(facts.secure_boot.enabled, FACT_YES);
    ck_assert_ptr_null(facts.secure_boot.distrusted_why);
    ck_assert_uint_ne(facts.os.sbat_event, FACT_NO_EVENT);
    ck_assert_str_eq(facts.os.sbat[1].component, "shim");
}
END_TEST

static Suite *facts_suite(void) {
    Suite *suite = suite_create("facts: real logs");
    TCase *tcase = tcase_create("facts");
    tcase_add_checked_fixture(tcase, start, end);
    tcase_add_loop_test(tcase, facts_of_each_real_log_are_as_others_read_them, 0, num_names);
    tcase_add_loop_test(tcase, facts_of_each_measured_boot_are_what_was_booted, 0, NUM_BOOTS);
    suite_add_tcase(suite, tcase);
    return suite;
}

static void find_logs(const char *folder) {
    char path[600];
    (void)snprintf(path, sizeof path, "%s/eventlogs", folder);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL && num_names < LOGS_MAX) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".bin") == 0) {
            names[num_names++] = strndup(entry->d_name, len - 4);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

int main(void) {
    const char *folder = real_data();
    if (folder == NULL) {
        return EXIT_SUCCESS;
    }
    find_logs(folder);
    SRunner *runner = srunner_create(facts_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    for (int i = 0; i < num_names; i++) {
        free(names[i]);
    }
    return failed == 0 && num_names > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* `gatehouse inspect` tells what events say: the project's own logs, and those of real machines. */
#include "server/commands/commands.h"
#include "tests/unit/real_data.h"
#include "tests/unit/run_command.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct command_run run;
static json_t *told;

static void start(void) {
    memset(&run, 0, sizeof run);
    told = NULL;
}

static void end(void) {
    json_decref(told);
    command_run_free(&run);
}

static void inspect(const char *file) {
    const char *argv[] = {"inspect", file, NULL};
    run_command(&run, command_inspect, argv, NULL);
    told = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(told);
    ck_assert_int_eq(run.status, EXIT_SUCCESS);
}

/* "events.3.data.text" */
static json_t *at(json_t *from, const char *path) {
    char name[64];
    while (*path != '\0') {
        size_t len = strcspn(path, ".");
        memcpy(name, path, len);
        name[len] = '\0';
        from = json_is_array(from) ? json_array_get(from, strtoul(name, NULL, 10))
                                   : json_object_get(from, name);
        path += len + (path[len] == '.' ? 1 : 0);
    }
    return from;
}

static void check_text(const char *path, const char *expected) {
    ck_assert_msg(json_is_string(at(told, path)), "%s is no text", path);
    ck_assert_str_eq(json_string_value(at(told, path)), expected);
}

/* The data of the n-th event of the PCR. */
static json_t *data_of(int pcr, unsigned n) {
    size_t i;
    json_t *event;
    json_array_foreach(at(told, "events"), i, event) {
        if (json_integer_value(json_object_get(event, "pcr")) == pcr && n-- == 0) {
            return json_object_get(event, "data");
        }
    }
    ck_abort_msg("no such event");
}

START_TEST(secure_boot_is_told_as_facts_that_no_quote_confirmed) {
    inspect("tests/vectors/eventlog/valid/secure-boot.bin");
    ck_assert(json_is_false(at(told, "facts.quoted")));
    ck_assert(json_is_true(at(told, "facts.secure_boot.enabled")));
    check_text("facts.secure_boot.platform_key.entries.0.subject", "CN=platform");
    check_text("facts.secure_boot.authorities.0.key.subject", "CN=vendor");
    check_text("facts.images.1.claimed_path", "\\grubx64.efi");
    check_text("facts.firmware.version", "1.42");
    check_text("facts.os.command_lines.0.text", "root=/dev/vda1 ro quiet");
    ck_assert_ptr_null(at(told, "facts.os.command_lines.1"));
}
END_TEST

START_TEST(certificates_and_authorities_are_told_by_subject) {
    inspect("tests/vectors/eventlog/valid/secure-boot.bin");
    ck_assert_str_eq(json_string_value(at(data_of(7, 1), "signatures.0.subject")), "CN=platform");
    ck_assert_str_eq(json_string_value(at(data_of(7, 6), "subject")), "CN=vendor");
    ck_assert_str_eq(json_string_value(at(data_of(7, 6), "variable")), "db");
    ck_assert_str_eq(json_string_value(at(data_of(7, 8), "subject")), "CN=shims own");
    ck_assert_ptr_null(at(data_of(7, 8), "owner"));
    ck_assert_str_eq(json_string_value(at(data_of(7, 5), "separator")), "end");
}
END_TEST

START_TEST(grubs_texts_are_told_with_label_and_what_is_measured) {
    inspect("tests/vectors/eventlog/valid/secure-boot.bin");
    ck_assert_str_eq(json_string_value(at(data_of(8, 2), "label")), "kernel_cmdline");
    ck_assert_str_eq(json_string_value(at(data_of(8, 2), "measured")),
                     "/vmlinuz root=/dev/vda1 ro quiet");
    ck_assert_ptr_null(at(data_of(9, 0), "label"));
}
END_TEST

START_TEST(stubs_tags_are_told_by_name) {
    inspect("tests/vectors/eventlog/valid/unified-kernel.bin");
    ck_assert_str_eq(json_string_value(at(data_of(9, 0), "name")), "linux_initrd");
    ck_assert_str_eq(json_string_value(at(data_of(11, 0), "text")), ".linux");
    check_text("facts.os.command_lines.0.loader", "systemd_stub");
    check_text("facts.os.files.0.claimed_name", ".linux");
}
END_TEST

START_TEST(windows_events_are_told_by_name_and_value) {
    inspect("tests/vectors/eventlog/valid/windows.bin");
    json_t *flags = at(data_of(12, 0), "windows.0");
    ck_assert_str_eq(json_string_value(at(flags, "name")), "TrustBoundary");
    ck_assert_str_eq(json_string_value(at(flags, "events.0.name")), "OSKernelDebug");
    ck_assert(json_is_false(at(flags, "events.0.value")));
    ck_assert_int_eq((int)json_integer_value(at(flags, "events.1.value")), 7);
    ck_assert_str_eq(json_string_value(at(data_of(13, 0), "windows.0.events.0.events.0.value")),
                     "\\x.sys");
}
END_TEST

START_TEST(handed_over_tables_are_told) {
    inspect("tests/vectors/eventlog/valid/windows.bin");
    ck_assert_str_eq(json_string_value(at(data_of(1, 0), "tables.0.guid")),
                     "33323130-3534-3736-3839-616263646566");
    ck_assert_str_eq(json_string_value(at(data_of(1, 0), "tables.0.address")), "0x100");
}
END_TEST

START_TEST(log_of_the_old_format_has_no_facts) {
    char path[600];
    if (real_data() == NULL) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/eventlogs/google-debian-10.bin", real_data());
    inspect(path);
    ck_assert(json_is_null(at(told, "facts")));
    ck_assert(json_is_true(at(told, "secure_boot.enabled")));
}
END_TEST

/* A Windows boot: its events to their depth, with nothing left unread. */
START_TEST(real_windows_boot_is_told) {
    char path[600];
    if (real_data() == NULL) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/eventlogs/kgoldman-p511.bin", real_data());
    inspect(path);
    ck_assert_ptr_null(strstr(run.out, "unread_len"));
    static const char *const told_of[] = {"BootCounter", "TestSigning", "SystemRoot",
                                          "\\\\WINDOWS", "VSMIDKInfo",  "TrustpointAggregation",
                                          "AIKID"};
    for (size_t i = 0; i < sizeof told_of / sizeof *told_of; i++) {
        ck_assert_msg(strstr(run.out, told_of[i]) != NULL, "%s", told_of[i]);
    }
}
END_TEST

static Suite *inspect_suite(void) {
    Suite *suite = suite_create("commands: what inspect tells of events");
    TCase *tcase = tcase_create("inspect");
    tcase_add_checked_fixture(tcase, start, end);
    tcase_add_test(tcase, secure_boot_is_told_as_facts_that_no_quote_confirmed);
    tcase_add_test(tcase, certificates_and_authorities_are_told_by_subject);
    tcase_add_test(tcase, grubs_texts_are_told_with_label_and_what_is_measured);
    tcase_add_test(tcase, stubs_tags_are_told_by_name);
    tcase_add_test(tcase, windows_events_are_told_by_name_and_value);
    tcase_add_test(tcase, handed_over_tables_are_told);
    tcase_add_test(tcase, log_of_the_old_format_has_no_facts);
    tcase_add_test(tcase, real_windows_boot_is_told);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(inspect_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

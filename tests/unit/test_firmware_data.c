/* The data of firmware's rarer events, and of Windows': each reader takes what is of its structure to the last byte,
 * and nothing else. */
#include "server/crypto/x509.h"
#include "server/evidence/tpm2/firmware_data.h"
#include "server/evidence/tpm2/wbcl.h"
#include "tests/unit/efi_builder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static uint8_t buffer[4096];
static struct writer made;

static void start(void) {
    made = writer_of(buffer, sizeof buffer);
}

static void u64(uint64_t value) {
    write_u32le(&made, (uint32_t)value);
    write_u32le(&made, (uint32_t)(value >> 32));
}

/* A copy of exactly that length, so that a read past it is seen. */
#define WITH_PREFIX(name, whole, len)                                                              \
    for (uint8_t *name = exact_copy(bytes_of((whole).data, len)); name != NULL;                    \
         free(name), name = NULL)

static void make_tables(unsigned num) {
    u64(num);
    for (unsigned i = 0; i < num; i++) {
        write_bytes(&made, bytes_of("0123456789abcdef", 16));
        u64(0x1000 + i);
    }
}

START_TEST(handoff_tables_give_each_table) {
    struct efi_handoff handoff;
    struct bytes guid;
    uint64_t address;
    make_tables(2);
    ck_assert_int_eq(efi_handoff_parse(&handoff, writer_bytes(&made)), STATUS_OK);
    ck_assert_uint_eq(handoff.num, 2);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(efi_handoff_next(&handoff, &guid, &address), STATUS_OK);
        ck_assert_uint_eq(address, 0x1000 + i);
        ck_assert(bytes_equal(guid, bytes_of("0123456789abcdef", 16)));
    }
    ck_assert_int_eq(efi_handoff_next(&handoff, &guid, &address), STATUS_END);
}
END_TEST

START_TEST(second_form_of_handoff_tables_has_a_description) {
    struct efi_handoff handoff;
    write_u8(&made, 4);
    write_bytes(&made, bytes_of_text("acpi"));
    make_tables(1);
    ck_assert_int_eq(efi_handoff2_parse(&handoff, writer_bytes(&made)), STATUS_OK);
    ck_assert(bytes_equal(handoff.description, bytes_of_text("acpi")));
    ck_assert_int_ne(efi_handoff_parse(&handoff, writer_bytes(&made)), STATUS_OK);
    for (size_t len = 0; len < made.len; len++) {
        WITH_PREFIX(copy, writer_bytes(&made), len) {
            ck_assert_int_ne(efi_handoff2_parse(&handoff, bytes_of(copy, len)), STATUS_OK);
        }
    }
}
END_TEST

START_TEST(handoff_tables_of_another_number_are_refused) {
    struct efi_handoff handoff = {.num = 77};
    static const uint64_t numbers[] = {0, 1, 3, UINT64_MAX, UINT64_MAX / 24 + 3};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        start();
        make_tables(2);
        struct writer head = writer_of(buffer, 8);
        write_u32le(&head, (uint32_t)numbers[i]);
        write_u32le(&head, (uint32_t)(numbers[i] >> 32));
        ck_assert_int_eq(efi_handoff_parse(&handoff, writer_bytes(&made)), STATUS_MALFORMED);
    }
    for (size_t len = 0; len < made.len; len++) {
        WITH_PREFIX(copy, writer_bytes(&made), len) {
            ck_assert_int_ne(efi_handoff_parse(&handoff, bytes_of(copy, len)), STATUS_OK);
        }
    }
    ck_assert_uint_eq(handoff.num, 77);
}
END_TEST

static void make_option(void) {
    write_u32le(&made, 1);
    write_u16le(&made, 4);
    write_bytes(&made, efi_wide("Linux"));
    write_u16le(&made, 0);
    write_bytes(&made, bytes_of("\x7f\xff\x04\0", 4));
}

START_TEST(load_option_gives_its_parts) {
    struct efi_load_option option;
    make_option();
    write_bytes(&made, bytes_of_text("more"));
    ck_assert_int_eq(efi_load_option_parse(&option, writer_bytes(&made)), STATUS_OK);
    ck_assert_uint_eq(option.attributes, 1);
    ck_assert_uint_eq(option.description.len, 12);
    ck_assert(bytes_equal(option.device_path, bytes_of("\x7f\xff\x04\0", 4)));
    ck_assert(bytes_equal(option.optional, bytes_of_text("more")));
}
END_TEST

START_TEST(load_option_cut_anywhere_is_refused) {
    struct efi_load_option option;
    make_option();
    for (size_t len = 0; len < made.len; len++) {
        WITH_PREFIX(copy, writer_bytes(&made), len) {
            ck_assert_int_eq(efi_load_option_parse(&option, bytes_of(copy, len)), STATUS_TRUNCATED);
        }
    }
}
END_TEST

static void make_manifest(const char *signature) {
    char padded[16] = {0};
    memcpy(padded, signature, strlen(signature));
    write_bytes(&made, bytes_of(padded, sizeof padded));
    write_u32le(&made, 0x157);
    write_bytes(&made, bytes_of("0123456789abcdef", 16));
    write_u8(&made, 5);
    write_bytes(&made, bytes_of("Acme", 5));
    write_u8(&made, 3);
    write_bytes(&made, bytes_of("E9", 3));
}

START_TEST(reference_manifests_are_read_in_each_form) {
    static const char *const forms[] = {"SP800-155 Event", "SP800-155 Event2", "SP800-155 Event3"};
    for (size_t i = 0; i < 3; i++) {
        struct tcg_manifest manifest;
        start();
        make_manifest(forms[i]);
        ck_assert_int_eq(tcg_manifest_parse(&manifest, writer_bytes(&made)), STATUS_OK);
        ck_assert_uint_eq(manifest.vendor_id, 0x157);
        ck_assert_uint_eq(manifest.platform_maker.len, i == 0 ? 0 : 5);
        size_t needed = i == 0 ? 36 : made.len;
        for (size_t len = 0; len < needed; len++) {
            WITH_PREFIX(copy, writer_bytes(&made), len) {
                ck_assert_int_ne(tcg_manifest_parse(&manifest, bytes_of(copy, len)), STATUS_OK);
            }
        }
    }
}
END_TEST

START_TEST(other_signatures_are_no_manifest) {
    static const char *const others[] = {"SP800-155 Event4", "SP800-155", "StartupLocality", ""};
    for (size_t i = 0; i < 4; i++) {
        struct tcg_manifest manifest;
        start();
        make_manifest(others[i]);
        ck_assert_int_eq(tcg_manifest_parse(&manifest, writer_bytes(&made)), STATUS_MALFORMED);
    }
}
END_TEST

START_TEST(windows_events_are_read_one_by_one) {
    struct bytes flag = efi_tagged_of(0x00050001, bytes_of("\0", 1));
    struct bytes data = efi_joined(flag, efi_tagged_of(0x00070001, efi_wide("\\x.sys")));
    struct wbcl_event event;
    ck_assert_int_eq(wbcl_next(&data, &event), STATUS_OK);
    ck_assert_str_eq(wbcl_name(event.id), "OSKernelDebug");
    ck_assert_int_eq(wbcl_kind(event.id), WBCL_BOOLEAN);
    ck_assert_uint_eq(event.data.len, 1);
    ck_assert_int_eq(wbcl_next(&data, &event), STATUS_OK);
    ck_assert_int_eq(wbcl_kind(event.id), WBCL_TEXT);
    ck_assert_int_eq(wbcl_next(&data, &event), STATUS_END);
    ck_assert_int_eq(wbcl_kind(0x40010001), WBCL_CONTAINER);
    ck_assert_ptr_null(wbcl_name(0x12345678));
    ck_assert_int_eq(wbcl_kind(0x12345678), WBCL_BYTES);
}
END_TEST

START_TEST(windows_event_cut_anywhere_is_left_as_it_is) {
    struct bytes whole = efi_tagged_of(0x40010001, efi_tagged_of(0x00050001, bytes_of("\0", 1)));
    for (size_t len = 1; len < whole.len; len++) {
        WITH_PREFIX(copy, whole, len) {
            struct bytes data = bytes_of(copy, len);
            struct wbcl_event event = {.id = 7};
            ck_assert_int_eq(wbcl_next(&data, &event), STATUS_TRUNCATED);
            ck_assert_uint_eq(data.len, len);
            ck_assert_uint_eq(event.id, 7);
        }
    }
}
END_TEST

START_TEST(windows_numbers_have_four_sizes) {
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint64_t value = 0;
        bool fits = len == 1 || len == 2 || len == 4 || len == 8;
        ck_assert_int_eq(wbcl_number(bytes_of(bytes, len), &value), fits);
        ck_assert(!fits || (value & 0xFF) == 1);
        ck_assert(len != 8 || value == 0x0807060504030201);
    }
}
END_TEST

START_TEST(subject_is_read_of_whatever_is_framed_as_a_certificate) {
    struct bytes der = efi_certificate("Someone");
    char subject[X509_NAME_TEXT];
    ck_assert(certificate_subject(subject, der));
    ck_assert_str_eq(subject, "CN=Someone");
    for (size_t len = 0; len < der.len; len++) {
        WITH_PREFIX(copy, der, len) {
            ck_assert(!certificate_subject(subject, bytes_of(copy, len)));
        }
    }
    for (size_t bit = 0; bit < 8 * der.len; bit++) {
        uint8_t *copy = exact_copy(der);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (certificate_subject(subject, bytes_of(copy, der.len))) {
            ck_assert_uint_lt(strlen(subject), sizeof subject);
        }
        free(copy);
    }
}
END_TEST

static Suite *data_suite(void) {
    Suite *suite = suite_create("evidence: firmware data");
    TCase *tcase = tcase_create("data");
    tcase_add_checked_fixture(tcase, start, NULL);
    tcase_add_test(tcase, handoff_tables_give_each_table);
    tcase_add_test(tcase, second_form_of_handoff_tables_has_a_description);
    tcase_add_test(tcase, handoff_tables_of_another_number_are_refused);
    tcase_add_test(tcase, load_option_gives_its_parts);
    tcase_add_test(tcase, load_option_cut_anywhere_is_refused);
    tcase_add_test(tcase, reference_manifests_are_read_in_each_form);
    tcase_add_test(tcase, other_signatures_are_no_manifest);
    tcase_add_test(tcase, windows_events_are_read_one_by_one);
    tcase_add_test(tcase, windows_event_cut_anywhere_is_left_as_it_is);
    tcase_add_test(tcase, windows_numbers_have_four_sizes);
    tcase_add_test(tcase, subject_is_read_of_whatever_is_framed_as_a_certificate);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(data_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

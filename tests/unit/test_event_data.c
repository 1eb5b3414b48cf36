#include "server/evidence/tpm2/event_data.h"
#include "tests/unit/evidence_builder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static uint8_t buffer[4096];
static struct writer made;
static const char guid[] = "0123456789abcdef"; /* 16 bytes */

static void start(void) {
    arena_init(&arena, 1 << 20);
    made = writer_of(buffer, sizeof buffer);
}

static void end(void) {
    arena_free(&arena);
}

static void u64(uint64_t value) {
    write_u32le(&made, (uint32_t)value);
    write_u32le(&made, (uint32_t)(value >> 32));
}

static void utf16(const char *text) {
    for (; *text != '\0'; text++) {
        write_u16le(&made, (uint16_t)(unsigned char)*text);
    }
}

static void node(uint8_t type, uint8_t subtype, const void *data, size_t len) {
    write_u8(&made, type);
    write_u8(&made, subtype);
    write_u16le(&made, (uint16_t)(4 + len));
    write_bytes(&made, bytes_of(data, len));
}

START_TEST(guid_has_its_mixed_order) {
    static const uint8_t global[] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                     0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
    char text[EFI_GUID_TEXT];
    efi_guid_format(text, bytes_of(global, 16));
    ck_assert_str_eq(text, "8be4df61-93ca-11d2-aa0d-00e098032b8c");
    efi_guid_format(text, bytes_of(global, 15));
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(utf16_becomes_utf8) {
    static const struct {
        const char *in, *out;
        size_t len;
    } texts[] = {
        {"", "", 0},
        {"d\0b\0", "db", 4},
        {"d\0b\0\0\0x\0", "db", 8},
        {"\xe9\0\xac\x20", "\xc3\xa9\xe2\x82\xac", 4},
        {"\x3d\xd8\x00\xde", "\xf0\x9f\x98\x80", 4},
        {"\x3d\xd8", "\xef\xbf\xbd", 2},
        {"\x00\xde\x61\0", "\xef\xbf\xbd\x61", 4},
        {"\x3d\xd8\x61\0", "\xef\xbf\xbd\x61", 4},
        {"a\0b", "a", 3},
    };
    uint8_t *copy = exact_copy(bytes_of(texts[_i].in, texts[_i].len));
    ck_assert_str_eq(utf16_text(&arena, bytes_of(copy, texts[_i].len)), texts[_i].out);
    free(copy);
}
END_TEST

START_TEST(ascii_text_ends_in_zeros_only) {
    struct bytes out;
    ck_assert(ascii_text(bytes_of("boot\0\0", 6), &out));
    ck_assert_uint_eq(out.len, 4);
    ck_assert(ascii_text(bytes_of("a b\tc\n", 6), &out));
    ck_assert(!ascii_text(bytes_of("", 0), &out));
    ck_assert(!ascii_text(bytes_of("\0", 1), &out));
    ck_assert(!ascii_text(bytes_of("boot\0x", 6), &out));
    ck_assert(!ascii_text(bytes_of("bo\x7fot", 5), &out));
    ck_assert(!ascii_text(bytes_of("bo\xc3\xa9", 4), &out));
}
END_TEST

static void variable(uint64_t name_len, uint64_t data_len) {
    write_bytes(&made, bytes_of(guid, 16));
    u64(name_len);
    u64(data_len);
    utf16("db");
    write_bytes(&made, bytes_of_text("value"));
}

START_TEST(variable_gives_its_parts) {
    struct efi_variable out;
    variable(2, 5);
    ck_assert_int_eq(efi_variable_parse(&out, writer_bytes(&made)), STATUS_OK);
    ck_assert(bytes_equal(out.guid, bytes_of(guid, 16)));
    ck_assert_str_eq(utf16_text(&arena, out.name), "db");
    ck_assert(bytes_equal(out.data, bytes_of_text("value")));
    ck_assert_uint_eq(out.rest.len, 0);
}
END_TEST

START_TEST(variable_keeps_what_old_shims_measured_behind_it) {
    struct efi_variable out;
    variable(2, 3);
    ck_assert_int_eq(efi_variable_parse(&out, writer_bytes(&made)), STATUS_OK);
    ck_assert(bytes_equal(out.data, bytes_of_text("val")));
    ck_assert(bytes_equal(out.rest, bytes_of_text("ue")));
}
END_TEST

START_TEST(variable_with_lengths_that_wrap_is_refused) {
    static const uint64_t lengths[][2] = {
        {5, 0},
        {2, 6},
        {0, 10},
        {UINT64_MAX, 5},
        {2, UINT64_MAX},
        {1ull << 63, 0},
        {0x8000000000000002, 5},
        {2, UINT64_MAX - 3},
        {UINT32_MAX, 1},
        {2, 1ull << 32},
    };
    struct efi_variable out;
    variable(lengths[_i][0], lengths[_i][1]);
    ck_assert_int_eq(efi_variable_parse(&out, writer_bytes(&made)), STATUS_TRUNCATED);
}
END_TEST

START_TEST(variable_cut_anywhere_is_refused) {
    struct efi_variable out;
    variable(2, 5);
    for (size_t len = 0; len < made.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(buffer, len));
        ck_assert_int_eq(efi_variable_parse(&out, bytes_of(copy, len)), STATUS_TRUNCATED);
        free(copy);
    }
}
END_TEST

START_TEST(image_load_gives_its_device_path) {
    struct efi_image_load out;
    u64(0x1000);
    u64(0x2000);
    u64(0);
    u64(4);
    node(0x7F, 0xFF, "", 0);
    ck_assert_int_eq(efi_image_load_parse(&out, writer_bytes(&made)), STATUS_OK);
    ck_assert_uint_eq(out.address, 0x1000);
    ck_assert_uint_eq(out.length, 0x2000);
    ck_assert_uint_eq(out.device_path.len, 4);
    for (size_t len = 0; len < made.len; len++) {
        ck_assert_int_eq(efi_image_load_parse(&out, bytes_of(buffer, len)), STATUS_TRUNCATED);
    }
}
END_TEST

START_TEST(device_path_has_a_text) {
    const char *text = NULL;
    node(2, 1, "\xd0\x41\x03\x0a\0\0\0\0", 8);
    node(1, 1, "\x02\x1f", 2);
    node(3, 18, "\0\0\xff\xff\0\0", 6);
    uint8_t disk[38] = {1};
    disk[4] = 0x80;
    memcpy(disk + 20, guid, 16);
    disk[36] = disk[37] = 2;
    node(4, 1, disk, sizeof disk);
    node(4, 4, "\\\0E\0F\0I\0\0\0", 10);
    node(9, 9, "\xab", 1);
    node(0x7F, 0xFF, "", 0);
    ck_assert_int_eq(efi_path_text(&arena, &text, writer_bytes(&made)), STATUS_OK);
    ck_assert_str_eq(text,
                     "PciRoot(0x0)/Pci(0x1f,0x2)/Sata(0x0,0xffff,0x0)/"
                     "HD(1,GPT,33323130-3534-3736-3839-616263646566,0x80,0x0)/\\EFI/Path(9,9,ab)");
}
END_TEST

START_TEST(device_path_with_a_node_shorter_than_its_head_ends) {
    for (uint16_t len = 0; len < 4; len++) {
        const char *text = NULL;
        uint8_t path[] = {4, 4, (uint8_t)len, 0, 0x7F, 0xFF, 4, 0};
        ck_assert_int_eq(efi_path_text(&arena, &text, bytes_of(path, sizeof path)),
                         STATUS_MALFORMED);
        ck_assert_ptr_null(text);
    }
}
END_TEST

START_TEST(device_path_is_bounded) {
    const char *text = NULL;
    for (int i = 0; i < 65; i++) {
        node(1, 1, "\0\0", 2);
    }
    ck_assert_int_eq(efi_path_text(&arena, &text, writer_bytes(&made)), STATUS_LIMIT);
    made.len -= 6;
    ck_assert_int_eq(efi_path_text(&arena, &text, writer_bytes(&made)), STATUS_OK);
    made.len--;
    ck_assert_int_eq(efi_path_text(&arena, &text, writer_bytes(&made)), STATUS_TRUNCATED);
}
END_TEST

START_TEST(device_path_has_nothing_after_its_end) {
    const char *text = NULL;
    node(0x7F, 0xFF, "", 0);
    node(1, 1, "\0\0", 2);
    ck_assert_int_eq(efi_path_text(&arena, &text, writer_bytes(&made)), STATUS_MALFORMED);
}
END_TEST

static void signature_list(uint32_t list_len, uint32_t header_len, uint32_t entry_len) {
    write_bytes(&made,
                bytes_of("\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28", 16));
    write_u32le(&made, list_len);
    write_u32le(&made, header_len);
    write_u32le(&made, entry_len);
    for (int i = 0; i < 2; i++) {
        write_bytes(&made, bytes_of(guid, 16));
        for (int n = 0; n < 32; n++) {
            write_u8(&made, (uint8_t)(i + 1));
        }
    }
}

START_TEST(signature_list_gives_each_entry) {
    struct efi_signature_list list;
    struct bytes owner, signature, rest;
    signature_list(28 + 96, 0, 48);
    signature_list(28 + 96, 0, 48);
    rest = writer_bytes(&made);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(efi_signature_list_next(&rest, &list), STATUS_OK);
        ck_assert(efi_signature_list_is_sha256(&list));
        ck_assert(!efi_signature_list_is_x509(&list));
        for (uint8_t n = 1; n <= 2; n++) {
            ck_assert_int_eq(efi_signature_next(&list, &owner, &signature), STATUS_OK);
            ck_assert(bytes_equal(owner, bytes_of(guid, 16)));
            ck_assert_uint_eq(signature.len, 32);
            ck_assert(bytes_all(signature, n));
        }
        ck_assert_int_eq(efi_signature_next(&list, &owner, &signature), STATUS_END);
    }
    ck_assert_int_eq(efi_signature_list_next(&rest, &list), STATUS_END);
}
END_TEST

START_TEST(signature_list_with_sizes_that_do_not_fit_is_refused) {
    static const uint32_t sizes[][3] = {
        {0, 0, 48},
        {27, 0, 48},
        {28 + 97, 0, 48},
        {28 + 96, 97, 48},
        {28 + 96, 0, 0},
        {28 + 96, 0, 16},
        {28 + 96, 0, 47},
        {28 + 96, 1, 48},
        {UINT32_MAX, 0, 48},
        {28 + 96, UINT32_MAX, 48},
        {28 + 96, 0, UINT32_MAX},
        {28 + 95, 0, 48},
    };
    struct efi_signature_list list;
    signature_list(sizes[_i][0], sizes[_i][1], sizes[_i][2]);
    struct bytes rest = writer_bytes(&made);
    ck_assert_int_ne(efi_signature_list_next(&rest, &list), STATUS_OK);
    ck_assert_uint_eq(rest.len, made.len);
}
END_TEST

START_TEST(partition_table_gives_each_partition) {
    struct efi_gpt gpt;
    struct efi_gpt_entry entry;
    uint8_t header[92] = "EFI PART";
    memcpy(header + 56, guid, 16);
    write_bytes(&made, bytes_of(header, sizeof header));
    u64(2);
    for (int i = 0; i < 2; i++) {
        write_bytes(&made, bytes_of(guid, 16));
        write_bytes(&made, bytes_of(guid, 16));
        u64(2048);
        u64(4095);
        u64(0);
        size_t at = made.len;
        utf16("ESP");
        while (made.len < at + 72) {
            write_u8(&made, 0);
        }
    }
    ck_assert_int_eq(efi_gpt_parse(&gpt, writer_bytes(&made)), STATUS_OK);
    ck_assert_uint_eq(gpt.num_partitions, 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(efi_gpt_next(&gpt, &entry), STATUS_OK);
        ck_assert_uint_eq(entry.first_lba, 2048);
        ck_assert_uint_eq(entry.last_lba, 4095);
        ck_assert_str_eq(utf16_text(&arena, entry.name), "ESP");
    }
    ck_assert_int_eq(efi_gpt_next(&gpt, &entry), STATUS_END);
    for (size_t len = 0; len < made.len; len++) {
        ck_assert_int_eq(efi_gpt_parse(&gpt, bytes_of(buffer, len)), STATUS_TRUNCATED);
    }
    made.len++;
    ck_assert_int_eq(efi_gpt_parse(&gpt, writer_bytes(&made)), STATUS_MALFORMED);
    made.len--;
    memset(buffer + 92, 0xFF, 8);
    ck_assert_int_eq(efi_gpt_parse(&gpt, writer_bytes(&made)), STATUS_TRUNCATED);
}
END_TEST

START_TEST(firmware_blobs_and_tagged_events_are_their_whole_data) {
    struct efi_blob blob;
    struct tcg_tagged tagged;
    u64(0xFF000000);
    u64(0x1000);
    ck_assert_int_eq(efi_blob_parse(&blob, writer_bytes(&made)), STATUS_OK);
    ck_assert_uint_eq(blob.base, 0xFF000000);
    ck_assert_int_eq(efi_blob_parse(&blob, bytes_of(buffer, 15)), STATUS_TRUNCATED);
    ck_assert_int_eq(efi_blob_parse(&blob, bytes_of(buffer, 17)), STATUS_MALFORMED);
    made.len = 0;
    write_u8(&made, 3);
    write_bytes(&made, bytes_of_text("DXE"));
    u64(1);
    u64(2);
    ck_assert_int_eq(efi_blob2_parse(&blob, writer_bytes(&made)), STATUS_OK);
    ck_assert(bytes_equal(blob.description, bytes_of_text("DXE")));
    ck_assert_uint_eq(blob.length, 2);
    buffer[0] = 255;
    ck_assert_int_eq(efi_blob2_parse(&blob, writer_bytes(&made)), STATUS_TRUNCATED);
    made.len = 0;
    write_u32le(&made, 0x8F3B22EC);
    write_u32le(&made, 2);
    write_bytes(&made, bytes_of_text("ab"));
    ck_assert_int_eq(tcg_tagged_parse(&tagged, writer_bytes(&made)), STATUS_OK);
    ck_assert_uint_eq(tagged.id, 0x8F3B22EC);
    ck_assert_int_eq(tcg_tagged_parse(&tagged, bytes_of(buffer, 9)), STATUS_TRUNCATED);
    ck_assert_int_eq(tcg_tagged_parse(&tagged, bytes_of(buffer, 11)), STATUS_MALFORMED);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("event data");
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, guid_has_its_mixed_order);
    tcase_add_loop_test(tests, utf16_becomes_utf8, 0, 9);
    tcase_add_test(tests, ascii_text_ends_in_zeros_only);
    tcase_add_test(tests, variable_gives_its_parts);
    tcase_add_test(tests, variable_keeps_what_old_shims_measured_behind_it);
    tcase_add_loop_test(tests, variable_with_lengths_that_wrap_is_refused, 0, 10);
    tcase_add_test(tests, variable_cut_anywhere_is_refused);
    tcase_add_test(tests, image_load_gives_its_device_path);
    tcase_add_test(tests, device_path_has_a_text);
    tcase_add_test(tests, device_path_with_a_node_shorter_than_its_head_ends);
    tcase_add_test(tests, device_path_is_bounded);
    tcase_add_test(tests, device_path_has_nothing_after_its_end);
    tcase_add_test(tests, signature_list_gives_each_entry);
    tcase_add_loop_test(tests, signature_list_with_sizes_that_do_not_fit_is_refused, 0, 12);
    tcase_add_test(tests, partition_table_gives_each_partition);
    tcase_add_test(tests, firmware_blobs_and_tagged_events_are_their_whole_data);
    Suite *suite = suite_create("evidence: event data");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

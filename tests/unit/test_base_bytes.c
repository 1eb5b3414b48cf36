#include "server/base/bytes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* `len` bytes 0x01, 0x02, ... in memory of exactly that size: what watches memory sees any byte
 * read past it. */
static struct bytes counting(size_t len) {
    uint8_t *data = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(i + 1);
    }
    return bytes_of(data, len);
}

static void drop(struct bytes in) {
    void *data;
    memcpy(&data, &in.data, sizeof data); /* given back by its maker */
    free(data);
}

enum reader { U8, U16LE, U32LE, U64LE, U16BE, U32BE, U64BE, NUM_READERS };
static const struct {
    size_t len;
    uint64_t value; /* of bytes 01 02 03 ... */
} readers[NUM_READERS] = {
    [U8] = {1, 0x01},
    [U16LE] = {2, 0x0201},
    [U32LE] = {4, 0x04030201},
    [U64LE] = {8, 0x0807060504030201},
    [U16BE] = {2, 0x0102},
    [U32BE] = {4, 0x01020304},
    [U64BE] = {8, 0x0102030405060708},
};

static enum status read_one(enum reader reader, struct bytes *in, uint64_t *out) {
    uint8_t u8 = (uint8_t)*out;
    uint16_t u16 = (uint16_t)*out;
    uint32_t u32 = (uint32_t)*out;
    enum status status = STATUS_INTERNAL;
    switch (reader) {
    case U8:
        status = bytes_u8(in, &u8);
        *out = u8;
        break;
    case U16LE:
    case U16BE:
        status = reader == U16LE ? bytes_u16le(in, &u16) : bytes_u16be(in, &u16);
        *out = u16;
        break;
    case U32LE:
    case U32BE:
        status = reader == U32LE ? bytes_u32le(in, &u32) : bytes_u32be(in, &u32);
        *out = u32;
        break;
    case U64LE:
        status = bytes_u64le(in, out);
        break;
    default:
        status = bytes_u64be(in, out);
        break;
    }
    return status;
}

START_TEST(reader_reads_its_byte_order_and_consumes_its_length) {
    struct bytes whole = counting(readers[_i].len + 1), in = whole;
    uint64_t value = 0;
    ck_assert_int_eq(read_one((enum reader)_i, &in, &value), STATUS_OK);
    ck_assert_uint_eq(value, readers[_i].value);
    ck_assert_uint_eq(in.len, 1);
    ck_assert_ptr_eq(in.data, whole.data + readers[_i].len);
    drop(whole);
}
END_TEST

START_TEST(reader_refuses_every_shorter_input_and_leaves_all_untouched) {
    for (size_t len = 0; len < readers[_i].len; len++) {
        struct bytes whole = counting(len), in = whole;
        uint64_t value = 0x5a;
        ck_assert_int_eq(read_one((enum reader)_i, &in, &value), STATUS_TRUNCATED);
        ck_assert_uint_eq(value, 0x5a);
        ck_assert_ptr_eq(in.data, whole.data);
        ck_assert_uint_eq(in.len, len);
        drop(whole);
    }
}
END_TEST

START_TEST(reader_refuses_an_empty_view_without_data) {
    struct bytes in = {NULL, 0};
    uint64_t value = 7;
    ck_assert_int_eq(read_one((enum reader)_i, &in, &value), STATUS_TRUNCATED);
    ck_assert_uint_eq(value, 7);
}
END_TEST

START_TEST(take_gives_views_until_nothing_is_left) {
    struct bytes whole = counting(5), in = whole, out;
    ck_assert_int_eq(bytes_take(&in, 2, &out), STATUS_OK);
    ck_assert(out.data == whole.data && out.len == 2 && in.len == 3);
    ck_assert_int_eq(bytes_take(&in, 3, &out), STATUS_OK);
    ck_assert(out.len == 3 && in.len == 0);
    ck_assert_int_eq(bytes_take(&in, 0, &out), STATUS_OK);
    ck_assert_uint_eq(out.len, 0);
    ck_assert_int_eq(bytes_take(&in, 1, &out), STATUS_TRUNCATED);
    drop(whole);
}
END_TEST

START_TEST(take_refuses_lengths_that_would_wrap) {
    static const size_t lengths[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1, 6};
    struct bytes whole = counting(5), in = whole, out = {whole.data, 3};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        ck_assert_int_eq(bytes_take(&in, lengths[i], &out), STATUS_TRUNCATED);
        ck_assert(in.data == whole.data && in.len == 5 && out.len == 3);
    }
    drop(whole);
}
END_TEST

START_TEST(prefixed_gives_exactly_the_announced_bytes) {
    static const uint8_t le[] = {3, 0, 0, 0, 'a', 'b', 'c', 'd'};
    static const uint8_t be[] = {0, 3, 'a', 'b', 'c', 'd'};
    struct bytes in = bytes_of(le, sizeof le), out;
    ck_assert_int_eq(bytes_u32le_prefixed(&in, &out), STATUS_OK);
    ck_assert(bytes_equal(out, bytes_of("abc", 3)) && in.len == 1);
    in = bytes_of(be, sizeof be);
    ck_assert_int_eq(bytes_u16be_prefixed(&in, &out), STATUS_OK);
    ck_assert(bytes_equal(out, bytes_of("abc", 3)) && in.len == 1);
}
END_TEST

START_TEST(prefixed_takes_an_empty_field) {
    static const uint8_t zero[4] = {0};
    struct bytes in = bytes_of(zero, 4), out;
    ck_assert_int_eq(bytes_u32le_prefixed(&in, &out), STATUS_OK);
    ck_assert(out.len == 0 && in.len == 0);
}
END_TEST

START_TEST(prefixed_refuses_every_prefix_of_a_field_and_leaves_all_untouched) {
    static const uint8_t le[] = {3, 0, 0, 0, 'a', 'b', 'c'}, be[] = {0, 3, 'a', 'b', 'c'};
    for (size_t len = 0; len < sizeof le; len++) {
        struct bytes in = bytes_of(le, len), out = bytes_of(le, 2);
        ck_assert_int_eq(bytes_u32le_prefixed(&in, &out), STATUS_TRUNCATED);
        ck_assert(in.data == le && in.len == len && out.data == le && out.len == 2);
    }
    for (size_t len = 0; len < sizeof be; len++) {
        struct bytes in = bytes_of(be, len), out = bytes_of(be, 2);
        ck_assert_int_eq(bytes_u16be_prefixed(&in, &out), STATUS_TRUNCATED);
        ck_assert(in.data == be && in.len == len && out.data == be && out.len == 2);
    }
}
END_TEST

START_TEST(prefixed_refuses_the_largest_length) {
    static const uint8_t le[] = {0xff, 0xff, 0xff, 0xff, 'a'};
    struct bytes in = bytes_of(le, sizeof le), out;
    ck_assert_int_eq(bytes_u32le_prefixed(&in, &out), STATUS_TRUNCATED);
    ck_assert_uint_eq(in.len, sizeof le);
}
END_TEST

START_TEST(writer_writes_each_byte_order) {
    static const uint8_t expected[] = {0x01, 0x01, 0x02, 0x01, 0x02, 0x03, 0x04,
                                       0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                       0x08, 0x02, 0x01, 0x04, 0x03, 0x02, 0x01};
    uint8_t room[sizeof expected];
    struct writer w = writer_of(room, sizeof room);
    write_u8(&w, 0x01);
    write_u16be(&w, 0x0102);
    write_u32be(&w, 0x01020304);
    write_u64be(&w, 0x0102030405060708);
    write_u16le(&w, 0x0102);
    write_u32le(&w, 0x01020304);
    ck_assert(!w.overflow);
    ck_assert(bytes_equal(writer_bytes(&w), bytes_of(expected, sizeof expected)));
}
END_TEST

START_TEST(writer_overflow_is_sticky_and_writes_nothing_more) {
    uint8_t room[4] = {0, 0, 0, 0x77};
    struct writer w = writer_of(room, 3);
    write_u16be(&w, 0x0102);
    write_u16be(&w, 0x0304); /* one byte would fit: none is written */
    ck_assert(w.overflow && w.len == 2);
    write_u8(&w, 5); /* would fit */
    write_bytes(&w, bytes_of("", 0));
    ck_assert(w.overflow && w.len == 2);
    ck_assert(room[2] == 0 && room[3] == 0x77);
}
END_TEST

START_TEST(writer_of_no_room_refuses_a_byte_and_takes_nothing) {
    struct writer w = writer_of(NULL, 0);
    write_bytes(&w, (struct bytes){NULL, 0});
    ck_assert(!w.overflow);
    write_u8(&w, 1);
    ck_assert(w.overflow && w.len == 0);
}
END_TEST

START_TEST(equal_tells_each_single_bit_apart) {
    for (size_t bit = 0; bit < 64; bit++) {
        uint8_t a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, b[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        ck_assert(bytes_equal(bytes_of(a, 8), bytes_of(b, 8)));
        ck_assert(bytes_equal_constant_time(bytes_of(a, 8), bytes_of(b, 8)));
        b[bit / 8] = (uint8_t)(b[bit / 8] ^ 1U << bit % 8);
        ck_assert(!bytes_equal(bytes_of(a, 8), bytes_of(b, 8)));
        ck_assert(!bytes_equal_constant_time(bytes_of(a, 8), bytes_of(b, 8)));
    }
}
END_TEST

START_TEST(equal_refuses_a_prefix) {
    ck_assert(!bytes_equal(bytes_of("abc", 3), bytes_of("abc", 2)));
    ck_assert(!bytes_equal_constant_time(bytes_of("abc", 2), bytes_of("abc", 3)));
    ck_assert(!bytes_equal_constant_time(bytes_of("abc", 3), (struct bytes){NULL, 0}));
    ck_assert(bytes_equal_constant_time((struct bytes){NULL, 0}, bytes_of("", 0)));
}
END_TEST

START_TEST(all_finds_the_one_byte_that_differs) {
    uint8_t data[16] = {0};
    ck_assert(bytes_all(bytes_of(data, 16), 0));
    ck_assert(bytes_all((struct bytes){NULL, 0}, 9));
    for (size_t i = 0; i < 16; i++) {
        data[i] = 1;
        ck_assert(!bytes_all(bytes_of(data, 16), 0));
        data[i] = 0;
    }
}
END_TEST

START_TEST(wipe_clears_what_it_is_given_and_no_more) {
    uint8_t data[4] = {1, 2, 3, 4};
    bytes_wipe(data, 3);
    bytes_wipe(NULL, 0);
    ck_assert(data[0] == 0 && data[1] == 0 && data[2] == 0 && data[3] == 4);
}
END_TEST

START_TEST(status_name_knows_each_status_and_no_other) {
    for (int i = 0; i <= STATUS_INTERNAL; i++) {
        const char *name = status_name((enum status)i);
        ck_assert_ptr_nonnull(name);
        ck_assert_str_ne(name, "unknown");
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(name, status_name((enum status)j));
        }
    }
    ck_assert_str_eq(status_name((enum status)(STATUS_INTERNAL + 1)), "unknown");
}
END_TEST

START_TEST(detail_is_cut_to_fit_and_always_ends) {
    char longer[2 * DETAIL_SIZE];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct detail detail;
    detail_set(&detail, "%s", longer);
    ck_assert_uint_eq(strlen(detail.text), DETAIL_SIZE - 1);
    detail_prefix(&detail, "%s", longer);
    ck_assert_uint_eq(strlen(detail.text), DETAIL_SIZE - 1);
    detail_set(&detail, "cause");
    detail_prefix(&detail, "place %d", 7);
    ck_assert_str_eq(detail.text, "place 7: cause");
}
END_TEST

START_TEST(detail_may_be_absent) {
    detail_set(NULL, "nobody listens");
    detail_prefix(NULL, "here");
    ck_assert_int_eq(status_fail(NULL, STATUS_BUSY, "later"), STATUS_BUSY);
}
END_TEST

int main(void) {
    TCase *readers_case = tcase_create("readers");
    tcase_add_loop_test(readers_case, reader_reads_its_byte_order_and_consumes_its_length, 0,
                        NUM_READERS);
    tcase_add_loop_test(readers_case, reader_refuses_every_shorter_input_and_leaves_all_untouched,
                        0, NUM_READERS);
    tcase_add_loop_test(readers_case, reader_refuses_an_empty_view_without_data, 0, NUM_READERS);
    tcase_add_test(readers_case, take_gives_views_until_nothing_is_left);
    tcase_add_test(readers_case, take_refuses_lengths_that_would_wrap);
    tcase_add_test(readers_case, prefixed_gives_exactly_the_announced_bytes);
    tcase_add_test(readers_case, prefixed_takes_an_empty_field);
    tcase_add_test(readers_case, prefixed_refuses_every_prefix_of_a_field_and_leaves_all_untouched);
    tcase_add_test(readers_case, prefixed_refuses_the_largest_length);
    TCase *writers = tcase_create("writers");
    tcase_add_test(writers, writer_writes_each_byte_order);
    tcase_add_test(writers, writer_overflow_is_sticky_and_writes_nothing_more);
    tcase_add_test(writers, writer_of_no_room_refuses_a_byte_and_takes_nothing);
    TCase *others = tcase_create("comparing and statuses");
    tcase_add_test(others, equal_tells_each_single_bit_apart);
    tcase_add_test(others, equal_refuses_a_prefix);
    tcase_add_test(others, all_finds_the_one_byte_that_differs);
    tcase_add_test(others, wipe_clears_what_it_is_given_and_no_more);
    tcase_add_test(others, status_name_knows_each_status_and_no_other);
    tcase_add_test(others, detail_is_cut_to_fit_and_always_ends);
    tcase_add_test(others, detail_may_be_absent);
    Suite *suite = suite_create("base: bytes");
    suite_add_tcase(suite, readers_case);
    suite_add_tcase(suite, writers);
    suite_add_tcase(suite, others);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

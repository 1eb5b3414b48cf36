#include "server/crypto/der.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In memory of exactly its size: what watches memory sees any byte read past it. */
static struct bytes exact(const void *data, size_t len) {
    uint8_t *copy = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, len);
    return bytes_of(copy, len);
}

static void drop(struct bytes in) {
    void *data;
    memcpy(&data, &in.data, sizeof data);
    free(data);
}

#define LITERAL(text) bytes_of("" text, sizeof(text) - 1)

static const struct {
    const char *what;
    const char *data;
    size_t len;
    enum status status;
} broken[] = {
#define BROKEN(what, data, status) {what, data, sizeof(data) - 1, status}
    BROKEN("nothing", "", STATUS_TRUNCATED),
    BROKEN("a tag alone", "\x30", STATUS_TRUNCATED),
    BROKEN("content missing", "\x30\x01", STATUS_TRUNCATED),
    BROKEN("indefinite length", "\x30\x80\x00\x00", STATUS_MALFORMED),
    BROKEN("a long form for 127", "\x30\x81\x7F", STATUS_MALFORMED),
    BROKEN("a long form with a leading zero", "\x30\x82\x00\x80", STATUS_MALFORMED),
    BROKEN("five length bytes", "\x30\x85\x01\x00\x00\x00\x00", STATUS_MALFORMED),
    BROKEN("the reserved length 0xFF", "\x30\xFF", STATUS_MALFORMED),
    BROKEN("length bytes missing", "\x30\x82\x01", STATUS_TRUNCATED),
    BROKEN("4 GiB of content", "\x30\x84\xFF\xFF\xFF\xFF", STATUS_TRUNCATED),
    BROKEN("a high tag number", "\x3F\x21\x00", STATUS_MALFORMED),
};

START_TEST(element_refuses_what_is_not_der) {
    struct bytes in = exact(broken[_i].data, broken[_i].len), rest = in, content = {0};
    unsigned tag = 77;
    ck_assert_msg(der_any(&rest, &tag, &content) == broken[_i].status, "%s", broken[_i].what);
    ck_assert_uint_eq(rest.len, in.len);
    ck_assert_uint_eq(tag, 77);
    drop(in);
}
END_TEST

START_TEST(element_of_another_tag_is_refused_and_stays) {
    struct bytes in = LITERAL("\x30\x00"), content;
    ck_assert_int_eq(der_take(&in, DER_SET, &content), STATUS_MALFORMED);
    ck_assert_uint_eq(in.len, 2);
    bool present = true;
    ck_assert_int_eq(der_take_optional(&in, DER_SET, &present, &content), STATUS_OK);
    ck_assert(!present && content.len == 0 && in.len == 2);
}
END_TEST

START_TEST(whole_element_keeps_tag_and_length) {
    struct bytes in = LITERAL("\x30\x02\x05\x00\x01"), whole;
    ck_assert_int_eq(der_take_whole(&in, DER_SEQUENCE, &whole), STATUS_OK);
    ck_assert(bytes_equal(whole, LITERAL("\x30\x02\x05\x00")) && in.len == 1);
}
END_TEST

static const struct {
    const char *what;
    const char *data;
    size_t len;
} not_unsigned[] = {
#define WRONG(what, data) {what, data, sizeof(data) - 1}
    WRONG("empty", "\x02\x00"),
    WRONG("negative", "\x02\x01\x80"),
    WRONG("a needless zero", "\x02\x02\x00\x7F"),
    WRONG("two zeros", "\x02\x03\x00\x00\x80"),
    WRONG("another type", "\x0A\x01\x01"),
};

START_TEST(unsigned_integer_refuses) {
    struct bytes in = exact(not_unsigned[_i].data, not_unsigned[_i].len), rest = in, digits;
    uint32_t value;
    ck_assert_msg(der_take_unsigned(&rest, &digits) == STATUS_MALFORMED, "%s",
                  not_unsigned[_i].what);
    ck_assert_msg(der_take_u32(&rest, &value) == STATUS_MALFORMED, "%s", not_unsigned[_i].what);
    ck_assert_uint_eq(rest.len, in.len);
    drop(in);
}
END_TEST

START_TEST(u32_refuses_a_fifth_byte) {
    struct bytes in = LITERAL("\x02\x05\x01\x00\x00\x00\x00");
    uint32_t value;
    ck_assert_int_eq(der_take_u32(&in, &value), STATUS_MALFORMED);
}
END_TEST

START_TEST(unsigned_integers_go_there_and_back) {
    static const uint32_t values[] = {0,      1,      0x7F,     0x80,       0xFF,      0x100,
                                      0x7FFF, 0x8000, 0xFFFFFF, 0x80000000, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t buffer[16];
        struct writer w = writer_of(buffer, sizeof buffer);
        uint32_t back;
        der_write_u32(&w, values[i]);
        struct bytes in = writer_bytes(&w);
        ck_assert_int_eq(der_take_u32(&in, &back), STATUS_OK);
        ck_assert_uint_eq(back, values[i]);
        ck_assert_uint_eq(in.len, 0);
    }
}
END_TEST

START_TEST(boolean_refuses_all_but_the_two_values_of_der) {
    struct bytes wrong[] = {LITERAL("\x01\x01\x01"), LITERAL("\x01\x00"),
                            LITERAL("\x01\x02\x00\x00")};
    bool out;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(der_take_boolean(&wrong[i], &out), STATUS_MALFORMED);
    }
    struct bytes right = LITERAL("\x01\x01\xFF\x01\x01\x00");
    ck_assert(der_take_boolean(&right, &out) == STATUS_OK && out);
    ck_assert(der_take_boolean(&right, &out) == STATUS_OK && !out);
}
END_TEST

START_TEST(bit_string_refuses_unused_bits_and_none_at_all) {
    struct bytes wrong[] = {LITERAL("\x03\x00"), LITERAL("\x03\x02\x01\x00"),
                            LITERAL("\x23\x02\x00\x00")},
                 out;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(der_take_bits(&wrong[i], &out), STATUS_MALFORMED);
    }
}
END_TEST

static const struct {
    unsigned tag;
    const char *text;
    int64_t unix_s; /* -1: refused */
} times[] = {
    {DER_UTC_TIME, "700101000000Z", 0},
    {DER_UTC_TIME, "491231235959Z", 2524607999},
    {DER_UTC_TIME, "500101000000Z", -631152000},
    {DER_UTC_TIME, "991231235959Z", 946684799},
    {DER_GENERALIZED_TIME, "20500101000000Z", 2524608000},
    {DER_GENERALIZED_TIME, "99991231235959Z", 253402300799},
    {DER_UTC_TIME, "7001010000Z", -1},
    {DER_UTC_TIME, "700101000000", -1},
    {DER_UTC_TIME, "700101000000+0000", -1},
    {DER_UTC_TIME, "701301000000Z", -1},
    {DER_UTC_TIME, "700230000000Z", -1},
    {DER_UTC_TIME, "700101240000Z", -1},
    {DER_UTC_TIME, "700101006000Z", -1},
    {DER_UTC_TIME, "7001010000 0Z", -1},
    {DER_UTC_TIME, "", -1},
    {DER_UTC_TIME, "Z", -1},
    {DER_UTC_TIME, "20500101000000Z", -1},
    {DER_GENERALIZED_TIME, "700101000000Z", -1},
    {DER_GENERALIZED_TIME, "20500101000000.5Z", -1},
    {DER_GENERALIZED_TIME, "abcd0101000000Z", -1},
    {DER_GENERALIZED_TIME, "2050-1-1000000Z", -1},
    {DER_PRINTABLE_STRING, "700101000000Z", -1},
};

START_TEST(time_is_read_as_rfc_5280_restricts_it) {
    uint8_t buffer[64];
    struct writer w = writer_of(buffer, sizeof buffer);
    int64_t out = -1;
    der_write(&w, times[_i].tag, bytes_of_text(times[_i].text));
    struct bytes in = exact(buffer, w.len), rest = in;
    enum status status = der_take_time(&rest, &out);
    bool refused = times[_i].unix_s == -1;
    ck_assert_msg(refused == (status == STATUS_MALFORMED) && out == times[_i].unix_s, "%s",
                  times[_i].text);
    ck_assert_uint_eq(rest.len, refused ? in.len : 0);
    drop(in);
}
END_TEST

START_TEST(time_is_written_in_the_form_of_its_century) {
    static const struct {
        int64_t unix_s;
        unsigned tag;
    } cases[] = {{0, DER_UTC_TIME},
                 {2524607999, DER_UTC_TIME},
                 {2524608000, DER_GENERALIZED_TIME},
                 {253402300799, DER_GENERALIZED_TIME}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t buffer[32];
        struct writer w = writer_of(buffer, sizeof buffer);
        int64_t back;
        der_write_time(&w, cases[i].unix_s);
        struct bytes in = writer_bytes(&w);
        ck_assert_uint_eq(in.data[0], cases[i].tag);
        ck_assert_int_eq(der_take_time(&in, &back), STATUS_OK);
        ck_assert_int_eq(back, cases[i].unix_s);
    }
}
END_TEST

static const struct {
    const char *oid;
    size_t len;
    const char *text;
} oids[] = {
#define OID(encoded, text) {encoded, sizeof(encoded) - 1, text}
    OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01", "1.2.840.113549.1.1.1"),
    OID("\x55\x1D\x0F", "2.5.29.15"),
    OID("\x67\x81\x05\x08\x01", "2.23.133.8.1"),
    OID("\x88\x37\x03", "2.999.3"),
    OID("\x00", "0.0"),
    OID("\x27", "0.39"),
    OID("\x28", "1.0"),
    OID("", "?"),
    OID("\x55\x1D\x8F", "?"),
};

START_TEST(oid_is_spelled_in_dots) {
    char text[64];
    der_oid_text(text, sizeof text, bytes_of(oids[_i].oid, oids[_i].len));
    ck_assert_str_eq(text, oids[_i].text);
}
END_TEST

START_TEST(oid_is_cut_to_fit) {
    char text[8];
    der_oid_text(text, sizeof text, LITERAL("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01"));
    ck_assert_str_eq(text, "1.2.840");
}
END_TEST

/* Lengths around every change of form. */
static const size_t lengths[] = {0, 1, 0x7E, 0x7F, 0x80, 0x81, 0xFF, 0x100, 0x101, 0x1234, 0xFFFF};

START_TEST(nested_elements_of_any_length_go_there_and_back) {
    static uint8_t content[0xFFFF], buffer[0x10100];
    struct writer w = writer_of(buffer, sizeof buffer);
    memset(content, 'c', sizeof content);
    size_t len = lengths[_i] > 0x20 ? lengths[_i] - 0x20 : lengths[_i];
    size_t outer = der_open(&w, DER_SEQUENCE), inner = der_open(&w, DER_SET);
    write_bytes(&w, bytes_of(content, len));
    der_close(&w, inner);
    der_close(&w, outer);
    ck_assert(!w.overflow);
    struct bytes in = exact(buffer, w.len), rest = in, set, found;
    ck_assert_int_eq(der_take(&rest, DER_SEQUENCE, &set), STATUS_OK);
    ck_assert_int_eq(der_take(&set, DER_SET, &found), STATUS_OK);
    ck_assert(rest.len == 0 && set.len == 0 && found.len == len && bytes_all(found, 'c'));
    drop(in);
}
END_TEST

START_TEST(writer_that_is_too_small_overflows_and_never_writes_past_its_end) {
    uint8_t full[0x120];
    for (size_t cap = 0; cap < 0x120; cap++) {
        uint8_t *buffer = malloc(cap > 0 ? cap : 1);
        static uint8_t content[0x110];
        struct writer w = writer_of(buffer, cap), whole = writer_of(full, sizeof full);
        size_t mark = der_open(&w, DER_SEQUENCE), whole_mark = der_open(&whole, DER_SEQUENCE);
        der_write(&w, DER_OCTET_STRING, bytes_of(content, sizeof content));
        der_write(&whole, DER_OCTET_STRING, bytes_of(content, sizeof content));
        der_close(&w, mark);
        der_close(&whole, whole_mark);
        ck_assert_int_eq(w.overflow, cap < whole.len);
        free(buffer);
    }
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    TCase *reading = tcase_create("reading");
    tcase_add_loop_test(reading, element_refuses_what_is_not_der, 0, COUNT(broken));
    tcase_add_test(reading, element_of_another_tag_is_refused_and_stays);
    tcase_add_test(reading, whole_element_keeps_tag_and_length);
    tcase_add_loop_test(reading, unsigned_integer_refuses, 0, COUNT(not_unsigned));
    tcase_add_test(reading, u32_refuses_a_fifth_byte);
    tcase_add_test(reading, boolean_refuses_all_but_the_two_values_of_der);
    tcase_add_test(reading, bit_string_refuses_unused_bits_and_none_at_all);
    tcase_add_loop_test(reading, time_is_read_as_rfc_5280_restricts_it, 0, COUNT(times));
    tcase_add_loop_test(reading, oid_is_spelled_in_dots, 0, COUNT(oids));
    tcase_add_test(reading, oid_is_cut_to_fit);
    TCase *writing = tcase_create("writing");
    tcase_add_test(writing, unsigned_integers_go_there_and_back);
    tcase_add_test(writing, time_is_written_in_the_form_of_its_century);
    tcase_add_loop_test(writing, nested_elements_of_any_length_go_there_and_back, 0,
                        COUNT(lengths));
    tcase_add_test(writing, writer_that_is_too_small_overflows_and_never_writes_past_its_end);
    Suite *suite = suite_create("crypto: DER");
    suite_add_tcase(suite, reading);
    suite_add_tcase(suite, writing);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

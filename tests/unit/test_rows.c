/* Rows of uploads: what is read of NDJSON and CSV, whatever the pieces it comes in. */
#include "api/rows.h"
#include "server/base/encoding.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"a", "b", "c"};
static const struct rows_columns columns = {names, 3};
enum { TRACE = 4096 };

/* What the visitor was told, as text: "3:a=x,c=y; 4!malformed_row; ". */
struct trace {
    char text[TRACE];
    size_t len;
    unsigned num, stop_at;
    char detail[DETAIL_SIZE]; /* of the latest fault */
};

static void put(struct trace *t, struct bytes text) {
    ck_assert_uint_lt(t->len + text.len, sizeof t->text);
    if (text.len > 0) {
        memcpy(t->text + t->len, text.data, text.len);
    }
    t->len += text.len;
    t->text[t->len] = '\0';
}

static bool see_row(void *context, uint32_t line, const struct bytes *value) {
    struct trace *t = context;
    char head[16];
    (void)snprintf(head, sizeof head, "%u:", line);
    put(t, bytes_of_text(head));
    for (size_t i = 0; i < columns.num; i++) {
        ck_assert(utf8_is_valid(value[i]));
        if (value[i].len > 0) {
            (void)snprintf(head, sizeof head, "%s=", names[i]);
            put(t, bytes_of_text(head));
            put(t, value[i].len > 40 ? bytes_of_text("long") : value[i]);
            put(t, bytes_of_text(","));
        }
    }
    put(t, bytes_of_text(" "));
    return ++t->num != t->stop_at;
}

static bool see_fault(void *context, uint32_t line, enum problem_kind kind, const char *detail) {
    struct trace *t = context;
    char text[80];
    ck_assert_str_ne(detail, "");
    (void)snprintf(text, sizeof text, "%u!%s ", line, problem_entry(kind)->code);
    put(t, bytes_of_text(text));
    (void)snprintf(t->detail, sizeof t->detail, "%s", detail);
    return ++t->num != t->stop_at;
}

/* Two pieces, cut at `cut`, or pieces of one byte when that is beyond the end; each in memory of its very size. */
static enum status read_cut(struct trace *t, enum rows_format format, struct bytes in, size_t cut,
                            struct detail *detail) {
    struct rows_visitor visitor = {t, see_row, see_fault};
    struct rows *rows = malloc(sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    rows_init(rows, format, columns, &visitor, detail);
    enum status status = STATUS_OK;
    for (size_t at = 0; at < in.len && status == STATUS_OK;) {
        size_t len = cut > in.len ? 1 : at < cut ? cut - at : in.len - at;
        uint8_t *piece = malloc(len);
        ck_assert_ptr_nonnull(piece);
        memcpy(piece, in.data + at, len);
        status = rows_take(rows, bytes_of(piece, len));
        free(piece);
        at += len;
    }
    if (status == STATUS_OK) {
        status = rows_end(rows);
    } else {
        ck_assert_int_eq(rows_take(rows, bytes_of_text("x")), status);
        ck_assert_int_eq(rows_end(rows), status);
    }
    rows_cleanup(rows);
    free(rows);
    return status;
}

static void check_bytes(enum rows_format format, struct bytes in, enum status status,
                        const char *trace) {
    for (size_t cut = 0; cut <= in.len + 1; cut++) {
        struct trace t = {0};
        struct detail detail = {0};
        enum status got = read_cut(&t, format, in, cut, &detail);
        ck_assert_msg(got == status, "%.*s: %s (%s)", (int)in.len, (const char *)in.data,
                      status_name(got), detail.text);
        ck_assert_msg(strcmp(t.text, trace) == 0, "%.*s, cut at %zu:\n%s\nand not\n%s", (int)in.len,
                      (const char *)in.data, cut, t.text, trace);
        ck_assert((status == STATUS_MALFORMED) == (detail.text[0] != '\0'));
    }
}

struct sample {
    const char *in, *trace;
};

static const struct sample ndjson[] = {
    {"", ""},
    {"\n\r\n \t\r\n", ""},
    {"{}", "1: "},
    {"{}\n", "1: "},
    {"{\"a\":\"x\",\"b\":\"y\"}\n{\"c\":\"z\"}\n", "1:a=x,b=y, 2:c=z, "},
    {"{\"a\":\"x\"}\r\n\r\n{\"a\":\"y\"}", "1:a=x, 3:a=y, "},
    {"  { \"b\" : \"y\" ,\t\"a\":\"x\" } \n", "1:a=x,b=y, "},
    {"\xef\xbb\xbf{\"a\":\"x\"}\n", "1:a=x, "},
    {"\xef\xbb{\"a\":\"x\"}\n{}", "1!malformed_row 2: "},
    {"\xef\xbb", "1!malformed_row "},
    {"\xef\xbb\xbf", ""},
    {"\xef\xbb\xbf\xef\xbb\xbf{}", "1!malformed_row "},
    {"{\"a\":\"\\u00e9\\n\\\"\\\\\"}", "1:a=\xc3\xa9\n\"\\, "},
    {"{\"\\u0061\":\"x\"}", "1:a=x, "},
    {"{\"a\":\"\"}", "1: "},
    {"{\"d\":\"x\"}\n{\"a\":\"y\"}", "1!unknown_field 2:a=y, "},
    {"{\"A\":\"x\"}", "1!unknown_field "},
    {"{\"\":\"x\"}", "1!unknown_field "},
    {"{\"a\":\"x\",\"a\":\"x\"}", "1!malformed_row "},
    {"{\"a\":\"\",\"a\":\"\"}", "1!malformed_row "},
    {"{\"a\":1}\n{}", "1!malformed_row 2: "},
    {"{\"a\":null}", "1!malformed_row "},
    {"{\"a\":{\"b\":\"x\"}}", "1!malformed_row "},
    {"{\"a\":[\"x\"]}", "1!malformed_row "},
    {"{\"a\":\"x\"", "1!malformed_row "},
    {"{\"a\":\"x\"\n}", "1!malformed_row 2!malformed_row "},
    {"{\"a\":\"x", "1!malformed_row "},
    {"{\"a\":\"x\",}", "1!malformed_row "},
    {"{\"a\" \"x\"}", "1!malformed_row "},
    {"{a:\"x\"}", "1!malformed_row "},
    {"{\"a\":\"x\"}{\"a\":\"y\"}", "1!malformed_row "},
    {"{\"a\":\"x\"},\n", "1!malformed_row "},
    {"[{\"a\":\"x\"}]", "1!malformed_row "},
    {"\"a\"", "1!malformed_row "},
    {"x\n{}\nx\n", "1!malformed_row 2: 3!malformed_row "},
    {"{\"a\":\"\xff\"}\n{}", "1!malformed_row 2: "},
    {"{\"a\":\"\xc3\"}", "1!malformed_row "},
    {"{\"a\":\"\xed\xa0\x80\"}", "1!malformed_row "},
    {"{\"a\":\"\xc0\x80\"}", "1!malformed_row "},
    {"{\"a\":\"\\ud800\"}", "1!malformed_row "},
    {"{\"a\":\"\\u0000\"}", "1!malformed_row "},
    {"{\"a\":\"x\ty\"}", "1!malformed_row "},
    {"{\"a\":\"x\ry\"}", "1!malformed_row "},
    {"{\"a\":\"x\x01\"}", "1!malformed_row "},
    {"{\"a\":\"\\x\"}", "1!malformed_row "},
    {"{}\v\n", "1!malformed_row "},
};

static const struct sample csv[] = {
    {"a", ""},
    {"a\n", ""},
    {"a,b,c\n", ""},
    {"a,b,c\nx,y,z\n", "2:a=x,b=y,c=z, "},
    {"c,a\r\nz,x\r\n,\r\nz,", "2:a=x,c=z, 3: 4:c=z, "},
    {"\xef\xbb\xbf"
     "a\nx\n",
     "2:a=x, "},
    {"\"a\",\"b\"\n\"x\",\"y\"\n", "2:a=x,b=y, "},
    {"\n\r\na\n\nx\n\n\ny", "5:a=x, 8:a=y, "},
    {"a,b\n\"x,1\",\"say \"\"hi\"\"\"\n", "2:a=x,1,b=say \"hi\", "},
    {"a,b\n\"x\ny\r\nz\",1\nq,2\n", "2:a=x\ny\r\nz,b=1, 5:a=q,b=2, "},
    {"a\n\"\"\n\"\"\"\"\n", "2: 3:a=\", "},
    {"a\n x \n", "2:a= x , "},
    {"a,b\nx\ny,1\nz,1,2\n", "2!malformed_row 3:a=y,b=1, 4!malformed_row "},
    {"a\nx\"y\nz\n", "2!malformed_row 3:a=z, "},
    {"a\n\"x\"y\nz\n", "2!malformed_row 3:a=z, "},
    {"a\n\"x\" \nz\n", "2!malformed_row 3:a=z, "},
    {"a\n\"x\nz\n", "2!malformed_row "},
    {"a\nx\rz\ny\n", "2!malformed_row 3:a=y, "},
    {"a\nx\r", "2!malformed_row "},
    {"a\n\"x\"\r", "2!malformed_row "},
    {"a\nx\r\r\ny", "2!malformed_row 3:a=y, "},
    {"a\n\xff\ny\n", "2!malformed_row 3:a=y, "},
    {"a,b\n\xc3,\xa9\nx,y\n", "2!malformed_row 3:a=x,b=y, "},
    {"a\n\"x\"\"\n", "2!malformed_row "},
    {"a\n1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\nx", "2!malformed_row 3:a=x, "},
};

static const char *const wrong_headers[] = {
    "",         "\n\r\n",          "\xef\xbb\xbf",
    "x\nx\n",   "a,d\n",           "a,\n",
    ",a\n",     "a,a\n",           "A\n",
    " a\n",     "a b\n",           "a;b\n",
    "a\"\n",    "\"a\nb\"\n",      "\"a",
    "\"a\"b\n", "a\rb\n",          "a\r",
    "\xff\n",   "{\"a\":\"x\"}\n", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n",
};

START_TEST(rows_of_ndjson_are_read_however_they_are_cut) {
    check_bytes(ROWS_NDJSON, bytes_of_text(ndjson[_i].in), STATUS_OK, ndjson[_i].trace);
}
END_TEST

START_TEST(rows_of_csv_are_read_however_they_are_cut) {
    check_bytes(ROWS_CSV, bytes_of_text(csv[_i].in), STATUS_OK, csv[_i].trace);
}
END_TEST

START_TEST(a_csv_without_a_known_header_is_refused) {
    check_bytes(ROWS_CSV, bytes_of_text(wrong_headers[_i]), STATUS_MALFORMED, "");
}
END_TEST

START_TEST(a_nul_is_a_fault_of_its_row) {
    static const char lines[] = "{\"a\":\"x\0\"}\n{\"a\":\"y\"}\0\n{}";
    check_bytes(ROWS_NDJSON, bytes_of(lines, sizeof lines - 1), STATUS_OK,
                "1!malformed_row 2!malformed_row 3: ");
    static const char table[] = "a,b\nx\0,y\n\"\0\",y\nx,y\n\0";
    check_bytes(ROWS_CSV, bytes_of(table, sizeof table - 1), STATUS_OK,
                "2!malformed_row 3!malformed_row 4:a=x,b=y, 5!malformed_row ");
    static const char header[] = "a\0\nx\n";
    check_bytes(ROWS_CSV, bytes_of(header, sizeof header - 1), STATUS_MALFORMED, "");
}
END_TEST

/* A row whose line, or fields, have `len` bytes, and one after it. */
static void check_length(enum rows_format format, size_t len, const char *trace) {
    static char in[ROWS_RECORD_MAX + 64];
    bool json = format == ROWS_NDJSON;
    size_t at = (size_t)snprintf(in, sizeof in, "%s", json ? "{\"a\":\"" : "a\n");
    size_t fill = json ? len - strlen("{\"a\":\"\"}") : len;
    memset(in + at, 'x', fill);
    at += fill;
    at += (size_t)snprintf(in + at, sizeof in - at, "%s", json ? "\"}\n{}\n" : "\ny\n");
    static const size_t pieces[] = {1, 1000, 4096, sizeof in};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct trace t = {0};
        struct rows_visitor visitor = {&t, see_row, see_fault};
        static struct rows rows;
        rows_init(&rows, format, columns, &visitor, NULL);
        struct bytes rest = bytes_of(in, at), piece;
        while (rest.len > 0) {
            size_t next = pieces[i] < rest.len ? pieces[i] : rest.len;
            ck_assert_int_eq(bytes_take(&rest, next, &piece), STATUS_OK);
            ck_assert_int_eq(rows_take(&rows, piece), STATUS_OK);
        }
        ck_assert_int_eq(rows_end(&rows), STATUS_OK);
        rows_cleanup(&rows);
        ck_assert_str_eq(t.text, trace);
    }
}

START_TEST(a_row_that_is_too_long_is_passed_over) {
    check_length(ROWS_NDJSON, ROWS_RECORD_MAX, "1:a=long, 2: ");
    check_length(ROWS_NDJSON, ROWS_RECORD_MAX + 1, "1!row_too_long 2: ");
    check_length(ROWS_CSV, ROWS_RECORD_MAX, "2:a=long, 3:a=y, ");
    check_length(ROWS_CSV, ROWS_RECORD_MAX + 1, "2!row_too_long 3:a=y, ");
}
END_TEST

START_TEST(a_header_that_is_too_long_is_refused) {
    static char in[ROWS_RECORD_MAX + 2];
    memset(in, 'a', sizeof in - 1);
    struct trace t = {0};
    struct detail detail = {0};
    ck_assert_int_eq(read_cut(&t, ROWS_CSV, bytes_of(in, sizeof in - 1), 77, &detail),
                     STATUS_MALFORMED);
    ck_assert_str_eq(t.text, "");
}
END_TEST

START_TEST(a_quote_that_never_ends_takes_no_more_than_a_row) {
    static char in[2 * ROWS_RECORD_MAX];
    memset(in, '\n', sizeof in);
    memcpy(in, "a\n\"", 3);
    memcpy(in + sizeof in - 2, "y\n", 2);
    struct trace t = {0};
    ck_assert_int_eq(read_cut(&t, ROWS_CSV, bytes_of(in, sizeof in), 1, NULL), STATUS_OK);
    char want[64];
    (void)snprintf(want, sizeof want, "2!row_too_long %zu:a=y, ", sizeof in - 3);
    ck_assert_str_eq(t.text, want);
}
END_TEST

START_TEST(the_visitor_ends_the_reading) {
    static const char lines[] = "{}\nx\n{}\nx\n";
    static const char table[] = "a\nx\nx,\nx\n";
    for (unsigned stop = 1; stop <= 3; stop++) {
        for (size_t cut = 0; cut <= 12; cut++) {
            struct trace t = {.stop_at = stop};
            ck_assert_int_eq(read_cut(&t, ROWS_NDJSON, bytes_of_text(lines), cut, NULL),
                             STATUS_END);
            ck_assert_uint_eq(t.num, stop);
            t = (struct trace){.stop_at = stop};
            ck_assert_int_eq(read_cut(&t, ROWS_CSV, bytes_of_text(table), cut, NULL), STATUS_END);
            ck_assert_uint_eq(t.num, stop);
        }
    }
}
END_TEST

START_TEST(a_fault_names_what_is_wrong) {
    struct trace t = {0};
    ck_assert_int_eq(read_cut(&t, ROWS_NDJSON, bytes_of_text("{\"serial\":\"x\"}"), 0, NULL),
                     STATUS_OK);
    ck_assert_str_eq(t.detail, "\"serial\" is not known");
    ck_assert_int_eq(read_cut(&t, ROWS_NDJSON, bytes_of_text("{\"b\":7}"), 0, NULL), STATUS_OK);
    ck_assert_str_eq(t.detail, "b is not a text");
    ck_assert_int_eq(read_cut(&t, ROWS_CSV, bytes_of_text("a,b\nx"), 0, NULL), STATUS_OK);
    ck_assert_str_eq(t.detail, "1 fields, and the header has 2");
    struct detail detail = {0};
    ck_assert_int_eq(read_cut(&t, ROWS_CSV, bytes_of_text("a,serial\nx,y\n"), 0, &detail),
                     STATUS_MALFORMED);
    ck_assert_str_eq(detail.text, "the header: \"serial\" is no column that is known");
}
END_TEST

START_TEST(texts_with_escapes_do_not_add_up) {
    struct trace t = {0};
    struct rows_visitor visitor = {&t, see_row, see_fault};
    static struct rows rows;
    rows_init(&rows, ROWS_NDJSON, columns, &visitor, NULL);
    for (int i = 0; i < 50000; i++) {
        t.len = 0;
        ck_assert_int_eq(rows_take(&rows, bytes_of_text("{\"a\":\"\\n\",\"b\":\"\\n\"}\n")),
                         STATUS_OK);
        ck_assert_uint_eq(rows.arena.used, 0);
    }
    ck_assert_int_eq(rows_end(&rows), STATUS_OK);
    rows_cleanup(&rows);
    ck_assert_str_eq(t.text, "50000:a=\n,b=\n, ");
}
END_TEST

START_TEST(utf8_is_told_from_what_looks_like_it) {
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\xaf",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2 ",
                                      "\xc2\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xef\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x90\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xfe"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(utf8_is_valid(bytes_of_text(good[i])), "%zu", i);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(!utf8_is_valid(bytes_of_text(bad[i])), "%zu", i);
    }
    ck_assert(!utf8_is_valid(bytes_of("a\0b", 3)));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("rows");
    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, rows_of_ndjson_are_read_however_they_are_cut, 0,
                        sizeof ndjson / sizeof ndjson[0]);
    tcase_add_loop_test(tests, rows_of_csv_are_read_however_they_are_cut, 0,
                        sizeof csv / sizeof csv[0]);
    tcase_add_loop_test(tests, a_csv_without_a_known_header_is_refused, 0,
                        sizeof wrong_headers / sizeof wrong_headers[0]);
    tcase_add_test(tests, a_nul_is_a_fault_of_its_row);
    tcase_add_test(tests, a_row_that_is_too_long_is_passed_over);
    tcase_add_test(tests, a_header_that_is_too_long_is_refused);
    tcase_add_test(tests, a_quote_that_never_ends_takes_no_more_than_a_row);
    tcase_add_test(tests, the_visitor_ends_the_reading);
    tcase_add_test(tests, a_fault_names_what_is_wrong);
    tcase_add_test(tests, texts_with_escapes_do_not_add_up);
    tcase_add_test(tests, utf8_is_told_from_what_looks_like_it);
    Suite *suite = suite_create("rows");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

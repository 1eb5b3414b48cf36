#include "server/base/log.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* concurrent */

static int fd = -1;
static struct log out;

static void open_log(void) {
    fd = memfd_create("log", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    out = (struct log){.fd = fd, .level = LOG_DEBUG, .form = LOG_JSON};
}

static void close_log(void) {
    (void)close(fd);
}

/* What was written; static, terminated. */
static char *written(void) {
    static char text[1 << 20];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

/* The one line as an object; the caller drops it. */
static json_t *one_line(void) {
    char *text = written();
    size_t len = strlen(text);
    ck_assert_uint_gt(len, 1);
    ck_assert_ptr_eq(strchr(text, '\n'), text + len - 1);
    json_error_t error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(object != NULL, "%s: %s", error.text, text);
    return object;
}

START_TEST(a_line_holds_time_level_event_and_fields) {
    log_event(&out, LOG_WARNING, "something_happened", log_str("who", "me"), log_int("count", -5),
              log_str("none", NULL));
    json_t *line = one_line();
    ck_assert_str_eq(json_string_value(json_object_get(line, "level")), "warning");
    ck_assert_str_eq(json_string_value(json_object_get(line, "event")), "something_happened");
    ck_assert_str_eq(json_string_value(json_object_get(line, "who")), "me");
    ck_assert_int_eq(json_integer_value(json_object_get(line, "count")), -5);
    ck_assert(json_is_null(json_object_get(line, "none")));
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(line, "time"))), 24);
    json_decref(line);
}
END_TEST

START_TEST(each_byte_in_a_field_gives_json) {
    if (_i == 0) {
        return; /* ends the text */
    }
    char value[4] = {'a', (char)_i, 'b', '\0'};
    log_event(&out, LOG_INFO, "byte", log_str("value", value));
    json_t *line = one_line();
    const char *back = json_string_value(json_object_get(line, "value"));
    if (_i < 0x80) {
        ck_assert_str_eq(back, value);
    } else {
        ck_assert_str_eq(back, "a\xef\xbf\xbd"
                               "b");
    }
    json_decref(line);
}
END_TEST

static const struct {
    const char *in, *expected;
} utf8[] = {
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"\xe2\x82\xac \xf0\x9f\x94\x92", "\xe2\x82\xac \xf0\x9f\x94\x92"},
    {"\xc3", "\xef\xbf\xbd"},                 /* cut short */
    {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"}, /* cut short */
    {"\xf0\x9f\x94x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx"},
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
    {"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc2\x9b[2J", "\xc2\x9b[2J"}, /* a terminal's control, as an escape */
};

START_TEST(text_that_is_no_utf8_is_marked_and_still_json) {
    log_event(&out, LOG_INFO, "text", log_str("value", utf8[_i].in));
    json_t *line = one_line();
    ck_assert_str_eq(json_string_value(json_object_get(line, "value")), utf8[_i].expected);
    json_decref(line);
}
END_TEST

START_TEST(no_control_byte_reaches_a_terminal) {
    char all[256];
    for (int i = 0; i < 255; i++) {
        all[i] = (char)(i + 1);
    }
    all[255] = '\0';
    out.form = _i == 0 ? LOG_JSON : LOG_TEXT;
    log_event(&out, LOG_INFO, "controls", log_str("value", all), log_str("c1", "\xc2\x9b"));
    char *text = written();
    for (char *at = text; at[1] != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        ck_assert_msg(c >= 0x20 && c != 0x7f, "control byte %02x", c);
        ck_assert(c != 0xc2 || (unsigned char)at[1] >= 0xa0);
    }
}
END_TEST

START_TEST(a_field_that_does_not_fit_is_left_out_whole) {
    static char longer[10000];
    size_t len = (size_t)_i;
    memset(longer, 'x', len);
    longer[len] = '\0';
    log_event(&out, LOG_INFO, "long", log_str("first", "1"), log_str("long", longer),
              log_str("last", "2"));
    json_t *line = one_line();
    ck_assert_str_eq(json_string_value(json_object_get(line, "first")), "1");
    const char *there = json_string_value(json_object_get(line, "long"));
    const char *last = json_string_value(json_object_get(line, "last"));
    ck_assert(last != NULL ? strcmp(last, "2") == 0 : there != NULL);
    ck_assert(there == NULL || strcmp(there, longer) == 0);
    ck_assert(len < 5000 || there == NULL);
    ck_assert_uint_le(strlen(written()), 4096);
    json_decref(line);
}
END_TEST

START_TEST(many_fields_stay_one_json_line_within_the_limit) {
    char value[100], keys[LOG_MAX_FIELDS][2] = {0};
    struct log_field fields[LOG_MAX_FIELDS]; /* all used: none is LOG_END */
    memset(value, 0x01, sizeof value);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < LOG_MAX_FIELDS; i++) {
        keys[i][0] = (char)('a' + i);
        fields[i] = log_str(keys[i], value);
    }
    log_write(&out, LOG_INFO, "many", fields);
    json_t *line = one_line();
    ck_assert_ptr_nonnull(json_object_get(line, "a"));
    ck_assert_ptr_null(json_object_get(line, "p"));
    ck_assert_uint_le(strlen(written()), 4096);
    json_decref(line);
}
END_TEST

START_TEST(less_than_the_level_is_left_out) {
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        out.level = (enum log_level)level;
        for (int at = LOG_DEBUG; at <= LOG_ERROR; at++) {
            ck_assert_int_eq(ftruncate(fd, 0), 0);
            ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
            log_event(&out, (enum log_level)at, "level", log_int("n", at));
            ck_assert_int_eq(written()[0] != '\0', at >= level);
        }
    }
}
END_TEST

START_TEST(no_log_is_no_trouble) {
    log_event(NULL, LOG_ERROR, "nobody", log_int("n", 1));
    struct log closed = {.fd = -1, .level = LOG_DEBUG, .form = LOG_JSON};
    log_event(&closed, LOG_ERROR, "nowhere", log_int("n", 1));
    ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(text_form_is_one_line_whatever_the_field_says) {
    out.form = LOG_TEXT;
    log_event(&out, LOG_INFO, "event", log_str("a", "x\nlevel=error forged"), log_int("n", 3));
    char *text = written();
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
    ck_assert_ptr_nonnull(strstr(text, " info    event a=\"x\\u000alevel=error forged\" n=3\n"));
}
END_TEST

enum { NUM_THREADS = 4, NUM_LINES = 500 };

static void *write_lines(void *context) {
    const char *name = context;
    for (int i = 0; i < NUM_LINES; i++) {
        log_event(&out, LOG_INFO, "line", log_str("thread", name), log_int("n", i));
    }
    return NULL;
}

START_TEST(lines_of_many_threads_stay_whole) {
    /* As a log file is opened. */
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/test_base_log.XXXXXX");
    (void)close(fd);
    fd = mkostemp(path, O_APPEND);
    ck_assert_int_ge(fd, 0);
    (void)unlink(path);
    out.fd = fd;
    pthread_t threads[NUM_THREADS];
    char names[NUM_THREADS][2] = {"a", "b", "c", "d"};
    for (int i = 0; i < NUM_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    }
    for (int i = 0; i < NUM_THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    int num = 0;
    char *rest = NULL;
    for (char *line = strtok_r(written(), "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);
        ck_assert_msg(object != NULL, "%s", line);
        json_decref(object);
        num++;
    }
    ck_assert_int_eq(num, NUM_THREADS * NUM_LINES);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("log");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_log, close_log);
    tcase_add_test(tests, a_line_holds_time_level_event_and_fields);
    tcase_add_loop_test(tests, each_byte_in_a_field_gives_json, 0, 256);
    tcase_add_loop_test(tests, text_that_is_no_utf8_is_marked_and_still_json, 0,
                        (int)(sizeof utf8 / sizeof utf8[0]));
    tcase_add_loop_test(tests, no_control_byte_reaches_a_terminal, 0, 2);
    tcase_add_loop_test(tests, a_field_that_does_not_fit_is_left_out_whole, 3960, 4080);
    tcase_add_loop_test(tests, a_field_that_does_not_fit_is_left_out_whole, 9000, 9001);
    tcase_add_test(tests, many_fields_stay_one_json_line_within_the_limit);
    tcase_add_test(tests, less_than_the_level_is_left_out);
    tcase_add_test(tests, no_log_is_no_trouble);
    tcase_add_test(tests, text_form_is_one_line_whatever_the_field_says);
    tcase_add_test(tests, lines_of_many_threads_stay_whole);
    Suite *suite = suite_create("base: log");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

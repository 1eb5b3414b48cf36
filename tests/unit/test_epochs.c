/* The list of the access authority's epochs. */
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/credential/epochs.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "gatehouse access authorities 1\n"
#define OLD  "old.key old.pem 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z 2026-11-25T01:00:00Z\n"
#define NEW  "new.key new.pem 2026-11-23T00:00:00Z 2026-11-24T00:00:00Z -\n"

static struct arena arena;
static struct epochs epochs;
static struct detail detail;

static void start(void) {
    arena_init(&arena, EPOCHS_ARENA);
    memset(&epochs, 0x5a, sizeof epochs);
    detail = (struct detail){0};
}
static void stop(void) {
    arena_free(&arena);
}

static int64_t at(const char *time) {
    int64_t out;
    ck_assert_int_eq(rfc3339_parse(&out, time), STATUS_OK);
    return out;
}

static enum status parse(const char *text) {
    return epochs_parse(&epochs, &arena, bytes_of_text(text), "ca/", &detail);
}

START_TEST(names_are_taken_from_the_folder_of_the_list) {
    ck_assert_msg(parse(HEAD "# a comment\n\n/k /c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z "
                             "2026-11-25T01:00:00Z\n" NEW) == STATUS_OK,
                  "%s", detail.text);
    ck_assert_uint_eq(epochs.num, 2);
    ck_assert_str_eq(epochs.epoch[0].key, "/k");
    ck_assert_str_eq(epochs.epoch[0].certificate, "/c");
    ck_assert_str_eq(epochs.epoch[1].key, "ca/new.key");
    ck_assert_str_eq(epochs.epoch[1].certificate, "ca/new.pem");
    ck_assert_int_eq(epochs.epoch[1].retires, 0);
}
END_TEST

START_TEST(a_key_may_be_a_uri_and_a_certificate_may_not) {
    ck_assert_int_eq(parse(HEAD "pkcs11:object=x c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z -\n"),
                     STATUS_OK);
    ck_assert_str_eq(epochs.epoch[0].key, "pkcs11:object=x");
    ck_assert(epoch_key_is_uri(epochs.epoch[0].key));
    ck_assert_int_eq(parse(HEAD "k pkcs11:object=x 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z -\n"),
                     STATUS_MALFORMED);
}
END_TEST

static const struct {
    const char *text, *words;
    enum status status;
} refused[] = {
    {"", "line 1", STATUS_MALFORMED},
    {"gatehouse access authorities 2\n" OLD, "line 1", STATUS_MALFORMED},
    {OLD, "line 1", STATUS_MALFORMED},
    {HEAD, "0 epochs", STATUS_INVALID},
    {HEAD "# nothing else\n", "0 epochs", STATUS_INVALID},
    {HEAD "k c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z\n", "line 2: must be", STATUS_MALFORMED},
    {HEAD "k c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z - -\n", "line 2: must be",
     STATUS_MALFORMED},
    {HEAD "k c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z -", "line 2: is cut off",
     STATUS_MALFORMED},
    {HEAD "k c - 2026-11-01T00:00:00Z -\n", "line 2: a time", STATUS_MALFORMED},
    {HEAD "k c 2026-11-01T00:00:00Z - -\n", "line 2: a time", STATUS_MALFORMED},
    {HEAD "k c 2026-11-01 2026-11-01T00:00:00Z -\n", "line 2: a time", STATUS_MALFORMED},
    {HEAD "k c 2026-11-01T00:00:00Z 2026-13-01T00:00:00Z -\n", "line 2: a time", STATUS_MALFORMED},
    {HEAD "k\001 c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z -\n", "control", STATUS_MALFORMED},
    {HEAD "k c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z -\r\n", "control", STATUS_MALFORMED},
    {HEAD "k c 2026-11-02T00:00:00Z 2026-11-01T00:00:00Z -\n", "before it is published",
     STATUS_INVALID},
    {HEAD OLD, "the newest epoch is retired", STATUS_INVALID},
    {HEAD NEW "k c 2026-11-24T00:00:00Z 2026-11-25T00:00:00Z -\n",
     "is retired before epoch 2 signs", STATUS_INVALID},
    {HEAD "k c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z 2026-11-23T23:59:59Z\n" NEW,
     "is retired before epoch 2 signs", STATUS_INVALID},
    {HEAD "k c 2026-11-01T00:00:00Z 2026-11-24T00:00:00Z 2026-11-26T00:00:00Z\n" NEW,
     "does not sign after", STATUS_INVALID},
    {HEAD "new.key c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z 2026-11-26T00:00:00Z\n" NEW,
     "share a key", STATUS_INVALID},
    {HEAD "k new.pem 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z 2026-11-26T00:00:00Z\n" NEW,
     "share a key", STATUS_INVALID},
};

START_TEST(a_list_that_breaks_a_rule_is_refused_with_the_line) {
    struct epochs before = epochs;
    ck_assert_int_eq(parse(refused[_i].text), refused[_i].status);
    ck_assert_msg(strstr(detail.text, refused[_i].words) != NULL, "%s", detail.text);
    ck_assert_mem_eq(&before, &epochs, sizeof before);
}
END_TEST

START_TEST(a_zero_byte_is_refused) {
    static const char text[] = HEAD "k\0 c 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z -\n";
    ck_assert_int_eq(epochs_parse(&epochs, &arena, bytes_of(text, sizeof text - 1), "", &detail),
                     STATUS_MALFORMED);
}
END_TEST

START_TEST(more_epochs_than_there_may_be_are_refused) {
    char text[4096] = HEAD;
    for (int i = 0; i <= EPOCHS_MAX; i++) {
        char line[128];
        (void)snprintf(line, sizeof line,
                       "k%d c%d 2026-11-%02dT00:00:00Z 2026-11-%02dT00:00:00Z %s\n", i, i, i + 1,
                       i + 1, i == EPOCHS_MAX ? "-" : "2026-12-01T00:00:00Z");
        strcat(text, line);
    }
    ck_assert_int_eq(parse(text), STATUS_MALFORMED);
    ck_assert_ptr_nonnull(strstr(detail.text, "more than 7"));
}
END_TEST

START_TEST(every_prefix_of_a_list_is_refused_or_a_whole_list) {
    static const char text[] = HEAD NEW;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        char *exact = malloc(len + (len == 0));
        memcpy(exact, text, len);
        enum status status = epochs_parse(&epochs, &arena, bytes_of(exact, len), "", NULL);
        ck_assert_int_ne(status, STATUS_OK);
        free(exact);
    }
}
END_TEST

START_TEST(exactly_one_epoch_signs_at_any_time) {
    static const struct {
        const char *time;
        enum epoch_state old, new;
    } steps[] = {{"2026-10-31T23:59:59Z", EPOCH_COMING, EPOCH_COMING},
                 {"2026-11-01T00:00:00Z", EPOCH_SIGNING, EPOCH_COMING},
                 {"2026-11-23T23:59:59Z", EPOCH_SIGNING, EPOCH_COMING},
                 {"2026-11-24T00:00:00Z", EPOCH_PAST, EPOCH_SIGNING},
                 {"2026-11-25T00:59:59Z", EPOCH_PAST, EPOCH_SIGNING},
                 {"2026-11-25T01:00:00Z", EPOCH_RETIRED, EPOCH_SIGNING}};
    ck_assert_int_eq(parse(HEAD OLD NEW), STATUS_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        ck_assert_int_eq(epochs_state(&epochs, 0, at(steps[i].time)), steps[i].old);
        ck_assert_int_eq(epochs_state(&epochs, 1, at(steps[i].time)), steps[i].new);
    }
    ck_assert_str_eq(epoch_state_name(EPOCH_RETIRED), "retired");
}
END_TEST

START_TEST(what_is_written_is_read_as_the_same) {
    char text[EPOCHS_FILE_MAX + 1];
    struct writer w = writer_of(text, EPOCHS_FILE_MAX);
    ck_assert_int_eq(parse(HEAD OLD NEW), STATUS_OK);
    struct epochs first = epochs;
    ck_assert_int_eq(epochs_write(&w, &first, "ca/", &detail), STATUS_OK);
    text[w.len] = '\0';
    ck_assert_ptr_nonnull(strstr(text, "\n" OLD NEW)); /* relative to the folder, as they were */
    ck_assert_int_eq(parse(text), STATUS_OK);
    ck_assert_uint_eq(epochs.num, first.num);
    for (size_t i = 0; i < first.num; i++) {
        ck_assert_str_eq(epochs.epoch[i].key, first.epoch[i].key);
        ck_assert_str_eq(epochs.epoch[i].certificate, first.epoch[i].certificate);
        ck_assert_int_eq(epochs.epoch[i].signs, first.epoch[i].signs);
        ck_assert_int_eq(epochs.epoch[i].retires, first.epoch[i].retires);
    }
}
END_TEST

START_TEST(what_could_not_be_read_again_is_not_written) {
    static const char *const names[] = {"ca/with blank", "ca/tab\t", "ca/#x", "ca/", "ca/\n"};
    char text[EPOCHS_FILE_MAX];
    ck_assert_int_eq(parse(HEAD NEW), STATUS_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct writer w = writer_of(text, sizeof text);
        epochs.epoch[0].certificate = names[i];
        ck_assert_int_eq(epochs_write(&w, &epochs, "ca/", &detail), STATUS_INVALID);
    }
    epochs.epoch[0].certificate = "c";
    epochs.epoch[0].retires = 1;
    struct writer w = writer_of(text, sizeof text);
    ck_assert_int_eq(epochs_write(&w, &epochs, "ca/", &detail), STATUS_INVALID);
    epochs.epoch[0].retires = 0;
    w = writer_of(text, 40);
    ck_assert_int_eq(epochs_write(&w, &epochs, "ca/", &detail), STATUS_LIMIT);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_not_found) {
    ck_assert_int_eq(epochs_read(&epochs, &arena, "/nowhere/access.epochs", &detail),
                     STATUS_NOT_FOUND);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("epochs");
    TCase *t = tcase_create("epochs");
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, names_are_taken_from_the_folder_of_the_list);
    tcase_add_test(t, a_key_may_be_a_uri_and_a_certificate_may_not);
    tcase_add_loop_test(t, a_list_that_breaks_a_rule_is_refused_with_the_line, 0,
                        sizeof refused / sizeof refused[0]);
    tcase_add_test(t, a_zero_byte_is_refused);
    tcase_add_test(t, more_epochs_than_there_may_be_are_refused);
    tcase_add_test(t, every_prefix_of_a_list_is_refused_or_a_whole_list);
    tcase_add_test(t, exactly_one_epoch_signs_at_any_time);
    tcase_add_test(t, what_is_written_is_read_as_the_same);
    tcase_add_test(t, what_could_not_be_read_again_is_not_written);
    tcase_add_test(t, a_file_that_is_not_there_is_not_found);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

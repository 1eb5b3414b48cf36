#include "server/base/file.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void make_dir(void) {
    (void)snprintf(dir, sizeof dir, "/tmp/test_base_file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_dir(void) {
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name) {
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void expect_content(const char *path, const char *text) {
    uint8_t *data = NULL;
    size_t len = 0;
    ck_assert_int_eq(file_read(&data, &len, path, 1000, NULL), STATUS_OK);
    ck_assert_uint_eq(len, strlen(text));
    ck_assert_str_eq((const char *)data, text);
    free(data);
}

static unsigned mode_of(const char *path) {
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static unsigned num_entries(void) {
    unsigned num = 0;
    char command[128], line[256];
    (void)snprintf(command, sizeof command, "ls -A %s", dir);
    FILE *list = popen(command, "r"); /* NOLINT(cert-env33-c): the path is ours */
    ck_assert_ptr_nonnull(list);
    while (fgets(line, sizeof line, list) != NULL) {
        num++;
    }
    (void)pclose(list);
    return num;
}

START_TEST(create_writes_content_and_mode_whatever_the_umask) {
    static const unsigned modes[] = {0600, 0644, 0640, 0400};
    mode_t before = umask(077);
    const char *path = in_dir("new");
    ck_assert_int_eq(file_create(path, modes[_i], bytes_of_text("content"), NULL), STATUS_OK);
    (void)umask(before);
    ck_assert_uint_eq(mode_of(path), modes[_i]);
    expect_content(path, "content");
}
END_TEST

START_TEST(create_never_overwrites_a_file) {
    const char *path = in_dir("there");
    struct detail detail = {0};
    ck_assert_int_eq(file_create(path, 0644, bytes_of_text("old"), NULL), STATUS_OK);
    ck_assert_int_eq(file_create(path, 0600, bytes_of_text("new"), &detail), STATUS_CONFLICT);
    expect_content(path, "old");
    ck_assert_uint_eq(mode_of(path), 0644);
    ck_assert_ptr_nonnull(strstr(detail.text, path));
}
END_TEST

START_TEST(create_follows_no_symbolic_link) {
    char target[128];
    (void)snprintf(target, sizeof target, "%s", in_dir("target"));
    ck_assert_int_eq(symlink(target, in_dir("link")), 0);
    ck_assert_int_eq(file_create(in_dir("link"), 0600, bytes_of_text("x"), NULL), STATUS_CONFLICT);
    ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(create_in_a_folder_that_is_not_there_fails) {
    struct detail detail = {0};
    ck_assert_int_eq(file_create(in_dir("no/file"), 0600, bytes_of_text("x"), &detail),
                     STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(detail.text, "no/file"));
}
END_TEST

START_TEST(create_leaves_nothing_when_the_disk_refuses) {
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {.rlim_cur = 10, .rlim_max = RLIM_INFINITY};
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum status status =
        file_create(in_dir("full"), 0600, bytes_of_text("more than ten bytes"), NULL);
    enum status replaced =
        file_replace(in_dir("full"), 0600, bytes_of_text("more than ten bytes"), NULL);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_ne(status, STATUS_OK);
    ck_assert_int_ne(replaced, STATUS_OK);
    ck_assert_uint_eq(num_entries(), 0);
}
END_TEST

START_TEST(replace_swaps_content_and_mode_and_leaves_nothing_beside) {
    const char *path = in_dir("file");
    ck_assert_int_eq(file_replace(path, 0644, bytes_of_text("one"), NULL), STATUS_OK);
    ck_assert_int_eq(file_replace(path, 0600, bytes_of_text("two"), NULL), STATUS_OK);
    expect_content(path, "two");
    ck_assert_uint_eq(mode_of(path), 0600);
    ck_assert_uint_eq(num_entries(), 1);
}
END_TEST

START_TEST(replace_mends_what_a_crash_left_behind) {
    char stale[256];
    (void)snprintf(stale, sizeof stale, "%s.%ld.new", in_dir("file"), (long)getpid());
    ck_assert_int_eq(file_create(stale, 0600, bytes_of_text("half"), NULL), STATUS_OK);
    ck_assert_int_eq(file_replace(in_dir("file"), 0600, bytes_of_text("whole"), NULL), STATUS_OK);
    expect_content(in_dir("file"), "whole");
    ck_assert_uint_eq(num_entries(), 1);
}
END_TEST

START_TEST(replace_that_fails_keeps_the_old_and_cleans_up) {
    ck_assert_int_eq(mkdir(in_dir("folder"), 0700), 0);
    ck_assert_int_ne(file_replace(in_dir("folder"), 0600, bytes_of_text("x"), NULL), STATUS_OK);
    ck_assert_uint_eq(num_entries(), 1);
}
END_TEST

START_TEST(replace_refuses_a_path_that_is_too_long) {
    char path[5000];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ck_assert_int_eq(file_replace(path, 0600, bytes_of_text("x"), NULL), STATUS_LIMIT);
}
END_TEST

START_TEST(read_takes_exactly_up_to_the_limit) {
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 100000};
    size_t size = sizes[_i], len = 7;
    uint8_t *content = malloc(size + 1), *data = NULL;
    ck_assert_ptr_nonnull(content);
    memset(content, 'c', size);
    const char *path = in_dir("sized");
    ck_assert_int_eq(file_create(path, 0600, bytes_of(content, size), NULL), STATUS_OK);
    ck_assert_int_eq(file_read(&data, &len, path, size, NULL), STATUS_OK);
    ck_assert(bytes_equal(bytes_of(data, len), bytes_of(content, size)));
    ck_assert_uint_eq(data[len], 0);
    free(data);
    if (size > 0) {
        struct detail detail = {0};
        data = NULL;
        len = 7;
        ck_assert_int_eq(file_read(&data, &len, path, size - 1, &detail), STATUS_LIMIT);
        ck_assert(data == NULL && len == 7);
        ck_assert_ptr_nonnull(strstr(detail.text, path));
    }
    free(content);
}
END_TEST

START_TEST(read_names_what_is_not_there) {
    uint8_t *data = NULL;
    size_t len = 7;
    struct detail detail = {0};
    ck_assert_int_eq(file_read(&data, &len, in_dir("absent"), 10, &detail), STATUS_NOT_FOUND);
    ck_assert(data == NULL && len == 7);
    ck_assert_ptr_nonnull(strstr(detail.text, "absent: No such file"));
}
END_TEST

START_TEST(read_of_a_folder_fails) {
    uint8_t *data = NULL;
    size_t len;
    ck_assert_int_eq(file_read(&data, &len, dir, 10, NULL), STATUS_INTERNAL);
    ck_assert_ptr_null(data);
}
END_TEST

START_TEST(read_below_a_file_fails) {
    uint8_t *data = NULL;
    size_t len;
    ck_assert_int_eq(file_create(in_dir("file"), 0600, bytes_of_text("x"), NULL), STATUS_OK);
    ck_assert_int_eq(file_read(&data, &len, in_dir("file/below"), 10, NULL), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(read_of_a_dash_is_standard_input) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "piped", 5), 5);
    (void)close(ends[1]);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    expect_content("-", "piped");
    (void)close(ends[0]);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, make_dir, remove_dir);
    tcase_add_loop_test(tests, create_writes_content_and_mode_whatever_the_umask, 0, 4);
    tcase_add_test(tests, create_never_overwrites_a_file);
    tcase_add_test(tests, create_follows_no_symbolic_link);
    tcase_add_test(tests, create_in_a_folder_that_is_not_there_fails);
    tcase_add_test(tests, create_leaves_nothing_when_the_disk_refuses);
    tcase_add_test(tests, replace_swaps_content_and_mode_and_leaves_nothing_beside);
    tcase_add_test(tests, replace_mends_what_a_crash_left_behind);
    tcase_add_test(tests, replace_that_fails_keeps_the_old_and_cleans_up);
    tcase_add_test(tests, replace_refuses_a_path_that_is_too_long);
    tcase_add_loop_test(tests, read_takes_exactly_up_to_the_limit, 0, 7);
    tcase_add_test(tests, read_names_what_is_not_there);
    tcase_add_test(tests, read_of_a_folder_fails);
    tcase_add_test(tests, read_below_a_file_fails);
    tcase_add_test(tests, read_of_a_dash_is_standard_input);
    Suite *suite = suite_create("base: file");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

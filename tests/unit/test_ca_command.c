/* gatehouse ca, in this process: the files that it makes, and what it refuses. */
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/commands/commands.h"
#include "server/credential/epochs.h"
#include "server/credential/signer.h"
#include "server/crypto/x509.h"
#include "tests/unit/run_command.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], config[96], list[96];
static struct arena arena;

static const char *in_folder(const char *name) {
    return arena_printf(&arena, "%s/%s", folder, name);
}

static void start(void) {
    struct command_run out;
    arena_init(&arena, 1 << 20);
    (void)snprintf(folder, sizeof folder, "/tmp/gatehouse-test-ca-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(config, sizeof config, "%s/g/gatehouse.ini", folder);
    (void)snprintf(list, sizeof list, "%s/g/ca/access.epochs", folder);
    run_command(&out, command_init, (const char *const[]){"init", in_folder("g"), NULL}, NULL);
    ck_assert_msg(out.status == 0, "%s", out.err);
    command_run_free(&out);
}

static void stop(void) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    arena_free(&arena);
}

/* The exit status; `words`, when not NULL, stand in what it printed. */
static void run(int status, const char *words, const char *const *argv) {
    struct command_run out;
    run_command(&out, command_ca, argv, NULL);
    ck_assert_msg(out.status == status, "%d: %s%s", out.status, out.out, out.err);
    ck_assert_msg(words == NULL || strstr(status == 0 ? out.out : out.err, words) != NULL,
                  "\"%s%s\" lacks \"%s\"", out.out, out.err, words);
    command_run_free(&out);
}

#define RUN(status, words, ...) run(status, words, (const char *const[]){"ca", __VA_ARGS__, NULL})

static struct epochs read_list(void) {
    struct epochs epochs;
    struct detail detail = {0};
    ck_assert_msg(epochs_read(&epochs, &arena, list, &detail) == STATUS_OK, "%s", detail.text);
    return epochs;
}

static unsigned num_keys(void) {
    char command[160];
    (void)snprintf(command, sizeof command, "ls '%s/g/ca' | grep -c '^access.*[.]key$'", folder);
    FILE *out = popen(command, "r");
    unsigned num = 0;
    ck_assert_int_eq(fscanf(out, "%u", &num), 1);
    (void)pclose(out);
    return num;
}

START_TEST(before_the_first_rotation_the_configured_authority_is_shown) {
    RUN(0, "\tsigning\t", "show", "--config", config);
    ck_assert_int_ne(access(list, F_OK), 0);
}
END_TEST

START_TEST(a_rotation_publishes_now_signs_later_and_retires_the_old_one) {
    int64_t before = clock_unix();
    RUN(0, "is retired", "rotate", "--config", config);
    int64_t after = clock_unix();
    struct epochs epochs = read_list();
    const struct epoch *old = &epochs.epoch[0], *new = &epochs.epoch[1];
    ck_assert_uint_eq(epochs.num, 2);
    ck_assert_str_eq(old->key, in_folder("g/ca/access.key"));
    ck_assert_int_ge(new->published, before);
    ck_assert_int_le(new->published, after);
    ck_assert_int_eq(new->signs, new->published + 86400);
    ck_assert_int_eq(old->retires, new->signs + 25 * 3600);
    ck_assert_int_eq(epochs_state(&epochs, 0, after), EPOCH_SIGNING);
    ck_assert_int_eq(epochs_state(&epochs, 1, after), EPOCH_COMING);
    RUN(0, "\tcoming\t", "show", "--config", config);
}
END_TEST

START_TEST(the_key_is_for_its_owner_only_and_fits_its_certificate) {
    struct stat st;
    struct signer *signer;
    struct detail detail = {0};
    RUN(0, NULL, "rotate", "--config", config);
    struct epochs epochs = read_list();
    ck_assert_int_eq(stat(epochs.epoch[1].key, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    const struct signer_options options = {.trust_domain = "gatehouse.test",
                                           .identity_key_file = in_folder("g/ca/identity.key"),
                                           .identity_certificate_file =
                                               in_folder("g/ca/identity.pem"),
                                           .access_key_file = "/nowhere",
                                           .access_certificate_file = "/nowhere",
                                           .access_authorities_file = list};
    ck_assert_msg(signer_start(&signer, &options, &detail) == STATUS_OK, "%s", detail.text);
    const struct signer_authority *authority;
    struct certificate old, new;
    ck_assert_uint_eq(signer_authorities(signer, &authority), 3);
    ck_assert(authority[1].signs && !authority[2].signs);
    ck_assert_int_eq(certificate_parse(&old, authority[1].certificate, NULL), STATUS_OK);
    ck_assert_int_eq(certificate_parse(&new, authority[2].certificate, NULL), STATUS_OK);
    ck_assert_str_ne(old.subject, new.subject);
    ck_assert(new.is_ca);
    signer_free(signer);
}
END_TEST

START_TEST(overlap_and_retirement_are_as_asked_for) {
    RUN(0, "Mind the short overlap", "rotate", "--config", config, "--overlap", "5 m",
        "--retire-after", "2 h");
    struct epochs epochs = read_list();
    ck_assert_int_eq(epochs.epoch[1].signs, epochs.epoch[1].published + 300);
    ck_assert_int_eq(epochs.epoch[0].retires, epochs.epoch[1].signs + 7200);
}
END_TEST

START_TEST(a_second_rotation_is_refused_while_one_is_under_way) {
    RUN(0, NULL, "rotate", "--config", config);
    RUN(1, "a rotation is under way", "rotate", "--config", config);
    ck_assert_uint_eq(read_list().num, 2);
    ck_assert_uint_eq(num_keys(), 2);
}
END_TEST

START_TEST(an_emergency_ends_everything_else_at_once) {
    RUN(0, NULL, "rotate", "--config", config);
    RUN(0, "devices have to attest again", "rotate", "--config", config, "--emergency");
    struct epochs epochs = read_list();
    int64_t now = clock_unix();
    ck_assert_uint_eq(epochs.num, 2); /* what never signed is not among them */
    ck_assert_int_eq(epochs_state(&epochs, 0, now), EPOCH_RETIRED);
    ck_assert_int_eq(epochs_state(&epochs, 1, now), EPOCH_SIGNING);
}
END_TEST

START_TEST(a_retired_epoch_leaves_with_the_next_rotation) {
    RUN(0, NULL, "rotate", "--config", config, "--emergency");
    RUN(0, NULL, "rotate", "--config", config);
    struct epochs epochs = read_list();
    ck_assert_uint_eq(epochs.num, 2);
    ck_assert_str_ne(epochs.epoch[0].key, in_folder("g/ca/access.key"));
    ck_assert_int_eq(access(in_folder("g/ca/access.key"), F_OK), 0); /* the file stays */
}
END_TEST

START_TEST(a_list_that_is_broken_is_left_alone) {
    struct detail detail = {0};
    ck_assert_int_eq(file_create(list, 0600, bytes_of_text("nonsense\n"), &detail), STATUS_OK);
    RUN(1, "line 1", "rotate", "--config", config);
    RUN(1, "line 1", "show", "--config", config);
    ck_assert_uint_eq(num_keys(), 1);
}
END_TEST

START_TEST(two_at_one_time_are_refused) {
    int fd = open(in_folder("g/ca"), O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    RUN(1, "another `gatehouse ca`", "rotate", "--config", config);
    RUN(0, "signing", "show", "--config", config);
    (void)close(fd);
    RUN(0, NULL, "rotate", "--config", config);
}
END_TEST

START_TEST(without_the_setting_nothing_is_made) {
    ck_assert_int_eq(setenv("GATEHOUSE_SIGNER_ACCESS_AUTHORITIES", "", 1), 0);
    RUN(1, "signer.access_authorities is not set", "rotate", "--config", config);
    RUN(0, "signing", "show", "--config", config);
    ck_assert_uint_eq(num_keys(), 1);
    ck_assert_int_eq(unsetenv("GATEHOUSE_SIGNER_ACCESS_AUTHORITIES"), 0);
}
END_TEST

START_TEST(a_certificate_that_is_not_there_ends_it) {
    ck_assert_int_eq(unlink(in_folder("g/ca/access.pem")), 0);
    RUN(1, "access.pem", "rotate", "--config", config);
    RUN(1, "access.pem", "show", "--config", config);
    ck_assert_uint_eq(num_keys(), 1);
}
END_TEST

static const struct {
    const char *argv[8];
    int status;
} wrong[] = {
    {{"ca", NULL}, EXIT_USAGE},
    {{"ca", "make", NULL}, EXIT_USAGE},
    {{"ca", "show", NULL}, EXIT_USAGE},
    {{"ca", "show", "--config", NULL}, EXIT_USAGE},
    {{"ca", "rotate", NULL}, EXIT_USAGE},
    {{"ca", "rotate", "--config", NULL}, EXIT_USAGE},
    {{"ca", "rotate", "--config", "CONFIG", "--overlap", NULL}, EXIT_USAGE},
    {{"ca", "rotate", "--config", "CONFIG", "--emergency", "--emergency", NULL}, EXIT_USAGE},
    {{"ca", "rotate", "--config", "CONFIG", "--emergency", "--overlap", "1 h", NULL}, EXIT_USAGE},
    {{"ca", "rotate", "--config", "/nowhere.ini", NULL}, 1},
    {{"ca", "show", "--config", "/nowhere.ini", NULL}, 1},
    {{"ca", "rotate", "--config", "CONFIG", "--overlap", "soon", NULL}, 1},
    {{"ca", "rotate", "--config", "CONFIG", "--overlap", "0", NULL}, 1},
    {{"ca", "rotate", "--config", "CONFIG", "--overlap", "91 d", NULL}, 1},
    {{"ca", "rotate", "--config", "CONFIG", "--overlap", "1500 ms", NULL}, 1},
    {{"ca", "rotate", "--config", "CONFIG", "--retire-after", "5 m", NULL}, 1},
};

START_TEST(wrong_use_is_told_and_changes_nothing) {
    const char *argv[8] = {NULL};
    for (size_t i = 0; wrong[_i].argv[i] != NULL; i++) {
        argv[i] = strcmp(wrong[_i].argv[i], "CONFIG") == 0 ? config : wrong[_i].argv[i];
    }
    run(wrong[_i].status, NULL, argv);
    ck_assert_int_ne(access(list, F_OK), 0);
    ck_assert_uint_eq(num_keys(), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ca command");
    TCase *t = tcase_create("ca");
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, before_the_first_rotation_the_configured_authority_is_shown);
    tcase_add_test(t, a_rotation_publishes_now_signs_later_and_retires_the_old_one);
    tcase_add_test(t, the_key_is_for_its_owner_only_and_fits_its_certificate);
    tcase_add_test(t, overlap_and_retirement_are_as_asked_for);
    tcase_add_test(t, a_second_rotation_is_refused_while_one_is_under_way);
    tcase_add_test(t, an_emergency_ends_everything_else_at_once);
    tcase_add_test(t, a_retired_epoch_leaves_with_the_next_rotation);
    tcase_add_test(t, a_list_that_is_broken_is_left_alone);
    tcase_add_test(t, two_at_one_time_are_refused);
    tcase_add_test(t, without_the_setting_nothing_is_made);
    tcase_add_test(t, a_certificate_that_is_not_there_ends_it);
    tcase_add_loop_test(t, wrong_use_is_told_and_changes_nothing, 0,
                        sizeof wrong / sizeof wrong[0]);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

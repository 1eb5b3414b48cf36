/* gatehouse operator, in this process: what it puts into the store, and what it refuses. */
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/commands/commands.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/run_command.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_fixture f;
static struct arena arena;
static char config[96];

static const char *in_folder(const char *name) {
    return arena_printf(&arena, "%s/%s", f.folder, name);
}

static void write_file(const char *name, struct bytes content) {
    struct detail detail = {0};
    ck_assert_msg(file_create(in_folder(name), 0600, content, &detail) == STATUS_OK, "%s",
                  detail.text);
}

/* NAME.pem, by the authority that the admin plane knows, or by another. */
static void make_certificate(const char *name, size_t key, bool known, int64_t not_after) {
    struct cert_spec spec = cert_leaf(name, key, known ? "operators" : "strangers", known ? 0 : 1);
    spec.not_before = clock_unix() - 86400;
    spec.not_after = not_after;
    struct bytes der = cert_make(&spec);
    write_file(arena_printf(&arena, "%s.pem", name), cert_pem(&arena, &der, 1));
}

static void start(void) {
    arena_init(&arena, 1 << 20);
    store_fixture_folder(&f);
    (void)snprintf(config, sizeof config, "%s/g.ini", f.folder);
    struct cert_spec spec = cert_ca("operators", 0, "operators", 0);
    spec.not_before = clock_unix() - 86400;
    spec.not_after = clock_unix() + 86400;
    struct bytes der = cert_make(&spec);
    write_file("operators.pem", cert_pem(&arena, &der, 1));
    make_certificate("alice", 2, true, clock_unix() + 3600);
    make_certificate("bob", 3, true, clock_unix() + 3600);
    write_file("g.ini",
               bytes_of_text(arena_printf(
                   &arena,
                   "[gateway]\ntrust_domain = g.example\n[store]\npath = %s\n[signer]\n"
                   "identity_key = a\nidentity_certificate = b\naccess_key = c\n"
                   "access_certificate = d\n[admin]\nlisten = 127.0.0.1:0\ncertificate = s\n"
                   "key = k\nanchors = operators.pem\n",
                   f.path)));
    store_fixture_open(&f, true);
    store_fixture_close(&f);
}

static void stop(void) {
    store_fixture_remove(&f);
    arena_free(&arena);
}

/* The exit status; `words`, when not NULL, stand on standard error. */
static void run(int status, const char *words, const char *const *argv) {
    struct command_run out;
    run_command(&out, command_operator, argv, NULL);
    ck_assert_msg(out.status == status, "%d: %s%s", out.status, out.out, out.err);
    ck_assert_msg(words == NULL || strstr(out.err, words) != NULL, "\"%s\" lacks \"%s\"", out.err,
                  words);
    command_run_free(&out);
}

static void add(int status, const char *words, const char *name, const char *role,
                const char *certificate, bool replace) {
    run(status, words,
        (const char *const[]){"operator", "add", "--config", config, "--name", name, "--role", role,
                              "--certificate",
                              in_folder(arena_printf(&arena, "%s.pem", certificate)),
                              replace ? "--replace" : NULL, NULL});
}

static struct operator_row row_of(const char *name) {
    struct operator_row row = {0};
    store_fixture_open(&f, false);
    enum status status = store_operator_get(f.reader, &row, name);
    ck_assert(status == STATUS_OK || status == STATUS_NOT_FOUND);
    store_fixture_close(&f);
    return row;
}

START_TEST(an_operator_is_registered_with_who_did_it) {
    add(0, NULL, "alice", "admin", "alice", false);
    struct operator_row row = row_of("alice");
    ck_assert_str_eq(row.role, "admin");
    ck_assert_uint_eq(row.num_certificates, 1);
    ck_assert_str_eq(row.certificate[0].subject, "CN=alice");
    ck_assert_int_eq(strncmp(row.certificate[0].added_by, "host:", 5), 0);
    struct audit_row *audit;
    size_t num;
    store_fixture_open(&f, false);
    ck_assert_int_eq(store_audit_list(f.reader, &f.arena, &audit, &num, 0, 10), STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_str_eq(audit[0].actor, row.certificate[0].added_by);
    ck_assert_str_eq(audit[0].action, "operator.create");
    ck_assert_str_eq(audit[0].object, "operator:alice");
    store_fixture_close(&f);
}
END_TEST

START_TEST(nobody_is_replaced_unasked) {
    add(0, NULL, "alice", "admin", "alice", false);
    add(1, "--replace", "alice", "admin", "bob", false);
    ck_assert_str_eq(row_of("alice").certificate[0].subject, "CN=alice");
}
END_TEST

START_TEST(who_is_replaced_has_the_new_certificate_only) {
    static const char *const more[] = {"1", "2", "3"};
    add(0, NULL, "alice", "admin", "alice", false);
    store_fixture_open(&f, true);
    for (size_t i = 0; i < 3; i++) {
        struct operator_certificate row = sample_certificate(more[i]); /* long expired */
        ck_assert_int_eq(
            store_fixture_write(&f, store_operator_certificate_add(f.writer, "alice", &row)),
            STATUS_OK);
    }
    store_fixture_close(&f);
    add(0, NULL, "alice", "admin", "bob", true);
    struct operator_row row = row_of("alice");
    ck_assert_uint_eq(row.num_certificates, 1);
    ck_assert_str_eq(row.certificate[0].subject, "CN=bob");
    add(0, NULL, "alice", "admin", "bob", true); /* again: nothing is missing */
    ck_assert_uint_eq(row_of("alice").num_certificates, 1);
}
END_TEST

START_TEST(who_is_replaced_is_enabled_again) {
    add(0, NULL, "alice", "admin", "alice", false);
    store_fixture_open(&f, true);
    struct operator_row bob = sample_operator("bob", "viewer");
    bob.disabled = true;
    ck_assert_int_eq(store_fixture_write(&f, store_operator_put(f.writer, &bob, false)), STATUS_OK);
    store_fixture_close(&f);
    add(0, NULL, "bob", "operator", "bob", true);
    ck_assert(!row_of("bob").disabled);
    ck_assert_str_eq(row_of("bob").role, "operator");
}
END_TEST

START_TEST(the_last_admin_stays_one) {
    add(0, NULL, "alice", "admin", "alice", false);
    add(1, "last admin", "alice", "viewer", "alice", true);
    ck_assert_str_eq(row_of("alice").role, "admin");
}
END_TEST

START_TEST(what_would_not_come_in_is_not_registered) {
    make_certificate("stranger", 2, false, clock_unix() + 3600);
    make_certificate("expired", 2, true, clock_unix() - 3600);
    write_file("none.pem", bytes_of_text("none"));
    add(1, "admin.anchors", "x", "admin", "stranger", false);
    add(1, "admin.anchors", "x", "admin", "expired", false);
    add(1, "one certificate", "x", "admin", "none", false);
    add(1, "authority", "x", "admin", "operators", false);
    add(1, "missing.pem", "x", "admin", "missing", false);
    add(1, "--role", "x", "root", "alice", false);
    add(1, "--name", "x y", "admin", "alice", false);
    add(0, NULL, "x", "admin", "alice", false);
    add(1, "another operator's", "y", "admin", "alice", false);
    add(0, NULL, "y", "viewer", "bob", false);
    add(1, "another operator's", "y", "viewer", "alice", true);
    ck_assert_str_eq(row_of("y").certificate[0].subject, "CN=bob");
}
END_TEST

START_TEST(while_the_gateway_runs_it_says_so_and_changes_nothing) {
    store_fixture_open(&f, true);
    add(1, "the gateway is running", "alice", "admin", "alice", false);
    store_fixture_close(&f);
    ck_assert_str_eq(row_of("alice").name, "");
}
END_TEST

START_TEST(a_store_that_is_not_there_is_not_made) {
    stop();
    start();
    ck_assert_int_eq(remove(f.path), 0);
    add(1, "gatehouse init", "alice", "admin", "alice", false);
    run(1, "gatehouse init", (const char *const[]){"operator", "list", "--config", config, NULL});
}
END_TEST

static const char *const wrong_use[][8] = {
    {"operator", NULL},
    {"operator", "remove", NULL},
    {"operator", "list", NULL},
    {"operator", "add", "--config", "x", NULL},
    {"operator", "list", "--config", "x", "--name", "y", NULL},
    {"operator", "list", "--config", "x", "--replace", NULL},
    {"operator", "list", "--config", "x", "--config", "y", NULL},
    {"operator", "list", "--config", NULL},
    {"operator", "add", "--name", "x", "--role", "admin", NULL},
};

START_TEST(wrong_use_is_told) {
    run(2, NULL, wrong_use[_i]);
}
END_TEST

START_TEST(each_certificate_is_listed) {
    struct command_run out;
    add(0, NULL, "alice", "admin", "alice", false);
    store_fixture_open(&f, true);
    struct operator_certificate row = {.added = 5};
    memset(row.sha256, 0xab, 32);
    ck_assert_int_eq(
        store_fixture_write(&f, store_operator_certificate_add(f.writer, "alice", &row)),
        STATUS_OK);
    store_fixture_close(&f);
    run_command(&out, command_operator,
                (const char *const[]){"operator", "list", "--config", config, NULL}, NULL);
    ck_assert_int_eq(out.status, 0);
    ck_assert_ptr_nonnull(strstr(out.out, "\tCN=alice\n"));
    ck_assert_ptr_nonnull(strstr(out.out, "alice\tadmin\tenabled\tabababab"));
    ck_assert_ptr_nonnull(strstr(out.out, "abab\t-\t-\n"));
    command_run_free(&out);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("operator command");
    TCase *t = tcase_create("operator");
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, an_operator_is_registered_with_who_did_it);
    tcase_add_test(t, nobody_is_replaced_unasked);
    tcase_add_test(t, who_is_replaced_has_the_new_certificate_only);
    tcase_add_test(t, who_is_replaced_is_enabled_again);
    tcase_add_test(t, the_last_admin_stays_one);
    tcase_add_test(t, what_would_not_come_in_is_not_registered);
    tcase_add_test(t, while_the_gateway_runs_it_says_so_and_changes_nothing);
    tcase_add_test(t, a_store_that_is_not_there_is_not_made);
    tcase_add_loop_test(t, wrong_use_is_told, 0, sizeof wrong_use / sizeof wrong_use[0]);
    tcase_add_test(t, each_certificate_is_listed);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

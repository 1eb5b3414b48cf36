/* The signer reads its keys anew while it runs, and its authorities follow the time. */
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/credential/epochs.h"
#include "server/credential/signer.h"
#include "server/crypto/x509.h"
#include "tests/unit/signer_fixture.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct store_fixture f;
static struct arena arena;
static struct signer *signer;
static struct detail detail;
static struct signer_options options;

static const char *in_folder(const char *name) {
    return arena_printf(&arena, "%s/%s", f.folder, name);
}

static void must(enum status status) {
    ck_assert_msg(status == STATUS_OK, "%s: %s", status_name(status), detail.text);
}

static void start(void) {
    arena_init(&arena, 1 << 20);
    store_fixture_folder(&f);
    detail = (struct detail){0};
    signer_fixture_authority(f.folder, "identity");
    signer_fixture_authority(f.folder, "access");
    signer_fixture_authority(f.folder, "next");
    options = (struct signer_options){.trust_domain = "gatehouse.test",
                                      .identity_key_file = in_folder("identity.key"),
                                      .identity_certificate_file = in_folder("identity.pem"),
                                      .access_key_file = in_folder("access.key"),
                                      .access_certificate_file = in_folder("access.pem"),
                                      .access_authorities_file = in_folder("access.epochs")};
    must(signer_start(&signer, &options, &detail));
}

static void stop(void) {
    signer_free(signer);
    store_fixture_remove(&f);
    arena_free(&arena);
}

/* The list of both: the second signs from `signs` on, the first is retired at `retires`. */
static void write_list(int64_t signs, int64_t retires) {
    char text[EPOCHS_FILE_MAX];
    struct writer w = writer_of(text, sizeof text);
    int64_t now = clock_unix();
    struct epochs epochs = {.num = 2,
                            .epoch = {{.key = in_folder("access.key"),
                                       .certificate = in_folder("access.pem"),
                                       .published = now - 3600,
                                       .signs = now - 3600,
                                       .retires = retires},
                                      {.key = in_folder("next.key"),
                                       .certificate = in_folder("next.pem"),
                                       .published = now - 3600,
                                       .signs = signs}}};
    must(epochs_write(&w, &epochs, "", &detail));
    must(file_replace(in_folder("access.epochs"), 0600, writer_bytes(&w), &detail));
}

/* Signs one; the certificate holds under the authority that is said to have signed. */
static struct sign_job sign(void) {
    struct sign_job job = sample_job(1), *jobs[] = {&job};
    const struct signer_authority *authority;
    must(signer_sign(signer, jobs, 1, &detail));
    must(job.status);
    size_t num = signer_authorities(signer, &authority), i = 0;
    while (i < num && strcmp(authority[i].id, job.authority) != 0) {
        i++;
    }
    ck_assert_uint_lt(i, num);
    struct trust_bundle *bundle;
    const struct trust_certificate anchor = {.der = authority[i].certificate, .anchor = true};
    must(trust_bundle_of(&bundle, &anchor, 1, &detail));
    must(trust_bundle_verify(bundle, bytes_of(job.der, job.der_len), NULL, 0, clock_unix(),
                             CHAIN_TLS_CLIENT, &detail));
    trust_bundle_free(bundle);
    return job;
}

static const char *id_of(size_t i) {
    const struct signer_authority *authority;
    ck_assert_uint_lt(i, signer_authorities(signer, &authority));
    return authority[i].id;
}

static void pause_a_moment(void) {
    const struct timespec moment = {.tv_nsec = 10000000};
    (void)nanosleep(&moment, NULL);
}

START_TEST(without_a_list_there_is_one_access_authority) {
    const struct signer_authority *authority;
    ck_assert_uint_eq(signer_authorities(signer, &authority), 2);
    ck_assert(authority[0].profile == PROFILE_IDENTITY && authority[0].signs);
    ck_assert(authority[1].profile == PROFILE_ACCESS && authority[1].signs);
    ck_assert_int_eq(authority[1].retires, 0);
    ck_assert_int_eq(signer_next_change(signer), INT64_MAX);
    ck_assert_str_eq(sign().authority, authority[1].id);
}
END_TEST

START_TEST(a_reload_without_a_change_gives_the_same_authorities) {
    const struct signer_authority *before, *after;
    int pid = signer_pid(signer);
    (void)signer_authorities(signer, &before);
    must(signer_reload(signer, &detail));
    (void)signer_authorities(signer, &after);
    ck_assert_ptr_eq(before, after);
    ck_assert_int_ne(signer_pid(signer), pid);
    (void)sign();
}
END_TEST

START_TEST(a_coming_authority_is_published_and_does_not_sign) {
    const struct signer_authority *authority;
    const char *old = id_of(1);
    int64_t now = clock_unix();
    write_list(now + 3600, now + 7200);
    must(signer_reload(signer, &detail));
    ck_assert_uint_eq(signer_authorities(signer, &authority), 3);
    ck_assert_str_eq(authority[1].id, old);
    ck_assert(authority[1].signs && !authority[2].signs);
    ck_assert_int_eq(authority[1].not_after, now + 7200);
    ck_assert_int_eq(authority[2].signs_from, now + 3600);
    ck_assert_int_eq(signer_next_change(signer), now + 3600);
    ck_assert_str_eq(sign().authority, old);
}
END_TEST

START_TEST(the_next_one_signs_when_its_time_has_come_without_a_reload) {
    const struct signer_authority *authority;
    const char *old = id_of(1), *last = old;
    int64_t now = clock_unix();
    bool turned = false;
    write_list(now + 2, now + 7200);
    must(signer_reload(signer, &detail));
    while (!turned && clock_unix() < now + 30) { /* each one holds, before and after */
        struct sign_job job = sign();
        turned = strcmp(job.authority, old) != 0;
        ck_assert(!turned || clock_unix() >= now + 2);
        last = arena_text(&arena, job.authority);
        pause_a_moment();
    }
    ck_assert(turned);
    ck_assert_uint_eq(signer_authorities(signer, &authority), 3);
    ck_assert_str_eq(authority[1].id, last);
    ck_assert(authority[1].signs);
    ck_assert_str_eq(authority[2].id, old);
    ck_assert(!authority[2].signs);
    ck_assert_int_eq(signer_next_change(signer), now + 7200);
}
END_TEST

START_TEST(a_retired_authority_goes_from_the_list_by_itself) {
    const struct signer_authority *authority, *before;
    const char *old = id_of(1);
    int64_t now = clock_unix();
    write_list(now - 10, now + 2);
    must(signer_reload(signer, &detail));
    ck_assert_uint_eq(signer_authorities(signer, &before), 3);
    while (signer_authorities(signer, &authority) == 3 && clock_unix() < now + 30) {
        pause_a_moment();
    }
    ck_assert_uint_eq(signer_authorities(signer, &authority), 2);
    ck_assert_str_ne(authority[1].id, old);
    ck_assert_str_eq(before[2].id, old); /* what was given stays readable */
    (void)sign();
    must(signer_reload(signer, &detail)); /* its files are not looked for any more */
    ck_assert_int_eq(unlink(in_folder("access.key")), 0);
    must(signer_reload(signer, &detail));
    (void)sign();
}
END_TEST

START_TEST(nothing_is_signed_that_outlives_its_authority) {
    int64_t now = clock_unix();
    struct sign_job job = sample_job(1), *jobs[] = {&job};
    write_list(now + 600, now + 1200);
    must(signer_reload(signer, &detail));
    job.not_after = now + 1201;
    must(signer_sign(signer, jobs, 1, &detail));
    ck_assert_int_eq(job.status, STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "retired"));
    job.not_after = now + 1200;
    must(signer_sign(signer, jobs, 1, &detail));
    ck_assert_int_eq(job.status, STATUS_OK);
}
END_TEST

/* --- reloads that fail -------------------------------------------------------------------------- */

static void assert_refused(enum status status, const char *words) {
    const struct signer_authority *before, *after;
    int pid = signer_pid(signer);
    (void)signer_authorities(signer, &before);
    ck_assert_int_eq(signer_reload(signer, &detail), status);
    ck_assert_msg(strstr(detail.text, words) != NULL, "%s", detail.text);
    (void)signer_authorities(signer, &after);
    ck_assert_ptr_eq(before, after);
    ck_assert_int_eq(signer_pid(signer), pid);
    ck_assert(!signer_has_ended(signer));
    (void)sign();
}

START_TEST(a_list_that_is_broken_leaves_the_old_one_in_force) {
    must(file_create(in_folder("access.epochs"), 0600, bytes_of_text("nonsense\n"), &detail));
    assert_refused(STATUS_MALFORMED, "line 1");
    ck_assert_int_eq(unlink(in_folder("access.epochs")), 0);
    must(signer_reload(signer, &detail));
}
END_TEST

START_TEST(a_key_that_is_not_there_leaves_the_old_one_in_force) {
    write_list(clock_unix() + 3600, clock_unix() + 7200);
    ck_assert_int_eq(unlink(in_folder("next.key")), 0);
    assert_refused(STATUS_NOT_FOUND, "next.key");
}
END_TEST

START_TEST(a_key_of_another_certificate_leaves_the_old_one_in_force) {
    write_list(clock_unix() + 3600, clock_unix() + 7200);
    signer_fixture_authority(f.folder, "other");
    ck_assert_int_eq(rename(in_folder("other.key"), in_folder("next.key")), 0);
    assert_refused(STATUS_INVALID, "");
}
END_TEST

START_TEST(a_list_in_which_nobody_signs_yet_leaves_the_old_one_in_force) {
    must(file_create(
        in_folder("access.epochs"), 0600,
        bytes_of_text("gatehouse access authorities 1\n"
                      "next.key next.pem 2099-01-01T00:00:00Z 2099-01-01T00:00:00Z -\n"),
        &detail));
    assert_refused(STATUS_INVALID, "no authority signs yet");
}
END_TEST

START_TEST(an_epoch_with_the_identity_key_leaves_the_old_one_in_force) {
    ck_assert_int_eq(rename(in_folder("identity.pem"), in_folder("next.pem")), 0);
    ck_assert_int_eq(link(in_folder("next.pem"), in_folder("identity.pem")), 0);
    ck_assert_int_eq(unlink(in_folder("next.key")), 0);
    ck_assert_int_eq(link(in_folder("identity.key"), in_folder("next.key")), 0);
    write_list(clock_unix() + 3600, clock_unix() + 7200);
    assert_refused(STATUS_INVALID, "share one key");
}
END_TEST

START_TEST(another_identity_authority_takes_a_restart) {
    ck_assert_int_eq(unlink(in_folder("identity.key")), 0);
    ck_assert_int_eq(unlink(in_folder("identity.pem")), 0);
    signer_fixture_authority(f.folder, "identity");
    assert_refused(STATUS_INVALID, "restart");
}
END_TEST

/* --- taking over -------------------------------------------------------------------------------- */

static enum status checkpoint(int64_t seq, uint8_t fill) {
    struct checkpoint_job job = {.seq = seq};
    memset(job.hash, fill, sizeof job.hash);
    must(signer_checkpoint(signer, &job, &detail));
    return job.status;
}

START_TEST(what_was_signed_of_the_audit_log_is_known_after_a_reload) {
    must(checkpoint(5, 1));
    must(signer_reload(signer, &detail));
    must(signer_reload(signer, &detail));
    ck_assert_int_eq(checkpoint(4, 1), STATUS_INVALID);
    ck_assert_int_eq(checkpoint(5, 2), STATUS_INVALID);
    must(checkpoint(5, 1));
    must(checkpoint(6, 2));
}
END_TEST

START_TEST(the_one_before_has_ended_after_a_reload) {
    int pid = signer_pid(signer);
    must(signer_reload(signer, &detail));
    ck_assert_int_eq(kill(pid, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
}
END_TEST

struct busy {
    _Atomic bool stop;
    _Atomic unsigned signed_well, failed;
};

static void *sign_all_the_time(void *context) {
    struct busy *busy = context;
    while (!atomic_load(&busy->stop)) {
        struct sign_job job = sample_job(2), *jobs[] = {&job};
        bool good = signer_sign(signer, jobs, 1, NULL) == STATUS_OK && job.status == STATUS_OK;
        atomic_fetch_add(good ? &busy->signed_well : &busy->failed, 1);
    }
    return NULL;
}

START_TEST(no_request_fails_while_signers_take_over) {
    struct busy busy = {0};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, sign_all_the_time, &busy), 0);
    for (int i = 0; i < 20; i++) {
        must(signer_reload(signer, &detail));
        unsigned before = atomic_load(&busy.signed_well) + atomic_load(&busy.failed);
        while (atomic_load(&busy.signed_well) + atomic_load(&busy.failed) == before) {
            pause_a_moment();
        }
    }
    atomic_store(&busy.stop, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(atomic_load(&busy.failed), 0);
}
END_TEST

START_TEST(a_signer_that_is_killed_after_a_reload_is_gone) {
    must(signer_reload(signer, &detail));
    ck_assert(!signer_has_ended(signer));
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    for (int i = 0; i < 3000 && !signer_has_ended(signer); i++) {
        pause_a_moment();
    }
    ck_assert(signer_has_ended(signer));
    ck_assert_int_eq(signer_reload(signer, &detail), STATUS_INTERNAL);
    ck_assert_ptr_nonnull(strstr(detail.text, "the signer is gone"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("signer reload");
    TCase *t = tcase_create("reload");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, without_a_list_there_is_one_access_authority);
    tcase_add_test(t, a_reload_without_a_change_gives_the_same_authorities);
    tcase_add_test(t, a_coming_authority_is_published_and_does_not_sign);
    tcase_add_test(t, the_next_one_signs_when_its_time_has_come_without_a_reload);
    tcase_add_test(t, a_retired_authority_goes_from_the_list_by_itself);
    tcase_add_test(t, nothing_is_signed_that_outlives_its_authority);
    tcase_add_test(t, a_list_that_is_broken_leaves_the_old_one_in_force);
    tcase_add_test(t, a_key_that_is_not_there_leaves_the_old_one_in_force);
    tcase_add_test(t, a_key_of_another_certificate_leaves_the_old_one_in_force);
    tcase_add_test(t, a_list_in_which_nobody_signs_yet_leaves_the_old_one_in_force);
    tcase_add_test(t, an_epoch_with_the_identity_key_leaves_the_old_one_in_force);
    tcase_add_test(t, another_identity_authority_takes_a_restart);
    tcase_add_test(t, what_was_signed_of_the_audit_log_is_known_after_a_reload);
    tcase_add_test(t, the_one_before_has_ended_after_a_reload);
    tcase_add_test(t, no_request_fails_while_signers_take_over);
    tcase_add_test(t, a_signer_that_is_killed_after_a_reload_is_gone);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

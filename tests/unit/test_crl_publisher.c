/* concurrent */
/* Keeping lists of what is revoked current. */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/fleet/crl_publisher.h"
#include "server/fleet/trust_log.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/lab.h"
#include "tests/unit/signer_fixture.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIFETIME_S = 3600, PATIENCE_MS = 20000 };

static struct store_fixture f;
static struct signer *signer;
static struct feed *feed;
static struct crl_publisher *publisher;
static struct detail detail;
static char access_id[AUTHORITY_ID_SIZE], identity_id[AUTHORITY_ID_SIZE];
static _Atomic int fatal_calls;

static void on_fatal(void *context) {
    (void)context;
    atomic_fetch_add(&fatal_calls, 1);
}

static void prepare(void) {
    const struct signer_authority *all;
    struct model_row model = sample_model("edge");
    struct device_row device = sample_device("edge", 1);
    store_fixture_folder(&f);
    signer = signer_fixture_start(f.folder);
    size_t num = signer_authorities(signer, &all);
    for (size_t i = 0; i < num; i++) {
        memcpy(all[i].profile == PROFILE_ACCESS ? access_id : identity_id, all[i].id,
               AUTHORITY_ID_SIZE);
    }
    store_fixture_open(&f, true);
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_device_insert(f.writer, &device)), STATUS_OK);
    ck_assert_int_eq(feed_new(&feed, 16), STATUS_OK);
    ck_assert_int_eq(trust_log_begin(feed, store_writer_reader(f.writer)), STATUS_OK);
    atomic_store(&fatal_calls, 0);
}

static void start_with(unsigned lifetime_s) {
    const struct crl_publisher_options options = {.store = f.store,
                                                  .signer = signer,
                                                  .feed = feed,
                                                  .lifetime_s = lifetime_s,
                                                  .fatal = on_fatal};
    enum status status = crl_publisher_start(&publisher, &options, &detail);
    ck_assert_msg(status == STATUS_OK, "%s", detail.text);
}

static void end(void) {
    crl_publisher_stop(publisher);
    crl_publisher_free(publisher);
    publisher = NULL;
}

static void clean_up(void) {
    end();
    feed_free(feed);
    signer_free(signer);
    store_fixture_remove(&f);
}

/* The n-th credential, of the authority, not revoked. */
static struct credential_row issue(unsigned n, const char *authority, int64_t not_after) {
    struct credential_row row = sample_credential(n, 1);
    (void)snprintf(row.authority, sizeof row.authority, "%s", authority);
    row.not_after = not_after;
    ck_assert_int_eq(store_fixture_write(&f, store_credential_insert(f.writer, &row)), STATUS_OK);
    return row;
}

static void publish(void) {
    ck_assert_int_eq(trust_log_publish(feed, NULL, store_writer_reader(f.writer)), STATUS_OK);
}

static void put_revoked(unsigned n, const char *authority, int64_t not_after, const char *reason) {
    struct credential_row row = issue(n, authority, not_after);
    int64_t at = clock_unix() < not_after ? clock_unix() : not_after - 1;
    ck_assert_int_eq(
        store_fixture_write(&f, store_credential_revoke(f.writer, row.serial, at, reason)),
        STATUS_OK);
}

static bool holds(const struct crl_file *file, unsigned n) {
    struct credential_row row = sample_credential(n, 1);
    uint8_t serial[16];
    ck_assert_int_eq(hex_decode(serial, sizeof serial, row.serial), STATUS_OK);
    /* It begins with zeros, which are no digits of the number. */
    return memmem(file->content.data, file->content.len, serial + 3, sizeof serial - 3) != NULL;
}

static bool listed(unsigned n) {
    const struct crl_file *file = crl_publisher_list(publisher, "");
    bool found = file != NULL && holds(file, n);
    crl_file_release(file);
    return found;
}

static void wait_until_listed(unsigned n) {
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (!listed(n)) {
        ck_assert_msg(clock_monotonic_ms() < until, "it never came onto the list");
        (void)usleep(1000);
    }
}

static void wait_for_count(bool (*reached)(const struct crl_counts *counts)) {
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        struct crl_counts counts = crl_publisher_count(publisher);
        if (reached(&counts)) {
            return;
        }
        ck_assert_msg(clock_monotonic_ms() < until, "it never happened");
        (void)usleep(1000);
    }
}

static bool failed_twice(const struct crl_counts *counts) {
    return counts->failures >= 2;
}

static bool made_thrice(const struct crl_counts *counts) {
    return counts->made >= 3;
}

/* --- what is there ------------------------------------------------------------------------------ */

START_TEST(a_list_is_there_from_the_start_and_openssl_takes_it) {
    int64_t now = clock_unix();
    put_revoked(1, access_id, now + 3600, "untrusted");
    publish();
    start_with(LIFETIME_S);
    const struct crl_file *file = crl_publisher_list(publisher, "");
    const struct crl_file *same = crl_publisher_list(publisher, access_id);
    const struct crl_file *bundle = crl_publisher_bundle(publisher);
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_eq(file, same);
    ck_assert_ptr_nonnull(bundle);
    ck_assert(holds(file, 1));
    ck_assert_int_ge(file->next_update, now + LIFETIME_S);
    ck_assert_int_lt(file->this_update, now);
    ck_assert_int_ge(file->renewed, now + LIFETIME_S / 2);
    ck_assert_int_lt(file->renewed, file->next_update);
    ck_assert_str_ne(file->etag, bundle->etag);
    lab_write("list.der", file->content);
    lab_write("list.pem", bundle->content);
    lab_run("openssl crl -inform DER -in list.der -noout -verify -CAfile %s/access.pem && "
            "openssl crl -inform DER -in list.der -out again.pem && cmp again.pem list.pem",
            f.folder);
    crl_file_release(file);
    crl_file_release(same);
    crl_file_release(bundle);
    struct crl_counts counts = crl_publisher_count(publisher);
    ck_assert_uint_eq(counts.made, 1);
    ck_assert_uint_eq(counts.failures, 0);
    ck_assert_uint_eq(counts.entries, 1);
}
END_TEST

START_TEST(there_are_lists_of_access_authorities_only) {
    start_with(LIFETIME_S);
    ck_assert_ptr_null(crl_publisher_list(publisher, identity_id));
    ck_assert_ptr_null(crl_publisher_list(publisher, "0123456789abcdef"));
    ck_assert_ptr_null(crl_publisher_list(publisher, "access"));
}
END_TEST

START_TEST(a_list_has_what_its_authority_signed_and_what_nobody_is_known_for) {
    int64_t later = clock_unix() + 3600;
    put_revoked(1, access_id, later, "untrusted");
    put_revoked(2, "00000000000000bb", later, "untrusted");
    put_revoked(3, "", later, "untrusted");
    (void)issue(4, access_id, later);
    start_with(LIFETIME_S);
    ck_assert(listed(1) && !listed(2) && listed(3) && !listed(4));
}
END_TEST

START_TEST(what_has_expired_stays_until_a_list_made_on_schedule_has_told_of_it) {
    int64_t now = clock_unix();
    put_revoked(1, access_id, now + 60, "untrusted");
    put_revoked(2, access_id, now - 60, "untrusted");
    put_revoked(3, access_id, now - LIFETIME_S / 2 + 60, "untrusted");
    put_revoked(4, access_id, now - LIFETIME_S / 2 - 60, "untrusted");
    start_with(LIFETIME_S);
    ck_assert(listed(1) && listed(2) && listed(3) && !listed(4));
}
END_TEST

START_TEST(a_revocation_of_a_clock_that_was_ahead_is_of_now) {
    struct credential_row row = issue(1, access_id, clock_unix() + 7200);
    ck_assert_int_eq(store_fixture_write(&f, store_credential_revoke(f.writer, row.serial,
                                                                     clock_unix() + 3600, "lost")),
                     STATUS_OK);
    start_with(LIFETIME_S);
    ck_assert(listed(1));
    ck_assert_uint_eq(crl_publisher_count(publisher).failures, 0);
}
END_TEST

/* --- when it is made anew ----------------------------------------------------------------------- */

START_TEST(a_revocation_comes_onto_the_list) {
    start_with(LIFETIME_S);
    const struct crl_file *before = crl_publisher_list(publisher, "");
    put_revoked(1, access_id, clock_unix() + 3600, "untrusted");
    publish();
    wait_until_listed(1);
    const struct crl_file *after = crl_publisher_list(publisher, "");
    ck_assert_str_ne(before->etag, after->etag);
    ck_assert(!holds(before, 1)); /* who holds it keeps it as it was */
    crl_file_release(before);
    crl_file_release(after);
}
END_TEST

START_TEST(only_revocations_make_another_list) {
    int64_t later = clock_unix() + 3600;
    start_with(LIFETIME_S);
    for (unsigned n = 1; n <= 10; n++) {
        (void)issue(n, access_id, later);
        publish();
    }
    put_revoked(11, "00000000000000bb", later, "untrusted"); /* on no list of ours */
    publish();
    put_revoked(12, access_id, later, "untrusted");
    publish();
    wait_until_listed(12);
    ck_assert_uint_eq(crl_publisher_count(publisher).made, 2);
}
END_TEST

START_TEST(many_revocations_make_few_lists) {
    int64_t later = clock_unix() + 3600;
    start_with(LIFETIME_S);
    int64_t began_ms = clock_monotonic_ms();
    for (unsigned n = 1; n <= 100; n++) {
        put_revoked(n, access_id, later, "untrusted");
        publish();
    }
    wait_until_listed(100);
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    struct crl_counts counts = crl_publisher_count(publisher);
    ck_assert_uint_eq(counts.entries, 100);
    ck_assert_int_le((int64_t)counts.made, 2 + took_ms / 250);
}
END_TEST

START_TEST(more_than_the_feed_keeps_comes_onto_the_list_all_the_same) {
    int64_t later = clock_unix() + 3600;
    start_with(LIFETIME_S);
    for (unsigned n = 1; n <= 50; n++) { /* the feed keeps 16 changes */
        put_revoked(n, access_id, later, "untrusted");
    }
    publish();
    wait_until_listed(50);
    ck_assert(listed(1));
    ck_assert_int_eq(trust_log_begin(feed, store_writer_reader(f.writer)), STATUS_OK);
    put_revoked(51, access_id, later, "untrusted");
    ck_assert_int_eq(trust_log_begin(feed, store_writer_reader(f.writer)), STATUS_OK);
    wait_until_listed(51);
}
END_TEST

START_TEST(a_list_is_made_anew_in_time_without_any_revocation) {
    start_with(2);
    const struct crl_file *first = crl_publisher_list(publisher, "");
    const struct crl_file *bundle = crl_publisher_bundle(publisher);
    wait_for_count(made_thrice);
    const struct crl_file *later = crl_publisher_list(publisher, "");
    ck_assert_str_ne(first->etag, later->etag);
    ck_assert_int_gt(later->next_update, first->next_update);
    const struct crl_file *bundle_later = crl_publisher_bundle(publisher);
    ck_assert_str_ne(bundle->etag, bundle_later->etag);
    crl_file_release(first);
    crl_file_release(later);
    crl_file_release(bundle);
    crl_file_release(bundle_later);
}
END_TEST

/* --- faults ------------------------------------------------------------------------------------- */

/* As trust_log_publish would, which has to read. */
static void publish_by_hand(int64_t seq) {
    struct trust_change_row row = {.seq = seq, .change = TRUST_REVOCATION};
    (void)snprintf(row.authority, sizeof row.authority, "%s", access_id);
    feed_publish(feed, &row, 1, 0);
}

START_TEST(when_the_store_cannot_be_read_the_old_list_stays_and_is_made_up_for) {
    start_with(LIFETIME_S);
    const struct crl_file *before = crl_publisher_list(publisher, "");
    put_revoked(1, access_id, clock_unix() + 3600, "untrusted");
    fault_vfs_set(FAULT_READ, 1, true);
    publish_by_hand(feed_newest(feed) + 2);
    wait_for_count(failed_twice);
    const struct crl_file *meanwhile = crl_publisher_list(publisher, "");
    ck_assert_ptr_eq(before, meanwhile);
    fault_vfs_set(FAULT_NONE, 0, false);
    wait_until_listed(1);
    ck_assert_int_eq(atomic_load(&fatal_calls), 0);
    crl_file_release(before);
    crl_file_release(meanwhile);
}
END_TEST

START_TEST(when_the_signer_is_gone_the_old_list_stays_and_it_is_said) {
    start_with(LIFETIME_S);
    const struct crl_file *before = crl_publisher_list(publisher, "");
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    put_revoked(1, access_id, clock_unix() + 3600, "untrusted");
    publish();
    wait_for_count(failed_twice);
    const struct crl_file *after = crl_publisher_list(publisher, "");
    ck_assert_ptr_eq(before, after);
    ck_assert_int_ge(atomic_load(&fatal_calls), 1);
    crl_file_release(before);
    crl_file_release(after);
}
END_TEST

START_TEST(without_a_list_there_is_nothing_to_give) {
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    start_with(LIFETIME_S);
    ck_assert_ptr_null(crl_publisher_list(publisher, ""));
    ck_assert_ptr_null(crl_publisher_list(publisher, access_id));
    ck_assert_ptr_null(crl_publisher_bundle(publisher));
    ck_assert_uint_ge(crl_publisher_count(publisher).failures, 1);
}
END_TEST

START_TEST(a_list_outlives_its_publisher_with_who_holds_it) {
    start_with(LIFETIME_S);
    const struct crl_file *file = crl_publisher_list(publisher, "");
    end();
    ck_assert_uint_gt(file->content.len, 100);
    ck_assert_uint_eq(file->content.data[0], 0x30);
    crl_file_release(file);
    crl_file_release(NULL);
}
END_TEST

int main(void) {
    lab_open();
    fault_vfs_register();
    TCase *tests = tcase_create("publisher");
    tcase_add_checked_fixture(tests, prepare, clean_up);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_list_is_there_from_the_start_and_openssl_takes_it);
    tcase_add_test(tests, there_are_lists_of_access_authorities_only);
    tcase_add_test(tests, a_list_has_what_its_authority_signed_and_what_nobody_is_known_for);
    tcase_add_test(tests, what_has_expired_stays_until_a_list_made_on_schedule_has_told_of_it);
    tcase_add_test(tests, a_revocation_of_a_clock_that_was_ahead_is_of_now);
    tcase_add_test(tests, a_revocation_comes_onto_the_list);
    tcase_add_test(tests, only_revocations_make_another_list);
    tcase_add_test(tests, many_revocations_make_few_lists);
    tcase_add_test(tests, more_than_the_feed_keeps_comes_onto_the_list_all_the_same);
    tcase_add_test(tests, a_list_is_made_anew_in_time_without_any_revocation);
    tcase_add_test(tests, when_the_store_cannot_be_read_the_old_list_stays_and_is_made_up_for);
    tcase_add_test(tests, when_the_signer_is_gone_the_old_list_stays_and_it_is_said);
    tcase_add_test(tests, without_a_list_there_is_nothing_to_give);
    tcase_add_test(tests, a_list_outlives_its_publisher_with_who_holds_it);
    Suite *suite = suite_create("revocation lists: publisher");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

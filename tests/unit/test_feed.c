/* concurrent */
/* The change feed: in order, without gaps, and honest about what it does not have; and how the store's
 * changes get into it, and out of the store. */
#include "server/base/clock.h"
#include "server/fleet/trust_log.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CAPACITY = 8 };

static struct feed *feed;
static struct store_fixture f;

static void open_feed(void) {
    ck_assert_int_eq(feed_new(&feed, CAPACITY), STATUS_OK);
}

static void close_feed(void) {
    feed_free(feed);
}

static void publish(int64_t first, int64_t last) {
    for (int64_t seq = first; seq <= last; seq++) {
        struct trust_change_row row = {.seq = seq, .change = TRUST_DEVICE};
        feed_publish(feed, &row, 1, 0);
    }
}

static void check_read(int64_t after, size_t max, int64_t first, size_t num_wanted) {
    struct trust_change_row row[CAPACITY];
    size_t num = 99;
    ck_assert_int_eq(feed_read(feed, row, &num, after, max), STATUS_OK);
    ck_assert_uint_eq(num, num_wanted);
    for (size_t i = 0; i < num; i++) {
        ck_assert_int_eq(row[i].seq, first + (int64_t)i);
    }
}

static void check_gone(int64_t after) {
    struct trust_change_row row[CAPACITY];
    size_t num = 99;
    ck_assert_int_eq(feed_read(feed, row, &num, after, CAPACITY), STATUS_EXPIRED);
    ck_assert_uint_eq(num, 99);
}

START_TEST(a_new_feed_has_nothing) {
    ck_assert_int_eq(feed_newest(feed), 0);
    check_read(0, CAPACITY, 0, 0);
}
END_TEST

START_TEST(what_is_published_is_read_from_any_point) {
    publish(1, 5);
    ck_assert_int_eq(feed_newest(feed), 5);
    check_read(0, CAPACITY, 1, 5);
    check_read(3, CAPACITY, 4, 2);
    check_read(0, 2, 1, 2);
    check_read(5, CAPACITY, 0, 0);
    check_read(77, CAPACITY, 0, 0);
}
END_TEST

START_TEST(what_has_left_memory_is_said_to_be_gone) {
    publish(1, 20);
    for (int64_t after = 0; after < 12; after++) {
        check_gone(after);
    }
    check_read(12, CAPACITY, 13, CAPACITY);
}
END_TEST

START_TEST(a_feed_that_begins_late_does_not_make_up_what_was_before) {
    feed_publish(feed, NULL, 0, 100);
    ck_assert_int_eq(feed_newest(feed), 100);
    check_gone(99);
    check_read(100, CAPACITY, 0, 0);
    publish(101, 102);
    check_read(100, CAPACITY, 101, 2);
}
END_TEST

START_TEST(what_is_only_in_the_store_is_a_gap_in_memory) {
    publish(1, 3);
    feed_publish(feed, NULL, 0, 50);
    check_gone(2);
    check_gone(49);
    check_read(50, CAPACITY, 0, 0);
    feed_publish(feed, NULL, 0, 50); /* nothing new: nothing is lost */
    publish(51, 52);
    feed_publish(feed, NULL, 0, 52);
    check_read(50, CAPACITY, 51, 2);
}
END_TEST

START_TEST(missing_numbers_are_no_gap) {
    struct trust_change_row row[] = {{.seq = 3}, {.seq = 7}, {.seq = 8}};
    feed_publish(feed, row, 3, 0);
    struct trust_change_row out[CAPACITY];
    size_t num = 0;
    ck_assert_int_eq(feed_read(feed, out, &num, 4, CAPACITY), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_int_eq(out[0].seq, 7);
}
END_TEST

START_TEST(a_feed_without_room_is_refused) {
    struct feed *none = NULL;
    ck_assert_int_eq(feed_new(&none, 0), STATUS_MEMORY);
    ck_assert_ptr_null(none);
    feed_free(NULL);
}
END_TEST

struct counting {
    struct feed_follower follower;
    _Atomic unsigned wakes;
};

static void count(struct feed_follower *follower) {
    atomic_fetch_add(&((struct counting *)follower)->wakes, 1);
}

START_TEST(followers_are_told_until_they_leave) {
    struct counting who[3] = {
        {.follower.wake = count}, {.follower.wake = count}, {.follower.wake = count}};
    for (size_t i = 0; i < 3; i++) {
        feed_follow(feed, &who[i].follower);
    }
    publish(1, 1);
    feed_unfollow(feed, &who[1].follower);
    publish(2, 2);
    feed_unfollow(feed, &who[2].follower);
    feed_unfollow(feed, &who[0].follower);
    publish(3, 3);
    ck_assert_uint_eq(who[0].wakes, 2);
    ck_assert_uint_eq(who[1].wakes, 1);
    ck_assert_uint_eq(who[2].wakes, 2);
}
END_TEST

enum { MANY = 20000 };

static void *publish_many(void *unused) {
    publish(1, MANY);
    return unused;
}

START_TEST(a_reader_beside_the_writer_sees_each_change_once_or_learns_that_it_is_late) {
    pthread_t writer;
    struct counting who = {.follower.wake = count};
    ck_assert_int_eq(pthread_create(&writer, NULL, publish_many, NULL), 0);
    int64_t at = 0;
    while (at < MANY) {
        struct trust_change_row row[CAPACITY];
        size_t num = 0;
        feed_follow(feed, &who.follower);
        if (feed_read(feed, row, &num, at, CAPACITY) == STATUS_EXPIRED) {
            at = feed_newest(feed) - 1;
        }
        for (size_t i = 0; i < num; i++) {
            ck_assert_int_eq(row[i].seq, at + 1);
            at = row[i].seq;
        }
        feed_unfollow(feed, &who.follower);
    }
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
}
END_TEST

/* --- the store's changes --- */

static void open_store(void) {
    open_feed();
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct model_row model = sample_model("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
}

static void remove_store(void) {
    store_fixture_remove(&f);
    close_feed();
}

static void enrol(unsigned first, unsigned last) {
    store_fixture_begin(&f);
    enum status status = STATUS_OK;
    for (unsigned n = first; n <= last && status == STATUS_OK; n++) {
        struct device_row row = sample_device("edge", n);
        status = store_device_insert(f.writer, &row);
    }
    ck_assert_int_eq(store_fixture_end(&f, status), STATUS_OK);
}

static enum status fill(void) {
    return trust_log_publish(feed, NULL, store_writer_reader(f.writer));
}

START_TEST(a_feed_begins_where_the_store_ends) {
    enrol(1, 3);
    ck_assert_int_eq(trust_log_begin(feed, f.reader), STATUS_OK);
    ck_assert_int_eq(feed_newest(feed), 3);
    check_gone(2);
    enrol(4, 6);
    ck_assert_int_eq(fill(), STATUS_OK);
    check_read(3, CAPACITY, 4, 3);
    ck_assert_int_eq(fill(), STATUS_OK);
    ck_assert_int_eq(feed_newest(feed), 6);
}
END_TEST

START_TEST(very_many_changes_at_once_are_left_to_the_store) {
    enrol(1, 5000);
    ck_assert_int_eq(fill(), STATUS_OK);
    ck_assert_int_eq(feed_newest(feed), 5000);
    check_gone(4000);
    enrol(5001, 5001);
    ck_assert_int_eq(fill(), STATUS_OK);
    check_read(5000, CAPACITY, 5001, 1);
}
END_TEST

static void check_oldest(int64_t wanted) {
    int64_t oldest, newest;
    ck_assert_int_eq(store_trust_change_ends(f.reader, &oldest, &newest), STATUS_OK);
    ck_assert_int_eq(oldest, wanted);
    ck_assert_int_eq(newest, 20);
}

static enum status forget(int64_t now_ms, unsigned limit) {
    store_fixture_begin(&f);
    enum status status = trust_log_forget(f.writer, now_ms, limit);
    ck_assert_int_eq(store_commit(f.writer, NULL), STATUS_OK);
    return status;
}

START_TEST(changes_leave_the_store_when_they_are_old_but_for_the_newest) {
    int64_t keep_ms = (int64_t)TRUST_LOG_KEEP_S * 1000;
    enrol(1, 20);
    ck_assert_int_eq(forget(clock_unix_ms(), 10), STATUS_OK);
    ck_assert_int_eq(forget(clock_unix_ms() + keep_ms - 60000, 10), STATUS_OK);
    check_oldest(1);
    ck_assert_int_eq(forget(clock_unix_ms() + keep_ms + 60000, 10), STATUS_LIMIT);
    check_oldest(11);
    ck_assert_int_eq(forget(clock_unix_ms() + keep_ms + 60000, 10), STATUS_OK);
    check_oldest(20);
}
END_TEST

START_TEST(changes_that_a_stream_has_yet_to_be_told_stay_however_old_they_are) {
    struct stream_row stream = {.method = STREAM_WEBHOOK,
                                .endpoint_url = "https://receiver.example/",
                                .status = STREAM_PAUSED,
                                .version = 1,
                                .cursor = 5};
    int64_t late = clock_unix_ms() + (int64_t)TRUST_LOG_KEEP_S * 2000;
    sample_id(stream.id, 's', 1);
    enrol(1, 20);
    ck_assert_int_eq(store_fixture_write(&f, store_stream_insert(f.writer, &stream)), STATUS_OK);
    ck_assert_int_eq(forget(late, 100), STATUS_OK);
    check_oldest(6);
    stream.status = STREAM_DISABLED;
    ck_assert_int_eq(store_fixture_write(&f, store_stream_progress(f.writer, &stream)), STATUS_OK);
    ck_assert_int_eq(forget(late, 100), STATUS_OK);
    check_oldest(20);
}
END_TEST

START_TEST(forgetting_outside_of_a_transaction_is_refused) {
    enrol(1, 20);
    ck_assert_int_eq(
        trust_log_forget(f.writer, clock_unix_ms() + (int64_t)TRUST_LOG_KEEP_S * 2000, 10),
        STATUS_INTERNAL);
    check_oldest(1);
}
END_TEST

int main(void) {
    TCase *memory = tcase_create("in memory");
    tcase_set_timeout(memory, 60);
    tcase_add_checked_fixture(memory, open_feed, close_feed);
    tcase_add_test(memory, a_new_feed_has_nothing);
    tcase_add_test(memory, what_is_published_is_read_from_any_point);
    tcase_add_test(memory, what_has_left_memory_is_said_to_be_gone);
    tcase_add_test(memory, a_feed_that_begins_late_does_not_make_up_what_was_before);
    tcase_add_test(memory, what_is_only_in_the_store_is_a_gap_in_memory);
    tcase_add_test(memory, missing_numbers_are_no_gap);
    tcase_add_test(memory, a_feed_without_room_is_refused);
    tcase_add_test(memory, followers_are_told_until_they_leave);
    tcase_add_test(memory,
                   a_reader_beside_the_writer_sees_each_change_once_or_learns_that_it_is_late);
    TCase *store = tcase_create("from the store");
    tcase_set_timeout(store, 60);
    tcase_add_checked_fixture(store, open_store, remove_store);
    tcase_add_test(store, a_feed_begins_where_the_store_ends);
    tcase_add_test(store, very_many_changes_at_once_are_left_to_the_store);
    tcase_add_test(store, changes_leave_the_store_when_they_are_old_but_for_the_newest);
    tcase_add_test(store, changes_that_a_stream_has_yet_to_be_told_stay_however_old_they_are);
    tcase_add_test(store, forgetting_outside_of_a_transaction_is_refused);
    Suite *suite = suite_create("fleet: change feed");
    suite_add_tcase(suite, memory);
    suite_add_tcase(suite, store);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

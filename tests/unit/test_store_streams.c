/* Streams of events: what the store keeps of them, and what it refuses. */
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_fixture f;
static const struct store_page all = {"", 1000};

static void open_store(void) {
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    struct proxy_row proxy = sample_proxy("edge");
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &proxy, false)), STATUS_OK);
}

static void remove_store(void) {
    store_fixture_remove(&f);
}

static struct stream_row sample(unsigned n) {
    struct stream_row row = {.proxy = "edge",
                             .description = "to the SIEM",
                             .method = STREAM_PUSH,
                             .endpoint_url = "https://receiver.example/events",
                             .audience = "https://receiver.example",
                             .events = 3,
                             .secret = "Bearer secret",
                             .status = STREAM_ENABLED,
                             .created = 100,
                             .updated = 100,
                             .version = 1,
                             .cursor = 10 * n};
    sample_id(row.id, 's', n);
    return row;
}

static enum status put(const struct stream_row *row) {
    return store_fixture_write(&f, store_stream_insert(f.writer, row));
}

static struct stream_row get(const char *id) {
    struct stream_row row;
    ck_assert_int_eq(store_stream_get(f.reader, &row, id), STATUS_OK);
    return row;
}

START_TEST(a_stream_is_read_as_it_was_written) {
    struct stream_row row = sample(1);
    ck_assert_int_eq(put(&row), STATUS_OK);
    struct stream_row is = get(row.id);
    ck_assert_str_eq(is.id, row.id);
    ck_assert_str_eq(is.proxy, "edge");
    ck_assert_str_eq(is.description, row.description);
    ck_assert_int_eq(is.method, STREAM_PUSH);
    ck_assert_str_eq(is.endpoint_url, row.endpoint_url);
    ck_assert_str_eq(is.audience, row.audience);
    ck_assert_uint_eq(is.events, 3);
    ck_assert_str_eq(is.secret, row.secret);
    ck_assert_int_eq(is.status, STREAM_ENABLED);
    ck_assert_int_eq(is.cursor, 10);
    ck_assert_int_eq(is.version, 1);
    ck_assert(!is.held);
}
END_TEST

START_TEST(a_stream_of_no_proxy_no_method_or_no_status_is_refused) {
    struct stream_row row = sample(1);
    (void)strcpy(row.proxy, "nobody");
    ck_assert_int_eq(put(&row), STATUS_CONFLICT);
    row = sample(1);
    row.method = 4;
    ck_assert_int_eq(put(&row), STATUS_CONFLICT);
    row = sample(1);
    row.status = 0;
    ck_assert_int_eq(put(&row), STATUS_CONFLICT);
    row = sample(1);
    (void)strcpy(row.id, "no id");
    ck_assert_int_eq(put(&row), STATUS_MALFORMED);
    row = sample(1);
    ck_assert_int_eq(put(&row), STATUS_OK);
    ck_assert_int_eq(put(&row), STATUS_CONFLICT);
}
END_TEST

START_TEST(two_updates_of_a_stream_from_one_version_do_not_both_succeed) {
    struct stream_row row = sample(1);
    ck_assert_int_eq(put(&row), STATUS_OK);
    row.status = STREAM_PAUSED;
    ck_assert_int_eq(store_fixture_write(&f, store_stream_update(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_fixture_write(&f, store_stream_update(f.writer, &row)), STATUS_CONFLICT);
    ck_assert_int_eq(get(row.id).version, 2);
    ck_assert_int_eq(get(row.id).status, STREAM_PAUSED);
    struct stream_row other = sample(2);
    ck_assert_int_eq(store_fixture_write(&f, store_stream_update(f.writer, &other)),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(store_fixture_write(&f, store_stream_progress(f.writer, &other)),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(store_fixture_write(&f, store_stream_delete(f.writer, other.id)),
                     STATUS_NOT_FOUND);
}
END_TEST

START_TEST(progress_changes_neither_what_was_asked_for_nor_the_version) {
    struct stream_row row = sample(1);
    ck_assert_int_eq(put(&row), STATUS_OK);
    row.cursor = 77;
    row.delivered = 5;
    row.refused = 1;
    row.dropped = 2;
    row.failures = 3;
    row.failing_since = 900;
    row.last_delivery = 800;
    row.last_error_at = 901;
    (void)strcpy(row.last_error, "503");
    (void)strcpy(row.endpoint_url, "https://elsewhere.example/");
    row.events = 1;
    ck_assert_int_eq(store_fixture_write(&f, store_stream_progress(f.writer, &row)), STATUS_OK);
    struct stream_row is = get(row.id);
    ck_assert_int_eq(is.cursor, 77);
    ck_assert_int_eq(is.delivered + is.refused + is.dropped + is.failures, 11);
    ck_assert_int_eq(is.failing_since, 900);
    ck_assert_int_eq(is.last_delivery, 800);
    ck_assert_int_eq(is.last_error_at, 901);
    ck_assert_str_eq(is.last_error, "503");
    ck_assert_str_eq(is.endpoint_url, "https://receiver.example/events");
    ck_assert_uint_eq(is.events, 3);
    ck_assert_int_eq(is.version, 1);
}
END_TEST

START_TEST(streams_are_listed_and_counted_by_proxy) {
    struct stream_row row = sample(1), admins = sample(2), *rows;
    struct arena *arena = &f.arena;
    size_t num;
    int64_t count;
    admins.proxy[0] = '\0';
    ck_assert_int_eq(put(&row), STATUS_OK);
    ck_assert_int_eq(put(&admins), STATUS_OK);
    ck_assert_int_eq(store_stream_list(f.reader, arena, &rows, &num, NULL, all), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_str_eq(rows[1].proxy, "");
    ck_assert_int_eq(store_stream_list(f.reader, arena, &rows, &num, "edge", all), STATUS_OK);
    ck_assert_uint_eq(num, 1);
    ck_assert_str_eq(rows[0].id, row.id);
    ck_assert_int_eq(store_stream_list(f.reader, arena, &rows, &num, "other", all), STATUS_OK);
    ck_assert_uint_eq(num, 0);
    struct store_page bad = {"no id", 10};
    ck_assert_int_eq(store_stream_list(f.reader, arena, &rows, &num, NULL, bad), STATUS_MALFORMED);
    ck_assert_int_eq(store_stream_count(f.reader, &count, NULL), STATUS_OK);
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(store_stream_count(f.reader, &count, "edge"), STATUS_OK);
    ck_assert_int_eq(count, 1);
}
END_TEST

START_TEST(the_one_furthest_behind_counts_unless_it_is_disabled) {
    int64_t seq = 0;
    ck_assert_int_eq(store_stream_behind(f.reader, &seq), STATUS_OK);
    ck_assert_int_eq(seq, INT64_MAX);
    struct stream_row first = sample(1), second = sample(2);
    ck_assert_int_eq(put(&first), STATUS_OK);
    ck_assert_int_eq(put(&second), STATUS_OK);
    ck_assert_int_eq(store_stream_behind(f.reader, &seq), STATUS_OK);
    ck_assert_int_eq(seq, 10);
    first.status = STREAM_DISABLED;
    ck_assert_int_eq(store_fixture_write(&f, store_stream_progress(f.writer, &first)), STATUS_OK);
    ck_assert_int_eq(store_stream_behind(f.reader, &seq), STATUS_OK);
    ck_assert_int_eq(seq, 20);
}
END_TEST

START_TEST(what_was_acknowledged_is_kept_once_in_order_and_until_it_is_behind) {
    struct stream_row row = sample(1);
    int64_t *seq;
    size_t num;
    ck_assert_int_eq(put(&row), STATUS_OK);
    for (int64_t i = 0; i < 3; i++) {
        ck_assert_int_eq(
            store_fixture_write(&f, store_stream_acknowledge(f.writer, row.id, 30 - i % 2)),
            i < 2 ? STATUS_OK : STATUS_CONFLICT);
    }
    ck_assert_int_eq(store_stream_acknowledged(f.reader, &f.arena, &seq, &num, row.id), STATUS_OK);
    ck_assert_uint_eq(num, 2);
    ck_assert_int_eq(seq[0], 29);
    ck_assert_int_eq(seq[1], 30);
    ck_assert_int_eq(store_fixture_write(&f, store_stream_acknowledge_forget(f.writer, row.id, 29)),
                     STATUS_OK);
    ck_assert_int_eq(store_stream_acknowledged(f.reader, &f.arena, &seq, &num, row.id), STATUS_OK);
    ck_assert_uint_eq(num, 1);
    struct stream_row nobody = sample(2);
    ck_assert_int_eq(store_fixture_write(&f, store_stream_acknowledge(f.writer, nobody.id, 1)),
                     STATUS_CONFLICT);
}
END_TEST

static int64_t add_notice(const char *stream) {
    struct notice_row row = {
        .kind = NOTICE_VERIFICATION, .status = STREAM_ENABLED, .text = "state", .created = 5};
    (void)strcpy(row.stream, stream);
    struct notice_row *rows;
    size_t num;
    ck_assert_int_eq(store_fixture_write(&f, store_notice_insert(f.writer, &row)), STATUS_OK);
    ck_assert_int_eq(store_notice_list(f.reader, &f.arena, &rows, &num, stream, 100), STATUS_OK);
    ck_assert_uint_gt(num, 0);
    ck_assert_str_eq(rows[num - 1].text, "state");
    return rows[num - 1].num;
}

START_TEST(the_number_of_a_notice_is_never_given_twice) {
    struct stream_row row = sample(1);
    ck_assert_int_eq(put(&row), STATUS_OK);
    int64_t first = add_notice(row.id);
    ck_assert_int_eq(store_fixture_write(&f, store_notice_delete(f.writer, row.id, first)),
                     STATUS_OK);
    ck_assert_int_gt(add_notice(row.id), first);
    ck_assert_int_eq(store_fixture_write(&f, store_notice_delete(f.writer, row.id, first)),
                     STATUS_NOT_FOUND);
    struct notice_row none = {.kind = NOTICE_UPDATED};
    sample_id(none.stream, 's', 9);
    ck_assert_int_eq(store_fixture_write(&f, store_notice_insert(f.writer, &none)),
                     STATUS_CONFLICT);
}
END_TEST

START_TEST(a_proxys_streams_are_held_while_it_is_disabled_and_go_with_it) {
    struct stream_row row = sample(1);
    ck_assert_int_eq(put(&row), STATUS_OK);
    (void)add_notice(row.id);
    ck_assert_int_eq(store_fixture_write(&f, store_stream_acknowledge(f.writer, row.id, 11)),
                     STATUS_OK);
    struct proxy_row proxy = sample_proxy("edge");
    proxy.disabled = true;
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_put(f.writer, &proxy, true)), STATUS_OK);
    ck_assert(get(row.id).held);
    ck_assert_int_eq(store_fixture_write(&f, store_proxy_delete(f.writer, "edge")), STATUS_OK);
    ck_assert_int_eq(store_stream_get(f.reader, &row, row.id), STATUS_NOT_FOUND);
    int64_t *seq;
    struct notice_row *notices;
    size_t num;
    ck_assert_int_eq(store_stream_acknowledged(f.reader, &f.arena, &seq, &num, row.id), STATUS_OK);
    ck_assert_uint_eq(num, 0);
    ck_assert_int_eq(store_notice_list(f.reader, &f.arena, &notices, &num, row.id, 9), STATUS_OK);
    ck_assert_uint_eq(num, 0);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("streams");
    tcase_add_checked_fixture(tcase, open_store, remove_store);
    tcase_add_test(tcase, a_stream_is_read_as_it_was_written);
    tcase_add_test(tcase, a_stream_of_no_proxy_no_method_or_no_status_is_refused);
    tcase_add_test(tcase, two_updates_of_a_stream_from_one_version_do_not_both_succeed);
    tcase_add_test(tcase, progress_changes_neither_what_was_asked_for_nor_the_version);
    tcase_add_test(tcase, streams_are_listed_and_counted_by_proxy);
    tcase_add_test(tcase, the_one_furthest_behind_counts_unless_it_is_disabled);
    tcase_add_test(tcase, what_was_acknowledged_is_kept_once_in_order_and_until_it_is_behind);
    tcase_add_test(tcase, the_number_of_a_notice_is_never_given_twice);
    tcase_add_test(tcase, a_proxys_streams_are_held_while_it_is_disabled_and_go_with_it);
    Suite *suite = suite_create("store_streams");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* concurrent */
/* Streams of changes: whole events, in order, from memory or from the store, each once, and a last word
 * that says why there are no more. */
#include "server/appraisal/appraisal.h"
#include "server/base/clock.h"
#include "server/fleet/change_event.h"
#include "server/fleet/change_stream.h"
#include "server/fleet/trust_log.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 8, TEXT_MAX = 1 << 20 };

static struct store_fixture f;
static struct feed *feed;
static struct change_streams *streams;

static void open_store(void) {
    store_fixture_folder(&f);
    store_fixture_open(&f, true);
    static const char *const names[] = {"edge", "other"};
    for (size_t i = 0; i < 2; i++) {
        struct model_row model = sample_model(names[i]);
        ck_assert_int_eq(store_fixture_write(&f, store_model_insert(f.writer, &model)), STATUS_OK);
    }
    ck_assert_int_eq(feed_new(&feed, 64), STATUS_OK);
}

static void start(unsigned heartbeat_ms, unsigned patience_ms, unsigned max_readers) {
    struct detail detail = {0};
    const struct change_streams_options options = {.store = f.store,
                                                   .feed = feed,
                                                   .backlog = BACKLOG,
                                                   .heartbeat_ms = heartbeat_ms,
                                                   .patience_ms = patience_ms,
                                                   .max_readers = max_readers};
    ck_assert_int_eq(trust_log_begin(feed, f.reader), STATUS_OK);
    ck_assert_int_eq(change_streams_start(&streams, &options, &detail), STATUS_OK);
}

static void open_streams(void) {
    open_store();
    start(60000, 60000, 0);
}

static void close_streams(void) {
    change_streams_stop(streams);
    feed_free(feed);
    store_fixture_remove(&f);
}

/* --- changes --- */

/* Writes, and publishes as the committer does. */
static void commit(enum status status) {
    ck_assert_int_eq(store_fixture_end(&f, status), STATUS_OK);
    ck_assert_int_eq(trust_log_publish(feed, NULL, store_writer_reader(f.writer)), STATUS_OK);
}

static void enrol(const char *model, unsigned first, unsigned last) {
    enum status status = STATUS_OK;
    store_fixture_begin(&f);
    for (unsigned n = first; n <= last && status == STATUS_OK; n++) {
        struct device_row row = sample_device(model, n);
        status = store_device_insert(f.writer, &row);
    }
    commit(status);
}

static struct credential_row credential(unsigned n) {
    struct credential_row row = sample_credential(n, n);
    row.not_before = clock_unix() - 10;
    row.not_after = clock_unix() + 3600;
    return row;
}

static void issue(unsigned first, unsigned last) {
    enum status status = STATUS_OK;
    store_fixture_begin(&f);
    for (unsigned n = first; n <= last && status == STATUS_OK; n++) {
        struct credential_row row = credential(n);
        status = store_credential_insert(f.writer, &row);
    }
    commit(status);
}

static void withdraw(unsigned n) {
    store_fixture_begin(&f);
    commit(store_credential_revoke(f.writer, credential(n).serial, clock_unix(), "a \"reason\"\n"));
}

/* --- a reader, and what it heard --- */

struct listener {
    struct change_reader *reader;
    atomic_uint wakes;
    char text[TEXT_MAX];
    size_t len;
    bool ended;
};

static void wake(void *context) {
    atomic_fetch_add(&((struct listener *)context)->wakes, 1);
}

static struct listener *listen_from(struct change_start begin) {
    struct listener *l = calloc(1, sizeof *l);
    ck_assert_ptr_nonnull(l);
    ck_assert_int_eq(change_reader_open(&l->reader, streams, &begin, wake, l), STATUS_OK);
    return l;
}

static struct listener *listen_after(int64_t seq) {
    return listen_from((struct change_start){.after = seq});
}

static struct listener *listen_model(int64_t seq, const char *model) {
    struct change_start begin = {.after = seq};
    (void)snprintf(begin.model, sizeof begin.model, "%s", model);
    return listen_from(begin);
}

static void leave(struct listener *l) {
    change_reader_close(l->reader);
    free(l);
}

/* One read, of what there is; whether anything came. */
static bool hear(struct listener *l, bool stopping) {
    uint8_t *room = malloc(CHANGE_READ_MIN); /* of its very size */
    ptrdiff_t n = change_reader_read(l->reader, room, CHANGE_READ_MIN, stopping);
    if (n > 0) {
        ck_assert_uint_lt(l->len + (size_t)n, TEXT_MAX);
        ck_assert_int_eq(memcmp(room + n - 2, "\n\n", 2), 0); /* whole events */
        memcpy(l->text + l->len, room, (size_t)n);
        l->len += (size_t)n;
        l->text[l->len] = '\0';
    }
    free(room);
    l->ended = n == CHANGE_READ_END;
    return n > 0;
}

static void hear_until(struct listener *l, const char *text) {
    int64_t until = clock_monotonic_ms() + 10000;
    while (strstr(l->text, text) == NULL) {
        unsigned wakes = atomic_load(&l->wakes);
        if (!hear(l, false)) {
            ck_assert_msg(!l->ended, "ended without %s: %s", text,
                          l->text + (l->len > 300 ? l->len - 300 : 0));
            while (atomic_load(&l->wakes) == wakes) { /* as the transport: not before it is woken */
                ck_assert_msg(clock_monotonic_ms() < until, "no %s in: %s", text,
                              l->text + (l->len > 300 ? l->len - 300 : 0));
                (void)usleep(200);
            }
        }
    }
}

static void hear_end(struct listener *l, const char *last) {
    int64_t until = clock_monotonic_ms() + 10000;
    while (!l->ended) {
        ck_assert_int_lt(clock_monotonic_ms(), until);
        (void)hear(l, false);
    }
    ck_assert_msg(l->len >= strlen(last), "%s", l->text);
    ck_assert_str_eq(l->text + l->len - strlen(last), last);
    ck_assert(!hear(l, false));
    ck_assert(l->ended);
}

static size_t count(const struct listener *l, const char *text) {
    size_t num = 0;
    for (const char *at = l->text; (at = strstr(at, text)) != NULL; at += strlen(text)) {
        num++;
    }
    return num;
}

/* Every id from `first` to `last`, once, in order. */
static void check_ids(const struct listener *l, int64_t first, int64_t last) {
    const char *at = l->text;
    for (int64_t seq = first; seq <= last; seq++) {
        char id[40];
        (void)snprintf(id, sizeof id, "id: %lld\nevent: ", (long long)seq);
        const char *found = strstr(at, id);
        ck_assert_msg(found != NULL, "no %s", id);
        at = found + 1;
        ck_assert_ptr_null(strstr(at, id));
    }
    ck_assert_uint_eq(count(l, "\nevent: "), (size_t)(last - first + 1));
}

/* Until a change that is published has reached the memory of streams. */
static void settle(int64_t seq) {
    struct listener *l = listen_after(seq - 1);
    char id[40];
    (void)snprintf(id, sizeof id, "id: %lld\n", (long long)seq);
    hear_until(l, id);
    leave(l);
}

/* --- what a change looks like --- */

START_TEST(each_kind_of_change_is_an_event_of_its_own) {
    struct listener *l = listen_after(-1);
    enrol("edge", 1, 1);
    issue(1, 1);
    withdraw(1);
    struct model_row model;
    ck_assert_int_eq(store_model_get(f.reader, &model, "edge"), STATUS_OK);
    model.credential_tier = TIER_VERIFIED_BOOT;
    (void)snprintf(model.segment[TIER_MEASURED], STORE_SEGMENT, "lan");
    store_fixture_begin(&f);
    commit(store_model_update(f.writer, &model));
    hear_until(l, "id: 4\n");
    ck_assert_ptr_eq(
        strstr(l->text, "id: 0\nretry: 2000\n\nid: 1\nevent: device\ndata: {\"seq\":1,\"at\":\""),
        l->text);
    ck_assert_ptr_nonnull(strstr(l->text, "\"state\":\"enrolled\",\"verdict\":\"unknown\",\"tier\":"
                                          "\"none\",\"was\":{\"state\":null,"));
    ck_assert_ptr_nonnull(strstr(l->text, "\n\nid: 2\nevent: credential\ndata: {\"seq\":2,"));
    ck_assert_ptr_nonnull(strstr(l->text, "\n\nid: 3\nevent: revocation\ndata: {\"seq\":3,"));
    ck_assert_ptr_nonnull(strstr(l->text, "\"reason\":\"a \\\"reason\\\"\\n\"}\n\n"));
    ck_assert_ptr_nonnull(strstr(l->text, credential(1).serial));
    ck_assert_ptr_nonnull(
        strstr(l->text, "\"model\":\"edge\",\"credential_tier\":\"verified_boot\",\"segments\":{"
                        "\"identified\":null,\"verified_boot\":null,\"measured\":\"lan\"}}\n\n"));
    check_ids(l, 1, 4);
    leave(l);
}
END_TEST

START_TEST(no_event_is_longer_than_is_said) {
    struct arena arena;
    arena_init(&arena, 65536);
    struct trust_change_row row = {.seq = INT64_MAX,
                                   .time_ms = clock_unix_ms(),
                                   .change = TRUST_REVOCATION,
                                   .state = DEVICE_PENDING_APPROVAL,
                                   .verdict = VERDICT_UNTRUSTED,
                                   .tier = TIER_VERIFIED_BOOT,
                                   .not_before = INT32_MAX,
                                   .not_after = INT32_MAX};
    memset(row.device_id, 'f', sizeof row.device_id - 1);
    memset(row.model, 1, sizeof row.model - 1);
    memset(row.serial, 'f', sizeof row.serial - 1);
    memset(row.authority, 'f', sizeof row.authority - 1);
    memset(row.segment, 1, sizeof row.segment - 1); /* each becomes \u0001 */
    memset(row.reason, 1, sizeof row.reason - 1);
    struct bytes text = change_event_text(&arena, &row, NULL);
    ck_assert_uint_gt(text.len, 1500);
    ck_assert_uint_le(text.len, CHANGE_EVENT_MAX);
    ck_assert_int_le(CHANGE_EVENT_MAX, CHANGE_READ_MIN);
    const uint8_t *data = memmem(text.data, text.len, "data: ", 6);
    const uint8_t *end = memchr(data, '\n', text.len - (size_t)(data - text.data));
    ck_assert_ptr_eq(end + 2, text.data + text.len); /* one line */
    arena_free(&arena);
}
END_TEST

/* --- from memory, and from the store --- */

START_TEST(a_reader_hears_each_change_once_and_in_order) {
    struct listener *l = listen_after(-1);
    for (unsigned n = 1; n <= 40; n++) {
        enrol("edge", n, n);
        char id[40];
        (void)snprintf(id, sizeof id, "id: %u\n", n);
        hear_until(l, id);
    }
    check_ids(l, 1, 40);
    leave(l);
}
END_TEST

START_TEST(a_reader_from_now_on_hears_nothing_of_before) {
    enrol("edge", 1, 5);
    struct listener *l = listen_after(-1);
    (void)hear(l, false);
    enrol("edge", 6, 6);
    hear_until(l, "id: 6\n");
    check_ids(l, 6, 6);
    leave(l);
}
END_TEST

START_TEST(a_reader_goes_on_from_memory_and_from_the_store_without_a_gap) {
    enrol("edge", 1, 1000);
    settle(1000);
    static const int64_t places[] = {0, 1, 127, 128, 500, 990, 995, 999};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct listener *l = listen_after(places[i]);
        hear_until(l, "id: 1000\n");
        check_ids(l, places[i] + 1, 1000);
        leave(l);
    }
}
END_TEST

START_TEST(a_reader_that_catches_up_while_more_happens_misses_nothing) {
    enrol("edge", 1, 600);
    struct listener *l = listen_after(0);
    for (unsigned n = 601; n <= 700; n++) {
        (void)hear(l, false);
        enrol("edge", n, n);
    }
    hear_until(l, "id: 700\n");
    check_ids(l, 1, 700);
    leave(l);
}
END_TEST

START_TEST(very_many_changes_at_once_are_heard_by_all_and_nobody_is_called_slow) {
    struct listener *l[3];
    for (size_t i = 0; i < 3; i++) {
        l[i] = listen_after(-1);
        (void)hear(l[i], false);
        ck_assert(!hear(l[i], false)); /* rests */
    }
    enrol("edge", 1, 3000);
    for (size_t i = 0; i < 3; i++) {
        hear_until(l[i], "id: 3000\n");
        check_ids(l[i], 1, 3000);
        leave(l[i]);
    }
    struct change_counters counters;
    change_streams_count(streams, &counters);
    ck_assert_uint_eq(counters.dropped_slow, 0);
}
END_TEST

START_TEST(a_stream_goes_on_after_a_restart) {
    enrol("edge", 1, 30);
    change_streams_stop(streams);
    feed_free(feed);
    ck_assert_int_eq(feed_new(&feed, 64), STATUS_OK);
    start(60000, 60000, 0);
    struct listener *l = listen_after(10);
    enrol("edge", 31, 31);
    hear_until(l, "id: 31\n");
    check_ids(l, 11, 31);
    leave(l);
}
END_TEST

/* --- of one model --- */

START_TEST(a_reader_of_a_model_hears_of_no_other) {
    enrol("edge", 1, 3);
    enrol("other", 4, 6);
    struct listener *l = listen_model(0, "other");
    hear_until(l, "id: 6\n");
    ck_assert_uint_eq(count(l, "event: device"), 3);
    ck_assert_ptr_null(strstr(l->text, "\"edge\""));
    leave(l);
}
END_TEST

START_TEST(a_reader_whom_nothing_concerns_is_not_woken_and_not_called_slow) {
    struct listener *l = listen_model(-1, "other");
    (void)hear(l, false);
    ck_assert(!hear(l, false));
    for (unsigned n = 1; n <= 5 * BACKLOG; n++) {
        enrol("edge", n, n);
        settle(n);
    }
    ck_assert_uint_eq(l->wakes, 0);
    enrol("other", 100, 100);
    hear_until(l, "event: device");
    ck_assert_uint_eq(count(l, "\nevent: "), 1);
    leave(l);
}
END_TEST

/* --- snapshots --- */

START_TEST(a_snapshot_says_what_is_valid_and_where_changes_go_on) {
    enrol("edge", 1, 300);
    issue(1, 300);
    withdraw(7);
    struct listener *l = listen_from((struct change_start){.snapshot = true});
    hear_until(l, "event: snapshot");
    ck_assert_uint_eq(count(l, "event: credential"), 299);
    ck_assert_uint_eq(count(l, "event: model"), 2);
    ck_assert_ptr_null(strstr(l->text, credential(7).serial));
    ck_assert_ptr_nonnull(strstr(
        l->text, "\n\nid: 601\nevent: snapshot\ndata: {\"seq\":601,\"credentials\":299}\n\n"));
    ck_assert_uint_eq(count(l, "id: "), 1); /* who is cut off before its end begins again */
    withdraw(8);
    hear_until(l, "id: 602\n");
    ck_assert_ptr_nonnull(strstr(l->text, "event: revocation"));
    leave(l);
}
END_TEST

START_TEST(nothing_falls_between_a_snapshot_and_what_follows) {
    enrol("edge", 1, 400);
    issue(1, 300);
    struct listener *l = listen_from((struct change_start){.snapshot = true});
    for (unsigned n = 301; n <= 400; n++) {
        (void)hear(l, false);
        issue(n, n);
        withdraw(n - 200); /* while that part is under way, or was told already */
    }
    hear_until(l, "id: 900\n");
    for (unsigned n = 1; n <= 400; n++) {
        char serial[60];
        (void)snprintf(serial, sizeof serial, "\"serial\":\"%s\"", credential(n).serial);
        bool revoked = n > 100 && n <= 200;
        const char *last = NULL;
        for (const char *at = l->text; (at = strstr(at, serial)) != NULL; at++) {
            last = at;
        }
        if (!revoked) {
            ck_assert_ptr_nonnull(last);
        }
        const char *event = l->text;
        for (const char *at = l->text;
             last != NULL && (at = strstr(at, "event: ")) != NULL && at < last; at++) {
            event = at;
        }
        if (last != NULL) { /* its last word is how it stands */
            ck_assert_int_eq(strncmp(event, "event: revocation", 17) == 0, revoked);
        }
    }
    leave(l);
}
END_TEST

START_TEST(a_snapshot_of_a_model_has_no_other) {
    enrol("edge", 1, 3);
    enrol("other", 4, 5);
    issue(1, 5);
    struct change_start begin = {.snapshot = true, .model = "other"};
    struct listener *l = listen_from(begin);
    hear_until(l, "event: snapshot");
    ck_assert_uint_eq(count(l, "event: credential"), 2);
    ck_assert_uint_eq(count(l, "event: model"), 1);
    ck_assert_ptr_nonnull(strstr(l->text, "\"credentials\":2}"));
    leave(l);
}
END_TEST

START_TEST(a_snapshot_of_nothing_is_one) {
    struct listener *l = listen_from((struct change_start){.snapshot = true});
    hear_until(l, "id: 0\nevent: snapshot\ndata: {\"seq\":0,\"credentials\":0}\n\n");
    leave(l);
}
END_TEST

/* --- what goes wrong --- */

START_TEST(a_place_that_is_not_kept_is_a_reset) {
    enrol("edge", 1, 50);
    store_fixture_begin(&f);
    commit(store_trust_change_forget(f.writer, INT64_MAX, 20, 100));
    struct listener *l = listen_after(19);
    hear_end(l, "event: reset\ndata: {\"reason\":\"gone\"}\n\n");
    ck_assert_uint_eq(count(l, "\nid: "), 0);
    leave(l);
    l = listen_after(20); /* which is just kept */
    hear_until(l, "id: 50\n");
    check_ids(l, 21, 50);
    leave(l);
}
END_TEST

START_TEST(a_place_that_never_was_is_a_reset) {
    enrol("edge", 1, 5);
    struct listener *l = listen_after(6);
    hear_end(l, "event: reset\ndata: {\"reason\":\"unknown\"}\n\n");
    leave(l);
}
END_TEST

/* Behind by one more than is kept. */
static struct listener *fall_behind(void) {
    struct listener *slow = listen_after(-1);
    enrol("edge", 1, 1);
    hear_until(slow, "id: 1\n");
    (void)hear(slow, false);
    for (unsigned n = 2; n <= BACKLOG + 2; n++) {
        enrol("edge", n, n);
        settle(n);
    }
    return slow;
}

START_TEST(a_reader_that_falls_behind_memory_is_dropped_and_told) {
    change_streams_stop(streams);
    start(60000, 1, 0);
    struct listener *slow = fall_behind();
    (void)usleep(5000);
    hear_end(slow, "event: dropped\ndata: {\"reason\":\"too_slow\"}\n\n");
    ck_assert_uint_eq(count(slow, "\nid: 2\n"), 0);
    struct change_counters counters;
    change_streams_count(streams, &counters);
    ck_assert_uint_eq(counters.dropped_slow, 1);
    ck_assert_uint_eq(counters.readers, 1);
    leave(slow);
    slow = listen_after(1); /* and goes on where it was */
    hear_until(slow, "id: 10\n");
    check_ids(slow, 2, 10);
    leave(slow);
}
END_TEST

START_TEST(a_reader_that_is_behind_for_a_moment_hears_it_from_the_store) {
    struct listener *slow = fall_behind();
    hear_until(slow, "id: 10\n");
    check_ids(slow, 1, 10);
    leave(slow);
}
END_TEST

START_TEST(a_reader_that_had_nothing_to_hear_for_long_is_not_slow) {
    change_streams_stop(streams);
    start(60000, 200, 0);
    struct listener *l = listen_after(-1);
    (void)hear(l, false);
    ck_assert(!hear(l, false));
    (void)usleep(300000);
    enrol("edge", 1, 2 * BACKLOG); /* more than is kept, at once */
    hear_until(l, "id: 16\n");
    check_ids(l, 1, 2 * BACKLOG);
    leave(l);
}
END_TEST

START_TEST(shutdown_is_a_last_word_to_everybody) {
    enrol("edge", 1, 50);
    issue(1, 50);
    struct listener *l[] = {listen_after(-1), listen_after(0),
                            listen_from((struct change_start){.snapshot = true})};
    (void)hear(l[0], false);
    for (size_t i = 0; i < 3; i++) {
        ck_assert(hear(l[i], true));
        hear_end(l[i], "event: closing\ndata: {\"reason\":\"shutting_down\"}\n\n");
        ck_assert_uint_eq(count(l[i], "event: closing"), 1);
        leave(l[i]);
    }
}
END_TEST

START_TEST(who_may_no_longer_read_is_told_so_and_nothing_else) {
    struct listener *l = listen_after(-1);
    (void)hear(l, false);
    change_reader_deny(l->reader);
    enrol("edge", 1, 1);
    hear_end(l, "event: dropped\ndata: {\"reason\":\"access_ended\"}\n\n");
    ck_assert_uint_eq(count(l, "event: "), 1);
    leave(l);
}
END_TEST

START_TEST(too_many_readers_are_refused) {
    change_streams_stop(streams);
    start(60000, 0, 2);
    struct listener *a = listen_after(-1), *b = listen_after(-1);
    struct change_reader *reader = NULL;
    const struct change_start begin = {.after = -1};
    ck_assert_int_eq(change_reader_open(&reader, streams, &begin, wake, NULL), STATUS_BUSY);
    ck_assert_ptr_null(reader);
    leave(a);
    a = listen_after(-1);
    leave(a);
    leave(b);
}
END_TEST

START_TEST(a_reader_hears_that_it_is_alive_and_where_it_is) {
    change_streams_stop(streams);
    enrol("edge", 1, 3);
    start(30, 0, 0);
    struct listener *l = listen_model(-1, "other");
    hear_until(l, "id: 3\n\n");
    enrol("edge", 4, 4);
    hear_until(l, "id: 4\n\n"); /* though it heard nothing of it */
    ck_assert_uint_eq(count(l, "event: "), 0);
    leave(l);
}
END_TEST

START_TEST(readers_that_leave_while_pieces_are_read_for_them_are_no_harm) {
    enrol("edge", 1, 500);
    for (unsigned i = 0; i < 200; i++) {
        struct listener *l[4];
        for (unsigned k = 0; k < 4; k++) {
            l[k] = listen_from((struct change_start){.snapshot = k == 0, .after = i + k * 20});
            (void)hear(l[k], false);
        }
        for (unsigned k = 0; k < 4; k++) {
            leave(l[(k + i) % 4]);
        }
    }
    struct change_counters counters;
    change_streams_count(streams, &counters);
    ck_assert_uint_eq(counters.readers, 0);
    ck_assert_uint_eq(counters.opened, 800);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("streams");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_streams, close_streams);
    tcase_add_test(tests, each_kind_of_change_is_an_event_of_its_own);
    tcase_add_test(tests, no_event_is_longer_than_is_said);
    tcase_add_test(tests, a_reader_hears_each_change_once_and_in_order);
    tcase_add_test(tests, a_reader_from_now_on_hears_nothing_of_before);
    tcase_add_test(tests, a_reader_goes_on_from_memory_and_from_the_store_without_a_gap);
    tcase_add_test(tests, a_reader_that_catches_up_while_more_happens_misses_nothing);
    tcase_add_test(tests, very_many_changes_at_once_are_heard_by_all_and_nobody_is_called_slow);
    tcase_add_test(tests, a_stream_goes_on_after_a_restart);
    tcase_add_test(tests, a_reader_of_a_model_hears_of_no_other);
    tcase_add_test(tests, a_reader_whom_nothing_concerns_is_not_woken_and_not_called_slow);
    tcase_add_test(tests, a_snapshot_says_what_is_valid_and_where_changes_go_on);
    tcase_add_test(tests, nothing_falls_between_a_snapshot_and_what_follows);
    tcase_add_test(tests, a_snapshot_of_a_model_has_no_other);
    tcase_add_test(tests, a_snapshot_of_nothing_is_one);
    tcase_add_test(tests, a_place_that_is_not_kept_is_a_reset);
    tcase_add_test(tests, a_place_that_never_was_is_a_reset);
    tcase_add_test(tests, a_reader_that_falls_behind_memory_is_dropped_and_told);
    tcase_add_test(tests, a_reader_that_is_behind_for_a_moment_hears_it_from_the_store);
    tcase_add_test(tests, a_reader_that_had_nothing_to_hear_for_long_is_not_slow);
    tcase_add_test(tests, shutdown_is_a_last_word_to_everybody);
    tcase_add_test(tests, who_may_no_longer_read_is_told_so_and_nothing_else);
    tcase_add_test(tests, too_many_readers_are_refused);
    tcase_add_test(tests, a_reader_hears_that_it_is_alive_and_where_it_is);
    tcase_add_test(tests, readers_that_leave_while_pieces_are_read_for_them_are_no_harm);
    Suite *suite = suite_create("fleet: change streams");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

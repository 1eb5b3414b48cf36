/* Time and number: what is slow ends, what is too much is refused, and others do not notice. */
/* concurrent */
#include "server/base/clock.h"
#include "tests/unit/transport_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST  "Host: h\r\n"
#define HELLO "GET /hello HTTP/1.1\r\n" HOST "\r\n"

enum { KINDS = 3, SHORT_MS = 300, SLACK_MS = 1200 };
static struct fixture f;

static struct client *open_kind(int kind) {
    if (kind == 0) {
        return client_open(f.mutual, &mutual_client);
    }
    if (kind == 1) {
        return client_open(f.plain, &plain_client);
    }
    return client_open(0, &(struct client_options){.unix_path = f.unix_path + 5});
}

static void start(const struct transport_limits *limits, unsigned workers) {
    fixture_start(&f, workers, limits);
}

static void stop(void) {
    ck_assert(fixture_quiet(&f));
    fixture_stop(&f);
}

/* The connection is ended by the server about SHORT_MS after `since`. */
static void ends_in_time(struct client *c, int64_t since) {
    ck_assert(client_at_end(c));
    int64_t took = clock_monotonic_ms() - since;
    ck_assert_msg(took >= SHORT_MS - 50 && took < SHORT_MS + SLACK_MS, "%d ms", (int)took);
}

/* Sends a byte every 20 ms; true when the server ended the connection about SHORT_MS after the start. */
static void trickle_ends_in_time(struct client *c, const char *text, int64_t since) {
    struct answer answer = {0};
    client_set_timeout(c, 1);
    for (size_t i = 0; text[i] != '\0'; i++) {
        client_write(c, text + i, 1);
        if (!client_flush(c)) {
            break;
        }
        sleep_ms(20);
    }
    client_set_timeout(c, 5000);
    ck_assert(!client_read_answer(c, &answer, false));
    int64_t took = clock_monotonic_ms() - since;
    ck_assert_msg(took < 20 * (int64_t)strlen(text) + SLACK_MS, "%d ms", (int)took);
    ck_assert_uint_eq(f.served.handled, 0);
}

static const char long_request[] =
    "GET /hello HTTP/1.1\r\nHost: h\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n";

START_TEST(transport_cuts_a_connection_that_says_nothing) {
    struct transport_limits limits = fixture_limits();
    limits.header_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    (void)client_flush(c);
    ends_in_time(c, clock_monotonic_ms());
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_cuts_headers_that_trickle) {
    struct transport_limits limits = fixture_limits();
    limits.header_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    trickle_ends_in_time(c, long_request, clock_monotonic_ms());
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_cuts_headers_that_trickle_on_a_kept_connection) {
    struct transport_limits limits = fixture_limits();
    limits.header_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    client_expect(c, 200, HELLO);
    sleep_ms(SHORT_MS + 100); /* idle is allowed: the time begins with the first byte */
    client_expect(c, 200, HELLO);
    f.served.handled = 0;
    trickle_ends_in_time(c, long_request, clock_monotonic_ms());
    client_free(c);
    f.served.handled = 2;
    stop();
}
END_TEST

START_TEST(transport_cuts_bodies_that_trickle) {
    struct transport_limits limits = fixture_limits();
    limits.body_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n");
    (void)client_flush(c);
    trickle_ends_in_time(c, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                         clock_monotonic_ms());
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_cuts_bodies_that_never_come) {
    struct transport_limits limits = fixture_limits();
    limits.body_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    (void)client_flush(c);
    ends_in_time(c, clock_monotonic_ms());
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_cuts_idle_connections) {
    struct transport_limits limits = fixture_limits();
    limits.idle_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    for (int i = 0; i < 4; i++) {
        client_expect(c, 200, HELLO);
        sleep_ms(SHORT_MS / 2); /* each request starts the time again */
    }
    client_expect(c, 200, HELLO);
    ends_in_time(c, clock_monotonic_ms());
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_ends_an_idle_tls_connection_with_close_notify) {
    struct transport_limits limits = fixture_limits();
    limits.idle_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(0);
    client_expect(c, 200, HELLO);
    ck_assert(client_at_clean_end(c));
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_cuts_readers_that_do_not_read) {
    struct transport_limits limits = fixture_limits();
    limits.idle_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    client_print(c, "GET /size?12000000 HTTP/1.1\r\n" HOST "\r\n");
    ck_assert(client_flush(c));
    int64_t before = clock_monotonic_ms();
    ck_assert(fixture_quiet(&f));
    ck_assert_int_lt(clock_monotonic_ms() - before, SHORT_MS + SLACK_MS);
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_does_not_cut_slow_readers_that_go_on_reading) {
    struct transport_limits limits = fixture_limits();
    limits.idle_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    client_print(c, "GET /size?12000000 HTTP/1.1\r\n" HOST "\r\n");
    static char buf[1000000];
    size_t total = 0;
    while (total < 12000000) {
        long n = client_read(c, buf, sizeof buf);
        ck_assert_int_gt(n, 0);
        total += (size_t)n;
        sleep_ms(_i == 0 ? 1 : 30);
    }
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_does_not_count_the_services_time) {
    struct transport_limits limits = fixture_limits();
    limits.idle_ms = limits.header_ms = limits.body_ms = SHORT_MS;
    start(&limits, 1);
    struct client *c = open_kind(_i);
    client_expect(c, 200, "GET /wait?900 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(c, 200, HELLO);
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_slow_connections_block_nobody) {
    start(NULL, 1);
    struct client *slow[60];
    for (int i = 0; i < 60; i++) {
        slow[i] = i % 2 == 0 ? client_open(f.mutual, &mutual_client)
                             : client_connect(f.mutual, &mutual_client);
        ck_assert_ptr_nonnull(slow[i]);
        if (i % 4 == 0) {
            client_print(slow[i], "GET / HT");
            (void)client_flush(slow[i]);
        }
    }
    int64_t before = clock_monotonic_ms();
    struct client *c = open_kind(0);
    for (int i = 0; i < 20; i++) {
        client_expect(c, 200, HELLO);
    }
    ck_assert_int_lt(clock_monotonic_ms() - before, 1000);
    client_free(c);
    for (int i = 0; i < 60; i++) {
        client_free(slow[i]);
    }
    stop();
}
END_TEST

/* --- numbers ----------------------------------------------------------------------------- */

static bool is_served(uint16_t port) {
    struct client *c = client_connect(port, &plain_client);
    struct answer answer = {0};
    bool served = false;
    if (c != NULL) {
        client_print(c, HELLO);
        served = client_read_answer(c, &answer, false);
        answer_free(&answer);
    }
    client_free(c);
    return served;
}

START_TEST(transport_caps_connections_over_all_workers) {
    struct transport_limits limits = fixture_limits();
    limits.connections = 10;
    start(&limits, 3);
    struct client *held[10];
    for (int i = 0; i < 10; i++) {
        held[i] = open_kind(1);
        client_expect(held[i], 200, HELLO);
    }
    for (int i = 0; i < 10; i++) {
        ck_assert(!is_served(f.plain));
    }
    struct transport_counters counters;
    transport_count(f.transport, "plain", &counters);
    ck_assert_uint_eq(counters.open, 10);
    ck_assert_uint_eq(counters.refused_cap, 10);
    ck_assert_uint_eq(counters.accepted, 20);
    for (int i = 0; i < 10; i++) {
        client_expect(held[i], 200, HELLO); /* the old ones go on */
    }
    struct client *other = open_kind(0); /* each plane has its own cap */
    client_expect(other, 200, HELLO);
    client_free(other);
    for (int i = 0; i < 10; i++) {
        client_free(held[i]);
    }
    ck_assert(fixture_quiet(&f));
    ck_assert(is_served(f.plain)); /* and places come back */
    stop();
}
END_TEST

START_TEST(transport_caps_connections_of_one_address_over_all_workers) {
    struct transport_limits limits = fixture_limits();
    limits.connections_per_ip = 5;
    start(&limits, 3);
    for (int round = 0; round < 3; round++) {
        struct client *held[5], *local[8];
        for (int i = 0; i < 5; i++) {
            held[i] = open_kind(0);
            client_expect(held[i], 200, HELLO);
        }
        for (int i = 0; i < 5; i++) {
            struct client *c = client_connect(f.mutual, &mutual_client);
            ck_assert(c == NULL || !client_handshake(c));
            client_free(c);
        }
        for (int i = 0; i < 8; i++) {
            local[i] = open_kind(2); /* Unix sockets are exempt */
            client_expect(local[i], 200, HELLO);
        }
        for (int i = 0; i < 8; i++) {
            client_free(local[i]);
        }
        for (int i = 0; i < 5; i++) {
            client_free(held[i]);
        }
        ck_assert(fixture_quiet(&f));
    }
    struct transport_counters counters;
    transport_count(f.transport, "mutual", &counters);
    ck_assert_uint_eq(counters.refused_ip_cap, 15);
    ck_assert_uint_eq(counters.refused_cap, 0);
    stop();
}
END_TEST

START_TEST(transport_recovers_when_descriptors_run_out) {
    start(NULL, 1);
    struct client *c = open_kind(1);
    client_expect(c, 200, HELLO);
    /* Connections that wait to be accepted need no descriptor on this side, but we are both sides. */
    struct rlimit old, low;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    int probe = dup(0);
    ck_assert_int_ge(probe, 0);
    (void)close(probe);
    low = old;
    low.rlim_cur = (rlim_t)probe + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct client *waiting = client_connect(f.plain, &plain_client); /* takes the last descriptor */
    ck_assert_ptr_nonnull(waiting);
    sleep_ms(150);
    client_expect(c, 200, HELLO);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    client_expect(waiting, 200, HELLO);
    client_free(waiting);
    client_free(c);
    stop();
}
END_TEST

/* --- stopping ---------------------------------------------------------------------------- */

static void *stop_thread(void *grace) {
    transport_stop(f.transport, (unsigned)(uintptr_t)grace);
    return NULL;
}

/* All listeners are closed, which each worker does for itself. */
static bool refuses_connections(int kind) {
    struct client_options options = {.plain = true,
                                     .unix_path = kind == 2 ? f.unix_path + 5 : NULL};
    for (int tries = 0; tries < 100; tries++) {
        struct client *c = client_connect(kind == 0 ? f.mutual : f.plain, &options);
        if (c == NULL) {
            return true;
        }
        client_free(c);
        sleep_ms(3);
    }
    return false;
}

START_TEST(transport_stop_lets_requests_end_and_says_close) {
    start(NULL, 2);
    struct client *busy = open_kind(_i), *idle = open_kind(_i), *fresh = open_kind(_i),
                  *half = open_kind(_i);
    (void)client_flush(fresh);
    client_expect(idle, 200, HELLO);
    client_expect(half, 200, HELLO);
    client_print(half, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab");
    (void)client_flush(half);
    client_print(busy, "GET /wait?400 HTTP/1.1\r\n" HOST "\r\n");
    (void)client_flush(busy);
    while (atomic_load(&f.served.waiting) == 0) {
        sleep_ms(1);
    }
    sleep_ms(20);
    pthread_t thread;
    int64_t before = clock_monotonic_ms();
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_thread, (void *)(uintptr_t)3000), 0);
    ck_assert(client_at_end(idle));
    ck_assert(client_at_end(fresh));
    ck_assert_int_lt(clock_monotonic_ms() - before, 300);
    ck_assert(refuses_connections(_i));
    struct answer answer = {0};
    char value[32];
    client_print(half, "cde");
    ck_assert(client_read_answer(half, &answer, false));
    ck_assert_str_eq((const char *)answer.body, "abcde");
    ck_assert(answer_header(&answer, "Connection", value, sizeof value));
    ck_assert_str_eq(value, "close");
    answer_free(&answer);
    ck_assert(client_read_answer(busy, &answer, false));
    ck_assert(answer_header(&answer, "Connection", value, sizeof value));
    ck_assert_str_eq(value, "close");
    answer_free(&answer);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_lt(clock_monotonic_ms() - before, 2000); /* before the grace ends */
    client_free(busy);
    client_free(idle);
    client_free(fresh);
    client_free(half);
    fixture_stop(&f); /* stopping again is nothing */
}
END_TEST

START_TEST(transport_stop_ends_what_outlasts_the_grace) {
    start(NULL, 2);
    struct client *stuck = open_kind(_i), *half = open_kind(_i);
    client_print(stuck, "GET /size?12000000 HTTP/1.1\r\n" HOST "\r\n");
    (void)client_flush(stuck);
    client_print(half, "GET /hel");
    (void)client_flush(half);
    sleep_ms(50);
    int64_t before = clock_monotonic_ms();
    transport_stop(f.transport, SHORT_MS);
    int64_t took = clock_monotonic_ms() - before;
    ck_assert_msg(took >= SHORT_MS - 50 && took < SHORT_MS + SLACK_MS, "%d ms", (int)took);
    ck_assert_uint_eq(fixture_open(&f), 0);
    client_free(stuck);
    client_free(half);
    fixture_stop(&f);
}
END_TEST

START_TEST(transport_stop_waits_for_services_that_still_work) {
    start(NULL, 1);
    struct client *c = open_kind(_i);
    client_print(c, "GET /wait?500 HTTP/1.1\r\n" HOST "\r\n");
    (void)client_flush(c);
    while (atomic_load(&f.served.waiting) == 0) {
        sleep_ms(1);
    }
    transport_stop(f.transport, 0);
    ck_assert_uint_eq(f.served.finished, 1);
    client_free(c);
    fixture_stop(&f);
}
END_TEST

int main(void) {
    pki_make();
    Suite *suite = suite_create("transport_limits");
    TCase *tests = tcase_create("transport_limits");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, transport_cuts_a_connection_that_says_nothing, 0, KINDS);
    tcase_add_loop_test(tests, transport_cuts_headers_that_trickle, 0, KINDS);
    tcase_add_loop_test(tests, transport_cuts_headers_that_trickle_on_a_kept_connection, 0, KINDS);
    tcase_add_loop_test(tests, transport_cuts_bodies_that_trickle, 0, KINDS);
    tcase_add_loop_test(tests, transport_cuts_bodies_that_never_come, 0, KINDS);
    tcase_add_loop_test(tests, transport_cuts_idle_connections, 0, KINDS);
    tcase_add_test(tests, transport_ends_an_idle_tls_connection_with_close_notify);
    tcase_add_loop_test(tests, transport_cuts_readers_that_do_not_read, 0, KINDS);
    tcase_add_loop_test(tests, transport_does_not_cut_slow_readers_that_go_on_reading, 0, KINDS);
    tcase_add_loop_test(tests, transport_does_not_count_the_services_time, 0, KINDS);
    tcase_add_test(tests, transport_slow_connections_block_nobody);
    tcase_add_test(tests, transport_caps_connections_over_all_workers);
    tcase_add_test(tests, transport_caps_connections_of_one_address_over_all_workers);
    tcase_add_test(tests, transport_recovers_when_descriptors_run_out);
    tcase_add_loop_test(tests, transport_stop_lets_requests_end_and_says_close, 0, KINDS);
    tcase_add_loop_test(tests, transport_stop_ends_what_outlasts_the_grace, 0, KINDS);
    tcase_add_loop_test(tests, transport_stop_waits_for_services_that_still_work, 0, KINDS);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

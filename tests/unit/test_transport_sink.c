/* Bodies that a service takes as they come: whole, in order, within limits of size and time. */
/* concurrent */
#include "tests/unit/transport_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "Host: h\r\n"

enum { KINDS = 3, PIECE = 16 * 1024 };
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

static void start_with(unsigned body_ms) {
    struct transport_plane planes[3];
    struct transport_limits limits = fixture_limits();
    limits.body_ms = body_ms;
    fixture_planes(&f, planes, &limits);
    f.service.sink_max = SINK_MAX;
    fixture_start_planes(&f, 2, planes);
}

static void start(void) {
    start_with(5000);
}

static void stop(void) {
    ck_assert(fixture_quiet(&f));
    fixture_stop(&f);
}

static uint8_t byte_at(size_t i) {
    return (uint8_t)(i * 2654435761u >> 13);
}

/* "length checksum", as the sink answers. */
static void expected(char out[static 64], size_t len) {
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum = sum * 31 + byte_at(i);
    }
    (void)snprintf(out, 64, "%zu %016llx", len, (unsigned long long)sum);
}

/* Writes bytes [from, from + len) of the body, with a chunk's frame around them. False: the peer has gone. */
static bool send_piece(struct client *c, size_t from, size_t len, bool chunked) {
    uint8_t piece[PIECE];
    for (size_t i = 0; i < len; i++) {
        piece[i] = byte_at(from + i);
    }
    if (chunked) {
        client_print(c, "%zx\r\n", len);
    }
    client_write(c, piece, len);
    if (chunked) {
        client_print(c, "\r\n");
    }
    return client_flush(c);
}

static void send_head(struct client *c, const char *target, size_t len, bool chunked) {
    client_print(c, "POST %s HTTP/1.1\r\n" HOST, target);
    if (chunked) {
        client_print(c, "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        client_print(c, "Content-Length: %zu\r\n\r\n", len);
    }
}

/* Sends as much as the server takes. */
static void send_body(struct client *c, size_t len, bool chunked) {
    for (size_t at = 0; at < len; at += PIECE) {
        if (!send_piece(c, at, len - at < PIECE ? len - at : PIECE, chunked)) {
            return;
        }
    }
    if (chunked) {
        client_print(c, "0\r\n\r\n");
        (void)client_flush(c);
    }
}

static void check_answer(struct client *c, unsigned status, const char *text) {
    struct answer answer = {0};
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, status);
    ck_assert_uint_eq(answer.body_len, strlen(text));
    ck_assert_mem_eq(answer.body, text, answer.body_len);
    answer_free(&answer);
}

START_TEST(transport_pours_a_body_beyond_the_planes_limit_into_a_sink) {
    enum { LEN = 6 * 1024 * 1024 + 77 };
    char want[64];
    expected(want, LEN);
    struct client *c = open_kind(_i);
    for (int chunked = 0; chunked < 2; chunked++) {
        send_head(c, "/sink?8000000", LEN, chunked != 0);
        send_body(c, LEN, chunked != 0);
        check_answer(c, 200, want);
    }
    client_free(c);
    ck_assert_uint_eq(f.served.poured, 2 * (size_t)LEN);
    ck_assert_uint_gt(f.served.pieces, 2);
    ck_assert_uint_eq(f.served.handled, 2);
}
END_TEST

START_TEST(transport_pours_a_body_in_order_however_it_is_cut) {
    enum { LEN = 700 };
    char want[64];
    expected(want, LEN);
    static const size_t segments[] = {1, 7, 64};
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        struct client *c = open_kind(_i);
        uint8_t body[LEN];
        for (size_t k = 0; k < LEN; k++) {
            body[k] = byte_at(k);
        }
        send_head(c, "/sink?1000", LEN, false);
        client_write(c, body, LEN);
        ck_assert(client_flush_in(c, segments[i], 50));
        check_answer(c, 200, want);
        client_free(c);
    }
}
END_TEST

START_TEST(transport_takes_an_empty_body_of_a_sink) {
    struct client *c = open_kind(_i);
    client_print(c, "POST /sink?10 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    check_answer(c, 200, "0 0000000000000000");
    send_head(c, "/sink?10", 0, true);
    send_body(c, 0, true);
    check_answer(c, 200, "0 0000000000000000");
    client_free(c);
    ck_assert_uint_eq(f.served.pieces, 0);
}
END_TEST

START_TEST(transport_refuses_a_length_beyond_the_sink_before_the_body) {
    static const char *const lengths[] = {"1001", "9000000", "9223372036854775807"};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct client *c = open_kind(_i);
        client_print(c, "POST /sink?1000 HTTP/1.1\r\n" HOST "Content-Length: %s\r\n\r\n",
                     lengths[i]);
        check_answer(c, 413, "no");
        ck_assert(client_at_end(c));
        client_free(c);
    }
    ck_assert_uint_eq(f.served.pieces, 0);
    ck_assert_uint_eq(f.served.handled, 0);
    ck_assert_uint_eq(f.served.admitted, 1); /* more than any sink takes is not looked at */
}
END_TEST

START_TEST(transport_counts_what_it_pours_into_a_sink) {
    struct client *c = open_kind(_i);
    send_head(c, "/sink?1500000", 0, true);
    send_body(c, 2 * 1024 * 1024, true);
    check_answer(c, 413, "no");
    ck_assert(client_at_end(c));
    client_free(c);
    ck_assert_uint_le(f.served.poured, 1500000);
    ck_assert_uint_eq(f.served.handled, 0);
    ck_assert_uint_eq(f.served.last_refusal, HTTP_REFUSED_BODY_TOO_LARGE);
}
END_TEST

START_TEST(transport_keeps_the_planes_limit_where_no_sink_is) {
    struct client *c = open_kind(_i);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n");
    check_answer(c, 413, "no");
    ck_assert(client_at_end(c));
    client_free(c);
    c = open_kind(_i);
    send_head(c, "/echo", 0, true);
    send_body(c, 2 * 1024 * 1024, true);
    check_answer(c, 413, "no");
    client_free(c);
    ck_assert_uint_eq(f.served.handled, 0);
    ck_assert_uint_eq(f.served.pieces, 0);
}
END_TEST

START_TEST(transport_lets_a_sink_answer_in_the_middle) {
    for (int chunked = 0; chunked < 2; chunked++) {
        struct client *c = open_kind(_i);
        send_head(c, "/sink-stop?100000", 4 * 1024 * 1024, chunked != 0);
        send_body(c, 1024 * 1024, chunked != 0);
        check_answer(c, 422, "enough");
        ck_assert(client_at_end(c));
        client_free(c);
    }
    ck_assert(fixture_quiet(&f));
    ck_assert_uint_eq(f.served.handled, 0);
    ck_assert_uint_eq(f.served.refused, 0);
    ck_assert_uint_eq(f.served.ended, 2);
    ck_assert_uint_lt(f.served.poured, 2 * 200000);
}
END_TEST

START_TEST(transport_handles_nothing_of_a_body_that_breaks_off) {
    for (int chunked = 0; chunked < 2; chunked++) {
        struct client *c = open_kind(_i);
        send_head(c, "/sink?8000000", 4 * 1024 * 1024, chunked != 0);
        ck_assert(send_piece(c, 0, PIECE, chunked != 0));
        while (f.served.poured < (size_t)PIECE * (size_t)(chunked + 1)) {
            sleep_ms(1);
        }
        if (chunked != 0) {
            client_half_close(c);
            ck_assert(client_at_end(c));
        }
        client_free(c);
    }
    ck_assert(fixture_quiet(&f));
    ck_assert_uint_eq(f.served.handled, 0);
    ck_assert_uint_eq(f.served.ended, 2);
}
END_TEST

START_TEST(transport_lets_a_slow_body_that_goes_on_outlive_its_time) {
    enum { BODY_MS = 1500, LEN = 6 * 80 * 1024 };
    start_with(BODY_MS);
    char want[64];
    expected(want, LEN);
    struct client *c = open_kind(_i);
    send_head(c, "/sink?8000000", LEN, false);
    for (size_t at = 0; at < LEN; at += PIECE) {
        ck_assert(send_piece(c, at, PIECE, false));
        sleep_ms(BODY_MS / 15); /* five of these renew the time; all take twice as long */
    }
    check_answer(c, 200, want);
    client_free(c);
    stop();
}
END_TEST

START_TEST(transport_cuts_a_sinks_body_that_trickles) {
    start_with(300);
    struct client *c = open_kind(_i);
    send_head(c, "/sink?8000000", 1024 * 1024, false);
    client_set_timeout(c, 1);
    for (size_t at = 0; at < 1024 * 1024; at++) {
        if (!send_piece(c, at, 1, false)) {
            break;
        }
        sleep_ms(5);
    }
    client_set_timeout(c, 5000);
    ck_assert(client_at_end(c));
    ck_assert_uint_lt(f.served.poured, 64 * 1024);
    ck_assert_uint_eq(f.served.handled, 0);
    client_free(c);
    stop();
}
END_TEST

int main(void) {
    pki_make();
    Suite *suite = suite_create("transport_sink");
    TCase *tests = tcase_create("transport_sink");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_loop_test(tests, transport_pours_a_body_beyond_the_planes_limit_into_a_sink, 0,
                        KINDS);
    tcase_add_loop_test(tests, transport_pours_a_body_in_order_however_it_is_cut, 0, KINDS);
    tcase_add_loop_test(tests, transport_takes_an_empty_body_of_a_sink, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_a_length_beyond_the_sink_before_the_body, 0,
                        KINDS);
    tcase_add_loop_test(tests, transport_counts_what_it_pours_into_a_sink, 0, KINDS);
    tcase_add_loop_test(tests, transport_keeps_the_planes_limit_where_no_sink_is, 0, KINDS);
    tcase_add_loop_test(tests, transport_lets_a_sink_answer_in_the_middle, 0, KINDS);
    tcase_add_loop_test(tests, transport_handles_nothing_of_a_body_that_breaks_off, 0, KINDS);
    suite_add_tcase(suite, tests);
    TCase *timed = tcase_create("transport_sink in time");
    tcase_set_timeout(timed, 60);
    tcase_add_loop_test(timed, transport_lets_a_slow_body_that_goes_on_outlive_its_time, 0, KINDS);
    tcase_add_loop_test(timed, transport_cuts_a_sinks_body_that_trickles, 0, KINDS);
    suite_add_tcase(suite, timed);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

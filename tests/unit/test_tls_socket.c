/* TLS under libmicrohttpd behaves as TCP under it: whatever the segments, nothing is lost and nothing
 * stalls. */
#include "server/base/clock.h"
#include "tests/unit/transport_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO   "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
#define CLOSING "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static struct fixture f;

static void set_up(void) {
    fixture_start(&f, 1, NULL);
}

static void tear_down(void) {
    ck_assert(fixture_quiet(&f));
    fixture_stop(&f);
}

static void expect_hello(struct client *c) {
    struct answer answer = {0};
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_str_eq((const char *)answer.body, "hello");
    answer_free(&answer);
}

static void fill(uint8_t *bytes, size_t len) {
    uint32_t v = 12345;
    for (size_t i = 0; i < len; i++) {
        v = v * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(v >> 24);
    }
}

/* Posts len bytes to /echo in TLS writes of `piece`, and compares what comes back. */
static void echo(struct client *c, size_t len, size_t piece) {
    uint8_t *bytes = malloc(len + 1);
    ck_assert_ptr_nonnull(bytes);
    fill(bytes, len);
    client_print(c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", len);
    for (size_t at = 0; at < len; at += piece) {
        client_write(c, bytes + at, len - at < piece ? len - at : piece);
    }
    struct answer answer = {0};
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_uint_eq(answer.body_len, len);
    ck_assert_int_eq(memcmp(answer.body, bytes, len), 0);
    answer_free(&answer);
    free(bytes);
}

/* --- the end of the handshake --------------------------------------------------------------- */

START_TEST(tls_socket_loses_nothing_of_a_segment_with_finished_and_a_request) {
    for (int i = 0; i < 20; i++) {
        struct client *c = client_open(f.mutual, &mutual_client);
        ck_assert_uint_gt(client_held(c), 0);
        client_print(c, HELLO);
        ck_assert(client_flush(c));
        expect_hello(c);
        client_free(c);
    }
}
END_TEST

START_TEST(tls_socket_loses_nothing_of_a_segment_with_finished_and_many_requests) {
    struct client *c = client_open(f.mutual, &mutual_client);
    for (int i = 0; i < 30; i++) {
        client_print(c, HELLO);
    }
    ck_assert(client_flush(c));
    for (int i = 0; i < 30; i++) {
        expect_hello(c);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_loses_nothing_of_a_segment_with_finished_and_a_long_body) {
    struct client *c = client_open(f.mutual, &mutual_client);
    echo(c, 300000, 16384);
    client_free(c);
}
END_TEST

START_TEST(tls_socket_reads_data_that_was_there_before_the_daemon_had_the_connection) {
    /* The client is silent after this one segment: no event will tell of it again. */
    struct client *c = client_open(f.mutual, &mutual_client);
    client_print(c, CLOSING);
    client_half_close(c);
    expect_hello(c);
    ck_assert(client_at_clean_end(c));
    client_free(c);
}
END_TEST

/* --- segments and records ------------------------------------------------------------------- */

START_TEST(tls_socket_takes_one_byte_a_segment) {
    struct client *c = client_connect(f.mutual, &mutual_client);
    client_begin(c);
    ck_assert(client_flush_in(c, 1, 20));
    ck_assert(client_handshake(c));
    client_print(c, HELLO);
    ck_assert(client_flush_in(c, 1, 20));
    expect_hello(c);
    client_free(c);
}
END_TEST

START_TEST(tls_socket_takes_one_byte_a_record) {
    struct client *c = client_open(f.mutual, &mutual_client);
    for (size_t i = 0; i < strlen(HELLO); i++) {
        client_write(c, &HELLO[i], 1);
    }
    ck_assert(client_flush(c));
    expect_hello(c);
    echo(c, 3000, 1);
    client_free(c);
}
END_TEST

START_TEST(tls_socket_takes_segments_of_every_size) {
    struct client *c = client_open(f.mutual, &mutual_client);
    for (size_t size = 1; size < 120; size++) {
        client_print(c, HELLO HELLO);
        ck_assert(client_flush_in(c, size, 0));
        expect_hello(c);
        expect_hello(c);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_answers_pipelined_requests_in_order) {
    struct client *c = client_open(f.mutual, &mutual_client);
    for (int i = 0; i < 200; i++) {
        client_print(c, "GET /size?%d HTTP/1.1\r\nHost: h\r\n\r\n", 100 + i);
    }
    ck_assert(client_flush(c));
    for (size_t i = 0; i < 200; i++) {
        struct answer answer = {0};
        ck_assert(client_read_answer(c, &answer, false));
        ck_assert_uint_eq(answer.body_len, 100 + i);
        answer_free(&answer);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_answers_requests_pipelined_in_one_record) {
    struct client *c = client_open(f.mutual, &mutual_client);
    char many[300 * (sizeof HELLO - 1) + 1] = "";
    for (size_t i = 0; i < 300; i++) {
        memcpy(many + i * (sizeof HELLO - 1), HELLO, sizeof HELLO);
    }
    client_write(c, many, sizeof many - 1);
    ck_assert(client_flush(c));
    for (int i = 0; i < 300; i++) {
        expect_hello(c);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_does_not_stall_on_data_buffered_inside_wolfssl) {
    /* libmicrohttpd's buffer is smaller than one record here, so most of it waits decrypted. */
    struct fixture other;
    struct transport_limits limits = fixture_limits();
    limits.header_max = 512;
    struct transport_plane planes[3];
    fixture_planes(&other, planes, &limits);
    planes[0].listen[1] = NULL;
    fixture_start_planes(&other, 1, planes);
    struct client *c = client_open(other.mutual, &mutual_client);
    for (size_t len = 1; len < 400000; len = len * 3 + 1) {
        echo(c, len, 16384);
    }
    client_free(c);
    fixture_stop(&other);
}
END_TEST

START_TEST(tls_socket_takes_bodies_of_every_kind_of_length) {
    struct client *c = client_open(f.mutual, &mutual_client);
    static const size_t lens[] = {1,     2,     16383, 16384,  16385,  32767,  32768,
                                  32769, 49152, 65535, 100000, 131072, 500000, 1048576};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        echo(c, lens[i], 16384);
        echo(c, lens[i], 1000 + i);
    }
    client_free(c);
}
END_TEST

/* --- writing -------------------------------------------------------------------------------- */

static void read_size(struct client *c, size_t size, size_t piece, unsigned pause_ms) {
    /* Headers are small: what follows them is compared as it comes. */
    uint8_t *buf = malloc(piece);
    ck_assert_ptr_nonnull(buf);
    char head[1024] = "";
    size_t len = 0;
    while (strstr(head, "\r\n\r\n") == NULL) {
        ck_assert_uint_lt(len, sizeof head - 1);
        ck_assert_int_eq(client_read(c, head + len, 1), 1);
        head[++len] = '\0';
    }
    for (size_t at = 0; at < size;) {
        long n = client_read(c, buf, size - at < piece ? size - at : piece);
        ck_assert_int_gt(n, 0);
        bool same = true;
        for (long i = 0; i < n; i++, at++) {
            same = same && buf[i] == 'a' + at % 26;
        }
        ck_assert(same);
        if (pause_ms != 0) {
            sleep_ms(pause_ms);
        }
    }
    free(buf);
}

START_TEST(tls_socket_gives_a_slow_reader_every_byte_of_a_large_answer) {
    struct client *c = client_open(f.mutual, &mutual_client);
    int small = 65536;
    ck_assert_int_eq(setsockopt(client_fd(c), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    client_print(c, "GET /size?8000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert(client_flush(c));
    sleep_ms(100); /* the kernel's buffers are full meanwhile, in the middle of a record */
    read_size(c, 8000000, 16384, 1);
    client_expect(c, 200, HELLO);
    client_free(c);
}
END_TEST

START_TEST(tls_socket_serves_others_while_a_reader_is_slow) {
    struct client *slow = client_open(f.mutual, &mutual_client);
    client_print(slow, "GET /size?10000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert(client_flush(slow));
    sleep_ms(50);
    struct client *c = client_open(f.mutual, &mutual_client);
    for (int i = 0; i < 50; i++) {
        client_expect(c, 200, HELLO);
    }
    client_free(c);
    read_size(slow, 10000000, 65536, 0);
    client_free(slow);
}
END_TEST

START_TEST(tls_socket_writes_answers_of_every_kind_of_length) {
    struct client *c = client_open(f.mutual, &mutual_client);
    /* Headers and body share the first record: lengths around its size are told apart by one byte. */
    for (size_t size = 16000; size < 16500; size++) {
        client_print(c, "GET /size?%zu HTTP/1.1\r\nHost: h\r\n\r\n", size);
        read_size(c, size, 65536, 0);
    }
    for (size_t size = 0; size < 2000000; size = size * 5 + 1) {
        client_print(c, "GET /size?%zu HTTP/1.1\r\nHost: h\r\n\r\n", size);
        read_size(c, size, 65536, 0);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_retries_pipelined_large_answers_to_a_slow_reader) {
    struct client *c = client_open(f.mutual, &mutual_client);
    for (int i = 0; i < 10; i++) {
        client_print(c, "GET /size?1000003 HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    ck_assert(client_flush(c));
    sleep_ms(100);
    for (int i = 0; i < 10; i++) {
        read_size(c, 1000003, 60000, 0);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_survives_a_reader_that_leaves_in_the_middle_of_an_answer) {
    for (int i = 0; i < 10; i++) {
        struct client *c = client_open(f.mutual, &mutual_client);
        client_print(c, "GET /size?10000000 HTTP/1.1\r\nHost: h\r\n\r\n");
        ck_assert(client_flush(c));
        char some[1000];
        ck_assert_int_gt(client_read(c, some, sizeof some), 0);
        if (i % 2 == 0) {
            client_reset(c);
        } else {
            client_free(c);
        }
    }
}
END_TEST

/* --- ends ----------------------------------------------------------------------------------- */

/* Keeps the only worker busy, so that what others send meanwhile is there all at once. */
static struct client *block(void) {
    struct client *c = client_open(f.plain, &plain_client);
    client_print(c, "GET /block?60 HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert(client_flush(c));
    sleep_ms(20);
    return c;
}

START_TEST(tls_socket_answers_a_client_that_has_half_closed) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_expect(c, 200, HELLO);
    struct client *blocker = block();
    client_print(c, HELLO HELLO);
    client_half_close(c); /* the end comes with the last bytes */
    expect_hello(c);
    expect_hello(c);
    int64_t before = clock_monotonic_ms();
    ck_assert(client_at_clean_end(c));
    ck_assert_int_lt(clock_monotonic_ms() - before, 1000); /* not the idle time */
    client_free(c);
    client_free(blocker);
}
END_TEST

START_TEST(tls_socket_sees_an_end_that_it_reads_together_with_the_last_bytes) {
    /* The body takes several reads, and the last one finds the end too. */
    struct client *c = client_open(f.mutual, &mutual_client);
    client_expect(c, 200, HELLO);
    char body[16384];
    memset(body, 'x', sizeof body);
    struct client *blocker = block();
    client_print(c, "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 327680\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        client_write(c, body, sizeof body);
    }
    client_half_close(c);
    struct answer answer = {0};
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 200);
    answer_free(&answer);
    int64_t before = clock_monotonic_ms();
    ck_assert(client_at_clean_end(c));
    ck_assert_int_lt(clock_monotonic_ms() - before, 1000);
    client_free(c);
    client_free(blocker);
}
END_TEST

START_TEST(tls_socket_answers_a_client_that_half_closes_later) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_print(c, HELLO);
    ck_assert(client_flush(c));
    sleep_ms(30);
    client_half_close(c);
    expect_hello(c);
    ck_assert(client_at_clean_end(c));
    client_free(c);
}
END_TEST

START_TEST(tls_socket_half_close_during_a_large_answer_loses_nothing) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_print(c, "GET /size?5000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    client_half_close(c);
    sleep_ms(50);
    read_size(c, 5000000, 65536, 0);
    ck_assert(client_at_clean_end(c));
    client_free(c);
}
END_TEST

START_TEST(tls_socket_answers_a_request_before_close_notify) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_print(c, HELLO);
    client_send_close_notify(c); /* one segment; the TCP connection stays open */
    struct answer answer = {0};
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 200);
    answer_free(&answer);
    ck_assert(client_at_end(c));
    client_free(c);
}
END_TEST

START_TEST(tls_socket_ends_on_close_notify) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_expect(c, 200, HELLO);
    client_send_close_notify(c);
    int64_t before = clock_monotonic_ms();
    ck_assert(fixture_quiet(&f));
    ck_assert_int_lt(clock_monotonic_ms() - before, 1000);
    client_free(c);
}
END_TEST

START_TEST(tls_socket_sends_close_notify_when_it_closes) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_expect(c, 200, CLOSING);
    ck_assert(client_at_clean_end(c));
    client_free(c);
}
END_TEST

START_TEST(tls_socket_sends_close_notify_after_a_large_answer) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_print(c, "GET /size?6000000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    ck_assert(client_flush(c));
    sleep_ms(50);
    read_size(c, 6000000, 65536, 0);
    ck_assert(client_at_clean_end(c));
    client_free(c);
}
END_TEST

START_TEST(tls_socket_frees_a_connection_that_ends_at_any_moment) {
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
                                  "0123456789012345678901234567890123456789";
    for (size_t cut = 0; cut < sizeof request; cut++) {
        struct client *c = client_open(f.mutual, &mutual_client);
        client_write(c, request, cut);
        ck_assert(client_flush(c));
        switch (cut % 4) {
        case 0:
            client_reset(c);
            break;
        case 1:
            client_send_close_notify(c);
            client_free(c);
            break;
        case 2:
            client_half_close(c);
            client_free(c);
            break;
        default:
            client_free(c);
        }
    }
    ck_assert(fixture_quiet(&f));
    ck_assert_uint_eq(f.served.ended, f.served.admitted);
}
END_TEST

START_TEST(tls_socket_ends_a_half_closed_request_that_is_not_complete) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_print(c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n0123");
    client_half_close(c);
    ck_assert(client_at_end(c));
    client_free(c);
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

/* --- TLS's own messages --------------------------------------------------------------------- */

START_TEST(tls_socket_follows_key_updates) {
    struct client *c = client_open(f.mutual, &mutual_client);
    for (int i = 0; i < 20; i++) {
        client_update_keys(c);
        client_expect(c, 200, HELLO);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_follows_key_updates_within_a_request) {
    struct client *c = client_open(f.mutual, &mutual_client);
    for (int i = 0; i < 10; i++) {
        client_print(c, "POST /echo HTTP/1.1\r\nHost: h\r\n");
        client_update_keys(c);
        client_print(c, "Content-Length: 10\r\n\r\n01234");
        client_update_keys(c);
        ck_assert(client_flush(c));
        client_print(c, "56789");
        struct answer answer = {0};
        ck_assert(client_read_answer(c, &answer, false));
        ck_assert_str_eq((const char *)answer.body, "0123456789");
        answer_free(&answer);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_follows_key_updates_sent_while_its_answer_is_stuck) {
    struct client *c = client_open(f.mutual, &mutual_client);
    for (int round = 0; round < 3; round++) {
        client_print(c, "GET /size?8000000 HTTP/1.1\r\nHost: h\r\n\r\n");
        ck_assert(client_flush(c));
        sleep_ms(30);
        for (int i = 0; i < 5; i++) {
            client_update_keys(c);
        }
        client_print(c, HELLO);
        ck_assert(client_flush(c));
        sleep_ms(30);
        read_size(c, 8000000, 65536, 0);
        expect_hello(c);
    }
    client_free(c);
}
END_TEST

START_TEST(tls_socket_survives_a_flood_of_key_updates) {
    struct client *bad = client_open(f.mutual, &mutual_client);
    ck_assert(client_flush(bad));
    for (int i = 0; i < 3000; i++) {
        client_update_keys(bad);
        if (client_held(bad) > 8000 && !client_flush(bad)) {
            break;
        }
    }
    struct client *c = client_open(f.mutual, &mutual_client);
    client_expect(c, 200, HELLO);
    client_free(c);
    client_free(bad);
}
END_TEST

START_TEST(tls_socket_ends_at_a_record_that_does_not_decrypt) {
    struct client *c = client_open(f.mutual, &mutual_client);
    client_expect(c, 200, HELLO);
    static const uint8_t forged[] = {0x17, 0x03, 0x03, 0x00, 0x20, 1,  2,  3,  4,  5,  6,  7,  8,
                                     9,    10,   11,   12,   13,   14, 15, 16, 17, 18, 19, 20, 21,
                                     22,   23,   24,   25,   26,   27, 28, 29, 30, 31, 32};
    ck_assert_int_eq(send(client_fd(c), forged, sizeof forged, 0), sizeof forged);
    ck_assert(client_at_end(c));
    client_free(c);
    ck_assert(fixture_quiet(&f));
    ck_assert_uint_eq(f.served.handled, 1);
}
END_TEST

START_TEST(tls_socket_ends_at_garbage_after_a_good_request_and_still_answers_it_or_not_at_all) {
    for (int i = 0; i < 20; i++) {
        struct client *c = client_open(f.mutual, &mutual_client);
        client_print(c, HELLO);
        (void)client_flush(c);
        static const uint8_t garbage[64] = {0x55, 0xaa};
        (void)!send(client_fd(c), garbage, sizeof garbage, MSG_NOSIGNAL);
        struct answer answer = {0};
        if (client_read_answer(c, &answer, false)) {
            ck_assert_uint_eq(answer.status, 200);
            answer_free(&answer);
        }
        ck_assert(client_at_end(c));
        client_free(c);
    }
}
END_TEST

/* --- other descriptors ---------------------------------------------------------------------- */

START_TEST(tls_socket_leaves_other_descriptors_alone) {
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    char buf[16] = "";
    ck_assert_int_eq(send(pair[0], "abc", 3, 0), 3);
    ck_assert_int_eq(recv(pair[1], buf, sizeof buf, 0), 3);
    ck_assert_str_eq(buf, "abc");
    struct iovec pieces[2] = {{.iov_base = buf, .iov_len = 2}, {.iov_base = buf, .iov_len = 3}};
    struct msghdr msg = {.msg_iov = pieces, .msg_iovlen = 2};
    ck_assert_int_eq(sendmsg(pair[1], &msg, 0), 5);
    ck_assert_int_eq(recv(pair[0], buf, sizeof buf, 0), 5);
    ck_assert_int_eq(memcmp(buf, "ababc", 5), 0);
    ck_assert_int_eq(recv(-1, buf, sizeof buf, 0), -1);
    ck_assert_int_eq(recv(1 << 20, buf, sizeof buf, 0), -1);
    (void)close(pair[0]);
    (void)close(pair[1]);
}
END_TEST

int main(void) {
    pki_make();
    Suite *suite = suite_create("tls_socket");
    TCase *tests = tcase_create("tls_socket");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, tls_socket_loses_nothing_of_a_segment_with_finished_and_a_request);
    tcase_add_test(tests, tls_socket_loses_nothing_of_a_segment_with_finished_and_many_requests);
    tcase_add_test(tests, tls_socket_loses_nothing_of_a_segment_with_finished_and_a_long_body);
    tcase_add_test(tests,
                   tls_socket_reads_data_that_was_there_before_the_daemon_had_the_connection);
    tcase_add_test(tests, tls_socket_takes_one_byte_a_segment);
    tcase_add_test(tests, tls_socket_takes_one_byte_a_record);
    tcase_add_test(tests, tls_socket_takes_segments_of_every_size);
    tcase_add_test(tests, tls_socket_answers_pipelined_requests_in_order);
    tcase_add_test(tests, tls_socket_answers_requests_pipelined_in_one_record);
    tcase_add_test(tests, tls_socket_does_not_stall_on_data_buffered_inside_wolfssl);
    tcase_add_test(tests, tls_socket_takes_bodies_of_every_kind_of_length);
    tcase_add_test(tests, tls_socket_gives_a_slow_reader_every_byte_of_a_large_answer);
    tcase_add_test(tests, tls_socket_serves_others_while_a_reader_is_slow);
    tcase_add_test(tests, tls_socket_writes_answers_of_every_kind_of_length);
    tcase_add_test(tests, tls_socket_retries_pipelined_large_answers_to_a_slow_reader);
    tcase_add_test(tests, tls_socket_survives_a_reader_that_leaves_in_the_middle_of_an_answer);
    tcase_add_test(tests, tls_socket_answers_a_client_that_has_half_closed);
    tcase_add_test(tests, tls_socket_sees_an_end_that_it_reads_together_with_the_last_bytes);
    tcase_add_test(tests, tls_socket_answers_a_client_that_half_closes_later);
    tcase_add_test(tests, tls_socket_half_close_during_a_large_answer_loses_nothing);
    tcase_add_test(tests, tls_socket_answers_a_request_before_close_notify);
    tcase_add_test(tests, tls_socket_ends_on_close_notify);
    tcase_add_test(tests, tls_socket_sends_close_notify_when_it_closes);
    tcase_add_test(tests, tls_socket_sends_close_notify_after_a_large_answer);
    tcase_add_test(tests, tls_socket_frees_a_connection_that_ends_at_any_moment);
    tcase_add_test(tests, tls_socket_ends_a_half_closed_request_that_is_not_complete);
    tcase_add_test(tests, tls_socket_follows_key_updates);
    tcase_add_test(tests, tls_socket_follows_key_updates_within_a_request);
    tcase_add_test(tests, tls_socket_follows_key_updates_sent_while_its_answer_is_stuck);
    tcase_add_test(tests, tls_socket_survives_a_flood_of_key_updates);
    tcase_add_test(tests, tls_socket_ends_at_a_record_that_does_not_decrypt);
    tcase_add_test(
        tests, tls_socket_ends_at_garbage_after_a_good_request_and_still_answers_it_or_not_at_all);
    tcase_add_test(tests, tls_socket_leaves_other_descriptors_alone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

/* HTTP as the transport speaks it: over TLS, plain TCP and a Unix socket alike. */
#include "server/base/clock.h"
#include "tests/unit/transport_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST "Host: h\r\n"

enum { KINDS = 3 };
static struct fixture f;

static void set_up(void) {
    fixture_start(&f, 1, NULL);
}

static void tear_down(void) {
    ck_assert(fixture_quiet(&f));
    fixture_stop(&f);
}

/* Loop tests run once over each kind of connection. */
static struct client *open_kind(int kind) {
    if (kind == 0) {
        return client_open(f.mutual, &mutual_client);
    }
    if (kind == 1) {
        return client_open(f.plain, &plain_client);
    }
    return client_open(0, &(struct client_options){.unix_path = f.unix_path + 5});
}

static void ask_text(struct client *c, const char *request, const char *text) {
    struct answer answer = client_ask(c, 200, request);
    ck_assert_str_eq((const char *)answer.body, text);
    answer_free(&answer);
}

/* The request gets this status as the connection's last answer. */
static void refused_once(int kind, unsigned status, const char *request, size_t len) {
    struct client *c = open_kind(kind);
    struct answer answer = {0};
    char value[64];
    client_write(c, request, len);
    ck_assert_msg(client_read_answer(c, &answer, false), "no answer to %s", request);
    ck_assert_msg(answer.status == status, "%u, not %u: %s", answer.status, status, request);
    ck_assert(answer_header(&answer, "Connection", value, sizeof value));
    ck_assert_str_eq(value, "close");
    ck_assert(answer_header(&answer, "X-Request-Id", value, sizeof value));
    ck_assert_str_eq((const char *)answer.body, "no"); /* in the service's words */
    answer_free(&answer);
    ck_assert_msg(client_at_end(c), "still open: %s", request);
    client_free(c);
    ck_assert_uint_eq(f.served.handled, 0);
}

static void refused(int kind, unsigned status, const char *request) {
    refused_once(kind, status, request, strlen(request));
}

/* --- requests ------------------------------------------------------------------------------- */

START_TEST(transport_hands_over_method_path_and_query_raw) {
    struct client *c = open_kind(_i);
    ask_text(c, "GET /line HTTP/1.1\r\n" HOST "\r\n", "0 GET /line|");
    ask_text(c, "GET /line? HTTP/1.1\r\n" HOST "\r\n", "0 GET /line|");
    ask_text(c, "GET /a%2Fb%00+c//../d;x?q=%20+1&&=&a=b?c%zz HTTP/1.1\r\n" HOST "\r\n",
             "0 GET /a%2Fb%00+c//../d;x|q=%20+1&&=&a=b?c%zz");
    ask_text(c, "DELETE http://other/line?x HTTP/1.1\r\n" HOST "\r\n",
             "5 DELETE http://other/line|x");
    client_free(c);
}
END_TEST

START_TEST(transport_takes_any_method) {
    struct client *c = open_kind(_i);
    static const char *const methods[] = {"GET",      "POST",    "PUT",      "PATCH",
                                          "DELETE",   "OPTIONS", "TRACE",    "PURGE",
                                          "PROPFIND", "get",     "M-SEARCH", "X"};
    static const int numbers[] = {0, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char request[128], text[128];
        (void)snprintf(request, sizeof request, "%s /line HTTP/1.1\r\n" HOST "\r\n", methods[i]);
        (void)snprintf(text, sizeof text, "%d %s /line|", numbers[i], methods[i]);
        ask_text(c, request, text);
    }
    client_free(c);
}
END_TEST

START_TEST(transport_answers_head_without_a_body) {
    struct client *c = open_kind(_i);
    struct answer answer = client_ask(c, 200, "HEAD /size?777 HTTP/1.1\r\n" HOST "\r\n");
    char length[32];
    ck_assert(answer_header(&answer, "Content-Length", length, sizeof length));
    ck_assert_str_eq(length, "777");
    answer_free(&answer);
    ask_text(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello"); /* nothing came in between */
    client_free(c);
}
END_TEST

START_TEST(transport_speaks_http_1_0) {
    struct client *c = open_kind(_i);
    ask_text(c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "hello");
    ask_text(c, "GET /hello HTTP/1.0\r\n\r\n", "hello");
    ck_assert(client_at_clean_end(c));
    client_free(c);
}
END_TEST

START_TEST(transport_keeps_http_1_1_connections_until_told) {
    struct client *c = open_kind(_i);
    for (int i = 0; i < 100; i++) {
        ask_text(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
    }
    ask_text(c, "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "hello");
    ck_assert(client_at_clean_end(c));
    client_free(c);
}
END_TEST

START_TEST(transport_refuses_other_http_versions) {
    refused(_i, 400, "GET /hello HTTP/2.0\r\n" HOST "\r\n");
    refused(_i, 400, "GET /hello HTTP/0.9\r\n" HOST "\r\n");
    refused(_i, 400, "GET /hello HTTP/1.x\r\n" HOST "\r\n");
    refused(_i, 400, "GET /hello\r\n" HOST "\r\n");
}
END_TEST

START_TEST(transport_gives_header_values_and_how_often_they_stand) {
    struct client *c = open_kind(_i);
    ask_text(c, "GET /header?X-One HTTP/1.1\r\n" HOST "x-oNE:  a b \r\n\r\n", "1:a b");
    ask_text(c, "GET /header?x-two HTTP/1.1\r\n" HOST "X-Two: 1\r\nX-TWO: 2\r\n\r\n", "2:1");
    ask_text(c, "GET /header?X-None HTTP/1.1\r\n" HOST "\r\n", "0:none");
    ask_text(c, "GET /header?X-Empty HTTP/1.1\r\n" HOST "X-Empty:\r\n\r\n", "1:");
    ask_text(c, "GET /header?X-None&x=1 HTTP/1.1\r\n" HOST "Cookie: X-None=1\r\n\r\n", "0:none");
    client_free(c);
}
END_TEST

START_TEST(transport_hands_over_the_body) {
    struct client *c = open_kind(_i);
    ask_text(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde", "abcde");
    ask_text(c, "GET /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nxy", "xy");
    ask_text(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "");
    ask_text(c, "POST /echo HTTP/1.1\r\n" HOST "\r\n", "");
    client_free(c);
}
END_TEST

START_TEST(transport_hands_over_chunked_bodies) {
    struct client *c = open_kind(_i);
    ask_text(c,
             "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
             "3\r\nabc\r\nA\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n",
             "abc0123456789!");
    ask_text(c,
             "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n0\r\nX-Trailer: "
             "1\r\n\r\n",
             "");
    ask_text(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
    client_free(c);
}
END_TEST

START_TEST(transport_ignores_chunk_extensions_or_refuses_them) {
    struct client *c = open_kind(_i);
    struct answer answer = {0};
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST
                    "Transfer-Encoding: chunked\r\n\r\nA;ext=1\r\n0123456789\r\n0\r\n\r\n");
    ck_assert(client_read_answer(c, &answer, false));
    if (answer.status == 200) {
        ck_assert_str_eq((const char *)answer.body, "0123456789");
    } else {
        ck_assert_uint_eq(answer.status, 400); /* as libmicrohttpd 1.0.1 */
        ck_assert_uint_eq(f.served.handled, 0);
    }
    answer_free(&answer);
    client_free(c);
}
END_TEST

START_TEST(transport_takes_one_byte_a_segment) {
    struct client *c = open_kind(_i);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    ck_assert(client_flush_in(c, 1, 20));
    struct answer answer = {0};
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_str_eq((const char *)answer.body, "abcde");
    answer_free(&answer);
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_str_eq((const char *)answer.body, "hello");
    answer_free(&answer);
    client_free(c);
}
END_TEST

START_TEST(transport_answers_expect_100_continue_before_the_body) {
    struct client *c = open_kind(_i);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST
                    "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    char line[64] = "";
    for (size_t at = 0; strstr(line, "\r\n\r\n") == NULL && at < sizeof line - 1; at++) {
        ck_assert_int_eq(client_read(c, line + at, 1), 1);
    }
    ck_assert_str_eq(line, "HTTP/1.1 100 Continue\r\n\r\n");
    ask_text(c, "body", "body");
    client_free(c);
}
END_TEST

START_TEST(transport_answers_a_refused_expectation_without_100_continue) {
    struct client *c = open_kind(_i);
    client_expect(c, 403,
                  "POST /refuse HTTP/1.1\r\n" HOST
                  "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    ck_assert(client_at_end(c));
    client_free(c);
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

/* --- answers -------------------------------------------------------------------------------- */

START_TEST(transport_answers_carry_date_length_and_a_fresh_request_id) {
    struct client *c = open_kind(_i);
    char first[64], second[64], date[64];
    struct answer answer = client_ask(c, 200, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    ck_assert(answer_header(&answer, "X-Request-Id", first, sizeof first));
    ck_assert(answer_header(&answer, "Date", date, sizeof date));
    ck_assert_str_eq(date + strlen(date) - 4, " GMT");
    ck_assert(answer_header(&answer, "Content-Type", second, sizeof second));
    ck_assert_str_eq(second, "text/plain");
    ck_assert(!answer_header(&answer, "Server", second, sizeof second));
    ck_assert(!answer_header(&answer, "Connection", second, sizeof second));
    answer_free(&answer);
    answer = client_ask(c, 200, "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: mine\r\n\r\n");
    ck_assert(answer_header(&answer, "X-Request-Id", second, sizeof second));
    answer_free(&answer);
    ck_assert_uint_eq(strlen(first), 32);
    ck_assert_uint_eq(strspn(first, "0123456789abcdef"), 32);
    ck_assert_uint_eq(strspn(second, "0123456789abcdef"), 32);
    ck_assert_str_ne(first, second);
    client_free(c);
}
END_TEST

START_TEST(transport_answers_carry_every_header_of_the_service) {
    struct client *c = open_kind(_i);
    struct answer answer = client_ask(c, 200, "GET /many HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < HTTP_MAX_HEADERS_OUT; i++) {
        char name[32], value[8];
        (void)snprintf(name, sizeof name, "X-Number-%d", i);
        ck_assert(answer_header(&answer, name, value, sizeof value));
    }
    answer_free(&answer);
    client_free(c);
}
END_TEST

START_TEST(transport_never_sends_a_header_with_a_line_break) {
    struct client *c = open_kind(_i);
    struct answer answer = client_ask(c, 500, "GET /bad-header HTTP/1.1\r\n" HOST "\r\n");
    char value[64];
    ck_assert(!answer_header(&answer, "X-Smuggled", value, sizeof value));
    ck_assert_str_eq((const char *)answer.body, "no");
    ck_assert_uint_eq(f.served.last_refusal, HTTP_REFUSED_INTERNAL);
    answer_free(&answer);
    client_free(c);
}
END_TEST

START_TEST(transport_answers_500_for_a_service_that_answers_nothing) {
    struct client *c = open_kind(_i);
    client_expect(c, 500, "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    client_expect(c, 500, "GET /status?0 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(c, 500, "GET /status?101 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(c, 500, "GET /status?1000 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(c, 500, "GET /size?100000000 HTTP/1.1\r\n" HOST "\r\n"); /* over the arena */
    ck_assert_uint_eq(f.served.refused, 5);
    client_expect(c, 200, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_free(c);
}
END_TEST

START_TEST(transport_sends_statuses_without_a_body) {
    struct client *c = open_kind(_i);
    client_expect(c, 204, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    client_expect(c, 404, "GET /status?404 HTTP/1.1\r\n" HOST "\r\n");
    client_expect(c, 599, "GET /status?599 HTTP/1.1\r\n" HOST "\r\n");
    ask_text(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
    client_free(c);
}
END_TEST

START_TEST(transport_lets_the_service_refuse_before_the_body) {
    struct client *c = open_kind(_i);
    client_expect(c, 403, "GET /refuse HTTP/1.1\r\n" HOST "\r\n");
    client_expect(c, 403,
                  "GET /refuse HTTP/1.1\r\n" HOST "\r\n"); /* no body: the connection goes on */
    client_expect(c, 403, "POST /refuse HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    ck_assert(client_at_end(c));
    client_free(c);
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

/* --- limits on size ------------------------------------------------------------------------- */

START_TEST(transport_refuses_a_content_length_over_the_limit_before_the_body) {
    refused(_i, 413, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n");
    ck_assert_uint_eq(f.served.last_refusal, HTTP_REFUSED_BODY_TOO_LARGE);
    refused(_i, 413,
            "POST /echo HTTP/1.1\r\n" HOST
            "Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n");
    refused(_i, 413, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n");
    ck_assert_uint_eq(f.served.admitted, 0);
}
END_TEST

START_TEST(transport_lets_a_client_that_goes_on_sending_see_its_refusal) {
    struct client *c = open_kind(_i);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4000000\r\n\r\n");
    char junk[4096];
    memset(junk, 'x', sizeof junk);
    for (int i = 0; i < 200; i++) {
        client_write(c, junk, sizeof junk);
        ck_assert(client_flush(c));
    }
    struct answer answer = {0};
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 413);
    answer_free(&answer);
    client_free(c);
}
END_TEST

START_TEST(transport_counts_chunked_bodies_while_they_come) {
    struct client *c = open_kind(_i);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    char junk[4096];
    memset(junk, 'x', sizeof junk);
    for (int i = 0; i < 300; i++) {
        client_print(c, "1000\r\n");
        client_write(c, junk, sizeof junk);
        client_print(c, "\r\n");
        ck_assert(client_flush(c));
    }
    struct answer answer = {0};
    char id[64];
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 413);
    ck_assert_str_eq((const char *)answer.body, "no");
    ck_assert(answer_header(&answer, "X-Request-Id", id, sizeof id));
    answer_free(&answer);
    ck_assert(client_at_end(c));
    client_free(c);
    ck_assert_uint_eq(f.served.handled, 0);
    ck_assert_uint_eq(f.served.last_refusal, HTTP_REFUSED_BODY_TOO_LARGE);
}
END_TEST

START_TEST(transport_refuses_one_chunk_over_the_limit) {
    struct client *c = open_kind(_i);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST
                    "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n");
    char junk[4096];
    memset(junk, 'x', sizeof junk);
    for (int i = 0; i < 300; i++) {
        client_write(c, junk, sizeof junk);
    }
    (void)client_flush(c);
    struct answer answer = {0};
    if (client_read_answer(c, &answer, false)) {
        ck_assert_uint_eq(answer.status, 413);
        answer_free(&answer);
    }
    ck_assert(client_at_end(c));
    client_free(c);
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

START_TEST(transport_takes_a_body_of_exactly_the_limit) {
    struct client *c = open_kind(_i);
    enum { MAX = 1024 * 1024 };
    char *body = calloc(1, MAX);
    ck_assert_ptr_nonnull(body);
    for (int chunked = 0; chunked < 2; chunked++) {
        client_print(c, chunked ? "POST /body HTTP/1.1\r\n" HOST
                                  "Transfer-Encoding: chunked\r\n\r\n100000\r\n"
                                : "POST /body HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
        for (int i = 0; i < MAX; i += 16384) {
            client_write(c, body + i, 16384);
        }
        ask_text(c, chunked ? "\r\n0\r\n\r\n" : "", "1048576 0000000000000000");
    }
    free(body);
    client_free(c);
}
END_TEST

static void send_big_header(struct client *c, size_t total) {
    static const char start[] = "GET /header?X-Big HTTP/1.1\r\n" HOST "X-Big: ";
    size_t len = total - strlen(start) - 4;
    char *value = malloc(len + 1);
    ck_assert_ptr_nonnull(value);
    memset(value, 'v', len);
    client_print(c, start);
    for (size_t at = 0; at < len; at += 16000) {
        client_write(c, value + at, len - at < 16000 ? len - at : 16000);
    }
    client_print(c, "\r\n\r\n");
    free(value);
}

START_TEST(transport_takes_64_kib_of_headers) {
    struct client *c = open_kind(_i);
    struct answer answer = {0};
    send_big_header(c, 65536);
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_uint_gt(answer.body_len, 65000);
    answer_free(&answer);
    client_print(c, "GET /header?X-H7 HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 128; i++) {
        client_print(c, "X-H%d: %0480d\r\n", i, i);
    }
    ck_assert(client_flush(c));
    client_print(c, "\r\n");
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_uint_eq(answer.body_len, 482);
    answer_free(&answer);
    client_free(c);
}
END_TEST

START_TEST(transport_refuses_more_headers_than_the_limit) {
    for (size_t total = 65537; total < 300000; total += 46000) {
        struct client *c = open_kind(_i);
        struct answer answer = {0};
        send_big_header(c, total);
        ck_assert(client_read_answer(c, &answer, false));
        ck_assert_uint_eq(answer.status, 431);
        answer_free(&answer);
        ck_assert(client_at_end(c));
        client_free(c);
    }
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

START_TEST(transport_refuses_a_flood_of_small_headers) {
    struct client *c = open_kind(_i);
    struct answer answer = {0};
    client_print(c, "GET /hello HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 16000; i++) {
        client_print(c, "a:b\r\n");
    }
    client_print(c, "\r\n");
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 431);
    answer_free(&answer);
    client_free(c);
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

START_TEST(transport_refuses_a_line_without_end) {
    struct client *c = open_kind(_i);
    struct answer answer = {0};
    char junk[4096];
    memset(junk, 'x', sizeof junk);
    client_print(c, "GET /");
    for (int i = 0; i < 50; i++) {
        client_write(c, junk, sizeof junk);
    }
    (void)client_flush(c);
    ck_assert(client_read_answer(c, &answer, false));
    ck_assert_uint_eq(answer.status, 431);
    answer_free(&answer);
    ck_assert(client_at_end(c));
    client_free(c);
}
END_TEST

/* --- framing -------------------------------------------------------------------------------- */

START_TEST(transport_refuses_doubtful_framing) {
    static const char *const requests[] = {
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\ncontent-length: 0\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\n" HOST
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n",
        "POST /echo HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\n" HOST " Content-Length: 5\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\n" HOST "X: y\r\n Content-Length: 5\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\n" HOST "X: y\r\n\tfolded\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "X: a\x01z\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "X: a\x7fz\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "X(): a\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST ": a\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "no colon\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /hello HTTP/1.1\n" HOST "\r\n",
        "GET /hello HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: h\r\n\n",
        "GET  /hello HTTP/1.1\r\n" HOST "\r\n",
        "GET /hello  HTTP/1.1\r\n" HOST "\r\n",
        "GET /hel lo HTTP/1.1\r\n" HOST "\r\n",
        "GET /hel\tlo HTTP/1.1\r\n" HOST "\r\n",
        "GET /hello?a\x01"
        "b HTTP/1.1\r\n" HOST "\r\n",
        "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",
        "GE(T /hello HTTP/1.1\r\n" HOST "\r\n",
        "G\tET /hello HTTP/1.1\r\n" HOST "\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        refused(_i, 400, requests[i]);
    }
    ck_assert_uint_eq(f.served.admitted, 0);
}
END_TEST

START_TEST(transport_refuses_content_lengths_that_are_not_numbers) {
    static const char *const lengths[] = {"",
                                          "+5",
                                          "-1",
                                          "5,5",
                                          "0x5",
                                          "5 5",
                                          "5a",
                                          "a",
                                          "99999999999999999999",
                                          "18446744073709551616"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct client *c = open_kind(_i);
        struct answer answer = {0};
        client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %s\r\n\r\nabcde",
                     lengths[i]);
        ck_assert(client_read_answer(c, &answer, false));
        ck_assert_msg(answer.status == 400 || answer.status == 413, "%u: %s", answer.status,
                      lengths[i]);
        answer_free(&answer);
        ck_assert(client_at_end(c));
        client_free(c);
    }
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

START_TEST(transport_refuses_a_nul_anywhere_in_the_header) {
    static const char request[] = "GET /header?X HTTP/1.1\r\nHost: h\r\nX: value\r\nY:z\r\n\r\n";
    for (size_t at = 0; at < sizeof request - 1; at++) {
        for (int insert = 0; insert < 2; insert++) {
            if (!insert && request[at] == '\r' && at > strlen("GET /header?X HTTP/1.1")) {
                continue; /* NUL LF, like CR LF, can only be read as the line's end */
            }
            char bytes[sizeof request];
            size_t rest = at + (insert ? 0 : 1);
            memcpy(bytes, request, at);
            bytes[at] = '\0';
            memcpy(bytes + at + 1, request + rest, sizeof request - 1 - rest);
            struct client *c = open_kind(_i);
            struct answer answer = {0};
            client_write(c, bytes, at + 1 + sizeof request - 1 - rest);
            client_half_close(c);
            if (client_read_answer(c, &answer, false)) {
                ck_assert_msg(answer.status >= 400, "NUL at %zu: %u", at, answer.status);
                answer_free(&answer);
            }
            ck_assert(client_at_end(c));
            client_free(c);
        }
    }
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

START_TEST(transport_refuses_malformed_chunks) {
    static const char *const bodies[] = {"x\r\n",
                                         "-1\r\n",
                                         "\r\n",
                                         "3\r\nabcd\r\n",
                                         "3\r\nabcX0\r\n",
                                         "3 \r\nabc\r\n0\r\n\r\n",
                                         "0x3\r\nabc\r\n0\r\n\r\n",
                                         ";\r\n"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct client *c = open_kind(_i);
        struct answer answer = {0};
        client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s",
                     bodies[i]);
        client_half_close(c);
        if (client_read_answer(c, &answer, false)) {
            ck_assert_msg(answer.status == 400, "%u: %s", answer.status, bodies[i]);
            answer_free(&answer);
        }
        ck_assert(client_at_end(c));
        client_free(c);
    }
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

START_TEST(transport_answers_nothing_to_a_request_cut_anywhere) {
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabc";
    for (size_t len = 0; len < sizeof request; len++) {
        struct client *c = open_kind(_i);
        struct answer answer = {0};
        client_write(c, request, len);
        client_half_close(c);
        ck_assert(!client_read_answer(c, &answer, false));
        ck_assert(client_at_end(c));
        client_free(c);
    }
    ck_assert_uint_eq(f.served.handled, 0);
}
END_TEST

/* --- Unix sockets and starting -------------------------------------------------------------- */

START_TEST(transport_unix_socket_has_its_permissions_and_goes_with_the_transport) {
    struct stat st;
    ck_assert_int_eq(stat(f.unix_path + 5, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    char path[sizeof f.unix_path];
    memcpy(path, f.unix_path, sizeof path);
    fixture_stop(&f);
    ck_assert_int_ne(stat(path + 5, &st), 0);
    fixture_start(&f, 1, NULL);
}
END_TEST

static enum status start(const char *listen, struct detail *detail) {
    struct fixture other;
    struct transport_plane planes[3];
    fixture_planes(&other, planes, NULL);
    planes[0].listen[1] = NULL;
    planes[2].listen[0] = listen;
    struct transport *t = NULL;
    enum status status =
        transport_start(&t, &(struct transport_options){.workers = 1}, planes, 3, detail);
    if (status == STATUS_OK) {
        transport_stop(t, 0);
        transport_free(t);
    }
    return status;
}

START_TEST(transport_refuses_addresses_that_it_cannot_use) {
    struct detail detail = {0};
    static const char *const bad[] = {"",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "::1:80",
                                      "127.0.0.1:65536",
                                      "localhost:80",
                                      "[::1]",
                                      "127.0.0.1:-1",
                                      "unix:",
                                      ":80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        enum status status = start(bad[i], &detail);
        ck_assert_msg(status == STATUS_INVALID, "%s: %s", bad[i], status_name(status));
        ck_assert_ptr_nonnull(strstr(detail.text, "plane plain"));
    }
    ck_assert_int_eq(start("[::1]:0", &detail), STATUS_OK);
    ck_assert_int_eq(start("192.0.2.77:0", &detail), STATUS_INTERNAL); /* not ours */
    ck_assert_int_eq(start("unix:/nowhere/at/all", &detail), STATUS_INTERNAL);
}
END_TEST

START_TEST(transport_refuses_an_address_that_another_gateway_has) {
    struct detail detail = {0};
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", f.plain);
    ck_assert_int_eq(start(address, &detail), STATUS_CONFLICT);
    ck_assert_int_eq(start(f.unix_path, &detail), STATUS_CONFLICT);
    char file[200];
    (void)snprintf(file, sizeof file, "unix:%s", pki_file("ca.pem"));
    ck_assert_int_eq(start(file, &detail), STATUS_CONFLICT); /* not a socket: not removed */
    ck_assert_int_eq(access(pki_file("ca.pem"), R_OK), 0);
    struct client *c = open_kind(2);
    client_expect(c, 200, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_free(c);
}
END_TEST

static void *no_worker(void *context, unsigned worker) {
    return worker == 1 ? NULL : context;
}

START_TEST(transport_does_not_start_when_a_service_does_not) {
    struct fixture other;
    struct transport_plane planes[3];
    struct detail detail = {0};
    fixture_planes(&other, planes, NULL);
    planes[0].listen[1] = NULL;
    other.service.worker_new = no_worker;
    other.service.worker_free = NULL;
    struct transport *t = NULL;
    ck_assert_int_eq(
        transport_start(&t, &(struct transport_options){.workers = 3}, planes, 3, &detail),
        STATUS_INTERNAL);
    ck_assert_ptr_null(t);
    ck_assert_ptr_nonnull(strstr(detail.text, "service"));
}
END_TEST

int main(void) {
    pki_make();
    Suite *suite = suite_create("transport");
    TCase *tests = tcase_create("transport");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, transport_hands_over_method_path_and_query_raw, 0, KINDS);
    tcase_add_loop_test(tests, transport_takes_any_method, 0, KINDS);
    tcase_add_loop_test(tests, transport_answers_head_without_a_body, 0, KINDS);
    tcase_add_loop_test(tests, transport_speaks_http_1_0, 0, KINDS);
    tcase_add_loop_test(tests, transport_keeps_http_1_1_connections_until_told, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_other_http_versions, 0, KINDS);
    tcase_add_loop_test(tests, transport_gives_header_values_and_how_often_they_stand, 0, KINDS);
    tcase_add_loop_test(tests, transport_hands_over_the_body, 0, KINDS);
    tcase_add_loop_test(tests, transport_hands_over_chunked_bodies, 0, KINDS);
    tcase_add_loop_test(tests, transport_ignores_chunk_extensions_or_refuses_them, 0, KINDS);
    tcase_add_loop_test(tests, transport_takes_one_byte_a_segment, 0, KINDS);
    tcase_add_loop_test(tests, transport_answers_expect_100_continue_before_the_body, 0, KINDS);
    tcase_add_loop_test(tests, transport_answers_a_refused_expectation_without_100_continue, 0,
                        KINDS);
    tcase_add_loop_test(tests, transport_answers_carry_date_length_and_a_fresh_request_id, 0,
                        KINDS);
    tcase_add_loop_test(tests, transport_answers_carry_every_header_of_the_service, 0, KINDS);
    tcase_add_loop_test(tests, transport_never_sends_a_header_with_a_line_break, 0, KINDS);
    tcase_add_loop_test(tests, transport_answers_500_for_a_service_that_answers_nothing, 0, KINDS);
    tcase_add_loop_test(tests, transport_sends_statuses_without_a_body, 0, KINDS);
    tcase_add_loop_test(tests, transport_lets_the_service_refuse_before_the_body, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_a_content_length_over_the_limit_before_the_body, 0,
                        KINDS);
    tcase_add_loop_test(tests, transport_lets_a_client_that_goes_on_sending_see_its_refusal, 0,
                        KINDS);
    tcase_add_loop_test(tests, transport_counts_chunked_bodies_while_they_come, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_one_chunk_over_the_limit, 0, KINDS);
    tcase_add_loop_test(tests, transport_takes_a_body_of_exactly_the_limit, 0, KINDS);
    tcase_add_loop_test(tests, transport_takes_64_kib_of_headers, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_more_headers_than_the_limit, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_a_flood_of_small_headers, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_a_line_without_end, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_doubtful_framing, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_content_lengths_that_are_not_numbers, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_a_nul_anywhere_in_the_header, 0, KINDS);
    tcase_add_loop_test(tests, transport_refuses_malformed_chunks, 0, KINDS);
    tcase_add_loop_test(tests, transport_answers_nothing_to_a_request_cut_anywhere, 0, KINDS);
    tcase_add_test(tests, transport_unix_socket_has_its_permissions_and_goes_with_the_transport);
    tcase_add_test(tests, transport_refuses_addresses_that_it_cannot_use);
    tcase_add_test(tests, transport_refuses_an_address_that_another_gateway_has);
    tcase_add_test(tests, transport_does_not_start_when_a_service_does_not);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

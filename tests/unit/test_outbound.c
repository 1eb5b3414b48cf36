/* Requests to receivers, good ones and above all others. */
#include "server/fleet/outbound.h"
#include "tests/unit/receiver_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct network loopback[2];
static struct outbound_options options;
static struct outbound *outbound;
static unsigned num_done;

static void start(void) {
    ck_assert_int_eq(value_network(&loopback[0], "127.0.0.0/8", NULL), STATUS_OK);
    ck_assert_int_eq(value_network(&loopback[1], "::1", NULL), STATUS_OK);
    options = (struct outbound_options){
        .allow = loopback, .num_allow = 2, .http = true, .timeout_ms = 5000};
    ck_assert_int_eq(outbound_new(&outbound, &options, NULL), STATUS_OK);
    num_done = 0;
}

static void stop(void) {
    outbound_free(outbound);
}

static void done(struct outbound_request *request) {
    ck_assert_ptr_null(request->transfer);
    num_done++;
}

static void begin(struct outbound_request *request, const char *url) {
    *request = (struct outbound_request){
        .url = url,
        .header = {"Content-Type: application/secevent+jwt", "Authorization: Bearer abc"},
        .body = bytes_of_text("the.event"),
        .done = done};
    ck_assert_int_eq(outbound_start(outbound, request), STATUS_OK);
}

static void finish(const struct outbound_request *request) {
    for (int i = 0; i < 1000 && request->transfer != NULL; i++) {
        outbound_run(outbound, 100);
    }
    ck_assert_ptr_null(request->transfer);
    ck_assert_uint_eq(num_done, 1);
}

static void send_to(struct outbound_request *request, const char *url) {
    num_done = 0;
    begin(request, url);
    finish(request);
}

static const char *url_of(const struct receiver *r) {
    static char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/events?a=b", receiver_port(r));
    return url;
}

static struct outbound_request sent; /* too large for the stack of a test */

static void answered_with(const char *answer, size_t fill) {
    struct receiver *r = receiver_start(answer, fill);
    send_to(&sent, url_of(r));
    receiver_stop(r);
}

START_TEST(a_request_arrives_as_it_was_made) {
    struct receiver *r = receiver_start("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 0);
    send_to(&sent, url_of(r));
    ck_assert_int_eq(sent.result, OUTBOUND_ANSWERED);
    ck_assert_uint_eq(sent.http_status, 202);
    const char *request = receiver_request(r, 0);
    ck_assert_ptr_nonnull(request);
    ck_assert_ptr_nonnull(strstr(request, "POST /events?a=b HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nContent-Type: application/secevent+jwt\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nAuthorization: Bearer abc\r\n"));
    ck_assert_ptr_null(strstr(request, "Expect:"));
    ck_assert_ptr_nonnull(strstr(request, "\r\n\r\nthe.event"));
    receiver_stop(r);
}
END_TEST

START_TEST(the_proxy_of_the_environment_is_not_used) {
    ck_assert_int_eq(setenv("http_proxy", "http://127.0.0.1:9/", 1), 0);
    ck_assert_int_eq(setenv("ALL_PROXY", "http://127.0.0.1:9/", 1), 0);
    answered_with("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 0);
    ck_assert_uint_eq(sent.http_status, 202);
}
END_TEST

START_TEST(a_redirect_is_not_followed) {
    struct receiver *elsewhere = receiver_start("HTTP/1.1 202 Accepted\r\n\r\n", 0);
    char answer[256];
    (void)snprintf(answer, sizeof answer,
                   "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:%u/\r\n"
                   "Content-Length: 0\r\n\r\n",
                   receiver_port(elsewhere));
    answered_with(answer, 0);
    ck_assert_int_eq(sent.result, OUTBOUND_ANSWERED);
    ck_assert_uint_eq(sent.http_status, 307);
    ck_assert_uint_eq(receiver_requests(elsewhere), 0);
    receiver_stop(elsewhere);
}
END_TEST

START_TEST(what_is_refused_with_a_reason_is_read) {
    answered_with("HTTP/1.1 400 Bad Request\r\nContent-Length: 25\r\n\r\n"
                  "{\"err\":\"invalid_request\"}!",
                  0);
    ck_assert_uint_eq(sent.http_status, 400);
    ck_assert_uint_eq(sent.answer_len, 25);
    ck_assert(memcmp(sent.answer, "{\"err\":\"invalid_request\"}", 25) == 0);
}
END_TEST

START_TEST(when_to_come_again_is_read) {
    answered_with("HTTP/1.1 503 Busy\r\nRetry-After: 77\r\nContent-Length: 0\r\n\r\n", 0);
    ck_assert_uint_eq(sent.http_status, 503);
    ck_assert_int_eq(sent.retry_after_s, 77);
    answered_with("HTTP/1.1 429 Slow\r\nRetry-After: never\r\nContent-Length: 0\r\n\r\n", 0);
    ck_assert_uint_eq(sent.http_status, 429);
    ck_assert_int_eq(sent.retry_after_s, 0);
}
END_TEST

START_TEST(a_megabyte_of_an_answer_is_not_read) {
    answered_with("HTTP/1.1 202 Accepted\r\nContent-Length: 1048576\r\n\r\n", 1048576);
    ck_assert_int_eq(sent.result, OUTBOUND_ANSWERED);
    ck_assert_uint_eq(sent.http_status, 202);
    ck_assert_uint_eq(sent.answer_len, OUTBOUND_ANSWER_MAX);
}
END_TEST

START_TEST(headers_without_end_are_a_failure) {
    char *answer = calloc(1, 300000);
    size_t len = (size_t)sprintf(answer, "HTTP/1.1 202 Accepted\r\n");
    while (len < 200000) {
        len += (size_t)sprintf(answer + len, "X-Filler: %0100d\r\n", 7);
    }
    answered_with(answer, 0);
    ck_assert_int_eq(sent.result, OUTBOUND_FAILED);
    free(answer);
}
END_TEST

START_TEST(garbage_is_a_failure) {
    static const char *const garbage[] = {
        "",
        "\r\n",
        "hello\r\n\r\n",
        "HTTP/9.9 xyz\r\n\r\n",
        "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 202 Accepted\r\nContent-Le"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        answered_with(garbage[i], 0);
        ck_assert_msg(sent.result == OUTBOUND_FAILED, "%zu: %d %u", i, sent.result,
                      sent.http_status);
        ck_assert_str_ne(sent.detail.text, "");
    }
}
END_TEST

START_TEST(a_receiver_that_hangs_is_given_up_and_keeps_nobody_waiting) {
    options.timeout_ms = 500;
    struct receiver *hangs = receiver_start(NULL, 0);
    struct receiver *good = receiver_start("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 0);
    char url[64];
    static struct outbound_request waits;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", receiver_port(hangs));
    begin(&waits, url);
    begin(&sent, url_of(good));
    finish(&sent);
    ck_assert_ptr_nonnull(waits.transfer);
    num_done = 0;
    finish(&waits);
    ck_assert_int_eq(waits.result, OUTBOUND_FAILED);
    receiver_stop(hangs);
    receiver_stop(good);
}
END_TEST

START_TEST(nobody_there_is_a_failure) {
    struct receiver *r = receiver_start("", 0);
    char url[64];
    (void)snprintf(url, sizeof url, "%s", url_of(r));
    receiver_stop(r);
    send_to(&sent, url);
    ck_assert_int_eq(sent.result, OUTBOUND_FAILED);
    send_to(&sent, "http://no-such-host.invalid/");
    ck_assert_int_eq(sent.result, OUTBOUND_FAILED);
}
END_TEST

START_TEST(an_address_that_is_not_allowed_is_never_connected_to) {
    struct receiver *r = receiver_start("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 0);
    char by_name[64];
    options.num_allow = 0;
    send_to(&sent, url_of(r));
    ck_assert_int_eq(sent.result, OUTBOUND_REFUSED);
    (void)snprintf(by_name, sizeof by_name, "http://localhost:%u/", receiver_port(r));
    send_to(&sent, by_name); /* the name says nothing: what it leads to counts */
    ck_assert_int_eq(sent.result, OUTBOUND_REFUSED);
    ck_assert_uint_eq(receiver_requests(r), 0);
    receiver_stop(r);
}
END_TEST

START_TEST(plain_http_is_spoken_only_when_that_is_allowed) {
    struct receiver *r = receiver_start("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 0);
    options.http = false;
    send_to(&sent, url_of(r));
    ck_assert_int_eq(sent.result, OUTBOUND_FAILED);
    ck_assert_uint_eq(receiver_requests(r), 0);
    receiver_stop(r);
}
END_TEST

START_TEST(what_is_taken_back_is_never_done) {
    struct receiver *r = receiver_start(NULL, 0);
    begin(&sent, url_of(r));
    outbound_run(outbound, 10);
    outbound_cancel(outbound, &sent);
    ck_assert_ptr_null(sent.transfer);
    outbound_cancel(outbound, &sent);
    outbound_run(outbound, 10);
    ck_assert_uint_eq(num_done, 0);
    begin(&sent, url_of(r)); /* and so with the end of all of it */
    receiver_stop(r);
}
END_TEST

static void *wake(void *context) {
    outbound_wake(context);
    return NULL;
}

START_TEST(another_thread_ends_the_wait) {
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wake, outbound), 0);
    outbound_run(outbound, 3600 * 1000);
    (void)pthread_join(thread, NULL);
}
END_TEST

static const struct {
    const char *url;
    enum status status;
} urls[] = {
    {"https://receiver.example/", STATUS_OK},
    {"https://receiver.example:8443/a/b?c=d", STATUS_OK},
    {"https://8.8.8.8/", STATUS_OK},
    {"https://[2606:4700::1111]/", STATUS_OK},
    {"https://127.0.0.1/", STATUS_DENIED},
    {"https://[::1]:443/", STATUS_DENIED},
    {"https://[::ffff:127.0.0.1]/", STATUS_DENIED},
    {"https://169.254.169.254/latest/meta-data", STATUS_DENIED},
    {"https://0177.0.0.1/", STATUS_DENIED}, /* as inet_aton reads it */
    {"https://2130706433/", STATUS_DENIED},
    {"https://0x7f.1/", STATUS_DENIED},
    {"http://receiver.example/", STATUS_MALFORMED},
    {"ftp://receiver.example/", STATUS_MALFORMED},
    {"file:///etc/passwd", STATUS_MALFORMED},
    {"gopher://receiver.example/", STATUS_MALFORMED},
    {"https://user@receiver.example/", STATUS_MALFORMED},
    {"https://user:pass@receiver.example/", STATUS_MALFORMED},
    {"https://receiver.example/#top", STATUS_MALFORMED},
    {"https:///events", STATUS_MALFORMED},
    {"https://", STATUS_MALFORMED},
    {"receiver.example", STATUS_MALFORMED},
    {"//receiver.example/", STATUS_MALFORMED},
    {"https://receiver.example:99999/", STATUS_MALFORMED},
    {"https://receiver.example/a b", STATUS_MALFORMED},
    {"https://receiver.example/\r\nX: y", STATUS_MALFORMED},
    {"https://receiver.example/\xc3\xa4", STATUS_MALFORMED},
    {"", STATUS_MALFORMED},
};

START_TEST(a_url_is_a_receivers_or_is_refused) {
    static const struct outbound_options strict = {.timeout_ms = 1000};
    struct detail detail = {0};
    enum status is = outbound_check_url(&strict, urls[_i].url, &detail);
    ck_assert_msg(is == urls[_i].status, "%s: %s (%s)", urls[_i].url, status_name(is), detail.text);
    ck_assert((detail.text[0] == '\0') == (is == STATUS_OK));
}
END_TEST

START_TEST(plain_http_and_named_networks_are_taken_where_that_is_said) {
    ck_assert_int_eq(outbound_check_url(&options, "http://127.0.0.1:80/", NULL), STATUS_OK);
    ck_assert_int_eq(outbound_check_url(&options, "https://[::1]/", NULL), STATUS_OK);
    ck_assert_int_eq(outbound_check_url(&options, "http://10.0.0.1/", NULL), STATUS_DENIED);
    ck_assert_int_eq(outbound_check_url(&options, "ftp://127.0.0.1/", NULL), STATUS_MALFORMED);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("outbound");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_request_arrives_as_it_was_made);
    tcase_add_test(tcase, the_proxy_of_the_environment_is_not_used);
    tcase_add_test(tcase, a_redirect_is_not_followed);
    tcase_add_test(tcase, what_is_refused_with_a_reason_is_read);
    tcase_add_test(tcase, when_to_come_again_is_read);
    tcase_add_test(tcase, a_megabyte_of_an_answer_is_not_read);
    tcase_add_test(tcase, headers_without_end_are_a_failure);
    tcase_add_test(tcase, garbage_is_a_failure);
    tcase_add_test(tcase, a_receiver_that_hangs_is_given_up_and_keeps_nobody_waiting);
    tcase_add_test(tcase, nobody_there_is_a_failure);
    tcase_add_test(tcase, an_address_that_is_not_allowed_is_never_connected_to);
    tcase_add_test(tcase, plain_http_is_spoken_only_when_that_is_allowed);
    tcase_add_test(tcase, what_is_taken_back_is_never_done);
    tcase_add_test(tcase, another_thread_ends_the_wait);
    tcase_add_loop_test(tcase, a_url_is_a_receivers_or_is_refused, 0, sizeof urls / sizeof urls[0]);
    tcase_add_test(tcase, plain_http_and_named_networks_are_taken_where_that_is_said);
    Suite *suite = suite_create("outbound");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

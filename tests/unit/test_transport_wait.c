/* Exchanges that wait for another thread, and what may go wrong meanwhile. */
/* concurrent */
#include "server/base/clock.h"
#include "tests/unit/transport_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HOST     "Host: h\r\n"
#define HELLO    "GET /hello HTTP/1.1\r\n" HOST "\r\n"
#define WAIT(ms) "GET /wait?" #ms " HTTP/1.1\r\n" HOST "\r\n"

enum { KINDS = 3 };
static struct fixture f;

static void set_up(void) {
    fixture_start(&f, 2, NULL);
}

static void tear_down(void) {
    ck_assert(fixture_quiet(&f));
    fixture_stop(&f);
    ck_assert_uint_eq(f.served.ended, f.served.admitted);
}

static struct client *open_kind(int kind) {
    if (kind == 0) {
        return client_open(f.mutual, &mutual_client);
    }
    if (kind == 1) {
        return client_open(f.plain, &plain_client);
    }
    return client_open(0, &(struct client_options){.unix_path = f.unix_path + 5});
}

static void wait_until(atomic_uint *count, unsigned at_least) {
    int64_t until = clock_monotonic_ms() + 5000;
    while (atomic_load(count) < at_least) {
        ck_assert_int_lt(clock_monotonic_ms(), until);
        sleep_ms(1);
    }
}

START_TEST(transport_answers_after_a_wait) {
    struct client *c = open_kind(_i);
    for (int i = 0; i < 10; i++) {
        struct answer answer = client_ask(c, 200, WAIT(5));
        ck_assert_str_eq((const char *)answer.body, "waited h"); /* headers are still there */
        answer_free(&answer);
        client_expect(c, 200, HELLO);
    }
    client_free(c);
    ck_assert_uint_eq(f.served.finished, 10);
}
END_TEST

START_TEST(transport_takes_a_resume_before_handle_has_returned) {
    struct client *c = open_kind(_i);
    for (int i = 0; i < 300; i++) {
        client_expect(c, 200, "GET /wait-now HTTP/1.1\r\n" HOST "\r\n");
    }
    client_free(c);
    ck_assert_uint_eq(f.served.finished, 300);
}
END_TEST

START_TEST(transport_takes_a_resume_at_about_the_time_handle_returns) {
    struct client *c = open_kind(_i);
    for (int i = 0; i < 300; i++) {
        client_expect(c, 200, WAIT(0));
    }
    client_free(c);
    ck_assert_uint_eq(f.served.finished, 300);
}
END_TEST

START_TEST(transport_lets_a_service_wait_again) {
    struct client *c = open_kind(_i);
    for (int i = 0; i < 20; i++) {
        client_expect(c, 200, "GET /wait-twice?1 HTTP/1.1\r\n" HOST "\r\n");
    }
    client_free(c);
    ck_assert_uint_eq(f.served.finished, 40);
}
END_TEST

START_TEST(transport_waiting_blocks_nobody) {
    struct client *waiting[40];
    for (int i = 0; i < 40; i++) {
        waiting[i] = open_kind(_i);
        client_print(waiting[i], WAIT(700));
        ck_assert(client_flush(waiting[i]));
    }
    struct client *c = open_kind(_i);
    int64_t before = clock_monotonic_ms();
    for (int i = 0; i < 50; i++) {
        client_expect(c, 200, HELLO);
    }
    ck_assert_int_lt(clock_monotonic_ms() - before, 600);
    client_free(c);
    for (int i = 0; i < 40; i++) {
        struct answer answer = {0};
        ck_assert(client_read_answer(waiting[i], &answer, false));
        ck_assert_uint_eq(answer.status, 200);
        answer_free(&answer);
        client_free(waiting[i]);
    }
}
END_TEST

START_TEST(transport_answers_requests_pipelined_behind_a_wait_in_order) {
    struct client *c = open_kind(_i);
    client_print(c, WAIT(100) HELLO WAIT(1) HELLO);
    ck_assert(client_flush(c));
    static const char *const expected[] = {"waited h", "hello", "waited h", "hello"};
    for (int i = 0; i < 4; i++) {
        struct answer answer = {0};
        ck_assert(client_read_answer(c, &answer, false));
        ck_assert_str_eq((const char *)answer.body, expected[i]);
        answer_free(&answer);
    }
    client_free(c);
}
END_TEST

START_TEST(transport_answers_clients_that_half_closed_while_they_wait) {
    enum { NUM = 12 };
    struct client *clients[NUM];
    for (unsigned i = 0; i < NUM; i++) {
        clients[i] = open_kind(_i);
        client_print(clients[i], WAIT(150));
        ck_assert(client_flush(clients[i]));
        wait_until(&f.served.waiting, i + 1);
        client_half_close(clients[i]);
    }
    for (unsigned i = 0; i < NUM; i++) {
        struct answer answer = {0};
        ck_assert(client_read_answer(clients[i], &answer, false));
        ck_assert_uint_eq(answer.status, 200);
        answer_free(&answer);
        ck_assert(client_at_clean_end(clients[i]));
        client_free(clients[i]);
    }
}
END_TEST

START_TEST(transport_loses_nothing_that_came_while_others_wait) {
    enum { NUM = 8 };
    struct client *clients[NUM];
    char junk[30000];
    memset(junk, 'x', sizeof junk);
    for (int i = 0; i < NUM; i++) {
        clients[i] = open_kind(_i);
        client_print(clients[i],
                     WAIT(100) "POST /body HTTP/1.1\r\n" HOST "Content-Length: 90000\r\n\r\n");
        for (int k = 0; k < 3; k++) {
            client_write(clients[i], junk, sizeof junk);
        }
        client_print(clients[i], HELLO);
        ck_assert(client_flush(clients[i]));
    }
    for (int i = 0; i < NUM; i++) {
        for (int k = 0; k < 3; k++) {
            struct answer answer = {0};
            ck_assert(client_read_answer(clients[i], &answer, false));
            ck_assert_uint_eq(answer.status, 200);
            answer_free(&answer);
        }
        client_free(clients[i]);
    }
}
END_TEST

START_TEST(transport_survives_clients_that_vanish_while_they_wait) {
    for (int i = 0; i < 30; i++) {
        struct client *c = open_kind(_i);
        client_print(c, WAIT(60));
        ck_assert(client_flush(c));
        wait_until(&f.served.waiting, (unsigned)i + 1);
        if (i % 2 == 0) {
            client_reset(c);
        } else {
            client_free(c);
        }
    }
    ck_assert(fixture_quiet(&f));
    ck_assert_uint_eq(f.served.finished, 30); /* the service is told all the same */
}
END_TEST

START_TEST(transport_takes_a_wait_after_a_body) {
    struct client *c = open_kind(_i);
    for (int i = 0; i < 10; i++) {
        client_expect(c, 200, "POST /wait?2 HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
        client_expect(c, 200,
                      "POST /wait?2 HTTP/1.1\r\n" HOST
                      "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
    }
    client_free(c);
}
END_TEST

/* --- many threads ------------------------------------------------------------------------ */

static void *ask_many(void *arg) {
    const struct client_options *options = arg;
    struct client *c = client_connect(options->plain ? f.plain : f.mutual, options);
    if (c == NULL || !client_handshake(c)) {
        abort();
    }
    for (int i = 0; i < 150; i++) {
        static const char *const requests[] = {WAIT(0), WAIT(1), HELLO,
                                               "GET /wait-now HTTP/1.1\r\n" HOST "\r\n"};
        struct answer answer = {0};
        const char *request = requests[i % 4];
        client_write(c, request, strlen(request));
        if (!client_read_answer(c, &answer, false) || answer.status != 200) {
            abort();
        }
        answer_free(&answer);
    }
    client_free(c);
    return NULL;
}

START_TEST(transport_resumes_from_many_threads_at_once) {
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        union {
            const struct client_options *in;
            void *out;
        } options = {.in = i % 2 == 0 ? &mutual_client : &plain_client};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_many, options.out), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(f.served.admitted, 8 * 150);
}
END_TEST

int main(void) {
    pki_make();
    Suite *suite = suite_create("transport_wait");
    TCase *tests = tcase_create("transport_wait");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, transport_answers_after_a_wait, 0, KINDS);
    tcase_add_loop_test(tests, transport_takes_a_resume_before_handle_has_returned, 0, KINDS);
    tcase_add_loop_test(tests, transport_takes_a_resume_at_about_the_time_handle_returns, 0, KINDS);
    tcase_add_loop_test(tests, transport_lets_a_service_wait_again, 0, KINDS);
    tcase_add_loop_test(tests, transport_waiting_blocks_nobody, 0, KINDS);
    tcase_add_loop_test(tests, transport_answers_requests_pipelined_behind_a_wait_in_order, 0,
                        KINDS);
    tcase_add_loop_test(tests, transport_answers_clients_that_half_closed_while_they_wait, 0,
                        KINDS);
    tcase_add_loop_test(tests, transport_loses_nothing_that_came_while_others_wait, 0, KINDS);
    tcase_add_loop_test(tests, transport_survives_clients_that_vanish_while_they_wait, 0, KINDS);
    tcase_add_loop_test(tests, transport_takes_a_wait_after_a_body, 0, KINDS);
    tcase_add_test(tests, transport_resumes_from_many_threads_at_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

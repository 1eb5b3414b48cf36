/* Some thousand connections from several threads, each ended at a random moment in a random way: in the
 * end nothing is open, nothing is leaked, and a good client is served. */
/* concurrent */
#include "server/base/clock.h"
#include "tests/unit/transport_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST  "Host: h\r\n"
#define HELLO "GET /hello HTTP/1.1\r\n" HOST "\r\n"

enum { THREADS = 4, SECONDS_MS = 4000, MOST = 1500 };
static struct fixture f;

struct chaos {
    uint64_t state;
    unsigned connections, answers;
    bool reloads;
};

static uint32_t draw(struct chaos *chaos, uint32_t below) {
    chaos->state = chaos->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(chaos->state >> 33) % below;
}

static struct client *dial(struct chaos *chaos) {
    static const struct client_options foreign = {.certificate = "foreign"};
    switch (draw(chaos, 6)) {
    case 0:
        return client_connect(f.plain, &plain_client);
    case 1:
        return client_connect(0, &(struct client_options){.unix_path = f.unix_path + 5});
    case 2:
        return client_connect(f.mutual, &foreign);
    case 3:
        return client_connect(f.mutual, &plain_client); /* no TLS where TLS is spoken */
    default:
        return client_connect(f.mutual, &mutual_client);
    }
}

static void print_something(struct chaos *chaos, struct client *c) {
    static const char *const requests[] = {
        HELLO,
        "GET /wait?1 HTTP/1.1\r\n" HOST "\r\n",
        "GET /wait-now HTTP/1.1\r\n" HOST "\r\n",
        "GET /wait-twice?2 HTTP/1.1\r\n" HOST "\r\n",
        "GET /size?300000 HTTP/1.1\r\n" HOST "\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
        "POST /refuse HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\nabc",
        "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
        "BAD\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    unsigned num = 1 + draw(chaos, 4);
    for (unsigned i = 0; i < num; i++) {
        const char *request = requests[draw(chaos, sizeof requests / sizeof *requests)];
        client_write(c, request, strlen(request));
    }
    if (client_ssl(c) != NULL && draw(chaos, 8) == 0) {
        client_update_keys(c);
    }
}

static void read_something(struct chaos *chaos, struct client *c) {
    struct answer answer = {0};
    unsigned num = draw(chaos, 4);
    client_set_timeout(c, 50);
    for (unsigned i = 0; i < num && client_read_answer(c, &answer, false); i++) {
        chaos->answers++;
        answer_free(&answer);
    }
}

static void leave(struct chaos *chaos, struct client *c) {
    switch (draw(chaos, 4)) {
    case 0:
        client_reset(c);
        return;
    case 1:
        client_send_close_notify(c);
        break;
    case 2:
        (void)client_flush(c);
        client_half_close(c);
        break;
    default:
        break;
    }
    client_free(c);
}

/* False when nobody listens any more. */
static bool one_connection(struct chaos *chaos) {
    struct client *c = dial(chaos);
    if (c == NULL) {
        return false;
    }
    chaos->connections++;
    bool open = draw(chaos, 20) != 0 && client_handshake(c);
    if (open) {
        print_something(chaos, c);
        switch (draw(chaos, 4)) {
        case 0:
            client_flush_part(c, draw(chaos, (uint32_t)client_held(c) + 1));
            break;
        case 1:
            (void)client_flush_in(c, 1 + draw(chaos, 100), 0);
            break;
        default:
            (void)client_flush(c);
        }
        read_something(chaos, c);
        leave(chaos, c);
    } else {
        client_free(c);
    }
    return true;
}

static void *run(void *arg) {
    struct chaos *chaos = arg;
    int64_t until = clock_monotonic_ms() + SECONDS_MS;
    while (clock_monotonic_ms() < until && chaos->connections < MOST && one_connection(chaos)) {
        if (chaos->reloads && chaos->connections % 50 == 0) {
            struct detail detail = {0};
            if (transport_reload(f.transport, &detail) != STATUS_OK) {
                abort();
            }
        }
    }
    return NULL;
}

START_TEST(transport_ends_with_nothing_open_after_thousands_of_broken_connections) {
    struct transport_limits limits = fixture_limits();
    limits.handshake_ms = limits.header_ms = limits.body_ms = limits.idle_ms = 1000;
    limits.connections = 200;
    fixture_start(&f, 2, &limits);
    pthread_t threads[THREADS];
    struct chaos chaos[THREADS] = {0};
    for (size_t i = 0; i < THREADS; i++) {
        chaos[i].state = 1000 + i;
        chaos[i].reloads = i == 0;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &chaos[i]), 0);
    }
    unsigned connections = 0, answers = 0;
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        connections += chaos[i].connections;
        answers += chaos[i].answers;
    }
    ck_assert_uint_gt(connections, 100);
    ck_assert_uint_gt(answers, 50);
    ck_assert(fixture_quiet(&f));
    struct client *c = client_open(f.mutual, &mutual_client);
    client_expect(c, 200, HELLO);
    client_free(c);
    ck_assert(fixture_quiet(&f));
    ck_assert_uint_ge(f.served.ended, f.served.admitted);
    fixture_stop(&f);
}
END_TEST

START_TEST(transport_stops_in_the_middle_of_everything) {
    for (int round = 0; round < 3; round++) {
        fixture_start(&f, 2, NULL);
        pthread_t threads[THREADS];
        struct chaos chaos[THREADS] = {0};
        for (size_t i = 0; i < THREADS; i++) {
            chaos[i] = (struct chaos){.state = 77 + i, .connections = MOST - 60};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &chaos[i]), 0);
        }
        sleep_ms(60);
        transport_stop(f.transport, 30);
        ck_assert_uint_eq(fixture_open(&f), 0);
        for (size_t i = 0; i < THREADS; i++) {
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        }
        fixture_stop(&f);
    }
}
END_TEST

int main(void) {
    pki_make();
    Suite *suite = suite_create("transport_soak");
    TCase *tests = tcase_create("transport_soak");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, transport_ends_with_nothing_open_after_thousands_of_broken_connections);
    tcase_add_test(tests, transport_stops_in_the_middle_of_everything);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

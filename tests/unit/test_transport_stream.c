/* Answers whose bodies are produced over time, and what may go wrong meanwhile. */
/* concurrent */
#include "server/base/clock.h"
#include "tests/unit/transport_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HOST      "Host: h\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define HELLO     GET("/hello")

enum { KINDS = 3, LAST = 1000000 };

static struct fixture f;
static enum http_next (*plain_handle)(void *context, struct http_exchange *x);
static void (*plain_ended)(void *context, const struct http_exchange *x);

/* --- the streams: by path
 *   /tap        a line for each number up to `pushed`; LAST ends it; "bye" at shutdown
 *   /tap-mute   the same, and no last word at shutdown
 *   /flood?N    N bytes, the k-th is 'a' + k % 26, as fast as they are taken
 *   /drip?N     N bytes one by one, nothing in between, woken at once
 *   /none       ends at once         /missing     no stream is filled in
 *   /full?N     lines, each read filling what it is given, N times */

struct tap {
    struct http_stream stream;
    struct http_exchange *x;
    struct tap *next, **previous;
    size_t given, num;
    bool rests, said_bye;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tap *taps; /* under the lock, as what follows */
static size_t pushed;
static atomic_uint open_taps;

static void push(size_t up_to) {
    (void)pthread_mutex_lock(&lock);
    pushed = up_to;
    for (struct tap *t = taps; t != NULL; t = t->next) {
        t->x->resume(t->x);
    }
    (void)pthread_mutex_unlock(&lock);
}

static ptrdiff_t read_tap(void *context, uint8_t *out, size_t max, bool stopping) {
    struct tap *t = context;
    (void)pthread_mutex_lock(&lock);
    size_t up_to = pushed;
    (void)pthread_mutex_unlock(&lock);
    if (t->given < up_to && up_to != LAST) {
        return snprintf((char *)out, max, "%zu\n", ++t->given);
    }
    if (stopping && !t->said_bye && strcmp(t->x->path, "/tap") == 0) {
        t->said_bye = true;
        return snprintf((char *)out, max, "bye\n");
    }
    return up_to == LAST || t->said_bye ? HTTP_STREAM_END : 0;
}

static ptrdiff_t read_flood(void *context, uint8_t *out, size_t max, bool stopping) {
    struct tap *t = context;
    (void)stopping;
    size_t len = max < t->num - t->given ? max : t->num - t->given;
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)('a' + (t->given + i) % 26);
    }
    t->given += len;
    return len == 0 ? HTTP_STREAM_END : (ptrdiff_t)len;
}

static ptrdiff_t read_drip(void *context, uint8_t *out, size_t max, bool stopping) {
    struct tap *t = context;
    (void)stopping;
    ck_assert_uint_ge(max, HTTP_STREAM_PIECE);
    t->rests = !t->rests;
    if (t->rests) {
        t->x->resume(t->x);
        t->x->resume(t->x);
        return 0;
    }
    *out = (uint8_t)('a' + t->given % 26);
    return t->given++ < t->num ? 1 : HTTP_STREAM_END;
}

static ptrdiff_t read_full(void *context, uint8_t *out, size_t max, bool stopping) {
    struct tap *t = context;
    (void)stopping;
    ck_assert_uint_ge(max, HTTP_STREAM_PIECE);
    memset(out, 'x', HTTP_STREAM_PIECE);
    out[HTTP_STREAM_PIECE - 1] = '\n';
    return t->given++ < t->num ? HTTP_STREAM_PIECE : HTTP_STREAM_END;
}

static ptrdiff_t read_none(void *context, uint8_t *out, size_t max, bool stopping) {
    (void)context, (void)max, (void)stopping;
    *out = 'x'; /* which does not count */
    return HTTP_STREAM_END;
}

static enum http_next handle(void *context, struct http_exchange *x) {
    static const struct {
        const char *path;
        ptrdiff_t (*read)(void *context, uint8_t *out, size_t max, bool stopping);
    } streams[] = {{"/tap", read_tap},   {"/tap-mute", read_tap}, {"/flood", read_flood},
                   {"/drip", read_drip}, {"/none", read_none},    {"/full", read_full}};
    if (strcmp(x->path, "/missing") == 0) {
        x->status = 200;
        return HTTP_STREAM;
    }
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        if (strcmp(x->path, streams[i].path) == 0) {
            struct tap *t = arena_alloc(x->arena, sizeof *t);
            *t = (struct tap){.stream = {t, streams[i].read}, .x = x};
            t->num = strtoul(x->query, NULL, 10);
            x->state = t;
            x->status = 200;
            x->content_type = "text/plain";
            x->stream = &t->stream;
            (void)pthread_mutex_lock(&lock);
            t->next = taps;
            t->previous = &taps;
            if (taps != NULL) {
                taps->previous = &t->next;
            }
            taps = t;
            (void)pthread_mutex_unlock(&lock);
            (void)atomic_fetch_add(&open_taps, 1);
            return HTTP_STREAM;
        }
    }
    return plain_handle(context, x);
}

static void ended(void *context, const struct http_exchange *x) {
    struct tap *t = x->stream != NULL ? x->state : NULL;
    if (t != NULL) {
        (void)pthread_mutex_lock(&lock);
        *t->previous = t->next;
        if (t->next != NULL) {
            t->next->previous = t->previous;
        }
        (void)pthread_mutex_unlock(&lock);
        (void)atomic_fetch_sub(&open_taps, 1);
    }
    plain_ended(context, x);
}

/* --- set-up --- */

static void start(const struct transport_limits *limits) {
    struct transport_plane planes[3];
    fixture_planes(&f, planes, limits);
    plain_handle = f.service.handle;
    plain_ended = f.service.ended;
    f.service.handle = handle;
    f.service.ended = ended;
    pushed = 0;
    fixture_start_planes(&f, 2, planes);
}

static void set_up(void) {
    start(NULL);
}

static void set_up_impatient(void) {
    struct transport_limits limits = fixture_limits();
    limits.idle_ms = 300;
    start(&limits);
}

static void tear_down(void) {
    ck_assert(fixture_quiet(&f));
    fixture_stop(&f);
    ck_assert_uint_eq(open_taps, 0);
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

static void wait_until(atomic_uint *count, unsigned wanted) {
    int64_t until = clock_monotonic_ms() + 5000;
    while (atomic_load(count) != wanted) {
        ck_assert_int_lt(clock_monotonic_ms(), until);
        sleep_ms(1);
    }
}

static struct client *open_tap(int kind, const char *request) {
    unsigned before = atomic_load(&open_taps);
    struct client *c = open_kind(kind);
    client_print(c, "%s", request);
    ck_assert(client_flush(c));
    wait_until(&open_taps, before + 1);
    return c;
}

/* Reads until the text is there; what came before and after it is thrown away. */
static void expect_text(struct client *c, const char *text) {
    static char got[65536];
    size_t len = 0;
    do {
        long n = client_read(c, got + len, sizeof got - 1 - len);
        ck_assert_msg(n > 0, "\"%s\" does not come", text);
        len += (size_t)n;
        got[len] = '\0';
    } while (strstr(got, text) == NULL);
}

/* Reads an answer in chunks to its end; the body is malloc'ed. */
static uint8_t *read_chunked(struct client *c, size_t *body_len) {
    size_t len = 0, cap = 1 << 16, at = 0;
    uint8_t *raw = malloc(cap + 1);
    char *head_end = NULL;
    *body_len = 0;
    for (bool done = false; !done;) {
        if (len == cap) {
            cap *= 2;
            uint8_t *grown = realloc(raw, cap + 1);
            ck_assert_ptr_nonnull(grown);
            raw = grown;
        }
        long n = client_read(c, raw + len, cap - len);
        ck_assert_int_gt(n, 0);
        raw[len += (size_t)n] = '\0';
        if (head_end == NULL && (head_end = strstr((char *)raw, "\r\n\r\n")) != NULL) {
            ck_assert_int_eq(strncmp((char *)raw, "HTTP/1.1 200", 12), 0);
            at = (size_t)(head_end + 4 - (char *)raw);
        }
        for (char *line; head_end != NULL && !done && at < len &&
                         (line = memchr(raw + at, '\n', len - at)) != NULL;) {
            size_t size = strtoul((char *)raw + at, NULL, 16);
            size_t data = (size_t)(line + 1 - (char *)raw);
            if (len - data < size + 2) {
                break;
            }
            memmove(raw + *body_len, raw + data, size);
            *body_len += size;
            at = data + size + 2;
            done = size == 0;
        }
    }
    ck_assert_uint_eq(at, len);
    return raw;
}

/* The same, of this request. */
static uint8_t *ask_chunked(struct client *c, const char *request, size_t *body_len) {
    client_write(c, request, strlen(request));
    return read_chunked(c, body_len);
}

static void read_to_end(struct client *c) {
    char some[4096];
    int64_t until = clock_monotonic_ms() + 4000;
    while (client_read(c, some, sizeof some) > 0) {
    }
    ck_assert_int_lt(clock_monotonic_ms(), until);
}

/* --- what comes --- */

START_TEST(a_stream_gives_what_is_pushed_when_it_is_pushed) {
    struct client *c = open_tap(_i, GET("/tap"));
    expect_text(c, "Transfer-Encoding: chunked");
    for (size_t i = 1; i <= 20; i++) {
        char line[16];
        (void)snprintf(line, sizeof line, "%zu\n", i);
        push(i);
        expect_text(c, line);
    }
    push(LAST);
    expect_text(c, "0\r\n\r\n");
    client_expect(c, 200, HELLO); /* the connection goes on */
    client_free(c);
}
END_TEST

START_TEST(a_stream_may_end_at_once) {
    struct client *c = open_kind(_i);
    size_t len;
    free(ask_chunked(c, GET("/none"), &len));
    ck_assert_uint_eq(len, 0);
    client_expect(c, 200, HELLO);
    client_free(c);
}
END_TEST

START_TEST(a_stream_that_is_missing_is_our_own_fault) {
    struct client *c = open_kind(_i);
    client_expect(c, 500, GET("/missing"));
    client_free(c);
    ck_assert_uint_eq(f.served.refused, 1);
}
END_TEST

START_TEST(a_stream_is_not_begun_for_head) {
    struct client *c = open_kind(_i);
    client_print(c, "HEAD /tap HTTP/1.1\r\n" HOST "\r\n");
    expect_text(c, "\r\n\r\n");
    wait_until(&open_taps, 0);
    ck_assert_uint_eq(pushed, 0);
    client_expect(c, 200, HELLO);
    client_free(c);
}
END_TEST

START_TEST(every_byte_of_a_long_stream_arrives_in_order) {
    enum { NUM = 5000000 };
    struct client *c = open_kind(_i);
    size_t len;
    uint8_t *body = ask_chunked(c, GET("/flood?5000000"), &len);
    ck_assert_uint_eq(len, NUM);
    for (size_t i = 0; i < NUM; i++) {
        ck_assert_uint_eq(body[i], 'a' + i % 26);
    }
    free(body);
    client_free(c);
}
END_TEST

START_TEST(a_stream_that_is_woken_before_it_rests_loses_nothing) {
    struct client *c = open_kind(_i);
    size_t len;
    uint8_t *body = ask_chunked(c, GET("/drip?2000"), &len);
    ck_assert_uint_eq(len, 2000);
    for (size_t i = 0; i < 2000; i++) {
        ck_assert_uint_eq(body[i], 'a' + i % 26);
    }
    free(body);
    client_free(c);
}
END_TEST

START_TEST(a_stream_has_room_for_a_piece_however_long_the_headers_were) {
    static const unsigned pads[] = {0, 20000, 50000, 60000, 64000, 65000};
    char *pad = malloc(65536);
    memset(pad, 'p', 65536);
    for (size_t i = 0; i < sizeof pads / sizeof pads[0]; i++) {
        struct client *c = open_kind(_i);
        client_print(c, "GET /full?10 HTTP/1.1\r\n" HOST "X-Pad: ");
        for (size_t len = pads[i], some; len != 0; len -= some) {
            some = len < 4000 ? len : 4000;
            client_write(c, pad, some);
        }
        client_print(c, "\r\n\r\n");
        size_t len;
        free(read_chunked(c, &len));
        ck_assert_uint_eq(len, 10 * HTTP_STREAM_PIECE);
        client_free(c);
    }
    free(pad);
}
END_TEST

START_TEST(a_request_in_single_bytes_gets_its_stream) {
    struct client *c = open_kind(_i);
    client_print(c, GET("/tap"));
    ck_assert(client_flush_in(c, 1, 200));
    wait_until(&open_taps, 1);
    push(1);
    expect_text(c, "1\n");
    push(LAST);
    expect_text(c, "0\r\n\r\n");
    client_free(c);
}
END_TEST

START_TEST(a_client_of_http_1_0_gets_its_stream_unchunked) {
    struct client *c = open_tap(_i, "GET /tap HTTP/1.0\r\n\r\n");
    push(2);
    expect_text(c, "1\n2\n");
    push(LAST);
    ck_assert(client_at_clean_end(c));
    client_free(c);
}
END_TEST

START_TEST(a_request_behind_a_stream_is_answered_after_its_end) {
    struct client *c = open_tap(_i, GET("/tap") HELLO);
    push(3);
    expect_text(c, "3\n");
    push(LAST);
    expect_text(c, "hello");
    client_free(c);
}
END_TEST

START_TEST(waiting_streams_block_nobody_and_outlive_the_idle_time) {
    struct client *c[30];
    for (size_t i = 0; i < 30; i++) {
        c[i] = open_tap(_i, GET("/tap"));
    }
    struct client *other = open_kind(_i);
    int64_t until = clock_monotonic_ms() + 700; /* over twice the idle time */
    while (clock_monotonic_ms() < until) {
        client_expect(other, 200, HELLO);
        sleep_ms(20);
    }
    client_free(other);
    push(1);
    for (size_t i = 0; i < 30; i++) {
        expect_text(c[i], "1\n");
        client_free(c[i]);
    }
}
END_TEST

/* --- what goes wrong --- */

START_TEST(a_peer_that_goes_ends_its_stream) {
    for (int i = 0; i < 30; i++) {
        struct client *c = open_tap(_i, GET("/tap"));
        if (i % 3 == 0) {
            client_reset(c);
        } else if (i % 3 == 1) {
            client_free(c);
        } else {
            client_half_close(c); /* who no longer speaks is not waited for */
            read_to_end(c);
            client_free(c);
        }
        wait_until(&open_taps, 0);
    }
}
END_TEST

START_TEST(a_peer_that_goes_in_the_middle_of_a_flood_ends_its_stream) {
    for (int i = 0; i < 10; i++) {
        struct client *c = open_tap(_i, GET("/flood?100000000"));
        char some[1000];
        ck_assert_int_gt(client_read(c, some, sizeof some), 0);
        if (i % 2 == 0) {
            client_reset(c);
        } else {
            client_free(c);
        }
        wait_until(&open_taps, 0);
    }
}
END_TEST

START_TEST(a_peer_that_takes_nothing_is_cut_off_after_the_idle_time) {
    struct client *c = open_tap(_i, GET("/flood?100000000"));
    struct client *quick = open_tap(_i, GET("/tap"));
    wait_until(&open_taps, 1);
    push(1);
    expect_text(quick, "1\n"); /* it harms nobody else */
    client_free(quick);
    client_free(c);
}
END_TEST

START_TEST(a_peer_that_takes_little_by_little_is_served_to_the_end) {
    struct client *c = open_kind(_i);
    client_print(c, GET("/flood?3000000"));
    char some[65536];
    size_t len = 0;
    while (len < 3000000) { /* the head and the chunks come on top */
        long n = client_read(c, some, sizeof some);
        ck_assert_int_gt(n, 0);
        len += (size_t)n;
        sleep_ms(5);
    }
    push(LAST);
    client_free(c);
}
END_TEST

START_TEST(resumes_from_many_threads_and_ends_at_once_are_no_race) {
    for (size_t round = 1; round <= 40; round++) {
        struct client *c[8];
        for (size_t i = 0; i < 8; i++) {
            c[i] = open_tap(_i, GET("/tap"));
        }
        for (size_t i = 0; i < 8; i++) {
            push(round);
            client_reset(c[i]);
            push(round);
        }
        wait_until(&open_taps, 0);
    }
}
END_TEST

static atomic_bool pushing;

static void *push_on(void *unused) {
    for (size_t i = 1; atomic_load(&pushing); i++) {
        push(i);
    }
    return unused;
}

START_TEST(a_stream_ends_while_others_push) {
    pthread_t thread[3];
    atomic_store(&pushing, true);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, push_on, NULL), 0);
    }
    for (int i = 0; i < 60; i++) {
        struct client *c = open_kind(_i);
        client_print(c, GET("/tap"));
        expect_text(c, "\n1\n");
        client_reset(c);
    }
    atomic_store(&pushing, false);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    }
}
END_TEST

/* --- the end of the gateway --- */

START_TEST(shutdown_ends_streams_with_a_last_word) {
    struct client *c[6], *mute = open_tap(_i, GET("/tap-mute"));
    for (size_t i = 0; i < 6; i++) {
        c[i] = open_tap(_i, GET("/tap"));
    }
    push(1);
    expect_text(mute, "1\n");
    int64_t began = clock_monotonic_ms();
    transport_stop(f.transport, 20000);
    ck_assert_int_lt(clock_monotonic_ms() - began, 10000); /* nobody was waited for */
    for (size_t i = 0; i < 6; i++) {
        expect_text(c[i], "bye\n\r\n0\r\n\r\n");
        ck_assert(client_at_clean_end(c[i]));
        client_free(c[i]);
    }
    expect_text(mute, "0\r\n\r\n");
    client_free(mute);
}
END_TEST

START_TEST(shutdown_does_not_wait_for_who_takes_nothing) {
    struct client *c = open_tap(_i, GET("/flood?100000000"));
    transport_stop(f.transport, 100);
    ck_assert_uint_eq(open_taps, 0);
    client_free(c);
}
END_TEST

int main(void) {
    pki_make();
    Suite *suite = suite_create("transport_stream");
    TCase *tests = tcase_create("streams");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_stream_gives_what_is_pushed_when_it_is_pushed, 0, KINDS);
    tcase_add_loop_test(tests, a_stream_may_end_at_once, 0, KINDS);
    tcase_add_loop_test(tests, a_stream_that_is_missing_is_our_own_fault, 0, KINDS);
    tcase_add_loop_test(tests, a_stream_is_not_begun_for_head, 0, KINDS);
    tcase_add_loop_test(tests, every_byte_of_a_long_stream_arrives_in_order, 0, KINDS);
    tcase_add_loop_test(tests, a_stream_that_is_woken_before_it_rests_loses_nothing, 0, KINDS);
    tcase_add_loop_test(tests, a_stream_has_room_for_a_piece_however_long_the_headers_were, 0,
                        KINDS);
    tcase_add_loop_test(tests, a_request_in_single_bytes_gets_its_stream, 0, KINDS);
    tcase_add_loop_test(tests, a_client_of_http_1_0_gets_its_stream_unchunked, 0, KINDS);
    tcase_add_loop_test(tests, a_request_behind_a_stream_is_answered_after_its_end, 0, KINDS);
    tcase_add_loop_test(tests, a_peer_that_goes_ends_its_stream, 0, KINDS);
    tcase_add_loop_test(tests, a_peer_that_goes_in_the_middle_of_a_flood_ends_its_stream, 0, KINDS);
    tcase_add_loop_test(tests, a_peer_that_takes_little_by_little_is_served_to_the_end, 0, KINDS);
    tcase_add_loop_test(tests, resumes_from_many_threads_and_ends_at_once_are_no_race, 0, KINDS);
    tcase_add_loop_test(tests, a_stream_ends_while_others_push, 0, KINDS);
    tcase_add_loop_test(tests, shutdown_ends_streams_with_a_last_word, 0, KINDS);
    tcase_add_loop_test(tests, shutdown_does_not_wait_for_who_takes_nothing, 0, KINDS);
    TCase *impatient = tcase_create("with a short idle time");
    tcase_set_timeout(impatient, 60);
    tcase_add_checked_fixture(impatient, set_up_impatient, tear_down);
    tcase_add_loop_test(impatient, waiting_streams_block_nobody_and_outlive_the_idle_time, 0,
                        KINDS);
    tcase_add_loop_test(impatient, a_peer_that_takes_nothing_is_cut_off_after_the_idle_time, 0,
                        KINDS);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, impatient);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

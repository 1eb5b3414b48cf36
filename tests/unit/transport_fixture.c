#include "tests/unit/transport_fixture.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct client_options mutual_client = {.certificate = "client"};
const struct client_options plain_client = {.plain = true};

void sleep_ms(unsigned ms) {
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L},
                    NULL);
}

/* --- the service ---------------------------------------------------------------------------- */

static void say(struct http_exchange *x, unsigned status, const char *text) {
    x->status = status;
    x->content_type = "text/plain";
    x->answer = bytes_of_text(text);
}

struct waiter {
    struct http_exchange *x;
    unsigned ms;
};

static void *wake_later(void *arg) {
    struct waiter waiter = *(struct waiter *)arg;
    free(arg);
    sleep_ms(waiter.ms);
    waiter.x->resume(waiter.x);
    return NULL;
}

static void wait_for(struct http_exchange *x, unsigned ms) {
    struct waiter *waiter = malloc(sizeof *waiter);
    ck_assert_ptr_nonnull(waiter);
    *waiter = (struct waiter){x, ms};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, waiter), 0);
    ck_assert_int_eq(pthread_detach(thread), 0);
}

static void answer_size(struct http_exchange *x) {
    size_t size = strtoul(x->query, NULL, 10);
    uint8_t *bytes = arena_alloc(x->arena, size);
    if (bytes == NULL) {
        return; /* and so no answer */
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)('a' + i % 26);
    }
    x->status = 200;
    x->content_type = "application/octet-stream";
    x->answer = bytes_of(bytes, size);
}

static void answer_peer(struct http_exchange *x) {
    char hash[65];
    hex_encode(hash, bytes_of(x->peer->leaf_sha256, 32));
    size_t len = x->peer->num_chain != 0 ? x->peer->chain[0].len : 0;
    say(x, 200,
        arena_printf(x->arena, "%d %d %s %zu %zu %s", x->peer->authenticated, x->peer->local,
                     x->peer->address, x->peer->num_chain, len, hash));
}

static void answer_body(struct http_exchange *x) {
    uint64_t sum = 0;
    for (size_t i = 0; i < x->body.len; i++) {
        sum = sum * 31 + x->body.data[i];
    }
    say(x, 200, arena_printf(x->arena, "%zu %016llx", x->body.len, (unsigned long long)sum));
}

static void answer_many(struct http_exchange *x) {
    for (unsigned i = 0; i < HTTP_MAX_HEADERS_OUT; i++) {
        ck_assert(http_add_header(x, arena_printf(x->arena, "X-Number-%u", i), "v"));
    }
    ck_assert(!http_add_header(x, "X-One-Too-Many", "v"));
    say(x, 200, "many");
}

/* --- sinks --- */

struct test_sink {
    struct http_sink sink;
    struct served *served;
    struct http_exchange *x;
    size_t len, stop_at;
    uint64_t sum;
};

static bool take_piece(void *context, struct bytes piece) {
    struct test_sink *s = context;
    ck_assert_uint_ne(piece.len, 0);
    ck_assert_uint_eq(s->x->status, 0);
    (void)atomic_fetch_add(&s->served->pieces, 1);
    (void)atomic_fetch_add(&s->served->poured, piece.len);
    for (size_t i = 0; i < piece.len; i++) {
        s->sum = s->sum * 31 + piece.data[i];
    }
    s->len += piece.len;
    if (s->stop_at != 0 && s->len > s->stop_at) {
        say(s->x, 422, "enough");
        return false;
    }
    return true;
}

static void install_sink(struct served *served, struct http_exchange *x) {
    struct test_sink *s = arena_alloc(x->arena, sizeof *s);
    ck_assert_ptr_nonnull(s);
    bool stops = strcmp(x->path, "/sink-stop") == 0;
    size_t number = strtoul(x->query, NULL, 10);
    *s = (struct test_sink){.sink = {s, stops ? SINK_MAX : number, take_piece},
                            .served = served,
                            .x = x,
                            .stop_at = stops ? number : 0};
    x->sink = &s->sink;
    x->state = s;
}

static void answer_sink(struct http_exchange *x) {
    const struct test_sink *s = x->state;
    ck_assert_uint_eq(x->body.len, 0);
    say(x, 200, arena_printf(x->arena, "%zu %016llx", s->len, (unsigned long long)s->sum));
}

static enum http_next handle(void *context, struct http_exchange *x) {
    struct served *served = context;
    (void)atomic_fetch_add(&served->handled, 1);
    size_t count = 0;
    if (strcmp(x->path, "/hello") == 0) {
        say(x, 200, "hello");
    } else if (strcmp(x->path, "/echo") == 0) {
        x->status = 200;
        x->content_type = "application/octet-stream";
        x->answer = x->body;
    } else if (strcmp(x->path, "/size") == 0) {
        answer_size(x);
    } else if (strcmp(x->path, "/body") == 0) {
        answer_body(x);
    } else if (strncmp(x->path, "/sink", 5) == 0) {
        answer_sink(x);
    } else if (strcmp(x->path, "/header") == 0) {
        const char *value = x->request_header(x, x->query, &count);
        say(x, 200, arena_printf(x->arena, "%zu:%s", count, value != NULL ? value : "none"));
    } else if (strcmp(x->path, "/peer") == 0) {
        answer_peer(x);
    } else if (strcmp(x->path, "/empty") == 0) {
        x->status = 204;
    } else if (strcmp(x->path, "/many") == 0) {
        answer_many(x);
    } else if (strcmp(x->path, "/bad-header") == 0) {
        say(x, 200, "never seen");
        ck_assert(http_add_header(x, "X-Bad", "one\r\nX-Smuggled: two"));
    } else if (strcmp(x->path, "/status") == 0) {
        say(x, (unsigned)strtoul(x->query, NULL, 10), "status");
    } else if (strcmp(x->path, "/wait") == 0 || strcmp(x->path, "/wait-twice") == 0) {
        (void)atomic_fetch_add(&served->waiting, 1);
        wait_for(x, (unsigned)strtoul(x->query, NULL, 10));
        return HTTP_WAIT;
    } else if (strcmp(x->path, "/block") == 0) {
        sleep_ms((unsigned)strtoul(x->query, NULL, 10));
        say(x, 200, "blocked");
    } else if (strcmp(x->path, "/wait-now") == 0) {
        x->resume(x);
        return HTTP_WAIT;
    } else if (strcmp(x->path, "/nothing") != 0) {
        say(x, 200,
            arena_printf(x->arena, "%d %s %s|%s", (int)x->method, x->method_name, x->path,
                         x->query));
    }
    return HTTP_ANSWER;
}

static enum http_next finish(void *context, struct http_exchange *x) {
    struct served *served = context;
    (void)atomic_fetch_add(&served->finished, 1);
    if (strcmp(x->path, "/wait-twice") == 0 && x->state == NULL) {
        x->state = served;
        wait_for(x, 1);
        return HTTP_WAIT;
    }
    size_t count = 0;
    const char *host = x->request_header(x, "host", &count);
    say(x, 200, arena_printf(x->arena, "waited %s", count == 1 ? host : "?"));
    return HTTP_ANSWER;
}

static void admit(void *context, struct http_exchange *x) {
    (void)atomic_fetch_add(&((struct served *)context)->admitted, 1);
    ck_assert_uint_eq(x->body.len, 0);
    ck_assert_ptr_null(x->state);
    if (strcmp(x->path, "/refuse") == 0) {
        say(x, 403, "refused");
    }
    if (strncmp(x->path, "/sink", 5) == 0) {
        install_sink(context, x);
    }
}

static void refuse(void *context, struct http_exchange *x, enum http_refusal why) {
    struct served *served = context;
    (void)atomic_fetch_add(&served->refused, 1);
    atomic_store(&served->last_refusal, why);
    say(x, 0, "no");
}

static void ended(void *context, const struct http_exchange *x) {
    ck_assert_uint_ne(strlen(x->request_id), 0);
    (void)atomic_fetch_add(&((struct served *)context)->ended, 1);
}

static void *worker_new(void *context, unsigned worker) {
    (void)worker;
    (void)atomic_fetch_add(&((struct served *)context)->workers_new, 1);
    return context;
}

static void worker_free(void *worker) {
    (void)atomic_fetch_add(&((struct served *)worker)->workers_freed, 1);
}

/* --- start and stop ------------------------------------------------------------------------- */

struct transport_limits fixture_limits(void) {
    return (struct transport_limits){.body_max = 1024 * 1024,
                                     .header_max = 64 * 1024,
                                     .arena_max = 16 * 1024 * 1024,
                                     .connections = 10000,
                                     .handshake_ms = 5000,
                                     .header_ms = 5000,
                                     .body_ms = 5000,
                                     .idle_ms = 5000};
}

void fixture_planes(struct fixture *f, struct transport_plane planes[static 3],
                    const struct transport_limits *limits) {
    *f = (struct fixture){0};
    f->service = (struct http_service){.context = &f->served,
                                       .worker_new = worker_new,
                                       .worker_free = worker_free,
                                       .admit = admit,
                                       .handle = handle,
                                       .finish = finish,
                                       .refuse = refuse,
                                       .ended = ended};
    (void)snprintf(f->unix_path, sizeof f->unix_path, "unix:%s", pki_file(""));
    (void)snprintf(f->unix_path + strlen(f->unix_path), 32, "socket-%d", (int)getpid());
    struct transport_limits use = limits != NULL ? *limits : fixture_limits();
    for (int i = 0; i < 3; i++) {
        planes[i] = (struct transport_plane){.name = "mutual",
                                             .listen = {"127.0.0.1:0"},
                                             .unix_mode = 0600,
                                             .certificate_file = pki_file("server.pem"),
                                             .key_file = pki_file("server.key"),
                                             .security = TRANSPORT_TLS_MUTUAL,
                                             .limits = use,
                                             .service = &f->service};
    }
    planes[0].anchors_file = pki_file("ca.pem");
    planes[0].listen[1] = f->unix_path;
    planes[1].name = "server";
    planes[1].security = TRANSPORT_TLS_SERVER;
    planes[2].name = "plain";
    planes[2].security = TRANSPORT_PLAIN;
    planes[2].certificate_file = planes[2].key_file = NULL;
}

void fixture_start_planes(struct fixture *f, unsigned workers,
                          const struct transport_plane planes[static 3]) {
    struct detail detail = {0};
    struct transport_options options = {.workers = workers};
    enum status status = transport_start(&f->transport, &options, planes, 3, &detail);
    ck_assert_msg(status == STATUS_OK, "%s: %s", status_name(status), detail.text);
    f->mutual = transport_port(f->transport, "mutual");
    f->server = transport_port(f->transport, "server");
    f->plain = transport_port(f->transport, "plain");
}

void fixture_start(struct fixture *f, unsigned workers, const struct transport_limits *limits) {
    struct transport_plane planes[3];
    fixture_planes(f, planes, limits);
    fixture_start_planes(f, workers, planes);
}

uint64_t fixture_open(const struct fixture *f) {
    static const char *const names[] = {"mutual", "server", "plain"};
    uint64_t open = 0;
    for (size_t i = 0; i < 3; i++) {
        struct transport_counters counters;
        transport_count(f->transport, names[i], &counters);
        open += counters.open;
    }
    return open;
}

bool fixture_quiet(const struct fixture *f) {
    int64_t until = clock_monotonic_ms() + 5000;
    while (fixture_open(f) != 0) {
        if (clock_monotonic_ms() > until) {
            return false;
        }
        sleep_ms(2);
    }
    return true;
}

void fixture_stop(struct fixture *f) {
    transport_stop(f->transport, 1000);
    ck_assert_uint_eq(fixture_open(f), 0);
    transport_free(f->transport);
    ck_assert_uint_eq(f->served.workers_new, f->served.workers_freed);
    ck_assert_uint_ge(f->served.ended, f->served.handled);
}

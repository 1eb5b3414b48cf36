#include "server/transport/internal.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum { EVENTS = 128 };

/* --- from other threads --------------------------------------------------------------------- */

void worker_wake(struct worker *worker) {
    uint64_t one = 1;
    (void)!write(worker->wake_fd, &one, sizeof one); /* full means awake */
}

/* The eventfd is written under the lock: once the worker has seen the exchange, the caller no
 * longer touches the worker. */
void worker_resume(struct worker *worker, struct exchange *ex) {
    (void)pthread_mutex_lock(&worker->resumed_lock);
    bool first = worker->resumed == NULL;
    if (!ex->resumed) {
        ex->resumed = true;
        ex->next_resumed = worker->resumed;
        worker->resumed = ex;
        if (first) {
            worker_wake(worker);
        }
    }
    (void)pthread_mutex_unlock(&worker->resumed_lock);
}

void worker_forget(struct worker *worker, struct exchange *ex) {
    (void)pthread_mutex_lock(&worker->resumed_lock);
    if (ex->resumed) {
        struct exchange **at = &worker->resumed;
        while (*at != ex) {
            at = &(*at)->next_resumed;
        }
        *at = ex->next_resumed;
        ex->resumed = false;
    }
    (void)pthread_mutex_unlock(&worker->resumed_lock);
}

static struct exchange *take_resumed(struct worker *worker) {
    (void)pthread_mutex_lock(&worker->resumed_lock);
    struct exchange *newest = worker->resumed;
    worker->resumed = NULL;
    (void)pthread_mutex_unlock(&worker->resumed_lock);
    struct exchange *oldest = NULL;
    while (newest != NULL) {
        struct exchange *next = newest->next_resumed;
        newest->next_resumed = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* From here on it may be queued again. */
static struct exchange *take_next(struct worker *worker, struct exchange *ex) {
    (void)pthread_mutex_lock(&worker->resumed_lock);
    ex->resumed = false;
    struct exchange *next = ex->next_resumed;
    (void)pthread_mutex_unlock(&worker->resumed_lock);
    return next;
}

static void woken(struct worker *worker) {
    uint64_t count;
    (void)!read(worker->wake_fd, &count, sizeof count);
    for (struct exchange *ex = take_resumed(worker), *next; ex != NULL; ex = next) {
        next = take_next(worker, ex);
        http_resumed(ex);
    }
}

/* --- request ids ---------------------------------------------------------------------------- */

/* splitmix64: ids need to be unique, not secret. */
static uint64_t draw(uint64_t *state) {
    uint64_t v = *state += 0x9e3779b97f4a7c15u;
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
    return v ^ (v >> 31);
}

void worker_request_id(struct worker *worker, char out[static HTTP_REQUEST_ID_SIZE]) {
    uint64_t id[2] = {draw(&worker->random[0]), draw(&worker->random[1])};
    hex_encode(out, bytes_of(id, sizeof id));
}

/* --- listeners ------------------------------------------------------------------------------ */

static bool watch_listeners(struct worker *worker, int operation) {
    bool good = true;
    for (size_t i = 0; i < worker->num_lanes; i++) {
        for (size_t k = 0; k < worker->lanes[i].num_listeners; k++) {
            struct listener *listener = &worker->lanes[i].listeners[k];
            /* One connection wakes one worker. */
            struct epoll_event event = {.events = EPOLLIN | (listener->local ? EPOLLEXCLUSIVE : 0),
                                        .data.ptr = &listener->source};
            good = epoll_ctl(worker->epoll_fd, operation, listener->fd, &event) == 0 && good;
        }
    }
    return good;
}

static void rest_or_accept(struct worker *worker) {
    bool wants = worker->accept_again_ms <= worker->now_ms && !worker->stopping;
    if (wants != worker->listening) {
        worker->listening = wants;
        (void)watch_listeners(worker, wants ? EPOLL_CTL_ADD : EPOLL_CTL_DEL);
    }
}

/* --- time ----------------------------------------------------------------------------------- */

/* Milliseconds until the next deadline; -1: none. */
static int time_left(const struct worker *worker) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < worker->num_lanes; i++) {
        if (worker->lanes[i].ready) {
            return 0;
        }
        for (size_t phase = 0; phase < PHASE_WAIT; phase++) {
            const struct connection *c = worker->lanes[i].phases[phase].first;
            next = c != NULL && c->deadline_ms < next ? c->deadline_ms : next;
        }
    }
    if (!worker->listening && !worker->stopping && worker->accept_again_ms < next) {
        next = worker->accept_again_ms;
    }
    if (worker->stopping && worker->stop_ms > worker->now_ms && worker->stop_ms < next) {
        next = worker->stop_ms;
    }
    if (next == INT64_MAX) {
        return -1;
    }
    int64_t left = next - worker->now_ms;
    return left < 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX;
}

static void expire(struct worker *worker) {
    for (size_t i = 0; i < worker->num_lanes; i++) {
        for (size_t phase = 0; phase < PHASE_WAIT; phase++) {
            struct connection *c;
            while ((c = worker->lanes[i].phases[phase].first) != NULL &&
                   c->deadline_ms <= worker->now_ms) {
                connection_expired(c);
            }
        }
    }
}

/* --- stopping ------------------------------------------------------------------------------- */

/* Ends what is not in the middle of a request; with `all`, whatever does not wait for its service.
 */
static void end_connections(struct worker *worker, bool all) {
    for (size_t i = 0; i < worker->num_lanes; i++) {
        for (size_t phase = 0; phase < PHASE_WAIT; phase++) {
            struct connection *next;
            for (struct connection *c = worker->lanes[i].phases[phase].first; c != NULL; c = next) {
                next = c->next;
                bool idle = phase == PHASE_HANDSHAKE || phase == PHASE_IDLE ||
                            (phase == PHASE_HEADER && !c->heard);
                if (phase == PHASE_STREAM) {
                    http_stream_end(&c->exchange);
                } else if (all || idle) {
                    connection_kill(c);
                }
            }
        }
    }
}

static void close_listeners(struct worker *worker) {
    for (size_t i = 0; i < worker->num_lanes; i++) {
        for (size_t k = 0; k < worker->lanes[i].num_listeners; k++) {
            struct listener *listener = &worker->lanes[i].listeners[k];
            if (!listener->local && listener->fd >= 0) {
                (void)close(listener->fd);
                listener->fd = -1;
            }
        }
    }
}

static void begin_stopping(struct worker *worker) {
    worker->stopping = true;
    rest_or_accept(worker);
    close_listeners(worker);
    worker->stop_ms = worker->now_ms + atomic_load(&worker->grace_ms);
    end_connections(worker, false);
}

static void stop_if_asked(struct worker *worker) {
    if (!worker->stopping && atomic_load(&worker->stop)) {
        begin_stopping(worker);
    }
    if (worker->stopping && worker->now_ms >= worker->stop_ms) {
        end_connections(worker, true);
    }
}

/* --- the loop ------------------------------------------------------------------------------- */

static void run_daemons(struct worker *worker) {
    for (size_t i = 0; i < worker->num_lanes; i++) {
        struct lane *lane = &worker->lanes[i];
        if (lane->ready) {
            MHD_UNSIGNED_LONG_LONG left = 1;
            (void)MHD_run(lane->daemon);
            /* Without time-outs of its own, it has a deadline only when it wants to go on at once.
             */
            lane->ready = MHD_get_timeout(lane->daemon, &left) == MHD_YES && left == 0;
        }
    }
}

static void dispatch(struct worker *worker, const struct epoll_event *event) {
    struct source *source = event->data.ptr;
    switch (source->kind) {
    case SOURCE_WAKE:
        woken(worker);
        break;
    case SOURCE_LISTENER:
        connection_accept((struct listener *)source);
        break;
    case SOURCE_LANE:
        ((struct lane *)source)->ready = true;
        break;
    case SOURCE_CONNECTION: {
        struct connection *c = (struct connection *)source;
        if (c->phase == PHASE_HANDSHAKE || c->phase == PHASE_LINGER) {
            connection_event(c, event->events);
        }
        break;
    }
    }
}

static void free_ended(struct worker *worker) {
    while (worker->ended != NULL) {
        struct connection *c = worker->ended;
        worker->ended = c->next;
        connection_free(c);
    }
}

static void loop(struct worker *worker) {
    struct epoll_event events[EVENTS];
    while (!worker->stopping || worker->num_connections != 0) {
        int num = epoll_wait(worker->epoll_fd, events, EVENTS, time_left(worker));
        worker->now_ms = clock_monotonic_ms();
        for (int i = 0; i < num; i++) {
            dispatch(worker, &events[i]);
        }
        run_daemons(worker);
        /* The end of a stream that libmicrohttpd has just seen by itself needs no more. */
        for (int i = 0; i < num; i++) {
            struct source *source = events[i].data.ptr;
            if (source->kind == SOURCE_CONNECTION) {
                connection_stream_event((struct connection *)source, events[i].events);
            }
        }
        expire(worker);
        stop_if_asked(worker);
        rest_or_accept(worker);
        free_ended(worker);
    }
}

/* --- start and end -------------------------------------------------------------------------- */

static bool watch_source(const struct worker *worker, int fd, struct source *source) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static enum status lane_init(struct lane *lane, struct worker *worker, struct plane *plane,
                             struct detail *detail) {
    lane->source.kind = SOURCE_LANE;
    lane->worker = worker;
    lane->plane = plane;
    for (size_t i = 0; i < TRANSPORT_MAX_LISTEN && plane->conf.listen[i] != NULL; i++) {
        struct listener *listener = &lane->listeners[i];
        *listener = (struct listener){.source = {SOURCE_LISTENER}, .lane = lane, .fd = -1};
        lane->num_listeners = i + 1;
        if (listen_is_unix(plane->conf.listen[i])) {
            listener->local = true;
            listener->fd = plane->local_fd[i];
        } else {
            enum status status = listen_tcp(&listener->fd, &plane->tcp_port[i],
                                            plane->conf.listen[i], worker->index == 0, detail);
            if (status != STATUS_OK) {
                detail_prefix(detail, "plane %s", plane->conf.name);
                return status;
            }
        }
    }
    lane->daemon = http_daemon_new(lane);
    const union MHD_DaemonInfo *info =
        lane->daemon == NULL ? NULL : MHD_get_daemon_info(lane->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || !watch_source(worker, info->epoll_fd, &lane->source)) {
        return status_fail(detail, STATUS_INTERNAL, "plane %s: libmicrohttpd does not start",
                           plane->conf.name);
    }
    return STATUS_OK;
}

enum status worker_init(struct worker *worker, struct transport *transport, unsigned index,
                        struct detail *detail) {
    worker->transport = transport;
    worker->index = index;
    worker->wake.kind = SOURCE_WAKE;
    (void)pthread_mutex_init(&worker->resumed_lock, NULL);
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->lanes = calloc(transport->num_planes, sizeof *worker->lanes);
    if (worker->epoll_fd < 0 || worker->wake_fd < 0 || worker->lanes == NULL ||
        !watch_source(worker, worker->wake_fd, &worker->wake) ||
        getrandom(worker->random, sizeof worker->random, 0) != (ssize_t)sizeof worker->random) {
        return status_fail(detail, STATUS_INTERNAL, "worker: %s", strerror(errno));
    }
    for (size_t i = 0; i < transport->num_planes; i++) {
        worker->num_lanes = i + 1;
        enum status status = lane_init(&worker->lanes[i], worker, &transport->planes[i], detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

void worker_cleanup(struct worker *worker) {
    for (size_t i = 0; i < worker->num_lanes; i++) {
        struct lane *lane = &worker->lanes[i];
        if (lane->daemon != NULL) {
            MHD_stop_daemon(lane->daemon);
        }
    }
    close_listeners(worker);
    free(worker->lanes);
    worker->lanes = NULL;
    worker->num_lanes = 0;
    socket_table_free(&worker->sockets);
    if (worker->epoll_fd >= 0) {
        (void)close(worker->epoll_fd);
    }
    if (worker->wake_fd >= 0) {
        (void)close(worker->wake_fd);
    }
    (void)pthread_mutex_destroy(&worker->resumed_lock);
}

/* Contexts of services belong to this thread. */
static enum status open_services(struct worker *worker, struct detail *detail) {
    for (size_t i = 0; i < worker->num_lanes; i++) {
        struct lane *lane = &worker->lanes[i];
        const struct http_service *service = lane->plane->conf.service;
        if (service->worker_new != NULL) {
            lane->service_worker = service->worker_new(service->context, worker->index);
            if (lane->service_worker == NULL) {
                return status_fail(detail, STATUS_INTERNAL, "plane %s: its service does not start",
                                   lane->plane->conf.name);
            }
        }
    }
    return STATUS_OK;
}

static void close_services(struct worker *worker) {
    for (size_t i = 0; i < worker->num_lanes; i++) {
        struct lane *lane = &worker->lanes[i];
        const struct http_service *service = lane->plane->conf.service;
        if (lane->service_worker != NULL && service->worker_free != NULL) {
            service->worker_free(lane->service_worker);
        }
        lane->service_worker = NULL;
    }
}

void *worker_main(void *arg) {
    struct worker *worker = arg;
    struct detail detail = {0};
    bool good = open_services(worker, &detail) == STATUS_OK;
    transport_report(worker->transport, good, &detail);
    if (good) {
        socket_table_use(&worker->sockets);
        worker->now_ms = clock_monotonic_ms();
        loop(worker);
        socket_table_use(NULL);
    }
    close_services(worker);
    return NULL;
}

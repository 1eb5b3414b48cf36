#include <wolfssl/options.h>

#include "server/transport/internal.h"

#include <wolfssl/ssl.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEFAULT_HANDSHAKE_MS = 10000,
    DEFAULT_HEADER_MS = 10000,
    DEFAULT_BODY_MS = 30000,
    DEFAULT_IDLE_MS = 60000,
    DEFAULT_HEADER_MAX = 16 * 1024,
    DEFAULT_ARENA_MAX = 256 * 1024,
    DEFAULT_CONNECTIONS = 16384,
    MAX_WORKERS = 256
};

/* --- planes --------------------------------------------------------------------------------- */

static bool copy_text(const char **out, const char *text) {
    *out = text == NULL ? NULL : strdup(text);
    return (*out == NULL) == (text == NULL);
}

static void free_text(const char **text) {
    union {
        const char *in;
        char *out;
    } pointer = {.in = *text};
    free(pointer.out);
    *text = NULL;
}

static void set_defaults(struct transport_limits *limits) {
    limits->handshake_ms = limits->handshake_ms != 0 ? limits->handshake_ms : DEFAULT_HANDSHAKE_MS;
    limits->header_ms = limits->header_ms != 0 ? limits->header_ms : DEFAULT_HEADER_MS;
    limits->body_ms = limits->body_ms != 0 ? limits->body_ms : DEFAULT_BODY_MS;
    limits->idle_ms = limits->idle_ms != 0 ? limits->idle_ms : DEFAULT_IDLE_MS;
    limits->header_max = limits->header_max != 0 ? limits->header_max : DEFAULT_HEADER_MAX;
    limits->arena_max = limits->arena_max != 0 ? limits->arena_max : DEFAULT_ARENA_MAX;
    limits->connections = limits->connections != 0 ? limits->connections : DEFAULT_CONNECTIONS;
}

static bool copy_conf(struct transport_plane *out, const struct transport_plane *in) {
    *out = *in;
    set_defaults(&out->limits);
    /* Each is copied, whatever became of the one before: none may point into `in` any more. */
    bool good = copy_text(&out->name, in->name);
    good = copy_text(&out->certificate_file, in->certificate_file) && good;
    good = copy_text(&out->key_file, in->key_file) && good;
    good = copy_text(&out->anchors_file, in->anchors_file) && good;
    for (size_t i = 0; i < TRANSPORT_MAX_LISTEN; i++) {
        good = copy_text(&out->listen[i], in->listen[i]) && good;
    }
    return good;
}

static enum status open_plane(struct plane *plane, struct detail *detail) {
    const struct transport_plane *conf = &plane->conf;
    if (conf->security != TRANSPORT_PLAIN) {
        enum status status = tls_context_new(&plane->context, &plane->anchor, conf, detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < TRANSPORT_MAX_LISTEN && conf->listen[i] != NULL; i++) {
        enum status status =
            listen_is_unix(conf->listen[i])
                ? listen_unix(&plane->local_fd[i], listen_unix_path(conf->listen[i]),
                              conf->unix_mode, detail)
                : listen_port(&plane->tcp_port[i], conf->listen[i], detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status plane_init(struct plane *plane, const struct transport_plane *conf,
                              struct detail *detail) {
    (void)pthread_mutex_init(&plane->context_lock, NULL);
    for (size_t i = 0; i < TRANSPORT_MAX_LISTEN; i++) {
        plane->local_fd[i] = -1;
    }
    if (!copy_conf(&plane->conf, conf)) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    const struct http_service *service = conf->service;
    if (conf->name == NULL || conf->listen[0] == NULL || service == NULL ||
        service->handle == NULL || service->finish == NULL || service->refuse == NULL) {
        return status_fail(detail, STATUS_INVALID,
                           "a plane needs a name, a listener and a service");
    }
    if (conf->limits.connections_per_ip != 0) {
        plane->per_address = address_counts_new();
        if (plane->per_address == NULL) {
            return status_fail(detail, STATUS_MEMORY, "out of memory");
        }
    }
    enum status status = open_plane(plane, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "plane %s", conf->name);
    }
    return status;
}

static void plane_cleanup(struct plane *plane) {
    for (size_t i = 0; i < TRANSPORT_MAX_LISTEN; i++) {
        if (plane->local_fd[i] >= 0) {
            (void)close(plane->local_fd[i]);
            (void)unlink(listen_unix_path(plane->conf.listen[i]));
        }
        free_text(&plane->conf.listen[i]);
    }
    tls_context_free(plane->context);
    free(plane->anchor.der);
    address_counts_free(plane->per_address);
    free_text(&plane->conf.name);
    free_text(&plane->conf.certificate_file);
    free_text(&plane->conf.key_file);
    free_text(&plane->conf.anchors_file);
    (void)pthread_mutex_destroy(&plane->context_lock);
}

/* --- start ---------------------------------------------------------------------------------- */

static struct transport *create(const struct transport_options *options, size_t num_planes) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned num_workers = options->workers != 0 ? options->workers
                           : cores > 0           ? (unsigned)cores
                                                 : 1;
    num_workers = num_workers < MAX_WORKERS ? num_workers : MAX_WORKERS;
    struct transport *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->log = options->log;
    t->planes = calloc(num_planes, sizeof *t->planes);
    t->workers = calloc(num_workers, sizeof *t->workers);
    if (t->planes == NULL || t->workers == NULL) {
        free(t->planes);
        free(t->workers);
        free(t);
        return NULL;
    }
    t->num_workers = num_workers;
    (void)pthread_mutex_init(&t->reload_lock, NULL);
    (void)pthread_mutex_init(&t->start_lock, NULL);
    (void)pthread_cond_init(&t->start_changed, NULL);
    return t;
}

void transport_report(struct transport *t, bool good, const struct detail *detail) {
    (void)pthread_mutex_lock(&t->start_lock);
    if (good) {
        t->num_ready++;
    } else {
        t->num_failed++;
        t->start_detail = *detail;
    }
    (void)pthread_cond_signal(&t->start_changed);
    (void)pthread_mutex_unlock(&t->start_lock);
}

static enum status start_threads(struct transport *t, struct detail *detail) {
    unsigned num = 0;
    for (; num < t->num_workers; num++) {
        struct worker *worker = &t->workers[num];
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            break;
        }
        worker->started = true;
    }
    (void)pthread_mutex_lock(&t->start_lock);
    while (t->num_ready + t->num_failed < num) {
        (void)pthread_cond_wait(&t->start_changed, &t->start_lock);
    }
    unsigned num_failed = t->num_failed;
    struct detail why = t->start_detail;
    (void)pthread_mutex_unlock(&t->start_lock);
    if (num_failed != 0) {
        return status_fail(detail, STATUS_INTERNAL, "%s", why.text);
    }
    if (num < t->num_workers) {
        return status_fail(detail, STATUS_INTERNAL, "no more threads");
    }
    return STATUS_OK;
}

static enum status start(struct transport *t, const struct transport_plane *planes,
                         size_t num_planes, struct detail *detail) {
    for (size_t i = 0; i < num_planes; i++) {
        t->num_planes = i + 1;
        enum status status = plane_init(&t->planes[i], &planes[i], detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (unsigned i = 0; i < t->num_workers; i++) {
        t->workers[i].epoll_fd = t->workers[i].wake_fd = -1;
    }
    for (unsigned i = 0; i < t->num_workers; i++) {
        t->num_initialised = i + 1;
        enum status status = worker_init(&t->workers[i], t, i, detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return start_threads(t, detail);
}

enum status transport_start(struct transport **out, const struct transport_options *options,
                            const struct transport_plane *planes, size_t num_planes,
                            struct detail *detail) {
    if (num_planes == 0 || num_planes > TRANSPORT_MAX_PLANES) {
        return status_fail(detail, STATUS_INVALID, "1 to %d planes", TRANSPORT_MAX_PLANES);
    }
    if (wolfSSL_Init() != WOLFSSL_SUCCESS) {
        return status_fail(detail, STATUS_INTERNAL, "wolfSSL does not start");
    }
    struct transport *t = create(options, num_planes);
    if (t == NULL) {
        (void)wolfSSL_Cleanup();
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = start(t, planes, num_planes, detail);
    if (status != STATUS_OK) {
        transport_stop(t, 0);
        transport_free(t);
        return status;
    }
    *out = t;
    return STATUS_OK;
}

/* --- while it runs -------------------------------------------------------------------------- */

static const struct plane *find_plane(const struct transport *t, const char *name, size_t *index) {
    for (size_t i = 0; i < t->num_planes; i++) {
        if (strcmp(t->planes[i].conf.name, name) == 0) {
            *index = i;
            return &t->planes[i];
        }
    }
    return NULL;
}

uint16_t transport_port(const struct transport *t, const char *name) {
    size_t index = 0;
    const struct plane *plane = find_plane(t, name, &index);
    for (size_t i = 0; plane != NULL && i < TRANSPORT_MAX_LISTEN; i++) {
        if (plane->conf.listen[i] != NULL && !listen_is_unix(plane->conf.listen[i])) {
            return plane->tcp_port[i];
        }
    }
    return 0;
}

enum status transport_reload(struct transport *t, struct detail *detail) {
    struct WOLFSSL_CTX *fresh[TRANSPORT_MAX_PLANES] = {0};
    struct anchor anchor[TRANSPORT_MAX_PLANES] = {0};
    enum status status = STATUS_OK;
    (void)pthread_mutex_lock(&t->reload_lock);
    for (size_t i = 0; i < t->num_planes && status == STATUS_OK; i++) {
        const struct transport_plane *conf = &t->planes[i].conf;
        if (conf->security != TRANSPORT_PLAIN) {
            status = tls_context_new(&fresh[i], &anchor[i], conf, detail);
            if (status != STATUS_OK) {
                detail_prefix(detail, "plane %s", conf->name);
            }
        }
    }
    for (size_t i = 0; i < t->num_planes && status == STATUS_OK; i++) {
        struct plane *plane = &t->planes[i];
        (void)pthread_mutex_lock(&plane->context_lock);
        struct WOLFSSL_CTX *old = plane->context;
        struct anchor old_anchor = plane->anchor;
        plane->context = fresh[i];
        plane->anchor = anchor[i];
        (void)pthread_mutex_unlock(&plane->context_lock);
        fresh[i] = old;
        anchor[i] = old_anchor;
    }
    (void)pthread_mutex_unlock(&t->reload_lock);
    for (size_t i = 0; i < t->num_planes; i++) {
        plane_context_drop(&t->planes[i], fresh[i]);
        free(anchor[i].der);
    }
    return status;
}

void transport_count(const struct transport *t, const char *name, struct transport_counters *out) {
    size_t index = 0;
    const struct plane *plane = find_plane(t, name, &index);
    *out = (struct transport_counters){0};
    if (plane == NULL) {
        return;
    }
    out->open = atomic_load(&plane->open);
    for (unsigned i = 0; i < t->num_workers; i++) {
        const struct lane_counters *from = &t->workers[i].lanes[index].counters;
        out->accepted += atomic_load(&from->accepted);
        out->refused_cap += atomic_load(&from->refused_cap);
        out->refused_ip_cap += atomic_load(&from->refused_address_cap);
        out->handshakes += atomic_load(&from->handshakes);
        out->handshake_failures += atomic_load(&from->handshake_failures);
        out->handshake_timeouts += atomic_load(&from->handshake_timeouts);
        out->requests += atomic_load(&from->requests);
    }
}

/* --- the end -------------------------------------------------------------------------------- */

void transport_stop(struct transport *t, unsigned grace_ms) {
    for (size_t i = 0; i < t->num_planes; i++) {
        for (size_t k = 0; k < TRANSPORT_MAX_LISTEN; k++) {
            if (t->planes[i].local_fd[k] >= 0) {
                (void)shutdown(t->planes[i].local_fd[k], SHUT_RDWR); /* refuses from now on */
            }
        }
    }
    for (unsigned i = 0; i < t->num_workers; i++) {
        struct worker *worker = &t->workers[i];
        if (worker->started) {
            atomic_store(&worker->grace_ms, grace_ms);
            atomic_store(&worker->stop, true);
            worker_wake(worker);
        }
    }
    for (unsigned i = 0; i < t->num_workers; i++) {
        if (t->workers[i].started) {
            (void)pthread_join(t->workers[i].thread, NULL);
            t->workers[i].started = false;
        }
    }
}

void transport_free(struct transport *t) {
    if (t == NULL) {
        return;
    }
    for (unsigned i = 0; i < t->num_initialised; i++) {
        worker_cleanup(&t->workers[i]);
    }
    for (size_t i = 0; i < t->num_planes; i++) {
        plane_cleanup(&t->planes[i]);
    }
    (void)pthread_mutex_destroy(&t->reload_lock);
    (void)pthread_mutex_destroy(&t->start_lock);
    (void)pthread_cond_destroy(&t->start_changed);
    free(t->planes);
    free(t->workers);
    free(t);
    (void)wolfSSL_Cleanup();
}

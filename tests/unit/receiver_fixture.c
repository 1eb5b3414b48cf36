#include "tests/unit/receiver_fixture.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS_MAX = 4096, REQUEST_MAX = 64 * 1024 };

struct receiver {
    int listen_fd, stop_fd[2];
    unsigned port;
    pthread_t thread;
    size_t fill;
    pthread_mutex_t lock;
    pthread_cond_t more;
    const char *answer;
    char *request[REQUESTS_MAX];
    unsigned num;
};

/* False: the end was asked for. */
static bool wait_for(const struct receiver *r, int fd, short events) {
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = r->stop_fd[0], .events = POLLIN}};
    return poll(fds, 2, -1) > 0 && fds[1].revents == 0;
}

static bool is_whole(const char *text, size_t len) {
    const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
    size_t body = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
    return end != NULL && len >= (size_t)(end - text) + 4 + body;
}

static void keep(struct receiver *r, char *text) {
    (void)pthread_mutex_lock(&r->lock);
    if (r->num < REQUESTS_MAX) {
        r->request[r->num++] = text;
    }
    (void)pthread_cond_broadcast(&r->more);
    (void)pthread_mutex_unlock(&r->lock);
}

static void send_all(const struct receiver *r, int fd, const char *data, size_t len) {
    while (len > 0 && wait_for(r, fd, POLLOUT)) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return;
        }
        data += n;
        len -= (size_t)n;
    }
}

static void serve(struct receiver *r, int fd) {
    char *text = calloc(1, REQUEST_MAX + 1);
    size_t len = 0;
    while (!is_whole(text, len)) {
        ssize_t n = wait_for(r, fd, POLLIN) ? read(fd, text + len, REQUEST_MAX - len) : 0;
        if (n <= 0) {
            free(text);
            return;
        }
        len += (size_t)n;
    }
    keep(r, text);
    (void)pthread_mutex_lock(&r->lock);
    const char *answer = r->answer;
    (void)pthread_mutex_unlock(&r->lock);
    if (answer == NULL) {
        (void)wait_for(r, -1, 0);
        return;
    }
    send_all(r, fd, answer, strlen(answer));
    char block[4096];
    memset(block, 'x', sizeof block);
    for (size_t left = r->fill; left > 0;) {
        size_t part = left < sizeof block ? left : sizeof block;
        send_all(r, fd, block, part);
        left -= part;
    }
}

static void *run(void *context) {
    struct receiver *r = context;
    while (wait_for(r, r->listen_fd, POLLIN)) {
        int fd = accept(r->listen_fd, NULL, NULL);
        if (fd >= 0) {
            serve(r, fd);
            (void)close(fd);
        }
    }
    return NULL;
}

struct receiver *receiver_start(const char *answer, size_t fill) {
    struct receiver *r = calloc(1, sizeof *r);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    ck_assert_ptr_nonnull(r);
    r->answer = answer;
    r->fill = fill;
    r->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(r->listen_fd, 0);
    ck_assert_int_eq(bind(r->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(r->listen_fd, 16), 0);
    ck_assert_int_eq(getsockname(r->listen_fd, (struct sockaddr *)&address, &len), 0);
    ck_assert_int_eq(pipe(r->stop_fd), 0);
    r->port = ntohs(address.sin_port);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->more, NULL);
    ck_assert_int_eq(pthread_create(&r->thread, NULL, run, r), 0);
    return r;
}

void receiver_answer(struct receiver *r, const char *answer) {
    (void)pthread_mutex_lock(&r->lock);
    r->answer = answer;
    (void)pthread_mutex_unlock(&r->lock);
}

unsigned receiver_port(const struct receiver *r) {
    return r->port;
}

unsigned receiver_requests(struct receiver *r) {
    (void)pthread_mutex_lock(&r->lock);
    unsigned num = r->num;
    (void)pthread_mutex_unlock(&r->lock);
    return num;
}

const char *receiver_request(struct receiver *r, unsigned number) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    (void)pthread_mutex_lock(&r->lock);
    while (r->num <= number && pthread_cond_timedwait(&r->more, &r->lock, &until) == 0) {
    }
    const char *text = number < r->num ? r->request[number] : NULL;
    (void)pthread_mutex_unlock(&r->lock);
    return text;
}

void receiver_stop(struct receiver *r) {
    ck_assert_int_eq(write(r->stop_fd[1], "x", 1), 1);
    (void)pthread_join(r->thread, NULL);
    for (unsigned i = 0; i < r->num; i++) {
        free(r->request[i]);
    }
    (void)close(r->listen_fd);
    (void)close(r->stop_fd[0]);
    (void)close(r->stop_fd[1]);
    (void)pthread_mutex_destroy(&r->lock);
    (void)pthread_cond_destroy(&r->more);
    free(r);
}

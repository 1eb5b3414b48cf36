/* changes at=ADDRESS:PORT anchors= cert= key= admin=ADDRESS:PORT admin_cert= admin_key= serials=FILE
 * [readers=2000] [rounds=100] [pids=]: that many readers follow a gateway's changes over mutual TLS, while
 * credentials of the file (the second word of each line) are revoked one after another. Reports how long it takes
 * from sending a revocation until the readers, and the last of them, have heard of it. One thread
 * reads for all of them, on the cores of the gateway. A reader that ends, or a revocation that is not
 * heard by all, is a failure. */
#include "server/base/file.h"
#include "tests/bench/client.h"
#include "tests/bench/measure.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READERS_MAX = 10000, ROUNDS_MAX = 1000, TAIL = 8192, EVENTS = 256, PATIENCE_MS = 10000 };

struct reader {
    struct client *client;
    char tail[TAIL]; /* what came since the last whole event */
    size_t len;
    size_t heard; /* revocations */
};

static struct reader *readers;
static size_t num_readers, num_rounds;
static char (*serials)[33];
static int epoll_fd;
static atomic_size_t sent; /* revocations that are on their way */
static double sent_us[ROUNDS_MAX], answered_us[ROUNDS_MAX];
static double *heard_us, last_us[ROUNDS_MAX]; /* by round, all readers; and the last of a round */
static size_t num_heard, heard_in[ROUNDS_MAX];
static atomic_size_t complete; /* rounds that all have heard */

static struct bytes load(const char *name) {
    uint8_t *text = NULL;
    size_t len = 0;
    struct detail detail = {0};
    if (file_read(&text, &len, option(name, NULL), 1 << 20, &detail) != STATUS_OK) {
        give_up("changes: %s", detail.text);
    }
    return bytes_of(text, len);
}

static void load_serials(void) {
    char line[256];
    FILE *file = fopen(option("serials", NULL), "re");
    size_t num = 0;
    serials = calloc(ROUNDS_MAX, sizeof *serials);
    if (file == NULL || serials == NULL) {
        give_up("changes: cannot read %s", option("serials", NULL));
    }
    while (num < num_rounds && fgets(line, sizeof line, file) != NULL) {
        num += sscanf(line, "%*s %32s", serials[num]) == 1 ? 1 : 0;
    }
    (void)fclose(file);
    if (num < num_rounds) {
        give_up("changes: too few serials");
    }
}

/* --- readers ---------------------------------------------------------------------------------- */

static void open_readers(void) {
    struct client_context *context = client_context_new(option("anchors", NULL));
    struct bytes certificate = load("cert"), key = load("key");
    static const char request[] = "GET /v1/changes HTTP/1.1\r\nHost: gateway\r\n\r\n";
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    readers = calloc(num_readers, sizeof *readers);
    if (readers == NULL || epoll_fd < 0) {
        give_up("changes: no memory");
    }
    for (size_t i = 0; i < num_readers; i++) {
        struct client *client = client_open(context, option("at", NULL), certificate, key);
        if (client == NULL || !client_send(client, request, sizeof request - 1)) {
            give_up("changes: reader %zu cannot connect", i);
        }
        readers[i].client = client;
        int fd = client_descriptor(client);
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
        if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            give_up("changes: epoll");
        }
    }
}

/* Revocations come in their order, one a round. */
static void note(struct reader *r, double now) {
    size_t round = r->heard++;
    if (round >= atomic_load(&sent)) {
        give_up("changes: a reader heard what was not said");
    }
    heard_us[num_heard++] = now - sent_us[round];
    last_us[round] = now - sent_us[round];
    if (++heard_in[round] == num_readers) {
        (void)atomic_fetch_add(&complete, 1);
    }
}

static void read_some(struct reader *r) {
    for (;;) {
        long n = client_read_now(r->client, r->tail + r->len, TAIL - 1 - r->len);
        double now = now_us();
        if (n < 0) {
            give_up("changes: a reader was cut off: %.200s", r->tail);
        }
        if (n == 0) {
            return;
        }
        r->len += (size_t)n;
        r->tail[r->len] = '\0';
        char *at = r->tail;
        for (char *end; (end = strstr(at, "\n\n")) != NULL; at = end + 2) {
            *end = '\0';
            if (strstr(at, "event: revocation\n") != NULL) {
                note(r, now);
            }
        }
        r->len -= (size_t)(at - r->tail);
        memmove(r->tail, at, r->len);
        r->tail[r->len] = '\0';
    }
}

static void listen_for(size_t rounds, double until_us) {
    struct epoll_event event[EVENTS];
    while (atomic_load(&complete) < rounds) {
        int num = epoll_wait(epoll_fd, event, EVENTS, 100);
        for (int i = 0; i < num; i++) {
            read_some(&readers[event[i].data.u64]);
        }
        if (now_us() > until_us) {
            give_up("changes: %zu of %zu rounds were heard by all", atomic_load(&complete), rounds);
        }
    }
}

/* --- revocations ------------------------------------------------------------------------------ */

static void *revoke_all(void *unused) {
    struct client_context *context = client_context_new(option("anchors", NULL));
    struct client *admin =
        client_open(context, option("admin", NULL), load("admin_cert"), load("admin_key"));
    static const char body[] = "{\"reason\":\"bench\"}";
    for (size_t i = 0; i < num_rounds; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "/v1/credentials/%s/revoke", serials[i]);
        sent_us[i] = now_us();
        atomic_store(&sent, i + 1);
        if (admin == NULL || client_request(admin, "POST", path, body, sizeof body - 1) != 200) {
            give_up("changes: a revocation failed");
        }
        answered_us[i] = now_us() - sent_us[i];
        while (atomic_load(&complete) <= i) {
            (void)usleep(500);
        }
        (void)usleep(20000); /* each from rest */
    }
    client_close(admin);
    return unused;
}

int main(int argc, char **argv) {
    options_are(argv + 1, argc - 1);
    num_readers = strtoul(option("readers", "2000"), NULL, 10);
    num_rounds = strtoul(option("rounds", "100"), NULL, 10);
    if (num_readers == 0 || num_readers > READERS_MAX || num_rounds == 0 ||
        num_rounds > ROUNDS_MAX) {
        give_up("changes: readers= or rounds=");
    }
    load_serials();
    heard_us = calloc(num_readers * num_rounds, sizeof *heard_us);
    if (heard_us == NULL) {
        give_up("changes: no memory");
    }
    long pid = strtol(option("pids", "0"), NULL, 10);
    double before_mb = pid == 0 ? -1 : process_rss_mb(pid);
    open_readers();
    double cpu = pid == 0 ? -1 : process_cpu_us(pid);
    pthread_t thread;
    if (pthread_create(&thread, NULL, revoke_all, NULL) != 0) {
        give_up("changes: no thread");
    }
    listen_for(num_rounds, now_us() + (double)PATIENCE_MS * 1000 * 6);
    (void)pthread_join(thread, NULL);
    report("changes", "revocation answered, p50", percentile(answered_us, num_rounds, 0.5) / 1000,
           "ms", -1, true);
    report("changes", "heard by a reader, p50", percentile(heard_us, num_heard, 0.5) / 1000, "ms",
           -1, true);
    report("changes", "heard by a reader, p99", percentile(heard_us, num_heard, 0.99) / 1000, "ms",
           -1, true);
    report("changes", "heard by the last reader, p50", percentile(last_us, num_rounds, 0.5) / 1000,
           "ms", -1, true);
    report("changes", "heard by the last reader, p99", percentile(last_us, num_rounds, 0.99) / 1000,
           "ms", 100, true);
    if (pid != 0) {
        report("changes", "memory a reader",
               (process_rss_mb(pid) - before_mb) * 1000 / (double)num_readers, "KB", -1, true);
        report("changes", "server CPU, an event to a reader",
               (process_cpu_us(pid) - cpu) / (double)num_heard, "us CPU", -1, true);
    }
    return 0;
}

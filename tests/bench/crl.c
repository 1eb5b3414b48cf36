/* crl public=ADDRESS:PORT admin=ADDRESS:PORT anchors= admin_cert= admin_key= serials=FILE [num=100]
 * [all=NUMBER]: from a revocation (the second word of each line is a serial number) to the list of what is
 * revoked that has it, fetched again and again; then, with all=, from the answer that every credential was
 * revoked to the list that has so many. Ends with a failure when one does not come within 30 s. */
#include "server/base/encoding.h"
#include "tests/bench/client.h"
#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIST_MAX = 64 << 20, HEAD_MAX = 4096, NUM_MAX = 1000, ENTRY_MIN = 35, ETAG_MAX = 64 };
enum { QUIET_US = 999999 };
static const double patience_us = 30e6;

static uint8_t *list; /* the answer's body */
static size_t list_len;
static char etag[ETAG_MAX];
static int connection;

static void connect_public(void) {
    char text[64];
    struct sockaddr_in where = {.sin_family = AF_INET};
    (void)snprintf(text, sizeof text, "%s", option("public", NULL));
    char *colon = strrchr(text, ':');
    if (colon == NULL) {
        give_up("crl: public=ADDRESS:PORT");
    }
    *colon = '\0';
    where.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, text, &where.sin_addr) != 1 || connection < 0 ||
        connect(connection, (const struct sockaddr *)&where, sizeof where) != 0) {
        give_up("crl: no connection");
    }
}

static size_t receive(void *out, size_t cap) {
    ssize_t got = recv(connection, out, cap, 0);
    if (got <= 0) {
        give_up("crl: the connection ended");
    }
    return (size_t)got;
}

static void keep_etag(const char *head) {
    const char *at = strcasestr(head, "\r\nETag: ");
    size_t len = at == NULL ? 0 : strcspn(at + 8, "\r");
    if (len == 0 || len >= sizeof etag) {
        give_up("crl: no ETag");
    }
    memcpy(etag, at + 8, len);
    etag[len] = '\0';
}

/* The list of now. False: it is the one that we have. */
static bool fetch(void) {
    char head[HEAD_MAX + 1];
    size_t len = 0;
    char *body = NULL;
    int asked = snprintf(head, sizeof head,
                         "GET /v1/crl/access.crl HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: "
                         "%s\r\n\r\n",
                         etag[0] == '\0' ? "\"none\"" : etag);
    if (send(connection, head, (size_t)asked, MSG_NOSIGNAL) != asked) {
        give_up("crl: the connection ended");
    }
    while (body == NULL && len < HEAD_MAX) {
        len += receive(head + len, HEAD_MAX - len);
        head[len] = '\0';
        body = strstr(head, "\r\n\r\n");
    }
    const char *length = strcasestr(head, "\r\nContent-Length: ");
    if (body == NULL || strncmp(head, "HTTP/1.1 304 ", 13) == 0) {
        return false;
    }
    size_t wanted = length == NULL ? 0 : strtoul(length + 18, NULL, 10);
    if (strncmp(head, "HTTP/1.1 200 ", 13) != 0 || wanted > LIST_MAX) {
        give_up("crl: %.*s", (int)strcspn(head, "\r"), head);
    }
    list_len = len - (size_t)(body + 4 - head);
    memcpy(list, body + 4, list_len);
    while (list_len < wanted) {
        list_len += receive(list + list_len, wanted - list_len);
    }
    keep_etag(head);
    return true;
}

static double revoke_one(struct client *admin, const char *serial) {
    static const char body[] = "{\"reason\":\"bench\"}";
    uint8_t raw[16];
    char path[128];
    (void)snprintf(path, sizeof path, "/v1/credentials/%s/revoke", serial);
    if (hex_decode(raw, sizeof raw, serial) != STATUS_OK) {
        give_up("crl: no serial number: %s", serial);
    }
    double began = now_us();
    unsigned status = client_request(admin, "POST", path, body, sizeof body - 1);
    if (status != 200) {
        give_up("%s: %u %s", path, status, client_answer(admin));
    }
    while (!fetch() || memmem(list, list_len, raw, sizeof raw) == NULL) {
        if (now_us() - began > patience_us) {
            give_up("crl: %s is not on the list", serial);
        }
        (void)usleep(500);
    }
    return now_us() - began;
}

/* So many out of the file, each after a pause. */
static void revoke_some(struct client *admin, FILE *file, size_t wanted, useconds_t pause,
                        const char *what) {
    char line[256], serial[33];
    double latency[NUM_MAX];
    size_t num = 0;
    while (num < wanted && num < NUM_MAX && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%*s %32s", serial) == 1) {
            (void)usleep(pause);
            latency[num++] = revoke_one(admin, serial);
        }
    }
    if (num == 0) {
        give_up("crl: no serial numbers");
    }
    (void)snprintf(line, sizeof line, "%s to the list, p50", what);
    report("crl", line, percentile(latency, num, 0.5) / 1e3, "ms", -1, true);
    (void)snprintf(line, sizeof line, "%s to the list, p99", what);
    report("crl", line, percentile(latency, num, 0.99) / 1e3, "ms", 1000, true);
}

static void revoke_all(struct client *admin, size_t num) {
    static const char body[] = "{\"all\":true,\"reason\":\"bench\"}";
    double began = now_us();
    unsigned status =
        client_request(admin, "POST", "/v1/credentials/revoke", body, sizeof body - 1);
    double answered = now_us();
    if (status != 200) {
        give_up("crl: revoking all: %u %s", status, client_answer(admin));
    }
    while (!fetch() || list_len < num * ENTRY_MIN) {
        if (now_us() - answered > patience_us) {
            give_up("crl: %zu are not on the list", num);
        }
        (void)usleep(5000);
    }
    char what[128];
    (void)snprintf(what, sizeof what, "%zu revoked in one request: its answer", num);
    report("crl", what, (answered - began) / 1e3, "ms", -1, true);
    (void)snprintf(what, sizeof what, "%zu revoked in one request: from its answer to the list",
                   num);
    report("crl", what, (now_us() - answered) / 1e3, "ms", 1000, true);
    report("crl", "the size of that list", (double)list_len / 1e6, "MB", -1, true);
}

int main(int argc, char **argv) {
    options_are(argv + 1, argc - 1);
    list = malloc(LIST_MAX);
    struct client_context *context = client_context_new(option("anchors", NULL));
    struct client *admin = client_open(context, option("admin", NULL), file_option("admin_cert"),
                                       file_option("admin_key"));
    if (list == NULL || admin == NULL) {
        give_up("crl: no connection");
    }
    connect_public();
    FILE *file = fopen(option("serials", NULL), "re");
    if (file == NULL) {
        give_up("crl: cannot read %s", option("serials", NULL));
    }
    size_t num = strtoul(option("num", "100"), NULL, 10);
    revoke_some(admin, file, num / 5, QUIET_US, "a revocation after a quiet second");
    revoke_some(admin, file, num, 0, "one revocation after another");
    (void)fclose(file);
    size_t all = strtoul(option("all", "0"), NULL, 10);
    if (all > 0) {
        revoke_all(admin, all);
    }
    return 0;
}

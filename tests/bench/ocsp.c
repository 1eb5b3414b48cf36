/* ocsp at=ADDRESS:PORT issuer=CERTIFICATE.pem serials=FILE pids= what= [nonce=yes]
 * [threads=8] [target=]: asks a gateway's OCSP
 * responder about the serial numbers of the file (the second word of each line), a keep-alive connection
 * for each of threads=, and reports the answers that a core gives in a second: from the CPU time that the
 * processes took for them, the kernel's part in it. Any answer that is none ends it with a failure. */
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/credential/ocsp_response.h"
#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/random.h"
#include "server/crypto/x509.h"
#include "server/crypto/x509_write.h"
#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERIALS_MAX = 100000, THREADS_MAX = 64, NONCE_LEN = 32, ANSWER_MAX = 16384 };

static uint8_t (*serials)[16];
static size_t num_serials;
static struct ocsp_issuer issuer;
static bool with_nonce;
static atomic_size_t next, done;
static double end_us;
static struct sockaddr_in where;

static void load_serials(void) {
    char line[256], serial[33];
    FILE *file = fopen(option("serials", NULL), "re");
    serials = calloc(SERIALS_MAX, sizeof *serials);
    if (file == NULL || serials == NULL) {
        give_up("ocsp: cannot read %s", option("serials", NULL));
    }
    while (num_serials < SERIALS_MAX && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%*s %32s", serial) == 1 && serial[0] != '0' &&
            hex_decode(serials[num_serials], 16, serial) == STATUS_OK) {
            num_serials++;
        }
    }
    (void)fclose(file);
    if (num_serials == 0) {
        give_up("ocsp: no serial numbers");
    }
}

static void load_issuer(void) {
    uint8_t *pem;
    size_t len, num;
    struct bytes der;
    struct arena arena;
    struct detail detail = {0};
    arena_init(&arena, 1 << 16);
    if (file_read(&pem, &len, option("issuer", NULL), 1 << 16, &detail) != STATUS_OK ||
        pem_certificates(&arena, &der, &num, 1, bytes_of(pem, len), &detail) != STATUS_OK ||
        ocsp_issuer_of(&issuer, der, &detail) != STATUS_OK) {
        give_up("ocsp: %s", detail.text);
    }
    free(pem);
    arena_free(&arena);
}

static void write_nonce(struct writer *w) {
    uint8_t nonce[NONCE_LEN], value[NONCE_LEN + 2];
    struct writer inner = writer_of(value, sizeof value);
    random_bytes(nonce, sizeof nonce);
    der_write(&inner, DER_OCTET_STRING, bytes_of(nonce, sizeof nonce));
    size_t outer = der_open(w, DER_CONTEXT_CONSTRUCTED | 2), list = der_open(w, DER_SEQUENCE);
    x509_write_extension(w, DER_OID_OF(OID_OCSP_NONCE), false, writer_bytes(&inner));
    der_close(w, list);
    der_close(w, outer);
}

static void write_request(struct writer *w, const uint8_t serial[16]) {
    size_t whole = der_open(w, DER_SEQUENCE), tbs = der_open(w, DER_SEQUENCE);
    size_t list = der_open(w, DER_SEQUENCE), single = der_open(w, DER_SEQUENCE);
    size_t id = der_open(w, DER_SEQUENCE), alg = der_open(w, DER_SEQUENCE);
    der_write(w, DER_OID, DER_OID_OF(OID_SHA1));
    der_close(w, alg);
    der_write(w, DER_OCTET_STRING, ocsp_issuer_name_hash(&issuer, HASH_SHA1));
    der_write(w, DER_OCTET_STRING, ocsp_issuer_key_hash(&issuer, HASH_SHA1));
    der_write_unsigned(w, bytes_of(serial, 16));
    der_close(w, id);
    der_close(w, single);
    der_close(w, list);
    if (with_nonce) {
        write_nonce(w);
    }
    der_close(w, tbs);
    der_close(w, whole);
}

static bool send_request(int fd) {
    uint8_t body[512];
    char message[1024];
    struct writer w = writer_of(body, sizeof body);
    write_request(&w, serials[atomic_fetch_add(&next, 1) % num_serials]);
    int head = snprintf(message, sizeof message,
                        "POST /v1/ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                        "application/ocsp-request\r\nContent-Length: %zu\r\n\r\n",
                        w.len);
    memcpy(message + head, body, w.len);
    size_t len = (size_t)head + w.len;
    return send(fd, message, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* 200, and an OCSPResponse that is successful. */
static bool receive_answer(int fd) {
    char answer[ANSWER_MAX + 1];
    size_t len = 0, wanted = ANSWER_MAX;
    const char *body = NULL;
    while (body == NULL || len < wanted) {
        ssize_t got = recv(fd, answer + len, ANSWER_MAX - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        answer[len] = '\0';
        if (body == NULL && (body = strstr(answer, "\r\n\r\n")) != NULL) {
            const char *length = strcasestr(answer, "Content-Length: ");
            body += 4;
            wanted =
                (size_t)(body - answer) + (length == NULL ? 0 : strtoul(length + 16, NULL, 10));
        }
    }
    struct bytes response = bytes_of(body, len - (size_t)(body - answer)), fields, status;
    return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 &&
           der_take(&response, DER_SEQUENCE, &fields) == STATUS_OK && response.len == 0 &&
           der_take(&fields, DER_ENUMERATED, &status) == STATUS_OK && status.len == 1 &&
           status.data[0] == 0;
}

static void *work(void *unused) {
    (void)unused;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&where, sizeof where) != 0) {
        give_up("ocsp: no connection");
    }
    while (now_us() < end_us) {
        if (!send_request(fd) || !receive_answer(fd)) {
            give_up("ocsp: a wrong answer");
        }
        (void)atomic_fetch_add(&done, 1);
    }
    (void)close(fd);
    return NULL;
}

static void run_for(double seconds) {
    pthread_t thread[THREADS_MAX];
    unsigned long threads = strtoul(option("threads", "8"), NULL, 10);
    unsigned long num = threads < THREADS_MAX ? threads : THREADS_MAX;
    end_us = now_us() + seconds * 1e6;
    atomic_store(&done, 0);
    for (unsigned long i = 0; i < num; i++) {
        if (pthread_create(&thread[i], NULL, work, NULL) != 0) {
            give_up("ocsp: no thread");
        }
    }
    for (unsigned long i = 0; i < num; i++) {
        (void)pthread_join(thread[i], NULL);
    }
}

static double cpu_of_pids(void) {
    char text[256];
    double sum = 0;
    (void)snprintf(text, sizeof text, "%s", option("pids", NULL));
    char *state = NULL;
    for (char *word = strtok_r(text, ",", &state); word != NULL;
         word = strtok_r(NULL, ",", &state)) {
        double cpu = process_cpu_us(strtol(word, NULL, 10));
        if (cpu < 0) {
            give_up("process %s is gone", word);
        }
        sum += cpu;
    }
    return sum;
}

static void find_gateway(void) {
    char text[64];
    (void)snprintf(text, sizeof text, "%s", option("at", NULL));
    char *colon = strrchr(text, ':');
    if (colon == NULL) {
        give_up("ocsp: at=ADDRESS:PORT");
    }
    *colon = '\0';
    where.sin_family = AF_INET;
    where.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, text, &where.sin_addr) != 1) {
        give_up("ocsp: no address: %s", text);
    }
}

int main(int argc, char **argv) {
    options_are(argv + 1, argc - 1);
    with_nonce = strcmp(option("nonce", "no"), "yes") == 0;
    double seconds = bench_seconds(5), target = strtod(option("target", "-1"), NULL);
    const char *what = option("what", NULL);
    find_gateway();
    load_serials();
    load_issuer();
    run_for(seconds / 2); /* every answer that will be is in the cache then */
    double cpu = cpu_of_pids(), began = now_us();
    run_for(seconds);
    double elapsed = now_us() - began;
    cpu = cpu_of_pids() - cpu;
    double answers = (double)atomic_load(&done);
    char line[128];
    (void)snprintf(line, sizeof line, "%s, a core", what);
    report("ocsp", line, answers / cpu * 1e6, "1/s", target, false);
    (void)snprintf(line, sizeof line, "%s, on this machine, with the load", what);
    report("ocsp", line, answers / elapsed * 1e6, "1/s", -1, false);
    return 0;
}

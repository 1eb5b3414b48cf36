/* The load generator: a fleet, proxies and an operator over real sockets. Arguments are NAME=VALUE.
 *
 *   loadgen provision store= key= certificate= domain= devices= fleet=
 *   loadgen attest    fleet= at= anchors= pids=        connect, challenge, evidence, credential, close
 *   loadgen enrol     eks= at= anchors= pids=          both calls of an enrolment, a connection for each
 *                     eks= is a folder of 1.key, 1.crt, 2.key, ...: RSA-2048 EKs and their certificates, DER
 *   loadgen get       at= anchors= cert= key= pids= path= [ids=] [each=connection] [headers=]
 *                     ids= names a file whose lines start with what is to be put after the path; headers=
 *                     one of headers, as they are sent; at=unix:PATH speaks plain HTTP
 *   loadgen revoke    fleet= proxy= admin= anchors= cert= key= admin_cert= admin_key=
 *
 * threads= and seconds= (else BENCH_SECONDS) say how much; pids= are the processes whose CPU time is
 * counted; name= is what the results are called. Any wrong answer ends the run with a failure. With
 * acks=FILE every serial that was issued or revoked is written there once the gateway has said so,
 * nothing is measured, and a gateway that goes away ends the run well. */
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "tests/bench/client.h"
#include "tests/bench/fleet.h"
#include "tests/bench/measure.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_THREADS = 64,
    MAX_SAMPLES = 1 << 20,
    LOG_MAX = 1 << 17,
    BODY_MAX = 1 << 18,
    PATH_LEN = 128
};

static double cpu_of_pids(void) {
    char text[256];
    double sum = 0;
    (void)snprintf(text, sizeof text, "%s", option("pids", ""));
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

/* --- what was acknowledged ---------------------------------------------------------------------- */

static FILE *acks; /* NULL: not kept */

static void open_acks(void) {
    const char *path = option("acks", "");
    if (path[0] != '\0') {
        acks = fopen(path, "we");
        if (acks == NULL) {
            give_up("cannot write %s", path);
        }
    }
}

static void acknowledged(const char *serial) {
    if (acks != NULL) {
        (void)fprintf(acks, "%s\n", serial);
        (void)fflush(acks);
    }
}

/* --- a run of threads that do one thing again and again ----------------------------------------- */

struct run {
    bool (*once)(struct run *run, struct client **client, unsigned thread); /* false: it failed */
    struct client_context *context;
    struct fleet *fleet;
    char (*ids)[33];
    size_t num_ids; /* 0: the path is the same each time */
    const char *at, *path, *log;
    struct bytes certificate, key;
    bool each_connection;
    unsigned num_threads;
    double end_us;
    atomic_size_t next, done, failed;
    double *latency; /* us, MAX_SAMPLES */
};
struct worker {
    struct run *run;
    unsigned number;
    pthread_t thread;
};

static void *work(void *context) {
    struct worker *worker = context;
    struct run *run = worker->run;
    struct client *client = NULL;
    double begin;
    while ((begin = now_us()) < run->end_us) {
        if (!run->once(run, &client, worker->number)) {
            (void)atomic_fetch_add(&run->failed, 1);
            break;
        }
        size_t index = atomic_fetch_add(&run->done, 1);
        if (index < MAX_SAMPLES) {
            run->latency[index] = now_us() - begin;
        }
    }
    client_close(client);
    return NULL;
}

static void run_for(struct run *run, double seconds) {
    struct worker worker[MAX_THREADS];
    run->end_us = now_us() + seconds * 1e6;
    (void)atomic_exchange(&run->done, 0);
    for (unsigned i = 0; i < run->num_threads; i++) {
        worker[i] = (struct worker){.run = run, .number = i};
        if (pthread_create(&worker[i].thread, NULL, work, &worker[i]) != 0) {
            give_up("no thread");
        }
    }
    for (unsigned i = 0; i < run->num_threads; i++) {
        (void)pthread_join(worker[i].thread, NULL);
    }
    if (atomic_load(&run->failed) > 0 && acks == NULL) {
        give_up("loadgen: %zu of %u threads got a wrong answer", atomic_load(&run->failed),
                run->num_threads);
    }
}

/* A short warm-up, then the measured time; reports rate, CPU for each, and latency. */
static void measure(struct run *run, double rate_target, double cpu_target, const char *unit,
                    double unit_us) {
    const char *name = option("name", "loadgen");
    double seconds = bench_seconds(strtod(option("seconds", "5"), NULL));
    unsigned long threads = strtoul(option("threads", "16"), NULL, 10);
    run->num_threads = (unsigned)(threads < MAX_THREADS ? threads : MAX_THREADS);
    run->latency = calloc(MAX_SAMPLES, sizeof *run->latency);
    if (run->latency == NULL) {
        give_up("out of memory");
    }
    if (acks != NULL) {
        run_for(run, seconds);
        free(run->latency);
        return;
    }
    run_for(run, seconds / 5);
    double cpu = cpu_of_pids(), begin = now_us();
    run_for(run, seconds);
    double elapsed = now_us() - begin;
    cpu = cpu_of_pids() - cpu;
    size_t done = atomic_load(&run->done), num = done < MAX_SAMPLES ? done : MAX_SAMPLES;
    report(name, "rate", (double)done / elapsed * 1e6, "1/s", rate_target, false);
    if (option("pids", "")[0] != '\0') {
        report(name, "server CPU", cpu / (double)done / unit_us, unit, cpu_target, true);
    }
    report(name, "latency p50", percentile(run->latency, num, 0.5) / 1e3, "ms", -1, true);
    report(name, "latency p99", percentile(run->latency, num, 0.99) / 1e3, "ms", -1, true);
    free(run->latency);
}

/* --- attest --------------------------------------------------------------------------------------*/

/* Everything from the TCP connection to the credential. Threads take devices of their own. */
static bool attest_once(struct run *run, struct client **unused, unsigned thread) {
    static _Thread_local char body[BODY_MAX];
    (void)unused;
    size_t share = run->fleet->num / run->num_threads;
    size_t turn = atomic_fetch_add(&run->next, 1);
    struct fleet_device *device = &run->fleet->device[thread * share + turn % share];
    char nonce_text[64], quote_text[1024], signature_text[1024];
    uint8_t attest[512], signature[256];
    struct arena arena;
    struct bytes nonce;
    struct client *client = client_open(run->context, run->at, device->certificate, device->key);
    if (client == NULL) {
        return false;
    }
    arena_init(&arena, 4096);
    bool holds =
        client_request(client, "POST", "/v1/challenges", "{}", 2) == 201 &&
        client_field(client, nonce_text, sizeof nonce_text, "nonce") &&
        base64_decode_arena(&arena, &nonce, nonce_text, strlen(nonce_text), NULL) == STATUS_OK;
    if (holds) {
        struct writer a = writer_of(attest, sizeof attest),
                      s = writer_of(signature, sizeof signature);
        soft_tpm_quote(&device->tpm, &a, &s, nonce, FLEET_MASK);
        base64_encode(quote_text, writer_bytes(&a));
        base64_encode(signature_text, writer_bytes(&s));
        int len = snprintf(body, sizeof body,
                           "{\"nonce\":\"%s\",\"tpm2\":{\"quote\":\"%s\",\"signature\":\"%s\"},"
                           "\"tcg_event_log\":\"%s\",\"csr\":\"%s\"}",
                           nonce_text, quote_text, signature_text, run->log, device->csr);
        unsigned status = client_request(client, "POST", "/v1/evidence", body, (size_t)len);
        holds = status == 201 && strstr(client_answer(client), "\"trusted\"") != NULL;
        char serial[64];
        if (holds && client_field(client, serial, sizeof serial, "serial")) {
            acknowledged(serial);
        } else if (acks == NULL) {
            (void)fprintf(stderr, "evidence: %u %s\n", status, client_answer(client));
        }
    }
    arena_free(&arena);
    client_close(client);
    return holds;
}

static void attest(void) {
    static uint8_t log_bytes[LOG_MAX];
    static char log_text[2 * LOG_MAX];
    struct fleet fleet;
    struct soft_tpm tpm;
    struct writer log = writer_of(log_bytes, sizeof log_bytes);
    soft_tpm_init(&tpm, KEY_EC_P256);
    soft_tpm_boot(&tpm, &log, FLEET_LOG_SIZE);
    soft_tpm_cleanup(&tpm);
    base64_encode(log_text, writer_bytes(&log));
    fleet_load(&fleet, option("fleet", NULL));
    struct run run = {.once = attest_once,
                      .context = client_context_new(option("anchors", NULL)),
                      .fleet = &fleet,
                      .at = option("at", NULL),
                      .log = log_text};
    measure(&run, 800, 1.2, "ms CPU", 1e3);
    client_context_free(run.context);
    fleet_free(&fleet);
}

/* --- enrol ------------------------------------------------------------------------------------- */

enum { EKS_MAX = 256, DER_MAX = 4096 };

struct applicant {
    struct soft_tpm tpm;
    char ek[2048], certificate[2 * DER_MAX], csr[1024]; /* base64 */
};
static struct applicant *applicants;
static size_t num_applicants;

static struct bytes read_der(const char *folder, size_t number, const char *end) {
    char path[256];
    uint8_t *data;
    size_t len;
    (void)snprintf(path, sizeof path, "%s/%zu.%s", folder, number, end);
    return file_read(&data, &len, path, DER_MAX, NULL) == STATUS_OK ? bytes_of(data, len)
                                                                    : bytes_of(NULL, 0);
}

static bool load_applicant(struct applicant *a, const char *folder, size_t number) {
    uint8_t ek_bytes[1024], csr_bytes[512];
    struct writer ek = writer_of(ek_bytes, sizeof ek_bytes),
                  csr = writer_of(csr_bytes, sizeof csr_bytes);
    struct bytes key = read_der(folder, number, "key"),
                 certificate = read_der(folder, number, "crt");
    if (key.len == 0 || certificate.len == 0) {
        return false;
    }
    soft_tpm_init(&a->tpm, KEY_EC_P256);
    soft_tpm_take_rsa_ek(&a->tpm, key);
    soft_tpm_ek(&a->tpm, &ek);
    soft_csr(&csr, a->tpm.ak); /* any key does */
    base64_encode(a->ek, writer_bytes(&ek));
    base64_encode(a->certificate, certificate);
    base64_encode(a->csr, writer_bytes(&csr));
    return true;
}

/* An EK is enrolled again and again: with another AK each time, which voids the one before. */
static void renew_ak(struct soft_tpm *tpm) {
    private_key_free(tpm->ak);
    if (private_key_generate(&tpm->ak, KEY_EC_P256) != STATUS_OK) {
        give_up("no AK");
    }
    private_key_public(tpm->ak, &tpm->ak_public);
}

static int enrolment_body(char *out, size_t size, const struct applicant *a) {
    uint8_t ak_bytes[512];
    char ak_text[1024];
    struct writer ak = writer_of(ak_bytes, sizeof ak_bytes);
    soft_tpm_ak(&a->tpm, &ak);
    base64_encode(ak_text, writer_bytes(&ak));
    return snprintf(out, size,
                    "{\"model\":\"bench\",\"ek_public\":\"%s\",\"ek_certificate\":\"%s\","
                    "\"ak_public\":\"%s\",\"csr\":\"%s\"}",
                    a->ek, a->certificate, ak_text, a->csr);
}

/* The body of the activation, out of what was answered; 0: it cannot be opened. */
static int activation_body(char *out, size_t size, const struct applicant *a,
                           const struct client *client) {
    char blob_text[1024], secret_text[1024], text[128];
    uint8_t plain[SOFT_SECRET_MAX];
    struct arena arena;
    struct bytes blob, secret;
    size_t len;
    arena_init(&arena, 4096);
    bool opened =
        client_field(client, blob_text, sizeof blob_text, "credential_blob") &&
        client_field(client, secret_text, sizeof secret_text, "encrypted_secret") &&
        base64_decode_arena(&arena, &blob, blob_text, strlen(blob_text), NULL) == STATUS_OK &&
        base64_decode_arena(&arena, &secret, secret_text, strlen(secret_text), NULL) == STATUS_OK &&
        soft_tpm_activate(&a->tpm, plain, &len, blob, secret);
    arena_free(&arena);
    if (!opened) {
        return 0;
    }
    base64_encode(text, bytes_of(plain, len));
    return snprintf(out, size, "{\"secret\":\"%s\"}", text);
}

/* As a device does it: the TPM takes its time between the two calls, so each has its connection. */
static unsigned enrol_call(struct run *run, struct client **client, const char *path,
                           const char *body, int len) {
    client_close(*client);
    *client = client_open(run->context, run->at, bytes_of(NULL, 0), bytes_of(NULL, 0));
    return *client == NULL ? 0 : client_request(*client, "POST", path, body, (size_t)len);
}

static bool enrol_once(struct run *run, struct client **client, unsigned thread) {
    static _Thread_local char body[1 << 14];
    char id[64], path[PATH_LEN];
    size_t share = num_applicants / run->num_threads;
    struct applicant *a = &applicants[thread * share + atomic_fetch_add(&run->next, 1) % share];
    renew_ak(&a->tpm);
    int len = enrolment_body(body, sizeof body, a);
    unsigned status = enrol_call(run, client, "/v1/enrollments", body, len);
    if (status == 201 && client_field(*client, id, sizeof id, "enrollment_id") &&
        (len = activation_body(body, sizeof body, a, *client)) > 0) {
        (void)snprintf(path, sizeof path, "/v1/enrollments/%s/activate", id);
        status = enrol_call(run, client, path, body, len);
    }
    if (status != 200) {
        (void)fprintf(stderr, "enrolment: %u %s\n", status,
                      *client == NULL ? "" : client_answer(*client));
    }
    return status == 200;
}

static void enrol(void) {
    const char *folder = option("eks", NULL);
    applicants = calloc(EKS_MAX, sizeof *applicants);
    while (applicants != NULL && num_applicants < EKS_MAX &&
           load_applicant(&applicants[num_applicants], folder, num_applicants + 1)) {
        num_applicants++;
    }
    if (num_applicants < strtoul(option("threads", "16"), NULL, 10)) {
        give_up("loadgen: fewer EKs in %s than threads", folder);
    }
    struct run run = {.once = enrol_once,
                      .context = client_context_new(option("anchors", NULL)),
                      .at = option("at", NULL)};
    measure(&run, -1, 2.5, "ms CPU", 1e3);
    client_context_free(run.context);
    for (size_t i = 0; i < num_applicants; i++) {
        soft_tpm_cleanup(&applicants[i].tpm);
    }
    free(applicants);
}

/* --- get ---------------------------------------------------------------------------------------- */

static bool get_once(struct run *run, struct client **client, unsigned thread) {
    char path[PATH_LEN];
    (void)thread;
    if (*client == NULL) {
        *client = client_open(run->context, run->at, run->certificate, run->key);
    }
    if (*client == NULL) {
        return false;
    }
    (void)snprintf(path, sizeof path, "%s%s", run->path,
                   run->num_ids == 0 ? ""
                                     : run->ids[atomic_fetch_add(&run->next, 1) % run->num_ids]);
    unsigned status = client_request(*client, "GET", path, NULL, 0);
    if (status != 200) {
        (void)fprintf(stderr, "%s: %u %s\n", path, status, client_answer(*client));
        return false;
    }
    if (run->each_connection) {
        client_close(*client);
        *client = NULL;
    }
    return true;
}

/* The first word of every line. */
static void load_ids(struct run *run, const char *path) {
    char line[256];
    FILE *file = fopen(path, "re");
    size_t cap = 0;
    if (file == NULL) {
        give_up("cannot read %s", path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (run->num_ids == cap) {
            cap = cap == 0 ? 1024 : 2 * cap;
            run->ids = realloc(run->ids, cap * sizeof *run->ids);
            if (run->ids == NULL) {
                give_up("out of memory");
            }
        }
        (void)snprintf(run->ids[run->num_ids++], sizeof *run->ids, "%.*s",
                       (int)strcspn(line, " \n"), line);
    }
    (void)fclose(file);
}

static void get(void) {
    struct run run = {.once = get_once,
                      .context = client_context_new(option("anchors", NULL)),
                      .at = option("at", NULL),
                      .path = option("path", NULL),
                      .certificate = file_option("cert"),
                      .key = file_option("key"),
                      .each_connection = strcmp(option("each", "request"), "connection") == 0};
    struct bytes headers = {0};
    if (option("ids", "")[0] != '\0') {
        load_ids(&run, option("ids", NULL));
    }
    if (option("headers", "")[0] != '\0') {
        headers = file_option("headers"); /* terminated, as every file that is read */
        client_context_headers(run.context, (const char *)headers.data);
    }
    measure(&run, -1, -1, "us CPU", 1);
    free((void *)(uintptr_t)headers.data);
    client_context_free(run.context);
    free(run.ids);
}

/* --- revoke ------------------------------------------------------------------------------------- */

enum { DECISIONS_PER_S = 1000, DECIDERS = 4 };

struct decider {
    struct run run; /* its own copy: each has its own turn */
    atomic_bool *stop;
    pthread_t thread;
    size_t late; /* decisions that began more than 10 ms after they should have */
};

/* A quarter of the decisions, at a steady rate. */
static void *decide_steadily(void *context) {
    struct decider *decider = context;
    struct client *client = NULL;
    double due = now_us();
    while (!atomic_load(decider->stop)) {
        double wait = due - now_us();
        if (wait > 0) {
            (void)usleep((useconds_t)wait);
        }
        decider->late += wait < -10e3 ? 1 : 0;
        if (!get_once(&decider->run, &client, 0)) {
            if (acks != NULL) {
                break;
            }
            give_up("loadgen: a decision failed");
        }
        (void)atomic_fetch_add(&decider->run.done, 1);
        due += 1e6 * (double)DECIDERS / (double)DECISIONS_PER_S;
    }
    client_close(client);
    return NULL;
}

/* From sending the revocation to having its (durable) answer, and then a decision that denies; us.
 * -1: the gateway is gone. */
static double revoke_one(struct client *admin, struct client *proxy,
                         const struct fleet_device *device) {
    static const char body[] = "{\"reason\":\"bench\"}";
    char path[PATH_LEN], decision[16];
    double begin = now_us();
    (void)snprintf(path, sizeof path, "/v1/credentials/%s/revoke", device->serial);
    unsigned status = client_request(admin, "POST", path, body, sizeof body - 1);
    if (status == 0 && acks != NULL) {
        return -1;
    }
    if (status != 200) {
        give_up("%s: %u %s", path, status, client_answer(admin));
    }
    acknowledged(device->serial);
    (void)snprintf(path, sizeof path, "/v1/decisions/%s", device->id);
    status = client_request(proxy, "GET", path, NULL, 0);
    double elapsed = now_us() - begin;
    if (status == 0 && acks != NULL) {
        return -1;
    }
    if (status != 200 || !client_field(proxy, decision, sizeof decision, "decision") ||
        strcmp(decision, "deny") != 0) {
        give_up("%s after its revocation: %u %s", path, status, client_answer(proxy));
    }
    return elapsed;
}

static void revoke_many(void) {
    const char *name = option("name", "revoke");
    struct fleet fleet;
    struct decider decider[DECIDERS];
    atomic_bool stop = false;
    fleet_load(&fleet, option("fleet", NULL));
    struct run run = {.context = client_context_new(option("anchors", NULL)),
                      .ids = calloc(fleet.num, sizeof *run.ids),
                      .num_ids = fleet.num,
                      .at = option("proxy", NULL),
                      .path = "/v1/decisions/",
                      .certificate = file_option("cert"),
                      .key = file_option("key")};
    for (size_t i = 0; run.ids != NULL && i < fleet.num; i++) {
        memcpy(run.ids[i], fleet.device[i].id, sizeof run.ids[i]);
    }
    struct client *admin = client_open(run.context, option("admin", NULL),
                                       file_option("admin_cert"), file_option("admin_key"));
    struct client *proxy = client_open(run.context, run.at, run.certificate, run.key);
    if (admin == NULL || proxy == NULL) {
        give_up("loadgen: no connection");
    }
    double begin = now_us(),
           end = begin + bench_seconds(strtod(option("seconds", "5"), NULL)) * 1e6;
    for (unsigned i = 0; i < DECIDERS; i++) {
        decider[i] = (struct decider){.run = run, .stop = &stop};
        if (pthread_create(&decider[i].thread, NULL, decide_steadily, &decider[i]) != 0) {
            give_up("no thread");
        }
    }
    double *latency = calloc(fleet.num, sizeof *latency);
    size_t num = 0, decisions = 0, late = 0;
    while (latency != NULL && num < fleet.num && now_us() < end) {
        latency[num] = revoke_one(admin, proxy, &fleet.device[num]);
        if (latency[num] < 0) {
            break;
        }
        num++;
        (void)usleep(5000);
    }
    double elapsed = now_us() - begin;
    atomic_store(&stop, true);
    for (unsigned i = 0; i < DECIDERS; i++) {
        (void)pthread_join(decider[i].thread, NULL);
        decisions += atomic_load(&decider[i].run.done);
        late += decider[i].late;
    }
    if (acks != NULL) {
        exit(EXIT_SUCCESS);
    }
    report(name, "revocations", (double)num, "1", -1, true);
    report(name, "decisions beside them", (double)decisions / elapsed * 1e6, "1/s", -1, true);
    report(name, "decisions that began over 10 ms late", (double)late, "1", -1, true);
    report(name, "revoke to denied, p50", percentile(latency, num, 0.5) / 1e3, "ms", -1, true);
    report(name, "revoke to denied, p99", percentile(latency, num, 0.99) / 1e3, "ms", 5, true);
    free(latency);
    client_close(admin);
    client_close(proxy);
    client_context_free(run.context);
    free(run.ids);
    fleet_free(&fleet);
}

int main(int argc, char **argv) {
    options_are(argv + 2, argc - 2);
    const char *mode = argc > 1 ? argv[1] : "";
    open_acks();
    if (strcmp(mode, "provision") == 0) {
        fleet_provision(option("store", NULL), option("key", NULL), option("certificate", NULL),
                        option("domain", NULL), strtoul(option("devices", NULL), NULL, 10),
                        option("fleet", NULL));
    } else if (strcmp(mode, "attest") == 0) {
        attest();
    } else if (strcmp(mode, "enrol") == 0) {
        enrol();
    } else if (strcmp(mode, "get") == 0) {
        get();
    } else if (strcmp(mode, "revoke") == 0) {
        revoke_many();
    } else {
        give_up("loadgen: provision, attest, enrol, get or revoke; see the source");
    }
    return EXIT_SUCCESS;
}

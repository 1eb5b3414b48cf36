#include "tests/unit/api_fixture.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/credential/profile.h"
#include "server/crypto/random.h"

#include "api/routes.h"

#include <check.h>
#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

static void must(enum status status, const struct detail *detail, const char *what) {
    ck_assert_msg(status == STATUS_OK, "%s: %s (%s)", what, status_name(status),
                  detail == NULL ? "" : detail->text);
}

/* --- authorities --- */

static void write_file(const struct gateway *g, const char *name, struct bytes content) {
    char path[128];
    struct detail detail = {0};
    (void)snprintf(path, sizeof path, "%s/%s", g->folder, name);
    must(file_create(path, 0600, content, &detail), &detail, path);
}

static void make_authority(const struct gateway *g, const char *name) {
    struct private_key *key;
    struct detail detail = {0};
    struct public_key public_key;
    uint8_t spki[KEY_SPKI_MAX], der[CERTIFICATE_DER_MAX];
    struct writer spki_out = writer_of(spki, sizeof spki), out = writer_of(der, sizeof der);
    struct arena arena;
    char file[64], *pem;
    must(private_key_generate(&key, KEY_EC_P256), NULL, "key");
    private_key_public(key, &public_key);
    must(public_key_to_spki(&spki_out, &public_key), NULL, "spki");
    struct certificate_request request = {.profile = PROFILE_CA,
                                          .spki = writer_bytes(&spki_out),
                                          .common_name = name,
                                          .not_before = clock_unix() - 3600,
                                          .not_after = clock_unix() + 3650 * (int64_t)86400};
    random_bytes(request.serial, sizeof request.serial);
    const struct issuer self = {.key = key};
    must(profile_issue(&out, &self, &request, &detail), &detail, name);
    arena_init(&arena, 65536);
    (void)snprintf(file, sizeof file, "%s.pem", name);
    write_file(g, file, bytes_of_text(certificate_to_pem(&arena, writer_bytes(&out))));
    must(private_key_to_pem(&pem, key), NULL, "pem");
    (void)snprintf(file, sizeof file, "%s.key", name);
    write_file(g, file, bytes_of_text(pem));
    free(pem);
    arena_free(&arena);
    private_key_free(key);
}

/* A P-256 key without a certificate. */
static void make_key_file(struct gateway *g, const char *file) {
    struct private_key *key;
    char *pem;
    must(private_key_generate(&key, KEY_EC_P256), NULL, "key");
    must(private_key_to_pem(&pem, key), NULL, "pem");
    write_file(g, file, bytes_of_text(pem));
    free(pem);
    private_key_free(key);
}

static void start_signer(struct gateway *g) {
    char path[4][128], results[128];
    struct detail detail = {0};
    static const char *const names[] = {"identity.key", "identity.pem", "access.key", "access.pem"};
    make_authority(g, "identity");
    make_authority(g, "access");
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%s", g->folder, names[i]);
    }
    if (!g->without_results) {
        make_key_file(g, "results.key");
    }
    (void)snprintf(results, sizeof results, "%s/results.key", g->folder);
    const char *const results_key[] = {results};
    const struct signer_options options = {
        .trust_domain = "gatehouse.test",
        .identity_key_file = path[0],
        .identity_certificate_file = path[1],
        .access_key_file = path[2],
        .access_certificate_file = path[3],
        .jws = {.issuer = g->config.issuer,
                .keys = {[JWS_RESULTS] = {results_key, g->without_results ? 0 : 1}}}};
    must(signer_start(&g->signer, &options, &detail), &detail, "signer");
}

static void make_ek_trust(struct gateway *g) {
    struct writer der = writer_of(g->ek_ca_der, sizeof g->ek_ca_der);
    struct detail detail = {0};
    struct arena arena;
    soft_ca(&g->ek_ca, &der, clock_unix());
    ck_assert(!der.overflow);
    g->ek_ca_len = der.len;
    arena_init(&arena, 65536);
    const char *pem = certificate_to_pem(&arena, writer_bytes(&der));
    must(ek_trust_new(&g->ek_trust, bytes_of_text(pem), &detail), &detail, "EK trust");
    arena_free(&arena);
}

/* --- what is there at the start --- */

void certificate_sha256_of(uint8_t out[static 32], const char *seed) {
    digest_compute(HASH_SHA256, bytes_of_text(seed), out);
}

static void register_all(struct gateway *g) {
    static const char *const roles[] = {"viewer", "operator", "author", "approver", "admin"};
    struct store_writer *writer;
    struct detail detail = {0};
    must(store_writer_new(&writer, g->store, &detail), &detail, "writer");
    must(store_begin(writer, &detail), &detail, "begin");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        struct operator_row row = {.created = clock_unix(), .updated = clock_unix()};
        (void)snprintf(row.name, sizeof row.name, "%s", roles[i]);
        (void)snprintf(row.role, sizeof row.role, "%s", roles[i]);
        row.num_certificates = 1;
        row.certificate[0].added = row.created;
        certificate_sha256_of(row.certificate[0].sha256, roles[i]);
        must(store_operator_put(writer, &row, false), NULL, "operator");
    }
    struct proxy_row proxy = {.name = "edge", .created = clock_unix()};
    proxy.updated = proxy.created;
    certificate_sha256_of(proxy.certificate_sha256, "edge");
    must(store_proxy_put(writer, &proxy, false), NULL, "proxy");
    must(store_commit(writer, &detail), &detail, "commit");
    store_writer_free(writer);
}

static void load_policy(struct gateway *g) {
    struct store_reader *reader;
    struct detail detail = {0};
    must(store_reader_new(&reader, g->store, &detail), &detail, "reader");
    must(policy_reload(g->policy, reader, &detail), &detail, "policy");
    must(fleet_table_load(g->table, reader, clock_unix(), &detail), &detail, "fleet table");
    store_reader_free(reader);
}

static void fill_config(struct gateway *g) {
    struct config *config = &g->config;
    (void)snprintf(g->anchors, sizeof g->anchors, "%s/operators.pem", g->folder);
    *config = (struct config){.trust_domain = "gatehouse.test",
                              .issuer = "https://gatehouse.test",
                              .identity_lifetime_s = 365 * 86400,
                              .enrolment_pending_max = 16,
                              .enrolment_pending_per_ip = 8,
                              .enrolment_per_ip_per_minute = 40,
                              .enrolment_expiry_s = 600,
                              .enrolment_approval_expiry_s = 7 * 86400,
                              .challenge_expiry_s = 300,
                              .challenge_max = 1000,
                              .crl_lifetime_s = 3600,
                              .crl_max_age_s = 60};
    for (size_t i = 0; i < NUM_PLANES; i++) {
        config->plane[i].enabled = true;
    }
    config->plane[PLANE_ADMIN].anchors = g->anchors;
    config->issuer = "https://gatehouse.example";
    config->signals_url = "https://gatehouse.example:8443";
    config->signals_http = true;
    config->signals_timeout_ms = 5000;
    must(value_network(&config->signals_networks[0], "127.0.0.0/8", NULL), NULL, "network");
    config->num_signals_networks = 1;
    config->plane[PLANE_ADMIN].two_person = TWO_PERSON_BASELINE_APPROVAL;
}

/* In place of the signer: the claims as they are, in base64. */
static enum status sign(void *context, const struct bytes *claims, struct bytes *token, size_t num,
                        struct arena *arena, struct detail *detail) {
    (void)context;
    (void)detail;
    for (size_t i = 0; i < num; i++) {
        const char *text =
            arena_printf(arena, "e30.%s.c2ln", base64_encode_arena(arena, claims[i]));
        token[i] = bytes_of_text(text);
    }
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

json_t *gateway_token(const char *token) {
    struct arena arena;
    struct bytes claims;
    arena_init(&arena, 1 << 20);
    const char *first = strchr(token, '.'), *second = strrchr(token, '.');
    ck_assert(first != NULL && second > first);
    must(base64_decode_arena(&arena, &claims, first + 1, (size_t)(second - first) - 1, NULL), NULL,
         token);
    json_t *json = json_loadb((const char *)claims.data, claims.len, JSON_REJECT_DUPLICATES, NULL);
    arena_free(&arena);
    ck_assert_ptr_nonnull(json);
    return json;
}

static void start_signals(struct gateway *g, enum gateway_kind kind) {
    struct detail detail = {0};
    const struct config *c = &g->config;
    const struct signals_options options = {.store = g->store,
                                            .committer = g->committer,
                                            .feed = g->feed,
                                            .log = &g->log,
                                            .issuer = c->issuer,
                                            .sign = kind == GATEWAY_WITHOUT_EVENTS ? NULL : sign,
                                            .outbound = {.allow = c->signals_networks,
                                                         .num_allow = c->num_signals_networks,
                                                         .http = c->signals_http,
                                                         .timeout_ms = c->signals_timeout_ms},
                                            .pause_after_ms =
                                                kind == GATEWAY_IMPATIENT ? 0 : 3600 * 1000,
                                            .retry_min_ms = 10,
                                            .retry_max_ms = 50,
                                            .long_poll_ms = 2000};
    must(signals_start(&g->signals, &options, &detail), &detail, "signals");
}

static void start_api(struct gateway *g) {
    struct detail detail = {0};
    const struct api_options options = {.config = &g->config,
                                        .store = g->store,
                                        .table = g->table,
                                        .policy = g->policy,
                                        .challenges = g->challenges,
                                        .committer = g->committer,
                                        .reappraisals = g->reappraisals,
                                        .previews = g->previews,
                                        .ocsp = g->ocsp,
                                        .changes = g->changes,
                                        .crl = g->crl,
                                        .signals = g->signals,
                                        .statements = g->statements,
                                        .signer = g->signer,
                                        .ek_trust = g->ek_trust,
                                        .log = &g->log};
    must(api_new(&g->api, &options, &detail), &detail, "api");
    for (enum config_plane plane = 0; plane < NUM_PLANES; plane++) {
        const struct http_service *service = api_service(g->api, plane);
        g->worker[plane] = service->worker_new(service->context, 0);
        ck_assert_ptr_nonnull(g->worker[plane]);
    }
}

static void start_log(struct gateway *g) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/log", g->folder);
    g->log = (struct log){.level = LOG_DEBUG, .form = LOG_JSON};
    g->log.fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(g->log.fd, 0);
}

char *gateway_log(const struct gateway *g) {
    char path[128];
    uint8_t *text;
    size_t len;
    struct detail detail = {0};
    (void)snprintf(path, sizeof path, "%s/log", g->folder);
    must(file_read(&text, &len, path, 1 << 20, &detail), &detail, "log");
    return (char *)text;
}

void gateway_start(struct gateway *g) {
    gateway_start_as(g, GATEWAY_USUAL);
}

void gateway_start_as(struct gateway *g, enum gateway_kind kind) {
    struct detail detail = {0};
    char path[128];
    /* At this pace refusals lock nobody out, however many a test provokes. */
    *g = (struct gateway){.folder = "/tmp/gatehouse-test-XXXXXX",
                          .pace_us = 7000000,
                          .without_results = kind == GATEWAY_WITHOUT_RESULTS};
    ck_assert_ptr_nonnull(mkdtemp(g->folder));
    fill_config(g);
    start_signer(g);
    start_log(g);
    make_ek_trust(g);
    (void)snprintf(path, sizeof path, "%s/gatehouse.db", g->folder);
    must(store_open(&g->store, path, &detail), &detail, "store");
    register_all(g);
    must(fleet_table_new(&g->table), NULL, "fleet table");
    must(policy_holder_new(&g->policy), NULL, "policy");
    must(feed_new(&g->feed, 64), NULL, "feed");
    must(challenges_new(&g->challenges, g->config.challenge_max, 300000), NULL, "challenges");
    fleet_thread_enter(); /* left again: the first worker registers this thread */
    load_policy(g);
    fleet_thread_leave();
    g->contract = openapi_load("api/openapi.yaml");
    ck_assert_msg(g->contract != NULL, "run from the root of the source");
    const struct committer_options options = {.store = g->store,
                                              .signer = g->signer,
                                              .table = g->table,
                                              .policy = g->policy,
                                              .feed = g->feed,
                                              .checkpoint_entries = CHECKPOINT_ENTRIES};
    must(committer_start(&g->committer, &options, &detail), &detail, "committer");
    const struct reappraisals_options reappraisals = {
        .store = g->store, .policy = g->policy, .committer = g->committer, .log = &g->log};
    must(reappraisals_start(&g->reappraisals, &reappraisals, &detail), &detail, "reappraisals");
    const struct change_streams_options changes = {
        .store = g->store, .feed = g->feed, .log = &g->log, .backlog = 16};
    must(change_streams_start(&g->changes, &changes, &detail), &detail, "changes");
    const struct previews_options previews = {.store = g->store, .policy = g->policy};
    must(previews_start(&g->previews, &previews, &detail), &detail, "previews");
    const struct ocsp_responder_options ocsp = {
        .signer = g->signer, .table = g->table, .log = &g->log, .validity_s = 600};
    must(ocsp_responder_start(&g->ocsp, &ocsp, &detail), &detail, "OCSP");
    const struct crl_publisher_options crl = {.store = g->store,
                                              .signer = g->signer,
                                              .feed = g->feed,
                                              .log = &g->log,
                                              .lifetime_s = 3600};
    must(crl_publisher_start(&g->crl, &crl, &detail), &detail, "CRL");
    const struct statements_options statements = {
        .signer = g->signer, .issuer = g->config.issuer, .log = &g->log};
    must(statements_start(&g->statements, &statements, &detail), &detail, "statements");
    start_signals(g, kind);
    start_api(g);
}

struct gateway *gateway_worker(const struct gateway *g) {
    struct gateway *mine = malloc(sizeof *mine);
    ck_assert_ptr_nonnull(mine);
    memcpy(mine, g, sizeof *mine);
    for (enum config_plane plane = 0; plane < NUM_PLANES; plane++) {
        const struct http_service *service = api_service(g->api, plane);
        mine->worker[plane] = service->worker_new(service->context, 1);
        ck_assert_ptr_nonnull(mine->worker[plane]);
    }
    return mine;
}

void gateway_worker_end(struct gateway *mine) {
    for (enum config_plane plane = NUM_PLANES; plane-- > 0;) {
        api_service(mine->api, plane)->worker_free(mine->worker[plane]);
    }
    free(mine);
}

void gateway_stop(struct gateway *g) {
    char command[128];
    ocsp_responder_stop(g->ocsp);
    crl_publisher_stop(g->crl);
    statements_stop(g->statements);
    previews_stop(g->previews);
    reappraisals_stop(g->reappraisals);
    signals_stop(g->signals);
    committer_stop(g->committer);
    for (enum config_plane plane = NUM_PLANES; plane-- > 0;) {
        api_service(g->api, plane)->worker_free(g->worker[plane]);
    }
    change_streams_stop(g->changes);
    api_free(g->api);
    previews_free(g->previews);
    ocsp_responder_free(g->ocsp);
    crl_publisher_free(g->crl);
    signals_free(g->signals);
    statements_free(g->statements);
    openapi_free(g->contract);
    fleet_thread_enter();
    challenges_free(g->challenges);
    policy_holder_free(g->policy);
    feed_free(g->feed);
    fleet_table_free(g->table);
    fleet_thread_leave();
    store_close(g->store);
    ek_trust_free(g->ek_trust);
    private_key_free(g->ek_ca);
    signer_free(g->signer);
    (void)close(g->log.fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", g->folder);
    ck_assert_int_eq(system(command), 0);
}

/* A disk that takes no more: no file may grow. */
void gateway_break_store(struct gateway *g, bool broken) {
    struct rlimit limit;
    (void)g;
    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = broken ? 0 : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* --- callers --- */

struct caller caller_nobody(void) {
    return (struct caller){.peer = {.address = "192.0.2.1"}};
}

struct caller caller_local(void) {
    return (struct caller){.peer = {.local = true, .address = "local"}};
}

struct caller caller_certificate(const char *seed) {
    struct caller caller = {.peer = {.authenticated = true, .address = "192.0.2.2"}};
    certificate_sha256_of(caller.peer.leaf_sha256, seed);
    return caller;
}

struct caller caller_operator(const char *role) {
    return caller_certificate(role);
}

struct caller caller_proxy(void) {
    return caller_certificate("edge");
}

/* --- exchanges --- */

struct exchange {
    struct http_exchange x; /* first */
    struct call call;
    char *body; /* a copy */
    enum http_next next;
    struct arena arena;
    char path[512];
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool resumed;
};

static void resume(struct http_exchange *x) {
    struct exchange *e = (struct exchange *)x;
    (void)pthread_mutex_lock(&e->lock);
    e->resumed = true;
    (void)pthread_cond_signal(&e->woken);
    (void)pthread_mutex_unlock(&e->lock);
}

static const char *request_header(const struct http_exchange *x, const char *name, size_t *count) {
    const struct call *c = &((const struct exchange *)(const void *)x)->call;
    const char *value = NULL;
    if (strcasecmp(name, "Content-Type") == 0) {
        value = c->content_type != NULL ? c->content_type
                : c->body != NULL       ? "application/json"
                                        : NULL;
        value = value != NULL && value[0] == '\0' ? NULL : value;
    } else if (strcasecmp(name, "If-Match") == 0) {
        value = c->if_match;
    } else if (strcasecmp(name, "Accept") == 0) {
        value = c->accept;
    } else if (strcasecmp(name, "If-None-Match") == 0) {
        value = c->if_none_match;
    } else if (strcasecmp(name, "Last-Event-ID") == 0) {
        value = c->last_event_id;
    }
    size_t num = value != NULL, len = strlen(name);
    for (size_t i = 0; c->headers != NULL && c->headers[i] != NULL; i++) {
        const char *header = c->headers[i];
        if (strncasecmp(header, name, len) == 0 && header[len] == ':') {
            value = num++ == 0 ? header + len + 2 : value;
        }
    }
    if (count != NULL) {
        *count = num;
    }
    return value;
}

static enum http_method method_of(const char *name) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++) {
        if (strcmp(names[m], name) == 0) {
            return m;
        }
    }
    return HTTP_OTHER;
}

static void begin(struct exchange *e, struct gateway *g, const struct call *c) {
    uint8_t id[16];
    *e = (struct exchange){
        .call = *c, .lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER};
    arena_init(&e->arena, (size_t)64 << 20);
    ck_assert_uint_lt(strlen(c->target), sizeof e->path);
    (void)snprintf(e->path, sizeof e->path, "%s", c->target);
    char *query = strchr(e->path, '?');
    if (query != NULL) {
        *query++ = '\0';
    }
    random_bytes(id, sizeof id);
    hex_encode(e->x.request_id, bytes_of(id, sizeof id));
    e->x.method = method_of(c->method);
    e->x.method_name = c->method;
    e->x.path = e->path;
    e->x.query = query == NULL ? "" : query;
    e->x.peer = &c->caller->peer; /* borrowed */
    e->x.received_us = clock_monotonic_us() + atomic_fetch_add(&g->later_us, g->pace_us);
    e->x.arena = &e->arena;
    e->x.worker = g->worker[c->plane];
    e->x.resume = resume;
    e->x.request_header = request_header;
}

static void wait_for(struct exchange *e) {
    (void)pthread_mutex_lock(&e->lock);
    while (!e->resumed) {
        (void)pthread_cond_wait(&e->woken, &e->lock);
    }
    e->resumed = false;
    (void)pthread_mutex_unlock(&e->lock);
}

static void keep(struct reply *out, const struct http_exchange *x) {
    size_t len = 0;
    out->status = x->status;
    (void)snprintf(out->content_type, sizeof out->content_type, "%s",
                   x->content_type == NULL ? "" : x->content_type);
    for (size_t i = 0; i < x->num_headers; i++) {
        len += (size_t)snprintf(out->headers + len, sizeof out->headers - len, "%s: %s\n",
                                x->header[i].name, x->header[i].value);
        ck_assert_uint_lt(len, sizeof out->headers);
    }
    out->len = x->answer.len;
    out->text = malloc(x->answer.len + 1);
    ck_assert_ptr_nonnull(out->text);
    if (x->answer.len > 0) {
        memcpy(out->text, x->answer.data, x->answer.len);
    }
    out->text[x->answer.len] = '\0';
    bool is_json = strstr(out->content_type, "json") != NULL &&
                   strstr(out->content_type, "ndjson") == NULL; /* lines of it are not one */
    out->json = is_json ? json_loadb(out->text, out->len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (is_json) {
        ck_assert_msg(out->json != NULL, "an answer that is not JSON: %s", out->text);
    }
}

/* The response of the contract: for this status, or else the default. */
static size_t response_of(const struct openapi *doc, const struct route *route, unsigned status) {
    char method[16], code[16], reference[OPENAPI_TEXT];
    (void)snprintf(method, sizeof method, "%s", http_method_name(route->method));
    for (char *at = method; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    (void)snprintf(code, sizeof code, "%u", status);
    size_t responses = openapi_path(doc, 0, "paths", route->pattern, method, "responses", NULL);
    size_t response = openapi_member(doc, responses, code);
    if (response == 0 && status >= 400) {
        response = openapi_member(doc, responses, "default");
    }
    size_t ref = response == 0 ? 0 : openapi_member(doc, response, "$ref");
    if (ref != 0) {
        openapi_value(doc, ref, reference);
        response = openapi_resolve(doc, reference);
    }
    return response;
}

/* What the gateway says is what the contract says that it says. */
static void hold_against_contract(const struct gateway *g, const struct http_exchange *x,
                                  enum config_plane plane, const struct reply *reply) {
    struct route_match match;
    char why[OPENAPI_TEXT] = "";
    routes_match(&match, routes_all(), plane, x->method, x->path);
    if (match.route == NULL || g->contract == NULL) {
        return;
    }
    size_t response = response_of(g->contract, match.route, reply->status);
    ck_assert_msg(response != 0, "%s %s: %u is not in the contract", x->method_name, x->path,
                  reply->status);
    if (reply->json == NULL) {
        return;
    }
    size_t schema =
        openapi_path(g->contract, response, "content", reply->content_type, "schema", NULL);
    if (schema == 0) { /* a refusal that the operation has other words for */
        schema = openapi_path(g->contract, 0, "components", "schemas", "Problem", NULL);
        ck_assert_uint_ge(reply->status, 400);
    }
    bool fits = openapi_holds(g->contract, schema, reply->json, why);
    if (!fits && reply->status >= 400) {
        schema = openapi_path(g->contract, 0, "components", "schemas", "Problem", NULL);
        fits = openapi_holds(g->contract, schema, reply->json, why);
    }
    ck_assert_msg(fits, "%s %s: %u: %s\n%s", x->method_name, x->path, reply->status, why,
                  reply->text);
}

/* As the transport does. False: the sink has answered. */
static bool pour(struct exchange *e, struct bytes body, size_t piece) {
    const struct http_sink *sink = e->x.sink;
    ck_assert_uint_le(body.len, sink->max);
    piece = piece == 0 ? body.len : piece;
    while (body.len > 0) {
        struct bytes next;
        size_t len = piece < body.len ? piece : body.len;
        ck_assert_int_eq(bytes_take(&body, len, &next), STATUS_OK);
        uint8_t *copy = malloc(len);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, next.data, len);
        bool more = sink->take(sink->context, bytes_of(copy, len));
        free(copy);
        ck_assert_int_eq(more, e->x.status == 0);
        if (!more) {
            return false;
        }
    }
    return true;
}

/* The reader of the contract has one owner at a time; tests call from several threads. */
static pthread_mutex_t contract_lock = PTHREAD_MUTEX_INITIALIZER;

struct exchange *call_start(struct gateway *g, const struct call *c) {
    const struct http_service *service = api_service(g->api, c->plane);
    struct exchange *e = malloc(sizeof *e);
    ck_assert_ptr_nonnull(e);
    begin(e, g, c);
    service->admit(service->context, &e->x);
    if (e->x.status == 0) {
        size_t len = c->body == NULL ? 0 : c->body_len != 0 ? c->body_len : strlen(c->body);
        e->body = malloc(len == 0 ? 1 : len); /* of its very size: readers past its end are seen */
        ck_assert_ptr_nonnull(e->body);
        if (len > 0) {
            memcpy(e->body, c->body, len);
        }
        bool whole = true;
        if (e->x.sink != NULL) {
            whole = pour(e, bytes_of(e->body, len), c->piece) && !c->breaks_off;
        } else {
            e->x.body = bytes_of(e->body, len);
        }
        e->next = whole ? service->handle(service->context, &e->x) : HTTP_ANSWER;
    }
    return e;
}

/* What a stream says becomes the answer. */
static void read_stream(struct exchange *e) {
    const struct http_stream *stream = e->x.stream;
    enum { STREAM_MAX = 1 << 20 };
    uint8_t *text = arena_alloc(&e->arena, STREAM_MAX);
    size_t len = 0;
    ptrdiff_t n = 0;
    ck_assert_ptr_nonnull(text);
    do {
        if (n == 0 && len != 0) {
            wait_for(e);
        }
        ck_assert_uint_ge(STREAM_MAX - len, 2 * HTTP_STREAM_PIECE);
        n = stream->read(stream->context, text + len, HTTP_STREAM_PIECE, false);
        len += n > 0 ? (size_t)n : 0;
        text[len] = '\0';
    } while (n != HTTP_STREAM_END &&
             (e->call.until == NULL || strstr((char *)text, e->call.until) == NULL));
    e->x.answer = bytes_of(text, len);
}

struct reply call_finish(struct gateway *g, struct exchange *e) {
    const struct http_service *service = api_service(g->api, e->call.plane);
    struct reply out = {0};
    while (e->next == HTTP_WAIT) {
        wait_for(e);
        e->next = service->finish(service->context, &e->x);
    }
    if (e->next == HTTP_STREAM && e->x.method != HTTP_HEAD) {
        read_stream(e);
    }
    if (!e->call.breaks_off) {
        ck_assert_uint_ne(e->x.status, 0);
        keep(&out, &e->x);
        (void)pthread_mutex_lock(&contract_lock);
        hold_against_contract(g, &e->x, e->call.plane, &out);
        (void)pthread_mutex_unlock(&contract_lock);
    }
    service->ended(service->context, &e->x);
    arena_free(&e->arena);
    free(e->body);
    free(e);
    return out;
}

struct reply call(struct gateway *g, const struct call *c) {
    const struct http_service *service = api_service(g->api, c->plane);
    struct exchange beside[8];
    ck_assert_uint_le(c->beside, 8);
    for (unsigned i = 0; i < c->beside; i++) {
        begin(&beside[i], g, c);
        service->admit(service->context, &beside[i].x);
        ck_assert_uint_eq(beside[i].x.status, 0);
    }
    struct reply out = call_finish(g, call_start(g, c));
    for (unsigned i = 0; i < c->beside; i++) {
        service->ended(service->context, &beside[i].x);
        arena_free(&beside[i].arena);
    }
    return out;
}

void reply_free(struct reply *reply) {
    free(reply->text);
    json_decref(reply->json);
    *reply = (struct reply){0};
}

const char *reply_header(const struct reply *reply, const char *name) {
    static _Thread_local char value[512];
    size_t len = strlen(name);
    for (const char *at = reply->headers; *at != '\0'; at = strchr(at, '\n') + 1) {
        if (strncasecmp(at, name, len) == 0 && at[len] == ':') {
            (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at + len + 2, "\n"),
                           at + len + 2);
            return value;
        }
    }
    return "";
}

const char *reply_text(const struct reply *reply, const char *member) {
    const char *value = json_string_value(json_object_get(reply->json, member));
    return value == NULL ? "" : value;
}

struct reply admin(struct gateway *g, const char *role, const char *method, const char *target,
                   const char *body) {
    struct caller caller = caller_operator(role);
    return call(g, &(struct call){.plane = PLANE_ADMIN,
                                  .caller = &caller,
                                  .method = method,
                                  .target = target,
                                  .body = body});
}

void check_code(const struct reply *reply, unsigned status, const char *code) {
    expect_status(*reply, status);
    if (code == NULL) {
        return;
    }
    ck_assert_str_eq(reply->content_type, "application/problem+json");
    ck_assert_str_eq(reply_text(reply, "code"), code);
    ck_assert_int_eq(json_integer_value(json_object_get(reply->json, "status")), status);
    ck_assert_str_ne(reply_text(reply, "title"), "");
    ck_assert_str_ne(reply_text(reply, "type"), "");
    ck_assert_str_ne(reply_text(reply, "detail"), "");
    ck_assert_uint_eq(strlen(reply_text(reply, "request_id")), 32);
}

void expect(struct gateway *g, const struct call *what, unsigned status, const char *code) {
    struct reply reply = call(g, what);
    check_code(&reply, status, code);
    reply_free(&reply);
}

void expect_admin(struct gateway *g, const char *role, const char *method, const char *target,
                  const char *body, unsigned status, const char *code) {
    struct reply reply = admin(g, role, method, target, body);
    check_code(&reply, status, code);
    reply_free(&reply);
}

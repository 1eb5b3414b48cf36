#include "server/commands/gateway.h"

#include "config/value.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/commands/gateway_authorities.h"
#include "server/commands/gateway_leaked_keys.h"
#include "server/commands/gateway_note.h"
#include "server/commands/gateway_signals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EK_TRUST_FILE_MAX = 4 << 20 };
enum { ARENA_BASE = 8 << 20, METRICS_SIZE = 8192 };
enum { FEED_CAPACITY = 4096 }; /* changes: about 2 MB */

/* --- parts ---------------------------------------------------------------------------------- */

static enum status start_signer(struct gateway *g, struct detail *detail) {
    const struct signer_options options = {
        .trust_domain = g->config->trust_domain,
        .identity_key_file = g->config->identity_key,
        .identity_certificate_file = g->config->identity_certificate,
        .access_key_file = g->config->access_key,
        .access_certificate_file = g->config->access_certificate,
        .access_authorities_file = g->config->access_authorities,
        .public_url = g->config->plane[PLANE_PUBLIC].url,
        .jws = {
            .issuer = g->config->issuer,
            .keys = {[JWS_RESULTS] = {g->config->results_keys.file, g->config->results_keys.num},
                     [JWS_EVENTS] = {g->config->events_keys.file, g->config->events_keys.num}}}};
    enum status status = signer_start(&g->signer, &options, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "signer");
    }
    return status;
}

/* All files as one bundle; again for a reload. */
static enum status load_ek_trust(struct gateway *g, struct detail *detail) {
    struct arena arena;
    arena_init(&arena, (size_t)2 * CONFIG_MAX_EK_TRUST * EK_TRUST_FILE_MAX);
    char *all = arena_text(&arena, "");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < g->config->num_ek_trust && status == STATUS_OK; i++) {
        uint8_t *text = NULL;
        size_t len = 0;
        status = file_read(&text, &len, g->config->ek_trust[i], EK_TRUST_FILE_MAX, detail);
        if (status == STATUS_OK) {
            all = arena_printf(&arena, "%s%s\n", all, (const char *)text);
            status = all == NULL ? status_fail(detail, STATUS_MEMORY, "out of memory") : STATUS_OK;
        }
        free(text);
    }
    if (status == STATUS_OK && g->config->num_ek_trust > 0) {
        status = g->ek_trust == NULL ? ek_trust_new(&g->ek_trust, bytes_of_text(all), detail)
                                     : ek_trust_replace(g->ek_trust, bytes_of_text(all), detail);
    }
    arena_free(&arena);
    if (status != STATUS_OK) {
        detail_prefix(detail, "enrolment.ek_trust");
    }
    return status;
}

static enum status load_fleet(struct gateway *g, struct detail *detail) {
    enum status status = fleet_table_new(&g->table);
    if (status == STATUS_OK) {
        fleet_thread_enter();
        g->entered = true;
        status = policy_holder_new(&g->policy);
    }
    if (status == STATUS_OK) {
        status = feed_new(&g->feed, FEED_CAPACITY);
    }
    if (status != STATUS_OK) {
        return status_fail(detail, status, "fleet table: out of memory");
    }
    struct store_reader *reader = NULL;
    status = gateway_leaked_keys_load(g, detail);
    if (status == STATUS_OK) {
        status = store_reader_new(&reader, g->store, detail);
    }
    if (status == STATUS_OK) {
        status = policy_reload(g->policy, reader, detail);
    }
    if (status == STATUS_OK) {
        status = fleet_table_load(g->table, reader, clock_unix(), detail);
    }
    store_reader_free(reader);
    if (status == STATUS_OK) {
        struct fleet_size size = fleet_table_size(g->table);
        log_event(g->log, LOG_INFO, "fleet_loaded", log_int("devices", size.devices),
                  log_int("credentials", size.credentials));
    }
    return status;
}

static void signer_is_gone(void *context) {
    const struct gateway *g = context;
    uint64_t one = 1;
    ssize_t written = write(g->fatal_fd, &one, sizeof one);
    (void)written; /* only fails when it was said often enough already */
}

static enum status start_committer(struct gateway *g, struct detail *detail) {
    const struct committer_options options = {.store = g->store,
                                              .signer = g->signer,
                                              .table = g->table,
                                              .policy = g->policy,
                                              .feed = g->feed,
                                              .log = g->log,
                                              .fatal = signer_is_gone,
                                              .fatal_context = g};
    return committer_start(&g->committer, &options, detail);
}

static enum status start_changes(struct gateway *g, struct detail *detail) {
    const struct change_streams_options options = {
        .store = g->store, .feed = g->feed, .log = g->log};
    return change_streams_start(&g->changes, &options, detail);
}

static enum status start_reappraisals(struct gateway *g, struct detail *detail) {
    const struct reappraisals_options options = {
        .store = g->store, .policy = g->policy, .committer = g->committer, .log = g->log};
    const struct previews_options previews = {.store = g->store, .policy = g->policy};
    enum status status = reappraisals_start(&g->reappraisals, &options, detail);
    return status == STATUS_OK ? previews_start(&g->previews, &previews, detail) : status;
}

static enum status start_statements(struct gateway *g, struct detail *detail) {
    const struct statements_options options = {
        .signer = g->signer, .issuer = g->config->issuer, .log = g->log};
    return statements_start(&g->statements, &options, detail);
}

static enum status start_ocsp(struct gateway *g, struct detail *detail) {
    const struct ocsp_responder_options options = {.signer = g->signer,
                                                   .table = g->table,
                                                   .log = g->log,
                                                   .validity_s = g->config->ocsp_lifetime_s,
                                                   .fatal = signer_is_gone,
                                                   .fatal_context = g};
    return ocsp_responder_start(&g->ocsp, &options, detail);
}

/* Before anybody is served: who asks finds a list. */
static enum status start_crl(struct gateway *g, struct detail *detail) {
    const struct crl_publisher_options options = {.store = g->store,
                                                  .signer = g->signer,
                                                  .feed = g->feed,
                                                  .log = g->log,
                                                  .lifetime_s = g->config->crl_lifetime_s,
                                                  .fatal = signer_is_gone,
                                                  .fatal_context = g};
    return crl_publisher_start(&g->crl, &options, detail);
}

/* --- metrics of the transport ------------------------------------------------------------------
 */

struct metric {
    const char *name, *kind, *help;
    size_t offset; /* in struct transport_counters */
};

static void put_metric(struct writer *out, const struct metric *metric,
                       const struct transport_counters counters[static NUM_PLANES],
                       const struct config *config) {
    char line[256];
    (void)snprintf(line, sizeof line, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s %s\n",
                   metric->name, metric->help, metric->name, metric->kind);
    write_bytes(out, bytes_of_text(line));
    for (int plane = 0; plane < NUM_PLANES; plane++) {
        if (!config->plane[plane].enabled) {
            continue;
        }
        uint64_t value;
        memcpy(&value, (const uint8_t *)&counters[plane] + metric->offset, sizeof value);
        (void)snprintf(line, sizeof line, "gatehouse_%s{plane=\"%s\"} %" PRIu64 "\n", metric->name,
                       config_plane_name((enum config_plane)plane), value);
        write_bytes(out, bytes_of_text(line));
    }
}

#define COUNTER(field) offsetof(struct transport_counters, field)

static void transport_metrics(void *context, struct arena *arena, char **out) {
    static const struct metric metrics[] = {
        {"connections", "gauge", "Connections now.", COUNTER(open)},
        {"connections_total", "counter", "Connections accepted.", COUNTER(accepted)},
        {"connections_refused_total", "counter", "Refused: too many in all.", COUNTER(refused_cap)},
        {"connections_refused_per_ip_total", "counter", "Refused: too many from one address.",
         COUNTER(refused_ip_cap)},
        {"handshakes_total", "counter", "TLS handshakes done.", COUNTER(handshakes)},
        {"handshake_failures_total", "counter", "TLS handshakes that failed.",
         COUNTER(handshake_failures)},
        {"handshake_timeouts_total", "counter", "TLS handshakes that took too long.",
         COUNTER(handshake_timeouts)},
    };
    struct gateway *g = context;
    const struct transport *transport = atomic_load(&g->transport);
    char *text = arena_alloc(arena, METRICS_SIZE);
    struct transport_counters counters[NUM_PLANES] = {0};
    if (transport == NULL || text == NULL) {
        return;
    }
    for (int plane = 0; plane < NUM_PLANES; plane++) {
        if (g->config->plane[plane].enabled) {
            transport_count(transport, config_plane_name((enum config_plane)plane),
                            &counters[plane]);
        }
    }
    struct writer w = writer_of(text, METRICS_SIZE - 1);
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        put_metric(&w, &metrics[i], counters, g->config);
    }
    text[w.len] = '\0';
    *out = text;
}

/* --- the API and the planes ----------------------------------------------------------------- */

static enum status open_api(struct gateway *g, struct detail *detail) {
    const struct api_options options = {.config = g->config,
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
                                        .log = g->log,
                                        .metrics = transport_metrics,
                                        .metrics_context = g};
    return api_new(&g->api, &options, detail);
}

static bool has_port(const struct config_listener *listener) {
    for (size_t i = 0; i < CONFIG_MAX_LISTEN && listener->listen[i] != NULL; i++) {
        if (strncmp(listener->listen[i], "unix:", 5) != 0) {
            return true;
        }
    }
    return false;
}

static struct transport_plane plane_of(const struct gateway *g, enum config_plane plane) {
    const struct config_listener *c = &g->config->plane[plane];
    bool plain = plane == PLANE_PUBLIC || !has_port(c);
    struct transport_plane out = {.name = config_plane_name(plane),
                                  .unix_mode = c->unix_mode,
                                  .security = plain                  ? TRANSPORT_PLAIN
                                              : plane == PLANE_ENROL ? TRANSPORT_TLS_SERVER
                                                                     : TRANSPORT_TLS_MUTUAL,
                                  .certificate_file = plain ? NULL : c->certificate,
                                  .key_file = plain ? NULL : c->key,
                                  .anchors_file = plain || plane == PLANE_ENROL ? NULL : c->anchors,
                                  .tls12 = g->config->tls12,
                                  .limits = {.body_max = c->body_max,
                                             .header_max = c->header_max,
                                             .arena_max = 2 * c->body_max + ARENA_BASE,
                                             .connections = c->connections,
                                             .connections_per_ip = c->connections_per_ip,
                                             .handshake_ms = c->handshake_ms,
                                             .header_ms = c->header_ms,
                                             .body_ms = c->body_ms,
                                             .idle_ms = c->idle_ms},
                                  .service = api_service(g->api, plane)};
    _Static_assert((int)TRANSPORT_MAX_LISTEN == (int)CONFIG_MAX_LISTEN, "as many addresses");
    memcpy(out.listen, c->listen, sizeof out.listen);
    return out;
}

static enum status start_transport(struct gateway *g, struct detail *detail) {
    struct transport_plane planes[NUM_PLANES];
    size_t num = 0;
    for (int plane = 0; plane < NUM_PLANES; plane++) {
        if (g->config->plane[plane].enabled) {
            planes[num++] = plane_of(g, (enum config_plane)plane);
        }
    }
    const struct transport_options options = {.workers = g->config->workers, .log = g->log};
    struct transport *transport = NULL;
    enum status status = transport_start(&transport, &options, planes, num, detail);
    if (status == STATUS_OK) {
        atomic_store(&g->transport, transport);
    }
    return status;
}

/* --- all of it ------------------------------------------------------------------------------ */

static enum status make_challenges(struct gateway *g, struct detail *detail) {
    enum status status = challenges_new(&g->challenges, g->config->challenge_max,
                                        (int64_t)g->config->challenge_expiry_s * 1000);
    return status == STATUS_OK ? STATUS_OK : status_fail(detail, status, "challenges: no memory");
}

static enum status open_store(struct gateway *g, struct detail *detail) {
    enum status status = store_open(&g->store, g->config->store_path, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "store %s", g->config->store_path);
    }
    return status;
}

enum status gateway_open(struct gateway *g, struct detail *detail) {
    /* The signer is forked first: nothing of what follows may be in its memory. */
    static enum status (*const steps[])(struct gateway *, struct detail *) = {
        start_signer,    open_store,      load_ek_trust,    load_fleet,
        make_challenges, start_committer, start_changes,    start_reappraisals,
        start_ocsp,      start_crl,       start_statements, gateway_signals_start,
        open_api,        start_transport};
    g->fatal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (g->fatal_fd < 0) {
        return status_fail(detail, STATUS_INTERNAL, "eventfd: %s", strerror(errno));
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        enum status status = steps[i](g, detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

void gateway_close(struct gateway *g, unsigned grace_ms) {
    struct transport *transport = atomic_load(&g->transport);
    if (transport != NULL) {
        api_set_ready(g->api, false);
        previews_stop(g->previews); /* nobody waits for these to end */
        signals_end_polls(g->signals);
        transport_stop(transport, grace_ms); /* the committer still answers who waits */
        api_drain(g->api);
    }
    ocsp_responder_stop(g->ocsp);
    crl_publisher_stop(g->crl);
    statements_stop(g->statements);
    gateway_note_stop(g);
    previews_stop(g->previews);
    reappraisals_stop(g->reappraisals);
    signals_stop(g->signals);
    committer_stop(g->committer);
    transport_free(transport);
    change_streams_stop(g->changes);
    api_free(g->api);
    previews_free(g->previews);
    ocsp_responder_free(g->ocsp);
    crl_publisher_free(g->crl);
    signals_free(g->signals);
    statements_free(g->statements);
    challenges_free(g->challenges);
    policy_holder_free(g->policy);
    feed_free(g->feed);
    fleet_table_free(g->table);
    if (g->entered) {
        fleet_thread_leave();
    }
    ek_trust_free(g->ek_trust);
    store_close(g->store);
    signer_free(g->signer);
    if (g->fatal_fd >= 0) {
        (void)close(g->fatal_fd);
    }
}

enum status gateway_reload(struct gateway *g, struct detail *detail) {
    enum status status = transport_reload(atomic_load(&g->transport), detail);
    if (status == STATUS_OK) {
        status = load_ek_trust(g, detail);
    }
    if (status == STATUS_OK) {
        status = gateway_leaked_keys_reload(g, detail);
    }
    return status == STATUS_OK ? gateway_authorities_reload(g, detail) : status;
}

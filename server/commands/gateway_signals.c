#include "server/commands/gateway_signals.h"

#include <curl/curl.h>
#include <string.h>

/* Tokens, by the signer's key for events. */
static enum status sign(void *context, const struct bytes *claims, struct bytes *token, size_t num,
                        struct arena *arena, struct detail *detail) {
    struct jws_job *job = arena_array(arena, num, sizeof *job);
    struct jws_job **jobs = arena_array(arena, num, sizeof *jobs);
    if (job == NULL || jobs == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < num; i++) {
        size_t max = jws_token_max(claims[i].len);
        uint8_t *out = arena_alloc(arena, max);
        if (out == NULL) {
            return STATUS_MEMORY;
        }
        job[i] = (struct jws_job){
            .purpose = JWS_EVENTS, .payload = claims[i], .token = writer_of(out, max)};
        jobs[i] = &job[i];
    }
    enum status status = signer_jws(context, jobs, num, detail);
    for (size_t i = 0; i < num && status == STATUS_OK; i++) {
        status = job[i].status;
        token[i] = writer_bytes(&job[i].token);
    }
    return status;
}

enum status gateway_signals_start(struct gateway *g, struct detail *detail) {
    const struct config *c = g->config;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return status_fail(detail, STATUS_INTERNAL, "libcurl does not start");
    }
    const struct signals_options options = {.store = g->store,
                                            .committer = g->committer,
                                            .feed = g->feed,
                                            .log = g->log,
                                            .issuer = c->issuer,
                                            .sign = c->events_keys.num > 0 ? sign : NULL,
                                            .sign_context = g->signer,
                                            .outbound = {.allow = c->signals_networks,
                                                         .num_allow = c->num_signals_networks,
                                                         .http = c->signals_http,
                                                         .ca_file = c->signals_ca,
                                                         .timeout_ms = c->signals_timeout_ms},
                                            .pause_after_ms =
                                                (int64_t)c->signals_pause_after_s * 1000};
    return signals_start(&g->signals, &options, detail);
}

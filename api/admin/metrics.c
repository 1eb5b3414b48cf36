/* GET /metrics: counters and gauges as Prometheus text (exposition format 0.0.4). */
#include "api/admin/admin.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { METRICS_MAX = 64 * 1024 };

static void put(struct writer *out, const char *format, ...) PRINTF_LIKE(2, 3);

static void put(struct writer *out, const char *format, ...) {
    char line[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    write_bytes(out, bytes_of(line, len < 0 ? 0 : (size_t)len));
}

static void put_head(struct writer *out, const char *name, const char *type, const char *help) {
    put(out, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s %s\n", name, help, name, type);
}

static void put_one(struct writer *out, const char *name, const char *type, const char *help,
                    uint64_t value) {
    put_head(out, name, type, help);
    put(out, "gatehouse_%s %" PRIu64 "\n", name, value);
}

static void put_labelled(struct writer *out, const char *name, const char *label,
                         const char *label_value, uint64_t value) {
    put(out, "gatehouse_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, label_value, value);
}

static uint64_t read_counter(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void put_requests(struct writer *out, const struct api_counters *counters) {
    put_head(out, "requests_total", "counter", "Requests answered, by plane and class of status.");
    for (enum config_plane plane = 0; plane < NUM_PLANES; plane++) {
        for (unsigned class = 1; class < STATUS_CLASSES; class ++) {
            put(out, "gatehouse_requests_total{plane=\"%s\",status=\"%uxx\"} %" PRIu64 "\n",
                config_plane_name(plane), class, read_counter(&counters->requests[plane][class]));
        }
    }
}

static void put_outcomes(struct writer *out, const struct api_counters *counters) {
    put_head(out, "decisions_total", "counter", "Decisions given to proxies.");
    put_labelled(out, "decisions_total", "decision", "allow",
                 read_counter(&counters->decisions_allow));
    put_labelled(out, "decisions_total", "decision", "deny",
                 read_counter(&counters->decisions_deny));
    put_head(out, "evidence_total", "counter", "Evidence, by what came of it.");
    put_labelled(out, "evidence_total", "outcome", "trusted", read_counter(&counters->trusted));
    put_labelled(out, "evidence_total", "outcome", "untrusted", read_counter(&counters->untrusted));
    put_labelled(out, "evidence_total", "outcome", "refused",
                 read_counter(&counters->evidence_refused));
    put_head(out, "enrolments_total", "counter", "Enrolments, by what came of them.");
    put_labelled(out, "enrolments_total", "outcome", "enrolled",
                 read_counter(&counters->enrolments));
    put_labelled(out, "enrolments_total", "outcome", "enrolled_again",
                 read_counter(&counters->enrolments_again));
    put_labelled(out, "enrolments_total", "outcome", "pending_approval",
                 read_counter(&counters->enrolments_pending));
    put_labelled(out, "enrolments_total", "outcome", "refused",
                 read_counter(&counters->enrolments_refused));
    put_head(out, "ak_conflicts_total", "counter", "Enrolments refused for their attestation key.");
    put_labelled(out, "ak_conflicts_total", "kind", "in_use", read_counter(&counters->ak_in_use));
    put_labelled(out, "ak_conflicts_total", "kind", "revoked", read_counter(&counters->ak_revoked));
}

static void put_authorized(struct writer *out, const struct api_counters *counters) {
    static const char *const outcomes[NUM_AUTHORIZE_OUTCOMES] = {[AUTHORIZE_ALLOWED] = "allowed",
                                                                 [AUTHORIZE_NO_CERTIFICATE] =
                                                                     "no_certificate",
                                                                 [AUTHORIZE_DENIED] = "denied",
                                                                 [AUTHORIZE_REFUSED] = "refused",
                                                                 [AUTHORIZE_FAILED] = "failed"};
    put_head(out, "authorize_total", "counter", "Answers of /v1/authorize, by what came of it.");
    for (size_t i = 0; i < NUM_AUTHORIZE_OUTCOMES; i++) {
        put_labelled(out, "authorize_total", "outcome", outcomes[i],
                     read_counter(&counters->authorized[i]));
    }
    put_head(out, "dialect_refusals_total", "counter",
             "Certificate headers that were refused, by the proxy's dialect.");
    for (enum dialect dialect = DIALECT_NGINX; dialect < NUM_DIALECTS; dialect++) {
        put_labelled(out, "dialect_refusals_total", "dialect", dialect_names[dialect],
                     read_counter(&counters->dialect_refusals[dialect]));
    }
}

static void put_committer(struct writer *out, const struct committer *committer) {
    struct committer_counters c;
    committer_count(committer, &c);
    put_one(out, "commit_batches_total", "counter", "Transactions written.", c.batches);
    put_one(out, "commits_total", "counter", "Changes written.", c.commits);
    put_one(out, "commit_failures_total", "counter", "Changes that were not written.", c.failures);
    put_one(out, "commit_largest_batch", "gauge", "Changes in the largest transaction.",
            c.largest_batch);
    put_one(out, "storage_retries_total", "counter", "Transactions tried again.",
            c.storage_retries);
    put_head(out, "baseline_steps_total", "counter", "What happened to baselines by itself.");
    put_labelled(out, "baseline_steps_total", "step", "activated", c.baselines_activated);
    put_labelled(out, "baseline_steps_total", "step", "retired", c.baselines_retired);
    put_labelled(out, "baseline_steps_total", "step", "not_activated", c.baselines_not_activated);
    put_labelled(out, "baseline_steps_total", "step", "ring_opened", c.rings_opened);
    put_labelled(out, "baseline_steps_total", "step", "rollout_halted", c.rollouts_halted);
    put_labelled(out, "baseline_steps_total", "step", "rollout_complete", c.rollouts_completed);
}

static void put_rollouts(struct writer *out, const int64_t num[static 6]) {
    static const enum rollout_state states[] = {ROLLOUT_SCHEDULED, ROLLOUT_RUNNING, ROLLOUT_HALTED,
                                                ROLLOUT_COMPLETE, ROLLOUT_ENDED};
    put_head(out, "rollouts", "gauge", "Rollouts of baselines, by state.");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        put_labelled(out, "rollouts", "state", rollout_state_name(states[i]),
                     (uint64_t)num[states[i]]);
    }
}

static void put_fleet(struct writer *out, const struct fleet_table *table) {
    struct fleet_size size = fleet_table_size(table);
    put_one(out, "devices", "gauge", "Devices in the fleet table.", size.devices);
    put_one(out, "credentials", "gauge", "Access credentials in the fleet table.",
            size.credentials);
}

static void put_reappraisals(struct writer *out, const struct reappraisals *reappraisals) {
    struct reappraisals_counters c = {0};
    if (reappraisals != NULL) {
        reappraisals_count(reappraisals, &c);
    }
    put_one(out, "reappraisals_total", "counter", "Re-appraisals of the fleet carried out.",
            c.done);
    put_one(out, "reappraisal_devices_total", "counter", "Devices that they looked at.", c.judged);
    put_head(out, "reappraisal_outcomes_total", "counter", "Devices, by what came of that.");
    put_labelled(out, "reappraisal_outcomes_total", "outcome", "now_trusted", c.now_trusted);
    put_labelled(out, "reappraisal_outcomes_total", "outcome", "now_untrusted", c.now_untrusted);
    put_labelled(out, "reappraisal_outcomes_total", "outcome", "superseded", c.superseded);
    put_labelled(out, "reappraisal_outcomes_total", "outcome", "without_facts", c.without_facts);
    put_labelled(out, "reappraisal_outcomes_total", "outcome", "damaged", c.damaged);
    put_one(out, "reappraisal_revocations_total", "counter", "Credentials that they revoked.",
            c.credentials_revoked);
    put_one(out, "reappraisal_retries_total", "counter", "Times that they had to wait.", c.retries);
}

static void put_ocsp(struct writer *out, const struct ocsp_responder *ocsp) {
    struct ocsp_counts c = ocsp_responder_count(ocsp);
    put_head(out, "ocsp_answers_total", "counter", "OCSP answers, by where they came from.");
    put_labelled(out, "ocsp_answers_total", "from", "cache", c.cached);
    put_labelled(out, "ocsp_answers_total", "from", "signer", c.signed_anew);
    put_labelled(out, "ocsp_answers_total", "from", "error", c.errors);
}

static void put_changes(struct writer *out, struct change_streams *changes) {
    struct change_counters c;
    change_streams_count(changes, &c);
    put_one(out, "change_readers", "gauge", "Streams of changes that are being read.", c.readers);
    put_one(out, "change_readers_total", "counter", "Streams of changes begun.", c.opened);
    put_one(out, "changes_total", "counter", "Changes in trust that were told.", c.events);
    put_one(out, "change_snapshots_total", "counter", "Snapshots told whole.", c.snapshots);
    put_head(out, "change_streams_ended_total", "counter", "Streams that we ended, by reason.");
    put_labelled(out, "change_streams_ended_total", "reason", "reset", c.resets);
    put_labelled(out, "change_streams_ended_total", "reason", "too_slow", c.dropped_slow);
    put_labelled(out, "change_streams_ended_total", "reason", "access_ended", c.dropped_access);
}

static void put_crl(struct writer *out, struct crl_publisher *crl) {
    struct crl_counts c = crl_publisher_count(crl);
    put_one(out, "crls_total", "counter", "Lists of revoked credentials that were made.", c.made);
    put_one(out, "crl_failures_total", "counter", "Lists that could not be made.", c.failures);
    put_one(out, "crl_entries", "gauge", "Credentials on the lists as they are now.", c.entries);
    put_one(out, "crl_bytes", "gauge", "The size of these lists.", c.bytes);
}

static void put_signals(struct writer *out, const struct signals *signals) {
    struct signals_counters c = {0};
    if (signals != NULL) {
        signals_count(signals, &c);
    }
    put_head(out, "signals_total", "counter", "Events to receivers, by what came of them.");
    put_labelled(out, "signals_total", "outcome", "delivered", c.delivered);
    put_labelled(out, "signals_total", "outcome", "refused", c.refused);
    put_labelled(out, "signals_total", "outcome", "dropped", c.dropped);
    put_one(out, "signal_failures_total", "counter", "Attempts to deliver one that failed.",
            c.failures);
    put_one(out, "streams_paused_total", "counter", "Streams that were paused for their failures.",
            c.paused);
    put_head(out, "streams", "gauge", "Streams of events to receivers, by status.");
    for (enum stream_status s = STREAM_ENABLED; s <= STREAM_DISABLED; s++) {
        put_labelled(out, "streams", "status", stream_status_name(s), c.streams[s]);
    }
    put_one(out, "streams_behind", "gauge",
            "Changes that the stream furthest behind has before it.", c.behind);
}

enum http_next metrics_show(struct request *r) {
    struct http_exchange *x = r->x;
    const struct api_options *options = &r->api->options;
    char *extra = NULL;
    int64_t rollouts[6];
    enum status status = store_rollout_counts(r->worker->reader, rollouts);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    char *buffer = arena_alloc(x->arena, METRICS_MAX);
    if (buffer == NULL || !http_add_header(x, "Cache-Control", "no-store")) {
        return problem(x, PROBLEM_INTERNAL);
    }
    struct writer out = writer_of(buffer, METRICS_MAX);
    put_head(&out, "info", "gauge", "The program's version.");
    put(&out, "gatehouse_info{version=\"%s\"} 1\n", GATEHOUSE_VERSION);
    put_requests(&out, &r->api->counters);
    put_outcomes(&out, &r->api->counters);
    put_authorized(&out, &r->api->counters);
    put_committer(&out, options->committer);
    put_rollouts(&out, rollouts);
    put_fleet(&out, options->table);
    put_reappraisals(&out, options->reappraisals);
    put_signals(&out, options->signals);
    put_one(&out, "previews_total", "counter", "Previews of baselines.",
            previews_count(options->previews));
    put_ocsp(&out, options->ocsp);
    put_changes(&out, options->changes);
    put_crl(&out, options->crl);
    if (options->metrics != NULL) {
        options->metrics(options->metrics_context, x->arena, &extra);
        write_bytes(&out, bytes_of_text(extra == NULL ? "" : extra));
    }
    if (out.overflow) {
        return problem(x, PROBLEM_INTERNAL);
    }
    x->status = 200;
    x->content_type = "text/plain; version=0.0.4; charset=utf-8";
    x->answer = writer_bytes(&out);
    return HTTP_ANSWER;
}

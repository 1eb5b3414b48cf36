#include "server/fleet/reappraisal_commit.h"

#include "server/base/json_out.h"
#include "server/fleet/audit_chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { APPRAISALS_KEPT = 64, BATCH_BYTES_MAX = 64 << 20, AUDIT_BYTES_MAX = 16 << 10 };

static struct reappraisal_batch *batch_of(struct commit *commit) {
    return (struct reappraisal_batch *)(void *)commit;
}

/* --- what the audit says --- */

static enum status append(struct store_writer *writer, const struct reappraisal_batch *b,
                          const char *action, const char *kind, const char *id, struct bytes before,
                          struct bytes after, struct detail *detail) {
    struct audit_row entry = {
        .time_ms = b->now_ms, .actor = "system", .before = before, .after = after};
    (void)snprintf(entry.action, sizeof entry.action, "%s", action);
    (void)snprintf(entry.object, sizeof entry.object, "%s:%s", kind, id);
    return before.len == 0 || after.len == 0 ? STATUS_MEMORY : audit_append(writer, &entry, detail);
}

static struct bytes standing_json(struct arena *arena, int verdict, int tier,
                                  const char *appraisal_id, const char *baseline_id) {
    struct json_out o;
    json_out_init(&o, arena, 256);
    json_out_object(&o, NULL);
    json_out_text(&o, "verdict", verdict_name((enum verdict)verdict));
    json_out_text(&o, "tier", tier_name((enum tier)tier));
    json_out_text_or_null(&o, "appraisal_id", appraisal_id);
    json_out_text_or_null(&o, "baseline_id", baseline_id);
    json_out_object_end(&o);
    return json_out_end(&o);
}

static struct bytes found_json(struct arena *arena, const struct reappraisal_batch *b,
                               const struct reappraised *d, size_t num_revoked) {
    struct json_out o;
    json_out_init(&o, arena, 512);
    json_out_object(&o, NULL);
    json_out_text(&o, "reappraisal_id", b->job.id);
    json_out_text(&o, "cause", b->job.cause);
    json_out_text(&o, "enforce", enforcement_name(b->job.enforce));
    json_out_bool(&o, "stands", d->stands);
    json_out_text(&o, "verdict", verdict_name((enum verdict)d->row.verdict));
    json_out_text(&o, "tier", tier_name((enum tier)d->row.tier));
    json_out_text(&o, "appraisal_id", d->row.appraisal_id);
    json_out_text_or_null(&o, "baseline_id", d->row.baseline_id);
    json_out_int(&o, "credentials_revoked", (int64_t)num_revoked);
    json_out_object_end(&o);
    return json_out_end(&o);
}

static enum status audit_device(struct store_writer *writer, const struct reappraisal_batch *b,
                                const struct reappraised *d, size_t num_revoked,
                                struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, AUDIT_BYTES_MAX);
    struct bytes before =
        standing_json(&arena, d->was.verdict, d->was.tier, d->was.appraisal_id, d->was.baseline_id);
    return append(writer, b, "device.reappraise", "device", d->row.device_id, before,
                  found_json(&arena, b, d, num_revoked), detail);
}

/* --- in the store --- */

static bool is_trusted(int verdict) {
    return verdict == VERDICT_TRUSTED;
}

static void count_change(struct reappraisal_counts *counts, const struct reappraised *d,
                         size_t num_revoked) {
    int was = d->was.has_found && !d->stands ? d->was.found_verdict : d->was.verdict;
    counts->changed++;
    counts->now_trusted += !is_trusted(was) && is_trusted(d->row.verdict);
    counts->now_untrusted += is_trusted(was) && !is_trusted(d->row.verdict);
    counts->credentials_revoked += (int64_t)num_revoked;
}

/* What the device has no right to any more. */
static enum status revoke(const struct reappraisal_batch *b, const struct reappraised *d,
                          struct store_writer *writer, size_t *num) {
    int64_t now = b->now_ms / 1000;
    if (!d->earns) {
        return store_credential_revoke_device(writer, d->row.device_id, now, "reappraised", num);
    }
    return store_credential_revoke_above(writer, d->row.device_id, d->row.tier, now, "tier_sank",
                                         num);
}

/* CONFLICT: new evidence came in, or the device went. */
static enum status apply_device(struct reappraisal_batch *b, struct reappraised *d,
                                struct store_writer *writer, struct detail *detail) {
    size_t num_revoked = 0;
    enum status status = store_device_reappraise(writer, &d->row, d->stands);
    if (status != STATUS_OK) {
        return status;
    }
    status = store_device_state(store_writer_reader(writer), &d->state, d->row.device_id);
    if (status == STATUS_OK) {
        status = store_appraisal_insert(writer, &d->appraisal, APPRAISALS_KEPT);
    }
    if (status == STATUS_OK && d->stands) {
        status = revoke(b, d, writer, &num_revoked);
    }
    if (status == STATUS_OK && d->audited) {
        status = audit_device(writer, b, d, num_revoked, detail);
    }
    if (status == STATUS_OK) {
        d->applied = true;
        count_change(&b->after.counts, d, num_revoked);
    }
    return status == STATUS_CONFLICT || status == STATUS_NOT_FOUND ? STATUS_INTERNAL : status;
}

static bool policy_is_that(const struct reappraisal_batch *b) {
    uint64_t now = policy_generation(policy_read_begin(b->policy));
    policy_read_end(b->policy);
    return now == b->generation && committer_policy_is_current(b->committer);
}

static struct bytes counts_json(struct arena *arena, const struct reappraisal_row *job) {
    const struct reappraisal_counts *c = &job->counts;
    struct json_out o;
    json_out_init(&o, arena, 512);
    json_out_object(&o, NULL);
    json_out_text(&o, "cause", job->cause);
    json_out_int(&o, "judged", c->judged);
    json_out_int(&o, "changed", c->changed);
    json_out_int(&o, "now_trusted", c->now_trusted);
    json_out_int(&o, "now_untrusted", c->now_untrusted);
    json_out_int(&o, "credentials_revoked", c->credentials_revoked);
    json_out_int(&o, "superseded", c->superseded);
    json_out_int(&o, "without_facts", c->without_facts);
    json_out_int(&o, "damaged", c->damaged);
    json_out_object_end(&o);
    return json_out_end(&o);
}

static enum status write_job(struct reappraisal_batch *b, struct store_writer *writer,
                             struct detail *detail) {
    enum status status = store_reappraisal_update(writer, &b->after);
    if (status != STATUS_OK || b->after.state != REAPPRAISAL_DONE) {
        return status;
    }
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, AUDIT_BYTES_MAX);
    return append(writer, b, "reappraisal.finish", "reappraisal", b->job.id, bytes_of_text("null"),
                  counts_json(&arena, &b->after), detail);
}

static enum status apply(struct commit *commit, struct store_writer *writer,
                         struct detail *detail) {
    struct reappraisal_batch *b = batch_of(commit);
    b->after = b->job;
    b->outdated = !policy_is_that(b);
    if (b->outdated) {
        return STATUS_CONFLICT;
    }
    for (size_t i = 0; i < b->num; i++) {
        struct reappraised *d = &b->device[i];
        d->applied = false;
        enum status status = apply_device(b, d, writer, detail);
        if (status == STATUS_CONFLICT) {
            b->after.counts.superseded++;
        } else if (status != STATUS_OK) {
            return status;
        }
    }
    return write_job(b, writer, detail);
}

/* --- in memory --- */

static void publish(struct commit *commit, struct fleet_table *table) {
    const struct reappraisal_batch *b = batch_of(commit);
    for (size_t i = 0; i < b->num; i++) {
        const struct reappraised *d = &b->device[i];
        if (!d->applied || !d->stands) {
            continue;
        }
        if (!is_trusted(d->row.verdict)) {
            fleet_deny_device(table, d->row.device_id);
        } else if (d->earns) {
            fleet_revoke_above(table, d->row.device_id, (enum tier)d->row.tier);
        } else {
            fleet_revoke_device(table, d->row.device_id);
        }
        /* Out of memory here leaves the device as it was, or denied. */
        enum status status = fleet_put_device(table, d->row.device_id, d->appraisal.model, d->state,
                                              (enum verdict)d->row.verdict, (enum tier)d->row.tier);
        if (status == STATUS_OK) {
            fleet_put_trustworthiness(table, d->row.device_id, d->row.trustworthiness);
        }
    }
}

static void done(struct commit *commit) {
    struct reappraisal_batch *b = batch_of(commit);
    (void)pthread_mutex_lock(&b->lock);
    b->is_done = true;
    (void)pthread_cond_signal(&b->ended);
    (void)pthread_mutex_unlock(&b->lock);
}

static const struct commit_kind kind = {
    .name = "reappraisal", .apply = apply, .publish = publish, .done = done};

enum status reappraisal_batch_init(struct reappraisal_batch *b, unsigned max) {
    *b = (struct reappraisal_batch){.max = max};
    b->device = calloc(max, sizeof *b->device);
    if (b->device == NULL) {
        return STATUS_MEMORY;
    }
    if (pthread_mutex_init(&b->lock, NULL) != 0) {
        free(b->device);
        return STATUS_MEMORY;
    }
    if (pthread_cond_init(&b->ended, NULL) != 0) {
        (void)pthread_mutex_destroy(&b->lock);
        free(b->device);
        return STATUS_MEMORY;
    }
    arena_init(&b->arena, BATCH_BYTES_MAX);
    return STATUS_OK;
}

void reappraisal_batch_cleanup(struct reappraisal_batch *b) {
    arena_free(&b->arena);
    (void)pthread_cond_destroy(&b->ended);
    (void)pthread_mutex_destroy(&b->lock);
    free(b->device);
}

enum status reappraisal_batch_commit(struct reappraisal_batch *b, struct detail *detail) {
    b->commit = (struct commit){.kind = &kind};
    b->is_done = false;
    enum status status = committer_submit(b->committer, &b->commit);
    if (status != STATUS_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&b->lock);
    while (!b->is_done) {
        (void)pthread_cond_wait(&b->ended, &b->lock);
    }
    (void)pthread_mutex_unlock(&b->lock);
    detail_set(detail, "%s", b->commit.detail.text);
    return b->commit.status;
}

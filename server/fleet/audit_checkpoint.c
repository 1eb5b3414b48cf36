#include "server/fleet/audit_checkpoint.h"

#include "server/base/encoding.h"
#include "server/crypto/digest.h"

#include <stdio.h>
#include <string.h>

enum { PAUSE_MS = 5000 };

/* INTERNAL is for the signer's end only. */
static enum status of_store(enum status status) {
    return status == STATUS_CONFLICT || status == STATUS_INTERNAL ? STATUS_STORAGE : status;
}

/* True: there are entries that no checkpoint covers, up to *tip, and it is time. */
static enum status is_due(struct audit_checkpoints *a, struct store_reader *reader, int64_t now_ms,
                          bool force, struct audit_tip *tip, bool *due) {
    int64_t covered, pruned;
    enum status status = store_audit_tip(reader, tip);
    if (status == STATUS_OK) {
        status = store_audit_marks(reader, &covered, &pruned);
    }
    if (status != STATUS_OK) {
        return of_store(status);
    }
    *due = false;
    if (tip->seq <= covered || !tip->chained) {
        a->uncovered_since_ms = 0;
        return STATUS_OK;
    }
    if (a->uncovered_since_ms == 0) {
        a->uncovered_since_ms = now_ms;
    }
    if (!force && now_ms < a->not_before_ms) {
        return STATUS_OK;
    }
    *due = force || tip->seq - covered >= a->entries || now_ms - a->uncovered_since_ms >= a->age_ms;
    return STATUS_OK;
}

static enum status keep(struct audit_checkpoints *a, struct store_writer *writer,
                        const struct checkpoint_job *job, struct detail *detail) {
    struct audit_checkpoint_row row = {.seq = job->seq,
                                       .time = job->time,
                                       .signature = bytes_of(job->signature, job->signature_len)};
    memcpy(row.hash, job->hash, sizeof row.hash);
    (void)snprintf(row.trust_domain, sizeof row.trust_domain, "%s", signer_trust_domain(a->signer));
    digest_compute(HASH_SHA256, signer_authority(a->signer, PROFILE_IDENTITY), row.authority);
    enum status status = store_begin(writer, detail);
    if (status == STATUS_OK) {
        status = store_audit_checkpoint_insert(writer, &row);
        if (status == STATUS_OK) {
            status = store_commit(writer, detail);
        }
        store_rollback(writer);
    }
    return of_store(status);
}

/* Signs and keeps it. */
static enum status make(struct audit_checkpoints *a, struct store_writer *writer,
                        const struct audit_tip *tip, struct detail *detail) {
    struct checkpoint_job job = {.seq = tip->seq};
    struct detail why = {0};
    char hash[65];
    memcpy(job.hash, tip->hash, sizeof job.hash);
    enum status status = signer_checkpoint(a->signer, &job, &why);
    if (status == STATUS_OK && job.status != STATUS_OK) { /* the store went back under us */
        log_event(a->log, LOG_ERROR, "audit_checkpoint_refused", log_int("seq", tip->seq),
                  log_str("why", why.text));
        a->not_before_ms = INT64_MAX;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = keep(a, writer, &job, &why);
    }
    if (status != STATUS_OK) {
        detail_set(detail, "%s", why.text);
        return status;
    }
    hex_encode(hash, bytes_of(tip->hash, sizeof tip->hash));
    log_event(a->log, LOG_INFO, "audit_checkpoint", log_int("seq", tip->seq),
              log_str("hash", hash));
    return STATUS_OK;
}

enum status audit_checkpoint_tick(struct audit_checkpoints *a, struct store_writer *writer,
                                  int64_t now_ms, bool force, struct detail *detail) {
    struct audit_tip tip;
    bool due = false;
    if (a->signer == NULL) {
        return STATUS_OK;
    }
    enum status status = is_due(a, store_writer_reader(writer), now_ms, force, &tip, &due);
    if (status != STATUS_OK || !due) {
        return status;
    }
    status = make(a, writer, &tip, detail);
    if (status != STATUS_OK) {
        a->not_before_ms = now_ms + PAUSE_MS;
    } else if (a->not_before_ms == INT64_MAX) {
        a->not_before_ms = now_ms + a->age_ms;
    } else {
        a->uncovered_since_ms = 0;
    }
    return status;
}

/* What is kept of evidence: what the device booted, and the appraisal. */
#include "api/appraisal_facts.h"
#include "api/device/evidence.h"
#include "server/crypto/random.h"

#include <string.h>

/* Trusted evidence is compared with what the device booted before; see device_boot_row. */
static void remember_trusted(struct device_boot_row *row, const struct device_boot_row *old,
                             const struct device_row *before) {
    memcpy(row->trusted, before->verdict == VERDICT_TRUSTED ? old->boot_state : old->trusted,
           sizeof row->trusted);
    if (memcmp(row->trusted, row->boot_state, sizeof row->trusted) == 0) {
        memset(row->trusted, 0, sizeof row->trusted);
    }
}

static enum status put_state(struct evidence *e, struct store_writer *writer) {
    struct boot_state_row row = {.form = e->boot_state.form};
    struct bytes *piece = NULL;
    size_t num = 0;
    memcpy(row.sha256, e->boot_state.sha256, sizeof row.sha256);
    memcpy(row.log_sha256, e->boot_state.log_sha256, sizeof row.log_sha256);
    if (e->facts.has_log &&
        log_pieces(&piece, &num, e->change.r->x->arena, e->facts.log) != STATUS_OK) {
        return STATUS_MEMORY;
    }
    return store_boot_state_put(writer, &row, piece, num);
}

enum status evidence_keep(struct evidence *e, struct store_writer *writer,
                          const struct device_row *before) {
    struct device_boot_row old = {0}, row = {.since = change_now(&e->change)};
    if (evidence_is_bare(e)) {
        return STATUS_OK; /* it says nothing of a boot */
    }
    enum status status = store_device_boot_get(store_writer_reader(writer), &old, e->row.device_id);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    if (memcmp(old.boot_state, e->boot_state.sha256, sizeof old.boot_state) == 0) {
        return STATUS_OK; /* as nearly always */
    }
    text_copy(row.device_id, sizeof row.device_id, e->row.device_id);
    memcpy(row.boot_state, e->boot_state.sha256, sizeof row.boot_state);
    remember_trusted(&row, &old, before);
    status = put_state(e, writer);
    return status == STATUS_OK ? store_device_boot_put(writer, &row) : status;
}

bool evidence_describe(struct evidence *e) {
    struct request *r = e->change.r;
    struct appraisal_row *row = &e->row;
    id_new(row->id, e->change.now_ms);
    text_copy(row->device_id, sizeof row->device_id, r->device->id);
    text_copy(row->model, sizeof row->model, r->device->model);
    row->verdict = (int)e->appraisal.verdict;
    row->tier = (int)e->appraisal.tier;
    row->key_protection = e->key_protection;
    row->created_ms = e->change.now_ms;
    row->findings = findings_json(r->x->arena, e->appraisal.finding, e->appraisal.num_findings);
    if (e->facts.num_banks > 0) {
        bool is_kept = !bytes_all(bytes_of(row->boot_state, sizeof row->boot_state), 0);
        row->facts = appraisal_facts(r->x->arena, &e->facts, is_kept);
    }
    return !r->x->arena->overflow;
}

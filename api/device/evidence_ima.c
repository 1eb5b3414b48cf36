#include "api/device/evidence_ima.h"

#include <string.h>

enum status evidence_ima_load(struct evidence_ima *out, struct request *r, uint32_t from) {
    if (from == 0) {
        return STATUS_OK;
    }
    enum status status = ima_state_get(&out->kept, r->x->arena, r->worker->reader, r->device->id);
    out->has_kept = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* Of entries before: only that a baseline allows all of them is kept, so that what it denies is
 * looked at again. */
static void recall(const struct evidence_ima *e, struct ima_judgement *earlier,
                   const char *const *id, size_t num) {
    for (size_t i = 0; i < num; i++) {
        earlier[i].judged = e->sent.first > 0 && ima_state_met(&e->kept, id[i]);
    }
}

/* Some baseline could not judge for want of entries. */
static bool wants_entries(const struct appraisal_inputs *against) {
    for (size_t i = 0; i < against->num_baselines; i++) {
        if (baseline_judges_ima(against->baseline[i]) && !against->ima_judged[i].judged) {
            return true;
        }
    }
    return false;
}

static enum status fetch(struct evidence_ima *e, struct request *r, struct facts *facts) {
    struct fact_ima all;
    size_t num = e->sent.num_entries;
    enum status status = ima_state_entries(&all, r->x->arena, r->worker->reader, &e->kept, facts);
    if (status != STATUS_OK) {
        return status;
    }
    struct fact_ima_entry *entry = arena_array(r->x->arena, all.num_entries + num, sizeof *entry);
    if (entry == NULL) {
        return STATUS_MEMORY;
    }
    memcpy(entry, all.entry, all.num_entries * sizeof *entry);
    if (num > 0) {
        memcpy(entry + all.num_entries, e->sent.entry, num * sizeof *entry);
    }
    facts->ima = e->sent;
    facts->ima.first = 0;
    facts->ima.entry = entry;
    facts->ima.num_entries = all.num_entries + num;
    return STATUS_OK;
}

/* What is kept when all goes well, if a baseline in force asks for IMA at all. */
static enum status keep(struct evidence_ima *e, struct request *r,
                        const struct appraisal_inputs *against, const char *const *id) {
    const char *met[BASELINE_MAX_PER_MODEL];
    size_t num = 0;
    bool judges = false;
    for (size_t i = 0; i < against->num_baselines; i++) {
        const struct ima_judgement *judged = &against->ima_judged[i];
        judges = judges || baseline_judges_ima(against->baseline[i]);
        if (judged->judged && judged->num_denied == 0) {
            met[num++] = id[i];
        }
    }
    if (!judges || !e->sent.known) {
        return STATUS_OK;
    }
    e->changes = true;
    text_copy(e->change.row.device_id, sizeof e->change.row.device_id, r->device->id);
    enum status status = ima_change_of(&e->change, r->x->arena, r->device->id, &e->sent, met, num);
    return status == STATUS_LIMIT ? STATUS_OK : status;
}

enum status evidence_ima_appraise(struct evidence_ima *e, struct appraisal *out, struct request *r,
                                  struct facts *facts, struct appraisal_inputs *against,
                                  const char *const *id) {
    struct ima_judgement earlier[BASELINE_MAX_PER_MODEL] = {0};
    struct ima_judgement judged[BASELINE_MAX_PER_MODEL] = {0};
    e->sent = facts->ima;
    recall(e, earlier, id, against->num_baselines);
    against->ima_earlier = earlier;
    against->ima_judged = judged;
    enum status status = appraise(out, r->x->arena, facts, against);
    if (status == STATUS_OK && out->verdict != VERDICT_TRUSTED && e->sent.first > 0 &&
        wants_entries(against)) {
        memset(judged, 0, sizeof judged);
        status = fetch(e, r, facts);
        if (status == STATUS_OK) {
            status = appraise(out, r->x->arena, facts, against);
        }
    }
    if (status == STATUS_OK) {
        status = keep(e, r, against, id);
    }
    against->ima_earlier = NULL;
    against->ima_judged = NULL;
    return status;
}

enum status evidence_ima_write(const struct evidence_ima *e, struct store_writer *writer) {
    const struct ima_change *change = &e->change;
    if (!e->changes) {
        return STATUS_OK;
    }
    if (change->row.num_entries == 0) {
        return store_device_ima_delete(writer, change->row.device_id);
    }
    return store_device_ima_put(writer, &change->row, change->after, change->entry, change->num);
}

enum status challenge_ima_write(struct json_out *o, struct request *r) {
    struct ima_state state;
    enum status status = ima_state_get(&state, r->x->arena, r->worker->reader, r->device->id);
    if (status == STATUS_NOT_FOUND) {
        json_out_text(o, "ima", NULL);
        return STATUS_OK;
    }
    if (status != STATUS_OK) {
        return status;
    }
    json_out_object(o, "ima");
    json_out_int(o, "entries", state.position.num_entries);
    json_out_int(o, "bytes", (int64_t)state.position.num_bytes);
    json_out_int(o, "reset_count", state.position.reset_count);
    json_out_int(o, "restart_count", state.position.restart_count);
    json_out_object_end(o);
    return STATUS_OK;
}

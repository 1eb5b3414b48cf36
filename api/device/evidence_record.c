/* What is kept of an appraisal, as JSON. */
#include "api/device/evidence.h"

#include "server/crypto/random.h"

#include <stdio.h>

static void write_bank(struct json_out *o, const struct fact_bank *bank) {
    json_out_object(o, hash_name(bank->alg));
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if (bank->pcr[i].quoted) {
            char index[4];
            (void)snprintf(index, sizeof index, "%u", i);
            json_out_hex(o, index, bytes_of(bank->pcr[i].value, digest_len(bank->alg)));
        }
    }
    json_out_object_end(o);
}

static struct bytes facts_json(struct arena *arena, const struct facts *facts) {
    struct json_out o;
    char version[17];
    json_out_init(&o, arena, 2048);
    json_out_object(&o, NULL);
    json_out_object(&o, "tpm");
    (void)snprintf(version, sizeof version, "%016llx",
                   (unsigned long long)facts->tpm_firmware_version);
    json_out_text(&o, "firmware_version", version);
    json_out_int(&o, "clock", (int64_t)facts->tpm_clock);
    json_out_int(&o, "reset_count", facts->tpm_reset_count);
    json_out_int(&o, "restart_count", facts->tpm_restart_count);
    json_out_bool(&o, "safe", facts->tpm_safe);
    json_out_object_end(&o);
    json_out_object(&o, "pcrs");
    for (size_t i = 0; i < facts->num_banks; i++) {
        write_bank(&o, &facts->bank[i]);
    }
    json_out_object_end(&o);
    json_out_int(&o, "events", facts->has_log ? (int64_t)facts->num_events : 0);
    json_out_object_end(&o);
    return json_out_end(&o);
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
        row->facts = facts_json(r->x->arena, &e->facts);
    }
    return !r->x->arena->overflow;
}

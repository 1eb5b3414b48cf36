#include "api/appraisal_facts.h"

#include "server/base/json_out.h"
#include "server/evidence/tpm2/kept.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMA_PCR = 10 };

static void write_tpm(struct json_out *o, const struct facts *facts) {
    char version[17];
    (void)snprintf(version, sizeof version, "%016llx",
                   (unsigned long long)facts->tpm_firmware_version);
    json_out_object(o, "tpm");
    json_out_text(o, "firmware_version", version);
    json_out_int(o, "clock", (int64_t)facts->tpm_clock);
    json_out_int(o, "reset_count", facts->tpm_reset_count);
    json_out_int(o, "restart_count", facts->tpm_restart_count);
    json_out_bool(o, "safe", facts->tpm_safe);
    json_out_object_end(o);
}

/* Of the PCRs in the mask; one whose value a boot state does not hold is not shown. */
static void write_pcrs(struct json_out *o, const struct facts *facts, uint32_t mask) {
    json_out_object(o, "pcrs");
    for (size_t b = 0; b < facts->num_banks; b++) {
        const struct fact_bank *bank = &facts->bank[b];
        json_out_object(o, hash_name(bank->alg));
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            struct bytes value = bytes_of(bank->pcr[i].value, digest_len(bank->alg));
            bool unknown = i == IMA_PCR && bytes_all(value, KEPT_VALUE_UNKNOWN);
            if (bank->pcr[i].quoted && (mask >> i & 1) != 0 && !unknown) {
                char index[4];
                (void)snprintf(index, sizeof index, "%u", i);
                json_out_hex(o, index, value);
            }
        }
        json_out_object_end(o);
    }
    json_out_object_end(o);
}

static void write_events(struct json_out *o, const struct facts *facts) {
    json_out_int(o, "events", facts->has_log ? (int64_t)facts->num_events : 0);
}

struct bytes appraisal_facts(struct arena *arena, const struct facts *facts, bool own) {
    struct json_out o;
    json_out_init(&o, arena, own ? 256 : 2048);
    json_out_object(&o, NULL);
    write_tpm(&o, facts);
    if (!own) {
        write_pcrs(&o, facts, UINT32_MAX);
        write_events(&o, facts);
    } else if (facts->ima.known) {
        write_pcrs(&o, facts, 1U << IMA_PCR);
    }
    json_out_object_end(&o);
    return json_out_end(&o);
}

/* What the boot state holds. */
static enum status shared_facts(struct bytes *out, struct arena *arena, struct store_reader *reader,
                                const uint8_t sha256[static 32], struct detail *detail) {
    struct boot_state_row row;
    struct bytes log;
    struct facts facts;
    struct json_out o;
    enum status status = store_boot_state_get(reader, arena, &row, &log, sha256);
    if (status == STATUS_OK) {
        status = boot_state_facts(&facts, arena, row.form, log, detail);
    }
    if (status != STATUS_OK) {
        return status == STATUS_MEMORY ? status : STATUS_STORAGE;
    }
    json_out_init(&o, arena, 2048);
    json_out_object(&o, NULL);
    write_pcrs(&o, &facts, UINT32_MAX);
    write_events(&o, &facts);
    json_out_object_end(&o);
    *out = json_out_end(&o);
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

/* own's members, with those of shared behind them; where both have PCRs, those of both. */
static json_t *merge(struct bytes own, struct bytes shared) {
    json_t *root =
        own.len == 0 ? json_object() : json_loadb((const char *)own.data, own.len, 0, NULL);
    json_t *more = json_loadb((const char *)shared.data, shared.len, 0, NULL);
    bool failed = !json_is_object(root) || !json_is_object(more) ||
                  json_object_update_recursive(root, more) != 0;
    json_decref(more);
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}

enum status appraisal_facts_whole(struct bytes *out, struct arena *arena,
                                  struct store_reader *reader, const struct appraisal_row *row,
                                  struct detail *detail) {
    struct bytes shared;
    if (bytes_all(bytes_of(row->boot_state, sizeof row->boot_state), 0)) {
        *out = row->facts;
        return STATUS_OK;
    }
    enum status status = shared_facts(&shared, arena, reader, row->boot_state, detail);
    if (status != STATUS_OK) {
        return status;
    }
    json_t *root = merge(row->facts, shared);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    struct bytes whole =
        text == NULL ? (struct bytes){NULL, 0} : arena_bytes(arena, bytes_of_text(text));
    free(text);
    if (whole.len == 0) {
        return STATUS_MEMORY;
    }
    *out = whole;
    return STATUS_OK;
}

#include "server/fleet/ima_state.h"

#include "server/base/encoding.h"
#include "server/evidence/ima/kept.h"

#include <string.h>

enum { ID_LEN = (STORE_ID - 1) / 2 };

enum status ima_state_get(struct ima_state *out, struct arena *arena, struct store_reader *reader,
                          const char *device_id) {
    struct ima_state state;
    enum status status = store_device_ima_get(reader, arena, &state.row, device_id);
    if (status != STATUS_OK) {
        return status;
    }
    if (ima_position_read(&state.position, state.row.position) != STATUS_OK ||
        state.position.num_entries != state.row.num_entries ||
        state.position.reset_count != state.row.reset_count ||
        state.position.restart_count != state.row.restart_count) {
        return STATUS_NOT_FOUND;
    }
    *out = state;
    return STATUS_OK;
}

bool ima_state_met(const struct ima_state *state, const char *baseline_id) {
    uint8_t wanted[ID_LEN];
    struct bytes left = state->row.met, id;
    if (hex_decode(wanted, sizeof wanted, baseline_id) != STATUS_OK) {
        return false;
    }
    while (bytes_take(&left, ID_LEN, &id) == STATUS_OK) {
        if (bytes_equal(id, bytes_of(wanted, sizeof wanted))) {
            return true;
        }
    }
    return false;
}

enum status ima_state_entries(struct fact_ima *out, struct arena *arena,
                              struct store_reader *reader, const struct ima_state *state,
                              const struct facts *facts) {
    struct bytes *packed;
    size_t num;
    enum status status = store_ima_entries(reader, arena, &packed, &num, &state->row);
    if (status != STATUS_OK) {
        return status;
    }
    struct ima_kept_entry *entry = arena_array(arena, num, sizeof *entry);
    if (entry == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < num; i++) {
        if (ima_entry_unpack(&entry[i], packed[i]) != STATUS_OK) {
            return STATUS_STORAGE;
        }
    }
    return ima_restore(out, arena, facts, &state->position, entry, num);
}

enum status ima_state_restore(struct facts *facts, struct arena *arena, struct store_reader *reader,
                              const struct device_row *device) {
    struct ima_state state;
    struct fact_ima ima = {0};
    enum status status = ima_state_get(&state, arena, reader, device->id);
    if (status == STATUS_OK && device->has_clock &&
        state.row.reset_count == device->tpm_reset_count &&
        state.row.restart_count == device->tpm_restart_count) {
        status = ima_state_entries(&ima, arena, reader, &state, facts);
    }
    if (status == STATUS_OK || status == STATUS_NOT_FOUND) {
        facts->ima = ima;
        return STATUS_OK;
    }
    return status;
}

/* PCR 10 follows from the entries' order, which no rule reads. */
void ima_state_key(uint8_t out[static 32], const struct ima_state *state) {
    uint8_t head[3 + DIGEST_MAX + PCR_MAX_BANKS * 3];
    struct writer w = writer_of(head, sizeof head);
    const struct fact_ima_position *position = &state->position;
    write_u16be(&w, (uint16_t)position->aggregate_alg);
    write_bytes(&w, bytes_of(position->aggregate, digest_len(position->aggregate_alg)));
    for (size_t i = 0; i < position->num_banks; i++) {
        write_u16be(&w, (uint16_t)position->bank[i].alg);
        write_u8(&w, position->bank[i].padded ? 1 : 0);
    }
    digest_compute2(HASH_SHA256, writer_bytes(&w), state->row.entries, out);
}

static bool write_met(struct ima_change *out, struct arena *arena, const char *const *met,
                      size_t num) {
    uint8_t *ids = arena_array(arena, num, ID_LEN);
    if (ids == NULL) {
        return false;
    }
    for (size_t i = 0; i < num; i++) {
        if (hex_decode(ids + i * ID_LEN, ID_LEN, met[i]) != STATUS_OK) {
            return false;
        }
    }
    out->row.met = bytes_of(ids, num * ID_LEN);
    return true;
}

enum status ima_change_of(struct ima_change *out, struct arena *arena, const char *device_id,
                          const struct fact_ima *sent, const char *const *met, size_t num_met) {
    struct ima_change change = {.after = sent->first, .num = sent->num_entries};
    if (sent->num_confirmed > STORE_IMA_ENTRIES_MAX) {
        return STATUS_LIMIT;
    }
    uint8_t *position = arena_alloc(arena, IMA_POSITION_MAX);
    change.entry = arena_array(arena, change.num, sizeof *change.entry);
    if (position == NULL || change.entry == NULL || !write_met(&change, arena, met, num_met)) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(position, IMA_POSITION_MAX);
    ima_position_write(&w, &sent->end);
    for (size_t i = 0; i < change.num; i++) {
        change.entry[i] = ima_entry_pack(arena, &sent->entry[i]);
    }
    (void)memcpy(change.row.device_id, device_id, strnlen(device_id, STORE_ID - 1));
    change.row.reset_count = sent->end.reset_count;
    change.row.restart_count = sent->end.restart_count;
    change.row.num_entries = sent->end.num_entries;
    change.row.position = writer_bytes(&w);
    if (w.overflow || arena->overflow) {
        return STATUS_MEMORY;
    }
    *out = change;
    return STATUS_OK;
}

/* What is kept of a device's IMA log: how far it was confirmed in the boot that the device is in, which
 * entries that were, and which baselines allow all of them. With it a device sends only what is new,
 * and a changed baseline is held against all of it. Whatever is lost or does not fit costs no more than
 * that the device sends its log from the start. */
#ifndef GATEHOUSE_FLEET_IMA_STATE_H
#define GATEHOUSE_FLEET_IMA_STATE_H

#include "db/store.h"
#include "server/appraisal/appraisal.h"

struct ima_state {
    struct device_ima_row row;
    struct fact_ima_position position;
};
/* NOT_FOUND: nothing is kept, or nothing that can be read. STORAGE, MEMORY. */
MUST_USE enum status ima_state_get(struct ima_state *out, struct arena *arena,
                                   struct store_reader *reader, const char *device_id);
/* Does the baseline allow every entry? */
bool ima_state_met(const struct ima_state *state, const char *baseline_id);
/* All its entries, without their order, as facts of the same boot: `facts` but for IMA's. STORAGE: also
 * for damage. MEMORY. */
MUST_USE enum status ima_state_entries(struct fact_ima *out, struct arena *arena,
                                       struct store_reader *reader, const struct ima_state *state,
                                       const struct facts *facts);

/* For re-appraisal: facts->ima of a device whose other facts are those of its boot state. Not known,
 * and OK, when nothing is kept of the boot that the device is in. STORAGE, MEMORY. */
MUST_USE enum status ima_state_restore(struct facts *facts, struct arena *arena,
                                       struct store_reader *reader,
                                       const struct device_row *device);
/* Devices of one boot state and with the same key have facts that rules cannot tell apart. */
void ima_state_key(uint8_t out[static 32], const struct ima_state *state);

/* What evidence changes in it: made by whoever verified, written by the committer. */
struct ima_change {
    struct device_ima_row row;
    int64_t after; /* entries that it goes on from */
    struct bytes *entry;
    size_t num;
};
/* `sent` is what the evidence held; `met` are the baselines that allow all entries, those before
 * included. LIMIT: more than is kept of a device. MEMORY. */
MUST_USE enum status ima_change_of(struct ima_change *out, struct arena *arena,
                                   const char *device_id, const struct fact_ima *sent,
                                   const char *const *met, size_t num_met);

#endif

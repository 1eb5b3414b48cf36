/* What the files of drift share. Private to server/appraisal. */
#ifndef GATEHOUSE_APPRAISAL_DRIFT_PARTS_H
#define GATEHOUSE_APPRAISAL_DRIFT_PARTS_H

#include "server/appraisal/drift.h"

enum { DRIFT_SIDES = 2, DRIFT_BEFORE = 0, DRIFT_AFTER = 1 };

struct drifting {
    struct arena *arena;
    const struct facts *facts[DRIFT_SIDES];
    size_t bank[DRIFT_SIDES];                         /* position of the bank that both have */
    uint8_t explained[DRIFT_SIDES][FACTS_MAX_EVENTS]; /* by index: a change names the event */
    struct drift out;
};

/* One more change; texts as arena_printf gives them, so that NULL texts mean a full arena. */
void drift_add(struct drifting *d, struct drift_change change);
void drift_explain(struct drifting *d, int side, uint32_t event);
/* -1 for FACT_NO_EVENT. */
int drift_event(uint32_t event);

/* Where two sequences differ: a[a_from..a_to) stands where the other has b[b_from..b_to). */
struct drift_gap {
    size_t a_from, a_to, b_from, b_to;
};
/* The gaps between what both have, in order; NULL on a full arena. */
struct drift_gap *drift_align(struct arena *arena, size_t *num, const struct bytes *a, size_t num_a,
                              const struct bytes *b, size_t num_b);

void drift_secure_boot(struct drifting *d);
void drift_images(struct drifting *d);
void drift_firmware(struct drifting *d);
void drift_os(struct drifting *d);
void drift_pcrs(struct drifting *d); /* last: what is left */

#endif

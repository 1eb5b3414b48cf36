/* What stays of a device's IMA log, as bytes: where its confirmed part ends, and single entries. Equal
 * values have equal bytes. Pure; thread-safe. */
#ifndef GATEHOUSE_EVIDENCE_IMA_KEPT_H
#define GATEHOUSE_EVIDENCE_IMA_KEPT_H

#include "server/evidence/ima/follow.h"

enum { IMA_POSITION_MAX = 24 + PCR_MAX_BANKS * (3 + DIGEST_MAX) + 3 + DIGEST_MAX };

void ima_position_write(struct writer *out, const struct fact_ima_position *position);
/* Whole input. MALFORMED: the store is damaged. */
MUST_USE enum status ima_position_read(struct fact_ima_position *out, struct bytes in);

/* An entry that several devices have is the same bytes, whatever its place in their logs. {NULL, 0}:
 * the arena is full. */
struct bytes ima_entry_pack(struct arena *arena, const struct fact_ima_entry *entry);
/* Whole input; views into it. MALFORMED. */
MUST_USE enum status ima_entry_unpack(struct ima_kept_entry *out, struct bytes in);

#endif

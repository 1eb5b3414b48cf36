/* The facts of an appraisal as JSON: {"tpm":{...},"pcrs":{bank:{index:hex}},"events":n}. A row that
 * refers to a boot state keeps only what that does not hold: "tpm", and PCR 10 of a device whose IMA
 * log explains it. Rows without one keep all of it. */
#ifndef GATEHOUSE_API_APPRAISAL_FACTS_H
#define GATEHOUSE_API_APPRAISAL_FACTS_H

#include "db/store.h"
#include "server/evidence/facts.h"

/* For the row; `own`: it refers to a boot state. Look at the arena for overflow. */
struct bytes appraisal_facts(struct arena *arena, const struct facts *facts, bool own);
/* All of it, from the row and its boot state. STORAGE (also when what is kept is damaged); MEMORY. */
MUST_USE enum status appraisal_facts_whole(struct bytes *out, struct arena *arena,
                                           struct store_reader *reader,
                                           const struct appraisal_row *row, struct detail *detail);

#endif

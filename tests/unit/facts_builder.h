/* Facts of an event log as if a quote had confirmed what it replays to: what tests of facts start from, without
 * a TPM. Failures end the test. */
#ifndef GATEHOUSE_TESTS_FACTS_BUILDER_H
#define GATEHOUSE_TESTS_FACTS_BUILDER_H

#include "server/evidence/facts.h"
#include "tests/unit/evidence_builder.h"

enum { FACTS_EVERY_PCR = 0xFFFFFF };

/* `algs`, ended by 0: the banks quoted; `mask`: the PCRs. The log outlives the facts. */
void facts_of_log(struct facts *out, struct arena *arena, struct bytes log, const uint16_t *algs,
                  uint32_t mask);
/* The same in SHA-256 and of every PCR. */
void facts_of(struct facts *out, struct arena *arena, const struct log_builder *log);

#endif

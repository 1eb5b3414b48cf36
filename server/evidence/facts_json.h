/* Facts as JSON, for the API and for `gatehouse inspect`. Each says which event it is from, and what
 * vouches for it; what is missing is null. Thread-safe. */
#ifndef GATEHOUSE_EVIDENCE_FACTS_JSON_H
#define GATEHOUSE_EVIDENCE_FACTS_JSON_H

#include "server/base/json_out.h"
#include "server/evidence/facts.h"

/* Members of an object that is open: tpm, pcrs, log, and what follows from the log. */
void facts_json(struct json_out *o, const struct facts *facts);
/* What follows from the log: secure_boot, images, firmware, os. */
void facts_log_json(struct json_out *o, const struct facts *facts);
/* One of them: an object of that name. */
void facts_secure_boot_json(struct json_out *o, const char *name, const struct facts *facts);

#endif

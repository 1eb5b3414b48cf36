/* Provenance of baselines: a model may list the keys that its baselines have to be signed with, by
 * whoever builds the firmware. A signature is over the document's canonical form (RFC 8785). */
#ifndef GATEHOUSE_API_ADMIN_PROVENANCE_H
#define GATEHOUSE_API_ADMIN_PROVENANCE_H

#include "api/change.h"

/* For apply of what approves a baseline or puts it in force: OK when its model lists no keys, or one of
 * them signed the document as it is now. Each signature is verified here and now, so that a key which is
 * no longer listed counts for nothing. Otherwise the change's problem is set: baseline_unsigned. */
MUST_USE enum status provenance_check(struct change *c, struct store_writer *writer,
                                      const struct baseline_row *row, struct detail *detail);

/* --- what the handlers share --- */

enum { SIGNERS_MAX = 32 };
struct signers {
    struct baseline_signer_row *row;
    size_t num; /* at most SIGNERS_MAX */
};
MUST_USE enum status signers_read(struct signers *out, struct change *c,
                                  struct store_writer *writer, const char *model);
bool signer_signed(const struct baseline_signer_row *signer, struct bytes signature,
                   struct bytes canonical);
struct bytes signer_json(struct change *c, const struct baseline_signer_row *row);

#endif

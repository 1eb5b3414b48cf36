/* The rollout that an activation asks for. */
#ifndef GATEHOUSE_API_ADMIN_ROLLOUT_H
#define GATEHOUSE_API_ADMIN_ROLLOUT_H

#include "api/admin/admin.h"

/* What the body says, as a row that waits for its baseline, in the arena; *out stays NULL when it says
 * nothing. False: answered. */
MUST_USE bool rollout_read(struct request *r, const struct rollout_body *body,
                           struct rollout_row **out);
/* For apply, before the baseline's step: it becomes the baseline's; NULL: the baseline has none. The
 * problem is set when devices are named that the model does not have, or the baseline counts for
 * everybody already. */
MUST_USE enum status rollout_schedule(struct change *c, struct store_writer *writer,
                                      const struct baseline_row *baseline,
                                      struct rollout_row *rollout, struct detail *detail);

#endif

/* The gateway's eye on its authorities: whatever changes with them is logged, and stands in the audit
 * log. Belongs to the main thread. */
#ifndef GATEHOUSE_COMMANDS_GATEWAY_AUTHORITIES_H
#define GATEHOUSE_COMMANDS_GATEWAY_AUTHORITIES_H

#include "server/commands/gateway.h"

/* Has the signer read its keys anew. As signer_reload; the detail begins with "signer". */
MUST_USE enum status gateway_authorities_reload(struct gateway *g, struct detail *detail);
/* "authorities.change" with those before and after, when they are others than at the last call; at the
 * first there is nothing to compare with. */
void gateway_authorities_note(struct gateway *g);
/* How long it may take until that has to be called again, for poll. */
int gateway_authorities_wait_ms(const struct gateway *g);

#endif

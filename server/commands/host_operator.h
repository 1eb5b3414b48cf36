/* Operators as they are registered on the host, without the API: by init and by `gatehouse operator`.
 */
#ifndef GATEHOUSE_COMMANDS_HOST_OPERATOR_H
#define GATEHOUSE_COMMANDS_HOST_OPERATOR_H

#include "db/store.h"

/* "host:<user name>", who runs this process; "host:<uid>" when the user has no name. */
void host_actor(char out[static STORE_ACTOR]);
/* A certificate as added now by host_actor(). As certificate_parse, and INVALID for an authority's. */
MUST_USE enum status host_certificate(struct operator_certificate *out, struct bytes der,
                                      int64_t now, struct detail *detail);

#endif

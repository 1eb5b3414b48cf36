/* The authorities as they are at the time of a request (server/credential/signer.h). Thread-safe. */
#ifndef GATEHOUSE_API_AUTHORITIES_H
#define GATEHOUSE_API_AUTHORITIES_H

#include "api/request.h"

/* PEM of all that are published of a profile, the one that signs first, into the arena. NULL: no memory. */
const char *authorities_bundle(const struct api *api, struct arena *arena, enum profile profile);
/* PEM of the one that signed a certificate. NULL: it is published no more, or no memory. */
const char *authority_by_id(const struct api *api, struct arena *arena, const char *id);
/* Nothing that the one which signs now issues lasts longer. */
int64_t authority_not_after(const struct api *api, enum profile profile);

#endif

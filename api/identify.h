/* Who asks: from the verified TLS session or the kind of socket, and what is registered. */
#ifndef GATEHOUSE_API_IDENTIFY_H
#define GATEHOUSE_API_IDENTIFY_H

#include "api/request.h"

/* Sets r->role, r->actor and what belongs to the plane. OK; DENIED: nobody that this plane knows, or
 * somebody who is disabled: then r->actor names them and r->role is 0;
 * STORAGE, MEMORY. */
MUST_USE enum status identify(struct request *r);

#endif

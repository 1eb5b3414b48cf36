/* Refusals of access: of a certificate that nobody registered, of an operator who is disabled or
 * lacks the role. Each is in the audit, and a certificate that is refused too often is locked out
 * (api/lockout.h). What was refused stays refused, at the same speed, when the store is down. */
#ifndef GATEHOUSE_API_ACCESS_H
#define GATEHOUSE_API_ACCESS_H

#include "api/request.h"

/* False, and answered with 429, while the peer's certificate is locked out. */
MUST_USE bool access_admit(struct request *r);
/* 403, and what follows from it. */
enum http_next access_refuse(struct request *r);

#endif

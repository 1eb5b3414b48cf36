/* How an operator stands in answers and in the audit's before and after; and how a certificate comes
 * to be one of an operator's. */
#ifndef GATEHOUSE_API_ADMIN_OPERATOR_JSON_H
#define GATEHOUSE_API_ADMIN_OPERATOR_JSON_H

#include "api/admin/registered.h"

struct bytes operator_json(struct change *c, const struct operator_row *row);
enum http_next operator_answer(struct request *r, unsigned status, const struct operator_row *row);
/* As added by the change's actor, now. */
void operator_certificate_fill(struct operator_certificate *out, const struct change *c,
                               const struct registered_certificate *from);

#endif

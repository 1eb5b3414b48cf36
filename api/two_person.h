/* What takes two people: a request of one operator is stored as a proposal, and carried out when
 * another one, who might have asked for it as well, approves it within a day. Routes say which rule
 * they come under (api/routes.c); [admin] two_person says which rules are on. */
#ifndef GATEHOUSE_API_TWO_PERSON_H
#define GATEHOUSE_API_TWO_PERSON_H

#include "api/change.h"

/* Whether the request, read and found in order, has to be proposed. */
bool two_person_wanted(const struct request *r);
/* Stores it: 202 when that is durable. */
enum http_next two_person_propose(struct request *r);
/* For change_apply of an approved request, in whose transaction the proposal is taken: once, before
 * it expires, and while its proposer might still ask for it. */
MUST_USE enum status two_person_take(struct change *c, struct store_writer *writer,
                                     struct detail *detail);

/* "pending", "approved", "rejected", or "expired" at `now`. */
const char *approval_state_name(const struct approval_row *row, int64_t now);
void write_approval(struct json_out *o, const struct approval_row *row, int64_t now);

#endif

/* What a model makes of the tier that a device reached: whether it earns a credential, which network
 * segment it gets, and how both stand in decisions. Read from the policy in force each time, so that a
 * model that asks for more, or names other segments, counts at once. Pure. */
#ifndef GATEHOUSE_FLEET_STANDING_H
#define GATEHOUSE_FLEET_STANDING_H

#include "server/fleet/policy.h"
#include "server/fleet/table.h"

/* The tier, or a higher one than what the model asks for. Never TIER_NONE. */
bool tier_earns(const struct model_row *model, enum tier tier);
/* The label that the tier gets, "" for none; lives as long as the row. */
const char *tier_segment(const struct model_row *model, enum tier tier);

/* Of an appraisal that lets a device pass with a lower tier than its model asks for: the finding that
 * says so ("tier_too_low"), first of all. None is added when the arena is full. */
void tier_add_finding(struct appraisal *appraisal, struct arena *arena, enum tier wanted);

/* Holds a decision of the fleet table against the policy: what would be allowed by verdict and
 * credential, or is denied for lack of a credential alone, and is of too low a tier, is denied as
 * REASON_TIER_TOO_LOW; what is allowed gets its segment, and the exceptions that made it
 * possible. */
void decision_apply_policy(struct decision *decision, const struct policy *policy, int64_t now);

#endif

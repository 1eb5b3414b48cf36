/* Access policies: what a proxy asks of a device beyond a decision that allows. Pure. */
#ifndef GATEHOUSE_FLEET_ACCESS_POLICY_H
#define GATEHOUSE_FLEET_ACCESS_POLICY_H

#include "server/fleet/table.h"

/* Holds a decision, after decision_apply_policy, against the policy; NULL: the policy does not exist,
 * and nobody passes. What is allowed and does not meet it is denied, with the first of: unknown_policy,
 * policy_tier, policy_model, policy_segment, policy_key_protection. What is denied already stays as it
 * is. */
void decision_apply_access(struct decision *decision, const struct access_policy_row *policy);

#endif

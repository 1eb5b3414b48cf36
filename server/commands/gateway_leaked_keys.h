/* The leaked platform keys that the configuration names. */
#ifndef GATEHOUSE_COMMANDS_GATEWAY_LEAKED_KEYS_H
#define GATEHOUSE_COMMANDS_GATEWAY_LEAKED_KEYS_H

#include "server/commands/gateway.h"

/* At start, before the policy is loaded. The detail begins with the setting. */
MUST_USE enum status gateway_leaked_keys_load(struct gateway *g, struct detail *detail);
/* Reads the file anew; when it has changed, what it says is in force once this returns, with an entry in
 * the audit log ("leaked_keys.configure"). On failure the list before stays. */
MUST_USE enum status gateway_leaked_keys_reload(struct gateway *g, struct detail *detail);

#endif

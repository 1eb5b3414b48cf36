/* Events to receivers, as the gateway sets them up. Belongs to the main thread. */
#ifndef GATEHOUSE_COMMANDS_GATEWAY_SIGNALS_H
#define GATEHOUSE_COMMANDS_GATEWAY_SIGNALS_H

#include "server/commands/gateway.h"

/* Sets g->signals. After the committer was started. STORAGE, MEMORY, INTERNAL. */
MUST_USE enum status gateway_signals_start(struct gateway *g, struct detail *detail);

#endif

/* The gateway's own entries of the audit log: when it was started, with what, and when it was stopped. */
#ifndef GATEHOUSE_COMMANDS_GATEWAY_NOTE_H
#define GATEHOUSE_COMMANDS_GATEWAY_NOTE_H

#include "server/commands/gateway.h"

/* "gateway.start", with version and the SHA-256 of the configuration's file (null when it cannot be read
 * any more). Waits until it is durable; a store that fails is logged, and the gateway serves what it can. */
void gateway_note_start(struct gateway *g, const char *config_file);
/* "gateway.stop", once, and only after a start; as far as the store allows. For gateway_close. */
void gateway_note_stop(struct gateway *g);

#endif

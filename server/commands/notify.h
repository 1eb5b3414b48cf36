/* Tells the service manager how the service is (sd_notify(3)): a datagram to $NOTIFY_SOCKET. */
#ifndef GATEHOUSE_COMMANDS_NOTIFY_H
#define GATEHOUSE_COMMANDS_NOTIFY_H

/* `state` is "READY=1", "STOPPING=1", ... Nothing happens when no manager asked; trouble is ignored,
 * for the manager notices silence itself. */
void notify_manager(const char *state);

#endif

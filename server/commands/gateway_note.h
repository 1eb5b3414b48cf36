/* The gateway's own entries of the audit log: when it was started, with what, and when it was stopped. */
#ifndef GATEHOUSE_COMMANDS_GATEWAY_NOTE_H
#define GATEHOUSE_COMMANDS_GATEWAY_NOTE_H

#include "server/commands/gateway.h"

#include <semaphore.h>

/* A commit that the gateway itself makes, with its audit entry. The kind's done is
 * gateway_commit_done. */
struct gateway_commit {
    struct commit commit; /* first */
    struct gateway *gateway;
    struct audit_row row; /* action and after; the rest is filled in */
    sem_t done;
};
/* Returns when it is durable, or given up: then it is logged, and the status says why. */
enum status gateway_commit(struct gateway_commit *c);
void gateway_commit_done(struct commit *commit);
/* For a kind's apply: writes the audit entry. */
MUST_USE enum status gateway_commit_audit(struct commit *commit, struct store_writer *writer,
                                          struct detail *detail);

/* "gateway.start", with version and the SHA-256 of the configuration's file (null when it cannot be read
 * any more). Waits until it is durable; a store that fails is logged, and the gateway serves what it can. */
void gateway_note_start(struct gateway *g, const char *config_file);
/* "gateway.stop", once, and only after a start; as far as the store allows. For gateway_close. */
void gateway_note_stop(struct gateway *g);

#endif

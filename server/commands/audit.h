/* What the subcommands of `gatehouse audit` share. */
#ifndef GATEHOUSE_COMMANDS_AUDIT_H
#define GATEHOUSE_COMMANDS_AUDIT_H

#include "server/fleet/audit_chain.h"

/* The store of a configuration, or the file itself; one of the two is not NULL. Nothing of it is
 * created, migrated or locked. NULL: it could not be opened, and standard error says why. Ended by
 * audit_store_close. */
struct audit_store {
    struct store *store;
    struct store_reader *reader;
};
MUST_USE bool audit_store_open(struct audit_store *out, const char *config, const char *file);
void audit_store_close(struct audit_store *store);

/* All lines after `after`, a page at a time. False from `take` stops. OK, or the detail says what is wrong:
 * STORAGE, MEMORY, CONFLICT (older than the chain; pruned meanwhile). */
typedef bool audit_take(void *context, struct bytes lines);
MUST_USE enum status audit_store_read(struct audit_store *store, int64_t after, audit_take *take,
                                      void *context, struct detail *detail);

/* A number from 0 on, whole text. */
MUST_USE bool audit_read_seq(const char *text, int64_t *out);

/* audit verify ...: argv[0] is "verify". */
int audit_verify(int argc, char **argv);

#endif

/* Statements that relying parties ask for, signed beside the workers' loops: a thread takes what has
 * queued up, has the signer sign it in one exchange, and hands each back. Holds the published keys too.
 * Thread-safe. */
#ifndef GATEHOUSE_FLEET_STATEMENTS_H
#define GATEHOUSE_FLEET_STATEMENTS_H

#include "server/base/arena.h"
#include "server/base/log.h"
#include "server/credential/jws.h"

struct statements;

struct statements_options {
    struct signer *signer; /* outlives the statements */
    const char *issuer;    /* likewise */
    const struct log *log;
    unsigned queue_max; /* waiting; more are BUSY at once. 0: 4096 */
};
/* INTERNAL: the signer is gone. MEMORY. */
MUST_USE enum status statements_start(struct statements **out,
                                      const struct statements_options *options,
                                      struct detail *detail);
/* Ends what is queued, joins the thread. NULL is allowed, and to stop twice. */
void statements_stop(struct statements *statements);
void statements_free(struct statements *statements); /* stopped or not; NULL is allowed */

/* Embedded in the submitter's own struct; zero-initialised, then job (jws.h) and done set. Lives until
 * done. */
struct statement {
    struct jws_job job;
    void (*done)(
        struct statement *statement); /* on the thread: short. It is the submitter's again */
    struct statement *next;           /* the statements' */
};
/* OK: done will be called (maybe before this returns). BUSY: the queue is full, or it is stopping. */
MUST_USE enum status statements_submit(struct statements *statements, struct statement *statement);

const char *statements_issuer(const struct statements *statements);
/* Whether there is a key for it. */
bool statements_has(struct statements *statements, enum jws_purpose purpose);
/* The published keys as a JSON Web Key Set, and a tag that changes with them (40 bytes suffice, with its
 * quotes). Empty: the arena is full. */
enum { STATEMENTS_TAG_SIZE = 40 };
struct bytes statements_keys(struct statements *statements, struct arena *arena,
                             char tag[static STATEMENTS_TAG_SIZE]);
/* Asks the signer again for its keys. INTERNAL, MEMORY: they stay as they were. */
MUST_USE enum status statements_reload(struct statements *statements, struct detail *detail);

#endif

/* The one writer. Takes commits from all threads, turns whatever has queued up into one batch:
 * `early` for each (denials reach the fleet table at once), all certificates from the signer in one
 * message, `apply` for each in its own savepoint of one transaction, commit (durable), `publish`
 * for each, then the feed gets the changes in trust (trust_log.h), then `done`; each step in the order in which they were submitted.
 *
 * A commit whose apply fails is undone alone; the others go on. When the store fails, the batch is
 * tried again a few times over two seconds; then every commit of it ends with STATUS_STORAGE, and
 * later batches get one try each until one succeeds. What `early` denied stays denied in memory,
 * although the store knows nothing of it; nothing is allowed before it is durable.
 *
 * A policy that cannot be put in force (memory, an unreadable row) leaves the old one to readers, yet
 * no certificate is issued under it: commits with a job end with STATUS_STORAGE, and the policy is
 * read again until that succeeds. A change of policy is the last of its batch, so that whatever was
 * submitted after it is applied with the new one in force. An appraisal made under the old one may
 * still be on its way then: its apply has to look again.
 *
 * Between batches it takes the steps of baselines whose time has come (baseline_due.h). When
 * nothing is to do, it forgets what has expired and tidies the store's files. Every so often it
 * has the signer sign where the audit log ends (audit_chain.h), and once more when it is stopped. */
#ifndef GATEHOUSE_FLEET_COMMITTER_H
#define GATEHOUSE_FLEET_COMMITTER_H

#include "server/base/log.h"
#include "server/credential/signer.h"
#include "server/fleet/feed.h"
#include "server/fleet/policy.h"
#include "server/fleet/table.h"

struct committer;
struct commit;

/* What a commit does; constant tables of the api. Every function runs on the committer's thread;
 * any but apply and done may be NULL. */
struct commit_kind {
    const char *name;
    void (*early)(struct commit *commit, struct fleet_table *table);
    /* Inside the transaction. May run again when the batch is retried: it must set its results anew
     * each time. OK, or any other status to undo it. */
    enum status (*apply)(struct commit *commit, struct store_writer *writer, struct detail *detail);
    /* After the commit is durable and apply was OK. */
    void (*publish)(struct commit *commit, struct fleet_table *table);
    /* Last; `status` is final. The commit is the submitter's again: typically hands it back to its
     * worker. */
    void (*done)(struct commit *commit);
    /* The policy is read anew after the batch is durable, before done. When that fails the commit
     * ends with STATUS_INTERNAL, though what it did is recorded. */
    bool reloads_policy;
};

/* Embedded in the submitter's own struct; zero-initialised, then kind (and job) set. Lives until
 * done. */
struct commit {
    const struct commit_kind *kind;
    struct sign_job *job; /* NULL: no certificate is wanted. When the signer refuses it, apply is
                             not called, and the status is the job's: INVALID */
    enum status status;   /* the result, for done */
    struct detail detail;
    struct commit *next; /* the committer's */
};

struct committer_options {
    struct store *store;
    struct signer *signer;
    struct fleet_table *table;
    struct policy_holder *policy;
    struct feed *feed; /* gets what is durable, before done; NULL: nobody follows */
    const struct log *log;
    unsigned queue_max;     /* commits waiting; more get BUSY at once. 0: 65536 */
    int64_t keep_expired_s; /* how long the store remembers expired credentials. 0: a day */
    /* A checkpoint of the audit log after so many entries, or so long after one. 0: 1,000; 60 s */
    int64_t checkpoint_entries, checkpoint_ms;
    /* Called once, from the committer's thread, when the signer is gone: the gateway cannot go on.
     * NULL is allowed. */
    void (*fatal)(void *context);
    void *fatal_context;
};
/* Takes the store's writer. The policy was loaded. CONFLICT: the store has its writer already;
 * STORAGE; MEMORY. */
MUST_USE enum status committer_start(struct committer **out,
                                     const struct committer_options *options,
                                     struct detail *detail);
/* Thread-safe. OK: done will be called (maybe before this returns). BUSY: the queue is full, or the
 * committer is stopping; done is not called. */
MUST_USE enum status committer_submit(struct committer *committer, struct commit *commit);
/* Ends what is queued, joins the thread. NULL is allowed. */
void committer_stop(struct committer *committer);
/* Whether the policy that readers have is the store's. For apply: on the committer's thread. */
bool committer_policy_is_current(const struct committer *committer);
struct committer_counters { /* since the start; failures are commits that did not end with OK */
    uint64_t batches, commits, failures, largest_batch, storage_retries;
    uint64_t baselines_activated, baselines_retired, baselines_not_activated; /* by themselves */
    uint64_t rings_opened, rollouts_halted, rollouts_completed;               /* likewise */
};
void committer_count(const struct committer *committer, struct committer_counters *out);

#endif

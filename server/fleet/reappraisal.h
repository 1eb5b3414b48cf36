/* The fleet held against a changed policy: jobs in the store, carried out by a thread of its own.
 *
 * A job is written in the transaction of the change that asks for it, so that neither is there without
 * the other, and goes on after a restart where it was. Its thread walks through the devices by id,
 * judges what is kept of each (rejudge.h), and submits what changes to the committer: one commit at a
 * time, of bounded size, so that others find room between. A commit is dropped, and its devices judged
 * again, when the policy changed in between; and leaves out a device whose evidence came in since.
 *
 * A device that fails: with ENFORCE_NOW its verdict becomes untrusted and its credentials are
 * revoked, in one transaction. With ENFORCE_LEASE its standing and its credentials stay, and what was
 * found is recorded beside them, until its next evidence. A device that would pass again stands as
 * trusted either way; it gets a credential when it attests. What is kept of a device and cannot be
 * read denies nothing: it is counted, logged, and the device left as it is. */
#ifndef GATEHOUSE_FLEET_REAPPRAISAL_H
#define GATEHOUSE_FLEET_REAPPRAISAL_H

#include "server/fleet/committer.h"

struct reappraisal_request {
    const char *model;       /* "": all */
    const char *cause;       /* stable snake_case, at most 32 bytes */
    const char *baseline_id; /* NULL: none */
    enum enforcement enforce;
    const char *requested_by; /* as the audit's actor */
    const char *reason;       /* NULL: none; at most 128 bytes */
    const char *request_id;   /* of the audit's entry; NULL: none */
};
/* In the transaction of the change: writes the job and its audit entry ("reappraisal.request"). `id`
 * becomes the job's. STORAGE, MEMORY. */
MUST_USE enum status reappraisal_request(struct store_writer *writer, char id[static STORE_ID],
                                         const struct reappraisal_request *request, int64_t now_ms,
                                         struct detail *detail);

struct reappraisals;
struct reappraisals_options { /* borrowed; outlives it */
    struct store *store;
    struct policy_holder *policy;
    struct committer *committer;
    const struct log *log;
    unsigned window; /* devices judged at most between two commits. 0: 2048 */
    unsigned batch;  /* devices changed by one commit. 0: 128 */
};
/* Starts the thread, which goes on with what is in the store. STORAGE, MEMORY. */
MUST_USE enum status reappraisals_start(struct reappraisals **out,
                                        const struct reappraisals_options *options,
                                        struct detail *detail);
/* There is a new job: it looks at once, and not within a second. Thread-safe; NULL is allowed. */
void reappraisals_wake(struct reappraisals *reappraisals);
/* Ends the thread; before the committer is stopped. NULL is allowed. */
void reappraisals_stop(struct reappraisals *reappraisals);

struct reappraisals_counters { /* since the start */
    uint64_t judged, now_trusted, now_untrusted, credentials_revoked, superseded, without_facts,
        damaged, done, retries;
};
void reappraisals_count(const struct reappraisals *reappraisals, struct reappraisals_counters *out);

#endif

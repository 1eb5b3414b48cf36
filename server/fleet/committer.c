#include "server/fleet/committer.h"

#include "server/base/clock.h"
#include "server/base/thread.h"
#include "server/fleet/audit_chain.h"
#include "server/fleet/audit_checkpoint.h"
#include "server/fleet/baseline_due.h"
#include "server/fleet/trust_log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { QUEUE_MAX = 65536, TICK_MS = 250, PRUNE_ROWS = 1024, PRUNE_DEVICES = 4096 };
enum { DUE_STEPS = 64, DUE_PAUSE_MS = 10000 };
enum { CHECKPOINT_ENTRIES = 1000, CHECKPOINT_MS = 60000 };
enum { KEEP_EXPIRED_S = 86400, SET_ASIDE_MAX = 8 };

/* How long each attempt of a batch waits after the one before: two seconds in all. */
static const unsigned pause_ms[] = {0, 50, 150, 300, 500, 1000};
enum { ATTEMPTS = sizeof pause_ms / sizeof pause_ms[0] };

struct committer {
    struct committer_options options;
    struct store_writer *writer;
    pthread_t thread;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct commit *first, **last;
    unsigned queued;
    bool stopping;

    /* The thread's own: */
    struct commit *batch[SIGNER_BATCH_MAX];
    bool eligible[SIGNER_BATCH_MAX]; /* nothing has ended it yet */
    size_t num;
    bool store_down; /* the latest batch failed: the next one is not tried again and again */
    bool signer_gone;
    bool policy_stale; /* the store has a policy that could not be put in force */
    bool prune_more;
    bool feed_behind; /* what is durable could not be read back */
    int64_t housekept_ms;
    int64_t due_not_before_ms; /* after a failure: not at once again */
    struct audit_checkpoints checkpoints;

    _Atomic uint64_t batches, commits, failures, largest_batch, storage_retries;
    _Atomic uint64_t baselines_activated, baselines_retired, baselines_not_activated;
    _Atomic uint64_t rings_opened, rollouts_halted, rollouts_completed;
};

static void add(_Atomic uint64_t *counter, uint64_t num) {
    (void)atomic_fetch_add_explicit(counter, num, memory_order_relaxed);
}

static void sleep_ms(unsigned ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static void end_commit(struct committer *c, size_t i, enum status status) {
    c->batch[i]->status = status;
    c->eligible[i] = false;
}

/* --- the steps of a batch --- */

static void run_early(struct committer *c) {
    for (size_t i = 0; i < c->num; i++) {
        c->eligible[i] = true;
        c->batch[i]->status = STATUS_INTERNAL;
        if (c->batch[i]->kind->early != NULL) {
            c->batch[i]->kind->early(c->batch[i], c->options.table);
        }
    }
}

static bool reload_policy(struct committer *c, struct detail *detail) {
    enum status status = policy_reload(c->options.policy, store_writer_reader(c->writer), detail);
    c->policy_stale = status != STATUS_OK;
    if (status != STATUS_OK) {
        log_event(c->options.log, LOG_ERROR, "policy_not_in_force",
                  log_str("status", status_name(status)), log_str("detail", detail->text));
    }
    return status == STATUS_OK;
}

static void lose_signer(struct committer *c, const struct detail *detail) {
    c->signer_gone = true;
    log_event(c->options.log, LOG_ERROR, "signer_gone", log_str("detail", detail->text));
    if (c->options.fatal != NULL) {
        c->options.fatal(c->options.fatal_context);
    }
}

/* Ends every commit that wants a certificate. */
static void refuse_jobs(struct committer *c, enum status status, const char *why) {
    for (size_t i = 0; i < c->num; i++) {
        if (c->batch[i]->job != NULL) {
            detail_set(&c->batch[i]->detail, "%s", why);
            end_commit(c, i, status);
        }
    }
}

static void sign(struct committer *c) {
    struct sign_job *job[SIGNER_BATCH_MAX];
    size_t num = 0;
    for (size_t i = 0; i < c->num; i++) {
        if (c->batch[i]->job != NULL) {
            job[num++] = c->batch[i]->job;
        }
    }
    if (num == 0) {
        return;
    }
    struct detail detail = {0};
    if (c->policy_stale && !reload_policy(c, &detail)) {
        refuse_jobs(c, STATUS_STORAGE, "the policy in force is out of date");
        return;
    }
    if (!c->signer_gone && signer_sign(c->options.signer, job, num, &detail) != STATUS_OK) {
        lose_signer(c, &detail);
    }
    if (c->signer_gone) {
        refuse_jobs(c, STATUS_INTERNAL, "the signer is gone");
        return;
    }
    for (size_t i = 0; i < c->num; i++) {
        const struct sign_job *signed_job = c->batch[i]->job;
        if (signed_job != NULL && signed_job->status != STATUS_OK) {
            detail_set(&c->batch[i]->detail, "the signer refuses: %s",
                       status_name(signed_job->status));
            end_commit(c, i, signed_job->status);
        }
    }
}

/* One commit in its savepoint. STORAGE: the transaction is lost; *at_fault is then whether the
 * commit itself said so. */
static enum status apply_one(struct committer *c, struct commit *commit, bool *at_fault,
                             struct detail *detail) {
    *at_fault = false;
    if (store_savepoint(c->writer, detail) != STATUS_OK) {
        return STATUS_STORAGE;
    }
    commit->detail = (struct detail){0};
    commit->status = commit->kind->apply(commit, c->writer, &commit->detail);
    if (commit->status == STATUS_STORAGE) {
        *detail = commit->detail;
        *at_fault = true;
        return STATUS_STORAGE;
    }
    if (commit->status != STATUS_OK) {
        store_undo(c->writer);
        return STATUS_OK;
    }
    return store_release(c->writer, detail) == STATUS_OK ? STATUS_OK : STATUS_STORAGE;
}

/* All that are eligible, in one transaction. On STORAGE *culprit is the commit at which it broke,
 * when that can be told, else c->num. */
static enum status attempt(struct committer *c, size_t *culprit, struct detail *detail) {
    *culprit = c->num;
    if (store_begin(c->writer, detail) != STATUS_OK) {
        return STATUS_STORAGE;
    }
    for (size_t i = 0; i < c->num; i++) {
        bool at_fault;
        if (c->eligible[i] && apply_one(c, c->batch[i], &at_fault, detail) != STATUS_OK) {
            *culprit = at_fault ? i : c->num;
            store_rollback(c->writer);
            return STATUS_STORAGE;
        }
    }
    return store_commit(c->writer, detail) == STATUS_OK ? STATUS_OK : STATUS_STORAGE;
}

static enum status attempt_with_patience(struct committer *c, size_t *culprit,
                                         struct detail *detail) {
    enum status status = attempt(c, culprit, detail);
    for (size_t i = 1; status != STATUS_OK && !c->store_down && i < ATTEMPTS; i++) {
        add(&c->storage_retries, 1);
        sleep_ms(pause_ms[i]);
        status = attempt(c, culprit, detail);
    }
    return status;
}

static bool any_eligible(const struct committer *c) {
    for (size_t i = 0; i < c->num; i++) {
        if (c->eligible[i]) {
            return true;
        }
    }
    return false;
}

static void fail_all(struct committer *c, const struct detail *detail) {
    log_event(c->options.log, LOG_ERROR, "storage_failed", log_int("commits", c->num),
              log_str("detail", detail->text));
    for (size_t i = 0; i < c->num; i++) {
        if (c->eligible[i]) {
            c->batch[i]->detail = *detail;
            end_commit(c, i, STATUS_STORAGE);
        }
    }
}

/* A commit that keeps failing on its own, as on a damaged row, does not take the others with it. */
static void write_batch(struct committer *c) {
    struct detail detail = {0};
    for (int set_aside = 0; any_eligible(c); set_aside++) {
        size_t culprit;
        enum status status = set_aside == 0 ? attempt_with_patience(c, &culprit, &detail)
                                            : attempt(c, &culprit, &detail);
        if (status == STATUS_OK) {
            c->store_down = false;
            return;
        }
        if (culprit == c->num || set_aside == SET_ASIDE_MAX) {
            c->store_down = true;
            fail_all(c, &detail);
            return;
        }
        end_commit(c, culprit, STATUS_STORAGE);
    }
}

static bool is_durable(const struct committer *c, size_t i) {
    return c->eligible[i] && c->batch[i]->status == STATUS_OK;
}

/* What is durable reaches the readers: the table, then the policy. */
static void publish(struct committer *c) {
    bool reload = false;
    for (size_t i = 0; i < c->num; i++) {
        if (is_durable(c, i)) {
            reload = reload || c->batch[i]->kind->reloads_policy;
            if (c->batch[i]->kind->publish != NULL) {
                c->batch[i]->kind->publish(c->batch[i], c->options.table);
            }
        }
    }
    struct detail detail = {0};
    if (!reload || reload_policy(c, &detail)) {
        return;
    }
    detail_prefix(&detail, "recorded, but not in force yet");
    for (size_t i = 0; i < c->num; i++) {
        if (is_durable(c, i) && c->batch[i]->kind->reloads_policy) {
            c->batch[i]->detail = detail;
            c->batch[i]->status = STATUS_INTERNAL;
        }
    }
}

/* Whoever is told that something is done finds it in the feed. A failure is made up for by the next call:
 * nothing is skipped. */
static void publish_changes(struct committer *c) {
    if (c->options.feed == NULL) {
        return;
    }
    enum status status =
        trust_log_publish(c->options.feed, c->options.table, store_writer_reader(c->writer));
    if (status != STATUS_OK) {
        log_event(c->options.log, LOG_ERROR, "feed_behind", log_str("status", status_name(status)));
    }
    c->feed_behind = status != STATUS_OK;
}

static void finish(struct committer *c) {
    add(&c->batches, 1);
    add(&c->commits, c->num);
    if (c->num > atomic_load_explicit(&c->largest_batch, memory_order_relaxed)) {
        atomic_store_explicit(&c->largest_batch, c->num, memory_order_relaxed);
    }
    for (size_t i = 0; i < c->num; i++) {
        add(&c->failures, c->batch[i]->status == STATUS_OK ? 0 : 1);
    }
    for (size_t i = 0; i < c->num; i++) {
        c->batch[i]->kind->done(c->batch[i]); /* which may free it */
    }
}

static void run_batch(struct committer *c) {
    run_early(c);
    sign(c);
    write_batch(c);
    publish(c);
    publish_changes(c);
    finish(c);
}

/* --- housekeeping --- */

/* Whether there was more than was done. */
static bool prune_store(struct committer *c, int64_t now) {
    if (store_begin(c->writer, NULL) != STATUS_OK) {
        return false;
    }
    enum status status = store_audit_forget(c->writer, PRUNE_ROWS);
    bool more = status == STATUS_LIMIT;
    if (more || status == STATUS_OK) {
        status = store_credential_prune(c->writer, now - c->options.keep_expired_s, PRUNE_ROWS);
        more = more || status == STATUS_LIMIT;
    }
    if (status == STATUS_LIMIT || status == STATUS_OK) {
        status = store_rollout_forget(c->writer, PRUNE_ROWS);
        more = more || status == STATUS_LIMIT;
    }
    if (status == STATUS_LIMIT || status == STATUS_OK) {
        status = trust_log_forget(c->writer, now * 1000, PRUNE_ROWS);
        more = more || status == STATUS_LIMIT;
    }
    if (status == STATUS_LIMIT || status == STATUS_OK) {
        status = store_enrollment_prune(c->writer, now);
    }
    if (status == STATUS_OK) {
        status = store_commit(c->writer, NULL);
    }
    store_rollback(c->writer);
    return more && status == STATUS_OK;
}

/* In a transaction of its own: damage to what is kept of a boot keeps nothing else from going. */
static bool forget_boots(struct committer *c) {
    if (store_begin(c->writer, NULL) != STATUS_OK) {
        return false;
    }
    enum status status = store_boot_state_forget(c->writer, PRUNE_ROWS);
    bool more = status == STATUS_LIMIT;
    if (more || status == STATUS_OK) {
        status = store_commit(c->writer, NULL);
    }
    store_rollback(c->writer);
    return more && status == STATUS_OK;
}

static void checkpoint(struct committer *c, bool force) {
    struct detail detail = {0};
    if (c->signer_gone) {
        return;
    }
    enum status status =
        audit_checkpoint_tick(&c->checkpoints, c->writer, clock_monotonic_ms(), force, &detail);
    if (status == STATUS_INTERNAL) {
        lose_signer(c, &detail);
    } else if (status != STATUS_OK) { /* again at the next tick */
        log_event(c->options.log, LOG_ERROR, "audit_checkpoint_failed",
                  log_str("status", status_name(status)), log_str("detail", detail.text));
    }
}

static void count_due(struct committer *c, enum baseline_due did) {
    switch (did) {
    case DUE_ACTIVATED:
        add(&c->baselines_activated, 1);
        break;
    case DUE_RETIRED:
        add(&c->baselines_retired, 1);
        break;
    case DUE_NOT_ACTIVATED:
        add(&c->baselines_not_activated, 1);
        break;
    case DUE_RING_OPENED:
        add(&c->rings_opened, 1);
        break;
    case DUE_ROLLOUT_HALTED:
        add(&c->rollouts_halted, 1);
        break;
    case DUE_ROLLOUT_COMPLETE:
        add(&c->rollouts_completed, 1);
        break;
    case DUE_NOTHING:
        break;
    }
}

/* Baselines whose time has come. */
static void take_due_steps(struct committer *c) {
    struct detail detail = {0};
    enum baseline_due did = DUE_NOTHING;
    enum status status = STATUS_OK;
    bool any = false;
    if (clock_monotonic_ms() < c->due_not_before_ms) {
        return;
    }
    for (int i = 0; i < DUE_STEPS && status == STATUS_OK && (i == 0 || did != DUE_NOTHING); i++) {
        status = baseline_due_step(c->writer, &did, clock_unix_ms(), &detail);
        if (status == STATUS_OK) {
            count_due(c, did);
            any = any || did != DUE_NOTHING;
        }
    }
    if (status != STATUS_OK) {
        c->due_not_before_ms = clock_monotonic_ms() + DUE_PAUSE_MS;
        log_event(c->options.log, LOG_ERROR, "baseline_step_failed",
                  log_str("status", status_name(status)), log_str("detail", detail.text));
    }
    if (any) {
        (void)reload_policy(c, &detail);
    }
    if (any) {
        publish_changes(c);
    }
}

static void housekeep(struct committer *c, bool idle) {
    int64_t now = clock_unix();
    struct detail detail = {0};
    if (c->policy_stale) {
        (void)reload_policy(c, &detail);
    }
    take_due_steps(c);
    if (c->feed_behind) {
        publish_changes(c);
    }
    bool more = prune_store(c, now);
    c->prune_more = forget_boots(c) || more;
    fleet_prune(c->options.table, now, PRUNE_DEVICES);
    checkpoint(c, false);
    if (idle) {
        store_checkpoint(c->writer);
    }
    c->housekept_ms = clock_monotonic_ms();
}

/* --- the thread --- */

static void wait_for_work(struct committer *c) {
    int64_t until_ms = c->housekept_ms + (c->prune_more ? 0 : TICK_MS);
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    while (c->queued == 0 && !c->stopping &&
           pthread_cond_timedwait(&c->wake, &c->lock, &until) == 0) {
    }
}

/* False when it is time to end. */
static bool take_batch(struct committer *c) {
    (void)pthread_mutex_lock(&c->lock);
    wait_for_work(c);
    c->num = 0;
    bool full = false;
    while (c->first != NULL && !full) {
        struct commit *commit = c->first;
        c->first = commit->next;
        commit->next = NULL;
        c->batch[c->num++] = commit;
        /* What comes after a change of policy is held against the new one. */
        full = c->num == SIGNER_BATCH_MAX || commit->kind->reloads_policy;
    }
    if (c->first == NULL) {
        c->last = &c->first;
    }
    c->queued -= (unsigned)c->num;
    bool go_on = c->num > 0 || !c->stopping;
    (void)pthread_mutex_unlock(&c->lock);
    return go_on;
}

static void *run(void *context) {
    struct committer *c = context;
    fleet_thread_enter();
    while (take_batch(c)) {
        if (c->num > 0) {
            run_batch(c);
        }
        if (clock_monotonic_ms() >= c->housekept_ms + TICK_MS || c->prune_more) {
            housekeep(c, c->num == 0);
        }
    }
    checkpoint(c, true);
    fleet_thread_leave();
    return NULL;
}

enum status committer_submit(struct committer *c, struct commit *commit) {
    (void)pthread_mutex_lock(&c->lock);
    bool taken = !c->stopping && c->queued < c->options.queue_max;
    if (taken) {
        commit->next = NULL;
        *c->last = commit;
        c->last = &commit->next;
        if (c->queued++ == 0) {
            (void)pthread_cond_signal(&c->wake);
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    return taken ? STATUS_OK : STATUS_BUSY;
}

static bool start_thread(struct committer *c) {
    if (!thread_condition_init(&c->wake)) {
        return false;
    }
    if (!thread_start(&c->thread, "committer", run, c)) {
        (void)pthread_cond_destroy(&c->wake);
        return false;
    }
    return true;
}

enum status committer_start(struct committer **out, const struct committer_options *options,
                            struct detail *detail) {
    struct committer *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the committer");
    }
    c->options = *options;
    c->options.queue_max = options->queue_max == 0 ? QUEUE_MAX : options->queue_max;
    c->options.keep_expired_s =
        options->keep_expired_s == 0 ? KEEP_EXPIRED_S : options->keep_expired_s;
    c->checkpoints = (struct audit_checkpoints){
        .signer = options->signer,
        .log = options->log,
        .entries =
            options->checkpoint_entries == 0 ? CHECKPOINT_ENTRIES : options->checkpoint_entries,
        .age_ms = options->checkpoint_ms == 0 ? CHECKPOINT_MS : options->checkpoint_ms};
    c->last = &c->first;
    c->housekept_ms = clock_monotonic_ms();
    enum status status = store_writer_new(&c->writer, options->store, detail);
    if (status == STATUS_OK) {
        status = audit_chain_begin(c->writer, clock_unix_ms(), detail);
    }
    if (status == STATUS_OK && options->feed != NULL) {
        status = trust_log_begin(options->feed, store_writer_reader(c->writer));
    }
    if (status == STATUS_OK && pthread_mutex_init(&c->lock, NULL) != 0) {
        status = status_fail(detail, STATUS_MEMORY, "no lock for the committer");
    }
    if (status != STATUS_OK) {
        store_writer_free(c->writer);
        free(c);
        return status;
    }
    if (!start_thread(c)) {
        (void)pthread_mutex_destroy(&c->lock);
        store_writer_free(c->writer);
        free(c);
        return status_fail(detail, STATUS_MEMORY, "cannot start the committer's thread");
    }
    *out = c;
    return STATUS_OK;
}

void committer_stop(struct committer *c) {
    if (c == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_signal(&c->wake);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->thread, NULL);
    (void)pthread_cond_destroy(&c->wake);
    (void)pthread_mutex_destroy(&c->lock);
    store_writer_free(c->writer);
    free(c);
}

bool committer_policy_is_current(const struct committer *c) {
    return !c->policy_stale;
}

void committer_count(const struct committer *c, struct committer_counters *out) {
    *out = (struct committer_counters){
        .batches = atomic_load_explicit(&c->batches, memory_order_relaxed),
        .commits = atomic_load_explicit(&c->commits, memory_order_relaxed),
        .failures = atomic_load_explicit(&c->failures, memory_order_relaxed),
        .largest_batch = atomic_load_explicit(&c->largest_batch, memory_order_relaxed),
        .storage_retries = atomic_load_explicit(&c->storage_retries, memory_order_relaxed),
        .baselines_activated = atomic_load_explicit(&c->baselines_activated, memory_order_relaxed),
        .baselines_retired = atomic_load_explicit(&c->baselines_retired, memory_order_relaxed),
        .baselines_not_activated =
            atomic_load_explicit(&c->baselines_not_activated, memory_order_relaxed),
        .rings_opened = atomic_load_explicit(&c->rings_opened, memory_order_relaxed),
        .rollouts_halted = atomic_load_explicit(&c->rollouts_halted, memory_order_relaxed),
        .rollouts_completed = atomic_load_explicit(&c->rollouts_completed, memory_order_relaxed),
    };
}

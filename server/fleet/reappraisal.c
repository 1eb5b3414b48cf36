#include "server/fleet/reappraisal.h"

#include "server/appraisal/trustworthiness.h"
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/thread.h"
#include "server/crypto/random.h"
#include "server/fleet/reappraisal_commit.h"
#include "server/fleet/rejudge.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOW = 2048, BATCH = 128, WINDOW_BYTES_MAX = 64 << 20 };
enum { IDLE_MS = 1000, BACK_OFF_MS = 100, BACK_OFF_MAX_MS = 2000, GIVE_UP_AFTER = 3 };

struct reappraisals {
    struct reappraisals_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    bool woken, stopping;

    /* The thread's own: */
    struct store_reader *reader;
    struct rejudge *rejudge;
    struct reappraisal_batch batch;
    char job_id[STORE_ID];     /* the job that it was at last */
    bool crowded;              /* the latest batch was full: most devices change */
    unsigned unreadable;       /* times that something could not be read since the latest commit */
    uint8_t damaged_state[32]; /* logged already */

    _Atomic uint64_t judged, now_trusted, now_untrusted, credentials_revoked, superseded,
        without_facts, damaged, done, retries;
};

static void add(_Atomic uint64_t *counter, int64_t num) {
    (void)atomic_fetch_add_explicit(counter, (uint64_t)num, memory_order_relaxed);
}

/* --- one device ----------------------------------------------------------------------------- */

static int rank(int verdict, int tier) {
    return verdict == VERDICT_TRUSTED ? 1 + tier : 0;
}

static bool differs(const struct judgement *judgement, int verdict, int tier,
                    const char *baseline_id) {
    return (int)judgement->verdict != verdict || (int)judgement->tier != tier ||
           (judgement->verdict == VERDICT_TRUSTED &&
            strcmp(judgement->baseline_id, baseline_id) != 0);
}

/* Whether there is something to write, and whether it becomes the device's standing. */
static bool has_changed(const struct device_standing_row *was, const struct judgement *judgement,
                        enum enforcement enforce, bool *stands) {
    bool worse =
        rank((int)judgement->verdict, (int)judgement->tier) < rank(was->verdict, was->tier);
    bool as_found = was->has_found && !differs(judgement, was->found_verdict, was->found_tier,
                                               was->found_baseline_id);
    *stands = enforce == ENFORCE_NOW || !worse;
    if (!*stands) {
        return !as_found;
    }
    return differs(judgement, was->verdict, was->tier, was->baseline_id) ||
           (was->has_found && !as_found);
}

static bool is_audited(const struct device_standing_row *was, const struct judgement *judgement,
                       bool stands) {
    bool found = was->has_found && !stands;
    return (int)judgement->verdict != (found ? was->found_verdict : was->verdict) ||
           (int)judgement->tier != (found ? was->found_tier : was->tier);
}

/* MEMORY. */
static enum status take_device(struct reappraisal_batch *b, const char *model,
                               const struct device_standing_row *was,
                               const struct judgement *judgement, bool stands) {
    struct reappraised *d = &b->device[b->num];
    *d = (struct reappraised){.was = *was,
                              .stands = stands,
                              .earns = judgement->earns,
                              .audited = is_audited(was, judgement, stands)};
    struct device_reappraisal_row *row = &d->row;
    memcpy(row->device_id, was->device_id, sizeof row->device_id);
    memcpy(row->job_id, b->job.id, sizeof row->job_id);
    memcpy(row->of_appraisal_id, was->appraisal_id, sizeof row->of_appraisal_id);
    memcpy(row->baseline_id, judgement->baseline_id, sizeof row->baseline_id);
    id_new(row->appraisal_id, b->now_ms);
    row->verdict = (int)judgement->verdict;
    row->tier = (int)judgement->tier;
    row->trustworthiness = (uint16_t)((judgement->trustworthiness & ~AR4SI_DEVICE) |
                                      (was->trustworthiness & AR4SI_DEVICE));
    row->created_ms = b->now_ms;
    struct appraisal_row *appraisal = &d->appraisal;
    memcpy(appraisal->id, row->appraisal_id, sizeof appraisal->id);
    memcpy(appraisal->device_id, row->device_id, sizeof appraisal->device_id);
    (void)snprintf(appraisal->model, sizeof appraisal->model, "%s", model);
    memcpy(appraisal->baseline_id, row->baseline_id, sizeof appraisal->baseline_id);
    memcpy(appraisal->reappraisal_id, row->job_id, sizeof appraisal->reappraisal_id);
    appraisal->verdict = row->verdict;
    appraisal->tier = row->tier;
    memcpy(appraisal->segment, judgement->segment, sizeof appraisal->segment);
    appraisal->key_protection = was->key_protection;
    appraisal->created_ms = b->now_ms;
    memcpy(appraisal->boot_state, judgement->boot_state, sizeof appraisal->boot_state);
    appraisal->findings = arena_bytes(&b->arena, judgement->findings);
    if (b->arena.overflow) {
        return STATUS_MEMORY;
    }
    b->num++;
    return STATUS_OK;
}

static void tell_damage(struct reappraisals *r, const struct device_standing_row *device,
                        const struct judgement *judgement, const struct detail *detail) {
    char boot_state[65];
    if (memcmp(r->damaged_state, judgement->boot_state, sizeof r->damaged_state) == 0) {
        return;
    }
    memcpy(r->damaged_state, judgement->boot_state, sizeof r->damaged_state);
    hex_encode(boot_state, bytes_of(judgement->boot_state, sizeof judgement->boot_state));
    log_event(r->options.log, LOG_ERROR, "boot_state_damaged",
              log_str("reappraisal_id", r->batch.job.id), log_str("device_id", device->device_id),
              log_str("boot_state", boot_state), log_str("detail", detail->text));
}

/* CONFLICT: the policy changed under way. What cannot be read time and again is as good as damaged. */
static enum status judge_device(struct reappraisals *r, const char *model,
                                const struct device_standing_row *device) {
    struct reappraisal_batch *b = &r->batch;
    const struct judgement *judgement;
    struct detail detail = {0};
    enum status status = rejudge_device(r->rejudge, &judgement, model, device, NULL,
                                        b->now_ms / 1000, r->unreadable >= GIVE_UP_AFTER, &detail);
    if (status != STATUS_OK) {
        r->unreadable += status == STATUS_STORAGE || status == STATUS_MEMORY;
        return status;
    }
    b->job.counts.judged++;
    b->job.counts.without_facts += judgement->basis == JUDGED_WITHOUT_FACTS;
    if (judgement->basis == JUDGED_DAMAGED) {
        b->job.counts.damaged++;
        tell_damage(r, device, judgement, &detail);
        return STATUS_OK;
    }
    if (judgement->generation != b->generation) {
        return STATUS_CONFLICT;
    }
    bool stands;
    return has_changed(device, judgement, b->job.enforce, &stands)
               ? take_device(b, model, device, judgement, stands)
               : STATUS_OK;
}

/* --- one window ------------------------------------------------------------------------------ */

/* The model that the job is at; "": it has been through all. */
static enum status find_model(struct reappraisals *r, char out[static STORE_NAME],
                              const struct reappraisal_row *job) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, WINDOW_BYTES_MAX);
    struct model_row *row;
    size_t num;
    const char *model = job->model[0] != '\0' ? job->model : job->cursor_model;
    if (model[0] != '\0') {
        (void)snprintf(out, STORE_NAME, "%s", model);
        return STATUS_OK;
    }
    enum status status =
        store_model_list(r->reader, &arena, &row, &num, (struct store_page){"", 1});
    if (status == STATUS_OK) {
        (void)snprintf(out, STORE_NAME, "%s", num == 0 ? "" : row[0].name);
    }
    return status;
}

/* To the start of the next model, or to the job's end. */
static enum status end_model(struct reappraisals *r, const char *model) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, WINDOW_BYTES_MAX);
    struct reappraisal_row *job = &r->batch.job;
    struct model_row *row;
    size_t num = 0;
    enum status status = STATUS_OK;
    if (job->model[0] == '\0' && model[0] != '\0') {
        status = store_model_list(r->reader, &arena, &row, &num, (struct store_page){model, 1});
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (num == 0) {
        job->state = REAPPRAISAL_DONE;
        job->ended = r->batch.now_ms / 1000;
    } else {
        (void)snprintf(job->cursor_model, sizeof job->cursor_model, "%s", row[0].name);
        job->cursor[0] = '\0';
    }
    return STATUS_OK;
}

static enum status judge_window(struct reappraisals *r, const char *model) {
    const unsigned window =
        r->crowded && r->options.batch < r->options.window ? r->options.batch : r->options.window;
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, WINDOW_BYTES_MAX);
    struct reappraisal_batch *b = &r->batch;
    struct device_standing_row *row = NULL;
    size_t num = 0, done = 0;
    (void)snprintf(b->job.cursor_model, sizeof b->job.cursor_model, "%s", model);
    enum status status = model[0] == '\0'
                             ? STATUS_OK
                             : store_standing_list(r->reader, &arena, &row, &num, model,
                                                   (struct store_page){b->job.cursor, window});
    for (; status == STATUS_OK && done < num && b->num < b->max; done++) {
        status = judge_device(r, model, &row[done]);
    }
    if (status == STATUS_NOT_FOUND) { /* the model went, and its devices with it */
        status = STATUS_OK;
        done = num = 0;
    }
    if (status != STATUS_OK) {
        return status;
    }
    r->crowded = b->num == b->max;
    if (done > 0) {
        memcpy(b->job.cursor, row[done - 1].device_id, sizeof b->job.cursor);
    }
    return num < window && done == num ? end_model(r, model) : STATUS_OK;
}

static void begin_batch(struct reappraisals *r, const struct reappraisal_row *job) {
    struct reappraisal_batch *b = &r->batch;
    arena_free(&b->arena);
    b->num = 0;
    b->job = *job;
    b->now_ms = clock_unix_ms();
    b->committer = r->options.committer;
    b->policy = r->options.policy;
    b->generation = policy_generation(policy_read_begin(b->policy));
    policy_read_end(b->policy);
    if (job->state == REAPPRAISAL_QUEUED) {
        b->job.state = REAPPRAISAL_RUNNING;
        b->job.started = b->now_ms / 1000;
    }
    if (strcmp(r->job_id, job->id) != 0) { /* what was damaged for one may be mended for another */
        rejudge_forget(r->rejudge);
        memset(r->damaged_state, 0, sizeof r->damaged_state);
        memcpy(r->job_id, job->id, sizeof r->job_id);
    }
}

static void count_batch(struct reappraisals *r, const struct reappraisal_row *before) {
    const struct reappraisal_row *after = &r->batch.after;
    const struct reappraisal_counts *a = &after->counts, *b = &before->counts;
    add(&r->judged, a->judged - b->judged);
    add(&r->now_trusted, a->now_trusted - b->now_trusted);
    add(&r->now_untrusted, a->now_untrusted - b->now_untrusted);
    add(&r->credentials_revoked, a->credentials_revoked - b->credentials_revoked);
    add(&r->superseded, a->superseded - b->superseded);
    add(&r->without_facts, a->without_facts - b->without_facts);
    add(&r->damaged, a->damaged - b->damaged);
    if (after->state == REAPPRAISAL_DONE) {
        add(&r->done, 1);
        log_event(r->options.log, LOG_INFO, "reappraisal_done",
                  log_str("reappraisal_id", after->id), log_str("cause", after->cause),
                  log_int("judged", a->judged), log_int("now_trusted", a->now_trusted),
                  log_int("now_untrusted", a->now_untrusted), log_int("damaged", a->damaged));
    }
}

/* OK: there may be more to do; END: there is nothing to do. Else it has to wait a little. */
static enum status step(struct reappraisals *r, struct detail *detail) {
    struct reappraisal_row job;
    char model[STORE_NAME] = "";
    enum status status = store_reappraisal_next(r->reader, &job);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_END;
    }
    if (status == STATUS_OK) {
        status = find_model(r, model, &job);
    }
    if (status == STATUS_OK) {
        begin_batch(r, &job);
        status = judge_window(r, model);
    }
    if (status == STATUS_OK) {
        status = reappraisal_batch_commit(&r->batch, detail);
    }
    if (status == STATUS_OK) {
        r->unreadable = 0;
        count_batch(r, &job);
    }
    return status;
}

/* --- the thread ------------------------------------------------------------------------------ */

/* False when it is time to end. */
static bool wait_ms(struct reappraisals *r, int64_t ms, bool wakes) {
    int64_t until_ms = clock_monotonic_ms() + ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    (void)pthread_mutex_lock(&r->lock);
    while (!r->stopping && !(wakes && r->woken) && ms > 0 &&
           pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0) {
    }
    r->woken = r->woken && !wakes;
    bool go_on = !r->stopping;
    (void)pthread_mutex_unlock(&r->lock);
    return go_on;
}

static void *run(void *context) {
    struct reappraisals *r = context;
    int64_t back_off_ms = BACK_OFF_MS;
    bool go_on = true;
    fleet_thread_enter();
    while (go_on) {
        struct detail detail = {0};
        enum status status = step(r, &detail);
        if (status == STATUS_OK || status == STATUS_END || status == STATUS_CONFLICT) {
            back_off_ms = BACK_OFF_MS;
            /* With a policy that is not in force there is nothing to do but wait for it. */
            int64_t pause_ms = status == STATUS_END        ? IDLE_MS
                               : status == STATUS_CONFLICT ? BACK_OFF_MS / 10
                                                           : 0;
            go_on = wait_ms(r, pause_ms, status == STATUS_END);
            continue;
        }
        add(&r->retries, 1);
        rejudge_forget(r->rejudge); /* what could not be read may be readable then */
        log_event(r->options.log, LOG_WARNING, "reappraisal_delayed",
                  log_str("reappraisal_id", r->job_id), log_str("status", status_name(status)),
                  log_str("detail", detail.text));
        go_on = wait_ms(r, back_off_ms, false);
        back_off_ms = back_off_ms * 2 < BACK_OFF_MAX_MS ? back_off_ms * 2 : BACK_OFF_MAX_MS;
    }
    fleet_thread_leave();
    return NULL;
}

void reappraisals_wake(struct reappraisals *r) {
    if (r != NULL) {
        (void)pthread_mutex_lock(&r->lock);
        r->woken = true;
        (void)pthread_cond_signal(&r->wake);
        (void)pthread_mutex_unlock(&r->lock);
    }
}

static bool start_thread(struct reappraisals *r) {
    if (!thread_condition_init(&r->wake)) {
        return false;
    }
    if (!thread_start(&r->thread, "reappraisal", run, r)) {
        (void)pthread_cond_destroy(&r->wake);
        return false;
    }
    return true;
}

/* All but the thread. */
static enum status open_parts(struct reappraisals *r, struct detail *detail) {
    enum status status = store_reader_new(&r->reader, r->options.store, detail);
    if (status != STATUS_OK) {
        return status;
    }
    const struct rejudge_options options = {.reader = r->reader, .policy = r->options.policy};
    status = rejudge_new(&r->rejudge, &options);
    if (status == STATUS_OK) {
        status = reappraisal_batch_init(&r->batch, r->options.batch);
    }
    if (status != STATUS_OK) {
        rejudge_free(r->rejudge);
        store_reader_free(r->reader);
        return status_fail(detail, status, "no memory for re-appraisals");
    }
    return STATUS_OK;
}

static void close_parts(struct reappraisals *r) {
    reappraisal_batch_cleanup(&r->batch);
    rejudge_free(r->rejudge);
    store_reader_free(r->reader);
}

enum status reappraisals_start(struct reappraisals **out,
                               const struct reappraisals_options *options, struct detail *detail) {
    struct reappraisals *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for re-appraisals");
    }
    r->options = *options;
    r->options.window = options->window == 0 ? WINDOW : options->window;
    r->options.batch = options->batch == 0 ? BATCH : options->batch;
    enum status status = open_parts(r, detail);
    if (status != STATUS_OK) {
        free(r);
        return status;
    }
    bool locked = pthread_mutex_init(&r->lock, NULL) == 0;
    if (!locked || !start_thread(r)) {
        if (locked) {
            (void)pthread_mutex_destroy(&r->lock);
        }
        close_parts(r);
        free(r);
        return status_fail(detail, STATUS_MEMORY, "cannot start the thread of re-appraisals");
    }
    *out = r;
    return STATUS_OK;
}

void reappraisals_stop(struct reappraisals *r) {
    if (r == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&r->lock);
    r->stopping = true;
    (void)pthread_cond_signal(&r->wake);
    (void)pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
    (void)pthread_cond_destroy(&r->wake);
    (void)pthread_mutex_destroy(&r->lock);
    close_parts(r);
    free(r);
}

static uint64_t get(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void reappraisals_count(const struct reappraisals *r, struct reappraisals_counters *out) {
    *out = (struct reappraisals_counters){.judged = get(&r->judged),
                                          .now_trusted = get(&r->now_trusted),
                                          .now_untrusted = get(&r->now_untrusted),
                                          .credentials_revoked = get(&r->credentials_revoked),
                                          .superseded = get(&r->superseded),
                                          .without_facts = get(&r->without_facts),
                                          .damaged = get(&r->damaged),
                                          .done = get(&r->done),
                                          .retries = get(&r->retries)};
}

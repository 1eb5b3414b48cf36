#include "server/fleet/preview.h"

#include "server/base/clock.h"
#include "server/base/thread.h"
#include "server/fleet/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 2048, WINDOW_BYTES_MAX = 16 << 20, TRACKED_MAX = 4096, TRACKED_SLOTS = 8192 };

struct previews {
    struct previews_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct preview *first, **last;
    unsigned queued;
    bool joined;

    _Atomic bool stopping;
    _Atomic uint64_t num_done;

    /* The thread's own: */
    struct store_reader *reader;
    struct rejudge *rejudge;
    struct preview_group *tracked; /* TRACKED_MAX, of the preview that runs */
    size_t num_tracked;
    uint16_t *slot; /* TRACKED_SLOTS, by digest: 1 + the group's number; 0: free */
};

/* --- causes ---------------------------------------------------------------------------------- */

static bool copy_cause(struct judgement_cause *out, struct arena *arena,
                       const struct judgement_cause *cause) {
    *out = *cause;
    out->code = arena_text(arena, cause->code);
    out->rule = arena_text(arena, cause->rule);
    out->expected = arena_text(arena, cause->expected);
    out->found = arena_text(arena, cause->found);
    out->remediation = arena_text(arena, cause->remediation);
    return !arena->overflow;
}

/* NULL: there is no room for another. */
static struct preview_group *find_group(struct previews *p, struct preview *preview,
                                        const struct judgement_cause *cause) {
    size_t at = ((size_t)cause->digest[0] << 8 | cause->digest[1]) % TRACKED_SLOTS;
    for (; p->slot[at] != 0; at = (at + 1) % TRACKED_SLOTS) {
        struct preview_group *group = &p->tracked[p->slot[at] - 1];
        if (memcmp(group->cause.digest, cause->digest, sizeof cause->digest) == 0) {
            return group;
        }
    }
    if (p->num_tracked == TRACKED_MAX) {
        return NULL;
    }
    struct preview_group *group = &p->tracked[p->num_tracked];
    *group = (struct preview_group){0};
    if (!copy_cause(&group->cause, preview->arena, cause)) {
        return NULL;
    }
    p->slot[at] = (uint16_t)++p->num_tracked;
    return group;
}

/* Those that are cut off before those that fail today already. */
static void add_example(struct preview_group *group, const char *device_id, bool cut_off) {
    size_t at = cut_off ? group->num_cut_off : group->num_examples;
    if (at == PREVIEW_EXAMPLES) {
        return;
    }
    size_t kept =
        group->num_examples < PREVIEW_EXAMPLES ? group->num_examples : PREVIEW_EXAMPLES - 1;
    memmove(group->example[at + 1 < PREVIEW_EXAMPLES ? at + 1 : at], group->example[at],
            (kept > at ? kept - at : 0) * sizeof group->example[0]);
    memcpy(group->example[at], device_id, sizeof group->example[at]);
    group->num_examples = kept + 1;
    group->num_cut_off += cut_off;
}

static void add_causes(struct previews *p, struct preview *preview,
                       const struct judgement *judgement, const char *device_id, bool cut_off) {
    for (size_t i = 0; i < judgement->num_causes; i++) {
        struct preview_group *group = find_group(p, preview, &judgement->cause[i]);
        if (group == NULL) {
            preview->more_groups = true;
            continue;
        }
        group->devices++;
        group->cut_off += cut_off;
        add_example(group, device_id, cut_off);
    }
}

static int order_groups(const void *a, const void *b) {
    const struct preview_group *x = a, *y = b;
    if (x->cut_off != y->cut_off) {
        return x->cut_off > y->cut_off ? -1 : 1;
    }
    if (x->devices != y->devices) {
        return x->devices > y->devices ? -1 : 1;
    }
    return memcmp(x->cause.digest, y->cause.digest, sizeof x->cause.digest);
}

static enum status take_groups(struct previews *p, struct preview *preview) {
    size_t num = p->num_tracked < PREVIEW_MAX_GROUPS ? p->num_tracked : PREVIEW_MAX_GROUPS;
    qsort(p->tracked, p->num_tracked, sizeof *p->tracked, order_groups);
    preview->group = arena_array(preview->arena, num, sizeof *preview->group);
    if (preview->arena->overflow) {
        return STATUS_MEMORY;
    }
    memcpy(preview->group, p->tracked, num * sizeof *preview->group);
    preview->num_groups = num;
    preview->more_groups = preview->more_groups || p->num_tracked > num;
    return STATUS_OK;
}

/* --- devices --------------------------------------------------------------------------------- */

static void count_device(struct previews *p, struct preview *preview,
                         const struct device_standing_row *device,
                         const struct judgement *judgement) {
    struct preview_counts *c = &preview->counts;
    bool was = device->verdict == VERDICT_TRUSTED, is = judgement->earns;
    c->devices++;
    if (judgement->basis != JUDGED_FACTS) {
        c->without_facts += judgement->basis == JUDGED_WITHOUT_FACTS;
        c->damaged += judgement->basis == JUDGED_DAMAGED;
        return;
    }
    c->pass += is;
    c->fail += !is;
    c->cut_off += was && !is;
    c->admitted += !was && is;
    c->tier_changed += was && is && (int)judgement->tier != device->tier;
    if (!is) {
        add_causes(p, preview, judgement, device->device_id, was);
    }
}

static enum status judge_window(struct previews *p, struct preview *preview,
                                const struct judgement_draft *draft, char after[static STORE_ID],
                                bool *more) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, WINDOW_BYTES_MAX);
    struct device_standing_row *row;
    size_t num;
    int64_t now = clock_unix();
    enum status status = store_standing_list(p->reader, &arena, &row, &num, preview->model,
                                             (struct store_page){after, WINDOW});
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        const struct judgement *judgement;
        if (atomic_load(&p->stopping)) {
            return STATUS_BUSY;
        }
        status = rejudge_device(p->rejudge, &judgement, preview->model, &row[i], draft, now, false,
                                &preview->detail);
        if (status == STATUS_OK) {
            count_device(p, preview, &row[i], judgement);
        }
    }
    if (status == STATUS_OK && num > 0) {
        memcpy(after, row[num - 1].device_id, STORE_ID);
    }
    *more = status == STATUS_OK && num == WINDOW;
    return status;
}

/* Devices that were never appraised are in no list of standings. */
static enum status count_unappraised(struct previews *p, struct preview *preview) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, WINDOW_BYTES_MAX);
    struct fleet_count *row;
    size_t num;
    enum status status = store_fleet_counts(p->reader, &arena, &row, &num);
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        bool counts = (row[i].state == DEVICE_ENROLLED || row[i].state == DEVICE_QUARANTINED) &&
                      row[i].verdict == VERDICT_UNKNOWN &&
                      strcmp(row[i].model, preview->model) == 0;
        preview->counts.devices += counts ? row[i].num : 0;
        preview->counts.without_facts += counts ? row[i].num : 0;
    }
    return status;
}

static enum status judge_all(struct previews *p, struct preview *preview,
                             const struct baseline *baseline) {
    const struct judgement_draft draft = {.baseline = baseline,
                                          .id = preview->baseline_id,
                                          .replaces = preview->replaces,
                                          .num_replaces = preview->num_replaces,
                                          .alone = preview->alone};
    char after[STORE_ID] = "";
    bool more = true;
    enum status status = count_unappraised(p, preview);
    while (status == STATUS_OK && more) {
        status = judge_window(p, preview, &draft, after, &more);
    }
    return status == STATUS_OK ? take_groups(p, preview) : status;
}

static void carry_out(struct previews *p, struct preview *preview) {
    struct baseline *baseline = NULL;
    int64_t begin_ms = clock_monotonic_ms();
    preview->counts = (struct preview_counts){0};
    memset(p->slot, 0, TRACKED_SLOTS * sizeof *p->slot);
    p->num_tracked = 0;
    enum status status = baseline_compile(&baseline, preview->document, NULL, &preview->detail);
    if (status == STATUS_OK) {
        /* Another document may come with the same id. */
        rejudge_forget(p->rejudge);
        status = judge_all(p, preview, baseline);
        rejudge_forget(p->rejudge);
    }
    baseline_free(baseline);
    preview->took_ms = clock_monotonic_ms() - begin_ms;
    preview->status = status;
    atomic_fetch_add_explicit(&p->num_done, 1, memory_order_relaxed);
}

/* --- the thread ------------------------------------------------------------------------------ */

/* NULL when it is time to end. */
static struct preview *take_next(struct previews *p) {
    (void)pthread_mutex_lock(&p->lock);
    while (p->first == NULL && !atomic_load(&p->stopping)) {
        (void)pthread_cond_wait(&p->wake, &p->lock);
    }
    struct preview *preview = atomic_load(&p->stopping) ? NULL : p->first;
    if (preview != NULL) {
        p->first = preview->next;
        p->last = p->first == NULL ? &p->first : p->last;
        p->queued--;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return preview;
}

static void *run(void *context) {
    struct previews *p = context;
    fleet_thread_enter();
    for (struct preview *preview = take_next(p); preview != NULL; preview = take_next(p)) {
        carry_out(p, preview);
        preview->done(preview);
    }
    fleet_thread_leave();
    return NULL;
}

enum status previews_submit(struct previews *p, struct preview *preview) {
    (void)pthread_mutex_lock(&p->lock);
    bool taken = !atomic_load(&p->stopping) && p->queued < PREVIEW_QUEUE_MAX;
    if (taken) {
        preview->next = NULL;
        *p->last = preview;
        p->last = &preview->next;
        p->queued++;
        (void)pthread_cond_signal(&p->wake);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return taken ? STATUS_OK : STATUS_BUSY;
}

static enum status open_parts(struct previews *p, struct detail *detail) {
    enum status status = store_reader_new(&p->reader, p->options.store, detail);
    if (status != STATUS_OK) {
        return status;
    }
    const struct rejudge_options options = {.reader = p->reader, .policy = p->options.policy};
    p->tracked = calloc(TRACKED_MAX, sizeof *p->tracked);
    p->slot = calloc(TRACKED_SLOTS, sizeof *p->slot);
    if (p->tracked == NULL || p->slot == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for previews");
    }
    status = rejudge_new(&p->rejudge, &options);
    return status == STATUS_OK ? status : status_fail(detail, status, "no memory for previews");
}

static void close_parts(struct previews *p) {
    rejudge_free(p->rejudge);
    store_reader_free(p->reader);
    free(p->tracked);
    free(p->slot);
    free(p);
}

static bool start_thread(struct previews *p) {
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        return false;
    }
    if (!thread_condition_init(&p->wake)) {
        (void)pthread_mutex_destroy(&p->lock);
        return false;
    }
    if (!thread_start(&p->thread, "preview", run, p)) {
        (void)pthread_cond_destroy(&p->wake);
        (void)pthread_mutex_destroy(&p->lock);
        return false;
    }
    return true;
}

enum status previews_start(struct previews **out, const struct previews_options *options,
                           struct detail *detail) {
    struct previews *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for previews");
    }
    p->options = *options;
    p->last = &p->first;
    enum status status = open_parts(p, detail);
    if (status == STATUS_OK && !start_thread(p)) {
        status = status_fail(detail, STATUS_MEMORY, "cannot start the thread of previews");
    }
    if (status != STATUS_OK) {
        close_parts(p);
        return status;
    }
    *out = p;
    return STATUS_OK;
}

void previews_stop(struct previews *p) {
    if (p == NULL || p->joined) {
        return;
    }
    (void)pthread_mutex_lock(&p->lock);
    atomic_store(&p->stopping, true);
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_join(p->thread, NULL);
    p->joined = true;
    for (struct preview *preview = p->first, *next; preview != NULL; preview = next) {
        next = preview->next;
        preview->status = STATUS_BUSY;
        preview->done(preview);
    }
    p->first = NULL;
}

void previews_free(struct previews *p) {
    if (p != NULL) {
        (void)pthread_cond_destroy(&p->wake);
        (void)pthread_mutex_destroy(&p->lock);
        close_parts(p);
    }
}

uint64_t previews_count(const struct previews *p) {
    return atomic_load_explicit(&p->num_done, memory_order_relaxed);
}

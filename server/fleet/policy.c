#include "server/fleet/policy.h"

#include "server/base/clock.h"
#include "server/fleet/anchor_bundles.h"
#include "server/fleet/rcu.h"
#include "server/fleet/rollout.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_MAX = 1 << 30 };

/* A compiled baseline, shared by the snapshots that have it. The committer alone counts. */
struct compiled {
    struct baseline *baseline;
    char id[STORE_ID];
    uint8_t document_sha256[32];
    unsigned references;
};

/* An operator by one of the certificates; views into the snapshot's rows. */
struct way_in {
    const uint8_t *sha256;
    const struct operator_row *row;
};

struct policy {
    struct arena arena;               /* owns the arrays */
    struct policy_model *models;      /* by name */
    struct way_in *ways_in;           /* of operators, by certificate */
    struct proxy_row *proxies;        /* by certificate */
    struct access_policy_row *access; /* by name */
    struct compiled **compiled;       /* by id */
    struct anchor_bundles bundles;
    struct leaked_keys leaked_keys;
    uint64_t generation, leaked_keys_since;
    struct exceptions exceptions;
    size_t num_models, num_ways_in, num_proxies, num_access, num_compiled;
};

struct policy_holder {
    struct policy *_Atomic current;
    struct arena configured_arena;
    struct leaked_keys configured; /* of the thread that reloads */
};

/* --- reading --- */

static int compare_model(const void *name, const void *model) {
    return strcmp(name, ((const struct policy_model *)model)->row.name);
}

const struct policy_model *policy_model(const struct policy *policy, const char *name) {
    return policy->num_models == 0 ? NULL
                                   : bsearch(name, policy->models, policy->num_models,
                                             sizeof *policy->models, compare_model);
}

uint64_t policy_generation(const struct policy *policy) {
    return policy->generation;
}

static bool counts(const struct policy_term *term, const char *device_id, int64_t now) {
    return (term->until == 0 || now < term->until) &&
           (term->rollout == NULL || rollout_includes(term->rollout, device_id));
}

size_t policy_baselines(const struct policy_model *model, const char *device_id, int64_t now,
                        const struct baseline *out[static BASELINE_MAX_PER_MODEL],
                        const char *id[static BASELINE_MAX_PER_MODEL]) {
    size_t num = 0;
    for (size_t i = 0; i < model->num_baselines && num < BASELINE_MAX_PER_MODEL; i++) {
        if (counts(&model->term[i], device_id, now)) {
            out[num] = model->baseline[i];
            id[num++] = model->baseline_id[i];
        }
    }
    return num;
}

static int compare_way_in(const void *sha256, const void *way_in) {
    return memcmp(sha256, ((const struct way_in *)way_in)->sha256, 32);
}

const struct operator_row *policy_operator(const struct policy *policy,
                                           const uint8_t sha256[static 32]) {
    const struct way_in *found = policy->num_ways_in == 0
                                     ? NULL
                                     : bsearch(sha256, policy->ways_in, policy->num_ways_in,
                                               sizeof *policy->ways_in, compare_way_in);
    return found == NULL ? NULL : found->row;
}

static int compare_proxy(const void *sha256, const void *row) {
    return memcmp(sha256, ((const struct proxy_row *)row)->certificate_sha256, 32);
}

const struct proxy_row *policy_proxy(const struct policy *policy, const uint8_t sha256[static 32]) {
    return policy->num_proxies == 0 ? NULL
                                    : bsearch(sha256, policy->proxies, policy->num_proxies,
                                              sizeof *policy->proxies, compare_proxy);
}

static int compare_access(const void *name, const void *row) {
    return strcmp(name, ((const struct access_policy_row *)row)->name);
}

const struct access_policy_row *policy_access(const struct policy *policy, const char *name) {
    return policy->num_access == 0 ? NULL
                                   : bsearch(name, policy->access, policy->num_access,
                                             sizeof *policy->access, compare_access);
}

const struct policy *policy_read_begin(struct policy_holder *holder) {
    rcu_begin();
    return atomic_load_explicit(&holder->current, memory_order_acquire);
}

void policy_read_end(struct policy_holder *holder) {
    (void)holder;
    rcu_end();
}

/* --- building --- */

static void policy_free(struct policy *policy) {
    if (policy == NULL) {
        return;
    }
    for (size_t i = 0; i < policy->num_compiled; i++) {
        struct compiled *compiled = policy->compiled[i];
        if (--compiled->references == 0) {
            baseline_free(compiled->baseline);
            free(compiled);
        }
    }
    anchor_bundles_release(&policy->bundles);
    arena_free(&policy->arena);
    free(policy);
}

static int compare_rollout(const void *baseline_id, const void *row) {
    return strcmp(baseline_id, ((const struct rollout_row *)row)->baseline_id);
}

static int order_rollouts(const void *a, const void *b) {
    return compare_rollout(((const struct rollout_row *)a)->baseline_id, b);
}

static int order_ways_in(const void *a, const void *b) {
    return compare_way_in(((const struct way_in *)a)->sha256, b);
}

static int order_proxies(const void *a, const void *b) {
    return compare_proxy(((const struct proxy_row *)a)->certificate_sha256, b);
}

static int order_compiled(const void *a, const void *b) {
    return strcmp((*(struct compiled *const *)a)->id, (*(struct compiled *const *)b)->id);
}

static int compare_compiled(const void *id, const void *compiled) {
    return strcmp(id, (*(struct compiled *const *)compiled)->id);
}

static enum status take_operators(struct policy *out, struct store_reader *reader) {
    struct operator_row *row;
    size_t num;
    enum status status =
        store_operator_list(reader, &out->arena, &row, &num, (struct store_page){"", UINT_MAX});
    if (status != STATUS_OK) {
        return status;
    }
    out->ways_in = arena_array(&out->arena, num * OPERATOR_MAX_CERTIFICATES, sizeof *out->ways_in);
    if (out->ways_in == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < num; i++) {
        for (size_t j = 0; j < row[i].num_certificates; j++) {
            out->ways_in[out->num_ways_in++] =
                (struct way_in){row[i].certificate[j].sha256, &row[i]};
        }
    }
    if (out->num_ways_in > 0) {
        qsort(out->ways_in, out->num_ways_in, sizeof *out->ways_in, order_ways_in);
    }
    return STATUS_OK;
}

static enum status take_registered(struct policy *out, struct store_reader *reader) {
    enum status status = take_operators(out, reader);
    if (status == STATUS_OK) {
        status = store_proxy_list(reader, &out->arena, &out->proxies, &out->num_proxies,
                                  (struct store_page){"", UINT_MAX});
    }
    if (status == STATUS_OK && out->num_proxies > 0) {
        qsort(out->proxies, out->num_proxies, sizeof *out->proxies, order_proxies);
    }
    if (status == STATUS_OK) {
        status = store_access_policy_list(reader, &out->arena, &out->access, &out->num_access,
                                          (struct store_page){"", UINT_MAX});
    }
    return status;
}

static enum status take_models(struct policy *out, struct store_reader *reader,
                               struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct model_row *row;
    size_t num;
    enum status status =
        store_model_list(reader, &arena, &row, &num, (struct store_page){"", UINT_MAX});
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot read the models");
    }
    out->models = arena_array(&out->arena, num, sizeof *out->models);
    if (out->models == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the models");
    }
    for (size_t i = 0; i < num; i++) {
        out->models[i].row = row[i];
        status = pcr_selection_parse(&out->models[i].selection, row[i].pcr_selection, detail);
        if (status != STATUS_OK) {
            detail_prefix(detail, "model %s", row[i].name);
            return status;
        }
    }
    out->num_models = num;
    return STATUS_OK;
}

static enum status compile(struct compiled **out, struct store_reader *reader, const char *id,
                           struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct baseline_row row;
    enum status status = store_baseline_get(reader, &arena, &row, id);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot read baseline %s", id);
    }
    struct compiled *compiled = calloc(1, sizeof *compiled);
    if (compiled == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for baseline %s", id);
    }
    status = baseline_compile(&compiled->baseline, row.document, NULL, detail);
    if (status == STATUS_OK && strcmp(baseline_model(compiled->baseline), row.model) != 0) {
        baseline_free(compiled->baseline);
        status = status_fail(detail, STATUS_INVALID, "it is for model %s", row.model);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "baseline %s", id);
        free(compiled);
        return status;
    }
    memcpy(compiled->id, row.id, sizeof compiled->id);
    memcpy(compiled->document_sha256, row.document_sha256, sizeof compiled->document_sha256);
    *out = compiled;
    return STATUS_OK;
}

/* The one that the old snapshot has of the same document, or NULL. */
static struct compiled *find_compiled(const struct policy *old, const struct baseline_row *head) {
    struct compiled **found = old == NULL || old->num_compiled == 0
                                  ? NULL
                                  : bsearch(head->id, old->compiled, old->num_compiled,
                                            sizeof *old->compiled, compare_compiled);
    return found != NULL && memcmp((*found)->document_sha256, head->document_sha256, 32) == 0
               ? *found
               : NULL;
}

static enum status take_baseline(struct policy *out, struct compiled **taken,
                                 const struct policy *old, struct store_reader *reader,
                                 const struct baseline_row *head, struct detail *detail) {
    struct compiled *compiled = find_compiled(old, head);
    if (compiled == NULL) {
        enum status status = compile(&compiled, reader, head->id, detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    compiled->references++;
    out->compiled[out->num_compiled++] = compiled;
    *taken = compiled;
    return STATUS_OK;
}

static struct policy_model *model_of(struct policy *out, const char *name) {
    return out->num_models == 0
               ? NULL
               : bsearch(name, out->models, out->num_models, sizeof *out->models, compare_model);
}

/* Room for the baselines of each model, in one piece for all. */
static enum status make_room(struct policy *out, const struct baseline_row *head, size_t num,
                             struct detail *detail) {
    for (size_t i = 0; i < num; i++) {
        struct policy_model *model = model_of(out, head[i].model);
        if (model == NULL) {
            return status_fail(detail, STATUS_STORAGE, "baseline %s: no model %s", head[i].id,
                               head[i].model);
        }
        model->num_baselines++;
    }
    const struct baseline **baseline = arena_array(&out->arena, num, sizeof *baseline);
    char(*id)[STORE_ID] = arena_array(&out->arena, num, sizeof *id);
    struct policy_term *term = arena_array(&out->arena, num, sizeof *term);
    out->compiled = arena_array(&out->arena, num, sizeof *out->compiled);
    if (out->arena.overflow) {
        return status_fail(detail, STATUS_MEMORY, "no memory for %zu baselines", num);
    }
    size_t at = 0;
    for (size_t i = 0; i < out->num_models; i++) {
        out->models[i].baseline = &baseline[at];
        out->models[i].baseline_id = &id[at];
        out->models[i].term = &term[at];
        at += out->models[i].num_baselines;
        out->models[i].num_baselines = 0;
    }
    return STATUS_OK;
}

static enum status take_baselines(struct policy *out, const struct policy *old,
                                  struct store_reader *reader, struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct baseline_row *head;
    size_t num;
    enum status status = store_baseline_in_force(reader, &arena, &head, &num);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot read the baselines in force");
    }
    status = make_room(out, head, num, detail);
    for (size_t i = 0; i < num && status == STATUS_OK; i++) {
        struct policy_model *model = model_of(out, head[i].model);
        struct compiled *compiled;
        status = take_baseline(out, &compiled, old, reader, &head[i], detail);
        if (status == STATUS_OK) {
            model->baseline[model->num_baselines] = compiled->baseline;
            model->term[model->num_baselines].until =
                head[i].state == BASELINE_DEPRECATED ? head[i].grace_until : 0;
            memcpy(model->baseline_id[model->num_baselines++], head[i].id, STORE_ID);
        }
    }
    if (out->num_compiled > 0) {
        qsort(out->compiled, out->num_compiled, sizeof *out->compiled, order_compiled);
    }
    return status;
}

/* Those that are under way, to the terms of their baselines. */
static enum status take_rollouts(struct policy *out, struct store_reader *reader,
                                 struct detail *detail) {
    struct rollout_row *row;
    size_t num;
    enum status status = store_rollout_in_force(reader, &out->arena, &row, &num);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot read the rollouts");
    }
    if (num > 0) {
        qsort(row, num, sizeof *row, order_rollouts);
    }
    for (size_t i = 0; num > 0 && i < out->num_models; i++) {
        struct policy_model *model = &out->models[i];
        for (size_t j = 0; j < model->num_baselines; j++) {
            model->term[j].rollout =
                bsearch(model->baseline_id[j], row, num, sizeof *row, compare_rollout);
            model->rolls_out = model->rolls_out || model->term[j].rollout != NULL;
        }
    }
    return STATUS_OK;
}

static enum status take_anchors(struct policy *out, const struct policy *old,
                                struct store_reader *reader, struct detail *detail) {
    enum status status = anchor_bundles_take(&out->bundles, old == NULL ? NULL : &old->bundles,
                                             &out->arena, reader, detail);
    for (size_t i = 0; i < out->num_models && status == STATUS_OK; i++) {
        struct policy_model *model = &out->models[i];
        model->ek_bundle = anchor_bundles_find(&out->bundles, model->row.name, ANCHOR_EK);
        model->idevid_bundle = anchor_bundles_find(&out->bundles, model->row.name, ANCHOR_IDEVID);
    }
    return status;
}

/* Those of the store, and those of the configuration. */
static enum status take_leaked_keys(struct policy *out, const struct leaked_keys *configured,
                                    struct store_reader *reader) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct leaked_key_row *row;
    size_t num;
    enum status status =
        store_leaked_key_list(reader, &arena, &row, &num, (struct store_page){"", UINT_MAX});
    if (status != STATUS_OK) {
        return status;
    }
    struct leaked_key *key = arena_array(&arena, num, sizeof *key);
    if (key == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < num; i++) {
        memcpy(key[i].sha256, row[i].sha256, sizeof key[i].sha256);
        key[i].subject = row[i].subject;
        key[i].source = row[i].source;
    }
    return leaked_keys_merge(&out->leaked_keys, &out->arena, configured,
                             &(struct leaked_keys){key, num});
}

static enum status build(struct policy *out, const struct policy *old,
                         const struct leaked_keys *configured, struct store_reader *reader,
                         struct detail *detail) {
    enum status status = store_read_begin(reader);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot read the policy");
    }
    status = take_models(out, reader, detail);
    if (status == STATUS_OK) {
        status = take_baselines(out, old, reader, detail);
    }
    if (status == STATUS_OK) {
        status = take_rollouts(out, reader, detail);
    }
    if (status == STATUS_OK) {
        status = take_anchors(out, old, reader, detail);
    }
    if (status == STATUS_OK) {
        status = take_registered(out, reader);
        if (status != STATUS_OK) {
            detail_set(detail, "cannot read operators, proxies and access policies");
        }
    }
    if (status == STATUS_OK) {
        status = take_leaked_keys(out, configured, reader);
        if (status != STATUS_OK) {
            detail_set(detail, "cannot read the leaked keys");
        }
    }
    if (status == STATUS_OK) {
        status = exceptions_take(&out->exceptions, &out->arena, reader, clock_unix());
        if (status != STATUS_OK) {
            detail_set(detail, "cannot read the exceptions");
        }
    }
    store_read_end(reader);
    return status;
}

const struct exceptions *policy_exceptions(const struct policy *policy) {
    return &policy->exceptions;
}

const struct leaked_keys *policy_leaked_keys(const struct policy *policy) {
    return &policy->leaked_keys;
}

uint64_t policy_leaked_keys_since(const struct policy *policy) {
    return policy->leaked_keys_since;
}

static bool same_keys(const struct leaked_keys *a, const struct leaked_keys *b) {
    bool same = a->num == b->num;
    for (size_t i = 0; i < a->num && same; i++) {
        same = memcmp(a->key[i].sha256, b->key[i].sha256, sizeof a->key[i].sha256) == 0;
    }
    return same;
}

enum status policy_configure_leaked_keys(struct policy_holder *holder,
                                         const struct leaked_keys *keys) {
    struct arena arena;
    struct leaked_keys copy;
    arena_init(&arena, ARENA_MAX);
    enum status status = leaked_keys_merge(&copy, &arena, keys, &(struct leaked_keys){0});
    if (status != STATUS_OK) {
        arena_free(&arena);
        return status;
    }
    arena_free(&holder->configured_arena);
    holder->configured_arena = arena;
    holder->configured = copy;
    return STATUS_OK;
}

enum status policy_reload(struct policy_holder *holder, struct store_reader *reader,
                          struct detail *detail) {
    struct policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the policy");
    }
    arena_init(&policy->arena, ARENA_MAX);
    struct policy *old = atomic_load(&holder->current);
    policy->generation = old == NULL ? 1 : old->generation + 1;
    enum status status = build(policy, old, &holder->configured, reader, detail);
    if (status != STATUS_OK) {
        policy_free(policy);
        return status;
    }
    policy->leaked_keys_since = old != NULL && same_keys(&old->leaked_keys, &policy->leaked_keys)
                                    ? old->leaked_keys_since
                                    : policy->generation;
    atomic_store(&holder->current, policy);
    rcu_wait();
    policy_free(old);
    return STATUS_OK;
}

enum status policy_holder_new(struct policy_holder **out) {
    struct policy_holder *holder = calloc(1, sizeof *holder);
    if (holder == NULL) {
        return STATUS_MEMORY;
    }
    *out = holder;
    return STATUS_OK;
}

void policy_holder_free(struct policy_holder *holder) {
    if (holder != NULL) {
        policy_free(atomic_load(&holder->current));
        arena_free(&holder->configured_arena);
        free(holder);
    }
}

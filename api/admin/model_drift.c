/* GET /v1/models/{model}/drift: what changed on which devices of a model since each one's last trusted
 * boot. Devices that made the same step are compared once; a change is listed with how many devices
 * show it. Read beside the worker's loop. */
#include "api/admin/admin.h"
#include "api/admin/booted.h"
#include "api/background.h"
#include "server/appraisal/drift.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEPS_MAX = 65536,     /* different pairs of boots that are told apart */
    STEPS_COMPARED = 256,  /* those that most devices made */
    SLOTS = 2 * STEPS_MAX, /* a power of two */
    GROUPS_MAX = 1024,
    EXAMPLES = 5,
    ARENA_BYTES = 256 << 20,
    ONE_BYTES = 64 << 20 /* of one comparison */
};

struct step { /* devices that went from one boot state to another */
    uint8_t before[32], after[32];
    unsigned devices, untrusted, num_examples;
    char example[EXAMPLES][STORE_ID];
};
struct group { /* one change */
    struct drift_change change;
    unsigned devices, untrusted, num_examples;
    const char *example[EXAMPLES];
};

struct walking {
    struct store_reader *reader;
    const char *model;
    struct arena arena;
    struct step *step;
    uint32_t *slot; /* index of a step + 1; 0: free */
    size_t num_steps;
    unsigned devices, changed, compared; /* with facts; with a step; of those compared */
    struct group *group;
    size_t num_groups;
    enum status status;
};

/* --- who made which step --- */

/* NULL: there are too many. Both digests are SHA-256, so that any of their bytes spread well. */
static struct step *step_of(struct walking *w, const struct device_boot_row *boot) {
    uint32_t at = 0;
    for (size_t i = 0; i < 4; i++) {
        at = at << 8 ^ boot->boot_state[i] ^ (uint32_t)boot->trusted[i] << 4;
    }
    for (;; at++) {
        uint32_t *slot = &w->slot[at % SLOTS];
        if (*slot == 0) {
            break;
        }
        struct step *step = &w->step[*slot - 1];
        if (memcmp(step->before, boot->trusted, 32) == 0 &&
            memcmp(step->after, boot->boot_state, 32) == 0) {
            return step;
        }
    }
    if (w->num_steps == STEPS_MAX) {
        return NULL;
    }
    struct step *step = &w->step[w->num_steps++];
    w->slot[at % SLOTS] = (uint32_t)w->num_steps;
    memcpy(step->before, boot->trusted, 32);
    memcpy(step->after, boot->boot_state, 32);
    return step;
}

static bool visit(void *context, const struct device_boot_view *view) {
    struct walking *w = context;
    struct device_boot_row boot;
    w->status = store_device_boot_get(w->reader, &boot, view->device_id);
    if (w->status == STATUS_NOT_FOUND) { /* gone since */
        w->status = STATUS_OK;
        return true;
    }
    if (w->status != STATUS_OK) {
        return false;
    }
    if (view->state == DEVICE_RETIRED) {
        return true;
    }
    w->devices++;
    if (booted_none(boot.trusted) || memcmp(boot.trusted, boot.boot_state, 32) == 0) {
        return true;
    }
    struct step *step = step_of(w, &boot);
    w->changed++;
    if (step != NULL) {
        step->devices++;
        step->untrusted += view->verdict == VERDICT_TRUSTED ? 0 : 1;
        if (step->num_examples < EXAMPLES) {
            text_copy(step->example[step->num_examples++], STORE_ID, view->device_id);
        }
    }
    return true;
}

static int by_devices(const void *a, const void *b) {
    const struct step *x = a, *y = b;
    return x->devices != y->devices ? (x->devices > y->devices ? -1 : 1)
                                    : memcmp(x->after, y->after, 32);
}

/* --- what changed --- */

static bool same_text(const char *a, const char *b) {
    return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

/* Whole PCRs have other values on every device: their words tell whether it is the same change. */
static bool same_change(const struct drift_change *a, const struct drift_change *b) {
    return a->kind == b->kind && strcmp(a->subject, b->subject) == 0 && a->pcr == b->pcr &&
           strcmp(a->text, b->text) == 0 &&
           (strcmp(a->subject, "pcr") == 0 ||
            (same_text(a->before, b->before) && same_text(a->after, b->after)));
}

static struct group *group_of(struct walking *w, const struct drift_change *change) {
    for (size_t i = 0; i < w->num_groups; i++) {
        if (same_change(&w->group[i].change, change)) {
            return &w->group[i];
        }
    }
    if (w->num_groups == GROUPS_MAX) {
        return NULL;
    }
    struct group *group = &w->group[w->num_groups++];
    bool pcr = strcmp(change->subject, "pcr") == 0;
    group->change = *change;
    group->change.subject = arena_text(&w->arena, change->subject);
    group->change.before = pcr ? NULL : arena_text(&w->arena, change->before);
    group->change.after = pcr ? NULL : arena_text(&w->arena, change->after);
    group->change.text = arena_text(&w->arena, change->text);
    return group;
}

/* False: memory ran out. */
static bool count_change(struct walking *w, const struct drift_change *change,
                         const struct step *step) {
    struct group *group = group_of(w, change);
    if (w->arena.overflow) {
        return false;
    }
    if (group == NULL) {
        return true;
    }
    group->devices += step->devices;
    group->untrusted += step->untrusted;
    for (size_t i = 0; i < step->num_examples && group->num_examples < EXAMPLES; i++) {
        group->example[group->num_examples++] = step->example[i];
    }
    return true;
}

static enum status compare(struct walking *w, const struct step *step, struct detail *detail) {
    struct arena arena;
    struct facts before, after;
    struct drift drift;
    arena_init(&arena, ONE_BYTES);
    enum status status = booted_facts(w->reader, &arena, &before, step->before, detail);
    if (status == STATUS_OK) {
        status = booted_facts(w->reader, &arena, &after, step->after, detail);
    }
    if (status == STATUS_OK) {
        status = drift_between(&drift, &arena, &before, &after);
    }
    for (size_t i = 0; status == STATUS_OK && i < drift.num; i++) {
        status = count_change(w, &drift.change[i], step) ? STATUS_OK : STATUS_MEMORY;
    }
    if (status == STATUS_OK) {
        w->compared += step->devices;
    }
    arena_free(&arena);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status; /* the devices moved on meanwhile */
}

static int by_spread(const void *a, const void *b) {
    const struct group *x = a, *y = b;
    return x->devices != y->devices ? (x->devices > y->devices ? -1 : 1)
                                    : strcmp(x->change.text, y->change.text);
}

static enum status walk(struct walking *w, struct detail *detail) {
    const struct store_page all = {.after = "", .limit = UINT32_MAX};
    struct model_row model;
    enum status status = store_model_get(w->reader, &model, w->model);
    if (status == STATUS_OK) {
        status = store_device_boot_walk(w->reader, w->model, all, visit, w);
    }
    if (status == STATUS_OK) {
        status = w->status;
    }
    if (status != STATUS_OK) {
        return status;
    }
    qsort(w->step, w->num_steps, sizeof *w->step, by_devices);
    for (size_t i = 0; status == STATUS_OK && i < w->num_steps && i < STEPS_COMPARED; i++) {
        status = compare(w, &w->step[i], detail);
    }
    qsort(w->group, w->num_groups, sizeof *w->group, by_spread);
    return status;
}

/* --- the answer --- */

/* Where a page begins: changes are counted anew for each. False: no cursor of ours. */
static bool read_cursor(const struct page_query *query, size_t *from) {
    size_t number = 0, i = 0;
    *from = 0;
    if (query->cursor == NULL) {
        return true;
    }
    for (; query->cursor[i] >= '0' && query->cursor[i] <= '9' && i < 6; i++) {
        number = number * 10 + (size_t)(query->cursor[i] - '0');
    }
    *from = number;
    return i > 0 && query->cursor[i] == '\0';
}

static void write_group(struct json_out *o, const struct group *group) {
    json_out_object(o, NULL);
    drift_write_change(o, "change", &group->change);
    json_out_int(o, "devices", group->devices);
    json_out_int(o, "untrusted", group->untrusted);
    json_out_array(o, "examples");
    for (size_t i = 0; i < group->num_examples; i++) {
        json_out_text(o, NULL, group->example[i]);
    }
    json_out_array_end(o);
    json_out_object_end(o);
}

static void write_page(struct json_out *o, struct request *r, const struct walking *w) {
    const struct page_query *query = r->query;
    size_t limit = query->limit == 0 ? PAGE_DEFAULT : (size_t)query->limit, from = 0;
    (void)read_cursor(query, &from);
    from = from < w->num_groups ? from : w->num_groups;
    size_t to = w->num_groups - from < limit ? w->num_groups : from + limit;
    json_out_init(o, r->x->arena, 256 + (to - from) * 512);
    json_out_object(o, NULL);
    json_out_int(o, "devices", w->devices);
    json_out_int(o, "changed", w->changed);
    json_out_int(o, "compared", w->compared);
    json_out_array(o, "items");
    for (size_t i = from; i < to; i++) {
        write_group(o, &w->group[i]);
    }
    json_out_array_end(o);
    json_out_text(o, "next_cursor",
                  to < w->num_groups ? arena_printf(r->x->arena, "%zu", to) : NULL);
    json_out_object_end(o);
}

static enum status work(struct request *r, struct store_reader *reader, struct detail *detail) {
    struct walking w = {.reader = reader, .model = r->param[0]};
    arena_init(&w.arena, ARENA_BYTES);
    w.step = arena_array(&w.arena, STEPS_MAX, sizeof *w.step);
    w.slot = arena_array(&w.arena, SLOTS, sizeof *w.slot);
    w.group = arena_array(&w.arena, GROUPS_MAX, sizeof *w.group);
    enum status status = w.arena.overflow ? STATUS_MEMORY : walk(&w, detail);
    if (status == STATUS_OK) {
        write_page(r->pending, r, &w);
    }
    arena_free(&w.arena);
    return status;
}

static enum http_next finish(struct request *r) {
    if (r->worked != STATUS_OK) {
        return answer_status(r, r->worked, &r->worked_detail);
    }
    return answer_json(r, 200, r->pending);
}

enum http_next model_drift(struct request *r) {
    size_t from;
    if (!read_cursor(r->query, &from)) {
        return problem_detail(r->x, PROBLEM_INVALID_PARAMETER, "cursor: not one of ours");
    }
    r->pending = arena_alloc(r->x->arena, sizeof(struct json_out));
    return r->pending == NULL ? problem(r->x, PROBLEM_INTERNAL) : background_start(r, work, finish);
}

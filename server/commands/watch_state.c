#include "server/commands/watch_state.h"

#include "server/appraisal/appraisal.h"
#include "server/base/clock.h"

#include <jansson.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 65, LABEL = 64, DIGEST = 65 };

struct model { /* key first, as in the others: what the trees compare */
    char name[KEY];
    int credential_tier;
    char segment[TIER_MEASURED + 1][LABEL];
};

struct device {
    char id[KEY];
    char model[KEY];
    bool stands; /* enrolled and trusted */
    int tier;
    unsigned credentials; /* how many refer to it */
};

struct credential {
    char serial[KEY];
    char sha256[DIGEST];
    struct device *device;
    int64_t not_before, not_after;
    struct credential *next_expired;
};

struct picture { /* trees of tsearch(3) */
    void *models, *devices, *credentials;
};

struct watch_state {
    struct picture known, gathered;
    bool whole, gathers;
};

/* --- trees ------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b) {
    return strcmp(a, b);
}

static void *find(void *const *tree, const char *key) {
    void *const *node = tfind(key, tree, compare);
    return node == NULL ? NULL : *node;
}

/* The one with this key; a new one of `size` bytes, all zero but the key, when there is none. NULL:
 * memory ran out. */
static void *find_or_add(void **tree, const char *key, size_t size) {
    void *there = find(tree, key);
    if (there != NULL) {
        return there;
    }
    char *new = calloc(1, size);
    if (new == NULL) {
        return NULL;
    }
    memcpy(new, key, strlen(key) + 1);
    if (tsearch(new, tree, compare) == NULL) {
        free(new);
        return NULL;
    }
    return new;
}

static void picture_free(struct picture *p) {
    tdestroy(p->credentials, free);
    tdestroy(p->devices, free);
    tdestroy(p->models, free);
    *p = (struct picture){0};
}

enum status watch_state_new(struct watch_state **out) {
    struct watch_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return STATUS_MEMORY;
    }
    *out = state;
    return STATUS_OK;
}

void watch_state_free(struct watch_state *state) {
    if (state != NULL) {
        picture_free(&state->known);
        picture_free(&state->gathered);
        free(state);
    }
}

enum status watch_state_gather(struct watch_state *state) {
    picture_free(&state->gathered);
    state->gathers = true;
    return STATUS_OK;
}

bool watch_state_is_whole(const struct watch_state *state) {
    return state->whole;
}

/* --- what events say -------------------------------------------------------------------------- */

/* A text of at most size - 1 bytes; `null` may stand for "". */
static bool read_text(const json_t *data, const char *name, char *out, size_t size, bool null) {
    const json_t *value = json_object_get(data, name);
    const char *text = null && json_is_null(value) ? "" : json_string_value(value);
    if (text == NULL || strlen(text) >= size || (!null && text[0] == '\0')) {
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool is_hex(const char *text, size_t len) {
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

static bool read_hex(const json_t *data, const char *name, char *out, size_t size, size_t len) {
    return read_text(data, name, out, size, false) && is_hex(out, len);
}

static bool read_time(const json_t *data, const char *name, int64_t *out) {
    const char *text = json_string_value(json_object_get(data, name));
    return text != NULL && rfc3339_parse(out, text) == STATUS_OK;
}

static bool read_tier(const json_t *data, const char *name, int *out) {
    const char *text = json_string_value(json_object_get(data, name));
    for (int tier = TIER_NONE; text != NULL && tier <= TIER_MEASURED; tier++) {
        if (strcmp(text, tier_name((enum tier)tier)) == 0) {
            *out = tier;
            return true;
        }
    }
    return false;
}

static enum status take_model(struct picture *p, const json_t *data, bool *changed) {
    struct model model = {0};
    const json_t *segments = json_object_get(data, "segments");
    if (!read_text(data, "model", model.name, sizeof model.name, false)) {
        return STATUS_MALFORMED;
    }
    if (json_is_null(json_object_get(data, "credential_tier"))) {
        model.credential_tier = TIER_MEASURED + 1; /* it is gone: nobody passes */
    } else if (!read_tier(data, "credential_tier", &model.credential_tier)) {
        return STATUS_MALFORMED;
    }
    for (int tier = TIER_IDENTIFIED; tier <= TIER_MEASURED; tier++) {
        const char *name = tier_name((enum tier)tier);
        if (json_object_get(segments, name) != NULL &&
            !read_text(segments, name, model.segment[tier], LABEL, true)) {
            return STATUS_MALFORMED;
        }
    }
    struct model *there = find_or_add(&p->models, model.name, sizeof model);
    if (there == NULL) {
        return STATUS_MEMORY;
    }
    *there = model;
    *changed = true;
    return STATUS_OK;
}

/* `state` null: it is gone. */
static bool read_device(const json_t *data, struct device *out) {
    char state[32], verdict[32];
    if (!read_hex(data, "device_id", out->id, sizeof out->id, 32) ||
        !read_text(data, "model", out->model, sizeof out->model, false) ||
        !read_text(data, "state", state, sizeof state, true) ||
        !read_text(data, "verdict", verdict, sizeof verdict, false) ||
        !read_tier(data, "tier", &out->tier)) {
        return false;
    }
    out->stands =
        strcmp(state, "enrolled") == 0 && strcmp(verdict, verdict_name(VERDICT_TRUSTED)) == 0;
    return true;
}

static void set_standing(struct device *device, const struct device *said, bool *changed) {
    *changed = *changed || device->stands != said->stands || device->tier != said->tier ||
               strcmp(device->model, said->model) != 0;
    device->stands = said->stands;
    device->tier = said->tier;
    memcpy(device->model, said->model, sizeof device->model);
}

/* One that has no credential is not kept: the next says how its device stands. */
static enum status take_device(struct picture *p, const json_t *data, bool *changed) {
    struct device said = {0};
    if (!read_device(data, &said)) {
        return STATUS_MALFORMED;
    }
    struct device *device = find(&p->devices, said.id);
    if (device != NULL) {
        set_standing(device, &said, changed);
    }
    return STATUS_OK;
}

static bool read_credential(const json_t *data, struct credential *out) {
    return read_hex(data, "serial", out->serial, sizeof out->serial, 32) &&
           read_hex(data, "certificate_sha256", out->sha256, sizeof out->sha256, 64) &&
           read_time(data, "not_before", &out->not_before) &&
           read_time(data, "not_after", &out->not_after);
}

static enum status take_credential(struct picture *p, const json_t *data, bool *changed) {
    struct credential said = {0};
    struct device standing = {0};
    if (!read_credential(data, &said) || !read_device(data, &standing)) {
        return STATUS_MALFORMED;
    }
    const struct credential *before = find(&p->credentials, said.serial);
    bool known = before != NULL;
    if (known && strcmp(before->device->id, standing.id) != 0) {
        return STATUS_MALFORMED; /* a credential stays its device's */
    }
    struct device *device = find_or_add(&p->devices, standing.id, sizeof standing);
    if (device == NULL) {
        return STATUS_MEMORY;
    }
    set_standing(device, &standing, changed);
    struct credential *there = find_or_add(&p->credentials, said.serial, sizeof said);
    if (there == NULL) {
        return STATUS_MEMORY;
    }
    device->credentials += known ? 0 : 1;
    said.device = device;
    *there = said;
    *changed = *changed || !known;
    return STATUS_OK;
}

static void remove_credential(struct picture *p, struct credential *credential) {
    struct device *device = credential->device;
    (void)tdelete(credential, &p->credentials, compare);
    free(credential);
    if (--device->credentials == 0) {
        (void)tdelete(device, &p->devices, compare);
        free(device);
    }
}

static enum status take_revocation(struct picture *p, const json_t *data, bool *changed) {
    char serial[KEY];
    enum status status = take_device(p, data, changed);
    if (status != STATUS_OK || !read_hex(data, "serial", serial, sizeof serial, 32)) {
        return STATUS_MALFORMED;
    }
    struct credential *credential = find(&p->credentials, serial);
    if (credential != NULL) {
        remove_credential(p, credential);
        *changed = true;
    }
    return STATUS_OK;
}

static enum status end_snapshot(struct watch_state *state, bool *changed) {
    if (!state->gathers) {
        return STATUS_MALFORMED;
    }
    picture_free(&state->known);
    state->known = state->gathered;
    state->gathered = (struct picture){0};
    state->gathers = false;
    state->whole = true;
    *changed = true;
    return STATUS_OK;
}

enum status watch_state_take(struct watch_state *state, const char *event, const char *data,
                             bool *changed) {
    struct picture *p = state->gathers ? &state->gathered : &state->known;
    json_t *json = json_loads(data, JSON_REJECT_DUPLICATES, NULL);
    enum status status = STATUS_OK;
    bool did = false;
    if (!json_is_object(json)) {
        status = STATUS_MALFORMED;
    } else if (strcmp(event, "model") == 0) {
        status = take_model(p, json, &did);
    } else if (strcmp(event, "device") == 0) {
        status = take_device(p, json, &did);
    } else if (strcmp(event, "credential") == 0) {
        status = take_credential(p, json, &did);
    } else if (strcmp(event, "revocation") == 0) {
        status = take_revocation(p, json, &did);
    } else if (strcmp(event, "snapshot") == 0) {
        status = end_snapshot(state, &did);
    }
    json_decref(json);
    *changed = *changed || (did && !state->gathers);
    return status;
}

/* --- who may pass ----------------------------------------------------------------------------- */

struct listing {
    struct picture *picture;
    struct credential *expired;
    int64_t now, next;
    void (*entry)(void *context, const struct watch_entry *entry);
    void *context;
};

static void visit(const void *node, VISIT which, void *closure) {
    struct listing *l = closure;
    struct credential *c = *(void *const *)node;
    if (which != postorder && which != leaf) {
        return;
    }
    const struct model *model = find(&l->picture->models, c->device->model);
    if (l->now >= c->not_after) {
        c->next_expired = l->expired;
        l->expired = c;
        return;
    }
    int64_t turn = l->now < c->not_before ? c->not_before : c->not_after;
    if (turn < l->next) {
        l->next = turn;
    }
    if (c->not_before <= l->now && c->device->stands && model != NULL &&
        c->device->tier > TIER_NONE && c->device->tier >= model->credential_tier) {
        const struct watch_entry entry = {.serial = c->serial,
                                          .sha256 = c->sha256,
                                          .tier = tier_name((enum tier)c->device->tier),
                                          .segment = model->segment[c->device->tier]};
        l->entry(l->context, &entry);
    }
}

int64_t watch_state_list(struct watch_state *state, int64_t now,
                         void (*entry)(void *context, const struct watch_entry *entry),
                         void *context) {
    struct listing l = {.picture = &state->known,
                        .now = now,
                        .next = INT64_MAX,
                        .entry = entry,
                        .context = context};
    twalk_r(state->known.credentials, visit, &l);
    while (l.expired != NULL) {
        struct credential *credential = l.expired;
        l.expired = credential->next_expired;
        remove_credential(&state->known, credential);
    }
    return l.next;
}

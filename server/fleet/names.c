#include "server/fleet/names.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * (NAMES_MAX + 1) };

struct names {
    char *name[NAMES_MAX];
    uint32_t num;
    uint32_t slot[SLOTS]; /* number + 1; open addressing */
};

enum status names_new(struct names **out) {
    struct names *names = calloc(1, sizeof *names); /* pages that stay untouched cost nothing */
    if (names == NULL) {
        return STATUS_MEMORY;
    }
    *out = names;
    return STATUS_OK;
}

void names_free(struct names *names) {
    if (names == NULL) {
        return;
    }
    for (uint32_t i = 0; i < names->num; i++) {
        free(names->name[i]);
    }
    free(names);
}

/* FNV-1a. Names are those that administrators gave to models. */
static uint32_t hash_of(const char *name) {
    uint32_t hash = 2166136261U;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619U;
    }
    return hash;
}

/* The name's slot, or the free one where it belongs. */
static uint32_t slot_of(const struct names *names, const char *name) {
    uint32_t at = hash_of(name) % SLOTS;
    while (names->slot[at] != 0 && strcmp(names->name[names->slot[at] - 1], name) != 0) {
        at = (at + 1) % SLOTS;
    }
    return at;
}

bool names_find(const struct names *names, uint32_t *out, const char *name) {
    uint32_t at = slot_of(names, name);
    if (names->slot[at] == 0) {
        return false;
    }
    *out = names->slot[at] - 1;
    return true;
}

enum status names_intern(struct names *names, uint32_t *out, const char *name) {
    if (names_find(names, out, name)) {
        return STATUS_OK;
    }
    uint32_t at = slot_of(names, name);
    if (names->num == NAMES_MAX) {
        return STATUS_LIMIT;
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        return STATUS_MEMORY;
    }
    names->name[names->num] = copy;
    *out = names->num++;
    names->slot[at] = names->num;
    return STATUS_OK;
}

void names_copy(const struct names *names, char *out, size_t size, uint32_t number) {
    const char *name = names->name[number];
    size_t len = strnlen(name, size - 1);
    memcpy(out, name, len);
    out[len] = '\0';
}

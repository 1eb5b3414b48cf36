#include "server/commands/watch_map.h"

#include "server/base/file.h"
#include "server/crypto/digest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 128, FIRST = 4096, MODE = 0644 };

struct content {
    enum watch_map_form form;
    char *text;
    size_t len, cap, num;
    bool failed;
};

static bool reserve(struct content *c) {
    if (c->cap - c->len >= LINE_MAX_BYTES) {
        return true;
    }
    size_t cap = c->cap == 0 ? FIRST : 2 * c->cap;
    char *grown = realloc(c->text, cap);
    if (grown != NULL) {
        c->text = grown;
        c->cap = cap;
    }
    return grown != NULL;
}

/* Upper case, as nginx has it; serials have no zeros in front, which nginx would leave out. */
static void upper(char *out, const char *in) {
    for (; *in != '\0'; in++) {
        *out++ = (char)toupper((unsigned char)*in);
    }
    *out = '\0';
}

static void add(void *context, const struct watch_entry *entry) {
    struct content *c = context;
    char serial[LINE_MAX_BYTES / 2];
    if (c->failed || !reserve(c)) {
        c->failed = true;
        return;
    }
    char *at = c->text + c->len;
    int len;
    if (c->form == WATCH_MAP_HAPROXY) {
        len = snprintf(at, LINE_MAX_BYTES, "%s %s\n", entry->sha256, entry->tier);
    } else {
        upper(serial, entry->serial);
        len = snprintf(at, LINE_MAX_BYTES, "%s %s;\n", serial, entry->tier);
    }
    c->len += (size_t)len;
    c->num++;
}

static enum status put(struct watch_map *map, const struct content *c, bool *changed,
                       struct detail *detail) {
    static const uint8_t unknown[32];
    uint8_t sha256[32];
    struct bytes text = bytes_of(c->text == NULL ? "" : c->text, c->len);
    digest_compute(HASH_SHA256, text, sha256);
    if (memcmp(sha256, map->sha256, sizeof sha256) == 0) {
        return STATUS_OK;
    }
    enum status status = file_replace(map->path, MODE, text, detail);
    memcpy(map->sha256, status == STATUS_OK ? sha256 : unknown, sizeof sha256);
    *changed = *changed || status == STATUS_OK;
    return status;
}

enum status watch_map_write(struct watch_map *map, struct watch_state *state, int64_t now,
                            bool *changed, size_t *num, int64_t *next, struct detail *detail) {
    struct content c = {.form = map->form};
    *next = state == NULL ? INT64_MAX : watch_state_list(state, now, add, &c);
    enum status status = c.failed ? status_fail(detail, STATUS_MEMORY, "%s: no memory", map->path)
                                  : put(map, &c, changed, detail);
    if (status == STATUS_OK) {
        *num = c.num;
    }
    free(c.text);
    return status;
}

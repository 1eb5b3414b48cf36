/* What gatehouse watch makes of a stream: events are the same in whatever pieces they come, and nothing
 * but digits and names reaches the file of a proxy. */
#include "server/commands/event_source.h"
#include "server/commands/watch_state.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct listener {
    struct event_source source;
    struct watch_state *state;
    uint64_t told; /* of names, ids and data, in their order */
    bool changed;
};

static uint64_t mix(uint64_t hash, const char *text) {
    do {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    } while (*text++ != '\0');
    return hash;
}

static bool take(void *context, const char *name, const char *id, const char *data) {
    struct listener *l = context;
    if (strlen(name) >= EVENT_SOURCE_NAME || strlen(id) >= EVENT_SOURCE_ID ||
        strlen(data) >= EVENT_SOURCE_LINE) {
        abort();
    }
    l->told = mix(mix(mix(l->told, name), id), data);
    enum status status = watch_state_take(l->state, name, data, &l->changed);
    return status == STATUS_OK || status == STATUS_MALFORMED;
}

static void check_entry(void *context, const struct watch_entry *entry) {
    (void)context;
    if (strlen(entry->serial) != 32 || strlen(entry->sha256) != 64 ||
        strspn(entry->serial, "0123456789abcdef") != 32 ||
        strspn(entry->sha256, "0123456789abcdef") != 64 ||
        strspn(entry->tier, "abcdefghijklmnopqrstuvwxyz_") != strlen(entry->tier)) {
        abort();
    }
}

static void listen(struct listener *l, const uint8_t *data, size_t size, size_t piece) {
    *l = (struct listener){.source = {.event = take}};
    l->source.context = l;
    if (watch_state_new(&l->state) != STATUS_OK || watch_state_gather(l->state) != STATUS_OK) {
        abort();
    }
    enum status status = STATUS_OK;
    while (size > 0 && status == STATUS_OK) {
        size_t len = size < piece ? size : piece;
        uint8_t *copy = malloc(len); /* of its very size */
        if (copy == NULL) {
            abort();
        }
        memcpy(copy, data, len);
        status = event_source_take(&l->source, bytes_of(copy, len));
        free(copy);
        data += len;
        size -= len;
    }
    (void)watch_state_list(l->state, 1500, check_entry, NULL);
    (void)watch_state_list(l->state, INT64_MAX, check_entry, NULL);
    watch_state_free(l->state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct listener whole, pieces;
    size_t piece = size == 0 ? 1 : 1 + data[0] % 16;
    listen(&whole, data, size, size == 0 ? 1 : size);
    listen(&pieces, data, size, piece);
    if (whole.told != pieces.told || whole.changed != pieces.changed ||
        strcmp(whole.source.id, pieces.source.id) != 0) {
        abort();
    }
    return 0;
}

/* Files that proxies read who may pass from, kept current: each is replaced as a whole. */
#ifndef GATEHOUSE_COMMANDS_WATCH_MAP_H
#define GATEHOUSE_COMMANDS_WATCH_MAP_H

#include "server/base/bytes.h"
#include "server/commands/watch_state.h"

enum watch_map_form {
    WATCH_MAP_HAPROXY, /* "<SHA-256 of the certificate, lower case> <tier>": a map file */
    WATCH_MAP_NGINX    /* "<serial as $ssl_client_serial> <tier>;": included in a map block */
};
struct watch_map {
    enum watch_map_form form;
    const char *path;
    uint8_t sha256[32]; /* of what is in the file, as far as we wrote it; zeros: not known */
};

/* The file becomes who may pass at `now`, or with state NULL nobody. *changed: it was another.
 * *num: of entries. *next as watch_state_list. MEMORY, INTERNAL: the file is as it was. */
MUST_USE enum status watch_map_write(struct watch_map *map, struct watch_state *state, int64_t now,
                                     bool *changed, size_t *num, int64_t *next,
                                     struct detail *detail);

#endif

#include "server/evidence/tpm2/event_types.h"

#include <stddef.h>
#include <string.h>

static const struct {
    uint32_t type;
    const char *name;
} names[] = {
#define TCG_EVENT_TYPE_NAME(name, value) {(value), #name},
    TCG_EVENT_TYPES(TCG_EVENT_TYPE_NAME)
#undef TCG_EVENT_TYPE_NAME
};

const char *tcg_event_type_name(uint32_t type) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].type == type) {
            return names[i].name;
        }
    }
    return NULL;
}

bool tcg_event_type_from_name(uint32_t *out, const char *name) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, name) == 0) {
            *out = names[i].type;
            return true;
        }
    }
    return false;
}

#include "api/exception_ids.h"

#include <stdio.h>
#include <string.h>

bool exception_ids_have(const char *ids, const char *id) {
    return strstr(ids, id) != NULL;
}

bool exception_ids_add(char ids[static EXCEPTION_IDS_SIZE], const char *id) {
    size_t len = strlen(ids), more = strlen(id);
    if (exception_ids_have(ids, id)) {
        return true;
    }
    if (more != STORE_ID - 1 || len + more + 2 > EXCEPTION_IDS_SIZE) {
        return false;
    }
    (void)snprintf(ids + len, EXCEPTION_IDS_SIZE - len, "%s ", id);
    return true;
}

void exception_ids_write(struct json_out *o, const char *ids) {
    json_out_array(o, "exceptions");
    for (const char *at = ids; strlen(at) >= STORE_ID; at += STORE_ID) {
        char id[STORE_ID];
        memcpy(id, at, STORE_ID - 1);
        id[STORE_ID - 1] = '\0';
        json_out_text(o, NULL, id);
    }
    json_out_array_end(o);
}

void write_decision_exceptions(struct json_out *o, const struct decision *decision) {
    json_out_array(o, "exceptions");
    for (size_t i = 0; i < decision->num_exceptions; i++) {
        json_out_text(o, NULL, decision->exception[i]);
    }
    json_out_array_end(o);
}

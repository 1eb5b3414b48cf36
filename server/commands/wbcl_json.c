#include "server/commands/wbcl_json.h"

#include "server/commands/event_json.h"
#include "server/evidence/tpm2/event_data.h"
#include "server/evidence/tpm2/wbcl.h"

#include <stdio.h>

enum { BYTES_SHOWN = 64 };

static json_t *events_json(struct arena *arena, struct bytes data, unsigned depth);

static void set_value(json_t *out, struct arena *arena, const struct wbcl_event *event,
                      unsigned depth) {
    uint64_t number;
    enum wbcl_kind kind = wbcl_kind(event->id);
    if (kind == WBCL_CONTAINER && depth < WBCL_MAX_DEPTH) {
        (void)json_object_set_new(out, "events", events_json(arena, event->data, depth + 1));
    } else if (kind == WBCL_BOOLEAN && event->data.len == 1 && event->data.data[0] <= 1) {
        (void)json_object_set_new(out, "value", json_boolean(event->data.data[0] == 1));
    } else if (kind == WBCL_NUMBER && wbcl_number(event->data, &number) && number <= INT64_MAX) {
        (void)json_object_set_new(out, "value", json_integer((json_int_t)number));
    } else if (kind == WBCL_TEXT && event->data.len % 2 == 0) {
        (void)json_object_set_new(out, "value", json_string(utf16_text(arena, event->data)));
    } else if (event->data.len <= BYTES_SHOWN) {
        (void)json_object_set_new(out, "hex", hex_json(event->data));
    } else {
        (void)json_object_set_new(out, "value_len", json_integer((json_int_t)event->data.len));
    }
}

static json_t *event_json(struct arena *arena, const struct wbcl_event *event, unsigned depth) {
    char number[12];
    (void)snprintf(number, sizeof number, "0x%08x", (unsigned)event->id);
    json_t *out = json_pack("{s:s,s:s*}", "id", number, "name", wbcl_name(event->id));
    set_value(out, arena, event, depth);
    return out;
}

/* What is behind the last event that can be read is told by its length. */
static json_t *events_json(struct arena *arena, struct bytes data, unsigned depth) {
    struct wbcl_event event;
    json_t *out = json_array();
    while (wbcl_next(&data, &event) == STATUS_OK) {
        (void)json_array_append_new(out, event_json(arena, &event, depth));
    }
    if (data.len > 0) {
        (void)json_array_append_new(out, json_pack("{s:I}", "unread_len", (json_int_t)data.len));
    }
    return out;
}

json_t *wbcl_json(struct arena *arena, struct bytes data) {
    struct bytes ahead = data;
    struct wbcl_event first;
    if (wbcl_next(&ahead, &first) != STATUS_OK || wbcl_name(first.id) == NULL) {
        return NULL;
    }
    return json_pack("{s:o}", "windows", events_json(arena, data, 0));
}

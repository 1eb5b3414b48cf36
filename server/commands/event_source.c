#include "server/commands/event_source.h"

#include <string.h>

static void forget_event(struct event_source *s) {
    s->name[0] = '\0';
    s->data_len = 0;
    s->has_data = false;
}

void event_source_restart(struct event_source *s) {
    s->line_len = 0;
    s->after_cr = s->begun = false;
    memcpy(s->next_id, s->id, sizeof s->id);
    forget_event(s);
}

static enum status dispatch(struct event_source *s) {
    memcpy(s->id, s->next_id, sizeof s->id);
    bool go_on = true;
    if (s->has_data) {
        s->data[s->data_len] = '\0';
        go_on = s->event(s->context, s->name[0] == '\0' ? "message" : s->name, s->id, s->data);
    }
    forget_event(s);
    return go_on ? STATUS_OK : STATUS_END;
}

static enum status add_data(struct event_source *s, const char *value, size_t len) {
    size_t need = len + (s->has_data ? 1 : 0);
    if (need >= sizeof s->data - s->data_len) {
        return STATUS_LIMIT;
    }
    if (s->has_data) {
        s->data[s->data_len++] = '\n';
    }
    memcpy(s->data + s->data_len, value, len);
    s->data_len += len;
    s->has_data = true;
    return STATUS_OK;
}

static enum status set_text(char *out, size_t size, const char *value, size_t len) {
    if (len >= size) {
        return STATUS_LIMIT;
    }
    memcpy(out, value, len);
    out[len] = '\0';
    return STATUS_OK;
}

static bool is_name(const char *line, size_t len, const char *name) {
    return len == strlen(name) && memcmp(line, name, len) == 0;
}

/* Fields that we do not know, and comments, are nothing. */
static enum status take_line(struct event_source *s) {
    const char *line = s->line;
    size_t len = s->line_len;
    if (len == 0) {
        return dispatch(s);
    }
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon == NULL ? len : (size_t)(colon - line);
    const char *value = colon == NULL ? line + len : colon + 1;
    size_t value_len = (size_t)(line + len - value);
    if (value_len != 0 && *value == ' ') {
        value++;
        value_len--;
    }
    if (is_name(line, name_len, "data")) {
        return add_data(s, value, value_len);
    }
    if (is_name(line, name_len, "event")) {
        return set_text(s->name, sizeof s->name, value, value_len);
    }
    if (is_name(line, name_len, "id") && memchr(value, '\0', value_len) == NULL) {
        return set_text(s->next_id, sizeof s->next_id, value, value_len);
    }
    return STATUS_OK;
}

static void drop_mark(struct event_source *s) {
    static const char mark[] = "\xef\xbb\xbf"; /* of a text in UTF-8 */
    if (!s->begun && s->line_len >= 3 && memcmp(s->line, mark, 3) == 0) {
        s->line_len -= 3;
        memmove(s->line, s->line + 3, s->line_len);
    }
    s->begun = true;
}

enum status event_source_take(struct event_source *s, struct bytes piece) {
    for (size_t i = 0; i < piece.len; i++) {
        char c = (char)piece.data[i];
        bool second = c == '\n' && s->after_cr;
        s->after_cr = c == '\r';
        if (second) {
            continue;
        }
        if (c != '\n' && c != '\r') {
            if (s->line_len == sizeof s->line) {
                return STATUS_LIMIT;
            }
            s->line[s->line_len++] = c;
            continue;
        }
        drop_mark(s);
        enum status status = take_line(s);
        s->line_len = 0;
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

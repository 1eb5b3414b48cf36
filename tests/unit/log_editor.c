#include "tests/unit/log_editor.h"

#include "server/evidence/tpm2/eventlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "log_editor: %s\n", what);
        abort();
    }
}

/* The part of a log between two places. */
static struct bytes between(struct bytes log, size_t from, size_t to) {
    struct bytes skipped, out = {NULL, 0};
    require(bytes_take(&log, from, &skipped) == STATUS_OK &&
                bytes_take(&log, to - from, &out) == STATUS_OK,
            "event");
    return out;
}

void editor_open(struct log_editor *out, struct bytes raw) {
    enum { PCR_AND_TYPE = 8, DATA_LEN = 4 };
    struct tcg_eventlog log;
    struct tcg_event event;
    out->num = 0;
    require(tcg_eventlog_open(&log, raw, NULL) == STATUS_OK && log.crypto_agile, "log");
    while (tcg_eventlog_next(&log, &event, NULL) == STATUS_OK) {
        size_t end = raw.len - log.rest.len;
        if (event.index == 0) {
            out->head = between(raw, 0, end);
            continue;
        }
        require(out->num < EDITOR_MAX_EVENTS, "events");
        out->event[out->num++] = (struct edited_event){
            .pcr = event.pcr,
            .type = event.type,
            .digests = between(raw, event.offset + PCR_AND_TYPE, end - event.data.len - DATA_LEN),
            .data = event.data};
    }
}

struct bytes editor_write(const struct log_editor *editor, struct arena *arena) {
    size_t len = editor->head.len;
    for (size_t i = 0; i < editor->num; i++) {
        len += 12 + editor->event[i].digests.len + editor->event[i].data.len;
    }
    uint8_t *data = arena_alloc(arena, len);
    require(data != NULL, "memory");
    struct writer w = writer_of(data, len);
    write_bytes(&w, editor->head);
    for (size_t i = 0; i < editor->num; i++) {
        const struct edited_event *event = &editor->event[i];
        write_u32le(&w, event->pcr);
        write_u32le(&w, event->type);
        write_bytes(&w, event->digests);
        write_u32le(&w, (uint32_t)event->data.len);
        write_bytes(&w, event->data);
    }
    require(!w.overflow && w.len == len, "length");
    return writer_bytes(&w);
}

void editor_drop(struct log_editor *editor, size_t i) {
    memmove(&editor->event[i], &editor->event[i + 1],
            (editor->num - i - 1) * sizeof editor->event[0]);
    editor->num--;
}

void editor_insert(struct log_editor *editor, size_t i, struct edited_event event) {
    require(editor->num < EDITOR_MAX_EVENTS, "room");
    memmove(&editor->event[i + 1], &editor->event[i], (editor->num - i) * sizeof editor->event[0]);
    editor->event[i] = event;
    editor->num++;
}

void editor_swap(struct log_editor *editor, size_t i, size_t k) {
    struct edited_event event = editor->event[i];
    editor->event[i] = editor->event[k];
    editor->event[k] = event;
}

#include "api/admin/upload_rows.h"

#include "server/base/encoding.h"

#include <stdlib.h>
#include <string.h>

void upload_rows_cleanup(struct upload_rows *rows) {
    free(rows->row);
    free(rows->text);
    free(rows->model);
    *rows = (struct upload_rows){0};
}

/* Makes room for `need` things of `size` bytes. */
static bool grow(void **memory, size_t *cap, size_t need, size_t size) {
    size_t larger = *cap == 0 ? 256 : *cap;
    if (need <= *cap) {
        return true;
    }
    while (larger < need) {
        larger *= 2;
    }
    void *grown = reallocarray(*memory, larger, size);
    if (grown == NULL) {
        return false;
    }
    *memory = grown;
    *cap = larger;
    return true;
}

static enum status keep_text(struct upload_rows *rows, struct bytes text) {
    void *memory = rows->text;
    if (text.len > UINT32_MAX - rows->text_len) {
        return STATUS_LIMIT;
    }
    if (!grow(&memory, &rows->text_cap, rows->text_len + text.len, 1)) {
        return STATUS_MEMORY;
    }
    rows->text = memory;
    if (text.len > 0) {
        memcpy(rows->text + rows->text_len, text.data, text.len);
    }
    rows->text_len += text.len;
    return STATUS_OK;
}

/* Rows of one model mostly follow each other: the newest is looked at first. */
static enum status find_model(struct upload_rows *rows, uint16_t *out, const char *model) {
    for (size_t i = rows->num_models; i-- > 0;) {
        if (strcmp(rows->model[i], model) == 0) {
            *out = (uint16_t)i;
            return STATUS_OK;
        }
    }
    if (rows->num_models == UPLOAD_MODELS_MAX) {
        return STATUS_LIMIT;
    }
    if (rows->model == NULL) {
        rows->model = calloc(UPLOAD_MODELS_MAX, sizeof *rows->model);
    }
    if (rows->model == NULL) {
        return STATUS_MEMORY;
    }
    memcpy(rows->model[rows->num_models], model, strlen(model) + 1);
    *out = (uint16_t)rows->num_models++;
    return STATUS_OK;
}

enum status upload_rows_add(struct upload_rows *rows, const struct registration *in,
                            uint32_t line) {
    struct upload_row row = {
        .line = line, .text = (uint32_t)rows->text_len, .text_len = (uint16_t)in->note.len};
    void *memory = rows->row;
    enum status status = hex_decode(row.id, sizeof row.id, in->id);
    if (status == STATUS_OK) {
        status = find_model(rows, &row.model, in->model);
    }
    if (status == STATUS_OK && !grow(&memory, &rows->cap, rows->num + 1, sizeof row)) {
        status = STATUS_MEMORY;
    }
    rows->row = memory;
    if (status == STATUS_OK) {
        status = keep_text(rows, in->note);
    }
    if (status == STATUS_OK) {
        rows->row[rows->num++] = row;
    }
    return status;
}

static int by_id_and_line(const void *left, const void *right) {
    const struct upload_row *a = left, *b = right;
    int order = memcmp(a->id, b->id, sizeof a->id);
    return order != 0 ? order : a->line < b->line ? -1 : a->line > b->line;
}

void upload_rows_sort(struct upload_rows *rows) {
    if (rows->num > 1) {
        qsort(rows->row, rows->num, sizeof *rows->row, by_id_and_line);
    }
}

void upload_rows_get(const struct upload_rows *rows, size_t i, struct registration *out) {
    const struct upload_row *row = &rows->row[i];
    *out = (struct registration){0};
    hex_encode(out->id, bytes_of(row->id, sizeof row->id));
    memcpy(out->model, rows->model[row->model], STORE_NAME);
    if (row->text_len > 0) {
        out->note = bytes_of(rows->text + row->text, row->text_len);
    }
}

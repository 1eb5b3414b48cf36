/* The good rows of an upload, packed while they wait for the store: 28 bytes each, and their notes.
 * Not thread-safe: one owner at a time. */
#ifndef GATEHOUSE_API_ADMIN_UPLOAD_ROWS_H
#define GATEHOUSE_API_ADMIN_UPLOAD_ROWS_H

#include "api/admin/registration.h"

enum { UPLOAD_MODELS_MAX = 256 };

struct upload_row {
    uint8_t id[16];
    uint32_t line;
    uint32_t text; /* offset of its note */
    uint16_t text_len, model;
};
struct upload_rows { /* zero-initialise; upload_rows_cleanup after */
    struct upload_row *row;
    size_t num, cap;
    uint8_t *text;
    size_t text_len, text_cap;
    char (*model)[STORE_NAME];
    size_t num_models;
};
void upload_rows_cleanup(struct upload_rows *rows);
/* MEMORY; LIMIT: more than UPLOAD_MODELS_MAX different models, or 4 GiB of notes. */
MUST_USE enum status upload_rows_add(struct upload_rows *rows, const struct registration *in,
                                     uint32_t line);
/* By id, then by line: neighbours in the store's indexes are written together. */
void upload_rows_sort(struct upload_rows *rows);
/* As it was added; its note is a view into `rows`. */
void upload_rows_get(const struct upload_rows *rows, size_t i, struct registration *out);

#endif

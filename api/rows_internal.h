/* What the two formats of api/rows.h share. */
#ifndef GATEHOUSE_API_ROWS_INTERNAL_H
#define GATEHOUSE_API_ROWS_INTERNAL_H

#include "api/rows.h"

/* The column of that name; rows->columns.num: none. */
size_t rows_column(const struct rows *rows, struct bytes name);
/* Both hand over to the visitor. */
void rows_found(struct rows *rows, const struct bytes *value);
void rows_fault(struct rows *rows, enum problem_kind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Behind a record, or what was skipped. */
void rows_next_record(struct rows *rows);

void csv_take(struct rows *rows, struct bytes piece);
void csv_end(struct rows *rows);
void ndjson_take(struct rows *rows, struct bytes piece);
void ndjson_end(struct rows *rows);

#endif

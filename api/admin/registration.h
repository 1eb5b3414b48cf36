/* A device that is announced before it enrols: what a row of an upload, or a body, says of it. Pure:
 * texts in, a value out. Thread-safe. */
#ifndef GATEHOUSE_API_ADMIN_REGISTRATION_H
#define GATEHOUSE_API_ADMIN_REGISTRATION_H

#include "api/problem.h"
#include "api/rows.h"
#include "db/store.h"

enum registration_column {
    COLUMN_MODEL,
    COLUMN_EK_SHA256,      /* 64 lower-case hex digits: SHA-256 of the EK's SubjectPublicKeyInfo */
    COLUMN_EK_CERTIFICATE, /* PEM, or base64 of DER; only its key counts, it is not verified */
    COLUMN_NOTE,
    NUM_REGISTRATION_COLUMNS
};
extern const struct rows_columns registration_columns;

struct registration {
    char id[STORE_ID]; /* the device's */
    char model[STORE_NAME];
    struct bytes note; /* borrowed from the value; at most 256 bytes */
};

/* Reads the values, of which an empty one is none; `model` is that of a row that names none, "" when
 * there is no such. NUM_PROBLEMS: all is well. MISSING_FIELD, INVALID_FIELD,
 * EK_CERTIFICATE_INVALID, INTERNAL (memory): `*out` is untouched, the detail says why. */
MUST_USE enum problem_kind registration_read(struct registration *out,
                                             const struct bytes value[NUM_REGISTRATION_COLUMNS],
                                             const char *model, struct detail *detail);
/* As it goes into the store; request_id is that of the upload. */
void registration_row(struct device_row *out, const struct registration *in, const char *request_id,
                      int64_t now);

#endif

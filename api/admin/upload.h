/* POST /v1/devices with rows: devices announced in bulk, as NDJSON or CSV. */
#ifndef GATEHOUSE_API_ADMIN_UPLOAD_H
#define GATEHOUSE_API_ADMIN_UPLOAD_H

#include "api/change.h"
#include "api/handlers.h"

enum {
    UPLOAD_ROWS_MAX = 200000,
    UPLOAD_ERRORS_MAX = 1000, /* that are listed; all are counted */
    UPLOAD_BATCH = 1000,      /* rows in one commit: others' commits get in between */
    UPLOADS_MAX = 4           /* under way in the whole gateway */
};

/* The query's `model`; "" without one. */
const char *upload_default_model(const struct request *r);
/* The body was taken by the sink that device_register_admit installed. */
enum http_next upload_handle(struct request *r);

#endif

/* The exceptions in force, by device, as a policy snapshot has them: few among many devices.
 * Immutable once taken. */
#ifndef GATEHOUSE_FLEET_EXCEPTIONS_H
#define GATEHOUSE_FLEET_EXCEPTIONS_H

#include "db/store.h"
#include "server/appraisal/appraisal.h"

/* One that ends sooner admits nobody any more: no credential may be that short. */
enum { EXCEPTION_LEAST_S = 300 };

struct exceptions { /* by device, then by id */
    struct exception_row *row;
    size_t num;
};
/* Those that have not ended at `now`; in the arena. STORAGE, MEMORY. */
MUST_USE enum status exceptions_take(struct exceptions *out, struct arena *arena,
                                     struct store_reader *reader, int64_t now);
/* Of a device, in force at `now`: views, oldest first; returns how many. */
size_t exceptions_find(const struct exceptions *exceptions, const char *device_id, int64_t now,
                       const struct exception_row *out[static EXCEPTIONS_PER_DEVICE]);
/* As appraise takes it; lives as long as the row. */
struct appraisal_exception exception_view(const struct exception_row *row);
/* All of a device, without those that end too soon; copied into the arena, since a
 * snapshot's rows do not outlive its reader. MEMORY. */
MUST_USE enum status exceptions_of_device(struct appraisal_exception **out, size_t *num,
                                          struct arena *arena, const struct exceptions *exceptions,
                                          const char *device_id, int64_t now);

#endif

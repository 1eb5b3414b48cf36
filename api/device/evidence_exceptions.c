/* The exceptions of the device: which of them its evidence needs, and how long that lasts. */
#include "api/device/evidence.h"

#include <string.h>

enum status evidence_take_exceptions(struct evidence *e, const struct policy *policy,
                                     struct appraisal_inputs *against) {
    struct appraisal_exception *exception = NULL;
    enum status status = exceptions_of_device(&exception, &against->num_exceptions,
                                              e->change.r->x->arena, policy_exceptions(policy),
                                              e->change.r->device->id, change_now(&e->change));
    against->exception = exception;
    return status;
}

/* Among those that the snapshot has of the device. */
static size_t find(const struct evidence *e, const struct policy *policy,
                   const struct exception_row *row[static EXCEPTIONS_PER_DEVICE]) {
    return exceptions_find(policy_exceptions(policy), e->change.r->device->id,
                           change_now(&e->change), row);
}

bool evidence_note_exceptions(struct evidence *e, const struct policy *policy) {
    const struct exception_row *row[EXCEPTIONS_PER_DEVICE];
    size_t num = find(e, policy, row);
    for (size_t i = 0; i < e->appraisal.num_findings; i++) {
        const char *id = e->appraisal.finding[i].exception;
        if (id != NULL && !exception_ids_add(e->credential.exceptions, id)) {
            return false;
        }
    }
    for (size_t i = 0; i < num; i++) {
        bool used = exception_ids_have(e->credential.exceptions, row[i]->id);
        e->use_changes = e->use_changes || used != row[i]->in_use;
        if (used && (e->exceptions_end == 0 || row[i]->until < e->exceptions_end)) {
            e->exceptions_end = row[i]->until;
        }
    }
    return true;
}

bool evidence_exceptions_stand(const struct evidence *e, const struct policy *policy) {
    const struct exception_row *row[EXCEPTIONS_PER_DEVICE];
    size_t num = find(e, policy, row), found = 0;
    for (size_t i = 0; i < num; i++) {
        found += exception_ids_have(e->credential.exceptions, row[i]->id) ? 1 : 0;
    }
    return found * STORE_ID == strlen(e->credential.exceptions);
}

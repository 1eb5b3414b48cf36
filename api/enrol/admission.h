/* Whether a model takes a device. A device that is known of the model, because it was registered or
 * has enrolled before, is admitted by any policy; one that waits for approval goes on waiting, and a
 * quarantined one stays that. Pure. */
#ifndef GATEHOUSE_API_ENROL_ADMISSION_H
#define GATEHOUSE_API_ENROL_ADMISSION_H

#include "api/problem.h"
#include "db/store.h"

struct candidate {
    const char *model;               /* that it asks for */
    const char *enrolment;           /* the model's policy: "open", "approval", "closed" */
    bool vouched;                    /* it has an EK certificate that verified */
    const struct device_row *device; /* what is known of it; NULL: nothing */
};

/* Before it proved to have the EK: says no more of what is known than that something is.
 * NUM_PROBLEMS: it may try. */
enum problem_kind admission_begin(const struct candidate *candidate);
/* After it proved it. NUM_PROBLEMS: it is admitted, and *state is what it becomes. */
enum problem_kind admission_decide(enum device_state *state, const struct candidate *candidate);

#endif

#include "api/enrol/admission.h"

#include <string.h>

static bool is(const struct candidate *candidate, const char *enrolment) {
    return strcmp(candidate->enrolment, enrolment) == 0;
}

/* Nothing is known of the device. What is no policy of ours takes nobody. */
static enum problem_kind check_stranger(const struct candidate *candidate) {
    if (is(candidate, "approval")) {
        return NUM_PROBLEMS;
    }
    if (!is(candidate, "open")) {
        return PROBLEM_ENROLMENT_CLOSED;
    }
    return candidate->vouched ? NUM_PROBLEMS : PROBLEM_EK_CERTIFICATE_REQUIRED;
}

enum problem_kind admission_begin(const struct candidate *candidate) {
    return candidate->device != NULL ? NUM_PROBLEMS : check_stranger(candidate);
}

enum problem_kind admission_decide(enum device_state *state, const struct candidate *candidate) {
    const struct device_row *device = candidate->device;
    if (device == NULL) {
        enum problem_kind problem = check_stranger(candidate);
        if (problem == NUM_PROBLEMS) {
            *state = is(candidate, "open") ? DEVICE_ENROLLED : DEVICE_PENDING_APPROVAL;
        }
        return problem;
    }
    if (device->state == DEVICE_RETIRED) {
        return PROBLEM_DEVICE_RETIRED;
    }
    if (strcmp(device->model, candidate->model) != 0) {
        return PROBLEM_DEVICE_MODEL_MISMATCH;
    }
    *state = device->state == DEVICE_REGISTERED ? DEVICE_ENROLLED : device->state;
    return NUM_PROBLEMS;
}

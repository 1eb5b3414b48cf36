/* An activation under way: what was read, what was decided, and what of it is answered. */
#ifndef GATEHOUSE_API_ENROL_ACTIVATION_H
#define GATEHOUSE_API_ENROL_ACTIVATION_H

#include "api/change.h"

enum activation_outcome {
    ACTIVATION_REFUSED = 0,
    ACTIVATION_REPEATED, /* it was done before: what was issued then is answered */
    ACTIVATION_WAITING,  /* an operator was asked before, and has not answered */
    ACTIVATION_PENDING,  /* an operator has to approve the device */
    ACTIVATION_ENROLLED,
    ACTIVATION_ENROLLED_AGAIN /* its former AK, identity and credentials are void */
};

struct activation {
    struct change change; /* first */
    bool right;           /* the secret */
    enum key_protection proven;
    struct sign_job job;
    /* As it was read; then as it was written: */
    struct enrollment_row enrollment;
    struct device_row device; /* state 0: there is none */
    /* Decided: */
    enum activation_outcome outcome;
    char
        ak_owner[STORE_ID]; /* the device that has or had the AK, when that is the problem; or "" */
    size_t num_revoked;     /* credentials */
};

MUST_USE struct activation *activation_new(struct request *r); /* NULL: no memory */
/* The enrolment, and its device if there is one. NOT_FOUND: no such enrolment. */
MUST_USE enum status activation_read(struct activation *a, struct store_reader *reader,
                                     const char *id);
/* When nothing comes of it any more but an answer: true, with the outcome set, or, when that is
 * REFUSED, the change's problem. */
bool activation_settled(struct activation *a);
/* The outcome, which is not REFUSED, to the device. */
enum http_next activation_answer(const struct activation *a);

#endif

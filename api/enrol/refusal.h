/* An enrolment that is refused: told by its code alone, counted, logged, and kept in the audit. */
#ifndef GATEHOUSE_API_ENROL_REFUSAL_H
#define GATEHOUSE_API_ENROL_REFUSAL_H

#include "api/change.h"

/* Writes the audit entry, then answers. `device_id` "": the EK could not be read. */
enum http_next enrolment_refuse(struct request *r, enum problem_kind why, const char *device_id,
                                const struct detail *detail);

/* The same for a change of its own. In apply: what its audit entry says; `other` is the device that
 * has the AK, "" when that is not why. In answer: what is left to do. */
void enrolment_audit_refusal(struct change *c, enum problem_kind why, const char *device_id,
                             const char *other, const struct detail *detail);
enum http_next enrolment_answer_refusal(struct request *r, enum problem_kind why,
                                        const struct detail *detail);

#endif

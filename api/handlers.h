/* Every handler of the route table, by plane; and the shapes of what they read. */
#ifndef GATEHOUSE_API_HANDLERS_H
#define GATEHOUSE_API_HANDLERS_H

#include "api/request.h"

/* enrol */
extern const struct shape enrollment_shape, activation_shape;
bool enrollment_admit(struct request *r);
enum http_next enrollment_create(struct request *r);
enum http_next enrollment_activate(struct request *r);

/* device */
extern const struct shape empty_shape;
enum http_next challenge_create(struct request *r);
enum http_next evidence_create(struct request *r);
enum http_next self_show(struct request *r);

/* proxy */
extern const struct shape decisions_shape;
enum http_next decision_show(struct request *r);
enum http_next decisions_batch(struct request *r);

/* public */
enum http_next health_show(struct request *r);
enum http_next ready_show(struct request *r);
enum http_next ca_identity_show(struct request *r);
enum http_next ca_access_show(struct request *r);

#endif

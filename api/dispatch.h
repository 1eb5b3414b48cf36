/* From an exchange to its handler: who asks, what is asked, may they, and then the handler. Denies
 * by default, and before anything is looked up: who may not call a route gets the same answer
 * whether or not the object exists. */
#ifndef GATEHOUSE_API_DISPATCH_H
#define GATEHOUSE_API_DISPATCH_H

#include "api/request.h"

/* Carries out another route of the plane than the one that was asked for, with this query and the
 * exchange's body: by a handler that has checked that the route may be called. The parameters are
 * those of the match. */
enum http_next dispatch_again(struct request *r, const struct route_match *match,
                              const char *query);
void dispatch_service(struct http_service *out, struct api_plane *plane);

#endif

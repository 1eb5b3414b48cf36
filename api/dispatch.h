/* From an exchange to its handler: who asks, what is asked, may they, and then the handler. Denies
 * by default, and before anything is looked up: who may not call a route gets the same answer
 * whether or not the object exists. */
#ifndef GATEHOUSE_API_DISPATCH_H
#define GATEHOUSE_API_DISPATCH_H

#include "api/request.h"

void dispatch_service(struct http_service *out, struct api_plane *plane);

#endif

/* What HTTP says about answers that others keep (RFC 9110, 9111). */
#ifndef GATEHOUSE_API_CACHING_H
#define GATEHOUSE_API_CACHING_H

#include "api/http.h"

/* IMF-fixdate (RFC 9110 5.6.7), in the arena; NULL on overflow. */
const char *http_date(struct arena *arena, int64_t unix_s);
/* An entity tag of these bytes, quoted; NULL: the arena is full. */
const char *http_etag(struct arena *arena, struct bytes content);
/* Whether who asks has this very answer: If-None-Match names its entity tag. If-Modified-Since is left
 * alone: of two answers that were made in one second, the second may be the one that revokes. */
bool http_is_known(const struct http_exchange *x, const char *etag);

#endif

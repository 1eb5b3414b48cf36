/* What the handlers of the Shared Signals Framework share. */
#ifndef GATEHOUSE_API_PROXY_SSF_H
#define GATEHOUSE_API_PROXY_SSF_H

#include "api/streams.h"

struct ssf_query {
    const char *stream_id;
};

/* Where receivers reach the proxy plane. */
const char *ssf_base(const struct config *config);
/* A stream of the framework, and the caller's own; else the answer is a problem. */
MUST_USE bool ssf_read(struct request *r, struct stream_row *out, const char *id);

#endif

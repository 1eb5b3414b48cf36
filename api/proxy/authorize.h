/* ANY /v1/authorize: forward authentication, for proxies that ask about each request of theirs and know
 * three answers only. 200: the device may pass, and what is known of it stands in headers, each of them
 * every time. 401: its client presented no certificate at all. 403: everything else, and also whatever
 * goes wrong here: several proxies take another answer for an error, and let the client in on it. */
#ifndef GATEHOUSE_API_PROXY_AUTHORIZE_H
#define GATEHOUSE_API_PROXY_AUTHORIZE_H

#include "api/request.h"

/* Whether this request asks for nothing but that. */
bool authorize_is_asked(const struct api_plane *plane, const struct http_exchange *x);
/* Turns an answer of any other status into 403; the code stays what it was. Does nothing before there is
 * an answer. */
void authorize_settle(const struct api_plane *plane, struct http_exchange *x);
/* Bodies are read and forgotten, however long: up to BODY_ROWS_MAX. */
extern const struct http_sink authorize_sink;

#endif

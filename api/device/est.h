/* EST (RFC 7030): what its messages have in common. */
#ifndef GATEHOUSE_API_DEVICE_EST_H
#define GATEHOUSE_API_DEVICE_EST_H

#include "api/request.h"

enum { EST_REQUEST_MAX = 16384 }; /* bytes of a request's base64; a CSR has a tenth of that */

/* 200 with these bytes as base64, of this media type (RFC 7030 4.1.3, 4.2.3, 4.5.2). */
enum http_next est_answer(struct request *r, const char *media, struct bytes message);
/* The same with a certs-only message. */
enum http_next est_answer_certificates(struct request *r, const struct bytes *certificate,
                                       size_t num);
/* The body, out of base64 with white space anywhere (RFC 8951 3.1). False: answered. */
MUST_USE bool est_read(struct request *r, struct bytes *out);

#endif

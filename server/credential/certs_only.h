/* A "certs-only" message: certificates and nothing else in a CMS SignedData that nobody signed (RFC
 * 5652 5; RFC 5272 4.1, "simple PKI response"), as EST hands certificates out (RFC 7030 4.1.3). Pure. */
#ifndef GATEHOUSE_CREDENTIAL_CERTS_ONLY_H
#define GATEHOUSE_CREDENTIAL_CERTS_ONLY_H

#include "server/base/bytes.h"

enum { CERTS_ONLY_OVERHEAD = 64 }; /* bytes that come on top of the certificates, at most */

/* Writes the ContentInfo with these certificates, each DER, in this order. INVALID: none is given;
 * LIMIT: it does not fit. */
MUST_USE enum status certs_only_write(struct writer *out, const struct bytes *certificate,
                                      size_t num);

#endif

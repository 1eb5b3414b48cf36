/* What a credential says about where it is told that it is revoked. Pure. Internal to
 * server/credential. */
#ifndef GATEHOUSE_CREDENTIAL_PROFILE_REVOCATION_H
#define GATEHOUSE_CREDENTIAL_PROFILE_REVOCATION_H

#include "server/credential/profile.h"

/* Extensions: with a URL, cRLDistributionPoints (RFC 5280 4.2.1.13), <url>/v1/crl/<authority>.crl, and
 * authorityInfoAccess (4.2.2.1), OCSP at <url>/v1/ocsp and the issuer's certificate at
 * <url>/v1/ca/access/<authority>.cer. Without (NULL), noRevAvail (RFC 9608). `authority`: the first 8 bytes of
 * the SHA-256 of the issuer's SubjectPublicKeyInfo, in hex. */
void profile_write_revocation(struct writer *w, const char *url, const char *authority);

#endif

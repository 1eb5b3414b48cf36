/* What the publisher makes of lists: content that many hold. Internal to server/fleet. */
#ifndef GATEHOUSE_FLEET_CRL_FILE_H
#define GATEHOUSE_FLEET_CRL_FILE_H

#include "server/fleet/crl_publisher.h"

enum { CRL_PUBLISHED_MAX = SIGNER_AUTHORITIES_MAX };

/* Held once. Takes the malloc'd content over, also on MEMORY. */
MUST_USE enum status crl_file_new(struct crl_file **out, uint8_t *content, size_t len);
void crl_file_hold(const struct crl_file *file); /* once more */
/* All of them, at least one, as PEM, one after the other. MEMORY. */
MUST_USE enum status crl_file_bundle(struct crl_file **out, const struct crl_file *const *list,
                                     size_t num);

#endif

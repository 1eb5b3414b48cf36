/* The child's side of jws.h. Internal to server/credential; single-threaded. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_JWS_H
#define GATEHOUSE_CREDENTIAL_SIGNER_JWS_H

#include "server/credential/signer_child.h"

/* Reads the keys into child->jws, once the authorities are there. Fails, as signer_start does, for a
 * key of another kind, one that stands twice, or one that is an authority's. */
MUST_USE enum status jws_child_load(struct child *child, const struct jws_options *options,
                                    struct detail *detail);

signer_answer jws_child_sign, jws_child_keys;

#endif

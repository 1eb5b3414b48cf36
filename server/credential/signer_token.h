/* Keys on PKCS#11 tokens, for the signer's child: the module, which is code of others, lives in a
 * process of its own. The child forks it before it reads a key and before it confines itself; the two
 * share one socket, on which the child asks for a signature over a digest and for nothing else:
 *
 *   token to child   u8 status, text or SPKI: once it has logged in, or why not
 *   child to token   a digest
 *   token to child   u8 status, signature when OK
 *
 * It ends with the child. When it does not sign, also after logging in anew, the signer ends as it
 * would without its keys. Internal to server/credential. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_TOKEN_H
#define GATEHOUSE_CREDENTIAL_SIGNER_TOKEN_H

#include "server/crypto/key.h"

/* The key that the URI names; what signs with it exists until this process ends. What pkcs11_open may
 * say; EXPIRED: the module did not come up in time. */
MUST_USE enum status token_key(struct private_key **out, const char *uri, struct detail *detail);

#endif

/* One private key of a PKCS#11 token (v2.40), that signs. The module is code of others: it is loaded
 * into this very process. One thread at a time; opens what the module opens. */
#ifndef GATEHOUSE_CRYPTO_PKCS11_H
#define GATEHOUSE_CRYPTO_PKCS11_H

#include "server/crypto/key.h"

struct pkcs11_key;

/* Loads the module, logs in with the PIN of the URI's file (one line, for its owner only) and finds the
 * one private key that the URI names, and its public half: P-256, P-384, or RSA. The detail begins with
 * what was looked for and ends with the token's word for what is wrong ("CKR_PIN_INCORRECT"). MALFORMED
 * and UNSUPPORTED: the URI, or the kind of key; NOT_FOUND: module, token, key, or its public half;
 * INVALID: there are two; DENIED: the PIN, or its file; INTERNAL. */
MUST_USE enum status pkcs11_open(struct pkcs11_key **out, const char *uri, struct detail *detail);
void pkcs11_public(const struct pkcs11_key *key, struct public_key *out);
/* A private_key_signer of a struct pkcs11_key. When the token lost the session, it logs in once more.
 * INTERNAL: it does not sign. */
enum status pkcs11_sign(void *key, struct bytes digest, struct writer *out);
void pkcs11_close(struct pkcs11_key *key); /* NULL is allowed */

#endif

/* Public keys as JSON Web Keys (RFC 7517, RFC 7518 section 6), and their thumbprints (RFC 7638). Pure. */
#ifndef GATEHOUSE_CREDENTIAL_JWK_H
#define GATEHOUSE_CREDENTIAL_JWK_H

#include "server/base/json_out.h"
#include "server/credential/jws.h"

/* The thumbprint with SHA-256, in base64url. UNSUPPORTED: neither P-256 nor RSA. */
MUST_USE enum status jwk_thumbprint(char out[static JWS_KID_SIZE], const struct public_key *key);
/* The set of all: {"keys":[...]}, each with kty, its parameters, use, alg and kid. */
void jwks_write(struct json_out *out, const struct jws_keys *keys);
/* "ES256" or "RS256": what a key of the purpose signs with. */
const char *jws_algorithm(enum jws_purpose purpose);

#endif

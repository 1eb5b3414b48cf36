/* A decision as an attestation result: the claims of an EAR token (draft-ietf-rats-ear, in the profile
 * that its published libraries read), whose trustworthiness vector is AR4SI's. Pure.
 *
 * Whoever goes by ear.status alone lets in nobody who is denied: a denial is contraindicated, or none
 * where too little is known, and its vector affirms nothing. What is allowed is affirming when something
 * is affirmed of what booted and nothing is held against it; a warning when an exception was needed; and
 * none when nothing is known of what booted. */
#ifndef GATEHOUSE_FLEET_EAR_H
#define GATEHOUSE_FLEET_EAR_H

#include "server/appraisal/trustworthiness.h"
#include "server/fleet/table.h"

#define EAR_PROFILE "tag:github.com,2023:veraison/ear"
/* Characters of a nonce: base64url (RFC 9711, section 4.1). */
enum { EAR_NONCE_MIN = 8, EAR_NONCE_MAX = 64 };

enum ar4si_tier ear_status(const struct decision *decision);
void ear_vector(struct trustworthiness *out, const struct decision *decision);

struct ear_inputs {
    const char *issuer, *build; /* the build is a version */
    const char *subject;        /* the id that was asked for */
    const struct decision *decision;
    const char *nonce; /* NULL: none */
    int64_t now;
};
/* The claims as JSON. They end with the lease, and after five minutes at most. Empty: the arena is
 * full. */
struct bytes ear_claims(struct arena *arena, const struct ear_inputs *inputs);

#endif

/* What the identity authority signs of the audit log: that entry `seq` had hash `hash` at `time`.
 *
 *   gatehouse audit checkpoint 1\n
 *   <trust domain>\n
 *   <seq, decimal>\n
 *   <hash, 64 hex digits>\n
 *   <time, RFC 3339 with seconds, UTC>\n
 *
 * Text: nothing that X.509 has signed begins so, for a TBSCertificate, a CRL and an OCSP answer are
 * DER SEQUENCEs (0x30). The signature is as X.509 would have it: ECDSA-Sig-Value or the block, with
 * SHA-256, with P-384 SHA-384. Stateless. */
#ifndef GATEHOUSE_CREDENTIAL_CHECKPOINT_H
#define GATEHOUSE_CREDENTIAL_CHECKPOINT_H

#include "server/crypto/key.h"

enum { CHECKPOINT_HASH_LEN = 32, CHECKPOINT_TEXT_MAX = 512 };

struct checkpoint {
    const char *trust_domain;
    int64_t seq, time; /* from 1; unix seconds */
    uint8_t hash[CHECKPOINT_HASH_LEN];
};

/* INVALID: no domain, a domain with a line end, a seq below 1, a time before 1970; LIMIT: it does not
 * fit. */
MUST_USE enum status checkpoint_text(struct writer *out, const struct checkpoint *checkpoint);
/* OK when the signature is the key's; INVALID when not, or as above; MALFORMED, UNSUPPORTED. */
MUST_USE enum status checkpoint_verify(const struct checkpoint *checkpoint,
                                       const struct public_key *key, struct bytes signature,
                                       struct detail *detail);

#endif

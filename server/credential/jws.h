/* Signed statements: tokens (RFC 7519) as JSON Web Signatures in the compact form (RFC 7515), which
 * the signer makes with keys that exist only there, and that sign nothing else:
 *
 *   JWS_RESULTS  attestation results (RFC 9711): ES256, typ "eat+jwt". The claims hold `iat` (now),
 *                `exp` (at most JWS_RESULT_MAX_S later), `eat_profile` and `submods`
 *   JWS_EVENTS   security event tokens (RFC 8417): RS256, typ "secevent+jwt". The claims hold `iat`
 *                (now), `jti` and `events`, and neither `exp` nor `sub`, so that no event passes for a
 *                token of another kind
 *
 * Both hold `iss`, the issuer that was given at the start. The header is the signer's: alg, kid (RFC
 * 7638) and typ. Of each purpose there are a few keys: the first signs, all are published. */
#ifndef GATEHOUSE_CREDENTIAL_JWS_H
#define GATEHOUSE_CREDENTIAL_JWS_H

#include "server/crypto/key.h"

struct signer;

enum jws_purpose { JWS_RESULTS, JWS_EVENTS, NUM_JWS_PURPOSES };
const char *jws_purpose_name(enum jws_purpose purpose); /* "results", "events" */
enum {
    JWS_KEYS_MAX = 8, /* of a purpose */
    JWS_PAYLOAD_MAX = 16 << 10,
    JWS_BATCH_MAX = 256,
    JWS_KID_SIZE = 44,
    JWS_RESULT_MAX_S = 300,
    JWS_SKEW_S =
        60, /* between the clocks of who asks and of the signer: there is one, but requests wait */
    RSA_BITS_MIN = 2048
};

struct jws_options {
    const char *issuer; /* NULL: none of this can be signed */
    struct {
        const char *const
            *key_file; /* PEM, private to their owner; P-256 for results, RSA for events */
        size_t num;    /* 0: nothing is signed for the purpose */
    } keys[NUM_JWS_PURPOSES];
};

struct jws_job {
    enum jws_purpose purpose;
    struct bytes payload; /* the claims: a JSON object, compact (claims.h); borrowed until done */
    struct writer token; /* over memory of the caller's: jws_token_max(payload.len) bytes suffice */
    /* Filled by signer_jws: */
    enum status status; /* OK; NOT_FOUND: there is no key for this; INVALID: not what it may sign;
                           LIMIT: the payload or the token is too large; INTERNAL */
};
/* Bytes of the token for a payload of this length, at most. */
size_t jws_token_max(size_t payload_len);

/* Signs up to JWS_BATCH_MAX jobs in one exchange of messages. OK: each job has its own status, and
 * the detail names the first that was refused. INTERNAL: the signer is gone, now and for every later
 * call; LIMIT: no jobs, or too many. Thread-safe; waits for whoever else has the signer. */
MUST_USE enum status signer_jws(struct signer *signer, struct jws_job *const *jobs, size_t num,
                                struct detail *detail);

/* The public keys, each purpose's in the order given at the start. */
struct jws_key {
    char kid[JWS_KID_SIZE];
    struct public_key key;
};
struct jws_keys {
    struct jws_key key[NUM_JWS_PURPOSES][JWS_KEYS_MAX];
    size_t num[NUM_JWS_PURPOSES];
};
/* INTERNAL: the signer is gone. Thread-safe, as above. */
MUST_USE enum status signer_jws_keys(struct signer *signer, struct jws_keys *out,
                                     struct detail *detail);
#endif

/* What the files of this folder share of wolfCrypt. Internal to server/crypto: nothing else
 * includes it. wolfssl/options.h comes first. */
#ifndef GATEHOUSE_CRYPTO_WOLF_H
#define GATEHOUSE_CRYPTO_WOLF_H

#include <wolfssl/options.h>

#include "server/crypto/key.h"

#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/rsa.h>

enum wc_HashType wolf_hash(enum hash_alg alg); /* WC_HASH_TYPE_NONE for what we do not compute */
void wolf_require(int result); /* aborts unless 0: for calls that only fail by a fault of ours */
word32 wolf_len(size_t len);   /* aborts over 2 GiB */
int wolf_curve(enum key_kind kind); /* ECC_SECP256R1, ... */

enum { DIGEST_INFO_EXTRA = 32 }; /* what a DigestInfo (RFC 8017 9.2) adds to a digest, at most */

/* The public key as wolfCrypt holds it; on 0 the caller frees it. Non-zero: wolfCrypt's error. */
MUST_USE int wolf_ecc_public(ecc_key *out, const struct public_key *key);
MUST_USE int wolf_rsa_public(RsaKey *out, const struct public_key *key);
MUST_USE int wolf_ed25519_public(ed25519_key *out, const struct public_key *key);
/* The other way round. */
MUST_USE enum status wolf_ecc_export(struct public_key *out, ecc_key *key, enum key_kind kind);

#endif

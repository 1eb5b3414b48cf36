/* Signatures of files as security.ima holds them and IMA measures them. Allocates nothing;
 * thread-safe. Source: Linux, security/integrity/integrity.h (struct signature_v2_hdr, struct
 * ima_file_id), digsig.c and ima_appraise.c; ima-evm-utils, evmctl(1).
 *
 * Version 2 (type 3) signs the file's digest. Version 3 signs the hash of a type, the digest's
 * algorithm and the digest: type 6 is of an fs-verity digest, and type 3 of the file's own. Both are
 * RSASSA-PKCS1-v1_5 or ECDSA (an ECDSA-Sig-Value) with SHA-256 or better. */
#ifndef GATEHOUSE_EVIDENCE_IMA_SIGNATURE_H
#define GATEHOUSE_EVIDENCE_IMA_SIGNATURE_H

#include "server/crypto/key.h"
#include "server/evidence/facts.h"

struct ima_signature {
    uint8_t type, version;
    enum hash_alg alg;
    uint32_t key_id;  /* the last 4 bytes of the certificate's subjectKeyIdentifier */
    struct bytes raw; /* borrowed */
};
/* MALFORMED; UNSUPPORTED for other types and versions, and for hashes that are not taken. */
MUST_USE enum status ima_signature_read(struct ima_signature *out, struct bytes xattr);
/* Is it the key's signature of this entry's file? INVALID, UNSUPPORTED, MALFORMED. */
MUST_USE enum status ima_signature_verify(const struct ima_signature *signature,
                                          const struct public_key *key,
                                          const struct fact_ima_entry *entry);
/* The key id of a key without a certificate: of SHA-1 over the public key's bits (RFC 5280 4.2.1.2,
 * method 1), as evmctl has it. */
uint32_t ima_key_id(const struct public_key *key);

#endif

/* The parts that certificates, CRLs and OCSP answers are written from (RFC 5280 4.1, 5.1).
 * Allocates nothing. */
#ifndef GATEHOUSE_CRYPTO_X509_WRITE_H
#define GATEHOUSE_CRYPTO_X509_WRITE_H

#include "server/crypto/der.h"
#include "server/crypto/key.h"

enum { X509_KEY_ID_LEN = 20 };

/* AlgorithmIdentifier of what private_key_sign makes with this key. */
void x509_write_algorithm(struct writer *w, const struct private_key *key);
/* The same by the kind of key. */
void x509_write_algorithm_of(struct writer *w, enum key_kind kind);
/* SEQUENCE { tbs, algorithm, signature over tbs }. INTERNAL, LIMIT. */
MUST_USE enum status x509_write_signed(struct writer *w, const struct private_key *key,
                                       struct bytes tbs);
/* A Name of organizationName, organizationalUnitName and commonName, in this order, each a
 * UTF8String of its own; NULL: without it. */
struct x509_subject {
    const char *organization, *unit, *common_name;
};
void x509_write_subject(struct writer *w, const struct x509_subject *subject);
/* One Extension; `value` is the DER inside its OCTET STRING. */
void x509_write_extension(struct writer *w, struct bytes oid, bool critical, struct bytes value);
/* The key identifier of RFC 7093 2 (1): the first 160 bits of SHA-256 over the BIT STRING's bytes.
 * MALFORMED. */
MUST_USE enum status x509_key_id(uint8_t out[static X509_KEY_ID_LEN], struct bytes spki);

#endif

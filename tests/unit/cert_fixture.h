/* Certificates of any shape, also wrong ones, in memory. Failures end the program: they are the test's own
 * fault. */
#ifndef GATEHOUSE_TESTS_CERT_FIXTURE_H
#define GATEHOUSE_TESTS_CERT_FIXTURE_H

#include "server/crypto/x509.h"

enum { CERT_KEYS = 8, CERT_EXTRAS = 3, CERT_NOW = 1790000000 };

/* Key number i: P-256 but for the last two, which are P-384 and RSA. Made once. */
struct private_key *cert_key(size_t i);
enum { CERT_KEY_P384 = CERT_KEYS - 2, CERT_KEY_RSA = CERT_KEYS - 1 };

struct cert_spec {
    const char *subject, *issuer; /* common names; NULL: an empty name */
    struct bytes subject_name;    /* a whole Name; empty: by subject */
    struct bytes issuer_name;     /* the same for the issuer */
    size_t key, signer;           /* of cert_key */
    int64_t not_before, not_after;
    int ca;                            /* basicConstraints: -1 none, 0 FALSE, 1 TRUE */
    int path_len;                      /* -1 none */
    int key_usage;                     /* the first byte of the bits; -1 none */
    const char *key_id, *authority_id; /* NULL: absent */
    struct bytes extended_key_usage;   /* one OID; empty: absent */
    struct bytes subject_alt_name;     /* GeneralNames' content; empty: absent */
    bool subject_alt_name_critical;
    struct bytes extra[CERT_EXTRAS]; /* whole Extension elements */
    struct bytes serial;             /* INTEGER's content; empty: 1 */
    struct bytes validity;           /* the whole element; empty: by not_before and not_after */
    struct bytes inner_algorithm;    /* whole elements; empty: what fits the key */
    struct bytes outer_algorithm;
    struct bytes spki;  /* empty: that of `key` */
    bool no_extensions; /* then a version 1 certificate */
};

/* A CA's, or a leaf's, that breaks no rule; change it from there. */
struct cert_spec cert_ca(const char *subject, size_t key, const char *issuer, size_t signer);
struct cert_spec cert_leaf(const char *subject, size_t key, const char *issuer, size_t signer);

/* Its DER; static storage, overwritten after 64 calls. */
struct bytes cert_make(const struct cert_spec *spec);
/* An Extension element; static storage as well. */
struct bytes cert_extension(struct bytes oid, bool critical, struct bytes value);
/* A Name of one RDN of a commonName and an organizationName, sorted as DER has it or not; static
 * storage as well. */
struct bytes cert_name_of_two(const char *common_name, const char *organization, bool sorted);
/* The key's SubjectPublicKeyInfo marked as rsaesOaep with these parameters (whole elements; it must
 * be the RSA key); static storage as well. */
struct bytes cert_oaep_spki(size_t key, struct bytes parameters);
/* The PEM of several, one after the other, in the arena. */
struct bytes cert_pem(struct arena *arena, const struct bytes *der, size_t num);
/* The same, each marked as an anchor. */
struct bytes cert_trusted_pem(struct arena *arena, const struct bytes *der, size_t num);

/* A copy in memory of exactly its size, and its release. */
struct bytes cert_exact(struct bytes in);
void cert_drop(struct bytes in);
/* The same memory, to be changed. */
uint8_t *cert_writable(struct bytes exact);

#endif

/* Certificate revocation lists: v2 of RFC 5280 section 5, complete (no deltas), of one authority's key.
 * Written in the order of its bytes, so that a list of any size needs no room for the whole of it: who
 * signs hashes each piece, who publishes keeps it, and both get the same bytes from the same entries.
 * Pure; allocates nothing; thread-safe. */
#ifndef GATEHOUSE_CREDENTIAL_CRL_H
#define GATEHOUSE_CREDENTIAL_CRL_H

#include "server/credential/profile.h"

/* CRLReason (5.3.1), those that we state. */
enum crl_reason {
    CRL_UNSPECIFIED = 0, /* the extension is left out */
    CRL_KEY_COMPROMISE = 1,
    CRL_SUPERSEDED = 4,
    CRL_CESSATION_OF_OPERATION = 5,
    CRL_PRIVILEGE_WITHDRAWN = 9
};
bool crl_reason_is_known(unsigned reason);
/* Of a revocation's reason as the store has it: those that the gateway gives by itself, and from
 * operators the names "key_compromise", "superseded", "cessation_of_operation" and
 * "privilege_withdrawn". Any other text is UNSPECIFIED. */
enum crl_reason crl_reason_of(const char *text);

enum { CRL_ENTRIES_MAX = 1000000, CRL_ENTRY_MAX = 52, CRL_KEY_ID_MAX = 32 };
/* Between the two updates. */
enum { CRL_LIFETIME_MIN_S = 60, CRL_LIFETIME_MAX_S = 7 * 86400 };
/* A head or a tail is never longer: the issuer's name is a part of its certificate. */
enum { CRL_FRAME_MAX = CERTIFICATE_DER_MAX + 256 };

struct crl_entry {
    uint8_t serial[PROFILE_SERIAL_LEN]; /* big-endian, as in the certificate */
    int64_t revoked;                    /* unix seconds */
    enum crl_reason reason;
};

struct crl_shape {                    /* what is known of a list before its entries */
    struct bytes issuer;              /* DER Name: the authority's subject */
    struct bytes key_id;              /* its SubjectKeyIdentifier, 1 to CRL_KEY_ID_MAX bytes */
    enum key_kind kind;               /* of its key */
    int64_t this_update, next_update; /* unix seconds */
    uint64_t number;                  /* CRLNumber */
    size_t entries_len;               /* of all entries, as crl_entry_len has them; 0: none */
};

size_t crl_entry_len(const struct crl_entry *entry);
/* The TBSCertList's length in all. */
size_t crl_tbs_len(const struct crl_shape *shape);
/* The TBSCertList up to its first entry; then each entry; then what comes after the last. The issuer
 * is in a certificate of at most CERTIFICATE_DER_MAX bytes, so that CRL_FRAME_MAX is enough. */
void crl_write_head(struct writer *w, const struct crl_shape *shape);
void crl_write_entry(struct writer *w, const struct crl_entry *entry);
void crl_write_tail(struct writer *w, const struct crl_shape *shape);

#endif

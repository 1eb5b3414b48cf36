/* Revocation lists, signed by the authority whose credentials they are about. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_CRL_H
#define GATEHOUSE_CREDENTIAL_SIGNER_CRL_H

#include "server/credential/crl.h"
#include "server/credential/signer.h"

struct crl_job {
    const char *authority; /* its id; one of PROFILE_ACCESS */
    int64_t this_update, next_update;
    uint64_t number; /* more than any of this authority before: milliseconds since 1970 are */
    const struct crl_entry *entry; /* by serial, ascending; none twice */
    size_t num;                    /* at most CRL_ENTRIES_MAX */
    /* Filled by signer_crl: */
    uint8_t *der; /* malloc'd: the caller's */
    size_t der_len;
};

/* The entries go over in pieces, so that other answers need not wait for a long list; the child writes
 * the list's bytes itself and hashes them as they come, and keeps none of it. It refuses a number that
 * goes back or is ahead of its clock, updates that are not of now, entries that are not in order, from
 * the future or without a reason that it knows, and an authority that signs no lists. NOT_FOUND: no such
 * authority; INVALID: the child refused, as the detail says; LIMIT: too many; MEMORY; INTERNAL: the
 * signer is gone, or signed something else. One at a time: a second list ends the first. */
MUST_USE enum status signer_crl(struct signer *signer, struct crl_job *job, struct detail *detail);

#endif

/* Platform keys that are known to be leaked, or that are a vendor's test keys that got shipped: a
 * device that trusts one runs whatever an attacker signs, Secure Boot or not. A list is compiled in
 * (leaked_keys.c names the source of each entry); configuration and API add others. Immutable,
 * shared by threads. */
#ifndef GATEHOUSE_APPRAISAL_LEAKED_KEYS_H
#define GATEHOUSE_APPRAISAL_LEAKED_KEYS_H

#include "server/base/arena.h"

struct leaked_key {
    uint8_t sha256[32];  /* of the certificate's DER */
    const char *subject; /* one line; NULL: not known */
    const char *source;  /* where it was published */
};
/* Sorted by sha256, none twice. */
struct leaked_keys {
    const struct leaked_key *key;
    size_t num;
};
extern const struct leaked_keys leaked_keys_compiled_in;
/* Among those compiled in, or among `more` (may be NULL); NULL: not known as leaked. */
const struct leaked_key *leaked_key_find(const struct leaked_keys *more,
                                         const uint8_t sha256[static 32]);

#endif

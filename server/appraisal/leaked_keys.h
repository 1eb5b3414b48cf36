/* Platform keys that are known to be leaked, or that are a vendor's test keys that got shipped: a
 * device that trusts one runs whatever an attacker signs, Secure Boot or not. A list is compiled in
 * (leaked_keys.c names the source of each entry); configuration and API add others. Immutable,
 * shared by threads. */
#ifndef GATEHOUSE_APPRAISAL_LEAKED_KEYS_H
#define GATEHOUSE_APPRAISAL_LEAKED_KEYS_H

#include "server/base/arena.h"

struct leaked_key {
    /* Of the certificate's DER. Some were published by SHA-1 only: then sha256 is zeros. */
    uint8_t sha256[32], sha1[20];
    const char *subject; /* one line; "": not known */
    const char *source;  /* where it was published */
};
struct leaked_keys {
    const struct leaked_key *key; /* sorted by sha256, which all have, none twice */
    size_t num;
};
/* Among those compiled in, or among `more` (may be NULL); NULL: not known as leaked. `der` is the
 * certificate, for those that are known by SHA-1 only; empty when it is not at hand. */
const struct leaked_key *leaked_key_find(const struct leaked_keys *more,
                                         const uint8_t sha256[static 32], struct bytes der);
enum { LEAKED_KEYS_FILE_MAX = 10000 };
/* A list as a file holds it: a line a key, its SHA-256 in hex and then, if known, its subject; empty
 * lines, and those that begin with "#", say nothing. `source` becomes that of each. MALFORMED with
 * the line's number; LIMIT: over LEAKED_KEYS_FILE_MAX of them; MEMORY. */
MUST_USE enum status leaked_keys_read(struct leaked_keys *out, struct arena *arena,
                                      struct bytes text, const char *source, struct detail *detail);
/* Both lists as one, with copies of their texts; of two for the same key the one in `a` stays. `key`s
 * need not be sorted. MEMORY. */
MUST_USE enum status leaked_keys_merge(struct leaked_keys *out, struct arena *arena,
                                       const struct leaked_keys *a, const struct leaked_keys *b);
/* The list that is compiled in; its order means nothing. */
const struct leaked_key *leaked_keys_compiled_in(size_t *num);

#endif

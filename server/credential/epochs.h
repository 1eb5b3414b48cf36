/* The epochs of the access authority: a list in a text file beside the keys, which `gatehouse ca`
 * writes and the signer's child reads.
 *
 *   gatehouse access authorities 1
 *   # key  certificate  published  signs  retires
 *   access.key access.pem 2026-11-23T10:00:00Z 2026-11-23T10:00:00Z 2026-11-26T11:00:00Z
 *   access-5c0e7a12.key access-5c0e7a12.pem 2026-11-25T10:00:00Z 2026-11-25T10:00:00Z -
 *
 * A line an epoch, oldest first; '#' begins a comment line; fields are separated by blanks. A key is
 * a file or a PKCS#11 URI, a certificate a file; relative names are taken from the list's folder. An
 * epoch is published from when it is in the list. It signs what is issued from `signs` until the next
 * one does, and is retired at `retires`: then it is neither published nor does it sign anything. Pure
 * but for epochs_read; allocates in the caller's arena. */
#ifndef GATEHOUSE_CREDENTIAL_EPOCHS_H
#define GATEHOUSE_CREDENTIAL_EPOCHS_H

#include "server/base/arena.h"

enum { EPOCHS_MAX = 7, EPOCHS_FILE_MAX = 16 << 10, EPOCHS_ARENA = 64 << 10 };

struct epoch {
    const char *key, *certificate; /* terminated; what serves to open them */
    int64_t published, signs;      /* unix seconds, published <= signs */
    int64_t retires;               /* 0: not known yet; only of the newest */
};
struct epochs { /* caller-allocated; strings are in the arena */
    struct epoch epoch[EPOCHS_MAX];
    size_t num; /* from 1 */
};

enum epoch_state { EPOCH_COMING, EPOCH_SIGNING, EPOCH_PAST, EPOCH_RETIRED };
const char *epoch_state_name(enum epoch_state state); /* "coming", ... */
/* Of epoch i < num at `now`. */
enum epoch_state epochs_state(const struct epochs *epochs, size_t i, int64_t now);
/* The next time after `now` at which a state changes; INT64_MAX: none is known. */
int64_t epochs_next_change(const struct epochs *epochs, int64_t now);

/* What the file's rules are beyond each line: 1 to EPOCHS_MAX epochs, each with a key and a
 * certificate of its own, in ascending order of `signs`, and none retired before the next one signs,
 * so that from the first `signs` on exactly one signs at any time. INVALID. */
MUST_USE enum status epochs_check(const struct epochs *epochs, struct detail *detail);
/* `folder` is put before relative names: "" or ending with a slash. MALFORMED names the line;
 * INVALID as above; MEMORY. */
MUST_USE enum status epochs_parse(struct epochs *out, struct arena *arena, struct bytes text,
                                  const char *folder, struct detail *detail);
/* The same of a file, its own folder before relative names. Also NOT_FOUND, DENIED, LIMIT, INTERNAL. */
MUST_USE enum status epochs_read(struct epochs *out, struct arena *arena, const char *path,
                                 struct detail *detail);
/* The text of such a file, with names in `folder` written relative to it. INVALID: as epochs_check, or a
 * name that the file cannot hold (a blank, a control character); LIMIT. */
MUST_USE enum status epochs_write(struct writer *out, const struct epochs *epochs,
                                  const char *folder, struct detail *detail);

/* Whether a key's name is a PKCS#11 URI (RFC 7512) and no file. */
bool epoch_key_is_uri(const char *key);
/* "ca/" of "ca/access.epochs", "" of a bare name; in the arena. NULL: no memory. */
const char *epochs_folder(struct arena *arena, const char *path);

#endif

/* The signer: a child process that alone holds the CA keys. Forked before any thread, socket or
 * store, or later by a keeper that was (signer_keeper.h); keeps three socketpairs, no file, and a seccomp filter that leaves it read, write, memory,
 * time and exit. It takes only requests of PROFILE_IDENTITY and PROFILE_ACCESS within their limits,
 * and checkpoints of the audit log that never go back, for the trust domain given at the start; and on
 * a channel of their own, so that the committer never waits behind them, what relying parties are
 * answered with. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_H
#define GATEHOUSE_CREDENTIAL_SIGNER_H

#include "server/credential/jws.h"
#include "server/credential/profile.h"

struct signer;

struct signer_options {
    const char *trust_domain;
    const char *identity_key_file, *identity_certificate_file; /* PEM */
    const char *access_key_file, *access_certificate_file;     /* PEM */
    const char
        *access_authorities_file; /* epochs.h: instead of these two, when it is there; or NULL */
    const char *public_url;       /* below it credentials find their CRL and OCSP; NULL: nowhere */
    struct jws_options jws;       /* zeros: no statements */
};

/* Reads the keys in the child after the fork, so that they never are in the parent. Fails when a
 * key is unreadable, open to others, or does not match its certificate, when a certificate is no
 * authority's or has expired, and when both authorities are one. Blocks until the child is
 * ready. */
MUST_USE enum status signer_start(struct signer **out, const struct signer_options *options,
                                  struct detail *detail);

/* Who signs. Of PROFILE_IDENTITY there is one; of PROFILE_ACCESS one for each epoch of its key, of
 * which one signs credentials: one that is to come is published before, one that was stays until
 * what it signed has expired (it still signs revocation lists and answers). */
enum { SIGNER_AUTHORITIES_MAX = 8, AUTHORITY_RAW_ID = 8, AUTHORITY_ID_SIZE = 17 };
struct signer_authority {
    enum profile profile;
    char
        id[AUTHORITY_ID_SIZE]; /* the first 8 bytes of its SubjectPublicKeyInfo's SHA-256, in hex */
    struct bytes certificate;  /* DER */
    bool signs;                /* what is issued now */
    int64_t signs_from;        /* unix seconds; of one that is published before: later than now */
    int64_t retires;           /* when it goes from this list; 0: not known yet */
    int64_t not_after;         /* nothing that it signs lasts longer */
};
/* All of them: those that sign, then those to come, then those that were. Immutable, valid as long as
 * the signer; a later call gives others once they have changed, by signer_reload or as time goes by.
 * Thread-safe. */
size_t signer_authorities(const struct signer *signer, const struct signer_authority **out);

enum { SIGNER_BATCH_MAX = 256 };

struct sign_job {
    enum profile profile; /* IDENTITY or ACCESS */
    uint8_t spki[KEY_SPKI_MAX];
    size_t spki_len;
    char device_id[33];
    char tier[16], segment[SEGMENT_MAX + 1]; /* ACCESS; segment "": none */
    int64_t not_before, not_after;           /* unix seconds */
    uint8_t serial[PROFILE_SERIAL_LEN];
    /* Filled by signer_sign: */
    enum status status; /* OK, INVALID (profile), INTERNAL */
    uint8_t der[CERTIFICATE_DER_MAX];
    size_t der_len;
    uint8_t sha256[32];                /* of der */
    char authority[AUTHORITY_ID_SIZE]; /* who signed */
};

/* Signs up to SIGNER_BATCH_MAX jobs in one exchange of messages. OK: each job has its own
 * status, and the detail names the first that was refused. INTERNAL: the signer is gone, now and
 * for every later call (the gateway then stops); LIMIT: no jobs, or too many. Thread-safe; the
 * committer alone calls it. */
MUST_USE enum status signer_sign(struct signer *signer, struct sign_job *const *jobs, size_t num,
                                 struct detail *detail);

struct checkpoint_job {
    int64_t seq; /* of the entry */
    uint8_t hash[32];
    /* Filled by signer_checkpoint: */
    enum status status; /* OK, INVALID (a seq that goes back), INTERNAL */
    int64_t time;       /* of the signer's clock */
    uint8_t signature[KEY_SIGNATURE_MAX];
    size_t signature_len;
};
/* Has the identity authority sign that entry `seq` has this hash (checkpoint.h). The signer refuses a
 * seq below the last one that it signed, and that one with another hash. OK: job->status says how it
 * went, and the detail why it was refused. INTERNAL, and who may call: as signer_sign. */
MUST_USE enum status signer_checkpoint(struct signer *signer, struct checkpoint_job *job,
                                       struct detail *detail);

/* Reads keys, certificates and the list of epochs anew: another child does, takes over the state of the
 * one in force, and then its work. Requests that are under way end first. On failure the old one goes
 * on, and the detail says why: as signer_start; INVALID too when the identity authority would change;
 * INTERNAL: the signer may be gone. The options are those of the start. Thread-safe. */
MUST_USE enum status signer_reload(struct signer *signer, struct detail *detail);
/* When an authority begins or ends to sign next, or is retired; INT64_MAX: nothing is known. */
int64_t signer_next_change(const struct signer *signer);
/* Whether child or keeper ended by themselves. The caller is the process that started them. */
bool signer_has_ended(const struct signer *signer);

/* The one given at the start. */
const char *signer_trust_domain(const struct signer *signer);
/* DER of the authority's certificate that the child signs with now; valid as long as the signer.
 * Empty for other profiles. */
struct bytes signer_authority(const struct signer *signer, enum profile profile);
/* The child's process id. */
int signer_pid(const struct signer *signer);
/* Closes the channel, ends the child and waits for it. NULL is allowed. */
void signer_free(struct signer *signer);

#endif
